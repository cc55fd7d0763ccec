//! An event while it is being made: the flat fields of IntelMQ's data harmonisation, still borrowing from the line they
//! were read from. Feeds bring millions of these; an [`Event`](crate::Event) with a map of its own is made only of the
//! few that the loop goes on with.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_law::evidence::Digest;
use serde_json::Value;

use crate::event::{NOT_IDENTITY, NOTES};

/// Whether a field says what was observed, and not when and how it reached us or what we noted.
pub fn is_identity(key: &str) -> bool {
    !NOT_IDENTITY.contains(&key) && !key.starts_with(NOTES)
}

/// The value of one field.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Real(f64),
    /// Yes or no.
    Truth(bool),
    /// An instant, in UTC.
    Time(Timestamp),
    /// An address.
    Ip(IpAddr),
    /// A network, host bits cleared.
    Net(IpNet),
    /// A list or an object.
    Json(Value),
}

impl<'a> From<&'a str> for Datum<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Datum<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Value> for Datum<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Cow::Owned(text)),
            Value::Bool(truth) => Self::Truth(truth),
            Value::Number(n) => match n.as_i64() {
                Some(whole) => Self::Int(whole),
                None => n.as_f64().map_or_else(|| Self::Text(n.to_string().into()), Self::Real),
            },
            other => Self::Json(other),
        }
    }
}

impl Datum<'_> {
    /// The same value, borrowing its text.
    pub fn borrowed(&self) -> Datum<'_> {
        match self {
            Self::Text(text) => Datum::Text(Cow::Borrowed(text)),
            Self::Int(n) => Datum::Int(*n),
            Self::Real(n) => Datum::Real(*n),
            Self::Truth(t) => Datum::Truth(*t),
            Self::Time(t) => Datum::Time(*t),
            Self::Ip(ip) => Datum::Ip(*ip),
            Self::Net(net) => Datum::Net(*net),
            Self::Json(value) => Datum::Json(value.clone()),
        }
    }

    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> Datum<'static> {
        match self {
            Self::Text(text) => Datum::Text(Cow::Owned(text.into_owned())),
            Self::Int(n) => Datum::Int(n),
            Self::Real(n) => Datum::Real(n),
            Self::Truth(t) => Datum::Truth(t),
            Self::Time(t) => Datum::Time(t),
            Self::Ip(ip) => Datum::Ip(ip),
            Self::Net(net) => Datum::Net(net),
            Self::Json(value) => Datum::Json(value),
        }
    }

    /// As text, where it is text.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Appends the JSON form.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => quoted(text, out),
            // Writing to a vector cannot fail.
            Self::Int(n) => drop(write!(out, "{n}")),
            Self::Real(n) => out.extend_from_slice(Value::from(*n).to_string().as_bytes()),
            Self::Truth(t) => out.extend_from_slice(if *t { b"true" } else { b"false" }),
            Self::Time(t) => drop(write!(out, "\"{t}\"")),
            Self::Ip(ip) => drop(write!(out, "\"{ip}\"")),
            Self::Net(net) => drop(write!(out, "\"{net}\"")),
            Self::Json(value) => sorted(value, out),
        }
    }
}

/// The fields of one event, at most one of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields<'a> {
    list: Vec<(Cow<'a, str>, Datum<'a>)>,
    sorted: bool,
}

impl<'a> Fields<'a> {
    /// No fields yet, with room for `count`.
    pub fn with_capacity(count: usize) -> Self {
        Self { list: Vec::with_capacity(count), sorted: false }
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Datum<'a>> {
        self.list.iter().find(|(k, _)| k == key).map(|(_, datum)| datum)
    }

