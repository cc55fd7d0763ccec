//! The event log: appended to in order, with an exact answer to "was this seen before" in bounded memory.
//!
//! ```text
//!   append_events ──▶ sift ──fresh──▶ event_block      a few hundred events each, compressed, numbered without gaps
//!                      │ ▲
//!                      │ └── recent: ids in no run yet, read back from the blocks after a restart
//!                      └──── runs: sorted ids on disk; in memory a filter and a fence for each
//! ```
//!
//! A table with the ids as its key would touch a random page for each event, and cost more the more there is. This is
//! a log-structured merge index instead: what is written is written in order, and a filter answers for nearly all
//! events that are new. What a filter holds possible is looked up exactly; no answer is a guess.
//!
//! In reading order: `block` what is stored; `recent`, `filter` and `run` the index's pieces; `index` the pieces
//! together; `merge` how it is kept in shape; `read` getting events back.

mod block;
mod filter;
mod index;
mod merge;
mod read;
mod recent;
mod run;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;

use crate::engine::Manner;
use crate::events::Intake;
use crate::row::values;
use crate::{Store, StoreError, Tx};
use block::Filling;
use index::Index;
use merge::Worked;
pub use read::{Forget, Logged, id_bytes, id_from_bytes};

/// Everything that writes the log takes turns under this name.
const TURN: &str = "event log";
/// Entries merged for each event appended: an event is merged once for each level, and a billion make four.
const MERGED_PER_EVENT: u64 = 6;
/// Transactions of index work in a row before an append gets its turn again.
const TENDED_AT_ONCE: u32 = 4;

/// Sizes and bounds; the defaults are measured, and the tests make them small.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Events in a block, at most.
    pub block_events: usize,
    /// Bytes of JSON in a block, at most, unless one event has more.
    pub block_bytes: usize,
    /// Ids in memory before they are written as a run. Together with one batch just under a power of two.
    pub recent: usize,
    /// Ids in a page: 20 bytes each, and SQLite keeps a row of up to 4057 bytes in one page of its own.
    pub page_entries: usize,
    /// Ids in a part, about: what is sorted in memory at once.
    pub part_entries: usize,
    /// Runs of a level that are merged into one.
    pub fan_out: usize,
    /// Entries merged in one transaction.
    pub slice: u64,
    /// Bytes of all filters together; beyond it they become coarse, then fall away, the largest first.
    pub filter_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block_events: 512,
            block_bytes: 256 << 10,
            recent: 250_000,
            page_entries: 202,
            part_entries: 16 << 10,
            fan_out: 8,
            slice: 64 << 10,
            filter_bytes: 32 << 20,
        }
    }
}

/// An event to be appended.
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    /// Its id: a hash of its content, which is what makes a duplicate one.
    pub id: [u8; 16],
    /// Its line in the input.
    pub line: u64,
    /// When it happened, in milliseconds since 1970.
    pub time_source_ms: i64,
    /// The event as flat JSON.
    pub json: &'a [u8],
}

/// An event that comes of a batch without being in it: a summary, an entry of a list.
#[derive(Clone, Debug)]
pub struct MoreEvent {
    /// Its id.
    pub id: [u8; 16],
    /// Its line in the input, or 0.
    pub line: u64,
    /// When it happened, in milliseconds since 1970.
    pub time_source_ms: i64,
    /// The event as flat JSON.
    pub json: Vec<u8>,
}

/// What is to be stored of a batch.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// For each event of the batch whether it is left out, if it is new at all: of those only the id is remembered, so
    /// that they are not counted again.
    pub left_out: Vec<bool>,
    /// Events that are stored beside them, unless they are in the log already.
    pub more: Vec<MoreEvent>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sifted {
    /// For each event of the batch whether it was new.
    pub fresh: Vec<bool>,
    /// The numbers of the new ones, in order.
    pub seqs: Range<u64>,
}

/// The log's state in this process.
pub(crate) struct EventLog {
    limits: Limits,
    index: Mutex<Index>,
    /// Entries that may be merged for what was appended.
    credit: AtomicU64,
}

