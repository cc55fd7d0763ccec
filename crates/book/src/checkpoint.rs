//! What is written at a checkpoint besides the days: names and their numbers, and what the keeper has in hand (open sessions,
//! contradictions, clocks). Our own format, read back from under a seal only.

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::entry::take;
use crate::keeper::{ClockOf, Keeper, Open};
use crate::names::Names;
use crate::row::Slot;
use crate::segment::bytes;

/// Writes the names that got a number from `from` on.
pub fn write_names(names: &Names, from: u32, out: &mut impl io::Write) -> io::Result<()> {
    out.write_all(&(names.len() - from).to_le_bytes())?;
    for number in from..names.len() {
        let name = names.name(number).unwrap_or_default();
        out.write_all(&[name.len() as u8])?;
        out.write_all(name)?;
    }
    Ok(())
}

/// Reads names; they get the numbers they had.
pub fn read_names(from: &mut impl io::Read, names: &mut Names) -> io::Result<()> {
    let count = u32::from_le_bytes(bytes(from)?);
    let mut name = Vec::new();
    for _ in 0..count {
        let [length] = bytes(from)?;
        name.resize(length.into(), 0);
        from.read_exact(&mut name)?;
        names.push(&name).ok_or(io::ErrorKind::InvalidData)?;
    }
    Ok(())
}

/// Bytes of a slot, an open session and a fault in the file of the open table.
const SLOT_BYTES: usize = 1 + 16 + 1 + 2 + 2;
const OPEN_BYTES: usize = SLOT_BYTES + 4 + 4 + 8 + 4 * 8 + 4;
const FAULT_BYTES: usize = SLOT_BYTES + 2 * 8;

/// Stands for no time.
const NO_FAULT: (i64, i64) = (i64::MAX, i64::MIN);

/// Writes the open sessions, the faults and the clocks.
pub fn write_keeper(keeper: &Keeper, out: &mut impl io::Write) -> io::Result<()> {
    let opens = || keeper.open.iter().flat_map(|(slot, list)| list.iter().map(move |open| (slot, open)));
    out.write_all(&(opens().count() as u64).to_le_bytes())?;
    for (slot, open) in opens() {
        let mut row = Vec::with_capacity(OPEN_BYTES);
        write_slot(&slot, &mut row);
        row.extend(open.line.to_le_bytes());
        row.extend(open.server.to_le_bytes());
        row.extend(open.session.to_le_bytes());
        let ends = [open.until_s, open.displaced_s].map(|time| time.unwrap_or(i64::MIN));
        for time in [open.start_s, open.heard_s, ends[0], ends[1]] {
            row.extend(time.to_le_bytes());
        }
        row.extend(open.start_doubt_s.to_le_bytes());
        out.write_all(&row)?;
    }
    // A slot whose rows overlap without a time that is certain has no fault and must be remembered all the same.
    let faults = || {
        keeper.faults.iter().flat_map(|(slot, list)| {
            let list = if list.is_empty() { &[NO_FAULT] } else { list.as_slice() };
            list.iter().map(move |fault| (slot, fault))
        })
    };
    out.write_all(&(faults().count() as u64).to_le_bytes())?;
    for (slot, (from, to)) in faults() {
        let mut row = Vec::new();
        write_slot(&slot, &mut row);
        row.extend(from.to_le_bytes());
        row.extend(to.to_le_bytes());
        out.write_all(&row)?;
    }
    let clocks =
        || keeper.clocks.iter().flat_map(|(server, clock)| clock.seen.iter().map(move |seen| (server, seen)));
    out.write_all(&(clocks().count() as u64).to_le_bytes())?;
    for (server, (offset, count)) in clocks() {
        out.write_all(&server.to_le_bytes())?;
        out.write_all(&offset.to_le_bytes())?;
        out.write_all(&count.to_le_bytes())?;
    }
    out.write_all(&(keeper.resets.len() as u64).to_le_bytes())?;
    for (server, at_s) in &keeper.resets {
        out.write_all(&server.to_le_bytes())?;
        out.write_all(&at_s.to_le_bytes())?;
    }
    out.write_all(&keeper.fault_count.to_le_bytes())?;
    out.write_all(&keeper.newest_s.to_le_bytes())?;
    out.write_all(&keeper.doubt_max_s.to_le_bytes())
}

