//! One suite, two databases: everything here runs on SQLite and on PostgreSQL.
//!
//! PostgreSQL is used where `NOROSHI_TEST_POSTGRES` names a server (`cargo xtask test` starts one); in CI it must.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use noroshi_law::evidence::note::Signer;
use noroshi_law::evidence::{Digest, Kind};
use noroshi_law::{Ledger as _, Record, Refusal, Role, Use};
use noroshi_model::case::StepState;
use noroshi_model::{
    Bad, Case, CaseState, Channel, ClassificationType, Decision, Event, Id, Step, Tally, Verdict, VisitKind,
};
use noroshi_store::consent::TERMS;
use noroshi_store::events::Intake;
use noroshi_store::evidence::{EvidenceLog, HeadFile};
use noroshi_store::findings::Identification;
use noroshi_store::outbox::Stopped;
use noroshi_store::queue::{Job, LEASE, OBSERVED};
use noroshi_store::{Address, Store, StoreError, Tx};

mod alerts;
mod api;
mod approvals;
mod cases;
mod evidence;
mod foreign;
mod forgetting;
mod gathered;
mod ladder;
mod log;
mod networks;
mod out;
mod quarantine;
mod returns;
mod sites;
mod sources;
mod staff;
mod telescopes;
mod wordings;

