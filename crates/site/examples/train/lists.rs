//! The lists, read from the packages as their makers wrote them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use noroshi_site::address::{Address, Host};
use serde_json::Value;

/// Names that one source says are bad, or that many people visit.
pub struct Source {
    pub name: &'static str,
    pub names: Vec<String>,
}

/// Lists of bad names in `@adguard/dnr-rulesets`, by the numbers of AdGuard's registry.
const BAD: [(&str, u32); 5] =
    [("phishing-filter", 255), ("anti-malware", 259), ("badware", 257), ("scam", 256), ("urlhaus", 208)];
/// Sources that are learned from.
pub const FROM: [&str; 2] = ["phishing-filter", "badware"];
/// Lists of popular names in `pymispwarninglists`.
const GOOD: [(&str, &str); 4] = [
    ("tranco", "tranco"),
    ("umbrella", "cisco_top20k"),
    ("universities", "university_domains"),
    ("crux", "google-chrome-crux-1million"),
];
/// Lists that a popular name is in at least two of.
const POPULAR: [&str; 5] = ["tranco10k", "majestic_million", "alexa", "moz-top500", "cisco_top10k"];
/// The list that nothing is ever learned from.
pub const JUDGE: &str = "eth-phishing-detect";

/// All lists of a folder with the unpacked packages.
pub struct Lists {
    pub bad: Vec<Source>,
    pub good: Vec<Source>,
    pub popular: Vec<String>,
}

impl Lists {
    pub fn read(folder: &Path) -> Result<Self> {
        let rules = folder.join("@adguard/dnr-rulesets/dist/filters/declarative");
        let mut bad = Vec::new();
        for (name, number) in BAD {
            let path = rules.join(format!("ruleset_{number}/ruleset_{number}.json"));
            bad.push(Source { name, names: blocked(&json(&path)?) });
        }
        let judge = json(&folder.join("eth-phishing-detect/src/config.json"))?;
        let entries = judge["blacklist"].as_array().context("eth-phishing-detect has no blacklist")?;
        bad.push(Source { name: JUDGE, names: names(entries.iter().filter_map(Value::as_str)) });
        let warning = |list: &str| -> Result<Vec<String>> {
            let list = folder.join("pymispwarninglists/data/misp-warninglists/lists").join(list);
            let list = json(&list.join("list.json"))?;
            let entries = list["list"].as_array().context("a warning list without a list")?;
            Ok(names(entries.iter().filter_map(Value::as_str)))
        };
        let mut good = vec![Source { name: "filters", names: visited(&rules)? }];
        for (name, list) in GOOD {
            good.push(Source { name, names: warning(list)? });
        }
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for list in POPULAR {
            let registered = warning(list)?;
            let registered: BTreeSet<_> =
                registered.iter().map(|name| noroshi_site::parts::registered(name).to_owned()).collect();
            registered.into_iter().for_each(|name| *seen.entry(name).or_default() += 1);
        }
        let popular: Vec<String> =
            seen.into_iter().filter(|(_, lists)| *lists >= 2).map(|(name, _)| name).collect();
        for source in bad.iter().chain(&good) {
            ensure!(source.names.len() >= 100, "{} has only {} names", source.name, source.names.len());
        }
        Ok(Self { bad, good, popular })
    }
}

fn json(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))
}

/// The hosts that a list of declarative rules blocks as a whole.
fn blocked(rules: &Value) -> Vec<String> {
    let rules = rules.as_array().into_iter().flatten();
    let filters = rules
        .filter(|rule| {
            rule["action"]["type"] == "block" && rule["condition"]["excludedRequestDomains"].is_null()
        })
        .filter_map(|rule| rule["condition"]["urlFilter"].as_str());
    names(filters.filter_map(|filter| filter.strip_prefix("||").map(|name| name.trim_end_matches('^'))))
}

/// The hosts that AdGuard's other lists have rules for: sites that people visit and that have advertisements.
fn visited(rules: &Path) -> Result<Vec<String>> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(rules)? {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let number = name.strip_prefix("ruleset_").and_then(|number| number.parse().ok());
        if number.is_none_or(|number: u32| BAD.iter().any(|(_, bad)| *bad == number)) {
            continue;
        }
        let rules = json(&folder.join(format!("{name}.json")))?;
        for rule in rules.as_array().into_iter().flatten() {
            let domains = rule["condition"]["initiatorDomains"].as_array().into_iter().flatten();
            all.extend(names(domains.filter_map(Value::as_str)));
        }
    }
    Ok(all.into_iter().collect())
}

/// Those that are names of hosts, each once.
fn names<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<String> = texts
        .filter_map(|text| Address::parse(text).ok())
        .filter(|address| !address.is_place())
        .filter_map(|address| match address.host() {
            Host::Name(name) => Some(name.clone()),
            Host::Ip(_) => None,
        })
        .collect();
    names.into_iter().collect()
}
