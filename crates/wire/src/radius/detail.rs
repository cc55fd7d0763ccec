//! Splits a FreeRADIUS `detail` file into records of attributes.
//!
//! ```text
//!   Sun Nov 22 11:07:52 2026            server's local time without a zone: a separator, never trusted
//!           Acct-Status-Type = Start
//!           User-Name = "sub@example.ne.jp"
//!           Timestamp = 1795345672      written last
//!                                       a blank line ends the record
//! ```

use std::io::Read;

use super::meaning::{Attribute, Attributes, Value};
use crate::lines::{Encoding, Item, Line, Lines, LinesError};
use noroshi_model::intake::SNIPPET_BYTES_MAX;

/// Most attributes of a record.
pub const ATTRIBUTES_MAX: usize = 256;
/// Most bytes of an attribute's value as written.
pub const VALUE_BYTES_MAX: usize = 4096;
/// The longest attribute line: value, name, operator.
const LINE_BYTES_MAX: usize = VALUE_BYTES_MAX + 512;
/// What a record usually has: room that is taken at once.
const RECORD_BYTES: usize = 1024;
const RECORD_ATTRIBUTES: usize = 24;
/// Written last by the server, so a record that has it was written whole.
const LAST_ATTRIBUTE: &str = "Timestamp";

/// One record, well-formed or not. Holds communications data: it does not leave the folder unsealed.
pub(super) struct Detail {
    /// First physical line, from 1.
    pub line: u64,
    /// Physical lines, without the blank one that ended it.
    pub lines: u64,
    /// Names and unquoted values one after another, in the file's order: a record has a dozen, and a file millions of
    /// records.
    text: String,
    /// Where in the text each name and its value end.
    attributes: Vec<(u32, u32)>,
    /// What is wrong with it as text; never contains a value.
    pub fault: Option<String>,
    /// Its beginning, as read.
    pub raw: Vec<u8>,
    /// Its whole length in bytes.
    pub bytes: u64,
}

/// The records of a file.
#[derive(Debug)]
pub(super) struct DetailRecords<R> {
    lines: Lines<R>,
    /// A header that ended the record before it, and the position before it.
    ahead: Option<(Item, u64)>,
    ended: bool,
}

impl<R: Read> DetailRecords<R> {
    pub fn new(reader: R, position: u64, lines_before: u64) -> Self {
        let lines = Lines::new(reader, Encoding::default()).with_limit(LINE_BYTES_MAX);
        Self { lines: lines.resumed(position, lines_before), ahead: None, ended: false }
    }

    /// Where the next record starts.
    pub fn offset(&self) -> u64 {
        self.ahead.as_ref().map_or(self.lines.offset(), |(_, before)| *before)
    }

    /// Physical lines before that.
    pub fn lines_before(&self) -> u64 {
        self.lines.number() - u64::from(self.ahead.is_some())
    }

    fn pull(&mut self) -> Result<Option<(Item, u64)>, LinesError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        let before = self.lines.offset();
        Ok(self.lines.next().transpose()?.map(|item| (item, before)))
    }

    fn record(&mut self) -> Result<Option<Detail>, LinesError> {
        let first = loop {
            match self.pull()? {
                None => return Ok(None),
                Some((Item::Line(line), _)) if line.text.is_empty() => {}
                Some((first, _)) => break first,
            }
        };
        let mut detail = Detail::begin(&first);
        loop {
            match self.pull()? {
                None => {
                    detail.cut_off_unless_whole(true);
                    break;
                }
                Some((Item::Line(line), _)) if line.text.is_empty() => break,
                Some((Item::Line(line), before)) if is_header(&line.text) => {
                    self.ahead = Some((Item::Line(line), before));
                    detail.cut_off_unless_whole(false);
                    break;
                }
                Some((item, _)) => detail.add(&item),
            }
        }
        if detail.attributes.is_empty() {
            detail.fail("a header without attributes");
        }
        Ok(Some(detail))
    }
}

impl<R: Read> Iterator for DetailRecords<R> {
    type Item = Result<Detail, LinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.record().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Attributes are indented; what is not begins a record.
fn is_header(text: &str) -> bool {
    !text.starts_with(['\t', ' '])
}

impl Detail {
    fn begin(first: &Item) -> Self {
        let mut detail = Self {
            line: 0,
            lines: 0,
            text: String::with_capacity(RECORD_BYTES),
            attributes: Vec::with_capacity(RECORD_ATTRIBUTES),
            fault: None,
            raw: Vec::with_capacity(RECORD_BYTES),
            bytes: 0,
        };
        match first {
            Item::Line(line) if is_header(&line.text) => {
                detail.line = line.number;
                detail.keep(line.text.as_bytes(), line.text.len() as u64);
                // A header without its line end is cut off even if it reads well.
                if !line.ended {
                    detail.fail("cut off");
                }
            }
            Item::Line(line) => {
                detail.line = line.number;
                detail.add(first);
                detail.fail("begins in the middle: no header line");
            }
            Item::Bad(bad) => {
                detail.line = bad.line;
                detail.add(first);
            }
        }
        detail
    }

