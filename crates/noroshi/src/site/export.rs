//! What is listed, in the forms that others read. What a list brought is judged once more when it is written: its word has aged.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use noroshi_model::Id;
use noroshi_site::{Address, Host, Verdict};
use noroshi_store::StoreError;
use noroshi_store::sites::{Site, SiteState};
use serde_json::json;

use super::known::{Judge, held};
use crate::house::House;

/// Sites that are read at once.
const PAGE: u32 = 1_000;
/// Seconds that resolvers keep a rule.
const TTL_S: u32 = 300;

/// Writes all that is listed.
pub fn run(house: &House, form: &str, zone: &str, out: Option<&Path>) -> anyhow::Result<()> {
    let apex = Address::parse(zone).ok().and_then(|zone| zone.name().map(str::to_owned));
    let apex = apex.with_context(|| format!("--zone {zone:?} is no name of a zone"))?;
    let Some(path) = out else {
        let mut out = BufWriter::new(std::io::stdout().lock());
        write(house, form, &apex, &mut out)?;
        return Ok(out.flush()?);
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().context("--out is a file")?.to_string_lossy();
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    let file = std::fs::File::create(&new).with_context(|| format!("making {}", new.display()))?;
    let mut out = BufWriter::new(file);
    let count = write(house, form, &apex, &mut out)?;
    out.into_inner().context("writing")?.sync_all()?;
    std::fs::rename(&new, path).with_context(|| format!("writing {}", path.display()))?;
    eprintln!("{count} sites in {}", path.display());
    Ok(())
}

fn write(house: &House, form: &str, apex: &str, out: &mut impl Write) -> anyhow::Result<u64> {
    if form == "since" {
        return since(house, out);
    }
    out.write_all(begin(form, apex, house.clock.now()).as_bytes())?;
    let mut count = 0u64;
    each(house, |site, address| {
        if let Some(line) = line(form, apex, site, address, count) {
            out.write_all(line.as_bytes())?;
            count += 1;
        }
        Ok(())
    })?;
    if form == "stix" {
        out.write_all(b"\n]}\n")?;
    }
    ensure!(count <= u64::from(u32::MAX), "too many sites");
    Ok(count)
}

/// Since when each is listed, for the page that warns of it.
#[cfg(target_os = "linux")]
fn since(house: &House, out: &mut impl Write) -> anyhow::Result<u64> {
    let mut since = crate::resolver::since::Since::default();
    each(house, |site, address| {
        since.add(&address.url(), site.changed);
        Ok(())
    })?;
    Ok(since.write(out)?)
}

#[cfg(not(target_os = "linux"))]
fn since(_: &House, _: &mut impl Write) -> anyhow::Result<u64> {
    anyhow::bail!("that is for the resolver, which runs on Linux only")
}

/// Hands over each site that is listed and, judged now, still should be, in the order of their addresses.
fn each(house: &House, mut take: impl FnMut(&Site, &Address) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (judge, now) = (Judge::new(house)?, house.clock.now());
    let mut after = String::new();
    loop {
        let sites = house.store.look("site.export", |tx| {
            let sites = tx.sites(Some(SiteState::Listed), &after, PAGE)?;
            let mut with = Vec::with_capacity(sites.len());
            for site in sites {
                let Ok(address) = Address::parse(&site.address) else { continue };
                let held = held(tx, &address)?;
                with.push((site, address, held));
            }
            Ok::<_, StoreError>(with)
        })?;
        let Some((last, _, _)) = sites.last() else { return Ok(()) };
        after.clone_from(&last.address);
        for (site, address, held) in &sites {
            let score = judge.score(address, held, now);
            let by_hand = !site.person.is_empty();
            // What two people listed is handed out although a warning list has it.
            if by_hand || matches!(score.verdict, Verdict::Harmful | Verdict::Likely) {
                take(site, address)?;
            }
        }
    }
}

fn begin(form: &str, apex: &str, now: Timestamp) -> String {
    match form {
        "rpz" => {
            let serial = now.as_second() as u32;
            format!(
                "$TTL {TTL_S}\n{apex}. SOA localhost. hostmaster.localhost. {serial} 60 60 604800 {TTL_S}\n{apex}. NS localhost.\n"
            )
        }
        "stix" => {
            let id = uuid("bundle", &[apex.as_bytes(), &now.as_millisecond().to_be_bytes()]);
            format!("{{\"type\":\"bundle\",\"id\":\"bundle--{id}\",\"objects\":[")
        }
        _ => String::new(),
    }
}

/// A site in a form; nothing where the form cannot say it: one place on a host is no rule for the host.
fn line(form: &str, apex: &str, site: &Site, address: &Address, count: u64) -> Option<String> {
    let whole = !address.is_place() && address.port().is_none();
    let mut text = String::new();
    match (form, address.host()) {
        ("urls", _) => writeln!(text, "{}", address.url()),
        ("stix", _) => {
            write!(text, "{}\n{}", if count == 0 { "" } else { "," }, stix(site, address))
        }
        ("rpz", Host::Name(name)) if whole => {
            writeln!(text, "{name}.{apex}. CNAME .\n*.{name}.{apex}. CNAME .")
        }
        ("rpz", Host::Ip(std::net::IpAddr::V4(ip))) if whole => {
            let [a, b, c, d] = ip.octets();
            writeln!(text, "32.{d}.{c}.{b}.{a}.rpz-ip.{apex}. CNAME .")
        }
        ("hosts", Host::Name(name)) if whole => writeln!(text, "0.0.0.0 {name}"),
        ("domains", Host::Name(name)) if whole => writeln!(text, "{name}"),
        _ => return None,
    }
    .ok()?;
    Some(text)
}

fn stix(site: &Site, address: &Address) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let pattern = match address.host() {
        _ if site.place || address.port().is_some() => format!("[url:value = '{}']", quoted(&address.url())),
        Host::Name(name) => format!("[domain-name:value = '{name}']"),
        Host::Ip(ip) if ip.is_ipv4() => format!("[ipv4-addr:value = '{ip}']"),
        Host::Ip(ip) => format!("[ipv6-addr:value = '{ip}']"),
    };
    let when = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    json!({
        "type": "indicator", "spec_version": "2.1",
        "id": format!("indicator--{}", uuid("site", &[site.address.as_bytes()])),
        "created": when(site.first), "modified": when(site.changed.max(site.first)),
        "valid_from": when(site.first), "indicator_types": ["malicious-activity"],
        "pattern_type": "stix", "pattern": pattern, "description": site.why,
    })
    .to_string()
}

