//! `noroshi outcome`: what came of it, by campaign, by wording, by network.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use noroshi_improve::{effect, funnel, networks, wording};

use crate::house::House;
use crate::report::{self, say, say_on};

/// What is shown: the funnels, where nothing else is asked for.
#[derive(Debug, Args)]
pub struct OutcomeCommand {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show what telling does: cases that were told beside those that chance held out
    #[arg(long, conflicts_with = "svg")]
    effect: bool,
    /// Show which wording works: the cases of each wording that is or was tried out
    #[arg(long, conflicts_with = "effect")]
    wordings: bool,
    /// Show how infected each network is, week by week
    #[arg(long, conflicts_with_all = ["effect", "wordings"])]
    networks: bool,
    /// Leave out what would tell of few people: numbers from 1 to 4, and what they would follow from
    #[arg(long, requires = "networks")]
    public: bool,
    /// Print as SVG one campaign's funnel; with --wordings one round, with --networks one network (* is all of them)
    #[arg(long, value_name = "NAME", conflicts_with = "json")]
    svg: Option<String>,
}

/// Shows what came of it.
pub fn command(house: &House, what: &OutcomeCommand) -> anyhow::Result<ExitCode> {
    match what {
        OutcomeCommand { effect: true, json, .. } => effects(house, *json),
        OutcomeCommand { wordings: true, json, svg, .. } => wordings(house, *json, svg.as_deref()),
        OutcomeCommand { networks: true, json, svg, public, .. } => {
            of_networks(house, *public, *json, svg.as_deref())
        }
        OutcomeCommand { json, svg, .. } => funnels(house, *json, svg.as_deref()),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn effects(house: &House, as_json: bool) -> anyhow::Result<()> {
    let trials = report::trials(house)?;
    if as_json {
        return report::json(&trials);
    }
    if trials.is_empty() {
        eprintln!(
            "no case was held out yet; `noroshi config show` says how many are to be: outcome.hold-out-percent"
        );
    }
    say_on!("{}", effect::table(&trials));
    Ok(())
}

fn wordings(house: &House, as_json: bool, svg: Option<&str>) -> anyhow::Result<()> {
    let trials = report::wordings(house)?;
    if let Some(name) = svg {
        let trial = trials.iter().find(|trial| trial.name() == name);
        say!(
            "{}",
            wording::svg(trial.context("there is no such round; `noroshi outcome --wordings` lists them")?)
        );
        return Ok(());
    }
    if as_json {
        return report::json(&trials);
    }
    if trials.is_empty() {
        eprintln!("no other wording was tried out yet; [[notice.wording]] in the configuration names one");
    }
    say_on!("{}", wording::table(&trials));
    Ok(())
}

fn of_networks(house: &House, public: bool, as_json: bool, svg: Option<&str>) -> anyhow::Result<()> {
    let rates = report::networks(house, public)?;
    if let Some(name) = svg {
        let rate = rates.iter().find(|rate| rate.network == name);
        say!(
            "{}",
            networks::svg(rate.context("there is no such network; `noroshi outcome --networks` lists them")?)
        );
        return Ok(());
    }
    if as_json {
        return report::json(&rates);
    }
    if rates.is_empty() {
        eprintln!(
            "nothing was counted yet: where `noroshi run` works the stage improve, that is done every hour"
        );
    }
    say_on!("{}", networks::table(&rates));
    Ok(())
}

fn funnels(house: &House, as_json: bool, svg: Option<&str>) -> anyhow::Result<()> {
    let funnels = house.store.tx("outcome", |tx| tx.funnels())?;
    if let Some(campaign) = svg {
        let funnel = funnels.iter().find(|f| f.campaign == campaign).context("there is no such campaign")?;
        say!("{}", funnel::svg(funnel));
    } else if as_json {
        report::json(&funnels)?;
    } else {
        say_on!("{}", funnel::table(&funnels));
    }
    Ok(())
}
