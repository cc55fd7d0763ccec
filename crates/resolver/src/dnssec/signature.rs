//! Whether records are what their zone signed.

use std::cmp::Ordering;

use domain::base::iana::Rtype;
use domain::base::rdata::{ComposeRecordData as _, ParseAnyRecordData as _};
use domain::base::{Name as DomainName, ParsedName};
use domain::crypto::common::PublicKey;
use domain::dep::octseq::Parser;
use domain::rdata::dnssec::{ProtoRrsig, Timestamp};
use domain::rdata::{AllRecordData, Dnskey, Rrsig};

use super::anchor::{Anchor, is_supported};
use super::{Budget, Fault};
use crate::name::Name;
use crate::policy::rule::rtype;
use crate::step::Rr;

/// Signatures of one set of records that are looked at.
const SIGNATURES_OF_SET_MAX: usize = 8;
/// Keys of one zone that share a tag and are tried: tags are 16 bits, so two do by chance (CVE-2023-50387).
const KEYS_WITH_TAG_MAX: usize = 4;
/// Keys of a zone that are kept.
const KEYS_MAX: usize = 32;
/// Words of the zone above that are looked at.
const ANCHORS_MAX: usize = 16;

/// Records of one owner and type, and their signatures.
#[derive(Clone, Debug)]
pub struct RrSet<'a> {
    /// The owner.
    pub owner: Name,
    /// The type's number.
    pub rtype: u16,
    records: Vec<&'a Rr>,
    signatures: Vec<&'a Rr>,
}

/// What holds of records whose signature does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Seconds for which they hold at most (RFC 4035, 5.3.3).
    pub ttl_s: u32,
    /// The name below which they stand for every name, when they come from a wildcard.
    pub wildcard_of: Option<Name>,
}

/// A zone and the keys that the zone above, or an anchor, vouches for.
#[derive(Debug)]
pub struct Zone {
    /// Its name.
    pub apex: Name,
    keys: Vec<Dnskey<Vec<u8>>>,
}

impl Zone {
    /// Octets that it takes, about.
    pub fn octets(&self) -> usize {
        let keys = self.keys.iter().map(|key| size_of_val(key) + key.public_key().len());
        size_of::<Self>() + keys.sum::<usize>()
    }
}

impl<'a> RrSet<'a> {
    /// Those of `records` that are of an owner and a type; `None` where there are none.
    pub fn of(records: &'a [Rr], owner: &Name, rtype: u16) -> Option<Self> {
        let own = || records.iter().filter(|rr| rr.owner == *owner);
        let set = Self {
            owner: *owner,
            rtype,
            records: own().filter(|rr| rr.rtype == rtype).collect(),
            signatures: own().filter(|rr| covered(rr) == Some(rtype)).collect(),
        };
        (!set.records.is_empty()).then_some(set)
    }

    /// Its records' data.
    pub fn data(&self) -> impl Iterator<Item = &'a [u8]> {
        self.records.iter().map(|rr| rr.data.as_slice())
    }

    /// The zone that its first signature is by, of those at or above `name`.
    pub fn signer(&self, name: &Name) -> Option<Name> {
        self.signatures.iter().find_map(|rr| signer(rr).filter(|signer| name.is_below(signer)))
    }
}

/// The type of the records that a signature is of.
pub fn covered(rr: &Rr) -> Option<u16> {
    let covered = rr.data.first_chunk::<2>().filter(|_| rr.rtype == rtype::RRSIG)?;
    Some(u16::from_be_bytes(*covered))
}

/// The zone that a signature is by.
pub fn signer(rr: &Rr) -> Option<Name> {
    let (signer, _) = Name::from_wire(rr.data.get(18..).filter(|_| rr.rtype == rtype::RRSIG)?).ok()?;
    Some(signer)
}

/// Whether a signature is of records that come from a wildcard.
pub fn is_expanded(rr: &Rr) -> bool {
    let labels = rr.data.get(3).filter(|_| rr.rtype == rtype::RRSIG);
    labels.is_some_and(|labels| usize::from(*labels) < labels_of(&rr.owner))
}

