//! The evidence log: intact after a run, and every way of tampering with the stored rows is told with its place.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use crate::world::{run, run_any, text};

fn play(folder: &Path) -> Connection {
    run(folder, &["demo", "--once", "--json"]);
    Connection::open(folder.join("noroshi.db")).unwrap()
}

fn verify(folder: &Path) -> (Option<i32>, String) {
    let output = run_any(folder, &["evidence", "verify"]);
    (output.status.code(), text(&output.stdout))
}

#[test]
fn one_byte_flipped_one_entry_removed_or_two_swapped_are_found_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let db = play(folder.path());
    let entries: i64 = db.query_row("SELECT COUNT(*) FROM evidence", [], |row| row.get(0)).unwrap();
    assert!(entries > 100);
    assert_eq!(verify(folder.path()).0, Some(0));
    db.execute_batch("CREATE TABLE kept AS SELECT * FROM evidence").unwrap();
    let restore = "DELETE FROM evidence; INSERT INTO evidence SELECT * FROM kept";
    let tampered = [
        (
            "UPDATE evidence SET body = CAST(REPLACE(CAST(body AS TEXT), 'Identify', 'identify') AS BLOB) WHERE idx = 40",
            "",
        ),
        (
            "UPDATE evidence SET body = CAST(SUBSTR(CAST(body AS TEXT), 1, 30) || 'X' || SUBSTR(CAST(body AS TEXT), 32) AS BLOB) WHERE idx = 40",
            "entry 40 was changed",
        ),
        ("DELETE FROM evidence WHERE idx = 41", "entry 41 is missing"),
        ("DELETE FROM evidence WHERE idx >= 90", "are missing"),
        (
            "UPDATE evidence SET idx = -1 WHERE idx = 42; UPDATE evidence SET idx = 42 WHERE idx = 43;
             UPDATE evidence SET idx = 43 WHERE idx = -1",
            "entry 42 was moved",
        ),
        ("UPDATE evidence SET leaf = ZEROBLOB(32) WHERE idx = 44", "entry 44 was changed"),
    ];
    for (sql, told) in tampered {
        db.execute_batch(sql).unwrap();
        let (code, said) = verify(folder.path());
        if !told.is_empty() {
            assert_eq!(code, Some(3), "{sql}: {said}");
            assert!(said.contains(told), "{sql}: {said}");
        }
        db.execute_batch(restore).unwrap();
        assert_eq!(verify(folder.path()).0, Some(0), "restored after {sql}");
    }
    db.execute_batch("DELETE FROM evidence WHERE idx >= 90; DELETE FROM evidence_checkpoint WHERE size > 90")
        .unwrap();
    let (code, said) = verify(folder.path());
    assert_eq!(code, Some(3), "the head file outside the database tells of a cut tail: {said}");
    std::fs::remove_file(folder.path().join("evidence.head")).unwrap();
    let (code, said) = verify(folder.path());
    assert_eq!(code, Some(3), "and its absence is told: {said}");
}

#[test]
fn an_exported_proof_verifies_offline_and_a_changed_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    play(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let proof = run(folder.path(), &["evidence", "export", "17"]);
    let (path, key) = (elsewhere.path().join("proof.json"), folder.path().join("keys/evidence.pub"));
    let check = |content: &str| {
        std::fs::write(&path, content).unwrap();
        let (path, key) = (path.to_str().unwrap(), key.to_str().unwrap());
        run_any(&elsewhere.path().join("none"), &["evidence", "verify", "--proof", path, "--key", key])
            .status
            .code()
    };
    assert_eq!(check(&proof), Some(0));
    assert!(!elsewhere.path().join("none").exists(), "checking a proof needs no data folder");
    let changed = proof.replacen("\"records\": ", "\"records\": 1", 1);
    assert_ne!(changed, proof);
    assert_eq!(check(&changed), Some(3));
    assert_eq!(check("{}"), Some(1));
}

