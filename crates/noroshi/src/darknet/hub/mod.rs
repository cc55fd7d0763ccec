//! The hub: packets of sensors that are elsewhere, taken in once each, and looked at as those of an interface.
//!
//! ```text
//!   each sensor's stream ──pull──▶ line: in order, once ──▶ Frames ──▶ Telescope, Watch ──told──▶ ledger on disk ──▶ acknowledged
//!                                     └──▶ gaps: told when they open, when nothing waits for them any more, when they are filled
//! ```
//!
//! The order of the last three is what makes it right: who is killed in between takes the same batches again, tells what they showed once
//! more, and counts none of them twice. With `--keep` each is on the disk for history before the ledger knows it.
//!
//! A sensor's packets are taken in their own order. What comes of a time that the hub has left behind, because other sensors went on while
//! this one was cut off, is late ([`LATE_NS`]): it counts for its senders and for those who are told when an address of theirs is seen, at the time when that
//! was; but it is no part of a campaign, because many who come at once after a cut did not begin at once. With one sensor, or when all were
//! cut off, nothing is late.

mod ledger;
mod line;
mod list;
mod pull;
mod setup;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use async_nats::jetstream::{AckKind, Message};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use noroshi_model::clock::{Clock as _, SystemClock};
use noroshi_observe::telescope::{Glance, Telescope, Turn};
use noroshi_wire::batch::{self, BatchError, BatchName, Head, SensorName};
use noroshi_wire::capture::Frames;
use tokio::sync::mpsc;

use super::judged;
use super::keep::Keep;
use super::nats::NatsArgs;
use super::telling::{FORGET, Notes, QUIET_NS, TELL, Watching, tell_news, tell_one};
use super::told;
use super::watch::{self, Watch};
use crate::commands::Where;
use crate::report;
use crate::tables::Enrichment;

use ledger::Ledgers;
use line::{GapNews, Last, Line, Offered, State, Taken};
use list::GapTold;

pub use list::{SensorsCommand, sensors};

/// Batches of all sensors that wait for being taken in.
const WAITING_MAX: usize = 128;
/// Most batches that are made durable at once.
const AT_ONCE: usize = 64;
/// Of frames that are older than the newest by so much the order is lost; campaigns count by minutes.
const LATE_NS: u64 = 50 * 1_000_000_000;
/// Different reasons that are told.
const REASONS_MAX: usize = 100;
/// How long who is told to stop waits for acknowledgements to leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// Watch through sensors that are elsewhere, and tell who sends what and why
#[derive(Clone, Debug, Args)]
pub struct Hub {
    /// A sensor; may be repeated [default: all that `sensors new` was asked for]
    #[arg(long = "sensor", value_name = "NAME")]
    pub sensors: Vec<SensorName>,
    /// The hub's NATS server, to which those of the sensors connect
    #[command(flatten)]
    pub nats: NatsArgs,
    /// Batches wait so long for one that is missing before them
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience_s: u32,
    /// A sensor from which nothing came for so long is told of; each sends something every ten seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub silent_s: u32,
    /// A server gives again what was not acknowledged for so long; settled when a sensor is met first
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub again_after_s: u64,
    /// What is watched for, and how it is told
    #[command(flatten)]
    pub watching: Watching,
}

/// One sensor, as it is now.
struct Sensor {
    name: SensorName,
    line: Line<Message>,
    /// When something came last, or since when it is listened to.
    heard: Instant,
    heard_at: Timestamp,
    silent: bool,
    /// Whether more is known than is written down.
    changed: bool,
    /// Why messages were not taken, each told once.
    refused: HashSet<String>,
}

/// All that is taken in.
struct Intake<'a> {
    wish: &'a Hub,
    ledgers: &'a Ledgers,
    telescope: &'a Telescope,
    watch: &'a Turn<Watch>,
    sensors: Vec<Sensor>,
    turn: u64,
    /// The newest frame's time.
    newest_ns: u64,
    frames: Frames,
    glance: Glance,
    /// Taken in, and not acknowledged yet.
    taken: Vec<Message>,
    notes: Notes<'a>,
    keep: Option<Keep>,
}

/// What the telescope of all sensors is called.
const NAME: &str = "hub";

