//! What is kept of a sender: counts of what its packets were like, and how widely they were sent. Nothing of what they carried.

use super::sighting::{Sighting, TRAITS, Trait, bit};

/// A sender: two lines of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub struct Source {
    /// First and last time, nanoseconds since 1970.
    pub first_ns: u64,
    /// See `first_ns`.
    pub last_ns: u64,
    /// A bit for each of 64 kinds of port, and of address.
    ports: u64,
    destinations: u64,
    /// A bit for each of 64 sensors.
    sensors: u64,
    /// All its packets.
    pub packets: u32,
    counts: [u32; TRAITS],
    /// Datagrams that carry what the first did.
    same_payload: u32,
    payload: u32,
    port_lead: u32,
    /// A port that, if any is, is asked for by more than half of the packets (Boyer and Moore).
    pub port: u16,
    /// Least and most time to live.
    pub ttl: (u8, u8),
}

/// What became of a packet in its sender's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It asks for a port that its sender was not known to ask for, or is the sender's first and no answer.
    New,
    Known,
    /// No more can be counted.
    Beyond,
}

impl Source {
    /// Adds a packet that this sensor saw. No count is more than that of all packets, so none overflows.
    #[inline]
    pub(super) fn add<A>(&mut self, seen: &Sighting<A>, sensor: u8) -> Added {
        if self.packets == u32::MAX {
            self.last_ns = self.last_ns.max(seen.at_ns);
            return Added::Beyond;
        }
        let is_first = self.packets == 0;
        if is_first {
            (self.first_ns, self.last_ns) = (seen.at_ns, seen.at_ns);
            self.ttl = (seen.ttl, seen.ttl);
        } else {
            (self.first_ns, self.last_ns) = (self.first_ns.min(seen.at_ns), self.last_ns.max(seen.at_ns));
            self.ttl = (self.ttl.0.min(seen.ttl), self.ttl.1.max(seen.ttl));
        }
        self.packets += 1;
        self.destinations |= 1 << seen.destination;
        self.sensors |= 1 << (sensor % 64);
        let more = seen.traits.counts();
        for (count, more) in self.counts.iter_mut().zip(more) {
            *count = count.wrapping_add(more);
        }
        if seen.traits.has(Trait::Datagram) {
            if self.count(Trait::Datagram) == 1 {
                self.payload = seen.payload;
            }
            self.same_payload += u32::from(seen.payload == self.payload);
        }
        let mut is_new = is_first && !seen.traits.has(Trait::Backscatter);
        if seen.traits.has_port() {
            self.add_port(seen.port);
            let kind = 1 << bit(seen.port.into());
            is_new |= self.ports & kind == 0 && seen.traits.asks();
            self.ports |= kind;
        }
        if is_new { Added::New } else { Added::Known }
    }

    #[inline]
    fn add_port(&mut self, port: u16) {
        if self.port_lead == 0 {
            (self.port, self.port_lead) = (port, 1);
        } else if self.port == port {
            self.port_lead += 1;
        } else {
            self.port_lead -= 1;
        }
    }

    /// Something of each of its two lines of memory.
    #[inline]
    pub(super) fn touched(&self) -> u32 {
        self.packets ^ self.counts[TRAITS - 1] ^ self.port_lead
    }

    /// Its packets that are like this.
    #[inline]
    pub fn count(&self, which: Trait) -> u32 {
        self.counts[which as usize]
    }

    /// Its datagrams that carry what the first did.
    pub fn same_payload(&self) -> u32 {
        self.same_payload
    }

    /// About how many ports it asked for: exact for few, and no more than 200.
    pub fn ports(&self) -> u32 {
        spread(self.ports)
    }

    /// About how many of our addresses it sent to, likewise.
    pub fn destinations(&self) -> u32 {
        spread(self.destinations)
    }

    /// About how many sensors saw it, likewise.
    pub fn sensors(&self) -> u32 {
        spread(self.sensors)
    }

    /// Packets a second over the time it was seen; none where it was seen for less than a second.
    pub fn rate(&self) -> Option<f64> {
        let seconds = (self.last_ns - self.first_ns) as f64 / 1e9;
        (seconds >= 1.0).then(|| f64::from(self.packets) / seconds)
    }
}

/// How many different ones set so many bits of 64 (linear counting, Whang et al. 1990).
pub(super) fn spread(bits: u64) -> u32 {
    match bits.count_zeros() {
        0 => 200,
        free => (64.0 * (64.0 / f64::from(free)).ln()).round() as u32,
    }
}
