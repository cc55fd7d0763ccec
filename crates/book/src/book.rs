//! The book as a folder. Any number of processes read it; who writes holds its lock for as long as one batch takes, after
//! catching up with what others wrote.
//!
//! ```text
//!   manifest.json      what belongs to the book: generation, parts of each day, names
//!   lock
//!   log-GENERATION     what came since the last checkpoint
//!   open-GENERATION    the open sessions at the last checkpoint
//!   day-N-GENERATION   rows that were over on day N
//!   names-GENERATION   names that got a number in that generation
//!   keys/              one for each day, log and open table, wrapped by the vault's
//! ```
//!
//! A checkpoint writes new files, then the manifest in one rename, then removes what is no longer named in it. A crash
//! leaves either the old state or the new one, and files that nobody names, which the next checkpoint removes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use noroshi_law::{Lawful, SessionKeeping, Vault};
use noroshi_wire::{Assignment, Whom};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{read_keeper, read_names, write_keeper, write_names};
use crate::days::{Day, Days};
use crate::entry::Entry;
use crate::keeper::{Effect, Keeper};
use crate::log::Log;
use crate::names::Names;
use crate::naming::{Naming, read_whom};
use crate::present::Moves;
use crate::row::Row;
use crate::sealed_file::{SealedReader, SealedWriter, destroy, replace};
use crate::segment::{Builder, DAY_S, Segment, day_of, order};

/// Bytes of log after which a checkpoint is due.
pub const LOG_BYTES_MAX: u64 = 64 << 20;
/// Parts of a day after which they are merged.
const PARTS_MAX: usize = 4;
/// Files of names after which they are merged.
const NAMES_MAX: usize = 16;

/// Why the book cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The disk, or a file that is not as it was written.
    #[error("the session book in {folder}: {why}")]
    Io {
        /// Where the book is.
        folder: PathBuf,
        /// What is wrong.
        why: io::Error,
    },
    /// More names than numbers.
    #[error("the session book has no room for another name")]
    Full,
}

/// What the manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    generation: u64,
    /// Day → parts.
    days: BTreeMap<i32, Vec<String>>,
    names: Vec<String>,
    /// Which key they are sealed with: another one each time that names were forgotten. Not said: `names`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names_key: Option<String>,
    /// File of the open table; none at first.
    open: Option<String>,
}

impl Manifest {
    fn names_key(&self) -> &str {
        self.names_key.as_deref().unwrap_or("names")
    }
}

/// What came of a batch: for each record in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What each record did.
    pub effects: Vec<Effect>,
}

/// A day that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Days since 1970-01-01 (UTC).
    pub day: i32,
    /// Rows that nobody can read any more.
    pub rows: u64,
}

/// What the book holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Sessions that are over.
    pub closed: u64,
    /// Sessions that go on.
    pub open: u64,
    /// Lines that have a number.
    pub lines: u64,
    /// Servers that have a number.
    pub servers: u64,
    /// Times in which two lines held one slot.
    pub faults: u64,
    /// Days with rows.
    pub days: u64,
    /// First and last of them, days since 1970-01-01 (UTC).
    pub first_day: Option<i32>,
    /// See `first_day`.
    pub last_day: Option<i32>,
    /// Bytes of the segments, fences and names in memory.
    pub bytes: u64,
    /// Bytes of the files on disk.
    pub disk_bytes: u64,
}

/// The session book.
#[derive(Debug)]
pub struct Book {
    folder: PathBuf,
    vault: Arc<Vault>,
    manifest: Manifest,
    parts: BTreeMap<i32, Day>,
    pub(crate) days: Days,
    pub(crate) keeper: Keeper,
    pub(crate) lines: Names,
    pub(crate) servers: Names,
    /// Lines and servers that are in the files of names.
    named: (u32, u32),
    log: Option<Log>,
    /// What changed lately, for who follows who is there.
    pub(crate) moves: Moves,
}

