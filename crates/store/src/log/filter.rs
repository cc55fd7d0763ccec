//! A filter over the ids of one run: says "not there" without reading a page, and is wrong only in saying "perhaps".
//!
//! A Bloom filter of 256-bit blocks, so that a question touches one cache line. The block is found by the id's first
//! bits, which keeps a filter in the order of its run: it can be made and stored part by part while a run is
//! written, and halved later by joining neighbours.

/// Bytes of a block.
pub(super) const BLOCK: usize = 32;
/// Bits set for each id.
const BITS_SET: u32 = 6;

/// The filter of a run.
#[derive(Debug, Default)]
pub(super) struct Filter {
    blocks: Vec<[u64; 4]>,
}

/// An id's bits within its block: made once for an id that many filters are asked about.
pub(super) fn mask(id: u128) -> [u64; 4] {
    let mut rest = id as u64;
    let mut mask = [0; 4];
    for _ in 0..BITS_SET {
        mask[rest as usize >> 6 & 3] |= 1 << (rest & 63);
        rest >>= 8;
    }
    mask
}

/// An id's block among `blocks`.
fn place(id: u128, blocks: usize) -> usize {
    (((id >> 64) * blocks as u128) >> 64) as usize
}

impl Filter {
    /// `blocks` empty blocks.
    pub fn new(blocks: usize) -> Self {
        Self { blocks: vec![[0; 4]; blocks] }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK
    }

    /// Whether the id may be there. Without any block there is no filter, and everything may.
    pub fn may_hold(&self, id: u128, mask: &[u64; 4]) -> bool {
        let Some(block) = self.blocks.get(place(id, self.blocks.len())) else { return true };
        // All four words before one question: a branch for each would make the processor guess, and wait for memory
        // where it could ask about the next ids meanwhile.
        mask.iter().zip(block).fold(0, |missing, (m, b)| missing | m & !b) == 0
    }

    /// Adds an id to a stretch of the filter that begins at `first` of `all` blocks.
    pub fn insert(&mut self, id: u128, first: usize, all: usize) {
        if let Some(block) = self.blocks.get_mut(place(id, all).wrapping_sub(first)) {
            for (b, m) in block.iter_mut().zip(mask(id)) {
                *b |= m;
            }
        }
    }

    /// As stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Appends what was stored of the next stretch.
    pub fn extend(&mut self, bytes: &[u8]) {
        let word = |block: &[u8], i: usize| {
            block[i * 8..i * 8 + 8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        let (whole, _) = bytes.as_chunks::<BLOCK>();
        self.blocks.extend(whole.iter().map(|block| std::array::from_fn(|i| word(block, i))));
    }

    /// Makes room for as many blocks, exactly.
    pub fn reserve(&mut self, blocks: usize) {
        self.blocks.reserve_exact(blocks);
    }

    /// Half the size, more often "perhaps". False, and nothing done, where blocks do not pair.
    pub fn halve(&mut self) -> bool {
        let (pairs, rest) = self.blocks.as_chunks::<2>();
        let pairs_up = rest.is_empty() && !pairs.is_empty();
        if pairs_up {
            self.blocks = pairs.iter().map(|[a, b]| std::array::from_fn(|i| a[i] | b[i])).collect();
        }
        pairs_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> u128 {
        u128::from(n + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
            .rotate_left(61)
            .wrapping_mul(0xD6E8_FEB8_6659_FD93_A3B1_9535_4A39_B70D)
            ^ u128::from(n) << 3
    }

    #[test]
    fn never_wrong_in_saying_no_and_seldom_in_saying_perhaps_even_when_halved() {
        const COUNT: u64 = 100_000;
        let blocks = COUNT as usize * 12 / 256 / 2 * 2;
        let mut filter = Filter::new(blocks);
        (0..COUNT).for_each(|n| filter.insert(id(n), 0, blocks));
        for most in [0.015, 0.12] {
            assert!((0..COUNT).all(|n| filter.may_hold(id(n), &mask(id(n)))));
            let wrong = (COUNT..3 * COUNT).filter(|n| filter.may_hold(id(*n), &mask(id(*n)))).count();
            let rate = wrong as f64 / (2 * COUNT) as f64;
            assert!(rate < most, "{rate}");
            filter.halve();
        }
        let mut read = Filter::default();
        read.extend(&filter.to_bytes());
        assert_eq!(read.blocks, filter.blocks);
        assert!(Filter::default().may_hold(1, &mask(1)), "no filter at all");
    }
}
