//! Records as they come: late, twice, out of order, from wrong clocks, and some never. No answer may be wrong.

use std::collections::BTreeMap;

use jiff::Timestamp;
use noroshi_book::synth::{Dice, World};
use noroshi_book::{Answer, Book, Doubt, Look, Rules};
use noroshi_law::{Lawful, TakedownNotice};
use noroshi_wire::{Assignment, Change, Given, Whom};

use super::{Evidence, asking, kept, now, vault};

/// Seconds within which nobody can say.
const BORDER_S: i64 = 5;
const INTERIM_S: i64 = 3600 * 4;

fn from_env(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect(name))
}

/// A record, and when it arrives.
type Delivered = (i64, Assignment);

struct Network {
    world: World,
    dice: Dice,
    delivered: Vec<Delivered>,
    /// By address: times in which a second line claims it.
    claimed: BTreeMap<u64, Vec<(i64, i64)>>,
    lost_stops: u64,
    clean: bool,
}

impl Network {
    fn new(seed: u64, sessions: u64, clean: bool) -> Self {
        let world = World::new(seed, sessions);
        let dice = Dice::new(seed, u64::MAX);
        let mut network =
            Self { world, dice, delivered: Vec::new(), claimed: BTreeMap::new(), lost_stops: 0, clean };
        for number in 0..world.addresses() {
            network.address(number);
        }
        network.delivered.sort_by_key(|(arrives, _)| *arrives);
        network
    }

    fn one_in(&mut self, n: u64) -> bool {
        !self.clean && self.dice.below(n) == 0
    }

    /// A server's clock: right, nine hours off, twelve, one, or one that is put forward in the middle (summer time).
    fn clock_s(&self, number: u64, at_s: i64) -> i64 {
        match number % 5 {
            0 => 9 * 3600,
            1 => -12 * 3600,
            2 => 3600,
            3 if at_s > self.world.moment(&mut Dice::new(1, 1)) => 3600,
            _ => 0,
        }
    }

    fn address(&mut self, number: u64) {
        let sessions: Vec<_> = self.world.history(number).collect();
        for (n, row) in sessions.iter().enumerate() {
            // Servers count their ids from the start again now and then.
            let id = format!("{:04x}", (n as u64 * 7 + number) % 11 + number * 16);
            let line = format!("line-{:08}", row.line);
            let record = |change, at_s: i64, began: Option<i64>| Assignment {
                change,
                given: Some(Given { net: self.world.address(number).into(), ports: None }),
                whom: Some(Whom::Line(line.clone())),
                at: Timestamp::from_second(at_s).unwrap(),
                until: None,
                began: began.map(|s| Timestamp::from_second(s).unwrap()),
                server: format!("192.0.2.{}", number % 5),
                session: Some(id.clone()),
                clock_offset_s: Some(self.clock_s(number, at_s)),
                line: 0,
            };
            let mut records = vec![record(Change::Start, row.start_s, None)];
            let mut at_s = row.start_s + INTERIM_S;
            while at_s < row.end_s {
                records.push(record(Change::Interim, at_s, number.is_multiple_of(2).then_some(row.start_s)));
                at_s += INTERIM_S;
            }
            let stop = record(Change::Stop, row.end_s, (!number.is_multiple_of(3)).then_some(row.start_s));
            if self.one_in(20) {
                self.lost_stops += 1;
            } else {
                records.push(stop);
                // Of a session whose end is known: else its records do not contradict the claim.
                if self.one_in(60) && row.end_s - row.start_s > 1000 {
                    self.claim(number, row.start_s, row.end_s);
                }
            }
            for record in records {
                self.deliver(record);
            }
        }
    }

    /// A line that was never there, by the records of another server.
    fn claim(&mut self, number: u64, start_s: i64, end_s: i64) {
        let from_s = start_s + 300 + self.dice.below((end_s - start_s - 600) as u64) as i64;
        let to_s = (from_s + 30 + self.dice.below(4000) as i64).min(end_s - 30);
        self.claimed.entry(number).or_default().push((from_s, to_s));
        for (change, at_s) in [(Change::Start, from_s), (Change::Stop, to_s)] {
            self.deliver(Assignment {
                change,
                given: Some(Given { net: self.world.address(number).into(), ports: None }),
                whom: Some(Whom::Line("nobody".into())),
                at: Timestamp::from_second(at_s).unwrap(),
                until: None,
                began: None,
                server: "192.0.2.99".into(),
                session: Some(format!("claim-{from_s}")),
                clock_offset_s: None,
                line: 0,
            });
        }
    }

