//! Who asks.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Anybody may have sent it, and an answer may not fit.
    Udp,
    /// RFC 7766.
    Tcp,
    /// RFC 7858.
    Tls,
    /// RFC 8484.
    Https,
    /// RFC 9250.
    Quic,
}

impl Transport {
    /// All, and what they are called in counters.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Udp, "udp"),
        (Self::Tcp, "tcp"),
        (Self::Tls, "tls"),
        (Self::Https, "https"),
        (Self::Quic, "quic"),
    ];

    /// Whether the client is where it says, and an answer of any size can be sent.
    pub fn is_stream(self) -> bool {
        self != Self::Udp
    }

    /// Whether nobody on the way reads it.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

/// Who asks, how, and what is known of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// From where.
    pub address: IpAddr,
    /// How.
    pub transport: Transport,
    /// Tags, a bit each, that say which zones are for it.
    pub tags: u64,
    /// The cookie that it gets.
    pub cookie: Option<[u8; 24]>,
}

/// Which networks may ask, and their tags.
#[derive(Clone, Debug, Default)]
pub struct Access {
    v4: PrefixMap<Ipv4Net, Granted>,
    v6: PrefixMap<Ipv6Net, Granted>,
}

/// What a network may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Granted {
    may_ask: Option<bool>,
    tags: Option<u64>,
}

impl Access {
    /// This machine only.
    pub fn local() -> Self {
        let mut access = Self::default();
        for network in ["127.0.0.0/8", "::1/128"] {
            if let Ok(network) = network.parse() {
                access.grant(network, true);
            }
        }
        access
    }

    /// Lets a network ask, or not. Of networks within networks the smallest counts.
    pub fn grant(&mut self, network: IpNet, may_ask: bool) {
        self.entry(network, |granted| granted.may_ask = Some(may_ask));
    }

    /// Gives a network tags.
    pub fn tag(&mut self, network: IpNet, tags: u64) {
        self.entry(network, |granted| granted.tags = Some(granted.tags.unwrap_or(0) | tags));
    }

    fn entry(&mut self, network: IpNet, change: impl FnOnce(&mut Granted)) {
        match network.trunc() {
            IpNet::V4(network) => change(self.v4.entry(network).or_default()),
            IpNet::V6(network) => change(self.v6.entry(network).or_default()),
        }
    }

    /// The tags of an address that may ask; `None` of one that may not.
    #[inline]
    pub fn of(&self, address: IpAddr) -> Option<u64> {
        let granted = match address {
            IpAddr::V4(v4) => gathered(self.v4.cover_values(&Ipv4Net::from(v4))),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => gathered(self.v4.cover_values(&Ipv4Net::from(v4))),
                None => gathered(self.v6.cover_values(&Ipv6Net::from(v6))),
            },
        };
        granted.may_ask.unwrap_or(false).then_some(granted.tags.unwrap_or(0))
    }
}

/// What networks that hold each other say together, the widest first.
fn gathered<'a>(covering: impl Iterator<Item = &'a Granted>) -> Granted {
    covering.fold(Granted::default(), |all, one| Granted {
        may_ask: one.may_ask.or(all.may_ask),
        tags: one.tags.or(all.tags),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_network_says_who_may_ask_and_with_which_tags() {
        let mut access = Access::local();
        let net = |text: &str| text.parse().unwrap();
        access.grant(net("192.0.2.0/24"), true);
        access.grant(net("192.0.2.128/25"), false);
        access.tag(net("192.0.0.0/8"), 1);
        access.tag(net("192.0.2.7/32"), 2);
        access.grant(net("2001:db8::/32"), true);
        let of = |text: &str| access.of(text.parse().unwrap());
        assert_eq!(of("127.0.0.1"), Some(0));
        assert_eq!(of("192.0.2.1"), Some(1));
        assert_eq!(of("::ffff:192.0.2.1"), Some(1));
        assert_eq!(of("192.0.2.7"), Some(2));
        assert_eq!(of("192.0.2.200"), None);
        assert_eq!(of("192.0.3.1"), None);
        assert_eq!(of("2001:db8::5"), Some(0));
    }
}
