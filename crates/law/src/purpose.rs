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
//! ```compile_fail,E0277
//! // A filter tells nobody: what it saw may not be mailed.
//! use noroshi_law::{DnsAmpFilter, Lawful, NoticePurpose};
//! fn notify<P: NoticePurpose>(_: &Lawful<String, P>) {}
//! fn misuse(seen: &Lawful<String, DnsAmpFilter>) { notify(seen); }
//! ```
//! ```compile_fail,E0277
//! // Nor may what a flow analysis saw: it looks for servers, not for subscribers.
//! use noroshi_law::{FlowCnc, NoticePurpose};
//! fn mailer<P: NoticePurpose>() {}
//! mailer::<FlowCnc>();
//! ```
//! ```compile_fail,E0277
//! // What was looked up to restrict a line is not mailed about.
//! use noroshi_law::{Lawful, LineQuarantine, NoticePurpose};
//! fn notify<P: NoticePurpose>(_: &Lawful<String, P>) {}
//! fn misuse(line: &Lawful<String, LineQuarantine>) { notify(line); }
//! ```
//! ```compile_fail,E0277
//! // A takedown notice is never always on.
//! use noroshi_law::{AlwaysOn, TakedownNotice};
//! fn every_day<P: AlwaysOn>() {}
//! every_day::<TakedownNotice>();
//! ```
//! ```compile_fail,E0308
//! // What was opened against abused mail accounts does not serve against abused lines.
//! use noroshi_law::{Lawful, PppoeAbuse, SmtpAuthAbuse};
//! fn suspend(_: Lawful<String, PppoeAbuse>) {}
//! fn misuse(seen: Lawful<String, SmtpAuthAbuse>) { suspend(seen); }
//! ```

use crate::basis::{Basis, Consent, Emergency, Lasting, LegitimateBusiness};

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

/// A purpose whose measure runs every day; its basis must be one that lasts.
pub trait AlwaysOn: Purpose<Basis: Lasting> {}

/// A purpose that acts on what passes, in the moment, and tells nobody. There are too many records for an entry each: the permit's own
/// entry, of every quarter of an hour, stands for them ([`Sealed::in_passing`](crate::Sealed::in_passing)).
pub trait InPassing: AlwaysOn {}

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

/// Warning a user before a site that spreads malware opens, under the contract terms' consent (first report 2014: ACTIVE).
#[derive(Debug)]
pub enum SiteWarning {}

/// Dropping UDP port 53 from outside to dynamic subscriber addresses (first report 2014: legitimate business).
#[derive(Debug)]
pub enum DnsAmpFilter {}

/// Suspending a mail account whose password others use for spam, and telling its owner (first report 2014: legitimate
/// business).
#[derive(Debug)]
pub enum SmtpAuthAbuse {}

/// Stopping connections to a C&C server's name, under the contract terms' consent (second report 2015).
#[derive(Debug)]
pub enum CncBlocking {}

/// Telling the owner of a router that others can use to reflect attacks (second report 2015).
#[derive(Debug)]
pub enum ReflectorNotice {}

/// Suspending a line's credentials that others use to connect, and telling their owner (second report 2015: legitimate
/// business).
#[derive(Debug)]
pub enum PppoeAbuse {}

/// Letting an infected line reach the pages that help and nothing else for a while, under a clause of the contract terms of its
/// own, by a person's decision in each case.
#[derive(Debug)]
pub enum LineQuarantine {}

/// Analysing flows in quiet times to find C&C servers nobody knows yet (fourth report 2021: legitimate business).
#[derive(Debug)]
pub enum FlowCnc {}

macro_rules! purposes {
    ($($name:ident on $basis:ident: $measure:literal for $purpose:literal $(, $mark:ident)*;)+) => {
        $(
            impl known::Known for $name {}
            impl Purpose for $name {
                type Basis = $basis;
                const MEASURE: &'static str = $measure;
                const PURPOSE: &'static str = $purpose;
            }
            $(impl $mark for $name {})*
        )+

        /// Every purpose there is: measure, purpose, basis.
        pub fn all() -> Vec<(&'static str, &'static str, crate::BasisKind)> {
            vec![$((<$name as Purpose>::MEASURE, <$name as Purpose>::PURPOSE, <$basis as Basis>::KIND)),+]
        }
    };
}

purposes! {
    TakedownNotice on Emergency: "takedown-notice" for "subscriber-notice", NoticePurpose;
    InfectionNotice on Consent: "infection-notice" for "subscriber-notice", NoticePurpose, AlwaysOn;
    SessionKeeping on LegitimateBusiness: "session-keeping" for "session-keeping", AlwaysOn;
    SiteWarning on Consent: "site-warning" for "malicious-site-warning", AlwaysOn, InPassing;
    DnsAmpFilter on LegitimateBusiness: "dns-amp-filter" for "dns-amp-prevention", AlwaysOn, InPassing;
    SmtpAuthAbuse on LegitimateBusiness: "smtp-auth-abuse" for "mail-account-protection", NoticePurpose, AlwaysOn;
    CncBlocking on Consent: "cnc-blocking" for "cnc-blocking", AlwaysOn, InPassing;
    ReflectorNotice on LegitimateBusiness: "reflector-notice" for "router-notice", NoticePurpose, AlwaysOn;
    PppoeAbuse on LegitimateBusiness: "pppoe-abuse" for "line-account-protection", NoticePurpose, AlwaysOn;
    LineQuarantine on Consent: "line-quarantine" for "infected-line-quarantine", AlwaysOn;
    FlowCnc on LegitimateBusiness: "flow-cnc" for "cnc-detection", AlwaysOn;
}
