//! Who was given which address by ISC Kea: its lease files, and the log it keeps for that very question.
//!
//! ```text
//!   kea-leases4.csv, kea-leases6.csv ──leases──▶ Sealed<Assignment> │ BadSealed
//!   kea-legal.20261122.txt ───────────legal───▶
//! ```
//!
//! The lease file is the server's memory, not a log: lease clean-up (LFC) rewrites it every hour and what was before is gone,
//! so follow it while it grows. The forensic log (`legal_log`) keeps everything and says when a lease ended; where it can be
//! had, it is the better source. Both at once do no harm.

mod leases;
mod legal;

pub use leases::{KeaLeases, LeasesError, read_kea_leases};
pub use legal::{KeaLegal, KeaLegalFormat, read_kea_legal};
