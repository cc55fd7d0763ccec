//! The rules, proved: builds the workspace in `proofs/` and runs it with a solver. A workspace of its own, because it builds
//! Cedar with other features (eight minutes of computing) and needs cvc5.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

use crate::cargo::cargo;

/// Proves, or says loudly why not.
pub fn run(root: &Path) -> Result<ExitCode> {
    let Some(solver) = solver(root) else {
        eprintln!(
            "SKIPPED: nothing was proved, for there is no cvc5. Name one in CVC5, or `pip install cvc5` for the python3 \
             on the PATH"
        );
        return Ok(ExitCode::SUCCESS);
    };
    eprintln!("solver: {}", solver.display());
    let status = cargo()
        .args(["run", "--release", "--locked", "--manifest-path"])
        .arg(root.join("proofs/Cargo.toml"))
        .env("CVC5", solver)
        .status()
        .context("cargo does not start")?;
    ensure!(status.success(), "not proved");
    Ok(ExitCode::SUCCESS)
}

/// cvc5 as named, as installed, or as PyPI's wheel behind a small program.
fn solver(root: &Path) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CVC5") {
        return Some(named.into());
    }
    let starts = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if starts("cvc5", &["--version"]) {
        return Some("cvc5".into());
    }
    starts("python3", &["-c", "import cvc5"]).then(|| root.join("proofs/smtlib.py"))
}
