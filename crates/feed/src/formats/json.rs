//! Events that are already in IntelMQ's own form, in JSON: one object, one on each line, or a list. A map cannot say it,
//! because every member is a key of its own.

use noroshi_model::Fields;
use serde_json::{Map, Value};

use super::by_element;
use super::intelmq::put_json;
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

/// Opens a report. What holds one event, lines of them or a list (`splitlines`, `multiple_events`) is seen from the text.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    if report.truth("splitlines", false) && report.truth("multiple_events", false) {
        let reason = "a report has lines of events or a list of them, not both".to_owned();
        return Err(FeedError::Parameter { name: "splitlines", reason });
    }
    Ok(by_element(input, |element, out| {
        let object = element.value.as_object().ok_or("no object")?;
        let mut fields = event(object)?;
        fields.offer("classification.type", "undetermined");
        out.event(fields);
        Ok(())
    }))
}

/// The fields of an event in IntelMQ's form. How another system received it is not how we do: `raw` and the time of
/// observation stay behind.
pub fn event(object: &Map<String, Value>) -> Result<Fields<'static>, String> {
    const LEFT: [&str; 3] = ["__type", "raw", "time.observation"];
    let mut fields = Fields::with_capacity(object.len() + 1);
    for (key, value) in object {
        match value {
            _ if LEFT.contains(&key.as_str()) => {}
            Value::Object(extra) if key == "extra" => put_extra(&mut fields, extra)?,
            Value::String(text) if key == "extra" => match serde_json::from_str(text) {
                Ok(Value::Object(extra)) => put_extra(&mut fields, &extra)?,
                _ => return Err("extra is no object".into()),
            },
            Value::Null if key == "extra" => {}
            _ => put_json(&mut fields, key, value)?,
        }
    }
    Ok(fields)
}

fn put_extra(fields: &mut Fields<'static>, extra: &Map<String, Value>) -> Result<(), String> {
    extra.iter().try_for_each(|(name, value)| put_json(fields, &format!("extra.{name}"), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::{open_error, read};

    #[test]
    fn one_event_lines_of_them_or_a_list() {
        let a =
            json!({"source.ip": "192.0.2.1", "extra": {"a": [1]}, "raw": "eA==", "source.asn": "AS64496"});
        let b =
            json!({"source.ip": "192.0.2.2", "extra": "{\"b\": {\"c\": 1}}", "classification.type": "c&c"});
        let expected = [
            json!({"source.ip": "192.0.2.1", "extra.a": [1], "source.asn": 64496, "classification.type": "undetermined"}),
            json!({"source.ip": "192.0.2.2", "extra.b": {"c": 1}, "classification.type": "c2-server"}),
        ];
        for text in [format!("{a}\n{b}\n"), format!("[{a},{b}]"), format!("{a:#}\n{b:#}")] {
            assert_eq!(read("json", json!({}), &text).events, expected, "{text}");
        }
    }

    #[test]
    fn an_event_that_cannot_be_one_costs_itself() {
        let got = read(
            "json",
            json!({"splitlines": true}),
            "{\"source.ip\": \"x\"}\n3\n{\"nothing\": 1}\n{\"source.port\": 1}\n",
        );
        assert_eq!((got.events.len(), got.bad.len()), (1, 3));
        assert!(open_error("json", json!({"splitlines": true, "multiple_events": true})));
    }
}
