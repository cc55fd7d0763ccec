//! What clients hold of a list: prefixes of its hashes, and what changed since they last asked.
//!
//! A prefix has four octets: many URLs begin with the same, so that who asks for all hashes with a prefix does not say which URL is meant. Where a URL that everybody visits
//! begins with the same four, everybody would ask; there the prefix is longer. A client names the state it holds by the SHA-256 of it, the same that tells it whether it went
//! well; so a state is known again by whoever has the same list, after a restart, too. For a state that changed not long ago it is told the changes, else everything.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;

use ring::digest::{Context, SHA256};

use super::Hash;
use super::rice::Coded;

/// Octets of a prefix, where nothing needs more.
pub const PREFIX_OCTETS: usize = 4;
/// States before this one that are known, at most.
const STATES_MAX: usize = 256;
/// Prefixes by which they differ that are kept where a list is small.
const CHANGES_MIN: usize = 1024;

/// The beginning of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// Zeros behind the end. With that, the order is that of the octets.
    octets: Hash,
    len: u8,
}

impl Prefix {
    /// So many octets of a hash, 32 at most.
    pub fn new(hash: &Hash, len: usize) -> Self {
        let len = len.min(hash.0.len());
        let mut octets = Hash::default();
        octets.0[..len].copy_from_slice(&hash.0[..len]);
        Self { octets, len: len as u8 }
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets.0[..usize::from(self.len)]
    }

    fn of_short(number: u32) -> Self {
        let mut octets = Hash::default();
        octets.0[..PREFIX_OCTETS].copy_from_slice(&number.to_be_bytes());
        Self { octets, len: PREFIX_OCTETS as u8 }
    }
}

/// What came and what went, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Change {
    added: Vec<Prefix>,
    removed: Vec<Prefix>,
}

/// What a client has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Take these places out of what it holds, in its order, and put these prefixes in.
    Partial {
        /// Counted from 0, before anything is put in.
        removed: Vec<u32>,
        /// In their order.
        added: Vec<Prefix>,
    },
    /// Forget what it holds and take everything.
    Full,
}

/// What is held of a list at one moment, and how it came to that.
#[derive(Debug)]
pub struct Held {
    /// Prefixes of four octets as numbers, the first octet highest: in the order of the octets, each once.
    short: Vec<u32>,
    /// The longer ones, in their order.
    long: Vec<Prefix>,
    checksum: Hash,
    /// The states before, the oldest first, and what changed after each.
    before: VecDeque<(Hash, Change)>,
    coded: OnceLock<Option<Coded>>,
}

impl Held {
    /// What is held of these hashes, which are in their order. Each prefix is long enough to be none of `popular`, which are in their order, too.
    pub fn new(hashes: impl Iterator<Item = Hash>, popular: &[Hash]) -> Self {
        let (mut short, mut long) = (Vec::new(), Vec::new());
        for hash in hashes {
            let len = prefix_len(&hash, popular);
            if len > PREFIX_OCTETS {
                long.push(Prefix::new(&hash, len));
            } else {
                let [a, b, c, d, ..] = hash.0;
                short.push(u32::from_be_bytes([a, b, c, d]));
            }
        }
        short.dedup();
        long.dedup();
        let mut held =
            Self { short, long, checksum: Hash::default(), before: VecDeque::new(), coded: OnceLock::new() };
        let mut context = Context::new(&SHA256);
        for prefix in held.prefixes() {
            context.update(prefix.octets());
        }
        held.checksum = context.finish().into();
        held
    }

    /// The same, after what was held until now.
    #[must_use]
    pub fn after(mut self, old: &Self) -> Self {
        let limit = CHANGES_MIN.max(self.len() / 4);
        if old.checksum == self.checksum {
            self.before.clone_from(&old.before);
        } else if let Some(change) = change(old, &self, limit) {
            self.before.clone_from(&old.before);
            self.before.push_back((old.checksum, change));
            let mut kept = 0;
            let wide = self.before.iter().rev().position(|(_, change)| {
                kept += change.added.len() + change.removed.len();
                kept > limit
            });
            let known = wide.unwrap_or(self.before.len()).min(STATES_MAX);
            self.before.drain(..self.before.len() - known);
        }
        self
    }

