//! Something that many threads change, each in its turn: the thread that holds batch 7 waits until batch 6 has been here. So that threads
//! follow each other from place to place, and what comes out does not depend on which of them was faster.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A value, and whose turn it is.
#[derive(Debug, Default)]
pub struct Turn<T> {
    state: Mutex<State<T>>,
    passed: Condvar,
}

#[derive(Debug, Default)]
struct State<T> {
    turn: u64,
    /// A thread went away in the middle of its turn.
    broken: bool,
    value: T,
}

/// Passes the turn on, also when what was done in it fails.
struct Passing<'a, T>(MutexGuard<'a, State<T>>, &'a Condvar);

impl<T> Drop for Passing<'_, T> {
    fn drop(&mut self) {
        self.0.turn += 1;
        self.0.broken |= std::thread::panicking();
        self.1.notify_all();
    }
}

impl<T> Turn<T> {
    /// It, at turn 0.
    pub fn new(value: T) -> Self {
        Self { state: Mutex::new(State { turn: 0, broken: false, value }), passed: Condvar::new() }
    }

    /// Does something with it when it is the turn's time, and passes the turn on.
    ///
    /// # Panics
    /// When another thread panicked in its turn: what would follow is not to be relied on.
    pub fn at<R>(&self, turn: u64, act: impl FnOnce(&mut T) -> R) -> R {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.passed.wait_while(state, |state| state.turn < turn && !state.broken);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!state.broken && state.turn == turn, "turn {turn} cannot be taken");
        let mut passing = Passing(state, &self.passed);
        act(&mut passing.0.value)
    }

    /// Does something with it between turns.
    pub fn now<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).value)
    }

    /// Looks at it as it is now.
    pub fn look<R>(&self, at: impl FnOnce(&T) -> R) -> R {
        at(&self.state.lock().unwrap_or_else(PoisonError::into_inner).value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_taken_in_their_order_by_however_many_threads() {
        let (all, next) = (Turn::new(Vec::new()), Mutex::new(0..500));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(turn) = { next.lock().unwrap().next() } {
                        all.at(turn, |all| all.push(turn));
                    }
                });
            }
        });
        assert!(all.look(|all| all.iter().copied().eq(0..500)));
    }

    #[test]
    fn nobody_waits_for_a_thread_that_is_gone() {
        let all = Turn::new(0);
        let failed = std::thread::scope(|scope| {
            let waits = scope.spawn(|| all.at(1, |_| ()));
            let fails = scope.spawn(|| all.at(0, |_| panic!("by intent")));
            fails.join().is_err() && waits.join().is_err()
        });
        assert!(failed);
    }
}
