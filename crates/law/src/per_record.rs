//! What is left to check of each record under a permit that stands: has this line opted out, is the record too old to be
//! used, has the permit ended. The rules were asked when the permit was made; a packet cannot wait for them.
//!
//! ```text
//!   consent register ──set──▶ OptOuts (a bit a line) ◀──read── PerRecord::check ◀── each record
//! ```
//!
//! Nothing is cached between the bit and the check: an opt-out holds for the next record after it was set, in every thread.
//!
//! ```compile_fail,E0277
//! // Not for what is no everyday measure: every look of a takedown notice is asked for.
//! use noroshi_law::{OptOuts, PerRecord, Permit, TakedownNotice};
//! fn misuse(permit: &Permit<TakedownNotice>, opt_outs: &OptOuts) { let _ = PerRecord::under(permit, opt_outs); }
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use crate::basis::{Basis, BasisKind};
use crate::gate::Permit;
use crate::purpose::AlwaysOn;

const DAY_MS: i64 = 86_400_000;

/// Which lines have opted out, a bit each, shared between threads. A line it has no room for counts as opted out.
#[derive(Debug)]
pub struct OptOuts {
    bits: Box<[AtomicU64]>,
    lines: u32,
}

impl OptOuts {
    /// Room for the lines from 0 to `lines`, none of which has opted out.
    pub fn for_lines(lines: u32) -> Self {
        Self { bits: (0..lines.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(), lines }
    }

    /// Records that a line opted out, or came back. `false` where there is no such line.
    pub fn set(&self, line: u32, opted_out: bool) -> bool {
        let Some(word) = self.word(line) else { return false };
        let bit = 1 << (line % 64);
        match opted_out {
            true => word.fetch_or(bit, Ordering::Release),
            false => word.fetch_and(!bit, Ordering::Release),
        };
        true
    }

    /// Whether a line has opted out.
    pub fn contains(&self, line: u32) -> bool {
        self.word(line).is_none_or(|word| word.load(Ordering::Acquire) & (1 << (line % 64)) != 0)
    }

    fn word(&self, line: u32) -> Option<&AtomicU64> {
        (line < self.lines).then(|| self.bits.get(line as usize / 64)).flatten()
    }
}

/// Why a record may not be used under a permit that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The permit has ended; ask for another.
    Ended,
    /// The line has opted out of a measure that stands on consent.
    OptedOut,
    /// The record is older than the measure may keep anything.
    TooOld,
}

/// The check of each record under a permit of an always-on measure.
#[derive(Debug)]
pub struct PerRecord<'a> {
    opt_outs: Option<&'a OptOuts>,
    ends_ms: i64,
    retention_ms: i64,
}

impl<'a> PerRecord<'a> {
    /// Under this permit. Opt-outs bind measures that stand on consent; the others need none.
    pub fn under<P: AlwaysOn>(permit: &Permit<P>, opt_outs: &'a OptOuts) -> Self {
        Self {
            opt_outs: (P::Basis::KIND == BasisKind::Consent).then_some(opt_outs),
            ends_ms: permit.expires().as_millisecond(),
            retention_ms: i64::from(permit.retention_days()) * DAY_MS,
        }
    }

    /// Whether a record of a line, taken at a time, may be used now.
    pub fn check(&self, line: u32, taken: Timestamp, now: Timestamp) -> Result<(), Stop> {
        let now_ms = now.as_millisecond();
        if now_ms >= self.ends_ms {
            return Err(Stop::Ended);
        }
        if self.opt_outs.is_some_and(|out| out.contains(line)) {
            return Err(Stop::OptedOut);
        }
        if now_ms.saturating_sub(taken.as_millisecond()) > self.retention_ms {
            return Err(Stop::TooOld);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::evidence::{Digest, Ledger, LedgerError, Record};
    use crate::gate::PERMIT_LIFE;
    use crate::{
        Ask, DnsAmpFilter, Dossier, Gate, Register, Role, Rulebook, Ruling, SiteWarning, Standing, Use,
    };

    struct Yes;

    impl Rulebook for Yes {
        fn judge(&self, _: &Ask, _: &Dossier, _: Standing) -> Ruling {
            Ruling { allowed: true, rule: "r".into(), reason: String::new(), policy_set: Digest::ZERO }
        }
        fn policy_set(&self) -> Digest {
            Digest::ZERO
        }
    }

    struct Unwritten;

    impl Ledger for Unwritten {
        fn append(&mut self, _: Record) -> Result<u64, LedgerError> {
            Ok(0)
        }
    }

    fn permit<P: AlwaysOn>(usage: Use, now: Timestamp) -> Permit<P> {
        let register = Register::shipped().unwrap();
        let ask = Ask::of::<P>(Role::System, usage, &["destination.ip"]);
        Gate::new(&Yes, &register).permit::<P>(ask, Standing::of_terms(true, now), &mut Unwritten).unwrap()
    }

    #[test]
    fn an_opt_out_holds_for_the_next_record_and_only_where_consent_carries_the_measure() {
        let now = Timestamp::UNIX_EPOCH;
        let opt_outs = OptOuts::for_lines(1000);
        let (warning, filter) =
            (permit::<SiteWarning>(Use::Warn, now), permit::<DnsAmpFilter>(Use::Filter, now));
        let (warn, drop) = (PerRecord::under(&warning, &opt_outs), PerRecord::under(&filter, &opt_outs));
        assert_eq!(warn.check(70, now, now), Ok(()));
        assert!(opt_outs.set(70, true));
        assert_eq!(warn.check(70, now, now), Err(Stop::OptedOut));
        assert_eq!(warn.check(71, now, now), Ok(()));
        assert_eq!(drop.check(70, now, now), Ok(()));
        assert!(opt_outs.set(70, false));
        assert_eq!(warn.check(70, now, now), Ok(()));
        assert_eq!(warn.check(1000, now, now), Err(Stop::OptedOut), "a line nobody made room for");
        assert!(!opt_outs.set(1000, false));
    }

    #[test]
    fn an_old_record_and_an_ended_permit_are_refused() {
        let now = Timestamp::UNIX_EPOCH;
        let opt_outs = OptOuts::for_lines(1);
        let permit = permit::<SiteWarning>(Use::Warn, now);
        let check = PerRecord::under(&permit, &opt_outs);
        let week = SignedDuration::from_hours(7 * 24);
        assert_eq!(check.check(0, now - week, now), Ok(()));
        assert_eq!(check.check(0, now - week - SignedDuration::from_millis(1), now), Err(Stop::TooOld));
        assert_eq!(check.check(0, now, now + PERMIT_LIFE), Err(Stop::Ended));
    }

    proptest! {
        #[test]
        fn the_bits_are_the_set_of_lines_that_opted_out(said in prop::collection::vec((0u32..300, any::<bool>()), 0..200)) {
            let (bits, mut set) = (OptOuts::for_lines(300), BTreeSet::new());
            for (line, out) in said {
                bits.set(line, out);
                if out { set.insert(line); } else { set.remove(&line); }
            }
            prop_assert!((0..300).all(|line| bits.contains(line) == set.contains(&line)));
        }
    }
}
