//! Whole IPv4 addresses of one day, found by arithmetic: which is what nearly all look-ups ask for.
//!
//! ```text
//!   /16 ──▶ tile: 64 buckets of 1, 2, 4 … addresses ──rank──▶ row
//!           counts of rows per bucket, bit by bit; the first row's number
//! ```
//!
//! A tile says of each of its buckets how many rows it has, so it tells whether there is anything and which row it is without
//! a look at the rows. All tiles of a /16 have as many addresses: one in a bucket where a pool is in use, many where few
//! sessions ended. What the rows of a bucket need to be told apart is in the row.
//!
//! The counts are cut into planes: the first has the lowest bit of each count, the next the second. The rows before a bucket
//! are then as many as the bits before it, each plane's weighed. Three planes do for most. A tile with a bucket of more rows
//! than its planes can count (a line that flaps) is told as crowded, and its rows are kept elsewhere.
//!
//! All rows of a /16 take as many bits, each column as many as its largest number needs, so a row is where its number says:
//! one wait for memory for the tile, one for the row. What is the same in all of them (no doubts) takes no bits at all.

use std::io::{self, Read, Write};

use crate::bits::{BitWriter, SLACK, get, width};
use crate::block::Packed;
use crate::memory::Bytes;
use crate::segment::bytes;

/// Bytes of a tile, mostly. Tiles are as small as they can be with a byte of them for each row.
const TILE_BYTES: usize = 32;
/// Buckets of a tile: two to the power of this.
const BUCKET_BITS: u32 = 6;
/// Planes at most: 31 rows of a bucket.
const PLANES_MAX: u32 = 5;
/// Of the tiles of a /16, one in so many may be crowded for the others to be smaller.
const CROWDED_ONE_IN: usize = 64;
/// Columns of a row after the bits that tell addresses of a bucket apart: gone, duration, tail, line, server, start doubt,
/// end doubt.
const COLUMNS: usize = 7;
/// In the place of a tile's first row: they are kept elsewhere.
const CROWDED: u32 = u32::MAX;

/// A /16 that has rows.
#[derive(Clone, Copy, Debug)]
struct Net {
    high: u16,
    /// Addresses of a tile: two to the power of this.
    shift: u8,
    planes: u8,
    widths: [u8; COLUMNS],
    /// The first tile that has rows, and how many there are up to the last that has.
    span: (u16, u16),
    /// The smallest server; rows say how much more.
    server: u32,
    /// Where its tiles begin, in bytes.
    tiles: u64,
    /// Where its rows begin, in bytes.
    rows: u64,
}

impl Net {
    /// Bits that tell the addresses of a bucket apart.
    #[inline]
    fn low_bits(&self) -> u32 {
        u32::from(self.shift).saturating_sub(BUCKET_BITS)
    }

    /// Bits of a row.
    #[inline]
    fn row_bits(&self) -> u32 {
        self.low_bits() + self.widths.iter().map(|width| u32::from(*width)).sum::<u32>()
    }

    #[inline]
    fn tile_bytes(&self) -> usize {
        (usize::from(self.planes) + 1) * 8
    }

    /// The tile of an address, in bytes.
    #[inline]
    fn tile(&self, low: u32) -> Option<usize> {
        let number = (low >> self.shift).wrapping_sub(self.span.0.into());
        let tile = (self.tiles as usize).saturating_add(number as usize * self.tile_bytes());
        (number < u32::from(self.span.1)).then_some(tile)
    }
}

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
        /// The number of the /16.
        net: u32,
        /// The first row, in bits.
        at: usize,
        /// How many there are.
        count: u32,
    },
}

/// The whole addresses of a day.
#[derive(Debug, Default)]
pub struct Pool {
    nets: Vec<Net>,
    /// Tiles: planes of eight bytes, the number of the first row among those of the /16 (four bytes), nothing (four). Then
    /// the rows.
    bytes: Bytes,
}

impl Pool {
    /// Where an address's rows are.
    #[inline]
    pub fn find(&self, ip: u32) -> Place {
        let Some(number) = self.net((ip >> 16) as u16) else { return Place::Nowhere };
        let net = &self.nets[number];
        let low = ip & 0xffff;
        let bucket = low >> net.low_bits() & 63;
        let tile = net.tile(low).and_then(|tile| self.bytes.get(tile..)?.get(..net.tile_bytes()));
        let Some(tile) = tile else { return Place::Nowhere };
        let (mut before, mut count) = (0, 0);
        let (planes, last) = tile.split_at(tile.len() - 8);
        for (plane, bits) in planes.chunks_exact(8).enumerate() {
            let bits = word(bits);
            before += (bits & ((1 << bucket) - 1)).count_ones() << plane;
            count |= ((bits >> bucket & 1) as u32) << plane;
        }
        let first = word(last) as u32;
        if count > 0 {
            let row = u64::from(first) + u64::from(before);
            let at = net.rows.saturating_mul(8).saturating_add(row * u64::from(net.row_bits()));
            Place::Rows { net: number as u32, at: at as usize, count }
        } else if first == CROWDED {
            Place::Crowded
        } else {
            Place::Nowhere
        }
    }

