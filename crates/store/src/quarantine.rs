//! Quarantine: lines that could not be used, whole, with what it takes to read them again once the cause is mended.

use jiff::Timestamp;
use noroshi_law::evidence::Digest;
use noroshi_model::intake::SNIPPET_BYTES_MAX;
use noroshi_model::{Bad, Id};

use crate::row::{Row, Value, values};
use crate::{StoreError, Tx};

/// Most bytes of a line that are kept.
pub const KEPT_MAX: usize = SNIPPET_BYTES_MAX;
/// Bytes of a line that a list shows.
const SHOWN_MAX: usize = 4096;
/// The columns of a list, with as much of the content as that.
pub(crate) const LISTED: &str =
    "id, campaign, feed, source, line, reason, SUBSTR(content, 1, 4096), bytes, kept, replayed_ms, at_ms";
/// Rows written with one statement; a database over a network is then not asked for each.
const ROWS_AT_ONCE: usize = 64;
/// Columns of a row as written.
const WRITTEN: usize = 11;

/// A line to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewQuarantine {
    /// The campaign.
    pub campaign: String,
    /// The feed's name.
    pub feed: String,
    /// The file.
    pub source: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong, for a person; never contains the line's content.
    pub reason: String,
    /// The line as read, of which [`KEPT_MAX`] bytes are kept; `None` where the input is sealed.
    pub content: Option<Vec<u8>>,
    /// The whole line's length in bytes.
    pub bytes: u64,
    /// What it takes to read it again (format, feed, parameters), as JSON.
    pub how: String,
}

/// Which lines; the default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// Of this feed.
    pub feed: Option<String>,
    /// Whose reason contains this, in whatever case.
    pub reason: Option<String>,
    /// Read again already, or not yet.
    pub replayed: Option<bool>,
}

/// A quarantined line as listed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Quarantined {
    /// Its id.
    pub id: String,
    /// The campaign.
    pub campaign: String,
    /// The feed's name.
    pub feed: String,
    /// The file.
    pub source: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
    /// The line's beginning; absent for sealed inputs.
    pub snippet: Option<String>,
    /// The line's length in bytes.
    pub bytes: u64,
    /// Whether the line was longer than what is kept of it.
    pub cut: bool,
    /// When it was read again, if it was.
    pub replayed: Option<Timestamp>,
    /// When it was read.
    pub at: Timestamp,
}

/// A quarantined line, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// As listed.
    pub entry: Quarantined,
    /// What is kept of the line, as read; `None` where the input is sealed.
    pub content: Option<Vec<u8>>,
    /// What it takes to read it again, as JSON.
    pub how: String,
}

impl NewQuarantine {
    /// The id: of the input, then its line, then the content, so that the same line is kept once and lines that come
    /// together are written together.
    pub fn id(&self) -> Id {
        let mut input = Vec::new();
        for part in [&self.campaign, &self.feed, &self.source] {
            input.extend_from_slice(&(part.len() as u64).to_be_bytes());
            input.extend_from_slice(part.as_bytes());
        }
        let mut content = self.bytes.to_be_bytes().to_vec();
        content.extend_from_slice(self.content.as_deref().unwrap_or_default());
        let mut id = [0; 16];
        id[..6].copy_from_slice(&Digest::of(&input).0[..6]);
        id[6..11].copy_from_slice(&self.line.to_be_bytes()[3..]);
        id[11..].copy_from_slice(&Digest::of(&content).0[..5]);
        crate::log::id_from_bytes(id)
    }

    fn values(&self, now: Timestamp) -> [Value; WRITTEN] {
        let content = self.content.as_deref().map(|content| &content[..content.len().min(KEPT_MAX)]);
        [
            (&self.id()).into(),
            (&self.campaign).into(),
            (&self.feed).into(),
            (&self.source).into(),
            self.line.into(),
            (&self.reason).into(),
            content.into(),
            content.map_or(0, <[u8]>::len).into(),
            self.bytes.into(),
            (&self.how).into(),
            now.into(),
        ]
    }
}

impl QuarantineFilter {
    /// The condition and its values, `?1` to `?4`.
    const CONDITION: &str = "(?1 = '' OR feed = ?1) AND (?2 = '' OR LOWER(reason) LIKE ?2 ESCAPE '!')
         AND (CAST(?3 AS BIGINT) = 0 OR (CAST(?3 AS BIGINT) = 1 AND replayed_ms IS NOT NULL)
           OR (CAST(?3 AS BIGINT) = 2 AND replayed_ms IS NULL))";

    fn values(&self) -> Vec<Value> {
        let like = |reason: &String| {
            let mut like = String::from("%");
            for c in reason.to_lowercase().chars() {
                if matches!(c, '%' | '_' | '!') {
                    like.push('!');
                }
                like.push(c);
            }
            like + "%"
        };
        let replayed = match self.replayed {
            None => 0i64,
            Some(true) => 1,
            Some(false) => 2,
        };
        let feed = self.feed.clone().unwrap_or_default();
        let reason = self.reason.as_ref().filter(|reason| !reason.is_empty()).map(like).unwrap_or_default();
        values![feed, reason, replayed].to_vec()
    }
}

