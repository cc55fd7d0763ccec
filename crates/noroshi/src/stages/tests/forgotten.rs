//! What may be kept no longer goes by itself, when its dossier says so and not before; the evidence says so, and stays whole.

use noroshi_law::TakedownNotice;
use noroshi_law::evidence::Entry;
use noroshi_wire::SeizedFormat;

use super::*;
use crate::retention::{Forgotten, forget_old};

/// Two addresses of ours, one of others.
const LOG: &str = "time,ip\n2026-11-30T01:00:00Z,198.51.100.7\n2026-11-30T02:00:00Z,198.51.100.8\n2026-11-30T03:00:00Z,192.0.2.1\n";

fn notes(world: &World, measure: &str) -> Vec<String> {
    let entries: Vec<Entry> = world.tx(|tx| tx.evidence_below(u64::MAX, 10_000));
    let of_it = entries.into_iter().rev().map(|entry| entry.record);
    of_it.filter(|r| r.measure == measure && r.usage == Use::Forget).map(|r| r.note).collect()
}

fn gone(done: &[Forgotten]) -> Vec<(&str, u64, u64, u64)> {
    done.iter().map(|one| (one.measure.as_str(), one.events, one.findings, one.cases)).collect()
}

#[test]
fn what_is_older_than_its_dossier_allows_goes_on_its_day_and_the_evidence_says_so() {
    let mut world = World::new("[network]\nown = [\"198.51.100.0/24\"]\n[outcome]\nhold-out-percent = 0\n");
    let log = world.path("gate.csv");
    std::fs::write(&log, LOG).unwrap();
    let format: SeizedFormat = toml::from_str("time = \"time\"\nmalware-name = \"mirai\"\n").unwrap();
    let take = |world: &World| {
        crate::intake::take_seized(world.house(), &log, "takedown", TakedownNotice::MEASURE, &format)
            .unwrap()
            .counts
    };
    let taken = take(&world);
    assert_eq!((taken.stored, taken.filtered), (2, 1));
    world.find("C-1", None);
    world.work();
    let whose = world.tx(|tx| tx.case(&world.cases["C-1"])).unwrap().party;
    let pass = |world: &World, days: i64| {
        for _ in 0..days {
            world.clock.step(SignedDuration::from_hours(24));
            world.work();
        }
        forget_old(world.house()).unwrap()
    };
    let case = |world: &World| world.tx(|tx| tx.case(&world.cases["C-1"])).unwrap();
    assert_eq!(gone(&pass(&world, 89)), []);
    assert_eq!(case(&world).state, CaseState::Clean);
    assert_eq!(gone(&pass(&world, 2)), [("takedown-notice", 2, 2, 0)], "by another measure than the case");
    assert_eq!(gone(&pass(&world, 0)), [], "once");
    let told = notes(&world, TakedownNotice::MEASURE);
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with("about to be forgotten: what came in or was closed before 2026-12-02T"),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("forgotten: 2 events, 2 findings, 0 cases of before 2026-12-02T"),
        "{told:?}"
    );
    assert_eq!(
        (world.tx(|tx| tx.event_count()), take(&world).duplicate),
        (0, 2),
        "what was forgotten does not come back"
    );

    assert_eq!(case(&world).forgotten, None);
    assert_eq!(gone(&pass(&world, 110)), [("infection-notice", 0, 0, 1)]);
    let after = case(&world);
    assert!(after.forgotten.is_some() && after.party != whose && after.state == CaseState::Clean);
    assert!(world.tx(|tx| tx.sightings(&after.id, 10)).is_empty());
    assert_eq!(notes(&world, InfectionNotice::MEASURE).len(), 2);
    // The same line again is nobody's second time.
    world.find("C-1", None);
    world.work();
    let again = case(&world);
    assert_eq!((again.party == whose, again.reinfected), (true, false));
    assert!(world.house().evidence().verify().unwrap().faults.is_empty(), "the tree is whole");
}