    /// Rows of an address that are at a place, and of which `wanted` says so by the columns `gone` and `duration`: most of
    /// what is looked at is over before the moment.
    #[inline]
    pub fn rows(
        &self,
        place: Place,
        ip: u32,
        mut wanted: impl FnMut(u32, u32) -> bool,
        mut each: impl FnMut(Packed),
    ) {
        self.visit(place, |net, at| {
            let low_bits = net.low_bits();
            let low = get(&self.bytes, at, low_bits) as u32;
            let (gone, duration) = self.times(net, at + low_bits as usize);
            if low == ip & ((1 << low_bits) - 1) && wanted(gone, duration) {
                each(self.row(net, at + low_bits as usize, ip));
            }
        });
    }

    /// Every row, in the order of addresses.
    pub fn each(&self, mut each: impl FnMut(Packed)) {
        for net in &self.nets {
            for bucket in 0..1u32 << (16 - net.low_bits()) {
                let ip = u32::from(net.high) << 16 | bucket << net.low_bits();
                self.visit(self.find(ip), |net, at| {
                    let low_bits = net.low_bits();
                    let low = get(&self.bytes, at, low_bits) as u32;
                    each(self.row(net, at + low_bits as usize, ip | low));
                });
            }
        }
    }

    /// Calls `each` with where the rows of a place's bucket are.
    #[inline]
    fn visit(&self, place: Place, mut each: impl FnMut(&Net, usize)) {
        let Place::Rows { net, at, count } = place else { return };
        let Some(net) = self.nets.get(net as usize) else { return };
        let row_bits = net.row_bits() as usize;
        (0..count as usize).for_each(|row| each(net, at.saturating_add(row * row_bits)));
    }

    /// The first two columns of the row whose columns begin at that bit.
    #[inline]
    fn times(&self, net: &Net, at: usize) -> (u32, u32) {
        let (gone, duration) = (net.widths[0].into(), net.widths[1].into());
        (get(&self.bytes, at, gone) as u32, get(&self.bytes, at + gone as usize, duration) as u32)
    }

    /// All of it.
    #[inline]
    fn row(&self, net: &Net, mut at: usize, ip: u32) -> Packed {
        let mut next = |column: usize| {
            let width = u32::from(net.widths[column]);
            let value = get(&self.bytes, at, width) as u32;
            at += width as usize;
            value
        };
        Packed {
            key: u128::from(ip) << 16,
            gone: next(0),
            duration: next(1),
            tail: next(2),
            line: next(3),
            server: net.server.wrapping_add(next(4)),
            extent: 0,
            start_doubt: next(5),
            end_doubt: next(6),
        }
    }

    /// Touches the tile of an address; see [`Pool::touch`].
    #[inline]
    pub fn touch_tile(&self, ip: u32) -> u8 {
        let net = self.net((ip >> 16) as u16).map(|number| &self.nets[number]);
        net.and_then(|net| self.bytes.get(net.tile(ip & 0xffff)?).copied()).unwrap_or(0)
    }

    /// Touches what a look at the place will read, so that many looks wait for memory at once. The number is of no use.
    #[inline]
    pub fn touch(&self, place: Place) -> u8 {
        let Place::Rows { at, .. } = place else { return 0 };
        let byte = |at: usize| self.bytes.get(at).copied().unwrap_or(0);
        byte(at / 8) ^ byte(at / 8 + SLACK - 1)
    }

    #[inline]
    fn net(&self, high: u16) -> Option<usize> {
        // A first guess: what an operator has often lies together.
        let guess = usize::from(high.wrapping_sub(self.nets.first()?.high));
        if self.nets.get(guess).is_some_and(|net| net.high == high) {
            return Some(guess);
        }
        self.nets.binary_search_by_key(&high, |net| net.high).ok()
    }

    /// Bytes it takes in memory.
    pub fn memory(&self) -> usize {
        self.nets.capacity() * size_of::<Net>() + self.bytes.memory()
    }

    /// Writes it, to be read by [`Pool::read`].
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for count in [self.nets.len(), self.bytes.len()] {
            out.write_all(&(count as u64).to_le_bytes())?;
        }
        for net in &self.nets {
            out.write_all(&net.high.to_le_bytes())?;
            out.write_all(&[net.shift, net.planes])?;
            out.write_all(&net.widths)?;
            out.write_all(&net.span.0.to_le_bytes())?;
            out.write_all(&net.span.1.to_le_bytes())?;
            out.write_all(&net.server.to_le_bytes())?;
            out.write_all(&net.tiles.to_le_bytes())?;
            out.write_all(&net.rows.to_le_bytes())?;
        }
        out.write_all(&self.bytes)
    }

    /// Reads one.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut count = || Ok::<_, io::Error>(u64::from_le_bytes(bytes(from)?));
        let (nets, count) = (count()?, count()?);
        let nets = (0..nets)
            .map(|_| {
                let high = u16::from_le_bytes(bytes(from)?);
                let [shift, planes] = bytes(from)?;
                Ok(Net {
                    high,
                    shift: shift.min(16),
                    planes: planes.min(PLANES_MAX as u8),
                    widths: bytes::<COLUMNS>(from)?.map(|width| width.min(32)),
                    span: (u16::from_le_bytes(bytes(from)?), u16::from_le_bytes(bytes(from)?)),
                    server: u32::from_le_bytes(bytes(from)?),
                    tiles: u64::from_le_bytes(bytes(from)?),
                    rows: u64::from_le_bytes(bytes(from)?),
                })
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { nets, bytes: Bytes::read(from, count)? })
    }
}

