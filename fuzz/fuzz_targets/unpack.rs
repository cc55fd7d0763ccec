//! Any bytes as a packed report: it is unpacked within bounds, or refused.
#![no_main]

use std::io::Read as _;

use libfuzzer_sys::fuzz_target;
use noroshi_wire::unpack;

fuzz_target!(|bytes: &[u8]| {
    let Ok(members) = unpack(Box::new(std::io::Cursor::new(bytes.to_vec()))) else { return };
    for member in members.take(1001) {
        let Ok(member) = member else { return };
        let mut piece = Vec::new();
        if member.input.take(1 << 20).read_to_end(&mut piece).is_err() {
            return;
        }
    }
});
