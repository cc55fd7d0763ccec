//! The log as tiles (C2SP `tlog-tiles`): the tree's hashes and the entries as files of 256, whose names and bytes follow from
//! the log alone, so that any web server serves them and any client makes every proof of them itself.
//!
//! ```text
//!   entries  ─256─▶ tile/entries/000        the entries themselves, each after its length
//!   leaves   ─256─▶ tile/0/000 ─its root─┐
//!                   tile/0/001 ─its root─┼256─▶ tile/1/000 ─its root─▶ … a level up for each 256
//!   the last of a level is partial: tile/0/002.p/17
//! ```
//!
//! Everything here is a function of a size and of hashes; where tiles lie is for others to say.

use std::collections::BTreeMap;
use std::fmt;

use super::Digest;
use super::tree::{Subtrees, range_root};

/// Hashes in a full tile.
pub const WIDTH: u64 = 256;
/// Height of the tree within a tile: 256 = 2⁸.
pub const HEIGHT: u32 = 8;
/// Longest entry: its length is written in 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// Where the newest signed checkpoint lies beside the tiles.
pub const CHECKPOINT: &str = "checkpoint";

/// One tile: so many hashes from `256 · index` on of a level's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// 0 holds leaf hashes; above, each hash is the root of a full tile of the level below.
    pub level: u32,
    /// Which of its level.
    pub index: u64,
    /// How many hashes, 1 to 256.
    pub width: u64,
}

impl Tile {
    /// A tile as it is in a tree of a size, if that has it.
    pub fn of(level: u32, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(level * HEIGHT)?;
        let width = hashes.checked_sub(index.checked_mul(WIDTH)?)?.min(WIDTH);
        (width > 0).then_some(Self { level, index, width })
    }

    /// All tiles of a tree, level by level.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        Self::since(0, size)
    }

    /// The tiles that a tree of `size` has and the same tree of `old` entries had not, level by level.
    pub fn since(old: u64, size: u64) -> impl Iterator<Item = Self> {
        (0..u64::BITS / HEIGHT).flat_map(move |level| {
            let (had, has) = (old >> (level * HEIGHT), size >> (level * HEIGHT));
            let first = if had == has { has.div_ceil(WIDTH) } else { had / WIDTH };
            (first..has.div_ceil(WIDTH)).filter_map(move |index| Self::of(level, index, size))
        })
    }

    /// Whether it will not grow any more.
    pub fn is_full(self) -> bool {
        self.width == WIDTH
    }

    /// The index of its first hash in the level's row.
    pub fn first(self) -> u64 {
        self.index * WIDTH
    }

    /// `tile/1/x001/234` or, while it is partial, `tile/1/x001/234.p/17`.
    pub fn path(self) -> String {
        self.below(&self.level.to_string())
    }

    /// Where the entries lie that a tile of level 0 has the hashes of.
    pub fn entries_path(self) -> String {
        self.below("entries")
    }

    fn below(self, folder: &str) -> String {
        let mut path = format!("tile/{folder}/");
        let thousands = std::iter::successors(Some(self.index), |n| Some(n / 1000).filter(|n| *n > 0));
        let parts: Vec<u64> = thousands.map(|n| n % 1000).collect();
        for (place, part) in parts.iter().enumerate().rev() {
            path.push_str(&if place > 0 { format!("x{part:03}/") } else { format!("{part:03}") });
        }
        if !self.is_full() {
            path.push_str(&format!(".p/{}", self.width));
        }
        path
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// The bytes of a tile.
pub fn to_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Reads a tile's bytes; `None` where they are not as many hashes as it has.
pub fn from_bytes(tile: Tile, bytes: &[u8]) -> Option<Vec<Digest>> {
    let hashes: Vec<Digest> = bytes.chunks(32).map(Digest::from_slice).collect::<Option<_>>()?;
    (hashes.len() as u64 == tile.width).then_some(hashes)
}

/// The bytes of a bundle of entries, each after its length; `None` where one is too long.
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Some(out)
}