fn write_slot(slot: &Slot, to: &mut Vec<u8>) {
    let (first, last) = slot.ports.unwrap_or_default();
    to.push(slot.ports.is_some().into());
    to.extend(slot.addr.to_le_bytes());
    to.push(slot.len);
    to.extend(first.to_le_bytes());
    to.extend(last.to_le_bytes());
}

fn read_slot(from: &mut &[u8]) -> Option<Slot> {
    let [ports] = take(from)?;
    let addr = u128::from_le_bytes(take(from)?);
    let [len] = take(from)?;
    let (first, last) = (u16::from_le_bytes(take(from)?), u16::from_le_bytes(take(from)?));
    Some(Slot { addr, len: len.min(128), ports: (ports == 1).then_some((first, last)) })
}

/// Reads them back.
pub fn read_keeper(from: &mut impl io::Read) -> io::Result<Keeper> {
    let mut keeper = Keeper::default();
    for _ in 0..u64::from_le_bytes(bytes(from)?) {
        let row: [u8; OPEN_BYTES] = bytes(from)?;
        let (slot, open) = read_open(&mut row.as_slice()).ok_or(io::ErrorKind::InvalidData)?;
        keeper.open.entry(slot).push(open);
    }
    for _ in 0..u64::from_le_bytes(bytes(from)?) {
        let row: [u8; FAULT_BYTES] = bytes(from)?;
        let row = &mut row.as_slice();
        let slot = read_slot(row).ok_or(io::ErrorKind::InvalidData)?;
        let mut time = || take(row).map(i64::from_le_bytes).ok_or(io::ErrorKind::InvalidData);
        let fault = (time()?, time()?);
        keeper.faults.entry(slot).extend(Some(fault).filter(|fault| *fault != NO_FAULT));
    }
    let mut clocks: HashMap<u32, BTreeMap<i64, u64>> = HashMap::new();
    for _ in 0..u64::from_le_bytes(bytes(from)?) {
        let server = u32::from_le_bytes(bytes(from)?);
        let (offset, count) = (i64::from_le_bytes(bytes(from)?), u64::from_le_bytes(bytes(from)?));
        clocks.entry(server).or_default().insert(offset, count);
    }
    keeper.clocks = clocks.into_iter().map(|(server, seen)| (server, ClockOf::new(seen))).collect();
    for _ in 0..u64::from_le_bytes(bytes(from)?) {
        let server = u32::from_le_bytes(bytes(from)?);
        keeper.resets.insert(server, i64::from_le_bytes(bytes(from)?));
    }
    keeper.fault_count = u64::from_le_bytes(bytes(from)?);
    keeper.newest_s = i64::from_le_bytes(bytes(from)?);
    keeper.doubt_max_s = u32::from_le_bytes(bytes(from)?);
    Ok(keeper)
}

fn read_open(from: &mut &[u8]) -> Option<(Slot, Open)> {
    let slot = read_slot(from)?;
    let line = u32::from_le_bytes(take(from)?);
    let server = u32::from_le_bytes(take(from)?);
    let session = u64::from_le_bytes(take(from)?);
    let mut time = || take(from).map(i64::from_le_bytes);
    let (start_s, heard_s) = (time()?, time()?);
    let mut end = || time().map(|time| (time != i64::MIN).then_some(time));
    let (until_s, displaced_s) = (end()?, end()?);
    let start_doubt_s = u32::from_le_bytes(take(from)?);
    Some((slot, Open { line, server, session, start_s, heard_s, until_s, displaced_s, start_doubt_s }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_of_a_clock_is_counted_once_also_after_a_restart() {
        let mut keeper = Keeper::default();
        for (server, offset_s) in [(1, 3), (1, 3), (1, 32_400), (2, 0), (7, -5)] {
            keeper.clocks.entry(server).or_default().add(offset_s);
        }
        let mut file = Vec::new();
        write_keeper(&keeper, &mut file).unwrap();
        let back = read_keeper(&mut file.as_slice()).unwrap();
        assert_eq!(back.clocks, keeper.clocks);
        assert_eq!((back.clocks[&1].samples, back.clocks[&1].usual_s()), (3, 3));
    }
}
