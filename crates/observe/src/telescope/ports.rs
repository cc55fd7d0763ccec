//! How many packets ask for each port, and how many senders send them: what a telescope's page shows first. It is counted only where
//! somebody wishes it ([`count_ports`](super::Telescope::count_ports)), because it costs each packet a little.
//!
//! Packets are counted one by one. Senders are estimated (HyperLogLog, Flajolet et al. 2007), for a row for each pair of them would be a
//! table as large as the telescope's own. Each part has sixteen registers for each port; a sender's part is drawn by its hash as its register is,
//! so that those of all parts are the 256 registers of one estimate: a standard error of 6.5 %, and less where they are few.

use super::PARTS;

/// Ports of TCP, then of UDP.
const KEYS: usize = 2 << 16;
/// A power of two.
const REGISTERS: usize = 16;
/// Those of all parts.
const ALL: f64 = (PARTS * REGISTERS) as f64;

/// What asked for a port.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PortCount {
    /// Whether over TCP; UDP otherwise.
    pub tcp: bool,
    /// Which.
    pub port: u16,
    /// How many packets.
    pub packets: u64,
    /// About how many senders.
    pub hosts: u64,
}

/// One part's.
#[derive(Debug)]
pub(super) struct Ports {
    packets: Vec<u32>,
    registers: Vec<[u8; REGISTERS]>,
}

impl Ports {
    /// Pages that nobody asks for stay with the kernel.
    pub(super) fn new() -> Self {
        Self { packets: vec![0; KEYS], registers: vec![[0; REGISTERS]; KEYS] }
    }

    /// A packet asks for a port; the hash is its sender's.
    #[inline]
    pub(super) fn add(&mut self, tcp: bool, port: u16, hash: u64) {
        let key = key(tcp, port);
        self.packets[key] = self.packets[key].saturating_add(1);
        // The part and the row were found by bits of the same hash: these are others.
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let register = &mut self.registers[key][(mixed >> 60) as usize % REGISTERS];
        *register = (*register).max((mixed << 4 | 8).leading_zeros() as u8 + 1);
    }

    /// Adds what was counted here to the sums.
    pub(super) fn add_to(&self, sums: &mut Sums) {
        for ((packets, registers), sum) in self.packets.iter().zip(&self.registers).zip(&mut sums.0) {
            if *packets > 0 {
                sum.packets += u64::from(*packets);
                for rank in registers.iter().filter(|rank| **rank > 0) {
                    sum.powers -= 1.0 - 0.5f64.powi((*rank).into());
                    sum.free -= 1.0;
                }
            }
        }
    }
}

/// One port's, over all parts.
#[derive(Clone, Copy)]
struct Sum {
    packets: u64,
    /// Of 2^-rank over all registers; one that nobody has set has rank 0.
    powers: f64,
    /// Registers that nobody has set.
    free: f64,
}

impl Sum {
    /// About how many senders; few are counted by the registers that nobody has set.
    fn hosts(&self) -> u64 {
        let alpha = 0.7213 / (1.0 + 1.079 / ALL);
        let raw = alpha * ALL * ALL / self.powers;
        let few = raw <= 2.5 * ALL && self.free > 0.0;
        let hosts = if few { ALL * (ALL / self.free).ln() } else { raw };
        (hosts.round() as u64).clamp(1, self.packets.max(1))
    }
}

/// Sums over parts.
pub(super) struct Sums(Vec<Sum>);

impl Default for Sums {
    fn default() -> Self {
        Self(vec![Sum { packets: 0, powers: ALL, free: ALL }; KEYS])
    }
}

impl Sums {
    /// Ports for which anybody asked, TCP before UDP, by number.
    pub(super) fn counted(self) -> Vec<PortCount> {
        let some = self.0.iter().enumerate().filter(|(_, sum)| sum.packets > 0);
        some.map(|(key, sum)| PortCount {
            tcp: key < KEYS / 2,
            port: key as u16,
            packets: sum.packets,
            hosts: sum.hosts(),
        })
        .collect()
    }
}

fn key(tcp: bool, port: u16) -> usize {
    usize::from(port) + if tcp { 0 } else { KEYS / 2 }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, RandomState};

    use super::super::part_of;
    use super::*;

    /// Senders of three packets each to one port, as the telescope divides them among its parts; what is counted of them.
    fn counted(senders: u32) -> PortCount {
        let hasher = RandomState::new();
        let mut parts: Vec<_> = (0..PARTS).map(|_| Ports::new()).collect();
        for packet in 0..senders * 3 {
            let hash = hasher.hash_one(packet % senders);
            parts[part_of(hash)].add(true, 23, hash);
        }
        let mut sums = Sums::default();
        parts.iter().for_each(|part| part.add_to(&mut sums));
        sums.counted()[0]
    }

    #[test]
    fn packets_are_exact_and_senders_are_near_however_many() {
        for senders in [1u32, 7, 100, 300, 3000, 100_000] {
            let rounds = if senders > 10_000 { 6 } else { 40 };
            let mut errors = 0.0;
            for _ in 0..rounds {
                let counted = counted(senders);
                assert_eq!((counted.tcp, counted.port, counted.packets), (true, 23, u64::from(senders) * 3));
                errors += counted.hosts as f64 / f64::from(senders) - 1.0;
            }
            // Four standard errors of the mean of so many.
            let bias: f64 = errors / f64::from(rounds);
            assert!(bias.abs() < 4.0 * 0.065 / f64::from(rounds).sqrt(), "{senders}: {bias:+.3} on average");
        }
    }

    #[test]
    fn one_sender_is_one_however_many_packets_it_sends() {
        let mut ports = Ports::new();
        (0..1000).for_each(|_| ports.add(false, 53, 0xdead_beef_0123_4567));
        let mut sums = Sums::default();
        ports.add_to(&mut sums);
        assert_eq!(sums.counted(), [PortCount { tcp: false, port: 53, packets: 1000, hosts: 1 }]);
    }
}
