//! The ladder, driven: of each case whose time has come it is asked what the next step is, and that step is put into the outbox,
//! in the transaction that says so. No data is opened here; whoever takes the step asks for that.

use std::collections::BTreeMap;

use jiff::Timestamp;
use noroshi_act::ladder::{Approval, Known, Next, Taken, next};
use noroshi_law::{InfectionNotice, LineQuarantine, Purpose as _};
use noroshi_model::case::StepState;
use noroshi_model::{Case, CaseState, Channel, Step};
use noroshi_store::outbox::EVERYTHING;
use noroshi_store::{StoreError, Tx};

use super::StageError;
use super::tell::IN_A_WORDING;
use crate::house::House;
use crate::wording::drawn;

/// Cases looked at in one transaction.
const BATCH: u32 = 100;

/// Looks at the cases whose time has come.
pub fn step(house: &House) -> Result<usize, StageError> {
    let now = house.clock.now();
    let looked = house.store.tx_in_turn("ladder.step", |tx| {
        // What is stopped is decided when it goes on, by what is true then.
        if tx.stopped()?.iter().any(|stopped| stopped.scope == EVERYTHING) {
            return Ok(0);
        }
        let due = tx.cases_due(now, BATCH)?;
        for case in &due {
            look(tx, house, case, now)?;
        }
        Ok::<_, StoreError>(due.len())
    })?;
    Ok(looked)
}

fn look(tx: &mut Tx<'_>, house: &House, case: &Case, now: Timestamp) -> Result<(), StoreError> {
    let steps = tx.steps(&case.id)?;
    let taken: Vec<Taken> = steps
        .iter()
        .map(|step| Taken { channel: step.step.channel, state: step.step.state, at: step.changed })
        .collect();
    let known = Known {
        case,
        taken: &taken,
        told_before: if case.reinfected { tx.told_before(case)? } else { None },
        opted_out: tx.opted_out(&case.party, &case.measure)?,
        allowed: &allowed(house, &case.measure),
    };
    let mut case = case.clone();
    case.next = match next(&house.config.reach.ladder, &known, now) {
        Next::Step { channel, proposed } => {
            let number = steps.iter().map(|step| step.step.number).max().unwrap_or(0) + 1;
            let state = if proposed { StepState::Proposed } else { StepState::Pending };
            let step = Step {
                case: case.id.clone(),
                number,
                channel,
                state,
                attempts: 0,
                due: now,
                reply: String::new(),
            };
            let message_id = Step::message_id(&case.id, number, &house.config.submission.helo);
            tx.insert_step(&step, &message_id, now)?;
            let is_first = !taken.iter().any(|step| IN_A_WORDING.contains(&step.channel));
            if house.wordings.is_trial() && is_first && IN_A_WORDING.contains(&channel) {
                tx.allot_wording(&case.id, house.wordings.round(), drawn(house, &case), now)?;
            }
            (case.steps, case.last_step) = (number, Some(now));
            None
        }
        Next::At(at) => Some(at),
        Next::Nothing(why) => {
            tracing::debug!(case = %case.id, "no step: {why}");
            None
        }
    };
    if known.opted_out && case.state.is_open() {
        case.state = CaseState::Held;
        tx.ask_out(&case.id, "the subscriber has opted out", now)?;
    }
    tx.put_case(&case)
}

/// The ways that the law allows under a measure, and whether a person approves each use. The walled garden is a measure of its
/// own, and follows a notice by consent only: nobody's line is restricted for what an emergency showed.
fn allowed(house: &House, measure: &str) -> BTreeMap<Channel, Approval> {
    let approval = |measure: &str| match house.register.measure(measure) {
        Some(dossier) if dossier.each_approved => Approval::Needed,
        _ => Approval::NotNeeded,
    };
    let tells = [Channel::Mail, Channel::Sms, Channel::Letter, Channel::Call];
    let mut allowed: BTreeMap<_, _> = tells.into_iter().map(|channel| (channel, approval(measure))).collect();
    if measure == InfectionNotice::MEASURE {
        allowed.insert(Channel::WalledGarden, approval(LineQuarantine::MEASURE));
    }
    allowed
}
