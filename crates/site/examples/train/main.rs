//! Makes the table of weights anew and says how good it is, source by source:
//! `cargo run --release --example train -- FOLDER [OUT]`, where FOLDER holds the unpacked packages. `cargo xtask site-train`
//! fetches them and calls this.
//!
//! Nothing that is measured was learned from: of bad names the judge's list and, in the rows that leave one source out, that
//! source; of popular names CrUX. And no registered domain is on both sides, since one campaign is in many lists.

mod lists;
mod regress;

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hashbrown::HashSet;
use lists::{FROM, Lists, Source};
use noroshi_site::model::{Cuts, Table};
use noroshi_site::parts::{Parts, registered};
use noroshi_site::popular::Popular;
use noroshi_site::signs::{self, Kind, Letters, Lore, Sign};
use noroshi_site::words::Words;
use regress::{Example, Pace};

/// Popular names that are learned from at most, of each source.
const GOOD_MAX: usize = 250_000;
/// Bad names that are learned from at most, of those where anybody has a site.
const HOSTED_MAX: usize = 3_000;
/// Sources whose log-odds the weights are scaled to.
const CALIBRATE: [&str; 2] = ["scam", "urlhaus"];
/// Of several that were tried, no other did better by much; this one leaves the smallest table.
const PACE: Pace = Pace { alpha: 0.05, beta: 1.0, l1: 2.0, l2: 10.0, rounds: 4 };
/// How often a sign has to be in the names that are learned from.
const SEEN_MIN: u32 = 8;

struct Data {
    lists: Lists,
    lore: Lore,
    random: fastrand::Rng,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().context("usage: train FOLDER [OUT]")?);
    let lists = Lists::read(&folder)?;
    for source in lists.bad.iter().chain(&lists.good) {
        eprintln!("{:>22} {:>8} names", source.name, source.names.len());
    }
    let letters = letters(&lists)?;
    let popular = Popular::of(lists.popular.iter().map(String::as_str));
    let mut data = Data {
        lore: Lore { popular, letters, words: Words::default() },
        lists,
        random: fastrand::Rng::with_seed(7),
    };
    let learned = train(&mut data, &FROM)?;
    if let Some(out) = args.next() {
        std::fs::write(&out, body(&data, &learned)).with_context(|| format!("writing {out}"))?;
    }
    let good = popular_scores(&data, &learned)?;
    println!(
        "popular names that were not learned from: {} of CrUX; none of their registered domains was in anything learned",
        good.len()
    );
    for source in data.lists.bad.iter().filter(|source| !FROM.contains(&source.name)) {
        measure(source.name, &scores(&source.names, &data.lore, &learned), &good);
    }
    for left_out in FROM {
        let others: Vec<&str> = FROM.into_iter().filter(|name| *name != left_out).collect();
        let learned = train(&mut data, &others)?;
        let good = popular_scores(&data, &learned)?;
        let names = &source(&data.lists.bad, left_out)?.names;
        measure(&format!("{left_out}, left out"), &scores(names, &data.lore, &learned), &good);
    }
    Ok(())
}

fn body(data: &Data, learned: &Learned) -> String {
    let weights: Vec<_> = learned.weights.iter().map(|(sign, weight)| (sign.clone(), *weight)).collect();
    let (letters, popular) = (&data.lore.letters, data.lists.popular.as_slice());
    Table { base: learned.base, cuts: learned.cuts, weights: &weights, letters, popular }.body()
}

/// Of Tranco's names that are not in CrUX.
fn letters(lists: &Lists) -> Result<Letters> {
    let seen: HashSet<&str> =
        source(&lists.good, "crux")?.names.iter().map(|name| registered(name)).collect();
    let names = source(&lists.good, "tranco")?.names.iter().filter(|name| !seen.contains(registered(name)));
    Ok(Letters::of(names.map(|name| Parts::of(name).core)))
}

fn source<'a>(sources: &'a [Source], name: &str) -> Result<&'a Source> {
    sources.iter().find(|source| source.name == name).with_context(|| format!("no source {name}"))
}

struct Learned {
    weights: HashMap<Sign, f32>,
    base: f32,
    cuts: Cuts,
}

impl Learned {
    fn score(&self, name: &str, lore: &Lore) -> f32 {
        let signs = signs::of_name(name, lore);
        self.base + signs.iter().filter_map(|sign| self.weights.get(sign)).sum::<f32>()
    }
}

