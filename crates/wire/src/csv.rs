//! Records of comma-separated text (RFC 4180) over [`Lines`], by column name.
//!
//! One quote that is never closed would swallow the rest of a file. So a record may span at most
//! [`RECORD_LINES_MAX`] physical lines and [`RECORD_BYTES_MAX`] bytes; where it does not end by then, only
//! the line on which it began is quarantined, and reading resumes at the one after it.

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::sync::Arc;

use csv_core::{ReadRecordResult, ReaderBuilder, Terminator};
use noroshi_model::intake::Bad;

use crate::lines::{Item, Line, Lines, LinesError, snippet};

/// Most columns of a record.
pub const COLUMNS_MAX: usize = 512;
/// Most physical lines of a record, joined by line breaks within quotes.
pub const RECORD_LINES_MAX: usize = 64;
/// Most bytes of a record that spans lines.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Column names listed in an error.
const LISTED_MAX: usize = 40;

/// How records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// Between columns; one ASCII character, no quote and no line end.
    pub delimiter: char,
    /// Where the column names come from.
    pub header: Header,
    /// Whether records may have fewer or more cells than there are columns: missing ones are empty, further ones unnamed.
    pub ragged: bool,
    /// Lines that begin with this are passed over.
    pub comment: Option<char>,
}

/// Where the column names come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// The file's first record.
    FirstLine,
    /// Configuration; the first line is already a record.
    Named(Vec<String>),
}

impl Default for CsvFormat {
    fn default() -> Self {
        Self { delimiter: ',', header: Header::FirstLine, ragged: false, comment: None }
    }
}

/// Why a file as a whole cannot be read as records.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The stream failed, or is no text.
    #[error(transparent)]
    Lines(#[from] LinesError),
    /// Not one ASCII character, or one with a meaning of its own.
    #[error("'{}' cannot be a delimiter; use one ASCII character", .0.escape_default())]
    Delimiter(char),
    /// The file ends before its header.
    #[error("no header: the file has no line")]
    Empty,
    /// The header cannot be read.
    #[error("no header: {0}")]
    Header(Bad),
    /// Two columns of one name.
    #[error("column '{0}' is there twice")]
    Duplicate(String),
    /// A column that is needed is not there.
    #[error("column '{column}' is missing; there are: {}", listed(.present))]
    Missing {
        /// The needed one.
        column: String,
        /// Those of the file.
        present: Vec<String>,
    },
    /// Too many columns.
    #[error("{0} columns; at most {COLUMNS_MAX} are read")]
    Columns(usize),
}

/// The names of a file's columns.
#[derive(Debug)]
struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its first physical line, from 1.
    pub line: u64,
    /// Physical lines it spans.
    pub lines: u64,
    columns: Arc<Columns>,
    cells: Cells,
    joined: Joined,
}

/// Where the cells are: in the record as it stood in the file, or, where there is something to unquote, in a text of
/// their own.
#[derive(Clone, Debug, Default)]
struct Cells {
    text: Option<String>,
    spans: Vec<(u32, u32)>,
}

/// The record as it stood in the file: its beginning, and how long it was.
#[derive(Clone, Debug)]
struct Joined {
    text: String,
    bytes: u64,
}

/// An item with the position after it.
#[derive(Debug)]
struct Pulled {
    item: Result<Item, LinesError>,
    position: u64,
}

/// The records of a file. After an outer error it ends.
#[derive(Debug)]
pub struct Records<R> {
    lines: Lines<R>,
    pending: VecDeque<Pulled>,
    position: u64,
    skipped: u64,
    format: CsvFormat,
    required: Vec<String>,
    columns: Option<Arc<Columns>>,
    parser: Parser,
    /// Cells of the record before.
    width: usize,
    /// The further lines of the record handed out last.
    further: Further,
    ended: bool,
}

/// What a record over several lines took besides its first, to be put back should the record be refused.
#[derive(Debug, Default)]
struct Further {
    lines: Vec<Pulled>,
    after_first: u64,
    first_bytes: usize,
}

