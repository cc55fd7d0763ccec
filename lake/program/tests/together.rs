//! Senders that move together: botnets in a lake of a day among senders that are not told anything, and a day without any.
//!
//! `NOROSHI_TEST_SIGNS=1` makes the day of more than a million rows, and prints what was found; `NOROSHI_TEST_SEED` makes another.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use noroshi_lake::{Lake, MinuteRow, Numbers};
use serde_json::Value;

/// 2026-11-26 in days since 1970.
const DAY: i64 = 20_783;
/// 2026-05-27.
const EARLY: i64 = 20_600;

/// Numbers by chance, the same for the same seed: splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }
}

/// A botnet on one or more ports.
#[derive(Clone)]
struct Bots {
    ports: Vec<u16>,
    size: usize,
    /// How probably a bot obeys a command.
    follow: f64,
    /// Minutes for which it waits before it does, at most.
    wait: usize,
}

/// A day: of each port so many senders that are not told anything.
struct World {
    ports: Vec<u16>,
    senders: usize,
    bots: Vec<Bots>,
    /// Scanners that go over all ports, several times.
    sweepers: usize,
    /// Of each port, scanners that a clock starts each hour, each at a minute of its own.
    hourly: usize,
}

struct Sent<'a> {
    day: i64,
    source: IpAddr,
    tool: Option<&'static str>,
    rows: &'a mut Vec<MinuteRow>,
}

impl Sent<'_> {
    /// A session: of some minutes, or of up to an hour.
    fn session(&mut self, dice: &mut Dice, port: u16, begin: usize) {
        let length = 1 + dice.below(60);
        let mut minute = begin;
        while minute < (begin + length).min(1440) {
            self.rows.push(MinuteRow {
                minute: self.day * 1440 + minute as i64,
                source: self.source,
                protocol: 6,
                destination_port: Some(port),
                icmp: None,
                flags: Some(2),
                class: "scanner",
                tool: self.tool,
                country: Some(*b"JP"),
                packets: 1 + dice.below(5) as u32,
            });
            minute += 4 + dice.below(10);
        }
    }
}

/// Everybody has a rhythm of the day; who is told nothing has some sessions of his own.
fn rhythm(dice: &mut Dice, strength: f64) -> usize {
    loop {
        let minute = dice.below(1440);
        let day = (std::f64::consts::TAU * minute as f64 / 1440.0).sin();
        if dice.unit() < (1.0 + strength * day) / (1.0 + strength) {
            return minute;
        }
    }
}

fn bot(net: usize, n: usize) -> IpAddr {
    Ipv4Addr::from(0x6400_0000 + (net as u32) * 65_536 + n as u32).into()
}

/// The rows of a day.
fn rows(dice: &mut Dice, day: i64, world: &World) -> Vec<MinuteRow> {
    let mut rows = Vec::new();
    for port in &world.ports {
        let strength = dice.unit() * 0.6;
        for n in 0..world.senders {
            let source = Ipv4Addr::from(0x0900_0000 + u32::from(*port) * 4096 + n as u32).into();
            let tool = [None, Some("zmap"), Some("masscan")][dice.below(3)];
            let mut sent = Sent { day, source, tool, rows: &mut rows };
            for _ in 0..4 + dice.below(12) {
                let begin = rhythm(dice, strength);
                sent.session(dice, *port, begin);
            }
        }
        for n in 0..world.hourly {
            let source = Ipv4Addr::from(0x7800_0000 + u32::from(*port) * 4096 + n as u32).into();
            let minute = dice.below(60);
            for hour in 0..24 {
                Sent { day, source, tool: None, rows: &mut rows }.session(dice, *port, hour * 60 + minute);
            }
        }
    }
    for n in 0..world.sweepers {
        let source = Ipv4Addr::from(0x0800_0000 + n as u32).into();
        for _ in 0..4 {
            let begin = dice.below(1200);
            for (turn, port) in world.ports.iter().enumerate() {
                Sent { day, source, tool: Some("zmap"), rows: &mut rows }.session(
                    dice,
                    *port,
                    begin + turn * 200 / world.ports.len(),
                );
            }
        }
    }
    for (net, bots) in world.bots.iter().enumerate() {
        let commands: Vec<usize> = (0..6 + dice.below(7)).map(|_| dice.below(1420)).collect();
        for n in 0..bots.size {
            let mut sent = Sent { day, source: bot(net, n), tool: Some("mirai"), rows: &mut rows };
            for command in &commands {
                if dice.unit() < bots.follow {
                    let begin = command + dice.below(bots.wait + 1);
                    bots.ports.iter().for_each(|port| sent.session(dice, *port, begin));
                }
            }
            for _ in 0..dice.below(4) {
                let begin = dice.below(1440);
                sent.session(dice, bots.ports[0], begin);
            }
        }
    }
    rows
}

