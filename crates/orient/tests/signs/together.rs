//! Botnets among independent sources, found by the default and by matrix factorisation.

use std::time::Instant;

use noroshi_orient::signs::together::groups;

use crate::world::Dice;

const SLOTS: usize = 96;

/// Packets by source and slot, the first `bots` of which follow commands.
struct Port {
    counts: Vec<u32>,
    bots: usize,
}

/// Everybody has a rhythm of the day of the same strength; sessions last one to four slots.
fn port(dice: &mut Dice, sources: usize, bots: usize, follow: f64) -> Port {
    let commands: Vec<usize> = (0..6 + dice.below(7)).map(|_| dice.below(SLOTS)).collect();
    let rhythm = dice.between(0.0, 0.6);
    let mut counts = vec![0; sources * SLOTS];
    for (source, row) in counts.chunks_mut(SLOTS).enumerate() {
        let session = |dice: &mut Dice, start: usize, row: &mut [u32]| {
            let end = (start + 1 + dice.below(4)).min(SLOTS);
            row[start..end].iter_mut().for_each(|count| *count += 1 + dice.poisson(2.0));
        };
        if source < bots {
            for command in &commands {
                if dice.unit() < follow {
                    session(dice, *command, row);
                }
            }
        }
        let own = if source < bots { dice.below(4) } else { 4 + dice.below(12) };
        for _ in 0..own {
            let start = loop {
                let start = dice.below(SLOTS);
                let day = (std::f64::consts::TAU * start as f64 / SLOTS as f64).sin();
                if dice.unit() < (1.0 + rhythm * day) / (1.0 + rhythm) {
                    break start;
                }
            };
            session(dice, start, row);
        }
    }
    Port { counts, bots }
}

