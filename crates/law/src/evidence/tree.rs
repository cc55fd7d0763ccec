//! The Merkle tree over entries (RFC 9162 section 2.1): an append-only frontier of O(log n) hashes for writing, inclusion
//! proofs for showing one entry without the others, and consistency proofs for showing that the log only grew.
//!
//! Proofs are made of hashes of perfect subtrees, wherever those come from ([`Subtrees`]): all leaves, or stored tiles.

use super::Digest;

/// Hash of an entry's bytes: SHA-256(0x00 ‖ entry), RFC 9162 section 2.1.1.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(&[0]);
    context.update(entry);
    finish(context)
}

fn node_hash(left: Digest, right: Digest) -> Digest {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(&[1]);
    context.update(&left.0);
    context.update(&right.0);
    finish(context)
}

fn finish(context: ring::digest::Context) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Digest(out)
}

/// The right edge of the tree: the roots of its perfect subtrees, largest first. All that is needed to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// Rebuilds a frontier from storage; there is one peak per set bit of the size.
    pub fn restore(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() as u32 == size.count_ones()).then_some(Self { size, peaks })
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The stored form.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Adds one leaf.
    pub fn append(&mut self, leaf: Digest) {
        self.append_telling(leaf, &mut |_, _, _| {});
    }

    /// Adds one leaf and tells of each perfect subtree that it completes: its height, its place in the row of subtrees of
    /// that height, its root.
    pub fn append_telling(&mut self, leaf: Digest, told: &mut impl FnMut(u32, u64, Digest)) {
        let mut carry = leaf;
        told(0, self.size, leaf);
        for height in 1..=self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                carry = node_hash(left, carry);
                told(height, self.size >> height, carry);
            }
        }
        self.peaks.push(carry);
        self.size += 1;
    }

    /// The root over all leaves; the hash of nothing for an empty tree.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Digest::of(b"") };
        peaks.fold(*last, |right, left| node_hash(*left, right))
    }
}

/// Where the roots of perfect subtrees come from.
pub trait Subtrees {
    /// Why one cannot be had.
    type Error;

    /// The root over the `2^height` leaves from `index · 2^height` on.
    fn subtree(&mut self, height: u32, index: u64) -> Result<Digest, Self::Error>;
}

/// The leaves asked for are not all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the leaves from {from} on are not all there")]
pub struct Beyond {
    /// The first leaf asked for.
    pub from: u64,
}

impl Subtrees for &[Digest] {
    type Error = Beyond;

    fn subtree(&mut self, height: u32, index: u64) -> Result<Digest, Beyond> {
        let from = index.checked_shl(height).filter(|from| from >> height == index);
        let range = from.and_then(|from| {
            let end = from.checked_add(1_u64.checked_shl(height)?)?;
            self.get(usize::try_from(from).ok()?..usize::try_from(end).ok()?)
        });
        range.map(root_of).ok_or(Beyond { from: from.unwrap_or(u64::MAX) })
    }
}

/// The root over the leaves of a range, as the tree's own shape has it: `from` is where the tree splits.
pub fn range_root<T: Subtrees>(from: u64, to: u64, trees: &mut T) -> Result<Digest, T::Error> {
    let count = to - from;
    if count == 0 {
        return Ok(Digest::of(b""));
    }
    if count.is_power_of_two() && from.is_multiple_of(count) {
        return trees.subtree(count.trailing_zeros(), from / count);
    }
    let middle = from + split(count);
    Ok(node_hash(range_root(from, middle, trees)?, range_root(middle, to, trees)?))
}

