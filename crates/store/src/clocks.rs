//! What is known of each access server's clock, and of how good each feed's times are. Who held what is in the session book, which is no table.

use std::collections::BTreeMap;

use crate::row::values;
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// Notes that a server's clock was `offset_s` seconds ahead (negative: behind) in so many records.
    pub fn add_clock_samples(&mut self, nas: &str, offset_s: i64, samples: u64) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO nas_clock (nas, offset_s, samples) VALUES (?1, ?2, ?3)
             ON CONFLICT (nas, offset_s) DO UPDATE SET samples = nas_clock.samples + excluded.samples",
            values![nas, offset_s, samples],
        )?;
        Ok(())
    }

    /// Every server's offsets in seconds with how often each was seen, ascending.
    pub fn clock_samples(&mut self) -> Result<Vec<(String, i64, u64)>, StoreError> {
        let rows = self.rows("SELECT nas, offset_s, samples FROM nas_clock ORDER BY nas, offset_s", &[])?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.int(1)?, row.count(2)?))).collect()
    }

    /// Adds to how often times of a feed came in which form.
    pub fn add_feed_clock(&mut self, feed: &str, forms: &BTreeMap<i64, u64>) -> Result<(), StoreError> {
        for (form, samples) in forms {
            self.execute(
                "INSERT INTO feed_clock (feed, form, samples) VALUES (?1, ?2, ?3)
                 ON CONFLICT (feed, form) DO UPDATE SET samples = feed_clock.samples + excluded.samples",
                values![feed, *form, *samples],
            )?;
        }
        Ok(())
    }

    /// How often times of a feed came in which form.
    pub fn feed_clock(&mut self, feed: &str) -> Result<BTreeMap<i64, u64>, StoreError> {
        let rows = self.rows("SELECT form, samples FROM feed_clock WHERE feed = ?1", values![feed])?;
        rows.iter().map(|row| Ok((row.int(0)?, row.count(1)?))).collect()
    }

    /// The same of every feed.
    pub fn feed_clocks(&mut self) -> Result<BTreeMap<String, BTreeMap<i64, u64>>, StoreError> {
        let mut clocks: BTreeMap<String, BTreeMap<i64, u64>> = BTreeMap::new();
        for row in self.rows("SELECT feed, form, samples FROM feed_clock", &[])? {
            clocks.entry(row.text(0)?.to_owned()).or_default().insert(row.int(1)?, row.count(2)?);
        }
        Ok(clocks)
    }
}
