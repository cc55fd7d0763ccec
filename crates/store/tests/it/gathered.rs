//! What is kept between loads: open groups of repeats, the entries of lists, and ids of which nothing else is kept.

use noroshi_model::Tally;
use noroshi_store::aggregates::{AggregateFeed, OpenGroup};
use noroshi_store::events::Intake;
use noroshi_store::lists::{ListEntry, ListFeed, Phase};
use noroshi_store::log::{Chosen, MoreEvent, NewEvent, id_bytes};
use noroshi_store::{Store, StoreError};

use super::{at, id, on_both};

fn key(n: u64) -> [u8; 16] {
    id_bytes(&id(n))
}

fn intake() -> Intake {
    Intake {
        id: id(0),
        kind: "feed".into(),
        source: "f.csv".into(),
        campaign: "f".into(),
        measure: None,
        position: 0,
        done: false,
    }
}

/// Appends events of which the odd ones are left out, and a further one.
fn append(store: &Store, ns: &[u64], more: u64, fail: bool) -> Result<Vec<bool>, StoreError> {
    let texts: Vec<Vec<u8>> = ns.iter().map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect();
    let batch: Vec<NewEvent<'_>> = ns
        .iter()
        .zip(&texts)
        .map(|(n, json)| NewEvent { id: key(*n), line: *n, time_source_ms: 0, json })
        .collect();
    store.append_chosen("t", &intake(), at(0), &batch, |_, fresh| {
        let more = MoreEvent { id: key(more), line: 0, time_source_ms: 0, json: b"{\"more\":1}".to_vec() };
        let chosen = Chosen { left_out: ns.iter().map(|n| n % 2 == 1).collect(), more: vec![more] };
        if fail { Err(StoreError::Corrupt("on purpose".into())) } else { Ok((chosen, fresh.to_vec())) }
    })
}

#[test]
fn of_what_is_left_out_only_the_id_is_remembered() {
    on_both(|store| {
        assert!(append(store, &[2, 3], 100, true).is_err());
        assert_eq!(append(store, &[2, 3, 5, 4, 3], 100, false).unwrap(), [true, true, true, true, false]);
        let count = |store: &Store| store.tx("t", |tx| tx.event_count()).unwrap();
        assert_eq!(count(store), 3, "two whole and one beside them");
        let again = Store::open(store.address().clone());
        // The address of a PostgreSQL server is told without its user; the first store has to do there.
        let store = again.as_ref().unwrap_or(store);
        assert_eq!(append(store, &[5, 2, 6], 100, false).unwrap(), [false, false, true]);
        assert_eq!(count(store), 4, "the further one was there already");
        let logged = store.tx("t", |tx| tx.events_after(0, 100)).unwrap();
        let texts: Vec<&[u8]> = logged.iter().map(|event| event.json.as_slice()).collect();
        assert_eq!(texts, [&b"{\"n\":2}"[..], b"{\"n\":4}", b"{\"more\":1}", b"{\"n\":6}"]);
        let json = |n| store.tx("t", |tx| tx.event_json(&id(n))).unwrap();
        assert_eq!((json(3), json(4)), (None, Some(b"{\"n\":4}".to_vec())));
        let first = store.tx("t", |tx| tx.events_after(0, 1)).unwrap();
        let rest = store.tx("t", |tx| tx.events_after(first[0].seq, 100)).unwrap();
        assert_eq!(rest.len(), 3, "a page ends where events end, not where ids do");
    });
}

