//! What the telescope's pages need to know, beside what all others do: counts of a day, what to expect, and what map and sphere are drawn from.

use jiff::Timestamp;
use noroshi_model::Id;
use noroshi_model::organisation::Alert;
use noroshi_model::telescope::{Campaign, MinuteCount, Sighting, SpanCount, TelescopeState};
use serde::Serialize;

use super::DeskError;
use crate::cursor::{Cursor, Placed};

/// What telescopes counted over the last day.
#[derive(Clone, Debug)]
pub struct TelescopePage {
    /// Until when.
    pub at: Timestamp,
    /// Those that were there.
    pub telescopes: Vec<TelescopeState>,
    /// Minute by minute.
    pub minutes: Vec<MinuteCount>,
    /// By what and of which, most senders first.
    pub day: Vec<SpanCount>,
    /// The same of the week before.
    pub week: Vec<SpanCount>,
    /// Campaigns that were found, the last first.
    pub campaigns: Vec<Campaign>,
    /// What to expect of this hour and of the same tomorrow, where enough is known.
    pub expected: Vec<Expected>,
}

/// What to expect of an hour.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Expected {
    /// When it begins.
    pub hour: Timestamp,
    /// `packets` or `senders`.
    pub what: &'static str,
    /// As often too high as too low.
    pub mean: u64,
    /// One hour in ten is below.
    pub low: u64,
    /// One hour in ten is above.
    pub high: u64,
    /// Error so far, to that of taking the same hour a week before; below one is better. None before three weeks.
    pub error: Option<f64>,
    /// Part of the hours so far that were between `low` and `high`.
    pub coverage: Option<f64>,
}

/// An organisation in the sphere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// What it is called.
    pub key: String,
    /// What it calls itself.
    pub name: String,
    /// How many ranges it has.
    pub ranges: usize,
}

/// An alert, and where on its organisation's ring its address is.
#[derive(Clone, Debug)]
pub struct PlacedAlert {
    /// It.
    pub alert: Alert,
    /// From 0 to 1, all its ranges being of one length.
    pub place: f64,
}

/// What map and sphere are drawn from.
#[derive(Clone, Debug)]
pub struct Sky {
    /// As it was when.
    pub now: Timestamp,
    /// Telescopes that are there.
    pub telescopes: Vec<TelescopeState>,
    /// Organisations.
    pub rings: Vec<Ring>,
    /// What was seen of them in the last day.
    pub alerts: Vec<PlacedAlert>,
    /// Who was seen, the newest first.
    pub sightings: Vec<Sighting>,
}

/// What is new in it.
#[derive(Clone, Debug)]
pub struct SkyNews {
    /// Until when.
    pub until: Timestamp,
    /// Who was seen, the newest first.
    pub sightings: Vec<Sighting>,
    /// What was seen of organisations.
    pub alerts: Vec<PlacedAlert>,
}

impl Placed for Sighting {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.at.as_millisecond(), keys: vec![self.id.to_string()] }
    }
}

impl Placed for Campaign {
    fn cursor(&self) -> Cursor {
        Cursor { at: self.known.as_millisecond(), keys: vec![self.id.to_string()] }
    }
}

/// What telescopes wrote down. Calls block, as those of the [desk](super::Desk) do.
pub trait Telescopes {
    /// What telescopes counted over the last day.
    fn telescope(&self) -> Result<TelescopePage, DeskError>;
    /// The day as a picture.
    fn telescope_svg(&self) -> Result<String, DeskError>;
    /// Who was seen by telescopes, some of many, the last first, behind a place.
    fn telescope_sightings(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Sighting>, DeskError>;
    /// One of them.
    fn telescope_sighting(&self, id: &Id) -> Result<Sighting, DeskError>;
    /// Campaigns that telescopes found, the last first, behind a place.
    fn telescope_campaigns(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Campaign>, DeskError>;
    /// One of them.
    fn telescope_campaign(&self, id: &Id) -> Result<Campaign, DeskError>;
    /// What map and sphere are drawn from: as it is now, or was then.
    fn sky(&self, at: Option<Timestamp>) -> Result<Sky, DeskError>;
    /// What was new since then, or in the last seconds, until now or another time.
    fn sky_since(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<SkyNews, DeskError>;
}
