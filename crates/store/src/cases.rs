//! Acted: cases and what was seen in them.

use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_model::{Case, CaseFilter, CaseState, Id, Mark, Seek};

use crate::row::{Row, Value, values};
use crate::{StoreError, Tx};

const COLUMNS: &str = "id, party, family, campaign, measure, state, opened_ms, first_ms, last_ms, steps, last_step_ms, \
                       next_ms, held_out_until_ms, closed_ms, reinfected, held_by, merged_into, forgotten_ms";

/// How far merged cases are followed.
const MERGES_MAX: u32 = 100;

/// The conditions of a filter, and their values.
fn conditions(filter: &CaseFilter) -> (Vec<String>, Vec<Value>) {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    let equal = [
        ("state", filter.state.map(CaseState::id)),
        ("family", filter.family.as_deref()),
        ("campaign", filter.campaign.as_deref()),
        ("measure", filter.measure.as_deref()),
    ];
    for (column, wanted) in equal {
        if let Some(wanted) = wanted {
            values.push(Value::from(wanted));
            conditions.push(format!("{column} = ?{}", values.len()));
        }
    }
    for (bound, at) in [("opened_ms >=", filter.since), ("opened_ms <", filter.until)] {
        if let Some(at) = at {
            values.push(Value::from(at));
            conditions.push(format!("{bound} ?{}", values.len()));
        }
    }
    if let Some(digits) = &filter.digits {
        // Behind the last hexadecimal digit.
        values.extend([Value::from(digits.as_str()), Value::from(format!("{digits}g"))]);
        conditions.push(format!("id >= ?{} AND id < ?{}", values.len() - 1, values.len()));
    }
    if filter.waiting {
        let ways = "'mail', 'sms', 'letter', 'call', 'walled-garden'";
        conditions.push(format!(
            "id IN (SELECT o.case_id FROM outbox o WHERE o.channel IN ({ways}) AND o.state = 'proposed')"
        ));
    }
    (conditions, values)
}

