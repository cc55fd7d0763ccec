//! What the public is told of the log: how many subscribers were touched, by which measure, on what ground it was refused.
//!
//! A number so small that somebody might know whom it means is told as "fewer than five". Nothing is, zero is told.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use super::Kind;
use super::note::Verifier;
use crate::dossier::Register;

/// Numbers below this are not told exactly, unless there is nothing.
pub const FEWER_THAN: u64 = 5;
/// The rule under which a subscriber's own choice stops a use.
pub const OPTED_OUT: &str = "opted-out";
/// The rule that refuses what is asked for a measure that there is not. The measure's name is then anybody's words, which
/// nobody publishes.
pub const UNKNOWN_MEASURE: &str = "unknown-measure";

/// A number as the public is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The number.
    Exactly(u64),
    /// Some, but fewer than this.
    FewerThan(u64),
}

impl Told {
    /// How a number is told.
    pub fn of(number: u64) -> Self {
        if number > 0 && number < FEWER_THAN { Told::FewerThan(FEWER_THAN) } else { Told::Exactly(number) }
    }
}

impl Serialize for Told {
    /// `1234`, or `"<5"`.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Told::Exactly(number) => s.serialize_u64(*number),
            Told::FewerThan(number) => s.collect_str(&format_args!("<{number}")),
        }
    }
}

/// What was done by one measure since the log began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// The measure's id.
    pub measure: String,
    /// Its title, Japanese.
    pub title_ja: String,
    /// Its title, English.
    pub title_en: String,
    /// Uses that the rules allowed; one may serve several looks.
    pub permits: Told,
    /// Openings of sealed data.
    pub looks: Told,
    /// Different subscribers who were found, counted by keyed hashes of their contracts.
    pub subscribers: Told,
    /// Mails that the mail server took.
    pub notices: Told,
    /// Uses stopped because the subscriber does not want them.
    pub opt_outs: Told,
    /// Uses that the rules refused, by rule.
    pub refusals: Vec<(String, Told)>,
}

/// All that is told, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Disclosure {
    /// Entries that the numbers are of, from the first on.
    pub counted: u64,
    /// Entries that the newest checkpoint is of.
    pub entries: u64,
    /// Numbers below this are told as fewer than this.
    pub fewer_than: u64,
    /// By measure.
    pub measures: Vec<Figures>,
    /// Uses refused because there is no such measure.
    pub unknown_measure: Told,
    /// The newest signed checkpoint; empty while there is none.
    pub checkpoint: String,
    /// The public key it is signed with.
    pub key: String,
}

/// What was counted, exactly; not for the public.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries counted, from the first on.
    pub counted: u64,
    /// Entries of the log by measure, kind and rule.
    pub entries: Vec<(String, Kind, String, u64)>,
    /// Different subscribers found, by measure.
    pub subscribers: BTreeMap<String, u64>,
    /// Mails that the mail server took, by measure.
    pub notices: BTreeMap<String, u64>,
    /// The newest checkpoint.
    pub checkpoint: Option<String>,
}

impl Disclosure {
    /// What is told of what was counted: the measures of the register in its order, then those that the log alone knows.
    pub fn of(counts: &Counts, register: &Register, key: &Verifier) -> Self {
        let shipped = register.iter().map(|d| (d.id.as_str(), d.title.ja.as_str(), d.title.en.as_str()));
        let known: BTreeSet<&str> = register.iter().map(|d| d.id.as_str()).collect();
        let logged = counts
            .entries
            .iter()
            // What people did about the house itself is of no measure.
            .filter(|(measure, _, rule, _)| rule != UNKNOWN_MEASURE && !measure.is_empty());
        let logged: BTreeSet<&str> = logged.map(|(measure, ..)| measure.as_str()).collect();
        let retired = logged.difference(&known).map(|id| (*id, *id, *id));
        let unknown = counts.entries.iter().filter(|(_, _, rule, _)| rule == UNKNOWN_MEASURE);
        let checkpoint = counts.checkpoint.clone().unwrap_or_default();
        Self {
            counted: counts.counted,
            entries: key.open(&checkpoint).map_or(0, |stated| stated.size),
            fewer_than: FEWER_THAN,
            measures: shipped.chain(retired).map(|named| counts.figures(named)).collect(),
            unknown_measure: Told::of(unknown.map(|(.., number)| number).sum()),
            checkpoint,
            key: key.line(),
        }
    }
}

