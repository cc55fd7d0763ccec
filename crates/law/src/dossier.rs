//! One measure as a document a lawyer can read and sign: its basis with the written elements, the fields it may use, how
//! long, who approved it. The file is TOML; reading it builds the typed [`Basis`], so an incomplete dossier cannot
//! be loaded, let alone acted upon.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Deserialize;

use crate::ask::Role;
use crate::basis::{
    AdequateMeans, BalanceOfInterests, Basis, BasisKind, Consent, Emergency, LegitimateBusiness, Necessity,
    NoOtherMeans, NotArgued, OptOutMeans, PresentDanger, ProperAim, TermsClause,
};
use crate::evidence::Digest;

/// Measures shipped with noroshi, in the order in which they are listed.
const SHIPPED: [(&str, &str); 11] = [
    ("takedown-notice.toml", include_str!("../measures/takedown-notice.toml")),
    ("infection-notice.toml", include_str!("../measures/infection-notice.toml")),
    ("session-keeping.toml", include_str!("../measures/session-keeping.toml")),
    ("site-warning.toml", include_str!("../measures/site-warning.toml")),
    ("dns-amp-filter.toml", include_str!("../measures/dns-amp-filter.toml")),
    ("smtp-auth-abuse.toml", include_str!("../measures/smtp-auth-abuse.toml")),
    ("cnc-blocking.toml", include_str!("../measures/cnc-blocking.toml")),
    ("reflector-notice.toml", include_str!("../measures/reflector-notice.toml")),
    ("pppoe-abuse.toml", include_str!("../measures/pppoe-abuse.toml")),
    ("line-quarantine.toml", include_str!("../measures/line-quarantine.toml")),
    ("flow-cnc.toml", include_str!("../measures/flow-cnc.toml")),
];

/// How long an approval of an emergency stands: what lasts longer than a weekend and its Monday is looked at again.
pub const EMERGENCY_APPROVAL: jiff::SignedDuration = jiff::SignedDuration::from_hours(72);

/// Why a dossier is refused.
#[derive(Debug, thiserror::Error)]
pub enum DossierError {
    /// Not TOML, or a key is missing or unknown.
    #[error("{file}: {source}")]
    Syntax {
        /// The file's name.
        file: String,
        /// What the parser says.
        source: Box<toml::de::Error>,
    },
    /// An element of the basis is not argued.
    #[error("{file}: {source}")]
    NotArgued {
        /// The file's name.
        file: String,
        /// The element.
        source: NotArgued,
    },
    /// An element that this basis does not have.
    #[error("{file}: '{element}' is no element of {basis}")]
    UnknownElement {
        /// The file's name.
        file: String,
        /// The element named.
        element: String,
        /// The basis stated.
        basis: BasisKind,
    },
    /// Emergency for something that runs every day.
    #[error(
        "{file}: a measure that is always on cannot rest on emergency: nothing that runs every day averts a present danger"
    )]
    AlwaysOnEmergency {
        /// The file's name.
        file: String,
    },
    /// The same measure twice.
    #[error("{file}: measure '{measure}' is already defined")]
    Twice {
        /// The file's name.
        file: String,
        /// The measure's id.
        measure: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    id: String,
    version: u32,
    title: Titles,
    purpose: String,
    basis: BasisKind,
    always_on: bool,
    two_people: bool,
    #[serde(default)]
    each_approved: bool,
    settled_in: String,
    words: Words,
    fields: BTreeSet<String>,
    retention_days: u32,
    roles: BTreeSet<Role>,
    approved_by: String,
    approved_on: Date,
    expires_on: Date,
    elements: BTreeMap<String, String>,
}

/// Whose words the elements are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Words {
    /// The settlement's own, as the ministry's summary prints them.
    Settlement,
    /// The project's, after what the settlement is reported to say; to be held against its text by counsel.
    Summary,
}

/// A title in both languages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Titles {
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

