//! Trials of wordings: a case is allotted once, a round keeps what it was, and clean is asked from the allotment on.

use noroshi_model::case::StepState;
use noroshi_model::wording::{Round, Share};
use noroshi_model::{Case, CaseState, VisitKind};

use super::{at, case, id, on_both, step};

const DAY: i64 = 86_400;

fn round(percent: u32) -> Round {
    let share =
        |wording: &str, percent, form: &str| Share { wording: wording.into(), percent, form: form.into() };
    Round::new(vec![share("standard", 100 - percent, "aaaa0000"), share("short", percent, "bbbb1111")])
}

#[test]
fn a_case_is_allotted_once_whatever_the_configuration_says_later() {
    on_both(|store| {
        let of = || store.tx("t", |tx| tx.wording_of(&id(1))).unwrap();
        let allot =
            |round: &Round, place| store.tx("t", |tx| tx.allot_wording(&id(1), round, place, at(0))).unwrap();
        assert_eq!(of(), None);
        allot(&round(50), 1);
        allot(&round(50), 0);
        allot(&round(20), 0);
        assert_eq!(of().as_deref(), Some("short"));
        assert_eq!(
            store.tx("t", |tx| tx.wording_trials(14, at(0))).unwrap().len(),
            1,
            "no round without a case"
        );
    });
}

#[test]
fn what_became_of_each_wordings_cases_is_counted() {
    on_both(|store| {
        store
            .tx("t", |tx| {
                for n in 1..=6 {
                    // The sixth is held out for ten days, and allotted then.
                    let told = if n == 6 { 10 * DAY } else { 0 };
                    tx.put_case(&Case { opened: at(0), ..case(n, &format!("p{n}"), CaseState::Notified) })?;
                    tx.insert_step(&step(n, StepState::Pending), &format!("<{n}@x>"), at(told))?;
                    tx.allot_wording(&id(n), &round(50), usize::from(n > 3), at(told))?;
                    let words = if n == 3 { "standard@cccc2222" } else { "standard@aaaa0000" };
                    tx.say_in_words(&id(n), 1, if n > 3 { "short@bbbb1111" } else { words })?;
                    if n != 2 {
                        tx.put_step(StepState::Pending, &step(n, StepState::Sent), at(told))?;
                    }
                }
                // Whoever is not of the round does not count.
                tx.put_case(&case(7, "p7", CaseState::Notified))?;
                tx.visit(&id(7), VisitKind::Opened, at(1))?;
                tx.visit(&id(1), VisitKind::Opened, at(1))?;
                tx.visit(&id(4), VisitKind::Opened, at(1))?;
                tx.visit(&id(4), VisitKind::Steps, at(2))?;
                tx.visit(&id(5), VisitKind::Done, at(2))?;
                let ip = [198, 51, 100, 7].into();
                // Seen in the second half of the fourteen days after they were told: the first, not the fourth; of the sixth, whose
                // days are later, what was seen on day 12 lies in the first half.
                tx.add_sighting(&id(1), at(10 * DAY), ip)?;
                tx.add_sighting(&id(4), at(3 * DAY), ip)?;
                tx.add_sighting(&id(6), at(12 * DAY), ip)?;
                // What tells that the sensor was alive while the sixth was watched.
                tx.add_sighting(&id(7), at(20 * DAY), ip)
            })
            .unwrap();
        let trial = |day: i64| store.tx("t", |tx| tx.wording_trials(14, at(day * DAY))).unwrap().remove(0);
        let young = trial(5);
        assert!(young.arms.iter().all(|arm| (arm.aged, arm.observed, arm.clean) == (0, 0, 0)));
        let old = trial(30);
        let [standard, short] = &old.arms[..] else { panic!("{old:?}") };
        assert_eq!(
            (standard.wording.as_str(), standard.percent, standard.form.as_str()),
            ("standard", 50, "aaaa0000")
        );
        assert_eq!((standard.cases, standard.notified, standard.otherwise), (3, 2, 1));
        assert_eq!((short.cases, short.notified, short.otherwise), (3, 3, 0));
        assert_eq!((standard.opened, short.opened, short.steps, short.done), (1, 1, 1, 1));
        assert_eq!((standard.aged, standard.observed, standard.clean), (3, 3, 2));
        assert_eq!((short.aged, short.observed, short.clean), (3, 3, 3));
        assert_eq!((old.since, old.until), (at(0), at(10 * DAY)));
        let words = store.tx("t", |tx| tx.words_of(&id(3))).unwrap();
        assert_eq!(words[&1], "standard@cccc2222");
        let all_seen = trial(20);
        assert_eq!(all_seen.arms[1].aged, 2, "the one that was held out is too young");
    });
}
