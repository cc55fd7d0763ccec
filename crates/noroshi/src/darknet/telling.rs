//! What an interface and the hub have in common: what is watched for, and how what is found is told while it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use noroshi_observe::telescope::{Telescope, Turn};
use serde::Serialize;

use super::alerting::Alerting;
use super::keep::KeepArgs;
use super::told::{self, Alerted, Attacked, Campaigned};
use super::watch::{Fresh, Member, Watch};
use crate::report;

/// How often what is new is told, and how it goes.
pub const TELL: Duration = Duration::from_millis(250);
/// How often quiet senders are forgotten, and since when they are quiet.
pub const FORGET: Duration = Duration::from_secs(3600);
pub const QUIET_NS: u64 = 24 * 3600 * 1_000_000_000;

/// What is watched for, and how it is told.
#[derive(Clone, Debug, Args)]
pub struct Watching {
    /// The telescope's networks; packets to other addresses are counted and left out [default: every address]
    #[arg(long = "network", value_name = "PREFIX")]
    pub networks: Vec<IpNet>,
    /// An organisation that is told when one of its addresses is seen; may be repeated
    #[arg(long = "organisation", value_name = "NAME=PREFIX")]
    pub organisations: Vec<Member>,
    /// Write down what is seen of registered organisations' addresses (`noroshi organisation`), from where `noroshi run` tells them
    #[arg(long)]
    pub alert: bool,
    /// What is kept for history
    #[command(flatten)]
    pub keep: KeepArgs,
    /// Stop after so many seconds [default: when told to]
    #[arg(long, value_name = "SECONDS")]
    pub stop_after_s: Option<u64>,
    /// Say every so many seconds how it goes
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub every_s: u64,
    /// Print JSON, a line each for what is found and for how it goes, and in the end what replay prints
    #[arg(long)]
    pub json: bool,
}

/// Tells what is new since it was told last.
pub fn tell_news(
    watch: &Turn<Watch>,
    telescope: &Telescope,
    alerting: &mut Option<Alerting<'_>>,
    json: bool,
) -> anyhow::Result<()> {
    let fresh = watch.now(Watch::fresh);
    if let Some(alerting) = alerting {
        let is_one = |news: &Fresh| if let Fresh::Alert(alert) = news { Some(alert.clone()) } else { None };
        alerting.alert(&fresh.iter().filter_map(is_one).collect::<Vec<_>>(), telescope);
    }
    for news in fresh {
        match news {
            Fresh::Alert(alert) => tell_one(json, "alert", &Alerted::of(&alert, None), told::say_alert)?,
            Fresh::Campaign(campaign) => {
                tell_one(json, "campaign", &Campaigned::of(&campaign), told::say_campaign)?;
            }
            Fresh::Victim(attack) => {
                tell_one(json, "victim", &Attacked::of(&attack, telescope.part_of_all()), told::say_victim)?;
            }
        }
    }
    Ok(())
}

pub fn tell_one<T: Serialize>(json: bool, name: &str, told: &T, say: impl Fn(&T)) -> anyhow::Result<()> {
    if json {
        return report::json(&BTreeMap::from([(name, told)]));
    }
    say(told);
    Ok(())
}
