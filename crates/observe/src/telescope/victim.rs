//! Who is attacked: a victim of packets that were sent in invented names answers them, and those names that are ours hear of it (Moore,
//! Shannon, Brown, Voelker and Savage, "Inferring Internet Denial-of-Service Activity", ACM TOCS 24(2), 2006).
//!
//! ```text
//!   Echo ──▶ the row of its victim: packets, busiest minute, how many of our addresses were named
//!                 └──▶ enough of all three: Attack begins   ──▶   five minutes of silence: it has ended
//! ```
//!
//! Their thresholds, 25 packets over 60 seconds and 30 in the busiest minute, are for a /8. A smaller telescope sees that part of an attack
//! which falls on it, so they are scaled to its size, down to what cannot be chance ([`Thresholds`]). Invented names are drawn from the
//! whole Internet: who answers one or two of ours only is no victim, but a reflector, or somebody's mistake.

use std::hash::RandomState;
use std::net::IpAddr;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::hash_of;
use super::sighting::Echo;
use super::source::spread;

/// Victims that are looked at at once, each part of the telescope: echoes of more are counted, not told apart.
pub const SUSPECTED_MAX: usize = 100_000;
/// Silence after which an attack has ended (the interval of CAIDA's implementation).
pub const SILENCE_NS: u64 = 300 * SECOND_NS;
/// Attacked ports that are named.
pub const PORTS_MAX: usize = 8;

const SECOND_NS: u64 = 1_000_000_000;
/// The busiest minute is looked for in steps of so much.
const STEP_NS: u64 = 10 * SECOND_NS;
const STEPS: usize = 6;
/// How often who is silent is looked for, nanoseconds.
const SWEEP_NS: u64 = 30 * SECOND_NS;

/// From when on echoes are an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Packets, all together.
    pub packets: u64,
    /// From the first to the last, nanoseconds.
    pub duration_ns: u64,
    /// Packets in the busiest minute.
    pub per_minute: u32,
    /// Of our addresses that were named.
    pub named: u32,
}

/// Fewer packets than this may be chance, however small the telescope.
const PACKETS_MIN: f64 = 5.0;

impl Thresholds {
    /// Those of Moore et al. for a telescope that sees this part of all IPv4 addresses; 0 where that is not known.
    pub fn of(part: f64) -> Self {
        let scale = part * 256.0;
        let addresses = if part > 0.0 { (part * 4_294_967_296.0).ceil() as u32 } else { u32::MAX };
        Self {
            packets: (25.0 * scale).max(PACKETS_MIN).ceil() as u64,
            duration_ns: 60 * SECOND_NS,
            per_minute: (30.0 * scale).max(1.0).ceil() as u32,
            // An address of a very small telescope is named again and again.
            named: addresses.clamp(1, 3),
        }
    }
}

/// An attack on somebody else, as far as the telescope sees of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// Who is attacked. **Never to be blocked: that would finish the attack.**
    pub victim: IpAddr,
    /// First and last echo, nanoseconds since 1970.
    pub first_ns: u64,
    /// See `first_ns`.
    pub last_ns: u64,
    /// When there was enough of it to be called one.
    pub known_ns: u64,
    /// Echoes.
    pub packets: u64,
    /// Of those, in the busiest minute.
    pub per_minute: u32,
    /// About how many of our addresses were named.
    pub named: u32,
    /// Protocol (IANA) and port that are attacked, those seen first; the port none where the protocol has none.
    pub ports: Vec<(u8, Option<u16>)>,
    /// Whether it goes on.
    pub goes_on: bool,
}

#[derive(Debug)]
struct Suspected {
    first_ns: u64,
    last_ns: u64,
    known_ns: Option<u64>,
    packets: u64,
    per_minute: u32,
    named: u64,
    ports: Vec<(u8, Option<u16>)>,
    /// Echoes of the last minute by step, and the step that is the newest.
    steps: [u32; STEPS],
    step: u64,
}

impl Suspected {
    fn new(at_ns: u64) -> Self {
        Self {
            first_ns: at_ns,
            last_ns: at_ns,
            known_ns: None,
            packets: 0,
            per_minute: 0,
            named: 0,
            ports: Vec::new(),
            steps: [0; STEPS],
            step: at_ns / STEP_NS,
        }
    }

