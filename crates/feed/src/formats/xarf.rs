//! X-ARF, version 4 (JSON, xarf.org) and 3: one report an object, alone, in lines or in an array. What no map can say:
//! the type of abuse is category and type together, `source_identifier` is an address, a name or a link, and what
//! version 4 has at the top lies in version 3 two levels down. Evidence is listed; what of it is text and short is kept
//! as it came, in base64. A report's `_internal` part was never meant to be sent and is dropped.

use noroshi_model::{ClassificationType as Rsit, Datum, Fields};
use serde_json::{Map, Value};

use super::by_element;
use crate::bundle::Bundle;
use crate::convert::{time, try_add_owned};
use crate::objects::text_of;
use crate::{Feed, FeedError, Input, Report};

/// Most fields of a report that are kept beside those we know.
const OTHER_MAX: usize = 128;
/// Most bytes of one piece of evidence, in base64.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;
/// Most pieces of evidence, as the specification has it.
const EVIDENCE_MAX: usize = 50;

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, |element, out| {
        out.event(event(&element.value)?);
        Ok(())
    }))
}

/// Whether a JSON value says that it is such a report.
pub fn is_report(value: &Value) -> bool {
    value.get("xarf_version").is_some() || value.get("Report").is_some_and(Value::is_object)
}

/// The event that a report tells of.
pub fn event(report: &Value) -> Result<Fields<'static>, String> {
    match (report.get("xarf_version").and_then(Value::as_str), report.get("Report")) {
        (Some(version), _) if version.starts_with("4.") || version == "4" => fourth(report),
        (None, Some(Value::Object(inner))) => third(report, inner),
        _ => Err("neither xarf_version 4 nor a Report of version 3".into()),
    }
}

/// Members of version 4 that have a key.
const KEYS: [(&str, &str); 17] = [
    ("source_port", "source.port"),
    ("destination_ip", "destination.ip"),
    ("destination_port", "destination.port"),
    ("target_url", "destination.url"),
    ("url", "source.url"),
    ("infringing_url", "source.url"),
    ("domain", "source.fqdn"),
    ("asn", "source.asn"),
    ("country_code", "source.geolocation.cc"),
    ("malware_family", "malware.name"),
    ("target_brand", "event_description.target"),
    ("description", "event_description.text"),
    ("cve_id", "product.vulnerabilities"),
    ("report_id", "extra.xarf.report_id"),
    ("screenshot_url", "screenshot_url"),
    ("confidence", "extra.xarf.confidence"),
    ("evidence_source", "extra.xarf.evidence_source"),
];

fn fourth(report: &Value) -> Result<Fields<'static>, String> {
    let text = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default().trim();
    let mut fields = Fields::default();
    let at = time(text("timestamp")).ok_or("timestamp is no time")?;
    fields.put("time.source", Datum::Time(at));
    if !identified(&mut fields, "source", text("source_identifier")) {
        return Err("source_identifier is no address, network, host name, link or account".into());
    }
    // Before 4.0 was final the category was called class.
    let category = if text("category").is_empty() { text("class") } else { text("category") };
    classify(&mut fields, report, category, text("type"))?;
    const TAKEN: [&str; 12] = [
        "xarf_version",
        "timestamp",
        "source_identifier",
        "category",
        "class",
        "type",
        "protocol",
        "evidence",
        "reporter",
        "sender",
        "_internal",
        "c2_server",
    ];
    let Some(members) = report.as_object() else { return Err("no object".into()) };
    let mut others = 0;
    for (name, value) in members.iter().filter(|(name, _)| !TAKEN.contains(&name.as_str())) {
        let known = KEYS.iter().find(|(member, _)| member == name).map(|(_, key)| *key);
        // Where the report names its source by link or name already, that stays.
        let free = known.filter(|key| !fields.has(key));
        if free.is_some_and(|key| try_add_owned(&mut fields, key, &text_of(value))) {
            continue;
        }
        if hashes(&mut fields, name, value) || value.is_null() {
            continue;
        }
        others += 1;
        if others <= OTHER_MAX {
            fields.put(format!("extra.xarf.{name}"), value.clone());
        }
    }
    identified(&mut fields, "destination", text("c2_server"));
    protocol(&mut fields, text("protocol"));
    for name in ["reporter", "sender"] {
        if let Some(who @ Value::Object(_)) = report.get(name) {
            fields.put(format!("extra.xarf.{name}"), Datum::Json(who.clone()));
        }
    }
    evidence(&mut fields, report.get("evidence"), ["content_type", "description", "hash", "size", "payload"]);
    Ok(fields)
}

