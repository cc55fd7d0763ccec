//! A rule: what it waits for and what it does, as a response policy zone writes it.
//!
//! The owner's name says the trigger, the records the action (draft-vixie-dnsop-dns-rpz, sections 4 and 3). Here a record becomes
//! a [`Trigger`] and a [`Part`] of an action; several records of one owner make local data.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::name::{Name, NameError, Realm};

/// Numbers of record types that rules speak of.
pub mod rtype {
    #![allow(missing_docs, reason = "they are called what they are")]
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
    pub const DS: u16 = 43;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const DNSKEY: u16 = 48;
    pub const NSEC3: u16 = 50;
    pub const NSEC3PARAM: u16 = 51;
    pub const ZONEMD: u16 = 63;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
}

/// What a rule waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// This name is asked for, or an answer leads to it.
    Name(Name),
    /// A name below this one is asked for.
    Below(Name),
    /// A client of this network asks.
    Client(IpNet),
    /// An address of this network is in the answer.
    Address(IpNet),
    /// This name server is one of the name asked for or of a zone above it.
    Server(Name),
    /// Likewise, a name server below this name.
    ServerBelow(Name),
    /// Likewise, a name server with an address of this network.
    ServerAddress(IpNet),
}

impl Trigger {
    /// Where it waits for a name, and whether for those below it; `None` where it waits for a network.
    pub fn by_name(&self) -> Option<(Realm, &Name, bool)> {
        match self {
            Self::Name(name) => Some((Realm::Query, name, false)),
            Self::Below(name) => Some((Realm::Query, name, true)),
            Self::Server(name) => Some((Realm::Server, name, false)),
            Self::ServerBelow(name) => Some((Realm::Server, name, true)),
            Self::Client(_) | Self::Address(_) | Self::ServerAddress(_) => None,
        }
    }
}

/// One record of local data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LocalRecord {
    /// The type's number.
    pub rtype: u16,
    /// In seconds.
    pub ttl: u32,
    /// Data in wire form, its names uncompressed.
    pub data: Box<[u8]>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The name does not exist.
    Nxdomain,
    /// The name has no such records.
    Nodata,
    /// The answer stays as it is, and no further rule is looked for.
    Passthru,
    /// No answer.
    Drop,
    /// An answer over TCP only.
    TcpOnly,
    /// The answer is that of this name.
    Cname {
        /// In seconds.
        ttl: u32,
        /// The other name.
        target: Box<Name>,
    },
    /// The answer is that of the name asked for, put below this one.
    CnameBelow {
        /// In seconds.
        ttl: u32,
        /// What it is put below.
        target: Box<Name>,
    },
    /// These records are the answer.
    Local(Box<[LocalRecord]>),
    /// The address of the page that warns, unless the client goes on all the same. No zone can say it, only the operator.
    Warn,
}

impl Action {
    /// Its name in logs and counters.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Nxdomain => "nxdomain",
            Self::Nodata => "nodata",
            Self::Passthru => "passthru",
            Self::Drop => "drop",
            Self::TcpOnly => "tcp-only",
            Self::Cname { .. } | Self::CnameBelow { .. } => "cname",
            Self::Local(_) => "local-data",
            Self::Warn => "warn",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cname { target, .. } => write!(f, "cname {target}"),
            Self::CnameBelow { target, .. } => write!(f, "cname *.{target}"),
            Self::Local(records) => write!(f, "local-data ({} records)", records.len()),
            other => f.write_str(other.label()),
        }
    }
}

/// What one record adds to the action of its trigger: all of it, or one record of local data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole(Action),
    /// One of several.
    Local(LocalRecord),
}

/// A record of a policy zone, as it was read.
#[derive(Clone, Copy, Debug)]
pub struct ZoneRecord<'a> {
    /// Its owner, absolute.
    pub owner: &'a Name,
    /// The type's number.
    pub rtype: u16,
    /// In seconds.
    pub ttl: u32,
    /// Data in wire form, its names uncompressed.
    pub data: &'a [u8],
}

impl ZoneRecord<'_> {
    /// The same, to be kept.
    pub fn to_owned_record(&self) -> crate::zone::OwnedRecord {
        let (owner, rtype, ttl) = (*self.owner, self.rtype, self.ttl);
        crate::zone::OwnedRecord { owner, rtype, ttl, data: self.data.to_vec() }
    }
}

