//! A queue as a source: messages of a NATS JetStream stream, pulled through a durable consumer and acknowledged when their
//! events are durable. What was not acknowledged comes again and is all duplicates.
//!
//! Pulling is the back-pressure: the server gives no more than was asked for, and the next batch is asked for when this
//! one is stored.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::{self, Message};
use futures_util::StreamExt as _;
use noroshi_feed::Bundle;

use super::settings::{NatsOrigin, Source, secret};
use super::{Came, Trouble, Works};
use crate::intake::{FeedSource, Keep, take_messages};
use crate::lists;

/// Messages asked for at once.
const MESSAGES_MAX: usize = 1000;
/// Their bytes, unless one message may have more.
const BYTES_MAX: usize = 8 << 20;
/// How long a batch is waited for to fill.
const FILL: Duration = Duration::from_secs(1);
/// Longest wait for a connection or an answer.
const CONNECT: Duration = Duration::from_secs(20);
/// Empty batches after which a run that is not the watch's ends.
const EMPTY_ONCE: u32 = 2;
/// And the watch's: what came is written down and the connection made anew.
const EMPTY_WATCH: u32 = 30;
/// Batches after which the watch's run ends as well.
const BATCHES_WATCH: u32 = 60;

/// Takes in messages until there are none for a while.
pub fn drain(
    works: &Works,
    source: &Source,
    origin: &NatsOrigin,
    bundle: &Bundle,
    watch: bool,
    came: &mut Came,
) -> Result<(), Trouble> {
    // The connection is kept alive by a thread of its own while this one stores.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("no threads for the queue")?;
    let (consumer, most) = runtime.block_on(connect(origin))?;
    let (mut empty, mut batches) = (0, 0);
    while empty < if watch { EMPTY_WATCH } else { EMPTY_ONCE } && !(watch && batches >= BATCHES_WATCH) {
        batches += 1;
        let messages = runtime.block_on(batch(&consumer, most))?;
        if messages.is_empty() {
            empty += 1;
            continue;
        }
        empty = 0;
        take(works, source, origin, bundle, &messages, came)?;
        runtime.block_on(acknowledge(&messages))?;
    }
    came.unchanged = came.items == 0;
    Ok(())
}

/// A connection to a queue's durable consumer, made if it is not there, and how many octets a batch may have.
pub async fn connect(origin: &NatsOrigin) -> anyhow::Result<(PullConsumer, usize)> {
    let mut options = ConnectOptions::new().name("noroshi").connection_timeout(CONNECT);
    if let Some(login) = &origin.login {
        options = options.user_and_password(login.user.clone(), secret(&login.password_file)?);
    }
    if let Some(ca) = &origin.ca_file {
        options = options.add_root_certificates(ca.clone());
    }
    let client = options
        .connect(origin.server.as_str())
        .await
        .with_context(|| format!("{} cannot be reached", origin.server))?;
    let most = BYTES_MAX.max(client.server_info().max_payload.saturating_mul(2));
    let wanted = Config {
        durable_name: Some(origin.consumer.clone()),
        filter_subject: origin.subject.clone().unwrap_or_default(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: origin.ack_wait,
        max_ack_pending: 2 * i64::try_from(MESSAGES_MAX)?,
        ..Config::default()
    };
    let stream = jetstream::new(client)
        .get_stream(&origin.stream)
        .await
        .with_context(|| format!("the stream {} cannot be used", origin.stream))?;
    let consumer = stream
        .get_or_create_consumer(&origin.consumer, wanted)
        .await
        .with_context(|| format!("the consumer {} cannot be used", origin.consumer))?;
    Ok((consumer, most))
}

async fn batch(consumer: &PullConsumer, most: usize) -> anyhow::Result<Vec<Message>> {
    let asked = consumer.batch().max_messages(MESSAGES_MAX).max_bytes(most).expires(FILL);
    let mut coming = asked.messages().await.context("messages cannot be asked for")?;
    let mut messages = Vec::new();
    while let Some(message) = coming.next().await {
        match message {
            Ok(message) => messages.push(message),
            // The batch is full by its bytes.
            Err(_) if !messages.is_empty() => break,
            Err(e) => return Err(anyhow!(e)).context("messages cannot be had"),
        }
    }
    Ok(messages)
}

fn take(
    works: &Works,
    source: &Source,
    origin: &NatsOrigin,
    bundle: &Bundle,
    messages: &[Message],
    came: &mut Came,
) -> Result<(), Trouble> {
    let mut numbered = Vec::with_capacity(messages.len());
    for message in messages {
        let info = message.info().map_err(|e| anyhow!(e)).context("a message of no stream")?;
        came.bytes += message.payload.len() as u64;
        numbered.push((info.stream_sequence, message.payload.to_vec()));
    }
    came.items += numbered.len() as u64;
    let _seat = works.takes.sit();
    let report = works.report(source, None, works.house.clock.now());
    // A message is no whole list, whatever the feed's other files are.
    let keep = match lists::configured(&works.house.config, &source.feed_name, source.campaign.is_some()) {
        Keep::List(_) => Keep::Every,
        keep => keep,
    };
    let feed =
        FeedSource { bundle, report, campaign: source.campaign.clone(), enrichment: &works.enrichment, keep };
    let identity = format!("nats {} {} {}", origin.server, origin.stream, origin.consumer).into_bytes();
    came.counts += take_messages(&works.house, &feed, &origin.stream, identity, numbered)?;
    Ok(())
}

/// The last one waits for the server's word, and with it, in order, the others.
async fn acknowledge(messages: &[Message]) -> anyhow::Result<()> {
    let Some((last, others)) = messages.split_last() else { return Ok(()) };
    for message in others {
        message.ack().await.map_err(|e| anyhow!(e)).context("a message cannot be acknowledged")?;
    }
    last.double_ack().await.map_err(|e| anyhow!(e)).context("a message cannot be acknowledged")
}
