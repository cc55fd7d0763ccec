//! Any bytes as a mail that came back: it is read to its end, keeps no address of what servers said, and names only a bounded
//! number of mails it may be about.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::returned::{What, read};

fuzz_target!(|bytes: &[u8]| {
    let Some(returned) = read(bytes) else { return };
    assert!(returned.of.len() <= 32);
    if let What::Failed(failure) | What::Delayed(failure) = &returned.what {
        assert!(!failure.said.contains('@') && failure.said.chars().count() <= 300);
        assert!(!failure.said.chars().any(char::is_control));
    }
});
