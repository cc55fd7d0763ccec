//! URLhaus, JSON: as its API gives it (an object of lists by id) and as n6 collects it (a list, each with the API's
//! answer about its URL inside). A URL that served several files is an event for each, which a map cannot say. The CSV
//! editions are maps (`urlhaus-csv`, `urlhaus-payloads`).

use noroshi_model::{ClassificationType, Datum, Fields};
use serde_json::Value;

use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::{time, try_add_owned};
use crate::objects::text_of;
use crate::{Feed, FeedError, Input, Report};

/// Most files of one URL that become events.
const PAYLOADS_MAX: usize = 4096;

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, |element, out| match &element.value {
        Value::Object(entry) if entry.contains_key("url") => url(None, &element.value, out),
        Value::Object(by_id) => {
            let entries = by_id.iter().flat_map(|(id, value)| match value {
                Value::Array(list) => list.iter().map(|entry| (id, entry)).collect(),
                one => vec![(id, one)],
            });
            // All or nothing: a broken entry quarantines the object it stands in, which says where to look.
            entries
                .filter(|(_, entry)| entry.is_object())
                .try_for_each(|(id, entry)| url(Some(id), entry, out))
        }
        _ => Err("no object".into()),
    }))
}

fn url(id: Option<&str>, entry: &Value, out: &mut Out) -> Result<(), String> {
    let mut fields = Fields::default();
    let kind = ClassificationType::MalwareDistribution;
    fields.put("classification.type", kind.id());
    fields.put("classification.taxonomy", kind.taxonomy());
    let text = |name: &str| entry.get(name).map(text_of).filter(|text| !text.is_empty() && text != "None");
    let added = text("dateadded").or_else(|| text("date_added")).and_then(|text| time(&text));
    fields.put("time.source", Datum::Time(added.ok_or("dateadded is no time")?));
    if !text("url").is_some_and(|link| try_add_owned(&mut fields, "source.url", &link)) {
        return Err("url is no URL".into());
    }
    let host = fields.get("source.url").and_then(Datum::text).and_then(crate::convert::host_of);
    if let Some(host) = host.map(str::to_owned) {
        let _ = try_add_owned(&mut fields, "source.ip", &host)
            || try_add_owned(&mut fields, "source.fqdn", &host);
    }
    if let Some(id) = id.map(str::to_owned).or_else(|| text("url_id").map(Into::into)) {
        fields.put("extra.urlhaus.id", id);
    }
    for (name, key) in [
        ("url_status", "status"),
        ("urlhaus_link", "event_description.url"),
        ("threat", "classification.identifier"),
        ("reporter", "extra.urlhaus.reporter"),
        ("last_online", "extra.urlhaus.last_online"),
    ] {
        if let Some(text) = text(name) {
            try_add_owned(&mut fields, key, &text);
        }
    }
    if let Some(tags @ Value::Array(_)) = entry.get("tags") {
        fields.put("extra.urlhaus.tags", Datum::Json(tags.clone()));
    }
    let payloads = entry.pointer("/url_info_from_api/payloads").or_else(|| entry.get("payloads"));
    match payloads.and_then(Value::as_array).map(Vec::as_slice) {
        None | Some([]) => out.event(fields),
        Some(list) if list.len() > PAYLOADS_MAX => {
            return Err(format!("a URL has at most {PAYLOADS_MAX} payloads"));
        }
        Some(list) => list.iter().for_each(|payload| out.event(with_payload(&fields, payload))),
    }
    Ok(())
}

fn with_payload(common: &Fields<'static>, payload: &Value) -> Fields<'static> {
    let mut fields = common.clone();
    for (name, key) in [
        ("response_md5", "malware.hash.md5"),
        ("response_sha256", "malware.hash.sha256"),
        ("signature", "malware.name"),
        ("filename", "extra.filename"),
        ("file_type", "extra.file_type"),
    ] {
        if let Some(value) = payload.get(name) {
            try_add_owned(&mut fields, key, &text_of(value));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_s_own_shape_is_read_as_well() {
        let mut out = Out::default();
        let entry = serde_json::json!({"dateadded": "2026-01-01 00:00:00 UTC", "url": "http://192.0.2.1:80/a",
            "threat": "malware_download", "tags": ["elf"], "url_status": "online"});
        url(Some("7"), &entry, &mut out).unwrap();
        let fields = &out.events[0];
        assert!(fields.has("source.ip") && !fields.has("source.fqdn"));
        assert_eq!(fields.get("extra.urlhaus.id").and_then(Datum::text), Some("7"));
        assert!(url(None, &serde_json::json!({"url": "http://x.example/"}), &mut out).is_err());
        assert!(
            url(None, &serde_json::json!({"url": "x", "dateadded": "2026-01-01 00:00:00"}), &mut out)
                .is_err()
        );
    }
}
