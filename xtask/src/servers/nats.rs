//! Finds the NATS server that exports are sent to. The tests start it themselves, because they also stop it.

use std::process::Command;

use anyhow::{Context, Result};

use super::{Ready, apt, on_path, output_of};

pub const HOW: &str = "install nats-server (Debian: apt-get install nats-server)";

pub fn find() -> Result<Ready> {
    let path = match on_path("nats-server") {
        Some(path) => path,
        None => {
            apt::install(&["nats-server"])?;
            on_path("nats-server").context("installed, yet not found")?
        }
    };
    let version = output_of(Command::new(&path).arg("--version"))?;
    let version =
        version.split_whitespace().last().unwrap_or("of unknown version").trim_start_matches('v').to_owned();
    Ok(Ready { version, environment: vec![("NOROSHI_TEST_NATS", path.display().to_string())], _keeper: None })
}