    /// Whether a key has a value.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets a key, replacing what it had.
    pub fn put(&mut self, key: impl Into<Cow<'a, str>>, datum: impl Into<Datum<'a>>) {
        let (key, datum) = (key.into(), datum.into());
        match self.list.iter_mut().rev().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = datum,
            None => self.push(key, datum),
        }
    }

    /// Sets a key that has no value yet; false where it had one, which stays.
    pub fn offer(&mut self, key: impl Into<Cow<'a, str>>, datum: impl Into<Datum<'a>>) -> bool {
        let key = key.into();
        let free = !self.has(&key);
        if free {
            self.push(key, datum.into());
        }
        free
    }

    /// Adds a field whose key is known to be free.
    #[inline]
    pub fn push(&mut self, key: Cow<'a, str>, datum: Datum<'a>) {
        self.sorted = false;
        self.list.push((key, datum));
    }

    /// Adds a field whose key is known to come after those there are, which saves sorting them.
    #[inline]
    pub fn push_last(&mut self, key: &'a str, datum: Datum<'a>) {
        debug_assert!(self.list.last().is_none_or(|(last, _)| last.as_ref() < key), "{key} is not last");
        self.sorted |= self.list.is_empty();
        self.list.push((Cow::Borrowed(key), datum));
    }

    /// Takes a field out.
    pub fn take(&mut self, key: &str) -> Option<Datum<'a>> {
        let at = self.list.iter().position(|(k, _)| k == key)?;
        Some(self.list.remove(at).1)
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Datum<'a>)> {
        self.list.iter().map(|(key, datum)| (key.as_ref(), datum))
    }

    /// Brings the keys into order, which the JSON form and the identity are written in.
    pub fn sort(&mut self) {
        if !self.sorted {
            self.list.sort_by(|a, b| a.0.cmp(&b.0));
            self.sorted = true;
        }
    }

    /// Appends the JSON object, keys sorted.
    pub fn write_json(&mut self, out: &mut Vec<u8>) {
        self.sort();
        self.write_those(out, |_| true);
    }

    /// Appends the part of the JSON object that makes the event's identity, without when and how it was received, and
    /// returns the id: the first 128 bits of SHA-256, as [`Event::id`](crate::Event::id) has it for the event these fields
    /// make. `day` stands in for the time of an event that has none, so that an undated list that names an address again
    /// tomorrow is a new observation.
    pub fn seal(&mut self, day: &str, json: &mut Vec<u8>) -> [u8; 16] {
        const KIND: &[u8] = b"event";
        self.sort();
        let start = json.len();
        self.write_those(json, is_identity);
        let text = &json[start..];
        let day = if self.has("time.source") { "" } else { day };
        let lengths = [KIND.len() as u64, (text.len() + day.len()) as u64].map(u64::to_be_bytes);
        let digest = Digest::of_parts(&[&lengths[0], KIND, &lengths[1], text, day.as_bytes()]).0;
        std::array::from_fn(|i| digest[i])
    }

    /// Appends the fields that [`seal`](Self::seal) left out to its object.
    pub fn finish(&self, json: &mut Vec<u8>) {
        for (key, datum) in self.iter().filter(|(key, _)| !is_identity(key)) {
            append(json, key, datum);
        }
    }

    fn write_those(&self, out: &mut Vec<u8>, wanted: impl Fn(&str) -> bool) {
        out.push(b'{');
        let mut first = true;
        for (key, datum) in &self.list {
            if !wanted(key) {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            quoted(key, out);
            out.push(b':');
            datum.write_json(out);
        }
        out.push(b'}');
    }

    /// The same fields, borrowing nothing.
    pub fn into_owned(self) -> Fields<'static> {
        let list = self.list.into_iter().map(|(k, d)| (Cow::Owned(k.into_owned()), d.into_owned())).collect();
        Fields { list, sorted: self.sorted }
    }
}

/// Adds a field to the JSON object at the end of `json`.
pub fn append(json: &mut Vec<u8>, key: &str, datum: &Datum<'_>) {
    json.pop();
    if json.last() != Some(&b'{') {
        json.push(b',');
    }
    quoted(key, json);
    json.push(b':');
    datum.write_json(json);
    json.push(b'}');
}

/// A value with the members of its objects in order, so that an identity does not depend on the order in which somebody
/// wrote them, nor on how serde_json was built.
fn sorted(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (n, (name, value)) in members.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                quoted(name, out);
                out.push(b':');
                sorted(value, out);
            }
            out.push(b'}');
        }
        Value::Array(list) => {
            out.push(b'[');
            for (n, value) in list.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                sorted(value, out);
            }
            out.push(b']');
        }
        // Writing to a vector cannot fail.
        plain => drop(serde_json::to_writer(out, plain)),
    }
}

/// A JSON string. Most texts need no escapes, and the check for that is quicker than escaping.
fn quoted(text: &str, out: &mut Vec<u8>) {
    // Without an early end this is a few vector instructions.
    if text.bytes().fold(false, |found, b| found | (b < 0x20) | (b == b'"') | (b == b'\\')) {
        // Writing to a vector cannot fail.
        drop(serde_json::to_writer(out, text));
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClassificationType, Event};

    #[test]
    fn fields_and_the_event_they_make_have_one_identity() {
        let t: Timestamp = "2026-11-20T03:12:00Z".parse().unwrap();
        let mut event = Event::new(t, t, ClassificationType::InfectedSystem, "sinkhole \"x\"", "c-1");
        event.source.ip = Some("2001:db8::7".parse().unwrap());
        event.more.insert("extra.text".into(), "tab\tand 狼煙".into());
        event.more.insert("extra.real".into(), 0.25.into());
        event.more.insert("extra.noroshi.measure".into(), "m".into());
        let mut fields = Fields::default();
        for (key, value) in event.to_intelmq() {
            fields.put(key, value);
        }
        fields.put("time.source", Datum::Time(t));
        fields.put("source.ip", Datum::Ip(event.source.ip.unwrap()));
        let mut json = Vec::new();
        let id = fields.seal("2026-11-22", &mut json);
        let text: String = id.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(text, event.id().as_str());
        fields.finish(&mut json);
        assert_eq!(serde_json::from_slice::<Event>(&json).unwrap(), event);
        json.clear();
        fields.write_json(&mut json);
        assert_eq!(serde_json::from_slice::<Event>(&json).unwrap(), event);
    }

    #[test]
    fn an_undated_event_is_new_on_another_day() {
        let mut fields = Fields::default();
        fields.put("source.ip", "192.0.2.1");
        let mut seal = |day: &str| fields.seal(day, &mut Vec::new());
        let today = seal("2026-11-22");
        assert_eq!(today, seal("2026-11-22"));
        assert_ne!(today, seal("2026-11-23"));
    }
}
