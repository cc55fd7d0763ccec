//! Any bytes as a sample: what is proposed is a map that can be read, and that reads the sample without panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use noroshi_feed::map::MapFile;
use noroshi_feed::propose::{Wish, propose};
use noroshi_feed::{Sink, mapped};
use noroshi_model::{Bad, Fields};

struct Nothing;

impl Sink for Nothing {
    fn event(&mut self, _line: u64, _fields: Fields<'_>) {}
    fn filtered(&mut self, _line: u64) {}
    fn bad(&mut self, _bad: Bad) {}
}

fuzz_target!(|bytes: &[u8]| {
    let wish = Wish { name: "fuzz".into(), kind: None, zone: None };
    if let Ok(text) = propose(&String::from_utf8_lossy(bytes), &wish) {
        let map = MapFile::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let mut feed = mapped(&map, None, Box::new(std::io::Cursor::new(bytes.to_vec()))).expect("a reader");
        while let Ok(true) = feed.step(&mut Nothing) {}
    }
});
