//! All that was surely over on one day (UTC), sorted by what was held: immutable, packed, and found without a scan.
//!
//! ```text
//!   fences: first key of each block ──▶ block ──▶ rows of the slot
//!   presence: which IPv4 addresses have rows at all, so that a day without is passed over
//! ```
//!
//! A session is kept once, on the day on which it was surely over, however long it was. So whoever asks about a moment
//! looks into the day of that moment and goes forward until a row is found that was over later: of one slot's sessions the
//! first that was over after the moment is the only one that can cover it.
//!
//! Keys. IPv4: the address and the first port of the block (`address << 16 | port`; port 0 for the whole address), with
//! the number of ports as extent (0: the whole address). IPv6: the prefix, with its length as extent.

use std::io::{Read, Write};

use roaring::RoaringBitmap;

use crate::bits::SLACK;
use crate::block::{BLOCK_ROWS, Block, Packed, fits, pack};
use crate::row::{Near, Row, Slot};

/// Seconds of a day.
pub const DAY_S: i64 = 86_400;

/// The day a moment is on: days since 1970-01-01 (UTC).
pub fn day_of(at_s: i64) -> i32 {
    i32::try_from(at_s.div_euclid(DAY_S)).unwrap_or(if at_s < 0 { i32::MIN } else { i32::MAX })
}

/// What is asked about: an address, and a port where it was told.
#[derive(Clone, Copy)]
pub struct Point {
    pub(crate) addr: u128,
    pub(crate) v4: Option<u32>,
    pub(crate) port: Option<u16>,
}

impl Point {
    /// The address, and the port of the subscriber's side.
    pub fn new(ip: std::net::IpAddr, port: Option<u16>) -> Self {
        let net = ipnet::IpNet::from(ip.to_canonical());
        let slot = Slot::of(&noroshi_wire::Given { net, ports: None });
        Self { addr: slot.addr, v4: slot.v4(), port }
    }
}

/// Within what a row counts as near: the moment, the border, and the largest doubt of any row.
#[derive(Clone, Copy)]
pub struct Reach {
    /// The moment asked about.
    pub at_s: i64,
    /// Seconds around it.
    pub within_s: i64,
}

impl Reach {
    /// Whether a row must be looked at.
    pub fn is_near(self, row: &Row) -> bool {
        row.gone_s >= self.at_s - self.within_s && row.start_s <= self.at_s + self.within_s
    }

    /// Whether no later row of the slot can matter.
    pub fn is_past(self, row: &Row) -> bool {
        row.gone_s > self.at_s + self.within_s
    }
}

/// What a look into a place found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// A row of the slot that was over later than what is near: no need to look on.
    pub past: bool,
    /// One of those was there at the moment.
    pub covers: bool,
    /// Blocks of ports near the moment, and no port was told.
    pub shared: bool,
}

impl Found {
    fn note(&mut self, reach: Reach, row: &Row) {
        let past = reach.is_past(row);
        self.past |= past;
        self.covers |= past && row.start_s <= reach.at_s - reach.within_s;
    }
}

/// Which sizes of blocks and prefixes there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Smallest and largest number of ports of a block, none being none.
    ports: Option<(u32, u32)>,
    lengths: u128,
    whole: bool,
}

impl Sizes {
    /// Both together.
    pub fn with(self, other: Sizes) -> Sizes {
        let ports = match (self.ports, other.ports) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, another) => one.or(another),
        };
        Sizes { ports, lengths: self.lengths | other.lengths, whole: self.whole | other.whole }
    }

    /// Whether one may lie within another.
    pub fn mixed(self) -> bool {
        self.ports.is_some_and(|(least, most)| least != most)
            || self.lengths.count_ones() + u32::from(self.whole) > 1
    }
}