    fn add(&mut self, echo: &Echo) {
        (self.first_ns, self.last_ns) = (self.first_ns.min(echo.at_ns), self.last_ns.max(echo.at_ns));
        self.packets += 1;
        self.named |= 1 << echo.named;
        let attacked = (echo.protocol, echo.port);
        if self.ports.len() < PORTS_MAX && !self.ports.contains(&attacked) {
            self.ports.push(attacked);
        }
        let step = echo.at_ns / STEP_NS;
        // What comes late is of the newest step: a packet's place in the minute is not worth a row of its own.
        for passed in (self.step + 1..=step).take(STEPS) {
            self.steps[passed as usize % STEPS] = 0;
        }
        self.step = self.step.max(step);
        let now = &mut self.steps[self.step as usize % STEPS];
        *now = now.saturating_add(1);
        let minute = self.steps.iter().fold(0u32, |sum, some| sum.saturating_add(*some));
        self.per_minute = self.per_minute.max(minute);
    }

    fn is_attack(&self, thresholds: &Thresholds) -> bool {
        self.packets >= thresholds.packets
            && self.last_ns - self.first_ns >= thresholds.duration_ns
            && self.per_minute >= thresholds.per_minute
            && self.named.count_ones() >= thresholds.named
    }

    fn told(&self, victim: IpAddr, known_ns: u64, goes_on: bool) -> Attack {
        Attack {
            victim,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            known_ns,
            packets: self.packets,
            per_minute: self.per_minute,
            named: spread(self.named),
            ports: self.ports.clone(),
            goes_on,
        }
    }
}

/// Those who may be attacked, of one part of the telescope.
#[derive(Debug)]
pub(super) struct Victims {
    thresholds: Thresholds,
    suspected: HashTable<(IpAddr, Suspected)>,
    swept_ns: u64,
    /// Echoes of victims for which there was no room.
    pub beyond: u64,
}

impl Victims {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, suspected: HashTable::new(), swept_ns: 0, beyond: 0 }
    }

    /// Takes echoes in; tells of attacks that begin, and of those that have ended by `now_ns`.
    pub(super) fn take(
        &mut self,
        echoes: &[Echo],
        now_ns: u64,
        hasher: &RandomState,
        told: &mut Vec<Attack>,
    ) {
        let rehash = |(victim, _): &(IpAddr, Suspected)| hash_of(hasher, *victim);
        for echo in echoes {
            let room = self.suspected.len() < SUSPECTED_MAX;
            let is_it = |(victim, _): &(IpAddr, Suspected)| *victim == echo.victim;
            let (_, row) = match self.suspected.entry(echo.hash, is_it, rehash) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(free) if room => {
                    free.insert((echo.victim, Suspected::new(echo.at_ns))).into_mut()
                }
                Entry::Vacant(_) => {
                    self.beyond += 1;
                    continue;
                }
            };
            // Those of before the silence were another attack, or none.
            if echo.at_ns.saturating_sub(row.last_ns) >= SILENCE_NS {
                let before = std::mem::replace(row, Suspected::new(echo.at_ns));
                told.extend(before.known_ns.map(|known_ns| before.told(echo.victim, known_ns, false)));
            }
            row.add(echo);
            if row.known_ns.is_none() && row.is_attack(&self.thresholds) {
                row.known_ns = Some(echo.at_ns);
                told.push(row.told(echo.victim, echo.at_ns, true));
            }
        }
        // A clock that was set back is swept by as well.
        if now_ns.abs_diff(self.swept_ns) >= SWEEP_NS {
            self.swept_ns = now_ns;
            self.suspected.retain(|(victim, row)| {
                let goes_on = row.last_ns.saturating_add(SILENCE_NS) > now_ns;
                if let Some(known_ns) = row.known_ns.filter(|_| !goes_on) {
                    told.push(row.told(*victim, known_ns, false));
                }
                goes_on
            });
        }
    }

    /// The attacks that go on, as far as they are seen by now.
    pub(super) fn now(&self) -> impl Iterator<Item = Attack> {
        self.suspected
            .iter()
            .filter_map(|(victim, row)| row.known_ns.map(|known_ns| row.told(*victim, known_ns, true)))
    }
}

#[cfg(test)]
mod tests;
