//! Telescopes that write down what they see, how large they are, and what that is: counts by the minute and the hour, campaigns, and some
//! senders one by one. Which addresses they have is written nowhere.

use jiff::Timestamp;
use noroshi_model::telescope::{
    Campaign, Counted, HourCount, MinuteCount, Sighting, SpanCount, TelescopeState,
};
use noroshi_model::{Id, Mark};

use crate::row::{Row, values};
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// A telescope is there.
    pub fn put_telescope(&mut self, name: &str, addresses: u64, now: Timestamp) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO telescope (name, addresses, since_ms, seen_ms) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (name) DO UPDATE SET addresses = ?2, seen_ms = ?3",
            values![name, addresses, now],
        )?;
        Ok(())
    }

    /// Telescopes that were there since, by name.
    pub fn telescopes(&mut self, since: Timestamp) -> Result<Vec<TelescopeState>, StoreError> {
        let rows = self.rows(
            "SELECT name, addresses, since_ms, seen_ms FROM telescope WHERE seen_ms >= ?1 ORDER BY name LIMIT 10000",
            values![since],
        )?;
        rows.iter()
            .map(|row| {
                Ok(TelescopeState {
                    name: row.text(0)?.into(),
                    addresses: row.count(1)?,
                    since: row.time(2)?,
                    seen: row.time(3)?,
                })
            })
            .collect()
    }
}

const SIGHTING: &str =
    "SELECT id, telescope, at_ms, ip, country, class, tool, protocol, port, sampled FROM telescope_sighting";
const CAMPAIGN: &str = "SELECT id, telescope, protocol, port, tool, onset_ms, known_ms, sources_known, sources, last_ms \
                        FROM telescope_campaign";

