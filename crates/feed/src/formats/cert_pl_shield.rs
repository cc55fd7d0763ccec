//! CERT Polska's list of warnings (hole.cert.pl): id, domain, when it was added, and on some lines when it was taken
//! off again, between tabs, without a header. Times once had no offset and were Warsaw's clock, which a map's declared
//! zone refuses where the clock was set back: an hour of doubt about when a domain was listed harms nobody, so it is
//! read as the later of the two. An hour that the clock never showed is a mistake.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, tz::AmbiguousOffset};
use noroshi_model::{ClassificationType, Datum, Fields};

use super::by_line;
use crate::bundle::Bundle;
use crate::convert::fqdn;
use crate::{Feed, FeedError, Input, Report};

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let warsaw =
        TimeZone::get("Europe/Warsaw").map_err(|e| FeedError::Report(format!("Europe/Warsaw: {e}")))?;
    Ok(by_line(input, move |line, out| {
        if line.starts_with('#') {
            return Ok(());
        }
        let mut cells = line.split('\t').map(|cell| cell.trim().trim_matches('"'));
        let (id, name, added) = (cells.next(), cells.next(), cells.next());
        let (Some(id), Some(name), Some(added)) = (id, name, added) else {
            return Err("not id, domain and time between tabs".into());
        };
        let mut fields = Fields::default();
        fields.put("source.fqdn", fqdn(name).ok_or("no domain")?.into_owned());
        fields.put("time.source", Datum::Time(time(added, &warsaw)?));
        if let Some(off) = cells.next().and_then(|text| time(text, &warsaw).ok()) {
            fields.put("extra.taken_off", Datum::Time(off));
        }
        fields.put("extra.id", id.to_owned());
        let kind = ClassificationType::Phishing;
        fields.put("classification.type", kind.id());
        fields.put("classification.taxonomy", kind.taxonomy());
        out.event(fields);
        Ok(())
    }))
}

fn time(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(exact) = text.parse::<Timestamp>() {
        return Ok(exact);
    }
    let civil: DateTime = text.parse().map_err(|_| "no time".to_owned())?;
    let clock = zone.to_ambiguous_zoned(civil);
    if matches!(clock.offset(), AmbiguousOffset::Gap { .. }) {
        return Err("a time that the clock in Warsaw never showed".into());
    }
    clock.later().map(|zoned| zoned.timestamp()).map_err(|_| "no time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warsaw_s_clock_where_it_is_set_back_and_forward() {
        let warsaw = TimeZone::get("Europe/Warsaw").unwrap();
        let at = |text| time(text, &warsaw).map(|t| t.to_string());
        assert_eq!(at("2020-06-02T12:00:00").as_deref(), Ok("2020-06-02T10:00:00Z"));
        assert_eq!(at("2020-10-25T02:30:00").as_deref(), Ok("2020-10-25T01:30:00Z"));
        assert_eq!(at("2025-05-08T12:28:06+00:00").as_deref(), Ok("2025-05-08T12:28:06Z"));
        assert!(at("2020-03-29T02:30:00").is_err() && at("").is_err());
    }
}
