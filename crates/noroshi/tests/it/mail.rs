//! Mail: over a real Postfix into real maildirs, and against mail servers that misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mail_parser::{Message, MessageParser};

use crate::world::{configure, noroshi, run, server, testdata};

/// A noroshi at work, ended when dropped.
pub struct Running(Child);

impl Running {
    pub fn start(folder: &Path, config: &Path) -> Self {
        Self::with_roles(folder, config, &[])
    }

    pub fn with_roles(folder: &Path, config: &Path, roles: &[&str]) -> Self {
        let child = noroshi(folder)
            .args(["--config", config.to_str().unwrap(), "run"])
            .args(roles.iter().map(|role| format!("--role={role}")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "waited three minutes for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Replaces text in a file.
pub fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

/// States of the outbox: how many mails in each.
fn outbox(folder: &Path, config: &Path) -> BTreeMap<String, u64> {
    let cases = run(folder, &["--config", config.to_str().unwrap(), "case", "list", "--json"]);
    let mut states = BTreeMap::new();
    for case in cases.lines() {
        let id = serde_json::from_str::<serde_json::Value>(case).unwrap()["id"].as_str().unwrap().to_owned();
        let story = run(folder, &["--config", config.to_str().unwrap(), "case", "show", &id, "--json"]);
        let story: serde_json::Value = serde_json::from_str(&story).unwrap();
        for line in story["story"].as_array().unwrap().iter().filter(|l| l["what"] == "mail") {
            *states.entry(line["rule"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    states
}

pub fn feed(folder: &Path, config: &Path) {
    let with = |arguments: &[&str]| {
        run(folder, &[&["--config", config.to_str().unwrap()], arguments].concat());
    };
    for day in ["20261118", "20261119", "20261120"] {
        with(&["observe", "radius", testdata(&format!("radius/detail-{day}.txt")).to_str().unwrap()]);
    }
    with(&["law", "approve", "takedown-notice", "--by", "aoki", "--why", "the takedown of November"]);
    with(&["observe", "seized", "--format", "gate", testdata("seized/gate.csv").to_str().unwrap()]);
}

/// A directory whose people have their own addresses in this test, some of them troublesome.
fn directory(folder: &Path, tag: &str) -> PathBuf {
    let text = std::fs::read_to_string(testdata("directory.csv")).unwrap();
    let mailed = text
        .replace(",sub0001", &format!(",{tag}-sub0001"))
        .replace(&format!("{tag}-sub000101@"), &format!("defer-{tag}@"))
        .replace(&format!("{tag}-sub000102@"), &format!("reject-{tag}@"));
    let path = folder.join("directory.csv");
    std::fs::write(&path, mailed).unwrap();
    path
}

pub fn maildir(tag: &str) -> Vec<Vec<u8>> {
    let base = PathBuf::from(std::env::var("NOROSHI_TEST_MAILDIRS").unwrap());
    let mut mails = Vec::new();
    for person in std::fs::read_dir(base).unwrap().map(|e| e.unwrap().path()) {
        if person.file_name().unwrap().to_string_lossy().starts_with(tag)
            && let Ok(new) = std::fs::read_dir(person.join("new"))
        {
            // One that is just being moved is there the next time.
            mails.extend(new.filter_map(|mail| std::fs::read(mail.unwrap().path()).ok()));
        }
    }
    mails
}

/// The loop over a real mail server, with any database: used for SQLite here and for PostgreSQL beside.
pub fn over_postfix(database: Option<&str>, tag: &str) {
    let Some(smtp) = server("NOROSHI_TEST_SMTP") else { return };
    let log = std::env::var("NOROSHI_TEST_MAILLOG").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), &smtp, database, Some(&log));
    edit(
        &config,
        testdata("directory.csv").to_str().unwrap(),
        directory(folder.path(), tag).to_str().unwrap(),
    );
    let (portal, console) = (free_port(), free_port());
    edit(
        &config,
        "[portal]\nlisten = \"127.0.0.1:0\"",
        &format!("[portal]\nlisten = \"127.0.0.1:{portal}\""),
    );
    edit(&config, "https://care.example.ne.jp", &format!("http://127.0.0.1:{portal}"));
    edit(
        &config,
        "[console]\nlisten = \"127.0.0.1:0\"",
        &format!("[console]\nlisten = \"127.0.0.1:{console}\""),
    );
    feed(folder.path(), &config);
    let running = Running::start(folder.path(), &config);
    // One is deferred, one refused; that all that are there are settled does not say that no more will come.
    let wanted = [("delivered", MAILS - 2), ("failed", 1), ("pending", 1)];
    let wanted = wanted.map(|(state, mails)| (state.to_owned(), mails)).into();
    until("every mail to be settled and its delivery learnt", || {
        (outbox(folder.path(), &config) == wanted).then_some(())
    });
    let mails = until("the mails to arrive", || {
        let mails = maildir(&format!("{tag}-"));
        (mails.len() as u64 == MAILS - 2).then_some(mails)
    });
    let mut languages = BTreeMap::new();
    for mail in &mails {
        let message = MessageParser::default().parse(mail).unwrap();
        *languages.entry(check_mail(&message)).or_insert(0) += 1;
    }
    assert!(languages["ja"] > 3 && languages["en"] > 3, "{languages:?}");
    check_link(&MessageParser::default().parse(&mails[0]).unwrap(), portal);
    drop(running);
}

/// A mail says what it must, in text and in HTML, in its language; which language that is.
fn check_mail(message: &Message<'_>) -> String {
    assert_eq!(message.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert_eq!(message.attachment_count(), 0);
    let lang = message.header_raw("Content-Language").unwrap().trim().to_owned();
    let (text, html) = (message.body_text(0).unwrap(), message.body_html(0).unwrap());
    let says = match lang.as_str() {
        "ja" => ["確認された内容", "していただきたいこと", "なぜ", "本物か確かめる", "緊急避難"],
        _ => ["What was seen", "What to do", "Why", "Is this mail genuine?", "present danger"],
    };
    for must in says.iter().chain(&["JST", "http://127.0.0.1"]) {
        assert!(text.contains(must), "{must} in the text: {text}");
        assert!(html.contains(must), "{must} in the HTML: {html}");
    }
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains(&format!("lang=\"{lang}\"")));
    lang
}

/// The link opens the page; with any one character changed it does not.
fn check_link(message: &Message<'_>, portal: u16) {
    let text = message.body_text(0).unwrap();
    let path: String = text[text.find("/n/").unwrap()..].chars().take_while(|c| !c.is_whitespace()).collect();
    let (status, page) = get(portal, &path);
    assert_eq!(status, 200);
    assert!(page.contains("JST"), "{page}");
    for place in [3, path.len() / 2, path.len() - 1] {
        let mut changed = path.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let (status, page) = get(portal, &String::from_utf8(changed).unwrap());
        assert_eq!(status, 404, "character {place} changed");
        assert!(!page.contains("198.51.100") && !page.contains("203.0.113"));
    }
}

fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn each_subscriber_gets_one_mail_over_a_real_postfix_in_their_language_with_a_link_that_works() {
    over_postfix(None, &format!("lite{}", std::process::id()));
}

/// How a mail server misbehaves.
#[derive(Clone, Copy, PartialEq)]
pub enum Trouble {
    /// Takes its time, and takes every mail.
    Slow,
    NeverAnswers,
    DropsAfterTheDot,
    LaterAtTheDot,
    NoAtTheDot,
}

/// The mails that were sent to the end: to whom, and when.
pub type Mails = Arc<Mutex<Vec<(String, Instant)>>>;

/// A mail server that misbehaves, and the whole mails that were sent to it.
pub fn troubled(trouble: Trouble) -> (String, Mails) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mails = Mails::default();
    let seen = Arc::clone(&mails);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _over = misbehave(stream, trouble, &mails);
        }
    });
    (address, seen)
}

fn misbehave(mut stream: TcpStream, trouble: Trouble, mails: &Mails) -> std::io::Result<()> {
    if trouble == Trouble::NeverAnswers {
        let _end = stream.read_to_end(&mut Vec::new());
        return Ok(());
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    stream.write_all(b"220 troubled ESMTP\r\n")?;
    let (mut line, mut recipient) = (String::new(), String::new());
    let mut in_mail = false;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if in_mail {
            if line != ".\r\n" {
                continue;
            }
            mails.lock().unwrap().push((std::mem::take(&mut recipient), Instant::now()));
            in_mail = false;
            match trouble {
                Trouble::DropsAfterTheDot => return Ok(()),
                Trouble::Slow => {
                    std::thread::sleep(Duration::from_millis(30));
                    stream.write_all(b"250 taken\r\n")?;
                }
                Trouble::LaterAtTheDot => stream.write_all(b"451 4.3.0 later\r\n")?,
                _ => stream.write_all(b"554 5.7.1 no <somebody@example.net>\r\n")?,
            }
            continue;
        }
        match line.get(..4).unwrap_or_default() {
            "DATA" => {
                in_mail = true;
                stream.write_all(b"354 go on\r\n")?;
            }
            "RCPT" => {
                recipient.clone_from(&line);
                stream.write_all(b"250 ok\r\n")?;
            }
            "EHLO" => stream.write_all(b"250-troubled\r\n250 8BITMIME\r\n")?,
            "QUIT" => return stream.write_all(b"221 bye\r\n"),
            _ => stream.write_all(b"250 ok\r\n")?,
        }
    }
}

/// The mails of the test's world. A slow machine queues them one by one, so an outbox with fewer is not yet settled.
const MAILS: u64 = 30;

/// Runs until all mails are in the outbox and settled, and so many were sent; which those are.
fn against(trouble: Trouble, settled: &str, sent: u64) -> Vec<(String, Instant)> {
    let (address, mails) = troubled(trouble);
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), &address, None, None);
    edit(&config, "[mail]\n", "[mail]\nanswer-s = 1\n");
    feed(folder.path(), &config);
    let running = Running::start(folder.path(), &config);
    until("the outbox to settle", || {
        let states = outbox(folder.path(), &config);
        let enough = mails.lock().unwrap().len() as u64 >= sent;
        (enough && states == BTreeMap::from([(settled.to_owned(), MAILS)])).then_some(())
    });
    drop(running);
    let list = run(folder.path(), &["--config", config.to_str().unwrap(), "mail", "list"]);
    assert!(!list.contains("somebody@"), "an address the server repeated is not shown");
    mails.lock().unwrap().to_vec()
}

