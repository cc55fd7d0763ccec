//! Microsoft's CTIP feed of infected systems and their controllers, in the two editions it is delivered in: the lists of
//! Interflow, and the objects of Azure, which hold objects and a payload in base64 that may be another one.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::{SignedDuration, Timestamp};
use noroshi_model::{Datum, Fields};
use noroshi_wire::elements::Element;
use serde_json::{Map, Value};

use super::values::{put, text, time_text};
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::try_add_owned;
use crate::objects::text_of;
use crate::{Feed, FeedError, Input, Report};

/// Members of Interflow's objects.
const INTERFLOW: &[(&str, &str)] = &[
    ("additionalmetadata", "extra.additionalmetadata"),
    ("description", "event_description.text"),
    ("externalid", "malware.name"),
    ("firstreporteddatetime", "time.source"),
    ("hostname", "destination.fqdn"),
    ("ispartnershareable", "extra.ispartnershareable"),
    ("isproductlicensed", "extra.isproductlicensed"),
    ("networkdestinationipv4", "destination.ip"),
    ("networkdestinationport", "destination.port"),
    ("networksourceasn", "source.asn"),
    ("networksourceipv4", "source.ip"),
    ("networksourceport", "source.port"),
    ("severity", "extra.severity"),
    ("tags", "extra.tags"),
    ("tlplevel", "tlp"),
    ("useragent", "extra.user_agent"),
];

/// Members of Azure's objects; those of an object inside follow its name and a dot.
#[rustfmt::skip]
const AZURE: &[(&str, &str)] = &[
    ("CustomInfo.CustomField1", "extra.custom_field1"),
    ("CustomInfo.CustomField2", "extra.custom_field2"),
    ("CustomInfo.CustomField3", "extra.custom_field3"),
    ("CustomInfo.CustomField4", "extra.custom_field4"),
    ("CustomInfo.CustomField5", "extra.custom_field5"),
    ("DestinationIp", "destination.ip"),
    ("DestinationIpInfo.DestinationIpAreaCode", "extra.destination.geolocation.area_code"),
    ("DestinationIpInfo.DestinationIpAsnNumber", "destination.asn"),
    ("DestinationIpInfo.DestinationIpAsnOrgName", "destination.as_name"),
    ("DestinationIpInfo.DestinationIpCity", "destination.geolocation.city"),
    ("DestinationIpInfo.DestinationIpConnectionType", "extra.destination.connection_type"),
    ("DestinationIpInfo.DestinationIpCountryCode", "destination.geolocation.cc"),
    ("DestinationIpInfo.DestinationIpLatitude", "destination.geolocation.latitude"),
    ("DestinationIpInfo.DestinationIpLongitude", "destination.geolocation.longitude"),
    ("DestinationIpInfo.DestinationIpMetroCode", "extra.destination.geolocation.metro_code"),
    ("DestinationIpInfo.DestinationIpPostalCode", "extra.destination.geolocation.postal_code"),
    ("DestinationIpInfo.DestinationIpRegion", "destination.geolocation.region"),
    ("DestinationPort", "destination.port"),
    ("HttpInfo.HttpHost", "extra.http.host"),
    ("HttpInfo.HttpMethod", "extra.http.method"),
    ("HttpInfo.HttpReferrer", "extra.http.referrer"),
    ("HttpInfo.HttpRequest", "extra.http.request"),
    ("HttpInfo.HttpUserAgent", "extra.user_agent"),
    ("HttpInfo.HttpVersion", "extra.http.version"),
    ("Malware", "extra.malware"),
    ("Payload", "extra.payload.text"),
    ("Payload.BCode", "extra.payload.b_code"),
    ("Payload.Custom1", "extra.payload.custom_field1"),
    ("Payload.Custom2", "extra.payload.custom_field2"),
    ("Payload.Custom3", "extra.payload.custom_field3"),
    ("Payload.Custom4", "extra.payload.custom_field4"),
    ("Payload.Custom5", "extra.payload.custom_field5"),
    ("Payload.DestIP", "extra.payload.destination.ip"),
    ("Payload.HTTPHost", "extra.http.host"),
    ("Payload.Length", "extra.payload.length"),
    ("Payload.Protocol", "extra.payload.protocol"),
    ("Payload.Referer", "extra.http_referer"),
    ("Payload.RemoteHost", "extra.payload.remote.host"),
    ("Payload.RemotePort", "extra.payload.remote.port"),
    ("Payload.RequestMethod", "extra.http.method"),
    ("Payload.ServerPort", "extra.payload.server.port"),
    ("Payload.SourceIP", "extra.payload.source.ip"),
    ("Payload.Time", "extra.payload.time"),
    ("Payload.URI", "destination.urlpath"),
    ("Payload.UserAgent", "extra.user_agent"),
    ("Payload.destination_ip", "extra.payload.destination.ip"),
    ("Payload.destination_port", "extra.payload.destination.port"),
    ("Payload.domain", "destination.fqdn"),
    ("Payload.serverIp", "extra.payload.server.ip"),
    ("Payload.serverPort", "extra.payload.server.port"),
    ("Payload.source_ip", "extra.payload.source.ip"),
    ("Payload.source_port", "extra.payload.source.port"),
    ("Payload.type", "protocol.application"),
    ("Signatures.Sha256", "extra.signatures.sha256"),
    ("SourceIp", "source.ip"),
    ("SourceIpInfo.SourceIpAreaCode", "extra.source.geolocation.area_code"),
    ("SourceIpInfo.SourceIpAsnNumber", "source.asn"),
    ("SourceIpInfo.SourceIpAsnOrgName", "source.as_name"),
    ("SourceIpInfo.SourceIpCity", "source.geolocation.city"),
    ("SourceIpInfo.SourceIpConnectionType", "extra.source.connection_type"),
    ("SourceIpInfo.SourceIpCountryCode", "source.geolocation.cc"),
    ("SourceIpInfo.SourceIpLatitude", "source.geolocation.latitude"),
    ("SourceIpInfo.SourceIpLongitude", "source.geolocation.longitude"),
    ("SourceIpInfo.SourceIpMetroCode", "extra.source.geolocation.metro_code"),
    ("SourceIpInfo.SourceIpPostalCode", "extra.source.geolocation.postal_code"),
    ("SourceIpInfo.SourceIpRegion", "source.geolocation.region"),
    ("SourcePort", "source.port"),
    ("SourcedFrom", "event_description.text"),
    ("TLP", "tlp"),
    ("ThreatCode", "malware.name"),
    ("TotalEncounters", "extra.total_encounters"),
];

