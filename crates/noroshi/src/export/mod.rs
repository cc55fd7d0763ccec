//! Out: the stored events to others, in the form they read, to where they want them.
//!
//! ```text
//!   event log ──page──▶ Selection (which, and how written) ──Parcel──▶ Receiver ──acknowledged──▶ cursor moves
//!        ▲                                                             stdout, file, HTTP, NATS      │
//!        └───────────────────────────────── goes on behind what was acknowledged ◀───────────────────┘
//! ```
//!
//! With a cursor nothing is lost: it moves only after the receiver acknowledged, and before a parcel leaves it is noted
//! how far that parcel reaches, so that after a crash the very same parcel leaves again under the same key. A receiver that
//! looks at the key has it once; a file is cut back to its acknowledged length, so it has it once as well.
//!
//! Events that came in under a measure are communications data or lead to it, and no measure that we know has "hand it to
//! others" as its purpose. They stay in the house unless somebody says `--with-own`, and then leave for a file or standard
//! output only: who carries them further needs a basis that this program cannot check.

mod http;
mod local;
mod nats;
mod select;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use noroshi_model::Id;
use noroshi_store::StoreError;
use noroshi_store::cursors::{Cursor, NAME_BYTES_MAX};
use noroshi_wire::out::csv::Guard;

pub use http::is_loopback;
use select::{Counts, Parcel, Selection};
pub use select::{Format, Wanted, is_own};

use crate::house::House;
use crate::report::{self, say};

/// Events looked at for one parcel, whether they are wanted or not: how long a page holds the database.
const LOOKED_AT: usize = 16 * 1024;
/// Events read at once.
const PAGE: usize = 1024;
/// Events in a parcel.
const EVENTS_MAX: usize = 1000;
/// Bytes in a parcel, unless one event has more.
const BYTES_MAX: usize = 4 << 20;
/// Pause before looking for new events again.
const FOLLOW_PAUSE: Duration = Duration::from_millis(500);

/// What is exported, how, and where to.
#[derive(Clone, Debug, Args)]
pub struct Export {
    /// How events are written
    #[arg(long, value_enum, default_value = "jsonl")]
    pub format: Format,
    /// Which events
    #[command(flatten)]
    pub wanted: Which,
    /// Columns of CSV: keys of events, `id`, `seq`, `extra` (all the rest)
    #[arg(long, value_delimiter = ',')]
    pub columns: Vec<String>,
    /// CSV without the quote in front of texts that a spreadsheet would take for formulas
    #[arg(long)]
    pub no_formula_guard: bool,
    /// Where to: `-`, a file, https://…, nats://HOST:PORT/SUBJECT (a JetStream stream has to take the subject)
    #[arg(long, default_value = "-", value_name = "WHERE")]
    pub to: String,
    /// File with the bearer token (HTTP), or the token or credentials (NATS)
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Keep under this name how far the receiver has acknowledged, and go on from there
    #[arg(long, value_name = "NAME")]
    pub cursor: Option<String>,
    /// Go on with new events until interrupted
    #[arg(long)]
    pub follow: bool,
    /// Times a parcel is offered to a receiver that is away before giving up; with --follow without end
    #[arg(long, default_value_t = 8)]
    pub tries: u32,
    /// Print what was done as one JSON object, on stderr where the events go to stdout
    #[arg(long)]
    pub json: bool,
}

/// Which events.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// That happened at this time or later (2026-11-20T03:00:00Z, or a day, in UTC)
    #[arg(long, value_parser = moment)]
    pub since: Option<Timestamp>,
    /// That happened before this time
    #[arg(long, value_parser = moment)]
    pub until: Option<Timestamp>,
    /// Of the feed or campaign of this name
    #[arg(long)]
    pub feed: Option<String>,
    /// Of this RSIT type, e.g. infected-system
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Also those that came in under a measure (seized logs, campaigns): communications data, left out otherwise
    #[arg(long)]
    pub with_own: bool,
}

impl Which {
    /// The same, as it is looked for.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            since: self.since,
            until: self.until,
            feed: self.feed.clone(),
            kind: self.kind.clone(),
            own: self.with_own,
        }
    }
}

/// A time, or the beginning of a day.
fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    match text.parse::<Timestamp>() {
        Ok(at) => Ok(at),
        Err(_) => day()
            .map(|day| day.timestamp())
            .ok_or_else(|| "write 2026-11-20T03:00:00Z or 2026-11-20".to_owned()),
    }
}

