//! Enrichment seen from outside: names from a real resolver and from one that is dead, and events of a campaign, whose ids
//! stay what they were.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::mail::{Running, until};
use crate::world::{last_json, run, run_any, server, text};

const REPORT: &str = "timestamp,src_ip,src_port,infection,src_hostname,dst_ip
2026-11-20 00:00:01,198.51.100.7,1024,mirai,,198.51.100.8
2026-11-20 00:00:02,198.51.100.7,1025,mirai,said.example.org,10.0.0.1
2026-11-20 00:00:03,198.51.100.9,1026,mirai,,198.51.100.10
2026-11-20 00:00:04,198.51.100.77,1027,mirai,,203.0.113.5
2026-11-20 00:00:05,2001:db8:12::7,1028,mirai,,192.0.2.1
";

/// Loads a report into a new data folder under a configuration.
fn load(folder: &Path, report: &Path, config: &str, more: &[&str]) -> Value {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("noroshi.toml"), config).unwrap();
    let config = folder.join("noroshi.toml");
    let typed = ["--config", config.to_str().unwrap(), "feed", "load", "--json", "--format", "shadowserver"];
    let named = ["--file-name", "event4_sinkhole_http.csv", report.to_str().unwrap()];
    last_json(&run(folder, &[&typed, more, &named[..]].concat()))
}

/// The events of a data folder by their port, each with its id.
fn events(folder: &Path) -> BTreeMap<u64, (String, Value)> {
    let listed = run(folder, &["event", "list", "--with-own", "--json", "--limit", "10000"]);
    let lines = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let port = |line: &Value| line["event"]["source.port"].as_u64().unwrap();
    lines.map(|l| (port(&l), (l["id"].as_str().unwrap().to_owned(), l["event"].clone()))).collect()
}

fn ids(events: &BTreeMap<u64, (String, Value)>) -> Vec<&str> {
    events.values().map(|(id, _)| id.as_str()).collect()
}

#[test]
fn addresses_get_the_names_that_a_real_resolver_has_and_events_keep_their_ids() {
    let Some(dns) = server("NOROSHI_TEST_DNS") else { return };
    let place = tempfile::tempdir().unwrap();
    let report = place.path().join("report.csv");
    std::fs::write(&report, REPORT).unwrap();
    let asking = format!("[enrich.reverse-dns]\nresolvers = [\"{dns}\"]\ntimeout-ms = 5000\n");
    let own = "[network]\nown = [\"198.51.100.0/24\", \"2001:db8:12::/48\"]\n";
    for (name, campaign) in [("feed", &[][..]), ("campaign", &["--campaign", "sinkhole"])] {
        let (plain, named) =
            (place.path().join(format!("{name}-plain")), place.path().join(format!("{name}-named")));
        assert_eq!(load(&plain, &report, own, campaign)["stored"], 5);
        assert_eq!(load(&named, &report, &format!("{own}{asking}"), campaign)["stored"], 5);
        let (plain, named) = (events(&plain), events(&named));
        assert_eq!(ids(&plain), ids(&named), "{name}");
        let got = |port: u64, key: &str| named[&port].1.get(key).and_then(Value::as_str).map(str::to_owned);
        let names: Vec<_> = (1024..1029)
            .map(|port| (got(port, "source.reverse_dns"), got(port, "destination.reverse_dns")))
            .collect();
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(
            names,
            [
                (name("host-7.example.net"), name("host-8.example.net")),
                (name("said.example.org"), None),
                (None, name("mail.example.net")),
                (None, None),
                (name("host-7.v6.example.net"), None),
            ],
            "lower case; what the feed said; nothing hostile; the first of two; none, and none to be had; IPv6"
        );
        assert!(plain.values().all(|(_, event)| event.get("destination.reverse_dns").is_none()));
    }
}

