//! Signs the mail (DKIM, RFC 6376; Ed25519 after RFC 8463), for an ISP whose mail server does not.
//!
//! Signed is what a reader sees and what says that a machine wrote it, so that neither can be changed on the way. The mail has
//! nothing beyond ASCII in it: servers that would re-encode it have no reason to.

use std::fmt;

use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::{DkimSigner, Done};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What is signed, where it is there.
const SIGNED: [&str; 9] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Language",
    "Auto-Submitted",
];

/// Why mail cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DkimError {
    /// No key of a kind that signs mail.
    #[error(
        "the key is none that signs mail: RSA of at least 2048 bits (PKCS#1 or PKCS#8) or Ed25519 (PKCS#8), as PEM"
    )]
    Key,
    /// The selector or domain is no name.
    #[error("'{0}' is no domain name")]
    Name(String),
    /// The mail cannot be signed.
    #[error("the mail cannot be signed: {0}")]
    Sign(String),
}

enum Signer {
    Rsa(DkimSigner<RsaKey<Sha256>, Done>),
    Ed25519(DkimSigner<Ed25519Key, Done>),
}

/// Signs for one domain and selector.
pub struct Dkim {
    signer: Signer,
    /// Where the public key is in the DNS.
    name: String,
}

impl fmt::Debug for Dkim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dkim({}, ‹redacted›)", self.name)
    }
}

impl Dkim {
    /// Of a private key as PEM.
    pub fn new(domain: &str, selector: &str, pem: &str) -> Result<Self, DkimError> {
        for name in [domain, selector] {
            let plain = |label: &str| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            if !name.split('.').all(plain) {
                return Err(DkimError::Name(name.to_owned()));
            }
        }
        let ed25519 = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .ok()
            .and_then(|key| Ed25519Key::from_pkcs8_maybe_unchecked_der(key.secret_pkcs8_der()).ok());
        let signer = match ed25519 {
            Some(key) => {
                Signer::Ed25519(DkimSigner::from_key(key).domain(domain).selector(selector).headers(SIGNED))
            }
            None => {
                let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| DkimError::Key)?;
                let key = RsaKey::<Sha256>::from_key_der(key).map_err(|_| DkimError::Key)?;
                Signer::Rsa(DkimSigner::from_key(key).domain(domain).selector(selector).headers(SIGNED))
            }
        };
        Ok(Self { signer, name: format!("{selector}._domainkey.{domain}") })
    }

    /// Where the public key has to be in the DNS.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The signature as a header field, to be put before the mail.
    pub fn sign(&self, mail: &str) -> Result<String, DkimError> {
        let signature = match &self.signer {
            Signer::Rsa(signer) => signer.sign(mail.as_bytes()),
            Signer::Ed25519(signer) => signer.sign(mail.as_bytes()),
        };
        Ok(signature.map_err(|e| DkimError::Sign(e.to_string()))?.to_header())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_or_no_name_is_refused() {
        assert_eq!(Dkim::new("example.ne.jp", "s1", "no key").unwrap_err(), DkimError::Key);
        for (domain, selector) in [("", "s"), ("a b", "s"), ("a..b", "s"), ("example.jp", "s;x")] {
            assert!(
                matches!(Dkim::new(domain, selector, ""), Err(DkimError::Name(_))),
                "{domain} {selector}"
            );
        }
    }
}
