//! Clients that hold lists of URLs: one as the protocol's documentation describes it, and one that others wrote, gglsbl.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use arc_swap::ArcSwap;
use noroshi_resolver::url::{List, Lists};
use serde_json::{Value, json};

use crate::world::say;

#[path = "../../../src/resolver/hashes.rs"]
mod router;

/// Lists as a program has them that serves them to clients.
struct Served {
    lists: Arc<ArcSwap<Lists>>,
    at: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    fn new() -> Self {
        let lists = vec![list("MALWARE", 0..3000), list("SOCIAL_ENGINEERING", 2990..2991)];
        let lists = Arc::new(ArcSwap::from_pointee(Lists::new(lists).unwrap()));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let at = listener.local_addr().unwrap();
        let router = router::router(Arc::clone(&lists));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { lists, at, _runtime: runtime }
    }

    fn change(&self) {
        self.lists.store(Arc::new(self.lists.load().with(0, list("MALWARE", 500..3300)).unwrap()));
    }
}

fn list(name: &str, numbers: std::ops::Range<u32>) -> List {
    let text: String = numbers.map(|number| format!("http://h{}.test/p/{number}\n", number % 7)).collect();
    let (list, refused) = List::read(name, text.as_bytes()).unwrap();
    assert_eq!(refused, []);
    list
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
    let mut client =
        Client::start(Command::new("python3").args(["-c", script, &format!("http://{}", served.at)]));
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

/// `NOROSHI_TEST_GGLSBL` names a Python that has it: `pip install google-api-python-client`, then `pip install --no-deps gglsbl==1.4.15`.
#[test]
fn gglsbl_keeps_up_and_finds() {
    let Ok(python) = std::env::var("NOROSHI_TEST_GGLSBL") else {
        say(format_args!("SKIPPED: NOROSHI_TEST_GGLSBL names no Python that has gglsbl"));
        return;
    };
    let served = Served::new();
    let folder = tempfile::tempdir().unwrap();
    let script = include_str!("hashes/gglsbl_client.py");
    let base = format!("http://{}/", served.at);
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
