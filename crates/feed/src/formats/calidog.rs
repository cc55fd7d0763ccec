//! Calidog's stream of certificates from the transparency logs: an event for each name on a certificate.

use noroshi_model::{Datum, Fields};
use serde_json::Value;

use super::by_element;
use crate::bundle::Bundle;
use crate::convert::{epoch, fqdn, ip};
use crate::objects::text_of;
use crate::{Feed, FeedError, Input, Report};

/// Opens a report. Messages without a certificate, such as the stream's heartbeat, are no records.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, |element, out| {
        let data = element.value.get("data").unwrap_or(&Value::Null);
        let names = data.pointer("/leaf_cert/all_domains").and_then(Value::as_array);
        let Some(names) = names.filter(|names| !names.is_empty()) else { return Ok(()) };
        let seen = data.get("seen").map(text_of).unwrap_or_default();
        // To the second: the fraction is the stream's, not the log's.
        let seen = seen.split('.').next().and_then(epoch).ok_or("it does not say when it was seen")?;
        for name in names {
            let mut fields = Fields::with_capacity(3);
            match name.as_str().and_then(host) {
                Some((key, datum)) => fields.put(key, datum),
                None => {
                    out.refuse("a name is no host name".into());
                    continue;
                }
            }
            fields.put("time.source", Datum::Time(seen));
            fields.put("classification.type", "other");
            out.event(fields);
        }
        Ok(())
    }))
}

/// A name, an address, or all the names under one (`*.example`).
fn host(name: &str) -> Option<(&'static str, Datum<'static>)> {
    let (star, rest) = match name.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", name),
    };
    match fqdn(rest) {
        Some(rest) => Some(("source.fqdn", format!("{star}{rest}").into())),
        None => Some(("source.ip", Datum::Ip(ip(name)?))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::read;

    #[test]
    fn heartbeats_are_no_records_and_a_bad_name_costs_itself() {
        let text = format!(
            "{}\n{}\n",
            json!({"message_type": "heartbeat", "timestamp": 1}),
            json!({"data": {"seen": 1_529_079_021.9, "leaf_cert": {"all_domains": ["*.A.example", "a b", "192.0.2.1"]}}})
        );
        let got = read("calidog-certstream", json!({}), &text);
        let time = "2018-06-15T16:10:21Z";
        assert_eq!(
            got.events,
            [
                json!({"classification.type": "other", "source.fqdn": "*.a.example", "time.source": time}),
                json!({"classification.type": "other", "source.ip": "192.0.2.1", "time.source": time}),
            ]
        );
        assert_eq!(got.bad.len(), 1);
    }
}
