//! How good a feed's times are, judged from the times themselves.
//!
//! "Seen at 00:00:00" mostly means "seen on that day". Whoever looks up who held the address at midnight names somebody,
//! and likely the wrong one. A feed seldom says how its times are rounded; but rounded times show, because by chance one in
//! sixty falls on a full minute, one in 3,600 on a full hour, and one in 86,400 on the same second of every day. Where they
//! are more frequent, each such time may be rounded and is in doubt by as much. And an event from the future shows that
//! the feed's clock is ahead.
//!
//! Who is in doubt for too long loses an answer; who is in doubt for too short accuses the wrong person. So few samples
//! count as doubt. A clock that is behind cannot be told from a report that is late: what is known of a feed stands in
//! `network.clock-error-s` and is believed instead.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// How often times of a form came, by the form's number, to be kept and added up: see [`FeedClock::forms`].
pub type Forms = BTreeMap<i64, u64>;

const ALL: i64 = -1;
const FULL_MINUTE: i64 = -2;
const FULL_HOUR: i64 = -3;
/// Times on a full quarter of an hour, each quarter of the day for itself: a day begins on one of them in every zone.
const QUARTERS: i64 = 96;
/// Times so many seconds ahead of their arrival.
const AHEAD: i64 = 100;
/// Seconds by which a time may be ahead at most; one that is further is refused before it comes here.
const AHEAD_MAX_S: i64 = 3600;

const MINUTE_S: i64 = 60;
const QUARTER_S: i64 = 900;
const HOUR_S: i64 = 3600;
const DAY_S: i64 = 86_400;

/// How many times more often than by chance rounded times are before they are called rounded.
const SUSPECT: u64 = 3;
/// A full hour or day is ten times as suspect: it costs more to be wrong about it.
const SUSPECT_LONG: u64 = 10;

/// What is known of how good a feed's times are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedClock {
    forms: Forms,
}

impl FeedClock {
    /// From counts that were kept.
    pub fn new(forms: Forms) -> Self {
        Self { forms }
    }

    /// The counts, by number of the form: what [`FeedClock::new`] takes. Those of several can be added up.
    pub fn forms(&self) -> &Forms {
        &self.forms
    }

    /// Takes in the time of an event, which arrived at `observed`.
    pub fn add(&mut self, at: Timestamp, observed: Timestamp) {
        let mut count = |form| *self.forms.entry(form).or_default() += 1;
        count(ALL);
        if rounded(at, MINUTE_S) {
            count(FULL_MINUTE);
        }
        if rounded(at, HOUR_S) {
            count(FULL_HOUR);
        }
        if let Some(quarter) = quarter(at) {
            count(quarter);
        }
        let ahead_s = at.as_second() - observed.as_second();
        if ahead_s > 0 {
            count(AHEAD + ahead_s.min(AHEAD_MAX_S));
        }
    }

    /// By how many seconds a time of the feed may be wrong: how it may be rounded, or how far the feed's clock was ahead.
    pub fn off_s(&self, at: Timestamp) -> u32 {
        self.rounding_s(at).max(self.ahead_s())
    }

    /// The coarsest rounding of the feed's times, or how far its clock was ahead.
    pub fn worst_s(&self) -> u32 {
        let midnight = |quarter: i64| Timestamp::from_second(quarter * QUARTER_S).unwrap_or_default();
        let rounded = (0..QUARTERS).filter(|quarter| self.count(*quarter) > 0);
        let rounded = rounded.map(|quarter| self.rounding_s(midnight(quarter))).max().unwrap_or(0);
        let minutes = if self.is_suspect(FULL_MINUTE, MINUTE_S, SUSPECT) { MINUTE_S as u32 } else { 0 };
        rounded.max(minutes).max(self.ahead_s())
    }

    /// How many times were looked at.
    pub fn samples(&self) -> u64 {
        self.count(ALL)
    }

    fn rounding_s(&self, at: Timestamp) -> u32 {
        if let Some(quarter) = quarter(at)
            && self.is_suspect(quarter, DAY_S, SUSPECT_LONG)
            && self.is_common(quarter)
        {
            return DAY_S as u32;
        }
        if rounded(at, HOUR_S) && self.are_hours() {
            return HOUR_S as u32;
        }
        if rounded(at, MINUTE_S) && self.is_suspect(FULL_MINUTE, MINUTE_S, SUSPECT) {
            return MINUTE_S as u32;
        }
        0
    }

    /// Whether times of a form are more frequent than chance has them, which is one in `seconds`.
    fn is_suspect(&self, form: i64, seconds: i64, times: u64) -> bool {
        let chance = seconds.unsigned_abs();
        self.count(form).saturating_mul(chance) > self.samples().saturating_mul(times)
    }

    /// Whether full hours are more frequent than chance has them among full minutes, which is one in sixty.
    fn are_hours(&self) -> bool {
        self.count(FULL_HOUR) * 60 > self.count(FULL_MINUTE) * SUSPECT_LONG
    }