static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Runs a test on every database there is.
fn on_both(test: impl Fn(&Store)) {
    let folder = tempfile::tempdir().unwrap();
    test(&Store::open(Address::Sqlite(folder.path().join("test.db"))).unwrap());
    let Ok(url) = std::env::var("NOROSHI_TEST_POSTGRES") else {
        assert!(std::env::var("CI").is_err(), "NOROSHI_TEST_POSTGRES is not set in CI");
        let _unread = std::io::stderr().write_all(
            b"SKIPPED on PostgreSQL: NOROSHI_TEST_POSTGRES is not set; `cargo xtask test` sets it\n",
        );
        return;
    };
    let name = format!("suite_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::SeqCst));
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    test(&Store::open(Address::Postgres(format!("{server}/{name}"))).unwrap());
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn id(n: u64) -> Id {
    Id::of("test", &[&n.to_be_bytes()])
}

fn event(n: u16) -> Event {
    let mut event = Event::new(at(0), at(1), ClassificationType::InfectedSystem, "feed", "campaign");
    event.source.ip = Some("198.51.100.7".parse().unwrap());
    event.source.port = Some(n);
    event.more.insert("extra.odd".into(), "\u{0}\u{feff}'\"; DROP TABLE event; --利用者".into());
    event
}

fn case(n: u64, party: &str, state: CaseState) -> Case {
    Case {
        id: id(n),
        party: party.into(),
        family: "mirai".into(),
        campaign: "takedown".into(),
        measure: "takedown-notice".into(),
        state,
        opened: at(0),
        first_seen: at(0),
        last_seen: at(5),
        steps: 1,
        last_step: Some(at(1)),
        next: None,
        held_out_until: None,
        closed: (!state.is_open()).then(|| at(6)),
        reinfected: false,
        held_by: None,
        merged_into: None,
        forgotten: None,
    }
}

fn step(n: u64, state: StepState) -> Step {
    let channel = Channel::Mail;
    Step { case: id(n), number: 1, channel, state, attempts: 0, due: at(0), reply: String::new() }
}

fn record(subject: &str) -> Record {
    Record {
        kind: Kind::Opening,
        at: at(0),
        role: Role::System,
        measure: "takedown-notice".into(),
        measure_version: 1,
        dossier: Digest::ZERO,
        basis: None,
        purpose: "subscriber-notice".into(),
        usage: Use::Identify,
        fields: vec![],
        rule: "r".into(),
        policy_set: Digest::ZERO,
        subject: subject.into(),
        records: 1,
        under: Some(0),
        note: String::new(),
    }
}

#[test]
fn what_a_closure_did_is_there_if_it_returns_ok_and_never_was_if_not() {
    on_both(|store| {
        let failed: Result<(), StoreError> = store.tx("t", |tx| {
            tx.put_case(&case(1, "p", CaseState::Open))?;
            Err(StoreError::Corrupt("on purpose".into()))
        });
        assert!(failed.is_err());
        let open = |tx: &mut Tx<'_>| Ok::<_, StoreError>(tx.totals()?.cases_open);
        assert_eq!(store.tx("t", open).unwrap(), 0, "nothing was left of it");
        store.tx("t", |tx| tx.put_case(&case(1, "p", CaseState::Open))).unwrap();
        assert_eq!(store.tx("t", open).unwrap(), 1);
        assert_eq!(store.counted()["t"].committed, 3);
        assert_eq!(store.counted()["t"].failed, 1);
    });
}

#[test]
fn a_store_opens_again_and_a_newer_one_is_refused() {
    on_both(|store| {
        let again = Store::open(store.address().clone());
        if matches!(store.address(), Address::Sqlite(_)) {
            assert!(again.is_ok());
        }
        store.tx("t", |tx| tx.execute("UPDATE schema_version SET version = 99", &[])).unwrap();
        if matches!(store.address(), Address::Sqlite(_)) {
            let e = Store::open(store.address().clone()).unwrap_err();
            assert!(matches!(e, StoreError::Newer { found: 99, .. }), "{e}");
        }
    });
}

#[test]
fn a_job_belongs_to_one_worker_until_its_lease_ends() {
    on_both(|store| {
        store.tx("t", |tx| tx.publish(OBSERVED, &id(1), &id(1), at(0))).unwrap();
        let claim = |worker: &str, now| -> Vec<Job<Id>> {
            store.tx("t", |tx| tx.claim(OBSERVED, worker, now, 10)).unwrap()
        };
        assert_eq!(claim("a", at(0)).len(), 1);
        assert_eq!(claim("b", at(1)).len(), 0, "leased");
        let late = at(1) + LEASE;
        let again = claim("b", late);
        assert_eq!((again.len(), again[0].attempts), (1, 1), "the lease ended");
        let acknowledged =
            |worker: &str| store.tx("t", |tx| tx.acknowledge(OBSERVED, &id(1), worker)).unwrap();
        assert!(!acknowledged("a"), "the job has passed on");
        assert!(acknowledged("b"));
        assert_eq!(store.tx("t", |tx| tx.waiting(OBSERVED)).unwrap(), 0);
    });
}

#[test]
fn workers_side_by_side_claim_every_job_once() {
    on_both(|store| {
        const JOBS: u64 = 120;
        for n in 0..JOBS {
            store.tx("t", |tx| tx.publish(OBSERVED, &id(n), &n, at(0))).unwrap();
        }
        let claimed: Vec<u64> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|w| {
                    scope.spawn(move || {
                        let mut mine = Vec::new();
                        loop {
                            let worker = format!("w{w}");
                            let jobs: Vec<Job<u64>> = store
                                .tx_in_turn("claim", |tx| tx.claim(OBSERVED, &worker, at(0), 7))
                                .unwrap();
                            if jobs.is_empty() {
                                return mine;
                            }
                            mine.extend(jobs.iter().map(|j| j.body));
                        }
                    })
                })
                .collect();
            workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
        });
        assert_eq!(claimed.len() as u64, JOBS);
        assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len() as u64, JOBS);
    });
}

