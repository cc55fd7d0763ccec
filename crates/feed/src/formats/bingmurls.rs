//! Microsoft's list of malicious URLs that Bing found: addresses that mean "none" and a country among its tags need code.

use noroshi_model::Fields;
use noroshi_wire::elements::Element;
use serde_json::Value;

use super::values::put;
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::convert::try_add_owned;
use crate::{Feed, FeedError, Input, Report};

const MEMBERS: &[(&str, &str)] = &[
    ("Attributable", "extra.attributable"),
    ("Description", "event_description.text"),
    ("FirstReportedDateTime", "time.source"),
    ("IndicatorExpirationDateTime", "extra.indicator_expiration_date_time"),
    ("IndicatorProvider", "extra.indicator_provider"),
    ("IndicatorThreatType", "classification.identifier"),
    ("IsPartnerShareable", "extra.ispartnershareable"),
    ("IsProductLicensed", "extra.isproductlicensed"),
    ("NetworkDestinationAsn", "source.asn"),
    ("NetworkDestinationIPv4", "source.ip"),
    ("NetworkDestinationPort", "source.port"),
    ("TLPLevel", "tlp"),
    ("ThreatDetectionProduct", "extra.threat_detection_product"),
    ("Url", "source.url"),
];

/// Opens the list.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, record))
}

fn record(element: &Element, out: &mut Out) -> Result<(), String> {
    let Some(indicator) = element.value.as_object() else { return Err("no object".into()) };
    if indicator.get("Version").and_then(Value::as_f64) != Some(1.5) {
        return Err("not version 1.5 of the format".into());
    }
    if indicator.get("IndicatorThreatType").and_then(Value::as_str) != Some("MaliciousUrl") {
        return Err("no malicious URL".into());
    }
    let mut fields = Fields::default();
    fields.put("classification.type", "blacklist");
    for (name, value) in indicator {
        match name.as_str() {
            "Version" | "LastReportedDateTime" => {}
            // Tags are the countries that the URL concerns.
            "Tags" => {
                let mut tags = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                tags.any(|tag| try_add_owned(&mut fields, "source.geolocation.cc", tag));
            }
            "NetworkDestinationIPv4" if value == "0.0.0.0" || value == "255.255.255.255" => {}
            _ => {
                let key = MEMBERS.iter().find(|(member, _)| member == name).map(|(_, key)| *key);
                put(&mut fields, key.unwrap_or(&format!("extra.{}", name.to_lowercase())), value);
            }
        }
    }
    if !fields.has("source.url") && !fields.has("source.ip") {
        return Err("neither URL nor address".into());
    }
    out.event(fields);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn addresses_that_mean_none() {
        let text = r#"[{"Version": 1.5, "IndicatorThreatType": "MaliciousUrl", "Url": "http://a.example/",
            "NetworkDestinationIPv4": "0.0.0.0", "NetworkDestinationAsn": 0, "Tags": ["at"], "TLPLevel": "Amber"},
            {"Version": 2, "IndicatorThreatType": "MaliciousUrl"}, {"Version": 1.5, "IndicatorThreatType": "Botnet"}]"#;
        let got = parsed("microsoft-bingmurls", text, ());
        assert_eq!(got.lines(), "[1] bad [3, 3] filtered 0");
        assert_eq!((got.fact(0, "source.ip"), got.fact(0, "source.asn")), ("", ""));
        assert_eq!((got.fact(0, "source.geolocation.cc"), got.fact(0, "tlp")), ("AT", "AMBER"));
    }
}
