//! AnubisNetworks' Cyberfeed, JSON objects of two generations. Code, because a member's meaning depends on where it stands:
//! an address is described beside it, and where that describes the source its parts are keys, elsewhere `extra.`.

use noroshi_model::{Datum, Fields};
use serde_json::{Map, Value};

use super::by_element;
use super::intelmq::{member, put_json, try_json};
use crate::bundle::Bundle;
use crate::convert::epoch;
use crate::kind::is_known;
use crate::{Feed, FeedError, Input, Report};

/// Members of the feed and their keys. What is refused where it does not fit the key is the source's address and port.
const MEMBERS: [(&str, &str); 38] = [
    ("/trojanfamily", "malware.name"),
    ("/env/remote_addr", "source.ip"),
    ("/env/remote_port", "source.port"),
    ("/env/server_addr", "destination.ip"),
    ("/env/server_port", "destination.port"),
    ("/env/server_name", "destination.fqdn"),
    ("/env/request_method", "extra.request_method"),
    ("/env/cookies", "extra.cookies"),
    ("/env/path_info", "extra.path_info"),
    ("/env/http_referer", "extra.http_referer"),
    ("/src/ip", "source.ip"),
    ("/src/port", "source.port"),
    ("/dst/ip", "destination.ip"),
    ("/dst/port", "destination.port"),
    ("/qtype", "extra.dns_query_type"),
    ("/app_proto", "protocol.application"),
    ("/malw/severity", "extra.malware.severity"),
    ("/malw/variant", "malware.name"),
    ("/malw/categories", "extra.malware.categories"),
    ("/comm/proto", "protocol.application"),
    ("/comm/method", "extra.communication.type"),
    ("/comm/http/method", "extra.request_method"),
    ("/comm/http/path", "destination.urlpath"),
    ("/comm/http/user_agent", "extra.user_agent"),
    ("/comm/http/more_headers", "extra.communication.headers"),
    ("/comm/http/cookies", "extra.communication.cookies"),
    ("/comm/http/unverified_domain", "extra.communication.unverified_domain"),
    ("/comm/http/x_forwarded_for", "extra.communication.x_forwarded_for"),
    ("/comm/dns/name", "destination.fqdn"),
    ("/comm/dns/qtype", "extra.dns_query_type"),
    ("/tracking/last_ip", "extra.tracking.last.ip"),
    ("/tracking/first", "extra.first_seen"),
    ("/tracking/seen", "extra.last_seen"),
    ("/tracking/days", "extra.days_seen"),
    ("/_origin", "extra._origin"),
    ("/_provider", "extra._provider"),
    ("/pattern_verified", "extra.pattern_verified"),
    ("/malw/request_method", "extra.request_method"),
];

/// Opens a report.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    // The name is IntelMQ's, as it is spelt there.
    let family_identifies = report.truth("use_malware_familiy_as_classification_identifier", true);
    Ok(by_element(input, move |element, out| {
        let object = element.value.as_object().ok_or("no object")?;
        let fields = event(&element.value, object, family_identifies)?;
        // The publisher's own test of the feed.
        if fields.get("malware.name").and_then(Datum::text) == Some("testsinkholingloss") {
            out.filter();
        } else {
            out.event(fields);
        }
        Ok(())
    }))
}

fn event(
    value: &Value,
    object: &Map<String, Value>,
    family_identifies: bool,
) -> Result<Fields<'static>, String> {
    let mut fields = Fields::with_capacity(32);
    fields.put("classification.type", "infected-system");
    fields.put("classification.taxonomy", "malicious-code");
    fields.put("event_description.text", "Sinkhole attempted connection");
    if let Some(time) = epoch(&member(object, "_ts")) {
        fields.put("time.source", Datum::Time(time));
    }
    for (path, key) in MEMBERS {
        let Some(found) = value.pointer(path) else { continue };
        match key {
            "source.ip" | "source.port" => put_json(&mut fields, key, found)?,
            _ => drop(try_json(&mut fields, key, found)),
        }
    }
    for (path, prefix) in [("/metadata", "extra.metadata."), ("/tracking", "extra.tracking.")] {
        for (name, found) in value.pointer(path).and_then(Value::as_object).into_iter().flatten() {
            if !matches!(name.as_str(), "last_ip" | "first" | "seen" | "days") {
                try_json(&mut fields, &format!("{prefix}{name}"), found);
            }
        }
    }
    family(value, family_identifies, &mut fields);
    host(value, &mut fields);
    for (name, found) in object.iter().filter(|(name, _)| name.starts_with("_geo_")) {
        if let Some(place) = found.as_object() {
            // The older generation says no more of the source than there are keys for.
            geo(&about(name), name != "_geo_env_remote_addr", place, &mut fields);
        }
    }
    Ok(fields)
}

