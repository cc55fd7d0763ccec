//! The counters: the same numbers on every surface, and they add up.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::world::{configure, last_json, noroshi, run, run_any, testdata, text};

/// A program that serves, ended when dropped.
pub struct Serving {
    child: Child,
    console: String,
}

impl Serving {
    pub fn start(folder: &Path, config: &Path) -> Self {
        let mut child = noroshi(folder)
            .arg("--config")
            .arg(config)
            .arg("run")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let console =
            lines.filter_map(|line| line.strip_prefix("console  ").map(str::to_owned)).next().unwrap();
        Self { child, console }
    }

    /// A page of the console, behind its login.
    pub fn get(&self, path: &str) -> String {
        self.open(path).body_mut().read_to_string().unwrap()
    }

    /// The same, as it comes.
    pub fn open(&self, path: &str) -> ureq::http::Response<ureq::Body> {
        let agent = ureq::Agent::config_builder().max_redirects(0).build().new_agent();
        let answer = agent.get(&self.console).call().unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let url = self.url(path);
        agent.get(&url).header("Cookie", cookie).call().unwrap()
    }

    fn url(&self, path: &str) -> String {
        let (host, _) = self.console.split_once("/login").unwrap();
        format!("{host}{path}")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

const COUNTS: [&str; 5] = ["read", "stored", "duplicate", "filtered", "quarantined"];

fn counts(value: &Value) -> [u64; 5] {
    COUNTS.map(|name| value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}")))
}

/// Reads good, repeated, left out and broken records: of a feed, and of a seized log.
fn fill(folder: &Path, config: &str) -> [(String, [u64; 5]); 2] {
    let report = "\"timestamp\",\"ip\",\"tag\"\n\"2026-11-20 03:12:00\",\"198.51.100.7\",\"a\"\n\
                  \"2026-11-20 03:12:00\",\"198.51.100.7\",\"a\"\n\"never\",\"198.51.100.7\",\"a\"\n\
                  \"2026-11-20 03:12:00\",\"198.51.100.8\",\"b\"\n";
    let path = folder.join("2026-11-20-scan_telnet-example.csv");
    std::fs::write(&path, report).unwrap();
    let path = path.display().to_string();
    let feed =
        ["--config", config, "feed", "load", &path, "--format", "shadowserver", "--feed-name", "a \"feed\""];
    let loaded = last_json(&run(folder, &[&feed[..], &["--json"]].concat()));
    let bad = testdata("seized/gate.csv").display().to_string();
    let columns = ["--address", "client", "--time", "time", "--zone", "UTC", "--malware-name", "mirai"];
    let seized = ["--config", config, "observe", "seized", "--json", &bad, "--campaign", "gate"];
    let taken = last_json(&text(&run_any(folder, &[&seized[..], &columns[..]].concat()).stdout));
    [("a \"feed\"".to_owned(), counts(&loaded)), ("gate".to_owned(), counts(&taken))]
}

#[test]
fn what_was_read_is_stored_duplicate_filtered_or_quarantined_on_every_surface() {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "127.0.0.1:1", None, None);
    let told = fill(folder.path(), config.to_str().unwrap());
    assert!(told[0].1[1] > 0 && told[0].1[2] > 0 && told[0].1[4] > 0, "nothing to tell apart: {told:?}");
    let adds_up = |c: &[u64; 5]| c[0] > 0 && c[0] == c[1..].iter().sum::<u64>();
    assert!(told.iter().all(|(_, c)| adds_up(c)), "{told:?}");

    let status = run(folder.path(), &["feed", "status", "--json"]);
    let feeds: Vec<Value> = status.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listed: Vec<_> = feeds.iter().map(|f| (f["feed"].as_str().unwrap().to_owned(), counts(f))).collect();
    assert_eq!(listed, told, "feed status");
    let table = run(folder.path(), &["feed", "status"]);
    assert_eq!(table.lines().count(), 4, "a head, the feeds, the sum: {table}");

    let serving = Serving::start(folder.path(), &config);
    let page: Value = serde_json::from_str(&serving.get("/intake.json")).unwrap();
    let shown: Vec<_> = page["feeds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["feed"].as_str().unwrap().to_owned(), counts(&f["counts"])))
        .collect();
    assert_eq!(shown, told, "the console");
    assert!(serving.get("/intake?lang=ja").contains("CC BY 4.0"), "whose tables are used");
    let today: Value = serde_json::from_str(&serving.get("/today.json")).unwrap();
    for (feed, expected) in &told {
        let of = |f: &&Value| f[0] == feed.as_str();
        assert_eq!(&counts(&today["feeds"].as_array().unwrap().iter().find(of).unwrap()[2]), expected);
    }
    let agent = ureq::Agent::new_with_defaults();
    let mut answer = agent.get(&serving.url("/metrics")).call().unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let metrics = answer.body_mut().read_to_string().unwrap();
    check_open_metrics(&metrics);
    for (feed, expected) in &told {
        let label = format!("feed=\"{}\"", feed.replace('"', "\\\""));
        let line = |name: &str, more: &str| -> u64 {
            let found =
                metrics.lines().find(|l| l.starts_with(name) && l.contains(&label) && l.contains(more));
            found
                .unwrap_or_else(|| panic!("no {name} {label} {more}"))
                .rsplit(' ')
                .next()
                .unwrap()
                .parse()
                .unwrap()
        };
        let mut counted = [line("noroshi_intake_read_records_total{", ""), 0, 0, 0, 0];
        for (at, outcome) in COUNTS.iter().enumerate().skip(1) {
            counted[at] = line("noroshi_intake_records_total{", &format!("outcome=\"{outcome}\""));
        }
        assert_eq!(&counted, expected, "/metrics");
    }
    let events: u64 = told.iter().map(|(_, c)| c[1]).sum();
    assert!(metrics.contains(&format!("\nnoroshi_event_log_events {events}\n")), "{metrics}");
    for name in [
        "noroshi_queue_waiting_jobs{topic=",
        "noroshi_transactions_total{name=\"gauges\",outcome=\"committed\"}",
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "noroshi_database_size_bytes ",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} is not in {metrics}");
    }
}

/// The shape of OpenMetrics 1.0: every sample belongs to a family that was announced, counters end in `_total`, units are
/// the name's end, families are not mixed, and `# EOF` ends it.
pub fn check_open_metrics(text: &str) {
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    let (mut family, mut kind) = (String::new(), String::new());
    let mut families = Vec::new();
    for line in text.lines().take_while(|line| *line != "# EOF") {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "TYPE", name, k] => {
                assert!(!families.contains(&name.to_owned()), "{name} twice");
                families.push(name.to_owned());
                (family, kind) = (name.to_owned(), k.to_owned());
            }
            ["#", "HELP", name, _] => assert!(families.last().is_none_or(|f| f != name) || family == name),
            ["#", "UNIT", name, unit] => assert!(name.ends_with(&format!("_{unit}")), "{name} in {unit}"),
            _ => {
                let name = line.split(['{', ' ']).next().unwrap();
                let end = match kind.as_str() {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                };
                assert_eq!(name, format!("{family}{end}"), "{line}");
                let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
                assert!(value >= 0.0, "{line}");
            }
        }
    }
    assert!(families.len() > 10, "{families:?}");
}
