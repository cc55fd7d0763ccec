//! Hostile and broken input: a clear message, nothing lost, the good lines go on, and the counts add up.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::{last_json, noroshi, run, run_any, say, testdata, text};

const COLUMNS: [&str; 6] = ["--address", "client", "--time", "time", "--port", "port"];

fn seized(folder: &Path, file: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let path = testdata(file);
    let arguments = [&["observe", "seized", "--json", path.to_str().unwrap()], &COLUMNS[..], more].concat();
    let output = run_any(folder, &arguments);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn adds_up(counts: &Value) -> bool {
    let n = |key: &str| counts[key].as_u64().unwrap();
    n("read") == n("stored") + n("duplicate") + n("filtered") + n("quarantined")
}

#[test]
fn every_bad_file_is_taken_in_or_refused_with_a_reason_and_the_counts_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut looked_at = 0;
    for entry in std::fs::read_dir(testdata("bad")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (code, out, err) = seized(folder.path(), &format!("bad/{name}"), &[]);
        match code {
            Some(0) => {
                let taken = last_json(&out);
                assert!(adds_up(&taken), "{name}: {taken}");
            }
            Some(1) => assert!(err.starts_with("noroshi: ") && err.len() > 20, "{name}: {err}"),
            other => panic!("{name} ended with {other:?}: {err}"),
        }
        looked_at += 1;
    }
    assert!(looked_at > 25);
    let quarantined = run(folder.path(), &["quarantine", "list", "--json"]);
    assert!(quarantined.lines().count() > 5);
    for line in quarantined.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(!line["reason"].as_str().unwrap().is_empty() && line["line"].as_u64().unwrap() > 0, "{line}");
    }
}

#[test]
fn what_is_wrong_is_said_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let (_, out, _) = seized(folder.path(), "seized/gate-nozone.csv", &[]);
    assert_eq!(last_json(&out)["quarantined"], 10, "a time without a zone is refused");
    let told = run(folder.path(), &["quarantine", "list"]);
    assert!(told.contains("gate-nozone.csv:2") && told.contains("zone"), "{told}");

    let declared = ["--zone", "Asia/Tokyo", "--time-format", "%Y-%m-%d %H:%M:%S"];
    let (_, out, err) = seized(folder.path(), "seized/gate-nozone.csv", &declared);
    assert_eq!(last_json(&out)["stored"], 10, "unless the operator declares it: {err}");

    let (code, _, err) = seized(folder.path(), "bad/really-gzip.csv", &[]);
    assert_eq!(code, Some(1));
    assert!(err.contains("not UTF-8"), "what is packed is unpacked, and here it is noise: {err}");
}

#[test]
fn the_same_log_twice_is_all_duplicates() {
    let folder = tempfile::tempdir().unwrap();
    let first = last_json(&seized(folder.path(), "seized/gate.csv", &[]).1);
    let again = last_json(&seized(folder.path(), "seized/gate.csv", &[]).1);
    assert_eq!(again["duplicate"], first["stored"]);
    assert_eq!(again["stored"], 0);
    let copy = folder.path().join("gate.csv");
    std::fs::copy(testdata("seized/gate.csv"), &copy).unwrap();
    let arguments = [&["observe", "seized", "--json", copy.to_str().unwrap()], &COLUMNS[..]].concat();
    assert_eq!(last_json(&run(folder.path(), &arguments))["stored"], 0, "under another path too");
}

#[test]
fn a_gigabyte_in_one_line_is_one_quarantined_line_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [&["observe", "seized", "--json", "-"], &COLUMNS[..]].concat();
    let mut child =
        noroshi(folder.path()).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"time,client,port\n2026-11-20T00:00:00Z,198.51.100.7,1\n").unwrap();
    let megabyte = vec![b'x'; 1 << 20];
    let mut peak_kib = 0;
    for _ in 0..1024 {
        stdin.write_all(&megabyte).unwrap();
        peak_kib = peak_kib.max(resident_kib(child.id()));
    }
    stdin.write_all(b"\n2026-11-20T00:00:01Z,198.51.100.7,2\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let counts = &last_json(&text(&output.stdout));
    assert_eq!((&counts["stored"], &counts["quarantined"]), (&2.into(), &1.into()), "{counts}");
    assert!(peak_kib < 128 * 1024, "{peak_kib} KiB resident");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A file system of a few megabytes, unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_plainly_and_what_was_acknowledged_is_there_after_making_room() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mount = |options: &str| {
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&small).status()
    };
    if !mount("size=3m").is_ok_and(|s| s.success()) {
        assert!(std::env::var("CI").is_err(), "a small disk could not be mounted in CI");
        say(format_args!("SKIPPED: a small disk needs root to be mounted"));
        return;
    }
    let disk = SmallDisk(&small);
    let log = folder.path().join("large.csv");
    let mut lines = String::from("time,client,port\n");
    for n in 0..20_000 {
        lines.push_str(&format!("2026-11-20T00:00:00Z,198.51.{}.{},{n}\n", 100 + n % 4, n % 250));
    }
    std::fs::write(&log, lines).unwrap();
    let arguments = [&["observe", "seized", "--json", log.to_str().unwrap()], &COLUMNS[..]].concat();
    let output = run_any(&small.join("data"), &arguments);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("disk is full") && said.contains("make room"), "{said}");
    let grown = Command::new("mount").args(["-o", "remount,size=200m"]).arg(&small).status().unwrap();
    assert!(grown.success());
    let after = last_json(&run(&small.join("data"), &arguments));
    assert!(adds_up(&after));
    let db = rusqlite::Connection::open(small.join("data/noroshi.db")).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT events FROM event_head"), 20_000, "nothing is missing");
    assert_eq!(count("SELECT read FROM tally"), 20_000, "and nothing was counted twice");
    drop(db);
    drop(disk);
}
