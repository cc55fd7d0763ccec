//! What a measure lets nobody keep goes, on its day and with all that says whose it was; what is counted of it stays as it was.

use std::net::IpAddr;

use noroshi_model::finding::Sighting;
use noroshi_model::{Case, CaseState, Finding, Id};
use noroshi_store::events::Intake;
use noroshi_store::findings::Identification;
use noroshi_store::forgetting::TooOld;
use noroshi_store::log::{Forget, Limits, NewEvent, id_bytes};
use noroshi_store::{Address, Store, StoreError};

use super::{at, case, id, on_both};

const DAY_S: i64 = 86_400;

fn append(store: &Store, measure: Option<&str>, kept_s: i64, ns: std::ops::Range<u64>) -> Vec<bool> {
    let intake = Intake {
        id: id(0),
        kind: "seized".into(),
        source: "gate.csv".into(),
        campaign: "c".into(),
        measure: measure.map(str::to_owned),
        position: 0,
        done: false,
    };
    let ids: Vec<[u8; 16]> = ns.map(|n| id_bytes(&id(n))).collect();
    let new = |id| NewEvent { id, line: 1, time_source_ms: 0, json: b"{\"source.ip\":\"198.51.100.7\"}" };
    let batch: Vec<NewEvent<'_>> = ids.iter().map(|id| new(*id)).collect();
    store
        .append_events("t", &intake, at(kept_s), &batch, |_, s| Ok::<_, StoreError>(s.fresh.clone()))
        .unwrap()
}

fn too_old(measure: &str, before_s: i64) -> TooOld<'_> {
    TooOld { measure, before: at(before_s) }
}

#[test]
fn events_go_when_their_measure_says_so_and_are_not_taken_in_again() {
    // With an index that is written at once, and with one that is read back from the blocks.
    for recent in [10, 10_000] {
        on_both(|store| {
            let limits = Limits { recent, block_events: 7, ..Limits::default() };
            let open = || Store::open_with(store.address().clone(), limits.clone()).unwrap();
            let store = open();
            for (measure, kept_s, ns) in [
                (Some("a"), 0, 0..20),
                (Some("b"), 0, 20..40),
                (None, 0, 40..60),
                (Some("a"), 10, 60..80),
                (None, 0, 80..100),
            ] {
                assert!(append(&store, measure, kept_s, ns).iter().all(|fresh| *fresh));
            }
            store
                .tx("t", |tx| {
                    tx.execute(
                        "INSERT INTO finding_event (event, finding) SELECT ?1, 'f'",
                        &[(&id(3)).into()],
                    )
                })
                .unwrap();
            let due = |which| store.look("t", |tx| tx.is_too_old(which)).unwrap();
            assert_eq!(due(too_old("a", 0)), [false; 3]);
            assert_eq!(due(too_old("a", 1)), [true, false, false]);
            assert_eq!(store.forget_events(Forget::Under(too_old("a", 1))).unwrap(), 20);
            assert_eq!(due(too_old("a", 1)), [false; 3], "once");
            assert_eq!(store.forget_events(Forget::Under(too_old("a", 1))).unwrap(), 0);
            assert_eq!(store.tx("t", |tx| tx.finding_of_event(&id(3))).unwrap(), None);
            for store in [&store, &open()] {
                let kept = store.tx("t", |tx| tx.events_after(0, 1000)).unwrap();
                let ids: Vec<_> = (20..100).map(|n| id_bytes(&id(n))).collect();
                assert_eq!(kept.iter().map(|event| event.id).collect::<Vec<_>>(), ids);
                assert_eq!(store.tx("t", |tx| tx.event_count()).unwrap(), 80);
                assert_eq!(store.tx("t", |tx| tx.event_json(&id(3))).unwrap(), None);
                assert!(!append(store, Some("a"), 20, 0..20).contains(&true), "they are known by their ids");
            }
            let knowledge = Forget::Before(jiff::Timestamp::from_millisecond(1).unwrap());
            assert_eq!(store.forget_events(knowledge).unwrap(), 40);
            let kept = store.tx("t", |tx| tx.events_after(0, 1000)).unwrap();
            assert_eq!(kept.len(), 40, "what came under a measure is no matter of this");
        });
    }
}

fn finding(n: u64, ip: &str) -> Finding {
    Finding {
        id: id(n),
        ip: ip.parse().unwrap(),
        family: "mirai".into(),
        campaign: "takedown".into(),
        measure: "takedown-notice".into(),
        events: vec![],
        sightings: vec![Sighting { at: at(0), port: None }],
        sightings_left_out: 0,
    }
}

fn identification(finding: Id, case: Id) -> Identification {
    Identification {
        finding,
        verdict: "one".into(),
        reason: String::new(),
        sightings: 1,
        margin_s: 60,
        case: Some(case),
        evidence: Some(1),
        at: at(0),
    }
}

