//! The counter between the async handlers and what blocks behind it. It has few seats, and a look-up keeps its
//! seat until it has really ended, so that a slow database cannot pile up threads when browsers give up and
//! try again.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::desk::{Desk, DeskError};

/// Where questions are put to whoever is behind.
pub(crate) struct Counter<D: ?Sized = dyn Desk> {
    behind: Arc<D>,
    seats: Arc<Semaphore>,
}

impl<D: ?Sized> Clone for Counter<D> {
    fn clone(&self) -> Self {
        Self { behind: Arc::clone(&self.behind), seats: Arc::clone(&self.seats) }
    }
}

impl<D: ?Sized + Send + Sync + 'static> Counter<D> {
    pub(crate) fn new(behind: Arc<D>, seats: usize) -> Self {
        Self { behind, seats: Arc::new(Semaphore::new(seats)) }
    }

    /// Asks off the async threads. Whoever panics is one that cannot answer now.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&D) -> Result<T, DeskError> + Send + 'static,
    ) -> Result<T, DeskError> {
        let broken = |why: &str| DeskError::Unavailable(why.to_owned());
        let seat =
            Arc::clone(&self.seats).acquire_owned().await.map_err(|_| broken("the counter is closed"))?;
        let behind = Arc::clone(&self.behind);
        let answer = spawn_blocking(move || {
            let _until_the_end = seat;
            question(&*behind)
        });
        answer.await.unwrap_or_else(|_| Err(broken("the look-up broke off")))
    }
}
