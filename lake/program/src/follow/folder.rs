//! The folder where `noroshi darknet` keeps batches: what waits there, and what is set aside. It is the one place that others write into,
//! so nothing in it is believed: a file is looked at by its name, its size and its kind before it is read.
//!
//! ```text
//!   DIR/SENSOR.RUN.NUMBER.batch     waits            DIR/aside/NAME, NAME.why   cannot be taken up, and why
//!   DIR/.NAME.next                  being written    DIR/.follower              locked by whoever takes up
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use noroshi_wire::batch::{self, BatchName, SensorName};
use noroshi_wire::capture::Frames;

/// Most bytes of a batch's file; who packs makes them smaller, whatever is in them.
const FILE_BYTES_MAX: u64 = 2 << 20;
/// Most files that are set aside; of what is more only the count is kept.
const ASIDE_MAX: usize = 1000;
/// Where they go.
const ASIDE: &str = "aside";

/// A batch that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// What it is.
    pub name: BatchName,
    /// Bytes of the file.
    pub bytes: u64,
    /// Since when.
    pub since: SystemTime,
}

/// The folder, as long as nobody else takes from it.
pub struct Folder {
    folder: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens one that may be new.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let lock = File::create(folder.join(".follower"))
            .with_context(|| format!("{} cannot be written to", folder.display()))?;
        ensure!(lock.try_lock().is_ok(), "{} is followed by another process", folder.display());
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// What waits, by sensor: run by run, those of the run that began first before the others, each in order of its numbers. What cannot be a
    /// batch is set aside; how many files those were is given back too.
    pub fn waiting(&self) -> anyhow::Result<(BTreeMap<SensorName, Vec<Waiting>>, u64)> {
        let mut all = BTreeMap::<SensorName, Vec<Waiting>>::new();
        let mut aside = 0;
        let entries = fs::read_dir(&self.folder)
            .with_context(|| format!("{} cannot be read", self.folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().and_then(|name| name.parse::<BatchName>().ok()) else { continue };
            let found = entry.metadata()?;
            if !found.is_file() || found.len() > FILE_BYTES_MAX {
                self.set_aside(&name, "it is no file, or larger than a batch can be")?;
                aside += 1;
                continue;
            }
            let since = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            all.entry(name.sensor.clone()).or_default().push(Waiting { name, bytes: found.len(), since });
        }
        for batches in all.values_mut() {
            let mut begun = BTreeMap::new();
            for batch in &*batches {
                let since = begun.entry(batch.name.run).or_insert(batch.since);
                *since = batch.since.min(*since);
            }
            batches.sort_by_cached_key(|batch| {
                (begun.get(&batch.name.run).copied(), batch.name.run, batch.name.number)
            });
        }
        Ok((all, aside))
    }

    /// Reads one; the inner error is why it is none.
    pub fn read(&self, batch: &Waiting, frames: &mut Frames) -> anyhow::Result<Result<(), String>> {
        let path = self.path(&batch.name);
        let mut bytes = Vec::new();
        let opened = File::open(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        opened.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(match batch::read(&bytes, frames) {
            Ok(head) if BatchName::of(&head) == batch.name => {
                // A clock that is ahead is not believed. By when the file was written, for that is the same when it is taken up again.
                let since = batch.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
                frames.no_later_than(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
                Ok(())
            }
            Ok(_) => Err("it is another batch than it is called".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// What was taken up goes. Should it come back after a loss of power, it is known.
    pub fn remove(&self, name: &BatchName) -> anyhow::Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be removed", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// What cannot be taken up goes out of the way, with the reason beside it.
    pub fn set_aside(&self, name: &BatchName, why: &str) -> anyhow::Result<()> {
        let aside = self.folder.join(ASIDE);
        fs::create_dir_all(&aside)?;
        eprintln!("noroshi-lake: {name} is set aside: {why}");
        // Two files for each.
        if fs::read_dir(&aside)?.count() >= 2 * ASIDE_MAX {
            return match fs::metadata(self.path(name)) {
                Ok(found) if found.is_dir() => Ok(fs::remove_dir_all(self.path(name))?),
                _ => self.remove(name),
            };
        }
        fs::write(aside.join(format!("{name}.why")), format!("{why}\n"))?;
        fs::rename(self.path(name), aside.join(name.to_string()))
            .with_context(|| format!("{name} cannot be set aside"))
    }

    fn path(&self, name: &BatchName) -> PathBuf {
        self.folder.join(name.to_string())
    }
}
