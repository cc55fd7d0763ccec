//! What an interface or the hub sees, into the lake as it comes: the batches that `noroshi darknet live --keep` and `hub --keep` leave in a
//! folder. The loop never waits for history, and history never asks the loop.
//!
//! ```text
//!   folder ──of a sensor, up to a minute or a row group──▶ telescope: who is what ──▶ ledger: under way as number N
//!          ◀──removed── ledger: taken ◀── N is committed ◀── headers, counts by the minute ◀──┘
//! ```
//!
//! A batch is in the lake once, whoever is killed when (`ledger` says why). Once a day, an hour after midnight (UTC), days that are over are
//! joined and counted, what is too old is forgotten, and it is told what rises and who moved together on the day before. The lake's lock is only held while
//! something is written, so that captures can be taken beside.

mod folder;
mod ledger;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};
use noroshi_lake::{Lake, LakeError, Limits, MinuteRow, Numbers, PacketRow, Sensor, Writer};
use noroshi_model::clock::{Clock as _, SystemClock};
use noroshi_observe::telescope::{Glance, Telescope};
use noroshi_wire::batch::SensorName;
use noroshi_wire::capture::Frames;
use noroshi_wire::packet::Packet;
use serde::Serialize;
use serde_json::json;

use crate::rows::{Counts, row};
use crate::{Keeping, ask, days_over, rises, together};
use folder::{Folder, Waiting};
use ledger::{Ledger, UnderWay};

/// Packets of a lake batch: about a row group.
const PACKETS_MAX: u64 = 1 << 20;
/// Days that a lake batch touches, each an open file; and those of one batch, which is a minute's at most where clocks are right.
const DAYS_MAX: usize = 16;
/// A batch's packets as they are packed, roughly: whether a row group waits is guessed from the sizes of files.
const PACKED_BYTES: u64 = 20;
/// A day in nanoseconds.
const DAY_NS: u64 = 86_400_000_000_000;
/// How often the folder is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked whether to stop.
const LOOK_UP: Duration = Duration::from_millis(100);
/// After something went wrong.
const AGAIN: Duration = Duration::from_secs(5);
/// How often quiet senders are forgotten, and since when they are quiet; as by those who watch.
const FORGET: Duration = Duration::from_secs(3600);
const QUIET_NS: u64 = 24 * 3600 * 1_000_000_000;
/// What a day of the weeks that `rises` looks at may take: it is counted, or else left to whoever asks.
const RISES_LIMIT: Duration = Duration::from_secs(20);
/// Groups that are told of a day.
const TOGETHER_MAX: usize = 100;
/// Days are joined so long after they are over: most of what comes late has come by then.
const OVER: SignedDuration = SignedDuration::from_hours(1);

/// Take up what `noroshi darknet live` and `hub` keep, as it comes; join and forget days
#[derive(Debug, Args)]
pub struct Follow {
    /// The folder that they keep it in: their `--keep`
    folder: PathBuf,
    /// The telescope's networks; packets to other addresses are left out [default: every address]
    #[arg(long = "network", value_name = "PREFIX")]
    networks: Vec<IpNet>,
    /// Counts by the minute only, no headers
    #[arg(long)]
    minutes_only: bool,
    /// A batch waits no longer than this for others, to be written with them
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    collect_s: u64,
    /// How long days are kept
    #[command(flatten)]
    keeping: Keeping,
    /// Take up what is there, and end
    #[arg(long)]
    once: bool,
    /// Say every so many seconds how it goes
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    every_s: u64,
    /// Print JSON, a line each
    #[arg(long)]
    json: bool,
}

/// How it goes, since the start.
#[derive(Debug, Default, Serialize)]
struct Status {
    /// Taken up.
    batches: u64,
    /// In the lake.
    packets: u64,
    /// Rows of counts by the minute.
    minutes: u64,
    /// To other addresses, or not to be read.
    left_out: u64,
    /// Batches that were in the lake already.
    repeats: u64,
    /// Files that could not be taken up.
    aside: u64,
    /// Batches between others that did not come, since ever.
    missing: u64,
    /// Batches that wait.
    waiting: u64,
    /// Since when the first of them does, in seconds.
    behind_s: u64,
}

/// What is known of a sensor.
struct Known {
    ledger: Ledger,
    /// The number under way that the telescope has looked at already.
    looked_at: Option<u64>,
    /// The how manieth it is.
    place: usize,
}

struct Following<'a> {
    lake: &'a Lake,
    wish: &'a Follow,
    folder: Folder,
    telescope: Telescope,
    turn: u64,
    frames: Frames,
    glance: Glance,
    sensors: HashMap<SensorName, Known>,
    newest_ns: u64,
    joined: Option<Date>,
    status: Status,
}