impl Book {
    /// Opens the book in a folder, and makes it if it is not there.
    pub fn open(folder: &Path, vault: Arc<Vault>) -> Result<Self, BookError> {
        let mut book = Self {
            folder: folder.to_owned(),
            vault,
            manifest: Manifest::default(),
            parts: BTreeMap::new(),
            days: Days::default(),
            keeper: Keeper::default(),
            lines: Names::default(),
            servers: Names::default(),
            named: (0, 0),
            log: None,
            moves: Moves::default(),
        };
        book.refresh().map_err(|why| book.failed(why))?;
        Ok(book)
    }

    fn failed(&self, why: io::Error) -> BookError {
        BookError::Io { folder: self.folder.clone(), why }
    }

    /// Takes in what other processes wrote meanwhile.
    pub fn catch_up(&mut self) -> Result<(), BookError> {
        self.refresh().map_err(|why| self.failed(why))
    }

    /// How far records were taken in: another place, where more were. Places have no order.
    pub fn taken_in(&self) -> (u64, u64) {
        (self.manifest.generation, self.log.as_ref().map_or(0, Log::length))
    }

    /// Takes records in; when this returns they are kept for good. Records say of themselves what is new in them, so giving
    /// a batch again after a crash changes nothing.
    pub fn keep(&mut self, batch: &[Lawful<Assignment, SessionKeeping>]) -> Result<Kept, BookError> {
        let lock = self.lock().map_err(|why| self.failed(why))?;
        self.refresh().map_err(|why| self.failed(why))?;
        let mut naming = Naming::new(&mut self.lines, &mut self.servers, batch.len());
        let has_room = batch.iter().try_for_each(|record| naming.add(record.read())).is_some();
        let frame = naming.finish();
        let kept = match has_room {
            true => self.writable_log().and_then(|log| log.append(&frame)).map_err(|why| self.failed(why)),
            false => Err(BookError::Full),
        };
        if let Err(error) = kept {
            // The numbers given to new names are not in the log, so they must not be used.
            self.reload().map_err(|why| self.failed(why))?;
            return Err(error);
        }
        let effects = frame.entries.iter().map(|entry| self.apply(entry)).collect();
        if self.log.as_ref().is_some_and(|log| log.length() > LOG_BYTES_MAX) {
            self.checkpoint_locked().map_err(|why| self.failed(why))?;
        }
        drop(lock);
        Ok(Kept { effects })
    }

    /// Writes what is over into its days, and begins a new log.
    pub fn checkpoint(&mut self) -> Result<(), BookError> {
        let lock = self.lock().map_err(|why| self.failed(why))?;
        self.refresh().and_then(|()| self.checkpoint_locked()).map_err(|why| self.failed(why))?;
        drop(lock);
        Ok(())
    }

    /// Writes what is over into its days where that was not done for so long. What is in the log has no key of its day, so
    /// it must not stay there.
    pub fn checkpoint_after(&mut self, age: Duration) -> Result<(), BookError> {
        match self.log_age() {
            Some(old) if old >= age => self.checkpoint(),
            _ => Ok(()),
        }
    }

    /// Forgets all days before this one: their keys are destroyed, so that what copies there may be cannot be read.
    pub fn forget_before(&mut self, day: i32) -> Result<Vec<Forgotten>, BookError> {
        let lock = self.lock().map_err(|why| self.failed(why))?;
        let forgotten =
            self.refresh().and_then(|()| self.forget_locked(day)).map_err(|why| self.failed(why))?;
        drop(lock);
        Ok(forgotten)
    }

    /// Whether every file opens and holds as many rows as it says.
    pub fn verify(&self) -> Result<u64, BookError> {
        let mut rows = 0;
        for (day, files) in &self.manifest.days {
            for name in files {
                let segment = self.read_segment(*day, name).map_err(|why| self.failed(why))?;
                let mut counted = 0;
                segment.each(|row| counted += u64::from(day_of(row.gone_s) == *day));
                if counted != segment.rows() {
                    let told = format!("{name}: {counted} rows, {} were written", segment.rows());
                    return Err(self.failed(io::Error::new(io::ErrorKind::InvalidData, told)));
                }
                rows += counted;
            }
        }
        Ok(rows)
    }

