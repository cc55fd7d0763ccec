//! How infected each network is: which cases were open in a week, in pages; and the counts, which replace each other.

use std::collections::BTreeSet;

use jiff::Timestamp;
use noroshi_model::network::{Counted, Week};
use noroshi_model::{Case, CaseState, Id};
use noroshi_store::Store;
use noroshi_store::networks::After;

use super::{at, case, id, on_both};

const DAY: i64 = 86_400;

/// A Monday in Japan.
fn monday() -> Week {
    Week::of(at(0)).before(0)
}

fn put(store: &Store, n: u64, opened: Timestamp, closed: Option<Timestamp>) {
    let state = if closed.is_some() { CaseState::Clean } else { CaseState::Open };
    let case = Case { opened, closed, ..case(n, &format!("p{n}"), state) };
    store.tx("t", |tx| tx.put_case(&case)).unwrap();
}

/// The cases of a week, read so many at once.
fn read(store: &Store, week: Week, limit: u32) -> (BTreeSet<Id>, u32) {
    let (mut after, mut found, mut pages) = (After::NOTHING, BTreeSet::new(), 0);
    while after != After::Everything {
        let (page, next) = store.tx("t", |tx| tx.infected_in(week, &after, limit)).unwrap();
        assert!(page.len() <= limit as usize);
        for infected in page {
            assert!(found.insert(infected.case), "nothing comes twice");
        }
        (after, pages) = (next, pages + 1);
    }
    (found, pages)
}

#[test]
fn the_cases_of_a_week_are_those_that_were_open_at_some_time_in_it() {
    on_both(|store| {
        let (week, start) = (monday(), monday().start());
        let day = |days: i64| start + jiff::SignedDuration::from_secs(days * DAY);
        let second = jiff::SignedDuration::from_secs(1);
        put(store, 1, day(-20), None);
        put(store, 2, day(3), None);
        put(store, 3, day(7), None);
        put(store, 4, day(-9), Some(start - second));
        put(store, 5, day(-9), Some(start));
        put(store, 6, day(2), Some(day(4)));
        put(store, 7, day(6), Some(day(30)));
        put(store, 8, day(8), Some(day(30)));
        for n in 10..40 {
            put(store, n, day(1), (n % 2 == 0).then(|| day(n as i64)));
        }
        for (n, state) in [(41, CaseState::Rejected), (42, CaseState::Merged)] {
            let closed = Some(day(5));
            let case = Case { opened: day(1), closed, ..case(n, &format!("p{n}"), state) };
            store.tx("t", |tx| tx.put_case(&case)).unwrap();
        }
        let (found, _) = read(store, week, 1000);
        let wanted = |n: u64| matches!(n, 1 | 2 | 5 | 6 | 7 | 10..40);
        assert_eq!(found, (0..50).filter(|n| wanted(*n)).map(id).collect());
        for limit in [1, 3, 17] {
            let (paged, pages) = read(store, week, limit);
            assert!(paged == found && pages > 2, "{limit}");
        }
    });
}

#[test]
fn a_case_comes_with_where_it_was_seen_first_and_whether_it_was_in_the_week() {
    on_both(|store| {
        let (week, start) = (monday(), monday().start());
        put(store, 1, start - jiff::SignedDuration::from_secs(DAY), None);
        put(store, 2, start, None);
        let ask = || {
            let (mut page, _) = store.tx("t", |tx| tx.infected_in(week, &After::NOTHING, 10)).unwrap();
            page.sort_by_key(|infected| infected.opened);
            page.iter().map(|i| (i.party.clone(), i.ip.map(|ip| ip.to_string()), i.seen)).collect::<Vec<_>>()
        };
        assert_eq!(ask(), [("p1".to_owned(), None, false), ("p2".to_owned(), None, false)]);
        let see = |n: u64, at: Timestamp, ip: &str| {
            store.tx("t", |tx| tx.add_sighting(&id(n), at, ip.parse().unwrap())).unwrap();
        };
        let second = jiff::SignedDuration::from_secs(1);
        see(1, start - second, "198.51.100.7");
        see(1, week.end(), "203.0.113.9");
        see(2, start, "2001:db8::1");
        see(2, start - second, "198.51.100.8");
        let told = ask();
        assert_eq!((told[0].1.as_deref(), told[0].2), (Some("198.51.100.7"), false));
        assert_eq!((told[1].1.as_deref(), told[1].2), (Some("198.51.100.8"), true));
    });
}

