//! Sessions of which the truth is known, made from a seed: what the book is measured and checked with.
//!
//! Each address has a history of its own that can be made again at any time, so that the truth about a hundred million
//! sessions takes no memory. Lines come and go as on an access network: half of the sessions last about a day (forced
//! reconnection), the others any time; half of the addresses are given again within ten seconds.

use std::net::{IpAddr, Ipv4Addr};

use noroshi_law::Vault;
use noroshi_wire::Given;
use serde::Serialize;

use crate::book::{Book, BookError};
use crate::look::{Brief, Rules};
use crate::row::{Row, Slot, Verdict};
use crate::segment::{Builder, DAY_S, Point, Segment};

/// Sessions of an address over all days, about.
pub const SESSIONS_PER_ADDRESS: u64 = 25;
/// How long the histories are.
pub const DAYS: i32 = 30;
/// Days since 1970 at which they begin: 2026-09-01.
const FIRST_DAY: i32 = 20_697;
/// 10.0.0.0 on: the addresses of the histories are nobody's.
const FIRST_ADDRESS: u32 = 10 << 24;
/// Addresses that one access server gives out.
const ADDRESSES_PER_SERVER: u64 = 16_384;

/// SplitMix64: small, seeded, and good enough for making up sessions.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed, and which of many sequences.
    pub fn new(seed: u64, sequence: u64) -> Self {
        Self(seed ^ sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(limit)) >> 64) as u64
    }

    /// Exponentially distributed, in whole seconds.
    pub fn exponential(&mut self, mean_s: f64) -> i64 {
        let uniform = (self.roll() >> 11) as f64 / (1u64 << 53) as f64;
        (-(1.0 - uniform).ln() * mean_s) as i64
    }
}

/// A made-up access network.
#[derive(Clone, Copy, Debug)]
pub struct World {
    seed: u64,
    addresses: u64,
}

impl World {
    /// With about so many sessions.
    pub fn new(seed: u64, sessions: u64) -> Self {
        Self { seed, addresses: (sessions / SESSIONS_PER_ADDRESS).clamp(1, 1 << 24) }
    }

    /// How many addresses it gives out, and how many lines there are.
    pub fn addresses(&self) -> u64 {
        self.addresses
    }

    /// The address of a number.
    pub fn address(&self, number: u64) -> IpAddr {
        Ipv4Addr::from(FIRST_ADDRESS.wrapping_add(number as u32)).into()
    }

    /// A moment within the histories.
    pub fn moment(&self, dice: &mut Dice) -> i64 {
        i64::from(FIRST_DAY) * DAY_S + dice.below((i64::from(DAYS) * DAY_S) as u64) as i64
    }

    /// When the histories begin and end, in seconds since 1970.
    pub fn period(&self) -> (i64, i64) {
        (i64::from(FIRST_DAY) * DAY_S, i64::from(FIRST_DAY + DAYS) * DAY_S)
    }

    /// The history of an address: sessions in order, apart from each other.
    pub fn history(&self, number: u64) -> impl Iterator<Item = Row> + use<> {
        let mut dice = Dice::new(self.seed, number + 1);
        let net = self.address(number).into();
        let slot = Slot::of(&Given { net, ports: None });
        let ends_s = i64::from(FIRST_DAY + DAYS) * DAY_S;
        let lines = self.addresses;
        let mut at_s = i64::from(FIRST_DAY) * DAY_S + dice.exponential(14_000.0);
        std::iter::from_fn(move || {
            let length_s = match dice.below(2) {
                0 => 86_000 + dice.below(800) as i64,
                _ => 30 + dice.exponential(90_000.0),
            };
            let gap_s = match dice.below(2) {
                // In the same second, too.
                0 => dice.below(10) as i64,
                _ => 1 + dice.exponential(28_000.0),
            };
            let (start_s, end_s) = (at_s, at_s + length_s);
            at_s = end_s + gap_s;
            let row = Row {
                slot,
                start_s,
                end_s,
                gone_s: end_s,
                line: dice.below(lines) as u32,
                server: (number / ADDRESSES_PER_SERVER) as u32,
                start_doubt_s: 0,
                end_doubt_s: 0,
            };
            (end_s < ends_s).then_some(row)
        })
    }

