//! The telescope: packets to addresses that nobody uses, told apart by who sent them and why.
//!
//! ```text
//!              in any order, any number of threads            each part in the order of the batches
//!   Frames ──▶ look: packet by packet into a Glance ──▶ take: a share each for sixteen parts of all senders ──▶ News
//!                                                        rows of senders: class, tool, ports, spread, times      arrivals,
//!                                                        rows of victims: echoes, busiest minute                 attacks
//! ```
//!
//! Nobody has a reason to send to an address that is not used, so each sender is a fault, a look around, or the echo of something
//! done to a third. `sighting` is what a packet tells, `probe` what a datagram asks for, `source` what is kept of a sender, `class` what
//! that makes of them, `victim` who is attacked, `ports` what is asked for, `part` a part of all senders, `turn` how threads keep the order.
//!
//! **A sender of answers is a victim or a reflector.** Whoever answers what was sent in our name is attacked, or used to attack: it is never
//! a scanner, and must never be blocked as one.
//!
//! Senders choose their addresses. They are found by a hash of all bits with a key of this process (SipHash), so that nobody can make
//! them meet in one place. There is room for [`SOURCES_MAX`]; packets of more senders are counted, not told apart, and it is estimated how
//! many senders they were.
//!
//! What comes out does not depend on how many threads look: a batch has a number, and each part takes the batches in that order.

mod class;
mod part;
mod ports;
mod probe;
mod sighting;
mod source;
mod turn;
mod victim;

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use noroshi_wire::capture::Frames;
use noroshi_wire::packet::{Addresses, NoPacket, Packet};
use serde::Serialize;

use part::{Batch, Part, Share};
use ports::Sums;
use sighting::{Echo, Sighting};

pub use class::{Class, Tool};
pub use part::{Arrival, Asked, News};
pub use ports::PortCount;
pub use sighting::Trait;
pub use source::Source;
pub use turn::Turn;
pub use victim::{Attack, Thresholds};

/// Senders that are told apart: a row of 128 bytes each, and where it is.
pub const SOURCES_MAX: usize = 4_000_000;

/// What became of the frames: `frames = packets + elsewhere + not_read`, and `packets` is the sum over senders plus `beyond`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames seen.
    pub frames: u64,
    /// IP packets to our addresses.
    pub packets: u64,
    /// IP packets to addresses that are not ours.
    pub elsewhere: u64,
    /// Frames without an IP packet that can be read.
    pub not_read: NotRead,
    /// Packets of senders for which there was no room, and of one that has sent more than a row can count.
    pub beyond: u64,
    /// The first and last time, nanoseconds since 1970; none where no frame had one.
    pub span_ns: Option<(u64, u64)>,
}

/// Frames without an IP packet that can be read, by [why](NoPacket).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NotRead {
    /// Of a link that is not read.
    pub unknown_link: u64,
    /// Something else than IP.
    pub not_ip: u64,
    /// Ended before the IP header did.
    pub cut: u64,
    /// A version or length that cannot be.
    pub malformed: u64,
}

impl NotRead {
    fn add(&mut self, why: NoPacket) {
        *match why {
            NoPacket::Link => &mut self.unknown_link,
            NoPacket::NotIp => &mut self.not_ip,
            NoPacket::Cut => &mut self.cut,
            NoPacket::Malformed => &mut self.malformed,
        } += 1;
    }
}

impl Counts {
    /// Adds those of other frames.
    pub fn add(&mut self, more: &Self) {
        self.frames += more.frames;
        self.packets += more.packets;
        self.elsewhere += more.elsewhere;
        self.beyond += more.beyond;
        let (sum, some) = (&mut self.not_read, more.not_read);
        sum.unknown_link += some.unknown_link;
        sum.not_ip += some.not_ip;
        sum.cut += some.cut;
        sum.malformed += some.malformed;
        self.span_ns = match (self.span_ns, more.span_ns) {
            (Some((first, last)), Some((other, latest))) => Some((first.min(other), last.max(latest))),
            (one, other) => one.or(other),
        };
    }

    /// Whether what became of the frames adds up to them.
    pub fn adds_up(&self) -> bool {
        let NotRead { unknown_link, not_ip, cut, malformed } = self.not_read;
        self.frames == self.packets + self.elsewhere + unknown_link + not_ip + cut + malformed
    }
}

/// Parts of all senders.
const PARTS: usize = 16;

