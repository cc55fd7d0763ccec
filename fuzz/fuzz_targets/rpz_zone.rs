//! Any text as a policy zone's file: it is read to its end, line by line, and what was taken can be taken back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_resolver::name::{Name, Secret};
use noroshi_resolver::policy::zonefile;
use noroshi_resolver::policy::{Editor, ZoneSettings};

fuzz_target!(|text: &[u8]| {
    let zone = Name::from_text(b"rpz.", &Name::ROOT).unwrap();
    let mut editor = Editor::new(Secret([1; 16]), vec![ZoneSettings::new(zone)]);
    let read = editor.replace_by_file(0, text, text.len() as u64).unwrap();
    let rules = editor.zone(0).unwrap().rules;
    assert!(rules <= read.records);
    let (mut last, mut owned) = (0, Vec::new());
    zonefile::read(text, &zone, |line, record| {
        assert!(line >= last);
        last = line;
        owned.extend(record.ok().map(|record| record.to_owned_record()));
    })
    .unwrap();
    editor.change(0, owned.iter().map(|record| record.lend()), []);
    assert_eq!(editor.zone(0).unwrap().rules, 0, "all of it is taken back");
});
