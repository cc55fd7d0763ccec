//! Where the evidence log lives: entries, checkpoints, the tree's frontier, and a copy of the newest checkpoint outside
//! the database, so that cutting the log's tail off shows.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use noroshi_law::evidence::audit::{Fault, Report, StoredEntry, audit};
use noroshi_law::evidence::note::{Signer, Verifier};
use noroshi_law::evidence::proof::Proof;
use noroshi_law::evidence::tree::{Frontier, leaf_hash};
use noroshi_law::evidence::{Digest, Entry};
use noroshi_law::{Ledger, LedgerError, Record};

use crate::row::{Row, values};
use crate::{Store, StoreError, Tx};

/// Entries read at a time.
const PAGE: u32 = 1000;

/// The evidence log in a store. Cheap to make; appends are serialised by the database.
#[derive(Debug)]
pub struct EvidenceLog<'a> {
    store: &'a Store,
    signer: &'a Signer,
    head: Option<&'a HeadFile>,
}

/// The newest checkpoint, kept in a file beside the database.
#[derive(Debug)]
pub struct HeadFile {
    path: PathBuf,
    size: Mutex<u64>,
}

impl HeadFile {
    /// A head file at a path, made at the first append.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), size: Mutex::new(0) }
    }

    /// What it holds.
    pub fn read(&self) -> Option<String> {
        std::fs::read_to_string(&self.path).ok()
    }

    /// Replaces it atomically, unless a later one was written meanwhile.
    fn write(&self, size: u64, note: &str) -> std::io::Result<()> {
        let mut written = self.size.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
        let heads: Vec<String> = self.head.and_then(HeadFile::read).into_iter().collect();
        let mut report = self.store.verify_evidence(key, &heads)?;
        if self.head.is_some() && heads.is_empty() && report.entries > 0 {
            report.faults.push(Fault::NoHead);
        }
        Ok(report)
    }

    /// The proof of one entry against the newest checkpoint.
    pub fn prove(&self, index: u64) -> Result<Option<Proof>, StoreError> {
        self.store.tx("evidence.prove", |tx| {
            let Some(body) = tx.row("SELECT body FROM evidence WHERE idx = ?1", values![index])? else {
                return Ok(None);
            };
            let newest = "SELECT note, size FROM evidence_checkpoint ORDER BY size DESC LIMIT 1";
            let Some(newest) = tx.row(newest, &[])? else { return Ok(None) };
            let leaves = tx.leaves(newest.count(1)?)?;
            Ok(Proof::build(index, body.bytes(0)?, &leaves, newest.text(0)?, &self.signer.verifier()))
        })
    }

    /// Entries from `offset` on, newest first.
    pub fn page(&self, offset: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.store.tx("evidence.page", |tx| {
            let rows = tx.rows(
                "SELECT body FROM evidence ORDER BY idx DESC LIMIT ?1 OFFSET ?2",
                values![limit, offset],
            )?;
            rows.iter()
                .map(|row| {
                    Entry::from_bytes(row.bytes(0)?)
                        .ok_or_else(|| StoreError::Corrupt("an evidence entry does not read".into()))
                })
                .collect()
        })
    }
}

impl Ledger for EvidenceLog<'_> {
    fn append(&mut self, record: Record) -> Result<u64, LedgerError> {
        let (index, note) = self
            .store
            .tx_in_turn("evidence.append", |tx| tx.append_evidence(record.clone(), self.signer))
            .map_err(|e| LedgerError(e.to_string()))?;
        if let Some(head) = self.head {
            head.write(index + 1, &note).map_err(|e| LedgerError(format!("head file: {e}")))?;
        }
        Ok(index)
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
            let mut pages = Pages { tx, next: -1, rows: Vec::new().into_iter(), failed: None };
            let report = audit(&mut pages, &notes, heads, key);
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
    fn append_evidence(&mut self, record: Record, signer: &Signer) -> Result<(u64, String), StoreError> {
        let mut frontier = self.frontier()?;
        let index = frontier.size();
        let body = Entry { index, record }.to_bytes();
        let leaf = leaf_hash(&body);
        frontier.append(leaf);
        let note = signer.checkpoint(frontier.size(), frontier.root());
        let peaks: Vec<u8> = frontier.peaks().iter().flat_map(|p| p.0).collect();
        self.execute(
            "INSERT INTO evidence (idx, body, leaf) VALUES (?1, ?2, ?3)",
            values![index, body, leaf.0.to_vec()],
        )?;
        self.execute(
            "INSERT INTO evidence_checkpoint (size, note) VALUES (?1, ?2)",
            values![frontier.size(), &note],
        )?;
        self.execute(
            "INSERT INTO evidence_head (id, size, peaks) VALUES (1, ?1, ?2)
             ON CONFLICT (id) DO UPDATE SET size = excluded.size, peaks = excluded.peaks",
            values![frontier.size(), peaks],
        )?;
        Ok((index, note))
    }

    fn frontier(&mut self) -> Result<Frontier, StoreError> {
        let Some(row) = self.row("SELECT size, peaks FROM evidence_head WHERE id = 1", &[])? else {
            return Ok(Frontier::default());
        };
        let peaks = row.bytes(1)?.chunks(32).filter_map(Digest::from_slice).collect();
        Frontier::restore(row.count(0)?, peaks)
            .ok_or_else(|| StoreError::Corrupt("the evidence tree's frontier does not fit its size".into()))
    }

    fn leaves(&mut self, size: u64) -> Result<Vec<Digest>, StoreError> {
        let rows = self.rows("SELECT leaf FROM evidence WHERE idx < ?1 ORDER BY idx", values![size])?;
        rows.iter()
            .map(|row| {
                Digest::from_slice(row.bytes(0)?)
                    .ok_or_else(|| StoreError::Corrupt("a leaf hash of the wrong length".into()))
            })
            .collect()
    }

    /// How many entries the log has.
    pub fn evidence_count(&mut self) -> Result<u64, StoreError> {
        Ok(self.number("SELECT COUNT(*) FROM evidence", &[])?.unsigned_abs())
    }
}
