//! Keeping the index in shape, in transactions of their own between appends: ids in memory become a run; runs of one
//! level become one of the next, a part at a time; runs that were merged are removed, a few pages at a time.
//!
//! ```text
//!   in memory ──250,000 ids──▶ level 0 ──8 runs──▶ level 1 ──8 runs──▶ level 2 …
//! ```
//!
//! Each transaction leaves a state from which any process can go on: a growing run's row says how many of its parts are
//! written, and nobody asks it before it is whole.

use super::filter::BLOCK;
use super::index::Index;
use super::run::{Reader, Run, State, key};
use super::{Head, Limits};
use crate::row::values;
use crate::{StoreError, Tx};

/// Bits of filter for each id, by level: generous where there are many small runs, each of which is asked about every
/// event; sparing where most ids are. Of 1,000 new ids they let through about 1 and 5.
const FILTER_BITS: [u64; 2] = [14, 10];
/// Pages of merged runs removed for each part written: more than a part has, so that removal keeps up.
const PAGES_REMOVED: u64 = 256;

/// How far the work went.
pub(super) enum Worked {
    /// So many entries were written.
    Entries(u64),
    /// Nothing is left to do.
    Nothing,
}

/// Writes the ids in memory as a run, if they are many; else merges about `budget` entries.
pub(super) fn tend(
    tx: &mut Tx<'_>,
    index: &std::sync::Mutex<Index>,
    limits: &Limits,
    budget: u64,
) -> Result<Worked, StoreError> {
    let (head, readers) = {
        let mut index = super::lock(index);
        let head = index.catch_up(tx, limits)?;
        if index.recent().len() >= limits.recent {
            return flush(tx, &index, limits, &head);
        }
        (head, index.readers())
    };
    let mut worked = 0;
    while worked < budget {
        match step(tx, &readers, limits, &head)? {
            Step::Wrote(entries) => worked += entries.max(1),
            // The runs are others now; the next transaction goes on with them.
            Step::Finished(entries) => return Ok(Worked::Entries(worked + entries)),
            Step::Removed => worked += PAGES_REMOVED,
            Step::Nothing if worked == 0 => return Ok(Worked::Nothing),
            Step::Nothing => break,
        }
    }
    Ok(Worked::Entries(worked))
}

enum Step {
    Wrote(u64),
    Finished(u64),
    Removed,
    Nothing,
}

/// A run to be written, of a size known beforehand.
fn planned(limits: &Limits, head: &Head, level: u64, seqs: std::ops::Range<u64>, count: u64) -> Run {
    let parts = (count / limits.part_entries.max(1) as u64).max(1).next_power_of_two();
    let bits = FILTER_BITS[FILTER_BITS.len().min(level as usize + 1) - 1];
    // An even number, so that a filter can be halved.
    let blocks = (count / parts * bits / (BLOCK as u64 * 8) + 2) & !1;
    let state = State::Growing;
    let run = head.next_run;
    Run {
        run,
        level,
        state,
        first_seq: seqs.start,
        next_seq: seqs.end,
        count,
        parts,
        done: 0,
        pages: 0,
        blocks,
    }
}

fn flush(tx: &mut Tx<'_>, index: &Index, limits: &Limits, head: &Head) -> Result<Worked, StoreError> {
    let recent = index.recent();
    let count = recent.len() as u64;
    let first_seq = recent.next_seq() - count;
    let mut run = planned(limits, head, 0, first_seq..recent.next_seq(), count);
    let mut entries = Vec::with_capacity(2 * limits.part_entries);
    for part in 0..run.parts {
        let (first, last) = run.share(part);
        entries.clear();
        entries.extend(recent.iter().filter(|(id, _)| (first..=last).contains(id)));
        entries.sort_unstable();
        run.write_part(tx, &entries, limits.page_entries)?;
    }
    run.state = State::Live;
    run.put(tx)?;
    changed(tx, 1)?;
    tracing::debug!(count, run = run.run, "event index: run written");
    Ok(Worked::Entries(0))
}

