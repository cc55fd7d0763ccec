//! The chain of trust, walked: from an anchor down to who signed an answer, and only then to the answer.
//!
//! ```text
//!   anchor ─▶ DNSKEY ─▶ DS below? ─┬ keys of the zone below ─▶ and on
//!                                  ├ proven that there is none ─▶ insecure: nobody can forge what nobody signed
//!                                  └ neither ─▶ bogus
//! ```
//!
//! It exists because whoever is between here and a zone can say anything. Each name on the way has a [`Standing`], which is kept as long as the
//! records that prove it. What is bogus is asked for at another server before it is given up. Work is bounded for each question by
//! [`Budget`], questions by what recursion may ask at all.

use std::net::SocketAddr;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::{Found, Recurse, Spent};
use crate::cache::Wanted;
use crate::dnssec::anchor::Anchor;
use crate::dnssec::denial::{Cut as CutProof, Denial, Proof};
use crate::dnssec::signature::{RrSet, Zone, covered, signer, tail, verify, zone};
use crate::dnssec::{Budget, Fault, unix_s};
use crate::heard::Heard;
use crate::message::rcode;
use crate::name::Name;
use crate::policy::rule::rtype;
use crate::step::{Rr, Step};

/// Octets of keys that are kept, about.
const KEPT_OCTETS: u64 = 32 << 20;
/// Seconds for which a name's standing is kept at most, when it is signed.
const KEPT_S_MAX: u32 = 86_400;
/// The same, when there is no zone, or none that is signed.
const KEPT_NONE_S_MAX: u32 = 3_600;
/// Seconds for which nobody is asked again for keys that do not hold (RFC 9520, 3.2).
const BOGUS_S: u32 = 30;
/// Servers that are asked for what does not hold, one after the other.
const ATTEMPTS: usize = 3;
/// Record sets of one answer that say what there is not, and are looked at.
const DENIALS_MAX: usize = 12;
/// Types of records that are judged where all were asked for.
const TYPES_MAX: usize = 24;

/// Whom to trust.
#[derive(Clone, Debug, Default)]
pub struct Validation {
    /// Zones and words for their keys. Without one of the root those of the Internet's.
    pub anchors: Vec<(Name, Anchor)>,
    /// Zones that are taken as unsigned, whatever is heard of them (RFC 7646).
    pub negative: Vec<Name>,
}

/// Whom to trust, and what was learned by it.
#[derive(Debug)]
pub(super) struct Validator {
    anchors: Vec<(Name, Vec<Anchor>)>,
    negative: Vec<Name>,
    known: Cache<Name, Arc<Known>, ByOctets>,
}

#[derive(Clone, Debug)]
struct ByOctets;

impl Weighter<Name, Arc<Known>> for ByOctets {
    fn weight(&self, _: &Name, known: &Arc<Known>) -> u64 {
        let keys = if let Standing::Zone(zone) = &known.standing { zone.octets() } else { 0 };
        (size_of::<Name>() + size_of::<Known>() + keys + 64) as u64
    }
}

/// What is known of a name below a signed zone.
#[derive(Clone, Debug)]
enum Standing {
    /// A signed zone begins here.
    Zone(Arc<Zone>),
    /// No zone begins here.
    Within,
    /// Nor is there such a name.
    Absent,
    /// An unsigned zone begins here, or one signed in a way that we do not know.
    Insecure,
    /// Nothing that holds was heard.
    Bogus(Fault),
}

#[derive(Debug)]
struct Known {
    standing: Standing,
    until_s: u32,
}

/// The deepest zone above a name, as far as it is signed.
enum Trust {
    Secure(Arc<Zone>),
    Insecure,
}

