//! A map, made ready for one header: which cell goes where, in the order in which the keys are written. Done once per
//! file, so that a row costs no look-ups.

use std::borrow::Cow;

use noroshi_model::{Datum, Fields};
use noroshi_wire::{TimeFormat, Zone};
use serde_json::Value;

use crate::convert::{convert, epoch, expected, host_of};
use crate::kind::{Kind, kind_of};
use crate::map::{As, Mapping, ReadAs, Target};

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
    steps: Vec<Step>,
    constants: Vec<(String, Datum<'static>)>,
    composes: Vec<Composed>,
    whens: Vec<Condition>,
    one_of: Vec<String>,
    none: Vec<String>,
}

#[derive(Debug)]
struct Step {
    at: usize,
    key: String,
    conv: Conv,
    column: String,
    spill: Option<String>,
    required: bool,
    replace: bool,
    prefix: String,
}

#[derive(Debug)]
enum Conv {
    Kind(Kind),
    Nonzero,
    TruthOrFalse,
    Epoch,
    List,
    UrlHost(Kind),
    UrlScheme(Kind),
    TimeAs(TimeFormat, Option<Zone>),
    /// Text in a CSV, whatever it is in JSON.
    AsIs,
}

#[derive(Debug)]
struct Composed {
    key: String,
    pieces: Vec<Piece>,
    replace: bool,
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
        let mut steps = Vec::new();
        for (at, column) in header.iter().enumerate() {
            match mapping.columns.get(column.as_str()) {
                Some(targets) => {
                    steps.extend(targets.list().iter().map(|target| Step::new(at, column, target, read)));
                }
                None => {
                    let rest = mapping.rest.as_deref().unwrap_or("extra.");
                    steps.extend((!rest.is_empty()).then(|| Step::rest(at, column, rest)));
                }
            }
        }
        let place = |column: &str| header.iter().position(|name| name == column);
        for (column, targets) in &mapping.columns {
            if targets.list().iter().any(|target| target.required) && place(column).is_none() {
                return Err(column.clone());
            }
        }
        // Stable: of two columns for one key the one further left comes first.
        steps.sort_by(|a, b| a.key.cmp(&b.key));
        let composes = mapping.compose.iter().filter_map(|compose| {
            let pieces = pieces(&compose.from, &place)?;
            Some(Composed { key: compose.key.clone(), pieces, replace: compose.replace })
        });
        let whens = mapping.when.iter().filter_map(|when| {
            let lower = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect();
            Some(Condition {
                at: place(&when.column)?,
                is: lower(&when.is),
                starts: lower(&when.starts),
                contains: lower(&when.contains),
                set: constants(&when.set),
                filter: when.filter,
            })
        });
        Ok(Self {
            steps,
            constants: constants(&mapping.constant),
            composes: composes.collect(),
            whens: whens.collect(),
            one_of: mapping.one_of.clone(),
            none: read.none.clone(),
        })
    }

    /// Makes a row's event.
    pub fn make<'a>(&'a self, row: &'a impl Cells) -> Made<'a> {
        let mut fields = Fields::with_capacity(self.steps.len() + self.constants.len() + 4);
        // Steps are in the order of their keys: a key that is taken is the one taken last.
        let mut last = "";
        for step in &self.steps {
            if let Err(reason) = self.take(step, row, &mut last, &mut fields) {
                return Made::Bad(reason);
            }
        }
        for composed in &self.composes {
            self.compose(composed, row, &mut fields);
        }
        for condition in &self.whens {
            if condition.fits(row) {
                if condition.filter {
                    return Made::Filtered;
                }
                for (key, datum) in &condition.set {
                    fields.put(key.as_str(), datum.clone());
                }
            }
        }
        for (key, datum) in &self.constants {
            fields.offer(key.as_str(), datum.clone());
        }
        if !self.one_of.is_empty() && !self.one_of.iter().any(|key| fields.has(key)) {
            return Made::Bad(format!("none of {} is there", self.one_of.join(", ")));
        }
        fields.sort();
        Made::Event(fields)
    }

    fn take<'a>(
        &'a self,
        step: &'a Step,
        row: &'a impl Cells,
        last: &mut &'a str,
        fields: &mut Fields<'a>,
    ) -> Result<(), String> {
        let text = row.text(step.at).trim();
        if text.is_empty() || self.none.iter().any(|none| none == text) {
            return if step.required { Err(format!("column {} is empty", step.column)) } else { Ok(()) };
        }
        match step.read(text, row.value(step.at)) {
            Some(datum) if step.replace => fields.put(step.key.as_str(), datum),
            Some(datum) if *last != step.key => {
                *last = &step.key;
                fields.push(Cow::Borrowed(&step.key), datum);
            }
            // Left out on purpose: a zero that means nothing.
            None if matches!(step.conv, Conv::Nonzero) => {}
            None if step.required => return Err(format!("column {} is no {}", step.column, step.expected())),
            Some(_) | None => {
                if let Some(spill) = &step.spill {
                    fields.offer(spill.as_str(), text);
                }
            }
        }
        Ok(())
    }

    fn compose<'a>(&'a self, composed: &'a Composed, row: &'a impl Cells, fields: &mut Fields<'a>) {
        if !composed.replace && fields.has(&composed.key) {
            return;
        }
        let mut text = String::new();
        for piece in &composed.pieces {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Cell(at) => {
                    let cell = row.text(*at).trim();
                    if cell.is_empty() || self.none.iter().any(|none| none == cell) {
                        return;
                    }
                    text.push_str(cell);
                }
            }
        }
        if let Some(datum) = convert(kind_of(&composed.key), &text) {
            fields.put(composed.key.as_str(), datum.into_owned());
        }
    }
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
            (Some(As::UrlHost), ..) => Conv::UrlHost(kind_of(&target.key)),
            (Some(As::UrlScheme), ..) => Conv::UrlScheme(kind_of(&target.key)),
            _ => Conv::List,
        };
        let spill = (!target.else_drop).then(|| format!("extra.{column}"));
        Self {
            at,
            key: target.key.clone(),
            conv,
            column: column.to_owned(),
            spill: spill.filter(|key| *key != target.key),
            required: target.required,
            replace: target.replace,
            prefix: target.prefix.clone(),
        }
    }

    fn rest(at: usize, column: &str, rest: &str) -> Self {
        Self {
            at,
            key: format!("{rest}{column}"),
            conv: Conv::AsIs,
            column: column.to_owned(),
            spill: None,
            required: false,
            replace: false,
            prefix: String::new(),
        }
    }

    fn read<'a>(&self, text: &'a str, value: Option<&Value>) -> Option<Datum<'a>> {
        if !self.prefix.is_empty() {
            let whole = format!("{}{text}", self.prefix);
            return match &self.conv {
                Conv::Kind(kind) => convert(*kind, &whole).map(Datum::into_owned),
                _ => Some(whole.into()),
            };
        }
        match &self.conv {
            Conv::Kind(kind) => convert(*kind, text),
            Conv::Nonzero => match convert(Kind::Int, text)? {
                Datum::Int(0) => None,
                datum => Some(datum),
            },
            Conv::TruthOrFalse => {
                let yes = matches!(convert(Kind::Truth, text), Some(Datum::Truth(true)));
                Some(Datum::Truth(yes))
            }
            Conv::Epoch => epoch(text).map(Datum::Time),
            Conv::List => {
                let list = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Some(Datum::Json(list.map(Value::from).collect()))
            }
            Conv::UrlHost(kind) => convert(*kind, host_of(text)?),
            Conv::UrlScheme(kind) => convert(*kind, text.split_once("://")?.0),
            Conv::TimeAs(format, zone) => format.read(text, zone.as_ref()).ok().map(Datum::Time),
            Conv::AsIs => match value {
                Some(Value::String(_)) | None => Some(text.into()),
                Some(other) => Some(Datum::from(other.clone())),
            },
        }
    }

    fn expected(&self) -> &'static str {
        match &self.conv {
            Conv::Kind(kind) => expected(*kind),
            Conv::Nonzero => "whole number",
            Conv::TruthOrFalse => "yes or no",
            Conv::Epoch | Conv::TimeAs(..) => "time",
            Conv::UrlHost(_) | Conv::UrlScheme(_) => "URL",
            Conv::List | Conv::AsIs => "text",
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

/// Constant fields; a taxonomy follows from its type where the map leaves it out.
fn constants(set: &std::collections::BTreeMap<String, Value>) -> Vec<(String, Datum<'static>)> {
    set.iter().map(|(key, value)| (key.clone(), Datum::from(value.clone()))).collect()
}
