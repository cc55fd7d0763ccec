//! Which events leave, and how they are written: pages of the log become parcels.

use std::collections::HashSet;
use std::ops::{AddAssign, Range};

use clap::ValueEnum;
use jiff::Timestamp;
use memchr::memmem;
use noroshi_model::ClassificationType;
use noroshi_model::event::MEASURE_KEY;
use noroshi_store::log::{Logged, id_from_bytes};
use noroshi_wire::out::csv::{Guard, Table};
use noroshi_wire::out::stix;
use serde_json::{Map, Value};

use super::{BYTES_MAX, EVENTS_MAX};

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// IntelMQ's flat JSON, one event a line
    Jsonl,
    /// CSV (RFC 4180) with a header
    Csv,
    /// STIX 2.1 observed data, in bundles
    Stix,
    /// STIX 2.1 observed data, one object a line
    StixLines,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Stix => "stix",
            Format::StixLines => "stix-lines",
        }
    }

    /// As told to an HTTP server.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Jsonl | Format::StixLines => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Stix => stix::MEDIA_TYPE,
        }
    }
}

/// Which events are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// That happened at this time or later.
    pub since: Option<Timestamp>,
    /// That happened before this time.
    pub until: Option<Timestamp>,
    /// Of this feed or campaign.
    pub feed: Option<String>,
    /// Of this RSIT type.
    pub kind: Option<String>,
    /// Also those under a measure.
    pub own: bool,
}

impl Wanted {
    /// Whether an event that may leave is one of them.
    pub fn fits(&self, event: &Map<String, Value>) -> bool {
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        let at = || {
            let said = text("time.source").or_else(|| text("time.observation"))?;
            said.parse::<Timestamp>().ok()
        };
        let in_time = match (self.since, self.until) {
            (None, None) => true,
            (since, until) => at().is_some_and(|at| {
                since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
            }),
        };
        let of_feed = |feed: &String| ["feed.name", "feed.code"].iter().any(|key| text(key) == Some(feed));
        in_time
            && self.feed.as_ref().is_none_or(of_feed)
            && self.kind.as_ref().is_none_or(|kind| text("classification.type") == Some(kind))
    }

    fn is_everything(&self) -> bool {
        self.since.is_none() && self.until.is_none() && self.feed.is_none() && self.kind.is_none()
    }
}

/// Whether an event came in under a measure.
pub fn is_own(event: &Map<String, Value>) -> bool {
    event.contains_key(MEASURE_KEY)
}

/// Which events, and how they are written.
#[derive(Debug)]
pub struct Selection {
    format: Format,
    wanted: Wanted,
    table: Table,
    /// Finds the key of a measure as it stands in JSON.
    measure: memmem::Finder<'static>,
    name: String,
    alone: bool,
}

impl Selection {
    /// Checks what was asked for.
    /// `alone` where each event leaves alone and has to bring everything it refers to.
    pub fn new(
        format: Format,
        wanted: Wanted,
        columns: &[String],
        guard: Guard,
        alone: bool,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(format == Format::Csv || columns.is_empty(), "--columns is for --format csv");
        if let Some(kind) = &wanted.kind {
            anyhow::ensure!(
                ClassificationType::parse(kind).is_some(),
                "RSIT has no type '{kind}'; see `noroshi feed new --help`"
            );
        }
        let table = Table::new(columns, guard)?;
        let name = format!("{} {wanted:?} {columns:?} {guard:?}", format.name());
        let measure = memmem::Finder::new(&format!("\"{MEASURE_KEY}\":")).into_owned();
        Ok(Self { format, wanted, table, measure, name, alone })
    }

    /// What tells this selection from others.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An empty parcel that begins behind `after`; `fresh` where it begins what the receiver gets.
    pub fn parcel(&self, after: u64, fresh: bool) -> Parcel {
        let mut bytes = Vec::new();
        if self.format == Format::Csv && fresh {
            self.table.write_header(&mut bytes);
        }
        let head = bytes.len();
        Parcel {
            first: after + 1,
            last: after,
            bytes,
            head,
            places: Vec::new(),
            counts: Counts::default(),
            told: HashSet::new(),
        }
    }
}

