//! Whether a range is whose it is said to be: a token is to be found where only who holds the range can put it, or a person of ours says so.
//!
//! Two places are looked at. **Reverse DNS**: a TXT record at `_noroshi-proof` in the zone around the range, or in each of the zones
//! that make it up. **RDAP**: a remark of the network that the registry has around it. Whoever can write there for a larger network holds
//! the smaller one in it, too, or has given it away and answers for it.
//!
//! What was proven is looked for again now and then; what is not there for some days is told of no more until it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use jiff::SignedDuration;
use noroshi_model::organisation::{Proof, Range};

use super::rdap;
use super::settings::AlertFile;
use crate::dns;
use crate::house::House;

/// What the record's name begins with.
const LABEL: &str = "_noroshi-proof";
/// How long it takes until a missing proof is looked for again.
const MISSING_AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// What is to be found.
pub fn wanted(token: &str) -> String {
    format!("noroshi-proof={token}")
}

/// The names at which the token may be: the zone around the range, and those that make it up, all of which have to have it.
pub fn names(prefix: IpNet) -> (String, Vec<String>) {
    let bits = if prefix.network().is_ipv4() { 8 } else { 4 };
    let around = prefix.prefix_len() / bits * bits;
    let within = prefix.prefix_len().div_ceil(bits) * bits;
    let zones = 1u128 << (within - prefix.prefix_len());
    let inner = (0..zones).map(|n| name(nth(prefix, within, n), within / bits)).collect();
    (name(prefix.network(), around / bits), inner)
}

/// The first address of the nth part of a range, parts of so many bits.
fn nth(prefix: IpNet, bits: u8, n: u128) -> IpAddr {
    match prefix.network() {
        IpAddr::V4(first) => {
            let step = u64::from(u32::from(first)) + ((n as u64) << (32 - u32::from(bits)));
            Ipv4Addr::from(step as u32).into()
        }
        IpAddr::V6(first) if bits == 0 => first.into(),
        IpAddr::V6(first) => Ipv6Addr::from(u128::from(first) + (n << (128 - u32::from(bits)))).into(),
    }
}

/// The name of the zone of so many labels of an address (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn name(ip: IpAddr, labels: u8) -> String {
    let (digits, zone): (Vec<String>, _) = match ip {
        IpAddr::V4(ip) => (ip.octets().iter().map(u8::to_string).collect(), "in-addr.arpa."),
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
            (nibbles.map(|nibble| format!("{nibble:x}")).collect(), "ip6.arpa.")
        }
    };
    let mut parts = vec![LABEL.to_owned()];
    parts.extend(digits.into_iter().take(labels.into()).rev());
    parts.push(zone.to_owned());
    parts.join(".")
}

/// Looks for a range's token; where it was found, or why it was not, place by place.
pub fn look(settings: &AlertFile, range: &Range) -> Result<(Proof, String), Vec<String>> {
    let wanted = wanted(&range.token);
    let mut why = Vec::new();
    let has = |name: &String| match dns::texts_of(name, &settings.resolvers) {
        Ok(texts) if texts.contains(&wanted) => Ok(()),
        Ok(texts) => Err(format!("{name} has {} TXT records, and none of them is it", texts.len())),
        Err(e) => Err(format!("{e:#}")),
    };
    let (around, within) = names(range.prefix);
    match has(&around) {
        Ok(()) => return Ok((Proof::ReverseDns, around)),
        Err(e) => why.push(e),
    }
    if within != [around] {
        match within.iter().try_for_each(has) {
            Ok(()) => return Ok((Proof::ReverseDns, within.join(" "))),
            Err(e) => why.push(e),
        }
    }
    match rdap::network(settings, range.prefix) {
        Ok(network) if network.covers(range.prefix) && network.says(&wanted) => {
            return Ok((Proof::Rdap, network.handle));
        }
        Ok(network) => why.push(format!("the registry's {} has no such remark", network.handle)),
        Err(e) => why.push(format!("{e:#}")),
    }
    Err(why)
}

/// Looks for a range's token and writes down what came of it.
pub fn prove(house: &House, range: &Range) -> anyhow::Result<Result<Range, Vec<String>>> {
    let found = look(&house.config.alerts.file, range);
    let now = house.clock.now();
    let (range, result) = match found {
        Ok((proof, found)) => {
            let since = range.proven.unwrap_or(now);
            let range = Range {
                proof: Some(proof),
                found,
                proven: Some(since),
                checked: Some(now),
                missing: 0,
                ..range.clone()
            };
            (range.clone(), Ok(range))
        }
        Err(why) => {
            let missing = range.missing.saturating_add(1);
            let over = missing >= house.config.alerts.file.missing_max;
            let proven = range.proven.filter(|_| !over);
            (Range { proven, checked: Some(now), missing, ..range.clone() }, Err(why))
        }
    };
    house.store.tx("organisation.proof", |tx| tx.put_range(&range))?;
    Ok(result)
}

/// Looks again for proofs that are old or were not there the last time.
pub fn look_again(house: &House) -> anyhow::Result<()> {
    let now = house.clock.now();
    let again = SignedDuration::from_hours(24 * i64::from(house.config.alerts.file.prove_again_days));
    let due = |range: &Range| {
        let pause = if range.missing == 0 { again } else { MISSING_AGAIN };
        let looked_for = range.proven.is_some() && range.proof != Some(Proof::Person);
        looked_for && range.checked.is_none_or(|at| now.duration_since(at) >= pause)
    };
    let all = house.store.look("organisation.ranges", |tx| tx.ranges(None))?;
    for range in all.into_iter().filter(due) {
        let Range { prefix, organisation, .. } = &range;
        if let Err(why) = prove(house, &range)? {
            let why = why.join("; ");
            tracing::warn!(organisation, %prefix, why, "a range's proof is not there any more");
            let did = format!("did not find the proof of {prefix} of {organisation} again: {why}");
            house.note("noroshi", &did)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_zone_around_and_of_those_within() {
        let of = |text: &str| names(text.parse().unwrap());
        let (around, within) = of("203.0.113.0/24");
        assert_eq!(around, "_noroshi-proof.113.0.203.in-addr.arpa.");
        assert_eq!(within, [around.as_str()]);
        let (around, within) = of("198.51.100.0/22");
        assert_eq!(around, "_noroshi-proof.51.198.in-addr.arpa.");
        assert_eq!(within.len(), 4);
        assert_eq!(
            (&*within[0], &*within[3]),
            ("_noroshi-proof.100.51.198.in-addr.arpa.", "_noroshi-proof.103.51.198.in-addr.arpa.")
        );
        let (around, within) = of("203.0.113.248/30");
        assert_eq!((&*around, within.len()), ("_noroshi-proof.113.0.203.in-addr.arpa.", 4));
        assert_eq!(within[3], "_noroshi-proof.251.113.0.203.in-addr.arpa.");
        let (around, within) = of("2001:db8::/32");
        assert_eq!(around, "_noroshi-proof.8.b.d.0.1.0.0.2.ip6.arpa.");
        assert_eq!(within, [around.as_str()]);
        let (_, within) = of("2001:db8:4000::/34");
        assert_eq!(within.len(), 4);
        assert_eq!(within[3], "_noroshi-proof.7.8.b.d.0.1.0.0.2.ip6.arpa.");
        for (whole, labels) in [("0.0.0.0/0", 4), ("::/0", 4), ("::/1", 4), ("0.0.0.0/1", 4)] {
            let (around, within) = of(whole);
            assert!(around.split('.').count() <= labels && within.len() <= 128, "{around}");
        }
    }
}
