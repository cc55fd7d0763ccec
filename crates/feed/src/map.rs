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
    /// What some reports of the family share, by name.
    #[serde(default)]
    pub part: BTreeMap<String, Mapping>,
    /// Reports of the family by the stem of their file name, each with what it does differently.
    #[serde(default)]
    pub report: BTreeMap<String, Report>,
    /// Reports that stand for others of nearly the same stem.
    #[serde(default)]
    pub edition: Vec<Edition>,
    /// What a stem that is in no list says of its report; the first that fits.
    #[serde(default)]
    pub fallback: Vec<Fallback>,
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
    pub ragged: Ragged,
    /// The text's encoding.
    pub encoding: Encoding,
    /// Whether white space around a text under `extra.` is left out; around other cells it always is.
    pub trim: bool,
    /// Cells that mean that there is no value, besides empty ones.
    pub none: Vec<String>,
    /// Cells that mean that there is no value where the key takes any text.
    pub unknown: Vec<String>,
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
            ragged: Ragged::No,
            encoding: Encoding::default(),
            trim: true,
            none: Vec::new(),
            unknown: Vec::new(),
            time: None,
            zone: None,
            list: None,
        }
    }
}

/// What becomes of a record with another number of cells than there are columns: `false` (the default) refuses it,
/// `true` reads what is there, and `"fitting"` reads it where what is there fits: no cell that its column cannot hold and
/// nothing beyond the last column. A comma too few or too many then does not shift an address into a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RaggedText")]
pub enum Ragged {
    /// Refused.
    #[default]
    No,
    /// Read.
    Yes,
    /// Read where it fits.
    Fitting,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RaggedText {
    Flag(bool),
    Word(String),
}

impl TryFrom<RaggedText> for Ragged {
    type Error = String;

    fn try_from(text: RaggedText) -> Result<Self, String> {
        match text {
            RaggedText::Flag(false) => Ok(Self::No),
            RaggedText::Flag(true) => Ok(Self::Yes),
            RaggedText::Word(word) if word == "fitting" => Ok(Self::Fitting),
            RaggedText::Word(word) => Err(format!("ragged is true, false or \"fitting\", not '{word}'")),
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
    /// How columns that are not named are read, where they are not text.
    #[serde(default)]
    pub types: BTreeMap<As, Vec<String>>,
    /// Keys made of several columns.
    #[serde(default)]
    pub compose: Vec<Compose>,
    /// What depends on a row's values; all that fit apply, in order.
    #[serde(default)]
    pub when: Vec<When>,
    /// Keys of which a row must have at least one.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// Whether `classification.taxonomy` is set with each `classification.type`. What is stored always has both.
    #[serde(default)]
    pub taxonomy: bool,
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
    /// Parts it is made of.
    #[serde(default)]
    pub with: Vec<String>,
    /// What it does differently from the family.
    #[serde(flatten)]
    pub mapping: Mapping,
}

/// A second edition of reports, as of another version of the Internet protocol.
#[derive(Clone, Debug, Deserialize)]
pub struct Edition {
    /// How its stems begin.
    pub starts: String,
    /// How the stems of the reports begin that it is like.
    pub like: String,
    /// What all its reports do differently.
    #[serde(flatten)]
    pub mapping: Mapping,
}

/// A report that is in no list.
#[derive(Clone, Debug, Deserialize)]
pub struct Fallback {
    /// How its stem begins.
    pub starts: String,
    /// `classification.identifier`, with `{}` for the rest of the stem.
    pub identifier: Option<String>,
    /// Parts it is made of.
    #[serde(default)]
    pub with: Vec<String>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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
    /// The address of a host: `0.0.0.0` is no value.
    Host,
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
    /// Base64: as it stands where it is that, else encoded.
    Base64,
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
            | Self::Host
            | Self::Base64
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
    #[serde(default)]
    pub from: String,
    /// Instead: a URL of a request that was seen.
    pub request: Option<Request>,
    /// Whether it replaces what a column gave the key.
    #[serde(default)]
    pub replace: bool,
}

/// A URL in pieces, as servers log them. Where there is no host the path may be the whole URL; if it is none, it is kept
/// as `extra.PATH`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The column of the host.
    pub host: String,
    /// The column of the path, or of the request line.
    pub path: String,
    /// The column that says `https`, where it does.
    pub scheme: String,
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
    /// A part that is not there.
    #[error("part '{0}' is not in the file")]
    Part(String),
}

impl MapFile {
    /// Reads and checks a map.
    pub fn parse(text: &str) -> Result<Self, MapError> {
        if text.len() > MAP_BYTES_MAX {
            return Err(MapError::TooLong);
        }
        let map: Self = toml::from_str(text).map_err(|e| MapError::Toml(e.to_string()))?;
        map.check()?;
        Ok(map)
    }

