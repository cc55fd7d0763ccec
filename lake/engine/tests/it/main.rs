//! A lake as the program uses it: filled, asked, joined, forgotten, killed on the way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod asking;
mod counts;
mod others;
mod rows;
mod safety;

use std::net::IpAddr;

use noroshi_lake::{Answer, Kind, Lake, Limits, MinuteRow, Numbers, PacketRow, RecordBatch, Row, Sensor};

/// 2026-11-26T00:00Z in minutes since 1970.
const MINUTE: i64 = 29_927_520;
const MINUTE_NS: i64 = 60_000_000_000;
const DAY: &str = "2026-11-26";

struct Pond {
    folder: tempfile::TempDir,
    lake: Lake,
}

fn pond() -> Pond {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().join("a lake #~%20é")).unwrap();
    Pond { folder, lake }
}

fn sensor(name: &str) -> Sensor {
    name.parse().unwrap()
}

fn fill<R: Row>(lake: &Lake, name: &str, number: u64, rows: impl IntoIterator<Item = R>) {
    let writer = lake.writer().unwrap();
    let mut batch = writer.batch(sensor(name), Numbers::one(number));
    for row in rows {
        batch.push(row).unwrap();
    }
    batch.commit().unwrap();
}

/// A row of the n-th minute of the first day.
fn minute(n: i64, source: &str, port: u16, packets: u32) -> MinuteRow {
    MinuteRow {
        minute: MINUTE + n,
        source: source.parse().unwrap(),
        protocol: 6,
        destination_port: Some(port),
        icmp: None,
        flags: Some(2),
        class: "scanner",
        tool: Some("zmap"),
        country: Some(*b"JP"),
        packets,
    }
}

fn packet(at_ns: i64, source: IpAddr) -> PacketRow {
    PacketRow {
        at_ns,
        source,
        destination: "198.18.0.1".parse().unwrap(),
        protocol: 6,
        ip_id: 54321,
        ttl: 50,
        length: 40,
        kind: Kind::Tcp { source_port: 40000, destination_port: 23, sequence: 7, flags: 2, window: 1024 },
    }
}

fn ask(lake: &Lake, sql: &str) -> Answer {
    lake.query(sql, &Limits { threads: 2, ..Limits::default() })
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn batches(lake: &Lake, sql: &str) -> Vec<RecordBatch> {
    ask(lake, sql).map(Result::unwrap).collect()
}

/// An answer as CSV without its first line.
fn lines(lake: &Lake, sql: &str) -> Vec<String> {
    let mut text = Vec::new();
    ask(lake, sql).write(noroshi_lake::Format::Csv, &mut text).unwrap();
    String::from_utf8(text).unwrap().lines().skip(1).map(str::to_owned).collect()
}

/// Rows and packets of `minutes`.
fn count(lake: &Lake) -> String {
    lines(lake, "SELECT count(*), coalesce(sum(packets), 0) FROM minutes").join("")
}
