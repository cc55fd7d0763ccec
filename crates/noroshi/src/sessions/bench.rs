//! The book measured: sessions made from a seed, a book of them on disk, opened anew, and every answer held against the
//! truth. Speeds are per second of CPU of the one thread that asks.

use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use noroshi_book::{Book, Rules, synth};
use noroshi_law::Vault;
use serde::Serialize;

use super::Bench;
use crate::cost::Cost;
use crate::report::{self, say};

#[derive(Serialize)]
struct Measured {
    #[serde(flatten)]
    book: synth::Measured,
    /// The most memory the process had, making the book included.
    rss_max_bytes: u64,
}

/// Measures.
pub fn bench(wish: &Bench) -> anyhow::Result<ExitCode> {
    let folder = wish.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = folder.join(format!("noroshi-bench-{}", std::process::id()));
    let measured = run(wish, &folder);
    // A run that failed has left what it had made.
    let removed = std::fs::remove_dir_all(&folder);
    let measured = measured?;
    removed?;
    if wish.json {
        report::json(&measured)?;
    } else {
        let m = &measured.book;
        say!(
            "{} sessions: {:.2} bytes each on disk, {:.2} in memory",
            m.sessions,
            m.bytes_per_session,
            m.memory_per_session
        );
        say!(
            "{:.0} look-ups/s, {:.0}/s in batches, 99 of 100 within {:.2} µs",
            m.lookups_per_s,
            m.batched_per_s,
            m.p99_us
        );
        say!("{} of {} wrong, {} ambiguous", m.wrong, m.lookups, m.ambiguous);
        say!("{} MiB at most", measured.rss_max_bytes >> 20);
    }
    Ok(if measured.book.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn run(wish: &Bench, folder: &std::path::Path) -> anyhow::Result<Measured> {
    let vault = Arc::new(Vault::new(&[0; noroshi_law::vault::KEY_BYTES]));
    let world = synth::World::new(wish.seed, wish.sessions);
    let bar = ProgressBar::new(wish.sessions).with_style(
        ProgressStyle::with_template("made {pos}/{len} sessions {bar:30} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    synth::build(folder, Arc::clone(&vault), &world, &|done| bar.set_position(done))?;
    bar.finish_and_clear();
    let book = Book::open(folder, vault)?;
    let book = synth::measure(&book, &world, wish.lookups, Rules::BORDER_S, &cpu_s);
    Ok(Measured { book, rss_max_bytes: Cost::so_far()?.rss_max_bytes })
}

/// Seconds of CPU this thread has had.
fn cpu_s() -> f64 {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    clock.now().map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}