/// Why a record is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Its owner is not in the zone.
    #[error("{0} is not in the zone")]
    Outside(Box<Name>),
    /// Its last label is of no trigger that is known.
    #[error("no trigger is called like that")]
    Trigger,
    /// Its owner should be an address and is none.
    #[error("the owner is no network: {0}")]
    Network(&'static str),
    /// A `CNAME` that means an action, of which nobody knows.
    #[error("no action is called {0}")]
    Action(Box<Name>),
    /// A record that a policy zone must not have.
    #[error("a {0} record cannot be a rule")]
    Kind(&'static str),
    /// A name in its data is none.
    #[error("its data: {0}")]
    Data(NameError),
}

impl ZoneRecord<'_> {
    /// The rule that the record makes, with or without others of its owner; `None` for what a zone has beside its rules.
    ///
    /// # Errors
    ///
    /// [`RuleError`], why it is none.
    pub fn rule(&self, apex: &Name) -> Result<Option<(Trigger, Part)>, RuleError> {
        let labels = self.owner.below(apex).ok_or(RuleError::Outside(Box::new(*self.owner)))?;
        if labels.is_empty() {
            return Ok(None);
        }
        let trigger = match self.rtype {
            rtype::RRSIG | rtype::NSEC | rtype::NSEC3 | rtype::DNSKEY | rtype::NSEC3PARAM | rtype::ZONEMD => {
                return Ok(None);
            }
            rtype::NS | rtype::DS => return Ok(None),
            rtype::SOA => return Err(RuleError::Kind("SOA")),
            rtype::DNAME => return Err(RuleError::Kind("DNAME")),
            _ => trigger(&labels)?,
        };
        let part = if self.rtype == rtype::CNAME {
            Part::Whole(action(self.ttl, self.data, &trigger)?)
        } else {
            Part::Local(LocalRecord { rtype: self.rtype, ttl: self.ttl, data: self.data.into() })
        };
        Ok(Some((trigger, part)))
    }
}

/// The trigger that an owner's labels below the zone's apex say.
fn trigger(labels: &[&[u8]]) -> Result<Trigger, RuleError> {
    let Some((last, others)) = labels.split_last() else { return Err(RuleError::Trigger) };
    match *last {
        b"rpz-client-ip" => network(others).map(Trigger::Client),
        b"rpz-ip" => network(others).map(Trigger::Address),
        b"rpz-nsip" => network(others).map(Trigger::ServerAddress),
        b"rpz-nsdname" => Ok(match named(others)? {
            (name, true) => Trigger::ServerBelow(name),
            (name, false) => Trigger::Server(name),
        }),
        other if other.starts_with(b"rpz-") => Err(RuleError::Trigger),
        _ => Ok(match named(labels)? {
            (name, true) => Trigger::Below(name),
            (name, false) => Trigger::Name(name),
        }),
    }
}

/// The name that labels make, and whether they mean those below it.
fn named(labels: &[&[u8]]) -> Result<(Name, bool), RuleError> {
    let (labels, below) = match labels {
        [b"*", rest @ ..] => (rest, true),
        labels => (labels, false),
    };
    Ok((Name::from_labels(labels.iter().copied()).map_err(RuleError::Data)?, below))
}

/// The network that labels write from its length on, least significant part first (section 4.1.1).
fn network(labels: &[&[u8]]) -> Result<IpNet, RuleError> {
    let wrong = RuleError::Network;
    let Some((length, parts)) = labels.split_first() else { return Err(wrong("it has no length")) };
    let length =
        number(length, 10).filter(|length| (1..=128).contains(length)).ok_or(wrong("its length"))? as u8;
    let v4 = parts.len() == 4 && !parts.contains(&&b"zz"[..]);
    let address = if v4 { v4_address(parts)? } else { v6_address(parts)? };
    let network = IpNet::new(address, length).map_err(|_| wrong("its length"))?;
    if network.trunc() != network {
        return Err(wrong("bits are set beyond its length"));
    }
    Ok(network)
}

fn v4_address(parts: &[&[u8]]) -> Result<IpAddr, RuleError> {
    let mut octets = [0; 4];
    for (octet, part) in octets.iter_mut().rev().zip(parts) {
        *octet = number(part, 10)
            .and_then(|value| u8::try_from(value).ok())
            .ok_or(RuleError::Network("a part is no octet"))?;
    }
    Ok(Ipv4Addr::from(octets).into())
}

fn v6_address(parts: &[&[u8]]) -> Result<IpAddr, RuleError> {
    let wrong = RuleError::Network;
    let zeros = parts.iter().filter(|part| **part == b"zz").count();
    let fits = match zeros {
        0 => parts.len() == 8,
        1 => parts.len() <= 8,
        _ => false,
    };
    if !fits {
        return Err(wrong("it has neither four nor eight parts"));
    }
    let mut groups = Vec::with_capacity(8);
    for part in parts {
        if *part == b"zz" {
            groups.extend(std::iter::repeat_n(0, 9 - parts.len()));
        } else {
            groups.push(
                number(part, 16)
                    .and_then(|value| u16::try_from(value).ok())
                    .ok_or(wrong("a part is no number"))?,
            );
        }
    }
    groups.reverse();
    let groups: [u16; 8] = groups.try_into().map_err(|_| wrong("it has neither four nor eight parts"))?;
    Ok(Ipv6Addr::from(groups).into())
}

