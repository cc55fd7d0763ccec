//! One JSON object per line as flat cells by dotted path, without trusting the object: depth, count and path
//! length are bounded, and a key that is there twice is refused, since parsers disagree on which of the two
//! counts.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Most values in one object.
pub const VALUES_MAX: usize = 512;
/// Deepest nesting.
const DEPTH_MAX: usize = 16;
/// Longest dotted path in bytes.
const PATH_BYTES_MAX: usize = 512;

/// Reads one object: `{"bot": {"ip": "…"}, "seen": [1]}` has the cells `bot.ip` and `seen.0`; null is no
/// cell.
///
/// # Errors
/// A reason without any of the content.
pub fn cells(json: &str) -> Result<BTreeMap<String, String>, String> {
    let mut cells = BTreeMap::new();
    let mut reader = serde_json::Deserializer::from_str(json);
    let top = Place { cells: &mut cells, path: String::new(), depth: 0 };
    let read = top.deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|e| reason(&e))?;
    Ok(cells)
}

/// serde_json's own syntax messages do not quote the input; its data messages do, and none of ours do.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.is_data() && !OURS.iter().any(|ours| text.starts_with(ours)) {
        return "not a JSON object".into();
    }
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("not usable as JSON at column {}: {text}", error.column())
}

const TWICE: &str = "a key is there twice";
const DEEP: &str = "nested more than 16 deep";
const MANY: &str = "more than 512 values";
const LONG: &str = "a path of keys is longer than 512 bytes";
const TOP: &str = "expected an object";
const OURS: [&str; 5] = [TWICE, DEEP, MANY, LONG, TOP];

/// Where in the object a value stands.
struct Place<'a> {
    cells: &'a mut BTreeMap<String, String>,
    path: String,
    depth: usize,
}

impl Place<'_> {
    fn put<E: serde::de::Error>(self, value: String) -> Result<(), E> {
        if self.depth == 0 {
            return Err(E::custom(TOP));
        }
        if self.cells.len() == VALUES_MAX {
            return Err(E::custom(MANY));
        }
        match self.cells.insert(self.path, value) {
            None => Ok(()),
            Some(_) => Err(E::custom(TWICE)),
        }
    }

    fn below<E: serde::de::Error>(&mut self, key: &str) -> Result<Place<'_>, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(DEEP));
        }
        let path = if self.depth == 0 { key.to_owned() } else { format!("{}.{key}", self.path) };
        if path.len() > PATH_BYTES_MAX {
            return Err(E::custom(LONG));
        }
        Ok(Place { cells: self.cells, path, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = std::collections::BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let place = self.below(&key)?;
            if seen.len() == VALUES_MAX {
                return Err(A::Error::custom(MANY));
            }
            if !seen.insert(key) {
                return Err(A::Error::custom(TWICE));
            }
            map.next_value_seed(place)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        if self.depth == 0 {
            return Err(A::Error::custom(TOP));
        }
        for at in 0..=VALUES_MAX {
            if seq.next_element_seed(self.below(&at.to_string())?)?.is_none() {
                return Ok(());
            }
        }
        Err(A::Error::custom(MANY))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.put(value.to_owned())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.put(value.to_string())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        if self.depth == 0 { Err(E::custom(TOP)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_have_dotted_paths() {
        let cells = cells(r#"{"bot":{"ip":"::1","up":true},"seen":[1,null,2.5],"gone":null}"#).unwrap();
        let flat: Vec<_> = cells.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(flat, ["bot.ip=::1", "bot.up=true", "seen.0=1", "seen.2=2.5"]);
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        for json in [
            r#"{"ip":"1","ip":"2"}"#,
            r#"{"a":{"b":1},"a.b":2}"#,
            r#"{"ip":null,"ip":"2"}"#,
            r#"{"a":{},"a":{}}"#,
        ] {
            assert!(cells(json).unwrap_err().ends_with(TWICE), "{json}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_without_quoting_it() {
        for json in
            ["", "[1]", "\"secret\"", "1", "null", "{\"a\":1}x", "{\"a\":secret}", "{", "{\"a\":1e999}"]
        {
            let reason = cells(json).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn depth_count_and_paths_are_bounded() {
        let deep = format!("{}1{}", "{\"a\":".repeat(17), "}".repeat(17));
        assert!(cells(&deep).unwrap_err().contains(DEEP));
        assert!(cells(&format!("{}1{}", "[".repeat(5000), "]".repeat(5000))).is_err());
        let wide = (0..600).map(|n| format!("\"k{n}\":null")).collect::<Vec<_>>().join(",");
        assert!(cells(&format!("{{{wide}}}")).unwrap_err().contains(MANY));
        let list = vec!["0"; 600].join(",");
        assert!(cells(&format!("{{\"a\":[{list}]}}")).unwrap_err().contains(MANY));
        assert!(cells(&format!("{{\"{}\":1}}", "k".repeat(600))).unwrap_err().contains(LONG));
    }
}
