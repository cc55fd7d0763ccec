//! Events as STIX 2.1 observed data (OASIS Standard, 10 June 2021): what was seen, as objects of their own, and one
//! observed-data object that says when it was and how often.
//!
//! ```text
//!   event ──▶ ipv4-addr ─belongs-to─▶ autonomous-system      ┐
//!             domain-name, url, file, x509-certificate, …    ├─ object_refs ── observed-data ── TLP marking
//!             network-traffic (src_ref, dst_ref, ports)      ┘
//! ```
//!
//! Every id is a hash. Those of observables are the ones section 2.9 prescribes, so that an address has the same id
//! whoever saw it; ours are of the event's id, so that an event exported twice is the same object twice. An event in which
//! nothing can be named by an observable has no STIX form, and the caller is told so.

use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_model::{ClassificationType, Tlp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The media type of STIX over HTTP.
pub const MEDIA_TYPE: &str = "application/stix+json;version=2.1";
/// The namespace of observables' ids (section 2.9).
const OBSERVABLES: Uuid = Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7);
/// Ours: the other one may be used for nothing but observables.
const OURS: Uuid = Uuid::from_u128(0x1e88_01e3_a2d5_4931_809c_d94f_d62d_415d);
/// The extension that TLP 2.0 marks are written as.
const TLP_EXTENSION: &str = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d";
/// Most times an observed-data object can say something was seen.
const OBSERVED_MAX: i64 = 999_999_999;
/// Longest text taken into an object, in characters; longer values of an event are left out of it.
const TEXT_CHARS_MAX: usize = 4096;
/// How many of a file's or certificate's hashes count, in the order in which one of them makes the id.
const HASHES: [(&str, usize); 4] = [("MD5", 32), ("SHA-1", 40), ("SHA-256", 64), ("SHA-512", 128)];

type Flat = Map<String, Value>;

/// An event's objects, those referred to first; `None` where there is nothing to refer to.
pub fn objects(id: &[u8; 16], event: &Flat) -> Option<Vec<Value>> {
    let seen = Seen::of(event)?;
    let mut made = Made { seen: &seen, own: Uuid::new_v5(&OURS, id), objects: Vec::new(), refs: Vec::new() };
    made.mark(event);
    let ends = ["source", "destination"].map(|end| made.end(event, end));
    made.traffic(event, &ends);
    let names = ["malware.hash.md5", "malware.hash.sha1", "malware.hash.sha256", "malware.hash.sha512"];
    if let Some((all, first)) = hashes(event, &names) {
        made.observable("file", &json!({ "hashes": first }), json!({ "hashes": all }));
    }
    made.certificate(event);
    made.observed(id, event)
}

/// A bundle's beginning: what comes after is its objects, between commas, and [`BUNDLE_END`].
pub fn bundle_begin(name: &str) -> String {
    format!("{{\"type\":\"bundle\",\"id\":\"bundle--{}\",\"objects\":[", Uuid::new_v5(&OURS, name.as_bytes()))
}

/// A bundle's end.
pub const BUNDLE_END: &str = "]}";

/// When and how often an event was seen, as STIX writes times.
struct Seen {
    first: String,
    last: String,
    /// When it was read here: observed data is made when we hear of it.
    made: String,
    times: i64,
}

impl Seen {
    fn of(event: &Flat) -> Option<Self> {
        let time = |key: &str| event.get(key)?.as_str()?.parse::<Timestamp>().ok();
        let first = time("time.source").or_else(|| time("time.observation"))?;
        let made = time("time.observation").unwrap_or(first);
        // Feeds that aggregate say until when and how often.
        let last = time("extra.last_seen").filter(|last| *last > first).unwrap_or(first);
        let times = event.get("extra.count").and_then(Value::as_i64).unwrap_or(1).clamp(1, OBSERVED_MAX);
        Some(Self { first: stamp(first), last: stamp(last), made: stamp(made), times })
    }
}

/// Milliseconds, always three digits of them, as created and modified must have.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The objects of one event so far.
struct Made<'a> {
    seen: &'a Seen,
    own: Uuid,
    objects: Vec<Value>,
    /// What the observed-data object refers to.
    refs: Vec<String>,
}

/// One end of what was seen.
#[derive(Default)]
struct End {
    /// The object that stands for it in traffic: its address, or else its name.
    object: Option<String>,
    v6: bool,
    port: Option<u64>,
}

