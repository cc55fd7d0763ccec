//! Organisations that are told when one of their addresses is seen by a telescope (DAEDALUS).
//!
//! ```text
//!   telescope ──Sighting──▶ note: alert and, where it may be told now, its message, in one transaction
//!                                        │
//!   noroshi run:  release what waited ──▶ tell: mail (once), webhook and STIX (at least once, under one id)
//!                 look for proofs again ─▶ proof: rdap, reverse DNS
//! ```
//!
//! `command` and `ranges` are what people type, `proof` and `rdap` find out whether a range is whose it is said to be, `note` writes down what was seen,
//! `tell` sends it, `settings` is how.

mod command;
mod note;
mod proof;
mod ranges;
mod rdap;
mod settings;
mod tell;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use noroshi_model::organisation::Way;

pub use command::{OrganisationCommand, run};
pub use note::{Ranges, in_force, note};
pub use settings::{AlertFile, Alerts, SubscribersFile};

use crate::house::House;

/// Pause while there is nothing to send.
const IDLE: Duration = Duration::from_millis(250);
/// Pause after a failure of our own.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How often interrupted messages are looked after.
const RECOVER_EVERY: Duration = Duration::from_secs(30);
/// How often it is looked which proofs are to be looked for again, and what is to be forgotten.
const LOOK_AFTER_EVERY: Duration = Duration::from_secs(3600);
/// Threads that post: one receiver that keeps silent holds up one of them.
const POSTING: usize = 4;

/// What a thread does, for ever.
type Work = fn(&House);

/// Begins to tell, and to look for proofs again.
pub fn start(house: &Arc<House>) -> anyhow::Result<()> {
    let alone = matches!(house.store.address(), noroshi_store::Address::Sqlite(_));
    tell::recover(house, alone)?;
    let mut all: Vec<(&str, Work)> = vec![("alert-mail", mails), ("alert-look", look_after)];
    all.extend(std::iter::repeat_n(("alert-post", posts as Work), POSTING));
    for (name, work) in all {
        let house = Arc::clone(house);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || work(&house))
            .with_context(|| format!("a thread for {name}"))?;
    }
    Ok(())
}

fn mails(house: &House) {
    let mut recovered = Instant::now();
    repeat("mails to organisations", || {
        if recovered.elapsed() > RECOVER_EVERY {
            recovered = Instant::now();
            tell::recover(house, false)?;
        }
        Ok(note::release(house)? | tell::send_one(house, &[Way::Mail])?)
    });
}

fn posts(house: &House) {
    repeat("posts to organisations", || tell::send_one(house, &[Way::Webhook, Way::Stix]));
}

fn look_after(house: &House) {
    loop {
        std::thread::sleep(LOOK_AFTER_EVERY);
        let now = house.clock.now();
        let before = now - house.config.alerts.keep;
        match house.store.tx("alert.forget", |tx| tx.forget_alerts(before)) {
            Ok(0) => {}
            Ok(n) => tracing::info!("{n} alerts forgotten"),
            Err(e) => tracing::error!("forgetting alerts: {e}"),
        }
        if let Err(e) = proof::look_again(house) {
            tracing::error!("looking for proofs again: {e:#}");
        }
    }
}

/// Does what says whether it did something, for ever.
fn repeat(what: &str, mut work: impl FnMut() -> anyhow::Result<bool>) -> ! {
    loop {
        match work() {
            Ok(true) => {}
            Ok(false) => std::thread::sleep(IDLE),
            Err(e) => {
                tracing::error!("{what}: {e:#}");
                std::thread::sleep(AFTER_FAILURE);
            }
        }
    }
}
