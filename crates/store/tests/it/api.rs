//! What the API and those who are told by webhook need: tokens, lists behind a place, and messages that are there exactly if what they
//! tell is.

use noroshi_law::evidence::Digest;
use noroshi_model::case::StepState;
use noroshi_model::{Case, CaseFilter, CaseState, Channel, Mark, Seek, Step};
use noroshi_store::outbox::Stopped;
use noroshi_store::pages::Place;
use noroshi_store::tokens::Token;
use noroshi_store::webhooks::{LEASE, Message, OFFERED_FOR, REFUSALS_MAX, Told};
use noroshi_store::{Store, StoreError};

use super::{at, case, id, on_both};

#[test]
fn a_token_is_found_by_its_hash_alone_and_opens_nothing_once_it_is_revoked_or_over() {
    on_both(|store| {
        let token = Token {
            name: "soc".into(),
            scopes: vec!["cases:read".into(), "steps:write".into()],
            since: at(0),
            until: Some(at(100)),
            used: None,
            revoked: None,
        };
        let put = |token: &Token, secret: &[u8]| {
            store.tx("t", |tx| tx.put_token(token, &Digest::of(secret))).unwrap()
        };
        assert!(put(&token, b"secret") && !put(&token, b"other"), "a name is given once");
        assert!(!put(&Token { name: "twin".into(), ..token.clone() }, b"secret"), "and so is a secret");
        let find = |secret: &[u8]| store.tx("t", |tx| tx.token(&Digest::of(secret))).unwrap();
        assert_eq!((find(b"secret"), find(b"other")), (Some(token.clone()), None));
        assert!(token.is_good(at(99)) && !token.is_good(at(100)));
        assert_eq!(store.tx("t", |tx| tx.good_tokens(at(99))).unwrap(), 1);
        assert_eq!(store.tx("t", |tx| tx.good_tokens(at(100))).unwrap(), 0);
        for second in [10, 20, 4000] {
            store.tx("t", |tx| tx.note_token_use("soc", at(second))).unwrap();
        }
        let used = find(b"secret").unwrap().used.unwrap();
        assert_eq!(used.as_second() % 3600, 0, "to the hour and no more");
        assert!(used <= at(4000) && used > at(10));
        let revoke = |second| store.tx("t", |tx| tx.revoke_token("soc", at(second))).unwrap();
        assert!(revoke(50) && !revoke(51));
        let gone = find(b"secret").unwrap();
        assert_eq!((gone.revoked, gone.is_good(at(60))), (Some(at(50)), false));
        assert!(!put(&token, b"third"), "its name stays its own");
        assert_eq!(store.tx("t", |tx| tx.tokens(10)).unwrap(), [gone]);
    });
}