/// Takes a bundle apart; `None` where it ends in the middle of an entry.
pub fn unbundle(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

/// Why a hash cannot be had from tiles.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E: std::error::Error + 'static> {
    /// Where they come from failed.
    #[error(transparent)]
    Source(E),
    /// A tile has fewer hashes than the tree's size says, or is not of this tree.
    #[error("{0} is not the tile of a tree of this size")]
    Short(Tile),
}

/// A tree of a size read through its tiles; each is fetched once.
#[derive(Debug)]
pub struct Tiled<F> {
    size: u64,
    fetch: F,
    fetched: BTreeMap<(u32, u64), Vec<Digest>>,
}

impl<F> Tiled<F> {
    /// Over whatever gives the hashes of a tile.
    pub fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch, fetched: BTreeMap::new() }
    }
}

impl<F, E> Subtrees for Tiled<F>
where
    F: FnMut(Tile) -> Result<Vec<Digest>, E>,
    E: std::error::Error + 'static,
{
    type Error = TileError<E>;

    fn subtree(&mut self, height: u32, index: u64) -> Result<Digest, Self::Error> {
        // The subtree's leaves within its tile: 2^within hashes of one row, side by side.
        let (level, within) = (height / HEIGHT, height % HEIGHT);
        let first = index << within;
        let at = first / WIDTH;
        let none = TileError::Short(Tile { level, index: at, width: WIDTH });
        let Some(tile) = Tile::of(level, at, self.size) else { return Err(none) };
        if !self.fetched.contains_key(&(level, at)) {
            let hashes = (self.fetch)(tile).map_err(TileError::Source)?;
            self.fetched.insert((level, at), hashes);
        }
        let hashes = self.fetched.get(&(level, at)).map_or(&[][..], Vec::as_slice);
        let from = (first % WIDTH) as usize;
        let mut leaves = hashes.get(from..from + (1 << within)).ok_or(none)?;
        let count = leaves.len() as u64;
        range_root(0, count, &mut leaves).map_err(|_| TileError::Short(tile))
    }
}

