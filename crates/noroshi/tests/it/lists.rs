//! Repeats counted, and whole lists compared, through the program; with `kill -9` in the middle of both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{last_json, noroshi, run, run_any, say, text};

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n.max(1)
    }
}

/// Every event in the log, as JSON.
fn events(folder: &Path) -> Vec<Value> {
    let store =
        noroshi_store::Store::open(noroshi_store::Address::Sqlite(folder.join("noroshi.db"))).unwrap();
    let logged = store.tx("t", |tx| tx.events_after(0, usize::MAX)).unwrap();
    logged.iter().map(|event| serde_json::from_slice(&event.json).unwrap()).collect()
}

fn time(minutes: u64) -> String {
    let t = jiff::Timestamp::from_second(1_780_000_000 + minutes as i64 * 60).unwrap();
    t.to_string()
}

/// A CSV of times, addresses and ports.
fn bots(lines: &[(u64, u64)]) -> String {
    let mut text = String::from("time,ip,port,url\n");
    for (n, (minute, bot)) in lines.iter().enumerate() {
        let port = 1024 + n % 60_000;
        writeln!(text, "{},192.0.{}.{},{port},", time(*minute), bot >> 8 & 255, bot & 255).unwrap();
    }
    text
}

/// A data folder that knows the format.
fn data_in(folder: &Path, name: &str) -> PathBuf {
    const MAP: &str = "format = \"flat\"\nversion = 1\n[read]\nas = \"csv\"\n\
        [constant]\n\"classification.type\" = \"infected-system\"\n\"malware.name\" = \"mirai\"\n\
        [columns]\ntime = { key = \"time.source\", required = true }\nip = \"source.ip\"\n\
        port = \"source.port\"\nurl = \"source.url\"\n";
    let data = folder.join(name);
    std::fs::create_dir_all(data.join("feeds")).unwrap();
    std::fs::write(data.join("feeds/flat.toml"), MAP).unwrap();
    data
}

fn load(folder: &Path, file: &Path, more: &[&str]) -> Value {
    let mut arguments = vec!["feed", "load", file.to_str().unwrap(), "--json"];
    arguments.extend(more);
    last_json(&run(folder, &arguments))
}

fn counts(loaded: &Value) -> [u64; 6] {
    ["read", "stored", "duplicate", "filtered", "aggregated", "quarantined"]
        .map(|key| loaded[key].as_u64().unwrap())
}

const BOTS: [&str; 5] = ["--format", "flat", "--feed-name", "sinkhole", "--aggregate"];

#[test]
fn the_first_of_repeats_is_stored_and_a_summary_says_how_often() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bots.csv");
    // Bot 1 calls every hour for six hours, a little out of order; bot 2 once; bot 1 again a day later.
    let lines = [(0, 1), (60, 1), (30, 2), (180, 1), (120, 1), (240, 1), (300, 1), (360, 1)];
    std::fs::write(&file, bots(&lines)).unwrap();
    let data = data_in(folder.path(), "data");
    assert_eq!(counts(&load(&data, &file, &BOTS)), [8, 2, 0, 6, 6, 0]);
    assert_eq!(counts(&load(&data, &file, &BOTS)), [8, 0, 8, 0, 0, 0], "the same again counts nothing");
    assert_eq!(events(&data).len(), 2, "it is not over yet");
    let later = folder.path().join("later.csv");
    std::fs::write(&later, bots(&[(2000, 3)])).unwrap();
    assert_eq!(counts(&load(&data, &later, &BOTS)), [1, 1, 0, 0, 0, 0]);
    let all = events(&data);
    assert_eq!(all.len(), 4, "by the feed's time it is over");
    let summary = all.iter().find(|event| event.get("extra.count").is_some()).unwrap();
    assert_eq!(summary["extra.count"], 7);
    assert_eq!(summary["extra.first_seen"].as_str().unwrap(), time(0));
    assert_eq!(summary["extra.last_seen"].as_str().unwrap(), time(360));
    assert_eq!(
        (&summary["time.source"], &summary["source.ip"]),
        (&summary["extra.first_seen"], &all[0]["source.ip"])
    );
    assert_eq!((&summary["feed.name"], &summary["malware.name"]), (&"sinkhole".into(), &"mirai".into()));
    let flushed = last_json(&run(&data, &["feed", "flush", "--json"]));
    assert_eq!(flushed["over"], 0, "told once");
    let flushed = last_json(&run(&data, &["feed", "flush", "sinkhole", "--all", "--json"]));
    assert_eq!(
        (&flushed["over"], &flushed["summaries"]),
        (&1.into(), &0.into()),
        "alone, so nothing to tell"
    );
    assert!(!run_any(&data, &["feed", "flush", "nowhere"]).status.success());
}

/// Whether a file was read in part.
fn in_the_middle(data: &Path) -> bool {
    let Ok(db) = rusqlite::Connection::open(data.join("noroshi.db")) else { return false };
    let part = "SELECT COUNT(*) FROM intake WHERE done = 0 AND position > 0";
    db.query_row(part, [], |row| row.get::<_, i64>(0)).is_ok_and(|parts| parts > 0)
}

