//! Tables of web pages, for sources that publish nothing better. Which table, which of its columns, and how they are read
//! is said by parameters, so that a new page needs no code.

use jiff::Timestamp;
use noroshi_model::{Datum, Fields};
use noroshi_wire::{TimeFormat, Zone};
use serde_json::Value;

use super::markup::{Piece, Pieces, Tag};
use super::{refused, whole};
use crate::bundle::Bundle;
use crate::convert::{epoch, time, try_add_owned};
use crate::kind::is_known;
use crate::{Feed, FeedError, Input, Report};

/// Most rows of a table that are kept while it is read.
const ROWS_MAX: usize = 1_000_000;

/// A row: its line, and the text of its cells.
type Row = (u64, Vec<String>);

/// What the parameters say.
struct Plan {
    /// For each column the keys that are tried in turn.
    columns: Vec<Vec<String>>,
    ignored: Vec<String>,
    index: usize,
    attribute: Option<(String, String)>,
    skipped: usize,
    split: Option<(String, Option<String>, usize)>,
    time: Option<TimeAs>,
    scheme: String,
    kind: Option<String>,
}

/// How times are written.
enum TimeAs {
    Seconds,
    Millis,
    WindowsNt,
    Pattern(String),
    Day(String),
}

/// Opens a page.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let plan = Plan::new(report)?;
    Ok(whole(input, move |bytes, sink| {
        let page = String::from_utf8_lossy(bytes);
        let Some(rows) = rows(&page, &plan) else {
            return Err(FeedError::Report("the page has no such table".into()));
        };
        for (line, cells) in rows.into_iter().skip(plan.skipped) {
            match plan.event(&cells) {
                Ok(Some(fields)) => sink.event(line, fields),
                Ok(None) => {}
                Err(reason) => sink.bad(refused(line, reason, &cells.join("\t"))),
            }
        }
        Ok(())
    }))
}

impl Plan {
    fn new(report: &Report) -> Result<Self, FeedError> {
        let columns = list(report, "columns").unwrap_or_else(|| vec![String::new(), "source.fqdn".into()]);
        let columns: Vec<Vec<String>> = columns
            .iter()
            .map(|column| column.split('|').map(|key| key.trim().to_owned()).collect())
            .collect();
        let wrong = |name, reason| Err(FeedError::Parameter { name, reason });
        if let Some(key) = columns.iter().flatten().find(|key| !is_passed_over(key) && !is_known(key)) {
            return wrong("columns", format!("'{key}' is no key of an event"));
        }
        let ignored = list(report, "ignore_values").unwrap_or_else(|| vec![String::new(); columns.len()]);
        if ignored.len() != columns.len() {
            return wrong("ignore_values", "there must be as many as there are columns".into());
        }
        let text = |name| report.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let kind = match report.params.get("type") {
            None => Some("c2-server".to_owned()),
            Some(kind) => kind.as_str().map(str::to_owned),
        };
        Ok(Self {
            columns,
            ignored,
            index: number(report, "table_index"),
            attribute: text("attribute_name").map(|name| (name, text("attribute_value").unwrap_or_default())),
            skipped: usize::from(report.truth("skip_table_head", true)),
            split: text("split_column")
                .map(|column| (column, text("split_separator"), number(report, "split_index"))),
            time: text("time_format").map(|format| TimeAs::new(&format)).transpose()?.flatten(),
            scheme: text("default_url_protocol").unwrap_or_else(|| "http://".into()),
            kind,
        })
    }

