//! Tags and text of HTML and XML, for the few sources that publish pages. Not a browser: what is no tag is text, what is
//! not closed ends with the document, and nothing that a page says can make it fail.

use std::borrow::Cow;

/// Within so many bytes a tag's quotes are closed, or they are none: else a page of open quotes would be read over and
/// over.
const TAG_BYTES_MAX: usize = 1 << 16;
/// No entity is longer.
const ENTITY_BYTES_MAX: usize = 12;

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The beginning of an element; one that is `<empty/>` has its end behind it.
    Open(Tag<'a>),
    /// The end of an element, by its name as it is written.
    Close(&'a str),
    /// Text, entities resolved.
    Text(Cow<'a, str>),
}

/// An element's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Its name as it is written.
    pub name: &'a str,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    /// Whether this is the element, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
            let (found, after) = rest.split_at(end);
            if found.is_empty() && after.is_empty() {
                return None;
            }
            let (value, after) = value(after);
            if found.eq_ignore_ascii_case(name) {
                return Some(unescaped(value));
            }
            rest = after;
        }
    }
}

/// The value behind an attribute's name, and the rest.
fn value(text: &str) -> (&str, &str) {
    let Some(behind) = text.trim_start().strip_prefix('=') else { return ("", text) };
    let behind = behind.trim_start();
    for quote in ['"', '\''] {
        if let Some(inner) = behind.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    behind.split_at(behind.find(char::is_whitespace).unwrap_or(behind.len()))
}

/// The pieces of a page, each with the line (from 1) it begins on.
pub struct Pieces<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    counted: usize,
    closing: Option<&'a str>,
}

impl<'a> Pieces<'a> {
    /// Reads a page.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, counted: 0, closing: None }
    }

    fn line(&mut self) -> u64 {
        let passed = self.text.as_bytes().get(self.counted..self.at).unwrap_or_default();
        self.line += passed.iter().filter(|b| **b == b'\n').count() as u64;
        self.counted = self.at;
        self.line
    }

    /// What stands between `<` and `>`, or text.
    fn piece(&mut self, rest: &'a str) -> Option<Piece<'a>> {
        let Some(inner) = rest.strip_prefix('<').filter(|inner| begins_tag(inner)) else {
            let end = rest.match_indices('<').map(|(at, _)| at).find(|at| begins_tag(&rest[at + 1..]));
            let (text, _) = rest.split_at(end.unwrap_or(rest.len()));
            self.at += text.len();
            return Some(Piece::Text(unescaped(text)));
        };
        for (start, end) in [("!--", "-->"), ("![CDATA[", "]]>")] {
            if let Some(body) = inner.strip_prefix(start) {
                let length = body.find(end).unwrap_or(body.len());
                let whole = 1 + start.len() + length + end.len();
                self.at = (self.at + whole).min(self.text.len());
                return (start != "!--").then(|| Piece::Text(Cow::Borrowed(&body[..length])));
            }
        }
        let length = tag_end(inner);
        self.at = (self.at + 1 + length + 1).min(self.text.len());
        let tag = &inner[..length];
        if let Some(name) = tag.strip_prefix('/') {
            return Some(Piece::Close(name.trim()));
        }
        if tag.starts_with(['!', '?']) {
            return None;
        }
        let tag_text = tag.strip_suffix('/');
        let name_end = tag.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(tag.len());
        let (name, _) = tag.split_at(name_end);
        let attributes = tag_text.unwrap_or(tag).get(name_end..).unwrap_or_default();
        self.closing = tag_text.map(|_| name);
        if name.eq_ignore_ascii_case("script") || name.eq_ignore_ascii_case("style") {
            self.skip_to_end_of(name);
        }
        Some(Piece::Open(Tag { name, attributes }))
    }

    /// Passes over the content of a script or a style, which is no markup.
    fn skip_to_end_of(&mut self, name: &str) {
        let rest = &self.text[self.at..];
        let end = rest.match_indices("</").map(|(at, _)| at).find(|at| {
            rest.get(at + 2..at + 2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name))
        });
        self.at += end.unwrap_or(rest.len());
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (u64, Piece<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.line();
            if let Some(name) = self.closing.take() {
                return Some((line, Piece::Close(name)));
            }
            let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
            if let Some(piece) = self.piece(rest) {
                return Some((line, piece));
            }
        }
    }
}

fn begins_tag(inner: &str) -> bool {
    inner.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
}

/// Where the tag ends: at the first `>` outside quotes.
fn tag_end(inner: &str) -> usize {
    let mut quote = None;
    for (at, byte) in inner.bytes().take(TAG_BYTES_MAX).enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed would swallow the rest of the page.
    inner.find('>').unwrap_or(inner.len())
}

/// Entities resolved: those of XML, `&nbsp;`, and numbers.
pub fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let end = after.bytes().take(ENTITY_BYTES_MAX).position(|b| b == b';');
        let named = end.and_then(|end| Some((entity(&after[..end])?, &after[end + 1..])));
        rest = match named {
            Some((c, behind)) => {
                out.push(c);
                behind
            }
            None => {
                out.push('&');
                after
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: &str) -> Vec<String> {
        let piece = |(line, piece): (u64, Piece<'_>)| match piece {
            Piece::Open(tag) => format!("{line}<{}", tag.name),
            Piece::Close(name) => format!("{line}>{name}"),
            Piece::Text(text) => format!("{line}'{text}"),
        };
        Pieces::new(page).map(piece).collect()
    }

    #[test]
    fn tags_text_and_lines() {
        let page = "<!DOCTYPE x>\n<p class='a>b' ID=7>1 < 2 &amp; &#x33;<br/></p><!-- <i> --><![CDATA[<&]]>";
        assert_eq!(shown(page), ["1'\n", "2<p", "2'1 < 2 & 3", "2<br", "2>br", "2>p", "2'<&"]);
        let Some((_, Piece::Open(tag))) = Pieces::new(&page[13..]).next() else { panic!("no tag") };
        assert_eq!((tag.get("class").as_deref(), tag.get("id").as_deref()), (Some("a>b"), Some("7")));
        assert_eq!(tag.get("href"), None);
        assert_eq!(shown("<script>if (a<b) {}</script>x"), ["1<script", "1>script", "1'x"]);
    }

    #[test]
    fn broken_pages_end() {
        for page in
            ["<", "<a", "<a href=\"x", "</", "<!--", "<![CDATA[", "a & b &; &#x110000;", "<a b=>", "<é>"]
        {
            assert!(shown(page).len() < 4, "{page}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_page(page in "(<|>|/|!--|-->|<!\\[CDATA\\[|<a b='|\"|&|&#|;|script|é|\\s|[a-z=]){0,40}") {
            for (_, piece) in Pieces::new(&page) {
                if let Piece::Open(tag) = piece {
                    tag.get("zz");
                }
            }
        }
    }
}
