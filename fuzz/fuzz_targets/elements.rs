//! Any bytes as a JSON document: elements come out in order, and a broken one does not end the reading.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::Elements;

fuzz_target!(|bytes: &[u8]| {
    let mut before = 0;
    for element in Elements::new(bytes) {
        let line = match element.expect("bytes in memory can be read") {
            Ok(element) => element.line,
            Err(bad) => bad.line,
        };
        assert!(line >= before);
        before = line;
    }
});
