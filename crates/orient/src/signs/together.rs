//! Sources that move together: a botnet on a port starts to knock when it is told to, everybody else when it suits them.
//!
//! Dark-TRACER (Han et al., IEEE Access 2022) looks for synchrony by non-negative matrix factorisation and by graphical
//! lasso. Measured on a truth, a plainer graph finds more: two sources are linked where they began to knock in the same
//! slots so often that chance does it to one pair in many. What counts is the beginning of activity, for two that stay for hours
//! overlap by chance. The limit for a link is so low that among independent sources the graph has `LINKS` links a
//! source; such a graph falls into crumbs, whose size is known (Erdős and Rényi, 1960). A larger piece is a group.
//!
//! Scanners that a clock starts each hour begin together as well, though nobody told them to. So what a source's own regularity
//! foretells is no evidence: beginnings a whole number of periods apart, more of them than chance puts there, are left out first.
//!
//! ```text
//!   beginnings ──▶ shared by pairs, beyond chance ──▶ large pieces of the graph ──▶ Group
//!       ▲                                                    │
//!       └── less those by a clock of a member's own ◀────────┘  until none is left
//! ```

use serde::Serialize;

/// Sources that are looked at, at most.
pub const SOURCES_MAX: usize = 2048;
/// Slots of time, at most.
pub const SLOTS_MAX: usize = 144;
/// Chance of a group among independent sources, in one matrix, at most.
pub const FALSE_ALARM: f64 = 0.001;
/// A source that began less often says nothing.
pub const STARTS_MIN: u32 = 3;

/// Chance that a source without a clock is believed to have one, at most: half of it for periods of whole slots.
const CLOCK_CHANCE: f64 = 0.001;
/// Clocks that a source may have.
const CLOCKS_MAX: usize = 4;
/// Times that a clock must have struck; then its period is at most a third of the matrix.
const STRIKES_MIN: usize = 3;
/// Periods and moments are a whole number of these parts of a slot: of a quarter of an hour, five minutes.
const PARTS: usize = 3;
/// Moments of a period, at most.
const MOMENTS_MAX: usize = SLOTS_MAX * PARTS / STRIKES_MIN;
/// Parts into which the strikes of one clock fall: more than a slot, where they are now and then late.
const CLOCK_WIDTHS: [usize; 2] = [PARTS, 2 * PARTS];

/// Links a source by chance.
const LINKS: f64 = 0.1;
/// Slots on either side over which a common rhythm of the day is told from a common command.
const RHYTHM: usize = 6;

/// Why a matrix was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No slots, or too many.
    #[error("{0} slots, of at most {SLOTS_MAX}")]
    Slots(usize),
    /// Too many sources: take a sample.
    #[error("{0} sources, of at most {SOURCES_MAX}")]
    Sources(usize),
    /// Some source has more or fewer slots than the others.
    #[error("{0} counts are no whole number of sources")]
    Ragged(usize),
}

/// Sources that move together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Their rows.
    pub sources: Vec<usize>,
    /// Slots in which at least a third of them began.
    pub slots: Vec<usize>,
    /// Minus the decimal logarithm of the chance of such a group among independent sources.
    pub score: f64,
}

/// Groups of sources, the largest first. `counts` has a row of `slots` packets for each source; sixty slots or more are of use.
///
/// # Errors
///
/// [`Refused`], when the matrix is too large or is none.
pub fn groups(counts: &[u32], slots: usize) -> Result<Vec<Group>, Refused> {
    if slots == 0 || slots > SLOTS_MAX {
        return Err(Refused::Slots(slots));
    }
    if !counts.len().is_multiple_of(slots) {
        return Err(Refused::Ragged(counts.len()));
    }
    if counts.len() / slots > SOURCES_MAX {
        return Err(Refused::Sources(counts.len() / slots));
    }
    let chances = Chances::new();
    let mut sources: Vec<Source> =
        counts.chunks(slots).enumerate().map(Source::new).filter(Source::tells).collect();
    let mut found = large_pieces(&sources, slots, &chances);
    // Clocks are looked for only where they matter, for that takes longer than all else.
    let clocks = Clocks::new(slots, &chances);
    while found.iter().flatten().any(|at| !sources[*at].is_own) {
        found.iter().flatten().for_each(|at| sources[*at].leave_out(&clocks));
        sources.retain(Source::tells);
        found = large_pieces(&sources, slots, &chances);
    }
    let mut groups: Vec<Group> = found
        .into_iter()
        .map(|piece| Group {
            slots: common(&sources, &piece, slots),
            score: (piece.len() as f64 * rate() - (sources.len() as f64).ln()) / std::f64::consts::LN_10,
            sources: piece.into_iter().map(|at| sources[at].row).collect(),
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.sources.len()));
    Ok(groups)
}

