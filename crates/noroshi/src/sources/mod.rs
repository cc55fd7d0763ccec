//! Sources: reports that come in by themselves, from folders, web servers, mailboxes, a queue, or sent to us.
//!
//! ```text
//!   [source.NAME] ─settings─▶ Source ──watch (schedule)──▶ Works::run ─┬─ folder ──────────────┐
//!                                                                     ├─ web ─┐                ├─▶ intake (durable)
//!                                             push (its own listener) ┴───────┴▶ spool (disk) ─┤     └▶ done: moved,
//!                                                                     ├─ mailbox ──────────────┤        removed, \Seen,
//!                                                                     └─ queue ────────────────┘        acknowledged
//! ```
//!
//! Nothing is given up where it came from before its events are durable here: a file is moved, a mail marked, a message
//! acknowledged after that, and what has no such place (a body from the web, or one sent to us) lies in the [`spool`].
//! A crash at any moment leads to the same report being given to the intake again, which goes on where it was.
//!
//! **Invariant:** a slow store slows the fetching. No more than [`TAKES_AT_ONCE`] reports are taken in at a time, each of
//! them read as fast as it can be stored.

pub mod commands;
mod folder;
pub mod imap;
mod keys;
mod mailbox;
mod push;
pub mod queue;
mod schedule;
pub mod settings;
mod spool;
mod watch;
mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use noroshi_feed::{Bundle, Report, formats};
use noroshi_model::{Id, Tally};
use noroshi_store::StoreError;
use noroshi_store::sources::SourceState;
use serde::Serialize;
use tokio::sync::oneshot;

pub use settings::{ImapOrigin, Login, Origin, PushFile, Source, SourceFile, Tls, secret};
use spool::{Meta, Spool, Spooled};
pub use watch::start;

use crate::house::House;
use crate::intake::{Arrived, FeedSource, patiently, take_arrived};
use crate::tables::Enrichment;
use crate::{lists, maps};

/// Reports taken in at a time: each has its batches in memory.
const TAKES_AT_ONCE: usize = 2;
/// Bytes read from a spooled body at once.
const READ_BYTES: usize = 256 << 10;
/// Unreadable bodies kept of a source that can be asked again.
const REFUSED_KEPT: usize = 3;

/// What a run brought.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Came {
    /// Files, bodies, mails or messages taken in.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether there was nothing new.
    pub unchanged: bool,
    /// What became of their records.
    #[serde(flatten)]
    pub counts: Tally,
    /// What the next conditional request needs.
    #[serde(skip)]
    validators: Option<Validators>,
}

/// What a conditional request needs.
#[derive(Clone, Debug)]
struct Validators {
    setting: String,
    etag: Option<String>,
    modified: Option<String>,
}

/// Why a source is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is due.
    Due,
    /// Somebody wants it now.
    Wanted,
    /// And all of it, whether or not it changed.
    Again,
}

/// Why a run ended early.
#[derive(Debug)]
pub struct Trouble {
    /// What is wrong, for a person.
    pub why: anyhow::Error,
    /// Nothing changes by trying again soon.
    pub hopeless: bool,
    /// How long the other side wants to be left alone.
    pub asked: Option<SignedDuration>,
}

impl From<anyhow::Error> for Trouble {
    fn from(why: anyhow::Error) -> Self {
        Self { why, hopeless: false, asked: None }
    }
}

impl From<StoreError> for Trouble {
    fn from(e: StoreError) -> Self {
        anyhow::Error::from(e).into()
    }
}

impl Trouble {
    fn hopeless(why: anyhow::Error) -> Self {
        Self { why, hopeless: true, asked: None }
    }

    fn is_store(&self) -> bool {
        self.why.chain().any(|cause| cause.is::<StoreError>())
    }
}

/// Who waits to hear what became of a spooled body.
type Waiting = oneshot::Sender<Result<Tally, String>>;

