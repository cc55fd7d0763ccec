//! The one structure under every table of addresses: disjoint ranges in order, each with a number. Nested prefixes are
//! flattened when the table is built, so that a look-up is one step through an index of the leading bits and a binary
//! search among a handful, whatever the nesting. Only where a range starts is stored; it ends where the next one starts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The number of what is known, or [`NOTHING`], and how long the matched prefix was: 24 and 8 bits of one word. The
/// prefix itself is the asked address cut to that length, so it need not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value(u32);

/// What no table knows.
pub(super) const NOTHING: u32 = 0;
/// The largest number.
pub(super) const NUMBER_MAX: u32 = (1 << 24) - 1;
/// In the place of a prefix length: the range came as a range, ask for [`Hit::prefix`] by its ends.
pub(super) const BY_ENDS: u8 = u8::MAX;
/// Below this many ranges an index costs more than it saves.
const INDEX_FROM: usize = 512;
/// The index has a place for every one to four ranges, but no fewer and no more than these powers of two: what is
/// searched after it should lie in a cache line or two, and the index itself should stay small beside the ranges.
const INDEX_BITS: std::ops::RangeInclusive<u32> = 14..=19;

impl Value {
    pub(super) fn new(number: u32, len: u8) -> Self {
        debug_assert!(number <= NUMBER_MAX);
        Self(u32::from(len) << 24 | number & NUMBER_MAX)
    }

    pub(super) fn number(self) -> u32 {
        self.0 & NUMBER_MAX
    }

    pub(super) fn len(self) -> u8 {
        (self.0 >> 24) as u8
    }
}

/// An address as a number: all of an IPv4 one, the routed half of an IPv6 one, or all of it.
pub(super) trait Key: Copy + Ord + std::fmt::Debug {
    const BITS: u8;
    /// Which of the places of an index that begins at `base` with steps of 2^`shift`; none before the base.
    fn place(self, base: Self, shift: u8) -> Option<usize>;
    fn next(self) -> Option<Self>;
    fn before(self) -> Option<Self>;
    /// How many bits the distance to a smaller key takes.
    fn differ_by(self, smaller: Self) -> u8;
    /// Position of the highest bit in which two different keys differ.
    fn differ(self, other: Self) -> u8;
}

macro_rules! key {
    ($($int:ty)*) => {$(
        impl Key for $int {
            const BITS: u8 = <$int>::BITS as u8;
            #[inline]
            fn place(self, base: Self, shift: u8) -> Option<usize> {
                // Far behind the last start: behind the index as well, never around into it.
                Some(usize::try_from(self.checked_sub(base)? >> shift).unwrap_or(usize::MAX))
            }
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }
            fn differ_by(self, smaller: Self) -> u8 {
                (<$int>::BITS - self.saturating_sub(smaller).leading_zeros()) as u8
            }
            fn differ(self, other: Self) -> u8 {
                (<$int>::BITS - 1).saturating_sub((self ^ other).leading_zeros()) as u8
            }
        }
    )*};
}
key!(u32 u64 u128);

/// From one address to another, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<K> {
    pub(super) first: K,
    pub(super) last: K,
    pub(super) value: Value,
}

/// Where a range starts and what it says; side by side, since whoever finds the one reads the other.
type Cell<K> = (K, Value);

/// Disjoint ranges of one kind of address.
#[derive(Debug, Default)]
pub(super) struct Ranges<K> {
    cells: Box<[Cell<K>]>,
    /// For each place, how many ranges start before it. Empty in a small table.
    index: Box<[u32]>,
    /// How many bits of an address lie within one place, counted from the first start.
    shift: u8,
}

impl<K: Key> Ranges<K> {
    /// Flattens spans of which the narrower covers the wider, and of equal ones the later the earlier.
    pub(super) fn of(mut spans: Vec<Span<K>>) -> Self {
        spans.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
        let mut out = Flat { cells: Vec::with_capacity(spans.len()) };
        let mut open: Vec<(K, Value)> = Vec::new();
        for span in spans {
            close(&mut open, &mut out, Some(span.first));
            out.put(span.first, span.value);
            open.push((span.last, span.value));
        }
        close(&mut open, &mut out, None);
        Self::sorted(out.cells)
    }

    /// Of starts that rise, each with its value.
    pub(super) fn sorted(cells: Vec<Cell<K>>) -> Self {
        debug_assert!(cells.is_sorted_by_key(|(start, _)| *start));
        let (mut index, mut shift) = (Vec::new(), 0);
        if let (Some((first, _)), Some((last, _))) = (cells.first(), cells.last())
            && cells.len() >= INDEX_FROM
        {
            let bits = (cells.len().ilog2() - 1).clamp(*INDEX_BITS.start(), *INDEX_BITS.end()) as u8;
            shift = (last.differ_by(*first)).saturating_sub(bits);
            let place = |start: &K| start.place(*first, shift).unwrap_or_default();
            index.resize(place(last) + 2, 0);
            for (start, _) in &cells {
                index[place(start) + 1] += 1;
            }
            for at in 1..index.len() {
                index[at] += index[at - 1];
            }
        }
        Self { cells: cells.into(), index: index.into(), shift }
    }

