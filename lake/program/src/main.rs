//! History from the command line: `follow` what `noroshi darknet` keeps, `take` captures into a lake, `query` it in SQL for a purpose, tell what `rises`
//! and who moves `together`, `compact` days that are over, `forget` what is too old, `list` what there is.
//!
//! A program of its own beside `noroshi`, because the engine takes about as long to build as all the rest, and so that a question that takes
//! much memory takes it from nobody else.

mod ask;
mod follow;
mod rises;
mod rows;
mod take;
mod together;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use jiff::civil::Date;
use jiff::{Span, tz::TimeZone};
use noroshi_lake::{Lake, Table, Writer};
use noroshi_model::clock::{Clock as _, SystemClock};

/// History of the telescope: packets' headers, counts by the minute, and SQL over them
#[derive(Debug, Parser)]
#[command(name = "noroshi-lake", version)]
struct Cli {
    /// The lake's folder
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "NOROSHI_LAKE",
        default_value = "noroshi-data/lake"
    )]
    lake: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take up what `noroshi darknet live` and `hub` keep, as it comes; join and forget days
    Follow(follow::Follow),
    /// Take captures in: headers and counts by the minute
    Take(take::Take),
    /// Ask, for a purpose that is written down
    Query(ask::Query),
    /// What rises slowly: ports and tools with more senders from day to day
    Rises(rises::Rising),
    /// Who moves together: senders of a port that begin at the same times
    Together(together::Together),
    /// Join the small files of days that are over, and count their senders
    Compact {
        /// One day [default: every day before today]
        day: Option<Date>,
    },
    /// Forget days that are too old
    Forget(Keeping),
    /// List what there is: table, day, sensor, bytes
    List,
}

/// How long days are kept.
#[derive(Debug, Args)]
struct Keeping {
    /// Days for which headers are kept
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    packets_days: u16,
    /// Days for which counts by the minute are kept
    #[arg(long, value_name = "DAYS", default_value_t = 366)]
    minutes_days: u16,
    /// Days for which counts of a day's senders are kept, in which there are no addresses; as long as those by the minute at least
    #[arg(long, value_name = "DAYS", default_value_t = 1830)]
    counts_days: u16,
}

impl Keeping {
    /// Forgets what is older; each table and day that is gone is told.
    fn forget(&self, writer: &Writer, mut told: impl FnMut(Table, Date)) -> anyhow::Result<()> {
        // A day's counts that were forgotten before its minutes would be counted again.
        let counts_days = self.counts_days.max(self.minutes_days);
        for (table, days) in [
            (Table::Packets, self.packets_days),
            (Table::Minutes, self.minutes_days),
            (Table::Counts, counts_days),
        ] {
            let before = today().checked_sub(Span::new().days(days)).context("no such day")?;
            writer.forget_before(table, before)?.into_iter().for_each(|day| told(table, day));
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("noroshi-lake: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let lake = Lake::open(&cli.lake)?;
    match &cli.command {
        Command::Follow(wish) => follow::run(&lake, wish),
        Command::Take(wish) => take::run(&lake, wish),
        Command::Query(wish) => ask::run(&lake, wish),
        Command::Rises(wish) => rises::run(&lake, wish),
        Command::Together(wish) => together::run(&lake, wish),
        Command::Compact { day } => compact(&lake, *day),
        Command::Forget(keeping) => keeping.forget(&lake.writer()?, |table, day| {
            println!("{} of {day} are forgotten", table.name());
        }),
        Command::List => {
            for (partition, bytes) in lake.partitions()? {
                println!(
                    "{:<8} {} {:<32} {bytes:>14}",
                    partition.table.name(),
                    partition.day,
                    partition.sensor
                );
            }
            for (day, bytes) in lake.counted()? {
                println!("{:<8} {day} {:<32} {bytes:>14}", Table::Counts.name(), "");
            }
            Ok(())
        }
    }
}

fn compact(lake: &Lake, day: Option<Date>) -> anyhow::Result<()> {
    let days = day.map_or_else(|| days_over(lake), |day| Ok([day].into()))?;
    let writer = lake.writer()?;
    for day in days {
        let joined = writer.compact(day)?;
        if joined > 0 {
            println!("{day}: {joined} files joined");
        }
        if let Some(keys) = writer.count(day)? {
            println!("{day}: senders of {keys} ports and tools counted");
        }
    }
    Ok(())
}

/// The days before today of which there is anything.
fn days_over(lake: &Lake) -> anyhow::Result<BTreeSet<Date>> {
    let over = |day: &Date| *day < today();
    Ok(lake.partitions()?.into_iter().map(|(partition, _)| partition.day).filter(over).collect())
}

/// By UTC, as the days of the lake are.
fn today() -> Date {
    SystemClock.now().to_zoned(TimeZone::UTC).date()
}