    fn add(&mut self, item: &Item) {
        match item {
            Item::Bad(bad) => {
                self.keep(&bad.snippet, bad.bytes);
                self.fail(&format!("line {}: {}", bad.line, bad.reason));
            }
            Item::Line(line) => {
                self.keep(line.text.as_bytes(), line.text.len() as u64);
                self.add_attribute(line);
            }
        }
    }

    fn add_attribute(&mut self, line: &Line) {
        if !line.ended {
            return self.fail("cut off");
        }
        if self.attributes.len() == ATTRIBUTES_MAX {
            return self.fail(&format!("more than {ATTRIBUTES_MAX} attributes"));
        }
        match attribute(&line.text) {
            Some((_, value)) if value.len() > VALUE_BYTES_MAX => {
                self.fail(&format!("line {}: a value is longer than {VALUE_BYTES_MAX} bytes", line.number));
            }
            Some((name, value)) => {
                self.text.push_str(name);
                let name_ends = self.text.len() as u32;
                unquote(value, &mut self.text);
                self.attributes.push((name_ends, self.text.len() as u32));
            }
            None => self.fail(&format!("line {}: not `Attribute = value`", line.number)),
        }
    }

    /// At the end of the file the blank line may still be to come; the last attribute says that the record is
    /// whole.
    fn cut_off_unless_whole(&mut self, at_end: bool) {
        let whole = self.attributes().last().is_some_and(|(name, _)| name == LAST_ATTRIBUTE);
        if !(at_end && whole) {
            self.fail("cut off: no blank line ends it");
        }
    }

    fn keep(&mut self, text: &[u8], bytes: u64) {
        let room = SNIPPET_BYTES_MAX - self.raw.len();
        self.raw.extend_from_slice(&text[..text.len().min(room)]);
        if self.raw.len() < SNIPPET_BYTES_MAX {
            self.raw.push(b'\n');
        }
        self.lines += 1;
        self.bytes += bytes + 1;
    }

    /// The first fault is the one that is told.
    fn fail(&mut self, reason: &str) {
        self.fault.get_or_insert_with(|| reason.to_owned());
    }

    /// The value of an attribute that may be there once; twice with the same value counts as once.
    pub fn one_named(&self, name: &str) -> Result<Option<&str>, String> {
        let mut values = self.all_named(name);
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            return Err(format!("{name} is there twice with different values"));
        }
        Ok(first)
    }

    fn all_named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.attributes().filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }

    fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut begins = 0;
        self.attributes.iter().map(move |&(name_ends, ends)| {
            let name = self.text.get(begins..name_ends as usize).unwrap_or_default();
            begins = ends as usize;
            (name, self.text.get(name_ends as usize..begins).unwrap_or_default())
        })
    }
}

impl Attributes for Detail {
    fn all(&self, which: Attribute) -> impl Iterator<Item = Value<'_>> {
        self.all_named(which.name()).map(Value::Text)
    }
}

/// `Name = value`, `Name += value`, `Name:tag = value`; the tag is dropped.
fn attribute(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.trim_start().split_once([' ', '\t'])?;
    let (operator, value) = rest.trim_start().split_once([' ', '\t']).unwrap_or((rest.trim(), ""));
    let name = name.split_once(':').map_or(name, |(name, _tag)| name);
    let named = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./[]".contains(&byte));
    let known = matches!(operator, "=" | "+=" | ":=" | "==");
    (named && known && (1..=253).contains(&name.len())).then(|| (name, value.trim()))
}

/// Takes quotes and escapes away as the server wrote them (`\"`, `\\`, `\n`, `\r`, `\t`, `\NNN` octal); where
/// that gives no text, the value stays as written.
fn unquote(value: &str, into: &mut String) {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(quoted) = quoted.filter(|quoted| quoted.contains('\\')) else {
        return into.push_str(quoted.unwrap_or(value));
    };
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut left = quoted.as_bytes();
    while let Some((&byte, rest)) = left.split_first() {
        let (byte, taken) = if byte == b'\\' { escaped(rest) } else { (byte, 0) };
        bytes.push(byte);
        left = &rest[taken..];
    }
    into.push_str(std::str::from_utf8(&bytes).unwrap_or(quoted));
}

