//! A resolver that runs: everything put together, sockets and workers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use noroshi_resolver::clock::Clock;
use noroshi_resolver::forward::Forward;
use noroshi_resolver::name::Secret;
use noroshi_resolver::policy::Editor;
use noroshi_resolver::recurse::Recurse;
use noroshi_resolver::resolver::{BackEnd, Resolver};
use noroshi_resolver::serve::{self, Serving, stream};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::control::{self, Request};
use super::settings::{Asked, Plan};
use super::status;
use super::zones::Zones;

/// Folder of zones, in the data folder.
const ZONES: &str = "zones";

/// Serves as planned until the program is told to end.
pub fn run(plan: Plan, data_dir: &Path) -> anyhow::Result<()> {
    let secret = secret()?;
    let clock = Clock::real();
    let editor = Editor::new(secret, plan.zones.iter().map(|zone| zone.settings.clone()).collect());
    let policy = editor.published();
    let zones = Arc::new(Zones::new(editor, plan.zones, &data_dir.join(ZONES)));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(plan.threads).enable_all().build()?;
    let back_end = match plan.asked {
        Asked::Forward(servers) => BackEnd::Forward(Forward::new(servers, clock.clone())),
        Asked::Recurse(settings) => BackEnd::Recurse(Recurse::new(settings, clock.clone())),
    };
    let resolver =
        Resolver::new(plan.settings, secret, policy, plan.access, back_end, clock).giving(zones.given());
    let resolver = Arc::new(resolver);
    let (serving, mut notified) = Serving::new(Arc::clone(&resolver), runtime.handle().clone());
    let handle = runtime.handle().clone();
    let read = {
        let (zones, handle) = (Arc::clone(&zones), handle.clone());
        move || {
            for zone in zones.read(&[], &handle)? {
                tracing::info!(?zone, "read");
            }
            zones.restore()
        }
    };
    control::listen(data_dir, read, {
        let (zones, counts) = (Arc::clone(&zones), Arc::clone(&serving.counts));
        move |request| match request {
            Request::Reload { zones: names } => Ok(serde_json::to_value(zones.read(&names, &handle)?)?),
            Request::Rule { zone, add, remove } => {
                Ok(serde_json::to_value(zones.change(&zone, &add, &remove, &handle)?)?)
            }
            Request::Status => Ok(status::status(&resolver, &counts, &zones)),
            Request::Explain { name, client } => status::explain(&resolver, &name, client),
        }
    })?;
    zones.follow(runtime.handle());
    runtime.spawn({
        let zones = Arc::clone(&zones);
        async move {
            while let Some((name, by)) = notified.recv().await {
                if !zones.notified(&name, by) {
                    tracing::info!(zone = %name, %by, "a notification from somebody who is no primary");
                }
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

fn secret() -> anyhow::Result<Secret> {
    let mut secret = [0; 16];
    SystemRandom::new().fill(&mut secret).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    Ok(Secret(secret))
}
