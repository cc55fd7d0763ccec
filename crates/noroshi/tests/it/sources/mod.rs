//! Sources from outside: real servers, misbehaving ones, watched folders, reports sent over HTTP, and a crash at any
//! moment. Here is what these tests have in common.

mod folder;
mod mailbox;
mod push;
mod queue;
mod watch;
mod web;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::mail::Running;
use crate::world::{last_json, noroshi, run, run_any, text};

/// How a run of a source came to its end.
#[derive(Clone, Copy, PartialEq)]
pub enum Ended {
    Killed,
    Done,
}

/// A data folder with a configuration of these sources.
pub struct Place {
    pub folder: tempfile::TempDir,
    config: PathBuf,
}

impl Place {
    pub fn with(sources: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { config: folder.path().join("noroshi.toml"), folder };
        place.configure(sources);
        place
    }

    pub fn configure(&self, sources: &str) {
        let free = "[portal]\nlisten = \"127.0.0.1:0\"\n[console]\nlisten = \"127.0.0.1:0\"\n";
        std::fs::write(&self.config, format!("{free}{sources}")).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn arguments<'a>(&'a self, typed: &[&'a str]) -> Vec<&'a str> {
        [&["--config", self.config.to_str().unwrap()], typed].concat()
    }

    pub fn run(&self, typed: &[&str]) -> Value {
        last_json(&run(&self.path("data"), &self.arguments(typed)))
    }

    /// Runs a source that is expected to fail; what it said.
    pub fn fails(&self, name: &str) -> String {
        let output = run_any(&self.path("data"), &self.arguments(&["source", "run", name]));
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        text(&output.stderr)
    }

    pub fn once(&self, name: &str) -> Value {
        self.run(&["source", "run", name, "--json"])
    }

    pub fn status(&self, name: &str) -> Value {
        self.run(&["source", "status", name, "--json"])
    }

    pub fn start(&self) -> Running {
        Running::start(&self.path("data"), &self.config)
    }

    pub fn spawn(&self, typed: &[&str]) -> Child {
        let mut command = noroshi(&self.path("data"));
        command.args(self.arguments(typed)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs a source and kills it, at ever other moments, until it was killed in its work as often as asked. After each it is told
    /// whether it came to its end before: then there has to be more to do for the next. The moments spread over as long as it takes
    /// on this machine, so that a fast one is killed as often as a slow one, and a slow one gets beyond its beginning.
    pub fn kill_often(&self, source: &str, kills: u32, mut after: impl FnMut(Ended)) {
        let (mut killed, mut within_ms) = (0, 300);
        for round in 0..200u64 {
            let mut child = self.spawn(&["source", "run", source]);
            std::thread::sleep(Duration::from_millis(10 + round * 37 % within_ms));
            let works = child.try_wait().unwrap().is_none();
            if works {
                child.kill().unwrap();
                killed += 1;
                within_ms = (within_ms * 5 / 4).min(5000);
            } else {
                within_ms = (within_ms / 2).max(20);
            }
            child.wait().unwrap();
            after(if works { Ended::Killed } else { Ended::Done });
            if killed == kills {
                return;
            }
        }
        panic!("killed {killed} times only");
    }

    /// Events in the log, and the feed's counts: read, stored, duplicate, filtered, quarantined.
    pub fn counts(&self) -> (i64, [i64; 5]) {
        let db = rusqlite::Connection::open(self.path("data").join("noroshi.db")).unwrap();
        let events = db.query_row("SELECT events FROM event_head", [], |row| row.get(0)).unwrap();
        let sql = "SELECT SUM(read), SUM(stored), SUM(duplicate), SUM(filtered), SUM(quarantined) FROM tally";
        let tally = db.query_row(sql, [], |row| {
            Ok(std::array::from_fn(|at| row.get::<_, Option<i64>>(at).unwrap().unwrap_or(0)))
        });
        (events, tally.unwrap())
    }

    pub fn spooled(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.path("data/spool").join(name)).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name != "lock" {
                found.push(name);
            }
        }
        found
    }
}

/// A list of addresses, dated so that the same one is the same event tomorrow as well, and each number another event.
pub fn list(addresses: std::ops::Range<u32>) -> String {
    let mut text = String::from("source.ip,time.source\n");
    for n in addresses {
        let [_, b, c, d] = n.to_be_bytes();
        text.push_str(&format!("198.{}.{c}.{d},2026-11-20T00:{:02}:{:02}Z\n", 18 + b % 2, b / 2, n % 60));
    }
    text
}

/// The map that reads it, kept among the operator's own.
pub fn map(place: &Place) {
    let folder = place.path("data/feeds");
    std::fs::create_dir_all(&folder).unwrap();
    let sample = place.path("sample.csv");
    std::fs::write(&sample, list(1..9)).unwrap();
    let typed = [
        "feed",
        "new",
        "--sample",
        sample.to_str().unwrap(),
        "--name",
        "dated",
        "--type",
        "blacklist",
        "--save",
    ];
    run(&place.path("data"), &place.arguments(&typed));
}

/// Replaces a file in one step, as whoever publishes one should.
pub fn write_new(file: &Path, content: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, content).unwrap();
    std::fs::rename(&next, file).unwrap();
}
