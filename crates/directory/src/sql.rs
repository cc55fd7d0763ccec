//! A directory in PostgreSQL, asked by the operator's own queries.

use std::path::PathBuf;
use std::time::Duration;

use noroshi_act::directory::{Directory, DirectoryError, Holder, Listed};
use noroshi_law::Sealed;
use noroshi_model::{ContractRef, Subscriber};
use postgres::Client;
use postgres::types::FromSql;
use serde::{Deserialize, Serialize};

use super::{ANSWER, Kept, Told, away, listed, only, secret, subscriber};

/// `[directory.sql]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SqlFile {
    /// `postgres://USER@HOST/DATABASE`, without a password.
    pub url: String,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// `$1` is the line: one row with `contract`, and `opted_out` (boolean) where that is known.
    pub contract: String,
    /// `$1` is the contract: one row with `name` and `mail`, and `language`, `phone` and `address` where they are known.
    pub subscriber: String,
}

/// See the module's text.
#[derive(Debug)]
pub struct SqlDirectory {
    config: postgres::Config,
    file: SqlFile,
    kept: Kept<Connection>,
}

struct Connection(Client);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl SqlDirectory {
    /// With what the configuration says; connects when it is asked.
    pub fn new(file: SqlFile) -> Result<Self, DirectoryError> {
        let unusable = |e: postgres::Error| DirectoryError::Unreadable(format!("directory.sql.url: {e}"));
        let mut config: postgres::Config = file.url.parse().map_err(unusable)?;
        if let Some(path) = &file.password_file {
            config.password(secret(path)?);
        }
        let milliseconds = ANSWER.as_millis();
        config
            .connect_timeout(ANSWER)
            .tcp_user_timeout(ANSWER)
            .keepalives_idle(Duration::from_secs(30))
            .application_name("noroshi")
            .options(&format!("-c statement_timeout={milliseconds} -c default_transaction_read_only=on"));
        Ok(Self { config, file, kept: Kept::default() })
    }

    fn rows(&self, query: &str, about: &str) -> Result<Vec<postgres::Row>, DirectoryError> {
        self.kept.ask(
            || self.config.connect(tls()).map(Connection).map_err(of_postgres),
            |connection| connection.0.query(query, &[&about]).map_err(of_postgres),
        )
    }
}

impl Directory for SqlDirectory {
    fn contract(&self, holder: &Holder) -> Result<Option<Listed>, DirectoryError> {
        let rows = self.rows(&self.file.contract, &holder.user)?;
        let told = rows.iter().map(|row| {
            let opted_out = optional::<bool>(row, "opted_out")?.unwrap_or(false);
            listed(needed(row, "contract")?, opted_out)
        });
        only(told.collect::<Result<_, _>>()?, "line")
    }

    fn subscriber(&self, contract: &ContractRef) -> Result<Option<Sealed<Subscriber>>, DirectoryError> {
        let rows = self.rows(&self.file.subscriber, contract.as_str())?;
        let told = rows.iter().map(|row| {
            Ok(Told {
                name: needed(row, "name")?,
                mail: needed(row, "mail")?,
                language: optional(row, "language")?,
                phone: optional(row, "phone")?,
                address: optional(row, "address")?,
            })
        });
        let told = only(told.collect::<Result<_, DirectoryError>>()?, "contract")?;
        told.map(|told| subscriber(contract, &told)).transpose()
    }
}

fn optional<'a, T: FromSql<'a>>(row: &'a postgres::Row, column: &str) -> Result<Option<T>, DirectoryError> {
    if !row.columns().iter().any(|known| known.name() == column) {
        return Ok(None);
    }
    let told: Result<Option<T>, _> = row.try_get(column);
    told.map_err(|_| DirectoryError::Entry(format!("`{column}` has another type")))
}

fn needed<'a>(row: &'a postgres::Row, column: &str) -> Result<&'a str, DirectoryError> {
    optional::<&str>(row, column)?.ok_or_else(|| DirectoryError::Entry(format!("`{column}` is not told")))
}

/// What the server says of a query is about the query; its details could repeat a value.
fn of_postgres(error: postgres::Error) -> DirectoryError {
    match error.as_db_error() {
        Some(told) if !error.is_closed() => {
            let (code, message) = (told.code().code(), told.message());
            // Classes of errors: the query itself, and access to what it names.
            if ["42", "28", "3D", "0A", "22"].iter().any(|class| code.starts_with(class)) {
                return DirectoryError::Unreadable(format!("PostgreSQL {code}: {message}"));
            }
            away(format!("PostgreSQL {code}: {message}"))
        }
        _ => away(error),
    }
}

fn tls() -> tokio_postgres_rustls::MakeRustlsConnect {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tokio_postgres_rustls::MakeRustlsConnect::new(config)
}
