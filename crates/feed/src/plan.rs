//! A map, made ready for one header: which cell goes where, in the order in which the keys are written. Done once per
//! file, so that a row costs no look-ups.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use noroshi_model::{ClassificationType, Datum, Fields};
use noroshi_wire::{TimeFormat, Zone};
use serde_json::Value;

use crate::convert::{convert, epoch, expected, host_of, ip, time, time_text};
use crate::kind::{Kind, kind_of};
use crate::map::{As, Compose, Mapping, ReadAs, Target};

/// A row: cells by place.
pub trait Cells {
    /// The cell's text; empty where there is none.
    fn text(&self, at: usize) -> &str;
    /// The cell as JSON, where the file has types.
    fn value(&self, _at: usize) -> Option<&Value> {
        None
    }
}

/// What a row is.
#[derive(Debug)]
pub enum Made<'a> {
    /// An event.
    Event(Fields<'a>),
    /// Left out by a rule of the map.
    Filtered,
    /// Not usable, and why.
    Bad(String),
}

/// A map for one header.
#[derive(Debug)]
pub struct Plan {
    slots: Vec<Slot>,
    whens: Vec<Condition>,
    one_of: Vec<String>,
    none: Vec<String>,
    unknown: Vec<String>,
}

/// One key, and where its value may come from. Slots stand in the order of their keys, so that events need no sorting.
#[derive(Debug)]
struct Slot {
    key: String,
    steps: Vec<Step>,
    composes: Vec<Composed>,
    constant: Option<Datum<'static>>,
}

/// Cells that did not fit where they should have gone.
type Spilled<'a> = Vec<(&'a str, &'a str)>;

#[derive(Debug)]
struct Step {
    at: usize,
    key: String,
    conv: Conv,
    column: String,
    spill: Option<String>,
    required: bool,
    replace: bool,
    /// Whether the key takes any text, so that some words stand for no value.
    free: bool,
    /// Whether white space around the text is kept.
    untrimmed: bool,
    prefix: String,
}

#[derive(Debug)]
enum Conv {
    Kind(Kind),
    Nonzero,
    TruthOrFalse,
    Epoch,
    List,
    Host,
    Base64,
    UrlHost(Kind),
    UrlScheme(Kind),
    TimeAs(TimeFormat, Option<Zone>),
    /// Text in a CSV, whatever it is in JSON.
    AsIs,
}

#[derive(Debug)]
struct Composed {
    recipe: Recipe,
    replace: bool,
}

#[derive(Debug)]
enum Recipe {
    Pieces(Vec<Piece>),
    Request { host: Option<usize>, path: usize, scheme: Option<usize>, spill: String },
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Cell(usize),
}

#[derive(Debug)]
struct Condition {
    at: usize,
    is: Vec<String>,
    starts: Vec<String>,
    contains: Vec<String>,
    set: Vec<(String, Datum<'static>)>,
    filter: bool,
}

impl Plan {
    /// A plan for the columns of a header. `Err` names a required column that is not there.
    pub fn new(mapping: &Mapping, read: &ReadAs, header: &[String]) -> Result<Self, String> {
        let mut slots = BTreeMap::new();
        for (at, column) in header.iter().enumerate() {
            match mapping.columns.get(column.as_str()) {
                Some(targets) => {
                    for target in targets.list() {
                        slot(&mut slots, &target.key).steps.push(Step::new(at, column, target, read));
                    }
                }
                None => {
                    let rest = mapping.rest.as_deref().unwrap_or("extra.");
                    if !rest.is_empty() {
                        let step = Step::rest(at, column, rest, mapping, read);
                        slot(&mut slots, &step.key.clone()).steps.push(step);
                    }
                }
            }
        }
        let place = |column: &str| header.iter().position(|name| name == column);
        for (column, targets) in &mapping.columns {
            if targets.list().iter().any(|target| target.required) && place(column).is_none() {
                return Err(column.clone());
            }
        }
        for compose in &mapping.compose {
            let composed = Composed::new(compose, &place);
            slot(&mut slots, &compose.key).composes.extend(composed);
        }
        for (key, datum) in constants(&mapping.constant, mapping.taxonomy) {
            slot(&mut slots, &key).constant = Some(datum);
        }
        let whens = mapping.when.iter().filter_map(|when| {
            let lower = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect();
            Some(Condition {
                at: place(&when.column)?,
                is: lower(&when.is),
                starts: lower(&when.starts),
                contains: lower(&when.contains),
                set: constants(&when.set, mapping.taxonomy),
                filter: when.filter,
            })
        });
        Ok(Self {
            slots: slots.into_values().collect(),
            whens: whens.collect(),
            one_of: mapping.one_of.clone(),
            none: read.none.clone(),
            unknown: read.unknown.clone(),
        })
    }

