//! A campaign's onset: all at once, senders from many networks ask for something that few asked for before. Found while it happens, so
//! that a new botnet is told of when its first dozen of machines is seen, and not when its day is counted.
//!
//! ```text
//!   Arrival: what is asked for, by whom, when ──▶ the last minute of that key, against all of its time before
//!            (each sender once for each key)           └──▶ too many to be chance, and from many networks ──▶ Campaign
//! ```
//!
//! What came before the last minute is a Poisson process whose rate is not known but for that; how many come within a minute then has a
//! negative binomial distribution (the rate's own uncertainty included), and what is less likely than [`CHANCE_MAX`] is no chance. That is
//! cheap enough for each key of 65,536 ports, two protocols and every tool, and says by itself how many are enough: nine where nobody ever
//! asked, hundreds where many do. A rise over days is too slow to be seen here.

use std::hash::Hash;
use std::net::IpAddr;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// What is asked for, of most keys: arrivals of more are counted only.
pub const KEYS_MAX: usize = 1 << 20;
/// The chance of as many within a minute, below which it is none: with a million keys, a false campaign in ten days.
pub const CHANCE_MAX: f64 = 1e-10;
/// Senders within a minute, at least.
pub const SOURCES_MIN: u32 = 8;
/// Networks (/16 of IPv4, /32 of IPv6) they are in, at least: one that moves all its machines is no campaign.
pub const NETWORKS_MIN: u32 = 6;
/// How many times as many as before, at least: what comes and goes with the day is none.
pub const RATIO_MIN: f64 = 3.0;
/// Nothing is said before so much was seen.
pub const LEARNED_NS: u64 = 600 * SECOND_NS;
/// A campaign of which nothing more was found for so long has ended.
pub const QUIET_NS: u64 = 3600 * SECOND_NS;
/// The time after which what was is worth 1/e.
const MEMORY_S: f64 = 6.0 * 3600.0;

const SECOND_NS: u64 = 1_000_000_000;
/// The minute is counted in steps of so much.
const STEP_NS: u64 = 10 * SECOND_NS;
const STEPS: usize = 6;
const MINUTE_S: f64 = 60.0;

/// A campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct Campaign<K> {
    /// What is asked for.
    pub key: K,
    /// When the minute began in which it was found, nanoseconds since 1970.
    pub onset_ns: u64,
    /// When it was found.
    pub known_ns: u64,
    /// Senders when it was found, within that minute.
    pub sources_known: u32,
    /// Senders so far.
    pub sources: u64,
    /// How many were to be expected within a minute.
    pub expected: f64,
    /// The chance of as many.
    pub chance: f64,
    /// When the last of them came.
    pub last_ns: u64,
    /// Whether it goes on.
    pub goes_on: bool,
}

/// The last minute of a key, and what was before it.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    steps: [u16; STEPS],
    /// The newest step's number.
    step: u32,
    /// Arrivals before the minute, the older the less they weigh; as of `step`.
    before: f32,
    /// Networks of this half of a minute and of that before it, a bit for each of 64 kinds.
    networks: [u64; 2],
}

impl Recent {
    /// Lets time pass up to a step.
    fn pass(&mut self, step: u32) {
        let passed = step.saturating_sub(self.step);
        if passed == 0 {
            return;
        }
        let mut leaving = 0.0;
        for at in (self.step + 1..=step).take(STEPS) {
            leaving += f32::from(std::mem::take(&mut self.steps[at as usize % STEPS]));
        }
        let faded = (-f64::from(passed) * STEP_NS as f64 / SECOND_NS as f64 / MEMORY_S).exp();
        self.before = self.before * faded as f32 + leaving;
        match step / 3 - self.step / 3 {
            0 => {}
            1 => self.networks = [0, self.networks[0]],
            _ => self.networks = [0, 0],
        }
        self.step = step;
    }

    fn count(&self) -> u32 {
        self.steps.iter().map(|some| u32::from(*some)).sum()
    }

    /// When the oldest step with somebody in it began.
    fn begun_ns(&self) -> u64 {
        let oldest = (0..STEPS as u32).rev().map(|back| self.step.saturating_sub(back));
        let oldest = oldest.into_iter().find(|at| self.steps[*at as usize % STEPS] > 0);
        u64::from(oldest.unwrap_or(self.step)) * STEP_NS
    }
}

/// All that is asked for.
#[derive(Debug)]
pub struct Onsets<K> {
    recent: HashMap<K, Recent>,
    going_on: HashMap<K, Campaign<K>>,
    begun_ns: Option<u64>,
    swept_ns: u64,
    /// Arrivals of keys for which there was no room.
    pub beyond: u64,
}

impl<K> Default for Onsets<K> {
    fn default() -> Self {
        Self { recent: HashMap::new(), going_on: HashMap::new(), begun_ns: None, swept_ns: 0, beyond: 0 }
    }
}

