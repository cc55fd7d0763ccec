//! Warden: alerts between networks as IDEA objects (idea.cesnet.cz), JSON. What no map can say: who did it to whom are
//! lists of lists (`Source[].IP4[]`), and one alert may be of several categories. Here each source address is an event
//! of its own, of the first category that RSIT knows; a target is named where there is only one. Under n6's name
//! (`n6-cesnet-cz-warden`) the choice is n6's: an event for each category it knows, of the first address, IPv4 only.

use ipnet::IpNet;
use noroshi_model::{ClassificationType as Rsit, Datum, Fields};
use serde_json::Value;

use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::{time, try_add_owned};
use crate::n6::{self, Category};
use crate::{Feed, FeedError, Input, Report};

/// Most addresses of one alert that become events.
const ADDRESSES_MAX: usize = 4096;

/// IDEA's categories. A category that is not here is what the part before its dot is.
const CATEGORIES: [(&str, Rsit); 37] = [
    ("Abusive", Rsit::HarmfulSpeech),
    ("Abusive.Spam", Rsit::Spam),
    ("Abusive.Child", Rsit::Violence),
    ("Abusive.Sexual", Rsit::Violence),
    ("Abusive.Violence", Rsit::Violence),
    ("Malware", Rsit::MalwareDistribution),
    ("Malware.Virus", Rsit::InfectedSystem),
    ("Malware.Worm", Rsit::InfectedSystem),
    ("Malware.Trojan", Rsit::InfectedSystem),
    ("Malware.Spyware", Rsit::InfectedSystem),
    ("Malware.Dialer", Rsit::InfectedSystem),
    ("Malware.Rootkit", Rsit::InfectedSystem),
    ("Recon", Rsit::Scanner),
    ("Recon.Sniffing", Rsit::Sniffing),
    ("Recon.SocialEngineering", Rsit::SocialEngineering),
    ("Attempt", Rsit::Exploit),
    ("Attempt.Login", Rsit::BruteForce),
    ("Attempt.NewSignature", Rsit::IdsAlert),
    ("Intrusion", Rsit::SystemCompromise),
    ("Intrusion.AdminCompromise", Rsit::PrivilegedAccountCompromise),
    ("Intrusion.UserCompromise", Rsit::UnprivilegedAccountCompromise),
    ("Intrusion.AppCompromise", Rsit::ApplicationCompromise),
    ("Intrusion.Botnet", Rsit::InfectedSystem),
    ("Availability", Rsit::Dos),
    ("Availability.DDoS", Rsit::Ddos),
    ("Availability.Sabotage", Rsit::Sabotage),
    ("Availability.Outage", Rsit::Outage),
    ("Information", Rsit::UnauthorisedInformationAccess),
    ("Information.UnauthorizedModification", Rsit::UnauthorisedInformationModification),
    ("Fraud", Rsit::Masquerade),
    ("Fraud.UnauthorizedUsage", Rsit::UnauthorizedUseOfResources),
    ("Fraud.Copyright", Rsit::Copyright),
    ("Fraud.Phishing", Rsit::Phishing),
    ("Vulnerable", Rsit::VulnerableSystem),
    ("Vulnerable.Config", Rsit::Misconfiguration),
    ("Anomaly", Rsit::Other),
    ("Test", Rsit::Test),
];

/// The categories of which n6 makes events.
const N6: [(&str, &str); 6] = [
    ("Abusive.Spam", "spam"),
    ("Malware", "malurl"),
    ("Recon.Scanning", "scanning"),
    ("Attempt.Login", "server-exploit"),
    ("Intrusion.UserCompromise", "server-exploit"),
    ("Anomaly.Traffic", "flow-anomaly"),
];

/// Opens a report.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let as_n6 = report.format.starts_with("n6-");
    Ok(by_element(input, move |element, out| {
        if !element.value.is_object() {
            return Err("no object".into());
        }
        if as_n6 { for_n6(&element.value, out) } else { alert(&element.value, out) }
    }))
}