#[test]
fn a_list_read_on_from_a_place_has_every_row_once_whatever_came_in_meanwhile() {
    on_both(|store| {
        let put = |n: u64, opened, state, family: &str| {
            let case = case(n, &format!("p{n}"), state);
            store
                .tx("t", |tx| {
                    tx.put_case(&Case { opened: at(opened), family: family.into(), ..case.clone() })
                })
                .unwrap();
        };
        // Many of one time.
        (0..25).for_each(|n| put(n, (n / 5) as i64, CaseState::Open, "mirai"));
        (25..30).for_each(|n| put(n, 2, CaseState::Clean, "qakbot"));
        let walk = |filter: &CaseFilter, disturb: bool| {
            let (mut seek, mut found) = (Seek::Newest, Vec::new());
            loop {
                let page = store.look("t", |tx| tx.cases(filter, &seek, 4)).unwrap();
                let Some(last) = page.last() else { return found };
                seek = Seek::Older(Mark { at: last.opened, id: last.id.clone() });
                found.extend(page.iter().map(|case| (case.opened, case.id.clone())));
                if disturb && found.len() == 4 {
                    put(100, 1000, CaseState::Open, "mirai");
                }
            }
        };
        let all = walk(&CaseFilter::default(), true);
        let mut sorted = all.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        sorted.dedup();
        assert_eq!((all.len(), &all), (30, &sorted));
        let of = |filter| walk(&filter, false).len();
        let filter = CaseFilter::default;
        assert_eq!(of(CaseFilter { state: Some(CaseState::Clean), ..filter() }), 5);
        assert_eq!(
            of(CaseFilter {
                family: Some("mirai".into()),
                since: Some(at(2)),
                until: Some(at(4)),
                ..filter()
            }),
            10
        );
        assert_eq!(of(CaseFilter { campaign: Some("nowhere".into()), ..filter() }), 0);
        assert_eq!(of(CaseFilter { measure: Some("nowhere' OR ''='".into()), ..filter() }), 0);

        for n in 0..7 {
            let scope = format!("scope {}", n % 3);
            store.tx("t", |tx| tx.put_consent(&scope, &format!("m{n}"), n % 2 == 0, "x", at(7))).unwrap();
        }
        let (mut place, mut found) = (None, Vec::new());
        loop {
            let page = store.tx("t", |tx| tx.consents_behind(place.as_ref(), 2)).unwrap();
            let Some(last) = page.last() else { break };
            let keys = vec![last.scope.clone(), last.measure.clone()];
            place = Some(Place { at_ms: last.since.as_millisecond(), keys });
            found.extend(page.into_iter().map(|row| row.measure));
        }
        assert_eq!(found, ["m0", "m3", "m6", "m1", "m4", "m2", "m5"]);
    });
}

fn wish(store: &Store, webhooks: &[(&str, &[&str])]) {
    let named = |(name, kinds): &(&str, &[&str])| {
        ((*name).to_owned(), kinds.iter().map(|kind| (*kind).to_owned()).collect())
    };
    let webhooks: Vec<(String, Vec<String>)> = webhooks.iter().map(named).collect();
    store.tx("t", |tx| tx.put_webhooks(&webhooks)).unwrap();
}

fn claim(store: &Store, webhook: &str, second: i64) -> Option<Message> {
    store.tx("t", |tx| tx.claim_message(webhook, at(second))).unwrap()
}

fn settle(store: &Store, webhook: &str, message: &Message, told: &Told, second: i64) {
    store.tx("t", |tx| tx.settle_message(webhook, message, told, at(second))).unwrap();
}

#[test]
fn what_happens_is_told_to_each_who_wishes_it_once_and_what_was_rolled_back_never_happened() {
    on_both(|store| {
        store.tx("t", |tx| tx.put_case(&case(9, "before", CaseState::Open))).unwrap();
        wish(
            store,
            &[
                ("a", &["case.opened", "case.closed", "step.proposed", "step.approved", "case.held"]),
                ("b", &["case.closed", "ladder.stopped"]),
            ],
        );
        let state = |state| store.tx("t", |tx| tx.put_case(&case(1, "p", state))).unwrap();
        let undone: Result<(), StoreError> = store.tx("t", |tx| {
            tx.put_case(&case(2, "q", CaseState::Open))?;
            Err(StoreError::Overtaken("no".into()))
        });
        assert!(undone.is_err());
        for next in
            [CaseState::Open, CaseState::Open, CaseState::Notified, CaseState::Clean, CaseState::Clean]
        {
            state(next);
        }
        store.tx("t", |tx| tx.put_case(&case(3, "r", CaseState::Held))).unwrap();
        let step = Step {
            case: id(1),
            number: 1,
            channel: Channel::Letter,
            state: StepState::Proposed,
            attempts: 0,
            due: at(0),
            reply: "taro@example.jp".into(),
        };
        store.tx("t", |tx| tx.insert_step(&step, "<1@x>", at(5))).unwrap();
        store.tx("t", |tx| tx.insert_step(&step, "<1@x>", at(5))).unwrap();
        let pending = Step { state: StepState::Pending, ..step };
        store.tx("t", |tx| tx.put_step(StepState::Proposed, &pending, at(6))).unwrap();
        store.tx("t", |tx| tx.put_step(StepState::Proposed, &pending, at(7))).unwrap();
        let stopped = Stopped { scope: "*".into(), since: at(8), person: "Aoki".into(), why: "Taro".into() };
        store.tx("t", |tx| tx.stop(&stopped)).unwrap();
        store.tx("t", |tx| tx.stop(&stopped)).unwrap();

        let mut told = Vec::new();
        for webhook in ["a", "b"] {
            while let Some(message) = claim(store, webhook, 10) {
                for name in ["Aoki", "Taro", "taro@", "\"party\"", "198.51"] {
                    assert!(!message.body.contains(name), "{name} in {}", message.body);
                }
                settle(store, webhook, &message, &Told::Taken, 10);
                told.push(format!("{webhook} {}", message.kind));
            }
        }
        let expected = [
            "a case.opened",
            "a case.closed",
            "a case.opened",
            "a case.held",
            "a step.proposed",
            "a step.approved",
            "b case.closed",
            "b ladder.stopped",
        ];
        assert_eq!(told, expected);
        let delivered: Vec<u64> =
            store.tx("t", |tx| tx.webhooks()).unwrap().iter().map(|webhook| webhook.delivered).collect();
        assert_eq!(delivered, [6, 2]);
    });
}

