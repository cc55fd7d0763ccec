//! What is said of a telescope: in the end all of it, and one campaign, attack or alert when it is known.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_model::organisation::Role;
use noroshi_observe::telescope::{Asked, Attack, Class, NotRead, Telescope, Tool};
use noroshi_orient::onset::Campaign;
use noroshi_wire::cryptopan::CryptoPan;
use noroshi_wire::packet::protocol;
use serde::Serialize;

use super::judged::{Judged, Research, Sender, Share, time};
use super::watch::{Alert, Watch};
use crate::cost::Cost;
use crate::report::say;

/// What `darknet replay` prints: `packets = ours + elsewhere + not_read`.
#[derive(Debug, Serialize)]
pub struct Replayed {
    /// Packets in the captures.
    packets: u64,
    /// IP packets to the telescope.
    ours: u64,
    /// IP packets to other addresses.
    elsewhere: u64,
    not_read: NotRead,
    /// Packets that were lost before they could be looked at; none where they come from files.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
    /// Packets of the telescope whose senders are not told apart, for want of room.
    beyond: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Senders that are told apart, and about how many more there was no room for.
    sources: u64,
    sources_beyond: u64,
    /// Campaigns, attacks and alerts that were not remembered, arrivals and echoes that were not looked at, for want of room.
    forgotten: u64,
    classes: BTreeMap<&'static str, Share>,
    tools: BTreeMap<&'static str, Share>,
    countries: BTreeMap<String, Share>,
    research: Research,
    /// Addresses of organisations that were seen, in the order in which that was known.
    alerts: Vec<Alerted>,
    /// In the order in which they were found.
    campaigns: Vec<Campaigned>,
    /// Attacks on others, in the order in which they were found. **Never to be blocked.**
    victims: Vec<Attacked>,
    wall_s: f64,
    #[serde(flatten)]
    cost: Cost,
    packets_per_cpu_s: f64,
    files: Vec<OneFile>,
}

impl Replayed {
    /// The same, of an interface that lost so many packets.
    pub fn with_dropped(self, dropped: u64) -> Self {
        Self { dropped: Some(dropped), ..self }
    }

    /// Tells other addresses instead, those of alerts and of victims; it has none besides.
    pub fn anonymise(&mut self, pan: &CryptoPan) {
        self.alerts.iter_mut().for_each(|alert| alert.ip = pan.ip(alert.ip));
        self.victims.iter_mut().for_each(|victim| victim.ip = pan.ip(victim.ip));
    }
}

#[derive(Debug, Serialize)]
pub struct OneFile {
    pub file: String,
    pub packets: u64,
    /// Why it could not be read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An address of an organisation.
#[derive(Debug, Serialize)]
pub struct Alerted {
    organisation: String,
    ip: IpAddr,
    role: Role,
    /// What it turned out to be, and by which tool; none where only answers to others were seen.
    class: Option<Class>,
    tool: Option<Tool>,
    protocol: Option<&'static str>,
    port: Option<u16>,
    packets: u32,
    first: Timestamp,
    /// When it was known.
    alerted: Timestamp,
}

/// A campaign.
#[derive(Debug, Serialize)]
pub struct Campaigned {
    protocol: &'static str,
    port: u16,
    tool: Option<Tool>,
    onset: Timestamp,
    /// When it was known, and how many senders that took.
    alerted: Timestamp,
    alerted_sources: u32,
    /// How many were to be expected within a minute, and the chance of as many as came.
    expected: f64,
    chance: f64,
    /// All senders so far.
    sources: u64,
    last: Timestamp,
    goes_on: bool,
}

/// An attack on somebody else.
#[derive(Debug, Serialize)]
pub struct Attacked {
    ip: IpAddr,
    first: Timestamp,
    last: Timestamp,
    alerted: Timestamp,
    packets: u64,
    packets_per_minute: u32,
    /// Packets a second at the victim in the busiest minute, going by the telescope's size; none where that is not known.
    estimated_pps: Option<f64>,
    /// About how many of the telescope's addresses were named as senders.
    named: u32,
    /// What is attacked: `tcp/80`.
    ports: Vec<String>,
    goes_on: bool,
}

fn name_of(tcp: bool) -> &'static str {
    if tcp { "tcp" } else { "udp" }
}

