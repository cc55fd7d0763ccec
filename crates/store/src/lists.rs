//! Feeds that are whole lists: what is on them, since when, and how far the comparison of the last load came.
//!
//! Each load has a number, its generation. Entries that a load names are moved to its generation as it is read; those
//! that stayed behind at its end are gone. An entry that went stays one load longer, to be shown.

use jiff::Timestamp;
use serde::Serialize;

use crate::aggregates::{places, rows_of_places, sixteen};
use crate::row::{Row, Value, values};
use crate::{StoreError, Tx};

/// Rows read or written with one statement.
const ROWS_AT_ONCE: usize = 64;
/// Columns of an entry as written.
const WRITTEN: usize = 12;

/// How far the comparison of a load came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is being read.
    Open,
    /// It was read to its end, and is to be judged.
    Read,
    /// It was believed, and what is gone is being told.
    Leaving,
    /// It was compared.
    Done,
    /// It was not believed: nothing was taken for gone.
    Refused,
}

impl Phase {
    const ALL: [(Phase, &str); 5] = [
        (Phase::Open, "open"),
        (Phase::Read, "read"),
        (Phase::Leaving, "leaving"),
        (Phase::Done, "done"),
        (Phase::Refused, "refused"),
    ];

    /// As it is written.
    pub fn id(self) -> &'static str {
        Self::ALL.iter().find(|(phase, _)| *phase == self).map_or("open", |(_, id)| *id)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, id)| *id == text).map(|(phase, _)| *phase)
    }
}

/// The last load of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListFeed {
    /// The feed.
    pub feed: String,
    /// The load's number.
    pub generation: u64,
    /// How far it came.
    pub phase: Phase,
    /// The input it is read from.
    #[serde(skip)]
    pub intake: String,
    /// Entries of the list when it was believed last.
    pub size: u64,
    /// Records read.
    pub lines: u64,
    /// Of them not readable.
    pub bad: u64,
    /// Entries that are new.
    pub added: u64,
    /// Entries of which something else is said.
    pub changed: u64,
    /// Entries that are as before.
    pub still: u64,
    /// Records that name an entry of this load again.
    pub again: u64,
    /// Entries that are gone.
    pub gone: u64,
    /// When the load began.
    pub begun: Timestamp,
    /// When it was compared or refused.
    pub ended: Option<Timestamp>,
    /// Why it was refused.
    pub note: String,
    /// How it is compared, as JSON.
    #[serde(skip)]
    pub rule: String,
}

impl ListFeed {
    /// Different entries of the load.
    pub fn entries(&self) -> u64 {
        self.added + self.changed + self.still
    }
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// Hash of the feed and the entry.
    pub entry: [u8; 16],
    /// What is said of it.
    pub rest: [u8; 16],
    /// Since when it is on the list, without having been gone.
    pub first: Timestamp,
    /// When it was last on the list.
    pub last: Timestamp,
    /// The load in which it was seen last.
    pub generation: u64,
    /// The load in which it came.
    pub came: u64,
    /// The load in which it changed last, 0 if it did not.
    pub changed: u64,
    /// The load that no longer had it, 0 if it is there.
    pub gone: u64,
    /// What it is called among people.
    pub name: String,
    /// What it had before it changed, as a JSON object.
    pub was: String,
    /// The event as flat JSON.
    pub json: Vec<u8>,
}

const FEED: &str = "feed, generation, phase, intake, size, lines, bad, added, changed, still, again, gone,
    begun_ms, ended_ms, note, rule";
const ENTRY: &str = "entry, rest, first_ms, last_ms, generation, came, changed, gone, name, was, json";

fn feed(row: &Row) -> Result<ListFeed, StoreError> {
    Ok(ListFeed {
        feed: row.text(0)?.into(),
        generation: row.count(1)?,
        phase: row.parsed(2, Phase::parse)?,
        intake: row.text(3)?.into(),
        size: row.count(4)?,
        lines: row.count(5)?,
        bad: row.count(6)?,
        added: row.count(7)?,
        changed: row.count(8)?,
        still: row.count(9)?,
        again: row.count(10)?,
        gone: row.count(11)?,
        begun: row.time(12)?,
        ended: row.time_opt(13)?,
        note: row.text(14)?.into(),
        rule: row.text(15)?.into(),
    })
}

