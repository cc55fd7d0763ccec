//! A filter over the ids of one run: says "not there" without reading a page, and is wrong only in saying "perhaps".
//!
//! A Bloom filter of 256-bit blocks, so that a question touches one cache line. The block is found by the id's first
//! bits, which keeps a filter in the order of its run: it can be made and stored part by part while a run is
//! written, and halved later by joining neighbours. In memory each part is an allocation of its own, because all
//! parts of large runs are of nearly one size: the place of a merged run's filter serves the next one's, where single
//! pieces of many megabytes would leave holes.

/// Bytes of a block.
pub(super) const BLOCK: usize = 32;
/// Bits set for each id.
const BITS_SET: u32 = 6;

type Block = [u64; 4];

/// The filter of a run; without parts there is none.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// A power of two of them.
    parts: Vec<Box<[Block]>>,
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

/// An id's part among `parts`, and its block among that part's `blocks`.
fn place(id: u128, parts: usize, blocks: usize) -> (usize, usize) {
    let spread = (id >> 64) << parts.trailing_zeros();
    let within = u128::from(spread as u64) * blocks as u128;
    ((spread >> 64) as usize, (within >> 64) as usize)
}

/// The filter of one of `parts`, as stored; the ids are all of that part.
pub(super) fn part_of(ids: impl Iterator<Item = u128>, parts: u64, blocks: u64) -> Vec<u8> {
    let (parts, mut filled) = (parts as usize, vec![[0; 4]; blocks as usize]);
    for id in ids {
        let (_, block) = place(id, parts, filled.len());
        for (b, m) in filled[block].iter_mut().zip(mask(id)) {
            *b |= m;
        }
    }
    filled.iter().flatten().flat_map(|word: &u64| word.to_le_bytes()).collect()
}

impl Filter {
    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.parts.len() * self.parts.first().map_or(0, |part| part.len() * BLOCK)
    }

    /// Whether the id may be there.
    pub fn may_hold(&self, id: u128, mask: &Block) -> bool {
        let Some(first) = self.parts.first() else { return true };
        let (part, block) = place(id, self.parts.len(), first.len());
        let Some(block) = self.parts.get(part).and_then(|part| part.get(block)) else { return true };
        // All four words before one question: a branch for each would make the processor guess, and wait for memory
        // where it could ask about the next ids meanwhile.
        mask.iter().zip(block).fold(0, |missing, (m, b)| missing | m & !b) == 0
    }

    /// Adds what was stored of the next part.
    pub fn push(&mut self, bytes: &[u8]) {
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        let block = |block: &[u8; BLOCK]| {
            let (words, _) = block.as_chunks::<8>();
            std::array::from_fn(|i| u64::from_le_bytes(words[i]))
        };
        self.parts.push(blocks.iter().map(block).collect());
    }

    /// Half the size, more often "perhaps". False, and nothing done, where blocks do not pair.
    pub fn halve(&mut self) -> bool {
        let pairs_up = self.parts.iter().all(|part| !part.is_empty() && part.len().is_multiple_of(2));
        if pairs_up {
            for part in &mut self.parts {
                let (pairs, _) = part.as_chunks::<2>();
                *part = pairs.iter().map(|[a, b]| std::array::from_fn(|i| a[i] | b[i])).collect();
            }
        }
        pairs_up && !self.parts.is_empty()
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
        const PARTS: u64 = 8;
        let mut filter = Filter::default();
        for part in 0..PARTS {
            let of_part = (0..COUNT).map(id).filter(|id| (id >> 125) as u64 == part);
            filter.push(&part_of(of_part, PARTS, COUNT * 10 / 256 / PARTS / 2 * 2));
        }
        for most in [0.01, 0.1] {
            assert!((0..COUNT).all(|n| filter.may_hold(id(n), &mask(id(n)))));
            let wrong = (COUNT..3 * COUNT).filter(|n| filter.may_hold(id(*n), &mask(id(*n)))).count();
            let rate = wrong as f64 / (2 * COUNT) as f64;
            assert!(rate < most, "{rate}");
            assert!(filter.halve());
        }
        assert!(Filter::default().may_hold(1, &mask(1)), "no filter at all");
        assert!(!Filter::default().halve());
    }
}
