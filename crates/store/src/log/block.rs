//! Blocks: a few hundred events that were appended together, as one row. Small enough that reading one event means
//! decompressing a fraction of a megabyte, large enough that compression finds what repeats and a row costs little.

use std::cell::RefCell;

use jiff::Timestamp;

use super::{Limits, Logged, NewEvent};
use crate::events::Intake;
use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Compression level: the fastest but for the negative ones; a log of JSON shrinks to about a sixth.
const LEVEL: i32 = 1;
/// Most bytes a block may claim to unpack to; one event can be larger than [`Limits::block_bytes`], but not by any amount.
const UNPACKED_MAX: usize = 256 << 20;

/// The columns [`Block::read`] expects.
pub(super) const COLUMNS: &str = "first_seq, count, ids, lines, body";

thread_local! {
    // Its tables are as large as a block; making them anew for each would cost as much as compressing.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

fn corrupt(what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("event log: {what}"))
}

/// A block being filled.
#[derive(Default)]
pub(super) struct Filling {
    pub count: u64,
    /// Those of which more than the id is kept.
    pub kept: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    pub ids: Vec<u8>,
    pub lines: Vec<u8>,
    pub body: Vec<u8>,
    line: u64,
}

impl Filling {
    /// Adds an event.
    pub fn push(&mut self, event: &NewEvent<'_>) {
        let ms = event.time_source_ms;
        (self.first_ms, self.last_ms) =
            if self.count == 0 { (ms, ms) } else { (self.first_ms.min(ms), self.last_ms.max(ms)) };
        self.count += 1;
        self.kept += u64::from(!event.json.is_empty());
        self.ids.extend_from_slice(&event.id);
        // Mostly ascending, but nobody has promised it.
        let step = event.line.wrapping_sub(self.line) as i64;
        put_varint(&mut self.lines, (step << 1 ^ step >> 63) as u64);
        self.line = event.line;
        put_varint(&mut self.lines, event.json.len() as u64);
        self.body.extend_from_slice(event.json);
        self.body.push(b'\n');
    }

    /// Whether another event of this size goes into the next block.
    pub fn is_full(&self, limits: &Limits, bytes: usize) -> bool {
        self.count > 0
            && (self.count >= limits.block_events as u64 || self.body.len() + bytes > limits.block_bytes)
    }

    /// The JSON texts, compressed.
    pub fn packed(&self) -> Result<Vec<u8>, StoreError> {
        COMPRESSOR.with_borrow_mut(|slot| {
            let compressor = match slot {
                Some(compressor) => compressor,
                None => slot.insert(zstd::bulk::Compressor::new(LEVEL).map_err(corrupt)?),
            };
            compressor.compress(&self.body).map_err(corrupt)
        })
    }
}

/// A block as read.
pub(crate) struct Block {
    first_seq: u64,
    ids: Vec<u8>,
    /// Line, and where the JSON begins and ends, of each event.
    places: Vec<(u64, usize, usize)>,
    body: Vec<u8>,
}

impl Block {
    /// Reads a row of [`COLUMNS`].
    pub fn read(row: &Row) -> Result<Self, StoreError> {
        let (first_seq, count) = (row.count(0)?, row.count(1)?);
        let body = row.bytes(4)?;
        let size = zstd::zstd_safe::get_frame_content_size(body).ok().flatten().unwrap_or(0);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > UNPACKED_MAX {
            return Err(corrupt(format!("block {first_seq} claims {size} bytes")));
        }
        let body = zstd::bulk::decompress(body, size).map_err(corrupt)?;
        let mut lines = row.bytes(3)?;
        let (mut line, mut begin) = (0u64, 0usize);
        let mut places = Vec::new();
        while let Some(step) = varint(&mut lines) {
            line = line.wrapping_add((step >> 1) ^ (step & 1).wrapping_neg());
            let length = varint(&mut lines).and_then(|n| usize::try_from(n).ok());
            let end = length.and_then(|n| begin.checked_add(n)).filter(|end| *end < body.len());
            let end = end.ok_or_else(|| corrupt(format!("block {first_seq} is torn")))?;
            places.push((line, begin, end));
            begin = end + 1;
        }
        let ids = row.bytes(2)?.to_vec();
        if places.len() as u64 != count || ids.len() != places.len() * 16 {
            return Err(corrupt(format!("block {first_seq} does not have {count} events")));
        }
        Ok(Self { first_seq, ids, places, body })
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.places.len() * 40
    }

    /// The number after its last.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.places.len() as u64
    }

    /// The JSON of an event, if it is in this block.
    pub fn json(&self, seq: u64) -> Option<&[u8]> {
        let at = usize::try_from(seq.checked_sub(self.first_seq)?).ok()?;
        self.places.get(at).map(|(_, begin, end)| &self.body[*begin..*end])
    }

    /// Its events from `seq` on.
    pub fn from(&self, seq: u64) -> impl Iterator<Item = Logged> {
        let skipped = usize::try_from(seq.saturating_sub(self.first_seq)).unwrap_or(usize::MAX);
        let (ids, _) = self.ids.as_chunks::<16>();
        let all = self.places.iter().zip(ids).zip(self.first_seq..);
        all.skip(skipped).map(|(((line, begin, end), id), seq)| Logged {
            seq,
            id: *id,
            line: *line,
            json: self.body[*begin..*end].to_vec(),
        })
    }
}

/// Writes a block under its first number, empties it, and says how many events it had.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    first_seq: u64,
    intake: &Intake,
    now: Timestamp,
    filling: &mut Filling,
) -> Result<u64, StoreError> {
    let body = filling.packed()?;
    let block = std::mem::take(filling);
    tx.execute(
        "INSERT INTO event_block (first_seq, count, kept, first_ms, last_ms, intake, ids, lines, body, measure, kept_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        values![
            first_seq,
            block.count,
            block.kept,
            block.first_ms,
            block.last_ms,
            &intake.id,
            block.ids,
            block.lines,
            body,
            intake.measure.as_deref(),
            now
        ],
    )?;
    // The buffer that grew the most is used again.
    filling.body = block.body;
    filling.body.clear();
    Ok(block.count)
}

fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a number off the front; none where there is no whole one.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Value;

    #[test]
    fn a_block_reads_back_with_lines_in_any_order_and_odd_texts() {
        let texts: [&[u8]; 5] = [b"{}", b"", b"{\n}\n", &[0xff; 3000], b"{\"a\":1}"];
        let lines = [7, u64::MAX, 0, 8, 8];
        let mut filling = Filling::default();
        for (n, (json, line)) in texts.iter().zip(lines).enumerate() {
            filling.push(&NewEvent { id: [n as u8; 16], line, time_source_ms: 5 - n as i64, json });
        }
        assert_eq!((filling.first_ms, filling.last_ms), (1, 5));
        let body = filling.packed().unwrap();
        let row = |body: &[u8]| {
            let values = [filling.ids.clone(), filling.lines.clone(), body.to_vec()];
            Row([Value::Int(40), Value::Int(5)].into_iter().chain(values.map(Value::Bytes)).collect())
        };
        let block = Block::read(&row(&body)).unwrap();
        assert_eq!((block.next_seq(), block.json(42), block.json(45)), (45, Some(texts[2]), None));
        let back: Vec<Logged> = block.from(41).collect();
        assert_eq!((back[0].seq, back[0].line, back[0].id), (41, u64::MAX, [1; 16]));
        assert_eq!(back.iter().map(|e| e.json.as_slice()).collect::<Vec<_>>(), texts[1..]);
        assert!(Block::read(&row(&body[..body.len() / 2])).is_err(), "half a block");
    }
}
