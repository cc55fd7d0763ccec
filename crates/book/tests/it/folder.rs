//! The book's folder: several processes on it, crashes in it, hands that change it, and days that are forgotten.

use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use noroshi_book::segment::day_of;
use noroshi_book::{Answer, Book, Effect, Rules};
use noroshi_wire::{Assignment, Change, Given, Whom};

use super::{Evidence, asking, kept, now, vault};

const DAY: &str = "2026-11-01T00:00:00Z";

fn at(hours: i64) -> Timestamp {
    DAY.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_hours(hours)
}

fn record(change: Change, host: u32, line: u32, hours: i64) -> Assignment {
    Assignment {
        change,
        given: Some(Given {
            net: IpAddr::from([198, 51, (host >> 8) as u8, host as u8]).into(),
            ports: None,
        }),
        whom: Some(Whom::Line(format!("line-{line}"))),
        at: at(hours),
        until: None,
        began: None,
        server: "192.0.2.1".into(),
        session: Some(format!("{host}-{line}")),
        clock_offset_s: None,
        line: 0,
    }
}

fn session(host: u32, line: u32, hours: i64) -> [Assignment; 2] {
    [record(Change::Start, host, line, hours), record(Change::Stop, host, line, hours + 2)]
}

fn who(book: &Book, host: u32, hours: i64) -> Option<String> {
    let ip = IpAddr::from([198, 51, (host >> 8) as u8, host as u8]);
    let look = vault().open_one(book.look(ip), "a test", &asking(), now(), &mut Evidence::default()).unwrap();
    match look.read().who(None, at(hours), 0, &Rules::default()) {
        Answer::One(held) => Some(held.line),
        _ => None,
    }
}

fn open(folder: &Path) -> Book {
    Book::open(folder, vault()).unwrap()
}

#[test]
fn what_one_process_keeps_another_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (open(folder.path()), open(folder.path()));
    for n in 0..40 {
        let (writer, reader) = if n % 2 == 0 { (&mut one, &mut two) } else { (&mut two, &mut one) };
        let effects = writer.keep(&kept(session(n, n, i64::from(n)))).unwrap().effects;
        assert_eq!(effects, [Effect::Kept, Effect::Kept]);
        if n % 7 == 0 {
            writer.checkpoint().unwrap();
        }
        reader.catch_up().unwrap();
        assert_eq!(who(reader, n, i64::from(n) + 1), Some(format!("line-{n}")));
    }
    for book in [&one, &two, &open(folder.path())] {
        assert_eq!(book.stats().closed, 40);
    }
}

#[test]
fn many_write_at_once_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4u32 {
            let folder = folder.path();
            scope.spawn(move || {
                let mut book = open(folder);
                for n in 0..50 {
                    let host = writer * 100 + n;
                    book.keep(&kept(session(host, host, i64::from(n)))).unwrap();
                    if n % 20 == 5 {
                        book.checkpoint().unwrap();
                    }
                }
            });
        }
    });
    let book = open(folder.path());
    assert_eq!((book.stats().closed, book.stats().open, book.stats().faults), (200, 0, 0));
    for host in (0..400).filter(|host| host % 100 < 50) {
        assert_eq!(who(&book, host, i64::from(host % 100) + 1), Some(format!("line-{host}")));
    }
}

#[test]
fn what_is_read_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    let records: Vec<Assignment> = (0..30).flat_map(|n| session(n, n, i64::from(n))).collect();
    book.keep(&kept(records.clone())).unwrap();
    for again in 0..3 {
        let effects = book.keep(&kept(records.clone())).unwrap().effects;
        assert!(effects.iter().all(|e| *e == Effect::Duplicate), "{again}: {effects:?}");
        book.checkpoint().unwrap();
    }
    assert_eq!((book.stats().closed, book.stats().open), (30, 0));
}

#[test]
fn a_log_cut_off_by_a_crash_loses_only_what_was_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    book.keep(&kept(session(1, 1, 0))).unwrap();
    book.keep(&kept(session(2, 2, 0))).unwrap();
    let log = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("log-"))
        .unwrap();
    let whole = std::fs::read(&log).unwrap();
    drop(book);
    for cut in [1, 5, 40, 100] {
        std::fs::write(&log, &whole[..whole.len() - cut]).unwrap();
        let mut book = open(folder.path());
        assert_eq!((who(&book, 1, 1).as_deref(), who(&book, 2, 1)), (Some("line-1"), None), "{cut}");
        book.keep(&kept(session(3, 3, 0))).unwrap();
        let again = open(folder.path());
        assert_eq!(
            (who(&again, 1, 1).as_deref(), who(&again, 3, 1).as_deref()),
            (Some("line-1"), Some("line-3"))
        );
        std::fs::write(&log, &whole).unwrap();
    }
    // A byte changed in a whole frame is no crash.
    let mut changed = whole;
    changed[60] ^= 1;
    std::fs::write(&log, &changed).unwrap();
    assert!(Book::open(folder.path(), vault()).is_err());
}

