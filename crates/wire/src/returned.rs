//! Mail that comes back: what became of a notice, told by mail servers, mailbox providers and people.
//!
//! ```text
//!   mail at the return path ──▶ Returned { to, of, what }
//!     delivery status   RFC 3464, and what qmail, old Exchange and others write in plain words
//!     complaint         RFC 5965 (ARF), and Microsoft's reports without its part
//!     read or deleted   RFC 8098
//!     automatic answer  RFC 3834, and what wrote before it
//!     an answer         anything else: a person's, for a person to read
//! ```
//!
//! Which notice it is about is told twice: by the address to which it came back, and by the Message-ID of the mail that it
//! returns. Neither is believed here; that is for whoever knows which ones were given out. Nothing of what people wrote is
//! kept, and of what servers wrote one line, without the address.

mod words;

use mail_parser::{Address, HeaderValue, Message, MessageParser, MimeHeaders as _, PartType};

pub use words::Cause;

/// Most bytes of a mail that are looked at: a returned notice is a few pages.
pub const MAIL_BYTES_MAX: usize = 4 << 20;
/// Most bytes of prose that are looked through.
const PROSE_BYTES_MAX: usize = 64 << 10;
/// Most addresses and Message-IDs that are kept of a mail.
const NAMES_MAX: usize = 32;
/// Longest line of a server that is kept, in characters.
const SAID_CHARS_MAX: usize = 300;

/// A mail that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Addresses to which it came, lower case: one may be a return path of ours.
    pub to: Vec<String>,
    /// Message-IDs of what it is about, without angle brackets, the surest first.
    pub of: Vec<String>,
    /// What it says.
    pub what: What,
}

/// What a returned mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The notice reached the mailbox, or went on to a system that tells nothing (`delivered`, `relayed`, `expanded`).
    Delivered,
    /// It has not arrived yet; the server goes on trying.
    Delayed(Failure),
    /// It has not arrived, and the server has given up.
    Failed(Failure),
    /// Somebody called it abuse (`Feedback-Type` of RFC 5965 section 3.1).
    Complaint(String),
    /// It was shown to somebody, or deleted unread (RFC 8098): no word about whether it was understood.
    Read,
    /// A machine answered.
    AutoReply,
    /// Probably a person answered.
    Answer,
}

/// Why a notice has not arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The enhanced status code (RFC 3463), where one is told: class, subject, detail.
    pub status: Option<Status>,
    /// What it means.
    pub cause: Cause,
    /// The server's own words, one line, without addresses.
    pub said: String,
}

/// An enhanced mail system status code (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Status {
    /// 2: success, 4: not now, 5: not ever.
    pub class: u8,
    /// What it is about: address, mailbox, system, network, protocol, content, policy.
    pub subject: u16,
    /// What of it.
    pub detail: u16,
}

impl Status {
    /// Reads `5.1.1`, whatever follows it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim_start();
        let mut part = |dot: bool| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u16 = rest.get(..digits).filter(|_| (1..=3).contains(&digits))?.parse().ok()?;
            rest = &rest[digits..];
            if dot {
                rest = rest.strip_prefix('.')?;
            }
            Some(number)
        };
        let (class, subject, detail) = (part(true)?, part(true)?, part(false)?);
        let ends = rest.bytes().next().is_none_or(|next| !next.is_ascii_alphanumeric() && next != b'.')
            || rest.starts_with(". ")
            || rest == ".";
        let class = u8::try_from(class).ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        ends.then_some(Self { class, subject, detail })
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// Reads a mail that came back. `None` where it is no mail.
pub fn read(mail: &[u8]) -> Option<Returned> {
    let mail = &mail[..mail.len().min(MAIL_BYTES_MAX)];
    let message = MessageParser::default().parse(mail)?;
    let reports = Reports::of(&message);
    let mut of = original_ids(&message, &reports);
    of.truncate(NAMES_MAX);
    Some(Returned { to: came_to(&message), of, what: what(&message, &reports) })
}

/// The parts of a report that tell something.
#[derive(Default)]
struct Reports {
    /// Groups of `delivery-status`: that of the mail, then one for each recipient.
    status: Option<Vec<Group>>,
    feedback: Option<Group>,
    disposition: bool,
    /// Header fields of what was returned.
    returned: Vec<Group>,
    /// What is written for people.
    prose: String,
}

/// Header fields, names in lower case.
type Group = Vec<(String, String)>;

fn field<'a>(group: &'a Group, name: &str) -> Option<&'a str> {
    group.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// `Name: value` lines in groups that an empty line parts; a folded line goes on.
