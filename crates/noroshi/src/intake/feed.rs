//! Reports of others on their way to the log: each event gets its id from what the feed said, then what our own tables
//! know of its addresses. An event about our own network, from a feed that a measure allows to act on, goes on into the
//! loop.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::ProgressBar;
use noroshi_feed::{Bundle, Feed, Report, Sink};
use noroshi_model::event::KEYS_MAX;
use noroshi_model::fields::append;
use noroshi_model::{Bad, ClassificationType, Datum, Event, Fields, Tally};
use noroshi_observe::{Observed, Source as Known, is_global};
use noroshi_orient::enrich::{Subject, Tables};
use noroshi_orient::list::{LIST_KEY, Mark, WAS_KEY};
use noroshi_wire::{Input, unpack};
use serde_json::{Map, Value, json};

use super::list::{self, Begun};
use super::sealed::admit;
use super::{Batch, Keep, Origin, Source, Taken, aggregate, open, take};
use crate::house::House;
use crate::tables::Enrichment;

/// Event key of the warning lists an event's address or name is on.
pub const WARNING_KEY: &str = "extra.noroshi.warning_lists";
/// Event key of our confidence in percent, where a warning list lowers it: halved for each list.
pub const CONFIDENCE_KEY: &str = "extra.noroshi.confidence";
/// Event key of the tenant of our own address space.
pub const TENANT_KEY: &str = "extra.noroshi.tenant";
/// Event keys of the two ends, and of their names.
const NAMES: [(&str, &str); 2] =
    [("source.ip", "source.reverse_dns"), ("destination.ip", "destination.reverse_dns")];
/// Room for the keys that we add to an event of the loop, which is read back as one of [`KEYS_MAX`] keys.
const OURS_MAX: usize = 24;
/// Records after which the tables are taken anew, so that a reload is seen within a file.
const TABLES_HELD: u32 = 4096;

/// A campaign that a feed belongs to: its events about our own network go on into the loop.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// `feed.code`
    pub name: String,
    /// The measure under which the feed may be used.
    pub measure: String,
}

/// What is known of a feed.
pub struct FeedSource<'a> {
    /// The maps.
    pub bundle: &'a Bundle,
    /// The report; its file name is that of each file read, where it has none.
    pub report: Report,
    /// The campaign, where the loop goes on with its events.
    pub campaign: Option<Campaign>,
    /// What its events are enriched from.
    pub enrichment: &'a Enrichment,
    /// What is kept of its events.
    pub keep: Keep,
}

/// Takes in a report: a file, or every file in a zip archive.
pub fn take_feed(house: &House, path: &Path, feed: &FeedSource<'_>) -> anyhow::Result<Vec<Taken>> {
    let (members, bar) = open(path)?;
    let (mut taken, mut generation): (Vec<Taken>, u64) = (Vec::new(), 0);
    for member in members {
        let member = member?;
        anyhow::ensure!(
            taken.is_empty() || !matches!(feed.keep, Keep::List(_)),
            "{} has several files in it, and a list is one: unpack it and load the right one",
            path.display()
        );
        let mut report = feed.report.clone();
        let own_name = member.name.clone().unwrap_or_else(|| super::name(path));
        report.file_name.get_or_insert(own_name);
        let under = feed.campaign.as_ref().map_or(&report.feed_name, |campaign| &campaign.name).clone();
        let mut source = Source::file("feed", &under, path, member.name.as_deref())?;
        source.measure = feed.campaign.as_ref().map(|campaign| campaign.measure.as_str());
        source.keep = feed.keep.clone();
        if matches!(feed.keep, Keep::List(_)) && !begin_list(house, Some(path), &mut source, &mut taken)? {
            continue;
        }
        let opened = noroshi_feed::open(feed.bundle, &report, member.input)?;
        let mut origin = FeedOrigin::new(house, feed, &report, opened);
        taken.push(take(house, &source, &mut origin, &bar)?);
        generation = source.generation;
    }
    for taken in taken.iter_mut().filter(|taken| taken.list.is_none()) {
        match &feed.keep {
            Keep::Every => {}
            Keep::Aggregated(_) => drop(aggregate::flush(house, Some(&taken.campaign), false)?),
            Keep::List(rule) => {
                taken.list = Some(list::conclude(house, &taken.campaign, generation, rule)?);
            }
        }
    }
    Ok(taken)
}

