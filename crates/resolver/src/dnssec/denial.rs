//! Whether records that hold prove that there is none: no such name, no such type, no wildcard, no signed zone below.
//!
//! NSEC names the next name of a zone (RFC 4035, 5.4), NSEC3 the next hash of one (RFC 5155, 8). Either speaks of names in its own zone only:
//! what a zone above says of names beyond a delegation proves nothing (RFC 6840, 4.1 and 4.4).

use std::cmp::Ordering;

use domain::base::iana::{Nsec3HashAlgorithm, Rtype};
use domain::base::{Name as DomainName, ParsedName};
use domain::dep::octseq::Parser;
use domain::dnssec::common::nsec3_hash;
use domain::rdata::dnssec::RtypeBitmap;
use domain::rdata::nsec3::{Nsec3Salt, OwnerHash};
use domain::rdata::{Nsec as NsecData, Nsec3 as Nsec3Data};
use domain::utils::base32;

use super::signature::tail;
use super::{Budget, Fault};
use crate::name::Name;
use crate::policy::rule::rtype;
use crate::step::Rr;

/// Iterations of NSEC3 above which a zone is as good as unsigned where it says that there is none (RFC 9276, 3.2).
pub const ITERATIONS_MAX: u16 = 100;

/// What is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// There is none.
    Holds,
    /// There is none that is signed; an unsigned zone may be there (opt-out), or it would be too much work to tell.
    Insecure,
    /// Nothing.
    Nothing,
}

/// What is proven of a name at which a zone may begin, when no DS is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// An unsigned zone begins there, or may.
    Insecure,
    /// No zone begins there.
    Within,
    /// The name does not exist.
    Absent,
    /// Nothing.
    Unproven,
}

/// The records of one answer that say what there is not. They must have been verified, and not come from a wildcard.
#[derive(Debug)]
pub struct Denial<'a> {
    apex: Name,
    nsecs: Vec<Nsec<'a>>,
    nsec3s: Vec<Nsec3<'a>>,
    hashing: Option<(u16, Vec<u8>)>,
    budget: &'a Budget,
}

#[derive(Debug)]
struct Nsec<'a> {
    owner: Name,
    next: Name,
    types: RtypeBitmap<&'a [u8]>,
}

#[derive(Debug)]
struct Nsec3<'a> {
    hash: Vec<u8>,
    next: Vec<u8>,
    opt_out: bool,
    types: RtypeBitmap<&'a [u8]>,
}

impl<'a> Denial<'a> {
    /// Of the zone at `apex`, which has said nothing yet.
    pub fn new(apex: Name, budget: &'a Budget) -> Self {
        Self { apex, nsecs: Vec::new(), nsec3s: Vec::new(), hashing: None, budget }
    }

    /// Takes a record that was verified.
    pub fn add(&mut self, rr: &'a Rr) {
        let mut parser = Parser::from_ref(rr.data.as_slice());
        match rr.rtype {
            rtype::NSEC => {
                let Ok(data) = NsecData::<&[u8], ParsedName<&[u8]>>::parse(&mut parser) else { return };
                let Ok((next, _)) = Name::from_wire(&rr.data) else { return };
                let types = RtypeBitmap::from_octets(*data.types().as_octets());
                self.nsecs.extend(types.map(|types| Nsec { owner: rr.owner, next, types }));
            }
            rtype::NSEC3 => {
                let Ok(data) = Nsec3Data::<&[u8]>::parse(&mut parser) else { return };
                // Flags that we do not know may mean anything (RFC 5155, 8.2).
                if data.hash_algorithm() != Nsec3HashAlgorithm::SHA1 || data.flags() & !1 != 0 {
                    return;
                }
                let hashing = (data.iterations(), data.salt().as_slice().to_vec());
                // One answer is from one chain; of several the first counts.
                if *self.hashing.get_or_insert_with(|| hashing.clone()) != hashing {
                    return;
                }
                let Some(hash) = owner_hash(&rr.owner, &self.apex) else { return };
                let next = data.next_owner().as_slice().to_vec();
                let types = RtypeBitmap::from_octets(*data.types().as_octets());
                let opt_out = data.opt_out();
                self.nsec3s.extend(types.map(|types| Nsec3 { hash, next, opt_out, types }));
            }
            _ => {}
        }
    }

