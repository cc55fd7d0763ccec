//! Organisations are told: a mail once, a post at least once under one id. What is said is written when it is sent.
//!
//! A mail that was interrupted is in doubt, and settled by the mail server's log as those to subscribers are; a post is posted again. A
//! contact that does not take anything now is left alone for a while with everything that waits for it, and holds up no other.

use jiff::{SignedDuration, Timestamp};
use noroshi_act::alert::{self, AlertMail, Facts};
use noroshi_act::notice::NoticeError;
use noroshi_act::smtp::{Line, Sent};
use noroshi_model::case::StepState;
use noroshi_model::organisation::{Alert, Organisation, Role, Way};
use noroshi_store::StoreError;
use noroshi_store::alerts::{AlertMessage, pause};
use noroshi_wire::out::stix;
use noroshi_wire::postfix;
use serde_json::{Map, Value, json};

use crate::house::House;
use crate::ladder::{Posted, Webhook};
use crate::receipts::Receipt;

/// Alerts that a post tells; a mail lists fewer.
const TOLD_MAX: u32 = 10_000;
/// Attempts before a message is given up: with these pauses about three days.
const ATTEMPTS_MAX: u32 = 30;
/// A message that has been `sending` for longer belongs to a process that died.
const SENDING_MAX: SignedDuration = SignedDuration::from_mins(30);
/// Interrupted messages settled at once.
const UNSETTLED_MAX: u32 = 10_000;
/// Telescopes that were not there for so long see nothing.
const TELESCOPE_GONE: SignedDuration = SignedDuration::from_hours(24);

