//! The two databases behind one face. SQL is written once, with `?1`-style parameters; PostgreSQL gets `$1`.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use noroshi_law::evidence::Digest;
use postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use crate::StoreError;
use crate::log::Glimpse;
use crate::row::{Row, Value};

/// Migrations in order; the database's version is how many of them it has.
const MIGRATIONS: [&str; 16] = [
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/evidence-tiles.sql"),
    include_str!("../migrations/approvals.sql"),
    include_str!("../migrations/feed-clocks.sql"),
    include_str!("../migrations/mail-returns.sql"),
    include_str!("../migrations/ladder.sql"),
    include_str!("../migrations/garden.sql"),
    include_str!("../migrations/staff.sql"),
    include_str!("../migrations/cases.sql"),
    include_str!("../migrations/wordings.sql"),
    include_str!("../migrations/networks.sql"),
    include_str!("../migrations/api.sql"),
    include_str!("../migrations/forgetting.sql"),
    include_str!("../migrations/organisations.sql"),
    include_str!("../migrations/telescope.sql"),
    include_str!("../migrations/sites.sql"),
];
/// How long SQLite waits for another writer, in milliseconds.
const BUSY_MS: u64 = 10_000;
/// SQLite's page cache per connection. The event log is written in order and needs next to none; what is keyed by a hash
/// (queue, findings) touches pages all over an index, for which the default of 2 MiB is too little.
const CACHE_KIB: i64 = 8 * 1024;
/// Pages of the write-ahead log before it is merged: 64 MiB, so that a page changed often is merged once.
const CHECKPOINT_PAGES: i64 = 16 * 1024;
/// Key of the advisory lock under which PostgreSQL is migrated: "noroshi" in ASCII.
const MIGRATION_LOCK: i64 = 0x6e_6f72_6f73_6869;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// A file; made where there is none.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`.
    Postgres(String),
}

impl Address {
    /// Reads an address: a PostgreSQL URL, or else a file's path.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Address::Postgres(text.to_owned())
        } else {
            Address::Sqlite(text.trim_start_matches("sqlite://").into())
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Address::Postgres(url) => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "postgres://{}", host.split('?').next().unwrap_or(host))
            }
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One connection.
pub(crate) enum Connection {
    Sqlite(Box<rusqlite::Connection>),
    Postgres(Box<Server>),
}

/// A connection to PostgreSQL with the statements prepared on it.
pub(crate) struct Server {
    client: postgres::Client,
    prepared: HashMap<String, postgres::Statement>,
}

/// How a transaction is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Reads and writes.
    Write,
    /// The same, short and frequent: may share a transaction with others of its kind.
    Together,
    /// The same, one after the other over all processes with others of this number.
    InTurn(i64),
    /// The same, to itself.
    InTurnAlone(i64),
    /// Reads one moment.
    Look,
}

/// What a connection is for, where that is said once and not with each transaction: on SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Anything.
    Any,
    /// To look; it cannot write.
    Look,
}

/// Statements that a connection keeps prepared; there are some three hundred.
const STATEMENTS_KEPT: usize = 512;

impl Manner {
    /// In turn with others of this name.
    pub(crate) fn in_turn(name: &str) -> Self {
        Manner::InTurn(number_of(name))
    }

    /// The same, sharing its transaction with nobody.
    pub(crate) fn in_turn_alone(name: &str) -> Self {
        Manner::InTurnAlone(number_of(name))
    }

    /// Whether it may share a transaction, where there is one writer.
    pub(crate) fn goes_together(self) -> bool {
        matches!(self, Manner::Together | Manner::InTurn(_))
    }
}

fn number_of(name: &str) -> i64 {
    let digest = Digest::of(name.as_bytes()).0;
    i64::from_be_bytes(std::array::from_fn(|i| digest[i]))
}

/// A transaction in progress.
pub struct Tx<'a> {
    inner: Inner<'a>,
    /// Set when a statement failed because of another transaction, so that the whole is tried again whatever the closure
    /// made of it.
    disturbed: Option<String>,
    /// What this transaction knows of the event log.
    pub(crate) log: Glimpse,
}

