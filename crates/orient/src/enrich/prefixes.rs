//! Prefix to owner: the longest announced prefix around an address, its network's number and name, and the country.
//! Owners and names are stored once each; a range holds only a number. 900,000 prefixes take about 20 MiB.

use std::hash::BuildHasher as _;
use std::net::IpAddr;

use hashbrown::hash_table::{Entry, HashTable};
use hashbrown::{DefaultHashBuilder, HashMap};
use ipnet::IpNet;

use super::packed::About;
use super::ranges::{BY_ENDS, NUMBER_MAX, Space, Span, Value, canonical};
use super::{Answer, Cc, ENTRIES_MAX, EnrichError};

/// Longer names are cut: a name is for a person to read.
pub(super) const NAME_MAX: usize = 120;

/// Whose a prefix is, as far as a source says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// Its owner's name.
    pub name: Option<&'a str>,
    /// The country.
    pub cc: Option<Cc>,
}

/// An owner as it is stored. Zero means not known: neither number 0 nor the empty name is anybody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) asn: u32,
    pub(super) name: u32,
    pub(super) cc: [u8; 2],
}

/// Names one after another in one text. Number 0 is the empty one.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) text: String,
    pub(super) ends: Vec<u32>,
}

impl Default for Names {
    fn default() -> Self {
        Self { text: String::new(), ends: vec![0] }
    }
}

impl Names {
    pub(super) fn get(&self, number: u32) -> Option<&str> {
        let number = number as usize;
        let from = *self.ends.get(number.checked_sub(1)?)? as usize;
        self.text.get(from..*self.ends.get(number)? as usize)
    }

    pub(super) fn push(&mut self, name: &str) -> Result<u32, EnrichError> {
        self.text.push_str(name);
        let end = u32::try_from(self.text.len())
            .map_err(|_| EnrichError::TooMany(u32::MAX as usize, "bytes of names"))?;
        self.ends.push(end);
        Ok((self.ends.len() - 1) as u32)
    }
}

/// Longest-prefix match for both kinds of address.
#[derive(Debug)]
pub struct PrefixTable {
    pub(super) space: Space,
    /// Number 0 is nobody and never found.
    pub(super) records: Box<[Record]>,
    pub(super) names: Names,
    pub(super) about: About,
    /// Whether it knows countries at all.
    pub(super) has_countries: bool,
}

impl Default for PrefixTable {
    fn default() -> Self {
        PrefixBuilder::default().build()
    }
}

impl PrefixTable {
    pub(super) fn new(space: Space, records: Box<[Record]>, names: Names) -> Self {
        let has_countries = records.iter().any(|record| record.cc != [0; 2]);
        Self { space, records, names, about: About::default(), has_countries }
    }

    /// Whether any of its answers has a country.
    pub fn has_countries(&self) -> bool {
        self.has_countries
    }

    /// What is known of an address.
    #[inline]
    pub fn look_up(&self, ip: IpAddr) -> Option<Answer<'_>> {
        let hit = self.space.look_up(ip)?;
        let record = self.records.get(hit.number as usize)?;
        let asn = (record.asn != 0).then_some(record.asn);
        Some(Answer {
            asn,
            as_name: self.names.get(record.name),
            // The block of a table that knows only countries is no announced prefix.
            prefix: asn.map(|_| hit.prefix),
            cc: Cc::from_bytes(record.cc),
            tenant: None,
        })
    }

    /// Where the table comes from and under what licence; empty for the operator's own text files.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// How many ranges a look-up searches.
    pub fn ranges(&self) -> usize {
        self.space.count()
    }

    /// How much memory the table holds, in bytes.
    pub fn bytes(&self) -> usize {
        let names = self.names.text.capacity() + self.names.ends.capacity() * size_of::<u32>();
        self.space.bytes() + size_of_val(&*self.records) + names
    }
}

/// A table in the making. Prefixes may come in any order and lie in one another; of two equal ones the later counts.
#[derive(Debug)]
pub struct PrefixBuilder {
    v4: Vec<Span<u32>>,
    v6: Vec<Span<u128>>,
    records: Vec<Record>,
    /// Numbers of records, found by what the record is: the records themselves are not kept twice.
    record_of: HashTable<u32>,
    hasher: DefaultHashBuilder,
    names: Names,
    name_of: HashMap<Box<str>, u32>,
}

impl Default for PrefixBuilder {
    fn default() -> Self {
        Self {
            v4: Vec::new(),
            v6: Vec::new(),
            records: vec![Record::default()],
            record_of: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            names: Names::default(),
            name_of: HashMap::new(),
        }
    }
}

