//! Where the evidence log lives: entries, checkpoints, the tree's frontier, the roots of its full tiles, and a copy of the
//! newest checkpoint outside the database, so that cutting the log's tail off shows.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use noroshi_law::evidence::audit::{Claims, Fault, Report, StoredEntry, TileRoots, audit};
use noroshi_law::evidence::note::{Signer, Verifier};
use noroshi_law::evidence::proof::{Growth, Proof};
use noroshi_law::evidence::tile::{self, ENTRY_BYTES_MAX, HEIGHT, Tile, TileError, Tiled};
use noroshi_law::evidence::tree::{Frontier, leaf_hash};
use noroshi_law::evidence::{Digest, Entry};
use noroshi_law::{Ledger, LedgerError, Record};

use crate::row::{Row, Value, values};
use crate::{Store, StoreError, Tx};

/// Entries read at a time.
const PAGE: u32 = 1000;
/// Entries appended in one transaction, under one signature; more take several.
pub const BATCH_MAX: usize = 8192;
/// Entries in one statement.
const ROWS: usize = 32;

/// The evidence log in a store. Cheap to make; appends are serialised by the database.
#[derive(Debug)]
pub struct EvidenceLog<'a> {
    pub(crate) store: &'a Store,
    pub(crate) signer: &'a Signer,
    head: Option<&'a HeadFile>,
}

/// The newest checkpoint, kept in a file beside the database.
#[derive(Debug)]
pub struct HeadFile {
    path: PathBuf,
    /// The largest that is to be written, by its size.
    newest: Mutex<(u64, String)>,
    /// The size of what was written.
    written: Mutex<u64>,
}

impl HeadFile {
    /// A head file at a path, made at the first append.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), newest: Mutex::default(), written: Mutex::default() }
    }

    /// What it holds.
    pub fn read(&self) -> Option<String> {
        std::fs::read_to_string(&self.path).ok()
    }

    /// Replaces it atomically, unless a later one was written meanwhile, by this process or another. Of many who come at once, the
    /// first writes the newest of all.
    fn write(&self, size: u64, note: &str) -> std::io::Result<()> {
        let newest = || self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut newest = newest();
            if size > newest.0 {
                *newest = (size, note.to_owned());
            }
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if size <= *written {
            return Ok(());
        }
        let (size, note) = newest().clone();
        let lock =
            std::fs::File::options().create(true).append(true).open(self.path.with_extension("lock"))?;
        lock.lock()?;
        let stated = self.read().and_then(|note| note.lines().nth(1)?.parse::<u64>().ok());
        *written = (*written).max(stated.unwrap_or(0));
        if size <= *written {
            return Ok(());
        }
        let next = self.path.with_extension("next");
        let mut file = std::fs::File::create(&next)?;
        file.write_all(note.as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&next, &self.path)?;
        *written = size;
        Ok(())
    }
}

impl<'a> EvidenceLog<'a> {
    /// The log of a store, signed with `signer`.
    pub fn new(store: &'a Store, signer: &'a Signer, head: Option<&'a HeadFile>) -> Self {
        Self { store, signer, head }
    }

    /// Walks the whole log and says what is wrong with it.
    pub fn verify(&self) -> Result<Report, StoreError> {
        self.verify_with(&self.signer.verifier())
    }

    /// The same against a public key from elsewhere.
    pub fn verify_with(&self, key: &Verifier) -> Result<Report, StoreError> {
        self.verify_against(key, &[])
    }

    /// The same, with checkpoints that somebody kept: the log must be each of theirs, with entries added.
    pub fn verify_against(&self, key: &Verifier, kept: &[String]) -> Result<Report, StoreError> {
        let mut heads: Vec<String> = self.head.and_then(HeadFile::read).into_iter().collect();
        let headless = self.head.is_some() && heads.is_empty();
        heads.extend_from_slice(kept);
        let mut report = self.store.verify_evidence(key, &heads)?;
        if headless && report.entries > 0 {
            report.faults.push(Fault::NoHead);
        }
        Ok(report)
    }

