//! What telling does: the counts of each campaign's cases that were told, and of those that chance held out.
//!
//! A case counts once it is as old as cases are held out. It is gone if it was not seen in the second half of that time, and observed
//! if anybody of its campaign was: a feed that told of nobody in those days would not have told of this line either.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use jiff::Timestamp;
use noroshi_model::Trial;
use noroshi_model::outcome::Arm;

use crate::row::values;
use crate::{StoreError, Tx};

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The days that lie wholly in the second half of so many days, whenever on the first day it began.
pub(crate) fn second_half(first: i64, days: u32) -> RangeInclusive<i64> {
    first + i64::from(days.div_ceil(2)) + 1..=first + i64::from(days) - 1
}

impl Tx<'_> {
    /// The trial of every campaign of which chance held somebody out, by name; the effect is not worked out.
    pub fn trials(&mut self, days: u32, now: Timestamp) -> Result<Vec<Trial>, StoreError> {
        let (whole, half) = (i64::from(days) * DAY_MS, i64::from(days) * DAY_MS / 2);
        let mut begun = BTreeMap::new();
        for row in self.rows(
            "SELECT campaign, MIN(opened_ms) FROM cases WHERE held_out_until_ms IS NOT NULL
             GROUP BY campaign ORDER BY campaign LIMIT 1000",
            &[],
        )? {
            begun.insert(row.text(0)?.to_owned(), row.time(1)?);
        }
        let mut trials = Vec::new();
        for (campaign, since) in begun {
            let told = self.days_told(&campaign, since)?;
            let mut trial = Trial {
                campaign: campaign.clone(),
                days,
                told: Arm::default(),
                held_out: Arm::default(),
                effect: None,
            };
            // Of each day on which cases were opened, how many of each arm are gone; the day alone says whether they were observed.
            let rows = self.rows(
                "SELECT CAST(arm AS BIGINT), day, CAST(gone AS BIGINT), COUNT(*) FROM (
                   SELECT (CASE WHEN c.held_out_until_ms IS NULL THEN 0 ELSE 1 END) AS arm,
                     c.opened_ms / ?5 AS day,
                     (CASE WHEN EXISTS (SELECT 1 FROM case_sighting s WHERE s.case_id = c.id
                        AND s.at_ms > c.opened_ms + ?3 AND s.at_ms <= c.opened_ms + ?4) THEN 0 ELSE 1 END) AS gone
                   FROM cases c WHERE c.campaign = ?1 AND c.opened_ms >= ?2 AND c.opened_ms <= ?6) t
                 GROUP BY arm, day, gone",
                values![
                    campaign.as_str(),
                    since,
                    half,
                    whole,
                    DAY_MS,
                    now.as_millisecond() - whole
                ],
            )?;
            for row in rows {
                let arm = if row.int(0)? == 0 { &mut trial.told } else { &mut trial.held_out };
                let (day, count) = (row.int(1)?, row.count(3)?);
                arm.cases += count;
                if told.range(second_half(day, days)).next().is_some() {
                    arm.observed += count;
                    arm.gone += if row.flag(2)? { count } else { 0 };
                }
            }
            trials.push(trial);
        }
        Ok(trials)
    }

    /// The days on which a campaign's feed told of anybody.
    pub(crate) fn days_told(
        &mut self,
        campaign: &str,
        since: Timestamp,
    ) -> Result<BTreeSet<i64>, StoreError> {
        let rows = self.rows(
            "SELECT DISTINCT s.at_ms / ?3 FROM case_sighting s JOIN cases c ON c.id = s.case_id
             WHERE c.campaign = ?1 AND s.at_ms >= ?2",
            values![campaign, since, DAY_MS],
        )?;
        rows.iter().map(|row| row.int(0)).collect()
    }
}