fn fill(folder: &Path, day: i64, rows: Vec<MinuteRow>) -> usize {
    let lake = Lake::open(folder).unwrap();
    let writer = lake.writer().unwrap();
    let (all, number) = (rows.len(), u64::try_from(day).unwrap());
    let mut batch = writer.batch::<MinuteRow>("north".parse().unwrap(), Numbers::one(number));
    rows.into_iter().for_each(|row| batch.push(row).unwrap());
    batch.commit().unwrap();
    all
}

fn run(folder: &Path, args: &[&str]) -> (String, f64) {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_noroshi-lake"))
        .arg("--lake")
        .arg(folder)
        .args(args)
        .args(["--purpose", "a test", "--by", "aoki"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), start.elapsed().as_secs_f64())
}

fn groups(folder: &Path, day: &str, more: &[&str]) -> (Vec<Value>, f64) {
    let (said, seconds) = run(folder, &[&["together", "--day", day, "--json"], more].concat());
    let groups = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["group"].clone());
    (groups.collect(), seconds)
}

fn members(group: &Value) -> BTreeSet<IpAddr> {
    group["addresses"].as_array().unwrap().iter().map(|ip| ip.as_str().unwrap().parse().unwrap()).collect()
}

/// Prints what was found of each botnet; gives back those that were found, and groups that are none of them.
fn judge(world: &World, found: &[Value]) -> (usize, usize) {
    let mut right = BTreeSet::new();
    let mut nets = 0;
    for (net, bots) in world.bots.iter().enumerate() {
        let truth: BTreeSet<IpAddr> = (0..bots.size).map(|n| bot(net, n)).collect();
        let is_it = |group: &&Value| members(group).intersection(&truth).count() * 2 > members(group).len();
        let best = found.iter().position(|group| is_it(&group));
        let Some(at) = best else {
            println!("{:3} bots follow {:.0} %: not found", bots.size, bots.follow * 100.0);
            continue;
        };
        nets += 1;
        right.insert(at);
        right.extend(found.iter().enumerate().filter(|(_, group)| is_it(group)).map(|(at, _)| at));
        let who = members(&found[at]);
        let hits = who.intersection(&truth).count() as f64;
        println!(
            "{:3} bots of {} follow {:.0} %, wait up to {} min: members {:.0} %, right {:.0} %, on {} and {} more, share {:.1} %, agreement {:.0} %, from {}",
            bots.size,
            world.senders + bots.size,
            bots.follow * 100.0,
            bots.wait,
            hits / truth.len() as f64 * 100.0,
            hits / who.len() as f64 * 100.0,
            found[at]["port"],
            found[at]["also"].as_array().unwrap().len(),
            found[at]["share"].as_f64().unwrap() * 100.0,
            found[at]["agreement"].as_f64().unwrap() * 100.0,
            found[at]["first"],
        );
    }
    (nets, found.len() - right.len())
}

