//! Who does what was typed about repeats and whole lists.

use std::process::ExitCode;

use anyhow::Context as _;
use noroshi_orient::aggregate::Aggregation;
use noroshi_orient::list::ListRule;
use noroshi_store::lists::{ListEntry, ListFeed, Phase};
use serde_json::{Value, json};

use crate::config::Config;
use crate::house::House;
use crate::intake::{Keep, flush};
use crate::report::{self, say};

/// Entries read at once.
const PAGE: u32 = 500;

/// What is kept of a feed's events, asked for or configured.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Wanted {
    /// Count repeats instead of storing them: the first event, then a summary with first, last and count
    /// ([aggregate.FEED] of the configuration does the same)
    #[arg(long, conflicts_with_all = ["campaign", "list"])]
    pub aggregate: bool,
    /// The file is a whole list: tell what is new, changed and gone since the last one ([list.FEED] of the
    /// configuration does the same)
    #[arg(long, conflicts_with = "campaign")]
    pub list: bool,
    /// Believe a list although it is empty or much smaller than the last one
    #[arg(long)]
    pub accept_shrunk: bool,
}

/// What is kept of a feed by the configuration alone. A campaign's events all count: each is a sighting.
pub fn configured(config: &Config, feed: &str, campaign: bool) -> Keep {
    match (config.list.get(feed), config.aggregate.get(feed)) {
        (Some(rule), _) if !campaign => Keep::List(rule.clone()),
        (None, Some(rule)) if !campaign => Keep::Aggregated(rule.clone()),
        _ => Keep::Every,
    }
}

impl Wanted {
    /// What that means for a feed.
    pub fn keep(&self, config: &Config, feed: &str, campaign: bool) -> anyhow::Result<Keep> {
        let (aggregate, list) = (config.aggregate.get(feed), config.list.get(feed));
        let keep = if self.list || (list.is_some() && !self.aggregate) {
            let mut rule: ListRule = list.cloned().unwrap_or_default();
            if self.accept_shrunk {
                rule.at_least_percent = 0;
            }
            Keep::List(rule)
        } else if self.aggregate || aggregate.is_some() {
            let rule: Aggregation = aggregate.cloned().unwrap_or_default();
            Keep::Aggregated(rule)
        } else {
            Keep::Every
        };
        anyhow::ensure!(
            !self.accept_shrunk || matches!(keep, Keep::List(_)),
            "--accept-shrunk is about lists: say --list, or configure [list.{feed}]"
        );
        anyhow::ensure!(
            !campaign || matches!(keep, Keep::Every),
            "the feed '{feed}' is configured as a list or to have its repeats counted; a campaign's events go on into \
             the loop one by one, so load it without --campaign or under another --feed-name"
        );
        Ok(keep)
    }
}

/// Tells of groups that are over.
pub fn flush_groups(house: &House, feed: Option<&str>, all: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    if let Some(feed) = feed {
        let known = house.store.tx("aggregate.feed", |tx| tx.aggregate_feed(feed))?;
        known.with_context(|| {
            format!("no repeats are counted of '{feed}'; `noroshi feed load --aggregate` begins it")
        })?;
    }
    let done = flush(house, feed, all)?;
    if as_json {
        report::json(&done)?;
    } else {
        say!("{} groups are over, {} summaries", done.over, done.summaries);
    }
    Ok(ExitCode::SUCCESS)
}

fn list_of(house: &House, feed: &str) -> anyhow::Result<ListFeed> {
    let list = house.store.tx("list.state", |tx| tx.list_feed(feed))?;
    list.with_context(|| format!("there is no list '{feed}'; `noroshi feed load --list` takes one in"))
}

/// What became of a list's load, for a person.
pub fn tell(list: &ListFeed) {
    say!(
        "list {}: {} entries, {} new, {} changed, {} still there, {} gone",
        list.feed,
        list.entries(),
        list.added,
        list.changed,
        list.still,
        list.gone
    );
}

/// Prints what the last load of a list changed.
pub fn diff(house: &House, feed: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let list = list_of(house, feed)?;
    let mut after = Vec::new();
    loop {
        let page =
            house.store.tx("list.changes", |tx| tx.list_changes(feed, list.generation, &after, PAGE))?;
        let Some(last) = page.last() else { break };
        after = last.entry.to_vec();
        for entry in &page {
            let what = match entry {
                e if e.gone == list.generation => "gone",
                e if e.came == list.generation => "new",
                _ => "changed",
            };
            let was = Some(&entry.was).filter(|was| what == "changed" && !was.is_empty());
            if as_json {
                let was = was.and_then(|was| serde_json::from_str::<Value>(was).ok());
                report::json(&told(entry, &json!({ "what": what, "was": was })))?;
            } else {
                say!("{what:<8} {}  {}", entry.name, was.map_or("", String::as_str));
            }
        }
    }
    if as_json {
        report::json(&list)?;
    } else {
        tell(&list);
        match list.phase {
            Phase::Done => {}
            Phase::Refused => say!("{}", list.note),
            _ => say!("not compared to its end: the same load again goes on with it"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn told(entry: &ListEntry, with: &Value) -> Value {
    let mut told = json!({ "name": entry.name, "first_seen": entry.first, "last_seen": entry.last });
    if let (Some(told), Some(with)) = (told.as_object_mut(), with.as_object()) {
        told.extend(with.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())));
    }
    told
}

/// Prints what is on a list.
pub fn listed(house: &House, feed: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    list_of(house, feed)?;
    let mut after = Vec::new();
    loop {
        let page = house.store.tx("list.listed", |tx| tx.listed(feed, &after, PAGE))?;
        let Some(last) = page.last() else { break };
        after = last.entry.to_vec();
        for entry in &page {
            if as_json {
                let event: Value = serde_json::from_slice(&entry.json).unwrap_or(Value::Null);
                report::json(&told(entry, &json!({ "event": event })))?;
            } else {
                say!("{}  since {}  last seen {}", entry.name, entry.first, entry.last);
            }
        }
    }
    if !as_json {
        let count = house.store.tx("list.count", |tx| tx.listed_count(feed))?;
        say!("{count} entries");
    }
    Ok(ExitCode::SUCCESS)
}
