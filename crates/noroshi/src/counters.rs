//! The counters, as people and programs ask for them on the command line: what became of each feed's records, and which
//! tables the events are enriched from. The console and `/metrics` show the same numbers from the same rows.

use std::process::ExitCode;

use noroshi_model::Tally;
use noroshi_orient::enrich::embedded;
use noroshi_store::StoreError;
use serde_json::json;

use crate::house::House;
use crate::report::{self, say};

/// Most feeds told.
pub const FEEDS_MAX: u32 = 10_000;

/// What became of each feed's records.
pub fn status(house: &House, as_json: bool) -> anyhow::Result<ExitCode> {
    let now = house.clock.now();
    let feeds = house.store.tx::<_, StoreError>("feed.status", |tx| tx.feed_counts(now, FEEDS_MAX))?;
    if as_json {
        for feed in &feeds {
            report::json(feed)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if feeds.is_empty() {
        eprintln!("nothing was read yet; `noroshi feed load` reads a report");
        return Ok(ExitCode::SUCCESS);
    }
    let row = |name: &str, kind: &str, c: [String; 7], last: &str| {
        let [read, stored, duplicate, filtered, quarantined, hour, day] = c;
        say!(
            "{name:<28} {kind:<7} {read:>11} {stored:>11} {duplicate:>11} {filtered:>9} {quarantined:>11} {hour:>9} {day:>10}  {last}"
        );
    };
    let head = ["read", "= stored", "+ duplicate", "+ filter", "+ quarant.", "last h", "last 24 h"];
    row("feed", "kind", head.map(str::to_owned), "last read");
    let line = |name: &str, kind: &str, c: &Tally, hour: u64, day: u64, last: &str| {
        let numbers = [c.read, c.stored, c.duplicate, c.filtered, c.quarantined, hour, day];
        let wrong = if c.adds_up() { "" } else { "  DOES NOT ADD UP" };
        row(name, kind, numbers.map(|n| n.to_string()), &format!("{last}{wrong}"));
    };
    let (mut all, mut hours, mut days) = (Tally::default(), 0, 0);
    for feed in &feeds {
        line(
            &report::plain(&feed.feed),
            &feed.kind,
            &feed.counts,
            feed.hour,
            feed.day,
            &feed.last.to_string(),
        );
        all += feed.counts;
        hours += feed.hour;
        days += feed.day;
    }
    line("all", "", &all, hours, days, "");
    Ok(ExitCode::SUCCESS)
}

/// The tables that come with the program, and what has to be said about them.
pub fn tables(as_json: bool) -> anyhow::Result<ExitCode> {
    for table in embedded::about() {
        if as_json {
            report::json(&json!({
                "table": table.kind, "source": table.source, "version": table.version, "date": table.date,
                "licence": table.licence, "attribution": table.attribution,
            }))?;
        } else {
            say!("{:<8} {} {} of {}, {}", table.kind, table.source, table.version, table.date, table.licence);
            if !table.attribution.is_empty() {
                say!("{:<8} {}", "", table.attribution);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
