//! A certificate of the servers' own for 127.0.0.1 and localhost, so that the tests meet real TLS and real refusals of
//! it.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{apt, on_path, output_of};

/// Makes `cert.pem` and `key.pem` in a folder.
pub fn make(dir: &Path) -> Result<()> {
    if on_path("openssl").is_none() {
        apt::install(&["openssl"])?;
    }
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(dir.join("key.pem"))
        .arg("-out")
        .arg(dir.join("cert.pem"));
    output_of(&mut openssl).map(drop)
}
