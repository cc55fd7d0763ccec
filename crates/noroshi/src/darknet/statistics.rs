//! What the telescope's pages show, written down while it goes on: counts by the minute and the hour, campaigns, and some senders of each
//! second, one by one.
//!
//! ```text
//!   every second     some of the arrivals, by chance ──▶ sightings
//!   every minute     packets, arrivals ──▶ minutes
//!   every half one   all senders, a part with each tick ──▶ hours: by class, tool, country; ports as the telescope counts them
//! ```
//!
//! It is done between two looks at the news, so no step of it takes long: senders are gone through a sixteenth at a time. A database that
//! does not answer costs that second's sightings and, at an hour's end, what was counted since the hour was written last; minutes and the
//! hour under way are written when it answers again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use noroshi_model::telescope::{Campaign, Counted, HourCount, MinuteCount, Sighting};
use noroshi_observe::telescope::{Arrival, Asked, PortCount, Source, Telescope, Tool, Turn};
use noroshi_orient::onset;
use noroshi_store::StoreError;

use super::judged::time;
use super::watch::Watch;
use crate::house::House;
use crate::tables::Enrichment;

/// How often sightings are written.
const SIGHTINGS: Duration = Duration::from_secs(1);
/// How often all senders are gone through.
const CENSUS: Duration = Duration::from_secs(30);
/// Ports of which an hour is written: so many by senders, and as many by packets, of each protocol.
const PORTS_MAX: usize = 50;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const MS_NS: i64 = 1_000_000;

/// By what, and of which.
type Key = (Counted, String);
/// Senders and packets.
type Count = (u64, u64);

/// Writes down what is counted.
pub struct Statistics<'a> {
    house: &'a House,
    /// What this telescope is called.
    name: String,
    tables: &'a Enrichment,
    sighted: Instant,
    /// Packets and arrivals up to the last minute that was written, and that minute.
    counted: (u64, u64),
    minute_ms: i64,
    hour: Hour,
    census: Census,
    counted_at: Option<Instant>,
    /// Of campaigns, with how many senders each was written.
    campaigns: HashMap<(Asked, u64), u64>,
}

/// An hour, as far as it is counted.
#[derive(Default)]
struct Hour {
    from_ms: i64,
    /// Packets until it began.
    packets_before: u64,
    /// What an earlier run had written of it.
    before: HashMap<Key, Count>,
    written: HashMap<Key, Count>,
}

/// Senders of the hour, as far as they were gone through.
#[derive(Default)]
struct Census {
    /// The next part.
    part: usize,
    hosts: BTreeMap<Key, u64>,
}

impl<'a> Statistics<'a> {
    /// For a telescope of this name. What was counted of this hour before counts.
    pub fn new(
        house: &'a House,
        name: &str,
        tables: &'a Enrichment,
        telescope: &Telescope,
    ) -> Result<Self, StoreError> {
        telescope.count_ports();
        let now_ms = house.clock.now().as_millisecond();
        let mut statistics = Self {
            house,
            name: name.to_owned(),
            tables,
            sighted: Instant::now(),
            counted: (0, 0),
            minute_ms: floor(now_ms, MINUTE_MS),
            hour: Hour { from_ms: floor(now_ms, HOUR_MS), ..Hour::default() },
            census: Census::default(),
            counted_at: None,
            campaigns: HashMap::new(),
        };
        let hour = at(statistics.hour.from_ms);
        let before = house.store.look("telescope.hour", |tx| tx.telescope_hour(name, hour))?;
        statistics.hour.before = before.into_iter().map(|c| ((c.by, c.name), (c.hosts, c.packets))).collect();
        Ok(statistics)
    }

    /// Does what it is time for.
    pub fn tick(&mut self, telescope: &Telescope, watch: &Turn<Watch>) {
        if self.sighted.elapsed() >= SIGHTINGS {
            self.sighted = Instant::now();
            let (all, some) = watch.now(Watch::arrivals);
            self.told("sightings", |this| this.write_sightings(telescope, all, &some));
        }
        let now_ms = self.house.clock.now().as_millisecond();
        if floor(now_ms, MINUTE_MS) != self.minute_ms {
            self.told("a minute", |this| this.write_minute(watch, now_ms));
            self.told("too much", |this| this.forget(now_ms));
        }
        if floor(now_ms, HOUR_MS) != self.hour.from_ms {
            self.end_hour(telescope, watch, now_ms);
        } else if self.counted_at.is_none_or(|at| at.elapsed() >= CENSUS) {
            self.count_part(telescope);
            if self.census.part == Telescope::PARTS {
                self.counted_at = Some(Instant::now());
                self.write_hour(&telescope.ports(), watch);
            }
        }
    }

