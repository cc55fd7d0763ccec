//! What counting a repeat costs before the database: the key of an event, and the step of its group, over a stream in which
//! each thing repeats ten times.

use std::collections::HashMap;
use std::hint::black_box;

use divan::counter::ItemsCount;
use noroshi_model::{Datum, Fields};
use noroshi_orient::aggregate::{Aggregation, Group, Step};

/// Events in one round.
const EVENTS: u32 = 100_000;
const NOW: i64 = 1_790_000_000_000;

fn main() {
    divan::main();
}

fn event(n: u32) -> Fields<'static> {
    let mut fields = Fields::with_capacity(12);
    fields.push("classification.type".into(), "infected-system".into());
    fields.push("malware.name".into(), "mirai".into());
    fields.push("source.ip".into(), Datum::Ip(std::net::Ipv4Addr::from(n % (EVENTS / 10)).into()));
    fields.push("source.port".into(), Datum::Int(i64::from(n & 0xffff)));
    fields.push("destination.ip".into(), Datum::Ip(std::net::Ipv4Addr::new(203, 0, 113, 7).into()));
    fields.push("extra.bot".into(), "0123456789abcdef".into());
    fields
}

#[divan::bench]
fn key(bencher: divan::Bencher<'_, '_>) {
    let (rule, event) = (Aggregation::default(), event(7));
    bencher.counter(ItemsCount::new(1u32)).bench(|| rule.key(black_box("feed"), black_box(&event)));
}

#[divan::bench]
fn step(bencher: divan::Bencher<'_, '_>) {
    let rule = Aggregation::default();
    let keys: Vec<[u8; 16]> = (0..EVENTS).map(|n| rule.key("feed", &event(n)).unwrap_or_default()).collect();
    bencher.counter(ItemsCount::new(EVENTS)).bench(|| {
        let mut groups: HashMap<[u8; 16], Group> = HashMap::new();
        let mut passed = 0;
        for (key, at) in keys.iter().zip(0i64..) {
            let step = rule.take(groups.get(key).copied(), NOW - 86_400_000 + at, NOW);
            passed += u32::from(!matches!(step, Step::Folded(_)));
            if let Step::Opened(group) | Step::Folded(group) | Step::Split(group) = step {
                groups.insert(*key, group);
            }
        }
        assert_eq!(passed, EVENTS / 10);
    });
}
