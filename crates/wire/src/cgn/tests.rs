//! Lines after the vendors' documents, with documentation addresses.

use proptest::prelude::*;

use super::*;

const STAMP: &str = "2026-11-22T20:07:03+09:00 cgn1 ";
const STRUCTURED: &str = "RT_NAT - RT_SRC_NAT_PBA_ALLOC [junos@2636.1.1.1.2.25 internal-ip=\"100.64.0.1\" block-used=\"1\" \
    block-max-per-host=\"4\" block-port-low=\"48640\" block-port-high=\"48895\" reflexive-ip=\"203.0.113.9\" \
    nat-pool-name=\"a b=\" logical-system-id=\"0\" epoch-time-64=\"6a22d0c9\"]";
const PLAIN: &str = "RT_NAT: RT_SRC_NAT_PBA_RELEASE: Subscriber 100.64.0.1 used/maximum [0/4] blocks, releases port block \
    [48640-48895] from 203.0.113.9 in source pool p lsys_id: 0 epoch 0x6a22d0c7";
const CISCO: &str = "1 2026 Nov 22 11:07:03 192.0.2.3 - - NAT44 - [UserbasedA - 100.64.0.1 INSIDE - 203.0.113.9 - 2048 3071 - -]\
    [SessionbasedW TCP 100.64.0.2 INSIDE - 203.0.113.9 5000 1500 - - -] [UserbasedW - - DS 2001:db8::7 203.0.113.8 - 1024 2047 - -] \
    [Portblockrunout - 100.64.0.3 INSIDE - - - - - - -]";
const A10: &str = "CEF:0|A10|CFW|6.0.0-P1|CGN 106|Nat Port Batch Pool Allocated|5|proto=UDP src=100.64.0.1 \
    sourceTranslatedAddress=203.0.113.9 sourceTranslatedPort=22016 cn3=22271 cn3Label=Last Nat Port";
const F5: &str = "\"LSN_PB_ALLOCATED\" \"100.64.0.1%0\" \"203.0.113.9:1024-2047\"";
const NFWARE: &str = "- - - - A VRF 0 INT 100.64.0.1 EXT 203.0.113.9:1024-1535";

/// Change, outside, first and last port, inside, protocol.
fn read(make: CgnMake, message: &str) -> Result<Vec<String>, String> {
    let told = blocks(message, &CgnFormat::of(make))?.unwrap_or_default();
    let text = |t: &Told<'_>| {
        let ports = t.ports.map_or("-".into(), |(first, last)| format!("{first}-{last}"));
        format!("{:?} {} {ports} {} {}", t.change, t.outside, t.inside, t.protocol.unwrap_or("-"))
    };
    Ok(told.iter().map(text).collect())
}

fn one(make: CgnMake, message: &str) -> String {
    let mut told = read(make, message).unwrap();
    assert_eq!(told.len(), 1, "{message}");
    told.remove(0)
}

#[test]
fn junos_is_read_structured_and_plain() {
    assert_eq!(one(CgnMake::Juniper, STRUCTURED), "Start 203.0.113.9 48640-48895 100.64.0.1 -");
    let interim = STRUCTURED.replace("ALLOC", "INTERIM");
    assert_eq!(one(CgnMake::Juniper, &interim), "Interim 203.0.113.9 48640-48895 100.64.0.1 -");
    assert_eq!(one(CgnMake::Juniper, PLAIN), "Stop 203.0.113.9 48640-48895 100.64.0.1 -");
    let older =
        "jservices-nat: JSERVICES_NAT_PORT_BLOCK_ALLOC: 100.64.0.1 -> 203.0.113.9:1024-1151 0x6a22d0c7";
    assert_eq!(one(CgnMake::Juniper, older), "Start 203.0.113.9 1024-1151 100.64.0.1 -");
}

