//! Tokens of the API: who may ask what, until when. Only a token's hash is here; a token has 256 random bits, so there is nothing to
//! guess, and a plain hash will do.
//!
//! Whoever asks is looked up each time, so that a token that is revoked opens nothing from the next request on, in every process.

use jiff::Timestamp;
use noroshi_law::evidence::Digest;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Tokens there may be at a time, revoked and expired ones aside.
pub const TOKENS_MAX: u64 = 1_000;
/// How exactly it is kept when a token was used last, in milliseconds: an hour.
const USED_MS: i64 = 3_600_000;

/// A token, without what opens anything.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Token {
    /// Its name, which is nobody else's, for ever.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none without an end.
    pub until: Option<Timestamp>,
    /// When it was used last, to the hour.
    pub used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl Token {
    /// Whether it opens anything at a time.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.until.is_none_or(|until| now < until)
    }

    /// Whether its use at a time is to be noted: the first of an hour is.
    pub fn is_used_anew(&self, now: Timestamp) -> bool {
        self.used.is_none_or(|used| used.as_millisecond() < hour_of(now))
    }
}

const COLUMNS: &str = "name, scopes, since_ms, until_ms, used_ms, revoked_ms";

impl Tx<'_> {
    /// Keeps a token by its hash; false where the name is or was somebody's.
    pub fn put_token(&mut self, token: &Token, hash: &Digest) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO api_token (name, hash, scopes, since_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            values![&token.name, hash.to_string(), token.scopes.join(" "), token.since, token.until],
        )?;
        Ok(new == 1)
    }

    /// The token with a hash, whether it is good any more or not.
    pub fn token(&mut self, hash: &Digest) -> Result<Option<Token>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_token WHERE hash = ?1");
        self.row(&sql, values![hash.to_string()])?.as_ref().map(token).transpose()
    }

    /// Tokens by name.
    pub fn tokens(&mut self, limit: u32) -> Result<Vec<Token>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM api_token ORDER BY name LIMIT ?1");
        self.rows(&sql, values![limit])?.iter().map(token).collect()
    }

    /// How many tokens are good at a time.
    pub fn good_tokens(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let n = self.number(
            "SELECT COUNT(*) FROM api_token WHERE revoked_ms IS NULL AND (until_ms IS NULL OR until_ms > ?1)",
            values![now],
        )?;
        Ok(n.unsigned_abs())
    }

    /// Notes that a token is being used, once an hour.
    pub fn note_token_use(&mut self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let hour = hour_of(now);
        self.execute(
            "UPDATE api_token SET used_ms = ?2 WHERE name = ?1 AND (used_ms IS NULL OR used_ms < ?2)",
            values![name, hour],
        )?;
        Ok(())
    }

    /// Makes a token open nothing any more; false where there is none of this name that does.
    pub fn revoke_token(&mut self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE api_token SET revoked_ms = ?2 WHERE name = ?1 AND revoked_ms IS NULL";
        Ok(self.execute(sql, values![name, now])? == 1)
    }
}

/// When the hour of a time began, in milliseconds since 1970.
fn hour_of(now: Timestamp) -> i64 {
    now.as_millisecond().div_euclid(USED_MS) * USED_MS
}

fn token(row: &Row) -> Result<Token, StoreError> {
    Ok(Token {
        name: row.text(0)?.into(),
        scopes: row.text(1)?.split_whitespace().map(str::to_owned).collect(),
        since: row.time(2)?,
        until: row.time_opt(3)?,
        used: row.time_opt(4)?,
        revoked: row.time_opt(5)?,
    })
}
