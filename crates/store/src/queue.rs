//! The queue between stages: durable rows, claimed under a lease, gone when acknowledged.
//!
//! A worker claims jobs (one transaction), works, and writes its results together with the acknowledgement (another). If
//! it dies in between, the lease ends and another worker does the same work; ids are deterministic, so the second time
//! changes nothing.

use jiff::{SignedDuration, Timestamp};
use noroshi_model::Id;
use serde::{Serialize, de::DeserializeOwned};

use crate::row::values;
use crate::{StoreError, Tx};

/// How long a claimed job belongs to its worker.
pub const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// A queue between two stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic(pub &'static str);

/// Events for `orient`.
pub const OBSERVED: Topic = Topic("observed");
/// Findings for `decide`.
pub const ORIENTED: Topic = Topic("oriented");
/// Decisions for `act`.
pub const DECIDED: Topic = Topic("decided");

/// All of them, in the order of the loop.
pub const TOPICS: [Topic; 3] = [OBSERVED, ORIENTED, DECIDED];

/// A claimed job.
#[derive(Clone, Debug)]
pub struct Job<T> {
    /// Its id in the topic.
    pub id: Id,
    /// How often it was claimed before.
    pub attempts: u32,
    /// What to do.
    pub body: T,
}

impl Tx<'_> {
    /// Puts a job on a topic; the same id again is the same job.
    pub fn publish<T: Serialize>(
        &mut self,
        topic: Topic,
        id: &Id,
        body: &T,
        due: Timestamp,
    ) -> Result<(), StoreError> {
        let body = serde_json::to_string(body).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        self.execute(
            "INSERT INTO queue (topic, id, body, due_ms, lease, attempts) VALUES (?1, ?2, ?3, ?4, '', 0)
             ON CONFLICT (topic, id) DO UPDATE SET body = excluded.body, due_ms = excluded.due_ms, lease = ''",
            values![topic.0, id, body, due],
        )?;
        Ok(())
    }

    /// Claims at most `limit` due jobs until `now` + [`LEASE`].
    pub fn claim<T: DeserializeOwned>(
        &mut self,
        topic: Topic,
        worker: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job<T>>, StoreError> {
        let rows = self.rows(
            "SELECT id, attempts, body FROM queue WHERE topic = ?1 AND due_ms <= ?2 ORDER BY due_ms, id LIMIT ?3",
            values![topic.0, now, limit],
        )?;
        let mut jobs = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = row.id(0)?;
            self.execute(
                "UPDATE queue SET due_ms = ?3, lease = ?4, attempts = attempts + 1 WHERE topic = ?1 AND id = ?2",
                values![topic.0, &id, now + LEASE, worker],
            )?;
            let attempts = u32::try_from(row.int(1)?).unwrap_or(u32::MAX);
            jobs.push(Job { id, attempts, body: row.json(2)? });
        }
        Ok(jobs)
    }

    /// Ends a job, in the transaction that wrote its results. False where the lease had passed to another worker,
    /// whose results count; the caller should then roll back.
    pub fn acknowledge(&mut self, topic: Topic, id: &Id, worker: &str) -> Result<bool, StoreError> {
        let gone = self.execute(
            "DELETE FROM queue WHERE topic = ?1 AND id = ?2 AND lease = ?3",
            values![topic.0, id, worker],
        )?;
        Ok(gone == 1)
    }

    /// Puts a job back until `due`.
    pub fn postpone(&mut self, topic: Topic, id: &Id, due: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "UPDATE queue SET due_ms = ?3, lease = '' WHERE topic = ?1 AND id = ?2",
            values![topic.0, id, due],
        )?;
        Ok(())
    }

    /// Frees the jobs of workers that are gone; for a single process at its start, when no other can be alive.
    pub fn release_leases(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.execute("UPDATE queue SET due_ms = ?1, lease = '' WHERE lease <> ''", values![now])
    }

    /// Jobs waiting on a topic, due or not.
    pub fn waiting(&mut self, topic: Topic) -> Result<u64, StoreError> {
        Ok(self.number("SELECT COUNT(*) FROM queue WHERE topic = ?1", values![topic.0])?.unsigned_abs())
    }
}