#[test]
fn junos_says_by_its_own_clock_when_a_block_was_allocated() {
    let format = CgnFormat::of(CgnMake::Juniper);
    let line = |message: &str, format: &CgnFormat| {
        let line = Line { number: 5, text: format!("{STAMP}{message}"), ended: true };
        from_line(&line, format, None).unwrap().remove(0)
    };
    let start = line(STRUCTURED, &format);
    assert_eq!((start.at.to_string().as_str(), start.server.as_str()), ("2026-11-22T11:07:03Z", "cgn1"));
    assert_eq!((start.line, start.began), (5, None));
    assert_eq!(start.whom, Some(Whom::Inside("100.64.0.1".parse().unwrap())));
    let epoch = 0x6a22_d0c9 - start.at.as_second();
    assert_eq!(start.clock_offset_s, Some(epoch));
    let interim = STRUCTURED.replace("ALLOC", "INTERIM");
    assert_eq!((line(&interim, &format).began, line(&interim, &format).clock_offset_s), (None, None));
    let trusting = CgnFormat { trust_clock: true, server: Some("pair".into()), ..format };
    let told = line(&interim, &trusting);
    assert_eq!((told.began.map(Timestamp::as_second), told.server.as_str()), (Some(0x6a22_d0c9), "pair"));
}

#[test]
fn a_datagram_of_cisco_tells_of_several() {
    let told = read(CgnMake::Cisco, CISCO).unwrap();
    assert_eq!(
        told,
        [
            "Start 203.0.113.9 2048-3071 100.64.0.1 -",
            "Stop 203.0.113.9 1500-1500 100.64.0.2 TCP",
            "Stop 203.0.113.8 1024-2047 2001:db8::7 -"
        ]
    );
    let inside = CgnFormat { vrfs: vec!["INSIDE".into()], ..CgnFormat::of(CgnMake::Cisco) };
    let received = "2026-11-22T11:07:03Z".parse().unwrap();
    assert_eq!(super::told(CISCO, received, "x", 1, &inside).unwrap().len(), 2);
    let source = "::ffff:192.0.2.3".parse().unwrap();
    let mut sealed = read_cgn_datagram(CISCO.as_bytes(), source, received, 1, &CgnFormat::of(CgnMake::Cisco));
    assert_eq!((sealed.len(), sealed.remove(0).unwrap().len()), (1, 3));
    let batch = format!("{A10}\r\nnoise\n{}\n\0", A10.replace("src=", "src=x"));
    let told = read_cgn_datagram(batch.as_bytes(), source, received, 1, &CgnFormat::of(CgnMake::A10));
    let told: Vec<_> =
        told.into_iter().map(|told| told.map(|told| told.len()).map_err(|bad| bad.reason)).collect();
    assert_eq!(told, [Ok(1), Ok(0), Err("an address is none".into())]);
}

#[test]
fn acos_is_read_as_cef_and_ascii() {
    assert_eq!(one(CgnMake::A10, A10), "Start 203.0.113.9 22016-22271 100.64.0.1 UDP");
    let freed = A10.replace("CGN 106|Nat Port Batch Pool Allocated", "CGN 107|Nat Port Batch Pool Freed");
    assert_eq!(one(CgnMake::A10, &freed), "Stop 203.0.113.9 22016-22271 100.64.0.1 UDP");
    let single = A10
        .replace("CGN 106", "CGN 100")
        .replace(" cn3=22271 cn3Label=Last Nat Port", " dst=192.0.2.80 dpt=0");
    assert_eq!(one(CgnMake::A10, &single), "Start 203.0.113.9 22016-22016 100.64.0.1 UDP");
    assert_eq!(
        one(CgnMake::A10, "Nov 22 20:07:03 NAT-TOKYO NAT-UDP-D: 100.64.0.1:5 -> 203.0.113.9:22016"),
        "Stop 203.0.113.9 22016-22016 100.64.0.1 UDP"
    );
    for (message, expected) in [
        ("NAT-UDP-C: 100.64.0.1:5000 -> 203.0.113.9:22016", "Start 203.0.113.9 22016-22016 100.64.0.1 UDP"),
        (
            "NAT-TCP-D: 100.64.0.1:5000<-->203.0.113.9:22016 to 192.0.2.80:443",
            "Stop 203.0.113.9 22016-22016 100.64.0.1 TCP",
        ),
        (
            "NAT-TCP-C: 100.64.0.1:5000<->192.0.2.80:443,203.0.113.9:22016<-->192.0.2.80:443",
            "Start 203.0.113.9 22016-22016 100.64.0.1 TCP",
        ),
        ("NAT-UDP-B: 100.64.0.1 -> 203.0.113.9:22016-22271", "Start 203.0.113.9 22016-22271 100.64.0.1 UDP"),
        ("FIXED-NAT-PORTS 100.64.0.1->203.0.113.9:3000-4000", "Interim 203.0.113.9 3000-4000 100.64.0.1 -"),
    ] {
        assert_eq!(one(CgnMake::A10, message), expected);
    }
}

