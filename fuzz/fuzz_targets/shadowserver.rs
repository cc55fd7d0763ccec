//! Any bytes as a sinkhole report, bare and behind a valid header; every row becomes an event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::read_sinkhole_http;

fuzz_target!(|bytes: &[u8]| {
    let header = b"timestamp,src_ip,src_port,src_asn,family,http_host,http_url\n2026-11-20 03:12:00,::1,";
    for text in [bytes.to_vec(), [header, bytes].concat()] {
        for row in read_sinkhole_http(&text[..]).flatten().flatten() {
            let event = row.event("feed", "code", jiff::Timestamp::UNIX_EPOCH);
            assert!(event.source.ip.is_some());
        }
    }
});
