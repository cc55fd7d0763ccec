//! What people do about cases, in the console and on the command line.
//!
//! ```text
//!   cases ──look──▶ judged (pure) ──▶ evidence, all of a batch at once ──▶ written, each if nobody changed it meanwhile
//! ```

mod command;
mod story;

pub use command::{CaseCommand, found, run};
pub use story::case_story;

use std::collections::BTreeMap;

use noroshi_act::judge::{Judgement, Known, joined, judge};
use noroshi_law::evidence::Ledger as _;
use noroshi_model::case::StepState;
use noroshi_model::{Case, CaseFilter, Id, Mark, Seek, VisitKind};
use noroshi_portal::desk::CaseVerb;
use noroshi_store::cases::CaseAct;
use noroshi_store::{StoreError, Tx};

use crate::house::House;
use crate::ladder::acts::{self, Verdict};
use crate::returns::COMPLAINT;

/// Cases judged under one append to the evidence log and in one transaction.
const BATCH: usize = 200;

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Cases it was done to.
    pub done: u64,
    /// Why it was not done to others, and to how many.
    pub left: BTreeMap<&'static str, u64>,
}

impl Judged {
    fn leave(&mut self, why: &'static str) {
        *self.left.entry(why).or_default() += 1;
    }
}

/// Says it of each of these cases. Who says so, and why, is in the evidence log before it counts.
pub fn judge_all(
    house: &House,
    ids: &[Id],
    verb: &CaseVerb,
    person: &str,
    why: &str,
) -> anyhow::Result<Judged> {
    let mut judged = Judged::default();
    if *verb == CaseVerb::Approve {
        for id in ids {
            approve(house, id, person, why, &mut judged)?;
        }
        return Ok(judged);
    }
    for ids in ids.chunks(BATCH) {
        judge_batch(house, ids, verb, person, why, &mut judged)?;
    }
    Ok(judged)
}

fn approve(house: &House, id: &Id, person: &str, why: &str, judged: &mut Judged) -> anyhow::Result<()> {
    let steps = house.store.look("case.waiting", |tx| tx.steps(id))?;
    let waiting = steps.into_iter().filter(|step| step.step.state == StepState::Proposed);
    let mut approved = 0;
    for step in waiting {
        approved += u64::from(acts::judge(house, step, Verdict::Approved, person, why)?);
    }
    match approved {
        0 => judged.leave("no step of it waits"),
        _ => judged.done += 1,
    }
    Ok(())
}

/// Says it of all cases that a filter shows, newest first, until it was done to so many; whether there may be more. What it cannot
/// be done to is passed over, so that saying it again goes on with the rest.
pub fn judge_matching(
    house: &House,
    filter: &CaseFilter,
    verb: &CaseVerb,
    person: &str,
    why: &str,
    most: u64,
) -> anyhow::Result<(Judged, bool)> {
    let (mut judged, mut seek) = (Judged::default(), Seek::Newest);
    loop {
        let found = house.store.look("case.matching", |tx| tx.cases(filter, &seek, BATCH as u32))?;
        let Some(last) = found.last() else { return Ok((judged, false)) };
        seek = Seek::Older(Mark { at: last.opened, id: last.id.clone() });
        // What is closed is closed, and nothing can be said of it.
        let ids: Vec<Id> =
            found.into_iter().filter(|case| case.state.is_open()).map(|case| case.id).collect();
        let of_these = judge_all(house, &ids, verb, person, why)?;
        judged.done += of_these.done;
        of_these.left.into_iter().for_each(|(why, count)| *judged.left.entry(why).or_default() += count);
        if judged.done >= most {
            return Ok((judged, true));
        }
    }
}

/// A case as it was, and as it shall be.
struct Change {
    before: Case,
    after: Case,
}

/// What is said, as it is judged; `into` is the case that it names.
fn judgement(verb: &CaseVerb, into: Option<Case>) -> Result<Judgement, &'static str> {
    match verb {
        CaseVerb::Hold => Ok(Judgement::Hold),
        CaseVerb::Release => Ok(Judgement::Release),
        CaseVerb::Reject => Ok(Judgement::Reject),
        CaseVerb::Merge(_) => {
            let into = into.ok_or("there is no such case to merge into")?;
            Ok(Judgement::Merge(Box::new(into)))
        }
        CaseVerb::Approve => Err("steps are approved, and cases are not"),
    }
}

