//! What a mail server did with our mails, from its own log: Postfix's syslog lines, told by Message-ID.
//!
//! A mail is accepted when `qmgr` says `queue active` for the queue file whose Message-ID `cleanup` logged; `cleanup` alone
//! is not enough, since it logs the header of a mail whose sender may still die before the final dot. It is delivered or
//! bounced when a delivery agent says `status=`. (Postfix, `qmgr(8)`, `cleanup(8)`, log formats as of 3.4 to 3.10.)

use std::collections::{HashMap, VecDeque};

/// Queue files remembered between their first and last line; older ones are forgotten first.
pub const QUEUE_FILES_MAX: usize = 100_000;

/// How far a mail came. Later variants outrank earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// In the server's queue: it is the server's now.
    Accepted,
    /// In the mailbox, or handed to the next server.
    Delivered,
    /// Given up by the server.
    Bounced,
}

/// Follows a log line by line.
#[derive(Debug, Default)]
pub struct MailLog {
    message_ids: HashMap<String, String>,
    order: VecDeque<String>,
}

impl MailLog {
    /// Reads one line; says what it tells of a mail, if it does.
    pub fn line(&mut self, line: &str) -> Option<(String, Fate)> {
        let (process, rest) = line.split_once(": ")?;
        let (queue_id, rest) = rest.split_once(": ")?;
        let is_queue_id =
            (5..=32).contains(&queue_id.len()) && queue_id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_queue_id {
            return None;
        }
        if let Some(message_id) = rest.strip_prefix("message-id=") {
            self.remember(queue_id, message_id.trim());
            return None;
        }
        let fate = if process.contains("/qmgr[") && rest.ends_with("(queue active)") {
            Fate::Accepted
        } else if rest.contains(", status=sent ") {
            Fate::Delivered
        } else if rest.contains(", status=bounced ") || rest.contains(", status=expired") {
            Fate::Bounced
        } else {
            return None;
        };
        Some((self.message_ids.get(queue_id)?.clone(), fate))
    }

    fn remember(&mut self, queue_id: &str, message_id: &str) {
        if self.message_ids.insert(queue_id.to_owned(), message_id.to_owned()).is_none() {
            self.order.push_back(queue_id.to_owned());
        }
        if self.order.len() > QUEUE_FILES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.message_ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
Nov 22 12:41:01 mx postfix/smtpd[101]: connect from localhost[127.0.0.1]
Nov 22 12:41:01 mx postfix/smtpd[101]: 4B1C2D3E4F: client=localhost[127.0.0.1]
Nov 22 12:41:01 mx postfix/cleanup[104]: 4B1C2D3E4F: message-id=<a.1@example.net>
Nov 22 12:41:01 mx postfix/qmgr[99]: 4B1C2D3E4F: from=<n@example.net>, size=431, nrcpt=1 (queue active)
Nov 22 12:41:01 mx postfix/cleanup[104]: 5B1C2D3E4F: message-id=<half.1@example.net>
Nov 22 12:41:02 mx postfix/pipe[106]: 4B1C2D3E4F: to=<s@mail.example.net>, relay=maildir, delay=0.1, dsn=2.0.0, status=sent (ok)
Nov 22 12:41:02 mx postfix/qmgr[99]: 4B1C2D3E4F: removed";

    #[test]
    fn a_mail_is_accepted_then_delivered_and_one_that_was_cut_off_is_neither() {
        let mut log = MailLog::default();
        let told: Vec<_> = LOG.lines().filter_map(|line| log.line(line)).collect();
        let id = "<a.1@example.net>".to_owned();
        assert_eq!(told, [(id.clone(), Fate::Accepted), (id, Fate::Delivered)]);
    }

    #[test]
    fn noise_tells_nothing() {
        let mut log = MailLog::default();
        for line in ["", ": : :", "a: b", "x: ABCDE: status=sent ", "é: ABCDEF: , status=sent x"] {
            assert_eq!(log.line(line), None, "{line}");
        }
    }
}
