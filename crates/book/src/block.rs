//! Some dozens of rows, packed: each column in as few bits as its largest number needs.
//!
//! ```text
//!   header │ key steps │ row 0: gone, duration, tail, line, server, extent, start doubt, end doubt │ row 1 │ …
//! ```
//!
//! Keys are together, since looking for one reads them all; a row is together, since who finds its key reads the row.
//!
//! Rows are in the order of their keys, so keys are steps from one to the next; a pool of addresses that is in use steps by
//! one or two. What is the same in all rows of a block (one server, no doubts) takes no bits at all.

use super::bits::{BitWriter, get, width};

/// Rows of a block.
pub const BLOCK_ROWS: usize = 64;
const COLUMNS: usize = 9;
const HEADER: usize = 2 + COLUMNS + 4 + 4 + 4;

/// A row as a block has it: relative to its key and to the segment's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Packed {
    /// Where it is looked up. See [`super::segment`].
    pub key: u128,
    /// Seconds from the day's beginning to when it was surely over.
    pub gone: u32,
    /// Seconds from its start to when it was surely over.
    pub duration: u32,
    /// Seconds from its certain end to when it was surely over.
    pub tail: u32,
    /// The line's number.
    pub line: u32,
    /// The server's number.
    pub server: u32,
    /// How much was held from the key on. See [`super::segment`].
    pub extent: u32,
    /// Seconds.
    pub start_doubt: u32,
    /// Seconds.
    pub end_doubt: u32,
}

/// Packs rows, in the order of their keys, at most [`BLOCK_ROWS`]; the first key is kept by the caller.
pub fn pack(rows: &[Packed]) -> Vec<u8> {
    let bases = Bases {
        gone: rows.iter().map(|r| r.gone).min().unwrap_or(0),
        server: rows.iter().map(|r| r.server).min().unwrap_or(0),
        extent: rows.iter().map(|r| r.extent).min().unwrap_or(0),
    };
    let steps: Vec<u128> =
        std::iter::once(0).chain(rows.windows(2).map(|pair| pair[1].key - pair[0].key)).collect();
    let shift = steps.iter().filter(|s| **s > 0).map(|s| s.trailing_zeros()).min().unwrap_or(0);
    // A step of more than 64 bits (between two IPv6 prefixes far apart) ends the block; see `fits`.
    let column = |which: usize, at: usize| {
        let r = &rows[at];
        match which {
            0 => (steps[at] >> shift) as u64,
            1 => u64::from(r.gone - bases.gone),
            2 => r.duration.into(),
            3 => r.tail.into(),
            4 => r.line.into(),
            5 => u64::from(r.server - bases.server),
            6 => u64::from(r.extent - bases.extent),
            7 => r.start_doubt.into(),
            _ => r.end_doubt.into(),
        }
    };
    let mut bytes = vec![rows.len() as u8, shift as u8];
    let mut widths = [0; COLUMNS];
    for (which, place) in widths.iter_mut().enumerate() {
        *place = (0..rows.len()).map(|at| width(column(which, at))).max().unwrap_or(0);
    }
    bytes.extend(widths.iter().map(|width| *width as u8));
    for base in [bases.gone, bases.server, bases.extent] {
        bytes.extend(base.to_le_bytes());
    }
    let mut writer = BitWriter::default();
    (0..rows.len()).for_each(|at| writer.put(column(0, at), widths[0]));
    for at in 0..rows.len() {
        (1..COLUMNS).for_each(|which| writer.put(column(which, at), widths[which]));
    }
    bytes.extend(writer.finish());
    bytes
}

/// Whether a row can follow another in one block.
pub fn fits(before: u128, next: u128) -> bool {
    next - before <= u128::from(u64::MAX)
}

struct Bases {
    gone: u32,
    server: u32,
    extent: u32,
}

/// A packed block, read where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    bytes: &'a [u8],
    first: u128,
    rows: usize,
    shift: u32,
    widths: [u8; COLUMNS],
    /// Bits of a row without its key.
    row_bits: usize,
    gone: u32,
    server: u32,
    extent: u32,
}

