//! How a sensor and the hub reach a NATS server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use async_nats::ConnectOptions;
use clap::Args;

use crate::config::is_loopback;
use crate::sources::secret;

/// Longest wait for a connection, and for an answer.
pub const ANSWER: Duration = Duration::from_secs(10);

/// Where the NATS server is, and who asks.
#[derive(Clone, Debug, Args)]
pub struct NatsArgs {
    /// The NATS server; off this machine by TLS only
    #[arg(long, value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    pub server: String,
    /// Who asks
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub user: Option<String>,
    /// File with the password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Certificates of whoever vouches for the server [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Our own certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

impl NatsArgs {
    /// What to connect with.
    pub fn options(&self, name: &str) -> anyhow::Result<ConnectOptions> {
        let (scheme, host) = self.server.split_once("://").unwrap_or(("nats", &self.server));
        ensure!(!host.contains('@'), "put the password into a file: --user and --password-file");
        let tls = scheme == "tls" || !is_loopback(host);
        let mut options = ConnectOptions::new()
            .name(name)
            .require_tls(tls)
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER))
            .ping_interval(Duration::from_secs(10));
        if let Some((user, file)) = self.user.as_ref().zip(self.password_file.as_ref()) {
            options = options.user_and_password(user.clone(), secret(file)?);
        }
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((cert, key)) = self.cert.as_ref().zip(self.key.as_ref()) {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        Ok(options)
    }
}

/// The stream of a sensor at its local server.
pub fn stream_of(sensor: &str) -> String {
    format!("noroshi-{sensor}")
}

/// The subject of its batches.
pub fn subject_of(sensor: &str) -> String {
    format!("noroshi.sensor.{sensor}")
}
