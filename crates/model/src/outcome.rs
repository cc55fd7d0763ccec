//! What came of it: the funnel from sent mail to clean line, per campaign.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::case::named;

named! {
    /// What a subscriber did on the page. The first of each kind counts.
    VisitKind {
        /// Opened the page.
        Opened = "opened",
        /// Asked for the removal steps.
        Steps = "steps",
        /// Fetched a cleaner.
        Tool = "tool",
        /// Asked whether it was seen again.
        Check = "check",
        /// Said it is done.
        Done = "done",
        /// Does not want such mails.
        OptOut = "opt-out",
        /// Let the line out of the walled garden.
        Release = "release",
    }
}

/// One campaign's counts. Every stage counts cases, so that each is a part of the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Funnel {
    /// The campaign (`feed.code`).
    pub campaign: String,
    /// Cases opened.
    pub cases: u64,
    /// With a mail accepted by the mail server.
    pub sent: u64,
    /// With a mail known to have reached the mailbox.
    pub delivered: u64,
    /// With the page opened.
    pub opened: u64,
    /// With the steps fetched.
    pub steps: u64,
    /// With "I did it".
    pub done: u64,
    /// Closed after the quiet time.
    pub clean: u64,
    /// Opened again after a clean close.
    pub reinfected: u64,
    /// Opted out.
    pub opted_out: u64,
    /// Fetched a cleaner.
    pub tool: u64,
    /// Asked whether it was seen again.
    pub check: u64,
}

impl Funnel {
    /// The stages from the first to the last, with their labels.
    pub fn stages(&self) -> [(&'static str, u64); 7] {
        [
            ("cases", self.cases),
            ("sent", self.sent),
            ("delivered", self.delivered),
            ("opened", self.opened),
            ("steps", self.steps),
            ("done", self.done),
            ("clean", self.clean),
        ]
    }
}

/// What can be said to who asks whether their line was seen again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// It was, or it is too soon to say otherwise: when last.
    Seen(jiff::Timestamp),
    /// It was not, though it would have been.
    NotSeen {
        /// When it was seen last.
        last: jiff::Timestamp,
        /// Until when a sensor is known to have been looking.
        watched: jiff::Timestamp,
    },
    /// Nobody can say: when it was seen last.
    Unknown(jiff::Timestamp),
}

/// Cases of one kind that are old enough to say what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Arm {
    /// How many there are.
    pub cases: u64,
    /// Of which a sensor would have told: its feed told of somebody in the time that counts.
    pub observed: u64,
    /// Of these, not seen any more.
    pub gone: u64,
}

/// What telling does: cases that were told, beside those that chance held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Trial {
    /// The campaign.
    pub campaign: String,
    /// For how many days cases are held out. What counts is whether a line is seen in the second half of them.
    pub days: u32,
    /// Told at once, or whenever it was possible: all that chance did not hold out, whatever became of the mail.
    pub told: Arm,
    /// Held out.
    pub held_out: Arm,
    /// The difference; none while one of the two says nothing.
    pub effect: Option<Effect>,
}

impl Trial {
    /// Both kinds of cases, with what they are called.
    pub fn arms(&self) -> [(&'static str, Arm); 2] {
        [("told", self.told), ("held out by chance", self.held_out)]
    }
}

/// The difference of two shares, the first less the second (told less held out), each from -1 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Effect {
    /// The difference.
    pub difference: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Effect {
    /// What it says, in words.
    pub fn words(&self) -> &'static str {
        match self {
            Effect { low, .. } if *low > 0.0 => "telling helps",
            Effect { high, .. } if *high < 0.0 => "telling harms",
            _ => "no effect that can be told from none",
        }
    }
}

/// The normal distribution's 97.5 % quantile: what makes an interval one of 95 %.
pub const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share by the score method (Wilson, JASA 22 (1927) 209-212); none where there is nothing.
pub fn interval(part: u64, whole: u64) -> Option<(f64, f64)> {
    interval_at(part, whole, Z)
}

/// The same for another quantile than [`Z`].
pub fn interval_at(part: u64, whole: u64, z: f64) -> Option<(f64, f64)> {
    if whole == 0 {
        return None;
    }
    let (n, p) = (whole as f64, part.min(whole) as f64 / whole as f64);
    let middle = p + z * z / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    Some((((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Newcombe, Statistics in Medicine 17 (1998) 857-872, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (part, whole, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let (l, h) = interval(part, whole).unwrap();
            assert!((l - low).abs() < 5e-5 && (h - high).abs() < 5e-5, "{part}/{whole}: {l} {h}");
        }
        assert_eq!(interval(0, 0), None);
    }
}
