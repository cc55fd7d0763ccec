//! Where the files are and what they are called; nothing here opens one. A folder of Parquet is only as safe as its names: a reader
//! must never see half a file, the same packets twice, or a path that somebody smuggled into the name of a sensor.
//!
//! ```text
//!   LAKE/minutes/day=2026-11-27/sensor=osaka-1/00000000000000000041-00000000000000000041.parquet   one batch
//!                                              00000000000000000001-00000000000000000040.parquet   forty, joined
//!                                              .00000000000000000042-….parquet.tmp                 being written
//!   LAKE/counts/day=2026-11-27/counts.parquet                                              senders of the day, of all its sensors
//!   LAKE/.writer   locked by the one process that writes     LAKE/.readers   shared by all that read
//! ```
//!
//! A file is called by its first and last batch. What lies within another's range was joined into that one and is no longer looked at,
//! whether it could be removed already or not: so joining is one rename.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::civil::Date;

use crate::{LakeError, Table};

/// Most bytes of a sensor's name.
pub const SENSOR_BYTES_MAX: usize = 64;
/// What a file is called while it is written: hidden, so that no reader of Parquet folders takes it.
const BEING_WRITTEN: &str = ".tmp";
/// A day's counts.
const COUNTS: &str = "counts.parquet";

/// Where packets were seen: lower-case letters, digits, `-`, `_` and, not at the beginning, `.`. It becomes the name of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sensor(String);

impl Sensor {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sensor {
    type Err = LakeError;

    fn from_str(text: &str) -> Result<Self, LakeError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins_well && text.len() <= SENSOR_BYTES_MAX && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LakeError::Sensor)
        }
    }
}

impl fmt::Display for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The numbers of the first and last batch in a file, both within. A sensor's batches of a table are numbered by whoever writes them,
/// rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbers {
    first: u64,
    last: u64,
}

impl Numbers {
    /// From the first to the last.
    ///
    /// # Errors
    /// When the last comes before the first.
    pub fn new(first: u64, last: u64) -> Result<Self, LakeError> {
        if first <= last { Ok(Self { first, last }) } else { Err(LakeError::Numbers { first, last }) }
    }

    /// Those of one batch.
    pub fn one(number: u64) -> Self {
        Self { first: number, last: number }
    }

    pub(crate) fn last(self) -> u64 {
        self.last
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    pub(crate) fn is_followed_by(self, next: Self) -> bool {
        self.last.checked_add(1) == Some(next.first)
    }

    /// From the lower first to the higher last.
    pub(crate) fn join(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }

    fn of_file(name: &OsStr) -> Option<Self> {
        name.to_str()?.strip_suffix(".parquet")?.parse().ok()
    }
}

/// `41-57`, with as many zeros before as make names sort.
impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:020}", self.first, self.last)
    }
}

impl FromStr for Numbers {
    type Err = LakeError;

    fn from_str(text: &str) -> Result<Self, LakeError> {
        let (first, last) = text.split_once('-').ok_or(LakeError::Numbers { first: 0, last: 0 })?;
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) => Self::new(first, last),
            _ => Err(LakeError::Numbers { first: 0, last: 0 }),
        }
    }
}

/// A day and sensor of a table: one folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Which table.
    pub table: Table,
    /// Which day (UTC).
    pub day: Date,
    /// Which sensor.
    pub sensor: Sensor,
}

impl Partition {
    pub(crate) fn folder(&self, lake: &Path) -> PathBuf {
        day_folder(lake, self.table, self.day).join(format!("sensor={}", self.sensor))
    }

    /// The files that count, oldest batches first.
    pub(crate) fn files(&self, lake: &Path) -> Result<Vec<File>, LakeError> {
        let mut files = self.all_files(lake)?;
        let all: Vec<Numbers> = files.iter().map(|file| file.numbers).collect();
        files.retain(|file| !is_joined(file.numbers, &all));
        Ok(files)
    }

    /// The files that were joined into another and are still there.
    pub(crate) fn joined(&self, lake: &Path) -> Result<Vec<File>, LakeError> {
        let mut files = self.all_files(lake)?;
        let all: Vec<Numbers> = files.iter().map(|file| file.numbers).collect();
        files.retain(|file| is_joined(file.numbers, &all));
        Ok(files)
    }

    fn all_files(&self, lake: &Path) -> Result<Vec<File>, LakeError> {
        let mut files = Vec::new();
        for entry in entries(&self.folder(lake))? {
            let Some(numbers) = Numbers::of_file(&entry.file_name()) else { continue };
            let path = entry.path();
            match entry.metadata() {
                Ok(found) => files.push(File { path, numbers, bytes: found.len() }),
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(LakeError::io(&path)(error)),
            }
        }
        files.sort_by_key(|file| file.numbers);
        Ok(files)
    }
}

fn is_joined(numbers: Numbers, all: &[Numbers]) -> bool {
    all.iter().any(|other| *other != numbers && other.contains(numbers))
}

/// A file of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub path: PathBuf,
    pub numbers: Numbers,
    pub bytes: u64,
}

/// A day's counts, whether they are there or not.
pub(crate) fn counts_file(lake: &Path, day: Date) -> PathBuf {
    day_folder(lake, Table::Counts, day).join(COUNTS)
}

/// The days whose senders are counted.
pub(crate) fn counted(lake: &Path) -> Result<BTreeSet<Date>, LakeError> {
    let days = days(lake, Table::Counts)?;
    Ok(days.into_iter().filter(|day| counts_file(lake, *day).exists()).collect())
}

