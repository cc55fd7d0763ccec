//! Batches kept for history: files in a folder from where `noroshi-lake follow` takes them up, whenever it runs. The engine over history is a
//! program of its own that may be stopped, renewed or busy with a question; what was seen meanwhile waits here.
//!
//! ```text
//!   live: frames of each ring ──cut──▶ a queue ──one thread: number, pack──┐
//!   hub:  batches of sensors, as they came, before they are acknowledged ──┴▶ DIR/SENSOR.RUN.NUMBER.batch ──▶ noroshi-lake follow
//! ```
//!
//! A file is written beside, made durable and renamed, so it is there as a whole or not at all; a batch that comes twice has the same name
//! twice. The folder is bounded. What does not fit, or cannot be written, is counted and told, and nobody waits for it: watching goes on.
//!
//! An interface has a new run with each start, so that no number is ever given twice, whatever became of the files of the start before.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use noroshi_model::clock::{Clock as _, SystemClock};
use noroshi_wire::batch::{self, BatchName, Head, Run, SensorName};
use noroshi_wire::capture::Frames;
use serde::Serialize;

use super::cut::{Sink, Tail};
use super::telling::tell_one;
use crate::keys;
use crate::report::say;

/// The folder's size by default.
const KEEP_MIB: u64 = 4096;
/// What a file counts as at least, so that a folder of small ones does not become one of millions.
const FILE_BYTES_MIN: u64 = 16 << 10;
/// A full folder is looked at again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// What a file is called while it is written, behind a dot before its name.
const BEING_WRITTEN: &str = ".next";
/// Nobody writes a batch for so long: what is older was left by one who was killed.
const DRAFT_IS_OLD: Duration = Duration::from_secs(600);
/// Batches of an interface that wait for being written.
const WAITING_MAX: usize = 32;

/// What is kept for history.
#[derive(Clone, Debug, Args)]
pub struct KeepArgs {
    /// Keep all packets' headers here for history, from where `noroshi-lake follow` takes them up [default: they are not kept]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Most MiB that wait there; what is more is not kept, and counted
    #[arg(long, value_name = "MIB", default_value_t = KEEP_MIB, value_parser = clap::value_parser!(u64).range(4..1 << 30))]
    pub keep_max_mib: u64,
}

impl KeepArgs {
    /// Opens the folder that is asked for.
    pub fn open(&self) -> anyhow::Result<Option<Keep>> {
        self.keep.as_deref().map(|folder| Keep::open(folder, self.keep_max_mib << 20)).transpose()
    }
}

/// How much was kept since the start.
#[derive(Debug, Default, Serialize)]
pub struct Kept {
    batches: AtomicU64,
    packets: AtomicU64,
    /// Packets that are not in history, because there was no room or no disk.
    not_kept: AtomicU64,
}

impl Kept {
    /// Tells it.
    pub fn tell(&self, json: bool) -> anyhow::Result<()> {
        tell_one(json, "kept", self, |kept| {
            let [batches, packets, not_kept] =
                [&kept.batches, &kept.packets, &kept.not_kept].map(|count| count.load(Ordering::Relaxed));
            say!("kept     {packets} packets in {batches} batches, {not_kept} not");
        })
    }
}

/// The folder.
pub struct Keep {
    folder: PathBuf,
    bytes_max: u64,
    /// Bytes in it, of what is put in only: whoever takes up makes it less, which is seen when it seems full.
    bytes: u64,
    looked: Instant,
    /// Why the last one was not kept, once it was told.
    told: Option<String>,
    /// Whether names are not durable yet.
    unsettled: bool,
    kept: Arc<Kept>,
}

impl Keep {
    /// Opens or makes a folder that holds at most so many bytes.
    pub fn open(folder: &Path, bytes_max: u64) -> anyhow::Result<Self> {
        keys::private_folder(folder)?;
        remove_drafts(folder)?;
        let (folder, bytes, looked) = (folder.to_owned(), bytes_in(folder)?, Instant::now());
        Ok(Self { folder, bytes_max, bytes, looked, told: None, unsettled: false, kept: Arc::default() })
    }

