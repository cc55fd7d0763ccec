//! Lists of others: each site in them becomes a candidate, and is listed where its score suffices.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use noroshi_feed::{Input, Report, Sink};
use noroshi_model::{Bad, Fields};
use noroshi_site::{Address, Score, Threat, Verdict};
use noroshi_store::StoreError;
use noroshi_store::sites::{SiteListing, SiteSource, SiteState};
use noroshi_wire::unpack;
use serde::Serialize;

use super::decide::seen;
use super::known::{Judge, RELIABILITY, held};
use crate::house::House;
use crate::maps;
use crate::report::{self, say};

/// Sites of a list at most.
const SITES_MAX: usize = 5_000_000;
/// Sites in one transaction.
const BATCH: usize = 1_000;
/// Bytes of a line at most; longer ones are bad.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Bad lines that are shown.
const SHOWN_MAX: usize = 5;

/// What a list is.
#[derive(Debug, Args)]
pub struct List {
    /// Its format: lines (hosts files, lists of domains or URLs, ||name^), rpz, or one of `noroshi feed formats`
    #[arg(long, default_value = "lines")]
    format: String,
    /// What the list is called
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Of which family it is: lists that copy from each other count once [default: its name, or what was said before]
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
    /// How often what it lists is bad, from 0 to 1 [default: 0.8, or what was said before]
    #[arg(long, value_name = "SHARE")]
    reliability: Option<f32>,
    /// What harm it speaks of, where its entries do not say
    #[arg(long, default_value = "other", value_parser = ["phishing", "malware", "control", "scam", "other"])]
    threat: String,
    /// Who takes it in
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Taken {
    read: u64,
    bad: u64,
    new: u64,
    listed: u64,
    protected: u64,
    #[serde(skip)]
    examples: Vec<String>,
}

/// Entries as they come.
struct Entries {
    all: Vec<(Address, Threat)>,
    threat: Threat,
    bad: u64,
    examples: Vec<String>,
}

impl Entries {
    fn take(&mut self, line: u64, text: &str, threat: Threat) {
        match Address::parse(text) {
            Ok(address) if self.all.len() < SITES_MAX => self.all.push((address, threat)),
            Ok(_) => self.refuse(line, "the list is too long"),
            Err(error) => self.refuse(line, &error.to_string()),
        }
    }

    fn refuse(&mut self, line: u64, why: &str) {
        self.bad += 1;
        if self.examples.len() < SHOWN_MAX {
            self.examples.push(format!("line {line}: {why}"));
        }
    }
}

impl Sink for Entries {
    fn event(&mut self, line: u64, fields: Fields<'_>) {
        let text = |key: &str| fields.get(key).and_then(|datum| datum.text()).map(str::to_owned);
        let keys = ["source.url", "destination.url", "source.fqdn", "destination.fqdn"];
        let threat = match text("classification.type").as_deref() {
            Some("phishing") => Threat::Phishing,
            Some("malware-distribution" | "malware" | "infected-system") => Threat::Malware,
            Some("c2-server" | "malware-configuration") => Threat::Control,
            Some("masquerade" | "copyright" | "fraud") => Threat::Scam,
            _ => self.threat,
        };
        match keys.iter().find_map(|key| text(key)) {
            Some(address) => self.take(line, &address, threat),
            None => self.refuse(line, "it names no host and no URL"),
        }
    }

    fn filtered(&mut self, _line: u64) {}

