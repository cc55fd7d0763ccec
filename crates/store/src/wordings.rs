//! Trials of wordings: to which one a case was allotted, in which words each step was said, and what became of the cases of each.
//!
//! Everybody who was allotted counts, whatever became of the mail. Whether a line is clean is asked as in [`crate::trials`], with the
//! allotment in place of the opening, because a case may be held out between the two.

use std::collections::BTreeMap;

use jiff::Timestamp;
use noroshi_model::Id;
use noroshi_model::wording::{Round, WordingArm, WordingTrial};

use crate::row::values;
use crate::trials::{DAY_MS, second_half};
use crate::{StoreError, Tx};

/// Rounds that are told of, the newest first.
const ROUNDS_MAX: u32 = 10;

impl Tx<'_> {
    /// Allots a case to a wording of a round, unless it was allotted before.
    pub fn allot_wording(
        &mut self,
        case: &Id,
        round: &Round,
        place: usize,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let new = self.execute(
            "INSERT INTO case_wording (case_id, round, place, at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            values![case, &round.id, place, now],
        )?;
        if new == 0
            || self.number("SELECT COUNT(*) FROM wording_arm WHERE round = ?1", values![&round.id])? > 0
        {
            return Ok(());
        }
        for (place, share) in round.shares.iter().enumerate() {
            self.execute(
                "INSERT INTO wording_arm (round, place, wording, percent, form, since_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
                values![&round.id, place, share.wording.as_str(), share.percent, share.form.as_str(), now],
            )?;
        }
        Ok(())
    }

    /// The wording that a case was allotted to; `None` where it is in no trial.
    pub fn wording_of(&mut self, case: &Id) -> Result<Option<String>, StoreError> {
        let row = self.row(
            "SELECT a.wording FROM case_wording w JOIN wording_arm a ON a.round = w.round AND a.place = w.place
             WHERE w.case_id = ?1",
            values![case],
        )?;
        row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
    }

    /// Writes down in which words a step is about to be said.
    pub fn say_in_words(&mut self, case: &Id, step: u32, words: &str) -> Result<(), StoreError> {
        self.execute(
            "UPDATE outbox SET wording = ?3 WHERE case_id = ?1 AND step = ?2",
            values![case, step, words],
        )?;
        Ok(())
    }

    /// In which words the steps of a case were said, where that is known.
    pub fn words_of(&mut self, case: &Id) -> Result<BTreeMap<u32, String>, StoreError> {
        let rows = self.rows(
            "SELECT step, wording FROM outbox WHERE case_id = ?1 AND wording <> '' ORDER BY step",
            values![case],
        )?;
        let words = |row: &crate::row::Row| {
            Ok((u32::try_from(row.int(0)?).unwrap_or(u32::MAX), row.text(1)?.to_owned()))
        };
        rows.iter().map(words).collect()
    }

    /// What became of the newest rounds, the newest first; nothing is compared yet.
    pub fn wording_trials(&mut self, days: u32, now: Timestamp) -> Result<Vec<WordingTrial>, StoreError> {
        let rounds = self.rows(
            "SELECT round FROM wording_arm GROUP BY round ORDER BY MIN(since_ms) DESC, round LIMIT ?1",
            values![ROUNDS_MAX],
        )?;
        let mut trials = Vec::with_capacity(rounds.len());
        for row in &rounds {
            let round = row.id(0)?;
            let sql = "SELECT MIN(at_ms), MAX(at_ms) FROM case_wording WHERE round = ?1";
            let Some(span) = self.row(sql, values![&round])? else { continue };
            let Some((since, until)) = span.time_opt(0)?.zip(span.time_opt(1)?) else { continue };
            let mut arms = self.arms_of(&round)?;
            self.count_clean(&round, &mut arms, (since, days), now)?;
            trials.push(WordingTrial {
                round,
                since,
                until,
                days,
                arms,
                pairs: 0,
                sure_percent: 0,
                comparisons: Vec::new(),
            });
        }
        Ok(trials)
    }

    /// The wordings of a round, with what their cases came to whatever their age.
    fn arms_of(&mut self, round: &Id) -> Result<Vec<WordingArm>, StoreError> {
        let visited = |kind: &str| {
            format!(
                "(CASE WHEN EXISTS (SELECT 1 FROM visit v WHERE v.case_id = w.case_id AND v.kind = '{kind}')
                  THEN 1 ELSE 0 END)"
            )
        };
        let told = |which: &str| {
            format!(
                "(CASE WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.case_id = w.case_id AND o.channel <> 'walled-garden'
                    AND o.state IN ('sent', 'delivered') {which}) THEN 1 ELSE 0 END)"
            )
        };
        let sql = format!(
            "SELECT place, COUNT(*), {} FROM (
               SELECT w.place AS place, {} AS notified, {} AS otherwise, {} AS opened, {} AS steps, {} AS done
               FROM case_wording w JOIN wording_arm a ON a.round = w.round AND a.place = w.place
               WHERE w.round = ?1) t GROUP BY place",
            ["notified", "otherwise", "opened", "steps", "done"]
                .map(|column| format!("CAST(SUM({column}) AS BIGINT)"))
                .join(", "),
            told(""),
            told("AND o.wording <> '' AND o.wording <> a.wording || '@' || a.form"),
            visited("opened"),
            visited("steps"),
            visited("done"),
        );
        let counted = self.rows(&sql, values![round])?;
        let arms = self.rows(
            "SELECT wording, percent, form FROM wording_arm WHERE round = ?1 ORDER BY place",
            values![round],
        )?;
        let mut arms: Vec<WordingArm> = arms
            .iter()
            .map(|row| {
                Ok(WordingArm {
                    wording: row.text(0)?.into(),
                    percent: u32::try_from(row.int(1)?).unwrap_or_default(),
                    form: row.text(2)?.into(),
                    ..WordingArm::default()
                })
            })
            .collect::<Result<_, StoreError>>()?;
        for row in &counted {
            let place = usize::try_from(row.int(0)?).unwrap_or(usize::MAX);
            let Some(arm) = arms.get_mut(place) else { continue };
            (arm.cases, arm.notified, arm.otherwise) = (row.count(1)?, row.count(2)?, row.count(3)?);
            (arm.opened, arm.steps, arm.done) = (row.count(4)?, row.count(5)?, row.count(6)?);
        }
        Ok(arms)
    }

    /// Of the cases that are old enough: how many are observed, and how many of these clean.
    fn count_clean(
        &mut self,
        round: &Id,
        arms: &mut [WordingArm],
        (since, days): (Timestamp, u32),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (whole, half) = (i64::from(days) * DAY_MS, i64::from(days) * DAY_MS / 2);
        let rows = self.rows(
            "SELECT place, campaign, day, CAST(gone AS BIGINT), COUNT(*) FROM (
               SELECT w.place AS place, c.campaign AS campaign, w.at_ms / ?4 AS day,
                 (CASE WHEN EXISTS (SELECT 1 FROM case_sighting s WHERE s.case_id = w.case_id
                    AND s.at_ms > w.at_ms + ?2 AND s.at_ms <= w.at_ms + ?3) THEN 0 ELSE 1 END) AS gone
               FROM case_wording w JOIN cases c ON c.id = w.case_id
               WHERE w.round = ?1 AND w.at_ms <= ?5 AND c.state <> 'merged') t
             GROUP BY place, campaign, day, gone",
            values![round, half, whole, DAY_MS, now.as_millisecond() - whole],
        )?;
        let mut told = BTreeMap::new();
        for row in &rows {
            let campaign = row.text(1)?;
            if !told.contains_key(campaign) {
                told.insert(campaign.to_owned(), self.days_told(campaign, since)?);
            }
        }
        for row in &rows {
            let place = usize::try_from(row.int(0)?).unwrap_or(usize::MAX);
            let Some(arm) = arms.get_mut(place) else { continue };
            let (day, count) = (row.int(2)?, row.count(4)?);
            arm.aged += count;
            let days_told = told.get(row.text(1)?);
            if days_told.is_some_and(|told| told.range(second_half(day, days)).next().is_some()) {
                arm.observed += count;
                arm.clean += if row.flag(3)? { count } else { 0 };
            }
        }
        Ok(())
    }
}
