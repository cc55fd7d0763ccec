//! IntelMQ's generic CSV parser: a list of columns in the parameters instead of a map, so that a feed set up there can be
//! moved here as it is. The parameters are code because each of them changes how a cell is read: alternatives of a column,
//! a pattern searched in it, its translation, JSON inside it. They are made ready once; a row then costs no look-ups.

use std::borrow::Cow;

use jiff::Timestamp;
use noroshi_model::{Datum, Fields};
use noroshi_wire::csv::{COLUMNS_MAX, CsvFormat, Header, Record, Records};
use noroshi_wire::{Encoding, Lines};
use regex::Regex;
use serde_json::{Map, Value};

use super::intelmq::{self, is_nothing};
use crate::bundle::Bundle;
use crate::convert::{convert, expected};
use crate::kind::{Kind, is_known, kind_of};
use crate::objects::text_of;
use crate::{Feed, FeedError, Input, Report, Sink, fuzzy};

/// A column that is passed over.
const IGNORE: &str = "__IGNORE__";

/// Opens a report.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let plan = Plan::new(report)?;
    // Rows go by place: the names only have to differ, and further cells may follow those that are wanted.
    let names = (1..=plan.columns.len()).map(|at| at.to_string()).collect();
    let format = CsvFormat {
        delimiter: plan.delimiter,
        header: Header::Named(names),
        ragged: true,
        comment: Some('#'),
    };
    let records = Records::new(Lines::new(input, Encoding::default()), format, &[]);
    Ok(Box::new(GenericCsv { records, skip: plan.skip, plan }))
}

struct GenericCsv {
    records: Records<Input>,
    plan: Plan,
    /// Rows still to be passed over.
    skip: u64,
}

impl Feed for GenericCsv {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        let record = match self.records.next().transpose()? {
            None => return Ok(false),
            // Whatever the header is, it is no record that was lost.
            Some(_) if self.skip > 0 => {
                self.skip -= 1;
                return Ok(true);
            }
            Some(Err(bad)) => {
                sink.bad(bad);
                return Ok(true);
            }
            Some(Ok(record)) => record,
        };
        let begin = record.text().trim_start();
        if begin.is_empty() || begin.starts_with('#') {
            return Ok(true);
        }
        if self.plan.filter.as_ref().is_some_and(|filter| !filter.lets(&record)) {
            sink.filtered(record.line);
            return Ok(true);
        }
        match self.plan.event(&record) {
            Ok(fields) => sink.event(record.line, fields),
            Err(reason) => sink.bad(record.bad(reason)),
        }
        Ok(true)
    }
}

/// The parameters, made ready.
struct Plan {
    delimiter: char,
    skip: u64,
    columns: Vec<Column>,
    protocol: String,
    time: TimeAs,
    translation: Map<String, Value>,
    typed: bool,
    compose: Vec<(String, Vec<Piece>)>,
    defaults: Vec<(String, Datum<'static>)>,
    filter: Option<Filter>,
}

/// A column, with the keys that are tried in turn.
struct Column {
    keys: Vec<Key>,
    required: bool,
}

struct Key {
    key: String,
    how: How,
    search: Option<Regex>,
    json: bool,
}

/// How a cell becomes the value of a key.
enum How {
    Ignore,
    Time,
    Url,
    Type,
    Value,
    Plain(Kind),
}

/// How times are written.
enum TimeAs {
    Fuzzy,
    Epoch,
    WindowsNt,
    Pattern(String),
    Day(String),
}

/// A piece of a composed value.
enum Piece {
    Text(String),
    Cell(usize),
}

struct Filter {
    text: String,
    keep: bool,
    delimiter: char,
}

/// What a cell gave for a key.
enum Read<'a> {
    Value(Datum<'a>),
    /// It means that there is no value.
    Nothing,
    /// It is no value of this key.
    Not,
    /// The row cannot be used.
    Bad(String),
}

impl Plan {
    fn event<'a>(&'a self, record: &'a Record) -> Result<Fields<'a>, String> {
        let mut fields = Fields::with_capacity(self.columns.len() + self.defaults.len());
        // Where spaces stand between columns, those before the first one mean nothing.
        let lead = match self.delimiter {
            ' ' => record.text().bytes().take_while(|b| *b == b' ').count(),
            _ => 0,
        };
        for (at, column) in self.columns.iter().enumerate() {
            let Some(cell) = record.at(at + lead) else { break };
            let cell = if at == 0 { cell.trim_start_matches([' ', '\t']) } else { cell };
            if !cell.is_empty() {
                self.cell(column, at, cell, &mut fields)?;
            }
        }
        for (key, pieces) in &self.compose {
            let text = composed(pieces, record)?;
            if !is_nothing(&text) {
                let datum = intelmq::value(key, &text).ok_or_else(|| not(key))?;
                fields.put(key.as_str(), datum.into_owned());
            }
        }
        for (key, datum) in &self.defaults {
            fields.offer(key.as_str(), borrowed(datum));
        }
        Ok(fields)
    }

