//! The walled garden, driven. Before a line enters it is found anew: whoever the case is about must be whom the session book names
//! for what was seen last, and again for something seen at least a day before, so that one wrong record restricts nobody.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use noroshi_act::directory::Holder;
use noroshi_decide::ask_quarantine;
use noroshi_law::release::RestrictedLine;
use noroshi_law::{Lawful, LineQuarantine, Permit, Purpose as _};
use noroshi_model::case::StepState;
use noroshi_model::{Case, CaseState, Channel, Finding};
use noroshi_orient::clock::FeedClock;
use noroshi_store::StoreError;
use noroshi_store::garden::Stay;
use noroshi_store::outbox::Outgoing;

use super::StageError;
use super::act::held_by;
use super::outbox::{self, Fate};
use crate::garden::{Garden, Told};
use crate::house::House;
use crate::outgoing;

/// Findings of a case that are looked at, newest first.
const FINDINGS_MAX: usize = 20;
/// How far apart two sightings must be to count as two.
const APART: SignedDuration = SignedDuration::from_hours(24);
/// Stays ended in one step.
const BATCH: u32 = 20;
/// First pause before letting out is tried again; doubled up to the longest.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// Longest pause. It is never given up.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(15);

/// Lets lines out whose time has come, then one in.
pub fn step(house: &House) -> Result<usize, StageError> {
    let Some(garden) = &house.config.reach.garden else { return Ok(0) };
    let let_out = leave(house, garden)?;
    let due = outbox::claim(house, Channel::WalledGarden, 1)?;
    for step in &due {
        let entered = enter(house, garden, step);
        let (fate, failed) = match entered {
            Ok(fate) => (fate, None),
            Err(e) => (Fate::Later(format!("not restricted: {e}")), Some(e)),
        };
        let state = outbox::settle(house, step, fate)?;
        if !matches!(state, StepState::Sent | StepState::Pending) {
            // Whatever the access server has heard is taken back.
            let now = house.clock.now();
            house.store.tx("garden.take-back", |tx| tx.ask_out(&step.step.case, "it was not to be", now))?;
        }
        if let Some(e) = failed {
            return Err(e);
        }
    }
    Ok(let_out + due.len())
}

fn enter(house: &House, garden: &Garden, step: &Outgoing) -> Result<Fate, StageError> {
    let now = house.clock.now();
    let case = house.store.look("garden.case", |tx| tx.case(&step.step.case))?;
    let case = case.context("a step in the outbox belongs to no case")?;
    if !case.state.is_open() || case.state == CaseState::Held {
        return Ok(Fate::Stopped(format!("the case is {}", case.state)));
    }
    let permit =
        match house.permit::<LineQuarantine>(ask_quarantine(), &case.party).map_err(StageError::Failed)? {
            Ok(permit) => permit,
            Err(refusal) => return Ok(Fate::Stopped(refusal.to_string())),
        };
    let line = match found_anew(house, &case, &permit)? {
        Ok(line) => line,
        Err(doubt) => return Ok(Fate::Stopped(doubt.to_owned())),
    };
    let locked = house.vault.shelve(&line).context("the line cannot be sealed")?;
    let stay = Stay {
        case: case.id,
        step: step.step.number,
        line_key: house.vault.restricted_slot(&line.read().user),
        line: outgoing::pack(&locked),
        permit: permit.evidence(),
        since: now,
        until: now + garden.longest,
        asked: None,
        why: String::new(),
        due: now + garden.longest,
        attempts: 0,
        out: None,
    };
    if !house.store.tx("garden.enter", |tx| tx.enter_garden(&stay, LineQuarantine::MEASURE))? {
        return Ok(Fate::Stopped(
            "the case was closed or held, or the subscriber opted out, meanwhile".into(),
        ));
    }
    Ok(match garden.enter(&line, now) {
        Told::Done => {
            house.store.tx("garden.entered", |tx| tx.entered_garden(&stay, now))?;
            Fate::Accepted("the access server has moved the line".into())
        }
        Told::NotConnected => Fate::Accepted("the line is not connected: it is restricted when it is".into()),
        Told::Refused(why) => Fate::Refused(why),
        Told::Silent(why) => Fate::Later(why),
    })
}

