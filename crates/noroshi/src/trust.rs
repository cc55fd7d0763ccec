//! Whose certificates are believed when we ask a server: those of the public authorities, or those of a file.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use ureq::tls::{PemItem, RootCerts, parse_pem};

/// Most bytes of a file of certificates.
const CA_BYTES_MAX: u64 = 1 << 20;

/// The certificates of a PEM file, or those that everybody believes.
pub fn roots(ca_file: Option<&Path>) -> anyhow::Result<RootCerts> {
    let Some(path) = ca_file else { return Ok(RootCerts::WebPki) };
    let mut pem = Vec::new();
    let file = std::fs::File::open(path);
    file.and_then(|file| file.take(CA_BYTES_MAX).read_to_end(&mut pem))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.with_context(|| format!("{} is not PEM", path.display()))?
        {
            certificates.push(certificate);
        }
    }
    ensure!(!certificates.is_empty(), "{} holds no certificate", path.display());
    Ok(RootCerts::new_with_certs(&certificates))
}
