//! Clients that hold lists of URLs: one as the protocol's documentation describes it, and one that others wrote, gglsbl.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{Running, port, until};
use crate::world::{say, server};

/// A resolver that has two lists.
struct Served {
    running: Running,
    place: TempDir,
    base: String,
}

impl Served {
    fn new() -> Self {
        let (place, at) = (tempfile::tempdir().unwrap(), port());
        let list = |name: &str| {
            let file = place.path().join(name);
            format!("[[resolver.url-list]]\nname = \"{name}\"\nfile = {file:?}\n")
        };
        let tables = list("MALWARE") + &list("SOCIAL_ENGINEERING");
        write(&place.path().join("MALWARE"), 0..3000);
        write(&place.path().join("SOCIAL_ENGINEERING"), 2990..2991);
        let lines = format!("forward = [\"127.0.0.1:9\"]\nlisten-hashes = [\"127.0.0.1:{at}\"]");
        let running = Running::start(&lines, &tables);
        until("the lists", || std::net::TcpStream::connect(("127.0.0.1", at)).ok());
        Self { running, place, base: format!("http://127.0.0.1:{at}") }
    }

    fn change(&self) {
        write(&self.place.path().join("MALWARE"), 500..3300);
        self.running.asked(&["reload"]);
    }
}

fn write(file: &PathBuf, numbers: std::ops::Range<u32>) {
    let mut text = String::new();
    numbers.for_each(|number| writeln!(text, "http://h{}.test/p/{number}", number % 7).unwrap());
    std::fs::write(file, text).unwrap();
}

/// A client that is told what to do, a line at a time.
struct Client {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Client {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    fn tell(&mut self, what: &str) -> Value {
        writeln!(self.to, "{what}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{what}: {line:?}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_client_as_documented_keeps_up_and_finds() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        say(format_args!("SKIPPED: there is no python3"));
        return;
    }
    let served = Served::new();
    let script = include_str!("hashes/documented.py");
    let mut client = Client::start(Command::new("python3").args(["-c", script, &served.base]));
    let updated = |kind, count| json!({"MALWARE": [kind, count], "SOCIAL_ENGINEERING": [kind, 1]});
    assert_eq!(client.tell("update"), updated("FULL_UPDATE", 3000));
    assert_eq!(client.tell("look h1.test/p/2990"), json!(["MALWARE", "SOCIAL_ENGINEERING"]));
    assert_eq!(client.tell("look h5.test/p/5"), json!(["MALWARE"]));
    assert_eq!(client.tell("look h0.test/"), json!([]));
    served.change();
    assert_eq!(client.tell("update"), updated("PARTIAL_UPDATE", 2800));
    assert_eq!(client.tell("look h5.test/p/5"), json!([]));
    assert_eq!(client.tell("look h1.test/p/3298"), json!(["MALWARE"]));
}

#[test]
fn gglsbl_keeps_up_and_finds() {
    let Some(python) = server("NOROSHI_TEST_GGLSBL") else { return };
    let served = Served::new();
    let folder = tempfile::tempdir().unwrap();
    let script = include_str!("hashes/gglsbl_client.py");
    let base = format!("{}/", served.base);
    let mut client =
        Client::start(Command::new(python).args(["-c", script, &base]).arg(folder.path().join("held.db")));
    // What it has found, it keeps for as long as it was told it may.
    assert_eq!(client.tell("update"), "updated");
    assert_eq!(client.tell("look h1.test/p/2990"), json!(["MALWARE", "SOCIAL_ENGINEERING"]));
    assert_eq!(client.tell("look h5.test/p/5"), json!(["MALWARE"]));
    assert_eq!(client.tell("look h0.test/"), json!([]));
    served.change();
    assert_eq!(client.tell("update"), "updated");
    assert_eq!(client.tell("look h4.test/p/4"), json!([]));
    assert_eq!(client.tell("look h1.test/p/3298"), json!(["MALWARE"]));
}