    /// Makes a row's event.
    pub fn make<'a>(&'a self, row: &'a impl Cells) -> Made<'a> {
        self.made(row, false)
    }

    /// Makes the event of a row of another width than the header: bad where a cell does not fit its column, because then
    /// the row is not short but shifted.
    pub fn make_fitting<'a>(&'a self, row: &'a impl Cells) -> Made<'a> {
        self.made(row, true)
    }

    fn made<'a>(&'a self, row: &'a impl Cells, fitting: bool) -> Made<'a> {
        let mut fields = Fields::with_capacity(self.slots.len());
        let mut spilled = Spilled::new();
        for slot in &self.slots {
            if let Err(reason) = self.fill(slot, row, &mut fields, &mut spilled) {
                return Made::Bad(reason);
            }
        }
        if fitting && !spilled.is_empty() {
            return Made::Bad(
                "another number of columns than the header has, and cells do not fit theirs".into(),
            );
        }
        for (key, text) in spilled {
            fields.offer(key, text);
        }
        for condition in &self.whens {
            if condition.fits(row) {
                if condition.filter {
                    return Made::Filtered;
                }
                for (key, datum) in &condition.set {
                    fields.put(key.as_str(), datum.borrowed());
                }
            }
        }
        if !self.one_of.is_empty() && !self.one_of.iter().any(|key| fields.has(key)) {
            return Made::Bad(format!("none of {} is there", self.one_of.join(", ")));
        }
        fields.sort();
        Made::Event(fields)
    }

    /// Sets a key: by the first column that has a value, unless another replaces it. What is read goes straight to where
    /// it stays; handing it from function to function costs more than reading it.
    fn fill<'a>(
        &'a self,
        slot: &'a Slot,
        row: &'a impl Cells,
        fields: &mut Fields<'a>,
        spilled: &mut Spilled<'a>,
    ) -> Result<(), String> {
        let before = fields.len();
        for step in &slot.steps {
            let whole = row.text(step.at);
            let text = trimmed(whole);
            let none = |words: &[String]| words.iter().any(|word| word == text);
            if text.is_empty() || none(&self.none) || step.free && none(&self.unknown) {
                if step.required {
                    return Err(format!("column {} is empty", step.column));
                }
                continue;
            }
            match step.read(if step.untrimmed { whole } else { text }, row.value(step.at)) {
                Some(datum) if fields.len() == before => fields.push_last(&slot.key, datum),
                Some(datum) if step.replace => fields.put(slot.key.as_str(), datum),
                // Left out on purpose: a zero that means nothing.
                None if matches!(step.conv, Conv::Nonzero | Conv::Host) && is_zero(text) => {}
                None if step.required => {
                    return Err(format!("column {} is no {}", step.column, step.expected()));
                }
                Some(_) | None => spilled.extend(step.spill.as_ref().map(|spill| (spill.as_str(), text))),
            }
        }
        for composed in &slot.composes {
            let free = fields.len() == before;
            if (free || composed.replace)
                && let Some(datum) = self.compose(&slot.key, composed, row, spilled)
            {
                if free { fields.push_last(&slot.key, datum) } else { fields.put(slot.key.as_str(), datum) }
            }
        }
        if let Some(constant) = slot.constant.as_ref().filter(|_| fields.len() == before) {
            fields.push_last(&slot.key, constant.borrowed());
        }
        Ok(())
    }