    /// Whether there is no such name, nor a wildcard for it.
    ///
    /// # Errors
    ///
    /// [`Fault::Work`].
    pub fn no_name(&self, name: &Name) -> Result<Proof, Fault> {
        if let Some((nsec, encloser)) = self.gap(name) {
            let holds = !nsec.next.is_below(name)
                && star(&encloser)
                    .is_some_and(|star| self.gap(&star).is_some_and(|(nsec, _)| !nsec.next.is_below(&star)));
            return Ok(if holds { Proof::Holds } else { Proof::Nothing });
        }
        if self.is_too_much() {
            return Ok(Proof::Insecure);
        }
        let Some((encloser, closer)) = self.encloser(name)? else { return Ok(Proof::Nothing) };
        let Some(star) = star(&encloser) else { return Ok(Proof::Nothing) };
        let star = self.hash(&star)?;
        Ok(match self.nsec3s.iter().any(|nsec3| nsec3.covers(&star)) {
            true => by(closer),
            false => Proof::Nothing,
        })
    }

    /// Whether a name, or the wildcard for it, has no such type.
    ///
    /// # Errors
    ///
    /// [`Fault::Work`].
    pub fn no_type(&self, name: &Name, kind: u16) -> Result<Proof, Fault> {
        if let Some(nsec) = self.nsecs.iter().find(|nsec| nsec.owner == *name) {
            return Ok(if lacks(&nsec.types, name, kind) { Proof::Holds } else { Proof::Nothing });
        }
        if let Some((nsec, encloser)) = self.gap(name) {
            // A name without records of its own, between others.
            if nsec.next.is_below(name) {
                return Ok(Proof::Holds);
            }
            let star = star(&encloser);
            let wild = self.nsecs.iter().find(|nsec| Some(nsec.owner) == star);
            let holds = wild.is_some_and(|nsec| lacks(&nsec.types, &nsec.owner, kind));
            return Ok(if holds { Proof::Holds } else { Proof::Nothing });
        }
        if self.is_too_much() {
            return Ok(Proof::Insecure);
        }
        if self.nsec3s.is_empty() {
            return Ok(Proof::Nothing);
        }
        let own = self.hash(name)?;
        if let Some(nsec3) = self.nsec3s.iter().find(|nsec3| nsec3.hash == own) {
            return Ok(if lacks(&nsec3.types, name, kind) { Proof::Holds } else { Proof::Nothing });
        }
        let Some((encloser, closer)) = self.encloser(name)? else { return Ok(Proof::Nothing) };
        if kind == rtype::DS && closer.opt_out {
            return Ok(Proof::Insecure);
        }
        let Some(star) = star(&encloser) else { return Ok(Proof::Nothing) };
        let hash = self.hash(&star)?;
        let wild = self.nsec3s.iter().find(|nsec3| nsec3.hash == hash);
        Ok(match wild.is_some_and(|nsec3| lacks(&nsec3.types, &star, kind)) {
            true => by(closer),
            false => Proof::Nothing,
        })
    }

    /// Whether no name is nearer to `name` than the one whose wildcard stands for it.
    ///
    /// # Errors
    ///
    /// [`Fault::Work`].
    pub fn no_closer(&self, name: &Name, wildcard_of: &Name) -> Result<Proof, Fault> {
        if let Some((nsec, encloser)) = self.gap(name) {
            let holds = encloser == *wildcard_of && !nsec.next.is_below(name);
            return Ok(if holds { Proof::Holds } else { Proof::Nothing });
        }
        if self.is_too_much() {
            return Ok(Proof::Insecure);
        }
        if self.nsec3s.is_empty() {
            return Ok(Proof::Nothing);
        }
        let closer = self.hash(&tail(name, wildcard_of.label_count() + 1))?;
        Ok(self.nsec3s.iter().find(|nsec3| nsec3.covers(&closer)).map_or(Proof::Nothing, by))
    }

    /// What a name is at which no DS was found.
    ///
    /// # Errors
    ///
    /// [`Fault::Work`].
    pub fn cut(&self, name: &Name) -> Result<Cut, Fault> {
        if let Some(nsec) = self.nsecs.iter().find(|nsec| nsec.owner == *name) {
            return Ok(at_cut(&nsec.types));
        }
        if let Some((nsec, _)) = self.gap(name) {
            return Ok(if nsec.next.is_below(name) { Cut::Within } else { Cut::Absent });
        }
        if self.is_too_much() {
            return Ok(Cut::Insecure);
        }
        if self.nsec3s.is_empty() {
            return Ok(Cut::Unproven);
        }
        let own = self.hash(name)?;
        if let Some(nsec3) = self.nsec3s.iter().find(|nsec3| nsec3.hash == own) {
            return Ok(at_cut(&nsec3.types));
        }
        Ok(match self.encloser(name)? {
            Some((_, closer)) if closer.opt_out => Cut::Insecure,
            Some(_) => Cut::Absent,
            None => Cut::Unproven,
        })
    }

