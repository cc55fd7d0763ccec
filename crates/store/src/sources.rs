//! Sources: for each thing that is fetched from elsewhere, when it was tried, what came of it, and what the next
//! conditional request needs. What was fetched is counted here when its taking ended; the counts that must add up are
//! those of its feed (`tally`), written with each batch.

use jiff::Timestamp;
use noroshi_model::Tally;
use serde::Serialize;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Most characters of an error that are kept.
pub const ERROR_CHARS_MAX: usize = 500;

/// What is known of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceState {
    /// Its name in the configuration.
    pub name: String,
    /// When it was last tried.
    pub tried: Option<Timestamp>,
    /// When that last went well.
    pub succeeded: Option<Timestamp>,
    /// Not to be tried again before, after a failure.
    pub retry: Option<Timestamp>,
    /// Failures since it last went well.
    pub failures: u32,
    /// The last failure; empty since it last went well.
    pub error: String,
    /// What the validators belong to: with another address, format or header everything is asked for anew.
    #[serde(skip)]
    pub setting: String,
    /// `ETag` of what was last taken in.
    pub etag: Option<String>,
    /// `Last-Modified` of what was last taken in.
    pub modified: Option<String>,
    /// Times tried.
    pub runs: u64,
    /// Times there was nothing new.
    pub unchanged: u64,
    /// Files, bodies, mails or messages taken in.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What became of their records.
    #[serde(flatten)]
    pub counts: Tally,
}

const COLUMNS: &str = "name, tried_ms, succeeded_ms, retry_ms, failures, error, setting, etag, modified,
     runs, unchanged, items, bytes, read, stored, duplicate, filtered, quarantined, aggregated";

impl Tx<'_> {
    /// What is known of a source; a new one's is empty.
    pub fn source(&mut self, name: &str) -> Result<SourceState, StoreError> {
        let row = self.row(&format!("SELECT {COLUMNS} FROM source WHERE name = ?1"), values![name])?;
        let new = || SourceState { name: name.to_owned(), ..SourceState::default() };
        row.as_ref().map_or_else(|| Ok(new()), state)
    }

    /// Writes what is known of a source.
    pub fn put_source(&mut self, state: &SourceState) -> Result<(), StoreError> {
        let error: String = state.error.chars().take(ERROR_CHARS_MAX).collect();
        let counts = &state.counts;
        self.execute(
            &format!(
                "INSERT INTO source ({COLUMNS})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
                 ON CONFLICT (name) DO UPDATE SET
                   tried_ms = excluded.tried_ms, succeeded_ms = excluded.succeeded_ms,
                   retry_ms = excluded.retry_ms, failures = excluded.failures, error = excluded.error,
                   setting = excluded.setting, etag = excluded.etag, modified = excluded.modified,
                   runs = excluded.runs, unchanged = excluded.unchanged, items = excluded.items,
                   bytes = excluded.bytes, read = excluded.read, stored = excluded.stored,
                   duplicate = excluded.duplicate, filtered = excluded.filtered,
                   quarantined = excluded.quarantined, aggregated = excluded.aggregated"
            ),
            values![
                &state.name,
                state.tried,
                state.succeeded,
                state.retry,
                state.failures,
                error,
                &state.setting,
                state.etag.clone(),
                state.modified.clone(),
                state.runs,
                state.unchanged,
                state.items,
                state.bytes,
                counts.read,
                counts.stored,
                counts.duplicate,
                counts.filtered,
                counts.quarantined,
                counts.aggregated
            ],
        )?;
        Ok(())
    }
}

fn state(row: &Row) -> Result<SourceState, StoreError> {
    Ok(SourceState {
        name: row.text(0)?.into(),
        tried: row.time_opt(1)?,
        succeeded: row.time_opt(2)?,
        retry: row.time_opt(3)?,
        failures: u32::try_from(row.int(4)?).unwrap_or(u32::MAX),
        error: row.text(5)?.into(),
        setting: row.text(6)?.into(),
        etag: row.text_opt(7)?.map(str::to_owned),
        modified: row.text_opt(8)?.map(str::to_owned),
        runs: row.count(9)?,
        unchanged: row.count(10)?,
        items: row.count(11)?,
        bytes: row.count(12)?,
        counts: Tally {
            read: row.count(13)?,
            stored: row.count(14)?,
            duplicate: row.count(15)?,
            filtered: row.count(16)?,
            quarantined: row.count(17)?,
            aggregated: row.count(18)?,
        },
    })
}
