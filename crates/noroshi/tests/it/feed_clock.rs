//! A feed whose times are rounded names nobody where the address changed hands within what the rounding hides; the same
//! address at an exact time, or of a feed that is known to be exact, names the subscriber.

use crate::mail::{Running, edit, until};
use crate::world::{configure, run, testdata};

/// What was found out about one sighting of an address that three subscribers had that day: verdict and reason.
fn identified(time: &str, known: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = configure(folder, "127.0.0.1:9", None, None);
    edit(&config, "[network]\n", &format!("[network]\n{known}\n"));
    let with = |arguments: &[&str]| {
        run(folder, &[&["--config", config.to_str().unwrap()], arguments].concat());
    };
    with(&["law", "approve", "takedown-notice", "--by", "aoki", "--why", "a test"]);
    for day in ["20261118", "20261119", "20261120"] {
        with(&["sessions", "import", testdata(&format!("radius/detail-{day}.txt")).to_str().unwrap()]);
    }
    let report = folder.join("report.csv");
    std::fs::write(&report, format!("{time},198.51.100.17,mirai\n")).unwrap();
    let params = r#"{"columns": ["time.source", "source.ip", "malware.name"], "type": "infected-system"}"#;
    let file = report.to_str().unwrap();
    let load = ["feed", "load", file, "--format", "generic-csv", "--feed-name", "daily", "--params", params];
    with(&[&load, ["--campaign", "daily", "--measure", "takedown-notice"].as_slice()].concat());
    let _running = Running::with_roles(folder, &config, &["orient", "decide", "act"]);
    until("the sighting to be identified", || {
        let db = rusqlite::Connection::open(folder.join("noroshi.db")).ok()?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        db.query_row("SELECT verdict, reason FROM identification", [], read).ok()
    })
}

#[test]
fn rounded_times_name_nobody_near_a_change_of_hands() {
    assert_eq!(identified("2026-11-18T23:40:15Z", "").0, "one");
    let (verdict, reason) = identified("2026-11-19T00:00:00Z", "");
    assert_eq!(verdict, "ambiguous");
    assert!(reason.ends_with("the feed's time may be wrong by 86400 s"), "{reason}");
    assert_eq!(identified("2026-11-19T00:00:00Z", "clock-error-s = { daily = 0 }").0, "one");
    let (verdict, reason) = identified("2026-11-18T23:40:15Z", "clock-error-s = { daily = 14400 }");
    assert_eq!(verdict, "ambiguous", "{reason}");
}
