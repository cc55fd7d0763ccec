//! How fast the question "who held this address" is answered, sessions put together included.

use divan::counter::ItemsCount;
use jiff::Timestamp;
use noroshi_act::book::{Book, Rules};
use noroshi_act::clocks::Clocks;
use noroshi_wire::radius::{Accounting, Status};

fn main() {
    divan::main();
}

fn record(session: u32, status: Status, at_s: i64, session_time_s: u32) -> Accounting {
    let time = |s| Timestamp::from_second(1_790_000_000 + s).unwrap_or_default();
    Accounting {
        status,
        nas: "192.0.2.1".into(),
        session: Some(format!("{session:08X}")),
        user: Some(format!("sub{session}@example.ne.jp")),
        framed: vec!["198.51.100.7/32".parse().unwrap_or_default()],
        session_time_s: Some(session_time_s),
        delay_s: 0,
        received: time(at_s),
        nas_time: Some(time(at_s)),
        nas_time_unread: false,
        line: 0,
        terminate_cause: None,
        proxied: false,
    }
}

/// Two-hour sessions one after the other on one address, with a record every half hour; one question per session.
/// Cost per record stays flat: 10 and 100 times the sessions.
#[divan::bench(args = [8, 80, 800])]
fn assemble_and_answer(bencher: divan::Bencher<'_, '_>, sessions: u32) {
    let mut records = Vec::new();
    for n in 0..sessions {
        let start = i64::from(n) * 7_500;
        records.push(record(n, Status::Start, start, 0));
        records.extend((1..4).map(|i| record(n, Status::Interim, start + i64::from(i) * 1_800, i * 1_800)));
        records.push(record(n, Status::Stop, start + 7_200, 7_200));
    }
    let (clocks, rules) = (Clocks::default(), Rules::default());
    let ip = "198.51.100.7".parse().unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
    let at = Timestamp::from_second(1_790_000_900).unwrap_or_default();
    bencher.counter(ItemsCount::new(records.len())).bench(|| {
        let book = Book::assemble(&records, &clocks, &rules, false);
        book.answer(ip, at)
    });
}
