//! Forgetting what a measure lets nobody keep any longer: events and findings go, of a case stays what is nobody's.
//!
//! ```text
//!   event     the JSON goes, the id stays (a hash by which the same line fed again is known)
//!   finding   goes, unless a case that rests on it is still open
//!   case      closed ones only: whose it was, the addresses, and what people and servers wrote go; state, dates and hours stay
//! ```
//!
//! What stays of cases is what the statistics are made of: what telling does, which wording works, how infected a network is. So
//! they are the same before and after.
//!
//! Everything here does some and says how many; whoever calls it calls again until it says none, so that no transaction is long.

use jiff::Timestamp;
use noroshi_model::Id;

use crate::row::values;
use crate::{StoreError, Tx};

/// Findings or cases forgotten in one call.
pub const FORGOTTEN_AT_ONCE: u32 = 200;
/// Milliseconds of an hour: what is left of when a line was seen.
const HOUR_MS: i64 = 3_600_000;

/// What is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld<'a> {
    /// The measure under which it was taken in.
    pub measure: &'a str,
    /// Taken in before this, or, for a case, closed before this.
    pub before: Timestamp,
}

impl Tx<'_> {
    /// Whether there is anything to forget: events, findings, cases.
    pub fn is_too_old(&mut self, which: TooOld<'_>) -> Result<[bool; 3], StoreError> {
        let events = self.blocks_too_old(crate::log::Forget::Under(which), 1)?.len();
        let findings = self.findings_too_old(which, 1)?.len();
        let cases = self.cases_too_old(which, 1)?.len();
        Ok([events > 0, findings > 0, cases > 0])
    }

    fn cases_too_old(&mut self, which: TooOld<'_>, limit: u32) -> Result<Vec<Id>, StoreError> {
        let rows = self.rows(
            "SELECT c.id FROM cases c WHERE c.forgotten_ms IS NULL AND c.measure = ?1 AND c.closed_ms < ?2
               AND NOT EXISTS (SELECT 1 FROM garden g WHERE g.case_id = c.id AND g.out_ms IS NULL)
             ORDER BY c.closed_ms, c.id LIMIT ?3",
            values![which.measure, which.before, limit],
        )?;
        rows.iter().map(|row| row.id(0)).collect()
    }

    fn findings_too_old(&mut self, which: TooOld<'_>, limit: u32) -> Result<Vec<Id>, StoreError> {
        let rows = self.rows(
            "SELECT f.id FROM finding f WHERE f.measure = ?1 AND f.kept_ms < ?2
               AND NOT EXISTS (SELECT 1 FROM identification i JOIN cases c ON c.id = i.case_id
                               WHERE i.finding = f.id AND c.closed_ms IS NULL)
             ORDER BY f.kept_ms, f.id LIMIT ?3",
            values![which.measure, which.before, limit],
        )?;
        rows.iter().map(|row| row.id(0)).collect()
    }

    /// Forgets some findings. What was decided and answered for them stays, and names no address.
    pub fn forget_findings(&mut self, which: TooOld<'_>) -> Result<u64, StoreError> {
        let ids = self.findings_too_old(which, FORGOTTEN_AT_ONCE)?;
        for id in &ids {
            self.execute("DELETE FROM finding WHERE id = ?1", values![id])?;
        }
        Ok(ids.len() as u64)
    }

    /// Forgets whose some closed cases were, and where they were seen. A line that is not out of the walled garden yet is waited for.
    pub fn forget_cases(&mut self, which: TooOld<'_>, now: Timestamp) -> Result<u64, StoreError> {
        let ids = self.cases_too_old(which, FORGOTTEN_AT_ONCE)?;
        for id in &ids {
            self.forget_case(id, now)?;
        }
        Ok(ids.len() as u64)
    }

    fn forget_case(&mut self, id: &Id, now: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO case_sighting (case_id, at_ms, ip)
             SELECT DISTINCT case_id, at_ms - at_ms % ?2, '' FROM case_sighting WHERE case_id = ?1 AND ip <> ''
             ON CONFLICT DO NOTHING",
            values![id, HOUR_MS],
        )?;
        for sql in [
            "DELETE FROM case_sighting WHERE case_id = ?1 AND ip <> ''",
            "DELETE FROM case_addressee WHERE case_id = ?1",
            "UPDATE outbox SET reply = '' WHERE case_id = ?1",
            "UPDATE mail_return SET said = '' WHERE case_id = ?1",
            "UPDATE case_act SET why = '' WHERE case_id = ?1",
            "UPDATE garden SET line = NULL, line_key = '' WHERE case_id = ?1",
        ] {
            self.execute(sql, values![id])?;
        }
        // A name that no contract has, so that no case of anybody is beside it.
        self.execute(
            "UPDATE cases SET party = 'forgotten ' || id, first_ms = first_ms - first_ms % ?2, last_ms = last_ms - last_ms % ?2,
               forgotten_ms = ?3 WHERE id = ?1",
            values![id, HOUR_MS, now],
        )?;
        Ok(())
    }

    /// When the last of the forgotten cases was closed: of weeks before that it is not known any more in which network they were.
    pub fn forgotten_until(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let row = self.row("SELECT MAX(closed_ms) FROM cases WHERE forgotten_ms IS NOT NULL", &[])?;
        row.map_or(Ok(None), |row| row.time_opt(0))
    }

    /// Forgets the content of some quarantined lines that came before a time; place and reason stay.
    pub fn forget_quarantined(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.execute(
            "UPDATE quarantine SET content = NULL, kept = 0 WHERE id IN (
               SELECT id FROM quarantine WHERE content IS NOT NULL AND at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
            values![before, FORGOTTEN_AT_ONCE],
        )
    }
}