    #[inline]
    fn find(&self, at: K) -> Option<usize> {
        let place = at.place(self.cells.first()?.0, self.shift)?;
        let (from, to) = match (self.index.get(place), self.index.get(place.saturating_add(1))) {
            (Some(from), Some(to)) => (*from as usize, *to as usize),
            _ if self.index.is_empty() => (0, self.cells.len()),
            // After the last start.
            _ => (self.cells.len(), self.cells.len()),
        };
        let within = self.cells.get(from..to)?.partition_point(|(start, _)| *start <= at);
        (from + within).checked_sub(1)
    }

    /// The value at an address, and the length of its prefix within this key.
    fn hit(&self, at: K) -> Option<(Value, u8)> {
        let place = self.find(at)?;
        let value = self.cells[place].1;
        if value.number() == NOTHING {
            return None;
        }
        Some((value, if value.len() == BY_ENDS { self.len_by_ends(place, at) } else { value.len() }))
    }

    /// The largest prefix around an address that lies in its range: it may reach neither the address before the range
    /// nor the one after.
    fn len_by_ends(&self, place: usize, at: K) -> u8 {
        let before = self.cells[place].0.before();
        let after = self.cells.get(place + 1).map(|(start, _)| *start);
        let free = before.into_iter().chain(after).map(|border| at.differ(border)).min().unwrap_or(K::BITS);
        K::BITS - free
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (K, Value)> + '_ {
        self.cells.iter().copied()
    }

    pub(super) fn count(&self) -> usize {
        self.cells.len()
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.cells) + size_of_val(&*self.index)
    }
}

/// Ranges while they are being found, from left to right.
struct Flat<K> {
    cells: Vec<Cell<K>>,
}

impl<K: Key> Flat<K> {
    /// From here on it is this value; what was said of the same place before is covered.
    fn put(&mut self, start: K, value: Value) {
        if self.cells.last().is_some_and(|(last, _)| *last == start) {
            self.cells.pop();
        }
        if self.cells.last().is_none_or(|(_, last)| *last != value) {
            self.cells.push((start, value));
        }
    }
}

/// Ends the spans that end before `until`; after each, the one it lay in goes on.
fn close<K: Key>(open: &mut Vec<(K, Value)>, out: &mut Flat<K>, until: Option<K>) {
    while let Some(&(last, _)) = open.last().filter(|(last, _)| until.is_none_or(|until| *last < until)) {
        while open.last().is_some_and(|(end, _)| *end <= last) {
            open.pop();
        }
        let below = open.last().map_or(Value::new(NOTHING, 0), |(_, value)| *value);
        if let Some(after) = last.next() {
            out.put(after, below);
        }
    }
}

/// The IPv6 half of a table. What is announced is never longer than a /64 but in a few places; a table without such a
/// place keeps only the routed half of each address.
#[derive(Debug)]
pub(super) enum V6 {
    Routed(Ranges<u64>),
    Whole(Ranges<u128>),
}

/// Both kinds of address.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) v4: Ranges<u32>,
    pub(super) v6: V6,
}

/// A prefix of IPv4 addresses that is written as one of IPv6 addresses is the IPv4 one, as it is in look-ups. Without
/// the bits of the host.
pub(super) fn canonical(net: IpNet) -> IpNet {
    let mapped = match net {
        IpNet::V6(net) if net.prefix_len() >= 96 => {
            net.network().to_ipv4_mapped().and_then(|ip| Ipv4Net::new(ip, net.prefix_len() - 96).ok())
        }
        _ => None,
    };
    mapped.map_or(net, IpNet::V4).trunc()
}

/// What a look-up found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) number: u32,
    pub(super) prefix: IpNet,
}

impl Space {
    pub(super) fn of(v4: Vec<Span<u32>>, v6: Vec<Span<u128>>) -> Self {
        let routed =
            v6.iter().all(|span| span.first << 64 == 0 && span.last << 64 == u128::from(u64::MAX) << 64);
        let v6 = if routed {
            let half = |span: &Span<u128>| Span {
                first: (span.first >> 64) as u64,
                last: (span.last >> 64) as u64,
                value: span.value,
            };
            V6::Routed(Ranges::of(v6.iter().map(half).collect()))
        } else {
            V6::Whole(Ranges::of(v6))
        };
        Self { v4: Ranges::of(v4), v6 }
    }

    /// An IPv4 address that is written as an IPv6 one is the IPv4 one.
    pub(super) fn look_up(&self, ip: IpAddr) -> Option<Hit> {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let (value, len) = self.v4.hit(u32::from(ip))?;
                Some(Hit { number: value.number(), prefix: net4(ip, len)? })
            }
            IpAddr::V6(ip) => {
                let (value, len) = match &self.v6 {
                    V6::Routed(ranges) => ranges.hit((u128::from(ip) >> 64) as u64)?,
                    V6::Whole(ranges) => ranges.hit(u128::from(ip))?,
                };
                Some(Hit { number: value.number(), prefix: net6(ip, len)? })
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let v6 = match &self.v6 {
            V6::Routed(ranges) => ranges.bytes(),
            V6::Whole(ranges) => ranges.bytes(),
        };
        self.v4.bytes() + v6
    }

