//! A parser as data: which column of a report is which key of an event. An operator writes one for a new CSV in ten
//! minutes; ours are the same files, shipped in a signed bundle. What a map cannot say needs code, and lives in
//! [`formats`](crate::formats).
//!
//! ```toml
//! format = "example-scans"
//! version = 1
//!
//! [read]
//! as = "csv"
//!
//! [constant]
//! "classification.type" = "vulnerable-system"
//!
//! [columns]
//! timestamp = { key = "time.source", required = true }
//! ip = { key = "source.ip", required = true }
//! tag = ["extra.tag", { key = "classification.identifier", as = "lower" }]
//! ```

use std::collections::BTreeMap;

use noroshi_model::ClassificationType;
use noroshi_wire::{Encoding, TimeFormat, Zone};
use serde::Deserialize;
use serde_json::Value;

use crate::kind::{Kind, is_known};

/// Most bytes of a map file.
pub const MAP_BYTES_MAX: usize = 1 << 20;

/// A map file: one format, or a family of reports that share most of their columns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapFile {
    /// What `--format` calls it.
    pub format: String,
    /// Counts up with every change, so that an event can be traced to the map that made it.
    pub version: u32,
    /// One line for a person.
    #[serde(default)]
    pub about: String,
    /// Where the format is documented.
    #[serde(default)]
    pub url: String,
    /// How the file is written.
    #[serde(default)]
    pub read: ReadAs,
    /// What holds for all reports of the family.
    #[serde(flatten)]
    pub mapping: Mapping,
    /// Reports of the family by the stem of their file name, each with what it does differently.
    #[serde(default)]
    pub report: BTreeMap<String, Report>,
}

/// How a file is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadAs {
    /// `csv`, or `json`: an array of objects, or an object on each line.
    #[serde(rename = "as")]
    pub shape: Shape,
    /// Between columns.
    pub delimiter: char,
    /// Column names, where the file's first line is already a record.
    pub columns: Vec<String>,
    /// Lines that begin with this are passed over.
    pub comment: Option<char>,
    /// Whether records may have fewer or more cells than there are columns.
    pub ragged: bool,
    /// The text's encoding.
    pub encoding: Encoding,
    /// Cells that mean that there is no value, besides empty ones.
    pub none: Vec<String>,
    /// How times are written, where they are not in one of the usual ways.
    pub time: Option<TimeFormat>,
    /// Zone of times that carry none.
    pub zone: Option<Zone>,
    /// JSON: the member of the top object that holds the list.
    pub list: Option<String>,
}

impl Default for ReadAs {
    fn default() -> Self {
        Self {
            shape: Shape::Csv,
            delimiter: ',',
            columns: Vec::new(),
            comment: None,
            ragged: false,
            encoding: Encoding::default(),
            none: Vec::new(),
            time: None,
            zone: None,
            list: None,
        }
    }
}

/// The shape of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Columns.
    Csv,
    /// Objects.
    Json,
}

/// Columns → keys.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Mapping {
    /// Fields that every event has, unless a column says otherwise.
    #[serde(default)]
    pub constant: BTreeMap<String, Value>,
    /// Column → where it goes. `false` leaves it out.
    #[serde(default)]
    pub columns: BTreeMap<String, Targets>,
    /// Key prefix for columns that are not named; empty leaves them out. Normally `extra.`.
    pub rest: Option<String>,
    /// Keys made of several columns.
    #[serde(default)]
    pub compose: Vec<Compose>,
    /// What depends on a row's values; all that fit apply, in order.
    #[serde(default)]
    pub when: Vec<When>,
    /// Keys of which a row must have at least one.
    #[serde(default)]
    pub one_of: Vec<String>,
}

/// One report of a family.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Report {
    /// Feed names by which the report is also known.
    #[serde(default)]
    pub feed: Vec<String>,
    /// Further stems of file names.
    #[serde(default)]
    pub file: Vec<String>,
    /// Another report of the family from which this one differs.
    pub like: Option<String>,
    /// What it does differently from the family.
    #[serde(flatten)]
    pub mapping: Mapping,
}

/// Where a column goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// Nowhere (`false`).
    Nowhere(bool),
    /// To one key.
    One(Target),
    /// To several.
    Several(Vec<Target>),
}

impl Targets {
    /// The targets, none for `false`.
    pub fn list(&self) -> &[Target] {
        match self {
            Self::Nowhere(_) => &[],
            Self::One(target) => std::slice::from_ref(target),
            Self::Several(list) => list,
        }
    }
}

