//! Banners from Shodan. Where a member goes is in the map `shodan`; code is needed because a member may be an object whose
//! own members are the data, because the order of these counts, and because some numbers are too long for a number.

use noroshi_model::{Datum, Fields};
use noroshi_wire::elements::Element;
use serde_json::{Map, Value};

use super::values::{is_none, put};
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::fqdn;
use crate::map::Mapping;
use crate::{Feed, FeedError, Input, Report};

/// Top members that every banner has, and that do not tell of what service it is.
const COMMON: &[&str] = &[
    "_id",
    "_shodan",
    "asn",
    "data",
    "device",
    "devicetype",
    "domains",
    "hash",
    "hostnames",
    "html",
    "ip",
    "ip_str",
    "isp",
    "location",
    "opts",
    "org",
    "os",
    "port",
    "tags",
    "timestamp",
    "transport",
];

/// Top members that are named for a protocol.
const PROTOCOLS: &[&str] = &[
    "afp",
    "bgp",
    "coap",
    "dns",
    "ethernetip",
    "ftp",
    "hp_ilo",
    "http",
    "isakmp",
    "iscsi",
    "knx",
    "lantronix",
    "minecraft",
    "mqtt",
    "msrpc",
    "netbios",
    "ntp",
    "redis",
    "rip",
    "rsync",
    "smb",
    "snmp",
    "ssh",
    "telnet",
    "unitronics_pcom",
    "upnp",
];

/// What the small selection has.
const MINIMAL: &[(&str, &str)] = &[
    ("asn", "source.asn"),
    ("data", "extra.data"),
    ("ip_str", "source.ip"),
    ("location.country_code", "source.geolocation.cc"),
    ("org", "event_description.target"),
    ("port", "source.port"),
    ("tags", "extra.tags"),
    ("timestamp", "time.source"),
    ("title", "extra.html_title"),
    ("transport", "protocol.transport"),
];

/// Opens banners; with parameter `minimal_mode` a small selection, and the banner as a whole beside it.
pub fn open(bundle: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    if report.truth("minimal_mode", false) {
        return Ok(by_element(input, minimal));
    }
    let Some(map) = bundle.map("shodan") else { return Err(FeedError::Format("shodan".into())) };
    let mapping = map.mapping.clone();
    Ok(by_element(input, move |element, out| banner(&mapping, element, out)))
}

fn minimal(element: &Element, out: &mut Out) -> Result<(), String> {
    let Some(banner) = element.value.as_object() else { return Err("no object".into()) };
    let mut fields = Fields::default();
    fields.put("classification.type", "other");
    fields.put("classification.identifier", "network-scan");
    for (path, key) in MINIMAL {
        if let Some(value) = find(banner, path).filter(|value| !is_empty(value)) {
            put(&mut fields, key, value);
        }
    }
    fields.put("extra.shodan", Datum::Json(element.value.clone()));
    hand_over(fields, out)
}

fn banner(mapping: &Mapping, element: &Element, out: &mut Out) -> Result<(), String> {
    let Some(banner) = element.value.as_object() else { return Err("no object".into()) };
    let mut fields = Fields::default();
    fields.put("classification.type", "other");
    fields.put("classification.identifier", "shodan-scan");
    for (path, targets) in &mapping.columns {
        let top = path.split('.').next().unwrap_or(path);
        let found = banner.get(top).and_then(|_| find(banner, path)).filter(|value| !is_none(value));
        let Some(value) = found.and_then(|value| read(path, value, &element.text)) else { continue };
        for target in targets.list() {
            put(&mut fields, &target.key, &value);
        }
    }
    if let Some(Datum::Json(Value::Array(holes))) = fields.get("extra.vulns") {
        let verified = holes.iter().filter(|hole| hole.get("verified").is_some_and(is_yes));
        let names: Value = verified.filter_map(|hole| hole.get("identifier").cloned()).collect();
        fields.put("extra.verified_vulns", Datum::Json(names));
    }
    let mut unique: Vec<&str> =
        banner.keys().map(String::as_str).filter(|member| !COMMON.contains(member)).collect();
    // In an order of its own, whatever that of the members is.
    unique.sort_unstable();
    if let Some(protocol) = unique.iter().find(|member| PROTOCOLS.contains(member)) {
        fields.put("protocol.application", (*protocol).to_owned());
    }
    fields.put("extra.shodan.unique_keys", Datum::Json(Value::from(unique)));
    hand_over(fields, out)
}

fn hand_over(fields: Fields<'static>, out: &mut Out) -> Result<(), String> {
    if !fields.has("source.ip") {
        return Err("member ip_str is no address".into());
    }
    out.event(fields);
    Ok(())
}

fn is_yes(value: &Value) -> bool {
    value == true || value == "true"
}

/// Empty, zero, no: left out of the small selection.
fn is_empty(value: &Value) -> bool {
    is_none(value) || value == 0 || value == false || value.as_array().is_some_and(Vec::is_empty)
}

/// A member by its path. A name may have dots in it, so every cut is tried, the longest name first.
fn find<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.rmatch_indices('.')
        .find_map(|(cut, _)| find(object.get(&path[..cut])?.as_object()?, &path[cut + 1..]))
}

