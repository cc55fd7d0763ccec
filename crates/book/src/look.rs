//! The only way in: a look at one address. It comes sealed, so that only a permit opens it, after the evidence is written;
//! what it then says stays bound to the permit's purpose.
//!
//! ```text
//!   Book::look(address) ──▶ Sealed<Look> ──Vault::open_one(permit, ledger)──▶ Lawful<Look, P> ──who──▶ Answer
//! ```

use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;

use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_law::Sealed;
use noroshi_wire::Whom;
use noroshi_wire::nat_rules::{NatRefusal, NatRules};

use crate::book::Book;
use crate::days::Places;
use crate::row::{Doubt, Near, Row, Verdict, judge};
use crate::segment::{Point, Reach, day_of};

/// What the operator says of the network.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Seconds around a session's start and end in which nobody can say: how far apart the asker's clock and ours may be.
    pub border_s: i64,
    /// Addresses that several subscribers share (CGNAT): never answered without a mapping of the port.
    pub shared: Vec<IpNet>,
    /// Shared addresses whose ports are given by rule.
    pub nat: NatRules,
}

impl Rules {
    /// Default of `border-s`.
    pub const BORDER_S: i64 = 5;
}

impl Default for Rules {
    fn default() -> Self {
        Self { border_s: Self::BORDER_S, shared: Vec::new(), nat: NatRules::default() }
    }
}

/// One address of the book.
pub struct Look<'a> {
    book: &'a Book,
    ip: IpAddr,
}

/// Who held it, and the rows that say so.
#[derive(Clone, PartialEq, Eq)]
pub struct Held {
    /// The subscriber line, as the network names it.
    pub line: String,
    /// Seconds to the nearest known border of any session the answer rests on.
    pub margin_s: i64,
    /// The rows it rests on: the address's, and behind a translator that of the inside address.
    pub rows: Vec<Source>,
}

/// A row as evidence.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct Source {
    /// The access server, DHCP server or translator.
    pub server: String,
    /// When the session began.
    pub start: Timestamp,
    /// Until when it is certain.
    pub end: Timestamp,
    /// Whether a record tells its end.
    pub stopped: bool,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held(‹redacted›)")
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source(‹redacted›)")
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This line.
    One(Held),
    /// Nobody.
    None,
    /// Nobody can say.
    Ambiguous(Doubt),
}

/// An answer without the row it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brief {
    /// The line, and the margin.
    One(u32, u32),
    None,
    Ambiguous(Doubt),
}

impl Brief {
    pub(crate) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::One(row, margin_s) => Self::One(row.line, u32::try_from(*margin_s).unwrap_or(u32::MAX)),
            Verdict::None => Self::None,
            Verdict::Ambiguous(doubt) => Self::Ambiguous(*doubt),
        }
    }
}

/// Questions of a batch that are taken a step further together.
const TOGETHER: usize = 32;
/// Questions that are sorted together: two to the power of this.
const NUMBER_BITS: u32 = 20;

