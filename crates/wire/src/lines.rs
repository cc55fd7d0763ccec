//! Cuts a byte stream that nobody vouches for into numbered lines of text.
//!
//! A log taken from somebody else's server may hold a ten-gigabyte line, an executable, three encodings at
//! once. Each line that cannot be text becomes a [`Bad`] with its place and reason, memory stays at about one
//! line, and the next line goes on. Nothing is guessed: a byte order mark decides, else the declared
//! encoding, and what does not decode is quarantined with a hint rather than repaired.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Chain, Cursor, Read};
use std::str::FromStr;

use encoding_rs::{SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};
use noroshi_model::intake::{Bad, SNIPPET_BYTES_MAX};
use serde::{Deserialize, Serialize};

/// Most bytes a line may have, without its line end, unless [`Lines::with_limit`] says otherwise.
pub const LINE_BYTES_MAX: usize = 1 << 20;

const BUFFER_BYTES: usize = 64 << 10;
/// Longest of the byte order marks and magic numbers looked for at the start of a file.
const HEAD_BYTES: usize = 6;
/// A line end of two UTF-16 units.
const LINE_END_BYTES_MAX: usize = 4;

const MAGIC: [(&[u8], &str); 5] = [
    (&[0x1f, 0x8b], "gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"BZh91A", "bzip2"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
];

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The stream itself failed.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// The file is an archive or compressed.
    #[error("this is {kind}, not text; decompress it first")]
    Compressed {
        /// Which kind, by its magic number.
        kind: &'static str,
    },
}

/// A text encoding by its WHATWG label: `utf-8`, `shift_jis`, `euc-jp`, `windows-1252`, `utf-16le`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Encoding(&'static encoding_rs::Encoding);

/// No encoding has this label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no encoding; known are utf-8, shift_jis, euc-jp, iso-2022-jp, windows-1252, utf-16le, …")]
pub struct EncodingError(String);

impl Default for Encoding {
    fn default() -> Self {
        Self(UTF_8)
    }
}

impl FromStr for Encoding {
    type Err = EncodingError;

