//! Team Cymru's full bogons: networks that nobody may use. The time of all of them is in the first line's comment.

use noroshi_model::{Datum, Fields};

use super::by_line;
use super::intelmq::put;
use crate::bundle::Bundle;
use crate::convert;
use crate::{Feed, FeedError, Input, Report};

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let mut updated = None;
    Ok(by_line(input, move |line, out| {
        let line = line.trim();
        if line.starts_with('#') || line.starts_with("//") {
            updated = updated.or_else(|| last_updated(line));
            return Ok(());
        }
        let mut fields = Fields::with_capacity(3);
        match convert::ip(line) {
            Some(ip) => fields.put("source.ip", Datum::Ip(ip)),
            None => put(&mut fields, "source.network", line)?,
        }
        if let Some(time) = updated {
            fields.put("time.source", Datum::Time(time));
        }
        fields.put("classification.type", "blacklist");
        out.event(fields);
        Ok(())
    }))
}

/// `# last updated 1450193702 (Tue Dec 15 15:35:02 2015 GMT)`
fn last_updated(comment: &str) -> Option<jiff::Timestamp> {
    let (before, inner) = comment.split_once('(')?;
    let (inner, _) = inner.split_once(')')?;
    convert::time(inner).or_else(|| convert::epoch(before.split_whitespace().last()?))
}

#[cfg(test)]
mod tests {
    use super::super::trial::read;

    #[test]
    fn the_comment_has_the_time_and_bad_lines_keep_the_good_ones() {
        let text = "# last updated 1450193702 (Tue Dec 15 15:35:02 2015 GMT)\n0.0.0.0/8\nx\n192.0.2.1\n// end (now)\n";
        let got = read("cymru-full-bogons", serde_json::json!({}), text);
        assert_eq!((got.events.len(), got.bad.len()), (2, 1));
        assert_eq!(got.events[0]["time.source"], "2015-12-15T15:35:02Z");
        assert_eq!(got.events[1]["source.ip"], "192.0.2.1");
        let got = read("cymru-full-bogons", serde_json::json!({}), "::/8\n");
        assert_eq!(got.events[0].get("time.source"), None);
    }
}