fn judge_batch(
    house: &House,
    ids: &[Id],
    verb: &CaseVerb,
    person: &str,
    why: &str,
    judged: &mut Judged,
) -> anyhow::Result<()> {
    let now = house.clock.now();
    let found = house.store.look("case.judged", |tx| {
        let into = match verb {
            CaseVerb::Merge(into) => tx.case(into)?,
            _ => None,
        };
        let cases = ids.iter().map(|id| tx.case(id)?.map(|case| known(tx, case)).transpose());
        Ok::<_, StoreError>((into, cases.collect::<Result<Vec<_>, StoreError>>()?))
    });
    let (into, cases) = found?;
    let judgement = match judgement(verb, into) {
        Ok(judgement) => judgement,
        Err(why) => {
            ids.iter().for_each(|_| judged.leave(why));
            return Ok(());
        }
    };
    let mut changes = Vec::new();
    for found in cases {
        let Some((before, known)) = found else {
            judged.leave("there is no such case");
            continue;
        };
        match judge(&before, &judgement, known, person, now) {
            Ok(after) => changes.push(Change { before, after }),
            Err(why) => judged.leave(why),
        }
    }
    let records: Vec<_> = changes
        .iter()
        .map(|change| {
            let of = house.register.measure(&change.before.measure);
            let into =
                change.after.merged_into.as_ref().map(|into| format!(" into {into}")).unwrap_or_default();
            let did = format!("{} case {}{into}: {why}", verb.word(), change.before.id);
            house.gate().acted(of, person, &did, now)
        })
        .collect();
    let entries = house.evidence().append_all(&records)?;
    let act = |change: &Change, evidence| CaseAct {
        case: change.before.id.clone(),
        evidence,
        at: now,
        person: person.to_owned(),
        what: verb.word().to_owned(),
        why: why.to_owned(),
    };
    let done = house.store.tx("case.judge", |tx| {
        let mut done = 0;
        for (change, entry) in changes.iter().zip(&entries) {
            done += u64::from(write(tx, change, &act(change, *entry))?);
        }
        Ok::<_, StoreError>(done)
    })?;
    judged.done += done;
    (done..changes.len() as u64).for_each(|_| judged.leave("it changed meanwhile"));
    Ok(())
}

fn known(tx: &mut Tx<'_>, case: Case) -> Result<(Case, Known), StoreError> {
    let visits = tx.visits_of(&case.id)?;
    let known = Known {
        unwilling: tx.opted_out(&case.party, &case.measure)?
            || tx.returns_of(&case.id)?.iter().any(|came| came.kind == COMPLAINT),
        reported: visits.iter().any(|(kind, ..)| *kind == VisitKind::Done),
        told: tx.steps(&case.id)?.iter().any(|step| step.step.state.may_have_reached()),
    };
    Ok((case, known))
}

/// Writes a change, if the case is still as it was judged; false where it is not.
fn write(tx: &mut Tx<'_>, change: &Change, act: &CaseAct) -> Result<bool, StoreError> {
    let (before, after) = (&change.before, &change.after);
    if tx.case(&before.id)?.as_ref() != Some(before) {
        return Ok(false);
    }
    if let Some(into) = &after.merged_into {
        let Some(into) = tx.case(into)?.filter(|into| into.state.is_open()) else { return Ok(false) };
        tx.copy_sightings(&before.id, &into.id)?;
        tx.put_case(&joined(&into, before, act.at))?;
    }
    tx.put_case(after)?;
    let why = format!("{} by {}", act.what, act.person);
    if after.next.is_none() {
        tx.stop_steps(&after.id, &why, act.at)?;
        // A line does not stay in the walled garden for what nobody goes on with.
        tx.ask_out(&after.id, &why, act.at)?;
    }
    if !after.state.is_open() {
        tx.forget_addressee(&after.id)?;
    }
    tx.put_case_act(act)?;
    Ok(true)
}