/// Version 3: the same under other names. Two dialects are about: addresses under `Source`, or as `SourceIp`.
fn third(report: &Value, inner: &Map<String, Value>) -> Result<Fields<'static>, String> {
    let text = |path: &str| inner.get(path).and_then(Value::as_str).unwrap_or_default().trim();
    let mut fields = Fields::default();
    let at = time(text("Date")).ok_or("Report.Date is no time")?;
    fields.put("time.source", Datum::Time(at));
    let source = inner.get("Source").unwrap_or(&Value::Null);
    let below = |name: &str| source.get(name).and_then(Value::as_str).unwrap_or_default();
    let texts = [
        below("IP"),
        below("URL"),
        below("Domain"),
        text("SourceIp"),
        text("SourceUrl"),
        text("SourceDomain"),
    ];
    let named = texts.map(|one| identified(&mut fields, "source", one));
    if !named.contains(&true) {
        return Err("Report.Source names no address, link or host".into());
    }
    let port = source.get("Port").or_else(|| inner.get("SourcePort"));
    let more = inner.get("AdditionalInfo").unwrap_or(&Value::Null);
    let either = |name: &str| inner.get(name).or_else(|| more.get(name));
    for (value, key) in [
        (port, "source.port"),
        (either("DestinationIP").or_else(|| either("DestinationIp")), "destination.ip"),
        (either("DestinationPort"), "destination.port"),
        (either("MalwareFamily"), "malware.name"),
        (either("TargetBrand"), "event_description.target"),
    ] {
        if let Some(value) = value {
            try_add_owned(&mut fields, key, &text_of(value));
        }
    }
    let both = |name: &str| either(name).and_then(Value::as_str).unwrap_or_default();
    identified(&mut fields, "destination", both("C2Server"));
    protocol(&mut fields, both("Protocol"));
    // `LoginAttack`, `login-attack` and `login_attack` are one type.
    classify(&mut fields, more, &snake(text("ReportClass")), &snake(text("ReportType")))?;
    for (name, value) in more.as_object().into_iter().flatten().take(OTHER_MAX) {
        fields.put(format!("extra.xarf.{}", snake(name)), value.clone());
    }
    if let Some(who @ Value::Object(_)) = report.get("ReporterInfo") {
        fields.put("extra.xarf.reporter", Datum::Json(who.clone()));
    }
    let attached = inner.get("Attachment").or_else(|| inner.get("Samples"));
    evidence(&mut fields, attached, ["ContentType", "Description", "Hash", "Size", "Data"]);
    Ok(fields)
}

fn snake(text: &str) -> String {
    let mut snake = String::new();
    for (at, c) in text.char_indices() {
        // `LoginAttack` is two words, `DDoS` is one.
        let lower = |c: char| c.is_ascii_lowercase();
        if c.is_ascii_uppercase() && text[..at].ends_with(lower) && text[at + 1..].starts_with(lower) {
            snake.push('_');
        }
        snake.push(if matches!(c, '-' | ' ') { '_' } else { c.to_ascii_lowercase() });
    }
    snake
}

/// Sets whatever `text` identifies an end by.
pub fn identified(fields: &mut Fields<'static>, side: &str, text: &str) -> bool {
    let mut try_key = |key: &str| try_add_owned(fields, &format!("{side}.{key}"), text);
    !text.is_empty()
        && (try_key("ip")
            || try_key("network")
            || text.contains("://") && try_key("url")
            || text.contains('@') && try_key("account")
            || try_key("fqdn"))
}