pub(crate) fn day_folder(lake: &Path, table: Table, day: Date) -> PathBuf {
    lake.join(table.name()).join(format!("day={day}"))
}

/// The days of a table, oldest first. What is not called like a day is not ours.
pub(crate) fn days(lake: &Path, table: Table) -> Result<Vec<Date>, LakeError> {
    let mut days: Vec<Date> = entries(&lake.join(table.name()))?
        .into_iter()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("day=")?.parse().ok())
        .collect();
    days.sort();
    Ok(days)
}

/// The partitions of a day, by sensor.
pub(crate) fn partitions(lake: &Path, table: Table, day: Date) -> Result<Vec<Partition>, LakeError> {
    let mut found: Vec<Partition> = entries(&day_folder(lake, table, day))?
        .into_iter()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("sensor=")?.parse().ok())
        .map(|sensor| Partition { table, day, sensor })
        .collect();
    found.sort();
    Ok(found)
}

/// What is in a folder; nothing, where there is none.
pub(crate) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, LakeError> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Ok(entries) => Ok(entries),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(LakeError::io(folder)(error)),
    }
}

/// A file while it is written. It gets its name when it is whole and on the disk; dropped before that, it is removed.
pub(crate) struct Draft {
    lake: PathBuf,
    hidden: PathBuf,
    path: PathBuf,
    file: Option<fs::File>,
}

impl Draft {
    /// Begins a partition's file.
    pub(crate) fn begin(lake: &Path, partition: &Partition, numbers: Numbers) -> Result<Self, LakeError> {
        Self::of(lake, partition.folder(lake).join(format!("{numbers}.parquet")))
    }

    /// Begins a day's counts.
    pub(crate) fn of_counts(lake: &Path, day: Date) -> Result<Self, LakeError> {
        Self::of(lake, counts_file(lake, day))
    }

    fn of(lake: &Path, path: PathBuf) -> Result<Self, LakeError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hidden = path.with_file_name(format!(".{name}{BEING_WRITTEN}"));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(LakeError::io(folder))?;
        }
        let file = fs::File::create(&hidden).map_err(LakeError::io(&hidden))?;
        Ok(Self { lake: lake.to_owned(), hidden, path, file: Some(file) })
    }

    /// To write into.
    pub(crate) fn file(&self) -> Result<fs::File, LakeError> {
        let file =
            self.file.as_ref().map_or_else(|| Err(io::ErrorKind::NotFound.into()), fs::File::try_clone);
        file.map_err(LakeError::io(&self.hidden))
    }

    /// All was written: onto the disk with it, and only then its name, and only then that name onto the disk.
    pub(crate) fn finish(mut self) -> Result<PathBuf, LakeError> {
        if let Some(file) = self.file.take() {
            file.sync_all().map_err(LakeError::io(&self.hidden))?;
        }
        fs::rename(&self.hidden, &self.path).map_err(LakeError::io(&self.path))?;
        // A new day's folder has to be on the disk as well, up to the lake's.
        for folder in self.path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.lake)) {
            sync_folder(folder)?;
        }
        Ok(std::mem::take(&mut self.path))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `finish` it has another name. What cannot be removed now, the next writer removes.
        let _ = fs::remove_file(&self.hidden);
    }
}

pub(crate) fn sync_folder(folder: &Path) -> Result<(), LakeError> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(LakeError::io(folder))
}

/// Removes what a writer left that was killed. Only whoever holds the writer's lock may, for a draft could be somebody's.
pub(crate) fn remove_drafts(lake: &Path) -> Result<u64, LakeError> {
    let mut removed = 0;
    let mut folders: Vec<PathBuf> =
        days(lake, Table::Counts)?.into_iter().map(|day| day_folder(lake, Table::Counts, day)).collect();
    folders.extend(all_partitions(lake)?.iter().map(|partition| partition.folder(lake)));
    for folder in folders {
        for entry in entries(&folder)? {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with('.') && name.ends_with(BEING_WRITTEN) {
                remove(&entry.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Every partition of every table; counts are of all sensors and have none.
pub(crate) fn all_partitions(lake: &Path) -> Result<Vec<Partition>, LakeError> {
    let mut all = Vec::new();
    for table in Table::ALL {
        for day in days(lake, table)? {
            all.append(&mut partitions(lake, table, day)?);
        }
    }
    Ok(all)
}

/// Removes a file, if it is still there.
pub(crate) fn remove(path: &Path) -> Result<(), LakeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LakeError::io(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensor_is_a_plain_name() {
        for good in ["osaka-1", "a", "0", "dark_net.example"] {
            assert_eq!(good.parse::<Sensor>().unwrap().as_str(), good);
        }
        let long = "x".repeat(SENSOR_BYTES_MAX + 1);
        for bad in
            ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "A", "a=b", "a b", "a\0", "ä", "-rf", &long]
        {
            assert!(bad.parse::<Sensor>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_sort_as_text_and_come_back() {
        let (some, more) = (Numbers::new(9, 10).unwrap(), Numbers::new(11, u64::MAX).unwrap());
        assert!(some.to_string() < more.to_string());
        assert_eq!(more.to_string().parse::<Numbers>().unwrap(), more);
        assert!(
            Numbers::new(2, 1).is_err()
                && "5".parse::<Numbers>().is_err()
                && "a-b".parse::<Numbers>().is_err()
        );
    }

    #[test]
    fn what_lies_within_another_was_joined() {
        let all = [Numbers::new(1, 40).unwrap(), Numbers::one(40), Numbers::one(41)];
        assert_eq!(all.map(|numbers| is_joined(numbers, &all)), [false, true, false]);
    }
}
