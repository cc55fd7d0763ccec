//! The evidence log: intact after a run, and every way of tampering with the stored rows is told with its place.

use std::path::Path;

use rusqlite::Connection;

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
