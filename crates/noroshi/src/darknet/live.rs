//! An interface watched: packets from the kernel's ring (`AF_PACKET`, `TPACKET_V3`), one ring for each thread, among which the kernel
//! divides them.
//!
//! What is found is told at once: campaigns, attacks, addresses of organisations. How it goes is told every now and then, and in the end
//! what `replay` tells. Lost packets are counted by the kernel, and told. With `--keep` a copy of all headers goes to history, by a thread of its own.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use netring::Capture;
use noroshi_model::clock::{Clock as _, SystemClock};
use noroshi_observe::telescope::{Telescope, Turn};
use noroshi_wire::capture::{Frames, LinkType};
use serde::Serialize;

use super::alerting;
use super::cut::Cutter;
use super::judged;
use super::keep::{self, Kept, ToKeep, Writing};
use super::ring::{self, LOOK_UP};
use super::telling::{FORGET, Notes, QUIET_NS, TELL, Watching, tell_news, tell_one};
use super::threads::{self, Batches};
use super::told;
use super::watch::{self, Watch};
use crate::commands::Where;
use crate::report::{self, say};
use crate::tables::Enrichment;

/// Most packets of a batch.
const BATCH_MAX: usize = 8192;
/// What is kept for history waits no longer than this for more packets.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// Watch an interface, and tell who sends what and why
#[derive(Debug, Args)]
pub struct Live {
    /// The interface to which the telescope's packets come
    #[arg(long, value_name = "IF")]
    pub interface: String,
    /// What this telescope is called beside others, in what it writes and in history [default: live-INTERFACE]
    #[arg(long, value_name = "NAME", value_parser = alerting::name)]
    pub name: Option<String>,
    /// Threads that look, each with a ring of 64 MiB [default: one for each core, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub threads: Option<u8>,
    /// What is watched for, and how it is told
    #[command(flatten)]
    pub watching: Watching,
}

/// How it goes.
#[derive(Debug, Serialize)]
struct Status {
    at: Timestamp,
    packets: u64,
    /// In the time since the last one.
    packets_per_s: f64,
    /// By the kernel, because the ring was full.
    dropped: u64,
    sources: u64,
}

/// What threads have in common.
struct Shared<'a> {
    interface: &'a str,
    /// The interface's number: one that is made anew under the same name has another.
    number: u32,
    turn: AtomicU64,
    stop: AtomicBool,
    failed: AtomicBool,
    dropped: AtomicU64,
    /// What was kept for history, where any is.
    kept: Option<Arc<Kept>>,
}

impl Shared<'_> {
    fn tell_what_is_kept(&self, json: bool) -> anyhow::Result<()> {
        self.kept.as_ref().map_or(Ok(()), |kept| kept.tell(json))
    }

    /// Says why it cannot go on, once, and stops all threads.
    fn fail(&self, why: &str) {
        self.stop.store(true, Ordering::Relaxed);
        if !self.failed.swap(true, Ordering::Relaxed) {
            eprintln!("noroshi: {}: {why}", self.interface);
        }
    }
}

/// One thread's ring.
struct Ring<'a> {
    capture: Capture,
    link: LinkType,
    shared: &'a Shared<'a>,
    keeping: Option<Cutter<'a, ToKeep>>,
}

impl Ring<'_> {
    /// A copy for history. Its queue never fails: what it has no room for is counted.
    fn keep(&mut self, frames: &Frames) {
        let Some(cutter) = &mut self.keeping else { return };
        for frame in frames.iter() {
            let _never = cutter.add(&frame);
        }
        let _never = cutter.pass();
    }
}

impl Batches for Ring<'_> {
    fn next(&mut self, frames: &mut Frames) -> Option<u64> {
        frames.clear();
        while frames.is_empty() {
            if let Ok(counted) = self.capture.stats() {
                self.shared.dropped.fetch_add(counted.drops.into(), Ordering::Relaxed);
                self.keeping.iter_mut().for_each(|cutter| cutter.lose(counted.drops.into()));
            }
            if self.shared.stop.load(Ordering::Relaxed) {
                let _never = self.keeping.as_mut().map(Cutter::cut);
                return None;
            }
            self.keep(frames);
            match self.capture.next_batch_blocking(LOOK_UP) {
                Ok(block) => block.iter().for_each(|block| ring::put(block, self.link, frames)),
                Err(error) => self.shared.fail(&error.to_string()),
            }
            if frames.is_empty() && !ring::is_there(&self.capture, self.shared.interface, self.shared.number)
            {
                self.shared.fail("the interface is gone");
            }
        }
        // What is there already comes along, as far as there is room for it.
        while frames.len() < BATCH_MAX
            && let Some(block) = self.capture.next_batch()
        {
            ring::put(&block, self.link, frames);
        }
        self.keep(frames);
        Some(self.shared.turn.fetch_add(1, Ordering::Relaxed))
    }
}

