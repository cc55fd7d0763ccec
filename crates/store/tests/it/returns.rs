//! What comes back of mails, the cases they are found by, and how good a feed's times are; on both databases.

use std::collections::BTreeMap;

use noroshi_model::{CaseState, Id, code};
use noroshi_store::returns::Return;

use super::{at, case, on_both};

#[test]
fn what_came_back_counts_once_and_is_told_in_order() {
    on_both(|store| {
        let came = |n: u8, kind: &str, cause: &str| Return {
            id: Id::of("mail-return", &[&[n]]),
            case: case(1, "p", CaseState::Open).id,
            number: 1,
            kind: kind.into(),
            cause: cause.into(),
            status: "5.1.1".into(),
            said: "550 5.1.1 no such user".into(),
            at: at(n.into()),
        };
        let put = |one: &Return| store.tx("t", |tx| tx.put_return(one)).unwrap();
        let (second, first) = (came(2, "failed", "bad-mailbox"), came(1, "delayed", "try-later"));
        assert_eq!([put(&second), put(&first), put(&second)], [true, true, false]);
        assert_eq!(store.tx("t", |tx| tx.returns_of(&first.case)).unwrap(), [first, second]);
        let totals = store.tx("t", |tx| tx.return_totals()).unwrap();
        let counted = |kind: &str, cause: &str| (kind.to_owned(), cause.to_owned(), 1);
        assert_eq!(totals, [counted("delayed", "try-later"), counted("failed", "bad-mailbox")]);
    });
}

#[test]
fn a_case_is_found_by_its_code_and_by_no_shorter_one() {
    on_both(|store| {
        let cases: Vec<_> = (0..200).map(|n| case(n, &format!("p{n}"), CaseState::Open)).collect();
        cases.iter().for_each(|case| store.tx("t", |tx| tx.put_case(case)).unwrap());
        for case in &cases {
            let digits = code::id_prefix(&code::code(&case.id)).unwrap();
            assert_eq!(store.tx("t", |tx| tx.case_by_prefix(&digits)).unwrap().as_ref(), Some(case));
        }
        for digits in ["", "f", "00000000000000000000"] {
            assert_eq!(store.tx("t", |tx| tx.case_by_prefix(digits)).unwrap(), None, "{digits}");
        }
    });
}

#[test]
fn the_forms_of_a_feeds_times_add_up() {
    on_both(|store| {
        let forms = BTreeMap::from([(-1, 3), (-2, 1), (17, 1)]);
        for feed in ["a", "b", "a"] {
            store.tx("t", |tx| tx.add_feed_clock(feed, &forms)).unwrap();
        }
        let twice = BTreeMap::from([(-1, 6), (-2, 2), (17, 2)]);
        assert_eq!(store.tx("t", |tx| tx.feed_clock("a")).unwrap(), twice);
        assert_eq!(store.tx("t", |tx| tx.feed_clock("none")).unwrap(), BTreeMap::new());
        let all = store.tx("t", |tx| tx.feed_clocks()).unwrap();
        assert_eq!(all, BTreeMap::from([("a".to_owned(), twice), ("b".to_owned(), forms)]));
    });
}
