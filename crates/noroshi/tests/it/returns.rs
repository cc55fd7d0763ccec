//! Mail that comes back: a real Postfix that cannot deliver says so, a real Dovecot keeps what it says, and noroshi reads it
//! there and knows which mail it is about.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mail_parser::MessageParser;
use serde_json::Value;

use crate::mail::{Running, edit, feed, until};
use crate::world::{configure, last_json, noroshi, run, run_any, server, testdata};

/// The directory, with people whose mail cannot be delivered, each in another way.
fn directory(folder: &Path, tag: &str) -> PathBuf {
    let mut text = std::fs::read_to_string(testdata("directory.csv")).unwrap();
    text = text.replace(",sub0001", &format!(",{tag}-sub0001"));
    for (person, trouble) in [("01", "bounce"), ("02", "full"), ("03", "grey"), ("04", "dead")] {
        text = text.replace(&format!("{tag}-sub0001{person}@"), &format!("{trouble}-{tag}@"));
    }
    let path = folder.join("directory.csv");
    std::fs::write(&path, text).unwrap();
    path
}

/// A configuration whose mails come back to a mailbox of its own.
fn returning(folder: &Path, smtp: &str, tag: &str, mailbox: &str) -> PathBuf {
    let config = configure(folder, smtp, None, None);
    let people = directory(folder, tag);
    edit(&config, testdata("directory.csv").to_str().unwrap(), people.to_str().unwrap());
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[mail.returns]\naddress = \"{tag}@example.ne.jp\"\n{mailbox}"))
        .unwrap();
    config
}

/// All that is told in the stories of all cases: what, and by which rule or kind, and the words.
fn told(folder: &Path, config: &Path) -> Vec<(String, String, String)> {
    let with =
        |arguments: &[&str]| run(folder, &[&["--config", config.to_str().unwrap()], arguments].concat());
    let mut told = Vec::new();
    for case in with(&["case", "list", "--json"]).lines() {
        let case: Value = serde_json::from_str(case).unwrap();
        let story: Value =
            serde_json::from_str(&with(&["case", "show", case["id"].as_str().unwrap(), "--json"])).unwrap();
        for line in story["story"].as_array().unwrap() {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            told.push((text("what"), text("rule"), text("text")));
        }
    }
    told
}

/// How many mails are in which state.
fn states(told: &[(String, String, String)]) -> BTreeMap<String, u64> {
    let mut states = BTreeMap::new();
    for (_, state, _) in told.iter().filter(|(what, ..)| what == "mail") {
        *states.entry(state.clone()).or_default() += 1;
    }
    states
}

/// Moves what Postfix returned into the mailbox that Dovecot shows.
fn carry_over(tag: &str) {
    let maildirs = PathBuf::from(std::env::var("NOROSHI_TEST_MAILDIRS").unwrap());
    let mailbox = PathBuf::from(std::env::var("NOROSHI_TEST_IMAP_FOLDER").unwrap()).join("mail").join(tag);
    for part in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(mailbox.join(part)).unwrap();
    }
    if let Ok(came) = std::fs::read_dir(maildirs.join(tag).join("new")) {
        for mail in came.map(Result::unwrap) {
            std::fs::rename(mail.path(), mailbox.join("new").join(mail.file_name())).unwrap();
        }
    }
    let owned = std::process::Command::new("chown").args(["-R", "nobody:nogroup"]).arg(&mailbox).status();
    assert!(owned.unwrap().success());
}

