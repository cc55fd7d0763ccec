//! The policy resolver: DNS answers, and warnings instead of malicious ones.
//!
//! ```text
//!   UDP workers ┐                    ┌ policy (zones' rules) ─▶ verdict
//!   streams     ┴▶ message ─▶ walk ──┼ cache (steps)         ─▶ answer
//!                                    └ back end: forward or recurse, for what is not known
//! ```
//!
//! In reading order: [`name`]; [`policy`], which rule decides; [`message`], what is read and written; [`step`] and
//! [`cache`], what is known.

pub mod cache;
pub mod client;
pub mod clock;
pub mod consent;
pub mod dnssec;
pub mod exchange;
pub mod exempt;
pub mod forward;
pub mod heard;
pub mod icap;
pub mod message;
pub mod name;
pub mod pace;
pub mod policy;
pub mod recurse;
pub mod resolver;
pub mod serve;
pub mod step;
pub mod url;
pub mod walk;
pub mod zone;