    fn cell<'a>(
        &'a self,
        column: &'a Column,
        at: usize,
        cell: &'a str,
        fields: &mut Fields<'a>,
    ) -> Result<(), String> {
        for key in &column.keys {
            if matches!(key.how, How::Ignore) {
                return Ok(());
            }
            match self.read(key, cell) {
                Read::Nothing => return Ok(()),
                Read::Bad(reason) => return Err(format!("column {}: {reason}", at + 1)),
                Read::Not => {}
                Read::Value(datum) => {
                    return match fields.offer(key.key.as_str(), datum) {
                        true => Ok(()),
                        false => Err(format!("two columns give {}", key.key)),
                    };
                }
            }
        }
        match column.keys.last() {
            Some(key) if column.required => Err(format!("column {}: {}", at + 1, not(&key.key))),
            _ => Ok(()),
        }
    }

    fn read<'a>(&'a self, key: &'a Key, cell: &'a str) -> Read<'a> {
        let mut text = cell;
        if let Some(search) = &key.search {
            match search.find(cell) {
                Some(found) => text = found.as_str(),
                None if matches!(key.how, How::Url) => return Read::Not,
                None => return Read::Nothing,
            }
        }
        if key.json {
            return match serde_json::from_str::<Value>(text) {
                Err(_) => Read::Bad("no JSON".into()),
                Ok(Value::Null) => Read::Nothing,
                Ok(value) if key.key.starts_with("extra.") => Read::Value(Datum::from(value)),
                Ok(value) => match self.convert(key, &text_of(&value)) {
                    Read::Value(datum) => Read::Value(datum.into_owned()),
                    Read::Nothing => Read::Nothing,
                    Read::Not => Read::Not,
                    Read::Bad(reason) => Read::Bad(reason),
                },
            };
        }
        self.convert(key, text)
    }

    fn convert<'a>(&'a self, key: &'a Key, text: &'a str) -> Read<'a> {
        if is_nothing(text) {
            return Read::Nothing;
        }
        let datum = match &key.how {
            How::Ignore => return Read::Nothing,
            How::Time => self.time.read(text).map(Datum::Time),
            How::Url if text.contains("://") => convert(Kind::Url, text),
            How::Url => {
                let whole = format!("{}{}", self.protocol, text.trim());
                convert(Kind::Url, &whole).map(Datum::into_owned)
            }
            How::Type => match self.translation.get(text) {
                Some(Value::String(name)) => convert(Kind::Classification, name),
                Some(_) => None,
                None if self.translation.is_empty() || self.typed => convert(Kind::Classification, text),
                None => None,
            },
            How::Value => intelmq::value(&key.key, text),
            How::Plain(kind) => convert(*kind, text),
        };
        datum.map_or(Read::Not, Read::Value)
    }
}

impl TimeAs {
    fn new(text: &str) -> Option<Self> {
        Some(match text {
            "" | "fuzzy" | "utc_isoformat" => Self::Fuzzy,
            "timestamp" | "epoch_millis" => Self::Epoch,
            "windows_nt" => Self::WindowsNt,
            other => match other.split_once('|')? {
                ("from_format", pattern) => Self::Pattern(pattern.to_owned()),
                ("from_format_midnight", pattern) => Self::Day(pattern.to_owned()),
                _ => return None,
            },
        })
    }

    fn read(&self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        let utc = |civil: jiff::civil::DateTime| jiff::tz::Offset::UTC.to_timestamp(civil).ok();
        match self {
            Self::Fuzzy => fuzzy::time(text),
            Self::Epoch => epoch(text),
            Self::WindowsNt => {
                // Steps of 100 ns since 1601.
                let since_1970 = text.parse::<i128>().ok()?.checked_sub(116_444_736_000_000_000)?;
                Timestamp::from_nanosecond(since_1970.checked_mul(100)?).ok()
            }
            Self::Pattern(pattern) => {
                // A zone by its name can be universal time, or nobody knows which.
                let (pattern, text) = match pattern.strip_suffix("%Z") {
                    Some(rest) => (rest.trim_end(), universal(text)?),
                    None => (pattern.as_str(), text),
                };
                let read = jiff::fmt::strtime::parse(pattern, text).ok()?;
                if let Ok(time) = read.to_timestamp() {
                    return Some(time);
                }
                let midnight = || Some(read.to_date().ok()?.at(0, 0, 0, 0));
                utc(read.to_datetime().ok().or_else(midnight)?)
            }
            Self::Day(pattern) => {
                utc(jiff::fmt::strtime::parse(pattern, text).ok()?.to_date().ok()?.at(0, 0, 0, 0))
            }
        }
    }
}