/// Begins the load of a list; false where it was read before and only had to be compared.
fn begin_list(
    house: &House,
    path: Option<&Path>,
    source: &mut Source<'_>,
    taken: &mut Vec<Taken>,
) -> anyhow::Result<bool> {
    let Keep::List(rule) = &source.keep else { return Ok(true) };
    // The next state of a list often has as many bytes as this one, and is not the same input.
    let written =
        path.filter(|_| source.again).and_then(|path| std::fs::metadata(path).ok()?.modified().ok());
    if let Some(written) = written {
        let written = jiff::Timestamp::try_from(written)?.as_nanosecond();
        source.identity.extend_from_slice(&written.to_be_bytes());
    }
    match list::begin(house, source.campaign, rule, &source.id(), source.again)? {
        Begun::Read(generation) => {
            source.generation = generation;
            Ok(true)
        }
        Begun::Compared(list) => {
            let (file, campaign) = (source.file.clone(), source.campaign.to_owned());
            taken.push(Taken { file, campaign, counts: Tally::default(), list: Some(*list) });
            Ok(false)
        }
    }
}

/// A report that came from elsewhere.
pub struct Arrived {
    /// What makes it this report and no other, whatever its content.
    pub identity: Vec<u8>,
    /// Its file name, where it has one.
    pub name: Option<String>,
    /// Its content, packed or not.
    pub input: Input,
}

/// Takes in a report that came from elsewhere; what was taken in to its end before is passed over, so that a report whose
/// taking was interrupted can be given again as a whole.
pub fn take_arrived(house: &House, feed: &FeedSource<'_>, arrived: Arrived) -> anyhow::Result<Tally> {
    let members = unpack(arrived.input).context("the report cannot be unpacked")?;
    let under = feed.campaign.as_ref().map_or(&feed.report.feed_name, |campaign| &campaign.name).clone();
    let mut counts = Tally::default();
    for (at, member) in members.enumerate() {
        let member = member.context("the report cannot be unpacked")?;
        let mut report = feed.report.clone();
        report.file_name = member.name.or_else(|| arrived.name.clone()).or(report.file_name);
        let mut identity = arrived.identity.clone();
        identity.extend_from_slice(&(at as u64).to_be_bytes());
        let mut source = Source {
            kind: "feed",
            campaign: &under,
            file: report.file_name.clone().unwrap_or_else(|| report.feed_name.clone()),
            identity,
            again: true,
            measure: feed.campaign.as_ref().map(|campaign| campaign.measure.as_str()),
            keep: feed.keep.clone(),
            generation: 0,
        };
        if source.is_done(house)? {
            continue;
        }
        if !begin_list(house, None, &mut source, &mut Vec::new())? {
            continue;
        }
        let opened = noroshi_feed::open(feed.bundle, &report, member.input)?;
        let mut origin = FeedOrigin::new(house, feed, &report, opened);
        counts += take(house, &source, &mut origin, &ProgressBar::hidden())?.counts;
        match &feed.keep {
            Keep::Every => {}
            Keep::Aggregated(_) => drop(aggregate::flush(house, Some(&under), false)?),
            Keep::List(rule) => drop(list::conclude(house, &under, source.generation, rule)?),
        }
    }
    Ok(counts)
}

/// A report being read.
pub struct FeedOrigin<'a> {
    feed: Box<dyn Feed>,
    enrichment: &'a Enrichment,
    tables: Arc<Tables>,
    held: u32,
    stamp: Stamp,
    how: Map<String, Value>,
    /// The number under which all its records are kept, where it is one message of many.
    number: Option<u64>,
}

/// What every event of a report gets.
struct Stamp {
    feed_name: String,
    feed_url: Option<String>,
    day: String,
    now: jiff::Timestamp,
    loop_in: Option<Known>,
    keep: Keep,
}

