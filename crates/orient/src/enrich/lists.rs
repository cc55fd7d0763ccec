//! Warning lists: things that are often reported and seldom at fault, such as public resolvers, the most visited sites,
//! and the scanners of researchers. A hit does not refuse an event; it is a reason to believe it less.
//!
//! All lists together are one structure for each way of comparing: addresses in one table of ranges, names in two hash
//! tables (equal, and every parent of the asked name), substrings in one automaton. What a look-up costs does not depend
//! on how many lists there are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use aho_corasick::AhoCorasick;
use ipnet::IpNet;
use regex::Regex;

use super::misp::{Entry, Item, On, Raw, entry};
use super::ranges::{NUMBER_MAX, Space, Span, Value, canonical};
use super::{ENTRIES_MAX, EnrichError, Report};

/// Most lists.
const LISTS_MAX: usize = 4096;
/// Most patterns of all lists: each costs at every look-up.
const PATTERNS_MAX: usize = 1000;
/// Most substrings of all lists.
const PARTS_MAX: usize = 100_000;
/// The largest list, in bytes.
const LIST_BYTES_MAX: usize = 256 << 20;
/// The longest text that is compared; what is longer is compared as far as that.
const TEXT_MAX: usize = 8192;

/// What is asked about: any of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// An address.
    pub ip: Option<IpAddr>,
    /// A name.
    pub fqdn: Option<&'a str>,
    /// A URL; its host is asked about as well, be it a name or an address.
    pub url: Option<&'a str>,
}

/// Which lists something is on: small numbers for sets of lists, each set stored once. Set 0 is the empty one.
#[derive(Debug)]
struct Sets {
    sets: Vec<Box<[u16]>>,
    number_of: HashMap<Box<[u16]>, u32>,
}

impl Default for Sets {
    fn default() -> Self {
        Self { sets: vec![Box::default()], number_of: HashMap::from([(Box::default(), 0)]) }
    }
}

impl Sets {
    /// The set with one more list in it.
    fn with(&mut self, set: u32, list: u16) -> u32 {
        let lists = &self.sets[set as usize];
        if lists.contains(&list) {
            return set;
        }
        let mut more = lists.to_vec();
        more.push(list);
        more.sort_unstable();
        let more: Box<[u16]> = more.into();
        if let Some(number) = self.number_of.get(&more) {
            return *number;
        }
        let number = self.sets.len() as u32;
        self.sets.push(more.clone());
        self.number_of.insert(more, number);
        number
    }
}

/// Lists in the making.
#[derive(Debug, Default)]
pub struct ListsBuilder {
    names: Vec<(Box<str>, On)>,
    entries: usize,
    v4: Vec<(u32, u32, u16)>,
    v6: Vec<(u128, u128, u16)>,
    exact: HashMap<Box<str>, u32>,
    below: HashMap<Box<str>, u32>,
    sets: Sets,
    parts: Vec<(Box<str>, u16)>,
    patterns: Vec<(Regex, u16)>,
}

impl ListsBuilder {
    /// Adds a list in MISP's JSON. One about other things than addresses, names and URLs is left out, and its report is
    /// empty. Entries that cannot be read are left out and counted; a list of mostly such is refused.
    pub fn add(&mut self, json: &[u8]) -> Result<Report, EnrichError> {
        if json.len() > LIST_BYTES_MAX {
            return Err(EnrichError::TooMany(LIST_BYTES_MAX, "bytes in a warning list"));
        }
        self.add_raw(&Raw::parse(json)?)
    }

    /// Adds several lists, written as one JSON array.
    pub fn add_all(&mut self, json: &[u8]) -> Result<(), EnrichError> {
        let raws: Vec<Raw<'_>> =
            serde_json::from_slice(json).map_err(|error| EnrichError::List(error.to_string()))?;
        raws.iter().try_for_each(|raw| self.add_raw(raw).map(|_| ()))
    }

