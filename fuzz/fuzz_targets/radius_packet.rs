//! Any bytes as a RADIUS datagram, bare and under a Request Authenticator that fits: nothing panics, answers fit a packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::radius::{Packet, PACKET_BYTES_MAX, Secret, read_packet};

fuzz_target!(|bytes: &[u8]| {
    let secret = Secret::try_from(b"secret".to_vec()).expect("a secret");
    let source = "192.0.2.1:1813".parse().expect("an address");
    // Attributes as they come: codes, and values of the lengths that follow.
    let mut request = Packet::accounting(1);
    let mut left = bytes;
    while let [code, length, rest @ ..] = left {
        let (value, rest) = rest.split_at(rest.len().min(usize::from(length % 32)));
        request = request.octets(*code, value);
        left = rest;
    }
    for datagram in [bytes.to_vec(), request.signed(&secret)] {
        let Ok(request) = read_packet(&datagram, source, &secret, jiff::Timestamp::UNIX_EPOCH, 1) else { continue };
        assert!(request.response(&secret).len() <= PACKET_BYTES_MAX);
        if let Err(bad) = request.assignments() {
            assert!(bad.line == 1 && bad.reason.len() < 200);
        }
    }
});
