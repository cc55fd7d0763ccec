//! The project's chores, written in Rust so that they run alike on a laptop and in CI:
//!
//! ```text
//! cargo xtask test [-- ARGS]   start real servers, run every test against them, say what was skipped
//! cargo xtask servers          start the same servers and wait, for single tests in another shell
//! cargo xtask browser          what a subscriber and an analyst meet, in a real Chromium
//! cargo xtask tidy             the house rules (also a test of this package)
//! cargo xtask tables [FOLDER]  the tables compiled into the program, made anew
//! cargo xtask site-train       what names of sites weigh, learned anew from lists that are packages
//! cargo xtask site-eval        the same judged on lists that were not learned from, beside another model
//! cargo xtask prove            the rules, proved to be within the law for every request there can be
//! cargo xtask rpl-server FILE  our resolver, configured as a scenario of Unbound's tests says
//! ```

mod browser;
mod cargo;
mod prove;
mod rpl;
mod servers;
mod site;
mod suite;
mod tables;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask test [-- ARGS for cargo test]\n       \
                            cargo xtask servers\n       \
                            cargo xtask browser\n       \
                            cargo xtask tidy\n       \
                            cargo xtask tables [FOLDER of MISP's warning lists]\n       \
                            cargo xtask site-train\n       \
                            cargo xtask site-eval\n       \
                            cargo xtask prove\n       \
                            cargo xtask rpl-server FILE.json";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Vec<String>) -> Result<ExitCode> {
    let root = workspace_root(&std::env::current_dir()?)?;
    let mut args = args.into_iter();
    match args.next().as_deref() {
        Some("test") => suite::test(&root, &suite::arguments(args.collect())?),
        Some("servers") => suite::wait_with_servers(&root),
        Some("browser") => browser::run(&root),
        Some("tidy") => tidy::run(&root),
        Some("tables") => tables::run(&root, args.collect()),
        Some("site-train") => site::train(&root),
        Some("site-eval") => site::eval(&root),
        Some("prove") => prove::run(&root),
        Some("rpl-server") => rpl::run(&root, args),
        _ => bail!("{USAGE}"),
    }
}

/// The nearest folder upwards whose Cargo.toml opens a workspace: no path is compiled in, so a moved clone
/// still works.
fn workspace_root(from: &Path) -> Result<PathBuf> {
    from.ancestors()
        .find(|dir| {
            std::fs::read_to_string(dir.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
        })
        .map(Path::to_path_buf)
        .with_context(|| format!("no workspace at or above {}", from.display()))
}
