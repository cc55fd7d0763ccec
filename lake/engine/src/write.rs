//! Filling the lake. A batch becomes one file per day it touches, which is there whole or not at all; done again, it replaces itself.
//!
//! ```text
//!   rows ─push─▶ at most a row group in memory ─sorted─▶ hidden draft ─commit: fsync, rename─▶ NUMBERS.parquet
//! ```
//!
//! **Invariant:** what `commit` returned `Ok` for is on the disk, once. The caller remembers how far it came; after a crash it writes
//! the batch that was under way again, with the same numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use datafusion::arrow::array::RecordBatch;
use jiff::Span;
use jiff::civil::Date;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;

use crate::encode::{self, ROW_GROUP_ROWS};
use crate::files::{self, Draft, Partition};
use crate::{Lake, LakeError, Numbers, Row, Sensor, Table, compact, counts};

/// Most days of one batch, each an open file: a capture with a broken clock has more.
pub const DAYS_MAX: usize = 64;
/// Rows that become columns at once.
const CHUNK_ROWS: usize = 1 << 16;
/// The note in a file that says what it holds.
pub(crate) const NOTE_TABLE: &str = "noroshi.table";

/// The right to write into a lake; one process has it at a time. It goes with the process, however that ends.
#[derive(Debug)]
pub struct Writer {
    pub(crate) folder: PathBuf,
    _lock: fs::File,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows of the batch.
    pub rows: u64,
    /// Bytes of the files that were written for it.
    pub bytes: u64,
    /// How many files that were.
    pub files: u64,
}

impl Writer {
    /// Takes the lock, and removes what a killed writer left.
    pub(crate) fn open(lake: &Lake) -> Result<Self, LakeError> {
        let folder = lake.folder().to_owned();
        let path = folder.join(".writer");
        let lock = fs::File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(LakeError::io(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(LakeError::Busy),
            Err(fs::TryLockError::Error(error)) => return Err(LakeError::io(&path)(error)),
        }
        let writer = Self { folder, _lock: lock };
        files::remove_drafts(&writer.folder)?;
        compact::remove_forgotten(&writer.folder)?;
        compact::sweep(&writer.folder)?;
        Ok(writer)
    }

    /// Begins a batch of a sensor. Nothing of it is seen before [`Batch::commit`].
    ///
    /// The numbers are of whatever the caller counts: batches, blocks of a capture. A sensor's numbers of a table rise. Those of a batch
    /// that is there replace it; those that lie within what is there, or was joined, write nothing, because their rows are there.
    pub fn batch<R: Row>(&self, sensor: Sensor, numbers: Numbers) -> Batch<'_, R> {
        Batch {
            writer: self,
            sensor,
            numbers,
            days: BTreeMap::new(),
            buffered: 0,
            written: Written::default(),
        }
    }

    /// A number behind all that a sensor has in either table, for whoever counts the lake's own batches.
    ///
    /// # Errors
    /// When a folder cannot be listed, or no number is left.
    pub fn next_number(&self, sensor: &Sensor) -> Result<u64, LakeError> {
        let mut next = 1;
        for partition in files::all_partitions(&self.folder)? {
            if partition.sensor == *sensor
                && let Some(last) =
                    partition.files(&self.folder)?.iter().map(|file| file.numbers.last()).max()
            {
                next = next.max(last.checked_add(1).ok_or(LakeError::Numbers { first: last, last })?);
            }
        }
        Ok(next)
    }

    /// Joins a day's small files, table by table and sensor by sensor, into one each. For days that are over: a later batch is a file of
    /// its own until the next time.
    ///
    /// Readers see either the small files or the one, and those that are reading read on. Returns how many files were joined.
    ///
    /// # Errors
    /// When a file cannot be read or the new one cannot be written; then nothing has changed.
    pub fn compact(&self, day: Date) -> Result<u64, LakeError> {
        let mut joined = 0;
        for table in Table::ALL {
            for partition in files::partitions(&self.folder, table, day)? {
                joined += compact::join(&self.folder, &partition)?;
            }
        }
        compact::sweep(&self.folder)?;
        Ok(joined)
    }

    /// Counts the senders of each port and tool on a day, if there are minutes of it that were not counted yet; returns of how many keys. For
    /// days that are over and joined: minutes that come later take the counts away until the next time.
    ///
    /// # Errors
    /// When a file cannot be read or the counts cannot be written; [`LakeError::Runs`] and [`LakeError::Keys`] when there is too much to
    /// count. Then questions are answered from the minutes, as before.
    pub fn count(&self, day: Date) -> Result<Option<u64>, LakeError> {
        counts::count(&self.folder, day)
    }

    /// Removes all days of a table before a day, whoever is reading them, and returns which.
    ///
    /// # Errors
    /// When the disk does not let go of one; those before are gone.
    pub fn forget_before(&self, table: Table, day: Date) -> Result<Vec<Date>, LakeError> {
        compact::forget_before(&self.folder, table, day)
    }
}

/// Rows on their way into files. Dropped before [`Batch::commit`], it leaves nothing.
pub struct Batch<'a, R> {
    writer: &'a Writer,
    sensor: Sensor,
    numbers: Numbers,
    days: BTreeMap<i64, Day<R>>,
    buffered: usize,
    written: Written,
}

