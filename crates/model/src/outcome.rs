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
