//! Attacks that are known, and everything else that answers in our direction: found are those, and nobody else is called a victim.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use fastrand::Rng;

use std::sync::LazyLock;

use super::*;

const MINUTE_NS: u64 = 60 * SECOND_NS;

/// Seeded, so that every run sees the same.
struct Chance(Rng);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    fn part(&mut self) -> f64 {
        self.0.f64()
    }

    /// Between two, alike often in each of their magnitudes.
    fn magnitude(&mut self, least: f64, most: f64) -> f64 {
        (least.ln() + self.part() * (most / least).ln()).exp()
    }

    fn wait_s(&mut self, rate: f64) -> f64 {
        -(1.0 - self.part()).ln() / rate
    }

    fn named(&mut self) -> u8 {
        self.0.u8(..64)
    }
}

fn victim(n: u32) -> IpAddr {
    Ipv4Addr::from(0xcb00_0000 + n).into()
}

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn hash(victim: IpAddr) -> u64 {
    hash_of(&KEY, victim)
}

fn echo(victim: IpAddr, at_s: f64, named: u8, port: u16) -> Echo {
    Echo { victim, hash: hash(victim), at_ns: (at_s * 1e9) as u64, named, protocol: 6, port: Some(port) }
}

/// An attack of so many packets a second, as a telescope sees it that is this part of all addresses. A server repeats its answer up to
/// four times, as they do.
fn attack(chance: &mut Chance, part: f64, n: u32, from_s: f64, for_s: f64, pps: f64) -> Vec<Echo> {
    let (mut all, mut at_s, repeats) = (Vec::new(), from_s, n.is_multiple_of(3));
    loop {
        at_s += chance.wait_s(pps * part);
        if at_s > from_s + for_s {
            return all;
        }
        let named = chance.named();
        let times = if repeats { 1 + chance.0.u64(..4) } else { 1 };
        all.extend((0..times).map(|again| echo(victim(n), at_s + (1 << again) as f64 - 1.0, named, 443)));
    }
}

fn found(thresholds: Thresholds, mut echoes: Vec<Echo>) -> Vec<Attack> {
    echoes.sort_by_key(|echo| echo.at_ns);
    let mut victims = Victims::new(thresholds);
    let mut told = Vec::new();
    for some in echoes.chunks(100) {
        victims.take(some, some.last().map_or(0, |echo| echo.at_ns), &KEY, &mut told);
    }
    victims.take(&[], u64::MAX, &KEY, &mut told);
    told
}

/// Recall among the attacks of which enough fell on the telescope, precision among all that is called one.
fn measured(prefix: u8, seed: u64) -> (f64, f64, usize) {
    let part = 0.5f64.powi(prefix.into());
    let thresholds = Thresholds::of(part);
    let mut chance = Chance::new(seed);
    let (mut echoes, mut visible) = (Vec::new(), BTreeMap::new());
    for n in 0..600 {
        let (from_s, for_s) = (chance.part() * 80_000.0, chance.magnitude(30.0, 7200.0));
        let seen = chance.magnitude(1.0, 5000.0) * thresholds.packets as f64 / 5.0;
        let one = attack(&mut chance, part, n, from_s, for_s, seen / for_s / part);
        let span_ns = one.last().map_or(0, |last| last.at_ns) - one.first().map_or(0, |first| first.at_ns);
        let packets = one.len() as u64;
        let clearly = packets >= 2 * thresholds.packets
            && span_ns >= 2 * MINUTE_NS
            && packets as f64 * 60e9 / span_ns as f64 >= 2.0 * f64::from(thresholds.per_minute)
            && span_ns / packets < SILENCE_NS / 8;
        visible.insert(victim(n), clearly);
        echoes.extend(one);
    }
    // Reflectors: each answers somebody who uses one of our addresses, or two, for a name.
    for n in 0..3000 {
        let (named, from_s, count) = (chance.named(), chance.part() * 80_000.0, chance.magnitude(1.0, 300.0));
        let other = chance.named();
        echoes.extend((0..count as u32).map(|k| {
            let named = if n % 4 == 0 && k % 2 == 0 { other } else { named };
            echo(victim(100_000 + n), from_s + f64::from(k) * 3.0, named, 80)
        }));
    }
    // Strays: answers to mistakes, one or a few of them, at any time.
    for n in 0..20_000 {
        let count = 1 + chance.0.u64(..4);
        for _ in 0..count {
            let (at_s, named) = (chance.part() * 86_000.0, chance.named());
            echoes.push(echo(victim(1_000_000 + n), at_s, named, 22));
        }
    }
    let called: BTreeMap<IpAddr, ()> =
        found(thresholds, echoes).iter().map(|attack| (attack.victim, ())).collect();
    let clear = visible.values().filter(|clear| **clear).count();
    let known = visible.iter().filter(|(ip, clear)| **clear && called.contains_key(ip)).count();
    let right = called.keys().filter(|ip| visible.contains_key(ip)).count();
    (known as f64 / clear as f64, right as f64 / called.len() as f64, clear)
}

