//! Our own file format for a table: a few lines of text that say what it is, where it comes from and under what licence
//! it may be passed on, then the table itself, compressed. It exists so that the program can carry the world's prefixes
//! in a few megabytes and have them ready within a fraction of a second.
//!
//! ```text
//! noroshi-table 1
//! kind: asn
//! source: …          version: …   date: …   licence: …   attribution: …   (one a line)
//! <empty line>
//! one zstd frame: names, owners, IPv4 ranges, IPv6 ranges; each column by itself, for like compresses with like
//! ```
//!
//! Numbers are LEB128. Owners are sorted by number and stored as differences. Where a range starts is stored as the
//! distance from the start before, split into its power of two and the odd rest: most distances are one power of two.

use std::io::Read;

use zstd::stream::read::Decoder;

use super::EnrichError;
use super::prefixes::{Names, PrefixTable, Record};
use super::ranges::{Key, NOTHING, NUMBER_MAX, Ranges, Space, V6, Value};

const MAGIC: &str = "noroshi-table 1\n";
/// The longest head.
const HEAD_MAX: usize = 8192;
/// The most a table unpacks to: the world's prefixes are a tenth of it.
const BODY_MAX: u64 = 128 << 20;

/// Where a table comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// `asn`, `country` or `lists`.
    pub kind: String,
    /// The package or project the data was taken from.
    pub source: String,
    /// Its version.
    pub version: String,
    /// The day it is of.
    pub date: String,
    /// Its licence.
    pub licence: String,
    /// What has to be shown where answers from this table are; empty where nothing has to.
    pub attribution: String,
}

impl About {
    fn lines(&mut self) -> [(&'static str, &mut String); 6] {
        [
            ("kind", &mut self.kind),
            ("source", &mut self.source),
            ("version", &mut self.version),
            ("date", &mut self.date),
            ("licence", &mut self.licence),
            ("attribution", &mut self.attribution),
        ]
    }

    /// The head of a file, empty line included.
    pub fn head(&self) -> String {
        let mut head = MAGIC.to_owned();
        for (name, value) in self.clone().lines() {
            head.push_str(&format!("{name}: {}\n", value.replace(['\r', '\n'], " ")));
        }
        head + "\n"
    }
}

/// What a file says of itself, and the compressed rest.
pub fn head(bytes: &[u8]) -> Result<(About, &[u8]), EnrichError> {
    let rest =
        bytes.strip_prefix(MAGIC.as_bytes()).ok_or(EnrichError::Packed("it does not begin like one"))?;
    let end = rest.windows(2).take(HEAD_MAX).position(|two| two == b"\n\n");
    let end = end.ok_or(EnrichError::Packed("its head does not end"))?;
    let head =
        std::str::from_utf8(&rest[..end]).map_err(|_| EnrichError::Packed("its head is not in UTF-8"))?;
    let mut about = About::default();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if let Some((_, place)) = about.lines().into_iter().find(|(known, _)| *known == name) {
            value.clone_into(place);
        }
    }
    Ok((about, &rest[end + 2..]))
}

/// Splits a file into what it says of itself and its unpacked body.
pub fn open(bytes: &[u8]) -> Result<(About, Vec<u8>), EnrichError> {
    let (about, rest) = head(bytes)?;
    let frame = Decoder::new(rest).map_err(|_| EnrichError::Packed("it has no body"))?;
    let mut body = Vec::new();
    let read = frame.take(BODY_MAX + 1).read_to_end(&mut body);
    read.map_err(|_| EnrichError::Packed("its body cannot be unpacked"))?;
    if body.len() as u64 > BODY_MAX {
        return Err(EnrichError::TooMany(BODY_MAX as usize, "bytes in a packed table"));
    }
    Ok((about, body))
}

/// Reads a prefix table.
pub fn read(bytes: &[u8]) -> Result<PrefixTable, EnrichError> {
    let (about, body) = open(bytes)?;
    let table = decode(&body)?;
    Ok(PrefixTable { about, ..table })
}

/// The body of a file, not yet compressed.
pub fn encode(table: &PrefixTable) -> Vec<u8> {
    let mut out = Vec::new();
    let names = &table.names;
    put(&mut out, names.ends.len() as u128 - 1);
    names.ends.windows(2).for_each(|pair| put(&mut out, (pair[1] - pair[0]).into()));
    out.extend_from_slice(names.text.as_bytes());
    let mut order: Vec<u32> = (1..table.records.len() as u32).collect();
    let record = |number: u32| table.records[number as usize];
    order.sort_by_key(|number| (record(*number).asn, record(*number).name));
    let mut new_number = vec![0; table.records.len()];
    order.iter().enumerate().for_each(|(at, old)| new_number[*old as usize] = at as u32 + 1);
    put(&mut out, order.len() as u128);
    put_differences(&mut out, order.iter().map(|number| record(*number).asn));
    put_differences(&mut out, order.iter().map(|number| record(*number).name));
    order.iter().for_each(|number| out.extend(record(*number).cc));
    put_ranges(&mut out, &table.space.v4, &new_number);
    match &table.space.v6 {
        V6::Routed(ranges) => {
            out.push(64);
            put_ranges(&mut out, ranges, &new_number);
        }
        V6::Whole(ranges) => {
            out.push(128);
            put_ranges(&mut out, ranges, &new_number);
        }
    }
    out
}

