//! What subscribers did on the page of their notice.

use jiff::Timestamp;
use noroshi_model::{Id, VisitKind};

use crate::row::values;
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// Counts a visit; true where it is the first of its kind in this case.
    pub fn visit(&mut self, case: &Id, kind: VisitKind, now: Timestamp) -> Result<bool, StoreError> {
        let key = values![case, kind.id(), now];
        let new = self.execute(
            "INSERT INTO visit (case_id, kind, first_ms, visits) VALUES (?1, ?2, ?3, 1) ON CONFLICT DO NOTHING",
            key,
        )?;
        if new == 0 {
            self.execute(
                "UPDATE visit SET visits = visits + 1 WHERE case_id = ?1 AND kind = ?2",
                values![case, kind.id()],
            )?;
        }
        Ok(new == 1)
    }

    /// What was done in a case: kind, first time, how often.
    pub fn visits_of(&mut self, case: &Id) -> Result<Vec<(VisitKind, Timestamp, u64)>, StoreError> {
        let rows = self.rows(
            "SELECT kind, first_ms, visits FROM visit WHERE case_id = ?1 ORDER BY first_ms, kind",
            values![case],
        )?;
        rows.iter().map(|row| Ok((row.parsed(0, VisitKind::parse)?, row.time(1)?, row.count(2)?))).collect()
    }
}
