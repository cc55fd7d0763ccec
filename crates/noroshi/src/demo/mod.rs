//! The whole loop on real input, on one machine, with nothing to set up.
//!
//! Real: the recordings (FreeRADIUS, nginx), every stage, the database, the keys, the mails over SMTP, the pages over
//! HTTP. Played: the subscribers ([`people`]), their mail server ([`mailbox`], which keeps mails in a folder and sends
//! nothing anywhere) and the clock, which starts when the recordings end and lets fifteen days pass at the end.

pub mod mailbox;
pub mod people;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use noroshi_feed::{Bundle, Report};
use noroshi_law::{InfectionNotice, Purpose as _, TakedownNotice};
use noroshi_model::clock::SteppedClock;
use noroshi_store::StoreError;
use noroshi_store::consent::TERMS;

use crate::config::{CONSOLE_LISTEN, Config, DATA_DIR, File, PORTAL_LISTEN};
use crate::house::{House, Stay};
use crate::intake::{Campaign, FeedSource, Keep, Taken, take_feed, take_radius, take_seized};
use crate::receipts::Receipts;
use crate::report::say;
use crate::serve::{Listeners, serve};
use crate::stages::{self, Stage, until_idle};
use crate::tables::Enrichment;
use crate::{keys, report, serve};

/// When the demo's clock starts: after the last recording.
const START: &str = "2026-11-21T00:00:00Z";

/// The recordings, so that the program needs nothing beside itself.
const RECORDINGS: [(&str, &[u8]); 8] = [
    ("directory.csv", include_bytes!("../../../../testdata/directory.csv")),
    ("detail-20261118.txt", include_bytes!("../../../../testdata/radius/detail-20261118.txt")),
    ("detail-20261119.txt", include_bytes!("../../../../testdata/radius/detail-20261119.txt")),
    ("detail-20261120.txt", include_bytes!("../../../../testdata/radius/detail-20261120.txt")),
    ("gate.csv", include_bytes!("../../../../testdata/seized/gate.csv")),
    ("gate.jsonl", include_bytes!("../../../../testdata/seized/gate.jsonl")),
    ("event4_sinkhole_http.csv", include_bytes!("../../../../testdata/sinkhole/event4_sinkhole_http.csv")),
    ("event6_sinkhole_http.csv", include_bytes!("../../../../testdata/sinkhole/event6_sinkhole_http.csv")),
];

/// What to play.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Play once and end, instead of serving console and portal afterwards
    #[arg(long)]
    pub once: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
    /// Play as if the contract terms carried no consent, to see what is refused
    #[arg(long)]
    pub without_consent: bool,
    /// Ask for the data with another purpose (e.g. advertising), to see it refused
    #[arg(long, value_name = "PURPOSE")]
    pub purpose: Option<String>,
}

/// Plays the demo.
pub fn play(options: &Options, data_dir: Option<PathBuf>) -> anyhow::Result<()> {
    let folder = data_dir.unwrap_or_else(|| Path::new(DATA_DIR).join("demo"));
    let recordings = folder.join("recordings");
    keys::private_folder(&recordings)?;
    for (name, bytes) in RECORDINGS {
        fs::write(recordings.join(name), bytes).context("the recordings cannot be unpacked")?;
    }
    let listeners = listen(options.once)?;
    let mail_server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mailbox = folder.join("mailbox");
    let config = configured(&folder, &recordings, &listeners, mail_server.local_addr()?)?;
    let clock = Arc::new(SteppedClock::at(START.parse::<Timestamp>()?));
    let receipts = Receipts::Mailbox(mailbox.clone());
    let mut house = House::open(config, Arc::clone(&clock) as _, receipts, Stay::Worker)?;
    house.purpose.clone_from(&options.purpose);
    let house = Arc::new(house);
    mailbox::start(mail_server, &mailbox)?;
    let console_url = serve(Arc::clone(&house), listeners)?;

    let tell = |text: String| {
        if !options.json {
            say!("{text}");
        }
    };
    tell(format!("noroshi demo in {} (clock starts at {START})\n", folder.display()));
    let released = house.store.tx("demo.release", |tx| tx.release_leases(house.clock.now()))?;
    let settled = stages::recover(&house, &Stage::ALL, true)?;
    if released + settled as u64 > 0 {
        tell(format!(
            "an earlier run was cut off: {released} jobs and {settled} mails were picked up again\n"
        ));
    }
    consent(&house, !options.without_consent)?;
    house.approve(TakedownNotice::MEASURE, "counsel (demo)", "the takedown whose logs are played here")?;
    for taken in observe(&house, &recordings)? {
        tell(format!("observe  {:<28} {}", taken.file, taken.counts));
    }
    until_idle(&house, &Stage::ALL)?;
    // Mails wait a little for what else is found of the same matter.
    clock.step(house.config.settle);
    until_idle(&house, &Stage::ALL)?;
    clock.step(SignedDuration::from_hours(2));
    let visits = people::visit(&mailbox, house.config.portal)?;
    tell(format!("\nthe subscribers opened their mail: {visits} requests to the portal"));
    until_idle(&house, &Stage::ALL)?;
    clock.step(SignedDuration::from_hours(15 * 24));
    tell("fifteen quiet days pass on the demo's clock\n".into());
    until_idle(&house, &Stage::ALL)?;
    report::loop_in_numbers(&house, options.json)?;
    if options.once {
        return Ok(());
    }
    say!("\nportal   {}\nconsole  {console_url}\n\nCtrl-C ends the demo.", house.config.base_url);
    serve::until_interrupted()
}

