//! Small histories of one address that were once answered wrongly, found by the hostile networks.

use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_book::{Answer, Book, Rules};
use noroshi_wire::{Assignment, Change, Given, Whom};

use super::hostile::open;
use super::{kept, vault};

const BEGINS: i64 = 1_795_000_000;

fn ip() -> IpAddr {
    IpAddr::from([198, 51, 100, 7])
}

/// A record, seconds after the beginning; an empty id is none.
fn record(change: Change, at_s: i64, line: &str, id: &str) -> Assignment {
    Assignment {
        change,
        given: Some(Given { net: ip().into(), ports: None }),
        whom: Some(Whom::Line(line.into())),
        at: Timestamp::from_second(BEGINS + at_s).unwrap(),
        until: None,
        began: None,
        server: "192.0.2.1".into(),
        session: Some(id.to_owned()).filter(|id| !id.is_empty()),
        clock_offset_s: None,
        line: 0,
    }
}

/// What a book of these records answers at these seconds: the line, `none` or `?`.
fn answers<const N: usize>(records: impl IntoIterator<Item = Assignment>, at_s: [i64; N]) -> [String; N] {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(folder.path(), vault()).unwrap();
    book.keep(&kept(records)).unwrap();
    let look = open(&book, ip());
    at_s.map(|at_s| {
        match look.read().who(None, Timestamp::from_second(BEGINS + at_s).unwrap(), 0, &Rules::default()) {
            Answer::One(held) => held.line,
            Answer::None => "none".into(),
            Answer::Ambiguous(_) => "?".into(),
        }
    })
}

#[test]
fn an_id_that_is_used_again_does_not_join_two_sessions_over_what_was_between() {
    // The first one's Stop is lost; the line is back under the same id after somebody else, and its Start is lost as well.
    for back in [Change::Interim, Change::Stop] {
        let records = [
            record(Change::Start, 0, "one", "0"),
            record(Change::Interim, 400, "one", "0"),
            record(Change::Start, 1000, "two", "1"),
            record(Change::Stop, 1200, "two", "1"),
            record(back, 3000, "one", "0"),
        ];
        assert_eq!(answers(records, [200, 600, 2000, 2900]), ["one", "?", "?", "?"], "{back:?}");
    }
}

#[test]
fn who_is_still_there_by_its_id_does_not_end_who_came_meanwhile() {
    // Two at once, by what another server claims; its Stop is lost, so it may be there all the time.
    let records = [
        record(Change::Start, 0, "one", "0"),
        Assignment { server: "192.0.2.99".into(), ..record(Change::Start, 1000, "two", "1") },
        record(Change::Interim, 2000, "one", "0"),
        Assignment {
            began: Some(record(Change::Start, 0, "", "").at),
            ..record(Change::Stop, 5000, "one", "0")
        },
    ];
    assert_eq!(answers(records, [500, 1500, 3000, 4500]), ["one", "?", "?", "?"]);
}

#[test]
fn the_copy_of_a_stop_does_not_end_the_session_that_began_with_it() {
    // No ids; somebody else was there meanwhile, and the line came back in the second in which it left.
    let records = [
        record(Change::Start, 0, "one", ""),
        record(Change::Start, 1000, "two", "claim"),
        record(Change::Stop, 1900, "two", "claim"),
        record(Change::Stop, 2000, "one", ""),
        record(Change::Start, 2000, "one", ""),
        record(Change::Stop, 2000, "one", ""),
        record(Change::Stop, 9000, "one", ""),
    ];
    assert_eq!(answers(records, [1950, 5000, 8900, 9100]), ["?", "one", "one", "none"]);
}
