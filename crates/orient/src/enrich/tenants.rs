//! Our own address space: which of the organisations that share this installation an address belongs to. The list comes
//! from the configuration; the longest prefix counts, so that a customer's part can be taken out of a larger block.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::prefixes::{Owner, PrefixBuilder, PrefixTable};
use super::ranges::canonical;
use super::{EnrichError, prefixes};

/// Own prefixes and their tenants.
#[derive(Debug, Default)]
pub struct Tenants(PrefixTable);

impl Tenants {
    /// Of prefixes and names. The same prefix for two tenants is a mistake and refused: whichever were taken, one
    /// tenant would see the other's subscribers.
    pub fn new<N: AsRef<str>>(list: impl IntoIterator<Item = (IpNet, N)>) -> Result<Self, EnrichError> {
        let mut seen: BTreeMap<IpNet, String> = BTreeMap::new();
        let mut builder = PrefixBuilder::default();
        for (net, tenant) in list {
            let (net, tenant) = (canonical(net), tenant.as_ref().trim());
            if tenant.is_empty() || tenant.len() > prefixes::NAME_MAX {
                return Err(EnrichError::List(format!(
                    "{net}: a tenant's name has 1 to {} bytes",
                    prefixes::NAME_MAX
                )));
            }
            match seen.insert(net, tenant.to_owned()) {
                Some(other) if other != tenant => {
                    return Err(EnrichError::TwoTenants(net, other, tenant.to_owned()));
                }
                _ => builder.prefix(net, Owner { name: Some(tenant), ..Owner::default() })?,
            }
        }
        Ok(Self(builder.build()))
    }

    /// Whose an address is; nobody's if it is none of our own.
    pub fn tenant_of(&self, ip: IpAddr) -> Option<&str> {
        self.0.look_up(ip)?.as_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_names_the_tenant() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let tenants = Tenants::new([
            (net("198.51.100.0/22"), "isp"),
            (net("198.51.100.64/26"), "school"),
            (net("2001:db8::/32"), "isp"),
        ])
        .unwrap();
        let of = |ip: &str| tenants.tenant_of(ip.parse().unwrap());
        assert_eq!(of("198.51.100.1"), Some("isp"));
        assert_eq!(of("198.51.100.65"), Some("school"));
        assert_eq!(of("2001:db8:ffff::1"), Some("isp"));
        assert_eq!(of("203.0.113.1"), None);
        assert_eq!(Tenants::default().tenant_of("203.0.113.1".parse().unwrap()), None);
    }

    #[test]
    fn a_prefix_has_one_tenant() {
        let net: IpNet = "192.0.2.0/24".parse().unwrap();
        let host: IpNet = "192.0.2.9/24".parse().unwrap();
        assert_eq!(
            Tenants::new([(net, "a"), (host, "b")]).unwrap_err().to_string(),
            "192.0.2.0/24 belongs to a and to b"
        );
        assert!(Tenants::new([(net, "a"), (host, "a")]).is_ok());
        assert!(Tenants::new([(net, " ")]).is_err());
    }
}
