//! The event log: exactly once, whatever happens in between. Sizes are so small here that runs are written and merged
//! all the time.

use std::collections::{BTreeMap, BTreeSet};

use noroshi_model::Tally;
use noroshi_store::events::Intake;
use noroshi_store::log::{Limits, Logged, NewEvent, Sifted, id_bytes, id_from_bytes};
use noroshi_store::{Address, Store, StoreError};
use proptest::prelude::*;

use super::{at, event, id, on_both};

fn small() -> Limits {
    Limits {
        block_events: 7,
        block_bytes: 300,
        recent: 40,
        page_entries: 5,
        part_entries: 16,
        fan_out: 3,
        slice: 60,
        filter_bytes: 400,
    }
}

fn again(store: &Store) -> Store {
    Store::open_with(store.address().clone(), small()).unwrap()
}

fn json(n: u64) -> Vec<u8> {
    format!("{{\"n\":{n},\"text\":\"{}\"}}", "あ".repeat(n as usize % 9)).into_bytes()
}

fn intake() -> Intake {
    Intake {
        id: id(0),
        kind: "seized".into(),
        source: "gate.csv".into(),
        campaign: "c".into(),
        measure: None,
        position: 0,
        done: false,
    }
}

fn append_or(store: &Store, ns: &[u64], fail: bool) -> Result<Sifted, StoreError> {
    let texts: Vec<Vec<u8>> = ns.iter().map(|n| json(*n)).collect();
    let batch: Vec<NewEvent<'_>> = ns
        .iter()
        .zip(&texts)
        .map(|(n, json)| NewEvent { id: id_bytes(&id(*n)), line: n * 3, time_source_ms: *n as i64, json })
        .collect();
    store.append_events("t", &intake(), at(0), &batch, |tx, sifted| {
        let stored = sifted.fresh.iter().filter(|fresh| **fresh).count() as u64;
        let counts = Tally { read: ns.len() as u64, stored, ..Tally::default() };
        tx.advance(&intake(), &counts, at(0))?;
        if fail { Err(StoreError::Corrupt("on purpose".into())) } else { Ok(sifted.clone()) }
    })
}

fn append(store: &Store, ns: &[u64]) -> Vec<bool> {
    append_or(store, ns, false).unwrap().fresh
}

/// What is stored is exactly this, in this order, and found by every way there is.
fn assert_holds(store: &Store, order: &[u64]) {
    let logged = store.tx("t", |tx| tx.events_after(0, usize::MAX)).unwrap();
    let expected = order.iter().zip(1..).map(|(n, seq)| Logged {
        seq,
        id: id_bytes(&id(*n)),
        line: n * 3,
        json: json(*n),
    });
    assert_eq!(logged, expected.collect::<Vec<_>>());
    store
        .tx("t", |tx| {
            assert_eq!(tx.event_count()?, order.len() as u64);
            for n in order {
                assert_eq!(tx.event_json(&id(*n))?, Some(json(*n)), "{n}");
            }
            assert_eq!(tx.event_json(&id(u64::MAX))?, None);
            let from = order.len() as u64 / 2;
            let page = tx.events_after(from, 3)?;
            assert!(page.iter().map(|e| e.seq).eq((from + 1..=order.len() as u64).take(3)));
            let stored = tx.tallies()?.first().map_or(0, |(_, _, tally)| tally.stored);
            assert_eq!(stored, order.len() as u64, "the counts went with it");
            Ok::<_, StoreError>(())
        })
        .unwrap();
}

fn number(store: &Store, sql: &str) -> i64 {
    store.tx("t", |tx| tx.number(sql, &[])).unwrap()
}

