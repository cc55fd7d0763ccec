//! A receiver over NATS: each event a message to a subject that a JetStream stream takes, acknowledged by the stream when
//! it is stored. A message's `Nats-Msg-Id` is the event's id, so that the stream drops a repeat within its window, and a
//! consumer can drop it whenever it comes.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::{self, message::PublishMessage};
use noroshi_wire::out::stix::{BUNDLE_END, bundle_begin};
use tokio::runtime::Runtime;

use super::Receiver;
use super::http::{Patience, is_loopback};
use super::select::{Format, Parcel};

/// Longest wait for a connection, and for the acknowledgement of a message.
const ANSWER: Duration = Duration::from_secs(30);

/// The receiver.
pub struct Stream {
    runtime: Runtime,
    options: async_nats::ConnectOptions,
    server: String,
    subject: String,
    format: Format,
    tries: u32,
    context: Option<jetstream::Context>,
}

impl Stream {
    /// Checks the address; connects when there is something to give.
    pub fn new(to: &str, format: Format, token: Option<&str>, tries: u32) -> anyhow::Result<Self> {
        ensure!(
            matches!(format, Format::Jsonl | Format::Stix),
            "a message is one event: --format jsonl or stix go over NATS"
        );
        let (scheme, rest) = to.split_once("://").context("no address")?;
        let (server, subject) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        ensure!(
            !subject.is_empty()
                && subject.chars().all(plain)
                && subject.split('.').all(|part| !part.is_empty()),
            "name the subject behind the server: nats://{server}/noroshi.events"
        );
        ensure!(!server.contains('@'), "put the token into a file and name it with --token-file");
        let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
        // Off this machine only encrypted.
        let tls = scheme == "tls" || !is_loopback(host);
        let mut options = async_nats::ConnectOptions::new()
            .name(concat!("noroshi ", env!("CARGO_PKG_VERSION")))
            .require_tls(tls)
            .connection_timeout(ANSWER)
            .request_timeout(Some(ANSWER));
        if let Some(token) = token {
            options = if token.contains("BEGIN NATS USER JWT") {
                options.credentials(token).context("the credentials cannot be read")?
            } else {
                options.token(token.to_owned())
            };
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let server = format!("{scheme}://{server}");
        Ok(Self { runtime, options, server, subject: subject.to_owned(), format, tries, context: None })
    }

    fn payload(&self, parcel: &Parcel, at: usize) -> Vec<u8> {
        let (id, place) = &parcel.places[at];
        let text = &parcel.bytes[place.clone()];
        match self.format {
            Format::Stix => {
                let name = format!("{:032x}", u128::from_be_bytes(*id));
                // Between two events of a parcel stands a comma.
                let objects = text.strip_prefix(b",").unwrap_or(text);
                [bundle_begin(&name).as_bytes(), objects, BUNDLE_END.as_bytes()].concat()
            }
            _ => text.trim_ascii_end().to_vec(),
        }
    }

    /// Publishes all of a parcel, and waits until each message is stored.
    fn offer(&mut self, parcel: &Parcel) -> anyhow::Result<()> {
        let messages: Vec<(String, Vec<u8>)> = (0..parcel.events())
            .map(|at| {
                (format!("{:032x}", u128::from_be_bytes(parcel.places[at].0)), self.payload(parcel, at))
            })
            .collect();
        let (options, server) = (self.options.clone(), self.server.clone());
        let (subject, known) = (self.subject.clone(), self.context.take());
        let context = self.runtime.block_on(async move {
            let context = match known {
                Some(context) => context,
                None => {
                    let client = options.connect(&server).await?;
                    let mut context = jetstream::new(client);
                    context.set_timeout(ANSWER);
                    context
                }
            };
            let mut waiting = Vec::with_capacity(messages.len());
            for (id, payload) in messages {
                let message = PublishMessage::build().payload(payload.into()).message_id(id);
                waiting.push(context.send_publish(subject.clone(), message).await?);
            }
            for stored in waiting {
                stored.await.with_context(|| {
                    format!("no acknowledgement from a stream that takes {subject}; make one that does")
                })?;
            }
            anyhow::Ok(context)
        })?;
        self.context = Some(context);
        Ok(())
    }
}

impl Receiver for Stream {
    fn give(&mut self, parcel: &Parcel) -> anyhow::Result<()> {
        let mut patience = Patience::new(self.tries);
        while let Err(why) = self.offer(parcel) {
            let to = format!("{}/{}", self.server, self.subject);
            patience.wait(&to, why, None)?;
        }
        Ok(())
    }
}
