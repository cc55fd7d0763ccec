//! Addresses of organisations that were seen, and the messages in which they are told.
//!
//! ```text
//!   alert (message: none) ──an organisation may be told──▶ message n, a row for each contact ──claim──▶ sending ──▶ sent
//! ```
//!
//! An alert and the message in which it is told are written in one transaction, so that none is told twice and none is left out.

use jiff::{SignedDuration, Timestamp};
use noroshi_model::case::StepState;
use noroshi_model::organisation::{Alert, Organisation, Role, Seen, Way};
use noroshi_model::{Id, Mark};

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Characters kept of what a receiver said.
const SAID_CHARS_MAX: usize = 200;

const ALERT: &str = "SELECT id, organisation, ip, role, class, tool, protocol, source_port, port, packets, sensors, first_ms, last_ms, \
                     episode, alerted_ms, message, muted FROM alert";
const MESSAGE: &str = "SELECT id, organisation, number, way, target, secret_file, state, attempts, due_ms, made_ms, changed_ms, handed_ms, \
                       reply FROM alert_message";

/// A message to an organisation, by one way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AlertMessage {
    /// What the receiver knows it by.
    pub id: Id,
    /// To whom.
    pub organisation: String,
    /// Which of its messages.
    pub number: u64,
    /// By which way.
    pub way: Way,
    /// Where to.
    pub target: String,
    /// File with the secret by which it is signed.
    #[serde(skip)]
    pub secret_file: Option<String>,
    /// Where it stands.
    pub state: StepState,
    /// How often it was tried.
    pub attempts: u32,
    /// Not tried before.
    pub due: Timestamp,
    /// When it was made.
    pub made: Timestamp,
    /// When its state changed last.
    pub changed: Timestamp,
    /// When it was handed over, or not at all.
    pub handed: Option<Timestamp>,
    /// What was said of it.
    pub reply: String,
}

