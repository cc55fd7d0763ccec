//! One step towards an answer: what is known of one name and type, and where it leads.
//!
//! A chain of aliases is kept as its links. Policy looks at every link, and links of one chain are links of others. A step is what
//! the cache holds and what a back end brings; an answer is written from steps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::message::{Owner, Reply, Section, rcode};
use crate::name::Name;
use crate::policy::Servers;
use crate::policy::rule::rtype;

/// Seconds for which an answer holds that is older than it should be (RFC 8767, 5).
const STALE_TTL_S: u32 = 30;

/// A record that is on its way into a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rr {
    /// Its owner.
    pub owner: Name,
    /// The type's number.
    pub rtype: u16,
    /// In seconds.
    pub ttl: u32,
    /// Data in wire form, its names uncompressed.
    pub data: Vec<u8>,
}

/// Records as they are kept: each its owner, type, time to live and data, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(Box<[u8]>);

/// An owner that is the step's own name is kept as this, one that ends it as [`TAIL`] and where in it it begins.
const OWN: u8 = 0xff;
const TAIL: u8 = 0xfe;

/// A record as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    owner: KeptOwner<'a>,
    /// The type's number.
    pub rtype: u16,
    /// In seconds, when it came.
    pub ttl: u32,
    /// Data in wire form.
    pub data: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum KeptOwner<'a> {
    Tail(u8),
    Wire(&'a [u8]),
}

impl Records {
    /// Records of a step of `name`.
    pub fn new<'a>(name: &Name, records: impl IntoIterator<Item = &'a Rr>) -> Self {
        let mut kept = Vec::new();
        for record in records {
            if record.owner == *name {
                kept.push(OWN);
            } else if name.is_below(&record.owner) && !record.owner.is_root() {
                kept.push(TAIL);
                kept.push((name.wire().len() - record.owner.wire().len()) as u8);
            } else {
                kept.extend_from_slice(record.owner.wire());
            }
            kept.extend_from_slice(&record.rtype.to_be_bytes());
            kept.extend_from_slice(&record.ttl.to_be_bytes());
            kept.extend_from_slice(&(record.data.len() as u16).to_be_bytes());
            kept.extend_from_slice(&record.data);
        }
        Self(kept.into())
    }

    /// One after the other.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Kept<'_>> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (owner, after) = match rest {
                [OWN, after @ ..] => (KeptOwner::Tail(0), after),
                [TAIL, at, after @ ..] => (KeptOwner::Tail(*at), after),
                [] => return None,
                wire => {
                    let mut end = 0;
                    while *wire.get(end)? != 0 {
                        end += 1 + usize::from(wire[end]);
                    }
                    (KeptOwner::Wire(&wire[..=end]), wire.get(end + 1..)?)
                }
            };
            let (fixed, after) = after.split_at_checked(8)?;
            let len = usize::from(u16::from_be_bytes([fixed[6], fixed[7]]));
            let (data, after) = after.split_at_checked(len)?;
            rest = after;
            Some(Kept {
                owner,
                rtype: u16::from_be_bytes([fixed[0], fixed[1]]),
                ttl: u32::from_be_bytes([fixed[2], fixed[3], fixed[4], fixed[5]]),
                data,
            })
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is known of one name and type.
#[derive(Clone, Debug)]
pub struct Step {
    /// The name, in wire form.
    pub name: Box<[u8]>,
    /// The answer's code.
    pub code: u16,
    /// Whether a validating resolver vouches for it.
    pub authentic: bool,
    /// Why its signatures do not hold, as an extended error (RFC 8914); it is a failure then, whatever was heard.
    pub bogus: Option<u16>,
    /// Where it leads, when it is an alias and the alias was not asked for.
    pub alias: Option<Box<[u8]>>,
    /// What was asked for, or the alias.
    pub answer: Records,
    /// Who says it, or why there is nothing.
    pub authority: Records,
    /// What may be of use.
    pub additional: Records,
    /// From whom it came, where that is known.
    pub servers: Option<Arc<Servers>>,
    /// When it came, in seconds of [`crate::clock::Clock`].
    pub since_s: u32,
    /// Until when it holds.
    pub until_s: u32,
    /// Until when it is given though it does not hold any more, because nobody could be asked a moment ago.
    pub recheck_s: u32,
}

