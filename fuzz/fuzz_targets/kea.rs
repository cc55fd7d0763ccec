//! Any bytes as Kea's lease files, under either header, and as its forensic log: rows advance, reasons stay short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::dhcp::LeaseFormat;
use noroshi_wire::kea::{KeaLegalFormat, read_kea_leases, read_kea_legal};

const V4: &[u8] = b"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n";
const V6: &[u8] = b"address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,state,user_context\n";
const LOG: &[u8] = b"2026-11-22 20:07:03 JST Address: 198.51.100.20 has been assigned for ";

fuzz_target!(|bytes: &[u8]| {
    for text in [bytes.to_vec(), [V4, bytes].concat(), [V6, bytes].concat()] {
        let mut leases = read_kea_leases(&text[..], &LeaseFormat::default());
        let mut failed = false;
        for row in leases.by_ref() {
            match row {
                Ok(Ok(told)) => assert_eq!(told.len(), 1),
                Ok(Err(bad)) => assert!(bad.line > 0 && bad.reason.len() < 200),
                Err(_) => failed = true,
            }
        }
        assert!(failed || leases.offset() == text.len() as u64);
    }
    for text in [bytes.to_vec(), [LOG, bytes].concat()] {
        for line in read_kea_legal(&text[..], &KeaLegalFormat::default()).flatten() {
            if let Err(bad) = line {
                assert!(bad.line > 0 && bad.reason.len() < 200);
            }
        }
    }
});