    fn compose<'a>(
        &'a self,
        key: &str,
        composed: &'a Composed,
        row: &'a impl Cells,
        spilled: &mut Spilled<'a>,
    ) -> Option<Datum<'a>> {
        match &composed.recipe {
            Recipe::Pieces(pieces) => {
                convert(kind_of(key), &self.joined(pieces, row)?).map(Datum::into_owned)
            }
            Recipe::Request { host, path, scheme, spill } => {
                let cell = |at: &Option<usize>| at.map_or("", |at| row.text(at).trim());
                let (host, path) = (cell(host), row.text(*path).trim());
                let url = request_url(cell(scheme), host, path)?;
                let datum = convert(kind_of(key), &url).map(Datum::into_owned);
                if datum.is_none() {
                    spilled.push((spill, path));
                }
                datum
            }
        }
    }

    fn joined(&self, pieces: &[Piece], row: &impl Cells) -> Option<String> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Cell(at) => {
                    let cell = row.text(*at).trim();
                    if cell.is_empty() || self.none.iter().any(|none| none == cell) {
                        return None;
                    }
                    text.push_str(cell);
                }
            }
        }
        Some(text)
    }
}

impl Composed {
    /// `None` where a column is not in the header.
    fn new(compose: &Compose, place: &impl Fn(&str) -> Option<usize>) -> Option<Self> {
        let recipe = match &compose.request {
            None => Recipe::Pieces(pieces(&compose.from, place)?),
            Some(request) => Recipe::Request {
                host: place(&request.host),
                path: place(&request.path)?,
                scheme: place(&request.scheme),
                spill: format!("extra.{}", request.path),
            },
        };
        Some(Self { recipe, replace: compose.replace })
    }
}

/// The URL of a request: `path` may be a request line (`GET /x HTTP/1.1`), or all there is.
fn request_url(scheme: &str, host: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    if host.is_empty() {
        return Some(path.to_owned());
    }
    let path = path.find('/').map_or("", |at| &path[at..]);
    let path = path.split(char::is_whitespace).next().unwrap_or_default();
    let scheme = if scheme == "https" { "https://" } else { "http://" };
    Some([scheme, host, path].concat())
}

/// Without white space around it. Most cells have none, which is quickly seen.
#[inline]
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [] => text,
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

fn slot<'a>(slots: &'a mut BTreeMap<String, Slot>, key: &str) -> &'a mut Slot {
    let new = || Slot { key: key.to_owned(), steps: Vec::new(), composes: Vec::new(), constant: None };
    slots.entry(key.to_owned()).or_insert_with(new)
}

/// Zero, or the address that stands for none.
fn is_zero(text: &str) -> bool {
    matches!(text, "0" | "0.0.0.0" | "::")
}

impl Step {
    fn new(at: usize, column: &str, target: &Target, read: &ReadAs) -> Self {
        let kind = match target.read {
            Some(how) => how.kind(),
            None => Some(kind_of(&target.key)),
        };
        let conv = match (target.read, kind, &read.time) {
            (_, Some(Kind::Time), Some(format)) => Conv::TimeAs(format.clone(), read.zone.clone()),
            (_, Some(Kind::Time), None) if read.zone.is_some() => {
                Conv::TimeAs(TimeFormat::Rfc3339, read.zone.clone())
            }
            (None, Some(Kind::Text), _) if target.key.starts_with("extra.") => Conv::AsIs,
            (_, Some(kind), _) => Conv::Kind(kind),
            (Some(As::Nonzero), ..) => Conv::Nonzero,
            (Some(As::TruthOrFalse), ..) => Conv::TruthOrFalse,
            (Some(As::Epoch), ..) => Conv::Epoch,
            (Some(As::Host), ..) => Conv::Host,
            (Some(As::Base64), ..) => Conv::Base64,
            (Some(As::UrlHost), ..) => Conv::UrlHost(kind_of(&target.key)),
            (Some(As::UrlScheme), ..) => Conv::UrlScheme(kind_of(&target.key)),
            _ => Conv::List,
        };
        let free =
            matches!(kind, Some(Kind::Text | Kind::Lower | Kind::Malware)) && target.read != Some(As::Text);
        let spill = (!target.else_drop).then(|| format!("extra.{column}"));
        Self {
            at,
            key: target.key.clone(),
            column: column.to_owned(),
            spill: spill.filter(|key| *key != target.key),
            required: target.required,
            replace: target.replace,
            free,
            untrimmed: !read.trim && matches!(conv, Conv::AsIs),
            conv,
            prefix: target.prefix.clone(),
        }
    }

