//! Observe: what comes in becomes durable.
//!
//! ```text
//!   file ──▶ Origin (reads, this thread) ──Batch──▶ writer (its own thread) ──one transaction──▶ store
//!                                        ◀─ at most two on the way: a slow store slows the reading ─
//! ```
//!
//! A batch is stored in one transaction together with how far the input was read and what became of its records. After a
//! crash the same command goes on where the last batch ended; a finished file fed again is all duplicates. A store that is
//! away for a while is waited for, with no more than the batches on the way in memory.

mod aggregate;
mod batch;
mod feed;
mod list;
mod messages;
mod sealed;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use noroshi_book::Effect;
use noroshi_model::{Id, Tally};
use noroshi_orient::aggregate::Aggregation;
use noroshi_orient::list::ListRule;
use noroshi_store::events::Intake;
use noroshi_store::lists::ListFeed;
use noroshi_store::log::NewEvent;
use noroshi_store::queue::OBSERVED;
use noroshi_store::{StoreError, Tx};
use noroshi_wire::{Input, unpack};

pub use aggregate::{flush, flush_some};
pub use batch::Batch;
pub use feed::{Arrived, Campaign, FeedOrigin, FeedSource, enrich, take_arrived, take_feed};
pub use messages::take_messages;
pub use sealed::{permit_to_keep, reconsider, take_assignments, take_piece, take_radius, take_seized};

use crate::house::House;

/// Batches on their way to the store.
const ON_THE_WAY_MAX: usize = 1;
/// Pause before a store that could not be reached is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How often a person is told that the store is waited for, in pauses.
const TOLD_EVERY: u32 = 10;
/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// What became of one file.
#[derive(Debug, serde::Serialize)]
pub struct Taken {
    /// The file.
    pub file: String,
    /// The campaign, or the feed.
    pub campaign: String,
    /// What became of its records.
    #[serde(flatten)]
    pub counts: Tally,
    /// What became of a whole list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<ListFeed>,
}

/// What is kept of a feed's events.
#[derive(Clone, Debug)]
pub enum Keep {
    /// Every event that is new.
    Every,
    /// The first of repeats, and summaries.
    Aggregated(Aggregation),
    /// What is new, changed and gone: each load is the whole list.
    List(ListRule),
}

/// Something that is read record by record.
pub trait Origin {
    /// Reads one record into the batch; false at the end. A second reading of the same input gives the same records.
    fn step(&mut self, batch: &mut Batch) -> anyhow::Result<bool>;

    /// Adds to a batch, before it is stored, what is better asked for many records at once.
    fn complete(&self, _batch: &mut Batch) {}
}

/// What is read, and under which name it is counted.
#[derive(Debug)]
pub struct Source<'a> {
    /// `seized`, `feed`, `radius`.
    pub kind: &'a str,
    /// The campaign, or the feed.
    pub campaign: &'a str,
    /// The file's name, for people.
    pub file: String,
    /// What makes this input this input and no other.
    pub identity: Vec<u8>,
    /// Whether it can be read again from its start, so that an interrupted reading goes on.
    pub again: bool,
    /// The measure under which its events may be used; none where they are knowledge.
    pub measure: Option<&'a str>,
    /// What is kept of its events.
    pub keep: Keep,
    /// The number of a list's load.
    pub generation: u64,
}

impl<'a> Source<'a> {
    /// A file, or standard input.
    pub fn file(kind: &'a str, campaign: &'a str, path: &Path, member: Option<&str>) -> anyhow::Result<Self> {
        let full = std::path::absolute(path)?;
        let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
        let mut identity = full.as_os_str().as_encoded_bytes().to_vec();
        identity.extend_from_slice(&bytes.to_be_bytes());
        identity.extend_from_slice(member.unwrap_or_default().as_bytes());
        let file = member.map_or_else(|| name(path), str::to_owned);
        Ok(Self {
            kind,
            campaign,
            file,
            identity,
            again: path.as_os_str() != "-",
            measure: None,
            keep: Keep::Every,
            generation: 0,
        })
    }

    /// The input's id: what was read of it is noted under this.
    pub fn id(&self) -> Id {
        Id::of("intake", &[self.kind.as_bytes(), self.campaign.as_bytes(), &self.identity])
    }

    /// Whether it was read to its end before.
    pub fn is_done(&self, house: &House) -> Result<bool, StoreError> {
        let id = self.id();
        patiently(|| house.store.tx("intake.known", |tx| tx.intake(&id))).map(|i| i.is_some_and(|i| i.done))
    }

