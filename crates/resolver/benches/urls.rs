//! What a URL costs: its canonical form, looking it up among a million, and what a client is told of a list of a million. Run with
//! `cargo bench -p noroshi-resolver --bench urls`.

use std::sync::{Arc, LazyLock};

use arc_swap::ArcSwap;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use noroshi_resolver::url::held::Held;
use noroshi_resolver::url::{Canonical, Desk, List, Lists};

/// URLs of the list.
const URLS: usize = 1_000_000;
/// URLs of a batch.
const BATCH: usize = 32;

fn main() {
    let lists = &*MILLION;
    println!("{} octets a URL", lists.octets() as f64 / URLS as f64);
    divan::main();
}

/// Pages of many hosts, as they come on lists of phishing.
fn urls(seed: u64) -> impl Iterator<Item = String> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..URLS).map(move |at| {
        let tld = ["com", "net", "org", "co.jp", "top"][random.usize(..5)];
        format!("https://www.h{:x}.{tld}/wp-content/{at:x}/login.php?id={:x}", random.u32(..), random.u32(..))
    })
}

fn text() -> String {
    urls(1).map(|url| url + "\n").collect()
}

static MILLION: LazyLock<Lists> = LazyLock::new(|| {
    let (list, refused) = List::read("million", text().as_bytes()).expect("it is in memory");
    assert!(refused.is_empty());
    Lists::new(vec![list]).expect("one list")
});

/// Looks up URLs of which half are listed.
fn look_up(bencher: Bencher<'_, '_>, canonical_too: bool) {
    let mut asked: Vec<String> = urls(1).step_by(97).chain(urls(2).step_by(97)).collect();
    fastrand::Rng::with_seed(3).shuffle(&mut asked);
    let read = |url: &String| Canonical::of(url.as_bytes()).expect("a URL");
    let canonical: Vec<Canonical> = asked.iter().map(read).collect();
    let lists = &*MILLION;
    let mut at = 0;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            if canonical_too {
                black_box(lists.find(&read(&asked[at])));
            } else {
                black_box(lists.find(&canonical[at]));
            }
            at = (at + 1) % asked.len();
        }
    });
}

#[divan::bench]
fn find_among_a_million(bencher: Bencher<'_, '_>) {
    look_up(bencher, false);
}

#[divan::bench]
fn read_and_find_among_a_million(bencher: Bencher<'_, '_>) {
    look_up(bencher, true);
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn read_a_million(bencher: Bencher<'_, '_>) {
    let text = text();
    bencher.counter(ItemsCount::new(URLS)).counter(BytesCount::of_str(&text)).bench_local(|| {
        black_box(List::read("million", text.as_bytes()).is_ok());
    });
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn hold_a_million_and_code_it(bencher: Bencher<'_, '_>) {
    let lists = &*MILLION;
    bencher.counter(ItemsCount::new(URLS)).bench_local(|| {
        let held = Held::new(lists.hashes(0), &[]);
        black_box(held.coded().map(|coded| coded.data.len()));
    });
}

#[divan::bench]
fn answer_which_hashes_have_a_prefix(bencher: Bencher<'_, '_>) {
    let desk = Desk::new(Arc::new(ArcSwap::from_pointee(MILLION.clone())));
    let body = br#"{"threatInfo": {"threatTypes": ["million"], "platformTypes": ["ANY_PLATFORM"],
        "threatEntryTypes": ["URL"], "threatEntries": [{"hash": "AAAAAA=="}, {"hash": "gAAAAA=="}]}}"#;
    bencher.bench_local(|| black_box(desk.answer("POST", "/v4/fullHashes:find", body).status));
}
