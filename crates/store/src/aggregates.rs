//! Groups of repeats that are open: what is counted and not yet told. They are read and written in the transaction that
//! stores the batch they are of, so that a crash neither loses nor doubles a repeat.
//!
//! A group is found by its id. When it could be over is looked up by `check_ms`, which is not moved with each repeat: a
//! group that turns out to go on is put off when it is looked at.

use noroshi_model::Id;

use crate::row::{Row, Value, values};
use crate::{StoreError, Tx};

/// Open groups of a feed at most. At the limit, what would begin another passes without: it is stored and not counted,
/// until groups are over.
pub const GROUPS_MAX: u64 = 1_000_000;
/// Largest event that begins a group; a larger one passes without.
pub const EVENT_BYTES_MAX: usize = 64 << 10;
/// Rows read or written with one statement.
const ROWS_AT_ONCE: usize = 64;
/// Columns of a group as written.
const WRITTEN: usize = 8;

/// A feed whose repeats are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateFeed {
    /// Its name.
    pub feed: String,
    /// The latest time it told of.
    pub clock_ms: i64,
    /// When something last came of it, by our clock.
    pub active_ms: i64,
    /// Open groups.
    pub open_groups: u64,
    /// How its repeats are counted, as JSON.
    pub rule: String,
}

/// An open group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenGroup {
    /// Hash of the feed and of what its events agree in.
    pub id: [u8; 16],
    /// The feed's time before which it cannot be over.
    pub check_ms: i64,
    /// When its first event happened.
    pub first_ms: i64,
    /// When its last event happened.
    pub last_ms: i64,
    /// How many there were.
    pub count: u64,
}

/// The event that began a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opener {
    /// Its id.
    pub event: [u8; 16],
    /// The event as flat JSON.
    pub json: Vec<u8>,
}

/// A group to be kept, and the id and JSON of the event that began it where it is new.
pub type Written<'a> = (OpenGroup, Option<([u8; 16], &'a [u8])>);

const GROUP: &str = "id, check_ms, first_ms, last_ms, count";

/// 16 bytes of a column.
pub(crate) fn sixteen(row: &Row, column: usize) -> Result<[u8; 16], StoreError> {
    let bytes = row.bytes(column)?;
    bytes.try_into().map_err(|_| StoreError::Corrupt(format!("column {column} does not have 16 bytes")))
}

/// `?from, …` for so many values.
pub(crate) fn places(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ")
}

