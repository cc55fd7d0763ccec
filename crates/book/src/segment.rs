//! All that was surely over on one day (UTC), sorted by what was held: immutable, packed, and found without a scan.
//!
//! ```text
//!   whole IPv4 addresses:              pool ──▶ rows of the address
//!   blocks of ports, IPv6, the crowded: fences: first key of each block ──▶ block ──▶ rows of the slot
//! ```
//!
//! A session is kept once, on the day on which it was surely over, however long it was. So whoever asks about a moment
//! looks into the day of that moment and goes forward until a row is found that was over later: of one slot's sessions the
//! first that was over after the moment is the only one that can cover it.
//!
//! Keys. IPv4: the address and the first port of the block (`address << 16 | port`; port 0 for the whole address), with
//! the number of ports as extent (0: the whole address). IPv6: the prefix, with its length as extent. See `pool.rs` for
//! whole addresses, and for which of them are crowded.

use std::io::{Read, Write};

use crate::bits::SLACK;
use crate::block::{BLOCK_ROWS, Packed, fits, pack};
use crate::memory::Bytes;
use crate::pool::{Place, Pool, PoolBuilder};
use crate::row::{Near, Row, Slot};
use crate::section::Section;

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

impl std::fmt::Debug for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Point(‹redacted›)")
    }
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
        self.touches(row.start_s, row.gone_s)
    }

    /// The same, of its times.
    fn touches(self, start_s: i64, gone_s: i64) -> bool {
        gone_s >= self.at_s - self.within_s && start_s <= self.at_s + self.within_s
    }

    /// Whether what began then is not near.
    pub fn is_before(self, start_s: i64) -> bool {
        start_s > self.at_s + self.within_s
    }

    /// Whether no row that is over later can matter.
    fn is_past(self, gone_s: i64) -> bool {
        gone_s > self.at_s + self.within_s
    }
}

/// What a look into a place found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// A row of the slot that was over later than what is near: no need to look on.
    pub past: bool,
    /// Blocks of ports near the moment, and no port was told.
    pub shared: bool,
}

impl Found {
    /// Of both together.
    pub fn with(self, other: Self) -> Self {
        Self { past: self.past | other.past, shared: self.shared | other.shared }
    }

    /// Notes a row's times. Tells whether it is near.
    #[inline]
    fn note(&mut self, reach: Reach, start_s: i64, gone_s: i64) -> bool {
        self.past |= reach.is_past(gone_s);
        reach.touches(start_s, gone_s)
    }

    fn take(&mut self, reach: Reach, row: Row, near: &mut Near) {
        if self.note(reach, row.start_s, row.gone_s) {
            near.push(row);
        }
    }
}

/// When the first of some rows began, by what was held: no row that is over later says anything about a moment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begins {
    /// Whole IPv4 addresses.
    pub whole_s: i64,
    /// Blocks of ports.
    pub blocks_s: i64,
    /// IPv6.
    pub v6_s: i64,
}

impl Begins {
    /// Of no rows.
    pub const NEVER: Self = Self { whole_s: i64::MAX, blocks_s: i64::MAX, v6_s: i64::MAX };

    /// Of both together.
    pub fn with(self, other: Self) -> Self {
        Self {
            whole_s: self.whole_s.min(other.whole_s),
            blocks_s: self.blocks_s.min(other.blocks_s),
            v6_s: self.v6_s.min(other.v6_s),
        }
    }
}

/// A day's rows. See the module's text.
#[derive(Debug)]
pub struct Segment {
    day: i32,
    rows: u64,
    pool: Pool,
    /// Whole addresses that the pool has not.
    crowded: Section<u64>,
    /// Blocks of ports.
    blocks: Section<u64>,
    v6: Section<u128>,
    /// The largest number of ports in a block; 0: no blocks.
    ports_max: u32,
    /// Addresses that have blocks of ports, in order.
    shared: Vec<u32>,
    begins: Begins,
    /// Bit n: there are prefixes of n bits.
    lengths: u128,
    /// A prefix of 128 bits has no bit in `lengths`.
    whole: bool,
    doubt_max_s: u32,
    bytes: Bytes,
}

/// The first bytes of a segment: what it is, and in which form. One of another form is not read.
const FORM: [u8; 8] = *b"NoroDay2";

