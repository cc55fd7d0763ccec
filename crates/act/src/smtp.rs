//! Sending a mail so that it is known whether it was sent.
//!
//! A mail is the mail server's from the moment it answers 250 to the final dot (RFC 5321 section 4.1.1.4). Until the
//! content begins, any failure means "not sent"; from then on a lost connection means "unknown". That is why the commands
//! are given one by one: [`Sent::Unknown`] is a state of its own, which the outbox settles by asking the mail server's
//! log, and never by sending again on a guess.

use std::fmt;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailCommand, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use noroshi_law::{Lawful, NoticePurpose};
use noroshi_wire::returned::without_addresses;
use serde::{Deserialize, Serialize};

use crate::alert::AlertMail;
use crate::notice::Mail;

/// Default of the longest wait for one answer, in seconds. RFC 5321 section 4.5.3.2 would allow minutes; a submission server
/// beside us answers at once.
pub const ANSWER_S: u64 = 60;

/// How to reach the mail server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Submission {
    /// `host:port` of the ISP's own mail server.
    pub server: String,
    /// `none` (loopback only), `starttls` or `tls`.
    pub encryption: Encryption,
    /// User name, where the server wants one.
    pub user: Option<String>,
    /// File with the password in its first line.
    pub password_file: Option<std::path::PathBuf>,
    /// Name given in EHLO.
    pub helo: String,
    /// Longest wait for one answer, in seconds.
    pub answer_s: u64,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// Not at all.
    None,
    /// RFC 3207, refused if the server does not offer it.
    Starttls,
    /// From the first byte (RFC 8314).
    Tls,
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The server has it.
    Accepted(String),
    /// Not sent, try later (4xx, or the server could not be reached).
    Later(String),
    /// Not sent, and never will be (5xx).
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

/// A line to the mail server: a connection when there is a mail to send, kept for the next as long as each is taken, and ended with
/// the line. Only a mail written under a purpose that allows notices can be sent.
///
/// ```compile_fail,E0308
/// // A mail from nowhere cannot be sent.
/// use noroshi_act::{notice::Mail, smtp::{Line, Submission}};
/// fn spam(mail: &Mail, server: &Submission) { let _ = Line::to(server).send(mail); }
/// ```
pub struct Line<'a> {
    submission: &'a Submission,
    open: Option<SmtpConnection>,
}

impl<'a> Line<'a> {
    /// A line to a server, which is not yet asked.
    pub fn to(submission: &'a Submission) -> Self {
        Self { submission, open: None }
    }

    /// Connects, where it is not connected, and waits until the server is there. Where that fails, the next mail tells why.
    pub fn open(&mut self) {
        if self.open.is_none() {
            self.open = connect(self.submission).ok();
        }
    }

    /// Sends one mail.
    pub fn send<P: NoticePurpose>(&mut self, mail: &Lawful<Mail, P>) -> Sent {
        self.deliver(mail.read())
    }

    /// Sends one mail to an organisation, of its own addresses.
    pub fn send_alert(&mut self, mail: &AlertMail) -> Sent {
        self.deliver(mail.mail())
    }

    fn deliver(&mut self, mail: &Mail) -> Sent {
        if let Some(kept) = self.open.take() {
            // A server may end a connection when it has had enough of it, and says so before a mail begins.
            match self.over(kept, mail) {
                Begun::Sent(sent) => return sent,
                Begun::Not(e) if !has_hung_up(&e) => return not_sent(&e),
                Begun::Not(_) => {}
            }
        }
        match connect(self.submission) {
            Ok(connection) => match self.over(connection, mail) {
                Begun::Sent(sent) => sent,
                Begun::Not(e) => not_sent(&e),
            },
            Err(e) => not_sent(&e),
        }
    }

    /// Sends over a connection, which is kept if the mail was taken.
    fn over(&mut self, mut connection: SmtpConnection, mail: &Mail) -> Begun {
        let begun = transmit(&mut connection, mail);
        if matches!(begun, Begun::Sent(Sent::Accepted(_))) {
            self.open = Some(connection);
        } else {
            // The mail's fate is settled; how the connection ends changes nothing.
            let _closed = connection.quit();
        }
        begun
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if let Some(mut connection) = self.open.take() {
            let _closed = connection.quit();
        }
    }
}

/// Whether the server ended the connection, with 421 (RFC 5321 section 3.8) or without a word, and did not speak of the mail.
fn has_hung_up(e: &SmtpError) -> bool {
    e.status().is_none_or(|code| code.to_string() == "421")
}