#[test]
fn big_ip_is_read_in_each_of_its_forms() {
    assert_eq!(one(CgnMake::F5, F5), "Start 203.0.113.9 1024-2047 100.64.0.1 -");
    for (message, expected) in [
        (
            "LSN_ADD 100.64.0.1%0:5000 6 203.0.113.9%0:1024 192.0.2.80 443",
            "Start 203.0.113.9 1024-1024 100.64.0.1 6",
        ),
        ("LSN_PB_RELEASED 100.64.0.1%0 203.0.113.9:1024-2047", "Stop 203.0.113.9 1024-2047 100.64.0.1 -"),
        (
            "pool=\"/Common/LSN_EAST\",lsn_event=\"LSN_PB_RELEASED\",lsn_client=\"100.64.0.1%0\",lsn_pb=\"203.0.113.9: 1024 - 2047\"",
            "Stop 203.0.113.9 1024-2047 100.64.0.1 -",
        ),
        (
            "ip_protocol=\"TCP\",lsn_event=\"LSN_DELETE\",cli=\"100.64.0.1:5000\",nat=\"203.0.113.9:1024\"",
            "Stop 203.0.113.9 1024-1024 100.64.0.1 TCP",
        ),
    ] {
        assert_eq!(one(CgnMake::F5, message), expected);
    }
}

#[test]
fn nfware_is_read_with_blocks_mappings_and_whole_addresses() {
    assert_eq!(one(CgnMake::Nfware, NFWARE), "Start 203.0.113.9 1024-1535 100.64.0.1 -");
    let mapping = "D VRF 0 6 INT 100.64.0.1:5000 EXT 203.0.113.9:28475 DST 192.0.2.80:443 DIR OUT";
    assert_eq!(one(CgnMake::Nfware, &format!("x {mapping}")), "Stop 203.0.113.9 28475-28475 100.64.0.1 6");
    assert_eq!(
        one(CgnMake::Nfware, "A VRF 0 INT 100.64.0.1 EXT 203.0.113.9"),
        "Start 203.0.113.9 - 100.64.0.1 -"
    );
}

#[test]
fn a_summary_of_several_blocks_is_several_ends() {
    let summary = "D VRF 0 INT 100.64.0.1 EXT 203.0.113.9:1024-1535,4096-4607,8192-8703";
    let told = read(CgnMake::Nfware, summary).unwrap();
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], "Stop 203.0.113.9 8192-8703 100.64.0.1 -");
    let released = F5.replace("ALLOCATED", "RELEASED").replace("1024-2047", "1024-2047,4096-5119");
    assert_eq!(read(CgnMake::F5, &released).unwrap().len(), 2);
    let many = format!("D VRF 0 INT 100.64.0.1 EXT 203.0.113.9:{}", vec!["1-2"; 300].join(","));
    assert_eq!(read(CgnMake::Nfware, &many), Err("it tells of more than 256 blocks".into()));
}

