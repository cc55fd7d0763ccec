//! Feeds under load: killed at any moment, a database that goes away, lines torn at random. Whatever happens, what came in
//! is stored, a duplicate, filtered, or in quarantine, once.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{last_json, noroshi, run, say, server};

const FORMAT: [&str; 6] =
    ["--format", "shadowserver", "--feed-name", "synth", "--file-name", "event4_sinkhole_http.csv"];

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A report of `lines` lines: one in twenty is a line that was there before, one in a hundred has no time. Gives the
/// number of different good lines and of bad ones.
fn report(path: &Path, lines: u64, random: &mut Random) -> (u64, u64) {
    let mut text = String::from("\"timestamp\",\"src_ip\",\"src_port\",\"infection\",\"http_host\"\n");
    let (mut different, mut bad) = (0, 0);
    for n in 0..lines {
        let kind = random.below(100);
        let n = if kind < 5 && n > 0 { random.below(n) } else { n };
        if kind == 99 {
            bad += 1;
            let _ = writeln!(text, "\"never\",203.0.113.1,{},mirai,x{n}.example", n % 60_000);
            continue;
        }
        let _ = writeln!(
            text,
            "\"2026-11-20 {:02}:{:02}:{:02}\",198.51.{}.{},{},mirai,\"h{n}.example\"",
            n / 3600 % 24,
            n / 60 % 60,
            n % 60,
            n / 250 % 250,
            n % 250,
            1024 + n % 60_000
        );
    }
    let mut seen = BTreeSet::new();
    for line in text.lines().skip(1).filter(|line| !line.contains("never")) {
        different += u64::from(seen.insert(line));
    }
    std::fs::write(path, text).unwrap();
    (different, bad)
}

/// What the database says of the feed: read, stored, duplicate, filtered, quarantined; events; lines in quarantine.
fn counted(folder: &Path) -> ([u64; 5], u64, u64) {
    let db = rusqlite::Connection::open(folder.join("noroshi.db")).unwrap();
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs();
    let tally = db
        .query_row(
            "SELECT read, stored, duplicate, filtered, quarantined FROM tally WHERE kind = 'feed'",
            [],
            |row| Ok([0, 1, 2, 3, 4].map(|at| row.get::<_, i64>(at).unwrap().unsigned_abs())),
        )
        .unwrap();
    (tally, number("SELECT events FROM event_head"), number("SELECT COUNT(*) FROM quarantine"))
}

/// Whether the file was read to its end.
fn done(folder: &Path) -> bool {
    let Ok(db) = rusqlite::Connection::open(folder.join("noroshi.db")) else { return false };
    db.query_row("SELECT done FROM intake", [], |row| row.get::<_, i64>(0)).is_ok_and(|done| done == 1)
}

