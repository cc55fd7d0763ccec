//! Complaints by mail, one mail or an mbox of them: feedback reports (RFC 5965, with the source port of RFC 6692), X-ARF
//! of version 0 (a YAML part of `Key: value` lines) and X-ARF 3 and 4 (JSON, attached). Mail needs a MIME parser. A mail
//! without such a part is bad, and the reason says so: prose is for people. The mail that is complained of is somebody's
//! correspondence; of it nothing is kept but what the report itself names, and never the recipient.

use std::io::{BufRead as _, Read as _};

use jiff::Timestamp;
use mail_parser::{Message, MessageParser, MimeHeaders as _, PartType};
use noroshi_model::{ClassificationType as Rsit, Datum, Fields};
use serde_json::Value;

use super::{refused, xarf};
use crate::bundle::Bundle;
use crate::convert::{epoch, time, try_add_owned};
use crate::{Feed, FeedError, Input, Report, Sink};

/// Most bytes of one mail.
pub const MAIL_BYTES_MAX: usize = 16 << 20;
/// Most values of a field that may be said more than once.
const VALUES_MAX: usize = 100;
/// How deep a report may lie in mails that forward it.
const FORWARDS_MAX: usize = 2;

/// Opens a mail, or an mbox.
pub fn open(_: &Bundle, _: &Report, input: Input) -> Result<Box<dyn Feed>, FeedError> {
    Ok(Box::new(Mails { input, line: 0, next: None, begun: false }))
}

/// Mails one after the other.
struct Mails {
    input: Input,
    line: u64,
    /// The line on which the next mail of an mbox begins, its separator read.
    next: Option<u64>,
    begun: bool,
}

/// A mail's bytes; `whole` counts those beyond the limit as well.
#[derive(Default)]
struct Raw {
    bytes: Vec<u8>,
    whole: u64,
}

impl Raw {
    fn take(&mut self, line: &[u8]) {
        self.whole += line.len() as u64;
        let room = MAIL_BYTES_MAX.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&line[..line.len().min(room)]);
    }
}

impl Mails {
    /// Reads a line; one that is too long comes in pieces.
    fn read_line(&mut self, line: &mut Vec<u8>) -> std::io::Result<usize> {
        line.clear();
        (&mut self.input).take(MAIL_BYTES_MAX as u64).read_until(b'\n', line)
    }

    /// The next mail, and the line on which it begins.
    fn mail(&mut self) -> std::io::Result<Option<(u64, Raw)>> {
        let mut raw = Raw::default();
        let mut line = Vec::new();
        let mut begins = self.next.take();
        let in_mbox = begins.is_some();
        let mut mbox = in_mbox;
        let mut after_blank = false;
        while self.read_line(&mut line)? > 0 {
            self.line += 1;
            let separator = line.starts_with(b"From ");
            if separator && !self.begun {
                (self.begun, mbox) = (true, true);
                begins = Some(self.line + 1);
                continue;
            }
            if separator && mbox && after_blank {
                self.next = Some(self.line + 1);
                break;
            }
            let blank = line.iter().all(|b| matches!(b, b'\r' | b'\n'));
            if !self.begun && blank {
                continue;
            }
            self.begun = true;
            begins.get_or_insert(self.line);
            after_blank = blank;
            // An mbox hides lines that look like its separator behind a `>`.
            let quoted = line
                .iter()
                .position(|b| *b != b'>')
                .is_some_and(|n| n > 0 && line[n..].starts_with(b"From "));
            raw.take(if mbox && quoted { &line[1..] } else { &line });
        }
        Ok(begins.filter(|_| raw.whole > 0 || in_mbox).map(|begins| (begins, raw)))
    }
}

impl Feed for Mails {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        let Some((line, raw)) = self.mail()? else { return Ok(false) };
        let mut found = Found::default();
        let read = if raw.whole > MAIL_BYTES_MAX as u64 {
            Err(format!("a mail has at most {MAIL_BYTES_MAX} bytes"))
        } else {
            match MessageParser::default().parse(&raw.bytes) {
                Some(mail) => reports(&mail, 0, &mut found),
                None => Err("no mail".into()),
            }
        };
        match read {
            Ok(()) if found.events.is_empty() && found.filtered => sink.filtered(line),
            Ok(()) => found.events.into_iter().for_each(|fields| sink.event(line, fields)),
            Err(reason) => {
                let mut bad = refused(line, reason, &String::from_utf8_lossy(&raw.bytes));
                bad.bytes = raw.whole;
                sink.bad(bad);
            }
        }
        Ok(true)
    }
}

/// What a mail was found to report.
#[derive(Default)]
struct Found {
    events: Vec<Fields<'static>>,
    filtered: bool,
}