    /// A column that the map does not name. A number that is none stays what it is: text.
    fn rest(at: usize, column: &str, rest: &str, mapping: &Mapping, read: &ReadAs) -> Self {
        let mut types = mapping.types.iter();
        let typed =
            types.find(|(_, columns)| columns.iter().any(|name| name == column)).map(|(kind, _)| *kind);
        let target = Target {
            key: format!("{rest}{column}"),
            read: typed,
            required: false,
            else_drop: true,
            replace: false,
            prefix: String::new(),
        };
        let mut step = Self::new(at, column, &target, read);
        if typed.is_none() {
            step.conv = Conv::AsIs;
            step.untrimmed = !read.trim;
        }
        let number = matches!(typed, Some(As::Int | As::Real | As::Nonzero));
        step.spill = number.then(|| step.key.clone());
        step
    }

    /// Reads a cell.
    fn read<'a>(&self, text: &'a str, value: Option<&Value>) -> Option<Datum<'a>> {
        if !self.prefix.is_empty() {
            let whole = format!("{}{text}", self.prefix);
            return match &self.conv {
                Conv::Kind(kind) => convert(*kind, &whole).map(Datum::into_owned),
                _ => Some(whole.into()),
            };
        }
        match &self.conv {
            Conv::Kind(Kind::Time) => time(text).map(|time| self.instant(time)),
            Conv::Kind(kind) => convert(*kind, text),
            Conv::Nonzero => match convert(Kind::Int, text)? {
                Datum::Int(0) => None,
                datum => Some(datum),
            },
            Conv::TruthOrFalse => {
                let yes = matches!(convert(Kind::Truth, text), Some(Datum::Truth(true)));
                Some(Datum::Truth(yes))
            }
            Conv::Epoch => epoch(text).map(|time| self.instant(time)),
            Conv::Host => ip(text).filter(|ip| !ip.is_unspecified()).map(Datum::Ip),
            Conv::Base64 if BASE64_STANDARD.decode(text).is_ok() => Some(text.into()),
            Conv::Base64 => Some(BASE64_STANDARD.encode(text).into()),
            Conv::List => {
                let list = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(Datum::Json(list.map(Value::from).collect()))
            }
            Conv::UrlHost(kind) => convert(*kind, host_of(text)?),
            Conv::UrlScheme(kind) => convert(*kind, text.split_once("://")?.0),
            Conv::TimeAs(format, zone) => {
                format.read(text, zone.as_ref()).ok().map(|time| self.instant(time))
            }
            Conv::AsIs => match value {
                Some(Value::String(_)) | None => Some(text.into()),
                Some(other) => Some(Datum::from(other.clone())),
            },
        }
    }

    /// An instant; under a key that takes any text it is text.
    fn instant(&self, time: Timestamp) -> Datum<'static> {
        if self.key.starts_with("extra.") { time_text(time).into() } else { Datum::Time(time) }
    }

    fn expected(&self) -> &'static str {
        match &self.conv {
            Conv::Kind(kind) => expected(*kind),
            Conv::Nonzero => "whole number",
            Conv::Host => "IP address",
            Conv::TruthOrFalse => "yes or no",
            Conv::Epoch | Conv::TimeAs(..) => "time",
            Conv::UrlHost(_) | Conv::UrlScheme(_) => "URL",
            Conv::List | Conv::AsIs | Conv::Base64 => "text",
        }
    }
}

impl Condition {
    fn fits(&self, row: &impl Cells) -> bool {
        let text = row.text(self.at).trim().to_lowercase();
        self.is.contains(&text)
            || self.starts.iter().any(|start| text.starts_with(start))
            || self.contains.iter().any(|part| text.contains(part))
    }
}

/// The pieces of a template; `None` where a column is not in the header.
fn pieces(template: &str, place: &impl Fn(&str) -> Option<usize>) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (column, after) = after.split_once('}')?;
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(Piece::Cell(place(column)?));
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Some(pieces)
}

/// Constant fields; a taxonomy follows from its type where the map says so and leaves it out.
fn constants(set: &BTreeMap<String, Value>, taxonomy: bool) -> Vec<(String, Datum<'static>)> {
    const TAXONOMY: &str = "classification.taxonomy";
    let mut list: Vec<_> = set.iter().map(|(key, value)| (key.clone(), Datum::from(value.clone()))).collect();
    let kind = set.get("classification.type").and_then(Value::as_str).and_then(ClassificationType::parse);
    if let Some(kind) = kind.filter(|_| taxonomy && !set.contains_key(TAXONOMY)) {
        list.push((TAXONOMY.to_owned(), kind.taxonomy().to_owned().into()));
    }
    list
}
