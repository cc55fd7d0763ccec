//! Deterministic ids: the same content has the same id on every machine and after every restart, which is what makes
//! each stage idempotent.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use noroshi_law::evidence::Digest;
use serde::{Deserialize, Serialize};

/// 128 bits of SHA-256 over length-prefixed parts, as 22 URL-safe characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// Characters of the text form.
    pub const CHARS: usize = 22;

    /// The id of some content. `kind` keeps ids of different things apart.
    pub fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(64);
        for part in std::iter::once(&kind.as_bytes()).chain(parts) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Self(URL_SAFE_NO_PAD.encode(&Digest::of(&bytes).0[..16]))
    }

    /// Reads the text form; anything that is not 22 URL-safe characters is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == Self::CHARS
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    /// 128 random bits, for ids that must not be guessed.
    pub fn random() -> Option<Self> {
        use ring::rand::SecureRandom as _;
        let mut bytes = [0; 16];
        ring::rand::SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
