//! Who moves together: senders of a port that begin in the same quarters of an hour again and again, as a botnet does that is told to. The
//! loop sees what begins within a minute; this takes a day's beginnings of each sender, which only history has.
//!
//! ```text
//!   a day, sender by sender ─▶ by port: when each began ─sample of 2,048─▶ signs::together ─▶ groups, those of several ports as one
//! ```
//!
//! **What is looked at.** Of each protocol and port, senders that ask for something (victims only answer), and began three times at least: who
//! never stopped, or came once, says nothing. Where there are more of them than are looked at, chance chooses, by a hash whose key is made anew each time, so nobody
//! outside can see to it that his are left out; he can only make many more senders, and how many were looked at of how many is told. Where all
//! ports together have too many, each port gives fewer: none is left out because others are large.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::Context as _;
use clap::Args;
use jiff::Span;
use jiff::civil::Date;
use noroshi_lake::{Lake, Seen};
use noroshi_orient::signs::together::{Group, SOURCES_MAX, STARTS_MIN, groups};
use serde::Serialize;
use serde_json::json;

use crate::ask::Purpose;
use crate::today;

/// Minutes of a slot: who waits by chance before he obeys mostly waits for less, and a day has enough of them.
const SLOT_MINUTES: i64 = 15;
/// Slots of a day.
const SLOTS: usize = 96;
/// Senders of all ports that are held, at most: some 300 MB.
const HELD_MAX: usize = 1 << 21;
/// Ports that are looked at, at most: those of TCP and UDP, and kinds without ports.
const KEYS_MAX: usize = 1 << 18;
/// Chance of a group among independent senders, on a day, at most.
const FALSE_ALARM: f64 = 0.01;
/// Of a port's least group; with fewer there is nothing to be found.
const SENDERS_MIN: usize = 8;
/// Groups of a day that are held against each other, to see whether they are the same senders on several ports.
const GROUPS_MAX: usize = 4096;
/// Names of classes and tools of a day that are told apart.
const NAMES_MAX: usize = 200;
/// The most frequent of them that are told.
const TOLD_NAMES: usize = 3;

/// Who moves together: senders of a port that begin at the same times
#[derive(Debug, Args)]
pub struct Together {
    /// The day that is looked at [default: yesterday, UTC]
    #[arg(long, value_name = "DAY")]
    day: Option<Date>,
    /// One port only: 23, tcp/23, udp/53
    #[arg(long, value_name = "PORT")]
    port: Option<Port>,
    /// Tell the members' addresses too
    #[arg(long)]
    addresses: bool,
    /// Most groups
    #[arg(long, value_name = "N", default_value_t = 100)]
    rows: usize,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    /// What for, and who asks
    #[command(flatten)]
    purpose: Purpose,
}

/// A port of one protocol or of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    protocol: Option<u8>,
    port: u16,
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (protocol, port) = match text.split_once('/') {
            None => (None, text),
            Some(("tcp", port)) => (Some(6), port),
            Some(("udp", port)) => (Some(17), port),
            Some(_) => return Err("a port is 23, tcp/23 or udp/53".to_owned()),
        };
        let port = port.parse().map_err(|_| "a port is a number up to 65535".to_owned())?;
        Ok(Self { protocol, port })
    }
}

impl Port {
    fn is(self, key: Key) -> bool {
        key.1 == Some(self.port) && self.protocol.is_none_or(|protocol| protocol == key.0)
    }
}

/// Protocol and port.
type Key = (u8, Option<u16>);

fn name((protocol, port): Key) -> String {
    match (protocol, port) {
        (6, Some(port)) => format!("tcp/{port}"),
        (17, Some(port)) => format!("udp/{port}"),
        (1 | 58, _) => "icmp".to_owned(),
        (other, _) => format!("protocol {other}"),
    }
}

