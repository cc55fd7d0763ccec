//! A text to an instant, or a refusal to guess.
//!
//! An hour's error in a log names the wrong subscriber, so nothing is assumed here: a time that carries no
//! zone is refused unless the operator has declared one, a declared zone never overrides what the text says,
//! and a wall-clock time that a change to or from summer time made ambiguous is refused as such.

use std::fmt;

use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};

/// Most bytes a time or a pattern may have.
pub const TIME_BYTES_MAX: usize = 128;
/// 1990-01-01T00:00:00Z: nothing we read is older.
const EARLIEST_S: i64 = 631_152_000;
/// 2200-01-01T00:00:00Z, exclusive.
const LATEST_S: i64 = 7_258_118_400;
/// No civil offset from UTC is larger.
const OFFSET_S_MAX: i32 = 14 * 3600;

const NANOS_PER_S: i128 = 1_000_000_000;

/// How times are written. In configuration a word (`rfc3339`, `epoch`, `epoch-ms`, `epoch-us`, `epoch-ns`) or
/// a strptime pattern (`%d/%b/%Y:%H:%M:%S %z`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TimeFormat {
    /// RFC 3339 and its common shapes: `2026-11-20T03:12:00+09:00`, a space for the `T`, `Z`, `UTC`, `+0900`,
    /// fractions.
    #[default]
    Rfc3339,
    /// Seconds since 1970, fractions allowed.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
    /// Microseconds since 1970.
    EpochUs,
    /// Nanoseconds since 1970.
    EpochNs,
    /// A strptime pattern which carries at least year to minute.
    Pattern(Pattern),
}

/// A strptime pattern that was tried out and can carry a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// A zone declared by the operator for times that carry none: an IANA name, `UTC`, or a fixed offset
/// (`+09:00`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// Why a text is no time, a word no format, or a name no zone. Messages never contain the text that was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text carries no zone and none is declared.
    #[error("time has no zone; declare `zone` (an IANA name, `UTC` or an offset such as `+09:00`)")]
    NoZone,
    /// The clock showed this time twice.
    #[error("time is ambiguous in the declared zone: the clock was set back over it")]
    Fold,
    /// The clock never showed this time.
    #[error("time does not exist in the declared zone: the clock was set forward over it")]
    Gap,
    /// The declared zone does not call itself so at that time.
    #[error("time carries the abbreviation of another zone than the declared one")]
    Called,
    /// Not written as declared.
    #[error("time is not written as {0}")]
    Shape(String),
    /// Before 1990 or from 2200 on.
    #[error("time is outside 1990 to 2199{0}")]
    Range(&'static str),
    /// A format word or pattern that cannot carry a time.
    #[error(
        "'{0}' is no time format; use rfc3339, epoch, epoch-ms, epoch-us, epoch-ns or a strptime pattern"
    )]
    Format(String),
    /// A pattern that does not read back what it writes.
    #[error("pattern '{0}' does not carry a whole time (year to minute; %Z cannot be read, %z can)")]
    Pattern(String),
    /// A zone name that nothing knows.
    #[error("'{0}' is no time zone; use an IANA name (Asia/Tokyo), UTC or an offset (+09:00)")]
    Zone(String),
}

impl TimeFormat {
    /// Reads a time; `zone` counts only where the text itself says none.
    ///
    /// # Errors
    /// Whatever leaves the instant open, and years outside 1990..2200.
    pub fn read(&self, text: &str, zone: Option<&Zone>) -> Result<Timestamp, TimeError> {
        let text = text.trim();
        if text.len() > TIME_BYTES_MAX {
            return Err(self.shape());
        }
        let time = match self {
            Self::Rfc3339 => self.read_rfc3339(text, zone)?,
            Self::Epoch => self.read_epoch(text, NANOS_PER_S)?,
            Self::EpochMs => self.read_epoch(text, 1_000_000)?,
            Self::EpochUs => self.read_epoch(text, 1_000)?,
            Self::EpochNs => self.read_epoch(text, 1)?,
            Self::Pattern(pattern) => self.read_pattern(text, &pattern.0, zone)?,
        };
        in_range(time)
    }

