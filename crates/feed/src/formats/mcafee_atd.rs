//! A report of McAfee's Advanced Threat Defense on one sample: a document of which the sample, each file that it dropped
//! and each address and name that it talked to are events of their own.

use noroshi_model::Fields;
use serde_json::{Map, Value};

use super::values::{objects, put_all};
use super::whole;
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

const SAMPLE: &[(&str, &str)] = &[
    ("Name", "malware.name"),
    ("md5", "malware.hash.md5"),
    ("sha-1", "malware.hash.sha1"),
    ("sha-256", "malware.hash.sha256"),
];

const INDICATOR: &[(&str, &str)] = &[
    ("domain", "source.fqdn"),
    ("hostname", "source.fqdn"),
    ("Name", "malware.name"),
    ("Md5", "malware.hash.md5"),
    ("Sha1", "malware.hash.sha1"),
    ("Sha256", "malware.hash.sha256"),
    ("Ipv4", "destination.ip"),
    ("Port", "destination.port"),
    ("Url", "destination.fqdn"),
];

/// Opens a report; parameter `verdict_severity` is the lowest severity (1 to 5) of which something is made.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let least = report.params.get("verdict_severity").and_then(number).unwrap_or(4);
    Ok(whole(input, move |bytes, sink| {
        let document: Value = serde_json::from_slice(bytes)
            .map_err(|e| FeedError::Report(format!("no JSON (line {})", e.line())))?;
        let Some(summary) = document.get("Summary").and_then(Value::as_object) else {
            return Err(FeedError::Report("the report has no Summary".into()));
        };
        let severity = summary.get("Verdict").and_then(|verdict| number(verdict.get("Severity")?));
        if severity.ok_or_else(|| FeedError::Report("the verdict has no severity".into()))? < least {
            sink.filtered(1);
            return Ok(());
        }
        let sample = sample(summary);
        sink.event(1, sample.clone());
        for (list, about_sample) in [("Files", false), ("Ips", true), ("Urls", true)] {
            for indicator in objects(summary, list) {
                let mut fields = if about_sample { sample.clone() } else { blank() };
                put_all(&mut fields, indicator, INDICATOR);
                sink.event(1, fields);
            }
        }
        Ok(())
    }))
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn blank() -> Fields<'static> {
    let mut fields = Fields::default();
    fields.put("classification.taxonomy", "malicious-code");
    fields.put("classification.type", "infected-system");
    fields
}

fn sample(summary: &Map<String, Value>) -> Fields<'static> {
    let mut fields = blank();
    if let Some(subject) = summary.get("Subject").and_then(Value::as_object) {
        put_all(&mut fields, subject, SAMPLE);
    }
    fields
}

#[cfg(test)]
mod tests {
    use crate::formats::probe::parsed;

    #[test]
    fn mild_verdicts_are_left_out() {
        let text = r#"{"Summary": {"Subject": {"Name": "A.exe", "md5": "AB"}, "Verdict": {"Severity": "3"},
            "Files": [{"Name": "b.exe", "Md5": ""}], "Ips": [{"Ipv4": "192.0.2.1", "Port": "80"}, {"Ipv4": "?"}]}}"#;
        assert_eq!(parsed("mcafee-atd", text, ()).lines(), "[] bad [] filtered 1");
        let got = parsed("mcafee-atd", text, serde_json::json!({ "verdict_severity": "3" }));
        assert_eq!(got.lines(), "[1, 1, 1, 1] bad [] filtered 0");
        assert_eq!((got.fact(1, "malware.name"), got.fact(1, "malware.hash.md5")), ("b.exe", ""));
        assert_eq!((got.fact(2, "malware.name"), got.fact(2, "destination.port")), ("a.exe", "80"));
    }
}
