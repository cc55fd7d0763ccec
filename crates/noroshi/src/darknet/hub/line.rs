//! One sensor's batches brought into their order, each taken once: what is a repeat, what is missing, what waits for what is missing.
//!
//! ```text
//!   offer ──▶ number < next: a repeat, unless it was missing
//!         ──▶ number = next: taken, and what waited for it
//!         ──▶ number > next: held; a gap is open ──fills──▶ taken in order
//!                                                └──too long, or too many held──▶ taken without; the gap stays, and may be filled late
//! ```
//!
//! Nothing here reads a clock, a disk or a network, and what is known ([`Ledger`]) is written down by others before anything is acknowledged.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use noroshi_wire::batch::{Head, Run};
use serde::{Deserialize, Serialize};

/// Batches of a sensor that wait for one that is missing: the server gives no more, unless it is not the one that it should be, and of that
/// twice as many are too many.
pub const HELD_MAX: usize = 256;
/// Runs of a sensor that are known; beyond, that which was used least recently is forgotten.
pub const RUNS_MAX: usize = 256;
/// Gaps of a run, and pieces of a gap, that are known.
pub const GAPS_MAX: usize = 256;

/// What is known of a sensor over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Runs by their names.
    pub runs: BTreeMap<String, Progress>,
    /// What was taken, of all runs.
    pub taken: Taken,
    /// The newest batch.
    pub last: Option<Last>,
}

/// How far a run was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The first number that is neither taken nor given up.
    pub next: u64,
    /// Packets of the run before that.
    pub before: u64,
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// When it was used last.
    pub used: Timestamp,
}

/// Numbers that are missing while later ones are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// First and last, when it was opened.
    pub from: u64,
    /// See `from`.
    pub to: u64,
    /// Packets in what is missing still.
    pub packets: u64,
    /// Since when it is known.
    pub since: Timestamp,
    /// Whether later ones wait for it.
    pub waiting: bool,
    /// What of it is missing still, once nothing waits for it.
    pub left: Vec<(u64, u64)>,
}

/// Counts of what was taken: each packet once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Batches.
    pub batches: u64,
    /// Packets in them.
    pub packets: u64,
    /// Of those, of a time that the hub had left behind.
    pub late: u64,
    /// Packets that kernels of the sensor lost.
    pub lost: u64,
    /// Frames that were not sent.
    pub left_out: u64,
    /// Batches that came again and were dropped.
    pub repeats: u64,
    /// Messages that were no batch of this sensor.
    pub refused: u64,
    /// Runs and gaps that were forgotten for want of room.
    pub forgotten: u64,
}

/// The newest batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Last {
    pub run: String,
    pub number: u64,
    /// By the sensor's clock.
    pub made: Timestamp,
    /// By ours.
    pub taken: Timestamp,
    /// The smallest difference of the two while nothing waited behind it: how far the sensor's clock is behind, with the way here.
    pub clock_behind_ms: Option<i64>,
}

/// Something about a gap that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapNews {
    pub run: Run,
    pub gap: Gap,
    pub state: State,
}

/// What became of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is known; later batches wait for it.
    Open,
    /// All of it has come.
    Filled,
    /// Nothing waits for it any more. It may still come.
    Missing,
    /// Nothing comes at all.
    Silent,
    /// Something came again.
    Heard,
}

/// What became of a batch that was offered.
#[derive(Debug, PartialEq, Eq)]
pub enum Offered<T> {
    /// It was taken before, and may be acknowledged again.
    Repeat(T),
    /// It waits already, and will be acknowledged then.
    Known,
    /// It waits, or is ready.
    In,
}

/// One sensor's batches.
#[derive(Debug)]
pub struct Line<T> {
    pub ledger: Ledger,
    held: BTreeMap<(Run, u64), (Head, u64, T)>,
    ready: Vec<(Head, T)>,
    news: Vec<GapNews>,
}

impl<T> Line<T> {
    /// Goes on from what is known. What waited comes again, and so its gaps.
    pub fn new(mut ledger: Ledger) -> Self {
        ledger.runs.values_mut().for_each(|run| run.gaps.retain(|gap| !gap.waiting));
        Self { ledger, held: BTreeMap::new(), ready: Vec::new(), news: Vec::new() }
    }

    /// A batch of so many packets has come.
    pub fn offer(&mut self, head: Head, packets: u64, item: T, now: Timestamp) -> Offered<T> {
        self.make_room(head.run, now);
        let Some(progress) = self.ledger.runs.get_mut(&head.run.to_string()) else { return Offered::Known };
        progress.used = now;
        if head.number < progress.next {
            let Some(filled) = progress.fill(head.number, packets) else {
                self.ledger.taken.repeats += 1;
                return Offered::Repeat(item);
            };
            self.ledger.taken.forgotten += filled.forgotten;
            let run = head.run;
            self.news.extend(filled.gap.map(|gap| GapNews { run, gap, state: State::Filled }));
            self.ready.push((head, item));
            return Offered::In;
        }
        if self.held.contains_key(&(head.run, head.number)) {
            return Offered::Known;
        }
        let run = head.run;
        self.held.insert((run, head.number), (head, packets, item));
        self.release(run, now);
        Offered::In
    }

