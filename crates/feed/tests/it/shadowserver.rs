//! Shadowserver's odd files, and what is left of a report whose type is not in the map: the family must carry it.

use std::collections::BTreeSet;

use noroshi_feed::{Bundle, Report};
use serde_json::{Map, Value, json};

use crate::shared::{Got, cases, folder, run, run_with};

const MAP: &str = include_str!("../../../../feeds/shadowserver.toml");

fn report(format: &str, file_name: &str) -> Report {
    Report {
        format: format.into(),
        feed_name: "unnamed".into(),
        feed_url: None,
        file_name: Some(file_name.into()),
        params: Map::new(),
        now: "2026-11-22T00:00:00Z".parse().unwrap(),
    }
}

fn parse(stem: &str, raw: &str) -> Got {
    run(&report("shadowserver", &format!("2026-11-20-{stem}-example-geo.csv")), raw)
}

#[test]
fn a_type_nobody_knows_is_read_by_what_all_share() {
    let raw = "\u{feff}timestamp,ip,port,protocol,naics,sector,tag,quux\r\n\
               2026-11-20 01:02:03,192.0.2.7,17,udp,517311,0,qx,yes\r\n";
    let event = &parse("scan_quux_service", raw).events[0];
    assert_eq!(event["classification.type"], "vulnerable-system");
    assert_eq!(event["classification.identifier"], "open-quux-service");
    assert_eq!((&event["extra.quux"], &event["extra.source.naics"]), (&json!("yes"), &json!(517_311)));
    assert!(!event.contains_key("extra.source.sector"));
    for (stem, kind) in [
        ("event4_honeypot_quux_scan", "scanner"),
        ("event6_sinkhole_quux", "infected-system"),
        ("compromised_quux", "system-compromise"),
        ("population6_quux", "vulnerable-system"),
        ("quux", "undetermined"),
    ] {
        assert_eq!(parse(stem, raw).events[0]["classification.type"], kind, "{stem}");
    }
}

#[test]
fn an_edition_for_ipv6_is_the_report_it_is_an_edition_of() {
    let raw = "timestamp,ip,port,naics\n2026-11-20 01:02:03,2001:db8::7,5555,517311\n";
    let event = &parse("scan6_adb", raw).events[0];
    assert_eq!(event["classification.identifier"], "accessible-adb");
    assert_eq!(event["extra.source.naics"], 517_311);
    let mut by_name = report("shadowserver", "x.csv");
    by_name.file_name = None;
    by_name.feed_name = "IPv6 Accessible ADB".into();
    assert_eq!(&run(&by_name, raw).events[0], event);
}

#[test]
fn a_short_row_is_read_where_it_fits_and_what_is_shifted_is_bad() {
    let raw = "timestamp,ip,port,tag\n2026-11-20 01:02:03,192.0.2.7\n\
               2026-11-20 01:02:03,192.0.2.8,80,ssh,\nnever,192.0.2.9,1,x\n\
               2026-11-20 01:02:03,192.0.2.8,80,ssh,more\n2026-11-20 01:02:03,192.0.2.8,ssh\n";
    let got = parse("scan_ssh", raw);
    assert_eq!(got.events.len(), 2);
    assert_eq!((got.bad[0].line, got.bad[0].reason.as_str()), (4, "column timestamp is no time"));
    assert_eq!(got.bad.iter().map(|b| b.line).collect::<Vec<_>>(), [4, 5, 6]);
    let empty = parse("scan_ssh", "timestamp,ip,port,tag\n");
    assert!(empty.error.is_none() && empty.events.is_empty() && empty.bad.is_empty());
}

