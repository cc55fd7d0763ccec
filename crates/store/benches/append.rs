//! What an event costs that is appended to the log, and that this stays so while the log grows: batches of new events,
//! and of events that are all there already, on top of 100,000 and of 10 million.
//!
//! `NOROSHI_BENCH_STORED=20000000` puts another size in place of these. Resident memory is told after each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use divan::counter::ItemsCount;
use jiff::Timestamp;
use noroshi_model::{Id, Tally};
use noroshi_store::events::Intake;
use noroshi_store::log::NewEvent;
use noroshi_store::{Address, Store, StoreError};

/// Events in a batch, thus in a transaction.
const BATCH: u64 = 4096;

fn main() {
    divan::main();
}

fn sizes() -> Vec<u64> {
    let asked = std::env::var("NOROSHI_BENCH_STORED").ok().and_then(|n| n.parse().ok());
    asked.map_or_else(|| vec![100_000, 10_000_000], |n| vec![n])
}

/// Ids as uniform as a hash's, made faster.
fn id(n: u64) -> [u8; 16] {
    let mixed = |n: u64| {
        let n = (n ^ n >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let n = (n ^ n >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ n >> 31
    };
    let high = mixed(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    (u128::from(high) << 64 | u128::from(mixed(high ^ n))).to_be_bytes()
}

/// An event as a seized log gives it.
fn json(n: u64) -> String {
    let [a, b, c, d, e, f, ..] = id(n);
    format!(
        "{{\"classification.taxonomy\":\"malicious-code\",\"classification.type\":\"infected-system\",\
         \"destination.ip\":\"203.0.113.{}\",\"destination.port\":{},\"extra.bot\":\"{:016x}\",\
         \"extra.noroshi.measure\":\"takedown-notice\",\"feed.code\":\"takedown-2026-11\",\
         \"feed.name\":\"seized gate\",\"malware.name\":\"mirai\",\"source.asn\":64500,\
         \"source.ip\":\"{a}.{b}.{c}.{d}\",\"source.port\":{},\
         \"time.observation\":\"2026-11-22T09:00:00Z\",\"time.source\":\"2026-11-20T{:02}:{:02}:{:02}Z\"}}",
        e % 4,
        [23, 80, 443, 8080][usize::from(f % 4)],
        u64::from_be_bytes([a, c, e, b, d, f, a, b]),
        u16::from_be_bytes([e, f]),
        n / 3600 % 24,
        n / 60 % 60,
        n % 60,
    )
}

fn append(store: &Store, from: u64, texts: &[String]) -> usize {
    let intake = Intake {
        id: Id::of("bench", &[]),
        kind: "seized".into(),
        source: "gate.csv".into(),
        campaign: "takedown-2026-11".into(),
        measure: None,
        position: from,
        done: false,
    };
    let batch: Vec<NewEvent<'_>> = (from..)
        .zip(texts)
        .map(|(n, json)| NewEvent {
            id: id(n),
            line: n,
            time_source_ms: 1_790_000_000_000 + n as i64,
            json: json.as_bytes(),
        })
        .collect();
    let done: Result<usize, StoreError> =
        store.append_events("bench.append", &intake, Timestamp::UNIX_EPOCH, &batch, |tx, sifted| {
            let stored = sifted.fresh.iter().filter(|fresh| **fresh).count();
            let counts = Tally { read: texts.len() as u64, stored: stored as u64, ..Tally::default() };
            tx.advance(&intake, &counts, Timestamp::UNIX_EPOCH)?;
            Ok(stored)
        });
    done.unwrap_or_else(|e| panic!("{e}"))
}

fn filled(folder: &tempfile::TempDir, stored: u64) -> Store {
    let store =
        Store::open(Address::Sqlite(folder.path().join("bench.db"))).unwrap_or_else(|e| panic!("{e}"));
    let begun = Instant::now();
    let (mut lap, mut cpu, mut in_lap) = (std::time::Duration::ZERO, 0.0, 0);
    for from in (0..stored).step_by(BATCH as usize) {
        let texts: Vec<String> = (from..stored.min(from + BATCH)).map(json).collect();
        let (at, cpu_at) = (Instant::now(), cpu_seconds());
        append(&store, from, &texts);
        lap += at.elapsed();
        cpu += cpu_seconds() - cpu_at;
        in_lap += texts.len();
        if in_lap >= 2_000_000 {
            let of = |seconds: f64| in_lap as f64 / seconds;
            eprintln!(
                "  {:>9} stored: {:>8.0} events/s, {:>8.0} per second of processor time; {}",
                from + BATCH,
                of(lap.as_secs_f64()),
                of(cpu),
                resident()
            );
            (lap, cpu, in_lap) = (std::time::Duration::ZERO, 0.0, 0);
        }
    }
    let bytes = std::fs::metadata(folder.path().join("bench.db")).map_or(0, |m| m.len());
    eprintln!("  {stored} stored in {:.1?}, file {} MiB, {}", begun.elapsed(), bytes >> 20, resident());
    store
}

/// What this process has used: unlike the clock it does not mind who else is at work.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 10
    };
    format!("resident {} MiB, at most {} MiB", of("VmRSS:"), of("VmHWM:"))
}

#[divan::bench(args = sizes(), sample_count = 100, sample_size = 1)]
fn append_new(bencher: divan::Bencher<'_, '_>, stored: u64) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let store = filled(&folder, stored);
    let next = AtomicU64::new(stored);
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            (from, (from..from + BATCH).map(json).collect::<Vec<_>>())
        })
        .bench_refs(|(from, texts)| assert_eq!(append(&store, *from, texts), BATCH as usize));
    let again = AtomicU64::new(0);
    let begun = Instant::now();
    let mut all = 0;
    for _ in 0..50 {
        let from = again.fetch_add(BATCH, Ordering::Relaxed) * 7 % (stored - BATCH);
        let texts: Vec<String> = (from..from + BATCH).map(|_| String::new()).collect();
        assert_eq!(append(&store, from, &texts), 0);
        all += texts.len();
    }
    eprintln!(
        "  {stored}: duplicates {:.0} events/s, {}",
        all as f64 / begun.elapsed().as_secs_f64(),
        resident()
    );
}