/// A UUID (version 8, RFC 9562: its bits are ours) out of what it stands for.
fn uuid(kind: &str, parts: &[&[u8]]) -> String {
    let id = Id::of(kind, parts).to_string();
    format!("{}-{}-8{}-a{}-{}", &id[..8], &id[8..12], &id[13..16], &id[17..20], &id[20..32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::decide::seen;

    fn line_of(form: &str, text: &str) -> Option<String> {
        let address = Address::parse(text).unwrap();
        let site = seen(&address, SiteState::Listed, Timestamp::UNIX_EPOCH);
        line(form, "sites.rpz", &site, &address, 0)
    }

    #[test]
    fn one_place_is_no_rule_for_its_host() {
        for form in ["rpz", "hosts", "domains"] {
            assert_eq!(line_of(form, "http://shared.example/a.exe"), None);
            assert_eq!(line_of(form, "shared.example:8080"), None);
            assert!(line_of(form, "bad.example").unwrap().contains("bad.example"));
        }
        assert_eq!(line_of("urls", "http://shared.example/a.exe").unwrap(), "http://shared.example/a.exe\n");
    }

    #[test]
    fn an_address_becomes_a_rule_for_answers() {
        assert_eq!(line_of("rpz", "192.0.2.7").unwrap(), "32.7.2.0.192.rpz-ip.sites.rpz. CNAME .\n");
        assert_eq!(line_of("hosts", "192.0.2.7"), None);
    }

    #[test]
    fn stix_quotes_what_lists_say() {
        let text = line_of("stix", "http://a.example/it's\\x").unwrap();
        assert!(text.contains("it\\\\'s/x"), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(text.trim()).is_ok());
    }
}
