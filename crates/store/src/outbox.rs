//! Mails on their way out, one row per (case, step): not the mail, only for whom it is, sealed. The states are what makes
//! "never twice" hold over a crash:
//!
//! ```text
//!   pending ──claim──▶ sending ──250──▶ sent ──log──▶ delivered
//!      ▲                  │  └──4xx──▶ pending, later      └──▶ failed (5xx, bounced)
//!      └──known unsent────┴── died while sending ──▶ asked of the mail log, else in-doubt, for a person to settle
//! ```

use jiff::Timestamp;
use noroshi_model::case::StepState;
use noroshi_model::{Id, Step};

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// A step, and for whom its mail is, sealed.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The step.
    pub step: Step,
    /// Its Message-ID.
    pub message_id: String,
    /// When its state last changed.
    pub changed: Timestamp,
    /// When the mail server was last about to hear of it; what its log is asked about.
    pub handed: Option<Timestamp>,
    /// For whom, encrypted by the vault; empty once it is no longer needed.
    pub body: Vec<u8>,
}

const COLUMNS: &str =
    "case_id, step, state, attempts, due_ms, reply, message_id, changed_ms, handed_ms, body";

impl Tx<'_> {
    /// Puts a mail into the outbox; false where this (case, step) already has one.
    pub fn insert_mail(
        &mut self,
        step: &Step,
        message_id: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO outbox (case_id, step, state, attempts, due_ms, reply, message_id, changed_ms, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (case_id, step) DO NOTHING",
            values![
                &step.case,
                step.number,
                step.state.id(),
                step.attempts,
                step.due,
                &step.reply,
                message_id,
                now,
                body
            ],
        )?;
        Ok(new == 1)
    }

    /// Takes the next due mail and marks it as being sent.
    pub fn claim_mail(&mut self, now: Timestamp) -> Result<Option<Outgoing>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE state = 'pending' AND due_ms <= ?1 ORDER BY due_ms, case_id, step LIMIT 1"
        );
        let Some(mut mail) = self.row(&sql, values![now])?.as_ref().map(outgoing).transpose()? else {
            return Ok(None);
        };
        mail.step.state = StepState::Sending;
        mail.step.attempts += 1;
        mail.handed = Some(now);
        let claimed = self.put_step(StepState::Pending, &mail.step, now)?;
        self.execute(
            "UPDATE outbox SET handed_ms = ?3 WHERE case_id = ?1 AND step = ?2",
            values![&mail.step.case, mail.step.number, now],
        )?;
        Ok(claimed.then_some(mail))
    }

    /// Writes where a step stands, if it still stands where it was read (`was`); false where somebody else has moved it. For
    /// whom it is, is erased once it is no longer needed.
    pub fn put_step(&mut self, was: StepState, step: &Step, now: Timestamp) -> Result<bool, StoreError> {
        let moved = self.execute(
            "UPDATE outbox SET state = ?3, attempts = ?4, due_ms = ?5, reply = ?6, changed_ms = ?7,
               body = CASE WHEN ?3 IN ('sent', 'delivered', 'failed') THEN NULL ELSE body END
             WHERE case_id = ?1 AND step = ?2 AND state = ?8",
            values![
                &step.case,
                step.number,
                step.state.id(),
                step.attempts,
                step.due,
                &step.reply,
                now,
                was.id()
            ],
        )?;
        Ok(moved == 1)
    }

    /// Mails that have been in a state since `since` or later, newest first.
    pub fn mails_in(
        &mut self,
        state: StepState,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE state = ?1 AND changed_ms >= ?2
             ORDER BY changed_ms DESC, case_id, step LIMIT ?3"
        );
        self.rows(&sql, values![state.id(), since, limit])?.iter().map(outgoing).collect()
    }

    /// The mail with a Message-ID.
    pub fn mail_by_message_id(&mut self, message_id: &str) -> Result<Option<Outgoing>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE message_id = ?1");
        self.row(&sql, values![message_id])?.as_ref().map(outgoing).transpose()
    }

    /// The mails of a case, in order.
    pub fn steps(&mut self, case: &Id) -> Result<Vec<Outgoing>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE case_id = ?1 ORDER BY step");
        self.rows(&sql, values![case])?.iter().map(outgoing).collect()
    }

    /// When the next pending mail is due.
    pub fn next_mail_due(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let row = self.row("SELECT MIN(due_ms) FROM outbox WHERE state = 'pending'", &[])?;
        row.map_or(Ok(None), |row| row.time_opt(0))
    }
}

fn outgoing(row: &Row) -> Result<Outgoing, StoreError> {
    Ok(Outgoing {
        step: Step {
            case: row.id(0)?,
            number: u32::try_from(row.int(1)?).unwrap_or(u32::MAX),
            state: row.parsed(2, StepState::parse)?,
            attempts: u32::try_from(row.int(3)?).unwrap_or(u32::MAX),
            due: row.time(4)?,
            reply: row.text(5)?.into(),
        },
        message_id: row.text(6)?.into(),
        changed: row.time(7)?,
        handed: row.time_opt(8)?,
        body: row.bytes(9)?.to_vec(),
    })
}
