//! History: every packet's headers for some days, and counts by the minute for a year, as Parquet in a folder, and SQL over them.
//!
//! ```text
//!   rows ──Writer::batch──▶ LAKE/TABLE/day=…/sensor=…/NUMBERS.parquet ◀──Lake::query── SELECT … ──▶ Answer ──▶ table, CSV, JSON, Parquet
//!              compact ─▶ joins a day's files      forget_before ─▶ removes days
//! ```
//!
//! The loop keeps what it needs in its database and forgets the rest within the hour. Somebody who asks a month later who was scanning
//! that port before the campaign had a name needs the rest, and it is a hundred times as much: so it lies in files that any tool for
//! Parquet reads, packed by column, and the engine that reads them here (DataFusion) runs in the process or, when one machine is not
//! enough, on a cluster of the same engine ([`Engine`]).
//!
//! In reading order: `rows` (what a row is), `encode` (how columns are packed), `files` (where they are and what they are called),
//! `write` (batches), `compact` (joining and forgetting), `senders` (a day's minutes, sender by sender), `counts` (how many senders each
//! port and tool had), `query` (SQL: what may be asked, which files are read, the answer), `output` (an answer as text).
//!
//! **Invariant:** a batch is seen whole or not at all, and once. **Invariant:** no SQL changes anything or reads anything but the
//! tables. **Invariant:** a day's counts are what its minutes say, or are not there.

#[cfg(feature = "cluster")]
pub mod cluster;
mod compact;
mod counts;
mod encode;
mod error;
mod files;
mod output;
mod query;
mod rows;
mod senders;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::datatypes::SchemaRef;
use jiff::civil::Date;

pub use datafusion::arrow::array::RecordBatch;
pub use error::LakeError;
pub use files::{Numbers, Partition, SENSOR_BYTES_MAX, Sensor};
pub use output::Format;
pub use query::{Answer, Engine, Limits, SQL_BYTES_MAX};
pub use rows::{Kind, MinuteRow, PacketRow, Row};
pub use senders::Seen;
pub use write::{Batch, DAYS_MAX, Writer, Written};

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Headers, packet by packet.
    Packets,
    /// How many packets of a kind a sender sent within a minute.
    Minutes,
    /// How many senders and packets each port and tool had on a day.
    Counts,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Packets, Self::Minutes, Self::Counts];

    /// Its name, in SQL and as a folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Minutes => "minutes",
            Self::Counts => "counts",
        }
    }

    /// The columns in its files; `day` is in the names of the folders, and so is `sensor`, but for counts.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Packets => rows::packets(),
            Self::Minutes => rows::minutes(),
            Self::Counts => rows::counts(),
        }
    }

    /// The order of rows within a row group.
    fn order(self) -> &'static [&'static str] {
        match self {
            Self::Packets => &["source", "at", "at_ns"],
            Self::Minutes => {
                &["source", "protocol", "destination_port", "icmp_type", "icmp_code", "flags", "minute"]
            }
            Self::Counts => &["sensor", "protocol", "destination_port", "tool"],
        }
    }
}

/// A folder of history.
#[derive(Clone, Debug)]
pub struct Lake {
    folder: PathBuf,
}

impl Lake {
    /// Opens a lake, which may be new. Nothing in it is changed.
    ///
    /// # Errors
    /// When the folder is not there and cannot be made.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, LakeError> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder).map_err(LakeError::io(folder))?;
        // The engine knows files by whole paths.
        let folder = folder.canonicalize().map_err(LakeError::io(folder))?;
        readers(&folder)?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The right to write, which one process has at a time. Removes what a killed writer left.
    ///
    /// # Errors
    /// [`LakeError::Busy`] when another has it.
    pub fn writer(&self) -> Result<Writer, LakeError> {
        Writer::open(self)
    }

    /// Which days of which sensors there are, by table and day, each with how many bytes.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn partitions(&self) -> Result<Vec<(Partition, u64)>, LakeError> {
        let all = files::all_partitions(&self.folder)?.into_iter().map(|partition| {
            let files = partition.files(&self.folder)?;
            Ok((partition, files.iter().map(|file| file.bytes).sum()))
        });
        all.collect()
    }

    /// The days whose senders are counted, each with how many bytes the counts have.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn counted(&self) -> Result<Vec<(Date, u64)>, LakeError> {
        let counted = files::counted(&self.folder)?.into_iter();
        Ok(counted
            .map(|day| (day, fs::metadata(files::counts_file(&self.folder, day)).map_or(0, |it| it.len())))
            .collect())
    }
}

/// The file that whoever reads holds a shared lock of. It is made on the first occasion; who may not write reads it as it is.
fn readers(folder: &Path) -> Result<fs::File, LakeError> {
    let path = folder.join(".readers");
    let open = match fs::File::open(&path) {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
            fs::File::options().create(true).truncate(false).write(true).open(&path)
        }
        opened => opened,
    };
    open.map_err(LakeError::io(&path))
}
