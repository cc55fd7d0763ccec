//! Batches handed to the stream of the local NATS server, each until that has it.
//!
//! The stream refuses what it has no room for rather than dropping what it has, and keeps a batch until the hub has taken it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};

use super::spool::Spool;
use super::{FAREWELL, Sensor};
use crate::darknet::nats::{ANSWER, stream_of, subject_of};

/// Batches that are on their way to the local server at once.
const ON_THE_WAY: usize = 32;
/// How long to wait after something went wrong.
const AGAIN: Duration = Duration::from_secs(1);
/// The local server knows a batch again for so long; the hub always does.
const KNOWN_AGAIN: Duration = Duration::from_secs(600);
/// How often it is looked whether to stop.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Hands over until the spool is closed and empty, or it is time to stop.
pub async fn hand_over(spool: &Spool, wish: &Sensor, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut told = None;
    let mut farewell = None;
    loop {
        let went = tokio::select! {
            went = try_to(spool, wish, &mut told) => went,
            () = time_to_go(spool, stop, &mut farewell) => return Ok(()),
        };
        match went {
            Ok(()) => return Ok(()),
            Err(error) => tell(&mut told, spool, &error),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = time_to_go(spool, stop, &mut farewell) => return Ok(()),
        }
    }
}

/// Says what is wrong, once.
fn tell(told: &mut Option<String>, spool: &Spool, error: &anyhow::Error) {
    let text = format!("{error:#}");
    if told.as_ref() != Some(&text) {
        let (_, _, waiting) = spool.counted();
        eprintln!("noroshi: {text}; {waiting} batches wait");
        *told = Some(text);
    }
}

/// Waits until whoever was told to stop has waited long enough.
async fn time_to_go(spool: &Spool, stop: &AtomicBool, farewell: &mut Option<Instant>) {
    loop {
        if stop.load(Ordering::Relaxed) && spool.is_closed() {
            let since = *farewell.get_or_insert_with(Instant::now);
            if spool.is_over() || since.elapsed() >= FAREWELL {
                return;
            }
        }
        tokio::time::sleep(LOOK_UP).await;
    }
}

async fn try_to(spool: &Spool, wish: &Sensor, told: &mut Option<String>) -> anyhow::Result<()> {
    let server = &wish.nats.server;
    let options = wish.nats.options("noroshi sensor")?;
    let client = options.connect(server).await.with_context(|| format!("{server} cannot be reached"))?;
    let mut context = jetstream::new(client);
    context.set_timeout(ANSWER);
    let name = wish.name.as_str();
    let wanted = stream::Config {
        name: stream_of(name),
        description: Some("batches of a noroshi sensor, until the hub has taken them".to_owned()),
        subjects: vec![subject_of(name)],
        retention: stream::RetentionPolicy::WorkQueue,
        discard: stream::DiscardPolicy::New,
        storage: stream::StorageType::File,
        max_bytes: i64::try_from(wish.stream_mib << 20)?,
        max_consumers: 1,
        duplicate_window: KNOWN_AGAIN,
        ..stream::Config::default()
    };
    let made = context.get_or_create_stream(wanted).await;
    made.with_context(|| format!("the stream {} cannot be made; has {server} JetStream?", stream_of(name)))?;
    if told.take().is_some() {
        eprintln!("noroshi: {server} is there again");
    }
    pump(spool, &context, subject_of(name)).await
}

async fn pump(spool: &Spool, context: &jetstream::Context, subject: String) -> anyhow::Result<()> {
    let mut on_the_way = VecDeque::new();
    let mut sent = None;
    loop {
        while on_the_way.len() < ON_THE_WAY
            && let Some(number) = spool.after(sent)
        {
            let id = format!("{}-{number}", spool.run());
            let message = PublishMessage::build().payload(spool.read(number)?.into()).message_id(id);
            let stored = context.send_publish(subject.clone(), message).await;
            on_the_way.push_back((number, stored.context("a batch cannot be handed over")?));
            sent = Some(number);
        }
        if let Some((number, stored)) = on_the_way.pop_front() {
            stored.await.context("the local server does not take a batch")?;
            spool.handed_over(number)?;
        } else if spool.is_over() {
            return Ok(());
        } else {
            tokio::select! {
                () = spool.more() => {}
                () = tokio::time::sleep(LOOK_UP) => {}
            }
        }
    }
}
