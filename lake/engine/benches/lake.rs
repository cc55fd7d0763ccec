//! What a row costs on its way into the lake and in an answer, at a million rows of each table and at ten; at a hundred too with
//! `NOROSHI_BENCH_LARGE=1` (minutes and gigabytes).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};

use divan::counter::ItemsCount;
use jiff::Span;
use jiff::civil::{Date, date};
use noroshi_lake::{Kind, Lake, Limits, MinuteRow, Numbers, PacketRow, Table};

/// 2026-11-26T00:00Z in minutes since 1970.
const MINUTE: i64 = 29_927_520;
const FIRST_DAY: Date = date(2026, 11, 26);
const MILLION: usize = 1_000_000;
const DAYS: usize = 30;
const MINUTES_OF_DAY: usize = 1440;
/// Rows of a minute, as a telescope of a /16 has them.
const ROWS_OF_MINUTE: usize = 138_000;

fn main() {
    divan::main();
    // What is static is not dropped, and these are gigabytes.
    LAKES.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

fn sizes() -> Vec<usize> {
    let large = std::env::var_os("NOROSHI_BENCH_LARGE").is_some();
    if large { vec![1, 10, 100] } else { vec![1, 10] }
}

fn mixed(n: usize) -> u64 {
    (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n as u64 >> 7)
}

/// One of 160,000 senders, few of whom send most.
fn sender(random: u64) -> IpAddr {
    let rank = if random & 1 == 0 { (random >> 8) % 650 } else { (random >> 8) % 160_000 };
    Ipv4Addr::from((rank as u32).wrapping_mul(26_777).wrapping_add(0x0b00_0000)).into()
}

/// One of all ports: half of the packets go to ten of them.
fn port(random: u64) -> u16 {
    const LIKED: [u16; 10] = [23, 2323, 80, 443, 8080, 22, 3389, 445, 5555, 6379];
    if random & 2 == 0 { LIKED[(random >> 40) as usize % 10] } else { (random >> 40) as u16 }
}

fn minute(n: usize) -> MinuteRow {
    let random = mixed(n);
    MinuteRow {
        minute: MINUTE + (n / ROWS_OF_MINUTE) as i64,
        source: sender(random),
        protocol: 6,
        destination_port: Some(port(random)),
        icmp: None,
        flags: Some(2),
        class: if random & 60 == 0 { "backscatter" } else { "scanner" },
        tool: [Some("zmap"), Some("masscan"), Some("mirai"), None][(random >> 9) as usize % 4],
        country: Some([b'A' + (random >> 16) as u8 % 20, b'A']),
        packets: 1 + (random >> 60) as u32,
    }
}

fn packet(n: usize) -> PacketRow {
    let random = mixed(n);
    PacketRow {
        at_ns: MINUTE * 60_000_000_000 + n as i64 * 198_000,
        source: sender(random),
        destination: Ipv4Addr::from(0xc612_0000 | (random >> 20) as u32 & 0xffff).into(),
        protocol: 6,
        ip_id: if random & 4 == 0 { 54321 } else { (random >> 30) as u16 },
        ttl: 40 + (random >> 50) as u8 % 20,
        length: 40,
        kind: Kind::Tcp {
            source_port: (random >> 12) as u16,
            destination_port: port(random),
            sequence: (random >> 32) as u32,
            flags: 2,
            window: 1024,
        },
    }
}

#[divan::bench(args = [1, 10], sample_count = 3)]
fn write_minutes(bencher: divan::Bencher<'_, '_>, millions: usize) {
    let rows: Vec<MinuteRow> = (0..millions * MILLION).map(minute).collect();
    bencher.counter(ItemsCount::new(rows.len())).bench_local(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open(folder.path()).expect("a lake");
        fill(&lake, rows.iter().cloned());
    });
}

#[divan::bench(args = [1, 10], sample_count = 3)]
fn write_packets(bencher: divan::Bencher<'_, '_>, millions: usize) {
    let rows: Vec<PacketRow> = (0..millions * MILLION).map(packet).collect();
    bencher.counter(ItemsCount::new(rows.len())).bench_local(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open(folder.path()).expect("a lake");
        fill(&lake, rows.iter().copied());
    });
}

fn fill<R: noroshi_lake::Row>(lake: &Lake, rows: impl Iterator<Item = R>) {
    let writer = lake.writer().expect("the lock");
    let mut batch = writer.batch("a".parse().expect("a name"), Numbers::one(1));
    rows.for_each(|row| batch.push(row).expect("room"));
    batch.commit().expect("room");
}

/// Lakes by size, made once.
static LAKES: Mutex<Vec<(usize, tempfile::TempDir)>> = Mutex::new(Vec::new());

fn lake(millions: usize) -> Lake {
    let mut lakes = LAKES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, folder)) = lakes.iter().find(|(size, _)| *size == millions) {
        return Lake::open(folder.path()).expect("a lake");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::open(folder.path()).expect("a lake");
    fill(&lake, (0..millions * MILLION).map(minute));
    lakes.push((millions, folder));
    lake
}

fn ask(bencher: divan::Bencher<'_, '_>, millions: usize, sql: &str) {
    ask_of(bencher, &lake(millions), millions, sql);
}