    fn from_str(label: &str) -> Result<Self, EncodingError> {
        let known = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes());
        known.map(Self).ok_or_else(|| EncodingError(label.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Encoding {
    type Error = EncodingError;

    fn try_from(label: String) -> Result<Self, EncodingError> {
        label.parse()
    }
}

impl From<Encoding> for String {
    fn from(encoding: Encoding) -> Self {
        encoding.to_string()
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

/// One line of text, without its line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number in the file, from 1.
    pub number: u64,
    /// The text; at most three times [`LINE_BYTES_MAX`] when it was not UTF-8.
    pub text: String,
    /// Whether a line end followed; only the last line of a file can be without.
    pub ended: bool,
}

/// What a physical line turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Text.
    Line(Line),
    /// Not usable.
    Bad(Bad),
}

/// The lines of a stream. After an error it ends.
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<Chain<Cursor<Vec<u8>>, R>>,
    encoding: Encoding,
    limit: usize,
    position: u64,
    number: u64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Unopened,
    Open,
    Ended,
}

/// One physical line as bytes: its beginning, and how long it was.
#[derive(Default)]
struct Raw {
    kept: Vec<u8>,
    whole: u64,
    last: u8,
    ended: bool,
}

impl<R: Read> Lines<R> {
    /// Reads from the beginning of a file; a byte order mark overrules `encoding`.
    pub fn new(reader: R, encoding: Encoding) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, Cursor::new(Vec::new()).chain(reader)),
            encoding,
            limit: LINE_BYTES_MAX,
            position: 0,
            number: 0,
            state: State::Unopened,
        }
    }

    /// Sets the most bytes a line may have.
    pub fn with_limit(mut self, line_bytes_max: usize) -> Self {
        self.limit = line_bytes_max;
        self
    }

    /// Says that the reader stands at byte `position`, after `lines` whole lines: no byte order mark is
    /// looked for, so a UTF-16 file has to be declared as such.
    pub fn resumed(mut self, position: u64, lines: u64) -> Self {
        self.position = position;
        self.number = lines;
        if position > 0 {
            self.state = State::Open;
        }
        self
    }

    /// Bytes consumed so far, counted from the beginning of the file: where the next line starts.
    pub fn offset(&self) -> u64 {
        self.position
    }

    /// Lines read so far, good and bad.
    pub fn number(&self) -> u64 {
        self.number
    }

    fn advance(&mut self) -> Result<Option<Item>, LinesError> {
        if self.state == State::Unopened {
            self.open()?;
        }
        let Some(raw) = self.raw()? else { return Ok(None) };
        self.position += raw.whole;
        self.number += 1;
        Ok(Some(self.judge(raw)))
    }

    /// Looks at the first bytes: byte order marks and the magic numbers of compressed files.
    fn open(&mut self) -> Result<(), LinesError> {
        self.state = State::Open;
        let (head, rest) = self.reader.get_mut().get_mut();
        rest.take(HEAD_BYTES as u64).read_to_end(head.get_mut())?;
        if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.get_ref().starts_with(magic)) {
            return Err(LinesError::Compressed { kind });
        }
        if let Some((encoding, mark_bytes)) = encoding_rs::Encoding::for_bom(head.get_ref()) {
            self.encoding = Encoding(encoding);
            self.position = mark_bytes as u64;
            head.set_position(self.position);
        }
        Ok(())
    }

    /// Reads up to the next line end, keeping no more than the limit.
    fn raw(&mut self) -> io::Result<Option<Raw>> {
        let mut raw = Raw::default();
        while !raw.ended {
            let chunk = match self.reader.fill_buf() {
                Ok([]) => break,
                Ok(chunk) => chunk,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let end = line_end(self.encoding, chunk, &raw);
            let used = end.unwrap_or(chunk.len());
            raw.ended = end.is_some();
            raw.take(&chunk[..used], self.limit + LINE_END_BYTES_MAX);
            self.reader.consume(used);
        }
        Ok((raw.whole > 0).then_some(raw))
    }

    fn judge(&self, mut raw: Raw) -> Item {
        let complete = raw.whole == raw.kept.len() as u64;
        if complete {
            trim_line_end(self.encoding, &mut raw.kept);
        }
        if !complete || raw.kept.len() > self.limit {
            let bytes = if complete { raw.kept.len() as u64 } else { raw.whole - u64::from(raw.ended) };
            return self.bad(format!("line is longer than {} bytes", self.limit), &raw.kept, bytes);
        }
        match text(self.encoding, raw.kept) {
            Ok(text) => Item::Line(Line { number: self.number, text, ended: raw.ended }),
            Err((reason, bytes)) => self.bad(reason, &bytes, bytes.len() as u64),
        }
    }

    fn bad(&self, reason: String, kept: &[u8], bytes: u64) -> Item {
        Item::Bad(Bad { line: self.number, reason, snippet: snippet(kept), bytes })
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = Result<Item, LinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let item = self.advance().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Ended;
        }
        item
    }
}

impl Raw {
    fn take(&mut self, chunk: &[u8], keep_max: usize) {
        let room = keep_max.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.whole += chunk.len() as u64;
        self.last = chunk.last().copied().unwrap_or(self.last);
    }
}

/// The beginning of a bad line that is kept.
pub(crate) fn snippet(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(SNIPPET_BYTES_MAX)].to_vec()
}

fn unit_bytes(encoding: Encoding) -> usize {
    if encoding.0 == UTF_16LE || encoding.0 == UTF_16BE { 2 } else { 1 }
}

/// How many bytes of `chunk` belong to the line that `before` began, its line end included; `None`: all of
/// it.
fn line_end(encoding: Encoding, chunk: &[u8], before: &Raw) -> Option<usize> {
    let found = memchr::memchr(b'\n', chunk);
    if unit_bytes(encoding) == 1 {
        return found.map(|at| at + 1);
    }
    if found.is_none() && before.last != b'\n' {
        return None;
    }
    let newline = if encoding.0 == UTF_16LE { [b'\n', 0] } else { [0, b'\n'] };
    let mut previous = before.last;
    for (at, &byte) in chunk.iter().enumerate() {
        let second_of_unit = (before.whole + at as u64) % 2 == 1;
        if second_of_unit && [previous, byte] == newline {
            return Some(at + 1);
        }
        previous = byte;
    }
    None
}

fn trim_line_end(encoding: Encoding, line: &mut Vec<u8>) {
    for end in [b'\n', b'\r'] {
        let unit: &[u8] = match unit_bytes(encoding) {
            1 => &[end],
            _ if encoding.0 == UTF_16LE => &[end, 0],
            _ => &[0, end],
        };
        if line.len().is_multiple_of(unit.len()) && line.ends_with(unit) {
            line.truncate(line.len() - unit.len());
        }
    }
}

