//! Who does what was typed after `noroshi source`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{bail, ensure};
use clap::Subcommand;
use jiff::Timestamp;
use noroshi_store::sources::SourceState;
use serde_json::json;

use super::settings::Source;
use super::{Origin, Why, Works, keys};
use crate::house::House;
use crate::report::{self, say};

/// Where reports come from by themselves
#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// List the sources of the configuration
    List {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Show when each was fetched, what came, what failed, and when it is due
    Status {
        /// Only this one
        name: Option<String>,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Fetch a source once, now, and store what it has
    Run {
        /// Its name
        name: String,
        /// Ask for everything, even if nothing changed since
        #[arg(long)]
        again: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a key with which others may send to a source, and print it once
    Key {
        /// Its name
        name: String,
        /// Make all its other keys invalid
        #[arg(long)]
        replace: bool,
    },
}

/// Does it.
pub fn run(house: House, what: &SourceCommand) -> anyhow::Result<ExitCode> {
    match what {
        SourceCommand::List { json } => list(&house, *json),
        SourceCommand::Status { name, json } => status(&house, name.as_deref(), *json),
        SourceCommand::Run { name, again, json } => once(house, name, *again, *json),
        SourceCommand::Key { name, replace } => key(&house, name, *replace),
    }
}

fn sources<'a>(house: &'a House, name: Option<&str>) -> anyhow::Result<Vec<&'a Source>> {
    let all = house.config.sources.values().map(|(_, source)| source);
    let found: Vec<&Source> = all.filter(|source| name.is_none_or(|name| name == source.name)).collect();
    if found.is_empty() {
        match name {
            Some(name) => bail!("there is no [source.{name}] in the configuration"),
            None => eprintln!("no sources; add [source.NAME] to the configuration"),
        }
    }
    Ok(found)
}

fn list(house: &House, as_json: bool) -> anyhow::Result<ExitCode> {
    for source in sources(house, None)? {
        let (kind, place) = (source.origin.kind(), source.origin.place());
        if as_json {
            report::json(&json!({
                "name": source.name, "kind": kind, "place": place, "format": source.format,
                "feed_name": source.feed_name, "campaign": source.campaign.as_ref().map(|c| &c.name),
            }))?;
        } else {
            say!("{:<24} {kind:<6} {:<20} {place}", source.name, source.format);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn known(house: &House, source: &Source) -> anyhow::Result<SourceState> {
    Ok(house.store.tx("source.state", |tx| tx.source(&source.name))?)
}

/// When a source is due; nothing where it is not fetched but sent, or followed all the time.
fn due(source: &Source, state: &SourceState) -> Option<Timestamp> {
    let due = source.schedule.due(state);
    let scheduled = !matches!(source.origin, Origin::Push | Origin::Nats(_));
    (scheduled && state.tried.is_some()).then_some(due)
}

fn status(house: &House, name: Option<&str>, as_json: bool) -> anyhow::Result<ExitCode> {
    let ago = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
    for source in sources(house, name)? {
        let state = known(house, source)?;
        let due = due(source, &state);
        if as_json {
            let mut value = serde_json::to_value(&state)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("kind".into(), source.origin.kind().into());
                object.insert("place".into(), source.origin.place().into());
                object.insert("due".into(), serde_json::to_value(due)?);
            }
            report::json(&value)?;
            continue;
        }
        let mark = if state.failures == 0 { "● ok  " } else { "■ act " };
        say!("{mark} {:<24} {:<6} {}", source.name, source.origin.kind(), source.origin.place());
        say!(
            "       last tried {}, last success {}, next {}",
            ago(state.tried),
            ago(state.succeeded),
            due.map_or_else(|| "at once".to_owned(), |due| format!("{due:.0}"))
        );
        say!(
            "       {} runs, {} without anything new, {} items with {} bytes: {}",
            state.runs,
            state.unchanged,
            state.items,
            state.bytes,
            state.counts
        );
        if !state.error.is_empty() {
            say!("       {} failures in a row, last: {}", state.failures, plain(&state.error));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What others wrote, fit for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn once(house: House, name: &str, again: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let works = Works::new(Arc::new(house))?;
    let source = works.source(name)?;
    works.claim(source, works.house.clock.now(), true)?;
    let Some((came, trouble)) = works.run(source, if again { Why::Again } else { Why::Wanted })? else {
        bail!(
            "{name} is being worked on just now (by `noroshi run`); `noroshi source status` shows what came of it"
        )
    };
    if as_json {
        let mut value = serde_json::to_value(&came)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("name".into(), name.into());
            object.insert("error".into(), trouble.as_ref().map(|t| format!("{:#}", t.why)).into());
        }
        report::json(&value)?;
    } else if came.unchanged {
        say!("nothing new");
    } else {
        say!("{} items with {} bytes: {}", came.items, came.bytes, came.counts);
    }
    match trouble {
        None => Ok(ExitCode::SUCCESS),
        Some(trouble) => {
            eprintln!("noroshi: {:#}", trouble.why);
            Ok(ExitCode::FAILURE)
        }
    }
}

fn key(house: &House, name: &str, replace: bool) -> anyhow::Result<ExitCode> {
    let found = sources(house, Some(name))?;
    ensure!(
        found.iter().all(|source| matches!(source.origin, Origin::Push)),
        "nothing is sent to {name}: a source with push = true has keys"
    );
    let key = keys::make(&house.config.data_dir, name, replace)?;
    say!("{key}");
    if let Some(listen) = house.config.push.listen {
        eprintln!("Kept as a hash; it is not shown again. To send a report:");
        eprintln!("curl -H 'Authorization: Bearer KEY' --data-binary @FILE 'http://{listen}/feeds/{name}'");
    }
    Ok(ExitCode::SUCCESS)
}