/// How fast the chance of a piece falls with its size, in a graph with so few links (Erdős and Rényi).
fn rate() -> f64 {
    LINKS - 1.0 - LINKS.ln()
}

/// Pieces of the graph that are larger than chance makes them.
fn large_pieces(sources: &[Source], slots: usize, chances: &Chances) -> Vec<Vec<usize>> {
    let size_min = ((sources.len() as f64 / FALSE_ALARM).ln() / rate()).ceil().max(2.0) as usize;
    if sources.len() < size_min {
        return Vec::new();
    }
    let mut pieces = pieces(sources, &links(sources, slots, chances));
    pieces.retain(|piece| piece.len() >= size_min);
    pieces
}

/// The slots in which a source began to send.
struct Source {
    row: usize,
    starts: [u64; SLOTS_MAX.div_ceil(64)],
    /// Whether those by a clock have been left out.
    is_own: bool,
}

impl Source {
    fn new((row, counts): (usize, &[u32])) -> Self {
        let mut starts = [0; SLOTS_MAX.div_ceil(64)];
        for (slot, pair) in counts.windows(2).enumerate() {
            if pair[0] == 0 && pair[1] > 0 {
                starts[(slot + 1) / 64] |= 1 << ((slot + 1) % 64);
            }
        }
        Self { row, starts, is_own: false }
    }

    /// Leaves the beginnings out that a clock of its own explains.
    fn leave_out(&mut self, clocks: &Clocks<'_>) {
        if std::mem::replace(&mut self.is_own, true) {
            return;
        }
        let mut struck = Vec::new();
        for _ in 0..CLOCKS_MAX {
            let starts: Vec<usize> = (1..clocks.slots).filter(|slot| self.began(*slot)).collect();
            let Some(clock) = clocks.of(&starts, &struck) else { break };
            for slot in (1..clocks.slots).filter(|slot| clock.strikes(*slot)) {
                // A strike that is missing may be in the slot beside.
                let beside = usize::from(!self.began(slot));
                (slot - beside..=slot + beside).for_each(|slot| self.forget(slot));
                if !struck.contains(&slot) {
                    struck.push(slot);
                }
            }
        }
    }

