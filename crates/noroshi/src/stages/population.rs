//! A population whose true effect is known: the outcome page has to find it, and has to find nothing where there is nothing.
//!
//! Each infected line is seen at random moments, about once a day, until it is clean. Without anybody telling, lines become clean
//! at a rate by which 66 % are clean after fourteen days (58 to 74 % in Çetin et al., NDSS 2019). Telling adds a rate of its own from the
//! moment it happens: none at all (their plain mail), or one by which 92 % are (their walled garden).

use jiff::{SignedDuration, Timestamp};
use noroshi_improve::effect::{effect, table};
use noroshi_improve::wording::compare;
use noroshi_model::case::StepState;
use noroshi_model::outcome::Effect;
use noroshi_model::wording::{Round, Share, Stage, WordingTrial};
use noroshi_model::{Case, CaseState, Channel, Id, Step, Trial, VisitKind};
use noroshi_store::{Address, Store, StoreError};

const DAYS: f64 = 14.0;
/// Share that is clean after fourteen days without being told.
const NATURAL: f64 = 0.66;
/// Share that is clean where the walled garden is used.
const GARDEN: f64 = 0.92;
/// Sightings of an infected line in a day.
const SEEN_A_DAY: f64 = 1.0;

/// splitmix64: what a test needs and no more.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Waiting for something that happens so often in a day.
    fn wait(&mut self, a_day: f64) -> f64 {
        if a_day <= 0.0 { f64::INFINITY } else { -(1.0 - self.unit()).ln() / a_day }
    }
}

/// The rate by which this share is over after fourteen days.
fn rate(share: f64) -> f64 {
    -(1.0 - share).ln() / DAYS
}

/// When a line is seen, in days after its case was opened.
fn sightings(random: &mut Random, told: bool, with_telling: f64) -> Vec<f64> {
    let extra = if told { rate(with_telling) - rate(NATURAL) } else { 0.0 };
    let clean = random.wait(rate(NATURAL)).min(random.wait(extra));
    let mut seen = vec![0.0];
    let mut at = random.wait(SEEN_A_DAY);
    while at < clean.min(DAYS + 2.0) {
        seen.push(at);
        at += random.wait(SEEN_A_DAY);
    }
    seen
}

fn gone(seen: &[f64]) -> bool {
    !seen.iter().any(|at| *at > DAYS / 2.0 && *at <= DAYS)
}

/// The true difference, by a quarter of a million lines of each kind.
fn truth(with_telling: f64) -> f64 {
    let mut random = Random(4711);
    let mut share = |told| {
        let gone = (0..250_000).filter(|_| gone(&sightings(&mut random, told, with_telling))).count();
        gone as f64 / 250_000.0
    };
    share(true) - share(false)
}

fn case_of(n: u32, opened: Timestamp) -> Case {
    Case {
        id: Id::of("case", &[&n.to_be_bytes()]),
        party: format!("p{n}"),
        family: "mirai".into(),
        campaign: "sinkhole".into(),
        measure: "infection-notice".into(),
        state: CaseState::Open,
        opened,
        first_seen: opened,
        last_seen: opened,
        steps: 0,
        last_step: None,
        next: None,
        held_out_until: None,
        closed: None,
        reinfected: false,
        held_by: None,
        merged_into: None,
        forgotten: None,
    }
}

