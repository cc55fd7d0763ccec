//! Oriented and decided: findings, the decisions on them, refusals, and what identification answered.

use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_law::Refusal;
use noroshi_model::{Decision, Finding, Id, Verdict};
use serde::Serialize;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// What identification answered for some sightings of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identification {
    /// The finding.
    pub finding: Id,
    /// `one`, `none`, `ambiguous`, `refused`.
    pub verdict: String,
    /// Why, in words.
    pub reason: String,
    /// How many sightings it is about.
    pub sightings: u64,
    /// Distance to the nearest doubt, in seconds; 0 unless `one`.
    pub margin_s: i64,
    /// The case it led to.
    pub case: Option<Id>,
    /// The evidence entry of the permit under which it was looked up.
    pub evidence: Option<u64>,
    /// When.
    pub at: Timestamp,
}

impl Tx<'_> {
    /// The finding that an event belongs to, if it was oriented before.
    pub fn finding_of_event(&mut self, event: &Id) -> Result<Option<Id>, StoreError> {
        self.row("SELECT finding FROM finding_event WHERE event = ?1", values![event])?
            .map(|row| row.id(0))
            .transpose()
    }

    /// Findings of an address, family and campaign that reach into `from..=to`, ascending by their first sighting.
    pub fn findings_near(
        &mut self,
        ip: IpAddr,
        family: &str,
        campaign: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Finding>, StoreError> {
        let rows = self.rows(
            "SELECT body FROM finding WHERE ip = ?1 AND family = ?2 AND campaign = ?3
               AND last_ms >= ?4 AND first_ms <= ?5 ORDER BY first_ms, id LIMIT 64",
            values![ip.to_string(), family, campaign, from, to],
        )?;
        rows.iter().map(|row| row.json(0)).collect()
    }

    /// Stores or replaces a finding and links its events to it.
    pub fn put_finding(
        &mut self,
        finding: &Finding,
        new_events: &[Id],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let body = serde_json::to_string(finding).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let (first, last) = (finding.first().unwrap_or_default(), finding.last().unwrap_or_default());
        self.execute(
            "INSERT INTO finding (id, ip, family, campaign, measure, first_ms, last_ms, body, kept_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET
               first_ms = excluded.first_ms, last_ms = excluded.last_ms, body = excluded.body,
               kept_ms = excluded.kept_ms",
            values![
                &finding.id,
                finding.ip.to_string(),
                &finding.family,
                &finding.campaign,
                &finding.measure,
                first,
                last,
                body,
                now
            ],
        )?;
        for event in new_events {
            self.execute(
                "INSERT INTO finding_event (event, finding) VALUES (?1, ?2)
                 ON CONFLICT (event) DO UPDATE SET finding = excluded.finding",
                values![event, &finding.id],
            )?;
        }
        Ok(())
    }

    /// Removes a finding that another has absorbed, with what was answered for it: its sightings are asked about again.
    pub fn remove_finding(&mut self, id: &Id) -> Result<(), StoreError> {
        self.execute("DELETE FROM identification WHERE finding = ?1", values![id])?;
        self.execute("DELETE FROM finding WHERE id = ?1", values![id])?;
        Ok(())
    }

    /// One finding.
    pub fn finding(&mut self, id: &Id) -> Result<Option<Finding>, StoreError> {
        self.row("SELECT body FROM finding WHERE id = ?1", values![id])?.map(|row| row.json(0)).transpose()
    }

    /// Stores a decision; the same decision again changes nothing. A refusal is listed as one.
    pub fn insert_decision(&mut self, decision: &Decision, now: Timestamp) -> Result<(), StoreError> {
        let (allowed, rule, reason) = match &decision.verdict {
            Verdict::IdentifyAndNotify { basis, rule } => (true, rule.as_str(), format!("basis: {basis}")),
            Verdict::Refused(refusal) => (false, refusal.rule.as_str(), refusal.reason.clone()),
        };
        self.execute(
            "INSERT INTO decision (id, finding, measure, allowed, rule, reason, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
            values![&decision.id, &decision.finding, &decision.measure, allowed, rule, reason, now],
        )?;
        if let Verdict::Refused(refusal) = &decision.verdict {
            self.insert_refusal(refusal, Some(&decision.finding), None, now)?;
        }
        Ok(())
    }

    /// Lists a refusal; the same rule about the same matter once.
    pub fn insert_refusal(
        &mut self,
        refusal: &Refusal,
        finding: Option<&Id>,
        case: Option<&Id>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let about = finding.or(case).map_or_else(|| now.to_string(), ToString::to_string);
        let id = Id::of("refusal", &[refusal.measure.as_bytes(), refusal.rule.as_bytes(), about.as_bytes()]);
        self.execute(
            "INSERT INTO refusal (id, measure, rule, reason, finding, case_id, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
            values![&id, &refusal.measure, &refusal.rule, &refusal.reason, finding, case, now],
        )?;
        Ok(())
    }

    /// Refusals by measure, rule and words, with how many there were.
    pub fn refusal_totals(&mut self) -> Result<Vec<(String, String, String, u64)>, StoreError> {
        let rows = self.rows(
            "SELECT measure, rule, reason, COUNT(*) FROM refusal GROUP BY measure, rule, reason
             ORDER BY measure, rule, reason LIMIT 200",
            &[],
        )?;
        rows.iter()
            .map(|row| Ok((row.text(0)?.into(), row.text(1)?.into(), row.text(2)?.into(), row.count(3)?)))
            .collect()
    }

    /// Replaces everything known of who held a finding's address.
    pub fn put_identifications(
        &mut self,
        finding: &Id,
        answers: &[Identification],
    ) -> Result<(), StoreError> {
        self.execute("DELETE FROM identification WHERE finding = ?1", values![finding])?;
        for (number, a) in answers.iter().enumerate() {
            let id = Id::of("identification", &[finding.as_str().as_bytes(), &number.to_be_bytes()]);
            self.execute(
                "INSERT INTO identification
                   (id, finding, verdict, reason, sightings, margin_s, case_id, evidence, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                values![
                    &id,
                    &a.finding,
                    &a.verdict,
                    &a.reason,
                    a.sightings,
                    a.margin_s,
                    a.case.as_ref(),
                    a.evidence,
                    a.at
                ],
            )?;
        }
        Ok(())
    }

    /// Answers that led to a case, oldest first.
    pub fn identifications_of_case(&mut self, case: &Id) -> Result<Vec<Identification>, StoreError> {
        let rows = self.rows(
            "SELECT finding, verdict, reason, sightings, margin_s, case_id, evidence, at_ms FROM identification
             WHERE case_id = ?1 ORDER BY at_ms, id LIMIT 1000",
            values![case],
        )?;
        rows.iter().map(identification).collect()
    }

    /// Sightings by verdict and reason: how much could be attributed, and why the rest could not.
    pub fn identification_totals(&mut self) -> Result<Vec<(String, String, u64)>, StoreError> {
        let rows = self.rows(
            "SELECT verdict, reason, CAST(SUM(sightings) AS BIGINT) FROM identification
             GROUP BY verdict, reason ORDER BY verdict, reason LIMIT 200",
            &[],
        )?;
        rows.iter().map(|row| Ok((row.text(0)?.into(), row.text(1)?.into(), row.count(2)?))).collect()
    }

    /// Findings with an answer that later records may change; not those that were forgotten.
    pub fn findings_unconfirmed(&mut self, limit: u32) -> Result<Vec<Id>, StoreError> {
        let rows = self.rows(
            "SELECT DISTINCT i.finding FROM identification i WHERE i.verdict IN ('none', 'ambiguous')
               AND EXISTS (SELECT 1 FROM finding f WHERE f.id = i.finding) ORDER BY i.finding LIMIT ?1",
            values![limit],
        )?;
        rows.iter().map(|row| row.id(0)).collect()
    }
}

fn identification(row: &Row) -> Result<Identification, StoreError> {
    Ok(Identification {
        finding: row.id(0)?,
        verdict: row.text(1)?.into(),
        reason: row.text(2)?.into(),
        sightings: row.count(3)?,
        margin_s: row.int(4)?,
        case: row.text_opt(5)?.and_then(Id::parse),
        evidence: match row.int(6) {
            Ok(v) => u64::try_from(v).ok(),
            Err(_) => None,
        },
        at: row.time(7)?,
    })
}
