//! Days of a telescope, arrival by arrival: what nobody should be told of, and what everybody should.

use std::net::{Ipv4Addr, Ipv6Addr};

use fastrand::Rng;

use super::*;

/// Seeded, so that every run sees the same.
struct Chance(Rng);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    fn part(&mut self) -> f64 {
        self.0.f64()
    }

    fn below(&mut self, end: u32) -> u32 {
        self.0.u32(..end)
    }

    /// The time to the next of what comes so often a second.
    fn wait_s(&mut self, rate: f64) -> f64 {
        -(1.0 - self.part()).ln() / rate
    }

    fn source(&mut self) -> IpAddr {
        Ipv4Addr::from(self.0.u32(..)).into()
    }
}

const DAY_S: f64 = 86_400.0;
const BEGUN_S: f64 = 1_767_225_600.0;

fn ns(at_s: f64) -> u64 {
    ((BEGUN_S + at_s) * 1e9) as u64
}

/// Feeds arrivals in their order.
fn fed(mut arrivals: Vec<(f64, u32, IpAddr)>) -> (Onsets<u32>, Vec<Campaign<u32>>) {
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut onsets = Onsets::default();
    let mut found = Vec::new();
    for (at_s, key, source) in arrivals {
        found.extend(onsets.add(key, source, ns(at_s)));
    }
    (onsets, found)
}

/// One that begins then and gains so many senders a minute each minute.
fn campaign(chance: &mut Chance, key: u32, from_s: f64, gain: f64) -> Vec<(f64, u32, IpAddr)> {
    // The n-th comes when gain/2 · minutes² is n.
    (0..400)
        .map(|n| (from_s + 60.0 * (2.0 * (f64::from(n) + chance.part()) / gain).sqrt(), key, chance.source()))
        .collect()
}

/// A day of 65,536 ports, each asked for at times by somebody who asks for all, and of 200 that are asked for always, more by day
/// than by night, more in some hours than in others.
fn day(chance: &mut Chance) -> Vec<(f64, u32, IpAddr)> {
    let mut arrivals = Vec::new();
    let (mut at_s, every_port) = (0.0, 65_536.0 * 0.1 / 60.0);
    while at_s < DAY_S {
        at_s += chance.wait_s(every_port);
        arrivals.push((at_s, chance.below(65_536), chance.source()));
    }
    for n in 0..200 {
        let most = 10.0 / f64::from(n + 1).powf(0.9);
        let hours: Vec<f64> = (0..25).map(|_| 0.7 + 0.6 * chance.part()).collect();
        let mut at_s = 0.0;
        while at_s < DAY_S {
            at_s += chance.wait_s(most);
            let of_day = 0.6 + 0.4 * (at_s / DAY_S * std::f64::consts::TAU).sin();
            if chance.part() < of_day * hours[(at_s / 3600.0) as usize] / 1.3 {
                arrivals.push((at_s, 100_000 + n, chance.source()));
            }
        }
    }
    arrivals
}

#[test]
fn a_day_of_noise_is_no_campaign_and_those_in_it_are_found_by_few_senders() {
    let mut chance = Chance::new(7);
    let mut arrivals = day(&mut chance);
    let (_, found) = fed(arrivals.clone());
    println!("{} arrivals, {} false campaigns", arrivals.len(), found.len());
    assert!(arrivals.len() > 9_000_000, "{} arrivals", arrivals.len());
    assert!(found.len() <= 1, "false campaigns in a day: {found:?}");
    let planted: Vec<_> =
        (0..40u32).map(|n| (200_000 + n, 1000.0 + f64::from(n) * 2000.0, 3.0 + f64::from(n))).collect();
    for (key, from_s, gain) in &planted {
        arrivals.extend(campaign(&mut chance, *key, *from_s, *gain));
    }
    let (onsets, found) = fed(arrivals);
    for (key, from_s, gain) in planted {
        let known = found.iter().find(|campaign| campaign.key == key).expect("every campaign is found");
        let after_s = (known.known_ns - ns(from_s)) as f64 / 1e9;
        // When twenty come within a minute; what grows so slowly that it takes longer is partly its own past by then.
        let twenty_s = 60.0 * 20.0 / gain;
        assert!(known.sources_known <= 20 && after_s <= twenty_s.max(60.0), "{gain}: {after_s} s, {known:?}");
        assert!(known.onset_ns + 20_000_000_000 > ns(from_s), "{known:?}");
        let told = onsets.going_on().into_iter().find(|campaign| campaign.key == key);
        assert!(
            told.is_some_and(|campaign| (340..=400).contains(&campaign.sources)),
            "its senders are counted"
        );
    }
    assert_eq!(found.len(), found.iter().map(|c| c.key).collect::<std::collections::BTreeSet<_>>().len());
}