impl Segment {
    /// The day: days since 1970-01-01.
    pub fn day(&self) -> i32 {
        self.day
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// IPv4 addresses that have blocks of ports, in order.
    pub fn shared(&self) -> &[u32] {
        &self.shared
    }

    /// Bit n: there are prefixes of n bits; whether there are whole IPv6 addresses.
    pub fn lengths(&self) -> (u128, bool) {
        (self.lengths, self.whole)
    }

    /// When the first of its rows began.
    pub fn begins(&self) -> Begins {
        self.begins
    }

    /// The largest doubt about a border in it.
    pub fn doubt_max_s(&self) -> u32 {
        self.doubt_max_s
    }

    /// Bytes it takes in memory.
    pub fn memory(&self) -> usize {
        let sections = self.crowded.memory() + self.blocks.memory() + self.v6.memory();
        self.pool.memory() + self.bytes.memory() + self.shared.capacity() * 4 + sections
    }

    /// Where the rows of a whole IPv4 address are.
    #[inline]
    pub fn find(&self, ip: u32) -> Place {
        self.pool.find(ip)
    }

    /// See `Pool::touch_tile`.
    #[inline]
    pub fn touch_tile(&self, ip: u32) -> u8 {
        self.pool.touch_tile(ip)
    }

    /// See `Pool::touch`.
    #[inline]
    pub fn touch(&self, place: Place) -> u8 {
        self.pool.touch(place)
    }

    /// Puts the rows near a moment into `near`. An IPv4 address's place has been found before; its blocks of ports come on
    /// top, see [`Segment::near_blocks`].
    #[inline]
    pub fn near(&self, point: Point, place: Place, reach: Reach, near: &mut Near) -> Found {
        match point.v4 {
            Some(ip) => self.near_whole(ip, place, reach, near),
            None => self.near_v6(point.addr, reach, near),
        }
    }

    #[inline]
    fn near_whole(&self, ip: u32, place: Place, reach: Reach, near: &mut Near) -> Found {
        let mut found = Found::default();
        match place {
            Place::Nowhere => {}
            Place::Crowded => self.crowded.at(&self.bytes, u64::from(ip) << 16, |packed| {
                found.take(reach, self.row_v4(packed), near);
            }),
            Place::Rows { .. } => {
                let day_s = i64::from(self.day) * DAY_S;
                let wanted = |gone, duration| {
                    let gone_s = day_s + i64::from(gone);
                    found.note(reach, gone_s - i64::from(duration), gone_s)
                };
                self.pool.rows(place, ip, wanted, |packed| near.push(self.row_v4(packed)));
            }
        }
        found
    }

    /// The same of the blocks of ports of an IPv4 address.
    pub fn near_blocks(&self, ip: u32, port: Option<u16>, reach: Reach, near: &mut Near) -> Found {
        let mut found = Found::default();
        let first = u64::from(ip) << 16;
        match (self.ports_max, port) {
            (0, _) => {}
            (_, None) => self.blocks.scan(&self.bytes, first, first | 0xffff, |packed| {
                found.shared |= reach.is_near(&self.row_v4(packed));
            }),
            (most, Some(port)) => {
                let from = first | u64::from(port).saturating_sub(u64::from(most));
                self.blocks.scan(&self.bytes, from, first | u64::from(port), |packed| {
                    let row = self.row_v4(packed);
                    if row.slot.ports.is_some_and(|(low, high)| low <= port && port <= high) {
                        found.take(reach, row, near);
                    }
                });
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
                found.take(reach, self.row_v6(packed), near);
            });
        }
        found
    }

    /// Every row.
    pub fn each(&self, mut each: impl FnMut(Row)) {
        self.pool.each(|packed| each(self.row_v4(packed)));
        self.crowded.scan(&self.bytes, 0, u64::MAX, |packed| each(self.row_v4(packed)));
        self.blocks.scan(&self.bytes, 0, u64::MAX, |packed| each(self.row_v4(packed)));
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
        let mut head = FORM.to_vec();
        head.extend(self.day.to_le_bytes());
        head.extend(self.rows.to_le_bytes());
        head.extend(self.ports_max.to_le_bytes());
        head.extend((self.shared.len() as u64).to_le_bytes());
        self.shared.iter().for_each(|ip| head.extend(ip.to_le_bytes()));
        for begins_s in [self.begins.whole_s, self.begins.blocks_s, self.begins.v6_s] {
            head.extend(begins_s.to_le_bytes());
        }
        head.extend(self.lengths.to_le_bytes());
        head.push(self.whole.into());
        head.extend(self.doubt_max_s.to_le_bytes());
        out.write_all(&head)?;
        self.pool.write(out)?;
        self.crowded.write(out)?;
        self.blocks.write(out)?;
        self.v6.write(out)?;
        out.write_all(&(self.bytes.len() as u64).to_le_bytes())?;
        out.write_all(&self.bytes)
    }