/// A hundred lines, every fifth held out, some seen again, half of them closed on day 20, the others still open.
fn people(store: &Store) -> Vec<Case> {
    let mut cases = Vec::new();
    for n in 0..100u64 {
        let closed = (n % 2 == 0).then(|| at(20 * DAY_S));
        let case = Case {
            closed,
            measure: "takedown-notice".into(),
            held_out_until: (n % 5 == 0).then(|| at(14 * DAY_S)),
            first_seen: at(61 + n as i64),
            last_seen: at(9 * DAY_S),
            ..case(
                n,
                &format!("party {n}"),
                if closed.is_some() { CaseState::Clean } else { CaseState::Open },
            )
        };
        store
            .tx("t", |tx| {
                tx.put_case(&case)?;
                tx.put_addressee(&case.id, b"sealed")?;
                for day in 0..=n as i64 % 12 {
                    let ip: IpAddr = format!("198.51.100.{}", n % 250).parse().unwrap();
                    tx.add_sighting(&case.id, at(day * DAY_S + 61 + n as i64), ip)?;
                    tx.add_sighting(&case.id, at(day * DAY_S + 62 + n as i64), "192.0.2.9".parse().unwrap())?;
                }
                tx.visit(&case.id, noroshi_model::VisitKind::Opened, at(DAY_S))?;
                tx.put_finding(&finding(1000 + n, &format!("198.51.100.{n}")), &[], at(n as i64))?;
                tx.put_identifications(&id(1000 + n), &[identification(id(1000 + n), case.id.clone())])?;
                Ok::<_, StoreError>(())
            })
            .unwrap();
        cases.push(case);
    }
    cases
}

/// What the pages of outcome are made of.
fn counted(store: &Store) -> String {
    let now = at(60 * DAY_S);
    store
        .tx("t", |tx| {
            let (trials, funnels, totals) = (tx.trials(14, now)?, tx.funnels()?, tx.totals()?);
            Ok::<_, StoreError>(format!("{trials:?} {funnels:?} {} {}", totals.cases_open, totals.visits))
        })
        .unwrap()
}

#[test]
fn of_a_closed_case_stays_what_is_nobodys_and_what_is_counted_stays_as_it_was() {
    on_both(|store| {
        let cases = people(store);
        let before = counted(store);
        let which = too_old("takedown-notice", 20 * DAY_S + 1);
        assert_eq!(store.look("t", |tx| tx.is_too_old(which)).unwrap(), [false, true, true]);
        assert_eq!(store.look("t", |tx| tx.is_too_old(too_old("other", 30 * DAY_S))).unwrap(), [false; 3]);
        let forget = |now_s| store.tx("t", |tx| tx.forget_cases(which, at(now_s))).unwrap();
        let answer = Identification { verdict: "none".into(), case: None, ..identification(id(1002), id(2)) };
        store.tx("t", |tx| tx.put_identifications(&id(1002), std::slice::from_ref(&answer))).unwrap();
        let unconfirmed = || store.tx("t", |tx| tx.findings_unconfirmed(10)).unwrap();
        assert_eq!(unconfirmed(), [id(1002)]);
        assert_eq!(store.tx("t", |tx| tx.forget_findings(which)).unwrap(), 50, "the others' cases are open");
        assert!(unconfirmed().is_empty(), "what was forgotten is not asked about again");
        // A line that is still in the garden has to be let out by what is known of it.
        let garden = |sql: &str| store.tx("t", |tx| tx.execute(sql, &[(&id(0)).into()])).unwrap();
        garden(
            "INSERT INTO garden (case_id, step, line_key, permit, since_ms, until_ms, why, due_ms, attempts)
             VALUES (?1, 1, 'key', 7, 0, 1, 'clean', 0, 0)",
        );
        assert_eq!((forget(109 * DAY_S), forget(109 * DAY_S)), (49, 0));
        assert_eq!(store.look("t", |tx| tx.is_too_old(which)).unwrap(), [false; 3], "not while it is there");
        garden("UPDATE garden SET out_ms = 1 WHERE case_id = ?1");
        assert_eq!((forget(110 * DAY_S), forget(111 * DAY_S)), (1, 0));
        assert_eq!(counted(store), before);
        for case in &cases {
            let (now, seen) = store
                .tx("t", |tx| {
                    assert_eq!(tx.addressee(&case.id)?.is_none(), case.closed.is_some());
                    Ok::<_, StoreError>((tx.case(&case.id)?.unwrap(), tx.sightings(&case.id, 100)?))
                })
                .unwrap();
            if case.closed.is_none() {
                assert_eq!((&now, seen.is_empty()), (case, false));
                continue;
            }
            let day = if case.id == id(0) { 110 } else { 109 };
            assert_eq!((now.forgotten, seen), (Some(at(day * DAY_S)), vec![]));
            assert_ne!(now.party, case.party);
            assert_eq!((now.state, now.closed, now.opened), (case.state, case.closed, case.opened));
            assert!(now.first_seen.as_second() % 3600 == 0 && now.last_seen <= case.last_seen);
            let later = store.tx("t", |tx| tx.latest_case(&case.party, "mirai")).unwrap();
            assert_eq!(later, None, "nobody's");
        }
        assert_eq!(store.tx("t", |tx| tx.forgotten_until()).unwrap(), Some(at(20 * DAY_S)));
    });
}