/// A protocol is a transport, or runs over one.
pub fn protocol(fields: &mut Fields<'static>, text: &str) {
    let transport = ["tcp", "udp", "icmp", "icmpv6", "sctp"].iter().any(|t| text.eq_ignore_ascii_case(t));
    try_add_owned(fields, if transport { "protocol.transport" } else { "protocol.application" }, text);
}

fn classify(fields: &mut Fields<'static>, report: &Value, category: &str, kind: &str) -> Result<(), String> {
    if category.is_empty() || kind.is_empty() {
        return Err("no category and type".into());
    }
    let says = |name: &str, one: &[&str]| {
        report.get(name).and_then(Value::as_str).is_some_and(|value| one.contains(&value))
    };
    let rsit = match rsit_of(category, kind) {
        // Crawlers that say who they are run where they are meant to.
        Rsit::InfectedSystem if says("bot_type", &["search_engine", "ai_agent", "monitoring"]) => Rsit::Other,
        Rsit::SystemCompromise if says("compromise_type", &["defacement"]) => {
            Rsit::UnauthorisedInformationModification
        }
        rsit => rsit,
    };
    fields.put("classification.type", rsit.id());
    fields.put("classification.taxonomy", rsit.taxonomy());
    fields.put("classification.identifier", kind.to_ascii_lowercase().replace('_', "-"));
    fields.put("extra.xarf.category", category.to_ascii_lowercase());
    Ok(())
}

/// The RSIT type of a type in a category, however its words are joined. Types are added to the standard faster than to this table, so a type that is
/// not in it is what most of its category are.
pub fn rsit_of(category: &str, kind: &str) -> Rsit {
    let joined: String = kind.chars().filter(char::is_ascii_alphanumeric).collect();
    match joined.to_ascii_lowercase().as_str() {
        "spam" | "bulkmessaging" | "spamvertised" => Rsit::Spam,
        "phishing" => Rsit::Phishing,
        "malware" | "malwaredistribution" | "malwareattack" => Rsit::MalwareDistribution,
        "fraud" | "brandinfringement" | "socialengineering" | "scam" => Rsit::Masquerade,
        "csam" | "csem" => Rsit::Violence,
        "exposeddata" => Rsit::DataLeak,
        "remotecompromise" | "compromisedserver" | "compromisedwebsite" => Rsit::SystemCompromise,
        "webhack" => Rsit::ApplicationCompromise,
        "defacement" => Rsit::UnauthorisedInformationModification,
        "compromisedaccount" => Rsit::UnprivilegedAccountCompromise,
        "copyright" | "trademark" => Rsit::Copyright,
        "loginattack" | "authfailure" | "bruteforce" => Rsit::BruteForce,
        "portscan" | "vulnerabilityscan" | "vulnscanning" | "reconnaissance" | "scraping" => Rsit::Scanner,
        "ddos" | "ddosamplification" => Rsit::Ddos,
        "dos" => Rsit::Dos,
        "sqlinjection" | "exploit" | "webattack" | "serverattack" => Rsit::Exploit,
        "bot" | "botnet" | "infectedhost" | "infectedsystem" => Rsit::InfectedSystem,
        "cve" => Rsit::VulnerableSystem,
        "open" | "openservice" => Rsit::PotentiallyUnwantedAccessible,
        "misconfiguration" => Rsit::Misconfiguration,
        "sslfreak" | "sslpoodle" => Rsit::WeakCrypto,
        "blocklist" | "threatintelligence" => Rsit::Blacklist,
        _ => match category {
            "messaging" => Rsit::Spam,
            "copyright" => Rsit::Copyright,
            "vulnerability" => Rsit::VulnerableSystem,
            "infrastructure" => Rsit::SystemCompromise,
            "reputation" => Rsit::Blacklist,
            _ => Rsit::Undetermined,
        },
    }
}