impl<'a> FeedOrigin<'a> {
    /// Reads `opened` as `report` says.
    pub fn new(house: &House, feed: &FeedSource<'a>, report: &Report, opened: Box<dyn Feed>) -> Self {
        let loop_in = feed.campaign.as_ref().map(|campaign| Known {
            campaign: campaign.name.clone(),
            file: report.file_name.clone().unwrap_or_default(),
            measure: campaign.measure.clone(),
            own: house.config.own.clone(),
            now: report.now,
        });
        let how = json!({
            "format": report.format, "feed_name": report.feed_name, "feed_url": report.feed_url,
            "file_name": report.file_name, "params": report.params,
            "campaign": feed.campaign.as_ref().map(|c| &c.name),
            "measure": feed.campaign.as_ref().map(|c| &c.measure),
        });
        let stamp = Stamp {
            feed_name: report.feed_name.clone(),
            feed_url: report.feed_url.clone(),
            day: report.now.to_string().chars().take(10).collect(),
            now: report.now,
            loop_in,
            keep: feed.keep.clone(),
        };
        let how = how.as_object().cloned().unwrap_or_default();
        Self {
            feed: opened,
            enrichment: feed.enrichment,
            tables: feed.enrichment.now(),
            held: 0,
            stamp,
            how,
            number: None,
        }
    }

    /// Keeps its records under a number instead of their lines.
    pub fn numbered(mut self, number: u64) -> Self {
        self.number = Some(number);
        self
    }
}

impl Origin for FeedOrigin<'_> {
    fn step(&mut self, batch: &mut Batch) -> anyhow::Result<bool> {
        self.held += 1;
        if self.held >= TABLES_HELD {
            self.held = 0;
            self.tables = self.enrichment.now();
        }
        let number = self.number;
        let named = self.enrichment.names();
        let mut sink = Filling { batch, tables: &self.tables, named, stamp: &self.stamp, bad: false, number };
        let more = self.feed.step(&mut sink)?;
        if sink.bad {
            if let Some(head) = self.feed.head() {
                self.how.insert("head".to_owned(), head.into());
            }
            batch.set_how(&Value::Object(self.how.clone()).to_string());
        }
        Ok(more)
    }

    fn complete(&self, batch: &mut Batch) {
        self.enrichment.name(batch);
    }
}

/// Puts what a report holds into the batch.
struct Filling<'a> {
    batch: &'a mut Batch,
    tables: &'a Tables,
    /// Whether names of addresses are asked for.
    named: bool,
    stamp: &'a Stamp,
    bad: bool,
    number: Option<u64>,
}

impl Sink for Filling<'_> {
    fn event(&mut self, line: u64, fields: Fields<'_>) {
        let line = self.number.unwrap_or(line);
        let stamp = self.stamp;
        // Fields that borrow from the line, and from here on from the stamp as well.
        let mut fields: Fields<'_> = fields;
        fields.offer("feed.name", stamp.feed_name.as_str());
        if let Some(url) = &stamp.feed_url {
            fields.offer("feed.url", url.as_str());
        }
        classify(&mut fields);
        if let Some(known) = &stamp.loop_in {
            return self.enter_the_loop(line, known, fields);
        }
        let ms = match fields.get("time.source") {
            Some(Datum::Time(t)) => t.as_millisecond(),
            _ => stamp.now.as_millisecond(),
        };
        let mark = match &stamp.keep {
            Keep::Every => None,
            Keep::Aggregated(rule) => rule.key(&stamp.feed_name, &fields).map(|key| Mark { key, rest: key }),
            Keep::List(rule) => {
                // What we will say of it is ours to say.
                fields.take(LIST_KEY);
                fields.take(WAS_KEY);
                Some(rule.mark(&stamp.feed_name, &mut fields))
            }
        };
        let tables = self.tables;
        self.batch.event(line, ms, false, |json| {
            let id = fields.seal(&stamp.day, json);
            fields.finish(json);
            append(json, "time.observation", &Datum::Time(stamp.now));
            enrich(tables, &fields, json);
            id
        });
        self.batch.mark(mark);
        self.note_nameless(&fields);
    }

    fn filtered(&mut self, _line: u64) {
        self.batch.filtered += 1;
    }

    fn bad(&mut self, mut bad: Bad) {
        self.bad = true;
        bad.line = self.number.unwrap_or(bad.line);
        self.batch.bad(bad, false);
    }
}

