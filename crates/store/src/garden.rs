//! Lines in the walled garden: a row is there before the access server is told, and until it has said that the line is out, so
//! that no crash leaves a line restricted that nobody knows of.

use jiff::Timestamp;
use noroshi_model::{CaseState, Id};

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// A stay in the garden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The case.
    pub case: Id,
    /// The step that led there.
    pub step: u32,
    /// Keyed hash of the line, by which it is asked for.
    pub line_key: String,
    /// The line, encrypted by the vault; empty once it is out.
    pub line: Vec<u8>,
    /// Index of the evidence entry of the permit.
    pub permit: u64,
    /// Since when.
    pub since: Timestamp,
    /// Until when at most.
    pub until: Timestamp,
    /// When letting it out was asked for.
    pub asked: Option<Timestamp>,
    /// Why.
    pub why: String,
    /// Not tried before.
    pub due: Timestamp,
    /// How often letting it out was tried.
    pub attempts: u32,
    /// When it was out.
    pub out: Option<Timestamp>,
}

const COLUMNS: &str =
    "case_id, step, line_key, line, permit, since_ms, until_ms, asked_ms, why, due_ms, attempts, out_ms";

impl Tx<'_> {
    /// Writes down that a line is about to enter, or is tried again; false where its subscriber has opted out of the measure
    /// or the case is not open any more. Whoever says so later finds the line in the garden, and asks it out.
    pub fn enter_garden(&mut self, stay: &Stay, measure: &str) -> Result<bool, StoreError> {
        let case =
            self.case(&stay.case)?.filter(|case| case.state.is_open() && case.state != CaseState::Held);
        let Some(case) = case else { return Ok(false) };
        if self.opted_out(&case.party, measure)? {
            return Ok(false);
        }
        self.execute(
            "INSERT INTO garden (case_id, step, line_key, line, permit, since_ms, until_ms, why, due_ms, attempts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '', ?7, 0)
             ON CONFLICT (case_id, step) DO UPDATE SET line_key = excluded.line_key, line = excluded.line,
               permit = excluded.permit, since_ms = excluded.since_ms, until_ms = excluded.until_ms,
               due_ms = excluded.due_ms",
            values![
                &stay.case,
                stay.step,
                stay.line_key.as_str(),
                stay.line.as_slice(),
                stay.permit as i64,
                stay.since,
                stay.until
            ],
        )?;
        Ok(true)
    }

    /// The access server has moved a line in. Where another process had let it out meanwhile, it is to be let out once more.
    pub fn entered_garden(&mut self, stay: &Stay, now: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "UPDATE garden SET out_ms = NULL, line = ?3, due_ms = ?4
             WHERE case_id = ?1 AND step = ?2 AND out_ms IS NOT NULL",
            values![&stay.case, stay.step, stay.line.as_slice(), now],
        )?;
        Ok(())
    }

    /// Asks that the lines of a case be let out; how many are in.
    pub fn ask_out(&mut self, case: &Id, why: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(
            "UPDATE garden SET asked_ms = ?3, why = ?2, due_ms = ?3
             WHERE case_id = ?1 AND out_ms IS NULL AND asked_ms IS NULL",
            values![case, why, now],
        )
    }

    /// The same for every case of a party.
    pub fn ask_party_out(&mut self, party: &str, why: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(
            "UPDATE garden SET asked_ms = ?3, why = ?2, due_ms = ?3
             WHERE out_ms IS NULL AND asked_ms IS NULL AND case_id IN (SELECT id FROM cases WHERE party = ?1)",
            values![party, why, now],
        )
    }

    /// The same for everybody.
    pub fn ask_all_out(&mut self, why: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.execute(
            "UPDATE garden SET asked_ms = ?2, why = ?1, due_ms = ?2 WHERE out_ms IS NULL AND asked_ms IS NULL",
            values![why, now],
        )
    }

    /// Stays that end now, or whose end is to be tried again.
    pub fn stays_due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Stay>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM garden WHERE out_ms IS NULL AND due_ms <= ?1 ORDER BY due_ms LIMIT ?2"
        );
        self.rows(&sql, values![now, limit])?.iter().map(stay).collect()
    }

    /// Writes down how letting a line out went. Which line it was, is erased once it is out.
    pub fn put_stay_end(&mut self, stay: &Stay) -> Result<(), StoreError> {
        self.execute(
            "UPDATE garden SET asked_ms = ?3, why = ?4, due_ms = ?5, attempts = ?6, out_ms = ?7,
               line = CASE WHEN CAST(?7 AS BIGINT) IS NULL THEN line ELSE NULL END
             WHERE case_id = ?1 AND step = ?2",
            values![&stay.case, stay.step, stay.asked, stay.why.as_str(), stay.due, stay.attempts, stay.out],
        )?;
        Ok(())
    }

    /// The stays of a case, in order.
    pub fn stays(&mut self, case: &Id) -> Result<Vec<Stay>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM garden WHERE case_id = ?1 ORDER BY step");
        self.rows(&sql, values![case])?.iter().map(stay).collect()
    }

    /// Everybody who is in, longest first.
    pub fn in_garden(&mut self, limit: u32) -> Result<Vec<Stay>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM garden WHERE out_ms IS NULL ORDER BY since_ms, case_id LIMIT ?1");
        self.rows(&sql, values![limit])?.iter().map(stay).collect()
    }

    /// Whether a line is to be restricted when it connects.
    pub fn is_restricted(&mut self, line_key: &str, now: Timestamp) -> Result<bool, StoreError> {
        let found = self.number(
            "SELECT COUNT(*) FROM garden WHERE line_key = ?1 AND out_ms IS NULL AND asked_ms IS NULL AND until_ms > ?2",
            values![line_key, now],
        )?;
        Ok(found > 0)
    }
}

fn stay(row: &Row) -> Result<Stay, StoreError> {
    Ok(Stay {
        case: row.id(0)?,
        step: u32::try_from(row.int(1)?).unwrap_or(u32::MAX),
        line_key: row.text(2)?.into(),
        line: row.bytes(3).map(<[u8]>::to_vec).unwrap_or_default(),
        permit: row.count(4)?,
        since: row.time(5)?,
        until: row.time(6)?,
        asked: row.time_opt(7)?,
        why: row.text(8)?.into(),
        due: row.time(9)?,
        attempts: u32::try_from(row.int(10)?).unwrap_or(u32::MAX),
        out: row.time_opt(11)?,
    })
}