fn listen(once: bool) -> anyhow::Result<Listeners> {
    let bind = |wanted: &str| -> anyhow::Result<TcpListener> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let wanted = if once { anywhere } else { wanted.parse()? };
        Ok(TcpListener::bind(wanted).or_else(|_| TcpListener::bind(anywhere))?)
    };
    Ok(Listeners {
        portal: bind(PORTAL_LISTEN)?,
        console: bind(CONSOLE_LISTEN)?,
        metrics: None,
        radius: None,
        api: None,
    })
}

fn configured(
    folder: &Path,
    recordings: &Path,
    listeners: &Listeners,
    mail_server: SocketAddr,
) -> anyhow::Result<Config> {
    let text = include_str!("demo.toml");
    let mut file: File = toml::from_str(text).context("the demo's configuration")?;
    file.data_dir = Some(folder.to_owned());
    file.portal.listen = Some(listeners.portal.local_addr()?);
    file.console.listen = Some(listeners.console.local_addr()?);
    file.mail.server = Some(mail_server.to_string());
    file.directory.file = Some(recordings.join("directory.csv"));
    Config::try_from(file)
}

/// The contract terms carry the clause, or do not.
fn consent(house: &House, granted: bool) -> Result<(), StoreError> {
    let now = house.clock.now();
    house.store.tx("demo.consent", |tx| {
        tx.put_consent(
            TERMS,
            InfectionNotice::MEASURE,
            granted,
            "contract terms of 2026-04, article 12 (demo)",
            now,
        )
    })
}

fn observe(house: &House, recordings: &Path) -> anyhow::Result<Vec<Taken>> {
    let file = |name: &str| recordings.join(name);
    let format = |name: &str| house.config.seized.get(name).context("the demo's formats");
    let takedown = TakedownNotice::MEASURE;
    let mut taken = vec![
        take_radius(house, &file("detail-20261118.txt"))?,
        take_radius(house, &file("detail-20261119.txt"))?,
        take_radius(house, &file("detail-20261120.txt"))?,
        take_seized(house, &file("gate.csv"), "takedown-gate", takedown, format("gate")?)?,
        take_seized(house, &file("gate.jsonl"), "takedown-panel", takedown, format("panel")?)?,
    ];
    let (bundle, enrichment) = (Bundle::shipped(), Enrichment::read(&house.config.enrich)?);
    let feed = FeedSource {
        bundle: &bundle,
        report: Report {
            format: "shadowserver".into(),
            feed_name: "Shadowserver Sinkhole HTTP Events".into(),
            feed_url: None,
            file_name: None,
            params: serde_json::Map::new(),
            now: house.clock.now(),
        },
        campaign: Some(Campaign { name: "sinkhole".into(), measure: InfectionNotice::MEASURE.into() }),
        enrichment: &enrichment,
        keep: Keep::Every,
    };
    for report in ["event4_sinkhole_http.csv", "event6_sinkhole_http.csv"] {
        taken.extend(take_feed(house, &file(report), &feed)?);
    }
    Ok(taken)
}
