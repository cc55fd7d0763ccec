//! Who does what was typed after `noroshi feed`.

use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use noroshi_feed::propose::{self, Wish};
use noroshi_feed::{Bundle, Report, Sink, formats};
use noroshi_law::{InfectionNotice, Purpose as _};
use noroshi_model::clock::Clock;
use noroshi_model::{Bad, ClassificationType, Datum, Fields, SystemClock, Tally};
use noroshi_store::lists::Phase;
use noroshi_wire::{Input, unpack};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::cost::Cost;
use crate::house::House;
use crate::intake::{Campaign, FeedSource, Keep, Taken, name, take_feed};
use crate::lists::{self, Wanted};
use crate::maps;
use crate::report::{self, say};
use crate::tables::{self, Enrichment};

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
        /// What is kept of their events
        #[command(flatten)]
        wanted: Wanted,
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
    /// Propose a map for a file that no format fits, and show the first events it gives
    New {
        /// A file of the feed; its beginning is looked at
        #[arg(long, value_name = "FILE")]
        sample: PathBuf,
        /// What the format is to be called
        #[arg(long)]
        name: String,
        /// The RSIT classification of its events, e.g. vulnerable-system
        #[arg(long = "type", value_name = "TYPE", value_parser = rsit)]
        kind: Option<ClassificationType>,
        /// Zone of times that carry none, e.g. Asia/Tokyo [default: UTC]
        #[arg(long)]
        zone: Option<String>,
        /// Keep the map, so that `--format NAME` works from now on
        #[arg(long)]
        save: bool,
        /// Replace a map of the same name
        #[arg(long, requires = "save")]
        replace: bool,
    },
    /// Check a map and print what it makes of a file's first records
    Try {
        /// The map
        map: PathBuf,
        /// A file of the feed
        sample: PathBuf,
    },
    /// Sign the maps of a folder, so that they can be given to others as a bundle
    // Its own --version is the bundle's.
    #[command(disable_version_flag = true)]
    Sign {
        /// The folder
        folder: PathBuf,
        /// The signing key; made where there is none
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Who signs, e.g. csirt.example/feeds
        #[arg(long)]
        signer: String,
        /// The bundle's version: each has to be higher than the last
        #[arg(long)]
        version: u64,
    },
    /// Write the summaries of repeats whose groups are over
    Flush {
        /// Of this feed [default: of all]
        feed: Option<String>,
        /// Also of groups that are not over: what comes later begins a new one
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what the last load of a list changed: new, changed, gone
    ListDiff {
        /// The feed
        feed: String,
        /// Print JSON lines, the load itself last
        #[arg(long)]
        json: bool,
    },
    /// Print what is on a list
    Listed {
        /// The feed
        feed: String,
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Show what became of each feed's records: read = stored + duplicate + filtered + quarantined
    Status {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// List the tables that events are enriched from, with their licences
    Tables {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
    /// List the formats that can be read
    Formats {
        /// Print JSON lines
        #[arg(long)]
        json: bool,
    },
}

fn rsit(text: &str) -> Result<ClassificationType, String> {
    ClassificationType::parse(text).ok_or_else(|| {
        let all: Vec<&str> = ClassificationType::ALL.iter().map(|t| t.id()).collect();
        format!("RSIT has {}", all.join(", "))
    })
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
    #[serde(flatten)]
    cost: Cost,
    files: &'a [Taken],
}

/// Reads reports into the store.
pub fn load(
    house: &House,
    files: &[PathBuf],
    what: &What,
    campaign: Option<Campaign>,
    wanted: &Wanted,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let begun = house.clock.now();
    let bundle = maps::read(&house.config)?;
    let enrichment = Enrichment::read(&house.config.enrich)?;
    let report = what.report(&*house.clock)?;
    let keep = wanted.keep(&house.config, &report.feed_name, campaign.is_some())?;
    anyhow::ensure!(
        files.len() == 1 || !matches!(keep, Keep::List(_)),
        "a list is one file; several would each take the others' entries for gone"
    );
    let feed = FeedSource { bundle: &bundle, report, campaign, enrichment: &enrichment, keep };
    let (mut all, mut counts, mut code) = (Vec::new(), Tally::default(), ExitCode::SUCCESS);
    for file in files {
        match take_feed(house, file, &feed) {
            Ok(taken) => {
                for taken in taken {
                    if !as_json {
                        say!("{:<32} {}", taken.file, taken.counts);
                    }
                    if let Some(list) = &taken.list {
                        if !as_json {
                            lists::tell(list);
                        }
                        if list.phase == Phase::Refused {
                            eprintln!("noroshi: {}", list.note);
                            code = ExitCode::FAILURE;
                        }
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
    let cost = Cost::so_far()?;
    let wall_s = house.clock.now().duration_since(begun).as_secs_f64();
    if as_json {
        report::json(&Loaded { counts, wall_s, cost, files: &all })?;
    } else if counts.read > 0 {
        let rate = counts.read as f64 / wall_s.max(0.001);
        let Cost { cpu_s, rss_max_bytes } = cost;
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
pub fn parse(files: &[PathBuf], what: &What, config: &Config, enrich: bool) -> anyhow::Result<ExitCode> {
    let bundle = maps::read(config)?;
    let tables = enrich.then(|| tables::read(&config.enrich)).transpose()?;
    let mut code = ExitCode::SUCCESS;
    let mut out = Printing {
        out: BufWriter::new(std::io::stdout().lock()),
        json: Vec::new(),
        bad: 0,
        report: what.report(&SystemClock)?,
        tables: tables.as_ref(),
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
pub fn list_formats(config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let bundle = maps::read(config)?;
    let mut all: Vec<(String, String)> =
        formats::FORMATS.iter().map(|(name, _)| ((*name).to_owned(), String::new())).collect();
    for (format, own) in bundle.formats() {
        let mut about = bundle.map(format).map(|map| map.about.clone()).unwrap_or_default();
        if own {
            about = format!("{about} (your own)").trim().to_owned();
        }
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

/// Proposes a map, shows what it makes of the sample, and keeps it if asked to.
pub fn new(
    config: &Config,
    sample: &Path,
    wish: &Wish,
    save: bool,
    replace: bool,
) -> anyhow::Result<ExitCode> {
    let plain = !wish.name.is_empty()
        && wish.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    anyhow::ensure!(plain, "a format's name has small letters, digits and hyphens: {}", wish.name);
    let mut input = std::fs::File::open(sample)
        .with_context(|| format!("{} cannot be read", sample.display()))
        .map(|file| Box::new(BufReader::new(file)) as Input)
        .and_then(|input| Ok(unpack(input)?))?;
    let member = input.next().context("an archive without a file in it")??;
    let mut bytes = Vec::new();
    member.input.take(propose::SAMPLE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    let map = propose::propose(&String::from_utf8_lossy(&bytes), wish).map_err(anyhow::Error::msg)?;
    say!("{map}");
    let good = preview(&map, &bytes)?;
    if !save {
        eprintln!(
            "Nothing is kept yet: correct the map and put it into {}, or run again with --save.",
            maps::own_folder(config).display()
        );
        return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let path = maps::save(config, &wish.name, &map, replace)?;
    eprintln!(
        "Kept as {}. Now: noroshi feed load {} --format {}",
        path.display(),
        sample.display(),
        wish.name
    );
    Ok(ExitCode::SUCCESS)
}

/// Checks a map and shows what it makes of a sample.
pub fn try_map(map: &Path, sample: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(map).with_context(|| format!("{} cannot be read", map.display()))?;
    let file = std::fs::File::open(sample).with_context(|| format!("{} cannot be read", sample.display()))?;
    let mut bytes = Vec::new();
    file.take(propose::SAMPLE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(if preview(&text, &bytes)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the first events a map makes of a sample, and what it cannot read; false where it makes none.
fn preview(map: &str, sample: &[u8]) -> anyhow::Result<bool> {
    const SHOWN: usize = 5;
    let map = noroshi_feed::map::MapFile::parse(map)?;
    // The sample may end in the middle of a line.
    let whole = sample.iter().rposition(|b| *b == b'\n').map_or(sample.len(), |at| at + 1);
    let end = if sample.len() < propose::SAMPLE_BYTES_MAX { sample.len() } else { whole };
    let mut feed = noroshi_feed::mapped(&map, None, Box::new(std::io::Cursor::new(sample[..end].to_vec())))?;
    let mut seen = Preview::default();
    while feed.step(&mut seen)? {}
    for event in seen.events.iter().take(SHOWN) {
        eprintln!("{event}");
    }
    for bad in seen.bad.iter().take(SHOWN) {
        eprintln!("noroshi: {bad}");
    }
    eprintln!("{} events, {} left out, {} cannot be read", seen.events.len(), seen.filtered, seen.bad.len());
    Ok(!seen.events.is_empty())
}

/// What a sample holds.
#[derive(Default)]
struct Preview {
    events: Vec<String>,
    filtered: u64,
    bad: Vec<Bad>,
}

impl Sink for Preview {
    fn event(&mut self, _line: u64, mut fields: Fields<'_>) {
        let mut json = Vec::new();
        fields.write_json(&mut json);
        self.events.push(String::from_utf8_lossy(&json).into_owned());
    }

    fn filtered(&mut self, _line: u64) {
        self.filtered += 1;
    }

    fn bad(&mut self, bad: Bad) {
        self.bad.push(bad);
    }
}
