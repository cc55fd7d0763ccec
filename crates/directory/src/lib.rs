//! The ISP's own directory of subscribers, asked where it is. Names and mail addresses stay there: what comes back is sealed
//! by whoever asks, is opened under a permit, and is kept nowhere.
//!
//! ```text
//!   line ──contract()──▶ contract reference ──subscriber()──▶ who that is, sealed
//!              │                                    │
//!              └───────── Sql · Http · Ldap ────────┘   one connection, made anew where it broke; every wait is bounded
//! ```
//!
//! A directory that cannot be asked is an error and never "nobody": whoever asked tries again later. So is an answer that
//! says two things, for writing to the wrong person is worse than writing to none. No error repeats what was asked or told.

mod http;
mod ldap;
mod sql;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use noroshi_act::directory::{DirectoryError, Listed};
use noroshi_law::Sealed;
use noroshi_model::{ContractRef, Lang, Subscriber};

pub use http::{HttpDirectory, HttpFile};
pub use ldap::{LdapDirectory, LdapFile};
pub use sql::{SqlDirectory, SqlFile};

/// Longest wait for an answer.
pub const ANSWER: Duration = Duration::from_secs(10);
/// Most bytes of a file with a secret.
const SECRET_BYTES_MAX: u64 = 4096;

/// A connection that is made when it is needed, and made anew once when it turns out to be broken.
#[derive(Debug)]
struct Kept<C>(Mutex<Option<C>>);

impl<C> Default for Kept<C> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<C> Kept<C> {
    /// Asks over the connection. `ask` says whether its error may be the connection's fault.
    fn ask<T>(
        &self,
        connect: impl Fn() -> Result<C, DirectoryError>,
        ask: impl Fn(&mut C) -> Result<T, DirectoryError>,
    ) -> Result<T, DirectoryError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = kept.as_mut() {
            match ask(connection) {
                Err(DirectoryError::Away(_)) => *kept = None,
                answered => return answered,
            }
        }
        let mut fresh = connect()?;
        let answered = ask(&mut fresh);
        if !matches!(answered, Err(DirectoryError::Away(_))) {
            *kept = Some(fresh);
        }
        answered
    }
}

/// What a directory tells of a line.
fn listed(contract: &str, opted_out: bool) -> Result<Listed, DirectoryError> {
    let contract = ContractRef::parse(contract.trim());
    let contract = contract.ok_or_else(|| DirectoryError::Entry("no contract reference".into()))?;
    Ok(Listed { contract, opted_out })
}

/// What a directory tells of a contract.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told<'a> {
    name: &'a str,
    mail: &'a str,
    /// Japanese, where it is not told.
    language: Option<&'a str>,
    phone: Option<&'a str>,
    address: Option<&'a str>,
}

/// The same as a subscriber.
fn subscriber(contract: &ContractRef, told: &Told<'_>) -> Result<Sealed<Subscriber>, DirectoryError> {
    let wrong = |why: &str| DirectoryError::Entry(why.into());
    let mail = told.mail.trim();
    if !mail.contains('@') || mail.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong("no mail address"));
    }
    // `ja-JP` and `en;q=0.8` are languages as directories write them.
    let tag = told.language.unwrap_or("ja").trim().to_ascii_lowercase();
    let tag = tag.split(['-', '_', ';', ',']).next().unwrap_or_default();
    let lang = Lang::parse(tag).ok_or_else(|| wrong("the language is no tag like ja, en or pt-BR"))?;
    let said = |said: Option<&str>| said.map(str::trim).filter(|said| !said.is_empty()).map(str::to_owned);
    Ok(Sealed::new(Subscriber {
        contract: contract.clone(),
        name: told.name.trim().to_owned(),
        mail: mail.to_owned(),
        lang,
        phone: said(told.phone),
        address: said(told.address),
    }))
}

/// The one answer; several that differ are an error.
fn only<T: PartialEq>(answers: Vec<T>, what: &str) -> Result<Option<T>, DirectoryError> {
    let mut answers = answers.into_iter();
    let Some(first) = answers.next() else { return Ok(None) };
    if answers.any(|other| other != first) {
        return Err(DirectoryError::Entry(format!("several answers about one {what}")));
    }
    Ok(Some(first))
}

/// Reads a secret from its file, without the line's end.
fn secret(path: &Path) -> Result<String, DirectoryError> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
        .map_err(|e| DirectoryError::Unreadable(format!("{}: {e}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A directory that is somewhere else and cannot be asked.
fn away(why: impl std::fmt::Display) -> DirectoryError {
    DirectoryError::Away(why.to_string())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_broken_connection_is_made_anew_once() {
        let kept: Kept<u32> = Kept::default();
        let made = Cell::new(0);
        let connect = || {
            made.set(made.get() + 1);
            Ok(made.get())
        };
        assert_eq!(kept.ask(connect, |c| Ok(*c)).unwrap(), 1);
        assert_eq!(kept.ask(connect, |c| Ok(*c)).unwrap(), 1);
        let second = kept.ask(connect, |c| if *c == 1 { Err(away("gone")) } else { Ok(*c) });
        assert_eq!(second.unwrap(), 2);
        assert!(kept.ask(connect, |_| Err::<(), _>(away("gone"))).is_err());
        assert_eq!(made.get(), 3);
        assert_eq!(kept.ask(connect, |c| Ok(*c)).unwrap(), 4);
        let wrong = || DirectoryError::Entry("wrong".into());
        assert!(kept.ask(connect, |_| Err::<(), _>(wrong())).is_err());
        assert_eq!(kept.ask(connect, |c| Ok(*c)).unwrap(), 4, "a wrong entry is not the connection's fault");
    }

    #[test]
    fn entries_that_cannot_be_used_are_refused_without_their_content() {
        let contract = ContractRef::parse("C-1").unwrap();
        for (mail, language) in
            [("secret", Some("ja")), ("secret@a b", None), ("a@example.jp", Some("secret"))]
        {
            let told = Told { name: "secret", mail, language, ..Told::default() };
            let error = subscriber(&contract, &told).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        for language in [None, Some("ja"), Some("ja-JP"), Some("EN"), Some("en;q=0.8")] {
            let told = Told { name: "x", mail: "a@example.jp", language, ..Told::default() };
            assert!(subscriber(&contract, &told).is_ok(), "{language:?}");
        }
        assert_eq!(only(vec![1, 1], "line").unwrap(), Some(1));
        assert!(only(vec![1, 2], "line").is_err());
    }
}
