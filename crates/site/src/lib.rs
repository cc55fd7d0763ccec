//! How likely a site does harm, and why one may think so.
//!
//! ```text
//! text ── address ──▶ host ── parts ──▶ signs ── model (weights) ──▶ ┐
//!                     path ─────────────────────────────────────────▶ ├─ score: evidence that adds up, in words (say)
//!                     lists, liveness, warning lists ───────────────▶ ┘
//! ```
//!
//! Pure: no sockets, no files, no clock. What a site is known for is kept in the store, and asked by the program. Why additive, and not
//! trees that would find a little more: who objects to being listed is owed the whole reason.

pub mod address;
pub mod model;
pub mod parts;
mod path;
pub mod popular;
pub mod say;
mod score;
pub mod signs;
pub mod words;

pub use address::{Address, AddressError, Host};
pub use model::Model;
pub use score::{Evidence, Known, Life, Listing, PRIOR, Score, Threat, Verdict, score};
