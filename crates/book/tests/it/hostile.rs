//! Records as they come: late, twice, out of order, from wrong clocks, and some never. No answer may be wrong.
//!
//! `NOROSHI_TEST_SEED` repeats a run. `NOROSHI_TEST_BOOK_LOOKUPS` asks more: each million is asked of a network of its own.
//! `NOROSHI_TEST_SHOW="203.0.113.12 6399"` prints the records about an address and port, to find out what went wrong.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_book::synth::Dice;
use noroshi_book::{Answer, Book, Doubt, Look, Rules};
use noroshi_law::{Lawful, TakedownNotice};
use noroshi_wire::Whom;

use super::network::{BLOCK_PORTS, BLOCKS, FIRST_PORT, Network};
use super::{Evidence, asking, now, vault};

/// Look-ups of one network.
const OF_A_NETWORK: u64 = 1_000_000;

pub fn from_env(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect(name))
}

pub fn open(book: &Book, ip: IpAddr) -> Lawful<Look<'_>, TakedownNotice> {
    vault().open_one(book.look(ip), "a test", &asking(), now(), &mut Evidence::default()).unwrap()
}

/// Outside addresses are shared, and half of the time the operator says so.
pub fn rules(declared: bool) -> Rules {
    let shared = declared.then(|| "203.0.113.0/24".parse().unwrap());
    Rules { shared: shared.into_iter().collect(), ..Rules::default() }
}

/// A port of an outside address, mostly one of a block, and now and then none.
pub fn port(dice: &mut Dice) -> Option<u16> {
    let ports = u64::from(BLOCKS * BLOCK_PORTS) + 100;
    (dice.below(20) > 0).then(|| FIRST_PORT - 50 + dice.below(ports) as u16)
}

/// Whom the truth lets be named; `Err` where nobody may be: two at once, or one of several behind an address.
fn truth(network: &Network, ip: IpAddr, port: Option<u16>, at_s: i64) -> Result<Option<String>, ()> {
    let holders = network.holders(ip, port, at_s);
    if port.is_none() && holders.iter().any(|h| h.ports.is_some()) {
        return Err(());
    }
    let Some(first) = holders.first() else { return Ok(None) };
    if holders.iter().any(|h| h.whom != first.whom) {
        return Err(());
    }
    match &first.whom {
        Whom::Line(line) => Ok(Some(line.clone())),
        // That the inside address was nobody's does not make the outside one nobody's.
        Whom::Inside(inside) => truth(network, *inside, None, at_s)?.map(Some).ok_or(()),
    }
}

#[derive(Default)]
struct Tally {
    seed: u64,
    one: u64,
    none: u64,
    doubts: BTreeMap<Doubt, u64>,
    wrong: Vec<String>,
}

impl Tally {
    fn ask(
        &mut self,
        network: &Network,
        look: &Look<'_>,
        ip: IpAddr,
        port: Option<u16>,
        at_s: i64,
        declared: bool,
    ) {
        let answer = look.who(port, Timestamp::from_second(at_s).unwrap(), 0, &rules(declared));
        let right = || truth(network, ip, port, at_s);
        let fits = match &answer {
            Answer::One(held) => {
                self.one += 1;
                let margin = held.margin_s > Rules::BORDER_S;
                margin && right().is_ok_and(|line| line.as_ref() == Some(&held.line))
            }
            Answer::None => {
                self.none += 1;
                !declared && right() == Ok(None)
            }
            Answer::Ambiguous(doubt) => {
                *self.doubts.entry(*doubt).or_default() += 1;
                true
            }
        };
        if !fits {
            let said = match &answer {
                Answer::One(held) => {
                    let rows =
                        held.rows.iter().map(|r| (r.server.as_str(), r.start.as_second(), r.end.as_second()));
                    format!("{} by {:?}", held.line, rows.collect::<Vec<_>>())
                }
                _ => "nobody".into(),
            };
            let truth = network.holders(ip, port, at_s);
            let seed = self.seed;
            self.wrong.push(format!(
                "seed {seed}: {ip} {port:?} at {at_s}: said {said}, {:?}, truth {truth:?}",
                right()
            ));
        }
    }
}

/// Asks a network's book; half of the questions about inside addresses, half about outside ones.
fn ask(network: &Network, book: &Book, lookups: u64, dice: &mut Dice, tally: &mut Tally) {
    let inside = lookups / 2 / network.world.addresses();
    for number in 0..network.world.addresses() {
        let ip = network.world.address(number);
        let look = open(book, ip);
        for n in 0..inside {
            let port = (n % 4 == 0).then_some(40_000);
            tally.ask(network, look.read(), ip, port, network.world.moment(dice), false);
        }
    }
    let outside = lookups / 2 / network.outside.len() as u64;
    for ip in &network.outside {
        let look = open(book, *ip);
        for n in 0..outside {
            tally.ask(network, look.read(), *ip, port(dice), network.world.moment(dice), n % 2 == 0);
        }
    }
}