/// Who takes what is exported.
trait Receiver {
    /// Hands a parcel over; back only when it was acknowledged.
    fn give(&mut self, parcel: &Parcel) -> anyhow::Result<()>;
    /// For a file, its length now.
    fn place(&self) -> u64 {
        0
    }
    /// Whether a parcel begins what is received, or follows something.
    fn is_fresh(&self) -> bool {
        true
    }
    /// After the last parcel.
    fn end(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What was done.
#[derive(Debug, serde::Serialize)]
struct Summary {
    #[serde(flatten)]
    counts: Counts,
    parcels: u64,
    bytes: u64,
    up_to: u64,
    wall_s: f64,
}

/// Does what was typed after `noroshi event export`.
pub fn run(house: &House, export: &Export) -> anyhow::Result<ExitCode> {
    let begun = house.clock.now();
    let guard = if export.no_formula_guard { Guard::Off } else { Guard::Quote };
    let alone = ["nats://", "tls://"].iter().any(|scheme| export.to.starts_with(scheme));
    let selection = Selection::new(export.format, export.wanted.wanted(), &export.columns, guard, alone)?;
    check(export)?;
    let mut walk = Walk::begin(house, export, &selection)?;
    let mut receiver = receiver(house, export, &walk)?;
    let mut summary =
        Summary { counts: Counts::default(), parcels: 0, bytes: 0, up_to: walk.sent, wall_s: 0.0 };
    walk.place = receiver.place();
    loop {
        let parcel = walk.next(house, &selection, receiver.is_fresh())?;
        if parcel.last == walk.sent {
            if !export.follow {
                break;
            }
            std::thread::sleep(FOLLOW_PAUSE);
            continue;
        }
        if parcel.events() > 0 {
            receiver.give(&parcel)?;
            summary.parcels += 1;
            summary.bytes += parcel.bytes.len() as u64;
        }
        summary.counts += parcel.counts;
        walk.acknowledged(house, parcel.last, receiver.place())?;
    }
    receiver.end()?;
    summary.up_to = walk.sent;
    summary.wall_s = house.clock.now().duration_since(begun).as_secs_f64();
    tell(export, &summary)?;
    Ok(ExitCode::SUCCESS)
}

fn check(export: &Export) -> anyhow::Result<()> {
    let outside = export.to.contains("://");
    ensure!(
        !(outside && export.wanted.with_own),
        "events that came in under a measure leave for a file or standard output only: no measure allows handing them to others"
    );
    if export.format == Format::Stix && !outside && (export.follow || export.cursor.is_some()) {
        bail!("a bundle is one document and cannot be continued; use --format stix-lines");
    }
    if let Some(name) = &export.cursor {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        ensure!(
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain),
            "a cursor's name has at most {NAME_BYTES_MAX} letters, digits, hyphens, underscores and dots"
        );
    }
    ensure!(export.tries > 0, "--tries is at least 1");
    Ok(())
}

fn receiver(house: &House, export: &Export, walk: &Walk) -> anyhow::Result<Box<dyn Receiver>> {
    let to = export.to.as_str();
    let token = export.token_file.as_ref().map(|path| {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        anyhow::Ok(text.trim().to_owned())
    });
    let token = token.transpose()?;
    let tries = if export.follow { u32::MAX } else { export.tries };
    Ok(match to.split_once("://") {
        Some(("http" | "https", _)) => {
            Box::new(http::Post::new(to, export.format, token.as_deref(), tries, walk.key(house)?)?)
        }
        Some(("nats" | "tls", _)) => Box::new(nats::Stream::new(to, export.format, token.as_deref(), tries)?),
        Some((scheme, _)) => bail!("there is no way to {scheme}://; there are https:// and nats://"),
        None if to == "-" => Box::new(local::Stdout::new(export.format)),
        None if walk.cursor.is_some() || export.follow => {
            let cut = walk.cursor.as_ref().filter(|c| c.until > c.sent).map(|c| c.place);
            Box::new(local::Growing::open(to.as_ref(), cut)?)
        }
        None => Box::new(local::Whole::begin(to.as_ref(), export.format)?),
    })
}

fn tell(export: &Export, summary: &Summary) -> anyhow::Result<()> {
    let counts = &summary.counts;
    if export.json && export.to == "-" {
        eprintln!("{}", serde_json::to_string(summary)?);
    } else if export.json {
        report::json(summary)?;
    } else {
        let own = if counts.under_a_measure > 0 {
            format!(", {} kept back under a measure", counts.under_a_measure)
        } else {
            String::new()
        };
        let formless = if counts.no_form > 0 {
            format!(", {} with nothing that the format can name", counts.no_form)
        } else {
            String::new()
        };
        eprintln!("{} events exported of {} looked at{own}{formless}", counts.exported, counts.read);
    }
    Ok(())
}

/// The way through the log.
struct Walk {
    /// Everything up to here was acknowledged.
    sent: u64,
    /// What was on its way when an earlier run ended: it leaves again as it was.
    pending: Option<u64>,
    place: u64,
    cursor: Option<Cursor>,
    what: String,
}

impl Walk {
    fn begin(house: &House, export: &Export, selection: &Selection) -> anyhow::Result<Self> {
        let place = match export.to.contains("://") || export.to == "-" {
            true => String::new(),
            false => std::path::absolute(&export.to)?.display().to_string(),
        };
        let what = Id::of("export", &[selection.name().as_bytes(), place.as_bytes()]).to_string();
        let mut walk = Self { sent: 0, pending: None, place: 0, cursor: None, what };
        let Some(name) = &export.cursor else { return Ok(walk) };
        let known = house.store.tx("export.cursor", |tx| tx.cursor(name))?;
        let cursor = match known {
            Some(known) => known,
            None => {
                let new = Cursor {
                    name: name.clone(),
                    what: walk.what.clone(),
                    sent: 0,
                    until: 0,
                    place: 0,
                    at: house.clock.now(),
                };
                let made = house.store.tx("export.begin", |tx| tx.put_cursor(None, &new))?;
                ensure!(made, "the cursor {name} was made by another export just now");
                new
            }
        };
        ensure!(
            cursor.what == walk.what,
            "the cursor {name} belongs to an export with another format, selection or file; \
             give this one another name, or forget that one with `noroshi event cursors --forget {name}`"
        );
        (walk.sent, walk.place) = (cursor.sent, cursor.place);
        walk.pending = Some(cursor.until).filter(|until| *until > cursor.sent);
        walk.cursor = Some(cursor);
        Ok(walk)
    }

