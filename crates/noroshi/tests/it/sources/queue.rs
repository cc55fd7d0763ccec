//! A real NATS server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use super::{Ended, Place, list, map};
use crate::mail::until;
use crate::world::{run, server};

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
    let mut sent = 0;
    let send = |nats: &mut Nats, sent: &mut u32, count: u32| {
        for n in *sent..*sent + count {
            nats.ask(&format!("{stream}.a"), &list(n * 2..n * 2 + 2));
        }
        *sent += count;
    };
    send(&mut nats, &mut sent, 3000);
    nats.ask(&format!("{stream}.a"), "BZh9 packed so that nobody reads it");
    nats.ask(&format!("{stream}.b"), &list(90_000..90_001));
    let place = Place::with(&format!(
        "[source.queue]\nformat = \"dated\"\nnats = \"{url}\"\nstream = \"{stream}\"\nsubject = \"{stream}.a\"\nack-wait-s = 2\n"
    ));
    map(&place);
    place.kill_often("queue", 6, |ended| {
        send(&mut nats, &mut sent, if ended == Ended::Done { 1000 } else { 0 });
    });
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
    let sent = i64::from(sent);
    assert_eq!((events, stored), (sent * 2, sent * 2));
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