impl<K: Copy + Eq + Hash + Ord> Onsets<K> {
    /// Has the processor fetch what is kept of some keys, all at once: those that are added next, whose turn would else come one after
    /// the other.
    pub fn approach(&self, keys: impl IntoIterator<Item = K>) {
        let steps = keys.into_iter().filter_map(|key| self.recent.get(&key)).map(|recent| recent.step);
        std::hint::black_box(steps.fold(0, |all, step| all ^ step));
    }

    /// Somebody asks for something for the first time; gives back the campaign that is found by it. Times may differ by less than a
    /// minute from their order.
    pub fn add(&mut self, key: K, source: IpAddr, at_ns: u64) -> Option<Campaign<K>> {
        let begun_ns = *self.begun_ns.get_or_insert(at_ns);
        let room = self.recent.len() < KEYS_MAX;
        let recent = match self.recent.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) if room => free.insert(Recent { step: step(at_ns), ..Recent::default() }),
            Entry::Vacant(_) => {
                self.beyond += 1;
                return None;
            }
        };
        recent.pass(step(at_ns));
        let now = &mut recent.steps[recent.step as usize % STEPS];
        *now = now.saturating_add(1);
        recent.networks[0] |= 1 << kind_of_network(source);
        let count = recent.count();
        if count < SOURCES_MIN {
            if !self.going_on.is_empty()
                && let Some(campaign) = self.going_on.get_mut(&key)
            {
                campaign.sources += 1;
            }
            return None;
        }
        let seen_ns = at_ns.saturating_sub(begun_ns);
        let enough =
            seen_ns >= LEARNED_NS && (recent.networks[0] | recent.networks[1]).count_ones() >= NETWORKS_MIN;
        // How long was looked before the minute, weighed as what was seen.
        let seen_s = (seen_ns as f64 / SECOND_NS as f64 - MINUTE_S).max(0.0);
        let weighed_s = MEMORY_S * -(-seen_s / MEMORY_S).exp_m1();
        let expected = f64::from(recent.before) / weighed_s.max(MINUTE_S) * MINUTE_S;
        let many = enough && f64::from(count) >= RATIO_MIN * expected;
        if let Some(campaign) = self.going_on.get_mut(&key) {
            campaign.sources += 1;
            if many {
                campaign.last_ns = campaign.last_ns.max(at_ns);
            }
            return None;
        }
        if !many {
            return None;
        }
        let chance = chance_of(count, recent.before.into(), weighed_s / MINUTE_S);
        if chance > CHANCE_MAX {
            return None;
        }
        let campaign = Campaign {
            key,
            onset_ns: recent.begun_ns(),
            known_ns: at_ns,
            sources_known: count,
            sources: count.into(),
            expected,
            chance,
            last_ns: at_ns,
            goes_on: true,
        };
        self.going_on.insert(key, campaign.clone());
        Some(campaign)
    }

    /// Lets time pass: the campaigns that have ended by now, in the order of their keys.
    pub fn ended(&mut self, now_ns: u64) -> Vec<Campaign<K>> {
        if self.going_on.is_empty() || now_ns.abs_diff(self.swept_ns) < MINUTE_S as u64 * SECOND_NS {
            return Vec::new();
        }
        self.swept_ns = now_ns;
        let ended =
            self.going_on.extract_if(|_, campaign| campaign.last_ns.saturating_add(QUIET_NS) <= now_ns);
        let mut ended: Vec<_> = ended.map(|(_, campaign)| Campaign { goes_on: false, ..campaign }).collect();
        ended.sort_by_key(|campaign| campaign.key);
        ended
    }

    /// Those that go on, in the order of their keys.
    pub fn going_on(&self) -> Vec<Campaign<K>> {
        let mut all: Vec<_> = self.going_on.values().cloned().collect();
        all.sort_by_key(|campaign| campaign.key);
        all
    }
}

fn step(at_ns: u64) -> u32 {
    u32::try_from(at_ns / STEP_NS).unwrap_or(u32::MAX)
}

/// Which of 64 kinds of network (Fibonacci hashing: whoever chooses theirs to be of one kind only hides).
fn kind_of_network(ip: IpAddr) -> u32 {
    let network = match ip {
        IpAddr::V4(ip) => u32::from(ip) >> 16,
        IpAddr::V6(ip) => (u128::from(ip) >> 96) as u32,
    };
    (u64::from(network).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as u32
}

/// The chance of `count` or more within a minute, when there were `before` within so many minutes: negative binomial, with Jeffreys' half
/// an arrival for what is not known. Exact but for the far tail, which is bounded from above by a geometric series.
fn chance_of(count: u32, before: f64, minutes: f64) -> f64 {
    let shape = before + 0.5;
    let hit = 1.0 / (1.0 + minutes.max(1.0));
    let first = shape * (1.0 - hit).ln();
    let log = (0..count).fold(first, |log, n| log + ((shape + f64::from(n)) / f64::from(n + 1) * hit).ln());
    let falls = (shape + f64::from(count)) / f64::from(count + 1) * hit;
    if falls >= 1.0 { 1.0 } else { (log.exp() / (1.0 - falls)).min(1.0) }
}

#[cfg(test)]
mod tests;