/// What a transaction knows of the log.
#[derive(Default)]
pub(crate) struct Glimpse {
    log: Option<Arc<EventLog>>,
    /// Whether the index was brought up to date here, or must not be because of what this transaction wrote itself.
    settled: bool,
    blocks: read::Blocks,
}

impl Glimpse {
    pub(crate) fn of(log: &Arc<EventLog>) -> Self {
        Self { log: Some(Arc::clone(log)), ..Self::default() }
    }
}

/// The row of `event_head`.
#[derive(Clone, Copy, Debug)]
struct Head {
    next_seq: u64,
    version: u64,
    next_run: u64,
}

impl Head {
    fn read(tx: &mut Tx<'_>) -> Result<Self, StoreError> {
        let row = tx.row("SELECT next_seq, version, next_run FROM event_head WHERE id = 1", &[])?;
        let row = row.ok_or_else(|| StoreError::Corrupt("the event log has no head".to_owned()))?;
        Ok(Self { next_seq: row.count(0)?, version: row.count(1)?, next_run: row.count(2)? })
    }
}

/// The index, empty where a thread died while it held it.
fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(|poisoned| {
        index.clear_poison();
        let mut guard = poisoned.into_inner();
        *guard = Index::new();
        guard
    })
}

impl EventLog {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, index: Mutex::new(Index::new()), credit: AtomicU64::new(0) }
    }

    fn recent(&self) -> usize {
        lock(&self.index).recent().len()
    }
}

