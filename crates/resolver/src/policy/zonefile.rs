//! A policy zone's file, line by line: what can be read is, what can't is told with its line.
//!
//! NLnet Labs' `domain` reads zone files, and stops at the first error. A list of a million names has wrong lines, so the file is
//! cut into entries here and each is read alone. Nearly all of them are `NAME CNAME TARGET` or an address, which are read here
//! without a copy; every other entry is given to `domain`.

use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use domain::base::iana::Class;
use domain::base::rdata::ComposeRecordData as _;
use domain::base::{Name as DomainName, ToName as _};
use domain::zonefile::inplace::{Entry, Zonefile};

use super::rule::{ZoneRecord, rtype};
use crate::name::{Name, NameError};

/// Octets of one entry at most, comments included.
pub const ENTRY_OCTETS_MAX: usize = 64 * 1024;
/// Seconds for which a record holds where nothing in the file says it.
const TTL_DEFAULT_S: u32 = 3600;
/// Seconds at most (RFC 2181, 8).
const TTL_MAX_S: u32 = i32::MAX as u32;

/// Why an entry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A name is none.
    #[error("{0}")]
    Name(#[from] NameError),
    /// There is no owner to take over.
    #[error("it begins with a blank, and no entry is before it")]
    NoOwner,
    /// Its type or data are missing.
    #[error("a record has an owner, a type and data")]
    Parts,
    /// Its data is no address.
    #[error("{0:?} is no address")]
    Address(String),
    /// More than [`ENTRY_OCTETS_MAX`].
    #[error("an entry of more than {ENTRY_OCTETS_MAX} octets")]
    Long,
    /// A bracket or a quotation mark is not closed.
    #[error("a bracket or quotation mark is not closed")]
    Open,
    /// `$INCLUDE`, or another directive.
    #[error("{0} is not read")]
    Directive(String),
    /// What `domain` says.
    #[error("{0}")]
    Other(String),
}

/// Octets that are read at a time.
const CHUNK_OCTETS: usize = 512 * 1024;

