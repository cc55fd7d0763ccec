//! Lists as a program reads them: newest first, from where it left off, so that what comes in meanwhile shifts nothing and a page far
//! back costs what the first one does. Where it left off is a time and what tells rows of one time apart ([`Place`]).

use jiff::Timestamp;
use noroshi_law::evidence::Entry;
use noroshi_model::Id;

use crate::consent::ConsentRow;
use crate::outbox::Proposed;
use crate::quarantine::{LISTED, Quarantined, listed};
use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// The row that was read last: when it was, in milliseconds since 1970, and its other keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What tells rows of one time apart.
    pub keys: Vec<String>,
}

impl Place {
    fn key(place: Option<&Self>, number: usize) -> String {
        place.and_then(|place| place.keys.get(number)).cloned().unwrap_or_default()
    }

    /// Newest first: what is not newer than this.
    fn not_after(place: Option<&Self>) -> i64 {
        place.map_or(i64::MAX, |place| place.at_ms)
    }
}

/// A refusal, with what tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// The measure.
    pub measure: String,
    /// The rule.
    pub rule: String,
    /// Its words.
    pub reason: String,
    /// The case it was about, where it was about one.
    pub case: Option<Id>,
}

impl Tx<'_> {
    /// Quarantined lines, newest first, behind a place: (when read; id).
    pub fn quarantine_behind(
        &mut self,
        feed: &str,
        place: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let sql = format!(
            "SELECT {LISTED} FROM quarantine
             WHERE at_ms <= ?1 AND (at_ms < ?1 OR id > ?2) AND (CAST(?3 AS TEXT) = '' OR feed = ?3)
             ORDER BY at_ms DESC, id LIMIT ?4"
        );
        let rows = self.rows(&sql, values![Place::not_after(place), Place::key(place, 0), feed, limit])?;
        rows.iter().map(listed).collect()
    }

    /// Refusals, newest first, behind a place: (when; id).
    pub fn refusals_behind(&mut self, place: Option<&Place>, limit: u32) -> Result<Vec<Refused>, StoreError> {
        let rows = self.rows(
            "SELECT id, at_ms, measure, rule, reason, case_id FROM refusal
             WHERE at_ms <= ?1 AND (at_ms < ?1 OR id > ?2) ORDER BY at_ms DESC, id LIMIT ?3",
            values![Place::not_after(place), Place::key(place, 0), limit],
        )?;
        let refused = |row: &Row| {
            Ok(Refused {
                id: row.text(0)?.into(),
                at: row.time(1)?,
                measure: row.text(2)?.into(),
                rule: row.text(3)?.into(),
                reason: row.text(4)?.into(),
                case: row.text_opt(5)?.and_then(Id::parse),
            })
        };
        rows.iter().map(refused).collect()
    }

    /// Consents, newest first, behind a place: (since when; scope, measure).
    pub fn consents_behind(
        &mut self,
        place: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<ConsentRow>, StoreError> {
        let rows = self.rows(
            "SELECT scope, measure, since_ms, granted, how FROM consent
             WHERE since_ms <= ?1 AND (since_ms < ?1 OR scope > ?2 OR (scope = ?2 AND measure > ?3))
             ORDER BY since_ms DESC, scope, measure LIMIT ?4",
            values![Place::not_after(place), Place::key(place, 0), Place::key(place, 1), limit],
        )?;
        let consent = |row: &Row| {
            Ok(ConsentRow {
                scope: row.text(0)?.into(),
                measure: row.text(1)?.into(),
                since: row.time(2)?,
                granted: row.flag(3)?,
                how: row.text(4)?.into(),
            })
        };
        rows.iter().map(consent).collect()
    }

    /// Steps that wait for a person, longest first, behind a place: (since when; case, number).
    pub fn steps_proposed_behind(
        &mut self,
        place: Option<&Place>,
        limit: u32,
    ) -> Result<Vec<Proposed>, StoreError> {
        let after = place.map_or(i64::MIN, |place| place.at_ms);
        let number: i64 = Place::key(place, 1).parse().unwrap_or(0);
        let rows = self.rows(
            "SELECT o.case_id, o.step, o.channel, o.changed_ms, c.campaign, c.family, c.last_ms
             FROM outbox o JOIN cases c ON c.id = o.case_id
             WHERE o.channel IN ('mail', 'sms', 'letter', 'call', 'walled-garden') AND o.state = 'proposed'
               AND o.changed_ms >= ?1
               AND (o.changed_ms > ?1 OR o.case_id > ?2 OR (o.case_id = ?2 AND o.step > ?3))
             ORDER BY o.changed_ms, o.case_id, o.step LIMIT ?4",
            values![after, Place::key(place, 0), number, limit],
        )?;
        rows.iter().map(crate::outbox::proposed).collect()
    }

    /// Evidence entries, newest first, below an index.
    pub fn evidence_below(&mut self, index: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let rows = self.rows(
            "SELECT body FROM evidence WHERE idx < ?1 ORDER BY idx DESC LIMIT ?2",
            values![index, limit],
        )?;
        let entry = |row: &Row| {
            Entry::from_bytes(row.bytes(0)?)
                .ok_or_else(|| StoreError::Corrupt("an evidence entry does not read".into()))
        };
        rows.iter().map(entry).collect()
    }
}
