//! The segments of all days, and the way through them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::pool::Place;
use crate::row::Near;
use crate::segment::{Begins, Found, Point, Reach, Segment, day_of};

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
    /// IPv4 addresses that have blocks of ports, in order, and whether somebody had the whole of one, too.
    shared: Vec<(u32, bool)>,
    /// IPv6 prefixes of several lengths.
    nested: bool,
}

#[derive(Debug)]
struct Part {
    day: i32,
    segment: Arc<Segment>,
    /// When the first row of this part and of all later ones began.
    begins: Begins,
}

/// What may be held beside each other at a point. Of one slot's rows, the first that was over after the moment is the only
/// one that can have been there. A row of one slot says nothing about another slot around or within it, so where there may be
/// such, all days are looked through until none has rows that began before.
#[derive(Clone, Copy)]
enum Slots {
    One,
    Blocks { whole: bool },
    Nested,
}

/// Parts in which an address is looked up at once, so that memory is waited for once: few looks go further.
const AHEAD: usize = 2;

/// Where an address is in so many parts.
pub type Places = [Place; AHEAD];

impl Days {
    /// From parts by day.
    pub fn new(days: &BTreeMap<i32, Day>) -> Self {
        let mut parts: Vec<Part> = days
            .iter()
            .flat_map(|(day, of_day)| of_day.parts.values().map(|segment| (*day, Arc::clone(segment))))
            .map(|(day, segment)| Part { day, begins: segment.begins(), segment })
            .collect();
        let mut begins = Begins::NEVER;
        for part in parts.iter_mut().rev() {
            begins = begins.with(part.begins);
            part.begins = begins;
        }
        let doubt_max_s = parts.iter().map(|part| part.segment.doubt_max_s()).max().unwrap_or(0);
        let lengths = parts.iter().map(|part| part.segment.lengths());
        let (lengths, whole) = lengths.fold((0, false), |all, one| (all.0 | one.0, all.1 | one.1));
        let mut shared: Vec<u32> = parts.iter().flat_map(|part| part.segment.shared()).copied().collect();
        shared.sort_unstable();
        shared.dedup();
        let had_whole = |ip| parts.iter().any(|part| part.segment.find(ip) != Place::Nowhere);
        let shared = shared.into_iter().map(|ip| (ip, had_whole(ip))).collect();
        Self { parts, doubt_max_s, shared, nested: lengths.count_ones() + u32::from(whole) > 1 }
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

    /// Puts the rows near a moment into `near`: from its day on until one was over later, or as long as rows may have begun
    /// before where `untidy` says that rows of the slot overlap. Tells whether blocks of ports were near and no port was told. Where to
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
        let slots = self.slots(point);
        let mut found = Found::default();
        for at in first..self.parts.len() {
            let ahead = (at - first) % AHEAD;
            if ahead == 0 && at > first {
                places = self.places(point, at);
            }
            let part = &self.parts[at];
            found = found.with(part.segment.near(point, places[ahead], reach, near));
            if let (Slots::Blocks { .. }, Some(ip)) = (slots, point.v4) {
                found = found.with(part.segment.near_blocks(ip, point.port, reach, near));
            }
            let Some(next) = self.parts.get(at + 1) else { break };
            if next.day == part.day {
                continue;
            }
            let surely_last = matches!(slots, Slots::One) && !untidy && found.past;
            if found.shared || surely_last || reach.is_before(next.begins_s(point, slots)) {
                break;
            }
        }
        found.shared
    }

    #[inline]
    fn slots(&self, point: Point) -> Slots {
        match point.v4 {
            Some(ip) if !self.shared.is_empty() => match self.shared.binary_search_by_key(&ip, |at| at.0) {
                Ok(at) => Slots::Blocks { whole: self.shared[at].1 },
                Err(_) => Slots::One,
            },
            None if self.nested => Slots::Nested,
            _ => Slots::One,
        }
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

impl Part {
    /// When the first row of this part and of all later ones began that may tell of the point.
    fn begins_s(&self, point: Point, slots: Slots) -> i64 {
        match (point.v4, slots) {
            (None, _) => self.begins.v6_s,
            (_, Slots::Blocks { whole: false }) => self.begins.blocks_s,
            (_, Slots::Blocks { whole: true }) => self.begins.blocks_s.min(self.begins.whole_s),
            _ => self.begins.whole_s,
        }
    }
}