/// Reads a file's records from first to last, giving each with its line to `take`, or why it is none.
///
/// Names without a last dot are taken below `apex` until `$ORIGIN` says otherwise. Of the file no more than a part is in memory.
///
/// # Errors
///
/// Whatever the file says when it is read.
pub fn read(
    mut file: impl io::Read,
    apex: &Name,
    mut take: impl FnMut(usize, Result<ZoneRecord<'_>, EntryError>),
) -> io::Result<()> {
    let mut reader = Reader { origin: *apex, owner: None, ttl: None, ttl_before: TTL_DEFAULT_S };
    let (mut text, mut line, mut is_whole) = (Vec::with_capacity(CHUNK_OCTETS * 2), 1, false);
    // Within a line that is too long, and of which no end was seen yet.
    let mut skips = false;
    while !is_whole {
        let before = text.len();
        (&mut file).take(CHUNK_OCTETS as u64).read_to_end(&mut text)?;
        is_whole = text.len() == before;
        let mut rest = text.as_slice();
        if skips {
            let end = memchr::memchr(b'\n', rest);
            (skips, line) = (end.is_none(), line + usize::from(end.is_some()));
            rest = end.map_or(&[], |end| &rest[end + 1..]);
        }
        // Where more is to come, an entry could end behind what is there.
        while rest.len() > if is_whole { 0 } else { ENTRY_OCTETS_MAX + 1 } {
            let here = line;
            match entry(rest) {
                Ok((entry, after, lines)) => {
                    (rest, line) = (after, line + lines);
                    reader.entry(entry, |result| take(here, result));
                }
                Err((error, after)) => {
                    skips = memchr::memchr(b'\n', rest).is_none();
                    (rest, line) = (after, line + usize::from(!skips));
                    take(here, Err(error));
                }
            }
        }
        let done = text.len() - rest.len();
        text.drain(..done);
    }
    Ok(())
}

/// An entry, what is after it, and how many lines it takes.
type Cut<'a> = (&'a [u8], &'a [u8], usize);

/// The entry at the beginning, what is after it, and how many lines it takes. After an error it goes on with the next line.
fn entry(text: &[u8]) -> Result<Cut<'_>, (EntryError, &[u8])> {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let first = &text[..end];
    let next = text.get(end + 1..).unwrap_or_default();
    if memchr::memchr3(b'(', b'"', b')', first).is_none() {
        let error = (EntryError::Long, next);
        return if first.len() > ENTRY_OCTETS_MAX { Err(error) } else { Ok((first, next, 1)) };
    }
    let (mut depth, mut quoted, mut comment, mut escaped, mut lines) = (0usize, false, false, false, 1);
    for (at, octet) in text.iter().enumerate() {
        if at > ENTRY_OCTETS_MAX {
            return Err((EntryError::Long, next));
        }
        match octet {
            b'\n' if depth == 0 && !quoted => return Ok((&text[..at], &text[at + 1..], lines)),
            b'\n' => (comment, lines) = (false, lines + 1),
            _ if comment => {}
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => comment = true,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.checked_sub(1).ok_or((EntryError::Open, next))?,
            _ => {}
        }
    }
    if depth == 0 && !quoted { Ok((text, &[], lines)) } else { Err((EntryError::Open, next)) }
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// What earlier entries say about the next one.
struct Reader {
    origin: Name,
    owner: Option<Name>,
    /// Of `$TTL`.
    ttl: Option<u32>,
    /// Of the record before.
    ttl_before: u32,
}

impl Reader {
    fn entry(&mut self, text: &[u8], mut take: impl FnMut(Result<ZoneRecord<'_>, EntryError>)) {
        let simple = memchr::memchr3(b'(', b'"', b'\\', text).is_none();
        if simple {
            let text = &text[..memchr::memchr(b';', text).unwrap_or(text.len())];
            match text.trim_ascii_start().first() {
                None => return,
                Some(b'$') => return self.directive(text).unwrap_or_else(|error| take(Err(error))),
                Some(_) => {}
            }
            let mut data = [0; crate::name::OCTETS_MAX];
            match self.simple(text, &mut data) {
                Ok(Some(record)) => return take(Ok(record)),
                Ok(None) => {}
                Err(error) => return take(Err(error)),
            }
        }
        let mut data = Vec::new();
        take(self.other(text, &mut data));
    }

    fn directive(&mut self, text: &[u8]) -> Result<(), EntryError> {
        let mut words = words(text);
        let word = words.next().unwrap_or_default();
        let value = words.next().ok_or(EntryError::Parts)?;
        match word.to_ascii_uppercase().as_slice() {
            b"$ORIGIN" => self.origin = Name::from_text(value, &self.origin)?,
            b"$TTL" => self.ttl = Some(seconds(value).ok_or(EntryError::Parts)?),
            _ => return Err(EntryError::Directive(String::from_utf8_lossy(word).into_owned())),
        }
        Ok(())
    }

    /// A record of one of three types that most are of; `None` of any other.
    fn simple<'r>(
        &'r mut self,
        text: &[u8],
        data: &'r mut [u8],
    ) -> Result<Option<ZoneRecord<'r>>, EntryError> {
        let mut words = words(text);
        let inherits = text.first().is_some_and(u8::is_ascii_whitespace);
        let owner = if inherits { None } else { words.next() };
        let mut ttl = None;
        let kind = loop {
            let word = words.next().ok_or(EntryError::Parts)?;
            if ttl.is_none() && word[0].is_ascii_digit() {
                ttl = Some(seconds(word).ok_or(EntryError::Parts)?);
            } else if !word.eq_ignore_ascii_case(b"IN") {
                break word;
            }
        };
        let kind = if kind.eq_ignore_ascii_case(b"CNAME") {
            rtype::CNAME
        } else if kind.eq_ignore_ascii_case(b"A") {
            rtype::A
        } else if kind.eq_ignore_ascii_case(b"AAAA") {
            rtype::AAAA
        } else {
            return Ok(None);
        };
        let value = words.next().ok_or(EntryError::Parts)?;
        if words.next().is_some() {
            return Err(EntryError::Parts);
        }
        if let Some(owner) = owner {
            // What follows and begins with a blank is not that of the one before, even if this one cannot be read.
            self.owner = None;
            self.owner = Some(Name::from_text(owner, &self.origin)?);
        }
        let data = self.data(kind, value, data)?;
        self.ttl_before = ttl.or(self.ttl).unwrap_or(self.ttl_before);
        let owner = self.owner.as_ref().ok_or(EntryError::NoOwner)?;
        Ok(Some(ZoneRecord { owner, rtype: kind, ttl: self.ttl_before, data }))
    }

    /// The data of one of the three types, written to `data`.
    fn data<'d>(&self, kind: u16, value: &[u8], data: &'d mut [u8]) -> Result<&'d [u8], EntryError> {
        let mut put = |octets: &[u8]| data[..octets.len()].copy_from_slice(octets);
        let text = std::str::from_utf8(value).unwrap_or_default();
        let no_address = || EntryError::Address(String::from_utf8_lossy(value).into_owned());
        let len = match kind {
            rtype::A => {
                put(&text.parse::<Ipv4Addr>().map_err(|_| no_address())?.octets());
                4
            }
            rtype::AAAA => {
                put(&text.parse::<Ipv6Addr>().map_err(|_| no_address())?.octets());
                16
            }
            _ => {
                let target = Name::from_text(value, &self.origin)?;
                put(target.wire());
                target.wire().len()
            }
        };
        Ok(&data[..len])
    }

    /// Any record, read by `domain`.
    fn other<'r>(&'r mut self, text: &[u8], data: &'r mut Vec<u8>) -> Result<ZoneRecord<'r>, EntryError> {
        let mut file = Zonefile::with_capacity(text.len() + 300);
        file.set_origin(absolute(&self.origin));
        file.set_default_class(Class::IN);
        file.extend_from_slice(format!("$TTL {}\n", self.ttl.unwrap_or(self.ttl_before)).as_bytes());
        if text.first().is_some_and(u8::is_ascii_whitespace) {
            file.extend_from_slice(self.owner.ok_or(EntryError::NoOwner)?.to_string().as_bytes());
        }
        file.extend_from_slice(text);
        file.extend_from_slice(b"\n");
        let record = match file.next_entry().map_err(|error| EntryError::Other(reason(&error.to_string())))? {
            Some(Entry::Record(record)) => record,
            _ => return Err(EntryError::Parts),
        };
        let owner: DomainName<Vec<u8>> = record.owner().to_name();
        let (owner, _) = Name::from_wire(owner.as_slice())?;
        record.data().compose_rdata(data).map_err(|_| EntryError::Long)?;
        self.ttl_before = record.ttl().as_secs();
        let owner = self.owner.insert(owner);
        Ok(ZoneRecord { owner, rtype: record.rtype().to_int(), ttl: self.ttl_before, data })
    }
}

