//! A private unbound: a real recursive resolver, with a few reverse zones of its own and no way to the Internet.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::keeper::{Keeper, printed};
use super::{Ready, apt, free_port, on_path, output_of, server_folder, wait_until};

pub const HOW: &str = "install unbound (Debian: apt-get install unbound)";

pub fn start() -> Result<Ready> {
    if on_path("unbound").is_none() {
        apt::install(&["unbound"])?;
    }
    let program = on_path("unbound").context("installed, yet not found")?;
    let dir = server_folder("unbound")?;
    let path = dir.path().to_path_buf();
    let port = free_port()?;
    fs::write(path.join("unbound.conf"), conf(&path, port))?;
    let mut server = Command::new(&program);
    server.arg("-d").arg("-c").arg(path.join("unbound.conf"));
    let keeper = Keeper::start(dir, "TERM", &server)?;
    wait_until(|| Ok(TcpStream::connect(("127.0.0.1", port)).map(drop)?))
        .with_context(|| format!("it printed: {}", printed(&path)))?;
    let version = output_of(Command::new(program).arg("-V"))?;
    Ok(Ready {
        version: version.split_whitespace().nth(1).unwrap_or("of unknown version").to_owned(),
        environment: vec![("NOROSHI_TEST_DNS", format!("127.0.0.1:{port}"))],
        _keeper: Some(keeper),
    })
}

/// `198.51.100.0/24`: 7 and 8 have names, 9 has one that no host can have, 10 two, the others have none. `2001:db8:12::7` has one. `203.0.113.0/24` is delegated to nobody, so that the resolver fails.
fn conf(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        r#"server:
    directory: "{dir}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    interface: 127.0.0.1@{port}
    module-config: "iterator"
    local-zone: "100.51.198.in-addr.arpa." static
    local-data: "100.51.198.in-addr.arpa. 900 IN SOA ns.example. desk.example. 1 3600 600 86400 900"
    local-data: "7.100.51.198.in-addr.arpa. 3600 IN PTR Host-7.Example.NET."
    local-data: "8.100.51.198.in-addr.arpa. 3600 IN PTR host-8.example.net."
    local-data: '9.100.51.198.in-addr.arpa. 3600 IN PTR ev\032il<script>.example.net.'
    local-data: "10.100.51.198.in-addr.arpa. 3600 IN PTR www.example.net."
    local-data: "10.100.51.198.in-addr.arpa. 3600 IN PTR mail.example.net."
    local-zone: "8.b.d.0.1.0.0.2.ip6.arpa." static
    local-data-ptr: "2001:db8:12::7 3600 host-7.v6.example.net"
    local-zone: "113.0.203.in-addr.arpa." nodefault
forward-zone:
    name: "113.0.203.in-addr.arpa."
    forward-addr: 127.0.0.1@1
"#
    )
}
