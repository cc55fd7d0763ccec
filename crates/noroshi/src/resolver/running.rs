//! A resolver that runs: sockets, workers, zones read, and what is told of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, bail};
use noroshi_resolver::clock::Clock;
use noroshi_resolver::forward::Forward;
use noroshi_resolver::name::{Name, Secret};
use noroshi_resolver::policy::{Editor, Read};
use noroshi_resolver::recurse::Recurse;
use noroshi_resolver::resolver::{BackEnd, Resolver};
use noroshi_resolver::serve::{self, Serving, stream};
use noroshi_resolver::zone::kept::Kept;
use noroshi_resolver::zone::secondary::Secondary;
use noroshi_resolver::zone::transfer::{TransferError, Transferred};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;

use super::control::{self, Request};
use super::settings::{Asked, Plan, PlannedZone, name};
use crate::report::plain;

/// Lines that are told of a zone's file at most.
const TOLD_MAX: usize = 20;

/// Folder of transferred zones, in the data folder.
const ZONES: &str = "zones";

/// Zones and where they come from.
struct Zones {
    editor: Arc<Mutex<Editor>>,
    files: Vec<Option<PathBuf>>,
    fetched: Vec<Arc<Secondary>>,
}

/// What became of a zone that was read.
#[derive(Debug, Serialize)]
struct ZoneTold {
    zone: String,
    serial: Option<u32>,
    records: usize,
    rules: usize,
    refused: usize,
    wall_s: f64,
}

/// Serves as planned until the program is told to end.
pub fn run(plan: Plan, data_dir: &Path) -> anyhow::Result<()> {
    let secret = secret()?;
    let clock = Clock::real();
    let editor = Editor::new(secret, plan.zones.iter().map(|zone| zone.settings.clone()).collect());
    let policy = editor.published();
    let zones = Arc::new(Zones::new(editor, plan.zones, &data_dir.join(ZONES)));
    zones.read(&[])?;
    zones.restore();
    let back_end = match plan.asked {
        Asked::Forward(servers) => BackEnd::Forward(Forward::new(servers, clock.clone())),
        Asked::Recurse(settings) => BackEnd::Recurse(Recurse::new(settings, clock.clone())),
    };
    let resolver = Arc::new(Resolver::new(plan.settings, secret, policy, plan.access, back_end, clock));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(plan.threads).enable_all().build()?;
    let (serving, mut notified) = Serving::new(Arc::clone(&resolver), runtime.handle().clone());
    for zone in &zones.fetched {
        let zone = Arc::clone(zone);
        runtime.spawn(async move { zone.follow(tell_transfer).await });
    }
    let fetched = zones.fetched.clone();
    runtime.spawn(async move {
        while let Some((name, by)) = notified.recv().await {
            let known = fetched.iter().any(|zone| *zone.zone() == name && zone.notified(by));
            if !known {
                tracing::info!(zone = %name, %by, "a notification from somebody who is no primary");
            }
        }
    });
    let mut listening = Vec::new();
    for address in &plan.listen {
        for address in serve::expanded(*address)? {
            start(&serving, address, plan.threads).with_context(|| format!("listening at {address}"))?;
            listening.push(address);
        }
    }
    let status = Arc::clone(&serving.counts);
    control::listen(data_dir, {
        let (zones, resolver) = (Arc::clone(&zones), Arc::clone(&resolver));
        move |request| match request {
            Request::Reload { zones: names } => Ok(serde_json::to_value(zones.read(&names)?)?),
            Request::Status => {
                let sums = status.sums();
                let policy = resolver.policy();
                let zones: Vec<serde_json::Value> = policy
                    .zones
                    .iter()
                    .zip(&sums.hits)
                    .map(|(zone, hits)| {
                        serde_json::json!({
                            "zone": zone.settings.name.to_string(), "serial": zone.serial, "rules": zone.rules, "hits": hits,
                        })
                    })
                    .collect();
                Ok(serde_json::json!({
                    "queries_udp": sums.queries_udp, "queries_stream": sums.queries_stream,
                    "answered_at_once": sums.answered_at_once, "answered_later": sums.answered_later,
                    "silent": sums.silent, "refused_full": sums.refused_full, "stale": sums.stale,
                    "codes": sums.codes, "zones": zones,
                    "cache_entries": resolver.cache().len(), "cache_octets": resolver.cache().octets(),
                    "table_octets": policy.table_octets(),
                }))
            }
        }
    })?;
    for address in &listening {
        eprintln!("resolver {address} (udp, tcp)");
    }
    crate::serve::until_interrupted()?;
    serving.stop();
    let _ = std::fs::remove_file(control::path(data_dir));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(())
}