/// Reads the reports in a mail; in the mails it forwards only where it has none itself, since the mail complained of is
/// attached to the complaint and may say anything.
fn reports(mail: &Message<'_>, depth: usize, found: &mut Found) -> Result<(), String> {
    let mut any = false;
    for part in &mail.parts {
        let kind = part.content_type();
        let is = |main: &str, sub: &str| {
            kind.is_some_and(|kind| {
                kind.ctype().eq_ignore_ascii_case(main)
                    && kind.subtype().is_some_and(|own| own.eq_ignore_ascii_case(sub))
            })
        };
        let json = is("application", "json") || is("application", "xarf+json") || is("text", "json");
        let text = match &part.body {
            PartType::Multipart(_) | PartType::Message(_) | PartType::Html(_) => continue,
            _ => String::from_utf8_lossy(part.contents()),
        };
        let event = if is("message", "feedback-report") {
            feedback(&Lines::of(&text), found)?
        } else if json || text.trim_start().starts_with('{') {
            match serde_json::from_str::<Value>(&text) {
                Ok(value) if xarf::is_report(&value) => Some(xarf::event(&value)?),
                _ => continue,
            }
        } else {
            let lines = Lines::of(&text);
            if lines.one("Report-Type").is_none() || lines.one("Source").is_none() {
                continue;
            }
            Some(yaml(&lines)?)
        };
        any = true;
        if let Some(mut fields) = event {
            reporter(&mut fields, mail);
            found.events.push(fields);
        }
    }
    if any {
        return Ok(());
    }
    let mut reason = "no feedback report (RFC 5965) and no X-ARF part: read it by hand".to_owned();
    if depth < FORWARDS_MAX {
        for part in &mail.parts {
            let PartType::Message(forwarded) = &part.body else { continue };
            match reports(forwarded, depth + 1, found) {
                Ok(()) => return Ok(()),
                Err(inner) => reason = inner,
            }
        }
    }
    Err(reason)
}

/// Who complained, and when the complaint was written.
fn reporter(fields: &mut Fields<'static>, mail: &Message<'_>) {
    let from = mail.from().and_then(|from| from.first()).and_then(|from| from.address());
    if let Some(from) = from.filter(|from| from.len() <= 254) {
        fields.put("extra.mail.reporter", from.to_owned());
    }
    let written = mail.date().and_then(|date| Timestamp::from_second(date.to_timestamp()).ok());
    if let Some(written) = written {
        fields.put("extra.mail.date", Datum::Time(written));
    }
}

/// `Key: value` lines, folded ones joined.
struct Lines(Vec<(String, String)>);

impl Lines {
    fn of(text: &str) -> Self {
        let mut list: Vec<(String, String)> = Vec::new();
        for line in text.lines().map(str::trim_end) {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = list.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                let quotes = ['"', '\''];
                let (name, value) = (name.trim().trim_matches(quotes), value.trim().trim_matches(quotes));
                list.push((name.to_ascii_lowercase(), value.to_owned()));
            }
        }
        Self(list)
    }

    fn one(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, value)| own.eq_ignore_ascii_case(name) && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let wanted = self.0.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        wanted.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// A feedback report.
fn feedback(lines: &Lines, found: &mut Found) -> Result<Option<Fields<'static>>, String> {
    let kind =
        lines.one("Feedback-Type").ok_or("a feedback report without Feedback-Type")?.to_ascii_lowercase();
    let rsit = match kind.as_str() {
        "abuse" | "opt-out" | "opt-out-list" => Rsit::Spam,
        "fraud" => Rsit::Phishing,
        "virus" => Rsit::MalwareDistribution,
        "auth-failure" => Rsit::Masquerade,
        // No complaint: its recipient wants the mail.
        "not-spam" => {
            found.filtered = true;
            return Ok(None);
        }
        _ => Rsit::Undetermined,
    };
    let mut fields = classified(rsit, &kind);
    let address = lines.one("Source-IP").is_some_and(|text| {
        // Some put the name before the address, in brackets.
        let bare = text.rsplit_once('[').map_or(text, |(_, rest)| rest).trim_end_matches(']');
        try_add_owned(&mut fields, "source.ip", bare)
    });
    let domain =
        lines.one("Reported-Domain").is_some_and(|text| try_add_owned(&mut fields, "source.fqdn", text));
    // A link with `mailto:` is an account; it is listed with the others.
    let link = lines
        .all("Reported-URI")
        .any(|text| try_add_owned(&mut fields, "source.url", text.trim_matches(['<', '>'])));
    if !(address || domain || link) {
        return Err(
            "the feedback report names no source: neither Source-IP, Reported-Domain nor Reported-URI".into(),
        );
    }
    if let Some(port) = lines.one("Source-Port") {
        try_add_owned(&mut fields, "source.port", port);
    }
    if let Some(text) = lines.one("Arrival-Date").or_else(|| lines.one("Received-Date")) {
        fields.put("time.source", Datum::Time(date(text).ok_or("Arrival-Date is no time")?));
    }
    let uris: Vec<Value> = lines.all("Reported-URI").skip(1).take(VALUES_MAX).map(Value::from).collect();
    if !uris.is_empty() {
        fields.put("extra.arf.reported_uri", Datum::Json(uris.into()));
    }
    const MORE: [(&str, &str); 9] = [
        ("User-Agent", "extra.arf.user_agent"),
        ("Original-Mail-From", "extra.arf.mail_from"),
        ("Reporting-MTA", "extra.arf.reporting_mta"),
        ("Incidents", "extra.arf.incidents"),
        ("Authentication-Results", "extra.arf.authentication_results"),
        ("Auth-Failure", "extra.arf.auth_failure"),
        ("Delivery-Result", "extra.arf.delivery_result"),
        ("DKIM-Domain", "extra.arf.dkim_domain"),
        ("Original-Envelope-Id", "extra.arf.envelope_id"),
    ];
    keep(&mut fields, lines, &MORE);
    fields.put("protocol.application", "smtp");
    Ok(Some(fields))
}