#[test]
fn evidence_appended_side_by_side_is_one_intact_log_and_an_entry_can_be_proved() {
    on_both(|store| {
        let signer = Arc::new(Signer::load("log.example", &Signer::generate().unwrap()).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let head = HeadFile::at(&folder.path().join("head"));
        std::thread::scope(|scope| {
            for w in 0..4 {
                let (signer, head) = (Arc::clone(&signer), &head);
                scope.spawn(move || {
                    for n in 0..10 {
                        EvidenceLog::new(store, &signer, Some(head))
                            .append(record(&format!("{w}-{n}")))
                            .unwrap();
                    }
                });
            }
        });
        let log = EvidenceLog::new(store, &signer, Some(&head));
        let report = log.verify().unwrap();
        assert!(report.intact(), "{:?}", report.faults);
        assert_eq!((report.entries, report.checkpoints), (40, 40));
        let proof = log.prove(17).unwrap().unwrap();
        proof.verify(&signer.verifier()).unwrap();
        assert!(log.prove(40).unwrap().is_none());
        store.tx("t", |tx| tx.execute("DELETE FROM evidence WHERE idx = 20", &[])).unwrap();
        let told = log.verify().unwrap().faults[0].to_string();
        assert_eq!(told, "entry 20 is missing");
    });
}

#[test]
fn a_step_is_queued_once_and_claimed_once() {
    on_both(|store| {
        let put = || store.tx("t", |tx| tx.insert_step(&step(1, StepState::Pending), "<1@x>", at(0)));
        let claim = || store.tx("t", |tx| tx.claim_steps(Channel::Mail, None, 10, at(1))).unwrap();
        assert!(put().unwrap());
        assert!(!put().unwrap(), "one mail for one step");
        assert!(store.tx("t", |tx| tx.claim_steps(Channel::Sms, None, 10, at(1))).unwrap().is_empty());
        let first = claim().remove(0);
        assert_eq!((first.step.attempts, first.handed), (1, Some(at(1))));
        assert!(claim().is_empty(), "it is being sent");
        let sent = Step { state: StepState::Sent, ..first.step };
        assert!(store.tx("t", |tx| tx.put_step(StepState::Sending, &sent, at(2))).unwrap());
        let late = Step { state: StepState::Pending, ..sent };
        assert!(
            !store.tx("t", |tx| tx.put_step(StepState::Sending, &late, at(3))).unwrap(),
            "settled before"
        );
        let kept = store.tx("t", |tx| tx.step_by_message_id("<1@x>")).unwrap().unwrap();
        assert_eq!(kept.step.state, StepState::Sent);
    });
}

#[test]
fn no_more_is_handed_over_in_an_hour_than_is_allowed_and_nothing_that_is_stopped() {
    on_both(|store| {
        store
            .tx("t", |tx| {
                for n in 1..=9 {
                    let campaign = if n == 1 { "wrong" } else { "takedown" };
                    let party = format!("p{n}");
                    tx.put_case(&Case { campaign: campaign.into(), ..case(n, &party, CaseState::Open) })?;
                    tx.insert_step(&step(n, StepState::Pending), &format!("<{n}@x>"), at(0))?;
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
        let claim =
            |second| store.tx("t", |tx| tx.claim_steps(Channel::Mail, Some(3), 2, at(second))).unwrap().len();
        let stop = |scope: &str| {
            let (scope, person, why) = (scope.to_owned(), "dr. no".to_owned(), "wrong list".to_owned());
            let stopped = Stopped { scope, since: at(0), person, why };
            store.tx("t", |tx| tx.stop(&stopped)).unwrap()
        };
        let go_on =
            |scope: &str| store.tx("t", |tx| tx.go_on(scope, "dr. yes", "right list", at(1))).unwrap();
        assert!(stop("*") && !stop("*"));
        assert_eq!(claim(1), 0, "everything is stopped");
        assert!(go_on("*") && !go_on("*"));
        assert!(stop("channel:mail"));
        assert_eq!(claim(1), 0);
        assert!(go_on("channel:mail") && stop("channel:sms") && stop("campaign:wrong"));
        assert_eq!((claim(1), claim(1), claim(1)), (2, 1, 0), "three in an hour");
        assert_eq!((claim(3601), claim(3602), claim(3603)), (2, 1, 0), "and three in the next");
        assert_eq!((claim(7201), claim(7202)), (2, 0), "and what is stopped is left");
        assert!(go_on("campaign:wrong"));
        assert_eq!(claim(7203), 1);
        assert_eq!(store.tx("t", |tx| tx.stopped()).unwrap()[0].scope, "channel:sms");
    });
}

#[test]
fn a_servers_clock_is_counted() {
    on_both(|store| {
        for _ in 0..3 {
            store.tx("t", |tx| tx.add_clock_samples("nas", -5, 1)).unwrap();
        }
        assert_eq!(store.tx("t", |tx| tx.clock_samples()).unwrap(), [("nas".to_owned(), -5, 3)]);
    });
}

#[test]
fn an_opt_out_is_seen_by_every_other_process_at_its_next_look() {
    on_both(|store| {
        let elsewhere = Store::open(store.address().clone()).unwrap();
        let mut slowest = std::time::Duration::ZERO;
        for n in 0..200 {
            let party = format!("party-{n}");
            let said = std::time::Instant::now();
            store.tx("t", |tx| tx.put_consent(&party, "*", false, "the page", at(n))).unwrap();
            assert!(elsewhere.tx("t", |tx| tx.opted_out(&party, "cnc-blocking")).unwrap());
            slowest = slowest.max(said.elapsed());
        }
        assert!(slowest < std::time::Duration::from_secs(1), "{slowest:?}");
    });
}

#[test]
fn consent_is_what_was_said_last_and_its_history_stays() {
    on_both(|store| {
        let say = |scope: &str, measure: &str, granted, second| {
            store.tx("t", |tx| tx.put_consent(scope, measure, granted, "test", at(second))).unwrap();
        };
        let of = |scope: &str| store.tx("t", |tx| tx.consent(scope, "infection-notice")).unwrap();
        assert_eq!(of(TERMS), None);
        say(TERMS, "infection-notice", true, 1);
        say(TERMS, "infection-notice", false, 3);
        say(TERMS, "infection-notice", true, 2);
        assert_eq!(of(TERMS), Some(false), "by time said, not by order of arrival");
        assert_eq!(store.tx("t", |tx| tx.consents(0, 10)).unwrap().len(), 3);
        let outs = || store.tx("t", |tx| tx.opt_outs("infection-notice")).unwrap();
        let stamp = || store.tx("t", |tx| tx.consent_stamp()).unwrap();
        assert_eq!(outs(), ["q"; 0]);
        let mut stamps = vec![stamp()];
        for (second, measure, granted, out) in [
            (20, "infection-notice", false, true),
            (21, "site-warning", false, true),
            (22, "infection-notice", true, false),
            (22, "infection-notice", false, true),
            (23, "*", false, true),
            (24, "infection-notice", true, true),
            (25, "*", true, false),
        ] {
            say("q", measure, granted, second);
            assert_eq!(outs().contains(&"q".to_owned()), out, "{second} {measure}");
            stamps.push(stamp());
        }
        assert!(stamps.windows(2).all(|two| two[0] != two[1]), "{stamps:?}");
        let out = |party: &str| store.tx("t", |tx| tx.opted_out(party, "takedown-notice")).unwrap();
        assert!(!out("p"));
        say("p", "*", false, 1);
        assert!(out("p"), "from everything");
    });
}

#[test]
fn counts_and_quarantine_say_what_became_of_every_record() {
    on_both(|store| {
        let intake = Intake {
            id: id(1),
            kind: "seized".into(),
            source: "gate.csv".into(),
            campaign: "c".into(),
            measure: None,
            position: 4,
            done: false,
        };
        let counts = Tally { read: 4, stored: 1, duplicate: 1, filtered: 1, aggregated: 1, quarantined: 1 };
        let bad = Bad { line: 7, reason: "torn".into(), snippet: b"\xff\x00x".to_vec(), bytes: 3 };
        store
            .tx("t", |tx| {
                tx.insert_quarantine("c", "gate.csv", &bad, false, at(0))?;
                tx.insert_quarantine("c", "gate.csv", &bad, false, at(1))?;
                tx.insert_quarantine("c", "detail", &bad, true, at(2))?;
                tx.advance(&intake, &counts, at(0))?;
                tx.advance(&Intake { position: 8, done: true, ..intake.clone() }, &counts, at(1))
            })
            .unwrap();
        let tallies = store.tx("t", |tx| tx.tallies()).unwrap();
        assert_eq!(tallies[0].2.read, 8);
        assert!(tallies[0].2.adds_up());
        assert_eq!(store.tx("t", |tx| tx.intake(&id(1))).unwrap().unwrap().position, 8);
        let quarantine = store.tx("t", |tx| tx.quarantine_behind("", None, 10)).unwrap();
        assert_eq!(quarantine.len(), 2, "the same line once");
        assert_eq!(quarantine[0].snippet, None, "sealed input shows nothing");
    });
}

#[test]
fn the_funnel_counts_cases_and_the_loop_is_told_in_numbers() {
    on_both(|store| {
        store
            .tx("t", |tx| {
                for n in 1..=4 {
                    tx.put_case(&case(n, &format!("p{n}"), CaseState::Notified))?;
                    tx.insert_step(&step(n, StepState::Pending), &format!("<{n}@x>"), at(0))?;
                }
                tx.put_step(StepState::Pending, &step(1, StepState::Sent), at(1))?;
                tx.put_step(StepState::Pending, &step(2, StepState::Delivered), at(1))?;
                tx.put_step(StepState::Pending, &step(3, StepState::Failed), at(1))?;
                assert!(tx.visit(&id(2), VisitKind::Opened, at(2))?);
                assert!(!tx.visit(&id(2), VisitKind::Opened, at(3))?, "only the first counts");
                tx.visit(&id(2), VisitKind::Done, at(3))?;
                tx.put_case(&case(2, "p2", CaseState::Clean))?;
                let refusal = Refusal { measure: "m".into(), rule: "r".into(), reason: "w".into() };
                let decision = Decision {
                    id: id(9),
                    finding: id(8),
                    measure: "m".into(),
                    verdict: Verdict::Refused(refusal),
                };
                tx.insert_decision(&decision, at(0))?;
                tx.insert_decision(&decision, at(1))
            })
            .unwrap();
        let funnels = store.tx("t", |tx| tx.funnels()).unwrap();
        let f = &funnels[0];
        assert_eq!((f.cases, f.sent, f.delivered, f.opened, f.done, f.clean), (4, 2, 1, 1, 1, 1));
        let totals = store.tx("t", |tx| tx.totals()).unwrap();
        assert_eq!((totals.mails, totals.mails_waiting, totals.refusals, totals.decisions), (2, 1, 1, 1));
        assert_eq!((totals.cases_open, totals.cases_closed, totals.visits), (3, 1, 2));
        assert_eq!(totals.events, 0);
    });
}

#[test]
fn an_absorbed_finding_is_not_counted_among_the_answers() {
    on_both(|store| {
        let answer = |finding: u64| Identification {
            finding: id(finding),
            verdict: "none".into(),
            reason: "r".into(),
            sightings: 3,
            margin_s: 0,
            case: None,
            evidence: Some(1),
            at: at(0),
        };
        store
            .tx("t", |tx| {
                tx.put_identifications(&id(1), &[answer(1)])?;
                tx.put_identifications(&id(2), &[answer(2)])?;
                tx.remove_finding(&id(1))
            })
            .unwrap();
        let totals = store.tx("t", |tx| tx.identification_totals()).unwrap();
        assert_eq!(totals, [("none".to_owned(), "r".to_owned(), 3)]);
    });
}
