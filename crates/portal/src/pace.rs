//! How fast somebody may ask: a bucket for each, which fills by so many a second and holds a few seconds' worth.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets are looked through for full ones at most so often, however many newcomers there are.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How fast, and for how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// So many a second, in the long run.
    pub per_second: u32,
    /// Seconds' worth that a bucket holds.
    pub burst_s: u32,
    /// Buckets kept; full ones are forgotten first, since they say nothing. When there are more, newcomers share one.
    pub buckets: usize,
}

/// The buckets.
#[derive(Debug)]
pub(crate) struct Pace<K> {
    per_second: f64,
    full: f64,
    most: usize,
    held: Mutex<Held<K>>,
}

#[derive(Debug)]
struct Held<K> {
    buckets: HashMap<K, Bucket>,
    /// Of newcomers for whom there is no place.
    others: Option<Bucket>,
    swept: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Eq + Hash> Pace<K> {
    pub(crate) fn new(limit: Limit) -> Self {
        let per_second = f64::from(limit.per_second.max(1));
        let held = Held { buckets: HashMap::new(), others: None, swept: None };
        let full = per_second * f64::from(limit.burst_s.max(1));
        Self { per_second, full, most: limit.buckets, held: Mutex::new(held) }
    }

    /// Takes one from somebody's bucket; else in how many seconds there is one.
    pub(crate) fn take<Q>(&self, who: &Q, now: Instant) -> Result<(), u64>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.buckets.len() >= self.most && !held.buckets.contains_key(who) {
            self.sweep(&mut held, now);
        }
        let is_known = held.buckets.contains_key(who);
        let full = Bucket { left: self.full, at: now };
        let bucket = if is_known || held.buckets.len() < self.most {
            held.buckets.entry(who.to_owned()).or_insert(full)
        } else {
            held.others.get_or_insert(full)
        };
        self.fill(bucket, now);
        if bucket.left < 1.0 {
            let wait_s = ((1.0 - bucket.left) / self.per_second).ceil();
            return Err((wait_s as u64).max(1));
        }
        bucket.left -= 1.0;
        Ok(())
    }

    fn fill(&self, bucket: &mut Bucket, now: Instant) {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + passed * self.per_second).min(self.full);
        bucket.at = now;
    }

    fn sweep(&self, held: &mut Held<K>, now: Instant) {
        if held.swept.is_some_and(|at| now.saturating_duration_since(at) < SWEEP_EVERY) {
            return;
        }
        held.swept = Some(now);
        held.buckets.retain(|_, bucket| {
            self.fill(bucket, now);
            bucket.left < self.full
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(per_second: u32, buckets: usize) -> Pace<String> {
        Pace::new(Limit { per_second, burst_s: 5, buckets })
    }

    #[test]
    fn who_asks_too_fast_waits_and_nobody_else_does() {
        let (pace, begun) = (pace(2, 10), Instant::now());
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
        let (pace, begun) = (pace(1, 50), Instant::now());
        let served = (0..500).filter(|n| pace.take(n.to_string().as_str(), begun).is_ok()).count();
        assert_eq!(served, 50 + 5, "newcomers share a bucket");
        assert_eq!(pace.take("0", begun), Ok(()), "who was there before notices nothing");
        assert_eq!(pace.take("late", begun + Duration::from_secs(10)), Ok(()));
        assert_eq!(pace.held.lock().unwrap().buckets.len(), 1);
    }
}
