//! What another server said, read with `domain` and cut into steps.

use domain::base::iana::Class;
use domain::base::rdata::ComposeRecordData as _;
use domain::base::{Message, ParsedName, Record, ToName as _};
use domain::rdata::AllRecordData;

use crate::cache::Wanted;
use crate::dnssec::signature::{covered, is_expanded};
use crate::message::{flag, rcode};
use crate::name::Name;
use crate::policy::rule::rtype;
use crate::step::{Records, Rr, Step};

/// Seconds for which a positive answer is kept at most.
pub const TTL_MAX_S: u32 = 86_400;
/// Seconds for which "there is none" is kept at most (RFC 2308, 5).
pub const NEGATIVE_TTL_MAX_S: u32 = 3_600;
/// Records of a message that are read at most.
const RECORDS_MAX: usize = 2_000;
/// Links of a chain of aliases in one message at most.
const LINKS_MAX: usize = 16;

/// Why a message is no answer to what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeardError {
    /// It cannot be read.
    #[error("a message that cannot be read")]
    Unreadable,
    /// It has too many records.
    #[error("a message of more than {RECORDS_MAX} records")]
    Long,
}

/// A message from another server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// [`flag`]s.
    pub flags: u16,
    /// Its code, with what EDNS adds.
    pub code: u16,
    /// What was asked for.
    pub answer: Vec<Rr>,
    /// Who says it, or where to ask.
    pub authority: Vec<Rr>,
    /// What may be of use.
    pub additional: Vec<Rr>,
}

impl Heard {
    /// Reads a message.
    ///
    /// # Errors
    ///
    /// [`HeardError`], why it cannot be read.
    pub fn read(wire: &[u8]) -> Result<Self, HeardError> {
        let message = Message::from_octets(wire).map_err(|_| HeardError::Unreadable)?;
        let header = message.header();
        let counts = message.header_counts();
        if usize::from(counts.ancount()) + usize::from(counts.nscount()) + usize::from(counts.arcount())
            > RECORDS_MAX
        {
            return Err(HeardError::Long);
        }
        let mut heard = Self { flags: u16::from_be_bytes([wire[2], wire[3]]), ..Self::default() };
        heard.code = u16::from(header.rcode().to_int());
        let mut section = message.answer().map_err(|_| HeardError::Unreadable)?;
        for records in [&mut heard.answer, &mut heard.authority, &mut heard.additional] {
            for record in section.by_ref() {
                let record = record.map_err(|_| HeardError::Unreadable)?;
                if record.rtype().to_int() == rtype::OPT {
                    heard.code |= ((record.ttl().as_secs() >> 24) << 4) as u16;
                } else if record.class() == Class::IN {
                    let record = record
                        .into_record::<AllRecordData<_, ParsedName<_>>>()
                        .map_err(|_| HeardError::Unreadable)?;
                    records.extend(record.map(|record| rr(&record)).transpose()?);
                }
            }
            match section.next_section().map_err(|_| HeardError::Unreadable)? {
                Some(next) => section = next,
                None => break,
            }
        }
        Ok(heard)
    }

    /// Whether it is truncated.
    pub fn is_truncated(&self) -> bool {
        self.flags & flag::TC != 0
    }

    /// The SOA of its authority section that speaks for `name`.
    pub fn soa(&self, name: &Name) -> Option<&Rr> {
        self.authority.iter().find(|rr| rr.rtype == rtype::SOA && name.is_below(&rr.owner))
    }

    /// The steps that it says, from `wanted` on along its aliases, and no further than `apex` reaches: the server that
    /// spoke has nothing to say of other names. Empty, when it says nothing of `wanted`.
    pub fn steps(&self, wanted: &Wanted, apex: &Name, now_s: u32) -> Vec<(Wanted, Step)> {
        let mut steps: Vec<(Wanted, Step)> = Vec::new();
        let mut at = *wanted;
        while steps.len() < LINKS_MAX && at.name.is_below(apex) && steps.iter().all(|(seen, _)| *seen != at) {
            let Some(step) = self.step(&at, steps.is_empty(), now_s) else { break };
            let alias = step.alias.as_deref().and_then(|alias| Name::from_wire(alias).ok());
            steps.push((at, step));
            match alias {
                Some((name, _)) => at.name = name,
                None => break,
            }
        }
        steps
    }

