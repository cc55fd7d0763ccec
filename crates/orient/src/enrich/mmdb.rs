//! A database in MaxMind's format, as the operator has it from MaxMind, DB-IP or others. It is looked up where it is:
//! the bytes stay as they are, so that a database of hundreds of megabytes is not unfolded.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;

use super::{Answer, Cc, EnrichError};

/// The fields we know, under the names that MaxMind, DB-IP and the projects that follow them use.
#[derive(Deserialize, Default, PartialEq)]
struct Fields<'a> {
    autonomous_system_number: Option<u32>,
    #[serde(borrow)]
    autonomous_system_organization: Option<&'a str>,
    #[serde(borrow)]
    country: Option<Country<'a>>,
    #[serde(borrow)]
    registered_country: Option<Country<'a>>,
    /// Small databases have it flat.
    country_code: Option<&'a str>,
}

#[derive(Deserialize, Default, PartialEq)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

impl Fields<'_> {
    fn cc(&self) -> Option<Cc> {
        let nested =
            |country: &Option<Country<'_>>| country.as_ref().and_then(|c| c.iso_code).and_then(Cc::new);
        // Where the address is used says more than where its block is registered.
        nested(&self.country)
            .or_else(|| self.country_code.and_then(Cc::new))
            .or_else(|| nested(&self.registered_country))
    }
}

/// An opened database, every record of which has been read once.
pub struct Mmdb {
    reader: Reader<Vec<u8>>,
}

impl fmt::Debug for Mmdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mmdb({})", self.kind())
    }
}

impl Mmdb {
    /// Opens a database and reads all of it once: a file that was cut off or damaged is refused here, and not found out
    /// in the middle of the work. So is one that has none of the fields we know.
    pub fn open(bytes: Vec<u8>) -> Result<Self, EnrichError> {
        let broken = |error: maxminddb::MaxMindDbError| EnrichError::Mmdb(error.to_string());
        let reader = Reader::from_source(bytes).map_err(broken)?;
        // A tree of N nodes has at most N + 1 leaves; more means that it runs in circles.
        let mut left = u64::from(reader.metadata().node_count) + 2;
        let mut read = HashSet::new();
        let mut known = 0u64;
        for leaf in
            reader.networks(WithinOptions::default().include_networks_without_data()).map_err(broken)?
        {
            let leaf = leaf.map_err(broken)?;
            left = left
                .checked_sub(1)
                .ok_or_else(|| EnrichError::Mmdb("its tree runs in circles".to_owned()))?;
            if let Some(offset) = leaf.offset()
                && read.insert(offset)
            {
                let fields = leaf.decode::<Fields<'_>>().map_err(broken)?;
                known += u64::from(fields.is_some_and(|fields| fields != Fields::default()));
            }
        }
        if known == 0 {
            return Err(EnrichError::Mmdb(format!(
                "'{}' has neither autonomous_system_number nor country.iso_code nor country_code",
                reader.metadata().database_type
            )));
        }
        Ok(Self { reader })
    }

