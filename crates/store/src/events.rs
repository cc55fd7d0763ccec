//! Observed: how far each input was read, and the counts that must add up.

use jiff::Timestamp;
use noroshi_model::{Id, Tally};

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

impl Tx<'_> {
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

    /// Forgets how far an input was read: it will be read from its start.
    pub fn forget_intake(&mut self, id: &Id) -> Result<(), StoreError> {
        self.execute("DELETE FROM intake WHERE id = ?1", values![id]).map(|_| ())
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
            "INSERT INTO tally (campaign, kind, read, stored, duplicate, filtered, aggregated, quarantined)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (campaign, kind) DO UPDATE SET
               read = tally.read + excluded.read, stored = tally.stored + excluded.stored,
               duplicate = tally.duplicate + excluded.duplicate, filtered = tally.filtered + excluded.filtered,
               aggregated = tally.aggregated + excluded.aggregated,
               quarantined = tally.quarantined + excluded.quarantined",
            values![
                &intake.campaign,
                &intake.kind,
                counts.read,
                counts.stored,
                counts.duplicate,
                counts.filtered,
                counts.aggregated,
                counts.quarantined
            ],
        )?;
        Ok(())
    }

    /// The counts of every campaign and kind of input.
    pub fn tallies(&mut self) -> Result<Vec<(String, String, Tally)>, StoreError> {
        let rows = self.rows(
            "SELECT campaign, kind, read, stored, duplicate, filtered, aggregated, quarantined FROM tally ORDER BY kind, campaign",
            &[],
        )?;
        rows.iter()
            .map(|row| {
                let tally = Tally {
                    read: row.count(2)?,
                    stored: row.count(3)?,
                    duplicate: row.count(4)?,
                    filtered: row.count(5)?,
                    aggregated: row.count(6)?,
                    quarantined: row.count(7)?,
                };
                Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned(), tally))
            })
            .collect()
    }
}
