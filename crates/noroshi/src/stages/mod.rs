//! The stages, driven: each takes jobs from its topic, hands them to the pure code of its crate, and writes the results
//! together with the acknowledgement.
//!
//! ```text
//!   aggregate tells of repeats that are over
//!   observed ─▶ orient ─▶ oriented ─▶ decide ─▶ decided ─▶ act ─▶ cases ─▶ ladder ─▶ outbox ─▶ mail, reach
//!                                          improve closes what stays quiet ──┘
//! ```

pub mod act;
pub mod aggregate;
mod batch;
pub mod decide;
mod garden;
pub mod improve;
pub mod ladder;
pub mod mail;
pub mod orient;
pub mod outbox;
#[cfg(test)]
mod population;
mod sms;
mod tell;
#[cfg(test)]
mod tests;

use std::fmt;

use noroshi_model::Channel;
use noroshi_store::StoreError;

use crate::house::House;

/// Jobs taken at once.
pub const BATCH: u32 = 200;

/// Why a stage stopped.
#[derive(Debug)]
pub enum StageError {
    /// The database.
    Store(StoreError),
    /// The job's lease passed to another worker, whose results count.
    LeaseLost,
    /// Anything else; the job stays and is tried again.
    Failed(anyhow::Error),
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageError::Store(e) => write!(f, "{e}"),
            StageError::LeaseLost => f.write_str("another worker took the job over"),
            StageError::Failed(e) => write!(f, "{e:#}"),
        }
    }
}

impl std::error::Error for StageError {}

impl From<StoreError> for StageError {
    fn from(e: StoreError) -> Self {
        StageError::Store(e)
    }
}

impl From<anyhow::Error> for StageError {
    fn from(e: anyhow::Error) -> Self {
        StageError::Failed(e)
    }
}

/// A stage by name, as in `run --role orient,decide`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// Repeats that are over are told of.
    Aggregate,
    /// Reports come in from the configured sources.
    Observe,
    /// Events become findings.
    Orient,
    /// Findings become decisions.
    Decide,
    /// Decisions become cases.
    Act,
    /// Cases get their next step.
    Ladder,
    /// Mails are sent.
    Mail,
    /// Short messages are posted, letters and calls are listed, lines enter and leave the walled garden.
    Reach,
    /// Quiet cases close.
    Improve,
}

impl Stage {
    /// All of them, in the order of the loop.
    pub const ALL: [Stage; 9] = [
        Stage::Observe,
        Stage::Aggregate,
        Stage::Orient,
        Stage::Decide,
        Stage::Act,
        Stage::Ladder,
        Stage::Mail,
        Stage::Reach,
        Stage::Improve,
    ];

    /// Works one batch; the number of jobs done.
    pub fn step(self, house: &House) -> Result<usize, StageError> {
        match self {
            Stage::Aggregate => aggregate::step(house),
            // Sources have threads of their own (`sources::start`): a slow server must not keep the stages waiting.
            Stage::Observe => Ok(0),
            Stage::Orient => orient::step(house),
            Stage::Decide => decide::step(house),
            Stage::Act => act::step(house),
            Stage::Ladder => ladder::step(house),
            Stage::Mail => mail::step(house),
            Stage::Reach => reach(house),
            Stage::Improve => improve::step(house),
        }
    }
}

/// Every way besides mail, one step each.
fn reach(house: &House) -> Result<usize, StageError> {
    each([
        sms::step(house),
        batch::step(house, Channel::Letter),
        batch::step(house, Channel::Call),
        garden::step(house),
    ])
}

/// What was done in all. One way's trouble must not keep the others waiting, least of all those who are to be let out: all of
/// them were tried, and the first error is told.
fn each<const N: usize>(done: [Result<usize, StageError>; N]) -> Result<usize, StageError> {
    done.into_iter().sum()
}

/// Settles what a dead process was handing over. `alone` says that no other process can be at it.
pub fn recover(house: &House, stages: &[Stage], alone: bool) -> Result<usize, StageError> {
    let mail = if stages.contains(&Stage::Mail) { mail::recover(house, alone) } else { Ok(0) };
    let others = match stages.contains(&Stage::Reach) {
        true => each([
            sms::recover(house, alone),
            batch::recover(house, Channel::Letter, alone),
            batch::recover(house, Channel::Call, alone),
            garden::recover(house, alone),
            outbox::give_up_unconfigured(house),
        ]),
        false => Ok(0),
    };
    each([mail, others])
}

/// Works every stage until nothing is left to do now; how many jobs were done.
pub fn until_idle(house: &House, stages: &[Stage]) -> Result<usize, StageError> {
    let mut done = 0;
    loop {
        let mut this_round = 0;
        for stage in stages {
            loop {
                match stage.step(house)? {
                    0 => break,
                    n => this_round += n,
                }
            }
        }
        if this_round == 0 {
            return Ok(done);
        }
        done += this_round;
    }
}
