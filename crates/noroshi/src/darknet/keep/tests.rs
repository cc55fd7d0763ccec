//! A folder that is full, taken from, or on a disk that fails.

use noroshi_wire::capture::{Frame, LinkType};

use super::*;

fn frames(count: u32) -> Frames {
    let mut frames = Frames::default();
    for n in 0..count {
        let bytes = n.to_be_bytes();
        frames.push(&Frame { at_ns: Some(n.into()), link: LinkType::RAW, length: 4, bytes: &bytes });
    }
    frames
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn counts(keep: &Keep) -> [u64; 3] {
    let Kept { batches, packets, not_kept } = &**keep.kept();
    [batches, packets, not_kept].map(|count| count.load(Ordering::Relaxed))
}

fn name(number: u64) -> BatchName {
    BatchName { sensor: "north".parse().unwrap(), run: Run([1; 16]), number }
}

#[test]
fn what_an_interface_shows_is_numbered_and_there_with_each_packet_once() {
    let folder = tempfile::tempdir().unwrap();
    for start in 1..=2 {
        let mut keep = Keep::open(folder.path(), 4 << 20).unwrap();
        let (mut into, from) = Writing::queue(&keep);
        for count in [3, 0, 5] {
            into.put(&mut frames(count), Tail { lost: 2, left_out: 0 }).unwrap();
        }
        drop(into);
        Writing::new("north".parse().unwrap()).unwrap().all(&mut keep, &from);
        assert_eq!((counts(&keep), names(folder.path()).len()), ([2, 8, 0], 2 * start));
    }
    let mut runs = std::collections::BTreeMap::<Run, Vec<(u64, u64, u64)>>::new();
    for name in names(folder.path()) {
        let mut got = Frames::default();
        let head = batch::read(&fs::read(folder.path().join(&name)).unwrap(), &mut got).unwrap();
        assert_eq!(BatchName::of(&head).to_string(), name);
        runs.entry(head.run).or_default().push((head.number, head.before, got.len() as u64));
    }
    assert_eq!(runs.len(), 2, "each start has numbers of its own");
    assert!(runs.values().all(|run| *run == [(0, 0, 3), (1, 3, 5)]), "{runs:?}");
}

#[test]
fn what_does_not_fit_is_counted_and_what_is_taken_up_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut keep = Keep::open(folder.path(), 3 * FILE_BYTES_MIN).unwrap();
    (0..5).for_each(|number| keep.put(&name(number), b"packed", 10));
    assert_eq!((counts(&keep), names(folder.path()).len()), ([3, 30, 20], 3));
    fs::remove_file(folder.path().join(name(0).to_string())).unwrap();
    keep.settle();
    keep.put(&name(5), b"packed", 10);
    assert_eq!(counts(&keep), [3, 30, 30], "it is not looked at again and again");
    keep.looked = Instant::now().checked_sub(LOOK_AGAIN).unwrap();
    keep.settle();
    keep.put(&name(6), b"packed", 10);
    assert_eq!(counts(&keep), [4, 40, 30]);
    // Who comes after sees what is there.
    let mut keep = Keep::open(folder.path(), 3 * FILE_BYTES_MIN).unwrap();
    keep.put(&name(7), b"packed", 10);
    assert_eq!(counts(&keep), [0, 0, 10]);
}

#[test]
fn a_batch_that_comes_twice_is_there_once_and_half_a_file_has_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut keep = Keep::open(folder.path(), 4 << 20).unwrap();
    keep.put(&name(1), b"packed", 10);
    keep.put(&name(1), b"packed", 10);
    assert_eq!(names(folder.path()), [name(1).to_string()]);
    // A folder where the draft is to be: it cannot be written, and watching goes on.
    fs::create_dir(folder.path().join(format!(".{}{BEING_WRITTEN}", name(2)))).unwrap();
    keep.put(&name(2), b"packed", 10);
    assert_eq!(counts(&keep), [2, 20, 10]);
    assert!(keep.told.is_some() && !folder.path().join(name(2).to_string()).exists());
}

#[test]
fn a_full_queue_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep::open(folder.path(), 4 << 20).unwrap();
    let (mut into, from) = Writing::queue(&keep);
    for _ in 0..WAITING_MAX + 3 {
        into.put(&mut frames(2), Tail::default()).unwrap();
    }
    assert_eq!(counts(&keep), [0, 0, 6]);
    drop(from);
    into.put(&mut frames(2), Tail::default()).unwrap();
    assert_eq!(counts(&keep), [0, 0, 8]);
}

#[test]
fn an_interface_has_a_name_that_a_sensor_may_have() {
    for (given, name) in [("live-eth0", "live-eth0"), ("-enP4p65s0.100", "enp4p65s0-100")] {
        assert_eq!(name_of(given).unwrap().as_str(), name);
    }
    assert_eq!(name_of(&"x".repeat(99)).unwrap().as_str().len(), batch::NAME_BYTES_MAX);
    assert!(name_of("").is_err() && name_of("東京").is_err());
}