/// Prints the records that `NOROSHI_TEST_SHOW` asks for, in the order in which they arrive.
fn show(network: &Network) {
    let Ok(wanted) = std::env::var("NOROSHI_TEST_SHOW") else { return };
    let (ip, port) = wanted.split_once(' ').unwrap();
    let (ip, port): (IpAddr, u16) = (ip.parse().unwrap(), port.parse().unwrap());
    for (arrives_s, record) in &network.delivered {
        let Some(given) = record.given.filter(|g| g.covers(ip, Some(port))) else { continue };
        let whom = match record.whom.as_ref() {
            Some(Whom::Line(line)) => line.clone(),
            Some(Whom::Inside(inside)) => inside.to_string(),
            None => String::new(),
        };
        let [at, began, until] =
            [Some(record.at), record.began, record.until].map(|t| t.map(Timestamp::as_second));
        let (session, change, server) = (&record.session, record.change, &record.server);
        println!(
            "{arrives_s} {change:?} at {at:?} began {began:?} until {until:?} {server} {session:?} {whom} {:?}",
            given.ports
        );
    }
}

#[test]
fn whatever_happens_to_the_records_no_answer_is_wrong() {
    // The gate always asks the same; a longer run names a seed of its own.
    let seed = from_env("NOROSHI_TEST_SEED", 1);
    let sessions = from_env("NOROSHI_TEST_SESSIONS", 5_000);
    let lookups = from_env("NOROSHI_TEST_BOOK_LOOKUPS", OF_A_NETWORK);
    println!("seed {seed} (NOROSHI_TEST_SEED={seed} repeats it), {sessions} sessions, {lookups} look-ups");
    let mut tally = Tally::default();
    for seed in (seed..).take(lookups.div_ceil(OF_A_NETWORK) as usize) {
        tally.seed = seed;
        let folder = tempfile::tempdir().unwrap();
        let network = Network::new(seed, sessions, false);
        let mut dice = Dice::new(seed, 12);
        show(&network);
        let book = network.feed(folder.path(), &mut dice);
        ask(&network, &book, lookups.min(OF_A_NETWORK), &mut dice, &mut tally);
        if tally.wrong.len() > 20 {
            break;
        }
        if seed % 10 == 0 {
            println!("seed {seed}: {:?}; {:?}", network.done, book.stats());
            println!("one {}, none {}, ambiguous {:?}", tally.one, tally.none, tally.doubts);
        }
        assert!(network.done.values().all(|count| *count > 0) && book.stats().faults > 0);
    }
    let refused: u64 = tally.doubts.values().sum();
    println!("one {}, none {}, ambiguous {refused} {:?}", tally.one, tally.none, tally.doubts);
    println!("{} wrong of {}", tally.wrong.len(), tally.one + tally.none + refused);
    assert!(tally.wrong.is_empty(), "{}", tally.wrong[..tally.wrong.len().min(20)].join("\n"));
    assert!(tally.one > lookups / 3, "one {}", tally.one);
    for doubt in [Doubt::NoStop, Doubt::Overlap, Doubt::Border, Doubt::SharedAddress, Doubt::Inside] {
        assert!(tally.doubts.contains_key(&doubt), "{doubt:?}");
    }
}

#[test]
fn on_clean_records_less_than_one_in_a_hundred_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::new(11, 5_000, true);
    let mut dice = Dice::new(11, 12);
    let book = network.feed(folder.path(), &mut dice);
    let (mut asked, mut refused) = (0u64, 0u64);
    for number in 0..network.world.addresses() {
        let ip = network.world.address(number);
        let look = open(&book, ip);
        let leased = number % 4 == 3;
        for _ in 0..500 {
            let at_s = network.world.moment(&mut dice);
            asked += 1;
            match look.read().who(None, Timestamp::from_second(at_s).unwrap(), 0, &Rules::default()) {
                Answer::Ambiguous(_) => refused += 1,
                Answer::One(held) => {
                    let (line, margin_s) = network.world.truth(number, at_s);
                    assert_eq!(Some(held.line), line.map(|l| format!("line-{l:08}")));
                    // Each renewal of a lease is a border of its own.
                    assert!(held.margin_s == margin_s || (leased && held.margin_s < margin_s));
                }
                Answer::None => assert_eq!(network.world.truth(number, at_s).0, None),
            }
        }
    }
    println!("{refused} of {asked} refused");
    assert!(refused > 0 && refused * 100 <= asked, "{refused} of {asked}");
}