    /// Writes all there is, before it ends.
    pub fn end(&mut self, telescope: &Telescope, watch: &Turn<Watch>) {
        let now_ms = self.house.clock.now().as_millisecond();
        let (all, some) = watch.now(Watch::arrivals);
        self.told("sightings", |this| this.write_sightings(telescope, all, &some));
        self.told("a minute", |this| this.write_minute(watch, now_ms));
        self.census = Census::default();
        self.count_rest(telescope);
        self.write_hour(&telescope.ports(), watch);
    }

    /// What could not be written is told of, and left.
    fn told(&mut self, what: &str, write: impl FnOnce(&mut Self) -> Result<(), StoreError>) {
        if let Err(error) = write(self) {
            tracing::error!("{what} of the telescope's statistics: {error}");
        }
    }

    fn write_sightings(
        &mut self,
        telescope: &Telescope,
        all: u64,
        some: &[Arrival],
    ) -> Result<(), StoreError> {
        if some.is_empty() {
            return Ok(());
        }
        let sampled = all.div_ceil(some.len() as u64);
        let seen: Vec<Sighting> = some.iter().map(|new| self.sighting(telescope, new, sampled)).collect();
        self.house
            .store
            .tx("telescope.sightings", |tx| seen.iter().try_for_each(|one| tx.put_telescope_sighting(one)))
    }

    fn sighting(&self, telescope: &Telescope, new: &Arrival, sampled: u64) -> Sighting {
        let port = new.asked.map(|asked| asked.port);
        let source = telescope.source(new.source);
        let class = source.as_ref().map_or("", |source| telescope.class_of(new.source, source).id());
        let tool = source.as_ref().and_then(Tool::of).or_else(|| new.asked.and_then(|asked| asked.tool));
        Sighting {
            id: Sighting::id(&self.name, new.source, new.at_ns, port),
            telescope: self.name.clone(),
            at: time(new.at_ns),
            ip: new.source,
            country: self
                .tables
                .now()
                .country_of(new.source)
                .map_or_else(String::new, |cc| cc.as_str().to_owned()),
            class: class.to_owned(),
            tool: tool.map_or("", Tool::id).to_owned(),
            protocol: new.asked.map_or("", |asked| protocol(asked.tcp).id()).to_owned(),
            port,
            sampled,
        }
    }

    /// Of a minute that could not be written, the next one has what was counted.
    fn write_minute(&mut self, watch: &Turn<Watch>, now_ms: i64) -> Result<(), StoreError> {
        let counted = watch.look(|watch| (watch.counts.packets, watch.arrived()));
        let count = MinuteCount {
            minute: at(self.minute_ms),
            packets: counted.0 - self.counted.0,
            arrivals: counted.1 - self.counted.1,
        };
        self.minute_ms = floor(now_ms, MINUTE_MS);
        self.house.store.tx("telescope.minute", |tx| tx.add_telescope_minute(&self.name, &count))?;
        self.counted = counted;
        Ok(())
    }

    /// Forgets what was seen too long ago.
    fn forget(&self, now_ms: i64) -> Result<(), StoreError> {
        let keep = &self.house.config.retention;
        let before = |hours: i64| at(now_ms - hours * HOUR_MS);
        let (sightings, counts) =
            (before(keep.sighting_hours.into()), before(24 * i64::from(keep.telescope_days)));
        self.house.store.tx("telescope.forget", |tx| tx.forget_telescope(sightings, counts)).map(drop)
    }

    /// Another hour has begun.
    fn end_hour(&mut self, telescope: &Telescope, watch: &Turn<Watch>, now_ms: i64) {
        self.census = Census::default();
        self.count_rest(telescope);
        self.write_hour(&telescope.take_ports(), watch);
        let packets_before = watch.look(|watch| watch.counts.packets);
        self.hour = Hour { from_ms: floor(now_ms, HOUR_MS), packets_before, ..Hour::default() };
    }

    fn count_rest(&mut self, telescope: &Telescope) {
        while self.census.part < Telescope::PARTS {
            self.count_part(telescope);
        }
    }

    /// Goes through the senders of one part.
    fn count_part(&mut self, telescope: &Telescope) {
        let (from_ns, until_ns) = (ns(self.hour.from_ms), ns(self.hour.from_ms + HOUR_MS));
        let (census, tables) = (&mut self.census, self.tables.now());
        telescope.each_source_of(census.part, |ip, source: &Source| {
            if source.last_ns < from_ns || source.first_ns >= until_ns {
                return;
            }
            let class = telescope.class_of(ip, source).id();
            let country = tables.country_of(ip);
            let tool = Tool::of(source).map(|tool| (Counted::Tool, tool.id()));
            let country = (Counted::Country, country.as_ref().map_or("", |cc| cc.as_str()));
            let all = [(Counted::All, ""), (Counted::Class, class), country];
            for (by, name) in all.into_iter().chain(tool) {
                *census.hosts.entry((by, name.to_owned())).or_default() += 1;
            }
        });
        census.part += 1;
    }

