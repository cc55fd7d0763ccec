//! Data under seal and data that may be read.
//!
//! [`Sealed`] holds what came from communications: it can be moved, not read. [`Lawful`] is the same value after a
//! [`Permit`] opened it; its type says for which purpose, so handing it to code of another purpose does not compile.
//!
//! ```compile_fail,E0616
//! // 1. A sealed value has no field to read.
//! let s = noroshi_law::Sealed::new(String::from("198.51.100.7"));
//! println!("{}", s.value);
//! ```
//! ```compile_fail,E0532
//! // 2. It cannot be taken apart.
//! let s = noroshi_law::Sealed::new(String::from("198.51.100.7"));
//! let noroshi_law::Sealed(inner) = s;
//! ```
//! ```compile_fail,E0599
//! // 3. It does not dereference.
//! let s = noroshi_law::Sealed::new(String::from("198.51.100.7"));
//! let n = s.len();
//! ```
//! ```compile_fail,E0599
//! // 4. It cannot be copied aside.
//! let s = noroshi_law::Sealed::new(String::from("198.51.100.7"));
//! let t = s.clone();
//! ```
//! ```compile_fail,E0277
//! // 5. It cannot be serialised into a log or a response.
//! let s = noroshi_law::Sealed::new(String::from("198.51.100.7"));
//! let j = serde_json::to_string(&s).unwrap();
//! ```
//! ```compile_fail,E0369
//! // 6. It cannot be compared to find out what it is.
//! let s = noroshi_law::Sealed::new(String::from("198.51.100.7"));
//! let same = s == noroshi_law::Sealed::new(String::from("198.51.100.8"));
//! ```
//! ```compile_fail,E0451
//! // 7. A lawful value cannot be made without a permit.
//! use noroshi_law::{Lawful, TakedownNotice};
//! let l: Lawful<String, TakedownNotice> = Lawful { value: String::new(), purpose: std::marker::PhantomData };
//! ```
//! ```compile_fail,E0308
//! // 8. What was opened for one purpose cannot be used for another.
//! use noroshi_law::{InfectionNotice, Lawful, TakedownNotice};
//! fn warn(_: Lawful<String, InfectionNotice>) {}
//! fn misuse(seen: Lawful<String, TakedownNotice>) { warn(seen); }
//! ```
//! ```compile_fail,E0277
//! // 9. What may be kept may not be mailed: session keeping is no notice.
//! use noroshi_law::{Lawful, NoticePurpose, SessionKeeping};
//! fn notify<P: NoticePurpose>(_: &Lawful<String, P>) {}
//! fn misuse(row: &Lawful<String, SessionKeeping>) { notify(row); }
//! ```
//! ```compile_fail,E0277
//! // 10. A lawful value does not print itself.
//! use noroshi_law::{Lawful, TakedownNotice};
//! fn log(seen: Lawful<String, TakedownNotice>) { println!("{seen}"); }
//! ```
//! ```compile_fail,E0277
//! // 11. Nor does it serialise itself.
//! use noroshi_law::{Lawful, TakedownNotice};
//! fn leak(seen: Lawful<String, TakedownNotice>) -> String { serde_json::to_string(&seen).unwrap() }
//! ```
//! ```compile_fail,E0061
//! // 12. Opening without a ledger to write to is not possible.
//! use noroshi_law::{Permit, Sealed, TakedownNotice};
//! fn peek(s: Sealed<String>, p: &Permit<TakedownNotice>) { let _ = s.open(p, "why", jiff::Timestamp::UNIX_EPOCH); }
//! ```

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;

use crate::evidence::{Ledger, LedgerError};
use crate::gate::Permit;
use crate::purpose::{InPassing, Purpose, SessionKeeping};

/// Communications data that may not be read.
pub struct Sealed<T> {
    value: T,
}

impl<T> Sealed<T> {
    /// Puts a value under seal, as early as it is recognised for what it is.
    pub fn new(value: T) -> Self {
        Self { value }
    }

    /// Opens it for the permit's purpose. The look is in the evidence log, durably, before this returns the value;
    /// if it cannot be written, the value stays closed and is dropped.
    pub fn open<P: Purpose>(
        self,
        permit: &Permit<P>,
        subject: &str,
        now: Timestamp,
        ledger: &mut dyn Ledger,
    ) -> Result<Lawful<T, P>, LedgerError> {
        ledger.append(permit.opening(subject, 1, now))?;
        Ok(Lawful::granted(self.value))
    }

    /// For the vault, which has written the look down.
    pub(crate) fn recorded<P: Purpose>(self) -> Lawful<T, P> {
        Lawful::granted(self.value)
    }

    /// Opens it for being kept, which the permit's own evidence entry stands for: nothing is looked at for anybody. What
    /// comes out is bound to the keeping of sessions, and nothing that tells a subscriber takes that.
    pub fn keep(self, _permit: &Permit<SessionKeeping>) -> Lawful<T, SessionKeeping> {
        Lawful::granted(self.value)
    }

    /// Opens it for a measure that acts on what passes and tells nobody, which the permit's own evidence entry stands for; `None` once the permit
    /// has ended.
    ///
    /// ```compile_fail,E0277
    /// // Who is told must be looked up, and every look has its entry.
    /// use noroshi_law::{InfectionNotice, Lawful, Permit, Sealed};
    /// fn peek(s: Sealed<String>, p: &Permit<InfectionNotice>) -> Option<Lawful<String, InfectionNotice>> {
    ///     s.in_passing(p, jiff::Timestamp::UNIX_EPOCH)
    /// }
    /// ```
    pub fn in_passing<P: InPassing>(self, permit: &Permit<P>, now: Timestamp) -> Option<Lawful<T, P>> {
        permit.in_force(now).then(|| Lawful::granted(self.value))
    }

    /// For the vault, which puts the value at rest without anybody reading it.
    pub(crate) fn under_seal(&self) -> &T {
        &self.value
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹sealed›")
    }
}

/// A value that may be read, for purpose `P` and no other; the evidence is already written.
pub struct Lawful<T, P: Purpose> {
    value: T,
    purpose: PhantomData<fn() -> P>,
}

impl<T, P: Purpose> Lawful<T, P> {
    pub(crate) fn granted(value: T) -> Self {
        Self { value, purpose: PhantomData }
    }

    /// Reads it.
    pub fn read(&self) -> &T {
        &self.value
    }

    /// Derives a value and keeps this one; both are bound to the same purpose.
    pub fn with<U>(&self, f: impl FnOnce(&T) -> U) -> Lawful<U, P> {
        Lawful::granted(f(&self.value))
    }

    /// Derives a value, which stays bound to the same purpose.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Lawful<U, P> {
        Lawful::granted(f(self.value))
    }

    /// Puts two together that are bound to the same purpose.
    pub fn join<U, V>(self, other: Lawful<U, P>, f: impl FnOnce(T, U) -> V) -> Lawful<V, P> {
        Lawful::granted(f(self.value, other.value))
    }

    /// Takes an optional part out, bound to the same purpose.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Option<U>) -> Option<Lawful<U, P>> {
        f(self.value).map(Lawful::granted)
    }
}

impl<T, E, P: Purpose> Lawful<Result<T, E>, P> {
    /// What could not be derived is nothing of what was opened: the error stands alone.
    pub fn transpose(self) -> Result<Lawful<T, P>, E> {
        self.value.map(Lawful::granted)
    }
}

impl<T, P: Purpose> fmt::Debug for Lawful<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "‹redacted: {}›", P::MEASURE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Sealed::new("198.51.100.7")), "‹sealed›");
    }
}
