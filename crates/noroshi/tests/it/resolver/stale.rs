//! Answers older than they should be, while whoever is asked is slow or silent (RFC 8767).

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use noroshi_resolver::heard::Heard;

use super::world::{Running, addresses, ask_within};

/// A server that takes its time, and says another address each time; all hold for a second.
#[derive(Clone, Default)]
struct Slow {
    wait_ms: Arc<AtomicU64>,
    asked: Arc<AtomicUsize>,
}

/// So long does one that says nothing wait.
const FOR_EVER_MS: u64 = u64::MAX;

impl Slow {
    fn start(&self) -> u16 {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let port = socket.local_addr().unwrap().port();
        let slow = self.clone();
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut question) {
                let number = slow.asked.fetch_add(1, Ordering::Relaxed) + 1;
                let wait_ms = slow.wait_ms.load(Ordering::Relaxed);
                if wait_ms == FOR_EVER_MS {
                    continue;
                }
                // The question without its OPT record, and an A record.
                let mut answer = question[..len - 11].to_vec();
                answer[2..4].copy_from_slice(&[0x81, 0x80]);
                answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, number as u8]);
                let socket = Arc::clone(&socket);
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(wait_ms));
                    socket.send_to(&answer, from).unwrap();
                });
            }
        });
        port
    }
}

#[test]
fn who_would_wait_too_long_gets_the_old_answer_and_the_next_one_the_new() {
    let slow = Slow::default();
    slow.wait_ms.store(300, Ordering::Relaxed);
    let ours = Running::start(&format!("forward = [\"127.0.0.1:{}\"]\n", slow.start()), "");
    let ask = || {
        let begun = Instant::now();
        let heard: Heard = ask_within(Duration::from_secs(10), ours.port, "a.example.", 1, false).unwrap();
        (addresses(&heard).1[0][3], heard.answer[0].ttl, begun.elapsed())
    };
    let (first, ttl, _) = ask();
    assert_eq!((first, ttl), (1, 1));
    std::thread::sleep(Duration::from_millis(2100));
    // Who is asked takes longer than a client waits, but answers: after 1.2 s it is asked again, and that answer comes after 3.2 s.
    slow.wait_ms.store(2000, Ordering::Relaxed);
    let (old, ttl, took) = ask();
    assert_eq!((old, ttl), (1, 30), "the old answer");
    assert!((1500..2500).contains(&took.as_millis()), "{took:?}");
    std::thread::sleep(Duration::from_millis(1500));
    let (new, ttl, took) = ask();
    assert!(new > 1 && ttl <= 1 && took < Duration::from_millis(500), "{new} {ttl} {took:?}");
    // Who is asked is silent: after that was found out once nobody waits for it, and it is left alone.
    std::thread::sleep(Duration::from_millis(2100));
    slow.wait_ms.store(FOR_EVER_MS, Ordering::Relaxed);
    let (old, ttl, took) = ask();
    assert_eq!((old, ttl), (new, 30));
    assert!(took < Duration::from_millis(2500), "{took:?}");
    // Twice over UDP, which takes eight times as long as it usually does.
    std::thread::sleep(Duration::from_secs(8));
    let before = slow.asked.load(Ordering::Relaxed);
    for _ in 0..20 {
        let (old, ttl, took) = ask();
        assert_eq!((old, ttl), (new, 30));
        assert!(took < Duration::from_millis(300), "{took:?}");
    }
    assert_eq!(slow.asked.load(Ordering::Relaxed), before, "nobody is asked again within 30 seconds");
}
