//! What people say of cases, and what comes of it for those who would have been told.

use noroshi_model::CaseFilter;
use noroshi_portal::desk::CaseVerb;
use noroshi_store::returns::Return;

use super::*;
use crate::cases::{case_story, judge_all, judge_matching};
use crate::returns::COMPLAINT;

const WHY: &str = "the list is doubted";

impl World {
    fn case(&self, contract: &str) -> Case {
        self.tx(|tx| tx.case(&self.cases[contract])).unwrap()
    }

    /// Says something of cases; how many it was done to.
    fn say(&self, contracts: &[&str], verb: &CaseVerb) -> u64 {
        let ids: Vec<Id> = contracts.iter().map(|contract| self.cases[*contract].clone()).collect();
        judge_all(self.house(), &ids, verb, "aoki", WHY).unwrap().done
    }

    fn days(&self, days: u32) {
        for _ in 0..days * 2 {
            self.clock.step(SignedDuration::from_hours(12));
            self.seen_again();
            self.work();
        }
    }
}

#[test]
fn whoever_is_held_is_not_told_until_somebody_says_so_and_the_evidence_log_knows_who_did() {
    let mut world = World::new("[outcome]\nhold-out-percent = 0\n");
    world.find("C-1", None);
    world.find("C-2", None);
    assert_eq!(world.say(&["C-1", "C-2"], &CaseVerb::Hold), 2);
    assert_eq!(world.say(&["C-1"], &CaseVerb::Hold), 0, "held once");
    world.days(10);
    assert!(world.steps("C-1").is_empty() && world.steps("C-2").is_empty());
    assert_eq!(world.say(&["C-1"], &CaseVerb::Release), 1);
    world.days(1);
    assert_eq!(world.steps("C-1").len(), 1);
    assert!(world.steps("C-2").is_empty());
    assert_eq!(world.case("C-1").state, CaseState::Notified);

    let story = world.tx(|tx| case_story(tx, &world.cases["C-1"])).unwrap().story;
    let said: Vec<_> = story.iter().filter(|line| line.text == format!("by aoki: {WHY}")).collect();
    assert_eq!(said.iter().map(|line| line.what.as_str()).collect::<Vec<_>>(), ["released", "held"]);
    let entries = world.house().evidence().page(0, 1000).unwrap();
    for line in said {
        let entry = entries.iter().find(|entry| Some(entry.index) == line.evidence).unwrap();
        let case = &world.cases["C-1"];
        assert_eq!(entry.record.note, format!("aoki: {} case {case}: {WHY}", line.what));
        assert_eq!(entry.record.measure, InfectionNotice::MEASURE);
    }
    assert!(world.house().evidence().verify().unwrap().faults.is_empty());
}

#[test]
fn a_hold_and_a_release_tell_nobody_who_opted_out_or_called_a_mail_abuse() {
    let mut world = World::new("[outcome]\nhold-out-percent = 0\n");
    for contract in ["C-1", "C-2", "C-3"] {
        world.find(contract, None);
    }
    world.work();
    let told = ["C-1", "C-2"].map(|contract| world.steps(contract).len());
    // Held before it comes back; after the release it is as it would have been.
    world.say(&["C-1", "C-2", "C-3"], &CaseVerb::Hold);
    let (party, now) = (world.case("C-2").party, world.clock.now());
    let complaint = Return {
        id: Id::random().unwrap(),
        case: world.cases["C-1"].clone(),
        number: 1,
        kind: COMPLAINT.into(),
        cause: "abuse".into(),
        status: String::new(),
        said: String::new(),
        at: now,
    };
    world.tx(|tx| {
        tx.put_return(&complaint)?;
        tx.put_consent(&party, "*", false, "the page", now)
    });
    assert_eq!(world.say(&["C-1", "C-2", "C-3"], &CaseVerb::Release), 3);
    assert_eq!(["C-1", "C-2"].map(|contract| world.case(contract).state), [CaseState::Held; 2]);
    assert_eq!(world.say(&["C-1", "C-2"], &CaseVerb::Release), 0, "that is theirs to say");
    world.days(20);
    let after = ["C-1", "C-2"].map(|contract| world.steps(contract).len());
    assert_eq!(after, told, "nobody who does not want to be told is told");
    assert_ne!(world.case("C-3").state, CaseState::Held, "nor is anybody else kept from it");
}

#[test]
fn what_is_rejected_or_merged_is_over_and_for_whom_it_was_is_forgotten() {
    let mut world = World::new("[outcome]\nhold-out-percent = 0\n");
    world.find("C-1", None);
    let first = world.case("C-1");
    world.find("C-3", None);
    let now = world.clock.now();
    let other = Case { id: Id::random().unwrap(), family: "hajime".into(), last_seen: now, ..first.clone() };
    world.tx(|tx| {
        let addressee = tx.addressee(&first.id)?.unwrap();
        tx.put_case(&other)?;
        tx.put_addressee(&other.id, &addressee)
    });
    world.cases.insert("other".into(), other.id.clone());
    assert_eq!(world.say(&["C-1"], &CaseVerb::Merge(world.cases["C-3"].clone())), 0, "not of one contract");
    assert_eq!(world.say(&["C-1"], &CaseVerb::Merge(other.id.clone())), 1);
    assert_eq!(world.say(&["C-3"], &CaseVerb::Reject), 1);
    let ended = ["C-1", "C-3"].map(|contract| world.case(contract));
    assert_eq!(ended.clone().map(|case| case.state), [CaseState::Merged, CaseState::Rejected]);
    for case in &ended {
        assert!(case.closed.is_some() && case.next.is_none());
        assert_eq!(world.tx(|tx| tx.addressee(&case.id)), None);
    }
    assert_eq!(world.tx(|tx| tx.latest_case(&first.party, "mirai")).unwrap().id, other.id);
    assert_eq!(world.tx(|tx| tx.sighting_count(&other.id)), 1, "what was seen of it is the other's");
    let before = world.steps("C-3");
    world.days(10);
    assert_eq!((world.steps("C-1").len(), world.steps("C-3")), (0, before));
}

#[test]
fn all_that_a_filter_shows_are_judged_and_saying_it_again_goes_on_with_the_rest() {
    let mut world = World::new("[outcome]\nhold-out-percent = 0\n");
    let model = {
        world.find("C-1", None);
        world.case("C-1")
    };
    world.tx(|tx| {
        (0..1000_i64).try_for_each(|n| {
            let (party, opened) = (format!("party {n}"), model.opened - SignedDuration::from_secs(n));
            let closed = (n % 4 == 0).then_some(opened);
            let state = if n % 4 == 0 { CaseState::Clean } else { CaseState::Open };
            let id = Id::of("many", &[&n.to_be_bytes()]);
            tx.put_case(&Case { id, party, opened, closed, state, next: None, ..model.clone() })
        })
    });
    let filter = CaseFilter { campaign: Some("sinkhole".into()), ..CaseFilter::default() };
    let hold = |most| judge_matching(world.house(), &filter, &CaseVerb::Hold, "aoki", WHY, most).unwrap();
    let (first, more) = hold(300);
    assert!(first.done >= 300 && first.done < 600 && more, "{first:?}");
    let (rest, more) = hold(10_000);
    assert_eq!((first.done + rest.done, more), (751, false), "the open ones, each once");
    let (none, more) = hold(10_000);
    assert_eq!((none.done, none.left.values().sum::<u64>(), more), (0, 751, false));
}
