//! Events of MISP: one object with a list of attributes, of which those that can be acted on become events. The tags of
//! the whole say what kind of thing it is, and an attribute of its own what malware.

use noroshi_model::Fields;
use noroshi_wire::elements::Element;
use serde_json::{Map, Value};

use super::values::{objects, put, text};
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::{epoch, try_add_owned};
use crate::objects::text_of;
use crate::{Feed, FeedError, Input, Report};

/// Tags of the eCSIRT taxonomy, as RSIT calls them.
#[rustfmt::skip]
const KINDS: &[(&str, &str)] = &[
    ("abusive-content=\"spam\"", "spam"),
    ("availability=\"ddos\"", "ddos"),
    ("fraud=\"phishing\"", "phishing"),
    ("information-content-security=\"dropzone\"", "other"),
    ("information-gathering=\"scanner\"", "scanner"),
    ("intrusion-attempts=\"brute-force\"", "brute-force"),
    ("intrusion-attempts=\"exploit\"", "exploit"),
    ("intrusion-attempts=\"ids-alert\"", "ids-alert"),
    ("intrusions=\"backdoor\"", "system-compromise"),
    ("intrusions=\"compromised\"", "system-compromise"),
    ("intrusions=\"defacement\"", "unauthorised-information-modification"),
    ("malicious-code=\"botnet-drone\"", "infected-system"),
    ("malicious-code=\"c&c\"", "c2-server"),
    ("malicious-code=\"c2-server\"", "c2-server"),
    ("malicious-code=\"c2server\"", "c2-server"),
    ("malicious-code=\"malware\"", "infected-system"),
    ("malicious-code=\"malware-configuration\"", "malware-configuration"),
    ("malicious-code=\"ransomware\"", "infected-system"),
    ("other=\"blacklist\"", "blacklist"),
    ("other=\"unknown\"", "undetermined"),
    ("test=\"test\"", "test"),
    ("vulnerable=\"vulnerable-service\"", "vulnerable-system"),
];

/// Attributes that say where something comes from, or what it is.
const TYPES: &[(&str, &str)] = &[
    ("domain", "source.fqdn"),
    ("email-src", "source.account"),
    ("hostname", "source.fqdn"),
    ("ip-dst", "source.ip"),
    ("ip-src", "source.ip"),
    ("md5", "malware.hash.md5"),
    ("sha1", "malware.hash.sha1"),
    ("url", "source.url"),
];

const CATEGORIES: [&str; 4] =
    ["Artifacts dropped", "Network activity", "Payload delivery", "Payload installation"];

/// Opens events as the API gives them, with or without their wrapping; links to them are made from the report's URL.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let root = report.feed_url.as_deref().and_then(root_of);
    Ok(by_element(input, move |element, out| document(element, root.as_deref(), out)))
}

fn document(element: &Element, root: Option<&str>, out: &mut Out) -> Result<(), String> {
    let Some(object) = element.value.as_object() else { return Err("no object".into()) };
    if object.contains_key("response") {
        return objects(object, "response").try_for_each(|inner| wrapped(inner, root, out));
    }
    wrapped(object, root, out)
}

fn wrapped(object: &Map<String, Value>, root: Option<&str>, out: &mut Out) -> Result<(), String> {
    event(object.get("Event").and_then(Value::as_object).unwrap_or(object), root, out)
}

fn event(event: &Map<String, Value>, root: Option<&str>, out: &mut Out) -> Result<(), String> {
    if !event.contains_key("Attribute") && !event.contains_key("Object") {
        return Err("no attributes".into());
    }
    let inside = objects(event, "Object").flat_map(|object| objects(object, "Attribute"));
    let attributes: Vec<_> = objects(event, "Attribute").chain(inside).collect();
    let mut shared = Fields::default();
    let kind = objects(event, "Tag").find_map(|tag| {
        let tag = text(tag, "name").strip_prefix("ecsirt:")?;
        KINDS.iter().find(|(name, _)| *name == tag)
    });
    if let Some((_, kind)) = kind {
        shared.put("classification.type", *kind);
    }
    for payload in attributes.iter().filter(|attribute| text(attribute, "category") == "Payload type") {
        try_add_owned(&mut shared, "malware.name", text(payload, "value"));
    }
    put(&mut shared, "misp.event_uuid", event.get("uuid").unwrap_or(&Value::Null));
    if let (Some(root), Some(id)) = (root, event.get("id")) {
        try_add_owned(&mut shared, "event_description.url", &format!("{root}events/view/{}", text_of(id)));
    }
    let mut used = false;
    for attribute in attributes {
        let key = TYPES.iter().find(|(name, _)| *name == text(attribute, "type"));
        let category = text(attribute, "category");
        let Some((_, key)) = key.filter(|_| CATEGORIES.contains(&category)) else { continue };
        let mut fields = shared.clone();
        // Of an attribute that is not what its type says nothing can be made, and of the others still can.
        if !put(&mut fields, key, attribute.get("value").unwrap_or(&Value::Null)) {
            continue;
        }
        used = true;
        put(&mut fields, "misp.attribute_uuid", attribute.get("uuid").unwrap_or(&Value::Null));
        put(&mut fields, "comment", attribute.get("comment").unwrap_or(&Value::Null));
        try_add_owned(&mut fields, "event_description.text", category);
        if let Some(at) = attribute.get("timestamp").and_then(|at| epoch(&text_of(at))) {
            fields.put("time.source", noroshi_model::Datum::Time(at));
        }
        out.event(fields);
    }
    if !used {
        out.filter();
    }
    Ok(())
}

/// The folder of a URL, with its slash.
fn root_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let path = rest.split(['?', '#']).next()?;
    let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
    Some(format!("{scheme}://{folder}/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::probe::parsed;

    #[test]
    fn objects_wrappings_and_what_is_left_out() {
        let text = r#"{"response": [{"Event": {"id": "3", "uuid": "U", "Attribute": [
            {"category": "Network activity", "type": "ip-dst", "value": "192.0.2.1", "timestamp": "1465681304"},
            {"category": "Network activity", "type": "ip-dst", "value": "?"},
            {"category": "Other", "type": "ip-dst", "value": "192.0.2.2"}],
            "Object": [{"Attribute": [{"category": "Payload delivery", "type": "md5", "value": "AB"}]}],
            "Tag": [{"name": "tlp:white"}, {"name": "ecsirt:malicious-code=\"c&c\""}]}}]}
            {"Attribute": []}
            {"id": 1}"#;
        let got = parsed("misp", text, ());
        assert_eq!(got.lines(), "[1, 1] bad [8] filtered 1");
        assert_eq!(got.fact(0, "event_description.url"), "https://feed.example/events/view/3");
        assert_eq!(got.fact(1, "malware.hash.md5"), "ab");
        assert_eq!(got.fact(1, "classification.type"), "c2-server");
        assert!(KINDS.iter().all(|(_, kind)| noroshi_model::ClassificationType::parse(kind).is_some()));
        assert_eq!(root_of("http://m.example").as_deref(), Some("http://m.example/"));
    }
}