#[test]
fn botnets_of_a_day_are_told_and_nobody_on_a_day_without_any_or_by_clocks_only() {
    let many = std::env::var_os("NOROSHI_TEST_SIGNS").is_some();
    let seed = std::env::var("NOROSHI_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(100);
    let (dice, folder) = (&mut Dice(seed), tempfile::tempdir().unwrap());
    let net = |port: u16, size, follow, wait| Bots { ports: vec![port], size, follow, wait };
    let (ports, senders, days) = if many { (40, 700, 4) } else { (4, 200, 1) };
    let ports: Vec<u16> = (0..ports).map(|n| 1000 + n).collect();
    let three = Bots { ports: ports[1..4].to_vec(), size: 40, follow: 0.9, wait: 2 };
    let bots = if many {
        let sizes = [(14, 0.9), (35, 0.5), (35, 0.7), (35, 0.9), (140, 0.5), (140, 0.7), (350, 0.7)];
        let all = [0, 3].into_iter().flat_map(|wait| sizes.map(|(size, follow)| (size, follow, wait)));
        all.enumerate()
            .map(|(n, (size, follow, wait))| net(1010 + n as u16, size, follow, wait))
            .chain([three])
            .collect()
    } else {
        vec![net(1000, 40, 0.9, 0), three]
    };
    let mut world = World { ports, senders, bots, sweepers: 20, hourly: 0 };
    let all = fill(folder.path(), DAY, rows(dice, DAY, &world));
    let (found, seconds) = groups(folder.path(), "2026-11-26", &["--addresses"]);
    println!("{all} rows with {} botnets: {} groups in {seconds:.1} s", world.bots.len(), found.len());
    let (nets, wrong) = judge(&world, &found);
    assert!(wrong == 0, "{wrong} groups that are none");
    assert!(nets * 4 >= world.bots.len() * 3, "{nets} botnets of {}", world.bots.len());
    let three = found.iter().find(|group| !group["also"].as_array().unwrap().is_empty()).unwrap();
    assert_eq!(three["also"].as_array().unwrap().len(), 2, "one botnet on three ports is told once: {three}");
    assert_eq!(three["tools"][0][0], "mirai");
    assert_eq!(three["countries"][0][0], "JP");
    assert!(all > 1_000_000 || !many, "{all}");

    world.bots.clear();
    let quiet: usize = (1..=days)
        .map(|day| {
            fill(folder.path(), DAY + day, rows(dice, DAY + day, &world));
            groups(folder.path(), &format!("2026-11-{}", 26 + day), &[]).0.len()
        })
        .sum();
    println!("{days} days without any: {quiet} groups");
    assert_eq!(quiet, 0);

    world.hourly = 40;
    fill(folder.path(), DAY + 10, rows(dice, DAY + 10, &world));
    let by_clock = groups(folder.path(), "2026-12-06", &[]).0;
    assert!(by_clock.is_empty(), "scanners that a clock starts each hour are no botnet: {}", by_clock.len());
}

#[test]
fn addresses_are_told_only_when_asked_for_and_of_one_port_only_that() {
    let (dice, folder) = (&mut Dice(7), tempfile::tempdir().unwrap());
    let net = |port: u16| Bots { ports: vec![port], size: 40, follow: 0.9, wait: 0 };
    let world =
        World { ports: vec![23, 80], senders: 100, bots: vec![net(23), net(80)], sweepers: 0, hourly: 0 };
    fill(folder.path(), DAY, rows(dice, DAY, &world));
    let day = ["together", "--day", "2026-11-26"];
    let words = run(folder.path(), &day).0;
    assert!(words.contains("tcp/23:") && words.contains("tcp/80:") && words.contains("mirai"), "{words}");
    assert!(!words.contains("100.0.0.") && !words.contains("100.1.0."), "{words}");
    let one = run(folder.path(), &[&day[..], &["--port", "tcp/80", "--addresses"]].concat()).0;
    assert!(!one.contains("tcp/23") && one.contains("\n  100.1.0."), "{one}");
    assert_eq!(run(folder.path(), &[&day[..], &["--port", "udp/80"]].concat()).0, "");
    assert_eq!(groups(folder.path(), "2026-11-26", &["--rows", "1"]).0.len(), 1);
    assert_eq!(groups(folder.path(), "2026-11-27", &[]).0.len(), 0, "nothing of it");
    let log = std::fs::read_to_string(folder.path().join("queries.jsonl")).unwrap();
    assert!(log.contains("together on 2026-11-26 on port 80, with addresses"), "{log}");
}

/// A botnet that grows by 8 % a day on a port of forty senders: by what is it told first?
#[test]
fn a_botnet_that_grows_is_told_by_its_moving_together_before_it_is_told_by_its_rise() {
    let many = std::env::var_os("NOROSHI_TEST_SIGNS").is_some();
    let worlds = if many { 5 } else { 1 };
    let seed = std::env::var("NOROSHI_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(100);
    let mut leads = Vec::new();
    for world in 0..worlds {
        let (dice, folder) = (&mut Dice(seed + world), tempfile::tempdir().unwrap());
        let (onset, days) = (40, 93);
        for day in 0..days {
            let size = if day < onset { 0 } else { (3.0 * 1.08f64.powi(day - onset)) as usize };
            let bots = vec![Bots { ports: vec![4000], size, follow: 0.8, wait: 2 }];
            let around = 38 + dice.below(5);
            let world = World { ports: vec![4000], senders: around, bots, sweepers: 0, hourly: 0 };
            let mut rows = rows(dice, EARLY + i64::from(day), &world);
            for port in 0..60u16 {
                for n in 0..40 + dice.below(9) as u32 {
                    let source = Ipv4Addr::from(0x3000_0000 + u32::from(port) * 4096 + n).into();
                    rows.push(MinuteRow { source, destination_port: Some(port), ..rows[0].clone() });
                }
            }
            fill(folder.path(), EARLY + i64::from(day), rows);
        }
        let date = |day: i32| {
            jiff::civil::date(2026, 5, 27).checked_add(jiff::Span::new().days(day)).unwrap().to_string()
        };
        run_compact(folder.path());
        let together =
            (onset..days).find(|day| !groups(folder.path(), &date(*day), &["--port", "4000"]).0.is_empty());
        let (rises, _) = run(folder.path(), &["rises", "--until", &date(days - 1), "--days", "53", "--json"]);
        let rise = rises
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["rise"]["key"] == "tcp/4000");
        let rise = rise.map(|line| (onset..days).find(|day| line["day"] == date(*day)).unwrap());
        // Forty senders and 160 bots are five times forty.
        let fivefold = onset + (160.0f64 / 3.0).ln().div_euclid(1.08f64.ln()) as i32 + 1;
        println!(
            "begins on day {onset}; together on {together:?}, rises on {rise:?}, five times the level on {fivefold}"
        );
        leads.extend(together.map(|day| fivefold - day));
        assert!(together.is_some_and(|day| rise.is_none_or(|rise| day <= rise)), "{together:?} {rise:?}");
    }
    leads.sort_unstable();
    println!("lead of together, days before five times the level: median {}", leads[leads.len() / 2]);
}

fn run_compact(folder: &Path) {
    let done = Command::new(env!("CARGO_BIN_EXE_noroshi-lake"))
        .arg("--lake")
        .arg(folder)
        .arg("compact")
        .output()
        .unwrap();
    assert!(done.status.success());
}