/// At most four digits.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    if !(1..=4).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

/// What a `CNAME` to such a name means (section 3).
fn action(ttl: u32, data: &[u8], trigger: &Trigger) -> Result<Action, RuleError> {
    let (target, _) = Name::from_wire(data).map_err(RuleError::Data)?;
    let mut labels = target.labels();
    Ok(match (labels.next(), labels.next()) {
        (None, _) => Action::Nxdomain,
        (Some(b"*"), None) => Action::Nodata,
        (Some(b"*"), Some(_)) => {
            Action::CnameBelow { ttl, target: Box::new(target.parent().unwrap_or(Name::ROOT)) }
        }
        (Some(b"rpz-passthru"), None) => Action::Passthru,
        (Some(b"rpz-drop"), None) => Action::Drop,
        (Some(b"rpz-tcp-only"), None) => Action::TcpOnly,
        (Some(label), None) if label.starts_with(b"rpz-") => return Err(RuleError::Action(Box::new(target))),
        // How "stay as it is" was written before there was a name for it (appendix A).
        _ if matches!(trigger, Trigger::Name(name) if *name == target) => Action::Passthru,
        _ => Action::Cname { ttl, target: Box::new(target) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    fn rule(owner: &str, target: &str) -> Result<Option<(Trigger, Part)>, RuleError> {
        let data = name(target);
        let record = ZoneRecord { owner: &name(owner), rtype: rtype::CNAME, ttl: 300, data: data.wire() };
        record.rule(&name("rpz."))
    }

    fn trigger(owner: &str) -> Result<Trigger, RuleError> {
        rule(owner, ".").map(|rule| rule.unwrap().0)
    }

    #[test]
    fn owners_are_triggers() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        for (owner, wanted) in [
            ("a.example.rpz.", Trigger::Name(name("a.example."))),
            ("*.a.example.rpz.", Trigger::Below(name("a.example."))),
            ("*.rpz.", Trigger::Below(Name::ROOT)),
            ("24.0.2.0.192.rpz-client-ip.rpz.", Trigger::Client(net("192.0.2.0/24"))),
            ("32.1.2.0.192.rpz-ip.rpz.", Trigger::Address(net("192.0.2.1/32"))),
            ("128.1.zz.db8.2001.rpz-ip.rpz.", Trigger::Address(net("2001:db8::1/128"))),
            ("48.zz.1.db8.2001.rpz-nsip.rpz.", Trigger::ServerAddress(net("2001:db8:1::/48"))),
            ("128.8.7.6.5.4.3.2.1.rpz-ip.rpz.", Trigger::Address(net("1:2:3:4:5:6:7:8/128"))),
            ("ns.example.rpz-nsdname.rpz.", Trigger::Server(name("ns.example."))),
            ("*.example.rpz-nsdname.rpz.", Trigger::ServerBelow(name("example."))),
        ] {
            assert_eq!(trigger(owner), Ok(wanted), "{owner}");
        }
        for owner in [
            "33.1.2.0.192.rpz-ip.rpz.",
            "0.0.0.0.0.rpz-ip.rpz.",
            "24.1.2.0.192.rpz-ip.rpz.",
            "32.256.2.0.192.rpz-ip.rpz.",
            "32.+1.2.0.192.rpz-ip.rpz.",
            "rpz-ip.rpz.",
            "64.zz.1.zz.rpz-ip.rpz.",
            "a.rpz-other.rpz.",
            "a.example.",
        ] {
            assert!(trigger(owner).is_err(), "{owner}");
        }
    }

    #[test]
    fn targets_are_actions() {
        for (target, wanted) in [
            (".", Action::Nxdomain),
            ("*.", Action::Nodata),
            ("rpz-passthru.", Action::Passthru),
            ("a.example.", Action::Passthru),
            ("rpz-drop.", Action::Drop),
            ("rpz-tcp-only.", Action::TcpOnly),
            ("garden.example.", Action::Cname { ttl: 300, target: Box::new(name("garden.example.")) }),
            ("*.garden.example.", Action::CnameBelow { ttl: 300, target: Box::new(name("garden.example.")) }),
        ] {
            assert_eq!(rule("a.example.rpz.", target).unwrap().unwrap().1, Part::Whole(wanted), "{target}");
        }
        assert_eq!(
            rule("a.example.rpz.", "rpz-later."),
            Err(RuleError::Action(Box::new(name("rpz-later."))))
        );
        assert_eq!(rule("rpz.", "."), Ok(None));
    }
}
