//! What an entry of the evidence log costs: appended alone and in batches, each durable and signed before it counts; and what
//! a proof costs in a log of a million.
//!
//! `NOROSHI_BENCH_ENTRIES=100000` puts another size in place of the million. Beside divan's table, the 99th percentile.

use std::time::{Duration, Instant};

use divan::counter::ItemsCount;
use jiff::Timestamp;
use noroshi_law::evidence::note::Signer;
use noroshi_law::evidence::{Digest, Kind};
use noroshi_law::{BasisKind, Ledger as _, Record, Role, Use};
use noroshi_store::evidence::{EvidenceLog, HeadFile};
use noroshi_store::{Address, Store};

fn main() {
    divan::main();
}

/// An opening as the loop writes it.
fn record(n: u64) -> Record {
    Record {
        kind: Kind::Opening,
        at: Timestamp::UNIX_EPOCH,
        role: Role::System,
        measure: "takedown-notice".into(),
        measure_version: 1,
        dossier: Digest::of(b"dossier"),
        basis: Some(BasisKind::Emergency),
        purpose: "subscriber-notice".into(),
        usage: Use::Identify,
        fields: vec!["source.ip".into(), "time.source".into()],
        rule: "takedown-notice.emergency".into(),
        policy_set: Digest::of(b"rules"),
        subject: Digest::of(&n.to_be_bytes()).to_string(),
        records: 1,
        under: Some(n),
        note: String::new(),
    }
}

struct Place {
    _folder: tempfile::TempDir,
    store: Store,
    signer: Signer,
    head: HeadFile,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let store = Store::open(Address::Sqlite(folder.path().join("bench.db")));
        let signer = Signer::generate().and_then(|key| Signer::load("bench.example", &key));
        Self {
            head: HeadFile::at(&folder.path().join("evidence.head")),
            store: store.unwrap_or_else(|e| panic!("{e}")),
            signer: signer.unwrap_or_else(|e| panic!("{e}")),
            _folder: folder,
        }
    }

    fn log(&self) -> EvidenceLog<'_> {
        EvidenceLog::new(&self.store, &self.signer, Some(&self.head))
    }

    fn append(&self, records: &[Record]) {
        self.log().append_all(records).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[divan::bench(args = [1, 16, 256, 4096], sample_count = 100, sample_size = 1)]
fn append(bencher: divan::Bencher<'_, '_>, batch: u64) {
    let place = Place::new();
    bencher
        .counter(ItemsCount::new(batch))
        .with_inputs(|| (0..batch).map(record).collect::<Vec<_>>())
        .bench_refs(|records| place.append(records));
}

#[divan::bench(sample_count = 1000, sample_size = 1)]
fn prove(bencher: divan::Bencher<'_, '_>) {
    let entries = std::env::var("NOROSHI_BENCH_ENTRIES").ok().and_then(|n| n.parse().ok());
    let entries: u64 = entries.unwrap_or(1_000_000);
    let place = Place::new();
    let begun = Instant::now();
    for from in (0..entries).step_by(4096) {
        place.append(&(from..entries.min(from + 4096)).map(record).collect::<Vec<_>>());
    }
    let rate = entries as f64 / begun.elapsed().as_secs_f64();
    eprintln!("  {entries} entries appended in {:.1?}: {rate:.0} a second, sustained", begun.elapsed());
    let mut next = 0;
    let mut any = move || {
        next = (next + 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(3) % entries) % entries;
        next
    };
    let prove = |index| place.log().prove(index).unwrap_or_else(|e| panic!("{e}"));
    let mut took: Vec<Duration> = (0..2000)
        .map(|_| {
            let (index, begun) = (any(), Instant::now());
            assert!(prove(index).is_some());
            begun.elapsed()
        })
        .collect();
    took.sort_unstable();
    eprintln!(
        "  proofs: median {:.2?}, 99th percentile {:.2?}",
        took[took.len() / 2],
        took[took.len() * 99 / 100]
    );
    bencher.with_inputs(any).bench_local_values(prove);
    let begun = Instant::now();
    let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
    let exported = place.log().export_tiles(folder.path()).unwrap_or_else(|e| panic!("{e}"));
    eprintln!("  tiles: {} files in {:.1?}", exported.files, begun.elapsed());
    let begun = Instant::now();
    let report = place.log().verify().unwrap_or_else(|e| panic!("{e}"));
    assert!(report.intact() && report.entries == entries);
    eprintln!("  the walk over all of it: {:.1?}", begun.elapsed());
}