impl PrefixBuilder {
    /// Adds an announced prefix. Bits of the host are ignored.
    pub fn prefix(&mut self, net: IpNet, owner: Owner<'_>) -> Result<(), EnrichError> {
        let net = canonical(net);
        let value = Value::new(self.record(owner)?, net.prefix_len());
        self.span(net.network(), net.broadcast(), value)
    }

    /// Adds a range, both ends included. One that runs backwards or from one kind of address to the other is not added
    /// and answered with `false`.
    pub fn range(&mut self, first: IpAddr, last: IpAddr, owner: Owner<'_>) -> Result<bool, EnrichError> {
        let (first, last) = (first.to_canonical(), last.to_canonical());
        if first.is_ipv4() != last.is_ipv4() || first > last {
            return Ok(false);
        }
        let value = Value::new(self.record(owner)?, BY_ENDS);
        self.span(first, last, value).map(|()| true)
    }

    fn span(&mut self, first: IpAddr, last: IpAddr, value: Value) -> Result<(), EnrichError> {
        if self.v4.len() + self.v6.len() >= ENTRIES_MAX {
            return Err(EnrichError::TooMany(ENTRIES_MAX, "prefixes"));
        }
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => self.v4.push(Span { first: a.into(), last: b.into(), value }),
            (IpAddr::V6(a), IpAddr::V6(b)) => self.v6.push(Span { first: a.into(), last: b.into(), value }),
            _ => {}
        }
        Ok(())
    }

    fn record(&mut self, owner: Owner<'_>) -> Result<u32, EnrichError> {
        let name = owner.name.map(str::trim).filter(|name| !name.is_empty());
        let name = name.map_or(Ok(0), |name| self.name(cut(name)))?;
        let cc = owner.cc.map_or([0; 2], |cc| cc.0);
        let record = Record { asn: owner.asn.unwrap_or(0), name, cc };
        let (records, hasher) = (&mut self.records, &self.hasher);
        let hash = |number: &u32| hasher.hash_one(records[*number as usize]);
        let same = |number: &u32| records[*number as usize] == record;
        match self.record_of.entry(hasher.hash_one(record), same, hash) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(_) if records.len() > NUMBER_MAX as usize => {
                Err(EnrichError::TooMany(NUMBER_MAX as usize, "different owners"))
            }
            Entry::Vacant(free) => {
                let number = records.len() as u32;
                free.insert(number);
                records.push(record);
                Ok(number)
            }
        }
    }

    fn name(&mut self, name: &str) -> Result<u32, EnrichError> {
        if let Some(number) = self.name_of.get(name) {
            return Ok(*number);
        }
        let number = self.names.push(name)?;
        self.name_of.insert(name.into(), number);
        Ok(number)
    }

    /// The table.
    pub fn build(mut self) -> PrefixTable {
        self.names.text.shrink_to_fit();
        self.names.ends.shrink_to_fit();
        PrefixTable::new(Space::of(self.v4, self.v6), self.records.into(), self.names)
    }
}

fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_MAX)]
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    fn table(prefixes: &[IpNet]) -> PrefixTable {
        let mut builder = PrefixBuilder::default();
        for (n, net) in prefixes.iter().enumerate() {
            let name = format!("Net {}", n % 3);
            let owner = Owner { asn: Some(n as u32 % 5 + 1), name: Some(&name), cc: Cc::new("jp") };
            builder.prefix(*net, owner).unwrap();
        }
        builder.build()
    }

    /// What a look-up means: look at every prefix.
    fn naive(prefixes: &[IpNet], ip: IpAddr) -> Option<(u32, IpNet)> {
        let holds = prefixes.iter().enumerate().filter(|(_, net)| net.contains(&ip));
        let longest = holds.max_by_key(|(n, net)| (net.prefix_len(), *n));
        longest.map(|(n, net)| (n as u32 % 5 + 1, net.trunc()))
    }

    fn nets4() -> impl Strategy<Value = IpNet> {
        // Few first bits, so that prefixes lie in one another.
        (any::<u32>(), 0u8..=32)
            .prop_map(|(bits, len)| IpNet::V4(Ipv4Net::new(Ipv4Addr::from(bits & 0x0300_0f0f), len).unwrap()))
    }

    fn nets6(len_max: u8) -> impl Strategy<Value = IpNet> {
        (any::<u128>(), 0u8..=len_max).prop_map(|(bits, len)| {
            let bits = bits & 0x2001_0303_0000_0000_000f_0000_0000_000f;
            IpNet::V6(Ipv6Net::new(Ipv6Addr::from(bits), len).unwrap())
        })
    }

    fn agree(prefixes: &[IpNet], asked: &[IpAddr]) -> Result<(), TestCaseError> {
        let table = table(prefixes);
        let ends = prefixes.iter().flat_map(|net| [net.network(), net.broadcast()]);
        // The IPv4 addresses among the IPv6 ones are looked up as what they are.
        for ip in ends.chain(asked.iter().copied()).filter(|ip| ip.to_canonical() == *ip) {
            let found = table.look_up(ip).map(|a| (a.asn.unwrap(), a.prefix.unwrap()));
            prop_assert_eq!(found, naive(prefixes, ip), "{}", ip);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn ipv4_is_answered_as_by_looking_at_every_prefix(
            prefixes in prop::collection::vec(nets4(), 0..60),
            asked in prop::collection::vec(any::<u32>(), 64),
        ) {
            let asked: Vec<IpAddr> = asked.iter().map(|n| Ipv4Addr::from(n & 0x0300_0f0f).into()).collect();
            agree(&prefixes, &asked)?;
        }

        #[test]
        fn ipv6_is_answered_as_by_looking_at_every_prefix(
            prefixes in prop_oneof![
                prop::collection::vec(nets6(64), 0..60),
                prop::collection::vec(nets6(128), 0..60)
            ],
            asked in prop::collection::vec(any::<u128>(), 64),
        ) {
            let mask = 0x2001_0303_0000_0000_000f_0000_0000_000f;
            let asked: Vec<IpAddr> = asked.iter().map(|n| Ipv6Addr::from(n & mask).into()).collect();
            agree(&prefixes, &asked)?;
        }
    }

    #[test]
    fn many_prefixes_go_through_the_index() {
        let prefixes: Vec<IpNet> = (0u32..3000)
            .map(|n| {
                let bits = n.wrapping_mul(2_654_435_761);
                IpNet::V4(Ipv4Net::new(Ipv4Addr::from(bits), 8 + (n % 25) as u8).unwrap())
            })
            .collect();
        let asked: Vec<IpAddr> =
            (0u32..3000).map(|n| Ipv4Addr::from(n.wrapping_mul(0x9e37_79b1)).into()).collect();
        agree(&prefixes, &asked).unwrap();
    }

    #[test]
    fn what_is_far_from_a_dense_table_is_not_in_it() {
        let at = |n: u128| IpAddr::V6(Ipv6Addr::from((0x2001_0db8 << 96) + n));
        let prefixes: Vec<IpNet> = (0..3000).map(|n| IpNet::new(at(2 * n), 128).unwrap()).collect();
        let far = [0, 1, 63, 64, 65, 70, 95].map(|bit| at(1 << bit));
        let around =
            ["::", "2001:db7::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"].map(|ip| ip.parse().unwrap());
        agree(&prefixes, &[far.as_slice(), &around].concat()).unwrap();
    }

    #[test]
    fn an_answer_has_all_that_is_known() {
        let mut builder = PrefixBuilder::default();
        let long = "ネット".repeat(100);
        builder
            .prefix(
                "203.0.113.0/24".parse().unwrap(),
                Owner { asn: Some(64_500), name: Some(&long), cc: None },
            )
            .unwrap();
        builder
            .range(
                "198.51.100.0".parse().unwrap(),
                "198.51.100.9".parse().unwrap(),
                Owner { cc: Cc::new("JP"), ..Owner::default() },
            )
            .unwrap();
        assert!(!builder.range([9, 0, 0, 0].into(), [8, 0, 0, 0].into(), Owner::default()).unwrap());
        assert!(!builder.range([9, 0, 0, 0].into(), Ipv6Addr::LOCALHOST.into(), Owner::default()).unwrap());
        let table = builder.build();
        let known = table.look_up("203.0.113.7".parse().unwrap()).unwrap();
        assert_eq!((known.asn, known.cc), (Some(64_500), None));
        assert_eq!(known.prefix, Some("203.0.113.0/24".parse().unwrap()));
        assert!(long.starts_with(known.as_name.unwrap()) && known.as_name.unwrap().len() <= NAME_MAX);
        let country = table.look_up("198.51.100.9".parse().unwrap()).unwrap();
        assert_eq!((country.asn, country.as_name, country.prefix), (None, None, None));
        assert_eq!(country.cc, Cc::new("JP"));
        assert_eq!(table.look_up("192.0.2.1".parse().unwrap()), None);
    }
}