/// A measure that may be asked for.
#[derive(Clone, Debug)]
pub struct Dossier {
    /// The measure's id, e.g. `takedown-notice`.
    pub id: String,
    /// Version of this document.
    pub version: u32,
    /// What it is called.
    pub title: Titles,
    /// The one purpose.
    pub purpose: String,
    /// The basis stated.
    pub basis: BasisKind,
    /// Whether it runs every day, which emergency cannot carry.
    pub always_on: bool,
    /// Whether two different people must have approved its use.
    pub two_people: bool,
    /// Whether a person approves each single use as well.
    pub each_approved: bool,
    /// The report or law that settled it.
    pub settled_in: String,
    /// Whose words the elements are in.
    pub words: Words,
    /// Event fields it may use, in IntelMQ names.
    pub fields: BTreeSet<String>,
    /// How long what is derived may be kept.
    pub retention_days: u32,
    /// Who may ask.
    pub roles: BTreeSet<Role>,
    /// Who approved it.
    pub approved_by: String,
    /// When.
    pub approved_on: Date,
    /// First day on which it is no longer in force.
    pub expires_on: Date,
    /// The basis' elements: name and written argument.
    pub elements: Vec<(String, String)>,
    /// SHA-256 of the file as read: evidence entries commit to it.
    pub digest: Digest,
}

impl Dossier {
    /// How many people's approval must stand before it may be used: an emergency is somebody's word for a few days, and a
    /// sensitive measure is two people's.
    pub fn approvers_needed(&self) -> u32 {
        match (self.two_people, self.basis) {
            (true, _) => 2,
            (false, BasisKind::Emergency) => 1,
            (false, _) => 0,
        }
    }

    /// Until when an approval given now stands.
    pub fn approved_until(&self, now: jiff::Timestamp) -> jiff::Timestamp {
        let expiry = jiff::tz::TimeZone::UTC.to_timestamp(self.expires_on.at(0, 0, 0, 0)).unwrap_or(now);
        match self.basis {
            BasisKind::Emergency => expiry.min(now + EMERGENCY_APPROVAL),
            _ => expiry,
        }
    }

    /// Reads one dossier; `file` is used in messages only.
    pub fn parse(file: &str, text: &str) -> Result<Self, DossierError> {
        let w: Written = toml::from_str(text)
            .map_err(|e| DossierError::Syntax { file: file.into(), source: Box::new(e) })?;
        let elements = argued(w.basis, &w.elements)
            .map_err(|source| DossierError::NotArgued { file: file.into(), source })?;
        if let Some(extra) = w.elements.keys().find(|k| !elements.iter().any(|(id, _)| id == *k)) {
            return Err(DossierError::UnknownElement {
                file: file.into(),
                element: extra.clone(),
                basis: w.basis,
            });
        }
        if w.always_on && w.basis == BasisKind::Emergency {
            return Err(DossierError::AlwaysOnEmergency { file: file.into() });
        }
        Ok(Self {
            id: w.id,
            version: w.version,
            title: w.title,
            purpose: w.purpose,
            basis: w.basis,
            always_on: w.always_on,
            two_people: w.two_people,
            each_approved: w.each_approved,
            settled_in: w.settled_in,
            words: w.words,
            fields: w.fields,
            retention_days: w.retention_days,
            roles: w.roles,
            approved_by: w.approved_by,
            approved_on: w.approved_on,
            expires_on: w.expires_on,
            elements,
            digest: Digest::of(text.as_bytes()),
        })
    }
}