/// The largest power of two below a count of two or more: where the tree over so many leaves splits.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The path from a leaf to the root over `size` leaves (RFC 9162 section 2.1.3.1); `None` for a leaf that the tree has not.
pub fn inclusion_path<T: Subtrees>(
    index: u64,
    size: u64,
    trees: &mut T,
) -> Result<Option<Vec<Digest>>, T::Error> {
    if index >= size {
        return Ok(None);
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range_root(middle, to, trees)?);
            to = middle;
        } else {
            path.push(range_root(from, middle, trees)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// What shows that the tree over `old` leaves is the beginning of the tree over `new` (RFC 9162 section 2.1.4.1); `None`
/// where it cannot be. Empty where there is nothing to show.
pub fn consistency_path<T: Subtrees>(
    old: u64,
    new: u64,
    trees: &mut T,
) -> Result<Option<Vec<Digest>>, T::Error> {
    if old > new {
        return Ok(None);
    }
    if old == 0 {
        return Ok(Some(Vec::new()));
    }
    // `left` of the leaves looked at are old ones; while none were left out, their root is known to whoever verifies.
    let (mut from, mut to, mut left, mut path) = (0, new, old, Vec::new());
    while left != to - from {
        let middle = from + split(to - from);
        if left <= middle - from {
            path.push(range_root(middle, to, trees)?);
            to = middle;
        } else {
            path.push(range_root(from, middle, trees)?);
            left -= middle - from;
            from = middle;
        }
    }
    if from > 0 {
        path.push(range_root(from, to, trees)?);
    }
    path.reverse();
    Ok(Some(path))
}

fn root_of(leaves: &[Digest]) -> Digest {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier.root()
}

/// Whether a path shows that the tree with the second size and root is the first one, grown (RFC 9162 section 2.1.4.2).
pub fn is_grown(old: (u64, Digest), new: (u64, Digest), path: &[Digest]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 || old_size >= new_size {
        let same = old_size == new_size && old_root == new_root;
        let from_nothing = old_size == 0 && new_size > 0 && old_root == Digest::of(b"");
        return path.is_empty() && (same || from_nothing);
    }
    let mut steps = path.iter().copied();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { steps.next() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    let odd = node.trailing_ones();
    (node, last) = (node >> odd, last >> odd);
    let (mut old_hash, mut new_hash) = (first, first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(step, old_hash);
            new_hash = node_hash(step, new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(new_hash, step);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    old_hash == old_root && new_hash == new_root && last == 0
}

/// The root that a path implies (RFC 9162 section 2.1.3.2), or `None` where the path has the wrong length.
pub fn root_from_path(index: u64, size: u64, leaf: Digest, path: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(*sibling, hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(hash, *sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    fn joined(path: &[Digest]) -> Vec<u8> {
        path.iter().flat_map(|d| d.0).collect()
    }

    fn peer(entries: &[Vec<u8>]) -> MemoryBackedTree<Sha256, Vec<u8>> {
        let mut tree = MemoryBackedTree::new();
        entries.iter().for_each(|e| tree.push(e.clone()));
        tree
    }

    proptest! {
        #[test]
        fn roots_equal_those_of_an_independent_implementation(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..70)
        ) {
            let mut frontier = Frontier::default();
            entries.iter().for_each(|e| frontier.append(leaf_hash(e)));
            let root = frontier.root();
            let theirs = peer(&entries).root();
            prop_assert_eq!(&root.0[..], &theirs.as_bytes()[..]);
            let again = Frontier::restore(frontier.size(), frontier.peaks().to_vec());
            prop_assert_eq!(again, Some(frontier));
        }

        #[test]
        fn every_entry_has_a_path_and_no_other_entry_fits_it(count in 1usize..70, seed in any::<usize>()) {
            let leaves: Vec<Digest> = (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let root = root_of(&leaves);
            let index = seed % count;
            let path = inclusion_path(index as u64, count as u64, &mut leaves.as_slice()).unwrap().unwrap();
            prop_assert_eq!(root_from_path(index as u64, count as u64, leaves[index], &path), Some(root));
            prop_assert_ne!(root_from_path(index as u64, count as u64, leaf_hash(b"other"), &path), Some(root));
            if count > 1 {
                let moved = (index + 1) % count;
                prop_assert_ne!(root_from_path(moved as u64, count as u64, leaves[index], &path), Some(root));
            }
            let theirs = peer(&(0..count).map(|i| i.to_be_bytes().to_vec()).collect::<Vec<_>>());
            prop_assert_eq!(joined(&path), theirs.prove_inclusion(index).as_bytes().to_vec());
        }

        #[test]
        fn growth_is_shown_as_an_independent_implementation_shows_it_and_nothing_else_passes(
            old in 1usize..80, more in 0usize..80, at in any::<usize>()
        ) {
            let new = old + more;
            let leaves: Vec<Digest> = (0..new).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let heads = [old, new].map(|n| (n as u64, root_of(&leaves[..n])));
            let path = consistency_path(old as u64, new as u64, &mut leaves.as_slice()).unwrap().unwrap();
            prop_assert!(is_grown(heads[0], heads[1], &path));
            if more > 0 {
                let theirs = peer(&(0..new).map(|i| i.to_be_bytes().to_vec()).collect::<Vec<_>>());
                prop_assert_eq!(joined(&path), theirs.prove_consistency(more).as_bytes().to_vec());
                prop_assert!(!is_grown(heads[1], heads[0], &path));
            }
            let forked = (heads[0].0, leaf_hash(b"another history"));
            prop_assert!(!is_grown(forked, heads[1], &path));
            prop_assert!(!is_grown(heads[0], (heads[1].0, forked.1), &path));
            let mut long = path.clone();
            long.push(Digest::ZERO);
            prop_assert!(!is_grown(heads[0], heads[1], &long));
            if !path.is_empty() {
                let mut changed = path.clone();
                let at = at % path.len();
                changed[at].0[at % 32] ^= 1;
                prop_assert!(!is_grown(heads[0], heads[1], &changed));
                prop_assert!(!is_grown(heads[0], heads[1], &path[1..]));
            }
        }

        #[test]
        fn a_leaf_tells_of_every_subtree_that_it_completes(count in 1u64..600) {
            let leaves: Vec<Digest> = (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let mut frontier = Frontier::default();
            let mut told = 0;
            for leaf in &leaves {
                frontier.append_telling(*leaf, &mut |height, index, root| {
                    told += 1;
                    assert_eq!(leaves.as_slice().subtree(height, index), Ok(root));
                });
            }
            prop_assert_eq!(told, (0..10).map(|height| count >> height).sum::<u64>());
            prop_assert_eq!(range_root(0, count, &mut leaves.as_slice()), Ok(frontier.root()));
        }
    }

    #[test]
    fn an_empty_tree_has_the_hash_of_nothing() {
        let root = Frontier::default().root().to_string();
        assert_eq!(root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn growth_from_nothing_needs_no_path_and_what_shrank_has_none() {
        let nothing = (0, Digest::of(b""));
        let leaves = [leaf_hash(b"a"), leaf_hash(b"b")];
        let both = (2, root_of(&leaves));
        assert_eq!(consistency_path(0, 2, &mut leaves.as_slice()), Ok(Some(vec![])));
        assert!(is_grown(nothing, both, &[]) && is_grown(nothing, nothing, &[]));
        assert!(!is_grown((0, Digest::ZERO), both, &[]) && !is_grown(nothing, (0, Digest::ZERO), &[]));
        assert!(!is_grown(nothing, both, &[Digest::ZERO]));
        assert_eq!(consistency_path(2, 1, &mut leaves.as_slice()), Ok(None));
        assert_eq!(inclusion_path(2, 2, &mut leaves.as_slice()), Ok(None));
        assert_eq!(inclusion_path(0, 3, &mut leaves.as_slice()), Err(Beyond { from: 2 }));
    }

    #[test]
    fn a_frontier_with_the_wrong_number_of_peaks_is_refused() {
        assert_eq!(Frontier::restore(3, vec![Digest::ZERO]), None);
    }
}
