//! Who does what was typed after `noroshi feed`.

use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use noroshi_feed::{Bundle, Report, Sink, formats};
use noroshi_law::{InfectionNotice, Purpose as _};
use noroshi_model::clock::Clock;
use noroshi_model::{Bad, Datum, Fields, SystemClock, Tally};
use noroshi_wire::{Input, unpack};
use serde_json::{Map, Value};

use crate::house::House;
use crate::intake::{Campaign, FeedSource, Taken, name, take_feed};
use crate::report::{self, say};
use crate::tables;

/// Bad records told one by one by `feed parse`; the rest is counted.
const BAD_TOLD: u64 = 20;

/// Reports of others
#[derive(Debug, Subcommand)]
pub enum FeedCommand {
    /// Read reports, store their events, keep what cannot be read in quarantine
    Load {
        /// Files (plain, gzip, zstd, zip), `-` for standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What the reports are
        #[command(flatten)]
        what: What,
        /// The campaign they belong to: events about our own network go on into the loop
        #[arg(long)]
        campaign: Option<String>,
        /// The measure under which the campaign's events may be used [default: infection-notice]
        #[arg(long, requires = "campaign")]
        measure: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Read reports and print their events as JSON lines in IntelMQ's field names; stores nothing
    Parse {
        /// Files (plain, gzip, zstd, zip), `-` for standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What the reports are
        #[command(flatten)]
        what: What,
        /// Add the events' networks and countries from our tables
        #[arg(long)]
        enrich: bool,
    },
    /// List the formats that can be read
    Formats {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
}

/// What a report is.
#[derive(Clone, Debug, Args)]
pub struct What {
    /// Its format; `noroshi feed formats` lists them
    #[arg(long)]
    pub format: String,
    /// The feed's name [default: the format]
    #[arg(long, value_name = "NAME")]
    pub feed_name: Option<String>,
    /// Where it was fetched
    #[arg(long, value_name = "URL")]
    pub feed_url: Option<String>,
    /// The file's name, where it is not that of FILE: it says the type of Shadowserver's reports
    #[arg(long, value_name = "NAME")]
    pub file_name: Option<String>,
    /// Parameters of the parser, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub params: Option<String>,
}

impl What {
    fn report(&self, clock: &dyn Clock) -> anyhow::Result<Report> {
        let params = match self.params.as_deref().map(str::trim) {
            None | Some("") => Map::new(),
            Some(text) => match serde_json::from_str(text).context("--params is no JSON")? {
                Value::Object(params) => params,
                _ => anyhow::bail!("--params must be a JSON object"),
            },
        };
        let file_name = self.file_name.clone().filter(|name| name != "-" && !name.is_empty());
        Ok(Report {
            format: self.format.clone(),
            feed_name: self.feed_name.clone().unwrap_or_else(|| self.format.clone()),
            feed_url: self.feed_url.clone(),
            file_name,
            params,
            now: clock.now(),
        })
    }
}

/// What `feed load` prints as JSON.
#[derive(serde::Serialize)]
struct Loaded<'a> {
    #[serde(flatten)]
    counts: Tally,
    wall_s: f64,
    cpu_s: f64,
    rss_max_bytes: u64,
    files: &'a [Taken],
}

/// Reads reports into the store.
pub fn load(
    house: &House,
    files: &[PathBuf],
    what: &What,
    campaign: Option<Campaign>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let begun = house.clock.now();
    let bundle = Bundle::shipped();
    let enricher = tables::read(&house.config.enrich)?;
    let feed =
        FeedSource { bundle: &bundle, report: what.report(&*house.clock)?, campaign, enricher: &enricher };
    let (mut all, mut counts, mut code) = (Vec::new(), Tally::default(), ExitCode::SUCCESS);
    for file in files {
        match take_feed(house, file, &feed) {
            Ok(taken) => {
                for taken in taken {
                    if !as_json {
                        say!("{:<32} {}", taken.file, taken.counts);
                    }
                    counts += taken.counts;
                    all.push(taken);
                }
            }
            Err(e) => {
                eprintln!("noroshi: {e:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)?;
    let cpu_s = [usage.user_time(), usage.system_time()]
        .iter()
        .map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6)
        .sum();
    let wall_s = house.clock.now().duration_since(begun).as_secs_f64();
    // Kibibytes, but on the systems that count bytes.
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    let rss_max_bytes = usage.max_rss().unsigned_abs() * unit;
    if as_json {
        report::json(&Loaded { counts, wall_s, cpu_s, rss_max_bytes, files: &all })?;
    } else if counts.read > 0 {
        let rate = counts.read as f64 / wall_s.max(0.001);
        say!(
            "{counts}: {wall_s:.1} s, {rate:.0}/s, {cpu_s:.1} s of CPU, {} MiB at most",
            rss_max_bytes >> 20
        );
    }
    Ok(code)
}

/// The campaign of `feed load --campaign`.
pub fn campaign(name: Option<String>, measure: Option<String>) -> Option<Campaign> {
    let measure = measure.unwrap_or_else(|| InfectionNotice::MEASURE.to_owned());
    name.map(|name| Campaign { name, measure })
}

/// Reads reports and prints their events.
pub fn parse(
    files: &[PathBuf],
    what: &What,
    enrich: Option<&crate::tables::EnrichFile>,
) -> anyhow::Result<ExitCode> {
    let bundle = Bundle::shipped();
    let enricher = enrich.map(tables::read).transpose()?;
    let tables = enricher.as_ref().map(|enricher| enricher.now());
    let mut code = ExitCode::SUCCESS;
    let mut out = Printing {
        out: BufWriter::new(std::io::stdout().lock()),
        json: Vec::new(),
        bad: 0,
        report: what.report(&SystemClock)?,
        tables: tables.as_deref(),
    };
    for file in files {
        if let Err(e) = parse_file(&bundle, file, what, &mut out) {
            eprintln!("noroshi: {}: {e:#}", name(file));
            code = ExitCode::FAILURE;
        }
    }
    out.out.flush()?;
    if out.bad > BAD_TOLD {
        eprintln!("noroshi: {} bad records in all", out.bad);
    }
    Ok(code)
}

fn parse_file(bundle: &Bundle, path: &Path, what: &What, out: &mut Printing<'_>) -> anyhow::Result<()> {
    let input: Input = if path.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::new(std::fs::File::open(path)?.take(u64::MAX)))
    };
    for member in unpack(input)? {
        let member = member?;
        let mut report = out.report.clone();
        if what.file_name.is_none() && path.as_os_str() != "-" {
            report.file_name = Some(member.name.unwrap_or_else(|| name(path)));
        }
        let mut feed = noroshi_feed::open(bundle, &report, member.input)?;
        while feed.step(out)? {}
    }
    Ok(())
}

/// Prints what a report holds.
struct Printing<'a> {
    out: BufWriter<std::io::StdoutLock<'a>>,
    json: Vec<u8>,
    bad: u64,
    report: Report,
    tables: Option<&'a noroshi_orient::enrich::Tables>,
}

impl Sink for Printing<'_> {
    fn event(&mut self, _line: u64, mut fields: Fields<'_>) {
        fields.offer("feed.name", self.report.feed_name.clone());
        fields.offer("time.observation", Datum::Time(self.report.now));
        self.json.clear();
        fields.write_json(&mut self.json);
        if let Some(tables) = self.tables {
            crate::intake::enrich(tables, &fields, &mut self.json);
        }
        self.json.push(b'\n');
        // A reader that has gone away (`| head`) ends the program quietly, as it does for other programs.
        if self.out.write_all(&self.json).is_err() {
            std::process::exit(0);
        }
    }

    fn filtered(&mut self, _line: u64) {}

    fn bad(&mut self, bad: Bad) {
        self.bad += 1;
        if self.bad <= BAD_TOLD {
            eprintln!("noroshi: {bad}");
        }
    }
}

/// Lists the formats.
pub fn list_formats(as_json: bool) -> anyhow::Result<ExitCode> {
    let bundle = Bundle::shipped();
    let mut all: Vec<(String, String)> =
        formats::FORMATS.iter().map(|(name, _)| ((*name).to_owned(), String::new())).collect();
    for format in bundle.formats() {
        let about = bundle.map(format).map(|map| map.about.clone()).unwrap_or_default();
        match all.iter_mut().find(|(name, _)| name == format) {
            Some((_, text)) => *text = about,
            None => all.push((format.to_owned(), about)),
        }
    }
    all.sort();
    for (name, about) in all {
        if as_json {
            report::json(&serde_json::json!({ "format": name, "about": about }))?;
        } else {
            say!("{name:<28} {about}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
