//! `kill -9` at random moments of a demo run in a loop: no event lost, no mail twice.
//!
//! `NOROSHI_TEST_SEED` repeats a run, `NOROSHI_TEST_KILLS` sets how many (default 200).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::world::{last_json, noroshi, run, say};

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn seed() -> u64 {
    let clock = std::process::id();
    from_env("NOROSHI_TEST_SEED").unwrap_or(u64::from(clock))
}

fn events(folder: &Path) -> Vec<String> {
    let db = Connection::open(folder.join("noroshi.db")).unwrap();
    let mut statement = db.prepare("SELECT ids FROM event_block").unwrap();
    let blocks = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut ids: Vec<String> =
        blocks.flat_map(|ids| ids.unwrap().chunks(16).map(hex).collect::<Vec<_>>()).collect();
    ids.sort();
    ids
}

/// Mails in the mailbox by Message-ID.
fn mails(folder: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("mailbox")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "eml") {
            let mail = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            let id =
                mail.lines().find_map(|l| l.strip_prefix("Message-ID: ")).expect("a Message-ID").to_owned();
            *found.entry(id).or_default() += 1;
        }
    }
    found
}

#[test]
fn killed_at_any_moment_no_event_is_lost_and_no_mail_is_sent_twice() {
    let seed = seed();
    let kills = from_env("NOROSHI_TEST_KILLS").unwrap_or(200);
    say(format_args!("seed {seed} (NOROSHI_TEST_SEED={seed} repeats it), {kills} kills"));
    let mut random = Random(seed);

    let whole = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let expected = last_json(&run(whole.path(), &["demo", "--once", "--json"]));
    let mut takes_us = begun.elapsed().as_micros() as u64;

    let (mut killed, mut rounds) = (0, 0);
    while killed < kills {
        // One folder is killed several times before it may finish, then a new one begins.
        let folder = tempfile::tempdir().unwrap();
        rounds += 1;
        for _ in 0..(3 + random.below(8)) {
            let mut child = noroshi(folder.path())
                .args(["demo", "--once", "--json"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_micros(random.below(takes_us)));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                killed += 1;
            }
            child.wait().unwrap();
        }
        let begun = Instant::now();
        let totals = last_json(&run(folder.path(), &["demo", "--once", "--json"]));
        // Other tests run beside: how long a run takes changes, and a kill that comes too late is none.
        takes_us = takes_us.min(begun.elapsed().as_micros() as u64);
        let place = format!("seed {seed}, round {rounds}");
        assert_eq!(events(folder.path()), events(whole.path()), "events lost, {place}");
        for key in ["events", "sessions", "cases_open", "cases_closed", "mails", "mails_waiting"] {
            assert_eq!(totals[key], expected[key], "{key}, {place}");
        }
        let mails = mails(folder.path());
        assert!(mails.values().all(|copies| *copies == 1), "a mail twice, {place}: {mails:?}");
        assert_eq!(mails.len() as u64, expected["mails"].as_u64().unwrap(), "mails, {place}");
        run(folder.path(), &["evidence", "verify"]);
    }
    say(format_args!("{killed} kills in {rounds} rounds"));
}