/// A number, and back from one.
trait Wide: Key {
    fn wide(self) -> u128;
    fn narrow(wide: u128) -> Option<Self>;
}

macro_rules! wide {
    ($($int:ty)*) => {$(
        impl Wide for $int {
            fn wide(self) -> u128 {
                self.into()
            }
            fn narrow(wide: u128) -> Option<Self> {
                wide.try_into().ok()
            }
        }
    )*};
}
wide!(u32 u64 u128);

fn put(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_differences(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    let mut before = 0i64;
    for number in numbers.map(i64::from) {
        let step = number - before;
        put(out, ((step << 1) ^ (step >> 63)) as u64 as u128);
        before = number;
    }
}

fn put_ranges<K: Wide>(out: &mut Vec<u8>, ranges: &Ranges<K>, new_number: &[u32]) {
    put(out, ranges.count() as u128);
    let mut before = 0;
    let steps: Vec<u128> = ranges
        .iter()
        .map(|(start, _)| {
            let step = start.wide() - before;
            before = start.wide();
            step
        })
        .collect();
    let power = |step: u128| if step == 0 { 0 } else { step.trailing_zeros() };
    out.extend(steps.iter().map(|step| power(*step) as u8));
    steps.iter().for_each(|step| put(out, step >> power(*step)));
    // The three bytes of a number each in a column of its own.
    let numbers = || ranges.iter().map(|(_, value)| new_number[value.number() as usize]);
    for byte in 0..3 {
        out.extend(numbers().map(|number| number.to_le_bytes()[byte]));
    }
    out.extend(ranges.iter().map(|(_, value)| value.len()));
}

/// Reads what [`encode`] wrote, and believes none of it.
fn decode(body: &[u8]) -> Result<PrefixTable, EnrichError> {
    let mut from = From { rest: body };
    let mut names = Names::default();
    let count = from.count()?;
    let mut end = 0u32;
    for _ in 0..count {
        end = from.number::<u32>()?.checked_add(end).ok_or_else(broken)?;
        names.ends.push(end);
    }
    names.text = std::str::from_utf8(from.bytes(end as usize)?).map_err(|_| broken())?.to_owned();
    names.ends.shrink_to_fit();
    if names.ends.iter().any(|end| !names.text.is_char_boundary(*end as usize)) {
        return Err(broken());
    }
    let count = from.count()?;
    if count > NUMBER_MAX as usize {
        return Err(broken());
    }
    let asns = from.differences(count)?;
    let of_names = from.differences(count)?;
    if of_names.iter().any(|name| *name as usize >= names.ends.len()) {
        return Err(broken());
    }
    let countries = from.bytes(count * 2)?;
    let owners = asns.iter().zip(of_names).zip(countries.chunks_exact(2));
    let owners = owners.map(|((asn, name), cc)| Record { asn: *asn, name, cc: [cc[0], cc[1]] });
    let records: Box<[Record]> = std::iter::once(Record::default()).chain(owners).collect();
    let v4 = from.ranges::<u32>(records.len())?;
    let v6 = match from.bytes(1)? {
        [64] => V6::Routed(from.ranges::<u64>(records.len())?),
        [128] => V6::Whole(from.ranges::<u128>(records.len())?),
        _ => return Err(broken()),
    };
    if !from.rest.is_empty() {
        return Err(broken());
    }
    Ok(PrefixTable::new(Space { v4, v6 }, records, names))
}

/// Made where it is needed only: there are millions of numbers, and an error takes its time to be dropped.
#[cold]
fn broken() -> EnrichError {
    EnrichError::Packed("its body contradicts itself")
}

struct From<'a> {
    rest: &'a [u8],
}

