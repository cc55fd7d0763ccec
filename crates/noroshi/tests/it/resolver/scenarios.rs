//! Somebody else's tests: the scenarios by which NLnet Labs tests Unbound's response policy zones, played unmodified over UDP and TCP against our
//! resolver in a network namespace of its own.

use std::path::Path;
use std::process::Command;

use crate::world::{say, server};

#[test]
fn every_scenario_of_unbounds_policy_tests_passes() {
    let Some(data) = server("NOROSHI_TEST_SHARED_DATA") else { return };
    let Some(python) = server("NOROSHI_TEST_DNSPYTHON") else { return };
    let player = Path::new(&data).join("../bench/dns/rpl_runner.py");
    let Ok(folder) = std::fs::read_dir(Path::new(&data).join("rpl")) else {
        return say(format_args!("SKIPPED: no folder rpl in the shared data"));
    };
    if !player.exists() {
        return say(format_args!("SKIPPED: no player beside the shared data"));
    }
    let mut files: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    let xtask = Path::new(env!("CARGO_BIN_EXE_noroshi")).with_file_name("xtask");
    let output = Command::new(python)
        .arg(player)
        .args(["--server", "cmd", "--cmd", &format!("{} rpl-server {{json}}", xtask.display())])
        .args(&files)
        .env("NOROSHI_PROGRAM", env!("CARGO_BIN_EXE_noroshi"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let passed = told.lines().filter(|line| line.starts_with("PASS")).count();
    assert_eq!(passed, files.len(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(passed >= 18, "{told}");
}