struct Day<R> {
    rows: Vec<R>,
    file: Option<DayFile>,
    /// It was joined into a larger file already.
    is_there: bool,
}

impl<R: Row> Batch<'_, R> {
    /// Adds a row. At most a row group of rows is held; what is more goes into the drafts.
    ///
    /// # Errors
    /// When a draft cannot be written, the numbers are others', or the rows are of too many days.
    pub fn push(&mut self, row: R) -> Result<(), LakeError> {
        let number = row.day();
        if !self.days.contains_key(&number) {
            self.begin(number)?;
        }
        self.written.rows += 1;
        let Some(day) = self.days.get_mut(&number) else { return Ok(()) };
        if day.is_there {
            return Ok(());
        }
        day.rows.push(row);
        self.buffered += 1;
        if self.buffered < ROW_GROUP_ROWS {
            return Ok(());
        }
        let fullest = self.days.iter().max_by_key(|(_, day)| day.rows.len()).map(|(number, _)| *number);
        fullest.map_or(Ok(()), |number| self.flush(number))
    }

    /// Makes the batch durable and visible.
    ///
    /// # Errors
    /// When a file cannot be written. Days before the one that failed may be there; writing the batch again is right.
    pub fn commit(mut self) -> Result<Written, LakeError> {
        let numbers: Vec<i64> = self.days.keys().copied().collect();
        for number in &numbers {
            self.flush(*number)?;
        }
        // All drafts are whole before the first gets its name.
        let files: Vec<(i64, DayFile)> =
            self.days.into_iter().filter_map(|(number, day)| Some((number, day.file?))).collect();
        for (number, file) in files {
            if R::TABLE == Table::Minutes {
                counts::outdated(&self.writer.folder, date(number)?)?;
            }
            self.written.bytes += file.finish()?;
            self.written.files += 1;
        }
        Ok(self.written)
    }

    fn begin(&mut self, number: i64) -> Result<(), LakeError> {
        if self.days.len() == DAYS_MAX {
            return Err(LakeError::TooManyDays);
        }
        let partition = self.partition(number)?;
        let is_there = compact::is_there(&self.writer.folder, &partition, self.numbers)?;
        self.days.insert(number, Day { rows: Vec::new(), file: None, is_there });
        Ok(())
    }

    fn partition(&self, number: i64) -> Result<Partition, LakeError> {
        Ok(Partition { table: R::TABLE, day: date(number)?, sensor: self.sensor.clone() })
    }

    /// Writes what is held of a day as a row group.
    fn flush(&mut self, number: i64) -> Result<(), LakeError> {
        let partition = self.partition(number)?;
        let Some(day) = self.days.get_mut(&number) else { return Ok(()) };
        if day.rows.is_empty() {
            return Ok(());
        }
        let file = match &mut day.file {
            Some(file) => file,
            none => none.insert(DayFile::begin(&self.writer.folder, &partition, self.numbers, &[])?),
        };
        day.rows.sort_unstable_by(R::order);
        for chunk in day.rows.chunks(CHUNK_ROWS) {
            file.write(&R::columns(chunk)?)?;
        }
        file.end_row_group()?;
        self.buffered -= day.rows.len();
        day.rows.clear();
        Ok(())
    }
}

fn date(number: i64) -> Result<Date, LakeError> {
    let since = Span::new().try_days(number).ok();
    let day = since.and_then(|since| Date::constant(1970, 1, 1).checked_add(since).ok());
    day.filter(|day| day.year() >= 1).ok_or(LakeError::NoDay)
}

/// A file of a partition while it is written.
pub(crate) struct DayFile {
    draft: Draft,
    parquet: ArrowWriter<fs::File>,
}

impl DayFile {
    /// A day's counts.
    pub(crate) fn of_counts(lake: &Path, day: Date) -> Result<Self, LakeError> {
        Self::new(Draft::of_counts(lake, day)?, Table::Counts, &[])
    }

    pub(crate) fn begin(
        lake: &Path,
        partition: &Partition,
        numbers: Numbers,
        notes: &[(&str, String)],
    ) -> Result<Self, LakeError> {
        Self::new(Draft::begin(lake, partition, numbers)?, partition.table, notes)
    }

    fn new(draft: Draft, table: Table, notes: &[(&str, String)]) -> Result<Self, LakeError> {
        let name = [(NOTE_TABLE, table.name().to_owned())];
        let notes = name.iter().chain(notes);
        let notes = notes.map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let properties = encode::properties(table, notes)?;
        let parquet = ArrowWriter::try_new(draft.file()?, table.schema(), Some(properties))?;
        Ok(Self { draft, parquet })
    }

    pub(crate) fn write(&mut self, columns: &RecordBatch) -> Result<(), LakeError> {
        Ok(self.parquet.write(columns)?)
    }

    pub(crate) fn end_row_group(&mut self) -> Result<(), LakeError> {
        Ok(self.parquet.flush()?)
    }

    /// Returns how many bytes it has.
    pub(crate) fn finish(mut self) -> Result<u64, LakeError> {
        self.parquet.finish()?;
        let bytes = self.parquet.bytes_written() as u64;
        self.draft.finish()?;
        Ok(bytes)
    }
}
