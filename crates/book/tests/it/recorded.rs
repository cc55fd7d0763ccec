//! The book against the recordings: every line of `testdata/truth.csv` must be answered as it states. The recordings were
//! made by real FreeRADIUS; the truth was worked out independently.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use noroshi_book::{Answer, Book, Rules};
use noroshi_wire::radius::read_detail;

use super::{Evidence, asking, keeping, now, vault};

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

/// Takes the recordings in, in the order of days or not.
fn book(folder: &std::path::Path, days: &[&str]) -> Book {
    let mut book = Book::open(folder, vault()).unwrap();
    let permit = keeping();
    for day in days {
        let file = File::open(testdata(&format!("radius/detail-{day}.txt"))).unwrap();
        for record in read_detail(file).assignments() {
            let (sealed, _) = record.unwrap().unwrap();
            let batch: Vec<_> = sealed.into_iter().map(|record| record.keep(&permit)).collect();
            book.keep(&batch).unwrap();
        }
        book.checkpoint().unwrap();
    }
    book
}

fn lines(name: &str) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(testdata(name)).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|l| header.iter().map(|h| h.to_string()).zip(l.split(',').map(str::to_owned)).collect())
        .collect()
}

/// User name → contract.
fn directory() -> BTreeMap<String, String> {
    lines("directory.csv")
        .into_iter()
        .map(|mut line| (line.remove("user_name").unwrap(), line.remove("contract").unwrap()))
        .collect()
}

#[test]
fn every_line_of_the_truth_is_answered_as_it_states() {
    let folder = tempfile::tempdir().unwrap();
    let book = book(folder.path(), &["20261118", "20261119", "20261120"]);
    let directory = directory();
    let rules = Rules { shared: vec!["203.0.113.200/32".parse().unwrap()], ..Rules::default() };
    let mut checked = BTreeMap::<&str, u32>::new();
    let mut wrong = Vec::new();
    for line in lines("truth.csv").into_iter().chain(lines("truth-nozone.csv")) {
        let verdict = line["verdict"].as_str();
        if matches!(verdict, "filtered" | "quarantined") {
            continue;
        }
        let ip: IpAddr = line["address"].parse().unwrap();
        let at: Timestamp = line["time"].parse().unwrap();
        let look =
            vault().open_one(book.look(ip), "a test", &asking(), now(), &mut Evidence::default()).unwrap();
        let answer = look.read().who(None, at, 0, &rules);
        // A port without a mapping tells no more than none.
        assert_eq!(look.read().who(Some(50_000), at, 0, &rules), answer, "{line:?}");
        let said = match &answer {
            Answer::One(held) => format!("one {}", directory[&held.line]),
            Answer::None => "none ".into(),
            Answer::Ambiguous(_) => "ambiguous ".into(),
        };
        let stated = format!("{verdict} {}", line["contract"]);
        if said != stated {
            wrong.push(format!("{line:?}: said {said:?} ({answer:?})"));
        }
        *checked.entry(if verdict == "one" { "one" } else { "not one" }).or_default() += 1;
    }
    assert!(checked["one"] > 150 && checked["not one"] > 40, "{checked:?}");
    assert!(wrong.is_empty(), "{} wrong of {checked:?}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn days_that_come_in_the_wrong_order_give_no_wrong_answer() {
    let folder = tempfile::tempdir().unwrap();
    let book = book(folder.path(), &["20261120", "20261118", "20261119", "20261118"]);
    let directory = directory();
    let (mut right, mut refused) = (0, 0);
    for line in lines("truth.csv") {
        if matches!(line["verdict"].as_str(), "filtered" | "quarantined")
            || line["address"] == "203.0.113.200"
        {
            continue;
        }
        let look = book.look(line["address"].parse().unwrap());
        let look = vault().open_one(look, "a test", &asking(), now(), &mut Evidence::default()).unwrap();
        match look.read().who(None, line["time"].parse().unwrap(), 0, &Rules::default()) {
            Answer::One(held) => {
                assert_eq!(directory[&held.line], line["contract"], "{line:?}");
                right += 1;
            }
            Answer::None => assert_eq!(line["verdict"], "none", "{line:?}"),
            Answer::Ambiguous(_) => refused += 1,
        }
    }
    assert!(right > 100, "{right} right, {refused} refused");
}

#[test]
fn the_access_server_nine_hours_off_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let book = book(folder.path(), &["20261118", "20261119", "20261120"]);
    let wrong: Vec<_> = book.clocks().into_iter().filter(|(_, offset_s, _)| offset_s.abs() > 30).collect();
    assert_eq!(
        wrong.iter().map(|(nas, s, _)| (nas.as_str(), *s)).collect::<Vec<_>>(),
        [("192.0.2.2", 9 * 3600)]
    );
}
