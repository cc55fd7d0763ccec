//! The access servers' records at rest: encrypted bodies under keyed slots, and what is known of each server's clock.

use jiff::Timestamp;
use noroshi_law::Locked;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Most records opened for one question; an address with more in one window is asked about in smaller windows.
pub const RECORDS_MAX: u32 = 4096;

impl Tx<'_> {
    /// Keeps a locked record; false where the same record is already there.
    pub fn insert_accounting(&mut self, record: &Locked) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO accounting (id, at_ms, body) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
            values![&record.id, record.at, record.body.clone()],
        )? == 1;
        if new {
            for slot in &record.slots {
                self.execute(
                    "INSERT INTO accounting_slot (slot, at_ms, id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                    values![slot, record.at, &record.id],
                )?;
            }
        }
        Ok(new)
    }

    /// Records under a slot with `from <= at <= to`, ascending, at most [`RECORDS_MAX`].
    pub fn accounting(
        &mut self,
        slot: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Locked>, StoreError> {
        let rows = self.rows(
            "SELECT a.id, a.at_ms, a.body FROM accounting_slot s JOIN accounting a ON a.id = s.id
             WHERE s.slot = ?1 AND s.at_ms >= ?2 AND s.at_ms <= ?3 ORDER BY s.at_ms, s.id LIMIT ?4",
            values![slot, from, to, RECORDS_MAX],
        )?;
        rows.iter().map(locked).collect()
    }

    /// Notes that a server's clock was `offset_s` seconds ahead (negative: behind) in one record.
    pub fn add_clock_sample(&mut self, nas: &str, offset_s: i64) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO nas_clock (nas, offset_s, samples) VALUES (?1, ?2, 1)
             ON CONFLICT (nas, offset_s) DO UPDATE SET samples = nas_clock.samples + 1",
            values![nas, offset_s],
        )?;
        Ok(())
    }

    /// Every server's offsets in seconds with how often each was seen, ascending.
    pub fn clock_samples(&mut self) -> Result<Vec<(String, i64, u64)>, StoreError> {
        let rows = self.rows("SELECT nas, offset_s, samples FROM nas_clock ORDER BY nas, offset_s", &[])?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.int(1)?, row.count(2)?))).collect()
    }
}

fn locked(row: &Row) -> Result<Locked, StoreError> {
    Ok(Locked { id: row.text(0)?.into(), slots: Vec::new(), at: row.time(1)?, body: row.bytes(2)?.to_vec() })
}
