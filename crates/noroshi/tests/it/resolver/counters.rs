//! What is counted is told the same way to people, programs and monitoring systems.

use super::world::{Running, ask, port, until};
use crate::counters::check_open_metrics;

#[test]
fn status_and_metrics_say_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.zone");
    let rules = "@ SOA ns. host. 7 1 1 1 1\nbad.example CNAME .\nworse.example CNAME rpz-drop.\n";
    std::fs::write(&list, rules).unwrap();
    let metrics = port();
    let lines = format!("forward = [\"127.0.0.1:9\"]\nmetrics = \"127.0.0.1:{metrics}\"\n");
    let ours = Running::start(&lines, &format!("[[resolver.rpz]]\nname = \"rpz.\"\nfile = {list:?}\n"));
    let before = ours.asked(&["status"])["queries"]["udp"].as_u64().unwrap();
    for _ in 0..3 {
        assert_eq!(ask(ours.port, "bad.example.", 1).unwrap().code, 3);
    }
    assert!(ask(ours.port, "worse.example.", 1).is_none());
    let told = until("the counters", || {
        Some(ours.asked(&["status"])).filter(|told| told["queries"]["udp"] == before + 4)
    });
    assert_eq!(told["codes"], serde_json::json!({ "NXDOMAIN": 3 }), "{told}");
    assert_eq!(told["silent"], 1, "{told}");
    assert_eq!((&told["zones"][0]["hits"], &told["zones"][0]["serial"]), (&4.into(), &7.into()), "{told}");

    let text = until("the metrics", || {
        let mut answer = ureq::get(&format!("http://127.0.0.1:{metrics}/metrics")).call().ok()?;
        let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        Some(answer.body_mut().read_to_string().unwrap())
    });
    check_open_metrics(&text);
    for line in [
        &format!("noroshi_resolver_queries_total{{transport=\"udp\"}} {}", before + 4),
        "noroshi_resolver_answers_total{rcode=\"NXDOMAIN\"} 3",
        "noroshi_resolver_unanswered_total{why=\"silent\"} 1",
        "noroshi_resolver_policy_hits_total{zone=\"rpz.\"} 4",
        "noroshi_resolver_policy_rules{zone=\"rpz.\"} 2",
        "noroshi_resolver_policy_serial{zone=\"rpz.\"} 7",
        "noroshi_resolver_forward_answers{server=\"127.0.0.1:9\"} 1",
        "noroshi_resolver_waiting 0",
        "noroshi_resolver_stale_answers_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    assert!(!text.contains("example"), "no name that was asked for: {text}");

    let people = ours.command(&["status"]).output().unwrap();
    let people = String::from_utf8(people.stdout).unwrap();
    assert!(people.contains("rpz. serial 7: 2 rules, 4 hits") && people.contains("NXDOMAIN 3"), "{people}");
}
