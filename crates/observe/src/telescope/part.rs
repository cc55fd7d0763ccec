//! One part of the telescope's senders: those whose hash says so. Parts have nothing in common, so that several threads can add to
//! them at once.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use datasketches::hll::{HllSketch, HllType};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::class::Tool;
use super::ports::{Ports, Sums};
use super::sighting::{Echo, Sighting};
use super::source::{Added, Source};
use super::victim::{Attack, Thresholds, Victims};

/// Sightings that are added at once.
const AT_ONCE: usize = 32;
/// Stands for no row.
const NONE: u32 = u32::MAX;
/// Senders beyond the room are counted in so many registers (2^11: an error of 2 %, 2 KiB).
const BEYOND_LG_K: u8 = 11;

/// Senders of one version of IP, and where the row of each is.
#[derive(Debug)]
pub(super) struct Senders<A> {
    index: HashTable<(A, u32)>,
    rows: Vec<Source>,
    /// Of the sightings being taken in, where the row is.
    places: Vec<u32>,
}

impl<A> Default for Senders<A> {
    fn default() -> Self {
        Self { index: HashTable::new(), rows: Vec::new(), places: Vec::new() }
    }
}

/// What somebody asks for: a port, by a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asked {
    /// Whether over TCP; UDP otherwise.
    pub tcp: bool,
    /// For which port.
    pub port: u16,
    /// By which tool, going by one packet.
    pub tool: Option<Tool>,
}

/// Somebody asks for something for which they were not seen to ask before, or is seen for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Who.
    pub source: IpAddr,
    /// For what; none where it is no port.
    pub asked: Option<Asked>,
    /// From which port, where it asks for one.
    pub from: Option<u16>,
}

impl<A: Copy + Eq + Hash + Into<IpAddr>> Senders<A> {
    /// Adds sightings: first it is found where the row of each is, then they are added to, some at a time. Gives back how many could not
    /// be added.
    fn take(
        &mut self,
        seen: &[Sighting<A>],
        sensor: u8,
        room: usize,
        hasher: &RandomState,
        beyond: &mut Option<HllSketch>,
        arrivals: &mut Vec<Arrival>,
    ) -> u64 {
        self.places.clear();
        let rehash = |(sender, _): &(A, u32)| hasher.hash_one(sender);
        for one in seen {
            let place = match self.index.entry(one.hash, |(sender, _)| *sender == one.sender, rehash) {
                Entry::Occupied(known) => known.get().1,
                Entry::Vacant(free) if self.rows.len() < room => {
                    let place = self.rows.len() as u32;
                    free.insert((one.sender, place));
                    self.rows.push(Source::default());
                    place
                }
                Entry::Vacant(_) => {
                    if let Some(beyond) = beyond {
                        beyond.update(one.hash);
                    }
                    NONE
                }
            };
            self.places.push(place);
        }
        let mut not_added = 0;
        for (some, places) in seen.chunks(AT_ONCE).zip(self.places.chunks(AT_ONCE)) {
            wait_for(&self.rows, places);
            for (one, place) in some.iter().zip(places) {
                not_added += add(&mut self.rows, one, sensor, *place, arrivals);
            }
        }
        not_added
    }

    /// The row of a sender.
    fn get(&self, sender: A, hash: u64) -> Option<&Source> {
        let (_, place) = self.index.find(hash, |(known, _)| *known == sender)?;
        self.rows.get(*place as usize)
    }

    /// Forgets who was silent since then.
    fn forget_before(&mut self, before_ns: u64, hasher: &RandomState) {
        let rows = std::mem::take(&mut self.rows);
        let _grows_by_and_by = self.rows.try_reserve_exact(rows.capacity());
        let index = std::mem::take(&mut self.index);
        for (sender, place) in index {
            let Some(row) = rows.get(place as usize).filter(|row| row.last_ns >= before_ns) else { continue };
            let kept = (sender, self.rows.len() as u32);
            self.index.insert_unique(hasher.hash_one(sender), kept, |(sender, _)| hasher.hash_one(sender));
            self.rows.push(row.clone());
        }
    }

    fn iter(&self) -> impl Iterator<Item = (IpAddr, &Source)> {
        self.index.iter().map(|(sender, place)| ((*sender).into(), &self.rows[*place as usize]))
    }
}

/// Waits for the rows of several sightings at once. Adding to a row takes turns that depend on what is in it, so that the processor would
/// otherwise wait for one after the other.
#[inline]
fn wait_for(rows: &[Source], places: &[u32]) {
    let touched =
        places.iter().filter_map(|place| rows.get(*place as usize)).fold(0, |sum, row| sum ^ row.touched());
    std::hint::black_box(touched);
}