    /// A run is known from now on.
    fn make_room(&mut self, run: Run, now: Timestamp) {
        let name = run.to_string();
        if self.ledger.runs.contains_key(&name) {
            return;
        }
        if self.ledger.runs.len() >= RUNS_MAX {
            let idle = self.ledger.runs.iter().min_by_key(|(_, progress)| progress.used);
            if let Some(name) = idle.map(|(name, _)| name.clone()) {
                self.ledger.runs.remove(&name);
                self.held.retain(|(run, _), _| run.to_string() != name);
                self.ledger.taken.forgotten += 1;
            }
        }
        let new = Progress { next: 0, before: 0, gaps: Vec::new(), used: now };
        self.ledger.runs.insert(name, new);
    }

    fn first_held(&self, run: Run) -> Option<(u64, u64)> {
        let mut of_run = self.held.range((run, 0)..=(run, u64::MAX));
        of_run.next().map(|((_, number), (head, _, _))| (*number, head.before))
    }

    /// Takes what is next, and sees what is missing before the rest.
    fn release(&mut self, run: Run, now: Timestamp) {
        let Some(progress) = self.ledger.runs.get_mut(&run.to_string()) else { return };
        while let Some((head, packets, item)) = self.held.remove(&(run, progress.next)) {
            progress.next += 1;
            progress.before = head.before.saturating_add(packets);
            self.ready.push((head, item));
        }
        let next = progress.next;
        let over = progress.gaps.extract_if(.., |gap| gap.waiting && gap.to < next);
        self.news.extend(over.map(|gap| GapNews { run, gap, state: State::Filled }));
        let first = self.first_held(run);
        let Some(progress) = self.ledger.runs.get_mut(&run.to_string()) else { return };
        let Some((number, before)) = first else { return };
        let packets = before.saturating_sub(progress.before);
        match progress.gaps.iter_mut().find(|gap| gap.waiting) {
            Some(gap) => (gap.to, gap.packets) = (gap.to.min(number - 1), packets),
            None => {
                let (from, to) = (progress.next, number - 1);
                let gap = Gap { from, to, packets, since: now, waiting: true, left: Vec::new() };
                progress.gaps.push(gap.clone());
                self.news.push(GapNews { run, gap, state: State::Open });
            }
        }
    }

    /// Lets time pass: what has waited for so long, or with too many others, is taken without what is missing.
    pub fn pass(&mut self, now: Timestamp, patience: SignedDuration) {
        let crowded = self.held.len() >= 2 * HELD_MAX;
        let impatient = |gap: &Gap| gap.waiting && (crowded || now.duration_since(gap.since) >= patience);
        let runs = self.ledger.runs.iter().filter(|(_, progress)| progress.gaps.iter().any(impatient));
        let runs: Vec<Run> = runs.filter_map(|(name, _)| name.parse().ok()).collect();
        for run in runs {
            let Some((number, before)) = self.first_held(run) else { continue };
            let Some(progress) = self.ledger.runs.get_mut(&run.to_string()) else { continue };
            let room = progress.gaps.len() < GAPS_MAX;
            if !room {
                progress.gaps.remove(0);
                self.ledger.taken.forgotten += 1;
            }
            if let Some(gap) = progress.gaps.iter_mut().find(|gap| gap.waiting) {
                gap.waiting = false;
                gap.left = vec![(progress.next, number - 1)];
                self.news.push(GapNews { run, gap: gap.clone(), state: State::Missing });
            }
            (progress.next, progress.before) = (number, before);
            self.release(run, now);
        }
    }

    /// The batches that are to be taken in now, in their order.
    pub fn ready(&mut self) -> Vec<(Head, T)> {
        std::mem::take(&mut self.ready)
    }

    /// What waits, for giving it back.
    pub fn waiting(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.held).into_values().map(|(_, _, item)| item)
    }

    /// What became of gaps.
    pub fn news(&mut self) -> Vec<GapNews> {
        std::mem::take(&mut self.news)
    }
}

struct Filled {
    /// A gap of which nothing is missing any more.
    gap: Option<Gap>,
    forgotten: u64,
}

impl Progress {
    /// One of what was missing has come; none when it was not missing.
    fn fill(&mut self, number: u64, packets: u64) -> Option<Filled> {
        let within = |(from, to): &(u64, u64)| (*from..=*to).contains(&number);
        let at = self.gaps.iter().position(|gap| gap.left.iter().any(within))?;
        let gap = &mut self.gaps[at];
        let piece = gap.left.iter().position(within)?;
        let (from, to) = gap.left.remove(piece);
        gap.left.extend((from < number).then(|| (from, number - 1)));
        gap.left.extend((number < to).then(|| (number + 1, to)));
        gap.packets = gap.packets.saturating_sub(packets);
        let mut forgotten = 0;
        if gap.left.len() > GAPS_MAX {
            gap.left.remove(0);
            forgotten = 1;
        }
        let over = gap.left.is_empty();
        Some(Filled { gap: over.then(|| self.gaps.remove(at)), forgotten })
    }
}

#[cfg(test)]
mod tests;
