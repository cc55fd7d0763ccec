//! A site's score: everything that speaks for and against it, each with its weight and in words.
//!
//! All is in log-odds (natural logarithm), so evidence adds up: what was so before, what the name and path show, which lists
//! have it, whether it still answers. Who reads the evidence has read the whole reason.

use jiff::Timestamp;
use serde::Serialize;

use crate::address::Address;
use crate::model::Model;
use crate::path;
use crate::signs::Kind;

/// One name in a hundred that somebody asks about, or that a list brings, is taken to be bad before anything is known.
pub const PRIOR: f32 = -4.595;
/// What one list's word may weigh at most.
const LISTING_MAX: f32 = 9.0;
/// From this probability on a site is harmful.
const HARMFUL: f32 = 0.9;
/// From this probability on it is likely so.
const LIKELY: f32 = 0.5;
/// Fragments that are shown of a name.
const FRAGMENTS_SHOWN: usize = 4;
/// Seconds in a day.
const DAY_S: f64 = 86_400.0;

/// What kind of harm a list speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Threat {
    /// Pretends to be somebody.
    Phishing,
    /// Gives out harmful programs.
    Malware,
    /// Is asked by harmful programs for orders.
    Control,
    /// Takes money for nothing.
    Scam,
    /// Not said.
    Other,
}

impl Threat {
    /// All of them.
    pub const ALL: [Threat; 5] = [Self::Phishing, Self::Malware, Self::Control, Self::Scam, Self::Other];

    /// Its name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Phishing => "phishing",
            Self::Malware => "malware",
            Self::Control => "control",
            Self::Scam => "scam",
            Self::Other => "other",
        }
    }

    /// Reads its name.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|threat| threat.code() == code)
    }

    /// After how many days half of a list's word is left. Phishing pages live for days, control servers for weeks.
    pub fn half_life_days(self) -> f64 {
        match self {
            Self::Phishing => 14.0,
            Self::Malware => 30.0,
            Self::Control => 60.0,
            Self::Scam => 90.0,
            Self::Other => 30.0,
        }
    }
}

/// That a list has a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The list.
    pub source: String,
    /// Of what family: lists that copy from each other speak once.
    pub family: String,
    /// How often what it lists is bad, from 0 to 1.
    pub reliability: f32,
    /// What harm it speaks of.
    pub threat: Threat,
    /// When it was last seen there.
    pub last_seen: Timestamp,
}

/// How a site answered when it was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Life {
    /// It gives a page.
    Answers,
    /// It leads to somebody else's name.
    Elsewhere,
    /// There is no such page.
    Missing,
    /// The name does not exist, or nobody answers.
    Gone,
    /// Its address is one that may not be asked: private, loopback.
    Barred,
}

impl Life {
    /// All of them.
    pub const ALL: [Life; 5] = [Self::Answers, Self::Elsewhere, Self::Missing, Self::Gone, Self::Barred];

    /// Its name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Elsewhere => "elsewhere",
            Self::Missing => "missing",
            Self::Gone => "gone",
            Self::Barred => "barred",
        }
    }

    /// Reads its name.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|life| life.code() == code)
    }

    /// Set by hand: what does not answer does no harm now, and may tomorrow.
    fn weight(self) -> f32 {
        match self {
            Self::Answers => 0.2,
            Self::Elsewhere => 0.3,
            Self::Missing => -0.7,
            Self::Gone => -1.5,
            Self::Barred => 0.0,
        }
    }
}

/// What is known of a site besides its address.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The lists that have it.
    pub listings: Vec<Listing>,
    /// How it answered last.
    pub life: Option<Life>,
    /// The warning lists that have it or what it is under: popular sites, shared hosting.
    pub warnings: Vec<String>,
}

/// One thing that speaks for or against a site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// What was looked at.
    pub code: &'static str,
    /// What was seen.
    pub seen: String,
    /// Its weight: above zero it speaks against the site.
    pub log_odds: f32,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// A warning list has it: its host is left alone whatever speaks against it, and only single URLs of it may be listed.
    Protected,
    /// Harmful with a probability of nine in ten.
    Harmful,
    /// Likelier harmful than not.
    Likely,
    /// A name as seldom found among popular ones (one in a hundred is above): worth a look.
    Watch,
    /// Nothing that would be enough.
    Clear,
}

