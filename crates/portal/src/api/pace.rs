//! How fast a token may ask: a bucket for each, which fills by so many a second and holds a few seconds' worth.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Seconds' worth that a bucket holds.
const BURST_S: f64 = 5.0;
/// Buckets kept; full ones are forgotten first, since they say nothing.
const BUCKETS_MAX: usize = 2_000;

/// The buckets.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, now: Instant, per_second: f64) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * per_second).min(per_second * BURST_S);
        self.at = now;
    }
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second.max(1)), buckets: Mutex::default() }
    }

    /// Takes one from somebody's bucket; else in how many seconds there is one.
    pub(super) fn take(&self, who: &str, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(who) {
            buckets.retain(|_, bucket| {
                bucket.fill(now, self.per_second);
                bucket.left < self.per_second * BURST_S
            });
            if buckets.len() >= BUCKETS_MAX {
                return Err(1);
            }
        }
        let full = Bucket { left: self.per_second * BURST_S, at: now };
        let bucket = buckets.entry(who.to_owned()).or_insert(full);
        bucket.fill(now, self.per_second);
        if bucket.left < 1.0 {
            let wait_s = ((1.0 - bucket.left) / self.per_second).ceil();
            return Err((wait_s as u64).max(1));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_asks_too_fast_waits_and_nobody_else_does() {
        let (pace, begun) = (Pace::new(2), Instant::now());
        let taken = (0..100).filter(|_| pace.take("a", begun).is_ok()).count();
        assert_eq!((taken, pace.take("a", begun)), (10, Err(1)));
        assert_eq!(pace.take("b", begun), Ok(()));
        let later = begun + Duration::from_secs(1);
        let taken = (0..100).filter(|_| pace.take("a", later).is_ok()).count();
        assert_eq!(taken, 2);
        let much_later = begun + Duration::from_secs(3600);
        let taken = (0..100).filter(|_| pace.take("a", much_later).is_ok()).count();
        assert_eq!(taken, 10, "it does not save up");
    }

    #[test]
    fn however_many_there_are_memory_is_bounded_and_who_rests_makes_room() {
        let (pace, begun) = (Pace::new(1), Instant::now());
        let served = (0..3 * BUCKETS_MAX).filter(|n| pace.take(&n.to_string(), begun).is_ok()).count();
        assert_eq!(served, BUCKETS_MAX);
        assert_eq!(pace.take("late", begun + Duration::from_secs(10)), Ok(()));
        assert_eq!(pace.buckets.lock().unwrap().len(), 1);
    }
}
