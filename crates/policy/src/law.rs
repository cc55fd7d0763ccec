//! The law as far as rules can break it, written by hand from the settlements and not from the rules: what each covers at
//! most, and what else makes a request unlawful. What is not in this table was never settled.

use noroshi_law::basis::element_words;
use noroshi_law::gate::{date_number, day_number};
use noroshi_law::{Ask, BasisKind, Dossier, Role, Standing, Use};

/// What a settlement covers at most.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    /// The measure.
    pub measure: &'static str,
    /// The basis it was settled on.
    pub basis: BasisKind,
    /// What may be done.
    pub uses: &'static [Use],
    /// With which fields.
    pub fields: &'static [&'static str],
    /// Only by the machine, so that nobody looks at what it matches.
    pub machine_only: bool,
    /// Only for dynamic addresses.
    pub dynamic_only: bool,
}

const fn settled(
    measure: &'static str,
    basis: BasisKind,
    uses: &'static [Use],
    fields: &'static [&'static str],
) -> Settled {
    Settled { measure, basis, uses, fields, machine_only: false, dynamic_only: false }
}

const fn by_machine(settled: Settled) -> Settled {
    Settled { machine_only: true, ..settled }
}

const NOTICE: &[Use] = &[Use::Identify, Use::Notify];
const ACCOUNT: &[Use] = &[Use::Analyse, Use::Identify, Use::Suspend, Use::Notify];

/// Every settlement there is.
pub const SETTLED: [Settled; 11] = [
    // First report, 2014-04-04.
    settled("takedown-notice", BasisKind::Emergency, NOTICE, &["source.ip", "time.source"]),
    settled("infection-notice", BasisKind::Consent, NOTICE, &["source.ip", "source.port", "time.source"]),
    by_machine(settled(
        "site-warning",
        BasisKind::Consent,
        &[Use::Warn],
        &["source.ip", "destination.fqdn", "destination.url"],
    )),
    Settled {
        dynamic_only: true,
        ..by_machine(settled(
            "dns-amp-filter",
            BasisKind::LegitimateBusiness,
            &[Use::Filter],
            &["destination.ip", "destination.port"],
        ))
    },
    settled(
        "smtp-auth-abuse",
        BasisKind::LegitimateBusiness,
        ACCOUNT,
        &["source.account", "source.ip", "time.source"],
    ),
    // Second report, 2015-09.
    by_machine(settled(
        "cnc-blocking",
        BasisKind::Consent,
        &[Use::Block],
        &["source.ip", "destination.fqdn"],
    )),
    settled("reflector-notice", BasisKind::LegitimateBusiness, NOTICE, &["source.ip", "time.source"]),
    settled("pppoe-abuse", BasisKind::LegitimateBusiness, ACCOUNT, &["source.account", "time.source"]),
    // Fourth report, 2021-11-24.
    settled(
        "flow-cnc",
        BasisKind::LegitimateBusiness,
        &[Use::Analyse],
        &[
            "source.ip",
            "source.port",
            "destination.ip",
            "destination.port",
            "protocol.transport",
            "time.source",
        ],
    ),
    // Settled by no report: a clause of its own in the contract terms.
    by_machine(settled(
        "line-quarantine",
        BasisKind::Consent,
        &[Use::Restrict],
        &["source.ip", "source.port", "time.source"],
    )),
    // The ministry's guideline on personal information: records needed to run and bill the line.
    by_machine(settled(
        "session-keeping",
        BasisKind::LegitimateBusiness,
        &[Use::Keep],
        &["radius.accounting"],
    )),
];

/// One thing that makes a request unlawful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// No settlement knows the measure.
    Unsettled,
    /// The dossier states a basis on which it was not settled.
    OtherBasis(BasisKind, BasisKind),
    /// An element of the basis is not argued.
    Element(BasisKind, &'static str),
    /// Emergency for what runs every day.
    AlwaysOn,
    /// The contract terms carry no consent.
    NoConsent,
    /// The subscriber withdrew.
    OptedOut,
    /// Not the measure's purpose.
    Purpose(String),
    /// A field the dossier does not list.
    FieldNotListed(String),
    /// A field the settlement does not cover.
    FieldNotSettled(String),
    /// A use the settlement does not cover.
    Use(Use),
    /// A role the dossier does not name.
    Role(Role),
    /// A person where only the machine may.
    Person(Role),
    /// A fixed address.
    StaticAddress,
    /// Not yet, or no longer, in force.
    NotInForce,
    /// An emergency that nobody approved in the last days, or a sensitive measure that fewer than two approved.
    Approvers(u32, u32),
}