/// The alert as we read it.
fn alert(idea: &Value, out: &mut Out) -> Result<(), String> {
    let names: Vec<&str> = texts(idea, "Category").collect();
    if names.is_empty() {
        return Err("no Category".into());
    }
    let kind = names.iter().find_map(|name| rsit_of(name)).unwrap_or(Rsit::Other);
    let source = first(idea, "Source");
    // A botnet's controller is listed as its source, and typed as such.
    let controls = texts(source, "Type").any(|kind| kind == "CC");
    let kind = if controls && kind == Rsit::InfectedSystem { Rsit::C2Server } else { kind };
    let mut common = common(idea)?;
    common.put("classification.type", kind.id());
    common.put("classification.taxonomy", kind.taxonomy());
    common.put("classification.identifier", names[0].to_ascii_lowercase());
    end(&mut common, "destination", first(idea, "Target"));
    let mut events = 0;
    for source in list(idea, "Source") {
        for address in ["IP4", "IP6", "IP"].into_iter().flat_map(|key| texts(source, key)) {
            let mut fields = common.clone();
            if !address_of(&mut fields, "source", address) {
                continue;
            }
            detail(&mut fields, "source", source);
            events += 1;
            if events > ADDRESSES_MAX {
                return Err(format!("an alert has at most {ADDRESSES_MAX} addresses"));
            }
            out.event(fields);
        }
    }
    if events == 0 {
        detail(&mut common, "source", source);
        let ends = ["source.fqdn", "source.url", "source.account", "destination.ip", "destination.fqdn"];
        if !ends.iter().any(|key| common.has(key)) && !common.has("destination.network") {
            return Err("neither Source nor Target says who".into());
        }
        out.event(common);
    }
    Ok(())
}

/// The alert as n6 reads it.
fn for_n6(idea: &Value, out: &mut Out) -> Result<(), String> {
    let (source, target) = (first(idea, "Source"), first(idea, "Target"));
    let Some(address) = first_v4(source) else {
        out.filter();
        return Ok(());
    };
    let mut any = false;
    for name in texts(idea, "Category") {
        let known = N6.iter().find(|(idea, _)| *idea == name).and_then(|(_, n6)| n6::find(n6));
        let Some(category) = known else { continue };
        any = true;
        out.event(event_for_n6(idea, category, address, source, target)?);
    }
    if !any {
        out.filter();
    }
    Ok(())
}

fn event_for_n6(
    idea: &Value,
    category: &'static Category,
    address: &str,
    source: &Value,
    target: &Value,
) -> Result<Fields<'static>, String> {
    let mut fields = common(idea)?;
    let mut put =
        |field, text: Option<String>| text.is_some_and(|t| n6::put(&mut fields, category, field, &t));
    put("ip", Some(address.to_owned()));
    put("sport", only(source, "Port"));
    if category.name == "malurl" {
        // Malware is fetched from the source: its port is the one that is spoken to.
        put("dport", only(source, "Port"));
        put("url", only(source, "URL").or_else(|| only(target, "URL")));
    } else {
        put("dport", only(target, "Port"));
    }
    put("dip", only(target, "IP4").or_else(|| only(target, "IP")));
    n6::classify(&mut fields, category);
    Ok(fields)
}

/// What holds for all events of an alert.
fn common(idea: &Value) -> Result<Fields<'static>, String> {
    let mut fields = Fields::default();
    let at = idea.get("DetectTime").and_then(Value::as_str).and_then(time);
    fields.put("time.source", Datum::Time(at.ok_or("DetectTime is no time")?));
    let text = |name: &str| idea.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    if let Some(text) = text("Description").or_else(|| text("Note")) {
        fields.put("event_description.text", text.to_owned());
    }
    for (name, key) in [("ID", "extra.idea.id"), ("Note", "extra.idea.note")] {
        if let Some(text) = text(name) {
            fields.put(key, text.to_owned());
        }
    }
    for name in ["EventTime", "CeaseTime", "ConnCount", "FlowCount", "PacketCount", "ByteCount"] {
        if let Some(value) = idea.get(name).filter(|value| value.is_string() || value.is_number()) {
            fields.put(format!("extra.idea.{}", name.to_ascii_lowercase()), value.clone());
        }
    }
    let categories: Vec<Value> = texts(idea, "Category").map(Value::from).collect();
    fields.put("extra.idea.category", Datum::Json(categories.into()));
    if let Some(node) = list(idea, "Node").iter().rev().find_map(|node| node.get("Name")?.as_str()) {
        fields.put("extra.idea.node", node.to_owned());
    }
    let ends = [first(idea, "Source"), first(idea, "Target")];
    let mut protocols = ends.into_iter().flat_map(|end| texts(end, "Proto"));
    if let Some(transport) = protocols.clone().find(|p| matches!(*p, "tcp" | "udp" | "icmp" | "sctp")) {
        fields.put("protocol.transport", transport.to_owned());
    }
    if let Some(application) = protocols.find(|p| !matches!(*p, "tcp" | "udp" | "icmp" | "sctp")) {
        try_add_owned(&mut fields, "protocol.application", application);
    }
    Ok(fields)
}