#[test]
fn what_one_network_does_is_no_campaign() {
    let mut chance = Chance::new(1);
    let mut noise: Vec<_> =
        (0..2000).map(|n| (f64::from(n), chance.below(60_000), chance.source())).collect();
    let host = |n: u32| (1500.0 + f64::from(n) * 0.1, 7, IpAddr::from(Ipv4Addr::new(192, 0, 2, n as u8)));
    noise.extend((0..200).map(host));
    let v6 = |n: u32| {
        let ip = Ipv6Addr::from(0x2001_0db8u128 << 96 | u128::from(n));
        (1500.0 + f64::from(n) * 0.1, 8, IpAddr::from(ip))
    };
    noise.extend((0..200).map(v6));
    let (_, found) = fed(noise);
    assert_eq!(found, []);
}

#[test]
fn nothing_is_said_before_anything_is_known_of_a_usual_minute() {
    let mut chance = Chance::new(2);
    let early: Vec<_> = campaign(&mut chance, 7, 0.0, 60.0);
    assert_eq!(fed(early.into_iter().filter(|(at_s, ..)| *at_s < 590.0).collect()).1, []);
}

#[test]
fn one_that_is_over_ends_and_the_next_one_is_another() {
    let mut chance = Chance::new(3);
    let mut onsets = Onsets::default();
    let mut run = |onsets: &mut Onsets<u32>, from_s: f64| {
        let all = campaign(&mut chance, 7, from_s, 30.0);
        all.into_iter().filter_map(|(at_s, key, source)| onsets.add(key, source, ns(at_s))).count()
    };
    onsets.add(1, IpAddr::from([192, 0, 2, 1]), ns(0.0));
    assert_eq!(run(&mut onsets, 1000.0), 1);
    assert_eq!(onsets.ended(ns(2000.0)), []);
    let ended = onsets.ended(ns(9000.0));
    assert_eq!((ended.len(), ended[0].goes_on, ended[0].sources), (1, false, 400));
    assert_eq!((onsets.going_on(), run(&mut onsets, 60_000.0)), (vec![], 1));
}

#[test]
fn the_chance_is_that_of_a_negative_binomial_distribution() {
    // By summing the distribution with shape 2.5 and 1/(1 + 10): scipy.stats.nbinom.sf(k - 1, 2.5, 10 / 11).
    for (count, expected) in [(1u32, 0.212_01), (4, 5.5037e-4), (8, 8.6929e-8)] {
        let chance = chance_of(count, 2.0, 10.0);
        assert!((chance / expected - 1.0).abs() < 0.2 && chance >= expected * 0.999, "{count}: {chance}");
    }
    assert!(chance_of(1, 1000.0, 10.0) > 0.99, "as many as ever is no wonder");
}

#[test]
fn no_time_or_number_of_senders_breaks_it() {
    let mut onsets = Onsets::default();
    for at_ns in [0, u64::MAX, 5, u64::MAX - 1, 1 << 40] {
        for n in 0..70_000u32 {
            let _found = onsets.add(n % 3, Ipv4Addr::from(n << 12).into(), at_ns);
        }
        let _ended = onsets.ended(at_ns);
    }
}
