//! Records of comma-separated text (RFC 4180) over [`Lines`], by column name.
//!
//! One quote that is never closed would swallow the rest of a file. So a record may span at most
//! [`RECORD_LINES_MAX`] physical lines and [`RECORD_BYTES_MAX`] bytes; where it does not end by then, only
//! the line on which it began is quarantined, and reading resumes at the one after it.

mod cells;

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::sync::Arc;

use noroshi_model::intake::Bad;

use self::cells::{Cells, Fed, Parser, plain};
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
        if let Some(cells) = plain(first.text.as_bytes(), self.format.delimiter, self.width) {
            self.width = cells.len();
            let joined = Joined::new(first.text);
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
        self.cells.len()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.cells.len() == 0
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

#[cfg(test)]
mod tests;
