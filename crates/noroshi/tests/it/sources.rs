//! Sources from outside: a real web server, misbehaving ones, watched folders, reports sent over HTTP, and a crash at any
//! moment.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::mail::{Running, free_port, until};
use crate::world::{last_json, noroshi, run, run_any, server, text};

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

    fn arguments<'a>(&'a self, typed: &[&'a str]) -> Vec<&'a str> {
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

    fn spawn(&self, typed: &[&str]) -> Child {
        let mut command = noroshi(&self.path("data"));
        command.args(self.arguments(typed)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
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

/// A list of addresses, dated so that the same one is the same event tomorrow as well.
pub fn list(addresses: std::ops::Range<u32>) -> String {
    let mut text = String::from("source.ip,time.source\n");
    for n in addresses {
        let [_, b, c, d] = n.to_be_bytes();
        text.push_str(&format!("198.{}.{c}.{d},2026-11-20T00:00:{:02}Z\n", 18 + b % 2, n % 60));
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

#[test]
fn a_real_web_server_is_asked_only_for_what_is_new() {
    let Some(base) = server("NOROSHI_TEST_NGINX") else { return };
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_NGINX_FOLDER").unwrap());
    let name = format!("list-{}.csv", std::process::id());
    let file = folder.join("files").join(&name);
    std::fs::write(&file, list(0..500)).unwrap();
    let source = format!("[source.web]\nformat = \"dated\"\nurl = \"{base}/{name}\"\n");
    let place = Place::with(&source);
    map(&place);
    let first = place.once("web");
    assert_eq!((&first["stored"], &first["items"]), (&500.into(), &1.into()), "{first}");
    assert!(first["bytes"].as_u64().unwrap() < 5000, "it came packed: {first}");
    let again = place.once("web");
    assert_eq!((&again["unchanged"], &again["read"]), (&true.into(), &0.into()), "{again}");
    let status = place.status("web");
    assert!(status["etag"].as_str().unwrap().starts_with("W/"), "packed, so its validator is weak: {status}");
    assert_eq!(
        (&status["runs"], &status["unchanged"], &status["stored"]),
        (&2.into(), &1.into(), &500.into())
    );

    std::fs::write(&file, list(0..501)).unwrap();
    let more = place.once("web");
    assert_eq!((&more["stored"], &more["duplicate"]), (&1.into(), &500.into()), "{more}");

    place.configure(&format!("{source}params = {{ note = \"read differently\" }}\n"));
    assert_eq!(place.once("web")["unchanged"], false, "what is read differently is fetched whole");
    let log = std::fs::read_to_string(folder.join("access.log")).unwrap();
    let answers: Vec<&str> =
        log.lines().filter(|l| l.contains(&name)).filter_map(|l| l.split(' ').nth(2)).collect();
    assert_eq!(answers, ["200", "304", "200", "200"]);
    assert_eq!(place.counts().0, 501);
    assert_eq!(place.spooled("web"), Vec::<String>::new());
}

#[test]
fn killed_at_any_moment_what_was_fetched_is_there_once_and_nothing_is_left_over() {
    let Some(base) = server("NOROSHI_TEST_NGINX") else { return };
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_NGINX_FOLDER").unwrap());
    let name = format!("kill-{}.csv", std::process::id());
    let file = folder.join("files").join(&name);
    let place = Place::with(&format!("[source.web]\nformat = \"dated\"\nurl = \"{base}/{name}\"\n"));
    map(&place);
    let (mut killed, mut resumed) = (0, 0);
    for round in 0..24u32 {
        // Every third round there is something new.
        if round % 3 == 0 {
            write_new(&file, &list(0..(round / 3 + 1) * 12_000));
        }
        let mut child = place.spawn(&["source", "run", "web"]);
        std::thread::sleep(Duration::from_millis(40 + u64::from(round) * 31 % 160));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        resumed += usize::from(place.spooled("web").iter().any(|name| name.ends_with(".body")));
    }
    place.once("web");
    let (events, [read, stored, duplicate, filtered, quarantined]) = place.counts();
    assert_eq!((events, stored, filtered, quarantined), (96_000, 96_000, 0, 0), "after {killed} kills");
    assert_eq!(read, stored + duplicate);
    assert_eq!(place.spooled("web"), Vec::<String>::new());
    assert!(killed > 5 && resumed > 0, "{killed} kills, {resumed} of them with a body in the spool");
}

#[test]
fn tls_is_checked_against_the_certificates_named() {
    let Some(base) = server("NOROSHI_TEST_NGINX_TLS") else { return };
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_NGINX_FOLDER").unwrap());
    let name = format!("tls-{}.csv", std::process::id());
    std::fs::write(folder.join("files").join(&name), list(0..5)).unwrap();
    let source = format!("[source.web]\nformat = \"dated\"\nurl = \"{base}/{name}\"\n");
    let place = Place::with(&source);
    map(&place);
    let told = place.fails("web");
    assert!(told.contains("certificate") || told.contains("UnknownIssuer"), "{told}");
    place.configure(&format!("{source}ca-file = \"{}\"\n", folder.join("cert.pem").display()));
    assert_eq!(place.once("web")["stored"], 5);
}

/// A server that answers each request with the next of some texts; what it was asked.
fn answering(answers: Vec<String>) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            while lines.read_line(&mut request).is_ok_and(|n| n > 2) {}
            tell.send(request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (at, asked)
}

#[test]
fn servers_that_misbehave_are_told_of_and_nothing_of_theirs_is_taken() {
    let body = list(0..10);
    let whole = |more: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{more}\r\n{body}", body.len());
    let cases: [(String, &str); 6] = [
        ("HTTP/1.1 503 Busy\r\nretry-after: 700\r\ncontent-length: 0\r\n\r\n".into(), "503"),
        ("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n".into(), "password-file"),
        (whole("").replace(&format!("length: {}", body.len()), "length: 9999"), "broke off"),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:1/\r\ncontent-length: 0\r\n\r\n".into(),
            "redirects to 127.0.0.2",
        ),
        ("HTTP/1.1 304 Same\r\n\r\n".into(), "304"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz".into(), "broke off"),
    ];
    for (answer, told) in cases {
        let (at, _asked) = answering(vec![answer.clone(), whole("etag: \"1\"\r\n")]);
        let place = Place::with(&format!("[source.web]\nformat = \"dated\"\nurl = \"{at}/list\"\n"));
        map(&place);
        let said = place.fails("web");
        assert!(said.contains(told), "{answer}: {said}");
        assert_eq!(place.spooled("web"), Vec::<String>::new(), "{answer}");
        let status = place.status("web");
        assert_eq!(status["failures"], 1);
        let time = |key: &str| status[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let pause = time("retry").duration_since(time("tried")).as_secs();
        let expected = if told == "503" {
            700..=760
        } else if told == "broke off" {
            30..=90
        } else {
            3600..=3660
        };
        assert!(expected.contains(&pause), "{answer}: {pause} s");
        assert_eq!(place.once("web")["stored"], 10, "after {answer}");
        let status = place.status("web");
        assert_eq!((&status["failures"], &status["error"]), (&0.into(), &"".into()));
    }
}

#[test]
fn a_body_beyond_the_bound_or_unreadable_is_refused_and_secrets_go_where_they_should() {
    let body = "x".repeat(2000);
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{body}");
    let torn = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n\u{1f}".to_owned() + "not a gzip!";
    let (at, asked) = answering(vec![long, torn.replace('\u{1f}', "BZh")[..50 - 3].to_owned()]);
    let place = Place::with("");
    std::fs::write(place.path("key"), "s3cret\n").unwrap();
    place.configure(&format!(
        "[source.web]\nformat = \"dated\"\nurl = \"{at}/{{secret}}/list\"\nmax-bytes = 1000\nsecret-file = \"{}\"\n\
         headers = {{ auth-key = \"k-{{secret}}\" }}\n",
        place.path("key").display()
    ));
    map(&place);
    let said = place.fails("web");
    assert!(said.contains("more than 1000 bytes") && !said.contains("s3cret"), "{said}");
    assert_eq!(place.spooled("web"), Vec::<String>::new());
    let request = asked.recv().unwrap();
    assert!(request.starts_with("GET /s3cret/list") && request.contains("auth-key: k-s3cret"), "{request}");
    let said = place.fails("web");
    assert!(said.contains("kept as") || said.contains("broke off"), "{said}");
    assert!(!place.status("web").to_string().contains("s3cret"));
}

#[test]
fn a_watched_folder_gives_what_is_complete_and_puts_it_away() {
    let place = Place::with("");
    let watched = place.path("in");
    std::fs::create_dir(&watched).unwrap();
    let table = |more: &str| {
        format!(
            "[source.in]\nformat = \"dated\"\nfolder = \"{}\"\npattern = \"*.csv*\"\n{more}",
            watched.display()
        )
    };
    place.configure(&table("settle-s = 3600\n"));
    map(&place);
    let put = |name: &str, bytes: &[u8]| std::fs::write(watched.join(name), bytes).unwrap();
    put("a.csv", list(0..10).as_bytes());
    put("b.csv.gz", b"\x1f\x8b this is no gzip");
    put(".c.csv", list(20..30).as_bytes());
    put("d.txt", list(20..30).as_bytes());
    std::os::unix::fs::symlink(place.path("noroshi.toml"), watched.join("e.csv")).unwrap();
    assert_eq!(place.once("in")["items"], 0, "nothing has been still for an hour");
    place.configure(&table("settle-s = 0\n"));
    let said = place.fails("in");
    assert!(said.contains("b.csv.gz") && !said.contains("e.csv"), "{said}");
    assert_eq!(place.counts().0, 10, "the bad one kept nobody waiting");
    let there = |name: &str| watched.join(name).symlink_metadata().is_ok();
    assert!(there("done/a.csv") && there("refused/b.csv.gz"));
    assert!(!there("a.csv") && there(".c.csv") && there("d.txt") && there("e.csv"));
    assert!(place.status("in")["error"].as_str().unwrap().contains("b.csv.gz"));

    // The same name again, with more in it; and left where it is.
    put("a.csv", list(0..12).as_bytes());
    place.configure(&table("settle-s = 0\ndone = \"leave\"\n"));
    let came = place.once("in");
    assert_eq!((&came["stored"], &came["duplicate"]), (&2.into(), &10.into()), "{came}");
    assert_eq!(place.once("in")["unchanged"], true, "what stays is taken once");
    put("a.csv", list(0..13).as_bytes());
    assert_eq!(place.once("in")["stored"], 1, "and again when it has changed");
    assert!(there("a.csv"));
}

#[test]
fn killed_at_any_moment_what_was_in_the_folder_is_there_once() {
    let place = Place::with("");
    let watched = place.path("in");
    std::fs::create_dir(&watched).unwrap();
    place.configure(&format!(
        "[source.in]\nformat = \"dated\"\nfolder = \"{}\"\nsettle-s = 0\n",
        watched.display()
    ));
    map(&place);
    let mut lines = 0;
    for file in 0..4u32 {
        let mut text = list(file * 30_000..(file + 1) * 30_000);
        text.push_str("bad line\n");
        lines += 30_001;
        std::fs::write(watched.join(format!("{file}.csv")), text).unwrap();
    }
    let mut killed = 0;
    for round in 0..40u64 {
        let mut child = place.spawn(&["source", "run", "in"]);
        std::thread::sleep(Duration::from_millis(20 + round * 37 % 300));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
    }
    place.once("in");
    let (events, [read, stored, duplicate, filtered, quarantined]) = place.counts();
    assert_eq!((events, stored, quarantined), (120_000, 120_000, 4), "after {killed} kills");
    assert_eq!((read, duplicate, filtered), (lines, 0, 0), "nothing was counted twice, after {killed} kills");
    assert!(killed > 5, "{killed} kills");
    let left = std::fs::read_dir(&watched).unwrap().filter(|e| e.as_ref().unwrap().path().is_file()).count();
    assert_eq!(left, 0, "all of them moved");
}

/// Sends bytes as they are; the answer.
fn exchange(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // A server that refuses early may close before it was sent everything.
    let _torn = stream.write_all(request);
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    text(&answer)
}

fn post(name: &str, key: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /feeds/{name} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         content-length: {length}\r\n{more}\r\n{body}"
    )
    .into_bytes()
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[test]
fn reports_are_sent_to_us_with_a_key_and_what_was_accepted_survives_a_kill() {
    let port = free_port();
    let place = Place::with(&format!(
        "[push]\nlisten = \"127.0.0.1:{port}\"\n[source.sent]\nformat = \"dated\"\npush = true\nmax-bytes = 100000\n\
         [source.other]\nformat = \"dated\"\npush = true\n"
    ));
    map(&place);
    let key = run(&place.path("data"), &place.arguments(&["source", "key", "sent"])).trim().to_owned();
    let running = place.start();
    until("the listener", || TcpStream::connect(("127.0.0.1", port)).ok());
    let body = list(0..100);
    let wait = "prefer: wait=60\r\n";
    let taken = exchange(port, &post("sent?file-name=a.csv", &key, wait, &body));
    assert_eq!(status_of(&taken), 200, "{taken}");
    let counts: Value = last_json(&taken);
    assert_eq!((&counts["stored"], &counts["quarantined"]), (&100.into(), &0.into()), "{counts}");

    let torn = post("sent", &key, "", &body);
    TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(&torn[..torn.len() - 10]).unwrap();
    let refusals: BTreeMap<&str, (Vec<u8>, u16)> = BTreeMap::from([
        ("no key", (post("sent", "", "", &body), 401)),
        ("a wrong key", (post("sent", &format!("{key}0"), "", &body), 401)),
        ("another's key", (post("other", &key, "", &body), 401)),
        ("no such feed", (post("../sent", &key, "", &body), 404)),
        ("not there", (post("nothing", &key, "", &body), 404)),
        ("too long", (post("sent", &key, "", &"x".repeat(100_001)), 413)),
        ("unreadable", (post("sent", &key, wait, "BZh9 packed so that nobody reads it"), 422)),
        ("a GET", (b"GET /feeds/sent HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(), 405)),
    ]);
    for (what, (request, expected)) in refusals {
        let answer = exchange(port, &request);
        assert_eq!(status_of(&answer), expected, "{what}: {answer}");
        if expected == 401 {
            assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
        }
    }
    assert_eq!(place.counts().0, 100);
    let mut accepted = 0;
    for n in 1..=20 {
        let answer = exchange(port, &post("sent", &key, "", &list(n * 1000..n * 1000 + 500)));
        accepted += u32::from(status_of(&answer) == 202);
    }
    drop(running);
    assert_eq!(accepted, 20);
    let came = place.once("sent");
    assert_eq!(place.counts().0, 100 + 20 * 500, "{came}");
    let (_, [read, stored, duplicate, ..]) = place.counts();
    assert_eq!((read, stored, duplicate), (10_100, 10_100, 0), "taken once each");
    assert_eq!(place.spooled("sent"), ["refused"], "what cannot be read is kept");
}

#[test]
fn a_store_that_is_behind_turns_senders_away_and_what_waits_is_bounded() {
    let port = free_port();
    let place = Place::with(&format!(
        "[push]\nlisten = \"127.0.0.1:{port}\"\n[source.sent]\nformat = \"dated\"\npush = true\nmax-bytes = 1000\n"
    ));
    map(&place);
    let key = run(&place.path("data"), &place.arguments(&["source", "key", "sent"])).trim().to_owned();
    let _running = place.start();
    until("the listener", || TcpStream::connect(("127.0.0.1", port)).ok());
    // The database is held by somebody else: nothing can be stored.
    let db = rusqlite::Connection::open(place.path("data").join("noroshi.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = list(0..20);
    let mut answers = Vec::new();
    for _ in 0..20 {
        let answer = exchange(port, &post("sent", &key, "", &body));
        answers.push(status_of(&answer));
        if answers.last() == Some(&429) {
            assert!(answer.contains("retry-after: "), "{answer}");
        }
    }
    let accepted = answers.iter().filter(|a| **a == 202).count();
    assert!(accepted >= 2 && answers.ends_with(&[429, 429]), "{answers:?}");
    assert!(accepted * body.len() <= 4000, "{answers:?}");
    db.execute_batch("ROLLBACK").unwrap();
    until("what waited to be taken in", || {
        let (_, [read, ..]) = place.counts();
        (read == 20 * accepted as i64).then_some(())
    });
    let after = until("room", || {
        Some(exchange(port, &post("sent", &key, "", &body))).filter(|a| status_of(a) == 202)
    });
    assert!(after.contains("\"id\""), "{after}");
}

#[test]
fn the_watch_fetches_by_itself_when_it_is_time() {
    let Some(base) = server("NOROSHI_TEST_NGINX") else { return };
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_NGINX_FOLDER").unwrap());
    let name = format!("watch-{}.csv", std::process::id());
    let file = folder.join("files").join(&name);
    std::fs::write(&file, list(0..7)).unwrap();
    let place =
        Place::with("[source.web]\nformat = \"dated\"\npush = true\n[push]\nlisten = \"127.0.0.1:0\"\n");
    place.status("web");
    let watched = place.path("in");
    std::fs::create_dir(&watched).unwrap();
    place.configure(&format!(
        "[source.web]\nformat = \"dated\"\nurl = \"{base}/{name}\"\nevery = \"1s\"\n\
         [source.in]\nformat = \"dated\"\nfolder = \"{}\"\nevery = \"1s\"\nsettle-s = 0\n\
         [source.gone]\nformat = \"dated\"\nurl = \"http://127.0.0.1:1/\"\nevery = \"1s\"\n",
        watched.display()
    ));
    map(&place);
    let _running = place.start();
    let events = |n: i64| until("the events", || (place.counts().0 == n).then_some(()));
    events(7);
    std::fs::write(watched.join("a.csv"), list(100..103)).unwrap();
    events(10);
    write_new(&file, &list(0..8));
    events(11);
    let gone =
        until("the failure", || Some(place.status("gone")).filter(|s| s["failures"].as_u64() > Some(0)));
    assert!(gone["error"].as_str().unwrap().contains("127.0.0.1:1"), "{gone}");
    let out = run_any(&place.path("data"), &place.arguments(&["doctor", "--json"]));
    let sources = text(&out.stdout).lines().find(|l| l.contains("\"sources\"")).unwrap().to_owned();
    assert!(sources.contains("failing: gone"), "{sources}");
}

/// Replaces a file in one step, as whoever publishes one should.
fn write_new(file: &Path, content: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, content).unwrap();
    std::fs::rename(&next, file).unwrap();
}

/// Puts a mail with an attachment into a Dovecot maildir.
fn put_mail(user: &str, n: u32, name: &str, content: &str) {
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_IMAP_FOLDER").unwrap());
    let maildir = folder.join("mail").join(user);
    for part in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(maildir.join(part)).unwrap();
    }
    let mail = format!(
        "From: feed@example.net\r\nSubject: report {n}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
         --xx\r\nContent-Type: application/octet-stream\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{content}\r\n--xx--\r\n"
    );
    std::fs::write(maildir.join("new").join(format!("{n:08}.test")), mail).unwrap();
    let owned = std::process::Command::new("chown").args(["-R", "nobody:nogroup"]).arg(&maildir).status();
    assert!(owned.unwrap().success());
}

/// The flags of a user's mails, as the maildir has them: `S` seen, `F` flagged.
fn flags(user: &str) -> Vec<String> {
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_IMAP_FOLDER").unwrap()).join("mail").join(user);
    let mut found = Vec::new();
    for part in ["new", "cur"] {
        for mail in std::fs::read_dir(folder.join(part)).unwrap() {
            let name = mail.unwrap().file_name().into_string().unwrap();
            let (number, flags) = name.split_once(":2,").unwrap_or((&name, ""));
            found.push(format!("{} {flags}", number[..8].trim_start_matches('0')));
        }
    }
    found.sort();
    found
}

#[test]
fn reports_come_from_a_real_mailbox_and_a_mail_is_seen_when_it_is_stored() {
    let Some(plain) = server("NOROSHI_TEST_IMAP") else { return };
    let tls = server("NOROSHI_TEST_IMAP_TLS").unwrap();
    let user = format!("feed{}", std::process::id());
    let place = Place::with("");
    std::fs::write(place.path("password"), "secret\n").unwrap();
    let ca = PathBuf::from(std::env::var("NOROSHI_TEST_IMAP_FOLDER").unwrap()).join("cert.pem");
    let source = |server: &str, more: &str| {
        format!(
            "[source.mail]\nformat = \"dated\"\nimap = \"{server}\"\nuser = \"{user}\"\npassword-file = \"{}\"\n{more}",
            place.path("password").display()
        )
    };
    map(&place);
    put_mail(&user, 1, "a.csv", &list(0..10));
    put_mail(&user, 2, "picture.png", "no report");
    put_mail(&user, 3, "b.csv", &list(10..30));
    place.configure(&source(&tls, ""));
    let told = place.fails("mail");
    assert!(told.contains("ertificate") || told.contains("UnknownIssuer"), "{told}");
    assert_eq!(flags(&user), ["1 ", "2 ", "3 "], "nothing was asked of a server nobody vouches for");
    place.configure(&source(&tls, &format!("ca-file = \"{}\"\n", ca.display())));
    let told = place.fails("mail");
    assert!(told.contains("no part of it is a report") && told.contains("flagged"), "{told}");
    assert_eq!(place.counts().0, 30);
    assert_eq!(flags(&user), ["1 S", "2 FS", "3 S"]);
    assert_eq!(place.once("mail")["unchanged"], true);

    put_mail(&user, 4, "c.csv", &list(30..31));
    let starttls = format!("tls = \"starttls\"\nca-file = \"{}\"\n", ca.display());
    place.configure(&source(&plain.replace("127.0.0.1", "localhost"), &starttls));
    assert_eq!(place.once("mail")["stored"], 1);
    put_mail(&user, 5, "d.csv", &list(31..32));
    put_mail(&user, 6, "e.csv", &list(32..900));
    place.configure(&source(&plain, "tls = \"none\"\nmax-bytes = 10000\n"));
    let told = place.fails("mail");
    assert!(told.contains("more than max-bytes"), "{told}");
    assert_eq!(
        (place.counts().0, flags(&user)[4..].to_vec()),
        (32, vec!["5 S".to_owned(), "6 FS".to_owned()])
    );
    std::fs::write(place.path("password"), "wrong\n").unwrap();
    let told = place.fails("mail");
    assert!(told.contains("password-file") && !told.contains("wrong"), "{told}");
}

#[test]
fn killed_at_any_moment_no_mail_is_lost_or_taken_twice() {
    let Some(plain) = server("NOROSHI_TEST_IMAP") else { return };
    let user = format!("kill{}", std::process::id());
    let place = Place::with("");
    std::fs::write(place.path("password"), "secret\n").unwrap();
    place.configure(&format!(
        "[source.mail]\nformat = \"dated\"\nimap = \"{plain}\"\ntls = \"none\"\nuser = \"{user}\"\npassword-file = \"{}\"\n",
        place.path("password").display()
    ));
    map(&place);
    for n in 0..40 {
        put_mail(&user, n + 1, "a.csv", &list(n * 1000..n * 1000 + 1000));
    }
    let mut killed = 0;
    for round in 0..25u64 {
        let mut child = place.spawn(&["source", "run", "mail"]);
        std::thread::sleep(Duration::from_millis(60 + round * 41 % 200));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
    }
    place.once("mail");
    let (events, [read, stored, duplicate, ..]) = place.counts();
    assert_eq!((events, read, stored, duplicate), (40_000, 40_000, 40_000, 0), "after {killed} kills");
    assert!(killed > 3 && flags(&user).iter().all(|f| f.ends_with(" S")), "{killed}");
}

/// A client of NATS as small as a test needs: asks and hears the answer.
struct Nats(BufReader<TcpStream>);

impl Nats {
    fn connect(url: &str) -> Self {
        let stream = TcpStream::connect(url.strip_prefix("nats://").unwrap()).unwrap();
        let mut nats = Self(BufReader::new(stream));
        nats.line();
        nats.say("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB _INBOX.test 1\r\n");
        nats
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn ask(&mut self, subject: &str, body: &str) -> Value {
        self.say(&format!("PUB {subject} _INBOX.test {}\r\n{body}\r\n", body.len()));
        loop {
            let line = self.line();
            if line.starts_with("MSG _INBOX.test") {
                let answer: Value = serde_json::from_str(&self.line()).unwrap();
                assert!(answer["error"].is_null(), "{answer}");
                return answer;
            }
            if line.starts_with("PING") {
                self.say("PONG\r\n");
            }
        }
    }
}

#[test]
fn messages_of_a_real_queue_are_acknowledged_when_they_are_stored() {
    let Some(url) = server("NOROSHI_TEST_NATS") else { return };
    let stream = format!("feed{}", std::process::id());
    let mut nats = Nats::connect(&url);
    let created = format!("{{\"name\":\"{stream}\",\"subjects\":[\"{stream}.>\"],\"storage\":\"file\"}}");
    nats.ask(&format!("$JS.API.STREAM.CREATE.{stream}"), &created);
    for n in 0..3000 {
        nats.ask(&format!("{stream}.a"), &list(n * 2..n * 2 + 2));
    }
    nats.ask(&format!("{stream}.a"), "BZh9 packed so that nobody reads it");
    nats.ask(&format!("{stream}.b"), &list(90_000..90_001));
    let place = Place::with(&format!(
        "[source.queue]\nformat = \"dated\"\nnats = \"{url}\"\nstream = \"{stream}\"\nsubject = \"{stream}.a\"\nack-wait-s = 2\n"
    ));
    map(&place);
    let mut killed = 0;
    for round in 0..12u64 {
        let mut child = place.spawn(&["source", "run", "queue"]);
        std::thread::sleep(Duration::from_millis(100 + round * 23 % 200));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
    }
    let consumer = format!("$JS.API.CONSUMER.INFO.{stream}.noroshi-queue");
    let left = |nats: &mut Nats| {
        let info = nats.ask(&consumer, "");
        (info["num_pending"].as_u64().unwrap(), info["num_ack_pending"].as_u64().unwrap())
    };
    until("what was not acknowledged to come again", || {
        place.once("queue");
        (left(&mut nats) == (0, 0)).then_some(())
    });
    let (events, [read, stored, duplicate, filtered, quarantined]) = place.counts();
    assert_eq!((events, stored), (6000, 6000), "after {killed} kills");
    assert!(quarantined >= 1 && read == stored + duplicate + filtered + quarantined);
    let bad = run(&place.path("data"), &place.arguments(&["quarantine", "list", "--json"]));
    let bad: Vec<Value> = bad.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (bad.len(), &bad[0]["line"], &bad[0]["source"]),
        (1, &3001.into(), &stream.as_str().into()),
        "{bad:?}"
    );

    let _running = place.start();
    nats.ask(&format!("{stream}.a"), &list(50_000..50_003));
    until("the watch to take it", || (place.counts().0 == 6003).then_some(()));
}
