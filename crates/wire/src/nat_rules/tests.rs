//! The worked examples of the RFCs, and what the rules refuse.

use proptest::prelude::*;

use super::*;

fn rules(json: &str) -> NatRules {
    NatRules::new(serde_json::from_str(json).unwrap()).unwrap()
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn ask(rules: &NatRules, ip: &str, port: impl Into<Option<u16>>) -> Result<String, NatRefusal> {
    let mapped = rules.inside(ip.parse().unwrap(), port.into(), at("2026-11-22T11:07:03Z"))?;
    Ok(mapped.inside.to_string())
}

/// RFC 7422 §2: 14 subscribers and a dynamic pool of two blocks on one address.
const RFC7422: &str = r#"[{"kind":"deterministic","inside":"198.51.100.0/28","outside":["192.0.2.1/32"],"ratio":14,"dynamic":2}]"#;

#[test]
fn the_example_of_rfc_7422() {
    let rules = rules(RFC7422);
    let table = [
        (1, 1024, 5055),
        (2, 5056, 9087),
        (3, 9088, 13119),
        (4, 13120, 17151),
        (5, 17152, 21183),
        (6, 21184, 25215),
        (7, 25216, 29247),
        (8, 29248, 33279),
        (9, 33280, 37311),
        (10, 37312, 41343),
        (11, 41344, 45375),
        (12, 45376, 49407),
        (13, 49408, 53439),
        (14, 53440, 57471),
    ];
    for (host, first, last) in table {
        for port in [first, last] {
            assert_eq!(ask(&rules, "192.0.2.1", port), Ok(format!("198.51.100.{host}/32")), "{port}");
        }
    }
    assert_eq!(ask(&rules, "192.0.2.1", 1023), Err(NatRefusal::Reserved));
    assert_eq!(ask(&rules, "192.0.2.1", 57472), Err(NatRefusal::Dynamic));
    assert_eq!(ask(&rules, "192.0.2.1", 65535), Err(NatRefusal::Dynamic));
    assert_eq!(ask(&rules, "192.0.2.1", None), Err(NatRefusal::NoPort));
    assert_eq!(ask(&rules, "192.0.2.2", 2000), Err(NatRefusal::NoRule));
    assert!(
        rules.is_shared("::ffff:192.0.2.1".parse().unwrap())
            && !rules.is_shared("2001:db8::1".parse().unwrap())
    );
}

#[test]
fn deterministic_rules_count_on_over_several_addresses() {
    let two = rules(
        r#"[{"kind":"deterministic","inside":"100.64.0.0/22","boundary-addresses":true,
            "outside":["192.0.2.4/31","203.0.113.9/32"],"ratio":256,"block-size":252}]"#,
    );
    assert_eq!(ask(&two, "192.0.2.4", 1024), Ok("100.64.0.0/32".into()));
    assert_eq!(ask(&two, "192.0.2.5", 1024 + 252), Ok("100.64.1.1/32".into()));
    assert_eq!(ask(&two, "203.0.113.9", 65535), Ok("100.64.2.255/32".into()));
    let dslite = rules(
        r#"[{"kind":"deterministic","inside":"2001:db8::/40","subscriber-length":56,"outside":["192.0.2.0/24"],"ratio":16,
            "reserved":[[1024,1033],[5060,5061]]}]"#,
    );
    // 64,500 ports are left: 4,031 for each of 16.
    assert_eq!(ask(&dslite, "192.0.2.1", 1034), Ok("2001:db8:0:1000::/56".into()));
    assert_eq!(ask(&dslite, "192.0.2.1", 5061), Err(NatRefusal::Reserved));
    assert_eq!(ask(&dslite, "192.0.2.1", 1034 + 4031 + 1), Ok("2001:db8:0:1000::/56".into()));
    assert_eq!(ask(&dslite, "192.0.2.1", 1034 + 4031 + 2), Ok("2001:db8:0:1100::/56".into()));
    assert_eq!(ask(&dslite, "192.0.2.1", 65535), Err(NatRefusal::Reserved));
    let staggered = rules(
        r#"[{"kind":"deterministic","inside":"100.64.0.0/28","boundary-addresses":true,"outside":["192.0.2.1/32"],
            "ratio":14,"dynamic":2,"order":"staggered"}]"#,
    );
    assert_eq!(ask(&staggered, "192.0.2.1", 1024 + 16 * 9 + 13), Ok("100.64.0.13/32".into()));
    assert_eq!(ask(&staggered, "192.0.2.1", 1024 + 14), Err(NatRefusal::Dynamic));
    let small =
        rules(r#"[{"kind":"deterministic","inside":"100.64.0.0/30","outside":["192.0.2.1/32"],"ratio":4}]"#);
    assert_eq!(ask(&small, "192.0.2.1", 65535), Err(NatRefusal::Nobody));
}

