//! What mail servers say in words, and what their codes mean. Codes are used loosely: 5.2.0 is said of unknown users, 5.7.1
//! of everything, and 5.0.0 of nothing in particular; so where the words are clear, they count.

use super::{Failure, Status, What, without_addresses};

/// Why a mail has not arrived, after the subjects and details of RFC 3463.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// There is no such mailbox (x.1.1), or not any more (x.1.6).
    BadMailbox,
    /// There is no such domain, or it takes no mail (x.1.2, x.1.10).
    BadDomain,
    /// The mailbox takes no mail (x.2.1).
    MailboxDisabled,
    /// The mailbox is full (x.2.2).
    MailboxFull,
    /// The mail is too large (x.2.3, x.3.4).
    TooLarge,
    /// The other side is out of order or has no room (x.3).
    System,
    /// The other side cannot be reached (x.4).
    Network,
    /// Tried for too long (x.4.7).
    Expired,
    /// Asked to come back later, as greylisting does; or to send more slowly.
    TryLater,
    /// Refused by rule: spam, reputation, authentication (x.7).
    Policy,
    /// What it says or how it is built is not taken (x.6).
    Content,
    /// Anything else.
    Other,
}

impl Cause {
    /// Every one of them.
    pub const ALL: [Cause; 12] = [
        Cause::BadMailbox,
        Cause::BadDomain,
        Cause::MailboxDisabled,
        Cause::MailboxFull,
        Cause::TooLarge,
        Cause::System,
        Cause::Network,
        Cause::Expired,
        Cause::TryLater,
        Cause::Policy,
        Cause::Content,
        Cause::Other,
    ];

    /// The name in the store and in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Cause::BadMailbox => "bad-mailbox",
            Cause::BadDomain => "bad-domain",
            Cause::MailboxDisabled => "mailbox-disabled",
            Cause::MailboxFull => "mailbox-full",
            Cause::TooLarge => "too-large",
            Cause::System => "system",
            Cause::Network => "network",
            Cause::Expired => "expired",
            Cause::TryLater => "try-later",
            Cause::Policy => "policy",
            Cause::Content => "content",
            Cause::Other => "other",
        }
    }

    /// What a code means, where it says anything.
    fn of(status: Status) -> Option<Self> {
        Some(match (status.subject, status.detail) {
            (1, 1 | 3 | 4 | 6) => Cause::BadMailbox,
            (1, 2 | 10) => Cause::BadDomain,
            (1, 7..=9) => Cause::Policy,
            (2, 1) => Cause::MailboxDisabled,
            (2, 2) => Cause::MailboxFull,
            (2, 3) | (3, 4) => Cause::TooLarge,
            (3, _) => Cause::System,
            (4, 7) => Cause::Expired,
            (4, 1..=6) => Cause::Network,
            (6, _) => Cause::Content,
            (7, 1) if status.class == 4 => Cause::TryLater,
            (7, _) => Cause::Policy,
            _ => return None,
        })
    }
}

