//! Slow rises: a port that a few more senders knock on each day, weeks before anybody gives the worm a name.
//!
//! A day's count alone says little: most ports are near zero, many are noisy, some have weeks, spikes and scanners that come
//! to stay. What sets a spreading worm apart is the shape: counts that bend upward on one day and go on rising. So for
//! each key the last eight weeks are kept, and each day two shapes are fitted to their logarithms: a level with a ramp at
//! its end, which is exponential growth, and a level with a jump. A key rises where the ramp explains far more than a level
//! does *and* more than the best jump; scanners that come to stay jump. A day weighs as much as its count is certain: counts are
//! taken for negative binomial, with the key's own dispersion, so that a level near zero is known better than what is noisy.
//!
//! ```text
//!   counts of a day ──▶ less what a sweep added, by the share of the sensor that worked ──▶ ln(count + 6) ──▶ spikes cut ──▶ weighed
//!       ramp against level, in noise²  ≥ RAMP_MIN ┐
//!       ramp against jump, in noise²   ≥ JUMP_MIN ├──▶ Rise
//!       growth, rise and senders that matter      │
//!       the last days keep up with the ramp       ┘
//! ```
//!
//! Fitting ramps and jumps at every place is the generalised likelihood ratio of Basseville and Nikiforov, "Detection of
//! Abrupt Changes" (1993), with normal noise. What grows faster than [`GROWTH_MAX`] is not slow, and others see it sooner.

use std::hash::Hash;

use hashbrown::HashMap;
use serde::Serialize;

/// Days that are kept of a key.
pub const DAYS: usize = 56;
/// Days with a working sensor before anything is said.
pub const DAYS_MIN: usize = 28;
/// A key that was told is not told again for so many days.
pub const QUIET_DAYS: u32 = 28;

/// Growth a day at most, as a logarithm.
pub const GROWTH_MAX: f64 = 0.24;

/// Growth a day at least, as a logarithm.
const GROWTH_MIN: f64 = 0.028;
/// Rise along the ramp at least, as a logarithm: times 2.5, of counts that are large beside [`OFFSET`].
const RISE_MIN: f64 = 0.9;
/// Senders a day at the end of the ramp at least: fewer are not worth anybody's time.
const SENDERS_MIN: f64 = 11.0;
/// What the ramp explains at least that a level does not, in squares of the noise.
const RAMP_MIN: f64 = 16.0;
/// What the ramp explains at least that the best jump does not, in squares of the noise. Most of the wrong alerts are jumps, so
/// this is what decides between more found and fewer wrong.
const JUMP_MIN: f64 = 0.7;
/// The days on which a ramp must not fall far behind, and by how much of the noise together: what came and goes does.
const LAST: (usize, f64) = (3, 1.5);
/// Days for which a ramp may have lasted.
const RAMPS: [usize; 9] = [8, 10, 12, 14, 16, 20, 25, 31, 40];
/// Added to a count before its logarithm is taken: the noise of small counts becomes alike, and small differences silent.
const OFFSET: f64 = 6.0;
/// The noise of a day's logarithm is believed to be at least this where spikes are cut: the most that a Poisson count has, that of
/// [`OFFSET`].
const NOISE_MIN: f64 = 0.21;
/// The variance of a day's logarithm is believed to be at least this, half of that: the shape of a key is not known well.
const VARIANCE_MIN: f64 = 0.022;
/// Variance of a large count's logarithm, which is one to the shape of a negative binomial, at least and at most.
const DISPERSION: (f64, f64) = (0.1, 1.0);
/// Senders on one of the last days at least: with fewer on each, no ramp that they keep up with ends at [`SENDERS_MIN`].
const LATELY_MIN: f64 = 5.0;
/// Days over which the noise may have become more.
const LATELY: usize = 14;
/// The part of the noise lately that counts, as few days know it badly.
const LATELY_PART: f64 = 0.75;
/// How far a day may be from the median of the five days around it, in standard deviations.
const SPIKE: f64 = 1.5;
/// Keys with a mean root of so much, 20 senders a day, say which share of the sensor worked.
const STEADY_ROOT_MIN: f64 = 72.0;
/// So many such keys at least; else the sensor is believed to be whole.
const STEADY_KEYS_MIN: usize = 32;
/// So many keys at least tell a scanner that went over all of them.
const SWEPT_MIN: usize = 1000;
/// A day with a smaller share of the sensor is no day.
const SHARE_MIN: f64 = 0.1;
/// A share from this to its inverse is the whole sensor.
const SHARE_NEAR: f64 = 0.8;