    /// The proof of one entry against the newest checkpoint.
    pub fn prove(&self, index: u64) -> Result<Option<Proof>, StoreError> {
        let key = self.signer.verifier();
        let proof = self.store.tx("evidence.prove", |tx| {
            let Some(body) = tx.row("SELECT body FROM evidence WHERE idx = ?1", values![index])? else {
                return Ok(None);
            };
            let Some((size, note)) = tx.newest_checkpoint()? else { return Ok(None) };
            let mut tiles = Tiled::new(size, |tile| tx.tile(tile));
            Proof::build(index, body.bytes(0)?, (&note, &key), &mut tiles).map_err(of_tiles)
        })?;
        match proof.as_ref().map(|proof| proof.verify(&key)) {
            Some(Err(e)) => {
                Err(StoreError::Corrupt(format!("the proof of entry {index} does not hold: {e}")))
            }
            _ => Ok(proof),
        }
    }

    /// The proof that the newest checkpoint's log is that of an earlier one, grown: of one in the log, by its size.
    pub fn prove_growth(&self, from: u64) -> Result<Option<Growth>, StoreError> {
        let sql = "SELECT note FROM evidence_checkpoint WHERE size = ?1";
        let key = self.signer.verifier();
        self.store.tx("evidence.growth", |tx| {
            let Some(row) = tx.row(sql, values![from])? else { return Ok(None) };
            let Some((size, note)) = tx.newest_checkpoint()? else { return Ok(None) };
            let mut tiles = Tiled::new(size, |tile| tx.tile(tile));
            Growth::build(row.text(0)?, &note, &key, &mut tiles).map_err(of_tiles)
        })
    }

    /// The sizes below and above one that were signed, for somebody who asked for one that was not.
    pub fn signed_sizes_around(&self, size: u64) -> Result<Vec<u64>, StoreError> {
        self.store.tx("evidence.sizes", |tx| {
            let below = "SELECT CAST(MAX(size) AS BIGINT) FROM evidence_checkpoint WHERE size < ?1";
            let above = "SELECT CAST(MIN(size) AS BIGINT) FROM evidence_checkpoint WHERE size > ?1";
            let mut sizes = Vec::new();
            for sql in [below, above] {
                sizes.extend(tx.row(sql, values![size])?.and_then(|row| row.count(0).ok()));
            }
            Ok(sizes)
        })
    }

    /// Entries from `offset` on, newest first. They are numbered without gaps, so a page far back costs what the first one does.
    pub fn page(&self, offset: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.store.look("evidence.page", |tx| {
            let size = tx.number("SELECT size FROM evidence_head WHERE id = 1", &[])?.unsigned_abs();
            tx.evidence_below(size.saturating_sub(offset), limit)
        })
    }
}

/// What went wrong with the tree's own hashes.
pub(crate) fn of_tiles(e: TileError<StoreError>) -> StoreError {
    match e {
        TileError::Source(e) => e,
        TileError::Short(_) => StoreError::Corrupt(format!("the evidence log's tree: {e}")),
    }
}

impl From<StoreError> for LedgerError {
    fn from(e: StoreError) -> Self {
        LedgerError(e.to_string())
    }
}

impl Ledger for EvidenceLog<'_> {
    fn append(&mut self, record: Record) -> Result<u64, LedgerError> {
        let indices = self.append_all(std::slice::from_ref(&record))?;
        indices.first().copied().ok_or_else(|| LedgerError("nothing was appended".into()))
    }

    fn append_all(&mut self, records: &[Record]) -> Result<Vec<u64>, LedgerError> {
        let mut indices = Vec::with_capacity(records.len());
        for batch in records.chunks(BATCH_MAX) {
            let (first, note) =
                self.store.tx_in_turn("evidence.append", |tx| tx.append_evidence(batch, self.signer))?;
            let end = first + batch.len() as u64;
            if let Some(head) = self.head {
                head.write(end, &note).map_err(|e| LedgerError(format!("head file: {e}")))?;
            }
            indices.extend(first..end);
        }
        Ok(indices)
    }
}

