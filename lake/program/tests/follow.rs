//! Batches taken up as they come: from several sensors, with gaps, damaged, and by a process that is killed at any moment.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use noroshi_model::clock::{Clock as _, SystemClock};
use noroshi_wire::batch::{self, BatchName, Head, Run};
use noroshi_wire::capture::{Frame, Frames, LinkType};
use serde_json::{Value, json};

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;

/// When the day before this one began (UTC): it is over, and not forgotten.
static NIGHT_NS: LazyLock<u64> = LazyLock::new(|| {
    let now_ns = u64::try_from(SystemClock.now().as_nanosecond()).unwrap();
    (now_ns / DAY_NS - 1) * DAY_NS
});

fn day() -> String {
    let at = Timestamp::from_nanosecond(i128::from(*NIGHT_NS)).unwrap();
    at.to_zoned(TimeZone::UTC).date().to_string()
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("kept")).unwrap();
        Self { folder }
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    fn ledger(&self, sensor: &str) -> PathBuf {
        self.folder.path().join(format!("lake/followed/{sensor}.json"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_noroshi-lake"));
        command.arg("--lake").arg(self.folder.path().join("lake")).args(args);
        command
    }

    fn follow(&self, args: &[&str]) -> Command {
        let mut command = self.command(&["follow", "--json", "--network", "198.18.0.0/16"]);
        command.arg(self.kept()).args(args);
        command
    }

    /// What it tells in the end.
    fn once(&self) -> Value {
        status(&ok(self.follow(&["--once"]).output().unwrap()))
    }

    fn ask(&self, sql: &str) -> Vec<String> {
        let asked = self.command(&["query", sql, "--purpose", "test", "--format", "csv"]).output().unwrap();
        ok(asked).lines().skip(1).map(str::to_owned).collect()
    }

    /// Packets, and different ones.
    fn count(&self) -> String {
        let counted = self.ask(
            "SELECT (SELECT count(*) FROM packets), (SELECT count(DISTINCT sequence) FROM packets), \
             (SELECT sum(packets) FROM minutes)",
        );
        counted.concat()
    }
}

fn ok(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn status(said: &str) -> Value {
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str::<Value>(last).unwrap()["status"].clone()
}

fn name(sensor: &str, run: u8, number: u64) -> BatchName {
    BatchName { sensor: sensor.parse().unwrap(), run: Run([run; 16]), number }
}

/// A batch of SYNs to the telescope, a second apart, and one packet to somebody else. Each has a sequence number of its own.
fn packed(name: &BatchName, at_ns: u64, packets: u32) -> Vec<u8> {
    let mut frames = Frames::default();
    for n in 0..=packets {
        let to = if n == packets { [203, 0, 113, 9] } else { [198, 18, name.number as u8, n as u8] };
        let sequence = (name.number as u32) << 16 | u32::from(name.run.0[0]) << 8 | n;
        let from = [133, 11, u8::from(name.sensor.as_str() == "south"), 7];
        let mut bytes = Vec::new();
        PacketBuilder::ipv4(from, to, 50).tcp(4711, 23, sequence, 900).syn().write(&mut bytes, &[]).unwrap();
        let (at_ns, length) = (Some(at_ns + u64::from(n) * SECOND_NS), bytes.len() as u32);
        frames.push(&Frame { at_ns, link: LinkType::RAW, length, bytes: &bytes });
    }
    let BatchName { sensor, run, number } = name.clone();
    let head = Head { sensor, run, number, before: 0, made_ns: at_ns, lost: 0, left_out: 0 };
    batch::write(&head, &frames).unwrap()
}

/// There as a whole or not at all, as those who keep batches put them.
fn put(folder: &Path, name: &BatchName, bytes: &[u8]) {
    let next = folder.join(format!(".{name}.next"));
    fs::write(&next, bytes).unwrap();
    fs::rename(next, folder.join(name.to_string())).unwrap();
}

/// Three batches of ten packets each, a minute apart.
fn three(place: &Place, sensor: &str, run: u8) {
    for number in 0..3 {
        let name = name(sensor, run, number);
        put(&place.kept(), &name, &packed(&name, *NIGHT_NS + 60 * number * SECOND_NS, 10));
    }
}

fn left(folder: &Path) -> Vec<String> {
    let all = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.') && name != "aside");
    names.sort();
    names
}

#[test]
fn what_two_sensors_saw_is_there_once_with_what_and_where_their_senders_are() {
    let place = Place::new();
    three(&place, "north", 1);
    three(&place, "south", 2);
    let told = place.once();
    assert_eq!(
        told,
        json!({ "batches": 6, "packets": 60, "minutes": 6, "left_out": 6, "repeats": 0, "aside": 0, "missing": 0,
            "waiting": 0, "behind_s": 0 })
    );
    assert_eq!(left(&place.kept()), [""; 0]);
    let minutes = "SELECT sensor, ip_text(source) AS ip, class, country, count(*) AS minutes, sum(packets) AS n \
                   FROM minutes GROUP BY 1, 2, 3, 4 ORDER BY 1";
    assert_eq!(place.ask(minutes), ["north,133.11.0.7,scanner,JP,3,30", "south,133.11.1.7,scanner,JP,3,30"]);
    assert_eq!(place.count(), "60,60,60");
    // Another start of the same sensor goes on, and a batch that comes again counts for nothing.
    three(&place, "north", 3);
    let again = name("north", 1, 1);
    put(&place.kept(), &again, &packed(&again, *NIGHT_NS, 10));
    let told = place.once();
    assert_eq!((&told["batches"], &told["repeats"]), (&3.into(), &1.into()));
    assert_eq!((place.count().as_str(), left(&place.kept()).len()), ("90,90,90", 0));
}

#[test]
fn a_batch_that_comes_late_has_its_place_even_when_its_day_was_joined() {
    let place = Place::new();
    let night = |number: u64| {
        let name = name("north", 1, number);
        put(&place.kept(), &name, &packed(&name, *NIGHT_NS, 10));
        place.once()
    };
    assert_eq!(night(0)["missing"], 0);
    assert_eq!(night(4)["missing"], 3);
    ok(place.command(&["compact", &day()]).output().unwrap());
    assert_eq!(night(2)["missing"], 2);
    assert_eq!((night(1)["missing"].as_u64(), night(3)["missing"].as_u64()), (Some(1), Some(0)));
    assert_eq!(place.count(), "50,50,50");
    ok(place.command(&["compact", &day()]).output().unwrap());
    assert_eq!((night(3)["repeats"].as_u64(), place.count().as_str()), (Some(1), "50,50,50"));
}

#[test]
fn who_was_killed_after_writing_and_before_noting_it_writes_the_same_again() {
    let place = Place::new();
    three(&place, "north", 1);
    let batches: Vec<(PathBuf, Vec<u8>)> = left(&place.kept())
        .into_iter()
        .map(|name| place.kept().join(name))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let back = || batches.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    assert_eq!((place.once()["batches"].as_u64(), place.count().as_str()), (Some(3), "30,30,30"));
    // As it is between the commit and the ledger, with one that has come since.
    let run = Run([1; 16]).to_string();
    let under_way = |numbers: &[u64]| {
        let batches: Vec<_> = numbers.iter().map(|number| json!([run, number])).collect();
        let ledger = json!({ "runs": {}, "under-way": { "number": 1, "batches": batches } });
        fs::write(place.ledger("north"), ledger.to_string()).unwrap();
    };
    under_way(&[0, 1, 2]);
    back();
    let name = name("north", 1, 3);
    put(&place.kept(), &name, &packed(&name, *NIGHT_NS, 10));
    let told = place.once();
    assert_eq!((&told["batches"], &told["repeats"], &told["aside"]), (&4.into(), &0.into(), &0.into()));
    assert_eq!(place.count(), "40,40,40");
    // And between the ledger and the removal.
    back();
    assert_eq!((place.once()["repeats"].as_u64(), place.count().as_str()), (Some(3), "40,40,40"));
    // Somebody removed one of those under way: what the lake has stays, the others are set aside.
    under_way(&[0, 1, 2]);
    back();
    fs::remove_file(&batches[1].0).unwrap();
    assert_eq!((place.once()["aside"].as_u64(), place.count().as_str()), (Some(2), "40,40,40"));
    assert_eq!(left(&place.kept().join("aside")).len(), 4);
}

#[test]
fn what_is_no_batch_is_set_aside_with_the_reason_and_the_others_go_on() {
    let place = Place::new();
    three(&place, "north", 1);
    let kept = place.kept();
    let whole = packed(&name("north", 1, 9), *NIGHT_NS, 10);
    put(&kept, &name("north", 1, 3), b"hello there");
    put(&kept, &name("north", 1, 4), &whole[..whole.len() - 9]);
    put(&kept, &name("north", 1, 5), &whole);
    put(&kept, &name("north", 1, 6), &vec![0; (2 << 20) + 1]);
    fs::create_dir(kept.join(name("north", 1, 7).to_string())).unwrap();
    let hyphen = name("-north", 1, 8);
    put(&kept, &hyphen, &packed(&hyphen, *NIGHT_NS, 10));
    // Packets of twenty days, a day apart: by a clock that is mad.
    let mut frames = Frames::default();
    (0..20).for_each(|day| {
        let at_ns = Some(*NIGHT_NS - day * DAY_NS);
        frames.push(&Frame { at_ns, link: LinkType::RAW, length: 1, bytes: b"x" });
    });
    let mad = name("south", 1, 0);
    let BatchName { sensor, run, number } = mad.clone();
    let head = Head { sensor, run, number, before: 0, made_ns: 0, lost: 0, left_out: 0 };
    put(&kept, &mad, &batch::write(&head, &frames).unwrap());
    fs::write(kept.join("notes.txt"), "not ours").unwrap();
    let told = place.once();
    assert_eq!((&told["batches"], &told["aside"]), (&3.into(), &7.into()), "{told}");
    assert_eq!((left(&kept), place.count().as_str()), (vec!["notes.txt".to_owned()], "30,30,30"));
    let aside = left(&kept.join("aside"));
    assert_eq!(aside.iter().filter(|name| name.ends_with(".why")).count(), 7, "{aside:?}");
    let why = |name: &BatchName| fs::read_to_string(kept.join(format!("aside/{name}.why"))).unwrap();
    assert!(why(&name("north", 1, 3)).contains("no batch"));
    assert!(why(&name("north", 1, 5)).contains("another batch"));
    assert!(why(&mad).contains("20 days"));
}

#[test]
fn a_clock_that_is_ahead_is_not_believed() {
    let place = Place::new();
    let name = name("north", 1, 0);
    put(&place.kept(), &name, &packed(&name, u64::MAX - 20 * SECOND_NS, 10));
    assert_eq!(place.once()["batches"], 1);
    assert_eq!(place.ask("SELECT count(*) FROM packets WHERE at <= now()"), ["10"]);
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn who_is_told_to_stop_ends_with_what_there_is() {
    let place = Place::new();
    let mut following =
        place.follow(&["--collect-s", "3600"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("it follows", || place.kept().join(".follower").exists());
    // Nobody else may take from the same folder.
    let second = place.follow(&["--once"]).output().unwrap();
    assert!(
        !second.status.success() && String::from_utf8_lossy(&second.stderr).contains("followed by another")
    );
    three(&place, "north", 1);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(left(&place.kept()).len(), 3, "they wait for others");
    kill(Pid::from_raw(i32::try_from(following.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(following.wait().unwrap().success());
    let said = std::io::read_to_string(following.stdout.take().unwrap()).unwrap();
    assert_eq!((status(&said)["packets"].as_u64(), place.count().as_str()), (Some(30), "30,30,30"));
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_at_any_moment() {
    let place = Place::new();
    let (batches, kept) = (160u64, place.kept());
    let put_all = std::thread::spawn(move || {
        for number in 0..batches {
            let name = name("north", 1, number);
            put(&kept, &name, &packed(&name, *NIGHT_NS + DAY_NS - 90 * SECOND_NS + number * SECOND_NS, 20));
            std::thread::sleep(Duration::from_millis(15));
        }
    });
    let mut killed = 0;
    while !put_all.is_finished() {
        let following =
            place.follow(&["--collect-s", "0"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        // From before it has begun to long after.
        std::thread::sleep(Duration::from_millis(40 + 53 * (killed % 11)));
        end(following.unwrap());
        killed += 1;
    }
    put_all.join().unwrap();
    assert!(killed > 3, "{killed}");
    let told = place.once();
    assert_eq!((&told["missing"], &told["aside"]), (&0.into(), &0.into()), "{told}");
    assert_eq!((place.count().as_str(), left(&place.kept()).len()), ("3200,3200,3200", 0));
}

#[test]
fn days_that_are_over_are_counted_and_looked_at_for_signs() {
    let place = Place::new();
    three(&place, "north", 1);
    place.once();
    let mut following = place.follow(&[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let log = place.folder.path().join("lake/queries.jsonl");
    wait_for("it looks for signs", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("rises and together on"))
    });
    kill(Pid::from_raw(i32::try_from(following.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(following.wait().unwrap().success());
    let said = std::io::read_to_string(following.stdout.take().unwrap()).unwrap();
    let mut lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let counted = lines.find(|line| !line["counted"].is_null()).unwrap();
    assert_eq!(counted["counted"]["day"], day());
    assert_eq!(
        place.ask("SELECT hosts, packets FROM counts WHERE sensor IS NULL AND tool IS NULL"),
        ["1,30"]
    );
}