/// The root of a full tile, which is its hash in the level above.
pub fn root(hashes: &[Digest]) -> Option<Digest> {
    let mut leaves = hashes;
    range_root(0, hashes.len() as u64, &mut leaves).ok().filter(|_| hashes.len() as u64 == WIDTH)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::super::tree::{Frontier, consistency_path, inclusion_path, leaf_hash};
    use super::*;

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    /// All tiles of a tree, by their definition: MTH(D[(n · 256 + i) · 256^l : (n · 256 + i + 1) · 256^l]).
    fn by_definition(leaves: &[Digest]) -> BTreeMap<Tile, Vec<Digest>> {
        let size = leaves.len() as u64;
        let row = |tile: Tile| {
            let span = WIDTH.pow(tile.level);
            let hash =
                |i: u64| range_root((tile.first() + i) * span, (tile.first() + i + 1) * span, &mut &*leaves);
            (0..tile.width).map(|i| hash(i).unwrap()).collect()
        };
        Tile::all(size).map(|tile| (tile, row(tile))).collect()
    }

    fn tiled(leaves: &[Digest]) -> Tiled<impl FnMut(Tile) -> Result<Vec<Digest>, Infallible>> {
        let tiles = by_definition(leaves);
        Tiled::new(leaves.len() as u64, move |tile| Ok(tiles[&tile].clone()))
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let at = |level, index, width| Tile { level, index, width };
        for (tile, path) in [
            (at(0, 0, 256), "tile/0/000"),
            (at(0, 273, 112), "tile/0/273.p/112"),
            (at(1, 999, 256), "tile/1/999"),
            (at(1, 1000, 256), "tile/1/x001/000"),
            (at(2, 1_234_067, 256), "tile/2/x001/x234/067"),
            (at(0, 1_000_000, 1), "tile/0/x001/x000/000.p/1"),
        ] {
            assert_eq!(tile.path(), path);
        }
        assert_eq!(at(0, 1_234_067, 7).entries_path(), "tile/entries/x001/x234/067.p/7");
    }

    #[test]
    fn a_tree_has_the_tiles_of_the_specifications_examples() {
        let told = |size: u64| {
            let (full, partial): (Vec<Tile>, Vec<Tile>) = Tile::all(size).partition(|tile| tile.is_full());
            let full = (0..8).map(|level| full.iter().filter(|tile| tile.level == level).count());
            let partial: Vec<(u32, u64)> = partial.iter().map(|tile| (tile.level, tile.width)).collect();
            (full.filter(|count| *count > 0).collect::<Vec<_>>(), partial)
        };
        assert_eq!(told(70_000), (vec![273, 1], vec![(0, 112), (1, 17), (2, 1)]));
        assert_eq!(told(256), (vec![1], vec![(1, 1)]));
        assert_eq!(told(0), (vec![], vec![]));
        assert_eq!(told(1), (vec![], vec![(0, 1)]));
    }

    #[test]
    fn the_largest_tree_has_tiles_of_eight_levels() {
        assert_eq!(Tile::of(7, 0, u64::MAX).map(|tile| tile.width), Some(255));
        assert_eq!(Tile::of(8, 0, u64::MAX), None);
        assert_eq!(Tile::of(0, u64::MAX / 2, u64::MAX), None);
    }

    #[test]
    fn a_torn_bundle_or_tile_is_none_and_so_is_an_entry_too_long() {
        assert_eq!(unbundle(&[0, 2, 7]), None);
        assert_eq!(unbundle(&[0]), None);
        assert_eq!(bundle([vec![0; ENTRY_BYTES_MAX + 1].as_slice()]), None);
        let tile = Tile { level: 0, index: 0, width: 2 };
        assert_eq!(from_bytes(tile, &[0; 63]), None);
        assert_eq!(from_bytes(tile, &[0; 96]), None);
        assert_eq!(from_bytes(tile, &[0; 64]), Some(vec![Digest::ZERO; 2]));
    }

    #[test]
    fn a_tile_that_is_too_short_is_told() {
        let mut short = Tiled::new(5, |_| Ok::<_, Infallible>(leaves(3)));
        let tile = Tile { level: 0, index: 0, width: 5 };
        assert!(matches!(short.subtree(0, 4), Err(TileError::Short(t)) if t.index == tile.index));
        assert!(short.subtree(0, 2).is_ok());
        assert!(short.subtree(3, 0).is_err(), "eight leaves of five");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn proofs_of_tiles_are_those_of_the_leaves(size in 1u64..70_000, index in any::<u64>(), old in any::<u64>()) {
            let leaves = leaves(size);
            let (index, old) = (index % size, old % size + 1);
            let mut tiled = tiled(&leaves);
            prop_assert_eq!(
                inclusion_path(index, size, &mut tiled).unwrap(),
                inclusion_path(index, size, &mut leaves.as_slice()).unwrap()
            );
            prop_assert_eq!(
                consistency_path(old, size, &mut tiled).unwrap(),
                consistency_path(old, size, &mut leaves.as_slice()).unwrap()
            );
            let mut frontier = Frontier::default();
            leaves.iter().for_each(|leaf| frontier.append(*leaf));
            prop_assert_eq!(range_root(0, size, &mut tiled).unwrap(), frontier.root());
        }

        #[test]
        fn what_is_new_since_a_size_is_what_the_smaller_tree_had_not(old in 0u64..200_000, more in 0u64..200_000) {
            let had: Vec<Tile> = Tile::all(old).collect();
            let new: Vec<Tile> = Tile::all(old + more).filter(|tile| !had.contains(tile)).collect();
            prop_assert_eq!(Tile::since(old, old + more).collect::<Vec<_>>(), new);
        }

        #[test]
        fn a_bundle_comes_apart_as_it_was_put_together(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)
        ) {
            let bytes = bundle(entries.iter().map(Vec::as_slice)).unwrap();
            prop_assert_eq!(unbundle(&bytes).unwrap(), entries);
        }
    }
}
