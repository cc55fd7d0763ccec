//! Rules that hold by consent: a line that agreed is warned, one that opted out is not from the moment that it says so, and nothing is written of it;
//! nobody is where nobody can say. A house, a resolver and clients with addresses of their own.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use noroshi_model::{Clock as _, SystemClock};
use noroshi_resolver::heard::Heard;
use noroshi_resolver::message::{Asking, write_question};
use serde_json::Value;
use tempfile::TempDir;

use super::world::{name, port, until};
use crate::darknet::{in_a_network_of_its_own, ip};
use crate::world::{Killed, noroshi, run};

/// Lines, each with an address of its own; the last is not in the directory.
const LINES: u8 = 40;
/// Who takes over somebody's address.
const OTHER: u8 = 39;

fn client(line: u8) -> String {
    format!("198.51.100.{line}")
}

struct Place {
    folder: TempDir,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), port());
        let mut people = "user_name,contract,name,mail,language,opted_out\n".to_owned();
        for line in 1..LINES {
            let out = if line == OTHER { "yes" } else { "no" };
            writeln!(
                people,
                "line{line}@isp.example,C-{line:06},Somebody {line},line{line}@mail.example,en,{out}"
            )
            .unwrap();
        }
        let place = Self { folder, port };
        std::fs::write(place.path("people.csv"), people).unwrap();
        std::fs::write(place.path("list"), "*.bad.example CNAME .\n").unwrap();
        std::fs::write(place.path("cnc"), "c2.example CNAME .\n").unwrap();
        let config = format!(
            "[network]\nown = [\"198.51.100.0/24\"]\n[directory]\nfile = {people:?}\n\
             [source.cnc]\nformat = \"json\"\nfolder = {events:?}\ncampaign = \"cnc\"\nevery = \"1s\"\nsettle-s = 0\n\
             [resolver]\nlisten = [\"127.0.0.1:{port}\"]\nthreads = 1\nallow = [\"198.51.100.0/24\"]\nforward = [\"127.0.0.1:9\"]\ncnc-events = {events:?}\n\
             [[resolver.rpz]]\nname = \"rpz.test\"\nfile = {list:?}\nmeasure = \"site-warning\"\n\
             [[resolver.rpz]]\nname = \"cnc.test\"\nfile = {cnc:?}\nmeasure = \"cnc-blocking\"\nmalware-name = \"mirai\"\n",
            people = place.path("people.csv"),
            list = place.path("list"),
            cnc = place.path("cnc"),
            events = place.path("events"),
        );
        std::fs::create_dir(place.path("events")).unwrap();
        std::fs::write(place.path("noroshi.toml"), config).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn run(&self, arguments: &[&str]) -> String {
        let config = self.path("noroshi.toml");
        run(&self.data(), &[&["--config", config.to_str().unwrap()], arguments].concat())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = noroshi(&self.data());
        command.arg("--config").arg(self.path("noroshi.toml")).args(arguments);
        command
    }

    /// Accounting records of so many seconds ago, as an access server writes them.
    fn account(&self, file: &str, ago_s: i64, records: &[(&str, u8, u8)]) {
        let mut text = String::new();
        let now = SystemClock.now();
        for (at, (status, line, address)) in records.iter().enumerate() {
            let when = Timestamp::from_second(now.as_second() - ago_s + at as i64 / 10).unwrap();
            let stamp = when.to_zoned(TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y");
            write!(
                text,
                "{stamp}\n\tUser-Name = \"line{line}@isp.example\"\n\tAcct-Status-Type = {status}\n\tAcct-Session-Id = \"s{line}\"\n\
                 \tNAS-IP-Address = 192.0.2.1\n\tFramed-IP-Address = {}\n\tAcct-Unique-Session-Id = \"u{line}-{address}\"\n\tTimestamp = {}\n\n",
                client(*address),
                when.as_second()
            )
            .unwrap();
        }
        let path = self.path(file);
        std::fs::write(&path, text).unwrap();
        self.run(&["sessions", "import", path.to_str().unwrap()]);
    }

    fn house(&self) -> Killed {
        Killed::start(&mut self.command(&["run", "--role", "observe,orient,decide,act"]))
    }

    fn resolver(&self) -> Resolver {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let child = self.command(&["resolver"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let resolver = Resolver(child);
        until("the resolver", || std::net::TcpStream::connect(("127.0.0.1", self.port)).ok());
        resolver
    }

    /// Whether a rule decided for a client's question; without one nobody can be asked, so that the answer is an error.
    fn warned(&self, line: u8, asked: &str) -> bool {
        warned(&UdpSocket::bind((client(line), 0)).unwrap(), self.port, asked)
    }
}

fn warned(socket: &UdpSocket, port: u16, asked: &str) -> bool {
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut question = Vec::new();
    let asking = Asking { rtype: 1, recursion: true, dnssec_ok: false, checking_disabled: false };
    write_question(&mut question, fastrand::u16(..), &name(asked), asking, 1232);
    socket.send_to(&question, ("127.0.0.1", port)).unwrap();
    let mut answer = [0; 2048];
    loop {
        let len = socket.recv(&mut answer).unwrap();
        if answer[..2] == question[..2] {
            return match Heard::read(&answer[..len]).unwrap().code {
                3 => true,
                2 => false,
                other => panic!("{asked}: {other}"),
            };
        }
    }
}

/// A resolver that runs, and that no failed test leaves behind.
struct Resolver(Child);

impl Drop for Resolver {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Ends a resolver as whoever runs it does.
fn ended(mut resolver: Resolver) {
    Command::new("kill").arg(resolver.0.id().to_string()).status().unwrap();
    assert!(resolver.0.wait().unwrap().success());
}

/// All files below a folder that have one of these texts in them.
fn files_with(folder: &Path, texts: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let has = |text: &String| bytes.windows(text.len()).any(|at| at == text.as_bytes());
            if texts.iter().any(has) {
                found.push(path);
            }
        }
    }
    found
}

/// Others ask meanwhile, as fast as they can; how many they are.
fn under_load<T>(place: &Place, lines: std::ops::Range<u8>, what: impl FnOnce() -> T) -> (T, f64) {
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (ends, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let begun = Instant::now();
        for line in lines {
            let (ends, asked) = (&ends, &asked);
            scope.spawn(move || {
                let socket = UdpSocket::bind((client(line), 0)).unwrap();
                while !ends.load(Ordering::Relaxed) {
                    assert!(warned(&socket, place.port, "load.bad.example."));
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let end = End(&ends);
        let done = what();
        drop(end);
        (done, asked.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
    })
}

/// Clients have addresses that others may speak of, which this machine has only in a network of its own.
fn among_lines(what: impl FnOnce() + Send + 'static) {
    in_a_network_of_its_own(|| {
        assert!(ip(&["addr", "add", "198.51.100.0/24", "dev", "lo"]));
        what();
    });
}

#[test]
fn who_opts_out_is_not_warned_any_more_and_nothing_is_written_of_it() {
    among_lines(opting_out);
}

#[test]
fn nobody_is_warned_once_nobody_says_who_agreed() {
    among_lines(silence);
}

fn opting_out() {
    let place = Place::new();
    let sessions: Vec<(&str, u8, u8)> =
        (1..=LINES).filter(|line| *line != OTHER).map(|line| ("Start", line, line)).collect();
    place.account("detail-1", 60, &sessions);
    let resolver = place.resolver();
    let house = place.house();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!place.warned(1, "early.bad.example."), "the terms do not say so yet");
    for measure in ["site-warning", "cnc-blocking", "infection-notice"] {
        place.run(&["consent", "grant", "--measure", measure, "--how", "terms"]);
    }
    place.run(&["law", "approve", "cnc-blocking", "--by", "aoki", "--why", "a test"]);
    place.run(&["law", "approve", "cnc-blocking", "--by", "baba", "--why", "a test"]);
    until("the first warning", || place.warned(1, "first.bad.example.").then_some(()));
    for line in 2..OTHER {
        assert!(place.warned(line, &format!("line{line}-before.bad.example.")), "{line}");
    }
    until("all lines but the one that opted out and the one that is nobody's", || {
        let status: Value = serde_json::from_str(&place.run(&["resolver", "status", "--json"])).unwrap();
        (status["agreed"] == serde_json::json!({ "site-warning": 38, "cnc-blocking": 38 })).then_some(())
    });
    assert!(!place.warned(LINES, "unknown.bad.example."), "a line that is nobody's");
    assert!(!place.warned(100, "nobody.bad.example."), "an address that nobody has");
    until("the command server", || place.warned(3, "c2.example.").then_some(()));

    let (took, per_second) = under_load(&place, 1..4, || {
        let mut took = Vec::new();
        for line in 10..20 {
            let begun = Instant::now();
            let contract = format!("C-{line:06}");
            place.run(&[
                "consent",
                "withdraw",
                "--measure",
                "site-warning",
                "--contract",
                &contract,
                "--how",
                "a call",
            ]);
            until("the opt-out", || (!place.warned(line, "poll.bad.example.")).then_some(()));
            took.push(begun.elapsed());
        }
        took
    });
    println!("opting out took {took:?}, with {per_second:.0} questions a second beside it");
    assert!(took.iter().all(|took| *took < Duration::from_secs(3)), "{took:?}");
    for line in 10..20 {
        assert!(!place.warned(line, &format!("line{line}-after.bad.example.")));
    }
    place.run(&[
        "consent",
        "grant",
        "--measure",
        "site-warning",
        "--contract",
        "C-000010",
        "--how",
        "a call",
    ]);
    until("being back", || place.warned(10, "line10-again.bad.example.").then_some(()));

    // Somebody else connects with the address of a line that agreed: whoever opted out is not warned because of it.
    place.account("detail-2", 30, &[("Stop", 5, 5), ("Start", OTHER, 5)]);
    until("the other line", || (!place.warned(5, "poll.bad.example.")).then_some(()));

    ended(resolver);
    let recorded = place.run(&["resolver", "hits", "--json"]);
    let recorded: Vec<Value> = recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!recorded.is_empty(), "{}", std::fs::read_to_string(place.path("log")).unwrap());
    let has = |name: &str| recorded.iter().any(|row| row["name"] == name);
    assert!(has("line12-before.bad.example.") && has("line10-again.bad.example."));
    for line in 10..20 {
        assert!(!has(&format!("line{line}-after.bad.example.")), "{line}");
    }
    for never in ["early.bad.example.", "unknown.bad.example.", "nobody.bad.example."] {
        assert!(!has(never), "{never}");
    }
    let addresses: Vec<String> =
        (10..20).map(client).chain((10..20).map(|line| format!("line{line}-after"))).collect();
    assert_eq!(files_with(&place.data(), &addresses), [""; 0].map(PathBuf::from), "in none of the files");

    // Until then it is certain that the line had the address.
    place.account("detail-3", 0, &[("Interim-Update", 3, 3)]);
    let cases = until("the case of the line that asked for a command server", || {
        let listed = place.run(&["case", "list", "--json"]);
        (!listed.trim().is_empty()).then_some(listed)
    });
    assert_eq!(cases.lines().count(), 1, "{cases}");
    drop(house);
}

fn silence() {
    let place = Place::new();
    place.account("detail-1", 60, &[("Start", 1, 1)]);
    place.run(&["consent", "grant", "--measure", "site-warning", "--how", "terms"]);
    let resolver = place.resolver();
    let house = place.house();
    until("the first warning", || place.warned(1, "first.bad.example.").then_some(()));
    ended(resolver);
    let resolver = place.resolver();
    assert!(!place.warned(1, "new.bad.example."), "a resolver that begins knows of nobody");
    until("a warning by the new one", || place.warned(1, "new.bad.example.").then_some(()));
    place.run(&["consent", "withdraw", "--measure", "site-warning", "--how", "terms"]);
    until("the end of the clause", || (!place.warned(1, "ended.bad.example.")).then_some(()));
    place.run(&["consent", "grant", "--measure", "site-warning", "--how", "terms"]);
    until("the clause again", || place.warned(1, "again.bad.example.").then_some(()));
    // As when its machine fails.
    drop(house);
    let begun = Instant::now();
    until("plain answers", || (!place.warned(1, "late.bad.example.")).then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    ended(resolver);
}