/// The ids of all events, in the order in which they are stored.
fn ids(folder: &Path) -> Vec<Vec<u8>> {
    let db = rusqlite::Connection::open(folder.join("noroshi.db")).unwrap();
    let mut statement = db.prepare("SELECT ids FROM event_block ORDER BY first_seq").unwrap();
    let blocks = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    blocks.flat_map(|ids| ids.unwrap().chunks(16).map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
}

fn load(folder: &Path, file: &Path) -> std::process::Command {
    let mut command = noroshi(folder);
    command.args(["feed", "load", "--json"]).args(FORMAT).arg(file);
    command
}

#[test]
fn killed_at_any_moment_under_load_every_line_is_counted_once() {
    let kills = from_env("NOROSHI_TEST_FEED_KILLS", 60);
    let seed = from_env("NOROSHI_TEST_SEED", u64::from(std::process::id()));
    say(format_args!(
        "seed {seed} (NOROSHI_TEST_SEED={seed} repeats it), {kills} kills (NOROSHI_TEST_FEED_KILLS)"
    ));
    let mut random = Random(seed | 1);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("report.csv");
    const LINES: u64 = 150_000;
    let (different, bad) = report(&file, LINES, &mut random);

    let whole = place.path().join("whole");
    let begun = Instant::now();
    assert!(load(&whole, &file).stdout(Stdio::null()).status().unwrap().success());
    let takes_us = begun.elapsed().as_micros() as u64;
    let expected: BTreeSet<Vec<u8>> = ids(&whole).into_iter().collect();
    assert_eq!(expected.len() as u64, different);

    let (mut killed, mut rounds) = (0, 0);
    while killed < kills {
        rounds += 1;
        let folder = place.path().join(format!("round-{rounds}"));
        loop {
            let mut child = load(&folder, &file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(random.below(takes_us)));
            if child.try_wait().unwrap().is_some() || killed >= kills {
                child.wait().unwrap();
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            // Killed between its last batch and its end: started again it would read the file anew, all duplicates.
            if done(&folder) {
                break;
            }
        }
        let place = format!("seed {seed}, round {rounds}");
        let (tally, events, quarantined) = counted(&folder);
        assert_eq!(tally, [LINES, different, LINES - different - bad, 0, bad], "{place}");
        assert_eq!((events, quarantined), (different, bad), "{place}");
        let stored = ids(&folder);
        assert_eq!(stored.len() as u64, different, "doubled, {place}");
        assert_eq!(stored.into_iter().collect::<BTreeSet<_>>(), expected, "lost, {place}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
    say(format_args!("{killed} kills in {rounds} rounds"));
}

#[test]
fn of_lines_torn_at_random_the_good_ones_are_stored_and_the_bad_ones_kept_with_their_numbers() {
    let seed = from_env("NOROSHI_TEST_SEED", u64::from(std::process::id()));
    say(format_args!("seed {seed} (NOROSHI_TEST_SEED={seed} repeats it)"));
    let mut random = Random(seed | 1);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("report.csv");
    report(&file, 20_000, &mut random);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut torn: BTreeSet<u64> = BTreeSet::new();
    let mut bytes: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    for (at, line) in bytes.iter_mut().enumerate().skip(1) {
        if random.below(10) == 0 {
            torn.insert(at as u64 + 1);
            for _ in 0..=random.below(3) {
                let place = random.below(line.len() as u64) as usize;
                // Any byte but a line's end, which would make it two lines.
                let byte = (random.below(255) + 1) as u8;
                line[place] = if matches!(byte, b'\n' | b'\r') { b'"' } else { byte };
            }
        }
    }
    std::fs::write(&file, [bytes.join(&b'\n'), vec![b'\n']].concat()).unwrap();

    let folder = place.path().join("data");
    let summary = last_json(&String::from_utf8(load(&folder, &file).output().unwrap().stdout).unwrap());
    let count = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(
        count("read"),
        count("stored") + count("duplicate") + count("filtered") + count("quarantined")
    );
    let kept = quarantine(&folder);
    let bad_before: BTreeSet<u64> = text
        .lines()
        .zip(1..)
        .filter(|(line, n)| line.contains("never") && !torn.contains(n))
        .map(|(_, n)| n)
        .collect();
    let kept_lines: BTreeSet<u64> = kept.iter().map(|q| q["line"].as_u64().unwrap()).collect();
    assert!(
        bad_before.is_subset(&kept_lines),
        "bad lines that were read: {:?}",
        bad_before.difference(&kept_lines)
    );
    let wrong: Vec<_> = kept_lines.difference(&torn).filter(|n| !bad_before.contains(n)).collect();
    assert!(wrong.is_empty(), "good lines in quarantine: {wrong:?} (seed {seed})");
    assert!(kept_lines.iter().any(|n| torn.contains(n)), "tearing did nothing");

    // All good lines: what they say alone is what is stored.
    let good: Vec<&str> = text
        .lines()
        .zip(1..)
        .filter(|(line, n)| *n > 1 && !line.contains("never") && !torn.contains(n))
        .map(|(line, _)| line)
        .collect();
    let clean = place.path().join("clean.csv");
    std::fs::write(&clean, format!("{}\n{}\n", text.lines().next().unwrap(), good.join("\n"))).unwrap();
    let again = last_json(&String::from_utf8(load(&folder, &clean).output().unwrap().stdout).unwrap());
    assert_eq!(again["stored"], 0, "good lines that were not stored (seed {seed}): {again}");
}

fn quarantine(folder: &Path) -> Vec<Value> {
    let mut all = Vec::new();
    for page in 1.. {
        let printed = run(folder, &["quarantine", "list", "--json", "--page", &page.to_string()]);
        if printed.is_empty() {
            break;
        }
        all.extend(printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    all
}

#[test]
fn what_was_mended_is_read_again() {
    let place = tempfile::tempdir().unwrap();
    let (folder, sample, map) = (
        place.path().join("data"),
        place.path().join("scans.csv"),
        place.path().join("data/feeds/scans.toml"),
    );
    std::fs::write(
        &sample,
        "seen,who,what\n2026-11-20 10:00:00,192.0.2.1,ssh\n20.11.2026 10h,192.0.2.2,ssh\n",
    )
    .unwrap();
    std::fs::create_dir_all(map.parent().unwrap()).unwrap();
    let text = |column: &str| {
        format!(
            "format = \"scans\"\nversion = 1\n[constant]\n\"classification.type\" = \"scanner\"\n[columns]\nwho = \"source.ip\"\n{column}\n"
        )
    };
    std::fs::write(&map, text("seen = { key = \"time.source\", required = true }")).unwrap();
    let arguments = ["feed", "load", sample.to_str().unwrap(), "--format", "scans", "--json"];
    let first = last_json(&run(&folder, &arguments));
    assert_eq!((&first["stored"], &first["quarantined"]), (&1.into(), &1.into()));
    let id = quarantine(&folder)[0]["id"].as_str().unwrap().to_owned();
    assert!(run(&folder, &["quarantine", "show", &id]).contains("20.11.2026 10h,192.0.2.2,ssh"));
    let still = last_json(&run(&folder, &["quarantine", "replay", "--json"]));
    assert_eq!((&still["read_again"], &still["still_bad"]), (&0.into(), &1.into()));
    std::fs::write(&map, text("seen = \"extra.seen\"")).unwrap();
    let mended = last_json(&run(&folder, &["quarantine", "replay", "--json"]));
    assert_eq!((&mended["read_again"], &mended["stored"]), (&1.into(), &1.into()));
    assert!(quarantine(&folder).is_empty());
    assert_eq!(counted(&folder).1, 2);
}

/// Passes connections on to a server while it is told to.
struct Gate {
    open: Arc<AtomicBool>,
    port: u16,
}

impl Gate {
    fn before(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(AtomicBool::new(true));
        let (state, target) = (Arc::clone(&open), target.to_owned());
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if state.load(Ordering::SeqCst)
                    && let Ok(far) = TcpStream::connect(&target)
                {
                    for (from, to) in [(&near, &far), (&far, &near)] {
                        let (from, to, state) =
                            (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&state));
                        std::thread::spawn(move || pass_on(from, to, &state));
                    }
                }
            }
        });
        Self { open, port }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, open: &AtomicBool) {
    from.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut piece = [0; 4096];
    while open.load(Ordering::SeqCst) {
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                // Checked again: what was on the way when the server went away is gone.
                if !open.load(Ordering::SeqCst) || to.write_all(&piece[..read]).is_err() {
                    break;
                }
            }
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _gone = from.shutdown(std::net::Shutdown::Both);
    let _gone = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_database_that_goes_away_is_waited_for_and_nothing_is_lost_or_doubled() {
    let Some(url) = server("NOROSHI_TEST_POSTGRES") else { return };
    let seed = from_env("NOROSHI_TEST_SEED", u64::from(std::process::id()));
    let mut random = Random(seed | 1);
    let name = format!("feeds_{}", std::process::id());
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    let (before, host) = server
        .rsplit_once('@')
        .map_or(("postgres://".to_owned(), server.trim_start_matches("postgres://")), |(user, host)| {
            (format!("{user}@"), host)
        });
    let gate = Gate::before(host);

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("report.csv");
    const LINES: u64 = 150_000;
    let (different, bad) = report(&file, LINES, &mut random);
    let config = place.path().join("noroshi.toml");
    std::fs::write(&config, format!("database = \"{before}127.0.0.1:{}/{name}\"\n", gate.port)).unwrap();
    let folder: PathBuf = place.path().join("data");
    let mut child = load(&folder, &file)
        .env("NOROSHI_CONFIG", &config)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // At its start a program without its database has nothing to wait with: the load has to be under way.
    let direct = format!("{server}/{name}");
    let mut direct = postgres::Client::connect(&direct, postgres::NoTls).unwrap();
    let begun = |direct: &mut postgres::Client| {
        direct.query_one("SELECT COUNT(*) FROM intake", &[]).is_ok_and(|row| row.get::<_, i64>(0) > 0)
    };
    while child.try_wait().unwrap().is_none() && !begun(&mut direct) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut away = 0;
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(random.below(400)));
        gate.open.store(false, Ordering::SeqCst);
        away += 1;
        std::thread::sleep(Duration::from_millis(random.below(300)));
        gate.open.store(true, Ordering::SeqCst);
        if away > 40 {
            break;
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let summary = last_json(&String::from_utf8(output.stdout).unwrap());
    let row = direct
        .query_one("SELECT read, stored, duplicate, filtered, quarantined, (SELECT events FROM event_head), (SELECT COUNT(*) FROM quarantine) FROM tally WHERE kind = 'feed'", &[])
        .unwrap();
    let got: Vec<u64> = (0..7).map(|at| row.get::<_, i64>(at).unsigned_abs()).collect();
    assert_eq!(
        got,
        [LINES, different, LINES - different - bad, 0, bad, different, bad],
        "away {away} times, seed {seed}"
    );
    assert_eq!(summary["read"], LINES, "what is told is what is stored");
    say(format_args!("the database was away {away} times"));
    drop(direct);
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
}