    fn add_raw(&mut self, raw: &Raw<'_>) -> Result<Report, EnrichError> {
        let mut report = Report::default();
        let Some(on) = raw.on() else { return Ok(report) };
        // Parsed before anything is added, so that a list that is refused leaves no trace.
        let mut good = Vec::with_capacity(raw.list.len().min(ENTRIES_MAX));
        for (line, item) in (1..).zip(&raw.list) {
            match item {
                Item::Text(text) => match entry(raw.kind, text) {
                    Ok(entry) => good.push(entry),
                    Err(why) => report.bad(line, why),
                },
                Item::Other(_) => report.bad(line, "an entry is a text"),
            }
        }
        report.kept = good.len() as u64;
        report.plausible("warning list")?;
        self.fits(&good)?;
        let list = self.names.len() as u16;
        self.names.push((raw.name.trim().into(), on));
        good.into_iter().for_each(|entry| self.insert(entry, list));
        Ok(report)
    }

    fn fits(&mut self, entries: &[Entry]) -> Result<(), EnrichError> {
        let count = |is: fn(&Entry) -> bool| entries.iter().filter(|entry| is(entry)).count();
        let sums = [
            (self.names.len() + 1, LISTS_MAX, "warning lists"),
            (self.entries + entries.len(), ENTRIES_MAX, "entries of warning lists"),
            (self.parts.len() + count(|e| matches!(e, Entry::Part(_))), PARTS_MAX, "substrings"),
            (self.patterns.len() + count(|e| matches!(e, Entry::Pattern(_))), PATTERNS_MAX, "patterns"),
            (self.sets.sets.len(), NUMBER_MAX as usize / 2, "different sets of lists"),
        ];
        match sums.iter().find(|(sum, max, _)| sum > max) {
            Some((_, max, what)) => Err(EnrichError::TooMany(*max, what)),
            None => {
                self.entries += entries.len();
                Ok(())
            }
        }
    }

    fn insert(&mut self, entry: Entry, list: u16) {
        match entry {
            Entry::Net(net) => match canonical(net) {
                IpNet::V4(net) => self.v4.push((net.network().into(), net.broadcast().into(), list)),
                IpNet::V6(net) => self.v6.push((net.network().into(), net.broadcast().into(), list)),
            },
            Entry::Exact(name) => {
                let set = self.exact.entry(name).or_default();
                *set = self.sets.with(*set, list);
            }
            Entry::Below(name) => {
                let set = self.below.entry(name).or_default();
                *set = self.sets.with(*set, list);
            }
            Entry::Part(part) => self.parts.push((part, list)),
            Entry::Pattern(pattern) => self.patterns.push((pattern, list)),
        }
    }

    /// The lists, ready to be asked.
    pub fn build(mut self) -> Result<WarningLists, EnrichError> {
        let v4 = unite(self.v4, &mut self.sets);
        let v6 = unite(self.v6, &mut self.sets);
        if self.sets.sets.len() > NUMBER_MAX as usize {
            return Err(EnrichError::TooMany(NUMBER_MAX as usize, "different sets of lists"));
        }
        let parts = if self.parts.is_empty() {
            None
        } else {
            let automaton = AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(self.parts.iter().map(|(part, _)| part.as_bytes()));
            Some(automaton.map_err(|error| EnrichError::List(error.to_string()))?)
        };
        Ok(WarningLists {
            names: self.names.into(),
            sets: self.sets.sets.into(),
            space: Space::of(v4, v6),
            exact: self.exact,
            below: self.below,
            parts,
            part_list: self.parts.into_iter().map(|(_, list)| list).collect(),
            patterns: self.patterns.into(),
        })
    }
}

/// Prefixes lie in one another or apart. Each is on its own list and on those of all it lies in.
fn unite<K: Ord + Copy>(mut nets: Vec<(K, K, u16)>, sets: &mut Sets) -> Vec<Span<K>> {
    nets.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    let mut around: Vec<(K, u32)> = Vec::new();
    let mut spans = Vec::with_capacity(nets.len());
    for (first, last, list) in nets {
        while around.last().is_some_and(|(end, _)| *end < first) {
            around.pop();
        }
        let set = sets.with(around.last().map_or(0, |(_, set)| *set), list);
        around.push((last, set));
        // The length is never asked for.
        spans.push(Span { first, last, value: Value::new(set, 0) });
    }
    spans
}

