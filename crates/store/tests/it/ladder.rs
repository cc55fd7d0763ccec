//! What the ladder keeps: when cases are looked at again, for whom they are, lines in the garden, and what telling does.

use jiff::SignedDuration;
use noroshi_model::{Case, CaseState};
use noroshi_store::StoreError;
use noroshi_store::garden::Stay;

use super::{at, case, id, on_both};

#[test]
fn cases_are_looked_at_when_it_is_time_and_for_whom_they_are_is_forgotten_with_them() {
    on_both(|store| {
        let put = |n, party: &str, state, next| {
            store.tx("t", |tx| tx.put_case(&Case { next, ..case(n, party, state) })).unwrap();
        };
        put(1, "p", CaseState::Open, Some(at(20)));
        put(2, "q", CaseState::Open, Some(at(10)));
        put(3, "r", CaseState::Held, None);
        let due = |second| -> Vec<_> {
            store
                .tx("t", |tx| tx.cases_due(at(second), 10))
                .unwrap()
                .into_iter()
                .map(|case| case.id)
                .collect()
        };
        assert_eq!((due(9), due(10), due(20)), (vec![], vec![id(2)], vec![id(2), id(1)]));
        assert_eq!(store.tx("t", |tx| tx.take_up_held("r", at(5))).unwrap(), 1);
        assert_eq!(due(5), [id(3)]);

        store.tx("t", |tx| tx.put_addressee(&id(1), b"first")).unwrap();
        store.tx("t", |tx| tx.put_addressee(&id(1), b"second")).unwrap();
        let whom = || store.tx("t", |tx| tx.addressee(&id(1))).unwrap();
        assert_eq!(whom().as_deref(), Some(&b"second"[..]));
        store.tx("t", |tx| tx.forget_addressee(&id(1))).unwrap();
        assert_eq!(whom(), None);
    });
}

#[test]
fn a_line_in_the_garden_is_restricted_until_it_is_asked_out_and_forgotten_when_it_is_out() {
    on_both(|store| {
        let stay = Stay {
            case: id(1),
            step: 4,
            line_key: "key".into(),
            line: b"sealed".to_vec(),
            permit: 7,
            since: at(10),
            until: at(1000),
            asked: None,
            why: String::new(),
            due: at(1000),
            attempts: 0,
            out: None,
        };
        store.tx("t", |tx| tx.put_case(&case(1, "p", CaseState::Notified))).unwrap();
        let enter = || store.tx("t", |tx| tx.enter_garden(&stay, "line-quarantine")).unwrap();
        assert!(enter() && enter());
        let restricted = |key: &str, second| store.tx("t", |tx| tx.is_restricted(key, at(second))).unwrap();
        let due = |second| store.tx("t", |tx| tx.stays_due(at(second), 10)).unwrap();
        assert!(restricted("key", 999) && !restricted("other", 999) && !restricted("key", 1000));
        assert_eq!((due(999).len(), due(1000)), (0, vec![stay.clone()]));
        assert_eq!(store.tx("t", |tx| tx.ask_party_out("q", "w", at(20))).unwrap(), 0);
        assert_eq!(store.tx("t", |tx| tx.ask_party_out("p", "w", at(20))).unwrap(), 1);
        assert_eq!(store.tx("t", |tx| tx.ask_all_out("again", at(21))).unwrap(), 0, "asked already");
        assert!(!restricted("key", 21), "free from the moment it is asked for");
        let mut leaving = due(20).remove(0);
        assert_eq!((leaving.why.as_str(), leaving.asked), ("w", Some(at(20))));
        (leaving.attempts, leaving.due) = (1, at(50));
        store.tx("t", |tx| tx.put_stay_end(&leaving)).unwrap();
        assert_eq!((due(49).len(), due(50)), (0, vec![leaving.clone()]));
        leaving.out = Some(at(51));
        store.tx("t", |tx| tx.put_stay_end(&leaving)).unwrap();
        assert_eq!((due(5000).len(), store.tx("t", |tx| tx.in_garden(10)).unwrap().len()), (0, 0));
        let kept = || store.tx("t", |tx| tx.stays(&id(1))).unwrap().remove(0);
        assert_eq!((kept().out, kept().line), (Some(at(51)), Vec::new()));

        // Let out by one process while another was still moving it in: once more.
        store.tx("t", |tx| tx.entered_garden(&stay, at(60))).unwrap();
        assert_eq!((kept().out, kept().line, due(60).len()), (None, b"sealed".to_vec(), 1));
        store.tx("t", |tx| tx.put_consent("p", "line-quarantine", false, "the page", at(61))).unwrap();
        assert!(!enter(), "who has opted out does not enter");
    });
}

