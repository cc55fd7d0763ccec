//! Syslog around a message: when, and from which host.
//!
//! ```text
//!   <134>1 2026-11-22T20:07:03.5+09:00 cgn1 …      RFC 5424
//!   2026-11-22T20:07:03+09:00 cgn1 …               as receivers write files
//!   <134>Nov 22 20:07:03 cgn1 …                    RFC 3164: neither year nor zone
//!   <134>1 2026 Nov 22 20:07:03 cgn1 …             Cisco's own
//! ```

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::time::{TimeError, TimeFormat, Zone, in_range};

/// What a line's header says.
pub(super) struct Frame<'a> {
    pub at: Timestamp,
    pub host: &'a str,
}

const NO_TIME: &str = "the line does not begin as syslog does, with a time and a host";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads the header of a line; see [`super::read_cgn`] about `newest`.
pub(super) fn frame<'a>(
    text: &'a str,
    zone: Option<&Zone>,
    newest: Option<Timestamp>,
) -> Result<Frame<'a>, String> {
    let text = text.trim_start();
    let text = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(text, |(_, rest)| rest);
    let text = text.trim_start();
    let text = text.strip_prefix("1 ").unwrap_or(text).trim_start();
    let (at, rest) = if matches!(text.as_bytes(), [b'0'..=b'9', _, _, _, b'-', ..]) {
        stamped(text, zone)?
    } else {
        worded(text, zone, newest)?
    };
    let host = rest.split_ascii_whitespace().next().filter(|host| *host != "-").unwrap_or_default();
    Ok(Frame { at, host: host.trim_end_matches(':') })
}

/// RFC 3339 up to the next space; a date may have a space before its time.
fn stamped<'a>(text: &'a str, zone: Option<&Zone>) -> Result<(Timestamp, &'a str), String> {
    let space = |from: usize| text.get(from..).and_then(|rest| rest.find(' ')).map(|at| from + at);
    let end = space(11).ok_or(NO_TIME)?;
    let (stamp, rest) = text.split_at(end);
    Ok((
        utc(stamp).map_or_else(|| TimeFormat::Rfc3339.read(stamp, zone), Ok).map_err(|e| e.to_string())?,
        rest,
    ))
}

/// `2026-11-22T20:07:03Z` and `…+09:00`, which nearly all stamps are, without the general machinery.
fn utc(stamp: &str) -> Option<Timestamp> {
    let (civil, offset) = stamp.split_at_checked(19)?;
    let offset_s = match offset.as_bytes() {
        [b'Z'] => 0,
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
            let two = |high: &u8, low: &u8| Some(i32::from(digit(*high)? * 10 + digit(*low)?));
            let (hours, minutes) = (two(h1, h0)?, two(m1, m0).filter(|minutes| *minutes < 60)?);
            let seconds = hours * 3600 + minutes * 60;
            if seconds > 14 * 3600 {
                return None;
            }
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let bytes = civil.as_bytes();
    if [bytes[4], bytes[7], bytes[10], bytes[13], bytes[16]] != *b"--T::" {
        return None;
    }
    let two = |at: usize| i8::try_from(digit(bytes[at])? * 10 + digit(bytes[at + 1])?).ok();
    let year = i16::from(two(0)?) * 100 + i16::from(two(2)?);
    let civil = DateTime::new(year, two(5)?, two(8)?, two(11)?, two(14)?, two(17)?, 0).ok()?;
    in_range(Offset::from_seconds(offset_s).ok()?.to_timestamp(civil).ok()?).ok()
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// `Nov 22 20:07:03`, with a year before, or between day and time.
fn worded<'a>(
    text: &'a str,
    zone: Option<&Zone>,
    newest: Option<Timestamp>,
) -> Result<(Timestamp, &'a str), String> {
    let mut rest = text;
    let mut word = || {
        rest = rest.trim_start();
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        rest = after;
        word
    };
    let year_of = |word: &str| word.parse::<i16>().ok().filter(|_| word.len() == 4);
    let mut month = word();
    let mut year = year_of(month);
    if year.is_some() {
        month = word();
    }
    let month = MONTHS.iter().position(|name| *name == month).ok_or(NO_TIME)?;
    let month = i8::try_from(month + 1).map_err(|_| NO_TIME)?;
    let day: i8 = word().parse().map_err(|_| NO_TIME)?;
    let mut time = word();
    if let Some(stated) = year_of(time) {
        year = Some(stated);
        time = word();
    }
    let clock = clock(time).ok_or(NO_TIME)?;
    let read = |year: i16| {
        let [hour, minute, second] = clock;
        let civil =
            DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| NO_TIME.to_owned())?;
        let time = zone.ok_or(TimeError::NoZone).and_then(|zone| zone.instant(civil)).and_then(in_range);
        time.map_err(|e| e.to_string())
    };
    let at = match (year, newest) {
        (Some(year), _) => read(year)?,
        (None, Some(newest)) => within_a_year(read, newest)?,
        (None, None) => return Err("time has no year, and nothing says how old the log may be".into()),
    };
    Ok((at, rest))
}

