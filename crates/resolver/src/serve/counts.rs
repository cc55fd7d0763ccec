//! What is counted while serving: numbers only, never who asked or for what.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::Transport;
use crate::policy::names::ZONES_MAX;
use crate::walk::Told;

/// Counters of all who serve.
#[derive(Debug)]
pub struct Counts {
    queries: [AtomicU64; Transport::ALL.len()],
    answered_at_once: AtomicU64,
    answered_later: AtomicU64,
    silent: AtomicU64,
    refused_full: AtomicU64,
    stale: AtomicU64,
    codes: [AtomicU64; 16],
    hits: [AtomicU64; ZONES_MAX],
}

impl Default for Counts {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            queries: std::array::from_fn(|_| zero()),
            answered_at_once: zero(),
            answered_later: zero(),
            silent: zero(),
            refused_full: zero(),
            stale: zero(),
            codes: std::array::from_fn(|_| zero()),
            hits: std::array::from_fn(|_| zero()),
        }
    }
}

/// The counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Messages by how they came, in the order of [`Transport::ALL`].
    pub queries: [u64; Transport::ALL.len()],
    /// Answers that did not wait.
    pub answered_at_once: u64,
    /// Answers that waited for other servers.
    pub answered_later: u64,
    /// Messages without an answer: a rule says so, or they are none.
    pub silent: u64,
    /// Questions without an answer because too many wait.
    pub refused_full: u64,
    /// Answers that were too old.
    pub stale: u64,
    /// Answers by code.
    pub codes: [u64; 16],
    /// Answers by the zone whose rule decided, in the zones' order.
    pub hits: Vec<u64>,
}

/// What one worker counted since it last told.
#[derive(Debug)]
pub(super) struct Batch {
    pub queries: u64,
    pub at_once: u64,
    silent: u64,
    pub refused_full: u64,
    stale: u64,
    codes: [u64; 16],
    hits: [u64; ZONES_MAX],
    hit_zones: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            queries: 0,
            at_once: 0,
            silent: 0,
            refused_full: 0,
            stale: 0,
            codes: [0; 16],
            hits: [0; ZONES_MAX],
            hit_zones: 0,
        }
    }
}

impl Batch {
    /// Counts an answer.
    #[inline]
    pub(super) fn told(&mut self, told: &Told) {
        self.codes[usize::from(told.code & 15)] += 1;
        self.stale += u64::from(told.stale);
        self.hit(told);
    }

    /// Counts a rule that decided that there is none.
    #[inline]
    pub(super) fn silent(&mut self, told: Option<&Told>) {
        self.silent += 1;
        told.iter().for_each(|told| self.hit(told));
    }

    #[inline]
    fn hit(&mut self, told: &Told) {
        if let Some(hit) = told.hit {
            self.hits[usize::from(hit.zone & 63)] += 1;
            self.hit_zones |= 1 << (hit.zone & 63);
        }
    }
}

impl Counts {
    /// Adds what was counted of messages that came over `transport`, and empties it.
    pub(super) fn came(&self, transport: Transport, batch: &mut Batch) {
        self.queries[transport as usize].fetch_add(batch.queries, Ordering::Relaxed);
        self.answered_at_once.fetch_add(batch.at_once, Ordering::Relaxed);
        self.add(batch);
    }

    /// Counts a question that waited: whether it was answered, and what it came by.
    pub(super) fn later(&self, told: Option<(bool, &Told)>) {
        let mut batch = Batch::default();
        match told {
            Some((true, told)) => {
                self.answered_later.fetch_add(1, Ordering::Relaxed);
                batch.told(told);
            }
            other => batch.silent(other.map(|(_, told)| told)),
        }
        self.add(&mut batch);
    }

    fn add(&self, batch: &mut Batch) {
        let some = |counter: &AtomicU64, number: u64| {
            if number > 0 {
                counter.fetch_add(number, Ordering::Relaxed);
            }
        };
        some(&self.silent, batch.silent);
        some(&self.refused_full, batch.refused_full);
        some(&self.stale, batch.stale);
        for (counter, number) in self.codes.iter().zip(batch.codes) {
            some(counter, number);
        }
        while batch.hit_zones != 0 {
            let zone = batch.hit_zones.trailing_zeros() as usize;
            some(&self.hits[zone], std::mem::take(&mut batch.hits[zone]));
            batch.hit_zones &= batch.hit_zones - 1;
        }
        (batch.queries, batch.at_once, batch.silent, batch.refused_full, batch.stale) = (0, 0, 0, 0, 0);
        batch.codes = [0; 16];
    }

    /// The counters as they stand.
    pub fn sums(&self) -> Sums {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sums {
            queries: std::array::from_fn(|at| read(&self.queries[at])),
            answered_at_once: read(&self.answered_at_once),
            answered_later: read(&self.answered_later),
            silent: read(&self.silent),
            refused_full: read(&self.refused_full),
            stale: read(&self.stale),
            codes: std::array::from_fn(|code| read(&self.codes[code])),
            hits: self.hits.iter().map(read).collect(),
        }
    }
}