/// What the outcome page says of so many cases, a tenth of them held out, opened over thirty days.
fn outcome(seed: u64, cases: u32, with_telling: f64, sensor_ends: Option<f64>) -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Address::Sqlite(folder.path().join("db"))).unwrap();
    let begun = Timestamp::from_second(1_790_000_000).unwrap();
    let at = |days: f64| begun + SignedDuration::from_secs((days * 86_400.0) as i64);
    let mut random = Random(seed);
    store
        .tx("population", |tx| {
            for n in 0..cases {
                let opened = random.unit() * 30.0;
                let held_out = random.unit() < 0.1;
                let held_out_until = held_out.then(|| at(opened + DAYS));
                let case = Case { held_out_until, ..case_of(n, at(opened)) };
                tx.put_case(&case)?;
                for seen in sightings(&mut random, !held_out, with_telling) {
                    if sensor_ends.is_none_or(|end| opened + seen < end) {
                        tx.add_sighting(&case.id, at(opened + seen), [198, 51, 100, 7].into())?;
                    }
                }
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let mut trials = store.tx("trials", |tx| tx.trials(DAYS as u32, at(60.0))).unwrap();
    let mut trial = trials.pop().unwrap();
    trial.effect = effect(&trial.told, &trial.held_out);
    trial
}

#[test]
fn the_true_effect_is_within_the_interval_and_none_is_found_where_there_is_none() {
    let runs: u64 = std::env::var("NOROSHI_TEST_POPULATIONS").map_or(20, |n| n.parse().expect("a number"));
    let (garden, none) = (truth(GARDEN), truth(NATURAL));
    assert!(garden > 0.1 && none.abs() < 0.01, "{garden} {none}");
    let (mut covered, mut helped, mut nothing) = (0, 0, 0);
    for seed in 1..=runs {
        let found = outcome(seed, 2000, GARDEN, None);
        let effect = found.effect.unwrap();
        covered += u64::from((effect.low..=effect.high).contains(&garden));
        helped += u64::from(effect.words() == "telling helps");
        // Those before the first that was held out belong to no trial.
        assert!((1900..=2000).contains(&(found.told.cases + found.held_out.cases)));
        let found = outcome(1000 + seed, 2000, NATURAL, None).effect.unwrap();
        covered += u64::from((found.low..=found.high).contains(&none));
        nothing += u64::from(found.words() == "no effect that can be told from none");
    }
    let at_least = |share: f64, of: u64| (of as f64 * share).floor() as u64;
    assert!(covered >= at_least(0.88, 2 * runs), "{covered} of {} intervals hold the truth", 2 * runs);
    assert_eq!(helped, runs, "the walled garden's effect is seen each time");
    assert!(nothing >= at_least(0.85, runs), "nothing was seen {nothing} times of {runs}");
    say(&format!(
        "populations: {covered} of {} intervals hold the truth ({:+.1} points); no effect found where there is none: \
         {nothing} of {runs}; the first:\n{}",
        2 * runs,
        garden * 100.0,
        table(&[outcome(1, 2000, GARDEN, None)])
    ));
}

/// Prints past the test runner, which keeps what a passing test prints to itself.
fn say(text: &str) {
    use std::io::Write as _;
    let _unread = writeln!(std::io::stderr(), "{text}");
}

#[test]
fn a_sensor_that_fell_silent_makes_nobody_clean() {
    let blind = outcome(7, 500, GARDEN, Some(5.0));
    assert!(blind.told.cases + blind.held_out.cases > 400);
    assert!(blind.told.observed == 0 && blind.held_out.observed == 0 && blind.effect.is_none(), "{blind:?}");
    let half = outcome(7, 2000, NATURAL, Some(20.0));
    assert!(half.told.observed < half.told.cases && half.told.observed > 0);
    let share = half.told.gone as f64 / half.told.observed as f64;
    assert!(share < 0.9, "what the sensor could not see is not taken for clean: {half:?}");
}

/// What a wording does: the share of lines that is clean fourteen days after it, and of subscribers who open the page.
#[derive(Clone, Copy)]
struct Does {
    clean: f64,
    opened: f64,
}

const NAMES: [&str; 3] = ["standard", "short", "plain"];

/// A round of wordings that do this, each said to its share of so many cases, told over thirty days.
fn round(seed: u64, cases: u32, wordings: &[Does]) -> WordingTrial {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Address::Sqlite(folder.path().join("db"))).unwrap();
    let begun = Timestamp::from_second(1_790_000_000).unwrap();
    let at = |days: f64| begun + SignedDuration::from_secs((days * 86_400.0) as i64);
    let mut random = Random(seed);
    let percent = 100 / wordings.len() as u32;
    let share = |n: usize| {
        let rest = if n == 0 { 100 - percent * wordings.len() as u32 } else { 0 };
        Share { wording: NAMES[n].into(), percent: percent + rest, form: format!("{n:08x}") }
    };
    let round = Round::new((0..wordings.len()).map(share).collect());
    store
        .tx("population", |tx| {
            for n in 0..cases {
                let opened = random.unit() * 30.0;
                let case = case_of(n, at(opened));
                tx.put_case(&case)?;
                let place = round.drawn((random.unit() * 10_000.0) as u32);
                tx.allot_wording(&case.id, &round, place, at(opened))?;
                tx.insert_step(&sent(&case), &format!("<{n}@example.net>"), at(opened))?;
                // Of those who open, most go on a step, and half of these another.
                let visits = [
                    (VisitKind::Opened, wordings[place].opened),
                    (VisitKind::Steps, 0.7),
                    (VisitKind::Done, 0.5),
                ];
                for (kind, share) in visits {
                    if random.unit() >= share {
                        break;
                    }
                    tx.visit(&case.id, kind, at(opened + 1.0))?;
                }
                for seen in sightings(&mut random, true, wordings[place].clean) {
                    tx.add_sighting(&case.id, at(opened + seen), [198, 51, 100, 7].into())?;
                }
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let mut trial = store.tx("trials", |tx| tx.wording_trials(DAYS as u32, at(60.0))).unwrap().pop().unwrap();
    compare(&mut trial);
    assert_eq!(trial.arms.iter().map(|arm| arm.cases).sum::<u64>(), u64::from(cases));
    trial
}

fn sent(case: &Case) -> Step {
    Step {
        case: case.id.clone(),
        number: 1,
        channel: Channel::Mail,
        state: StepState::Sent,
        attempts: 1,
        due: case.opened,
        reply: String::new(),
    }
}

/// What is said of the second wording beside the first.
fn said(trial: &WordingTrial, stage: Stage) -> (Effect, bool) {
    let one =
        trial.comparisons.iter().find(|c| c.stage == stage && c.wording == NAMES[1] && c.with == NAMES[0]);
    let one = one.unwrap();
    (one.effect.unwrap(), one.says == "no difference can be told")
}

#[test]
fn the_true_difference_of_two_wordings_is_within_the_interval_and_none_is_found_where_there_is_none() {
    let runs: u64 = std::env::var("NOROSHI_TEST_POPULATIONS").map_or(60, |n| n.parse().expect("a number"));
    // Many small populations say more of intervals than a few large ones do.
    const CASES: u32 = 600;
    const LONG: Does = Does { clean: 0.72, opened: 0.30 };
    const SHORT: Does = Does { clean: 0.90, opened: 0.38 };
    let clean = truth(SHORT.clean) - truth(LONG.clean);
    let opened = SHORT.opened - LONG.opened;
    assert!(clean > 0.08, "{clean}");
    let holds = |effect: &Effect, truth: f64| u64::from((effect.low..=effect.high).contains(&truth));
    let (mut covered, mut found, mut nothing, mut claimed) = (0, 0, 0, 0);
    for seed in 1..=runs {
        let trial = round(seed, CASES, &[LONG, SHORT]);
        let ((is_clean, unclear), (is_opened, _)) = (said(&trial, Stage::Clean), said(&trial, Stage::Opened));
        covered += holds(&is_clean, clean) + holds(&is_opened, opened);
        found += u64::from(!unclear && is_clean.low > 0.0);
        let trial = round(1000 + seed, CASES, &[LONG, LONG]);
        let ((is_clean, unclear), (is_opened, _)) = (said(&trial, Stage::Clean), said(&trial, Stage::Opened));
        covered += holds(&is_clean, 0.0) + holds(&is_opened, 0.0);
        nothing += u64::from(unclear);
        // Of three pairs any may be claimed by chance: the widened intervals keep that to one trial in twenty.
        let trial = round(2000 + seed, CASES, &[LONG, LONG, LONG]);
        let mut pairs = trial.comparisons.iter().filter(|c| c.stage == Stage::Clean);
        claimed += u64::from(pairs.any(|c| c.says != "no difference can be told"));
    }
    let at_least = |share: f64, of: u64| (of as f64 * share).floor() as u64;
    assert!(covered >= at_least(0.91, 4 * runs), "{covered} of {} intervals hold the truth", 4 * runs);
    assert!(found >= at_least(0.9, runs), "the difference was found {found} times of {runs}");
    assert!(nothing >= at_least(0.85, runs), "nothing was found {nothing} times of {runs}");
    assert!(
        claimed <= runs - at_least(0.85, runs),
        "of three the same, {claimed} of {runs} trials claim a pair"
    );
    say(&format!(
        "wordings: {covered} of {} intervals hold the truth ({:+.1} points clean, {:+.1} opened); found {found} of {runs}; \
         none found where there is none: {nothing} of {runs}; of three the same, claimed {claimed} of {runs}; the first:\n{}",
        4 * runs,
        clean * 100.0,
        opened * 100.0,
        noroshi_improve::wording::table(&[round(1, CASES, &[LONG, SHORT])])
    ));
}