/// Senders that move together.
#[derive(Debug, Serialize)]
pub struct Told {
    /// The port on which there are most of them.
    pub port: String,
    /// Other ports on which half of the group or more are in a group as well.
    pub also: Vec<String>,
    /// How many they are, of those that were looked at.
    pub members: usize,
    /// Senders of the port that were looked at.
    pub looked_at: usize,
    /// Those that might have been: who began three times at least.
    pub began: u64,
    /// All senders of the port.
    pub senders: u64,
    /// Share of the port's senders that are in the group, by those that were looked at.
    pub share: f64,
    /// Packets of the members to the port.
    pub packets: u64,
    /// Hour and minute of the first beginning that they have in common.
    pub first: String,
    /// How many beginnings they have in common.
    pub beginnings: usize,
    /// The part of these that a member takes part in, on average.
    pub agreement: f64,
    /// Minus the decimal logarithm of the chance of such a group among independent senders.
    pub score: f64,
    /// What they are, by how many.
    pub classes: Vec<(String, usize)>,
    /// By what their packets were made.
    pub tools: Vec<(String, usize)>,
    /// Where their blocks are registered.
    pub countries: Vec<(String, usize)>,
    /// Who they are; empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
}

/// What a day told.
#[derive(Debug, Default)]
pub struct Day {
    /// The largest first.
    pub groups: Vec<Told>,
    /// Ports that were looked at.
    pub ports: usize,
    /// Senders of them.
    pub senders: usize,
    /// Ports for which there was no room.
    pub beyond: u64,
}

/// Does it.
pub fn run(lake: &Lake, wish: &Together) -> anyhow::Result<()> {
    let yesterday = || today().checked_sub(Span::new().days(1)).context("no such day");
    let day = wish.day.map_or_else(yesterday, Ok)?;
    let with = if wish.addresses { ", with addresses" } else { "" };
    let of = wish.port.map_or_else(String::new, |port| format!(" on port {}", port.port));
    wish.purpose.note(lake, &format!("together on {day}{of}{with}"))?;
    let found = look(lake, day, wish.port, wish.addresses)?;
    let mut out = io::stdout().lock();
    for group in found.groups.iter().take(wish.rows) {
        if wish.json {
            writeln!(out, "{}", json!({ "day": day, "group": group }))?;
        } else {
            writeln!(out, "{day} {}", words(group))?;
        }
    }
    let (groups, ports, senders) = (found.groups.len(), found.ports, found.senders);
    eprintln!(
        "noroshi-lake: {groups} groups among {senders} senders of {ports} ports that began three times or more"
    );
    if found.beyond > 0 {
        eprintln!("noroshi-lake: {} times a port was left out, for there are too many", found.beyond);
    }
    Ok(())
}

/// A group in words.
pub fn words(group: &Told) -> String {
    let list = |all: &[(String, usize)]| {
        let all: Vec<String> = all.iter().map(|(name, count)| format!("{name} {count}")).collect();
        if all.is_empty() { "-".to_owned() } else { all.join(" ") }
    };
    let also = match group.also.len() {
        0 => String::new(),
        1..=4 => format!(" (and {})", group.also.join(", ")),
        n => format!(" (and {}, and {} more)", group.also[..4].join(", "), n - 4),
    };
    let mut text = format!(
        "{}{also}: {} of {} senders looked at ({:.1} % of the port; {} began often enough) began together {} times from {}, agreement {:.0} %; {}; {}; {}",
        group.port,
        group.members,
        group.looked_at,
        group.share * 100.0,
        group.began,
        group.beginnings,
        group.first,
        group.agreement * 100.0,
        list(&group.classes),
        list(&group.tools),
        list(&group.countries),
    );
    for ip in &group.addresses {
        text.push_str(&format!("\n  {ip}"));
    }
    text
}

/// Looks at a day.
pub fn look(lake: &Lake, day: Date, port: Option<Port>, addresses: bool) -> anyhow::Result<Day> {
    let since = day.since(Date::constant(1970, 1, 1)).context("no such day")?;
    let mut seen = Senders::new(i64::from(since.get_days()) * 1440, HELD_MAX);
    lake.by_sender(day, |row| {
        if port.is_none_or(|port| port.is((row.protocol, row.destination_port))) {
            seen.add(row);
        }
        Ok::<(), noroshi_lake::LakeError>(())
    })?;
    seen.end();
    Ok(seen.judge(addresses))
}

/// When a sender began on a port, and what he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Beginnings {
    /// By which chance chooses: the least are looked at.
    chance: u64,
    source: IpAddr,
    /// The slots in which he sent, a bit each.
    slots: u128,
    packets: u64,
    class: u8,
    tool: Option<u8>,
    country: Option<[u8; 2]>,
}

