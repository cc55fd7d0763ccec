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
const AHEAD: usize = 2;

/// Where an address is in so many parts.
pub type Places = [Place; AHEAD];

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

    /// The first day that has rows.
    pub fn first_day(&self) -> Option<i32> {
        self.parts.first().map(|part| part.day)
    }

    /// The part with which a look begins: the first of the moment's day.
    #[inline]
    pub fn first(&self, reach: Reach) -> usize {
        let day = day_of(reach.at_s - reach.within_s);
        // A first guess: a part for each day.
        let Some(lowest) = self.parts.first() else { return 0 };
        let guess = usize::try_from(i64::from(day) - i64::from(lowest.day)).unwrap_or(0);
        let is_first = |at: usize| {
            self.parts.get(at).is_some_and(|part| part.day == day)
                && at.checked_sub(1).is_none_or(|before| self.parts[before].day < day)
        };
        if is_first(guess) { guess } else { self.parts.partition_point(|part| part.day < day) }
    }

    /// Where an IPv4 address is in the next few parts.
    #[inline]
    pub fn places(&self, point: Point, first: usize) -> Places {
        let mut places = Places::default();
        if let Some(ip) = point.v4 {
            let parts = self.parts.get(first..).unwrap_or_default();
            places.iter_mut().zip(parts).for_each(|(place, part)| *place = part.segment.find(ip));
        }
        places
    }

    /// Puts the rows near a moment into `near`: from its day on until one was over later, or of every day to come where
    /// `untidy` says that rows of the slot overlap. Tells whether blocks of ports were near and no port was told. Where to
    /// begin, and the places there, have been found before.
    #[inline]
    pub fn near(
        &self,
        point: Point,
        reach: Reach,
        (first, mut places): (usize, Places),
        untidy: bool,
        near: &mut Near,
    ) -> bool {
        let mut found = Found::default();
        for at in first..self.parts.len() {
            let ahead = (at - first) % AHEAD;
            if ahead == 0 && at > first {
                places = self.places(point, at);
            }
            let part = &self.parts[at];
            found = found.with(part.segment.near(point, places[ahead], reach, near));
            if self.parts.get(at + 1).is_some_and(|next| next.day == part.day) {
                continue;
            }
            let enough = if self.mixed { found.covers } else { found.past };
            if found.shared || (enough && !untidy) {
                break;
            }
            found = Found::default();
        }
        found.shared
    }

    /// Touches the tiles in which [`Days::places`] will look, so that many looks wait for memory at once.
    #[inline]
    pub fn touch_tiles(&self, point: Point, first: usize) -> u8 {
        let Some(ip) = point.v4 else { return 0 };
        let parts = self.parts.get(first..).unwrap_or_default();
        parts.iter().take(AHEAD).fold(0, |seen, part| seen ^ part.segment.touch_tile(ip))
    }

    /// Touches the rows at which [`Days::near`] will look.
    #[inline]
    pub fn touch_rows(&self, first: usize, places: &Places) -> u8 {
        let parts = self.parts.get(first..).unwrap_or_default();
        parts.iter().zip(places).fold(0, |seen, (part, place)| seen ^ part.segment.touch(*place))
    }

    /// All segments, by day.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.parts.iter().map(|part| &*part.segment)
    }
}
