//! What came back of mails.

use jiff::Timestamp;
use noroshi_model::Id;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// What came back of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    /// A hash of what came.
    pub id: Id,
    /// The case of the mail that it is about.
    pub case: Id,
    /// The mail's number in the case.
    pub number: u32,
    /// `failed`, `delayed`, `delivered`, `complaint`, `read`, `auto-reply`, `answer`.
    pub kind: String,
    /// Why it has not arrived, or the kind of complaint.
    pub cause: String,
    /// The enhanced status code (RFC 3463), where there is one.
    pub status: String,
    /// The mail server's words, without addresses.
    pub said: String,
    /// When it was read.
    pub at: Timestamp,
}

impl Tx<'_> {
    /// Keeps it; false where the same was kept before.
    pub fn put_return(&mut self, came: &Return) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO mail_return (id, case_id, step, kind, cause, status, said, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
            values![
                &came.id,
                &came.case,
                came.number,
                came.kind.as_str(),
                came.cause.as_str(),
                came.status.as_str(),
                came.said.as_str(),
                came.at
            ],
        )?;
        Ok(new == 1)
    }

    /// What came back in a case, oldest first.
    pub fn returns_of(&mut self, case: &Id) -> Result<Vec<Return>, StoreError> {
        let rows = self.rows(
            "SELECT id, case_id, step, kind, cause, status, said, at_ms FROM mail_return
             WHERE case_id = ?1 ORDER BY at_ms, id",
            values![case],
        )?;
        rows.iter().map(came).collect()
    }

    /// How often what came back: kind, cause, how often.
    pub fn return_totals(&mut self) -> Result<Vec<(String, String, u64)>, StoreError> {
        let rows = self.rows(
            "SELECT kind, cause, COUNT(*) FROM mail_return GROUP BY kind, cause ORDER BY kind, cause",
            &[],
        )?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.count(2)?))).collect()
    }
}

fn came(row: &Row) -> Result<Return, StoreError> {
    Ok(Return {
        id: row.id(0)?,
        case: row.id(1)?,
        number: u32::try_from(row.int(2)?).unwrap_or(u32::MAX),
        kind: row.text(3)?.into(),
        cause: row.text(4)?.into(),
        status: row.text(5)?.into(),
        said: row.text(6)?.into(),
        at: row.time(7)?,
    })
}
