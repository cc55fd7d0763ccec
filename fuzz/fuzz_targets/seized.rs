//! Any bytes as the log of a seized server, under several declarations.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::seized::SeizedKind;
use noroshi_wire::{SeizedFormat, TimeFormat, Zone, read_seized};

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, bytes) = input;
    let mut format = SeizedFormat::default();
    if choice & 1 != 0 {
        format.format = SeizedKind::Jsonl;
    } else if choice & 2 != 0 {
        format.header = false;
        format.columns = vec!["time".into(), "ip".into(), "p".into()];
        format.port = Some("p".into());
        format.comment = Some('#');
    }
    if choice & 4 != 0 {
        format.zone = Zone::try_from("Europe/Berlin".to_owned()).ok();
    }
    let pattern =
        ["rfc3339", "epoch", "%d/%b/%Y:%H:%M:%S %z", "%Y-%m-%d %H:%M:%S"][usize::from(choice >> 3) % 4];
    format.time_format = TimeFormat::try_from(pattern.to_owned()).expect("a valid format");
    let mut rows = read_seized(bytes, &format);
    let mut unusable = false;
    let mut before = 0;
    while let Some(row) = rows.next() {
        match row {
            Ok(Ok(row)) => assert!(row.more.len() <= 64 && row.more.values().all(|text| text.len() <= 4096)),
            Ok(Err(bad)) => assert!(bad.line > 0 && bad.snippet.len() <= 64 << 10),
            Err(_) => unusable = true,
        }
        assert!(rows.offset() >= before);
        before = rows.offset();
    }
    assert!(unusable || rows.offset() == bytes.len() as u64);
});
