//! Approvals of measures, and the queue of emergency uses that wait for their review. A permit of an emergency leaves the house
//! only after its use is in that queue; nothing takes it out again but a review.

use jiff::Timestamp;
use noroshi_law::Use;
use noroshi_law::evidence::Digest;
use serde::Serialize;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Somebody approved a measure's use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Approval {
    /// Its evidence entry.
    pub entry: u64,
    /// The measure.
    pub measure: String,
    /// The dossier as approved.
    pub dossier: Digest,
    /// Who.
    pub person: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

/// An emergency was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EmergencyUse {
    /// The permit's evidence entry, by which it is reviewed.
    pub entry: u64,
    /// The measure.
    pub measure: String,
    /// What for.
    pub usage: String,
    /// When.
    pub at: Timestamp,
    /// What came of the review.
    pub review: Option<Review>,
}

/// What somebody else says of it afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Review {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub reviewer: String,
    /// `justified` or `unjustified`.
    pub verdict: String,
    /// Why.
    pub why: String,
    /// Its evidence entry.
    pub entry: u64,
}

impl Tx<'_> {
    /// Records an approval.
    pub fn put_approval(&mut self, approval: &Approval) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO approval (entry, measure, dossier, person, why, at_ms, until_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![
                approval.entry,
                &approval.measure,
                approval.dossier.to_string(),
                &approval.person,
                &approval.why,
                approval.at,
                approval.until
            ],
        )?;
        Ok(())
    }

    /// How many different people's approval of this dossier stands at a moment.
    pub fn approvers(&mut self, measure: &str, dossier: Digest, now: Timestamp) -> Result<u32, StoreError> {
        let row = self.row(
            "SELECT COUNT(DISTINCT person) FROM approval
             WHERE measure = ?1 AND dossier = ?2 AND at_ms <= ?3 AND until_ms > ?3",
            values![measure, dossier.to_string(), now],
        )?;
        Ok(row.map_or(Ok(0), |row| row.count(0))?.try_into().unwrap_or(u32::MAX))
    }

    /// Whether somebody approved a measure in such a way that it stood at a moment.
    pub fn approved_by(&mut self, measure: &str, person: &str, then: Timestamp) -> Result<bool, StoreError> {
        let row = self.row(
            "SELECT entry FROM approval
             WHERE measure = ?1 AND person = ?2 AND at_ms <= ?3 AND until_ms > ?3 LIMIT 1",
            values![measure, person, then],
        )?;
        Ok(row.is_some())
    }

    /// Approvals that stand at a moment, of whatever measure, newest first.
    pub fn approvals_standing(&mut self, now: Timestamp) -> Result<Vec<Approval>, StoreError> {
        let rows = self.rows(
            "SELECT entry, measure, dossier, person, why, at_ms, until_ms FROM approval
             WHERE at_ms <= ?1 AND until_ms > ?1 ORDER BY entry DESC LIMIT 10000",
            values![now],
        )?;
        rows.iter().map(approval).collect()
    }

    /// Approvals, newest first.
    pub fn approvals(&mut self, offset: u64, limit: u32) -> Result<Vec<Approval>, StoreError> {
        let rows = self.rows(
            "SELECT entry, measure, dossier, person, why, at_ms, until_ms FROM approval
             ORDER BY entry DESC LIMIT ?1 OFFSET ?2",
            values![limit, offset],
        )?;
        rows.iter().map(approval).collect()
    }

    /// Queues an emergency use for its review.
    pub fn put_emergency_use(
        &mut self,
        entry: u64,
        measure: &str,
        usage: Use,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO emergency_use (entry, measure, usage, at_ms, reviewer, verdict, why)
             VALUES (?1, ?2, ?3, ?4, '', '', '')",
            values![entry, measure, usage.id(), at],
        )?;
        Ok(())
    }

    /// One emergency use.
    pub fn emergency_use(&mut self, entry: u64) -> Result<Option<EmergencyUse>, StoreError> {
        self.row(&format!("{USES} WHERE entry = ?1"), values![entry])?.as_ref().map(emergency_use).transpose()
    }

    /// Emergency uses: those that wait for their review, oldest first, or all, newest first; behind one of them.
    pub fn emergency_uses(
        &mut self,
        unreviewed: bool,
        behind: Option<u64>,
        limit: u32,
    ) -> Result<Vec<EmergencyUse>, StoreError> {
        let (which, start) = match unreviewed {
            true => ("reviewed_ms IS NULL AND entry > ?2 ORDER BY entry", -1),
            false => ("entry < ?2 ORDER BY entry DESC", i64::MAX),
        };
        let behind = behind.map_or(start, |entry| i64::try_from(entry).unwrap_or(i64::MAX));
        let rows = self.rows(&format!("{USES} WHERE {which} LIMIT ?1"), values![limit, behind])?;
        rows.iter().map(emergency_use).collect()
    }

    /// How many emergency uses wait for their review.
    pub fn unreviewed(&mut self) -> Result<u64, StoreError> {
        Ok(self.number("SELECT COUNT(*) FROM emergency_use WHERE reviewed_ms IS NULL", &[])?.unsigned_abs())
    }

    /// Writes a review; `false` where there is no such use, or it was reviewed already.
    pub fn put_review(&mut self, entry: u64, review: &Review) -> Result<bool, StoreError> {
        let changed = self.execute(
            "UPDATE emergency_use SET reviewed_ms = ?2, reviewer = ?3, verdict = ?4, why = ?5, review_entry = ?6
             WHERE entry = ?1 AND reviewed_ms IS NULL",
            values![entry, review.at, &review.reviewer, &review.verdict, &review.why, review.entry],
        )?;
        Ok(changed == 1)
    }
}

const USES: &str = "SELECT entry, measure, usage, at_ms, reviewed_ms, reviewer, verdict, why, review_entry \
                    FROM emergency_use";

fn approval(row: &Row) -> Result<Approval, StoreError> {
    Ok(Approval {
        entry: row.count(0)?,
        measure: row.text(1)?.into(),
        dossier: row.parsed(2, Digest::from_hex)?,
        person: row.text(3)?.into(),
        why: row.text(4)?.into(),
        at: row.time(5)?,
        until: row.time(6)?,
    })
}

fn emergency_use(row: &Row) -> Result<EmergencyUse, StoreError> {
    let review = match row.time_opt(4)? {
        None => None,
        Some(at) => Some(Review {
            at,
            reviewer: row.text(5)?.into(),
            verdict: row.text(6)?.into(),
            why: row.text(7)?.into(),
            entry: row.count(8)?,
        }),
    };
    let (measure, usage) = (row.text(1)?.into(), row.text(2)?.into());
    Ok(EmergencyUse { entry: row.count(0)?, measure, usage, at: row.time(3)?, review })
}
