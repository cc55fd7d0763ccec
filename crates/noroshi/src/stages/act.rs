//! Act, driven: for each decision the session book is opened under a permit, and the subscribers that can be named for sure
//! get a case, with for whom it is, sealed. Whether and how they are told is the ladder's to say.
//!
//! The purpose is a type here: [`under`] is written once for every [`NoticePurpose`], and which one it is follows from the
//! decision's measure. Nobody's name is opened here at all: that is for whoever tells them, when they do.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use jiff::{SignedDuration, Timestamp};
use noroshi_act::directory::Holder;
use noroshi_act::notice::Addressee;
use noroshi_act::plan::{Found, plan};
use noroshi_book::{Answer, Doubt, Look};
use noroshi_decide::{ask_infection, ask_takedown};
use noroshi_law::{
    Ask, Basis as _, BasisKind, InfectionNotice, Lawful, Locked, NoticePurpose, Permit, Purpose, Refusal,
    TakedownNotice, Use,
};
use noroshi_model::{Case, ContractRef, Decision, Finding, Id};
use noroshi_orient::clock::FeedClock;
use noroshi_store::findings::Identification;
use noroshi_store::queue::{DECIDED, Job};
use noroshi_store::{StoreError, Tx};

use super::StageError;
use crate::house::House;
use crate::outgoing;

/// Decisions worked on under one permit.
const BATCH: u32 = 20;

/// Works one batch.
pub fn step(house: &House) -> Result<usize, StageError> {
    let now = house.clock.now();
    let jobs: Vec<Job<Decision>> =
        house.store.tx_in_turn("act.claim", |tx| tx.claim(DECIDED, &house.worker, now, BATCH))?;
    let count = jobs.len();
    let (takedown, rest): (Vec<_>, Vec<_>) =
        jobs.into_iter().partition(|job| job.body.measure == TakedownNotice::MEASURE);
    let (infection, unknown): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|job| job.body.measure == InfectionNotice::MEASURE);
    under::<TakedownNotice>(house, &takedown, ask_takedown)?;
    under::<InfectionNotice>(house, &infection, ask_infection)?;
    match unknown.first() {
        Some(job) => Err(StageError::Failed(anyhow!("no way to act under measure '{}'", job.body.measure))),
        None => Ok(count),
    }
}

/// Works decisions of one purpose.
fn under<P: NoticePurpose>(
    house: &House,
    jobs: &[Job<Decision>],
    ask: fn(Use) -> Ask,
) -> Result<(), StageError> {
    if jobs.is_empty() {
        return Ok(());
    }
    // Asked again now, since the decision may be older than the rules, the dossier or the consent.
    let identify =
        match house.permit::<P>(house.stated(ask(Use::Identify)), "").map_err(StageError::Failed)? {
            Ok(permit) => permit,
            Err(refusal) => return refuse(house, jobs, &refusal),
        };
    for job in jobs {
        let finding = house.store.look("act.finding", |tx| {
            let Some(finding) = tx.finding(&job.body.finding)? else { return Ok(None) };
            let clock = FeedClock::new(tx.feed_clock(&finding.campaign)?);
            Ok::<_, StoreError>(Some((finding, clock)))
        })?;
        let done = match &finding {
            Some((finding, clock)) => pursue_now(house, finding, clock, &identify)?,
            None => Vec::new(),
        };
        house.store.tx_together("act.commit", |tx| commit(tx, house, job, &done))?;
    }
    Ok(())
}

fn refuse(house: &House, jobs: &[Job<Decision>], refusal: &Refusal) -> Result<(), StageError> {
    let now = house.clock.now();
    house.store.tx("act.refuse", |tx| {
        for job in jobs {
            tx.insert_refusal(refusal, Some(&job.body.finding), None, now)?;
            acknowledge(tx, house, job)?;
        }
        Ok(())
    })
}

fn acknowledge(tx: &mut Tx<'_>, house: &House, job: &Job<Decision>) -> Result<(), StageError> {
    match tx.acknowledge(DECIDED, &job.id, &house.worker)? {
        true => Ok(()),
        false => Err(StageError::LeaseLost),
    }
}

/// What is to be written for one answer.
struct Pursued {
    answer: Identification,
    refusal: Option<Refusal>,
    case: Option<Opened>,
}

/// A case to be written, and what it was planned from.
struct Opened {
    before: Option<Case>,
    case: Case,
    seen: Vec<Timestamp>,
    addressee: Locked,
}

/// The same twice where nobody could be named and records came in meanwhile: whoever brought them has asked again for what nobody could be
/// named for until then, and this was not among it yet. Once more is enough: who brings records all the time asks again all the time.
fn pursue_now<P: NoticePurpose>(
    house: &House,
    finding: &Finding,
    clock: &FeedClock,
    permit: &Permit<P>,
) -> Result<Vec<Pursued>, StageError> {
    let place = || Ok::<_, StageError>(house.book().context("the session book cannot be opened")?.taken_in());
    let before = place()?;
    let done = pursue(house, finding, clock, permit)?;
    if done.iter().all(|pursued| pursued.answer.verdict == "one") || place()? == before {
        return Ok(done);
    }
    pursue(house, finding, clock, permit)
}