/// Non-negative matrix factorisation by the multiplicative updates of Lee and Seung (2001), of the logarithms of counts. The
/// sources that a component explains for the most part are its group; its score is how much of the whole they have of it.
fn factorise(port: &Port) -> (f64, Vec<usize>) {
    const RANK: usize = 6;
    let (sources, dice) = (port.counts.len() / SLOTS, &mut Dice(1));
    let v: Vec<f64> = port.counts.iter().map(|count| f64::from(*count).ln_1p()).collect();
    let mut w: Vec<f64> = (0..sources * RANK).map(|_| dice.between(0.1, 1.0)).collect();
    let mut h: Vec<f64> = (0..RANK * SLOTS).map(|_| dice.between(0.1, 1.0)).collect();
    for _ in 0..100 {
        let (mut top, mut gram) = (vec![0.0; RANK * SLOTS], [[0.0; RANK]; RANK]);
        for (v, w) in v.chunks(SLOTS).zip(w.chunks(RANK)) {
            for k in 0..RANK {
                top[k * SLOTS..][..SLOTS].iter_mut().zip(v).for_each(|(top, v)| *top += w[k] * v);
                (0..RANK).for_each(|l| gram[k][l] += w[k] * w[l]);
            }
        }
        let old = h.clone();
        for k in 0..RANK {
            for slot in 0..SLOTS {
                let low: f64 = (0..RANK).map(|l| gram[k][l] * old[l * SLOTS + slot]).sum();
                h[k * SLOTS + slot] *= top[k * SLOTS + slot] / low.max(1e-9);
            }
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let row = |k: usize| &h[k * SLOTS..][..SLOTS];
        let gram: [[f64; RANK]; RANK] = std::array::from_fn(|k| std::array::from_fn(|l| dot(row(k), row(l))));
        for (v, w) in v.chunks(SLOTS).zip(w.chunks_mut(RANK)) {
            let old = w.to_vec();
            (0..RANK).for_each(|k| w[k] *= dot(row(k), v) / dot(&gram[k], &old).max(1e-9));
        }
    }
    let squares = |of: &[f64]| of.iter().map(|x| x * x).sum::<f64>();
    let component = |k: usize| {
        let norm = squares(&h[k * SLOTS..][..SLOTS]);
        let explains =
            |at: &usize| norm * w[at * RANK + k].powi(2) / squares(&v[at * SLOTS..][..SLOTS]).max(1e-9);
        let members: Vec<usize> = (0..sources).filter(|at| explains(at) > 0.5).collect();
        (members.iter().map(explains).sum::<f64>() / sources as f64, members)
    };
    (0..RANK).map(component).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default()
}

/// Share of bots in the group, and of the group that are bots.
fn recall_and_precision(port: &Port, group: &[usize]) -> (f64, f64) {
    let right = group.iter().filter(|source| **source < port.bots).count() as f64;
    (right / port.bots as f64, right / (group.len() as f64).max(1.0))
}

#[test]
fn bots_that_follow_commands_are_told_from_sources_that_do_not() {
    let many = std::env::var("NOROSHI_TEST_SIGNS").is_ok();
    let seed: u64 = std::env::var("NOROSHI_TEST_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(100);
    let dice = &mut Dice(seed);
    let (sources, quiet, each) = if many { (1000, 2000, 100) } else { (500, 100, 10) };
    let alarm = |port: &Port| !groups(&port.counts, SLOTS).unwrap().is_empty();
    let alarms = (0..quiet).filter(|_| alarm(&port(dice, sources, 0, 0.0))).count();
    println!("independent sources: {alarms} of {quiet} matrices have a group");
    assert!(alarms as f64 <= 0.005 * f64::from(quiet), "{alarms}");
    let limit = if many {
        let mut scores: Vec<f64> = (0..200).map(|_| factorise(&port(dice, sources, 0, 0.0)).0).collect();
        scores.sort_by(f64::total_cmp);
        scores[197]
    } else {
        f64::MAX
    };
    for (share, follow) in
        [(0.02, 0.9), (0.05, 0.5), (0.05, 0.7), (0.05, 0.9), (0.2, 0.5), (0.2, 0.7), (0.5, 0.7)]
    {
        let bots = (share * sources as f64) as usize;
        let (mut ours, mut factors) = ([0.0; 4], [0.0; 4]);
        let count = |figures: &mut [f64; 4], port: &Port, group: Option<Vec<usize>>, seconds: f64| {
            if let Some(group) = group {
                let (recall, precision) = recall_and_precision(port, &group);
                figures[0] += 1.0;
                figures[1] += recall;
                figures[2] += precision;
            }
            figures[3] += seconds;
        };
        for _ in 0..each {
            let port = port(dice, sources, bots, follow);
            let start = Instant::now();
            let found = groups(&port.counts, SLOTS).unwrap();
            count(&mut ours, &port, found.first().map(|g| g.sources.clone()), start.elapsed().as_secs_f64());
            if many {
                let start = Instant::now();
                let (score, group) = factorise(&port);
                count(&mut factors, &port, (score > limit).then_some(group), start.elapsed().as_secs_f64());
            }
        }
        let show = |name: &str, [found, recall, precision, seconds]: [f64; 4]| {
            let n = f64::from(each);
            let of = |sum: f64| 100.0 * sum / found.max(1.0);
            println!(
                "{:3.0} % bots follow {:2.0} %  {name:<8} found {:3.0} %  members {:3.0} %  right {:3.0} %  {:6.1} ms",
                100.0 * share,
                100.0 * follow,
                100.0 * found / n,
                of(recall),
                of(precision),
                1e3 * seconds / n
            );
        };
        show("links", ours);
        if many {
            show("factors", factors);
        }
        if share * follow >= 0.035 && sources >= 1000 || share >= 0.2 {
            assert!(ours[0] >= 0.9 * f64::from(each) && ours[2] >= 0.9 * ours[0], "{ours:?}");
        }
    }
}

/// A row by a clock: each so many minutes from a minute of its own on, some minutes early or late, some times not at all.
fn clockwork(dice: &mut Dice, minutes: usize, late: usize, row: &mut [u32]) {
    let own = dice.below(minutes);
    let missed = dice.between(0.0, 0.2);
    for strike in (own..1440).step_by(minutes) {
        if dice.unit() < missed {
            continue;
        }
        let begin = (strike + dice.below(2 * late + 1)).saturating_sub(late);
        let end = (begin + dice.below(60)).min(1439);
        row[begin / 15..=end / 15].iter_mut().for_each(|count| *count += 1);
    }
}

/// A port with so many bots and independent sources, and scanners by the clock in the last rows.
fn port_by_the_clock(dice: &mut Dice, bots: usize, clocks: usize, minutes: usize, late: usize) -> Port {
    let mut port = port(dice, 300 + bots, bots, 0.8);
    let mut rows = vec![0; clocks * SLOTS];
    rows.chunks_mut(SLOTS).for_each(|row| clockwork(dice, minutes, late, row));
    port.counts.extend(rows);
    port
}

#[test]
fn scanners_that_a_clock_starts_are_no_group_and_bots_beside_them_are() {
    let seed: u64 = std::env::var("NOROSHI_TEST_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(100);
    let each = if std::env::var("NOROSHI_TEST_SIGNS").is_ok() { 200 } else { 20 };
    for (minutes, late) in
        [(60, 0), (60, 3), (60, 7), (40, 2), (45, 2), (100, 2), (120, 3), (180, 3), (240, 3)]
    {
        let dice = &mut Dice(seed);
        let mut wrong = 0;
        let (mut found, mut right, mut members) = (0, 0.0, 0.0);
        for _ in 0..each {
            let quiet = port_by_the_clock(dice, 0, 80, minutes, late);
            wrong += groups(&quiet.counts, SLOTS).unwrap().len();
            let told = port_by_the_clock(dice, 40, 80, minutes, late);
            for group in groups(&told.counts, SLOTS).unwrap() {
                let (recall, precision) = recall_and_precision(&told, &group.sources);
                if precision < 0.5 {
                    wrong += 1;
                } else {
                    (found, right, members) = (found + 1, right + precision, members + recall);
                }
            }
        }
        let of = |sum: f64| 100.0 * sum / f64::from(found.max(1));
        println!(
            "80 scanners each {minutes} minutes, {late} early or late: {wrong} groups of {} ports; of {each} botnets {found}, members {:.0} %, right {:.0} %",
            2 * each,
            of(members),
            of(right)
        );
        assert!(wrong * 100 <= each as usize, "{wrong} groups that only a clock makes");
        assert!(
            f64::from(found) >= 0.9 * f64::from(each) && right >= 0.9 * f64::from(found),
            "{found} {right}"
        );
    }
}

/// Which is what cannot be told by beginnings alone.
#[test]
fn bots_that_beacon_by_one_clock_are_no_group_but_their_commands_are() {
    let dice = &mut Dice(3);
    let mut found = 0;
    for _ in 0..20 {
        let mut port = port(dice, 400, 40, 0.9);
        let beacons = |counts: &mut [u32]| {
            for row in counts.chunks_mut(SLOTS).take(40) {
                (2..SLOTS).step_by(8).for_each(|slot| row[slot] += 1);
            }
        };
        let mut only = Port { counts: port.counts.clone(), bots: 40 };
        only.counts[..40 * SLOTS].fill(0);
        beacons(&mut only.counts);
        assert_eq!(groups(&only.counts, SLOTS).unwrap(), []);
        beacons(&mut port.counts);
        for group in groups(&port.counts, SLOTS).unwrap() {
            let (recall, precision) = recall_and_precision(&port, &group.sources);
            assert!(recall > 0.2 && precision > 0.9, "{recall} {precision}");
            found += 1;
        }
    }
    println!("{found} of 20 botnets with commands beside a clock");
    assert!(found >= 12, "{found}");
}

#[test]
fn whatever_the_matrix_nothing_breaks() {
    assert!(groups(&[], 10).unwrap().is_empty());
    assert!(groups(&[1; 10], 0).is_err());
    assert!(groups(&[1; 10], 3).is_err());
    assert!(groups(&[1; 300], 300).is_err());
    assert!(groups(&vec![1; 3000 * 10], 10).is_err());
    assert!(groups(&vec![u32::MAX; 2048 * 144], 144).unwrap().is_empty());
    // Pauses of one slot and of two, by no clock.
    let slots: Vec<usize> = (0..60).map(|n| 2 * n + n * n % 23).filter(|slot| *slot < 144).collect();
    let row: Vec<u32> = (0..144).map(|slot| u32::from(slots.contains(&slot))).collect();
    let alike = row.repeat(2048);
    let start = Instant::now();
    let found = groups(&alike, 144).unwrap();
    println!("2,048 sources in 144 slots: {:.0} ms", 1e3 * start.elapsed().as_secs_f64());
    assert_eq!(found.len(), 1, "all of them");
    assert_eq!(found[0].sources.len(), 2048);
    assert!(groups(&alike[..144], 144).unwrap().is_empty());
    assert!(groups(&alike[..2048], 1).unwrap().is_empty());
    let alternate: Vec<u32> = (0..2048 * 144).map(|n| n % 2).collect();
    assert_eq!(groups(&alternate, 144).unwrap(), [], "by a clock");
    let dice = &mut Dice(7);
    for _ in 0..200 {
        let (sources, slots, active) = (dice.below(200), 1 + dice.below(144), dice.unit());
        let mut count = || if dice.unit() < active { dice.next() as u32 } else { 0 };
        let counts: Vec<u32> = (0..sources * slots).map(|_| count()).collect();
        let found = groups(&counts, slots).unwrap();
        assert!(found.iter().all(|group| group.score > 0.0 && group.sources.len() <= sources), "{found:?}");
    }
}
