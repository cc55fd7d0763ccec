//! Shapes in which mail comes back, and what each is; and hostile bytes.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/returned")
}

/// What, status or kind of complaint, cause.
fn told(returned: &Returned) -> [String; 3] {
    let failure = |what: &str, f: &Failure| {
        [what.to_owned(), f.status.map(|s| s.to_string()).unwrap_or_default(), f.cause.id().to_owned()]
    };
    let alone = |what: &str| [what.to_owned(), String::new(), String::new()];
    match &returned.what {
        What::Failed(f) => failure("failed", f),
        What::Delayed(f) => failure("delayed", f),
        What::Delivered => alone("delivered"),
        What::Read => alone("read"),
        What::AutoReply => alone("auto-reply"),
        What::Answer => alone("answer"),
        What::Complaint(kind) => ["complaint".into(), kind.clone(), String::new()],
    }
}

#[test]
fn every_shape_is_told_for_what_it_is() {
    let expected = std::fs::read_to_string(folder().join("expected.csv")).unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for line in expected.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let returned = read(&std::fs::read(folder().join(cells[0])).unwrap()).unwrap();
        let [what, status, cause] = told(&returned);
        // Of prose, whether there is a code and which is as its writer had it.
        let fits = what == cells[1]
            && (cells[2].is_empty() || status == cells[2])
            && (cells[3].is_empty() || cause == cells[3]);
        if !fits {
            wrong.push(format!("{line}: {returned:?}"));
        }
        assert!(
            returned.of.iter().any(|id| id == "Zm9vYmFyOHlqa2x1cm1x5g.1@example.ne.jp"),
            "{line}: {:?}",
            returned.of
        );
        let came = returned.to.iter().any(|to| to.starts_with("bounce+mzxw6ytboi4hs2tlnr2xe3lr4y.1."));
        assert!(came || cells[0] == "arf-abuse.eml", "{line}: {:?}", returned.to);
        if let What::Failed(f) | What::Delayed(f) = &returned.what {
            assert!(!f.said.contains('@') && !f.said.contains('\n'), "{line}: {}", f.said);
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 40, "{seen}");
}

#[test]
fn an_answer_is_kept_without_the_address_it_repeats() {
    let said = without_addresses("550 5.1.1 <sub1@mail.example.net>: Recipient address rejected");
    assert_eq!(said, "550 5.1.1 ‹address› Recipient address rejected");
}

#[test]
fn status_codes_are_codes_only() {
    for (text, status) in [
        ("5.1.1", Some("5.1.1")),
        (" 4.4.7 (expired)", Some("4.4.7")),
        ("5.7.606", Some("5.7.606")),
        ("5.1.1.", Some("5.1.1")),
        ("192.0.2.1", None),
        ("5.1", None),
        ("3.1.1", None),
        ("5.1.1234", None),
        ("5.1.1a", None),
        ("5.10.2.3", None),
    ] {
        assert_eq!(Status::parse(text).map(|s| s.to_string()).as_deref(), status, "{text}");
    }
}

#[test]
fn a_persons_words_are_no_mail_servers() {
    let mail =
        "From: a@example.net\r\nSubject: failure notice\r\n\r\n550 5.1.1 user unknown, permanent error\r\n";
    assert_eq!(read(mail.as_bytes()).unwrap().what, What::Answer);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_changed_mail_makes_it_panic_or_keeps_an_address(file in 0..40usize, at in any::<prop::sample::Index>(), bytes in "[ -~\n]{0,20}") {
        let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut mail = std::fs::read(&files[file % files.len()]).unwrap();
        let at = at.index(mail.len());
        let end = (at + bytes.len()).min(mail.len());
        mail.splice(at..end, bytes.bytes());
        if let Some(Returned { what: What::Failed(f) | What::Delayed(f), .. }) = read(&mail) {
            prop_assert!(!f.said.contains('@') && f.said.chars().count() <= 300);
        }
    }
}