/// A key whose count rises.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rise<K> {
    /// The key.
    pub key: K,
    /// Days since the rise began, about.
    pub days: usize,
    /// Senders a day before.
    pub before: f64,
    /// Senders a day now.
    pub now: f64,
    /// Growth a day: 0.1 is ten per cent.
    pub growth: f64,
    /// What the rise explains that a level does not, in squares of the noise.
    pub score: f64,
}

/// The last weeks of every key that was seen in them. A key takes some 150 bytes; one that was silent for [`DAYS`] takes none.
/// After a restart, feed the last [`DAYS`] days again; what they tell has been told.
#[derive(Clone, Debug)]
pub struct Rises<K> {
    keys: HashMap<K, Kept>,
    keys_max: usize,
    /// Share of the sensor that worked, by day modulo [`DAYS`]; none for a day without a sensor.
    shares: [Option<f64>; DAYS],
    /// What a scanner that went over all keys added to each, by day.
    sweeps: [f64; DAYS],
    /// Days so far.
    day: u32,
    beyond: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    /// Sixteen times the root of the count, by day modulo [`DAYS`]: an eighth of a Poisson count's noise, whatever its size.
    roots: [u16; DAYS],
    /// Day until which it is not told again.
    quiet_until: u32,
}

impl<K: Clone + Eq + Hash + Ord> Rises<K> {
    /// Keeps so many keys at most.
    pub fn new(keys_max: usize) -> Self {
        Self { keys: HashMap::new(), keys_max, shares: [None; DAYS], sweeps: [0.0; DAYS], day: 0, beyond: 0 }
    }

    /// Takes in the senders of a day by key and says which keys rise, the clearest first. A key that is left out had none;
    /// without any, the sensor was down. Of a key that comes twice the larger count holds; above 16 million all are alike.
    ///
    /// What rises is told once, and again when it still does [`QUIET_DAYS`] later.
    pub fn day(&mut self, counts: impl IntoIterator<Item = (K, u32)>) -> Vec<Rise<K>> {
        let slot = self.day as usize % DAYS;
        self.keys.values_mut().for_each(|kept| kept.roots[slot] = 0);
        self.shares[slot] = None;
        for (key, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            if self.keys.len() >= self.keys_max && !self.keys.contains_key(&key) {
                self.beyond = self.beyond.saturating_add(1);
                continue;
            }
            let kept = self.keys.entry(key).or_insert(Kept { roots: [0; DAYS], quiet_until: 0 });
            kept.roots[slot] = kept.roots[slot].max(root(count));
        }
        self.keys.retain(|_, kept| kept.roots.iter().any(|root| *root > 0));
        let mut roots = self.roots(slot);
        self.shares[slot] = share(&roots);
        self.sweeps[slot] = sweep(&mut roots);
        self.day = self.day.saturating_add(1);
        if self.shares[slot].is_none() || self.shares.iter().flatten().count() < DAYS_MIN {
            return Vec::new();
        }
        self.rising(slot)
    }

    /// How many keys are kept.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// How many counts were left out because there were too many keys.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    fn rising(&mut self, slot: usize) -> Vec<Rise<K>> {
        let day = self.day;
        let sensor = |slot: usize| self.shares[slot].map(|share| (share, self.sweeps[slot]));
        // Most keys have so few senders that a look at the last days is enough.
        let days =
            (0..DAYS).map(|ago| (slot + DAYS - ago) % DAYS).filter_map(|slot| Some((slot, sensor(slot)?.0)));
        let last: Vec<(usize, u16)> = days.take(LAST.0).map(|(slot, share)| (slot, least(share))).collect();
        let mut rising = Vec::new();
        for (key, kept) in &mut self.keys {
            let are_few = last.iter().all(|(slot, least)| kept.roots[*slot] < *least);
            if are_few || kept.roots[slot] == 0 || kept.quiet_until > day {
                continue;
            }
            let Some(ramp) = Series::new(kept, sensor, slot).ramp() else { continue };
            kept.quiet_until = day.saturating_add(QUIET_DAYS);
            rising.push(ramp.of(key.clone()));
        }
        rising.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.key.cmp(&b.key)));
        rising
    }

    /// Of each key today's root, and the mean of those before.
    fn roots(&self, slot: usize) -> Vec<(f64, f64)> {
        let before = |kept: &Kept| {
            let days = kept.roots.iter().zip(&self.shares);
            let (sum, days) = days.fold((0.0, 0.0), |(sum, days), (root, share)| match share {
                Some(share) => (sum + f64::from(*root) / share.sqrt(), days + 1.0),
                None => (sum, days),
            });
            sum / f64::max(days, 1.0)
        };
        self.keys.values().map(|kept| (f64::from(kept.roots[slot]), before(kept))).collect()
    }
}