impl Validator {
    /// With zones that are not validated because the operator says who is asked for them, and has given no anchor.
    pub(super) fn new(validation: Validation, operators: impl Iterator<Item = Name>) -> Self {
        let mut anchors: Vec<(Name, Vec<Anchor>)> = Vec::new();
        for (zone, anchor) in validation.anchors {
            match anchors.iter_mut().find(|(known, _)| *known == zone) {
                Some((_, all)) => all.push(anchor),
                None => anchors.push((zone, vec![anchor])),
            }
        }
        let has = |zone: &Name| anchors.iter().any(|(known, _)| known == zone);
        let mut negative = validation.negative;
        negative.extend(operators.filter(|zone| !has(zone)));
        if !has(&Name::ROOT) {
            anchors.push((Name::ROOT, Anchor::root()));
        }
        let items = usize::try_from(KEPT_OCTETS / 512).unwrap_or(usize::MAX);
        let known = Cache::with(
            items,
            KEPT_OCTETS,
            ByOctets,
            quick_cache::DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self { anchors, negative, known }
    }

    /// The nearest anchor above a name; `None` where a negative one is as near.
    fn anchor(&self, name: &Name) -> Option<&(Name, Vec<Anchor>)> {
        let above = self.anchors.iter().filter(|(zone, _)| name.is_below(zone));
        let nearest = above.max_by_key(|(zone, _)| zone.label_count())?;
        let negative = self.negative.iter().filter(|zone| name.is_below(zone));
        let is_negative = negative.map(Name::label_count).max() >= Some(nearest.0.label_count());
        (!is_negative).then_some(nearest)
    }

    fn known(&self, name: &Name, now_s: u32) -> Option<Standing> {
        self.known.get(name).filter(|known| now_s < known.until_s).map(|known| known.standing.clone())
    }

    fn keep(
        &self,
        name: &Name,
        learned: Result<(Standing, u32), Fault>,
        now_s: u32,
    ) -> Result<Standing, Fault> {
        let (standing, for_s) = match learned {
            Ok(learned) => learned,
            // That is not the zone's doing, or was this question's only.
            Err(fault @ (Fault::Unreachable | Fault::Work)) => return Err(fault),
            Err(fault) => (Standing::Bogus(fault), BOGUS_S),
        };
        let for_s_max = match &standing {
            Standing::Zone(_) => KEPT_S_MAX,
            _ => KEPT_NONE_S_MAX,
        };
        let until_s = now_s.saturating_add(for_s.min(for_s_max));
        self.known.insert(*name, Arc::new(Known { standing: standing.clone(), until_s }));
        Ok(standing)
    }
}

/// Record sets that hold, and for how many seconds.
#[derive(Debug, Default)]
struct Proven(Vec<(Name, u16, u32)>);

impl Proven {
    fn add(&mut self, set: &RrSet<'_>, ttl_s: u32) {
        self.0.push((set.owner, set.rtype, ttl_s));
    }

    fn ttl_s(&self, rr: &Rr) -> Option<u32> {
        let kind = covered(rr).unwrap_or(rr.rtype);
        self.0.iter().find(|(owner, rtype, _)| *owner == rr.owner && *rtype == kind).map(|(.., ttl_s)| *ttl_s)
    }

    /// Nothing is kept longer than it holds.
    fn cap(&self, records: &mut [Rr]) {
        for rr in records {
            rr.ttl = rr.ttl.min(self.ttl_s(rr).unwrap_or(u32::MAX));
        }
    }
}

/// One answer being judged.
struct Judging<'a> {
    recurse: &'a Recurse,
    validator: &'a Validator,
    heard: &'a Heard,
    spent: &'a Spent,
    proven: Proven,
}