    /// A row's event; none where a row says nothing.
    fn event(&self, cells: &[String]) -> Result<Option<Fields<'static>>, String> {
        let mut fields = Fields::default();
        for ((keys, cell), ignored) in self.columns.iter().zip(cells).zip(&self.ignored) {
            let cell = cell.trim();
            if cell.is_empty() || cell == ignored {
                continue;
            }
            let taken = self.take(&mut fields, keys, cell);
            // A dash and the like are no values, and no mistakes.
            if !taken && !matches!(cell, "-" | "N/A") {
                return Err(format!("a cell is no {}", keys.join(" and no ")));
            }
        }
        if fields.is_empty() {
            return Ok(None);
        }
        if let Some(kind) = self.kind.as_ref().filter(|_| !fields.has("classification.type"))
            && !try_add_owned(&mut fields, "classification.type", kind)
        {
            return Err("parameter type is no RSIT classification type".into());
        }
        Ok(Some(fields))
    }

    /// Gives a cell to the first of the keys that takes it. Once it is split it stays so for the keys after.
    fn take(&self, fields: &mut Fields<'static>, keys: &[String], cell: &str) -> bool {
        let mut part = cell;
        for key in keys {
            if is_passed_over(key) {
                return true;
            }
            if let Some((_, separator, index)) = self.split.as_ref().filter(|(column, ..)| column == key) {
                let split = match separator {
                    Some(separator) => part.split(separator.as_str()).nth(*index),
                    None => part.split_whitespace().nth(*index),
                };
                let Some(split) = split else { return false };
                part = split.trim();
            }
            if !matches!(part, "-" | "N/A") && self.add(fields, key, part) {
                return true;
            }
        }
        false
    }

    fn add(&self, fields: &mut Fields<'static>, key: &str, part: &str) -> bool {
        if key.starts_with("time.") {
            let at = self.time.as_ref().map_or_else(|| time(part), |format| format.read(part));
            return at.is_some_and(|at| fields.offer(key.to_owned(), Datum::Time(at)));
        }
        if key.ends_with(".url") && !part.contains("://") {
            return try_add_owned(fields, key, &format!("{}{part}", self.scheme));
        }
        try_add_owned(fields, key, part)
    }
}

impl TimeAs {
    fn new(format: &str) -> Result<Option<Self>, FeedError> {
        Ok(match format.split_once('|').unwrap_or((format, "")) {
            ("fuzzy" | "utc_isoformat", _) => None,
            ("timestamp", _) => Some(Self::Seconds),
            ("epoch_millis", _) => Some(Self::Millis),
            ("windows_nt", _) => Some(Self::WindowsNt),
            ("from_format", pattern) => Some(Self::Pattern(pattern.to_owned())),
            ("from_format_midnight", pattern) => Some(Self::Day(pattern.to_owned())),
            (name, _) => {
                let reason = format!("'{name}' is no way in which times are written");
                return Err(FeedError::Parameter { name: "time_format", reason });
            }
        })
    }

    fn read(&self, text: &str) -> Option<Timestamp> {
        match self {
            Self::Seconds => epoch(text),
            Self::Millis => Timestamp::from_second(text.parse::<i64>().ok()?.div_euclid(1000)).ok(),
            Self::WindowsNt => {
                let micros = text.parse::<i64>().ok()? / 10;
                Timestamp::from_microsecond(micros - 11_644_473_600_000_000).ok()
            }
            Self::Pattern(pattern) => {
                let format = TimeFormat::try_from(pattern.clone()).ok()?;
                format.read(text, Some(&Zone::utc())).ok()
            }
            Self::Day(pattern) => {
                let day = jiff::civil::Date::strptime(pattern, text).ok()?;
                jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()
            }
        }
    }
}

fn is_passed_over(key: &str) -> bool {
    key.is_empty() || key == "__IGNORE__"
}

/// A parameter that is a list, or a text with commas.
fn list(report: &Report, name: &str) -> Option<Vec<String>> {
    match report.params.get(name)? {
        Value::String(text) => Some(text.split(',').map(|part| part.trim().to_owned()).collect()),
        Value::Array(list) => Some(list.iter().map(|v| v.as_str().unwrap_or_default().to_owned()).collect()),
        _ => None,
    }
}