    /// Whether hashing would be too much work.
    fn is_too_much(&self) -> bool {
        self.hashing.as_ref().is_some_and(|(iterations, _)| *iterations > ITERATIONS_MAX)
    }

    /// The NSEC in whose gap a name would be, and the nearest name above it that exists.
    fn gap(&self, name: &Name) -> Option<(&Nsec<'a>, Name)> {
        let nsec = self.nsecs.iter().find(|nsec| nsec.covers(name))?;
        let nearest = |other: &Name| {
            let same = up(name).into_iter().zip(up(other)).take_while(|(a, b)| a == b).count();
            tail(name, same)
        };
        let (by_owner, by_next) = (nearest(&nsec.owner), nearest(&nsec.next));
        Some((nsec, if by_owner.label_count() > by_next.label_count() { by_owner } else { by_next }))
    }

    /// The nearest name above one that is proven to exist, and the NSEC3 in whose gap the next nearer one would be (RFC 5155, 8.3).
    fn encloser(&self, name: &Name) -> Result<Option<(Name, &Nsec3<'a>)>, Fault> {
        if self.nsec3s.is_empty() || !name.is_below(&self.apex) {
            return Ok(None);
        }
        let mut closer = *name;
        while closer.label_count() > self.apex.label_count() {
            let Some(above) = closer.parent() else { break };
            let hash = self.hash(&above)?;
            if let Some(nsec3) = self.nsec3s.iter().find(|nsec3| nsec3.hash == hash) {
                if leads_away(&nsec3.types) {
                    return Ok(None);
                }
                let closer = self.hash(&closer)?;
                let covering = self.nsec3s.iter().find(|nsec3| nsec3.covers(&closer));
                return Ok(covering.map(|covering| (above, covering)));
            }
            closer = above;
        }
        Ok(None)
    }

    fn hash(&self, name: &Name) -> Result<Vec<u8>, Fault> {
        let Some((iterations, salt)) = &self.hashing else { return Err(Fault::NoProof) };
        self.budget.hashing(u32::from(*iterations) + 1)?;
        let name = DomainName::from_slice(name.wire()).map_err(|_| Fault::Bogus)?;
        let salt = Nsec3Salt::from_octets(salt.as_slice()).map_err(|_| Fault::Bogus)?;
        let hash: OwnerHash<Vec<u8>> =
            nsec3_hash(name, Nsec3HashAlgorithm::SHA1, *iterations, &salt).map_err(|_| Fault::Bogus)?;
        Ok(hash.into_octets())
    }
}

impl Nsec<'_> {
    /// Whether a name would be between its owner and the next, in the same zone.
    fn covers(&self, name: &Name) -> bool {
        let beyond = name.is_below(&self.owner) && leads_away(&self.types);
        let after = order(&self.owner, name) == Ordering::Less;
        let before = order(name, &self.next) == Ordering::Less;
        // The last one's next is the zone's first.
        let is_last = order(&self.owner, &self.next) != Ordering::Less;
        !beyond && after && (before || (is_last && name.is_below(&self.next)))
    }
}

impl Nsec3<'_> {
    fn covers(&self, hash: &[u8]) -> bool {
        let (after, before) = (*self.hash < *hash, *hash < *self.next);
        if self.hash < self.next { after && before } else { after || before }
    }
}

/// Canonical order (RFC 4034, 6.1).
fn order(one: &Name, other: &Name) -> Ordering {
    up(one).cmp(&up(other))
}

/// A name's labels, the last first.
fn up(name: &Name) -> Vec<&[u8]> {
    let mut labels: Vec<&[u8]> = name.labels().collect();
    labels.reverse();
    labels
}

/// What an NSEC3 in whose gap something would be proves.
fn by(covering: &Nsec3<'_>) -> Proof {
    if covering.opt_out { Proof::Insecure } else { Proof::Holds }
}

fn has(types: &RtypeBitmap<&[u8]>, kind: u16) -> bool {
    types.contains(Rtype::from_int(kind))
}

/// Whether names below are elsewhere: in another zone, or below another name.
fn leads_away(types: &RtypeBitmap<&[u8]>) -> bool {
    has(types, rtype::DNAME) || (has(types, rtype::NS) && !has(types, rtype::SOA))
}

/// Whether a name that exists has neither this type nor an alias, and who says it may: of DS the zone above, of all others the zone itself.
fn lacks(types: &RtypeBitmap<&[u8]>, name: &Name, kind: u16) -> bool {
    let may_say = if kind == rtype::DS {
        !has(types, rtype::SOA) || name.is_root()
    } else {
        !has(types, rtype::NS) || has(types, rtype::SOA)
    };
    may_say && !has(types, kind) && !has(types, rtype::CNAME)
}

