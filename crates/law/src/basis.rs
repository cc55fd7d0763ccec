//! Why a use is lawful: consent, emergency or legitimate business, each with the elements that must be argued in
//! writing. An element is its own type, so one can neither be left out nor put in another's place.
//!
//! ```
//! use noroshi_law::basis::*;
//! let danger = PresentDanger::written("the server can command the infected devices at any moment")?;
//! let balance = BalanceOfInterests::written("only address and time are used, only to find the line")?;
//! let subsidiarity = NoOtherMeans::written("nothing but telling the owner gets the device cleaned")?;
//! let basis = Emergency::because(danger, balance, subsidiarity);
//! # Ok::<(), NotArgued>(())
//! ```
//!
//! ```compile_fail,E0061
//! // Emergency with an element missing cannot be written.
//! use noroshi_law::basis::*;
//! let danger = PresentDanger::written("the server can command the infected devices at any moment").unwrap();
//! let balance = BalanceOfInterests::written("only address and time are used, only to find the line").unwrap();
//! let basis = Emergency::because(danger, balance);
//! ```
//!
//! ```compile_fail,E0308
//! // Nor with two elements swapped.
//! use noroshi_law::basis::*;
//! let danger = PresentDanger::written("the server can command the infected devices at any moment").unwrap();
//! let balance = BalanceOfInterests::written("only address and time are used, only to find the line").unwrap();
//! let subsidiarity = NoOtherMeans::written("nothing but telling the owner gets the device cleaned").unwrap();
//! let basis = Emergency::because(balance, danger, subsidiarity);
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// Shortest text, in characters, that counts as an argued element; a word is not an argument.
pub const ELEMENT_CHARS_MIN: usize = 20;

/// The three ways a use of communications data can be lawful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BasisKind {
    /// 同意: the party to the communication agrees.
    Consent,
    /// 緊急避難: Penal Code Art. 37.
    Emergency,
    /// 正当業務行為: Penal Code Art. 35.
    LegitimateBusiness,
}

impl BasisKind {
    /// All three.
    pub const ALL: [BasisKind; 3] = [BasisKind::Consent, BasisKind::Emergency, BasisKind::LegitimateBusiness];

    /// The elements that must be argued for it.
    pub fn elements(self) -> &'static [&'static str] {
        match self {
            BasisKind::Consent => &[TermsClause::ID, OptOutMeans::ID],
            BasisKind::Emergency => &[PresentDanger::ID, BalanceOfInterests::ID, NoOtherMeans::ID],
            BasisKind::LegitimateBusiness => &[ProperAim::ID, Necessity::ID, AdequateMeans::ID],
        }
    }

    /// For a reader who is no engineer: English, Japanese.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            BasisKind::Consent => ("consent", "有効な同意"),
            BasisKind::Emergency => ("emergency (Penal Code, Art. 37)", "緊急避難(刑法第37条)"),
            BasisKind::LegitimateBusiness => {
                ("legitimate business (Penal Code, Art. 35)", "正当業務行為(刑法第35条)")
            }
        }
    }
}

/// What an element is called: English, Japanese.
pub fn element_words(id: &str) -> (&'static str, &'static str) {
    match id {
        PresentDanger::ID => ("present danger", "現在の危難の存在"),
        BalanceOfInterests::ID => ("balance of interests", "法益の権衡"),
        NoOtherMeans::ID => ("no other means", "補充性"),
        ProperAim::ID => ("proper aim", "目的の正当性"),
        Necessity::ID => ("necessity of the act", "行為の必要性"),
        AdequateMeans::ID => ("adequate means", "手段の相当性"),
        TermsClause::ID => ("clause of the contract terms", "契約約款の条項"),
        OptOutMeans::ID => ("means to opt out at any time", "随時オプトアウトできる手段"),
        _ => ("an element that no basis has", "どの根拠にもない要件"),
    }
}

impl fmt::Display for BasisKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BasisKind::Consent => "consent",
            BasisKind::Emergency => "emergency",
            BasisKind::LegitimateBusiness => "legitimate-business",
        })
    }
}

/// A basis as a type; see [`crate::Purpose::Basis`].
pub trait Basis: Sized + 'static {
    /// Which of the three it is.
    const KIND: BasisKind;
    /// Each element's name and the written argument for it.
    fn elements(&self) -> Vec<(&'static str, &str)>;
}

