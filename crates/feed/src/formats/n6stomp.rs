//! Events of CERT Polska's n6 as its stream sends them. An event may have several addresses; each is an event here, and
//! the one without an address is kept beside them, since those who built on the stream count on it.

use noroshi_model::{ClassificationType, Fields};
use noroshi_wire::elements::Element;
use serde_json::{Map, Value};

use super::values::{objects, put_all, text, time_text};
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::{time, try_add_owned};
use crate::{Feed, FeedError, Input, Report};

const EVENT: &[(&str, &str)] = &[
    ("adip", "extra.adip"),
    ("confidence", "extra.confidence"),
    ("dip", "destination.ip"),
    ("dport", "destination.port"),
    ("fqdn", "source.fqdn"),
    ("id", "extra.feed_id"),
    ("md5", "malware.hash.md5"),
    ("proto", "protocol.transport"),
    ("sha1", "malware.hash.sha1"),
    ("sha256", "malware.hash.sha256"),
    ("source", "extra.feed_source"),
    ("sport", "source.port"),
    ("time", "time.source"),
    ("url", "source.url"),
];

const ADDRESS: &[(&str, &str)] = &[
    ("asn", "source.asn"),
    ("cc", "source.geolocation.cc"),
    ("ip", "source.ip"),
    ("rdns", "source.reverse_dns"),
];

/// Category → RSIT type, identifier. The taxonomy is that of the type.
#[rustfmt::skip]
const CATEGORIES: &[(&str, &str, &str)] = &[
    ("amplifier", "vulnerable-system", "amplifier"),
    ("backdoor", "system-compromise", "hacked server"),
    ("bots", "infected-system", "malware-generic"),
    ("cnc", "c2-server", "c&c server"),
    ("dns-query", "other", "dns-query"),
    ("dos-attacker", "ddos", "dos-attacker"),
    ("dos-victim", "ddos", "dos-victim"),
    ("flow", "other", "flow"),
    ("flow-anomaly", "other", "flow-anomaly"),
    ("fraud", "masquerade", "fraud"),
    ("leak", "data-leak", "leak"),
    ("malurl", "exploit", "malurl"),
    ("malware-action", "malware-configuration", "malware-configuration"),
    ("other", "other", "other"),
    ("phish", "phishing", "phishing"),
    ("proxy", "proxy", "openproxy"),
    ("sandbox-url", "malware-distribution", "sandboxurl"),
    ("scanning", "scanner", "scanning"),
    ("server-exploit", "exploit", "server-exploit"),
    ("spam", "spam", "spam"),
    ("spam-url", "spam", "spam-url"),
    ("tor", "tor", "tor exit node"),
    ("vulnerable", "vulnerable-system", "vulnerable"),
    ("webinject", "malware-distribution", "malware"),
];

/// Opens events of the stream.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, record))
}

fn record(element: &Element, out: &mut Out) -> Result<(), String> {
    if element.text.contains("TEST MESSAGE") {
        out.filter();
        return Ok(());
    }
    let Some(event) = element.value.as_object() else { return Err("no object".into()) };
    let mut fields = Fields::default();
    put_all(&mut fields, event, EVENT);
    if text(event, "fqdn") == "unknown" {
        fields.take("source.fqdn");
    }
    if let Some(until) = time(text(event, "expires")) {
        fields.put("extra.expires", time_text(until));
    }
    let name = text(event, "name");
    if try_add_owned(&mut fields, "malware.name", name) && !name.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        // The name of malware is plain letters; the whole of it is kept where it can be.
        try_add_owned(&mut fields, "event_description.text", name);
    }
    classify(event, &mut fields)?;
    for address in objects(event, "address") {
        let mut one = fields.clone();
        put_all(&mut one, address, ADDRESS);
        if one.has("source.ip") {
            out.event(one);
        }
    }
    out.event(fields);
    Ok(())
}

fn classify(event: &Map<String, Value>, fields: &mut Fields<'static>) -> Result<(), String> {
    let kind = if text(event, "type") == "bl-update" {
        "blacklist"
    } else {
        if event.get("category").is_some_and(Value::is_null) {
            return Ok(());
        }
        let category = text(event, "category");
        let found = CATEGORIES.iter().find(|(name, ..)| *name == category);
        let (_, kind, identifier) = found.ok_or("no category of n6")?;
        let name = text(event, "name");
        let named = category == "bots" && !name.is_empty();
        fields
            .put("classification.identifier", if named { name.to_owned() } else { (*identifier).to_owned() });
        kind
    };
    fields.put("classification.type", kind);
    if let Some(kind) = ClassificationType::parse(kind) {
        fields.put("classification.taxonomy", kind.taxonomy());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::probe::parsed;

    #[test]
    fn every_category_is_rsit() {
        assert!(CATEGORIES.iter().all(|(_, kind, _)| ClassificationType::parse(kind).is_some()));
    }

    #[test]
    fn addresses_and_messages_that_are_none() {
        let text = r#"{"type": "event", "category": "bots", "fqdn": "unknown", "address": [{"ip": "192.0.2.1"},
            {"ip": "192.0.2.2"}]}
{"type": "event", "category": "cnc", "name": "TEST MESSAGE"}
{"type": "event", "category": "?"}
{"type": "bl-update", "category": "?", "expires": "2019-02-03T20:12:03Z"}"#;
        let got = parsed("n6-n6stomp", text, ());
        assert_eq!(got.lines(), "[1, 1, 1, 5] bad [4] filtered 1");
        assert_eq!(got.fact(0, "classification.identifier"), "malware-generic");
        assert_eq!((got.fact(2, "source.ip"), got.fact(2, "source.fqdn")), ("", ""));
        assert_eq!(got.fact(3, "extra.expires"), "2019-02-03T20:12:03+00:00");
    }
}