/// `20:07:03`, with a fraction that is dropped and a colon that some routers put after it.
fn clock(text: &str) -> Option<[i8; 3]> {
    let text = text.trim_end_matches(':');
    let mut parts = text.split(['.', ',']).next()?.split(':');
    let mut part = || parts.next().filter(|part| part.len() == 2)?.parse().ok();
    let clock = [part()?, part()?, part()?];
    parts.next().is_none().then_some(clock)
}

/// The latest such time that is not after `newest`; clocks may be a day apart, or zones.
fn within_a_year(
    read: impl Fn(i16) -> Result<Timestamp, String>,
    newest: Timestamp,
) -> Result<Timestamp, String> {
    let limit = newest.checked_add(SignedDuration::from_hours(24)).unwrap_or(newest);
    let year = Offset::UTC.to_datetime(limit).year();
    match read(year) {
        Ok(time) if time <= limit => Ok(time),
        // The year before, also where this one has no 29 February.
        _ => read(year.saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, zone: Option<&str>, newest: Option<&str>) -> Result<(String, String), String> {
        let zone = zone.map(|zone| Zone::try_from(zone.to_owned()).unwrap());
        let newest = newest.map(|time| time.parse().unwrap());
        frame(text, zone.as_ref(), newest).map(|frame| (frame.at.to_string(), frame.host.to_owned()))
    }

    #[test]
    fn every_header_gives_time_and_host() {
        let expected = Ok(("2026-11-22T11:07:03Z".to_owned(), "cgn1".to_owned()));
        for text in [
            "<134>1 2026-11-22T20:07:03+09:00 cgn1 - - NAT44 - x",
            "<134>1 2026-11-22T11:07:03Z cgn1 RT_NAT - x",
            "2026-11-22T20:07:03+09:00 cgn1 RT_NAT: x",
            "2026-11-22 20:07:03+0900 cgn1: x",
        ] {
            assert_eq!(read(text, None, None), expected, "{text}");
        }
        for text in [
            "<134>1 2026 Nov 22 20:07:03 cgn1 - - NAT44 - [x]",
            "<134> 1 2026 Nov 22 20:07:03 cgn1 - - NAT44 - [x]",
            "Nov 22 2026 20:07:03.123 cgn1 x",
            "2026-11-22 20:07:03 cgn1 x",
        ] {
            assert_eq!(read(text, Some("Asia/Tokyo"), None), expected, "{text}");
            assert!(read(text, None, None).unwrap_err().contains("declare `zone`"), "{text}");
        }
        assert_eq!(read("2026-11-22T11:07:03.25Z - x", None, None).unwrap().1, "");
    }

    #[test]
    fn a_time_without_a_year_is_of_the_year_before_the_newest() {
        let read = |text: &str, newest| read(text, Some("UTC"), newest).map(|(time, _)| time);
        let newest = Some("2027-01-02T00:00:00Z");
        assert_eq!(read("<6>Jan  2 03:00:00 h x", newest).unwrap(), "2027-01-02T03:00:00Z");
        assert_eq!(read("<6>Dec 31 23:59:59 h x", newest).unwrap(), "2026-12-31T23:59:59Z");
        assert_eq!(read("Jan 10 00:00:00 h x", newest).unwrap(), "2026-01-10T00:00:00Z");
        assert_eq!(
            read("Feb 29 00:00:00 h x", Some("2029-01-10T00:00:00Z")).unwrap(),
            "2028-02-29T00:00:00Z"
        );
        assert!(read("Feb 29 00:00:00 h x", newest).is_err());
        assert!(read("Jan  2 03:00:00 h x", None).unwrap_err().contains("no year"));
    }

    #[test]
    fn what_is_no_header_is_refused_without_its_values() {
        for text in
            ["", "secret", "<134>", "1 ", "2026-secret h x", "Nov secret 20:07:03 h", "Nov 22 8:07:03 PM h"]
        {
            let reason = read(text, Some("UTC"), Some("2027-01-02T00:00:00Z")).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}", stamp in "[0-9]{4}[-0-9T:+Z é]{0,30}") {
            let _ = read(&text, Some("Europe/Berlin"), Some("2027-01-02T00:00:00Z"));
            let _ = read(&stamp, None, None);
            let _ = utc(&stamp);
        }

        #[test]
        fn the_short_way_reads_what_the_long_way_reads(seconds in 631_152_000i64..7_258_118_400, minutes in -840i32..=840) {
            let time = Timestamp::from_second(seconds).unwrap();
            let offset = Offset::from_seconds(minutes * 60).unwrap();
            let text = time.display_with_offset(offset).to_string();
            prop_assert_eq!(utc(&text), Some(time));
        }
    }
}
