//! Runs a text through a format, for the formats' own tests.

use noroshi_model::{Bad, Fields};
use serde_json::{Map, Value};

use crate::{Bundle, Report, Sink, open};

/// What a text was found to hold.
#[derive(Default)]
pub struct Got {
    /// The events.
    pub events: Vec<Value>,
    /// What was left out.
    pub filtered: u64,
    /// What cannot be used.
    pub bad: Vec<Bad>,
}

impl Sink for Got {
    fn event(&mut self, _line: u64, mut fields: Fields<'_>) {
        let mut json = Vec::new();
        fields.write_json(&mut json);
        self.events.push(serde_json::from_slice(&json).expect("fields are JSON"));
    }

    fn filtered(&mut self, _line: u64) {
        self.filtered += 1;
    }

    fn bad(&mut self, bad: Bad) {
        self.bad.push(bad);
    }
}

/// A report of which nothing is known but its format and parameters.
pub fn report(format: &str, params: Value) -> Report {
    let params = if let Value::Object(params) = params { params } else { Map::new() };
    Report {
        format: format.into(),
        feed_name: "trial".into(),
        feed_url: None,
        file_name: None,
        params,
        now: "2026-11-22T00:00:00Z".parse().expect("a time"),
    }
}

/// Reads `text` as a report.
pub fn read_as(report: &Report, text: &str) -> Got {
    let input = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
    let mut feed = open(&Bundle::shipped(), report, input).expect("the format opens");
    let mut got = Got::default();
    while feed.step(&mut got).expect("the text can be read") {}
    got
}

/// Reads `text` in a format.
pub fn read(format: &str, params: Value, text: &str) -> Got {
    read_as(&report(format, params), text)
}

/// Whether a format refuses parameters.
pub fn open_error(format: &str, params: Value) -> bool {
    open(&Bundle::shipped(), &report(format, params), Box::new(std::io::empty())).is_err()
}