impl Recurse {
    /// What the world says of `wanted`, in steps that hold, or say why they do not.
    pub(super) async fn ask_validated(
        &self,
        validator: &Validator,
        wanted: &Wanted,
        spent: &Spent,
    ) -> Vec<(Wanted, Step)> {
        let asked = Wanted { dnssec_ok: true, ..*wanted };
        let mut avoid: Vec<SocketAddr> = Vec::new();
        let mut told = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut found = self.hear(self.closest(&asked), &asked, &avoid, 0, spent).await;
            let Some(mut heard) = found.heard.take() else {
                if told.is_empty() {
                    told = self.steps(&found, wanted);
                }
                break;
            };
            let links = heard.steps(&asked, &found.cut.zone, self.clock.now_s());
            let mut judging =
                Judging { recurse: self, validator, heard: &heard, spent, proven: Proven::default() };
            let mut verdicts = Vec::with_capacity(links.len());
            for (link, step) in &links {
                let verdict = judging.link(link, step).await;
                verdicts.push(verdict);
                if verdict.is_err() {
                    break;
                }
            }
            let proven = judging.proven;
            let fault = verdicts.last().and_then(|verdict| verdict.err());
            if fault.is_none() || told.is_empty() {
                shown(&mut heard, wanted, &proven, fault.is_none() && verdicts.contains(&Ok(true)));
                found.heard = Some(heard);
                told = self.judged(&found, wanted, &verdicts);
            }
            match (fault, found.from) {
                (None | Some(Fault::Work | Fault::Unreachable), _) | (_, None) => break,
                (Some(fault), Some(server)) => {
                    tracing::debug!(%server, name = %wanted.name, %fault, "bogus");
                    avoid.push(server);
                }
            }
        }
        told
    }

    /// The steps of an answer as it was judged, up to the first that does not hold.
    fn judged(
        &self,
        found: &Found,
        wanted: &Wanted,
        verdicts: &[Result<bool, Fault>],
    ) -> Vec<(Wanted, Step)> {
        let mut steps = self.steps(found, wanted);
        steps.truncate(verdicts.len());
        for ((of, step), verdict) in steps.iter_mut().zip(verdicts) {
            match verdict {
                Ok(is_secure) => step.authentic = *is_secure,
                Err(fault) => {
                    *step = Step::failed(&of.name, step.servers.take(), self.clock.now_s(), 0);
                    step.bogus = fault.extended_error();
                }
            }
        }
        steps
    }

    /// The deepest zone above (or at) a name, as far as it is signed.
    async fn trust(&self, validator: &Validator, name: &Name, spent: &Spent) -> Result<Trust, Fault> {
        let Some((apex, anchors)) = validator.anchor(name) else { return Ok(Trust::Insecure) };
        let now_s = self.clock.now_s();
        let standing = match validator.known(apex, now_s) {
            Some(standing) => standing,
            None => validator.keep(apex, self.keys(apex, anchors, u32::MAX, spent).await, now_s)?,
        };
        let mut zone = match standing {
            Standing::Zone(zone) => zone,
            Standing::Bogus(fault) => return Err(fault),
            _ => return Ok(Trust::Insecure),
        };
        for labels in apex.label_count() + 1..=name.label_count() {
            let at = tail(name, labels);
            let standing = match validator.known(&at, now_s) {
                Some(standing) => standing,
                None => validator.keep(&at, self.below(&zone, &at, spent).await, now_s)?,
            };
            match standing {
                Standing::Zone(below) => zone = below,
                Standing::Within => {}
                Standing::Absent => break,
                Standing::Insecure => return Ok(Trust::Insecure),
                Standing::Bogus(fault) => return Err(fault),
            }
        }
        Ok(Trust::Secure(zone))
    }

    /// What a name below a signed zone is.
    async fn below(&self, zone: &Zone, at: &Name, spent: &Spent) -> Result<(Standing, u32), Fault> {
        let asked = Wanted { name: *at, rtype: rtype::DS, dnssec_ok: true, checking_disabled: true };
        let heard = self.heard_that(&asked, spent, |heard| delegated(heard, zone, at, &spent.budget)).await?;
        match heard {
            Delegated::To(anchors, ttl_s) => self.keys(at, &anchors, ttl_s, spent).await,
            Delegated::None(standing, ttl_s) => Ok((standing, ttl_s)),
        }
    }

    /// The keys of a zone for which there are words.
    async fn keys(
        &self,
        apex: &Name,
        anchors: &[Anchor],
        ttl_s: u32,
        spent: &Spent,
    ) -> Result<(Standing, u32), Fault> {
        if !anchors.iter().any(Anchor::is_supported) {
            return Ok((Standing::Insecure, ttl_s));
        }
        let asked = Wanted { name: *apex, rtype: rtype::DNSKEY, dnssec_ok: true, checking_disabled: true };
        let judge = |heard: &Heard| {
            let set = RrSet::of(&heard.answer, apex, rtype::DNSKEY);
            zone(apex, set.as_ref(), anchors, unix_s(), &spent.budget)
        };
        Ok(match self.heard_that(&asked, spent, judge).await? {
            Some((zone, keys_ttl_s)) => (Standing::Zone(Arc::new(zone)), ttl_s.min(keys_ttl_s)),
            None => (Standing::Insecure, ttl_s),
        })
    }

    /// What follows from what servers say, of the first that says something that holds.
    async fn heard_that<T>(
        &self,
        wanted: &Wanted,
        spent: &Spent,
        judge: impl Fn(&Heard) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut avoid: Vec<SocketAddr> = Vec::new();
        let mut fault = Fault::Unreachable;
        for _ in 0..ATTEMPTS {
            let found = self.hear(self.closest(wanted), wanted, &avoid, 0, spent).await;
            let (Some(heard), Some(server)) = (found.heard, found.from) else { break };
            match judge(&heard) {
                Err(other) if other != Fault::Work => fault = other,
                judged => return judged,
            }
            tracing::debug!(%server, name = %wanted.name, rtype = wanted.rtype, %fault, "bogus");
            avoid.push(server);
        }
        Err(fault)
    }
}

