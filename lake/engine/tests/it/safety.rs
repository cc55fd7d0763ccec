//! Crashes, repetitions, and readers while things change.

use std::fs;
use std::path::{Path, PathBuf};

use noroshi_lake::LakeError;

use super::*;

/// All files of a lake but the two locks.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files(&path));
        } else if !path.ends_with(".writer") && !path.ends_with(".readers") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn a_batch_that_is_dropped_leaves_nothing() {
    let pond = pond();
    let writer = pond.lake.writer().unwrap();
    let mut batch = writer.batch(sensor("a"), Numbers::one(1));
    batch.push(minute(0, "192.0.2.1", 23, 1)).unwrap();
    drop(batch);
    assert_eq!((count(&pond.lake), files(pond.lake.folder()).len()), ("0,0".to_owned(), 0));
}

#[test]
fn a_killed_writers_leftovers_are_not_read_and_go_with_the_next() {
    let pond = pond();
    fill(&pond.lake, "a", 1, [minute(0, "192.0.2.1", 23, 1)]);
    let whole = files(pond.lake.folder()).remove(0);
    let bytes = fs::read(&whole).unwrap();
    for cut in [0, 4, bytes.len() / 2, bytes.len()] {
        let draft = whole.with_file_name(format!(".{:020}-{:020}.parquet.tmp", cut + 2, cut + 2));
        fs::write(draft, &bytes[..cut]).unwrap();
    }
    fs::write(whole.with_file_name("notes.txt"), "not ours").unwrap();
    assert_eq!(files(pond.lake.folder()).len(), 6);
    assert_eq!(count(&pond.lake), "1,1");
    drop(pond.lake.writer().unwrap());
    assert_eq!(files(pond.lake.folder()).len(), 2, "the batch, and what is not ours");
    assert_eq!(count(&pond.lake), "1,1");
}

#[test]
fn a_batch_written_again_doubles_nothing() {
    let pond = pond();
    for _ in 0..3 {
        fill(&pond.lake, "a", 7, [minute(0, "192.0.2.1", 23, 1), minute(1440, "192.0.2.1", 23, 2)]);
        assert_eq!(count(&pond.lake), "2,3");
    }
    // The same number of another sensor is another batch.
    fill(&pond.lake, "b", 7, [minute(0, "192.0.2.1", 23, 1)]);
    assert_eq!(count(&pond.lake), "3,4");
    // Joined, and then written again by somebody who does not know.
    fill(&pond.lake, "a", 8, [minute(0, "192.0.2.1", 23, 8)]);
    assert_eq!(pond.lake.writer().unwrap().compact(DAY.parse().unwrap()).unwrap(), 2);
    fill(&pond.lake, "a", 7, [minute(0, "192.0.2.1", 23, 1), minute(1440, "192.0.2.1", 23, 2)]);
    assert_eq!(count(&pond.lake), "4,12");
}

#[test]
fn numbers_of_other_batches_are_refused() {
    let pond = pond();
    let writer = pond.lake.writer().unwrap();
    let write = |first, last| {
        let mut batch = writer.batch(sensor("a"), Numbers::new(first, last).unwrap());
        batch.push(minute(0, "192.0.2.1", 23, 1))?;
        batch.commit()
    };
    for (first, last) in [(1, 10), (20, 30), (31, 31)] {
        write(first, last).unwrap();
    }
    assert!(matches!(write(5, 15), Err(LakeError::Overlap { .. })));
    write(5, 5).unwrap();
    assert_eq!(count(&pond.lake), "3,3", "it was in there");
    assert_eq!(writer.compact(DAY.parse().unwrap()).unwrap(), 3);
    assert!(matches!(write(12, 12), Err(LakeError::Overlap { .. })), "in the gap of a joined file");
    write(20, 30).unwrap();
    write(25, 31).unwrap();
    assert_eq!(count(&pond.lake), "3,3", "they follow each other, and were in there");
    write(32, 32).unwrap();
    assert_eq!(count(&pond.lake), "4,4");
}

#[test]
fn one_writes_at_a_time() {
    let pond = pond();
    let writer = pond.lake.writer().unwrap();
    assert!(matches!(pond.lake.writer(), Err(LakeError::Busy)));
    drop(writer);
    pond.lake.writer().unwrap();
}

