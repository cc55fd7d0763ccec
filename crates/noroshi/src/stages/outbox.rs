//! What every way has in common: what became of a step is written down with what follows from it for the case, in one
//! transaction.

use jiff::{SignedDuration, Timestamp};
use noroshi_model::case::StepState;
use noroshi_model::{Case, CaseState, Channel, Step};
use noroshi_store::outbox::Outgoing;
use noroshi_store::{StoreError, Tx};

use super::StageError;
use crate::house::House;

/// Attempts before a way is given up: with these pauses about 72 hours, as mail servers do.
const ATTEMPTS_MAX: u32 = 25;
/// First pause after "try later"; doubled at each attempt up to [`PAUSE_MAX`].
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// Longest pause.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(4);

/// A step that has been `sending` for longer belongs to a process that died.
pub const SENDING_MAX: SignedDuration = SignedDuration::from_mins(30);
/// Interrupted steps settled at once.
pub const UNSETTLED_MAX: u32 = 10_000;

/// What became of a step that was being handed over, and what was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Taken over.
    Accepted(String),
    /// This way does not reach them.
    Refused(String),
    /// Not now.
    Later(String),
    /// Nobody knows.
    Unknown(String),
    /// It was not sent, and no other way shall be tried: the rules, the subscriber or the case say no.
    Stopped(String),
}

/// Takes steps of a way that are due, within its hours and at its pace.
pub fn claim(house: &House, channel: Channel, limit: u32) -> Result<Vec<Outgoing>, StageError> {
    let now = house.clock.now();
    if house.config.reach.ladder.open(channel, now) != now {
        return Ok(Vec::new());
    }
    let per_hour = house.config.reach.per_hour.get(&channel).copied();
    Ok(house.store.tx_in_turn("outbox.claim", |tx| tx.claim_steps(channel, per_hour, limit, now))?)
}

/// How many steps of a way are due, within its hours and at its pace; counted up to a limit.
pub fn due(house: &House, channel: Channel, limit: u32) -> Result<usize, StageError> {
    let now = house.clock.now();
    if house.config.reach.ladder.open(channel, now) != now {
        return Ok(0);
    }
    let per_hour = house.config.reach.per_hour.get(&channel).copied();
    Ok(house.store.look("outbox.due", |tx| tx.steps_due(channel, per_hour, limit, now))?.len())
}

/// Steps of a way that the configuration has no more: they would be on their way for ever, and the ladder would not go on.
pub fn give_up_unconfigured(house: &House) -> Result<usize, StageError> {
    let mut given_up = 0;
    for channel in Channel::ALL.iter().filter(|channel| !house.config.reach.ways.has(**channel)) {
        for step in claim(house, *channel, 100)? {
            settle(house, &step, Fate::Refused(format!("[{channel}] is not configured any more")))?;
            given_up += 1;
        }
    }
    Ok(given_up)
}

/// Writes down what became of a step; where it stands now.
pub fn settle(house: &House, handed: &Outgoing, fate: Fate) -> Result<StepState, StageError> {
    let step = settled(house, handed, fate);
    let now = house.clock.now();
    house.store.tx_together("outbox.settle", |tx| write(tx, StepState::Sending, &step, now))?;
    Ok(step.state)
}

/// A step after what became of it.
pub fn settled(house: &House, handed: &Outgoing, fate: Fate) -> Step {
    let mut step = handed.step.clone();
    (step.state, step.reply) = match fate {
        Fate::Accepted(reply) => (StepState::Sent, reply),
        Fate::Refused(reply) => (StepState::Failed, reply),
        Fate::Unknown(reply) => (StepState::InDoubt, reply),
        Fate::Later(reply) => (StepState::Pending, reply),
        Fate::Stopped(reply) => (StepState::Stopped, reply),
    };
    if step.state == StepState::Pending {
        let times = step.attempts;
        put_off(house, &mut step, times, house.clock.now());
    }
    tracing::info!(case = %step.case, step = step.number, channel = %step.channel, state = %step.state, "step");
    step
}

/// What a dead process left in `sending`, of a way that can be taken again without being taken twice, and why it can. `alone` says
/// that no other process can be at it.
pub fn again(house: &House, channel: Channel, alone: bool, why: &str) -> Result<usize, StageError> {
    let now = house.clock.now();
    let sending = house.store.look("outbox.interrupted", |tx| {
        tx.steps_in(channel, StepState::Sending, Timestamp::UNIX_EPOCH, UNSETTLED_MAX)
    })?;
    let dead = |step: &Outgoing| alone || now.duration_since(step.changed) > SENDING_MAX;
    let mut again = 0;
    for step in sending.into_iter().filter(dead) {
        let step = Step { state: StepState::Pending, reply: format!("interrupted: {why}"), ..step.step };
        again += usize::from(house.store.tx("outbox.again", |tx| write(tx, StepState::Sending, &step, now))?);
    }
    Ok(again)
}

/// Sets when a step is tried again, longer each time and within the hours of its way, or gives it up. The first pause belongs to
/// `times` = 1.
pub fn put_off(house: &House, step: &mut Step, times: u32, now: Timestamp) {
    let pause = match times {
        0 => SignedDuration::ZERO,
        _ => (PAUSE * (1 << (times - 1).min(12))).min(PAUSE_MAX),
    };
    step.due = house.config.reach.ladder.open(step.channel, now + pause);
    if step.attempts >= ATTEMPTS_MAX {
        (step.state, step.reply) = (StepState::Failed, format!("given up: {}", step.reply));
    }
}

/// Writes where a step stands and what follows for its case; false where somebody else had settled it, whose word is newer.
pub fn write(tx: &mut Tx<'_>, was: StepState, step: &Step, now: Timestamp) -> Result<bool, StoreError> {
    if !tx.put_step(was, step, now)? {
        return Ok(false);
    }
    let Some(case) = tx.case(&step.case)?.filter(|case| case.state.is_open()) else { return Ok(true) };
    let told = |state| matches!(state, StepState::Sent | StepState::Delivered);
    match step.state {
        state if told(state) && case.state == CaseState::Open => {
            tx.put_case(&Case { state: CaseState::Notified, ..case })?;
        }
        StepState::Failed => {
            // By the next way at once; and whom no way has reached was not told.
            let untold = case.state == CaseState::Notified
                && !tx.steps(&case.id)?.iter().any(|other| told(other.step.state));
            let state = if untold { CaseState::Open } else { case.state };
            tx.put_case(&Case { state, next: Some(now), ..case })?;
        }
        _ => {}
    }
    Ok(true)
}