    /// Reads one. The bytes come out of a seal, so they are ours; still nothing is believed that would panic.
    pub fn read(from: &mut impl Read) -> std::io::Result<Self> {
        if bytes(from)? != FORM {
            let told = "a day of the session book in the form of another version of noroshi: take the records in anew";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, told));
        }
        Ok(Self {
            day: i32::from_le_bytes(bytes(from)?),
            rows: u64::from_le_bytes(bytes(from)?),
            ports_max: u32::from_le_bytes(bytes(from)?),
            shared: {
                let count = u64::from_le_bytes(bytes(from)?);
                (0..count).map(|_| Ok(u32::from_le_bytes(bytes(from)?))).collect::<std::io::Result<_>>()?
            },
            begins: Begins {
                whole_s: i64::from_le_bytes(bytes(from)?),
                blocks_s: i64::from_le_bytes(bytes(from)?),
                v6_s: i64::from_le_bytes(bytes(from)?),
            },
            lengths: u128::from_le_bytes(bytes(from)?),
            whole: bytes(from)? == [1],
            doubt_max_s: u32::from_le_bytes(bytes(from)?),
            pool: Pool::read(from)?,
            crowded: Section::read(from, u64::from_le_bytes)?,
            blocks: Section::read(from, u64::from_le_bytes)?,
            v6: Section::read(from, u128::from_le_bytes)?,
            bytes: {
                let count = u64::from_le_bytes(bytes(from)?);
                Bytes::read(from, count)?
            },
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
    pool: PoolBuilder,
    block: Vec<Packed>,
    kind: Kind,
    bytes: Vec<u8>,
}

/// Where in a segment a row is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Whole IPv4 addresses.
    Pool,
    /// Those of them that crowd.
    Crowded,
    /// Blocks of ports.
    Blocks,
    /// IPv6.
    V6,
}

/// The order in which a segment wants its rows.
pub fn order(row: &Row) -> (Kind, u128, u32, i64) {
    let (kind, key, extent) = key(row.slot);
    (kind, key, extent, row.gone_s)
}

fn key(slot: Slot) -> (Kind, u128, u32) {
    match (slot.v4(), slot.ports) {
        (Some(ip), None) => (Kind::Pool, u128::from(ip) << 16, 0),
        (Some(ip), Some((first, last))) => {
            let key = u128::from(ip) << 16 | u128::from(first);
            (Kind::Blocks, key, u32::from(last.saturating_sub(first)) + 1)
        }
        (None, _) => (Kind::V6, slot.addr, slot.len.into()),
    }
}

impl Builder {
    /// For rows that were gone on this day.
    pub fn new(day: i32) -> Self {
        let segment = Segment {
            day,
            rows: 0,
            pool: Pool::default(),
            crowded: Section::default(),
            blocks: Section::default(),
            v6: Section::default(),
            ports_max: 0,
            shared: Vec::new(),
            begins: Begins::NEVER,
            lengths: 0,
            whole: false,
            doubt_max_s: 0,
            bytes: Bytes::default(),
        };
        let block = Vec::with_capacity(BLOCK_ROWS);
        Self { segment, pool: PoolBuilder::default(), block, kind: Kind::Pool, bytes: Vec::new() }
    }