/// Finds out who held the finding's address at each sighting, and plans for each subscriber.
fn pursue<P: NoticePurpose>(
    house: &House,
    finding: &Finding,
    clock: &FeedClock,
    permit: &Permit<P>,
) -> Result<Vec<Pursued>, StageError> {
    let answers = look_up(house, finding, clock, permit)?;
    let mut pursued = Vec::new();
    for (answer, seen) in answers.read() {
        let mut said = Identification {
            finding: finding.id.clone(),
            verdict: String::new(),
            reason: String::new(),
            sightings: seen.len() as u64,
            margin_s: 0,
            case: None,
            evidence: Some(permit.evidence()),
            at: house.clock.now(),
        };
        let mut done = Pursued { answer: said.clone(), refusal: None, case: None };
        match answer {
            Named::Nobody => {
                (said.verdict, said.reason) = ("none".into(), "no session on the address then".into());
            }
            Named::Doubt(doubt, off_s) => {
                (said.verdict, said.reason) = ("ambiguous".into(), reason(*doubt, *off_s));
            }
            Named::Unlisted => {
                let reason = "the access server's user is not in the directory".into();
                (said.verdict, said.reason) = ("ambiguous".into(), reason);
            }
            Named::One(contract, margin_s) => {
                (said.verdict, said.margin_s) = ("one".into(), *margin_s);
                let addressee = answers.with(|_| Addressee { contract: contract.clone() });
                (done.case, done.refusal) = open_case(house, finding, &addressee, seen, permit)?;
                said.case = done.case.as_ref().map(|c| c.case.id.clone());
            }
        }
        done.answer = said;
        pursued.push(done);
    }
    Ok(pursued)
}

/// An answer, the user resolved to a contract.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    One(ContractRef, i64),
    Nobody,
    Unlisted,
    /// Why; and by how many seconds the feed's time may be wrong.
    Doubt(Doubt, u32),
}

/// Why nobody can say, with what the feed's times have to do with it.
fn reason(doubt: Doubt, off_s: u32) -> String {
    match off_s {
        0 => doubt.reason().to_owned(),
        off_s => format!("{}; the feed's time may be wrong by {off_s} s", doubt.reason()),
    }
}

/// Opens the book on the finding's address: one evidence entry for the look, whatever it shows.
fn looked<P: Purpose, T>(
    house: &House,
    finding: &Finding,
    permit: &Permit<P>,
    see: impl FnOnce(&Look<'_>) -> Result<T, StageError>,
) -> Result<Lawful<T, P>, StageError> {
    let (first, last) = (finding.first().unwrap_or_default(), finding.last().unwrap_or_default());
    let subject = format!("address {} at {first} to {last}", finding.ip);
    let book = house.book().context("the session book cannot be opened")?;
    let look = house
        .vault
        .open_one(book.look(finding.ip), &subject, permit, house.clock.now(), &mut house.evidence())
        .context("the session book cannot be opened")?;
    look.map(|look| see(&look)).transpose()
}

/// Who held the address at each sighting, and by how many seconds the feed's time may be wrong. Only what the measure's dossier
/// lists is used: a takedown notice uses address and time, and no port.
fn answered<'a>(
    house: &'a House,
    finding: &'a Finding,
    clock: &'a FeedClock,
    look: &'a Look<'_>,
    with_port: bool,
) -> impl Iterator<Item = (Timestamp, Answer, u32)> + use<'a> {
    let stated_s = house.config.clock_error_s.get(&finding.campaign).copied();
    finding.sightings.iter().map(move |sighting| {
        let off_s = stated_s.unwrap_or_else(|| clock.off_s(sighting.at));
        let port = sighting.port.filter(|_| with_port);
        (sighting.at, look.who(port, sighting.at, off_s, &house.config.rules), off_s)
    })
}

/// The lines that surely held the finding's address, and when.
pub fn held_by<P: Purpose>(
    house: &House,
    finding: &Finding,
    clock: &FeedClock,
    permit: &Permit<P>,
) -> Result<Lawful<BTreeMap<Holder, Vec<Timestamp>>, P>, StageError> {
    looked(house, finding, permit, |look| {
        let mut lines: BTreeMap<Holder, Vec<Timestamp>> = BTreeMap::new();
        for (at, answer, _) in answered(house, finding, clock, look, permit.allows("source.port")) {
            if let Answer::One(held) = answer {
                lines.entry(Holder { user: held.line }).or_default().push(at);
            }
        }
        Ok(lines)
    })
}

type Answers = Vec<(Named, Vec<Timestamp>)>;

