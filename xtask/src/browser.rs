//! `cargo xtask browser`: what a subscriber and an analyst meet, in a real Chromium, and what a program meets at the API. Installs
//! Chromium, Postfix, Squid, libfaketime, schemathesis and the tools of `browser/package.json`, builds the program and walks through it; the
//! last line says how many passed.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::cargo;
use crate::servers::{Servers, apt, on_path, output_of};

/// Walks.
pub fn run(root: &Path) -> Result<ExitCode> {
    let servers = Servers::for_the_browser();
    servers.announce();
    if servers.lacks_any() {
        bail!("the browser's tests need all of them");
    }
    for (program, package) in
        [("node", "nodejs"), ("npm", "npm"), ("faketime", "faketime"), ("ip", "iproute2")]
    {
        if on_path(program).is_none() {
            apt::install(&[package])?;
        }
    }
    let folder = root.join("target/browser");
    fs::create_dir_all(&folder)?;
    for file in fs::read_dir(root.join("browser"))? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
    }
    output_of(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))
        .context("the tools of browser/package.json")?;
    let built = cargo().args(["build", "--release", "-p", "noroshi"]).current_dir(root).status()?;
    ensure!(built.success(), "the program does not build");
    let status = Command::new("node")
        .arg("run.mjs")
        .current_dir(&folder)
        .envs(servers.environment())
        .env("NOROSHI_PROGRAM", root.join("target/release/noroshi"))
        .env("NOROSHI_TESTDATA", root.join("testdata"))
        .env("NOROSHI_SHOTS", folder.join("shots"))
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