/// RFC 7597 Appendix A, examples 1 and 2.
const RFC7597: &str =
    r#"[{"kind":"map-e","ipv6-prefix":"2001:db8::/40","ipv4-prefix":"192.0.2.0/24","ea-length":16}]"#;

#[test]
fn the_examples_of_rfc_7597() {
    let shared = rules(RFC7597);
    for port in [1232, 1235, 2256, 2259, 63696, 63699, 64720, 64723] {
        assert_eq!(ask(&shared, "192.0.2.18", port), Ok("2001:db8:12:3400::/56".into()), "{port}");
    }
    for port in [1231, 1236, 2255, 64724] {
        assert_ne!(ask(&shared, "192.0.2.18", port), Ok("2001:db8:12:3400::/56".into()), "{port}");
    }
    let ranges =
        (0..=u16::MAX).filter(|port| ask(&shared, "192.0.2.18", *port) == Ok("2001:db8:12:3400::/56".into()));
    assert_eq!(ranges.count(), 63 * 4);
    assert_eq!(ask(&shared, "192.0.2.18", 1023), Err(NatRefusal::Reserved));
    assert_eq!(ask(&shared, "192.0.2.18", None), Err(NatRefusal::NoPort));
    // Example 4: no bits of the address, and nobody to share it with.
    let whole = rules(
        r#"[{"kind":"map-e","ipv6-prefix":"2001:db8:12:3400::/56","ipv4-prefix":"192.0.2.18/32","ea-length":0}]"#,
    );
    assert_eq!(ask(&whole, "192.0.2.18", None), Ok("2001:db8:12:3400::/56".into()));
    // After example 5: the same, shared by 256, each PSID told by DHCPv6; ports by §5.1.
    let told = rules(
        r#"[{"kind":"lw4o6","psid-length":8,"psid-offset":6,
            "bindings":[{"softwire":"2001:db8:12:3400::/56","address":"192.0.2.18","psid":32}]}]"#,
    );
    for port in [1152, 1155, 2176, 2179, 63616, 63619, 64640, 64643] {
        assert_eq!(ask(&told, "192.0.2.18", port), Ok("2001:db8:12:3400::/56".into()), "{port}");
    }
    assert_eq!(ask(&told, "192.0.2.18", 1156), Err(NatRefusal::Nobody));
}

#[test]
fn with_an_offset_of_four_a_subscriber_has_240_ports_in_15_ranges() {
    let rules = rules(
        r#"[{"kind":"map-e","ipv6-prefix":"2001:db8::/32","ipv4-prefix":"192.0.2.0/24","ea-length":16,"psid-offset":4}]"#,
    );
    let ports: Vec<u16> =
        (0..=u16::MAX).filter(|p| ask(&rules, "192.0.2.1", *p) == Ok("2001:db8:134::/48".into())).collect();
    assert_eq!(ports.len(), 240);
    assert_eq!(ports.windows(2).filter(|pair| pair[1] != pair[0] + 1).count(), 14);
    assert_eq!(ports[0], 4096 + 0x34 * 16);
}