fn alerted(watch: &Watch, telescope: &Telescope) -> Vec<Alerted> {
    let sender = |ip| telescope.source(ip).and_then(|source| Sender::of(telescope, ip, &source));
    watch.alerts().into_iter().map(|alert| Alerted::of(alert, sender(alert.ip).as_ref())).collect()
}

impl Alerted {
    /// An alert, and who sent it as far as that is known by now.
    pub fn of(alert: &Alert, sender: Option<&Sender>) -> Self {
        Self {
            organisation: alert.organisation.clone(),
            ip: alert.ip,
            role: alert.role,
            class: sender.map(|sender| sender.class),
            tool: sender.map_or(alert.asked.and_then(|asked| asked.tool), |sender| sender.tool),
            protocol: alert.asked.map(|asked| name_of(asked.tcp)),
            port: alert.asked.map(|asked| sender.map_or(asked.port, |sender| sender.port)),
            packets: sender.map_or(1, |sender| sender.packets),
            first: time(sender.map_or(alert.known_ns, |sender| sender.first_ns)),
            alerted: time(alert.known_ns),
        }
    }
}

impl Campaigned {
    /// A campaign, as it is told.
    pub fn of(campaign: &Campaign<Asked>) -> Self {
        Self {
            protocol: name_of(campaign.key.tcp),
            port: campaign.key.port,
            tool: campaign.key.tool,
            onset: time(campaign.onset_ns),
            alerted: time(campaign.known_ns),
            alerted_sources: campaign.sources_known,
            expected: campaign.expected,
            chance: campaign.chance,
            sources: campaign.sources,
            last: time(campaign.last_ns),
            goes_on: campaign.goes_on,
        }
    }
}

impl Attacked {
    /// An attack, as it is told by a telescope that sees this part of all IPv4 addresses.
    pub fn of(attack: &Attack, part_of_all: f64) -> Self {
        let known = part_of_all > 0.0 && attack.victim.is_ipv4();
        Self {
            ip: attack.victim,
            first: time(attack.first_ns),
            last: time(attack.last_ns),
            alerted: time(attack.known_ns),
            packets: attack.packets,
            packets_per_minute: attack.per_minute,
            estimated_pps: known.then(|| f64::from(attack.per_minute) / 60.0 / part_of_all),
            named: attack.named,
            ports: attack.ports.iter().map(attacked_port).collect(),
            goes_on: attack.goes_on,
        }
    }
}

fn attacked_port((protocol, port): &(u8, Option<u16>)) -> String {
    let name = match *protocol {
        protocol::TCP => "tcp",
        protocol::UDP => "udp",
        protocol::ICMP | protocol::ICMP6 => "icmp",
        other => return format!("protocol-{other}"),
    };
    port.map_or_else(|| name.to_owned(), |port| format!("{name}/{port}"))
}

/// All of it.
pub fn summary(
    telescope: &Telescope,
    watch: &Watch,
    told: Judged,
    files: Vec<OneFile>,
    wall_s: f64,
) -> anyhow::Result<Replayed> {
    let (counts, cost, part) = (watch.counts, Cost::so_far()?, telescope.part_of_all());
    Ok(Replayed {
        packets: counts.frames,
        ours: counts.packets,
        elsewhere: counts.elsewhere,
        not_read: counts.not_read,
        dropped: None,
        beyond: counts.beyond,
        first: counts.span_ns.map(|(first, _)| time(first)),
        last: counts.span_ns.map(|(_, last)| time(last)),
        sources: telescope.len() as u64,
        sources_beyond: telescope.beyond(),
        forgotten: watch.forgotten() + telescope.echoes_beyond(),
        alerts: alerted(watch, telescope),
        campaigns: watch.campaigns().iter().map(Campaigned::of).collect(),
        victims: watch.attacks(telescope.attacks()).iter().map(|attack| Attacked::of(attack, part)).collect(),
        classes: told.classes,
        tools: told.tools,
        countries: told.countries,
        research: told.research,
        wall_s,
        packets_per_cpu_s: counts.frames as f64 / cost.cpu_s.max(1e-6),
        cost,
        files,
    })
}