/// A key, and how the cell is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "TargetText")]
pub struct Target {
    /// The key.
    pub key: String,
    /// How the cell is read; by the key's own type where not said.
    pub read: Option<As>,
    /// Whether a row without it is refused.
    pub required: bool,
    /// What happens to a cell that does not read as the key's type: by default it is kept as `extra.COLUMN`.
    pub else_drop: bool,
    /// Whether it replaces what another column gave the key.
    pub replace: bool,
    /// Text put in front of the cell.
    pub prefix: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TargetText {
    Key(String),
    Full(FullTarget),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullTarget {
    key: String,
    #[serde(rename = "as")]
    read: Option<As>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    else_drop: bool,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    prefix: String,
}

impl From<TargetText> for Target {
    fn from(text: TargetText) -> Self {
        match text {
            TargetText::Key(key) => Self {
                key,
                read: None,
                required: false,
                else_drop: false,
                replace: false,
                prefix: String::new(),
            },
            TargetText::Full(full) => Self {
                key: full.key,
                read: full.read,
                required: full.required,
                else_drop: full.else_drop,
                replace: full.replace,
                prefix: full.prefix,
            },
        }
    }
}

/// How a cell is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum As {
    /// Text as it stands.
    Text,
    /// Lower-case text.
    Lower,
    /// A whole number.
    Int,
    /// A whole number; zero is no value.
    Nonzero,
    /// A number.
    Real,
    /// Yes or no.
    Truth,
    /// Yes or no; anything else is no.
    TruthOrFalse,
    /// A time.
    Time,
    /// Seconds since 1970.
    Epoch,
    /// An address.
    Ip,
    /// A network.
    Network,
    /// A host name.
    Fqdn,
    /// A URL.
    Url,
    /// JSON, or text.
    Json,
    /// A list of texts between commas.
    List,
    /// The host of a URL, by the key's type.
    UrlHost,
    /// The scheme of a URL.
    UrlScheme,
}

impl As {
    /// The type this is read as, where it is one of the harmonised types.
    pub fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Text => Kind::Text,
            Self::Lower => Kind::Lower,
            Self::Int => Kind::Int,
            Self::Real => Kind::Real,
            Self::Truth => Kind::Truth,
            Self::Time => Kind::Time,
            Self::Ip => Kind::Ip,
            Self::Network => Kind::Network,
            Self::Fqdn => Kind::Fqdn,
            Self::Url => Kind::Url,
            Self::Json => Kind::Json,
            Self::Nonzero
            | Self::TruthOrFalse
            | Self::Epoch
            | Self::List
            | Self::UrlHost
            | Self::UrlScheme => return None,
        })
    }
}

/// A key made of several columns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The key.
    pub key: String,
    /// Text with `{column}` in it; no value where one of the columns is empty.
    pub from: String,
    /// Whether it replaces what a column gave the key.
    #[serde(default)]
    pub replace: bool,
}

/// What depends on a row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The column looked at.
    pub column: String,
    /// Fits where the cell is one of these, in any case.
    #[serde(default)]
    pub is: Vec<String>,
    /// Fits where the cell begins with one of these.
    #[serde(default)]
    pub starts: Vec<String>,
    /// Fits where the cell contains one of these.
    #[serde(default)]
    pub contains: Vec<String>,
    /// Fields that the event then has, whatever a column said.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// Leaves the row out.
    #[serde(default)]
    pub filter: bool,
}

/// What is wrong with a map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// Not TOML, or not of this shape.
    #[error("{0}")]
    Toml(String),
    /// Too long.
    #[error("a map has at most {MAP_BYTES_MAX} bytes")]
    TooLong,
    /// A key that no event has.
    #[error("'{0}' is no key of an event; put what has none under extra.")]
    Key(String),
    /// A classification that RSIT does not have.
    #[error("'{0}' is no RSIT classification type")]
    Classification(String),
    /// A report that is like one that is not there.
    #[error("report '{0}' is like '{1}', which is not in the file")]
    Like(String, String),
}

impl MapFile {
    /// Reads and checks a map.
    pub fn parse(text: &str) -> Result<Self, MapError> {
        if text.len() > MAP_BYTES_MAX {
            return Err(MapError::TooLong);
        }
        let map: Self = toml::from_str(text).map_err(|e| MapError::Toml(e.to_string()))?;
        map.mapping.check()?;
        for (name, report) in &map.report {
            report.mapping.check()?;
            if let Some(like) = report.like.as_ref().filter(|like| !map.report.contains_key(*like)) {
                return Err(MapError::Like(name.clone(), like.clone()));
            }
        }
        Ok(map)
    }

    /// The mapping of a report: the family's, with the report's own on top.
    pub fn mapping_of(&self, report: Option<&str>) -> Mapping {
        let mut whole = self.mapping.clone();
        if let Some(report) = report.and_then(|name| self.report.get(name)) {
            if let Some(like) = report.like.as_ref().and_then(|name| self.report.get(name)) {
                whole.lay_over(&like.mapping);
            }
            whole.lay_over(&report.mapping);
        }
        whole
    }
}

impl Mapping {
    fn lay_over(&mut self, other: &Mapping) {
        self.constant.extend(other.constant.clone());
        self.columns.extend(other.columns.clone());
        self.rest = other.rest.clone().or(self.rest.take());
        self.compose.extend(other.compose.iter().cloned());
        self.when.extend(other.when.iter().cloned());
        if !other.one_of.is_empty() {
            self.one_of.clone_from(&other.one_of);
        }
    }

    fn check(&self) -> Result<(), MapError> {
        let targets = self.columns.values().flat_map(Targets::list).map(|target| &target.key);
        let set = self.when.iter().flat_map(|when| when.set.keys());
        let keys = targets.chain(set).chain(self.constant.keys()).chain(self.compose.iter().map(|c| &c.key));
        for key in keys {
            if !is_known(key) {
                return Err(MapError::Key(key.clone()));
            }
        }
        let sets = self.when.iter().map(|when| &when.set);
        for fields in sets.chain(std::iter::once(&self.constant)) {
            if let Some(Value::String(name)) = fields.get("classification.type")
                && ClassificationType::parse(name).is_none()
            {
                return Err(MapError::Classification(name.clone()));
            }
        }
        Ok(())
    }
}