    fn bad(&mut self, bad: Bad) {
        self.refuse(bad.line, &bad.reason);
    }
}

/// Reads a list.
pub fn run(house: &House, path: &Path, list: &List, json: bool) -> anyhow::Result<ExitCode> {
    let source = source(house, list)?;
    let entries = read(house, path, list)?;
    ensure!(
        !entries.all.is_empty(),
        "nothing in {} could be read as {}{}",
        path.display(),
        list.format,
        entries.examples.first().map(|example| format!(" ({example})")).unwrap_or_default()
    );
    house.note(&list.by, &format!("took in the list {} of {} sites", source.name, entries.all.len()))?;
    house.store.tx("site.source", |tx| tx.put_site_source(&source))?;
    let judge = Judge::new(house)?;
    let mut taken = Taken {
        read: entries.all.len() as u64 + entries.bad,
        bad: entries.bad,
        examples: entries.examples,
        ..Taken::default()
    };
    for batch in entries.all.chunks(BATCH) {
        let (new, listed, protected) = take(house, &judge, &source, batch)?;
        (taken.new, taken.listed, taken.protected) =
            (taken.new + new, taken.listed + listed, taken.protected + protected);
    }
    taken.examples.iter().for_each(|example| eprintln!("noroshi: {}", report::plain(example)));
    if json {
        report::json(&taken)?;
    } else {
        let Taken { read, bad, new, listed, protected, .. } = taken;
        say!(
            "{read} read, {bad} not readable, {new} new, {listed} listed, {protected} left alone because a warning list has them"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The list as it is known, with what is said of it now.
fn source(house: &House, list: &List) -> anyhow::Result<SiteSource> {
    let fits = |text: &str| (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    ensure!(fits(&list.source) && fits(&list.by), "names have from 1 to 200 bytes");
    ensure!(list.source != super::known::BY_HAND, "a list is not called {:?}", list.source);
    let now = house.clock.now();
    let before = house.store.look("site.source", |tx| tx.site_source(&list.source))?;
    if let Some(share) = list.reliability {
        ensure!((0.01..=0.999).contains(&share), "--reliability is a share from 0.01 to 0.999");
    }
    let reliability = match (list.reliability, &before) {
        (None, Some(before)) => before.reliability,
        (share, _) => (share.unwrap_or(RELIABILITY) * 1000.0).round() as u32,
    };
    let family = list.family.clone().or_else(|| before.as_ref().map(|before| before.family.clone()));
    Ok(SiteSource {
        name: list.source.clone(),
        family: family.unwrap_or_else(|| list.source.clone()),
        reliability,
        since: before.map_or(now, |before| before.since),
        read: now,
    })
}

/// Takes some in: how many were new, are listed by their score, and are left alone.
fn take(
    house: &House,
    judge: &Judge,
    source: &SiteSource,
    batch: &[(Address, Threat)],
) -> Result<(u64, u64, u64), StoreError> {
    let now = house.clock.now();
    house.store.tx("site.import", |tx| {
        let (mut new, mut listed, mut protected) = (0, 0, 0);
        for (address, threat) in batch {
            let key = address.key();
            new += u64::from(tx.see_site(&seen(address, SiteState::Candidate, now))?);
            tx.put_site_listing(&SiteListing {
                address: key.clone(),
                source: source.name.clone(),
                threat: threat.code().to_owned(),
                first: now,
                last: now,
            })?;
            let held = held(tx, address)?;
            let score = judge.score(address, &held, now);
            protected += u64::from(score.verdict == Verdict::Protected);
            // What a person decided, or somebody objects to, is not for a list to change.
            let open = held.site.is_some_and(|site| site.state == SiteState::Candidate);
            if open && suffices(&score) {
                let why = format!("score {:.2}", score.probability);
                listed += u64::from(tx.decide_site(&key, SiteState::Listed, &why, "", now)?);
            }
        }
        Ok((new, listed, protected))
    })
}

fn suffices(score: &Score) -> bool {
    score.verdict == Verdict::Harmful
}

fn read(house: &House, path: &Path, list: &List) -> anyhow::Result<Entries> {
    let threat = Threat::parse(&list.threat).context("no such kind of harm")?;
    let mut entries = Entries { all: Vec::new(), threat, bad: 0, examples: Vec::new() };
    let input: Input = match path.as_os_str() == "-" {
        true => Box::new(BufReader::new(std::io::stdin())),
        false => {
            let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
            Box::new(BufReader::new(file))
        }
    };
    let bundle = maps::read(&house.config)?;
    for member in unpack(input)? {
        let member = member?;
        match list.format.as_str() {
            "lines" => lines(member.input, &mut entries)?,
            "rpz" => rpz(member.input, &mut entries)?,
            format => {
                let report = Report {
                    format: format.to_owned(),
                    feed_name: list.source.clone(),
                    feed_url: None,
                    file_name: member.name.clone(),
                    params: serde_json::Map::new(),
                    now: house.clock.now(),
                };
                let mut feed = noroshi_feed::open(&bundle, &report, member.input)?;
                while feed.step(&mut entries)? {}
            }
        }
    }
    Ok(entries)
}

/// Lines as hosts files, lists of names or URLs, and blockers' lists have them.
fn lines(mut input: Input, entries: &mut Entries) -> anyhow::Result<()> {
    use std::io::Read as _;
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let read = (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_BYTES_MAX {
            bail!("line {line} is longer than {LINE_BYTES_MAX} bytes: this is no list of lines");
        }
        let threat = entries.threat;
        let shown = String::from_utf8_lossy(&text);
        let shown = shown.trim();
        if shown.is_empty() || shown.starts_with(['#', '!', ';', '[']) {
            continue;
        }
        let mut words = shown.split_whitespace();
        let first = words.next().unwrap_or_default();
        match first {
            // A hosts file says where names lead; the machine's own names are not sites.
            "0.0.0.0" | "127.0.0.1" | "::" | "::1" => {
                let names = words.take_while(|word| !word.starts_with('#'));
                let names = names.filter(|name| name.contains('.') && *name != "0.0.0.0");
                names.for_each(|name| entries.take(line, name, threat));
            }
            _ => entries.take(line, first.trim_start_matches("||").trim_end_matches('^'), threat),
        }
    }
    Ok(())
}

/// A policy zone: its names that are answered with nothing. Rules that let pass, or are about addresses, are none of ours.
#[cfg(target_os = "linux")]
fn rpz(input: Input, entries: &mut Entries) -> anyhow::Result<()> {
    use noroshi_resolver::name::Name;
    use noroshi_resolver::policy::rule::rtype;
    let mut apex = Name::ROOT;
    let threat = entries.threat;
    noroshi_resolver::policy::zonefile::read(input, &Name::ROOT, |line, record| match record {
        Ok(record) if record.rtype == rtype::SOA => apex = *record.owner,
        // `.` is the name's end, `*.` that no data is there.
        Ok(record) if record.rtype == rtype::CNAME && matches!(record.data, [0] | [1, b'*', 0]) => {
            let Some(labels) = record.owner.below(&apex) else { return };
            let labels: Vec<_> = labels.iter().map(|label| String::from_utf8_lossy(label)).collect();
            let last = labels.last().map_or("", AsRef::as_ref);
            if !last.starts_with("rpz-") && labels.first().is_none_or(|first| first != "*") {
                entries.take(line as u64, &labels.join("."), threat);
            }
        }
        Ok(_) => {}
        Err(error) => entries.refuse(line as u64, &error.to_string()),
    })?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn rpz(_: Input, _: &mut Entries) -> anyhow::Result<()> {
    bail!("policy zones are read on Linux only")
}