#[test]
fn lines_about_something_else_tell_nothing() {
    for make in [CgnMake::Juniper, CgnMake::Cisco, CgnMake::A10, CgnMake::F5, CgnMake::Nfware] {
        let noise = "sshd[1]: Accepted\nRT_SRC_NAT_SUBS_POOL_ALARM_RAISE: Subscriber ip: 100.64.0.1 [a b] LSN_ERROR x VRF ";
        assert_eq!(read(make, noise), Ok(Vec::new()));
    }
}

#[test]
fn messages_that_are_broken_are_bad_and_reasons_have_no_values() {
    let samples = [
        (CgnMake::Juniper, STRUCTURED),
        (CgnMake::Juniper, PLAIN),
        (CgnMake::Cisco, CISCO),
        (CgnMake::A10, A10),
        (CgnMake::F5, F5),
        (CgnMake::Nfware, NFWARE),
    ];
    for (make, sample) in samples {
        for (from, to) in [("100.64.0.1", "secret"), ("203.0.113.9", "secret"), ("203.0.113.9", "")] {
            let reason = read(make, &sample.replacen(from, to, 1)).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
    let backwards = NFWARE.replace("1024-1535", "1535-1024");
    assert_eq!(read(CgnMake::Nfware, &backwards), Err("a block of ports ends before it begins".into()));
    for ports in ["+1024-1535", "1024-70000", "1024-", ""] {
        assert!(read(CgnMake::Nfware, &NFWARE.replace("1024-1535", ports)).is_err(), "{ports}");
    }
}

#[test]
fn a_log_is_read_line_by_line() {
    let text = format!("{STAMP}{NFWARE}\n{STAMP}noise\n{NFWARE}\n\0\n{STAMP}{NFWARE}");
    let mut log = read_cgn(text.as_bytes(), &CgnFormat::of(CgnMake::Nfware), None);
    let told: Vec<_> = log
        .by_ref()
        .map(|line| line.unwrap().map(|told| told.len()).map_err(|bad| (bad.line, bad.reason)))
        .collect();
    assert_eq!((&told[0], &told[1]), (&Ok(1), &Ok(0)));
    assert!(told[2].as_ref().is_err_and(|(line, reason)| *line == 3 && reason.contains("syslog")));
    assert!(told[3].is_err());
    assert_eq!(told[4], Err((5, "cut off".into())));
    assert_eq!((log.offset(), log.lines()), (text.len() as u64, 5));
    let source = "192.0.2.3".parse().unwrap();
    let received = "2026-11-22T11:07:03Z".parse().unwrap();
    let bad = read_cgn_datagram(b"\xff VRF ", source, received, 9, &CgnFormat::of(CgnMake::Nfware))
        .remove(0)
        .unwrap_err();
    assert_eq!((bad.line, bad.reason.as_str()), (9, "not UTF-8"));
}

#[test]
fn a_declaration_is_read_from_configuration() {
    let format: CgnFormat =
        serde_json::from_str(r#"{"make":"cisco","zone":"UTC","vrfs":["INSIDE"],"trust-clock":true}"#)
            .unwrap();
    assert!(format.trust_clock && format.wants(Some("INSIDE")) && !format.wants(None));
    assert!(serde_json::from_str::<CgnFormat>(r#"{"make":"cisco","trust_clock":true}"#).is_err());
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(text in ".{0,80}", cut in 0usize..400, more in "[-0-9:.,\"\\[\\]<> =A-Z|é]{0,20}") {
        for make in [CgnMake::Juniper, CgnMake::Cisco, CgnMake::A10, CgnMake::F5, CgnMake::Nfware] {
            for sample in [STRUCTURED, PLAIN, CISCO, A10, F5, NFWARE, "NAT-UDP-B: 1.1.1.1 -> 2.2.2.2:1-2", "JSERVICES_NAT_PORT_BLOCK_ALLOC: "] {
                let cut = sample.floor_char_boundary(cut);
                for message in [format!("{}{more}{}", &sample[..cut], &sample[cut..]), format!("{}{text}", &sample[..cut])] {
                    if let Err(reason) = read(make, &message) {
                        prop_assert!(reason.len() < 100);
                    }
                }
            }
        }
    }
}
