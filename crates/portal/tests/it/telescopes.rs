//! What telescopes wrote down, in memory: a few of everything, or hostile, or none.

use jiff::Timestamp;
use noroshi_model::Id;
use noroshi_model::telescope::{Campaign, Counted, MinuteCount, Sighting, SpanCount, TelescopeState};
use noroshi_portal::Cursor;
use noroshi_portal::desk::*;

use super::desk::{InMemory, Kept, after, nth};

impl Telescopes for InMemory {
    fn telescope(&self) -> Result<TelescopePage, DeskError> {
        let count = |by, name: &str| SpanCount { by, name: name.into(), hosts: 900, packets: 1_234_567 };
        let names = [(Counted::All, ""), (Counted::Class, "scanner"), (Counted::Tool, "mirai")];
        let others = [(Counted::Country, "JP"), (Counted::Country, ""), (Counted::Udp, "53")];
        let some = names.into_iter().chain(others).map(|(by, name)| count(by, name));
        let ports = (0..70_u16).map(|port| count(Counted::Tcp, &port.to_string()));
        let all: Vec<SpanCount> = some.chain(ports).collect();
        let is_there = self.kept != Kept::Nothing;
        let week: Vec<_> = all.iter().filter(|count| count.name != "23").cloned().collect();
        Ok(TelescopePage {
            at: nth(100),
            telescopes: self.list(0, 3, |n| TelescopeState {
                name: self.text("live-eth0"),
                addresses: 65_536 * n,
                since: nth(0),
                seen: nth(n),
            })?,
            minutes: self.list(0, 9, |n| MinuteCount { minute: nth(n * 60), packets: n, arrivals: n })?,
            day: if is_there { all } else { Vec::new() },
            week: if is_there { week } else { Vec::new() },
            campaigns: self.telescope_campaigns(None, 10)?,
            expected: self.list(0, 2, |n| Expected {
                hour: nth(n * 3600),
                what: "packets",
                mean: 1000,
                low: 900,
                high: 1200,
                error: (n == 0).then_some(0.71),
                coverage: (n == 0).then_some(0.8),
            })?,
        })
    }

    fn telescope_svg(&self) -> Result<String, DeskError> {
        self.up().map(|()| "<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_owned())
    }

    fn telescope_sightings(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Sighting>, DeskError> {
        self.list(after(behind), limit, |n| Sighting {
            id: Id::of("sighting", &[&n.to_be_bytes()]),
            telescope: self.text("live-eth0"),
            at: nth(n),
            ip: [203, 0, 113, n as u8].into(),
            country: ["JP", ""][n as usize % 2].into(),
            class: ["scanner", ""][n as usize % 2].into(),
            tool: ["mirai", ""][n as usize % 2].into(),
            protocol: ["tcp", ""][n as usize % 2].into(),
            port: (n % 2 == 0).then_some(23),
            sampled: n + 1,
        })
    }

    fn telescope_sighting(&self, id: &Id) -> Result<Sighting, DeskError> {
        let all = self.telescope_sightings(None, u32::MAX)?;
        all.into_iter().find(|one| one.id == *id).ok_or(DeskError::NotFound)
    }

    fn telescope_campaigns(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Campaign>, DeskError> {
        self.list(after(behind), limit, |n| Campaign {
            id: Id::of("dark-campaign", &[&n.to_be_bytes()]),
            telescope: self.text("live-eth0"),
            protocol: "tcp".into(),
            port: 49_152,
            tool: ["mirai", ""][n as usize % 2].into(),
            onset: nth(n),
            known: nth(n),
            sources_known: 9,
            sources: 900,
            last: nth(n + 9),
        })
    }

    fn telescope_campaign(&self, id: &Id) -> Result<Campaign, DeskError> {
        let all = self.telescope_campaigns(None, u32::MAX)?;
        all.into_iter().find(|one| one.id == *id).ok_or(DeskError::NotFound)
    }

    fn sky(&self, at: Option<Timestamp>) -> Result<Sky, DeskError> {
        Ok(Sky {
            now: at.unwrap_or_else(|| nth(100)),
            telescopes: self.telescope()?.telescopes,
            rings: self.list(0, 9, |n| Ring {
                key: format!("city-{n}"),
                name: self.text("例示市"),
                ranges: 2,
            })?,
            alerts: self.sky_since(None, at)?.alerts,
            sightings: self.telescope_sightings(None, 2000)?,
        })
    }

    fn sky_since(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<SkyNews, DeskError> {
        // One more with each look.
        let looked = since.map_or(0, |since| (since.as_second() - 1_760_000_000 + 100) as u64);
        let alerts = self.alerts(None, 20)?.into_iter().map(|alert| PlacedAlert { alert, place: 0.25 });
        let mut sightings = self.telescope_sightings(None, looked.min(20) as u32)?;
        sightings.reverse();
        Ok(SkyNews { until: until.unwrap_or_else(|| nth(looked)), sightings, alerts: alerts.collect() })
    }
}
