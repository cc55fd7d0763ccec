//! Runs a text through a format, for the tests of the formats.

use noroshi_model::{Bad, Fields};
use serde_json::{Map, Value};

use crate::{Bundle, Report, Sink, open};

/// What a text was found to hold.
#[derive(Default)]
pub struct Parsed {
    /// The events with their lines.
    pub events: Vec<(u64, Map<String, Value>)>,
    bad: Vec<Bad>,
    filtered: u64,
    shown: Vec<Vec<(String, String)>>,
}

impl Parsed {
    /// The lines of events and of what was refused.
    pub fn lines(&self) -> String {
        let events: Vec<u64> = self.events.iter().map(|(line, _)| *line).collect();
        let bad: Vec<u64> = self.bad.iter().map(|bad| bad.line).collect();
        format!("{events:?} bad {bad:?} filtered {}", self.filtered)
    }

    /// The text of one fact; empty where it is not there.
    pub fn fact(&self, at: usize, key: &str) -> &str {
        let facts = self.shown.get(at).map(Vec::as_slice).unwrap_or_default();
        facts.iter().find(|(k, _)| k == key).map_or("", |(_, text)| text.as_str())
    }
}

impl Sink for Parsed {
    fn event(&mut self, line: u64, mut fields: Fields<'_>) {
        let mut json = Vec::new();
        fields.write_json(&mut json);
        let event: Map<String, Value> = serde_json::from_slice(&json).expect("fields are JSON");
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        self.shown.push(event.iter().map(|(k, v)| (k.clone(), text(v))).collect());
        self.events.push((line, event));
    }

    fn filtered(&mut self, _: u64) {
        self.filtered += 1;
    }

    fn bad(&mut self, bad: Bad) {
        self.bad.push(bad);
    }
}

/// Runs `text` through a format.
pub fn parsed(format: &str, text: &str, params: impl Into<Value>) -> Parsed {
    let Value::Object(params) = params.into() else { return parsed(format, text, Map::new()) };
    let report = Report {
        format: format.into(),
        feed_name: "test".into(),
        feed_url: Some("https://feed.example/".into()),
        file_name: None,
        params,
        now: "2026-11-22T00:00:00Z".parse().unwrap(),
    };
    let input = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
    let mut feed = open(&Bundle::shipped(), &report, input).expect("the format opens");
    let mut got = Parsed::default();
    while feed.step(&mut got).expect("the text can be read") {}
    got
}
