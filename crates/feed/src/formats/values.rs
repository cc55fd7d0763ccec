//! JSON members → fields. What a publisher leaves open it writes in several ways (`null`, an empty text, a dash); none of
//! them is a value, and every format in JSON needs to know that.

use noroshi_model::{Datum, Fields};
use serde_json::{Map, Value};

use crate::convert::try_add_owned;
use crate::objects::text_of;

/// Sets `key` to a JSON value: under `extra.` as it is, elsewhere by the key's type. Says whether it did; a value that
/// means that there is none, or that is none of the key, is passed over.
pub fn put(fields: &mut Fields<'static>, key: &str, value: &Value) -> bool {
    if is_none(value) {
        return false;
    }
    if key.starts_with("extra.") {
        fields.put(key.to_owned(), Datum::from(value.clone()));
        return true;
    }
    try_add_owned(fields, key, &text_of(value))
}

/// Sets the keys of a table `(member, key)` from an object.
pub fn put_all(fields: &mut Fields<'static>, object: &Map<String, Value>, table: &[(&str, &str)]) {
    for (member, key) in table {
        if let Some(value) = object.get(*member) {
            put(fields, key, value);
        }
    }
}

/// Whether a value says that there is none.
pub fn is_none(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "-" | "N/A"),
        _ => false,
    }
}

/// A time as text, for the free part of an event: with six digits of a second or none, and `+00:00` for UTC.
pub fn time_text(at: jiff::Timestamp) -> String {
    let format = if at.subsec_nanosecond() < 1000 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S.%6f" };
    format!("{}+00:00", at.strftime(format))
}

/// The text of a member; empty where it is not there or is no text.
pub fn text<'a>(object: &'a Map<String, Value>, member: &str) -> &'a str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The objects of a list that is a member.
pub fn objects<'a>(
    object: &'a Map<String, Value>,
    member: &str,
) -> impl Iterator<Item = &'a Map<String, Value>> + use<'a> {
    object.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_text() {
        let shown = |text: &str| time_text(text.parse().unwrap());
        assert_eq!(shown("2020-05-24T22:45:28.48742Z"), "2020-05-24T22:45:28.487420+00:00");
        assert_eq!(shown("2020-05-24T22:45:28Z"), "2020-05-24T22:45:28+00:00");
    }

    #[test]
    fn what_means_nothing_sets_nothing() {
        let mut fields = Fields::default();
        for value in [Value::Null, "".into(), " - ".into(), "N/A".into()] {
            assert!(!put(&mut fields, "extra.a", &value));
        }
        assert!(!put(&mut fields, "source.port", &70_000.into()));
        assert!(put(&mut fields, "source.port", &"80".into()));
        assert!(put(&mut fields, "extra.no", &false.into()));
        assert_eq!(fields.len(), 2);
    }
}
