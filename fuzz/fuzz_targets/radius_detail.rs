//! Any bytes as a `detail` file, bare and as the rest of a valid record: records advance, reasons stay short.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::read_detail;

fuzz_target!(|bytes: &[u8]| {
    let begun = b"Sun Nov 22 11:07:52 2026\n\tAcct-Status-Type = Start\n\tAcct-Session-Id = \"1\"\n\t\
        NAS-IP-Address = 192.0.2.1\n\tTimestamp = 1795345672\n";
    for text in [bytes.to_vec(), [begun, bytes].concat()] {
        let mut details = read_detail(&text[..]);
        let mut failed = false;
        let mut before = 0;
        while let Some(record) = details.next() {
            match record {
                Ok(Ok(_)) => {}
                Ok(Err(bad)) => assert!(bad.line > 0 && bad.reason.len() < 200),
                Err(_) => failed = true,
            }
            assert!(details.offset() >= before);
            before = details.offset();
        }
        assert!(failed || details.offset() == text.len() as u64);
    }
});
