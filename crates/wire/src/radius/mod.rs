//! Who had which address when: FreeRADIUS 3.x `detail` files of RADIUS accounting (RFC 2866, RFC 2869).
//!
//! ```text
//!   bytes ──detail──▶ attributes ──accounting──▶ Sealed<Accounting> + ClockSample
//!                                          └───▶ BadSealed
//! ```
//!
//! This is communications data. It is sealed in the same call that recognises it, good or bad, and the
//! attributes as such never leave this folder.

mod accounting;
mod detail;

pub use accounting::{
    Accounting, BadSealed, ClockSample, DELAY_S_MAX, Details, Status, read_detail, slot, slots_of,
};
pub use detail::{ATTRIBUTES_MAX, VALUE_BYTES_MAX};
