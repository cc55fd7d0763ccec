//! The telescope from the command line: captures replayed, who sent what and why.
//!
//! Reading and telling apart is one thread, since a capture is one stream and a packet takes less than handing it over would. A file that
//! is damaged or cut off counts as far as it could be read, and is told of with the byte at which that ended.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_observe::telescope::{Class, NotRead, Source, Telescope, Tool};
use noroshi_orient::enrich::{Cc, Tables};
use noroshi_wire::capture::Capture;
use serde::Serialize;

use crate::config::Config;
use crate::cost::Cost;
use crate::report::{self, say};
use crate::tables;

/// Countries that are told of.
const COUNTRIES_MAX: usize = 20;

/// The telescope: packets to addresses that nobody uses
#[derive(Debug, Subcommand)]
pub enum DarknetCommand {
    /// Read captures, and tell who sent what and why
    Replay(Replay),
}

/// Read captures, and tell who sent what and why
#[derive(Debug, Args)]
pub struct Replay {
    /// Captures: pcap or pcapng, plain, gzip, zstd or zip; `-` for standard input
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The telescope's networks; packets to other addresses are counted and left out [default: every address]
    #[arg(long = "network", value_name = "PREFIX")]
    pub networks: Vec<IpNet>,
    /// Write the senders to a file: ip, class, tool, packets, first, last; most packets first, none of the telescope's own addresses
    #[arg(long, value_name = "OUT.csv")]
    pub sources: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How many senders, and how many packets of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Share {
    sources: u64,
    packets: u64,
}

impl Share {
    fn add(&mut self, source: &Source) {
        self.sources += 1;
        self.packets += u64::from(source.packets);
    }
}

/// What `darknet replay` prints: `packets = ours + elsewhere + not_read`.
#[derive(Debug, Serialize)]
struct Replayed {
    /// Packets in the captures.
    packets: u64,
    /// IP packets to the telescope.
    ours: u64,
    /// IP packets to other addresses.
    elsewhere: u64,
    not_read: NotRead,
    /// Packets of the telescope whose senders are not told apart, for want of room.
    beyond: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Senders.
    sources: u64,
    classes: BTreeMap<&'static str, Share>,
    tools: BTreeMap<&'static str, Share>,
    /// By ISO 3166; the greatest by senders, and the rest together as `other`.
    countries: BTreeMap<String, Share>,
    wall_s: f64,
    #[serde(flatten)]
    cost: Cost,
    packets_per_cpu_s: f64,
    files: Vec<OneFile>,
}

#[derive(Debug, Serialize)]
struct OneFile {
    file: String,
    packets: u64,
    /// Why it could not be read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Does it.
pub fn run(config: &Config, what: &DarknetCommand) -> anyhow::Result<ExitCode> {
    match what {
        DarknetCommand::Replay(wish) => replay(config, wish),
    }
}

fn replay(config: &Config, wish: &Replay) -> anyhow::Result<ExitCode> {
    let tables = tables::read(&config.enrich)?;
    let begun = std::time::Instant::now();
    let mut telescope = Telescope::new(wish.networks.clone());
    let mut files = Vec::new();
    for path in &wish.files {
        let before = telescope.counts().frames;
        let error = look_through(path, &mut telescope).err().map(|e| format!("{e:#}"));
        if let Some(error) = &error {
            eprintln!("noroshi: {error}");
        }
        let packets = telescope.counts().frames - before;
        files.push(OneFile { file: crate::intake::name(path), packets, error });
    }
    let told = tell(&telescope, &tables);
    if let Some(path) = &wish.sources {
        write_sources(path, &told.sources)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let failed = files.iter().any(|file| file.error.is_some());
    let replayed = summary(&telescope, told, files, begun.elapsed().as_secs_f64())?;
    if wish.json {
        report::json(&replayed)?;
    } else {
        print(&replayed);
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Looks through a file, or each in an archive.
fn look_through(path: &Path, telescope: &mut Telescope) -> anyhow::Result<()> {
    let (members, bar) = crate::intake::open(path)?;
    let in_file = || path.display().to_string();
    for member in members {
        let mut capture = Capture::new(member.with_context(in_file)?.input).with_context(in_file)?;
        while let Some(frame) = capture.next_frame().with_context(in_file)? {
            telescope.see(&frame);
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// A sender, judged.
struct Sender {
    ip: IpAddr,
    class: Class,
    tool: Option<Tool>,
    packets: u32,
    /// Nanoseconds since 1970.
    first_ns: u64,
    last_ns: u64,
}

/// The senders, judged.
struct Judged {
    sources: Vec<Sender>,
    classes: BTreeMap<&'static str, Share>,
    tools: BTreeMap<&'static str, Share>,
    countries: BTreeMap<String, Share>,
}

fn tell(telescope: &Telescope, tables: &Tables) -> Judged {
    let mut judged = Judged {
        sources: Vec::with_capacity(telescope.len()),
        classes: Class::ALL.map(|class| (class.id(), Share::default())).into(),
        tools: Tool::ALL.map(|tool| (tool.id(), Share::default())).into(),
        countries: BTreeMap::new(),
    };
    let mut countries = HashMap::<Option<Cc>, Share>::new();
    for (ip, source) in telescope.sources() {
        let (class, tool) = (telescope.class_of(ip, source), Tool::of(source));
        judged.classes.entry(class.id()).or_default().add(source);
        if let Some(tool) = tool {
            judged.tools.entry(tool.id()).or_default().add(source);
        }
        countries.entry(tables.enrich(ip).and_then(|known| known.cc)).or_default().add(source);
        // Somebody has put an address of ours for theirs. Which addresses are watched is nobody's to know.
        if telescope.is_ours(ip) {
            continue;
        }
        let Source { packets, first_ns, last_ns, .. } = *source;
        judged.sources.push(Sender { ip, class, tool, packets, first_ns, last_ns });
    }
    let name = |cc: Option<Cc>| cc.map_or_else(|| "unknown".to_owned(), |cc| cc.as_str().to_owned());
    let mut greatest: Vec<(String, Share)> =
        countries.into_iter().map(|(cc, share)| (name(cc), share)).collect();
    greatest.sort_by(|(a, one), (b, other)| other.sources.cmp(&one.sources).then_with(|| a.cmp(b)));
    for (at, (country, share)) in greatest.into_iter().enumerate() {
        let name = if at < COUNTRIES_MAX { country } else { "other".to_owned() };
        let of = judged.countries.entry(name).or_default();
        (of.sources, of.packets) = (of.sources + share.sources, of.packets + share.packets);
    }
    judged.sources.sort_unstable_by_key(|sender| (std::cmp::Reverse(sender.packets), sender.ip));
    judged
}

fn time(ns: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn write_sources(path: &Path, sources: &[Sender]) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "ip,class,tool,packets,first,last")?;
    for Sender { ip, class, tool, packets, first_ns, last_ns } in sources {
        let tool = tool.map_or("", Tool::id);
        writeln!(out, "{ip},{},{tool},{packets},{},{}", class.id(), time(*first_ns), time(*last_ns))?;
    }
    out.into_inner().map_err(|e| e.into_error())?.sync_data()?;
    Ok(())
}

fn summary(
    telescope: &Telescope,
    told: Judged,
    files: Vec<OneFile>,
    wall_s: f64,
) -> anyhow::Result<Replayed> {
    let (counts, cost) = (telescope.counts(), Cost::so_far()?);
    Ok(Replayed {
        packets: counts.frames,
        ours: counts.packets,
        elsewhere: counts.elsewhere,
        not_read: counts.not_read,
        beyond: counts.beyond,
        first: counts.span_ns.map(|(first, _)| time(first)),
        last: counts.span_ns.map(|(_, last)| time(last)),
        sources: telescope.len() as u64,
        classes: told.classes,
        tools: told.tools,
        countries: told.countries,
        wall_s,
        packets_per_cpu_s: counts.frames as f64 / cost.cpu_s.max(1e-6),
        cost,
        files,
    })
}

fn print(replayed: &Replayed) {
    let Replayed { packets, ours, elsewhere, sources, not_read, beyond, .. } = replayed;
    let NotRead { unknown_link, not_ip, cut, malformed } = not_read;
    say!("{packets} packets: {ours} to the telescope, {elsewhere} elsewhere");
    say!("not read: {unknown_link} of unknown links, {not_ip} not IP, {cut} cut off, {malformed} malformed");
    if let Some((first, last)) = replayed.first.zip(replayed.last) {
        say!("from {first:.3} to {last:.3}");
    }
    say!("{sources} senders");
    if *beyond > 0 {
        say!("{beyond} packets of more senders than there is room to tell apart");
    }
    for (what, shares) in [("class", &replayed.classes), ("tool", &replayed.tools)] {
        for (name, share) in shares.iter().filter(|(_, share)| share.sources > 0) {
            say!("{what:<8} {name:<18} {:>10} senders {:>12} packets", share.sources, share.packets);
        }
    }
    let mut countries: Vec<_> = replayed.countries.iter().collect();
    countries.sort_by_key(|(_, share)| std::cmp::Reverse(share.sources));
    for (name, share) in countries {
        say!("{:<8} {name:<18} {:>10} senders {:>12} packets", "country", share.sources, share.packets);
    }
    let Cost { cpu_s, rss_max_bytes } = replayed.cost;
    say!(
        "{:.1} s, {:.0} packets a second of CPU ({cpu_s:.1} s), {} MiB at most",
        replayed.wall_s,
        replayed.packets_per_cpu_s,
        rss_max_bytes >> 20
    );
}