/// Does it.
pub fn run(at: &Where, wish: &Hub) -> anyhow::Result<ExitCode> {
    let house = wish.watching.writes().then(|| at.visit()).transpose()?;
    let config = &at.read()?;
    let tables = Enrichment::read(&config.enrich)?;
    let ledgers = Ledgers::of(config);
    let _lock = ledgers.lock()?;
    let names = if wish.sensors.is_empty() { ledgers.sensors()? } else { wish.sensors.clone() };
    ensure!(!names.is_empty(), "no sensor is known; `noroshi darknet sensors new` makes one");
    let keep = wish.watching.keep.open()?;
    let begun = Instant::now();
    let telescope = Telescope::new(wish.watching.networks.clone());
    let watch =
        Turn::new(Watch::new(watch::members(&wish.watching.organisations)?, Arc::clone(&tables.now().lists)));
    let sensors = names.iter().map(|name| Sensor::new(name, &ledgers)).collect::<anyhow::Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (into, mut coming) = mpsc::channel(WAITING_MAX);
    for (at, name) in names.into_iter().enumerate() {
        runtime.spawn(pull::follow(at, name, wish.clone(), into.clone()));
    }
    eprintln!("noroshi: listening to {} sensors", sensors.len());
    let (taken, glance, frames) = (Vec::new(), Glance::default(), Frames::default());
    let (turn, newest_ns, ledgers) = (0, 0, &ledgers);
    let (telescope, watch) = (&telescope, &watch);
    let notes = Notes::new(house.as_ref(), &wish.watching, NAME, &tables, telescope, watch)?;
    let mut intake = Intake {
        wish,
        ledgers,
        telescope,
        watch,
        sensors,
        turn,
        newest_ns,
        frames,
        glance,
        taken,
        notes,
        keep,
    };
    let went = intake.go(&runtime, &mut coming);
    intake.give_back(&runtime, coming);
    runtime.shutdown_timeout(FAREWELL);
    went?;
    tell_news(watch, telescope, &mut intake.notes, wish.watching.json)?;
    intake.tell_what_is_kept()?;
    intake.notes.end(telescope, watch);
    let judged = judged::judge(telescope, &tables.now(), super::threads::usual());
    let wall_s = begun.elapsed().as_secs_f64();
    let replayed = watch.look(|watch| told::summary(telescope, watch, judged, Vec::new(), wall_s))?;
    if wish.watching.json {
        report::json(&replayed)?;
    } else {
        told::print(&replayed);
    }
    Ok(ExitCode::SUCCESS)
}

impl Sensor {
    fn new(name: &SensorName, ledgers: &Ledgers) -> anyhow::Result<Self> {
        let line = Line::new(ledgers.read(name)?);
        let (heard, heard_at) = (Instant::now(), SystemClock.now());
        let (silent, changed, refused) = (false, true, HashSet::new());
        Ok(Self { name: name.clone(), line, heard, heard_at, silent, changed, refused })
    }

    /// Something came.
    fn heard(&mut self, now: Timestamp) -> Option<GapTold> {
        (self.heard, self.heard_at) = (Instant::now(), now);
        std::mem::take(&mut self.silent)
            .then(|| GapTold::silence(&self.name, &self.line.ledger, now, State::Heard))
    }

    /// Nothing came for long.
    fn silent(&mut self, after: Duration) -> Option<GapTold> {
        let silent = !self.silent && self.heard.elapsed() >= after;
        self.silent |= silent;
        silent.then(|| GapTold::silence(&self.name, &self.line.ledger, self.heard_at, State::Silent))
    }

    /// Says once of each kind why a message is not taken.
    fn refuse(&mut self, why: &str) {
        self.line.ledger.taken.refused += 1;
        self.changed = true;
        if self.refused.len() < REASONS_MAX && self.refused.insert(why.to_owned()) {
            eprintln!("noroshi: sensor {}: {why}", self.name);
        }
    }
}