impl Beginnings {
    /// The first slot of the day is none: what was before is not known.
    fn starts(&self) -> u128 {
        self.slots & !(self.slots << 1) & !1
    }
}

/// A port's senders.
#[derive(Default)]
struct Held {
    all: u64,
    began: u64,
    some: BinaryHeap<Beginnings>,
}

/// A day's senders by port, as they come.
struct Senders {
    first_minute: i64,
    keys: HashMap<Key, Held>,
    /// The sender at hand, on each port.
    source: Option<IpAddr>,
    own: HashMap<Key, Beginnings>,
    chance: RandomState,
    names: Names,
    held: usize,
    held_max: usize,
    /// Most senders of a port.
    each_max: usize,
    beyond: u64,
}

impl Senders {
    fn new(first_minute: i64, held_max: usize) -> Self {
        Self {
            first_minute,
            keys: HashMap::new(),
            source: None,
            own: HashMap::new(),
            chance: RandomState::new(),
            names: Names::default(),
            held: 0,
            held_max,
            each_max: SOURCES_MAX,
            beyond: 0,
        }
    }

    fn add(&mut self, row: &Seen<'_>) {
        if row.class == "backscatter" {
            return;
        }
        if self.source != Some(row.source) {
            self.end();
            self.source = Some(row.source);
        }
        let slot = (row.minute - self.first_minute).div_euclid(SLOT_MINUTES);
        let Some(bit) = u32::try_from(slot).ok().filter(|slot| (*slot as usize) < SLOTS) else { return };
        let class = self.names.place(row.class);
        let tool = row.tool.map(|tool| self.names.place(tool));
        let key = (row.protocol, row.destination_port);
        let own = self.own.entry(key).or_insert_with(|| Beginnings {
            chance: 0,
            source: row.source,
            slots: 0,
            packets: 0,
            class,
            tool: None,
            country: row.country.and_then(|two| two.as_bytes().try_into().ok()),
        });
        own.slots |= 1 << bit;
        own.packets = own.packets.saturating_add(u64::from(row.packets));
        // What is known later in the day is known better.
        (own.class, own.tool) = (class, tool.or(own.tool));
    }

    /// The sender at hand has no more rows.
    fn end(&mut self) {
        for (key, mut own) in self.own.drain() {
            let has_room = self.keys.len() < KEYS_MAX;
            let held = match self.keys.entry(key) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(new) if has_room => new.insert(Held::default()),
                Entry::Vacant(_) => {
                    self.beyond += 1;
                    continue;
                }
            };
            held.all += 1;
            if own.starts().count_ones() < STARTS_MIN {
                continue;
            }
            held.began += 1;
            own.chance = self.chance.hash_one((own.source, key));
            held.some.push(own);
            self.held += 1;
            if held.some.len() > self.each_max {
                held.some.pop();
                self.held -= 1;
            }
        }
        while self.held > self.held_max && self.each_max > SENDERS_MIN {
            self.each_max /= 2;
            for held in self.keys.values_mut() {
                while held.some.len() > self.each_max {
                    held.some.pop();
                    self.held -= 1;
                }
            }
        }
    }

    fn judge(self, addresses: bool) -> Day {
        let mut ports: Vec<(Key, Held)> =
            self.keys.into_iter().filter(|(_, held)| held.some.len() >= SENDERS_MIN).collect();
        ports.sort_unstable_by_key(|(key, _)| *key);
        let mut day = Day {
            ports: ports.len(),
            senders: ports.iter().map(|(_, held)| held.some.len()).sum(),
            beyond: self.beyond,
            ..Day::default()
        };
        // Each port has a chance to be wrong; all of them together have the day's.
        let score_min = (ports.len() as f64 / FALSE_ALARM).log10();
        let mut found = Vec::new();
        for (key, held) in ports {
            let (all, began, some) = (held.all, held.began, held.some.into_vec());
            let mut counts = vec![0; some.len() * SLOTS];
            for (row, sender) in counts.chunks_mut(SLOTS).zip(&some) {
                row.iter_mut()
                    .enumerate()
                    .for_each(|(slot, count)| *count = (sender.slots >> slot) as u32 & 1);
            }
            // It is neither too large nor ragged.
            for group in groups(&counts, SLOTS).unwrap_or_default() {
                if group.score >= score_min {
                    found.push(Found::new(key, (all, began, some.len()), &group, &some));
                }
            }
        }
        found.sort_by_key(|found| std::cmp::Reverse(found.members.len()));
        day.groups = told(found, &self.names, addresses);
        day
    }
}