/// What is made of a member; `None` where it cannot be that. `text` is the banner as it was written.
fn read(path: &str, value: &Value, text: &str) -> Option<Value> {
    match path {
        "hostnames" | "domains" => {
            let mut names = value.as_array()?.iter().filter_map(Value::as_str);
            names.find(|name| fqdn(name.trim()).is_some()).map(Value::from)
        }
        "coap.resources" | "http.components" | "mac" | "rsync.modules" => {
            value.as_object()?;
            let members = members(raw(text, path)?);
            Some(members.into_iter().map(|(name, _)| Value::from(name)).collect())
        }
        "ftp.features" | "vulns" => {
            let object = value.as_object()?;
            let listed = members(raw(text, path)?).into_iter().map(|(name, _)| {
                let mut one = object.get(&name)?.as_object()?.clone();
                one.insert("identifier".into(), name.into());
                Some(Value::Object(one))
            });
            listed.collect()
        }
        "opts.ldap.supportedControl" | "opts.ldap.supportedLDAPVersion" if !value.is_array() => {
            Some(Value::from(vec![value.clone()]))
        }
        // A serial number has up to 160 bits.
        "ssl.cert.serial" | "ssl.dhparams.generator" if value.is_number() => {
            raw(text, path).map(|digits| Value::from(digits.trim()))
        }
        _ => Some(value.clone()),
    }
}

/// The text of a member by its path.
fn raw<'a>(text: &'a str, path: &str) -> Option<&'a str> {
    path.split('.').try_fold(text, |object, name| {
        members(object).into_iter().find(|(member, _)| member == name).map(|(_, value)| value)
    })
}

/// The members of an object, in the order in which they are written, with the text of their values. `text` is known to
/// be JSON.
fn members(text: &str) -> Vec<(String, &str)> {
    let mut members = Vec::new();
    let Some(mut rest) = text.trim().strip_prefix('{') else { return members };
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if !rest.starts_with('"') {
            return members;
        }
        let (name, behind) = rest.split_at(value_end(rest));
        let Some(behind) = behind.trim_start().strip_prefix(':') else { return members };
        let (value, behind) = behind.split_at(value_end(behind));
        if let Ok(name) = serde_json::from_str(name) {
            members.push((name, value));
        }
        rest = behind;
    }
}

/// Where the value that `text` begins with ends.
fn value_end(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    let mut begun = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => {
                quoted = !quoted;
                if !quoted && depth == 0 {
                    return at + 1;
                }
            }
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'}' | b']' | b',' | b':' if depth == 0 => return at,
            b if depth == 0 && begun && b.is_ascii_whitespace() => return at,
            _ => {}
        }
        begun |= !byte.is_ascii_whitespace();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::probe::parsed;

    #[test]
    fn the_order_and_the_digits_of_the_text() {
        let text =
            r#"{ "b" : {"z": 1, "a": [{"}": "\"]"}], "n" : 18446744073709551616 }, "" : null , "a":true}"#;
        let names: Vec<String> = members(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "", "a"]);
        assert_eq!(raw(text, "b.n").map(str::trim), Some("18446744073709551616"));
        assert_eq!(raw(text, "b.a").map(str::trim), Some(r#"[{"}": "\"]"}]"#));
        assert_eq!(raw(text, "b.x"), None);
        assert!(members("[1]").is_empty() && members("{").is_empty() && members("{\"").is_empty());
    }

    #[test]
    fn members_that_are_data() {
        let text = r#"{"ip_str": "192.0.2.1", "port": 443, "timestamp": "2018-06-19T14:14:15.931753",
            "hostnames": ["a b", "A.example"], "domains": [], "asn": "AS64496",
            "ssl": {"cert": {"serial": 18446744073709551616, "subject": {"CN": "x"}}}, "http": {"components": {"Z": {},
            "A": {}}, "title": ""}, "opts": {"ldap": {"supportedLDAPVersion": "3"}, "amqp": {"server_properties":
            {"capabilities": {"basic.nack": true}}}}, "vulns": {"CVE-2": {"verified": true}, "CVE-1":
            {"verified": false}}}
            {"ip_str": "?"}
7
{"ip_str": "192.0.2.1", "port": 0, "vulns": {"CVE-1": 1}, "location": null}"#;
        let got = parsed("shodan", text, ());
        assert_eq!(got.lines(), "[1, 9] bad [7, 8] filtered 0");
        assert_eq!((got.fact(0, "source.reverse_dns"), got.fact(0, "source.fqdn")), ("a.example", ""));
        assert_eq!(got.fact(0, "extra.ssl.cert.serial"), "18446744073709551616");
        assert_eq!(got.fact(0, "extra.http.components"), r#"["Z","A"]"#);
        assert_eq!(got.fact(0, "extra.ldap.supportedldapversion"), r#"["3"]"#);
        assert_eq!(got.fact(0, "extra.amqp.capabilities.nack"), "true");
        assert_eq!(got.fact(0, "extra.verified_vulns"), r#"["CVE-2"]"#);
        assert_eq!(got.fact(0, "extra.shodan.unique_keys"), r#"["http","ssl","vulns"]"#);
        assert_eq!(got.fact(1, "extra.vulns"), "");
        let got = parsed("shodan", text, serde_json::json!({ "minimal_mode": true }));
        assert_eq!((got.fact(0, "source.port"), got.fact(1, "source.port")), ("443", ""));
    }

    proptest::proptest! {
        #[test]
        fn members_are_those_of_json(text in "[\\[\\]{}:,\"\\\\ a1é]{0,40}", names in proptest::collection::vec(".{0,6}", 0..6)) {
            members(&text);
            let object: Map<String, Value> = names.iter().map(|name| (name.clone(), Value::from(name.as_str()))).collect();
            for written in [serde_json::to_string(&object), serde_json::to_string_pretty(&object)] {
                let found = members(written.as_deref().unwrap_or_default()).into_iter();
                let read: Map<String, Value> =
                    found.filter_map(|(name, value)| Some((name, serde_json::from_str(value).ok()?))).collect();
                proptest::prop_assert_eq!(&read, &object);
            }
        }
    }
}
