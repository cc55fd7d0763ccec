//! The elements of a JSON document, one at a time: of a top-level array, or objects one after the other (JSON lines). A
//! report of a gigabyte needs the memory of its largest element, and a broken element costs itself, not the rest.

use std::io::{self, BufRead};

use noroshi_model::intake::{Bad, SNIPPET_BYTES_MAX};
use serde_json::Value;

/// Most bytes of one element.
pub const ELEMENT_BYTES_MAX: usize = 16 << 20;

/// One element as it stood in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its text.
    pub text: String,
    /// What it says.
    pub value: Value,
}

impl Element {
    /// Quarantines the element, for a reason found later.
    pub fn bad(&self, reason: impl Into<String>) -> Bad {
        bad(self.line, reason.into(), self.text.as_bytes(), self.text.len() as u64)
    }
}

/// The elements of a stream. After an outer error it ends.
#[derive(Debug)]
pub struct Elements<R> {
    reader: R,
    line: u64,
    column: u64,
    ended: bool,
    marked: bool,
}

/// One element as bytes.
#[derive(Default)]
struct Raw {
    kept: Vec<u8>,
    whole: u64,
    line: u64,
}

/// Where a scan stands inside an element.
#[derive(Default)]
struct Scan {
    depth: u32,
    quoted: bool,
    escaped: bool,
}

impl<R: BufRead> Elements<R> {
    /// Reads from the beginning of a document.
    pub fn new(reader: R) -> Self {
        Self { reader, line: 1, column: 0, ended: false, marked: false }
    }

    fn advance(&mut self) -> io::Result<Option<Result<Element, Bad>>> {
        if !self.marked {
            self.marked = true;
            if self.reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
                self.reader.consume(3);
            }
        }
        let Some(raw) = self.raw()? else { return Ok(None) };
        if raw.whole > raw.kept.len() as u64 {
            let reason = format!("element is longer than {ELEMENT_BYTES_MAX} bytes");
            return Ok(Some(Err(bad(raw.line, reason, &raw.kept, raw.whole))));
        }
        let text = match String::from_utf8(raw.kept) {
            Ok(text) => text,
            Err(e) => return Ok(Some(Err(bad(raw.line, "no UTF-8".into(), e.as_bytes(), raw.whole)))),
        };
        Ok(Some(match serde_json::from_str(&text) {
            Ok(value) => Ok(Element { line: raw.line, text, value }),
            Err(e) => Err(bad(raw.line, format!("no JSON: {}", reason(&e)), text.as_bytes(), raw.whole)),
        }))
    }

    /// Reads up to the end of the next element.
    fn raw(&mut self) -> io::Result<Option<Raw>> {
        let mut raw = Raw::default();
        let mut scan = Scan::default();
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok([]) => return Ok((raw.whole > 0).then_some(raw)),
                Ok(chunk) => chunk,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let (mut used, mut done) = (0, false);
            for &byte in chunk {
                let begun = raw.whole > 0;
                let between = !begun && (byte.is_ascii_whitespace() || matches!(byte, b',' | b'[' | b']'));
                // An object that begins a line where another is still open: the other one lost its end.
                let lost = begun && byte == b'{' && self.column == 0;
                if lost || begun && scan.depth == 0 && !scan.quoted && matches!(byte, b',' | b']' | b'\n') {
                    done = true;
                    break;
                }
                used += 1;
                self.column += 1;
                if !between {
                    if !begun {
                        raw.line = self.line;
                    }
                    raw.take(byte);
                    done = scan.closes(byte);
                }
                if byte == b'\n' {
                    self.line += 1;
                    self.column = 0;
                }
                if done {
                    break;
                }
            }
            self.reader.consume(used);
            if done {
                return Ok(Some(raw));
            }
        }
    }
}

impl Raw {
    fn take(&mut self, byte: u8) {
        self.whole += 1;
        if self.kept.len() < ELEMENT_BYTES_MAX {
            self.kept.push(byte);
        }
    }
}

impl Scan {
    /// Takes a byte; true where it ends an object or an array that was open.
    fn closes(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
        } else if self.quoted {
            self.escaped = byte == b'\\';
            self.quoted = byte != b'"';
        } else {
            match byte {
                b'"' => self.quoted = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    return self.depth == 0;
                }
                _ => {}
            }
        }
        false
    }
}

impl<R: BufRead> Iterator for Elements<R> {
    type Item = io::Result<Result<Element, Bad>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let element = self.advance().transpose();
        self.ended = !matches!(element, Some(Ok(_)));
        element
    }
}

fn bad(line: u64, reason: String, kept: &[u8], bytes: u64) -> Bad {
    Bad { line, reason, snippet: kept[..kept.len().min(SNIPPET_BYTES_MAX)].to_vec(), bytes }
}

/// The parser's reason without its position, which counts from the element's beginning, and without content.
fn reason(e: &serde_json::Error) -> &'static str {
    match e.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "syntax",
        _ => "not readable",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Result<(u64, Value), (u64, String)>> {
        Elements::new(io::BufReader::with_capacity(3, text.as_bytes()))
            .map(|e| e.unwrap().map(|e| (e.line, e.value)).map_err(|b| (b.line, b.reason)))
            .collect()
    }

    #[test]
    fn arrays_lines_and_single_objects() {
        let two = [Ok((1, serde_json::json!({"a": "]}"}))), Ok((2, serde_json::json!({"b": [1, {"c": 2}]})))];
        assert_eq!(read("{\"a\":\"]}\"}\n{\"b\":[1,{\"c\":2}]}\n"), two);
        assert_eq!(read("[{\"a\":\"]}\"},\n {\"b\":[1,{\"c\":2}]}]\n"), two);
        assert_eq!(read("\u{feff}{\"a\":1}"), [Ok((1, serde_json::json!({"a": 1})))]);
        assert_eq!(read(" [ ] \n"), []);
    }

    #[test]
    fn a_broken_element_costs_itself() {
        let got = read("{\"a\": 1}\n{\"a\": \n{\"a\": 3}\nnoise\n{\"a\": 4}\n");
        let lines: Vec<_> = got.iter().map(|r| r.as_ref().map(|g| g.0).map_err(|b| b.0)).collect();
        assert_eq!(lines, [Ok(1), Err(2), Ok(3), Err(4), Ok(5)]);
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut lines = 0;
            for element in Elements::new(&bytes[..]) {
                let line = match element.unwrap() { Ok(e) => e.line, Err(b) => b.line };
                prop_assert!(line >= lines);
                lines = line;
            }
        }
    }
}