impl<R: Read> Records<R> {
    /// Reads `lines` as records; every column in `required` has to be there. The header is read with the
    /// first record.
    pub fn new(lines: Lines<R>, format: CsvFormat, required: &[&str]) -> Self {
        Self {
            position: lines.offset(),
            parser: Parser::new(format.delimiter),
            lines,
            pending: VecDeque::new(),
            skipped: 0,
            format,
            required: required.iter().map(|&name| name.to_owned()).collect(),
            columns: None,
            width: 0,
            further: Further::default(),
            ended: false,
        }
    }

    /// The header as a line, once the first record is read: with it a record can be read alone.
    pub fn header(&self) -> Option<String> {
        let columns = self.columns.as_ref()?;
        let delimiter = self.format.delimiter.to_string();
        let cell = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
        Some(columns.names.iter().map(cell).collect::<Vec<_>>().join(&delimiter))
    }

    /// Bytes consumed so far: where the next record starts.
    pub fn offset(&self) -> u64 {
        self.position
    }

    /// Physical lines that are no record: the header, blank lines, comments.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn advance(&mut self) -> Result<Option<Result<Record, Bad>>, CsvError> {
        let columns = match &self.columns {
            Some(columns) => Arc::clone(columns),
            None => self.open()?,
        };
        let ragged = self.format.ragged;
        let Some(raw) = self.raw_record()? else { return Ok(None) };
        let named = raw.map(|raw| raw.named(&columns));
        Ok(Some(match named {
            Ok(record) if !ragged && record.len() != columns.names.len() => {
                let reason =
                    format!("{} columns where there should be {}", record.len(), columns.names.len());
                Err(self.refuse(&record, reason))
            }
            named => named,
        }))
    }

    /// Quarantines the record handed out last. Where it spans several lines, a quote was opened that should not have been
    /// as likely as not: its first line is bad, and the others are read again.
    pub fn refuse(&mut self, record: &Record, reason: impl Into<String>) -> Bad {
        let further = std::mem::take(&mut self.further);
        if record.lines == 1 || further.lines.is_empty() {
            return record.bad(reason);
        }
        further.lines.into_iter().rev().for_each(|pulled| self.pending.push_front(pulled));
        self.position = further.after_first;
        let mut first = record.joined.clone();
        first.text.truncate(further.first_bytes);
        first.bytes = further.first_bytes as u64;
        first.bad(record.line, format!("{}, read over {} lines", reason.into(), record.lines))
    }

    fn open(&mut self) -> Result<Arc<Columns>, CsvError> {
        let delimiter = self.format.delimiter;
        if !delimiter.is_ascii() || matches!(delimiter, '"' | '\n' | '\r' | '\0') {
            return Err(CsvError::Delimiter(delimiter));
        }
        let names = match self.format.header.clone() {
            Header::Named(names) => names,
            Header::FirstLine => {
                let raw = self.raw_record()?.ok_or(CsvError::Empty)?.map_err(CsvError::Header)?;
                self.skipped += raw.lines;
                raw.cells.iter(&raw.joined.text).map(|name| name.trim().to_owned()).collect()
            }
        };
        let columns = Arc::new(Columns::new(names, &self.required)?);
        self.columns = Some(Arc::clone(&columns));
        Ok(columns)
    }

    /// The next record as cells without names; blank lines and comments are passed over.
    fn raw_record(&mut self) -> Result<Option<Result<RawRecord, Bad>>, CsvError> {
        loop {
            match self.pull() {
                None => return Ok(None),
                Some(Err(e)) => return Err(e.into()),
                Some(Ok(Item::Bad(bad))) => return Ok(Some(Err(bad))),
                Some(Ok(Item::Line(line))) if self.passes_over(&line.text) => self.skipped += 1,
                Some(Ok(Item::Line(line))) => return Ok(Some(self.join(line))),
            }
        }
    }

    fn passes_over(&self, text: &str) -> bool {
        text.is_empty() || self.format.comment.is_some_and(|mark| text.starts_with(mark))
    }

    fn pull(&mut self) -> Option<Result<Item, LinesError>> {
        let pulled = match self.pending.pop_front() {
            Some(pulled) => pulled,
            None => {
                let item = self.lines.next();
                // Also at the end, where a byte order mark may have been all there was.
                self.position = self.lines.offset();
                return item;
            }
        };
        self.position = pulled.position;
        Some(pulled.item)
    }

    /// Reads the record that begins on `first`, pulling further lines while a quote is open.
    fn join(&mut self, first: Line) -> Result<RawRecord, Bad> {
        let after_first = self.position;
        let number = first.number;
        if let Some(spans) = plain(first.text.as_bytes(), self.format.delimiter, self.width) {
            self.width = spans.len();
            let (cells, joined) = (Cells { text: None, spans }, Joined::new(first.text));
            return Ok(RawRecord { line: number, lines: 1, cells, joined });
        }
        self.parser.begin();
        let mut fed = self.parser.feed(&first.text);
        let mut joined = Joined::new(first.text);
        if let Fed::Whole = fed {
            return Ok(RawRecord { line: number, lines: 1, cells: self.parser.cells(), joined });
        }
        let first_bytes = joined.text.len();
        let mut further: Vec<Pulled> = Vec::new();
        while let Fed::Open = fed {
            if 1 + further.len() == RECORD_LINES_MAX || joined.bytes > RECORD_BYTES_MAX as u64 {
                break;
            }
            let Some(item) = self.pull() else { break };
            let more = if let Ok(Item::Line(line)) = &item { Some(line.text.clone()) } else { None };
            further.push(Pulled { item, position: self.position });
            let Some(text) = more else { break };
            joined.add(&text);
            fed = self.parser.feed(&text);
        }
        let lines = 1 + further.len() as u64;
        if let Fed::Whole = fed {
            self.further = Further { lines: further, after_first, first_bytes };
            return Ok(RawRecord { line: number, lines, cells: self.parser.cells(), joined });
        }
        further.into_iter().rev().for_each(|pulled| self.pending.push_front(pulled));
        self.position = after_first;
        let reason = match fed {
            Fed::TooManyColumns => format!("more than {COLUMNS_MAX} columns"),
            _ => format!("a quote opens and does not close within {RECORD_LINES_MAX} lines"),
        };
        joined.text.truncate(first_bytes);
        joined.bytes = first_bytes as u64;
        Err(joined.bad(number, reason))
    }
}