/// What became of a message.
enum Fate {
    Sent(String),
    Later(String),
    Failed(String),
    InDoubt(String),
    /// There is nothing to say any more.
    Stopped(&'static str),
}

/// What a message tells.
struct Told {
    organisation: Organisation,
    ranges: Vec<String>,
    alerts: Vec<Alert>,
    all: u64,
    addresses: u64,
}

/// Sends the next message that is due by one of these ways; whether there was one.
pub fn send_one(house: &House, ways: &[Way]) -> anyhow::Result<bool> {
    let now = house.clock.now();
    // Looked for first, so that who has nothing to do writes nothing.
    let due = house.store.look("alert.pending", |tx| tx.alert_message_is_due(ways, now))?;
    if !due {
        return Ok(false);
    }
    let claimed = house.store.tx_in_turn("alert.claim", |tx| tx.claim_alert_message(ways, now))?;
    let Some(message) = claimed else { return Ok(false) };
    let fate = match told(house, &message)? {
        None => Fate::Stopped("the organisation is not registered any more"),
        // It could not be sent for so long that all of it was quiet, came again, and is in a later message.
        Some(told) if told.all == 0 => Fate::Stopped("a later message tells it"),
        Some(told) => match message.way {
            Way::Mail => mail(house, &message, &told),
            Way::Webhook | Way::Stix => post(house, &message, &told),
        },
    };
    settle(house, message, fate)?;
    Ok(true)
}

fn told(house: &House, message: &AlertMessage) -> Result<Option<Told>, StoreError> {
    let since = house.clock.now() - TELESCOPE_GONE;
    house.store.look("alert.told", |tx| {
        let Some(organisation) = tx.organisation(&message.organisation)? else { return Ok(None) };
        let (alerts, all) = tx.alerts_of_message(&organisation.key, message.number, TOLD_MAX)?;
        let proven = tx.ranges(Some(&organisation.key))?.into_iter().filter(|range| range.proven.is_some());
        let ranges = proven.map(|range| range.prefix.to_string()).collect();
        let addresses = tx.telescopes(since)?.iter().map(|telescope| telescope.addresses).sum();
        Ok(Some(Told { organisation, ranges, alerts, all, addresses }))
    })
}

/// The mail, as it is sent.
fn letter(house: &House, message: &AlertMessage, told: &Told) -> Result<AlertMail, NoticeError> {
    let operator = &house.config.operator;
    alert::compose(
        &message.target,
        &Facts {
            operator,
            organisation: &told.organisation,
            ranges: &told.ranges,
            alerts: &told.alerts,
            all: told.all,
            addresses: told.addresses,
            message_id: &alert::message_id(&message.id, &operator.from),
            now: house.clock.now(),
            dkim: house.dkim.as_ref(),
            texts: &house.texts.alert,
        },
    )
}

fn mail(house: &House, message: &AlertMessage, told: &Told) -> Fate {
    match letter(house, message, told) {
        Ok(letter) => match Line::to(&house.config.submission).send_alert(&letter) {
            Sent::Accepted(reply) => Fate::Sent(reply),
            Sent::Later(reply) => Fate::Later(reply),
            Sent::Refused(reply) => Fate::Failed(reply),
            Sent::Unknown(reply) => Fate::InDoubt(reply),
        },
        Err(e) => Fate::Failed(e.to_string()),
    }
}

fn post(house: &House, message: &AlertMessage, told: &Told) -> Fate {
    let secret = message.secret_file.as_deref().unwrap_or_default();
    let to = match Webhook::new(&message.target, secret.as_ref()) {
        Ok(to) => to,
        Err(e) => return Fate::Later(format!("{e:#}")),
    };
    let now = house.clock.now();
    let posted = match message.way {
        Way::Stix => to.post_body(&message.id, stix::MEDIA_TYPE, bundle(message, &told.alerts), now),
        _ => to.post_of(&message.id, "darknet.alert", &body(message, told), message.made, now),
    };
    match posted {
        Posted::Taken(reply) => Fate::Sent(reply),
        Posted::Later(reply) => Fate::Later(reply),
        Posted::Refused(reply) => Fate::Failed(reply),
    }
}

/// What a webhook is told.
fn body(message: &AlertMessage, told: &Told) -> Value {
    json!({
        "organisation": told.organisation.key, "name": told.organisation.name, "message": message.number,
        "alerts": told.alerts, "alerts-total": told.all, "next-not-before": told.organisation.next,
        "telescope-addresses": told.addresses,
        "seconds-until-seen-at-100-pps": alert::floor(told.addresses).map(|span| span.as_secs()),
    })
}

/// An alert under the names of IntelMQ's data format.
pub fn flat(alert: &Alert) -> Map<String, Value> {
    let seen = &alert.seen;
    let kind = match (seen.role, seen.tool.as_str()) {
        (Role::Victim, _) => "ddos",
        (Role::Sender, "mirai") => "infected-system",
        (Role::Sender, _) => "scanner",
    };
    let mut flat = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() && value != "" {
            flat.insert(key.to_owned(), value);
        }
    };
    put("classification.type", kind.into());
    put("feed.name", "darknet".into());
    put("tlp", "AMBER+STRICT".into());
    put("time.source", seen.first.to_string().into());
    put("time.observation", alert.alerted.max(seen.first).to_string().into());
    put("source.ip", seen.ip.to_string().into());
    put("source.port", if seen.role == Role::Victim { seen.port.into() } else { seen.source_port.into() });
    if seen.role == Role::Sender {
        put("destination.port", seen.port.into());
        put("malware.name", if seen.tool == "mirai" { "mirai".into() } else { Value::Null });
    }
    put("protocol.transport", seen.protocol.clone().into());
    put("extra.last_seen", seen.last.to_string().into());
    put("extra.count", seen.packets.into());
    put("extra.sensors", seen.sensors.into());
    put("extra.class", seen.class.clone().into());
    put("extra.tool", seen.tool.clone().into());
    flat
}

/// A STIX 2.1 bundle of alerts; the same objects have the same ids whenever they are written.
pub fn bundle(message: &AlertMessage, alerts: &[Alert]) -> String {
    bundle_of(&format!("alert-message {}", message.id), alerts)
}

