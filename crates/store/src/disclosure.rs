//! What was counted of the evidence log, and of what came of it: the numbers behind the transparency page. The log is
//! counted once, as it grows; the count is the log's shadow and can be made again from it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use noroshi_law::evidence::Kind;
use noroshi_law::evidence::disclosure::{Counts, UNKNOWN_MEASURE};
use serde::Deserialize;

use crate::evidence::EvidenceLog;
use crate::row::values;
use crate::{StoreError, Tx};

/// Entries counted in one transaction.
const STEP: u32 = 5000;

/// As much of an entry as is counted.
#[derive(Deserialize)]
struct Counted<'a> {
    #[serde(borrow)]
    record: Said<'a>,
}

#[derive(Deserialize)]
struct Said<'a> {
    kind: Kind,
    #[serde(borrow)]
    measure: Cow<'a, str>,
    #[serde(borrow)]
    rule: Cow<'a, str>,
}

impl EvidenceLog<'_> {
    /// Counts entries that were not counted yet, about as many as asked for, and says what there is then.
    pub fn counts(&self, entries_max: u64) -> Result<Counts, StoreError> {
        let mut counted = 0;
        while counted < entries_max {
            let step = self.store.tx_in_turn("evidence.tally", |tx| tx.tally_evidence(STEP))?;
            counted += step;
            if step < STEP.into() {
                break;
            }
        }
        self.store.tx("evidence.counts", |tx| tx.counts())
    }
}

impl Tx<'_> {
    fn tally_evidence(&mut self, limit: u32) -> Result<u64, StoreError> {
        let next = self.number("SELECT next FROM evidence_tallied WHERE id = 1", &[])?;
        let sql = "SELECT idx, body FROM evidence WHERE idx >= ?1 ORDER BY idx LIMIT ?2";
        let rows = self.rows(sql, values![next, limit])?;
        let Some(last) = rows.last() else { return Ok(0) };
        let end = last.count(0)? + 1;
        let mut tally: BTreeMap<(String, &str, String), u64> = BTreeMap::new();
        for row in &rows {
            // An entry that was damaged is for the walk to tell; it counts as nothing.
            let Ok(entry) = serde_json::from_slice::<Counted<'_>>(row.bytes(1)?) else { continue };
            let Said { kind, measure, rule } = entry.record;
            // Whoever asks for a measure that there is not may call it anything.
            let measure = if rule == UNKNOWN_MEASURE { Cow::Borrowed("") } else { measure };
            *tally.entry((measure.into_owned(), name_of(kind), rule.into_owned())).or_default() += 1;
        }
        for ((measure, kind, rule), entries) in tally {
            self.execute(
                "INSERT INTO evidence_tally (measure, kind, rule, entries) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (measure, kind, rule) DO UPDATE SET entries = evidence_tally.entries + excluded.entries",
                values![measure, kind, rule, entries],
            )?;
        }
        self.execute(
            "INSERT INTO evidence_tallied (id, next) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET next = excluded.next",
            values![end],
        )?;
        Ok(rows.len() as u64)
    }

    fn counts(&mut self) -> Result<Counts, StoreError> {
        let entries = self.rows(
            "SELECT measure, kind, rule, entries FROM evidence_tally ORDER BY measure, kind, rule LIMIT 10000",
            &[],
        )?;
        let mut by_rule = Vec::with_capacity(entries.len());
        for row in &entries {
            let (measure, kind, rule, entries) = (row.text(0)?, row.text(1)?, row.text(2)?, row.count(3)?);
            let kind = KINDS.iter().find(|(_, name)| *name == kind);
            by_rule.extend(kind.map(|(kind, _)| (measure.to_owned(), *kind, rule.to_owned(), entries)));
        }
        Ok(Counts {
            counted: self.number("SELECT next FROM evidence_tallied WHERE id = 1", &[])?.unsigned_abs(),
            entries: by_rule,
            subscribers: self
                .by_measure("SELECT measure, COUNT(DISTINCT party) FROM cases GROUP BY measure LIMIT 1000")?,
            notices: self.by_measure(
                "SELECT c.measure, COUNT(*) FROM outbox o JOIN cases c ON c.id = o.case_id
                 WHERE o.state IN ('sent', 'delivered') GROUP BY c.measure LIMIT 1000",
            )?,
            checkpoint: self.newest_checkpoint()?.map(|(_, note)| note),
        })
    }

    fn by_measure(&mut self, sql: &str) -> Result<BTreeMap<String, u64>, StoreError> {
        self.rows(sql, &[])?.iter().map(|row| Ok((row.text(0)?.to_owned(), row.count(1)?))).collect()
    }
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Permit, "permit"),
    (Kind::Refusal, "refusal"),
    (Kind::Opening, "opening"),
    (Kind::Asked, "asked"),
    (Kind::Act, "act"),
];

fn name_of(kind: Kind) -> &'static str {
    KINDS.iter().find(|(of, _)| *of == kind).map_or("asked", |(_, name)| name)
}