/// Warning lists, ready to be asked.
#[derive(Debug)]
pub struct WarningLists {
    names: Box<[(Box<str>, On)]>,
    sets: Box<[Box<[u16]>]>,
    space: Space,
    exact: HashMap<Box<str>, u32>,
    below: HashMap<Box<str>, u32>,
    parts: Option<AhoCorasick>,
    part_list: Box<[u16]>,
    patterns: Box<[(Regex, u16)]>,
}

impl Default for WarningLists {
    fn default() -> Self {
        Self {
            names: Box::default(),
            sets: Box::default(),
            space: Space::of(Vec::new(), Vec::new()),
            exact: HashMap::new(),
            below: HashMap::new(),
            parts: None,
            part_list: Box::default(),
            patterns: Box::default(),
        }
    }
}

impl WarningLists {
    /// The names of the lists that any part of the subject is on; each once, in the order in which they were added.
    pub fn check(&self, subject: &Subject<'_>) -> Vec<&str> {
        let mut hits: Vec<u16> = Vec::new();
        let host = subject.url.and_then(host_of);
        let host_ip = host.and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        for ip in subject.ip.into_iter().chain(host_ip) {
            if let Some(hit) = self.space.look_up(ip) {
                hits.extend(&*self.sets[hit.number as usize]);
            }
        }
        let host = host.filter(|_| host_ip.is_none());
        for name in subject.fqdn.into_iter().chain(host) {
            self.check_name(&lower(name.trim_end_matches('.')), &mut hits);
        }
        if let Some(url) = subject.url {
            self.check_url(&lower(url), &mut hits);
        }
        if hits.is_empty() {
            return Vec::new();
        }
        hits.sort_unstable();
        hits.dedup();
        hits.iter().map(|list| &*self.names[*list as usize].0).collect()
    }

    /// The list by which an address is of somebody who scans for research; none where there is none. Going by the lists' names, since
    /// nothing else in them says what they are for.
    pub fn scanner(&self, ip: IpAddr) -> Option<&str> {
        let of_scanners = |name: &&str| {
            let name = name.to_ascii_lowercase();
            name.contains("scan") || name.contains("xpanse")
        };
        let hit = self.space.look_up(ip)?;
        self.sets[hit.number as usize].iter().map(|list| &*self.names[*list as usize].0).find(of_scanners)
    }

    /// The names of all lists.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| &**name)
    }

    fn check_name(&self, name: &str, hits: &mut Vec<u16>) {
        let mut of_set = |set: Option<&u32>| {
            let lists = set.into_iter().flat_map(|set| &*self.sets[*set as usize]);
            hits.extend(lists.filter(|list| self.names[**list as usize].1.names));
        };
        of_set(self.exact.get(name));
        let mut parent = Some(name);
        while let Some(here) = parent {
            of_set(self.below.get(here));
            parent = here.split_once('.').map(|(_, parent)| parent);
        }
        self.check_text(name, |on| on.names, hits);
    }

    fn check_url(&self, url: &str, hits: &mut Vec<u16>) {
        if let Some(set) = self.exact.get(url) {
            hits.extend(self.sets[*set as usize].iter().filter(|list| self.names[**list as usize].1.urls));
        }
        self.check_text(url, |on| on.urls, hits);
    }

    fn check_text(&self, text: &str, wanted: impl Fn(On) -> bool, hits: &mut Vec<u16>) {
        let wanted = |list: u16| wanted(self.names[list as usize].1);
        if let Some(parts) = &self.parts {
            let found =
                parts.find_overlapping_iter(text).map(|part| self.part_list[part.pattern().as_usize()]);
            hits.extend(found.filter(|list| wanted(*list)));
        }
        let patterns = self.patterns.iter().filter(|(pattern, list)| wanted(*list) && pattern.is_match(text));
        hits.extend(patterns.map(|(_, list)| *list));
    }
}

/// Small letters, and no longer than we compare.
fn lower(text: &str) -> Cow<'_, str> {
    let text = &text[..text.floor_char_boundary(TEXT_MAX)];
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The host of a URL, without user and port; an IPv6 address with its brackets.
fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.find(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
#[path = "lists/tests.rs"]
mod tests;