/// What is done in a transaction; whether it shall be kept. It may be done several times.
pub(crate) type Work<'a> = dyn FnMut(&mut Tx<'_>) -> bool + 'a;

/// Runs work that has a result by something that only asks whether it shall be kept. Transactions are all the same but for that, so they are
/// compiled once and not for each of some hundred results.
pub(crate) fn with_result<T, E>(
    mut work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    run: impl FnOnce(&mut Work<'_>) -> Result<bool, StoreError>,
) -> Result<Result<T, E>, StoreError> {
    let mut result = None;
    run(&mut |tx| result.insert(work(tx)).is_ok())?;
    result.ok_or_else(|| StoreError::Corrupt("a transaction without work".into()))
}

enum Inner<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres { tx: postgres::Transaction<'a>, prepared: &'a mut HashMap<String, postgres::Statement> },
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}

impl Connection {
    pub(crate) fn open(address: &Address, purpose: Purpose) -> Result<Self, StoreError> {
        match address {
            Address::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path)?;
                connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.pragma_update(None, "synchronous", "FULL")?;
                connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
                connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
                // What is deleted is written over, or it would stay in the file for as long as nothing else needs its place.
                connection.pragma_update(None, "secure_delete", true)?;
                connection.pragma_update(None, "query_only", purpose == Purpose::Look)?;
                connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
                // Else a statement is planned anew for other values.
                connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
                Ok(Self::Sqlite(Box::new(connection)))
            }
            Address::Postgres(url) => {
                let client = postgres::Client::connect(url, tls())?;
                Ok(Self::Postgres(Box::new(Server { client, prepared: HashMap::new() })))
            }
        }
    }

    pub(crate) fn is_usable(&self) -> bool {
        match self {
            Self::Sqlite(connection) => connection.is_autocommit(),
            Self::Postgres(server) => !server.client.is_closed(),
        }
    }

    /// Runs one transaction; whether its work was kept. The error is the database's.
    /// In turn, transactions of one number run one after the other, over all processes: SQLite has one writer
    /// anyway; PostgreSQL takes an advisory lock before the transaction, because a snapshot taken first would be stale.
    pub(crate) fn run(&mut self, manner: Manner, work: &mut Work<'_>) -> Result<bool, StoreError> {
        let turn = match (manner, &*self) {
            (Manner::InTurn(turn) | Manner::InTurnAlone(turn), Self::Postgres(_)) => turn,
            _ => return self.transact(manner, work),
        };
        self.lock("SELECT pg_advisory_lock($1)", turn)?;
        let result = self.transact(manner, work);
        self.lock("SELECT pg_advisory_unlock($1)", turn)?;
        result
    }

    fn lock(&mut self, sql: &str, turn: i64) -> Result<(), StoreError> {
        if let Self::Postgres(server) = self {
            server.client.query(sql, &[&turn])?;
        }
        Ok(())
    }

    /// Runs statements as they are; on SQLite, where its one writer begins and ends transactions.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(_) => Err(StoreError::Corrupt("a writer of SQLite's on PostgreSQL".into())),
        }
    }

    /// Runs the work of a transaction that is open.
    pub(crate) fn work(&self, work: &mut Work<'_>) -> Result<bool, StoreError> {
        let Self::Sqlite(connection) = self else {
            return Err(StoreError::Corrupt("a writer of SQLite's on PostgreSQL".into()));
        };
        let mut tx = Tx { inner: Inner::Sqlite(connection), disturbed: None, log: Glimpse::default() };
        let worked = work(&mut tx);
        undisturbed(worked, tx.disturbed)
    }

    fn transact(&mut self, manner: Manner, work: &mut Work<'_>) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(connection) => {
                connection.execute_batch(if manner == Manner::Look { "BEGIN" } else { "BEGIN IMMEDIATE" })?;
                let mut tx =
                    Tx { inner: Inner::Sqlite(connection), disturbed: None, log: Glimpse::default() };
                let worked = work(&mut tx);
                let disturbed = tx.disturbed;
                let end = if worked { "COMMIT" } else { "ROLLBACK" };
                if let Err(e) = connection.execute_batch(end) {
                    // A failed commit leaves the transaction open; a failed rollback has ended it already.
                    let _ended = connection.execute_batch("ROLLBACK");
                    if worked {
                        return Err(e.into());
                    }
                }
                undisturbed(worked, disturbed)
            }
            Self::Postgres(server) => {
                let Server { client, prepared } = &mut **server;
                let tx = match manner {
                    // One snapshot, and nothing that a writer could have to be tried again for.
                    Manner::Look => client
                        .build_transaction()
                        .isolation_level(postgres::IsolationLevel::RepeatableRead)
                        .read_only(true),
                    _ => client.build_transaction().isolation_level(postgres::IsolationLevel::Serializable),
                };
                let tx = tx.start()?;
                let mut tx =
                    Tx { inner: Inner::Postgres { tx, prepared }, disturbed: None, log: Glimpse::default() };
                let worked = work(&mut tx);
                let disturbed = tx.disturbed;
                let Inner::Postgres { tx, .. } = tx.inner else { return Ok(worked) };
                if worked {
                    tx.commit()?;
                } else {
                    tx.rollback()?;
                }
                undisturbed(worked, disturbed)
            }
        }
    }

    pub(crate) fn migrate(&mut self) -> Result<(), StoreError> {
        let migrate = |tx: &mut Tx<'_>| {
            tx.batch(
                "CREATE TABLE IF NOT EXISTS schema_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)",
            )?;
            let found = match tx.row("SELECT version FROM schema_version WHERE id = 1", &[])? {
                Some(row) => row.int(0)?,
                None => 0,
            };
            let known = MIGRATIONS.len() as i64;
            if found > known {
                return Err(StoreError::Newer { found, known });
            }
            for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
                let sql = tx.in_dialect(migration);
                tx.batch(&sql)?;
            }
            tx.execute(
                "INSERT INTO schema_version (id, version) VALUES (1, ?1)
                 ON CONFLICT (id) DO UPDATE SET version = excluded.version",
                &[Value::Int(known)],
            )?;
            Ok(())
        };
        with_result(migrate, |work| self.run(Manner::InTurn(MIGRATION_LOCK), work))?
    }
}