    /// How much was kept.
    pub fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }

    /// Puts a batch of so many packets there, if it can be; does not wait for that. It is durable after [`Keep::settle`].
    pub fn put(&mut self, name: &BatchName, packed: &[u8], packets: u64) {
        match self.write(name, packed) {
            Ok(()) => {
                self.bytes += counted_as(packed.len() as u64);
                self.unsettled = true;
                self.kept.batches.fetch_add(1, Ordering::Relaxed);
                self.kept.packets.fetch_add(packets, Ordering::Relaxed);
                if self.told.take().is_some() {
                    eprintln!("noroshi: packets are kept for history again");
                }
            }
            Err(error) => self.refuse(packets, &error),
        }
    }

    fn refuse(&mut self, packets: u64, why: &anyhow::Error) {
        self.kept.not_kept.fetch_add(packets, Ordering::Relaxed);
        self.tell(format!("packets are not kept for history, and counted: {why:#}"));
    }

    /// Says what is wrong, once.
    fn tell(&mut self, why: String) {
        if self.told.as_ref() != Some(&why) {
            eprintln!("noroshi: {why}");
            self.told = Some(why);
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.bytes + counted_as(bytes) <= self.bytes_max
    }

    fn write(&self, name: &BatchName, packed: &[u8]) -> anyhow::Result<()> {
        ensure!(self.has_room(packed.len() as u64), "{} is full", self.folder.display());
        let path = self.folder.join(name.to_string());
        let next = self.folder.join(format!(".{name}{BEING_WRITTEN}"));
        let write = || {
            let mut file = File::create(&next)?;
            file.write_all(packed)?;
            file.sync_all()?;
            fs::rename(&next, &path)
        };
        let written = write().with_context(|| format!("{} cannot be written", path.display()));
        if written.is_err() {
            // Half of it would stay on a disk that is full.
            let _none = fs::remove_file(&next);
        }
        written
    }

    /// Makes the names durable, and sees what became of the folder when it was full.
    pub fn settle(&mut self) {
        if std::mem::take(&mut self.unsettled)
            && let Err(error) = File::open(&self.folder).and_then(|folder| folder.sync_all())
        {
            let folder = self.folder.display();
            self.tell(format!("what is kept for history may not outlast a loss of power: {folder}: {error}"));
        }
        if !self.has_room(batch::HEADER_BYTES_MAX as u64) && self.looked.elapsed() >= LOOK_AGAIN {
            self.looked = Instant::now();
            self.bytes = bytes_in(&self.folder).unwrap_or(self.bytes);
        }
    }
}

fn counted_as(bytes: u64) -> u64 {
    bytes.max(FILE_BYTES_MIN)
}

/// What waits in a folder, what was set aside included.
fn bytes_in(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for folder in [folder, &folder.join("aside")] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            // One may be taken up while it is looked at.
            let Ok(found) = entry?.metadata() else { continue };
            bytes += if found.is_file() { counted_as(found.len()) } else { 0 };
        }
    }
    Ok(bytes)
}

/// Removes what was left half written.
fn remove_drafts(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let is_draft =
            name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(BEING_WRITTEN));
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_draft && age().is_some_and(|age| age >= DRAFT_IS_OLD) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The way of an interface's batches into the folder, one for each ring. Nobody waits on it: what it has no room for is counted.
#[derive(Clone)]
pub struct ToKeep {
    into: SyncSender<(Frames, Tail)>,
    kept: Arc<Kept>,
}

impl Sink for ToKeep {
    fn put(&mut self, frames: &mut Frames, tail: Tail) -> anyhow::Result<()> {
        if !frames.is_empty()
            && let Err(TrySendError::Full((frames, _)) | TrySendError::Disconnected((frames, _))) =
                self.into.try_send((std::mem::take(frames), tail))
        {
            self.kept.not_kept.fetch_add(frames.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A run of an interface's batches.
pub struct Writing {
    sensor: SensorName,
    run: Run,
    number: u64,
    before: u64,
}

impl Writing {
    /// A new one.
    pub fn new(sensor: SensorName) -> anyhow::Result<Self> {
        Ok(Self { sensor, run: super::random_run()?, number: 0, before: 0 })
    }

    /// The way into it, and its end.
    pub fn queue(keep: &Keep) -> (ToKeep, Receiver<(Frames, Tail)>) {
        let (into, from) = sync_channel(WAITING_MAX);
        (ToKeep { into, kept: Arc::clone(keep.kept()) }, from)
    }

    /// Numbers, packs and puts what comes, until no more does.
    pub fn all(mut self, keep: &mut Keep, from: &Receiver<(Frames, Tail)>) {
        while let Ok((frames, tail)) = from.recv() {
            let made_ns = u64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(0);
            let (sensor, Tail { lost, left_out }) = (self.sensor.clone(), tail);
            let (run, number, before) = (self.run, self.number, self.before);
            let head = Head { sensor, run, number, before, made_ns, lost, left_out };
            let packets = frames.len() as u64;
            match batch::write(&head, &frames) {
                Ok(packed) => keep.put(&BatchName::of(&head), &packed, packets),
                Err(error) => keep.refuse(packets, &error.into()),
            }
            keep.settle();
            self.number += 1;
            self.before += packets;
        }
    }
}

/// What an interface is called where its batches are kept, as far as that can be a name of a sensor.
pub fn name_of(name: &str) -> anyhow::Result<SensorName> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).take(batch::NAME_BYTES_MAX).collect();
    name.trim_start_matches('-').parse().map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests;
