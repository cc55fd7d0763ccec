//! What came of it, as it is printed: networks week by week, for the console's reader and for the public, and wordings.

use std::path::Path;

use serde_json::Value;

use crate::world::{last_json, run};

fn networks(folder: &Path, more: &[&str]) -> Vec<Value> {
    let printed = last_json(&run(folder, &[&["outcome", "--networks", "--json"], more].concat()));
    printed.as_array().unwrap().clone()
}

#[test]
fn the_demos_networks_are_counted_week_by_week_and_the_public_is_told_no_small_number() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["demo", "--once", "--json"]);
    let all = networks(folder.path(), &[]);
    assert_eq!(all[0]["network"], "*");
    let weeks = all[0]["weeks"].as_array().unwrap();
    let opened: u64 = weeks.iter().map(|week| week["opened"].as_u64().unwrap()).sum();
    let db = rusqlite::Connection::open(folder.path().join("noroshi.db")).unwrap();
    let cases: i64 = db.query_row("SELECT COUNT(*) FROM cases", [], |row| row.get(0)).unwrap();
    assert!(
        cases > 0 && opened == cases.unsigned_abs(),
        "{opened} of {cases} cases were opened in some week: {weeks:?}"
    );
    assert!(weeks.iter().any(|week| week["infected"].as_u64().unwrap() > 5), "{weeks:?}");

    let told = networks(folder.path(), &["--public"]);
    let mut numbers = 0;
    for week in told.iter().flat_map(|network| network["weeks"].as_array().unwrap()) {
        for key in ["infected", "seen", "opened"] {
            numbers += 1;
            assert!(week[key].as_u64().is_none_or(|n| n == 0 || n >= 5), "{key} in {week}");
        }
    }
    assert!(numbers > 0 && told.len() == all.len());
    let svg = run(folder.path(), &["outcome", "--networks", "--svg", "*"]);
    assert!(svg.starts_with("<svg") && svg.contains("infected subscribers"), "{svg}");
    let table = run(folder.path(), &["outcome", "--networks"]);
    assert!(table.starts_with("All networks\n") && table.contains("/10,000"), "{table}");
    assert_eq!(last_json(&run(folder.path(), &["outcome", "--wordings", "--json"])), Value::Array(vec![]));
}
