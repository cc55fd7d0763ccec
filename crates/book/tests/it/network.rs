//! A made-up network whose records come as badly as they do, with the truth about every address, block of ports and second.
//!
//! ```text
//!   World: sessions ──▶ access servers (RADIUS) and a DHCP server (Kea) ──▶ records ─┐ lost, doubled, late,
//!                  └──▶ translators: blocks of ports of outside addresses ─▶ records ─┘ out of order, claimed twice
//! ```
//!
//! What is in the records for others to believe is in the truth, too: a claim by a stray server is a holding like any other,
//! so where two hold at once nobody may be named.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use noroshi_book::Book;
use noroshi_book::synth::{Dice, World};
use noroshi_wire::{Assignment, Change, Given, Whom};

use super::{kept, vault};

const INTERIM_S: i64 = 3600 * 4;
/// Of a lease; renewed at half of it.
const LEASE_S: i64 = 7200;
/// Blocks of an outside address, from this port on.
pub const FIRST_PORT: u16 = 1024;
pub const BLOCK_PORTS: u16 = 1000;
pub const BLOCKS: u16 = 8;

/// A line's or an inside address's holding of something.
#[derive(Clone, Debug)]
pub struct Holding {
    pub from_s: i64,
    pub to_s: i64,
    /// `None`: the whole address.
    pub ports: Option<(u16, u16)>,
    pub whom: Whom,
}

/// A record, and when it arrives.
pub type Delivered = (i64, Assignment);

pub struct Network {
    pub world: World,
    dice: Dice,
    pub delivered: Vec<Delivered>,
    /// By address, in the order of their beginning.
    holdings: BTreeMap<IpAddr, Vec<Holding>>,
    pub outside: Vec<IpAddr>,
    /// What was done to the records, and how often.
    pub done: BTreeMap<&'static str, u64>,
    clean: bool,
}

impl Network {
    /// Of a seed, about so large; clean records are all there, once, in time and never contradict each other.
    pub fn new(seed: u64, sessions: u64, clean: bool) -> Self {
        let world = World::new(seed, sessions);
        let outside = (0..world.addresses() / 10 + 2).map(|n| IpAddr::from([203, 0, 113, n as u8])).collect();
        let (dice, done) = (Dice::new(seed, u64::MAX), BTreeMap::new());
        let (delivered, holdings) = (Vec::new(), BTreeMap::new());
        let mut network = Self { world, dice, delivered, holdings, outside, done, clean };
        for number in 0..world.addresses() {
            if number % 4 == 3 { network.leases(number) } else { network.sessions(number) }
        }
        for number in 0..network.outside.len() {
            network.translate(number);
        }
        network.delivered.sort_by_key(|(arrives, _)| *arrives);
        network.holdings.values_mut().for_each(|all| all.sort_by_key(|h| h.from_s));
        network
    }

    /// Whoever holds an address at a moment, and on a port where it is told; blocks where it is not.
    pub fn holders(&self, ip: IpAddr, port: Option<u16>, at_s: i64) -> Vec<&Holding> {
        let all = self.holdings.get(&ip).map_or([].as_slice(), Vec::as_slice);
        let begun = all.partition_point(|h| h.from_s <= at_s);
        let right = |h: &&Holding| {
            let ports = h.ports.zip(port).is_none_or(|((low, high), port)| low <= port && port <= high);
            at_s <= h.to_s && ports
        };
        all[..begun].iter().filter(right).collect()
    }

