//! What is told to others' servers as it happens, and how far that came.
//!
//! ```text
//!   put_case, put_step, stop … ──same transaction──▶ a message for each webhook that wishes it
//!                                                          │ claim (a lease)
//!                                                          ▼
//!                     settled: gone ◀──taken── posted ──not now──▶ the webhook rests, longer each time
//!                                                   └──refused──▶ this message rests; given up after a while
//! ```
//!
//! A message is there exactly if what it tells is. Each webhook has messages of its own, so that one that is dead holds up none of
//! the others. Bodies name a case, never a person, a line or an address.

use jiff::{SignedDuration, Timestamp};
use noroshi_model::case::StepState;
use noroshi_model::{Case, CaseState, Id, Step};
use serde_json::json;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// How long a process may be at one message before another may take it.
pub const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// How long a message is offered.
pub const OFFERED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often one that the receiver refuses is offered.
pub const REFUSALS_MAX: u32 = 14;
/// First pause after a failure; doubled up to [`PAUSE_MAX`].
const PAUSE: SignedDuration = SignedDuration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Characters kept of what a receiver said.
const SAID_CHARS_MAX: usize = 200;
/// Messages given up in one call.
const GIVEN_UP_AT_ONCE: u32 = 1_000;

/// Everything that can be told.
pub const KINDS: [&str; 16] = [
    "case.opened",
    "case.reopened",
    "case.notified",
    "case.reported",
    "case.held",
    "case.closed",
    "case.rejected",
    "case.merged",
    "step.proposed",
    "step.approved",
    "step.rejected",
    "step.sent",
    "step.delivered",
    "step.failed",
    "ladder.stopped",
    "ladder.resumed",
];

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub seq: u64,
    /// What the receiver knows it by.
    pub id: Id,
    /// One of [`KINDS`].
    pub kind: String,
    /// What it tells, as JSON.
    pub body: String,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was refused.
    pub attempts: u32,
}

/// What became of a message that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The receiver has it.
    Taken,
    /// Not now, or nobody knows.
    Later(String),
    /// The receiver does not want this one.
    Refused(String),
}

/// How a webhook does.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WebhookState {
    /// Its name.
    pub name: String,
    /// Messages that wait.
    pub waiting: u64,
    /// Failures in a row.
    pub failures: u64,
    /// Since when it fails.
    pub failing: Option<Timestamp>,
    /// What was said of the last failure.
    pub said: String,
    /// Messages delivered.
    pub delivered: u64,
    /// When the last one was.
    pub last_delivered: Option<Timestamp>,
    /// Messages given up.
    pub given_up: u64,
    /// Not tried before.
    pub due: Timestamp,
}

fn pause(times: u32) -> SignedDuration {
    (PAUSE * (1 << times.saturating_sub(1).min(12))).min(PAUSE_MAX)
}