#[test]
fn known_attacks_are_found_by_telescopes_of_every_size_and_nobody_else_is_called_a_victim() {
    for (prefix, seed) in [(8, 1), (12, 2), (16, 3), (20, 4), (16, 5)] {
        let (recall, precision, clear) = measured(prefix, seed);
        println!("/{prefix}: recall {recall:.3} of {clear}, precision {precision:.3}");
        assert!(
            clear > 150 && recall >= 0.98 && precision >= 0.98,
            "/{prefix}: {recall} {precision} {clear}"
        );
    }
}

#[test]
fn thresholds_are_those_of_the_paper_for_a_slash_8_and_never_chance() {
    let of = |prefix: u8| Thresholds::of(0.5f64.powi(prefix.into()));
    let as_written = |t: Thresholds| (t.packets, t.duration_ns / SECOND_NS, t.per_minute, t.named);
    assert_eq!(as_written(of(8)), (25, 60, 30, 3));
    assert_eq!(as_written(of(9)), (13, 60, 15, 3));
    assert_eq!(as_written(of(16)), (5, 60, 1, 3));
    assert_eq!(as_written(of(32)), (5, 60, 1, 1));
    assert_eq!(as_written(Thresholds::of(0.0)), (5, 60, 1, 3), "of a telescope whose size is not known");
}

#[test]
fn an_attack_is_told_when_it_is_known_and_again_when_it_has_ended() {
    let ip = victim(1);
    let thresholds = Thresholds::of(0.5f64.powi(16));
    let burst =
        |from_s: u32| (0..20u32).map(move |n| echo(victim(1), f64::from(from_s + n * 5), n as u8, 80));
    let told = found(thresholds, burst(1000).chain(burst(2000)).collect());
    let times: Vec<_> = told
        .iter()
        .map(|attack| {
            (attack.goes_on, attack.first_ns / SECOND_NS, attack.last_ns / SECOND_NS, attack.packets)
        })
        .collect();
    assert_eq!(
        times,
        [(true, 1000, 1060, 13), (false, 1000, 1095, 20), (true, 2000, 2060, 13), (false, 2000, 2095, 20)]
    );
    assert!(told.iter().all(|attack| attack.victim == ip && attack.ports == [(6, Some(80))]));
    assert_eq!(told[1].per_minute, 12);
}

#[test]
fn no_time_breaks_it() {
    let mut victims = Victims::new(Thresholds::of(1e-5));
    let mut told = Vec::new();
    for at_ns in [0, u64::MAX, 7, u64::MAX - 5, 1 << 50] {
        let one = Echo { victim: victim(1), hash: hash(victim(1)), at_ns, named: 3, protocol: 1, port: None };
        victims.take(&[one, one], at_ns, &KEY, &mut told);
    }
}
