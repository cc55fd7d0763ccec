//! Blueliv's crime servers, in JSON. Code, because a Tor exit's URL is its address again and no URL is no fault there.

use noroshi_model::{Datum, Fields};

use super::by_element;
use super::intelmq::{member, put, try_json};
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, |element, out| {
        let item = element.value.as_object().ok_or("no object")?;
        let mut fields = Fields::with_capacity(10);
        let kind = member(item, "type");
        let class = match kind.as_ref() {
            "" => "undetermined",
            "PHISHING" => "phishing",
            "MALWARE" => "malware-distribution",
            "EXPLOIT_KIT" => "exploit",
            "BACKDOOR" => "system-compromise",
            "TOR_IP" => "proxy",
            "C_AND_C" => "c2-server",
            _ => return Err("its type is not known".into()),
        };
        fields.put("classification.type", class);
        let tor = kind == "TOR_IP";
        if tor {
            fields.put("source.tor_node", Datum::Truth(true));
        }
        let url = put(&mut fields, "source.url", &member(item, "url"));
        if !tor {
            url?;
        }
        put(&mut fields, "source.ip", &member(item, "ip"))?;
        for (name, key) in [
            ("country", "source.geolocation.cc"),
            ("lastSeenAt", "time.source"),
            ("status", "extra.status"),
            ("confidence", "extra.confidence"),
            ("updatedAt", "extra.time_updated"),
            ("firstSeenAt", "extra.time_first_seen"),
        ] {
            if let Some(value) = item.get(name) {
                try_json(&mut fields, key, value);
            }
        }
        out.event(fields);
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::read;

    #[test]
    fn a_tor_exit_needs_no_url() {
        let items = json!([
            {"type": "TOR_IP", "url": "192.0.2.1", "ip": "192.0.2.1", "lastSeenAt": "2026-01-02T03:04:05+0000", "confidence": 1},
            {"type": "MALWARE", "url": "no url"},
            {"type": "NEW"},
            {"type": "C_AND_C", "url": "http://a.example/", "country": "US", "lastSeenAt": "2026-01-02T05:04:05+02:00"},
        ]);
        let got = read("blueliv-crimeserver", json!({}), &items.to_string());
        let time = "2026-01-02T03:04:05Z";
        assert_eq!(
            got.events,
            [
                json!({"classification.type": "proxy", "extra.confidence": 1, "source.ip": "192.0.2.1",
                    "source.tor_node": true, "time.source": time}),
                json!({"classification.type": "c2-server", "source.geolocation.cc": "US",
                    "source.url": "http://a.example/", "time.source": time}),
            ]
        );
        assert_eq!(got.bad.len(), 2);
    }
}