/// A time without the name of its zone.
fn universal(text: &str) -> Option<&str> {
    ["UTC", "GMT", "Z"].iter().find_map(|name| text.strip_suffix(name)).map(str::trim_end)
}

/// Since 1970: seconds, with two digits of a fraction behind them, or with three; the fraction is left out.
fn epoch(text: &str) -> Option<Timestamp> {
    let whole = text.split('.').next()?;
    let number: i64 = whole.parse().ok()?;
    let seconds = match whole.len() {
        12 => number / 100,
        13 => number / 1000,
        _ => number,
    };
    Timestamp::from_second(seconds).ok()
}

impl Filter {
    /// Whether the text is in the row as it reads without quotes.
    fn lets(&self, record: &Record) -> bool {
        let mut row = String::with_capacity(record.text().len());
        for at in 0..record.len() {
            if at > 0 {
                row.push(self.delimiter);
            }
            row.push_str(record.at(at).unwrap_or_default());
        }
        row.contains(&self.text) == self.keep
    }
}

fn composed(pieces: &[Piece], record: &Record) -> Result<String, String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(fixed) => text.push_str(fixed),
            Piece::Cell(at) => {
                text.push_str(record.at(*at).ok_or_else(|| format!("column {} is not there", at + 1))?);
            }
        }
    }
    Ok(text)
}

fn not(key: &str) -> String {
    format!("{key} is no {}", expected(kind_of(key)))
}

fn borrowed<'a>(datum: &'a Datum<'static>) -> Datum<'a> {
    match datum {
        Datum::Text(text) => Datum::Text(Cow::Borrowed(text)),
        other => other.clone(),
    }
}

// ---- parameters ----

impl Plan {
    fn new(report: &Report) -> Result<Self, FeedError> {
        let delimiter = delimiter(report)?;
        let typed = report.text("type").is_some_and(|name| !name.is_empty());
        Ok(Self {
            delimiter,
            skip: count(report, "skip_header")? + count(report, "skip_row")?,
            columns: columns(report)?,
            protocol: report.text("default_url_protocol").unwrap_or("http://").to_owned(),
            time: TimeAs::new(report.text("time_format").unwrap_or_default()).ok_or_else(|| {
                parameter(
                    "time_format",
                    "timestamp, windows_nt, epoch_millis, from_format|PATTERN or nothing",
                )
            })?,
            translation: object(report, "type_translation")?,
            typed,
            compose: compose(report)?,
            defaults: defaults(report)?,
            filter: filter(report, delimiter)?,
        })
    }
}

fn parameter(name: &'static str, reason: impl Into<String>) -> FeedError {
    FeedError::Parameter { name, reason: reason.into() }
}

fn delimiter(report: &Report) -> Result<char, FeedError> {
    let text = report.text("delimiter").filter(|text| !text.is_empty()).unwrap_or(",");
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if one.is_ascii() => Ok(one),
        _ => Err(parameter("delimiter", "must be one ASCII character")),
    }
}

/// A number of rows; `true` is one.
fn count(report: &Report, name: &'static str) -> Result<u64, FeedError> {
    match report.params.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(0),
        Some(Value::Bool(true)) => Ok(1),
        Some(value) => value.as_u64().ok_or_else(|| parameter(name, "must be true, false or a number")),
    }
}

/// An object, or the text of one.
fn object(report: &Report, name: &'static str) -> Result<Map<String, Value>, FeedError> {
    match report.params.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(Value::String(text)) => {
            serde_json::from_str(text).map_err(|_| parameter(name, "is no JSON object"))
        }
        Some(_) => Err(parameter(name, "must be an object, or JSON text of one")),
    }
}

