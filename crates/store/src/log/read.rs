//! Getting events back: one by its id, all in the order in which they came, how many there are; and forgetting them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use noroshi_model::{Event, Id};

use super::block::{Block, COLUMNS, Filling};
use super::{NewEvent, TURN};
use crate::engine::Manner;
use crate::forgetting::TooOld;
use crate::row::{Row, values};
use crate::{Store, StoreError, Tx};

/// Bytes of unpacked blocks that a transaction keeps: events asked for together mostly came together.
const UNPACKED_MAX: usize = 8 << 20;
/// Blocks forgotten in one call.
const FORGOTTEN_AT_ONCE: u32 = 32;

/// Which events are to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forget<'a> {
    /// Those that came in under a measure too long ago.
    Under(TooOld<'a>),
    /// Those that came in under none and happened before a time.
    Before(Timestamp),
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub id: [u8; 16],
    /// Its line in the input.
    pub line: u64,
    /// The event as flat JSON, byte for byte as it was appended.
    pub json: Vec<u8>,
}

/// Unpacked blocks of a transaction, by the number before which each ends.
#[derive(Default)]
pub(crate) struct Blocks {
    kept: BTreeMap<u64, Arc<Block>>,
    bytes: usize,
}

/// An id as 16 bytes.
pub fn id_bytes(id: &Id) -> [u8; 16] {
    u128::from_str_radix(id.as_str(), 16).unwrap_or_default().to_be_bytes()
}

/// 16 bytes as an id.
pub fn id_from_bytes(bytes: [u8; 16]) -> Id {
    // 32 lower-case hexadecimal digits always parse.
    Id::parse(&format!("{:032x}", u128::from_be_bytes(bytes))).unwrap_or_else(|| Id::of("", &[&bytes]))
}

