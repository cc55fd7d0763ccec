//! IMAP (RFC 9051, and RFC 3501 before it), as much as a mailbox that is polled needs: log in, select, search, fetch,
//! mark.
//!
//! No crate fits: `imap` has been an alpha of its third version for years and reads what a server sends without a bound;
//! `async-imap` brings a second async runtime's types for six commands. What is read here is lines and literals, both
//! bounded; of answers only the few words that are needed are looked at.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use base64::Engine as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::settings::{ImapOrigin, Tls, secret};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(60);
/// Most bytes of a line: a search may find many mails.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Most lines of an answer.
const LINES_MAX: usize = 10_000;
/// Bytes read at once.
const PIECE: usize = 64 << 10;

/// A stream, with TLS or without.
trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// A connection to a mailbox, logged in and selected.
pub struct Mailbox {
    stream: Box<dyn Wire>,
    buffer: Vec<u8>,
    at: usize,
    tags: u32,
    /// Most bytes of a literal.
    max: u64,
    /// Under which the mails' numbers hold.
    pub validity: u64,
}

/// One line of an answer, its literals beside it.
struct Line {
    text: String,
    literals: Vec<Vec<u8>>,
}

impl Mailbox {
    /// Connects, logs in and selects. Mails have at most `max` bytes.
    pub fn open(origin: &ImapOrigin, max: u64) -> anyhow::Result<Self> {
        let tcp = connect(&origin.server)?;
        let host = origin.server.rsplit_once(':').map_or(origin.server.as_str(), |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        let ca = origin.ca_file.as_deref();
        let stream: Box<dyn Wire> = match origin.tls {
            Tls::Tls => Box::new(secured(tcp, host, ca)?),
            Tls::None => Box::new(tcp),
            Tls::Starttls => {
                let mut plain = Self::over(Box::new(tcp.try_clone()?), max);
                plain.greeting()?;
                plain.command("STARTTLS")?;
                // Bytes behind the answer would be somebody's in between, taken for protected ones.
                ensure!(plain.at == plain.buffer.len(), "the server said something behind STARTTLS");
                Box::new(secured(tcp, host, ca)?)
            }
        };
        let mut mailbox = Self::over(stream, max);
        if origin.tls != Tls::Starttls {
            mailbox.greeting()?;
        }
        mailbox.log_in(&origin.login.user, &secret(&origin.login.password_file)?)?;
        let lines = mailbox.command(&format!("SELECT {}", quoted(&origin.mailbox)?))?;
        let validity = lines.iter().find_map(|line| number_after(&line.text, "UIDVALIDITY "));
        mailbox.validity = validity.context("the server gives no UIDVALIDITY")?;
        Ok(mailbox)
    }

    fn over(stream: Box<dyn Wire>, max: u64) -> Self {
        Self { stream, buffer: Vec::new(), at: 0, tags: 0, max, validity: 0 }
    }

    fn greeting(&mut self) -> anyhow::Result<()> {
        let greeting = self.line()?.text;
        ensure!(greeting.starts_with("* OK"), "the server greets with {greeting}");
        Ok(())
    }

    fn log_in(&mut self, user: &str, password: &str) -> anyhow::Result<()> {
        let done = match (quoted(user), quoted(password)) {
            (Ok(user), Ok(password)) => self.command(&format!("LOGIN {user} {password}")),
            _ => {
                // What cannot be quoted (beyond ASCII) goes this way.
                let plain = format!("\0{user}\0{password}");
                let plain = base64::engine::general_purpose::STANDARD.encode(plain);
                self.send("AUTHENTICATE PLAIN")?;
                ensure!(self.line()?.text.starts_with('+'), "the server takes no AUTHENTICATE PLAIN");
                self.stream.write_all(format!("{plain}\r\n").as_bytes())?;
                self.stream.flush()?;
                self.answer()
            }
        };
        done.map(drop).context("the login failed: check user and password-file")
    }

    /// Numbers of mails that nobody has seen, oldest first.
    pub fn unseen(&mut self) -> anyhow::Result<Vec<u32>> {
        let lines = self.command("UID SEARCH UNSEEN UNDELETED")?;
        let found = lines.iter().filter_map(|line| line.text.strip_prefix("* SEARCH"));
        let mut uids: Vec<u32> =
            found.flat_map(str::split_whitespace).filter_map(|n| n.parse().ok()).collect();
        uids.sort_unstable();
        Ok(uids)
    }

    /// A mail's length; nothing where it has gone.
    pub fn size(&mut self, uid: u32) -> anyhow::Result<Option<u64>> {
        let lines = self.command(&format!("UID FETCH {uid} (RFC822.SIZE)"))?;
        Ok(lines.iter().find_map(|line| number_after(&line.text, "RFC822.SIZE ")))
    }

    /// A mail as it is, without marking it; nothing where it has gone.
    pub fn mail(&mut self, uid: u32) -> anyhow::Result<Option<Vec<u8>>> {
        let lines = self.command(&format!("UID FETCH {uid} (BODY.PEEK[])"))?;
        let mut fetched = lines.into_iter().filter(|line| line.text.contains(" FETCH "));
        Ok(fetched.find_map(|line| line.literals.into_iter().next()))
    }

    /// Marks a mail as seen, and with a flag where a person should look at it.
    pub fn mark(&mut self, uid: u32, flagged: bool) -> anyhow::Result<()> {
        let flags = if flagged { "\\Seen \\Flagged" } else { "\\Seen" };
        self.command(&format!("UID STORE {uid} +FLAGS.SILENT ({flags})")).map(drop)
    }

    /// Says goodbye.
    pub fn close(mut self) {
        // Nothing depends on it.
        drop(self.command("LOGOUT"));
    }

    fn send(&mut self, command: &str) -> anyhow::Result<()> {
        self.tags += 1;
        self.stream.write_all(format!("n{} {command}\r\n", self.tags).as_bytes())?;
        Ok(self.stream.flush()?)
    }

    fn command(&mut self, command: &str) -> anyhow::Result<Vec<Line>> {
        self.send(command)?;
        self.answer().with_context(|| {
            // Without its arguments: a password may be among them.
            let verb: Vec<&str> =
                command.split(' ').take(if command.starts_with("UID") { 2 } else { 1 }).collect();
            format!("the server refused {}", verb.join(" "))
        })
    }

    /// Reads up to the end of the answer to the last command.
    fn answer(&mut self) -> anyhow::Result<Vec<Line>> {
        let tag = format!("n{} ", self.tags);
        let mut lines = Vec::new();
        let mut literal_bytes = 0;
        loop {
            let line = self.line()?;
            if let Some(result) = line.text.strip_prefix(&tag) {
                ensure!(result.starts_with("OK"), "{result}");
                return Ok(lines);
            }
            literal_bytes += line.literals.iter().map(|l| l.len() as u64).sum::<u64>();
            ensure!(lines.len() < LINES_MAX && literal_bytes <= self.max, "its answer has no end");
            lines.push(line);
        }
    }

    /// A line with the literals in it: `{5}` at its end means that five bytes follow, then the rest.
    fn line(&mut self) -> anyhow::Result<Line> {
        let mut line = Line { text: String::new(), literals: Vec::new() };
        loop {
            let piece = self.until_newline(LINE_BYTES_MAX.saturating_sub(line.text.len()))?;
            line.text.push_str(&String::from_utf8_lossy(&piece));
            let length = line.text.strip_suffix('}').and_then(|text| text.rsplit_once('{'));
            let Some(length) = length.and_then(|(_, n)| n.parse::<u64>().ok()) else { return Ok(line) };
            let so_far: u64 = line.literals.iter().map(|l| l.len() as u64).sum();
            ensure!(so_far.saturating_add(length) <= self.max, "a mail has at most {} bytes", self.max);
            line.literals.push(self.exactly(usize::try_from(length)?)?);
        }
    }

    fn until_newline(&mut self, max: usize) -> anyhow::Result<Vec<u8>> {
        let mut looked = self.at;
        loop {
            if let Some(end) = self.buffer[looked..].iter().position(|b| *b == b'\n') {
                let end = looked + end;
                let line = self.buffer[self.at..end].to_vec();
                self.at = end + 1;
                return Ok(line.strip_suffix(b"\r").map_or_else(|| line.clone(), <[u8]>::to_vec));
            }
            ensure!(self.buffer.len() - self.at <= max, "a line of the server has no end");
            let waiting = self.buffer.len() - self.at;
            self.more()?;
            looked = self.at + waiting;
        }
    }

    fn exactly(&mut self, count: usize) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            if self.at == self.buffer.len() {
                self.more()?;
            }
            let end = self.buffer.len().min(self.at + count - bytes.len());
            bytes.extend_from_slice(&self.buffer[self.at..end]);
            self.at = end;
        }
        Ok(bytes)
    }

    fn more(&mut self) -> anyhow::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut piece = vec![0; PIECE];
        let read = self.stream.read(&mut piece).context("the server went silent")?;
        if read == 0 {
            bail!("the server ended the connection");
        }
        self.buffer.extend_from_slice(&piece[..read]);
        Ok(())
    }
}