fn number(report: &Report, name: &str) -> usize {
    let value = report.params.get(name);
    let number = value.and_then(|v| v.as_u64().or_else(|| v.as_str()?.trim().parse().ok()));
    number.and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

/// The rows of the table that is meant, with those of tables inside it.
fn rows(page: &str, plan: &Plan) -> Option<Vec<Row>> {
    let mut pieces = Pieces::new(page);
    let mut left = plan.index;
    loop {
        let (_, piece) = pieces.next()?;
        if let Piece::Open(tag) = piece
            && tag.is("table")
            && fits(&tag, plan.attribute.as_ref())
        {
            if left == 0 {
                return Some(rows_of(pieces));
            }
            left -= 1;
        }
    }
}

/// Whether a table has the attribute; of one with several words any may be the one.
fn fits(tag: &Tag<'_>, attribute: Option<&(String, String)>) -> bool {
    let Some((name, wanted)) = attribute else { return true };
    let Some(value) = tag.get(name) else { return false };
    value == wanted.as_str()
        || name.eq_ignore_ascii_case("class") && value.split_whitespace().any(|word| word == wanted)
}

fn rows_of(pieces: Pieces<'_>) -> Vec<Row> {
    let (mut rows, mut depth) = (Vec::<Row>::new(), 1_u32);
    let mut open = false;
    for (line, piece) in pieces {
        match piece {
            Piece::Open(tag) if tag.is("table") => depth += 1,
            Piece::Open(tag) if tag.is("tr") => {
                open = false;
                if rows.len() == ROWS_MAX {
                    break;
                }
                rows.push((line, Vec::new()));
            }
            // The end of a cell may be left out; the next one ends it.
            Piece::Open(tag) if tag.is("td") => {
                if let Some((_, cells)) = rows.last_mut() {
                    cells.push(String::new());
                    open = true;
                }
            }
            Piece::Text(text) if open => {
                if let Some(cell) = rows.last_mut().and_then(|(_, cells)| cells.last_mut()) {
                    cell.push_str(&text);
                }
            }
            Piece::Close(name) if name.eq_ignore_ascii_case("td") || name.eq_ignore_ascii_case("tr") => {
                open = false;
            }
            Piece::Close(name) if name.eq_ignore_ascii_case("table") => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::probe::parsed;

    const PAGE: &str = "<table><tr><td>other</table>\n<table class='big sortable'>\n<thead><tr><th>when<th>host</thead>\n\
        <tr><td>2019-05-07 18:31<td> D <b>a.example</b> <td>Offline\n<tr><td>2019-05-07 18:32</td><td>D</td></tr>\n\
        <tr><td></td><td></td></tr>\n<tr><td>-</td><td>D 192.0.2.1:80/x</td><td>Online &amp; up</td></tr>\n</table><tr><td>x";

    #[test]
    fn parameters_say_which_and_how() {
        let params = serde_json::json!({
            "columns": "time.source,source.ip|source.fqdn|source.url,status", "ignore_values": ",,Offline",
            "attribute_name": "class", "attribute_value": "sortable", "type": "malware-distribution",
            "split_column": "source.fqdn", "split_index": "1",
        });
        let got = parsed("html-table", PAGE, params);
        assert_eq!(got.lines(), "[4, 7] bad [5] filtered 0");
        assert_eq!((got.fact(0, "source.fqdn"), got.fact(0, "status")), ("a.example", ""));
        assert_eq!(
            (got.fact(0, "time.source"), got.fact(1, "status")),
            ("2019-05-07T18:31:00Z", "Online & up")
        );
        assert_eq!(got.fact(0, "classification.type"), "malware-distribution");
    }

    #[test]
    fn the_table_by_its_place() {
        let got = parsed(
            "html-table",
            PAGE,
            serde_json::json!({ "columns": ["extra.x"], "skip_table_head": false }),
        );
        assert_eq!((got.events.len(), got.fact(0, "extra.x")), (1, "other"));
        assert_eq!(got.fact(0, "classification.type"), "c2-server");
    }

    #[test]
    fn ways_to_write_times() {
        let read = |format, text| {
            TimeAs::new(format).ok().flatten().and_then(|f| f.read(text)).map(|t| t.as_second())
        };
        assert_eq!(read("timestamp", "1558023131"), Some(1_558_023_131));
        assert_eq!(read("epoch_millis", "1558023131123"), Some(1_558_023_131));
        assert_eq!(read("windows_nt", "132024967310000000"), Some(1_558_023_131));
        assert_eq!(read("from_format|%d/%m/%Y %H:%M", "16/05/2019 16:12"), Some(1_558_023_120));
        assert_eq!(read("from_format_midnight|%d-%m-%Y", "16-05-2019"), Some(1_557_964_800));
        assert!(TimeAs::new("nonsense").is_err());
    }
}
