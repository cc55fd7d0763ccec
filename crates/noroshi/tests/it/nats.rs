//! Exports to a real NATS server with JetStream.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::export::{load, numbered, tags};
use crate::world::{noroshi, run, run_any, say, text};

const PATIENCE: Duration = Duration::from_secs(60);

/// The server's program, or a printed reason to skip. The tests start it themselves, because they also stop it.
pub fn program() -> Option<String> {
    if let Ok(named) = std::env::var("NOROSHI_TEST_NATS_SERVER") {
        return Some(named);
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin"]);
    let found = folders.map(|folder| Path::new(folder).join("nats-server")).find(|program| program.exists());
    if found.is_none() {
        assert!(std::env::var("CI").is_err(), "there is no nats-server in CI");
        say(format_args!(
            "SKIPPED: there is no nats-server; install it, or name it in NOROSHI_TEST_NATS_SERVER"
        ));
    }
    found.map(|program| program.display().to_string())
}

/// A server, ended when dropped.
pub struct Nats {
    child: Child,
    port: u16,
}

impl Drop for Nats {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Nats {
    pub fn start(program: &str, folder: &Path, port: u16) -> Self {
        let store = folder.join("jetstream").display().to_string();
        let child = Command::new(program)
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd", &store])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub async fn context(&self) -> jetstream::Context {
        let begun = Instant::now();
        loop {
            match async_nats::connect(self.url()).await {
                Ok(client) => return jetstream::new(client),
                Err(e) => assert!(begun.elapsed() < PATIENCE, "{e}"),
            }
        }
    }

    /// Makes the stream, or finds it.
    async fn stream(&self) -> stream::Stream {
        let config = stream::Config {
            name: "EVENTS".into(),
            subjects: vec!["noroshi.>".into()],
            ..stream::Config::default()
        };
        self.context().await.get_or_create_stream(config).await.unwrap()
    }

    /// All messages, in order.
    async fn messages(&self) -> Vec<(String, String)> {
        let mut stream = self.stream().await;
        let last = stream.info().await.unwrap().state.last_sequence;
        let mut all = Vec::new();
        for seq in 1..=last {
            let message = stream.get_raw_message(seq).await.unwrap();
            let id = message.headers.get("Nats-Msg-Id").unwrap().to_string();
            all.push((id, text(&message.payload)));
        }
        all
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_stream_has_each_event_once_also_when_it_is_sent_twice_or_the_server_was_away() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 2300);
    let runtime = Runtime::new().unwrap();
    let nats = Nats::start(&program, folder.path(), free_port());
    // No stream takes the subject yet: nobody would have the events, so they do not count as sent.
    runtime.block_on(nats.context());
    let to = format!("{}/noroshi.events", nats.url());
    let arguments = ["event", "export", "--cursor", "bus", "--to", &to, "--tries", "1"];
    let failed = run_any(folder.path(), &arguments);
    assert!(text(&failed.stderr).contains("no acknowledgement from a stream"), "{}", text(&failed.stderr));
    runtime.block_on(nats.stream());
    run(folder.path(), &arguments);
    let lines = |messages: Vec<(String, String)>| -> Vec<String> {
        tags(&messages.into_iter().map(|(_, text)| text + "\n").collect::<String>())
    };
    assert_eq!(lines(runtime.block_on(nats.messages())), numbered(2300));
    // Sent again by an export that knows nothing of the first one: the stream knows the ids.
    run(folder.path(), &["event", "export", "--to", &to]);
    let messages = runtime.block_on(nats.messages());
    assert_eq!(messages.len(), 2300);
    let listed: Value = serde_json::from_str(
        run(folder.path(), &["event", "list", "--json", "--limit", "1"]).lines().next().unwrap(),
    )
    .unwrap();
    assert_eq!(listed["id"], Value::from(messages[2299].0.as_str()), "the newest event's id");
    // Away: it is waited for.
    let port = nats.port;
    drop(nats);
    run(folder.path(), &["event", "cursors", "--forget", "bus"]);
    let mut waiting = noroshi(folder.path())
        .args(["event", "export", "--cursor", "bus", "--to", &to])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    // It says that it waits; only then the server comes back.
    std::io::Read::read_exact(waiting.stderr.as_mut().unwrap(), &mut first).unwrap();
    let nats = Nats::start(&program, folder.path(), port);
    assert!(waiting.wait_with_output().unwrap().status.success());
    assert_eq!(runtime.block_on(nats.messages()).len(), 2300);
}

#[test]
fn a_message_of_stix_is_a_bundle_that_brings_everything_it_refers_to() {
    let Some(program) = program() else { return };
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), 20);
    let runtime = Runtime::new().unwrap();
    let nats = Nats::start(&program, folder.path(), free_port());
    runtime.block_on(nats.stream());
    let to = format!("{}/noroshi.stix", nats.url());
    run(folder.path(), &["event", "export", "--format", "stix", "--to", &to]);
    let messages = runtime.block_on(nats.messages());
    assert_eq!(messages.len(), 20);
    for (_, text) in messages {
        let bundle: Value = serde_json::from_str(&text).unwrap();
        let objects = bundle["objects"].as_array().unwrap();
        let observed = objects.last().unwrap();
        for reference in observed["object_refs"].as_array().unwrap() {
            assert!(objects.iter().any(|object| &object["id"] == reference), "{reference} is not in {text}");
        }
    }
}