    /// Notes that nothing more is to be read of it.
    pub fn set_done(&self, house: &House) -> Result<(), StoreError> {
        let intake = Intake {
            id: self.id(),
            kind: self.kind.to_owned(),
            source: self.file.clone(),
            campaign: self.campaign.to_owned(),
            measure: self.measure.map(str::to_owned),
            position: 0,
            done: true,
        };
        let now = house.clock.now();
        patiently(|| house.store.tx("intake.done", |tx| tx.advance(&intake, &Tally::default(), now)))
    }
}

/// A file's name, for people.
pub fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return "stdin".to_owned();
    }
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Opens a file for reading, `-` for standard input, with a progress bar on terminals; packed files are unpacked.
pub fn open(path: &Path) -> anyhow::Result<(noroshi_wire::unpack::Members, ProgressBar)> {
    let (input, bar): (Input, _) = if path.as_os_str() == "-" {
        (Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())), ProgressBar::hidden())
    } else {
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let bytes = file.metadata()?.len();
        let bar = ProgressBar::new(bytes).with_prefix(name(path)).with_style(
            ProgressStyle::with_template("{prefix} {bar:30} {bytes}/{total_bytes} {msg} {eta}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        (Box::new(BufReader::with_capacity(READ_BYTES, bar.wrap_read(file))), bar)
    };
    let members = unpack(input).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok((members, bar))
}

/// Opens a file that is one log, packed or not.
fn open_one(path: &Path) -> anyhow::Result<(Input, ProgressBar)> {
    let (mut members, bar) = open(path)?;
    let member =
        members.next().with_context(|| format!("{}: an archive without a file in it", path.display()))?;
    Ok((member?.input, bar))
}

/// Reads an origin to its end into the store.
pub fn take(
    house: &House,
    source: &Source<'_>,
    origin: &mut dyn Origin,
    bar: &ProgressBar,
) -> anyhow::Result<Taken> {
    let mut intake = begin(house, source)?;
    let mut skipped = Batch::default();
    for _ in 0..intake.position {
        if !origin.step(&mut skipped)? {
            break;
        }
        skipped.clear();
    }
    let (give, batches) = sync_channel(ON_THE_WAY_MAX);
    let (give_back, empty) = sync_channel(ON_THE_WAY_MAX + 1);
    let (read, counts) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || write(house, source, &batches, &give_back, bar));
        let read = read(origin, &mut intake, &give, &empty);
        drop(give);
        (read, writer.join())
    });
    let counts = match counts {
        Ok(counts) => counts?,
        Err(_) => anyhow::bail!("the writer stopped unexpectedly"),
    };
    // What was read before the file became unreadable is kept; the error is told after that.
    read.map_err(|e| {
        let kept = if counts.read > 0 { format!(" (before that: {counts})") } else { String::new() };
        e.context(format!("{} cannot be used{kept}", source.file))
    })?;
    Ok(Taken { file: source.file.clone(), campaign: source.campaign.to_owned(), counts, list: None })
}

fn begin(house: &House, source: &Source<'_>) -> anyhow::Result<Intake> {
    let id = source.id();
    let known = house.store.tx("intake.begin", |tx| tx.intake(&id))?;
    // A file that was read to its end is read again from its start; standard input always is.
    let position = known.filter(|i| !i.done && source.again).map_or(0, |i| i.position);
    Ok(Intake {
        id,
        kind: source.kind.to_owned(),
        source: source.file.clone(),
        campaign: source.campaign.to_owned(),
        measure: source.measure.map(str::to_owned),
        position,
        done: false,
    })
}

/// The reading half: fills batches and hands them over.
fn read(
    origin: &mut dyn Origin,
    intake: &mut Intake,
    give: &SyncSender<(Intake, Batch)>,
    empty: &Receiver<Batch>,
) -> anyhow::Result<()> {
    loop {
        let mut batch = empty.try_recv().unwrap_or_default();
        let mut failed = None;
        while !batch.is_full() && !intake.done && failed.is_none() {
            match origin.step(&mut batch) {
                Ok(true) => intake.position += 1,
                Ok(false) => intake.done = true,
                Err(e) => failed = Some(e),
            }
        }
        origin.complete(&mut batch);
        // The writer is gone only with an error, which is told by its end.
        if give.send((intake.clone(), batch)).is_err() || intake.done {
            return Ok(());
        }
        if let Some(e) = failed {
            return Err(e);
        }
    }
}