    /// What the database calls itself, such as `GeoLite2-ASN`.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// What is known of an address.
    pub fn look_up(&self, ip: IpAddr) -> Option<Answer<'_>> {
        let ip = ip.to_canonical();
        let found = self.reader.lookup(ip).ok()?;
        let fields: Fields<'_> = found.decode().ok()??;
        let asn = fields.autonomous_system_number.filter(|asn| *asn != 0);
        let prefix = asn.and_then(|_| found.network().ok());
        let answer = Answer {
            asn,
            as_name: fields.autonomous_system_organization.filter(|name| !name.is_empty()),
            // A database without an IPv4 part may answer with an IPv6 network.
            prefix: prefix
                .filter(|net| net.ip().is_ipv4() == ip.is_ipv4())
                .and_then(|net| IpNet::new(net.ip(), net.prefix()).ok()),
            cc: fields.cc(),
            tenant: None,
        };
        (answer != Answer::default()).then_some(answer)
    }

    /// All networks with what is known of them, in order; for turning a database into a table.
    pub fn networks(&self) -> impl Iterator<Item = (IpNet, Answer<'_>)> {
        let networks = self.reader.networks(WithinOptions::default()).into_iter().flatten();
        networks.filter_map(|leaf| {
            let net = leaf.ok()?.network().ok()?;
            let net = IpNet::new(net.ip(), net.prefix()).ok()?;
            Some((net, self.look_up(net.network())?))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The smallest writer of the format: IPv4, records of 24 bits.
    pub(in crate::enrich) fn database(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
        const OPEN: u32 = u32::MAX;
        let mut nodes: Vec<[u32; 2]> = vec![[OPEN; 2]];
        let mut data: Vec<u8> = Vec::new();
        let mut leaves = Vec::new();
        for (net, value) in entries {
            let IpNet::V4(net) = net.parse().unwrap() else { panic!("IPv4 only") };
            let (bits, len) = (u32::from(net.network()), net.prefix_len());
            let mut node = 0;
            for depth in 0..len - 1 {
                let side = (bits >> (31 - depth) & 1) as usize;
                if nodes[node][side] == OPEN {
                    nodes.push([OPEN; 2]);
                    nodes[node][side] = nodes.len() as u32 - 1;
                }
                node = nodes[node][side] as usize;
            }
            leaves.push((node, (bits >> (32 - len) & 1) as usize, data.len() as u32));
            data.extend(value);
        }
        let count = nodes.len() as u32;
        nodes.iter_mut().flatten().filter(|record| **record == OPEN).for_each(|record| *record = count);
        for (node, side, offset) in leaves {
            nodes[node][side] = count + 16 + offset;
        }
        let mut file: Vec<u8> =
            nodes.iter().flatten().flat_map(|record| record.to_be_bytes()[1..].to_vec()).collect();
        file.extend([0; 16]);
        file.extend(data);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        file.extend(map(&[
            ("node_count", uint(count)),
            ("record_size", vec![0xa1, 24]),
            ("ip_version", vec![0xa1, 4]),
            ("database_type", text("Test-ASN")),
            ("languages", vec![0x00, 0x04]),
            ("binary_format_major_version", vec![0xa1, 2]),
            ("binary_format_minor_version", vec![0xa0]),
            ("build_epoch", vec![0x00, 0x02]),
            ("description", map(&[("en", text("test"))])),
        ]));
        file
    }

    pub(in crate::enrich) fn text(text: &str) -> Vec<u8> {
        assert!(text.len() < 29);
        [&[0x40 | text.len() as u8], text.as_bytes()].concat()
    }

    pub(in crate::enrich) fn uint(number: u32) -> Vec<u8> {
        [&[0xc4], number.to_be_bytes().as_slice()].concat()
    }

    pub(in crate::enrich) fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![0xe0 | fields.len() as u8];
        fields.iter().for_each(|(name, value)| out.extend([text_long(name), value.clone()].concat()));
        out
    }

    fn text_long(name: &str) -> Vec<u8> {
        if name.len() < 29 { text(name) } else { [&[0x5d, name.len() as u8 - 29], name.as_bytes()].concat() }
    }

    fn asn_database() -> Vec<u8> {
        database(&[
            (
                "198.51.100.0/24",
                map(&[
                    ("autonomous_system_number", uint(64_500)),
                    ("autonomous_system_organization", text("Example K.K.")),
                    ("network", text("ignored")),
                ]),
            ),
            ("203.0.113.0/25", map(&[("country", map(&[("iso_code", text("JP"))]))])),
            ("203.0.113.128/25", map(&[("country_code", text("de"))])),
        ])
    }

    #[test]
    fn whatever_fields_are_there_are_answered() {
        let mmdb = Mmdb::open(asn_database()).unwrap();
        assert_eq!(mmdb.kind(), "Test-ASN");
        let asn = mmdb.look_up("::ffff:198.51.100.7".parse().unwrap()).unwrap();
        assert_eq!((asn.asn, asn.as_name, asn.cc), (Some(64_500), Some("Example K.K."), None));
        assert_eq!(asn.prefix, Some("198.51.100.0/24".parse().unwrap()));
        let cc = |ip: &str| mmdb.look_up(ip.parse().unwrap()).map(|a| (a.cc, a.prefix));
        assert_eq!(cc("203.0.113.1"), Some((Cc::new("JP"), None)));
        assert_eq!(cc("203.0.113.129"), Some((Cc::new("DE"), None)));
        assert_eq!(cc("192.0.2.1"), None);
        assert_eq!(cc("2001:db8::1"), None);
        assert_eq!(mmdb.networks().count(), 3);
    }

    #[test]
    fn a_database_about_something_else_is_refused() {
        let other = database(&[("192.0.2.0/24", map(&[("city", text("Tokyo"))]))]);
        let error = Mmdb::open(other).unwrap_err().to_string();
        assert!(error.contains("neither autonomous_system_number nor country"), "{error}");
        let wrong_type = database(&[("192.0.2.0/24", map(&[("autonomous_system_number", text("AS1"))]))]);
        assert!(Mmdb::open(wrong_type).is_err());
        assert!(Mmdb::open(Vec::new()).unwrap_err().to_string().starts_with("not a usable MMDB: "));
    }

    #[test]
    fn a_database_cut_off_at_any_place_is_refused() {
        let whole = asn_database();
        let marker = whole.windows(3).position(|three| three == b"\xab\xcd\xef").unwrap();
        for end in 0..marker + 14 {
            assert!(Mmdb::open(whole[..end].to_vec()).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_database_is_refused_or_can_be_asked(damage in prop::collection::vec((0usize..2000, any::<u8>()), 1..4)) {
            let mut bytes = asn_database();
            for (at, to) in damage {
                let at = at % bytes.len();
                bytes[at] = to;
            }
            if let Ok(mmdb) = Mmdb::open(bytes) {
                let _ = mmdb.look_up("198.51.100.7".parse().unwrap());
                let _ = mmdb.look_up("2001:db8::1".parse().unwrap());
                let _ = mmdb.networks().count();
            }
        }
    }
}
