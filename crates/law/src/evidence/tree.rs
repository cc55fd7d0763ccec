//! The Merkle tree over entries (RFC 9162 section 2.1): an append-only frontier of O(log n) hashes for writing, and
//! inclusion proofs for showing one entry without the others.

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
        let mut carry = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                carry = node_hash(left, carry);
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

/// The path from a leaf to the root (RFC 9162 section 2.1.3.1), computed from all leaf hashes.
pub fn inclusion_path(index: usize, leaves: &[Digest]) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    walk(index, leaves, &mut path);
    Some(path)
}

fn walk(index: usize, leaves: &[Digest], path: &mut Vec<Digest>) {
    if leaves.len() <= 1 {
        return;
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    if index < split {
        walk(index, left, path);
        path.push(root_of(right));
    } else {
        walk(index - split, right, path);
        path.push(root_of(left));
    }
}

fn root_of(leaves: &[Digest]) -> Digest {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier.root()
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
            let path = inclusion_path(index, &leaves).unwrap();
            prop_assert_eq!(root_from_path(index as u64, count as u64, leaves[index], &path), Some(root));
            prop_assert_ne!(root_from_path(index as u64, count as u64, leaf_hash(b"other"), &path), Some(root));
            if count > 1 {
                let moved = (index + 1) % count;
                prop_assert_ne!(root_from_path(moved as u64, count as u64, leaves[index], &path), Some(root));
            }
        }
    }

    #[test]
    fn an_empty_tree_has_the_hash_of_nothing() {
        let root = Frontier::default().root().to_string();
        assert_eq!(root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn a_frontier_with_the_wrong_number_of_peaks_is_refused() {
        assert_eq!(Frontier::restore(3, vec![Digest::ZERO]), None);
    }
}
