//! What analysts send by hand: any CSV, with what its columns are said beside it, not in it. Parameters: `columns`
//! (n6's field names between commas, `-` for a column to leave out; without it the comment above the first row is read
//! as a header), `category`, `field_separator` (`,`), `comment_prefix` (`#`), `time_format` (strptime; without it ISO
//! 8601 or seconds since 1970) and `event` (fields that all events have). That is too much freedom for a map.

use noroshi_model::Fields;
use noroshi_wire::{TimeFormat, Zone};
use serde_json::Value;

use super::{Out, by_line};
use crate::bundle::Bundle;
use crate::convert;
use crate::n6::{Category, classify, find, put};
use crate::{Feed, FeedError, Input, Report};

/// How senders' own headers call n6's fields, in lower case and without spaces.
const HEADERS: [(&str, &str); 24] = [
    ("timestamputc", "time"),
    ("timestamp", "time"),
    ("datetime", "time"),
    ("time", "time"),
    ("clientip", "ip"),
    ("sourceip", "ip"),
    ("srcip", "ip"),
    ("ip", "ip"),
    ("clientport", "sport"),
    ("sourceport", "sport"),
    ("srcport", "sport"),
    ("sport", "sport"),
    ("dstip", "dip"),
    ("destinationip", "dip"),
    ("dip", "dip"),
    ("dstport", "dport"),
    ("destinationport", "dport"),
    ("dport", "dport"),
    ("dstdomain", "fqdn"),
    ("domain", "fqdn"),
    ("fqdn", "fqdn"),
    ("url", "url"),
    ("asnumber", "asn"),
    ("countrycode", "cc"),
];

struct Manual {
    columns: Vec<String>,
    fixed: bool,
    category: &'static Category,
    separator: String,
    comment: String,
    time: Option<TimeFormat>,
    event: Fields<'static>,
}

/// Opens a report.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let category = report.text("category").unwrap_or("other");
    let unknown = || parameter("category", "is no category of n6");
    let category = find(category).ok_or_else(unknown)?;
    let list = |text: &str| text.split(',').map(|name| name.trim().to_owned()).collect();
    let columns: Vec<String> = report.text("columns").map(list).unwrap_or_default();
    let mut event = Fields::default();
    if let Some(Value::Object(all)) = report.params.get("event") {
        for (field, value) in all {
            put(&mut event, category, field, &crate::objects::text_of(value));
        }
    }
    let time = match report.text("time_format") {
        None | Some("") => None,
        Some(text) => match TimeFormat::try_from(text.to_owned()) {
            Ok(format) => Some(format),
            Err(e) => return Err(FeedError::Parameter { name: "time_format", reason: e.to_string() }),
        },
    };
    let text =
        |name, default: &str| report.text(name).filter(|text| !text.is_empty()).unwrap_or(default).to_owned();
    let mut manual = Manual {
        fixed: !columns.is_empty(),
        columns,
        category,
        separator: text("field_separator", ","),
        comment: text("comment_prefix", "#"),
        time,
        event,
    };
    Ok(by_line(input, move |line, out| manual.line(line, out)))
}

fn parameter(name: &'static str, reason: &str) -> FeedError {
    FeedError::Parameter { name, reason: reason.to_owned() }
}

impl Manual {
    fn line(&mut self, line: &str, out: &mut Out) -> Result<(), String> {
        if let Some(comment) = line.strip_prefix(self.comment.as_str()) {
            let header: Vec<String> = comment.split(',').map(field_named).collect();
            if !self.fixed && header.iter().any(|field| field != "-") {
                self.columns = header;
            }
            return Ok(());
        }
        if self.columns.is_empty() {
            return Err("nothing says what the columns are: give the parameter 'columns'".into());
        }
        let cells: Vec<&str> = line.trim().split(self.separator.as_str()).collect();
        if cells.len() != self.columns.len() {
            return Err(format!("{} cells for {} columns", cells.len(), self.columns.len()));
        }
        let mut fields = self.event.clone();
        for (column, cell) in self.columns.iter().zip(cells) {
            let cell = cell.trim();
            match column.as_str() {
                "-" => {}
                _ if cell.is_empty() => {}
                "time" => fields.put("time.source", noroshi_model::Datum::Time(self.time(cell)?)),
                field if put(&mut fields, self.category, field, cell) => {}
                field => return Err(format!("column {field} does not hold what it should")),
            }
        }
        classify(&mut fields, self.category);
        out.event(fields);
        Ok(())
    }

    fn time(&self, text: &str) -> Result<jiff::Timestamp, String> {
        let read = match &self.time {
            Some(format) => format.read(text, Some(&Zone::utc())).ok(),
            None => convert::epoch(text).or_else(|| convert::time(text)),
        };
        read.ok_or_else(|| "column time is no time".to_owned())
    }
}

/// The field that a header means; `-` for one nobody here knows.
fn field_named(header: &str) -> String {
    let plain: String =
        header.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let known = HEADERS.iter().find(|(name, _)| *name == plain);
    known.map_or("-", |(_, field)| *field).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manual(columns: &[&str]) -> Manual {
        Manual {
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            fixed: !columns.is_empty(),
            category: find("bots").unwrap(),
            separator: ";".into(),
            comment: "#".into(),
            time: None,
            event: Fields::default(),
        }
    }

    #[test]
    fn columns_are_the_sender_s_or_the_header_s() {
        let mut out = Out::default();
        let mut said = manual(&["time", "-", "ip", "name", "novel"]);
        said.line("# Time,IP", &mut out).unwrap();
        said.line("1420070400;x;192.0.2.1;Zeus;7", &mut out).unwrap();
        assert!(said.line("1420070400;x;192.0.2.1", &mut out).is_err());
        assert!(said.line("soon;x;192.0.2.1;Zeus;7", &mut out).is_err());
        assert!(said.line("1420070400;x;192.0.2;Zeus;7", &mut out).is_err());
        let fields = &out.events[0];
        assert!(out.events.len() == 1 && fields.has("time.source") && fields.has("extra.n6.novel"));
        assert_eq!(fields.get("malware.name").and_then(noroshi_model::Datum::text), Some("zeus"));
        let mut header = manual(&[]);
        assert!(header.line("192.0.2.1;x", &mut out).is_err());
        header.line("# what our sinkhole saw", &mut out).unwrap();
        header.line("# Client IP,Weather", &mut out).unwrap();
        header.line("192.0.2.1;x", &mut out).unwrap();
        assert_eq!(out.events.len(), 2);
    }
}
