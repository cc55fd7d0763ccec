//! Lines of `key=value` pairs, as firewalls log them. Which keys there are, what stands between them and where each goes
//! are parameters, so it is code.

use noroshi_model::Fields;
use serde_json::Value;

use super::by_line;
use super::intelmq::{is_nothing, value};
use crate::bundle::Bundle;
use crate::convert::epoch;
use crate::kind::is_known;
use crate::{Feed, FeedError, Input, Report, fuzzy};

/// Opens a report.
pub fn open(_: &Bundle, report: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    let pairs = separator(report, "pair_separator", " ")?;
    let between = separator(report, "kv_separator", "=")?;
    let keys = keys(report)?;
    let strip = report.truth("strip_quotes", true);
    Ok(by_line(input, move |line, out| {
        let mut fields = Fields::with_capacity(keys.len());
        for pair in line.trim().split(pairs.as_str()) {
            let Some((name, text)) = pair.rsplit_once(between.as_str()) else { continue };
            let Some((_, key)) = keys.iter().find(|(from, _)| from == name) else { continue };
            let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|_| strip);
            let text = unquoted.unwrap_or(text);
            if fields.has(key) {
                return Err(format!("two pairs give {key}"));
            }
            add(&mut fields, key, text);
        }
        if fields.is_empty() {
            return Err("none of the keys has a value".into());
        }
        out.event(fields);
        Ok(())
    }))
}

/// Adds a value that is one of the key; what is none is passed over.
fn add(fields: &mut Fields<'static>, key: &str, text: &str) {
    if is_nothing(text) {
        return;
    }
    let datum = if key == "time.source" {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let time = if digits { epoch(text) } else { fuzzy::time(text) };
        time.map(noroshi_model::Datum::Time)
    } else {
        value(key, text)
    };
    if let Some(datum) = datum {
        fields.put(key.to_owned(), datum.into_owned());
    }
}

fn separator(report: &Report, name: &'static str, default: &str) -> Result<String, FeedError> {
    match report.text(name).unwrap_or(default) {
        "" => Err(FeedError::Parameter { name, reason: "must be at least one character".into() }),
        text => Ok(text.to_owned()),
    }
}

/// Where each key of the log goes.
fn keys(report: &Report) -> Result<Vec<(String, String)>, FeedError> {
    let wrong = |reason: String| FeedError::Parameter { name: "keys", reason };
    let mut keys = Vec::new();
    for (from, to) in report.params.get("keys").and_then(Value::as_object).into_iter().flatten() {
        match to.as_str() {
            Some(to) if is_known(to) => keys.push((from.clone(), to.to_owned())),
            Some(to) => return Err(wrong(format!("'{to}' is no key of an event"))),
            None => return Err(wrong("must name a key of an event for each key of the log".into())),
        }
    }
    if let Some(from) = report.text("timestamp_key") {
        keys.push((from.to_owned(), "time.source".to_owned()));
    }
    if keys.is_empty() {
        return Err(wrong("is needed: where each key of the log goes".into()));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::trial::{open_error, read};

    #[test]
    fn pairs_quotes_times_and_lines_without_any() {
        let params =
            json!({"keys": {"ip": "source.ip", "t": "time.source", "q": "extra.q", "n": "source.port"}});
        let text = "x ip=192.0.2.1 t=1234567890 q=\"a\" n=http\n\nnothing here\nip=192.0.2.2 ip=192.0.2.3\nip=192.0.2.4 t=2009-02-13T23:31:30Z\n";
        let got = read("key-value", params, text);
        let time = "2009-02-13T23:31:30Z";
        assert_eq!(
            got.events,
            [
                json!({"source.ip": "192.0.2.1", "time.source": time, "extra.q": "a"}),
                json!({"source.ip": "192.0.2.4", "time.source": time}),
            ]
        );
        assert_eq!(got.bad.iter().map(|b| b.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn separators_and_parameters() {
        let params = json!({"keys": {"a=b": "extra.x"}, "pair_separator": "; ", "kv_separator": "=", "strip_quotes": false});
        assert_eq!(read("key-value", params, "a=b=\"c\"; d=e\n").events, [json!({"extra.x": "\"c\""})]);
        for params in
            [json!({}), json!({"keys": {"a": "b"}}), json!({"keys": {"a": "source.ip"}, "kv_separator": ""})]
        {
            assert!(open_error("key-value", params));
        }
    }
}
