//! Where the captures and cases of others lie, and how a report is run through a parser.

use std::path::PathBuf;

use noroshi_feed::{Bundle, Report, Sink, open};
use noroshi_model::{Bad, Fields};
use serde_json::{Map, Value};

/// The folder of shared data, or `None` with the reason printed.
pub fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NOROSHI_TEST_SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let folder = root.join(name);
    if !folder.is_dir() {
        println!("skipped: the cases of {name} are not beside this checkout");
        return None;
    }
    Some(folder)
}

/// The JSON files of a folder, in order.
pub fn cases(folder: &std::path::Path) -> Vec<(String, Value)> {
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("INDEX"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

/// What a report was found to hold.
#[derive(Default)]
pub struct Got {
    pub events: Vec<Map<String, Value>>,
    pub filtered: u64,
    pub bad: Vec<Bad>,
    pub error: Option<String>,
}

impl Sink for Got {
    fn event(&mut self, _line: u64, mut fields: Fields<'_>) {
        let mut json = Vec::new();
        fields.write_json(&mut json);
        self.events.push(serde_json::from_slice(&json).expect("the JSON form can be read"));
    }

    fn filtered(&mut self, _line: u64) {
        self.filtered += 1;
    }

    fn bad(&mut self, bad: Bad) {
        self.bad.push(bad);
    }
}

/// Runs a report through its parser.
pub fn run(report: &Report, raw: &str) -> Got {
    run_with(&Bundle::shipped(), report, raw)
}

/// Runs a report through the parser that a bundle has for it.
pub fn run_with(bundle: &Bundle, report: &Report, raw: &str) -> Got {
    let mut got = Got::default();
    let input = Box::new(std::io::Cursor::new(raw.as_bytes().to_vec()));
    match open(bundle, report, input) {
        Err(e) => got.error = Some(e.to_string()),
        Ok(mut feed) => loop {
            match feed.step(&mut got) {
                Ok(true) => {}
                Ok(false) => break,
                Err(e) => {
                    got.error = Some(e.to_string());
                    break;
                }
            }
        },
    }
    got
}