/// A mail's content with its end, in one piece: sent as two, the second would wait until the server's system has acknowledged the first,
/// which it puts off for 40 ms (RFC 1122 section 4.2.3.2, RFC 896).
struct Content<'a>(&'a str);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RFC 5321 section 4.5.2.
        if self.0.starts_with('.') {
            f.write_str(".")?;
        }
        for (at, part) in self.0.split("\r\n.").enumerate() {
            if at > 0 {
                f.write_str("\r\n..")?;
            }
            f.write_str(part)?;
        }
        f.write_str(if self.0.ends_with("\r\n") { ".\r\n" } else { "\r\n.\r\n" })
    }
}

/// How far it came.
enum Begun {
    /// The server would not begin with it.
    Not(SmtpError),
    /// What became of it.
    Sent(Sent),
}

/// Whether the mail server answers; what it says of itself or the failure in words.
pub fn probe(submission: &Submission) -> Result<String, String> {
    let mut connection = connect(submission).map_err(|e| e.to_string())?;
    let name = connection.server_info().name().to_owned();
    let _closed = connection.quit();
    Ok(name)
}

fn connect(submission: &Submission) -> Result<SmtpConnection, SmtpError> {
    let host = submission.server.rsplit_once(':').map_or(submission.server.as_str(), |(host, _)| host);
    let helo = ClientId::Domain(submission.helo.clone());
    let timeout = Some(Duration::from_secs(submission.answer_s));
    let mut connection = match submission.encryption {
        Encryption::None => SmtpConnection::connect(&submission.server, timeout, &helo, None, None)?,
        Encryption::Tls => {
            let tls = TlsParameters::new(host.to_owned())?;
            SmtpConnection::connect(&submission.server, timeout, &helo, Some(&tls), None)?
        }
        Encryption::Starttls => {
            let tls = TlsParameters::new(host.to_owned())?;
            let mut plain = SmtpConnection::connect(&submission.server, timeout, &helo, None, None)?;
            plain.starttls(&tls, &helo)?;
            plain
        }
    };
    if let (Some(user), Some(file)) = (&submission.user, &submission.password_file) {
        let password = std::fs::read_to_string(file).unwrap_or_default();
        let credentials = Credentials::new(user.clone(), password.trim_end().to_owned());
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials)?;
    }
    Ok(connection)
}

fn transmit(connection: &mut SmtpConnection, mail: &Mail) -> Begun {
    let (Ok(from), Ok(to)) = (mail.from.parse::<Address>(), mail.to.parse::<Address>()) else {
        return Begun::Sent(Sent::Refused("an address of the envelope is not valid".into()));
    };
    let mut parameters = Vec::new();
    if connection.server_info().supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    if !(mail.from.is_ascii() && mail.to.is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "the mail server does not take addresses beyond ASCII (SMTPUTF8)";
            return Begun::Sent(Sent::Refused(why.into()));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let begin = connection
        .command(MailCommand::new(Some(from), parameters))
        .and_then(|_| connection.command(Rcpt::new(to, Vec::new())))
        .and_then(|_| connection.command(Data));
    if let Err(e) = begin {
        return Begun::Not(e);
    }
    Begun::Sent(match connection.command(Content(&mail.message)) {
        Ok(response) => Sent::Accepted(without_addresses(&response.message().collect::<Vec<_>>().join(" "))),
        // Only an answer with a code is an answer; a torn one says nothing about the mail.
        Err(e) if e.is_transient() || e.is_permanent() => not_sent(&e),
        Err(e) => Sent::Unknown(without_addresses(&e.to_string())),
    })
}

fn not_sent(e: &SmtpError) -> Sent {
    let said = without_addresses(&e.to_string());
    if e.is_permanent() { Sent::Refused(said) } else { Sent::Later(said) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_a_dot_does_not_end_the_mail() {
        for (content, sent) in [
            ("A: b\r\n\r\ntext\r\n", "A: b\r\n\r\ntext\r\n.\r\n"),
            ("text", "text\r\n.\r\n"),
            (".a\r\n.\r\n..b\r\nc.\r\n", "..a\r\n..\r\n...b\r\nc.\r\n.\r\n"),
            ("a\r\n.", "a\r\n..\r\n.\r\n"),
        ] {
            assert_eq!(Content(content).to_string(), sent, "{content:?}");
        }
    }
}
