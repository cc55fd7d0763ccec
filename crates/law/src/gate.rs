//! Ask, ruling, permit, refusal: the one place where a use of communications data is allowed.
//!
//! An [`Ask`] names the measure, who asks, for what and with which fields. The [`Rulebook`] (policy text, in a crate of
//! its own) rules on it given the [`Dossier`] and the [`Standing`] facts. Only [`Gate::permit`] turns an allowing ruling
//! into a [`Permit`], after the ruling is in the evidence log. One ruling serves many records; it is never per packet.
//!
//! ```compile_fail,E0451
//! // A permit cannot be made by hand.
//! use noroshi_law::{Permit, TakedownNotice};
//! let p: Permit<TakedownNotice> = Permit { ..unimplemented!() };
//! ```
//! ```compile_fail,E0308
//! // Nor copied, so that it can be counted and ends where its owner ends it.
//! use noroshi_law::{Permit, TakedownNotice};
//! fn twice(p: &Permit<TakedownNotice>) -> Permit<TakedownNotice> { p.clone() }
//! ```
//! ```compile_fail,E0308
//! // A permit for one purpose is not a permit for another.
//! use noroshi_law::{InfectionNotice, Permit, TakedownNotice};
//! fn other(p: Permit<TakedownNotice>) -> Permit<InfectionNotice> { p }
//! ```

use std::fmt;
use std::marker::PhantomData;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::ask::{Ask, Role, Use};
use crate::basis::{Basis, BasisKind};
use crate::dossier::{Dossier, Register};
use crate::evidence::{Digest, Kind, Ledger, LedgerError, Record};
use crate::purpose::Purpose;

/// How long a permit serves before it must be asked for again.
pub const PERMIT_LIFE: SignedDuration = SignedDuration::from_mins(15);

/// Facts outside the ask that the rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the contract terms in force carry the consent clause for the measure.
    pub consent: bool,
    /// Whether the subscriber concerned has withdrawn; `false` as long as nobody is known to be concerned.
    pub opted_out: bool,
    /// Whether an address concerned is a fixed one, which the settlement on DNS amplification leaves alone.
    pub static_address: bool,
    /// How many different people's approval of the measure stands.
    pub approvers: u32,
    /// The time of asking.
    pub now: Timestamp,
}

impl Standing {
    /// What is true of an ask about nobody in particular: whether the terms carry the clause, and the time.
    pub fn of_terms(consent: bool, now: Timestamp) -> Self {
        Self { consent, opted_out: false, static_address: false, approvers: 0, now }
    }
}

/// What the rulebook says of an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule that decided, by its id in the policy text.
    pub rule: String,
    /// The rule's own words.
    pub reason: String,
    /// Hash of the policy set that ruled.
    pub policy_set: Digest,
}

/// Policy text, evaluated. Implemented by the policy engine's crate.
pub trait Rulebook: Send + Sync {
    /// Rules on an ask under a dossier. Must refuse where it cannot tell.
    fn judge(&self, ask: &Ask, dossier: &Dossier, standing: Standing) -> Ruling;
    /// Hash of the policy set.
    fn policy_set(&self) -> Digest;
}

/// A use that is not allowed, and the rule that says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("refused by rule '{rule}': {reason}")]
pub struct Refusal {
    /// The measure asked for.
    pub measure: String,
    /// The rule's id.
    pub rule: String,
    /// The rule's words.
    pub reason: String,
}

/// Why there is no permit.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The evidence could not be written; nothing may be looked at.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Leave to use data for purpose `P`; made by [`Gate::permit`] only.
pub struct Permit<P: Purpose> {
    ask: Ask,
    rule: String,
    dossier: (u32, Digest),
    policy_set: Digest,
    expires: Timestamp,
    retention_days: u32,
    entry: u64,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> fmt::Debug for Permit<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({}, rule {}, evidence {})", P::MEASURE, self.rule, self.entry)
    }
}

impl<P: Purpose> Permit<P> {
    /// Whether a field may be used under it.
    pub fn allows(&self, field: &str) -> bool {
        self.ask.fields.contains(field)
    }

    /// The rule that allowed it.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The basis it stands on.
    pub fn basis(&self) -> BasisKind {
        P::Basis::KIND
    }