    fn shape(&self) -> TimeError {
        TimeError::Shape(self.to_string())
    }

    fn read_rfc3339(&self, text: &str, zone: Option<&Zone>) -> Result<Timestamp, TimeError> {
        let (civil, rest) = civil(text).ok_or_else(|| self.shape())?;
        match rest.trim_start() {
            "" => instant(civil, zone),
            "Z" | "z" | "UTC" | "GMT" => at_offset(civil, Offset::UTC),
            offset => at_offset(civil, offset_of(offset).ok_or_else(|| self.shape())?),
        }
    }

    fn read_epoch(&self, text: &str, unit_ns: i128) -> Result<Timestamp, TimeError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.len() <= 19 && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(self.shape());
        }
        let whole: i128 = whole.parse().map_err(|_| self.shape())?;
        let billionths: i128 = format!("{fraction:0<9.9}").parse().map_err(|_| self.shape())?;
        let ns = whole * unit_ns + billionths * unit_ns / NANOS_PER_S;
        Timestamp::from_nanosecond(ns).map_err(|_| TimeError::Range(self.finer_hint()))
    }

    fn finer_hint(&self) -> &'static str {
        match self {
            Self::Epoch => "; if these are milliseconds, declare `epoch-ms`",
            _ => "",
        }
    }

    fn read_pattern(&self, text: &str, pattern: &str, zone: Option<&Zone>) -> Result<Timestamp, TimeError> {
        let read = BrokenDownTime::parse(pattern, text).map_err(|_| self.shape())?;
        if let Some(time) = read.timestamp() {
            return Ok(time);
        }
        let civil = read.to_datetime().map_err(|_| self.shape())?;
        if let Some(offset) = read.offset() {
            return at_offset(civil, offset);
        }
        match read.iana_time_zone() {
            Some(name) => instant(civil, Some(&Zone::try_from(name.to_owned()).map_err(|_| self.shape())?)),
            None => instant(civil, zone),
        }
    }
}

