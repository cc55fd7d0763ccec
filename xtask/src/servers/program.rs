//! Servers that a test starts itself, because it also kills them: here they are only found, or installed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Ready, apt, on_path, output_of};

pub const HOW_KEA: &str = "install Kea (Debian: apt-get install kea-dhcp4-server)";
pub const HOW_FREERADIUS: &str = "install FreeRADIUS (Debian: apt-get install freeradius)";

pub const HOW_SLAPD: &str = "install OpenLDAP (Debian: apt-get install slapd)";

/// ISC's DHCP server.
pub fn kea() -> Result<Ready> {
    let program = found("kea-dhcp4", "kea-dhcp4-server")?;
    let version = output_of(Command::new(&program).arg("-v"))?;
    Ok(ready("NOROSHI_TEST_KEA", &program, version.trim()))
}

/// OpenLDAP's server.
pub fn slapd() -> Result<Ready> {
    let program = found("slapd", "slapd")?;
    Ok(ready("NOROSHI_TEST_SLAPD", &program, "found"))
}

/// The RADIUS server that is in front of most access networks.
pub fn freeradius() -> Result<Ready> {
    let program = found("freeradius", "freeradius")?;
    // Asks over HTTP what a line that connects is told.
    if !std::path::Path::new("/usr/lib/freeradius/rlm_rest.so").exists() {
        apt::install(&["freeradius-rest"])?;
    }
    let version = output_of(Command::new(&program).arg("-v"))?;
    let version = version.split_whitespace().skip_while(|word| *word != "Version").nth(1);
    Ok(ready(
        "NOROSHI_TEST_FREERADIUS",
        &program,
        version.unwrap_or("of unknown version").trim_end_matches(','),
    ))
}

pub const HOW_NETWORKS: &str = "install iproute2 and nftables (Debian: apt-get install iproute2 nftables)";

/// What makes networks of their own, and links between them that lose packets. (netem would, where the kernel has it.)
pub fn networks() -> Result<Ready> {
    found("ip", "iproute2")?;
    let program = found("nft", "nftables")?;
    let version = output_of(Command::new(&program).arg("--version"))?;
    let version = version.split_whitespace().nth(1).unwrap_or("of unknown version").to_owned();
    Ok(Ready { version, environment: Vec::new(), _keeper: None })
}

pub const HOW_SQUID: &str = "install Squid (Debian: apt-get install squid)";

/// The HTTP proxy that most networks have.
pub fn squid() -> Result<Ready> {
    let program = found("squid", "squid")?;
    let version = output_of(Command::new(&program).arg("-v"))?;
    let version = version.split_whitespace().skip_while(|word| *word != "Version").nth(1);
    Ok(ready("NOROSHI_TEST_SQUID", &program, version.unwrap_or("of unknown version")))
}

/// How to get the resolvers.
pub const HOW_RESOLVERS: &str = "install BIND, PowerDNS Recursor and knot-dnsutils (Debian: apt-get install bind9 bind9-dnsutils pdns-recursor knot-dnsutils fstrm-bin)";

/// Other people's resolvers and what asks them. Each test starts its own.
pub fn resolvers() -> Result<Ready> {
    let named = found("named", "bind9")?;
    for (program, package) in [
        ("nsupdate", "bind9-dnsutils"),
        ("dig", "bind9-dnsutils"),
        ("pdns_recursor", "pdns-recursor"),
        ("kdig", "knot-dnsutils"),
        ("dnstap-read", "bind9-dnsutils"),
        ("dnssec-keygen", "bind9-utils"),
        ("fstrm_capture", "fstrm-bin"),
        ("unshare", "util-linux"),
    ] {
        found(program, package)?;
    }
    let version = output_of(Command::new(named).arg("-v"))?;
    let version = version.split_whitespace().nth(1).unwrap_or("of unknown version").to_owned();
    Ok(Ready { version, environment: vec![("NOROSHI_TEST_RESOLVERS", "1".to_owned())], _keeper: None })
}

fn found(program: &str, package: &str) -> Result<PathBuf> {
    if on_path(program).is_none() {
        apt::install(&[package])?;
    }
    on_path(program).context("installed, yet not found")
}

fn ready(variable: &'static str, program: &std::path::Path, version: &str) -> Ready {
    let environment = vec![(variable, program.display().to_string())];
    Ready { version: version.to_owned(), environment, _keeper: None }
}
