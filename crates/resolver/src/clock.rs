//! Time as the resolver counts it: whole seconds since it started, which neither jump nor go back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Seconds since the start; a test's stands still until it is moved.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Real(Instant),
    Set(Arc<AtomicU32>),
}

impl Clock {
    /// The real one. It begins at a day, so that "a day ago" can be said.
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the resolver reads the time")]
    pub fn real() -> Self {
        Self(Kind::Real(Instant::now()))
    }

    /// One that stands still.
    pub fn set() -> Self {
        Self(Kind::Set(Arc::new(AtomicU32::new(START_S))))
    }

    /// The moment, for measuring how long something takes.
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the resolver reads the time")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Moves one that stands still.
    pub fn advance(&self, by_s: u32) {
        if let Kind::Set(now) = &self.0 {
            now.fetch_add(by_s, Ordering::Relaxed);
        }
    }

    /// Seconds since the start.
    #[inline]
    pub fn now_s(&self) -> u32 {
        match &self.0 {
            Kind::Real(start) => {
                START_S.saturating_add(u32::try_from(start.elapsed().as_secs()).unwrap_or(u32::MAX))
            }
            Kind::Set(now) => now.load(Ordering::Relaxed),
        }
    }
}

impl Clock {
    /// Milliseconds since the start; they go round after seven weeks.
    #[inline]
    pub fn now_ms(&self) -> u32 {
        match &self.0 {
            Kind::Real(start) => start.elapsed().as_millis() as u32,
            Kind::Set(now) => now.load(Ordering::Relaxed).wrapping_mul(1000),
        }
    }
}

const START_S: u32 = 86_400;
