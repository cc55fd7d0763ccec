//! The telescope: packets to addresses that nobody uses, told apart by who sent them and why.
//!
//! ```text
//!   Packet ──▶ trait by trait into the sender's row ──▶ at any time: class, tool, ports, rate, spread, first and last
//! ```
//!
//! Nobody has a reason to send to an address that is not used, so each sender is a fault, a look around, or the echo of something
//! done to a third. `source` is what is kept of a sender, `probe` what a datagram asks for, `class` what that makes of them.
//!
//! **A sender of answers is a victim.** Whoever answers what was sent in our name is attacked, or used to attack: it is never a scanner,
//! and must never be blocked as one.
//!
//! Senders choose their addresses. They are found by a hash of all bits with a key of this process (SipHash), so that nobody can make
//! them meet in one place. There is room for [`SOURCES_MAX`]; packets of more senders are counted, not told apart, and it is said how
//! many they were.

mod class;
mod probe;
mod source;

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use noroshi_wire::capture::Frame;
use noroshi_wire::packet::{Addresses, NoPacket, Packet};
use serde::Serialize;

pub use class::{Class, Tool};
pub use source::Source;

/// Senders that are told apart: some 130 bytes each.
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
    /// Whether what became of the frames adds up to them.
    pub fn adds_up(&self) -> bool {
        let NotRead { unknown_link, not_ip, cut, malformed } = self.not_read;
        self.frames == self.packets + self.elsewhere + unknown_link + not_ip + cut + malformed
    }
}

/// A telescope being looked through.
#[derive(Debug)]
pub struct Telescope {
    /// What it looks at; empty: whatever comes.
    networks: Vec<IpNet>,
    v4: HashMap<u32, Source, RandomState>,
    v6: HashMap<u128, Source, RandomState>,
    sources_max: usize,
    counts: Counts,
}

impl Telescope {
    /// One that looks at these networks; at whatever comes, where there are none.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self {
            networks,
            v4: HashMap::default(),
            v6: HashMap::default(),
            sources_max: SOURCES_MAX,
            counts: Counts::default(),
        }
    }

    /// The same with room for so many senders.
    pub fn with_room_for(self, sources_max: usize) -> Self {
        Self { sources_max, ..self }
    }

    /// Sees a frame. One without a time is taken to be of the time before it.
    #[inline]
    pub fn see(&mut self, frame: &Frame<'_>) {
        self.counts.frames += 1;
        let at_ns = match (frame.at_ns, self.counts.span_ns) {
            (Some(at), None) => {
                self.counts.span_ns = Some((at, at));
                at
            }
            (Some(at), Some((first, last))) => {
                self.counts.span_ns = Some((first.min(at), last.max(at)));
                at
            }
            (None, span) => span.map_or(0, |(_, last)| last),
        };
        let packet = match Packet::read(frame.link, frame.bytes) {
            Ok(packet) => packet,
            Err(why) => return self.counts.not_read.add(why),
        };
        if !self.looks_at(packet.addresses) {
            self.counts.elsewhere += 1;
            return;
        }
        self.counts.packets += 1;
        let room = self.v4.len() + self.v6.len() < self.sources_max;
        let source = match packet.addresses {
            Addresses::V4 { source, .. } => of(&mut self.v4, source, room),
            Addresses::V6 { source, .. } => of(&mut self.v6, source, room),
        };
        let told_apart = source.is_some_and(|source| source.add(&packet, at_ns));
        self.counts.beyond += u64::from(!told_apart);
    }

    #[inline]
    fn looks_at(&self, addresses: Addresses) -> bool {
        self.networks.is_empty()
            || match addresses {
                Addresses::V4 { destination, .. } => self.networks.iter().any(|net| match net {
                    IpNet::V4(net) => destination & u32::from(net.netmask()) == u32::from(net.network()),
                    IpNet::V6(_) => false,
                }),
                Addresses::V6 { .. } => {
                    let destination = addresses.destination();
                    self.networks.iter().any(|net| net.contains(&destination))
                }
            }
    }

    /// What became of the frames.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many senders are told apart.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether nobody sent anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All senders, in no order.
    pub fn sources(&self) -> impl Iterator<Item = (IpAddr, &Source)> {
        let v4 = self.v4.iter().map(|(ip, source)| (Ipv4Addr::from(*ip).into(), source));
        v4.chain(self.v6.iter().map(|(ip, source)| (Ipv6Addr::from(*ip).into(), source)))
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

/// A sender's row, made where there is room.
#[inline]
fn of<K: Copy + Eq + std::hash::Hash>(
    all: &mut HashMap<K, Source, RandomState>,
    key: K,
    room: bool,
) -> Option<&mut Source> {
    match all.entry(key) {
        Entry::Occupied(known) => Some(known.into_mut()),
        Entry::Vacant(free) if room => Some(free.insert(Source::default())),
        Entry::Vacant(_) => None,
    }
}

#[cfg(test)]
mod tests;
