//! The open matter with one subscriber about one malware family: findings, mails, visits and the end hang on it.
//!
//! ```text
//!   open ──first told──▶ notified ──"I did it"──▶ reported ──quiet 14 days──▶ clean
//!     │                     └──────────────quiet 14 days──────────────────────▶ clean
//!     ├─ held (opted out, complained, or a person holds it)     clean ──seen again──▶ a new case, marked re-infected
//!     └─ rejected, merged (a person says so)
//! ```

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::Id;

/// Time without a sighting, counted from the last one or the opening, after which a case closes as clean.
pub const QUIET: SignedDuration = SignedDuration::from_hours(14 * 24);
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $id:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// The name in the store and in JSON.
            pub fn id(self) -> &'static str {
                match self { $($name::$variant => $id),+ }
            }
            /// Reads a name.
            pub fn parse(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.id() == id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.id())
            }
        }
    };
}
pub(crate) use named;

named! {
    /// How far a case has come.
    CaseState {
        /// Opened, nothing sent yet.
        Open = "open",
        /// Told at least once: a mail server took the mail, a gateway the message, the letter is on its way.
        Notified = "notified",
        /// The subscriber says it is done.
        Reported = "reported",
        /// Not to be told: the subscriber opted out or complained, or a person holds it.
        Held = "held",
        /// Closed: no sighting for the quiet time.
        Clean = "clean",
        /// Closed: a person says that it was none.
        Rejected = "rejected",
        /// Closed: a person says that it is the same matter as another.
        Merged = "merged",
    }
}

impl CaseState {
    /// Whether the matter is still open.
    pub fn is_open(self) -> bool {
        !matches!(self, CaseState::Clean | CaseState::Rejected | CaseState::Merged)
    }
}

/// A case, as everybody but the mailer may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Case {
    /// Random: it is in the link's path and must say nothing.
    pub id: Id,
    /// Keyed hash of the contract, so that cases of one contract meet without naming it.
    pub party: String,
    /// The malware family.
    pub family: String,
    /// The campaign that opened it.
    pub campaign: String,
    /// The measure it stands on.
    pub measure: String,
    /// How far it has come.
    pub state: CaseState,
    /// When it was opened.
    pub opened: Timestamp,
    /// First sighting.
    pub first_seen: Timestamp,
    /// Last sighting.
    pub last_seen: Timestamp,
    /// Steps of the ladder put into the outbox.
    pub steps: u32,
    /// When the last of them was put there.
    pub last_step: Option<Timestamp>,
    /// When the ladder is looked at again; none while there is nothing to do until something more is known.
    pub next: Option<Timestamp>,
    /// Not told before, to measure what telling does.
    pub held_out_until: Option<Timestamp>,
    /// When it was closed.
    pub closed: Option<Timestamp>,
    /// Whether an earlier case of the same party and family had been closed as clean.
    pub reinfected: bool,
    /// Who holds it, where a person does.
    pub held_by: Option<String>,
    /// Which case it went into.
    pub merged_into: Option<Id>,
    /// When it was forgotten whose it was and where it was seen, because the measure lets nobody keep that any longer.
    pub forgotten: Option<Timestamp>,
}

/// Which cases are asked for; what is not said is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// How far they have come.
    pub state: Option<CaseState>,
    /// The malware family.
    pub family: Option<String>,
    /// The campaign.
    pub campaign: Option<String>,
    /// The measure.
    pub measure: Option<String>,
    /// Opened at this time or later.
    pub since: Option<Timestamp>,
    /// Opened before this time.
    pub until: Option<Timestamp>,
    /// The first hexadecimal digits of the id.
    pub digits: Option<String>,
    /// Only those with a step that waits for a person.
    pub waiting: bool,
}

named! {
    /// By which way a subscriber is told, or what is done to their line.
    Channel {
        /// A mail.
        Mail = "mail",
        /// A short message, or what the operator's app shows: a webhook.
        Sms = "sms",
        /// A letter: a line of a batch for whoever prints it.
        Letter = "letter",
        /// A telephone call by a person: a line of a list.
        Call = "call",
        /// The line reaches the pages that help and nothing else.
        WalledGarden = "walled-garden",
    }
}

named! {
    /// Where a step of the outbox stands.
    StepState {
        /// Waits for a person's approval.
        Proposed = "proposed",
        /// Waiting for its turn.
        Pending = "pending",
        /// Handed over; if the program dies now, nobody knows whether it arrived.
        Sending = "sending",
        /// Accepted: by the mail server, the gateway, whoever takes the batch.
        Sent = "sent",
        /// It reached the mailbox, the person, the line.
        Delivered = "delivered",
        /// This way does not reach them.
        Failed = "failed",
        /// Nobody knows, and it is not sent again by itself.
        InDoubt = "in-doubt",
        /// A person said no.
        Rejected = "rejected",
        /// Not sent: the rules, the subscriber or the case's end said no.
        Stopped = "stopped",
    }
}

impl StepState {
    /// Whether it is still to come.
    pub fn is_ahead(self) -> bool {
        matches!(self, StepState::Proposed | StepState::Pending | StepState::Sending)
    }

    /// Whether it may have reached somebody, as far as is known.
    pub fn may_have_reached(self) -> bool {
        matches!(self, StepState::Sending | StepState::Sent | StepState::Delivered | StepState::InDoubt)
    }
}

/// One step of a case: the outbox' unique key is (case, number).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// The case.
    pub case: Id,
    /// 1 for the first.
    pub number: u32,
    /// By which way.
    pub channel: Channel,
    /// Where it stands.
    pub state: StepState,
    /// Attempts so far.
    pub attempts: u32,
    /// Not before.
    pub due: Timestamp,
    /// What was last said of it: the mail server's answer, a person's name.
    pub reply: String,
}

impl Step {
    /// The mail's Message-ID, the same at every attempt.
    pub fn message_id(case: &Id, number: u32, domain: &str) -> String {
        Self::message_id_of(&Self::key(case, number), number, domain)
    }

    /// What a mail is known by outside: says nothing about its case.
    pub fn key(case: &Id, number: u32) -> Id {
        Id::of("mail", &[case.as_str().as_bytes(), &number.to_be_bytes()])
    }

    /// The Message-ID of a mail that is known by its key.
    pub fn message_id_of(key: &Id, number: u32, domain: &str) -> String {
        format!("<{key}.{number}@{domain}>")
    }
}