/// What became of the events looked at: `read = exported + not_wanted + under_a_measure + no_form`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Looked at.
    pub read: u64,
    /// Exported.
    pub exported: u64,
    /// Of no feed, type or time asked for.
    pub not_wanted: u64,
    /// Kept back because they came in under a measure.
    pub under_a_measure: u64,
    /// Without anything that the format can name.
    pub no_form: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.read += more.read;
        self.exported += more.exported;
        self.not_wanted += more.not_wanted;
        self.under_a_measure += more.under_a_measure;
        self.no_form += more.no_form;
    }
}

/// What became of one event.
enum Fate {
    Exported,
    NotWanted,
    UnderAMeasure,
    NoForm,
}

/// Events that leave together.
pub struct Parcel {
    /// The number behind which it begins, and one more.
    pub first: u64,
    /// The last number looked at for it.
    pub last: u64,
    /// What leaves; of a bundle only its objects, between commas.
    pub bytes: Vec<u8>,
    /// Where the first event begins.
    head: usize,
    /// Each event's id, and where it stands.
    pub places: Vec<([u8; 16], Range<usize>)>,
    /// What became of the events looked at.
    pub counts: Counts,
    /// Objects that are in it already.
    told: HashSet<String>,
}

impl Parcel {
    /// How many events there are in it.
    pub fn events(&self) -> usize {
        self.places.len()
    }

    /// Whether another event goes in.
    pub fn has_room(&self) -> bool {
        self.places.len() < EVENTS_MAX && self.bytes.len() < BYTES_MAX
    }

    /// Looks at the next event; false where it has to wait for the next parcel.
    pub fn take(&mut self, selection: &Selection, event: &Logged) -> bool {
        if !self.has_room() {
            return false;
        }
        self.counts.read += 1;
        self.last = event.seq;
        let start = self.bytes.len();
        match self.write(selection, event) {
            Fate::Exported => {
                self.counts.exported += 1;
                self.places.push((event.id, start..self.bytes.len()));
            }
            Fate::NotWanted => self.counts.not_wanted += 1,
            Fate::UnderAMeasure => self.counts.under_a_measure += 1,
            Fate::NoForm => self.counts.no_form += 1,
        }
        true
    }

    /// Writes an event where it is wanted.
    fn write(&mut self, selection: &Selection, event: &Logged) -> Fate {
        // In a JSON text nothing but a key can look like this: quotes in values are escaped.
        let own = !selection.wanted.own && selection.measure.find(&event.json).is_some();
        if selection.format == Format::Jsonl && selection.wanted.is_everything() && !own {
            self.bytes.extend_from_slice(&event.json);
            self.bytes.push(b'\n');
            return Fate::Exported;
        }
        let Ok(flat) = serde_json::from_slice::<Map<String, Value>>(&event.json) else {
            return Fate::NoForm;
        };
        if !selection.wanted.own && is_own(&flat) {
            return Fate::UnderAMeasure;
        }
        if !selection.wanted.fits(&flat) {
            return Fate::NotWanted;
        }
        match selection.format {
            Format::Jsonl => {
                self.bytes.extend_from_slice(&event.json);
                self.bytes.push(b'\n');
            }
            Format::Csv => {
                let id = id_from_bytes(event.id);
                selection.table.write_row(event.seq, id.as_str(), &flat, &mut self.bytes);
            }
            Format::Stix | Format::StixLines => {
                let Some(objects) = stix::objects(&event.id, &flat) else {
                    return Fate::NoForm;
                };
                if selection.alone {
                    self.told.clear();
                }
                self.stix(selection.format, &objects);
            }
        }
        Fate::Exported
    }

    /// Objects of a bundle, each once, or lines.
    fn stix(&mut self, format: Format, objects: &[Value]) {
        for object in objects {
            let id = object["id"].as_str().unwrap_or_default();
            if !self.told.insert(id.to_owned()) {
                continue;
            }
            if format == Format::Stix && self.bytes.len() > self.head {
                self.bytes.push(b',');
            }
            // Writing to a vector cannot fail.
            drop(serde_json::to_writer(&mut self.bytes, object));
            if format == Format::StixLines {
                self.bytes.push(b'\n');
            }
        }
    }
}
