//! Decide, driven: findings from the queue, the rules' answer, decisions back. A refusal is in the evidence log before it
//! is anywhere else, once per measure and batch, because the ruling does not depend on the finding.

use std::collections::BTreeMap;

use noroshi_decide::{ask, decide};
use noroshi_law::Standing;
use noroshi_model::{Decision, Id, Verdict};
use noroshi_store::Tx;
use noroshi_store::queue::{DECIDED, Job, ORIENTED};

use super::{BATCH, StageError};
use crate::house::House;

/// Works one batch.
pub fn step(house: &House) -> Result<usize, StageError> {
    let now = house.clock.now();
    let jobs: Vec<Job<Id>> =
        house.store.tx_in_turn("decide.claim", |tx| tx.claim(ORIENTED, &house.worker, now, BATCH))?;
    if jobs.is_empty() {
        return Ok(0);
    }
    let decisions = judged(house, &jobs)?;
    house.store.tx("decide.commit", |tx| commit(tx, house, &jobs, &decisions))?;
    Ok(jobs.len())
}

fn judged(house: &House, jobs: &[Job<Id>]) -> Result<Vec<Decision>, StageError> {
    let findings = house.store.look("decide.read", |tx| {
        jobs.iter().filter_map(|job| tx.finding(&job.body).transpose()).collect::<Result<Vec<_>, _>>()
    })?;
    let mut standings: BTreeMap<String, Standing> = BTreeMap::new();
    let mut decisions = Vec::with_capacity(findings.len());
    for finding in findings {
        let standing = match standings.get(&finding.measure) {
            Some(standing) => *standing,
            None => {
                let standing = house.standing(&finding.measure)?;
                record_refusal(house, &finding.measure, standing)?;
                *standings.entry(finding.measure.clone()).or_insert(standing)
            }
        };
        let ask = ask(&finding.measure).map(|ask| house.stated(ask));
        decisions.push(decide(&finding, ask.as_ref(), &house.gate(), standing));
    }
    Ok(decisions)
}

/// A no is evidence; a yes becomes evidence when the permit is asked for.
fn record_refusal(house: &House, measure: &str, standing: Standing) -> Result<(), StageError> {
    if let Some(ask) = ask(measure).map(|ask| house.stated(ask))
        && !house.gate().judge(&ask, standing).allowed
    {
        house.gate().ask(&ask, standing, &mut house.evidence()).map_err(anyhow::Error::from)?;
    }
    Ok(())
}

fn commit(
    tx: &mut Tx<'_>,
    house: &House,
    jobs: &[Job<Id>],
    decisions: &[Decision],
) -> Result<(), StageError> {
    let now = house.clock.now();
    for decision in decisions {
        tx.insert_decision(decision, now)?;
        if matches!(decision.verdict, Verdict::IdentifyAndNotify { .. }) {
            tx.publish(DECIDED, &decision.finding, decision, now)?;
        }
    }
    for job in jobs {
        if !tx.acknowledge(ORIENTED, &job.id, &house.worker)? {
            return Err(StageError::LeaseLost);
        }
    }
    Ok(())
}