fn groups(text: &str) -> Vec<Group> {
    let mut groups = vec![Group::new()];
    for line in text.lines() {
        let last = groups.last_mut().and_then(|group| group.last_mut());
        match (line.starts_with([' ', '\t']), last) {
            (true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            (true, None) => continue,
            _ => {}
        }
        if line.trim().is_empty() {
            groups.push(Group::new());
        } else if let Some((name, value)) = line.split_once(':')
            && let Some(group) = groups.last_mut().filter(|group| group.len() < NAMES_MAX * 4)
        {
            group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        if groups.len() > NAMES_MAX {
            break;
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

impl Reports {
    fn of(message: &Message<'_>) -> Self {
        let mut reports = Self::default();
        for part in &message.parts {
            let kind = part.content_type().map(|kind| {
                format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_ascii_lowercase()
            });
            let text =
                || String::from_utf8_lossy(&part.contents()[..part.contents().len().min(PROSE_BYTES_MAX)]);
            match (kind.as_deref().unwrap_or("text/plain"), &part.body) {
                ("message/delivery-status" | "message/global-delivery-status", _) => {
                    reports.status.get_or_insert_default().extend(groups(&text()));
                }
                ("message/feedback-report", _) => {
                    reports.feedback = Some(groups(&text()).into_iter().flatten().collect());
                }
                ("message/disposition-notification" | "message/global-disposition-notification", _) => {
                    reports.disposition = true;
                }
                ("text/rfc822-headers" | "message/rfc822-headers" | "message/global-headers", _) => {
                    reports.returned.extend(groups(&text()).into_iter().next());
                }
                (_, PartType::Message(inner)) => reports.returned.push(
                    inner
                        .headers()
                        .iter()
                        .take(NAMES_MAX * 4)
                        .map(|header| (header.name().to_ascii_lowercase(), plain(header.value())))
                        .collect(),
                ),
                (_, PartType::Text(text) | PartType::Html(text)) => {
                    let room = PROSE_BYTES_MAX.saturating_sub(reports.prose.len());
                    let end =
                        (0..=room.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                    reports.prose.push_str(&text[..end]);
                    reports.prose.push('\n');
                }
                _ => {}
            }
        }
        reports
    }
}

/// A header's value as one text.
fn plain(value: &HeaderValue<'_>) -> String {
    match value {
        HeaderValue::Text(text) => text.trim().to_owned(),
        HeaderValue::TextList(list) => list.iter().map(|text| text.trim()).collect::<Vec<_>>().join(" "),
        HeaderValue::Address(address) => addresses(address).join(" "),
        _ => String::new(),
    }
}

fn addresses(address: &Address<'_>) -> Vec<String> {
    address.iter().filter_map(|one| one.address()).map(str::to_owned).collect()
}

/// A header field of the mail itself, as text.
fn header(message: &Message<'_>, name: &str) -> Option<String> {
    message.header_raw(name.to_owned()).map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The addresses that the mail was delivered to, by what mail servers note and what it says itself.
fn came_to(message: &Message<'_>) -> Vec<String> {
    let mut to = Vec::new();
    for header in message.headers() {
        let name = header.name().to_ascii_lowercase();
        if matches!(
            name.as_str(),
            "delivered-to" | "x-original-to" | "envelope-to" | "x-envelope-to" | "to" | "cc"
        ) {
            let value = match header.value() {
                HeaderValue::Address(address) => addresses(address),
                other => vec![plain(other)],
            };
            let words = value.iter().flat_map(|value| value.split([' ', ',', '<', '>']));
            to.extend(words.filter(|word| word.contains('@')).map(str::to_ascii_lowercase));
        }
        if to.len() >= NAMES_MAX {
            break;
        }
    }
    to.dedup();
    to
}

/// The Message-IDs that it names: of what it returns, of what it answers, and of what is quoted in its text.
fn original_ids(message: &Message<'_>, reports: &Reports) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        for id in text.split(['<', '>', ' ', ',', '\t']).filter(|id| id.contains('@') && id.len() <= 250) {
            let id = id.trim_matches(['"', '\'', ';']).to_owned();
            if !ids.contains(&id) && ids.len() < NAMES_MAX {
                ids.push(id);
            }
        }
    };
    let feedback = reports.feedback.iter().filter_map(|group| field(group, "original-message-id"));
    feedback.for_each(&mut add);
    reports.returned.iter().filter_map(|group| field(group, "message-id")).for_each(&mut add);
    let quoted = reports.prose.lines().filter_map(|line| {
        let line = line.trim_start_matches(['>', ' ', '|']);
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("message-id").then_some(value)
    });
    quoted.for_each(&mut add);
    for name in ["In-Reply-To", "References"] {
        if let Some(value) = header(message, name) {
            add(&value);
        }
    }
    ids
}

fn what(message: &Message<'_>, reports: &Reports) -> What {
    if let Some(feedback) = &reports.feedback {
        let kind = field(feedback, "feedback-type").unwrap_or("other").to_ascii_lowercase();
        return match kind.as_str() {
            // "Not spam" is no complaint, and a report about authentication is about the sender's set-up.
            "not-spam" | "auth-failure" | "dmarc" => What::AutoReply,
            _ => What::Complaint(kind.chars().filter(|c| c.is_ascii_graphic()).take(40).collect()),
        };
    }
    let subject = message.subject().unwrap_or_default().to_lowercase();
    if subject.trim_start().starts_with("complaint about message from") && !reports.returned.is_empty() {
        return What::Complaint("abuse".into());
    }
    if let Some(what) = reports.status.as_deref().and_then(|groups| by_status(groups, reports)) {
        return what;
    }
    if reports.disposition {
        return What::Read;
    }
    if (is_by_a_mail_server(message) || reports.status.is_some())
        && let Some(what) = words::told(&reports.prose, &subject)
    {
        return what;
    }
    let automatic = header(message, "Auto-Submitted")
        .is_some_and(|said| !said.to_ascii_lowercase().starts_with("no"))
        || ["X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress"]
            .iter()
            .any(|name| message.header(*name).is_some())
        || header(message, "Precedence").is_some_and(|p| {
            matches!(p.to_ascii_lowercase().as_str(), "auto_reply" | "bulk" | "junk" | "list")
        })
        || words::is_automatic(&subject)
        || is_by_a_mail_server(message);
    if automatic { What::AutoReply } else { What::Answer }
}

/// Of several recipients, of which ours is one, the worst that happened: there is one recipient to a notice, and what
/// happened at the end of an alias happened to it.
fn by_status(groups: &[Group], reports: &Reports) -> Option<What> {
    let of_recipients = || groups.iter().filter(|group| field(group, "action").is_some());
    let action = |group: &Group| {
        let action = field(group, "action").unwrap_or_default().to_ascii_lowercase();
        action.split([' ', '(', ';']).next().unwrap_or_default().to_owned()
    };
    let rank = |group: &&Group| match action(group).as_str() {
        "failed" => 3,
        "delayed" => 2,
        _ => 1,
    };
    let Some(group) = of_recipients().max_by_key(rank) else {
        // A group without an action, as some servers write, says by its status what happened.
        let group = groups.iter().find(|group| field(group, "status").is_some())?;
        let failure = failure(group, reports);
        return Some(match failure.status?.class {
            2 => What::Delivered,
            4 => What::Delayed(failure),
            _ => What::Failed(failure),
        });
    };
    match action(group).as_str() {
        "failed" => Some(What::Failed(failure(group, reports))),
        "delayed" => Some(What::Delayed(failure(group, reports))),
        "delivered" | "relayed" | "expanded" => Some(What::Delivered),
        _ => None,
    }
}

fn failure(group: &Group, reports: &Reports) -> Failure {
    let stated = field(group, "status").and_then(Status::parse);
    let diagnostic = ["diagnostic-code", "x-supplementary-info", "x-postfix-sender"]
        .iter()
        .find_map(|name| field(group, name))
        .map(|text| text.split_once(';').map_or(text, |(_, said)| said).trim());
    let mut failure = match diagnostic.filter(|said| !said.is_empty()) {
        Some(said) => words::failure(stated, said),
        None => words::failure(stated, ""),
    };
    if failure.cause == Cause::Other {
        // The server's own words may be in the text for people only.
        let told = words::failure_in(&reports.prose, stated);
        if let Some(told) = told.filter(|told| told.cause != Cause::Other || failure.said.is_empty()) {
            failure = Failure { status: failure.status.or(told.status), ..told };
        }
    }
    failure
}

/// Whether a mail server wrote it: the empty return path of RFC 5321 section 4.5.5, or the names they write under.
fn is_by_a_mail_server(message: &Message<'_>) -> bool {
    if header(message, "Return-Path").is_some_and(|path| path.trim() == "<>") {
        return true;
    }
    if message.header("X-Failed-Recipients").is_some() {
        return true;
    }
    let from = message.header_raw("From").unwrap_or_default().to_ascii_lowercase();
    let names =
        ["mailer-daemon", "postmaster", "mail delivery sub", "mail delivery system", "mailerdaemon", "<>"];
    names.iter().any(|name| from.contains(name))
}

/// What a mail server said, on one line and without the addresses it repeats: it is shown to operators, the address is not.
pub fn without_addresses(said: &str) -> String {
    let words = said.split_whitespace().map(|word| if word.contains('@') { "‹address›" } else { word });
    let plain = words.collect::<Vec<_>>().join(" ");
    plain.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
