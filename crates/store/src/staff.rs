//! Who works here: people, their passkeys, the links that invite them, and who is in. Links and cookies are kept as hashes:
//! whoever reads the database can be nobody by it.

use jiff::Timestamp;
use noroshi_model::staff::{read_roles, roles_text};
use noroshi_model::{Id, Person};

use crate::row::{Row, Value, values};
use crate::{StoreError, Tx};

/// A passkey as it is kept: what only whoever verifies it can read, and when it was of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// The credential's id, base64url.
    pub credential: String,
    /// Whose.
    pub staff: Id,
    /// Public key and what else does not change.
    pub fixed: Vec<u8>,
    /// Counter and what else does.
    pub changing: Vec<u8>,
    /// By which ways it is reached, as bits.
    pub transports: u8,
    /// When it was made.
    pub added: Timestamp,
    /// When it was last of use.
    pub used: Option<Timestamp>,
}

/// Somebody who is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub person: Person,
    /// By what: `passkey`, `oidc`.
    pub how: String,
    /// Since when.
    pub opened: Timestamp,
    /// Until when at most.
    pub until: Timestamp,
}

const PERSON: &str = "s.id, s.name, s.roles, s.since_ms, s.ended_ms";
const PASSKEY: &str = "credential, staff, fixed, changing, transports, added_ms, used_ms";