/// Reads a file until it is read to its end, killed on the way at random moments; how often in the middle of the file.
fn load_killed(data: &Path, file: &Path, more: &[&str], random: &mut Random, takes: Duration) -> u32 {
    const KILLS: u32 = 6;
    let mut middle = 0;
    for _ in 0..KILLS {
        let mut child = noroshi(data)
            .args(["feed", "load", file.to_str().unwrap(), "--json"])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.below(takes.as_micros() as u64)));
        let killed = child.try_wait().unwrap().is_none() && child.kill().is_ok();
        child.wait().unwrap();
        middle += u32::from(killed && in_the_middle(data));
    }
    load(data, file, more);
    middle
}

fn seed() -> u64 {
    let seed = std::env::var("NOROSHI_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.unwrap_or_else(|| u64::from(std::process::id()))
}

#[test]
fn killed_at_any_moment_no_repeat_is_lost_or_counted_twice() {
    let seed = seed();
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bots.csv");
    let lines: Vec<(u64, u64)> =
        (0..60_000u64).map(|n| (n / 20 + random.below(9), random.below(900))).collect();
    std::fs::write(&file, bots(&lines)).unwrap();
    let told = |data: &Path| -> BTreeMap<String, u64> {
        run(data, &["feed", "flush", "--all"]);
        let mut told = BTreeMap::new();
        for mut event in events(data) {
            event.as_object_mut().unwrap().remove("time.observation");
            *told.entry(event.to_string()).or_default() += 1;
        }
        told
    };
    let whole = data_in(folder.path(), "whole");
    let begun = Instant::now();
    let counted = counts(&load(&whole, &file, &BOTS));
    let takes = begun.elapsed();
    assert!(counted[1] >= 900 && counted[4] > 50_000, "{counted:?}");
    let expected = told(&whole);
    let repeats: u64 = events(&whole)
        .iter()
        .filter_map(|event| event.get("extra.count")?.as_u64())
        .map(|count| count - 1)
        .sum();
    assert_eq!(repeats, counted[4], "every repeat is in a summary");
    let mut killed = 0;
    for round in 0..4 {
        let data = data_in(folder.path(), &format!("killed-{round}"));
        killed += load_killed(&data, &file, &BOTS, &mut random, takes);
        assert_eq!(told(&data), expected, "seed {seed}, round {round}");
    }
    say(format_args!("aggregation: {killed} kills in the middle of a file, seed {seed}"));
    assert!(killed > 0);
}

fn addresses(of: impl Iterator<Item = u32>) -> String {
    let mut text = String::from("# a list\n");
    for n in of {
        writeln!(text, "{}", std::net::Ipv4Addr::from(0x0b00_0000 + n)).unwrap();
    }
    text
}

const LIST: [&str; 5] = ["--format", "ip-list", "--feed-name", "c2", "--list"];

/// What the log tells of a list: what → addresses.
fn changes(folder: &Path) -> BTreeMap<String, u64> {
    let mut told = BTreeMap::new();
    for event in events(folder) {
        let what = event["extra.list"].as_str().unwrap();
        *told.entry(format!("{what} {}", event["source.ip"].as_str().unwrap())).or_default() += 1;
    }
    told
}

#[test]
fn a_list_tells_what_is_new_and_gone_and_a_broken_one_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (data_in(folder.path(), "data"), folder.path().join("c2.txt"));
    let take = |of: Vec<u32>, more: &[&str]| {
        std::fs::write(&file, addresses(of.into_iter())).unwrap();
        let path = file.to_str().unwrap();
        let output = run_any(&data, &[&["feed", "load", path, "--json"], &LIST[..], more].concat());
        (output.status.success(), last_json(&text(&output.stdout)), text(&output.stderr))
    };
    let list = |loaded: &Value| {
        ["added", "changed", "still", "again", "gone"]
            .map(|key| loaded["files"][0]["list"][key].as_u64().unwrap())
    };
    let (good, loaded, _) = take((0..10).chain([3]).collect(), &[]);
    assert!(good);
    assert_eq!((list(&loaded), counts(&loaded)), ([10, 0, 0, 1, 0], [11, 10, 1, 0, 0, 0]));
    let (_, loaded, _) = take((2..11).collect(), &[]);
    assert_eq!((list(&loaded), counts(&loaded)), ([1, 0, 8, 0, 2], [9, 1, 8, 0, 0, 0]));
    let shown: Vec<Value> = run(&data, &["feed", "list-diff", "c2", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut told: Vec<String> = shown[..3].iter().map(|e| format!("{} {}", e["what"], e["name"])).collect();
    told.sort();
    assert_eq!(told, ["\"gone\" \"11.0.0.0\"", "\"gone\" \"11.0.0.1\"", "\"new\" \"11.0.0.10\""]);
    assert_eq!(shown[3]["phase"], "done");

    let before = events(&data).len();
    for few in [vec![], vec![2, 3, 4, 5]] {
        let (good, _, error) = take(few, &[]);
        assert!(!good && error.contains("not believed") && error.contains("--accept-shrunk"), "{error}");
    }
    assert_eq!(events(&data).len(), before, "nothing was taken for gone");
    assert_eq!(run(&data, &["feed", "listed", "c2", "--json"]).lines().count(), 9);
    let (good, loaded, _) = take(vec![2, 3, 4, 5], &["--accept-shrunk"]);
    assert!(good);
    assert_eq!(list(&loaded), [0, 0, 4, 0, 5]);
    let (_, loaded, _) = take(vec![0, 2, 3, 4, 5], &[]);
    assert_eq!(list(&loaded), [1, 0, 4, 0, 0], "what was gone can come again");
    assert_eq!(changes(&data)["new 11.0.0.0"], 2);
    let gone = events(&data).into_iter().find(|event| event["extra.list"] == "gone").unwrap();
    assert!(gone["extra.first_seen"].is_string() && gone["extra.last_seen"].is_string());
    assert!(run(&data, &["feed", "listed", "c2"]).contains("5 entries"));
    assert!(!run_any(&data, &["feed", "listed", "nothing"]).status.success());
}

#[test]
fn what_changed_of_an_entry_is_told_with_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (data_in(folder.path(), "data"), folder.path().join("urls.csv"));
    let take = |ip: &str, at: u64| {
        let line = format!("time,ip,port,url\n{},{ip},,http://c2.example/\n", time(at));
        std::fs::write(&file, line).unwrap();
        load(&data, &file, &["--format", "flat", "--feed-name", "urls", "--list"])
    };
    take("192.0.2.1", 0);
    assert_eq!(counts(&take("192.0.2.1", 60)), [1, 0, 1, 0, 0, 0], "another time is no change");
    assert_eq!(counts(&take("192.0.2.2", 120)), [1, 1, 0, 0, 0, 0]);
    let all = events(&data);
    assert_eq!((all.len(), &all[1]["extra.list"]), (2, &"changed".into()));
    assert_eq!(all[1]["extra.list_was"]["source.ip"], "192.0.2.1");
    let shown = run(&data, &["feed", "list-diff", "urls"]);
    assert!(shown.contains("changed  http://c2.example/") && shown.contains("192.0.2.1"), "{shown}");
}

#[test]
fn a_list_killed_at_any_moment_ends_as_if_nothing_had_happened() {
    let seed = seed();
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let files = [0..40_000, 5_000..45_000].map(|range: std::ops::Range<u32>| {
        let file = folder.path().join(format!("{}.txt", range.start));
        std::fs::write(&file, addresses(range)).unwrap();
        file
    });
    let mut expected = BTreeMap::new();
    for n in 0..45_000u32 {
        let ip = std::net::Ipv4Addr::from(0x0b00_0000 + n);
        expected.insert(format!("new {ip}"), 1);
        if n < 5_000 {
            expected.insert(format!("gone {ip}"), 1);
        }
    }
    let begun = Instant::now();
    load(&data_in(folder.path(), "whole"), &files[0], &LIST);
    let takes = begun.elapsed();
    let mut killed = 0;
    for round in 0..3 {
        let data = folder.path().join(format!("data-{round}"));
        for file in &files {
            killed += load_killed(&data, file, &LIST, &mut random, takes);
        }
        assert_eq!(changes(&data), expected, "seed {seed}, round {round}");
        assert!(run(&data, &["feed", "listed", "c2"]).ends_with("40000 entries\n"));
    }
    say(format_args!("lists: {killed} kills in the middle of a file, seed {seed}"));
    assert!(killed > 0);
}

#[test]
fn a_feed_is_switched_on_in_the_configuration_and_a_campaign_is_not_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bots.csv");
    std::fs::write(&file, bots(&[(0, 1), (1, 1), (2, 1)])).unwrap();
    let config = folder.path().join("noroshi.toml");
    std::fs::write(&config, "[aggregate.sinkhole]\nby = [\"source.ip\", \"source.port\"]\n").unwrap();
    let data = data_in(folder.path(), "data");
    let with = ["--config", config.to_str().unwrap(), "--format", "flat", "--feed-name", "sinkhole"];
    assert_eq!(counts(&load(&data, &file, &with)), [3, 3, 0, 0, 0, 0], "three ports");
    let refused =
        run_any(&data, &[&["feed", "load", file.to_str().unwrap(), "--campaign", "c"], &with[..]].concat());
    assert!(!refused.status.success() && text(&refused.stderr).contains("without --campaign"));
    std::fs::write(&config, "[aggregate.x]\nsilence = \"0s\"\n").unwrap();
    let refused = run_any(&data, &["--config", config.to_str().unwrap(), "feed", "formats"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("aggregate.x"));
}
