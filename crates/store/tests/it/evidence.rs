//! The evidence log: many entries under one signature, proofs of stored hashes, the log as a folder of tiles that is complete
//! whenever it breaks off, and what is counted of it.

use std::collections::BTreeMap;
use std::path::Path;

use noroshi_law::Ledger as _;
use noroshi_law::evidence::audit::{Report, audit_tiles};
use noroshi_law::evidence::disclosure::{Disclosure, UNKNOWN_MEASURE};
use noroshi_law::evidence::note::Signer;
use noroshi_law::evidence::tile::ENTRY_BYTES_MAX;
use noroshi_law::{Record, Register};
use noroshi_store::evidence::{BATCH_MAX, EvidenceLog, HeadFile};
use noroshi_store::tiles::{Exported, TilesError};
use noroshi_store::{Store, StoreError};

use super::{on_both, record};

pub fn signer() -> Signer {
    Signer::load("log.example/evidence", &Signer::generate().unwrap()).unwrap()
}

pub fn records(from: u64, count: u64) -> Vec<Record> {
    (from..from + count).map(|n| record(&format!("subject {n}"))).collect()
}

/// The files of a folder by their paths, but what is not served.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.file_name().unwrap().to_str().unwrap().starts_with('.') {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

pub fn lay(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

pub fn audited(files: &BTreeMap<String, Vec<u8>>, older: &[String], signer: &Signer) -> Report {
    audit_tiles(|path| files.get(path).cloned(), older, &signer.verifier())
}

fn count(store: &Store, table: &str) -> i64 {
    store.tx("t", |tx| tx.number(&format!("SELECT COUNT(*) FROM {table}"), &[])).unwrap()
}

#[test]
fn many_records_are_one_signature_and_each_can_be_proved() {
    on_both(|store| {
        let (signer, folder) = (signer(), tempfile::tempdir().unwrap());
        let head = HeadFile::at(&folder.path().join("head"));
        let mut log = EvidenceLog::new(store, &signer, Some(&head));
        assert!(log.append_all(&[]).unwrap().is_empty());
        assert_eq!(log.append(record("first")).unwrap(), 0);
        let indices = log.append_all(&records(1, 700)).unwrap();
        assert_eq!(indices, (1..=700).collect::<Vec<u64>>());
        assert_eq!(log.append(record("last")).unwrap(), 701);
        assert_eq!(count(store, "evidence_checkpoint"), 3);
        assert_eq!(count(store, "evidence_hash"), 2);
        let report = log.verify().unwrap();
        assert!(report.intact() && report.entries == 702, "{:?}", report.faults);
        assert_eq!(head.read().unwrap().lines().nth(1), Some("702"));
        for index in [0, 1, 255, 256, 511, 512, 700, 701] {
            log.prove(index).unwrap().unwrap().verify(&signer.verifier()).unwrap();
        }
        assert!(log.prove(702).unwrap().is_none());
        for from in [1, 701, 702] {
            let growth = log.prove_growth(from).unwrap().unwrap();
            assert_eq!(growth.verify(&signer.verifier()).unwrap(), (from, 702));
        }
        assert!(log.prove_growth(300).unwrap().is_none(), "no checkpoint of 300 entries was signed");
        assert_eq!(log.signed_sizes_around(300).unwrap(), [1, 701]);
    });
}

#[test]
fn more_than_a_batch_is_several_and_an_entry_too_long_is_none() {
    on_both(|store| {
        let signer = signer();
        let mut log = EvidenceLog::new(store, &signer, None);
        let count_all = BATCH_MAX as u64 + 10;
        assert_eq!(log.append_all(&records(0, count_all)).unwrap().len() as u64, count_all);
        assert_eq!(count(store, "evidence_checkpoint"), 2);
        let long = record(&"x".repeat(ENTRY_BYTES_MAX));
        assert!(log.append_all(&[record("short"), long]).is_err());
        assert_eq!(count(store, "evidence") as u64, count_all, "neither of the two");
        assert!(log.verify().unwrap().intact());
    });
}

#[test]
fn a_log_from_before_hashes_were_stored_is_proved_all_the_same_and_gets_them() {
    on_both(|store| {
        let signer = signer();
        let mut log = EvidenceLog::new(store, &signer, None);
        log.append_all(&records(0, 1000)).unwrap();
        store.tx("t", |tx| tx.execute("DELETE FROM evidence_hash", &[])).unwrap();
        log.prove(999).unwrap().unwrap().verify(&signer.verifier()).unwrap();
        log.append_all(&records(1000, 30)).unwrap();
        assert_eq!(count(store, "evidence_hash"), 4);
        assert!(log.verify().unwrap().intact());
    });
}

#[test]
fn a_stored_hash_that_was_changed_is_told_and_no_proof_is_made_of_it() {
    on_both(|store| {
        let signer = signer();
        let mut log = EvidenceLog::new(store, &signer, None);
        log.append_all(&records(0, 600)).unwrap();
        let sql = "UPDATE evidence_hash SET hash = (SELECT leaf FROM evidence WHERE idx = 3) WHERE idx = 1";
        store.tx("t", |tx| tx.execute(sql, &[])).unwrap();
        let told = log.verify().unwrap().faults[0].to_string();
        assert_eq!(told, "the tree's stored hash over entries 256 to 511 is not theirs");
        assert!(matches!(log.prove(1), Err(StoreError::Corrupt(_))));
        let folder = tempfile::tempdir().unwrap();
        assert!(log.export_tiles(folder.path()).is_err());
        assert!(!folder.path().join("checkpoint").exists(), "nothing is published that was not signed");
    });
}

#[test]
fn a_checkpoint_that_somebody_kept_shows_a_log_that_was_cut_or_rewritten() {
    on_both(|store| {
        let signer = signer();
        let mut log = EvidenceLog::new(store, &signer, None);
        log.append_all(&records(0, 20)).unwrap();
        log.append_all(&records(20, 5)).unwrap();
        let kept = log.prove_growth(25).unwrap().unwrap().to;
        let faults = |kept: &str| log.verify_against(&signer.verifier(), &[kept.to_owned()]).unwrap().faults;
        assert!(faults(&kept).is_empty());
        let cut = "DELETE FROM evidence WHERE idx >= 20";
        store.tx("t", |tx| tx.execute(cut, &[])).unwrap();
        let cut = "DELETE FROM evidence_checkpoint WHERE size > 20";
        store.tx("t", |tx| tx.execute(cut, &[])).unwrap();
        assert!(log.verify().unwrap().intact(), "by itself it is a log like any other");
        assert_eq!(faults(&kept)[0].to_string(), "entries 20 to 24 are missing");
        assert!(!faults("what is no checkpoint").is_empty());
    });
}

#[test]
fn tiles_are_written_as_the_log_grows_and_what_is_full_replaces_what_was_partial() {
    on_both(|store| {
        let (signer, folder) = (signer(), tempfile::tempdir().unwrap());
        let mut log = EvidenceLog::new(store, &signer, None);
        let export = || EvidenceLog::new(store, &signer, None).export_tiles(folder.path()).unwrap();
        assert_eq!(export(), Exported { from: 0, entries: 0, files: 0 });
        let mut older = Vec::new();
        let mut size = 0;
        for more in [1, 254, 1, 1, 300, 3000] {
            log.append_all(&records(size, more)).unwrap();
            let exported = export();
            assert_eq!((exported.from, exported.entries), (size, size + more));
            size += more;
            let files = files(folder.path());
            let report = audited(&files, &older, &signer);
            assert!(report.intact() && report.entries == size, "{size}: {:?}", report.faults);
            older.push(String::from_utf8(files["checkpoint"].clone()).unwrap());
            assert_eq!(export(), Exported { from: size, entries: size, files: 0 }, "nothing twice");
        }
        assert!(folder.path().join("tile/0/012").exists() && !folder.path().join("tile/0/000.p").exists());
    });
}

#[test]
fn a_folder_is_a_complete_log_at_whatever_file_the_writing_breaks_off() {
    on_both(|store| {
        let (signer, folder) = (signer(), tempfile::tempdir().unwrap());
        let mut log = EvidenceLog::new(store, &signer, None);
        log.append_all(&records(0, 300)).unwrap();
        log.export_tiles(folder.path()).unwrap();
        let before = files(folder.path());
        log.append_all(&records(300, 900)).unwrap();
        log.export_tiles(folder.path()).unwrap();
        let after = files(folder.path());
        let new: Vec<&String> =
            after.keys().filter(|path| !before.contains_key(*path) && *path != "checkpoint").collect();
        assert!(new.len() > 8, "{new:?}");
        for written in 0..=new.len() {
            let broken = tempfile::tempdir().unwrap();
            lay(broken.path(), &before);
            lay(broken.path(), &new[..written].iter().map(|p| ((*p).clone(), after[*p].clone())).collect());
            // What was being written has no name yet.
            let torn = "tile/entries/.002.new";
            lay(broken.path(), &[(torn.to_owned(), vec![1, 2])].into());
            let report = audited(&files(broken.path()), &[], &signer);
            assert!(report.intact() && report.entries == 300, "{written}: {:?}", report.faults);
            log.export_tiles(broken.path()).unwrap();
            assert_eq!(files(broken.path()), after, "{written}");
        }
    });
}

#[test]
fn a_folder_of_another_log_or_of_more_entries_than_there_are_is_left_alone() {
    on_both(|store| {
        let (signer, folder) = (signer(), tempfile::tempdir().unwrap());
        let mut log = EvidenceLog::new(store, &signer, None);
        log.append_all(&records(0, 10)).unwrap();
        log.append_all(&records(10, 10)).unwrap();
        log.export_tiles(folder.path()).unwrap();
        let before = files(folder.path());
        let told = |log: &EvidenceLog<'_>| match log.export_tiles(folder.path()) {
            Err(TilesError::Forked(why)) => why,
            other => panic!("{other:?}"),
        };
        let stranger = self::signer();
        assert!(told(&EvidenceLog::new(store, &stranger, None)).contains("another log"));
        for sql in ["DELETE FROM evidence WHERE idx >= 10", "DELETE FROM evidence_checkpoint WHERE size > 10"]
        {
            store.tx("t", |tx| tx.execute(sql, &[])).unwrap();
        }
        assert!(told(&log).contains("cut off"), "{}", told(&log));
        assert_eq!(files(folder.path()), before);
    });
}

#[test]
fn the_log_is_counted_once_as_it_grows_by_measure_and_rule() {
    on_both(|store| {
        let signer = signer();
        let mut log = EvidenceLog::new(store, &signer, None);
        log.append_all(&records(0, 12_000)).unwrap();
        let counts = log.counts(1).unwrap();
        assert_eq!(counts.counted, 5000, "a page that is asked for counts only so many");
        let odd = Record { measure: "a person".into(), rule: UNKNOWN_MEASURE.into(), ..record("x") };
        log.append_all(&[odd.clone(), odd]).unwrap();
        let counts = log.counts(u64::MAX).unwrap();
        assert_eq!(counts.counted, 12_002);
        let by_rule: Vec<(&str, u64)> = counts.entries.iter().map(|(m, .., n)| (m.as_str(), *n)).collect();
        assert_eq!(by_rule, [("", 2), ("takedown-notice", 12_000)]);
        assert_eq!(log.counts(u64::MAX).unwrap(), counts);
        let told = Disclosure::of(&counts, &Register::shipped().unwrap(), &signer.verifier());
        assert_eq!(told.entries, 12_002);
        assert!(!serde_json::to_string(&told).unwrap().contains("a person"));
    });
}
