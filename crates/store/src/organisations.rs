//! Organisations that are told of their own addresses: their ranges, contacts, and what they do not wish to hear of.

use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_model::Lang;
use noroshi_model::organisation::{Contact, Mute, Organisation, Proof, Range, Way};

use crate::row::{Row, values};
use crate::{StoreError, Tx};

/// Organisations, and of each the ranges, contacts and mutes, that are read at once.
pub const READ_MAX: u32 = 100_000;

const ORGANISATION: &str = "SELECT key, name, lang, since_ms, messages, next_ms, pause_s FROM organisation";
const RANGE: &str = "SELECT prefix, organisation, token, proof, found, proven_ms, checked_ms, missing FROM organisation_range";

impl Tx<'_> {
    /// Registers an organisation; false where there is one of that key.
    pub fn insert_organisation(&mut self, one: &Organisation) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO organisation (key, name, lang, since_ms, messages, next_ms, pause_s)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            values![&one.key, &one.name, one.lang.tag(), one.since, one.messages, one.next, one.pause_s],
        )?;
        Ok(new == 1)
    }

    /// Changes what it is called, its language, and when it is told again.
    pub fn put_organisation(&mut self, one: &Organisation) -> Result<(), StoreError> {
        self.execute(
            "UPDATE organisation SET name = ?2, lang = ?3, messages = ?4, next_ms = ?5, pause_s = ?6 WHERE key = ?1",
            values![&one.key, &one.name, one.lang.tag(), one.messages, one.next, one.pause_s],
        )?;
        Ok(())
    }

    /// One organisation.
    pub fn organisation(&mut self, key: &str) -> Result<Option<Organisation>, StoreError> {
        self.row(&format!("{ORGANISATION} WHERE key = ?1"), values![key])?
            .as_ref()
            .map(organisation)
            .transpose()
    }

    /// All of them, by key.
    pub fn organisations(&mut self) -> Result<Vec<Organisation>, StoreError> {
        let rows = self.rows(&format!("{ORGANISATION} ORDER BY key LIMIT ?1"), values![READ_MAX])?;
        rows.iter().map(organisation).collect()
    }

    /// Organisations that have something to be told, and may be told now.
    pub fn organisations_due(&mut self, now: Timestamp) -> Result<Vec<Organisation>, StoreError> {
        let rows = self.rows(
            &format!(
                "{ORGANISATION} o WHERE (next_ms IS NULL OR next_ms <= ?1) AND EXISTS
                 (SELECT 1 FROM alert a WHERE a.organisation = o.key AND a.message IS NULL AND a.muted = 0)
                 ORDER BY key LIMIT ?2"
            ),
            values![now, READ_MAX],
        )?;
        rows.iter().map(organisation).collect()
    }

    /// Forgets an organisation and everything about it; false where there is none.
    pub fn remove_organisation(&mut self, key: &str) -> Result<bool, StoreError> {
        for table in
            ["organisation_range", "organisation_contact", "organisation_mute", "alert", "alert_message"]
        {
            self.execute(&format!("DELETE FROM {table} WHERE organisation = ?1"), values![key])?;
        }
        Ok(self.execute("DELETE FROM organisation WHERE key = ?1", values![key])? == 1)
    }

    /// Takes in a range, not proven yet; false where the prefix is somebody's already.
    pub fn insert_range(&mut self, range: &Range) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO organisation_range (prefix, organisation, token, found, missing)
             VALUES (?1, ?2, ?3, '', 0) ON CONFLICT DO NOTHING",
            values![range.prefix.to_string(), &range.organisation, &range.token],
        )?;
        Ok(new == 1)
    }

    /// Writes what became of a range's proof.
    pub fn put_range(&mut self, range: &Range) -> Result<(), StoreError> {
        self.execute(
            "UPDATE organisation_range SET proof = ?2, found = ?3, proven_ms = ?4, checked_ms = ?5, missing = ?6
             WHERE prefix = ?1",
            values![
                range.prefix.to_string(),
                range.proof.map(Proof::id),
                &range.found,
                range.proven,
                range.checked,
                range.missing
            ],
        )?;
        Ok(())
    }

    /// Takes a range back; false where there is none.
    pub fn remove_range(&mut self, organisation: &str, prefix: IpNet) -> Result<bool, StoreError> {
        let sql = "DELETE FROM organisation_range WHERE organisation = ?1 AND prefix = ?2";
        Ok(self.execute(sql, values![organisation, prefix.to_string()])? == 1)
    }

    /// The ranges of one organisation, or of all.
    pub fn ranges(&mut self, organisation: Option<&str>) -> Result<Vec<Range>, StoreError> {
        let sql = format!(
            "{RANGE} WHERE (CAST(?1 AS TEXT) IS NULL OR organisation = ?1) ORDER BY organisation, prefix LIMIT ?2"
        );
        self.rows(&sql, values![organisation, READ_MAX])?.iter().map(range).collect()
    }

    /// Says whom to tell; false where that is known.
    pub fn insert_contact(&mut self, contact: &Contact) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO organisation_contact (organisation, way, target, secret_file)
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            values![&contact.organisation, contact.way.id(), &contact.target, contact.secret_file.as_deref()],
        )?;
        Ok(new == 1)
    }

    /// Takes a contact back, with what was on its way there; false where there is none.
    pub fn remove_contact(&mut self, organisation: &str, way: Way, target: &str) -> Result<bool, StoreError> {
        let which = "WHERE organisation = ?1 AND way = ?2 AND target = ?3";
        let these = values![organisation, way.id(), target];
        self.execute(&format!("DELETE FROM alert_message {which} AND state = 'pending'"), these)?;
        Ok(self.execute(&format!("DELETE FROM organisation_contact {which}"), these)? == 1)
    }

    /// Whom to tell.
    pub fn contacts(&mut self, organisation: &str) -> Result<Vec<Contact>, StoreError> {
        let rows = self.rows(
            "SELECT organisation, way, target, secret_file FROM organisation_contact WHERE organisation = ?1
             ORDER BY way, target LIMIT ?2",
            values![organisation, READ_MAX],
        )?;
        rows.iter().map(contact).collect()
    }

    /// Says of which addresses an organisation does not wish to hear.
    pub fn put_mute(&mut self, mute: &Mute) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO organisation_mute (organisation, prefix, why, until_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (organisation, prefix) DO UPDATE SET why = ?3, until_ms = ?4",
            values![&mute.organisation, mute.prefix.to_string(), &mute.why, mute.until],
        )?;
        Ok(())
    }

    /// Takes that back; false where it was not said.
    pub fn remove_mute(&mut self, organisation: &str, prefix: IpNet) -> Result<bool, StoreError> {
        let sql = "DELETE FROM organisation_mute WHERE organisation = ?1 AND prefix = ?2";
        Ok(self.execute(sql, values![organisation, prefix.to_string()])? == 1)
    }

    /// Of which addresses an organisation does not wish to hear now.
    pub fn mutes(&mut self, organisation: &str, now: Timestamp) -> Result<Vec<Mute>, StoreError> {
        let rows = self.rows(
            "SELECT organisation, prefix, why, until_ms FROM organisation_mute
             WHERE organisation = ?1 AND (until_ms IS NULL OR until_ms > ?2) ORDER BY prefix LIMIT ?3",
            values![organisation, now, READ_MAX],
        )?;
        rows.iter().map(mute).collect()
    }
}