#[test]
fn who_is_reading_reads_on_while_files_are_joined() {
    let pond = pond();
    for number in 0..20 {
        fill(&pond.lake, "a", number, (0..500).map(|n| minute(n % 60, "192.0.2.1", n as u16, 1)));
    }
    let mut answer = ask(&pond.lake, "SELECT packets FROM minutes");
    let first = answer.next().unwrap().unwrap().num_rows();
    assert_eq!(pond.lake.writer().unwrap().compact(DAY.parse().unwrap()).unwrap(), 20);
    assert_eq!(files(pond.lake.folder()).len(), 21, "the small ones wait for the reader");
    assert_eq!(count(&pond.lake), "10000,10000", "and are not counted twice");
    assert_eq!(first + answer.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 10_000);
    drop(pond.lake.writer().unwrap());
    assert_eq!(files(pond.lake.folder()).len(), 1);
    assert_eq!(count(&pond.lake), "10000,10000");
}

#[test]
fn a_crash_between_joining_and_removing_doubles_nothing() {
    let pond = pond();
    for number in [1, 2, 3] {
        fill(&pond.lake, "a", number, [minute(0, "192.0.2.1", 23, 1)]);
    }
    let small: Vec<(PathBuf, Vec<u8>)> =
        files(pond.lake.folder()).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    pond.lake.writer().unwrap().compact(DAY.parse().unwrap()).unwrap();
    small.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    assert_eq!((files(pond.lake.folder()).len(), count(&pond.lake)), (4, "3,3".to_owned()));
    drop(pond.lake.writer().unwrap());
    assert_eq!((files(pond.lake.folder()).len(), count(&pond.lake)), (1, "3,3".to_owned()));
}

#[test]
fn a_days_files_are_joined_sensor_by_sensor() {
    let pond = pond();
    for number in 0..4 {
        fill(&pond.lake, "a", number, [minute(0, "192.0.2.1", 23, 1)]);
        fill(&pond.lake, "b", number, [minute(0, "192.0.2.1", 23, 10), minute(1440, "192.0.2.1", 23, 100)]);
        fill(&pond.lake, "b", number, [packet(MINUTE * MINUTE_NS, "192.0.2.1".parse().unwrap())]);
    }
    assert_eq!(files(pond.lake.folder()).len(), 16);
    assert_eq!(pond.lake.writer().unwrap().compact(DAY.parse().unwrap()).unwrap(), 12);
    assert_eq!(files(pond.lake.folder()).len(), 7, "the second day was not asked for");
    assert_eq!(count(&pond.lake), "12,444");
    assert_eq!(pond.lake.writer().unwrap().compact(DAY.parse().unwrap()).unwrap(), 0);
}

#[test]
fn days_are_forgotten_by_table() {
    let pond = pond();
    fill(&pond.lake, "a", 1, (0..4).map(|day| minute(day * 1440, "192.0.2.1", 23, 1)));
    fill(&pond.lake, "a", 1, [packet(MINUTE * MINUTE_NS, "192.0.2.1".parse().unwrap())]);
    let writer = pond.lake.writer().unwrap();
    let forgotten =
        writer.forget_before(noroshi_lake::Table::Minutes, "2026-11-28".parse().unwrap()).unwrap();
    assert_eq!(forgotten.iter().map(ToString::to_string).collect::<Vec<_>>(), ["2026-11-26", "2026-11-27"]);
    assert_eq!(
        lines(&pond.lake, "SELECT DISTINCT day FROM minutes ORDER BY day"),
        ["2026-11-28", "2026-11-29"]
    );
    assert_eq!(lines(&pond.lake, "SELECT count(*) FROM packets"), ["1"]);
    // What a crash left half forgotten goes with the next writer.
    drop(writer);
    let minutes = pond.lake.folder().join("minutes");
    fs::rename(minutes.join("day=2026-11-28"), minutes.join(".forgotten-2026-11-28")).unwrap();
    assert_eq!(count(&pond.lake), "1,1");
    drop(pond.lake.writer().unwrap());
    assert!(!minutes.join(".forgotten-2026-11-28").exists());
}

#[test]
fn a_batch_larger_than_a_row_group_and_of_many_days_is_bounded() {
    let pond = pond();
    fill(&pond.lake, "a", 1, (0..1_200_000).map(|n| minute(n % 2880, "192.0.2.1", (n % 7) as u16, 1)));
    assert_eq!(count(&pond.lake), "1200000,1200000");
    let writer = pond.lake.writer().unwrap();
    let mut batch = writer.batch(sensor("a"), Numbers::one(2));
    let refused =
        (0..100).map(|day| batch.push(minute(day * 1440, "192.0.2.1", 23, 1))).find_map(Result::err);
    assert!(matches!(refused, Some(LakeError::TooManyDays)));
    assert!(batch.push(MinuteRow { minute: i64::MAX, ..minute(0, "::", 1, 1) }).is_err());
    drop(batch);
    assert_eq!(count(&pond.lake), "1200000,1200000");
    assert!(pond.folder.path().exists());
}
