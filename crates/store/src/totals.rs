//! Totals: the loop in numbers, and the funnel of each campaign.

use jiff::Timestamp;
use noroshi_model::{CaseState, Funnel};
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

/// How far a campaign's cases have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignCount {
    /// The campaign.
    pub campaign: String,
    /// Cases by state, in the order of states.
    pub states: Vec<(CaseState, u64)>,
    /// When the first of them was opened.
    pub since: Timestamp,
    /// When one of them was seen last.
    pub last_seen: Timestamp,
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
            steps_in_doubt: of(
                "SELECT COUNT(*) FROM outbox
                 WHERE channel IN ('mail', 'sms', 'letter', 'call', 'walled-garden') AND state = 'in-doubt'",
            )?,
            steps_proposed: of(
                "SELECT COUNT(*) FROM outbox
                 WHERE channel IN ('mail', 'sms', 'letter', 'call', 'walled-garden') AND state = 'proposed'",
            )?,
            visits: of("SELECT COUNT(*) FROM visit")?,
            cases_open: of("SELECT COUNT(*) FROM cases WHERE closed_ms IS NULL")?,
            cases_closed: of("SELECT COUNT(*) FROM cases WHERE state = 'clean'")?,
            evidence: of("SELECT COUNT(*) FROM evidence")?,
        })
    }

    /// How far the cases of every campaign have come, by name.
    pub fn campaigns(&mut self) -> Result<Vec<CampaignCount>, StoreError> {
        let rows = self.rows(
            "SELECT campaign, state, COUNT(*), MIN(opened_ms), MAX(last_ms) FROM cases
             GROUP BY campaign, state ORDER BY campaign, state LIMIT 10000",
            &[],
        )?;
        let mut campaigns: Vec<CampaignCount> = Vec::new();
        for row in &rows {
            let (name, state) = (row.text(0)?, row.parsed(1, CaseState::parse)?);
            let (since, last_seen) = (row.time(3)?, row.time(4)?);
            match campaigns.last_mut().filter(|last| last.campaign == name) {
                Some(last) => {
                    last.states.push((state, row.count(2)?));
                    (last.since, last.last_seen) = (last.since.min(since), last.last_seen.max(last_seen));
                }
                None => campaigns.push(CampaignCount {
                    campaign: name.into(),
                    states: vec![(state, row.count(2)?)],
                    since,
                    last_seen,
                }),
            }
        }
        campaigns.iter_mut().for_each(|campaign| campaign.states.sort());
        Ok(campaigns)
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
               FROM cases c WHERE c.state NOT IN ('rejected', 'merged')) t GROUP BY campaign ORDER BY campaign LIMIT 1000",
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
