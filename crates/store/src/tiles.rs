//! The evidence log as a folder of tiles (C2SP `tlog-tiles`) that any web server serves.
//!
//! ```text
//!   tiles that the folder has not ──▶ each written beside, synced, renamed ──▶ folders synced ──▶ checkpoint, the same way
//! ```
//!
//! A tile never changes once it has its name, and the checkpoint comes last, so the folder is a complete log at any moment,
//! whatever breaks off: the old one or the new one. Nothing is published that does not fit what was signed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use noroshi_law::evidence::Digest;
use noroshi_law::evidence::tile::{self, CHECKPOINT, Tile, Tiled};
use noroshi_law::evidence::tree::{leaf_hash, range_root};

use crate::StoreError;
use crate::evidence::{EvidenceLog, of_tiles};
use crate::row::values;

/// Held while the folder is written.
const LOCK: &str = ".lock";

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exported {
    /// Entries that the folder's checkpoint was of.
    pub from: u64,
    /// Entries that it is of now.
    pub entries: u64,
    /// Files written.
    pub files: u64,
}

/// Why the folder is not as new as the log.
#[derive(Debug, thiserror::Error)]
pub enum TilesError {
    /// The log cannot be read, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What the folder holds is another log, or a later state of this one than the database has.
    #[error("{0}")]
    Forked(String),
}

impl EvidenceLog<'_> {
    /// Writes what a folder of tiles lacks, up to the newest checkpoint.
    pub fn export_tiles(&self, folder: &Path) -> Result<Exported, TilesError> {
        let out = Folder::open(folder)?;
        let newest = self.store.tx("evidence.tiles", |tx| tx.newest_checkpoint())?;
        let Some((size, note)) = newest else { return Ok(Exported { from: 0, entries: 0, files: 0 }) };
        let from = self.published(&out, size)?;
        let mut files = 0;
        let mut folders = BTreeSet::from([folder.to_owned()]);
        for tile in Tile::since(from, size) {
            let (hashes, bundle) = self.tile_and_bundle(tile)?;
            files += out.put(&tile.path(), &tile::to_bytes(&hashes), &mut folders)?;
            if let Some(bundle) = bundle {
                files += out.put(&tile.entries_path(), &bundle, &mut folders)?;
            }
        }
        self.fits(size, &note)?;
        folders.iter().try_for_each(|folder| sync(folder))?;
        if out.read(CHECKPOINT)?.as_deref() != Some(note.as_bytes()) {
            out.replace(CHECKPOINT, note.as_bytes())?;
            sync(folder)?;
            files += 1;
        }
        out.forget_partial(from, size)?;
        Ok(Exported { from, entries: size, files })
    }

    /// How many entries the folder has, if they are the first of ours.
    fn published(&self, out: &Folder<'_>, size: u64) -> Result<u64, TilesError> {
        let Some(note) = out.read(CHECKPOINT)? else { return Ok(0) };
        let stated = String::from_utf8_lossy(&note);
        let stated = self.signer.verifier().open(&stated).map_err(|e| {
            TilesError::Forked(format!("the folder holds the checkpoint of another log: {e}"))
        })?;
        if stated.size > size {
            let why = format!(
                "the folder's checkpoint is of {} entries, the log has {size}: its last entries were cut off",
                stated.size
            );
            return Err(TilesError::Forked(why));
        }
        if self.root(stated.size)? != stated.root {
            let why = format!(
                "the folder's {} entries are not those of the log: one of the two was rewritten",
                stated.size
            );
            return Err(TilesError::Forked(why));
        }
        Ok(stated.size)
    }

    /// The root over the first entries.
    fn root(&self, size: u64) -> Result<Digest, StoreError> {
        self.store.tx("evidence.root", |tx| {
            range_root(0, size, &mut Tiled::new(size, |tile| tx.tile(tile))).map_err(of_tiles)
        })
    }

    fn fits(&self, size: u64, note: &str) -> Result<(), StoreError> {
        let stated = self.signer.verifier().open(note).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        if stated.size == size && self.root(size)? == stated.root {
            return Ok(());
        }
        Err(StoreError::Corrupt("the entries are not those that were signed; run `evidence verify`".into()))
    }

    /// A tile and, at level 0, its entries, which are held against their hashes.
    fn tile_and_bundle(&self, tile: Tile) -> Result<(Vec<Digest>, Option<Vec<u8>>), StoreError> {
        let sql = "SELECT body FROM evidence WHERE idx >= ?1 AND idx < ?2 ORDER BY idx";
        let (hashes, bodies) = self.store.tx("evidence.tile", |tx| {
            let bodies = match tile.level {
                0 => tx.rows(sql, values![tile.first(), tile.first() + tile.width])?,
                _ => Vec::new(),
            };
            Ok::<_, StoreError>((tx.tile(tile)?, bodies))
        })?;
        if tile.level > 0 {
            return Ok((hashes, None));
        }
        let bodies = bodies.iter().map(|row| row.bytes(0)).collect::<Result<Vec<_>, _>>()?;
        for ((index, body), hash) in (tile.first()..).zip(&bodies).zip(&hashes) {
            if leaf_hash(body) != *hash {
                return Err(StoreError::Corrupt(format!("evidence entry {index} was changed")));
            }
        }
        let bundle = tile::bundle(bodies);
        let bundle =
            bundle.ok_or_else(|| StoreError::Corrupt(format!("{tile} has an entry too long to publish")));
        Ok((hashes, Some(bundle?)))
    }
}