impl Verdict {
    /// Its name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Harmful => "harmful",
            Self::Likely => "likely",
            Self::Watch => "watch",
            Self::Clear => "clear",
        }
    }
}

/// A site's score.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// The log-odds of harm.
    pub log_odds: f32,
    /// The probability of harm.
    pub probability: f32,
    /// The log-odds of its name alone, were half of all names bad.
    pub name_log_odds: f32,
    /// What follows.
    pub verdict: Verdict,
    /// All that speaks for or against, the strongest first. The log-odds are its sum.
    pub evidence: Vec<Evidence>,
    /// The warning lists that protect it.
    pub warnings: Vec<String>,
}

/// Scores a site at an instant.
pub fn score(model: &Model, address: &Address, known: &Known, now: Timestamp) -> Score {
    let mut evidence = vec![Evidence { code: "prior", seen: String::new(), log_odds: PRIOR }];
    let name = address.name().map(|name| of_name(model, name)).unwrap_or_default();
    let name_log_odds = name.iter().map(|evidence| evidence.log_odds).sum();
    evidence.extend(name);
    let shown = path::weigh(address, model).into_iter();
    evidence.extend(shown.map(|(code, seen, log_odds)| Evidence { code, seen, log_odds }));
    evidence.extend(of_lists(&known.listings, now));
    if let Some(life) = known.life {
        evidence.push(Evidence { code: "life", seen: life.code().to_owned(), log_odds: life.weight() });
    }
    evidence.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
    let log_odds: f32 = evidence.iter().map(|evidence| evidence.log_odds).sum();
    let probability = 1.0 / (1.0 + (-log_odds).exp());
    let verdict = match () {
        () if !known.warnings.is_empty() && !address.is_place() => Verdict::Protected,
        () if probability >= HARMFUL => Verdict::Harmful,
        () if probability >= LIKELY => Verdict::Likely,
        () if name_log_odds >= model.cuts().watch => Verdict::Watch,
        () => Verdict::Clear,
    };
    Score { log_odds, probability, name_log_odds, verdict, evidence, warnings: known.warnings.clone() }
}

/// What the name shows; its fragments are one piece of evidence, since a person reads them together.
fn of_name(model: &Model, name: &str) -> Vec<Evidence> {
    let mut evidence = vec![Evidence { code: "base", seen: String::new(), log_odds: model.base() }];
    let mut fragments: Vec<(String, f32)> = Vec::new();
    for (sign, weight) in model.weigh(name) {
        match sign.kind {
            Kind::Fragment => fragments.push((sign.seen, weight)),
            kind => evidence.push(Evidence { code: kind.code(), seen: sign.seen, log_odds: weight }),
        }
    }
    let sum: f32 = fragments.iter().map(|(_, weight)| weight).sum();
    if !fragments.is_empty() {
        fragments.sort_by(|a, b| (b.1 * sum.signum()).total_cmp(&(a.1 * sum.signum())));
        let shown: Vec<&str> =
            fragments.iter().take(FRAGMENTS_SHOWN).map(|(seen, _)| seen.as_str()).collect();
        evidence.push(Evidence { code: Kind::Fragment.code(), seen: shown.join(" "), log_odds: sum });
    }
    evidence
}