    fn check(&self) -> Result<(), MapError> {
        self.mapping.check()?;
        for (name, report) in &self.report {
            report.mapping.check()?;
            if let Some(like) = report.like.as_ref().filter(|like| !self.report.contains_key(*like)) {
                return Err(MapError::Like(name.clone(), like.clone()));
            }
        }
        let more = self.fallback.iter().map(|f| &f.mapping).chain(self.edition.iter().map(|e| &e.mapping));
        more.chain(self.part.values()).try_for_each(Mapping::check)?;
        let used =
            self.report.values().flat_map(|r| &r.with).chain(self.fallback.iter().flat_map(|f| &f.with));
        match used.into_iter().find(|name| !self.part.contains_key(*name)) {
            Some(name) => Err(MapError::Part(name.clone())),
            None => Ok(()),
        }
    }

    /// The mapping of a report: the family's, with the report's own on top.
    pub fn mapping_of(&self, report: Option<&str>) -> Mapping {
        let mut whole = self.mapping.clone();
        if let Some(report) = report.and_then(|name| self.report.get(name)) {
            if let Some(like) = report.like.as_ref().and_then(|name| self.report.get(name)) {
                self.lay_report(&mut whole, like);
            }
            self.lay_report(&mut whole, report);
        }
        whole
    }

    /// The mapping of the report with this stem: a listed one, the edition of a listed one, or what the stem suggests.
    pub fn mapping_of_stem(&self, stem: &str) -> Mapping {
        if let Some(name) = self.listed(stem) {
            return self.mapping_of(Some(name));
        }
        let mut editions = self.edition.iter().filter_map(|edition| {
            let first = format!("{}{}", edition.like, stem.strip_prefix(&edition.starts)?);
            Some((edition, first))
        });
        if let Some((edition, first)) = editions.next() {
            let mut whole = self.mapping_of_stem(&first);
            whole.lay_over(&edition.mapping);
            return whole;
        }
        let mut whole = self.mapping.clone();
        let fallback = self.fallback.iter().find_map(|f| Some((f, stem.strip_prefix(&f.starts)?)));
        if let Some((fallback, rest)) = fallback {
            self.lay_parts(&mut whole, &fallback.with);
            whole.lay_over(&fallback.mapping);
            if let Some(template) = &fallback.identifier {
                let name = template.replace("{}", &rest.replace('_', "-"));
                whole.constant.insert("classification.identifier".into(), name.into());
            }
        }
        whole
    }

    /// The report that a stem of a file name means.
    pub fn listed(&self, stem: &str) -> Option<&str> {
        let found = self.report.iter();
        let mut found =
            found.filter(|(name, report)| *name == stem || report.file.iter().any(|file| file == stem));
        found.next().map(|(name, _)| name.as_str())
    }

    fn lay_report(&self, whole: &mut Mapping, report: &Report) {
        self.lay_parts(whole, &report.with);
        whole.lay_over(&report.mapping);
    }

    fn lay_parts(&self, whole: &mut Mapping, names: &[String]) {
        for part in names.iter().filter_map(|name| self.part.get(name)) {
            whole.lay_over(part);
        }
    }
}

impl Mapping {
    fn lay_over(&mut self, other: &Mapping) {
        self.constant.extend(other.constant.clone());
        self.columns.extend(other.columns.clone());
        self.rest = other.rest.clone().or(self.rest.take());
        for (kind, columns) in &other.types {
            for old in self.types.values_mut() {
                old.retain(|column| !columns.contains(column));
            }
            self.types.entry(*kind).or_default().extend(columns.iter().cloned());
        }
        self.compose.extend(other.compose.iter().cloned());
        self.when.extend(other.when.iter().cloned());
        if !other.one_of.is_empty() {
            self.one_of.clone_from(&other.one_of);
        }
        self.taxonomy |= other.taxonomy;
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