/// The writing half: stores batches until there are no more.
fn write(
    house: &House,
    source: &Source<'_>,
    batches: &Receiver<(Intake, Batch)>,
    give_back: &SyncSender<Batch>,
    bar: &ProgressBar,
) -> anyhow::Result<Tally> {
    let mut all = Tally::default();
    let begun = house.clock.now();
    while let Ok((intake, mut batch)) = batches.recv() {
        keep(house, &mut batch)?;
        let mut tried = None;
        let tried = &mut tried;
        all += patiently(|| match &source.keep {
            Keep::Every => store(house, &intake, &batch, tried),
            Keep::Aggregated(rule) => aggregate::store(house, &intake, &batch, source.campaign, rule, tried),
            Keep::List(rule) => {
                list::store(house, &intake, &batch, source.campaign, rule, source.generation, tried)
            }
        })?;
        let seconds = house.clock.now().duration_since(begun).as_secs_f64().max(0.001);
        bar.set_message(format!("{:.0}/s", all.read as f64 / seconds));
        batch.clear();
        // Nobody takes it at the end of the file.
        drop(give_back.try_send(batch));
    }
    bar.finish_and_clear();
    Ok(all)
}

/// Puts the batch's records of who held what into the session book. A crash before the rest of the batch is stored does no
/// harm: given again, they are duplicates.
pub fn keep(house: &House, batch: &mut Batch) -> anyhow::Result<()> {
    if batch.records.is_empty() || batch.kept.is_some() {
        return Ok(());
    }
    let mut effects = house.book_to_keep()?.keep(&batch.assignments)?.effects.into_iter();
    let mut kept = batch::Kept::default();
    for (count, sample) in &batch.records {
        let (mut is_new, mut is_known) = (false, false);
        for effect in effects.by_ref().take(*count) {
            is_new |= effect == Effect::Kept;
            is_known |= effect == Effect::Duplicate;
        }
        if is_new {
            kept.stored += 1;
            if let Some((nas, offset_s)) = sample.as_ref().and_then(|s| Some((&s.nas, s.offset_s?))) {
                kept.off(nas, offset_s);
            }
        } else if is_known {
            kept.duplicate += 1;
        } else {
            kept.filtered += 1;
        }
    }
    batch.kept = Some(kept);
    Ok(())
}

/// Waits for a store that is busy or away; every other error is an error.
pub fn patiently<T>(mut work: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let mut waited = 0;
    loop {
        match work() {
            Err(e @ (StoreError::Unreachable(_) | StoreError::Retry(_))) => {
                if waited % TOLD_EVERY == 0 {
                    eprintln!("noroshi: waiting for the database, nothing is lost: {e}");
                }
                waited += 1;
                std::thread::sleep(STORE_PAUSE);
            }
            done => return done,
        }
    }
}

/// What an attempt before came to, where it is stored: a database that went away with its answer may have the batch
/// already, which must not be counted again.
fn counted(tx: &mut Tx<'_>, intake: &Intake, tried: Option<Tally>) -> Result<Option<Tally>, StoreError> {
    let Some(counts) = tried else { return Ok(None) };
    let known = tx.intake(&intake.id)?;
    Ok(known.filter(|known| known.position == intake.position && known.done == intake.done).map(|_| counts))
}

/// Stores a batch; `tried` keeps what it came to for another attempt (see [`counted`]).
fn store(
    house: &House,
    intake: &Intake,
    batch: &Batch,
    tried: &mut Option<Tally>,
) -> Result<Tally, StoreError> {
    let now = house.clock.now();
    let events: Vec<NewEvent<'_>> = batch.events().collect();
    let bad = batch.quarantined(intake);
    house.store.append_events("intake.batch", intake, now, &events, |tx: &mut Tx<'_>, sifted| {
        if let Some(counts) = counted(tx, intake, *tried)? {
            return Ok(counts);
        }
        let mut counts = Tally { filtered: batch.filtered, ..Tally::default() };
        for (fresh, (event, oriented)) in sifted.fresh.iter().zip(events.iter().zip(batch.oriented())) {
            counts.stored += u64::from(*fresh);
            counts.duplicate += u64::from(!fresh);
            if *fresh && oriented {
                let id = noroshi_store::log::id_from_bytes(event.id);
                tx.publish(OBSERVED, &id, &id, now)?;
            }
        }
        if let Some(kept) = &batch.kept {
            counts.stored += kept.stored;
            counts.duplicate += kept.duplicate;
            counts.filtered += kept.filtered;
            for (nas, offset_s, samples) in kept.clock_samples() {
                tx.add_clock_samples(nas, offset_s, samples)?;
            }
        }
        tx.insert_quarantined(&bad, now)?;
        counts.quarantined = bad.len() as u64;
        counts.read = counts.stored + counts.duplicate + counts.filtered + counts.quarantined;
        tx.advance(intake, &counts, now)?;
        *tried = Some(counts);
        Ok(counts)
    })
}