/// Decodes a line, or says why it is not text and gives the bytes back.
fn text(encoding: Encoding, bytes: Vec<u8>) -> Result<String, (String, Vec<u8>)> {
    if unit_bytes(encoding) == 1
        && let Some(at) = memchr::memchr(0, &bytes)
    {
        return Err((format!("binary data (NUL at byte {})", at + 1), bytes));
    }
    if encoding.0 == UTF_8 {
        return String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to() + 1;
            let bytes = e.into_bytes();
            (not_utf8(at, &bytes), bytes)
        });
    }
    match encoding.0.decode_without_bom_handling_and_without_replacement(&bytes) {
        Some(text) if text.contains('\0') => Err(("binary data".into(), bytes)),
        Some(text) => Ok(text.into_owned()),
        None => Err((format!("not valid {encoding}"), bytes)),
    }
}

fn not_utf8(at: usize, bytes: &[u8]) -> String {
    if SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes).is_some() {
        format!("not UTF-8 at byte {at}; valid Shift_JIS: declare encoding = \"shift_jis\"")
    } else {
        format!("not UTF-8 at byte {at}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(bytes: &[u8], encoding: &str) -> Vec<Item> {
        Lines::new(bytes, encoding.parse().unwrap()).map(Result::unwrap).collect()
    }

    fn texts(bytes: &[u8], encoding: &str) -> Vec<String> {
        let text = |item| match item {
            Item::Line(line) => line.text,
            Item::Bad(bad) => format!("BAD {}", bad.reason),
        };
        lines(bytes, encoding).into_iter().map(text).collect()
    }

    #[test]
    fn line_ends_of_both_kinds_and_a_missing_last_one_are_read() {
        assert_eq!(texts(b"a\r\nb\n\nc", "utf-8"), ["a", "b", "", "c"]);
        let ended: Vec<_> =
            lines(b"a\nb", "utf-8").iter().map(|l| matches!(l, Item::Line(l) if l.ended)).collect();
        assert_eq!(ended, [true, false]);
    }

    #[test]
    fn byte_order_marks_are_dropped_and_decide() {
        assert_eq!(texts(b"\xef\xbb\xbfa\n", "shift_jis"), ["a"]);
        let mut le = vec![0xff, 0xfe];
        let mut be = vec![0xfe, 0xff];
        // U+0A41 and U+410A hold the byte of a line feed without being one.
        for unit in "狼\u{0a41}\r\n\u{410a}煙\n".encode_utf16() {
            le.extend(unit.to_le_bytes());
            be.extend(unit.to_be_bytes());
        }
        assert_eq!(texts(&le, "utf-8"), ["狼\u{0a41}", "\u{410a}煙"]);
        assert_eq!(texts(&be, "utf-8"), ["狼\u{0a41}", "\u{410a}煙"]);
    }

    #[test]
    fn shift_jis_is_read_when_declared_and_recognised_when_not() {
        let (sjis, ..) = SHIFT_JIS.encode("感染,198.51.100.7\n");
        assert_eq!(texts(&sjis, "shift_jis"), ["感染,198.51.100.7"]);
        let reason = texts(&sjis, "utf-8").remove(0);
        assert_eq!(reason, "BAD not UTF-8 at byte 1; valid Shift_JIS: declare encoding = \"shift_jis\"");
        assert_eq!(texts(b"ok\xff\xff\n", "utf-8"), ["BAD not UTF-8 at byte 3"]);
        assert_eq!(texts(b"\xff\xff\n", "euc-jp"), ["BAD not valid euc-jp"]);
    }

    #[test]
    fn binary_lines_are_bad_and_the_next_line_goes_on() {
        assert_eq!(texts(b"a\0b\nc\n", "utf-8"), ["BAD binary data (NUL at byte 2)", "c"]);
    }

    #[test]
    fn compressed_files_are_refused_by_name() {
        for (magic, kind) in MAGIC {
            let refused = Lines::new(magic, Encoding::default()).next().unwrap().unwrap_err();
            assert_eq!(refused.to_string(), format!("this is {kind}, not text; decompress it first"));
        }
    }

    #[test]
    fn an_unknown_encoding_is_refused() {
        assert!("klingon".parse::<Encoding>().is_err());
        assert!("hz-gb-2312".parse::<Encoding>().is_err());
        assert_eq!("Shift_JIS".parse::<Encoding>().unwrap().to_string(), "shift_jis");
    }

    #[test]
    fn the_limit_is_on_the_line_without_its_end() {
        let items: Vec<_> = Lines::new(&b"12345\r\n123456\r\n1234567890\n12\n"[..], Encoding::default())
            .with_limit(5)
            .map(Result::unwrap)
            .collect();
        let lengths: Vec<_> = items
            .iter()
            .map(|item| match item {
                Item::Line(line) => line.text.len() as u64,
                Item::Bad(bad) => bad.bytes + 100,
            })
            .collect();
        assert_eq!(lengths, [5, 106, 110, 2]);
    }

    /// `x` for a long time, then a good line; counts the largest buffer it was ever given.
    struct Endless {
        left: u64,
        tail: &'static [u8],
    }

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            assert!(into.len() <= 4 << 20, "a reader asked for {} bytes at once", into.len());
            if self.left == 0 {
                return self.tail.read(into);
            }
            let n = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            into[..n].fill(b'x');
            self.left -= n as u64;
            Ok(n)
        }
    }

    #[test]
    fn a_line_of_300_megabytes_is_one_bad_line_in_bounded_memory() {
        let left = 300 << 20;
        let mut lines = Lines::new(Endless { left, tail: b"\nnext\n" }, Encoding::default());
        let mut raw_max = 0;
        let Some(Ok(Item::Bad(bad))) = lines.next() else { panic!("expected a bad line") };
        raw_max = raw_max.max(lines.reader.capacity() + bad.snippet.capacity());
        assert_eq!((bad.line, bad.bytes, bad.snippet.len()), (1, left, SNIPPET_BYTES_MAX));
        assert!(raw_max < 1 << 20);
        assert_eq!(bad.reason, "line is longer than 1048576 bytes");
        assert!(
            matches!(lines.next(), Some(Ok(Item::Line(line))) if line.text == "next" && line.number == 2)
        );
        assert_eq!(lines.offset(), left + 6);
    }

    #[test]
    fn a_raw_line_never_keeps_more_than_the_limit() {
        let mut raw = Raw::default();
        for _ in 0..10_000 {
            raw.take(&[b'x'; 4096], LINE_BYTES_MAX + LINE_END_BYTES_MAX);
        }
        assert_eq!(raw.kept.len(), LINE_BYTES_MAX + LINE_END_BYTES_MAX);
        assert!(raw.kept.capacity() <= 4 << 20);
        assert_eq!(raw.whole, 40_960_000);
    }

    /// Hands out one byte at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(into.len()).min(1);
            self.0.read(&mut into[..n])
        }
    }

    proptest! {
        #[test]
        fn every_byte_and_line_is_accounted_for(
            bytes: Vec<u8>,
            label in "(utf-8|shift_jis|utf-16le|utf-16be)",
        ) {
            let mut lines = Lines::new(&bytes[..], label.parse().unwrap()).with_limit(16);
            let mut seen = 0;
            while let Some(Ok(item)) = lines.next() {
                seen += 1;
                let number = match item { Item::Line(l) => l.number, Item::Bad(b) => b.line };
                prop_assert_eq!(number, seen);
            }
            let compressed = MAGIC.iter().any(|(magic, _)| bytes.starts_with(magic));
            prop_assert!(compressed || lines.offset() == bytes.len() as u64);
        }

        #[test]
        fn how_the_bytes_arrive_makes_no_difference(
            bytes in "[a-c\r\n\u{3042}]{0,40}",
            label in "(utf-8|utf-16le)",
        ) {
            let whole = lines(bytes.as_bytes(), &label);
            let dribbled: Vec<_> = Lines::new(Dribble(bytes.as_bytes()), label.parse().unwrap())
                .map(Result::unwrap).collect();
            prop_assert_eq!(whole, dribbled);
        }

        #[test]
        fn reading_resumes_at_the_position(text in "([a-z]{0,9}\r?\n){1,9}", stop in 1usize..9) {
            let mut first = Lines::new(text.as_bytes(), Encoding::default());
            let mut all: Vec<_> = first.by_ref().take(stop).map(Result::unwrap).collect();
            let at = first.offset();
            let rest = &text.as_bytes()[at as usize..];
            let second = Lines::new(rest, Encoding::default()).resumed(at, first.number());
            all.extend(second.map(Result::unwrap));
            prop_assert_eq!(all, lines(text.as_bytes(), "utf-8"));
        }
    }
}
