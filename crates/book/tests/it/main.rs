//! The session book against records that come as badly as they do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod folder;
mod hostile;
mod network;
mod present;
mod recorded;
mod scenes;
mod second;

use std::sync::{Arc, Mutex};

use noroshi_law::{
    Ask, Gate, Lawful, Ledger, LedgerError, Permit, Record, Register, Role, Rulebook, Ruling, Sealed,
    SessionKeeping, Standing, TakedownNotice, Use, Vault, dossier::Dossier, evidence::Digest,
};
use noroshi_wire::Assignment;

/// Says yes: what the rules say is tested elsewhere.
struct Yes;

impl Rulebook for Yes {
    fn judge(&self, _: &Ask, _: &Dossier, _: Standing) -> Ruling {
        Ruling { allowed: true, rule: "yes".into(), reason: String::new(), policy_set: Digest::ZERO }
    }

    fn policy_set(&self) -> Digest {
        Digest::ZERO
    }
}

/// Evidence in memory.
#[derive(Default)]
pub(crate) struct Evidence(Mutex<Vec<Record>>);

impl Ledger for Evidence {
    fn append(&mut self, record: Record) -> Result<u64, LedgerError> {
        let mut all = self.0.lock().unwrap();
        all.push(record);
        Ok(all.len() as u64 - 1)
    }
}

pub(crate) fn now() -> jiff::Timestamp {
    "2026-11-25T00:00:00Z".parse().unwrap()
}

fn standing() -> Standing {
    Standing::of_terms(true, now())
}

pub(crate) fn keeping() -> Permit<SessionKeeping> {
    let register = Register::shipped().unwrap();
    let ask = Ask::of::<SessionKeeping>(Role::System, Use::Keep, &["radius.accounting"]);
    Gate::new(&Yes, &register).permit(ask, standing(), &mut Evidence::default()).unwrap()
}

pub(crate) fn asking() -> Permit<TakedownNotice> {
    let register = Register::shipped().unwrap();
    let ask = Ask::of::<TakedownNotice>(Role::System, Use::Identify, &["source.ip", "time.source"]);
    Gate::new(&Yes, &register).permit(ask, standing(), &mut Evidence::default()).unwrap()
}

pub(crate) fn vault() -> Arc<Vault> {
    Arc::new(Vault::new(&[9; 32]))
}

/// As a source hands it over.
pub(crate) fn kept(records: impl IntoIterator<Item = Assignment>) -> Vec<Lawful<Assignment, SessionKeeping>> {
    let permit = keeping();
    records.into_iter().map(|record| Sealed::new(record).keep(&permit)).collect()
}
