//! What people say of the ladder, on the command line and in the console: a step is approved or rejected, telling is stopped and
//! goes on.

use anyhow::Context as _;
use noroshi_law::Use;
use noroshi_model::Step;
use noroshi_model::case::StepState;
use noroshi_store::outbox::{Outgoing, Stopped};

use crate::house::House;
use crate::stages::outbox;

/// What a person says of a step that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Approved,
    /// It is not.
    Rejected,
}

impl Verdict {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
        }
    }
}

/// Judges a step; false where it does not wait any more. Who says so is in the evidence log before it counts.
pub fn judge(
    house: &House,
    waiting: Outgoing,
    verdict: Verdict,
    person: &str,
    why: &str,
) -> anyhow::Result<bool> {
    let (step, now) = (waiting.step, house.clock.now());
    if step.state != StepState::Proposed {
        return Ok(false);
    }
    let case = house.store.tx("step.case", |tx| tx.case(&step.case))?.context("a step without a case")?;
    let dossier = house.register.measure(&case.measure).context("the measure has no dossier any more")?;
    let reply = format!("{} by {person} {why}", verdict.word()).trim().to_owned();
    let note = format!("{} for case {}: {reply}", step.channel, step.case);
    house.gate().remark(dossier, Use::Approve, note, None, now, &mut house.evidence())?;
    let state = match verdict {
        Verdict::Approved => StepState::Pending,
        Verdict::Rejected => StepState::Rejected,
    };
    let due = house.config.reach.ladder.open(step.channel, now);
    let step = Step { state, reply, due, ..step };
    Ok(house.store.tx("step.judge", |tx| outbox::write(tx, StepState::Proposed, &step, now))?)
}

/// Stops telling; false where it is stopped already. Who says so, and why, is in the evidence log before it counts, here and below.
pub fn stop(house: &House, scope: &str, person: &str, why: &str) -> anyhow::Result<bool> {
    let stopped =
        Stopped { scope: scope.into(), since: house.clock.now(), person: person.into(), why: why.into() };
    if house.store.look("ladder.stopped", |tx| tx.stopped())?.iter().any(|now| now.scope == scope) {
        return Ok(false);
    }
    house.note(person, &format!("stopped telling ({scope}): {why}"))?;
    Ok(house.store.tx("ladder.stop", |tx| tx.stop(&stopped))?)
}

/// Lets it go on; false where it is not stopped.
pub fn go(house: &House, scope: &str, person: &str, why: &str) -> anyhow::Result<bool> {
    if !house.store.look("ladder.stopped", |tx| tx.stopped())?.iter().any(|now| now.scope == scope) {
        return Ok(false);
    }
    house.note(person, &format!("let telling go on ({scope}): {why}"))?;
    let now = house.clock.now();
    Ok(house.store.tx("ladder.go", |tx| tx.go_on(scope, person, why, now))?)
}