    fn forget(&mut self, slot: usize) {
        if let Some(word) = self.starts.get_mut(slot / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    fn count(&self) -> u32 {
        self.starts.iter().map(|word| word.count_ones()).sum()
    }

    fn tells(&self) -> bool {
        self.count() >= STARTS_MIN
    }

    fn began(&self, slot: usize) -> bool {
        self.starts[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn shared(&self, other: &Self) -> u32 {
        self.starts.iter().zip(&other.starts).map(|(a, b)| (a & b).count_ones()).sum()
    }
}

/// What starts a source after each period, all in parts of a slot.
#[derive(Clone, Copy)]
struct Clock {
    period: usize,
    at: usize,
    width: usize,
}

impl Clock {
    fn strikes(self, slot: usize) -> bool {
        (slot * PARTS + self.period - self.at) % self.period < self.width
    }
}

/// The clocks that a source might have.
struct Clocks<'a> {
    chances: &'a Chances,
    slots: usize,
    /// How unlikely what a clock explains must be: of whole slots, and others.
    limits: [f64; 2],
}

impl<'a> Clocks<'a> {
    fn new(slots: usize, chances: &'a Chances) -> Self {
        let mut tried = [0.0; 2];
        for period in Self::periods(slots) {
            let whole = period.is_multiple_of(PARTS);
            tried[usize::from(!whole)] +=
                CLOCK_WIDTHS.len() as f64 * if whole { period / PARTS } else { period } as f64;
        }
        Self { chances, slots, limits: tried.map(|tried| (0.5 * CLOCK_CHANCE / f64::max(tried, 1.0)).ln()) }
    }

    fn periods(slots: usize) -> std::ops::RangeInclusive<usize> {
        2 * PARTS..=slots * PARTS / STRIKES_MIN
    }

    /// The one that explains the starts best, if chance does not; `struck` are slots that another one has explained.
    fn of(&self, starts: &[usize], struck: &[usize]) -> Option<Clock> {
        let mut fold = Fold { moments: Vec::new(), begun: [0; MOMENTS_MAX + 2 * PARTS] };
        let (mut best, mut least, free) = (None, 0.0, self.slots - 1 - struck.len());
        // Fewer are no evidence, even of a clock that strikes no more often than that.
        let limit = self.limits[0].max(self.limits[1]);
        let tells = |hits: &usize| self.chances.exactly(free, starts.len(), *hits, *hits) < limit;
        let hits_min = (STRIKES_MIN..=starts.len()).find(tells)?;
        for period in Self::periods(self.slots) {
            for (width, (hits, at)) in CLOCK_WIDTHS.into_iter().zip(fold.most(starts, period)) {
                if hits < hits_min || width >= period {
                    continue;
                }
                let limit = self.limits[usize::from(!period.is_multiple_of(PARTS))];
                // In so many slots at least it strikes, which says at once that most clocks explain nothing.
                let few = (free * width / period).saturating_sub(1).max(hits);
                let is_apt = struck.is_empty() && few + starts.len() <= free + hits;
                if is_apt && self.chances.exactly(free, starts.len(), few, hits) > limit {
                    continue;
                }
                let clock = Clock { period, at, width };
                let strikes = (1..self.slots).filter(|slot| clock.strikes(*slot) && !struck.contains(slot));
                let odds = self.chances.exactly(free, starts.len(), strikes.count(), hits) - limit;
                if odds < least {
                    (best, least) = (Some(clock), odds);
                }
            }
        }
        best
    }
}

/// Counts of starts by the moment of a period, kept from period to period, for there are many.
struct Fold {
    moments: Vec<usize>,
    begun: [u8; MOMENTS_MAX + 2 * PARTS],
}

impl Fold {
    /// The most starts within one slot of the period and within two, and from which moment on.
    fn most(&mut self, starts: &[usize], period: usize) -> [(usize, usize); 2] {
        self.moments.clear();
        // Half as wide divides several times as fast.
        self.moments.extend(starts.iter().map(|start| ((start * PARTS) as u32 % period as u32) as usize));
        for at in &self.moments {
            self.begun[*at] += 1;
            // The period begins again where it ends.
            if *at < 2 * PARTS {
                self.begun[period + at] += 1;
            }
        }
        let mut most = [(0, 0); 2];
        for at in &self.moments {
            let sum = |from: usize| self.begun[from..from + PARTS].iter().sum::<u8>();
            let one = usize::from(sum(*at));
            let two = one + usize::from(sum(at + PARTS));
            most = [most[0].max((one, *at)), most[1].max((two, *at))];
        }
        for at in &self.moments {
            self.begun[*at] = 0;
            self.begun[if *at < 2 * PARTS { period + at } else { *at }] = 0;
        }
        most
    }
}

/// Pairs of sources that share more starts than chance gives to one pair in many.
fn links(sources: &[Source], slots: usize, chances: &Chances) -> Vec<(usize, usize)> {
    let least = Least { chances, slots: even_slots(sources, slots), chance: LINKS / sources.len() as f64 };
    // Starts have a pause between them.
    let limits: Vec<_> = (0..=SLOTS_MAX / 2).map(|starts| least.of(starts)).collect();
    let mut links = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        let limits = &limits[source.count() as usize];
        let linked = |(_, other): &(usize, &Source)| source.shared(other) >= limits[other.count() as usize];
        links.extend(sources[..at].iter().enumerate().filter(linked).map(|(before, _)| (before, at)));
    }
    links
}

/// How many slots there would be if sources began evenly, as they do not by day and night: who shares the day shares more by
/// chance. A command stands out of its hours and is not taken for a rhythm.
fn even_slots(sources: &[Source], slots: usize) -> usize {
    let began = |slot| sources.iter().filter(|source| source.began(slot)).count();
    let began: Vec<usize> = (0..slots).map(began).collect();
    let usual = |slot: usize| {
        let mut around = began[slot.saturating_sub(RHYTHM)..(slot + RHYTHM + 1).min(slots)].to_vec();
        around.sort_unstable();
        around[around.len() / 2] as f64
    };
    let (sum, squares) =
        (0..slots).map(usual).fold((0.0, 0.0), |(sum, squares), n| (sum + n, squares + n * n));
    if squares > 0.0 { (sum * sum / squares).round() as usize } else { slots }
}

/// Logarithms of hypergeometric chances.
struct Chances {
    factorials: [f64; 2 * SLOTS_MAX + 1],
}

impl Chances {
    fn new() -> Self {
        let mut factorials = [0.0; 2 * SLOTS_MAX + 1];
        for n in 1..factorials.len() {
            factorials[n] = factorials[n - 1] + (n as f64).ln();
        }
        Self { factorials }
    }

    fn choose(&self, n: usize, k: usize) -> f64 {
        self.factorials[n] - self.factorials[k] - self.factorials[n - k]
    }

    /// That of `a` and of `b` slots, each chosen from as many, `shared` are the same; `shared` must be possible.
    fn exactly(&self, slots: usize, a: usize, b: usize, shared: usize) -> f64 {
        self.choose(a, shared) + self.choose(slots - a, b - shared) - self.choose(slots, b)
    }
}

/// The least number of shared starts that make a link, by how often either began: the hypergeometric tail.
struct Least<'a> {
    chances: &'a Chances,
    slots: usize,
    chance: f64,
}

impl Least<'_> {
    fn of(&self, starts: usize) -> [u32; SLOTS_MAX / 2 + 1] {
        std::array::from_fn(|other| self.least(starts, other))
    }