#[test]
fn the_url_of_a_request_is_put_together() {
    let url = |host: &str, path: &str, scheme: &str| {
        let raw = format!(
            "timestamp,src_ip,http_host,http_url,application\n\
             2026-11-20 01:02:03,192.0.2.7,{host},{path},{scheme}\n"
        );
        let event = parse("event4_sinkhole_http", &raw).events.remove(0);
        ["destination.url", "destination.fqdn", "extra.http_url"].map(|key| event.get(key).cloned())
    };
    let text = |text: &str| Some(Value::from(text));
    let whole = url("evil.example", "GET /a?b HTTP/1.1", "https");
    assert_eq!(whole, [text("https://evil.example/a?b"), text("evil.example"), None]);
    assert_eq!(url("192.0.2.9", "/a", ""), [text("http://192.0.2.9/a"), None, None]);
    assert_eq!(url("", "/a", ""), [None, None, text("/a")]);
    assert_eq!(url("", "http://evil.example/", ""), [text("http://evil.example/"), None, None]);
}

#[test]
fn what_the_operator_says_it_is_counts_more_than_the_name() {
    let raw = "timestamp,ip,port\n2026-11-20 01:02:03,192.0.2.7,80\n";
    let mut said = report("shadowserver", "2026-11-20-scan_ssh.csv");
    said.params.insert("feedname".into(), "Accessible-VNC".into());
    assert_eq!(run(&said, raw).events[0]["classification.identifier"], "open-vnc");
    said.params.insert("feedname".into(), "no such feed".into());
    assert_eq!(run(&said, raw).events[0]["classification.identifier"], "open-ssh");
}

/// Takes each report out of the map in turn. Its facts then come from the family and the fallbacks alone.
#[test]
fn most_facts_of_a_report_are_read_without_its_table() {
    let Some(folder) = folder("intelmq-cases") else { return };
    let (mut hit, mut all, mut wrong) = (0_usize, 0_usize, 0_usize);
    for (name, case) in cases(&folder).into_iter().filter(|(name, _)| name.contains("_shadowserver.test_")) {
        let file = case["file_name"].as_str().unwrap();
        let (Some(stem), [input]) =
            (file.split(['-', '.']).nth(3), case["inputs"].as_array().unwrap().as_slice())
        else {
            continue;
        };
        let Some(bundle) = without(stem) else { continue };
        let format = if name.contains("JSON") { "shadowserver-json" } else { "shadowserver" };
        let got = run_with(&bundle, &report(format, file), input["raw_text"].as_str().unwrap());
        for (want, have) in case["events"].as_array().unwrap().iter().zip(&got.events) {
            let (want, have) = (facts(want.as_object().unwrap()), facts(have));
            hit += want.intersection(&have).count();
            all += want.len();
            wrong += have.difference(&want).count();
        }
    }
    println!("without its own table {hit} of {all} facts are read, {wrong} are others");
    assert!(hit * 100 >= all * 90 && wrong * 100 <= all * 10, "{hit} of {all}, {wrong} others");
}

fn without(stem: &str) -> Option<Bundle> {
    let mut map: toml::Table = MAP.parse().unwrap();
    let reports = map["report"].as_table_mut().unwrap();
    reports.remove(stem)?;
    reports.retain(|_, other| other.get("like").and_then(toml::Value::as_str) != Some(stem));
    let mut bundle = Bundle::shipped();
    bundle.add(&map.to_string()).unwrap();
    Some(bundle)
}

fn facts(event: &Map<String, Value>) -> BTreeSet<(String, String)> {
    let told = |key: &str| {
        !key.starts_with("feed.")
            && !matches!(key, "raw" | "raw_text" | "__type" | "time.observation" | "extra.file_name")
    };
    let text = |key: &str, value: &Value| match value {
        // `+00:00` and `Z` are one.
        Value::String(text) if key.starts_with("time.") => text.trim_end_matches("+00:00").replace('Z', ""),
        other => other.as_f64().map_or_else(|| other.to_string(), |n| n.to_string()),
    };
    event.iter().filter(|(key, _)| told(key)).map(|(key, value)| (key.clone(), text(key, value))).collect()
}