impl Step {
    /// A step that says that nothing could be learned, for so many seconds (RFC 9520).
    pub fn failed(name: &Name, servers: Option<Arc<Servers>>, now_s: u32, for_s: u32) -> Self {
        Self {
            name: name.wire().into(),
            code: rcode::SERVFAIL,
            authentic: false,
            bogus: None,
            alias: None,
            answer: Records::default(),
            authority: Records::default(),
            additional: Records::default(),
            servers,
            since_s: now_s,
            until_s: now_s.saturating_add(for_s),
            recheck_s: 0,
        }
    }

    /// Whether it still holds.
    pub fn is_fresh(&self, now_s: u32) -> bool {
        now_s < self.until_s
    }

    /// Whether nobody is asked for it now: it holds, or asking failed a moment ago.
    pub fn may_be_given(&self, now_s: u32) -> bool {
        self.is_fresh(now_s) || now_s < self.recheck_s
    }

    /// Whether it held once and does no more. What must not be kept at all never did.
    pub fn is_stale(&self, now_s: u32) -> bool {
        self.until_s > self.since_s && !self.is_fresh(now_s)
    }

    /// Whether it is old enough to be fetched anew while it still holds: in the last tenth of its time.
    pub fn is_waning(&self, now_s: u32) -> bool {
        let whole = self.until_s - self.since_s;
        whole >= 10 && now_s < self.until_s && self.until_s - now_s <= whole / 10
    }

    /// Whether its records are signed.
    pub fn is_signed(&self) -> bool {
        let mut all = self.answer.iter().chain(self.authority.iter());
        all.any(|record| record.rtype == rtype::RRSIG)
    }

    /// Whether it says what there is not (NSEC, NSEC3), for who checks signatures.
    pub fn says_none(&self) -> bool {
        self.authority.iter().any(|record| matches!(record.rtype, rtype::NSEC | rtype::NSEC3))
    }

    /// Addresses in the answer.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.answer.iter().filter_map(|record| address(record.rtype, record.data))
    }

    /// Octets that it takes, about.
    pub fn octets(&self) -> usize {
        size_of::<Self>()
            + self.name.len()
            + self.answer.0.len()
            + self.authority.0.len()
            + self.additional.0.len()
    }

    /// Writes one of its sections, the name standing at `name_at` in the answer; says where the data of an alias began.
    #[inline]
    pub fn write(
        &self,
        reply: &mut Reply<'_>,
        section: Section,
        name_at: usize,
        now_s: u32,
        ttl_max: u32,
    ) -> Option<usize> {
        let records = match section {
            Section::Answer => &self.answer,
            Section::Authority => &self.authority,
            Section::Additional => &self.additional,
        };
        let (age, is_stale) = (now_s.saturating_sub(self.since_s), self.is_stale(now_s));
        let mut alias = None;
        for record in records.iter() {
            let owner = match record.owner {
                KeptOwner::Tail(at) => Owner::At(name_at + usize::from(at)),
                KeptOwner::Wire(wire) => Owner::Wire(wire),
            };
            let ttl = if is_stale { STALE_TTL_S } else { record.ttl.saturating_sub(age) };
            let ttl = ttl.min(ttl_max);
            let data_at = reply.record(section, owner, record.rtype, ttl, record.data);
            if record.rtype == rtype::CNAME {
                alias = Some(data_at);
            }
        }
        alias
    }
}

/// The address that an A or AAAA record has.
pub fn address(kind: u16, data: &[u8]) -> Option<IpAddr> {
    match kind {
        rtype::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
        rtype::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_kept_with_owners_told_by_the_steps_name() {
        let name = |text: &str| Name::from_text(text.as_bytes(), &Name::ROOT).unwrap();
        let rr = |owner: &str, data: &[u8]| Rr { owner: name(owner), rtype: 1, ttl: 5, data: data.into() };
        let all = [rr("a.b.", &[1, 2, 3, 4]), rr("b.", &[]), rr("c.", &[9]), rr(".", &[8])];
        let records = Records::new(&name("a.b."), &all);
        let told: Vec<String> =
            records.iter().map(|kept| format!("{:?} {:?}", kept.owner, kept.data)).collect();
        assert_eq!(told, ["Tail(0) [1, 2, 3, 4]", "Tail(2) []", "Wire([1, 99, 0]) [9]", "Wire([0]) [8]"]);
    }
}
