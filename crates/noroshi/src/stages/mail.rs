//! The outbox, driven: each mail is sent once. Before the mail server hears of it, the outbox says `sending`; whatever
//! dies after that leaves a mail in doubt, which is settled from the mail server's own log and never by sending again on a
//! guess.

use anyhow::{Context as _, anyhow};
use jiff::{SignedDuration, Timestamp};
use noroshi_act::notice::{Addressee, Facts, LISTED_MAX, Mail, compose};
use noroshi_act::smtp::{Sent, send};
use noroshi_decide::{ask_infection, ask_takedown};
use noroshi_law::{Ask, InfectionNotice, Lawful, NoticePurpose, Permit, Purpose as _, TakedownNotice, Use};
use noroshi_model::case::StepState;
use noroshi_model::link::LINK_LIFE;
use noroshi_model::{Case, CaseState, Step};
use noroshi_store::outbox::Outgoing;
use noroshi_store::{StoreError, Tx};
use noroshi_wire::postfix::Fate;

use super::StageError;
use crate::house::House;
use crate::outgoing;
use crate::receipts::{Receipt, Receipts};

/// Attempts before a mail is given up: with these pauses about 72 hours, as mail servers do.
const ATTEMPTS_MAX: u32 = 25;
/// First pause after "try later"; doubled at each attempt up to [`PAUSE_MAX`].
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// Longest pause.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(4);
/// A mail that has been `sending` for longer belongs to a process that died.
pub const SENDING_MAX: SignedDuration = SignedDuration::from_mins(30);
/// How long the log is asked for the delivery of a mail; mail servers give up after five days.
const DELIVERY_AWAITED: SignedDuration = SignedDuration::from_hours(6 * 24);
/// Interrupted mails settled at once.
const UNSETTLED_MAX: u32 = 10_000;
/// Mails whose delivery is asked for at once.
const DELIVERY_BATCH: u32 = 500;

/// Sends one mail that is due.
pub fn step(house: &House) -> Result<usize, StageError> {
    let now = house.clock.now();
    let Some(mail) = house.store.tx_in_turn("mail.claim", |tx| tx.claim_mail(now))? else {
        return learn_deliveries(house);
    };
    let case = house
        .store
        .tx("mail.case", |tx| tx.case(&mail.step.case))?
        .context("a mail in the outbox belongs to no case")?;
    match case.measure.as_str() {
        TakedownNotice::MEASURE => send_one::<TakedownNotice>(house, &mail, &case, ask_takedown)?,
        InfectionNotice::MEASURE => send_one::<InfectionNotice>(house, &mail, &case, ask_infection)?,
        other => return Err(StageError::Failed(anyhow!("no way to mail under measure '{other}'"))),
    }
    Ok(1)
}

fn send_one<P: NoticePurpose>(
    house: &House,
    mail: &Outgoing,
    case: &Case,
    ask: fn(Use) -> Ask,
) -> Result<(), StageError> {
    let sent = match opened::<P>(house, mail, case, ask) {
        Ok(Opened::Mail(letter)) => send::<P>(&letter, &house.config.submission),
        Ok(Opened::Stopped(why)) => Sent::Refused(why),
        Err(e) => {
            // Nothing was sent: the mail goes back, and the cause is told.
            settle(house, mail, &Sent::Later(format!("not sent: {e}")))?;
            return Err(e);
        }
    };
    settle(house, mail, &sent)
}

enum Opened<P: NoticePurpose> {
    Mail(Lawful<Mail, P>),
    Stopped(String),
}