/// Also between the rows: what is deleted is written over.
#[test]
fn an_address_that_was_forgotten_is_nowhere_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.db");
    let store = Store::open(Address::Sqlite(path.clone())).unwrap();
    people(&store);
    let is_there = |what: &str| {
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let (bytes, what) = (std::fs::read(&path).unwrap(), what.as_bytes());
        bytes.windows(what.len()).any(|window| window == what)
    };
    let whose = ["198.51.100.44", "party 44"];
    assert!(whose.iter().all(|what| is_there(what)));
    let which = too_old("takedown-notice", 30 * DAY_S);
    while store.tx("t", |tx| tx.forget_findings(which)).unwrap() > 0 {}
    while store.tx("t", |tx| tx.forget_cases(which, at(0))).unwrap() > 0 {}
    assert!(!whose.iter().any(|what| is_there(what)));
    assert!(is_there("198.51.100.45"), "whose case is open");
}

#[test]
fn a_line_in_quarantine_loses_its_content_and_keeps_its_place() {
    on_both(|store| {
        let line = |n: u64| noroshi_store::quarantine::NewQuarantine {
            campaign: "c".into(),
            feed: "f".into(),
            source: "s.csv".into(),
            line: n,
            reason: "no time".into(),
            content: Some(b"198.51.100.7".to_vec()),
            bytes: 12,
            how: "{}".into(),
        };
        for (n, day) in [(1, 0), (2, 10)] {
            store.tx("t", |tx| tx.insert_quarantined(&[line(n)], at(day * DAY_S))).unwrap();
        }
        let forget = || store.tx("t", |tx| tx.forget_quarantined(at(DAY_S))).unwrap();
        assert_eq!((forget(), forget()), (1, 0));
        let kept = |n| store.tx("t", |tx| tx.quarantined(&line(n).id())).unwrap().unwrap();
        assert_eq!((kept(1).content, kept(1).entry.line, kept(1).entry.bytes), (None, 1, 12));
        assert!(kept(2).content.is_some());
    });
}

#[test]
fn of_what_was_taken_in_before_measures_were_written_down_the_campaign_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.db");
    let store = Store::open(Address::Sqlite(path.clone())).unwrap();
    append(&store, None, 0, 0..5);
    store.tx("t", |tx| tx.put_finding(&finding(7, "198.51.100.7"), &[], at(0))).unwrap();
    drop(store);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(&format!(
        "INSERT INTO intake (id, kind, source, campaign, position, done, at_ms)
           VALUES ('{}', 'seized', 'gate.csv', 'takedown', 5, 1, {});
         DROP INDEX event_block_by_measure; DROP INDEX finding_by_measure; DROP INDEX cases_to_forget;
         DROP INDEX cases_forgotten; DROP INDEX quarantine_whole;
         ALTER TABLE event_block DROP COLUMN measure; ALTER TABLE event_block DROP COLUMN kept_ms;
         ALTER TABLE finding DROP COLUMN kept_ms; ALTER TABLE cases DROP COLUMN forgotten_ms;
         ALTER TABLE intake DROP COLUMN measure;
         DROP TABLE organisation; DROP TABLE organisation_range; DROP TABLE organisation_contact;
         DROP TABLE organisation_mute; DROP TABLE alert; DROP TABLE alert_message; DROP TABLE telescope;
         DROP TABLE telescope_minute; DROP TABLE telescope_hour; DROP TABLE telescope_campaign; DROP TABLE telescope_sighting;
         DROP TABLE site; DROP TABLE site_listing; DROP TABLE site_source; DROP TABLE site_objection; DROP TABLE site_word;
         UPDATE schema_version SET version = 12;",
        id(0),
        at(100).as_millisecond()
    ))
    .unwrap();
    drop(raw);
    let store = Store::open(Address::Sqlite(path)).unwrap();
    let due = |before_s| store.look("t", |tx| tx.is_too_old(too_old("takedown-notice", before_s))).unwrap();
    assert_eq!((due(100), due(101)), ([false, true, false], [true, true, false]));
}