/// A statement that writes so many rows.
fn insertion(rows: usize) -> String {
    let row = |row: usize| {
        let places: Vec<String> = (1..=WRITTEN).map(|i| format!("?{}", row * WRITTEN + i)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!(
        "INSERT INTO quarantine (id, campaign, feed, source, line, reason, content, kept, bytes, how, at_ms)
         VALUES {} ON CONFLICT (id) DO NOTHING",
        rows.join(", ")
    )
}

impl Tx<'_> {
    /// Keeps bad lines, thousands at a time if need be; says how many were not there yet.
    pub fn insert_quarantined(&mut self, lines: &[NewQuarantine], now: Timestamp) -> Result<u64, StoreError> {
        let (many, one) = (insertion(ROWS_AT_ONCE), insertion(1));
        let (chunks, rest) = lines.as_chunks::<ROWS_AT_ONCE>();
        let mut added = 0;
        for chunk in chunks {
            let values: Vec<Value> = chunk.iter().flat_map(|line| line.values(now)).collect();
            added += self.execute(&many, &values)?;
        }
        for line in rest {
            added += self.execute(&one, &line.values(now))?;
        }
        Ok(added)
    }

    /// Keeps one bad line that nobody will read again. Its content is left out where the input is sealed.
    pub fn insert_quarantine(
        &mut self,
        campaign: &str,
        source: &str,
        bad: &Bad,
        sealed: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let line = NewQuarantine {
            campaign: campaign.to_owned(),
            feed: campaign.to_owned(),
            source: source.to_owned(),
            line: bad.line,
            reason: bad.reason.clone(),
            content: (!sealed).then(|| bad.snippet.clone()),
            bytes: bad.bytes,
            how: "{}".to_owned(),
        };
        self.insert_quarantined(&[line], now).map(|_| ())
    }

    /// Some of the quarantine, newest first.
    pub fn quarantine_where(
        &mut self,
        filter: &QuarantineFilter,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let sql = format!(
            "SELECT {LISTED} FROM quarantine WHERE {} ORDER BY at_ms DESC, id LIMIT ?4 OFFSET ?5",
            QuarantineFilter::CONDITION
        );
        let mut values = filter.values();
        values.extend([limit.into(), offset.into()]);
        self.rows(&sql, &values)?.iter().map(listed).collect()
    }

    /// How many lines there are.
    pub fn quarantine_count(&mut self, filter: &QuarantineFilter) -> Result<u64, StoreError> {
        let sql = format!("SELECT COUNT(*) FROM quarantine WHERE {}", QuarantineFilter::CONDITION);
        Ok(self.number(&sql, &filter.values())?.unsigned_abs())
    }

    /// One line, whole.
    pub fn quarantined(&mut self, id: &Id) -> Result<Option<Kept>, StoreError> {
        let row = self.row(
            "SELECT id, campaign, feed, source, line, reason, content, bytes, kept, replayed_ms, at_ms, how
             FROM quarantine WHERE id = ?1",
            values![id],
        )?;
        row.map(|row| {
            let content = row.bytes_opt(6)?.map(<[u8]>::to_vec);
            Ok(Kept { entry: listed(&row)?, content, how: row.text(11)?.into() })
        })
        .transpose()
    }

    /// Notes that lines were read again; says how many of them there are.
    pub fn mark_replayed(&mut self, ids: &[Id], now: Timestamp) -> Result<u64, StoreError> {
        let mut marked = 0;
        for id in ids {
            marked +=
                self.execute("UPDATE quarantine SET replayed_ms = ?2 WHERE id = ?1", values![id, now])?;
        }
        Ok(marked)
    }

    /// Removes lines; says how many of them there were.
    pub fn remove_quarantined(&mut self, ids: &[Id]) -> Result<u64, StoreError> {
        let mut removed = 0;
        for id in ids {
            removed += self.execute("DELETE FROM quarantine WHERE id = ?1", values![id])?;
        }
        Ok(removed)
    }
}

pub(crate) fn listed(row: &Row) -> Result<Quarantined, StoreError> {
    let shown =
        |content: &[u8]| String::from_utf8_lossy(&content[..content.len().min(SHOWN_MAX)]).into_owned();
    let content = row.bytes_opt(6)?;
    Ok(Quarantined {
        id: row.text(0)?.into(),
        campaign: row.text(1)?.into(),
        feed: row.text(2)?.into(),
        source: row.text(3)?.into(),
        line: row.count(4)?,
        reason: row.text(5)?.into(),
        snippet: content.map(shown),
        bytes: row.count(7)?,
        cut: content.is_some() && row.count(8)? < row.count(7)?,
        replayed: row.time_opt(9)?,
        at: row.time(10)?,
    })
}