/// What is said, in lower case, and what it means. In this order: a full mailbox is "unavailable", and a refusal for spam
/// talks of mailboxes.
const WORDS: [(Cause, &[&str]); 11] = [
    (
        Cause::MailboxFull,
        &[
            "mailbox full",
            "mailbox is full",
            "mailbox was full",
            "over quota",
            "overquota",
            "quota exceeded",
            "exceeded storage",
            "exceeded its quota",
            "exceeds quota",
            "insufficient disk",
            "mailbox size limit",
            "quotaexceeded",
            "out of storage",
            "inbox is full",
            "disk quota",
            "mailbox has exceeded",
            "storage allocation",
            "would exceed",
        ],
    ),
    (
        Cause::TryLater,
        &[
            "greylist",
            "graylist",
            "grey-list",
            "try again later",
            "try again in",
            "temporarily deferred",
            "come back later",
            "too many messages",
            "too many connections",
            "rate limit",
            "throttl",
            "unusual rate",
        ],
    ),
    (
        Cause::Policy,
        &[
            "spam",
            "blacklist",
            "blocklist",
            "blocked using",
            "block list",
            "dmarc",
            "unauthenticated email",
            "spf",
            "poor reputation",
            "bad reputation",
            "dnsbl",
            "rbl",
            "not accepted due to",
            "banned",
            "client host rejected",
            "relay",
            "access denied",
            "not allowed to send",
            "sender verify failed",
            "policy",
        ],
    ),
    (
        Cause::MailboxDisabled,
        &[
            "disabled",
            "suspended",
            "inactive",
            "deactivated",
            "account is locked",
            "not accepting mail",
            "not accepting messages",
            "mailbox is closed",
            "has been closed",
            "expired account",
            "account expired",
            "dormant",
        ],
    ),
    (
        Cause::BadMailbox,
        &[
            "user unknown",
            "unknown user",
            "no such user",
            "no such mailbox",
            "mailbox not found",
            "mailbox unavailable",
            "does not exist",
            "doesn't exist",
            "doesn't have a",
            "no mailbox here",
            "unknown recipient",
            "recipient unknown",
            "invalid recipient",
            "invalid mailbox",
            "invalid address",
            "unknown address",
            "address unknown",
            "unrouteable address",
            "unknown local part",
            "no longer on server",
            "recipnotfound",
            "recipient not found",
            "not found",
            "unknown mailbox",
            "not a known user",
            "not listed in",
            "user doesn",
            "no such recipient",
            "address rejected",
            "undeliverable address",
            "unknown or illegal alias",
            "couldn't be found",
            "wasn't found",
            "no such address",
            "not our customer",
            "recipient address rejected",
        ],
    ),
    (
        Cause::BadDomain,
        &[
            "host unknown",
            "domain not found",
            "host not found",
            "unknown host",
            "couldn't find any host",
            "no such domain",
            "name or service not known",
            "does not accept mail",
            "nullmx",
            "null mx",
            "domain name not found",
            "nxdomain",
            "no mx",
            "domain isn't in my list",
            "unrouteable mail domain",
        ],
    ),
    (Cause::TooLarge, &["too large", "too big", "size limit", "exceeds the maximum", "maximum message size"]),
    (
        Cause::Expired,
        &[
            "expired",
            "too long",
            "has been in the queue",
            "been in queue",
            "retry timeout",
            "retry time not reached",
        ],
    ),
    (
        Cause::Network,
        &[
            "connection refused",
            "connection timed out",
            "timed out",
            "no route to host",
            "network is unreachable",
            "could not connect",
            "couldn't connect",
            "unable to connect",
            "connection reset",
            "lost connection",
            "wasn't able to establish",
            "connection dropped",
            "no answer",
        ],
    ),
    (Cause::Content, &["content", "virus", "malformed", "message format", "header", "attachment"]),
    (
        Cause::System,
        &[
            "service unavailable",
            "system error",
            "internal error",
            "insufficient system",
            "local error",
            "configuration error",
        ],
    ),
];

/// What is meant by words alone.
fn by_words(said: &str) -> Option<Cause> {
    let said = said.to_lowercase();
    WORDS.iter().find(|(_, words)| words.iter().any(|word| said.contains(word))).map(|(cause, _)| *cause)
}

/// Codes under which anything is said: the words know better.
fn is_loose(status: Status) -> bool {
    matches!(
        (status.subject, status.detail),
        (_, 0) | (2, 1) | (3, _) | (4, 4 | 1) | (5, _) | (7, 1) | (1, 1 | 2 | 10)
    )
}

/// Why it has not arrived, of a status that was stated and the server's words, in which there may be a code as well.
pub fn failure(stated: Option<Status>, said: &str) -> Failure {
    let in_words = code_in(said);
    let status = match (stated, in_words) {
        // The nearest server's code is the one in its words; the reporting one often has only a general one.
        (Some(stated), Some(told))
            if stated.class == told.class
                && told.subject > 0
                && (stated.detail == 0 || stated.subject == 0) =>
        {
            Some(told)
        }
        (Some(stated), _) => Some(stated),
        (None, told) => told,
    };
    let by_code = status.and_then(Cause::of);
    let by_words = by_words(said);
    let cause = match (status, by_code, by_words) {
        (Some(status), Some(_), Some(words)) if is_loose(status) => words,
        // Words speak of the queue where the code says what it waited for.
        (_, Some(code), _) => code,
        (_, None, Some(words)) => words,
        (_, None, None) => Cause::Other,
    };
    Failure { status, cause, said: without_addresses(said) }
}

