//! What signatures prove (RFC 4033 to 4035, 5155, 6840), without asking anybody.
//!
//! ```text
//!   anchor or DS ─▶ zone's keys (`signature::zone`) ─▶ records hold (`signature::verify`)
//!                                                  └▶ NSEC, NSEC3 hold ─▶ there is none (`denial`)
//! ```
//!
//! Everything here is from strangers, so it is apart from recursion, which asks ([`crate::recurse`]): functions that neither wait nor know
//! the time, and that do no more work than a [`Budget`] allows. Signatures, digests, hashes and canonical forms are those of NLnet Labs'
//! `domain`. Its own validator asks through a transport of its own, keeps caches of its own, takes SHA-1 for secure and P-384 and Ed25519
//! for unknown, and bounds work by record set instead of by question; so the rest is ours.

use std::sync::atomic::{AtomicU32, Ordering};

pub mod anchor;
pub mod denial;
pub mod signature;

/// Signatures that are checked for one name and type at most: those of a chain through ten zones are some 30 (CVE-2023-50387).
const SIGNATURES_MAX: u32 = 64;
/// Rounds of hashing for one name and type at most: 20 names with 100 iterations, or 2,000 with none (CVE-2023-50868).
const HASHING_MAX: u32 = 2_048;

/// Why records are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A signature is not by the zone's keys, or speaks of something else.
    #[error("a signature that does not hold")]
    Bogus,
    /// All signatures have ended.
    #[error("signatures that have ended")]
    Expired,
    /// All signatures begin later.
    #[error("signatures that have not begun")]
    NotYetValid,
    /// The zone has no key that the zone above vouches for.
    #[error("no key that the zone above vouches for")]
    NoKey,
    /// Records of a signed zone have no signature.
    #[error("no signature")]
    Unsigned,
    /// That there is none is not proven.
    #[error("no proof that there is none")]
    NoProof,
    /// Judging it would take too much work.
    #[error("too much to check")]
    Work,
    /// Who could tell does not answer.
    #[error("no answer from who could tell")]
    Unreachable,
}

impl Fault {
    /// Its extended error (RFC 8914, 4); none where nobody did wrong.
    pub fn extended_error(self) -> Option<u16> {
        match self {
            Self::Bogus | Self::Work => Some(6),
            Self::Expired => Some(7),
            Self::NotYetValid => Some(8),
            Self::NoKey => Some(9),
            Self::Unsigned => Some(10),
            Self::NoProof => Some(12),
            Self::Unreachable => None,
        }
    }
}

/// How much work a question for one name and type has caused.
#[derive(Debug, Default)]
pub struct Budget {
    signatures: AtomicU32,
    hashing: AtomicU32,
}

impl Budget {
    /// One more signature is checked.
    fn signature(&self) -> Result<(), Fault> {
        let before = self.signatures.fetch_add(1, Ordering::Relaxed);
        if before < SIGNATURES_MAX { Ok(()) } else { Err(Fault::Work) }
    }

    /// One more name is hashed, in so many rounds.
    fn hashing(&self, rounds: u32) -> Result<(), Fault> {
        let before = self.hashing.fetch_add(rounds, Ordering::Relaxed);
        if before.saturating_add(rounds) <= HASHING_MAX { Ok(()) } else { Err(Fault::Work) }
    }

    /// Signatures that were checked.
    pub fn signatures(&self) -> u32 {
        self.signatures.load(Ordering::Relaxed).min(SIGNATURES_MAX)
    }

    /// Rounds of hashing that were done.
    pub fn rounds(&self) -> u32 {
        self.hashing.load(Ordering::Relaxed).min(HASHING_MAX)
    }
}

/// Seconds since 1970, by which signatures begin and end.
#[allow(
    clippy::disallowed_methods,
    reason = "signatures hold by the calendar, which is not what the resolver's clock counts"
)]
pub fn unix_s() -> u32 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as u32)
}
