//! A resolver that runs: everything put together, sockets and workers.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use listenfd::ListenFd;
use noroshi_resolver::client::Access;
use noroshi_resolver::clock::Clock;
use noroshi_resolver::forward::Forward;
use noroshi_resolver::icap;
use noroshi_resolver::name::{Name, Secret};
use noroshi_resolver::policy::{Editor, MEASURES_MAX};
use noroshi_resolver::recurse::Recurse;
use noroshi_resolver::resolver::{BackEnd, Resolver};
use noroshi_resolver::serve::dnstap::Tap;
use noroshi_resolver::serve::hits::Hits;
use noroshi_resolver::serve::sockets::{self, Sockets};
use noroshi_resolver::serve::stream::{self, Carried};
use noroshi_resolver::serve::tls::Certificate;
use noroshi_resolver::serve::warning::Over;
use noroshi_resolver::serve::{self, Serving, quic};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{mpsc, oneshot};

use super::control::{self, Control, Request};
use super::handover::{self, Before};
use super::hits::Recording;
use super::settings::{self, AboutZone, Encrypted, Plan, PlannedWarning, PlannedZone};
use super::urls::Urls;
use super::warning::{Garden, Pages};
use super::zones::Zones;
use super::{consents, dnstap, hashes, metrics, queue, status, warning};
use crate::config::Config;
use crate::http;

/// Folder of zones, in the data folder.
const ZONES: &str = "zones";
/// How long questions that wait for other servers are still waited for at the end.
const FINISHING: Duration = Duration::from_secs(3);

/// Serves as planned until the program is told to end.
pub fn run(mut plan: Plan, config: &Config, take_over: bool) -> anyhow::Result<()> {
    let data_dir = config.data_dir.as_path();
    warning::explain_errors(&mut plan.zones, plan.warning.as_ref(), config)?;
    let about: Vec<AboutZone> = plan.zones.iter().map(|zone| zone.about.clone()).collect();
    let before = if take_over { handover::ask(data_dir)? } else { None };
    let (before, taken_over) = before.unzip();
    let mut sockets = Sockets::taken_over(taken_over.unwrap_or_else(activated));
    let control = Control::open(data_dir, before.is_some())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(plan.threads).enable_all().build()?;
    let planned = std::mem::take(&mut plan.zones);
    let Together { serving, zones, notified, recording } =
        put_together(&plan, planned, &about, config, runtime.handle())?;
    let urls = Arc::new(Urls::read(std::mem::take(&mut plan.url_lists))?);
    let (gone, mut giving_way) = oneshot::channel();
    let asked = Asked {
        resolver: Arc::clone(&serving.resolver),
        serving: serving.clone(),
        zones: Arc::clone(&zones),
        urls: Arc::clone(&urls),
        certificate: plan.encrypted.as_ref().map(|encrypted| Arc::clone(&encrypted.certificate)),
        sockets: Arc::default(),
        gone: Cell::new(Some(gone)),
    };
    let in_use = Arc::clone(&asked.sockets);
    let read = {
        let (zones, handle) = (Arc::clone(&zones), runtime.handle().clone());
        move || {
            for zone in zones.read(&[], &handle)? {
                tracing::info!(?zone, "read");
            }
            zones.restore()
        }
    };
    control::listen(&control, read, move |request, stream| asked.answer(request, stream))?;
    if let Some(address) = plan.metrics {
        let (serving, zones) = (serving.clone(), Arc::clone(&zones));
        let resolver = Arc::clone(&serving.resolver);
        runtime.spawn(metrics::serve(address, move || status::status(&resolver, &serving, &zones)));
    }
    if recording.is_some() {
        consents::listen(data_dir, &serving.resolver)?;
    }
    zones.follow(runtime.handle());
    runtime.spawn(told_of_versions(Arc::clone(&zones), notified));
    if let Some(origin) = plan.queue.take() {
        runtime.spawn(queue::follow(origin, Arc::clone(&zones)));
    }
    let pages = match &plan.warning {
        Some(planned) => {
            let (resolver, handle) = (Arc::clone(&serving.resolver), runtime.handle().clone());
            let garden = Arc::new(Garden::new(resolver, handle, about, Arc::clone(&urls), planned.go_on_s)?);
            Some((planned, warning::pages(Arc::clone(&garden), planned, config)?, garden))
        }
        None => None,
    };
    let take_place = || {
        control.show()?;
        if let Some(Err(error)) = before.map(Before::taken) {
            tracing::warn!("{error:#}; questions are answered here");
        }
        Ok(())
    };
    let mut listening = Listening { serving: &serving, sockets: &mut sockets, told: Vec::new() };
    if let Some((planned, pages, garden)) = pages {
        listening.warning(planned, &pages)?;
        if let Some((addresses, access)) = &plan.icap {
            listening.proxies(addresses, access, &garden, &pages)?;
        }
    }
    listening.hashes(&plan.hashes, &urls)?;
    listening.everywhere(&plan.listen, plan.threads, plan.encrypted.as_ref(), take_place)?;
    for address in sockets.left_over() {
        eprintln!("a socket at {address} was given to us, and [resolver] does not listen there");
    }
    let _ = in_use.set(sockets.in_use());
    let gave_way = crate::serve::until_interrupted_or(async { (&mut giving_way).await.is_ok() })?;
    if !gave_way {
        serving.stop(FINISHING);
        let _ = std::fs::remove_file(control::path(data_dir));
    }
    if let Some(recording) = recording {
        recording.end();
    }
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(())
}

