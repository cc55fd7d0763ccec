//! The spool: what was fetched or pushed, durable on disk before anything is made of it. A crash at any moment leaves
//! either a whole body, which is taken in at the next start, or a torn one, which nobody was told is here and is removed.
//!
//! ```text
//!   ID.part (locked by its writer) ──whole: ID.json, then renamed──▶ ID.body ──taken in──▶ gone
//!                                                                           └─unreadable──▶ refused/ID.body
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use noroshi_model::Id;
use serde::{Deserialize, Serialize};

use crate::keys;

/// Bodies that may wait in one spool.
pub const WAITING_MAX: usize = 256;
/// Most bytes of a body's description.
const META_BYTES_MAX: u64 = 64 << 10;

/// What is known of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The file's name as its origin gave it, for people and for formats that go by it.
    pub file_name: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// What the validators belong to.
    pub setting: String,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub modified: Option<String>,
}

/// A body that is whole and durable.
#[derive(Clone, Debug)]
pub struct Spooled {
    /// Its id: by time, then random.
    pub id: String,
    /// Where it lies.
    pub body: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What is known of it.
    pub meta: Meta,
}

/// Why a body was not spooled.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It is longer than allowed.
    #[error("it has more than {0} bytes (max-bytes of the source)")]
    TooLarge(u64),
    /// The disk.
    #[error("the spool cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// One source's spool.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
}

impl Spool {
    /// Opens a source's spool, making it where there is none.
    pub fn open(data_dir: &Path, source: &str) -> anyhow::Result<Self> {
        let folder = data_dir.join("spool").join(source);
        keys::private_folder(&folder)?;
        Ok(Self { folder })
    }

    /// Makes this process the only one that takes in what the spool holds, until the file is dropped; `None` where
    /// another one does.
    pub fn lock(&self) -> anyhow::Result<Option<File>> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => {
                Err(e).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }

    /// Begins a body of at most `max` bytes.
    pub fn begin(&self, now: Timestamp, max: u64) -> Result<Writing, SpoolError> {
        let random = Id::random().ok_or_else(|| io::Error::other("the system gave no randomness"))?;
        let id = format!("{:013}-{}", now.as_millisecond().max(0), &random.as_str()[..16]);
        let part = self.folder.join(format!("{id}.part"));
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part)?;
        file.lock()?;
        Ok(Writing { folder: self.folder.clone(), id, part, file, bytes: 0, max })
    }

    /// What waits to be taken in, oldest first.
    pub fn waiting(&self) -> anyhow::Result<Vec<Spooled>> {
        let mut found = Vec::new();
        for entry in self.entries()? {
            if entry.extension().is_none_or(|e| e != "body") {
                continue;
            }
            let id = entry.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = fs::metadata(&entry)?.len();
            let meta = read_meta(&entry.with_extension("json")).unwrap_or_default();
            found.push(Spooled { id, body: entry, bytes, meta });
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    /// How many bodies are here, waiting and refused, and their bytes.
    pub fn held(&self) -> anyhow::Result<(usize, u64)> {
        let refused = fs::read_dir(self.folder.join("refused")).into_iter().flatten().flatten();
        let all = self.entries()?.into_iter().chain(refused.map(|entry| entry.path()));
        let bodies = all.filter(|path| path.extension().is_some_and(|e| e == "body" || e == "part"));
        Ok(bodies.fold((0, 0), |(count, bytes), path| {
            (count + 1, bytes + fs::metadata(&path).map_or(0, |m| m.len()))
        }))
    }

    /// Removes a body whose events are durable. The description goes last: a body without one would be of unknown time.
    pub fn done(&self, spooled: &Spooled) -> anyhow::Result<()> {
        fs::remove_file(&spooled.body)?;
        fs::remove_file(spooled.body.with_extension("json"))?;
        Ok(())
    }

    /// Puts a body aside that cannot be read; of those with `keep`, only the newest stay.
    pub fn refuse(&self, spooled: &Spooled, keep: Option<usize>) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("refused");
        keys::private_folder(&folder)?;
        let to = folder.join(format!("{}.body", spooled.id));
        fs::rename(&spooled.body, &to)?;
        fs::remove_file(spooled.body.with_extension("json"))?;
        if let Some(keep) = keep {
            let mut all: Vec<PathBuf> = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
            all.sort();
            for old in all.iter().rev().skip(keep) {
                fs::remove_file(old)?;
            }
        }
        Ok(to)
    }

    /// Removes what writers that are gone left behind. Whoever still writes holds a lock.
    pub fn tidy(&self) -> anyhow::Result<()> {
        for path in self.entries()? {
            let torn = match path.extension().and_then(|e| e.to_str()) {
                Some("part") => File::open(&path).is_ok_and(|file| file.try_lock().is_ok()),
                // In this order: a part that is gone because it was just finished has become a body.
                Some("json") => {
                    !path.with_extension("part").exists() && !path.with_extension("body").exists()
                }
                _ => false,
            };
            // Its writer may just have finished it.
            if torn
                && let Err(e) = fs::remove_file(&path)
                && e.kind() != io::ErrorKind::NotFound
            {
                return Err(e.into());
            }
        }
        Ok(())
    }

    fn entries(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder)
            .with_context(|| format!("{} cannot be read", self.folder.display()))?;
        Ok(entries.collect::<io::Result<Vec<_>>>()?.into_iter().map(|entry| entry.path()).collect())
    }
}