#[test]
fn a_file_that_was_changed_or_another_key_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    book.keep(&kept((0..50).flat_map(|n| session(n, n, 0)))).unwrap();
    book.checkpoint().unwrap();
    assert_eq!(book.verify().unwrap(), 50);
    assert!(Book::open(folder.path(), noroshi_law::Vault::new(&[1; 32]).into()).is_err());
    let file = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
    let day =
        file.into_iter().find(|p| p.file_name().unwrap().to_string_lossy().starts_with("day-")).unwrap();
    let mut bytes = std::fs::read(&day).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&day, &bytes).unwrap();
    let told = book.verify().unwrap_err().to_string();
    assert!(told.contains("does not open"), "{told}");
    assert!(Book::open(folder.path(), vault()).is_err());
}

#[test]
fn a_forgotten_day_cannot_be_read_by_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    book.keep(&kept((0..10).flat_map(|n| session(n, n, i64::from(n) * 24)))).unwrap();
    book.checkpoint().unwrap();
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let border = day_of(at(5 * 24).as_second());
    let mut other = open(folder.path());
    assert_eq!(who(&other, 4, 4 * 24 + 1), Some("line-4".into()));
    let forgotten = book.forget_before(border).unwrap();
    // Who has the book open beside forgets as well.
    other.catch_up().unwrap();
    assert_eq!((who(&other, 4, 4 * 24 + 1), who(&other, 5, 5 * 24 + 1)), (None, Some("line-5".into())));
    assert_eq!((forgotten.len(), forgotten.iter().map(|f| f.rows).sum::<u64>()), (5, 5));
    // A key that a crash left behind is destroyed the next time.
    let left = folder.path().join("keys").join(format!("day-{}", border - 1));
    std::fs::write(&left, [7; 60]).unwrap();
    assert_eq!(book.forget_before(border).unwrap(), []);
    assert!(!left.exists());
    for book in [&book, &open(folder.path())] {
        assert_eq!((who(book, 4, 4 * 24 + 1), who(book, 5, 5 * 24 + 1)), (None, Some("line-5".into())));
        assert_eq!(book.stats().closed, 5);
    }
    // The names of lines without a row are forgotten with them; one that comes back has a number of its own again.
    assert!(!folder.path().join("keys/names").exists(), "what sealed the old names is destroyed");
    book.keep(&kept(session(4, 4, 12 * 24))).unwrap();
    for book in [&book, &open(folder.path())] {
        assert_eq!(
            (who(book, 4, 12 * 24 + 1), who(book, 9, 9 * 24 + 1)),
            (Some("line-4".into()), Some("line-9".into()))
        );
    }
    book.checkpoint().unwrap();
    assert_eq!(who(&open(folder.path()), 4, 12 * 24 + 1), Some("line-4".into()));
    // A copy of the files from before is of no use: the keys are gone, and what is left of the folder does not open it.
    let keys = folder.path().join("keys");
    std::fs::create_dir(copy.path().join("keys")).unwrap();
    for entry in std::fs::read_dir(keys).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join("keys").join(path.file_name().unwrap())).unwrap();
    }
    assert!(Book::open(copy.path(), vault()).is_err());
}

#[test]
fn a_disk_that_is_full_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path());
    book.keep(&kept(session(1, 1, 0))).unwrap();
    // A folder in the place of the next checkpoint's file: it cannot be written, as on a full disk.
    std::fs::create_dir(folder.path().join("open-00000002.part")).unwrap();
    assert!(book.checkpoint().is_err());
    assert_eq!(who(&book, 1, 1), Some("line-1".into()));
    book.keep(&kept(session(2, 2, 0))).unwrap();
    let again = open(folder.path());
    assert_eq!((who(&again, 1, 1), who(&again, 2, 1)), (Some("line-1".into()), Some("line-2".into())));
    std::fs::remove_dir(folder.path().join("open-00000002.part")).unwrap();
    book.checkpoint().unwrap();
    assert_eq!(open(folder.path()).stats().closed, 2);
}