impl Intake<'_> {
    /// Takes in what comes, until it is time to stop.
    fn go(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        coming: &mut mpsc::Receiver<(usize, Message)>,
    ) -> anyhow::Result<()> {
        let (begun, mut status_at, mut forgot_at, mut told_at) =
            (Instant::now(), Instant::now(), Instant::now(), Instant::now());
        let mut arrived = Vec::new();
        let mut told_to_stop = Box::pin(told_to_stop());
        loop {
            let stop = runtime.block_on(async {
                tokio::select! {
                    _ = coming.recv_many(&mut arrived, AT_ONCE) => false,
                    () = tokio::time::sleep(TELL) => false,
                    () = &mut told_to_stop => true,
                }
            });
            for (at, message) in arrived.drain(..) {
                self.arrive(runtime, at, message)?;
            }
            self.take()?;
            if told_at.elapsed() >= TELL || !self.taken.is_empty() {
                told_at = Instant::now();
                self.pass()?;
                tell_news(self.watch, self.telescope, &mut self.notes, self.wish.watching.json)?;
            }
            // What organisations are to be told is written down before its packets are.
            if self.notes.write(self.telescope, self.watch) {
                self.acknowledge(runtime)?;
            }
            if status_at.elapsed() >= Duration::from_secs(self.wish.watching.every_s) {
                status_at = Instant::now();
                self.tell_how_it_goes()?;
            }
            if forgot_at.elapsed() >= FORGET {
                forgot_at = Instant::now();
                self.telescope.forget_before(now_ns().saturating_sub(QUIET_NS));
            }
            if stop
                || self.wish.watching.stop_after_s.is_some_and(|s| begun.elapsed() >= Duration::from_secs(s))
            {
                return Ok(());
            }
        }
    }

    /// A message of a sensor's stream.
    fn arrive(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        at: usize,
        message: Message,
    ) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let sensor = &mut self.sensors[at];
        let head = match batch::read(&message.payload, &mut self.frames) {
            Ok(head) if head.sensor == sensor.name => head,
            Ok(_) => {
                sensor.refuse("a batch of another sensor");
                return end(runtime, &message);
            }
            // It waits in its stream, for a hub that knows it.
            Err(error @ BatchError::Version(_)) => {
                sensor.refuse(&error.to_string());
                return Ok(());
            }
            Err(error) => {
                sensor.refuse(&error.to_string());
                return end(runtime, &message);
            }
        };
        if let Some(heard) = sensor.heard(now) {
            tell_one(self.wish.watching.json, "gap", &heard, GapTold::say)?;
        }
        let packets = self.frames.len() as u64;
        sensor.changed = true;
        if let Offered::Repeat(message) = sensor.line.offer(head, packets, message, now) {
            self.taken.push(message);
        }
        Ok(())
    }

    /// Takes in what is ready, of all sensors.
    fn take(&mut self) -> anyhow::Result<()> {
        let now = SystemClock.now();
        for at in 0..self.sensors.len() {
            for (head, message) in self.sensors[at].line.ready() {
                batch::read(&message.payload, &mut self.frames)?;
                if let Some(keep) = &mut self.keep {
                    keep.put(&BatchName::of(&head), &message.payload, self.frames.len() as u64);
                }
                let late = self.look(at);
                let sensor = &mut self.sensors[at];
                note(sensor, &head, &message, self.frames.len() as u64, late, now);
                self.taken.push(message);
            }
        }
        Ok(())
    }

    /// Looks at the frames at hand; gives back whether they are late. What is ahead of our clock, by a sensor's, is of now: one such sensor
    /// would otherwise end every attack, and make all others late.
    fn look(&mut self, sensor: usize) -> bool {
        self.frames.no_later_than(now_ns());
        let mut times = self.frames.iter().filter_map(|frame| frame.at_ns);
        let first = times.next();
        let last = times.last().or(first);
        let late = first.is_some_and(|first| first.saturating_add(LATE_NS) < self.newest_ns);
        self.newest_ns = self.newest_ns.max(last.unwrap_or(0));
        self.telescope.look(&self.frames, &mut self.glance);
        self.glance.sensor = (sensor % 64) as u8;
        self.telescope.take(self.turn, &mut self.glance);
        let glance = &mut self.glance;
        self.watch.at(self.turn, |watch| if late { watch.take_late(glance) } else { watch.take(glance) });
        self.turn += 1;
        late
    }

    /// Lets time pass: gaps that nobody waits for any more, sensors that are silent.
    fn pass(&mut self) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let patience = SignedDuration::from_secs(self.wish.patience_s.into());
        let silent = Duration::from_secs(self.wish.silent_s.into());
        let json = self.wish.watching.json;
        for sensor in &mut self.sensors {
            sensor.line.pass(now, patience);
            for GapNews { run, gap, state } in sensor.line.news() {
                sensor.changed = true;
                let told = GapTold::of(&sensor.name, Some(run.to_string()), &gap, state);
                tell_one(json, "gap", &told, GapTold::say)?;
            }
            if let Some(told) = sensor.silent(silent) {
                tell_one(json, "gap", &told, GapTold::say)?;
            }
        }
        Ok(())
    }

    /// Makes durable what is known, and then acknowledges what was taken.
    fn acknowledge(&mut self, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
        self.keep.iter_mut().for_each(Keep::settle);
        for sensor in self.sensors.iter_mut().filter(|sensor| sensor.changed) {
            self.ledgers.write(&sensor.name, &sensor.line.ledger)?;
            sensor.changed = false;
        }
        let taken = std::mem::take(&mut self.taken);
        runtime.block_on(async {
            for message in taken {
                // One that is lost on the way makes a repeat, which is acknowledged again.
                let _lost = message.ack().await;
            }
        });
        Ok(())
    }

    /// What was given and not taken in is to come again at once, and not when the server has waited long enough.
    fn give_back(&mut self, runtime: &tokio::runtime::Runtime, mut coming: mpsc::Receiver<(usize, Message)>) {
        coming.close();
        let mut left: Vec<Message> =
            self.sensors.iter_mut().flat_map(|sensor| sensor.line.waiting()).collect();
        runtime.block_on(async {
            while let Ok((_, message)) = coming.try_recv() {
                left.push(message);
            }
            for message in left {
                let _lost = message.ack_with(AckKind::Nak(None)).await;
            }
        });
    }

    fn tell_how_it_goes(&self) -> anyhow::Result<()> {
        let ledgers = self.sensors.iter().map(|sensor| (&sensor.name, &sensor.line.ledger));
        let listed: Vec<_> =
            ledgers.map(|(name, ledger)| list::Listed::of(name, ledger, SystemClock.now())).collect();
        tell_one(self.wish.watching.json, "sensors", &listed, |listed| {
            listed.iter().for_each(list::Listed::say);
        })?;
        self.tell_what_is_kept()
    }

    fn tell_what_is_kept(&self) -> anyhow::Result<()> {
        self.keep.as_ref().map_or(Ok(()), |keep| keep.kept().tell(self.wish.watching.json))
    }
}