/// Does it.
pub fn run(at: &Where, wish: &Live) -> anyhow::Result<ExitCode> {
    let house = wish.watching.writes().then(|| at.visit()).transpose()?;
    let tables = Enrichment::read(&at.read()?.enrich)?;
    let link = ring::link_of(&wish.interface)?;
    let begun = Instant::now();
    let telescope = Telescope::new(wish.watching.networks.clone());
    let watch =
        Turn::new(Watch::new(watch::members(&wish.watching.organisations)?, Arc::clone(&tables.now().lists)));
    let count = wish.threads.map_or_else(threads::usual, usize::from);
    let mut keep = wish.watching.keep.open()?;
    let shared = Shared {
        interface: &wish.interface,
        number: ring::number_of(&wish.interface)?,
        turn: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        failed: AtomicBool::new(false),
        dropped: AtomicU64::new(0),
        kept: keep.as_ref().map(|keep| Arc::clone(keep.kept())),
    };
    let name = wish.name.clone().unwrap_or_else(|| alerting::usual_name(&wish.interface));
    let (to_keep, writing) = match &keep {
        Some(keep) => {
            let (to_keep, from) = Writing::queue(keep);
            (Some(to_keep), Some((Writing::new(keep::name_of(&name)?)?, from)))
        }
        None => (None, None),
    };
    let networks = &wish.watching.networks;
    let open = || {
        let keeping = to_keep.clone().map(|to_keep| Cutter::new(to_keep, networks, KEEP_EVERY));
        Ok(Ring { capture: ring::open(&wish.interface, count)?, link, shared: &shared, keeping })
    };
    let rings = (0..count).map(|_| open()).collect::<anyhow::Result<Vec<Ring<'_>>>>()?;
    // What waits for more ends with the last ring.
    drop(to_keep);
    let mut notes = Notes::new(house.as_ref(), &wish.watching, &name, &tables, &telescope, &watch)?;
    if let Some(alerting) = &notes.alerting {
        eprintln!("noroshi: {} ranges of organisations are watched for", alerting.ranges());
    }
    eprintln!("noroshi: watching {} with {count} threads", wish.interface);
    std::thread::scope(|scope| {
        if let (Some(keep), Some((writing, from))) = (&mut keep, writing) {
            scope.spawn(move || writing.all(keep, &from));
        }
        let looking = scope.spawn(|| threads::look(&telescope, &watch, rings));
        let over = || looking.is_finished();
        let told = tell(wish, &telescope, &watch, &shared, &mut notes, over);
        shared.stop.store(true, Ordering::Relaxed);
        told
    })?;
    tell_news(&watch, &telescope, &mut notes, wish.watching.json)?;
    shared.tell_what_is_kept(wish.watching.json)?;
    notes.end(&telescope, &watch);
    let judged = judged::judge(&telescope, &tables.now(), count);
    let wall_s = begun.elapsed().as_secs_f64();
    let dropped = shared.dropped.load(Ordering::Relaxed);
    let replayed = watch.look(|watch| told::summary(&telescope, watch, judged, Vec::new(), wall_s))?;
    let replayed = replayed.with_dropped(dropped);
    if wish.watching.json {
        report::json(&replayed)?;
    } else {
        told::print(&replayed);
    }
    Ok(if shared.failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Tells what is new and how it goes, until it is time to stop.
fn tell(
    wish: &Live,
    telescope: &Telescope,
    watch: &Turn<Watch>,
    shared: &Shared<'_>,
    notes: &mut Notes<'_>,
    over: impl Fn() -> bool,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let (begun, mut status_at, mut forgot_at, mut before) =
            (Instant::now(), Instant::now(), Instant::now(), 0);
        let mut tick = tokio::time::interval(TELL);
        loop {
            tokio::select! {
                ended = tokio::signal::ctrl_c() => return Ok(ended?),
                _ = term.recv() => return Ok(()),
                _ = tick.tick() => {}
            }
            tell_news(watch, telescope, notes, wish.watching.json)?;
            let _tried_again = notes.write(telescope, watch);
            if status_at.elapsed() >= Duration::from_secs(wish.watching.every_s) {
                let packets = watch.look(|watch| watch.counts.frames);
                let packets_per_s = (packets - before) as f64 / status_at.elapsed().as_secs_f64();
                (status_at, before) = (Instant::now(), packets);
                let dropped = shared.dropped.load(Ordering::Relaxed);
                let at = SystemClock.now();
                let status = Status { at, packets, packets_per_s, dropped, sources: telescope.len() as u64 };
                tell_one(wish.watching.json, "status", &status, say_status)?;
                shared.tell_what_is_kept(wish.watching.json)?;
            }
            if forgot_at.elapsed() >= FORGET {
                forgot_at = Instant::now();
                let now_ns = u64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(0);
                telescope.forget_before(now_ns.saturating_sub(QUIET_NS));
            }
            if over() || wish.watching.stop_after_s.is_some_and(|s| begun.elapsed() >= Duration::from_secs(s))
            {
                return Ok(());
            }
        }
    })
}

fn say_status(status: &Status) {
    let Status { at, packets, packets_per_s, dropped, sources } = status;
    say!("{at:.0} {packets} packets ({packets_per_s:.0} a second), {dropped} lost, {sources} senders");
}