/// What a batch of frames shows, and what came of it: made by [`Telescope::look`], filled by [`Telescope::take`].
#[derive(Debug, Default)]
pub struct Glance {
    shares: [Share; PARTS],
    /// The time of its last frame.
    now_ns: u64,
    /// Which sensor saw it, of 64.
    pub sensor: u8,
    /// What became of its frames.
    pub counts: Counts,
    /// What is new.
    pub news: News,
}

impl Glance {
    fn clear(&mut self) {
        self.shares.iter_mut().for_each(Share::clear);
        self.counts = Counts::default();
        self.news.arrivals.clear();
        self.news.attacks.clear();
    }
}

/// A telescope being looked through, by one thread or many.
#[derive(Debug)]
pub struct Telescope {
    /// What it looks at; empty: whatever comes.
    networks: Vec<IpNet>,
    hasher: RandomState,
    parts: [Turn<Part>; PARTS],
}

impl Telescope {
    /// The parts in which its senders are.
    pub const PARTS: usize = PARTS;

    /// One that looks at these networks; at whatever comes, where there are none.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self::with_room_for(networks, SOURCES_MAX)
    }

    /// The same with room for so many senders.
    pub fn with_room_for(networks: Vec<IpNet>, sources_max: usize) -> Self {
        let thresholds = Thresholds::of(part_of_all(&networks));
        let parts = std::array::from_fn(|_| Turn::new(Part::new(sources_max.div_ceil(PARTS), thresholds)));
        Self { networks, hasher: RandomState::new(), parts }
    }

    /// Counts which ports are asked for, from now on and from zero; takes 43 MB.
    pub fn count_ports(&self) {
        self.parts.iter().for_each(|part| part.now(Part::count_ports));
    }

    /// Ports that were asked for since then, TCP before UDP, by number; none where they are not counted.
    pub fn ports(&self) -> Vec<PortCount> {
        let mut sums = Sums::default();
        self.parts.iter().for_each(|part| part.look(|part| part.add_ports_to(&mut sums)));
        sums.counted()
    }

    /// The same, and counts from zero on; no packet is left out between.
    pub fn take_ports(&self) -> Vec<PortCount> {
        let mut sums = Sums::default();
        let mut take = |part: &mut Part| {
            part.add_ports_to(&mut sums);
            part.count_ports();
        };
        self.parts.iter().for_each(|part| part.now(&mut take));
        sums.counted()
    }

    /// Which part of all IPv4 addresses it looks at.
    pub fn part_of_all(&self) -> f64 {
        part_of_all(&self.networks)
    }

    /// Looks at frames, each in its time; one without is taken to be of the time before it.
    pub fn look(&self, frames: &Frames, glance: &mut Glance) {
        glance.clear();
        let mut at_ns = frames.before_ns();
        for frame in frames.iter() {
            glance.counts.frames += 1;
            if let Some(at) = frame.at_ns {
                let (first, last) = glance.counts.span_ns.unwrap_or((at, at));
                glance.counts.span_ns = Some((first.min(at), last.max(at)));
                at_ns = Some(at);
            }
            match &Packet::read(frame.link, frame.bytes) {
                Ok(packet) if self.looks_at(&packet.addresses) => {
                    glance.counts.packets += 1;
                    self.see(packet, at_ns.unwrap_or(0), &mut glance.shares);
                }
                Ok(_) => glance.counts.elsewhere += 1,
                Err(why) => glance.counts.not_read.add(*why),
            }
        }
        glance.now_ns = at_ns.unwrap_or(0);
    }

    #[inline(always)]
    fn see(&self, packet: &Packet<'_>, at_ns: u64, shares: &mut [Share; PARTS]) {
        let (hash, traits) = match packet.addresses {
            Addresses::V4 { source, .. } => {
                let sender = Ipv4Addr::from(source);
                let seen = Sighting::of(packet, sender, self.hasher.hash_one(sender), at_ns);
                shares[part_of(seen.hash)].v4.push(seen);
                (seen.hash, seen.traits)
            }
            Addresses::V6 { source, .. } => {
                let sender = Ipv6Addr::from(source);
                let seen = Sighting::of(packet, sender, self.hasher.hash_one(sender), at_ns);
                shares[part_of(seen.hash)].v6.push(seen);
                (seen.hash, seen.traits)
            }
        };
        if traits.has(Trait::Backscatter)
            && let Some(mut echo) = Echo::of(packet, at_ns)
            && !self.is_ours(echo.victim)
        {
            let is_sender = echo.victim == packet.addresses.source();
            echo.hash = if is_sender { hash } else { hash_of(&self.hasher, echo.victim) };
            shares[part_of(echo.hash)].echoes.push(echo);
        }
    }

    /// Takes in what was seen, when it is the batch's turn: batches are numbered from 0 on, and each is taken in once.
    pub fn take(&self, turn: u64, glance: &mut Glance) {
        let Glance { shares, now_ns, sensor, counts, news } = glance;
        let batch = Batch { sensor: *sensor, now_ns: *now_ns, hasher: &self.hasher };
        for (part, share) in self.parts.iter().zip(shares) {
            counts.beyond += part.at(turn, |part| part.take(share, batch, news));
        }
        // What somebody sends in our own name begins nothing, and nobody is told which addresses are ours.
        if !self.networks.is_empty() {
            news.arrivals.retain(|new| !self.is_ours(new.source));
        }
    }

    #[inline]
    fn looks_at(&self, addresses: &Addresses) -> bool {
        self.networks.is_empty()
            || match *addresses {
                Addresses::V4 { destination, .. } => self.networks.iter().any(|net| match net {
                    IpNet::V4(net) => destination & u32::from(net.netmask()) == u32::from(net.network()),
                    IpNet::V6(_) => false,
                }),
                Addresses::V6 { .. } => self.is_ours(addresses.destination()),
            }
    }

    /// How many senders are told apart.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.look(Part::len)).sum()
    }

    /// Whether nobody sent anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many senders there was no room for.
    pub fn beyond(&self) -> u64 {
        self.parts.iter().map(|part| part.look(Part::beyond)).sum::<f64>().round() as u64
    }

    /// Answers of victims for which there was no room.
    pub fn echoes_beyond(&self) -> u64 {
        self.parts.iter().map(|part| part.look(|part| part.victims.beyond)).sum()
    }

    /// Forgets senders that were silent since then: they are new when they come again.
    pub fn forget_before(&self, before_ns: u64) {
        for part in &self.parts {
            part.now(|part| part.forget_before(before_ns, &self.hasher));
        }
    }

    /// Every sender, in no order.
    pub fn each_source(&self, mut each: impl FnMut(IpAddr, &Source)) {
        (0..PARTS).for_each(|part| self.each_source_of(part, &mut each));
    }

    /// Every sender of a part.
    pub fn each_source_of(&self, part: usize, mut each: impl FnMut(IpAddr, &Source)) {
        self.parts[part].look(|part| part.sources().for_each(|(ip, source)| each(ip, source)));
    }

    /// One sender.
    pub fn source(&self, ip: IpAddr) -> Option<Source> {
        let hash = hash_of(&self.hasher, ip);
        self.parts[part_of(hash)].look(|part| part.source(ip, hash).cloned())
    }

    /// How many IPv4 addresses it looks at; 0 where that is not known.
    pub fn addresses(&self) -> u64 {
        (self.part_of_all() * 2f64.powi(32)).round() as u64
    }

    /// The attacks that go on, in no order.
    pub fn attacks(&self) -> Vec<Attack> {
        self.parts.iter().flat_map(|part| part.look(|part| part.victims.now().collect::<Vec<_>>())).collect()
    }

    /// Whether an address is the telescope's own, which nobody is told.
    pub fn is_ours(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|net| net.contains(&ip))
    }

    /// What a sender is.
    pub fn class_of(&self, ip: IpAddr, source: &Source) -> Class {
        if self.is_ours(ip) { Class::Spoofed } else { Class::of(ip, source) }
    }
}

/// Which part of all IPv4 addresses these networks are; of unknown ones, none that is large.
fn part_of_all(networks: &[IpNet]) -> f64 {
    let v4 = networks.iter().filter(|net| matches!(net, IpNet::V4(_)));
    v4.map(|net| 0.5f64.powi(net.prefix_len().into())).sum::<f64>().min(1.0)
}

/// Of an address, under the telescope's key.
#[inline]
fn hash_of(hasher: &RandomState, ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(ip) => hasher.hash_one(ip),
        IpAddr::V6(ip) => hasher.hash_one(ip),
    }
}

/// Which part a sender is of: bits of the hash by which the part itself does not look.
#[inline]
fn part_of(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

#[cfg(test)]
mod tests;