impl Tx<'_> {
    /// Runs one statement and says how many rows it changed.
    pub fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let result = self.execute_now(sql, values);
        self.watched(result)
    }

    /// All rows of a query; queries state their own limit.
    pub fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let result = self.rows_now(sql, values);
        self.watched(result)
    }

    fn watched<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Retry(why)) = &result {
            self.disturbed = Some(why.clone());
        }
        result
    }

    fn execute_now(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        match &mut self.inner {
            Inner::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                Ok(statement.execute(rusqlite::params_from_iter(values.iter().map(sqlite_value)))? as u64)
            }
            Inner::Postgres { tx, prepared } => {
                let statement = prepare(tx, prepared, sql)?;
                Ok(tx.execute(&statement, &pg_values(values))?)
            }
        }
    }

    fn rows_now(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        match &mut self.inner {
            Inner::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let columns = statement.column_count();
                let mut found =
                    statement.query(rusqlite::params_from_iter(values.iter().map(sqlite_value)))?;
                let mut rows = Vec::new();
                while let Some(row) = found.next()? {
                    let values = (0..columns).map(|i| Ok(from_sqlite(row.get_ref(i)?)));
                    rows.push(Row(values.collect::<Result<_, rusqlite::Error>>()?));
                }
                Ok(rows)
            }
            Inner::Postgres { tx, prepared } => {
                let statement = prepare(tx, prepared, sql)?;
                let found = tx.query(&statement, &pg_values(values))?;
                found.iter().map(from_postgres).collect()
            }
        }
    }

    /// The first row of a query.
    pub fn row(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    /// The one number that a query gives; 0 where it gives none.
    pub fn number(&mut self, sql: &str, values: &[Value]) -> Result<i64, StoreError> {
        self.row(sql, values)?.map_or(Ok(0), |row| row.int(0))
    }

    /// A snapshot older than what this process knows already: the whole is to be tried again.
    pub(crate) fn outdated(&mut self) -> StoreError {
        let why = "the transaction sees less than is known here";
        self.disturbed = Some(why.to_owned());
        StoreError::Retry(why.to_owned())
    }

    /// A migration as this database reads it; its first lines say how they differ.
    fn in_dialect(&self, migration: &str) -> String {
        match &self.inner {
            Inner::Sqlite(_) => migration.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY"),
            Inner::Postgres { .. } => migration.replace("\n--postgres ", "\n"),
        }
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        match &mut self.inner {
            Inner::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Inner::Postgres { tx, .. } => Ok(tx.batch_execute(sql)?),
        }
    }
}