/// Said twice, or given up by the publisher.
const PASSED_OVER: [&str; 5] = [
    "DateTimeReceivedUtcTxt",
    "DestinationIpInfo.DestinationIpv4Int",
    "SourceIpInfo.SourceIpv4Int",
    "TargetIp",
    "TargetPort",
];

/// Opens either edition. With parameter `overwrite` the events of Azure are of the feed that they name.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let named = report.truth("overwrite", false);
    Ok(by_element(input, move |element, out| record(element, named, out)))
}

fn record(element: &Element, named: bool, out: &mut Out) -> Result<(), String> {
    let Some(object) = element.value.as_object() else { return Err("no object".into()) };
    let mut fields = Fields::default();
    fields.put("classification.type", "infected-system");
    if object.contains_key("indicatorthreattype") || object.contains_key("version") {
        interflow(object, &mut fields)?;
    } else {
        azure(object, &mut fields)?;
        if named {
            put(&mut fields, "feed.name", object.get("DataFeed").unwrap_or(&Value::Null));
        }
    }
    if !fields.has("source.ip") && !fields.has("destination.ip") {
        return Err("no address".into());
    }
    out.event(fields);
    Ok(())
}

fn interflow(object: &Map<String, Value>, fields: &mut Fields<'static>) -> Result<(), String> {
    if object.get("version").and_then(Value::as_f64) != Some(1.5) {
        return Err("not version 1.5 of the format".into());
    }
    if text(object, "indicatorthreattype") != "Botnet" {
        return Err("an indicator of something else than a botnet".into());
    }
    for (name, value) in object {
        match name.as_str() {
            "version" | "indicatorthreattype" | "indicatorexpirationdatetime" => {}
            "confidence" => {
                let confidence = value.as_f64().ok_or("the confidence is no number")?;
                fields.put("feed.accuracy", Datum::Real(confidence));
            }
            "additionalmetadata" if says_nothing(value) => {}
            // The address is sometimes there twice, and zero where there is none.
            "networkdestinationipv4" => {
                let address = text_of(value);
                let address = address.split(',').next().unwrap_or_default().trim();
                if address != "0.0.0.0" {
                    try_add_owned(fields, "destination.ip", address);
                }
            }
            _ => {
                put(fields, &key_of(INTERFLOW, name), value);
            }
        }
    }
    Ok(())
}

/// `[]`, `[""]`, `["null"]` and `[null]`.
fn says_nothing(list: &Value) -> bool {
    match list.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => one.is_null() || one == "" || one == "null",
        _ => false,
    }
}

fn key_of(table: &[(&str, &str)], name: &str) -> String {
    let known = table.iter().find(|(member, _)| *member == name);
    known.map_or_else(|| format!("extra.{}", name.to_lowercase()), |(_, key)| (*key).to_owned())
}

fn azure(object: &Map<String, Value>, fields: &mut Fields<'static>) -> Result<(), String> {
    for (name, value) in object {
        match (name.as_str(), value) {
            ("DataFeed", _) => {}
            ("Payload", Value::String(payload)) => match unpacked(payload) {
                Value::Object(inner) => members(name, &inner, fields),
                other => member(name, &other, fields),
            },
            ("DateTimeReceivedUtc", _) => {
                let at = value.as_i64().and_then(windows_time).ok_or("DateTimeReceivedUtc is no time")?;
                fields.put("time.source", Datum::Time(at));
            }
            ("ThreatConfidence", _) => {
                let accuracy = match value.as_str() {
                    Some("High") => 100.0,
                    Some("Medium") => 50.0,
                    Some("Low") => 20.0,
                    Some("Informational") => 10.0,
                    _ => continue,
                };
                fields.put("feed.accuracy", Datum::Real(accuracy));
            }
            (_, Value::Object(inner)) => members(name, inner, fields),
            _ => member(name, value, fields),
        }
    }
    Ok(())
}

