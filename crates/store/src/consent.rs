//! Consent with its history: who may be looked up and written to under a measure that stands on consent, since when, and
//! how that was said. The newest row counts; nothing is ever overwritten.

use jiff::Timestamp;
use serde::Serialize;

use crate::row::values;
use crate::{StoreError, Tx};

/// The scope of the contract terms that all subscribers agreed to.
pub const TERMS: &str = "terms";

/// Consent given or withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsentRow {
    /// [`TERMS`], or a party's keyed hash.
    pub scope: String,
    /// The measure, or `*` for every measure that writes to subscribers.
    pub measure: String,
    /// Since when.
    pub since: Timestamp,
    /// Given, or withdrawn.
    pub granted: bool,
    /// How it was said.
    pub how: String,
}

impl Tx<'_> {
    /// Records that consent was given or withdrawn.
    pub fn put_consent(
        &mut self,
        scope: &str,
        measure: &str,
        granted: bool,
        how: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO consent (scope, measure, since_ms, granted, how) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (scope, measure, since_ms) DO UPDATE SET granted = excluded.granted, how = excluded.how",
            values![scope, measure, now, granted, how],
        )?;
        Ok(())
    }

    /// What was last said for a scope and measure; `None` where nothing was.
    pub fn consent(&mut self, scope: &str, measure: &str) -> Result<Option<bool>, StoreError> {
        self.row(
            "SELECT granted FROM consent WHERE scope = ?1 AND measure = ?2 ORDER BY since_ms DESC LIMIT 1",
            values![scope, measure],
        )?
        .map(|row| row.flag(0))
        .transpose()
    }

    /// Whether a party has withdrawn from a measure or from all of them.
    pub fn opted_out(&mut self, party: &str, measure: &str) -> Result<bool, StoreError> {
        Ok(self.consent(party, measure)? == Some(false) || self.consent(party, "*")? == Some(false))
    }

    /// The parties that have withdrawn from a measure or from all of them.
    pub fn opt_outs(&mut self, measure: &str) -> Result<Vec<String>, StoreError> {
        let rows = self.rows(
            "SELECT DISTINCT said.scope FROM consent said
             WHERE said.measure IN (?1, '*') AND said.scope <> ?2 AND said.granted = 0 AND said.since_ms =
                 (SELECT max(since_ms) FROM consent WHERE scope = said.scope AND measure = said.measure)",
            values![measure, TERMS],
        )?;
        rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
    }

    /// The register's newest entry, and how often something was said in that moment: another, once something was said.
    pub fn consent_stamp(&mut self) -> Result<(i64, i64, i64), StoreError> {
        let row = self.row(
            "SELECT count(*), COALESCE(max(since_ms), 0), CAST(COALESCE(sum(granted), 0) AS BIGINT) FROM consent
             WHERE since_ms = (SELECT max(since_ms) FROM consent)",
            values![],
        )?;
        row.map_or(Ok((0, 0, 0)), |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?)))
    }

    /// The register, newest first.
    pub fn consents(&mut self, offset: u64, limit: u32) -> Result<Vec<ConsentRow>, StoreError> {
        let rows = self.rows(
            "SELECT scope, measure, since_ms, granted, how FROM consent
             ORDER BY since_ms DESC, scope, measure LIMIT ?1 OFFSET ?2",
            values![limit, offset],
        )?;
        rows.iter()
            .map(|row| {
                Ok(ConsentRow {
                    scope: row.text(0)?.into(),
                    measure: row.text(1)?.into(),
                    since: row.time(2)?,
                    granted: row.flag(3)?,
                    how: row.text(4)?.into(),
                })
            })
            .collect()
    }
}
