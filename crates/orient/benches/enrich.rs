//! What enrichment costs: a look-up of a random address among 900,000 random, nested prefixes (the shape of
//! `shared/bench/pipeline/gen_synth.py`), and in the tables that come with the program; loading; and a warning-list check.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use divan::counter::ItemsCount;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use noroshi_orient::enrich::{Owner, PrefixBuilder, PrefixTable, Subject, Tables, embedded, read_ipasn};

const PREFIXES: usize = 900_000;
/// Addresses looked up in one round: more than a cache holds of the table's parts.
const ASKED: usize = 1 << 16;

fn main() {
    for (what, table) in ["all IPv4", "four fifths IPv4", "all IPv6"].iter().zip(&*TABLES) {
        println!("{PREFIXES} prefixes, {what}: {} ranges, {} KiB", table.ranges(), table.bytes() / 1024);
    }
    divan::main();
}

/// splitmix64: the same prefixes at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn v4(&mut self) -> Ipv4Addr {
        Ipv4Addr::from(((1 + self.next() % 223) as u32) << 24 | self.next() as u32 & 0xff_ffff)
    }

    fn v6(&mut self) -> Ipv6Addr {
        let high = 0x2000_0000_0000_0000 | self.next() >> 3;
        Ipv6Addr::from(u128::from(high) << 64 | u128::from(self.next()))
    }
}

const LENGTHS: [u8; 15] = [24, 24, 24, 24, 24, 24, 23, 22, 22, 21, 20, 20, 19, 18, 16];

/// So many random prefixes of each kind, and the wide ones around them.
fn build(v4: usize, v6: usize) -> PrefixTable {
    let mut random = Random(20_240_601);
    let mut builder = PrefixBuilder::default();
    let mut add = |net, asn| {
        builder.prefix(net, Owner { asn: Some(asn), ..Owner::default() }).expect("fits");
    };
    for a in 1..=223 {
        add(IpNet::V4(Ipv4Net::new(Ipv4Addr::new(a, 0, 0, 0), 8).expect("valid")), 64_000 + u32::from(a));
    }
    for n in 0..1 << 9 {
        let ip = Ipv6Addr::new(0x2000 + (n << 4), 0, 0, 0, 0, 0, 0, 0);
        add(IpNet::V6(Ipv6Net::new(ip, 12).expect("valid")), 65_000 + u32::from(n));
    }
    for n in 0..v4 + v6 {
        let len = LENGTHS[random.next() as usize % LENGTHS.len()];
        let net = if n < v4 {
            IpNet::V4(Ipv4Net::new(random.v4(), len).expect("valid"))
        } else {
            IpNet::V6(Ipv6Net::new(random.v6(), len + 24).expect("valid"))
        };
        add(net, 1 + random.next() as u32 % 400_000);
    }
    builder.build()
}

/// All IPv4; four fifths IPv4, as the routing table has it; all IPv6.
static TABLES: LazyLock<[PrefixTable; 3]> =
    LazyLock::new(|| [build(PREFIXES, 0), build(PREFIXES * 4 / 5, PREFIXES / 5), build(0, PREFIXES)]);

/// A table and the kind of address it is asked for.
#[derive(Clone, Copy, Debug)]
enum Case {
    AllV4 = 0,
    MixedV4 = 1,
    MixedV6 = 3,
    AllV6 = 2,
}

const CASES: [Case; 4] = [Case::AllV4, Case::MixedV4, Case::MixedV6, Case::AllV6];

impl Case {
    fn parts(self) -> (&'static PrefixTable, Vec<IpAddr>) {
        let is_v6 = matches!(self, Case::MixedV6 | Case::AllV6);
        (&TABLES[if matches!(self, Case::MixedV6) { 1 } else { self as usize }], asked(is_v6))
    }
}

fn asked(v6: bool) -> Vec<IpAddr> {
    let mut random = Random(7);
    (0..ASKED).map(|_| if v6 { random.v6().into() } else { random.v4().into() }).collect()
}

/// Time per item is time per look-up.
#[divan::bench(args = CASES)]
fn look_up_among_900k(bencher: divan::Bencher<'_, '_>, case: Case) {
    let (table, asked) = case.parts();
    bencher.counter(ItemsCount::new(ASKED)).bench(|| {
        for ip in &asked {
            black_box(table.look_up(*ip));
        }
    });
}

/// Each look-up waits for the one before: what one takes, not how many can be under way at once.
#[divan::bench(args = CASES)]
fn one_after_another_among_900k(bencher: divan::Bencher<'_, '_>, case: Case) {
    let (table, asked) = case.parts();
    bencher.counter(ItemsCount::new(ASKED)).bench(|| {
        let mut at = 0;
        for n in 0..asked.len() {
            let found = table.look_up(asked[(n ^ at) & (ASKED - 1)]);
            at = found.and_then(|a| a.asn).unwrap_or_default() as usize;
        }
        at
    });
}

/// All embedded tables: owner, country and tenant.
#[divan::bench(args = [false, true])]
fn enrich_with_the_embedded_tables(bencher: divan::Bencher<'_, '_>, v6: bool) {
    let (tables, asked) = (Tables::embedded(), asked(v6));
    bencher.counter(ItemsCount::new(ASKED)).bench(|| {
        for ip in &asked {
            black_box(tables.enrich(*ip));
        }
    });
}

#[divan::bench]
fn check_the_embedded_lists(bencher: divan::Bencher<'_, '_>) {
    let (lists, asked) = (embedded::lists(), asked(false));
    bencher.counter(ItemsCount::new(ASKED)).bench(|| {
        for ip in &asked {
            let url = Some("http://update.example-malware.info/gate.php");
            black_box(lists.check(&Subject { ip: Some(*ip), fqdn: Some("a.b.example.net"), url }));
        }
    });
}

#[divan::bench(sample_count = 5)]
fn load_ipasn_of_900k(bencher: divan::Bencher<'_, '_>) {
    let mut random = Random(1);
    let mut text = String::new();
    for _ in 0..PREFIXES {
        let len = LENGTHS[random.next() as usize % LENGTHS.len()];
        let net = Ipv4Net::new(random.v4(), len).expect("valid").trunc();
        text.push_str(&format!("{net}\t{}\n", 1 + random.next() % 400_000));
    }
    bencher
        .counter(ItemsCount::new(PREFIXES))
        .bench(|| read_ipasn(text.as_bytes()).map(|(_, report)| report.kept));
}