    /// What makes the keys of this export's parcels: the same after a crash, and no other installation's. Without a cursor
    /// every run is meant.
    fn key(&self, house: &House) -> anyhow::Result<Id> {
        match &self.cursor {
            Some(cursor) => {
                let house = house.signer.verifier().line();
                Ok(Id::of("export-key", &[house.as_bytes(), cursor.name.as_bytes(), self.what.as_bytes()]))
            }
            None => Id::random().context("the system gave no randomness"),
        }
    }

    /// The next parcel; one that ends where the last one did says that there is nothing more.
    fn next(&mut self, house: &House, selection: &Selection, fresh: bool) -> anyhow::Result<Parcel> {
        let (sent, pending) = (self.sent, self.pending);
        let now = house.clock.now();
        let (cursor, place) = (self.cursor.clone(), self.place);
        let (parcel, moved) = house.store.tx("export.next", |tx| {
            let mut parcel = selection.parcel(sent, fresh);
            let mut looked = 0;
            // Where a parcel was on its way, its end is known, and it is filled up to there whatever its size.
            while pending.map_or(looked < LOOKED_AT && parcel.has_room(), |until| parcel.last < until) {
                let left = pending.map_or(PAGE as u64, |until| (until - parcel.last).min(PAGE as u64));
                let page = tx.events_after(parcel.last, usize::try_from(left).unwrap_or(PAGE))?;
                looked += page.len();
                let Some(end) = page.last().map(|event| event.seq) else { break };
                for event in &page {
                    if pending.is_some_and(|until| event.seq > until) || !parcel.take(selection, event) {
                        break;
                    }
                }
                if parcel.last < end {
                    break;
                }
            }
            let Some(was) = cursor.as_ref().filter(|_| parcel.last > sent) else { return Ok((parcel, None)) };
            let next = Cursor { until: parcel.last, place, at: now, ..was.clone() };
            let moved = tx.put_cursor(Some(was), &next)?;
            Ok::<_, StoreError>((parcel, Some((moved, next))))
        })?;
        if let Some((moved, next)) = moved {
            ensure!(moved, "another export moves the cursor {}", next.name);
            self.cursor = Some(next);
        }
        Ok(parcel)
    }

    fn acknowledged(&mut self, house: &House, up_to: u64, place: u64) -> anyhow::Result<()> {
        (self.sent, self.place, self.pending) = (up_to, place, None);
        let Some(was) = &self.cursor else { return Ok(()) };
        let next = Cursor { sent: up_to, until: up_to, place, at: house.clock.now(), ..was.clone() };
        let moved = house.store.tx("export.acknowledged", |tx| tx.put_cursor(Some(was), &next))?;
        ensure!(moved, "another export moves the cursor {}", next.name);
        self.cursor = Some(next);
        Ok(())
    }
}

/// Lists the cursors, or forgets one.
pub fn cursors(house: &House, forget: Option<&str>, as_json: bool) -> anyhow::Result<ExitCode> {
    const CURSORS_MAX: u32 = 1000;
    if let Some(name) = forget {
        let gone = house.store.tx("cursor.forget", |tx| tx.drop_cursor(name))?;
        ensure!(gone, "there is no cursor {name}; `noroshi event cursors` lists them");
        return Ok(ExitCode::SUCCESS);
    }
    let (cursors, newest) = house
        .store
        .tx("cursor.list", |tx| Ok::<_, StoreError>((tx.cursors(CURSORS_MAX)?, tx.last_event()?)))?;
    for cursor in cursors {
        let behind = newest.saturating_sub(cursor.sent);
        if as_json {
            report::json(&serde_json::json!({
                "name": cursor.name, "sent": cursor.sent, "until": cursor.until, "behind": behind,
                "at": cursor.at.to_string(),
            }))?;
        } else {
            say!("{:<24} up to event {}, {behind} behind, moved {}", cursor.name, cursor.sent, cursor.at);
        }
    }
    Ok(ExitCode::SUCCESS)
}
