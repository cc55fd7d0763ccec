//! Any octets as the messages of a zone's transfer, each after its length: it ends, or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_resolver::name::Name;
use noroshi_resolver::zone::transfer::{Incoming, Transferred};

fuzz_target!(|octets: &[u8]| {
    let Some((kind, mut rest)) = octets.split_first() else { return };
    let zone = Name::from_text(b"rpz.", &Name::ROOT).unwrap();
    let serial = (kind & 1 == 1).then_some(u32::from(kind >> 1));
    let mut whole = 0usize;
    let mut incoming = Incoming::new(&zone, serial, |_| {
        whole += 1;
        Ok(())
    });
    while let [a, b, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*a, *b])).min(after.len());
        let (message, further) = after.split_at(len);
        rest = further;
        match incoming.message(message.to_vec().into()) {
            Ok(false) => {}
            Ok(true) => {
                if let Ok(Transferred::Changes(changes)) = incoming.end() {
                    let at = changes.iter().fold(serial, |at, change| {
                        assert_eq!(at, Some(change.from));
                        Some(change.to)
                    });
                    assert!(at.is_some());
                }
                return;
            }
            Err(_) => return,
        }
    }
});