/// Everything the sources are worked with.
pub struct Works {
    house: Arc<House>,
    enrichment: Enrichment,
    takes: Seats,
    /// Sources in which something waits, besides those that are due.
    kicked: (Mutex<BTreeSet<String>>, Condvar),
    /// By the spooled body's id.
    waiting: Mutex<BTreeMap<String, Waiting>>,
    /// Files of watched folders that were taken in and stay.
    known: Mutex<BTreeSet<Id>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Works {
    /// Reads the tables.
    pub fn new(house: Arc<House>) -> anyhow::Result<Self> {
        let enrichment = Enrichment::read(&house.config.enrich)?;
        Ok(Self {
            house,
            enrichment,
            takes: Seats::new(TAKES_AT_ONCE),
            kicked: (Mutex::default(), Condvar::new()),
            waiting: Mutex::default(),
            known: Mutex::default(),
        })
    }

    /// The source of a name.
    pub fn source(&self, name: &str) -> anyhow::Result<&Source> {
        let sources = &self.house.config.sources;
        let known = || sources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let found = sources.get(name).map(|(_, source)| source);
        found.with_context(|| {
            format!("there is no [source.{name}] in the configuration; there are: {}", known())
        })
    }

    /// What is known of a source.
    pub fn state(&self, name: &str) -> Result<SourceState, StoreError> {
        patiently(|| self.house.store.tx("source.state", |tx| tx.source(name)))
    }

    /// Takes the source's turn if it is due; else when it is. Of several programs on one database, one gets the turn.
    fn claim(&self, source: &Source, now: Timestamp, must: bool) -> Result<Option<Timestamp>, StoreError> {
        patiently(|| {
            self.house.store.tx_in_turn("source.claim", |tx| {
                let mut state = tx.source(&source.name)?;
                let due = source.schedule.due(&state);
                if due > now && !must {
                    return Ok(Some(due));
                }
                state.tried = Some(now);
                state.runs += 1;
                tx.put_source(&state)?;
                Ok(None)
            })
        })
    }

    /// Fetches a source once and takes in what there is, and what an earlier run left in the spool. `None` where another
    /// run of it is under way.
    pub fn run(&self, source: &Source, why: Why) -> anyhow::Result<Option<(Came, Option<Trouble>)>> {
        let spool = Spool::open(&self.house.config.data_dir, &source.name)?;
        let Some(_lock) = spool.lock()? else { return Ok(None) };
        spool.tidy()?;
        let mut came = Came::default();
        let trouble = self.fetch(source, &spool, why, &mut came).err();
        self.record(source, &came, trouble.as_ref())?;
        Ok(Some((came, trouble)))
    }

    fn fetch(&self, source: &Source, spool: &Spool, why: Why, came: &mut Came) -> Result<(), Trouble> {
        let bundle = maps::read(&self.house.config)?;
        if formats::find(&source.format).is_none() && bundle.map(&source.format).is_none() {
            let told = format!("no format is called '{}'; `noroshi feed formats` lists them", source.format);
            return Err(Trouble::hopeless(anyhow::Error::msg(told)));
        }
        // One that cannot be read keeps neither the others waiting nor what is new.
        let mut failed = None;
        for spooled in spool.waiting()? {
            match self.take_body(source, spool, &bundle, &spooled, came) {
                Err(trouble) if trouble.is_store() => return Err(trouble),
                taken => failed = failed.or(taken.err()),
            }
        }
        self.ask(source, spool, &bundle, why, came)?;
        failed.map_or(Ok(()), Err)
    }

    /// Asks where the reports come from for what there is.
    fn ask(
        &self,
        source: &Source,
        spool: &Spool,
        bundle: &Bundle,
        why: Why,
        came: &mut Came,
    ) -> Result<(), Trouble> {
        match &source.origin {
            Origin::Folder(folder) => self::folder::scan(self, source, folder, bundle, came),
            Origin::Web(web) => {
                let mut state = self.state(&source.name)?;
                if let Some(newer) = came.validators.clone() {
                    (state.setting, state.etag, state.modified) = (newer.setting, newer.etag, newer.modified);
                }
                let asked =
                    if why == Why::Again || state.setting != source.setting { None } else { Some(&state) };
                match web::fetch(&*self.house.clock, source, web, asked, spool)? {
                    None => came.unchanged = true,
                    Some(spooled) => self.take_body(source, spool, bundle, &spooled, came)?,
                }
                Ok(())
            }
            Origin::Imap(imap) => mailbox::fetch(self, source, imap, bundle, came),
            Origin::Nats(nats) => queue::drain(self, source, nats, bundle, why == Why::Due, came),
            Origin::Push => Ok(()),
        }
    }

    /// Writes down how a run went.
    fn record(&self, source: &Source, came: &Came, trouble: Option<&Trouble>) -> Result<(), StoreError> {
        let now = self.house.clock.now();
        patiently(|| {
            self.house.store.tx("source.record", |tx| {
                let mut state = tx.source(&source.name)?;
                state.items += came.items;
                state.bytes += came.bytes;
                state.unchanged += u64::from(came.unchanged);
                state.counts += came.counts;
                if let Some(new) = &came.validators {
                    state.setting.clone_from(&new.setting);
                    state.etag.clone_from(&new.etag);
                    state.modified.clone_from(&new.modified);
                }
                match trouble {
                    None => {
                        state.succeeded = Some(now);
                        state.failures = 0;
                        state.retry = None;
                        // A folder's next look finds nothing wrong any more; what it said of a file stays until another
                        // one went well.
                        if came.items > 0 || !matches!(source.origin, Origin::Folder(_)) {
                            state.error.clear();
                        }
                    }
                    Some(trouble) => {
                        state.failures = state.failures.saturating_add(1);
                        let retry =
                            source.schedule.retry(now, state.failures, trouble.hopeless, trouble.asked);
                        state.retry = Some(retry);
                        state.error = format!("{:#}", trouble.why);
                    }
                }
                tx.put_source(&state)
            })
        })
    }

    /// What is said of a source's reports.
    fn report(&self, source: &Source, file_name: Option<&str>, at: Timestamp) -> Report {
        Report {
            format: source.format.clone(),
            feed_name: source.feed_name.clone(),
            feed_url: source.feed_url.clone(),
            file_name: file_name.map(str::to_owned),
            params: source.params.clone(),
            now: at,
        }
    }

    /// Gives a report to the intake, when there is a seat.
    fn take(
        &self,
        source: &Source,
        bundle: &Bundle,
        at: Timestamp,
        arrived: Arrived,
    ) -> Result<Tally, Trouble> {
        let _seat = self.takes.sit();
        let report = self.report(source, arrived.name.as_deref(), at);
        let keep = lists::configured(&self.house.config, &source.feed_name, source.campaign.is_some());
        let feed = FeedSource {
            bundle,
            report,
            campaign: source.campaign.clone(),
            enrichment: &self.enrichment,
            keep,
        };
        Ok(take_arrived(&self.house, &feed, arrived)?)
    }

    /// Takes in a body from the spool and removes it. One that cannot be read is put aside.
    fn take_body(
        &self,
        source: &Source,
        spool: &Spool,
        bundle: &Bundle,
        spooled: &Spooled,
        came: &mut Came,
    ) -> Result<(), Trouble> {
        let file = std::fs::File::open(&spooled.body)
            .with_context(|| format!("{} cannot be read", spooled.body.display()))?;
        let taken = if spooled.bytes == 0 {
            Ok(Tally::default())
        } else {
            let input = Box::new(BufReader::with_capacity(READ_BYTES, file));
            let identity = format!("spool {}", spooled.id).into_bytes();
            let name = spooled.meta.file_name.clone();
            self.take(source, bundle, spooled.meta.at, Arrived { identity, name, input })
        };
        let told = held(&self.waiting).remove(&spooled.id);
        match taken {
            Ok(counts) => {
                spool.done(spooled)?;
                came.items += 1;
                came.bytes += spooled.bytes;
                came.counts += counts;
                let meta = spooled.meta.clone();
                if !meta.setting.is_empty() {
                    let Meta { setting, etag, modified, .. } = meta;
                    came.validators = Some(Validators { setting, etag, modified });
                }
                // Whoever waited may be gone.
                drop(told.map(|told| told.send(Ok(counts))));
                Ok(())
            }
            // It stays where it is and is taken in when the store can be written again.
            Err(trouble) if trouble.is_store() => Err(trouble),
            Err(trouble) => {
                drop(told.map(|told| told.send(Err(format!("{:#}", trouble.why)))));
                // What was sent to us cannot be asked for again: all of it is kept.
                let keep = (!matches!(source.origin, Origin::Push)).then_some(REFUSED_KEPT);
                let to = spool.refuse(spooled, keep)?;
                let why =
                    trouble.why.context(format!("what came cannot be read and is kept as {}", to.display()));
                Err(Trouble::hopeless(why))
            }
        }
    }

    /// Says that something waits in a source.
    fn kick(&self, name: &str) {
        held(&self.kicked.0).insert(name.to_owned());
        self.kicked.1.notify_all();
    }
}

/// So many at a time.
struct Seats {
    free: Mutex<usize>,
    freed: Condvar,
}

struct Seat<'a>(&'a Seats);

impl Seats {
    fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), freed: Condvar::new() }
    }

    fn sit(&self) -> Seat<'_> {
        let mut free = held(&self.free);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Seat(self)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        *held(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}
