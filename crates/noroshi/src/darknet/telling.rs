//! What an interface and the hub have in common: what is watched for, and how what is found is told while it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use ipnet::IpNet;
use noroshi_observe::telescope::{Telescope, Turn};
use serde::Serialize;

use super::alerting::{self, Alerting};
use super::keep::KeepArgs;
use super::statistics::Statistics;
use super::told::{self, Alerted, Attacked, Campaigned};
use super::watch::{Fresh, Member, Watch};
use crate::house::House;
use crate::report;
use crate::tables::Enrichment;

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
    /// Write down what is counted, by the minute and the hour, campaigns, and some senders one by one: what the console's Telescope shows
    #[arg(long)]
    pub statistics: bool,
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

/// What is written to the database while it goes on, and the tables by which that is judged, taken anew when they change.
pub struct Notes<'a> {
    pub alerting: Option<Alerting<'a>>,
    pub statistics: Option<Statistics<'a>>,
    tables: &'a Enrichment,
    renewed: Instant,
}

impl<'a> Notes<'a> {
    /// What is wished for, under the telescope's name. There is a house where anything is.
    pub fn new(
        house: Option<&'a House>,
        wish: &Watching,
        name: &str,
        tables: &'a Enrichment,
        telescope: &Telescope,
        watch: &Turn<Watch>,
    ) -> anyhow::Result<Self> {
        let renewed = Instant::now();
        let Some(house) = house else {
            return Ok(Self { alerting: None, statistics: None, tables, renewed });
        };
        let named = &wish.organisations;
        let alerting = wish.alert.then(|| Alerting::new(house, name, named, telescope, watch)).transpose()?;
        let statistics =
            wish.statistics.then(|| Statistics::new(house, name, tables, telescope)).transpose()?;
        if statistics.is_some() && alerting.is_none() {
            alerting::say_there(house, name, telescope)?;
        }
        Ok(Self { alerting, statistics, tables, renewed })
    }

    /// Writes what it is time for; false where something has to be written and could not be.
    pub fn write(&mut self, telescope: &Telescope, watch: &Turn<Watch>) -> bool {
        let written = self.alerting.as_mut().is_none_or(|alerting| alerting.write(telescope, watch));
        if let Some(statistics) = &mut self.statistics {
            statistics.tick(telescope, watch);
        }
        if self.tables.has_files() && self.renewed.elapsed() >= self.tables.look() {
            self.renewed = Instant::now();
            self.tables.renew();
            watch.now(|watch| watch.look_up_in(Arc::clone(&self.tables.now().lists)));
        }
        written
    }

    /// Writes all there is.
    pub fn end(&mut self, telescope: &Telescope, watch: &Turn<Watch>) {
        if let Some(alerting) = &mut self.alerting {
            alerting.go_on(telescope, watch);
            let _told_why = alerting.write(telescope, watch);
        }
        if let Some(statistics) = &mut self.statistics {
            statistics.end(telescope, watch);
        }
    }
}

impl Watching {
    /// Whether anything is written to the database.
    pub fn writes(&self) -> bool {
        self.alert || self.statistics
    }
}

/// Tells what is new since it was told last.
pub fn tell_news(
    watch: &Turn<Watch>,
    telescope: &Telescope,
    notes: &mut Notes<'_>,
    json: bool,
) -> anyhow::Result<()> {
    let fresh = watch.now(Watch::fresh);
    if let Some(alerting) = &mut notes.alerting {
        let is_one = |news: &Fresh| if let Fresh::Alert(alert) = news { Some(alert.clone()) } else { None };
        alerting.alert(&fresh.iter().filter_map(is_one).collect::<Vec<_>>(), telescope);
    }
    if let Some(statistics) = &mut notes.statistics
        && fresh.iter().any(|news| matches!(news, Fresh::Campaign(_)))
        && let Err(error) = statistics.write_campaigns(watch)
    {
        tracing::error!("a campaign waits for the database: {error}");
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
