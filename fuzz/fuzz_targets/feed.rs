//! Any bytes as a report, in every format there is. `NOROSHI_FUZZ_FORMAT=dataplane` makes it the target of one parser;
//! without it the first byte chooses. Whatever comes in, the parser ends, keeps its line numbers in order, says whom an
//! event is about in the words of the data harmonisation, and makes JSON that can be read.
#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use noroshi_feed::kind::is_known;
use noroshi_feed::{Bundle, Report, Sink, formats, n6, open};
use noroshi_model::{Bad, Fields};

static BUNDLE: LazyLock<Bundle> = LazyLock::new(Bundle::shipped);
static FORMATS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut all: Vec<String> = formats::FORMATS.iter().map(|(name, _)| (*name).to_owned()).collect();
    all.extend(BUNDLE.formats().map(|(name, _)| name.to_owned()));
    all.extend(n6::formats());
    all.extend(["n6-shadowserver-ftp", "n6-shadowserver-dns", "n6-manual-any"].map(str::to_owned));
    all.sort();
    all.dedup();
    let one = std::env::var("NOROSHI_FUZZ_FORMAT").ok();
    all.retain(|name| one.as_ref().is_none_or(|one| one == name));
    assert!(!all.is_empty(), "no such format");
    all
});
/// Reports whose type is in their name.
const NAMES: [&str; 4] = ["scan_ssh.csv", "event4_sinkhole_http.csv", "blocklist.csv", "never_seen.csv"];
/// Parameters of the parsers that have some.
const PARAMS: [&str; 5] = [
    "{}",
    r#"{"columns": ["time.source", "source.ip|source.fqdn", "__IGNORE__", "extra.x"], "type": "scanner"}"#,
    r#"{"columns": ["source.url", "extra.json"], "delimiter": ";", "skip_header": true, "time_format": "fuzzy", "default_url_protocol": "http://"}"#,
    r#"{"keys": {"ip": "source.ip"}, "pair_separator": ",", "kv_separator": ":", "strip_quotes": true, "minimal_mode": true, "category": "cnc"}"#,
    r#"{"columns": "time,ip,dport,fqdn,-,url", "category": "bots", "field_separator": ";", "time_format": "%d.%m.%Y %H:%M:%S", "event": {"name": "x"}}"#,
];

struct Checking {
    line: u64,
}

impl Sink for Checking {
    fn event(&mut self, line: u64, mut fields: Fields<'_>) {
        assert!(line >= self.line, "line {line} after {}", self.line);
        self.line = line;
        for (key, _) in fields.iter() {
            assert!(is_known(key) || key.starts_with("feed."), "{key}");
        }
        let mut json = Vec::new();
        fields.seal("2026-11-22", &mut json);
        fields.finish(&mut json);
        serde_json::from_slice::<serde_json::Value>(&json).expect("JSON");
    }

    fn filtered(&mut self, _line: u64) {}

    fn bad(&mut self, bad: Bad) {
        assert!(!bad.reason.is_empty() && bad.snippet.len() <= 64 << 10);
    }
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (format, choice, bytes) = input;
    let params = PARAMS[usize::from(choice >> 2) % PARAMS.len()];
    let report = Report {
        format: FORMATS[usize::from(format) % FORMATS.len()].clone(),
        feed_name: "fuzz".into(),
        feed_url: None,
        file_name: Some(NAMES[usize::from(choice) % NAMES.len()].into()),
        params: serde_json::from_str(params).expect("parameters"),
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut sink = Checking { line: 0 };
    if let Ok(mut feed) = open(&BUNDLE, &report, Box::new(Cursor::new(bytes.to_vec()))) {
        while let Ok(true) = feed.step(&mut sink) {}
    }
});