impl Store {
    /// Walks the whole log against a public key; needs no secret.
    pub fn verify_evidence(&self, key: &Verifier, heads: &[String]) -> Result<Report, StoreError> {
        self.tx("evidence.verify", |tx| {
            let notes = tx.rows("SELECT size, note FROM evidence_checkpoint ORDER BY size", &[])?;
            let notes = notes
                .iter()
                .map(|row| Ok((row.count(0)?, row.text(1)?.to_owned())))
                .collect::<Result<Vec<_>, StoreError>>()?;
            let hashes = tx.rows("SELECT level, idx, hash FROM evidence_hash", &[])?;
            let hashes = hashes
                .iter()
                .map(|row| {
                    let hash = Digest::from_slice(row.bytes(2)?).unwrap_or(Digest::ZERO);
                    Ok(((row.count(0)? as u32, row.count(1)?), hash))
                })
                .collect::<Result<TileRoots, StoreError>>()?;
            let mut pages = Pages { tx, next: -1, rows: Vec::new().into_iter(), failed: None };
            let claims = Claims { checkpoints: &notes, heads, hashes: &hashes };
            let report = audit(&mut pages, claims, key);
            pages.failed.map_or(Ok(report), Err)
        })
    }
}

/// Reads the log in pages, so that auditing takes the same memory for any length.
struct Pages<'a, 'b> {
    tx: &'a mut Tx<'b>,
    next: i64,
    rows: std::vec::IntoIter<Row>,
    failed: Option<StoreError>,
}

impl Pages<'_, '_> {
    fn row(&mut self) -> Result<Option<StoredEntry>, StoreError> {
        if self.rows.len() == 0 {
            let sql = "SELECT idx, body, leaf FROM evidence WHERE idx > ?1 ORDER BY idx LIMIT ?2";
            self.rows = self.tx.rows(sql, values![self.next, PAGE])?.into_iter();
        }
        let Some(row) = self.rows.next() else { return Ok(None) };
        self.next = row.int(0)?;
        let leaf = Digest::from_slice(row.bytes(2)?).unwrap_or(Digest::ZERO);
        Ok(Some(StoredEntry { index: row.count(0)?, body: row.bytes(1)?.to_vec(), leaf }))
    }
}

impl Iterator for &mut Pages<'_, '_> {
    type Item = StoredEntry;

    fn next(&mut self) -> Option<StoredEntry> {
        match self.row() {
            Ok(row) => row,
            Err(e) => {
                self.failed = Some(e);
                None
            }
        }
    }
}