/// Hashes of files: `"file_hash": "sha256:…"`, or an object of them.
fn hashes(fields: &mut Fields<'static>, name: &str, value: &Value) -> bool {
    let mut one = |algorithm: &str, hex: &str| {
        let key = match algorithm {
            "md5" | "sha1" | "sha256" => format!("malware.hash.{algorithm}"),
            _ => return false,
        };
        hex.bytes().all(|b| b.is_ascii_hexdigit()) && try_add_owned(fields, &key, hex)
    };
    match (name, value) {
        ("file_hash", Value::String(text)) => {
            text.split_once(':').is_some_and(|(algorithm, hex)| one(algorithm, hex))
        }
        ("file_hashes", Value::Object(all)) => {
            // An algorithm without a key leaves the whole object where it was.
            let known =
                |(algorithm, hex): (&String, &Value)| hex.as_str().is_some_and(|hex| one(algorithm, hex));
            all.iter().map(known).fold(true, |all, known| all & known)
        }
        _ => false,
    }
}

/// Lists the evidence: type, description, hash and size of each piece, and the piece itself where it is short text.
fn evidence(fields: &mut Fields<'static>, list: Option<&Value>, names: [&str; 5]) {
    let Some(Value::Array(pieces)) = list else { return };
    let listed = pieces.iter().take(EVIDENCE_MAX).map(|piece| {
        let mut kept = Map::new();
        for (name, plain) in names.iter().zip(["content_type", "description", "hash", "size", "payload"]) {
            let Some(value) = piece.get(name) else { continue };
            let bytes = value.as_str().map_or(0, str::len);
            let kind = piece.get(names[0]).and_then(Value::as_str).unwrap_or_default();
            let wanted = match plain {
                "payload" => kind.starts_with("text/") && bytes <= PAYLOAD_BYTES_MAX,
                _ => bytes <= 1024 && !value.is_object() && !value.is_array(),
            };
            if wanted {
                kept.insert(plain.to_owned(), value.clone());
            } else if plain == "payload" {
                kept.insert("payload_left_out_bytes".to_owned(), bytes.into());
            }
        }
        Value::Object(kept)
    });
    let listed: Vec<Value> = listed.collect();
    if !listed.is_empty() {
        fields.put("extra.xarf.evidence", Datum::Json(listed.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_report_must_have() {
        let good = json!({"xarf_version": "4.2.0", "timestamp": "2026-01-01T00:00:00Z", "category": "connection",
            "source_identifier": "2001:db8::1", "type": "login_attack", "_internal": {"ticket": 1},
            "protocol": "ssh", "novel": [1], "evidence": [{"content_type": "image/png", "payload": "AAAA"}]});
        let fields = event(&good).unwrap();
        assert_eq!(fields.get("classification.type").and_then(Datum::text), Some("brute-force"));
        assert_eq!(fields.get("protocol.application").and_then(Datum::text), Some("ssh"));
        assert!(fields.has("extra.xarf.novel") && !fields.has("extra.xarf._internal"));
        let listed = json!([{"content_type": "image/png", "payload_left_out_bytes": 4}]);
        assert_eq!(fields.get("extra.xarf.evidence"), Some(&Datum::Json(listed)));
        for name in ["timestamp", "source_identifier", "type", "xarf_version", "category"] {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().remove(name);
            assert!(event(&bad).is_err(), "{name}");
        }
        assert!(event(&json!(7)).is_err() && event(&json!({"xarf_version": "5.0.0"})).is_err());
    }

    #[test]
    fn names_of_types_in_version_3() {
        assert_eq!(snake("LoginAttack"), "login_attack");
        assert_eq!(snake("login-attack"), "login_attack");
        assert_eq!(snake("DDoS"), "ddos");
        assert_eq!(rsit_of("activity", "Login-Attack"), Rsit::BruteForce);
        assert_eq!(rsit_of("content", "novel"), Rsit::Undetermined);
    }
}