    /// Writes what the hour has come to: what has changed since it was written last.
    fn write_hour(&mut self, ports: &[PortCount], watch: &Turn<Watch>) {
        let packets = watch.look(|watch| watch.counts.packets) - self.hour.packets_before;
        let census = std::mem::take(&mut self.census);
        let mut counts: HashMap<Key, Count> =
            census.hosts.into_iter().map(|(key, hosts)| (key, (hosts, 0))).collect();
        counts.entry((Counted::All, String::new())).or_default().1 = packets;
        counts.extend(top(ports));
        self.told("an hour", |this| this.write_counts(counts));
        self.told("campaigns", |this| this.write_campaigns(watch));
    }

    fn write_counts(&mut self, counts: HashMap<Key, Count>) -> Result<(), StoreError> {
        let hour = &mut self.hour;
        // Which senders an earlier run had counted is not known any more: they are as many at least.
        let sums = counts.into_iter().map(|(key, (hosts, packets))| {
            let before = hour.before.get(&key).copied().unwrap_or_default();
            (key, (hosts.max(before.0), packets + before.1))
        });
        let changed: Vec<(Key, Count)> =
            sums.filter(|(key, count)| hour.written.get(key) != Some(count)).collect();
        let start = at(hour.from_ms);
        let row = |((by, name), (hosts, packets)): &(Key, Count)| HourCount {
            hour: start,
            by: *by,
            name: name.clone(),
            hosts: *hosts,
            packets: *packets,
        };
        let rows: Vec<HourCount> = changed.iter().map(row).collect();
        self.house.store.tx("telescope.hour", |tx| tx.put_telescope_hour(&self.name, &rows))?;
        self.hour.written.extend(changed);
        Ok(())
    }

    /// Writes campaigns that are new or have grown.
    pub fn write_campaigns(&mut self, watch: &Turn<Watch>) -> Result<(), StoreError> {
        let mut all = watch.look(Watch::campaigns);
        all.retain(|one| self.campaigns.get(&(one.key, one.onset_ns)) != Some(&one.sources));
        if all.is_empty() {
            return Ok(());
        }
        let rows: Vec<Campaign> = all.iter().map(|one| campaign(&self.name, one)).collect();
        self.house
            .store
            .tx("telescope.campaigns", |tx| rows.iter().try_for_each(|one| tx.put_telescope_campaign(one)))?;
        self.campaigns.extend(all.iter().map(|one| ((one.key, one.onset_ns), one.sources)));
        Ok(())
    }
}

fn campaign(telescope: &str, one: &onset::Campaign<Asked>) -> Campaign {
    let Asked { tcp, port, tool } = one.key;
    let (protocol, tool) = (protocol(tcp).id(), tool.map_or("", Tool::id));
    Campaign {
        id: Campaign::id(telescope, protocol, port, tool, one.onset_ns),
        telescope: telescope.to_owned(),
        protocol: protocol.to_owned(),
        port,
        tool: tool.to_owned(),
        onset: time(one.onset_ns),
        known: time(one.known_ns),
        sources_known: one.sources_known.into(),
        sources: one.sources,
        last: time(one.last_ns),
    }
}

/// The ports that most senders ask for, and most packets.
fn top(ports: &[PortCount]) -> HashMap<Key, Count> {
    let mut top = HashMap::new();
    for tcp in [true, false] {
        let mut these: Vec<&PortCount> = ports.iter().filter(|port| port.tcp == tcp).collect();
        for measure in [|port: &PortCount| port.hosts, |port: &PortCount| port.packets] {
            these.sort_unstable_by_key(|port| (std::cmp::Reverse(measure(port)), port.port));
            let most = these.iter().take(PORTS_MAX);
            top.extend(most.map(|port| ((protocol(tcp), port.port.to_string()), (port.hosts, port.packets))));
        }
    }
    top
}

fn protocol(tcp: bool) -> Counted {
    if tcp { Counted::Tcp } else { Counted::Udp }
}

fn floor(ms: i64, step: i64) -> i64 {
    ms - ms.rem_euclid(step)
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn ns(ms: i64) -> u64 {
    u64::try_from(ms.saturating_mul(MS_NS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_many_senders_and_of_many_packets_are_both_told() {
        let port = |port: u16, packets, hosts| PortCount { tcp: true, port, packets, hosts };
        let mut ports: Vec<PortCount> = (0..200).map(|n| port(n, 1000, u64::from(n))).collect();
        ports.push(port(500, 1_000_000, 1));
        ports.push(PortCount { tcp: false, ..port(500, 5, 5) });
        let top = top(&ports);
        let has = |by, name: &str| top.get(&(by, name.to_owned())).copied();
        assert_eq!(has(Counted::Tcp, "199"), Some((199, 1000)));
        assert_eq!(has(Counted::Tcp, "500"), Some((1, 1_000_000)));
        assert_eq!(has(Counted::Udp, "500"), Some((5, 5)));
        assert_eq!(has(Counted::Tcp, "100"), None);
        assert!(top.len() <= 2 * PORTS_MAX + 1);
    }
}
