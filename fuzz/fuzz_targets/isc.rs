//! Any bytes as dhcpd's lease files, bare and as the rest of a lease: blocks advance, reasons stay short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::dhcp::LeaseFormat;
use noroshi_wire::isc::read_isc_leases;

const V4: &[u8] = b"lease 198.51.100.20 {\n  starts epoch 1795345623;\n  ends never;\n  uid \"\\001a\";\n";
const V6: &[u8] = b"ia-pd \"\\001\\000\\000\\000\\000\\003\" {\n  cltt epoch 1795345623;\n  iaprefix 2001:db8::/56 {\n";

fuzz_target!(|bytes: &[u8]| {
    for text in [bytes.to_vec(), [V4, bytes].concat(), [V6, bytes].concat()] {
        let mut leases = read_isc_leases(&text[..], &LeaseFormat::default());
        let mut failed = false;
        let mut before = 0;
        while let Some(block) = leases.next() {
            match block {
                Ok(Ok(_)) => {}
                Ok(Err(bad)) => assert!(bad.line > 0 && bad.reason.len() < 200),
                Err(_) => failed = true,
            }
            assert!(leases.offset() >= before);
            before = leases.offset();
        }
        assert!(failed || leases.offset() == text.len() as u64);
    }
});