/// Whether records are what the zone signed, at this moment in seconds since 1970 (RFC 4035, 5.3).
///
/// # Errors
///
/// [`Fault`], why they are not believed.
pub fn verify(set: &RrSet<'_>, zone: &Zone, unix_s: u32, budget: &Budget) -> Result<Verified, Fault> {
    verify_by(set, &zone.apex, &zone.keys.iter().collect::<Vec<_>>(), unix_s, budget)
}

/// The zone at `apex` and its keys, when one of them that an anchor vouches for has signed them all. `None` where no anchor is of a kind
/// that we know, so that the zone is as good as unsigned (RFC 4035, 5.2).
///
/// # Errors
///
/// [`Fault`], why its keys are not believed.
pub fn zone(
    apex: &Name,
    keys: Option<&RrSet<'_>>,
    anchors: &[Anchor],
    unix_s: u32,
    budget: &Budget,
) -> Result<Option<(Zone, u32)>, Fault> {
    let mut usable = anchors.iter().filter(|anchor| anchor.is_supported()).take(ANCHORS_MAX).peekable();
    if usable.peek().is_none() {
        return Ok(None);
    }
    let set = keys.ok_or(Fault::NoKey)?;
    let keys: Vec<Dnskey<Vec<u8>>> =
        set.data().filter_map(read_key).filter(may_sign).take(KEYS_MAX).collect();
    let mut fault = Fault::NoKey;
    for anchor in usable {
        let named = keys.iter().filter(|key| anchor.names(key)).take(KEYS_WITH_TAG_MAX);
        for key in named.filter(|key| anchor.is_of(apex, key)) {
            match verify_by(set, apex, &[key], unix_s, budget) {
                Ok(verified) => return Ok(Some((Zone { apex: *apex, keys }, verified.ttl_s))),
                Err(Fault::Work) => return Err(Fault::Work),
                Err(other) => fault = other,
            }
        }
    }
    Err(fault)
}

/// The key that a DNSKEY record's data is.
pub(super) fn read_key(data: &[u8]) -> Option<Dnskey<Vec<u8>>> {
    let key = Dnskey::parse(&mut Parser::from_ref(data)).ok()?;
    Dnskey::new(key.flags(), key.protocol(), key.algorithm(), key.public_key().to_vec()).ok()
}

/// Whether a key signs the zone's records (RFC 4034, 2.1; RFC 5011, 2.1), in a way that we know.
fn may_sign(key: &Dnskey<Vec<u8>>) -> bool {
    key.is_zone_key() && !key.is_revoked() && key.protocol() == 3 && is_supported(key.algorithm())
}

fn verify_by(
    set: &RrSet<'_>,
    apex: &Name,
    keys: &[&Dnskey<Vec<u8>>],
    unix_s: u32,
    budget: &Budget,
) -> Result<Verified, Fault> {
    let data = canonical_data(set)?;
    let ttl_s = set.records.iter().map(|rr| rr.ttl).min().unwrap_or(0);
    let mut fault = Fault::Unsigned;
    for rr in set.signatures.iter().take(SIGNATURES_OF_SET_MAX) {
        let Ok(signature) = Rrsig::parse(&mut Parser::from_ref(rr.data.as_slice())) else {
            fault = Fault::Bogus;
            continue;
        };
        if let Err(other) = may_hold(&signature, rr, set, apex, unix_s) {
            fault = other;
            continue;
        }
        fault = Fault::Bogus;
        let (signed, wildcard_of) = signed_octets(&signature, set, apex, &data)?;
        let named = |key: &&&Dnskey<Vec<u8>>| {
            key.algorithm() == signature.algorithm() && key.key_tag() == signature.key_tag()
        };
        for key in keys.iter().filter(named).take(KEYS_WITH_TAG_MAX) {
            budget.signature()?;
            let Ok(public) = PublicKey::from_dnskey(key) else { continue };
            if public.verify(&signed, signature.signature()).is_ok() {
                let left_s = signature.expiration().into_int().wrapping_sub(unix_s);
                let ttl_s = ttl_s.min(signature.original_ttl().as_secs()).min(left_s);
                return Ok(Verified { ttl_s, wildcard_of });
            }
        }
    }
    Err(fault)
}