    fn step(&self, wanted: &Wanted, is_first: bool, now_s: u32) -> Option<Step> {
        let any = wanted.rtype == rtype::ANY;
        let own = |rr: &&Rr| rr.owner == wanted.name;
        let found = |rr: &Rr| {
            rr.rtype == wanted.rtype || any || (rr.rtype == rtype::RRSIG && covers(rr, wanted.rtype))
        };
        let has = self.answer.iter().filter(own).any(|rr| any || rr.rtype == wanted.rtype);
        let mut step = Step::failed(&wanted.name, None, now_s, 0);
        step.code = self.code;
        step.authentic = self.flags & flag::AD != 0;
        let ttl_s;
        if has {
            let records: Vec<&Rr> = self.answer.iter().filter(own).filter(|rr| found(rr)).collect();
            ttl_s = shortest(records.iter().copied()).min(TTL_MAX_S);
            step.code = rcode::NOERROR;
            step.answer = Records::new(&wanted.name, records);
            let signers = self.authority.iter().filter(|rr| rr.rtype != rtype::SOA);
            step.authority = Records::new(&wanted.name, signers);
            step.additional = Records::new(&wanted.name, &self.additional);
        } else if let Some(alias) = self.answer.iter().filter(own).find(|rr| rr.rtype == rtype::CNAME) {
            let of_alias = |rr: &&Rr| {
                let own = rr.owner == wanted.name && (rr.rtype == rtype::CNAME || covers(rr, rtype::CNAME));
                let above =
                    wanted.name.is_below(&rr.owner) && (rr.rtype == rtype::DNAME || covers(rr, rtype::DNAME));
                own || above
            };
            let records: Vec<&Rr> = self.answer.iter().filter(of_alias).collect();
            ttl_s = shortest(records.iter().copied()).min(TTL_MAX_S);
            step.code = rcode::NOERROR;
            step.alias = Some(alias.data.clone().into());
            if records.iter().any(|rr| is_expanded(rr)) {
                let kind = |rr: &&Rr| covered(rr).unwrap_or(rr.rtype);
                let says_none = |rr: &&Rr| matches!(kind(rr), rtype::NSEC | rtype::NSEC3);
                step.authority = Records::new(&wanted.name, self.authority.iter().filter(says_none));
            }
            step.answer = Records::new(&wanted.name, records);
        } else {
            let soa = self.soa(&wanted.name);
            let ends = soa.is_some() || self.code != rcode::NOERROR;
            // A later link that nothing is said of is somebody else's.
            if !is_first && (!ends || (soa.is_none() && self.code != rcode::NXDOMAIN)) {
                return None;
            }
            ttl_s = soa.map_or(0, |soa| soa.ttl.min(minimum(&soa.data))).min(NEGATIVE_TTL_MAX_S);
            step.authority = Records::new(&wanted.name, &self.authority);
        }
        step.until_s = now_s.saturating_add(ttl_s);
        Some(step)
    }
}

fn shortest<'a>(records: impl Iterator<Item = &'a Rr>) -> u32 {
    records.map(|rr| rr.ttl).min().unwrap_or(0)
}

/// Whether a signature is of records of this type.
fn covers(rr: &Rr, kind: u16) -> bool {
    covered(rr) == Some(kind)
}

/// The last number of a SOA's data: for how long "there is none" holds.
fn minimum(data: &[u8]) -> u32 {
    let last: Option<[u8; 4]> = data.len().checked_sub(4).and_then(|at| data[at..].try_into().ok());
    last.map_or(0, u32::from_be_bytes)
}

type Parsed<'a> = Record<ParsedName<&'a [u8]>, AllRecordData<&'a [u8], ParsedName<&'a [u8]>>>;

fn rr(record: &Parsed<'_>) -> Result<Rr, HeardError> {
    let owner = record.owner().to_vec();
    let (owner, _) = Name::from_wire(owner.as_slice()).map_err(|_| HeardError::Unreadable)?;
    let mut data = Vec::new();
    record.data().compose_rdata(&mut data).map_err(|_| HeardError::Unreadable)?;
    Ok(Rr { owner, rtype: record.rtype().to_int(), ttl: record.ttl().as_secs().min(TTL_MAX_S), data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    fn rr(owner: &str, rtype: u16, ttl: u32, data: &[u8]) -> Rr {
        Rr { owner: name(owner), rtype, ttl, data: data.into() }
    }

    #[test]
    fn a_chain_is_cut_into_links_and_ends_where_the_server_has_no_say() {
        let heard = Heard {
            answer: vec![
                rr("a.one.", rtype::CNAME, 60, name("b.one.").wire()),
                rr("b.one.", rtype::CNAME, 50, name("c.two.").wire()),
                rr("c.two.", rtype::A, 40, &[192, 0, 2, 1]),
            ],
            ..Heard::default()
        };
        let wanted =
            Wanted { name: name("a.one."), rtype: rtype::A, dnssec_ok: false, checking_disabled: false };
        let all = heard.steps(&wanted, &Name::ROOT, 100);
        let told: Vec<(String, u32, bool)> = all
            .iter()
            .map(|(wanted, step)| (wanted.name.to_string(), step.until_s, step.alias.is_some()))
            .collect();
        assert_eq!(
            told,
            [("a.one.".into(), 160, true), ("b.one.".into(), 150, true), ("c.two.".into(), 140, false)]
        );
        assert_eq!(heard.steps(&wanted, &name("one."), 100).len(), 2);
        let round =
            Heard { answer: vec![rr("a.one.", rtype::CNAME, 60, name("a.one.").wire())], ..Heard::default() };
        assert_eq!(round.steps(&wanted, &Name::ROOT, 100).len(), 1);
    }

    #[test]
    fn there_is_none_holds_as_long_as_the_soa_says() {
        let mut soa = [name("ns.one.").wire(), name("host.one.").wire()].concat();
        soa.extend([0; 16]);
        soa.extend(30u32.to_be_bytes());
        let heard = Heard {
            code: rcode::NXDOMAIN,
            authority: vec![rr("one.", rtype::SOA, 300, &soa)],
            ..Heard::default()
        };
        let wanted =
            Wanted { name: name("a.one."), rtype: rtype::A, dnssec_ok: false, checking_disabled: false };
        let steps = heard.steps(&wanted, &name("one."), 100);
        assert_eq!((steps.len(), steps[0].1.code, steps[0].1.until_s), (1, rcode::NXDOMAIN, 130));
    }

    proptest::proptest! {
        #[test]
        fn no_octets_make_it_panic(octets: Vec<u8>) {
            if let Ok(heard) = Heard::read(&octets) {
                let wanted = Wanted { name: Name::ROOT, rtype: 1, dnssec_ok: false, checking_disabled: false };
                heard.steps(&wanted, &Name::ROOT, 0);
            }
        }
    }
}
