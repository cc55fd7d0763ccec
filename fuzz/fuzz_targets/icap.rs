//! Any octets as a proxy's message, and as the request in it: what is understood is within bounds, and a host is a name without a port.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_resolver::icap::{HEAD_OCTETS_MAX, Head, REQUEST_OCTETS_MAX, Requested, chunk_octets};
use noroshi_resolver::serve::warning::site_name;

fuzz_target!(|octets: &[u8]| {
    if let Ok(Some(head)) = Head::read(octets) {
        assert!(head.octets <= octets.len().min(HEAD_OCTETS_MAX) && head.request_octets <= REQUEST_OCTETS_MAX);
        let request = &octets[head.octets..octets.len().min(head.octets + head.request_octets)];
        let _ = Requested::read(request);
    }
    if let Ok(requested) = Requested::read(octets) {
        assert!(!requested.host.is_empty() && !requested.host.contains('@'));
        assert!(requested.url.starts_with("http") || requested.url.contains("://"));
        if let Some(name) = site_name(requested.host.as_bytes()) {
            assert!(!name.is_root());
        }
    }
    let _ = (chunk_octets(octets), site_name(octets));
});