/// What lists say: each as much as it was right, less with age; of one family only the strongest, families add.
fn of_lists(listings: &[Listing], now: Timestamp) -> Vec<Evidence> {
    let weight = |listing: &Listing| {
        let right = listing.reliability.clamp(0.01, 0.999);
        let age_days = (now.as_second() - listing.last_seen.as_second()).max(0) as f64 / DAY_S;
        let left = 0.5f64.powf(age_days / listing.threat.half_life_days()) as f32;
        // The list says how likely what it has is bad, all things considered; the prior is counted already.
        (((right / (1.0 - right)).ln() - PRIOR) * left).clamp(-LISTING_MAX, LISTING_MAX)
    };
    let mut best: Vec<(&Listing, f32)> = Vec::new();
    for listing in listings {
        let weight = weight(listing);
        match best.iter_mut().find(|(other, _)| other.family == listing.family) {
            Some(other) if other.1 < weight => *other = (listing, weight),
            Some(_) => {}
            None => best.push((listing, weight)),
        }
    }
    let evidence = best.into_iter().map(|(listing, log_odds)| {
        let seen = format!("{} ({})", listing.source, listing.threat.code());
        Evidence { code: "list", seen, log_odds }
    });
    evidence.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model::shipped().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn listing(family: &str, threat: Threat, last_seen: &str) -> Listing {
        Listing {
            source: format!("{family}-list"),
            family: family.into(),
            reliability: 0.9,
            threat,
            last_seen: at(last_seen),
        }
    }

    fn scored(text: &str, listings: Vec<Listing>, warnings: &[&str]) -> Score {
        let known =
            Known { listings, life: None, warnings: warnings.iter().map(|w| (*w).to_owned()).collect() };
        score(&model(), &Address::parse(text).unwrap(), &known, at("2026-11-22T00:00:00Z"))
    }

    #[test]
    fn the_evidence_is_the_whole_reason() {
        for text in
            ["secure-paypal-login.xyz", "http://192.0.2.7:8080/a/invoice.pdf.exe", "www.city.example.lg.jp"]
        {
            let score = scored(text, vec![listing("a", Threat::Malware, "2026-11-20T00:00:00Z")], &[]);
            let sum: f32 = score.evidence.iter().map(|evidence| evidence.log_odds).sum();
            assert!((sum - score.log_odds).abs() < 1e-4, "{text}: {sum} {}", score.log_odds);
        }
    }

    #[test]
    fn a_deceiving_name_is_worse_than_a_plain_one_and_not_enough_by_itself() {
        let (bad, plain) =
            (scored("metamask-wallet-verify.xyz", vec![], &[]), scored("kitchengarden.org", vec![], &[]));
        assert!(
            bad.name_log_odds > plain.name_log_odds + 2.0,
            "{} {}",
            bad.name_log_odds,
            plain.name_log_odds
        );
        assert_eq!((bad.verdict, plain.verdict), (Verdict::Watch, Verdict::Clear));
    }

    #[test]
    fn lists_decay_and_only_independent_ones_add() {
        let p = |listings| scored("kitchengarden.org", listings, &[]).log_odds;
        let fresh = p(vec![listing("a", Threat::Phishing, "2026-11-22T00:00:00Z")]);
        let old = p(vec![listing("a", Threat::Phishing, "2026-11-08T00:00:00Z")]);
        let none = p(vec![]);
        assert!(((fresh - none) / (old - none) - 2.0).abs() < 0.01, "half is left after a half-life");
        let copied = p(vec![
            listing("a", Threat::Phishing, "2026-11-22T00:00:00Z"),
            listing("a", Threat::Phishing, "2026-11-21T00:00:00Z"),
        ]);
        let two = p(vec![
            listing("a", Threat::Phishing, "2026-11-22T00:00:00Z"),
            listing("b", Threat::Phishing, "2026-11-22T00:00:00Z"),
        ]);
        assert!((copied - fresh).abs() < 1e-4 && two > fresh + 3.0);
    }

    #[test]
    fn who_is_on_a_warning_list_is_protected_but_for_single_urls() {
        let lists = || {
            vec![
                listing("a", Threat::Malware, "2026-11-22T00:00:00Z"),
                listing("b", Threat::Malware, "2026-11-22T00:00:00Z"),
            ]
        };
        assert_eq!(scored("github.com", lists(), &["top sites"]).verdict, Verdict::Protected);
        assert_eq!(
            scored("https://github.com/x/y/raw/z.exe", lists(), &["top sites"]).verdict,
            Verdict::Harmful
        );
    }
}
