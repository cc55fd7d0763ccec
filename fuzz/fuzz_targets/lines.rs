//! Any bytes in any encoding: every byte is accounted for, line numbers count up, nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::lines::Item;
use noroshi_wire::{Encoding, Lines};

const LABELS: [&str; 8] =
    ["utf-8", "shift_jis", "euc-jp", "iso-2022-jp", "windows-1252", "utf-16le", "utf-16be", "gb18030"];

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (label, limit, bytes) = input;
    let encoding: Encoding = LABELS[usize::from(label) % LABELS.len()].parse().expect("a known label");
    let mut lines = Lines::new(bytes, encoding).with_limit(usize::from(limit) + 1);
    let mut count = 0;
    while let Some(item) = lines.next() {
        let Ok(item) = item else { return };
        count += 1;
        let number = match item {
            Item::Line(line) => line.number,
            Item::Bad(bad) => bad.line,
        };
        assert_eq!(number, count);
    }
    assert_eq!(lines.offset(), bytes.len() as u64);
});
