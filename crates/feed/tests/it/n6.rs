//! The facts of n6's own tests: of every event the source, the time and the category, through the mapping that
//! `docs/src/n6.md` documents. n6 gives an entry of an undated list the time of the list's reading, which is not in the
//! list: here that is `report.now`, and an event without `time.source` has it.

use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_feed::{Report, n6};
use serde_json::{Map, Value, json};

use crate::shared::{cases, folder, run};

/// When n6's tests read what says no other time.
const READ_AT: &str = "2014-01-10 10:14:00";

fn instant(text: &str) -> Timestamp {
    let text = text.replace(' ', "T");
    format!("{}Z", text.trim_end_matches('Z')).parse().unwrap()
}

/// What n6 has beside the report: its test of a wrong separator and the sender's statement are not in the raw text.
fn params(case: &Value, first: Option<&Value>) -> Map<String, Value> {
    let manual = case["source"].as_str().unwrap().starts_with("manual.");
    let given = match first {
        Some(event) if manual => json!({ "category": event["category"] }),
        None if manual => json!({ "category": "other", "field_separator": ";" }),
        _ => json!({}),
    };
    given.as_object().unwrap().clone()
}

/// Whether what we found is what n6 expects.
fn same(want: &Value, constant: &Value, got: &Map<String, Value>, now: Timestamp) -> bool {
    let name = want["category"].as_str().or_else(|| constant["category"].as_str()).unwrap();
    let category = n6::find(name).unwrap();
    if got["classification.type"] != category.rsit.id() || got[n6::CATEGORY_KEY] != name {
        return false;
    }
    let at = got.get("time.source").map_or(now, |t| t.as_str().unwrap().parse().unwrap());
    if at != instant(want["time"].as_str().unwrap()) {
        return false;
    }
    let text = |field: &str| got.get(n6::key_of(category, field).unwrap()).and_then(Value::as_str);
    if let Some(ip) = want.pointer("/address/0/ip").and_then(Value::as_str) {
        let ip: IpAddr = ip.parse().unwrap();
        let own = text("ip").and_then(|t| t.parse::<IpAddr>().ok());
        let net = text("ip_network").and_then(|t| Some(t.split_once('/')?.0.parse::<IpAddr>().unwrap()));
        return own.or(net) == Some(ip);
    }
    match (want["fqdn"].as_str(), want["url"].as_str()) {
        (Some(fqdn), _) => text("fqdn") == Some(fqdn),
        (None, Some(url)) => text("url") == Some(url),
        // A certificate's fingerprint is all there is.
        (None, None) => want["x509fp_sha1"].as_str() == got["extra.certificate.sha1"].as_str(),
    }
}

#[test]
fn reports_give_the_events_that_n6_expects() {
    let Some(folder) = folder("n6-cases") else { return };
    let only = std::env::var("NOROSHI_CASES").ok();
    let (mut total, mut hit, mut exact, mut more) = (0u32, 0u32, 0u32, 0u32);
    let all = cases(&folder);
    for (file, case) in &all {
        if only.as_ref().is_some_and(|only| !file.contains(only.as_str())) {
            continue;
        }
        let none = Vec::new();
        let wanted = case["events"].as_array().unwrap_or(&none);
        let current = wanted.first().and_then(|e| e["_bl-current-time"].as_str());
        let now = instant(current.unwrap_or(READ_AT));
        let report = Report {
            format: n6::format_of(case["source"].as_str().unwrap()),
            feed_name: "n6".into(),
            feed_url: None,
            file_name: None,
            params: params(case, wanted.first()),
            now,
        };
        let got = run(&report, case["raw_text"].as_str().unwrap());
        let mut pool = got.events.clone();
        let mut missed = Vec::new();
        for want in wanted {
            match pool.iter().position(|got| same(want, &case["constant_items"], got, now)) {
                Some(at) => drop(pool.remove(at)),
                None => missed.push(want),
            }
        }
        // n6 keeps no IPv6 addresses; we do.
        pool.retain(|event| !event.get("source.ip").is_some_and(|ip| ip.as_str().unwrap().contains(':')));
        total += wanted.len() as u32;
        hit += (wanted.len() - missed.len()) as u32;
        more += pool.len() as u32;
        exact += u32::from(missed.is_empty() && pool.is_empty());
        if !missed.is_empty() || !pool.is_empty() || only.is_some() {
            println!("{file}: {} of {} missed, {} not asked for", missed.len(), wanted.len(), pool.len());
            println!(
                "  {:?} {:?}",
                got.error,
                got.bad.iter().map(|b| (b.line, &b.reason)).collect::<Vec<_>>()
            );
            missed.iter().for_each(|event| println!("  missed {event}"));
            let shown = if only.is_some() { &got.events } else { &pool };
            shown.iter().for_each(|event| println!("  found {}", Value::Object(event.clone())));
        }
    }
    println!(
        "n6: {hit} of {total} events matched, {more} not asked for; {exact} of {} cases exact",
        all.len()
    );
    if only.is_none() {
        assert!(hit * 100 >= total * 95, "{hit} of {total} events match");
        assert!(more * 100 <= total * 5, "{more} events that n6 does not have");
    }
}

#[test]
fn a_wrong_line_is_bad_and_the_others_are_read() {
    let Some(folder) = folder("n6-cases") else { return };
    for (file, lines) in
        [("Feodotracker", 1), ("UrlhausPayloads", 1), ("SblamSpam", 1), ("DataplaneDnsrdP", 1)]
    {
        for (_, case) in cases(&folder).iter().filter(|(name, _)| name.contains(file)) {
            let report = Report {
                format: n6::format_of(case["source"].as_str().unwrap()),
                feed_name: "n6".into(),
                feed_url: None,
                file_name: None,
                params: Map::new(),
                now: instant(READ_AT),
            };
            let got = run(&report, case["raw_text"].as_str().unwrap());
            assert_eq!(got.bad.len(), lines, "{file}: {:?}", got.bad);
            assert_eq!(got.events.len(), case["events"].as_array().unwrap().len(), "{file}");
        }
    }
}

#[test]
fn the_book_says_what_the_code_does() {
    let book = include_str!("../../../../docs/src/n6.md");
    for category in n6::CATEGORIES {
        let role = format!("{:?}", category.role).to_lowercase();
        let row = format!("| `{}` | `{}` | {role} |", category.name, category.rsit);
        assert!(book.contains(&row), "{row}");
    }
    for (field, key) in n6::FIELDS {
        assert!(book.contains(&format!("| `{field}` | `{key}` |")), "{field}");
    }
    for source in n6::SOURCES {
        assert!(book.contains(&format!("| `{}` | `{}` |", source.name, source.format)), "{}", source.name);
    }
}