fn ask_of(bencher: divan::Bencher<'_, '_>, lake: &Lake, millions: usize, sql: &str) {
    bencher.counter(ItemsCount::new(millions * MILLION)).bench_local(|| {
        let answer = lake.query(sql, &Limits::default()).expect("an answer");
        let rows: usize = answer.map(|batch| batch.expect("rows").num_rows()).sum();
        assert!(rows > 0);
    });
}

/// The ten ports that most packets of each day went to.
const TOP_PORTS: &str = "SELECT day, destination_port, packets FROM (SELECT day, destination_port, sum(packets) AS packets, \
     row_number() OVER (PARTITION BY day ORDER BY sum(packets) DESC) AS place FROM minutes \
     GROUP BY day, destination_port) WHERE place <= 10 ORDER BY day, packets DESC";

#[divan::bench(args = sizes(), sample_count = 5)]
fn top_ports_per_day(bencher: divan::Bencher<'_, '_>, millions: usize) {
    ask(bencher, millions, TOP_PORTS);
}

/// Of a month, so many millions of rows over thirty days, a file each: a /16 has some six thousand millions.
#[divan::bench(args = sizes(), sample_count = 5)]
fn top_ports_per_day_of_a_month(bencher: divan::Bencher<'_, '_>, millions: usize) {
    let (_folder, lake) = month(millions);
    ask_of(bencher, &lake, millions, TOP_PORTS);
}

/// Of such a month whose days were counted, as `follow` does it after each day.
#[divan::bench(args = sizes(), sample_count = 5)]
fn top_ports_per_day_of_a_counted_month(bencher: divan::Bencher<'_, '_>, millions: usize) {
    let (_folder, lake) = month(millions);
    (0..DAYS).for_each(|day| count(&lake, FIRST_DAY + Span::new().days(day as i64)));
    ask_of(bencher, &lake, millions, &TOP_PORTS.replace("FROM minutes", "FROM ports"));
}

fn month(millions: usize) -> (tempfile::TempDir, Lake) {
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::open(folder.path()).expect("a lake");
    let writer = lake.writer().expect("the lock");
    for day in 0..DAYS {
        let mut batch = writer.batch("a".parse().expect("a name"), Numbers::one(day as u64 + 1));
        let rows = day * millions * MILLION / DAYS..(day + 1) * millions * MILLION / DAYS;
        let of_minute = rows.len().div_ceil(MINUTES_OF_DAY);
        for (at, n) in rows.enumerate() {
            let minute_of_it = MINUTE + (day * MINUTES_OF_DAY + at / of_minute) as i64;
            batch.push(MinuteRow { minute: minute_of_it, ..minute(n) }).expect("room");
        }
        batch.commit().expect("room");
    }
    drop(writer);
    (folder, lake)
}

#[divan::bench(args = sizes(), sample_count = 3)]
fn hosts_per_port_and_day(bencher: divan::Bencher<'_, '_>, millions: usize) {
    ask(bencher, millions, "SELECT day, destination_port, hosts FROM ports ORDER BY hosts DESC LIMIT 10");
}

#[divan::bench(args = sizes(), sample_count = 3)]
fn packets_per_hour(bencher: divan::Bencher<'_, '_>, millions: usize) {
    ask(
        bencher,
        millions,
        "SELECT date_trunc('hour', minute) AS hour, sum(packets) FROM minutes GROUP BY 1 ORDER BY 1",
    );
}

#[divan::bench(args = sizes(), sample_count = 3)]
fn one_network(bencher: divan::Bencher<'_, '_>, millions: usize) {
    ask(bencher, millions, "SELECT count(*) FROM minutes WHERE in_network(source, '11.0.0.0/16')");
}

/// What `rises` asks of a day.
const ASKED: &str = "SELECT protocol, destination_port, tool, hosts FROM asked WHERE day = '2026-11-26'";

#[divan::bench(args = sizes(), sample_count = 3)]
fn asked_of_a_day_by_its_rows(bencher: divan::Bencher<'_, '_>, millions: usize) {
    ask(bencher, millions, ASKED);
}

#[divan::bench(args = sizes(), sample_count = 3)]
fn asked_of_a_day_by_its_counts(bencher: divan::Bencher<'_, '_>, millions: usize) {
    count(&lake(millions), FIRST_DAY);
    ask(bencher, millions, ASKED);
    uncount(&lake(millions));
}

#[divan::bench(args = sizes(), sample_count = 3)]
fn senders_of_a_day_counted(bencher: divan::Bencher<'_, '_>, millions: usize) {
    let lake = lake(millions);
    bencher.counter(ItemsCount::new(millions * MILLION)).bench_local(|| {
        uncount(&lake);
        count(&lake, FIRST_DAY);
    });
    uncount(&lake);
}

fn count(lake: &Lake, day: Date) {
    assert!(lake.writer().expect("the lock").count(day).expect("room") > Some(0));
}

/// As it was, for those that ask the rows.
fn uncount(lake: &Lake) {
    let later = "2027-01-01".parse().expect("a day");
    lake.writer().expect("the lock").forget_before(Table::Counts, later).expect("it goes");
}
