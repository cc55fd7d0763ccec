//! Mail: each is sent once. Before the mail server hears of it, the outbox says `sending`; whatever dies after that leaves a
//! mail in doubt, which is settled from the mail server's own log and never by sending again on a guess.

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use noroshi_act::notice::{Facts, compose};
use noroshi_act::smtp::{Line, Sent};
use noroshi_law::{Lawful, NoticePurpose};
use noroshi_model::case::StepState;
use noroshi_model::{Channel, Step, Subscriber};
use noroshi_store::StoreError;
use noroshi_store::outbox::Outgoing;
use noroshi_wire::postfix;

use super::StageError;
use super::outbox::{self, Fate, SENDING_MAX, UNSETTLED_MAX};
use super::tell::{About, Teller, tell};
use crate::house::House;
use crate::receipts::{Receipt, Receipts};

/// How long the log is asked for the delivery of a mail; mail servers give up after five days.
const DELIVERY_AWAITED: SignedDuration = SignedDuration::from_hours(6 * 24);
/// Mails whose delivery is asked for at once.
const DELIVERY_BATCH: u32 = 500;

/// Mails sent over one connection at most.
const OVER_ONE_LINE: usize = 50;

/// Sends mails that are due; where there are none, looks which have arrived.
pub fn step(house: &House) -> Result<usize, StageError> {
    match send_due(house, 0)? {
        0 => learn_deliveries(house),
        sent => Ok(sent),
    }
}

/// Sends some mails that are due, one after the other over one connection, where more are due than others (so many) take care of. Each
/// is claimed only when it is its turn, so that a process that dies leaves one in doubt; and only when the server is there for it, since what
/// is asked then (the rules, the subscriber's will) has to be true when it goes.
pub fn send_due(house: &House, others: u32) -> Result<usize, StageError> {
    if outbox::due(house, Channel::Mail, others + 1)? <= others as usize {
        return Ok(0);
    }
    let mailer = Mailer(RefCell::new(Line::to(&house.config.submission)));
    for sent in 0..OVER_ONE_LINE {
        mailer.0.borrow_mut().open();
        let mails = outbox::claim(house, Channel::Mail, 1)?;
        let Some(mail) = mails.first() else { return Ok(sent) };
        tell(house, mail, &mailer)?;
    }
    Ok(OVER_ONE_LINE)
}

struct Mailer<'a>(RefCell<Line<'a>>);

impl Teller for Mailer<'_> {
    fn tell<P: NoticePurpose>(
        &self,
        to: Lawful<Subscriber, P>,
        facts: &Facts<'_>,
        about: &About<'_>,
    ) -> Result<Fate, StageError> {
        let house = about.house;
        let (key, number) = (about.handed.key(), about.handed.step.number);
        let returns = house.config.returns.as_ref();
        let return_path = returns.and_then(|r| r.path.of(&house.links, &key, number));
        let facts = Facts { return_path: return_path.as_deref(), dkim: house.dkim.as_ref(), ..*facts };
        Ok(match compose(to, &facts) {
            Ok(letter) => match self.0.borrow_mut().send(&letter) {
                Sent::Accepted(reply) => Fate::Accepted(reply),
                Sent::Refused(reply) => Fate::Refused(reply),
                Sent::Unknown(reply) => Fate::Unknown(reply),
                Sent::Later(reply) => Fate::Later(reply),
            },
            // An address that is none, or texts that do not fit: no later attempt will mend it.
            Err(e) => Fate::Refused(e.to_string()),
        })
    }
}

/// Settles mails that a dead process left in `sending`, and those in doubt, as far as the mail server's log tells.
/// `alone` says that no other process can be sending.
pub fn recover(house: &House, alone: bool) -> Result<usize, StageError> {
    let now = house.clock.now();
    let (sending, doubtful) = house.store.look("mail.unsettled", |tx| {
        Ok::<_, StoreError>((
            tx.steps_in(Channel::Mail, StepState::Sending, Timestamp::UNIX_EPOCH, UNSETTLED_MAX)?,
            tx.steps_in(Channel::Mail, StepState::InDoubt, Timestamp::UNIX_EPOCH, UNSETTLED_MAX)?,
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
            outbox::put_off(house, &mut step, times, now);
        }
        if step.state != was {
            house.store.tx("mail.recover", |tx| outbox::write(tx, was, &step, now))?;
            settled += 1;
        }
    }
    Ok(settled)
}

fn state_of(fate: postfix::Fate) -> StepState {
    match fate {
        postfix::Fate::Accepted => StepState::Sent,
        postfix::Fate::Delivered => StepState::Delivered,
        postfix::Fate::Bounced => StepState::Failed,
    }
}

/// Learns from the mail server's log which sent mails reached their mailbox.
fn learn_deliveries(house: &House) -> Result<usize, StageError> {
    if matches!(house.receipts, Receipts::None) {
        return Ok(0);
    }
    let now = house.clock.now();
    let sent = house.store.look("mail.sent", |tx| {
        tx.steps_in(Channel::Mail, StepState::Sent, now - DELIVERY_AWAITED, DELIVERY_BATCH)
    })?;
    let mut learnt = 0;
    for mail in sent {
        let state = match house.receipts.of(&mail.message_id, mail.handed.unwrap_or(mail.changed)) {
            Receipt::Known(fate) => state_of(fate),
            Receipt::Absent | Receipt::Unknown => continue,
        };
        if state != StepState::Sent {
            let step = Step { state, ..mail.step };
            house.store.tx("mail.delivered", |tx| outbox::write(tx, StepState::Sent, &step, now))?;
            learnt += 1;
        }
    }
    Ok(learnt)
}