/// Of each list as many as a person reads.
const LINES_MAX: usize = 20;

/// As text.
pub fn print(replayed: &Replayed) {
    let Replayed { packets, ours, elsewhere, sources, not_read, beyond, .. } = replayed;
    let NotRead { unknown_link, not_ip, cut, malformed } = not_read;
    say!("{packets} packets: {ours} to the telescope, {elsewhere} elsewhere");
    say!("not read: {unknown_link} of unknown links, {not_ip} not IP, {cut} cut off, {malformed} malformed");
    if let Some((first, last)) = replayed.first.zip(replayed.last) {
        say!("from {first:.3} to {last:.3}");
    }
    say!("{sources} senders");
    if let Some(dropped) = replayed.dropped {
        say!("{dropped} packets lost before they could be looked at");
    }
    if *beyond > 0 {
        say!("{beyond} packets of more senders than there is room to tell apart");
    }
    for (what, shares) in [("class", &replayed.classes), ("tool", &replayed.tools)] {
        for (name, share) in shares.iter().filter(|(_, share)| share.sources > 0) {
            say!("{what:<8} {name:<18} {:>10} senders {:>12} packets", share.sources, share.packets);
        }
    }
    let mut countries: Vec<_> = replayed.countries.iter().collect();
    countries.sort_by_key(|(_, share)| std::cmp::Reverse(share.sources));
    for (name, share) in countries {
        say!("{:<8} {name:<18} {:>10} senders {:>12} packets", "country", share.sources, share.packets);
    }
    let Research { listed, alike, .. } = &replayed.research;
    for (what, share) in [("on a list", listed), ("behave so", alike)] {
        say!("research {what:<18} {:>10} senders {:>12} packets", share.sources, share.packets);
    }
    if replayed.forgotten > 0 {
        say!(
            "{} campaigns, attacks, alerts, arrivals and echoes for which there was no room",
            replayed.forgotten
        );
    }
    print_found(replayed);
    let Cost { cpu_s, rss_max_bytes } = replayed.cost;
    say!(
        "{:.1} s, {:.0} packets a second of CPU ({cpu_s:.1} s), {} MiB at most",
        replayed.wall_s,
        replayed.packets_per_cpu_s,
        rss_max_bytes >> 20
    );
}

fn print_found(replayed: &Replayed) {
    let Replayed { alerts, campaigns, victims, .. } = replayed;
    let more = |all: usize, what: &str| {
        if all > LINES_MAX {
            say!("… {} more {what}; --json has all", all - LINES_MAX);
        }
    };
    alerts.iter().take(LINES_MAX).for_each(say_alert);
    more(alerts.len(), "alerts");
    campaigns.iter().take(LINES_MAX).for_each(say_campaign);
    more(campaigns.len(), "campaigns");
    victims.iter().take(LINES_MAX).for_each(say_victim);
    more(victims.len(), "victims");
}

/// An alert as a line.
pub fn say_alert(alerted: &Alerted) {
    let Alerted { organisation, ip, role, alerted, .. } = alerted;
    let role = if *role == Role::Victim { "is attacked" } else { "was seen" };
    say!("alert    {alerted:.3} {organisation}: {ip} {role}");
}

/// A campaign as a line.
pub fn say_campaign(campaign: &Campaigned) {
    let Campaigned { protocol, port, tool, alerted, alerted_sources, onset, sources, .. } = campaign;
    let tool = tool.map_or("", Tool::id);
    say!(
        "campaign {alerted:.3} {protocol}/{port} {tool}: {alerted_sources} senders since {onset:.0}, {sources} so far"
    );
}

/// An attack as a line.
pub fn say_victim(victim: &Attacked) {
    let Attacked { ip, first, last, packets, ports, goes_on, .. } = victim;
    let until = if *goes_on { "and goes on".to_owned() } else { format!("to {last:.0}") };
    say!("victim   {ip} from {first:.0} {until}: {packets} answers, {}", ports.join(" "));
}