/// Does it.
pub fn run(lake: &Lake, wish: &Follow) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.spawn(stop_when_told(Arc::clone(&stop)));
    let mut following = Following {
        lake,
        wish,
        folder: Folder::open(&wish.folder)?,
        telescope: Telescope::new(wish.networks.clone()),
        turn: 0,
        frames: Frames::default(),
        glance: Glance::default(),
        sensors: HashMap::new(),
        newest_ns: 0,
        joined: None,
        status: Status::default(),
    };
    eprintln!("noroshi-lake: following {}", wish.folder.display());
    let went = following.go(&stop);
    following.tell();
    went
}

async fn stop_when_told(stop: Arc<AtomicBool>) {
    let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
    stop.store(true, Ordering::Relaxed);
}

impl Following<'_> {
    /// Takes up what comes, until it is time to stop: then what is there, and no more.
    fn go(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let (mut told_at, mut forgot_at, mut told) = (Instant::now(), Instant::now(), None);
        loop {
            let is_last = self.wish.once || stop.load(Ordering::Relaxed);
            let went =
                self.look(is_last).and_then(|()| if is_last { Ok(()) } else { self.see_to_days(stop) });
            if is_last {
                return went;
            }
            let pause = if let Err(error) = went {
                // A full disk, or a lake into which another writes: it waits in the folder.
                let text = format!("{error:#}");
                if told.as_ref() != Some(&text) {
                    eprintln!("noroshi-lake: {text}; it is tried again");
                    told = Some(text);
                }
                AGAIN
            } else {
                told = None;
                LOOK
            };
            if told_at.elapsed() >= Duration::from_secs(self.wish.every_s) {
                told_at = Instant::now();
                self.tell();
            }
            if forgot_at.elapsed() >= FORGET {
                forgot_at = Instant::now();
                self.telescope.forget_before(self.newest_ns.saturating_sub(QUIET_NS));
            }
            let until = Instant::now() + pause;
            while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_UP);
            }
        }
    }

    /// Looks at the folder, and takes up what has waited long enough, or all.
    fn look(&mut self, all: bool) -> anyhow::Result<()> {
        let mut waiting = self.waiting()?;
        let mut ended = false;
        for (sensor, batches) in &waiting {
            ended |= self.end_what_was_under_way(sensor, batches)?;
        }
        if ended {
            waiting = self.waiting()?;
        }
        let collect = Duration::from_secs(self.wish.collect_s);
        (self.status.waiting, self.status.behind_s) = (0, 0);
        for (sensor, batches) in waiting {
            let mut left = &batches[..];
            while !left.is_empty() {
                let oldest = left.iter().filter_map(|batch| batch.since.elapsed().ok()).max();
                let is_much = left.iter().map(|batch| batch.bytes).sum::<u64>() >= PACKETS_MAX * PACKED_BYTES;
                if !all && !is_much && oldest.is_some_and(|oldest| oldest < collect) {
                    let behind_s = oldest.map_or(0, |oldest| oldest.as_secs());
                    self.status.waiting += left.len() as u64;
                    self.status.behind_s = self.status.behind_s.max(behind_s);
                    break;
                }
                left = self.take_up(&sensor, left)?;
            }
        }
        self.status.missing = self.sensors.values().map(|known| known.ledger.missing()).sum();
        Ok(())
    }

    fn waiting(&mut self) -> anyhow::Result<BTreeMap<SensorName, Vec<Waiting>>> {
        let (mut waiting, aside) = self.folder.waiting()?;
        self.status.aside += aside;
        let odd: Vec<SensorName> = waiting.keys().filter(|name| lake_name(name).is_err()).cloned().collect();
        for batch in odd.iter().filter_map(|name| waiting.remove(name)).flatten() {
            self.set_aside(&batch, "its sensor begins with a hyphen")?;
        }
        Ok(waiting)
    }

    fn set_aside(&mut self, batch: &Waiting, why: &str) -> anyhow::Result<()> {
        self.status.aside += 1;
        self.folder.set_aside(&batch.name, why)
    }

    fn known(&mut self, sensor: &SensorName) -> anyhow::Result<&mut Known> {
        let place = self.sensors.len();
        match self.sensors.entry(sensor.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let ledger = Ledger::read(self.lake.folder(), sensor)?;
                Ok(new.insert(Known { ledger, looked_at: None, place }))
            }
        }
    }

    /// What was being written when the process was killed, or could not be, is written under its number again. Gives back whether there was
    /// such a thing.
    fn end_what_was_under_way(&mut self, sensor: &SensorName, waiting: &[Waiting]) -> anyhow::Result<bool> {
        let known = self.known(sensor)?;
        let Some(under_way) = known.ledger.under_way.clone() else { return Ok(false) };
        let looked_at = known.looked_at == Some(under_way.number);
        let names: BTreeSet<_> = under_way.names(sensor)?.into_iter().collect();
        let again: Vec<&Waiting> = waiting.iter().filter(|batch| names.contains(&batch.name)).collect();
        let mut is_whole = again.len() == names.len();
        for batch in &again {
            match self.folder.read(batch, &mut self.frames)? {
                Ok(()) if looked_at => {}
                Ok(()) => self.see(sensor)?,
                Err(_) => is_whole = false,
            }
        }
        self.known(sensor)?.looked_at = Some(under_way.number);
        if is_whole {
            let writer = self.lake.writer()?;
            self.write(&writer, sensor, under_way.number, &again)?;
            return Ok(true);
        }
        // A file is removed when the ledger says that it is taken, and not before; so somebody else removed it or wrote into it. What the lake
        // has of the number stays as it is, and the rest is kept for whoever did that.
        for batch in again {
            self.set_aside(
                batch,
                "it was being written, and of others with it the files are gone or damaged",
            )?;
        }
        let known = self.known(sensor)?;
        known.ledger.under_way = None;
        known.ledger.clone().write(self.lake.folder(), sensor)?;
        Ok(true)
    }

    /// Takes up as many as a lake batch may have; gives back the rest.
    fn take_up<'b>(&mut self, sensor: &SensorName, waiting: &'b [Waiting]) -> anyhow::Result<&'b [Waiting]> {
        let (mut group, mut packets, mut days) = (Vec::new(), 0, BTreeSet::new());
        let mut left = waiting;
        while let Some((batch, rest)) = left.split_first()
            && packets < PACKETS_MAX
        {
            if self.known(sensor)?.ledger.has(&batch.name) {
                self.folder.remove(&batch.name)?;
                self.status.repeats += 1;
                left = rest;
                continue;
            }
            let read = self.folder.read(batch, &mut self.frames)?;
            let own = days_of(&self.frames);
            let read = read.and_then(|()| {
                let too_many = || format!("its packets are of {} days", own.len());
                if own.len() <= DAYS_MAX { Ok(()) } else { Err(too_many()) }
            });
            if let Err(why) = read {
                self.set_aside(batch, &why)?;
                left = rest;
                continue;
            }
            let all: BTreeSet<u64> = days.union(&own).copied().collect();
            if all.len() > DAYS_MAX {
                break;
            }
            (days, left) = (all, rest);
            packets += self.frames.len() as u64;
            self.see(sensor)?;
            group.push(batch);
        }
        if !group.is_empty() {
            let writer = self.lake.writer()?;
            let number = writer.next_number(&lake_name(sensor)?)?;
            let folder = self.lake.folder();
            let known = self.known(sensor)?;
            known.ledger.under_way = Some(UnderWay::new(number, group.iter().map(|batch| &batch.name)));
            known.looked_at = Some(number);
            known.ledger.write(folder, sensor)?;
            self.write(&writer, sensor, number, &group)?;
        }
        Ok(left)
    }

    /// Lets the telescope look at the packets at hand.
    fn see(&mut self, sensor: &SensorName) -> anyhow::Result<()> {
        let place = self.known(sensor)?.place;
        self.telescope.look(&self.frames, &mut self.glance);
        self.glance.sensor = (place % 64) as u8;
        self.telescope.take(self.turn, &mut self.glance);
        self.turn += 1;
        let last = self.glance.counts.span_ns.map_or(0, |(_, last)| last);
        self.newest_ns = self.newest_ns.max(last);
        Ok(())
    }

    /// Puts batches into the lake under a number, writes down that they are there, and removes their files.
    fn write(
        &mut self,
        writer: &Writer,
        sensor: &SensorName,
        number: u64,
        group: &[&Waiting],
    ) -> anyhow::Result<()> {
        let mut headers = writer.batch::<PacketRow>(lake_name(sensor)?, Numbers::one(number));
        let mut minutes = writer.batch::<MinuteRow>(lake_name(sensor)?, Numbers::one(number));
        let (mut counts, mut packets, mut left_out) = (Counts::default(), 0, 0);
        for batch in group {
            self.folder.read(batch, &mut self.frames)?.map_err(anyhow::Error::msg)?;
            for frame in self.frames.iter() {
                let packet = Packet::read(frame.link, frame.bytes);
                let ours = |packet: &Packet<'_>| {
                    self.wish.networks.is_empty() || self.telescope.is_ours(packet.addresses.destination())
                };
                let Some(packet) = packet.ok().filter(ours) else {
                    left_out += 1;
                    continue;
                };
                packets += 1;
                let row = row(&packet, i64::try_from(frame.at_ns.unwrap_or(0)).unwrap_or(i64::MAX));
                counts.add(&row, &self.telescope, |row| Ok(minutes.push(row)?))?;
                if !self.wish.minutes_only {
                    headers.push(row)?;
                }
            }
        }
        counts.end(|row| Ok(minutes.push(row)?))?;
        headers.commit()?;
        let written = minutes.commit()?;
        let (lake, now) = (self.lake.folder(), SystemClock.now());
        let known = self.known(sensor)?;
        group.iter().for_each(|batch| known.ledger.take(&batch.name, now));
        known.ledger.under_way = None;
        known.ledger.write(lake, sensor)?;
        for batch in group {
            self.folder.remove(&batch.name)?;
        }
        self.status.batches += group.len() as u64;
        self.status.packets += packets;
        self.status.left_out += left_out;
        self.status.minutes += written.rows;
        Ok(())
    }

    /// Joins days that are over and forgets those that are too old, once a day.
    fn see_to_days(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let today = SystemClock.now().checked_sub(OVER)?.to_zoned(TimeZone::UTC).date();
        if self.joined == Some(today) {
            return Ok(());
        }
        for day in days_over(self.lake)?.into_iter().filter(|day| *day < today) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            match self.lake.writer()?.compact(day) {
                Ok(0) => {}
                Ok(files) => self.say(&json!({ "joined": { "day": day, "files": files } }), || {
                    format!("{day}: {files} files joined")
                }),
                // It is tried again tomorrow; the small files are read as they are.
                Err(error) => eprintln!("noroshi-lake: {day} cannot be joined: {error}"),
            }
            match self.lake.writer()?.count(day) {
                Ok(None) => {}
                Ok(Some(keys)) => self.say(&json!({ "counted": { "day": day, "keys": keys } }), || {
                    format!("{day}: senders of {keys} ports and tools counted")
                }),
                Err(error) => eprintln!("noroshi-lake: the senders of {day} cannot be counted: {error}"),
            }
        }
        self.wish.keeping.forget(&self.lake.writer()?, |table, day| {
            let table = table.name();
            self.say(&json!({ "forgotten": { "table": table, "day": day } }), || {
                format!("{table} of {day} are forgotten")
            });
        })?;
        self.joined = Some(today);
        if let Err(error) = self.signs(today.checked_sub(Span::new().days(1))?) {
            eprintln!("noroshi-lake: what rises and who moves together is not known: {error:#}");
        }
        Ok(())
    }

    /// Tells what rose and who moved together on a day. There are no addresses in it.
    fn signs(&self, day: Date) -> anyhow::Result<()> {
        let purpose = ask::Purpose::of_program("what rises and who moves together, each day");
        purpose.note(self.lake, &format!("rises and together on {day}"))?;
        let limits = Limits { time: RISES_LIMIT, ..Limits::default() };
        rises::look(self.lake, day, 1, &limits, |day, rise| {
            self.say(&json!({ "rises": { "day": day, "rise": rise } }), || {
                format!("{day} {}", rises::words(rise))
            });
            Ok(())
        })?;
        for group in together::look(self.lake, day, None, false)?.groups.iter().take(TOGETHER_MAX) {
            self.say(&json!({ "together": { "day": day, "group": group } }), || {
                format!("{day} {}", together::words(group))
            });
        }
        Ok(())
    }

    /// Says how it goes.
    fn tell(&self) {
        let Status { batches, packets, minutes, left_out, repeats, aside, missing, waiting, behind_s } =
            &self.status;
        self.say(&json!({ "status": self.status }), || {
            format!(
                "{batches} batches, {packets} packets, {minutes} counts by the minute; {left_out} left out, {repeats} repeats, \
                 {aside} set aside, {missing} missing; {waiting} wait, for {behind_s} s"
            )
        });
    }

    fn say(&self, json: &serde_json::Value, text: impl FnOnce() -> String) {
        // Whoever listened may have gone; it goes on all the same.
        let line = if self.wish.json { json.to_string() } else { text() };
        let _nobody = writeln!(std::io::stdout(), "{line}");
    }
}

/// The days of packets, since 1970 (UTC).
fn days_of(frames: &Frames) -> BTreeSet<u64> {
    frames.iter().filter_map(|frame| frame.at_ns).map(|at_ns| at_ns / DAY_NS).collect()
}

/// A sensor as the lake calls it: the same, but for a hyphen in the beginning.
fn lake_name(sensor: &SensorName) -> Result<Sensor, LakeError> {
    sensor.as_str().parse()
}
