//! What could not be read: looked at, read again after a map was mended or a parser renewed, or dropped. Nothing leaves
//! the quarantine but by one of these commands.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use noroshi_feed::{Bundle, Report};
use noroshi_model::{Id, Tally};
use noroshi_store::quarantine::{Kept, QuarantineFilter};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::house::House;
use crate::intake::{Batch, Campaign, FeedOrigin, FeedSource, Keep, Origin, Source, take};
use crate::maps;
use crate::report::{self, say};
use crate::tables::Enrichment;

/// Lines of a page.
const PAGE: u32 = 50;
/// Lines worked on at once.
const BATCH: u32 = 1000;

/// Lines that could not be read
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List them, newest first
    List {
        /// Which ones
        #[command(flatten)]
        which: Which,
        /// Page, from 1
        #[arg(long, default_value_t = 1)]
        page: u32,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Print one whole, as it was read
    Show {
        /// Its id
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read them again with the formats as they are now; those that can be read leave the quarantine
    Replay {
        /// Ids; without any, all that fit
        ids: Vec<String>,
        /// Which ones
        #[command(flatten)]
        which: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove them for good
    Drop {
        /// Ids
        ids: Vec<String>,
        /// All that fit
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Which ones
        #[command(flatten)]
        which: Which,
    },
}

/// Which lines.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// Of this feed
    #[arg(long)]
    pub feed: Option<String>,
    /// Whose reason contains this
    #[arg(long)]
    pub reason: Option<String>,
}

impl Which {
    fn filter(&self) -> QuarantineFilter {
        QuarantineFilter {
            feed: self.feed.clone(),
            reason: self.reason.clone(),
            ..QuarantineFilter::default()
        }
    }
}

/// Does what was typed after `noroshi quarantine`.
pub fn run(house: &House, what: &QuarantineCommand) -> anyhow::Result<ExitCode> {
    match what {
        QuarantineCommand::List { which, page, json } => list(house, which, *page, *json),
        QuarantineCommand::Show { id, json } => show(house, id, *json),
        QuarantineCommand::Replay { ids, which, json } => replay(house, ids, which, *json),
        QuarantineCommand::Drop { ids, all, which } => drop_lines(house, ids, *all, which),
    }
}

fn list(house: &House, which: &Which, page: u32, as_json: bool) -> anyhow::Result<ExitCode> {
    let (filter, offset) = (which.filter(), u64::from(page.saturating_sub(1)) * u64::from(PAGE));
    let lines = house.store.tx("quarantine.list", |tx| tx.quarantine_where(&filter, offset, PAGE))?;
    for q in lines {
        if as_json {
            report::json(&q)?;
        } else {
            say!("{}  {}:{}  {} ({} bytes)", q.id, q.source, q.line, q.reason, q.bytes);
        }
    }
    if !as_json {
        let count = house.store.tx("quarantine.count", |tx| tx.quarantine_count(&filter))?;
        say!("{count} lines");
    }
    Ok(ExitCode::SUCCESS)
}

fn one(house: &House, id: &str) -> anyhow::Result<Kept> {
    let id =
        Id::parse(id).with_context(|| format!("'{id}' is no id; `noroshi quarantine list` shows them"))?;
    let kept = house.store.tx("quarantine.show", |tx| tx.quarantined(&id))?;
    kept.with_context(|| format!("there is no {id} in the quarantine"))
}

fn show(house: &House, id: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let kept = one(house, id)?;
    let text = kept.content.as_deref().map(String::from_utf8_lossy);
    if as_json {
        let how: Value = serde_json::from_str(&kept.how).unwrap_or(Value::Null);
        report::json(&serde_json::json!({ "entry": kept.entry, "content": text, "how": how }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let entry = &kept.entry;
    say!("{}:{}  {}", entry.source, entry.line, entry.reason);
    match text {
        Some(text) => say!("{}", report::plain(&text)),
        None => say!("(sealed: the content is not kept)"),
    }
    if entry.cut {
        say!("(cut: the line has {} bytes)", entry.bytes);
    }
    Ok(ExitCode::SUCCESS)
}

/// How a line is read again.
#[derive(Deserialize)]
struct How {
    format: String,
    feed_name: String,
    #[serde(default)]
    feed_url: Option<String>,
    #[serde(default)]
    file_name: Option<String>,
    #[serde(default)]
    params: Map<String, Value>,
    #[serde(default)]
    campaign: Option<String>,
    #[serde(default)]
    measure: Option<String>,
    #[serde(default)]
    head: Option<String>,
}

/// What became of a replay.
#[derive(Debug, Default, serde::Serialize)]
struct Replayed {
    read_again: u64,
    still_bad: u64,
    not_possible: u64,
    #[serde(flatten)]
    counts: Tally,
}

fn replay(house: &House, ids: &[String], which: &Which, as_json: bool) -> anyhow::Result<ExitCode> {
    let bundle = maps::read(&house.config)?;
    let enrichment = Enrichment::read(&house.config.enrich)?;
    let mut done = Replayed::default();
    let mut again = |kept: &Kept| -> anyhow::Result<()> {
        let Some(counts) = read_again(house, &bundle, &enrichment, kept)? else {
            done.not_possible += 1;
            return Ok(());
        };
        if counts.quarantined > 0 {
            done.still_bad += 1;
        } else {
            done.read_again += 1;
            done.counts += counts;
            let id = Id::parse(&kept.entry.id).context("an id of the quarantine")?;
            house.store.tx("quarantine.replayed", |tx| tx.remove_quarantined(std::slice::from_ref(&id)))?;
        }
        Ok(())
    };
    if ids.is_empty() {
        let filter = which.filter();
        for id in all_ids(house, &filter)? {
            again(&one(house, &id)?)?;
        }
    }
    for id in ids {
        again(&one(house, id)?)?;
    }
    if as_json {
        report::json(&done)?;
    } else {
        say!("{} read again ({})", done.read_again, done.counts);
        say!(
            "{} still cannot be read, {} cannot be tried (sealed, cut, or not of a feed)",
            done.still_bad,
            done.not_possible
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn all_ids(house: &House, filter: &QuarantineFilter) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::new();
    loop {
        let at = ids.len() as u64;
        let page = house.store.tx("quarantine.ids", |tx| tx.quarantine_where(filter, at, BATCH))?;
        let last = page.len() < BATCH as usize;
        ids.extend(page.into_iter().map(|line| line.id));
        if last {
            return Ok(ids);
        }
    }
}

/// Reads one line again: first to see whether it can be read, then into the store. `None` where it cannot be tried.
fn read_again(
    house: &House,
    bundle: &Bundle,
    enrichment: &Enrichment,
    kept: &Kept,
) -> anyhow::Result<Option<Tally>> {
    let (Some(content), false) = (&kept.content, kept.entry.cut) else { return Ok(None) };
    let Ok(how) = serde_json::from_str::<How>(&kept.how) else { return Ok(None) };
    let mut text = how.head.clone().map(|head| format!("{head}\n")).unwrap_or_default().into_bytes();
    text.extend_from_slice(content);
    text.push(b'\n');
    let report = Report {
        format: how.format,
        feed_name: how.feed_name.clone(),
        feed_url: how.feed_url,
        file_name: how.file_name,
        params: how.params,
        now: house.clock.now(),
    };
    let campaign = how.campaign.zip(how.measure).map(|(name, measure)| Campaign { name, measure });
    let under = campaign.as_ref().map_or(how.feed_name, |campaign| campaign.name.clone());
    let feed = FeedSource { bundle, report: report.clone(), campaign, enrichment, keep: Keep::Every };
    let open = || noroshi_feed::open(bundle, &report, Box::new(std::io::Cursor::new(text.clone())));
    let mut tried = Batch::default();
    let mut origin = FeedOrigin::new(house, &feed, &report, open()?);
    while origin.step(&mut tried)? {}
    if tried.bad_count() > 0 {
        return Ok(Some(Tally { read: 1, quarantined: 1, ..Tally::default() }));
    }
    let source = Source {
        kind: "feed",
        campaign: &under,
        file: kept.entry.source.clone(),
        identity: format!("quarantine {}", kept.entry.id).into_bytes(),
        again: false,
        measure: feed.campaign.as_ref().map(|campaign| campaign.measure.as_str()),
        keep: Keep::Every,
        generation: 0,
    };
    let mut origin = FeedOrigin::new(house, &feed, &report, open()?);
    Ok(Some(take(house, &source, &mut origin, &ProgressBar::hidden())?.counts))
}

fn drop_lines(house: &House, ids: &[String], all: bool, which: &Which) -> anyhow::Result<ExitCode> {
    let ids = match (ids, all) {
        ([], false) => bail!("name ids, or say --all (with --feed or --reason to say which)"),
        ([], true) => all_ids(house, &which.filter())?,
        (ids, _) => ids.to_vec(),
    };
    let parsed = ids.iter().map(|id| Id::parse(id).with_context(|| format!("'{id}' is no id")));
    let parsed = parsed.collect::<anyhow::Result<Vec<Id>>>()?;
    let mut gone = 0;
    for some in parsed.chunks(BATCH as usize) {
        gone += house.store.tx("quarantine.drop", |tx| tx.remove_quarantined(some))?;
    }
    say!("{gone} lines dropped");
    Ok(ExitCode::SUCCESS)
}