fn at_cut(types: &RtypeBitmap<&[u8]>) -> Cut {
    if has(types, rtype::DS) || has(types, rtype::SOA) {
        Cut::Unproven
    } else if has(types, rtype::NS) {
        Cut::Insecure
    } else {
        Cut::Within
    }
}

/// The wildcard right below a name.
fn star(encloser: &Name) -> Option<Name> {
    encloser.below_with([b"*".as_slice()]).ok()
}

/// The hash that the owner of an NSEC3 is, right below the apex.
fn owner_hash(owner: &Name, apex: &Name) -> Option<Vec<u8>> {
    let label = owner.labels().next().filter(|_| owner.parent().is_some_and(|above| above == *apex))?;
    base32::decode_hex(std::str::from_utf8(label).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use domain::rdata::dnssec::RtypeBitmapBuilder;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    fn bitmap(types: &[u16]) -> Vec<u8> {
        let mut builder = RtypeBitmapBuilder::new_vec();
        types.iter().for_each(|kind| builder.add(Rtype::from_int(*kind)).unwrap());
        builder.finalize().as_slice().to_vec()
    }

    fn nsec(owner: &str, next: &str, types: &[u16]) -> Rr {
        let data = [name(next).wire(), &bitmap(types)].concat();
        Rr { owner: name(owner), rtype: rtype::NSEC, ttl: 60, data }
    }

    /// NSEC3 records of `example.` for names that exist, in the order of their hashes.
    fn nsec3s(iterations: u16, opt_out: bool, names: &[(&str, &[u16])]) -> Vec<Rr> {
        let budget = Budget::default();
        let mut hashing = Denial::new(name("example."), &budget);
        hashing.hashing = Some((iterations, vec![0xab]));
        let mut hashes: Vec<(Vec<u8>, &[u16])> =
            names.iter().map(|(of, types)| (hashing.hash(&name(of)).unwrap(), *types)).collect();
        hashes.sort();
        let next = hashes.iter().map(|(hash, _)| hash.clone()).cycle().skip(1);
        let rr = |((hash, types), next): (&(Vec<u8>, &[u16]), Vec<u8>)| {
            let [high, low] = iterations.to_be_bytes();
            let fixed = [1, u8::from(opt_out), high, low, 1, 0xab, next.len() as u8];
            let data = [&fixed[..], &next, &bitmap(types)].concat();
            let label = base32::encode_string_hex(hash).to_ascii_lowercase();
            Rr { owner: name(&format!("{label}.example.")), rtype: rtype::NSEC3, ttl: 60, data }
        };
        hashes.iter().zip(next).map(rr).collect()
    }

    fn proven<T>(records: &[Rr], ask: impl Fn(&Denial<'_>) -> T) -> T {
        let budget = Budget::default();
        let mut denial = Denial::new(name("example."), &budget);
        records.iter().for_each(|rr| denial.add(rr));
        ask(&denial)
    }

    const ZONE: &[u16] = &[rtype::SOA, rtype::NS];

    #[test]
    fn between_two_names_there_is_none() {
        let records = [nsec("example.", "b.example.", ZONE), nsec("b.example.", "d.c.example.", &[rtype::A])];
        let none = |of: &str| proven(&records, |denial| denial.no_name(&name(of)).unwrap());
        assert_eq!(none("a.example."), Proof::Holds);
        assert_eq!(none("x.b.example."), Proof::Holds);
        let half = |of: &str| proven(&records[1..], |denial| denial.no_name(&name(of)).unwrap());
        assert_eq!(
            (none("bb.example."), half("bb.example.")),
            (Proof::Holds, Proof::Nothing),
            "and no wildcard"
        );
        assert_eq!(none("b.example."), Proof::Nothing);
        assert_eq!(none("c.example."), Proof::Nothing, "it has names below");
        assert_eq!(none("e.example."), Proof::Nothing);
        let no_type = |of: &str, kind| proven(&records, |denial| denial.no_type(&name(of), kind).unwrap());
        assert_eq!(no_type("b.example.", 28), Proof::Holds);
        assert_eq!(no_type("b.example.", rtype::A), Proof::Nothing);
        assert_eq!(no_type("c.example.", rtype::A), Proof::Holds, "it has no records of its own");
        assert_eq!(no_type("example.", rtype::DS), Proof::Nothing, "the zone above has the say");
        // The last of a zone leads back to its first, and to no other zone's names.
        let last = [nsec("y.example.", "example.", &[rtype::A])];
        assert_eq!(
            proven(&last, |denial| denial.no_type(&name("z.other."), rtype::A).unwrap()),
            Proof::Nothing
        );
        assert_eq!(proven(&last, |denial| denial.cut(&name("z.example.")).unwrap()), Cut::Absent);
    }

    #[test]
    fn what_is_said_above_a_delegation_proves_nothing_below_it() {
        for types in [&[rtype::NS][..], &[rtype::DNAME]] {
            let records = [nsec("b.example.", "c.example.", types), nsec("example.", "b.example.", ZONE)];
            assert_eq!(
                proven(&records, |denial| denial.no_name(&name("x.b.example.")).unwrap()),
                Proof::Nothing
            );
            let records = nsec3s(0, false, &[("example.", ZONE), ("b.example.", types)]);
            assert_eq!(
                proven(&records, |denial| denial.no_name(&name("x.b.example.")).unwrap()),
                Proof::Nothing
            );
        }
        let records = [nsec("b.example.", "c.example.", &[rtype::NS])];
        assert_eq!(
            proven(&records, |denial| denial.no_type(&name("b.example."), 1).unwrap()),
            Proof::Nothing
        );
        assert_eq!(
            proven(&records, |denial| denial.no_type(&name("b.example."), rtype::DS).unwrap()),
            Proof::Holds
        );
        assert_eq!(proven(&records, |denial| denial.cut(&name("b.example.")).unwrap()), Cut::Insecure);
        let signed = [nsec("b.example.", "c.example.", &[rtype::NS, rtype::DS])];
        assert_eq!(proven(&signed, |denial| denial.cut(&name("b.example.")).unwrap()), Cut::Unproven);
    }

    #[test]
    fn hashes_prove_the_same_and_opt_out_leaves_it_open() {
        let names: &[(&str, &[u16])] =
            &[("example.", ZONE), ("b.example.", &[rtype::A]), ("c.example.", &[])];
        for (opt_out, none) in [(false, Proof::Holds), (true, Proof::Insecure)] {
            let records = nsec3s(5, opt_out, names);
            assert_eq!(proven(&records, |denial| denial.no_name(&name("x.y.example.")).unwrap()), none);
            assert_eq!(
                proven(&records, |denial| denial.no_name(&name("b.example.")).unwrap()),
                Proof::Nothing
            );
            assert_eq!(proven(&records, |denial| denial.no_type(&name("b.example."), 28)), Ok(Proof::Holds));
            assert_eq!(proven(&records, |denial| denial.no_type(&name("b.example."), 1)), Ok(Proof::Nothing));
            let cut = if opt_out { Cut::Insecure } else { Cut::Absent };
            assert_eq!(proven(&records, |denial| denial.cut(&name("x.example."))), Ok(cut));
            assert_eq!(proven(&records, |denial| denial.cut(&name("c.example."))), Ok(Cut::Within));
            let closer = proven(&records, |denial| denial.no_closer(&name("x.example."), &name("example.")));
            assert_eq!(closer, Ok(none));
            // Without the one that is right above, nothing is proven.
            let lacking: Vec<Rr> = records
                .iter()
                .filter(|rr| {
                    proven(std::slice::from_ref(rr), |denial| denial.no_type(&name("example."), 1))
                        == Ok(Proof::Nothing)
                })
                .cloned()
                .collect();
            assert_eq!(lacking.len(), 2);
            assert_eq!(proven(&lacking, |denial| denial.no_name(&name("x.example."))), Ok(Proof::Nothing));
        }
    }

    #[test]
    fn hashing_ends_where_it_is_too_much() {
        let names: &[(&str, &[u16])] = &[("example.", ZONE), ("b.example.", &[rtype::A])];
        let deep = name(&("x.".repeat(120) + "example."));
        let too_many = nsec3s(ITERATIONS_MAX + 1, false, names);
        assert_eq!(proven(&too_many, |denial| denial.no_name(&deep)), Ok(Proof::Insecure));
        let many = nsec3s(ITERATIONS_MAX, false, names);
        let budget = Budget::default();
        let mut denial = Denial::new(name("example."), &budget);
        many.iter().for_each(|rr| denial.add(rr));
        assert_eq!(denial.no_name(&deep), Err(Fault::Work));
        assert!(budget.rounds() <= crate::dnssec::HASHING_MAX);
        assert_eq!(proven(&nsec3s(0, false, names), |denial| denial.no_name(&deep)), Ok(Proof::Holds));
    }
}