#[test]
fn a_server_that_says_no_for_good_is_believed_once() {
    assert_eq!(against(Trouble::NoAtTheDot, "failed", MAILS).len() as u64, MAILS);
}

#[test]
fn a_server_that_says_later_is_asked_later_and_nothing_is_lost() {
    let sent = against(Trouble::LaterAtTheDot, "pending", MAILS);
    let mut last: BTreeMap<&str, Instant> = BTreeMap::new();
    for (recipient, at) in &sent {
        if let Some(before) = last.insert(recipient, *at) {
            let pause = at.duration_since(before);
            assert!(pause >= Duration::from_secs(59), "asked again after {pause:?}");
        }
    }
    assert_eq!(last.len() as u64, MAILS, "each was sent: {}", sent.len());
}

#[test]
fn a_server_that_hangs_up_after_the_dot_leaves_a_doubt_that_is_not_sent_again() {
    assert_eq!(
        against(Trouble::DropsAfterTheDot, "in-doubt", MAILS).len() as u64,
        MAILS,
        "each was handed over once"
    );
}

#[test]
fn a_server_that_never_answers_loses_nothing() {
    assert!(against(Trouble::NeverAnswers, "pending", 0).is_empty());
}

/// Waits out the outbox with a mail log that is there, and tells its states and how often a whole mail was sent in all.
fn with_log(begun_before: bool) -> (BTreeMap<String, u64>, u64) {
    let (address, mails) = troubled(Trouble::DropsAfterTheDot);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mail.log");
    if begun_before {
        std::fs::write(&log, "").unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let config = configure(folder.path(), &address, None, None);
    feed(folder.path(), &config);
    let running = Running::start(folder.path(), &config);
    until("every mail to be in doubt", || {
        let states = outbox(folder.path(), &config);
        (states == BTreeMap::from([("in-doubt".to_owned(), MAILS)])).then_some(())
    });
    drop(running);
    std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
    let later = std::process::Command::new("touch").args(["-d", "+1 hour"]).arg(&log).status().unwrap();
    assert!(later.success());
    edit(&config, "[mail]\n", &format!("[mail]\nlog = \"{}\"\n", log.display()));
    let sent_before = mails.lock().unwrap().len();
    let running = Running::start(folder.path(), &config);
    let sent_again = || (mails.lock().unwrap().len() - sent_before) as u64;
    if begun_before {
        until("every mail to be sent again", || (sent_again() >= MAILS).then_some(()));
    }
    // Long enough for one too many.
    std::thread::sleep(Duration::from_secs(4));
    drop(running);
    (outbox(folder.path(), &config), sent_again())
}

#[test]
fn a_mail_in_doubt_stays_so_where_the_log_was_rotated_and_is_sent_where_the_log_says_it_never_came() {
    let (states, sent_again) = with_log(false);
    assert_eq!((states.get("in-doubt"), sent_again), (Some(&MAILS), 0), "a log begun later cannot tell");
    let (_, sent_again) = with_log(true);
    assert_eq!(sent_again, MAILS, "a log begun before that has no such mail can");
}