impl Tx<'_> {
    /// What a telescope counted within a minute; written again, it is added to.
    pub fn add_telescope_minute(&mut self, telescope: &str, count: &MinuteCount) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO telescope_minute (telescope, minute_ms, packets, arrivals) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (telescope, minute_ms) DO UPDATE SET
               packets = telescope_minute.packets + ?3, arrivals = telescope_minute.arrivals + ?4",
            values![telescope, count.minute, count.packets, count.arrivals],
        )?;
        Ok(())
    }

    /// What a telescope counted within an hour so far; written again, it is replaced.
    pub fn put_telescope_hour(&mut self, telescope: &str, counts: &[HourCount]) -> Result<(), StoreError> {
        for HourCount { hour, by, name, hosts, packets } in counts {
            self.execute(
                "INSERT INTO telescope_hour (telescope, hour_ms, counted, name, hosts, packets) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (telescope, hour_ms, counted, name) DO UPDATE SET hosts = ?5, packets = ?6",
                values![telescope, *hour, by.id(), name, *hosts, *packets],
            )?;
        }
        Ok(())
    }

    /// What a telescope had counted within an hour.
    pub fn telescope_hour(&mut self, telescope: &str, hour: Timestamp) -> Result<Vec<HourCount>, StoreError> {
        let rows = self.rows(
            "SELECT hour_ms, counted, name, hosts, packets FROM telescope_hour WHERE telescope = ?1 AND hour_ms = ?2",
            values![telescope, hour],
        )?;
        let count = |row: &Row| {
            let (hour, by) = (row.time(0)?, row.parsed(1, Counted::parse)?);
            Ok(HourCount {
                hour,
                by,
                name: row.text(2)?.into(),
                hosts: row.count(3)?,
                packets: row.count(4)?,
            })
        };
        rows.iter().map(count).collect()
    }

    /// Minutes from then until before then, of all telescopes together, in their order; minutes of which nothing was written are left out.
    pub fn telescope_minutes(
        &mut self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<MinuteCount>, StoreError> {
        let rows = self.rows(
            "SELECT minute_ms, CAST(SUM(packets) AS BIGINT), CAST(SUM(arrivals) AS BIGINT) FROM telescope_minute
             WHERE minute_ms >= ?1 AND minute_ms < ?2 GROUP BY minute_ms ORDER BY minute_ms LIMIT 100000",
            values![from, until],
        )?;
        let count = |row: &Row| {
            Ok(MinuteCount { minute: row.time(0)?, packets: row.count(1)?, arrivals: row.count(2)? })
        };
        rows.iter().map(count).collect()
    }

    /// What was counted in hours that began from then until before then, of all telescopes together; most senders first.
    pub fn telescope_span(
        &mut self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<SpanCount>, StoreError> {
        let rows = self.rows(
            "SELECT counted, name, MAX(hosts), CAST(SUM(packets) AS BIGINT) FROM
               (SELECT hour_ms, counted, name, CAST(SUM(hosts) AS BIGINT) AS hosts, SUM(packets) AS packets FROM telescope_hour
                WHERE hour_ms >= ?1 AND hour_ms < ?2 GROUP BY hour_ms, counted, name) AS hours
             GROUP BY counted, name ORDER BY 3 DESC, counted, name LIMIT 100000",
            values![from, until],
        )?;
        let count = |row: &Row| {
            let (by, name) = (row.parsed(0, Counted::parse)?, row.text(1)?.into());
            Ok(SpanCount { by, name, hosts: row.count(2)?, packets: row.count(3)? })
        };
        rows.iter().map(count).collect()
    }

    /// Senders and packets of each hour that began from then until before then, of all telescopes together, in their order; hours of which
    /// nothing was written are left out.
    pub fn telescope_hours(
        &mut self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HourCount>, StoreError> {
        let rows = self.rows(
            "SELECT hour_ms, CAST(SUM(hosts) AS BIGINT), CAST(SUM(packets) AS BIGINT) FROM telescope_hour
             WHERE hour_ms >= ?1 AND hour_ms < ?2 AND counted = ?3 GROUP BY hour_ms ORDER BY hour_ms LIMIT 100000",
            values![from, until, Counted::All.id()],
        )?;
        let count = |row: &Row| {
            let (hour, by, name) = (row.time(0)?, Counted::All, String::new());
            Ok(HourCount { hour, by, name, hosts: row.count(1)?, packets: row.count(2)? })
        };
        rows.iter().map(count).collect()
    }

    /// A campaign is found, or goes on.
    pub fn put_telescope_campaign(&mut self, one: &Campaign) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO telescope_campaign (id, telescope, protocol, port, tool, onset_ms, known_ms, sources_known, sources, last_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO UPDATE SET sources = ?9, last_ms = ?10",
            values![
                &one.id,
                &one.telescope,
                &one.protocol,
                u32::from(one.port),
                &one.tool,
                one.onset,
                one.known,
                one.sources_known,
                one.sources,
                one.last
            ],
        )?;
        Ok(())
    }

    /// Campaigns, the one found last first; behind a place.
    pub fn telescope_campaigns(
        &mut self,
        behind: Option<&Mark>,
        limit: u32,
    ) -> Result<Vec<Campaign>, StoreError> {
        let (at, id) = behind_ms(behind);
        let rows = self.rows(
            &format!(
                "{CAMPAIGN} WHERE known_ms < ?1 OR (known_ms = ?1 AND id > ?2) ORDER BY known_ms DESC, id LIMIT ?3"
            ),
            values![at, id, limit],
        )?;
        rows.iter().map(campaign).collect()
    }

    /// One campaign.
    pub fn telescope_campaign(&mut self, id: &Id) -> Result<Option<Campaign>, StoreError> {
        self.row(&format!("{CAMPAIGN} WHERE id = ?1"), values![id])?.as_ref().map(campaign).transpose()
    }

    /// Writes a sighting; written again, it stays as it is.
    pub fn put_telescope_sighting(&mut self, one: &Sighting) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO telescope_sighting (id, telescope, at_ms, ip, country, class, tool, protocol, port, sampled)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING",
            values![
                &one.id,
                &one.telescope,
                one.at,
                one.ip.to_string(),
                &one.country,
                &one.class,
                &one.tool,
                &one.protocol,
                one.port.map(u32::from),
                one.sampled
            ],
        )?;
        Ok(())
    }

    /// Sightings, the newest first; behind a place.
    pub fn telescope_sightings(
        &mut self,
        behind: Option<&Mark>,
        limit: u32,
    ) -> Result<Vec<Sighting>, StoreError> {
        let (at, id) = behind_ms(behind);
        let rows = self.rows(
            &format!(
                "{SIGHTING} WHERE at_ms < ?1 OR (at_ms = ?1 AND id > ?2) ORDER BY at_ms DESC, id LIMIT ?3"
            ),
            values![at, id, limit],
        )?;
        rows.iter().map(sighting).collect()
    }

    /// Sightings from then until before then, the newest first.
    pub fn telescope_sightings_between(
        &mut self,
        from: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Sighting>, StoreError> {
        let rows = self.rows(
            &format!("{SIGHTING} WHERE at_ms >= ?1 AND at_ms < ?2 ORDER BY at_ms DESC, id LIMIT ?3"),
            values![from, until, limit],
        )?;
        rows.iter().map(sighting).collect()
    }

    /// One sighting.
    pub fn telescope_sighting(&mut self, id: &Id) -> Result<Option<Sighting>, StoreError> {
        self.row(&format!("{SIGHTING} WHERE id = ?1"), values![id])?.as_ref().map(sighting).transpose()
    }

    /// Forgets sightings from before the first time, and counts and campaigns from before the second; how many sightings.
    pub fn forget_telescope(&mut self, sightings: Timestamp, counts: Timestamp) -> Result<u64, StoreError> {
        for sql in [
            "DELETE FROM telescope_minute WHERE minute_ms < ?1",
            "DELETE FROM telescope_hour WHERE hour_ms < ?1",
            "DELETE FROM telescope_campaign WHERE last_ms < ?1",
        ] {
            self.execute(sql, values![counts])?;
        }
        self.execute("DELETE FROM telescope_sighting WHERE at_ms < ?1", values![sightings])
    }
}

fn behind_ms(behind: Option<&Mark>) -> (i64, &str) {
    behind.map_or((i64::MAX, ""), |mark| (mark.at.as_millisecond(), mark.id.as_str()))
}

fn port(row: &Row, column: usize) -> Result<Option<u16>, StoreError> {
    Ok(row.count_opt(column)?.and_then(|port| u16::try_from(port).ok()))
}

fn sighting(row: &Row) -> Result<Sighting, StoreError> {
    Ok(Sighting {
        id: row.id(0)?,
        telescope: row.text(1)?.into(),
        at: row.time(2)?,
        ip: row.parsed(3, |text| text.parse().ok())?,
        country: row.text(4)?.into(),
        class: row.text(5)?.into(),
        tool: row.text(6)?.into(),
        protocol: row.text(7)?.into(),
        port: port(row, 8)?,
        sampled: row.count(9)?,
    })
}

fn campaign(row: &Row) -> Result<Campaign, StoreError> {
    Ok(Campaign {
        id: row.id(0)?,
        telescope: row.text(1)?.into(),
        protocol: row.text(2)?.into(),
        port: port(row, 3)?.unwrap_or(0),
        tool: row.text(4)?.into(),
        onset: row.time(5)?,
        known: row.time(6)?,
        sources_known: row.count(7)?,
        sources: row.count(8)?,
        last: row.time(9)?,
    })
}
