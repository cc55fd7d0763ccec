//! The segments of all days, and the way through them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::pool::Place;
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
    /// In the order of days.
    parts: Vec<Part>,
    doubt_max_s: u32,
    /// Blocks or prefixes of several sizes: a row of one says nothing about another that lies within.
    mixed: bool,
}

#[derive(Debug)]
struct Part {
    day: i32,
    segment: Arc<Segment>,
}

/// Parts in which an address is looked up at once, so that memory is waited for once: few looks go further.
const AHEAD: usize = 3;

impl Days {
    /// From parts by day.
    pub fn new(days: &BTreeMap<i32, Day>) -> Self {
        let of_day = |(day, parts): (&i32, &Day)| {
            let day = *day;
            parts.parts.values().cloned().map(move |segment| Part { day, segment }).collect::<Vec<_>>()
        };
        let parts: Vec<Part> = days.iter().flat_map(of_day).collect();
        let doubt_max_s = parts.iter().map(|part| part.segment.doubt_max_s()).max().unwrap_or(0);
        let sizes = parts.iter().fold(Sizes::default(), |all, part| all.with(part.segment.sizes()));
        Self { parts, doubt_max_s, mixed: sizes.mixed() }
    }

    /// The largest doubt about a border in any of them.
    pub fn doubt_max_s(&self) -> u32 {
        self.doubt_max_s
    }

    /// Puts the rows near a moment into `near`: from its day on until one was over later, or of every day to come where
    /// `untidy` says that rows of the slot overlap. Tells whether blocks of ports were near and no port was told.
    #[inline]
    pub fn near(&self, point: Point, reach: Reach, untidy: bool, near: &mut Near) -> bool {
        let mut shared = false;
        let mut found = Found::default();
        let mut rest = self.from(reach);
        while !rest.is_empty() {
            let places = places(rest, point);
            for (at, place) in places.iter().enumerate().take(rest.len()) {
                let one = rest[at].segment.near(point, *place, reach, near);
                found = Found {
                    past: found.past | one.past,
                    covers: found.covers | one.covers,
                    shared: found.shared | one.shared,
                };
                shared |= found.shared;
                if rest.get(at + 1).is_some_and(|next| next.day == rest[at].day) {
                    continue;
                }
                let enough = if self.mixed { found.covers } else { found.past };
                if shared || (enough && !untidy) {
                    return shared;
                }
                found = Found::default();
            }
            rest = rest.get(AHEAD..).unwrap_or_default();
        }
        shared
    }

    /// Touches what [`Days::near`] will read.
    #[inline]
    pub fn touch(&self, point: Point, reach: Reach) -> u8 {
        let parts = self.from(reach);
        let places = places(parts, point);
        parts.iter().zip(places).fold(0, |seen, (part, place)| seen ^ part.segment.touch(place))
    }

    /// Parts from the moment's day on.
    #[inline]
    fn from(&self, reach: Reach) -> &[Part] {
        let first = day_of(reach.at_s - reach.within_s);
        &self.parts[self.parts.partition_point(|part| part.day < first)..]
    }

    /// All segments, by day.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.parts.iter().map(|part| &*part.segment)
    }
}

/// Where an IPv4 address is in the next few parts.
#[inline]
fn places(parts: &[Part], point: Point) -> [Place; AHEAD] {
    let mut places = [Place::Nowhere; AHEAD];
    if let Some(ip) = point.v4 {
        places.iter_mut().zip(parts).for_each(|(place, part)| *place = part.segment.find(ip));
    }
    places
}
