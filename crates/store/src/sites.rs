//! Sites: what lists say of them, what people decided, how they answered, and what was said against.

use jiff::Timestamp;
use noroshi_model::Id;
use serde::Serialize;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

const SITE: &str = "SELECT address, host, place, state, why, person, first_ms, last_ms, changed_ms, life, checked_ms, due_ms FROM site";
const LISTING: &str = "SELECT address, source, threat, first_ms, last_ms FROM site_listing";

/// What was decided of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SiteState {
    /// Nothing yet: lists have it.
    Candidate,
    /// It is handed to resolvers.
    Listed,
    /// Somebody objects; it is not handed out until that is answered.
    Objected,
    /// It is no longer handed out, whatever lists say.
    Removed,
}

impl SiteState {
    /// All of them.
    pub const ALL: [SiteState; 4] = [Self::Candidate, Self::Listed, Self::Objected, Self::Removed];

    /// Its name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Listed => "listed",
            Self::Objected => "objected",
            Self::Removed => "removed",
        }
    }

    /// Reads its name.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// A site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Site {
    /// Its address without scheme.
    pub address: String,
    /// Its host.
    pub host: String,
    /// Whether this is about one place on the host.
    pub place: bool,
    /// What was decided.
    pub state: SiteState,
    /// Why.
    pub why: String,
    /// By whom; empty where nobody decided yet.
    pub person: String,
    /// When it was first heard of.
    pub first: Timestamp,
    /// And last.
    pub last: Timestamp,
    /// When its state last changed.
    pub changed: Timestamp,
    /// How it answered last.
    pub life: Option<String>,
    /// When.
    pub checked: Option<Timestamp>,
    /// When it is to be asked again.
    pub due: Timestamp,
}

/// Which sites are asked for; what is empty asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SitesAsked {
    /// What was decided of them.
    pub state: Option<SiteState>,
    /// A list that has them.
    pub source: Option<String>,
    /// What their address has in it.
    pub text: Option<String>,
}

/// That a list has a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteListing {
    /// Which site.
    pub address: String,
    /// Which list.
    pub source: String,
    /// What harm it speaks of.
    pub threat: String,
    /// Since when it has it.
    pub first: Timestamp,
    /// When it was last seen there.
    pub last: Timestamp,
}

/// A list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteSource {
    /// Its name.
    pub name: String,
    /// Lists that copy from each other are of one family.
    pub family: String,
    /// How often what it has is bad, in thousandths.
    pub reliability: u32,
    /// Since when it is known.
    pub since: Timestamp,
    /// When it was last read.
    pub read: Timestamp,
}

/// What was said against a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteObjection {
    /// Its id.
    pub id: Id,
    /// Which site.
    pub address: String,
    /// What is said.
    pub said: String,
    /// By whom.
    pub by_whom: String,
    /// When.
    pub at: Timestamp,
    /// The answer, by whom and when.
    pub answer: Option<String>,
    /// Who answered.
    pub answered_by: Option<String>,
}

