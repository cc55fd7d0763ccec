//! Whole IPv4 addresses of one day, found by arithmetic: which is what nearly all look-ups ask for.
//!
//! ```text
//!   /16 ──▶ tile: 64 buckets of 1, 2, 4 … addresses ──rank──▶ row of the block
//!           counts of rows per bucket, bit by bit; where the block is; bits of a row
//! ```
//!
//! A tile says of each of its buckets how many rows it has, so it tells whether there is anything and which row it is without
//! a look at the rows. All tiles of a /16 have as many addresses, so that about 64 rows are in each: one address in a bucket
//! where a pool is in use, many where few sessions ended. What the rows of a bucket need to be told apart is in the row.
//!
//! The counts are cut into planes: the first has the lowest bit of each count, the next the second. The rows before a bucket
//! are then as many as the bits before it, each plane's weighed. Three planes do for most. A tile with a bucket of more rows
//! than its planes can count (a line that flaps) is told as crowded, and its rows are kept elsewhere.

use std::io::{self, Read, Write};

use crate::bits::{BitWriter, SLACK, get, width};
use crate::block::Packed;
use crate::memory::Bytes;
use crate::segment::bytes;

/// Rows that a tile has, about.
const TILE_ROWS: usize = 64;
/// Buckets of a tile: two to the power of this.
const BUCKET_BITS: u32 = 6;
/// Planes at most: 31 rows of a bucket.
const PLANES_MAX: u32 = 5;
/// Of the tiles of a /16, one in so many may be crowded for the others to be smaller.
const CROWDED_ONE_IN: usize = 64;
/// Columns of a row after the bits that tell addresses of a bucket apart.
const COLUMNS: usize = 7;
/// Widths of the columns, one byte of nothing, and the smallest server.
const HEADER: usize = COLUMNS + 1 + 4;
/// Blocks begin at multiples of this.
const UNIT: usize = 4;
/// In the place of a block: the tile's rows are kept elsewhere.
const CROWDED: u32 = u32::MAX;

/// A /16 that has rows.
#[derive(Clone, Copy, Debug)]
struct Net {
    high: u16,
    /// Addresses of a tile: two to the power of this.
    shift: u8,
    planes: u8,
    /// Its first tile in the index, in words.
    first: u32,
}

const NET_BYTES: usize = 8;

/// Where an address's rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it has none.
    #[default]
    Nowhere,
    /// With the crowded ones.
    Crowded,
    /// Among these.
    Rows {
        /// The block, in bytes.
        block: usize,
        /// The first row's number, and how many there are.
        rows: (u32, u32),
        /// Bits of a row.
        row_bits: u32,
        /// Bits that tell the addresses of a bucket apart.
        low_bits: u32,
    },
}

/// The whole addresses of a day.
#[derive(Debug, Default)]
pub struct Pool {
    nets: Vec<Net>,
    /// Tiles: planes of eight bytes, the block's place in units (four bytes), bits of a row (two bytes), nothing (two).
    index: Bytes,
    blocks: Bytes,
}

impl Pool {
    /// Where an address's rows are.
    #[inline]
    pub fn find(&self, ip: u32) -> Place {
        let Some(net) = self.net((ip >> 16) as u16) else { return Place::Nowhere };
        let (low, shift, planes) = (ip & 0xffff, u32::from(net.shift), usize::from(net.planes));
        let low_bits = shift.saturating_sub(BUCKET_BITS);
        let bucket = low >> low_bits & 63;
        let tile = (net.first as usize + (low >> shift) as usize * (planes + 1)) * 8;
        let Some(tile) = self.index.get(tile..tile + (planes + 1) * 8) else { return Place::Nowhere };
        let (mut from, mut count) = (0, 0);
        for plane in 0..planes {
            let bits = word(tile, plane * 8);
            from += (bits & ((1 << bucket) - 1)).count_ones() << plane;
            count |= ((bits >> bucket & 1) as u32) << plane;
        }
        let last = word(tile, planes * 8);
        if count > 0 {
            let block = (last as u32) as usize * UNIT;
            let row_bits = (last >> 32) as u32 & 0xffff;
            Place::Rows { block, rows: (from, count), row_bits, low_bits }
        } else if last as u32 == CROWDED {
            Place::Crowded
        } else {
            Place::Nowhere
        }
    }

