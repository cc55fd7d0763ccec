//! PhishTank's list of phish that are online: where a page lies stands in a list inside its object, of which the first
//! entry counts.

use noroshi_model::Fields;
use noroshi_wire::elements::Element;

use super::values::{objects, put_all};
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

const PHISH: &[(&str, &str)] = &[
    ("phish_id", "extra.phishtank.phish_id"),
    ("url", "source.url"),
    ("phish_detail_url", "event_description.url"),
    ("submission_time", "time.source"),
    ("verified", "extra.phishtank.verified"),
    ("verification_time", "extra.phishtank.verification_time"),
    ("target", "event_description.target"),
];

const DETAIL: &[(&str, &str)] = &[
    ("ip_address", "source.ip"),
    ("cidr_block", "source.network"),
    ("announcing_network", "source.asn"),
    ("country", "source.geolocation.cc"),
];

/// Opens the list.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, record))
}

fn record(element: &Element, out: &mut Out) -> Result<(), String> {
    let Some(phish) = element.value.as_object() else { return Err("no object".into()) };
    let mut fields = Fields::default();
    fields.put("classification.type", "phishing");
    // The list has no others.
    fields.put("status", "online");
    put_all(&mut fields, phish, PHISH);
    if let Some(detail) = objects(phish, "details").next() {
        put_all(&mut fields, detail, DETAIL);
    }
    if !fields.has("source.url") {
        return Err("member url is no URL".into());
    }
    out.event(fields);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn details_are_optional() {
        let text = r#"[{"phish_id": "7", "url": "http://a.example/", "details": [{"ip_address": "192.0.2.1",
            "cidr_block": "192.0.2.0/24", "announcing_network": "64496", "country": "US"}], "verified": "yes",
            "submission_time": "2022-12-21T10:34:03+00:00"}, {"url": "http://b.example/", "details": []}, {"url": ""}]"#;
        let got = parsed("phishtank", text, ());
        assert_eq!(got.lines(), "[1, 3] bad [3] filtered 0");
        assert_eq!(
            (got.fact(0, "source.asn"), got.fact(0, "time.source")),
            ("64496", "2022-12-21T10:34:03Z")
        );
        assert_eq!((got.fact(0, "extra.phishtank.phish_id"), got.fact(1, "source.ip")), ("7", ""));
    }
}
