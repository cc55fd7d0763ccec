//! Trials of wordings: several ways of saying the same notice, each said to cases that chance chose, so that what becomes of those
//! cases says which wording works. Vasek and Moore (CSET 2012) found that a notice with details cleans more sites than one
//! without, and nobody can know beforehand which details a provider's own subscribers need.
//!
//! ```text
//!   configuration ──▶ Round (which wordings, which shares) ──first mail of a case──▶ Arm ──visits, sightings──▶ WordingTrial
//! ```

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::case::named;
use crate::id::Id;
use crate::outcome::Effect;

/// The wording of all who are allotted to no other: the operator's own forms, or else ours.
pub const STANDARD: &str = "standard";
/// Most wordings of a trial, the standard one among them. More would need more cases than an ISP has to tell them apart.
pub const WORDINGS_MAX: usize = 5;

/// A wording's part in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// What it is called.
    pub wording: String,
    /// Of a hundred cases, how many get it.
    pub percent: u32,
    /// Eight hexadecimal digits of a hash of its forms: another text is another form.
    pub form: String,
}

impl Share {
    /// What is written down with each step: `short@1f0c33ab`.
    pub fn words(&self) -> String {
        format!("{}@{}", self.wording, self.form)
    }
}

/// Wordings that are compared with each other: a change of any of them, or of a share, is another round, because cases before and
/// after a change differ in more than the wording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// A hash of the shares.
    pub id: Id,
    /// The wordings, the standard one first.
    pub shares: Vec<Share>,
}

impl Round {
    /// The round of these wordings.
    pub fn new(shares: Vec<Share>) -> Self {
        let said: Vec<String> =
            shares.iter().map(|share| format!("{}={}", share.words(), share.percent)).collect();
        let parts: Vec<&[u8]> = said.iter().map(String::as_bytes).collect();
        Self { id: Id::of("wording round", &parts), shares }
    }

    /// Which wording a number of 0 to 9,999 draws, by its place.
    pub fn drawn(&self, number: u32) -> usize {
        let mut end = 0;
        let place = self.shares.iter().position(|share| {
            end += share.percent * 100;
            number < end
        });
        place.unwrap_or(0)
    }
}

named! {
    /// What is counted of a case in a trial of wordings.
    Stage {
        /// The page was opened.
        Opened = "opened",
        /// The steps were asked for.
        Steps = "steps",
        /// The subscriber said that it is done.
        Done = "done",
        /// Not seen any more where a sensor would have seen it: what a notice is for, and what a trial is decided by.
        Clean = "clean",
    }
}

/// What became of the cases that one wording was said to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WordingArm {
    /// The wording.
    pub wording: String,
    /// Of a hundred cases, how many get it.
    pub percent: u32,
    /// Which text it was: eight digits of a hash of its forms.
    pub form: String,
    /// Cases that were allotted to it. All count, whatever became of the mail, or chance alone would no longer make the difference.
    pub cases: u64,
    /// With a notice that was taken by a mail server, a gateway, a printer.
    pub notified: u64,
    /// That some letter or mail said in other words, because the configuration had changed.
    pub otherwise: u64,
    /// With the page opened.
    pub opened: u64,
    /// With the steps asked for.
    pub steps: u64,
    /// With "I did it".
    pub done: u64,
    /// Old enough to say whether they are clean.
    pub aged: u64,
    /// Of these, observed: a sensor told of somebody in the time that counts.
    pub observed: u64,
    /// Of these, not seen any more in that time.
    pub clean: u64,
}

impl WordingArm {
    /// How many of how many came to a stage.
    pub fn at(&self, stage: Stage) -> (u64, u64) {
        match stage {
            Stage::Opened => (self.opened, self.cases),
            Stage::Steps => (self.steps, self.cases),
            Stage::Done => (self.done, self.cases),
            Stage::Clean => (self.clean, self.observed),
        }
    }
}

/// Two wordings beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Comparison {
    /// By what.
    pub stage: Stage,
    /// The one.
    pub wording: String,
    /// With which it is compared.
    pub with: String,
    /// The one less the other; none while one of them says nothing.
    pub effect: Option<Effect>,
    /// What that says, in words.
    pub says: String,
}

/// A round, and what became of its cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WordingTrial {
    /// Which round.
    pub round: Id,
    /// When its first case was allotted.
    pub since: Timestamp,
    /// When its last was.
    pub until: Timestamp,
    /// Clean is not seen in the second half of so many days after the allotment.
    pub days: u32,
    /// The wordings, the standard one first.
    pub arms: Vec<WordingArm>,
    /// Pairs of wordings, each compared at every stage.
    pub pairs: u32,
    /// In percent, how sure the intervals of all pairs are together that hold the difference at one stage.
    pub sure_percent: u32,
    /// Each wording beside each one before it.
    pub comparisons: Vec<Comparison>,
}

impl WordingTrial {
    /// What the round is called where there is little room: the first digits of its id.
    pub fn name(&self) -> &str {
        self.round.as_str().get(..8).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(percents: &[u32]) -> Round {
        let share = |(n, percent): (usize, &u32)| Share {
            wording: format!("w{n}"),
            percent: *percent,
            form: "f".into(),
        };
        Round::new(percents.iter().enumerate().map(share).collect())
    }

    #[test]
    fn every_number_draws_a_wording_in_its_share() {
        let round = round(&[50, 0, 30, 20]);
        let mut drawn = [0; 4];
        (0..10_000).for_each(|number| drawn[round.drawn(number)] += 1);
        assert_eq!(drawn, [5000, 0, 3000, 2000]);
    }

    #[test]
    fn another_share_or_another_text_is_another_round() {
        let first = round(&[50, 50]);
        assert_eq!(first, round(&[50, 50]));
        assert_ne!(first.id, round(&[60, 40]).id);
        let mut other = first.shares.clone();
        other[1].form = "g".into();
        assert_ne!(first.id, Round::new(other).id);
    }
}