    /// Index of the evidence entry that granted it.
    pub fn evidence(&self) -> u64 {
        self.entry
    }

    /// Whether it still serves.
    pub fn in_force(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// When it ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// How long what is derived under it may be kept.
    pub fn retention_days(&self) -> u32 {
        self.retention_days
    }

    /// The evidence record of a look under this permit. `subject` must be a keyed hash or an opaque reference.
    pub(crate) fn opening(&self, subject: &str, records: u64, now: Timestamp) -> Record {
        Record {
            kind: Kind::Opening,
            subject: subject.to_owned(),
            records,
            under: Some(self.entry),
            note: String::new(),
            ..record(&self.ask, P::Basis::KIND, &self.rule, self.dossier, self.policy_set, now)
        }
    }
}

fn record(
    ask: &Ask,
    basis: BasisKind,
    rule: &str,
    dossier: (u32, Digest),
    policy_set: Digest,
    at: Timestamp,
) -> Record {
    Record {
        kind: Kind::Permit,
        at,
        role: ask.role,
        measure: ask.measure.clone(),
        measure_version: dossier.0,
        dossier: dossier.1,
        basis: Some(basis),
        purpose: ask.purpose.clone(),
        usage: ask.usage,
        fields: ask.fields.iter().cloned().collect(),
        rule: rule.to_owned(),
        policy_set,
        subject: String::new(),
        records: 0,
        under: None,
        note: String::new(),
    }
}

/// The gate: the rulebook, the register of measures, and nothing else.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    rulebook: &'a dyn Rulebook,
    register: &'a Register,
}

impl fmt::Debug for Gate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({} measures)", self.register.iter().count())
    }
}

impl<'a> Gate<'a> {
    /// A gate over a rulebook and a register.
    pub fn new(rulebook: &'a dyn Rulebook, register: &'a Register) -> Self {
        Self { rulebook, register }
    }

    /// What the rules say, without asking for anything: pure, no evidence, no permit.
    pub fn judge(&self, ask: &Ask, standing: Standing) -> Ruling {
        let Some(dossier) = self.register.measure(&ask.measure) else {
            return Ruling {
                allowed: false,
                rule: crate::evidence::disclosure::UNKNOWN_MEASURE.into(),
                reason: format!("there is no dossier for measure '{}'", ask.measure),
                policy_set: self.rulebook.policy_set(),
            };
        };
        self.rulebook.judge(ask, dossier, standing)
    }

    /// Asks, records the answer, and hands out a permit if it is yes. A no is recorded too.
    pub fn permit<P: Purpose>(
        &self,
        ask: Ask,
        standing: Standing,
        ledger: &mut dyn Ledger,
    ) -> Result<Permit<P>, Denied> {
        self.permit_about(ask, standing, "", ledger)
    }

    /// The same where it is known whom it concerns, as a keyed hash: the entry of a refusal names it, so that an opt-out that
    /// was honoured before anything was looked at can be shown.
    pub fn permit_about<P: Purpose>(
        &self,
        ask: Ask,
        standing: Standing,
        subject: &str,
        ledger: &mut dyn Ledger,
    ) -> Result<Permit<P>, Denied> {
        let ruling = self.judge(&ask, standing);
        let dossier = self.register.measure(&ask.measure);
        let stamp = dossier.map_or((0, Digest::ZERO), |d| (d.version, d.digest));
        let mut entry = record(&ask, P::Basis::KIND, &ruling.rule, stamp, ruling.policy_set, standing.now);
        entry.note.clone_from(&ruling.reason);
        let (allowed, rule, reason) = match dossier {
            Some(d) if ask.measure != P::MEASURE || d.basis != P::Basis::KIND => (
                false,
                "basis-of-the-purpose".to_owned(),
                format!("{} stands on {}, not on {}", P::MEASURE, P::Basis::KIND, d.basis),
            ),
            _ => (ruling.allowed, ruling.rule, ruling.reason),
        };
        entry.rule.clone_from(&rule);
        if !allowed {
            entry.kind = Kind::Refusal;
            entry.subject = subject.to_owned();
            ledger.append(entry)?;
            return Err(Refusal { measure: ask.measure, rule, reason }.into());
        }
        let index = ledger.append(entry)?;
        Ok(Permit {
            ask,
            rule,
            dossier: stamp,
            policy_set: ruling.policy_set,
            expires: standing.now + PERMIT_LIFE,
            retention_days: dossier.map_or(0, |d| d.retention_days),
            entry: index,
            purpose: PhantomData,
        })
    }