fn start(serving: &Serving, address: SocketAddr, threads: usize) -> anyhow::Result<()> {
    let sockets = serve::udp_sockets(address, threads)?;
    let address = sockets.first().map_or(Ok(address), std::net::UdpSocket::local_addr)?;
    for (at, socket) in sockets.into_iter().enumerate() {
        let serving = serving.clone();
        std::thread::Builder::new().name(format!("resolver-udp-{at}")).spawn(move || {
            if let Err(error) = serve::udp::serve(&serving, socket) {
                tracing::error!(%address, %error, "udp");
            }
        })?;
    }
    let listener = serve::tcp_socket(address)?;
    serving.runtime.spawn({
        let serving = serving.clone();
        async move {
            if let Err(error) = stream::serve(serving, listener, stream::Connections::default()).await {
                tracing::error!(%address, %error, "tcp");
            }
        }
    });
    Ok(())
}

impl Zones {
    fn new(editor: Editor, planned: Vec<PlannedZone>, folder: &Path) -> Self {
        let editor = Arc::new(Mutex::new(editor));
        let (mut files, mut fetched) = (Vec::new(), Vec::new());
        for (place, zone) in planned.into_iter().enumerate() {
            files.push(zone.file);
            if !zone.primaries.is_empty() {
                let name = zone.settings.name;
                let kept = Kept::new(folder, &name);
                fetched.push(Arc::new(Secondary::new(place as u8, name, zone.primaries, kept, Arc::clone(&editor))));
            }
        }
        Self { editor, files, fetched }
    }

    /// What was fetched before.
    fn restore(&self) {
        for zone in &self.fetched {
            match zone.restore() {
                Ok(Some(read)) => eprintln!(
                    "{} serial {}: {} records, as they were fetched before",
                    zone.zone(),
                    zone.timers().map_or(0, |timers| timers.serial),
                    read.records
                ),
                Ok(None) => {}
                Err(error) => eprintln!("{}: what was fetched before cannot be read ({error}); it is fetched again", zone.zone()),
            }
        }
    }

    /// Reads zones from their files: those named, or all that have one.
    fn read(&self, names: &[String]) -> anyhow::Result<Vec<ZoneTold>> {
        let mut editor = self.editor.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: Vec<u8> = if names.is_empty() {
            (0..self.files.len() as u8).filter(|zone| self.files[usize::from(*zone)].is_some()).collect()
        } else {
            let place = |text: &String| editor.place(&name(text)?).with_context(|| format!("no zone is called {text}"));
            names.iter().map(place).collect::<anyhow::Result<_>>()?
        };
        let mut told = Vec::new();
        for zone in wanted {
            let Some(path) = &self.files[usize::from(zone)] else {
                let name = editor.zone(zone).map(|zone| zone.settings.name);
                let Some(fetched) = self.fetched.iter().find(|fetched| Some(*fetched.zone()) == name) else {
                    bail!("the zone is read from no file");
                };
                fetched.hurry();
                continue;
            };
            let begun = crate::resolver::now();
            let reading = || format!("reading {}", path.display());
            let file = std::fs::File::open(path).with_context(reading)?;
            let octets = file.metadata().with_context(reading)?.len();
            let read = editor.replace_by_file(zone, file, octets).with_context(reading)?;
            told.push(tell(&editor, zone, path, &read, begun));
        }
        Ok(told)
    }
}

fn tell(editor: &Editor, zone: u8, path: &Path, read: &Read, begun: Instant) -> ZoneTold {
    for refused in read.refused.iter().take(TOLD_MAX) {
        eprintln!("{}:{}: {}", path.display(), refused.line, plain(&refused.why.to_string()));
    }
    if read.refused_count > TOLD_MAX {
        eprintln!("{}: {} more lines are no rules", path.display(), read.refused_count - TOLD_MAX);
    }
    let (name, rules) = editor.zone(zone).map_or_else(Default::default, |zone| (zone.settings.name.to_string(), zone.rules));
    ZoneTold {
        zone: name,
        serial: read.serial,
        records: read.records,
        rules,
        refused: read.refused_count,
        wall_s: begun.elapsed().as_secs_f64(),
    }
}

fn tell_transfer(zone: &Name, result: &Result<Transferred, TransferError>) {
    match result {
        Ok(Transferred::UpToDate) => tracing::debug!(%zone, "up to date"),
        Ok(Transferred::Whole) => tracing::info!(%zone, "transferred"),
        Ok(Transferred::Changes(changes)) => tracing::info!(%zone, changes = changes.len(), "changed"),
        Err(error) => tracing::warn!(%zone, %error, "transfer"),
    }
}

fn secret() -> anyhow::Result<Secret> {
    let mut secret = [0; 16];
    SystemRandom::new().fill(&mut secret).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    Ok(Secret(secret))
}