/// What a zone says of a name below it.
enum Delegated {
    /// Words for the keys of the zone there, for so many seconds.
    To(Vec<Anchor>, u32),
    None(Standing, u32),
}

/// What an answer for a DS record says of `at`.
fn delegated(heard: &Heard, zone: &Zone, at: &Name, budget: &Budget) -> Result<Delegated, Fault> {
    let unix_s = unix_s();
    if let Some(set) = RrSet::of(&heard.answer, at, rtype::DS) {
        let verified = verify(&set, zone, unix_s, budget)?;
        if verified.wildcard_of.is_some() {
            return Err(Fault::Bogus);
        }
        let anchors = set.data().filter_map(|data| Anchor::from_data(rtype::DS, data)).collect();
        return Ok(Delegated::To(anchors, verified.ttl_s));
    }
    // Where an alias is, no zone begins.
    let alias = RrSet::of(&heard.answer, at, rtype::CNAME).filter(|set| set.signer(at).is_some());
    let alias = alias.or_else(|| dname(heard, at));
    if let Some(set) = alias {
        let verified = verify(&set, zone, unix_s, budget)?;
        return Ok(Delegated::None(Standing::Within, verified.ttl_s));
    }
    let mut proven = Proven::default();
    let (denial, fault) = denial(heard, zone, &mut proven, unix_s, budget)?;
    let ttl_s = proven.0.iter().map(|(.., ttl_s)| *ttl_s).min().unwrap_or(0);
    match denial.cut(at)? {
        CutProof::Insecure => Ok(Delegated::None(Standing::Insecure, ttl_s)),
        CutProof::Within => Ok(Delegated::None(Standing::Within, ttl_s)),
        CutProof::Absent => Ok(Delegated::None(Standing::Absent, ttl_s)),
        CutProof::Unproven => Err(fault.unwrap_or(Fault::NoProof)),
    }
}

/// The DNAME above a name that an answer has.
fn dname<'a>(heard: &'a Heard, name: &Name) -> Option<RrSet<'a>> {
    let above = |rr: &&Rr| rr.rtype == rtype::DNAME && rr.owner != *name && name.is_below(&rr.owner);
    let owner = heard.answer.iter().find(above)?.owner;
    RrSet::of(&heard.answer, &owner, rtype::DNAME)
}

/// What an answer says that there is not, as far as it holds; and why the rest does not.
fn denial<'a>(
    heard: &'a Heard,
    zone: &Zone,
    proven: &mut Proven,
    unix_s: u32,
    budget: &'a Budget,
) -> Result<(Denial<'a>, Option<Fault>), Fault> {
    let mut denial = Denial::new(zone.apex, budget);
    let mut fault = None;
    let mut seen: Vec<(Name, u16)> = Vec::new();
    for rr in &heard.authority {
        let key = (rr.owner, rr.rtype);
        let says_none = matches!(rr.rtype, rtype::NSEC | rtype::NSEC3) && rr.owner.is_below(&zone.apex);
        if !says_none || seen.contains(&key) || seen.len() >= DENIALS_MAX {
            continue;
        }
        seen.push(key);
        let Some(set) = RrSet::of(&heard.authority, &rr.owner, rr.rtype) else { continue };
        match verify(&set, zone, unix_s, budget) {
            // One that comes from a wildcard speaks of another name.
            Ok(verified) if verified.wildcard_of.is_none() => {
                proven.add(&set, verified.ttl_s);
                heard.authority.iter().filter(|rr| (rr.owner, rr.rtype) == key).for_each(|rr| denial.add(rr));
            }
            Ok(_) => fault = Some(Fault::Bogus),
            Err(Fault::Work) => return Err(Fault::Work),
            Err(other) => fault = Some(other),
        }
    }
    Ok((denial, fault))
}

