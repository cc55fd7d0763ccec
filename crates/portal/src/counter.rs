//! The counter between the async handlers and the blocking desk. It has few seats, and a look-up keeps its
//! seat until it has really ended, so that a slow database cannot pile up threads when browsers give up and
//! try again.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::desk::{Desk, DeskError};

/// Where questions are put to the desk.
#[derive(Clone)]
pub(crate) struct Counter {
    desk: Arc<dyn Desk>,
    seats: Arc<Semaphore>,
}

impl Counter {
    pub(crate) fn new(desk: Arc<dyn Desk>, seats: usize) -> Self {
        Self { desk, seats: Arc::new(Semaphore::new(seats)) }
    }

    /// Asks off the async threads. A desk that panics is one that cannot answer now.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Desk) -> Result<T, DeskError> + Send + 'static,
    ) -> Result<T, DeskError> {
        let broken = |why: &str| DeskError::Unavailable(why.to_owned());
        let seat =
            Arc::clone(&self.seats).acquire_owned().await.map_err(|_| broken("the counter is closed"))?;
        let desk = Arc::clone(&self.desk);
        let answer = spawn_blocking(move || {
            let _until_the_end = seat;
            question(&*desk)
        });
        answer.await.unwrap_or_else(|_| Err(broken("the look-up broke off")))
    }
}
