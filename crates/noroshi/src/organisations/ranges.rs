//! `noroshi organisation range`: ranges, and the proof that they are whose they are said to be.

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use ipnet::IpNet;
use noroshi_act::notice::jst;
use noroshi_model::organisation::{Proof, Range};

use super::command::{By, known};
use super::proof;
use crate::house::House;
use crate::report::{self, plain, say};

/// Ranges
#[derive(Debug, Subcommand)]
pub enum RangeCommand {
    /// Say that a range is its own; prints how to prove it
    Add {
        /// Whose
        key: String,
        /// Which
        prefix: IpNet,
        #[command(flatten)]
        by: By,
    },
    /// Look for the proof, or say that you have seen to it
    Prove {
        /// Whose
        key: String,
        /// Which [default: all that are not proven]
        prefix: Option<IpNet>,
        /// You have seen to it, as you say here
        #[arg(long, value_name = "TEXT", requires = "prefix")]
        vouch: Option<String>,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        by: By,
    },
    /// Take it back
    Remove {
        /// Whose
        key: String,
        /// Which
        prefix: IpNet,
        #[command(flatten)]
        by: By,
    },
}

/// Does it.
pub fn run(house: &House, what: &RangeCommand) -> anyhow::Result<ExitCode> {
    match what {
        RangeCommand::Add { key, prefix, by } => {
            known(house, key)?;
            let prefix = prefix.trunc();
            let token = noroshi_model::Id::random().context("the system gave no randomness")?.to_string();
            house.note(&by.person, &format!("entered {prefix} as a range of {key}"))?;
            let range = Range {
                prefix,
                organisation: key.clone(),
                token,
                proof: None,
                found: String::new(),
                proven: None,
                checked: None,
                missing: 0,
            };
            let new = house.store.tx("organisation.range", |tx| tx.insert_range(&range))?;
            ensure!(new, "{prefix} is entered already, of {key} or of another");
            how_to_prove(&range);
        }
        RangeCommand::Prove { key, prefix, vouch, json, by } => {
            return prove(house, key, prefix.map(|prefix| prefix.trunc()), vouch.as_deref(), *json, by);
        }
        RangeCommand::Remove { key, prefix, by } => {
            let prefix = prefix.trunc();
            house.note(&by.person, &format!("took back {prefix} as a range of {key}"))?;
            let was = house.store.tx("organisation.range", |tx| tx.remove_range(key, prefix))?;
            ensure!(was, "{prefix} is no range of {key}; see `noroshi organisation show {key}`");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a range stands as.
pub fn state_of(range: &Range) -> String {
    match (range.proof, range.proven) {
        (Some(proof), Some(since)) => {
            let missing = match range.missing {
                0 => String::new(),
                n => format!(", not found the last {n} times"),
            };
            format!("proven by {proof} since {} ({}){missing}", jst(since), plain(&range.found))
        }
        (Some(_), None) => "its proof is not there any more: told of no more".to_owned(),
        (None, _) => "not proven: told of nothing yet".to_owned(),
    }
}

fn how_to_prove(range: &Range) {
    let (around, within) = proof::names(range.prefix);
    let wanted = proof::wanted(&range.token);
    say!("To prove that {} is theirs, they put one of these where only they can:", range.prefix);
    say!("  a TXT record           {around} IN TXT \"{wanted}\"");
    if within != [around] {
        let more = if within.len() > 2 { format!(", … ({} in all)", within.len()) } else { String::new() };
        let some = within.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(", ");
        say!("  or the same record at each of  {some}{more}");
    }
    say!("  or a line in the remarks of the registry's object (RDAP)  {wanted}");
    say!("Then: noroshi organisation range prove {} {} --by NAME", range.organisation, range.prefix);
}

fn prove(
    house: &House,
    key: &str,
    prefix: Option<IpNet>,
    vouch: Option<&str>,
    json: bool,
    by: &By,
) -> anyhow::Result<ExitCode> {
    known(house, key)?;
    let mut ranges = house.store.look("organisation.ranges", |tx| tx.ranges(Some(key)))?;
    match prefix {
        Some(prefix) => ranges.retain(|range| range.prefix == prefix),
        None => ranges.retain(|range| range.proven.is_none()),
    }
    if ranges.is_empty() {
        bail!("{key} has no such range; see `noroshi organisation show {key}`");
    }
    let mut failed = false;
    for range in ranges {
        let result = match vouch {
            Some(words) => Ok(vouched(house, range.clone(), words, by)?),
            None => proof::prove(house, &range)?,
        };
        match result {
            Ok(range) => {
                let how = state_of(&range);
                house.note(&by.person, &format!("{} of {key}: {how}", range.prefix))?;
                if json { report::json(&range)? } else { say!("{} {how}", range.prefix) }
            }
            Err(why) => {
                failed = true;
                if json {
                    report::json(&serde_json::json!({ "prefix": range.prefix, "not-found": why }))?;
                } else {
                    say!("{} is not proven:", range.prefix);
                    why.iter().for_each(|line| say!("  {}", plain(line)));
                }
            }
        }
    }
    Ok(if failed { ExitCode::from(crate::commands::FOUND_WRONG) } else { ExitCode::SUCCESS })
}

fn vouched(house: &House, range: Range, words: &str, by: &By) -> anyhow::Result<Range> {
    let now = house.clock.now();
    let range = Range {
        proof: Some(Proof::Person),
        found: format!("{}: {words}", by.person),
        proven: Some(range.proven.unwrap_or(now)),
        checked: Some(now),
        missing: 0,
        ..range
    };
    house.store.tx("organisation.vouch", |tx| tx.put_range(&range))?;
    Ok(range)
}
