//! A record of an assignment as the book takes it: names as numbers, times in seconds, ready to be logged and applied.

use noroshi_wire::Change;

use crate::row::Slot;

/// One record. What it says is described at [`noroshi_wire::Assignment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub change: Change,
    pub slot: Option<Slot>,
    pub line: Option<u32>,
    pub server: u32,
    /// A hash of the server's id of the session; 0: it has none.
    pub session: u64,
    pub at_s: i64,
    pub until_s: Option<i64>,
    pub began_s: Option<i64>,
    pub offset_s: Option<i64>,
}

/// Bytes of an entry in the log.
const BYTES: usize = 1 + 1 + 16 + 1 + 4 + 4 + 4 + 8 + 8 + 8 + 8 + 8;
const NOTHING: i64 = i64::MIN;
const NO_LINE: u32 = u32::MAX;

impl Entry {
    /// Appends it to a frame of the log.
    pub fn write(&self, to: &mut Vec<u8>) {
        let change = match self.change {
            Change::Start => 0,
            Change::Interim => 1,
            Change::Stop => 2,
            Change::Reset => 3,
        };
        let ports = self.slot.and_then(|slot| slot.ports);
        let (first, last) = ports.unwrap_or_default();
        to.push(change);
        to.push(u8::from(self.slot.is_some()) | u8::from(ports.is_some()) << 1);
        to.extend(self.slot.map_or(0, |slot| slot.addr).to_le_bytes());
        to.push(self.slot.map_or(0, |slot| slot.len));
        to.extend(first.to_le_bytes());
        to.extend(last.to_le_bytes());
        to.extend(self.line.unwrap_or(NO_LINE).to_le_bytes());
        to.extend(self.server.to_le_bytes());
        to.extend(self.session.to_le_bytes());
        to.extend(self.at_s.to_le_bytes());
        for time in [self.until_s, self.began_s, self.offset_s] {
            to.extend(time.unwrap_or(NOTHING).to_le_bytes());
        }
    }

    /// Takes one off the front of a frame.
    pub fn read(from: &mut &[u8]) -> Option<Self> {
        let (bytes, rest) = from.split_first_chunk::<BYTES>()?;
        *from = rest;
        let mut bytes = bytes.as_slice();
        let change = match take::<1>(&mut bytes)? {
            [0] => Change::Start,
            [1] => Change::Interim,
            [2] => Change::Stop,
            [3] => Change::Reset,
            _ => return None,
        };
        let [flags] = take(&mut bytes)?;
        let addr = u128::from_le_bytes(take(&mut bytes)?);
        let [len] = take(&mut bytes)?;
        let ports = (u16::from_le_bytes(take(&mut bytes)?), u16::from_le_bytes(take(&mut bytes)?));
        let ports = (flags & 2 != 0).then_some(ports);
        let line = u32::from_le_bytes(take(&mut bytes)?);
        let server = u32::from_le_bytes(take(&mut bytes)?);
        let session = u64::from_le_bytes(take(&mut bytes)?);
        let at_s = i64::from_le_bytes(take(&mut bytes)?);
        let mut time = || Some(i64::from_le_bytes(take(&mut bytes)?)).map(|t| (t != NOTHING).then_some(t));
        Some(Self {
            change,
            slot: (flags & 1 != 0).then_some(Slot { addr, len: len.min(128), ports }),
            line: (line != NO_LINE).then_some(line),
            server,
            session,
            at_s,
            until_s: time()?,
            began_s: time()?,
            offset_s: time()?,
        })
    }
}

/// Takes so many bytes off the front.
pub fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use noroshi_wire::Given;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_is_read_as_it_was_written(kind in 0..4usize, ports in any::<Option<(u16, u16)>>(), times in any::<(Option<u32>, Option<u32>, Option<i32>)>(), n in any::<(u32, u64, u32)>()) {
            let ports = ports.filter(|p| *p != (0, u16::MAX));
            let entry = Entry {
                change: [Change::Start, Change::Interim, Change::Stop, Change::Reset][kind],
                slot: (kind < 3).then(|| Slot::of(&Given { net: "198.51.100.7/32".parse().unwrap(), ports })),
                line: (kind != 2 && n.0 != u32::MAX).then_some(n.0),
                server: n.2,
                session: n.1,
                at_s: n.0.into(),
                until_s: times.0.map(i64::from),
                began_s: times.1.map(i64::from),
                offset_s: times.2.map(i64::from),
            };
            let mut bytes = Vec::new();
            entry.write(&mut bytes);
            prop_assert_eq!(bytes.len(), BYTES);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Entry::read(&mut rest), Some(entry));
            prop_assert!(rest.is_empty());
        }
    }
}
