//! Batches of one sensor, pulled from the stream at its own NATS server through the leaf link, each until it is acknowledged.
//!
//! The hub asks by the sensor's JetStream domain, so nothing is copied into a stream on the way: what is acknowledged here is gone
//! there. A consumer of the server keeps what was given and not acknowledged, and gives it again. Answers come to an inbox of the sensor's
//! own, the only subject to which it may publish here.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::{self, AckKind, Message};
use futures_util::StreamExt as _;
use noroshi_wire::batch::SensorName;
use tokio::sync::mpsc::Sender;

use super::Hub;
use crate::darknet::nats::{ANSWER, stream_of};

/// The consumer of a sensor's stream.
const CONSUMER: &str = "hub";
/// Batches asked for at once, and their bytes.
const BATCHES_MAX: usize = 16;
const BYTES_MAX: usize = 8 << 20;
/// Batches that were given and not acknowledged. Of more the server gives only those again that it gave before, and so what is missing comes
/// before there is too much that waits for it.
const UNACKNOWLEDGED_MAX: i64 = super::line::HELD_MAX as i64;
/// How long the server waits for batches; also how soon one that came back is asked again.
const FILL: Duration = Duration::from_secs(2);
/// How long to wait after something went wrong.
const AGAIN: Duration = Duration::from_secs(1);

/// Pulls for ever, into a queue.
pub async fn follow(at: usize, sensor: SensorName, wish: Hub, into: Sender<(usize, Message)>) {
    let mut told = None;
    while !into.is_closed() {
        if let Err(error) = pull(at, &sensor, &wish, &into, &mut told).await {
            let text = format!("{error:#}");
            if told.as_ref() != Some(&text) {
                eprintln!("noroshi: sensor {sensor}: {text}");
                told = Some(text);
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn pull(
    at: usize,
    sensor: &SensorName,
    wish: &Hub,
    into: &Sender<(usize, Message)>,
    told: &mut Option<String>,
) -> anyhow::Result<()> {
    let server = &wish.nats.server;
    let options = wish.nats.options("noroshi hub")?.custom_inbox_prefix(format!("_INBOX.{sensor}"));
    let client = options.connect(server).await.with_context(|| format!("{server} cannot be reached"))?;
    let mut context = jetstream::with_domain(client, sensor.as_str());
    context.set_timeout(ANSWER);
    let consumer = consumer(&context, sensor, wish).await?;
    if told.take().is_some() {
        eprintln!("noroshi: sensor {sensor}: its server is there");
    }
    loop {
        let asked = consumer.batch().max_messages(BATCHES_MAX).max_bytes(BYTES_MAX).expires(FILL);
        let mut coming = asked.messages().await.context("batches cannot be asked for")?;
        let mut count = 0;
        while let Some(message) = coming.next().await {
            match message {
                Ok(message) => {
                    if let Err(back) = into.send((at, message)).await {
                        let _lost = back.0.1.ack_with(AckKind::Nak(None)).await;
                        return Ok(());
                    }
                    count += 1;
                }
                // It is full by its bytes.
                Err(_) if count > 0 => break,
                Err(error) => return Err(anyhow!(error)).context("batches cannot be had"),
            }
        }
        if into.is_closed() {
            return Ok(());
        }
    }
}

async fn consumer(
    context: &jetstream::Context,
    sensor: &SensorName,
    wish: &Hub,
) -> anyhow::Result<PullConsumer> {
    let stream = context.get_stream_no_info(stream_of(sensor.as_str())).await?;
    let wanted = Config {
        durable_name: Some(CONSUMER.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(wish.again_after_s),
        max_ack_pending: UNACKNOWLEDGED_MAX,
        ..Config::default()
    };
    let made = stream.get_or_create_consumer(CONSUMER, wanted).await;
    made.context("its stream cannot be reached: its server is away, or it never sent anything")
}