impl<'a> Block<'a> {
    /// The block at the beginning of `bytes`, whose first key is `first`. A damaged one has no rows.
    pub fn new(bytes: &'a [u8], first: u128) -> Self {
        let header: &[u8; HEADER] = bytes.first_chunk().unwrap_or(&[0; HEADER]);
        let mut widths = [0; COLUMNS];
        widths.copy_from_slice(&header[2..2 + COLUMNS]);
        widths.iter_mut().for_each(|width| *width = (*width).min(64));
        let rows = usize::from(header[0]);
        let row_bits = widths[1..].iter().map(|width| usize::from(*width)).sum();
        let base = |n: usize| {
            let from = 2 + COLUMNS + 4 * n;
            u32::from_le_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]])
        };
        let shift = u32::from(header[1]).min(127);
        Self { bytes, first, rows, shift, widths, row_bits, gone: base(0), server: base(1), extent: base(2) }
    }

    /// Calls `each` with the number and key of every row whose key is within.
    #[inline]
    pub fn within(&self, low: u128, high: u128, mut each: impl FnMut(usize, u128)) {
        let (mut key, width, mut at) = (self.first, usize::from(self.widths[0]), HEADER * 8);
        for row in 0..self.rows {
            key = key.wrapping_add(u128::from(get(self.bytes, at, width as u32)) << self.shift);
            at += width;
            if key > high {
                return;
            }
            if key >= low {
                each(row, key);
            }
        }
    }

    /// Calls `each` with the number of every row of this key.
    #[inline]
    pub fn at(&self, key: u128, mut each: impl FnMut(usize)) {
        let Some(ahead) = key.checked_sub(self.first) else { return };
        let Ok(steps) = u64::try_from(ahead >> self.shift) else { return };
        if u128::from(steps) << self.shift != ahead {
            return;
        }
        let (mut here, width, mut at) = (0u64, u32::from(self.widths[0]), HEADER * 8);
        for row in 0..self.rows {
            here = here.saturating_add(get(self.bytes, at, width));
            at += width as usize;
            if here >= steps {
                if here > steps {
                    return;
                }
                each(row);
            }
        }
    }

    /// One row, whose key `within` told.
    #[inline]
    pub fn row(&self, row: usize, key: u128) -> Packed {
        let mut at = HEADER * 8 + self.rows * usize::from(self.widths[0]) + row * self.row_bits;
        let mut next = |column: usize| {
            let width = u32::from(self.widths[column]);
            let value = get(self.bytes, at, width) as u32;
            at += width as usize;
            value
        };
        Packed {
            key,
            gone: self.gone.wrapping_add(next(1)),
            duration: next(2),
            tail: next(3),
            line: next(4),
            server: self.server.wrapping_add(next(5)),
            extent: self.extent.wrapping_add(next(6)),
            start_doubt: next(7),
            end_doubt: next(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bits::SLACK;
    use super::*;

    fn rows() -> impl Strategy<Value = Vec<Packed>> {
        let one = (any::<u64>(), any::<[u32; 8]>(), 0u32..32).prop_map(|(key, n, cut)| Packed {
            key: u128::from(key >> (cut * 2)) << 16,
            gone: n[0] >> cut,
            duration: n[1] >> cut,
            tail: n[2] >> cut,
            line: n[3] >> cut,
            server: n[4] >> cut,
            extent: n[5] >> cut,
            start_doubt: n[6] >> cut,
            end_doubt: n[7] >> cut,
        });
        proptest::collection::vec(one, 1..BLOCK_ROWS).prop_map(|mut rows| {
            rows.sort_by_key(|r| r.key);
            let mut kept: Vec<Packed> = Vec::new();
            for row in rows {
                if kept.last().is_none_or(|last| fits(last.key, row.key)) {
                    kept.push(row);
                }
            }
            kept
        })
    }

    proptest! {
        #[test]
        fn what_was_packed_is_read(rows in rows()) {
            let mut bytes = pack(&rows);
            bytes.extend([0; SLACK]);
            let block = Block::new(&bytes, rows[0].key);
            let mut read = Vec::new();
            block.within(0, u128::MAX, |at, key| read.push(block.row(at, key)));
            prop_assert_eq!(&read, &rows);
            let key = rows[rows.len() / 2].key;
            let mut found = Vec::new();
            block.within(key, key, |at, key| found.push(block.row(at, key)));
            prop_assert_eq!(&found, &rows.iter().filter(|r| r.key == key).copied().collect::<Vec<_>>());
            let mut same = Vec::new();
            block.at(key, |at| same.push(block.row(at, key)));
            prop_assert_eq!(same, found);
            block.at(key ^ 1, |_| panic!("not there"));
        }

        #[test]
        fn damaged_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), first in any::<u128>()) {
            let block = Block::new(&bytes, first);
            block.within(0, u128::MAX, |at, key| { block.row(at, key); });
            block.at(first.wrapping_add(3), |at| { block.row(at, first); });
        }
    }
}
