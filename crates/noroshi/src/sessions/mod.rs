//! The session book from the command line: taking records in, asking under a permit, checking, forgetting, measuring.
//!
//! [`import`](mod@import) files; [`follow`](mod@follow) files that grow; [`listen`](mod@listen) for accounting over UDP;
//! [`ask`] who held it; [`forget`](mod@forget) what is too old; [`bench`](mod@bench) the book against sessions of which the
//! truth is known.

mod ask;
mod bench;
mod follow;
mod forget;
mod import;
mod listen;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use bench::bench;
use follow::keep_up;
pub use follow::{FollowFile, follow};
pub use forget::SessionsFile;
use forget::{date, forget, keep_forgetting, kept_from};
pub use import::{Record, Records, import, records};
use listen::listen;
pub use listen::{RadiusFile, serve};

use crate::house::House;
use crate::report::{self, say};

/// The session book: who held which address when
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// Take in files that say who held which address
    Import(Import),
    /// Take in what is written to files, as it is written, until interrupted: those of `[follow.NAME]` of the configuration, or
    /// the one that is named
    Follow(Follow),
    /// Receive RADIUS accounting as `[radius]` of the configuration says, until interrupted
    Serve {
        /// Print the counts as JSON at the end
        #[arg(long)]
        json: bool,
    },
    /// Who held an address: asked under a measure, recorded in the evidence log
    Who(Who),
    /// What the book holds
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Whether every file of the book opens and holds what it says, and nothing is kept longer than allowed
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget the days that are older than the dossier of session keeping allows: their keys are destroyed
    Forget {
        /// Only say which
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure the book on made-up sessions and hold every answer against the truth
    Bench(Bench),
}

/// Take in files that say who held which address
#[derive(Debug, Args)]
pub struct Import {
    /// Files (plain, gzip, zstd, zip), `-` for standard input
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// How they are written
    #[arg(long, value_enum, default_value = "radius-detail")]
    pub format: Format,
    /// What the format leaves open, as a JSON object: for csv the columns, for the others `server`, `zone` and so on
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub params: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Take in what is written to files
#[derive(Debug, Args)]
pub struct Follow {
    /// A file, or a pattern of files in quotes [default: those of the configuration]
    pub file: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, default_value = "radius-detail", requires = "file")]
    pub format: Format,
    /// What the format leaves open, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", requires = "file")]
    pub params: String,
    /// Print the counts as JSON at the end
    #[arg(long)]
    pub json: bool,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// FreeRADIUS `detail`
    RadiusDetail,
    /// Kea lease file (memfile), IPv4 or IPv6
    KeaLeases,
    /// Kea forensic log (`legal_log`)
    KeaLegal,
    /// ISC dhcpd lease file
    IscLeases,
    /// Port blocks of a translator: Juniper
    CgnJuniper,
    /// Port blocks of a translator: Cisco
    CgnCisco,
    /// Port blocks of a translator: A10
    CgnA10,
    /// Port blocks of a translator: F5
    CgnF5,
    /// Port blocks of a translator: NFWare
    CgnNfware,
    /// A table of sessions
    Csv,
}