/// One part of the lowest merge there is to do, and some of what is to be removed.
fn step(tx: &mut Tx<'_>, readers: &[Reader], limits: &Limits, head: &Head) -> Result<Step, StoreError> {
    let runs = Run::all(tx)?;
    let removed = match runs.iter().find(|run| run.state == State::Dead) {
        Some(dead) => {
            remove(tx, dead)?;
            true
        }
        None => false,
    };
    let Some(mut run) = next_merge(&runs, limits, head) else {
        return Ok(if removed { Step::Removed } else { Step::Nothing });
    };
    if run.done == 0 {
        changed(tx, 0)?;
    }
    let mut entries = Vec::with_capacity(2 * limits.part_entries);
    let share = run.share(run.done);
    let merged =
        |of: &Run| of.level + 1 == run.level && of.first_seq >= run.first_seq && of.next_seq <= run.next_seq;
    let inputs: Vec<&Reader> = readers.iter().filter(|reader| merged(&reader.run)).collect();
    if inputs.iter().map(|input| input.run.count).sum::<u64>() != run.count {
        return Err(StoreError::Corrupt("the event index lacks a run that is being merged".to_owned()));
    }
    for input in &inputs {
        input.collect(tx, share, &mut entries)?;
    }
    // The sort finds the ascending stretches and merges them.
    entries.sort();
    run.write_part(tx, &entries, limits.page_entries)?;
    let finished = run.done == run.parts;
    if finished {
        run.state = State::Live;
        for input in inputs {
            Run { state: State::Dead, ..input.run.clone() }.put(tx)?;
        }
        changed(tx, 1)?;
        tracing::debug!(count = run.count, run = run.run, level = run.level, "event index: runs merged");
    }
    run.put(tx)?;
    let wrote = entries.len() as u64;
    Ok(if finished { Step::Finished(wrote) } else { Step::Wrote(wrote) })
}

/// The merge to go on with, lowest level first, because the low ones fill the fastest.
fn next_merge(runs: &[Run], limits: &Limits, head: &Head) -> Option<Run> {
    let top = runs.iter().map(|run| run.level).max()?;
    (0..=top).find_map(|level| {
        let growing = runs.iter().find(|run| run.state == State::Growing && run.level == level + 1);
        growing.cloned().or_else(|| {
            let mut live: Vec<&Run> =
                runs.iter().filter(|run| run.state == State::Live && run.level == level).collect();
            live.sort_by_key(|run| run.first_seq);
            let inputs = live.get(..limits.fan_out)?;
            let seqs = inputs.first()?.first_seq..inputs.last()?.next_seq;
            // Entries hold their number less the run's first in 32 bits.
            let fits = seqs.end - seqs.start <= u64::from(u32::MAX);
            let count = inputs.iter().map(|run| run.count).sum();
            fits.then(|| planned(limits, head, level + 1, seqs, count))
        })
    })
}

/// Removes some pages of a dead run, and in the end the run.
fn remove(tx: &mut Tx<'_>, dead: &Run) -> Result<(), StoreError> {
    let keys = [key(dead.run, 0), key(dead.run + 1, 0)];
    let pages = tx.execute(
        "DELETE FROM seen_page WHERE page IN
           (SELECT page FROM seen_page WHERE page >= ?1 AND page < ?2 ORDER BY page LIMIT ?3)",
        values![keys[0], keys[1], PAGES_REMOVED],
    )?;
    if pages < PAGES_REMOVED {
        tx.execute("DELETE FROM seen_part WHERE part >= ?1 AND part < ?2", values![keys[0], keys[1]])?;
        tx.execute("DELETE FROM seen_run WHERE run = ?1", values![dead.run])?;
    }
    Ok(())
}

/// Takes a run's number, or, with `version` 1, tells everybody that the runs are others; for a new run at once both.
fn changed(tx: &mut Tx<'_>, version: u64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE event_head SET version = version + ?1, next_run = next_run + 1 WHERE id = 1",
        values![version],
    )?;
    Ok(())
}
