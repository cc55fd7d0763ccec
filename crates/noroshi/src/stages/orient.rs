//! Orient, driven: events from the queue, findings near them from the database, changed findings back.

use std::collections::BTreeMap;

use noroshi_model::Id;
use noroshi_orient::clock::FeedClock;
use noroshi_orient::{group, orient};
use noroshi_store::Tx;
use noroshi_store::queue::{Job, OBSERVED, ORIENTED};

use super::{BATCH, StageError};
use crate::house::House;

/// Works one batch.
pub fn step(house: &House) -> Result<usize, StageError> {
    let now = house.clock.now();
    let jobs: Vec<Job<Id>> =
        house.store.tx_in_turn("orient.claim", |tx| tx.claim(OBSERVED, &house.worker, now, BATCH))?;
    if !jobs.is_empty() {
        house.store.tx("orient.commit", |tx| work(tx, house, &jobs))?;
    }
    Ok(jobs.len())
}

fn work(tx: &mut Tx<'_>, house: &House, jobs: &[Job<Id>]) -> Result<(), StageError> {
    let now = house.clock.now();
    let mut events = Vec::with_capacity(jobs.len());
    for job in jobs {
        // Oriented before, by a worker that died before it could say so.
        if tx.finding_of_event(&job.body)?.is_none()
            && let Some(event) = tx.event(&job.body)?
        {
            events.push((job.body.clone(), event));
        }
    }
    let mut clocks: BTreeMap<String, FeedClock> = BTreeMap::new();
    for (_, event) in &events {
        clocks.entry(event.feed_code.clone()).or_default().add(event.time_source, event.time_observation);
    }
    for (feed, clock) in &clocks {
        tx.add_feed_clock(feed, clock.forms())?;
    }
    for g in group(events) {
        let (from, to) = g.range();
        let near = tx.findings_near(g.key.ip, &g.key.family, &g.key.campaign, from, to)?;
        let near = near.into_iter().filter(|f| f.measure == g.key.measure).collect();
        for oriented in orient(g, near) {
            for absorbed in &oriented.absorbed {
                tx.remove_finding(absorbed)?;
            }
            let finding = &oriented.finding;
            tx.put_finding(finding, &oriented.new_events, now)?;
            tx.publish(ORIENTED, &finding.id, &finding.id, now)?;
        }
    }
    for job in jobs {
        if !tx.acknowledge(OBSERVED, &job.id, &house.worker)? {
            return Err(StageError::LeaseLost);
        }
    }
    Ok(())
}