/// A closure's error that another transaction caused is no answer: the whole is to be tried again.
fn undisturbed(worked: bool, disturbed: Option<String>) -> Result<bool, StoreError> {
    match disturbed {
        Some(why) if !worked => Err(StoreError::Retry(why)),
        _ => Ok(worked),
    }
}

fn prepare(
    tx: &mut postgres::Transaction<'_>,
    prepared: &mut HashMap<String, postgres::Statement>,
    sql: &str,
) -> Result<postgres::Statement, StoreError> {
    if let Some(statement) = prepared.get(sql) {
        return Ok(statement.clone());
    }
    let statement = tx.prepare(&sql.replace('?', "$"))?;
    prepared.insert(sql.to_owned(), statement.clone());
    Ok(statement)
}

fn sqlite_value(value: &Value) -> rusqlite::types::ToSqlOutput<'_> {
    use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
    match value {
        Value::Null => ToSqlOutput::Owned(Owned::Null),
        Value::Int(v) => ToSqlOutput::Owned(Owned::Integer(*v)),
        Value::Text(v) => ToSqlOutput::Borrowed(ValueRef::Text(v.as_bytes())),
        Value::Bytes(v) => ToSqlOutput::Borrowed(ValueRef::Blob(v)),
    }
}

fn from_sqlite(value: rusqlite::types::ValueRef<'_>) -> Value {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(v) => Value::Int(v),
        ValueRef::Real(v) => Value::Text(v.to_string()),
        ValueRef::Text(v) => Value::Text(String::from_utf8_lossy(v).into_owned()),
        ValueRef::Blob(v) => Value::Bytes(v.to_vec()),
    }
}

fn pg_values(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|v| v as &(dyn ToSql + Sync)).collect()
}

fn from_postgres(row: &postgres::Row) -> Result<Row, StoreError> {
    let values = row.columns().iter().enumerate().map(|(i, column)| {
        Ok(match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(i)?.map_or(Value::Null, Value::Int),
            Type::TEXT | Type::VARCHAR => {
                row.try_get::<_, Option<String>>(i)?.map_or(Value::Null, Value::Text)
            }
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(i)?.map_or(Value::Null, Value::Bytes),
            ref other => return Err(StoreError::Corrupt(format!("a column of type {other}"))),
        })
    });
    Ok(Row(values.collect::<Result<_, StoreError>>()?))
}

impl ToSql for Value {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(v) => v.to_sql(ty, out),
            Value::Text(v) => v.to_sql(ty, out),
            Value::Bytes(v) => v.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::TEXT | Type::VARCHAR | Type::BYTEA)
    }

    to_sql_checked!();
}

/// TLS to PostgreSQL where its URL asks for it (`sslmode=require`), with the Mozilla roots.
fn tls() -> tokio_postgres_rustls::MakeRustlsConnect {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tokio_postgres_rustls::MakeRustlsConnect::new(config)
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let text = e.to_string();
        match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Retry(text),
            Some(ErrorCode::DiskFull) => StoreError::Full(text),
            Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly) => {
                StoreError::Unreachable(text)
            }
            _ => StoreError::Corrupt(text),
        }
    }
}

impl From<postgres::Error> for StoreError {
    fn from(e: postgres::Error) -> Self {
        use postgres::error::SqlState;
        let text = e.as_db_error().map_or_else(|| e.to_string(), |db| db.message().to_owned());
        match e.code() {
            Some(code)
                if *code == SqlState::T_R_SERIALIZATION_FAILURE
                    || *code == SqlState::T_R_DEADLOCK_DETECTED =>
            {
                StoreError::Retry(text)
            }
            Some(code) if *code == SqlState::DISK_FULL => StoreError::Full(text),
            None => StoreError::Unreachable(text),
            Some(_) => StoreError::Corrupt(text),
        }
    }
}