/// Has the mail written under a permit of now: consent may have been withdrawn since it was queued.
fn opened<P: NoticePurpose>(
    house: &House,
    mail: &Outgoing,
    case: &Case,
    ask: fn(Use) -> Ask,
) -> Result<Opened<P>, StageError> {
    // Whom it concerns is known: who has opted out of a measure by consent is refused by the rules, before any look.
    let permit = match house.permit::<P>(ask(Use::Notify), &case.party).map_err(StageError::Failed)? {
        Ok(permit) => permit,
        Err(refusal) => return Ok(Opened::Stopped(refusal.to_string())),
    };
    // The others need no consent to be told, and their wish not to be is honoured all the same.
    if house.store.tx("mail.consent", |tx| tx.opted_out(&case.party, P::MEASURE))? {
        house
            .gate()
            .honour_opt_out(&permit, &case.party, house.clock.now(), &mut house.evidence())
            .map_err(anyhow::Error::from)?;
        return Ok(Opened::Stopped("the subscriber has opted out".into()));
    }
    written(house, mail, case, &permit)
}

/// Writes the mail: whom it is for is opened, then who that is, each look recorded first; what was seen is what is known now.
fn written<P: NoticePurpose>(
    house: &House,
    mail: &Outgoing,
    case: &Case,
    permit: &Permit<P>,
) -> Result<Opened<P>, StageError> {
    let now = house.clock.now();
    let sealed = outgoing::unpack(&mail.body).context("an addressee in the outbox is damaged")?;
    let addressees: Lawful<Vec<Addressee>, P> = house
        .vault
        .open(&[sealed], &mail.message_id, permit, now, &mut house.evidence())
        .context("an addressee in the outbox cannot be opened")?;
    let contract = &addressees.read().first().context("a mail in the outbox is for nobody")?.contract;
    let Some(subscriber) = house.directory.subscriber(contract).map_err(anyhow::Error::from)? else {
        return Ok(Opened::Stopped("the directory no longer has this contract".into()));
    };
    let subject = format!("contract {}", contract.as_str());
    let subscriber = house
        .vault
        .open_one(subscriber, &subject, permit, now, &mut house.evidence())
        .context("the directory entry cannot be opened")?;
    let (seen, seen_total) = house.store.tx("mail.seen", |tx| {
        Ok::<_, StoreError>((tx.sightings(&case.id, LISTED_MAX as u32)?, tx.sighting_count(&case.id)?))
    })?;
    let link_until = now + LINK_LIFE;
    let (key, number) = (Step::key(&case.id, mail.step.number), mail.step.number);
    let return_path = house.config.returns.as_ref().and_then(|r| r.path.of(&house.links, &key, number));
    let facts = Facts {
        operator: &house.config.operator,
        case: &case.id,
        message_id: &mail.message_id,
        return_path: return_path.as_deref(),
        dkim: house.dkim.as_ref(),
        seen: &seen,
        seen_total,
        guide: house.texts.guides.family(&case.family),
        link: &format!("{}/n/{}", house.config.base_url, house.links.token(&case.id, link_until)),
        link_until,
        now,
        texts: &house.texts.notice,
        templates: &house.templates,
    };
    Ok(match compose(subscriber, &facts) {
        Ok(letter) => Opened::Mail(letter),
        // An address that is none, or texts that do not fit: no later attempt will mend it.
        Err(e) => Opened::Stopped(e.to_string()),
    })
}

/// Sets when a mail is tried again, longer each time, or gives it up. The first pause belongs to `times` = 1.
fn put_off(step: &mut Step, times: u32, now: Timestamp) {
    step.due = match times {
        0 => now,
        _ => now + (PAUSE * (1 << (times - 1).min(12))).min(PAUSE_MAX),
    };
    if step.attempts >= ATTEMPTS_MAX {
        (step.state, step.reply) = (StepState::Failed, format!("given up: {}", step.reply));
    }
}

/// Writes down what became of a mail.
fn settle(house: &House, mail: &Outgoing, sent: &Sent) -> Result<(), StageError> {
    let now = house.clock.now();
    let mut step = mail.step.clone();
    (step.state, step.reply) = match sent {
        Sent::Accepted(reply) => (StepState::Sent, reply.clone()),
        Sent::Refused(reply) => (StepState::Failed, reply.clone()),
        Sent::Unknown(reply) => (StepState::InDoubt, reply.clone()),
        Sent::Later(reply) => (StepState::Pending, reply.clone()),
    };
    if step.state == StepState::Pending {
        let times = step.attempts;
        put_off(&mut step, times, now);
    }
    tracing::info!(case = %step.case, step = step.number, state = %step.state, "mail");
    Ok(house.store.tx("mail.settle", |tx| write(tx, StepState::Sending, &step, now))?)
}