    /// What it holds.
    pub fn stats(&self) -> Stats {
        let segments = || self.days.iter();
        let disk = |name: &str| std::fs::metadata(self.folder.join(name)).map_or(0, |found| found.len());
        let files =
            self.manifest.days.values().flatten().chain(&self.manifest.names).chain(&self.manifest.open);
        Stats {
            closed: segments().map(Segment::rows).sum::<u64>() + self.keeper.recent_rows as u64,
            open: self.keeper.open.len() as u64,
            lines: self.lines.len().into(),
            servers: self.servers.len().into(),
            faults: self.keeper.fault_count,
            days: self.parts.len() as u64,
            first_day: self.first_day(),
            last_day: self.parts.keys().next_back().copied(),
            bytes: segments().map(|s| s.memory() as u64).sum::<u64>() + self.lines.memory() as u64,
            disk_bytes: files.map(|name| disk(name)).sum::<u64>() + self.log.as_ref().map_or(0, Log::length),
        }
    }

    /// The first day of which it has rows, also of those that are not in their day yet.
    fn first_day(&self) -> Option<i32> {
        let recent = self.keeper.recent.iter().flat_map(|(_, rows)| rows).map(|row| day_of(row.gone_s)).min();
        self.parts.keys().next().copied().into_iter().chain(recent).min()
    }

    /// How long ago the log was begun; none where there is no log.
    fn log_age(&self) -> Option<Duration> {
        let begun = std::fs::metadata(self.folder.join("manifest.json")).and_then(|m| m.modified()).ok()?;
        self.log.as_ref().filter(|log| log.length() > 0)?;
        Some(begun.elapsed().unwrap_or_default())
    }

    /// Each server's clock: name, usual offset in seconds, samples.
    pub fn clocks(&self) -> Vec<(String, i64, u64)> {
        let named =
            |number: u32| String::from_utf8_lossy(self.servers.name(number).unwrap_or_default()).into_owned();
        let mut clocks: Vec<_> = self
            .keeper
            .clocks
            .iter()
            .map(|(number, clock)| (named(*number), clock.usual_s(), clock.samples))
            .collect();
        clocks.sort();
        clocks
    }

    /// Whom a line's number names.
    pub(crate) fn whom(&self, line: u32) -> Option<Whom> {
        read_whom(self.lines.name(line)?)
    }

    // --- the folder ---

