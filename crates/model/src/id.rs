//! Deterministic ids: the same content has the same id on every machine and after every restart, which is what makes
//! each stage idempotent.

use std::fmt;

use noroshi_law::evidence::Digest;
use serde::{Deserialize, Serialize};

/// 128 bits of SHA-256 over length-prefixed parts, as 32 hexadecimal digits: they survive URLs, shells and telephones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Characters of the text form.
    pub const CHARS: usize = 32;

    /// The id of some content. `kind` keeps ids of different things apart.
    pub fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(64);
        for part in std::iter::once(&kind.as_bytes()).chain(parts) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Self(hexadecimal(&Digest::of(&bytes).0[..16]))
    }

    /// Reads the text form; anything that is not 32 lower-case hexadecimal digits is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == Self::CHARS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.to_owned()))
    }

    /// 128 random bits, for ids that must not be guessed.
    pub fn random() -> Option<Self> {
        use ring::rand::SecureRandom as _;
        let mut bytes = [0; 16];
        ring::rand::SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(hexadecimal(&bytes)))
    }

    /// Of the bytes it stands for.
    pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(hexadecimal(bytes))
    }

    /// The first 32 bits as told over the phone: `AB3D-92F0`.
    pub fn reference(&self) -> String {
        let told = self.0[..8].to_ascii_uppercase();
        format!("{}-{}", &told[..4], &told[4..])
    }

    /// The bytes it stands for.
    pub fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (byte, digits) in bytes.iter_mut().zip(self.0.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
        }
        bytes
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Id {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("an id is 32 lower-case hexadecimal digits")
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
