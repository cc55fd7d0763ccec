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
use noroshi_resolver::serve::stream::{self, Carried};
use noroshi_resolver::serve::{self, Serving, quic};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::control::{self, Request};
use super::settings::{Asked, Encrypted, Plan};
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
    let certificate = plan.encrypted.as_ref().map(|encrypted| Arc::clone(&encrypted.certificate));
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
            Request::Reload { zones: names } => {
                let read = zones.read(&names, &handle)?;
                if let Some(certificate) = certificate.as_ref().filter(|_| names.is_empty()) {
                    certificate.read_again().context("zones are read; the certificate stays the old one")?;
                }
                Ok(serde_json::to_value(read)?)
            }
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
    let mut at_all = |addresses: &[SocketAddr],
                      how: &'static str,
                      start: &dyn Fn(SocketAddr) -> anyhow::Result<()>|
     -> anyhow::Result<()> {
        for address in addresses {
            for address in serve::expanded(*address)? {
                start(address).with_context(|| format!("listening at {address} ({how})"))?;
                listening.push((address, how));
            }
        }
        Ok(())
    };
    at_all(&plan.listen, "udp, tcp", &|address| plain(&serving, address, plan.threads))?;
    if let Some(Encrypted { certificate, tls, https, path, quic }) = &plan.encrypted {
        let config = Arc::new(certificate.config(&["dot"])?);
        at_all(tls, "tls", &|address| connections(&serving, address, Carried::Tls(Arc::clone(&config))))?;
        let (config, path) = (Arc::new(certificate.config(&["h2", "http/1.1"])?), Arc::from(path.as_str()));
        at_all(https, "https", &|address| {
            connections(&serving, address, Carried::Https(Arc::clone(&config), Arc::clone(&path)))
        })?;
        let config = certificate.config(&[quic::PROTOCOL])?;
        at_all(quic, "quic", &|address| streams(&serving, address, &config))?;
    }
    for (address, how) in &listening {
        eprintln!("resolver {address} ({how})");
    }
    crate::serve::until_interrupted()?;
    serving.stop();
    let _ = std::fs::remove_file(control::path(data_dir));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    Ok(())
}

fn plain(serving: &Serving, address: SocketAddr, threads: usize) -> anyhow::Result<()> {
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
    connections(serving, address, Carried::Plain)
}

fn connections(serving: &Serving, address: SocketAddr, carried: Carried) -> anyhow::Result<()> {
    let listener = serve::tcp_socket(address)?;
    let served = stream::serve(serving.clone(), listener, carried);
    serving.runtime.spawn(async move {
        if let Err(error) = served.await {
            tracing::error!(%address, %error, "tcp");
        }
    });
    Ok(())
}

fn streams(serving: &Serving, address: SocketAddr, config: &rustls::ServerConfig) -> anyhow::Result<()> {
    let sockets = serve::udp_sockets(address, 1)?;
    for socket in sockets {
        let served = quic::serve(serving.clone(), socket, config.clone());
        serving.runtime.spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%address, %error, "quic");
            }
        });
    }
    Ok(())
}

fn secret() -> anyhow::Result<Secret> {
    let mut secret = [0; 16];
    SystemRandom::new().fill(&mut secret).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    Ok(Secret(secret))
}