impl Judging<'_> {
    /// Whether what an answer says of one name is signed; `Err` where it should be and is not.
    async fn link(&mut self, link: &Wanted, step: &Step) -> Result<bool, Fault> {
        if step.answer.is_empty() {
            return self.none(link, step.code).await;
        }
        if step.alias.is_some() {
            return self.alias(&link.name, step).await;
        }
        let mut types = vec![link.rtype];
        if link.rtype == rtype::ANY {
            types = self.heard.answer.iter().filter(|rr| rr.owner == link.name).map(|rr| rr.rtype).collect();
            types.sort_unstable();
            types.dedup();
        }
        // Nobody signs signatures.
        types.retain(|kind| *kind != rtype::RRSIG);
        let mut is_secure = !types.is_empty() && types.len() <= TYPES_MAX;
        for kind in types.into_iter().take(TYPES_MAX) {
            let set = RrSet::of(&self.heard.answer, &link.name, kind).ok_or(Fault::Bogus)?;
            is_secure &= self.set(&set).await?;
        }
        Ok(is_secure)
    }

    /// The same, of records.
    async fn set(&mut self, set: &RrSet<'_>) -> Result<bool, Fault> {
        let above = said_by(&set.owner, set.rtype);
        let Some((anchor, _)) = self.validator.anchor(&above) else { return Ok(false) };
        let signer = set.signer(&above).filter(|signer| signer.is_below(anchor));
        let Some(zone) = self.zone(&above, signer, Fault::Unsigned).await? else { return Ok(false) };
        let verified = verify(set, &zone, unix_s(), &self.spent.budget)?;
        self.proven.add(set, verified.ttl_s);
        let Some(wildcard_of) = verified.wildcard_of else { return Ok(true) };
        let (denial, fault) = denial(self.heard, &zone, &mut self.proven, unix_s(), &self.spent.budget)?;
        believed(denial.no_closer(&set.owner, &wildcard_of)?, fault)
    }

    /// The same, of an alias, which may follow from a DNAME that is signed.
    async fn alias(&mut self, name: &Name, step: &Step) -> Result<bool, Fault> {
        let own = RrSet::of(&self.heard.answer, name, rtype::CNAME).ok_or(Fault::Bogus)?;
        let Some(above) = dname(self.heard, name).filter(|_| own.signer(name).is_none()) else {
            return self.set(&own).await;
        };
        let is_secure = self.set(&above).await?;
        let target = above.data().next().and_then(|data| Name::from_wire(data).ok());
        let follows = target
            .zip(name.below(&above.owner))
            .and_then(|((target, _), labels)| target.below_with(labels).ok());
        let says = step.alias.as_deref().and_then(|alias| Name::from_wire(alias).ok()).map(|(says, _)| says);
        if is_secure && (follows.is_none() || follows != says) {
            return Err(Fault::Bogus);
        }
        self.proven.add(&own, self.proven.0.last().map_or(0, |(.., ttl_s)| *ttl_s));
        Ok(is_secure)
    }

    /// The same, of there being none.
    async fn none(&mut self, link: &Wanted, code: u16) -> Result<bool, Fault> {
        let above = said_by(&link.name, link.rtype);
        let Some((anchor, _)) = self.validator.anchor(&above) else { return Ok(false) };
        let says_none = |rr: &&Rr| matches!(covered(rr), Some(rtype::NSEC | rtype::NSEC3 | rtype::SOA));
        let by = |rr: &Rr| signer(rr).filter(|signer| above.is_below(signer) && signer.is_below(anchor));
        let signer = self.heard.authority.iter().filter(says_none).find_map(by);
        let has_proof = self.heard.authority.iter().any(|rr| matches!(rr.rtype, rtype::NSEC | rtype::NSEC3));
        let unsigned = if has_proof { Fault::Unsigned } else { Fault::NoProof };
        let Some(zone) = self.zone(&above, signer, unsigned).await? else { return Ok(false) };
        if let Some(soa) = RrSet::of(&self.heard.authority, &zone.apex, rtype::SOA) {
            let verified = verify(&soa, &zone, unix_s(), &self.spent.budget)?;
            self.proven.add(&soa, verified.ttl_s);
        }
        let (denial, fault) = denial(self.heard, &zone, &mut self.proven, unix_s(), &self.spent.budget)?;
        let proof = match code {
            rcode::NXDOMAIN => denial.no_name(&link.name)?,
            _ => denial.no_type(&link.name, link.rtype)?,
        };
        believed(proof, fault)
    }

    /// The zone that signed what is said of a name. `None` where it need not be signed.
    async fn zone(
        &self,
        name: &Name,
        signer: Option<Name>,
        unsigned: Fault,
    ) -> Result<Option<Arc<Zone>>, Fault> {
        let at = signer.unwrap_or(*name);
        match (self.recurse.trust(self.validator, &at, self.spent).await?, signer) {
            (Trust::Insecure, _) => Ok(None),
            (Trust::Secure(_), None) => Err(unsigned),
            (Trust::Secure(zone), Some(signer)) if zone.apex == signer => Ok(Some(zone)),
            (Trust::Secure(_), Some(_)) => Err(Fault::Bogus),
        }
    }
}

