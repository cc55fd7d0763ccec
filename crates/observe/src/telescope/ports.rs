//! How many packets ask for each port, and how many senders send them: what a telescope's page shows first. It is counted only where
//! somebody wishes it ([`count_ports`](super::Telescope::count_ports)), because it costs each packet a little.
//!
//! Packets are counted one by one. Senders are estimated (HyperLogLog, Flajolet et al. 2007), sixteen registers for each port in each
//! part, for a row for each pair of them would be a table as large as the telescope's own. Parts have no sender in common, so that their
//! estimates add up: 256 registers for a port, a standard error of 6.5 %, and less where they are few.

/// Ports of TCP, then of UDP.
const KEYS: usize = 2 << 16;
/// A power of two.
const REGISTERS: usize = 16;
/// Corrects the mean of sixteen registers (Flajolet et al. 2007, figure 3).
const ALPHA: f64 = 0.673;

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
        let all = self.packets.iter().zip(&self.registers).zip(sums.0.iter_mut());
        for ((packets, registers), (packets_sum, hosts_sum)) in all {
            if *packets > 0 {
                *packets_sum += u64::from(*packets);
                *hosts_sum += estimate(registers).min(f64::from(*packets));
            }
        }
    }
}

/// Sums over parts.
pub(super) struct Sums(Vec<(u64, f64)>);

impl Default for Sums {
    fn default() -> Self {
        Self(vec![(0, 0.0); KEYS])
    }
}

impl Sums {
    /// Ports for which anybody asked, TCP before UDP, by number.
    pub(super) fn counted(self) -> Vec<PortCount> {
        let some = self.0.into_iter().enumerate().filter(|(_, (packets, _))| *packets > 0);
        some.map(|(key, (packets, hosts))| PortCount {
            tcp: key < KEYS / 2,
            port: key as u16,
            packets,
            hosts: (hosts.round() as u64).max(1),
        })
        .collect()
    }
}

fn key(tcp: bool, port: u16) -> usize {
    usize::from(port) + if tcp { 0 } else { KEYS / 2 }
}

/// About how many senders set these registers; few are counted by the registers that nobody has set.
fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let m = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|rank| 0.5f64.powi((*rank).into())).sum();
    let raw = ALPHA * m * m / sum;
    let free = registers.iter().filter(|rank| **rank == 0).count();
    if raw <= 2.5 * m && free > 0 { m * (m / free as f64).ln() } else { raw }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher as _, RandomState};

    use super::*;

    #[test]
    fn packets_are_exact_and_senders_are_near() {
        for senders in [1u32, 7, 100, 3000, 200_000] {
            let hasher = RandomState::new();
            let mut parts: Vec<_> = (0..16).map(|_| Ports::new()).collect();
            for packet in 0..senders * 3 {
                let hash = hasher.hash_one(packet % senders);
                parts[(hash >> 40) as usize % 16].add(packet % 2 == 0 || senders == 1, 23, hash);
            }
            let mut sums = Sums::default();
            parts.iter().for_each(|part| part.add_to(&mut sums));
            let counted = sums.counted();
            assert_eq!(counted.iter().map(|port| port.packets).sum::<u64>(), u64::from(senders) * 3);
            assert!(counted.iter().all(|port| port.port == 23));
            let tcp = counted.first().unwrap();
            // Four standard errors; three senders of each are seen by both protocols, but where they are odd ones out of two.
            let truth = f64::from(if senders % 2 == 0 { senders / 2 } else { senders });
            let error = (tcp.hosts as f64 - truth).abs() / truth;
            assert!(tcp.tcp && error < 0.26, "{senders}: {} for {truth}", tcp.hosts);
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
