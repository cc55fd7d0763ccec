//! What comes back of mails: read from a mailbox or given by the mail server, and what follows from it.
//!
//! ```text
//!   mailbox ──▶ wire::returned ──▶ which mail? (return path, or the Message-ID) ──▶ what follows, with a row in the database
//!                                     └ none of ours: left for a person            failed: the mail has failed, a case of
//!                                                                                    which no mail arrived is open again
//!                                                                                  complaint: the case is held
//!                                                                                  answer: left for a person
//! ```
//!
//! A return path and a Message-ID are known to nobody who did not get the mail, so what names neither is believed by nobody.
//! A mail in the mailbox is marked as seen only when what it says is durable; given twice it counts once.

mod command;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use noroshi_model::case::StepState;
use noroshi_model::{Case, CaseState, Id, Step};
use noroshi_store::outbox::Outgoing;
use noroshi_store::returns::Return;
use noroshi_store::{StoreError, Tx};
use noroshi_wire::returned::{MAIL_BYTES_MAX, Returned, What, read};
use serde::Serialize;

pub use command::command;
pub use settings::{Returns, ReturnsFile};

use crate::house::House;
use crate::sources::imap::Mailbox;
use crate::stages::outbox;

/// Mails read from the mailbox in one look.
const MAILS_MAX: usize = 1000;
/// Pause after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// What became of the mails that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// About mails of ours, and new.
    pub kept: u64,
    /// The same as before.
    pub duplicate: u64,
    /// About no mail of ours, or no mail at all.
    pub unknown: u64,
    /// Among all of these, those that are left for a person: about no mail of ours, or written by a person.
    pub flagged: u64,
}

impl Looked {
    fn count(&mut self, taken: Taken) {
        match taken.came {
            Came::Kept => self.kept += 1,
            Came::Duplicate => self.duplicate += 1,
            Came::Unknown => self.unknown += 1,
        }
        self.flagged += u64::from(taken.for_a_person);
    }
}

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether it says anything.
    pub came: Came,
    /// Whether a person has to read it; also when it is given again, until one has.
    pub for_a_person: bool,
}

/// Whether it says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Something new of a mail of ours.
    Kept,
    /// Nothing new.
    Duplicate,
    /// Nothing of a mail of ours.
    Unknown,
}

impl Taken {
    const UNKNOWN: Self = Self { came: Came::Unknown, for_a_person: true };
}

/// Looks into the mailbox once.
pub fn look(house: &House, returns: &Returns) -> anyhow::Result<Looked> {
    let mut looked = Looked::default();
    let Some(origin) = &returns.mailbox else { return Ok(looked) };
    // A returned notice is small; of a longer mail its beginning is enough, but IMAP's bound is that of an answer.
    let mut mailbox = Mailbox::open(origin, 4 * MAIL_BYTES_MAX as u64)?;
    let mut unseen = mailbox.unseen()?;
    unseen.truncate(MAILS_MAX);
    for uid in unseen {
        let Some(size) = mailbox.size(uid)? else { continue };
        let taken = if size > 2 * MAIL_BYTES_MAX as u64 {
            Taken::UNKNOWN
        } else {
            let Some(mail) = mailbox.mail(uid)? else { continue };
            take(house, &mail)?
        };
        looked.count(taken);
        mailbox.mark(uid, taken.for_a_person)?;
    }
    mailbox.close();
    Ok(looked)
}

/// Looks into the mailbox again and again, on a thread of its own, where there is one.
pub fn start(house: &Arc<House>) -> anyhow::Result<()> {
    let Some(returns) = house.config.returns.clone().filter(|returns| returns.mailbox.is_some()) else {
        return Ok(());
    };
    let house = Arc::clone(house);
    let forever = move || {
        loop {
            if let Err(e) = keep_looking(&house, &returns) {
                tracing::error!("what comes back of mails cannot be read: {e:#}");
            }
            std::thread::sleep(AFTER_FAILURE);
        }
    };
    std::thread::Builder::new().name("returns".into()).spawn(forever)?;
    Ok(())
}

