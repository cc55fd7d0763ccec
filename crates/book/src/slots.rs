//! Something for each slot, found by address and port: for what is open and for what was closed lately.

use std::ops::ControlFlow;

use hashbrown::hash_map::{self, HashMap};

use crate::row::Slot;
use crate::segment::Point;

/// Values by slot. The blocks of ports of an address are known besides, so that the block of a port is found.
#[derive(Debug)]
pub struct SlotMap<T> {
    /// Addresses come from the network's own pools, so a fast hash will do; it is keyed all the same.
    all: HashMap<Slot, T>,
    /// First and last port of each block of an address, in order.
    blocks: HashMap<u128, Vec<(u16, u16)>>,
    /// The widest block's last port less its first.
    span_max: u16,
    /// Bit n: there were prefixes of n bits.
    lengths: u128,
}

impl<T> Default for SlotMap<T> {
    fn default() -> Self {
        Self { all: HashMap::new(), blocks: HashMap::new(), span_max: 0, lengths: 0 }
    }
}

impl<T> SlotMap<T> {
    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// What is with exactly this slot.
    pub fn get(&self, slot: &Slot) -> Option<&T> {
        self.all.get(slot)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, slot: &Slot) -> Option<&mut T> {
        self.all.get_mut(slot)
    }

    /// The same, made if it is not there.
    pub fn entry(&mut self, slot: Slot) -> &mut T
    where
        T: Default,
    {
        let place = match self.all.entry(slot) {
            hash_map::Entry::Occupied(found) => return found.into_mut(),
            hash_map::Entry::Vacant(place) => place,
        };
        match slot.ports {
            Some(ports) => {
                self.span_max = self.span_max.max(ports.1.saturating_sub(ports.0));
                let of_address = self.blocks.entry(slot.addr).or_default();
                let at = of_address.partition_point(|other| *other < ports);
                of_address.insert(at, ports);
            }
            None if slot.v4().is_none() && slot.len < 128 => self.lengths |= 1 << slot.len,
            None => {}
        }
        place.insert(T::default())
    }

    /// Takes it out.
    pub fn remove(&mut self, slot: &Slot) -> Option<T> {
        let value = self.all.remove(slot)?;
        self.forget_block(slot);
        Some(value)
    }

    fn forget_block(&mut self, slot: &Slot) {
        if let Some(ports) = slot.ports
            && let Some(of_address) = self.blocks.get_mut(&slot.addr)
        {
            if let Ok(at) = of_address.binary_search(&ports) {
                of_address.remove(at);
            }
            if of_address.is_empty() {
                self.blocks.remove(&slot.addr);
            }
        }
    }

    /// Keeps those of which this says so.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let gone: Vec<Slot> =
            self.all.iter().filter(|(_, value)| !keep(value)).map(|(slot, _)| *slot).collect();
        gone.iter().for_each(|slot| drop(self.remove(slot)));
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.all.iter().map(|(slot, value)| (*slot, value))
    }

    /// Calls `each` with every slot that the point is in; where no port was told, with every block of the address.
    pub fn visit(&self, point: Point, mut each: impl FnMut(&Slot, &T) -> ControlFlow<()>) {
        let mut look =
            |slot: Slot| self.all.get(&slot).map_or(ControlFlow::Continue(()), |value| each(&slot, value));
        let whole = |len: u8| {
            let addr = if len == 0 { 0 } else { point.addr & (u128::MAX << (128 - u32::from(len))) };
            Slot { addr, len, ports: None }
        };
        if look(whole(128)).is_break() {
            return;
        }
        if point.v4.is_none() {
            let lengths = (0..128u8).filter(|len| self.lengths >> len & 1 == 1);
            let _broken_off = lengths.map(whole).try_for_each(look);
            return;
        }
        let Some(of_address) = self.blocks.get(&point.addr) else { return };
        let (lowest, highest) = match point.port {
            Some(port) => ((port.saturating_sub(self.span_max), 0), (port, u16::MAX)),
            None => ((0, 0), (u16::MAX, u16::MAX)),
        };
        let begin = of_address.partition_point(|ports| *ports < lowest);
        let near = of_address[begin..].iter().take_while(|ports| **ports <= highest);
        let with_port = near.filter(|(_, last)| point.port.is_none_or(|port| port <= *last));
        let _broken_off = with_port
            .map(|ports| Slot { addr: point.addr, len: 128, ports: Some(*ports) })
            .try_for_each(look);
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
