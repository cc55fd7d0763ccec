//! One person's word about a popular site, until a second person says the same: kept in the database, so that it outlives the process that
//! took it and whoever serves the console has it.

use jiff::Timestamp;

use crate::row::{Row, values};
use crate::{StoreError, Tx};

const WORD: &str = "SELECT address, threat, person, why, at_ms FROM site_word";
/// Words that wait at most; the oldest go first.
const WORDS_MAX: u32 = 100;

/// What somebody wants done with a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteWord {
    /// The site.
    pub address: String,
    /// The kind of harm it is to be listed for; none: it is to be taken out.
    pub threat: Option<String>,
    /// Who says so.
    pub person: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

impl Tx<'_> {
    /// Keeps a word, in the place of what that person said of the site before.
    pub fn put_site_word(&mut self, word: &SiteWord) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO site_word (address, person_key, threat, person, why, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (address, person_key) DO UPDATE SET threat = ?3, person = ?4, why = ?5, at_ms = ?6",
            values![&word.address, person_key(&word.person), word.threat.as_ref(), &word.person, &word.why, word.at],
        )?;
        let kept = format!(
            "SELECT address, person_key FROM site_word ORDER BY at_ms DESC, address LIMIT {WORDS_MAX}"
        );
        self.execute(
            &format!("DELETE FROM site_word WHERE (address, person_key) NOT IN ({kept})"),
            values![],
        )?;
        Ok(())
    }

    /// Words said after a time, the newest first.
    pub fn site_words(&mut self, after: Timestamp) -> Result<Vec<SiteWord>, StoreError> {
        let sql = format!("{WORD} WHERE at_ms > ?1 ORDER BY at_ms DESC, address LIMIT {WORDS_MAX}");
        self.rows(&sql, values![after])?.iter().map(word).collect()
    }

    /// What somebody else said after a time that is the same as this.
    pub fn site_word_like(
        &mut self,
        one: &SiteWord,
        after: Timestamp,
    ) -> Result<Option<SiteWord>, StoreError> {
        let sql = format!(
            "{WORD} WHERE address = ?1 AND COALESCE(threat, '') = ?2 AND person_key <> ?3 AND at_ms > ?4
             ORDER BY at_ms DESC, person_key LIMIT 1"
        );
        let threat = one.threat.as_deref().unwrap_or_default();
        let same = values![&one.address, threat, person_key(&one.person), after];
        self.row(&sql, same)?.as_ref().map(word).transpose()
    }

    /// Forgets what was said of a site: it is decided.
    pub fn drop_site_words(&mut self, address: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM site_word WHERE address = ?1", values![address])?;
        Ok(())
    }
}

/// By which one person's words are told from another's, however the name is written.
fn person_key(person: &str) -> String {
    person.trim().to_lowercase()
}

fn word(row: &Row) -> Result<SiteWord, StoreError> {
    Ok(SiteWord {
        address: row.text(0)?.into(),
        threat: row.text_opt(1)?.map(str::to_owned),
        person: row.text(2)?.into(),
        why: row.text(3)?.into(),
        at: row.time(4)?,
    })
}
