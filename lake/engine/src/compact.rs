//! Joining a day's small files, and forgetting days. A telescope writes a file every minute or so, and a year of those would be half a
//! million to open for one question; and what the law says is kept thirty days is gone after thirty.
//!
//! ```text
//!   1, 2, 3 … 40 ─row group by row group, sorted─▶ draft of 1-40 ─rename: from here 1-40 counts─▶ 1 … 40 removed when nobody reads
//! ```
//!
//! The one rename decides: before it the small files count, after it the large one ([`crate::files`] says why), and a crash on either
//! side of it loses and doubles nothing. A joined file notes which batches are in it, so that one that is written again is known.

use std::fs;
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use jiff::civil::Date;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::encode::ROW_GROUP_ROWS;
use crate::files::{self, File, Partition};
use crate::write::DayFile;
use crate::{LakeError, Numbers, Table};

/// The note in a joined file: which batches are in it, as runs.
const NOTE_BATCHES: &str = "noroshi.batches";
/// What a day is called that is being removed.
const FORGOTTEN: &str = ".forgotten-";

/// Joins a partition's files if there are several; returns how many there were.
pub(crate) fn join(lake: &Path, partition: &Partition) -> Result<u64, LakeError> {
    let files = partition.files(lake)?;
    let Some(numbers) = files.iter().map(|file| file.numbers).reduce(Numbers::join) else { return Ok(0) };
    if files.len() < 2 {
        return Ok(0);
    }
    let runs = runs(&files)?;
    let runs: Vec<String> = runs.iter().map(|run| format!("{run}")).collect();
    let mut joined = DayFile::begin(lake, partition, numbers, &[(NOTE_BATCHES, runs.join(","))])?;
    let mut held = Held { table: partition.table, batches: Vec::new(), rows: 0 };
    for file in &files {
        let open = fs::File::open(&file.path).map_err(LakeError::io(&file.path))?;
        for batch in ParquetRecordBatchReaderBuilder::try_new(open)?.build()? {
            held.add(batch?, &mut joined)?;
        }
    }
    held.write(&mut joined)?;
    joined.finish()?;
    Ok(files.len() as u64)
}

/// Rows of a row group to be.
struct Held {
    table: Table,
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Held {
    fn add(&mut self, batch: RecordBatch, into: &mut DayFile) -> Result<(), LakeError> {
        self.rows += batch.num_rows();
        self.batches.push(batch);
        if self.rows >= ROW_GROUP_ROWS { self.write(into) } else { Ok(()) }
    }

    fn write(&mut self, into: &mut DayFile) -> Result<(), LakeError> {
        if self.rows == 0 {
            return Ok(());
        }
        let all = concat_batches(&self.table.schema(), &self.batches)?;
        self.batches.clear();
        self.rows = 0;
        let keys: Vec<SortColumn> = self
            .table
            .order()
            .iter()
            .filter_map(|name| all.column_by_name(name))
            .map(|column| SortColumn { values: column.clone(), options: None })
            .collect();
        let sorted = take_record_batch(&all, &lexsort_to_indices(&keys, None)?)?;
        into.write(&sorted)?;
        into.end_row_group()
    }
}

/// Which batches files hold, those that follow each other as one.
fn runs(files: &[File]) -> Result<Vec<Numbers>, LakeError> {
    let mut all = Vec::new();
    for file in files {
        all.append(&mut batches(file)?);
    }
    all.sort();
    let mut runs: Vec<Numbers> = Vec::new();
    for numbers in all {
        match runs.last_mut() {
            Some(last) if last.is_followed_by(numbers) => *last = last.join(numbers),
            _ => runs.push(numbers),
        }
    }
    Ok(runs)
}

/// Which batches are in a file: by its note, or else by its name.
fn batches(file: &File) -> Result<Vec<Numbers>, LakeError> {
    let open = fs::File::open(&file.path).map_err(LakeError::io(&file.path))?;
    let notes = ParquetRecordBatchReaderBuilder::try_new(open)?;
    let notes = notes.metadata().file_metadata().key_value_metadata();
    let note = notes.into_iter().flatten().find(|note| note.key == NOTE_BATCHES);
    match note.and_then(|note| note.value.as_ref()) {
        Some(runs) => runs.split(',').map(str::parse).collect(),
        None => Ok(vec![file.numbers]),
    }
}

/// Whether a batch's rows of a day were joined into a larger file.
///
/// # Errors
/// When other batches have numbers of it, so that writing it would hide them or be hidden.
pub(crate) fn is_there(lake: &Path, partition: &Partition, asked: Numbers) -> Result<bool, LakeError> {
    for file in partition.files(lake)? {
        let there = file.numbers;
        if there == asked || !there.overlaps(asked) {
            continue;
        }
        if there.contains(asked) && batches(&file)?.iter().any(|run| run.contains(asked)) {
            return Ok(true);
        }
        return Err(LakeError::Overlap { asked, there });
    }
    Ok(false)
}

/// Removes files that were joined into others, unless somebody reads, who may be reading them: then another time.
pub(crate) fn sweep(lake: &Path) -> Result<(), LakeError> {
    let readers = crate::readers(lake)?;
    match readers.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(()),
        Err(fs::TryLockError::Error(error)) => return Err(LakeError::io(lake)(error)),
    }
    for partition in files::all_partitions(lake)? {
        for file in partition.joined(lake)? {
            files::remove(&file.path)?;
        }
    }
    // What a killed query left.
    for entry in files::entries(&lake.join(crate::query::SPILL))? {
        fs::remove_dir_all(entry.path()).map_err(LakeError::io(&entry.path()))?;
    }
    Ok(())
}

/// Removes the days before a day. A day is out of sight first, so that no reader finds half of it.
pub(crate) fn forget_before(lake: &Path, table: Table, before: Date) -> Result<Vec<Date>, LakeError> {
    let mut forgotten = Vec::new();
    for day in files::days(lake, table)?.into_iter().filter(|day| *day < before) {
        let folder = files::day_folder(lake, table, day);
        let hidden = lake.join(table.name()).join(format!("{FORGOTTEN}{day}"));
        fs::rename(&folder, &hidden).map_err(LakeError::io(&folder))?;
        fs::remove_dir_all(&hidden).map_err(LakeError::io(&hidden))?;
        forgotten.push(day);
    }
    Ok(forgotten)
}

/// Removes days that were being removed when the process was killed.
pub(crate) fn remove_forgotten(lake: &Path) -> Result<(), LakeError> {
    for table in Table::ALL {
        for entry in files::entries(&lake.join(table.name()))? {
            if entry.file_name().to_string_lossy().starts_with(FORGOTTEN) {
                fs::remove_dir_all(entry.path()).map_err(LakeError::io(&entry.path()))?;
            }
        }
    }
    Ok(())
}
