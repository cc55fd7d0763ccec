//! The tamper-evident record of every look.
//!
//! ```text
//!   Record ──append──▶ Entry (index, canonical JSON) ──leaf hash──▶ Tree ──root──▶ signed Checkpoint
//!                                                                     └────────▶ Proof (one entry, verifiable offline)
//! ```
//!
//! [`entry`] what an entry says; [`tree`] the Merkle tree (RFC 9162 section 2.1); [`note`] checkpoints as C2SP signed
//! notes; [`audit`] the walk over a whole log that names what was changed, removed or moved; [`proof`] one entry as
//! a document.

pub mod audit;
pub mod entry;
pub mod note;
pub mod proof;
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
}
