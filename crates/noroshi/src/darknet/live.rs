//! An interface watched: packets from the kernel's ring (`AF_PACKET`, `TPACKET_V3`), one ring for each thread, among which the kernel
//! divides them.
//!
//! What is found is told at once: campaigns, attacks, addresses of organisations. How it goes is told every now and then, and in the end
//! what `replay` tells. Lost packets are counted by the kernel, and told.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use ipnet::IpNet;
use jiff::Timestamp;
use netring::{Capture, CaptureBuilder, FanoutFlags, FanoutMode};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::SocketError;
use nix::sys::socket::{LinkAddr, getsockopt};
use noroshi_model::clock::{Clock as _, SystemClock};
use noroshi_observe::telescope::{Telescope, Turn};
use noroshi_wire::capture::{Frame, Frames, LinkType};
use serde::Serialize;

use super::alerting::{self, Alerting};
use super::judged;
use super::threads::{self, Batches};
use super::told::{self, Alerted, Attacked, Campaigned};
use super::watch::{self, Fresh, Member, Watch};
use crate::commands::Where;
use crate::report::{self, say};
use crate::tables;

/// Bytes of a packet that are looked at: all headers, and the beginning of what a datagram carries.
const SNAP_BYTES: u32 = 256;
/// A thread's ring.
const BLOCK_BYTES: usize = 1 << 20;
const BLOCKS: usize = 64;
/// Packets wait in the ring no longer than this.
const BLOCK_WAIT_MS: u32 = 50;
/// Most packets of a batch.
const BATCH_MAX: usize = 8192;
/// How often it is looked whether to stop.
pub(super) const LOOK_UP: Duration = Duration::from_millis(100);
/// How often what is new is told, and how it goes.
pub(super) const TELL: Duration = Duration::from_millis(250);
/// How often quiet senders are forgotten, and since when they are quiet.
pub(super) const FORGET: Duration = Duration::from_secs(3600);
pub(super) const QUIET_NS: u64 = 24 * 3600 * 1_000_000_000;

/// Watch an interface, and tell who sends what and why
#[derive(Debug, Args)]
pub struct Live {
    /// The interface to which the telescope's packets come
    #[arg(long, value_name = "IF")]
    pub interface: String,
    /// The telescope's networks; packets to other addresses are counted and left out [default: every address]
    #[arg(long = "network", value_name = "PREFIX")]
    pub networks: Vec<IpNet>,
    /// An organisation that is told when one of its addresses is seen; may be repeated
    #[arg(long = "organisation", value_name = "NAME=PREFIX")]
    pub organisations: Vec<Member>,
    /// Write down what is seen of registered organisations' addresses (`noroshi organisation`), from where `noroshi run` tells them
    #[arg(long)]
    pub alert: bool,
    /// What this telescope is called beside others that write there [default: live-INTERFACE]
    #[arg(long, value_name = "NAME", requires = "alert")]
    pub name: Option<String>,
    /// Threads that look, each with a ring of 64 MiB [default: one for each core, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub threads: Option<u8>,
    /// Stop after so many seconds [default: when told to]
    #[arg(long, value_name = "SECONDS")]
    pub stop_after_s: Option<u64>,
    /// Say every so many seconds how it goes
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub every_s: u64,
    /// Print JSON, a line each for `alert`, `campaign`, `victim`, `status`, and in the end what replay prints
    #[arg(long)]
    pub json: bool,
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
}

impl Shared<'_> {
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
}

impl Batches for Ring<'_> {
    fn next(&mut self, frames: &mut Frames) -> Option<u64> {
        frames.clear();
        while frames.is_empty() {
            if let Ok(counted) = self.capture.stats() {
                self.shared.dropped.fetch_add(counted.drops.into(), Ordering::Relaxed);
            }
            if self.shared.stop.load(Ordering::Relaxed) {
                return None;
            }
            match self.capture.next_batch_blocking(LOOK_UP) {
                Ok(block) => block.iter().for_each(|block| put(block, self.link, frames)),
                Err(error) => self.shared.fail(&error.to_string()),
            }
            if frames.is_empty() {
                self.see_that_it_is_there();
            }
        }
        // What is there already comes along, as far as there is room for it.
        while frames.len() < BATCH_MAX
            && let Some(block) = self.capture.next_batch()
        {
            put(&block, self.link, frames);
        }
        Some(self.shared.turn.fetch_add(1, Ordering::Relaxed))
    }
}

impl Ring<'_> {
    /// An interface that goes down leaves an error, until which is asked for the ring does not wait for packets any more; one that is gone
    /// never has any again.
    fn see_that_it_is_there(&self) {
        let _down = getsockopt(&self.capture, SocketError);
        if if_nametoindex(self.shared.interface) != Ok(self.shared.number) {
            self.shared.fail("the interface is gone");
        }
    }
}

pub(super) fn put(block: &netring::PacketBatch<'_>, link: LinkType, frames: &mut Frames) {
    for packet in block.iter() {
        let at = packet.timestamp();
        let at_ns = Some(u64::from(at.sec) * 1_000_000_000 + u64::from(at.nsec));
        let length = u32::try_from(packet.original_len()).unwrap_or(u32::MAX);
        let bytes = packet.data();
        frames.push(&Frame { at_ns, link, length, bytes: &bytes[..bytes.len().min(SNAP_BYTES as usize)] });
    }
}