/// What is known of an end, where it is one host.
fn end(fields: &mut Fields<'static>, side: &str, end: &Value) {
    let addresses = ["IP4", "IP6", "IP"].into_iter().flat_map(|key| texts(end, key));
    let mut two = addresses.take(2);
    if let (Some(one), None) = (two.next(), two.next()) {
        address_of(fields, side, one);
    }
    detail(fields, side, end);
}

/// Port, name, link and account of an end, each where there is only one.
fn detail(fields: &mut Fields<'static>, side: &str, end: &Value) {
    for (name, key) in [("Port", "port"), ("Hostname", "fqdn"), ("URL", "url"), ("Email", "account")] {
        if let Some(text) = only(end, name) {
            try_add_owned(fields, &format!("{side}.{key}"), &text);
        }
    }
}

/// An address, a network, or a range (`from-to`) of one.
fn address_of(fields: &mut Fields<'static>, side: &str, text: &str) -> bool {
    let text = match text.split_once('-') {
        Some((from, to)) if from.trim() == to.trim() => from.trim(),
        _ => text,
    };
    try_add_owned(fields, &format!("{side}.ip"), text)
        || text.parse::<IpNet>().is_ok() && try_add_owned(fields, &format!("{side}.network"), text)
}

fn rsit_of(name: &str) -> Option<Rsit> {
    let known = |name: &str| CATEGORIES.iter().find(|(idea, _)| *idea == name).map(|(_, rsit)| *rsit);
    known(name).or_else(|| known(name.split('.').next()?))
}

fn first_v4(end: &Value) -> Option<&str> {
    let firsts = ["IP4", "IP"].into_iter().filter_map(|key| texts(end, key).next());
    firsts.into_iter().find(|text| text.parse::<std::net::Ipv4Addr>().is_ok())
}

/// The value of a list that has only one.
fn only(object: &Value, key: &str) -> Option<String> {
    match list(object, key) {
        [one] => Some(crate::objects::text_of(one).into_owned()),
        _ => None,
    }
}

fn first<'a>(object: &'a Value, key: &str) -> &'a Value {
    list(object, key).first().unwrap_or(&Value::Null)
}

fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    match object.get(key) {
        Some(Value::Array(list)) => list,
        Some(one) if !one.is_null() => std::slice::from_ref(one),
        _ => &[],
    }
}

fn texts<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
    list(object, key).iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Result<Out, String> {
        let mut out = Out::default();
        alert(&serde_json::from_str(text).unwrap(), &mut out).map(|()| out)
    }

    #[test]
    fn every_source_address_is_an_event() {
        let out = events(
            r#"{"DetectTime":"2026-01-01T00:00:00Z","Category":["Attempt.Login","Test"],
                "Source":[{"IP4":["192.0.2.1","192.0.2.0/30","junk"],"IP6":["2001:db8::1"],"Port":[1,2]}],
                "Target":[{"IP4":["198.51.100.1"],"Port":[22],"Proto":["tcp","ssh"]}]}"#,
        )
        .unwrap();
        assert_eq!(out.events.len(), 3);
        let one = &out.events[0];
        assert_eq!(one.get("classification.type").and_then(Datum::text), Some("brute-force"));
        assert_eq!(one.get("protocol.application").and_then(Datum::text), Some("ssh"));
        assert_eq!(one.get("destination.port"), Some(&Datum::Int(22)));
        assert!(!one.has("source.port") && out.events[1].has("source.network"));
    }

    #[test]
    fn an_alert_that_says_too_little_is_bad() {
        assert!(events(r#"{"DetectTime":"soon","Category":["Recon"],"Source":[]}"#).is_err());
        assert!(events(r#"{"DetectTime":"2026-01-01T00:00:00Z","Source":[{"IP4":["192.0.2.1"]}]}"#).is_err());
        assert!(events(r#"{"DetectTime":"2026-01-01T00:00:00Z","Category":"X","Source":7}"#).is_err());
        let target = r#"{"DetectTime":"2026-01-01T00:00:00Z","Category":["Availability.DDoS"],
            "Target":[{"IP4":["192.0.2.1"]}]}"#;
        assert!(events(target).unwrap().events[0].has("destination.ip"));
    }
}