    /// Who held an address, by its history: the line, and the seconds to the nearest border of any session.
    pub fn truth(&self, number: u64, at_s: i64) -> (Option<u32>, i64) {
        let (mut holder, mut margin_s) = (None, i64::MAX);
        for row in self.history(number) {
            margin_s = margin_s.min((at_s - row.start_s).abs()).min((at_s - row.end_s).abs());
            if row.start_s <= at_s && at_s <= row.end_s {
                holder = Some(row.line);
            }
            if row.start_s > at_s {
                break;
            }
        }
        (holder, margin_s)
    }

    /// All histories as day segments.
    fn segments(&self, progress: &dyn Fn(u64)) -> Vec<Segment> {
        let mut builders: Vec<Builder> = (0..DAYS).map(|day| Builder::new(FIRST_DAY + day)).collect();
        let mut rows: Vec<Vec<Row>> = vec![Vec::new(); DAYS as usize];
        for number in 0..self.addresses {
            for row in self.history(number) {
                rows[(row.gone_s / DAY_S) as usize - FIRST_DAY as usize].push(row);
            }
            for (rows, builder) in rows.iter_mut().zip(&mut builders) {
                rows.drain(..).for_each(|row| builder.push(&row));
            }
            if number.is_multiple_of(1 << 14) {
                progress(number * SESSIONS_PER_ADDRESS);
            }
        }
        builders.into_iter().map(Builder::finish).collect()
    }
}

/// What a run measured. Times are of one thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Sessions in the book.
    pub sessions: u64,
    /// Look-ups of each kind.
    pub lookups: u64,
    /// Bytes on disk, names included.
    pub bytes_per_session: f64,
    /// Bytes of segments and names in memory.
    pub memory_per_session: f64,
    /// One after another, at random.
    pub lookups_per_s: f64,
    /// A million at a time, sorted by the book.
    pub batched_per_s: f64,
    /// 99 of 100 look-ups take at most so long.
    pub p99_us: f64,
    /// Somebody named who did not hold it, or nobody where somebody did, or the other way round.
    pub wrong: u64,
    /// Refused: nobody can say.
    pub ambiguous: u64,
}

/// Look-ups at once in the batched part.
const BATCH: usize = 1 << 20;
/// Look-ups that are timed each.
const TIMED: u64 = 200_000;

/// A moment of a monotonic clock, in seconds. The book has none of its own.
pub type Stopwatch<'a> = &'a dyn Fn() -> f64;

/// Makes a world and its book in an empty folder.
pub fn build(
    folder: &std::path::Path,
    vault: std::sync::Arc<Vault>,
    world: &World,
    progress: &dyn Fn(u64),
) -> Result<(), BookError> {
    let mut book = Book::open(folder, vault)?;
    for line in 0..world.addresses() {
        book.lines.number(format!("Lline-{line:08}").as_bytes()).ok_or(BookError::Full)?;
    }
    for server in 0..world.addresses().div_ceil(ADDRESSES_PER_SERVER) {
        book.servers.number(format!("192.0.2.{server}").as_bytes()).ok_or(BookError::Full)?;
    }
    book.fill(world.segments(progress))
}

/// Questions about a world, at random.
#[derive(Debug)]
pub struct Questions(Vec<(Point, i64)>);

impl Questions {
    /// So many.
    pub fn new(world: &World, count: usize) -> Self {
        let mut dice = Dice::new(world.seed, 1);
        let mut one =
            || (Point::new(world.address(dice.below(world.addresses)), None), world.moment(&mut dice));
        Self((0..count).map(|_| one()).collect())
    }

    /// Asks them one after another. Tells how many were answered with a line.
    pub fn one_by_one(&self, book: &Book) -> usize {
        let border_s = Rules::BORDER_S;
        let answers = self.0.iter().map(|(point, at_s)| book.judge(*point, *at_s, border_s));
        answers.filter(|verdict| matches!(verdict, Verdict::One(..))).count()
    }

