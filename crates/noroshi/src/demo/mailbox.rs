//! The demo's mail server: takes mails over SMTP (RFC 5321) on loopback and keeps them in a folder. It delivers nothing
//! anywhere. A fake, because a fresh machine has no mail server; the tests use a real Postfix.
//!
//! A mail is a file named after its Message-ID, renamed into place after it is on disk and before the 250 is given, so
//! that after a crash it is there or it is not. The same Message-ID again becomes a second file: double sending shows.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use noroshi_model::Id;

/// Largest mail taken.
const MAIL_BYTES_MAX: usize = 1 << 20;
/// Longest command line (RFC 5321 section 4.5.3.1.4 asks for 512).
const LINE_BYTES_MAX: u64 = 4096;

/// Takes mails until the program ends.
pub fn start(listener: TcpListener, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let folder = folder.to_owned();
    std::thread::Builder::new().name("demo-mailbox".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Err(e) = converse(&stream, &folder) {
                tracing::debug!("demo mailbox: {e}");
            }
        }
    })?;
    Ok(())
}

/// Whether the mail with this Message-ID is there.
pub fn holds(folder: &Path, message_id: &str) -> bool {
    folder.join(file_name(message_id, 1)).exists()
}

/// All mails, by file name.
pub fn mails(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "eml"))
        .collect();
    found.sort();
    Ok(found)
}

fn file_name(message_id: &str, copy: u32) -> String {
    format!("{}.{copy}.eml", Id::of("demo-mail", &[message_id.trim().as_bytes()]))
}

fn converse(stream: &TcpStream, folder: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    writer.write_all(b"220 demo-mailbox.invalid ESMTP\r\n")?;
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let verb = line.get(..4).map(<[u8]>::to_ascii_uppercase).unwrap_or_default();
        let answer: &[u8] = match verb.as_slice() {
            b"" => return Ok(()),
            b"EHLO" => b"250-demo-mailbox.invalid\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            b"HELO" | b"MAIL" | b"RCPT" | b"RSET" | b"NOOP" => b"250 ok\r\n",
            b"DATA" => {
                writer.write_all(b"354 go on\r\n")?;
                keep(&read_mail(&mut reader)?, folder)?;
                b"250 kept\r\n"
            }
            b"QUIT" => return writer.write_all(b"221 bye\r\n"),
            _ => b"500 what?\r\n",
        };
        writer.write_all(answer)?;
    }
}

fn read_mail(reader: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 || mail.len() + line.len() > MAIL_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(mail);
        }
        let stuffed = usize::from(line.starts_with(b"."));
        mail.extend_from_slice(&line[stuffed..]);
    }
}

fn keep(mail: &[u8], folder: &Path) -> io::Result<()> {
    let text = String::from_utf8_lossy(mail);
    let header = text.lines().find_map(|l| l.strip_prefix("Message-ID:")).unwrap_or_default();
    let free = (1..u32::MAX).map(|copy| folder.join(file_name(header, copy))).find(|path| !path.exists());
    let path = free.ok_or(io::ErrorKind::AlreadyExists)?;
    let draft = path.with_extension("draft");
    let mut file = fs::File::create(&draft)?;
    file.write_all(mail)?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    fs::File::open(folder)?.sync_all()
}
