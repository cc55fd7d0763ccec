//! The nouns of the book: a slot, which is what can be held; a row, which is one line's holding of it; and the answer to
//! "who held it", which is drawn from rows by one pure function.
//!
//! ```text
//!   row:     start ──────── sure ──────── end ──── nobody knows ──── gone
//!   answer:        One(line, margin)           NoStop              None
//! ```
//!
//! A row says until when it is certain (`end`) and from when it is surely over (`gone`). With a Stop both are the same.
//! Without one, `gone` is when the next holder began; so a lost Stop never swallows the next customer's time, and the time
//! between is nobody's.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use noroshi_wire::Given;

/// Starts that lie no further apart are of the same session: what a later record counts back differs a little.
pub const SAME_START_S: i64 = 120;
/// Rows of one slot near one moment that are looked at. More are a fault of the data.
pub const ROWS_MAX: usize = 8;

/// What can be held: an address, a prefix, or a block of an address's ports. In the order in which rows are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// IPv6 address bits; an IPv4 address is mapped (`::ffff:0:0/96`).
    pub(crate) addr: u128,
    /// Prefix length, of 128.
    pub(crate) len: u8,
    /// Ports, where only a block of them is held: first and last.
    pub(crate) ports: Option<(u16, u16)>,
}

const V4_MAPPED: u128 = 0xffff_0000_0000;

impl Slot {
    /// The slot that was given.
    pub fn of(given: &Given) -> Self {
        let (addr, len) = match given.net.addr() {
            IpAddr::V4(ip) => (V4_MAPPED | u128::from(u32::from(ip)), 96 + given.net.prefix_len()),
            IpAddr::V6(ip) => (u128::from(ip), given.net.prefix_len()),
        };
        // All ports are the whole address.
        Self { addr, len, ports: given.ports.filter(|ports| *ports != (0, u16::MAX)) }
    }

    pub(crate) fn v4(self) -> Option<u32> {
        (self.addr >> 32 == V4_MAPPED >> 32).then_some(self.addr as u32)
    }

    /// The address, or the first of the prefix.
    pub fn ip(self) -> IpAddr {
        match self.v4() {
            Some(ip) => IpAddr::V4(Ipv4Addr::from(ip)),
            None => IpAddr::V6(Ipv6Addr::from(self.addr)),
        }
    }
}

/// In one word more than the address, because slots are hashed on every record.
impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, last) = self.ports.unwrap_or_default();
        state.write_u128(self.addr);
        state.write_u64(u64::from(self.len) << 32 | u64::from(first) << 16 | u64::from(last));
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(‹redacted›)")
    }
}

/// One line's holding of a slot. Times are seconds since 1970 (UTC).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What was held.
    pub slot: Slot,
    /// From when.
    pub start_s: i64,
    /// The last moment at which a record shows it held.
    pub end_s: i64,
    /// From when it was surely over: `end_s` where its end is known, `i64::MAX` where it may go on.
    pub gone_s: i64,
    /// By whom: a number of the book's.
    pub line: u32,
    /// Who gave it: a number of the book's.
    pub server: u32,
    /// Seconds by which the start may be wrong, beyond the usual.
    pub start_doubt_s: u32,
    /// Seconds by which the end may be wrong, beyond the usual.
    pub end_doubt_s: u32,
}

impl Row {
    /// Whether its end is known.
    pub fn stopped(&self) -> bool {
        self.gone_s == self.end_s
    }

    /// Whether both may tell of the same session. Where they do not, because a line came back at once, joining them costs an
    /// answer and gives no wrong one: what they differ in becomes their doubt.
    pub fn same_session(&self, other: &Row) -> bool {
        let close = |one: i64, two: i64| (one - two).abs() <= SAME_START_S;
        let at_once = self.start_s.max(other.start_s) < self.end_s.min(other.end_s);
        self.slot == other.slot
            && self.line == other.line
            && close(self.start_s, other.start_s)
            && (at_once || self.start_s == other.start_s)
            && (!self.stopped() || !other.stopped() || close(self.end_s, other.end_s))
    }

    /// Whether two lines were certainly there at once.
    pub fn contradicts(&self, other: &Row) -> bool {
        self.line != other.line && self.start_s.max(other.start_s) < self.end_s.min(other.end_s)
    }

    /// Of two rows about one session, what they say together: the earliest known end counts, else what was heard last; and
    /// what lies between what they say is in doubt.
    pub fn joined(&self, other: &Row) -> Row {
        let apart = |one: i64, two: i64| u32::try_from((one - two).abs()).unwrap_or(u32::MAX);
        let (better, end_doubt_s) = match (self.stopped(), other.stopped()) {
            (true, false) => (self, self.end_doubt_s),
            (false, true) => (other, other.end_doubt_s),
            (true, true) => {
                let first = if self.end_s <= other.end_s { self } else { other };
                (first, self.end_doubt_s.max(other.end_doubt_s).max(apart(self.end_s, other.end_s)))
            }
            (false, false) => (if self.end_s >= other.end_s { self } else { other }, 0),
        };
        let gone_s = match better.stopped() {
            true => better.gone_s,
            false => self.gone_s.min(other.gone_s).max(better.end_s),
        };
        Row {
            start_s: self.start_s.min(other.start_s),
            gone_s,
            start_doubt_s: self
                .start_doubt_s
                .max(other.start_doubt_s)
                .max(apart(self.start_s, other.start_s)),
            end_doubt_s,
            ..*better
        }
    }