impl Made<'_> {
    fn mark(&mut self, event: &Flat) {
        if let Some((_, name, id)) = tlp(event) {
            self.objects.push(json!({
                "type": "marking-definition", "spec_version": "2.1", "id": id, "created": "2022-10-01T00:00:00.000Z",
                "name": format!("TLP:{}", name.to_uppercase()),
                "extensions": { TLP_EXTENSION: { "extension_type": "property-extension", "tlp_2_0": name } },
            }));
        }
    }

    /// Adds an observable once; `naming` holds the properties that make its id.
    fn observable(&mut self, kind: &str, naming: &Value, properties: Value) -> String {
        // Canonical JSON of texts and small numbers cannot fail.
        let canonical = serde_json_canonicalizer::to_vec(naming).unwrap_or_default();
        let id = format!("{kind}--{}", Uuid::new_v5(&OBSERVABLES, &canonical));
        if !self.refs.contains(&id) {
            let mut object = json!({ "type": kind, "spec_version": "2.1", "id": id });
            if let (Value::Object(object), Value::Object(properties)) = (&mut object, properties) {
                object.extend(properties);
            }
            self.objects.push(object);
            self.refs.push(id.clone());
        }
        id
    }

    fn value(&mut self, kind: &str, value: &str) -> String {
        self.observable(kind, &json!({ "value": value }), json!({ "value": value }))
    }

    /// A relationship of two observables, as of this event.
    fn relationship(&mut self, kind: &str, from: &str, to: &str) {
        let id = Uuid::new_v5(&self.own, format!("{from} {kind} {to}").as_bytes());
        let id = format!("relationship--{id}");
        let made = &self.seen.made;
        self.objects.push(json!({
            "type": "relationship", "spec_version": "2.1", "id": id, "created": made, "modified": made,
            "relationship_type": kind, "source_ref": from, "target_ref": to,
        }));
        self.refs.push(id);
    }

    fn end(&mut self, event: &Flat, end: &str) -> End {
        let get = |field: &str| event.get(&format!("{end}.{field}"));
        let field =
            |name: &str| get(name).and_then(Value::as_str).filter(|v| v.chars().count() <= TEXT_CHARS_MAX);
        // An IPv4 address in an IPv6 notation is the IPv4 address.
        let ip: Option<IpAddr> =
            field("ip").and_then(|ip| ip.parse().ok()).map(|ip: IpAddr| ip.to_canonical());
        let mut known = End {
            port: get("port").and_then(Value::as_u64).filter(|port| *port <= u16::MAX.into()),
            ..End::default()
        };
        if let Some(ip) = ip {
            known.v6 = ip.is_ipv6();
            let kind = if known.v6 { "ipv6-addr" } else { "ipv4-addr" };
            known.object = Some(self.value(kind, &ip.to_string()));
        }
        if let Some(number) = get("asn").and_then(Value::as_u64).filter(|n| *n <= u32::MAX.into()) {
            let mut properties = json!({ "number": number });
            if let Some(name) = field("as_name") {
                properties["name"] = name.into();
            }
            let asn = self.observable("autonomous-system", &json!({ "number": number }), properties);
            if let Some(ip) = &known.object {
                self.relationship("belongs-to", &ip.clone(), &asn);
            }
        }
        for name in ["fqdn", "reverse_dns"] {
            let Some(name) = field(name).filter(|name| is_host_name(name)) else { continue };
            let name = self.value("domain-name", &name.to_lowercase());
            match &known.object {
                Some(ip) if ip.starts_with("ip") => self.relationship("resolves-to", &name, &ip.clone()),
                _ => known.object = Some(name),
            }
        }
        if let Some(url) = field("url").filter(|url| is_uri(url)) {
            self.value("url", url);
        }
        if let Some(account) = field("account").filter(|account| is_mail_address(account)) {
            self.value("email-addr", account);
        }
        known
    }

    /// What went between the ends: where both are known, or a port is.
    fn traffic(&mut self, event: &Flat, [from, to]: &[End; 2]) {
        let said = from.port.is_some() || to.port.is_some() || (from.object.is_some() && to.object.is_some());
        if !said || (from.object.is_none() && to.object.is_none()) {
            return;
        }
        let addresses =
            [from, to].into_iter().filter(|end| end.object.as_ref().is_some_and(|o| o.starts_with("ip")));
        let mut protocols: Vec<String> = Vec::new();
        for end in addresses {
            let name = if end.v6 { "ipv6" } else { "ipv4" };
            if !protocols.iter().any(|p| p == name) {
                protocols.push(name.to_owned());
            }
        }
        for key in ["protocol.transport", "protocol.application"] {
            let name =
                event.get(key).and_then(Value::as_str).filter(|name| name.len() <= 64 && !name.is_empty());
            protocols.extend(name.map(str::to_lowercase));
        }
        if protocols.is_empty() {
            // A name at each end, and a port: something spoke over the Internet.
            protocols.push("ip".to_owned());
        }
        let mut traffic = json!({ "protocols": protocols });
        for (key, value) in [("src_ref", &from.object), ("dst_ref", &to.object)] {
            if let Some(value) = value {
                traffic[key] = value.clone().into();
            }
        }
        for (key, value) in [("src_port", from.port), ("dst_port", to.port)] {
            if let Some(value) = value {
                traffic[key] = value.into();
            }
        }
        self.observable("network-traffic", &traffic.clone(), traffic);
    }

    /// The certificate a scan found, by its fingerprints.
    fn certificate(&mut self, event: &Flat) {
        let names = [
            "extra.md5_fingerprint",
            "extra.sha1_fingerprint",
            "extra.sha256_fingerprint",
            "extra.sha512_fingerprint",
        ];
        let Some((all, first)) = hashes(event, &names) else { return };
        let (mut naming, mut properties) = (json!({ "hashes": first }), json!({ "hashes": all }));
        let text = |key: &str| event.get(key).and_then(Value::as_str).filter(|v| v.len() <= TEXT_CHARS_MAX);
        if let Some(serial) = text("extra.cert_serial_number") {
            naming["serial_number"] = serial.into();
            properties["serial_number"] = serial.into();
        }
        for (property, key) in
            [("issuer", "extra.issuer_common_name"), ("subject", "extra.subject_common_name")]
        {
            if let Some(name) = text(key) {
                properties[property] = format!("CN={name}").into();
            }
        }
        self.observable("x509-certificate", &naming, properties);
    }

    /// The observed-data object behind all the others.
    fn observed(mut self, id: &[u8; 16], event: &Flat) -> Option<Vec<Value>> {
        if self.refs.is_empty() {
            return None;
        }
        let seen = self.seen;
        let mut observed = json!({
            "type": "observed-data", "spec_version": "2.1", "id": format!("observed-data--{}", self.own),
            "created": seen.made, "modified": seen.made, "first_observed": seen.first, "last_observed": seen.last,
            "number_observed": seen.times, "object_refs": self.refs,
            "external_references": [{
                "source_name": text(event, "feed.name").unwrap_or("noroshi"),
                "external_id": id.iter().map(|b| format!("{b:02x}")).collect::<String>(),
            }],
        });
        let labels = labels(event);
        if !labels.is_empty() {
            observed["labels"] = labels.into();
        }
        let confidence = ["extra.noroshi.confidence", "feed.accuracy"];
        if let Some(percent) = confidence.iter().find_map(|key| event.get(*key)?.as_f64()) {
            // Rounded and within bounds, so the cast is exact.
            observed["confidence"] = (percent.clamp(0.0, 100.0).round() as i64).into();
        }
        if let Some((_, _, mark)) = tlp(event) {
            observed["object_marking_refs"] = json!([mark]);
        }
        self.objects.push(observed);
        Some(self.objects)
    }
}

