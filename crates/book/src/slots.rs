//! Something for each slot, found by address and port: for what is open and for what was closed lately.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hashbrown::{HashMap, hash_map};

use crate::row::Slot;
use crate::segment::Point;

/// Values by slot. Whole addresses are the rule and are hashed; blocks of ports are in order, so that the block of a port is
/// found.
#[derive(Debug)]
pub struct SlotMap<T> {
    /// Addresses come from the network's own pools, so a fast hash will do; it is keyed all the same.
    whole: HashMap<Slot, T>,
    blocks: BTreeMap<Slot, T>,
    /// The widest block's last port less its first.
    span_max: u16,
    /// Bit n: there were prefixes of n bits.
    lengths: u128,
}

impl<T> Default for SlotMap<T> {
    fn default() -> Self {
        Self { whole: HashMap::new(), blocks: BTreeMap::new(), span_max: 0, lengths: 0 }
    }
}

impl<T> SlotMap<T> {
    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.whole.len() + self.blocks.len()
    }

    /// What is with exactly this slot.
    pub fn get(&self, slot: &Slot) -> Option<&T> {
        if slot.ports.is_some() { self.blocks.get(slot) } else { self.whole.get(slot) }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, slot: &Slot) -> Option<&mut T> {
        if slot.ports.is_some() { self.blocks.get_mut(slot) } else { self.whole.get_mut(slot) }
    }

    /// The same, made if it is not there.
    pub fn entry(&mut self, slot: Slot) -> &mut T
    where
        T: Default,
    {
        match slot.ports {
            Some((first, last)) => {
                self.span_max = self.span_max.max(last.saturating_sub(first));
                self.blocks.entry(slot).or_default()
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
        if slot.ports.is_some() { self.blocks.remove(slot) } else { self.whole.remove(slot) }
    }

    /// Keeps those of which this says so.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.whole.retain(|_, value| keep(value));
        self.blocks.retain(|_, value| keep(value));
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Slot, &T)> {
        self.whole.iter().chain(&self.blocks)
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
        if point.v4.is_none() || self.blocks.is_empty() {
            return;
        }
        let of = |first, last| Slot { addr: point.addr, len: 128, ports: Some((first, last)) };
        let range = match point.port {
            Some(port) => of(port.saturating_sub(self.span_max), 0)..=of(port, u16::MAX),
            None => of(0, 0)..=of(u16::MAX, u16::MAX),
        };
        for (slot, value) in self.blocks.range(range) {
            let right = slot.ports.is_some_and(|(_, last)| point.port.is_none_or(|port| port <= last));
            if right && each(slot, value).is_break() {
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
