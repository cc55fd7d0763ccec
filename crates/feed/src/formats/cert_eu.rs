//! CERT-EU's feed of abuse, a CSV with a header. Code, because a row of a version or with values that nobody has
//! seen yet is refused.

use noroshi_model::{Datum, Fields};
use noroshi_wire::csv::{CsvFormat, Record};

use super::intelmq::{by_record, is_nothing, put, time_text};
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

/// Columns that go to a key as they are.
const COLUMNS: [(&str, &str); 24] = [
    ("feed code", "extra.datasource"),
    ("source ip", "source.ip"),
    ("source bgp prefix", "source.network"),
    ("tlp", "tlp"),
    ("description", "event_description.text"),
    ("source time", "time.source"),
    ("source country", "source.geolocation.country"),
    ("protocol", "protocol.application"),
    ("destination port", "destination.port"),
    ("source latitude", "source.geolocation.latitude"),
    ("source longitude", "source.geolocation.longitude"),
    ("source city", "source.geolocation.city"),
    ("source cc", "source.geolocation.geoip_cc"),
    ("source geohash", "extra.source.geolocation.geohash"),
    ("first seen", "extra.first_seen"),
    ("last seen", "extra.last_seen"),
    ("expiration date", "extra.expiration_date"),
    ("status", "status"),
    ("target", "event_description.target"),
    ("url", "source.url"),
    ("abuse contact", "source.abuse_contact"),
    ("source asn", "source.asn"),
    ("source as name", "source.as_name"),
    ("domain name", "source.fqdn"),
];

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let format = CsvFormat { ragged: true, comment: Some('#'), ..CsvFormat::default() };
    Ok(by_record(input, format, |record, out| {
        out.event(event(record)?);
        Ok(())
    }))
}

fn event(record: &Record) -> Result<Fields<'static>, String> {
    let cell = |column: &str| record.cell(column).unwrap_or_default().trim();
    if !matches!(cell("version"), "1.5" | "") {
        return Err("its version is not 1.5".into());
    }
    for column in ["threat type", "ns1", "ns2", "response", "recent"] {
        if !is_nothing(cell(column)) {
            return Err(format!("column {column} has a value, and nobody knows what of"));
        }
    }
    let mut fields = Fields::with_capacity(COLUMNS.len() + 4);
    for (column, key) in COLUMNS {
        put(&mut fields, key, cell(column))?;
    }
    if let Some(time) = time_text(cell("observation time")) {
        fields.put("extra.cert_eu_time_observation", time);
    }
    if let Ok(count) = cell("count").parse() {
        fields.put("extra.count", Datum::Int(count));
    }
    if let Ok(confidence) = cell("confidence level").parse::<f64>() {
        fields.put("feed.accuracy", Datum::Real(confidence));
    }
    fields.put("classification.type", class(cell("type")));
    if cell("type") == "dropzone" {
        fields.put("classification.identifier", "dropzone");
    }
    Ok(fields)
}

fn class(name: &str) -> &'static str {
    match name {
        "backdoor" | "compromised server" => "system-compromise",
        "blacklist" => "blacklist",
        "botnet drone" | "ransomware" => "infected-system",
        "brute-force" => "brute-force",
        "c2server" => "c2-server",
        "ddos infrastructure" | "ddos target" => "ddos",
        "defacement" => "unauthorised-information-modification",
        "exploit url" => "exploit",
        "ids alert" => "ids-alert",
        "malware-configuration" => "malware-configuration",
        "malware url" => "malware-distribution",
        "phishing" => "phishing",
        "scanner" => "scanner",
        "spam infrastructure" => "spam",
        "test" => "test",
        "vulnerable service" => "vulnerable-system",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::read;

    #[test]
    fn what_nobody_has_seen_yet_is_refused() {
        let text = "feed code,source ip,source time,observation time,type,count,confidence level,version,ns1,source cc\n\
            f,192.0.2.1,2018-03-23T11:57:05Z,2018-03-23T12:22:12Z,dropzone,2,50,1.5,,US\n\
            f,192.0.2.1,2018-03-23T11:57:05Z,,c2server,,,1.6,,\nf,192.0.2.1,2018-03-23T11:57:05Z,,c2server,,,1.5,a,\n\
            f,x,2018-03-23T11:57:05Z,,c2server,,,1.5,,\n";
        let got = read("cert-eu-csv", json!({}), text);
        assert_eq!(
            got.events,
            [
                json!({"classification.identifier": "dropzone", "classification.type": "other", "extra.count": 2,
                "extra.cert_eu_time_observation": "2018-03-23T12:22:12+00:00", "extra.datasource": "f",
                "feed.accuracy": 50.0, "source.geolocation.geoip_cc": "US", "source.ip": "192.0.2.1",
                "time.source": "2018-03-23T11:57:05Z"})
            ]
        );
        assert_eq!(got.bad.iter().map(|b| b.line).collect::<Vec<_>>(), [3, 4, 5]);
    }
}
