//! `noroshi ladder` and `noroshi step`.

use std::process::ExitCode;

use anyhow::bail;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use noroshi_act::notice::jst;
use noroshi_model::case::StepState;
use noroshi_model::{Channel, Step};
use noroshi_store::StoreError;
use noroshi_store::outbox::{EVERYTHING, Outgoing};

use super::acts::{self, Verdict};
use crate::commands::Where;
use crate::house::House;
use crate::report::{self, say, say_on};
use crate::stages::outbox;

/// Steps listed at most.
const LISTED_MAX: u32 = 10_000;
/// How long after an unanswered call another is made.
const CALL_AGAIN: SignedDuration = SignedDuration::from_hours(20);
/// Calls before this way is given up.
const CALLS_MAX: u32 = 3;

/// How subscribers are told, and the switch that stops it
#[derive(Debug, Subcommand)]
pub enum LadderCommand {
    /// Show the ladder, and what is stopped
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop telling anybody, at once and in every process, until `go`
    Stop(Switch),
    /// Let it go on
    Go(Switch),
}

/// What is switched, by whom, and why.
#[derive(Debug, Args)]
pub struct Switch {
    /// Only this way
    #[arg(long, conflicts_with = "campaign", value_parser = channel)]
    channel: Option<Channel>,
    /// Only this campaign
    #[arg(long)]
    campaign: Option<String>,
    /// Who says so
    #[arg(long = "by", value_name = "NAME")]
    person: String,
    /// Why
    #[arg(long)]
    why: String,
}

impl Switch {
    fn scope(&self) -> String {
        match (&self.channel, &self.campaign) {
            (Some(channel), _) => format!("channel:{channel}"),
            (_, Some(campaign)) => format!("campaign:{campaign}"),
            _ => EVERYTHING.to_owned(),
        }
    }
}

fn channel(text: &str) -> Result<Channel, String> {
    let known = || Channel::ALL.iter().map(|channel| channel.id()).collect::<Vec<_>>().join(", ");
    Channel::parse(text).ok_or_else(|| format!("one of {}", known()))
}

fn state(text: &str) -> Result<StepState, String> {
    let known = || StepState::ALL.iter().map(|state| state.id()).collect::<Vec<_>>().join(", ");
    StepState::parse(text).ok_or_else(|| format!("one of {}", known()))
}

