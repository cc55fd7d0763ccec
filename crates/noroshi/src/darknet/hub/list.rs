//! What is said of sensors: how each is, and its gaps. Their names, never an address of theirs.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use noroshi_wire::batch::SensorName;
use serde::Serialize;

use super::ledger::Ledgers;
use super::line::{Gap, Ledger, State};
use super::setup;
use crate::config::Config;
use crate::report::{self, say};

/// Sensors that are elsewhere
#[derive(Debug, Subcommand)]
pub enum SensorsCommand {
    /// List them: newest batch, delay, packets, gaps, what their kernels lost, how their clocks are
    List {
        /// Print JSON, a line for each
        #[arg(long)]
        json: bool,
    },
    /// Write what a new one needs: configurations of both NATS servers, and how to make the certificates
    New(setup::New),
}

/// Does it.
pub fn sensors(config: &Config, what: &SensorsCommand) -> anyhow::Result<ExitCode> {
    let ledgers = Ledgers::of(config);
    match what {
        SensorsCommand::New(wish) => setup::make(&ledgers, wish)?,
        SensorsCommand::List { json } => {
            let now = noroshi_model::clock::Clock::now(&noroshi_model::clock::SystemClock);
            for name in ledgers.sensors()? {
                let listed = Listed::of(&name, &ledgers.read(&name)?, now);
                if *json { report::json(&listed)? } else { listed.say() }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A sensor.
#[derive(Debug, Serialize)]
pub struct Listed {
    sensor: String,
    run: Option<String>,
    /// The newest batch, and when it was made by the sensor's clock, and taken by ours.
    batch: Option<u64>,
    made: Option<Timestamp>,
    taken: Option<Timestamp>,
    /// Since the newest batch was made: how late the hub is.
    delay_s: Option<f64>,
    batches: u64,
    packets: u64,
    /// Of these, of a time that the hub had left behind.
    late: u64,
    /// Lost by the sensor's kernel.
    lost: u64,
    /// Frames that the sensor did not send: no IP, or not to the telescope.
    left_out: u64,
    /// Batches that came again, and messages that were no batch.
    repeats: u64,
    refused: u64,
    /// How far the sensor's clock is behind ours, with the way here; less than nothing: ahead.
    clock_behind_s: Option<f64>,
    gaps: Vec<GapTold>,
}

impl Listed {
    /// A sensor, by what is known of it now.
    pub fn of(name: &SensorName, ledger: &Ledger, now: Timestamp) -> Self {
        let (last, taken) = (ledger.last.as_ref(), ledger.taken);
        let gaps = ledger.runs.iter().flat_map(|(run, progress)| {
            let state = |gap: &Gap| if gap.waiting { State::Open } else { State::Missing };
            progress.gaps.iter().map(move |gap| GapTold::of(name, Some(run.clone()), gap, state(gap)))
        });
        Self {
            sensor: name.to_string(),
            run: last.map(|last| last.run.clone()),
            batch: last.map(|last| last.number),
            made: last.map(|last| last.made),
            taken: last.map(|last| last.taken),
            delay_s: last.map(|last| now.duration_since(last.made).as_secs_f64()),
            batches: taken.batches,
            packets: taken.packets,
            late: taken.late,
            lost: taken.lost,
            left_out: taken.left_out,
            repeats: taken.repeats,
            refused: taken.refused,
            clock_behind_s: last.and_then(|last| last.clock_behind_ms).map(|ms| ms as f64 / 1000.0),
            gaps: gaps.collect(),
        }
    }

    /// As lines.
    pub fn say(&self) {
        let Self { sensor, batches, packets, late, lost, repeats, .. } = self;
        let newest = match (self.taken, self.delay_s) {
            (Some(taken), Some(delay_s)) => format!("last heard {taken:.0}, {delay_s:.0} s behind"),
            _ => "never heard".to_owned(),
        };
        say!(
            "sensor   {sensor}: {newest}; {batches} batches, {packets} packets, {late} late, {lost} lost, {repeats} repeats"
        );
        if let Some(behind) = self.clock_behind_s.filter(|behind| !(-2.0..=5.0).contains(behind)) {
            let (by, where_to) = (behind.abs(), if behind < 0.0 { "ahead" } else { "behind" });
            say!("         its clock may be {by:.0} s {where_to}");
        }
        self.gaps.iter().for_each(GapTold::say);
    }
}

/// A gap, as it is told.
#[derive(Debug, Serialize)]
pub struct GapTold {
    sensor: String,
    state: State,
    run: Option<String>,
    /// First and last batch that is missing; no last where nothing comes at all.
    from: u64,
    to: Option<u64>,
    /// Packets in what is missing still, where that is known.
    packets: Option<u64>,
    since: Timestamp,
}

impl GapTold {
    /// A gap of a run.
    pub fn of(sensor: &SensorName, run: Option<String>, gap: &Gap, state: State) -> Self {
        let Gap { from, to, packets, since, .. } = *gap;
        Self { sensor: sensor.to_string(), state, run, from, to: Some(to), packets: Some(packets), since }
    }

    /// Nothing comes, or something comes again: the gap, if it is one, has no end yet.
    pub fn silence(sensor: &SensorName, ledger: &Ledger, since: Timestamp, state: State) -> Self {
        let last = ledger.last.as_ref();
        let (run, from) = (last.map(|last| last.run.clone()), last.map_or(0, |last| last.number + 1));
        Self { sensor: sensor.to_string(), state, run, from, to: None, packets: None, since }
    }

    /// As a line.
    pub fn say(&self) {
        let Self { sensor, from, since, .. } = self;
        let to = self.to.map_or(String::new(), |to| format!(" to {to}"));
        let packets = self.packets.map_or(String::new(), |packets| format!(", {packets} packets"));
        let told = match self.state {
            State::Open => "are missing; later ones wait",
            State::Missing => "are missing",
            State::Filled => "have come",
            State::Silent => "and on: nothing comes",
            State::Heard => "and on: come again",
        };
        say!("gap      {since:.0} {sensor}: batches {from}{to} {told}{packets}");
    }
}
