//! What is known of each access server's clock. Who held what is in the session book, which is no table.

use crate::row::values;
use crate::{StoreError, Tx};

impl Tx<'_> {
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