/// What packets of an interface begin with (`ARPHRD_…` of Linux). Asked of the kernel, for `/sys` may be of another network namespace.
pub(super) fn link_of(interface: &str) -> anyhow::Result<LinkType> {
    let mut addresses = getifaddrs()?.filter(|address| address.interface_name == interface);
    let kind = addresses.find_map(|address| address.address?.as_link_addr().map(LinkAddr::hatype));
    match kind.with_context(|| format!("there is no interface {interface}"))? {
        // Ethernet, loopback.
        1 | 772 => Ok(LinkType::ETHERNET),
        // Without a header of the link: tunnels, tun.
        65534 | 768 | 769 | 776 | 778 => Ok(LinkType::RAW),
        512 => Ok(LinkType::PPP),
        other => bail!("{interface} is of a kind that is not read (ARPHRD {other})"),
    }
}

pub(super) fn ring(interface: &str, threads: usize) -> anyhow::Result<Capture> {
    let mut builder: CaptureBuilder = Capture::builder()
        .interface(interface)
        .snap_len(SNAP_BYTES)
        .block_size(BLOCK_BYTES)
        .block_count(BLOCKS)
        .block_timeout_ms(BLOCK_WAIT_MS)
        .promiscuous(true)
        .ignore_outgoing(true);
    if threads > 1 {
        // A group of our own: its number is one of 65,536 for the whole machine. What a ring is told to ignore, its group is not.
        let group = std::process::id() as u16;
        builder = builder.fanout(FanoutMode::Hash, group).fanout_flags(FanoutFlags::IGNORE_OUTGOING);
    }
    builder.build().map_err(|error| match error {
        netring::Error::PermissionDenied => anyhow::anyhow!(
            "{interface} may not be watched: that needs CAP_NET_RAW (setcap cap_net_raw+ep on the program, \
             AmbientCapabilities=CAP_NET_RAW in the service)"
        ),
        other => anyhow::Error::from(other).context(format!("{interface} cannot be watched")),
    })
}

/// Does it.
pub fn run(at: &Where, wish: &Live) -> anyhow::Result<ExitCode> {
    let house = wish.alert.then(|| at.visit()).transpose()?;
    let tables = tables::read(&at.read()?.enrich)?;
    let link = link_of(&wish.interface)?;
    let begun = Instant::now();
    let telescope = Telescope::new(wish.networks.clone());
    let watch = Turn::new(Watch::new(watch::members(&wish.organisations)?, Arc::clone(&tables.lists)));
    let count = wish.threads.map_or_else(threads::usual, usize::from);
    let shared = Shared {
        interface: &wish.interface,
        number: if_nametoindex(wish.interface.as_str())?,
        turn: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        failed: AtomicBool::new(false),
        dropped: AtomicU64::new(0),
    };
    let rings: Vec<Ring<'_>> = (0..count)
        .map(|_| Ok(Ring { capture: ring(&wish.interface, count)?, link, shared: &shared }))
        .collect::<anyhow::Result<_>>()?;
    let name = wish.name.clone().unwrap_or_else(|| alerting::usual_name(&wish.interface));
    let alerting =
        house.as_ref().map(|house| Alerting::new(house, &name, &wish.organisations, &telescope, &watch));
    let mut alerting = alerting.transpose()?;
    if let Some(alerting) = &alerting {
        eprintln!("noroshi: {} ranges of organisations are watched for", alerting.ranges());
    }
    eprintln!("noroshi: watching {} with {count} threads", wish.interface);
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| threads::look(&telescope, &watch, rings));
        let told = tell(wish, &telescope, &watch, &shared, &mut alerting, || looking.is_finished());
        shared.stop.store(true, Ordering::Relaxed);
        told
    })?;
    tell_news(&watch, &telescope, &mut alerting, wish.json)?;
    if let Some(alerting) = &mut alerting {
        alerting.go_on(&telescope, &watch);
        let _told_why = alerting.write(&telescope, &watch);
    }
    let judged = judged::judge(&telescope, &tables, count);
    let wall_s = begun.elapsed().as_secs_f64();
    let dropped = shared.dropped.load(Ordering::Relaxed);
    let replayed = watch.look(|watch| told::summary(&telescope, watch, judged, Vec::new(), wall_s))?;
    let replayed = replayed.with_dropped(dropped);
    if wish.json {
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
    alerting: &mut Option<Alerting<'_>>,
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
            tell_news(watch, telescope, alerting, wish.json)?;
            if let Some(alerting) = alerting {
                let _tried_again = alerting.write(telescope, watch);
            }
            if status_at.elapsed() >= Duration::from_secs(wish.every_s) {
                let packets = watch.look(|watch| watch.counts.frames);
                let packets_per_s = (packets - before) as f64 / status_at.elapsed().as_secs_f64();
                (status_at, before) = (Instant::now(), packets);
                let dropped = shared.dropped.load(Ordering::Relaxed);
                let at = SystemClock.now();
                let status = Status { at, packets, packets_per_s, dropped, sources: telescope.len() as u64 };
                tell_one(wish.json, "status", &status, say_status)?;
            }
            if forgot_at.elapsed() >= FORGET {
                forgot_at = Instant::now();
                let now_ns = u64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(0);
                telescope.forget_before(now_ns.saturating_sub(QUIET_NS));
            }
            if over() || wish.stop_after_s.is_some_and(|s| begun.elapsed() >= Duration::from_secs(s)) {
                return Ok(());
            }
        }
    })
}

/// Tells what is new since it was told last.
pub(super) fn tell_news(
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

pub(super) fn tell_one<T: Serialize>(
    json: bool,
    name: &str,
    told: &T,
    say: impl Fn(&T),
) -> anyhow::Result<()> {
    if json {
        return report::json(&BTreeMap::from([(name, told)]));
    }
    say(told);
    Ok(())
}

fn say_status(status: &Status) {
    let Status { at, packets, packets_per_s, dropped, sources } = status;
    say!("{at:.0} {packets} packets ({packets_per_s:.0} a second), {dropped} lost, {sources} senders");
}
