//! Reports of others → flat events.
//!
//! ```text
//!   bytes ──▶ Feed (a map, or code) ──▶ Sink: event │ filtered │ bad
//! ```
//!
//! A parser is data where it can be: a [`map`] says which column is which key, [`plan`] makes it ready for a header, and
//! [`table`] or [`objects`] run it over CSV and JSON. Only what no map can say is code, one file a source, in
//! [`formats`]. [`kind`] and [`convert`] hold every value to the type that IntelMQ's data harmonisation gives its key.
//! [`bundle`] is the collection of maps, ours and the operator's; [`open`] finds the parser for a report.
//!
//! **Invariant:** a bad record is a value with its place and reason, and reading goes on. **Invariant:** memory does not
//! depend on the length of a report.

pub mod bundle;
pub mod convert;
pub mod formats;
pub mod fuzzy;
pub mod kind;
pub mod map;
pub mod n6;
pub mod objects;
pub mod plan;
pub mod propose;
pub mod shadowserver;
pub mod table;

use jiff::Timestamp;
use noroshi_model::{Bad, Fields};
use serde_json::{Map, Value};

pub use bundle::Bundle;

pub use noroshi_wire::Input;

/// What is known of a report before it is read.
#[derive(Clone, Debug)]
pub struct Report {
    /// The format, by the name of its map or parser.
    pub format: String,
    /// `feed.name` of its events.
    pub feed_name: String,
    /// `feed.url`, where it was fetched.
    pub feed_url: Option<String>,
    /// The file's name, by which families of reports are told apart.
    pub file_name: Option<String>,
    /// Parameters of the parser.
    pub params: Map<String, Value>,
    /// When it was read.
    pub now: Timestamp,
}

impl Report {
    /// A parameter that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Value::as_str)
    }

    /// A parameter that is yes or no.
    pub fn truth(&self, name: &str, default: bool) -> bool {
        self.params.get(name).and_then(Value::as_bool).unwrap_or(default)
    }
}

/// Takes what a report turns out to hold.
pub trait Sink {
    /// An event, from the record that begins on `line` (from 1).
    fn event(&mut self, line: u64, fields: Fields<'_>);
    /// A record that is left out by a rule of the format.
    fn filtered(&mut self, line: u64);
    /// A record that cannot be used.
    fn bad(&mut self, bad: Bad);
}

/// A report being read.
pub trait Feed {
    /// Reads one record and hands over what it holds; false at the end.
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError>;

    /// What has to stand before a single record for it to be read alone: the header of a CSV.
    fn head(&self) -> Option<String> {
        None
    }
}

/// Why a report as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// No map and no parser of this name.
    #[error("no format is called '{0}'; `noroshi feed formats` lists them")]
    Format(String),
    /// The report does not say what it is.
    #[error("{0}")]
    Report(String),
    /// A parameter that the parser cannot work with.
    #[error("parameter '{name}': {reason}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The stream failed, or has no records.
    #[error(transparent)]
    Csv(#[from] noroshi_wire::CsvError),
    /// The stream failed.
    #[error(transparent)]
    Lines(#[from] noroshi_wire::LinesError),
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Finds the parser of a report.
pub fn open(bundle: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    if let Some(open) = formats::find(&report.format) {
        return open(bundle, report, input);
    }
    match bundle.map(&report.format) {
        Some(map) => mapped(map, None, input),
        None => Err(FeedError::Format(report.format.clone())),
    }
}

/// Reads a report through a map.
pub fn mapped(map: &map::MapFile, report: Option<&str>, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    mapped_as(map, map.mapping_of(report), input)
}

/// Reads a report of a family of which the mapping is known.
pub fn mapped_as(
    map: &map::MapFile,
    mapping: map::Mapping,
    input: Input,
) -> Result<Box<dyn Feed>, FeedError> {
    Ok(match map.read.shape {
        map::Shape::Csv => Box::new(table::Table::new(&map.read, mapping, input)),
        map::Shape::Json => Box::new(objects::Objects::new(&map.read, mapping, input)),
    })
}