    fn deliver(&mut self, record: Assignment) {
        let at_s = record.at.as_second();
        let late_s = if self.one_in(5) { self.dice.below(90) as i64 } else { 0 };
        if self.one_in(8) {
            // A copy by way of a proxy, whose way was longer than it says.
            let longer_s = self.dice.below(4) as i64;
            let copy = Assignment { at: Timestamp::from_second(at_s + longer_s).unwrap(), ..record.clone() };
            self.delivered.push((at_s + late_s + self.dice.below(40) as i64, copy));
        }
        if self.one_in(200) {
            // A server that had no way to the collector for hours.
            self.delivered.push((at_s + 7200 + self.dice.below(40_000) as i64, record));
        } else {
            self.delivered.push((at_s + late_s, record));
        }
    }
}

/// Feeds everything, now and then giving a batch again, making a checkpoint, or opening the book anew.
fn feed(folder: &std::path::Path, network: &Network, dice: &mut Dice) -> Book {
    let mut book = Book::open(folder, vault()).unwrap();
    for batch in network.delivered.chunks(2000) {
        let records = || kept(batch.iter().map(|(_, record)| record.clone()));
        book.keep(&records()).unwrap();
        match dice.below(10) {
            0 => drop(book.keep(&records()).unwrap()),
            1 => book.checkpoint().unwrap(),
            2 => book = Book::open(folder, vault()).unwrap(),
            _ => {}
        }
    }
    book
}

fn open(book: &Book, ip: std::net::IpAddr) -> Lawful<Look<'_>, TakedownNotice> {
    vault().open_one(book.look(ip), "a test", &asking(), now(), &mut Evidence::default()).unwrap()
}

#[test]
fn whatever_happens_to_the_records_no_answer_is_wrong() {
    let seed = from_env("NOROSHI_TEST_SEED", u64::from(std::process::id()));
    let sessions = from_env("NOROSHI_TEST_SESSIONS", 5_000);
    let lookups = from_env("NOROSHI_TEST_LOOKUPS", 400_000);
    println!("seed {seed} (NOROSHI_TEST_SEED={seed} repeats it), {sessions} sessions, {lookups} look-ups");
    let folder = tempfile::tempdir().unwrap();
    let network = Network::new(seed, sessions, false);
    let mut dice = Dice::new(seed, 12);
    let book = feed(folder.path(), &network, &mut dice);
    assert!(network.lost_stops > 0 && !network.claimed.is_empty() && book.stats().faults > 0);

    let (mut one, mut none, mut doubts) = (0u64, 0u64, BTreeMap::<Doubt, u64>::new());
    let of_address = lookups / network.world.addresses();
    for number in 0..network.world.addresses() {
        let look = open(&book, network.world.address(number));
        for _ in 0..of_address {
            let at_s = network.world.moment(&mut dice);
            let claims = network.claimed.get(&number);
            let claimed = claims.is_some_and(|all| all.iter().any(|(from, to)| from <= &at_s && at_s <= *to));
            let (truth, margin_s) = network.world.truth(number, at_s);
            let told = format!(
                "seed {seed}, address {number}, at {at_s}, truth {truth:?}, margin {margin_s}, claims {claims:?}"
            );
            match look.read().who(None, Timestamp::from_second(at_s).unwrap(), &Rules::default()) {
                Answer::One(held) => {
                    let right = truth.map(|line| format!("line-{line:08}"));
                    assert!(
                        !claimed && Some(&held.line) == right.as_ref(),
                        "{held:?} {} but {told}",
                        held.line
                    );
                    assert!(held.margin_s > BORDER_S && held.rows.len() == 1);
                    one += 1;
                }
                Answer::None => {
                    assert!(truth.is_none() && !claimed, "nobody, but {told}");
                    none += 1;
                }
                Answer::Ambiguous(doubt) => *doubts.entry(doubt).or_default() += 1,
            }
        }
    }
    println!("one {one}, none {none}, ambiguous {doubts:?}; {:?}", book.stats());
    assert!(one > of_address * network.world.addresses() / 2);
    assert!(doubts.contains_key(&Doubt::NoStop) && doubts.contains_key(&Doubt::Overlap));
}

#[test]
fn on_clean_records_less_than_one_in_a_hundred_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::new(11, 5_000, true);
    let mut dice = Dice::new(11, 12);
    let book = feed(folder.path(), &network, &mut dice);
    let (mut asked, mut refused) = (0u64, 0u64);
    for number in 0..network.world.addresses() {
        let look = open(&book, network.world.address(number));
        for _ in 0..500 {
            let at_s = network.world.moment(&mut dice);
            asked += 1;
            match look.read().who(None, Timestamp::from_second(at_s).unwrap(), &Rules::default()) {
                Answer::Ambiguous(_) => refused += 1,
                Answer::One(held) => {
                    let (line, margin_s) = network.world.truth(number, at_s);
                    assert_eq!(
                        (Some(held.line), held.margin_s),
                        (line.map(|l| format!("line-{l:08}")), margin_s)
                    );
                }
                Answer::None => assert_eq!(network.world.truth(number, at_s).0, None),
            }
        }
    }
    println!("{refused} of {asked} refused");
    assert!(refused > 0 && refused * 100 <= asked, "{refused} of {asked}");
}