#[test]
fn a_group_keeps_what_began_it_while_it_is_counted() {
    on_both(|store| {
        let group =
            |n: u64, check_ms, count| OpenGroup { id: key(n), check_ms, first_ms: 1, last_ms: 5, count };
        store
            .tx("t", |tx| {
                let opened: Vec<_> =
                    (0..130).map(|n| (group(n, n as i64, 1), Some((key(n + 1000), &b"{}"[..])))).collect();
                tx.put_groups("f", &opened)?;
                tx.put_groups("f", &[(OpenGroup { last_ms: 9, ..group(7, 99, 2) }, None)])?;
                tx.put_groups("other", &[(group(500, 0, 1), Some((key(1), b"{}")))])
            })
            .unwrap();
        store
            .tx("t", |tx| {
                let asked: Vec<[u8; 16]> = (0..140).map(key).collect();
                let mut open = tx.open_groups(&asked)?;
                open.sort_by_key(|group| group.check_ms);
                open.dedup();
                assert_eq!(open.len(), 130);
                assert_eq!(open[7], OpenGroup { last_ms: 9, ..group(7, 7, 2) }, "its check stays");
                let opener = tx.group_openers(&[key(7)])?;
                assert_eq!((opener[0].1.event, opener[0].1.json.as_slice()), (key(1007), &b"{}"[..]));
                tx.put_group_check(key(7), 1000)?;
                let due = tx.groups_to_check("f", 10, 100)?;
                let ids: Vec<[u8; 16]> = due.iter().map(|(group, _)| group.id).collect();
                assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 8, 9].map(key));
                assert!(tx.has_group_to_check("f", 1)? && !tx.has_group_to_check("f", 0)?);
                assert_eq!(tx.remove_groups(&[key(0), key(0), key(999)])?, 1);
                assert!(!tx.has_group_to_check("f", 1)?);
                let feed = AggregateFeed {
                    feed: "f".into(),
                    clock_ms: 1,
                    active_ms: 2,
                    open_groups: 3,
                    rule: "{}".into(),
                };
                tx.put_aggregate_feed(&feed)?;
                tx.put_aggregate_feed(&AggregateFeed { clock_ms: 9, ..feed.clone() })?;
                assert_eq!(tx.aggregate_feeds()?, [AggregateFeed { clock_ms: 9, ..feed }]);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}

fn entry(n: u64, generation: u64) -> ListEntry {
    ListEntry {
        entry: key(n),
        rest: key(1),
        first: at(1),
        last: at(2),
        generation,
        came: generation,
        changed: 0,
        gone: 0,
        name: n.to_string(),
        was: String::new(),
        json: b"{}".to_vec(),
    }
}

#[test]
fn entries_that_stay_behind_are_found_and_those_long_gone_forgotten() {
    on_both(|store| {
        let list = ListFeed {
            feed: "f".into(),
            generation: 2,
            phase: Phase::Leaving,
            intake: "i".into(),
            size: 1,
            lines: 2,
            bad: 3,
            added: 4,
            changed: 5,
            still: 6,
            again: 7,
            gone: 8,
            begun: at(1),
            ended: None,
            note: "n".into(),
            rule: "{}".into(),
        };
        store
            .tx("t", |tx| {
                tx.put_list_feed(&list)?;
                let done = ListFeed { phase: Phase::Done, ended: Some(at(3)), ..list.clone() };
                tx.put_list_feed(&done)?;
                assert_eq!(tx.list_feed("f")?, Some(done));
                assert_eq!(tx.list_feed("g")?, None);
                tx.put_list_entries("f", &(0..70).map(|n| entry(n, 1)).collect::<Vec<_>>())?;
                tx.put_list_entries("g", &[entry(900, 1)])?;
                let seen: Vec<ListEntry> = (2..70)
                    .map(|n| ListEntry { last: at(9), json: Vec::new(), rest: key(2), ..entry(n, 2) })
                    .collect();
                tx.touch_list_entries("f", &seen)?;
                let known = tx.list_entries(&[key(5)])?;
                let expected = ListEntry { last: at(9), generation: 2, ..entry(5, 1) };
                assert_eq!(known[0], expected, "only that it was seen is written");
                let left = tx.list_left_behind("f", 2, 100)?;
                let mut names: Vec<&str> = left.iter().map(|e| e.name.as_str()).collect();
                names.sort_unstable();
                assert_eq!(names, ["0", "1"]);
                tx.mark_gone(2, &[key(0), key(1)])?;
                assert_eq!((tx.list_left_behind("f", 2, 100)?.len(), tx.listed_count("f")?), (0, 68));
                assert_eq!(tx.list_changes("f", 2, &[], 100)?.len(), 2);
                let page = tx.listed("f", &[], 60)?;
                let rest = tx.listed("f", &page[59].entry, 60)?;
                assert_eq!((page.len(), rest.len()), (60, 8));
                assert_eq!(tx.forget_gone("f", 2, 100)?, 0, "kept for one load");
                assert_eq!((tx.forget_gone("f", 3, 1)?, tx.forget_gone("f", 3, 9)?), (1, 1));
                assert_eq!(tx.listed_count("g")?, 1, "another list's");
                tx.advance(&intake(), &Tally::default(), at(0))?;
                tx.forget_intake(&id(0))?;
                assert_eq!(tx.intake(&id(0))?, None);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    });
}
