//! Steps of the ladder on their way out, one row per (case, step): not what is said, nor to whom. The states are what makes
//! "never twice" hold over a crash:
//!
//! ```text
//!   proposed ──a person──▶ pending ──claim──▶ sending ──accepted──▶ sent ──log──▶ delivered
//!      └──▶ rejected          ▲                  │  └──later──▶ pending, later      └──▶ failed (refused, came back)
//!                             └──known unsent────┴── died while sending ──▶ asked of the log, else in-doubt, for a person
//! ```
//!
//! Claiming is the one place where the switch that stops everything, and how much may be handed over in an hour, hold: in the
//! same transaction, for every process.

use jiff::Timestamp;
use noroshi_model::case::StepState;
use noroshi_model::{Channel, Id, Step};

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// A step as it lies in the outbox.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The step.
    pub step: Step,
    /// Its Message-ID.
    pub message_id: String,
    /// When its state last changed.
    pub changed: Timestamp,
    /// When it was last about to be handed over; what a mail server's log is asked about.
    pub handed: Option<Timestamp>,
}

const COLUMNS: &str =
    "case_id, step, channel, state, attempts, due_ms, reply, message_id, changed_ms, handed_ms";
const HOUR_MS: i64 = 3_600_000;

impl Outgoing {
    /// What it is known by outside.
    pub fn key(&self) -> Id {
        Step::key(&self.step.case, self.step.number)
    }
}

/// What is stopped, by whom, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Stopped {
    /// `*`, `channel:sms`, `campaign:NAME`.
    pub scope: String,
    /// Since when.
    pub since: Timestamp,
    /// Who did.
    pub person: String,
    /// Why.
    pub why: String,
}

/// A step that waits for a person, with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The case.
    pub case: Id,
    /// The step's number.
    pub number: u32,
    /// By which way.
    pub channel: Channel,
    /// Since when it waits.
    pub since: Timestamp,
    /// The campaign.
    pub campaign: String,
    /// The malware family.
    pub family: String,
    /// When the line was seen last.
    pub last_seen: Timestamp,
}

/// The scope of everything.
pub const EVERYTHING: &str = "*";

