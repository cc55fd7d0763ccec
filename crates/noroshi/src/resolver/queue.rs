//! Rules from a queue: messages of a NATS JetStream stream, each a change of a zone that is kept here, as `noroshi resolver rule` makes them.
//!
//! ```json
//! {"zone": "own.example", "add": ["bad.example CNAME ."], "remove": ["gone.example CNAME ."]}
//! ```
//!
//! A message is acknowledged once its change is kept; given again, it changes nothing. One that is no change is told and not asked for again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::AckKind;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::runtime::Handle;

use super::zones::Zones;
use crate::sources::queue::connect;
use crate::sources::settings::NatsOrigin;

/// Octets of a message at most.
const MESSAGE_OCTETS_MAX: usize = 1 << 20;
/// After how long a queue is looked for again that was lost.
const AGAIN: Duration = Duration::from_secs(5);

/// A change of a zone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    /// The zone.
    zone: String,
    /// Lines as in a zone's file.
    #[serde(default)]
    add: Vec<String>,
    /// The same.
    #[serde(default)]
    remove: Vec<String>,
}

/// Takes rules for as long as the program runs.
pub async fn follow(origin: NatsOrigin, zones: Arc<Zones>) {
    loop {
        let Err(error) = take(&origin, &zones).await;
        tracing::warn!(server = origin.server, "[resolver.queue]: {error:#}");
        tokio::time::sleep(AGAIN).await;
    }
}

async fn take(origin: &NatsOrigin, zones: &Arc<Zones>) -> anyhow::Result<std::convert::Infallible> {
    let (consumer, _) = connect(origin).await?;
    let mut messages = consumer.messages().await.context("messages cannot be asked for")?;
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| anyhow!(error)).context("messages cannot be had")?;
        let (zones, payload) = (Arc::clone(zones), message.payload.clone());
        let runtime = Handle::current();
        // A change is kept on disk before it holds.
        let changed = tokio::task::spawn_blocking(move || change(&zones, &payload, &runtime)).await?;
        let answer = match changed {
            Ok(()) => AckKind::Ack,
            Err(error) => {
                tracing::error!(
                    server = origin.server,
                    "[resolver.queue]: a message is no change: {error:#}"
                );
                AckKind::Term
            }
        };
        message.ack_with(answer).await.map_err(|error| anyhow!(error)).context("acknowledging")?;
    }
    Err(anyhow!("the queue was lost"))
}

fn change(zones: &Zones, payload: &[u8], runtime: &Handle) -> anyhow::Result<()> {
    anyhow::ensure!(payload.len() <= MESSAGE_OCTETS_MAX, "{} octets are too many", payload.len());
    let rules: Rules = serde_json::from_slice(payload)?;
    let told = zones.change(&rules.zone, &rules.add, &rules.remove, runtime)?;
    tracing::debug!(?told, "from the queue");
    Ok(())
}
