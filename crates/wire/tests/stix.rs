//! STIX as others check it: ids against those of the reference library (python-stix2 3.0), objects against the JSON
//! schemas of OASIS where `NOROSHI_TEST_SHARED_DATA` says they lie.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::io::Read as _;
use std::path::Path;

use jsonschema::{Registry, Validator};
use noroshi_wire::out::stix::{BUNDLE_END, bundle_begin, objects};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const ID: [u8; 16] = [7; 16];

fn made(event: &Value) -> Vec<Value> {
    objects(&ID, event.as_object().unwrap()).unwrap()
}

fn of<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["type"] == kind).collect()
}

/// An event with everything there is a form for.
fn full() -> Value {
    json!({
        "time.source": "2026-11-20T03:12:00Z", "time.observation": "2026-11-20T05:00:00.25Z",
        "source.ip": "198.51.100.3", "source.port": 1024, "source.asn": 64500, "source.as_name": "Example",
        "source.reverse_dns": "Host.Example.com", "source.account": "a@example.com",
        "destination.ip": "192.0.2.9", "destination.port": 80, "destination.fqdn": "xn--d1acpjx3f.example",
        "destination.url": "http://example.com/a?b=1", "protocol.transport": "tcp", "protocol.application": "http",
        "malware.name": "mirai", "malware.hash.md5": "0".repeat(32), "malware.hash.sha256": "1".repeat(64),
        "extra.sha1_fingerprint": vec!["AA"; 20].join(":"), "extra.cert_serial_number": "12",
        "extra.issuer_common_name": "Example CA", "extra.count": 3, "extra.last_seen": "2026-11-20T04:00:00Z",
        "classification.type": "infected-system", "classification.taxonomy": "malicious-code",
        "feed.name": "sinkhole", "feed.accuracy": 80.0, "tlp": "AMBER", "extra.noroshi.confidence": 40.0,
    })
}

#[test]
fn observables_have_the_ids_that_the_reference_library_gives_them() {
    let objects = made(&full());
    let ids: Vec<&str> = objects.iter().filter_map(|object| object["id"].as_str()).collect();
    for id in [
        "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4",
        "domain-name--c9bfcd58-d978-5f62-97af-baad596cf19b",
        "autonomous-system--0a5f7072-df00-5729-9f0a-4eb18631a446",
        "network-traffic--3d6aafed-bc53-58d3-a58e-1e12a5aa401f",
        "file--8a2a4dcd-2010-5df6-8576-69f6e8694b40",
        "x509-certificate--343ac4d8-673d-5078-a6af-a16bb4a90308",
        "email-addr--8f5f7fba-cc24-5e3f-aca4-f7194112e042",
    ] {
        assert!(ids.contains(&id), "{id} is not among {ids:?}");
    }
    let v6 = made(&json!({ "time.source": "2026-11-20T03:12:00Z", "source.ip": "2001:db8::7" }));
    assert_eq!(v6[0]["id"], "ipv6-addr--9ed76cd5-ab3b-55a5-b6ec-b55c3efb0be2");
    let mapped = made(&json!({ "time.source": "2026-11-20T03:12:00Z", "source.ip": "::ffff:198.51.100.3" }));
    assert_eq!(mapped[0]["id"], "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4");
}

#[test]
fn observed_data_says_when_how_often_and_to_whom_it_may_be_told() {
    let objects = made(&full());
    let observed = objects.last().unwrap();
    assert_eq!(observed["type"], "observed-data");
    assert_eq!(observed["first_observed"], "2026-11-20T03:12:00.000Z");
    assert_eq!(observed["last_observed"], "2026-11-20T04:00:00.000Z");
    assert_eq!(observed["created"], "2026-11-20T05:00:00.250Z");
    assert_eq!((&observed["number_observed"], &observed["confidence"]), (&json!(3), &json!(40)));
    assert_eq!(observed["labels"], json!(["rsit:malicious-code=\"infected-system\"", "malware:mirai"]));
    assert_eq!(
        observed["object_marking_refs"],
        json!(["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"])
    );
    // Everything referred to is there, and every reference between the objects too.
    let ids: Vec<&Value> = objects.iter().map(|object| &object["id"]).collect();
    for reference in observed["object_refs"].as_array().unwrap() {
        assert!(ids.contains(&reference), "{reference} is nowhere");
    }
    for relationship in of(&objects, "relationship") {
        assert!(ids.contains(&&relationship["source_ref"]) && ids.contains(&&relationship["target_ref"]));
    }
    assert_eq!(of(&objects, "relationship").len(), 3, "to the network, and from two names");
    let again = made(&full());
    assert_eq!(objects, again, "exported twice is the same twice");
}

#[test]
fn what_cannot_be_named_by_an_observable_has_no_form() {
    let none = |event: Value| assert!(objects(&ID, event.as_object().unwrap()).is_none(), "{event}");
    none(json!({ "time.source": "2026-11-20T03:12:00Z", "feed.name": "x" }));
    none(json!({ "source.ip": "192.0.2.1" }));
    none(
        json!({ "time.source": "2026-11-20T03:12:00Z", "malware.hash.md5": "no hash", "source.url": "no url" }),
    );
}