/// Builds the typed basis from the written elements and reads the elements back from it.
fn argued(kind: BasisKind, written: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, NotArgued> {
    let text = |id: &str| written.get(id).map_or("", String::as_str);
    Ok(match kind {
        BasisKind::Consent => {
            let b = Consent::because(
                TermsClause::written(text(TermsClause::ID))?,
                OptOutMeans::written(text(OptOutMeans::ID))?,
            );
            listed(&b)
        }
        BasisKind::Emergency => {
            let b = Emergency::because(
                PresentDanger::written(text(PresentDanger::ID))?,
                BalanceOfInterests::written(text(BalanceOfInterests::ID))?,
                NoOtherMeans::written(text(NoOtherMeans::ID))?,
            );
            listed(&b)
        }
        BasisKind::LegitimateBusiness => {
            let b = LegitimateBusiness::because(
                ProperAim::written(text(ProperAim::ID))?,
                Necessity::written(text(Necessity::ID))?,
                AdequateMeans::written(text(AdequateMeans::ID))?,
            );
            listed(&b)
        }
    })
}

fn listed<B: Basis>(basis: &B) -> Vec<(String, String)> {
    basis.elements().into_iter().map(|(id, text)| (id.to_owned(), text.to_owned())).collect()
}

/// All measures in force or expired, by id.
#[derive(Clone, Debug, Default)]
pub struct Register {
    by_id: BTreeMap<String, Dossier>,
}

impl Register {
    /// The measures shipped with noroshi.
    pub fn shipped() -> Result<Self, DossierError> {
        Self::read(SHIPPED)
    }

    /// Reads dossiers given as (file name, text).
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, DossierError> {
        let mut by_id = BTreeMap::new();
        for (file, text) in files {
            let dossier = Dossier::parse(file, text)?;
            if by_id.contains_key(&dossier.id) {
                return Err(DossierError::Twice { file: file.into(), measure: dossier.id });
            }
            by_id.insert(dossier.id.clone(), dossier);
        }
        Ok(Self { by_id })
    }

    /// The dossier of a measure.
    pub fn measure(&self, id: &str) -> Option<&Dossier> {
        self.by_id.get(id)
    }

    /// Every dossier, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Dossier> {
        self.by_id.values()
    }

    /// The register without one measure, as if it had never been approved.
    pub fn without(mut self, id: &str) -> Self {
        self.by_id.remove(id);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_measures_load_with_every_element_argued() {
        let register = Register::shipped().unwrap();
        assert_eq!(register.iter().count(), SHIPPED.len());
        let takedown = register.measure("takedown-notice").unwrap();
        assert_eq!(takedown.basis, BasisKind::Emergency);
        assert_eq!(takedown.elements.len(), 3);
        let fields: Vec<_> = takedown.fields.iter().map(String::as_str).collect();
        assert_eq!(fields, ["source.ip", "time.source"], "the 2014 settlement covers address and time only");
    }

    #[test]
    fn a_dossier_that_leaves_an_element_out_is_refused() {
        let text = SHIPPED[0].1.replace("no-other-means", "other-means");
        let e = Dossier::parse("t.toml", &text).unwrap_err().to_string();
        assert!(e.contains("no-other-means"), "{e}");
    }

    #[test]
    fn an_emergency_that_is_always_on_is_refused() {
        let text = SHIPPED[0].1.replace("always-on = false", "always-on = true");
        assert!(matches!(Dossier::parse("t.toml", &text), Err(DossierError::AlwaysOnEmergency { .. })));
    }

    #[test]
    fn every_purpose_has_its_dossier_on_its_basis_and_every_dossier_its_purpose() {
        let register = Register::shipped().unwrap();
        let purposes = crate::purpose::all();
        assert_eq!(purposes.len(), register.iter().count());
        for (measure, purpose, basis) in purposes {
            let dossier = register.measure(measure).unwrap();
            assert_eq!((dossier.purpose.as_str(), dossier.basis), (purpose, basis), "{measure}");
            assert!(!dossier.fields.is_empty() && !dossier.roles.is_empty(), "{measure}");
            assert!(dossier.retention_days > 0 && dossier.approved_on < dossier.expires_on, "{measure}");
            let both = |text: &str| text.contains('(') && text.chars().any(|c| c > '\u{3000}');
            assert!(
                dossier.elements.iter().all(|(_, text)| both(text)),
                "{measure}: an element that is not in both languages"
            );
        }
    }

    #[test]
    fn an_approval_of_an_emergency_ends_after_three_days_and_no_approval_outlives_its_dossier() {
        let register = Register::shipped().unwrap();
        let dossier = |id: &str| register.measure(id).unwrap();
        let until = |id: &str, now: &str| dossier(id).approved_until(now.parse().unwrap()).to_string();
        assert_eq!(until("takedown-notice", "2026-12-01T00:00:00Z"), "2026-12-04T00:00:00Z");
        assert_eq!(until("takedown-notice", "2029-10-31T00:00:00Z"), "2029-11-01T00:00:00Z");
        assert_eq!(until("flow-cnc", "2026-12-01T00:00:00Z"), "2029-11-01T00:00:00Z");
        let needed: Vec<u32> = ["takedown-notice", "flow-cnc", "cnc-blocking", "dns-amp-filter"]
            .map(|id| dossier(id).approvers_needed())
            .into();
        assert_eq!(needed, [1, 2, 2, 0]);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = format!("surprise = 1\n{}", SHIPPED[0].1);
        assert!(matches!(Dossier::parse("t.toml", &text), Err(DossierError::Syntax { .. })));
    }
}
