//! How infected each network is, as the weeks pass.

use super::*;

#[test]
fn each_week_of_a_network_is_counted_while_it_lasts_and_stays_when_it_is_over() {
    let part = "[network]\nown = [\"198.51.100.0/24\", \"203.0.113.0/24\"]\n[[network.part]]\nname = \"east\"\n\
                prefixes = [\"198.51.100.0/24\"]\nlines = 5000\n";
    let mut world = World::new(&format!("[outcome]\nhold-out-percent = 0\n{part}"));
    let told = |world: &World| -> Vec<String> {
        let rates = crate::report::networks(world.house(), false).unwrap();
        let lines = rates.iter().flat_map(|rate| {
            rate.weeks.iter().map(|w| {
                let of = |n: Option<u64>| n.unwrap();
                let (infected, seen, new) = (of(w.infected), of(w.seen), of(w.opened));
                format!("{} {}: {infected} {seen} {new} {:?}", rate.network, w.week, w.infected_per_10k)
            })
        });
        lines.collect()
    };
    world.work();
    assert_eq!(told(&world), [""; 0], "no case, no week");
    // Tuesday of week 49.
    world.find("C-1", None);
    world.find("C-2", None);
    world.work();
    assert_eq!(told(&world), ["* 2026-W49: 2 2 2 Some(4.0)", "east 2026-W49: 2 2 2 Some(4.0)"]);
    world.find("C-3", None);
    world.work();
    assert_eq!(told(&world).len(), 2);
    assert!(told(&world)[0].contains(": 2 2 2"), "not more often than every hour: {:?}", told(&world));
    world.clock.step(SignedDuration::from_mins(61));
    world.work();
    assert!(told(&world)[0].contains(": 3 3 3"), "{:?}", told(&world));

    // Three weeks later all are clean; how many lines there are has changed in the second of them.
    let days = |world: &World, days: u32| {
        for _ in 0..days {
            world.clock.step(SignedDuration::from_hours(24));
            world.work();
        }
    };
    days(&world, 7);
    world.config.networks = noroshi_model::network::Networks::new(
        vec![noroshi_model::network::Part {
            name: "east".into(),
            prefixes: vec!["198.51.100.0/24".parse().unwrap()],
            lines: Some(10_000),
        }],
        &world.config.own,
    )
    .unwrap();
    world.open();
    days(&world, 15);
    assert_eq!(
        told(&world).iter().filter(|line| line.starts_with("east")).collect::<Vec<_>>(),
        [
            "east 2026-W49: 3 3 3 Some(6.0)",
            "east 2026-W50: 3 0 0 Some(3.0)",
            "east 2026-W51: 3 0 0 Some(3.0)",
            "east 2026-W52: 0 0 0 Some(0.0)"
        ]
    );
}
