//! What communications data may be used for: one type per purpose, so that using data for something else does not
//! compile. A purpose fixes its legal basis, because the 2014 and later settlements do (measure by measure).
//!
//! ```compile_fail,E0277
//! // Nobody outside this crate can invent a purpose.
//! struct Advertising;
//! impl noroshi_law::Purpose for Advertising {
//!     type Basis = noroshi_law::Consent;
//!     const MEASURE: &'static str = "advertising";
//!     const PURPOSE: &'static str = "advertising";
//! }
//! ```

use crate::basis::{Basis, Consent, Emergency, LegitimateBusiness};

mod known {
    pub trait Known {}
}

/// A use of communications data that a settlement allows. Sealed: the list is closed in this file.
pub trait Purpose: known::Known + Send + Sync + 'static {
    /// The basis this purpose stands on.
    type Basis: Basis;
    /// The measure's id, the name of its dossier.
    const MEASURE: &'static str;
    /// The purpose as the policy text names it.
    const PURPOSE: &'static str;
}

/// A purpose under which the subscriber may be told; only these may reach the mailer.
pub trait NoticePurpose: Purpose {}

/// Telling the holder of an address found in the log of a C&C server that was taken down
/// (MIC study group, first report 2014-04-04: emergency, Penal Code Art. 37).
#[derive(Debug)]
pub enum TakedownNotice {}

/// Telling a subscriber whose line a sinkhole or sensor feed names, under the contract terms' consent that may be
/// changed at any time (the same report: prior comprehensive consent with opt-out is valid).
#[derive(Debug)]
pub enum InfectionNotice {}

/// Keeping the access server's accounting records, which the carrier needs to run and bill the line
/// (legitimate business, Penal Code Art. 35).
#[derive(Debug)]
pub enum SessionKeeping {}

impl known::Known for TakedownNotice {}
impl Purpose for TakedownNotice {
    type Basis = Emergency;
    const MEASURE: &'static str = "takedown-notice";
    const PURPOSE: &'static str = "subscriber-notice";
}
impl NoticePurpose for TakedownNotice {}

impl known::Known for InfectionNotice {}
impl Purpose for InfectionNotice {
    type Basis = Consent;
    const MEASURE: &'static str = "infection-notice";
    const PURPOSE: &'static str = "subscriber-notice";
}
impl NoticePurpose for InfectionNotice {}

impl known::Known for SessionKeeping {}
impl Purpose for SessionKeeping {
    type Basis = LegitimateBusiness;
    const MEASURE: &'static str = "session-keeping";
    const PURPOSE: &'static str = "session-keeping";
}
