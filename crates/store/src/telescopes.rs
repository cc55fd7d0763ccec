//! Telescopes that write down what they see, and how large they are. Which addresses they have is written nowhere.

use jiff::Timestamp;

use crate::row::values;
use crate::{StoreError, Tx};

/// A telescope.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TelescopeState {
    /// What it is called.
    pub name: String,
    /// How many IPv4 addresses it has; 0 where that is not known.
    pub addresses: u64,
    /// When it was there first, and last.
    pub since: Timestamp,
    /// See `since`.
    pub seen: Timestamp,
}

impl Tx<'_> {
    /// A telescope is there.
    pub fn put_telescope(&mut self, name: &str, addresses: u64, now: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO telescope (name, addresses, since_ms, seen_ms) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (name) DO UPDATE SET addresses = ?2, seen_ms = ?3",
            values![name, addresses, now],
        )?;
        Ok(())
    }

    /// Telescopes that were there since, by name.
    pub fn telescopes(&mut self, since: Timestamp) -> Result<Vec<TelescopeState>, StoreError> {
        let rows = self.rows(
            "SELECT name, addresses, since_ms, seen_ms FROM telescope WHERE seen_ms >= ?1 ORDER BY name LIMIT 10000",
            values![since],
        )?;
        rows.iter()
            .map(|row| {
                Ok(TelescopeState {
                    name: row.text(0)?.into(),
                    addresses: row.count(1)?,
                    since: row.time(2)?,
                    seen: row.time(3)?,
                })
            })
            .collect()
    }
}