impl Tx<'_> {
    /// Takes somebody in; false where somebody has that name or subject, be it somebody who has left: the evidence log knows
    /// people by their names.
    pub fn insert_person(&mut self, person: &Person, subject: Option<&str>) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO staff (id, name, roles, since_ms, ended_ms, subject) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
            values![&person.id, &person.name, roles_text(&person.roles), person.since, person.ended, subject],
        )?;
        Ok(new == 1)
    }

    /// Changes somebody's roles, and until when they are here.
    pub fn put_person(&mut self, person: &Person) -> Result<bool, StoreError> {
        let changed = self.execute(
            "UPDATE staff SET roles = ?2, ended_ms = ?3 WHERE id = ?1",
            values![&person.id, roles_text(&person.roles), person.ended],
        )?;
        Ok(changed == 1)
    }

    /// Everybody, those who are here first, by name.
    pub fn staff(&mut self) -> Result<Vec<Person>, StoreError> {
        let sql = format!(
            "SELECT {PERSON} FROM staff s ORDER BY CASE WHEN ended_ms IS NULL THEN 0 ELSE 1 END, name LIMIT 10000"
        );
        self.rows(&sql, &[])?.iter().map(person).collect()
    }

    /// Somebody by id.
    pub fn person(&mut self, id: &Id) -> Result<Option<Person>, StoreError> {
        self.one_person("s.id = ?1", values![id])
    }

    /// Somebody by name.
    pub fn person_named(&mut self, name: &str) -> Result<Option<Person>, StoreError> {
        self.one_person("s.name = ?1", values![name])
    }

    /// Whom a provider of identities calls so.
    pub fn person_of_subject(&mut self, subject: &str) -> Result<Option<Person>, StoreError> {
        self.one_person("s.subject = ?1", values![subject])
    }

    /// Whether a provider of identities says who somebody is.
    pub fn is_of_provider(&mut self, id: &Id) -> Result<bool, StoreError> {
        Ok(self.row("SELECT id FROM staff WHERE id = ?1 AND subject IS NOT NULL", values![id])?.is_some())
    }

    fn one_person(&mut self, by: &str, values: &[Value]) -> Result<Option<Person>, StoreError> {
        let sql = format!("SELECT {PERSON} FROM staff s WHERE {by}");
        self.row(&sql, values)?.as_ref().map(person).transpose()
    }

    /// Keeps a passkey; false where the credential is known already.
    pub fn insert_passkey(&mut self, passkey: &Passkey) -> Result<bool, StoreError> {
        let new = self.execute(
            "INSERT INTO passkey (credential, staff, fixed, changing, transports, added_ms, used_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            values![
                &passkey.credential,
                &passkey.staff,
                passkey.fixed.as_slice(),
                passkey.changing.as_slice(),
                u32::from(passkey.transports),
                passkey.added,
                passkey.used
            ],
        )?;
        Ok(new == 1)
    }

    /// Notes that a passkey was of use, and what changed of it.
    pub fn use_passkey(
        &mut self,
        credential: &str,
        changing: &[u8],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute(
            "UPDATE passkey SET changing = ?2, used_ms = ?3 WHERE credential = ?1",
            values![credential, changing, now],
        )?;
        Ok(())
    }

    /// A passkey by its credential's id.
    pub fn passkey(&mut self, credential: &str) -> Result<Option<Passkey>, StoreError> {
        let sql = format!("SELECT {PASSKEY} FROM passkey WHERE credential = ?1");
        self.row(&sql, values![credential])?.as_ref().map(passkey).transpose()
    }

    /// Somebody's passkeys, in the order in which they were made.
    pub fn passkeys(&mut self, staff: &Id) -> Result<Vec<Passkey>, StoreError> {
        let sql = format!("SELECT {PASSKEY} FROM passkey WHERE staff = ?1 ORDER BY added_ms, credential");
        self.rows(&sql, values![staff])?.iter().map(passkey).collect()
    }

    /// Forgets somebody's passkey; false where it is not theirs.
    pub fn remove_passkey(&mut self, staff: &Id, credential: &str) -> Result<bool, StoreError> {
        let gone = self.execute(
            "DELETE FROM passkey WHERE staff = ?1 AND credential = ?2",
            values![staff, credential],
        )?;
        Ok(gone == 1)
    }

    /// Keeps an invitation by its link's hash. Older ones of the same person end.
    pub fn invite(
        &mut self,
        hash: &str,
        staff: &Id,
        by: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute("DELETE FROM invitation WHERE staff = ?1 OR until_ms <= ?2", values![staff, now])?;
        self.execute(
            "INSERT INTO invitation (hash, staff, by_person, made_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            values![hash, staff, by, now, until],
        )?;
        Ok(())
    }

    /// Whom a link invites, if it still does.
    pub fn invited(&mut self, hash: &str, now: Timestamp) -> Result<Option<Person>, StoreError> {
        let sql = format!(
            "SELECT {PERSON} FROM invitation i JOIN staff s ON s.id = i.staff
             WHERE i.hash = ?1 AND i.until_ms > ?2 AND s.ended_ms IS NULL"
        );
        self.row(&sql, values![hash, now])?.as_ref().map(person).transpose()
    }

    /// Uses an invitation up; false where it no longer is one.
    pub fn use_invitation(&mut self, hash: &str, now: Timestamp) -> Result<bool, StoreError> {
        let used =
            self.execute("DELETE FROM invitation WHERE hash = ?1 AND until_ms > ?2", values![hash, now])?;
        Ok(used == 1)
    }

    /// Opens a session, and forgets those that have ended.
    pub fn open_session(
        &mut self,
        hash: &str,
        staff: &Id,
        how: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.execute("DELETE FROM console_session WHERE until_ms <= ?1", values![now])?;
        self.execute(
            "INSERT INTO console_session (hash, staff, how, opened_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            values![hash, staff, how, now, until],
        )?;
        Ok(())
    }

    /// Whose session it is, if it is one of somebody who is here.
    pub fn session(&mut self, hash: &str, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let sql = format!(
            "SELECT {PERSON}, c.how, c.opened_ms, c.until_ms FROM console_session c JOIN staff s ON s.id = c.staff
             WHERE c.hash = ?1 AND c.until_ms > ?2 AND s.ended_ms IS NULL"
        );
        self.row(&sql, values![hash, now])?.as_ref().map(session).transpose()
    }

    /// Ends a session.
    pub fn end_session(&mut self, hash: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM console_session WHERE hash = ?1", values![hash])?;
        Ok(())
    }

    /// Ends all sessions of somebody, and every link that invites them.
    pub fn end_sessions_of(&mut self, staff: &Id) -> Result<u64, StoreError> {
        self.execute("DELETE FROM invitation WHERE staff = ?1", values![staff])?;
        self.execute("DELETE FROM console_session WHERE staff = ?1", values![staff])
    }

    /// Who is in, those who came last first.
    pub fn sessions(&mut self, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let sql = format!(
            "SELECT {PERSON}, c.how, c.opened_ms, c.until_ms FROM console_session c JOIN staff s ON s.id = c.staff
             WHERE c.until_ms > ?1 AND s.ended_ms IS NULL ORDER BY c.opened_ms DESC, s.name LIMIT 10000"
        );
        self.rows(&sql, values![now])?.iter().map(session).collect()
    }
}

fn person(row: &Row) -> Result<Person, StoreError> {
    Ok(Person {
        id: row.id(0)?,
        name: row.text(1)?.into(),
        roles: row.parsed(2, read_roles)?,
        since: row.time(3)?,
        ended: row.time_opt(4)?,
    })
}

fn session(row: &Row) -> Result<Session, StoreError> {
    Ok(Session { person: person(row)?, how: row.text(5)?.into(), opened: row.time(6)?, until: row.time(7)? })
}

fn passkey(row: &Row) -> Result<Passkey, StoreError> {
    Ok(Passkey {
        credential: row.text(0)?.into(),
        staff: row.id(1)?,
        fixed: row.bytes(2)?.to_vec(),
        changing: row.bytes(3)?.to_vec(),
        transports: u8::try_from(row.int(4)?).unwrap_or(0),
        added: row.time(5)?,
        used: row.time_opt(6)?,
    })
}