impl<R: Read> Iterator for Records<R> {
    type Item = Result<Result<Record, Bad>, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.advance().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

/// A record before its columns are known.
struct RawRecord {
    line: u64,
    lines: u64,
    cells: Cells,
    joined: Joined,
}

impl RawRecord {
    fn named(self, columns: &Arc<Columns>) -> Record {
        let Self { line, lines, cells, joined } = self;
        Record { line, lines, columns: Arc::clone(columns), cells, joined }
    }
}

impl Record {
    /// The cell under a column, empty or not; `None` where no column has the name.
    pub fn cell(&self, column: &str) -> Option<&str> {
        self.at(*self.columns.places.get(column)?)
    }

    /// The cell at a place, from 0; `None` beyond the record's end.
    pub fn at(&self, place: usize) -> Option<&str> {
        self.cells.at(&self.joined.text, place)
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.cells.spans.len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.cells.spans.is_empty()
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns.names
    }

    /// The record as it stood in the file, without its line end.
    pub fn text(&self) -> &str {
        &self.joined.text
    }

    /// All cells with their column names, in the file's order.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.names.iter().map(String::as_str).zip(self.cells.iter(&self.joined.text))
    }

    /// Quarantines the record, for a reason found later.
    pub fn bad(&self, reason: impl Into<String>) -> Bad {
        self.joined.clone().bad(self.line, reason.into())
    }
}

impl Cells {
    #[inline]
    fn at<'a>(&'a self, joined: &'a str, place: usize) -> Option<&'a str> {
        let (start, end) = *self.spans.get(place)?;
        self.text.as_deref().unwrap_or(joined).get(start as usize..end as usize)
    }

    fn iter<'a>(&'a self, joined: &'a str) -> impl Iterator<Item = &'a str> {
        (0..self.spans.len()).map(move |place| self.at(joined, place).unwrap_or_default())
    }
}

