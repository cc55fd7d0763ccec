//! Rungs one by one, and a million random histories.

use noroshi_model::Id;

use super::*;
use crate::plan::{Found, plan};

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + hours * 3600).unwrap()
}

fn ladder() -> Ladder {
    Ladder {
        rungs: vec![
            Rung::of(Channel::Mail, 2),
            Rung { after_days: 3, ..Rung::of(Channel::Sms, 1) },
            Rung::of(Channel::Letter, 1),
            Rung { approval: true, ..Rung::of(Channel::Call, 1) },
            Rung::of(Channel::WalledGarden, 1),
        ],
        zone: TimeZone::get("Asia/Tokyo").unwrap(),
        hours: BTreeMap::from([(Channel::Sms, Hours::DAYTIME), (Channel::Call, Hours::DAYTIME)]),
    }
}

fn allowed() -> BTreeMap<Channel, Approval> {
    let all = Channel::ALL.iter().map(|channel| match channel {
        Channel::WalledGarden => (*channel, Approval::Needed),
        other => (*other, Approval::NotNeeded),
    });
    all.collect()
}

fn case(last_seen: i64) -> Case {
    Case {
        id: Id::of("case", &[b"1"]),
        party: "p".into(),
        family: "mirai".into(),
        campaign: "c".into(),
        measure: "infection-notice".into(),
        state: CaseState::Open,
        opened: at(0),
        first_seen: at(0),
        last_seen: at(last_seen),
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

fn says(taken: &[(Channel, StepState, i64)], last_seen: i64, now: i64) -> Next {
    let taken: Vec<Taken> = taken
        .iter()
        .map(|(channel, state, hours)| Taken { channel: *channel, state: *state, at: at(*hours) })
        .collect();
    let (case, allowed) = (case(last_seen), allowed());
    let known = Known { case: &case, taken: &taken, told_before: None, opted_out: false, allowed: &allowed };
    next(&ladder(), &known, at(now))
}

const fn step(channel: Channel) -> Next {
    Next::Step { channel, proposed: false }
}

#[test]
fn a_step_further_only_after_the_cool_down_and_where_the_line_was_seen_since() {
    use Channel::{Call, Letter, Mail, Sms, WalledGarden};
    use StepState::{Delivered, Rejected, Sent};
    assert_eq!(says(&[], 0, 1), step(Mail));
    let once = [(Mail, Sent, 1)];
    assert!(matches!(says(&once, 100, 150), Next::Nothing(_)));
    assert!(matches!(says(&once, 168, 500), Next::Nothing(_)), "seen a minute before its end");
    assert_eq!(says(&once, 169, 169), step(Mail));
    let twice = [(Mail, Sent, 1), (Mail, Delivered, 169)];
    // 1,700,000,000 is 07:13 in Tokyo.
    assert_eq!(says(&twice, 241, 242), step(Sms), "three days, in the morning");
    assert!(matches!(says(&twice, 241, 254), Next::At(_)), "at night: when the window opens");
    let mut more = twice.to_vec();
    more.push((Sms, Sent, 242));
    assert_eq!(says(&more, 430, 430), step(Letter));
    more.push((Letter, Sent, 430));
    assert_eq!(says(&more, 600, 603), Next::Step { channel: Call, proposed: true });
    more.push((Call, Rejected, 603));
    assert!(matches!(says(&more, 604, 700), Next::Nothing(_)), "a person's no stands for the cool-down");
    assert_eq!(says(&more, 800, 801), Next::Step { channel: WalledGarden, proposed: true });
    more.push((WalledGarden, Delivered, 801));
    assert_eq!(says(&more, 2000, 2000), Next::Nothing("the end of the ladder"));
    assert!(matches!(says(&[], 0, 336), Next::Nothing(_)), "fourteen quiet days");
}

#[test]
fn what_fails_is_followed_by_the_next_way_at_once_and_not_tried_again() {
    use Channel::{Letter, Mail, Sms};
    use StepState::{Failed, Pending, Sent, Stopped};
    assert_eq!(says(&[(Mail, Failed, 1)], 0, 2), step(Sms));
    assert_eq!(
        says(&[(Mail, Sent, 1), (Mail, Failed, 180)], 170, 170),
        step(Sms),
        "seven days after the one that arrived"
    );
    assert_eq!(says(&[(Mail, Failed, 1), (Sms, Failed, 2)], 0, 3), step(Letter));
    assert!(matches!(says(&[(Mail, Pending, 1)], 0, 2), Next::Nothing(_)));
    assert_eq!(says(&[(Mail, Stopped, 1)], 0, 2), step(Mail), "what was never sent takes no place");
}

#[test]
fn what_the_law_does_not_allow_is_no_rung() {
    let (case, ladder) = (case(0), ladder());
    let allowed = BTreeMap::from([(Channel::Letter, Approval::Needed)]);
    let known = Known { case: &case, taken: &[], told_before: None, opted_out: false, allowed: &allowed };
    assert_eq!(next(&ladder, &known, at(1)), Next::Step { channel: Channel::Letter, proposed: true });
    let known = Known { allowed: &BTreeMap::new(), ..known };
    assert!(matches!(next(&ladder, &known, at(1)), Next::Nothing(_)));
}

#[test]
fn a_new_case_soon_after_the_last_waits_for_the_cool_down() {
    let (case, ladder, allowed) = (case(0), ladder(), allowed());
    let known =
        Known { case: &case, taken: &[], told_before: Some(at(-100)), opted_out: false, allowed: &allowed };
    assert_eq!(next(&ladder, &known, at(1)), Next::At(at(68)));
    assert_eq!(next(&ladder, &known, at(68)), step(Channel::Mail));
}

/// xorshift64*: what a test needs and no more.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }
}

/// One subscriber, one family, for months: everything that outlives the program, as text, and what really happened.
#[derive(Default)]
struct World {
    /// The cases and their steps, oldest first.
    cases: Vec<(Case, Vec<Taken>)>,
    opted_out: bool,
    /// What reached the subscriber and may have: when, and by which way.
    told: Vec<(Timestamp, Channel)>,
}

impl World {
    fn sighting(&mut self, now: Timestamp, hold_out: Option<SignedDuration>) {
        let seen = [now];
        let found = Found {
            party: "p",
            family: "mirai",
            campaign: "c",
            measure: "infection-notice",
            seen: &seen,
            opted_out: self.opted_out,
            settle: SignedDuration::from_mins(2),
            hold_out,
        };
        let fresh = Id::of("case", &[&self.cases.len().to_be_bytes()]);
        let planned = plan(&found, self.cases.last().map(|(case, _)| case), fresh, now).unwrap();
        match self.cases.last_mut().filter(|(case, _)| case.id == planned.id) {
            Some((case, _)) => *case = planned,
            None => self.cases.push((planned, Vec::new())),
        }
    }

    /// What the stage does: asks where a time has come, and writes down what it is told.
    fn climb(&mut self, ladder: &Ladder, allowed: &BTreeMap<Channel, Approval>, now: Timestamp) {
        let told_before = self.told.last().map(|(at, _)| *at);
        let Some((case, taken)) = self.cases.last_mut() else { return };
        if case.next.is_none_or(|next| next > now) {
            return;
        }
        let known = Known { case, taken, told_before, opted_out: self.opted_out, allowed };
        case.next = match next(ladder, &known, now) {
            Next::Step { channel, proposed } => {
                let state = if proposed { StepState::Proposed } else { StepState::Pending };
                taken.push(Taken { channel, state, at: now });
                None
            }
            Next::At(at) => Some(at),
            Next::Nothing(_) => None,
        };
    }

    /// What the mailer and its like do with the step that is on its way, as chance has it.
    fn deliver(&mut self, ladder: &Ladder, random: &mut Random, now: Timestamp) {
        let opted_out = self.opted_out;
        let Some((case, taken)) = self.cases.last_mut() else { return };
        let Some(step) = taken.last_mut().filter(|step| step.state.is_ahead()) else { return };
        if step.state == StepState::Proposed {
            step.state =
                [StepState::Pending, StepState::Rejected, StepState::Proposed][random.below(3) as usize];
            step.at = now;
            return;
        }
        if ladder.open(step.channel, now) != now {
            return;
        }
        step.at = now;
        if opted_out || !case.state.is_open() || case.state == CaseState::Held {
            step.state = StepState::Stopped;
            return;
        }
        step.state = match random.below(8) {
            0 => StepState::Failed,
            1 => return,
            2 => StepState::InDoubt,
            _ => StepState::Sent,
        };
        if step.state == StepState::Failed {
            case.next = Some(now);
        } else {
            self.told.push((now, step.channel));
        }
    }
}

#[test]
fn no_history_tells_anybody_too_often_against_their_wish_or_outside_the_hours() {
    let histories: u64 =
        std::env::var("NOROSHI_TEST_HISTORIES").map_or(100_000, |n| n.parse().expect("a number"));
    let seed: u64 = std::env::var("NOROSHI_TEST_SEED").map_or(1, |n| n.parse().expect("a number"));
    let (mut ladder, allowed) = (ladder(), allowed());
    ladder.hours.insert(Channel::Mail, "08:00-22:00".parse().unwrap());
    let mut steps = [0u64; 5];
    for history in 0..histories {
        let mut random = Random((seed << 32 | history).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut world = World::default();
        let mut now = at(0) + SignedDuration::from_mins(random.below(1440) as i64);
        let hold_out = (random.below(4) == 0).then(|| SignedDuration::from_hours(14 * 24));
        for _ in 0..160 {
            let before = world.told.len();
            match random.below(12) {
                0..4 => world.sighting(now, hold_out),
                4 => world.opted_out = true,
                5 if random.below(2) == 0 => world.opted_out = false,
                6 if random.below(4) == 0 => {
                    if let Some((case, _)) = world.cases.last_mut().filter(|(case, _)| case.state.is_open()) {
                        case.state = CaseState::Held;
                    }
                }
                7 => {
                    let quiet =
                        |case: &Case| now.duration_since(case.last_seen) >= noroshi_model::case::QUIET;
                    if let Some((case, _)) = world.cases.last_mut().filter(|(case, _)| quiet(case)) {
                        (case.state, case.next) = (CaseState::Clean, None);
                    }
                }
                8.. => now += SignedDuration::from_mins(random.below(4 * 1440) as i64),
                _ => {}
            }
            world.climb(&ladder, &allowed, now);
            world.deliver(&ladder, &mut random, now);
            for (told, channel) in &world.told[before..] {
                let rung = ladder.rungs.iter().find(|rung| rung.channel == *channel).unwrap();
                let last = before.checked_sub(1).map(|last| world.told[last].0);
                assert!(
                    last.is_none_or(|last| told.duration_since(last) >= rung.after()),
                    "seed {seed}, history {history}: {channel} at {told}, though told at {last:?}"
                );
                assert!(!world.opted_out, "seed {seed}, history {history}: told against their wish");
                assert_eq!(ladder.open(*channel, *told), *told, "seed {seed}, history {history}: at {told}");
                let (case, taken) = world.cases.last().unwrap();
                assert!(
                    case.held_out_until.is_none_or(|until| *told >= until),
                    "seed {seed}, history {history}"
                );
                let times = taken.iter().filter(|step| step.channel == *channel && step.counts()).count();
                assert!(
                    times <= rung.times as usize,
                    "seed {seed}, history {history}: {channel} {times} times"
                );
                steps[*channel as usize] += 1;
            }
        }
    }
    assert!(steps.iter().all(|n| *n > histories / 10_000), "a way that was hardly taken: {steps:?}");
}