/// The share of the sensor that worked: the median, over keys that are steady, of today's count to that before.
fn share(roots: &[(f64, f64)]) -> Option<f64> {
    if roots.iter().all(|(now, _)| *now == 0.0) {
        return None;
    }
    let steady = roots.iter().filter(|(_, before)| *before >= STEADY_ROOT_MIN);
    let mut ratios: Vec<f64> = steady.map(|(now, before)| (now / before).powi(2)).collect();
    if ratios.len() < STEADY_KEYS_MIN {
        return Some(1.0);
    }
    let share = median(&mut ratios);
    // What is near one is the noise of the median itself, and must not add up from day to day.
    let share = if (SHARE_NEAR..=1.0 / SHARE_NEAR).contains(&share) { 1.0 } else { share };
    (share >= SHARE_MIN).then_some(share)
}

/// What the middle key had today that it mostly has not: a scanner that went over all of them.
fn sweep(roots: &mut [(f64, f64)]) -> f64 {
    if roots.len() < SWEPT_MIN {
        return 0.0;
    }
    let middle = roots.len() / 2;
    let now = roots.select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0)).1.0;
    let before = roots.select_nth_unstable_by(middle, |a, b| a.1.total_cmp(&b.1)).1.1;
    ((now / 16.0).powi(2) - (before / 16.0).powi(2)).max(0.0)
}

fn root(count: u32) -> u16 {
    (16.0 * f64::from(count).sqrt()).round() as u16
}

fn count(root: u16) -> f64 {
    (f64::from(root) / 16.0).powi(2)
}

/// The root of [`LATELY_MIN`] senders, as a sensor of which a share works sees them.
fn least(share: f64) -> u16 {
    (16.0 * (LATELY_MIN * share).sqrt()) as u16
}

/// Logarithms of a key's counts on the days that had a sensor, the earliest first.
struct Series {
    /// Days before today, and the logarithm.
    days: [(f64, f64); DAYS],
    len: usize,
    /// One to the variance of each day, and their sum.
    weights: [f64; DAYS],
    weight: f64,
}

struct Ramp {
    days: usize,
    slope: f64,
    /// The level before, and at the end.
    ends: (f64, f64),
    score: f64,
}

impl Series {
    fn new(kept: &Kept, sensor: impl Fn(usize) -> Option<(f64, f64)>, slot: usize) -> Self {
        let mut series = Self { days: [(0.0, 0.0); DAYS], len: 0, weights: [0.0; DAYS], weight: 0.0 };
        for ago in (0..DAYS).rev() {
            let at = (slot + DAYS - ago) % DAYS;
            let Some((share, sweep)) = sensor(at) else { continue };
            let own = (count(kept.roots[at]) - sweep).max(0.0);
            series.days[series.len] = (ago as f64, (own / share + OFFSET).ln());
            series.len += 1;
        }
        let days = &mut series.days[..series.len];
        let noise = noise(days).max(LATELY_PART * noise(&days[days.len().saturating_sub(LATELY)..]));
        let usual = usual(days);
        let far = SPIKE * noise.max(NOISE_MIN);
        // What is far from the days around it, spikes and pulses, is brought nearer.
        days.iter_mut().zip(usual).for_each(|((_, y), usual)| *y = y.clamp(usual - far, usual + far));
        series.weights = weights(&usual[..series.len], noise);
        series.weight = series.weights.iter().sum();
        series
    }

