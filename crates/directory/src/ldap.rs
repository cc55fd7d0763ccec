//! A directory behind LDAP (RFC 4511). What is asked is escaped in the filter (RFC 4515), for a line's name is the device's
//! own words.

use std::path::PathBuf;

use ldap3::{LdapConn, LdapConnSettings, LdapError, Scope, SearchEntry, ldap_escape};
use noroshi_act::directory::{Directory, DirectoryError, Holder, Listed};
use noroshi_law::Sealed;
use noroshi_model::{ContractRef, Subscriber};
use serde::{Deserialize, Serialize};

use super::{ANSWER, Kept, Told, away, listed, only, secret, subscriber};

/// Where what was asked goes in a filter.
const PLACE: &str = "{}";
/// Entries that are asked for: one more than is allowed.
const ENTRIES_MAX: i32 = 2;

/// `[directory.ldap]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LdapFile {
    /// `ldaps://HOST` (or `ldap://` on loopback).
    pub url: String,
    /// Who asks; nobody in particular where it is not said.
    pub bind_dn: Option<String>,
    /// File with their password.
    pub password_file: Option<PathBuf>,
    /// Below what is searched.
    pub base: String,
    /// The entry of a line; `{}` is the line: `(uid={})`.
    pub line_filter: String,
    /// The entry of a contract; `{}` is the contract: `(employeeNumber={})`.
    pub contract_filter: String,
    /// Attribute with the contract reference.
    pub contract: String,
    /// Attribute with the name.
    #[serde(default = "cn")]
    pub name: String,
    /// Attribute with the mail address; the first value counts.
    #[serde(default = "mail")]
    pub mail: String,
    /// Attribute with the language.
    #[serde(default = "preferred_language")]
    pub language: String,
    /// Attribute with the telephone number for short messages and calls.
    #[serde(default = "mobile")]
    pub phone: String,
    /// Attribute with the postal address.
    #[serde(default = "postal_address")]
    pub address: String,
    /// Attribute that is `TRUE` where somebody does not want to be written to.
    pub opted_out: Option<String>,
}

fn cn() -> String {
    "cn".into()
}

fn mail() -> String {
    "mail".into()
}

fn mobile() -> String {
    "mobile".into()
}

fn postal_address() -> String {
    "postalAddress".into()
}

fn preferred_language() -> String {
    "preferredLanguage".into()
}

/// See the module's text.
#[derive(Debug)]
pub struct LdapDirectory {
    file: LdapFile,
    password: String,
    kept: Kept<LdapConn>,
}

impl LdapDirectory {
    /// With what the configuration says; connects when it is asked.
    pub fn new(file: LdapFile) -> Result<Self, DirectoryError> {
        let wrong = |why: &str| Err(DirectoryError::Unreadable(format!("directory.ldap: {why}")));
        let on_loopback = ["ldap://127.", "ldap://[::1]", "ldap://localhost", "ldapi://"]
            .iter()
            .any(|s| file.url.starts_with(s));
        if !file.url.starts_with("ldaps://") && !on_loopback {
            return wrong("url must begin with ldaps://");
        }
        if !file.line_filter.contains(PLACE) || !file.contract_filter.contains(PLACE) {
            return wrong("a filter without {} finds the same entry for everybody");
        }
        let password = file.password_file.as_deref().map_or_else(|| Ok(String::new()), secret)?;
        Ok(Self { file, password, kept: Kept::default() })
    }

    fn connect(&self) -> Result<LdapConn, DirectoryError> {
        let settings = LdapConnSettings::new().set_conn_timeout(ANSWER);
        let mut connection = LdapConn::with_settings(settings, &self.file.url).map_err(away)?;
        if let Some(dn) = &self.file.bind_dn {
            let bound = connection.with_timeout(ANSWER).simple_bind(dn, &self.password).map_err(away)?;
            if bound.rc != 0 {
                return Err(DirectoryError::Unreadable(format!(
                    "directory.ldap: bind was answered with {}",
                    bound.rc
                )));
            }
        }
        Ok(connection)
    }

    /// The entries that a filter finds, of which no more are asked for than it takes to see that there is more than one.
    fn found(&self, filter: &str, about: &str, wanted: &[&str]) -> Result<Vec<SearchEntry>, DirectoryError> {
        let filter = filter.replace(PLACE, &ldap_escape(about));
        let search = |connection: &mut LdapConn| {
            let options = ldap3::SearchOptions::new().sizelimit(ENTRIES_MAX);
            connection.with_search_options(options).with_timeout(ANSWER);
            let found = connection.search(&self.file.base, Scope::Subtree, &filter, wanted.to_vec());
            let ldap3::SearchResult(entries, result) = found.map_err(|e| match e {
                LdapError::FilterParsing => DirectoryError::Unreadable("directory.ldap: not a filter".into()),
                other => away(other),
            })?;
            match result.rc {
                // 32: there is no such base. 4: there are more than were asked for, which is told by their number.
                0 | 4 => Ok(entries.into_iter().map(SearchEntry::construct).collect()),
                32 => Err(DirectoryError::Unreadable("directory.ldap: there is no such base".into())),
                code @ (50 | 49) => Err(DirectoryError::Unreadable(format!(
                    "directory.ldap: the search was answered with {code}"
                ))),
                code => Err(away(format!("LDAP result {code}"))),
            }
        };
        self.kept.ask(|| self.connect(), search)
    }
}

/// The first value of an attribute; names of attributes have no case.
fn first<'a>(entry: &'a SearchEntry, attribute: &str) -> Option<&'a str> {
    let named = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    named.and_then(|(_, values)| values.first()).map(String::as_str)
}

impl Directory for LdapDirectory {
    fn contract(&self, holder: &Holder) -> Result<Option<Listed>, DirectoryError> {
        let mut wanted = vec![self.file.contract.as_str()];
        wanted.extend(self.file.opted_out.as_deref());
        let entries = self.found(&self.file.line_filter, &holder.user, &wanted)?;
        let told = entries.iter().map(|entry| {
            let said = self.file.opted_out.as_deref().and_then(|attribute| first(entry, attribute));
            listed(first(entry, &self.file.contract).unwrap_or_default(), said == Some("TRUE"))
        });
        only(told.collect::<Result<_, _>>()?, "line")
    }

    fn subscriber(&self, contract: &ContractRef) -> Result<Option<Sealed<Subscriber>>, DirectoryError> {
        let file = &self.file;
        let wanted = [file.name.as_str(), &file.mail, &file.language, &file.phone, &file.address];
        let entries = self.found(&file.contract_filter, contract.as_str(), &wanted)?;
        // RFC 4517 section 3.3.28: the lines of a postal address are parted by dollar signs.
        let addresses: Vec<_> = entries
            .iter()
            .map(|entry| first(entry, &file.address).map(|lines| lines.replace('$', "\n")))
            .collect();
        let told = entries.iter().zip(&addresses).map(|(entry, address)| Told {
            name: first(entry, &file.name).unwrap_or_default(),
            mail: first(entry, &file.mail).unwrap_or_default(),
            language: first(entry, &file.language),
            phone: first(entry, &file.phone),
            address: address.as_deref(),
        });
        let told = only(told.collect(), "contract")?;
        told.map(|told| subscriber(contract, &told)).transpose()
    }
}
