//! Sources that move together: a botnet on a port starts to knock when it is told to, everybody else when it suits them.
//!
//! Dark-TRACER (Han et al., IEEE Access 2022) looks for synchrony by non-negative matrix factorisation and by graphical
//! lasso. Measured on a truth, a plainer graph finds more: two sources are linked where they began to knock in the same
//! slots so often that chance does it to one pair in many. What counts is the beginning of activity, for two that stay for hours
//! overlap by chance. The limit for a link is so low that among independent sources the graph has `LINKS` links a
//! source; such a graph falls into crumbs, whose size is known (Erdős and Rényi, 1960). A larger piece is a group.

use serde::Serialize;

/// Sources that are looked at, at most.
pub const SOURCES_MAX: usize = 2048;
/// Slots of time, at most.
pub const SLOTS_MAX: usize = 144;
/// Chance of a group among independent sources, in one matrix, at most.
pub const FALSE_ALARM: f64 = 0.001;
/// A source that began less often says nothing.
pub const STARTS_MIN: u32 = 3;

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
    let sources: Vec<Source> =
        counts.chunks(slots).enumerate().map(Source::new).filter(Source::tells).collect();
    let rate = LINKS - 1.0 - LINKS.ln();
    let size_min = ((sources.len() as f64 / FALSE_ALARM).ln() / rate).ceil().max(2.0) as usize;
    if sources.len() < size_min {
        return Ok(Vec::new());
    }
    let mut groups: Vec<Group> = pieces(&sources, &links(&sources, slots))
        .into_iter()
        .filter(|piece| piece.len() >= size_min)
        .map(|piece| Group {
            slots: common(&sources, &piece, slots),
            score: (piece.len() as f64 * rate - (sources.len() as f64).ln()) / std::f64::consts::LN_10,
            sources: piece.into_iter().map(|at| sources[at].row).collect(),
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.sources.len()));
    Ok(groups)
}

/// The slots in which a source began to send.
struct Source {
    row: usize,
    starts: [u64; SLOTS_MAX.div_ceil(64)],
}

impl Source {
    fn new((row, counts): (usize, &[u32])) -> Self {
        let mut starts = [0; SLOTS_MAX.div_ceil(64)];
        for (slot, pair) in counts.windows(2).enumerate() {
            if pair[0] == 0 && pair[1] > 0 {
                starts[(slot + 1) / 64] |= 1 << ((slot + 1) % 64);
            }
        }
        Self { row, starts }
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

/// Pairs of sources that share more starts than chance gives to one pair in many.
fn links(sources: &[Source], slots: usize) -> Vec<(usize, usize)> {
    let least = Least::new(even_slots(sources, slots), LINKS / sources.len() as f64);
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

/// The least number of shared starts that make a link, by how often either began: the hypergeometric tail.
struct Least {
    factorials: [f64; 2 * SLOTS_MAX + 1],
    slots: usize,
    chance: f64,
}

impl Least {
    fn new(slots: usize, chance: f64) -> Self {
        let mut factorials = [0.0; 2 * SLOTS_MAX + 1];
        for n in 1..factorials.len() {
            factorials[n] = factorials[n - 1] + (n as f64).ln();
        }
        Self { factorials, slots, chance }
    }

    fn of(&self, starts: usize) -> [u32; SLOTS_MAX / 2 + 1] {
        std::array::from_fn(|other| self.least(starts, other))
    }

    fn least(&self, a: usize, b: usize) -> u32 {
        // Who began more often than there are even slots has no chance to tell.
        let slots = self.slots.max(a).max(b);
        let choose = |n: usize, k: usize| self.factorials[n] - self.factorials[k] - self.factorials[n - k];
        let (mut tail, most) = (0.0, a.min(b));
        for shared in (0..=most).rev() {
            if slots - a < b - shared {
                return shared as u32 + 1;
            }
            tail += (choose(a, shared) + choose(slots - a, b - shared) - choose(slots, b)).exp();
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
