//! A sensor: watches a telescope's interface far from the hub, and hands what it saw to the hub through a NATS server of its own.
//!
//! ```text
//!   ring │ captures ──cut──▶ numbered batches ──▶ spool on disk ──hand──▶ stream at the local server ──leaf link──▶ hub
//! ```
//!
//! A batch is in the spool, durably, before it is published, and leaves it when the local server's stream has it: so a sensor that is
//! killed goes on with the number after its last, and nothing that was cut is lost or numbered twice. The spool is bounded. When it is full,
//! because the local server is away for long or its stream is full, nothing in it is dropped: no more is cut, the kernel's ring fills up,
//! and what the kernel then loses is counted and told to the hub with the next batch.
//!
//! Nothing is judged here and no address is told: neither the log nor what is printed names one. `darknet::cut` makes batches of frames, `spool`
//! keeps them, `hand` hands them over, `ring` watches an interface.

mod hand;
mod ring;
mod spool;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{ArgGroup, Args};
use ipnet::IpNet;
use noroshi_wire::batch::SensorName;
use noroshi_wire::capture::Frames;
use serde::Serialize;

use super::cut::{self, Cutter, Sink, Tail};
use super::nats::NatsArgs;
use super::replay::Captures;
use crate::config::Config;
use crate::report::{self, say};

use spool::Spool;

/// How long a sensor that is told to stop waits for its last batches to be handed over; they are in the spool anyway.
const FAREWELL: Duration = Duration::from_secs(3);
/// The spool's size by default.
const SPOOL_MIB: u64 = 4096;
/// The stream's size by default.
const STREAM_MIB: u64 = 16_384;

/// A sensor of the telescope, apart from the hub
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["interface", "replay"]))]
pub struct Sensor {
    /// This sensor's name, as in its certificate: small letters, digits and hyphens
    #[arg(long, value_name = "NAME")]
    pub name: SensorName,
    /// The interface to which the telescope's packets come
    #[arg(long, value_name = "IF")]
    pub interface: Option<String>,
    /// Captures to send instead, once; goes on where it was when it is started again
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub replay: Vec<PathBuf>,
    /// Of captures, send so many packets a second [default: as fast as it goes]
    #[arg(long, value_name = "PACKETS", requires = "replay", value_parser = clap::value_parser!(u64).range(1..))]
    pub pace: Option<u64>,
    /// The telescope's networks; packets to other addresses stay here [default: every address]
    #[arg(long = "network", value_name = "PREFIX")]
    pub networks: Vec<IpNet>,
    /// The local NATS server
    #[command(flatten)]
    pub nats: NatsArgs,
    /// Where batches wait for the local server [default: `spool` in the data folder]
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// Most MiB that wait there; beyond, the kernel loses packets and counts them
    #[arg(long, value_name = "MIB", default_value_t = SPOOL_MIB, value_parser = clap::value_parser!(u64).range(4..1 << 30))]
    pub spool_mib: u64,
    /// Most MiB that wait in the local server's stream for the hub
    #[arg(long, value_name = "MIB", default_value_t = STREAM_MIB, value_parser = clap::value_parser!(u64).range(4..1 << 30))]
    pub stream_mib: u64,
    /// A batch waits no longer than this for more packets
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub every_ms: u64,
    /// Print JSON in the end
    #[arg(long)]
    pub json: bool,
}

/// What is told in the end.
#[derive(Debug, Serialize)]
struct Sent {
    sensor: String,
    run: String,
    /// Of this run, of all its starts.
    batches: u64,
    packets: u64,
    /// Batches that wait still.
    waiting: u64,
    /// By the kernel, since this start.
    lost: u64,
    left_out: u64,
}

/// The spool, as soon as it has room.
struct IntoSpool<'a> {
    spool: &'a Spool,
    stop: &'a AtomicBool,
}

impl Sink for IntoSpool<'_> {
    fn put(&mut self, frames: &mut Frames, tail: Tail) -> anyhow::Result<()> {
        self.spool.put(frames, tail, self.stop)
    }
}

/// Does it.
pub fn run(config: &Config, wish: &Sensor) -> anyhow::Result<ExitCode> {
    let folder = wish.spool.clone().unwrap_or_else(|| config.data_dir.join("spool"));
    let folder = folder.join(folder_of(&wish.replay)?);
    let spool = Spool::open(&folder, wish.name.clone(), wish.spool_mib << 20)?;
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.spawn(stop_when_told(Arc::clone(&stop)));
    let into = IntoSpool { spool: &spool, stop: &stop };
    let mut cutter = Cutter::new(into, &wish.networks, Duration::from_millis(wish.every_ms));
    std::thread::scope(|scope| {
        let handing = scope.spawn(|| runtime.block_on(hand::hand_over(&spool, wish, &stop)));
        let watched = watch(wish, &spool, &mut cutter, &stop);
        spool.close();
        if watched.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        let handed = handing.join().map_err(|_| anyhow::anyhow!("the thread that hands over failed"))?;
        watched.and(handed)
    })?;
    let (batches, packets, waiting) = spool.counted();
    let (lost, left_out) = cutter.counted();
    let (sensor, run) = (wish.name.to_string(), spool.run().to_string());
    let sent = Sent { sensor, run, batches, packets, waiting, lost, left_out };
    if wish.json {
        report::json(&sent)?;
    } else {
        say!(
            "{batches} batches, {packets} packets; {waiting} batches wait, {lost} packets lost, {left_out} left out"
        );
    }
    Ok(if waiting == 0 || wish.replay.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is watched, until it ends or it is time to stop.
fn watch<S: Sink>(
    wish: &Sensor,
    spool: &Spool,
    cutter: &mut Cutter<'_, S>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    match &wish.interface {
        Some(interface) => ring::watch(interface, cutter, stop)?,
        None => replay(wish, spool, cutter, stop)?,
    }
    cutter.cut()
}

/// Sends captures, from the packet on that was not cut yet.
fn replay<S: Sink>(
    wish: &Sensor,
    spool: &Spool,
    cutter: &mut Cutter<'_, S>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let (_, mut known, _) = spool.counted();
    let mut captures = Captures::new(wish.replay.clone());
    let mut frames = Frames::default();
    let mut pace = wish.pace.map(cut::Pace::new);
    while captures.next(&mut frames).is_some() {
        for frame in frames.iter() {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            if known > 0 {
                known -= u64::from(cutter.takes(&frame));
                continue;
            }
            if cutter.add(&frame)?
                && let Some(pace) = &mut pace
            {
                while !pace.is_due() && !stop.load(Ordering::Relaxed) {
                    cutter.pass()?;
                    std::thread::sleep(cut::Pace::STEP);
                }
            }
        }
    }
    ensure!(!captures.failed(), "not all captures could be read");
    Ok(())
}

/// A spool is of one interface or of certain captures: what was cut of others says nothing of how far these were read.
fn folder_of(captures: &[PathBuf]) -> anyhow::Result<String> {
    if captures.is_empty() {
        return Ok("live".to_owned());
    }
    let mut digest = ring_digest();
    for path in captures {
        let length =
            std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        digest.update(format!("{name}\0{length}\0").as_bytes());
    }
    let digest = digest.finish();
    let first = digest.as_ref().iter().take(8);
    Ok(first.fold("replay-".to_owned(), |name, byte| format!("{name}{byte:02x}")))
}

fn ring_digest() -> ::ring::digest::Context {
    ::ring::digest::Context::new(&::ring::digest::SHA256)
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

/// A folder's entries by name.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
