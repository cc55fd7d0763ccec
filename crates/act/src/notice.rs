//! The mail: what was seen and when, what it means, what to do, why we may tell, how to check that it is genuine. In the
//! subscriber's language, as text and as HTML, with nothing attached.
//!
//! [`compose`] takes the subscriber only as `Lawful<Subscriber, P>` with a [`NoticePurpose`]:
//!
//! ```compile_fail,E0277
//! // A subscriber who was looked up for keeping sessions cannot be mailed.
//! use noroshi_act::notice::{compose, Facts, Mail};
//! use noroshi_law::{Lawful, SessionKeeping};
//! use noroshi_model::Subscriber;
//! fn misuse(s: Lawful<Subscriber, SessionKeeping>, f: &Facts<'_>) { let _ = compose(s, f); }
//! ```
//! ```compile_fail,E0308
//! // Nor one who was not looked up lawfully at all.
//! use noroshi_act::notice::{compose, Facts};
//! use noroshi_model::Subscriber;
//! fn misuse(s: Subscriber, f: &Facts<'_>) { let _ = compose(s, f); }
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use noroshi_law::{Lawful, Lockable, NoticePurpose};
use noroshi_model::code;
use noroshi_model::guide::{Guide, GuideStep};
use noroshi_model::text::{Catalogue, TextError};
use noroshi_model::{ContractRef, Id, Lang, Subscriber};
use serde::{Deserialize, Serialize};

use crate::dkim::Dkim;
use crate::template::{self, Says, Seen, Step, TemplateError, Templates};

/// Sightings listed in a mail; the rest is counted.
pub const LISTED_MAX: usize = 5;

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Operator {
    /// The ISP's name as its customers know it.
    pub name: String,
    /// Where a customer can ask, in words: a phone number, opening hours.
    pub desk: String,
    /// The sender's address.
    pub from: String,
    /// Its own page with a field for the code, in words or as an address, where it has one.
    #[serde(default)]
    pub page: Option<String>,
}

/// The mail's texts in English, as Fluent: what is translated.
pub const ENGLISH: &str = include_str!("../i18n/en/notice.ftl");

/// The mail's texts.
pub fn texts() -> Result<Catalogue, TextError> {
    Catalogue::read(&[
        (Lang::JA, include_str!("../i18n/ja/notice.ftl")),
        (Lang::EN, ENGLISH),
        (Lang::JA_EASY, include_str!("../i18n/ja-x-easy/notice.ftl")),
    ])
}

/// What the mail says, besides whom it is for.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who writes.
    pub operator: &'a Operator,
    /// The case.
    pub case: &'a Id,
    /// Its Message-ID.
    pub message_id: &'a str,
    /// Where it comes back to if it cannot be delivered; the sender's address where nothing else is said.
    pub return_path: Option<&'a str>,
    /// Who signs it, where the mail server does not.
    pub dkim: Option<&'a Dkim>,
    /// What was seen, newest first.
    pub seen: &'a [(Timestamp, IpAddr)],
    /// How often in all.
    pub seen_total: u64,
    /// What to do.
    pub guide: &'a Guide,
    /// The whole link.
    pub link: &'a str,
    /// The subscribers' pages, where a code can be typed.
    pub portal: &'a str,
    /// Until when the link opens.
    pub link_until: Timestamp,
    /// When the mail is written.
    pub now: Timestamp,
    /// The texts.
    pub texts: &'a Catalogue,
    /// The mail's forms.
    pub templates: &'a Templates,
}

/// For whom a mail is, until it is written: the contract reference and nothing else. Rests encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addressee {
    /// The contract.
    pub contract: ContractRef,
}

impl Lockable for Addressee {
    const KIND: &'static str = "addressee";
    fn slots(&self) -> Vec<String> {
        Vec::new()
    }
    fn at(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A finished mail with its envelope. Never stored; prints redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipient.
    pub to: String,
    /// The message as it goes over the wire (RFC 5322), before dot-stuffing.
    pub message: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail(‹redacted›)")
    }
}

/// Why there is no mail.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// The sender's or recipient's address is no address.
    #[error("the {0} address is not valid")]
    Address(&'static str),
    /// The mail cannot be put together.
    #[error("the mail cannot be composed: {0}")]
    Compose(String),
}

/// A time as subscribers read it: `2026-11-20 12:12 JST`.
pub fn jst(at: Timestamp) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(9));
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M JST").to_string()
}