type ParsedSignature<'a> = Rrsig<&'a [u8], ParsedName<&'a [u8]>>;

/// Whether a signature may be of these records at all (RFC 4035, 5.3.1).
fn may_hold(
    signature: &ParsedSignature<'_>,
    rr: &Rr,
    set: &RrSet<'_>,
    apex: &Name,
    unix_s: u32,
) -> Result<(), Fault> {
    let by_zone = signer(rr) == Some(*apex) && set.owner.is_below(apex);
    let labels = usize::from(signature.labels());
    if !by_zone || labels > labels_of(&set.owner) || labels < apex.label_count() {
        return Err(Fault::Bogus);
    }
    // Serial numbers: what is half of all numbers away is neither before nor after.
    let now = Timestamp::from(unix_s);
    if !matches!(signature.inception().partial_cmp(&now), Some(Ordering::Less | Ordering::Equal)) {
        return Err(Fault::NotYetValid);
    }
    if !matches!(signature.expiration().partial_cmp(&now), Some(Ordering::Greater | Ordering::Equal)) {
        return Err(Fault::Expired);
    }
    Ok(())
}

/// Labels as signatures count them: without the root's and without the asterisk (RFC 4034, 3.1.3).
fn labels_of(owner: &Name) -> usize {
    owner.label_count() - usize::from(owner.labels().next() == Some(b"*"))
}

/// What was signed (RFC 4034, 3.1.8.1), and the wildcard's closest name above, where records come from one.
fn signed_octets(
    signature: &ParsedSignature<'_>,
    set: &RrSet<'_>,
    apex: &Name,
    data: &[Vec<u8>],
) -> Result<(Vec<u8>, Option<Name>), Fault> {
    let labels = usize::from(signature.labels());
    let above = if labels < labels_of(&set.owner) { Some(tail(&set.owner, labels)) } else { None };
    let owner = match above {
        Some(above) => above.below_with([b"*".as_slice()]).map_err(|_| Fault::Bogus)?,
        None => set.owner,
    };
    let apex = DomainName::from_slice(apex.wire()).map_err(|_| Fault::Bogus)?;
    let mut signed = Vec::with_capacity(512);
    let written = ProtoRrsig::new(
        signature.type_covered(),
        signature.algorithm(),
        signature.labels(),
        signature.original_ttl(),
        signature.expiration(),
        signature.inception(),
        signature.key_tag(),
        apex,
    )
    .compose_canonical(&mut signed);
    written.map_err(|_| Fault::Bogus)?;
    for data in data {
        signed.extend_from_slice(owner.wire());
        signed.extend_from_slice(&set.rtype.to_be_bytes());
        signed.extend_from_slice(&1u16.to_be_bytes());
        signed.extend_from_slice(&signature.original_ttl().as_secs().to_be_bytes());
        signed.extend_from_slice(&u16::try_from(data.len()).map_err(|_| Fault::Bogus)?.to_be_bytes());
        signed.extend_from_slice(data);
    }
    Ok((signed, above))
}