impl Filling<'_> {
    fn enter_the_loop(&mut self, line: u64, known: &Known, fields: Fields<'_>) {
        let mut fields: Fields<'_> = fields;
        fields.put("feed.code", known.campaign.as_str());
        let mut json = Vec::new();
        fields.write_json(&mut json);
        append(&mut json, "time.observation", &Datum::Time(known.now));
        let event = if fields.len() > KEYS_MAX - OURS_MAX {
            Err(format!("more than {} fields", KEYS_MAX - OURS_MAX))
        } else {
            serde_json::from_slice::<Event>(&json).map_err(|e| e.to_string())
        };
        let observed = match event {
            Ok(event) => known.admit(line, event),
            Err(reason) => {
                self.bad = true;
                let bytes = json.len() as u64;
                return self.batch.bad(Bad { line, reason, snippet: json, bytes }, false);
            }
        };
        let is_event = matches!(observed, Observed::Event(_));
        let tables = self.tables;
        admit(self.batch, observed, |json| enrich(tables, &fields, json));
        if is_event {
            self.note_nameless(&fields);
        }
    }

    /// Notes the addresses of the event that was added last whose names are to be asked for: those that the feed did not
    /// say, of addresses that can have one.
    fn note_nameless(&mut self, fields: &Fields<'_>) {
        if !self.named {
            return;
        }
        for (ip, name) in NAMES {
            if let Some(Datum::Ip(ip)) = fields.get(ip)
                && is_global(*ip)
                && !fields.has(name)
            {
                self.batch.nameless(name, ip.to_canonical());
            }
        }
    }
}

/// What is stored has a classification, and its taxonomy.
fn classify(fields: &mut Fields<'_>) {
    fields.offer("classification.type", "undetermined");
    if !fields.has("classification.taxonomy") {
        let kind =
            fields.get("classification.type").and_then(Datum::text).and_then(ClassificationType::parse);
        if let Some(kind) = kind {
            fields.put("classification.taxonomy", kind.taxonomy());
        }
    }
}

/// Appends what the tables know of the event's two ends and the feed did not say.
pub fn enrich(tables: &Tables, fields: &Fields<'_>, json: &mut Vec<u8>) {
    let ends = [
        ["source.ip", "source.asn", "source.as_name", "source.network", "source.geolocation.cc"],
        [
            "destination.ip",
            "destination.asn",
            "destination.as_name",
            "destination.network",
            "destination.geolocation.cc",
        ],
    ];
    let mut warned: Vec<&str> = Vec::new();
    for (at, [ip, asn, as_name, network, cc]) in ends.into_iter().enumerate() {
        let Some(Datum::Ip(ip)) = fields.get(ip) else { continue };
        if at == 0 {
            warned = tables.warnings(&Subject { ip: Some(*ip), ..Subject::default() });
        }
        let Some(known) = tables.enrich(*ip) else { continue };
        let said = fields.get(asn).cloned();
        let mut offer = |key: &str, datum: Option<Datum<'_>>| {
            if let Some(datum) = datum.filter(|_| !fields.has(key)) {
                append(json, key, &datum);
            }
        };
        // No name beside a number of another network: the feed may have said another one.
        if known.asn.is_some_and(|asn| said.is_none_or(|said| said == Datum::Int(i64::from(asn)))) {
            offer(as_name, known.as_name.map(Datum::from));
            offer(network, known.prefix.map(Datum::Net));
        }
        offer(asn, known.asn.map(|asn| Datum::Int(i64::from(asn))));
        offer(cc, known.cc.as_ref().map(|cc| cc.as_str().into()));
        if at == 0 {
            offer(TENANT_KEY, known.tenant.map(Datum::from));
        }
    }
    if !warned.is_empty() {
        let said = match fields.get("feed.accuracy") {
            Some(Datum::Real(percent)) => *percent,
            Some(Datum::Int(percent)) => *percent as f64,
            _ => 100.0,
        };
        let halved = said / f64::from(1 << warned.len().min(4));
        append(json, CONFIDENCE_KEY, &Datum::Real(halved));
        append(json, WARNING_KEY, &Datum::Json(warned.into()));
    }
}
