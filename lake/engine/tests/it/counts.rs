//! Senders counted when a day is over: the same answers as from the rows, and never old ones.

use std::fs;
use std::net::IpAddr;

use noroshi_lake::{LakeError, Table};
use proptest::prelude::*;

use super::*;

const PORTS: &str = "SELECT day, sensor, protocol, destination_port, hosts, packets FROM ports";
const ASKED: &str = "SELECT day, protocol, destination_port, tool, hosts, packets FROM asked";

fn sorted(lake: &Lake, sql: &str) -> Vec<String> {
    let mut lines = lines(lake, sql);
    lines.sort();
    lines
}

fn both(lake: &Lake) -> [Vec<String>; 2] {
    [PORTS, ASKED].map(|sql| sorted(lake, sql))
}

/// Which files a question reads.
fn reads(lake: &Lake, sql: &str) -> (usize, usize) {
    let plan = lines(lake, &format!("EXPLAIN {sql}")).join("\n");
    (plan.matches("counts.parquet").count(), plan.matches("minutes/day=").count())
}

prop_compose! {
    /// Of few senders, ports and tools, so that they meet; some sources begin with the bytes of others.
    fn rows()(
        n in 0i64..2880, six in prop::bool::ANY, low in 0u8..6, protocol in prop::sample::select(vec![1u8, 6, 17]),
        port in 20u16..24, victim in prop::bool::ANY, tool in prop::sample::select(vec![None, Some("zmap"), Some("mirai")]),
        packets in 1u32..9,
    ) -> MinuteRow {
        let four = [192, 0, 2, low];
        let source = if six {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&four);
            bytes[15] = low % 2;
            IpAddr::from(bytes)
        } else {
            IpAddr::from(four)
        };
        MinuteRow {
            minute: MINUTE + n, source, protocol, destination_port: (protocol != 1).then_some(port), icmp: None, flags: None,
            class: if victim { "backscatter" } else { "scanner" }, tool, country: None, packets,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn counts_say_what_the_rows_say(
        a in prop::collection::vec(rows(), 1..80), b in prop::collection::vec(rows(), 0..80), cut in 0usize..80,
        joined in prop::bool::ANY,
    ) {
        let pond = pond();
        let cut = cut.min(a.len());
        fill(&pond.lake, "a", 1, a[..cut].to_vec());
        fill(&pond.lake, "a", 2, a[cut..].to_vec());
        fill(&pond.lake, "b", 1, b);
        let rows = both(&pond.lake);
        let writer = pond.lake.writer().unwrap();
        for day in [DAY, "2026-11-27"] {
            let day = day.parse().unwrap();
            if joined {
                writer.compact(day).unwrap();
            }
            writer.count(day).unwrap();
            prop_assert_eq!(&both(&pond.lake), &rows);
            prop_assert_eq!(writer.count(day).unwrap(), None, "once");
        }
        prop_assert_eq!(reads(&pond.lake, PORTS).1, 0, "no row is looked at any more");
        prop_assert!(reads(&pond.lake, ASKED).0 > 0);
    }

    #[test]
    fn a_day_comes_sender_by_sender_and_whole(
        a in prop::collection::vec(rows(), 1..80), b in prop::collection::vec(rows(), 1..80), joined in prop::bool::ANY,
    ) {
        let pond = pond();
        fill(&pond.lake, "a", 1, a.clone());
        fill(&pond.lake, "a", 2, b.clone());
        if joined {
            pond.lake.writer().unwrap().compact(DAY.parse().unwrap()).unwrap();
        }
        let mut came = Vec::new();
        pond.lake.by_sender(DAY.parse().unwrap(), |seen| {
            came.push((seen.source, seen.minute, seen.protocol, seen.destination_port, seen.class.to_owned(), seen.packets));
            Ok::<(), LakeError>(())
        }).unwrap();
        let mut senders: Vec<IpAddr> = came.iter().map(|row| row.0).collect();
        senders.dedup();
        let all = senders.len();
        senders.sort();
        senders.dedup();
        prop_assert_eq!(senders.len(), all, "all rows of a sender follow each other");
        let first_day = |row: &&MinuteRow| row.minute < MINUTE + 1440;
        let mut expected: Vec<_> = a.iter().chain(&b).filter(first_day)
            .map(|row| (row.source, row.minute, row.protocol, row.destination_port, row.class.to_owned(), row.packets))
            .collect();
        expected.sort();
        came.sort();
        prop_assert_eq!(came, expected);
    }
}

#[test]
fn a_sender_that_two_sensors_see_is_one_of_all() {
    let pond = pond();
    for name in ["a", "b"] {
        fill(&pond.lake, name, 1, [minute(0, "192.0.2.1", 23, 1), minute(1, "192.0.2.1", 23, 2)]);
    }
    fill(&pond.lake, "b", 2, [minute(2, "192.0.2.2", 23, 4)]);
    assert_eq!(pond.lake.writer().unwrap().count(DAY.parse().unwrap()).unwrap(), Some(6));
    assert_eq!(sorted(&pond.lake, "SELECT sensor, hosts, packets FROM ports"), ["a,1,3", "b,2,7"]);
    assert_eq!(
        sorted(&pond.lake, "SELECT destination_port, tool, hosts, packets FROM asked"),
        [",zmap,2,10", "23,,2,10"]
    );
    assert_eq!(lines(&pond.lake, "SELECT sum(asking_hosts) FROM counts WHERE sensor IS NULL"), ["4"]);
}

#[test]
fn minutes_that_come_later_take_the_counts_away_until_the_next_time() {
    let pond = pond();
    let day = DAY.parse().unwrap();
    fill(&pond.lake, "a", 1, [minute(0, "192.0.2.1", 23, 1), minute(1440, "192.0.2.1", 23, 1)]);
    assert_eq!(
        pond.lake.writer().unwrap().count("2026-11-25".parse().unwrap()).unwrap(),
        None,
        "nothing of it"
    );
    pond.lake.writer().unwrap().count(day).unwrap();
    assert_eq!(reads(&pond.lake, PORTS), (1, 1), "the other day by its rows");
    fill(&pond.lake, "b", 1, [minute(0, "192.0.2.2", 23, 1)]);
    assert_eq!(reads(&pond.lake, PORTS).0, 0);
    assert_eq!(
        lines(&pond.lake, "SELECT sum(hosts) FROM asked WHERE day = '2026-11-26' AND tool IS NULL"),
        ["2"]
    );
    assert_eq!(pond.lake.writer().unwrap().count(day).unwrap(), Some(6));
    assert_eq!(reads(&pond.lake, PORTS), (1, 1));
    // Headers are none of it, and neither is a batch that was there.
    fill(&pond.lake, "a", 1, [packet(MINUTE * MINUTE_NS, "192.0.2.1".parse().unwrap())]);
    assert_eq!(pond.lake.counted().unwrap().len(), 1);
    // What a killed writer left of counts goes with the next.
    let folder = pond.lake.folder().join("counts/day=2026-11-27");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".counts.parquet.tmp"), "half").unwrap();
    assert_eq!(lines(&pond.lake, "SELECT count(*) FROM counts"), ["6"]);
    drop(pond.lake.writer().unwrap());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn counts_outlive_the_minutes_and_are_forgotten_by_themselves() {
    let pond = pond();
    let days: Vec<_> = ["2026-11-26", "2026-11-27"].map(|day| day.parse().unwrap()).into();
    fill(&pond.lake, "a", 1, [minute(0, "192.0.2.1", 23, 1), minute(1440, "192.0.2.2", 80, 1)]);
    let writer = pond.lake.writer().unwrap();
    days.iter().for_each(|day| assert!(writer.count(*day).unwrap().is_some()));
    let before = both(&pond.lake);
    writer.forget_before(Table::Minutes, "2026-12-01".parse().unwrap()).unwrap();
    assert_eq!((count(&pond.lake).as_str(), both(&pond.lake)), ("0,0", before.clone()));
    drop(writer);
    // What comes late of a day that was forgotten knows less of it.
    fill(&pond.lake, "a", 9, [minute(0, "192.0.2.9", 23, 1)]);
    assert_eq!(both(&pond.lake), before);
    let writer = pond.lake.writer().unwrap();
    assert_eq!(writer.forget_before(Table::Counts, days[1]).unwrap(), days[..1]);
    assert_eq!(pond.lake.counted().unwrap().iter().map(|(day, _)| *day).collect::<Vec<_>>(), days[1..]);
    assert_eq!(sorted(&pond.lake, "SELECT day, hosts FROM ports"), ["2026-11-26,1", "2026-11-27,1"]);
}

#[test]
fn what_is_no_file_of_minutes_is_not_counted() {
    let pond = pond();
    fill(&pond.lake, "a", 1, [minute(0, "192.0.2.1", 23, 1)]);
    let partition = pond.lake.folder().join("minutes/day=2026-11-26/sensor=a");
    fs::write(partition.join(format!("{:020}-{:020}.parquet", 2, 2)), "no parquet").unwrap();
    let writer = pond.lake.writer().unwrap();
    assert!(writer.count(DAY.parse().unwrap()).is_err());
    assert!(pond.lake.counted().unwrap().is_empty());
}