/// A group of a port.
struct Found {
    key: Key,
    /// Senders: all, those that began often enough, those that were looked at.
    of: (u64, u64, usize),
    score: f64,
    common: Vec<usize>,
    members: Vec<Beginnings>,
}

impl Found {
    fn new(key: Key, of: (u64, u64, usize), group: &Group, some: &[Beginnings]) -> Self {
        let mut members: Vec<Beginnings> =
            group.sources.iter().filter_map(|at| some.get(*at)).copied().collect();
        members.sort_unstable_by_key(|member| member.source);
        Self { key, of, score: group.score, common: group.slots.clone(), members }
    }

    fn tell(&self, also: Vec<String>, names: &Names, addresses: bool) -> Told {
        let (all, began, looked_at) = self.of;
        let members = self.members.len();
        let taking_part: u32 = self
            .members
            .iter()
            .map(|member| self.common.iter().filter(|slot| member.starts() >> **slot & 1 == 1).count() as u32)
            .sum();
        let first = self.common.first().map_or(0, |slot| *slot as i64 * SLOT_MINUTES);
        let country = |member: &Beginnings| {
            member.country.and_then(|two| Some(std::str::from_utf8(&two).ok()?.to_owned()))
        };
        Told {
            port: name(self.key),
            also,
            members,
            looked_at,
            began,
            senders: all,
            // What was looked at is a sample of those that began.
            share: members as f64 / looked_at.max(1) as f64 * began as f64 / all.max(1) as f64,
            packets: self.members.iter().fold(0, |sum, member| sum.saturating_add(member.packets)),
            first: format!("{:02}:{:02}", first / 60, first % 60),
            beginnings: self.common.len(),
            agreement: f64::from(taking_part) / (members * self.common.len()).max(1) as f64,
            score: self.score,
            classes: most(self.members.iter().filter_map(|member| names.of(member.class))),
            tools: most(self.members.iter().filter_map(|member| names.of(member.tool?))),
            countries: most(self.members.iter().filter_map(country)),
            addresses: if addresses {
                self.members.iter().map(|member| member.source).collect()
            } else {
                Vec::new()
            },
        }
    }
}

/// Groups that are told: one of which half or more are in a larger one is that one, on another port.
fn told(mut found: Vec<Found>, names: &Names, addresses: bool) -> Vec<Told> {
    found.truncate(GROUPS_MAX);
    let mut first_of: HashMap<IpAddr, usize> = HashMap::new();
    let mut also: BTreeMap<usize, BTreeSet<Key>> = BTreeMap::new();
    for (at, group) in found.iter().enumerate() {
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for first in group.members.iter().filter_map(|member| first_of.get(&member.source)) {
            *shared.entry(*first).or_default() += 1;
        }
        match shared.into_iter().max_by_key(|(first, count)| (*count, std::cmp::Reverse(*first))) {
            Some((first, count)) if count * 2 >= group.members.len() => {
                also.entry(first).or_default().insert(group.key);
            }
            _ => {
                also.entry(at).or_default();
                group.members.iter().for_each(|member| {
                    first_of.entry(member.source).or_insert(at);
                });
            }
        }
    }
    also.into_iter()
        .filter_map(|(at, keys)| {
            let group = found.get(at)?;
            let others = keys.into_iter().filter(|key| *key != group.key).map(name).collect();
            Some(group.tell(others, names, addresses))
        })
        .collect()
}

/// The most frequent names, by how many.
fn most(all: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    all.for_each(|name| *counts.entry(name).or_default() += 1);
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(TOLD_NAMES);
    counts
}

/// Names of classes and tools, by their places.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn place(&mut self, name: &str) -> u8 {
        let place = self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            match self.0.len() {
                NAMES_MAX => self.0.push("other".to_owned()),
                len if len < NAMES_MAX => self.0.push(name.to_owned()),
                _ => {}
            }
            self.0.len() - 1
        });
        place as u8
    }

    fn of(&self, place: u8) -> Option<String> {
        self.0.get(usize::from(place)).cloned()
    }
}