    /// Seconds from a moment within it to its nearest known border.
    fn margin_s(&self, at_s: i64) -> i64 {
        let to_end = if self.stopped() { self.end_s - at_s } else { i64::MAX };
        (at_s - self.start_s).min(to_end)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Row(‹redacted›)")
    }
}

/// Why nobody can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// Several subscribers share the address at once, and no port was said.
    SharedAddress,
    /// Too close to the start or end of a session.
    Border,
    /// After the last record of a session whose Stop has not come.
    NoStop,
    /// Two subscribers at once: the records contradict each other.
    Overlap,
    /// More records than are looked at.
    TooMany,
    /// The holder is an address behind a translator, and who held that one is itself in doubt.
    Inside,
}

impl Doubt {
    /// For people.
    pub fn reason(self) -> &'static str {
        match self {
            Doubt::SharedAddress => "the address is shared and no port was told or no port mapping is known",
            Doubt::Border => "too close to the start or end of a session",
            Doubt::NoStop => "after the last record of a session whose Stop has not come",
            Doubt::Overlap => "two subscribers held the address at once by the records: data fault",
            Doubt::TooMany => "too many sessions on this address at that time",
            Doubt::Inside => "who held the address behind the translator is in doubt",
        }
    }
}

/// What rows say about a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This row's line, and the seconds to the nearest border.
    One(Row, i64),
    /// Nobody.
    None,
    /// Nobody can say.
    Ambiguous(Doubt),
}

/// Who held it at `at_s`, which may be wrong by `border_s`: one line only where nobody else can have held it at any of that
/// time, and nobody only where nobody can. `rows` are those of what was asked about that come near the moment, each session
/// once or more often.
pub fn judge(rows: &mut Near, at_s: i64, border_s: i64) -> Verdict {
    if rows.overfull {
        return Verdict::Ambiguous(Doubt::TooMany);
    }
    rows.join_sessions();
    let rows = rows.rows();
    let near = |border: i64, doubt: u32| (at_s.saturating_sub(border)).abs() <= border_s.max(doubt.into());
    if rows.iter().any(|r| near(r.start_s, r.start_doubt_s) || (r.stopped() && near(r.end_s, r.end_doubt_s)))
    {
        return Verdict::Ambiguous(Doubt::Border);
    }
    let first_s = at_s.saturating_sub(border_s);
    let there = || rows.iter().filter(|r| r.start_s <= at_s && first_s <= r.gone_s);
    // None starts within that time, and none stops: who is there at its middle, by a word of that moment or later, is there
    // with nobody after.
    let sure = || there().filter(|r| at_s <= r.end_s);
    let Some(held) = sure().max_by_key(|r| r.margin_s(at_s)) else {
        return if there().next().is_some() { Verdict::Ambiguous(Doubt::NoStop) } else { Verdict::None };
    };
    // Also one who came and was not heard of again contradicts it.
    match there().any(|other| other.line != held.line) {
        true => Verdict::Ambiguous(Doubt::Overlap),
        false => Verdict::One(*held, held.margin_s(at_s)),
    }
}

/// Rows that come near a moment; a handful, so they are kept without asking for memory.
#[derive(Debug)]
pub struct Near {
    rows: [Row; ROWS_MAX],
    count: usize,
    overfull: bool,
}

const NO_ROW: Row = Row {
    slot: Slot { addr: 0, len: 0, ports: None },
    start_s: 0,
    end_s: 0,
    gone_s: 0,
    line: 0,
    server: 0,
    start_doubt_s: 0,
    end_doubt_s: 0,
};

impl Near {
    /// None yet.
    pub fn new() -> Self {
        Self { rows: [NO_ROW; ROWS_MAX], count: 0, overfull: false }
    }

    /// One more.
    pub fn push(&mut self, row: Row) {
        match self.rows.get_mut(self.count) {
            Some(place) => (*place, self.count) = (row, self.count + 1),
            None => self.overfull = true,
        }
    }

    /// All of them.
    pub fn rows(&self) -> &[Row] {
        &self.rows[..self.count]
    }

    /// Whether there were more than can be looked at.
    pub fn is_overfull(&self) -> bool {
        self.overfull
    }

    fn join_sessions(&mut self) {
        let mut kept = 0;
        for at in 0..self.count {
            let row = self.rows[at];
            match self.rows[..kept].iter_mut().find(|other| other.same_session(&row)) {
                Some(other) => *other = other.joined(&row),
                None => (self.rows[kept], kept) = (row, kept + 1),
            }
        }
        self.count = kept;
    }
}