/// An enhanced status code in a server's words: after a reply code (`550 5.1.1`, `550-5.1.1`), or in brackets (`(#5.1.1)`,
/// `#5.1.1`). Where there is only a reply code, its class is what is known.
fn code_in(said: &str) -> Option<Status> {
    let mut general = None;
    for word in said.split([' ', '\n', '\t', '<', '(', '[', '"', ',', ':']) {
        let word = word.trim_start_matches('#');
        if let Some(status) = Status::parse(word) {
            return Some(status);
        }
        if let Some((reply, rest)) = word.split_once('-')
            && is_reply(reply)
            && let Some(status) = Status::parse(rest)
        {
            return Some(status);
        }
        let reply = word.get(..3).filter(|reply| {
            is_reply(reply) && !word[3..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        });
        if let Some(reply) = reply {
            general.get_or_insert(Status { class: reply.as_bytes()[0] - b'0', subject: 0, detail: 0 });
        }
    }
    general
}

/// A reply code of a refusal (RFC 5321 section 4.2).
fn is_reply(text: &str) -> bool {
    matches!(text.as_bytes(), [b'4' | b'5', b'0'..=b'5', b'0'..=b'9'])
}

/// The line of a text for people in which a server says why.
pub fn failure_in(prose: &str, stated: Option<Status>) -> Option<Failure> {
    let lines = || prose.lines().map(str::trim).filter(|line| !line.is_empty() && line.len() < 1000);
    let of = |line: &str| failure(stated, line);
    let with_code = lines()
        .find(|line| code_in(line).is_some_and(|status| status.class != 2) && by_words(line).is_some());
    let with_words = || lines().find(|line| by_words(line).is_some_and(|cause| cause != Cause::Content));
    let any_code = || lines().find(|line| code_in(line).is_some_and(|status| status.class != 2));
    with_code.or_else(with_words).or_else(any_code).map(of)
}

/// What a mail server tells in prose alone.
pub fn told(prose: &str, subject: &str) -> Option<What> {
    let body = prose.to_lowercase();
    // What is returned may say anything: only what comes before it counts.
    let returned = [
        "below this line is a copy",
        "this is a copy of the message",
        "original message follows",
        "message headers follow",
        "original message headers",
        "copy of the original message",
        "returned message",
        "--- the header of the original",
        "----- original message",
        "-----original message",
        "unsent message below",
        "headers of the message",
        "message header follows",
    ];
    let end = returned.iter().filter_map(|marker| body.find(marker)).min().unwrap_or(body.len());
    let report = body.get(..end)?;
    let any = |words: &[&str]| words.iter().any(|word| report.contains(word) || subject.contains(word));
    let delayed = any(&[
        "delayed",
        "warning: could not send",
        "not yet been delivered",
        "will be retried",
        "still being retried",
        "keep trying",
        "will continue trying",
    ]);
    let gave_up = any(&[
        "given up",
        "giving up",
        "permanent",
        "could not be delivered",
        "failed permanently",
        "undeliverable",
        "delivery failed",
        "not deliver",
        "wasn't delivered",
        "delivery has failed",
        "returned mail",
        "mail delivery failed",
        "failure notice",
        "failure",
        "error delivering",
        "error has occurred while attempting to deliver",
        "unable to deliver",
        "rejected",
    ]);
    if any(&["delivered successfully", "successfully delivered", "was successfully", "success notice"])
        && !gave_up
    {
        return Some(What::Delivered);
    }
    let why = failure_in(report, None);
    if delayed && !any(&["given up", "giving up", "permanent"]) {
        return Some(What::Delayed(why.unwrap_or_else(|| failure(None, ""))));
    }
    let why = why.unwrap_or_else(|| failure(None, ""));
    gave_up.then_some(What::Failed(why))
}

/// Subjects of answers that nobody wrote, where the header does not say so.
pub fn is_automatic(subject: &str) -> bool {
    let subject = subject.trim();
    let begins = [
        "auto:",
        "autoreply",
        "auto-reply",
        "automatic reply",
        "auto response",
        "out of office",
        "out of the office",
        "away from",
        "vacation",
        "自動返信",
        "自動応答",
        "不在通知",
        "不在のお知らせ",
        "【自動返信】",
        "[自動返信]",
        "(自動返信)",
    ];
    begins.iter().any(|word| subject.starts_with(word))
        || subject.contains("自動返信")
        || subject.contains("out of office")
}