/// Adds a sighting to its row; gives back how many could not be added.
#[inline]
fn add<A: Copy + Into<IpAddr>>(
    rows: &mut [Source],
    one: &Sighting<A>,
    sensor: u8,
    place: u32,
    arrivals: &mut Vec<Arrival>,
) -> u64 {
    let Some(row) = rows.get_mut(place as usize) else { return 1 };
    match row.add(one, sensor) {
        Added::Known => 0,
        Added::Beyond => 1,
        Added::New => {
            let asked = one.traits.asks().then(|| Asked {
                tcp: one.traits.is_tcp(),
                port: one.port,
                tool: Tool::of_one(one.traits),
            });
            let from = asked.is_some().then_some(one.from);
            arrivals.push(Arrival { at_ns: one.at_ns, source: one.sender.into(), asked, from });
            0
        }
    }
}

/// Counts what asks for a port.
fn count<A>(ports: &mut Ports, seen: &[Sighting<A>]) {
    for one in seen.iter().filter(|one| one.traits.asks()) {
        ports.add(one.traits.is_tcp(), one.port, one.hash);
    }
}

/// What a batch of frames shows to one part.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub v4: Vec<Sighting<Ipv4Addr>>,
    pub v6: Vec<Sighting<Ipv6Addr>>,
    pub echoes: Vec<Echo>,
}

/// Whose batch it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    pub sensor: u8,
    /// The time of its last frame.
    pub now_ns: u64,
    pub hasher: &'a RandomState,
}

impl Share {
    pub(super) fn clear(&mut self) {
        self.v4.clear();
        self.v6.clear();
        self.echoes.clear();
    }
}

/// What came of it, beside the rows.
#[derive(Debug, Default)]
pub struct News {
    /// Senders, and what they newly ask for.
    pub arrivals: Vec<Arrival>,
    /// Attacks that begin, and those that have ended.
    pub attacks: Vec<Attack>,
}

/// Senders and victims of one part.
#[derive(Debug)]
pub(super) struct Part {
    v4: Senders<Ipv4Addr>,
    v6: Senders<Ipv6Addr>,
    pub victims: Victims,
    room: usize,
    /// Who had no room, counted as far as that goes.
    beyond: Option<HllSketch>,
    /// Which ports are asked for, where that is counted.
    ports: Option<Ports>,
}

impl Part {
    pub(super) fn new(room: usize, thresholds: Thresholds) -> Self {
        let mut v4 = Senders::default();
        // Addresses of memory, which costs nothing before it is used; without it, rows would be copied each time they are twice as many.
        let _grows_by_and_by = v4.rows.try_reserve_exact(room);
        Self {
            v4,
            v6: Senders::default(),
            victims: Victims::new(thresholds),
            room,
            beyond: HllSketch::new(BEYOND_LG_K, HllType::Hll8).ok(),
            ports: None,
        }
    }

    /// Counts ports from now on, from zero.
    pub(super) fn count_ports(&mut self) {
        self.ports = Some(Ports::new());
    }

    pub(super) fn add_ports_to(&self, sums: &mut Sums) {
        self.ports.iter().for_each(|ports| ports.add_to(sums));
    }

    /// Takes its share in; gives back how many packets could not be added.
    pub(super) fn take(&mut self, share: &Share, batch: Batch<'_>, news: &mut News) -> u64 {
        if let Some(ports) = &mut self.ports {
            count(ports, &share.v4);
            count(ports, &share.v6);
        }
        let Self { v4, v6, victims, room, beyond, .. } = self;
        let (arrivals, Batch { sensor, now_ns, hasher }) = (&mut news.arrivals, batch);
        let left = v4.take(&share.v4, sensor, room.saturating_sub(v6.rows.len()), hasher, beyond, arrivals);
        let more = v6.take(&share.v6, sensor, room.saturating_sub(v4.rows.len()), hasher, beyond, arrivals);
        victims.take(&share.echoes, now_ns, hasher, &mut news.attacks);
        left + more
    }

    /// The row of a sender, whose hash this is.
    pub(super) fn source(&self, sender: IpAddr, hash: u64) -> Option<&Source> {
        match sender {
            IpAddr::V4(sender) => self.v4.get(sender, hash),
            IpAddr::V6(sender) => self.v6.get(sender, hash),
        }
    }

    /// Forgets senders that were silent since then.
    pub(super) fn forget_before(&mut self, before_ns: u64, hasher: &RandomState) {
        self.v4.forget_before(before_ns, hasher);
        self.v6.forget_before(before_ns, hasher);
    }

    /// Its senders, in no order.
    pub(super) fn sources(&self) -> impl Iterator<Item = (IpAddr, &Source)> {
        self.v4.iter().chain(self.v6.iter())
    }

    pub(super) fn len(&self) -> usize {
        self.v4.rows.len() + self.v6.rows.len()
    }

    /// About how many senders had no room.
    pub(super) fn beyond(&self) -> f64 {
        self.beyond.as_ref().map_or(0.0, HllSketch::estimate)
    }
}