#[test]
fn an_event_comes_back_as_it_was_by_its_id() {
    on_both(|store| {
        let event = event(1);
        let json = serde_json::to_vec(&event).unwrap();
        let new = NewEvent { id: id_bytes(&event.id()), line: 1, time_source_ms: 0, json: &json };
        let fresh = store
            .append_events("t", &intake(), at(0), &[new, new], |_, s| Ok::<_, StoreError>(s.fresh.clone()));
        assert_eq!(fresh.unwrap(), [true, false]);
        let back = store.tx("t", |tx| tx.event(&event.id())).unwrap();
        assert_eq!(back, Some(event.clone()), "odd characters and all");
        assert_eq!(id_from_bytes(id_bytes(&event.id())), event.id());
        assert_eq!(store.tx("t", |tx| tx.totals()).unwrap().events, 1);
    });
}

#[test]
fn many_events_in_many_runs_are_each_there_once() {
    on_both(|store| {
        let store = again(store);
        let all: Vec<u64> = (0..3000).collect();
        for batch in all.chunks(50) {
            assert!(append(&store, batch).iter().all(|fresh| *fresh));
        }
        let levels = number(&store, "SELECT MAX(level) FROM seen_run WHERE state = 'live'");
        let live = number(&store, "SELECT COUNT(*) FROM seen_run WHERE state = 'live'");
        assert!(levels >= 3 && live <= 4 * 4, "level {levels}, {live} runs of 60");
        assert_eq!(
            number(&store, "SELECT CAST(SUM(count) AS BIGINT) FROM seen_run WHERE state = 'live'"),
            number(&store, "SELECT MAX(next_seq) - 1 FROM seen_run WHERE state = 'live'")
        );
        let orphans = "SELECT COUNT(*) FROM seen_page p WHERE NOT EXISTS
            (SELECT 1 FROM seen_run r WHERE p.page >= r.run * 4294967296 AND p.page < (r.run + 1) * 4294967296)";
        assert_eq!(number(&store, orphans), 0, "merged runs are removed with all they had");
        assert_holds(&store, &all);
        for store in [&store, &again(&store)] {
            for batch in all.chunks(500) {
                assert!(append(store, batch).iter().all(|fresh| !fresh));
            }
        }
        let odd: Vec<u64> = (2900..3100).rev().collect();
        assert_eq!(append(&store, &odd).iter().filter(|fresh| **fresh).count(), 100);
    });
}

#[test]
fn what_failed_left_nothing_and_can_be_done_again() {
    on_both(|store| {
        let store = again(store);
        let mut order = Vec::new();
        for n in 0..40 {
            let batch: Vec<u64> = (n * 9..n * 9 + 12).collect();
            assert!(append_or(&store, &batch, true).is_err());
            let sifted = append_or(&store, &batch, false).unwrap();
            assert_eq!(sifted.seqs.start, order.len() as u64 + 1);
            order.extend(batch.iter().zip(&sifted.fresh).filter(|(_, fresh)| **fresh).map(|(n, _)| *n));
            assert_eq!(sifted.seqs.end, order.len() as u64 + 1);
        }
        assert_holds(&store, &order);
    });
}

#[test]
fn two_who_append_alternately_see_each_others_events() {
    on_both(|store| {
        let both = [again(store), again(store)];
        for n in 0..120u64 {
            let batch: Vec<u64> = (n * 10..n * 10 + 20).collect();
            let fresh = append(&both[n as usize % 2], &batch);
            let expected = if n == 0 { 20 } else { 10 };
            assert_eq!(fresh.iter().filter(|fresh| **fresh).count(), expected, "batch {n}");
        }
        for store in &both {
            assert_holds(store, &(0..1210).collect::<Vec<_>>());
        }
    });
}

#[test]
fn threads_of_one_store_append_and_read_at_once() {
    on_both(|store| {
        let store = again(store);
        std::thread::scope(|scope| {
            for worker in 0..3u64 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..40u64 {
                        append(store, &(n * 10..n * 10 + 10).collect::<Vec<_>>());
                        let wanted = id(n * 10 + worker);
                        let found = store.tx("t", |tx| tx.event_json(&wanted)).unwrap();
                        assert!(found.is_some(), "worker {worker}, batch {n}");
                    }
                });
            }
        });
        assert_holds(&store, &(0..400).collect::<Vec<_>>());
    });
}

