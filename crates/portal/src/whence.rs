//! From where somebody asks.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

/// Where a proxy beside us says who asked.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address from which somebody asks: the connection's, or what a proxy on this machine says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whence(pub(crate) Option<IpAddr>);

impl Whence {
    pub(crate) fn of(extensions: &Extensions, headers: &HeaderMap) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.ip().to_canonical());
        let said = || {
            // The last one is what our own proxy saw; those before it are whatever the client wrote.
            let all = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
            all.rsplit(',').next()?.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
        };
        Self(match peer {
            Some(peer) if peer.is_loopback() => said().or(Some(peer)),
            other => other,
        })
    }

    /// Whether it is this machine: a program on it, or a proxy that does not say for whom it asks.
    pub(crate) fn is_here(self) -> bool {
        self.0.is_some_and(|ip| ip.is_loopback())
    }

    /// Whose pace it is: an IPv4 address, or the /64 that an IPv6 network gives to one place.
    pub(crate) fn place(self) -> IpAddr {
        match self.0 {
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            Some(ip) => ip,
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Whence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_ipv6_network_are_one_place() {
        let place = |ip: &str| Whence(Some(ip.parse().unwrap())).place().to_string();
        assert_eq!(place("2001:db8:1:2:aaaa::1"), place("2001:db8:1:2::2"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_ne!(place("198.51.100.1"), place("198.51.100.2"));
    }
}