impl Tx<'_> {
    /// What the configuration says now: each webhook with the kinds it wishes. What waits for others is dropped.
    pub fn put_webhooks(&mut self, webhooks: &[(String, Vec<String>)]) -> Result<(), StoreError> {
        self.execute("DELETE FROM webhook_wish", &[])?;
        for (name, kinds) in webhooks {
            self.execute(
                "INSERT INTO webhook (name, due_ms, lease_ms, failures, said, delivered, given_up)
                 VALUES (?1, 0, 0, 0, '', 0, 0) ON CONFLICT (name) DO NOTHING",
                values![name],
            )?;
            for kind in kinds {
                self.execute(
                    "INSERT INTO webhook_wish (kind, webhook) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    values![kind, name],
                )?;
            }
        }
        let gone = "NOT IN (SELECT webhook FROM webhook_wish)";
        self.execute(&format!("DELETE FROM webhook_message WHERE webhook {gone}"), &[])?;
        self.execute(&format!("DELETE FROM webhook WHERE name {gone}"), &[])?;
        Ok(())
    }

    /// Where no other process can be at it: what a dead one was at may be taken at once.
    pub fn release_webhooks(&mut self) -> Result<(), StoreError> {
        self.execute("UPDATE webhook SET lease_ms = 0", &[])?;
        Ok(())
    }

    /// The next message of a webhook, under a lease; none while it rests, or somebody else is at it.
    pub fn claim_message(&mut self, webhook: &str, now: Timestamp) -> Result<Option<Message>, StoreError> {
        let row = self.row(
            "SELECT m.seq, m.id, m.kind, m.body, m.at_ms, m.attempts FROM webhook w
             JOIN webhook_message m ON m.webhook = w.name
             WHERE w.name = ?1 AND w.due_ms <= ?2 AND w.lease_ms <= ?2 AND m.due_ms <= ?2 ORDER BY m.seq LIMIT 1",
            values![webhook, now],
        )?;
        let Some(row) = row else { return Ok(None) };
        self.execute("UPDATE webhook SET lease_ms = ?2 WHERE name = ?1", values![webhook, now + LEASE])?;
        let message = Message {
            seq: row.count(0)?,
            id: row.id(1)?,
            kind: row.text(2)?.into(),
            body: row.text(3)?.into(),
            at: row.time_opt(4)?.unwrap_or(now),
            attempts: u32::try_from(row.int(5)?).unwrap_or(u32::MAX),
        };
        // From now on it says the same whenever it is repeated.
        self.execute(
            "UPDATE webhook_message SET at_ms = ?2 WHERE seq = ?1",
            values![message.seq, message.at],
        )?;
        Ok(Some(message))
    }

    /// Writes down what became of a message that was claimed.
    pub fn settle_message(
        &mut self,
        webhook: &str,
        message: &Message,
        told: &Told,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let kept = |said: &str| said.chars().take(SAID_CHARS_MAX).collect::<String>();
        match told {
            Told::Taken => {
                self.execute("DELETE FROM webhook_message WHERE seq = ?1", values![message.seq])?;
                self.execute(
                    "UPDATE webhook SET lease_ms = 0, due_ms = 0, failures = 0, failing_ms = NULL, said = '',
                       delivered = delivered + 1, delivered_ms = ?2 WHERE name = ?1",
                    values![webhook, now],
                )?;
            }
            Told::Refused(said) => {
                let attempts = message.attempts + 1;
                self.execute(
                    "UPDATE webhook SET lease_ms = 0, failures = failures + 1, failing_ms = COALESCE(failing_ms, ?2),
                       said = ?3 WHERE name = ?1",
                    values![webhook, now, kept(said)],
                )?;
                if attempts >= REFUSALS_MAX {
                    self.give_up(webhook, &[message.seq])?;
                } else {
                    self.execute(
                        "UPDATE webhook_message SET attempts = ?2, due_ms = ?3 WHERE seq = ?1",
                        values![message.seq, attempts, now + pause(attempts)],
                    )?;
                }
            }
            Told::Later(said) => {
                let failures =
                    self.number("SELECT failures FROM webhook WHERE name = ?1", values![webhook])?;
                let failures = u32::try_from(failures).unwrap_or(u32::MAX).saturating_add(1);
                self.execute(
                    "UPDATE webhook SET lease_ms = 0, failures = ?2, failing_ms = COALESCE(failing_ms, ?3), due_ms = ?4,
                       said = ?5 WHERE name = ?1",
                    values![webhook, failures, now, now + pause(failures), kept(said)],
                )?;
            }
        }
        Ok(())
    }

    /// Gives up what a webhook was offered for too long; how many.
    pub fn give_up_messages(&mut self, webhook: &str, now: Timestamp) -> Result<u64, StoreError> {
        // What nobody has looked at yet is as old as when it is looked at now.
        self.execute(
            "UPDATE webhook_message SET at_ms = ?2 WHERE webhook = ?1 AND at_ms IS NULL",
            values![webhook, now],
        )?;
        let rows = self.rows(
            "SELECT seq FROM webhook_message WHERE webhook = ?1 AND at_ms < ?2 ORDER BY seq LIMIT ?3",
            values![webhook, now - OFFERED_FOR, GIVEN_UP_AT_ONCE],
        )?;
        let old = rows.iter().map(|row| row.count(0)).collect::<Result<Vec<_>, _>>()?;
        self.give_up(webhook, &old)?;
        Ok(old.len() as u64)
    }

    fn give_up(&mut self, webhook: &str, seqs: &[u64]) -> Result<(), StoreError> {
        for seq in seqs {
            self.execute("DELETE FROM webhook_message WHERE seq = ?1", values![*seq])?;
        }
        let sql = "UPDATE webhook SET given_up = given_up + ?2 WHERE name = ?1";
        self.execute(sql, values![webhook, seqs.len()])?;
        Ok(())
    }

    /// How the webhooks do, by name.
    pub fn webhooks(&mut self) -> Result<Vec<WebhookState>, StoreError> {
        let rows = self.rows(
            "SELECT name, (SELECT COUNT(*) FROM webhook_message m WHERE m.webhook = w.name), failures, failing_ms, said,
               delivered, delivered_ms, given_up, due_ms FROM webhook w ORDER BY name",
            &[],
        )?;
        let state = |row: &Row| {
            Ok(WebhookState {
                name: row.text(0)?.into(),
                waiting: row.count(1)?,
                failures: row.count(2)?,
                failing: row.time_opt(3)?,
                said: row.text(4)?.into(),
                delivered: row.count(5)?,
                last_delivered: row.time_opt(6)?,
                given_up: row.count(7)?,
                due: row.time(8)?,
            })
        };
        rows.iter().map(state).collect()
    }

    /// Notes what a case is about to become, where somebody wishes to know.
    pub(crate) fn tell_of_case(&mut self, case: &Case) -> Result<(), StoreError> {
        let was = self.row("SELECT state FROM cases WHERE id = ?1", values![&case.id])?;
        let was = was.as_ref().map(|row| row.text(0)).transpose()?;
        if was == Some(case.state.id()) {
            return Ok(());
        }
        let body = json!({
            "case": case.id, "reference": case.id.reference(), "family": case.family, "campaign": case.campaign,
            "measure": case.measure, "state": case.state, "opened": case.opened, "last-seen": case.last_seen,
            "closed": case.closed, "reinfected": case.reinfected,
        });
        if was.is_none() {
            self.tell("case.opened", Some(case.opened), &body)?;
        }
        // One may be held from its beginning.
        match (case.state, was) {
            (CaseState::Open, None) => Ok(()),
            (CaseState::Open, Some(_)) => self.tell("case.reopened", None, &body),
            (CaseState::Clean, _) => self.tell("case.closed", case.closed, &body),
            (state, _) => self.tell(&format!("case.{state}"), None, &body),
        }
    }

    /// Notes where a step stands, where somebody wishes to know.
    pub(crate) fn tell_of_step(
        &mut self,
        was: Option<StepState>,
        step: &Step,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let word = match (was, step.state) {
            (was, state) if was == Some(state) => return Ok(()),
            (Some(StepState::Proposed), StepState::Pending) => "approved",
            (
                _,
                StepState::Proposed
                | StepState::Rejected
                | StepState::Sent
                | StepState::Delivered
                | StepState::Failed,
            ) => step.state.id(),
            _ => return Ok(()),
        };
        let case = self.case(&step.case)?;
        let named = case.as_ref().map(|case| (case.family.as_str(), case.campaign.as_str()));
        let (family, campaign) = named.unwrap_or_default();
        let body = json!({
            "case": step.case, "reference": step.case.reference(), "family": family, "campaign": campaign,
            "step": step.number, "channel": step.channel, "state": step.state,
        });
        self.tell(&format!("step.{word}"), Some(now), &body)
    }

    /// Notes that telling was stopped, or goes on. Not by whom or why: that is said in words, which may name anybody.
    pub(crate) fn tell_of_switch(
        &mut self,
        scope: &str,
        stopped: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let word = if stopped { "stopped" } else { "resumed" };
        self.tell(&format!("ladder.{word}"), Some(now), &json!({ "scope": scope, "state": word }))
    }

    fn tell(
        &mut self,
        kind: &str,
        at: Option<Timestamp>,
        body: &serde_json::Value,
    ) -> Result<(), StoreError> {
        // Nobody wishes anything: the rule, and one look.
        if self.row("SELECT webhook FROM webhook_wish WHERE kind = ?1 LIMIT 1", values![kind])?.is_none() {
            return Ok(());
        }
        let body = body.to_string();
        // The same may happen twice, and is told twice.
        let id = Id::random().ok_or_else(|| StoreError::Retry("the system gave no randomness".into()))?;
        self.execute(
            "INSERT INTO webhook_message (webhook, id, kind, body, at_ms, due_ms, attempts)
             SELECT webhook, CAST(?2 AS TEXT), CAST(?1 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS BIGINT), 0, 0
             FROM webhook_wish WHERE kind = ?1",
            values![kind, &id, body, at],
        )?;
        Ok(())
    }
}
