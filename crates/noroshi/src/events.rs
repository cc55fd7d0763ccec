//! Stored events: looked at one by one, and handed on.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use noroshi_model::Id;
use noroshi_store::StoreError;
use noroshi_store::log::{Logged, id_from_bytes};
use serde_json::{Map, Value, json};

use crate::export::{self, Export, Which, is_own};
use crate::house::House;
use crate::report::{self, say};

/// Events looked at in one transaction.
const PAGE: u64 = 1024;
/// Most events listed at once.
const LIST_MAX: u32 = 10_000;

/// Stored events
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// List the newest
    List {
        /// Which ones
        #[command(flatten)]
        which: Which,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Print one as it is stored
    Show {
        /// Its id
        id: String,
        /// Also where it came in under a measure: that is communications data
        #[arg(long)]
        with_own: bool,
    },
    /// Hand them on: as JSON lines in IntelMQ's field names, CSV or STIX 2.1, to a file, over HTTP or NATS
    ///
    /// Events that came in under a measure (seized logs, feeds loaded with --campaign) are communications data or lead to
    /// it. They are left out; --with-own takes them into a file or onto standard output, and nowhere else.
    ///
    /// With --cursor an export goes on where the receiver has acknowledged. It moves when the file is on the disk, the
    /// HTTP server has answered 2xx, or the stream has stored the messages.
    Export(Box<Export>),
    /// List how far exports came
    Cursors {
        /// Forget this one: an export under its name begins anew
        #[arg(long, value_name = "NAME")]
        forget: Option<String>,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
}

/// Does what was typed after `noroshi event`.
pub fn run(house: &House, what: &EventCommand) -> anyhow::Result<ExitCode> {
    match what {
        EventCommand::List { which, limit, json } => list(house, which, *limit, *json),
        EventCommand::Show { id, with_own } => show(house, id, *with_own),
        EventCommand::Export(export) => export::run(house, export),
        EventCommand::Cursors { forget, json } => export::cursors(house, forget.as_deref(), *json),
    }
}

fn list(house: &House, which: &Which, limit: u32, as_json: bool) -> anyhow::Result<ExitCode> {
    ensure!(limit <= LIST_MAX, "at most {LIST_MAX} are listed; `noroshi event export` gives all");
    let wanted = which.wanted();
    let mut end = house.store.tx("event.last", |tx| tx.last_event())?;
    let (mut shown, mut own) = (0, 0u64);
    while end > 0 && shown < limit {
        let begin = end.saturating_sub(PAGE);
        let count = usize::try_from(end - begin)?;
        let mut page: Vec<Logged> = house.store.tx("event.list", |tx| tx.events_after(begin, count))?;
        // Behind what was forgotten, a page reaches further than was asked for.
        page.retain(|event| event.seq <= end);
        for event in page.iter().rev() {
            let flat: Map<String, Value> = serde_json::from_slice(&event.json)?;
            if is_own(&flat) && !wanted.own {
                own += 1;
            } else if wanted.fits(&flat) && shown < limit {
                shown += 1;
                line(event, &flat, as_json)?;
            }
        }
        end = begin;
    }
    if own > 0 && !as_json {
        eprintln!("{own} that came in under a measure are not shown; --with-own shows them");
    }
    Ok(ExitCode::SUCCESS)
}

fn line(event: &Logged, flat: &Map<String, Value>, as_json: bool) -> anyhow::Result<()> {
    let id = id_from_bytes(event.id);
    if as_json {
        return report::json(&json!({ "seq": event.seq, "id": id, "event": flat }));
    }
    let text = |key: &str| match flat.get(key) {
        Some(Value::String(text)) => report::plain(text),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let first = |keys: &[&str]| keys.iter().map(|key| text(key)).find(|t| !t.is_empty()).unwrap_or_default();
    say!(
        "{id}  {}  {:<22} {:<20} {}  {}",
        first(&["time.source", "time.observation"]),
        text("classification.type"),
        first(&["malware.name", "classification.identifier"]),
        first(&["source.ip", "source.fqdn", "source.url", "source.network", "malware.hash.sha256"]),
        text("feed.name")
    );
    Ok(())
}

fn show(house: &House, id: &str, with_own: bool) -> anyhow::Result<ExitCode> {
    let id = Id::parse(id).with_context(|| format!("'{id}' is no id; `noroshi event list` shows them"))?;
    let json = house.store.tx::<_, StoreError>("event.show", |tx| tx.event_json(&id))?;
    let json = json.with_context(|| format!("there is no event {id}"))?;
    let flat: Map<String, Value> = serde_json::from_slice(&json)?;
    ensure!(with_own || !is_own(&flat), "this event came in under a measure; --with-own shows it");
    say!("{}", serde_json::to_string_pretty(&flat)?);
    Ok(ExitCode::SUCCESS)
}
