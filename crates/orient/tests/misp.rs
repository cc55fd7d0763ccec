//! MISP's own warning lists, all that `../shared/data` has: each is read, and each of its entries is found again.

use std::io::{Read, Write as _};
use std::path::PathBuf;

use noroshi_orient::enrich::{ListsBuilder, Subject};
use serde_json::Value;

/// The lists by file name.
fn lists() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let folder = std::env::var_os("NOROSHI_TEST_SHARED_DATA").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"));
    let file = std::fs::File::open(folder.join("stix.tar.zst"))?;
    let unpacked = zstd::stream::read::Decoder::new(file)?;
    let mut lists = Vec::new();
    for entry in tar::Archive::new(unpacked).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        if path.contains("/warninglists/") && path.ends_with(".json") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            lists.push((path, bytes));
        }
    }
    Ok(lists)
}

#[test]
fn every_list_is_read_and_every_entry_is_found_again() {
    let lists = match lists() {
        Ok(lists) => lists,
        Err(why) => {
            assert_eq!(why.kind(), std::io::ErrorKind::NotFound, "{why}");
            let line = format!("skipped: no warning lists ({why}; set NOROSHI_TEST_SHARED_DATA)\n");
            let _unread = std::io::stderr().write_all(line.as_bytes());
            return;
        }
    };
    let mut builder = ListsBuilder::default();
    let (mut kept, mut bad, mut not_for_us) = (0, 0, 0);
    for (path, bytes) in &lists {
        let report = builder.add(bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        kept += report.kept;
        bad += report.bad;
        not_for_us += usize::from(report.kept == 0);
        for one in &report.examples {
            println!("{path}: entry {}: {}", one.line, one.why);
        }
    }
    println!("{} lists, {not_for_us} about other things, {kept} entries, {bad} not readable", lists.len());
    assert!(lists.len() > 100 && kept > 200_000 && bad * 1000 < kept);

    let built = builder.build().unwrap();
    let mut asked = 0;
    for (path, bytes) in &lists {
        let raw: Value = serde_json::from_slice(bytes).unwrap();
        let name = raw["name"].as_str().unwrap().trim();
        if !built.names().any(|known| known == name) {
            continue;
        }
        // Of a long list every tenth entry is enough.
        let entries = raw["list"].as_array().unwrap();
        let step = if entries.len() > 5000 { 10 } else { 1 };
        for text in entries.iter().step_by(step).filter_map(Value::as_str) {
            let subject = match raw["type"].as_str().unwrap() {
                "cidr" => {
                    let ip = text.split('/').next().and_then(|ip| ip.trim().parse().ok());
                    Subject { ip, ..Subject::default() }
                }
                "regex" => continue,
                "hostname" => {
                    Subject { fqdn: Some(text.trim_start_matches(['*', '.'])), ..Subject::default() }
                }
                _ => Subject { fqdn: Some(text), url: Some(text), ..Subject::default() },
            };
            let is_readable =
                subject.ip.is_some() || subject.fqdn.is_some_and(|name| !name.contains(['/', ':', ' ']));
            if is_readable {
                assert!(built.check(&subject).contains(&name), "{path}: {text}");
                asked += 1;
            }
        }
    }
    println!("{asked} entries asked for and found");
    assert!(asked > 50_000);
}
