//! Organisations told of their own addresses (DAEDALUS): what is new about an address, when an organisation is told, and the mail.
//!
//! ```text
//!   Seen ──▶ note: new, goes on, or seen again after some quiet ──▶ told: at once, then together, in ever longer pauses ──▶ compose
//! ```
//!
//! The first address is told of at once. What is seen in the pause after it is told together when it ends, and as long as there is more each
//! time, pauses double: a worm in a large network makes some ten mails in a day, not one for each machine.
//!
//! No communications data is used: packets to our own addresses are ours to read, and a mail names nothing but the organisation's own
//! addresses. So it needs no permit; it is a type of its own, which nothing else can be sent as.

use jiff::tz::{TimeZone, offset};
use jiff::{SignedDuration, Timestamp};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use noroshi_model::organisation::{Alert, Organisation, Role, Seen};
use noroshi_model::text::{Catalogue, TextError};
use noroshi_model::{Id, Lang};

use crate::dkim::Dkim;
use crate::notice::{Mail, NoticeError, Operator};

/// Addresses that a mail lists; the rest is counted.
pub const LISTED_MAX: usize = 50;
/// Ranges that a mail names.
const RANGES_MAX: usize = 10;
/// At which rate the scanner sends of whom it is said when it is seen, packets a second.
const SCANNER_PPS: f64 = 100.0;

/// How organisations are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// An address that was not seen for so long is told of again.
    pub quiet: SignedDuration,
    /// How long an organisation is left in peace after its first message.
    pub pause_min: SignedDuration,
    /// And at most.
    pub pause_max: SignedDuration,
}

impl Default for Pacing {
    /// A day, a quarter of an hour, a day.
    fn default() -> Self {
        Self {
            quiet: SignedDuration::from_hours(24),
            pause_min: SignedDuration::from_mins(15),
            pause_max: SignedDuration::from_hours(24),
        }
    }
}

/// An alert after what was seen now; `seen` counts the packets since the last time.
pub fn note(
    known: Option<Alert>,
    organisation: &str,
    seen: &Seen,
    muted: bool,
    quiet: SignedDuration,
    now: Timestamp,
) -> Alert {
    let new = |episode| Alert {
        id: Alert::id(organisation, seen.ip, seen.role),
        organisation: organisation.to_owned(),
        seen: seen.clone(),
        episode,
        alerted: now,
        message: None,
        muted,
    };
    match known {
        None => new(1),
        Some(known) if seen.first.duration_since(known.seen.last) > quiet => {
            new(known.episode.saturating_add(1))
        }
        Some(known) => {
            let was = known.seen;
            let latest = |new: &String, old: String| if new.is_empty() { old } else { new.clone() };
            let seen = Seen {
                class: latest(&seen.class, was.class),
                tool: latest(&seen.tool, was.tool),
                protocol: latest(&was.protocol, seen.protocol.clone()),
                source_port: was.source_port.or(seen.source_port),
                port: was.port.or(seen.port),
                packets: was.packets.saturating_add(seen.packets),
                sensors: was.sensors.max(seen.sensors),
                first: was.first.min(seen.first),
                last: was.last.max(seen.last),
                ..*seen
            };
            Alert { seen, muted, ..known }
        }
    }
}

/// An organisation that is told now: which of its messages that is, and until when it is left in peace.
pub fn told(one: &Organisation, pacing: &Pacing, now: Timestamp) -> Organisation {
    let before = SignedDuration::from_secs(i64::try_from(one.pause_s).unwrap_or(0));
    let calm = one.next.is_none_or(|next| now.duration_since(next) >= before);
    let pause = if calm { pacing.pause_min } else { (before * 2).clamp(pacing.pause_min, pacing.pause_max) };
    Organisation {
        messages: one.messages + 1,
        next: Some(now + pause),
        pause_s: pause.as_secs().unsigned_abs(),
        ..one.clone()
    }
}

/// How long it takes on average until somebody who scans all of IPv4 at 100 packets a second reaches one of so many addresses.
pub fn floor(addresses: u64) -> Option<SignedDuration> {
    let seconds = 2f64.powi(32) / addresses as f64 / SCANNER_PPS;
    (addresses > 0).then(|| SignedDuration::try_from_secs_f64(seconds).ok()).flatten()
}

