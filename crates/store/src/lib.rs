//! Rows, queue, leases, migrations and the evidence log's place.
//!
//! ```text
//!   everybody ──store.tx("name", |tx| …)──▶ Tx ──▶ SQLite (default) or PostgreSQL, the same SQL
//! ```
//!
//! There is one door: [`Store::tx`] (or [`Store::tx_in_turn`], or, to look only, [`Store::look`]) runs a closure in a transaction under a name, retries it where the database asks for
//! that, and counts it. In reading order: [`engine`] the two databases behind one face; [`row`] the three kinds of value
//! there are; then one file per noun, each adding methods to [`Tx`]: [`log`] (the events), [`events`] (how they came in),
//! [`sources`], [`quarantine`], [`aggregates`], [`lists`], [`clocks`], [`queue`], [`findings`],
//! [`cases`], [`outbox`], [`returns`], [`visits`], [`consent`], [`approvals`], [`staff`], [`evidence`], [`tiles`] (the same as files), [`disclosure`]
//! (what is told of it), [`totals`], `trials` and `wordings` (what telling does, and which words), [`networks`] (how infected each is), [`cursors`] (what went out), [`gauges`], [`tokens`],
//! [`pages`] (lists as the API reads them), [`webhooks`] (what is told as it happens).
//!
//! **Invariant:** no SQL outside this crate. **Invariant:** whatever a closure did is durable when `tx` returns `Ok`, and
//! never happened when it returns `Err`.

pub mod aggregates;
pub mod approvals;
pub mod cases;
pub mod clocks;
pub mod consent;
pub mod cursors;
pub mod disclosure;
pub mod engine;
pub mod events;
pub mod evidence;
pub mod findings;
pub mod garden;
pub mod gauges;
pub mod lists;
pub mod log;
pub mod networks;
pub mod outbox;
pub mod pages;
pub mod quarantine;
pub mod queue;
pub mod returns;
pub mod row;
pub mod sources;
pub mod staff;
pub mod tiles;
pub mod tokens;
pub mod totals;
mod trials;
pub mod visits;
pub mod webhooks;
mod wordings;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

pub use engine::{Address, Tx};
use engine::{Connection, Manner};
use log::{EventLog, Glimpse, Limits};

/// Connections open at most; more would only wait for each other.
const CONNECTIONS_MAX: usize = 4;
/// How often a transaction is tried before the caller hears of it.
const TRIES_MAX: u32 = 8;
/// Pause before a retry, times the number of tries so far.
const RETRY_PAUSE: Duration = Duration::from_millis(15);

/// What can go wrong, by what to do next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is busy or asks to retry; tried several times.
    #[error("the database is busy: {0}")]
    Retry(String),
    /// No room: nothing was lost, nothing more can be taken in.
    #[error("the disk is full: nothing acknowledged was lost; make room and run again ({0})")]
    Full(String),
    /// Not reachable, or gone away.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// Written by a newer noroshi.
    #[error("the database has schema version {found}, this program knows {known}: use a newer noroshi")]
    Newer {
        /// Found in the database.
        found: i64,
        /// Known here.
        known: i64,
    },
    /// Somebody else took over what was being done.
    #[error("{0}")]
    Overtaken(String),
    /// What was read is not what was written, or the SQL is wrong.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
}

/// A database.
pub struct Store {
    address: Address,
    idle: Mutex<Idle>,
    freed: Condvar,
    counted: Mutex<BTreeMap<&'static str, Counted>>,
    log: Arc<EventLog>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    open: usize,
}

/// How often a named transaction ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Committed.
    pub committed: u64,
    /// Tried again.
    pub retried: u64,
    /// Given up or rolled back by its closure.
    pub failed: u64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.address)
    }
}

impl Store {
    /// Opens a database, creating or migrating it where needed.
    pub fn open(address: Address) -> Result<Self, StoreError> {
        Self::open_with(address, Limits::default())
    }

    /// The same, with other sizes and bounds of the event log than the measured ones.
    pub fn open_with(address: Address, limits: Limits) -> Result<Self, StoreError> {
        let mut first = Connection::open(&address)?;
        first.migrate()?;
        let idle = Mutex::new(Idle { connections: vec![first], open: 1 });
        let log = Arc::new(EventLog::new(limits));
        Ok(Self { address, idle, freed: Condvar::new(), counted: Mutex::default(), log })
    }

    /// Where it is, without secrets.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The one door: runs `work` in a transaction and commits. `work` may run several times.
    pub fn tx<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.enter(name, Manner::Write, work)
    }

    /// The same door for what everybody wants at once (a claim, an append): transactions of one name run one after the
    /// other, over all processes, instead of colliding and being tried again.
    pub fn tx_in_turn<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.enter(name, Manner::in_turn(name), work)
    }

    /// The door for whoever only looks: sees one moment of the database, waits for no writer, and cannot write.
    pub fn look<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.enter(name, Manner::Look, work)
    }

    fn enter<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        manner: Manner,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut work = |tx: &mut Tx<'_>| {
            tx.log = Glimpse::of(&self.log);
            work(tx)
        };
        let mut connection = self.take()?;
        let mut tried = 0;
        let result = loop {
            tried += 1;
            match connection.run(manner, &mut work) {
                Ok(done) => break done,
                Err(StoreError::Retry(_)) if tried < TRIES_MAX => {
                    tracing::debug!(name, tried, "transaction retried");
                    std::thread::sleep(RETRY_PAUSE * tried);
                }
                Err(e) => break Err(e.into()),
            }
        };
        self.give_back(connection);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(name).or_default();
        count.retried += u64::from(tried - 1);
        *(if result.is_ok() { &mut count.committed } else { &mut count.failed }) += 1;
        result
    }

    /// How often each named transaction ran since the program started.
    pub fn counted(&self) -> BTreeMap<&'static str, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = idle.connections.pop() {
                return Ok(connection);
            }
            if idle.open < CONNECTIONS_MAX {
                idle.open += 1;
                drop(idle);
                return Connection::open(&self.address).inspect_err(|_| {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
                    self.freed.notify_one();
                });
            }
            idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.is_usable() {
            idle.connections.push(connection);
        } else {
            idle.open -= 1;
        }
        drop(idle);
        self.freed.notify_one();
    }
}