/// What answers, before it listens.
struct Together {
    serving: Serving,
    zones: Arc<Zones>,
    notified: mpsc::Receiver<(Name, IpAddr)>,
    /// Where rules hold by consent.
    recording: Option<Recording>,
}

fn put_together(
    plan: &Plan,
    planned: Vec<PlannedZone>,
    about: &[AboutZone],
    config: &Config,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<Together> {
    let secret = secret()?;
    let clock = Clock::real();
    let editor = Editor::new(secret, planned.iter().map(|zone| zone.settings.clone()).collect());
    let policy = editor.published();
    let zones = Arc::new(Zones::new(editor, planned, &config.data_dir.join(ZONES)));
    let back_end = match &plan.asked {
        settings::Asked::Forward(servers) => BackEnd::Forward(Forward::new(servers.clone(), clock.clone())),
        settings::Asked::Recurse(settings) => BackEnd::Recurse(Recurse::new(settings.clone(), clock.clone())),
    };
    let settings = plan.settings.clone();
    let mut resolver =
        Resolver::new(settings, secret, policy, plan.access.clone(), back_end, clock).giving(zones.given());
    let policy = resolver.policy();
    let of_measures = (0..MEASURES_MAX).fold(0, |zones, measure| zones | policy.needing(measure, !0));
    if of_measures != 0 {
        ensure!(
            !config.own.is_empty(),
            "[[resolver.rpz]] measure needs [network] own: whose lines may have agreed"
        );
        resolver = resolver.by_consent(consents::nobody(&config.own, plan.consent_v6_prefix)?);
    }
    let (mut serving, notified) = Serving::new(Arc::new(resolver), runtime.clone());
    let mut recording = None;
    if of_measures != 0 {
        let (hits, out) = Hits::of(of_measures);
        let recorder = consents::recorder(&policy, about, plan.cnc_events.clone(), &config.data_dir)?;
        recording = Some(recorder.start(out)?);
        serving = serving.recording(Arc::new(hits));
    }
    if let Some(socket) = &plan.dnstap {
        let names = policy.zones.iter().map(|zone| zone.settings.name.to_string()).collect();
        // Of lines that agreed to a measure there is a pseudonym at most.
        let (tap, out) = Tap::of("noroshi", !of_measures, names);
        dnstap::start(socket.clone(), out)?;
        serving = serving.tapped(tap);
    }
    Ok(Together { serving, zones, notified, recording })
}

/// Fetches zones of which a primary says that there is a new version.
async fn told_of_versions(zones: Arc<Zones>, mut notified: mpsc::Receiver<(Name, IpAddr)>) {
    while let Some((name, by)) = notified.recv().await {
        if !zones.notified(&name, by) {
            tracing::info!(zone = %name, %by, "a notification from somebody who is no primary");
        }
    }
}

/// Sockets that systemd opened for us.
fn activated() -> Vec<OwnedFd> {
    let mut given = ListenFd::from_env();
    let count = given.len();
    let socket = |at| {
        let udp = given.take_udp_socket(at).ok().flatten().map(OwnedFd::from);
        udp.or_else(|| given.take_tcp_listener(at).ok().flatten().map(OwnedFd::from))
    };
    (0..count).filter_map(socket).collect()
}

/// Who answers requests over the control socket.
struct Asked {
    resolver: Arc<Resolver>,
    serving: Serving,
    zones: Arc<Zones>,
    urls: Arc<Urls>,
    certificate: Option<Arc<Certificate>>,
    /// What is listened at, once it is.
    sockets: Arc<OnceLock<Vec<OwnedFd>>>,
    /// Who is told that another has taken our place.
    gone: Cell<Option<oneshot::Sender<()>>>,
}

impl Asked {
    fn answer(&self, request: Request, stream: &UnixStream) -> anyhow::Result<serde_json::Value> {
        let runtime = &self.serving.runtime;
        match request {
            Request::HandOver => self.give_way(stream),
            Request::Reload { zones } => {
                let read = self.zones.read(&zones, runtime)?;
                if zones.is_empty() {
                    self.urls.read_again().context("zones are read; lists of URLs stay the old ones")?;
                }
                if let Some(certificate) = self.certificate.as_ref().filter(|_| zones.is_empty()) {
                    certificate.read_again().context("zones are read; the certificate stays the old one")?;
                }
                Ok(serde_json::to_value(read)?)
            }
            Request::Rule { zone, add, remove } => {
                Ok(serde_json::to_value(self.zones.change(&zone, &add, &remove, runtime)?)?)
            }
            Request::Status => {
                Ok(serde_json::to_value(status::status(&self.resolver, &self.serving, &self.zones))?)
            }
            Request::Explain { name, client } => status::explain(&self.resolver, &name, client),
        }
    }

    fn give_way(&self, stream: &UnixStream) -> anyhow::Result<serde_json::Value> {
        let sockets = self.sockets.get().context("it has only begun to start")?;
        self.zones.rest(&self.serving.runtime);
        if let Err(error) = handover::give(stream, sockets) {
            self.zones.follow(&self.serving.runtime);
            return Err(error);
        }
        self.serving.stop(FINISHING);
        if let Some(gone) = self.gone.take() {
            let _ = gone.send(());
        }
        Ok(serde_json::Value::Null)
    }
}

/// Begins to listen, address by address.
struct Listening<'a> {
    serving: &'a Serving,
    sockets: &'a mut Sockets,
    told: Vec<(SocketAddr, &'static str)>,
}

impl Listening<'_> {
    /// At all addresses; `take_place` is called when nobody else needs to listen any more.
    fn everywhere(
        mut self,
        plain: &[SocketAddr],
        threads: usize,
        encrypted: Option<&Encrypted>,
        take_place: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for address in plain {
            self.plain(*address, threads)?;
        }
        if let Some(Encrypted { certificate, tls, https, path, .. }) = encrypted {
            let config = Arc::new(certificate.config(&["dot"])?);
            self.connections(tls, "tls", &Carried::Tls(config))?;
            let config = Arc::new(certificate.config(&["h2", "http/1.1"])?);
            self.connections(https, "https", &Carried::Https(config, Arc::from(path.as_str())))?;
        }
        take_place()?;
        // A connection over QUIC is lost with who has it, so there must be only one who reads.
        if let Some(Encrypted { certificate, quic, .. }) = encrypted {
            self.streams(quic, &certificate.config(&[quic::PROTOCOL])?)?;
        }
        for (address, how) in self.told {
            eprintln!("resolver {address} ({how})");
        }
        Ok(())
    }

    /// Where names lead that are warned of.
    fn warning(&mut self, planned: &PlannedWarning, pages: &Pages) -> anyhow::Result<()> {
        let may_reach = warning::may_reach(planned);
        let all = [
            (&planned.http, Over::Http, "warning page"),
            (&planned.https, Over::Https, "to sites that were gone on to"),
        ];
        for (addresses, over, how) in all {
            for address in expanded(addresses)? {
                let listener =
                    self.sockets.tcp(address).with_context(|| format!("listening at {address} ({how})"))?;
                let (serving, pages) = (self.serving.clone(), pages.clone());
                let served = serve::warning::serve(serving, listener, over, pages, Arc::clone(&may_reach));
                self.serving.runtime.spawn(async move {
                    if let Err(error) = served.await {
                        tracing::error!(%address, %error, how);
                    }
                });
                self.told.push((address, how));
            }
        }
        Ok(())
    }

    /// Where clients ask that hold lists of URLs themselves.
    fn hashes(&mut self, addresses: &[SocketAddr], urls: &Urls) -> anyhow::Result<()> {
        for address in expanded(addresses)? {
            let at = || format!("listening at {address} (hashes)");
            let listener = self.sockets.tcp(address).with_context(at)?;
            let _entered = self.serving.runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener).with_context(at)?;
            self.serving.runtime.spawn(http::serve(listener, hashes::router(urls.held())));
            self.told.push((address, "hashes"));
        }
        Ok(())
    }

    /// Where proxies ask before they open something.
    fn proxies(
        &mut self,
        addresses: &[SocketAddr],
        access: &Access,
        garden: &Arc<Garden>,
        pages: &Pages,
    ) -> anyhow::Result<()> {
        for address in expanded(addresses)? {
            let listener =
                self.sockets.tcp(address).with_context(|| format!("listening at {address} (icap)"))?;
            let served = icap::serve(listener, access.clone(), Arc::clone(garden) as _, pages.clone());
            self.serving.runtime.spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(%address, %error, "icap");
                }
            });
            self.told.push((address, "icap"));
        }
        Ok(())
    }

    fn plain(&mut self, address: SocketAddr, threads: usize) -> anyhow::Result<()> {
        for address in sockets::expanded(address)? {
            let at = || format!("listening at {address} (udp)");
            let sockets = self.sockets.udp(address, threads).with_context(at)?;
            for (number, socket) in sockets.into_iter().enumerate() {
                let serving = self.serving.clone();
                std::thread::Builder::new().name(format!("resolver-udp-{number}")).spawn(move || {
                    if let Err(error) = serve::udp::serve(&serving, socket) {
                        tracing::error!(%address, %error, "udp");
                    }
                })?;
            }
            self.connections(&[address], "udp, tcp", &Carried::Plain)?;
        }
        Ok(())
    }

    fn connections(
        &mut self,
        addresses: &[SocketAddr],
        how: &'static str,
        carried: &Carried,
    ) -> anyhow::Result<()> {
        for address in expanded(addresses)? {
            let at = || format!("listening at {address} ({how})");
            let listener = self.sockets.tcp(address).with_context(at)?;
            let served = stream::serve(self.serving.clone(), listener, carried.clone());
            self.serving.runtime.spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(%address, %error, how);
                }
            });
            self.told.push((address, how));
        }
        Ok(())
    }

    fn streams(&mut self, addresses: &[SocketAddr], config: &rustls::ServerConfig) -> anyhow::Result<()> {
        for address in expanded(addresses)? {
            let at = || format!("listening at {address} (quic)");
            for socket in self.sockets.udp(address, 1).with_context(at)? {
                let served = quic::serve(self.serving.clone(), socket, config.clone());
                self.serving.runtime.spawn(async move {
                    if let Err(error) = served.await {
                        tracing::error!(%address, %error, "quic");
                    }
                });
            }
            self.told.push((address, "quic"));
        }
        Ok(())
    }
}

fn expanded(addresses: &[SocketAddr]) -> std::io::Result<Vec<SocketAddr>> {
    let all: Vec<_> =
        addresses.iter().map(|address| sockets::expanded(*address)).collect::<Result<_, _>>()?;
    Ok(all.concat())
}

fn secret() -> anyhow::Result<Secret> {
    let mut secret = [0; 16];
    SystemRandom::new().fill(&mut secret).map_err(|_| anyhow::anyhow!("the system has no random numbers"))?;
    Ok(Secret(secret))
}