    /// Adds a row. Rows of another day are not taken.
    pub fn push(&mut self, row: &Row) {
        let day_s = i64::from(self.segment.day) * DAY_S;
        let Ok(gone) = u32::try_from(row.gone_s - day_s) else { return };
        if i64::from(gone) >= DAY_S {
            return;
        }
        let (kind, key, extent) = key(row.slot);
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
        match kind {
            Kind::Pool => self.pool.push(packed),
            kind => self.take(kind, packed),
        }
        let segment = &mut self.segment;
        segment.rows += 1;
        segment.doubt_max_s = segment.doubt_max_s.max(row.start_doubt_s).max(row.end_doubt_s);
        let start_s = row.gone_s - i64::from(packed.duration);
        let begins = match kind {
            Kind::Pool | Kind::Crowded => &mut segment.begins.whole_s,
            Kind::Blocks => &mut segment.begins.blocks_s,
            Kind::V6 => &mut segment.begins.v6_s,
        };
        *begins = start_s.min(*begins);
        match row.slot.v4() {
            Some(ip) => {
                segment.ports_max = segment.ports_max.max(extent);
                if kind == Kind::Blocks && segment.shared.last() != Some(&ip) {
                    segment.shared.push(ip);
                }
            }
            None if extent == 128 => segment.whole = true,
            None => segment.lengths |= 1 << extent,
        }
    }

    fn take(&mut self, kind: Kind, packed: Packed) {
        let next_block = self.block.len() == BLOCK_ROWS
            || kind != self.kind
            || self.block.last().is_some_and(|last| !fits(last.key, packed.key));
        if next_block {
            self.flush();
            self.kind = kind;
        }
        self.block.push(packed);
    }

    fn flush(&mut self) {
        let Some(first) = self.block.first() else { return };
        let offset = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let section = match self.kind {
            Kind::Pool | Kind::Crowded => &mut self.segment.crowded,
            Kind::Blocks => &mut self.segment.blocks,
            Kind::V6 => {
                self.segment.v6.fences.push(first.key);
                self.segment.v6.offsets.push(offset);
                self.bytes.extend(pack(&self.block));
                return self.block.clear();
            }
        };
        section.fences.push(first.key as u64);
        section.offsets.push(offset);
        self.bytes.extend(pack(&self.block));
        self.block.clear();
    }

    /// The segment.
    pub fn finish(mut self) -> Segment {
        let (pool, crowded) = std::mem::take(&mut self.pool).finish();
        crowded.into_iter().for_each(|packed| self.take(Kind::Crowded, packed));
        self.flush();
        self.bytes.extend([0; SLACK]);
        self.segment.pool = pool;
        self.segment.bytes = [self.bytes.as_slice(), &[]].into();
        let Segment { crowded, blocks, v6, .. } = &mut self.segment;
        crowded.index();
        blocks.index();
        v6.index();
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
            all.sort_by_key(order);
            prop_assert_eq!(&all, &rows);
            prop_assert_eq!(segment.rows(), rows.len() as u64);

            let reach = Reach { at_s: 20_000 * DAY_S + at, within_s: 5 };
            for ip in [format!("198.51.100.{asked}"), format!("2001:db8:0:{:x}00::", asked % 9)] {
                let ip: std::net::IpAddr = ip.parse().unwrap();
                let mut near = Near::new();
                let point = Point::new(ip, port);
                let place = point.v4.map_or(Place::Nowhere, |ip| segment.find(ip));
                let found = segment.near(point, place, reach, &mut near);
                let blocks = |ip| segment.near_blocks(ip, port, reach, &mut near);
                let found = found.with(point.v4.map_or(Found::default(), blocks));
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
                prop_assert_eq!(found.past, of_slot.iter().any(|r| right(r) && reach.is_past(r.gone_s)));
            }
        }

        #[test]
        fn torn_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Segment::read(&mut bytes.as_slice());
        }
    }
    #[test]
    fn a_segment_of_another_form_says_that_it_is() {
        let mut builder = Builder::new(20_000);
        let slot = Slot::of(&Given { net: "198.51.100.7/32".parse().unwrap(), ports: None });
        let (start_s, end_s) = (20_000 * DAY_S - 60, 20_000 * DAY_S);
        builder.push(&Row {
            slot,
            start_s,
            end_s,
            gone_s: end_s,
            line: 0,
            server: 0,
            start_doubt_s: 0,
            end_doubt_s: 0,
        });
        let mut file = Vec::new();
        builder.finish().write(&mut file).unwrap();
        assert_eq!(Segment::read(&mut file.as_slice()).unwrap().rows(), 1);
        // As before there was a form: the day's number first.
        let told = Segment::read(&mut &file[FORM.len()..]).unwrap_err().to_string();
        assert!(told.contains("another version"), "{told}");
    }
}
