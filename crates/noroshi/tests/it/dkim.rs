//! Mails that we sign, over a real Postfix, judged by dkimpy: with both kinds of keys the signature holds, and with a letter of
//! what a reader sees changed it does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::mail::{Running, edit, feed, maildir, until};
use crate::world::{configure, run_any, server, testdata, text};

const JUDGE: &str = r#"
import sys, dkim
record = open(sys.argv[1], "rb").read()
mail = open(sys.argv[2], "rb").read()
holds = lambda mail: dkim.verify(mail, dnsfunc=lambda name, timeout=5: record if name == b"s1._domainkey.example.ne.jp." else None)
subject = mail.index(b"\nSubject: ") + len(b"\nSubject: ")
changed = [mail.replace(b"auto-generated", b"no", 1), mail[:subject] + b"x" + mail[subject:], mail[:-40] + b"x" + mail[-40:]]
print(holds(mail), [holds(other) for other in changed])
"#;

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    output.stdout
}

/// A key in the folder, and the DNS record of its public half.
fn key(folder: &Path, kind: &str) -> (PathBuf, PathBuf) {
    use base64::Engine as _;
    let (private, record) = (folder.join("dkim.pem"), folder.join("record"));
    let path = private.to_str().unwrap();
    let kind_of_key = if kind == "rsa" { "RSA" } else { "ED25519" };
    let size = if kind == "rsa" { &["-pkeyopt", "rsa_keygen_bits:2048"][..] } else { &[] };
    openssl(&[&["genpkey", "-algorithm", kind_of_key, "-out", path], size].concat());
    let public = openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]);
    // Of Ed25519 the record has the bare key (RFC 8463 section 4).
    let public = if kind == "rsa" { &public[..] } else { &public[public.len() - 32..] };
    let public = base64::engine::general_purpose::STANDARD.encode(public);
    std::fs::write(&record, format!("v=DKIM1; k={kind}; p={public}")).unwrap();
    (private, record)
}

#[test]
fn our_signature_holds_for_a_foreign_judge_and_not_for_a_changed_mail() {
    let Some(smtp) = server("NOROSHI_TEST_SMTP") else { return };
    let Some(python) = server("NOROSHI_TEST_DKIMPY") else { return };
    for kind in ["rsa", "ed25519"] {
        let tag = format!("dkim{kind}{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let (private, record) = key(folder.path(), kind);
        let config = configure(folder.path(), &smtp, None, None);
        let people = std::fs::read_to_string(testdata("directory.csv")).unwrap();
        std::fs::write(
            folder.path().join("people.csv"),
            people.replace(",sub0001", &format!(",{tag}-sub0001")),
        )
        .unwrap();
        let people = folder.path().join("people.csv");
        edit(&config, testdata("directory.csv").to_str().unwrap(), people.to_str().unwrap());
        let settings = std::fs::read_to_string(&config).unwrap();
        let dkim = format!("[mail.dkim]\nselector = \"s1\"\nkey-file = \"{}\"\n", private.display());
        std::fs::write(&config, format!("{settings}\n{dkim}")).unwrap();
        feed(folder.path(), &config);
        let running = Running::start(folder.path(), &config);
        let mails =
            until("a few mails", || Some(maildir(&format!("{tag}-"))).filter(|mails| mails.len() >= 6));
        drop(running);
        for mail in mails {
            let file = folder.path().join("mail");
            std::fs::write(&file, mail).unwrap();
            let judged = Command::new(&python).args(["-c", JUDGE]).args([&record, &file]).output().unwrap();
            assert_eq!(
                text(&judged.stdout).trim(),
                "True [False, False, False]",
                "{kind}: {}",
                text(&judged.stderr)
            );
        }
        let doctor = run_any(folder.path(), &["--config", config.to_str().unwrap(), "doctor"]);
        assert!(text(&doctor.stdout).contains("s1._domainkey.example.ne.jp"), "{}", text(&doctor.stdout));
    }
}
