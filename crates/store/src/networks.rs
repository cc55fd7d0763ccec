//! How infected each network is: the weekly counts, and the cases that they are counted from.
//!
//! A page is made of the counts alone, a row for each network and week. Counting a week reads the cases that were open in it, in pages by
//! an index, with the first sighting of each; whatever else there is in the table is not looked at.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_model::Id;
use noroshi_model::network::{Counted, Infected, Week};

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Rows of counts that are told at most: two years of as many networks as there may be.
const ROWS_MAX: u32 = 25_000;

/// How far the cases of a week were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// Cases that are open, behind this one.
    Open(String),
    /// Cases that closed since the week began, behind that moment and this one.
    Closed(i64, String),
    /// All of them.
    Everything,
}

impl After {
    /// Before the first.
    pub const NOTHING: After = After::Open(String::new());
}

impl Tx<'_> {
    /// When the first case was opened.
    pub fn first_opened(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let row = self.row("SELECT MIN(opened_ms) FROM cases", &[])?;
        row.map_or(Ok(None), |row| row.time_opt(0))
    }

    /// From a week on, by which prefixes and when each was counted.
    pub fn weeks_counted(&mut self, from: Week) -> Result<BTreeMap<Week, (String, Timestamp)>, StoreError> {
        let rows = self.rows(
            "SELECT week, networks, at_ms FROM network_counted WHERE week >= ?1 ORDER BY week",
            values![from.number()],
        )?;
        let counted = |row: &Row| Ok((Week::numbered(row.int(0)?), (row.text(1)?.to_owned(), row.time(2)?)));
        rows.iter().map(counted).collect()
    }

    /// Cases that were open at some time in a week, so many behind those that were read, and how far that is. A case that closes while
    /// it is being read may come twice.
    pub fn infected_in(
        &mut self,
        week: Week,
        after: &After,
        limit: u32,
    ) -> Result<(Vec<Infected>, After), StoreError> {
        const COLUMNS: &str = "c.id, c.party, c.opened_ms,
            (SELECT s.ip FROM case_sighting s WHERE s.case_id = c.id ORDER BY s.at_ms, s.ip LIMIT 1),
            CAST((CASE WHEN EXISTS (SELECT 1 FROM case_sighting s WHERE s.case_id = c.id AND s.at_ms >= ?1 AND s.at_ms < ?2)
              THEN 1 ELSE 0 END) AS BIGINT), c.closed_ms";
        // What a person says is none, or the same as another, does not count.
        const IS_ONE: &str = "c.state NOT IN ('rejected', 'merged')";
        let (start, end) = (week.start(), week.end());
        let rows = match after {
            After::Open(id) => self.rows(
                &format!(
                    "SELECT {COLUMNS} FROM cases c WHERE c.closed_ms IS NULL AND c.id > ?3 AND c.opened_ms < ?2 AND {IS_ONE}
                     ORDER BY c.id LIMIT ?4"
                ),
                values![start, end, id.as_str(), limit],
            )?,
            After::Closed(closed, id) => self.rows(
                &format!(
                    "SELECT {COLUMNS} FROM cases c WHERE c.closed_ms >= ?1 AND c.opened_ms < ?2
                       AND (c.closed_ms, c.id) > (?3, ?4) AND {IS_ONE}
                     ORDER BY c.closed_ms, c.id LIMIT ?5"
                ),
                values![start, end, *closed, id.as_str(), limit],
            )?,
            After::Everything => Vec::new(),
        };
        let next = match (rows.last().filter(|_| rows.len() == limit as usize), after) {
            (Some(last), After::Open(_)) => After::Open(last.text(0)?.to_owned()),
            (Some(last), _) => After::Closed(last.int(5)?, last.text(0)?.to_owned()),
            (None, After::Open(_)) => After::Closed(start.as_millisecond() - 1, String::new()),
            (None, _) => After::Everything,
        };
        Ok((rows.iter().map(infected).collect::<Result<_, _>>()?, next))
    }

    /// Puts what was counted of a week in place of what was. Lines that were known for a week that is over stay as they were.
    pub fn put_counted(
        &mut self,
        week: Week,
        networks: &Id,
        counts: &[Counted],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut had = BTreeMap::new();
        let rows =
            self.rows("SELECT network, lines FROM network_week WHERE week = ?1", values![week.number()])?;
        for row in rows {
            if let Some(lines) = row.count_opt(1)? {
                had.insert(row.text(0)?.to_owned(), lines);
            }
        }
        if now < week.end() {
            had.clear();
        }
        self.execute("DELETE FROM network_week WHERE week = ?1", values![week.number()])?;
        for c in counts {
            let lines = had.get(&c.network).copied().or(c.lines);
            self.execute(
                "INSERT INTO network_week (week, network, lines, infected, seen, opened) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                values![week.number(), c.network.as_str(), lines, c.infected, c.seen, c.opened],
            )?;
        }
        self.execute(
            "INSERT INTO network_counted (week, networks, at_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (week) DO UPDATE SET networks = excluded.networks, at_ms = excluded.at_ms",
            values![week.number(), networks, now],
        )?;
        Ok(())
    }

    /// The counts from a week on, by network and week.
    pub fn counted_weeks(&mut self, from: Week) -> Result<Vec<Counted>, StoreError> {
        let rows = self.rows(
            "SELECT w.week, w.network, w.lines, w.infected, w.seen, w.opened, c.at_ms
             FROM network_week w JOIN network_counted c ON c.week = w.week
             WHERE w.week >= ?1 ORDER BY w.network, w.week LIMIT ?2",
            values![from.number(), ROWS_MAX],
        )?;
        let counted = |row: &Row| {
            Ok(Counted {
                week: Week::numbered(row.int(0)?),
                network: row.text(1)?.into(),
                lines: row.count_opt(2)?,
                infected: row.count(3)?,
                seen: row.count(4)?,
                opened: row.count(5)?,
                at: row.time(6)?,
            })
        };
        rows.iter().map(counted).collect()
    }
}

fn infected(row: &Row) -> Result<Infected, StoreError> {
    let ip: Option<IpAddr> = row.text_opt(3)?.and_then(|text| text.parse().ok());
    Ok(Infected {
        case: row.id(0)?,
        party: row.text(1)?.into(),
        opened: row.time(2)?,
        ip,
        seen: row.flag(4)?,
    })
}