fn text<'a>(event: &'a Flat, key: &str) -> Option<&'a str> {
    event.get(key)?.as_str().filter(|text| !text.is_empty() && text.chars().count() <= TEXT_CHARS_MAX)
}

/// What it was, as machine tags: `rsit:malicious-code="infected-system"`, `malware:mirai`.
fn labels(event: &Flat) -> Vec<String> {
    let mut labels = Vec::new();
    if let Some(kind) = text(event, "classification.type").and_then(ClassificationType::parse) {
        labels.push(format!("rsit:{}=\"{}\"", kind.taxonomy(), kind.id()));
    }
    labels.extend(text(event, "malware.name").map(|name| format!("malware:{name}")));
    labels
}

/// The event's mark: the label, its name in the extension, and the id of its definition.
fn tlp(event: &Flat) -> Option<(Tlp, &'static str, &'static str)> {
    let said = event.get("tlp")?.as_str()?.trim();
    let said = said.strip_prefix("TLP:").unwrap_or(said).to_uppercase();
    let tlp: Tlp = serde_json::from_value(said.into()).ok()?;
    Some(match tlp {
        Tlp::Clear => (tlp, "clear", "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"),
        Tlp::Green => (tlp, "green", "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"),
        Tlp::Amber => (tlp, "amber", "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"),
        Tlp::AmberStrict => (tlp, "amber+strict", "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"),
        Tlp::Red => (tlp, "red", "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"),
    })
}

/// The hashes that are well formed, all of them and the one that makes the id.
fn hashes(event: &Flat, keys: &[&str; 4]) -> Option<(Value, Value)> {
    let mut all = Map::new();
    let mut first = None;
    for ((name, digits), key) in HASHES.iter().zip(keys) {
        let Some(said) = event.get(*key).and_then(Value::as_str).filter(|v| v.len() <= TEXT_CHARS_MAX) else {
            continue;
        };
        // Fingerprints are often written with colons.
        let hash: String = said.chars().filter(|c| *c != ':' && *c != ' ').collect::<String>().to_lowercase();
        if hash.len() == *digits && hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            first.get_or_insert_with(|| json!({ *name: hash }));
            all.insert((*name).to_owned(), hash.into());
        }
    }
    Some((all.into(), first?))
}

/// A host name of letters, digits, hyphens and dots, in labels of 1 to 63; underscores occur in names of services.
fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.chars().count())
                && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        })
}

/// An absolute URI as RFC 3986 writes it: a scheme, and no character that it would have to be escaped for.
fn is_uri(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let allowed = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(plain)
        && !rest.is_empty()
        && rest.bytes().all(allowed)
}

fn is_mail_address(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b))
    };
    text.len() <= 254
        && text.split_once('@').is_some_and(|(local, domain)| {
            plain(local)
                && is_host_name(domain)
                && domain.contains('.')
                && !local.starts_with('.')
                && !local.ends_with('.')
                && !local.contains("..")
        })
}