/// The texts in English, as Fluent: what is translated.
pub const ENGLISH: &str = include_str!("../i18n/en/alert.ftl");

/// The texts.
pub fn texts() -> Result<Catalogue, TextError> {
    Catalogue::read(&[(Lang::JA, include_str!("../i18n/ja/alert.ftl")), (Lang::EN, ENGLISH)])
}

/// What a mail says.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who writes.
    pub operator: &'a Operator,
    /// To whom.
    pub organisation: &'a Organisation,
    /// Its ranges that are proven.
    pub ranges: &'a [String],
    /// What is told, the first seen first.
    pub alerts: &'a [Alert],
    /// How many there are in all.
    pub all: u64,
    /// How many addresses our sensors have; 0 where that is not known.
    pub addresses: u64,
    /// Its Message-ID.
    pub message_id: &'a str,
    /// When it is written.
    pub now: Timestamp,
    /// Who signs it, where the mail server does not.
    pub dkim: Option<&'a Dkim>,
    /// The texts.
    pub texts: &'a Catalogue,
}

/// A mail to an organisation, of its own addresses and of nothing else.
#[derive(Clone, Debug)]
pub struct AlertMail(Mail);

impl AlertMail {
    pub(crate) fn mail(&self) -> &Mail {
        &self.0
    }

