//! Policy zones as they travel: fetched from a primary, kept on disk, given to others.
//!
//! ```text
//!   primary ──transfer──▶ secondary ──▶ policy
//!                             │ kept (whole, changes)
//!   operator's file ──────────┴────────▶ primary ──▶ BIND, Unbound, PowerDNS, Knot, other noroshis
//! ```

pub mod kept;
pub mod primary;
pub mod secondary;
pub mod transfer;

use crate::name::Name;
use crate::policy::rule::{ZoneRecord, rtype};

pub use domain::tsig::Key;

/// A record that outlives its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Its owner, absolute.
    pub owner: Name,
    /// The type's number.
    pub rtype: u16,
    /// In seconds.
    pub ttl: u32,
    /// Data in wire form, its names uncompressed.
    pub data: Vec<u8>,
}

impl OwnedRecord {
    /// A SOA of another version.
    #[must_use]
    pub fn with_serial(&self, serial: u32) -> Self {
        let mut soa = self.clone();
        if let Some(at) = soa.data.len().checked_sub(20) {
            soa.data[at..at + 4].copy_from_slice(&serial.to_be_bytes());
        }
        soa
    }

    /// The same, lent.
    pub fn lend(&self) -> ZoneRecord<'_> {
        ZoneRecord { owner: &self.owner, rtype: self.rtype, ttl: self.ttl, data: &self.data }
    }
}

/// What changed from one version to another. The new SOA is among what came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The version that it changes.
    pub from: u32,
    /// The version that it makes.
    pub to: u32,
    /// Records that are gone.
    pub gone: Vec<OwnedRecord>,
    /// Records that came.
    pub come: Vec<OwnedRecord>,
}

/// Whether version `one` came after `other` (RFC 1982).
pub fn is_newer(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

/// What a SOA says of its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// The version.
    pub serial: u32,
    /// Seconds until the primary is asked again.
    pub refresh_s: u32,
    /// Seconds until it is asked again after it did not answer.
    pub retry_s: u32,
    /// Seconds without an answer after which the zone is out of date.
    pub expire_s: u32,
}

impl Timers {
    /// What a record's data says, if it is a SOA.
    pub fn of(kind: u16, data: &[u8]) -> Option<Self> {
        if kind != rtype::SOA {
            return None;
        }
        let (_, primary) = Name::from_wire(data).ok()?;
        let (_, mailbox) = Name::from_wire(data.get(primary..)?).ok()?;
        let at = |place: usize| {
            let start = primary + mailbox + place * 4;
            Some(u32::from_be_bytes(data.get(start..start + 4)?.try_into().ok()?))
        };
        Some(Self { serial: at(0)?, refresh_s: at(1)?, retry_s: at(2)?, expire_s: at(3)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_go_round() {
        assert!(is_newer(2, 1));
        assert!(!is_newer(1, 2));
        assert!(!is_newer(1, 1));
        assert!(is_newer(0, u32::MAX));
        assert!(is_newer(1 << 31, 1));
    }
}
