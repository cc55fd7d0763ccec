//! Lists of URLs: of a host that many share, one page is meant and nothing else.
//!
//! A name on a list stops all that is served under it, which is wrong where thousands put their pages under one name. So a list can name URLs instead,
//! and whoever sees URLs (the page that warns, a proxy, a browser) asks for exactly those. What is compared is what Google's Safe Browsing (v4) compares: a URL
//! in one canonical form, a few expressions made of it, and the SHA-256 of each. So lists can be handed to clients that speak that protocol.
//!
//! ```text
//!   URL ──▶ canonical ──▶ at most 30 expressions ──▶ SHA-256 of each ──▶ lists: the first that has one of them
//! ```

pub mod canonical;
pub mod lists;

pub use canonical::{Canonical, UrlError};
pub use lists::{List, Lists, ListsError, Refused};

/// The SHA-256 of an expression.
pub type Hash = [u8; ring::digest::SHA256_OUTPUT_LEN];