impl Tx<'_> {
    /// One alert.
    pub fn alert(&mut self, id: &Id) -> Result<Option<Alert>, StoreError> {
        self.row(&format!("{ALERT} WHERE id = ?1"), values![id])?.as_ref().map(alert).transpose()
    }

    /// Writes an alert.
    pub fn put_alert(&mut self, one: &Alert) -> Result<(), StoreError> {
        let Seen { ip, role, class, tool, protocol, source_port, port, packets, sensors, first, last } =
            &one.seen;
        self.execute(
            "INSERT INTO alert (id, organisation, ip, role, class, tool, protocol, source_port, port, packets, sensors,
               first_ms, last_ms, episode, alerted_ms, message, muted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT (id) DO UPDATE SET class = ?5, tool = ?6, protocol = ?7, source_port = ?8, port = ?9, packets = ?10,
               sensors = ?11, first_ms = ?12, last_ms = ?13, episode = ?14, alerted_ms = ?15, message = ?16, muted = ?17",
            values![
                &one.id,
                &one.organisation,
                ip.to_string(),
                role.id(),
                class,
                tool,
                protocol,
                source_port.map(u32::from),
                port.map(u32::from),
                *packets,
                *sensors,
                *first,
                *last,
                one.episode,
                one.alerted,
                one.message,
                one.muted
            ],
        )?;
        Ok(())
    }

    /// Alerts of one organisation or all, the one seen last first; behind a place.
    pub fn alerts(
        &mut self,
        organisation: Option<&str>,
        behind: Option<&Mark>,
        limit: u32,
    ) -> Result<Vec<Alert>, StoreError> {
        let (at, id) = match behind {
            Some(mark) => (mark.at.as_millisecond(), mark.id.as_str()),
            None => (i64::MAX, ""),
        };
        let rows = self.rows(
            &format!(
                "{ALERT} WHERE (CAST(?1 AS TEXT) IS NULL OR organisation = ?1)
                 AND (last_ms < ?2 OR (last_ms = ?2 AND id > ?3)) ORDER BY last_ms DESC, id LIMIT ?4"
            ),
            values![organisation, at, id, limit],
        )?;
        rows.iter().map(alert).collect()
    }

    /// Alerts of which something was seen since, of whichever organisation.
    pub fn alerts_since(&mut self, since: Timestamp, limit: u32) -> Result<Vec<Alert>, StoreError> {
        let rows = self.rows(
            &format!("{ALERT} WHERE last_ms >= ?1 ORDER BY last_ms DESC, id LIMIT ?2"),
            values![since, limit],
        )?;
        rows.iter().map(alert).collect()
    }

    /// The alerts that a message tells, the first seen first, and how many there are.
    pub fn alerts_of_message(
        &mut self,
        organisation: &str,
        number: u64,
        limit: u32,
    ) -> Result<(Vec<Alert>, u64), StoreError> {
        let which = "WHERE organisation = ?1 AND message = ?2";
        let these = values![organisation, number];
        let all = self.number(&format!("SELECT COUNT(*) FROM alert {which}"), these)?.unsigned_abs();
        let rows = self.rows(
            &format!("{ALERT} {which} ORDER BY first_ms, id LIMIT ?3"),
            values![organisation, number, limit],
        )?;
        Ok((rows.iter().map(alert).collect::<Result<_, _>>()?, all))
    }

    /// How many alerts an organisation has, and how many of them it is still to be told.
    pub fn alerts_count(&mut self, organisation: &str) -> Result<(u64, u64), StoreError> {
        let row = self.row(
            "SELECT COUNT(*), SUM(CASE WHEN message IS NULL AND muted = 0 THEN 1 ELSE 0 END) FROM alert
             WHERE organisation = ?1",
            values![organisation],
        )?;
        row.map_or(Ok((0, 0)), |row| Ok((row.count(0)?, row.count_opt(1)?.unwrap_or(0))))
    }

    /// Makes a message of everything an organisation is still to be told, one for each of its contacts, and leaves it in peace for so long.
    /// Gives back how many addresses that tells; where nobody is to be told, they count as told.
    pub fn tell_organisation(&mut self, one: &Organisation, now: Timestamp) -> Result<u64, StoreError> {
        let told = self.execute(
            "UPDATE alert SET message = ?2 WHERE organisation = ?1 AND message IS NULL AND muted = 0",
            values![&one.key, one.messages],
        )?;
        for contact in self.contacts(&one.key)? {
            let number = one.messages.to_string();
            let parts = [one.key.as_str(), &number, contact.way.id(), &contact.target];
            let id = Id::of("alert-message", &parts.map(str::as_bytes));
            self.execute(
                "INSERT INTO alert_message (id, organisation, number, way, target, secret_file, state, attempts, due_ms, made_ms,
                   changed_ms, reply) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?8, ?8, '') ON CONFLICT DO NOTHING",
                values![
                    &id,
                    &one.key,
                    one.messages,
                    contact.way.id(),
                    &contact.target,
                    contact.secret_file,
                    StepState::Pending.id(),
                    now
                ],
            )?;
        }
        self.put_organisation(one)?;
        Ok(told)
    }

    /// Whether a message is due by one of these ways.
    pub fn alert_message_is_due(&mut self, ways: &[Way], now: Timestamp) -> Result<bool, StoreError> {
        let sql = format!("SELECT id FROM alert_message {} LIMIT 1", due_by(ways));
        Ok(self.row(&sql, values![StepState::Pending.id(), now])?.is_some())
    }

    /// The next message that is due by one of these ways; it is being sent from now on.
    pub fn claim_alert_message(
        &mut self,
        ways: &[Way],
        now: Timestamp,
    ) -> Result<Option<AlertMessage>, StoreError> {
        let sql = format!("{MESSAGE} {} ORDER BY due_ms, id LIMIT 1", due_by(ways));
        let row = self.row(&sql, values![StepState::Pending.id(), now])?;
        let Some(row) = row else { return Ok(None) };
        let mut one = message(&row)?;
        (one.state, one.attempts, one.changed, one.handed) =
            (StepState::Sending, one.attempts + 1, now, Some(now));
        self.put_alert_message(StepState::Pending, &one)?;
        Ok(Some(one))
    }

    /// Writes where a message stands; false where somebody else has settled it.
    pub fn put_alert_message(&mut self, was: StepState, one: &AlertMessage) -> Result<bool, StoreError> {
        let said: String = one.reply.chars().take(SAID_CHARS_MAX).collect();
        let changed = self.execute(
            "UPDATE alert_message SET state = ?3, attempts = ?4, due_ms = ?5, changed_ms = ?6, handed_ms = ?7, reply = ?8
             WHERE id = ?1 AND state = ?2",
            values![
                &one.id,
                was.id(),
                one.state.id(),
                one.attempts,
                one.due,
                one.changed,
                one.handed,
                said
            ],
        )?;
        Ok(changed == 1)
    }

    /// Puts off everything that waits for a contact which does not take anything now.
    pub fn put_off_contact(&mut self, one: &AlertMessage, due: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "UPDATE alert_message SET due_ms = ?5
             WHERE organisation = ?1 AND way = ?2 AND target = ?3 AND state = ?4 AND due_ms < ?5",
            values![&one.organisation, one.way.id(), &one.target, StepState::Pending.id(), due],
        )?;
        Ok(())
    }

    /// One message.
    pub fn alert_message(&mut self, id: &Id) -> Result<Option<AlertMessage>, StoreError> {
        self.row(&format!("{MESSAGE} WHERE id = ?1"), values![id])?.as_ref().map(message).transpose()
    }

    /// Messages in a state, the one that changed first first.
    pub fn alert_messages_in(
        &mut self,
        state: StepState,
        limit: u32,
    ) -> Result<Vec<AlertMessage>, StoreError> {
        let rows = self.rows(
            &format!("{MESSAGE} WHERE state = ?1 ORDER BY changed_ms, id LIMIT ?2"),
            values![state.id(), limit],
        )?;
        rows.iter().map(message).collect()
    }

    /// Messages to an organisation, the newest first.
    pub fn alert_messages(
        &mut self,
        organisation: &str,
        limit: u32,
    ) -> Result<Vec<AlertMessage>, StoreError> {
        let rows = self.rows(
            &format!("{MESSAGE} WHERE organisation = ?1 ORDER BY number DESC, way, target LIMIT ?2"),
            values![organisation, limit],
        )?;
        rows.iter().map(message).collect()
    }

    /// Forgets alerts of which nothing was seen since, and messages made before; how many alerts.
    pub fn forget_alerts(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let over = "('sent', 'delivered', 'failed', 'stopped')";
        let sql = format!("DELETE FROM alert_message WHERE made_ms < ?1 AND state IN {over}");
        self.execute(&sql, values![before])?;
        self.execute("DELETE FROM alert WHERE last_ms < ?1", values![before])
    }
}