/// Whose address it was at each sighting.
fn look_up<P: NoticePurpose>(
    house: &House,
    finding: &Finding,
    clock: &FeedClock,
    permit: &Permit<P>,
) -> Result<Lawful<Answers, P>, StageError> {
    looked(house, finding, permit, |look| {
        let mut by_answer: BTreeMap<Named, (i64, Vec<Timestamp>)> = BTreeMap::new();
        for (at, answer, off_s) in answered(house, finding, clock, look, permit.allows("source.port")) {
            let (named, margin_s) = match answer {
                Answer::One(held) => (named(house, &Holder { user: held.line })?, held.margin_s),
                Answer::None => (Named::Nobody, 0),
                Answer::Ambiguous(doubt) => (Named::Doubt(doubt, off_s), 0),
            };
            let (least, seen) = by_answer.entry(named).or_insert((i64::MAX, Vec::new()));
            *least = (*least).min(margin_s);
            seen.push(at);
        }
        let with_margin = |(named, (margin_s, seen))| match named {
            Named::One(contract, _) => (Named::One(contract, margin_s), seen),
            other => (other, seen),
        };
        Ok(by_answer.into_iter().map(with_margin).collect())
    })
}

/// Whose the line is. A directory that cannot be asked is no answer: the decision is worked again later.
fn named(house: &House, holder: &Holder) -> Result<Named, StageError> {
    let Some(listed) = house.directory.contract(holder).map_err(anyhow::Error::from)? else {
        return Ok(Named::Unlisted);
    };
    if listed.opted_out {
        house.take_over_opt_out(&listed.contract)?;
    }
    Ok(Named::One(listed.contract, 0))
}

/// Plans the case of a subscriber.
fn open_case<P: NoticePurpose>(
    house: &House,
    finding: &Finding,
    addressee: &Lawful<Addressee, P>,
    seen: &[Timestamp],
    permit: &Permit<P>,
) -> Result<(Option<Opened>, Option<Refusal>), StageError> {
    let now = house.clock.now();
    let party = house.party(&addressee.read().contract);
    let (opted_out, before) = house.store.look("act.case", |tx| {
        Ok::<_, StoreError>((tx.opted_out(&party, P::MEASURE)?, tx.latest_case(&party, &finding.family)?))
    })?;
    let refusal = match opted_out {
        true => Some(
            house
                .gate()
                .honour_opt_out(permit, &party, now, &mut house.evidence())
                .map_err(anyhow::Error::from)?,
        ),
        false => None,
    };
    let found = Found {
        party: &party,
        family: &finding.family,
        campaign: &finding.campaign,
        measure: P::MEASURE,
        seen,
        opted_out,
        settle: house.config.settle,
        hold_out: hold_out::<P>(house, &party, &finding.family),
    };
    let fresh = Id::random().context("the system gave no randomness")?;
    let Some(case) = plan(&found, before.as_ref(), fresh, now) else { return Ok((None, refusal)) };
    let addressee = house.vault.shelve(addressee).context("the addressee cannot be sealed")?;
    Ok((Some(Opened { before, case, seen: seen.to_vec(), addressee }), refusal))
}

/// For how long a new case is not told, to measure what telling does: by chance, and the same for a subscriber and family
/// whenever they are found again. Never in an emergency.
pub(super) fn hold_out<P: NoticePurpose>(house: &House, party: &str, family: &str) -> Option<SignedDuration> {
    let outcome = &house.config.reach.outcome;
    if P::Basis::KIND == BasisKind::Emergency {
        return None;
    }
    let drawn = Id::of("hold-out", &[house.vault.subject(&format!("hold-out {family} {party}")).as_bytes()]);
    let drawn = u64::from_str_radix(drawn.as_str().get(..8)?, 16).ok()? % 10_000;
    (drawn < u64::from(outcome.hold_out_percent) * 100)
        .then(|| SignedDuration::from_hours(i64::from(outcome.hold_out_days) * 24))
}

/// Writes everything that came of a decision, and that it is done, in one transaction.
fn commit(tx: &mut Tx<'_>, house: &House, job: &Job<Decision>, done: &[Pursued]) -> Result<(), StageError> {
    let now = house.clock.now();
    for pursued in done {
        if let Some(refusal) = &pursued.refusal {
            tx.insert_refusal(refusal, Some(&job.body.finding), None, now)?;
        }
        let Some(opened) = &pursued.case else { continue };
        let case = &opened.case;
        if tx.latest_case(&case.party, &case.family)? != opened.before {
            // Somebody else wrote to this case meanwhile: the lease ends and the decision is worked again.
            return Err(StageError::LeaseLost);
        }
        tx.put_case(case)?;
        if let Some(finding) = tx.finding(&job.body.finding)? {
            for at in &opened.seen {
                tx.add_sighting(&case.id, *at, finding.ip)?;
            }
        }
        tx.put_addressee(&case.id, &outgoing::pack(&opened.addressee))?;
    }
    let answers: Vec<Identification> = done.iter().map(|p| p.answer.clone()).collect();
    tx.put_identifications(&job.body.finding, &answers)?;
    acknowledge(tx, house, job)
}