fn members(outer: &str, inner: &Map<String, Value>, fields: &mut Fields<'static>) {
    for (name, value) in inner {
        member(&format!("{outer}.{name}"), value, fields);
    }
}

fn member(name: &str, value: &Value, fields: &mut Fields<'static>) {
    if is_empty(value) || PASSED_OVER.contains(&name) {
        return;
    }
    match name {
        "TLP" if value.as_str().is_some_and(|mark| mark.eq_ignore_ascii_case("yellow")) => {
            fields.put("tlp", "AMBER");
        }
        "Payload.ts" => {
            if let Some(at) = value.as_f64().and_then(|seconds| after(Timestamp::UNIX_EPOCH, seconds)) {
                fields.put("extra.payload.timestamp", time_text(at));
            }
        }
        _ => {
            if name == "Payload.Protocol" {
                let protocol = text_of(value);
                let protocol = protocol.split('/').next().unwrap_or_default();
                try_add_owned(fields, "protocol.application", protocol);
            }
            put(fields, &key_of(AZURE, name), value);
        }
    }
}

/// Empty, zero, no: what the feed writes where it has nothing to say.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(true) => false,
    }
}

/// The payload: an object or a text, in base64 or as it is.
fn unpacked(payload: &str) -> Value {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    if let Ok(object @ Value::Object(_)) = serde_json::from_str(payload) {
        return object;
    }
    let packed: String = payload.split_whitespace().collect();
    match GeneralPurpose::new(&ALPHABET, LENIENT).decode(packed) {
        Ok(bytes) if bytes.iter().all(|b| *b == 0) => Value::Null,
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(object @ Value::Object(_)) => object,
            _ => Value::from(String::from_utf8_lossy(&bytes).into_owned()),
        },
        Err(_) => Value::from(payload),
    }
}

/// The ticks of Windows, 100 ns since 1601. They are made seconds by multiplication as the feed's other readers do, whose
/// last microsecond is then a matter of rounding: the same event must be the same event here.
fn windows_time(ticks: i64) -> Option<Timestamp> {
    let epoch = Timestamp::from_second(-11_644_473_600).ok()?;
    after(epoch, ticks as f64 * 1e-7)
}

/// An instant and seconds, to the microsecond.
fn after(start: Timestamp, seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() || seconds.abs() > 1e12 {
        return None;
    }
    let micros = (seconds.fract() * 1e6).round_ties_even() as i64;
    let span = SignedDuration::from_secs(seconds.trunc() as i64) + SignedDuration::from_micros(micros);
    start.checked_add(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::probe::parsed;

    #[test]
    fn times_are_rounded_as_others_round_them() {
        let shown = |ticks| windows_time(ticks).map(|t| t.to_string()).unwrap_or_default();
        assert_eq!(shown(132_348_340_630_510_000), "2020-05-24T22:47:43.050999Z");
        assert_eq!(shown(132_622_667_720_000_000), "2021-04-07T10:59:32Z");
        assert_eq!(windows_time(i64::MAX), None);
    }

    #[test]
    fn payloads_in_every_dress() {
        assert!(unpacked("AA==").is_null());
        assert_eq!(unpacked("eyJhIjoxfQ"), serde_json::json!({ "a": 1 }));
        assert_eq!(unpacked(r#"{"a":1}"#), serde_json::json!({ "a": 1 }));
        assert_eq!(unpacked("dGhpcw=="), "this");
        assert_eq!(unpacked("no base64!"), "no base64!");
    }

    #[test]
    fn a_bad_object_costs_itself() {
        let text = r#"{"SourceIp": "192.0.2.1", "DateTimeReceivedUtc": 132622667720000000, "TLP": "YELLOW", "New": 1}
{"SourceIp": "192.0.2.1", "DateTimeReceivedUtc": "?"}
{"DestinationIp": "?"}
{"version": 1.5, "indicatorthreattype": "?"}
{"version": 1.5, "indicatorthreattype": "Botnet", "confidence": 20, "networksourceipv4": "192.0.2.1",
 "networkdestinationipv4": "192.0.2.3, 192.0.2.3", "hostname": "192.0.2.3"}"#;
        let got = parsed("microsoft-ctip", text, serde_json::json!({ "overwrite": true }));
        assert_eq!(got.lines(), "[1, 5] bad [2, 3, 4] filtered 0");
        assert_eq!((got.fact(0, "tlp"), got.fact(0, "extra.new")), ("AMBER", "1"));
        assert_eq!((got.fact(1, "destination.ip"), got.fact(1, "destination.fqdn")), ("192.0.2.3", ""));
    }
}
