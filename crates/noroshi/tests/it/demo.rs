//! The demo: the loop turns, its numbers add up, a second run changes nothing, and the law stops it where it must.

use std::path::Path;

use serde_json::Value;

use crate::world::{last_json, run, testdata};

fn play(folder: &Path, more: &[&str]) -> Value {
    last_json(&run(folder, &[&["demo", "--once", "--json"], more].concat()))
}

fn count(totals: &Value, key: &str) -> u64 {
    totals[key].as_u64().unwrap_or_else(|| panic!("{key} in {totals}"))
}

#[test]
fn the_loop_turns_once_and_a_second_turn_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = play(folder.path(), &[]);
    for key in ["events", "findings", "decisions", "mails", "visits", "refusals", "cases_closed"] {
        assert!(count(&first, key) > 0, "{key} in {first}");
    }
    // 411 records of accounting, 36 of them copies by retransmission or proxy.
    assert_eq!(count(&first, "duplicates"), 5 + 36, "the sinkhole's own, and copies of accounting records");
    assert_eq!(count(&first, "cases_open"), 0);
    assert_eq!(count(&first, "mails_waiting"), 0);

    let second = play(folder.path(), &[]);
    for key in ["events", "findings", "decisions", "mails", "cases_closed", "cases_open"] {
        assert_eq!(first[key], second[key], "{key} after the same input again");
    }
    let again = count(&first, "events") + 5 + 411;
    assert_eq!(count(&second, "duplicates"), 5 + 36 + again, "all of it was a duplicate");
    run(folder.path(), &["evidence", "verify"]);
}

/// By sighting: what `testdata/truth.csv` states, with the sinkhole's duplicate lines counted once.
#[test]
fn every_subscriber_that_can_be_named_is_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    play(folder.path(), &[]);
    let truth = std::fs::read_to_string(testdata("truth.csv")).unwrap();
    let told: std::collections::BTreeSet<(String, String)> = truth
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|l| l[5] == "one" && !l[0].contains("nozone"))
        .map(|l| (l[0].rsplit('/').next().unwrap().to_owned(), format!("{} {}", l[2], l[3])))
        .collect();
    let db = rusqlite::Connection::open(folder.path().join("noroshi.db")).unwrap();
    let named: i64 = db
        .query_row("SELECT SUM(sightings) FROM identification WHERE verdict = 'one'", [], |row| row.get(0))
        .unwrap();
    // Two clients of one address in one second are one line of this set and two sightings.
    assert!(named as usize >= told.len() && named < 170, "{named} named, {} told", told.len());
    let unlisted: i64 = db
        .query_row("SELECT COUNT(*) FROM identification WHERE reason LIKE '%directory%'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(unlisted, 0);
}

#[test]
fn without_consent_the_measures_that_need_it_are_refused_by_rule_and_the_others_go_on() {
    let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (with_consent, no_consent) = (play(with.path(), &[]), play(without.path(), &["--without-consent"]));
    assert_eq!(with_consent["events"], no_consent["events"]);
    assert!(count(&no_consent, "mails") < count(&with_consent, "mails"));
    assert!(count(&no_consent, "refusals") > count(&with_consent, "refusals"));
    let db = rusqlite::Connection::open(without.path().join("noroshi.db")).unwrap();
    let by_rule: i64 = db
        .query_row("SELECT COUNT(*) FROM refusal WHERE rule = 'consent-missing'", [], |row| row.get(0))
        .unwrap();
    assert!(by_rule > 0);
    let mailed: i64 = db
        .query_row("SELECT COUNT(*) FROM cases WHERE measure = 'infection-notice'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mailed, 0, "nobody was even looked up");
}

#[test]
fn with_another_purpose_nothing_is_looked_up_and_nobody_is_mailed() {
    let folder = tempfile::tempdir().unwrap();
    let totals = play(folder.path(), &["--purpose", "advertising"]);
    assert_eq!(count(&totals, "mails") + count(&totals, "cases_open") + count(&totals, "cases_closed"), 0);
    assert_eq!(count(&totals, "refusals"), count(&totals, "findings"));
    let db = rusqlite::Connection::open(folder.path().join("noroshi.db")).unwrap();
    let rules: String =
        db.query_row("SELECT GROUP_CONCAT(DISTINCT rule) FROM refusal", [], |row| row.get(0)).unwrap();
    assert_eq!(rules, "purpose-limitation");
    let entries = run(folder.path(), &["evidence", "list", "--json"]);
    assert!(entries.lines().count() > 0);
    assert!(!entries.contains("\"opening\""), "no sealed data was opened");
}

#[test]
fn the_database_holds_no_subscriber_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    play(folder.path(), &[]);
    let mut bytes = std::fs::read(folder.path().join("noroshi.db")).unwrap();
    bytes.extend(std::fs::read(folder.path().join("noroshi.db-wal")).unwrap_or_default());
    for personal in ["sub0001", "利用者", "mail.example.net", "C-0001", "00-53-00"] {
        let found = bytes.windows(personal.len()).any(|w| w == personal.as_bytes());
        assert!(!found, "'{personal}' stands in the database file");
    }
}
