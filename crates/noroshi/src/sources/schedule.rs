//! When a source is fetched: every so often, or at times of day, and after a failure again sooner, but ever more rarely.
//!
//! `every` and `at` are all that the known feeds need ("hourly", "daily at 06:30"), read the same by everybody, and jiff
//! knows what 02:30 means on the day when the clocks change. A cron line is neither.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use noroshi_store::sources::SourceState;

/// Pause after the first failure; doubled with each further one.
const BACKOFF: SignedDuration = SignedDuration::from_secs(30);
/// Longest pause after a failure, unless the schedule's own is longer.
const BACKOFF_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Longest pause that a server may ask for.
const ASKED_MAX: SignedDuration = SignedDuration::from_hours(24);
/// Shortest pause between two fetches.
pub const EVERY_MIN: SignedDuration = SignedDuration::from_secs(1);

/// When a source is due.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// After a pause, counted from the last attempt.
    Every(SignedDuration),
    /// At times of day.
    At(Vec<Time>, TimeZone),
    /// Whenever something is there.
    Always,
}

impl Schedule {
    /// When the source is due, given how it went last. A new one is due at once.
    pub fn due(&self, state: &SourceState) -> Timestamp {
        let Some(tried) = state.tried else { return Timestamp::MIN };
        match state.retry {
            Some(retry) if state.failures > 0 => retry,
            _ => self.after(tried),
        }
    }

    /// The next scheduled time after `then`.
    pub fn after(&self, then: Timestamp) -> Timestamp {
        match self {
            Self::Every(pause) => then.checked_add(*pause).unwrap_or(Timestamp::MAX),
            Self::At(times, zone) => {
                let local = then.to_zoned(zone.clone());
                let days = (0..3).filter_map(|n| local.date().checked_add(Span::new().days(n)).ok());
                let moments = days.flat_map(|day| times.iter().map(move |time| day.to_datetime(*time)));
                let moments = moments.filter_map(|at| at.to_zoned(zone.clone()).ok());
                moments.map(|at| at.timestamp()).filter(|at| *at > then).min().unwrap_or(Timestamp::MAX)
            }
            Self::Always => then,
        }
    }

    /// When to try again after the `failures`-th failure in a row. `hopeless`: nothing changes by trying soon. `asked`:
    /// what the server wants (Retry-After).
    pub fn retry(
        &self,
        now: Timestamp,
        failures: u32,
        hopeless: bool,
        asked: Option<SignedDuration>,
    ) -> Timestamp {
        let doubled = BACKOFF.checked_mul(1 << failures.saturating_sub(1).min(16)).unwrap_or(BACKOFF_MAX);
        let scheduled = self.after(now).duration_since(now);
        let pause = if hopeless { scheduled.max(BACKOFF_MAX) } else { doubled.min(BACKOFF_MAX) };
        let asked = asked.unwrap_or_default().min(ASKED_MAX);
        now.checked_add(pause.max(asked)).unwrap_or(Timestamp::MAX)
    }
}

/// Reads a `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
pub fn retry_after(text: &str, now: Timestamp) -> Option<SignedDuration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(SignedDuration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.duration_since(now)).filter(|pause| pause.is_positive())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn tried(text: &str) -> SourceState {
        SourceState { tried: Some(at(text)), ..SourceState::default() }
    }

    #[test]
    fn a_new_source_is_due_at_once_and_then_as_scheduled() {
        let hourly = Schedule::Every(SignedDuration::from_hours(1));
        assert!(hourly.due(&SourceState::default()) < at("2000-01-01T00:00:00Z"));
        assert_eq!(hourly.due(&tried("2026-11-22T06:00:00Z")), at("2026-11-22T07:00:00Z"));
    }

    #[test]
    fn times_of_day_hold_in_their_zone_also_when_the_clocks_change() {
        let tokyo = Schedule::At(
            vec!["06:30".parse().unwrap(), "18:00".parse().unwrap()],
            TimeZone::get("Asia/Tokyo").unwrap(),
        );
        assert_eq!(tokyo.after(at("2026-11-22T00:00:00Z")), at("2026-11-22T09:00:00Z"));
        assert_eq!(tokyo.after(at("2026-11-22T09:00:00Z")), at("2026-11-22T21:30:00Z"));
        let warsaw = Schedule::At(vec!["02:30".parse().unwrap()], TimeZone::get("Europe/Warsaw").unwrap());
        // 02:30 does not exist on 2026-03-29: an hour later by the wall, and the day is not left out.
        assert_eq!(warsaw.after(at("2026-03-28T12:00:00Z")), at("2026-03-29T01:30:00Z"));
        assert_eq!(warsaw.after(at("2026-03-29T01:30:00Z")), at("2026-03-30T00:30:00Z"));
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely_and_as_the_server_asks() {
        let often = Schedule::Every(SignedDuration::from_mins(1));
        let now = at("2026-11-22T00:00:00Z");
        let pause = |n, asked| often.retry(now, n, false, asked).duration_since(now).as_secs();
        assert_eq!([1, 2, 3, 4, 9, 40].map(|n| pause(n, None)), [30, 60, 120, 240, 3600, 3600]);
        assert_eq!(pause(1, Some(SignedDuration::from_secs(700))), 700);
        assert_eq!(pause(1, Some(SignedDuration::from_hours(9000))), 86_400, "within reason");
        let daily = Schedule::Every(SignedDuration::from_hours(24));
        assert_eq!(daily.retry(now, 1, true, None).duration_since(now), SignedDuration::from_hours(24));
        let failed = SourceState { failures: 1, retry: Some(now), ..tried("2026-11-21T23:00:00Z") };
        assert_eq!(daily.due(&failed), now);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = at("1994-11-06T08:49:00Z");
        assert_eq!(retry_after(" 120 ", now), Some(SignedDuration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(SignedDuration::from_secs(37)));
        for odd in ["-1", "soon", "", "99999999999", "Sun, 06 Nov 1994 08:48:37 GMT"] {
            assert_eq!(retry_after(odd, now), None, "{odd}");
        }
    }
}