fn family(value: &Value, identifies: bool, fields: &mut Fields<'static>) {
    let Some(family) = value.pointer("/malw/family") else { return };
    if identifies {
        try_json(fields, "classification.identifier", family);
    } else if value.pointer("/malw/variant") != Some(family) {
        try_json(fields, "extra.malware.family", family);
    }
}

/// The host that was asked for: a name, the destination's address again, or another address.
fn host(value: &Value, fields: &mut Fields<'static>) {
    let Some(host) = value.pointer("/comm/http/host") else { return };
    if !try_json(fields, "destination.fqdn", host) && Some(host) != value.pointer("/dst/ip") {
        try_json(fields, "extra.communication.http_host", host);
    }
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    if let (Some(protocol), Some(host), Some(path)) =
        (text("/comm/proto"), text("/comm/http/host"), text("/comm/http/path"))
    {
        try_json(fields, "destination.url", &format!("{protocol}://{host}{path}").into());
    }
}

/// What a description is of, as the beginning of keys.
fn about(name: &str) -> String {
    match name {
        "_geo_env_remote_addr" | "_geo_src_ip" => "source".to_owned(),
        "_geo_tracking_last_ip" => "tracking.last".to_owned(),
        "_geo_comm_http_host" => "communication.http.host".to_owned(),
        _ => {
            let rest = name.trim_start_matches("_geo_").replace('#', "");
            match rest.strip_prefix("comm_http_") {
                Some(rest) => format!("communication.http.{rest}"),
                None => rest,
            }
        }
    }
}

fn geo(about: &str, whole: bool, place: &Map<String, Value>, fields: &mut Fields<'static>) {
    for (name, found) in place {
        let part = match name.as_str() {
            "ip" | "path" => continue,
            "netmask" => "network",
            "country_code" => "geolocation.cc",
            "country_name" => "geolocation.country",
            "asn" => "asn",
            "asn_name" => "as_name",
            _ => &format!("geolocation.{name}"),
        };
        let key = format!("{about}.{part}");
        let key = match is_known(&key) {
            true => key,
            false if whole => format!("extra.{key}"),
            false => continue,
        };
        if name == "netmask" {
            let network = format!("{}/{}", member(place, "ip"), member(place, "netmask"));
            // Where the address is not given there is no network either.
            if !network.starts_with('/') {
                try_json(fields, &key, &network.into());
            }
        } else {
            try_json(fields, &key, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::read;

    #[test]
    fn tests_of_the_publisher_hosts_and_bad_objects() {
        let text = [
            json!({"_ts": 1_586_319_917, "malw": {"variant": "TestSinkholingLoss"}}),
            json!({"_ts": 1_586_319_917, "src": {"ip": "nowhere"}}),
            json!({"_ts": 1_586_319_917, "src": {"ip": "192.0.2.1"}, "dst": {"ip": "192.0.2.2"},
                "comm": {"proto": "http", "http": {"host": "192.0.2.3", "path": "/"}},
                "malw": {"family": "a", "variant": "b"}, "_geo_src_ip": {"ip": "192.0.2.1", "netmask": 24, "new": 1}}),
        ];
        let text: String = text.iter().map(|value| format!("{value}\n")).collect();
        let params = json!({"use_malware_familiy_as_classification_identifier": false});
        let got = read("anubisnetworks", params, &text);
        assert_eq!((got.filtered, got.bad.len()), (1, 1));
        assert_eq!(
            got.events,
            [json!({"classification.taxonomy": "malicious-code", "classification.type": "infected-system",
                "destination.ip": "192.0.2.2", "destination.url": "http://192.0.2.3/", "destination.urlpath": "/",
                "event_description.text": "Sinkhole attempted connection", "extra.communication.http_host": "192.0.2.3",
                "extra.malware.family": "a", "extra.source.geolocation.new": 1, "malware.name": "b",
                "protocol.application": "http", "source.ip": "192.0.2.1", "source.network": "192.0.2.0/24",
                "time.source": "2020-04-08T04:25:17Z"})]
        );
    }
}