/// The same under another name.
pub fn bundle_of(name: &str, alerts: &[Alert]) -> String {
    let mut known = std::collections::BTreeSet::new();
    let mut objects = Vec::new();
    for alert in alerts {
        let episode = format!("{} {}", alert.id, alert.episode);
        let id = noroshi_model::Id::of("alert-episode", &[episode.as_bytes()]);
        for object in stix::objects(&id.bytes(), &flat(alert)).unwrap_or_default() {
            let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            if known.insert(id) {
                objects.push(object.to_string());
            }
        }
    }
    format!("{}{}{}", stix::bundle_begin(name), objects.join(","), stix::BUNDLE_END)
}

fn settle(house: &House, message: AlertMessage, fate: Fate) -> Result<(), StoreError> {
    let now = house.clock.now();
    let (mut state, reply) = match fate {
        Fate::Sent(reply) => (StepState::Sent, reply),
        Fate::Later(reply) => (StepState::Pending, reply),
        Fate::Failed(reply) => (StepState::Failed, reply),
        Fate::InDoubt(reply) => (StepState::InDoubt, reply),
        Fate::Stopped(why) => (StepState::Stopped, why.to_owned()),
    };
    if state == StepState::Pending && message.attempts >= ATTEMPTS_MAX {
        state = StepState::Failed;
    }
    let (organisation, way) = (&message.organisation, message.way);
    tracing::info!(organisation, message = message.number, %way, %state, "message to an organisation");
    let due = if state == StepState::Pending { now + pause(message.attempts) } else { message.due };
    let message = AlertMessage { state, reply, due, changed: now, ..message };
    house.store.tx_together("alert.settle", |tx| {
        tx.put_alert_message(StepState::Sending, &message)?;
        if state == StepState::Pending { tx.put_off_contact(&message, due) } else { Ok(()) }
    })
}

/// Settles what a dead process left, and mails that are in doubt, as far as the mail server's log tells. `alone` says that no other process
/// can be sending.
pub fn recover(house: &House, alone: bool) -> Result<(), StoreError> {
    let now = house.clock.now();
    let (sending, doubtful) = house.store.look("alert.unsettled", |tx| {
        let in_doubt = tx.alert_messages_in(StepState::InDoubt, UNSETTLED_MAX)?;
        Ok::<_, StoreError>((tx.alert_messages_in(StepState::Sending, UNSETTLED_MAX)?, in_doubt))
    })?;
    let dead = |one: &AlertMessage| alone || now.duration_since(one.changed) > SENDING_MAX;
    for message in sending.into_iter().filter(dead).chain(doubtful) {
        let was = message.state;
        let (state, reply) = settled(house, &message, now);
        if state != was {
            let again = now + pause(message.attempts);
            let due = if alone { now } else { again };
            let message = AlertMessage { state, reply: reply.into(), due, changed: now, ..message };
            house.store.tx("alert.recover", |tx| tx.put_alert_message(was, &message))?;
        }
    }
    Ok(())
}

fn settled(house: &House, message: &AlertMessage, now: Timestamp) -> (StepState, &'static str) {
    if message.way != Way::Mail {
        return (StepState::Pending, "interrupted: posted again under the same id");
    }
    // Without the brackets, as the server's log has it.
    let id = alert::message_id(&message.id, &house.config.operator.from);
    match house.receipts.of(&id, message.handed.unwrap_or(now)) {
        Receipt::Known(postfix::Fate::Accepted) => (StepState::Sent, "settled from the mail server's log"),
        Receipt::Known(postfix::Fate::Delivered) => {
            (StepState::Delivered, "settled from the mail server's log")
        }
        Receipt::Known(postfix::Fate::Bounced) => (StepState::Failed, "settled from the mail server's log"),
        Receipt::Absent => (StepState::Pending, "the mail server's log has no such mail: sent again"),
        Receipt::Unknown => (StepState::InDoubt, "interrupted while sending; the mail log cannot tell"),
    }
}