    /// Rows of an address that are at a place.
    #[inline]
    pub fn rows(&self, place: Place, ip: u32, mut each: impl FnMut(Packed)) {
        let Place::Rows { low_bits, .. } = place else { return };
        let right = ip & ((1 << low_bits) - 1);
        self.visit(place, |low, block, at| {
            if low == right {
                each(block.row(at, u128::from(ip) << 16));
            }
        });
    }

    /// Every row, in the order of addresses.
    pub fn each(&self, mut each: impl FnMut(Packed)) {
        for net in &self.nets {
            let low_bits = u32::from(net.shift).saturating_sub(BUCKET_BITS);
            for bucket in 0..1u32 << (16 - low_bits) {
                let ip = u32::from(net.high) << 16 | bucket << low_bits;
                self.visit(self.find(ip), |low, block, at| {
                    each(block.row(at, u128::from(ip | low) << 16));
                });
            }
        }
    }

    /// Calls `each` with the rows of a place's bucket: the address's bits in the bucket, and where the columns begin.
    #[inline]
    fn visit(&self, place: Place, mut each: impl FnMut(u32, &Block<'_>, usize)) {
        let Place::Rows { block, rows: (from, count), row_bits, low_bits } = place else { return };
        let Some(bytes) = self.blocks.get(block..) else { return };
        let block = Block::new(bytes);
        for row in from..from + count {
            let at = HEADER * 8 + row as usize * row_bits as usize;
            each(get(bytes, at, low_bits) as u32, &block, at + low_bits as usize);
        }
    }

    /// Touches what a look at the place will read, so that many looks wait for memory at once. The number is of no use.
    #[inline]
    pub fn touch(&self, place: Place) -> u8 {
        let Place::Rows { block, rows: (from, _), row_bits, .. } = place else { return 0 };
        let row = block + HEADER + from as usize * row_bits as usize / 8;
        let byte = |at: usize| self.blocks.get(at).copied().unwrap_or(0);
        byte(block) ^ byte(row) ^ byte(row + SLACK - 1)
    }

    #[inline]
    fn net(&self, high: u16) -> Option<&Net> {
        // A first guess: what an operator has often lies together.
        let lowest = self.nets.first()?.high;
        match self.nets.get(usize::from(high.wrapping_sub(lowest))) {
            Some(net) if net.high == high => Some(net),
            _ => {
                let at = self.nets.binary_search_by_key(&high, |net| net.high).ok()?;
                self.nets.get(at)
            }
        }
    }

    /// Bytes it takes in memory.
    pub fn memory(&self) -> usize {
        self.nets.capacity() * size_of::<Net>() + self.index.memory() + self.blocks.memory()
    }

    /// Writes it, to be read by [`Pool::read`].
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for count in [self.nets.len(), self.index.len(), self.blocks.len()] {
            out.write_all(&(count as u64).to_le_bytes())?;
        }
        for net in &self.nets {
            out.write_all(&net.high.to_le_bytes())?;
            out.write_all(&[net.shift, net.planes])?;
            out.write_all(&net.first.to_le_bytes())?;
        }
        out.write_all(&self.index)?;
        out.write_all(&self.blocks)
    }

    /// Reads one.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut count = || Ok::<_, io::Error>(u64::from_le_bytes(bytes(from)?));
        let (nets, index, blocks) = (count()?, count()?, count()?);
        let nets = (0..nets)
            .map(|_| {
                let [a, b, shift, planes, c, d, e, f] = bytes::<NET_BYTES>(from)?;
                let (high, first) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([c, d, e, f]));
                Ok(Net { high, shift: shift.min(16), planes: planes.min(PLANES_MAX as u8), first })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { nets, index: Bytes::read(from, index)?, blocks: Bytes::read(from, blocks)? })
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Rows of a tile, read where they lie.
struct Block<'a> {
    bytes: &'a [u8],
    widths: [u8; COLUMNS],
    server: u32,
}

impl<'a> Block<'a> {
    #[inline]
    fn new(bytes: &'a [u8]) -> Self {
        let header: &[u8; HEADER] = bytes.first_chunk().unwrap_or(&[0; HEADER]);
        let [a, b, c, d, e, f, g, _, base @ ..] = *header;
        Self { bytes, widths: [a, b, c, d, e, f, g].map(|w| w.min(32)), server: u32::from_le_bytes(base) }
    }

