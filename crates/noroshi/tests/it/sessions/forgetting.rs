//! What is older than may be kept goes by itself, and the evidence log says so.

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use noroshi_model::{Clock as _, SystemClock};

use super::{Running, config, who};
use crate::mail::until;
use crate::world::{last_json, run, run_any, text};

/// The dossier's, as shipped.
const RETENTION_DAYS: i64 = 180;

#[test]
fn what_is_too_old_is_destroyed_by_itself_and_the_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "[sessions]\nforget-every-s = 1\n");
    let now = SystemClock.now();
    let days_ago = |days: i64| now - SignedDuration::from_hours(24 * days);
    let (old, kept) = (days_ago(RETENTION_DAYS + 20), days_ago(RETENTION_DAYS - 20));
    let mut table = "address,subscriber,start,end\n".to_owned();
    for (n, from) in [(1, old), (2, old), (3, kept)] {
        table += &format!("198.51.100.{n},sub{n},{from},{}\n", from + 600.seconds());
    }
    let file = folder.path().join("sessions.csv");
    std::fs::write(&file, table).unwrap();
    let with = |arguments: &[&str]| {
        run(folder.path(), &[&["--config", config.to_str().unwrap()], arguments].concat())
    };
    with(&["sessions", "import", "--format", "csv", file.to_str().unwrap()]);
    let at = |from: Timestamp| from.as_second() + 300;
    let asked: Vec<_> =
        [(1, old), (2, old), (3, kept)].map(|(n, from)| (Ipv4Addr::new(198, 51, 100, n), at(from))).into();
    let answers = who(folder.path(), &config, &asked);
    assert_eq!(answers, ["one sub1", "one sub2", "one sub3"]);
    // Under each measure that may find a subscriber by an address, and under no other.
    let time = (kept + 300.seconds()).to_string();
    let under = |measure| {
        ["sessions", "who", "--ip", "198.51.100.3", "--at", &time, "--case", "7", "--measure", measure]
    };
    assert!(with(&under("reflector-notice")).starts_with("one: sub3"));
    let config_arguments = ["--config", config.to_str().unwrap()];
    let other = run_any(folder.path(), &[&config_arguments[..], &under("cnc-blocking")].concat());
    assert!(text(&other.stderr).contains("is not one under which the holder of an address may be asked for"));
    assert!(with(&["sessions", "forget", "--dry-run"]).contains("would be forgotten"));

    let running = Running::start(folder.path(), &config);
    until("the old day to be forgotten", || {
        let stats = last_json(&with(&["sessions", "stats", "--json"]));
        (stats["closed"] == 1).then_some(())
    });
    // What was done is written after it was done; who is stopped in between has said only that it was about to.
    until("the log to say so", || {
        with(&["evidence", "list", "--json"]).contains("destroyed: the keys of 1 days").then_some(())
    });
    drop(running);
    let answers = who(folder.path(), &config, &asked);
    assert_eq!(answers[2], "one sub3");
    assert!(answers[..2].iter().all(|answer| answer.starts_with("none")), "{answers:?}");
    let verified = last_json(&with(&["sessions", "verify", "--json"]));
    assert_eq!((&verified["intact"], &verified["overdue"]), (&true.into(), &false.into()));
    let told = with(&["evidence", "list", "--json"]);
    for note in ["about to be destroyed: the keys of", "destroyed: the keys of 1 days before"] {
        assert_eq!(told.matches(note).count(), 1, "{note}: {told}");
    }
    assert!(
        run_any(folder.path(), &["--config", config.to_str().unwrap(), "evidence", "verify"])
            .status
            .success()
    );
    let day = old.as_second().div_euclid(86_400);
    assert!(!folder.path().join(format!("sessions/keys/day-{day}")).exists());
}
