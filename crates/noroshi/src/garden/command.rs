//! `noroshi garden`.

use std::process::ExitCode;

use anyhow::bail;
use clap::{ArgGroup, Subcommand};
use noroshi_act::notice::jst;
use noroshi_model::Id;

use crate::commands::Where;
use crate::report::{self, say, say_on};

/// Lines listed at most.
const LISTED_MAX: u32 = 10_000;

/// The walled garden: who is in, and letting them out
#[derive(Debug, Subcommand)]
pub enum GardenCommand {
    /// List the cases whose line is in, longest first
    List {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Let a line out, or all of them
    #[command(group(ArgGroup::new("which").required(true).args(["case", "all"])))]
    Release {
        /// The case
        case: Option<String>,
        /// Everybody
        #[arg(long)]
        all: bool,
        /// Who says so
        #[arg(long = "by", value_name = "NAME")]
        person: String,
        /// Why
        #[arg(long)]
        why: String,
    },
}

/// Lists stays or ends them.
pub fn command(at: &Where, what: &GardenCommand) -> anyhow::Result<ExitCode> {
    match what {
        GardenCommand::List { json } => {
            let house = at.look()?;
            for stay in house.store.tx("garden.list", |tx| tx.in_garden(LISTED_MAX))? {
                if *json {
                    report::json(&serde_json::json!({
                        "case": stay.case, "step": stay.step, "since": stay.since, "until": stay.until,
                        "leaving-since": stay.asked, "why": stay.why, "attempts": stay.attempts,
                    }))?;
                } else {
                    let leaving = stay.asked.map(|at| format!(", leaving since {}: {}", jst(at), stay.why));
                    let reference = stay.case.reference();
                    say!(
                        "{} {reference} since {}, until {} at most{}",
                        stay.case,
                        jst(stay.since),
                        jst(stay.until),
                        leaving.unwrap_or_default()
                    );
                }
            }
        }
        GardenCommand::Release { case, person, why, .. } => {
            let house = at.visit()?;
            let (now, why) = (house.clock.now(), format!("{person}: {why}"));
            let asked = match case.as_deref().map(Id::parse) {
                Some(Some(case)) => house.store.tx("garden.release", |tx| tx.ask_out(&case, &why, now))?,
                Some(None) => bail!("that is no case id; see `noroshi garden list`"),
                None => house.store.tx("garden.release-all", |tx| tx.ask_all_out(&why, now))?,
            };
            if asked == 0 {
                bail!("no such line is in the garden");
            }
            say_on!("{asked} asked to be let out; `noroshi garden list` shows who still is in\n");
        }
    }
    Ok(ExitCode::SUCCESS)
}