/// Learns from some sources, calibrates on others.
fn train(data: &mut Data, from: &[&str]) -> Result<Learned> {
    let held: HashSet<&str> = data
        .lists
        .good
        .iter()
        .filter(|source| source.name == "crux")
        .chain(data.lists.bad.iter().filter(|source| !from.contains(&source.name)))
        .flat_map(|source| source.names.iter().map(|name| registered(name)))
        .collect();
    let fresh = |name: &&String| !held.contains(registered(name));
    let bad: HashSet<&String> = data
        .lists
        .bad
        .iter()
        .filter(|source| from.contains(&source.name))
        .flat_map(|source| source.names.iter().filter(fresh))
        .collect();
    let mut good: Vec<&String> = Vec::new();
    for source in data.lists.good.iter().filter(|source| source.name != "crux") {
        let mut names: Vec<_> = source
            .names
            .iter()
            .filter(|name| !held.contains(registered(name)) && !bad.contains(name))
            .collect();
        data.random.shuffle(&mut names);
        names.truncate(GOOD_MAX);
        good.extend(names);
    }
    let mut bad: Vec<&String> = bad.into_iter().collect();
    bad.sort();
    // Where anybody has a site there are more bad ones than the popular names show: they would drown the rest.
    let (mut strange, mut bad): (Vec<&String>, Vec<&String>) =
        bad.into_iter().partition(|name| Parts::of(name).hosted);
    data.random.shuffle(&mut strange);
    strange.truncate(HOSTED_MAX);
    bad.extend(strange);
    // A tenth of the popular names is kept to calibrate with.
    data.random.shuffle(&mut good);
    let kept = good.split_off(good.len() * 9 / 10);
    eprintln!("learning from {} bad and {} popular names", bad.len(), good.len());
    let (examples, all) = examples(&bad, &good, &data.lore);
    let held: Vec<f32> = all.iter().map(|sign| if sign.kind == Kind::Fragment { 1.0 } else { 0.3 }).collect();
    let weights = regress::learn(&examples, all.len(), &held, &PACE, &mut data.random);
    let base = weights[all.len()];
    let weights = all.into_iter().zip(weights).filter(|(_, weight)| weight.abs() >= 0.005).collect();
    let raw = Learned { weights, base, cuts: Cuts { watch: 0.0, act: 0.0 } };
    calibrated(data, raw, &kept)
}

fn examples(bad: &[&String], good: &[&String], lore: &Lore) -> (Vec<Example>, Vec<Sign>) {
    let names = || bad.iter().map(|name| (*name, true)).chain(good.iter().map(|name| (*name, false)));
    let mut counts: HashMap<Sign, u32> = HashMap::new();
    for (name, is_bad) in names() {
        // Bad names are fewer: what is in some of them counts as much.
        signs::of_name(name, lore)
            .into_iter()
            .for_each(|sign| *counts.entry(sign).or_default() += if is_bad { 2 } else { 1 });
    }
    let mut all: Vec<Sign> =
        counts.into_iter().filter(|(_, count)| *count >= SEEN_MIN).map(|(sign, _)| sign).collect();
    all.sort();
    let number: HashMap<&Sign, u32> = all.iter().zip(0..).collect();
    let examples = names()
        .map(|(name, bad)| {
            let signs = signs::of_name(name, lore);
            Example {
                signs: signs.iter().filter_map(|sign| number.get(sign).copied()).collect(),
                bad,
                weight: 1.0,
            }
        })
        .collect();
    (examples, all)
}

/// Scales the weights so that the log-odds are those of sources that were not learned from, and sets the cuts there.
fn calibrated(data: &Data, raw: Learned, good: &[&String]) -> Result<Learned> {
    let bad = data.lists.bad.iter().filter(|source| CALIBRATE.contains(&source.name));
    let bad = bad.flat_map(|source| &source.names).map(|name| (raw.score(name, &data.lore), true));
    let scores: Vec<(f32, bool)> =
        bad.chain(good.iter().map(|name| (raw.score(name, &data.lore), false))).collect();
    let (a, b) = regress::platt(&scores);
    eprintln!("calibrated: {a:.3} x + {b:.3}");
    let mut of_good: Vec<f32> =
        scores.iter().filter(|(_, bad)| !bad).map(|(score, _)| a * score + b).collect();
    of_good.sort_by(|x, y| y.total_cmp(x));
    ensure!(a > 0.0, "what was learned does not hold for {CALIBRATE:?}");
    Ok(Learned {
        base: a * raw.base + b,
        weights: raw.weights.into_iter().map(|(sign, weight)| (sign, a * weight)).collect(),
        cuts: Cuts { watch: of_good[of_good.len() / 100], act: of_good[of_good.len() / 1000] },
    })
}

fn scores(names: &[String], lore: &Lore, learned: &Learned) -> Vec<f32> {
    names.iter().map(|name| learned.score(name, lore)).collect()
}

/// Scores of CrUX, the highest first.
fn popular_scores(data: &Data, learned: &Learned) -> Result<Vec<f32>> {
    let mut good = scores(&source(&data.lists.good, "crux")?.names, &data.lore, learned);
    good.sort_by(|a, b| b.total_cmp(a));
    Ok(good)
}

fn measure(name: &str, bad: &[f32], good: &[f32]) {
    let above = |value: f32| good.partition_point(|score| *score > value) as f64 / good.len() as f64;
    let auc = 1.0 - bad.iter().map(|score| above(*score)).sum::<f64>() / bad.len() as f64;
    print!("{name:>26} {:>6}  AUC {auc:.3}", bad.len());
    for share in [0.01, 0.001, 0.0001] {
        let cut = good[(good.len() as f64 * share) as usize];
        let found = bad.iter().filter(|score| **score > cut).count() as f64 / bad.len() as f64;
        print!("  at {} % {:5.1} %", share * 100.0, found * 100.0);
    }
    println!();
}
