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
