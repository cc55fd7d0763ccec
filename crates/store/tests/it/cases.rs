//! Cases: one that is open for a party and family, whatever people say of it; lists by place; what went into what.

use noroshi_model::{Case, CaseFilter, CaseState, Id, Mark, Seek};
use noroshi_store::cases::CaseAct;
use noroshi_store::{Store, Tx};

use super::{at, case, id, on_both, step};
use noroshi_model::case::StepState;

#[test]
fn a_party_has_one_open_case_of_a_family() {
    on_both(|store| {
        store.tx("t", |tx| tx.put_case(&case(1, "p", CaseState::Notified))).unwrap();
        assert!(store.tx("t", |tx| tx.put_case(&case(2, "p", CaseState::Open))).is_err());
        for (n, state) in [(1, CaseState::Clean), (3, CaseState::Rejected), (4, CaseState::Merged)] {
            store.tx("t", |tx| tx.put_case(&case(n, "p", state))).unwrap();
        }
        store.tx("t", |tx| tx.put_case(&case(2, "p", CaseState::Open))).unwrap();
        let latest = store.tx("t", |tx| tx.latest_case("p", "mirai")).unwrap().unwrap();
        assert_eq!(latest, case(2, "p", CaseState::Open), "the open one comes first");
        let quiet = store.tx("t", |tx| tx.quiet_cases(at(5), 10)).unwrap();
        assert_eq!(quiet.len(), 1);
        let totals = store.look("t", |tx| tx.totals()).unwrap();
        assert_eq!((totals.cases_open, totals.cases_closed), (1, 1));
    });
}

fn ids(store: &Store, filter: &CaseFilter, seek: &Seek, limit: u32) -> Vec<Id> {
    let cases = store.look("t", |tx: &mut Tx<'_>| tx.cases(filter, seek, limit)).unwrap();
    cases.into_iter().map(|case| case.id).collect()
}

#[test]
fn a_list_by_place_shows_each_case_once_also_where_times_are_the_same() {
    on_both(|store| {
        store
            .tx("t", |tx| {
                (0..57).try_for_each(|n| {
                    let one = Case {
                        // Three of each moment.
                        opened: at(n as i64 / 3),
                        family: if n % 2 == 0 { "mirai" } else { "hajime" }.into(),
                        ..case(n, &format!("party {n}"), CaseState::Open)
                    };
                    tx.put_case(&one)
                })
            })
            .unwrap();
        let all = CaseFilter::default();
        let whole = ids(store, &all, &Seek::Newest, 100);
        assert_eq!(whole.len(), 57);
        let of = |id: &Id| store.look("t", |tx| tx.case(id)).unwrap().unwrap();
        let place = |id: &Id| Mark { at: of(id).opened, id: id.clone() };
        let (mut walked, mut seek) = (Vec::new(), Seek::Newest);
        loop {
            let page = ids(store, &all, &seek, 5);
            let Some(last) = page.last() else { break };
            seek = Seek::Older(place(last));
            walked.extend(page);
        }
        assert_eq!(walked, whole);
        let back = ids(store, &all, &Seek::Newer(place(&whole[30])), 5);
        assert_eq!(back, whole[25..30], "those next to it, in the order of the list");
        let some = CaseFilter { family: Some("hajime".into()), state: Some(CaseState::Open), ..all.clone() };
        assert_eq!(ids(store, &some, &Seek::Newest, 100).len(), 28);
        let older = ids(store, &some, &Seek::Older(place(&whole[30])), 100);
        let wanted: Vec<Id> = whole[31..].iter().filter(|id| of(id).family == "hajime").cloned().collect();
        assert_eq!(older, wanted);
        let digits = Some(whole[7].as_str()[..10].to_owned());
        assert_eq!(ids(store, &CaseFilter { digits, ..all.clone() }, &Seek::Newest, 9), [whole[7].clone()]);
        let none = CaseFilter { campaign: Some("'; DROP TABLE cases; --".into()), ..all };
        assert!(ids(store, &none, &Seek::Newest, 9).is_empty());
    });
}

#[test]
fn cases_with_a_step_that_waits_are_found() {
    on_both(|store| {
        store
            .tx("t", |tx| {
                for n in 1..4 {
                    tx.put_case(&case(n, &format!("party {n}"), CaseState::Open))?;
                }
                tx.insert_step(&step(1, StepState::Proposed), "<1@x>", at(0))?;
                tx.insert_step(&step(2, StepState::Pending), "<2@x>", at(0))
            })
            .unwrap();
        let waiting = CaseFilter { waiting: true, ..CaseFilter::default() };
        assert_eq!(ids(store, &waiting, &Seek::Newest, 9), [id(1)]);
    });
}

#[test]
fn what_went_into_another_is_the_other_from_then_on() {
    on_both(|store| {
        let into = Case { family: "hajime".into(), ..case(2, "p", CaseState::Notified) };
        let from = Case {
            merged_into: Some(into.id.clone()),
            closed: Some(at(9)),
            ..case(1, "p", CaseState::Merged)
        };
        store
            .tx("t", |tx| {
                tx.put_case(&into)?;
                tx.put_case(&from)?;
                for (n, ip) in [(1, "198.51.100.7"), (2, "198.51.100.8")] {
                    tx.add_sighting(&from.id, at(n), ip.parse().unwrap())?;
                }
                tx.add_sighting(&into.id, at(1), "198.51.100.7".parse().unwrap())?;
                tx.copy_sightings(&from.id, &into.id)
            })
            .unwrap();
        assert_eq!(store.look("t", |tx| tx.latest_case("p", "mirai")).unwrap(), Some(into.clone()));
        assert_eq!(store.look("t", |tx| tx.sighting_count(&into.id)).unwrap(), 2, "each once");
        assert_eq!(store.look("t", |tx| tx.open_beside(&from)).unwrap(), [into]);
    });
}

#[test]
fn what_people_said_is_kept_and_a_hold_of_a_person_outlives_a_change_of_mind() {
    on_both(|store| {
        let held = Case { held_by: Some("青木".into()), ..case(1, "p", CaseState::Held) };
        let opted = Case { family: "hajime".into(), ..case(2, "p", CaseState::Held) };
        let act = CaseAct {
            case: held.id.clone(),
            evidence: 7,
            at: at(3),
            person: "青木".into(),
            what: "held".into(),
            why: "'; --".into(),
        };
        store
            .tx("t", |tx| {
                tx.put_case(&held)?;
                tx.put_case(&opted)?;
                tx.put_case_act(&act)?;
                tx.put_case_act(&act)?;
                tx.take_up_held("p", at(5))
            })
            .unwrap();
        let now = |id: &Id| store.look("t", |tx| tx.case(id)).unwrap().unwrap();
        assert_eq!(now(&held.id), held, "who holds it says when it goes on");
        assert_eq!(now(&opted.id).state, CaseState::Notified);
        assert_eq!(store.look("t", |tx| tx.case_acts(&held.id)).unwrap(), [act]);
        let counts = store.look("t", |tx| tx.campaigns()).unwrap();
        assert_eq!(counts[0].states, [(CaseState::Notified, 1), (CaseState::Held, 1)]);
        assert_eq!((counts[0].since, counts[0].last_seen), (at(0), at(5)));
    });
}
