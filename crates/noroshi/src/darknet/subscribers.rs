//! Senders of our own network, on their way into the loop: who held the address is found out under a measure, and the subscriber is told as of
//! any other report.
//!
//! **One packet is no evidence**: anybody can put anybody's address on a packet. A line enters the loop when its packets, over a minute or more,
//! went to many of our addresses, came over one path (their time to live hardly differs) and look like a scanner's. That is still not
//! proof, as a forger can do all of it; who is told is told that communication was seen, not that they did something.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use noroshi_feed::{Bundle, Report};
use noroshi_law::evidence::Digest;
use noroshi_observe::telescope::{Class, Source, Tool};
use noroshi_wire::unpack::Input;
use serde_json::{Map, Value, json};

use super::judged::time;
use super::watch::Alert;
use crate::house::House;
use crate::intake::{Arrived, Campaign, FeedSource, Keep, take_arrived};
use crate::maps;
use crate::organisations::SubscribersFile;
use crate::tables::Enrichment;

/// Stands for our own network among those that are watched for.
pub const OURS: &str = "(subscribers)";
/// A sender is told of again while it goes on; findings end after an hour of silence.
const AGAIN: Duration = Duration::from_secs(1800);
/// The least time over which its packets came, nanoseconds.
const OVER_NS: u64 = 60_000_000_000;
/// To how many of our addresses at least.
const DESTINATIONS_MIN: u32 = 5;
/// By how much their times to live may differ: over one path they hardly do, and forgers draw them.
const TTL_SPREAD_MAX: u8 = 4;
/// Senders that are known to have been told of.
const KNOWN_MAX: usize = 1_000_000;

/// Takes senders of our own network into the loop.
pub struct Subscribers<'a> {
    house: &'a House,
    wish: SubscribersFile,
    bundle: Bundle,
    enrichment: Enrichment,
    told: HashMap<IpAddr, Instant>,
    lines: Vec<String>,
}

impl<'a> Subscribers<'a> {
    /// As the configuration says.
    pub fn new(house: &'a House, wish: &SubscribersFile) -> anyhow::Result<Self> {
        Ok(Self {
            house,
            wish: wish.clone(),
            bundle: maps::read(&house.config)?,
            enrichment: Enrichment::read(&house.config.enrich)?,
            told: HashMap::new(),
            lines: Vec::new(),
        })
    }

    /// Sees how a sender of ours stands.
    pub fn see(&mut self, alert: &Alert, source: &Source, class: Class) {
        let before = self.told.get(&alert.ip);
        let due = before.is_none_or(|at| at.elapsed() >= AGAIN) && self.told.len() < KNOWN_MAX;
        if due && class == Class::Scanner && is_evidence(source, self.wish.packets) {
            let is_first = before.is_none();
            self.told.insert(alert.ip, Instant::now());
            self.lines.push(line(alert, source, is_first));
        }
    }

    /// Forgets who is not seen any more.
    pub fn forget(&mut self, ip: IpAddr) {
        self.told.remove(&ip);
    }

    /// Takes in what was seen; what cannot be taken in now is kept for the next time.
    pub fn take_in(&mut self) -> anyhow::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let text = self.lines.join("\n").into_bytes();
        let report = Report {
            format: "json".to_owned(),
            feed_name: "darknet".to_owned(),
            feed_url: None,
            file_name: Some("darknet".to_owned()),
            params: Map::new(),
            now: self.house.clock.now(),
        };
        let campaign = Campaign { name: self.wish.campaign.clone(), measure: self.wish.measure.clone() };
        let feed = FeedSource {
            bundle: &self.bundle,
            report,
            campaign: Some(campaign),
            enrichment: &self.enrichment,
            keep: Keep::Every,
        };
        let identity = Digest::of(&text).0.to_vec();
        let input: Input = Box::new(std::io::Cursor::new(text));
        let counts = take_arrived(self.house, &feed, Arrived { identity, name: None, input })?;
        self.lines.clear();
        tracing::info!("senders of our own network: {counts}");
        Ok(())
    }
}

/// Whether a sender's packets are enough to look for who that is.
fn is_evidence(source: &Source, packets_min: u32) -> bool {
    source.packets >= packets_min
        && source.last_ns - source.first_ns >= OVER_NS
        && source.destinations() >= DESTINATIONS_MIN
        && source.ttl.1 - source.ttl.0 <= TTL_SPREAD_MAX
}

/// Under the names of IntelMQ's data format. Of the packet that made the sender known the port is known, too; who shares an address by port
/// is found by both. (Of several rings' packets it need not be the first.)
fn line(alert: &Alert, source: &Source, is_first: bool) -> String {
    let tool = Tool::of(source);
    let is_mirai = tool == Some(Tool::Mirai);
    let at = if is_first { alert.known_ns } else { source.last_ns };
    let mut event = json!({
        "feed.name": "darknet", "time.source": time(at), "source.ip": alert.ip,
        "classification.type": if is_mirai { "infected-system" } else { "scanner" },
        "extra.packets": source.packets, "extra.first_seen": time(source.first_ns),
        "extra.last_seen": time(source.last_ns),
    });
    let mut put = |key: &str, value: Value| event[key] = value;
    if is_mirai {
        put("malware.name", "mirai".into());
    }
    if let Some(tool) = tool {
        put("extra.tool", tool.id().into());
    }
    if let Some(asked) = alert.asked {
        put("protocol.transport", if asked.tcp { "tcp" } else { "udp" }.into());
        put("destination.port", asked.port.into());
    }
    if let Some(port) = alert.from.filter(|_| is_first) {
        put("source.port", port.into());
    }
    event.to_string()
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use noroshi_observe::telescope::{Glance, Telescope};
    use noroshi_wire::capture::{Frame, Frames, LinkType};

    use super::*;

    /// What a telescope makes of packets of one sender: each with its second, destination and time to live.
    fn seen(packets: impl Iterator<Item = (u64, u8, u8)>) -> Source {
        let sender = [192, 0, 2, 1];
        let (telescope, mut glance) = (Telescope::new(Vec::new()), Glance::default());
        let mut frames = Frames::default();
        for (at_s, to, ttl) in packets {
            let mut bytes = Vec::new();
            let packet = PacketBuilder::ipv4(sender, [198, 18, 0, to], ttl).tcp(4000, 23, 7, 1024).syn();
            packet.write(&mut bytes, &[]).unwrap();
            let (at_ns, length) = (Some(at_s * 1_000_000_000), bytes.len() as u32);
            frames.push(&Frame { at_ns, link: LinkType::RAW, length, bytes: &bytes });
        }
        telescope.look(&frames, &mut glance);
        telescope.take(0, &mut glance);
        telescope.source(sender.into()).unwrap()
    }

    #[test]
    fn few_packets_a_short_time_few_destinations_or_many_paths_are_no_evidence() {
        let is = |source: &Source| is_evidence(source, 20);
        assert!(is(&seen((0..20).map(|n| (n as u64 * 4, n, 50)))));
        assert!(!is(&seen((0..19).map(|n| (n as u64 * 4, n, 50)))), "few packets");
        assert!(!is(&seen((0..20).map(|n| (n as u64 * 3, n, 50)))), "a short time");
        assert!(!is(&seen((0..20).map(|n| (n as u64 * 4, n % 2, 50)))), "few destinations");
        assert!(!is(&seen((0..20).map(|n| (n as u64 * 4, n, 50 + n)))), "many paths");
    }
}