/// The name whose zone has the say: of a DS record that is the zone above.
fn said_by(name: &Name, kind: u16) -> Name {
    if kind == rtype::DS { name.parent().unwrap_or(Name::ROOT) } else { *name }
}

fn believed(proof: Proof, fault: Option<Fault>) -> Result<bool, Fault> {
    match proof {
        Proof::Holds => Ok(true),
        Proof::Insecure => Ok(false),
        Proof::Nothing => Err(fault.unwrap_or(Fault::NoProof)),
    }
}

/// Leaves of an answer what may be shown: no longer than it holds, nothing unproven beside what is, and no signatures to who did not ask for them.
fn shown(heard: &mut Heard, wanted: &Wanted, proven: &Proven, is_secure: bool) {
    proven.cap(&mut heard.answer);
    proven.cap(&mut heard.authority);
    if is_secure {
        heard.authority.retain(|rr| proven.ttl_s(rr).is_some());
        heard.additional.clear();
    }
    if !wanted.dnssec_ok {
        let asked_for = |rr: &Rr| rr.rtype == wanted.rtype || wanted.rtype == rtype::ANY;
        let plain = |rr: &Rr| !matches!(rr.rtype, rtype::RRSIG | rtype::NSEC | rtype::NSEC3);
        for records in [&mut heard.answer, &mut heard.authority, &mut heard.additional] {
            records.retain(|rr| plain(rr) || asked_for(rr));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_counts_and_the_operators_zones_need_one() {
        let name = |text: &str| Name::from_text(text.as_bytes(), &Name::ROOT).unwrap();
        let anchor =
            |zone: &str| Anchor::from_text(&format!("{zone} DS 1 13 2 {}", "AB".repeat(32))).unwrap();
        let validation = Validation {
            anchors: vec![anchor("island.corp."), anchor("signed."), anchor("both.")],
            negative: vec![name("corp."), name("both."), name("un.signed.")],
        };
        let stubs = [name("signed."), name("lan.")];
        let validator = Validator::new(validation, stubs.into_iter());
        let nearest = |of: &str| validator.anchor(&name(of)).map(|(zone, _)| zone.to_string());
        for (of, zone) in [
            ("example.", Some(".")),
            ("a.corp.", None),
            ("a.island.corp.", Some("island.corp.")),
            ("a.both.", None),
            ("a.signed.", Some("signed.")),
            ("a.un.signed.", None),
            ("a.lan.", None),
            (".", Some(".")),
        ] {
            assert_eq!(nearest(of).as_deref(), zone, "{of}");
        }
    }
}