#[test]
fn objects_hold_against_the_schemas_of_oasis() {
    let Some(schemas) = Schemas::shared() else { return };
    let mut events = vec![full()];
    let at = "2026-11-20T03:12:00Z";
    for (tlp, port) in [("CLEAR", 0), ("GREEN", 1), ("AMBER+STRICT", 65535), ("TLP:RED", 9), ("white", 2)] {
        events
            .push(json!({ "time.source": at, "source.ip": "2001:db8::7", "source.port": port, "tlp": tlp }));
    }
    events.push(json!({ "time.source": at, "source.fqdn": "a_b.example", "source.port": 443 }));
    events.push(
        json!({ "time.source": at, "source.asn": 4294967295u32, "source.url": "http://[2001:db8::1]:80/x" }),
    );
    events.push(
        json!({ "time.source": at, "source.ip": "::ffff:192.0.2.1", "destination.fqdn": "example.com" }),
    );
    let mut checked = 0;
    for event in &events {
        for object in made(event) {
            schemas.check(&object);
            checked += 1;
        }
    }
    assert!(checked > 25, "only {checked} objects");
    let objects: Vec<String> = made(&full()).iter().map(Value::to_string).collect();
    let bundle = format!("{}{}{BUNDLE_END}", bundle_begin("test"), objects.join(","));
    schemas.check(&serde_json::from_str(&bundle).unwrap());
    // That the schemas would notice: without this, a registry that knows nothing passes everything.
    let mut broken = made(&full()).pop().unwrap();
    broken["number_observed"] = json!(0);
    assert!(!schemas.of("observed-data").is_valid(&broken));
    broken["number_observed"] = json!(1);
    broken["created"] = json!("yesterday");
    assert!(!schemas.of("observed-data").is_valid(&broken));
}

proptest! {
    #[test]
    fn whatever_an_event_says_its_objects_can_be_written(
        ip in any::<std::net::IpAddr>(), texts in proptest::collection::vec(".{0,40}", 8), port in any::<i64>(),
    ) {
        let keys = ["source.fqdn", "source.url", "destination.ip", "malware.name", "tlp", "protocol.transport",
            "malware.hash.sha1", "feed.name"];
        let mut event: Map<String, Value> =
            keys.iter().zip(&texts).map(|(key, text)| ((*key).to_owned(), text.clone().into())).collect();
        event.insert("source.ip".into(), ip.to_string().into());
        event.insert("source.port".into(), port.into());
        event.insert("time.source".into(), "2026-11-20T03:12:00Z".into());
        event.insert("extra.count".into(), port.into());
        let objects = objects(&ID, &event).unwrap();
        let observed = objects.last().unwrap();
        let times = observed["number_observed"].as_i64().unwrap();
        prop_assert!((1..=999_999_999).contains(&times));
        prop_assert!(observed["object_refs"].as_array().unwrap().len() < objects.len());
    }
}

/// The schemas of OASIS, out of the archive they come in.
struct Schemas {
    registry: Registry<'static>,
}

impl Schemas {
    const BASE: &'static str =
        "http://raw.githubusercontent.com/oasis-open/cti-stix2-json-schemas/stix2.1/schemas";

    fn shared() -> Option<Self> {
        let folder = std::env::var("NOROSHI_TEST_SHARED_DATA").ok();
        let found = folder.map(|folder| Path::new(&folder).join("stix.tar.zst")).filter(|path| path.exists());
        let Some(path) = found else {
            eprintln!(
                "SKIPPED: no stix.tar.zst in NOROSHI_TEST_SHARED_DATA; `cargo xtask test` sets it where it is"
            );
            return None;
        };
        let unpacked = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
        let mut archive = tar::Archive::new(unpacked);
        let mut registry = Registry::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let Some(rest) = path.strip_prefix("stix/schemas/schemas/").filter(|p| p.ends_with(".json"))
            else {
                continue;
            };
            let uri = format!("{}/{rest}", Self::BASE);
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            registry = registry.add(uri, serde_json::from_str::<Value>(&text).unwrap()).unwrap();
        }
        Some(Self { registry: registry.prepare().unwrap() })
    }

    fn of(&self, kind: &str) -> Validator {
        let folder = match kind {
            "observed-data" => "sdos",
            "relationship" => "sros",
            "marking-definition" | "bundle" => "common",
            _ => "observables",
        };
        let schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": format!("{}/{folder}/{kind}.json", Self::BASE) });
        jsonschema::options()
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .build(&schema)
            .unwrap()
    }

    fn check(&self, object: &Value) {
        let validator = self.of(object["type"].as_str().unwrap());
        let faults: Vec<String> =
            validator.iter_errors(object).map(|e| format!("{} at {}", e, e.instance_path())).collect();
        assert!(faults.is_empty(), "{object:#}\n{faults:#?}");
    }
}
