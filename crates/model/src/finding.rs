//! Events that point at one responsible party and say one thing: "the holder of this address ran Mirai from 03:12 to
//! 03:40". Who that holder is, is not known yet; finding out needs a permit.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::Id;

/// Silence after which the same address and family make a new finding.
pub const FINDING_GAP: SignedDuration = SignedDuration::from_mins(60);

/// Most sightings kept with one finding; a chattering bot says nothing new after that.
pub const SIGHTINGS_MAX: usize = 512;

/// One time at which the address was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sighting {
    /// When.
    pub at: Timestamp,
    /// From which source port, where the feed says.
    pub port: Option<u16>,
}

/// Events of one address, one family, one feed, with no long silence between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Finding {
    /// Hash of address, family, measure and the first event.
    pub id: Id,
    /// The address.
    pub ip: IpAddr,
    /// The malware family, or the RSIT type.
    pub family: String,
    /// The campaign (`feed.code`).
    pub campaign: String,
    /// The measure under which its holder may be told.
    pub measure: String,
    /// The events behind it.
    pub events: Vec<Id>,
    /// The times at which it was seen, ascending.
    pub sightings: Vec<Sighting>,
    /// Sightings beyond [`SIGHTINGS_MAX`] that are counted only.
    pub sightings_left_out: u64,
}

impl Finding {
    /// First time seen.
    pub fn first(&self) -> Option<Timestamp> {
        self.sightings.first().map(|s| s.at)
    }

    /// Last time seen.
    pub fn last(&self) -> Option<Timestamp> {
        self.sightings.last().map(|s| s.at)
    }
}