/// Who held an address
#[derive(Debug, Args)]
pub struct Who {
    /// The address
    #[arg(long, required_unless_present = "batch")]
    pub ip: Option<IpAddr>,
    /// When, with its zone (RFC 3339)
    #[arg(long, required_unless_present = "batch")]
    pub at: Option<Timestamp>,
    /// The port on the subscriber's side
    #[arg(long)]
    pub port: Option<u16>,
    /// By how many seconds the time may be wrong: 60 where it was told to the minute, 86400 where only the day is known
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub clock_error_s: u32,
    /// The measure under which it is asked
    #[arg(long, value_name = "ID")]
    pub measure: String,
    /// The matter it is asked for
    #[arg(long, value_name = "N")]
    pub case: String,
    /// Many questions: CSV with the columns ip, time, port, and perhaps clock-error-s; one JSON line each, in order
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ip", "at", "port", "clock_error_s"])]
    pub batch: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Measure the book
#[derive(Debug, Args)]
pub struct Bench {
    /// How many sessions are made up
    #[arg(long, default_value_t = 1_000_000)]
    pub sessions: u64,
    /// How many questions of each kind are asked
    #[arg(long, default_value_t = 1_000_000)]
    pub lookups: u64,
    /// What they are made from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the book is made; removed afterwards [default: a folder of the system's for temporary files]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Pause before what failed is begun again.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Receives accounting, follows files and forgets what is too old in the background of `noroshi run`, as the configuration
/// says.
pub fn start(house: &Arc<House>) -> anyhow::Result<()> {
    let begin = |name: &str, work: fn(&House) -> anyhow::Result<()>| {
        let house = Arc::clone(house);
        let forever = move || {
            loop {
                if let Err(e) = work(&house) {
                    tracing::error!("{e:#}");
                }
                std::thread::sleep(AFTER_FAILURE);
            }
        };
        std::thread::Builder::new().name(name.into()).spawn(forever).map(drop)
    };
    begin("forget", keep_forgetting)?;
    if house.config.radius.listen.is_some() {
        begin("radius", |house| match house.config.radius.listen {
            Some(at) => listen(house, at, || false).map(drop),
            None => Ok(()),
        })?;
    }
    if !house.config.follow.is_empty() {
        begin("follow", |house| keep_up(house, house.config.follow.clone(), || false).map(drop))?;
    }
    Ok(())
}

/// What only looks.
pub fn look(house: &House, what: &SessionsCommand) -> anyhow::Result<ExitCode> {
    match what {
        SessionsCommand::Who(who) => ask::who(house, who),
        SessionsCommand::Stats { json } => stats(house, *json),
        SessionsCommand::Verify { json } => verify(house, *json),
        SessionsCommand::Forget { dry_run, json } => forget(house, *dry_run, *json),
        SessionsCommand::Import(_)
        | SessionsCommand::Follow(_)
        | SessionsCommand::Serve { .. }
        | SessionsCommand::Bench(_) => {
            anyhow::bail!("this takes something in")
        }
    }
}

/// Becomes true when the process is asked to end.
fn ended() -> anyhow::Result<tokio::sync::watch::Receiver<bool>> {
    let (tell, told) = tokio::sync::watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            match signal(SignalKind::terminate()) {
                Ok(mut term) => drop(tokio::select! {
                    _ = tokio::signal::ctrl_c() => None,
                    got = term.recv() => got,
                }),
                Err(_) => drop(tokio::signal::ctrl_c().await),
            }
        });
        tell.send_replace(true);
    });
    Ok(told)
}

fn stats(house: &House, as_json: bool) -> anyhow::Result<ExitCode> {
    let stats = house.book()?.stats();
    if as_json {
        report::json(&stats)?;
    } else {
        say!("sessions that are over {:>12}", stats.closed);
        say!("sessions that go on    {:>12}", stats.open);
        say!("lines, servers         {:>12} {}", stats.lines, stats.servers);
        say!("days                   {:>12}", stats.days);
        say!("two lines at once      {:>12}   (data faults: nobody is named for those times)", stats.faults);
        say!("bytes in memory, disk  {:>12} {}", stats.bytes, stats.disk_bytes);
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(house: &House, as_json: bool) -> anyhow::Result<ExitCode> {
    let from = kept_from(house)?;
    let first = house.book()?.stats().first_day;
    let overdue = first.filter(|first| *first < from);
    match house.book()?.verify() {
        Ok(rows) if as_json => report::json(&serde_json::json!({
            "intact": true,
            "rows": rows,
            "first_day": first.map(date),
            "kept_from": date(from),
            "overdue": overdue.is_some(),
        }))?,
        Ok(rows) => {
            say!("intact: {rows} rows in days");
            let kept_from = date(from);
            match overdue.map(date) {
                Some(first) => say!("overdue: {first} is kept, and {kept_from} is the first day that may be"),
                None => say!("nothing is kept longer than allowed: {kept_from} is the first day that may be"),
            }
        }
        Err(e) => {
            if as_json {
                report::json(&serde_json::json!({ "intact": false, "why": e.to_string() }))?;
            }
            eprintln!("noroshi: {e}");
            return Ok(ExitCode::from(3));
        }
    }
    Ok(if overdue.is_some() { ExitCode::from(3) } else { ExitCode::SUCCESS })
}