    /// The row whose columns begin at that bit.
    #[inline]
    fn row(&self, mut at: usize, key: u128) -> Packed {
        let mut next = |column: usize| {
            let width = u32::from(self.widths[column]);
            let value = get(self.bytes, at, width) as u32;
            at += width as usize;
            value
        };
        Packed {
            key,
            gone: next(0),
            duration: next(1),
            tail: next(2),
            line: next(3),
            server: self.server.wrapping_add(next(4)),
            extent: 0,
            start_doubt: next(5),
            end_doubt: next(6),
        }
    }
}

/// Makes a pool of rows that come in the order of their addresses.
#[derive(Debug, Default)]
pub struct PoolBuilder {
    nets: Vec<Net>,
    index: Vec<u8>,
    blocks: Vec<u8>,
    /// Of the /16 that is being taken in.
    rows: Vec<Packed>,
    crowded: Vec<Packed>,
}

fn ip(row: &Packed) -> u32 {
    (row.key >> 16) as u32
}

impl PoolBuilder {
    /// Adds a row.
    pub fn push(&mut self, row: Packed) {
        if self.rows.last().is_some_and(|last| ip(last) >> 16 != ip(&row) >> 16) {
            self.end_net();
        }
        self.rows.push(row);
    }

    /// The pool, and the rows of crowded tiles in order.
    pub fn finish(mut self) -> (Pool, Vec<Packed>) {
        self.end_net();
        self.blocks.extend([0; SLACK]);
        let pool = Pool { nets: self.nets, index: self.index.into(), blocks: self.blocks.into() };
        (pool, self.crowded)
    }

    fn end_net(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let Some(first) = rows.first() else { return };
        let high = (ip(first) >> 16) as u16;
        let shift =
            (BUCKET_BITS..16).rev().find(|shift| rows.len() <= TILE_ROWS << (16 - shift)).unwrap_or(BUCKET_BITS);
        let low_bits = shift - BUCKET_BITS;
        let mut counts = vec![0u32; 1 << (16 - low_bits)];
        for row in &rows {
            counts[((ip(row) & 0xffff) >> low_bits) as usize] += 1;
        }
        let tiles = || counts.chunks(1 << BUCKET_BITS);
        let mut most: Vec<u32> = tiles().map(|tile| tile.iter().copied().max().unwrap_or(0)).collect();
        most.sort_unstable();
        let usual = most[most.len() - 1 - most.len() / CROWDED_ONE_IN];
        let planes = width(usual.into()).clamp(1, PLANES_MAX);
        let words = u32::try_from(self.index.len() / 8).unwrap_or(u32::MAX);
        self.nets.push(Net { high, shift: shift as u8, planes: planes as u8, first: words });
        let mut rest = rows.as_slice();
        for tile in tiles() {
            let (rows, after) = rest.split_at(tile.iter().sum::<u32>() as usize);
            rest = after;
            let countable = tile.iter().all(|count| count >> planes == 0);
            let unit = u32::try_from(self.blocks.len() / UNIT).unwrap_or(CROWDED);
            let (planes, end) = match (rows.is_empty(), countable && unit != CROWDED) {
                (true, _) => (vec![0; planes as usize], 0),
                (false, true) => {
                    let row_bits = pack(rows, low_bits, &mut self.blocks);
                    (cut(tile, planes), u64::from(unit) | u64::from(row_bits) << 32)
                }
                (false, false) => {
                    self.crowded.extend(rows);
                    (vec![0; planes as usize], u64::from(CROWDED))
                }
            };
            planes.iter().chain(&[end]).for_each(|word| self.index.extend(word.to_le_bytes()));
        }
    }
}

/// Counts as planes.
fn cut(counts: &[u32], planes: u32) -> Vec<u64> {
    let bit = |plane: u32, count: u32| u64::from(count >> plane & 1);
    (0..planes)
        .map(|plane| counts.iter().zip(0..).fold(0, |bits, (count, at)| bits | bit(plane, *count) << at))
        .collect()
}