/// What a person said of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseAct {
    /// The case.
    pub case: Id,
    /// Its evidence entry.
    pub evidence: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub person: String,
    /// `held`, `released`, `rejected`, `merged`.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Tx<'_> {
    /// The case that a party and family are about now: the open one, or else the newest closed one; where that went into another,
    /// the other.
    pub fn latest_case(&mut self, party: &str, family: &str) -> Result<Option<Case>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM cases WHERE party = ?1 AND family = ?2
             ORDER BY CASE WHEN closed_ms IS NULL THEN 0 ELSE 1 END, opened_ms DESC, id LIMIT 1"
        );
        let mut latest = self.row(&sql, values![party, family])?.as_ref().map(case).transpose()?;
        // A merged case points to one that was open then, so the way has an end; bounded all the same.
        for _ in 0..MERGES_MAX {
            let Some(into) = latest.as_ref().and_then(|case| case.merged_into.clone()) else { break };
            latest = self.case(&into)?;
        }
        Ok(latest)
    }

    /// The other open cases of a case's party, newest first.
    pub fn open_beside(&mut self, one: &Case) -> Result<Vec<Case>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM cases WHERE party = ?1 AND id <> ?2 AND closed_ms IS NULL
             ORDER BY opened_ms DESC, id LIMIT 100"
        );
        self.rows(&sql, values![&one.party, &one.id])?.iter().map(case).collect()
    }

    /// Gives the sightings of a case to another as well.
    pub fn copy_sightings(&mut self, from: &Id, into: &Id) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO case_sighting (case_id, at_ms, ip)
             SELECT ?2, at_ms, ip FROM case_sighting WHERE case_id = ?1 ON CONFLICT DO NOTHING",
            values![from, into],
        )?;
        Ok(())
    }

    /// Keeps what a person said of a case.
    pub fn put_case_act(&mut self, act: &CaseAct) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO case_act (case_id, evidence, at_ms, person, what, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
            values![&act.case, act.evidence, act.at, &act.person, &act.what, &act.why],
        )?;
        Ok(())
    }

    /// What people said of a case, in order.
    pub fn case_acts(&mut self, case: &Id) -> Result<Vec<CaseAct>, StoreError> {
        let rows = self.rows(
            "SELECT case_id, evidence, at_ms, person, what, why FROM case_act WHERE case_id = ?1
             ORDER BY evidence LIMIT 1000",
            values![case],
        )?;
        let act = |row: &Row| {
            Ok(CaseAct {
                case: row.id(0)?,
                evidence: row.count(1)?,
                at: row.time(2)?,
                person: row.text(3)?.into(),
                what: row.text(4)?.into(),
                why: row.text(5)?.into(),
            })
        };
        rows.iter().map(act).collect()
    }

    /// One case.
    pub fn case(&mut self, id: &Id) -> Result<Option<Case>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM cases WHERE id = ?1");
        self.row(&sql, values![id])?.as_ref().map(case).transpose()
    }

    /// The case whose id begins with these digits; `None` where there are several.
    pub fn case_by_prefix(&mut self, digits: &str) -> Result<Option<Case>, StoreError> {
        // Behind the last hexadecimal digit.
        let end = format!("{digits}g");
        let sql = format!("SELECT {COLUMNS} FROM cases WHERE id >= ?1 AND id < ?2 LIMIT 2");
        let found = self.rows(&sql, values![digits, end.as_str()])?;
        match found.as_slice() {
            [one] => Ok(Some(case(one)?).filter(|case| case.id.as_str().starts_with(digits))),
            _ => Ok(None),
        }
    }

    /// Stores or replaces a case.
    pub fn put_case(&mut self, c: &Case) -> Result<(), StoreError> {
        self.tell_of_case(c)?;
        self.execute(
            "INSERT INTO cases (id, party, family, campaign, measure, state, opened_ms, first_ms, last_ms, steps,
               last_step_ms, next_ms, held_out_until_ms, closed_ms, reinfected, held_by, merged_into)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, first_ms = excluded.first_ms,
               last_ms = excluded.last_ms, steps = excluded.steps, last_step_ms = excluded.last_step_ms,
               next_ms = excluded.next_ms, closed_ms = excluded.closed_ms, held_by = excluded.held_by,
               merged_into = excluded.merged_into",
            values![
                &c.id,
                &c.party,
                &c.family,
                &c.campaign,
                &c.measure,
                c.state.id(),
                c.opened,
                c.first_seen,
                c.last_seen,
                c.steps,
                c.last_step,
                c.next,
                c.held_out_until,
                c.closed,
                c.reinfected,
                c.held_by.as_deref(),
                c.merged_into.as_ref()
            ],
        )?;
        Ok(())
    }

    /// Cases whose time has come to be looked at again, the longest waiting first.
    pub fn cases_due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Case>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM cases WHERE next_ms <= ?1 ORDER BY next_ms, id LIMIT ?2");
        self.rows(&sql, values![now, limit])?.iter().map(case).collect()
    }

    /// When a campaign's feed last told of anybody.
    pub fn last_told_of(&mut self, campaign: &str) -> Result<Option<Timestamp>, StoreError> {
        let row = self.row("SELECT MAX(last_ms) FROM cases WHERE campaign = ?1", values![campaign])?;
        row.map_or(Ok(None), |row| row.time_opt(0))
    }

    /// When a party was last told of a family in another case than this one, as far as is known.
    pub fn told_before(&mut self, case: &Case) -> Result<Option<Timestamp>, StoreError> {
        let row = self.row(
            "SELECT MAX(o.changed_ms) FROM outbox o JOIN cases c ON c.id = o.case_id
             WHERE c.party = ?1 AND c.family = ?2 AND c.id <> ?3
               AND o.state IN ('sending', 'sent', 'delivered', 'in-doubt')",
            values![&case.party, &case.family, &case.id],
        )?;
        row.map_or(Ok(None), |row| row.time_opt(0))
    }

    /// Takes held cases of a party up again, because its subscriber wants to be told after all.
    pub fn take_up_held(&mut self, party: &str, now: Timestamp) -> Result<u64, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM cases WHERE party = ?1 AND state = 'held' AND held_by IS NULL");
        let held = self.rows(&sql, values![party])?.iter().map(case).collect::<Result<Vec<_>, _>>()?;
        let taken_up = held.len() as u64;
        for case in held {
            let state = if case.steps > 0 { CaseState::Notified } else { CaseState::Open };
            self.put_case(&Case { state, next: Some(now), ..case })?;
        }
        Ok(taken_up)
    }

    /// Keeps for whom a case is, encrypted by the vault.
    pub fn put_addressee(&mut self, case: &Id, body: &[u8]) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO case_addressee (case_id, body) VALUES (?1, ?2)
             ON CONFLICT (case_id) DO UPDATE SET body = excluded.body",
            values![case, body],
        )?;
        Ok(())
    }

    /// For whom a case is, encrypted by the vault; `None` once it is no longer needed.
    pub fn addressee(&mut self, case: &Id) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.row("SELECT body FROM case_addressee WHERE case_id = ?1", values![case])?;
        row.map(|row| Ok(row.bytes(0)?.to_vec())).transpose()
    }

    /// Erases for whom a case is.
    pub fn forget_addressee(&mut self, case: &Id) -> Result<(), StoreError> {
        self.execute("DELETE FROM case_addressee WHERE case_id = ?1", values![case])?;
        Ok(())
    }

    /// Notes that a case's party was seen at an address at a time; false if that was known.
    pub fn add_sighting(&mut self, case: &Id, at: Timestamp, ip: IpAddr) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO case_sighting (case_id, at_ms, ip) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            values![case, at, ip.to_string()],
        )?;
        Ok(new == 1)
    }

    /// What was seen in a case, newest first.
    pub fn sightings(&mut self, case: &Id, limit: u32) -> Result<Vec<(Timestamp, IpAddr)>, StoreError> {
        let rows = self.rows(
            "SELECT at_ms, ip FROM case_sighting WHERE case_id = ?1 AND ip <> '' ORDER BY at_ms DESC, ip LIMIT ?2",
            values![case, limit],
        )?;
        rows.iter().map(|row| Ok((row.time(0)?, row.parsed(1, |t| t.parse().ok())?))).collect()
    }

    /// How often a case's party was seen.
    pub fn sighting_count(&mut self, case: &Id) -> Result<u64, StoreError> {
        let n = self.number("SELECT COUNT(*) FROM case_sighting WHERE case_id = ?1", values![case])?;
        Ok(n.unsigned_abs())
    }

    /// Cases of a kind, newest first, `limit` of them from a place on.
    pub fn cases(&mut self, wanted: &CaseFilter, seek: &Seek, limit: u32) -> Result<Vec<Case>, StoreError> {
        let (mut conditions, mut values) = conditions(wanted);
        // Where few are asked for by other means, they are found by these and then put in order; the plus keeps the databases from
        // walking all cases in order instead.
        let opened = if wanted.digits.is_some() || wanted.waiting { "+opened_ms" } else { "opened_ms" };
        // The first comparison finds the place in the index, the second tells those of one moment apart.
        let mut beside = |mark: &Mark, edge: &str, before: &str| {
            values.extend([Value::from(mark.at), Value::from(&mark.id)]);
            let (at, id) = (values.len() - 1, values.len());
            conditions
                .push(format!("{opened} {edge} ?{at} AND ({opened} {before} ?{at} OR id {before} ?{id})"));
        };
        let order = match seek {
            Seek::Newest => "DESC",
            Seek::Older(mark) => {
                beside(mark, "<=", "<");
                "DESC"
            }
            Seek::Newer(mark) => {
                beside(mark, ">=", ">");
                "ASC"
            }
        };
        let conditions = if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") };
        values.push(Value::from(limit));
        let sql = format!(
            "SELECT {COLUMNS} FROM cases WHERE {conditions} ORDER BY {opened} {order}, id {order} LIMIT ?{}",
            values.len()
        );
        let mut cases: Vec<Case> = self.rows(&sql, &values)?.iter().map(case).collect::<Result<_, _>>()?;
        if matches!(seek, Seek::Newer(_)) {
            cases.reverse();
        }
        Ok(cases)
    }

    /// Open cases that were opened and last seen at or before `quiet_since`, oldest first.
    pub fn quiet_cases(&mut self, quiet_since: Timestamp, limit: u32) -> Result<Vec<Case>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM cases WHERE closed_ms IS NULL AND last_ms <= ?1 AND opened_ms <= ?1
             ORDER BY last_ms, id LIMIT ?2"
        );
        self.rows(&sql, values![quiet_since, limit])?.iter().map(case).collect()
    }
}

fn case(row: &Row) -> Result<Case, StoreError> {
    Ok(Case {
        id: row.id(0)?,
        party: row.text(1)?.into(),
        family: row.text(2)?.into(),
        campaign: row.text(3)?.into(),
        measure: row.text(4)?.into(),
        state: row.parsed(5, CaseState::parse)?,
        opened: row.time(6)?,
        first_seen: row.time(7)?,
        last_seen: row.time(8)?,
        steps: u32::try_from(row.int(9)?).unwrap_or(u32::MAX),
        last_step: row.time_opt(10)?,
        next: row.time_opt(11)?,
        held_out_until: row.time_opt(12)?,
        closed: row.time_opt(13)?,
        reinfected: row.flag(14)?,
        held_by: row.text_opt(15)?.map(str::to_owned),
        merged_into: row.text_opt(16)?.and_then(Id::parse),
        forgotten: row.time_opt(17)?,
    })
}
