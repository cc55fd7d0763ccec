//! Batches of a sensor on disk, until the local server has them.
//!
//! ```text
//!   run               the run's name, made once
//!   N.batch           cut, and not handed over yet
//!   N.done            handed over, a short while ago
//! ```
//!
//! A file is written beside, made durable and renamed, so a batch is there as a whole or not at all. The newest stays in either form, and so
//! a sensor that was killed knows its next number, and how many packets the run had.
//!
//! NATS confirms a message when it is written, and makes it durable within two minutes. Should the machine lose power in between, what was
//! confirmed may be gone there: so it stays here for longer than that, and a sensor that is started hands it over again. Who has it
//! already drops it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use noroshi_model::clock::{Clock as _, SystemClock};
use noroshi_wire::batch::{self, Head, Run, SensorName};
use noroshi_wire::capture::Frames;
use tokio::sync::Notify;

use crate::darknet::cut::Tail;
use crate::darknet::random_run;
use crate::keys;

/// How often who waits for room looks whether it is time to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How long a batch is kept that was handed over, where there is room: longer than the local server takes to make it durable.
const KEPT: Duration = Duration::from_secs(180);

/// The spool.
pub struct Spool {
    folder: PathBuf,
    sensor: SensorName,
    run: Run,
    bytes_max: u64,
    held: Mutex<Held>,
    room: Condvar,
    more: Notify,
    /// Held as long as the spool is in use.
    _lock: File,
}

#[derive(Default)]
struct Held {
    /// Bytes by number.
    waiting: BTreeMap<u64, u64>,
    bytes: u64,
    /// Handed over, when, and bytes.
    done: BTreeMap<u64, (Instant, u64)>,
    done_bytes: u64,
    next: u64,
    packets: u64,
    closed: bool,
    told_full: bool,
}

impl Spool {
    /// Opens or makes one that holds at most so many bytes.
    pub fn open(folder: &Path, sensor: SensorName, bytes_max: u64) -> anyhow::Result<Self> {
        keys::private_folder(folder)?;
        let lock = File::create(folder.join("lock"))?;
        ensure!(lock.try_lock().is_ok(), "{} is in use by another sensor", folder.display());
        let run = keys::read_or_make(folder, "run", || Ok(format!("{}\n", random_run()?).into_bytes()))?;
        let run = std::str::from_utf8(&run)?.trim().parse().context("the spool's `run`")?;
        let held = Mutex::new(found(folder)?);
        let (room, more) = (Condvar::new(), Notify::new());
        Ok(Self { folder: folder.to_owned(), sensor, run, bytes_max, held, room, more, _lock: lock })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run's name.
    pub fn run(&self) -> Run {
        self.run
    }

    /// Batches and packets of the run, and batches that wait.
    pub fn counted(&self) -> (u64, u64, u64) {
        let held = self.held();
        (held.next, held.packets, held.waiting.len() as u64)
    }

    /// Puts a batch in as soon as there is room, or when it is time to stop, for that is the last one.
    pub fn put(&self, frames: &Frames, tail: Tail, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut held = self.held();
        // A batch that is larger than all the room there is goes in alone.
        while !held.waiting.is_empty()
            && held.bytes + (1 << 20) > self.bytes_max
            && !stop.load(Ordering::Relaxed)
        {
            if !std::mem::replace(&mut held.told_full, true) {
                eprintln!("noroshi: the spool is full; until there is room, packets are lost and counted");
            }
            held = self.room.wait_timeout(held, LOOK_UP).unwrap_or_else(PoisonError::into_inner).0;
        }
        held.told_full = false;
        let (number, before) = (held.next, held.packets);
        drop(held);
        let made_ns = u64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(0);
        let Tail { lost, left_out } = tail;
        let (sensor, run) = (self.sensor.clone(), self.run);
        let packed = batch::write(&Head { sensor, run, number, before, made_ns, lost, left_out }, frames)?;
        self.write(number, &packed)?;
        let mut held = self.held();
        held.waiting.insert(number, packed.len() as u64);
        held.bytes += packed.len() as u64;
        (held.next, held.packets) = (number + 1, before + frames.len() as u64);
        let purged = self.purge(&mut held);
        drop(held);
        self.more.notify_one();
        purged
    }

    /// Drops what was handed over long ago, or for which there is no room, but for the newest batch of all.
    fn purge(&self, held: &mut Held) -> anyhow::Result<()> {
        while let Some((number, (since, bytes))) = held.done.first_key_value()
            && (since.elapsed() >= KEPT || held.bytes + held.done_bytes > self.bytes_max)
            && number + 1 < held.next
        {
            let (number, bytes) = (*number, *bytes);
            fs::remove_file(self.path(number, "done"))?;
            held.done.remove(&number);
            held.done_bytes -= bytes;
        }
        Ok(())
    }

    fn write(&self, number: u64, packed: &[u8]) -> anyhow::Result<()> {
        let (path, next) = (self.path(number, "batch"), self.folder.join("next"));
        let write = || {
            let mut file = File::create(&next)?;
            file.write_all(packed)?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }

    fn path(&self, number: u64, kind: &str) -> PathBuf {
        self.folder.join(format!("{number:020}.{kind}"))
    }

    /// The first batch that waits, behind this one.
    pub fn after(&self, number: Option<u64>) -> Option<u64> {
        let from = number.map_or(0, |number| number + 1);
        self.held().waiting.range(from..).next().map(|(number, _)| *number)
    }

    /// A batch that waits.
    pub fn read(&self, number: u64) -> anyhow::Result<Vec<u8>> {
        let path = self.path(number, "batch");
        fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
    }

    /// The local server has it.
    pub fn handed_over(&self, number: u64) -> anyhow::Result<()> {
        let mut held = self.held();
        let Some(bytes) = held.waiting.remove(&number) else { return Ok(()) };
        held.bytes -= bytes;
        fs::rename(self.path(number, "batch"), self.path(number, "done"))?;
        held.done.insert(number, (Instant::now(), bytes));
        held.done_bytes += bytes;
        let purged = self.purge(&mut held);
        drop(held);
        self.room.notify_one();
        purged
    }

    /// No more comes.
    pub fn close(&self) {
        self.held().closed = true;
        self.more.notify_one();
    }

    /// Whether nothing waits and no more comes.
    pub fn is_over(&self) -> bool {
        let held = self.held();
        held.closed && held.waiting.is_empty()
    }

    /// Whether no more comes.
    pub fn is_closed(&self) -> bool {
        self.held().closed
    }

    /// Waits until there may be more.
    pub async fn more(&self) {
        self.more.notified().await;
    }
}

/// What a start before this left: all of it waits again.
fn found(folder: &Path) -> anyhow::Result<Held> {
    let mut held = Held::default();
    for name in super::names(folder)? {
        let Some((number, kind @ ("batch" | "done"))) = name.split_once('.') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        let path = folder.join(&name);
        if kind == "done" {
            fs::rename(&path, path.with_extension("batch"))?;
        }
        let bytes = fs::metadata(path.with_extension("batch"))?.len();
        held.waiting.insert(number, bytes);
        held.bytes += bytes;
    }
    if let Some((number, _)) = held.waiting.last_key_value() {
        let path = folder.join(format!("{number:020}.batch"));
        let mut frames = Frames::default();
        let told = batch::read(&fs::read(&path)?, &mut frames);
        let head = told.with_context(|| format!("{} cannot be read", path.display()))?;
        (held.next, held.packets) = (number + 1, head.before + frames.len() as u64);
    }
    Ok(held)
}

#[cfg(test)]
mod tests;
