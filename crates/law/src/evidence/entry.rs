//! What one entry of the evidence log says: who used what, for which measure, under which rule, about whom (as a keyed
//! hash), how many records. Entries never hold communications data.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ask::{Role, Use};
use crate::basis::BasisKind;

/// A SHA-256 hash, shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// All zero: "there is none".
    pub const ZERO: Digest = Digest([0; 32]);

    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// The hash of some bytes that lie in several places.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        parts.iter().for_each(|part| context.update(part));
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        Self(out)
    }

    /// Reads exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut out = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(out))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Digest::from_hex(&text).ok_or_else(|| serde::de::Error::custom("a digest is 64 hexadecimal digits"))
    }
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A permit was granted.
    Permit,
    /// A use was refused.
    Refusal,
    /// Sealed data was opened under a permit.
    Opening,
    /// Somebody asked what the rules say; nothing was opened.
    Asked,
    /// A person did something by name: judged a case, stopped telling, came in, let somebody in. Nothing was opened.
    Act,
}

/// What happened, before it has a place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// Which kind of event.
    pub kind: Kind,
    /// When it was asked.
    pub at: Timestamp,
    /// Who asked.
    pub role: Role,
    /// The measure.
    pub measure: String,
    /// The dossier's version.
    pub measure_version: u32,
    /// The dossier's hash.
    pub dossier: Digest,
    /// The basis relied on.
    pub basis: Option<BasisKind>,
    /// The purpose stated.
    pub purpose: String,
    /// The use.
    pub usage: Use,
    /// The fields used.
    pub fields: Vec<String>,
    /// The rule that decided.
    pub rule: String,
    /// Hash of the policy set that decided.
    pub policy_set: Digest,
    /// Keyed hash of what or whom it was about; empty for permits.
    pub subject: String,
    /// How many records were opened.
    pub records: u64,
    /// The entry of the permit relied on.
    pub under: Option<u64>,
    /// The rule's words, for permits and refusals.
    pub note: String,
}

/// A record in its place. The bytes that are hashed are its JSON as stored, so nothing depends on re-serialisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Position in the log, from 0.
    pub index: u64,
    /// What happened.
    pub record: Record,
}

impl Record {
    /// The bytes of the entry that this record becomes at a place of the log, as they are stored and hashed.
    pub fn at_place(&self, index: u64) -> Vec<u8> {
        /// The form of [`Entry`], for a record that is only lent.
        #[derive(Serialize)]
        struct Placed<'a> {
            index: u64,
            record: &'a Record,
        }
        serde_json::to_vec(&Placed { index, record: self }).unwrap_or_default()
    }
}

impl Entry {
    /// The bytes that are stored and hashed.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.record.at_place(self.index)
    }

    /// Reads stored bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
