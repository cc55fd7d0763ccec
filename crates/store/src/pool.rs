//! Connections that are kept: made when they are needed, as far as there may be, and given back for whoever comes next.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::StoreError;
use crate::engine::{Address, Connection, Purpose};

/// Connections open at most; more would only wait for each other.
const CONNECTIONS_MAX: usize = 4;

/// Connections for one purpose.
pub(crate) struct Pool {
    address: Address,
    purpose: Purpose,
    idle: Mutex<Idle>,
    freed: Condvar,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    open: usize,
}

impl Pool {
    /// With one that is there already, or none.
    pub(crate) fn new(address: Address, purpose: Purpose, first: Option<Connection>) -> Self {
        let idle = Idle { open: usize::from(first.is_some()), connections: first.into_iter().collect() };
        Self { address, purpose, idle: Mutex::new(idle), freed: Condvar::new() }
    }

    /// One for oneself; waits while all are taken.
    pub(crate) fn take(&self) -> Result<Connection, StoreError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = idle.connections.pop() {
                return Ok(connection);
            }
            if idle.open < CONNECTIONS_MAX {
                idle.open += 1;
                drop(idle);
                return Connection::open(&self.address, self.purpose).inspect_err(|_| {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
                    self.freed.notify_one();
                });
            }
            idle = self.freed.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Back for whoever comes next, unless it is of no use any more.
    pub(crate) fn give_back(&self, connection: Connection) {
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