impl Tx<'_> {
    /// Appends side by side and signs once; gives the first index and the checkpoint.
    fn append_evidence(&mut self, records: &[Record], signer: &Signer) -> Result<(u64, String), LedgerError> {
        let mut frontier = self.frontier()?;
        let first = frontier.size();
        let mut roots = Vec::new();
        let mut rows = Vec::with_capacity(records.len() * 3);
        for (index, record) in (first..).zip(records) {
            let body = record.at_place(index);
            if body.len() > ENTRY_BYTES_MAX {
                let why = format!("an entry of {} bytes; {ENTRY_BYTES_MAX} are the most", body.len());
                return Err(LedgerError(why));
            }
            let leaf = leaf_hash(&body);
            frontier.append_telling(leaf, &mut |height, index, root| {
                if height > 0 && height.is_multiple_of(HEIGHT) {
                    roots.push((height / HEIGHT, index, root));
                }
            });
            rows.extend([index.into(), body.into(), leaf.0.to_vec().into()]);
        }
        let note = signer.checkpoint(frontier.size(), frontier.root());
        self.insert_entries(&rows)?;
        if !roots.is_empty() {
            self.fill_tile_roots(first)?;
        }
        for (level, index, root) in roots {
            self.put_tile_root(level, index, root)?;
        }
        let peaks: Vec<u8> = frontier.peaks().iter().flat_map(|p| p.0).collect();
        self.execute(
            "INSERT INTO evidence_checkpoint (size, note) VALUES (?1, ?2)",
            values![frontier.size(), &note],
        )?;
        self.execute(
            "INSERT INTO evidence_head (id, size, peaks) VALUES (1, ?1, ?2)
             ON CONFLICT (id) DO UPDATE SET size = excluded.size, peaks = excluded.peaks",
            values![frontier.size(), peaks],
        )?;
        Ok((first, note))
    }

    /// Writes entries, three values each, many in a statement: over a network the statements are what costs.
    fn insert_entries(&mut self, values: &[Value]) -> Result<(), StoreError> {
        let insert = |rows: usize| {
            let row = |n: usize| format!("(?{}, ?{}, ?{})", 3 * n + 1, 3 * n + 2, 3 * n + 3);
            let rows: Vec<String> = (0..rows).map(row).collect();
            format!("INSERT INTO evidence (idx, body, leaf) VALUES {}", rows.join(", "))
        };
        let (one, many) = (insert(1), insert(ROWS));
        let whole = values.chunks_exact(3 * ROWS);
        let rest = whole.remainder();
        for rows in whole {
            self.execute(&many, rows)?;
        }
        for row in rest.chunks_exact(3) {
            self.execute(&one, row)?;
        }
        Ok(())
    }

    fn put_tile_root(&mut self, level: u32, index: u64, root: Digest) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO evidence_hash (level, idx, hash) VALUES (?1, ?2, ?3)",
            values![level, index, root.0.to_vec()],
        )?;
        Ok(())
    }

    /// Writes the roots of full tiles that a log from before they were stored has none of.
    fn fill_tile_roots(&mut self, size: u64) -> Result<(), StoreError> {
        for level in 1..u64::BITS / HEIGHT {
            let sql = "SELECT CAST(COALESCE(MAX(idx) + 1, 0) AS BIGINT) FROM evidence_hash WHERE level = ?1";
            let next = self.number(sql, values![level])?.unsigned_abs();
            for index in next..size >> (level * HEIGHT) {
                let root = self.tile_root(level, index)?;
                self.put_tile_root(level, index, root)?;
            }
        }
        Ok(())
    }

    /// The root of the full tile below a place of a level's row.
    fn tile_root(&mut self, level: u32, index: u64) -> Result<Digest, StoreError> {
        let below = Tile { level: level - 1, index, width: tile::WIDTH };
        let hashes = self.tile(below)?;
        tile::root(&hashes)
            .ok_or_else(|| StoreError::Corrupt(format!("the evidence log's tree: {below} is incomplete")))
    }

    /// The hashes of a tile: leaves are with their entries, the others stored, or else made from the level below.
    pub(crate) fn tile(&mut self, tile: Tile) -> Result<Vec<Digest>, StoreError> {
        let (first, end) = (tile.first(), tile.first() + tile.width);
        let rows = match tile.level {
            0 => self.rows(
                "SELECT idx, leaf FROM evidence WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
                values![first, end],
            )?,
            level => self.rows(
                "SELECT idx, hash FROM evidence_hash WHERE level = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx",
                values![level, first, end],
            )?,
        };
        let mut rows = rows.iter().peekable();
        let mut hashes = Vec::with_capacity(tile.width as usize);
        for index in first..end {
            let stored = match rows.peek() {
                Some(row) if row.count(0)? == index => rows.next(),
                _ => None,
            };
            hashes.push(match stored {
                Some(row) => Digest::from_slice(row.bytes(1)?)
                    .ok_or_else(|| StoreError::Corrupt("a hash of the wrong length".into()))?,
                None if tile.level > 0 => self.tile_root(tile.level, index)?,
                None => return Err(StoreError::Corrupt(format!("evidence entry {index} is missing"))),
            });
        }
        Ok(hashes)
    }

    /// The newest checkpoint and the number of entries that it is of.
    pub(crate) fn newest_checkpoint(&mut self) -> Result<Option<(u64, String)>, StoreError> {
        let newest = "SELECT size, note FROM evidence_checkpoint ORDER BY size DESC LIMIT 1";
        let row = self.row(newest, &[])?;
        row.map(|row| Ok((row.count(0)?, row.text(1)?.to_owned()))).transpose()
    }

    fn frontier(&mut self) -> Result<Frontier, StoreError> {
        let Some(row) = self.row("SELECT size, peaks FROM evidence_head WHERE id = 1", &[])? else {
            return Ok(Frontier::default());
        };
        let peaks = row.bytes(1)?.chunks(32).filter_map(Digest::from_slice).collect();
        Frontier::restore(row.count(0)?, peaks)
            .ok_or_else(|| StoreError::Corrupt("the evidence tree's frontier does not fit its size".into()))
    }

    /// How many entries the log has.
    pub fn evidence_count(&mut self) -> Result<u64, StoreError> {
        Ok(self.number("SELECT COUNT(*) FROM evidence", &[])?.unsigned_abs())
    }
}