    /// The ramp at the end, if there is one that matters and no jump explains it.
    fn ramp(&self) -> Option<Ramp> {
        let mean = self.weighed().map(|(_, y, weight)| weight * y).sum::<f64>() / self.weight;
        let ramps = RAMPS.into_iter().map(|days| self.fit(days, mean)).filter(Ramp::matters);
        let best = ramps.max_by(|a, b| a.score.total_cmp(&b.score))?;
        (best.score >= RAMP_MIN && best.score - self.jump(mean) >= JUMP_MIN && self.keeps_up(&best))
            .then_some(best)
    }

    /// Least squares of a level with a ramp over the last days.
    fn fit(&self, days: usize, mean: f64) -> Ramp {
        let length = days as f64;
        let (h, hh, hy) = self.weighed().fold((0.0, 0.0, 0.0), |(h, hh, hy), (ago, y, weight)| {
            let height = (length - ago).max(0.0);
            let weighed = weight * height;
            (h + weighed, hh + weighed * height, hy + weighed * (y - mean))
        });
        let slope = hy / (hh - h * h / self.weight);
        let level = mean - slope * h / self.weight;
        Ramp { days, slope, ends: (level, level + slope * length), score: hy * slope }
    }

    /// Whether the last days are where the ramp is.
    fn keeps_up(&self, ramp: &Ramp) -> bool {
        let (level, length) = (ramp.ends.0, ramp.days as f64);
        let above =
            |(ago, y, weight): (f64, f64, f64)| (y - level - ramp.slope * (length - ago)) * weight.sqrt();
        self.weighed().rev().take(LAST.0).map(above).sum::<f64>() >= -LAST.1
    }

    /// Days ago, the logarithm, and its weight.
    fn weighed(&self) -> impl DoubleEndedIterator<Item = (f64, f64, f64)> {
        let days = self.days[..self.len].iter().zip(&self.weights[..self.len]);
        days.map(|((ago, y), weight)| (*ago, *y, *weight))
    }

    /// What the best jump upward explains that a level does not, in squares of the noise.
    fn jump(&self, mean: f64) -> f64 {
        let (mut sum, mut after, mut best) = (0.0, 0.0, 0.0_f64);
        for (_, y, weight) in self.weighed().rev().take(self.len.saturating_sub(1)) {
            sum += weight * (y - mean);
            after += weight;
            if sum > 0.0 {
                best = best.max(sum * sum * self.weight / (after * (self.weight - after)));
            }
        }
        best
    }
}

impl Ramp {
    fn matters(&self) -> bool {
        (GROWTH_MIN..=GROWTH_MAX).contains(&self.slope)
            && self.slope * self.days as f64 >= RISE_MIN
            && senders(self.ends.1) >= SENDERS_MIN
    }

    fn of<K>(self, key: K) -> Rise<K> {
        let (before, now) = (senders(self.ends.0), senders(self.ends.1));
        Rise { key, days: self.days, before, now, growth: self.slope.exp_m1(), score: self.score }
    }
}

fn senders(level: f64) -> f64 {
    (level.exp() - OFFSET).max(0.0)
}

/// The standard deviation of a day, from the differences of neighbours without their largest tenth: no ramp and no jump is
/// in them, and no spike.
fn noise(days: &[(f64, f64)]) -> f64 {
    let mut squares = [0.0; DAYS];
    let len = days.len().saturating_sub(1);
    for (square, pair) in squares.iter_mut().zip(days.windows(2)) {
        *square = (pair[1].1 - pair[0].1).powi(2);
    }
    let squares = &mut squares[..len];
    squares.sort_unstable_by(f64::total_cmp);
    let kept = &squares[..len - len / 10];
    // A normal's lowest nine tenths have 0.623 of its variance; a difference has twice that of a day.
    let variance = kept.iter().sum::<f64>() / (kept.len().max(1) as f64 * 0.623 * 2.0);
    variance.sqrt()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}

/// The median of the five days around each.
fn usual(days: &[(f64, f64)]) -> [f64; DAYS] {
    let mut usual = [0.0; DAYS];
    // There are days enough: fewer than [`DAYS_MIN`] are not looked at.
    let last = days.len().saturating_sub(5);
    for (i, usual) in usual.iter_mut().enumerate().take(days.len()) {
        let around = days.iter().skip(i.saturating_sub(2).min(last));
        let mut five = [0.0; 5];
        five.iter_mut().zip(around).for_each(|(y, day)| *y = day.1);
        *usual = median(&mut five);
    }
    usual
}