/// Which messages are due by one of these ways.
fn due_by(ways: &[Way]) -> String {
    let ways: Vec<String> = ways.iter().map(|way| format!("'{way}'")).collect();
    format!("WHERE state = ?1 AND way IN ({}) AND due_ms <= ?2", ways.join(", "))
}

/// How long a message is put off after so many attempts: five seconds, then twice as long each time, up to four hours.
pub fn pause(attempts: u32) -> SignedDuration {
    let seconds = 5i64 << attempts.saturating_sub(1).min(12);
    SignedDuration::from_secs(seconds).min(SignedDuration::from_hours(4))
}

fn port(row: &Row, column: usize) -> Result<Option<u16>, StoreError> {
    Ok(row.count_opt(column)?.and_then(|port| u16::try_from(port).ok()))
}

fn alert(row: &Row) -> Result<Alert, StoreError> {
    let small = |column| Ok::<_, StoreError>(u32::try_from(row.count(column)?).unwrap_or(u32::MAX));
    let seen = Seen {
        ip: row.parsed(2, |text| text.parse().ok())?,
        role: row.parsed(3, Role::parse)?,
        class: row.text(4)?.into(),
        tool: row.text(5)?.into(),
        protocol: row.text(6)?.into(),
        source_port: port(row, 7)?,
        port: port(row, 8)?,
        packets: row.count(9)?,
        sensors: small(10)?,
        first: row.time(11)?,
        last: row.time(12)?,
    };
    Ok(Alert {
        id: row.id(0)?,
        organisation: row.text(1)?.into(),
        seen,
        episode: small(13)?,
        alerted: row.time(14)?,
        message: row.count_opt(15)?,
        muted: row.flag(16)?,
    })
}

fn message(row: &Row) -> Result<AlertMessage, StoreError> {
    Ok(AlertMessage {
        id: row.id(0)?,
        organisation: row.text(1)?.into(),
        number: row.count(2)?,
        way: row.parsed(3, Way::parse)?,
        target: row.text(4)?.into(),
        secret_file: row.text_opt(5)?.map(str::to_owned),
        state: row.parsed(6, StepState::parse)?,
        attempts: u32::try_from(row.count(7)?).unwrap_or(u32::MAX),
        due: row.time(8)?,
        made: row.time(9)?,
        changed: row.time(10)?,
        handed: row.time_opt(11)?,
        reply: row.text(12)?.into(),
    })
}