/// X-ARF of version 0.
fn yaml(lines: &Lines) -> Result<Fields<'static>, String> {
    let text = |name: &str| lines.one(name).unwrap_or_default();
    let category = text("Category").to_ascii_lowercase();
    let rsit = match xarf::rsit_of("", text("Report-Type")) {
        Rsit::Undetermined => match category.as_str() {
            "abuse" => Rsit::Exploit,
            "auth" => Rsit::BruteForce,
            "fraud" => Rsit::Phishing,
            _ => Rsit::Undetermined,
        },
        known => known,
    };
    let mut fields = classified(rsit, &text("Report-Type").to_ascii_lowercase());
    fields.put("time.source", Datum::Time(date(text("Date")).ok_or("Date is no time")?));
    if !xarf::identified(&mut fields, "source", text("Source")) {
        return Err("Source is no address, link or host".into());
    }
    xarf::identified(&mut fields, "destination", text("Destination"));
    for (name, key) in [
        ("Source-Port", "source.port"),
        ("Port", "destination.port"),
        ("Destination-Port", "destination.port"),
        ("TLP", "tlp"),
    ] {
        try_add_owned(&mut fields, key, text(name));
    }
    xarf::protocol(&mut fields, lines.one("Service").or_else(|| lines.one("Protocol")).unwrap_or_default());
    const MORE: [(&str, &str); 8] = [
        ("Category", "extra.xarf.category"),
        ("Report-ID", "extra.xarf.report_id"),
        ("Reported-From", "extra.xarf.reported_from"),
        ("User-Agent", "extra.xarf.user_agent"),
        ("Schema-URL", "extra.xarf.schema_url"),
        ("Occurrences", "extra.xarf.occurrences"),
        ("Occurences", "extra.xarf.occurrences"),
        ("Version", "extra.xarf.version"),
    ];
    keep(&mut fields, lines, &MORE);
    Ok(fields)
}

fn classified(rsit: Rsit, kind: &str) -> Fields<'static> {
    let mut fields = Fields::default();
    fields.put("classification.type", rsit.id());
    fields.put("classification.taxonomy", rsit.taxonomy());
    if !kind.is_empty() {
        fields.put("classification.identifier", kind.to_owned());
    }
    fields
}

fn keep(fields: &mut Fields<'static>, lines: &Lines, names: &[(&str, &'static str)]) {
    for (name, key) in names {
        if let Some(text) = lines.one(name).filter(|text| text.len() <= 1024) {
            fields.put(*key, text.to_owned());
        }
    }
}

/// A mail's date, with a remark behind it or without; or any other time.
fn date(text: &str) -> Option<Timestamp> {
    let bare = text.split_once(" (").map_or(text, |(date, _)| date).trim();
    let day = bare.split_once(", ").map_or(bare, |(_, date)| date);
    let mail = jiff::fmt::rfc2822::parse(day).ok().map(|zoned| zoned.timestamp());
    mail.or_else(|| time(bare)).or_else(|| epoch(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_mailers_write_them() {
        for text in [
            "Thu, 8 Mar 2005 14:00:00 -0400",
            "Tue, 08 Mar 2005 14:00:00 -0400 (AST)",
            "2005-03-08T18:00:00Z",
            "1110304800",
        ] {
            assert_eq!(date(text).map(|t| t.to_string()).as_deref(), Some("2005-03-08T18:00:00Z"), "{text}");
        }
    }

    #[test]
    fn lines_fold_and_repeat() {
        let lines = Lines::of("A: 1\r\nb: \"two\"\r\n folded\r\nA: 3\r\nnothing\r\nA:\r\n");
        assert_eq!(lines.all("a").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(lines.one("B"), Some("two folded"));
    }
}
