//! SQLite's one writer. A transaction costs a wait for the disk, and short ones come from many threads at once: those that may go
//! together share one. Each runs in a savepoint of its own, leaves the transaction open if somebody is coming, and waits until it is
//! committed by whoever comes last; so each is durable when its caller hears of it, as if it had been alone.
//!
//! ```text
//!   A: BEGIN, work ─┐ leaves it open, waits ───────────────────────────────┐
//!   B:              └─ SAVEPOINT, work, RELEASE ─┐ waits ──────────────────┤
//!   C:                                           └─ SAVEPOINT, work, COMMIT ┴─▶ all three go on
//! ```
//!
//! What fails in its work is undone alone. A commit that fails is told to all who went along. Whoever must not go along (because what
//! they read goes into memory before it is committed) commits the others first, and then has a transaction to themselves.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::StoreError;
use crate::engine::{Address, Connection, Purpose, Work};

/// Transactions that share one at most.
const TOGETHER_MAX: u32 = 64;

/// The writer.
pub(crate) struct Writer {
    turn: Mutex<Turn>,
    committed: Condvar,
    /// Who is on the way to the turn.
    coming: AtomicU32,
}

struct Turn {
    address: Address,
    connection: Connection,
    /// How many have done their work in the transaction that is open; none is open where nobody has.
    members: u32,
    /// The number of that transaction.
    generation: u64,
    /// Transactions that were not committed: why, and how many have not yet heard of it.
    failed: HashMap<u64, (StoreError, u32)>,
}

impl Writer {
    pub(crate) fn new(address: Address, connection: Connection) -> Self {
        let turn = Turn { address, connection, members: 0, generation: 0, failed: HashMap::new() };
        Self { turn: Mutex::new(turn), committed: Condvar::new(), coming: AtomicU32::new(0) }
    }

    /// Runs one transaction, alone or `together` with others; whether its work was kept. The error is the database's.
    pub(crate) fn run(&self, together: bool, work: &mut Work<'_>) -> Result<bool, StoreError> {
        self.coming.fetch_add(1, Ordering::SeqCst);
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.coming.fetch_sub(1, Ordering::SeqCst);
        if !together && turn.members > 0 {
            // Those who went along hear of it if it fails.
            let _theirs = turn.commit();
            self.committed.notify_all();
        }
        let first = turn.members == 0;
        if let Err(e) = if first { turn.begin() } else { turn.connection.batch("SAVEPOINT one") } {
            return self.fail(turn, e);
        }
        let result = match catch_unwind(AssertUnwindSafe(|| turn.connection.work(work))) {
            Ok(result) => result,
            Err(panic) => {
                let _told: Result<(), _> =
                    self.fail(turn, StoreError::Unreachable("another transaction stopped midway".into()));
                resume_unwind(panic)
            }
        };
        let worked = matches!(result, Ok(true));
        if turn.connection.is_usable() {
            // The database undid all of it by itself: the disk is full, or broken.
            let e = StoreError::Unreachable("the database undid a transaction by itself".into());
            let e: Result<(), _> = self.fail(turn, result.as_ref().err().cloned().unwrap_or(e));
            return if worked { e.and(result) } else { result };
        }
        let settled = match (worked, first) {
            (true, true) => Ok(()),
            (true, false) => turn.connection.batch("RELEASE one"),
            (false, true) => turn.connection.batch("ROLLBACK"),
            (false, false) => turn.connection.batch("ROLLBACK TO one; RELEASE one"),
        };
        if let Err(e) = settled {
            return self.fail(turn, e);
        }
        if first && !worked {
            return result;
        }
        let is_awaited = self.coming.load(Ordering::SeqCst) > 0 && turn.members < TOGETHER_MAX;
        if !(together && is_awaited) {
            let committed = turn.commit();
            self.committed.notify_all();
            // Whose work failed is told of that; what became of the others is not theirs.
            return if worked { committed.and(result) } else { result };
        }
        if !worked {
            return result;
        }
        turn.members += 1;
        let mine = turn.generation;
        while turn.generation == mine {
            turn = self.committed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        turn.heard_of(mine).and(result)
    }

    /// Ends what is open as failed, and says so to all who took part.
    fn fail<T>(&self, mut turn: MutexGuard<'_, Turn>, e: StoreError) -> Result<T, StoreError> {
        turn.fail(&e);
        self.committed.notify_all();
        Err(e)
    }
}

impl Turn {
    fn begin(&mut self) -> Result<(), StoreError> {
        if !self.connection.is_usable() {
            self.connection = Connection::open(&self.address, Purpose::Any)?;
        }
        self.connection.batch("BEGIN IMMEDIATE")
    }