impl Book {
    /// A look at an address.
    pub fn look(&self, ip: IpAddr) -> Sealed<Look<'_>> {
        Sealed::new(Look { book: self, ip: ip.to_canonical() })
    }

    /// What the rows say. `border_s` is how far the asker's clock and ours may be apart.
    #[inline]
    pub(crate) fn judge(&self, point: Point, at_s: i64, border_s: i64) -> Verdict {
        let reach = self.reach(at_s, border_s);
        let first = self.days.first(reach);
        let places = self.days.places(point, first);
        // The rows of the days to come may be needed: they are waited for together.
        std::hint::black_box(self.days.touch_rows(first, &places));
        self.judge_at(point, reach, (first, places), border_s)
    }

    #[inline]
    fn reach(&self, at_s: i64, border_s: i64) -> Reach {
        let doubt_s = self.keeper.doubt_max_s.max(self.days.doubt_max_s());
        Reach { at_s, within_s: border_s.max(doubt_s.into()) }
    }

    /// The same with the first places found before.
    #[inline]
    fn judge_at(&self, point: Point, reach: Reach, places: (usize, Places), border_s: i64) -> Verdict {
        let keeper = &self.keeper;
        let mut near = Near::new();
        let (untidy, contradicted) = self.contradicted(point, reach.at_s, border_s);
        let mut shared = self.days.near(point, reach, places, untidy, &mut near);
        let mut take = |row: Row| {
            if !reach.is_near(&row) {
                return ControlFlow::Continue(());
            }
            if row.slot.ports.is_some() && point.port.is_none() {
                shared = true;
                return ControlFlow::Break(());
            }
            near.push(row);
            ControlFlow::Continue(())
        };
        if keeper.open.len() > 0 {
            keeper.open.visit(point, |slot, list| list.iter().try_for_each(|open| take(open.row(*slot))));
        }
        if keeper.recent_rows > 0 {
            keeper.recent.visit(point, |_, rows| rows.iter().try_for_each(|row| take(*row)));
        }
        if shared {
            return Verdict::Ambiguous(Doubt::SharedAddress);
        }
        if contradicted {
            return Verdict::Ambiguous(Doubt::Overlap);
        }
        judge(&mut near, reach.at_s, border_s)
    }

    /// The same for many questions, in their order and in brief. They are asked sorted by day and address, so that what lies
    /// side by side is read side by side; and some dozens at a time are taken a step further together, so that the processor
    /// waits for memory once for all of them.
    pub(crate) fn judge_all(&self, asked: &[(Point, i64)], border_s: i64) -> Vec<Brief> {
        let number = |sorted: u64| (sorted & ((1 << NUMBER_BITS) - 1)) as usize;
        let mut said = Vec::with_capacity(asked.len());
        for asked in asked.chunks(1 << NUMBER_BITS) {
            let numbered = asked.iter().zip(0..);
            let mut sorted: Vec<u64> =
                numbered.map(|((point, at_s), number)| self.place(*point, *at_s) | number).collect();
            sorted.sort_unstable();
            let in_order: Vec<(Point, i64)> = sorted.iter().map(|place| asked[number(*place)]).collect();
            let mut verdicts = Vec::with_capacity(asked.len());
            in_order.chunks(TOGETHER).for_each(|group| self.judge_some(group, border_s, &mut verdicts));
            let begun = said.len();
            said.resize(begun + asked.len(), Brief::None);
            for (place, verdict) in sorted.iter().zip(verdicts) {
                said[begun + number(*place)] = verdict;
            }
        }
        said
    }

    /// About where a look reads: day and address, in the upper bits.
    fn place(&self, point: Point, at_s: i64) -> u64 {
        let first_day = self.days.first_day().unwrap_or(0);
        let day = (i64::from(day_of(at_s)) - i64::from(first_day)).clamp(0, 0xffff) as u64;
        let address = point.v4.map_or((point.addr >> 72) as u64 & 0xfff_ffff, |ip| u64::from(ip >> 4));
        day << 48 | address << NUMBER_BITS
    }

    fn judge_some(&self, group: &[(Point, i64)], border_s: i64, verdicts: &mut Vec<Brief>) {
        let mut found = [(0, Places::default()); TOGETHER];
        let mut touched = 0;
        for ((point, at_s), (first, _)) in group.iter().zip(&mut found) {
            *first = self.days.first(self.reach(*at_s, border_s));
            touched ^= self.days.touch_tiles(*point, *first);
        }
        for ((point, _), (first, places)) in group.iter().zip(&mut found) {
            *places = self.days.places(*point, *first);
        }
        for (first, places) in &found[..group.len()] {
            touched ^= self.days.touch_rows(*first, places);
        }
        // What was touched means nothing, but it must be read.
        std::hint::black_box(touched);
        verdicts.extend(group.iter().zip(found).map(|((point, at_s), found)| {
            Brief::of(&self.judge_at(*point, self.reach(*at_s, border_s), found, border_s))
        }));
    }

    /// Whether rows of the slot overlap at all, and whether two lines were there at this moment.
    fn contradicted(&self, point: Point, at_s: i64, border_s: i64) -> (bool, bool) {
        let faults = &self.keeper.faults;
        let (mut untidy, mut now) = (false, false);
        if faults.len() > 0 {
            faults.visit(point, |_, times| {
                untidy = true;
                now |= times.iter().any(|(from, to)| from - border_s <= at_s && at_s <= to + border_s);
                if now { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        }
        (untidy, now)
    }

    fn source(&self, row: &Row) -> Source {
        let time = |at_s| Timestamp::from_second(at_s).unwrap_or_default();
        let server = String::from_utf8_lossy(self.servers.name(row.server).unwrap_or_default()).into_owned();
        Source { server, start: time(row.start_s), end: time(row.end_s), stopped: row.stopped() }
    }
}

impl Look<'_> {
    /// Who held the address at `at`, on `port` where it was told. `off_s`: by how many seconds the asker's time may be wrong,
    /// beyond what the clocks of those who know the time differ ([`Rules::border_s`]).
    pub fn who(&self, port: Option<u16>, at: Timestamp, off_s: u32, rules: &Rules) -> Answer {
        let border_s = rules.border_s.saturating_add(off_s.into());
        if rules.nat.is_shared(self.ip) {
            let changes = rules.nat.changes_near(self.ip, at, border_s);
            match rules.nat.inside(self.ip, port, at) {
                _ if changes && port.is_some() => return Answer::Ambiguous(Doubt::Border),
                Ok(mapped) => return self.inside(mapped.inside.addr(), at, border_s, i64::MAX, Vec::new()),
                // Given out as needed: the translator's log may say.
                Err(NatRefusal::Dynamic | NatRefusal::NoRule) => {}
                Err(NatRefusal::Nobody) => return Answer::None,
                Err(NatRefusal::NoPort | NatRefusal::Reserved) => {
                    return Answer::Ambiguous(Doubt::SharedAddress);
                }
            }
        }
        let shared = rules.nat.is_shared(self.ip) || rules.shared.iter().any(|net| net.contains(&self.ip));
        if shared && port.is_none() {
            return Answer::Ambiguous(Doubt::SharedAddress);
        }
        let (row, margin_s) = match self.book.judge(Point::new(self.ip, port), at.as_second(), border_s) {
            // That no log says whose port it was does not make it nobody's.
            Verdict::None if shared => return Answer::Ambiguous(Doubt::SharedAddress),
            Verdict::None => return Answer::None,
            Verdict::Ambiguous(doubt) => return Answer::Ambiguous(doubt),
            Verdict::One(row, margin_s) => (row, margin_s),
        };
        if shared && row.slot.ports.is_none() {
            // Somebody has the whole of an address that is shared: no mapping of the port is known.
            return Answer::Ambiguous(Doubt::SharedAddress);
        }
        let source = self.book.source(&row);
        match self.book.whom(row.line) {
            None => Answer::None,
            Some(Whom::Line(line)) => Answer::One(Held { line, margin_s, rows: vec![source] }),
            Some(Whom::Inside(inside)) => self.inside(inside, at, border_s, margin_s, vec![source]),
        }
    }

    /// Who held an address behind a translator: the same question again, once.
    fn inside(
        &self,
        ip: IpAddr,
        at: Timestamp,
        border_s: i64,
        margin_s: i64,
        mut rows: Vec<Source>,
    ) -> Answer {
        match self.book.judge(Point::new(ip, None), at.as_second(), border_s) {
            Verdict::One(row, inner_s) => match self.book.whom(row.line) {
                Some(Whom::Line(line)) => {
                    rows.push(self.book.source(&row));
                    Answer::One(Held { line, margin_s: margin_s.min(inner_s), rows })
                }
                _ => Answer::Ambiguous(Doubt::Inside),
            },
            Verdict::None | Verdict::Ambiguous(_) => Answer::Ambiguous(Doubt::Inside),
        }
    }
}

impl fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look(‹redacted›)")
    }
}
