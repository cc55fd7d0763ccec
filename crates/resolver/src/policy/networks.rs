//! Rules by network: of clients, of addresses in answers, of name servers.
//!
//! They are few beside names, so a change copies the tree and readers keep the one they have.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use super::names::{ActionId, Here, ZONES_MAX};

/// Rules of one kind, of all zones.
#[derive(Clone, Debug)]
pub struct Networks {
    v4: PrefixMap<Ipv4Net, Vec<Here>>,
    v6: PrefixMap<Ipv6Net, Vec<Here>>,
    rules: [u32; ZONES_MAX],
}

impl Default for Networks {
    fn default() -> Self {
        Self { v4: PrefixMap::new(), v6: PrefixMap::new(), rules: [0; ZONES_MAX] }
    }
}

/// The rule found for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkMatch {
    /// The zone's place in the order.
    pub zone: u8,
    /// What the rule does.
    pub action: ActionId,
    /// The rule's network.
    pub network: IpNet,
}

impl Networks {
    /// The zones, a bit each, that have rules here.
    pub fn zones(&self) -> u64 {
        (0..ZONES_MAX).filter(|zone| self.rules[*zone] > 0).fold(0, |zones, zone| zones | 1 << zone)
    }

    /// The rule of the first of `zones` that has one for `address`; of its rules the one with the smallest network.
    #[inline]
    pub fn find(&self, address: IpAddr, zones: u64) -> Option<NetworkMatch> {
        match address {
            IpAddr::V4(v4) if !self.v4.is_empty() => first(self.v4.cover(&Ipv4Net::from(v4)), zones),
            IpAddr::V6(v6) if !self.v6.is_empty() => first(self.v6.cover(&Ipv6Net::from(v6)), zones),
            _ => None,
        }
    }

    /// The rule that a zone has for exactly this network.
    pub fn rule(&self, zone: u8, network: IpNet) -> ActionId {
        let node = match network {
            IpNet::V4(network) => self.v4.get(&network),
            IpNet::V6(network) => self.v6.get(&network),
        };
        let here = node.and_then(|node| node.iter().find(|here| here.zone == zone));
        here.map_or(ActionId::default(), |here| here.exact)
    }

    /// Gives a zone another rule for a network, or none.
    pub fn set(&mut self, zone: u8, network: IpNet, action: ActionId) {
        let mut node = match network {
            IpNet::V4(network) => self.v4.remove(&network),
            IpNet::V6(network) => self.v6.remove(&network),
        }
        .unwrap_or_default();
        let before = node.len();
        node.retain(|here| here.zone != zone);
        let had = before > node.len();
        let has = action != ActionId::default();
        if has {
            node.push(Here { zone, exact: action, ..Here::default() });
        }
        let rules = &mut self.rules[usize::from(zone & 63)];
        *rules = *rules + u32::from(has) - u32::from(had);
        if !node.is_empty() {
            match network {
                IpNet::V4(network) => drop(self.v4.insert(network, node)),
                IpNet::V6(network) => drop(self.v6.insert(network, node)),
            }
        }
    }

    /// All rules but those of `zone`, their actions as `number` says.
    #[must_use]
    pub fn without(&self, zone: u8, mut number: impl FnMut(ActionId) -> ActionId) -> Self {
        let mut other = Self::default();
        let v4 = self.v4.iter().map(|(network, node)| (IpNet::V4(network), node));
        let v6 = self.v6.iter().map(|(network, node)| (IpNet::V6(network), node));
        for (network, node) in v4.chain(v6) {
            for here in node.iter().filter(|here| here.zone != zone) {
                other.set(here.zone, network, number(here.exact));
            }
        }
        other
    }
}

/// Of networks that hold an address, the widest first, that of the first zone; of one zone's, the smallest.
fn first<'a, P: Into<IpNet>>(
    covering: impl Iterator<Item = (P, &'a Vec<Here>)>,
    zones: u64,
) -> Option<NetworkMatch> {
    let mut best: Option<NetworkMatch> = None;
    for (network, node) in covering {
        let network = network.into();
        for here in node.iter().filter(|here| zones >> here.zone & 1 == 1) {
            if best.is_none_or(|best| here.zone <= best.zone) {
                best = Some(NetworkMatch { zone: here.zone, action: here.exact, network });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::names::Writer;
    use super::super::rule::Action;
    use super::*;
    use crate::name::Secret;

    #[test]
    fn the_first_zone_decides_and_in_it_the_smallest_network() {
        let mut writer = Writer::new(Secret([1; 16]), 0);
        let (one, two) = (writer.action(Action::Nxdomain), writer.action(Action::Nodata));
        let mut networks = Networks::default();
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        networks.set(1, net("192.0.2.0/24"), one);
        networks.set(1, net("192.0.2.7/32"), two);
        networks.set(3, net("192.0.0.0/8"), two);
        networks.set(3, net("2001:db8::/32"), one);
        let find = |networks: &Networks, text: &str, zones| {
            networks.find(text.parse().unwrap(), zones).map(|found| (found.zone, found.action))
        };
        assert_eq!(networks.zones(), 0b1010);
        assert_eq!(find(&networks, "192.0.2.7", !0), Some((1, two)));
        assert_eq!(find(&networks, "192.0.2.8", !0), Some((1, one)));
        assert_eq!(find(&networks, "192.0.2.8", 0b1000), Some((3, two)));
        assert_eq!(find(&networks, "2001:db8::1", !0), Some((3, one)));
        assert_eq!(find(&networks, "2001:db9::1", !0), None);
        networks.set(1, net("192.0.2.7/32"), ActionId::default());
        assert_eq!(find(&networks, "192.0.2.7", !0), Some((1, one)));
        let other = networks.without(3, |id| id);
        assert_eq!((other.zones(), find(&other, "192.0.9.9", !0)), (0b10, None));
    }
}
