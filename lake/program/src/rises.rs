//! What rises slowly: ports, and tools, for which more senders ask from day to day, before they are five times what they were. The loop sees
//! what begins at once; this takes weeks of counts, which only history has.
//!
//! Each day is a question of its own, so that memory stays that of one day, however many weeks are looked at. Days that were joined have their
//! counts beside them; of others the senders are counted from the rows, which takes its time.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Span;
use jiff::civil::Date;
use noroshi_lake::{Engine, Format, Lake, Limits, Table};
use noroshi_orient::signs::rises::{DAYS, Rise, Rises};
use serde_json::json;

use crate::ask::Purpose;
use crate::today;

/// Ports of both protocols, and tools.
const KEYS_MAX: usize = 1 << 18;
/// Days in which what rises is told again where it still does.
const TOLD_DAYS: u16 = 28;

/// What rises slowly: ports and tools with more senders from day to day
#[derive(Debug, Args)]
pub struct Rising {
    /// The last day that is looked at [default: yesterday, UTC]
    #[arg(long, value_name = "DAY")]
    until: Option<Date>,
    /// Tell what was found on so many days up to it
    #[arg(long, value_name = "DAYS", default_value_t = TOLD_DAYS)]
    days: u16,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    /// What for, and who asks
    #[command(flatten)]
    purpose: Purpose,
    /// Memory, MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    memory: usize,
}

/// Does it.
pub fn run(lake: &Lake, wish: &Rising) -> anyhow::Result<()> {
    let until = wish.until.map_or_else(|| before(today(), 1), Ok)?;
    let from = first(until, wish.days)?;
    wish.purpose.note(lake, &format!("rises from {from} to {until}"))?;
    let limits =
        Limits { memory_bytes: wish.memory << 20, time: Duration::from_secs(600), ..Limits::default() };
    let mut found = 0;
    let days = look(lake, until, wish.days, &limits, |day, rise| {
        found += 1;
        let mut out = io::stdout().lock();
        if wish.json {
            return writeln!(out, "{}", json!({ "day": day, "rise": rise }));
        }
        writeln!(out, "{day} {}", words(rise))
    })?;
    if found == 0 && !wish.json {
        println!("nothing rises, as far as {days} days of history tell; it takes four weeks at least");
    }
    Ok(())
}

/// Tells what was found on so many days up to one; returns of how many days there is history.
pub fn look(
    lake: &Lake,
    until: Date,
    days: u16,
    limits: &Limits,
    mut tell: impl FnMut(Date, &Rise<String>) -> io::Result<()>,
) -> anyhow::Result<usize> {
    let told_from = before(until, i64::from(days) - 1)?;
    let minutes = lake.partitions()?.into_iter().map(|(partition, _)| partition);
    let mut there: BTreeSet<Date> = minutes
        .filter(|partition| partition.table == Table::Minutes)
        .map(|partition| partition.day)
        .collect();
    there.extend(lake.counted()?.into_iter().map(|(day, _)| day));
    let (mut rises, mut known) = (Rises::new(KEYS_MAX), 0);
    for day in first(until, days)?.series(Span::new().days(1)).take_while(|day| *day <= until) {
        let counts = if there.contains(&day) { counts(lake, day, limits)? } else { Vec::new() };
        known += usize::from(!counts.is_empty());
        for rise in rises.day(counts) {
            if day >= told_from {
                tell(day, &rise)?;
            }
        }
    }
    Ok(known)
}

/// What is told of the first of the days takes all those before it.
fn first(until: Date, days: u16) -> anyhow::Result<Date> {
    before(until, i64::from(days) + DAYS as i64 - 2)
}

fn before(day: Date, days: i64) -> anyhow::Result<Date> {
    day.checked_sub(Span::new().days(days)).context("no such day")
}

/// A rise in words.
pub fn words(rise: &Rise<String>) -> String {
    let Rise { key, days, before, now, growth, .. } = rise;
    let percent = growth * 100.0;
    format!(
        "{key:<16} {before:.0} senders a day before, {now:.0} now, {percent:.0} % more each day for {days} days"
    )
}

/// Senders of a day by port, and by tool, as `asked` has them: without victims and reflectors, which answer and ask for nothing.
fn counts(lake: &Lake, day: Date, limits: &Limits) -> anyhow::Result<Vec<(String, u32)>> {
    let sql = format!(
        "SELECT CASE WHEN tool IS NOT NULL THEN 'tool ' || tool WHEN protocol = 6 THEN 'tcp/' || CAST(destination_port AS VARCHAR)
           ELSE 'udp/' || CAST(destination_port AS VARCHAR) END AS key, hosts
         FROM asked WHERE day = '{day}' AND (tool IS NOT NULL OR protocol IN (6, 17) AND destination_port IS NOT NULL)"
    );
    let mut rows = Rows::default();
    lake.query_on(&Engine::Embedded, &sql, limits)?.write(Format::Csv, &mut rows)?;
    Ok(rows.counts)
}

/// Reads `key,hosts` as it is written.
#[derive(Default)]
struct Rows {
    line: Vec<u8>,
    headed: bool,
    counts: Vec<(String, u32)>,
}

impl Write for Rows {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        for byte in some {
            if *byte == b'\n' {
                self.end()?;
            } else {
                self.line.push(*byte);
            }
        }
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Rows {
    fn end(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.headed, true) {
            return Ok(());
        }
        let read = || {
            let (key, hosts) = std::str::from_utf8(&line).ok()?.trim_end().rsplit_once(',')?;
            Some((key.to_owned(), hosts.parse::<u64>().ok()?))
        };
        let (key, hosts) = read().ok_or_else(|| io::Error::other("a count cannot be read"))?;
        self.counts.push((key, u32::try_from(hosts).unwrap_or(u32::MAX)));
        Ok(())
    }
}