impl Tx<'_> {
    /// Takes a site in, or sees it again; its state stays what it is. True where it is new.
    pub fn see_site(&mut self, site: &Site) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO site (address, host, place, state, why, person, first_ms, last_ms, changed_ms, due_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
            values![
                &site.address,
                &site.host,
                site.place,
                site.state.code(),
                &site.why,
                &site.person,
                site.first,
                site.last,
                site.changed,
                site.due
            ],
        )?;
        if new == 0 {
            let sql = "UPDATE site SET last_ms = ?2 WHERE address = ?1 AND last_ms < ?2";
            self.execute(sql, values![&site.address, site.last])?;
        }
        Ok(new == 1)
    }

    /// Says that a list has a site.
    pub fn put_site_listing(&mut self, listing: &SiteListing) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO site_listing (address, source, threat, first_ms, last_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (address, source) DO UPDATE SET threat = ?3,
             last_ms = CASE WHEN site_listing.last_ms < ?5 THEN ?5 ELSE site_listing.last_ms END",
            values![&listing.address, &listing.source, &listing.threat, listing.first, listing.last],
        )?;
        Ok(())
    }

    /// Decides of a site; false where there is none.
    pub fn decide_site(
        &mut self,
        address: &str,
        state: SiteState,
        why: &str,
        person: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE site SET state = ?2, why = ?3, person = ?4, changed_ms = ?5 WHERE address = ?1";
        Ok(self.execute(sql, values![address, state.code(), why, person, now])? == 1)
    }

    /// Writes how a site answered, and when it is to be asked again.
    pub fn put_site_life(
        &mut self,
        address: &str,
        life: &str,
        now: Timestamp,
        due: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE site SET life = ?2, checked_ms = ?3, due_ms = ?4 WHERE address = ?1";
        self.execute(sql, values![address, life, now, due])?;
        Ok(())
    }

    /// One site.
    pub fn site(&mut self, address: &str) -> Result<Option<Site>, StoreError> {
        self.row(&format!("{SITE} WHERE address = ?1"), values![address])?.as_ref().map(site).transpose()
    }

    /// Sites after an address, in order of addresses, of one state or of all.
    pub fn sites(
        &mut self,
        state: Option<SiteState>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Site>, StoreError> {
        let state = state.map(SiteState::code);
        let rows = self.rows(
            &format!(
                "{SITE} WHERE (CAST(?1 AS TEXT) IS NULL OR state = ?1) AND address > ?2 ORDER BY address LIMIT ?3"
            ),
            values![state, after, limit],
        )?;
        rows.iter().map(site).collect()
    }

    /// The same of those that are asked for.
    pub fn find_sites(
        &mut self,
        asked: &SitesAsked,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Site>, StoreError> {
        // Written only where it is asked for, so that an index may serve it.
        let only = |is_asked: bool, value: &str, condition: &str| match is_asked {
            true => condition.to_owned(),
            false => format!("CAST({value} AS TEXT) IS NULL"),
        };
        let like = |text: &String| {
            let plain = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            format!("%{plain}%")
        };
        // The list leads where there is one, so that few sites of a small list are found as fast as many.
        let (list, key) = match asked.source {
            Some(_) => (
                "JOIN (SELECT address AS key FROM site_listing WHERE source = ?2) l ON l.key = address",
                "l.key",
            ),
            None => ("", "address"),
        };
        let rows = self.rows(
            &format!(
                "{SITE} {list} WHERE {} AND {} AND {} AND {key} > ?4 ORDER BY {key} LIMIT ?5",
                only(asked.state.is_some(), "?1", "state = ?1"),
                only(asked.source.is_some(), "?2", "TRUE"),
                only(asked.text.is_some(), "?3", "address LIKE ?3 ESCAPE '\\'"),
            ),
            values![
                asked.state.map(SiteState::code),
                asked.source.as_ref(),
                asked.text.as_ref().map(like),
                after,
                limit
            ],
        )?;
        rows.iter().map(site).collect()
    }

    /// Sites of a host: the host itself, and places on it.
    pub fn sites_of_host(&mut self, host: &str, limit: u32) -> Result<Vec<Site>, StoreError> {
        let sql = format!("{SITE} WHERE host = ?1 ORDER BY address LIMIT ?2");
        self.rows(&sql, values![host, limit])?.iter().map(site).collect()
    }

    /// Sites that are to be asked whether they answer, those first that wait longest.
    pub fn sites_due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Site>, StoreError> {
        let rows = self.rows(
            &format!("{SITE} WHERE due_ms <= ?1 AND state <> 'removed' ORDER BY due_ms, address LIMIT ?2"),
            values![now, limit],
        )?;
        rows.iter().map(site).collect()
    }

    /// Which lists have a site.
    pub fn site_listings(&mut self, address: &str) -> Result<Vec<SiteListing>, StoreError> {
        let sql = format!("{LISTING} WHERE address = ?1 ORDER BY source LIMIT 1000");
        self.rows(&sql, values![address])?.iter().map(listing).collect()
    }

    /// Writes what is known of a list.
    pub fn put_site_source(&mut self, one: &SiteSource) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO site_source (name, family, reliability, since_ms, read_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (name) DO UPDATE SET family = ?2, reliability = ?3, read_ms = ?5",
            values![&one.name, &one.family, one.reliability, one.since, one.read],
        )?;
        Ok(())
    }

    /// One list.
    pub fn site_source(&mut self, name: &str) -> Result<Option<SiteSource>, StoreError> {
        let sql = "SELECT name, family, reliability, since_ms, read_ms FROM site_source WHERE name = ?1";
        self.row(sql, values![name])?.as_ref().map(source).transpose()
    }

    /// All lists, and how many sites each has, and of these how many were removed.
    pub fn site_sources(&mut self) -> Result<Vec<(SiteSource, u64, u64)>, StoreError> {
        let rows = self.rows(
            "SELECT s.name, s.family, s.reliability, s.since_ms, s.read_ms, COUNT(l.address),
             COALESCE(SUM(CASE WHEN t.state = 'removed' THEN 1 ELSE 0 END), 0)
             FROM site_source s LEFT JOIN site_listing l ON l.source = s.name LEFT JOIN site t ON t.address = l.address
             GROUP BY s.name, s.family, s.reliability, s.since_ms, s.read_ms ORDER BY s.name LIMIT 10000",
            values![],
        )?;
        rows.iter().map(|row| Ok((source(row)?, row.count(5)?, row.count(6)?))).collect()
    }

    /// Takes an objection in.
    pub fn put_site_objection(&mut self, one: &SiteObjection) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO site_objection (id, address, said, by_whom, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            values![&one.id, &one.address, &one.said, &one.by_whom, one.at],
        )?;
        Ok(())
    }

    /// Answers all open objections to a site; how many there were.
    pub fn answer_site_objections(
        &mut self,
        address: &str,
        answer: &str,
        person: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let sql = "UPDATE site_objection SET answer = ?2, answered_by = ?3, answered_ms = ?4
             WHERE address = ?1 AND answer IS NULL";
        self.execute(sql, values![address, answer, person, now])
    }

    /// What was said against a site's listing, newest first.
    pub fn site_objections(&mut self, address: &str) -> Result<Vec<SiteObjection>, StoreError> {
        let rows = self.rows(
            "SELECT id, address, said, by_whom, at_ms, answer, answered_by FROM site_objection
             WHERE address = ?1 ORDER BY at_ms DESC, id LIMIT 1000",
            values![address],
        )?;
        rows.iter().map(objection).collect()
    }
}