/// Splits `YYYY-MM-DD[T ]HH:MM:SS[.fraction]` from what follows it.
fn civil(text: &str) -> Option<(DateTime, &str)> {
    let bytes = text.as_bytes();
    let template = b"dddd-dd-dd_dd:dd:dd";
    let fits = |(byte, class): (&u8, &u8)| match class {
        b'd' => byte.is_ascii_digit(),
        b'_' => matches!(byte, b'T' | b't' | b' '),
        other => byte == other,
    };
    if bytes.len() < template.len() || !bytes.iter().zip(template).all(fits) {
        return None;
    }
    let mut end = template.len();
    if matches!(bytes.get(end), Some(b'.' | b',')) {
        let digits = bytes[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        end += 1 + digits;
    }
    let (civil, rest) = text.split_at_checked(end)?;
    Some((civil.parse().ok()?, rest))
}

/// `+09:00`, `+0900` or `+09`.
fn offset_of(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text.get(1..)?;
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let two =
        |s: &str| (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse::<i32>().ok());
    let (hours, minutes) = (two(hours)??, two(minutes)??);
    let seconds = hours * 3600 + minutes * 60;
    if minutes > 59 || seconds > OFFSET_S_MAX {
        return None;
    }
    Offset::from_seconds(sign * seconds).ok()
}

fn at_offset(civil: DateTime, offset: Offset) -> Result<Timestamp, TimeError> {
    offset.to_timestamp(civil).map_err(|_| TimeError::Range(""))
}

fn instant(civil: DateTime, zone: Option<&Zone>) -> Result<Timestamp, TimeError> {
    zone.ok_or(TimeError::NoZone)?.instant(civil)
}

/// A wall-clock time with the abbreviation of its zone. Of these only UTC, GMT and JST mean one thing; any other has to be
/// what the declared zone calls itself at that time, and tells summer from winter where the clock was set back.
pub(crate) fn abbreviated(civil: DateTime, name: &str, zone: Option<&Zone>) -> Result<Timestamp, TimeError> {
    let time = match name {
        "UTC" | "GMT" => at_offset(civil, Offset::UTC)?,
        "JST" => at_offset(civil, Offset::from_seconds(9 * 3600).map_err(|_| TimeError::Range(""))?)?,
        _ => zone.ok_or(TimeError::NoZone)?.instant_called(civil, name)?,
    };
    in_range(time)
}

pub(crate) fn in_range(time: Timestamp) -> Result<Timestamp, TimeError> {
    match time.as_second() {
        EARLIEST_S..LATEST_S => Ok(time),
        _ => Err(TimeError::Range("")),
    }
}

impl TryFrom<String> for TimeFormat {
    type Error = TimeError;

    fn try_from(text: String) -> Result<Self, TimeError> {
        match text.as_str() {
            "rfc3339" => Ok(Self::Rfc3339),
            "epoch" => Ok(Self::Epoch),
            "epoch-ms" => Ok(Self::EpochMs),
            "epoch-us" => Ok(Self::EpochUs),
            "epoch-ns" => Ok(Self::EpochNs),
            pattern if pattern.contains('%') && pattern.len() <= TIME_BYTES_MAX => {
                if carries_a_time(pattern) {
                    Ok(Self::Pattern(Pattern(text)))
                } else {
                    Err(TimeError::Pattern(text))
                }
            }
            other => Err(TimeError::Format(other.chars().take(TIME_BYTES_MAX).collect())),
        }
    }
}

/// Writes a known time by the pattern and reads it back.
fn carries_a_time(pattern: &str) -> bool {
    let Ok(offset) = Offset::from_seconds(9 * 3600) else { return false };
    let tokyo = TimeZone::get("Asia/Tokyo").unwrap_or_else(|_| TimeZone::fixed(offset));
    let Ok(sample) = jiff::civil::datetime(2026, 11, 23, 15, 47, 0, 0).to_zoned(tokyo) else { return false };
    let read_back = |sample: &Zoned| {
        let text = strtime::format(pattern, sample).ok()?;
        let read = BrokenDownTime::parse(pattern, &text).ok()?;
        read.timestamp()
            .map(|time| time.to_zoned(sample.time_zone().clone()).datetime())
            .or(read.to_datetime().ok())
    };
    read_back(&sample) == Some(sample.datetime())
}

impl From<TimeFormat> for String {
    fn from(format: TimeFormat) -> Self {
        format.to_string()
    }
}

impl fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rfc3339 => "rfc3339",
            Self::Epoch => "epoch",
            Self::EpochMs => "epoch-ms",
            Self::EpochUs => "epoch-us",
            Self::EpochNs => "epoch-ns",
            Self::Pattern(pattern) => &pattern.0,
        })
    }
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }

    /// A wall-clock time in this zone, unless a change of the clock left it open.
    pub(crate) fn instant(&self, civil: DateTime) -> Result<Timestamp, TimeError> {
        use jiff::tz::AmbiguousOffset::{Fold, Gap, Unambiguous};
        match self.zone.to_ambiguous_timestamp(civil).offset() {
            Unambiguous { offset } => at_offset(civil, offset),
            Fold { .. } => Err(TimeError::Fold),
            Gap { .. } => Err(TimeError::Gap),
        }
    }
}

impl Zone {
    /// The wall-clock time that the zone calls by this abbreviation.
    fn instant_called(&self, civil: DateTime, name: &str) -> Result<Timestamp, TimeError> {
        use jiff::tz::AmbiguousOffset::{Fold, Gap, Unambiguous};
        let offsets = match self.zone.to_ambiguous_timestamp(civil).offset() {
            Unambiguous { offset } => [offset, offset],
            Fold { before, after } => [before, after],
            Gap { .. } => return Err(TimeError::Gap),
        };
        let candidates = offsets.into_iter().filter_map(|offset| at_offset(civil, offset).ok());
        let called = |time: &Timestamp| self.zone.to_offset_info(*time).abbreviation() == name;
        candidates.into_iter().find(called).ok_or(TimeError::Called)
    }
}

impl TryFrom<String> for Zone {
    type Error = TimeError;