fn columns(report: &Report) -> Result<Vec<Column>, FeedError> {
    let names: Vec<String> = match report.params.get("columns") {
        Some(Value::String(text)) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        Some(Value::Array(list)) => {
            let name = |value: &Value| value.as_str().map(|name| name.trim().to_owned());
            let names: Option<Vec<String>> = list.iter().map(name).collect();
            names.ok_or_else(|| parameter("columns", "must be texts"))?
        }
        _ => return Err(parameter("columns", "is needed: the keys of the columns, from left to right")),
    };
    if names.len() > COLUMNS_MAX {
        return Err(parameter("columns", format!("at most {COLUMNS_MAX}")));
    }
    let required: Vec<bool> = match report.params.get("columns_required") {
        None | Some(Value::Null) => vec![true; names.len()],
        Some(Value::Array(list)) => list.iter().map(|value| value.as_bool().unwrap_or(true)).collect(),
        Some(_) => return Err(parameter("columns_required", "must be a list of true and false")),
    };
    if required.len() != names.len() {
        return Err(parameter("columns_required", "must be as long as columns"));
    }
    let search = object(report, "column_regex_search")?;
    let types = object(report, "data_type")?;
    let key = |name: &str| Key::new(name, &search, &types);
    let column = |(names, required): (&String, bool)| {
        Ok(Column { keys: names.split('|').map(key).collect::<Result<_, FeedError>>()?, required })
    };
    names.iter().zip(required).map(column).collect()
}

impl Key {
    fn new(name: &str, search: &Map<String, Value>, types: &Map<String, Value>) -> Result<Self, FeedError> {
        let name = name.trim();
        let how = match name {
            "" | IGNORE => How::Ignore,
            "time.source" => How::Time,
            "classification.type" => How::Type,
            _ if !is_known(name) => {
                return Err(parameter("columns", format!("'{name}' is no key of an event")));
            }
            _ if name.ends_with(".url") && !name.starts_with("extra.") => How::Url,
            _ if name.starts_with("extra.") || name == "classification.taxonomy" => How::Value,
            _ => match kind_of(name) {
                Kind::Network => How::Value,
                kind => How::Plain(kind),
            },
        };
        let pattern = search.get(name).and_then(Value::as_str).filter(|pattern| !pattern.is_empty());
        let search = pattern.map(Regex::new).transpose().map_err(|_| {
            parameter("column_regex_search", format!("the pattern for {name} cannot be read"))
        })?;
        let json = match types.get(name).and_then(Value::as_str) {
            None => false,
            Some("json") => true,
            Some(_) => return Err(parameter("data_type", "can only be json")),
        };
        Ok(Self { key: name.to_owned(), how, search, json })
    }
}

fn compose(report: &Report) -> Result<Vec<(String, Vec<Piece>)>, FeedError> {
    let wrong = || parameter("compose_fields", "must be texts with {0}, {1}, … for the columns");
    let mut list = Vec::new();
    for (key, template) in object(report, "compose_fields")? {
        if !is_known(&key) {
            return Err(parameter("compose_fields", format!("'{key}' is no key of an event")));
        }
        let pieces = template.as_str().and_then(pieces).ok_or_else(wrong)?;
        list.push((key, pieces));
    }
    Ok(list)
}

/// `http://{0}{1}` → its pieces; `{}` is the next column, `{{` a brace.
fn pieces(template: &str) -> Option<Vec<Piece>> {
    let (mut pieces, mut text, mut next) = (Vec::new(), String::new(), 0);
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        let (number, after) = rest.split_once('}').filter(|_| brace == "{")?;
        let place = if number.is_empty() { next } else { number.parse().ok()? };
        next = place + 1;
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Cell(place));
        rest = after;
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    Some(pieces)
}

/// Fields of every event that its columns do not give: `type`, and `default_fields`.
fn defaults(report: &Report) -> Result<Vec<(String, Datum<'static>)>, FeedError> {
    let mut fields = Fields::default();
    if let Some(name) = report.text("type") {
        intelmq::put(&mut fields, "classification.type", name).map_err(|reason| parameter("type", reason))?;
    }
    for (key, value) in object(report, "default_fields")? {
        if !fields.has(&key) {
            intelmq::put_json(&mut fields, &key, &value)
                .map_err(|reason| parameter("default_fields", format!("{key}: {reason}")))?;
        }
    }
    Ok(fields.iter().map(|(key, datum)| (key.to_owned(), datum.clone())).collect())
}

fn filter(report: &Report, delimiter: char) -> Result<Option<Filter>, FeedError> {
    let text = report.text("filter_text").filter(|text| !text.is_empty());
    let keep = match report.text("filter_type").filter(|kind| !kind.is_empty()) {
        None => return Ok(None),
        Some("whitelist") => true,
        Some("blacklist") => false,
        Some(_) => return Err(parameter("filter_type", "must be whitelist or blacklist")),
    };
    Ok(text.map(|text| Filter { text: text.to_owned(), keep, delimiter }))
}

#[cfg(test)]
mod tests;