/// What follows a backslash: the byte meant, and how many were used up.
fn escaped(rest: &[u8]) -> (u8, usize) {
    match rest {
        [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            (((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), 3)
        }
        [b'n', ..] => (b'\n', 1),
        [b'r', ..] => (b'\r', 1),
        [b't', ..] => (b'\t', 1),
        [other, ..] => (*other, 1),
        [] => (b'\\', 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn details(text: &[u8]) -> Vec<Detail> {
        DetailRecords::new(text, 0, 0).map(Result::unwrap).collect()
    }

    const RECORD: &str = "Sun Nov 22 11:07:52 2026\n\tUser-Name = \"a\"\n\tTimestamp = 1\n\n";

    fn faults(text: &str) -> Vec<Option<String>> {
        details(text.as_bytes()).into_iter().map(|detail| detail.fault).collect()
    }

    #[test]
    fn records_are_split_at_blank_lines() {
        let found = details(RECORD.repeat(2).as_bytes());
        assert_eq!(found.iter().map(|d| (d.line, d.lines)).collect::<Vec<_>>(), [(1, 3), (5, 3)]);
        assert!(found.iter().all(|d| d.fault.is_none()));
        assert_eq!(found[0].one_named("User-Name"), Ok(Some("a")));
    }

    #[test]
    fn a_truncated_last_record_is_bad_wherever_it_is_cut() {
        let whole = RECORD.len() - 1;
        for cut in 1..RECORD.len() {
            let found = faults(&format!("{RECORD}{}", &RECORD[..cut]));
            assert_eq!(found.len(), 2, "cut at {cut}");
            assert_eq!(found[1].is_none(), cut >= whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_header_in_the_middle_costs_only_the_record_it_cuts() {
        let cut = "Sun Nov 22 11:07:52 2026\n\tUser-Name = \"a\"\n";
        assert_eq!(faults(&format!("{cut}{RECORD}")), [Some("cut off: no blank line ends it".into()), None]);
        assert_eq!(
            faults(&format!("\tA = 1\n\n{RECORD}"))[0],
            Some("begins in the middle: no header line".into())
        );
        assert_eq!(faults(&format!("header\n\n{RECORD}"))[0], Some("a header without attributes".into()));
    }

    #[test]
    fn attributes_have_operators_tags_and_escapes() {
        let quoted = "\tA = \"x \\\"y\\\" \\\\ \\303\\251\\n\"\n";
        let text = format!("h\n{quoted}\tB:1 += 2\n\tC:0 := \"\"\n\tD =\n\tE = \"\\377\"\n\n");
        let detail = details(text.as_bytes()).remove(0);
        assert_eq!(detail.fault, None);
        let values: Vec<_> = detail.attributes().collect();
        assert_eq!(values, [("A", "x \"y\" \\ é\n"), ("B", "2"), ("C", ""), ("D", ""), ("E", "\\377")]);
    }

    #[test]
    fn limits_are_kept_and_named() {
        let many = format!("h\n{}\n", "\tA = 1\n".repeat(300));
        assert_eq!(faults(&many), [Some("more than 256 attributes".into())]);
        let long = format!("h\n\tA = {}\n\n", "x".repeat(5000));
        assert_eq!(faults(&long), [Some("line 2: line is longer than 4608 bytes".into())]);
        let longish = format!("h\n\tA = {}\n\n", "x".repeat(4100));
        assert_eq!(faults(&longish), [Some("line 2: a value is longer than 4096 bytes".into())]);
        let endless = details(format!("h\n{}", "\tA = 1\n".repeat(100_000)).as_bytes()).remove(0);
        assert_eq!((endless.attributes.len(), endless.raw.len()), (ATTRIBUTES_MAX, SNIPPET_BYTES_MAX));
        assert_eq!((endless.lines, endless.bytes), (100_001, 700_002));
    }

    #[test]
    fn two_different_values_of_one_attribute_are_not_chosen_between() {
        let detail = details(b"h\n\tA = 1\n\tA = 2\n\tB = 3\n\tB = 3\n\n").remove(0);
        assert!(detail.one_named("A").is_err());
        assert_eq!(detail.one_named("B"), Ok(Some("3")));
    }

    const PIECES: [&str; 8] = ["h", "\tA = 1", "\tTimestamp = 1", "", "\t", "\0", " =", "é"];

    proptest! {
        #[test]
        fn every_physical_line_is_in_one_record_or_blank(
            text in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60),
            ended: bool,
        ) {
            let mut text = text.join("\n");
            if ended { text.push('\n'); }
            let lines = Lines::new(text.as_bytes(), Encoding::default());
            let physical: Vec<_> = lines.map(Result::unwrap).collect();
            let is_blank = |line: &&Item| matches!(line, Item::Line(line) if line.text.is_empty());
            let blank = physical.iter().filter(is_blank).count() as u64;
            let found = details(text.as_bytes());
            prop_assert_eq!(found.iter().map(|d| d.lines).sum::<u64>() + blank, physical.len() as u64);
            prop_assert!(found.windows(2).all(|pair| pair[0].line + pair[0].lines <= pair[1].line));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, value in "[\"\\\\0-9a-z]{0,20}") {
            // A compressed file is refused whole.
            DetailRecords::new(bytes.as_slice(), 0, 0).for_each(drop);
            unquote(&value, &mut String::new());
        }
    }
}