/// Everything that makes a request unlawful; empty if it is lawful.
pub fn breaches(ask: &Ask, dossier: &Dossier, standing: Standing) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let argued = |id: &str| dossier.elements.iter().any(|(element, _)| element == id);
    let missing = dossier.basis.elements().iter().filter(|id| !argued(id));
    breaches.extend(missing.map(|id| Breach::Element(dossier.basis, id)));
    let mut when = |wrong: bool, breach: Breach| {
        if wrong {
            breaches.push(breach);
        }
    };
    when(dossier.basis == BasisKind::Emergency && dossier.always_on, Breach::AlwaysOn);
    when(dossier.basis == BasisKind::Consent && !standing.consent, Breach::NoConsent);
    when(dossier.basis == BasisKind::Consent && standing.opted_out, Breach::OptedOut);
    when(ask.purpose != dossier.purpose, Breach::Purpose(ask.purpose.clone()));
    when(!dossier.roles.contains(&ask.role), Breach::Role(ask.role));
    let today = day_number(standing.now);
    let in_force = date_number(dossier.approved_on) <= today && today < date_number(dossier.expires_on);
    when(!in_force, Breach::NotInForce);
    let needed = match (dossier.two_people, dossier.basis) {
        (true, _) => 2,
        (false, BasisKind::Emergency) => 1,
        (false, _) => 0,
    };
    when(standing.approvers < needed, Breach::Approvers(standing.approvers, needed));
    for field in ask.fields.iter().filter(|f| !dossier.fields.contains(*f)) {
        when(true, Breach::FieldNotListed(field.clone()));
    }
    let Some(settled) = SETTLED.iter().find(|s| s.measure == ask.measure) else {
        when(true, Breach::Unsettled);
        return breaches;
    };
    when(dossier.basis != settled.basis, Breach::OtherBasis(dossier.basis, settled.basis));
    when(!settled.uses.contains(&ask.usage), Breach::Use(ask.usage));
    when(settled.machine_only && ask.role != Role::System, Breach::Person(ask.role));
    when(settled.dynamic_only && standing.static_address, Breach::StaticAddress);
    for field in ask.fields.iter().filter(|f| !settled.fields.contains(&f.as_str())) {
        when(true, Breach::FieldNotSettled(field.clone()));
    }
    breaches
}

impl Breach {
    /// Its name in test data and JSON.
    pub fn id(&self) -> &'static str {
        match self {
            Breach::Unsettled => "unsettled",
            Breach::OtherBasis(..) => "other-basis",
            Breach::Element(_, id) => id,
            Breach::AlwaysOn => "always-on",
            Breach::NoConsent => "no-consent",
            Breach::OptedOut => "opted-out",
            Breach::Purpose(_) => "purpose",
            Breach::FieldNotListed(_) => "field-not-listed",
            Breach::FieldNotSettled(_) => "field-not-settled",
            Breach::Use(_) => "use",
            Breach::Role(_) => "role",
            Breach::Person(_) => "person",
            Breach::StaticAddress => "static-address",
            Breach::NotInForce => "not-in-force",
            Breach::Approvers(..) => "approvers",
        }
    }

    /// For a lawyer: English, Japanese.
    pub fn words(&self) -> (String, String) {
        let both = |en: &str, ja: &str| (en.to_owned(), ja.to_owned());
        match self {
            Breach::Unsettled => {
                both("no settlement knows this measure", "この施策を整理した取りまとめはない")
            }
            Breach::OtherBasis(stated, settled) => (
                format!(
                    "the dossier states {}, while it was settled on {}",
                    stated.words().0,
                    settled.words().0
                ),
                format!(
                    "調書の根拠は{}であるが、取りまとめの根拠は{}である",
                    stated.words().1,
                    settled.words().1
                ),
            ),
            Breach::Element(basis, id) => (
                format!(
                    "the element '{}' ({}) of {} is not argued",
                    element_words(id).0,
                    element_words(id).1,
                    basis.words().0
                ),
                format!("{}の要件「{}」が調書に記載されていない", basis.words().1, element_words(id).1),
            ),
            Breach::AlwaysOn => both(
                "the measure is always on, and emergency (緊急避難) needs a present danger",
                "常時行われる施策であり、緊急避難の要件である現在の危難を満たさない",
            ),
            Breach::NoConsent => {
                both("the contract terms in force carry no consent", "契約約款に基づく同意がない")
            }
            Breach::OptedOut => both(
                "the subscriber has withdrawn the consent",
                "当該利用者は同意を撤回している(オプトアウト)",
            ),
            Breach::Purpose(purpose) => (
                format!("'{purpose}' is not the measure's purpose"),
                format!("「{purpose}」は施策の目的ではない(目的外利用)"),
            ),
            Breach::FieldNotListed(field) => (
                format!("the dossier does not list the field {field}"),
                format!("項目 {field} は調書に記載されていない"),
            ),
            Breach::FieldNotSettled(field) => (
                format!("the settlement does not cover the field {field}"),
                format!("項目 {field} は取りまとめの整理の対象外である"),
            ),
            Breach::Use(usage) => (
                format!("the settlement does not cover that use: {}", usage.words().0),
                format!("「{}」は取りまとめの整理の対象外である", usage.words().1),
            ),
            Breach::Role(role) => (
                format!("the dossier does not name who asks: {}", role.words().0),
                format!("{}は調書に記載された利用者ではない", role.words().1),
            ),
            Breach::Person(_) => both(
                "a person asks, where only the machine may match",
                "機械的・自動的な処理に限られる施策であり、人が求めることはできない",
            ),
            Breach::StaticAddress => both(
                "the address is a fixed one, and the settlement covers dynamic addresses only",
                "固定IPアドレス宛であり、整理の対象は動的IPアドレス宛に限られる",
            ),
            Breach::Approvers(given, needed) => (
                format!("the approval of {needed} different people must stand, and that of {given} does"),
                format!("異なる{needed}人の有効な承認が必要であるが、{given}人の承認しかない"),
            ),
            Breach::NotInForce => {
                both("the dossier is not in force on that day", "当該日において調書は有効でない")
            }
        }
    }
}
