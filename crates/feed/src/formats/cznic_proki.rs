//! CZ.NIC's PROKI: events in IntelMQ's own keys, inside an answer of the API. Its feed and time of observation are the
//! sender's and become `extra.original_…`.

use serde_json::{Map, Value};

use super::intelmq::put_json;
use super::{Out, by_element};
use crate::bundle::Bundle;
use crate::{Feed, FeedError, Input, Report};

/// Opens a report.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(by_element(input, |element, out| {
        match &element.value {
            Value::Object(answer) if answer.contains_key("data") => {
                let list = answer.get("data").and_then(Value::as_array).ok_or("its data is no list")?;
                for event in list {
                    one(event, out);
                }
            }
            event => one(event, out),
        }
        Ok(())
    }))
}

fn one(event: &Value, out: &mut Out) {
    match event.as_object().ok_or("no object".to_owned()).and_then(fields) {
        Ok(fields) => out.event(fields),
        Err(reason) => out.refuse(reason),
    }
}

fn fields(event: &Map<String, Value>) -> Result<noroshi_model::Fields<'static>, String> {
    let mut fields = noroshi_model::Fields::with_capacity(event.len());
    for (key, value) in event {
        let key = match key.as_str() {
            "feed.name" => "extra.original_feed_name",
            "time.observation" => "extra.original_time_observation",
            "raw" => continue,
            key => key,
        };
        put_json(&mut fields, key, value)?;
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::read;

    #[test]
    fn a_bad_event_of_an_answer_costs_itself() {
        let list = json!([{"source.ip": "192.0.2.1", "feed.name": "x", "classification.type": "botnet drone"},
            {"source.ip": "x"}, 3, {"nothing": 1}]);
        for text in [json!({"status": "OK", "data": list}).to_string(), list.to_string()] {
            let got = read("cznic-proki", json!({}), &text);
            assert_eq!((got.events.len(), got.bad.len()), (1, 3));
            let event = json!({"source.ip": "192.0.2.1", "extra.original_feed_name": "x",
                "classification.type": "infected-system"});
            assert_eq!(got.events[0], event);
        }
    }
}