fn connect(server: &str) -> anyhow::Result<TcpStream> {
    let mut last = anyhow!("{server} has no address");
    for at in server.to_socket_addrs().with_context(|| format!("{server} is not known"))? {
        match TcpStream::connect_timeout(&at, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(SILENCE))?;
                stream.set_write_timeout(Some(SILENCE))?;
                return Ok(stream);
            }
            Err(e) => last = anyhow::Error::from(e).context(format!("{server} cannot be reached")),
        }
    }
    Err(last)
}

fn secured(
    tcp: TcpStream,
    host: &str,
    ca: Option<&Path>,
) -> anyhow::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca {
        let pem = secret(path)?;
        roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.map_err(|e| anyhow!("{}: {e}", path.display()))?)?;
        }
        ensure!(!roots.is_empty(), "{} holds no certificate", path.display());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).with_context(|| format!("{host} is no host name"))?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, tcp))
}

/// A string as IMAP quotes it; only what may stand in one.
fn quoted(text: &str) -> anyhow::Result<String> {
    ensure!(text.bytes().all(|b| (0x20..0x7f).contains(&b)), "only printable ASCII can be quoted");
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let end = rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Says what was prepared, a few bytes at a time, whatever it is told.
    struct Said(Cursor<Vec<u8>>);

    impl Read for Said {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let few = out.len().min(3);
            self.0.read(&mut out[..few])
        }
    }

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn saying(text: &str) -> Mailbox {
        Mailbox::over(Box::new(Said(Cursor::new(text.as_bytes().to_vec()))), 1000)
    }

    #[test]
    fn answers_with_literals_are_read_whole() {
        let mut mailbox = saying(
            "* 7 EXISTS\r\n* SEARCH 12 3\r\n* SEARCH\r\nn1 OK done\r\n\
             * 1 FETCH (UID 3 BODY[] {12}\r\nn2 OK {3}\r\nx FLAGS (\\Seen))\r\nn2 OK done\r\nn3 NO full\r\n",
        );
        assert_eq!(mailbox.unseen().unwrap(), [3, 12]);
        assert_eq!(mailbox.mail(3).unwrap().unwrap(), b"n2 OK {3}\r\nx");
        assert!(format!("{:#}", mailbox.mark(3, true).unwrap_err()).contains("full"));
    }

    #[test]
    fn what_has_no_end_is_ended() {
        for hostile in [
            "* 1 FETCH (BODY[] {1001}\r\n".to_owned(),
            "* 1 FETCH (BODY[] {99999999999999999999}\r\n".to_owned(),
            "* 1 FETCH (BODY[] {18446744073709551615}\r\n".to_owned(),
            format!("* {}", "x".repeat(LINE_BYTES_MAX + PIECE)),
            "* OK\r\n".repeat(LINES_MAX + 1),
            "* 1 FETCH (BODY[] {600}\r\n".to_owned() + &"x".repeat(600) + "{600}\r\n" + &"x".repeat(600),
            String::new(),
        ] {
            assert!(saying(&hostile).mail(1).is_err(), "{}", &hostile[..hostile.len().min(40)]);
        }
    }

    #[test]
    fn nothing_breaks_out_of_quotes() {
        assert_eq!(quoted("a\"b\\c").unwrap(), "\"a\\\"b\\\\c\"");
        assert!(quoted("a\r\nn2 DELETE").is_err() && quoted("パス").is_err());
    }
}
