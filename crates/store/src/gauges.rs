//! What can be measured of the database without reading much of it: for counters that are asked for every few seconds.

use crate::engine::Tx;
use crate::queue::{TOPICS, Topic};
use crate::row::values;
use crate::{Address, Store, StoreError};

/// Measures of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Events in the log.
    pub events: u64,
    /// Blocks they lie in.
    pub blocks: u64,
    /// Runs of the log's index that count.
    pub runs: u64,
    /// Bytes of those runs' pages, about.
    pub index_bytes: u64,
    /// Bytes of the whole database.
    pub database_bytes: u64,
    /// Jobs by topic, those that are worked on among them.
    pub queues: Vec<(&'static str, u64)>,
}

/// Bytes of a page of the index, which a row of it fills in SQLite.
const PAGE_BYTES: u64 = 4096;

impl Store {
    /// What can be measured now.
    pub fn gauges(&self) -> Result<Gauges, StoreError> {
        let size = match self.address() {
            Address::Sqlite(_) => {
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
            }
            Address::Postgres(_) => "SELECT pg_database_size(current_database())",
        };
        self.tx("gauges", |tx: &mut Tx<'_>| {
            let mut of = |sql: &str| -> Result<u64, StoreError> { Ok(tx.number(sql, &[])?.unsigned_abs()) };
            let events = of("SELECT events FROM event_head WHERE id = 1")?;
            let blocks = of("SELECT COUNT(*) FROM event_block")?;
            let runs = of("SELECT COUNT(*) FROM seen_run WHERE state = 'live'")?;
            let pages =
                of("SELECT CAST(COALESCE(SUM(pages), 0) AS BIGINT) FROM seen_run WHERE state = 'live'")?;
            let database_bytes = of(size)?;
            // An empty queue has nought waiting, and does not vanish.
            let waiting = |Topic(topic)| -> Result<_, StoreError> {
                let jobs = tx.number("SELECT COUNT(*) FROM queue WHERE topic = ?1", values![topic])?;
                Ok((topic, jobs.unsigned_abs()))
            };
            let queues = TOPICS.into_iter().map(waiting).collect::<Result<_, _>>()?;
            Ok(Gauges { events, blocks, runs, index_bytes: pages * PAGE_BYTES, database_bytes, queues })
        })
    }
}