fn entry(row: &Row) -> Result<ListEntry, StoreError> {
    Ok(ListEntry {
        entry: sixteen(row, 0)?,
        rest: sixteen(row, 1)?,
        first: row.time(2)?,
        last: row.time(3)?,
        generation: row.count(4)?,
        came: row.count(5)?,
        changed: row.count(6)?,
        gone: row.count(7)?,
        name: row.text(8)?.into(),
        was: row.text(9)?.into(),
        json: row.bytes(10)?.to_vec(),
    })
}

fn written(feed: &str, e: &ListEntry) -> [Value; WRITTEN] {
    [
        feed.into(),
        e.entry.as_slice().into(),
        e.rest.as_slice().into(),
        e.first.into(),
        e.last.into(),
        e.generation.into(),
        e.came.into(),
        e.changed.into(),
        e.gone.into(),
        (&e.name).into(),
        (&e.was).into(),
        e.json.as_slice().into(),
    ]
}

impl Tx<'_> {
    /// Every list.
    pub fn list_feeds(&mut self) -> Result<Vec<ListFeed>, StoreError> {
        self.rows(&format!("SELECT {FEED} FROM list_feed ORDER BY feed"), &[])?.iter().map(feed).collect()
    }

    /// One list.
    pub fn list_feed(&mut self, name: &str) -> Result<Option<ListFeed>, StoreError> {
        let row = self.row(&format!("SELECT {FEED} FROM list_feed WHERE feed = ?1"), values![name])?;
        row.as_ref().map(feed).transpose()
    }

    /// Keeps what is known of a list's last load.
    pub fn put_list_feed(&mut self, f: &ListFeed) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO list_feed (feed, generation, phase, intake, size, lines, bad, added, changed, still, again,
               gone, begun_ms, ended_ms, note, rule)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT (feed) DO UPDATE SET generation = excluded.generation, phase = excluded.phase,
               intake = excluded.intake, size = excluded.size, lines = excluded.lines, bad = excluded.bad,
               added = excluded.added, changed = excluded.changed, still = excluded.still, again = excluded.again,
               gone = excluded.gone, begun_ms = excluded.begun_ms, ended_ms = excluded.ended_ms,
               note = excluded.note, rule = excluded.rule",
            values![
                &f.feed,
                f.generation,
                f.phase.id(),
                &f.intake,
                f.size,
                f.lines,
                f.bad,
                f.added,
                f.changed,
                f.still,
                f.again,
                f.gone,
                f.begun,
                f.ended,
                &f.note,
                &f.rule
            ],
        )
        .map(|_| ())
    }

    /// Those of these entries that are known.
    pub fn list_entries(&mut self, ids: &[[u8; 16]]) -> Result<Vec<ListEntry>, StoreError> {
        let sql = format!("SELECT {ENTRY} FROM list_entry WHERE entry IN ({})", places(1, ROWS_AT_ONCE));
        let mut found = Vec::new();
        for ids in ids.chunks(ROWS_AT_ONCE) {
            let Some(last) = ids.last() else { continue };
            let all = ids.iter().chain(std::iter::repeat(last)).take(ROWS_AT_ONCE);
            let values: Vec<Value> = all.map(|id| Value::Bytes(id.to_vec())).collect();
            for row in &self.rows(&sql, &values)? {
                found.push(entry(row)?);
            }
        }
        Ok(found)
    }

    /// Keeps entries that are new or changed.
    pub fn put_list_entries(&mut self, feed: &str, entries: &[ListEntry]) -> Result<(), StoreError> {
        self.upsert_entries(
            feed,
            entries,
            "rest = excluded.rest, first_ms = excluded.first_ms, last_ms = excluded.last_ms,
             generation = excluded.generation, came = excluded.came, changed = excluded.changed,
             gone = excluded.gone, name = excluded.name, was = excluded.was, json = excluded.json",
        )
    }

    /// Notes that entries were seen again; nothing else of them is written.
    pub fn touch_list_entries(&mut self, feed: &str, entries: &[ListEntry]) -> Result<(), StoreError> {
        self.upsert_entries(feed, entries, "last_ms = excluded.last_ms, generation = excluded.generation")
    }

    fn upsert_entries(&mut self, feed: &str, entries: &[ListEntry], set: &str) -> Result<(), StoreError> {
        let statement = |rows: usize| {
            format!(
                "INSERT INTO list_entry (feed, {ENTRY}) VALUES {} ON CONFLICT (entry) DO UPDATE SET {set}",
                rows_of_places(rows, WRITTEN)
            )
        };
        let (many, one) = (statement(ROWS_AT_ONCE), statement(1));
        let (chunks, rest) = entries.as_chunks::<ROWS_AT_ONCE>();
        for chunk in chunks {
            let values: Vec<Value> = chunk.iter().flat_map(|entry| written(feed, entry)).collect();
            self.execute(&many, &values)?;
        }
        for entry in rest {
            self.execute(&one, &written(feed, entry))?;
        }
        Ok(())
    }

    /// Entries that a load no longer has, some of them at a time.
    pub fn list_left_behind(
        &mut self,
        feed: &str,
        generation: u64,
        limit: u32,
    ) -> Result<Vec<ListEntry>, StoreError> {
        let sql = format!(
            "SELECT {ENTRY} FROM list_entry WHERE feed = ?1 AND gone = 0 AND generation < ?2
             ORDER BY generation, entry LIMIT ?3"
        );
        self.rows(&sql, values![feed, generation, limit])?.iter().map(entry).collect()
    }

    /// Notes that entries are gone.
    pub fn mark_gone(&mut self, generation: u64, ids: &[[u8; 16]]) -> Result<(), StoreError> {
        for id in ids {
            self.execute(
                "UPDATE list_entry SET gone = ?2 WHERE entry = ?1",
                values![id.as_slice(), generation],
            )?;
        }
        Ok(())
    }

    /// Forgets entries that went in earlier loads, some of them at a time; says how many.
    pub fn forget_gone(&mut self, feed: &str, generation: u64, limit: u32) -> Result<u64, StoreError> {
        self.execute(
            "DELETE FROM list_entry WHERE entry IN
               (SELECT entry FROM list_entry WHERE feed = ?1 AND gone > 0 AND gone < ?2 LIMIT ?3)",
            values![feed, generation, limit],
        )
    }

    /// What is on a list, a page after an entry.
    pub fn listed(&mut self, feed: &str, after: &[u8], limit: u32) -> Result<Vec<ListEntry>, StoreError> {
        let sql = format!(
            "SELECT {ENTRY} FROM list_entry WHERE feed = ?1 AND gone = 0 AND entry > ?2 ORDER BY entry LIMIT ?3"
        );
        self.rows(&sql, values![feed, after, limit])?.iter().map(entry).collect()
    }

    /// How many entries a list has.
    pub fn listed_count(&mut self, feed: &str) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM list_entry WHERE feed = ?1 AND gone = 0";
        Ok(self.number(sql, values![feed])?.unsigned_abs())
    }

    /// What a load changed, a page after an entry.
    pub fn list_changes(
        &mut self,
        feed: &str,
        generation: u64,
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<ListEntry>, StoreError> {
        let sql = format!(
            "SELECT {ENTRY} FROM list_entry
             WHERE feed = ?1 AND entry > ?3 AND (came = ?2 OR changed = ?2 OR gone = ?2) ORDER BY entry LIMIT ?4"
        );
        self.rows(&sql, values![feed, generation, after, limit])?.iter().map(entry).collect()
    }
}
