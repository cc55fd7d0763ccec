//! Events as CSV (RFC 4180), for people and the spreadsheets they open it with.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, and a formula can send what stands
//! beside it to a stranger. Names and texts of events come from outside, so such cells get a quote in front of them
//! ([`Guard::Quote`]), which spreadsheets hide and programs have to be told of; a reader that is a program asks for
//! [`Guard::Off`]. Numbers are written as numbers: they are nobody's text.

use std::collections::BTreeMap;

use csv_core::WriteResult;
use serde_json::{Map, Value};

/// Columns where none are asked for; new ones are only ever added at the end.
pub const COLUMNS: &[&str] = &[
    "time.source",
    "time.observation",
    "source.ip",
    "source.port",
    "source.asn",
    "source.as_name",
    "source.network",
    "source.geolocation.cc",
    "source.fqdn",
    "source.url",
    "source.reverse_dns",
    "destination.ip",
    "destination.port",
    "destination.asn",
    "destination.fqdn",
    "destination.url",
    "protocol.transport",
    "protocol.application",
    "classification.taxonomy",
    "classification.type",
    "classification.identifier",
    "malware.name",
    "feed.name",
    "feed.code",
    "event_description.text",
    "tlp",
    EXTRA,
];

/// The column of everything that has no column of its own, as a JSON object.
pub const EXTRA: &str = "extra";
/// The column of the event's id.
pub const ID: &str = "id";
/// The column of the event's number in the log.
pub const SEQ: &str = "seq";
/// Most columns that can be asked for.
pub const COLUMNS_MAX: usize = 256;
/// What a formula begins with; the carriage return because some spreadsheets look behind it.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// What is done about texts that a spreadsheet would take for formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// They get a quote in front.
    #[default]
    Quote,
    /// They stay as they are.
    Off,
}

/// Why columns cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// None, or too many.
    #[error("a table has 1 to {COLUMNS_MAX} columns")]
    Count,
    /// One of them twice, or without a name.
    #[error("the column '{0}' is there twice or has no name")]
    Name(String),
}

/// Columns, and how their cells are written.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<String>,
    guard: Guard,
}

impl Table {
    /// The columns asked for: keys of events, [`ID`], [`SEQ`], [`EXTRA`].
    pub fn new(columns: &[String], guard: Guard) -> Result<Self, ColumnsError> {
        let columns: Vec<String> = match columns {
            [] => COLUMNS.iter().map(|name| (*name).to_owned()).collect(),
            asked => asked.iter().map(|name| name.trim().to_owned()).collect(),
        };
        if columns.len() > COLUMNS_MAX {
            return Err(ColumnsError::Count);
        }
        for (at, name) in columns.iter().enumerate() {
            if name.is_empty() || columns[..at].contains(name) {
                return Err(ColumnsError::Name(name.clone()));
            }
        }
        Ok(Self { columns, guard })
    }

