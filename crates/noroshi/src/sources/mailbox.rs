//! Reports that come by mail. The mailbox itself is the spool: a mail is marked as seen only when the events of all its
//! reports are durable. One without a report, or with one that cannot be read, is marked for a person to look at as well.

use std::io::Cursor;

use anyhow::anyhow;
use mail_parser::{Message, MessageParser, MimeHeaders as _, PartType};
use noroshi_feed::Bundle;

use super::imap::Mailbox;
use super::settings::{ImapOrigin, MailPart, Pattern, Source};
use super::{Came, Trouble, Works};
use crate::intake::Arrived;

/// Mails taken in one run.
const MAILS_MAX: usize = 1000;
/// How deep a report may lie in mails that forward it.
const DEPTH_MAX: usize = 4;
/// Reports in one mail.
const PARTS_MAX: usize = 100;
/// What a report is by its type, where no pattern says which parts are.
const TYPES: [&str; 14] = [
    "application/csv",
    "application/gzip",
    "application/json",
    "application/x-gzip",
    "application/x-ndjson",
    "application/x-zip-compressed",
    "application/xml",
    "application/zip",
    "application/zstd",
    "message/feedback-report",
    "text/comma-separated-values",
    "text/csv",
    "text/tab-separated-values",
    "text/xml",
];
/// And by its name, where mailers do not know types.
const ENDINGS: [&str; 9] = [".csv", ".gz", ".json", ".jsonl", ".ndjson", ".tsv", ".xml", ".zip", ".zst"];

/// Takes in what nobody has seen.
pub fn fetch(
    works: &Works,
    source: &Source,
    origin: &ImapOrigin,
    bundle: &Bundle,
    came: &mut Came,
) -> Result<(), Trouble> {
    let mut mailbox = Mailbox::open(origin, source.max_bytes)?;
    let mut unseen = mailbox.unseen()?;
    unseen.truncate(MAILS_MAX);
    came.unchanged = unseen.is_empty();
    let mut failed = Vec::new();
    for uid in unseen {
        let Some(size) = mailbox.size(uid)? else { continue };
        let taken = if size > source.max_bytes {
            Err(anyhow!("it has {size} bytes, more than max-bytes of the source").into())
        } else {
            let Some(mail) = mailbox.mail(uid)? else { continue };
            take_mail(works, source, origin, bundle, (mailbox.validity, uid), &mail, came)
        };
        if let Err(trouble) = &taken {
            if trouble.is_store() {
                return taken;
            }
            failed.push(format!("mail {uid}: {:#}", trouble.why));
        }
        mailbox.mark(uid, taken.is_err())?;
    }
    mailbox.close();
    match failed.as_slice() {
        [] => Ok(()),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Err(anyhow!("{first}{more}; flagged in {}", origin.mailbox).into())
        }
    }
}

fn take_mail(
    works: &Works,
    source: &Source,
    origin: &ImapOrigin,
    bundle: &Bundle,
    (validity, uid): (u64, u32),
    mail: &[u8],
    came: &mut Came,
) -> Result<(), Trouble> {
    let reports = reports(mail, origin.take, origin.pattern.as_ref());
    if reports.is_empty() {
        return Err(anyhow!("no part of it is a report").into());
    }
    let mut failed = None;
    for (at, Part { name, bytes }) in reports.into_iter().enumerate() {
        let place = [&origin.server, &origin.login.user, &origin.mailbox];
        let identity = format!("imap {place:?} {validity} {uid} {at}").into_bytes();
        let input = Box::new(Cursor::new(bytes));
        let taken = works.take(source, bundle, works.house.clock.now(), Arrived { identity, name, input });
        match taken {
            Ok(counts) => came.counts += counts,
            Err(trouble) if trouble.is_store() => return Err(trouble),
            Err(trouble) => failed = Some(trouble),
        }
    }
    came.items += 1;
    came.bytes += mail.len() as u64;
    failed.map_or(Ok(()), Err)
}

/// A report in a mail.
struct Part {
    name: Option<String>,
    bytes: Vec<u8>,
}

fn reports(mail: &[u8], take: MailPart, pattern: Option<&Pattern>) -> Vec<Part> {
    if take == MailPart::Mail {
        return vec![Part { name: None, bytes: mail.to_vec() }];
    }
    let Some(message) = MessageParser::default().parse(mail) else { return Vec::new() };
    if take == MailPart::Body {
        let text = message.body_text(0).filter(|text| !text.trim().is_empty());
        return text.map(|text| Part { name: None, bytes: text.as_bytes().to_vec() }).into_iter().collect();
    }
    let mut found = Vec::new();
    attached(&message, pattern, 0, &mut found);
    found
}

fn attached(message: &Message<'_>, pattern: Option<&Pattern>, depth: usize, found: &mut Vec<Part>) {
    for part in &message.parts {
        if found.len() >= PARTS_MAX {
            return;
        }
        if let PartType::Message(inner) = &part.body {
            if depth < DEPTH_MAX {
                attached(inner, pattern, depth + 1, found);
            }
            continue;
        }
        let name = part.attachment_name().and_then(super::web::plain_name);
        let lower = name.as_deref().unwrap_or_default().to_ascii_lowercase();
        let kind = part.content_type().map(|kind| {
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()).to_ascii_lowercase()
        });
        let wanted = match pattern {
            Some(pattern) => name.as_deref().is_some_and(|name| pattern.fits(name)),
            None => {
                kind.is_some_and(|kind| TYPES.contains(&kind.as_str()))
                    || ENDINGS.iter().any(|ending| lower.ends_with(ending))
            }
        };
        if wanted && !matches!(part.body, PartType::Multipart(_)) {
            found.push(Part { name, bytes: part.contents().to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: a@example.net\r\nSubject: reports\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain\r\n\r\n192.0.2.1\r\n\
        --x\r\nContent-Type: application/octet-stream\r\n\
        Content-Disposition: attachment; filename=\"../a.CSV\"\r\nContent-Transfer-Encoding: base64\r\n\r\nYSxiCg==\r\n\
        --x\r\nContent-Type: text/csv; name=b.txt\r\n\r\nc,d\r\n\
        --x\r\nContent-Type: image/png; name=c.png\r\n\r\nno\r\n--x--\r\n";

    fn names(take: MailPart, pattern: Option<&str>) -> Vec<(Option<String>, String)> {
        let text = format!(
            "format = \"x\"\nfolder = \"f\"\n{}",
            pattern.map(|p| format!("pattern = \"{p}\"")).unwrap_or_default()
        );
        let source = Source::read("feed", &toml::from_str(&text).unwrap()).unwrap();
        let super::super::Origin::Folder(folder) = source.origin else { panic!() };
        let found = reports(MAIL.as_bytes(), take, pattern.map(|_| &folder.pattern));
        found.into_iter().map(|p| (p.name, String::from_utf8(p.bytes).unwrap().trim().to_owned())).collect()
    }

    #[test]
    fn parts_are_taken_by_type_and_ending_or_by_pattern() {
        let a = (Some("a.CSV".to_owned()), "a,b".to_owned());
        let b = (Some("b.txt".to_owned()), "c,d".to_owned());
        assert_eq!(names(MailPart::Attachments, None), [a.clone(), b]);
        assert_eq!(names(MailPart::Attachments, Some("*.csv")), [a]);
        assert_eq!(names(MailPart::Body, None), [(None, "192.0.2.1".to_owned())]);
        assert_eq!(names(MailPart::Mail, None).len(), 1);
    }
}