/// A basis that can carry a measure which is always on. Emergency cannot: what runs every day is no present danger averted
/// ("常時行われる対策については、急迫性、現在の危難といった要件を満たさない", the ministry's summary of 2015).
///
/// ```compile_fail,E0277
/// // An always-on measure cannot rest on emergency.
/// fn carries<B: noroshi_law::basis::Lasting>() {}
/// carries::<noroshi_law::Emergency>();
/// ```
pub trait Lasting: Basis {}
impl Lasting for Consent {}
impl Lasting for LegitimateBusiness {}

/// The argument for an element is missing or is no argument.
#[derive(Debug, thiserror::Error)]
#[error("element '{element}' needs a written argument of at least {ELEMENT_CHARS_MIN} characters")]
pub struct NotArgued {
    /// The element's name in the dossier.
    pub element: &'static str,
}

macro_rules! element {
    ($(#[$doc:meta])* $name:ident, $id:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);
        impl $name {
            /// The element's name in a dossier.
            pub const ID: &'static str = $id;
            /// Takes the written argument; refuses one too short to be an argument.
            pub fn written(text: &str) -> Result<Self, NotArgued> {
                let text = text.trim();
                if text.chars().count() < ELEMENT_CHARS_MIN {
                    return Err(NotArgued { element: $id });
                }
                Ok(Self(text.to_owned()))
            }
        }
    };
}

element!(
    /// 現在の危難: the danger is present, not merely possible.
    PresentDanger, "present-danger");
element!(
    /// 法益の権衡: the harm avoided is not smaller than the harm done.
    BalanceOfInterests, "balance-of-interests");
element!(
    /// 補充性: no milder means reaches the aim.
    NoOtherMeans, "no-other-means");
element!(
    /// 目的の正当性: the aim is proper.
    ProperAim, "proper-aim");
element!(
    /// 行為の必要性: the act is necessary for it.
    Necessity, "necessity");
element!(
    /// 手段の相当性: the means are adequate.
    AdequateMeans, "adequate-means");
element!(
    /// The clause of the contract terms that the subscriber agreed to.
    TermsClause, "terms-clause");
element!(
    /// How the subscriber can change the consent at any time, under equal conditions.
    OptOutMeans, "opt-out-means");

/// Consent in the contract terms with a way out at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    clause: TermsClause,
    opt_out: OptOutMeans,
}

impl Consent {
    /// Both elements, argued.
    pub fn because(clause: TermsClause, opt_out: OptOutMeans) -> Self {
        Self { clause, opt_out }
    }
}

impl Basis for Consent {
    const KIND: BasisKind = BasisKind::Consent;
    fn elements(&self) -> Vec<(&'static str, &str)> {
        vec![(TermsClause::ID, &self.clause.0), (OptOutMeans::ID, &self.opt_out.0)]
    }
}

/// Averting a present danger; never for a measure that is always on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emergency {
    danger: PresentDanger,
    balance: BalanceOfInterests,
    subsidiarity: NoOtherMeans,
}

impl Emergency {
    /// All three elements, argued.
    pub fn because(danger: PresentDanger, balance: BalanceOfInterests, subsidiarity: NoOtherMeans) -> Self {
        Self { danger, balance, subsidiarity }
    }
}

impl Basis for Emergency {
    const KIND: BasisKind = BasisKind::Emergency;
    fn elements(&self) -> Vec<(&'static str, &str)> {
        vec![
            (PresentDanger::ID, &self.danger.0),
            (BalanceOfInterests::ID, &self.balance.0),
            (NoOtherMeans::ID, &self.subsidiarity.0),
        ]
    }
}

/// An act in the course of the carrier's proper business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegitimateBusiness {
    aim: ProperAim,
    necessity: Necessity,
    means: AdequateMeans,
}

impl LegitimateBusiness {
    /// All three elements, argued.
    pub fn because(aim: ProperAim, necessity: Necessity, means: AdequateMeans) -> Self {
        Self { aim, necessity, means }
    }
}

impl Basis for LegitimateBusiness {
    const KIND: BasisKind = BasisKind::LegitimateBusiness;
    fn elements(&self) -> Vec<(&'static str, &str)> {
        vec![
            (ProperAim::ID, &self.aim.0),
            (Necessity::ID, &self.necessity.0),
            (AdequateMeans::ID, &self.means.0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_of_every_basis_has_words_of_its_own() {
        let mut words: Vec<_> =
            BasisKind::ALL.iter().flat_map(|b| b.elements()).map(|id| element_words(id)).collect();
        assert_eq!(words.len(), 8);
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 8);
        assert!(!words.contains(&element_words("")));
    }
}
