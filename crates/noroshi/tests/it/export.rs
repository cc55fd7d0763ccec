//! What goes out: the same events in every form, each received once whatever happens on the way, and nothing that came in
//! under a measure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

use crate::world::{last_json, noroshi, run, run_any, testdata, text};

/// How long something that has to happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Loads a report of so many events.
pub fn load(folder: &Path, count: usize) {
    let mut report = "\"timestamp\",\"ip\",\"port\",\"asn\",\"geo\",\"tag\"\n".to_owned();
    for n in 0..count {
        let ip = format!("198.51.{}.{}", n / 250 % 100, n % 250);
        report.push_str(&format!(
            "\"2026-11-20 03:12:00\",\"{ip}\",\"{}\",\"64500\",\"JP\",\"n{n}\"\n",
            n % 65536
        ));
    }
    let path = folder.join("2026-11-20-scan_telnet-example.csv");
    std::fs::write(&path, report).unwrap();
    let loaded = run(folder, &["feed", "load", path.to_str().unwrap(), "--format", "shadowserver", "--json"]);
    assert_eq!(last_json(&loaded)["stored"], count);
}

/// The events' tags, which are their numbers, in the order in which they stand.
pub fn tags(lines: &str) -> Vec<String> {
    let tag =
        |line: &str| serde_json::from_str::<Value>(line).unwrap()["extra.tag"].as_str().unwrap().to_owned();
    lines.lines().map(tag).collect()
}

pub fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("n{n}")).collect()
}

#[test]
fn every_form_holds_the_same_events_and_a_file_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 1234);
    let to = |name: &str| folder.path().join(name).display().to_string();
    for (format, name) in
        [("jsonl", "a.jsonl"), ("csv", "a.csv"), ("stix", "a.json"), ("stix-lines", "a.stixl")]
    {
        let out = run(folder.path(), &["event", "export", "--format", format, "--to", &to(name), "--json"]);
        let done = last_json(&out);
        assert_eq!((&done["read"], &done["exported"]), (&1234.into(), &1234.into()), "{format}");
        assert!(!folder.path().join(format!("{name}.part")).exists());
    }
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(tags(&read("a.jsonl")), numbered(1234));
    assert_eq!(run(folder.path(), &["event", "export"]), read("a.jsonl"), "to standard output the same");
    assert_eq!(read("a.csv").lines().count(), 1235, "a header and the events");
    let bundle: Value = serde_json::from_str(&read("a.json")).unwrap();
    let observed = |objects: &[Value]| objects.iter().filter(|o| o["type"] == "observed-data").count();
    assert_eq!(observed(bundle["objects"].as_array().unwrap()), 1234);
    let lines: Vec<Value> = read("a.stixl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(observed(&lines), 1234);
    // Columns of one's own, and a selection.
    let csv = run(
        folder.path(),
        &[
            "event",
            "export",
            "--format",
            "csv",
            "--columns",
            "seq,source.ip,extra.tag",
            "--feed",
            "shadowserver",
        ],
    );
    assert!(
        csv.starts_with("seq,source.ip,extra.tag\r\n1,198.51.0.0,n0\r\n2,198.51.0.1,n1\r\n"),
        "{csv:.80}"
    );
    for none in [
        ["--feed", "other"],
        ["--type", "spam"],
        ["--until", "2026-11-20"],
        ["--since", "2026-11-21T00:00:00Z"],
    ] {
        assert_eq!(run(folder.path(), &[&["event", "export"], &none[..]].concat()), "", "{none:?}");
    }
    let refused = run_any(folder.path(), &["event", "export", "--to", "/dev/null"]);
    assert!(text(&refused.stderr).contains("no regular file"), "a device is not replaced by a file");
}

#[test]
fn what_came_in_under_a_measure_stays_in_the_house() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 3);
    let gate = testdata("seized/gate.csv").display().to_string();
    let columns = ["--address", "client", "--time", "time", "--zone", "UTC", "--malware-name", "mirai"];
    let arguments = [&["observe", "seized", "--json", gate.as_str()], &columns[..]].concat();
    let own = last_json(&run(folder.path(), &arguments))["stored"].as_u64().unwrap();
    assert!(own > 0);
    let path = folder.path().join("out.jsonl").display().to_string();
    let done = last_json(&run(folder.path(), &["event", "export", "--json", "--to", &path]));
    assert_eq!((&done["exported"], &done["under_a_measure"]), (&3.into(), &own.into()));
    assert!(!std::fs::read_to_string(&path).unwrap().contains("takedown-notice"));
    assert_eq!(run(folder.path(), &["event", "list", "--json"]).lines().count(), 3);
    let done = last_json(&run(folder.path(), &["event", "export", "--json", "--to", &path, "--with-own"]));
    assert_eq!((&done["exported"], &done["under_a_measure"]), (&(own + 3).into(), &0.into()));
    // Their ids are hashes of their text, so its keys have to be in order.
    for line in
        std::fs::read_to_string(&path).unwrap().lines().filter(|line| line.contains("takedown-notice"))
    {
        let places: Vec<_> = ["feed.code", "malware.name", "source.ip", "time.source"]
            .iter()
            .map(|key| line.find(&format!("\"{key}\":")).unwrap())
            .collect();
        assert!(places.is_sorted(), "{line}");
    }
    for to in ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "nats://127.0.0.1:1/x"] {
        let refused = run_any(folder.path(), &["event", "export", "--to", to, "--with-own"]);
        assert!(!refused.status.success() && text(&refused.stderr).contains("no measure allows"), "{to}");
    }
    // One of them, by its id.
    let listed = run(
        folder.path(),
        &["event", "list", "--json", "--with-own", "--type", "infected-system", "--limit", "1"],
    );
    let id = last_json(&listed)["id"].as_str().unwrap().to_owned();
    assert!(text(&run_any(folder.path(), &["event", "show", &id]).stderr).contains("under a measure"));
    assert!(run(folder.path(), &["event", "show", &id, "--with-own"]).contains("takedown-notice"));
}