/// The line of a case as the session book has it now, or why it is not sure enough.
fn found_anew(
    house: &House,
    case: &Case,
    permit: &Permit<LineQuarantine>,
) -> Result<Result<Lawful<RestrictedLine, LineQuarantine>, &'static str>, StageError> {
    let mut findings = house.store.look("garden.findings", |tx| {
        let mut findings: Vec<(Finding, FeedClock)> = Vec::new();
        let mut seen = BTreeSet::new();
        for identified in tx.identifications_of_case(&case.id)? {
            if !seen.insert(identified.finding.clone()) {
                continue;
            }
            if let Some(finding) = tx.finding(&identified.finding)? {
                let clock = FeedClock::new(tx.feed_clock(&finding.campaign)?);
                findings.push((finding, clock));
            }
        }
        Ok::<_, StoreError>(findings)
    })?;
    findings.sort_by_key(|(finding, _)| std::cmp::Reverse(finding.last()));
    findings.truncate(FINDINGS_MAX);
    let mut all: Option<Lawful<Lines, LineQuarantine>> = None;
    for (finding, clock) in &findings {
        let held = held_by(house, finding, clock, permit)?;
        let theirs = held.map(|held| of_case(house, case, held)).transpose()?;
        all = Some(match all {
            None => theirs,
            Some(all) => all.join(theirs, |mut all, more| {
                more.into_iter().for_each(|(line, seen)| all.entry(line).or_default().extend(seen));
                all
            }),
        });
    }
    Ok(match all {
        Some(all) => all.map(surely).transpose(),
        None => Err(UNNAMED),
    })
}

/// Lines, and when each was seen.
type Lines = BTreeMap<Holder, Vec<Timestamp>>;

const UNNAMED: &str = "the session book does not name this subscriber any more";

/// Those of them that are the case's subscriber's.
fn of_case(house: &House, case: &Case, held: Lines) -> Result<Lines, StageError> {
    let mut theirs = Lines::new();
    for (holder, seen) in held {
        let whose = house.directory.contract(&holder).map_err(anyhow::Error::from)?;
        if whose.is_some_and(|listed| house.party(&listed.contract) == case.party) {
            theirs.insert(holder, seen);
        }
    }
    Ok(theirs)
}

/// The line that was seen last, if it was seen before as well.
fn surely(lines: Lines) -> Result<RestrictedLine, &'static str> {
    let (holder, seen) =
        lines.into_iter().max_by_key(|(_, seen)| seen.iter().max().copied()).ok_or(UNNAMED)?;
    let (first, last) = (seen.iter().min().copied(), seen.iter().max().copied());
    match first.zip(last) {
        Some((first, last)) if last.duration_since(first) >= APART => {
            Ok(RestrictedLine { user: holder.user })
        }
        _ => Err("seen once only: nobody is restricted for that"),
    }
}

/// Lets lines out whose longest time is over or whose release was asked for, and does not give up.
fn leave(house: &House, garden: &Garden) -> Result<usize, StageError> {
    let now = house.clock.now();
    let mut tried = 0;
    for mut stay in house.store.look("garden.due", |tx| tx.stays_due(now, BATCH))? {
        if stay.asked.is_none() {
            (stay.asked, stay.why) = (Some(now), "the longest time is over".into());
        }
        let told = let_out(house, garden, &stay);
        // The others would wait for the same silence.
        let is_silent = matches!(told, Ok(Told::Silent(_)));
        let trouble = match told {
            Ok(Told::Done | Told::NotConnected) => None,
            Ok(Told::Refused(why) | Told::Silent(why)) => Some(why),
            Err(e) => Some(format!("{e:#}")),
        };
        match trouble {
            None => stay.out = Some(now),
            Some(why) => {
                tracing::error!(case = %stay.case, "a line cannot be let out of the garden: {why}");
                stay.due = now + (PAUSE * (1 << stay.attempts.min(10))).min(PAUSE_MAX);
                stay.attempts += 1;
            }
        }
        house.store.tx("garden.left", |tx| tx.put_stay_end(&stay))?;
        tried += 1;
        if is_silent {
            break;
        }
    }
    Ok(tried)
}

/// Has the access server let one line out; that it is, is in the evidence log before which line it is, is known.
fn let_out(house: &House, garden: &Garden, stay: &Stay) -> anyhow::Result<Told> {
    let now = house.clock.now();
    let case = house.store.look("garden.case", |tx| tx.case(&stay.case))?;
    let subject = case.map(|case| case.party).unwrap_or_default();
    let dossier = house.register.measure(LineQuarantine::MEASURE).context("the measure has no dossier")?;
    let under = Some(stay.permit);
    let release = house.gate().release(dossier, &subject, &stay.why, under, now, &mut house.evidence())?;
    let locked = outgoing::unpack(&stay.line).context("a line in the garden is damaged")?;
    let line = house.vault.open_to_release(&locked, &release)?;
    Ok(garden.leave(&line, now))
}

/// What a dead process was restricting is tried again: the row is there, and an access server that is told twice does it once.
pub fn recover(house: &House, alone: bool) -> Result<usize, StageError> {
    outbox::again(house, Channel::WalledGarden, alone, "told again")
}
