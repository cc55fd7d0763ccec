//! Who is there now, and what changed since it was last asked.

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use noroshi_book::{Book, Looked, Moved};
use noroshi_wire::{Assignment, Change, Given, Whom};

use super::{Evidence, asking, kept, now, vault};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn at(s: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + s).unwrap()
}

fn record(change: Change, s: i64, net: &str, line: &str, id: &str) -> Assignment {
    Assignment {
        change,
        given: Some(Given { net: net.parse::<IpNet>().unwrap(), ports: None }),
        whom: Some(Whom::Line(line.into())),
        at: at(s),
        until: None,
        began: None,
        server: "192.0.2.1".into(),
        session: Some(id.into()),
        clock_offset_s: None,
        line: 0,
    }
}

/// Networks and the lines that have them, sorted.
fn present(book: &Book, s: i64) -> Vec<(String, String)> {
    let present = book.present(at(s), DAY);
    let opened = vault().open_one(present, "everybody", &asking(), now(), &mut Evidence::default()).unwrap();
    let present = opened.read();
    let mut all = Vec::new();
    present.each_slot(|slot, line| all.push((slot.net().to_string(), present.name(line).unwrap())));
    all.sort();
    all
}

fn of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(net, line)| ((*net).to_owned(), (*line).to_owned())).collect()
}

#[test]
fn who_is_there_is_who_began_and_did_not_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), vault()).unwrap();
    let shared = Assignment {
        given: Some(Given { net: "203.0.113.9/32".parse().unwrap(), ports: Some((1024, 2047)) }),
        ..record(Change::Start, 0, "203.0.113.9/32", "behind", "4")
    };
    let leased =
        Assignment { until: Some(at(3600)), ..record(Change::Start, 0, "198.51.100.3/32", "leased", "5") };
    let records = [
        record(Change::Start, 0, "198.51.100.1/32", "one", "1"),
        record(Change::Start, 0, "2001:db8:1:100::/56", "one", "1"),
        record(Change::Start, 0, "198.51.100.2/32", "two", "2"),
        shared,
        leased,
    ];
    book.keep(&kept(records)).unwrap();
    let (one, prefix, leased, two) = (
        ("198.51.100.1/32", "one"),
        ("2001:db8:1:100::/56", "one"),
        ("198.51.100.3/32", "leased"),
        ("198.51.100.2/32", "two"),
    );
    assert_eq!(present(&book, 60), of(&[one, two, leased, prefix]));
    assert_eq!(present(&book, 7200), of(&[one, two, prefix]), "a lease has an end");
    assert_eq!(present(&book, 25 * 3600), of(&[]), "of nobody was anything heard for a day");
    book.keep(&kept([record(Change::Stop, 100, "198.51.100.2/32", "two", "2")])).unwrap();
    assert_eq!(present(&book, 200), of(&[one, leased, prefix]));
    let claimed = Assignment {
        server: "192.0.2.99".into(),
        ..record(Change::Interim, 300, "198.51.100.1/32", "three", "9")
    };
    book.keep(&kept([record(Change::Interim, 290, "198.51.100.1/32", "one", "1"), claimed])).unwrap();
    book.keep(&kept([record(Change::Interim, 310, "198.51.100.1/32", "one", "1")])).unwrap();
    assert_eq!(present(&book, 400), of(&[leased, prefix]), "two on one address are nobody");
}

#[test]
fn what_changed_is_told_to_everybody_who_follows_in_another_process_too() {
    let folder = tempfile::tempdir().unwrap();
    let (mut writes, mut reads) =
        (Book::open(folder.path(), vault()).unwrap(), Book::open(folder.path(), vault()).unwrap());
    writes.keep(&kept([record(Change::Start, 0, "198.51.100.1/32", "one", "1")])).unwrap();
    reads.catch_up().unwrap();
    let (moved, first) = reads.moved(Looked::default());
    assert_eq!(moved, Moved::All, "somebody who begins");
    writes.keep(&kept([record(Change::Start, 5, "198.51.100.2/32", "two", "2")])).unwrap();
    reads.catch_up().unwrap();
    for _ in 0..2 {
        let (Moved::Slots(slots), _) = reads.moved(first) else { panic!("all of it") };
        assert_eq!(slots.iter().map(|slot| slot.net().to_string()).collect::<Vec<_>>(), ["198.51.100.2/32"]);
    }
    let (_, second) = reads.moved(first);
    assert_eq!(reads.moved(second).0, Moved::Slots(Vec::new()));
    writes.checkpoint().unwrap();
    reads.catch_up().unwrap();
    assert_eq!(reads.moved(second).0, Moved::All, "the book was read again");
}

#[test]
fn who_is_too_far_behind_looks_at_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), vault()).unwrap();
    let (_, before) = book.moved(Looked::default());
    let records = |from: u32| {
        let record = |number: u32| {
            let net = format!("10.{}.{}.{}/32", number >> 16, number >> 8 & 255, number & 255);
            record(Change::Start, 0, &net, "one", &number.to_string())
        };
        kept((from..from + 100_000).map(record))
    };
    book.keep(&records(0)).unwrap();
    let (moved, halfway) = book.moved(before);
    assert!(matches!(moved, Moved::Slots(slots) if slots.len() == 100_000));
    book.keep(&records(100_000)).unwrap();
    book.keep(&records(200_000)).unwrap();
    assert!(matches!(book.moved(halfway).0, Moved::Slots(slots) if slots.len() == 200_000));
    book.keep(&records(300_000)).unwrap();
    assert_eq!(book.moved(halfway).0, Moved::All);
}