/// A statement's rows of values.
pub(crate) fn rows_of_places(rows: usize, columns: usize) -> String {
    let row = |n: usize| format!("({})", places(n * columns + 1, columns));
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

fn group(row: &Row) -> Result<OpenGroup, StoreError> {
    Ok(OpenGroup {
        id: sixteen(row, 0)?,
        check_ms: row.int(1)?,
        first_ms: row.int(2)?,
        last_ms: row.int(3)?,
        count: row.count(4)?,
    })
}

fn opener(row: &Row, column: usize) -> Result<Opener, StoreError> {
    Ok(Opener { event: sixteen(row, column)?, json: row.bytes(column + 1)?.to_vec() })
}

impl Tx<'_> {
    /// Feeds whose repeats are counted.
    pub fn aggregate_feeds(&mut self) -> Result<Vec<AggregateFeed>, StoreError> {
        let sql = "SELECT feed, clock_ms, active_ms, open_groups, rule FROM aggregate_feed ORDER BY feed";
        self.rows(sql, &[])?.iter().map(feed).collect()
    }

    /// One feed whose repeats are counted.
    pub fn aggregate_feed(&mut self, name: &str) -> Result<Option<AggregateFeed>, StoreError> {
        let sql = "SELECT feed, clock_ms, active_ms, open_groups, rule FROM aggregate_feed WHERE feed = ?1";
        self.row(sql, values![name])?.as_ref().map(feed).transpose()
    }

    /// Keeps what is known of a feed.
    pub fn put_aggregate_feed(&mut self, feed: &AggregateFeed) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO aggregate_feed (feed, clock_ms, active_ms, open_groups, rule) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (feed) DO UPDATE SET clock_ms = excluded.clock_ms, active_ms = excluded.active_ms,
               open_groups = excluded.open_groups, rule = excluded.rule",
            values![&feed.feed, feed.clock_ms, feed.active_ms, feed.open_groups, &feed.rule],
        )
        .map(|_| ())
    }

    /// Those of these groups that are open.
    pub fn open_groups(&mut self, ids: &[[u8; 16]]) -> Result<Vec<OpenGroup>, StoreError> {
        let mut found = Vec::new();
        for ids in ids.chunks(ROWS_AT_ONCE) {
            let rows = self.groups_in(GROUP, ids)?;
            for row in &rows {
                found.push(group(row)?);
            }
        }
        Ok(found)
    }

    /// The events that began these groups.
    pub fn group_openers(&mut self, ids: &[[u8; 16]]) -> Result<Vec<([u8; 16], Opener)>, StoreError> {
        let mut found = Vec::new();
        for ids in ids.chunks(ROWS_AT_ONCE) {
            for row in &self.groups_in("id, event, json", ids)? {
                found.push((sixteen(row, 0)?, opener(row, 1)?));
            }
        }
        Ok(found)
    }

    fn groups_in(&mut self, columns: &str, ids: &[[u8; 16]]) -> Result<Vec<Row>, StoreError> {
        // Always as many places, so that there is one statement to prepare; the last id stands in for those missing.
        let Some(last) = ids.last() else { return Ok(Vec::new()) };
        let all = ids.iter().chain(std::iter::repeat(last)).take(ROWS_AT_ONCE);
        let values: Vec<Value> = all.map(|id| Value::Bytes(id.to_vec())).collect();
        let places = places(1, ROWS_AT_ONCE);
        self.rows(&format!("SELECT {columns} FROM aggregate_group WHERE id IN ({places})"), &values)
    }

    /// Keeps groups: new ones with the event that began them, those that are there already with their new count and times.
    pub fn put_groups(&mut self, feed: &str, groups: &[Written<'_>]) -> Result<(), StoreError> {
        let statement = |rows: usize| {
            format!(
                "INSERT INTO aggregate_group (id, feed, check_ms, first_ms, last_ms, count, event, json)
                 VALUES {} ON CONFLICT (id) DO UPDATE SET
                   first_ms = excluded.first_ms, last_ms = excluded.last_ms, count = excluded.count",
                rows_of_places(rows, WRITTEN)
            )
        };
        let written = |(group, opener): &Written<'_>| -> [Value; WRITTEN] {
            let (event, json) = opener.unwrap_or(([0; 16], b""));
            [
                group.id.as_slice().into(),
                feed.into(),
                group.check_ms.into(),
                group.first_ms.into(),
                group.last_ms.into(),
                group.count.into(),
                event.as_slice().into(),
                json.into(),
            ]
        };
        let (many, one) = (statement(ROWS_AT_ONCE), statement(1));
        let (chunks, rest) = groups.as_chunks::<ROWS_AT_ONCE>();
        for chunk in chunks {
            let values: Vec<Value> = chunk.iter().flat_map(written).collect();
            self.execute(&many, &values)?;
        }
        for group in rest {
            self.execute(&one, &written(group))?;
        }
        Ok(())
    }

    /// Sets when a group could be over.
    pub fn put_group_check(&mut self, id: [u8; 16], check_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE aggregate_group SET check_ms = ?2 WHERE id = ?1";
        self.execute(sql, values![id.as_slice(), check_ms]).map(|_| ())
    }

    /// Removes groups that are over.
    pub fn remove_groups(&mut self, ids: &[[u8; 16]]) -> Result<u64, StoreError> {
        let mut removed = 0;
        for id in ids {
            removed += self.execute("DELETE FROM aggregate_group WHERE id = ?1", values![id.as_slice()])?;
        }
        Ok(removed)
    }

    /// A feed's groups that could be over before a time, with the events that began them; those to be looked at first come
    /// first.
    pub fn groups_to_check(
        &mut self,
        feed: &str,
        before_ms: i64,
        limit: u32,
    ) -> Result<Vec<(OpenGroup, Opener)>, StoreError> {
        let sql = format!(
            "SELECT {GROUP}, event, json FROM aggregate_group WHERE feed = ?1 AND check_ms < ?2
             ORDER BY check_ms, id LIMIT ?3"
        );
        let rows = self.rows(&sql, values![feed, before_ms, limit])?;
        rows.iter().map(|row| Ok((group(row)?, opener(row, 5)?))).collect()
    }

    /// Whether a feed has a group that could be over before a time.
    pub fn has_group_to_check(&mut self, feed: &str, before_ms: i64) -> Result<bool, StoreError> {
        let sql = "SELECT check_ms FROM aggregate_group WHERE feed = ?1 AND check_ms < ?2 LIMIT 1";
        Ok(self.row(sql, values![feed, before_ms])?.is_some())
    }
}

fn feed(row: &Row) -> Result<AggregateFeed, StoreError> {
    Ok(AggregateFeed {
        feed: row.text(0)?.into(),
        clock_ms: row.int(1)?,
        active_ms: row.int(2)?,
        open_groups: row.count(3)?,
        rule: row.text(4)?.into(),
    })
}

/// The input under which events are stored that come of what is kept here and of no file.
pub fn own_intake(kind: &str, feed: &str) -> crate::events::Intake {
    crate::events::Intake {
        id: Id::of("own intake", &[kind.as_bytes(), feed.as_bytes()]),
        kind: kind.to_owned(),
        source: String::new(),
        campaign: feed.to_owned(),
        measure: None,
        position: 0,
        done: false,
    }
}