/// The cells of a line where none needs unquoting, as nearly all are: each bare, or in quotes with no quote inside.
/// `None` leaves the line to the machine.
fn plain(line: &[u8], delimiter: char, expected: usize) -> Option<Vec<(u32, u32)>> {
    // The machine would take a byte order mark off; lines of four gigabytes there are none.
    if line.first() == Some(&0xef) || u32::try_from(line.len()).is_err() {
        return None;
    }
    let delimiter = u8::try_from(delimiter).ok()?;
    let mut spans = Vec::with_capacity(expected);
    let mut at = 0;
    loop {
        let rest = line.get(at..)?;
        let (start, end, next) = if rest.first() == Some(&b'"') {
            let end = at + 1 + memchr::memchr(b'"', &rest[1..])?;
            (at + 1, end, end + 1)
        } else {
            let end = at + rest.iter().position(|b| *b == delimiter).unwrap_or(rest.len());
            (at, end, end)
        };
        // Both fit: the line does.
        spans.push((start as u32, end as u32));
        match line.get(next) {
            None => return Some(spans),
            Some(byte) if *byte == delimiter && spans.len() < COLUMNS_MAX => at = next + 1,
            Some(_) => return None,
        }
    }
}

impl Joined {
    fn new(text: String) -> Self {
        Self { bytes: text.len() as u64, text }
    }

    fn add(&mut self, text: &str) {
        self.bytes += 1 + text.len() as u64;
        self.text.push('\n');
        self.text.push_str(text);
    }

    fn bad(self, line: u64, reason: String) -> Bad {
        Bad { line, reason, snippet: snippet(self.text.as_bytes()), bytes: self.bytes }
    }
}

impl Columns {
    fn new(names: Vec<String>, required: &[String]) -> Result<Self, CsvError> {
        if names.len() > COLUMNS_MAX {
            return Err(CsvError::Columns(names.len()));
        }
        let unnamed =
            |(at, name): (usize, String)| if name.is_empty() { format!("column-{}", at + 1) } else { name };
        let names: Vec<String> = names.into_iter().enumerate().map(unnamed).collect();
        let mut places = HashMap::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            if places.insert(name.clone(), place).is_some() {
                return Err(CsvError::Duplicate(short(name)));
            }
        }
        match required.iter().find(|column| !places.contains_key(*column)) {
            Some(column) => Err(CsvError::Missing { column: column.clone(), present: names }),
            None => Ok(Self { names, places }),
        }
    }
}

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

fn listed(names: &[String]) -> String {
    let mut list = names.iter().take(LISTED_MAX).map(|name| short(name)).collect::<Vec<_>>().join(", ");
    if names.len() > LISTED_MAX {
        list.push_str(", …");
    }
    list
}

/// The machine that knows quotes; fed line by line.
#[derive(Debug)]
struct Parser {
    machine: csv_core::Reader,
    out: Vec<u8>,
    out_used: usize,
    ends: Vec<usize>,
    ends_used: usize,
}

/// Where the machine stands after a line.
enum Fed {
    Whole,
    Open,
    TooManyColumns,
}

impl Parser {
    fn new(delimiter: char) -> Self {
        let machine = ReaderBuilder::new()
            .delimiter(u8::try_from(delimiter).unwrap_or(b','))
            .terminator(Terminator::Any(b'\n'))
            .build();
        Self { machine, out: Vec::new(), out_used: 0, ends: vec![0; COLUMNS_MAX + 1], ends_used: 0 }
    }

    fn begin(&mut self) {
        self.machine.reset();
        self.out.clear();
        self.out_used = 0;
        self.ends_used = 0;
    }

    fn feed(&mut self, line: &str) -> Fed {
        // Unquoting never makes a text longer.
        self.out.resize(self.out_used + line.len() + 1, 0);
        for piece in [line.as_bytes(), b"\n"] {
            let mut left = piece;
            while !left.is_empty() {
                let (out, ends) = (&mut self.out[self.out_used..], &mut self.ends[self.ends_used..]);
                let (result, read, written, ended) = self.machine.read_record(left, out, ends);
                left = &left[read..];
                self.out_used += written;
                self.ends_used += ended;
                match result {
                    ReadRecordResult::InputEmpty => {}
                    ReadRecordResult::OutputFull => self.out.resize(self.out.len() + line.len() + 64, 0),
                    ReadRecordResult::OutputEndsFull => return Fed::TooManyColumns,
                    ReadRecordResult::Record if self.ends_used > COLUMNS_MAX => return Fed::TooManyColumns,
                    ReadRecordResult::Record | ReadRecordResult::End => return Fed::Whole,
                }
            }
        }
        Fed::Open
    }

