//! Any bytes as a translator's log of each make, as lines and as datagrams: nothing panics, blocks are none that end first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::cgn::{BLOCKS_MAX, CgnFormat, CgnMake, read_cgn, read_cgn_datagram};

const BEGUN: [(CgnMake, &[u8]); 7] = [
    (CgnMake::Juniper, b"RT_SRC_NAT_PBA_ALLOC [internal-ip=\"100.64.0.1\" "),
    (CgnMake::Juniper, b"RT_SRC_NAT_PBA_ALLOC: Subscriber 100.64.0.1 "),
    (CgnMake::Cisco, b"[UserbasedA - 100.64.0.1 "),
    (CgnMake::A10, b"CEF:0|A10|CFW|6|CGN 106|x|5|src=100.64.0.1 "),
    (CgnMake::A10, b"NAT-UDP-B: 100.64.0.1"),
    (CgnMake::F5, b"LSN_PB_ALLOCATED "),
    (CgnMake::Nfware, b"A VRF 0 INT 100.64.0.1 "),
];

fuzz_target!(|bytes: &[u8]| {
    let source = "192.0.2.3".parse().expect("an address");
    let newest = jiff::Timestamp::UNIX_EPOCH;
    for (make, begun) in BEGUN {
        let format = CgnFormat::of(make);
        for text in [bytes.to_vec(), [b"2026-11-22T11:07:03Z h ", begun, bytes, b"\n"].concat()] {
            let mut log = read_cgn(&text[..], &format, Some(newest));
            let mut failed = false;
            for line in log.by_ref() {
                match line {
                    Ok(Ok(told)) => assert!(told.len() <= BLOCKS_MAX),
                    Ok(Err(bad)) => assert!(bad.line > 0 && bad.reason.len() < 200),
                    Err(_) => failed = true,
                }
            }
            assert!(failed || log.offset() == text.len() as u64);
            let _ = read_cgn_datagram(&text, source, newest, 1, &format);
        }
    }
});