    fn least(&self, a: usize, b: usize) -> u32 {
        // Who began more often than there are even slots has no chance to tell.
        let slots = self.slots.max(a).max(b);
        let (mut tail, most) = (0.0, a.min(b));
        for shared in (0..=most).rev() {
            if slots - a < b - shared {
                return shared as u32 + 1;
            }
            tail += self.chances.exactly(slots, a, b, shared).exp();
            if tail > self.chance {
                return shared as u32 + 1;
            }
        }
        0
    }
}

/// The pieces of the graph, without those that hang on it by one link: chance does that.
fn pieces(sources: &[Source], links: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut degrees = vec![0_u32; sources.len()];
    for (a, b) in links {
        degrees[*a] += 1;
        degrees[*b] += 1;
    }
    let mut parents: Vec<usize> = (0..sources.len()).collect();
    for (a, b) in links.iter().filter(|(a, b)| degrees[*a] > 1 && degrees[*b] > 1) {
        let (a, b) = (root(&mut parents, *a), root(&mut parents, *b));
        parents[a] = b;
    }
    let mut pieces = vec![Vec::new(); sources.len()];
    for at in (0..sources.len()).filter(|at| degrees[*at] > 1) {
        pieces[root(&mut parents, at)].push(at);
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

fn common(sources: &[Source], piece: &[usize], slots: usize) -> Vec<usize> {
    let began = |slot: usize| piece.iter().filter(|at| sources[**at].began(slot)).count();
    (0..slots).filter(|slot| began(*slot) * 3 >= piece.len()).collect()
}