/// Rows of one address family.
#[derive(Debug, Default)]
struct Section<K> {
    fences: Vec<K>,
    /// Where each block begins in the bytes.
    offsets: Vec<u32>,
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
    fn new(fences: Vec<K>, offsets: Vec<u32>) -> Self {
        let ladder = Ladder::new(&fences);
        Self { fences, offsets, ladder }
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
    fn at(&self, bytes: &[u8], key: K, mut each: impl FnMut(Packed)) {
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
    fn scan(&self, bytes: &[u8], low: K, high: K, mut each: impl FnMut(Packed)) {
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

/// A day's rows. See the module's text.
#[derive(Debug)]
pub struct Segment {
    day: i32,
    rows: u64,
    v4: Section<u64>,
    v6: Section<u128>,
    present: RoaringBitmap,
    /// The largest number of ports in a block; 0: no blocks.
    ports_max: u32,
    /// The smallest number of ports in a block; whole addresses count as one of none.
    ports_min: u32,
    /// Bit n: there are prefixes of n bits.
    lengths: u128,
    /// A prefix of 128 bits has no bit in `lengths`.
    whole: bool,
    doubt_max_s: u32,
    bytes: Vec<u8>,
}

impl Segment {
    /// The day: days since 1970-01-01.
    pub fn day(&self) -> i32 {
        self.day
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Which sizes of blocks and prefixes are in it.
    pub fn sizes(&self) -> Sizes {
        let ports = (self.ports_max > 0).then_some((self.ports_min, self.ports_max));
        Sizes { ports, lengths: self.lengths, whole: self.whole }
    }

    /// The largest doubt about a border in it.
    pub fn doubt_max_s(&self) -> u32 {
        self.doubt_max_s
    }

    /// Bytes it takes in memory.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.v4.fences.capacity() * 16
            + self.v6.fences.capacity() * 24
            + self.present.serialized_size()
    }

    /// Puts the rows near a moment into `near`.
    #[inline]
    pub fn near(&self, point: Point, reach: Reach, near: &mut Near) -> Found {
        match point.v4 {
            Some(ip) => self.near_v4(ip, point.port, reach, near),
            None => self.near_v6(point.addr, reach, near),
        }
    }

    fn near_v4(&self, ip: u32, port: Option<u16>, reach: Reach, near: &mut Near) -> Found {
        let mut found = Found::default();
        if !self.present.contains(ip) {
            return found;
        }
        let first = u64::from(ip) << 16;
        let mut take = |packed: Packed| {
            let row = self.row_v4(packed);
            match (row.slot.ports, port) {
                (Some((low, high)), Some(port)) if port < low || high < port => return,
                (Some(_), None) => {
                    found.shared |= reach.is_near(&row);
                    return;
                }
                _ => {}
            }
            found.note(reach, &row);
            if reach.is_near(&row) {
                near.push(row);
            }
        };
        match (self.ports_max, port) {
            (0, _) => self.v4.at(&self.bytes, first, take),
            (_, None) => self.v4.scan(&self.bytes, first, first | 0xffff, take),
            (most, Some(port)) => {
                let from = first | u64::from(port).saturating_sub(u64::from(most));
                if from > first {
                    self.v4.at(&self.bytes, first, &mut take);
                }
                self.v4.scan(&self.bytes, from, first | u64::from(port), take);
            }
        }
        found
    }

    fn near_v6(&self, addr: u128, reach: Reach, near: &mut Near) -> Found {
        let mut found = Found::default();
        let lengths = (0..128u32).filter(|n| self.lengths >> n & 1 == 1).chain(self.whole.then_some(128));
        for length in lengths {
            let key = prefix(addr, length);
            self.v6.at(&self.bytes, key, |packed| {
                if packed.extent != length {
                    return;
                }
                let row = self.row_v6(packed);
                found.note(reach, &row);
                if reach.is_near(&row) {
                    near.push(row);
                }
            });
        }
        found
    }

    /// Every row, IPv4 first, in the order of keys.
    pub fn each(&self, mut each: impl FnMut(Row)) {
        self.v4.scan(&self.bytes, 0, u64::MAX, |packed| each(self.row_v4(packed)));
        self.v6.scan(&self.bytes, 0, u128::MAX, |packed| each(self.row_v6(packed)));
    }

    fn row_v4(&self, packed: Packed) -> Row {
        let ip = (packed.key >> 16) as u32;
        let first = packed.key as u16;
        let ports = (packed.extent > 0).then(|| (first, first.saturating_add((packed.extent - 1) as u16)));
        let slot = Slot { addr: 0xffff_0000_0000 | u128::from(ip), len: 128, ports };
        self.row(packed, slot)
    }

    fn row_v6(&self, packed: Packed) -> Row {
        let slot = Slot { addr: packed.key, len: packed.extent.min(128) as u8, ports: None };
        self.row(packed, slot)
    }

    fn row(&self, packed: Packed, slot: Slot) -> Row {
        let gone_s = i64::from(self.day) * DAY_S + i64::from(packed.gone);
        Row {
            slot,
            start_s: gone_s - i64::from(packed.duration),
            end_s: gone_s - i64::from(packed.tail),
            gone_s,
            line: packed.line,
            server: packed.server,
            start_doubt_s: packed.start_doubt,
            end_doubt_s: packed.end_doubt,
        }
    }

    /// Writes it, to be read by [`Segment::read`].
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut head = Vec::new();
        head.extend(self.day.to_le_bytes());
        head.extend(self.rows.to_le_bytes());
        head.extend(self.ports_max.to_le_bytes());
        head.extend(self.ports_min.to_le_bytes());
        head.extend(self.lengths.to_le_bytes());
        head.push(self.whole.into());
        head.extend(self.doubt_max_s.to_le_bytes());
        for count in
            [self.v4.fences.len(), self.v6.fences.len(), self.present.serialized_size(), self.bytes.len()]
        {
            head.extend((count as u64).to_le_bytes());
        }
        out.write_all(&head)?;
        self.v4.fences.iter().try_for_each(|fence| out.write_all(&fence.to_le_bytes()))?;
        self.v6.fences.iter().try_for_each(|fence| out.write_all(&fence.to_le_bytes()))?;
        let offsets = self.v4.offsets.iter().chain(&self.v6.offsets);
        offsets.into_iter().try_for_each(|offset| out.write_all(&offset.to_le_bytes()))?;
        self.present.serialize_into(&mut *out)?;
        out.write_all(&self.bytes)
    }

    /// Reads one. The bytes come out of a seal, so they are ours; still nothing is believed that would panic.
    pub fn read(from: &mut impl Read) -> std::io::Result<Self> {
        let day = i32::from_le_bytes(bytes(from)?);
        let rows = u64::from_le_bytes(bytes(from)?);
        let ports_max = u32::from_le_bytes(bytes(from)?);
        let ports_min = u32::from_le_bytes(bytes(from)?);
        let lengths = u128::from_le_bytes(bytes(from)?);
        let [whole] = bytes(from)?;
        let doubt_max_s = u32::from_le_bytes(bytes(from)?);
        let mut count = || Ok::<_, std::io::Error>(u64::from_le_bytes(bytes(from)?));
        let (v4, v6, present, blocks) = (count()?, count()?, count()?, count()?);
        let v4_fences =
            (0..v4).map(|_| Ok(u64::from_le_bytes(bytes(from)?))).collect::<std::io::Result<_>>()?;
        let v6_fences =
            (0..v6).map(|_| Ok(u128::from_le_bytes(bytes(from)?))).collect::<std::io::Result<_>>()?;
        let mut offsets = |n: u64| {
            (0..n).map(|_| Ok(u32::from_le_bytes(bytes(from)?))).collect::<std::io::Result<Vec<u32>>>()
        };
        let (v4_offsets, v6_offsets) = (offsets(v4)?, offsets(v6)?);
        let present = RoaringBitmap::deserialize_from(from.take(present))?;
        let mut packed = Vec::new();
        packed.try_reserve_exact(usize::try_from(blocks).unwrap_or(usize::MAX))?;
        from.take(blocks).read_to_end(&mut packed)?;
        if packed.len() as u64 != blocks {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self {
            day,
            rows,
            v4: Section::new(v4_fences, v4_offsets),
            v6: Section::new(v6_fences, v6_offsets),
            present,
            ports_max,
            ports_min,
            lengths,
            whole: whole == 1,
            doubt_max_s,
            bytes: packed,
        })
    }
}

/// So many bytes.
pub(crate) fn bytes<const N: usize>(from: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The first `length` bits.
fn prefix(addr: u128, length: u32) -> u128 {
    if length == 0 { 0 } else { addr & (u128::MAX << (128 - length)) }
}

/// Makes a segment of rows that come in the order of [`order`].
#[derive(Debug)]
pub struct Builder {
    segment: Segment,
    block: Vec<Packed>,
    in_v6: bool,
}

/// The order in which a segment wants its rows.
pub fn order(row: &Row) -> (bool, u128, u32, i64) {
    let (v6, key, extent) = key(row.slot);
    (v6, key, extent, row.gone_s)
}

fn key(slot: Slot) -> (bool, u128, u32) {
    match (slot.v4(), slot.ports) {
        (Some(ip), None) => (false, u128::from(ip) << 16, 0),
        (Some(ip), Some((first, last))) => {
            (false, u128::from(ip) << 16 | u128::from(first), u32::from(last.saturating_sub(first)) + 1)
        }
        (None, _) => (true, slot.addr, slot.len.into()),
    }
}

impl Builder {
    /// For rows that were gone on this day.
    pub fn new(day: i32) -> Self {
        let segment = Segment {
            day,
            rows: 0,
            v4: Section::default(),
            v6: Section::default(),
            present: RoaringBitmap::new(),
            ports_max: 0,
            ports_min: u32::MAX,
            lengths: 0,
            whole: false,
            doubt_max_s: 0,
            bytes: Vec::new(),
        };
        Self { segment, block: Vec::with_capacity(BLOCK_ROWS), in_v6: false }
    }

    /// Adds a row. Rows of another day are not taken.
    pub fn push(&mut self, row: &Row) {
        let day_s = i64::from(self.segment.day) * DAY_S;
        let Ok(gone) = u32::try_from(row.gone_s - day_s) else { return };
        if i64::from(gone) >= DAY_S {
            return;
        }
        let (v6, key, extent) = key(row.slot);
        let span = |seconds: i64| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
        let packed = Packed {
            key,
            gone,
            duration: span(row.gone_s - row.start_s),
            tail: span(row.gone_s - row.end_s),
            line: row.line,
            server: row.server,
            extent,
            start_doubt: row.start_doubt_s,
            end_doubt: row.end_doubt_s,
        };
        let next_block = self.block.len() == BLOCK_ROWS
            || v6 != self.in_v6
            || self.block.last().is_some_and(|last| !fits(last.key, key));
        if next_block {
            self.flush();
            self.in_v6 = v6;
        }
        self.block.push(packed);
        let segment = &mut self.segment;
        segment.rows += 1;
        segment.doubt_max_s = segment.doubt_max_s.max(row.start_doubt_s).max(row.end_doubt_s);
        match row.slot.v4() {
            Some(ip) => {
                segment.present.insert(ip);
                segment.ports_max = segment.ports_max.max(extent);
                segment.ports_min = segment.ports_min.min(extent);
            }
            None if extent == 128 => segment.whole = true,
            None => segment.lengths |= 1 << extent,
        }
    }

    fn flush(&mut self) {
        let Some(first) = self.block.first() else { return };
        let offset = u32::try_from(self.segment.bytes.len()).unwrap_or(u32::MAX);
        if self.in_v6 {
            self.segment.v6.fences.push(first.key);
            self.segment.v6.offsets.push(offset);
        } else {
            self.segment.v4.fences.push(first.key as u64);
            self.segment.v4.offsets.push(offset);
        }
        self.segment.bytes.extend(pack(&self.block));
        self.block.clear();
    }

    /// The segment.
    pub fn finish(mut self) -> Segment {
        self.flush();
        self.segment.bytes.extend([0; SLACK]);
        self.segment.bytes.shrink_to_fit();
        self.segment.present.optimize();
        let Segment { v4, v6, .. } = &mut self.segment;
        v4.ladder = Ladder::new(&v4.fences);
        v6.ladder = Ladder::new(&v6.fences);
        self.segment
    }
}

#[cfg(test)]
mod tests {
    use noroshi_wire::Given;
    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let v4 = (0u32..40, proptest::option::of((0u16..8).prop_map(|n| (n * 1000, n * 1000 + 999))))
            .prop_map(|(ip, ports)| (format!("198.51.100.{ip}/32"), ports));
        let v6 = (0u32..9, prop_oneof![Just(56u8), Just(64), Just(128)])
            .prop_map(|(n, len)| (format!("2001:db8:0:{n}00::/{len}"), None));
        let one = (prop_oneof![v4, v6], 0i64..DAY_S, 0i64..200_000, 0i64..500, 0u32..50).prop_map(
            |((net, ports), gone, duration, tail, line)| {
                let slot = Slot::of(&Given { net: net.parse().unwrap(), ports });
                let gone_s = 20_000 * DAY_S + gone;
                let end_s = gone_s - tail.min(duration);
                Row {
                    slot,
                    start_s: gone_s - duration,
                    end_s,
                    gone_s,
                    line,
                    server: line % 3,
                    start_doubt_s: 0,
                    end_doubt_s: tail as u32 % 7,
                }
            },
        );
        proptest::collection::vec(one, 0..600).prop_map(|mut rows| {
            rows.sort_by_key(order);
            rows
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_segment_gives_back_its_rows_and_finds_what_a_scan_finds(rows in rows(), asked in 0u32..40, port in proptest::option::of(0u16..9000), at in 0i64..DAY_S) {
            let mut builder = Builder::new(20_000);
            rows.iter().for_each(|row| builder.push(row));
            let mut file = Vec::new();
            builder.finish().write(&mut file).unwrap();
            let segment = Segment::read(&mut file.as_slice()).unwrap();
            let mut all = Vec::new();
            segment.each(|row| all.push(row));
            prop_assert_eq!(&all, &rows);
            prop_assert_eq!(segment.rows(), rows.len() as u64);

            let reach = Reach { at_s: 20_000 * DAY_S + at, within_s: 5 };
            for ip in [format!("198.51.100.{asked}"), format!("2001:db8:0:{:x}00::", asked % 9)] {
                let ip: std::net::IpAddr = ip.parse().unwrap();
                let mut near = Near::new();
                let found = segment.near(Point::new(ip, port), reach, &mut near);
                let covers = |row: &&Row| {
                    let len = row.slot.len - if row.slot.v4().is_some() { 96 } else { 0 };
                    let net = ipnet::IpNet::new(row.slot.ip(), len).unwrap();
                    net.contains(&ip)
                };
                let of_slot: Vec<Row> = rows.iter().filter(covers).copied().collect();
                let right = |row: &Row| row.slot.ports.is_none_or(|(a, b)| port.is_some_and(|p| a <= p && p <= b));
                let mut expected: Vec<Row> = of_slot.iter().filter(|r| right(r) && reach.is_near(r)).copied().collect();
                let mut got = near.rows().to_vec();
                if expected.len() <= crate::row::ROWS_MAX {
                    got.sort_by_key(order);
                    expected.sort_by_key(order);
                    prop_assert_eq!(got.len(), expected.len());
                    prop_assert!(got.iter().all(|r| expected.contains(r)));
                }
                let shared = port.is_none() && of_slot.iter().any(|r| r.slot.ports.is_some() && reach.is_near(r));
                prop_assert_eq!(found.shared, shared);
                prop_assert_eq!(found.past, of_slot.iter().any(|r| right(r) && reach.is_past(r)));
            }
        }

        #[test]
        fn torn_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Segment::read(&mut bytes.as_slice());
        }
    }
}
