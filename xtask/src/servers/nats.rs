//! A private NATS server with JetStream, its streams on disk.

use std::net::TcpStream;
use std::process::Command;

use anyhow::{Context, Result};

use super::keeper::{Keeper, printed};
use super::{Ready, apt, free_port, on_path, output_of, server_folder, wait_until};

pub const HOW: &str = "install the NATS server (Debian: apt-get install nats-server)";

pub fn start() -> Result<Ready> {
    if on_path("nats-server").is_none() {
        apt::install(&["nats-server"])?;
    }
    let program = on_path("nats-server").context("installed, yet not found")?;
    let dir = server_folder("nats")?;
    let path = dir.path().to_path_buf();
    let port = free_port()?;
    let mut server = Command::new(&program);
    server.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(path.join("store"));
    let keeper = Keeper::start(dir, "TERM", &server)?;
    wait_until(|| Ok(TcpStream::connect(("127.0.0.1", port)).map(drop)?))
        .with_context(|| format!("it printed: {}", printed(&path)))?;
    let version = output_of(Command::new(program).arg("--version"))?;
    Ok(Ready {
        version: version.split_whitespace().last().unwrap_or("of unknown version").to_owned(),
        environment: vec![("NOROSHI_TEST_NATS", format!("nats://127.0.0.1:{port}"))],
        _keeper: Some(keeper),
    })
}
