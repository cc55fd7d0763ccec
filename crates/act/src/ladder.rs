//! The ladder: by which way a subscriber is told next, and when. From what costs and disturbs least to what does most, and
//! a step further only where the last one is known to have failed or the line is still infected after the time its owner had.
//!
//! ```text
//!   mail ──7 days, seen since──▶ mail ──▶ mail ──▶ SMS ──▶ letter ──▶ call ──▶ walled garden
//!     └──────refused for good─────────────────────▶ at once
//! ```
//!
//! Pure: the case, the steps it has had, the wish of its subscriber and the time go in; the next step, a time to ask again, or
//! why there is none comes out. What keeps people from being written to too often is all here, and held against a million
//! random histories.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use noroshi_model::case::{QUIET, StepState};
use noroshi_model::{Case, CaseState, Channel};
use serde::{Deserialize, Serialize};

use crate::hours::Hours;

/// Days between two steps about one matter, where a rung says nothing else.
pub const COOL_DOWN_DAYS: u32 = 7;
/// Most mails of one case, where nothing else is said.
pub const MAILS: u32 = 3;

/// One rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rung {
    /// By which way.
    pub channel: Channel,
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
    /// Days after the step before.
    #[serde(default = "cool_down_days")]
    pub after_days: u32,
    /// A person approves each.
    #[serde(default)]
    pub approval: bool,
}

fn once() -> u32 {
    1
}

fn cool_down_days() -> u32 {
    COOL_DOWN_DAYS
}

impl Rung {
    /// By a way, so many times, a week apart.
    pub fn of(channel: Channel, times: u32) -> Self {
        Self { channel, times, after_days: COOL_DOWN_DAYS, approval: false }
    }

    fn after(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.after_days) * 24)
    }
}

/// The ladder, and when each way may be used.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// The rungs, from below.
    pub rungs: Vec<Rung>,
    /// The zone of the hours.
    pub zone: TimeZone,
    /// When a way may be used; always, where nothing is said.
    pub hours: BTreeMap<Channel, Hours>,
}

impl Ladder {
    /// The first moment from `now` on at which a way may be used.
    pub fn open(&self, channel: Channel, now: Timestamp) -> Timestamp {
        self.hours.get(&channel).copied().unwrap_or(Hours::ALWAYS).next(now, &self.zone)
    }
}

/// A step that a case has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// By which way.
    pub channel: Channel,
    /// What became of it.
    pub state: StepState,
    /// When its state last changed.
    pub at: Timestamp,
}

impl Taken {
    /// Whether it takes its place on the ladder: what failed, or was never sent, does not.
    fn counts(&self) -> bool {
        self.state.may_have_reached() || self.state == StepState::Rejected
    }
}

/// What is known of a case.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// The case.
    pub case: &'a Case,
    /// Its steps, in order.
    pub taken: &'a [Taken],
    /// When the same subscriber was last told of the same family in a case before.
    pub told_before: Option<Timestamp>,
    /// Whether the subscriber does not want to be told.
    pub opted_out: bool,
    /// Ways that the law allows under the case's measure, and whether a person approves each use.
    pub allowed: &'a BTreeMap<Channel, Approval>,
}

/// Whether a person approves each use of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The measure's dossier says so.
    Needed,
    /// It says nothing of it.
    NotNeeded,
}

/// What the ladder says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Take this step now; `proposed` where a person approves it first.
    Step {
        /// By which way.
        channel: Channel,
        /// Whether it waits for a person.
        proposed: bool,
    },
    /// Ask again then.
    At(Timestamp),
    /// Nothing, until something more is known.
    Nothing(&'static str),
}

/// The next step of a case.
pub fn next(ladder: &Ladder, known: &Known<'_>, now: Timestamp) -> Next {
    let case = known.case;
    if !case.state.is_open() {
        return Next::Nothing("the case is closed");
    }
    if known.opted_out {
        return Next::Nothing("the subscriber has opted out");
    }
    if case.state == CaseState::Held {
        return Next::Nothing("the case is held");
    }
    if now.duration_since(case.last_seen.max(case.opened)) >= QUIET {
        return Next::Nothing("quiet for so long that it closes as clean");
    }
    if known.taken.iter().any(|step| step.state.is_ahead()) {
        return Next::Nothing("a step is on its way");
    }
    if let Some(until) = case.held_out_until.filter(|until| now < *until) {
        return Next::At(until);
    }
    let Some(rung) = rung(ladder, known) else {
        return Next::Nothing("the end of the ladder");
    };
    let last = known.taken.iter().rev().find(|step| step.counts()).map(|step| step.at);
    if let Some(at) = last.or(known.told_before) {
        let over = at + rung.after();
        // They had that long to act: what was seen before says nothing about whether they did.
        if last.is_some() && case.last_seen < over {
            return Next::Nothing("not seen since the cool-down of the last step");
        }
        if now < over {
            return Next::At(over);
        }
    }
    let open = ladder.open(rung.channel, now);
    if now < open {
        return Next::At(open);
    }
    let dossier = known.allowed.get(&rung.channel) == Some(&Approval::Needed);
    Next::Step { channel: rung.channel, proposed: rung.approval || dossier }
}

/// The lowest rung that is left: one that the law allows, that has not been taken often enough, and whose way is not known
/// to fail.
fn rung<'a>(ladder: &'a Ladder, known: &Known<'_>) -> Option<&'a Rung> {
    let mut left: BTreeMap<Channel, u32> = BTreeMap::new();
    for step in known.taken.iter().filter(|step| step.counts()) {
        *left.entry(step.channel).or_default() += 1;
    }
    let fails = |channel: Channel| {
        let last = known.taken.iter().rev().find(|step| step.channel == channel);
        last.is_some_and(|step| step.state == StepState::Failed)
    };
    ladder.rungs.iter().find(|rung| {
        let taken = left.entry(rung.channel).or_default();
        let here = (*taken).min(rung.times);
        *taken -= here;
        here < rung.times && known.allowed.contains_key(&rung.channel) && !fails(rung.channel)
    })
}

#[cfg(test)]
mod tests;