fn write(tx: &mut Tx<'_>, was: StepState, step: &Step, now: Timestamp) -> Result<(), StoreError> {
    if !tx.put_step(was, step, now)? {
        // Settled by somebody else meanwhile; what is written there is newer.
        return Ok(());
    }
    if matches!(step.state, StepState::Sent | StepState::Delivered)
        && let Some(case) =
            tx.case(&step.case)?.filter(|c| matches!(c.state, CaseState::Open | CaseState::Held))
    {
        tx.put_case(&Case { state: CaseState::Notified, ..case })?;
    }
    Ok(())
}

/// Settles mails that a dead process left in `sending`, and those in doubt, as far as the mail server's log tells.
/// `alone` says that no other process can be sending.
pub fn recover(house: &House, alone: bool) -> Result<usize, StageError> {
    let now = house.clock.now();
    let (sending, doubtful) = house.store.tx("mail.unsettled", |tx| {
        Ok::<_, StoreError>((
            tx.mails_in(StepState::Sending, Timestamp::UNIX_EPOCH, UNSETTLED_MAX)?,
            tx.mails_in(StepState::InDoubt, Timestamp::UNIX_EPOCH, UNSETTLED_MAX)?,
        ))
    })?;
    let dead = |m: &Outgoing| alone || now.duration_since(m.changed) > SENDING_MAX;
    let mut settled = 0;
    for mail in sending.into_iter().filter(dead).chain(doubtful) {
        let was = mail.step.state;
        let mut step = mail.step;
        (step.state, step.reply) =
            match house.receipts.of(&mail.message_id, mail.handed.unwrap_or(mail.changed)) {
                Receipt::Known(fate) => (state_of(fate), "settled from the mail server's log".into()),
                Receipt::Absent => {
                    (StepState::Pending, "the mail server's log has no such mail: sent again".into())
                }
                Receipt::Unknown => {
                    (StepState::InDoubt, "interrupted while sending; the mail log cannot tell".into())
                }
            };
        if step.state == StepState::Pending {
            // At once after a crash; later where the server keeps hanging up.
            let times = step.attempts.saturating_sub(1);
            put_off(&mut step, times, now);
        }
        if step.state != was {
            house.store.tx("mail.recover", |tx| write(tx, was, &step, now))?;
            settled += 1;
        }
    }
    Ok(settled)
}

fn state_of(fate: Fate) -> StepState {
    match fate {
        Fate::Accepted => StepState::Sent,
        Fate::Delivered => StepState::Delivered,
        Fate::Bounced => StepState::Failed,
    }
}

/// Learns from the mail server's log which sent mails reached their mailbox.
fn learn_deliveries(house: &House) -> Result<usize, StageError> {
    if matches!(house.receipts, Receipts::None) {
        return Ok(0);
    }
    let now = house.clock.now();
    let sent = house
        .store
        .tx("mail.sent", |tx| tx.mails_in(StepState::Sent, now - DELIVERY_AWAITED, DELIVERY_BATCH))?;
    let mut learnt = 0;
    for mail in sent {
        let state = match house.receipts.of(&mail.message_id, mail.handed.unwrap_or(mail.changed)) {
            Receipt::Known(fate) => state_of(fate),
            Receipt::Absent | Receipt::Unknown => continue,
        };
        if state != StepState::Sent {
            let step = Step { state, ..mail.step };
            house.store.tx("mail.delivered", |tx| write(tx, StepState::Sent, &step, now))?;
            learnt += 1;
        }
    }
    Ok(learnt)
}