#[test]
fn a_message_is_repeated_under_its_id_by_one_at_a_time_and_a_dead_webhook_rests_alone() {
    on_both(|store| {
        wish(store, &[("a", &["case.opened"]), ("b", &["case.opened"])]);
        for n in 1..=3 {
            store.tx("t", |tx| tx.put_case(&case(n, &format!("p{n}"), CaseState::Open))).unwrap();
        }
        let first = claim(store, "a", 0).unwrap();
        assert_eq!(claim(store, "a", 1), None, "one at a time");
        let again = claim(store, "a", LEASE.as_secs()).unwrap();
        assert_eq!(again, first, "whoever died over it is followed by another, with the same message");
        settle(store, "a", &again, &Told::Later("no route".into()), 60);
        assert_eq!((claim(store, "a", 60), claim(store, "a", 61)), (None, Some(first.clone())));
        settle(store, "a", &first, &Told::Later("no route".into()), 65);
        assert_eq!(
            (claim(store, "a", 66), claim(store, "a", 67)),
            (None, Some(first.clone())),
            "longer each time"
        );
        store.tx("t", |tx| tx.release_webhooks()).unwrap();
        assert_eq!(claim(store, "a", 75), Some(first.clone()));

        while let Some(message) = claim(store, "b", 66) {
            settle(store, "b", &message, &Told::Taken, 66);
        }
        let states = store.tx("t", |tx| tx.webhooks()).unwrap();
        let of = |n: usize| (states[n].waiting, states[n].failures, states[n].failing, states[n].delivered);
        assert_eq!((of(0), of(1)), ((3, 2, Some(at(60)), 0), (0, 0, None, 3)));
        assert_eq!(states[0].said, "no route");

        // One that is refused lets the others pass, and is given up in the end.
        settle(store, "a", &first, &Told::Refused("400".into()), 80);
        let second = claim(store, "a", 80).unwrap();
        assert_ne!(second.id, first.id);
        settle(store, "a", &second, &Told::Taken, 80);
        let mut last = Message { attempts: REFUSALS_MAX - 1, ..first };
        settle(store, "a", &last, &Told::Refused("400".into()), 90);
        last = claim(store, "a", 90).unwrap();
        settle(store, "a", &last, &Told::Later("away".into()), 90);
        let too_old = 91 + OFFERED_FOR.as_secs();
        assert_eq!(store.tx("t", |tx| tx.give_up_messages("a", at(too_old))).unwrap(), 1);
        let state = store.tx("t", |tx| tx.webhooks()).unwrap().remove(0);
        assert_eq!((state.waiting, state.given_up, state.delivered), (0, 2, 1));

        wish(store, &[("b", &["case.opened"])]);
        assert_eq!(
            store.tx("t", |tx| tx.webhooks()).unwrap().len(),
            1,
            "who is not configured any more is forgotten"
        );
    });
}
