//! Reports that are sent to us.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use super::{Place, list, map};
use crate::mail::{free_port, until};
use crate::world::{last_json, run, text};

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
    // The first one cannot be read, which keeps none of the others waiting.
    assert_eq!(status_of(&exchange(port, &post("sent", &key, "", "BZh9 packed"))), 202);
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
