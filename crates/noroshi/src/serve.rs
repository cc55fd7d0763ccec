//! Serving: the subscribers' pages on one listener, the console on another, the stages on a thread beside them.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use noroshi_portal::guard::SUBSCRIBER_PER_SECOND;
use noroshi_portal::{ConsoleKey, api, console, metrics_page, radius_page, subscriber_pages};

use crate::config::Config;
use crate::desk::HouseDesk;
use crate::house::House;
use crate::http;
use crate::keys;
use crate::staff::HouseDoor;
use crate::stages::{self, Stage, StageError};

/// Pause of the stages when there is nothing to do.
const IDLE: Duration = Duration::from_millis(250);
/// How often interrupted mails are looked after.
const RECOVER_EVERY: Duration = Duration::from_secs(30);
/// Pause after a failure, so that a lasting one does not fill the log.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The listeners, bound.
#[derive(Debug)]
pub struct Listeners {
    /// For subscribers.
    pub portal: TcpListener,
    /// For the operator; loopback.
    pub console: TcpListener,
    /// For a monitoring system, where it has one of its own.
    pub metrics: Option<TcpListener>,
    /// For a RADIUS server that asks of lines that connect; loopback.
    pub radius: Option<TcpListener>,
    /// For programs.
    pub api: Option<TcpListener>,
}

impl Listeners {
    /// Binds what the configuration says.
    pub fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = |what, at| TcpListener::bind(at).with_context(|| format!("{what} cannot listen on {at}"));
        let radius = config.reach.garden.as_ref().and_then(|garden| garden.file.listen);
        Ok(Self {
            portal: bind("portal", config.portal)?,
            console: bind("console", config.console)?,
            metrics: config.metrics.map(|at| bind("metrics", at)).transpose()?,
            api: config.api.listen.map(|at| bind("api", at)).transpose()?,
            radius: radius.map(|at| bind("walled-garden", at)).transpose()?,
        })
    }
}

/// Serves both from threads of their own; returns the console's address with its access key.
pub fn serve(house: Arc<House>, listeners: Listeners) -> anyhow::Result<String> {
    let console_at = listeners.console.local_addr()?;
    let origin = house.config.console_origin(console_at);
    let key = console_key(&house)?.with_url(&origin);
    let url = format!("{origin}{}", key.login_path());
    let door = Arc::new(HouseDoor::new(Arc::clone(&house), &origin)?);
    let texts = Arc::clone(&house.texts.portal);
    let per_second = house.config.api.per_second();
    let portal_per_second = house.config.offered.per_second.unwrap_or(SUBSCRIBER_PER_SECOND);
    let desk = Arc::new(HouseDesk::new(house));
    desk.begin();
    let mut pages = vec![
        (listeners.portal, subscriber_pages(Arc::clone(&desk) as _, texts, portal_per_second)),
        (listeners.console, console(Arc::clone(&desk) as _, door, key)?),
    ];
    pages.extend(listeners.metrics.map(|listener| (listener, metrics_page(Arc::clone(&desk) as _))));
    pages.extend(listeners.api.map(|listener| (listener, api::api(Arc::clone(&desk) as _, per_second))));
    pages.extend(listeners.radius.map(|listener| (listener, radius_page(desk))));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    std::thread::Builder::new().name("http".into()).spawn(move || {
        runtime.block_on(async move {
            let mut served = Vec::new();
            for (listener, router) in pages {
                let ready =
                    listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
                match ready {
                    Ok(listener) => served.push(tokio::spawn(http::serve(listener, router))),
                    Err(e) => tracing::error!("a listener cannot be used: {e}"),
                }
            }
            for task in served {
                let _ended = task.await;
            }
        });
    })?;
    Ok(url)
}

/// The console's access key, kept in the data folder.
pub fn console_key(house: &House) -> anyhow::Result<ConsoleKey> {
    let secret = keys::secret(&house.config.data_dir.join("keys"), "console.key")?;
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    ConsoleKey::parse(&text).context("the console's key cannot be read")
}

/// Works the stages until the program ends. Failures are logged and tried again. What may have to wait for somebody else's server has
/// threads of its own, so that nothing else waits for it, and a mail not for another.
pub fn work(house: &House, stages: &[Stage]) {
    let alone = matches!(house.store.address(), noroshi_store::Address::Sqlite(_));
    if alone && let Err(e) = house.store.tx("serve.release", |tx| tx.release_leases(house.clock.now())) {
        tracing::error!("leases of an earlier run could not be released: {e}");
    }
    let works = |stage: Stage| stages.contains(&stage);
    let waiting = [Stage::Mail, Stage::Reach];
    let quick: Vec<Stage> = stages.iter().copied().filter(|stage| !waiting.contains(stage)).collect();
    std::thread::scope(|scope| {
        if works(Stage::Reach) {
            scope.spawn(|| work_on(house, &[Stage::Reach], alone, None));
        }
        if works(Stage::Mail) {
            scope.spawn(|| {
                // What an earlier run left must be settled before there is a mail of this one, which would look the same.
                if let Err(e) = stages::recover(house, &[Stage::Mail], alone) {
                    tracing::error!("interrupted mails could not be settled: {e}");
                }
                for others in 1..house.config.connections {
                    scope.spawn(move || send_mails(house, others));
                }
                work_on(house, &[Stage::Mail], false, Some(Instant::now()));
            });
        }
        work_on(house, &quick, false, None);
    });
}

/// Sends mails beside so many others.
fn send_mails(house: &House, others: u32) {
    loop {
        match stages::mail::send_due(house, others) {
            Ok(0) => std::thread::sleep(IDLE),
            Ok(_) | Err(StageError::LeaseLost) => {}
            Err(e) => {
                tracing::error!("{:?}: {e}", Stage::Mail);
                std::thread::sleep(AFTER_FAILURE);
            }
        }
    }
}

fn work_on(house: &House, stages: &[Stage], alone: bool, mut recovered: Option<Instant>) {
    let mut alone_at_start = alone;
    loop {
        let mut done = 0;
        let mut failed = false;
        if recovered.is_none_or(|at| at.elapsed() > RECOVER_EVERY) {
            recovered = Some(Instant::now());
            match stages::recover(house, stages, std::mem::take(&mut alone_at_start)) {
                Ok(settled) => done += settled,
                Err(e) => tracing::error!("interrupted steps could not be settled: {e}"),
            }
        }
        for stage in stages {
            match stage.step(house) {
                Ok(n) => done += n,
                Err(StageError::LeaseLost) => done += 1,
                Err(e) => {
                    tracing::error!("{stage:?}: {e}");
                    failed = true;
                }
            }
        }
        match (failed, done) {
            (true, _) => std::thread::sleep(AFTER_FAILURE),
            (false, 0) => std::thread::sleep(IDLE),
            _ => {}
        }
    }
}

/// Waits for Ctrl-C or a termination signal.
pub fn until_interrupted() -> anyhow::Result<()> {
    until_interrupted_or(std::future::pending()).map(drop)
}

/// Waits for Ctrl-C or a termination signal, which is `false`, or for something else to say that it is time.
pub fn until_interrupted_or(other: impl Future<Output = bool>) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended.map(|()| false).map_err(Into::into),
            _ = term.recv() => Ok(false),
            its_time = other => Ok(its_time),
        }
    })
}