#[test]
fn a_subscriber_may_have_a_whole_prefix_of_ipv4() {
    let rules = rules(
        r#"[{"kind":"map-e","ipv6-prefix":"2001:db8::/40","ipv4-prefix":"192.0.2.0/24","ea-length":4}]"#,
    );
    assert_eq!(ask(&rules, "192.0.2.18", None), Ok("2001:db8:10::/44".into()));
}

#[test]
fn a_binding_table_names_the_softwire() {
    let rules = rules(
        r#"[{"kind":"lw4o6","psid-length":6,"bindings":[
            {"softwire":"2001:db8:1::1/128","address":"192.0.2.1","psid":1},
            {"softwire":"2001:db8:2::1/128","address":"192.0.2.1","psid":2}]}]"#,
    );
    assert_eq!(ask(&rules, "192.0.2.1", 1024), Ok("2001:db8:1::1/128".into()));
    assert_eq!(ask(&rules, "192.0.2.1", 3071), Ok("2001:db8:2::1/128".into()));
    assert_eq!(ask(&rules, "192.0.2.1", 3072), Err(NatRefusal::Nobody));
    assert_eq!(ask(&rules, "192.0.2.2", 3072), Err(NatRefusal::NoRule));
}

#[test]
fn each_version_answers_for_its_own_time() {
    let versions = rules(
        r#"[{"kind":"map-e","ipv6-prefix":"2001:db8::/40","ipv4-prefix":"192.0.2.0/24","ea-length":16,
             "until":"2026-11-01T00:00:00+09:00"},
            {"kind":"map-e","ipv6-prefix":"2001:db8:ff00::/40","ipv4-prefix":"192.0.2.0/24","ea-length":16,
             "from":"2026-11-01T00:00:00+09:00","until":"2026-12-01T00:00:00Z"}]"#,
    );
    let ask = |time: &str| versions.inside("192.0.2.18".parse().unwrap(), Some(1232), at(time));
    assert_eq!(ask("2026-10-31T14:59:59Z").unwrap().inside.to_string(), "2001:db8:12:3400::/56");
    let later = ask("2026-10-31T15:00:00Z").unwrap();
    assert_eq!(later.inside.to_string(), "2001:db8:ff12:3400::/56");
    let changes = |time: &str| versions.changes_near("192.0.2.18".parse().unwrap(), at(time), 3600);
    assert!(changes("2026-10-31T14:00:00Z") && changes("2026-12-01T01:00:00Z"));
    assert!(!changes("2026-10-31T13:59:59Z") && !changes("2026-12-01T01:00:01Z"));
    assert!(!versions.changes_near("192.0.3.1".parse().unwrap(), at("2026-10-31T15:00:00Z"), 3600));
    assert_eq!(ask("2026-12-01T00:00:00Z").unwrap_err(), NatRefusal::NoRule);
    assert_eq!(format!("{later:?}"), "Mapped(‹redacted›)");
}

