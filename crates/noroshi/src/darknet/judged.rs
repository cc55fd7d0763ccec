//! All senders of a telescope, judged and counted: by class, tool and country, and who of them scans for research.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use noroshi_observe::telescope::{Class, Source, Telescope, Tool};
use noroshi_orient::enrich::{Cc, Tables};
use noroshi_wire::cryptopan::CryptoPan;
use serde::Serialize;

/// Countries that are told of.
const COUNTRIES_MAX: usize = 20;
/// Packets and addresses by which a scanner goes over all of the telescope.
const WIDE_PACKETS: u32 = 1000;
const WIDE_DESTINATIONS: u32 = 200;

/// How many senders, and how many packets of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    pub sources: u64,
    pub packets: u64,
}

impl Share {
    fn add(&mut self, source: &Source) {
        self.sources += 1;
        self.packets += u64::from(source.packets);
    }

    fn merge(&mut self, more: Self) {
        self.sources += more.sources;
        self.packets += more.packets;
    }
}

/// A sender, judged.
pub struct Sender {
    pub ip: IpAddr,
    pub class: Class,
    pub tool: Option<Tool>,
    /// For which it asks most, if there is one.
    pub port: u16,
    pub packets: u32,
    /// Nanoseconds since 1970.
    pub first_ns: u64,
    pub last_ns: u64,
}

/// Scanners for research, by what says so. They are most of what a telescope sees, and seldom what one looks for.
#[derive(Debug, Default, Serialize)]
pub struct Research {
    /// On a list of those who say that they scan.
    pub listed: Share,
    /// The lists.
    pub lists: BTreeMap<String, Share>,
    /// On none, and behaving as they do: all of the telescope, by ZMap or masscan as these come. Nobody says that they mean well.
    pub alike: Share,
}

impl Sender {
    /// A sender, unless it is one of the telescope's own addresses: somebody has put it for theirs, and which addresses are watched is nobody's
    /// to know.
    pub fn of(telescope: &Telescope, ip: IpAddr, source: &Source) -> Option<Self> {
        let (class, tool) = (telescope.class_of(ip, source), Tool::of(source));
        let Source { packets, first_ns, last_ns, port, .. } = *source;
        (!telescope.is_ours(ip)).then_some(Self { ip, class, tool, port, packets, first_ns, last_ns })
    }
}

/// How many senders are what.
pub struct Judged {
    pub classes: BTreeMap<&'static str, Share>,
    pub tools: BTreeMap<&'static str, Share>,
    /// By ISO 3166; the greatest by senders, and the rest together as `other`.
    pub countries: BTreeMap<String, Share>,
    pub research: Research,
}

/// Judges all senders, with so many threads.
pub fn judge(telescope: &Telescope, tables: &Tables, threads: usize) -> Judged {
    let next = AtomicUsize::new(0);
    let judge_parts = || {
        let mut tally = Tally::default();
        loop {
            let part = next.fetch_add(1, Ordering::Relaxed);
            if part >= Telescope::PARTS {
                return tally;
            }
            telescope.each_source_of(part, |ip, source| tally.add(telescope, tables, ip, source));
        }
    };
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(judge_parts)).collect();
        all.merge(judge_parts());
        // One that failed has told why; what it had judged is missing.
        others.into_iter().filter_map(|other| other.join().ok()).for_each(|other| all.merge(other));
    });
    all.judged()
}

/// All senders, most packets first.
pub fn senders(telescope: &Telescope) -> Vec<Sender> {
    let mut all = Vec::with_capacity(telescope.len());
    telescope.each_source(|ip, source| all.extend(Sender::of(telescope, ip, source)));
    all.sort_unstable_by_key(|sender| (std::cmp::Reverse(sender.packets), sender.ip));
    all
}

/// Senders judged so far.
#[derive(Default)]
struct Tally {
    classes: [Share; Class::ALL.len()],
    tools: [Share; Tool::ALL.len()],
    countries: HashMap<Option<Cc>, Share>,
    research: Research,
}

impl Tally {
    fn add(&mut self, telescope: &Telescope, tables: &Tables, ip: IpAddr, source: &Source) {
        let (class, tool) = (telescope.class_of(ip, source), Tool::of(source));
        self.classes[class as usize].add(source);
        if let Some(tool) = tool {
            self.tools[tool as usize].add(source);
        }
        self.countries.entry(tables.country_of(ip)).or_default().add(source);
        if class == Class::Scanner {
            self.add_research(tables, ip, tool, source);
        }
    }

    fn add_research(&mut self, tables: &Tables, ip: IpAddr, tool: Option<Tool>, source: &Source) {
        if let Some(list) = tables.lists.scanner(ip) {
            self.research.listed.add(source);
            self.research.lists.entry(list.to_owned()).or_default().add(source);
        } else if matches!(tool, Some(Tool::Zmap | Tool::Masscan))
            && source.packets >= WIDE_PACKETS
            && source.destinations() >= WIDE_DESTINATIONS
        {
            self.research.alike.add(source);
        }
    }

    fn merge(&mut self, other: Self) {
        self.research.listed.merge(other.research.listed);
        self.research.alike.merge(other.research.alike);
        for (list, some) in other.research.lists {
            self.research.lists.entry(list).or_default().merge(some);
        }
        self.classes.iter_mut().zip(other.classes).for_each(|(sum, some)| sum.merge(some));
        self.tools.iter_mut().zip(other.tools).for_each(|(sum, some)| sum.merge(some));
        for (country, some) in other.countries {
            self.countries.entry(country).or_default().merge(some);
        }
    }

    fn judged(self) -> Judged {
        let name = |cc: Option<Cc>| cc.map_or_else(|| "unknown".to_owned(), |cc| cc.as_str().to_owned());
        let mut greatest: Vec<(String, Share)> =
            self.countries.into_iter().map(|(cc, share)| (name(cc), share)).collect();
        greatest.sort_by(|(a, one), (b, other)| other.sources.cmp(&one.sources).then_with(|| a.cmp(b)));
        let mut countries = BTreeMap::<String, Share>::new();
        for (at, (country, share)) in greatest.into_iter().enumerate() {
            let name = if at < COUNTRIES_MAX { country } else { "other".to_owned() };
            countries.entry(name).or_default().merge(share);
        }
        Judged {
            classes: Class::ALL.map(|class| (class.id(), self.classes[class as usize])).into(),
            tools: Tool::ALL.map(|tool| (tool.id(), self.tools[tool as usize])).into(),
            countries,
            research: self.research,
        }
    }
}

/// Nanoseconds since 1970 as a time.
pub fn time(ns: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Writes them as CSV.
pub fn write_sources(path: &Path, sources: &[Sender], pan: Option<&CryptoPan>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "ip,class,tool,packets,first,last")?;
    for Sender { ip, class, tool, packets, first_ns, last_ns, .. } in sources {
        let tool = tool.map_or("", Tool::id);
        let ip = pan.map_or(*ip, |pan| pan.ip(*ip));
        writeln!(out, "{ip},{},{tool},{packets},{},{}", class.id(), time(*first_ns), time(*last_ns))?;
    }
    out.into_inner().map_err(|e| e.into_error())?.sync_data()?;
    Ok(())
}
