//! What stands at the console's door, as a port: who is in, how somebody comes in, who works here. The portal shows the pages
//! and holds the cookies; the program behind this trait keeps people, passkeys and sessions.
//!
//! ```text
//!   invitation (a link, once) ──▶ /join ──passkey made──▶ in
//!   passkey                   ──▶ /login ──ceremony─────▶ in ──▶ cookie, twelve hours, ended at once where somebody leaves
//!   OpenID Connect            ──▶ /login/oidc ──the provider──▶ /login/oidc/back ──▶ in
//! ```
//!
//! Calls block, as the desk's do.

use std::collections::BTreeSet;

use jiff::Timestamp;
use noroshi_model::{Id, Person, StaffRole};
use serde::Serialize;

use crate::desk::DeskError;

/// A ceremony's options, JSON as a browser reads them (WebAuthn Level 3, 5.1.8 and 5.1.9).
pub type Ceremony = Vec<u8>;

/// Somebody came in.
#[derive(Clone, Debug)]
pub struct Entered {
    /// What the cookie holds.
    pub token: String,
    /// Until when.
    pub until: Timestamp,
}

/// The way to an identity provider.
#[derive(Clone, Debug)]
pub struct Away {
    /// Its address, with what is asked of it.
    pub url: String,
    /// What the browser keeps until it comes back, so that nobody comes in by an answer that somebody else was given.
    pub kept: String,
}

/// Somebody who works here, as the others see them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StaffLine {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// How many passkeys they have.
    pub passkeys: u32,
    /// Since when they are in, where they are.
    pub inside_since: Option<Timestamp>,
}

/// One of somebody's own passkeys.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PasskeyLine {
    /// The credential's id, base64url.
    pub credential: String,
    /// When it was made.
    pub added: Timestamp,
    /// When it was last of use.
    pub used: Option<Timestamp>,
}

/// What is said about who works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaffAct {
    /// Somebody new.
    Invite {
        /// What the others will call them.
        name: String,
        /// What for.
        roles: BTreeSet<StaffRole>,
    },
    /// A new link for somebody who lost theirs, or their passkey.
    InviteAgain(Id),
    /// Other roles.
    Roles(Id, BTreeSet<StaffRole>),
    /// They are here no longer: at once, and in every process.
    End(Id),
}

/// The program behind the door.
pub trait Door: Send + Sync + 'static {
    /// Whose cookie this is, if they are in.
    fn who(&self, token: &str) -> Result<Option<Person>, DeskError>;
    /// They go.
    fn leave(&self, token: &str, person: &Person) -> Result<(), DeskError>;
    /// Whom a link invites.
    fn invited(&self, link: &str) -> Result<Option<Person>, DeskError>;
    /// Begins to make a passkey.
    fn begin_passkey(&self, person: &Person) -> Result<Ceremony, DeskError>;
    /// Keeps the passkey that was made. With an invitation, that is used up by it, and they are in.
    fn keep_passkey(
        &self,
        person: &Person,
        invitation: Option<&str>,
        answer: &[u8],
    ) -> Result<Option<Entered>, DeskError>;
    /// Begins to come in by a passkey.
    fn begin_login(&self) -> Result<Ceremony, DeskError>;
    /// Comes in by a passkey.
    fn login(&self, answer: &[u8]) -> Result<Entered, DeskError>;
    /// What the identity provider is called by which people come in, where there is one.
    fn provider(&self) -> Option<String>;
    /// Begins to come in by the identity provider (OpenID Connect Core 1.0, section 3.1).
    fn begin_oidc(&self) -> Result<Away, DeskError>;
    /// Comes in by what the provider sent the browser back with: the query of the address, and what the browser had kept.
    fn finish_oidc(&self, query: &str, kept: &str) -> Result<Entered, DeskError>;
    /// One's own passkeys.
    fn passkeys(&self, person: &Person) -> Result<Vec<PasskeyLine>, DeskError>;
    /// Forgets one of one's own passkeys.
    fn forget_passkey(&self, person: &Person, credential: &str) -> Result<(), DeskError>;
    /// Everybody.
    fn staff(&self) -> Result<Vec<StaffLine>, DeskError>;
    /// Does what `by` says; the path of the link where somebody is invited, shown once.
    fn people(&self, act: &StaffAct, by: &Person) -> Result<Option<String>, DeskError>;
}