#[test]
fn a_dead_resolver_costs_a_load_neither_an_event_nor_much_time() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = tempfile::tempdir().unwrap();
    let report = place.path().join("report.csv");
    let mut lines = String::from("timestamp,src_ip,src_port,infection\n");
    for n in 0..40_000 {
        lines += &format!("2026-11-20 00:00:01,198.{}.{}.{},1024,mirai\n", n >> 16, n >> 8 & 255, n & 255);
    }
    std::fs::write(&report, lines).unwrap();
    let at = silent.local_addr().unwrap();
    let config = format!("[enrich.reverse-dns]\nresolvers = [\"{at}\"]\n");
    let begun = Instant::now();
    let done = load(&place.path().join("data"), &report, &config, &[]);
    assert_eq!(done["stored"], 40_000, "{done}");
    // One question after the other would take eleven hours.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let config = place.path().join("data/noroshi.toml");
    let typed = ["--config", config.to_str().unwrap(), "doctor", "--json"];
    let out = run_any(&place.path().join("data"), &typed);
    let said = text(&out.stdout).lines().find(|l| l.contains("\"reverse DNS\"")).unwrap().to_owned();
    assert!(said.contains("no answer") && said.contains(&at.to_string()), "{said}");
}

#[test]
fn events_of_a_campaign_are_enriched_and_their_ids_do_not_depend_on_it() {
    let place = tempfile::tempdir().unwrap();
    let report = place.path().join("report.csv");
    std::fs::write(&report, REPORT).unwrap();
    let (table, list) = (place.path().join("own.dat"), place.path().join("list.json"));
    std::fs::write(&table, "198.51.100.0/24\t64500\n").unwrap();
    std::fs::write(&list, r#"{"name":"Our scanners","type":"cidr","list":["198.51.100.9/32"],"matching_attributes":["ip-src"]}"#)
        .unwrap();
    let own = "[network]\nown = [\"198.51.100.0/24\"]\n";
    let enrich = format!(
        "{own}[enrich]\ntables = [{{ file = \"{}\" }}]\nwarning-lists = [\"{}\"]\ntenants = {{ campus = [\"198.51.100.0/25\"] }}\n",
        table.display(),
        list.display()
    );
    let (bare, rich) = (place.path().join("bare"), place.path().join("rich"));
    let nothing = format!("{own}[enrich]\nonly-own = true\n");
    for (folder, config) in [(&bare, nothing.as_str()), (&rich, enrich.as_str())] {
        let done = load(folder, &report, config, &["--campaign", "sinkhole"]);
        assert_eq!((&done["stored"], &done["filtered"]), (&4.into(), &1.into()), "{done}");
    }
    // A feed that was loaded before is all duplicates, however it is enriched now.
    assert_eq!(load(&bare, &report, &enrich, &["--campaign", "sinkhole"])["duplicate"], 4);
    let (bare, rich) = (events(&bare), events(&rich));
    assert_eq!(ids(&bare), ids(&rich));
    for (port, (_, event)) in &rich {
        assert_eq!(event["source.asn"], 64500, "{event}");
        assert_eq!(event["source.network"], "198.51.100.0/24");
        assert_eq!(event["extra.noroshi.tenant"], "campus");
        assert_eq!(event.get("extra.noroshi.warning_lists").is_some(), *port == 1026, "{event}");
        assert!(event["extra.noroshi.measure"].is_string());
        assert!(bare[port].1.get("source.asn").is_none());
    }
    let free = "[portal]\nlisten = \"127.0.0.1:0\"\n[console]\nlisten = \"127.0.0.1:0\"\n";
    let config = place.path().join("rich/noroshi.toml");
    std::fs::write(&config, format!("{free}{enrich}")).unwrap();
    let _running = Running::start(&place.path().join("rich"), &config);
    let db = rusqlite::Connection::open(place.path().join("rich/noroshi.db")).unwrap();
    until("the loop to read them back, one finding for each address", || {
        let findings = db.query_row("SELECT COUNT(*) FROM finding", [], |row| row.get::<_, i64>(0)).unwrap();
        (findings == 3).then_some(())
    });
}