/// `domain` counts the lines of what it was given, which are not those of the file.
fn reason(error: &str) -> String {
    error.splitn(3, ':').nth(2).unwrap_or(error).trim().to_owned()
}

fn absolute(name: &Name) -> DomainName<Bytes> {
    DomainName::from_octets(Bytes::copy_from_slice(name.wire())).unwrap_or_else(|_| DomainName::root())
}

/// A time to live: seconds, or numbers with units as BIND writes them (`1h30m`).
fn seconds(word: &[u8]) -> Option<u32> {
    let (mut whole, mut part, mut open) = (0u32, 0u32, false);
    for octet in word {
        if octet.is_ascii_digit() {
            part = part.checked_mul(10)?.checked_add(u32::from(octet - b'0'))?;
            open = true;
            continue;
        }
        let unit = match octet.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        whole = whole.checked_add(part.checked_mul(unit)?)?;
        (part, open) = (0, false);
    }
    let total = if open { whole.checked_add(part)? } else { whole };
    Some(total.min(TTL_MAX_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> (Vec<String>, Vec<(usize, EntryError)>) {
        let apex = Name::from_text(b"rpz.test.", &Name::ROOT).unwrap();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        read(text.as_bytes(), &apex, |line, record| match record {
            Ok(record) => {
                good.push(format!(
                    "{line} {} {} {} {}",
                    record.owner,
                    record.ttl,
                    record.rtype,
                    record.data.len()
                ));
            }
            Err(error) => bad.push((line, error)),
        })
        .unwrap();
        (good, bad)
    }

    #[test]
    fn one_wrong_line_does_not_cost_the_others() {
        let text = "$TTL 300\n@ IN SOA ns. host. (\n 1 2 3 ; serial\n 4 5 )\n\
            a CNAME .\n\
            b A 192.0.2.300\n\
            c 60 IN A 192.0.2.3\n  AAAA 2001:db8::1\n\
            d TXT \"one; (two\" three ; said\n\
            e TXT \"open\n\
            f..g CNAME .\n\
            $INCLUDE other\n\
            $ORIGIN sub.rpz.test.\n\
            *.h CNAME *.garden.test.\n\
            i NOSUCHTYPE x\n";
        let (good, bad) = records(text);
        assert_eq!(
            good,
            [
                "2 rpz.test. 300 6 30",
                "5 a.rpz.test. 300 5 1",
                "7 c.rpz.test. 60 1 4",
                "8 c.rpz.test. 300 28 16",
                "9 d.rpz.test. 300 16 16",
                "14 *.h.sub.rpz.test. 300 5 15",
            ]
        );
        let lines: Vec<usize> = bad.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [6, 10, 11, 12, 15], "{bad:?}");
        assert_eq!(bad[2].1, EntryError::Name(NameError::Empty));
    }

    #[test]
    fn what_follows_a_wrong_line_is_not_that_of_the_one_before() {
        let (good, bad) =
            records("a CNAME .\nb A 192.0.2.300\n  AAAA 2001:db8::1\nc..d A 192.0.2.1\n  A 192.0.2.2\n");
        assert_eq!(good, ["1 a.rpz.test. 3600 5 1", "3 b.rpz.test. 3600 28 16"]);
        assert_eq!(bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4, 5]);
        assert_eq!(bad[2].1, EntryError::NoOwner);
    }

    #[test]
    fn a_file_is_read_in_parts_and_nothing_falls_between_them() {
        let mut text = String::from("$TTL 5\n");
        let mut wanted = 0;
        while text.len() < CHUNK_OCTETS * 3 {
            text += &format!("n{wanted} TXT ( \"{}\"\n ; between\n \"x\" )\n", "t".repeat(wanted % 200));
            wanted += 1;
        }
        text += &format!("long TXT {}\n{}", "\"x\" ".repeat(ENTRY_OCTETS_MAX / 4), "last A 192.0.2.1");
        let (good, bad) = records(&text);
        assert_eq!((good.len(), bad.len()), (wanted + 1, 1));
        assert_eq!(bad[0], (wanted * 3 + 2, EntryError::Long));
        assert_eq!(good[wanted], format!("{} last.rpz.test. 5 1 4", wanted * 3 + 3));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(seconds(b"1h30m"), Some(5400));
        assert_eq!(seconds(b"90"), Some(90));
        assert_eq!(seconds(b"4294967295"), Some(TTL_MAX_S));
        assert_eq!(seconds(b"4294967296"), None);
        assert_eq!(seconds(b"1y"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            read(text.as_slice(), &Name::ROOT, |_, _| {}).unwrap();
        }
    }

    #[test]
    fn of_a_line_that_is_too_long_nothing_is_taken() {
        // Whatever part of it is in memory when it is found out.
        for octets in [ENTRY_OCTETS_MAX + 1, CHUNK_OCTETS - 1, CHUNK_OCTETS, CHUNK_OCTETS * 3 + 5] {
            let long = format!(";{}", " bad CNAME .".repeat(octets / 12 + 1));
            let (good, bad) = records(&format!("one CNAME .\n{long}\ntwo CNAME .\n"));
            assert_eq!(good.len(), 2, "{octets}: {good:?}");
            assert!(good[1].starts_with("3 two."), "{octets}: {good:?}");
            assert_eq!(bad, [(2, EntryError::Long)], "{octets}");
        }
    }
}
