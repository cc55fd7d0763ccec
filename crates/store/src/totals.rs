//! Totals: the loop in numbers, and the funnel of each campaign.

use noroshi_model::Funnel;
use serde::Serialize;

use crate::{StoreError, Tx};

/// The loop in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Events stored.
    pub events: u64,
    /// Records seen before.
    pub duplicates: u64,
    /// Records left out by a rule.
    pub filtered: u64,
    /// Records in quarantine, counted each time they were read.
    pub quarantined: u64,
    /// Findings.
    pub findings: u64,
    /// Decisions.
    pub decisions: u64,
    /// Refusals.
    pub refusals: u64,
    /// Mails accepted by the mail server.
    pub mails: u64,
    /// Mails waiting, being sent or in doubt.
    pub mails_waiting: u64,
    /// Steps of every way of which nobody knows whether they arrived.
    pub steps_in_doubt: u64,
    /// Steps that wait for a person's approval.
    pub steps_proposed: u64,
    /// Visits: first of each kind per case.
    pub visits: u64,
    /// Cases not closed.
    pub cases_open: u64,
    /// Cases closed as clean.
    pub cases_closed: u64,
    /// Entries of the evidence log.
    pub evidence: u64,
}

impl Tx<'_> {
    /// The loop in numbers.
    pub fn totals(&mut self) -> Result<Totals, StoreError> {
        let mut of = |sql: &str| -> Result<u64, StoreError> { Ok(self.number(sql, &[])?.unsigned_abs()) };
        Ok(Totals {
            events: of("SELECT events FROM event_head WHERE id = 1")?,
            duplicates: of("SELECT CAST(COALESCE(SUM(duplicate), 0) AS BIGINT) FROM tally")?,
            filtered: of("SELECT CAST(COALESCE(SUM(filtered), 0) AS BIGINT) FROM tally")?,
            quarantined: of("SELECT CAST(COALESCE(SUM(quarantined), 0) AS BIGINT) FROM tally")?,
            findings: of("SELECT COUNT(*) FROM finding")?,
            decisions: of("SELECT COUNT(*) FROM decision")?,
            refusals: of("SELECT COUNT(*) FROM refusal")?,
            mails: of(
                "SELECT COUNT(*) FROM outbox WHERE channel = 'mail' AND state IN ('sent', 'delivered')",
            )?,
            mails_waiting: of(
                "SELECT COUNT(*) FROM outbox WHERE channel = 'mail' AND state IN ('pending', 'sending', 'in-doubt')",
            )?,
            steps_in_doubt: of("SELECT COUNT(*) FROM outbox WHERE state = 'in-doubt'")?,
            steps_proposed: of("SELECT COUNT(*) FROM outbox WHERE state = 'proposed'")?,
            visits: of("SELECT COUNT(*) FROM visit")?,
            cases_open: of("SELECT COUNT(*) FROM cases WHERE state <> 'clean'")?,
            cases_closed: of("SELECT COUNT(*) FROM cases WHERE state = 'clean'")?,
            evidence: of("SELECT COUNT(*) FROM evidence")?,
        })
    }

    /// The funnel of every campaign, by name.
    pub fn funnels(&mut self) -> Result<Vec<Funnel>, StoreError> {
        let visited = |kind: &str| {
            format!("(SELECT COUNT(*) FROM visit v WHERE v.case_id = c.id AND v.kind = '{kind}')")
        };
        let mailed = |states: &str| {
            format!(
                "(CASE WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.case_id = c.id AND o.state IN ({states}))
                  THEN 1 ELSE 0 END)"
            )
        };
        let sql = format!(
            "SELECT campaign, COUNT(*), {} FROM (
               SELECT c.campaign AS campaign, {} AS sent, {} AS delivered, {} AS opened, {} AS steps, {} AS done,
                 {} AS optout, (CASE WHEN c.state = 'clean' THEN 1 ELSE 0 END) AS clean, c.reinfected AS reinfected,
                 {} AS tool, {} AS recheck
               FROM cases c) t GROUP BY campaign ORDER BY campaign LIMIT 1000",
            ["sent", "delivered", "opened", "steps", "done", "clean", "reinfected", "optout", "tool", "recheck"]
                .map(|c| format!("CAST(SUM({c}) AS BIGINT)"))
                .join(", "),
            mailed("'sent', 'delivered'"),
            mailed("'delivered'"),
            visited("opened"),
            visited("steps"),
            visited("done"),
            visited("opt-out"),
            visited("tool"),
            visited("check"),
        );
        self.rows(&sql, &[])?
            .iter()
            .map(|row| {
                Ok(Funnel {
                    campaign: row.text(0)?.into(),
                    cases: row.count(1)?,
                    sent: row.count(2)?,
                    delivered: row.count(3)?,
                    opened: row.count(4)?,
                    steps: row.count(5)?,
                    done: row.count(6)?,
                    clean: row.count(7)?,
                    reinfected: row.count(8)?,
                    opted_out: row.count(9)?,
                    tool: row.count(10)?,
                    check: row.count(11)?,
                })
            })
            .collect()
    }
}