/// One to the variance of each day's logarithm: that of a negative binomial count whose dispersion makes all of them together as noisy
/// as the key is.
fn weights(usual: &[f64], noise: f64) -> [f64; DAYS] {
    let mut parts = [(0.0, 0.0); DAYS];
    let (mut poisson, mut square) = (0.0, 0.0);
    for (part, level) in parts.iter_mut().zip(usual) {
        let (offset, count) = (level.exp(), senders(*level));
        *part = (count / (offset * offset), (count / offset).powi(2));
        (poisson, square) = (poisson + part.0, square + part.1);
    }
    let dispersion = (noise * noise * usual.len() as f64 - poisson) / f64::max(square, 1e-3);
    let dispersion = dispersion.clamp(DISPERSION.0, DISPERSION.1);
    let mut weights = [0.0; DAYS];
    for (weight, part) in weights.iter_mut().zip(&parts[..usual.len()]) {
        *weight = 1.0 / (part.0 + dispersion * part.1).max(VARIANCE_MIN);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days on which the first keys have so many, and a thousand others have thirty each.
    fn play(days: &[u32]) -> Vec<(usize, Rise<u32>)> {
        let mut rises = Rises::new(10_000);
        let others = |day: usize| (1..1000).map(move |key| (key, 25 + (key * 7 + day as u32 * 13) % 11));
        let day = |(day, count): (usize, &u32)| rises.day(others(day).chain([(0, *count)]));
        let all: Vec<_> = days.iter().enumerate().map(day).collect();
        all.into_iter()
            .enumerate()
            .flat_map(|(day, rising)| rising.into_iter().map(move |r| (day, r)))
            .collect()
    }

    fn growing(growth: f64) -> Vec<u32> {
        (0..120).map(|day| (40.0 * (1.0 + growth).powi((day - 60).max(0))).round() as u32).collect()
    }

    #[test]
    fn what_grows_is_told_before_it_is_five_times_as_much_and_once() {
        for growth in [0.03, 0.05, 0.1, 0.2] {
            let found = play(&growing(growth)[..100.min(60 + (5.0_f64.ln() / growth.ln_1p()) as usize)]);
            assert_eq!(found.len(), 1, "{growth} {found:?}");
            let (_, rise) = &found[0];
            assert!(rise.key == 0 && rise.now < 200.0 && (rise.before - 40.0).abs() < 15.0, "{rise:?}");
        }
    }

    #[test]
    fn jumps_spikes_pulses_and_outages_are_no_rise() {
        let with = |change: fn(usize) -> f64| -> Vec<u32> {
            (0..100).map(|day| ((40.0 + (day * 29 % 17) as f64) * change(day)) as u32).collect()
        };
        assert_eq!(play(&with(|day| if day > 70 { 4.0 } else { 1.0 })), [], "a jump");
        assert_eq!(play(&with(|day| if day % 30 == 5 { 40.0 } else { 1.0 })), [], "spikes");
        assert_eq!(play(&with(|day| if day % 7 == 5 { 10.0 } else { 1.0 })), [], "pulses");
        assert_eq!(play(&with(|day| if day / 20 == 3 { 0.0 } else { 1.0 })), [], "back again");
    }

    #[test]
    fn a_sensor_that_fails_in_part_makes_no_rise_when_it_is_back() {
        let mut rises = Rises::new(10_000);
        for day in 0..100_usize {
            let share = if (50..60).contains(&day) {
                0.3
            } else {
                0.3 + 0.07 * day.saturating_sub(60).min(10) as f64
            };
            let count = |key: u32| (key, (f64::from(200 + (key * 7 + day as u32 * 13) % 41) * share) as u32);
            let rising = rises.day((0..1000).map(count));
            assert!(day < 50 || rising.is_empty(), "{day} {rising:?}");
        }
        assert!(rises.day([]).is_empty());
    }

    #[test]
    fn silent_keys_are_forgotten_and_too_many_are_counted() {
        let mut rises = Rises::new(2);
        assert!(rises.day([(1, 5), (2, 5), (3, 5), (1, u32::MAX)]).is_empty());
        assert_eq!((rises.keys(), rises.beyond()), (2, 1));
        (0..DAYS).for_each(|_| assert!(rises.day([]).is_empty()));
        assert_eq!(rises.keys(), 0);
        (0..200).for_each(|_| assert!(rises.day([(1, u32::MAX)]).is_empty()));
    }
}
