//! A spool that is killed, full, or shared.

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

fn open(folder: &Path) -> Spool {
    Spool::open(folder, "north".parse().unwrap(), 4 << 20).unwrap()
}

#[test]
fn who_was_killed_goes_on_with_the_next_number_and_what_was_not_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (stop, tail) = (AtomicBool::new(false), Tail { lost: 2, left_out: 1 });
    let spool = open(folder.path());
    let run = spool.run();
    for count in [3, 0, 5] {
        spool.put(&frames(count), tail, &stop).unwrap();
    }
    spool.handed_over(0).unwrap();
    drop(spool);
    let spool = open(folder.path());
    // What was handed over a moment ago as well: the local server may have lost it with its power.
    assert_eq!((spool.run(), spool.counted(), spool.after(None)), (run, (3, 8, 3), Some(0)));
    let mut got = Frames::default();
    let head = batch::read(&spool.read(2).unwrap(), &mut got).unwrap();
    assert_eq!((head.number, head.before, head.lost, head.left_out, got.len()), (2, 3, 2, 1, 5));
    [0, 1, 2].iter().for_each(|number| spool.handed_over(*number).unwrap());
    assert_eq!(spool.after(None), None);
    spool.put(&frames(1), tail, &stop).unwrap();
    assert_eq!((spool.counted(), spool.after(None)), ((4, 9, 1), Some(3)));
}

#[test]
fn what_was_handed_over_is_kept_as_long_as_there_is_room_and_the_newest_always() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), "north".parse().unwrap(), 400).unwrap();
    let (stop, tail) = (AtomicBool::new(false), Tail::default());
    for number in 0..9 {
        spool.put(&frames(9), tail, &stop).unwrap();
        spool.handed_over(number).unwrap();
    }
    let left = super::super::names(folder.path()).unwrap();
    let left = left.iter().filter(|name| name.ends_with(".done")).count();
    assert!((1..4).contains(&left), "{left}");
    drop(spool);
    assert_eq!(open(folder.path()).counted(), (9, 81, left as u64));
}

#[test]
fn a_full_spool_drops_nothing_and_takes_no_more_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), "north".parse().unwrap(), 1 << 20).unwrap();
    let stop = AtomicBool::new(false);
    spool.put(&frames(9), Tail::default(), &stop).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| spool.put(&frames(7), Tail::default(), &stop));
        std::thread::sleep(Duration::from_millis(150));
        assert!(!waiting.is_finished() && spool.counted() == (1, 9, 1));
        spool.handed_over(0).unwrap();
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(spool.counted(), (2, 16, 1));
    stop.store(true, Ordering::Relaxed);
    // The last one before the end is kept all the same.
    spool.put(&frames(7), Tail::default(), &stop).unwrap();
    assert_eq!(spool.counted(), (3, 23, 2));
}

#[test]
fn two_sensors_do_not_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let _spool = open(folder.path());
    let second = Spool::open(folder.path(), "north".parse().unwrap(), 4 << 20);
    assert!(second.is_err_and(|error| error.to_string().contains("in use")));
}