/// The folder, locked.
struct Folder<'a> {
    at: &'a Path,
    _lock: File,
}

impl<'a> Folder<'a> {
    fn open(at: &'a Path) -> Result<Self, TilesError> {
        let path = at.join(LOCK);
        let open = || {
            fs::create_dir_all(at)?;
            let lock = File::create(&path)?;
            lock.lock()?;
            Ok(lock)
        };
        Ok(Self { at, _lock: open().map_err(failed(&path))? })
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, TilesError> {
        let path = self.at.join(path);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(&path)(e)),
        }
    }

    /// Writes a file that will not change any more, unless it is there; tells of the folders whose names it adds to.
    fn put(&self, path: &str, bytes: &[u8], folders: &mut BTreeSet<PathBuf>) -> Result<u64, TilesError> {
        match self.read(path)? {
            Some(there) if there == bytes => return Ok(0),
            Some(_) => {
                return Err(TilesError::Forked(format!("{path} is there already, and is another log's")));
            }
            None => {}
        }
        let target = self.at.join(path);
        let above = target.ancestors().skip(1).take_while(|folder| folder.starts_with(self.at));
        let above: Vec<&Path> = above.collect();
        if let Some(folder) = above.first() {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        self.replace(path, bytes)?;
        folders.extend(above.into_iter().map(Path::to_owned));
        Ok(1)
    }

    /// Writes a file beside, makes it durable, and gives it its name.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), TilesError> {
        let target = self.at.join(path);
        let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let beside = target.with_file_name(format!(".{name}.new"));
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&beside, &target)
        };
        write().map_err(failed(&target))
    }

    /// Partial tiles that are full now are not needed any more: who has an older checkpoint takes the full one.
    fn forget_partial(&self, from: u64, size: u64) -> Result<(), TilesError> {
        for tile in Tile::all(from).filter(|tile| !tile.is_full()) {
            let Some(full) = Tile::of(tile.level, tile.index, size).filter(|tile| tile.is_full()) else {
                continue;
            };
            let entries = (tile.level == 0).then(|| full.entries_path());
            for path in [Some(full.path()), entries].into_iter().flatten() {
                let partial = self.at.join(format!("{path}.p"));
                match fs::remove_dir_all(&partial) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&partial)(e)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> Result<(), TilesError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> TilesError + use<> {
    let path = path.to_owned();
    |error| TilesError::Folder { path, error }
}
