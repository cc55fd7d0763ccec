//! What comes from outside, read as if it were hostile.
//!
//! ```text
//!   bytes ──lines──▶ Line │ Bad ──csv──▶ Record │ Bad ──▶ seized        SeizedRow
//!                         └──radius, kea, isc, cgn, assignment_csv──▶ Sealed<Assignment>s │ BadSealed
//! ```
//!
//! Every reader here is an iterator with the same three answers: an outer error means that the file as a
//! whole cannot be used; a bad line is a value, with its place and reason, and reading goes on; anything else
//! is a typed row. Memory is bounded by named constants whatever the input is, nothing panics, and each
//! reader is a fuzz target.
//!
//! In reading order: [`lines`] bytes to numbered lines; [`csv`] lines to records; [`time`] a text to an
//! instant, or a refusal to guess; [`seized`] the log of a seized C&C server; [`elements`] the elements of a JSON
//! document; [`unpack`](mod@unpack) what is packed; [`postfix`] what a mail server did with a mail;
//! [`returned`] what it, a provider or a person sends back; [`out`] the other
//! direction: events as others read them.
//!
//! Who had which address when, sealed from the moment it is recognised: [`assignment`] what all sources come down to;
//! [`radius`] accounting; [`kea`] and [`isc`] leases, with [`dhcp`] for what they share; [`cgn`] the logs of address
//! translators; [`assignment_csv`] a table; [`nat_rules`] what no log tells, because it can be computed.
//!
//! Packets, too many to be records: [`capture`] files of them, one lent after the other; [`packet`] the headers of one; [`batch`] those
//! of a sensor on their way to the hub; [`cryptopan`] addresses that others may see.

pub mod assignment;
pub mod assignment_csv;
pub mod batch;
pub mod capture;
pub mod cgn;
pub mod cryptopan;
pub mod csv;
pub mod dhcp;
pub mod elements;
mod flat;
pub mod isc;
pub mod kea;
pub mod lines;
pub mod nat_rules;
pub mod out;
pub mod packet;
pub mod postfix;
pub mod radius;
pub mod returned;
pub mod seized;
pub mod tail;
pub mod time;
pub mod unpack;

pub use assignment::{Assignment, Change, Given, Whom};
pub use csv::{CsvError, CsvFormat, Header, Record, Records};
pub use elements::{Element, Elements};
pub use lines::{Encoding, Item, Line, Lines, LinesError};
pub use radius::{Accounting, BadSealed, ClockSample, Status, read_detail, read_packet, slots_of};
pub use seized::{SeizedError, SeizedFormat, SeizedRow, read_seized};
pub use time::{TimeFormat, Zone};
pub use unpack::{Input, unpack};
