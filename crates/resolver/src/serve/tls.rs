//! The certificate with which a resolver shows who it is, read again while connections run: certificates of today hold for weeks, and
//! no client shall notice that another came.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider, sign::any_supported_type};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has none of what it should have.
    #[error("{}: {reason}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: pem::Error,
    },
    /// It is none that can be used, or the key is another one's.
    #[error("{}: {reason}", .file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: rustls::Error,
    },
    /// The system has no random numbers.
    #[error(transparent)]
    System(#[from] rustls::Error),
}

/// A certificate with its chain, and its key.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Reads a chain, the server's own certificate first, and its key (PEM).
    ///
    /// # Errors
    ///
    /// [`TlsError`], with the file.
    pub fn read(chain: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(read(chain, key)?);
        Ok(Arc::new(Self { chain: chain.into(), key: key.into(), current }))
    }

    /// Reads both again. Connections that begin from now on see the new one; if it cannot be read, the old one.
    ///
    /// # Errors
    ///
    /// [`TlsError`], with the file.
    pub fn read_again(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(&self.chain, &self.key)?));
        Ok(())
    }

    /// How connections of a protocol begin.
    ///
    /// # Errors
    ///
    /// [`TlsError::System`]
    pub fn config(self: &Arc<Self>, protocols: &[&str]) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config.ticketer = Ticketer::new()?;
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unread = |file: &Path, reason| TlsError::File { file: file.into(), reason };
    let unusable = |file: &Path, reason| TlsError::Unusable { file: file.into(), reason };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|reason| unread(chain, reason))?;
    if certificates.is_empty() {
        return Err(unread(chain, pem::Error::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|reason| unread(key, reason))?;
    let signing = any_supported_type(&private).map_err(|reason| unusable(key, reason))?;
    let certified = CertifiedKey::new(certificates, signing);
    match certified.keys_match() {
        // A kind of key of which that cannot be said.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(reason) => Err(unusable(key, reason)),
    }
}