impl Store {
    /// Appends a batch of events of one input, leaving out what the log has already (and what the batch has twice), and
    /// runs `more` in the same transaction: the position, counts, jobs and bad lines that go with it. Either all of it is
    /// durable or nothing happened. `more` may run several times; the batch's events can be read only afterwards.
    ///
    /// A batch is one transaction and thus one wait for the disk: a few thousand events are a good size.
    pub fn append_events<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        intake: &Intake,
        now: Timestamp,
        batch: &[NewEvent<'_>],
        mut more: impl FnMut(&mut Tx<'_>, &Sifted) -> Result<T, E>,
    ) -> Result<T, E> {
        // Index work failed after earlier appends: memory is bounded, so no more is taken in until it succeeds.
        while self.log.recent() >= 2 * self.log.limits.recent {
            self.tend()?;
        }
        let mut appended = 0;
        let done = self.enter(name, Manner::in_turn_alone(TURN), |tx| {
            let fresh = tx.sift(batch)?;
            let new = batch.iter().zip(&fresh).filter(|(_, fresh)| **fresh).map(|(event, _)| *event);
            let seqs = tx.append(intake, now, new)?;
            let sifted = Sifted { fresh, seqs };
            appended = sifted.seqs.end - sifted.seqs.start;
            more(tx, &sifted)
        })?;
        if appended > 0 {
            self.keep_up(appended);
        }
        Ok(done)
    }

    /// Appends what `choose` makes of a batch: it is told which events are new, says what is kept of them and what is stored
    /// beside them, and does in the same transaction whatever goes with it. It may run several times; events appended in
    /// the transaction can be read only afterwards.
    pub fn append_chosen<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        intake: &Intake,
        now: Timestamp,
        batch: &[NewEvent<'_>],
        mut choose: impl FnMut(&mut Tx<'_>, &[bool]) -> Result<(Chosen, T), E>,
    ) -> Result<T, E> {
        while self.log.recent() >= 2 * self.log.limits.recent {
            self.tend()?;
        }
        let mut appended = 0;
        let done = self.enter(name, Manner::in_turn_alone(TURN), |tx| {
            let fresh = tx.sift(batch)?;
            let (chosen, done) = choose(tx, &fresh)?;
            let more: Vec<NewEvent<'_>> = chosen
                .more
                .iter()
                .map(|event| NewEvent {
                    id: event.id,
                    line: event.line,
                    time_source_ms: event.time_source_ms,
                    json: &event.json,
                })
                .collect();
            let more_fresh = tx.sift(&more)?;
            let left_out = chosen.left_out.iter().copied().chain(std::iter::repeat(false));
            let whole = batch.iter().zip(&fresh).zip(left_out).filter(|((_, fresh), _)| **fresh).map(
                |((event, _), left_out)| NewEvent { json: if left_out { b"" } else { event.json }, ..*event },
            );
            let more = more.iter().zip(&more_fresh).filter(|(_, fresh)| **fresh).map(|(event, _)| *event);
            let seqs = tx.append(intake, now, whole.chain(more))?;
            appended = seqs.end - seqs.start;
            Ok::<T, E>(done)
        })?;
        if appended > 0 {
            self.keep_up(appended);
        }
        Ok(done)
    }

    /// Index work for `appended` new events. A failure is no failure of theirs, and is met again before it matters.
    fn keep_up(&self, appended: u64) {
        let log = &self.log;
        let earned = appended * MERGED_PER_EVENT;
        let credit = log.credit.fetch_add(earned, Ordering::Relaxed) + earned;
        let full = log.recent() + appended as usize >= log.limits.recent;
        let mut due = full || credit >= log.limits.slice;
        for _ in 0..TENDED_AT_ONCE {
            if !due {
                return;
            }
            match self.tend() {
                Ok(left) => due = left,
                Err(error) => {
                    tracing::warn!(%error, "event index: not kept in shape, will be tried again");
                    return;
                }
            }
        }
    }

    /// One transaction of index work; says whether more is due.
    fn tend(&self) -> Result<bool, StoreError> {
        let log = &self.log;
        let worked = self.enter("events.index", Manner::in_turn_alone(TURN), |tx| {
            merge::tend(tx, &log.index, &log.limits, log.limits.slice)
        })?;
        let spent = match worked {
            Worked::Entries(entries) => entries,
            Worked::Nothing => u64::MAX,
        };
        let left = |credit: u64| Some(credit.saturating_sub(spent));
        let before = log.credit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).unwrap_or(0);
        Ok(before.saturating_sub(spent) >= log.limits.slice)
    }
}

impl Tx<'_> {
    /// Brings the index up to date, once in a transaction, and hands it out.
    fn with_index<T>(
        &mut self,
        use_it: impl FnOnce(&Index, &mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let log = self.log.log.clone();
        let log = log.ok_or_else(|| StoreError::Corrupt("a transaction outside the store".to_owned()))?;
        let mut index = lock(&log.index);
        if !self.log.settled {
            index.catch_up(self, &log.limits)?;
            self.log.settled = true;
        }
        use_it(&index, self)
    }

    /// Which events of a batch the log does not have.
    fn sift(&mut self, batch: &[NewEvent<'_>]) -> Result<Vec<bool>, StoreError> {
        self.with_index(|index, tx| index.sift(tx, batch.iter().map(|event| event.id)))
    }

    /// Appends events that the log does not have. One without JSON is an id to be remembered and nothing else.
    fn append<'b>(
        &mut self,
        intake: &Intake,
        now: Timestamp,
        events: impl Iterator<Item = NewEvent<'b>>,
    ) -> Result<Range<u64>, StoreError> {
        let limits = match &self.log.log {
            Some(log) => log.limits.clone(),
            None => Limits::default(),
        };
        let first_seq = Head::read(self)?.next_seq;
        let (mut next_seq, mut kept) = (first_seq, 0u64);
        let mut filling = Filling::default();
        for event in events {
            if filling.is_full(&limits, event.json.len()) {
                next_seq += block::insert(self, next_seq, intake, now, &mut filling)?;
            }
            kept += u64::from(!event.json.is_empty());
            filling.push(&event);
        }
        if filling.count > 0 {
            next_seq += block::insert(self, next_seq, intake, now, &mut filling)?;
        }
        if next_seq > first_seq {
            self.execute(
                "UPDATE event_head SET next_seq = ?1, events = events + ?2 WHERE id = 1",
                values![next_seq, kept],
            )?;
        }
        Ok(first_seq..next_seq)
    }
}