    fn lock(&self) -> io::Result<File> {
        std::fs::create_dir_all(self.folder.join("keys"))?;
        let lock = File::options().create(true).append(true).open(self.folder.join("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn reload(&mut self) -> io::Result<()> {
        self.manifest = Manifest { generation: u64::MAX, ..Manifest::default() };
        self.log = None;
        self.refresh()
    }

    /// Brings memory to what is on disk: a new manifest, and the frames that came to the log.
    fn refresh(&mut self) -> io::Result<()> {
        let text = match std::fs::read(self.folder.join("manifest.json")) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        let manifest: Manifest = serde_json::from_slice(&text).map_err(io::Error::other)?;
        if self.log.is_none() || manifest != self.manifest {
            self.load(manifest)?;
        }
        while let Some(frame) = self.log.as_mut().map_or(Ok(None), Log::next_frame)? {
            for (names, new) in [(&mut self.lines, &frame.lines), (&mut self.servers, &frame.servers)] {
                for name in new {
                    names.number(name);
                }
            }
            for entry in &frame.entries {
                self.apply(entry);
            }
        }
        Ok(())
    }

    fn apply(&mut self, entry: &Entry) -> Effect {
        match entry.slot {
            Some(slot) => self.moves.add(slot),
            // A server that begins anew ends sessions of which the entry names none.
            None => self.moves.all(),
        }
        self.keeper.apply(entry, &self.days)
    }

    fn load(&mut self, manifest: Manifest) -> io::Result<()> {
        let mut parts: BTreeMap<i32, Day> = BTreeMap::new();
        for (day, names) in &manifest.days {
            for name in names {
                let known = self.parts.get(day).and_then(|day| day.parts.get(name)).cloned();
                let segment = known.map_or_else(|| self.read_segment(*day, name).map(Arc::new), Ok)?;
                parts.entry(*day).or_default().parts.insert(name.clone(), segment);
            }
        }
        (self.lines, self.servers) = (Names::default(), Names::default());
        for name in &manifest.names {
            let shelf = self.shelf(manifest.names_key())?;
            let mut reader = SealedReader::open(&self.folder.join(name), &shelf, "names")?;
            read_names(&mut reader, &mut self.lines)?;
            read_names(&mut reader, &mut self.servers)?;
            reader.finish()?;
        }
        self.lines.shrink();
        self.servers.shrink();
        self.named = (self.lines.len(), self.servers.len());
        self.keeper = Keeper::default();
        self.moves.all();
        if let Some(name) = &manifest.open {
            let shelf = self.shelf(name)?;
            let mut reader = SealedReader::open(&self.folder.join(name), &shelf, "open")?;
            self.keeper = read_keeper(&mut reader)?;
            reader.finish()?;
        }
        self.days = Days::new(&parts);
        self.parts = parts;
        let name = format!("log-{:08}", manifest.generation);
        self.log = Some(Log::open(&self.folder.join(&name), &self.shelf(&name)?, true)?);
        self.manifest = manifest;
        Ok(())
    }

    fn read_segment(&self, day: i32, name: &str) -> io::Result<Segment> {
        let shelf = self.shelf(&format!("day-{day}"))?;
        let mut reader = SealedReader::open(&self.folder.join(name), &shelf, "segment")?;
        let segment = Segment::read(&mut reader)?;
        reader.finish()?;
        Ok(segment)
    }

    fn key_path(&self, name: &str) -> PathBuf {
        self.folder.join("keys").join(name)
    }

    fn shelf(&self, name: &str) -> io::Result<noroshi_law::ShelfKey> {
        let wrapped = std::fs::read(self.key_path(name))?;
        self.vault.shelf(name, &wrapped).map_err(io::Error::other)
    }

    fn shelf_or_new(&self, name: &str) -> io::Result<noroshi_law::ShelfKey> {
        if self.key_path(name).exists() {
            return self.shelf(name);
        }
        let (shelf, wrapped) = self.vault.new_shelf(name).map_err(io::Error::other)?;
        replace(&self.key_path(name), &wrapped)?;
        Ok(shelf)
    }

    fn writable_log(&mut self) -> io::Result<&mut Log> {
        if self.log.is_none() {
            self.begin_generation(Manifest { generation: 1, ..Manifest::default() })?;
        }
        self.log.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Makes the generation's log, then the manifest that names it.
    fn begin_generation(&mut self, manifest: Manifest) -> io::Result<()> {
        let name = format!("log-{:08}", manifest.generation);
        let shelf = self.shelf_or_new(&name)?;
        Log::create(&self.folder.join(&name), &shelf)?;
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
        replace(&self.folder.join("manifest.json"), &text)?;
        self.log = Some(Log::open(&self.folder.join(&name), &shelf, true)?);
        self.manifest = manifest;
        Ok(())
    }

    fn checkpoint_locked(&mut self) -> io::Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        self.keeper.settle(&self.days);
        let generation = self.manifest.generation + 1;
        let mut manifest = Manifest { generation, ..self.manifest.clone() };
        let mut parts = std::mem::take(&mut self.parts);
        let written = self.write_recent(generation, &mut manifest, &mut parts);
        self.parts = parts;
        written?;
        self.write_names(generation, &mut manifest)?;
        let open = format!("open-{generation:08}");
        let shelf = self.shelf_or_new(&open)?;
        let mut writer = SealedWriter::create(&self.folder.join(&open), &shelf, "open")?;
        write_keeper(&self.keeper, &mut writer)?;
        writer.finish()?;
        manifest.open = Some(open);
        self.begin_generation(manifest)?;
        self.named = (self.lines.len(), self.servers.len());
        self.keeper.recent = crate::slots::SlotMap::default();
        self.keeper.recent_rows = 0;
        self.days = Days::new(&self.parts);
        self.sweep()
    }

    /// Writes rows that are over into a part of their day each; a day of many parts becomes one.
    fn write_recent(
        &self,
        generation: u64,
        manifest: &mut Manifest,
        parts: &mut BTreeMap<i32, Day>,
    ) -> io::Result<()> {
        let mut by_day: BTreeMap<i32, Vec<Row>> = BTreeMap::new();
        for row in self.keeper.recent.iter().flat_map(|(_, rows)| rows) {
            by_day.entry(day_of(row.gone_s)).or_default().push(*row);
        }
        for (day, mut rows) in by_day {
            let of_day = parts.entry(day).or_default();
            let names = manifest.days.entry(day).or_default();
            if of_day.parts.len() >= PARTS_MAX {
                of_day.parts.values().for_each(|part| part.each(|row| rows.push(row)));
                of_day.parts.clear();
                names.clear();
            }
            let rows = joined(rows);
            let mut builder = Builder::new(day);
            rows.iter().for_each(|row| builder.push(row));
            let name = format!("day-{day}-{generation:08}");
            let segment = builder.finish();
            self.write_segment(&segment, &name)?;
            of_day.parts.insert(name.clone(), Arc::new(segment));
            names.push(name);
        }
        Ok(())
    }

    fn write_segment(&self, segment: &Segment, name: &str) -> io::Result<()> {
        let shelf = self.shelf_or_new(&format!("day-{}", segment.day()))?;
        let mut writer = SealedWriter::create(&self.folder.join(name), &shelf, "segment")?;
        segment.write(&mut writer)?;
        writer.finish().map(drop)
    }

    fn write_names(&self, generation: u64, manifest: &mut Manifest) -> io::Result<()> {
        let mut from = self.named;
        if from == (self.lines.len(), self.servers.len()) {
            return Ok(());
        }
        if manifest.names.len() >= NAMES_MAX {
            (manifest.names, from) = (Vec::new(), (0, 0));
        }
        let name = format!("names-{generation:08}");
        let mut writer = SealedWriter::create(
            &self.folder.join(&name),
            &self.shelf_or_new(manifest.names_key())?,
            "names",
        )?;
        write_names(&self.lines, from.0, &mut writer)?;
        write_names(&self.servers, from.1, &mut writer)?;
        writer.finish()?;
        manifest.names.push(name);
        Ok(())
    }

    /// Takes whole days of closed sessions into an empty book, past the log: for what is generated in order.
    pub(crate) fn fill(&mut self, segments: Vec<Segment>) -> Result<(), BookError> {
        let lock = self.lock().map_err(|why| self.failed(why))?;
        let fill = || {
            self.writable_log()?;
            for segment in segments {
                let name = format!("day-{}-{:08}", segment.day(), self.manifest.generation);
                self.write_segment(&segment, &name)?;
                self.manifest.days.entry(segment.day()).or_default().push(name.clone());
                self.parts.entry(segment.day()).or_default().parts.insert(name, Arc::new(segment));
            }
            self.days = Days::new(&self.parts);
            self.checkpoint_locked()
        };
        let filled = fill();
        drop(lock);
        filled.map_err(|why| self.failed(why))
    }

    fn forget_locked(&mut self, before: i32) -> io::Result<Vec<Forgotten>> {
        if self.first_day().is_none_or(|first| first >= before) {
            // What a crash left of an earlier time is destroyed now.
            return self.sweep().map(|()| Vec::new());
        }
        self.keeper.forget_faults_before(day_begins_s(before));
        // What is over and not yet in its day would come back with the next checkpoint.
        self.checkpoint_locked()?;
        let kept = self.manifest.days.split_off(&before);
        let gone = std::mem::replace(&mut self.manifest.days, kept);
        let left = self.parts.split_off(&before);
        let past = std::mem::replace(&mut self.parts, left);
        self.forget_names()?;
        let text = serde_json::to_vec_pretty(&self.manifest).map_err(io::Error::other)?;
        // The manifest first: a book that names a day whose key is gone would not open. A crash in between leaves keys that
        // nobody names, which the next sweep destroys.
        replace(&self.folder.join("manifest.json"), &text)?;
        let rows = |day: &i32| past.get(day).map_or(0, |d| d.parts.values().map(|p| p.rows()).sum());
        let forgotten: Vec<Forgotten> =
            gone.keys().map(|day| Forgotten { day: *day, rows: rows(day) }).collect();
        self.days = Days::new(&self.parts);
        self.sweep()?;
        Ok(forgotten)
    }

    /// Keeps the names of those lines only of which there is still a row, sealed under another key; the manifest is still to
    /// be written. What the old key sealed can be read by nobody once the sweep has destroyed it.
    fn forget_names(&mut self) -> io::Result<()> {
        let mut used = vec![false; self.lines.len() as usize];
        let mut mark = |line: u32| {
            if let Some(used) = used.get_mut(line as usize) {
                *used = true;
            }
        };
        for part in self.parts.values().flat_map(|day| day.parts.values()) {
            part.each(|row| mark(row.line));
        }
        self.keeper.open.iter().flat_map(|(_, open)| open).for_each(|open| mark(open.line));
        self.keeper.recent.iter().flat_map(|(_, rows)| rows).for_each(|row| mark(row.line));
        self.lines = self.lines.only(|number| used.get(number as usize).copied().unwrap_or(false));
        let name = format!("names-{:08}-kept", self.manifest.generation);
        let shelf = self.shelf_or_new(&name)?;
        let mut writer = SealedWriter::create(&self.folder.join(&name), &shelf, "names")?;
        write_names(&self.lines, 0, &mut writer)?;
        write_names(&self.servers, 0, &mut writer)?;
        writer.finish()?;
        self.named = (self.lines.len(), self.servers.len());
        self.manifest.names = vec![name.clone()];
        self.manifest.names_key = Some(name);
        Ok(())
    }

    /// Removes files and keys that the manifest does not name.
    fn sweep(&self) -> io::Result<()> {
        let manifest = &self.manifest;
        let mut files: Vec<String> =
            manifest.days.values().flatten().chain(&manifest.names).cloned().collect();
        let log = format!("log-{:08}", manifest.generation);
        files.extend(manifest.open.clone());
        files.extend([log.clone(), "manifest.json".into(), "lock".into(), "keys".into()]);
        let mut keys: Vec<String> = manifest.days.keys().map(|day| format!("day-{day}")).collect();
        keys.extend(manifest.open.clone());
        keys.extend([log, manifest.names_key().to_owned()]);
        for key in unnamed(&self.folder.join("keys"), &keys)? {
            destroy(&key)?;
        }
        unnamed(&self.folder, &files)?.iter().try_for_each(std::fs::remove_file)
    }
}

fn unnamed(folder: &Path, named: &[String]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !named.iter().any(|name| entry.file_name() == name.as_str()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Rows of a day in order, each session once.
fn joined(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(order);
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let of_slot = kept.iter_mut().rev().take_while(|other| other.slot == row.slot);
        match of_slot.into_iter().find(|other| other.same_session(&row)) {
            // Only where it stays in place: `gone` must be in order.
            Some(other) if other.joined(&row).gone_s == other.gone_s => *other = other.joined(&row),
            _ => kept.push(row),
        }
    }
    kept
}

/// First second of a day.
fn day_begins_s(day: i32) -> i64 {
    i64::from(day) * DAY_S
}