#[test]
fn what_a_real_postfix_returns_is_read_from_a_real_mailbox_and_settles_the_mail() {
    let Some(smtp) = server("NOROSHI_TEST_SMTP") else { return };
    let Some(imap) = server("NOROSHI_TEST_IMAP") else { return };
    let tag = format!("ret{}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "secret\n").unwrap();
    let mailbox = format!(
        "imap = \"{imap}\"\ntls = \"none\"\nuser = \"{tag}\"\npassword-file = \"{}\"\nevery-s = 1\n",
        folder.path().join("password").display()
    );
    let config = returning(folder.path(), &smtp, &tag, &mailbox);
    carry_over(&tag);
    feed(folder.path(), &config);
    let running = Running::start(folder.path(), &config);
    let told = until("everything that comes back to be known", || {
        carry_over(&tag);
        let told = told(folder.path(), &config);
        let known = |kind: &str, cause: &str| {
            told.iter().any(|(what, rule, text)| what == "came back" && rule == kind && text.contains(cause))
        };
        let all = known("failed", ": bad-mailbox 5.1.1")
            && known("failed", ": mailbox-full 5.2.2")
            && known("failed", ": network 4.4.1")
            && known("delayed", ": try-later 4.2.0");
        (all && states(&told).get("failed") == Some(&3)).then_some(told)
    });
    // The one behind the greylist arrived, and is not taken for failed.
    let waiting =
        || states(&told).into_iter().filter(|(state, _)| !["sent", "failed"].contains(&state.as_str()));
    assert_eq!(waiting().count(), 0, "{:?}", states(&told));
    let _arrived = until("the mail behind the greylist", || {
        let maildirs = PathBuf::from(std::env::var("NOROSHI_TEST_MAILDIRS").unwrap());
        std::fs::read_dir(maildirs.join(format!("grey-{tag}")).join("new")).ok()?.next()?.ok()
    });
    for (what, _, text) in &told {
        assert!(what != "came back" || !text.contains('@'), "{text}");
        let failed = what == "mail" && text.contains("came back: ");
        assert!(
            !failed || ["bad-mailbox", "mailbox-full", "network"].iter().any(|cause| text.contains(cause)),
            "{text}"
        );
    }
    drop(running);
    // The return path of each mail is its own, and says nothing.
    let maildirs = PathBuf::from(std::env::var("NOROSHI_TEST_MAILDIRS").unwrap());
    let mut paths = Vec::new();
    for person in std::fs::read_dir(maildirs).unwrap().map(|entry| entry.unwrap()) {
        if !person.file_name().to_string_lossy().starts_with(&format!("{tag}-sub")) {
            continue;
        }
        for mail in std::fs::read_dir(person.path().join("new")).unwrap().map(|entry| entry.unwrap()) {
            let mail = std::fs::read(mail.path()).unwrap();
            let message = MessageParser::default().parse(&mail).unwrap();
            paths.push(message.header_raw("Return-Path").unwrap().trim().to_owned());
        }
    }
    let count = paths.len();
    paths.sort();
    paths.dedup();
    assert!(count > 10 && paths.len() == count, "{count} mails, {} return paths", paths.len());
    assert!(
        paths.iter().all(|path| path.starts_with(&format!("<{tag}+")) && !path.contains("sub0001")),
        "{paths:?}"
    );
}

#[test]
fn what_is_given_by_the_mail_server_counts_once_and_only_for_mails_of_ours() {
    let (address, mails) = crate::mail::troubled(crate::mail::Trouble::Slow);
    let folder = tempfile::tempdir().unwrap();
    let config = returning(folder.path(), &address, "back", "");
    feed(folder.path(), &config);
    let running = Running::start(folder.path(), &config);
    until("the mails to be sent", || {
        (mails.lock().unwrap().len() >= 30 && states(&told(folder.path(), &config)).get("sent") == Some(&30))
            .then_some(())
    });
    drop(running);
    let give = |mail: &str| {
        let mut command = noroshi(folder.path());
        command.args(["--config", config.to_str().unwrap(), "mail", "return", "--json", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(mail.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        last_json(&String::from_utf8(output.stdout).unwrap())
    };
    let db = rusqlite::Connection::open(folder.path().join("noroshi.db")).unwrap();
    let mut statement =
        db.prepare("SELECT message_id, case_id FROM outbox ORDER BY message_id LIMIT 3").unwrap();
    let found =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let found: Vec<(String, String)> = found.map(Result::unwrap).collect();
    let shape = |file: &str, message_id: &str| {
        let text = std::fs::read_to_string(testdata("returned").join(file)).unwrap();
        text.replace("<Zm9vYmFyOHlqa2x1cm1x5g.1@example.ne.jp>", message_id)
    };
    let counts =
        |answer: &Value| ["kept", "duplicate", "unknown", "flagged"].map(|key| answer[key].as_u64().unwrap());

    let forged = shape("qmail-unknown.eml", "<0123456789abcdef0123456789abcdef.1@example.ne.jp>");
    assert_eq!(counts(&give(&forged)), [0, 0, 1, 1], "nobody's word about a mail that was never sent");
    let failed = shape("qmail-unknown.eml", &found[0].0);
    assert_eq!(counts(&give(&failed)), [1, 0, 0, 0]);
    assert_eq!(counts(&give(&failed)), [0, 1, 0, 0]);
    assert_eq!(counts(&give(&shape("arf-abuse.eml", &found[1].0))), [1, 0, 0, 0]);
    assert_eq!(counts(&give(&shape("person.eml", &found[2].0))), [1, 0, 0, 1]);
    assert_eq!(
        counts(&give(&shape("person.eml", &found[2].0))),
        [0, 1, 0, 1],
        "it is for a person until one has read it"
    );
    assert_eq!(counts(&give(&shape("vacation-rfc3834.eml", &found[2].0))), [1, 0, 0, 0]);
    assert_eq!(counts(&give("")), [0, 0, 1, 1]);

    let state = |case: &str| -> String {
        db.query_row("SELECT state FROM cases WHERE id = ?1", [case], |row| row.get(0)).unwrap()
    };
    assert_eq!(state(&found[0].1), "open", "nobody was notified");
    assert_eq!(state(&found[1].1), "held", "called abuse: a person decides");
    assert_eq!(state(&found[2].1), "notified");
    assert_eq!(
        states(&told(folder.path(), &config)),
        BTreeMap::from([("failed".into(), 1), ("sent".into(), 29)])
    );

    // Where the database is away, the mail server has to keep the mail.
    let away = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("database = \"postgres://nobody@127.0.0.1:1/none\"\n{away}")).unwrap();
    let file = testdata("returned/qmail-unknown.eml");
    let returned = ["--config", config.to_str().unwrap(), "mail", "return", file.to_str().unwrap()];
    assert_eq!(run_any(folder.path(), &returned).status.code(), Some(75));
}
