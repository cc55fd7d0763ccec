//! A batch of records with its names as numbers: a line or a server that has none yet gets the next one, and that is written to the log
//! with the records, since a number that only memory knows would be somebody else's after a restart.

use std::hash::Hasher as _;
use std::net::IpAddr;

use noroshi_wire::{Assignment, Whom};

use crate::entry::Entry;
use crate::log::Frame;
use crate::names::{NAME_BYTES_MAX, Names};
use crate::row::Slot;

/// A batch being numbered.
pub struct Naming<'a> {
    lines: &'a mut Names,
    servers: &'a mut Names,
    frame: Frame,
    /// The last record's server: most come from the same one.
    server: Option<(&'a str, u32)>,
    /// Room for a name.
    name: Vec<u8>,
}

impl<'a> Naming<'a> {
    /// Of so many records.
    pub fn new(lines: &'a mut Names, servers: &'a mut Names, records: usize) -> Self {
        let frame = Frame { entries: Vec::with_capacity(records), ..Frame::default() };
        Self { lines, servers, frame, server: None, name: Vec::new() }
    }

    /// Adds a record. `None` where there is no room for another name: what was numbered so far must not be used then.
    pub fn add(&mut self, record: &'a Assignment) -> Option<()> {
        let line = match &record.whom {
            Some(whom) => {
                write_whom(whom, &mut self.name);
                Some(number(self.lines, &self.name, &mut self.frame.lines)?)
            }
            None => None,
        };
        let server = match self.server {
            Some((name, number)) if name == record.server => number,
            _ => {
                let name = cut(record.server.as_bytes().to_vec());
                number(self.servers, &name, &mut self.frame.servers)?
            }
        };
        self.server = Some((&record.server, server));
        let session = record.session.as_deref().map_or(0, |id| hash(id.as_bytes()).max(1));
        self.frame.entries.push(Entry {
            change: record.change,
            slot: record.given.as_ref().map(Slot::of),
            line,
            server,
            session,
            at_s: record.at.as_second(),
            until_s: record.until.map(|t| t.as_second()),
            began_s: record.began.map(|t| t.as_second()),
            offset_s: record.clock_offset_s,
        });
        Some(())
    }

    /// What goes into the log.
    pub fn finish(self) -> Frame {
        self.frame
    }
}

/// Whom a line's name names.
pub fn read_whom(name: &[u8]) -> Option<Whom> {
    match name.split_first()? {
        (b'I', bits) => {
            let bits = u128::from_le_bytes(bits.try_into().ok()?);
            Some(Whom::Inside(IpAddr::V6(bits.into()).to_canonical()))
        }
        (_, name) => Some(Whom::Line(String::from_utf8_lossy(name).into_owned())),
    }
}

fn write_whom(whom: &Whom, name: &mut Vec<u8>) {
    name.clear();
    match whom {
        Whom::Line(line) => {
            name.push(b'L');
            name.extend_from_slice(line.as_bytes());
            *name = cut(std::mem::take(name));
        }
        Whom::Inside(ip) => {
            let bits = match ip {
                IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
                IpAddr::V6(ip) => u128::from(*ip),
            };
            name.push(b'I');
            name.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

/// A name in its bounds; a long one is told apart by a hash of the whole.
fn cut(mut name: Vec<u8>) -> Vec<u8> {
    if name.len() > NAME_BYTES_MAX {
        let mark = format!("…{:016x}", hash(&name));
        name.truncate(NAME_BYTES_MAX - mark.len());
        name.extend_from_slice(mark.as_bytes());
    }
    name
}

/// The same in every process: it is logged.
fn hash(bytes: &[u8]) -> u64 {
    #[expect(deprecated, reason = "a hash with a fixed key; the default one may change with the compiler")]
    let mut hasher = std::hash::SipHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn number(names: &mut Names, name: &[u8], new: &mut Vec<Vec<u8>>) -> Option<u32> {
    let (number, is_new) = names.number(name)?;
    if is_new {
        new.push(name.to_vec());
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_a_long_one_is_told_apart() {
        let mut name = Vec::new();
        let inside = |ip: &str| Whom::Inside(ip.parse().unwrap());
        for whom in [Whom::Line("利用者".into()), inside("100.64.0.1"), inside("2001:db8::7")] {
            write_whom(&whom, &mut name);
            assert_eq!(read_whom(&name), Some(whom));
        }
        let long = |end: &str| Whom::Line("x".repeat(400) + end);
        let mut others = Vec::new();
        write_whom(&long("a"), &mut name);
        write_whom(&long("b"), &mut others);
        assert!(name != others && name.len() == NAME_BYTES_MAX && others.len() == NAME_BYTES_MAX);
        assert_eq!((read_whom(b""), read_whom(b"Ishort")), (None, None));
    }
}
