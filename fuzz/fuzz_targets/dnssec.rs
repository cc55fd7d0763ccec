//! Any octets as a signed answer: its keys, its signatures at the moment when the first begins, and what it says that there is not, whether that is signed or
//! not. Work is bounded, and what holds is signed by the zone, in the zone, and for no longer than it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_resolver::dnssec::anchor::Anchor;
use noroshi_resolver::dnssec::denial::Denial;
use noroshi_resolver::dnssec::signature::{RrSet, covered, signer, verify, zone};
use noroshi_resolver::dnssec::{Budget, Fault};
use noroshi_resolver::heard::Heard;
use noroshi_resolver::name::Name;

const DNSKEY: u16 = 48;

fuzz_target!(|octets: &[u8]| {
    let _ = std::str::from_utf8(octets).map(Anchor::from_text);
    let Ok(heard) = Heard::read(octets) else { return };
    let all = [heard.answer.clone(), heard.authority.clone(), heard.additional.clone()].concat();
    let budget = Budget::default();
    let signature = all.iter().find(|rr| covered(rr).is_some());
    let apex = signature.and_then(signer).unwrap_or(Name::ROOT);
    let begins = signature.and_then(|rr| rr.data.get(12..16)).map_or([0; 4], |at| at.try_into().unwrap());
    let unix_s = u32::from_be_bytes(begins);
    // Keys that are their own anchors, and those that DS records in the same message vouch for.
    let anchors: Vec<Anchor> = all.iter().filter_map(|rr| Anchor::from_data(rr.rtype, &rr.data)).collect();
    let keys = RrSet::of(&all, &apex, DNSKEY);
    if let Ok(Some((zone, _))) = zone(&apex, keys.as_ref(), &anchors, unix_s, &budget) {
        for rr in &all {
            let Some(set) = RrSet::of(&all, &rr.owner, rr.rtype) else { continue };
            let held = verify(&set, &zone, unix_s, &budget);
            if let Ok(verified) = &held {
                assert!(set.owner.is_below(&apex));
                assert!(verified.ttl_s <= rr.ttl);
                assert!(verified.wildcard_of.is_none_or(|above| set.owner.is_below(&above)));
                assert!(all.iter().any(|rr| covered(rr) == Some(set.rtype) && signer(rr) == Some(apex)));
            }
        }
    }
    for name in all.iter().map(|rr| rr.owner).take(16).filter(|name| name.is_below(&apex)) {
        let mut denial = Denial::new(apex, &budget);
        heard.authority.iter().for_each(|rr| denial.add(rr));
        let above = name.parent().unwrap_or(Name::ROOT);
        let proofs = [
            denial.no_name(&name),
            denial.no_type(&name, 1),
            denial.no_type(&name, 43),
            denial.no_closer(&name, &above),
        ];
        for proof in proofs {
            assert!(matches!(proof, Ok(_) | Err(Fault::Work | Fault::Bogus)), "{proof:?}");
        }
        assert!(!matches!(denial.cut(&name), Err(Fault::NoProof)));
    }
});