    fn try_from(name: String) -> Result<Self, TimeError> {
        let zone = match name.as_str() {
            "UTC" | "Z" => Some(TimeZone::UTC),
            fixed if fixed.starts_with(['+', '-']) => offset_of(fixed).map(TimeZone::fixed),
            iana if iana.len() <= TIME_BYTES_MAX => {
                TimeZone::get(iana).ok().filter(|zone| !zone.is_unknown())
            }
            _ => None,
        };
        match zone {
            Some(zone) => Ok(Self { name, zone }),
            None => Err(TimeError::Zone(name.chars().take(TIME_BYTES_MAX).collect())),
        }
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(format: &str, text: &str, zone: Option<&str>) -> Result<String, TimeError> {
        let zone = zone.map(|name| Zone::try_from(name.to_owned()).unwrap());
        let format = TimeFormat::try_from(format.to_owned()).unwrap();
        format.read(text, zone.as_ref()).map(|time| time.to_string())
    }

    #[test]
    fn the_common_shapes_of_rfc3339_are_one_instant() {
        for text in [
            "2026-11-20T03:12:00+09:00",
            "2026-11-20 03:12:00 +0900",
            "2026-11-19T18:12:00Z",
            "2026-11-19t18:12:00.000z",
            "2026-11-19 18:12:00 UTC",
            "2026-11-20T03:12:00+09",
        ] {
            assert_eq!(read("rfc3339", text, None).unwrap(), "2026-11-19T18:12:00Z", "{text}");
        }
        assert_eq!(read("rfc3339", "2026-11-19T18:12:00.25Z", None).unwrap(), "2026-11-19T18:12:00.25Z");
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "2026-11-20",
            "2026-13-20T00:00:00Z",
            "20/11/2026 03:12",
            "2026-11-20T03:12:00+99:00",
            "2026-11-20T03:12:00 JST",
            "2026-11-20T03:12:00あ",
            "2026-11-20T03:12:00.Z",
        ] {
            assert!(matches!(read("rfc3339", text, Some("UTC")), Err(TimeError::Shape(_))), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_needs_a_declared_one() {
        assert_eq!(read("rfc3339", "2026-11-20 03:12:00", None), Err(TimeError::NoZone));
        for zone in ["Asia/Tokyo", "+09:00", "+0900"] {
            assert_eq!(read("rfc3339", "2026-11-20 03:12:00", Some(zone)).unwrap(), "2026-11-19T18:12:00Z");
        }
    }

    #[test]
    fn a_declared_zone_never_overrides_the_text() {
        assert_eq!(
            read("rfc3339", "2026-11-20T03:12:00Z", Some("Asia/Tokyo")).unwrap(),
            "2026-11-20T03:12:00Z"
        );
        let apache = "%d/%b/%Y:%H:%M:%S %z";
        let time = read(apache, "20/Nov/2026:03:12:00 +0000", Some("Asia/Tokyo")).unwrap();
        assert_eq!(time, "2026-11-20T03:12:00Z");
    }

    #[test]
    fn summer_time_leaves_no_room_for_a_guess() {
        let berlin = Some("Europe/Berlin");
        assert_eq!(read("rfc3339", "2026-10-25 02:30:00", berlin), Err(TimeError::Fold));
        assert_eq!(read("rfc3339", "2026-03-29 02:30:00", berlin), Err(TimeError::Gap));
        assert!(read("rfc3339", "2026-10-25 02:30:00+01:00", berlin).is_ok());
        let named = "%Y-%m-%d %H:%M %Q";
        assert_eq!(read(named, "2026-10-25 02:30 Europe/Berlin", None), Err(TimeError::Fold));
        assert_eq!(read(named, "2026-11-20 03:12 Asia/Tokyo", None).unwrap(), "2026-11-19T18:12:00Z");
    }

    #[test]
    fn epochs_are_read_in_their_declared_unit_only() {
        assert_eq!(read("epoch", "1795345672", None).unwrap(), "2026-11-22T11:07:52Z");
        assert_eq!(read("epoch", "1795345672.5", None).unwrap(), "2026-11-22T11:07:52.5Z");
        assert_eq!(read("epoch-ms", "1795345672500", None).unwrap(), "2026-11-22T11:07:52.5Z");
        assert_eq!(read("epoch-us", "1795345672500000", None).unwrap(), "2026-11-22T11:07:52.5Z");
        assert_eq!(read("epoch-ns", "1795345672500000000", None).unwrap(), "2026-11-22T11:07:52.5Z");
        let hint = read("epoch", "1795345672500", None).unwrap_err().to_string();
        assert!(hint.contains("epoch-ms"), "{hint}");
        for text in ["-1", "1e9", "", ".5", "5.", "１２３"] {
            assert!(matches!(read("epoch", text, None), Err(TimeError::Shape(_))), "{text}");
        }
    }

    #[test]
    fn years_outside_1990_to_2199_are_refused() {
        for text in
            ["1989-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
        {
            assert!(matches!(read("rfc3339", text, None), Err(TimeError::Range(_))), "{text}");
        }
        assert!(read("epoch", "0", None).is_err());
    }

    #[test]
    fn a_format_that_cannot_carry_a_time_is_refused_as_configuration() {
        for pattern in ["%H:%M:%S", "%b %d %H:%M:%S", "%Y-%m-%d %I:%M", "%Y-%m-%d %H:%M %Z", "%Y-%m-%d", "%!"]
        {
            assert!(TimeFormat::try_from(pattern.to_owned()).is_err(), "{pattern}");
        }
        for pattern in ["%d/%b/%Y:%H:%M:%S %z", "%Y%m%d%H%M%S", "%m/%d/%y %I:%M:%S %p", "%s"] {
            assert!(TimeFormat::try_from(pattern.to_owned()).is_ok(), "{pattern}");
        }
        assert!(TimeFormat::try_from("iso".to_owned()).is_err());
        for zone in ["JST9", "Mars/Olympus", "+25:00", "", "Etc/Unknown"] {
            assert!(Zone::try_from(zone.to_owned()).is_err(), "{zone}");
        }
    }

    #[test]
    fn abbreviations_mean_what_the_declared_zone_means_by_them() {
        let berlin = Zone::try_from("Europe/Berlin".to_owned()).unwrap();
        let read = |civil: &str, name, zone| {
            abbreviated(civil.parse().unwrap(), name, zone).map(|time| time.to_string())
        };
        assert_eq!(read("2026-11-20T03:12:00", "JST", None).unwrap(), "2026-11-19T18:12:00Z");
        assert_eq!(read("2026-11-20T03:12:00", "CET", None), Err(TimeError::NoZone));
        assert_eq!(read("2026-10-25T02:30:00", "CEST", Some(&berlin)).unwrap(), "2026-10-25T00:30:00Z");
        assert_eq!(read("2026-10-25T02:30:00", "CET", Some(&berlin)).unwrap(), "2026-10-25T01:30:00Z");
        assert_eq!(read("2026-11-20T03:12:00", "CEST", Some(&berlin)), Err(TimeError::Called));
        assert_eq!(read("2026-03-29T02:30:00", "CET", Some(&berlin)), Err(TimeError::Gap));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", zoned: bool) {
            let zone = zoned.then(Zone::utc);
            for format in ["rfc3339", "epoch", "epoch-ns", "%d/%b/%Y:%H:%M:%S %z", "%s"] {
                let _ = TimeFormat::try_from(format.to_owned()).unwrap().read(&text, zone.as_ref());
            }
            let _ = TimeFormat::try_from(text.clone());
            let _ = Zone::try_from(text);
        }

        #[test]
        fn what_was_written_is_read_back(seconds in EARLIEST_S..LATEST_S, minutes in -840i32..=840) {
            let time = Timestamp::from_second(seconds).unwrap();
            let offset = Offset::from_seconds(minutes * 60).unwrap();
            let text = time.display_with_offset(offset).to_string();
            prop_assert_eq!(TimeFormat::Rfc3339.read(&text, None), Ok(time));
        }
    }
}