    /// Whether a quarter of the day has more than a fourth of all times that are on a quarter. Where they are spread over the
    /// day, they are hours.
    fn is_common(&self, quarter: i64) -> bool {
        let all: u64 = self.forms.range(0..QUARTERS).map(|(_, count)| count).sum();
        self.count(quarter) * 4 > all
    }

    /// How far the feed's clock was ahead; of many samples, a hundredth part may be anybody's mistake.
    fn ahead_s(&self) -> u32 {
        let mut mistakes = self.samples() / 100;
        for (form, count) in self.forms.range(AHEAD + 1..).rev() {
            if *count > mistakes {
                return u32::try_from(form - AHEAD).unwrap_or(u32::MAX);
            }
            mistakes -= count;
        }
        0
    }

    fn count(&self, form: i64) -> u64 {
        self.forms.get(&form).copied().unwrap_or(0)
    }
}

/// Whether a time is a whole number of so many seconds.
fn rounded(at: Timestamp, seconds: i64) -> bool {
    at.as_second().rem_euclid(seconds) == 0
}

/// The quarter of an hour of the day on whose first second a time is.
fn quarter(at: Timestamp) -> Option<i64> {
    rounded(at, QUARTER_S).then(|| at.as_second().rem_euclid(DAY_S) / QUARTER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn clock(times: impl IntoIterator<Item = i64>) -> FeedClock {
        let mut clock = FeedClock::default();
        for second in times {
            clock.add(Timestamp::from_second(second).unwrap(), at("2026-11-26T00:00:00Z"));
        }
        clock
    }

    /// Second number `n` of a time without a pattern, within a month.
    fn any(n: i64) -> i64 {
        1_760_000_000 + (n * 48_271) % 2_147_483_647 % 2_592_000
    }

    #[test]
    fn exact_times_are_believed_also_where_one_is_on_the_minute() {
        let clock = clock((0..5000).map(any));
        assert_eq!(clock.off_s(at("2026-11-20T03:12:07Z")), 0);
        assert_eq!(clock.off_s(at("2026-11-20T03:12:00Z")), 0);
        assert_eq!(clock.worst_s(), 0, "{clock:?}");
    }

    #[test]
    fn times_to_the_minute_hour_or_day_are_in_doubt_by_as_much() {
        let minutes = clock((0..200).map(|n| any(n) / 60 * 60));
        assert_eq!((minutes.off_s(at("2026-11-20T03:12:00Z")), minutes.worst_s()), (60, 60));
        let hours = clock((0..200).map(|n| any(n) / 3600 * 3600));
        assert_eq!((hours.off_s(at("2026-11-20T03:00:00Z")), hours.worst_s()), (3600, 3600));
        // Days of Japan, and of Nepal.
        for (zone_s, time) in [(32_400, "2026-11-19T15:00:00Z"), (20_700, "2026-11-19T18:15:00Z")] {
            let days = clock((0..200).map(|n| any(n) / DAY_S * DAY_S - zone_s));
            assert_eq!((days.off_s(at(time)), days.worst_s()), (86_400, 86_400));
        }
    }

    #[test]
    fn where_some_times_are_rounded_only_such_are_in_doubt() {
        let mixed = clock((0..1000).map(|n| if n % 3 == 0 { any(n) / DAY_S * DAY_S } else { any(n) }));
        assert_eq!(mixed.off_s(at("2026-11-20T00:00:00Z")), 86_400);
        assert_eq!(mixed.off_s(at("2026-11-20T13:27:42Z")), 0);
    }

    #[test]
    fn a_first_time_that_looks_rounded_is_in_doubt() {
        let first = clock([at("2026-11-20T00:00:00Z").as_second()]);
        assert_eq!(first.off_s(at("2026-11-20T00:00:00Z")), 86_400);
        assert_eq!(FeedClock::default().off_s(at("2026-11-20T00:00:01Z")), 0);
    }

    #[test]
    fn a_clock_that_was_ahead_is_in_doubt_by_that_and_a_mistake_among_many_is_not_its_clock() {
        let mut clock = FeedClock::default();
        for n in 0..1000 {
            let arrived = Timestamp::from_second(any(n)).unwrap();
            let ahead_s = if n < 300 { 45 } else { -600 };
            clock.add(arrived + jiff::SignedDuration::from_secs(ahead_s), arrived);
        }
        clock.add(at("2026-11-20T03:10:07Z"), at("2026-11-20T03:01:07Z"));
        assert_eq!(clock.off_s(at("2026-11-20T03:12:07Z")), 45);
    }

    #[test]
    fn what_is_kept_gives_the_same_answers() {
        let one = clock((0..300).map(|n| any(n) / 3600 * 3600));
        assert_eq!(FeedClock::new(one.forms().clone()), one);
    }
}