/// Appends a tile's rows. Tells the bits of a row.
fn pack(rows: &[Packed], low_bits: u32, to: &mut Vec<u8>) -> u32 {
    let server = rows.iter().map(|row| row.server).min().unwrap_or(0);
    let columns = |r: &Packed| {
        [r.gone, r.duration, r.tail, r.line, r.server - server, r.start_doubt, r.end_doubt].map(u64::from)
    };
    let mut widths = [0; COLUMNS];
    for row in rows {
        widths.iter_mut().zip(columns(row)).for_each(|(most, value)| *most = width(value).max(*most));
    }
    let mut writer = BitWriter::default();
    for row in rows {
        writer.put(u64::from(ip(row)) & ((1 << low_bits) - 1), low_bits);
        columns(row).iter().zip(widths).for_each(|(value, width)| writer.put(*value, width));
    }
    to.extend(widths.map(|width| width as u8));
    to.push(0);
    to.extend(server.to_le_bytes());
    to.extend(writer.finish());
    to.resize(to.len().next_multiple_of(UNIT), 0);
    low_bits + widths.iter().sum::<u32>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = Vec<Packed>> {
        // Pools in use, pools hardly used, lines that flap.
        let address = prop_oneof![
            4 => 0x0a00_0000u32..0x0a00_0400,
            2 => 0x0a01_0000u32..0x0a02_ffff,
            1 => (0u32..3).prop_map(|n| 0x0a00_0100 + n * 77),
            1 => any::<u32>(),
        ];
        let one = (address, any::<[u32; 7]>(), 0u32..32).prop_map(|(ip, n, cut)| Packed {
            key: u128::from(ip) << 16,
            gone: n[0] % 86_400,
            duration: n[1] >> cut,
            tail: n[2] >> cut,
            line: n[3] >> cut,
            server: n[4] >> cut,
            extent: 0,
            start_doubt: n[5] >> cut,
            end_doubt: n[6] >> cut,
        });
        proptest::collection::vec(one, 0..2000).prop_map(|mut rows| {
            rows.sort_by_key(|r| (r.key, r.gone));
            rows
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_address_has_its_rows_and_no_others(rows in rows(), asked in any::<u32>()) {
            let mut builder = PoolBuilder::default();
            rows.iter().for_each(|row| builder.push(*row));
            let (pool, crowded) = builder.finish();
            let mut file = Vec::new();
            pool.write(&mut file).unwrap();
            let pool = Pool::read(&mut file.as_slice()).unwrap();
            let mut all = crowded.clone();
            pool.each(|row| all.push(row));
            all.sort_by_key(|r| (r.key, r.gone));
            prop_assert_eq!(all.len(), rows.len());
            let mut addresses: Vec<u32> = rows.iter().map(ip).collect();
            addresses.dedup();
            for address in addresses.into_iter().chain([asked, 0x0a00_0003, 0x0a01_0007]) {
                let right: Vec<Packed> = rows.iter().filter(|r| ip(r) == address).copied().collect();
                let mut found = Vec::new();
                let place = pool.find(address);
                pool.touch(place);
                match place {
                    Place::Crowded => found.extend(crowded.iter().filter(|r| ip(r) == address)),
                    place => pool.rows(place, address, |row| found.push(row)),
                }
                prop_assert_eq!(found, right);
            }
        }

        #[test]
        fn damaged_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600), nets in 0u8..4, asked in any::<u32>()) {
            let mut file: Vec<u8> = [u64::from(nets), 128, 100].iter().flat_map(|n| n.to_le_bytes()).collect();
            file.extend(bytes);
            if let Ok(pool) = Pool::read(&mut file.as_slice()) {
                pool.each(drop);
                pool.rows(pool.find(asked), asked, drop);
                pool.touch(pool.find(asked));
            }
        }
    }

    #[test]
    fn a_line_that_flaps_crowds_its_own_tile_only() {
        let row = |ip: u32, gone| Packed { key: u128::from(ip) << 16, gone, ..Packed::default() };
        let mut rows: Vec<Packed> = (0..20_000u32).map(|n| row(n, 7)).collect();
        rows.extend((0..500).map(|gone| row(3000, gone)));
        rows.sort_by_key(|r| (r.key, r.gone));
        let mut builder = PoolBuilder::default();
        rows.iter().for_each(|row| builder.push(*row));
        let (pool, crowded) = builder.finish();
        assert!((500..900).contains(&crowded.len()), "{}", crowded.len());
        assert_eq!((pool.find(3000), pool.find(60_000)), (Place::Crowded, Place::Nowhere));
        let mut count = 0;
        pool.rows(pool.find(2000), 2000, |_| count += 1);
        assert_eq!(count, 1);
    }
}