    /// Asks them all at once.
    pub fn together(&self, book: &Book) -> usize {
        let answers = book.judge_all(&self.0, Rules::BORDER_S);
        answers.iter().filter(|brief| matches!(brief, Brief::One(..))).count()
    }
}

/// Asks the book of a world `lookups` questions of each kind, and holds every answer against the truth.
pub fn measure(book: &Book, world: &World, lookups: u64, border_s: i64, watch: Stopwatch<'_>) -> Measured {
    let stats = book.stats();
    let mut measured = Measured {
        sessions: stats.closed,
        lookups,
        bytes_per_session: stats.disk_bytes as f64 / stats.closed.max(1) as f64,
        memory_per_session: stats.bytes as f64 / stats.closed.max(1) as f64,
        ..Measured::default()
    };
    let mut dice = Dice::new(world.seed, 0);
    let (mut single_s, mut batched_s, mut left) = (0.0, 0.0, lookups);
    let mut said: Vec<Verdict> = Vec::with_capacity(BATCH);
    while left > 0 {
        let count = left.min(BATCH as u64);
        left -= count;
        let asked: Vec<(u64, i64)> =
            (0..count).map(|_| (dice.below(world.addresses), world.moment(&mut dice))).collect();
        let points: Vec<(Point, i64)> =
            asked.iter().map(|(number, at)| (Point::new(world.address(*number), None), *at)).collect();
        said.clear();
        let begun = watch();
        said.extend(points.iter().map(|(point, at)| book.judge(*point, *at, border_s)));
        single_s += watch() - begun;
        let begun = watch();
        let batched = book.judge_all(&points, border_s);
        batched_s += watch() - begun;
        for (((number, at_s), said), batched) in asked.iter().zip(&said).zip(&batched) {
            let (holder, margin_s) = world.truth(*number, *at_s);
            let right = match said {
                Verdict::Ambiguous(_) => margin_s <= border_s,
                Verdict::One(row, margin) => {
                    holder == Some(row.line) && *margin == margin_s && margin_s > border_s
                }
                Verdict::None => holder.is_none() && margin_s > border_s,
            };
            measured.wrong += u64::from(!right || Brief::of(said) != *batched);
            measured.ambiguous += u64::from(matches!(said, Verdict::Ambiguous(_)));
        }
    }
    measured.lookups_per_s = lookups as f64 / single_s;
    measured.batched_per_s = lookups as f64 / batched_s;
    measured.p99_us = p99_us(book, world, border_s, &mut dice, watch);
    measured
}

fn p99_us(book: &Book, world: &World, border_s: i64, dice: &mut Dice, watch: Stopwatch<'_>) -> f64 {
    let mut each: Vec<f64> = (0..TIMED)
        .map(|_| {
            let point = Point::new(world.address(dice.below(world.addresses)), None);
            let at_s = world.moment(dice);
            let begun = watch();
            std::hint::black_box(book.judge(point, at_s, border_s));
            watch() - begun
        })
        .collect();
    each.sort_by(f64::total_cmp);
    each[each.len() * 99 / 100] * 1e6
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_made_up_world_is_answered_without_a_wrong_answer() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Arc::new(Vault::new(&[3; 32]));
        let from_env = |name: &str, usual| std::env::var(name).map_or(usual, |n| n.parse().unwrap());
        let world = World::new(7, from_env("NOROSHI_TEST_SESSIONS", 50_000));
        build(folder.path(), Arc::clone(&vault), &world, &|_| ()).unwrap();
        let book = Book::open(folder.path(), vault).unwrap();
        assert_eq!(book.verify().unwrap(), book.stats().closed);
        let cpu = || {
            let time = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap();
            time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
        };
        let lookups = from_env("NOROSHI_TEST_LOOKUPS", 200_000);
        let measured = measure(&book, &world, lookups, 5, &cpu);
        assert!(measured.sessions > 40_000, "{measured:?}");
        assert_eq!(measured.wrong, 0, "{measured:?}");
        assert!(measured.ambiguous > 0 && measured.ambiguous < lookups / 100, "{measured:?}");
        println!("{measured:?}");
    }
}
