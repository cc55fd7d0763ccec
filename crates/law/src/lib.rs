//! Why we may look.
//!
//! Knowing, using or leaking communications data is an offence in Japan, for the carrier itself too (Telecommunications
//! Business Act, Art. 4 and 179), unless the subscriber consents or a justification holds. This crate turns that into
//! types: data enters as [`Sealed`], and the only way to read it is a [`Permit`] whose type names the purpose. The gate
//! mints permits after the rulebook has allowed the ask, and every look is in the evidence log before it happens.
//!
//! ```text
//!   Sealed<T> ──open(&Permit<P>, ledger)──▶ Lawful<T, P> ──▶ fn notify(to: Lawful<Subscriber, P: NoticePurpose>)
//!                      ▲          │
//!   Ask ─▶ Gate ─▶ Ruling         └─▶ evidence entry, written first
//!            ▲
//!   Dossier (basis and its written elements) + Rulebook (policy text)
//! ```
//!
//! In reading order: [`purpose`] what data may be used for; [`basis`] why that is lawful; [`dossier`] one measure as a
//! document; [`ask`] a request; [`gate`] ruling, permit, refusal; [`per_record`] what is left to check of each record under a
//! permit; [`sealed`] data under seal and data that may be read; [`vault`] the same at rest; [`release`] the way out of a restriction; [`shelf`] keys that end;
//! [`evidence`] the tamper-evident record of every look.
//!
//! **Absent on purpose:** no `Deref`, `Clone`, `Serialize` or transparent `Debug` on anything sealed, and no constructor of
//! a permit outside the gate. The `compile_fail` examples on [`sealed`] and [`gate`] are tests.

pub mod ask;
pub mod basis;
pub mod dossier;
pub mod evidence;
pub mod gate;
pub mod per_record;
pub mod purpose;
pub mod release;
pub mod sealed;
pub mod shelf;
pub mod vault;

pub use ask::{Ask, Role, Use};
pub use basis::{Basis, BasisKind, Consent, Emergency, LegitimateBusiness};
pub use dossier::{Dossier, Register};
pub use evidence::{Ledger, LedgerError, Record};
pub use gate::{Denied, Gate, Permit, Refusal, Rulebook, Ruling, Standing};
pub use per_record::{OptOuts, PerRecord, Stop};
pub use purpose::{
    AlwaysOn, CncBlocking, DnsAmpFilter, FlowCnc, InPassing, InfectionNotice, LineQuarantine, NoticePurpose,
    PppoeAbuse, Purpose, ReflectorNotice, SessionKeeping, SiteWarning, SmtpAuthAbuse, TakedownNotice,
};
pub use sealed::{Lawful, Sealed};
pub use shelf::{FileKey, ShelfKey};
pub use vault::{Lockable, Locked, Vault};