#[test]
fn what_telling_does_is_counted_by_who_was_seen_in_the_second_half() {
    on_both(|store| {
        let days = |n: i64| SignedDuration::from_hours(24 * n);
        let mut n = 0;
        let mut put = |held_out: bool, opened, seen: &[i64]| {
            n += 1;
            let held_out_until = held_out.then(|| opened + days(14));
            let case = Case { opened, held_out_until, ..case(n, &format!("p{n}"), CaseState::Open) };
            store
                .tx("t", |tx| {
                    tx.put_case(&case)?;
                    for day in seen {
                        tx.add_sighting(&case.id, opened + days(*day), [198, 51, 100, 7].into())?;
                    }
                    Ok::<_, StoreError>(())
                })
                .unwrap();
        };
        let begun = at(0);
        put(false, begun - days(1), &[0]);
        put(true, begun, &[0, 3, 10]);
        put(true, begun, &[0, 3]);
        for seen in [&[0, 9][..], &[0, 6], &[0, 7], &[0]] {
            put(false, begun, seen);
        }
        // Of these the feed told nothing any more, and these are too young.
        put(false, begun + days(30), &[0]);
        put(false, begun + days(50), &[0]);
        let trial = store.tx("t", |tx| tx.trials(14, begun + days(45))).unwrap().remove(0);
        let counts = |arm: noroshi_model::outcome::Arm| (arm.cases, arm.observed, arm.gone);
        assert_eq!((counts(trial.told), counts(trial.held_out)), ((5, 4, 3), (2, 2, 1)));
        assert_eq!((trial.campaign.as_str(), trial.effect), ("takedown", None));
    });
}

#[test]
fn a_database_of_before_the_ladder_keeps_its_mails_and_for_whom_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noroshi.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    for migration in [
        include_str!("../../migrations/0001.sql"),
        include_str!("../../migrations/evidence-tiles.sql"),
        include_str!("../../migrations/approvals.sql"),
        include_str!("../../migrations/feed-clocks.sql"),
        include_str!("../../migrations/mail-returns.sql"),
    ] {
        db.execute_batch(&migration.replace("BYTEA", "BLOB")).unwrap();
    }
    let (one, two) = (id(1), id(2));
    db.execute_batch(&format!(
        "CREATE TABLE schema_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL);
         INSERT INTO schema_version VALUES (1, 5);
         INSERT INTO cases VALUES ('{one}', 'p', 'mirai', 'c', 'takedown-notice', 'notified', 1, 1, 2, 2, 3, NULL, 0);
         INSERT INTO cases VALUES ('{two}', 'q', 'mirai', 'c', 'takedown-notice', 'notified', 1, 1, 2, 1, 3, NULL, 0);
         INSERT INTO outbox VALUES ('{one}', 1, 'sent', 1, 1, '250', '<1@x>', 1, 1, NULL);
         INSERT INTO outbox VALUES ('{one}', 2, 'pending', 0, 1, '', '<2@x>', 1, NULL, x'736561');
         INSERT INTO outbox VALUES ('{two}', 1, 'sent', 1, 1, '250', '<3@x>', 1, 1, NULL);"
    ))
    .unwrap();
    drop(db);
    let store = noroshi_store::Store::open(noroshi_store::Address::Sqlite(path)).unwrap();
    let case = store.tx("t", |tx| tx.case(&one)).unwrap().unwrap();
    assert_eq!((case.steps, case.next, case.held_out_until), (2, None, None));
    assert_eq!(store.tx("t", |tx| tx.addressee(&one)).unwrap().as_deref(), Some(&b"sea"[..]));
    assert_eq!(store.tx("t", |tx| tx.addressee(&two)).unwrap(), None);
    let claimed = store.tx("t", |tx| tx.claim_steps(noroshi_model::Channel::Mail, None, 10, at(0))).unwrap();
    assert_eq!(claimed.iter().map(|step| step.step.number).collect::<Vec<_>>(), [2]);
    assert!(
        store.tx("t", |tx| tx.words_of(&one)).unwrap().is_empty(),
        "nobody knows in which words they were said"
    );
}
