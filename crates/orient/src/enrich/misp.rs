//! Warning lists as MISP writes them: one JSON object with a name, a type, what kinds of thing it is for, and entries.
//! Here they become typed entries; what is done with them is in [`lists`](super::lists).

use std::borrow::Cow;

use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::EnrichError;

/// The longest name of a host.
const NAME_MAX: usize = 253;
/// The longest substring or pattern.
const PATTERN_MAX: usize = 1024;
/// How much memory one pattern may take when compiled.
const REGEX_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
pub(super) struct Raw<'a> {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(borrow)]
    pub(super) list: Vec<Item<'a>>,
    #[serde(default)]
    pub(super) matching_attributes: Vec<String>,
}

/// An entry. What is no text is left out and counted.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Cidr,
    String,
    Hostname,
    Substring,
    Regex,
}

/// What a list's texts are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct On {
    pub(super) names: bool,
    pub(super) urls: bool,
}

impl Raw<'_> {
    pub(super) fn parse(json: &[u8]) -> Result<Raw<'_>, EnrichError> {
        serde_json::from_slice(json).map_err(|error| EnrichError::List(error.to_string()))
    }

    /// `None`: the list is about other things, such as hashes or telephone numbers.
    pub(super) fn on(&self) -> Option<On> {
        let has = |wanted: &[&str]| self.matching_attributes.iter().any(|a| wanted.contains(&a.as_str()));
        let any = self.matching_attributes.is_empty();
        let urls = any || has(&["url", "uri", "link"]);
        let names = urls || has(&["domain", "hostname", "domain|ip", "hostname|port", "fqdn"]);
        let addresses = self.kind == Kind::Cidr
            && (names || has(&["ip-src", "ip-dst", "ip-src|port", "ip-dst|port", "ip"]));
        (names || addresses).then_some(On { names, urls })
    }
}

/// An entry of a list, ready to be compared with.
pub(super) enum Entry {
    Net(IpNet),
    /// This name, or any text equal to it.
    Exact(Box<str>),
    /// This name and all below it.
    Below(Box<str>),
    Part(Box<str>),
    Pattern(Regex),
}

pub(super) fn entry(kind: Kind, text: &str) -> Result<Entry, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > PATTERN_MAX {
        return Err(format!("an entry has 1 to {PATTERN_MAX} bytes"));
    }
    match kind {
        Kind::Cidr => {
            let address = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
            text.parse().ok().or_else(address).map(Entry::Net).ok_or_else(|| format!("'{text}' is no prefix"))
        }
        Kind::String => Ok(Entry::Exact(lower(text))),
        Kind::Hostname => {
            // `.example.com` and `*.example.com` mean the same as `example.com` here.
            let name = text.strip_prefix('*').unwrap_or(text).trim_matches('.');
            let is_name = !name.is_empty() && name.len() <= NAME_MAX && !name.contains(['/', ' ', ':']);
            is_name.then(|| Entry::Below(lower(name))).ok_or_else(|| format!("'{text}' is no name"))
        }
        Kind::Substring => Ok(Entry::Part(lower(text))),
        Kind::Regex => pattern(text).map(Entry::Pattern),
    }
}

fn lower(text: &str) -> Box<str> {
    text.to_ascii_lowercase().into()
}

/// `/body/flags`, as PHP writes it, or the body alone.
fn pattern(text: &str) -> Result<Regex, String> {
    let split = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    let (body, flags) = split.unwrap_or((text, ""));
    let mut builder = RegexBuilder::new(body);
    builder.size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).nest_limit(50);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'm' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            // Find all, Unicode: what is done anyway.
            'g' | 'u' => &mut builder,
            _ => return Err(format!("pattern flag '{flag}' is not known")),
        };
    }
    builder.build().map_err(|error| {
        let text = error.to_string();
        text.lines().last().unwrap_or(&text).to_owned()
    })
}