/// The records' data in canonical form and order, each once (RFC 4034, 6.2 and 6.3).
fn canonical_data(set: &RrSet<'_>) -> Result<Vec<Vec<u8>>, Fault> {
    let canonical = |data: &[u8]| -> Result<Vec<u8>, Fault> {
        let mut parser = Parser::from_ref(data);
        let rtype = Rtype::from_int(set.rtype);
        let parsed = AllRecordData::<&[u8], ParsedName<&[u8]>>::parse_any_rdata(rtype, &mut parser);
        let parsed = parsed.map_err(|_| Fault::Bogus)?;
        let mut octets = Vec::with_capacity(data.len());
        parsed.compose_canonical_rdata(&mut octets).map_err(|_| Fault::Bogus)?;
        Ok(octets)
    };
    let mut all = set.data().map(canonical).collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The last labels of a name.
pub(crate) fn tail(name: &Name, labels: usize) -> Name {
    let mut at = *name;
    while at.label_count() > labels {
        at = at.parent().unwrap_or(Name::ROOT);
    }
    at
}

#[cfg(test)]
mod tests {
    use domain::base::Ttl;
    use domain::base::iana::SecurityAlgorithm;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const NOW_S: u32 = 1_800_000_000;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    fn address(owner: &str, last: u8) -> Rr {
        Rr { owner: name(owner), rtype: rtype::A, ttl: 300, data: vec![192, 0, 2, last] }
    }

    /// A zone of one key, which signs.
    struct Signer {
        pair: Ed25519KeyPair,
        zone: Zone,
    }

    impl Signer {
        fn new(apex: &str) -> Self {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
            let public = pair.public_key().as_ref().to_vec();
            let key = Dnskey::new(257, 3, SecurityAlgorithm::ED25519, public).unwrap();
            Self { pair, zone: Zone { apex: name(apex), keys: vec![key] } }
        }

        /// The records, and one signature of them with so many labels that holds from and until.
        fn sign(&self, records: &[Rr], labels: u8, from_s: u32, until_s: u32) -> Vec<Rr> {
            let key = &self.zone.keys[0];
            let kind = Rtype::from_int(records[0].rtype);
            let signer = DomainName::<Vec<u8>>::from_octets(self.zone.apex.wire().to_vec()).unwrap();
            let unsigned = Rrsig::new(
                kind,
                key.algorithm(),
                labels,
                Ttl::from_secs(200),
                until_s.into(),
                from_s.into(),
                key.key_tag(),
                signer,
                Vec::new(),
            )
            .unwrap();
            let mut data = Vec::new();
            unsigned.compose_rdata(&mut data).unwrap();
            let parsed = Rrsig::parse(&mut Parser::from_ref(data.as_slice())).unwrap();
            let set = RrSet::of(records, &records[0].owner, records[0].rtype).unwrap();
            let canonical = canonical_data(&set).unwrap();
            let (signed, _) = signed_octets(&parsed, &set, &self.zone.apex, &canonical).unwrap();
            let signature = self.pair.sign(&signed);
            data.extend(signature.as_ref());
            let rr = Rr { owner: records[0].owner, rtype: rtype::RRSIG, ttl: 300, data };
            [records, &[rr]].concat()
        }

        fn judge(&self, records: &[Rr]) -> Result<Verified, Fault> {
            let set = RrSet::of(records, &records[0].owner, records[0].rtype).unwrap();
            verify(&set, &self.zone, NOW_S, &Budget::default())
        }
    }

    #[test]
    fn what_was_signed_holds_and_nothing_else() {
        let signer = Signer::new("example.");
        let both = [address("a.example.", 2), address("a.example.", 1)];
        let signed = signer.sign(&both, 2, NOW_S - 10, NOW_S + 50);
        assert_eq!(signer.judge(&signed), Ok(Verified { ttl_s: 50, wildcard_of: None }));
        let turned = [signed[1].clone(), signed[0].clone(), signed[0].clone(), signed[2].clone()];
        assert!(signer.judge(&turned).is_ok(), "in any order, and twice");
        assert_eq!(signer.judge(&signed[..2]), Err(Fault::Unsigned));
        assert_eq!(signer.judge(&signed[1..]), Err(Fault::Bogus), "one is missing");
        for at in 0..signed[2].data.len() {
            let mut other = signed.clone();
            other[2].data[at] ^= 1;
            assert!(signer.judge(&other).is_err(), "octet {at}");
        }
        let other = Signer::new("other.");
        assert_eq!(other.judge(&signed), Err(Fault::Bogus), "another zone's");
        assert_eq!(signer.judge(&signer.sign(&both, 2, NOW_S - 10, NOW_S - 1)), Err(Fault::Expired));
        assert_eq!(signer.judge(&signer.sign(&both, 2, NOW_S + 1, NOW_S + 10)), Err(Fault::NotYetValid));
    }

    #[test]
    fn a_wildcard_stands_for_names_below_it_and_for_itself() {
        let signer = Signer::new("example.");
        let mut signed = signer.sign(&[address("*.w.example.", 1)], 2, NOW_S, NOW_S + 900);
        assert_eq!(signer.judge(&signed), Ok(Verified { ttl_s: 200, wildcard_of: None }));
        signed.iter_mut().for_each(|rr| rr.owner = name("a.b.w.example."));
        let wildcard_of = Some(name("w.example."));
        assert_eq!(signer.judge(&signed), Ok(Verified { ttl_s: 200, wildcard_of }));
        signed.iter_mut().for_each(|rr| rr.owner = name("a.example."));
        assert_eq!(signer.judge(&signed), Err(Fault::Bogus));
    }

    #[test]
    fn many_keys_of_one_tag_and_many_signatures_are_not_all_tried() {
        let mut signer = Signer::new("example.");
        let mut signed = signer.sign(&[address("a.example.", 1)], 2, NOW_S, NOW_S + 900);
        // The tag is a sum, so that keys whose halves are swapped have the same.
        let key = signer.zone.keys.remove(0);
        for at in 1..16 {
            let mut public = key.public_key().clone();
            public.swap(0, at * 2);
            public.swap(1, at * 2 + 1);
            let other = Dnskey::new(257, 3, key.algorithm(), public).unwrap();
            assert_eq!(other.key_tag(), key.key_tag());
            signer.zone.keys.push(other);
        }
        for _ in 0..100 {
            signed.push(signed[1].clone());
        }
        let set = RrSet::of(&signed, &name("a.example."), rtype::A).unwrap();
        let budget = Budget::default();
        assert_eq!(verify(&set, &signer.zone, NOW_S, &budget), Err(Fault::Bogus));
        assert_eq!(budget.signatures(), (SIGNATURES_OF_SET_MAX * KEYS_WITH_TAG_MAX) as u32);
        for _ in 0..5 {
            let _ = verify(&set, &signer.zone, NOW_S, &budget);
        }
        assert_eq!(verify(&set, &signer.zone, NOW_S, &budget), Err(Fault::Work));
        assert_eq!(budget.signatures(), crate::dnssec::SIGNATURES_MAX);
    }

    #[test]
    fn a_zones_keys_hold_by_one_that_is_vouched_for() {
        let signer = Signer::new("example.");
        let mut data = Vec::new();
        signer.zone.keys[0].compose_rdata(&mut data).unwrap();
        let rr = Rr { owner: name("example."), rtype: rtype::DNSKEY, ttl: 300, data: data.clone() };
        let signed = signer.sign(&[rr], 1, NOW_S, NOW_S + 900);
        let set = RrSet::of(&signed, &name("example."), rtype::DNSKEY);
        let judge = |anchors: &[Anchor]| {
            let zone = zone(&name("example."), set.as_ref(), anchors, NOW_S, &Budget::default());
            zone.map(|zone| zone.map(|(zone, ttl_s)| (zone.keys.len(), ttl_s)))
        };
        let own = Anchor::from_data(rtype::DNSKEY, &data).unwrap();
        assert_eq!(judge(&[own]), Ok(Some((1, 200))));
        let tag = signer.zone.keys[0].key_tag();
        let of = |algorithm, digest| {
            let digest_of = "00".repeat(32);
            Anchor::from_text(&format!("example. DS {tag} {algorithm} {digest} {digest_of}"))
        };
        assert_eq!(judge(&[of(15, 2).unwrap().1]), Err(Fault::NoKey), "another key's digest");
        let unknown = [&tag.to_be_bytes()[..], &[200, 2], &[0; 32]].concat();
        assert_eq!(judge(&[Anchor::from_data(rtype::DS, &unknown).unwrap()]), Ok(None));
        assert_eq!(judge(&[]), Ok(None));
    }
}