fn site(row: &Row) -> Result<Site, StoreError> {
    Ok(Site {
        address: row.text(0)?.into(),
        host: row.text(1)?.into(),
        place: row.flag(2)?,
        state: row.parsed(3, SiteState::parse)?,
        why: row.text(4)?.into(),
        person: row.text(5)?.into(),
        first: row.time(6)?,
        last: row.time(7)?,
        changed: row.time(8)?,
        life: row.text_opt(9)?.map(str::to_owned),
        checked: row.time_opt(10)?,
        due: row.time(11)?,
    })
}

fn listing(row: &Row) -> Result<SiteListing, StoreError> {
    Ok(SiteListing {
        address: row.text(0)?.into(),
        source: row.text(1)?.into(),
        threat: row.text(2)?.into(),
        first: row.time(3)?,
        last: row.time(4)?,
    })
}

fn source(row: &Row) -> Result<SiteSource, StoreError> {
    Ok(SiteSource {
        name: row.text(0)?.into(),
        family: row.text(1)?.into(),
        reliability: u32::try_from(row.count(2)?).unwrap_or(u32::MAX),
        since: row.time(3)?,
        read: row.time(4)?,
    })
}

fn objection(row: &Row) -> Result<SiteObjection, StoreError> {
    Ok(SiteObjection {
        id: row.id(0)?,
        address: row.text(1)?.into(),
        said: row.text(2)?.into(),
        by_whom: row.text(3)?.into(),
        at: row.time(4)?,
        answer: row.text_opt(5)?.map(str::to_owned),
        answered_by: row.text_opt(6)?.map(str::to_owned),
    })
}
