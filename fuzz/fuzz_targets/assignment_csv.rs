//! Any bytes as a table of sessions, with and without ports: rows advance, a session ends no earlier than it begins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_wire::assignment_csv::{AssignmentFormat, read_assignments};

fuzz_target!(|bytes: &[u8]| {
    let shared = AssignmentFormat {
        first_port: Some("lo".into()),
        last_port: Some("hi".into()),
        zone: noroshi_wire::Zone::try_from("Europe/Berlin".to_owned()).ok(),
        ..AssignmentFormat::default()
    };
    let headed = |header: &[u8]| [header, bytes].concat();
    for (text, format) in [
        (bytes.to_vec(), AssignmentFormat::default()),
        (headed(b"address,subscriber,start,end\n"), AssignmentFormat::default()),
        (headed(b"address,lo,hi,subscriber,start,end\n"), shared),
    ] {
        let mut rows = read_assignments(&text[..], &format);
        let mut failed = false;
        for row in rows.by_ref() {
            match row {
                Ok(Ok(told)) => assert!((1..=2).contains(&told.len())),
                Ok(Err(bad)) => assert!(bad.line > 0 && bad.reason.len() < 300),
                Err(_) => failed = true,
            }
        }
        assert!(failed || rows.offset() == text.len() as u64);
    }
});
