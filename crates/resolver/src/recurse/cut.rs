//! A zone and its servers, as the zone above told them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::name::Name;
use crate::policy::Servers;

/// Servers of a zone that are kept at most.
const SERVERS_MAX: usize = 32;
/// Addresses of a server that are kept at most.
const ADDRESSES_MAX: usize = 8;

/// A zone whose servers are known.
#[derive(Debug)]
pub struct Cut {
    /// Its apex.
    pub(super) zone: Name,
    /// Whether the operator said so; what its servers say is believed without the AA flag.
    pub(super) is_stub: bool,
    /// The ports of servers, which are 53 unless the operator said otherwise.
    fixed: Vec<SocketAddr>,
    above: Option<Arc<Self>>,
    until_s: u32,
    standing: Mutex<Standing>,
}

/// What is known of the servers by now.
#[derive(Debug, Default)]
pub(super) struct Standing {
    servers: Vec<(Name, Vec<IpAddr>, bool)>,
    told: Option<Arc<Servers>>,
}

impl Standing {
    /// A server and the addresses that are told with it.
    pub(super) fn add(&mut self, name: Name, addresses: impl Iterator<Item = IpAddr>) {
        if self.servers.len() < SERVERS_MAX && self.servers.iter().all(|(known, ..)| *known != name) {
            let addresses = addresses.filter(|address| may_be_asked(*address)).take(ADDRESSES_MAX).collect();
            self.servers.push((name, addresses, false));
        }
    }
}

impl Cut {
    /// A zone whose servers the operator names.
    pub(super) fn fixed(zone: Name, servers: Vec<SocketAddr>, is_stub: bool) -> Self {
        Self { zone, is_stub, fixed: servers, above: None, until_s: u32::MAX, standing: Mutex::default() }
    }

    pub(super) fn new(zone: Name, standing: Standing, above: Arc<Self>, until_s: u32) -> Self {
        let standing = Mutex::new(standing);
        Self { zone, is_stub: false, fixed: Vec::new(), above: Some(above), until_s, standing }
    }

    pub(super) fn holds(&self, now_s: u32) -> bool {
        now_s < self.until_s
    }

    /// Where its servers are, as far as is known.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let told = standing.servers.iter().flat_map(|(_, addresses, _)| addresses);
        self.fixed.iter().copied().chain(told.map(|address| SocketAddr::new(*address, 53))).collect()
    }

    /// A server of which no address is known and none was looked for. From now on it was.
    pub(super) fn without_address(&self) -> Option<Name> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, _, looked_for) = standing
            .servers
            .iter_mut()
            .find(|(_, addresses, looked_for)| addresses.is_empty() && !looked_for)?;
        *looked_for = true;
        Some(*name)
    }

    /// Addresses that were found for a server.
    pub(super) fn found(&self, server: &Name, addresses: Vec<IpAddr>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.told = None;
        if let Some((_, known, _)) = standing.servers.iter_mut().find(|(name, ..)| name == server) {
            *known =
                addresses.into_iter().filter(|address| may_be_asked(*address)).take(ADDRESSES_MAX).collect();
        }
    }

    /// Its servers and those of all zones above; the root's are not among them, unless the operator named them.
    pub(super) fn servers(&self) -> Arc<Servers> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = &standing.told {
            return Arc::clone(told);
        }
        let mut servers =
            self.above.as_ref().map(|above| Servers::clone(&above.servers())).unwrap_or_default();
        if self.is_stub {
            servers.addresses.extend(self.fixed.iter().map(SocketAddr::ip));
        }
        for (name, addresses, _) in &standing.servers {
            servers.names.push(*name);
            servers.addresses.extend(addresses);
        }
        let told = Arc::new(servers);
        standing.told = Some(Arc::clone(&told));
        told
    }
}

/// Whether an address that a stranger tells may be that of a server: not one of this machine, of all or of none.
fn may_be_asked(address: IpAddr) -> bool {
    let own = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    !own && match address {
        IpAddr::V4(v4) => v4 != Ipv4Addr::BROADCAST && !v4.is_link_local(),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_none() && !v6.is_unicast_link_local(),
    }
}
