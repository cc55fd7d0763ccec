//! How far exports came. Numbers of the event log have no gaps and are committed in order, so one number says what a
//! receiver has; beside it stands what may be on its way, so that after a crash the very same range is sent again and
//! the receiver can tell that it is a repeat.

use jiff::Timestamp;
use serde::Serialize;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Longest name of a cursor, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

const COLUMNS: &str = "name, what, sent_seq, until_seq, place, at_ms";

/// How far an export came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cursor {
    /// Its name.
    pub name: String,
    /// A hash of what is exported: another selection under the same name would leave things out silently.
    pub what: String,
    /// Everything up to this number was acknowledged.
    pub sent: u64,
    /// What is above that, up to this number, may be on its way.
    pub until: u64,
    /// For a file: its length when all of it was acknowledged.
    pub place: u64,
    /// When it last moved.
    pub at: Timestamp,
}

fn cursor(row: &Row) -> Result<Cursor, StoreError> {
    Ok(Cursor {
        name: row.text(0)?.to_owned(),
        what: row.text(1)?.to_owned(),
        sent: row.count(2)?,
        until: row.count(3)?,
        place: row.count(4)?,
        at: row.time(5)?,
    })
}

impl Tx<'_> {
    /// A cursor by its name.
    pub fn cursor(&mut self, name: &str) -> Result<Option<Cursor>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM cursor WHERE name = ?1");
        self.row(&sql, values![name])?.as_ref().map(cursor).transpose()
    }

    /// All cursors, by name.
    pub fn cursors(&mut self, limit: u32) -> Result<Vec<Cursor>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM cursor ORDER BY name LIMIT ?1");
        self.rows(&sql, values![limit])?.iter().map(cursor).collect()
    }

    /// Makes a cursor, or moves it from where it was read; false where it is not there any more, because another export
    /// moved it: of two who share one, one goes on.
    pub fn put_cursor(&mut self, was: Option<&Cursor>, now: &Cursor) -> Result<bool, StoreError> {
        let changed = match was {
            None => self.execute(
                "INSERT INTO cursor (name, what, sent_seq, until_seq, place, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (name) DO NOTHING",
                values![&now.name, &now.what, now.sent, now.until, now.place, now.at],
            )?,
            Some(was) => self.execute(
                "UPDATE cursor SET sent_seq = ?3, until_seq = ?4, place = ?5, at_ms = ?6
                 WHERE name = ?1 AND what = ?2 AND sent_seq = ?7 AND until_seq = ?8 AND place = ?9",
                values![
                    &was.name, &was.what, now.sent, now.until, now.place, now.at, was.sent, was.until, was.place
                ],
            )?,
        };
        Ok(changed == 1)
    }

    /// Forgets a cursor; false where there is none.
    pub fn drop_cursor(&mut self, name: &str) -> Result<bool, StoreError> {
        Ok(self.execute("DELETE FROM cursor WHERE name = ?1", values![name])? == 1)
    }
}