fn read_meta(path: &Path) -> Option<Meta> {
    use std::io::Read as _;
    let mut text = String::new();
    File::open(path).ok()?.take(META_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// A body being written; removed when dropped unfinished.
#[derive(Debug)]
pub struct Writing {
    folder: PathBuf,
    id: String,
    part: PathBuf,
    file: File,
    bytes: u64,
    max: u64,
}

impl Writing {
    /// The id under which it will wait.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.max {
            return Err(SpoolError::TooLarge(self.max));
        }
        Ok(self.file.write_all(bytes)?)
    }

    /// Makes it durable: after this it is taken in, whatever happens.
    pub fn finish(self, meta: Meta) -> Result<Spooled, SpoolError> {
        self.file.sync_all()?;
        let body = self.part.with_extension("body");
        let described = self.part.with_extension("json");
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&described)?;
        file.write_all(&serde_json::to_vec(&meta).map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&self.part, &body)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(Spooled { id: self.id.clone(), body, bytes: self.bytes, meta })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Renamed by now where it was finished.
        drop(fs::remove_file(&self.part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), "feed").unwrap();
        (folder, spool)
    }

    fn meta(second: i64) -> Meta {
        Meta {
            file_name: Some("a.csv".into()),
            at: Timestamp::from_second(second).unwrap(),
            ..Meta::default()
        }
    }

    #[test]
    fn what_is_finished_waits_in_order_and_what_is_not_is_gone() {
        let (_folder, spool) = spool();
        for second in [9, 5, 7] {
            let mut writing = spool.begin(meta(second).at, 100).unwrap();
            writing.add(b"body").unwrap();
            writing.finish(meta(second)).unwrap();
        }
        let mut open = spool.begin(meta(1).at, 100).unwrap();
        open.add(b"half").unwrap();
        spool.tidy().unwrap();
        assert_eq!(spool.held().unwrap(), (4, 16), "a writer at work is left alone");
        drop(open);
        let waiting = spool.waiting().unwrap();
        assert!(waiting.iter().map(|s| &s.meta).eq(&[meta(5), meta(7), meta(9)]), "{waiting:?}");
        spool.done(&waiting[0]).unwrap();
        assert!(spool.refuse(&waiting[1], Some(1)).unwrap().exists());
        assert_eq!((spool.waiting().unwrap().len(), spool.held().unwrap().0), (1, 2));
    }

    #[test]
    fn what_a_dead_writer_left_is_removed() {
        let (_folder, spool) = spool();
        fs::write(spool.folder.join("1-a.part"), b"torn").unwrap();
        fs::write(spool.folder.join("1-b.json"), b"{}").unwrap();
        spool.tidy().unwrap();
        assert_eq!(spool.entries().unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_body_beyond_its_bound_is_refused_and_leaves_nothing() {
        let (_folder, spool) = spool();
        let mut writing = spool.begin(meta(1).at, 5).unwrap();
        writing.add(b"12345").unwrap();
        assert!(matches!(writing.add(b"6"), Err(SpoolError::TooLarge(5))));
        drop(writing);
        assert_eq!(spool.held().unwrap(), (0, 0));
    }

    #[test]
    fn only_one_works_on_a_spool() {
        let (folder, spool) = spool();
        let held = spool.lock().unwrap();
        assert!(held.is_some());
        assert!(Spool::open(folder.path(), "feed").unwrap().lock().unwrap().is_none());
        drop(held);
        assert!(spool.lock().unwrap().is_some());
    }
}
