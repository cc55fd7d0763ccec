//! Blocks of rows found by their keys: for what has no place in a [pool](crate::pool), because its keys are too many or too
//! far apart for arithmetic.
//!
//! ```text
//!   key ──ladder──▶ fences: first key of each block ──▶ block ──▶ rows of the key
//! ```

use std::io::{Read, Write};

use crate::block::{Block, Packed};
use crate::segment::bytes;

/// Rows found by their keys.
#[derive(Debug, Default)]
pub struct Section<K> {
    /// The first key of each block.
    pub fences: Vec<K>,
    /// Where each block begins in the bytes.
    pub offsets: Vec<u32>,
    ladder: Ladder,
}

/// A first guess where among the fences a key is: the keys cut into equal spans, with the first fence of each.
#[derive(Debug, Default)]
struct Ladder {
    low: u128,
    shift: u32,
    rungs: Vec<u32>,
}

impl Ladder {
    fn new<K: Copy + Ord + Into<u128>>(fences: &[K]) -> Self {
        let (Some(first), Some(last)) = (fences.first(), fences.last()) else { return Self::default() };
        let (low, high): (u128, u128) = ((*first).into(), (*last).into());
        let spans = fences.len() as u128;
        let shift = (0..128).find(|shift| (high - low) >> shift <= spans).unwrap_or(127);
        let count = ((high - low) >> shift) as usize + 1;
        let mut rungs = Vec::with_capacity(count + 1);
        for span in 0..=count as u128 {
            let begins = low.saturating_add(span << shift);
            rungs.push(fences.partition_point(|fence| (*fence).into() < begins) as u32);
        }
        Self { low, shift, rungs }
    }

    /// Between which fences the first that is not before the key lies.
    #[inline]
    fn within(&self, key: u128) -> (usize, usize) {
        let span = (key.saturating_sub(self.low) >> self.shift).min(u128::from(u32::MAX)) as usize;
        match (self.rungs.get(span), self.rungs.get(span + 1)) {
            (Some(from), Some(to)) => (*from as usize, *to as usize),
            // Beyond the last: there is no such fence.
            _ => self.rungs.last().map_or((0, 0), |end| (*end as usize, *end as usize)),
        }
    }
}

impl<K: Copy + Ord + Into<u128>> Section<K> {
    /// Says that there are no more blocks.
    pub fn index(&mut self) {
        self.ladder = Ladder::new(&self.fences);
    }

    /// Bytes it takes in memory.
    pub fn memory(&self) -> usize {
        self.fences.capacity() * size_of::<K>() + (self.offsets.capacity() + self.ladder.rungs.capacity()) * 4
    }

    /// Writes it, to be read by [`Section::read`].
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        out.write_all(&(self.fences.len() as u64).to_le_bytes())?;
        for (fence, offset) in self.fences.iter().zip(&self.offsets) {
            out.write_all(&Into::<u128>::into(*fence).to_le_bytes()[..size_of::<K>()])?;
            out.write_all(&offset.to_le_bytes())?;
        }
        Ok(())
    }

    /// Reads one.
    pub fn read<const N: usize>(from: &mut impl Read, key: fn([u8; N]) -> K) -> std::io::Result<Self> {
        let count = u64::from_le_bytes(bytes(from)?);
        let (mut fences, mut offsets) = (Vec::new(), Vec::new());
        for _ in 0..count {
            fences.push(key(bytes(from)?));
            offsets.push(u32::from_le_bytes(bytes(from)?));
        }
        fences.shrink_to_fit();
        offsets.shrink_to_fit();
        let ladder = Ladder::new(&fences);
        Ok(Self { fences, offsets, ladder })
    }

    /// The first block that may have the key.
    #[inline]
    fn first(&self, key: K) -> usize {
        let (from, to) = self.ladder.within(key.into());
        let fences = self.fences.get(from..to).unwrap_or_default();
        (from + fences.partition_point(|fence| *fence < key)).saturating_sub(1)
    }

    /// Rows of one key.
    #[inline]
    pub fn at(&self, bytes: &[u8], key: K, mut each: impl FnMut(Packed)) {
        let from = self.first(key);
        for (fence, offset) in self.fences[from..].iter().zip(&self.offsets[from..]) {
            if *fence > key {
                return;
            }
            let block = Block::new(bytes.get(*offset as usize..).unwrap_or_default(), (*fence).into());
            block.at(key.into(), |row| each(block.row(row, key.into())));
        }
    }

    /// Rows of a range of keys.
    pub fn scan(&self, bytes: &[u8], low: K, high: K, mut each: impl FnMut(Packed)) {
        let from = self.first(low);
        for (fence, offset) in self.fences[from..].iter().zip(&self.offsets[from..]) {
            if *fence > high {
                return;
            }
            let block = Block::new(bytes.get(*offset as usize..).unwrap_or_default(), (*fence).into());
            block.within(low.into(), high.into(), |row, key| each(block.row(row, key)));
        }
    }
}
