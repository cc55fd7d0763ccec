//! What parsers of IntelMQ share beyond the types of the keys: the texts that mean nothing, names of older versions, and
//! that a key is given once. Feeds that were written for IntelMQ are written for these rules.

use std::borrow::Cow;

use ipnet::IpNet;
use noroshi_model::{Datum, Fields};
use noroshi_wire::csv::{CsvFormat, Record, Records};
use noroshi_wire::{Encoding, Lines};
use serde_json::{Map, Value};

use super::Out;
use crate::convert::{self, convert, expected};
use crate::kind::{Kind, is_known, kind_of};
use crate::objects::text_of;
use crate::{Feed, FeedError, Input, Sink};

/// Whether a text means that there is no value.
pub fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "-" | "N/A")
}

/// Reads a text as the value of a key.
pub fn value<'a>(key: &str, text: &'a str) -> Option<Datum<'a>> {
    match kind_of(key) {
        Kind::Text if key.starts_with("extra.") => Some(text.into()),
        // A single address is a network of its own.
        Kind::Network if !text.contains('/') => convert::ip(text.trim()).map(IpNet::from).map(Datum::Net),
        Kind::Lower if key == "classification.taxonomy" => {
            convert(Kind::Lower, text).and_then(|datum| Some(datum.text()?.replace(' ', "-").into()))
        }
        kind => convert(kind, text),
    }
}

/// Sets a key from text; a text that means nothing sets nothing.
///
/// # Errors
/// The text is no value of the key.
pub fn put(fields: &mut Fields<'static>, key: &str, text: &str) -> Result<(), String> {
    if !is_nothing(text) {
        let datum = value(key, text).ok_or_else(|| format!("{key} is no {}", expected(kind_of(key))))?;
        fields.put(key.to_owned(), datum.into_owned());
    }
    Ok(())
}

/// Sets a key from JSON: under `extra.` as it is, elsewhere by the key's type.
///
/// # Errors
/// No event has the key, or the value is none of it.
pub fn put_json(fields: &mut Fields<'static>, key: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Null => Ok(()),
        Value::String(text) if is_nothing(text) => Ok(()),
        _ if !is_known(key) => Err("it has a key that no event has".into()),
        _ if key.starts_with("extra.") => {
            fields.put(key.to_owned(), Datum::from(value.clone()));
            Ok(())
        }
        _ => put(fields, key, &text_of(value)),
    }
}

/// Sets a key from JSON where it can be.
pub fn try_json(fields: &mut Fields<'static>, key: &str, value: &Value) -> bool {
    put_json(fields, key, value).is_ok()
}

/// The text of a member; empty where it is not there or is no text.
pub fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Cow<'a, str> {
    object.get(name).map(text_of).unwrap_or_default()
}

/// The last part of a path or a URL, without what is asked of it.
pub fn base_name(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// An instant as text, for `extra.` keys.
pub fn time_text(text: &str) -> Option<String> {
    let time = convert::time(text)?;
    let whole = time.subsec_nanosecond() == 0;
    let pattern = if whole { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S%.6f+00:00" };
    Some(time.strftime(pattern).to_string())
}

struct ByRecord<F> {
    records: Records<Input>,
    parse: F,
}

/// Reads a CSV record by record, for formats in which more depends on a record than a map can say.
pub fn by_record<F>(input: Input, format: CsvFormat, parse: F) -> Box<dyn Feed>
where
    F: FnMut(&Record, &mut Out) -> Result<(), String> + 'static,
{
    let records = Records::new(Lines::new(input, Encoding::default()), format, &[]);
    Box::new(ByRecord { records, parse })
}

impl<F: FnMut(&Record, &mut Out) -> Result<(), String>> Feed for ByRecord<F> {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        match self.records.next().transpose()? {
            None => return Ok(false),
            Some(Err(bad)) => sink.bad(bad),
            Some(Ok(record)) => {
                let mut out = Out::default();
                match (self.parse)(&record, &mut out) {
                    Ok(()) => out.hand_over(record.line, record.text(), sink),
                    Err(reason) => sink.bad(record.bad(reason)),
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_names_single_networks_and_nothing() {
        let mut fields = Fields::default();
        put(&mut fields, "classification.taxonomy", "Malicious Code").unwrap();
        put(&mut fields, "classification.type", "botnet drone").unwrap();
        put(&mut fields, "source.network", "192.0.2.1").unwrap();
        put(&mut fields, "source.fqdn", "-").unwrap();
        assert!(put(&mut fields, "source.ip", "0.0.0.0").is_err());
        assert!(put_json(&mut fields, "source.nothing", &1.into()).is_err());
        put_json(&mut fields, "extra.list", &serde_json::json!([])).unwrap();
        let mut json = Vec::new();
        fields.write_json(&mut json);
        let expected = r#"{"classification.taxonomy":"malicious-code","classification.type":"infected-system","extra.list":[],"source.network":"192.0.2.1/32"}"#;
        assert_eq!(String::from_utf8_lossy(&json), expected);
        assert_eq!(base_name("https://lists.example/lists/imap.txt?x=1/2"), "imap.txt");
    }
}
