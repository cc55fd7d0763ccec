//! Observed: how far each input was read, and the counts that must add up.

use jiff::{SignedDuration, Timestamp};
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
    /// The measure under which its events may be used, and so how long they may be kept; none where they are knowledge.
    pub measure: Option<String>,
    /// Records handled so far.
    pub position: u64,
    /// Whether its end was reached.
    pub done: bool,
}

/// Length of a slot of the rates.
const SLOT: SignedDuration = SignedDuration::from_mins(10);
/// Slots kept: a day, and the one being counted.
const SLOTS_KEPT: i64 = 145;
/// Slots of an hour, and the one being counted.
const SLOTS_OF_HOUR: i64 = 7;

/// What became of one feed's records, and when.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FeedCount {
    /// The feed, or the campaign.
    pub feed: String,
    /// `seized`, `feed`, `radius`.
    pub kind: String,
    /// Since the beginning.
    #[serde(flatten)]
    pub counts: Tally,
    /// When it was first counted.
    pub since: Timestamp,
    /// When it was last counted.
    pub last: Timestamp,
    /// Records read in the last hour, to ten minutes.
    pub hour: u64,
    /// Records read in the last day, to ten minutes.
    pub day: u64,
}

fn slot(at: Timestamp) -> i64 {
    at.as_second().div_euclid(SLOT.as_secs())
}

impl Tx<'_> {
    /// How far an input was read, if it was begun.
    pub fn intake(&mut self, id: &Id) -> Result<Option<Intake>, StoreError> {
        let row = self.row(
            "SELECT kind, source, campaign, position, done, measure FROM intake WHERE id = ?1",
            values![id],
        )?;
        row.map(|row| {
            Ok(Intake {
                id: id.clone(),
                kind: row.text(0)?.into(),
                source: row.text(1)?.into(),
                campaign: row.text(2)?.into(),
                measure: row.text_opt(5)?.map(str::to_owned),
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
            "INSERT INTO intake (id, kind, source, campaign, position, done, at_ms, measure)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET
               position = excluded.position, done = excluded.done, at_ms = excluded.at_ms",
            values![
                &intake.id,
                &intake.kind,
                &intake.source,
                &intake.campaign,
                intake.position,
                intake.done,
                now,
                intake.measure.as_deref()
            ],
        )?;
        self.execute(
            "INSERT INTO tally (campaign, kind, read, stored, duplicate, filtered, aggregated, quarantined, since_ms, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
             ON CONFLICT (campaign, kind) DO UPDATE SET
               read = tally.read + excluded.read, stored = tally.stored + excluded.stored,
               duplicate = tally.duplicate + excluded.duplicate, filtered = tally.filtered + excluded.filtered,
               aggregated = tally.aggregated + excluded.aggregated,
               quarantined = tally.quarantined + excluded.quarantined, at_ms = excluded.at_ms",
            values![
                &intake.campaign,
                &intake.kind,
                counts.read,
                counts.stored,
                counts.duplicate,
                counts.filtered,
                counts.aggregated,
                counts.quarantined,
                now
            ],
        )?;
        if counts.read == 0 {
            return Ok(());
        }
        self.execute(
            "INSERT INTO tally_slot (campaign, kind, slot, read) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (campaign, kind, slot) DO UPDATE SET read = tally_slot.read + excluded.read",
            values![&intake.campaign, &intake.kind, slot(now), counts.read],
        )?;
        self.execute(
            "DELETE FROM tally_slot WHERE campaign = ?1 AND kind = ?2 AND slot <= ?3",
            values![&intake.campaign, &intake.kind, slot(now) - SLOTS_KEPT],
        )?;
        Ok(())
    }

    /// The counts of every feed with their times and rates, in the order in which the feeds were first counted: an order
    /// that new feeds do not change.
    pub fn feed_counts(&mut self, now: Timestamp, limit: u32) -> Result<Vec<FeedCount>, StoreError> {
        let rows = self.rows(
            "SELECT t.campaign, t.kind, t.read, t.stored, t.duplicate, t.filtered, t.quarantined, t.since_ms, t.at_ms,
               t.aggregated, CAST(COALESCE((SELECT SUM(s.read) FROM tally_slot s
                 WHERE s.campaign = t.campaign AND s.kind = t.kind AND s.slot > ?1), 0) AS BIGINT),
               CAST(COALESCE((SELECT SUM(s.read) FROM tally_slot s
                 WHERE s.campaign = t.campaign AND s.kind = t.kind AND s.slot > ?2), 0) AS BIGINT)
             FROM tally t ORDER BY t.since_ms, t.campaign, t.kind LIMIT ?3",
            values![slot(now) - SLOTS_OF_HOUR, slot(now) - SLOTS_KEPT, limit],
        )?;
        rows.iter()
            .map(|row| {
                Ok(FeedCount {
                    feed: row.text(0)?.to_owned(),
                    kind: row.text(1)?.to_owned(),
                    counts: Tally {
                        read: row.count(2)?,
                        stored: row.count(3)?,
                        duplicate: row.count(4)?,
                        filtered: row.count(5)?,
                        quarantined: row.count(6)?,
                        aggregated: row.count(9)?,
                    },
                    since: row.time(7)?,
                    last: row.time(8)?,
                    hour: row.count(10)?,
                    day: row.count(11)?,
                })
            })
            .collect()
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