#[test]
fn events_leave_this_machine_encrypted_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 1);
    for (to, why) in [
        ("http://192.0.2.1/", "over https:// only"),
        ("https://user:secret@example.com/", "--token-file"),
        ("ftp://example.com/", "there is no way to ftp://"),
        ("nats://127.0.0.1:4222", "name the subject"),
    ] {
        let refused = run_any(folder.path(), &["event", "export", "--to", to]);
        assert!(
            !refused.status.success() && text(&refused.stderr).contains(why),
            "{to}: {}",
            text(&refused.stderr)
        );
    }
}

/// How a receiver answers a parcel it has stored.
enum Reply {
    Status(u16),
    /// Says nothing until the test ends: the answer is lost.
    Never,
}

/// A receiver that drops what it has under the same key.
struct Server {
    url: String,
    kept: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Keys in the order in which they came, repeats among them.
    seen: Arc<Mutex<Vec<String>>>,
    arrived: Receiver<usize>,
    _runtime: tokio::runtime::Runtime,
}

type Plan = Arc<dyn Fn(usize) -> (bool, Reply) + Send + Sync>;

#[derive(Clone)]
struct Desk {
    plan: Plan,
    kept: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    seen: Arc<Mutex<Vec<String>>>,
    tell: Sender<usize>,
}

async fn take(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert_eq!(headers["authorization"], "Bearer secret");
    let at = {
        let mut seen = desk.seen.lock().unwrap();
        seen.push(key.clone());
        seen.len()
    };
    let (keep, reply) = (desk.plan)(at);
    if keep {
        let mut kept = desk.kept.lock().unwrap();
        let before = kept.insert(key, body.to_vec());
        assert!(before.is_none_or(|before| before == body), "the same key with another content");
    }
    desk.tell.send(at).unwrap();
    match reply {
        Reply::Status(status) => (StatusCode::from_u16(status).unwrap(), [("retry-after", "0")]),
        Reply::Never => std::future::pending().await,
    }
}

impl Server {
    fn start(plan: impl Fn(usize) -> (bool, Reply) + Send + Sync + 'static) -> Self {
        let (tell, arrived) = channel();
        let (kept, seen) = (Arc::default(), Arc::default());
        let desk = Desk { plan: Arc::new(plan), kept: Arc::clone(&kept), seen: Arc::clone(&seen), tell };
        let limit = axum::extract::DefaultBodyLimit::max(64 << 20);
        let router = Router::new().route("/in", post(take)).layer(limit).with_state(desk);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, kept, seen, arrived, _runtime: runtime }
    }

    /// Everything that was kept, each parcel once, in order.
    fn received(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let mut order: Vec<&String> = Vec::new();
        let seen = self.seen.lock().unwrap();
        for key in seen.iter().filter(|key| kept.contains_key(*key)) {
            if !order.contains(&key) {
                order.push(key);
            }
        }
        order.iter().flat_map(|key| tags(&text(&kept[*key]))).collect()
    }

    fn arguments(&self, folder: &Path) -> Vec<String> {
        let token = folder.join("token");
        std::fs::write(&token, "secret\n").unwrap();
        let token = token.display().to_string();
        let fixed =
            ["event", "export", "--cursor", "siem", "--to", &self.url, "--token-file", &token, "--json"];
        fixed.map(str::to_owned).to_vec()
    }
}

#[test]
fn a_receiver_that_is_busy_or_loses_its_answers_has_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 3500);
    // Busy, then kept but the answer fails, then well; then busy again.
    let server = Server::start(|at| match at {
        1 => (false, Reply::Status(503)),
        2 => (true, Reply::Status(500)),
        5 => (false, Reply::Status(429)),
        _ => (true, Reply::Status(200)),
    });
    let arguments = server.arguments(folder.path());
    let done = last_json(&text(&noroshi(folder.path()).args(&arguments).output().unwrap().stdout));
    assert_eq!(
        (&done["exported"], &done["parcels"], &done["up_to"]),
        (&3500.into(), &4.into(), &3500.into())
    );
    assert_eq!(server.received(), numbered(3500));
    let seen = server.seen.lock().unwrap().clone();
    assert_eq!((seen.len(), &seen[0], &seen[1]), (7, &seen[1], &seen[2]), "offered again under the same key");
    assert!(seen[0].starts_with('"') && seen[0].ends_with('"'), "a structured field: {}", seen[0]);
    // Nothing new: nothing is sent.
    let done = last_json(&text(&noroshi(folder.path()).args(&arguments).output().unwrap().stdout));
    assert_eq!((&done["read"], &done["parcels"]), (&0.into(), &0.into()));
    let listed = last_json(&run(folder.path(), &["event", "cursors", "--json"]));
    assert_eq!((&listed["sent"], &listed["behind"]), (&3500.into(), &0.into()));
    // Another selection under the same name would leave things out.
    let other = noroshi(folder.path()).args(&arguments).args(["--feed", "x"]).output().unwrap();
    assert!(text(&other.stderr).contains("another format, selection or file"));
}

