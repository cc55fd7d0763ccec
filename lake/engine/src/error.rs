//! What can go wrong, by what to do next.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;

use crate::Numbers;
use crate::files::SENSOR_BYTES_MAX;
use crate::write::DAYS_MAX;

/// What can go wrong, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The disk: make room or see to the rights, and do it again.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A name that cannot be a sensor's: choose another.
    #[error(
        "a sensor is called by at most {SENSOR_BYTES_MAX} lower-case letters, digits, '-', '_' and '.', beginning with a letter or digit"
    )]
    Sensor,
    /// Numbers of batches that run backwards, or are none.
    #[error("batches are numbered from first to last, not from {first} to {last}")]
    Numbers {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// Another process writes: leave it to that one, or end it.
    #[error("another process writes into this lake")]
    Busy,
    /// The numbers belong to other batches: give numbers that were not used.
    #[error("batch {asked} cannot be written: {there} is there, and covers a part of it or more")]
    Overlap {
        /// What was to be written.
        asked: Numbers,
        /// What is in the way.
        there: Numbers,
    },
    /// Make smaller batches.
    #[error("a batch may touch {DAYS_MAX} days at most")]
    TooManyDays,
    /// A time that no calendar has.
    #[error("a time that is on no day of the calendar")]
    NoDay,
    /// Too many runs of sorted rows to go through at once: join the day's files, or leave it.
    #[error("the day lies in {runs} parts, of which {max} at most can be put in order: join its files")]
    Runs {
        /// How many there are.
        runs: usize,
        /// How many there may be.
        max: usize,
    },
    /// Rows that are not in the order in which this program writes them, or are no rows of ours: ask in SQL, which does not mind.
    #[error("the rows of {} are not in the order of their senders", .0.display())]
    Order(PathBuf),
    /// More ports and tools than are counted.
    #[error("more than {0} ports and tools")]
    Keys(usize),
    /// Not SQL, or names what is not there: correct it.
    #[error("{}{message}", .place.map_or_else(String::new, |(line, column)| format!("line {line}, column {column}: ")))]
    Sql {
        /// What is wrong.
        message: String,
        /// Line and column, from 1, where they are known.
        place: Option<(u64, u64)>,
    },
    /// Something else than a question. The lake is filled and emptied by the program, never by SQL.
    #[error("only one SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE is answered, not {0}")]
    NotAQuestion(String),
    /// It took too long: ask for fewer days, or give it more time.
    #[error("no answer within {} s: ask for fewer days, or give it more time", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It needs more memory than it may have: ask for less, or give it more.
    #[error("the query needs more memory than it may have: {0}")]
    Memory(String),
    /// A file was removed while it was being read: ask again.
    #[error("what the query reads was forgotten meanwhile: ask again ({0})")]
    Gone(String),
    /// A file is no Parquet, or a damaged one.
    #[error("Parquet: {0}")]
    Parquet(#[from] ParquetError),
    /// Columns that do not fit each other.
    #[error("Arrow: {0}")]
    Arrow(#[from] ArrowError),
    /// The engine failed in a way that is not the question's fault.
    #[error("the query failed: {0}")]
    Engine(String),
}

impl LakeError {
    /// For `map_err`: what went wrong with a path.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

impl From<DataFusionError> for LakeError {
    fn from(error: DataFusionError) -> Self {
        let place =
            error.diagnostic().and_then(|said| said.span).map(|span| (span.start.line, span.start.column));
        match error.find_root() {
            DataFusionError::SQL(said, _) => sql(&said.to_string(), place),
            said @ (DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)) => sql(&said.strip_backtrace(), place),
            DataFusionError::ResourcesExhausted(said) => Self::Memory(said.clone()),
            said => {
                let text = error.strip_backtrace();
                if is_missing(said) { Self::Gone(text) } else { Self::Engine(text) }
            }
        }
    }
}

/// A fault of the SQL. The parser puts the place at the end of its sentence; ours goes first, where it is looked for.
fn sql(said: &str, place: Option<(u64, u64)>) -> LakeError {
    let said = said.trim_start_matches("sql parser error: ").trim_start_matches("Error during planning: ");
    let said = said.trim_start_matches("ParserError(\"").trim_end_matches("\")");
    let (message, parsed) = match said.rsplit_once(" at Line: ") {
        Some((message, rest)) => (message, rest.split_once(", Column: ")),
        None => (said, None),
    };
    let parsed = parsed.and_then(|(line, column)| Some((line.parse().ok()?, column.parse().ok()?)));
    LakeError::Sql { message: message.to_owned(), place: place.or(parsed) }
}

/// Whether a file was not there, which the engine wraps in several of its own.
fn is_missing(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if io == Some(io::ErrorKind::NotFound) || error.to_string().contains("No such file") {
            return true;
        }
        next = error.source();
    }
    false
}
