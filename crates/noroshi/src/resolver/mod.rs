//! The policy resolver as a command: what can be typed, what `[resolver]` means, and a resolver that runs.

mod consents;
mod control;
mod dnstap;
mod file;
mod handover;
mod hashes;
mod hits;
mod metrics;
mod queue;
mod running;
mod settings;
pub mod since;
mod status;
mod urls;
mod warning;
mod zones;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ipnet::IpNet;

use crate::commands::Where;
use crate::report::{self, plain, say};
use control::Request;
pub use file::ResolverFile;
use file::RpzFile;

/// The policy resolver: DNS answers, and warnings instead of malicious ones
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ResolverCommand {
    /// What is asked of a resolver that runs
    #[command(subcommand)]
    what: Option<What>,
    /// Where questions come in, over UDP and TCP, besides what the configuration says [default: 127.0.0.1:5300]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// A resolver that is asked [default: the world is asked from the root down]
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    forward: Vec<String>,
    /// A policy zone and its file or primary, in the order in which they decide
    #[arg(long, value_name = "NAME=FILE|NAME@ADDRESS[:PORT]", value_parser = rpz)]
    rpz: Vec<RpzFile>,
    /// A network that may ask, besides this machine
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<IpNet>,
    /// Threads that answer over UDP [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Take the place of the one that runs with this data folder, with its sockets; no question is lost
    #[arg(long)]
    take_over: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Read policy zones again; until a zone is read, its old rules hold
    Reload {
        /// Zones [default: all that have a file]
        #[arg(value_name = "ZONE")]
        zones: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Add or remove rules of a zone that is kept here (`local = true`); they hold at once
    Rule {
        /// The zone
        #[arg(value_name = "ZONE")]
        zone: String,
        /// A rule as a line of a zone's file: 'bad.example CNAME .'
        #[arg(long, value_name = "LINE", required_unless_present = "remove")]
        add: Vec<String>,
        /// A rule that goes
        #[arg(long, value_name = "LINE")]
        remove: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Which rules a name meets, and which of them decides
    Explain {
        /// The name
        #[arg(value_name = "NAME")]
        name: String,
        /// Who asks
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
        client: IpAddr,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// What rules of measures did, by name; of the days that the measure's dossier allows
    Hits {
        /// Names shown
        #[arg(long, default_value = "20")]
        rows: usize,
        /// Every record as JSON, the client as a pseudonym of its day
        #[arg(long)]
        json: bool,
    },
    /// How it stands: questions, answers, zones, cache
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

fn rpz(text: &str) -> Result<RpzFile, String> {
    if let Some((name, file)) = text.split_once('=') {
        return Ok(RpzFile { name: name.into(), file: Some(PathBuf::from(file)), ..RpzFile::default() });
    }
    let (name, primary) =
        text.split_once('@').ok_or("a zone and its file (NAME=FILE) or its primary (NAME@ADDRESS)")?;
    Ok(RpzFile { name: name.into(), primary: vec![primary.into()], ..RpzFile::default() })
}

/// Runs a resolver, or asks one that runs.
pub fn run(at: &Where, command: ResolverCommand) -> anyhow::Result<ExitCode> {
    let config = at.read()?;
    let Some(what) = command.what else {
        let mut file = config.resolver.clone();
        file.listen.extend(command.listen);
        file.forward.extend(command.forward);
        file.rpz.extend(command.rpz);
        file.allow.extend(command.allow);
        file.threads = command.threads.or(file.threads);
        running::run(file.plan()?, &config, command.take_over)?;
        return Ok(ExitCode::SUCCESS);
    };
    match what {
        What::Reload { zones, json } => {
            let told = control::ask(&config.data_dir, &Request::Reload { zones })?;
            if json {
                report::json(&told)?;
            } else {
                told.as_array().context("what the resolver answered")?.iter().for_each(tell_zone);
            }
        }
        What::Rule { zone, add, remove, json } => {
            let told = control::ask(&config.data_dir, &Request::Rule { zone, add, remove })?;
            if json {
                report::json(&told)?;
            } else {
                tell_zone(&told);
            }
        }
        What::Explain { name, client, json } => {
            let told = control::ask(&config.data_dir, &Request::Explain { name, client })?;
            if json {
                report::json(&told)?;
            } else {
                explain(&told);
            }
        }
        What::Hits { json, rows } => tell_hits(&config.data_dir, json, rows)?,
        What::Status { json } => {
            let told = control::ask(&config.data_dir, &Request::Status)?;
            if json {
                report::json(&told)?;
            } else {
                serde_json::from_value::<status::Status>(told).context("what the resolver answered")?.tell();
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what became of a zone.
fn tell_zone(zone: &serde_json::Value) {
    say!(
        "{} serial {}: {} rules; {} records read, {} lines are none ({:.3} s)",
        zone["zone"].as_str().unwrap_or_default(),
        zone["serial"],
        zone["rules"],
        zone["records"],
        zone["refused"],
        zone["wall_s"].as_f64().unwrap_or_default()
    );
}

/// Prints which rules a name meets.
fn explain(told: &serde_json::Value) {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &serde_json::Value| {
        value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ")
    };
    if told["may_ask"] == false {
        say!("{} may not ask", text(&told["client"]));
        return;
    }
    let rules = told["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    for rule in rules {
        let (zone, trigger, action) = (text(&rule["zone"]), text(&rule["trigger"]), text(&rule["action"]));
        let besides = if rule["for_client"] == false { " (not for this client)" } else { "" };
        say!("{zone} serial {}: {trigger} {} → {action}{besides}", rule["serial"], text(&rule["rule"]));
    }
    match &told["decides"] {
        serde_json::Value::Null if rules.is_empty() => say!("no rule is for {}", text(&told["name"])),
        serde_json::Value::Null => say!("none of them decides"),
        rule => {
            say!("decides: {} by {}: {}", text(&rule["zone"]), text(&rule["trigger"]), text(&rule["action"]));
        }
    }
    if let Some(left_s) = told["goes_on_s"].as_u64() {
        say!("warnings of it do not hold for this client, for {left_s} s more");
    }
    let waits = list(&told["may_still_decide_by_the_answer"]);
    if !waits.is_empty() {
        say!("by the answer or its servers may decide before that: {waits}");
    }
}

/// Prints what rules of measures did, by name, or every record.
fn tell_hits(data_dir: &Path, json: bool, rows: usize) -> anyhow::Result<()> {
    let records = hits::read(data_dir)?;
    if json {
        return records.iter().try_for_each(report::json);
    }
    let sums = hits::sums(&records);
    if sums.is_empty() {
        say!("no rule of a measure decided on anything, as far as is recorded");
    }
    for sum in sums.iter().take(rows) {
        let (name, zone) = (plain(&sum.name), plain(&sum.zone));
        say!("{:>8} hits {:>8} lines  {:<10} {name} ({zone})", sum.hits, sum.lines, sum.action);
    }
    if sums.len() > rows {
        say!("{} names more; --rows shows more", sums.len() - rows);
    }
    Ok(())
}

/// The moment, for telling how long something took.
#[allow(clippy::disallowed_methods, reason = "only told, never decided by")]
fn now() -> Instant {
    Instant::now()
}
