//! What a question costs besides the kernel: looking up a name among rules, reading a question, answering from the cache; and what a
//! rule costs when a zone is read. Run with `cargo bench -p noroshi-resolver`.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use noroshi_resolver::cache::Wanted;
use noroshi_resolver::client::Access;
use noroshi_resolver::client::Transport;
use noroshi_resolver::clock::Clock;
use noroshi_resolver::forward::Forward;
use noroshi_resolver::message::{Asking, Query, write_question};
use noroshi_resolver::name::{Name, Secret};
use noroshi_resolver::policy::{Editor, ZoneSettings};
use noroshi_resolver::resolver::{BackEnd, Resolver, Settings};
use noroshi_resolver::step::{Records, Rr, Step};

const SECRET: Secret = Secret([7; 16]);
/// Questions of a batch.
const BATCH: usize = 32;

fn main() {
    divan::main();
}

fn name(text: &str) -> Name {
    Name::from_text(text.as_bytes(), &Name::ROOT).expect("a name")
}

/// A list as they come: half for names, half for all below, under a few top-level domains.
fn list(rules: usize) -> String {
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = String::from("@ SOA ns. host. 1 3600 600 86400 300\n");
    for at in 0..rules {
        let star = if at % 2 == 0 { "" } else { "*." };
        let tld = ["com", "net", "org", "jp", "top"][random.usize(..5)];
        let action = ["CNAME .", "A 192.0.2.80", "CNAME garden.test."][random.usize(..3)];
        text += &format!("{star}n{:x}.{tld} {action}\n", random.u64(..));
    }
    text
}

fn editor(rules: usize) -> Editor {
    let mut editor = Editor::new(SECRET, vec![ZoneSettings::new(name("rpz.test."))]);
    let text = list(rules);
    editor.replace_by_file(0, text.as_bytes(), text.len() as u64).expect("it is in memory");
    editor
}

static MILLION: LazyLock<Editor> = LazyLock::new(|| editor(1_000_000));

/// Names of which half are listed.
fn asked(editor_rules: usize) -> Vec<Name> {
    let listed: Vec<Name> = list(editor_rules)
        .lines()
        .skip(1)
        .step_by(97)
        .map(|line| name(line.split(' ').next().expect("an owner").trim_start_matches("*.")))
        .collect();
    let mut random = fastrand::Rng::with_seed(2);
    let others = (0..listed.len()).map(|at| name(&format!("www.m{at:x}{:x}.com", random.u32(..))));
    let mut all: Vec<Name> = listed.iter().copied().chain(others).collect();
    random.shuffle(&mut all);
    all
}

#[divan::bench]
fn look_up_among_a_million(bencher: Bencher<'_, '_>) {
    let policy = MILLION.published().load_full();
    let names = asked(1_000_000);
    let mut at = 0;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            black_box(policy.of_question(None, &names[at], 1));
            at = (at + 1) % names.len();
        }
    });
}

#[divan::bench]
fn look_up_among_a_thousand(bencher: Bencher<'_, '_>) {
    let editor = editor(1_000);
    let policy = editor.published().load_full();
    let names = asked(1_000);
    let mut at = 0;
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for _ in 0..BATCH {
            black_box(policy.of_question(None, &names[at], 1));
            at = (at + 1) % names.len();
        }
    });
}

fn question(name: &Name) -> Vec<u8> {
    let mut wire = Vec::new();
    let asking = Asking { rtype: 1, recursion: true, dnssec_ok: false, checking_disabled: false };
    write_question(&mut wire, 7, name, asking, 1232);
    wire
}

#[divan::bench]
fn read_a_question(bencher: Bencher<'_, '_>) {
    let wire = question(&name("www.some-name.example.com."));
    bencher.counter(ItemsCount::new(1usize)).bench(|| black_box(Query::read(black_box(&wire)).is_ok()));
}

#[divan::bench]
fn answer_from_the_cache(bencher: Bencher<'_, '_>) {
    let clock = Clock::set();
    let policy = MILLION.published();
    let back_end = BackEnd::Forward(Forward::new([], clock.clone()));
    let resolver = Resolver::new(
        Settings::default(),
        SECRET,
        Arc::clone(&policy),
        Access::local(),
        back_end,
        clock.clone(),
    );
    let asked = name("www.some-name.example.com.");
    let now_s = clock.now_s();
    let rr = Rr { owner: asked, rtype: 1, ttl: 300, data: vec![192, 0, 2, 1] };
    let mut step = Step::failed(&asked, None, now_s, 300);
    (step.code, step.answer) = (0, Records::new(&asked, [&rr]));
    let wanted = Wanted { name: asked, rtype: 1, dnssec_ok: false, checking_disabled: false };
    resolver.cache().keep(&wanted, Arc::new(step));
    let wire = question(&asked);
    let client = IpAddr::from([127, 0, 0, 1]);
    let policy = policy.load_full();
    let mut out = Vec::new();
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        black_box(resolver.answer(&policy, &wire, client, Transport::Udp, &mut out));
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn read_a_zone(bencher: Bencher<'_, '_>) {
    let text = list(1_000_000);
    bencher.counter(ItemsCount::new(1_000_000usize)).bench_local(|| {
        let mut editor = Editor::new(SECRET, vec![ZoneSettings::new(name("rpz.test."))]);
        black_box(editor.replace_by_file(0, text.as_bytes(), text.len() as u64).is_ok());
    });
}