/// Eight bytes as a number; of fewer, none.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight))
}

/// Makes a pool of rows that come in the order of their addresses.
#[derive(Debug, Default)]
pub struct PoolBuilder {
    nets: Vec<Net>,
    index: Vec<u8>,
    packed: Vec<u8>,
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
        self.packed.extend([0; SLACK]);
        self.nets.iter_mut().for_each(|net| net.rows += self.index.len() as u64);
        let bytes = [self.index.as_slice(), &self.packed].into();
        (Pool { nets: self.nets, bytes }, self.crowded)
    }

    fn end_net(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let Some(first) = rows.first() else { return };
        let low = |row: &Packed| ip(row) & 0xffff;
        let span = |shift: u32| (low(first) >> shift, rows.last().map_or(0, low) >> shift);
        let tiles = |shift: u32| (span(shift).1 - span(shift).0) as usize + 1;
        let pays = |shift: &u32| tiles(*shift) * TILE_BYTES <= rows.len();
        let shift = (BUCKET_BITS..16).find(pays).unwrap_or(16);
        let span = (span(shift).0 as u16, tiles(shift) as u16);
        let low_bits = shift - BUCKET_BITS;
        let mut counts = vec![0u32; 1 << (16 - low_bits)];
        for row in &rows {
            counts[(low(row) >> low_bits) as usize] += 1;
        }
        let tiles = || counts.chunks(1 << BUCKET_BITS).skip(span.0.into()).take(span.1.into());
        let mut most: Vec<u32> = tiles().map(|tile| tile.iter().copied().max().unwrap_or(0)).collect();
        most.sort_unstable();
        let usual = most[most.len() - 1 - most.len() / CROWDED_ONE_IN];
        let planes = width(usual.into()).clamp(1, PLANES_MAX);

        let (mut rest, mut kept): (_, Vec<Packed>) = (rows.as_slice(), Vec::with_capacity(rows.len()));
        let begins = (self.index.len() as u64, self.packed.len() as u64);
        for tile in tiles() {
            let (rows, after) = rest.split_at(tile.iter().sum::<u32>() as usize);
            rest = after;
            let (counts, first) = if tile.iter().all(|count| count >> planes == 0) {
                kept.extend(rows);
                (tile, (kept.len() - rows.len()) as u32)
            } else {
                self.crowded.extend(rows);
                ([].as_slice(), CROWDED)
            };
            let words = cut(counts, planes).chain([u64::from(first)]);
            words.for_each(|word| self.index.extend(word.to_le_bytes()));
        }
        let server = kept.iter().map(|row| row.server).min().unwrap_or(0);
        let widths = pack(&kept, low_bits, server, &mut self.packed);
        let high = (ip(first) >> 16) as u16;
        let (shift, planes) = (shift as u8, planes as u8);
        self.nets.push(Net { high, shift, planes, widths, span, server, tiles: begins.0, rows: begins.1 });
    }
}

/// Counts as planes.
fn cut(counts: &[u32], planes: u32) -> impl Iterator<Item = u64> {
    let bit = |plane: u32, count: u32| u64::from(count >> plane & 1);
    (0..planes)
        .map(move |plane| counts.iter().zip(0..).fold(0, |bits, (count, at)| bits | bit(plane, *count) << at))
}

/// Appends rows. Tells how wide their columns are.
fn pack(rows: &[Packed], low_bits: u32, server: u32, to: &mut Vec<u8>) -> [u8; COLUMNS] {
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
    to.extend(writer.finish());
    widths.map(|width| width as u8)
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
            for address in addresses.iter().copied().chain([asked, 0x0a00_0003, 0x0a01_0007]) {
                let right: Vec<Packed> = rows.iter().filter(|r| ip(r) == address).copied().collect();
                let mut found = Vec::new();
                let place = pool.find(address);
                pool.touch(place);
                match place {
                    Place::Crowded => found.extend(crowded.iter().filter(|r| ip(r) == address)),
                    place => pool.rows(place, address, |_, _| true, |row| found.push(row)),
                }
                prop_assert_eq!(found, right);
            }
        }

        #[test]
        fn damaged_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600), nets in 0u8..4, asked in any::<u32>()) {
            let mut file: Vec<u8> = [u64::from(nets), 228].iter().flat_map(|n| n.to_le_bytes()).collect();
            file.extend(bytes);
            if let Ok(pool) = Pool::read(&mut file.as_slice()) {
                pool.each(drop);
                pool.rows(pool.find(asked), asked, |_, _| true, drop);
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
        pool.rows(pool.find(2000), 2000, |_, _| true, |_| count += 1);
        assert_eq!(count, 1);
    }
}