    /// Feeds everything, now and then giving a batch again, making a checkpoint, or opening the book anew.
    pub fn feed(&self, folder: &Path, dice: &mut Dice) -> Book {
        let mut book = Book::open(folder, vault()).unwrap();
        for batch in self.delivered.chunks(2000) {
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

    fn one_in(&mut self, n: u64, what: &'static str) -> bool {
        let happens = !self.clean && self.dice.below(n) == 0;
        *self.done.entry(what).or_default() += u64::from(happens);
        happens
    }

    fn hold(&mut self, ip: IpAddr, holding: Holding) {
        self.holdings.entry(ip).or_default().push(holding);
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

    /// An address that an access server gives out.
    fn sessions(&mut self, number: u64) {
        let ip = self.world.address(number);
        for (n, row) in self.world.history(number).enumerate() {
            // Servers count their ids from the start again now and then.
            let id = format!("{:04x}", (n as u64 * 7 + number) % 11 + number * 16);
            let holding =
                Holding { from_s: row.start_s, to_s: row.end_s, ports: None, whom: line(row.line.into()) };
            let make = |change, at_s, began: Option<i64>, clock_s| Assignment {
                began: began.map(second),
                session: Some(id.clone()),
                clock_offset_s: Some(clock_s),
                ..record(change, ip, &holding, at_s, &format!("192.0.2.{}", number % 5))
            };
            let mut records = vec![make(Change::Start, row.start_s, None, self.clock_s(number, row.start_s))];
            let mut at_s = row.start_s + INTERIM_S;
            while at_s < row.end_s {
                let began = number.is_multiple_of(2).then_some(row.start_s);
                records.push(make(Change::Interim, at_s, began, self.clock_s(number, at_s)));
                at_s += INTERIM_S;
            }
            let began = (!number.is_multiple_of(3)).then_some(row.start_s);
            let stop = make(Change::Stop, row.end_s, began, self.clock_s(number, row.end_s));
            if !self.one_in(20, "lost Stop") {
                records.push(stop);
                // Of a session whose end is known: else its records do not contradict the claim.
                if row.end_s - row.start_s > 1000 && self.one_in(60, "claimed by a stray server") {
                    self.claim(ip, &holding, None, Whom::Line("stray".into()));
                }
            }
            self.hold(ip, holding.clone());
            records.into_iter().for_each(|record| self.deliver(record));
        }
    }

    /// An address that a DHCP server leases: a row for each renewal, and the file is read again from its beginning, or what
    /// lease clean-up left of it.
    fn leases(&mut self, number: u64) {
        let ip = self.world.address(number);
        let mut rows: Vec<Assignment> = Vec::new();
        for row in self.world.history(number) {
            let holding =
                Holding { from_s: row.start_s, to_s: row.end_s, ports: None, whom: line(row.line.into()) };
            let mut at_s = row.start_s;
            let mut heard_s = at_s;
            while at_s < row.end_s {
                let until = Some(second(at_s + LEASE_S));
                rows.push(Assignment { until, ..record(Change::Start, ip, &holding, at_s, "kea") });
                heard_s = at_s;
                at_s += LEASE_S / 2;
            }
            let released = record(Change::Stop, ip, &holding, row.end_s, "kea");
            rows.push(released.clone());
            if self.one_in(4, "lease file rewritten") {
                // Read from the rewritten file, the row does not tell when it was written.
                let later_s = row.end_s + 600 + self.dice.below(20_000) as i64;
                self.delivered.push((later_s, Assignment { at: second(heard_s), ..released }));
            }
            self.hold(ip, holding);
        }
        for (n, row) in rows.iter().enumerate() {
            self.delivered.push((row.at.as_second(), row.clone()));
            if self.one_in(50, "lease file read again") {
                let now_s = row.at.as_second();
                let again = rows[..=n].iter().skip(n.saturating_sub(60)).cloned();
                self.delivered.extend(again.map(|row| (now_s + 1, row)));
            }
        }
    }

    /// An outside address, whose blocks of ports two translators give out, one after the other.
    fn translate(&mut self, number: usize) {
        let ip = self.outside[number];
        let (begins_s, ends_s) = self.world.period();
        let moved_s = self.world.moment(&mut self.dice);
        for block in 0..BLOCKS {
            let first = FIRST_PORT + block * BLOCK_PORTS;
            let mut at_s = begins_s + self.dice.exponential(10_000.0);
            let mut n = 0;
            while at_s < ends_s {
                let mut to_s = at_s + 60 + self.dice.exponential(30_000.0);
                let server = if at_s < moved_s { "cgn-east" } else { "cgn-west" };
                // The other translator takes over: nobody says that what the first had given is over.
                let taken_over = at_s < moved_s && moved_s < to_s && !self.clean;
                if taken_over {
                    to_s = moved_s;
                    *self.done.entry("address taken over by another translator").or_default() += 1;
                }
                let inside = self.world.address(self.dice.below(self.world.addresses()));
                let ports = Some((first, first + BLOCK_PORTS - 1));
                let holding = Holding { from_s: at_s, to_s, ports, whom: Whom::Inside(inside) };
                self.allocation(ip, &holding, server, number.is_multiple_of(2).then_some(n % 7), taken_over);
                self.hold(ip, holding);
                let at_once = self.dice.below(2) == 0;
                *self.done.entry("pool reused within a second").or_default() += u64::from(at_once);
                at_s =
                    to_s + if at_once { self.dice.below(2) as i64 } else { self.dice.exponential(15_000.0) };
                n += 1;
            }
        }
    }

    fn allocation(&mut self, ip: IpAddr, holding: &Holding, server: &str, id: Option<u64>, taken_over: bool) {
        let session = id.map(|id| format!("{:?}-{id}", holding.ports));
        let make = |change, at_s| Assignment {
            session: session.clone(),
            ..record(change, ip, holding, at_s, server)
        };
        self.deliver(make(Change::Start, holding.from_s));
        let mut at_s = holding.from_s + INTERIM_S;
        while at_s < holding.to_s {
            self.deliver(make(Change::Interim, at_s));
            at_s += INTERIM_S;
        }
        if taken_over || self.one_in(20, "lost end of a block") {
            return;
        }
        self.deliver(make(Change::Stop, holding.to_s));
        if holding.to_s - holding.from_s > 1000 && self.one_in(30, "block claimed by a stray translator") {
            let other = self.world.address(self.dice.below(self.world.addresses()));
            let (first, last) = holding.ports.unwrap_or_default();
            let ports = match self.dice.below(4) {
                0 => Some((first, last)),
                1 => Some((first + 100, first + 199)),
                2 => Some((first + 500, last + 500)),
                _ => None,
            };
            self.claim(ip, holding, ports, Whom::Inside(other));
        }
    }

    /// Somebody else in the middle of a holding, by the records of another server.
    fn claim(&mut self, ip: IpAddr, of: &Holding, ports: Option<(u16, u16)>, whom: Whom) {
        let from_s = of.from_s + 300 + self.dice.below((of.to_s - of.from_s - 600) as u64) as i64;
        let to_s = (from_s + 30 + self.dice.below(4000) as i64).min(of.to_s - 30);
        let claim = Holding { from_s, to_s, ports, whom };
        for (change, at_s) in [(Change::Start, from_s), (Change::Stop, to_s)] {
            let session = Some(format!("claim-{from_s}"));
            self.deliver(Assignment { session, ..record(change, ip, &claim, at_s, "192.0.2.99") });
        }
        self.hold(ip, claim);
    }

    fn deliver(&mut self, record: Assignment) {
        let at_s = record.at.as_second();
        let late_s = if self.one_in(5, "late") { self.dice.below(90) as i64 } else { 0 };
        if self.one_in(8, "doubled") {
            // A copy by way of a proxy, whose way was longer than it says.
            let longer_s = self.dice.below(4) as i64;
            let copy = Assignment { at: second(at_s + longer_s), ..record.clone() };
            self.delivered.push((at_s + late_s + self.dice.below(40) as i64, copy));
        }
        if self.one_in(200, "late by hours") {
            // A server that had no way to the collector for hours.
            self.delivered.push((at_s + 7200 + self.dice.below(40_000) as i64, record));
        } else {
            self.delivered.push((at_s + late_s, record));
        }
    }
}

fn line(number: u64) -> Whom {
    Whom::Line(format!("line-{number:08}"))
}

fn second(at_s: i64) -> Timestamp {
    Timestamp::from_second(at_s).unwrap()
}

fn record(change: Change, ip: IpAddr, holding: &Holding, at_s: i64, server: &str) -> Assignment {
    Assignment {
        change,
        given: Some(Given { net: ip.into(), ports: holding.ports }),
        whom: Some(holding.whom.clone()),
        at: second(at_s),
        until: None,
        began: None,
        server: server.into(),
        session: None,
        clock_offset_s: None,
        line: 0,
    }
}