fn organisation(row: &Row) -> Result<Organisation, StoreError> {
    Ok(Organisation {
        key: row.text(0)?.into(),
        name: row.text(1)?.into(),
        lang: row.parsed(2, Lang::parse)?,
        since: row.time(3)?,
        messages: row.count(4)?,
        next: row.time_opt(5)?,
        pause_s: row.count(6)?,
    })
}

fn range(row: &Row) -> Result<Range, StoreError> {
    let proof = match row.text_opt(3)? {
        None => None,
        Some(_) => Some(row.parsed(3, Proof::parse)?),
    };
    Ok(Range {
        prefix: row.parsed(0, |text| text.parse().ok())?,
        organisation: row.text(1)?.into(),
        token: row.text(2)?.into(),
        proof,
        found: row.text(4)?.into(),
        proven: row.time_opt(5)?,
        checked: row.time_opt(6)?,
        missing: u32::try_from(row.count(7)?).unwrap_or(u32::MAX),
    })
}

fn contact(row: &Row) -> Result<Contact, StoreError> {
    Ok(Contact {
        organisation: row.text(0)?.into(),
        way: row.parsed(1, Way::parse)?,
        target: row.text(2)?.into(),
        secret_file: row.text_opt(3)?.map(str::to_owned),
    })
}

fn mute(row: &Row) -> Result<Mute, StoreError> {
    Ok(Mute {
        organisation: row.text(0)?.into(),
        prefix: row.parsed(1, |text| text.parse().ok())?,
        why: row.text(2)?.into(),
        until: row.time_opt(3)?,
    })
}
