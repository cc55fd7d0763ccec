//! Lists of URLs: of a host that many share, one page is meant and nothing else.
//!
//! A name on a list stops all that is served under it, which is wrong where thousands put their pages under one name. So a list can name URLs instead,
//! and whoever sees URLs (the page that warns, a proxy, a browser) asks for exactly those. What is compared is what Google's Safe Browsing (v4) compares: a URL
//! in one canonical form, a few expressions made of it, and the SHA-256 of each. So lists can be handed to clients that speak that protocol.
//!
//! ```text
//!   URL ──▶ canonical ──▶ at most 30 expressions ──▶ SHA-256 of each ──▶ lists: the first that has one of them
//!
//!   lists ──▶ held: their prefixes, and what changed ──▶ rice ──▶ desk ──▶ clients, which ask for no more than a few octets of a hash
//! ```

pub mod canonical;
pub mod desk;
pub mod held;
pub mod lists;
pub mod rice;

pub use canonical::{Canonical, UrlError};
pub use desk::Desk;
pub use lists::{List, Lists, ListsError, Refused};

/// A SHA-256: of an expression, or of what a client holds of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; ring::digest::SHA256_OUTPUT_LEN]);

impl From<ring::digest::Digest> for Hash {
    fn from(digest: ring::digest::Digest) -> Self {
        let mut hash = Self::default();
        hash.0.copy_from_slice(digest.as_ref());
        hash
    }
}
