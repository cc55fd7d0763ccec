//! Any JSON as rules of shared addresses, and any question to those that hold: nothing panics, refused ports have no inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::nat_rules::{NatRule, NatRules};

fuzz_target!(|input: (u32, Option<u16>, &[u8])| {
    let (ip, port, bytes) = input;
    let Ok(rules) = serde_json::from_slice::<Vec<NatRule>>(bytes) else { return };
    let Ok(rules) = NatRules::new(rules) else { return };
    let ip = std::net::IpAddr::from(std::net::Ipv4Addr::from(ip));
    let mapped = rules.inside(ip, port, jiff::Timestamp::UNIX_EPOCH);
    assert!(mapped.is_err() || rules.is_shared(ip));
});
