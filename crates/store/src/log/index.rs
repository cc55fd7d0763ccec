//! The index from ids to numbers, as far as it is in memory: the ids in no run yet, and the runs' fences and filters.
//!
//! **Invariant:** it holds only what is committed. A transaction reads what was committed since (its own process's
//! last append, another's) before it writes anything; so there is nothing to take back when it fails.

use super::filter::{Filter, mask};
use super::recent::Recent;
use super::run::{Loaded, Reader, Run, State};
use super::{Head, Limits};
use crate::row::values;
use crate::{StoreError, Tx};

/// Blocks read at once when catching up.
const BLOCKS_AT_ONCE: u32 = 64;

/// See the file's head.
#[derive(Debug)]
pub(super) struct Index {
    version: u64,
    /// Oldest first.
    runs: Vec<Loaded>,
    recent: Recent,
}

impl Index {
    /// Nothing yet: the first transaction reads what there is.
    pub fn new() -> Self {
        Self { version: 0, runs: Vec::new(), recent: Recent::new(1, 0) }
    }

    /// Ids in no run, as of the last time it was brought up to date.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Reads what was committed since. Interrupted by an error it has read a part, and reads the rest the next time.
    pub fn catch_up(&mut self, tx: &mut Tx<'_>, limits: &Limits) -> Result<Head, StoreError> {
        let head = Head::read(tx)?;
        if head.version < self.version || head.next_seq < self.recent.next_seq() {
            return Err(tx.outdated());
        }
        if head.version > self.version {
            self.read_runs(tx, limits)?;
            self.version = head.version;
        }
        while self.recent.next_seq() < head.next_seq {
            let rows = tx.rows(
                "SELECT first_seq, ids FROM event_block WHERE first_seq >= ?1 ORDER BY first_seq LIMIT ?2",
                values![self.recent.next_seq(), BLOCKS_AT_ONCE],
            )?;
            for row in &rows {
                if row.count(0)? != self.recent.next_seq() {
                    return Err(StoreError::Corrupt("the event log has a gap".to_owned()));
                }
                for id in row.bytes(1)?.as_chunks::<16>().0 {
                    if !self.recent.insert(u128::from_be_bytes(*id)) {
                        return Err(StoreError::Corrupt("the event log has an event twice".to_owned()));
                    }
                }
            }
            if rows.is_empty() {
                return Err(StoreError::Corrupt("the event log is shorter than its head says".to_owned()));
            }
        }
        Ok(head)
    }

    fn read_runs(&mut self, tx: &mut Tx<'_>, limits: &Limits) -> Result<(), StoreError> {
        let mut live = Run::all(tx)?;
        live.retain(|run| run.state == State::Live);
        // What was merged goes first, so that old and new filters are never in memory together.
        self.runs.retain(|known| live.iter().any(|run| run.run == known.run.run));
        live.retain(|run| self.runs.iter().all(|known| run.run != known.run.run));
        for run in live {
            self.runs.push(Loaded::load(tx, run)?);
            self.fit(limits);
        }
        self.runs.sort_by_key(|known| known.run.first_seq);
        let in_runs = self.runs.iter().map(|known| known.run.next_seq).max().unwrap_or(1);
        self.recent.forget_below(in_runs);
        Ok(())
    }

    /// Keeps the filters within their limit: the largest is halved, or dropped where it would say "perhaps" to nearly
    /// everything; without a filter each new id costs a page read, and the answers are the same.
    fn fit(&mut self, limits: &Limits) {
        while self.runs.iter().map(|known| known.filter.bytes()).sum::<usize>() > limits.filter_bytes {
            let Some(largest) = self.runs.iter_mut().max_by_key(|known| known.filter.bytes()) else { return };
            let bits = largest.filter.bytes() as u64 * 8 / largest.run.count.max(1);
            if bits < 8 || !largest.filter.halve() {
                largest.filter = Filter::default();
            }
        }
    }

    /// Which of these ids are not in the log; an id that occurs twice is new once.
    pub fn sift(
        &self,
        tx: &mut Tx<'_>,
        ids: impl ExactSizeIterator<Item = [u8; 16]>,
    ) -> Result<Vec<bool>, StoreError> {
        let mut fresh = vec![true; ids.len()];
        let mut own = Recent::new(0, ids.len());
        let mut open = Vec::with_capacity(ids.len());
        for (position, id) in ids.enumerate() {
            let id = u128::from_be_bytes(id);
            if self.recent.find(id).is_none() && own.insert(id) {
                open.push((id, mask(id), position));
            } else {
                fresh[position] = false;
            }
        }
        for known in self.runs.iter().rev() {
            let perhaps: Vec<(u128, usize)> = open
                .iter()
                .filter(|(id, mask, _)| known.filter.may_hold(*id, mask))
                .map(|(id, _, position)| (*id, *position))
                .collect();
            if perhaps.is_empty() {
                continue;
            }
            let mut any = false;
            known.reader().find(tx, &perhaps, |position, _| {
                fresh[position] = false;
                any = true;
            })?;
            if any {
                open.retain(|(_, _, position)| fresh[*position]);
            }
        }
        Ok(fresh)
    }

    /// The number of an event.
    pub fn find(&self, tx: &mut Tx<'_>, id: u128) -> Result<Option<u64>, StoreError> {
        let mut number = self.recent.find(id);
        for known in self.runs.iter().rev() {
            if number.is_none() && known.filter.may_hold(id, &mask(id)) {
                known.reader().find(tx, &[(id, 0)], |_, seq| number = Some(seq))?;
            }
        }
        Ok(number)
    }

    /// The live runs, to read from without holding the index.
    pub fn readers(&self) -> Vec<Reader> {
        self.runs.iter().map(Loaded::reader).collect()
    }
}
