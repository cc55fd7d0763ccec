//! A flood: messages that are none, names that do not exist below a zone whose servers keep silent, connections that never finish what they began. Whoever asks
//! as one should hardly notices.

use std::io::Write as _;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use noroshi_resolver::message::{Asking, write_question};

use super::warning::connected_from;
use super::world::{Running, everywhere, name};

/// Messages that are none, a second.
const MALFORMED_S: u32 = 10_000;
/// Questions for names that do not exist, a second.
const RANDOM_S: u32 = 2_000;
/// Connections that never finish, of each of so many clients.
const SLOW: [usize; 2] = [50, 8];
/// Questions of the good client in each phase, one after the other.
const QUESTIONS: usize = 600;

fn question(asked: &str) -> Vec<u8> {
    let mut question = Vec::new();
    let asking = Asking { rtype: 1, recursion: true, dnssec_ok: false, checking_disabled: false };
    write_question(&mut question, fastrand::u16(..), &name(asked), asking, 1232);
    question
}

/// How long a good client waits for what is known and for what is not, in microseconds: medians, and how many answers never came.
fn waits(port: u16, phase: &str) -> ([u128; 2], usize) {
    let socket = UdpSocket::bind("127.0.0.30:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut waited = [Vec::new(), Vec::new()];
    let mut lost = 0;
    for number in 0..QUESTIONS {
        let known = number % 2;
        let asked =
            if known == 0 { "known.example.".to_owned() } else { format!("{phase}{number}.example.") };
        let (question, begun) = (question(&asked), Instant::now());
        socket.send(&question).unwrap();
        let mut answer = [0; 2048];
        loop {
            match socket.recv(&mut answer) {
                Ok(_) if answer[..2] != question[..2] => {}
                Ok(_) => {
                    assert_eq!(answer[3] & 15, 0, "{asked}");
                    waited[known].push(begun.elapsed().as_micros());
                    break;
                }
                Err(_) => {
                    lost += 1;
                    break;
                }
            }
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    let medians = waited.map(|mut waited| {
        waited.sort_unstable();
        waited[waited.len() / 2]
    });
    (medians, lost)
}

/// Sends so many a second until it ends.
fn send(
    ends: &AtomicBool,
    sent: &AtomicU64,
    from: &str,
    port: u16,
    per_s: u32,
    mut what: impl FnMut() -> Vec<u8>,
) {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    let begun = Instant::now();
    let mut number = 0u32;
    while !ends.load(Ordering::Relaxed) {
        while f64::from(number) < begun.elapsed().as_secs_f64() * f64::from(per_s) {
            let _ = socket.send_to(&what(), ("127.0.0.1", port));
            number += 1;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    sent.fetch_add(number.into(), Ordering::Relaxed);
}

#[test]
fn who_asks_as_one_should_hardly_notices_a_flood() {
    let running = Running::start(&format!("forward = [\"{}\"]", everywhere([192, 0, 2, 1])), "");
    let port = running.port;
    waits(port, "first");
    let (before, lost_before) = waits(port, "before");
    let (ends, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let (during, lost) = std::thread::scope(|scope| {
        let (ends, sent) = (&ends, &sent);
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _end = End(ends);
        scope.spawn(|| {
            send(ends, sent, "127.1.0.1", port, MALFORMED_S, || {
                let mut octets = question("x.example.");
                octets.truncate(fastrand::usize(..octets.len()));
                octets.iter_mut().skip(2).for_each(|octet| *octet ^= fastrand::u8(..) & 0x81);
                octets
            });
        });
        scope.spawn(|| {
            send(ends, sent, "127.2.0.1", port, RANDOM_S, || {
                question(&format!("{:x}.silent.", fastrand::u64(..)))
            });
        });
        let [each, clients] = SLOW;
        let mut slow = Vec::new();
        for client in 0..clients {
            for _ in 0..each {
                let mut stream = connected_from(&format!("127.3.0.{}", client + 1), "127.0.0.1", port);
                stream.write_all(&[0]).unwrap();
                slow.push(stream);
            }
        }
        // Until it has taken what places it gets.
        std::thread::sleep(Duration::from_secs(1));
        waits(port, "during")
    });
    let sent = sent.load(Ordering::Relaxed);
    println!(
        "known, not known (median µs): {before:?} before, {during:?} during a flood of {sent} messages; lost {lost_before}, {lost}"
    );
    assert_eq!((lost_before, lost), (0, 0));
    for (before, during) in before.into_iter().zip(during) {
        // A test's machine has few processors, and who floods takes some of them.
        assert!(during < 2 * before + 1000, "{during} µs, {before} µs without the flood");
    }
    let status = running.asked(&["status"]);
    assert!(status["waiting"].as_u64().unwrap() <= 1100, "what waits is bounded: {status}");
}