impl<'a> From<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], EnrichError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(broken)?;
        self.rest = rest;
        Ok(taken)
    }

    fn number<K: Wide>(&mut self) -> Result<K, EnrichError> {
        let mut number = 0u128;
        for shift in (0..128).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or_else(broken)?;
            self.rest = rest;
            number |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return K::narrow(number).ok_or_else(broken);
            }
        }
        Err(broken())
    }

    /// How many follow: each takes a byte at least, so that no count makes us reserve more than was read.
    fn count(&mut self) -> Result<usize, EnrichError> {
        let count = self.number::<u32>()? as usize;
        if count > self.rest.len() { Err(broken()) } else { Ok(count) }
    }

    fn differences(&mut self, count: usize) -> Result<Vec<u32>, EnrichError> {
        let mut before = 0i64;
        (0..count)
            .map(|_| {
                let folded = self.number::<u64>()?;
                let step = (folded >> 1) as i64 ^ -((folded & 1) as i64);
                before = before.checked_add(step).ok_or_else(broken)?;
                u32::try_from(before).map_err(|_| broken())
            })
            .collect()
    }

    fn ranges<K: Wide>(&mut self, records: usize) -> Result<Ranges<K>, EnrichError> {
        let count = self.count()?;
        let powers = self.bytes(count)?;
        let mut cells: Vec<(K, Value)> = Vec::with_capacity(count);
        let mut start = 0u128;
        for power in powers {
            let odd = self.number::<u128>()?;
            let step =
                odd.checked_shl((*power).into()).filter(|step| step >> power == odd).ok_or_else(broken)?;
            if step == 0 && !cells.is_empty() {
                return Err(broken());
            }
            start = start.checked_add(step).ok_or_else(broken)?;
            cells.push((K::narrow(start).ok_or_else(broken)?, Value::new(NOTHING, 0)));
        }
        let (low, middle, high) = (self.bytes(count)?, self.bytes(count)?, self.bytes(count)?);
        let lens = self.bytes(count)?;
        for (at, (_, value)) in cells.iter_mut().enumerate() {
            let number = u32::from_le_bytes([low[at], middle[at], high[at], 0]);
            if number as usize >= records {
                return Err(broken());
            }
            *value = Value::new(number, lens[at]);
        }
        Ok(Ranges::sorted(cells))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::enrich::{Cc, Owner, PrefixBuilder};

    fn table() -> PrefixTable {
        let mut builder = PrefixBuilder::default();
        let owner = |asn, name, cc| Owner { asn: Some(asn), name: Some(name), cc: Cc::new(cc) };
        let range = |builder: &mut PrefixBuilder, a: &str, b: &str, owner| {
            builder.range(a.parse().unwrap(), b.parse().unwrap(), owner).unwrap();
        };
        builder.prefix("10.0.0.0/8".parse().unwrap(), owner(7, "Zehn ü", "de")).unwrap();
        builder.prefix("10.1.0.0/16".parse().unwrap(), owner(4_200_000_000, "日本", "jp")).unwrap();
        range(&mut builder, "255.0.0.1", "255.255.255.255", owner(1, "End", ""));
        builder.prefix("2001:db8::/32".parse().unwrap(), owner(7, "Zehn ü", "de")).unwrap();
        range(&mut builder, "2001:db8:1::", "2001:db8:3:ffff:ffff:ffff:ffff:ffff", owner(2, "", "fr"));
        builder.build()
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let table = table();
        let again = decode(&encode(&table)).unwrap();
        for ip in [
            "10.0.0.1",
            "10.1.2.3",
            "10.2.0.0",
            "255.0.0.9",
            "255.0.0.0",
            "2001:db8::1",
            "2001:db8:2::1",
            "::",
        ] {
            let ip = ip.parse().unwrap();
            assert_eq!(again.look_up(ip), table.look_up(ip), "{ip}");
        }
        assert_eq!(encode(&again).len(), encode(&table).len());
        assert_eq!(again.look_up("10.1.2.3".parse().unwrap()).unwrap().as_name, Some("日本"));
    }

    #[test]
    fn the_head_says_where_a_table_comes_from() {
        let about = About { kind: "asn".into(), licence: "CC-BY-4.0".into(), ..About::default() };
        let mut file = about.head().into_bytes();
        // A zstd frame with one raw, empty block.
        file.extend([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00]);
        assert_eq!(open(&file).unwrap(), (about, Vec::new()));
        assert!(matches!(read(&file), Err(EnrichError::Packed("its body contradicts itself"))));
        assert!(open(b"PK\x03\x04").is_err());
        assert!(open(&file[..file.len() - 12]).is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_body_is_an_error_or_a_table_that_can_be_asked(
            at in 0usize..400, to in any::<u8>(), cut in 0usize..400, ip in any::<u32>(),
        ) {
            let mut body = encode(&table());
            body.truncate(body.len().saturating_sub(cut / 8));
            let at = at % body.len().max(1);
            body[at] = to;
            if let Ok(table) = decode(&body) {
                let _ = table.look_up(std::net::Ipv4Addr::from(ip).into());
                let _ = table.look_up("2001:db8:2::1".parse().unwrap());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = open(&[MAGIC.as_bytes(), b"\n\n", &bytes].concat());
        }
    }
}