impl Tx<'_> {
    /// Puts a step into the outbox; false where this (case, step) already is there.
    pub fn insert_step(&mut self, step: &Step, message_id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO outbox (case_id, step, channel, state, attempts, due_ms, reply, message_id, changed_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (case_id, step) DO NOTHING",
            values![
                &step.case,
                step.number,
                step.channel.id(),
                step.state.id(),
                step.attempts,
                step.due,
                &step.reply,
                message_id,
                now
            ],
        )?;
        if new == 1 {
            self.tell_of_step(None, step, now)?;
        }
        Ok(new == 1)
    }

    /// The next due steps of a way: at most `limit`, and at most `per_hour` in an hour of the clock; none of what is stopped.
    pub fn steps_due(
        &mut self,
        channel: Channel,
        per_hour: Option<u32>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let stopped = self.stopped()?;
        let of_channel = format!("channel:{channel}");
        if stopped.iter().any(|stopped| stopped.scope == EVERYTHING || stopped.scope == of_channel) {
            return Ok(Vec::new());
        }
        let hour = now.as_millisecond().div_euclid(HOUR_MS);
        let limit = match per_hour {
            Some(most) => limit.min(most.saturating_sub(self.pace(channel, hour)?)),
            None => limit,
        };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let unless_stopped = match stopped.is_empty() {
            true => "",
            false => {
                "AND NOT EXISTS (SELECT 1 FROM cases c JOIN stopped s ON s.scope = 'campaign:' || c.campaign
                   WHERE c.id = outbox.case_id AND s.until_ms IS NULL)"
            }
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE channel = ?1 AND state = 'pending' AND due_ms <= ?2 {unless_stopped}
             ORDER BY due_ms, case_id, step LIMIT ?3"
        );
        self.rows(&sql, values![channel.id(), now, limit])?.iter().map(outgoing).collect()
    }

    /// Takes the next due steps of a way and marks them as being handed over.
    pub fn claim_steps(
        &mut self,
        channel: Channel,
        per_hour: Option<u32>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let due = self.steps_due(channel, per_hour, limit, now)?;
        let hour = now.as_millisecond().div_euclid(HOUR_MS);
        let mut claimed = Vec::with_capacity(due.len());
        for mut step in due {
            step.step.state = StepState::Sending;
            step.step.attempts += 1;
            step.handed = Some(now);
            if self.put_step(StepState::Pending, &step.step, now)? {
                self.execute(
                    "UPDATE outbox SET handed_ms = ?3 WHERE case_id = ?1 AND step = ?2",
                    values![&step.step.case, step.step.number, now],
                )?;
                claimed.push(step);
            }
        }
        if per_hour.is_some() && !claimed.is_empty() {
            self.execute(
                "INSERT INTO pace (channel, hour, taken) VALUES (?1, ?2, ?3)
                 ON CONFLICT (channel, hour) DO UPDATE SET taken = pace.taken + excluded.taken",
                values![channel.id(), hour, claimed.len() as i64],
            )?;
            self.execute("DELETE FROM pace WHERE hour < ?1", values![hour - 1])?;
        }
        Ok(claimed)
    }

    /// How many steps of a way were handed over in an hour.
    fn pace(&mut self, channel: Channel, hour: i64) -> Result<u32, StoreError> {
        let row =
            self.row("SELECT taken FROM pace WHERE channel = ?1 AND hour = ?2", values![channel.id(), hour])?;
        let taken = row.map_or(Ok(0), |row| row.int(0))?;
        Ok(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// Writes where a step stands, if it still stands where it was read (`was`); false where somebody else has moved it.
    pub fn put_step(&mut self, was: StepState, step: &Step, now: Timestamp) -> Result<bool, StoreError> {
        let moved = self.execute(
            "UPDATE outbox SET state = ?3, attempts = ?4, due_ms = ?5, reply = ?6, changed_ms = ?7
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
        if moved == 1 {
            self.tell_of_step(Some(was), step, now)?;
        }
        Ok(moved == 1)
    }

    /// Stops what is named until somebody says otherwise; false where it is stopped already.
    pub fn stop(&mut self, stopped: &Stopped) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO stopped (scope, since_ms, person, why) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            values![stopped.scope.as_str(), stopped.since, stopped.person.as_str(), stopped.why.as_str()],
        )?;
        if new == 1 {
            self.tell_of_switch(&stopped.scope, true, stopped.since)?;
        }
        Ok(new == 1)
    }

    /// Lets it go on; false where it was not stopped.
    pub fn go_on(
        &mut self,
        scope: &str,
        person: &str,
        why: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let ended = self.execute(
            "UPDATE stopped SET until_ms = ?2, until_person = ?3, until_why = ?4
             WHERE scope = ?1 AND until_ms IS NULL",
            values![scope, now, person, why],
        )?;
        if ended == 1 {
            self.tell_of_switch(scope, false, now)?;
        }
        Ok(ended == 1)
    }

    /// What is stopped now.
    pub fn stopped(&mut self) -> Result<Vec<Stopped>, StoreError> {
        let rows = self.rows(
            "SELECT scope, since_ms, person, why FROM stopped WHERE until_ms IS NULL ORDER BY scope",
            &[],
        )?;
        let stopped = |row: &Row| {
            Ok(Stopped {
                scope: row.text(0)?.into(),
                since: row.time(1)?,
                person: row.text(2)?.into(),
                why: row.text(3)?.into(),
            })
        };
        rows.iter().map(stopped).collect()
    }

    /// Steps of a case that are still to come are not taken any more.
    pub fn stop_steps(&mut self, case: &Id, why: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(
            "UPDATE outbox SET state = 'stopped', reply = ?2, changed_ms = ?3
             WHERE case_id = ?1 AND state IN ('proposed', 'pending')",
            values![case, why, now],
        )
    }

    /// Steps of a way that have been in a state since `since` or later, newest first.
    pub fn steps_in(
        &mut self,
        channel: Channel,
        state: StepState,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE channel = ?1 AND state = ?2 AND changed_ms >= ?3
             ORDER BY changed_ms DESC, case_id, step LIMIT ?4"
        );
        self.rows(&sql, values![channel.id(), state.id(), since, limit])?.iter().map(outgoing).collect()
    }

    /// How many steps of each way wait for a person or their turn, are being handed over, or are in doubt.
    pub fn steps_waiting(&mut self) -> Result<Vec<(String, String, u64)>, StoreError> {
        let rows = self.rows(
            "SELECT channel, state, COUNT(*) FROM outbox
             WHERE channel IN ('mail', 'sms', 'letter', 'call', 'walled-garden')
               AND state IN ('proposed', 'pending', 'sending', 'in-doubt')
             GROUP BY channel, state ORDER BY channel, state",
            &[],
        )?;
        rows.iter().map(|row| Ok((row.text(0)?.into(), row.text(1)?.into(), row.count(2)?))).collect()
    }

    /// The step with a Message-ID.
    pub fn step_by_message_id(&mut self, message_id: &str) -> Result<Option<Outgoing>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE message_id = ?1");
        self.row(&sql, values![message_id])?.as_ref().map(outgoing).transpose()
    }

    /// Whether a batch was committed: a step says that it is in it.
    pub fn has_batch(&mut self, channel: Channel, name: &str) -> Result<bool, StoreError> {
        let found = self.number(
            "SELECT COUNT(*) FROM outbox WHERE channel = ?1 AND state IN ('sent', 'delivered', 'failed') AND reply = ?2",
            values![channel.id(), name],
        )?;
        Ok(found > 0)
    }

    /// The steps of a case, in order.
    pub fn steps(&mut self, case: &Id) -> Result<Vec<Outgoing>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE case_id = ?1 ORDER BY step");
        self.rows(&sql, values![case])?.iter().map(outgoing).collect()
    }
}

/// A step that waits, as both lists of them read it.
pub(crate) fn proposed(row: &Row) -> Result<Proposed, StoreError> {
    Ok(Proposed {
        case: row.id(0)?,
        number: u32::try_from(row.int(1)?).unwrap_or(u32::MAX),
        channel: row.parsed(2, Channel::parse)?,
        since: row.time(3)?,
        campaign: row.text(4)?.into(),
        family: row.text(5)?.into(),
        last_seen: row.time(6)?,
    })
}

fn outgoing(row: &Row) -> Result<Outgoing, StoreError> {
    Ok(Outgoing {
        step: Step {
            case: row.id(0)?,
            number: u32::try_from(row.int(1)?).unwrap_or(u32::MAX),
            channel: row.parsed(2, Channel::parse)?,
            state: row.parsed(3, StepState::parse)?,
            attempts: u32::try_from(row.int(4)?).unwrap_or(u32::MAX),
            due: row.time(5)?,
            reply: row.text(6)?.into(),
        },
        message_id: row.text(7)?.into(),
        changed: row.time(8)?,
        handed: row.time_opt(9)?,
    })
}
