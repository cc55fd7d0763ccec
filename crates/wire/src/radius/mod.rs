//! Who had which address when, by RADIUS accounting (RFC 2866, RFC 2869): FreeRADIUS 3.x `detail` files, and the packets
//! themselves.
//!
//! ```text
//!   bytes ────detail──▶ attributes ─┐
//!                                   ├─meaning─▶ Accounting ──▶ Sealed<Assignment>s + ClockSample
//!   datagram ─packet──▶ attributes ─┘                    └───▶ BadSealed
//! ```
//!
//! And the other way, to the access server: a line is changed, or disconnected ([`dynamic`]).
//!
//! This is communications data. It is sealed in the same call that recognises it, good or bad, and the
//! attributes as such never leave this folder.

mod accounting;
mod assignments;
mod client;
mod detail;
pub mod dynamic;
mod meaning;
mod packet;

pub use accounting::{
    Accounting, BadSealed, ClockSample, DELAY_S_MAX, Details, Status, read_detail, slot, slots_of,
};
pub use assignments::DetailAssignments;
pub use client::Packet;
pub use detail::{ATTRIBUTES_MAX, VALUE_BYTES_MAX};
pub use meaning::Attribute;
pub use packet::{EmptySecret, PACKET_BYTES_MAX, PacketError, PacketId, Request, Secret, read_packet};