impl Tx<'_> {
    /// One event; none where there never was, where it was forgotten, where only its id is remembered, or where it was
    /// appended in this transaction.
    pub fn event(&mut self, id: &Id) -> Result<Option<Event>, StoreError> {
        let json = self.event_json(id)?;
        let event = json.map(|json| serde_json::from_slice(&json));
        event.transpose().map_err(|e| StoreError::Corrupt(e.to_string()))
    }

    /// One event as it was appended.
    pub fn event_json(&mut self, id: &Id) -> Result<Option<Vec<u8>>, StoreError> {
        let id = u128::from_be_bytes(id_bytes(id));
        match self.with_index(|index, tx| index.find(tx, id))? {
            Some(seq) => {
                let json = self.block(seq)?.and_then(|block| block.json(seq).map(<[u8]>::to_vec));
                Ok(json.filter(|json| !json.is_empty()))
            }
            None => Ok(None),
        }
    }

    /// Events with numbers above `after`, in order; numbers begin at 1. Those of which only the id is remembered are
    /// passed over.
    pub fn events_after(&mut self, after: u64, limit: usize) -> Result<Vec<Logged>, StoreError> {
        let mut events = Vec::new();
        // Numbers are kept as signed ones.
        let mut next = after.min(i64::MAX as u64 - 1) + 1;
        while events.len() < limit {
            let block = match self.block(next)? {
                Some(block) => block,
                // Forgotten up to here, or the end.
                None => match self.row(
                    "SELECT first_seq FROM event_block WHERE first_seq > ?1 ORDER BY first_seq LIMIT 1",
                    values![next],
                )? {
                    Some(row) => {
                        next = row.count(0)?;
                        continue;
                    }
                    None => break,
                },
            };
            let whole = block.from(next).filter(|event| !event.json.is_empty());
            events.extend(whole.take(limit - events.len()));
            next = block.next_seq();
        }
        Ok(events)
    }

    /// The number of the newest event; 0 before the first.
    pub fn last_event(&mut self) -> Result<u64, StoreError> {
        Ok(super::Head::read(self)?.next_seq.saturating_sub(1))
    }

    /// How many events there are.
    pub fn event_count(&mut self) -> Result<u64, StoreError> {
        Ok(self.number("SELECT events FROM event_head WHERE id = 1", &[])?.unsigned_abs())
    }

    /// Blocks all of whose events are to be forgotten, with whether the index has their ids. Those of which it would have to be
    /// read back after a restart are only emptied: a few bytes an event, which go with those that came in under no measure.
    pub(crate) fn blocks_too_old(&mut self, which: Forget<'_>, limit: u32) -> Result<Vec<Row>, StoreError> {
        const INDEXED: &str = "(SELECT COALESCE(MAX(next_seq), 0) FROM seen_run WHERE state = 'live')";
        let select = |old: &str| {
            format!(
                "SELECT first_seq, kept, ids, CAST((CASE WHEN first_seq < {INDEXED} THEN 1 ELSE 0 END) AS BIGINT) FROM event_block
                 WHERE {old}"
            )
        };
        match which {
            Forget::Under(TooOld { measure, before }) => self.rows(
                &format!("{} ORDER BY kept_ms, first_seq LIMIT ?3", select("measure = ?1 AND kept_ms < ?2 AND kept > 0")),
                values![measure, before, limit],
            ),
            Forget::Before(before) => self.rows(
                &format!(
                    "{} ORDER BY last_ms, first_seq LIMIT ?2",
                    select(&format!("last_ms < ?1 AND (measure IS NULL AND kept > 0 OR kept = 0 AND first_seq < {INDEXED})"))
                ),
                values![before, limit],
            ),
        }
    }

    fn forget_blocks(&mut self, which: Forget<'_>) -> Result<(u64, u64), StoreError> {
        let rows = self.blocks_too_old(which, FORGOTTEN_AT_ONCE)?;
        let mut forgotten = 0;
        for row in &rows {
            let first_seq = row.count(0)?;
            forgotten += row.count(1)?;
            let (ids, _) = row.bytes(2)?.as_chunks::<16>();
            for id in ids {
                self.execute("DELETE FROM finding_event WHERE event = ?1", values![&id_from_bytes(*id)])?;
            }
            if row.flag(3)? {
                self.execute("DELETE FROM event_block WHERE first_seq = ?1", values![first_seq])?;
                continue;
            }
            let mut empty = Filling::default();
            ids.iter()
                .for_each(|id| empty.push(&NewEvent { id: *id, line: 0, time_source_ms: 0, json: b"" }));
            self.execute(
                "UPDATE event_block SET kept = 0, lines = ?2, body = ?3 WHERE first_seq = ?1",
                values![first_seq, empty.lines.as_slice(), empty.packed()?],
            )?;
        }
        self.execute("UPDATE event_head SET events = events - ?1 WHERE id = 1", values![forgotten])?;
        self.log.blocks = Blocks::default();
        Ok((rows.len() as u64, forgotten))
    }

    /// The block that holds a number.
    fn block(&mut self, seq: u64) -> Result<Option<Arc<Block>>, StoreError> {
        if let Some((_, block)) = self.log.blocks.kept.range(seq + 1..).next()
            && block.json(seq).is_some()
        {
            return Ok(Some(Arc::clone(block)));
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM event_block WHERE first_seq <= ?1 ORDER BY first_seq DESC LIMIT 1"
        );
        let Some(row) = self.row(&sql, values![seq])? else { return Ok(None) };
        if row.count(0)? + row.count(1)? <= seq {
            return Ok(None);
        }
        let block = Arc::new(Block::read(&row)?);
        let blocks = &mut self.log.blocks;
        if blocks.bytes + block.bytes() > UNPACKED_MAX {
            *blocks = Blocks::default();
        }
        blocks.bytes += block.bytes();
        blocks.kept.insert(block.next_seq(), Arc::clone(&block));
        Ok(Some(block))
    }
}

impl Store {
    /// Forgets events, some in each transaction, and says how many. Their ids stay in the index: what was taken in once is not taken
    /// in again.
    pub fn forget_events(&self, which: Forget<'_>) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        loop {
            let (blocks, events) =
                self.enter("events.forget", Manner::in_turn_alone(TURN), |tx| tx.forget_blocks(which))?;
            forgotten += events;
            if blocks == 0 {
                return Ok(forgotten);
            }
        }
    }
}