/// Writes down that a batch was taken.
fn note(sensor: &mut Sensor, head: &Head, message: &Message, packets: u64, late: bool, now: Timestamp) {
    let ledger = &mut sensor.line.ledger;
    let Taken { batches, packets: all, late: of_those_late, lost, left_out, .. } = &mut ledger.taken;
    *batches += 1;
    *all = all.saturating_add(packets);
    *of_those_late = of_those_late.saturating_add(if late { packets } else { 0 });
    *lost = lost.saturating_add(head.lost);
    *left_out = left_out.saturating_add(head.left_out);
    let made = Timestamp::from_nanosecond(head.made_ns.into()).unwrap_or_default();
    let fresh = message.info().is_ok_and(|info| info.pending == 0 && info.delivered == 1);
    let behind = fresh.then(|| i64::try_from(now.duration_since(made).as_millis()).unwrap_or(i64::MAX));
    let known = ledger.last.as_ref().and_then(|last| last.clock_behind_ms);
    // The nearest of late, which forgets slowly: a clock that was set is believed after a while.
    let clock_behind_ms = match (known, behind) {
        (Some(known), Some(behind)) if behind > known => Some(known + (behind - known).div_euclid(16)),
        (known, behind) => behind.or(known),
    };
    ledger.last =
        Some(Last { run: head.run.to_string(), number: head.number, made, taken: now, clock_behind_ms });
    sensor.changed = true;
}

/// A message that will never be taken is not to come again.
fn end(runtime: &tokio::runtime::Runtime, message: &Message) -> anyhow::Result<()> {
    let _lost = runtime.block_on(message.ack_with(AckKind::Term));
    Ok(())
}

fn now_ns() -> u64 {
    u64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(0)
}

async fn told_to_stop() {
    let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