/// What may happen to a log.
#[derive(Clone, Debug)]
enum Deed {
    Append(Vec<u64>),
    Fail(Vec<u64>),
    /// The process ends, at whatever point the index work has come to, and another begins.
    Restart,
    /// As it would be after a kill in the midst of index work: nothing of it was committed.
    Other(Vec<u64>),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let batch = || prop::collection::vec(0..600u64, 0..60);
    let deed = prop_oneof![
        6 => batch().prop_map(Deed::Append),
        1 => batch().prop_map(Deed::Fail),
        1 => Just(Deed::Restart),
        1 => batch().prop_map(Deed::Other),
    ];
    prop::collection::vec(deed, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_set_would_say_the_same(deeds in deeds()) {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Sqlite(folder.path().join("test.db"));
        let mut store = Store::open_with(address.clone(), small()).unwrap();
        let other = Store::open_with(address.clone(), Limits { recent: 25, fan_out: 2, ..small() }).unwrap();
        let (mut set, mut order) = (BTreeSet::new(), Vec::new());
        for deed in deeds {
            let (by, batch) = match &deed {
                Deed::Append(batch) => (&store, batch),
                Deed::Other(batch) => (&other, batch),
                Deed::Fail(batch) => {
                    prop_assert!(append_or(&store, batch, true).is_err());
                    continue;
                }
                Deed::Restart => {
                    store = Store::open_with(address.clone(), small()).unwrap();
                    continue;
                }
            };
            let expected: Vec<bool> = batch.iter().map(|n| set.insert(*n)).collect();
            prop_assert_eq!(&append(by, batch), &expected);
            order.extend(batch.iter().zip(expected).filter(|(_, fresh)| *fresh).map(|(n, _)| *n));
        }
        assert_holds(&store, &order);
    }
}

const CHILD: &str = "NOROSHI_STORE_TEST_KILLED";

/// Not a test: what the next one starts and kills.
#[test]
fn appends_until_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Store::open_with(Address::Sqlite(path.into()), small()).unwrap();
    loop {
        let count = store.tx("t", |tx| tx.event_count()).unwrap();
        // Some of it again, as after a crash.
        append(&store, &(count.saturating_sub(9)..count + 23).collect::<Vec<_>>());
    }
}

#[test]
fn killed_at_any_moment_it_has_each_event_once_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut count = 0;
    for round in 0..12u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::appends_until_killed"])
            .env(CHILD, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(60 + round * 37 % 91));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open_with(Address::Sqlite(path.clone()), small()).unwrap();
        count = store.tx("t", |tx| tx.event_count()).unwrap();
        let all: Vec<u64> = (0..count).collect();
        if count > 0 {
            assert_holds(&store, &all);
            assert!(append(&store, &all[all.len().saturating_sub(200)..]).iter().all(|fresh| !fresh));
        }
    }
    assert!(count > 300, "{count} events, which shows nothing");
}

#[test]
fn ids_that_are_not_uniform_are_still_found_exactly() {
    on_both(|store| {
        let store = again(store);
        // Nine leading bytes the same: one part, a filter that knows nothing, fences that are all equal.
        let ids: BTreeMap<u64, [u8; 16]> = (0..500u64).map(|n| (n, u128::from(n).to_be_bytes())).collect();
        for _ in 0..2 {
            for chunk in ids.values().collect::<Vec<_>>().chunks(30) {
                let batch: Vec<NewEvent<'_>> = chunk
                    .iter()
                    .map(|id| NewEvent { id: **id, line: 0, time_source_ms: 0, json: b"{}" })
                    .collect();
                store.append_events("t", &intake(), at(0), &batch, |_, _| Ok::<_, StoreError>(())).unwrap();
            }
        }
        assert_eq!(store.tx("t", |tx| tx.event_count()).unwrap(), 500);
    });
}
