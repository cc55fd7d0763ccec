//! Our log before a foreign judge: aics-tlog accepts it, and refuses what we refuse.
//!
//! `NOROSHI_TEST_AICS` names a Python that has it (`cargo xtask test` makes one); in CI it must.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use noroshi_law::Ledger as _;
use noroshi_law::evidence::note::Signer;
use noroshi_law::evidence::tile::{bundle, unbundle};
use noroshi_law::evidence::tree::leaf_hash;
use noroshi_store::evidence::EvidenceLog;
use noroshi_store::{Address, Store};

use super::evidence::{audited, files, lay, records, signer};
use super::record;

/// A log in tiles, and the documents that an auditor was given.
#[derive(Clone)]
struct Case {
    files: BTreeMap<String, Vec<u8>>,
    older: String,
    proof: String,
    growth: String,
}

/// A log of 300 entries, then 1100; `odd` in one entry's place makes another history of the same length.
fn grown(signer: &Signer, odd: Option<u64>) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Address::Sqlite(folder.path().join("log.db"))).unwrap();
    let mut log = EvidenceLog::new(&store, signer, None);
    let mut all = records(0, 1100);
    if let Some(odd) = odd {
        all[odd as usize] = record("somebody else");
    }
    log.append_all(&all[..300]).unwrap();
    let tiles = folder.path().join("tiles");
    log.export_tiles(&tiles).unwrap();
    let older = std::fs::read_to_string(tiles.join("checkpoint")).unwrap();
    log.append_all(&all[300..]).unwrap();
    log.export_tiles(&tiles).unwrap();
    let proof = serde_json::to_string(&log.prove(777).unwrap().unwrap()).unwrap();
    let growth = serde_json::to_string(&log.prove_growth(300).unwrap().unwrap()).unwrap();
    Case { files: files(&tiles), older, proof, growth }
}

/// What the foreign implementation says.
fn judged(python: &str, case: &Case, key: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let tiles = folder.path().join("tiles");
    lay(&tiles, &case.files);
    let given = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/foreign.py");
    let mut command = Command::new(python);
    command.arg(script).arg(&tiles).arg(given("key", key)).arg(given("older", &case.older));
    command.arg(given("proof", &case.proof)).arg(given("growth", &case.growth));
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        Some(1) => Err(text(&output.stderr)),
        other => panic!("{other:?}: {}", text(&output.stderr)),
    }
}

/// Changes the entries of a bundle and, so that it is not the bundle alone that differs, their hashes.
fn rewritten(files: &mut BTreeMap<String, Vec<u8>>, tile: &str, change: impl Fn(&mut Vec<Vec<u8>>)) {
    let path = format!("tile/entries/{tile}");
    let mut entries: Vec<Vec<u8>> =
        unbundle(&files[&path]).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    change(&mut entries);
    let hashes: Vec<u8> = entries.iter().flat_map(|entry| leaf_hash(entry).0).collect();
    files.insert(path, bundle(entries.iter().map(Vec::as_slice)).unwrap());
    files.insert(format!("tile/0/{tile}"), hashes);
}

#[test]
fn a_foreign_implementation_accepts_our_log_and_refuses_what_we_refuse() {
    let Ok(python) = std::env::var("NOROSHI_TEST_AICS") else {
        assert!(std::env::var("CI").is_err(), "NOROSHI_TEST_AICS is not set in CI");
        let _unread = std::io::stderr()
            .write_all(b"SKIPPED: NOROSHI_TEST_AICS is not set; `cargo xtask test` sets it\n");
        return;
    };
    let signer = signer();
    let key = signer.verifier().line();
    let good = grown(&signer, None);
    let said = judged(&python, &good, &key);
    assert_eq!(said, Ok("accepted: 1100 entries, 6 tiles, 5 bundles".to_owned()));
    assert!(audited(&good.files, std::slice::from_ref(&good.older), &signer).intact());
    let stranger = self::signer().verifier().line();
    assert!(judged(&python, &good, &stranger).is_err(), "another's key");

    let mut refused = 0;
    let mut both_refuse = |what: &str, files: BTreeMap<String, Vec<u8>>| {
        assert_ne!(files, good.files, "{what}");
        let case = Case { files, ..good.clone() };
        let theirs = judged(&python, &case, &key);
        assert!(theirs.as_ref().is_err_and(|why| why.starts_with("refused: ")), "{what}: {theirs:?}");
        let ours = audited(&case.files, &[case.older], &signer);
        assert!(!ours.intact(), "{what}: we accept it");
        refused += 1;
    };
    for path in ["tile/entries/002", "tile/0/001", "tile/0/004.p/76", "tile/1/000.p/4", "checkpoint"] {
        let mut flipped = good.files.clone();
        let bytes = flipped.get_mut(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        both_refuse(&format!("a bit of {path}"), flipped);
    }
    for tile in ["001", "004.p/76"] {
        let mut dropped = good.files.clone();
        rewritten(&mut dropped, tile, |entries| drop(entries.remove(20)));
        both_refuse(&format!("a leaf dropped from {tile}"), dropped);
        let mut swapped = good.files.clone();
        rewritten(&mut swapped, tile, |entries| entries.swap(20, 21));
        both_refuse(&format!("two leaves swapped in {tile}"), swapped);
    }
    // Another history, whole in itself and signed with the same key.
    let forked = grown(&signer, Some(123));
    assert!(judged(&python, &forked, &key).is_ok(), "by itself it is a log like any other");
    both_refuse("a forked head", forked.files);
    assert_eq!(refused, 10);
}
