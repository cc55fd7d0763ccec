//! The tamper-evident record of every look.
//!
//! ```text
//!   Record ──append──▶ Entry (index, canonical JSON) ──leaf hash──▶ Tree ──root──▶ signed Checkpoint
//!                                                                     ├────────▶ Proof, Growth (verifiable offline)
//!                                                                     └────────▶ tiles (files that anybody may fetch)
//! ```
//!
//! [`entry`] what an entry says; [`tree`] the Merkle tree (RFC 9162 section 2.1); [`tile`] the same as files (C2SP
//! `tlog-tiles`); [`note`] checkpoints as C2SP signed notes; [`audit`] the walk over a whole log that names what was
//! changed, removed or moved; [`proof`] one entry, or the log's growth, as a document; [`disclosure`] what the public is
//! told of it.

pub mod audit;
pub mod disclosure;
pub mod entry;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;

pub use entry::{Digest, Entry, Kind, Record};

/// The log could not take the record, so whatever it was for must not happen.
#[derive(Debug, thiserror::Error)]
#[error("the evidence log could not be written: {0}")]
pub struct LedgerError(pub String);

/// Where evidence goes. An append returns only when the entry is durable and covered by a signed checkpoint.
pub trait Ledger {
    /// Appends one record and returns its index.
    fn append(&mut self, record: Record) -> Result<u64, LedgerError>;

    /// Appends many records, side by side and in their order, and returns their indices: as durable and as signed as one,
    /// at a fraction of the cost where the ledger can take them together. After an error some may be in the log, and then
    /// stand for looks that did not happen; the other way round is not possible.
    fn append_all(&mut self, records: &[Record]) -> Result<Vec<u64>, LedgerError> {
        records.iter().map(|record| self.append(record.clone())).collect()
    }
}
