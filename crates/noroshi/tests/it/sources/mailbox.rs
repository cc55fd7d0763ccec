//! Mailboxes on a real Dovecot.

use std::path::PathBuf;

use super::{Ended, Place, list, map};
use crate::world::server;

/// Puts a mail with an attachment into a Dovecot maildir.
fn put_mail(user: &str, n: u32, name: &str, content: &str) {
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_IMAP_FOLDER").unwrap());
    let maildir = folder.join("mail").join(user);
    for part in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(maildir.join(part)).unwrap();
    }
    let mail = format!(
        "From: feed@example.net\r\nSubject: report {n}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\nContent-Type: text/plain\r\n\r\nhello\r\n\
         --xx\r\nContent-Type: application/octet-stream\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\r\n{content}\r\n--xx--\r\n"
    );
    std::fs::write(maildir.join("new").join(format!("{n:08}.test")), mail).unwrap();
    let owned = std::process::Command::new("chown").args(["-R", "nobody:nogroup"]).arg(&maildir).status();
    assert!(owned.unwrap().success());
}

/// The flags of a user's mails, as the maildir has them: `S` seen, `F` flagged.
fn flags(user: &str) -> Vec<String> {
    let folder = PathBuf::from(std::env::var("NOROSHI_TEST_IMAP_FOLDER").unwrap()).join("mail").join(user);
    let mut found = Vec::new();
    for part in ["new", "cur"] {
        for mail in std::fs::read_dir(folder.join(part)).unwrap() {
            let name = mail.unwrap().file_name().into_string().unwrap();
            let (number, flags) = name.split_once(":2,").unwrap_or((&name, ""));
            found.push(format!("{} {flags}", number[..8].trim_start_matches('0')));
        }
    }
    found.sort();
    found
}

#[test]
fn reports_come_from_a_real_mailbox_and_a_mail_is_seen_when_it_is_stored() {
    let Some(plain) = server("NOROSHI_TEST_IMAP") else { return };
    let tls = server("NOROSHI_TEST_IMAP_TLS").unwrap();
    let user = format!("feed{}", std::process::id());
    let place = Place::with("");
    std::fs::write(place.path("password"), "secret\n").unwrap();
    let ca = PathBuf::from(std::env::var("NOROSHI_TEST_IMAP_FOLDER").unwrap()).join("cert.pem");
    let source = |server: &str, more: &str| {
        format!(
            "[source.mail]\nformat = \"dated\"\nimap = \"{server}\"\nuser = \"{user}\"\npassword-file = \"{}\"\n{more}",
            place.path("password").display()
        )
    };
    map(&place);
    put_mail(&user, 1, "a.csv", &list(0..10));
    put_mail(&user, 2, "picture.png", "no report");
    put_mail(&user, 3, "b.csv", &list(10..30));
    place.configure(&source(&tls, ""));
    let told = place.fails("mail");
    assert!(told.contains("ertificate") || told.contains("UnknownIssuer"), "{told}");
    assert_eq!(flags(&user), ["1 ", "2 ", "3 "], "nothing was asked of a server nobody vouches for");
    place.configure(&source(&tls, &format!("ca-file = \"{}\"\n", ca.display())));
    let told = place.fails("mail");
    assert!(told.contains("no part of it is a report") && told.contains("flagged"), "{told}");
    assert_eq!(place.counts().0, 30);
    assert_eq!(flags(&user), ["1 S", "2 FS", "3 S"]);
    assert_eq!(place.once("mail")["unchanged"], true);

    put_mail(&user, 4, "c.csv", &list(30..31));
    let starttls = format!("tls = \"starttls\"\nca-file = \"{}\"\n", ca.display());
    place.configure(&source(&plain.replace("127.0.0.1", "localhost"), &starttls));
    assert_eq!(place.once("mail")["stored"], 1);
    put_mail(&user, 5, "d.csv", &list(31..32));
    put_mail(&user, 6, "e.csv", &list(32..900));
    place.configure(&source(&plain, "tls = \"none\"\nmax-bytes = 10000\n"));
    let told = place.fails("mail");
    assert!(told.contains("more than max-bytes"), "{told}");
    assert_eq!(
        (place.counts().0, flags(&user)[4..].to_vec()),
        (32, vec!["5 S".to_owned(), "6 FS".to_owned()])
    );
    std::fs::write(place.path("password"), "wrong\n").unwrap();
    let told = place.fails("mail");
    assert!(told.contains("password-file") && !told.contains("wrong"), "{told}");
}

#[test]
fn killed_at_any_moment_no_mail_is_lost_or_taken_twice() {
    let Some(plain) = server("NOROSHI_TEST_IMAP") else { return };
    let user = format!("kill{}", std::process::id());
    let place = Place::with("");
    std::fs::write(place.path("password"), "secret\n").unwrap();
    place.configure(&format!(
        "[source.mail]\nformat = \"dated\"\nimap = \"{plain}\"\ntls = \"none\"\nuser = \"{user}\"\npassword-file = \"{}\"\n",
        place.path("password").display()
    ));
    map(&place);
    let mut mails = 0;
    let mut put = |count| {
        for _ in 0..count {
            put_mail(&user, mails + 1, "a.csv", &list(mails * 1000..mails * 1000 + 1000));
            mails += 1;
        }
    };
    put(40);
    place.kill_often("mail", 8, |ended| put(if ended == Ended::Done { 10 } else { 0 }));
    place.once("mail");
    let (events, [read, stored, duplicate, ..]) = place.counts();
    let all = i64::from(mails) * 1000;
    assert_eq!((events, read, stored, duplicate), (all, all, all, 0));
    assert!(flags(&user).iter().all(|f| f.ends_with(" S")));
}
