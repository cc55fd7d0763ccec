//! A day's minutes, sender by sender. Whoever counts senders has to tell them apart, and a day of a /16 has so many pairs of sender and port
//! that no table of them fits into memory; but rows lie sorted by sender within each row group. So all row groups are read at once and put
//! together in the order of senders, as a merge sort does, and what is known of one sender is forgotten with it.
//!
//! ```text
//!   row group ─rows of one version of IP─▶ run ─┐
//!   row group ────────────────────────────▶ run ─┼─ heap: the least sender first ─▶ Seen, Seen, Seen …
//!   row group ────────────────────────────▶ run ─┘
//! ```
//!
//! A batch has its rows in the order of addresses, where all of IPv4 comes before IPv6; a joined file has them in the order of bytes, where it does not. Of one
//! version both orders are the same: so a day is gone through twice, for IPv6 only where there is any.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, AsArray, BinaryArray, Int32Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array,
    UInt16Array, UInt32Array,
};
use datafusion::arrow::datatypes::{
    DataType, Int32Type, Schema, TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type,
};
use jiff::civil::Date;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::query::address_of;
use crate::{Lake, LakeError, Sensor, Table, files};

/// Most runs that are read at once: ten days of a /16 have as many. Each holds a page of each column, half a megabyte in all.
const RUNS_MAX: usize = 2048;
/// Most files, of which each is open: a joined day has one for each sensor.
const FILES_MAX: usize = 512;
/// Rows that become columns at once.
const CHUNK_ROWS: usize = 4096;
const MILLISECONDS_OF_MINUTE: i64 = 60_000;

/// A row of `minutes`, as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// From where.
    pub source: IpAddr,
    /// By whom.
    pub sensor: &'a Sensor,
    /// Which minute, counted since 1970 (UTC).
    pub minute: i64,
    /// Protocol number of IP.
    pub protocol: u8,
    /// To which port; none where there are no ports.
    pub destination_port: Option<u16>,
    /// What the sender is.
    pub class: &'a str,
    /// By which tool the packets were made, where that is known.
    pub tool: Option<&'a str>,
    /// Country of the sender, where it is known.
    pub country: Option<&'a str>,
    /// How many packets.
    pub packets: u32,
}

impl Lake {
    /// Goes through a day's minutes in the order of their senders: all rows of one follow each other. Blocks.
    ///
    /// # Errors
    /// What `what` says, or [`LakeError::Runs`] for a day whose files were not joined, [`LakeError::Order`] for files that are not ours.
    pub fn by_sender<E: From<LakeError>>(
        &self,
        day: Date,
        what: impl FnMut(&Seen<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let readers = crate::readers(&self.folder)?;
        readers.lock_shared().map_err(LakeError::io(&self.folder))?;
        each(&self.folder, day, what)
    }
}

/// As [`Lake::by_sender`], for whoever sees to it that nothing is removed meanwhile.
pub(crate) fn each<E: From<LakeError>>(
    lake: &Path,
    day: Date,
    mut what: impl FnMut(&Seen<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let parts = parts(lake, day)?;
    let mut again = Vec::new();
    let all: Vec<(usize, usize)> = parts
        .iter()
        .enumerate()
        .flat_map(|(at, part)| (0..part.groups()).map(move |group| (at, group)))
        .collect();
    for (version, groups) in [(Version::Four, Some(all)), (Version::Six, None)] {
        let groups = groups.unwrap_or_else(|| std::mem::take(&mut again));
        merge(&parts, &groups, version, &mut again, &mut what)?;
    }
    Ok(())
}

/// Gives the rows of one version in the order of senders; notes which row groups have rows of the other.
fn merge<E: From<LakeError>>(
    parts: &[Part],
    groups: &[(usize, usize)],
    version: Version,
    others: &mut Vec<(usize, usize)>,
    what: &mut impl FnMut(&Seen<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut runs = Vec::with_capacity(groups.len());
    let mut next = BinaryHeap::with_capacity(groups.len());
    for (part, group) in groups {
        let mut run = Run::new(&parts[*part], *group, version)?;
        if run.advance()? {
            next.push(Reverse((run.source, runs.len())));
        }
        runs.push(run);
    }
    while let Some(Reverse((source, at))) = next.pop() {
        let run = &mut runs[at];
        loop {
            what(&run.seen()?)?;
            if !run.advance()? {
                break;
            }
            if run.source != source {
                next.push(Reverse((run.source, at)));
                break;
            }
        }
    }
    others.extend(runs.iter().zip(groups).filter(|(run, _)| run.has_others).map(|(_, group)| *group));
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Four,
    Six,
}

/// A file of the day.
struct Part {
    sensor: Sensor,
    path: PathBuf,
    file: Shared,
    metadata: ArrowReaderMetadata,
}

impl Part {
    fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }
}

fn parts(lake: &Path, day: Date) -> Result<Vec<Part>, LakeError> {
    let mut found = Vec::new();
    for partition in files::partitions(lake, Table::Minutes, day)? {
        for file in partition.files(lake)? {
            found.push((partition.sensor.clone(), file.path));
        }
    }
    if found.len() > FILES_MAX {
        return Err(LakeError::Runs { runs: found.len(), max: FILES_MAX });
    }
    let options = ArrowReaderOptions::new().with_schema(Arc::new(by_word()));
    let parts = found.into_iter().map(|(sensor, path)| {
        let file = Shared(Arc::new(fs::File::open(&path).map_err(LakeError::io(&path))?));
        let metadata = ArrowReaderMetadata::load(&file, options.clone())?;
        Ok(Part { sensor, path, file, metadata })
    });
    let parts = parts.collect::<Result<Vec<Part>, LakeError>>()?;
    let runs = parts.iter().map(Part::groups).sum();
    if runs > RUNS_MAX { Err(LakeError::Runs { runs, max: RUNS_MAX }) } else { Ok(parts) }
}

/// The columns, with each word of a row group there once.
fn by_word() -> Schema {
    let word = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = Table::Minutes.schema();
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => field.as_ref().clone().with_data_type(word()),
        _ => field.as_ref().clone(),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

/// A file that many read from, for it would be open as often otherwise.
#[derive(Clone)]
struct Shared(Arc<fs::File>);

impl Length for Shared {
    fn len(&self) -> u64 {
        Length::len(&*self.0)
    }
}

impl ChunkReader for Shared {
    type T = <fs::File as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.0.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.0.get_bytes(start, length)
    }
}

/// The rows of a row group, of one version.
struct Run<'a> {
    part: &'a Part,
    reader: ParquetRecordBatchReader,
    version: Version,
    rows: Option<Rows>,
    at: usize,
    /// The sender at hand, as a number.
    source: u128,
    has_others: bool,
}

impl<'a> Run<'a> {
    fn new(part: &'a Part, group: usize, version: Version) -> Result<Self, LakeError> {
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(part.file.clone(), part.metadata.clone());
        let columns = ProjectionMask::columns(
            builder.parquet_schema(),
            ["minute", "source", "protocol", "destination_port", "class", "tool", "country", "packets"],
        );
        let reader = builder
            .with_row_groups(vec![group])
            .with_projection(columns)
            .with_batch_size(CHUNK_ROWS)
            .build()?;
        Ok(Self { part, reader, version, rows: None, at: 0, source: 0, has_others: false })
    }

