//! `noroshi case`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use noroshi_act::notice::jst;
use noroshi_model::{Case, CaseFilter, CaseState, Id, Mark, Seek};
use noroshi_portal::desk::CaseVerb;

use super::judge_all;
use crate::commands::{PAGE, Where};
use crate::house::House;
use crate::report::{self, say};

/// Cases: look at them, hold them, say what is none
#[derive(Debug, Subcommand)]
pub enum CaseCommand {
    /// List cases, newest first
    List {
        /// Which
        #[command(flatten)]
        which: Which,
        /// From which place on, as the list before said
        #[arg(long, value_parser = mark)]
        after: Option<Mark>,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Show one case with its whole story
    Show {
        /// Its id or reference
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold cases: nobody is told until they are released
    Hold(Said),
    /// Let held cases go on
    Release(Said),
    /// Say that they are none; what is seen of them within 30 days waits for a person
    Reject(Said),
    /// Say that a case is the same matter as another of the same contract
    Merge {
        /// The case, by its id or reference
        case: String,
        /// Into which
        #[arg(long, value_name = "CASE")]
        into: String,
        /// Who says so
        #[arg(long = "by", value_name = "NAME")]
        person: String,
        /// Why
        #[arg(long)]
        why: String,
    },
}

/// Which cases.
#[derive(Debug, Args)]
pub struct Which {
    /// open, notified, reported, held, clean, rejected, merged
    #[arg(long, value_parser = state)]
    state: Option<CaseState>,
    /// Of this malware family
    #[arg(long)]
    family: Option<String>,
    /// Of this campaign
    #[arg(long)]
    campaign: Option<String>,
    /// With a step that waits for a person
    #[arg(long)]
    waiting: bool,
}

/// What is said of cases, by whom, and why.
#[derive(Debug, Args)]
pub struct Said {
    /// The cases, by their ids or references
    #[arg(required = true)]
    cases: Vec<String>,
    /// Who says so
    #[arg(long = "by", value_name = "NAME")]
    person: String,
    /// Why
    #[arg(long)]
    why: String,
}

fn state(text: &str) -> Result<CaseState, String> {
    let known = || CaseState::ALL.iter().map(|state| state.id()).collect::<Vec<_>>().join(", ");
    CaseState::parse(text).ok_or_else(|| format!("one of {}", known()))
}

fn mark(text: &str) -> Result<Mark, String> {
    Mark::parse(text).ok_or_else(|| "a place is what the list before ended with".to_owned())
}

/// Does what was typed.
pub fn run(at: &Where, what: CaseCommand) -> anyhow::Result<ExitCode> {
    let house = match &what {
        CaseCommand::List { .. } | CaseCommand::Show { .. } => at.look()?,
        _ => at.visit()?,
    };
    match what {
        CaseCommand::List { which, after, json } => list(&house, which, after, json),
        CaseCommand::Show { id, json } => show(&house, &id, json),
        CaseCommand::Hold(said) => say_of(&house, &said, &CaseVerb::Hold),
        CaseCommand::Release(said) => say_of(&house, &said, &CaseVerb::Release),
        CaseCommand::Reject(said) => say_of(&house, &said, &CaseVerb::Reject),
        CaseCommand::Merge { case, into, person, why } => {
            let into = found(&house, &into)?.id;
            let said = Said { cases: vec![case], person, why };
            say_of(&house, &said, &CaseVerb::Merge(into))
        }
    }
}

fn list(house: &House, which: Which, after: Option<Mark>, json: bool) -> anyhow::Result<ExitCode> {
    let Which { state, family, campaign, waiting } = which;
    let filter = CaseFilter { state, family, campaign, waiting, ..CaseFilter::default() };
    let seek = after.map_or(Seek::Newest, Seek::Older);
    let cases = house.store.look("case.list", |tx| tx.cases(&filter, &seek, PAGE))?;
    for case in &cases {
        if json {
            report::json(case)?;
            continue;
        }
        let again = if case.reinfected { " re-infected" } else { "" };
        let held = case.held_by.as_ref().map(|by| format!(" held by {by}")).unwrap_or_default();
        say!(
            "{}  {}  {:<9} {:<12} {:<16} {} steps  last seen {}{again}{held}",
            case.id,
            case.id.reference(),
            case.state,
            case.family,
            case.campaign,
            case.steps,
            jst(case.last_seen)
        );
    }
    match cases.last() {
        None if !json => eprintln!("no cases; `noroshi observe …` and `noroshi run` make them"),
        Some(last) if cases.len() == PAGE as usize => {
            let place = Mark { at: last.opened, id: last.id.clone() };
            eprintln!("older ones: --after {place}");
        }
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn show(house: &House, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let case = found(house, id)?;
    let story = house.store.look("case.show", |tx| super::case_story(tx, &case.id))?;
    let story = story.context("there is no such case")?;
    if json {
        report::json(&story)?;
        return Ok(ExitCode::SUCCESS);
    }
    say!("{} ({}) {} {}", story.case.id, story.reference, story.case.family, story.case.state);
    for line in story.story {
        let rule = line.rule.map(|r| format!(" [{r}]")).unwrap_or_default();
        let evidence = line.evidence.map(|e| format!(" evidence {e}")).unwrap_or_default();
        say!("{}  {:<10} {}{rule}{evidence}", jst(line.at), line.what, line.text);
    }
    Ok(ExitCode::SUCCESS)
}

fn say_of(house: &House, said: &Said, verb: &CaseVerb) -> anyhow::Result<ExitCode> {
    let cases =
        said.cases.iter().map(|case| Ok(found(house, case)?.id)).collect::<anyhow::Result<Vec<_>>>()?;
    let word = verb.word();
    let judged = judge_all(house, &cases, verb, &said.person, &said.why)?;
    say!("{word}: {}", judged.done);
    for (why, count) in &judged.left {
        say!("not {word}: {count}, because {why}");
    }
    Ok(if judged.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A case by its id or its reference.
pub fn found(house: &House, typed: &str) -> anyhow::Result<Case> {
    let digits = typed.replace('-', "").to_ascii_lowercase();
    if digits.len() < 8 || digits.len() > Id::CHARS || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("{typed} is neither an id nor a reference like AB3D-92F0");
    }
    let found = house.store.look("case.find", |tx| tx.case_by_prefix(&digits))?;
    found.with_context(|| format!("there is no case {typed}, or more than one begins so"))
}