    fn cells(&mut self) -> Cells {
        let out = self.out[..self.out_used].to_vec();
        let ends = &self.ends[..self.ends_used];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        // A record is far from four gigabytes long.
        let spans = starts.zip(ends).map(|(start, end)| (start as u32, *end as u32)).collect();
        // Delimiter and quote are ASCII, so cells of valid text are valid text.
        Cells { text: Some(String::from_utf8(out).unwrap_or_default()), spans }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lines::Encoding;

    fn records(text: &[u8], format: CsvFormat, required: &[&str]) -> Records<std::io::Cursor<Vec<u8>>> {
        let reader = std::io::Cursor::new(text.to_vec());
        Records::new(Lines::new(reader, Encoding::default()), format, required)
    }

    fn rows(text: &str) -> Vec<Result<Vec<String>, String>> {
        records(text.as_bytes(), CsvFormat::default(), &[])
            .map(|row| match row.unwrap() {
                Ok(record) => Ok(record.cells().map(|(_, cell)| cell.to_owned()).collect()),
                Err(bad) => Err(bad.to_string()),
            })
            .collect()
    }

    fn error(text: &str, required: &[&str]) -> String {
        records(text.as_bytes(), CsvFormat::default(), required).next().unwrap().unwrap_err().to_string()
    }

    #[test]
    fn quotes_commas_and_line_breaks_in_cells_are_read() {
        let text = "a,b\r\n\"x, \"\"y\"\"\",\"two\r\nlines\"\r\n1,\n";
        assert_eq!(
            rows(text),
            [Ok(vec!["x, \"y\"".into(), "two\nlines".into()]), Ok(vec!["1".into(), String::new()])]
        );
    }

    #[test]
    fn cells_are_found_by_column_name() {
        let row = records(b"b,a,\n1,2,3\n", CsvFormat::default(), &["a"]).next().unwrap().unwrap().unwrap();
        assert_eq!((row.line, row.lines), (2, 1));
        assert_eq!(
            (row.cell("a"), row.cell("b"), row.cell("column-3"), row.cell("c")),
            (Some("2"), Some("1"), Some("3"), None)
        );
    }

    #[test]
    fn a_record_of_another_width_is_bad_and_names_both_counts() {
        assert_eq!(
            rows("a,b\n1\n1,2,3\n1,2\n"),
            [
                Err("line 2: 1 columns where there should be 2 (1 bytes)".into()),
                Err("line 3: 3 columns where there should be 2 (5 bytes)".into()),
                Ok(vec!["1".into(), "2".into()]),
            ]
        );
    }

    #[test]
    fn a_quote_that_never_closes_costs_one_line() {
        let text = format!("a,b\n1,\"open\n{}", "3,4\n".repeat(100));
        let rows = rows(&text);
        assert_eq!(rows.len(), 101);
        assert_eq!(rows[0], Err("line 2: a quote opens and does not close within 64 lines (7 bytes)".into()));
        assert!(rows[1..].iter().all(Result::is_ok));
    }

    #[test]
    fn a_quote_open_at_the_end_of_the_file_costs_one_line() {
        assert_eq!(rows("a,b\n\"x,1\n3,4\n").iter().filter(|row| row.is_ok()).count(), 1);
    }

    #[test]
    fn a_record_joins_64_lines_and_no_more() {
        let joined = |breaks: usize| format!("a\n\"{}\"\n", "x\n".repeat(breaks));
        assert!(rows(&joined(63))[0].is_ok());
        assert!(rows(&joined(64))[0].is_err());
    }

    #[test]
    fn files_without_a_usable_header_are_refused() {
        assert_eq!(error("", &[]), "no header: the file has no line");
        assert_eq!(error("a,b,a\n", &[]), "column 'a' is there twice");
        assert_eq!(error("time,addr\n", &["ip"]), "column 'ip' is missing; there are: time, addr");
        assert!(error(&"x,".repeat(600), &[]).contains("more than 512 columns"));
        let format = CsvFormat { delimiter: '、', ..CsvFormat::default() };
        assert!(records(b"a\n", format, &[]).next().unwrap().is_err());
    }

    #[test]
    fn a_quote_that_should_not_be_there_costs_its_own_line() {
        let text = "a,b\n1,\"2\n\"3\",\"4\"\n7,8\n";
        assert_eq!(
            rows(text),
            [
                Err("line 2: 3 columns where there should be 2, read over 2 lines (4 bytes)".into()),
                Ok(vec!["3".to_owned(), "4".into()]),
                Ok(vec!["7".into(), "8".into()]),
            ]
        );
    }

    #[test]
    fn configured_columns_and_comments_are_honoured() {
        let format = CsvFormat {
            ragged: false,
            delimiter: ';',
            header: Header::Named(vec!["ip".into(), "t".into()]),
            comment: Some('#'),
        };
        let mut rows = records(b"# seized\n1;2\n\n\"#\";3\n", format, &["ip"]);
        let cells: Vec<_> =
            rows.by_ref().map(|row| row.unwrap().unwrap().cell("ip").unwrap().to_owned()).collect();
        assert_eq!(cells, ["1", "#"]);
        assert_eq!((rows.skipped(), rows.offset()), (2, 20));
    }

    #[test]
    fn a_record_of_512_columns_is_read() {
        let names: Vec<String> = (0..COLUMNS_MAX).map(|n| format!("c{n}")).collect();
        let text = format!("{}\n{}\n", names.join(","), vec!["1"; COLUMNS_MAX].join(","));
        assert_eq!(rows(&text)[0].as_ref().unwrap().len(), COLUMNS_MAX);
    }

    const PIECES: [&str; 9] = ["\"", ",", "\n", "a", "\r\n", "#", "\0", "あ", "\u{feff}"];

    proptest! {
        /// The quick way and the machine agree wherever the quick way has an opinion.
        #[test]
        fn plain_lines_are_read_as_the_machine_reads_them(line in "[ab\",;\r é\u{feff}]{0,12}", semicolon: bool) {
            let delimiter = if semicolon { ';' } else { ',' };
            if let Some(spans) = plain(line.as_bytes(), delimiter, 0).filter(|_| !line.is_empty()) {
                let quick: Vec<_> = Cells { text: None, spans }.iter(&line).map(str::to_owned).collect();
                let mut parser = Parser::new(delimiter);
                parser.begin();
                prop_assert!(matches!(parser.feed(&line), Fed::Whole));
                let slow: Vec<_> = parser.cells().iter("").map(str::to_owned).collect();
                prop_assert_eq!(quick, slow);
            }
        }

        #[test]
        fn every_physical_line_is_a_record_or_bad_or_passed_over(
            text in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..200),
        ) {
            let text = text.concat();
            let header = Header::Named(vec!["a".into(), "b".into()]);
            let format = CsvFormat { comment: Some('#'), header, ..CsvFormat::default() };
            let physical = Lines::new(text.as_bytes(), Encoding::default()).count() as u64;
            let mut rows = records(text.as_bytes(), format, &[]);
            let mut accounted = 0;
            // A record of the wrong width may span lines; count those by the position it leaves behind.
            let mut before = 0;
            while let Some(row) = rows.next() {
                let skipped = rows.skipped();
                let spanned = &text.as_bytes()[before..rows.offset() as usize];
                let breaks = spanned.iter().filter(|byte| **byte == b'\n').count() as u64;
                let lines = breaks + u64::from(!spanned.ends_with(b"\n"));
                if let Ok(Ok(record)) = row {
                    prop_assert!(record.lines <= lines);
                }
                accounted += lines;
                before = rows.offset() as usize;
                prop_assert!(skipped <= accounted);
            }
            let rest = &text.as_bytes()[before..];
            accounted += rest.iter().filter(|byte| **byte == b'\n').count() as u64;
            accounted += u64::from(!rest.is_empty() && !rest.ends_with(b"\n"));
            prop_assert_eq!(rows.offset(), text.len() as u64);
            prop_assert!(accounted == physical || text == "\u{feff}", "{} of {}", accounted, physical);
        }

        #[test]
        fn what_was_quoted_is_read_back(
            cells in prop::collection::vec(prop::collection::vec("[a\",\n é]{0,8}", 3), 1..8),
        ) {
            let quote = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quote).collect::<Vec<_>>().join(",");
            let text = format!("x,y,z\n{}\n", cells.iter().map(line).collect::<Vec<_>>().join("\n"));
            let read: Vec<_> = rows(&text).into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(read, cells);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            records(&bytes, CsvFormat::default(), &[]).for_each(drop);
        }
    }
}