    /// Goes to the next row, if there is one.
    fn advance(&mut self) -> Result<bool, LakeError> {
        loop {
            let Some(rows) = self.rows.as_ref().filter(|rows| self.at < rows.source.len()) else {
                let Some(batch) = self.reader.next().transpose()? else { return Ok(false) };
                (self.rows, self.at) = (Some(Rows::new(&batch).ok_or_else(|| self.disorder())?), 0);
                continue;
            };
            self.at += 1;
            let source = match (self.version, rows.source.value(self.at - 1)) {
                (Version::Four, bytes) if bytes.len() == 4 => number(bytes),
                (Version::Six, bytes) if bytes.len() == 16 => number(bytes),
                _ => {
                    self.has_others = true;
                    continue;
                }
            };
            if source < self.source {
                return Err(self.disorder());
            }
            self.source = source;
            return Ok(true);
        }
    }

    fn disorder(&self) -> LakeError {
        LakeError::Order(self.part.path.clone())
    }

    /// The row at hand.
    fn seen(&self) -> Result<Seen<'_>, LakeError> {
        let row = self.rows.as_ref().zip(self.at.checked_sub(1));
        let seen = row.and_then(|(rows, at)| rows.seen(at, &self.part.sensor));
        seen.ok_or_else(|| self.disorder())
    }
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Some rows, as columns.
struct Rows {
    minute: TimestampMillisecondArray,
    source: BinaryArray,
    protocol: UInt8Array,
    port: UInt16Array,
    class: Words,
    tool: Words,
    country: Words,
    packets: UInt32Array,
}

impl Rows {
    /// Nothing, if the columns are others.
    fn new(batch: &RecordBatch) -> Option<Self> {
        let column = |name: &str| batch.column_by_name(name);
        Some(Self {
            minute: column("minute")?.as_primitive_opt::<TimestampMillisecondType>()?.clone(),
            source: column("source")?.as_binary_opt::<i32>()?.clone(),
            protocol: column("protocol")?.as_primitive_opt::<UInt8Type>()?.clone(),
            port: column("destination_port")?.as_primitive_opt::<UInt16Type>()?.clone(),
            class: Words::new(column("class")?)?,
            tool: Words::new(column("tool")?)?,
            country: Words::new(column("country")?)?,
            packets: column("packets")?.as_primitive_opt::<UInt32Type>()?.clone(),
        })
    }

    fn seen<'a>(&'a self, at: usize, sensor: &'a Sensor) -> Option<Seen<'a>> {
        Some(Seen {
            source: address_of(self.source.value(at))?,
            sensor,
            minute: self.minute.value(at).div_euclid(MILLISECONDS_OF_MINUTE),
            protocol: self.protocol.value(at),
            destination_port: self.port.is_valid(at).then(|| self.port.value(at)),
            class: self.class.of(at)?,
            tool: self.tool.of(at),
            country: self.country.of(at),
            packets: self.packets.value(at),
        })
    }
}

/// A column of words.
struct Words {
    which: Int32Array,
    words: StringArray,
}

impl Words {
    fn new(column: &dyn Array) -> Option<Self> {
        let column = column.as_dictionary_opt::<Int32Type>()?;
        Some(Self { which: column.keys().clone(), words: column.values().as_string_opt::<i32>()?.clone() })
    }

    fn of(&self, at: usize) -> Option<&str> {
        let word = usize::try_from(self.which.is_valid(at).then(|| self.which.value(at))?).ok()?;
        (word < self.words.len()).then(|| self.words.value(word))
    }
}