    /// Asks on behalf of a person who wants to know what would happen; recorded, never a permit.
    pub fn ask(&self, ask: &Ask, standing: Standing, ledger: &mut dyn Ledger) -> Result<Ruling, LedgerError> {
        let ruling = self.judge(ask, standing);
        let dossier = self.register.measure(&ask.measure);
        let basis = dossier.map_or(BasisKind::Consent, |d| d.basis);
        let stamp = dossier.map_or((0, Digest::ZERO), |d| (d.version, d.digest));
        let mut entry = record(ask, basis, &ruling.rule, stamp, ruling.policy_set, standing.now);
        entry.kind = if ruling.allowed { Kind::Asked } else { Kind::Refusal };
        entry.note.clone_from(&ruling.reason);
        ledger.append(entry)?;
        Ok(ruling)
    }

    /// Records that somebody approved a measure's use or reviewed a use of it, or that the system destroyed what is too old;
    /// opens nothing.
    pub fn remark(
        &self,
        dossier: &Dossier,
        usage: Use,
        note: String,
        under: Option<u64>,
        now: Timestamp,
        ledger: &mut dyn Ledger,
    ) -> Result<u64, LedgerError> {
        let ask = Ask {
            measure: dossier.id.clone(),
            purpose: dossier.purpose.clone(),
            role: if matches!(usage, Use::Forget | Use::Release) { Role::System } else { Role::Legal },
            usage,
            fields: std::collections::BTreeSet::new(),
        };
        let stamp = (dossier.version, dossier.digest);
        let entry = record(&ask, dossier.basis, usage.id(), stamp, self.rulebook.policy_set(), now);
        ledger.append(Record { kind: Kind::Asked, note, under, ..entry })
    }

    /// What a person did by name, to be recorded before it counts: about a case of a measure (its dossier), or about the house
    /// itself (none). Opens nothing.
    pub fn acted(&self, dossier: Option<&Dossier>, person: &str, did: &str, now: Timestamp) -> Record {
        Record {
            kind: Kind::Act,
            at: now,
            // A person; which roles they have in the console, the entries about people say.
            role: Role::Analyst,
            measure: dossier.map(|d| d.id.clone()).unwrap_or_default(),
            measure_version: dossier.map_or(0, |d| d.version),
            dossier: dossier.map_or(Digest::ZERO, |d| d.digest),
            basis: dossier.map(|d| d.basis),
            purpose: dossier.map(|d| d.purpose.clone()).unwrap_or_default(),
            usage: Use::Manage,
            fields: Vec::new(),
            rule: Use::Manage.id().to_owned(),
            policy_set: self.rulebook.policy_set(),
            subject: String::new(),
            records: 0,
            under: None,
            note: format!("{person}: {did}"),
        }
    }

    /// Records that a subscriber's own choice stops a use that the rules would allow.
    pub fn honour_opt_out<P: Purpose>(
        &self,
        permit: &Permit<P>,
        subject: &str,
        now: Timestamp,
        ledger: &mut dyn Ledger,
    ) -> Result<Refusal, LedgerError> {
        let refusal = Refusal {
            measure: permit.ask.measure.clone(),
            rule: crate::evidence::disclosure::OPTED_OUT.into(),
            reason: "the subscriber has withdrawn consent or asked not to be written to".into(),
        };
        let mut entry = permit.opening(subject, 0, now);
        entry.kind = Kind::Refusal;
        entry.rule.clone_from(&refusal.rule);
        entry.note.clone_from(&refusal.reason);
        ledger.append(entry)?;
        Ok(refusal)
    }
}

/// The day in UTC on which `now` falls, as days since 1970-01-01; what policy text compares dates by.
pub fn day_number(now: Timestamp) -> i64 {
    now.as_second().div_euclid(86_400)
}

/// A date as the same day number.
pub fn date_number(date: jiff::civil::Date) -> i64 {
    TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_or(0, day_number)
}
