//! Watched folders.

use super::{Ended, Place, list, map};

#[test]
fn a_watched_folder_gives_what_is_complete_and_puts_it_away() {
    let place = Place::with("");
    let watched = place.path("in");
    std::fs::create_dir(&watched).unwrap();
    let table = |more: &str| {
        format!(
            "[source.in]\nformat = \"dated\"\nfolder = \"{}\"\npattern = \"*.csv*\"\n{more}",
            watched.display()
        )
    };
    place.configure(&table("settle-s = 3600\n"));
    map(&place);
    let put = |name: &str, bytes: &[u8]| std::fs::write(watched.join(name), bytes).unwrap();
    put("a.csv", list(0..10).as_bytes());
    put("b.csv.gz", b"\x1f\x8b this is no gzip");
    put(".c.csv", list(20..30).as_bytes());
    put("d.txt", list(20..30).as_bytes());
    std::os::unix::fs::symlink(place.path("noroshi.toml"), watched.join("e.csv")).unwrap();
    assert_eq!(place.once("in")["items"], 0, "nothing has been still for an hour");
    place.configure(&table("settle-s = 0\n"));
    let said = place.fails("in");
    assert!(said.contains("b.csv.gz") && !said.contains("e.csv"), "{said}");
    assert_eq!(place.counts().0, 10, "the bad one kept nobody waiting");
    let there = |name: &str| watched.join(name).symlink_metadata().is_ok();
    assert!(there("done/a.csv") && there("refused/b.csv.gz"));
    assert!(!there("a.csv") && there(".c.csv") && there("d.txt") && there("e.csv"));
    assert!(place.status("in")["error"].as_str().unwrap().contains("b.csv.gz"));

    // The same name again, with more in it; and left where it is.
    put("a.csv", list(0..12).as_bytes());
    place.configure(&table("settle-s = 0\ndone = \"leave\"\n"));
    let came = place.once("in");
    assert_eq!((&came["stored"], &came["duplicate"]), (&2.into(), &10.into()), "{came}");
    assert_eq!(place.once("in")["unchanged"], true, "what stays is taken once");
    put("a.csv", list(0..13).as_bytes());
    assert_eq!(place.once("in")["stored"], 1, "and again when it has changed");
    assert!(there("a.csv"));
}

#[test]
fn killed_at_any_moment_what_was_in_the_folder_is_there_once() {
    let place = Place::with("");
    let watched = place.path("in");
    std::fs::create_dir(&watched).unwrap();
    place.configure(&format!(
        "[source.in]\nformat = \"dated\"\nfolder = \"{}\"\nsettle-s = 0\n",
        watched.display()
    ));
    map(&place);
    let mut files = 0;
    let mut put = || {
        let mut text = list(files * 30_000..(files + 1) * 30_000);
        text.push_str("bad line\n");
        std::fs::write(watched.join(format!("{files}.csv")), text).unwrap();
        files += 1;
    };
    (0..4).for_each(|_| put());
    place.kill_often("in", 12, |ended| {
        if ended == Ended::Done {
            put();
        }
    });
    place.once("in");
    let (events, [read, stored, duplicate, filtered, quarantined]) = place.counts();
    let files = i64::from(files);
    assert_eq!((events, stored, quarantined), (files * 30_000, files * 30_000, files));
    assert_eq!((read, duplicate, filtered), (files * 30_001, 0, 0), "nothing was counted twice");
    let left = std::fs::read_dir(&watched).unwrap().filter(|e| e.as_ref().unwrap().path().is_file()).count();
    assert_eq!(left, 0, "all of them moved");
}