#[test]
fn the_log_as_tiles_and_proofs_of_it_verify_elsewhere_and_a_shortened_log_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let db = play(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let file = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    let (tiles, key, none) = (file("tiles"), file("evidence.pub"), elsewhere.path().join("none"));
    std::fs::copy(folder.path().join("keys/evidence.pub"), &key).unwrap();
    let exported = run(folder.path(), &["evidence", "export", "--tiles", &tiles, "--json"]);
    let exported: Value = serde_json::from_str(&exported).unwrap();
    let entries = exported["entries"].as_u64().unwrap();
    assert!(entries > 256 && exported["files"].as_u64() > Some(5), "{exported}");

    let verify = |more: &[&str]| {
        let output = run_any(&none, &[&["evidence", "verify", "--key", &key], more].concat());
        (output.status.code(), text(&output.stdout))
    };
    let (code, said) = verify(&["--tiles", &tiles]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with(&format!("intact: {entries} entries")), "{said}");

    let (proof, growth, kept) = (file("proof.json"), file("growth.json"), file("kept"));
    std::fs::write(&proof, run(folder.path(), &["evidence", "prove", "17"])).unwrap();
    std::fs::write(&growth, run(folder.path(), &["evidence", "prove", "--from-size", "100", "--json"]))
        .unwrap();
    let (code, said) = verify(&["--proof", &proof, "--json"]);
    assert_eq!((code, said.contains("\"holds\":true")), (Some(0), true), "{said}");
    let (code, said) = verify(&["--proof", &growth]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("of 100 entries that was signed, grown"), "{said}");
    assert!(!none.exists(), "nothing of this needs a data folder");

    // Somebody outside kept a checkpoint; the log is cut, and its head file replaced by an older one.
    std::fs::copy(folder.path().join("evidence.head"), &kept).unwrap();
    assert_eq!(run_any(folder.path(), &["evidence", "verify", "--checkpoint", &kept]).status.code(), Some(0));
    let older: String =
        db.query_row("SELECT note FROM evidence_checkpoint WHERE size = 300", [], |row| row.get(0)).unwrap();
    std::fs::write(folder.path().join("evidence.head"), older).unwrap();
    db.execute_batch(
        "DELETE FROM evidence WHERE idx >= 300; DELETE FROM evidence_checkpoint WHERE size > 300",
    )
    .unwrap();
    assert_eq!(verify_code(folder.path(), &[]), Some(0), "by itself it is a log like any other");
    assert_eq!(verify_code(folder.path(), &["--checkpoint", &kept]), Some(3));
    let refused = run_any(folder.path(), &["evidence", "export", "--tiles", &tiles]);
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    assert_eq!(verify(&["--tiles", &tiles, "--checkpoint", &kept]).0, Some(0), "the folder was left alone");
}

fn verify_code(folder: &Path, more: &[&str]) -> Option<i32> {
    run_any(folder, &[&["evidence", "verify"], more].concat()).status.code()
}

#[test]
fn what_the_public_is_told_adds_up_and_names_no_small_number() {
    let folder = tempfile::tempdir().unwrap();
    play(folder.path());
    let told = run(folder.path(), &["evidence", "transparency", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["counted"], told["entries"]);
    let of = |measure: &str| {
        let measures = told["measures"].as_array().unwrap();
        measures.iter().find(|m| m["measure"] == measure).unwrap().clone()
    };
    let takedown = of("takedown-notice");
    for number in ["looks", "subscribers", "notices"] {
        assert!(takedown[number].as_u64() >= Some(5), "{number}: {takedown}");
    }
    let numbers = told.to_string();
    (1..5).for_each(|small| assert!(!numbers.contains(&format!(":{small},")), "{small}: {numbers}"));
    let plain = run(folder.path(), &["evidence", "transparency"]);
    assert!(plain.contains("subscribers found") && plain.contains("takedown-notice"), "{plain}");
}
