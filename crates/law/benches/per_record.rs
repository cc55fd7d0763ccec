//! What each record costs under a permit that stands: bit, age, end. Over many lines in no order, so that the bits are not all
//! in the nearest cache.

use std::hint::black_box;

use divan::counter::ItemsCount;
use jiff::Timestamp;
use noroshi_law::evidence::Digest;
use noroshi_law::{
    Ask, Dossier, Gate, Ledger, LedgerError, OptOuts, PerRecord, Record, Register, Role, Rulebook, Ruling,
    SiteWarning, Standing, Use,
};

/// Records in one round.
const RECORDS: u32 = 100_000;

fn main() {
    divan::main();
}

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

#[divan::bench(args = [10_000, 1_000_000, 20_000_000])]
#[expect(clippy::unwrap_used, reason = "a benchmark that cannot begin ends")]
fn check(bencher: divan::Bencher<'_, '_>, lines: u32) {
    let now = Timestamp::UNIX_EPOCH;
    let register = Register::shipped().unwrap();
    let ask = Ask::of::<SiteWarning>(Role::System, Use::Warn, &["destination.fqdn"]);
    let permit = Gate::new(&Yes, &register)
        .permit::<SiteWarning>(ask, Standing::of_terms(true, now), &mut Unwritten)
        .unwrap();
    let opt_outs = OptOuts::for_lines(lines);
    (0..lines).step_by(50).for_each(|line| assert!(opt_outs.set(line, true)));
    let check = PerRecord::under(&permit, &opt_outs);
    bencher.counter(ItemsCount::new(RECORDS)).bench(|| {
        (0..RECORDS)
            .filter(|n| {
                check.check(black_box(n.wrapping_mul(2_654_435_761) % lines), now, black_box(now)).is_ok()
            })
            .count()
    });
}