    /// Appends the header.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        for (at, name) in self.columns.iter().enumerate() {
            cell(out, at, &self.guarded(name));
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends an event's row.
    pub fn write_row(&self, seq: u64, id: &str, event: &Map<String, Value>, out: &mut Vec<u8>) {
        let start = out.len();
        for (at, name) in self.columns.iter().enumerate() {
            let text = match (name.as_str(), event.get(name)) {
                (_, Some(Value::String(text))) => self.guarded(text),
                (_, Some(Value::Null)) => String::new(),
                (_, Some(other)) => other.to_string(),
                (ID, None) => id.to_owned(),
                (SEQ, None) => seq.to_string(),
                (EXTRA, None) => self.rest(event),
                (_, None) => String::new(),
            };
            cell(out, at, &text);
        }
        // A single empty cell reads as no line at all.
        if out.len() == start {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// What has no column, as a JSON object; empty where there is nothing.
    fn rest(&self, event: &Map<String, Value>) -> String {
        // Sorted, whether or not the map keeps the order in which keys came.
        let rest: BTreeMap<&String, &Value> =
            event.iter().filter(|(key, _)| !self.columns.contains(key)).collect();
        // Texts for keys: this cannot fail.
        if rest.is_empty() { String::new() } else { serde_json::to_string(&rest).unwrap_or_default() }
    }

    fn guarded(&self, text: &str) -> String {
        // A NUL ends the cell for some readers, which would then see another table than others.
        let text = text.replace('\0', "\u{fffd}");
        match self.guard {
            Guard::Quote if text.starts_with(FORMULA) => format!("'{text}"),
            _ => text,
        }
    }
}

/// One line of a table that a program reads, ended.
pub fn line(cells: &[impl AsRef<str>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, text) in cells.iter().enumerate() {
        cell(&mut out, at, &text.as_ref().replace('\0', "\u{fffd}"));
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Appends one cell, quoted where it has to be.
fn cell(out: &mut Vec<u8>, at: usize, text: &str) {
    if at > 0 {
        out.push(b',');
    }
    if text.is_empty() {
        return;
    }
    let mut writer = csv_core::Writer::new();
    let start = out.len();
    // The longest form is every byte a quote, doubled, between quotes.
    out.resize(start + 2 * text.len() + 4, 0);
    let (_, _, written) = writer.field(text.as_bytes(), &mut out[start..]);
    let (finished, end) = writer.finish(&mut out[start + written..]);
    debug_assert_eq!(finished, WriteResult::InputEmpty);
    out.truncate(start + written + end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn row(columns: &[&str], guard: Guard, event: &Value) -> String {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let mut out = Vec::new();
        Table::new(&columns, guard).unwrap().write_row(7, "00ff", event.as_object().unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_as_rfc_4180_says() {
        let event =
            json!({ "a": "x,y", "b": "say \"hi\"", "c": "two\r\nlines", "d": 7, "e": [1], "f": true });
        let line = row(&["a", "b", "c", "d", "e", "f", "none"], Guard::Quote, &event);
        assert_eq!(line, "\"x,y\",\"say \"\"hi\"\"\",\"two\r\nlines\",7,[1],true,\r\n");
    }

    #[test]
    fn formulas_are_disarmed_unless_told_otherwise() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            let cell = row(&["a"], Guard::Quote, &json!({ "a": text }));
            assert!(cell.trim_matches('"').starts_with('\''), "{text:?} became {cell:?}");
            let cell = row(&["a"], Guard::Off, &json!({ "a": text }));
            assert!(!cell.contains('\''), "{text:?} became {cell:?}");
        }
        assert_eq!(row(&["a"], Guard::Quote, &json!({ "a": -1.5 })), "-1.5\r\n", "a number is no text");
        assert_eq!(row(&["a"], Guard::Quote, &json!({ "a": "a=1" })), "a=1\r\n");
    }

    #[test]
    fn what_has_no_column_is_in_the_last_one() {
        let event = json!({ "source.ip": "192.0.2.1", "extra.tag": "x", "extra.n": 2 });
        let line = row(&["seq", "id", "source.ip", "extra"], Guard::Quote, &event);
        assert_eq!(line, "7,00ff,192.0.2.1,\"{\"\"extra.n\"\":2,\"\"extra.tag\"\":\"\"x\"\"}\"\r\n");
        let mut header = Vec::new();
        Table::new(&[], Guard::Quote).unwrap().write_header(&mut header);
        let header = String::from_utf8(header).unwrap();
        assert!(
            header.starts_with("time.source,time.observation,source.ip,") && header.ends_with(",extra\r\n")
        );
    }

    #[test]
    fn columns_that_make_no_table_are_refused() {
        let name = |name: &str| Table::new(&[name.to_owned(), "a".to_owned()], Guard::Off).err();
        assert_eq!(name("a"), Some(ColumnsError::Name("a".into())));
        assert_eq!(name(""), Some(ColumnsError::Name(String::new())));
        let many: Vec<String> = (0..=COLUMNS_MAX).map(|n| n.to_string()).collect();
        assert_eq!(Table::new(&many, Guard::Off).err(), Some(ColumnsError::Count));
    }

    proptest! {
        #[test]
        fn a_row_reads_back_the_same(cells in proptest::collection::vec("[^\0]{0,20}", 1..6)) {
            let event: Map<String, Value> =
                cells.iter().enumerate().map(|(n, text)| (format!("k{n}"), text.clone().into())).collect();
            let columns: Vec<String> = (0..cells.len()).map(|n| format!("k{n}")).collect();
            let table = Table::new(&columns, Guard::Off).unwrap();
            let mut out = Vec::new();
            table.write_header(&mut out);
            table.write_row(1, "", &event, &mut out);
            // Read by csv-core itself: our own reader takes lines apart first.
            let mut reader = csv_core::Reader::new();
            let (mut fields, mut ends) = (vec![0; out.len() + 64], vec![0; 64]);
            let (_, read, _, count) = reader.read_record(&out, &mut fields, &mut ends);
            prop_assert_eq!(count, cells.len());
            let (_, _, _, count) = reader.read_record(&out[read..], &mut fields, &mut ends);
            prop_assert_eq!(count, cells.len());
            let mut start = 0;
            for (cell, end) in cells.iter().zip(&ends) {
                prop_assert_eq!(cell.as_bytes(), &fields[start..*end]);
                start = *end;
            }
        }
    }
}
