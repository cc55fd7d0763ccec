//! When people may be disturbed: a window of the day in the operator's zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::{Deserialize, Serialize};

/// From when until when, each day: `09:00-20:00`. The end is not in it; `00:00-24:00` is always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    from_min: u32,
    until_min: u32,
}

const DAY_MIN: u32 = 24 * 60;

impl Hours {
    /// Always.
    pub const ALWAYS: Self = Self { from_min: 0, until_min: DAY_MIN };
    /// When people are awake and not disturbed at home: what the field does for telephone calls.
    pub const DAYTIME: Self = Self { from_min: 9 * 60, until_min: 20 * 60 };

    /// The first moment from `now` on that is within the hours; `now` itself where it is.
    ///
    /// In a zone whose clocks change, hours that a day does not have are not in it, and those it has twice are twice.
    pub fn next(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        if self == Self::ALWAYS {
            return now;
        }
        let local = now.to_zoned(zone.clone());
        let minute = u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
        if (self.from_min..self.until_min).contains(&minute) {
            return now;
        }
        let begins = |day: &Zoned| {
            let (hour, minute) = ((self.from_min / 60) as i8, (self.from_min % 60) as i8);
            let begin = day.date().to_datetime(Time::constant(hour, minute, 0, 0)).to_zoned(zone.clone());
            begin.map(|begin| begin.timestamp())
        };
        let days = [local.clone(), local.tomorrow().unwrap_or_else(|_| local.clone())];
        let next = days.iter().filter_map(|day| begins(day).ok()).find(|begin| *begin > now);
        next.unwrap_or(now + SignedDuration::from_hours(24))
    }

    /// Whether a moment is within them.
    pub fn has(self, now: Timestamp, zone: &TimeZone) -> bool {
        self.next(now, zone) == now
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minutes = |text: &str| -> Option<u32> {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60 && hour * 60 + minute <= DAY_MIN).then_some(hour * 60 + minute)
        };
        let hours = text.split_once('-').and_then(|(from, until)| Some((minutes(from)?, minutes(until)?)));
        match hours {
            Some((from_min, until_min)) if from_min < until_min => Ok(Self { from_min, until_min }),
            _ => Err(format!("hours are written like 09:00-20:00, within one day; not {text}")),
        }
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from_min, self.until_min);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(hours: &str, now: &str, zone: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        let next = hours.parse::<Hours>().unwrap().next(now.parse().unwrap(), &zone);
        next.to_zoned(zone).strftime("%d %H:%M:%S").to_string()
    }

    #[test]
    fn within_the_hours_it_is_now_and_else_when_they_begin() {
        for (now, expected) in [
            ("2026-11-26T00:30:05Z", "26 09:30:05"),
            ("2026-11-25T23:59:59Z", "26 09:00:00"),
            ("2026-11-26T11:00:00Z", "27 09:00:00"),
            ("2026-11-26T10:59:59Z", "26 19:59:59"),
            ("2026-11-26T15:00:00Z", "27 09:00:00"),
        ] {
            assert_eq!(next("09:00-20:00", now, "Asia/Tokyo"), expected, "{now}");
        }
        assert_eq!(next("00:00-24:00", "2026-11-26T15:00:00Z", "Asia/Tokyo"), "27 00:00:00");
        // Clocks go forward at 02:00: there is no 02:30 that day, and it begins at once after the gap.
        assert_eq!(next("02:30-05:00", "2026-03-29T00:00:00Z", "Europe/Berlin"), "29 03:30:00");
    }

    #[test]
    fn what_is_no_window_is_refused_with_the_reason() {
        for text in ["", "9-20", "20:00-09:00", "09:00-09:00", "09:60-10:00", "00:00-24:01"] {
            assert!(text.parse::<Hours>().unwrap_err().contains("09:00-20:00"), "{text}");
        }
        assert_eq!("9:00-20:00".parse::<Hours>().unwrap().to_string(), "09:00-20:00");
    }

    proptest! {
        #[test]
        fn the_next_moment_is_within_them_and_there_is_none_before(
            from in 0u32..1439, length in 1u32..1440, now in 1_700_000_000i64..1_900_000_000,
            name in prop::sample::select(vec!["Asia/Tokyo", "Europe/Berlin", "America/St_Johns", "UTC"]),
        ) {
            let hours = Hours { from_min: from, until_min: (from + length).min(DAY_MIN) };
            let (zone, now) = (TimeZone::get(name).unwrap(), Timestamp::from_second(now).unwrap());
            let next = hours.next(now, &zone);
            prop_assert!(next >= now && hours.has(next, &zone), "{hours} {now} {next}");
            prop_assert!(next.duration_since(now) <= SignedDuration::from_hours(26));
            // Where clocks change, hours may begin in a gap.
            if next > now && ["Asia/Tokyo", "UTC"].contains(&name) {
                let before = next - SignedDuration::from_mins(1);
                prop_assert!(before < now || !hours.has(before, &zone), "{hours} {now} {next}");
            }
        }
    }
}