    /// Commits what is open, for all who took part.
    fn commit(&mut self) -> Result<(), StoreError> {
        match self.connection.batch("COMMIT") {
            Ok(()) => {
                (self.members, self.generation) = (0, self.generation + 1);
                Ok(())
            }
            Err(e) => {
                self.fail(&e);
                Err(e)
            }
        }
    }

    /// Ends what is open as failed, for all who took part.
    fn fail(&mut self, e: &StoreError) {
        // It may be over already.
        let _ended = self.connection.batch("ROLLBACK");
        if self.members > 0 {
            self.failed.insert(self.generation, (e.clone(), self.members));
        }
        (self.members, self.generation) = (0, self.generation + 1);
    }

    /// Whether a transaction that one took part in was committed; asked once by each.
    fn heard_of(&mut self, generation: u64) -> Result<(), StoreError> {
        let Some((e, left)) = self.failed.get_mut(&generation) else { return Ok(()) };
        let e = e.clone();
        *left -= 1;
        if *left == 0 {
            self.failed.remove(&generation);
        }
        Err(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Tx, with_result};
    use crate::row::values;

    impl Writer {
        fn run_with<T>(
            &self,
            together: bool,
            work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError>,
        ) -> Result<Result<T, StoreError>, StoreError> {
            with_result(work, |work| self.run(together, work))
        }
    }

    fn writer(folder: &tempfile::TempDir) -> Writer {
        let address = Address::Sqlite(folder.path().join("t.db"));
        let connection = Connection::open(&address, Purpose::Any).unwrap();
        connection.batch("CREATE TABLE t (who BIGINT, n BIGINT, UNIQUE (who, n))").unwrap();
        Writer::new(address, connection)
    }

    fn count(writer: &Writer) -> i64 {
        writer.run_with(false, |tx| tx.number("SELECT COUNT(*) FROM t", &[])).unwrap().unwrap()
    }

    fn insert(
        writer: &Writer,
        together: bool,
        who: u64,
        n: u64,
    ) -> Result<Result<u64, StoreError>, StoreError> {
        writer.run_with(together, |tx| tx.execute("INSERT INTO t VALUES (?1, ?2)", values![who, n]))
    }

    #[test]
    fn many_go_together_and_each_is_told_when_its_own_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        std::thread::scope(|scope| {
            for who in 0..8_u64 {
                let writer = &writer;
                scope.spawn(move || {
                    for n in 0..100 {
                        // Every third fails in its work: only it is undone, and not what it did before.
                        let fails = (who + n) % 3 == 0;
                        let done = writer.run_with(who < 6, |tx| {
                            tx.execute("INSERT INTO t VALUES (?1, ?2)", values![who, n])?;
                            if fails { Err(StoreError::Corrupt("a test".into())) } else { Ok(()) }
                        });
                        assert_eq!(done.unwrap().is_err(), fails);
                        // By another connection, what was told is there.
                        if who == 0 {
                            let looker = rusqlite::Connection::open(folder_db(&writer.turn)).unwrap();
                            let sql = "SELECT COUNT(*) FROM t WHERE who = 0 AND n = ?1";
                            let there: i64 = looker.query_row(sql, [n as i64], |row| row.get(0)).unwrap();
                            assert_eq!(there, i64::from(!fails));
                        }
                    }
                });
            }
        });
        let right = (0..8).flat_map(|who| (0..100).map(move |n| who + n)).filter(|sum| sum % 3 != 0).count();
        assert_eq!(count(&writer), right as i64);
        assert!(
            writer.turn.lock().unwrap().generation < 800 && writer.turn.lock().unwrap().failed.is_empty()
        );
    }

    fn folder_db(turn: &Mutex<Turn>) -> std::path::PathBuf {
        match &turn.lock().unwrap().address {
            Address::Sqlite(path) => path.clone(),
            Address::Postgres(_) => unreachable!(),
        }
    }

    #[test]
    fn who_panics_takes_down_those_who_went_along_and_nobody_after() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(&folder);
        let inside = std::sync::Barrier::new(2);
        let told = std::thread::scope(|scope| {
            let (writer, inside) = (&writer, &inside);
            let first = scope.spawn(move || {
                writer.run_with(true, |tx| {
                    inside.wait();
                    // Until the other is on its way.
                    while writer.coming.load(Ordering::SeqCst) == 0 {
                        std::thread::yield_now();
                    }
                    tx.execute("INSERT INTO t VALUES (1, 1)", &[])
                })
            });
            let second = scope.spawn(move || {
                inside.wait();
                let _ended = writer.run(true, &mut |_| panic!("a test"));
            });
            assert!(second.join().is_err());
            first.join().unwrap()
        });
        assert!(matches!(told, Err(StoreError::Unreachable(why)) if why.contains("stopped midway")));
        assert_eq!(count(&writer), 0);
        assert!(insert(&writer, true, 2, 2).unwrap().is_ok());
        assert_eq!(count(&writer), 1);
    }
}
