//! The facts of IntelMQ's own passing tests. `NOROSHI_CASES=dataplane` runs only cases with that in their name and prints
//! every fact that differs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use noroshi_feed::Report;
use serde_json::{Map, Value};

use crate::shared::{Got, cases, folder, run};

/// Cases where the expectation is a bug of the peer, with the reason.
const EXCEPTIONS: &str = include_str!("exceptions.toml");

type Facts = BTreeMap<String, String>;

fn format_of(parser: &str) -> String {
    let rest = parser.trim_start_matches("intelmq.bots.parsers.");
    let (first, tail) = rest.split_once('.').unwrap_or((rest, ""));
    let parts = tail.split('.').filter(|p| !p.is_empty() && *p != "parser");
    let words: Vec<&str> =
        std::iter::once(first).chain(parts.map(|p| p.trim_start_matches("parser_"))).collect();
    words.join("-").replace('_', "-")
}

fn facts(event: &Map<String, Value>) -> Facts {
    const IGNORED: [&str; 8] = [
        "raw",
        "raw_text",
        "raw_text_b64",
        "time.observation",
        "output",
        "__type",
        "extra.file_name",
        "extra",
    ];
    let mut flat: Facts = event
        .iter()
        .filter(|(key, _)| !IGNORED.contains(&key.as_str()) && !key.starts_with("feed."))
        .map(|(key, value)| (key.clone(), normal(key, value)))
        .collect();
    if let Some(Value::Object(extra)) = event.get("extra") {
        flat.extend(extra.iter().map(|(key, value)| {
            let key = format!("extra.{key}");
            (key.clone(), normal(&key, value))
        }));
    }
    flat.retain(|key, value| value != "null" && value != "\"\"" && !IGNORED.contains(&key.as_str()));
    flat
}

fn normal(key: &str, value: &Value) -> String {
    if (key.starts_with("time.") || key.ends_with(".allocated"))
        && let Some(t) = value.as_str().and_then(|text| text.parse::<Timestamp>().ok())
    {
        return t.to_string();
    }
    if key.starts_with("malware.hash") || key.ends_with(".fqdn") || key.ends_with(".reverse_dns") {
        return value.to_string().to_lowercase();
    }
    match value.as_f64() {
        Some(n) if value.is_number() => format!("{n:.6}"),
        _ => {
            // With the members of objects in order, as a sink writes them.
            let mut json = Vec::new();
            noroshi_model::Datum::Json(value.clone()).write_json(&mut json);
            String::from_utf8(json).unwrap()
        }
    }
}

fn pair_key(facts: &Facts) -> Vec<Option<String>> {
    let who = ["source.ip", "source.network", "source.fqdn", "source.url"];
    let who = who.iter().find_map(|key| facts.get(*key));
    let rest = ["time.source", "source.port", "destination.ip"].map(|key| facts.get(key));
    std::iter::once(who).chain(rest).map(|v| v.cloned()).collect()
}

#[test]
fn reports_give_the_facts_that_intelmq_expects() {
    let Some(folder) = folder("intelmq-cases") else { return };
    let only = std::env::var("NOROSHI_CASES").ok();
    let exceptions: toml::Table = EXCEPTIONS.parse().unwrap();
    let (mut total, mut exact, mut hit, mut missing, mut extra) = (0, 0, 0, 0, 0);
    let mut not_exact = Vec::new();
    for (name, case) in cases(&folder) {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let got = run_case(&case);
        let want: Vec<Facts> =
            case["events"].as_array().unwrap().iter().map(|e| facts(e.as_object().unwrap())).collect();
        let mut pool: Vec<Facts> = got.events.iter().map(facts).collect();
        let mut same = pool.len() == want.len();
        let mut told = Vec::new();
        for w in &want {
            let wanted: BTreeSet<_> = w.iter().collect();
            let best =
                pool.iter().enumerate().filter(|(_, g)| pair_key(g) == pair_key(w)).max_by_key(|(_, g)| {
                    // Of two that have as much of it, the one with less besides.
                    (g.iter().filter(|fact| wanted.contains(fact)).count(), std::cmp::Reverse(g.len()))
                });
            let found = match best.map(|(at, _)| at) {
                Some(at) => pool.remove(at),
                None => Facts::new(),
            };
            let have: BTreeSet<_> = found.iter().collect();
            if !exceptions.contains_key(&name) {
                hit += wanted.intersection(&have).count();
                missing += wanted.difference(&have).count();
                extra += have.difference(&wanted).count();
            }
            if wanted != have {
                same = false;
                told.extend(wanted.difference(&have).map(|(k, v)| format!("  missing {k} = {v}")));
                told.extend(have.difference(&wanted).map(|(k, v)| format!("  extra   {k} = {v}")));
            }
        }
        total += 1;
        exact += usize::from(same || exceptions.contains_key(&name));
        if !same && !exceptions.contains_key(&name) {
            let format = format_of(case["parser"].as_str().unwrap());
            not_exact.push(format!(
                "{format}: {name}: {} events for {}, {} bad {:?} {:?}",
                got.events.len(),
                want.len(),
                got.bad.len(),
                got.bad.first().map(|b| (b.line, &b.reason)),
                got.error
            ));
            if only.is_some() {
                told.extend(pool.iter().map(|g| format!("  not asked for: {g:?}")));
                not_exact.extend(told);
            }
        }
    }
    for line in &not_exact {
        println!("{line}");
    }
    let recall = f64::from(hit as u32) / f64::from((hit + missing).max(1) as u32);
    let precision = f64::from(hit as u32) / f64::from((hit + extra).max(1) as u32);
    println!("{exact} of {total} cases exact or excepted; recall {recall:.5}, precision {precision:.5}");
    if only.is_none() {
        assert!(exact * 100 >= total * 99, "{exact} of {total} cases are exact");
        assert!(recall >= 0.999 && precision >= 0.999, "recall {recall}, precision {precision}");
    }
}

fn run_case(case: &Value) -> Got {
    let mut all = Got::default();
    for input in case["inputs"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().filter(|s| !s.is_empty()).map(str::to_owned);
        let feed_name = text(&case["feed_name"]).or_else(|| text(&input["feed.name"]));
        // A case may be of several files; each is read under its own name.
        let file_name = text(&input["extra.file_name"]).or_else(|| text(&case["file_name"]));
        let report = Report {
            format: format_of(case["parser"].as_str().unwrap()),
            feed_name: feed_name.unwrap_or_else(|| "unnamed".into()),
            feed_url: text(&input["feed.url"]),
            file_name,
            params: case["parameters"].as_object().cloned().unwrap_or_default(),
            now: "2026-11-22T00:00:00Z".parse().unwrap(),
        };
        let got = run(&report, input["raw_text"].as_str().unwrap_or_default());
        all.events.extend(got.events);
        all.bad.extend(got.bad);
        all.error = all.error.or(got.error);
    }
    all
}