/// Steps of the ladder: those that wait for a person, and calls that were made
#[derive(Debug, Subcommand)]
pub enum StepCommand {
    /// List steps in a state, newest first
    List {
        /// proposed, pending, sending, sent, delivered, failed, in-doubt, rejected, stopped
        #[arg(long, default_value = "proposed", value_parser = state)]
        state: StepState,
        /// Only this way
        #[arg(long, value_parser = channel)]
        channel: Option<Channel>,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Approve a step that waits for a person
    #[command(group(ArgGroup::new("which").required(true).args(["case", "all"])))]
    Approve(Judged),
    /// Say no to it
    #[command(group(ArgGroup::new("which").required(true).args(["case", "all"])))]
    Reject(Judged),
    /// Say what came of a call
    Called {
        /// The case, by its id or its reference on the list
        case: String,
        /// What came of it
        #[arg(long, value_enum)]
        result: Called,
        /// Who called
        #[arg(long = "by", value_name = "NAME")]
        person: String,
    },
}

/// Which steps, and who judges them.
#[derive(Debug, Args)]
pub struct Judged {
    /// The case, by its id or its reference
    case: Option<String>,
    /// Every step of this way that waits
    #[arg(long, value_name = "CHANNEL", value_parser = channel)]
    all: Option<Channel>,
    /// Who judges
    #[arg(long = "by", value_name = "NAME")]
    person: String,
    /// Why
    #[arg(long, default_value = "")]
    why: String,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Called {
    /// The subscriber was told
    Reached,
    /// Nobody answered: again tomorrow, three times in all
    NoAnswer,
    /// Not their number
    WrongNumber,
}

/// Shows the ladder or throws the switch.
pub fn ladder(at: &Where, what: &LadderCommand) -> anyhow::Result<ExitCode> {
    match what {
        LadderCommand::Show { json } => show(&at.look()?, *json)?,
        LadderCommand::Stop(switch) => {
            let scope = switch.scope();
            if !acts::stop(&at.visit()?, &scope, &switch.person, &switch.why)? {
                bail!("{scope} is stopped already; see `noroshi ladder show`");
            }
        }
        LadderCommand::Go(switch) => {
            let scope = switch.scope();
            if !acts::go(&at.visit()?, &scope, &switch.person, &switch.why)? {
                bail!("{scope} is not stopped; see `noroshi ladder show`");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(house: &House, json: bool) -> anyhow::Result<()> {
    let stopped = house.store.tx("ladder.stopped", |tx| tx.stopped())?;
    let ladder = &house.config.reach.ladder;
    let hours = |channel| ladder.hours.get(&channel).map(ToString::to_string);
    if json {
        let rung = |rung: &noroshi_act::ladder::Rung| {
            serde_json::json!({
                "channel": rung.channel, "times": rung.times, "after-days": rung.after_days,
                "approval": rung.approval, "hours": hours(rung.channel),
                "per-hour": house.config.reach.per_hour.get(&rung.channel),
            })
        };
        let rungs: Vec<_> = ladder.rungs.iter().map(rung).collect();
        return report::json(&serde_json::json!({ "rungs": rungs, "stopped": stopped }));
    }
    for (at, rung) in ladder.rungs.iter().enumerate() {
        let when = hours(rung.channel).map_or_else(|| "at any hour".into(), |hours| format!("at {hours}"));
        let most = house.config.reach.per_hour.get(&rung.channel).map(|n| format!(", {n} an hour"));
        let person = if rung.approval { ", approved by a person" } else { "" };
        say!(
            "{}. {:<13} {}×, {} days after the step before, {when}{}{person}",
            at + 1,
            rung.channel,
            rung.times,
            rung.after_days,
            most.unwrap_or_default()
        );
    }
    for stopped in stopped {
        say!("STOPPED {} since {} by {}: {}", stopped.scope, jst(stopped.since), stopped.person, stopped.why);
    }
    Ok(())
}

/// Lists steps, or says what a person says of them.
pub fn steps(at: &Where, what: &StepCommand) -> anyhow::Result<ExitCode> {
    match what {
        StepCommand::List { state, channel, json } => list(&at.look()?, *state, *channel, *json)?,
        StepCommand::Approve(judged) => judge(&at.visit()?, judged, Verdict::Approved)?,
        StepCommand::Reject(judged) => judge(&at.visit()?, judged, Verdict::Rejected)?,
        StepCommand::Called { case, result, person } => called(&at.visit()?, case, *result, person)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(house: &House, state: StepState, channel: Option<Channel>, json: bool) -> anyhow::Result<()> {
    let channels = channel.as_ref().map_or(Channel::ALL, std::slice::from_ref);
    for channel in channels {
        let steps = house
            .store
            .tx("step.list", |tx| tx.steps_in(*channel, state, Timestamp::UNIX_EPOCH, LISTED_MAX))?;
        for Outgoing { step, changed, .. } in &steps {
            if json {
                report::json(step)?;
            } else {
                let reference = step.case.reference();
                say!(
                    "{} {reference} {:<13} {:<9} {} {}",
                    step.case,
                    step.channel,
                    step.state,
                    jst(*changed),
                    step.reply
                );
            }
        }
    }
    Ok(())
}

fn judge(house: &House, judged: &Judged, verdict: Verdict) -> anyhow::Result<()> {
    let waiting = match (&judged.case, judged.all) {
        (Some(case), _) => {
            let case = crate::cases::found(house, case)?.id;
            let mut steps = house.store.tx("step.of-case", |tx| tx.steps(&case))?;
            steps.retain(|step| step.step.state == StepState::Proposed);
            if steps.is_empty() {
                bail!("no step of case {case} waits for a person");
            }
            steps
        }
        (None, Some(channel)) => house.store.tx("step.waiting", |tx| {
            tx.steps_in(channel, StepState::Proposed, Timestamp::UNIX_EPOCH, LISTED_MAX)
        })?,
        (None, None) => bail!("name a case, or --all with a way"),
    };
    let mut count = 0;
    for step in waiting {
        count += u64::from(acts::judge(house, step, verdict, &judged.person, &judged.why)?);
    }
    say_on!("{count} {}\n", verdict.word());
    Ok(())
}

fn called(house: &House, case: &str, result: Called, person: &str) -> anyhow::Result<()> {
    let (case, now) = (crate::cases::found(house, case)?.id, house.clock.now());
    let written = house.store.tx::<_, StoreError>("step.called", |tx| {
        let on_list =
            |step: &Outgoing| step.step.channel == Channel::Call && step.step.state == StepState::Sent;
        let Some(call) = tx.steps(&case)?.into_iter().rfind(on_list) else { return Ok(false) };
        let given_up = result == Called::WrongNumber || call.step.attempts >= CALLS_MAX;
        let (state, word, due) = match result {
            Called::Reached => (StepState::Delivered, "reached", call.step.due),
            _ if given_up => (
                StepState::Failed,
                if result == Called::NoAnswer { "no answer" } else { "wrong number" },
                now,
            ),
            _ => (
                StepState::Pending,
                "no answer",
                house.config.reach.ladder.open(Channel::Call, now + CALL_AGAIN),
            ),
        };
        let step = Step { state, due, reply: format!("{word}, says {person}"), ..call.step };
        outbox::write(tx, StepState::Sent, &step, now)
    })?;
    if !written {
        bail!("no call of case {case} is on a list");
    }
    Ok(())
}
