//! Others' servers are told what happens: a case was opened, a step waits for a person, telling was stopped.
//!
//! ```text
//!   message in the database ──claim──▶ POST, signed (Standard Webhooks 1.0) ──▶ settle
//!        ▲ written with what it tells      one thread for each webhook: one that is dead holds up none of the others
//! ```
//!
//! At least once: a message whose answer was lost is posted again under the same id. What is told names a case, never a subscriber, a
//! line or an address: whoever may know more asks the API or looks into the console.

mod command;
mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use noroshi_store::webhooks::Told;

pub use command::{WebhookCommand, command};
pub use settings::{Outlet, WebhookFile, outlets};

use crate::house::House;
use crate::ladder::Posted;

/// Pause while there is nothing to tell.
const IDLE: Duration = Duration::from_millis(500);
/// Pause after a failure of our own.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How often it is looked for what was offered for too long.
const GIVE_UP_EVERY: Duration = Duration::from_secs(600);

/// Makes known who wishes to be told what, and begins to tell them.
pub fn start(house: &Arc<House>) -> anyhow::Result<()> {
    let wishes: Vec<(String, Vec<String>)> =
        house.config.webhooks.iter().map(|outlet| (outlet.name.clone(), outlet.kinds.clone())).collect();
    let alone = matches!(house.store.address(), noroshi_store::Address::Sqlite(_));
    house.store.tx("webhook.begin", |tx| {
        tx.put_webhooks(&wishes)?;
        if alone { tx.release_webhooks() } else { Ok(()) }
    })?;
    for outlet in &house.config.webhooks {
        let (house, outlet) = (Arc::clone(house), outlet.clone());
        std::thread::Builder::new()
            .name("webhook".into())
            .spawn(move || work(&house, &outlet))
            .context("a thread for a webhook")?;
    }
    Ok(())
}

fn work(house: &House, outlet: &Outlet) {
    let mut cleared: Option<Instant> = None;
    loop {
        if cleared.is_none_or(|at| at.elapsed() > GIVE_UP_EVERY) {
            cleared = Some(Instant::now());
            let now = house.clock.now();
            match house.store.tx("webhook.give-up", |tx| tx.give_up_messages(&outlet.name, now)) {
                Ok(0) => {}
                Ok(n) => tracing::error!(
                    webhook = outlet.name,
                    "{n} messages were offered for a week and given up"
                ),
                Err(e) => tracing::error!(webhook = outlet.name, "{e}"),
            }
        }
        match step(house, outlet) {
            Ok(true) => {}
            Ok(false) => std::thread::sleep(IDLE),
            Err(e) => {
                tracing::error!(webhook = outlet.name, "{e:#}");
                std::thread::sleep(AFTER_FAILURE);
            }
        }
    }
}

/// Posts the next message; false where there is none now.
fn step(house: &House, outlet: &Outlet) -> anyhow::Result<bool> {
    let now = house.clock.now();
    let claimed = house.store.tx("webhook.claim", |tx| tx.claim_message(&outlet.name, now))?;
    let Some(message) = claimed else { return Ok(false) };
    let data = serde_json::from_str(&message.body)?;
    let told = match outlet.to.post_of(&message.id, &message.kind, &data, message.at, now) {
        Posted::Taken(_) => Told::Taken,
        Posted::Later(said) => Told::Later(said),
        Posted::Refused(said) => Told::Refused(said),
    };
    if let Told::Later(said) | Told::Refused(said) = &told {
        tracing::warn!(webhook = outlet.name, said, "a webhook did not take a message");
    }
    let now = house.clock.now();
    house.store.tx("webhook.settle", |tx| tx.settle_message(&outlet.name, &message, &told, now))?;
    Ok(true)
}
