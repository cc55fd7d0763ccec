//! The segments of all days, and the way through them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::row::Near;
use crate::segment::{Found, Point, Reach, Segment, Sizes, day_of};

/// One day: mostly one segment; late comers add to it until it is merged.
#[derive(Debug, Default)]
pub struct Day {
    /// By file name.
    pub parts: BTreeMap<String, Arc<Segment>>,
}

/// All days that there are.
#[derive(Debug, Default)]
pub struct Days {
    days: Vec<(i32, Vec<Arc<Segment>>)>,
    doubt_max_s: u32,
    /// Blocks or prefixes of several sizes: a row of one says nothing about another that lies within.
    mixed: bool,
}

impl Days {
    /// From parts by day.
    pub fn new(days: &BTreeMap<i32, Day>) -> Self {
        let days: Vec<(i32, Vec<Arc<Segment>>)> =
            days.iter().map(|(day, parts)| (*day, parts.parts.values().cloned().collect())).collect();
        let doubt_max_s = days.iter().flat_map(|(_, parts)| parts).map(|part| part.doubt_max_s()).max();
        let sizes = days
            .iter()
            .flat_map(|(_, parts)| parts)
            .fold(Sizes::default(), |all, part| all.with(part.sizes()));
        Self { days, doubt_max_s: doubt_max_s.unwrap_or(0), mixed: sizes.mixed() }
    }

    /// The largest doubt about a border in any of them.
    pub fn doubt_max_s(&self) -> u32 {
        self.doubt_max_s
    }

    /// Puts the rows near a moment into `near`: from its day on until one was over later, or of every day to come where
    /// `untidy` says that rows of the slot overlap. Tells whether blocks of ports were near and no port was told.
    #[inline]
    pub fn near(&self, point: Point, reach: Reach, untidy: bool, near: &mut Near) -> bool {
        let first = day_of(reach.at_s - reach.within_s);
        let from = self.days.partition_point(|(day, _)| *day < first);
        let mut shared = false;
        for (_, parts) in &self.days[from..] {
            let mut found = Found::default();
            for part in parts {
                let one = part.near(point, reach, near);
                found = Found {
                    past: found.past | one.past,
                    covers: found.covers | one.covers,
                    shared: found.shared | one.shared,
                };
            }
            shared |= found.shared;
            let enough = if self.mixed { found.covers } else { found.past };
            if shared || (enough && !untidy) {
                break;
            }
        }
        shared
    }

    /// All segments, by day.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.days.iter().flat_map(|(_, parts)| parts).map(|part| &**part)
    }
}