/// Writes the mail. The result may be read by nobody but the mailer of the same purpose.
pub fn compose<P: NoticePurpose>(
    to: Lawful<Subscriber, P>,
    facts: &Facts<'_>,
) -> Result<Lawful<Mail, P>, NoticeError> {
    let mut failed = None;
    let mail =
        to.and_then(|subscriber| write(&subscriber, P::MEASURE, facts).map_err(|e| failed = Some(e)).ok());
    mail.ok_or_else(|| failed.unwrap_or(NoticeError::Address("recipient")))
}

/// Everything the mail says to this reader.
pub fn says(to: &Subscriber, measure: &str, facts: &Facts<'_>) -> Says {
    let (lang, number) = (to.lang, facts.case.reference());
    let (until, code) = (jst(facts.link_until), code::code(facts.case));
    let listed = &facts.seen[..facts.seen.len().min(LISTED_MAX)];
    let left_out = facts.seen_total.saturating_sub(listed.len() as u64).to_string();
    let page = facts.operator.page.clone().unwrap_or_default();
    let values = [
        ("operator", facts.operator.name.as_str()),
        ("desk", facts.operator.desk.as_str()),
        ("name", to.name.as_str()),
        ("malware", facts.guide.name.of(lang)),
        ("number", number.as_str()),
        ("until", until.as_str()),
        ("code", code.as_str()),
        ("page", page.as_str()),
        ("count", left_out.as_str()),
    ];
    let mut t: BTreeMap<String, String> =
        facts.texts.keys().map(|key| (key.to_owned(), facts.texts.say(lang, key, &values))).collect();
    let step = |step: &GuideStep| Step { title: step.title.of(lang).into(), body: step.body.of(lang).into() };
    let seen = |(at, ip): &(Timestamp, IpAddr)| Seen { when: jst(*at), address: ip.to_string() };
    let why = facts.texts.say(lang, &format!("why-{measure}"), &values);
    t.insert("page".to_owned(), page.clone());
    Says {
        lang: lang.tag().to_owned(),
        operator: facts.operator.name.clone(),
        desk: facts.operator.desk.clone(),
        has_page: facts.operator.page.is_some(),
        code,
        reference: number,
        link: facts.link.to_owned(),
        why,
        seen: listed.iter().map(seen).collect(),
        more: (left_out != "0").then(|| t["what-more"].clone()),
        device: facts.guide.device.of(lang).into(),
        about: facts.guide.about.of(lang).into(),
        steps: facts.guide.steps.iter().map(step).collect(),
        t,
    }
}

fn write(to: &Subscriber, measure: &str, facts: &Facts<'_>) -> Result<Mail, NoticeError> {
    let says = says(to, measure, facts);
    let compose = |e: TemplateError| NoticeError::Compose(e.to_string());
    let text = facts.templates.render(template::TEXT, &says).map_err(compose)?;
    let html = facts.templates.render(template::HTML, &says).map_err(compose)?;
    let subject = facts.templates.subject(&says).map_err(compose)?;

    let from: lettre::Address = facts.operator.from.parse().map_err(|_| NoticeError::Address("sender"))?;
    let recipient: lettre::Address = to.mail.parse().map_err(|_| NoticeError::Address("recipient"))?;
    let mut message = Message::builder()
        .from(Mailbox::new(Some(facts.operator.name.clone()), from.clone()))
        .to(Mailbox::new(Some(to.name.clone()), recipient.clone()))
        .subject(subject)
        .date(facts.now.into())
        .message_id(Some(facts.message_id.to_owned()))
        .multipart(MultiPart::alternative_plain_html(text, html))
        .map_err(|e| NoticeError::Compose(e.to_string()))?;
    for (name, value) in [
        // RFC 3834: no automatic answers to this, please.
        (HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated"),
        (HeaderName::new_from_ascii_str("Content-Language"), to.lang.tag()),
    ] {
        message.headers_mut().insert_raw(HeaderValue::new(name, value.to_owned()));
    }
    let mut bytes =
        String::from_utf8(message.formatted()).map_err(|e| NoticeError::Compose(e.to_string()))?;
    if let Some(dkim) = facts.dkim {
        bytes.insert_str(0, &dkim.sign(&bytes).map_err(|e| NoticeError::Compose(e.to_string()))?);
    }
    let from = facts.return_path.map_or_else(|| from.to_string(), str::to_owned);
    Ok(Mail { from, to: recipient.to_string(), message: bytes })
}