    /// The SHA-256 of all prefixes, in their order, one behind another: by this a client knows that it holds them, and names the state.
    pub fn checksum(&self) -> Hash {
        self.checksum
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All prefixes, in their order.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix> {
        let mut short = self.short.iter().copied().map(Prefix::of_short).peekable();
        let mut long = self.long.iter().copied().peekable();
        std::iter::from_fn(move || match (short.peek(), long.peek()) {
            (Some(a), Some(b)) if b < a => long.next(),
            (Some(_), _) => short.next(),
            (None, _) => long.next(),
        })
    }

    /// The prefixes of more than four octets, in their order.
    pub fn long(&self) -> &[Prefix] {
        &self.long
    }

    /// The prefixes of four octets, in their order.
    pub fn short(&self) -> impl ExactSizeIterator<Item = [u8; PREFIX_OCTETS]> {
        self.short.iter().map(|number| number.to_be_bytes())
    }

    /// The prefixes of four octets, coded; nothing where there are none.
    pub fn coded(&self) -> Option<&Coded> {
        self.coded.get_or_init(|| coded(self.short())).as_ref()
    }

    /// What a client has to do that holds the state of this name.
    pub fn update_from(&self, state: &[u8]) -> Update {
        if state == self.checksum.0 {
            return Update::Partial { removed: Vec::new(), added: Vec::new() };
        }
        let Some(known) = self.before.iter().rposition(|(before, _)| before.0 == state) else {
            return Update::Full;
        };
        let mut sum = BTreeMap::<Prefix, i32>::new();
        for (_, change) in self.before.range(known..) {
            change.added.iter().for_each(|prefix| *sum.entry(*prefix).or_default() += 1);
            change.removed.iter().for_each(|prefix| *sum.entry(*prefix).or_default() -= 1);
        }
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for (prefix, sum) in sum {
            match sum.cmp(&0) {
                Ordering::Greater => added.push(prefix),
                // Its place was that of now, without what came before it, and with what went.
                Ordering::Less => removed.push((self.rank(&prefix) + removed.len() - added.len()) as u32),
                Ordering::Equal => {}
            }
        }
        Update::Partial { removed, added }
    }

    /// How many prefixes are before this one.
    fn rank(&self, prefix: &Prefix) -> usize {
        self.short.partition_point(|number| Prefix::of_short(*number) < *prefix)
            + self.long.partition_point(|long| long < prefix)
    }
}

/// The code of prefixes of four octets. It reads them the other way round, the first octet lowest.
pub fn coded(prefixes: impl Iterator<Item = [u8; PREFIX_OCTETS]>) -> Option<Coded> {
    let mut numbers: Vec<u32> = prefixes.map(u32::from_le_bytes).collect();
    numbers.sort_unstable();
    Coded::of(&numbers)
}

/// Octets of a hash's prefix: four, or as many as tell it from all that is popular.
fn prefix_len(hash: &Hash, popular: &[Hash]) -> usize {
    let next = popular.partition_point(|other| other < hash);
    let common = |other: &Hash| hash.0.iter().zip(other.0).take_while(|(a, b)| **a == *b).count();
    let neighbours = popular[next.saturating_sub(1)..].iter().take(2);
    neighbours.map(|other| common(other) + 1).fold(PREFIX_OCTETS, usize::max).min(hash.0.len())
}

/// What has to be done to `old` to become `new`, where that is not more than `limit`.
fn change(old: &Held, new: &Held, limit: usize) -> Option<Change> {
    let (mut old, mut new) = (old.prefixes().peekable(), new.prefixes().peekable());
    let mut change = Change::default();
    while change.added.len() + change.removed.len() <= limit {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return Some(change),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.cmp(new),
        };
        match order {
            Ordering::Less => change.removed.extend(old.next()),
            Ordering::Greater => change.added.extend(new.next()),
            Ordering::Equal => {
                old.next();
                new.next();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hashes of few octets that differ, so that they come again.
    fn hashes() -> impl Strategy<Value = Vec<Hash>> {
        let of =
            |[a, b, c]: [u8; 3]| Hash(std::array::from_fn(|at| [a & 1, b & 3, 0, c & 3, a >> 7][at % 5]));
        proptest::collection::btree_set(any::<[u8; 3]>().prop_map(of), 0..60)
            .prop_map(|hashes| hashes.into_iter().collect())
    }

    /// What a client makes of an update.
    fn carried_out(mut held: Vec<Prefix>, update: Update, all: &Held) -> Vec<Prefix> {
        match update {
            Update::Full => all.prefixes().collect(),
            Update::Partial { removed, added } => {
                assert!(removed.is_sorted_by(|a, b| a < b), "each once");
                for place in removed.iter().rev() {
                    held.remove(*place as usize);
                }
                held.extend(added);
                held.sort_unstable();
                held
            }
        }
    }

    fn held(hashes: &[Hash]) -> Held {
        Held::new(hashes.iter().copied(), &[])
    }

    #[test]
    fn the_checksum_is_that_of_the_prefixes() {
        let hash = |first: &[u8; 4]| {
            let mut hash = Hash([7; 32]);
            hash.0[..4].copy_from_slice(first);
            hash
        };
        let hex = |hash: Hash| hash.0.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        // As Google's client tests it.
        let of = held(&[hash(b"aaaa"), hash(b"bbbb"), hash(b"cccc"), hash(b"dddd")]);
        assert_eq!(hex(of.checksum()), "147eb9dcde0e090429c01dbf634fd9b69a7f141f005c387a9c00498908499dde");
        let none = held(&[]);
        assert_eq!(hex(none.checksum()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!((none.is_empty(), none.coded()), (true, None));
    }

    #[test]
    fn what_everybody_visits_is_told_from_what_is_listed() {
        let listed = Hash([9; 32]);
        let mut popular = listed;
        popular.0[5] = 0;
        let held = Held::new([Hash([1; 32]), listed].into_iter(), &[popular]);
        assert_eq!(held.long(), [Prefix::new(&listed, 6)]);
        assert_eq!(held.short().collect::<Vec<_>>(), [[1; 4]]);
        // What is popular and listed itself is told whole.
        assert_eq!(Held::new([listed].into_iter(), &[listed]).long(), [Prefix::new(&listed, 32)]);
    }

    #[test]
    fn who_holds_what_is_not_known_takes_everything() {
        let (a, b) = (held(&[Hash([1; 32])]), held(&[Hash([2; 32])]));
        let (first, second) = (a.checksum(), b.checksum());
        let now = b.after(&a);
        assert_eq!(now.update_from(b""), Update::Full);
        assert_eq!(now.update_from(&[3; 32]), Update::Full);
        let nothing = Update::Partial { removed: vec![], added: vec![] };
        assert_eq!(now.update_from(&second.0), nothing);
        let instead = Update::Partial { removed: vec![0], added: vec![Prefix::new(&Hash([2; 32]), 4)] };
        assert_eq!(now.update_from(&first.0), instead);
    }

    #[test]
    fn a_change_of_everything_is_not_remembered() {
        let many = |from: u32| {
            let hash = |number: u32| Prefix::of_short(number).octets;
            held(&(from..from + 2000).map(hash).collect::<Vec<_>>())
        };
        let first = many(0).checksum();
        assert_eq!(many(1_000_000).after(&many(0)).update_from(&first.0), Update::Full);
        assert_ne!(many(10).after(&many(0)).update_from(&first.0), Update::Full);
        // Nor are more states than are kept.
        let mut now = many(0);
        for step in 1..=STATES_MAX as u32 + 1 {
            now = many(step).after(&now);
        }
        assert_eq!(now.before.len(), STATES_MAX);
        assert_eq!(now.update_from(&first.0), Update::Full);
    }

    proptest! {
        #[test]
        fn from_every_state_the_last_is_reached(
            states in proptest::collection::vec(hashes(), 1..8), popular in hashes(),
        ) {
            let mut before = Vec::new();
            let mut now: Option<Held> = None;
            for hashes in &states {
                let next = Held::new(hashes.iter().copied(), &popular);
                before.push((next.checksum(), next.prefixes().collect::<Vec<_>>()));
                now = Some(match now {
                    Some(old) => next.after(&old),
                    None => next,
                });
            }
            let now = now.unwrap();
            let all: Vec<Prefix> = now.prefixes().collect();
            prop_assert!(all.is_sorted_by(|a, b| a < b && !b.octets().starts_with(a.octets())));
            for (checksum, held) in before {
                let update = now.update_from(&checksum.0);
                prop_assert_ne!(&update, &Update::Full);
                prop_assert_eq!(carried_out(held, update, &now), all.clone());
            }
            for prefix in &all {
                prop_assert!(!popular.iter().any(|hash| hash.0.starts_with(prefix.octets())) || prefix.len == 32);
            }
            let short: Vec<u32> = now.short().map(u32::from_le_bytes).collect();
            let mut coded = now.coded().map_or(Ok(vec![]), Coded::numbers).unwrap();
            coded.sort_unstable_by_key(|number| number.swap_bytes());
            prop_assert_eq!(coded, short);
        }
    }
}