#[test]
fn a_count_replaces_the_last_one_and_lines_of_a_week_that_is_over_stay() {
    on_both(|store| {
        let week = monday();
        let counted = |network: &str, lines, infected, at| Counted {
            week,
            network: network.into(),
            lines,
            infected,
            seen: 1,
            opened: 2,
            at,
        };
        let put = |counts: &[Counted], key: u64, now: Timestamp| {
            store.tx("t", |tx| tx.put_counted(week, &id(key), counts, now)).unwrap();
        };
        let kept = || store.tx("t", |tx| tx.counted_weeks(week)).unwrap();
        let (during, after) = (week.start(), week.end());
        put(&[counted("a", Some(1000), 3, during), counted("b", None, 1, during)], 1, during);
        put(&[counted("a", Some(1100), 4, during)], 1, during);
        assert_eq!(kept(), [counted("a", Some(1100), 4, during)]);
        put(&[counted("a", Some(9000), 5, after), counted("c", Some(7), 1, after)], 2, after);
        assert_eq!(kept(), [counted("a", Some(1100), 5, after), counted("c", Some(7), 1, after)]);
        let weeks = store.tx("t", |tx| tx.weeks_counted(week)).unwrap();
        assert_eq!(weeks[&week], (id(2).to_string(), after));
        assert!(store.tx("t", |tx| tx.weeks_counted(week.before(0))).unwrap().len() == 1);
        assert_eq!(store.tx("t", |tx| tx.counted_weeks(Week::numbered(week.number() + 1))).unwrap(), []);
        assert_eq!(store.tx("t", |tx| tx.first_opened()).unwrap(), None);
    });
}

/// Two years of cases, each seventeen days long and seen twice, so many as `NOROSHI_TEST_CASES` says: what it costs to count a week, and
/// to make a page of the counts.
#[test]
fn a_week_of_many_years_has_its_own_cases_alone() {
    let cases: u64 = std::env::var("NOROSHI_TEST_CASES").map_or(20_000, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(noroshi_store::Address::Sqlite(folder.path().join("db"))).unwrap();
    let (first, weeks) = (monday(), 104_u64);
    let ms = |ms: i64| first.start() + jiff::SignedDuration::from_millis(ms);
    let span_ms = weeks as i64 * 7 * DAY * 1000;
    let opened = |n: u64| (n as i128 * i128::from(span_ms) / i128::from(cases)) as i64;
    let (life, ip) = (17 * DAY * 1000, [198, 51, 100, 7].into());
    for from in (0..cases).step_by(10_000) {
        store
            .tx("t", |tx| {
                for n in from..cases.min(from + 10_000) {
                    let begun = opened(n);
                    let closed = (begun + life < span_ms).then(|| ms(begun + life));
                    let state = if closed.is_some() { CaseState::Clean } else { CaseState::Open };
                    tx.put_case(&Case { opened: ms(begun), closed, ..case(n, &format!("p{n}"), state) })?;
                    tx.add_sighting(&id(n), ms(begun), ip)?;
                    tx.add_sighting(&id(n), ms(begun + life / 5), ip)?;
                }
                Ok::<_, noroshi_store::StoreError>(())
            })
            .unwrap();
    }
    for (name, week) in
        [("the newest", first.before(0).number() + weeks as i64 - 1), ("the oldest", first.number())]
    {
        let week = Week::numbered(week);
        let (start, end) = (week.start().as_millisecond(), week.end().as_millisecond());
        let is_in = |n: &u64| {
            let (begun, at) = (opened(*n), first.start().as_millisecond());
            at + begun < end && (begun + life >= span_ms || at + begun + life >= start)
        };
        let wanted = (0..cases).filter(is_in).count();
        let begun = std::time::Instant::now();
        let (found, pages) = read(&store, week, 5000);
        let took = begun.elapsed();
        assert_eq!(found.len(), wanted);
        assert!(pages as usize <= wanted / 5000 + 2 && wanted > 0);
        let _unread = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("{cases} cases: {name} week has {wanted}, read in {took:?}\n").as_bytes(),
        );
    }
    let counted = |week: i64, n: u64| Counted {
        week: Week::numbered(week),
        network: format!("net-{n}"),
        lines: Some(1000),
        infected: n,
        seen: n,
        opened: n,
        at: at(0),
    };
    for week in 0..104 {
        let counts: Vec<_> = (0..200).map(|n| counted(week, n)).collect();
        store.tx("t", |tx| tx.put_counted(Week::numbered(week), &id(1), &counts, at(0))).unwrap();
    }
    let begun = std::time::Instant::now();
    assert_eq!(store.tx("t", |tx| tx.counted_weeks(Week::numbered(0))).unwrap().len(), 104 * 200);
    let _unread = std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("a page of 200 networks and 104 weeks: {:?}\n", begun.elapsed()).as_bytes(),
    );
}