impl Default for Near {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u32, start_s: i64, end_s: i64, gone_s: i64) -> Row {
        let slot = Slot::of(&Given { net: "198.51.100.7/32".parse().unwrap(), ports: None });
        Row { slot, start_s, end_s, gone_s, line, ..NO_ROW }
    }

    fn ask(rows: &[Row], at_s: i64) -> Verdict {
        let mut near = Near::new();
        rows.iter().for_each(|row| near.push(*row));
        judge(&mut near, at_s, 5)
    }

    #[test]
    fn a_lost_stop_does_not_swallow_the_next_customers_time() {
        let rows = [row(1, 1000, 2000, 5000), row(2, 5000, 6000, 6000)];
        assert!(matches!(ask(&rows, 1500), Verdict::One(r, 500) if r.line == 1));
        assert_eq!(ask(&rows, 3000), Verdict::Ambiguous(Doubt::NoStop));
        assert!(matches!(ask(&rows, 5500), Verdict::One(r, 500) if r.line == 2));
        assert_eq!(ask(&rows, 7000), Verdict::None);
        assert_eq!(ask(&rows, 500), Verdict::None);
    }

    #[test]
    fn within_a_few_seconds_of_a_border_nobody_can_say() {
        let rows = [row(1, 1000, 2000, 2000)];
        for at in [995, 1005, 1995, 2005] {
            assert_eq!(ask(&rows, at), Verdict::Ambiguous(Doubt::Border), "{at}");
        }
        for at in [994, 2006] {
            assert_eq!(ask(&rows, at), Verdict::None, "{at}");
        }
        let doubtful = [Row { start_doubt_s: 300, ..rows[0] }];
        assert_eq!(ask(&doubtful, 1200), Verdict::Ambiguous(Doubt::Border));
    }

    #[test]
    fn a_time_that_may_be_wrong_by_an_hour_is_answered_only_where_the_whole_hour_is_one_lines() {
        let ask = |rows: &[Row], at_s| {
            let mut near = Near::new();
            rows.iter().for_each(|row| near.push(*row));
            judge(&mut near, at_s, 3600)
        };
        let lost = [row(1, 10_000, 20_000, 90_000)];
        assert!(matches!(ask(&lost, 15_000), Verdict::One(r, 5000) if r.line == 1));
        assert!(matches!(ask(&lost, 20_000), Verdict::One(..)), "nobody else begins within the hour after");
        assert_eq!(ask(&lost, 20_001), Verdict::Ambiguous(Doubt::NoStop));
        let taken = [lost[0], row(2, 22_000, 60_000, 60_000)];
        assert_eq!(
            ask(&taken, 19_000),
            Verdict::Ambiguous(Doubt::Border),
            "somebody else begins within the hour after"
        );
        assert_eq!(
            ask(&lost, 92_000),
            Verdict::Ambiguous(Doubt::NoStop),
            "perhaps there within the hour before"
        );
        assert_eq!(ask(&lost, 94_000), Verdict::None);
        let short = [row(1, 10_000, 10_600, 10_600)];
        for at in [7_000, 10_300, 14_000] {
            assert_eq!(ask(&short, at), Verdict::Ambiguous(Doubt::Border), "{at}");
        }
        assert_eq!(ask(&short, 14_201), Verdict::None);
    }

    #[test]
    fn two_at_once_are_a_fault_and_two_reports_of_one_are_not() {
        assert_eq!(
            ask(&[row(1, 1000, 9000, 9000), row(2, 2000, 8000, 8000)], 5000),
            Verdict::Ambiguous(Doubt::Overlap)
        );
        let lost_then_stopped = [row(1, 1000, 2000, 5000), row(1, 1010, 3000, 3000)];
        assert!(matches!(ask(&lost_then_stopped, 2500), Verdict::One(r, 500) if r.line == 1));
        assert_eq!(ask(&lost_then_stopped, 1009), Verdict::Ambiguous(Doubt::Border));
        assert_eq!(ask(&lost_then_stopped, 4000), Verdict::None);
        let came_back_at_once = [row(1, 1000, 1060, 1060), row(1, 1061, 5000, 5000)];
        assert!(matches!(ask(&came_back_at_once, 4000), Verdict::One(r, 1000) if r.line == 1));
    }

    #[test]
    fn of_several_who_may_have_been_there_each_counts() {
        let rows = [row(1, 2000, 8000, 8000), row(2, 1000, 1000, 9000), row(1, 500, 600, i64::MAX)];
        for order in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]] {
            let said = ask(&order.map(|at| rows[at]), 5000);
            assert_eq!(said, Verdict::Ambiguous(Doubt::Overlap), "{order:?}");
        }
        assert!(matches!(ask(&[rows[2], rows[0]], 5000), Verdict::One(r, 3000) if r.line == 1));
    }

    #[test]
    fn more_rows_than_are_looked_at_are_no_answer() {
        let rows: Vec<Row> =
            (0..100).map(|n| row(n, 1000 + i64::from(n) * 200, 2_000_000, 2_000_000)).collect();
        assert_eq!(ask(&rows, 50_000), Verdict::Ambiguous(Doubt::TooMany));
    }
}
