//! The person a notice is for, and the opaque reference by which everything else knows them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lang::Lang;

/// Most characters of a contract reference.
pub const CONTRACT_CHARS_MAX: usize = 64;

/// The ISP's own reference for a contract. It names nobody by itself, and still is not for display.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContractRef(String);

impl ContractRef {
    /// Reads a reference: 1 to [`CONTRACT_CHARS_MAX`] printable ASCII characters without spaces.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty()
            && text.len() <= CONTRACT_CHARS_MAX
            && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The text form, for storage.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContractRef {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a contract reference is 1 to 64 printable ASCII characters")
    }
}

impl From<ContractRef> for String {
    fn from(contract: ContractRef) -> Self {
        contract.0
    }
}

impl fmt::Debug for ContractRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹contract›")
    }
}

/// A subscriber as the ISP's directory knows them. Prints redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// The contract.
    pub contract: ContractRef,
    /// How to address the person.
    pub name: String,
    /// Where to write to.
    pub mail: String,
    /// In which language.
    pub lang: Lang,
    /// Where to call or send a short message, where that is known.
    pub phone: Option<String>,
    /// Where to send a letter, where that is known: lines as on the envelope.
    pub address: Option<String>,
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscriber(‹redacted›)")
    }
}