    /// The message as it goes over the wire (RFC 5322).
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

/// The Message-ID of a message of this id.
pub fn message_id(id: &Id, from: &str) -> String {
    format!("<alert.{id}@{}>", from.rsplit('@').next().unwrap_or("localhost"))
}

/// Whether a mail can go there.
pub fn is_mail_address(text: &str) -> bool {
    text.parse::<lettre::Address>().is_ok()
}

/// Writes the mail to one recipient.
pub fn compose(to: &str, facts: &Facts<'_>) -> Result<AlertMail, NoticeError> {
    let from: lettre::Address = facts.operator.from.parse().map_err(|_| NoticeError::Address("sender"))?;
    let to: lettre::Address = to.parse().map_err(|_| NoticeError::Address("recipient"))?;
    let says = Says(facts);
    let failed = |e: lettre::error::Error| NoticeError::Compose(e.to_string());
    let mut message = Message::builder()
        .from(Mailbox::new(Some(facts.operator.name.clone()), from.clone()))
        .to(Mailbox::new(Some(facts.organisation.name.clone()), to.clone()))
        .subject(says.subject())
        .date(facts.now.into())
        .message_id(Some(facts.message_id.to_owned()))
        .header(ContentType::TEXT_PLAIN)
        .body(says.body())
        .map_err(failed)?;
    for (name, value) in [
        // RFC 3834: no automatic answers to this, please.
        (HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated"),
        (HeaderName::new_from_ascii_str("Content-Language"), facts.organisation.lang.tag()),
    ] {
        message.headers_mut().insert_raw(HeaderValue::new(name, value.to_owned()));
    }
    let mut bytes =
        String::from_utf8(message.formatted()).map_err(|e| NoticeError::Compose(e.to_string()))?;
    if let Some(dkim) = facts.dkim {
        bytes.insert_str(0, &dkim.sign(&bytes).map_err(|e| NoticeError::Compose(e.to_string()))?);
    }
    Ok(AlertMail(Mail { from: from.to_string(), to: to.to_string(), message: bytes }))
}

/// What is said, in the organisation's language.
struct Says<'a>(&'a Facts<'a>);

impl Says<'_> {
    fn say(&self, key: &str, more: &[(&str, &str)]) -> String {
        let Facts { operator, organisation, .. } = self.0;
        let fixed = [
            ("operator", operator.name.as_str()),
            ("desk", operator.desk.as_str()),
            ("name", organisation.name.as_str()),
        ];
        let values: Vec<_> = fixed.into_iter().chain(more.iter().copied()).collect();
        self.0.texts.say(organisation.lang, key, &values)
    }

    fn subject(&self) -> String {
        let count = self.0.all.to_string();
        let first = self.0.alerts.first().map(|alert| alert.seen.ip.to_string()).unwrap_or_default();
        let key = if self.0.all == 1 { "subject-one" } else { "subject-many" };
        self.say(key, &[("count", &count), ("first", &first)])
    }

    fn body(&self) -> String {
        let mut parts = vec![self.say("intro", &[])];
        let listed = &self.0.alerts[..self.0.alerts.len().min(LISTED_MAX)];
        for (role, word) in [(Role::Sender, "sender"), (Role::Victim, "victim")] {
            let of_it: Vec<_> = listed.iter().filter(|alert| alert.seen.role == role).collect();
            if of_it.is_empty() {
                continue;
            }
            parts.push(format!("■ {}", self.say(&format!("{word}-title"), &[])));
            parts.extend(of_it.iter().map(|alert| self.line(alert)));
            parts.push(self.say(&format!("{word}-means"), &[]));
            parts.push(self.say(&format!("{word}-do"), &[]));
        }
        let left = self.0.all.saturating_sub(listed.len() as u64);
        if left > 0 {
            parts.push(self.say("more", &[("count", &left.to_string())]));
        }
        if let Some(next) = self.0.organisation.next {
            parts.push(self.say("next", &[("next", &self.time(next))]));
        }
        if let Some(wait) = floor(self.0.addresses) {
            let addresses = self.0.addresses.to_string();
            parts.push(self.say("floor", &[("addresses", &addresses), ("wait", &self.span(wait))]));
        }
        parts.push(self.say("secret", &[]));
        let named = &self.0.ranges[..self.0.ranges.len().min(RANGES_MAX)];
        let more = if named.len() < self.0.ranges.len() { ", …" } else { "" };
        parts.push(self.say("why", &[("ranges", &format!("{}{more}", named.join(", ")))]));
        parts.push(self.say("stop", &[]));
        format!("{}\n\n-- \n{}\n{}\n", parts.join("\n\n"), self.0.operator.name, self.0.operator.desk)
    }

    fn line(&self, alert: &Alert) -> String {
        let Seen { ip, role, tool, class, protocol, source_port, port, packets, sensors, first, last } =
            &alert.seen;
        let class = if class.is_empty() { String::new() } else { self.say(&format!("class-{class}"), &[]) };
        let mut what = vec![if tool.is_empty() { class } else { tool.clone() }];
        if let Some(port) = port {
            let key = if *role == Role::Victim { "attacked" } else { "asks" };
            what.push(self.say(key, &[("port", &format!("{protocol}/{port}"))]));
        }
        if let Some(port) = source_port.filter(|_| *role == Role::Sender) {
            what.push(self.say("from-port", &[("port", &port.to_string())]));
        }
        what.retain(|word| !word.is_empty());
        let line = self.say("line", &[("address", &ip.to_string()), ("what", &what.join(", "))]);
        let times = self.say(
            "line-times",
            &[
                ("first", &self.time(*first)),
                ("last", &self.time(*last)),
                ("packets", &packets.to_string()),
                ("sensors", &sensors.to_string()),
            ],
        );
        let mut text = format!("  {line}\n    {times}");
        if alert.episode > 1 {
            let again = self.say("line-again", &[("episode", &alert.episode.to_string())]);
            text.push_str(&format!("\n    {again}"));
        }
        text
    }

    /// To the second: a translator's log is searched by it.
    fn time(&self, at: Timestamp) -> String {
        if self.0.organisation.lang.base() == Lang::JA {
            at.to_zoned(TimeZone::fixed(offset(9))).strftime("%Y-%m-%d %H:%M:%S JST").to_string()
        } else {
            at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
        }
    }

    fn span(&self, wait: SignedDuration) -> String {
        let s = wait.as_secs_f64();
        let (key, n) = match s {
            s if s < 120.0 => ("seconds", s),
            s if s < 7200.0 => ("minutes", s / 60.0),
            s if s < 172_800.0 => ("hours", s / 3600.0),
            s => ("days", s / 86_400.0),
        };
        self.say(key, &[("n", &format!("{n:.0}"))])
    }
}

#[cfg(test)]
mod tests;