fn keep_looking(house: &House, returns: &Returns) -> anyhow::Result<()> {
    loop {
        let looked = look(house, returns)?;
        if looked != Looked::default() {
            tracing::info!(
                kept = looked.kept,
                duplicate = looked.duplicate,
                unknown = looked.unknown,
                flagged = looked.flagged,
                "mail came back"
            );
        }
        std::thread::sleep(returns.every);
    }
}

/// Takes in one mail that came back.
pub fn take(house: &House, mail: &[u8]) -> Result<Taken, StoreError> {
    let Some(returned) = read(mail) else { return Ok(Taken::UNKNOWN) };
    let now = house.clock.now();
    let names = names(house, &returned);
    let id = Id::of("mail-return", &[mail]);
    house.store.tx("mail.return", |tx| {
        let Some(about) = find(tx, &names)? else { return Ok(Taken::UNKNOWN) };
        let row = row(id.clone(), &about.step, &returned.what, now);
        let is_new = tx.put_return(&row)?;
        if is_new {
            follow(tx, house, &about, &returned.what, &row)?;
        }
        let came = if is_new { Came::Kept } else { Came::Duplicate };
        Ok(Taken { came, for_a_person: returned.what == What::Answer })
    })
}

/// The Message-IDs of the mails it may be about: by the return path, then those it names itself.
fn names(house: &House, returned: &Returned) -> Vec<String> {
    let domain = &house.config.submission.helo;
    let path = house.config.returns.as_ref().map(|returns| &returns.path);
    let by_path = returned.to.iter().filter_map(|to| path?.open(&house.links, to));
    let by_path = by_path.map(|(key, number)| Step::message_id_of(&key, number, domain));
    by_path.chain(returned.of.iter().map(|id| format!("<{id}>"))).collect()
}

fn find(tx: &mut Tx<'_>, names: &[String]) -> Result<Option<Outgoing>, StoreError> {
    for name in names {
        if let Some(mail) = tx.step_by_message_id(name)? {
            return Ok(Some(mail));
        }
    }
    Ok(None)
}

fn row(id: Id, about: &Step, what: &What, at: jiff::Timestamp) -> Return {
    let (kind, cause, status, said) = match what {
        What::Failed(f) | What::Delayed(f) => {
            let kind = if matches!(what, What::Failed(_)) { "failed" } else { "delayed" };
            (
                kind,
                f.cause.id().to_owned(),
                f.status.map(|s| s.to_string()).unwrap_or_default(),
                f.said.clone(),
            )
        }
        What::Delivered => ("delivered", String::new(), String::new(), String::new()),
        What::Complaint(kind) => (COMPLAINT, kind.clone(), String::new(), String::new()),
        What::Read => ("read", String::new(), String::new(), String::new()),
        What::AutoReply => ("auto-reply", String::new(), String::new(), String::new()),
        What::Answer => ("answer", String::new(), String::new(), String::new()),
    };
    Return {
        id,
        case: about.case.clone(),
        number: about.number,
        kind: kind.to_owned(),
        cause,
        status,
        said,
        at,
    }
}

/// What a mail that was called abuse is kept as.
pub const COMPLAINT: &str = "complaint";

/// What follows from it for the mail and its case.
fn follow(
    tx: &mut Tx<'_>,
    house: &House,
    about: &Outgoing,
    what: &What,
    came: &Return,
) -> Result<(), StoreError> {
    let now = house.clock.now();
    let was = about.step.state;
    match what {
        What::Delivered if matches!(was, StepState::Sent | StepState::InDoubt) => {
            tx.put_step(was, &Step { state: StepState::Delivered, ..about.step.clone() }, now)?;
        }
        // Also one that a server of ours had delivered to the next, which then could not.
        What::Failed(_) if matches!(was, StepState::Sent | StepState::Delivered | StepState::InDoubt) => {
            let reply = format!("came back: {} {} {}", came.cause, came.status, came.said);
            let reply = reply.split_whitespace().collect::<Vec<_>>().join(" ");
            outbox::write(tx, was, &Step { state: StepState::Failed, reply, ..about.step.clone() }, now)?;
        }
        What::Complaint(_) => {
            if let Some(case) = tx.case(&about.step.case)?.filter(|case| case.state.is_open()) {
                tx.put_case(&Case { state: CaseState::Held, next: None, ..case })?;
            }
        }
        _ => {}
    }
    Ok(())
}
