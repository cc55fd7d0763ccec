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
//! [`cases`], [`forgetting`] (what is too old), [`outbox`], [`returns`], [`visits`], [`consent`], [`approvals`], [`staff`], [`evidence`], [`tiles`] (the same as files), [`disclosure`]
//! (what is told of it), [`totals`], `trials` and `wordings` (what telling does, and which words), [`networks`] (how infected each is), [`cursors`] (what went out), [`gauges`], [`tokens`],
//! [`pages`] (lists as the API reads them), [`webhooks`] (what is told as it happens), [`telescopes`],
//! [`organisations`] and [`alerts`] (whose addresses they saw, and what is told of that), [`sites`] (that do harm).
//!
//! **Invariant:** no SQL outside this crate. **Invariant:** whatever a closure did is durable when `tx` returns `Ok`, and
//! never happened when it returns `Err`.

pub mod aggregates;
pub mod alerts;
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
pub mod forgetting;
pub mod garden;
pub mod gauges;
pub mod lists;
pub mod log;
pub mod networks;
pub mod organisations;
pub mod outbox;
pub mod pages;
mod pool;
pub mod quarantine;
pub mod queue;
pub mod returns;
pub mod row;
pub mod site_words;
pub mod sites;
pub mod sources;
pub mod staff;
pub mod telescopes;
pub mod tiles;
pub mod tokens;
pub mod totals;
mod trials;
pub mod visits;
pub mod webhooks;
mod wordings;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use engine::{Address, Tx};
use engine::{Connection, Manner, Purpose, Work, with_result};
use log::{EventLog, Glimpse, Limits};
use pool::Pool;
use writer::Writer;

/// How often a transaction is tried before the caller hears of it.
const TRIES_MAX: u32 = 8;
/// Pause before a retry, times the number of tries so far.
const RETRY_PAUSE: Duration = Duration::from_millis(15);

/// What can go wrong, by what to do next.
#[derive(Clone, Debug, thiserror::Error)]
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
    reach: Reach,
    counted: Mutex<BTreeMap<&'static str, Counted>>,
    log: Arc<EventLog>,
}

/// How the database is reached.
enum Reach {
    /// One writer, and those who only look, with connections of their own: to forbid one to write, and to allow it again, would make
    /// every statement known to it be prepared anew.
    Sqlite { writer: Writer, lookers: Pool },
    /// Anybody by any connection; that they only look is said with the transaction.
    Postgres(Pool),
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
        let mut first = Connection::open(&address, Purpose::Any)?;
        first.migrate()?;
        let reach = match &address {
            Address::Sqlite(_) => Reach::Sqlite {
                writer: Writer::new(address.clone(), first),
                lookers: Pool::new(address.clone(), Purpose::Look, None),
            },
            Address::Postgres(_) => Reach::Postgres(Pool::new(address.clone(), Purpose::Any, Some(first))),
        };
        let log = Arc::new(EventLog::new(limits));
        Ok(Self { address, reach, counted: Mutex::default(), log })
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
    /// other, over all processes, instead of colliding and being tried again. On SQLite, where all do anyway, those that come at once share
    /// one wait for the disk; so what `work` reads must go nowhere but into its result.
    pub fn tx_in_turn<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.enter(name, Manner::in_turn(name), work)
    }

    /// The same for what is as short and as frequent, and collides with nothing.
    pub fn tx_together<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.enter(name, Manner::Together, work)
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
        work: impl FnMut(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        with_result(work, |work| self.enter_with(name, manner, work)).unwrap_or_else(|e| Err(e.into()))
    }

    fn enter_with(
        &self,
        name: &'static str,
        manner: Manner,
        work: &mut Work<'_>,
    ) -> Result<bool, StoreError> {
        let mut work = |tx: &mut Tx<'_>| {
            tx.log = Glimpse::of(&self.log);
            work(tx)
        };
        let mut tried = 0;
        let worked = loop {
            tried += 1;
            match self.run(manner, &mut work) {
                Err(StoreError::Retry(_)) if tried < TRIES_MAX => {
                    tracing::debug!(name, tried, "transaction retried");
                    std::thread::sleep(RETRY_PAUSE * tried);
                }
                ended => break ended,
            }
        };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(name).or_default();
        count.retried += u64::from(tried - 1);
        *(if matches!(worked, Ok(true)) { &mut count.committed } else { &mut count.failed }) += 1;
        worked
    }

    fn run(&self, manner: Manner, work: &mut Work<'_>) -> Result<bool, StoreError> {
        let pool = match (&self.reach, manner) {
            (Reach::Sqlite { lookers, .. }, Manner::Look) => lookers,
            (Reach::Sqlite { writer, .. }, _) => return writer.run(manner.goes_together(), work),
            (Reach::Postgres(pool), _) => pool,
        };
        let mut connection = pool.take()?;
        let result = connection.run(manner, work);
        pool.give_back(connection);
        result
    }

    /// How often each named transaction ran since the program started.
    pub fn counted(&self) -> BTreeMap<&'static str, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
