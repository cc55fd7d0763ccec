//! Observed: events, the quarantine, how far each input was read, and the counts that must add up.

use jiff::Timestamp;
use noroshi_model::{Bad, Event, Id, Tally};

use crate::row::values;
use crate::{StoreError, Tx};

/// How far an input was read: enough to go on after a crash without counting anything twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intake {
    /// Hash of kind, campaign and the input's identity.
    pub id: Id,
    /// `seized`, `feed`, `radius`.
    pub kind: String,
    /// The file's name, for people.
    pub source: String,
    /// The campaign.
    pub campaign: String,
    /// Records handled so far.
    pub position: u64,
    /// Whether its end was reached.
    pub done: bool,
}

/// A quarantined line as listed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Quarantined {
    /// Its id.
    pub id: String,
    /// The campaign.
    pub campaign: String,
    /// The file.
    pub source: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
    /// The line's beginning; absent for sealed inputs.
    pub snippet: Option<String>,
    /// The line's length in bytes.
    pub bytes: u64,
    /// When it was read.
    pub at: Timestamp,
}

impl Tx<'_> {
    /// Stores an event; false where the same event is already there.
    pub fn insert_event(&mut self, event: &Event, now: Timestamp) -> Result<bool, StoreError> {
        let body = serde_json::to_string(event).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let changed = self.execute(
            "INSERT INTO event (id, seen_ms, stored_ms, campaign, family, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO NOTHING",
            values![&event.id(), event.time_source, now, &event.feed_code, event.family(), body],
        )?;
        Ok(changed == 1)
    }

    /// One event.
    pub fn event(&mut self, id: &Id) -> Result<Option<Event>, StoreError> {
        self.row("SELECT body FROM event WHERE id = ?1", values![id])?.map(|row| row.json(0)).transpose()
    }

    /// Ids of all events, ascending, a page at a time.
    pub fn event_ids(&mut self, after: &str, limit: u32) -> Result<Vec<Id>, StoreError> {
        let rows =
            self.rows("SELECT id FROM event WHERE id > ?1 ORDER BY id LIMIT ?2", values![after, limit])?;
        rows.iter().map(|row| row.id(0)).collect()
    }

    /// Keeps a bad line. `snippet` is `None` where the input is sealed.
    pub fn insert_quarantine(
        &mut self,
        campaign: &str,
        source: &str,
        bad: &Bad,
        sealed: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = Id::of(
            "quarantine",
            &[
                campaign.as_bytes(),
                source.as_bytes(),
                &bad.line.to_be_bytes(),
                &bad.bytes.to_be_bytes(),
                &bad.snippet,
            ],
        );
        let snippet = (!sealed).then(|| bad.snippet.clone());
        self.execute(
            "INSERT INTO quarantine (id, campaign, source, line, reason, snippet, bytes, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
            values![&id, campaign, source, bad.line, &bad.reason, snippet, bad.bytes, now],
        )?;
        Ok(())
    }

    /// The quarantine, newest first.
    pub fn quarantine(&mut self, offset: u64, limit: u32) -> Result<Vec<Quarantined>, StoreError> {
        let rows = self.rows(
            "SELECT id, campaign, source, line, reason, snippet, bytes, at_ms FROM quarantine
             ORDER BY at_ms DESC, source, line, id LIMIT ?1 OFFSET ?2",
            values![limit, offset],
        )?;
        rows.iter()
            .map(|row| {
                let snippet = row.bytes(5)?;
                Ok(Quarantined {
                    id: row.text(0)?.into(),
                    campaign: row.text(1)?.into(),
                    source: row.text(2)?.into(),
                    line: row.count(3)?,
                    reason: row.text(4)?.into(),
                    snippet: (!snippet.is_empty()).then(|| String::from_utf8_lossy(snippet).into_owned()),
                    bytes: row.count(6)?,
                    at: row.time(7)?,
                })
            })
            .collect()
    }

    /// How far an input was read, if it was begun.
    pub fn intake(&mut self, id: &Id) -> Result<Option<Intake>, StoreError> {
        let row =
            self.row("SELECT kind, source, campaign, position, done FROM intake WHERE id = ?1", values![id])?;
        row.map(|row| {
            Ok(Intake {
                id: id.clone(),
                kind: row.text(0)?.into(),
                source: row.text(1)?.into(),
                campaign: row.text(2)?.into(),
                position: row.count(3)?,
                done: row.flag(4)?,
            })
        })
        .transpose()
    }

    /// Notes how far an input was read and adds to the campaign's counts, in the transaction that stored the records.
    pub fn advance(&mut self, intake: &Intake, counts: &Tally, now: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO intake (id, kind, source, campaign, position, done, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET
               position = excluded.position, done = excluded.done, at_ms = excluded.at_ms",
            values![
                &intake.id,
                &intake.kind,
                &intake.source,
                &intake.campaign,
                intake.position,
                intake.done,
                now
            ],
        )?;
        self.execute(
            "INSERT INTO tally (campaign, kind, read, stored, duplicate, filtered, quarantined)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (campaign, kind) DO UPDATE SET
               read = tally.read + excluded.read, stored = tally.stored + excluded.stored,
               duplicate = tally.duplicate + excluded.duplicate, filtered = tally.filtered + excluded.filtered,
               quarantined = tally.quarantined + excluded.quarantined",
            values![
                &intake.campaign,
                &intake.kind,
                counts.read,
                counts.stored,
                counts.duplicate,
                counts.filtered,
                counts.quarantined
            ],
        )?;
        Ok(())
    }

    /// The counts of every campaign and kind of input.
    pub fn tallies(&mut self) -> Result<Vec<(String, String, Tally)>, StoreError> {
        let rows = self.rows(
            "SELECT campaign, kind, read, stored, duplicate, filtered, quarantined FROM tally ORDER BY kind, campaign",
            &[],
        )?;
        rows.iter()
            .map(|row| {
                let tally = Tally {
                    read: row.count(2)?,
                    stored: row.count(3)?,
                    duplicate: row.count(4)?,
                    filtered: row.count(5)?,
                    quarantined: row.count(6)?,
                };
                Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned(), tally))
            })
            .collect()
    }
}
