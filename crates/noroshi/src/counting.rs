//! Numbers that take long to count, shown at once: what was counted a moment ago, while the next counting is under way on a thread of
//! its own. Only who asks first waits; a page costs the same with a thousand cases and with a million.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use noroshi_store::StoreError;

/// Pause between two countings, at least; and at least as many times as long as one took.
const PAUSE: Duration = Duration::from_secs(2);
const TIMES: u32 = 10;
/// How often it is looked whether the first counting is over.
const LOOK_EVERY: Duration = Duration::from_millis(10);

type Count<T> = Box<dyn Fn() -> Result<T, StoreError> + Send + Sync>;

/// What is counted, and how.
pub struct Counting<T> {
    count: Count<T>,
    last: Mutex<Last<T>>,
}

struct Last<T> {
    value: Option<Arc<T>>,
    /// Not counted again before.
    due: Instant,
    under_way: bool,
}

impl<T: Send + Sync + 'static> Counting<T> {
    /// Counts by this.
    pub fn new(count: impl Fn() -> Result<T, StoreError> + Send + Sync + 'static) -> Arc<Self> {
        let last = Last { value: None, due: Instant::now(), under_way: false };
        Arc::new(Self { count: Box::new(count), last: Mutex::new(last) })
    }

    /// Counts for the first time, aside; whoever asks meanwhile waits for that.
    pub fn begin(self: &Arc<Self>) {
        let ours = Arc::clone(self);
        let begun = std::thread::Builder::new().name("counting".into()).spawn(move || drop(ours.now()));
        if let Err(e) = begun {
            tracing::warn!("what the console shows is counted when somebody asks: {e}");
        }
    }

    /// What was counted last. Whoever asks first counts; later, somebody else does meanwhile.
    pub fn now(self: &Arc<Self>) -> Result<Arc<T>, StoreError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(value) = last.value.clone() else {
            // Whoever asks meanwhile waits here, and then has the answer.
            let (value, due) = self.counted()?;
            (last.value, last.due) = (Some(Arc::clone(&value)), due);
            return Ok(value);
        };
        if !last.under_way && Instant::now() >= last.due {
            last.under_way = true;
            drop(last);
            self.count_aside();
        }
        Ok(value)
    }

    /// The same, for who does not wait longer for the first counting than this; none where it takes longer.
    pub fn within(self: &Arc<Self>, wait: Duration) -> Result<Option<Arc<T>>, StoreError> {
        let until = Instant::now() + wait;
        loop {
            match self.last.try_lock() {
                // Whoever counts for the first time holds it.
                Err(TryLockError::WouldBlock) if Instant::now() >= until => return Ok(None),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_EVERY),
                free => {
                    drop(free);
                    return self.now().map(Some);
                }
            }
        }
    }

    fn counted(&self) -> Result<(Arc<T>, Instant), StoreError> {
        let begun = Instant::now();
        let value = Arc::new((self.count)()?);
        Ok((value, Instant::now() + PAUSE.max(begun.elapsed() * TIMES)))
    }

    fn count_aside(self: &Arc<Self>) {
        let ours = Arc::clone(self);
        let counting = std::thread::Builder::new().name("counting".into()).spawn(move || {
            let counted = ours.counted();
            let mut last = ours.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.under_way = false;
            match counted {
                Ok((value, due)) => (last.value, last.due) = (Some(value), due),
                Err(e) => {
                    tracing::warn!("what the console shows could not be counted: {e}");
                    last.due = Instant::now() + PAUSE;
                }
            }
        });
        if counting.is_err() {
            self.last.lock().unwrap_or_else(PoisonError::into_inner).under_way = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn who_asks_first_counts_and_nobody_waits_after_that() {
        let countings = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&countings);
        let counting = Counting::new(move || {
            let n = counter.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20 + 200 * u64::from(n.min(1))));
            Ok(n)
        });
        assert_eq!(*counting.now().unwrap(), 0);
        std::thread::sleep(PAUSE);
        let begun = Instant::now();
        assert_eq!(*counting.now().unwrap(), 0, "what was counted last, while it is counted anew");
        assert!(begun.elapsed() < Duration::from_millis(100));
        (0..1000).for_each(|_| drop(counting.now()));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!((*counting.now().unwrap(), countings.load(Ordering::SeqCst)), (1, 2), "once");
    }

    #[test]
    fn who_does_not_wait_for_the_first_counting_is_told_so() {
        let counting = Counting::new(|| {
            std::thread::sleep(Duration::from_millis(300));
            Ok(7)
        });
        counting.begin();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(counting.within(Duration::from_millis(20)).unwrap(), None);
        assert_eq!(counting.within(Duration::from_secs(60)).unwrap().as_deref(), Some(&7));
        assert_eq!(counting.within(Duration::ZERO).unwrap().as_deref(), Some(&7));
    }

    #[test]
    fn what_cannot_be_counted_is_said_and_tried_again() {
        let fails = Arc::new(AtomicU32::new(1));
        let failing = Arc::clone(&fails);
        let counting = Counting::new(move || match failing.swap(0, Ordering::SeqCst) {
            1 => Err(StoreError::Unreachable("away".into())),
            _ => Ok(7),
        });
        assert!(counting.now().is_err());
        assert_eq!(*counting.now().unwrap(), 7);
    }
}