#[test]
fn rules_that_contradict_themselves_or_each_other_are_refused() {
    let refused = |json: &str| NatRules::new(serde_json::from_str(json).unwrap()).unwrap_err();
    let one = RFC7597.trim_matches(['[', ']']);
    assert_eq!(refused(&format!("[{one},{one}]")), RuleError::Overlap(1, 2));
    let table =
        r#"{"kind":"lw4o6","psid-length":0,"bindings":[{"softwire":"2001:db8::/56","address":"192.0.2.9"}]}"#;
    assert_eq!(refused(&format!("[{one},{table}]")), RuleError::Overlap(1, 2));
    for (from, to) in [
        ("\"ratio\":14", "\"ratio\":0"),
        ("\"ratio\":14", "\"ratio\":64512"),
        ("\"ratio\":14", "\"ratio\":4294967295"),
        ("192.0.2.1/32", "192.0.2.1/32\",\"192.0.2.0/24"),
        ("\"dynamic\":2", "\"first-port\":9,\"last-port\":8"),
        ("\"dynamic\":2", "\"reserved\":[[9,8]]"),
        ("\"dynamic\":2", "\"block-size\":4609"),
        ("\"dynamic\":2", "\"subscriber-length\":27"),
        ("\"dynamic\":2", "\"subscriber-length\":33"),
        ("\"dynamic\":2", "\"from\":\"2026-01-01T00:00:00Z\",\"until\":\"2026-01-01T00:00:00Z\""),
    ] {
        assert!(matches!(refused(&RFC7422.replace(from, to)), RuleError::Rule(1, _)), "{to}");
    }
    for (from, to) in
        [("\"ea-length\":16", "\"ea-length\":49"), ("\"ea-length\":16", "\"ea-length\":20"), ("/40", "/120")]
    {
        assert!(matches!(refused(&RFC7597.replace(from, to)), RuleError::Rule(1, _)), "{to}");
    }
    for wrong in [
        RFC7422.replace("dynamic", "surprise"),
        RFC7597.replace("\"ea-length\":16", "\"ea-length\":16,\"until\":\"2026-01-01T00:00:00\""),
        RFC7597.replace("map-e", "map"),
    ] {
        assert!(serde_json::from_str::<Vec<NatRule>>(&wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_rule_makes_it_panic(
        inside: u128, length in 0u8..=128, v4: bool, outside: u32, out_length in 0u8..=32, ratio: u32, dynamic in 0u32..70_000,
        ports: (u16, u16), reserved in prop::collection::vec(any::<(u16, u16)>(), 0..3), bits: (u8, u8, u8), port: Option<u16>,
        staggered: bool, probe: u32,
    ) {
        let net = if v4 { IpNet::new(Ipv4Addr::from(inside as u32).into(), length % 33) } else { IpNet::new(Ipv6Addr::from(inside).into(), length) };
        let rule = Deterministic {
            from: None, until: None, inside: net.unwrap(), boundary_addresses: false,
            subscriber_length: (bits.0 > 128).then_some(bits.1), outside: vec![Ipv4Net::new(outside.into(), out_length).unwrap()],
            ratio: ratio % 70_000, dynamic, first_port: ports.0, last_port: ports.1, reserved,
            block_size: None, order: if staggered { Order::Staggered } else { Order::Sequential },
        };
        let map = MapE {
            from: None, until: None, ipv6_prefix: Ipv6Net::new(inside.into(), length).unwrap(),
            ipv4_prefix: Ipv4Net::new(outside.into(), out_length).unwrap(), ea_length: bits.0 % 60, psid_offset: bits.1 % 20,
        };
        let table = Lw4o6 {
            from: None, until: None, psid_length: bits.1, psid_offset: bits.2,
            bindings: vec![Binding { softwire: map.ipv6_prefix, address: outside.into(), psid: ports.0 }],
        };
        for rule in [NatRule::Deterministic(rule), NatRule::MapE(map), NatRule::Lw4o6(table)] {
            if let Ok(rules) = NatRules::new(vec![rule]) {
                let _ = rules.inside(Ipv4Addr::from(outside).into(), port, Timestamp::UNIX_EPOCH);
                let _ = rules.inside(Ipv4Addr::from(probe).into(), port, Timestamp::UNIX_EPOCH);
            }
        }
    }

    #[test]
    fn a_map_domain_gives_each_port_to_one_prefix_and_back(suffix: u8, psid: u8, a in 1u32..64, m in 0u32..4) {
        let port = (a << 10) | (u32::from(psid) << 2) | m;
        let rules = rules(RFC7597);
        let ip = Ipv4Addr::new(192, 0, 2, suffix);
        let mapped = rules.inside(ip.into(), u16::try_from(port).ok(), Timestamp::UNIX_EPOCH).unwrap();
        let expected = Ipv6Addr::new(0x2001, 0xdb8, u16::from(suffix), u16::from(psid) << 8, 0, 0, 0, 0);
        prop_assert_eq!(mapped.inside, IpNet::new(expected.into(), 56).unwrap());
    }
}