#[test]
fn a_receiver_that_refuses_is_asked_once_and_the_cursor_stays() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 10);
    let server = Server::start(|at| (at > 1, Reply::Status(if at == 1 { 403 } else { 204 })));
    let refused = noroshi(folder.path()).args(server.arguments(folder.path())).output().unwrap();
    assert!(!refused.status.success() && text(&refused.stderr).contains("403"), "{}", text(&refused.stderr));
    assert_eq!(server.seen.lock().unwrap().len(), 1);
    let cursor = last_json(&run(folder.path(), &["event", "cursors", "--json"]));
    assert_eq!((&cursor["sent"], &cursor["until"]), (&0.into(), &10.into()), "on its way, not acknowledged");
    let done = noroshi(folder.path()).args(server.arguments(folder.path())).output().unwrap();
    assert!(done.status.success());
    assert_eq!(server.received(), numbered(10));
}

#[test]
fn killed_with_a_parcel_on_its_way_the_same_parcel_leaves_again() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 4200);
    // Every second request is kept, or not, and never answered: there the program is killed.
    let server = Server::start(|at| match at % 4 {
        1 => (true, Reply::Never),
        3 => (false, Reply::Never),
        _ => (true, Reply::Status(200)),
    });
    let mut kills = 0;
    loop {
        let mut child = noroshi(folder.path())
            .args(server.arguments(folder.path()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let done = loop {
            match server.arrived.recv_timeout(Duration::from_millis(20)) {
                Ok(at) if at % 2 == 1 => break false,
                _ if child.try_wait().unwrap().is_some() => break true,
                _ => {}
            }
        };
        if done {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        if kills == 3 {
            // More events meanwhile: the parcel that was on its way must not grow by them.
            load_more(folder.path(), 4200, 700);
        }
    }
    assert!(kills >= 4, "killed {kills} times only");
    assert_eq!(server.received(), numbered(4900));
}

fn load_more(folder: &Path, from: usize, count: usize) {
    let mut report = "\"timestamp\",\"ip\",\"tag\"\n".to_owned();
    for n in from..from + count {
        report.push_str(&format!("\"2026-11-20 03:12:00\",\"198.51.100.7\",\"n{n}\"\n"));
    }
    let path = folder.join("2026-11-21-scan_telnet-more.csv");
    std::fs::write(&path, report).unwrap();
    run(folder, &["feed", "load", path.to_str().unwrap(), "--format", "shadowserver"]);
}

/// An export into a file that follows, killed when dropped.
struct Following(Child);

impl Following {
    fn start(folder: &Path, to: &Path) -> Self {
        let to = to.display().to_string();
        let mut command = noroshi(folder);
        command.args(["event", "export", "--follow", "--cursor", "file", "--to", &to]);
        Self(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

#[test]
fn a_file_that_is_followed_has_each_event_once_however_often_the_export_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    const COUNT: usize = 12_000;
    load(folder.path(), COUNT);
    let to: PathBuf = folder.path().join("feed.jsonl");
    let whole = run(folder.path(), &["event", "export"]).len() as u64;
    // Killed as soon as the file has grown past the next step, at whatever the export does just then.
    let steps = 23;
    for step in 1..=steps {
        let wanted = whole * step / steps;
        let begun = Instant::now();
        let mut following = Following::start(folder.path(), &to);
        while length(&to) < wanted {
            assert!(begun.elapsed() < PATIENCE, "{} of {wanted} bytes", length(&to));
            assert!(following.0.try_wait().unwrap().is_none(), "it ended");
        }
    }
    let done = run(folder.path(), &["event", "cursors", "--json"]);
    drop(Following::start(folder.path(), &to));
    let begun = Instant::now();
    let following = Following::start(folder.path(), &to);
    while last_json(&run(folder.path(), &["event", "cursors", "--json"]))["behind"] != 0 {
        assert!(begun.elapsed() < PATIENCE, "{done}");
    }
    // A second one beside it is turned away before it touches the file.
    let beside = run_any(
        folder.path(),
        &["event", "export", "--cursor", "file", "--to", to.to_str().unwrap(), "--format", "jsonl"],
    );
    assert!(!beside.status.success());
    drop(following);
    assert_eq!(tags(&std::fs::read_to_string(&to).unwrap()), numbered(COUNT));
}
