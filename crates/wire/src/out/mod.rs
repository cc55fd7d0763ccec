//! What goes out: events in the forms others read, written as pure functions from an event's flat JSON to bytes.
//!
//! They live here and not beside the sender because a format is a format in whichever direction it is used: this crate
//! knows what CSV and STIX are, the program knows where to send them and what was acknowledged. IntelMQ's own form needs
//! no writer: the event log keeps events in it, and they leave byte for byte as they were stored.
//!
//! In reading order: [`csv`] rows for people and spreadsheets; [`stix`] observed data for platforms.

pub mod csv;
pub mod stix;
