//! AlienVault's IP reputation list, where one line may name several kinds of activity, and the pulses of its Open Threat
//! Exchange, where each indicator of a pulse is an event and its type says which key it is.

use noroshi_model::Fields;
use serde_json::{Map, Value};

use super::intelmq::{member, put, put_json, try_json};
use super::{by_element, by_line};
use crate::bundle::Bundle;
use crate::convert::{add, try_add_owned};
use crate::{Feed, FeedError, Input, Report};

/// Opens a reputation list: `ip#reliability#risk#activities#cc#city#latitude,longitude#…`.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_line(input, |line, out| {
        let columns: Vec<&str> = line.split('#').map(str::trim).collect();
        let [ip, _, _, activities, cc, city, place, ..] = columns.as_slice() else {
            return if line.starts_with('#') {
                Ok(())
            } else {
                Err("there are fewer than seven columns".into())
            };
        };
        if ip.is_empty() {
            return if line.starts_with('#') { Ok(()) } else { Err("there is no address".into()) };
        }
        for activity in activities.split(';') {
            let mut fields = Fields::with_capacity(6);
            add(&mut fields, "source.ip", ip).map_err(|e| e.to_string())?;
            try_add_owned(&mut fields, "source.geolocation.cc", cc);
            try_add_owned(&mut fields, "source.geolocation.city", city);
            if let Some((latitude, longitude)) = place.split_once(',') {
                try_add_owned(&mut fields, "source.geolocation.latitude", latitude);
                try_add_owned(&mut fields, "source.geolocation.longitude", longitude);
            }
            fields.put("classification.type", activity_type(activity));
            out.event(fields.into_owned());
        }
        Ok(())
    }))
}

fn activity_type(activity: &str) -> &'static str {
    match activity.trim().to_lowercase().as_str() {
        "c&c" => "c2-server",
        "scanning host" => "scanner",
        "malicious host" => "infected-system",
        "spamming" => "spam",
        "malware domain" | "malware ip" | "malware distribution" => "malware-distribution",
        _ => "undetermined",
    }
}

/// Opens pulses.
pub fn open_otx(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, |element, out| {
        let pulse = element.value.as_object().ok_or("no object")?;
        let indicators =
            pulse.get("indicators").and_then(Value::as_array).ok_or("there are no indicators")?;
        let common = pulse_fields(pulse);
        for indicator in indicators.iter().filter_map(Value::as_object) {
            let mut fields = common.clone();
            match put_indicator(&mut fields, indicator) {
                // A mutex, a path of a file: nothing that the event's keys could hold.
                Ok(false) => out.filter(),
                Ok(true) => {
                    if let Some(key) = indicator.get("pulse_key") {
                        try_json(&mut fields, "extra.pulse_key", key);
                    }
                    try_add_owned(&mut fields, "time.source", &created(indicator));
                    out.event(fields);
                }
                Err(reason) => out.refuse(reason),
            }
        }
        Ok(())
    }))
}

/// When an indicator was made, to the second.
fn created(indicator: &Map<String, Value>) -> String {
    let created = member(indicator, "created");
    created.split('.').next().unwrap_or_default().to_owned()
}

/// What all indicators of a pulse have.
fn pulse_fields(pulse: &Map<String, Value>) -> Fields<'static> {
    const MEMBERS: [(&str, &str); 8] = [
        ("author_name", "extra.author"),
        ("name", "extra.pulse"),
        ("id", "extra.pulse_key"),
        ("tags", "extra.tags"),
        ("industries", "extra.industries"),
        ("adversary", "extra.adversary"),
        ("TLP", "tlp"),
        ("description", "comment"),
    ];
    let mut fields = Fields::with_capacity(16);
    for (name, key) in MEMBERS {
        if let Some(value) = pulse.get(name) {
            try_json(&mut fields, key, value);
        }
    }
    if let Some(Value::Array(countries)) =
        pulse.get("targeted_countries").filter(|list| **list != Value::Array(vec![]))
    {
        fields.put("extra.targeted_countries", noroshi_model::Datum::Json(Value::Array(countries.clone())));
    }
    let modified = member(pulse, "modified");
    if !modified.is_empty() {
        // To the hundredth of a second, whatever it was written to.
        let (whole, fraction) = modified.split_once('.').unwrap_or((&modified, ""));
        let hundredths: String = fraction.chars().chain("00".chars()).take(2).collect();
        fields.put("extra.time_updated", format!("{whole}.{hundredths}+00:00"));
    }
    fields.put("classification.type", "blacklist");
    fields
}

/// Sets the key an indicator is about; false where it is about nothing an event has.
fn put_indicator(fields: &mut Fields<'static>, indicator: &Map<String, Value>) -> Result<bool, String> {
    let text = member(indicator, "indicator");
    let text = text.trim();
    let link = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    match member(indicator, "type").as_ref() {
        "FileHash-SHA256" => put(fields, "malware.hash.sha256", text)?,
        "FileHash-SHA1" => put(fields, "malware.hash.sha1", text)?,
        "FileHash-MD5" => put(fields, "malware.hash.md5", text)?,
        // Some of them are URLs.
        "hostname" | "domain" if link.split_once("://").is_some_and(|(_, rest)| rest.contains('/')) => {
            put(fields, "source.url", &link)?;
        }
        "hostname" | "domain" => put(fields, "source.fqdn", text)?,
        "IPv4" | "IPv6" => put(fields, "source.ip", text)?,
        "email" => put(fields, "source.account", text)?,
        "URL" => put(fields, "source.url", &link)?,
        "URI" => put(fields, "source.url", &link).or_else(|_| put(fields, "source.urlpath", text))?,
        "CIDR" => put(fields, "source.network", text)?,
        "CVE" => put_json(fields, "extra.CVE", &text.into())?,
        _ => return Ok(false),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::read;

    #[test]
    fn a_line_may_name_several_activities() {
        let text = "# Generic format\n192.0.2.1#4#2#Scanning Host;Spamming#DE##0,1#3\n192.0.2.2#4\nx#1#1#C&C###,#1\n";
        let got = read("alienvault", json!({}), text);
        let types: Vec<_> = got.events.iter().map(|e| e["classification.type"].clone()).collect();
        assert_eq!(types, ["scanner", "spam"]);
        assert_eq!(got.bad.iter().map(|b| b.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_bad_indicator_costs_itself() {
        let pulse = json!([{"id": "p", "name": "n", "author_name": "a", "modified": "2026-01-02T03:04:05", "indicators": [
            {"type": "domain", "indicator": "a.example/x", "created": "2026-01-02T03:04:05"},
            {"type": "IPv4", "indicator": "nowhere", "created": "2026-01-02T03:04:05"},
            {"type": "Mutex", "indicator": "m", "created": "2026-01-02T03:04:05"},
            {"type": "URI", "indicator": "/path", "created": "2026-01-02T03:04:05.678"},
        ]}]);
        let got = read("alienvault-otx", json!({}), &pulse.to_string());
        assert_eq!((got.events.len(), got.bad.len(), got.filtered), (2, 1, 1));
        assert_eq!(got.events[0]["source.url"], "http://a.example/x");
        assert_eq!(got.events[1]["source.urlpath"], "/path");
        assert_eq!(got.events[1]["time.source"], "2026-01-02T03:04:05Z");
        assert_eq!(got.events[0]["extra.time_updated"], "2026-01-02T03:04:05.00+00:00");
    }
}