    pub(super) fn count(&self) -> usize {
        let v6 = match &self.v6 {
            V6::Routed(ranges) => ranges.count(),
            V6::Whole(ranges) => ranges.count(),
        };
        self.v4.count() + v6
    }
}

fn net4(ip: Ipv4Addr, len: u8) -> Option<IpNet> {
    Ipv4Net::new(ip, len).ok().map(|net| IpNet::V4(net.trunc()))
}

fn net6(ip: Ipv6Addr, len: u8) -> Option<IpNet> {
    Ipv6Net::new(ip, len).ok().map(|net| IpNet::V6(net.trunc()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(spans: &[(u32, u32, u32)]) -> Vec<(u32, u32)> {
        let spans = spans.iter().map(|&(first, last, n)| Span { first, last, value: Value::new(n, BY_ENDS) });
        Ranges::of(spans.collect()).iter().map(|(start, value)| (start, value.number())).collect()
    }

    #[test]
    fn the_narrower_covers_the_wider_and_ends_give_it_back() {
        assert_eq!(
            ranges(&[(0, 99, 1), (10, 19, 2), (12, 13, 3)]),
            [(0, 1), (10, 2), (12, 3), (14, 2), (20, 1), (100, 0)]
        );
        assert_eq!(ranges(&[(5, 9, 1), (5, 9, 2)]), [(5, 2), (10, 0)]);
        assert_eq!(ranges(&[(0, 3, 1), (4, 7, 1)]), [(0, 1), (8, 0)]);
        assert_eq!(ranges(&[(9, u32::MAX, 1), (u32::MAX, u32::MAX, 2)]), [(9, 1), (u32::MAX, 2)]);
        assert_eq!(ranges(&[(0, 20, 1), (5, 10, 2), (8, 15, 3)]), [(0, 1), (5, 2), (8, 3), (16, 1), (21, 0)]);
    }

    #[test]
    fn ipv4_written_as_ipv6_is_ipv4() {
        let canonical = |net: &str| canonical(net.parse().unwrap()).to_string();
        assert_eq!(canonical("::ffff:192.0.2.9/120"), "192.0.2.0/24");
        assert_eq!(canonical("::ffff:192.0.2.9/128"), "192.0.2.9/32");
        assert_eq!(canonical("::/90"), "::/90");
        assert_eq!(canonical("2001:db8::1/64"), "2001:db8::/64");
    }

    #[test]
    fn a_range_answers_with_the_largest_prefix_in_it() {
        let space = Space::of(
            vec![Span { first: 0x0a00_0001, last: 0x0a00_00ff, value: Value::new(1, BY_ENDS) }],
            vec![],
        );
        let prefix = |ip: &str| space.look_up(ip.parse().unwrap()).map(|hit| hit.prefix.to_string());
        assert_eq!(prefix("10.0.0.1").unwrap(), "10.0.0.1/32");
        assert_eq!(prefix("10.0.0.3").unwrap(), "10.0.0.2/31");
        assert_eq!(prefix("::ffff:10.0.0.200").unwrap(), "10.0.0.128/25");
        assert_eq!(prefix("10.0.0.0"), None);
        assert_eq!(prefix("10.0.1.0"), None);
        let all = Space::of(vec![Span { first: 0, last: u32::MAX, value: Value::new(1, BY_ENDS) }], vec![]);
        assert_eq!(all.look_up("1.2.3.4".parse().unwrap()).unwrap().prefix.to_string(), "0.0.0.0/0");
    }

    proptest! {
        #[test]
        fn ranges_that_overlap_in_any_way_answer_like_the_last_that_began(
            raw in prop::collection::vec((0u32..3000, 0u32..3000), 0..40),
            big in any::<bool>(),
        ) {
            let stretch = if big { 1 << 20 } else { 1 };
            let spans: Vec<Span<u32>> = raw.iter().enumerate().map(|(n, (a, b))| Span {
                first: a.min(b) * stretch,
                last: a.max(b) * stretch,
                value: Value::new(n as u32 + 1, BY_ENDS),
            }).collect();
            let flat = Ranges::of(spans.clone());
            for at in (0..3001).map(|n| n * stretch) {
                // Of those that hold the place, the one that starts last; then the shortest; then the latest given.
                let naive = spans.iter().enumerate()
                    .filter(|(_, span)| span.first <= at && at <= span.last)
                    .max_by_key(|(n, span)| (span.first, std::cmp::Reverse(span.last), *n))
                    .map(|(_, span)| span.value);
                prop_assert_eq!(flat.hit(at).map(|(value, _)| value), naive);
            }
        }
    }
}
