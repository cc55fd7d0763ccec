//! The telescope's pages: what it counted over a day, who was seen, and the live views of it.
//!
//! `stats` is the first, with the figures; `records` what every mark in a view leads to; `sky` what map and sphere are drawn from, once and
//! then as it happens.

mod records;
mod sky;
mod stats;

pub(super) use records::{alert, campaign, campaigns, sighting, sightings};
pub(super) use sky::{live, map, sphere, state};
pub(super) use stats::{day, stats};
