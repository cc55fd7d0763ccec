//! Something for each slot, found by address and port: for what is open and for what was closed lately.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hashbrown::{HashMap, hash_map};

use crate::row::Slot;
use crate::segment::Point;

/// Values by slot. Whole addresses are the rule and are hashed; the blocks of ports of an address are in order, so that the
/// block of a port is found.
#[derive(Debug)]
pub struct SlotMap<T> {
    /// Addresses come from the network's own pools, so a fast hash will do; it is keyed all the same.
    whole: HashMap<Slot, T>,
    /// By address, then by first and last port.
    blocks: HashMap<u128, BTreeMap<(u16, u16), T>>,
    block_count: usize,
    /// The widest block's last port less its first.
    span_max: u16,
    /// Bit n: there were prefixes of n bits.
    lengths: u128,
}

impl<T> Default for SlotMap<T> {
    fn default() -> Self {
        Self { whole: HashMap::new(), blocks: HashMap::new(), block_count: 0, span_max: 0, lengths: 0 }
    }
}

impl<T> SlotMap<T> {
    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.whole.len() + self.block_count
    }

    /// What is with exactly this slot.
    pub fn get(&self, slot: &Slot) -> Option<&T> {
        match slot.ports {
            Some(ports) => self.blocks.get(&slot.addr)?.get(&ports),
            None => self.whole.get(slot),
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, slot: &Slot) -> Option<&mut T> {
        match slot.ports {
            Some(ports) => self.blocks.get_mut(&slot.addr)?.get_mut(&ports),
            None => self.whole.get_mut(slot),
        }
    }

    /// The same, made if it is not there.
    pub fn entry(&mut self, slot: Slot) -> &mut T
    where
        T: Default,
    {
        match slot.ports {
            Some((first, last)) => {
                self.span_max = self.span_max.max(last.saturating_sub(first));
                let of_address = self.blocks.entry(slot.addr).or_default();
                let block_count = &mut self.block_count;
                of_address.entry((first, last)).or_insert_with(|| {
                    *block_count += 1;
                    T::default()
                })
            }
            None => {
                if slot.v4().is_none() && slot.len < 128 {
                    self.lengths |= 1 << slot.len;
                }
                match self.whole.entry(slot) {
                    hash_map::Entry::Occupied(found) => found.into_mut(),
                    hash_map::Entry::Vacant(place) => place.insert(T::default()),
                }
            }
        }
    }

    /// Takes it out.
    pub fn remove(&mut self, slot: &Slot) -> Option<T> {
        let Some(ports) = slot.ports else { return self.whole.remove(slot) };
        let of_address = self.blocks.get_mut(&slot.addr)?;
        let value = of_address.remove(&ports)?;
        self.block_count -= 1;
        if of_address.is_empty() {
            self.blocks.remove(&slot.addr);
        }
        Some(value)
    }

    /// Keeps those of which this says so.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.whole.retain(|_, value| keep(value));
        self.blocks.retain(|_, of_address| {
            of_address.retain(|_, value| keep(value));
            !of_address.is_empty()
        });
        self.block_count = self.blocks.values().map(BTreeMap::len).sum();
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        let blocks = self.blocks.iter().flat_map(|(addr, of_address)| {
            of_address
                .iter()
                .map(|(ports, value)| (Slot { addr: *addr, len: 128, ports: Some(*ports) }, value))
        });
        self.whole.iter().map(|(slot, value)| (*slot, value)).chain(blocks)
    }

    /// Calls `each` with every slot that the point is in; where no port was told, with every block of the address.
    pub fn visit(&self, point: Point, mut each: impl FnMut(&Slot, &T) -> ControlFlow<()>) {
        let mut whole = |len: u8| {
            let addr = if len == 0 { 0 } else { point.addr & (u128::MAX << (128 - u32::from(len))) };
            let slot = Slot { addr, len, ports: None };
            self.whole.get(&slot).map_or(ControlFlow::Continue(()), |value| each(&slot, value))
        };
        if whole(128).is_break() {
            return;
        }
        if point.v4.is_none() {
            for len in (0..128u8).filter(|len| self.lengths >> len & 1 == 1) {
                if whole(len).is_break() {
                    return;
                }
            }
        }
        let Some(of_address) = self.blocks.get(&point.addr).filter(|_| point.v4.is_some()) else { return };
        let range = match point.port {
            Some(port) => (port.saturating_sub(self.span_max), 0)..=(port, u16::MAX),
            None => (0, 0)..=(u16::MAX, u16::MAX),
        };
        for (ports, value) in of_address.range(range) {
            let slot = Slot { addr: point.addr, len: 128, ports: Some(*ports) };
            if point.port.is_none_or(|port| port <= ports.1) && each(&slot, value).is_break() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use noroshi_wire::Given;

    use super::*;

    #[test]
    fn a_port_finds_its_block_and_an_address_its_prefix() {
        let mut map = SlotMap::<u32>::default();
        let slot = |net: &str, ports| Slot::of(&Given { net: net.parse().unwrap(), ports });
        for (n, (net, ports)) in [
            ("198.51.100.1/32", None),
            ("198.51.100.2/32", Some((1024, 2047))),
            ("198.51.100.2/32", Some((2048, 2063))),
            ("2001:db8::/56", None),
            ("2001:db8::/64", None),
        ]
        .into_iter()
        .enumerate()
        {
            *map.entry(slot(net, ports)) = n as u32;
        }
        let at = |ip: &str, port| {
            let mut found = Vec::new();
            map.visit(Point::new(ip.parse().unwrap(), port), |_, n| {
                found.push(*n);
                ControlFlow::Continue(())
            });
            found
        };
        assert_eq!(at("198.51.100.1", Some(5)), [0]);
        assert_eq!(at("198.51.100.2", Some(2047)), [1]);
        assert_eq!(at("198.51.100.2", Some(2050)), [2]);
        assert_eq!(at("198.51.100.2", Some(3000)), [0; 0]);
        assert_eq!(at("198.51.100.2", None), [1, 2]);
        assert_eq!(at("2001:db8::1", None), [3, 4]);
        assert_eq!(at("2001:db8:0:1::1", None), [3]);
        assert_eq!(map.len(), 5);
    }
}