impl Counts {
    fn figures(&self, (measure, title_ja, title_en): (&str, &str, &str)) -> Figures {
        let own = || self.entries.iter().filter(|(of, _, rule, _)| of == measure && rule != UNKNOWN_MEASURE);
        let of = |wanted: Kind| Told::of(own().filter(|(_, kind, ..)| *kind == wanted).map(|e| e.3).sum());
        let (opt_outs, refused): (Vec<_>, Vec<_>) = own()
            .filter(|(_, kind, ..)| *kind == Kind::Refusal)
            .partition(|(_, _, rule, _)| rule == OPTED_OUT);
        let number = |by: &BTreeMap<String, u64>| Told::of(by.get(measure).copied().unwrap_or(0));
        Figures {
            measure: measure.to_owned(),
            title_ja: title_ja.to_owned(),
            title_en: title_en.to_owned(),
            permits: of(Kind::Permit),
            looks: of(Kind::Opening),
            subscribers: number(&self.subscribers),
            notices: number(&self.notices),
            opt_outs: Told::of(opt_outs.iter().map(|e| e.3).sum()),
            refusals: refused.iter().map(|(_, _, rule, count)| (rule.clone(), Told::of(*count))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_not_told_and_nothing_is() {
        let told: Vec<String> =
            [0, 1, 4, 5, 12_345].map(|n| serde_json::to_string(&Told::of(n)).unwrap()).to_vec();
        assert_eq!(told, ["0", "\"<5\"", "\"<5\"", "5", "12345"]);
    }

    #[test]
    fn what_is_told_is_by_measure_and_never_in_the_words_of_who_asked_for_a_measure_that_there_is_not() {
        let register = Register::shipped().unwrap();
        let entry =
            |measure: &str, kind, rule: &str, count| (measure.to_owned(), kind, rule.to_owned(), count);
        let counts = Counts {
            counted: 9,
            entries: vec![
                entry("somebody's name", Kind::Refusal, UNKNOWN_MEASURE, 7),
                entry("retired", Kind::Permit, "old", 12),
                entry("takedown-notice", Kind::Opening, "a", 90),
                entry("takedown-notice", Kind::Permit, "a", 3),
                entry("takedown-notice", Kind::Refusal, "purpose-limitation", 2),
                entry("takedown-notice", Kind::Refusal, OPTED_OUT, 6),
            ],
            subscribers: [("takedown-notice".to_owned(), 41)].into(),
            ..Counts::default()
        };
        let signer = crate::evidence::note::Signer::generate().unwrap();
        let key = crate::evidence::note::Signer::load("t", &signer).unwrap().verifier();
        let told = Disclosure::of(&counts, &register, &key);
        assert!(!serde_json::to_string(&told).unwrap().contains("somebody"));
        assert_eq!((told.unknown_measure, told.entries), (Told::Exactly(7), 0));
        let of = |id: &str| told.measures.iter().find(|f| f.measure == id).unwrap();
        let figures = of("takedown-notice");
        assert_eq!((figures.permits, figures.looks), (Told::FewerThan(5), Told::Exactly(90)));
        assert_eq!((figures.subscribers, figures.notices), (Told::Exactly(41), Told::Exactly(0)));
        assert_eq!(figures.opt_outs, Told::Exactly(6));
        assert_eq!(figures.refusals, [("purpose-limitation".to_owned(), Told::FewerThan(5))]);
        assert_eq!(of("retired").permits, Told::Exactly(12));
        assert_eq!(of("session-keeping").looks, Told::Exactly(0));
        assert_eq!(told.measures.len(), register.iter().count() + 1);
    }
}
