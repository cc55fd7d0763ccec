//! What records say becomes sessions: the table of open sessions, and the rules for everything that goes wrong on the way.
//!
//! Records come late, twice, out of order, from clocks that are wrong, and some never come. The rules:
//!
//! - The clock that is believed is the receiver's. By how much a server's own clock is off in a record, compared with what
//!   is usual for it, is the doubt of that border.
//! - A session whose Stop was lost is certain until its last record and surely over when the next begins on the slot, or
//!   its lease ends. What lies between is nobody's.
//! - Of several records about one border the earliest counts.
//! - Two lines that were there at once contradict each other: for that time nobody is told, and it is counted.
//! - Whatever is read a second time changes nothing.
//!
//! Pure: the same entries in the same order give the same state, which is how the log brings it back.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use noroshi_wire::Change;

use crate::days::Days;
use crate::entry::Entry;
use crate::row::{Near, Row, SAME_START_S, Slot};
use crate::segment::{Point, Reach};
use crate::slots::SlotMap;

/// A session that goes on. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    pub line: u32,
    pub server: u32,
    pub session: u64,
    pub start_s: i64,
    pub heard_s: i64,
    /// When it ends by itself.
    pub until_s: Option<i64>,
    /// When somebody else began on the slot. It is over unless a later word of it comes; its Stop may still come late.
    pub displaced_s: Option<i64>,
    pub start_doubt_s: u32,
}

/// How long a word of a displaced session is waited for. Longer than access servers are silent about a session.
const DISPLACED_KEPT_S: i64 = 26 * 3600;
/// By how many seconds a copy of a record may be told later than the record.
const COPY_S: i64 = 10;

/// Whether what is told of a moment may be a copy of what happened at another.
fn is_copy(of_s: i64, at_s: i64) -> bool {
    (0..=COPY_S).contains(&(at_s - of_s))
}

/// Displaced sessions of a slot that are waited for.
const DISPLACED_MAX: usize = 8;

impl Open {
    /// As a row: what is known of it now.
    pub fn row(&self, slot: Slot) -> Row {
        let (end_s, gone_s) = match self.until_s {
            Some(until) => (until.max(self.heard_s), until.max(self.heard_s)),
            None => (self.heard_s, i64::MAX),
        };
        let (end_s, gone_s) = match self.displaced_s {
            Some(displaced_s) => (end_s.min(displaced_s), gone_s.min(displaced_s)),
            None => (end_s, gone_s),
        };
        Row {
            slot,
            start_s: self.start_s,
            end_s,
            gone_s,
            line: self.line,
            server: self.server,
            start_doubt_s: self.start_doubt_s,
            end_doubt_s: 0,
        }
    }

    /// Whether it is not displaced, as far as is known.
    fn is_there(&self) -> bool {
        self.displaced_s.is_none()
    }

    /// Whether a moment is within it, as far as its lease tells.
    fn is_within(&self, at_s: i64) -> bool {
        let over_s = self.until_s.unwrap_or(self.heard_s).max(self.heard_s);
        let over_s = self.displaced_s.map_or(over_s, |displaced_s| displaced_s.min(over_s));
        self.start_s - SAME_START_S <= at_s && at_s <= over_s
    }

    /// As a row: certain until its last word, and perhaps there until a word that may be of another session.
    fn unsure_until(&self, slot: Slot, gone_s: i64) -> Row {
        let row = Open { displaced_s: None, until_s: None, ..*self }.row(slot);
        Row { end_s: self.heard_s.min(gone_s), gone_s, ..row }
    }

    /// As a row: over without a word, because somebody else was there (or the server began anew) at `gone_s`.
    fn lost(&self, slot: Slot, gone_s: i64) -> Row {
        let gone_s = self.displaced_s.map_or(gone_s, |displaced_s| displaced_s.min(gone_s));
        let by_itself = self.until_s.filter(|until| *until <= gone_s);
        let end_s = by_itself.unwrap_or(self.heard_s).min(gone_s);
        let gone_s = by_itself.unwrap_or(gone_s).max(end_s);
        Row { end_s, gone_s, ..Open { displaced_s: None, ..*self }.row(slot) }
    }
}

/// What an entry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Something is known that was not.
    Kept,
    /// Nothing new.
    Duplicate,
    /// It names no address or nobody: nothing to keep.
    Nothing,
}

/// How far a server's clock was off, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockOf {
    pub seen: BTreeMap<i64, u64>,
    pub samples: u64,
    usual_s: i64,
}

/// Different offsets kept of a server; of a clock that jumps more than this, nothing is usual.
const OFFSETS_MAX: usize = 4096;

impl ClockOf {
    /// The median, as of some samples ago.
    pub fn usual_s(&self) -> i64 {
        self.usual_s
    }

    /// From offsets and how often each was seen.
    pub fn new(seen: BTreeMap<i64, u64>) -> Self {
        Self { samples: seen.values().sum(), usual_s: median(&seen), seen }
    }

    /// Adds a sample.
    pub fn add(&mut self, offset_s: i64) {
        if self.seen.len() < OFFSETS_MAX || self.seen.contains_key(&offset_s) {
            *self.seen.entry(offset_s).or_default() += 1;
        }
        self.samples += 1;
        // Early on with each sample, later now and then: a median moves slowly.
        if self.samples < 64 || self.samples.is_multiple_of(256) {
            self.usual_s = median(&self.seen);
        }
    }
}

fn median(seen: &BTreeMap<i64, u64>) -> i64 {
    let half = seen.values().sum::<u64>() / 2;
    let mut passed = 0;
    let middle = seen.iter().find(|(_, count)| {
        passed += **count;
        passed > half
    });
    middle.map_or(0, |(offset, _)| *offset)
}

/// Everything that is not in a segment yet.
#[derive(Debug, Default)]
pub struct Keeper {
    /// Mostly one for a slot; several contradict each other.
    pub open: SlotMap<Vec<Open>>,
    /// Sessions that are over, until they are written into their day.
    pub recent: SlotMap<Vec<Row>>,
    /// How many rows those are.
    pub recent_rows: usize,
    /// Slots of which rows overlap, with the times in which two lines were certainly there: from, to.
    pub faults: SlotMap<Vec<(i64, i64)>>,
    /// Faults found.
    pub fault_count: u64,
    /// Each server's clock.
    pub clocks: HashMap<u32, ClockOf>,
    /// The largest doubt of any row that was made here.
    pub doubt_max_s: u32,
    /// When each server last began anew.
    pub resets: HashMap<u32, i64>,
    /// The latest time of any record.
    pub newest_s: i64,
}

impl Keeper {
    /// Takes an entry in.
    pub fn apply(&mut self, entry: &Entry, days: &Days) -> Effect {
        let doubt_s = self.doubt(entry);
        self.newest_s = self.newest_s.max(entry.at_s);
        match (entry.change, entry.slot) {
            (Change::Reset, _) => self.reset(entry),
            (_, None) => Effect::Nothing,
            (Change::Start | Change::Interim, Some(slot)) => match entry.line {
                Some(line) => self.hold(entry, slot, line, doubt_s, days),
                None => Effect::Nothing,
            },
            (Change::Stop, Some(slot)) => self.stop(entry, slot, doubt_s, days),
        }
    }

    /// By how much more than usual the server's clock is off in this record.
    fn doubt(&mut self, entry: &Entry) -> u32 {
        let Some(offset_s) = entry.offset_s else { return 0 };
        let clock = self.clocks.entry(entry.server).or_default();
        clock.add(offset_s);
        let doubt_s = u32::try_from((offset_s - clock.usual_s()).unsigned_abs()).unwrap_or(u32::MAX);
        self.doubt_max_s = self.doubt_max_s.max(doubt_s);
        doubt_s
    }

    fn hold(&mut self, entry: &Entry, slot: Slot, line: u32, doubt_s: u32, days: &Days) -> Effect {
        // A lease's rows do not tell whether they are its first.
        let first = entry.change == Change::Start && entry.until_s.is_none();
        let exact = first || entry.began_s.is_some();
        let told_s = entry.began_s.unwrap_or(entry.at_s).min(entry.at_s);
        let new = Open {
            line,
            server: entry.server,
            session: entry.session,
            start_s: told_s,
            heard_s: entry.at_s,
            until_s: entry.until_s,
            displaced_s: None,
            start_doubt_s: doubt_s,
        };
        let reset_s = self.resets.get(&new.server).copied().unwrap_or(i64::MIN);
        let back = known(self.open_on(slot), &new)
            .is_some_and(|o| o.displaced_s.is_some_and(|at_s| at_s < new.heard_s));
        // A word of a session that is over does not bring back an earlier one of the same id.
        if back && !exact && self.knows(entry, slot, line, told_s, exact, days) {
            return Effect::Duplicate;
        }
        if back && !exact {
            self.come_back(slot, &new, days);
            return match new.session {
                0 => self.displace(slot, &new, days),
                // By its id it may have been there all the time, beside the others: they are not over by this.
                _ => self.stand_beside(slot, &new, days),
            };
        }
        if let Some(known) = known(self.open_on(slot), &new) {
            let begun_anew = known.heard_s < reset_s && reset_s <= new.heard_s;
            let moved_s = told_s - known.start_s;
            let of_it = match (exact, new.until_s) {
                // Without an id, a Start that is no copy is another session, even if the first was that short.
                (true, _) => {
                    moved_s.abs() <= SAME_START_S && !(first && new.session == 0 && moved_s > COPY_S)
                }
                (false, None) => !begun_anew,
                (false, Some(_)) => !begun_anew && known.is_within(told_s),
            };
            if of_it {
                let effect = goes_on(known, &new, exact);
                let doubt_s = known.start_doubt_s;
                self.doubt_max_s = self.doubt_max_s.max(doubt_s);
                return effect;
            }
            if first && new.session == 0 && known.start_s < told_s && told_s < known.heard_s {
                // Without an id, these were two: of the first only its beginning is certain.
                let before = Open { heard_s: known.start_s, ..*known };
                let displaced_s = known.displaced_s.filter(|at_s| *at_s > told_s);
                *known = Open { start_s: told_s, start_doubt_s: doubt_s, displaced_s, ..*known };
                return self.close(before.unsure_until(slot, told_s), days);
            }
            if told_s < known.heard_s && (exact || new.until_s.is_some()) {
                // The id was used before, and this is a late word of that session.
                let gone_s = known.start_s.max(entry.at_s);
                let row = new.row(slot);
                if new.until_s.is_some() && self.knows(entry, slot, line, told_s, exact, days) {
                    return Effect::Duplicate;
                }
                return self.close(Row { gone_s, end_s: row.end_s.min(gone_s), ..row }, days);
            }
            // The id is used anew.
        } else if self.knows(entry, slot, line, told_s, exact, days) {
            return Effect::Duplicate;
        }
        self.displace(slot, &new, days)
    }

    /// The open sessions of a slot.
    fn open_on(&mut self, slot: Slot) -> &mut [Open] {
        self.open.get_mut(&slot).map_or(&mut [], Vec::as_mut_slice)
    }

    /// Who was displaced may have been there all the time, or be back after it was gone: ids are used again, and there may be
    /// none. So nobody can say who was there from the last word to this.
    fn come_back(&mut self, slot: Slot, new: &Open, days: &Days) {
        let before = known(self.open_on(slot), new).map(|o| *o);
        if let Some(before) = before {
            self.open.entry(slot).retain(|o| *o != before);
            self.close(before.unsure_until(slot, new.heard_s), days);
        }
    }

    /// Puts a session that begins in the place of those on the slot.
    fn displace(&mut self, slot: Slot, new: &Open, days: &Days) -> Effect {
        let list = self.open.entry(slot);
        // Somebody began later and is still there: this is a late word of an earlier session.
        if list.iter().any(|o| o.is_there() && o.start_s >= new.heard_s) {
            return self.stand_beside(slot, new, days);
        }
        for open in list.iter_mut().filter(|o| o.is_there()) {
            let ended = new.start_s >= open.row(slot).end_s.min(open.heard_s);
            let reconnected = open.line == new.line && new.start_s > open.start_s + SAME_START_S;
            if ended || reconnected {
                open.displaced_s = Some(new.start_s);
            }
        }
        list.push(*new);
        self.let_go(slot, new, days);
        Effect::Kept
    }

    /// Puts a session beside those on the slot; where somebody began later and is still there, what else comes of this one tells
    /// whether it was over then.
    fn stand_beside(&mut self, slot: Slot, new: &Open, days: &Days) -> Effect {
        let list = self.open.entry(slot);
        let there = list.iter().filter(|o| o.is_there());
        let later_s = there.map(|o| o.start_s).filter(|start| *start >= new.heard_s).min();
        let until_s = new.until_s.filter(|_| later_s.is_none());
        list.push(Open { displaced_s: later_s, until_s, ..*new });
        self.let_go(slot, new, days);
        Effect::Kept
    }

    /// Closes sessions of a slot of which no word is waited for any more.
    fn let_go(&mut self, slot: Slot, new: &Open, days: &Days) {
        let list = self.open.entry(slot);
        let settled = |o: &Open| o.displaced_s.is_some_and(|at| at < new.heard_s - DISPLACED_KEPT_S);
        if list.len() <= DISPLACED_MAX && !list.iter().any(settled) {
            return;
        }
        let (settled, waiting): (Vec<Open>, Vec<Open>) = list.iter().partition(|o| settled(o));
        *list = waiting;
        if list.len() > DISPLACED_MAX {
            // So many at once contradict each other for ever: the oldest is let go as far as it is certain.
            let first = list.remove(0);
            self.close(first.lost(slot, new.start_s), days);
        }
        for open in settled {
            self.close(open.lost(slot, new.start_s), days);
        }
    }

    /// Closes displaced sessions of which no word came for long enough.
    pub fn settle(&mut self, days: &Days) {
        let newest_s = self.newest_s;
        let is_over = |o: &Open| o.displaced_s.is_some_and(|at| at < newest_s - DISPLACED_KEPT_S);
        let slots: Vec<Slot> =
            self.open.iter().filter(|(_, list)| list.iter().any(is_over)).map(|(slot, _)| slot).collect();
        for slot in slots {
            let list = std::mem::take(self.open.entry(slot));
            let (over, staying): (Vec<Open>, Vec<Open>) = list.into_iter().partition(is_over);
            self.leave(slot, staying);
            for open in over {
                self.close(open.lost(slot, i64::MAX), days);
            }
        }
    }

    /// Forgets contradictions that ended before a moment.
    pub fn forget_faults_before(&mut self, at_s: i64) {
        self.faults.retain(|times| times.is_empty() || times.iter().any(|(_, to_s)| *to_s >= at_s));
    }

    /// Puts back what stays open on a slot.
    fn leave(&mut self, slot: Slot, staying: Vec<Open>) {
        if staying.is_empty() {
            self.open.remove(&slot);
        } else {
            *self.open.entry(slot) = staying;
        }
    }

    fn stop(&mut self, entry: &Entry, slot: Slot, doubt_s: u32, days: &Days) -> Effect {
        let list = self.open_on(slot);
        let mine = |o: &Open| {
            o.server == entry.server
                && o.session == entry.session
                && entry.line.is_none_or(|line| line == o.line)
        };
        // Of several with the same id, or none, the one that began last before; but a copy of a Stop may be told a little later
        // than when the line came back.
        let of_id = || list.iter().enumerate().filter(|(_, o)| mine(o));
        let left_then = |o: &Open| o.displaced_s.is_some_and(|at| is_copy(at, entry.at_s));
        let last = of_id().max_by_key(|(_, o)| (o.start_s <= entry.at_s, o.start_s));
        let left = of_id().find(|(_, o)| left_then(o));
        let found = match (last, left) {
            (Some((_, last)), Some(_)) if is_copy(last.start_s, entry.at_s) => left,
            _ => last,
        };
        let found = found.map(|(at, o)| (at, *o));
        let over = |start_s, start_doubt_s, line| Row {
            slot,
            start_s,
            end_s: entry.at_s,
            gone_s: entry.at_s,
            line,
            server: entry.server,
            start_doubt_s,
            end_doubt_s: doubt_s,
        };
        let Some((at, open)) = found else {
            let Some(line) = entry.line else { return Effect::Nothing };
            // Without a beginning, a Stop of what is not open is a copy or tells of a moment only.
            let start_s = entry.began_s.unwrap_or(entry.at_s).min(entry.at_s);
            return match self.knows(entry, slot, line, start_s, entry.began_s.is_some(), days) {
                true => Effect::Duplicate,
                false if entry.began_s.is_none() => Effect::Nothing,
                false => self.close(over(start_s, doubt_s, line), days),
            };
        };
        let in_doubt = !open.is_there() || is_copy(open.start_s, entry.at_s);
        if in_doubt && entry.began_s.is_none() && self.left(slot, &open, entry.at_s, days) {
            return Effect::Duplicate;
        }
        let another = entry.began_s.is_some_and(|began| (began - open.start_s).abs() > SAME_START_S);
        if entry.at_s < open.start_s || (another && entry.began_s < Some(open.start_s)) {
            // The Stop of an earlier session with the same id.
            return match entry.began_s {
                Some(began_s) => self.close(over(began_s.min(entry.at_s), doubt_s, open.line), days),
                None => Effect::Nothing,
            };
        }
        let list = self.open.entry(slot);
        list.swap_remove(at);
        if list.is_empty() {
            self.open.remove(&slot);
        }
        let back = open.displaced_s.is_some_and(|displaced_s| displaced_s + COPY_S < entry.at_s);
        if back && entry.began_s.is_none() {
            return self.close(open.unsure_until(slot, entry.at_s), days);
        }
        match entry.began_s.filter(|_| another) {
            Some(began_s) => {
                self.close(open.lost(slot, began_s), days);
                self.close(over(began_s, doubt_s, open.line), days)
            }
            None => self.close(over(open.start_s, open.start_doubt_s, open.line), days),
        }
    }

    /// The server began anew: what it had given is over, and its ids begin again. Who comes next is told by the next Start;
    /// until then nobody can say, because Starts are lost when everybody comes back at once.
    fn reset(&mut self, entry: &Entry) -> Effect {
        let last_s = self.resets.entry(entry.server).or_insert(i64::MIN);
        let effect = if entry.at_s > *last_s { Effect::Kept } else { Effect::Duplicate };
        *last_s = entry.at_s.max(*last_s);
        effect
    }

    /// Whether a closed session says all that a record of it would.
    fn knows(&self, entry: &Entry, slot: Slot, line: u32, told_s: i64, exact: bool, days: &Days) -> bool {
        let (at_s, lease) = (entry.at_s, entry.until_s.is_some());
        let tells = |row: &Row| {
            row.slot == slot
                && row.line == line
                && at_s <= row.gone_s
                && match (exact, lease) {
                    // What begins when another ended is a new one, however short that was.
                    (true, _) => {
                        let from_start_s = (row.start_s - told_s).abs();
                        from_start_s <= SAME_START_S && from_start_s <= (row.gone_s - told_s).abs()
                    }
                    (false, false) => row.start_s - SAME_START_S <= at_s && at_s <= row.end_s,
                    // A lease that begins in the second in which another was released is a new one.
                    (false, true) => row.start_s - SAME_START_S <= at_s && at_s < row.end_s,
                }
        };
        let mut known = false;
        self.over_between(slot, told_s - SAME_START_S, at_s.max(told_s) + SAME_START_S, days, |row| {
            known |= tells(row);
        });
        known
    }

    /// Whether another session of the same line was over just then: what looks like the Stop of this one is a copy of its
    /// Stop.
    fn left(&self, slot: Slot, open: &Open, at_s: i64, days: &Days) -> bool {
        let mut left = false;
        self.over_between(slot, at_s - COPY_S, at_s + COPY_S, days, |row| {
            let another = (row.start_s - open.start_s).abs() > SAME_START_S || row.start_s < open.start_s;
            // One that was there and was not there meanwhile is certain until earlier, and its Stop came when it was gone.
            let over_s = [row.end_s, row.gone_s].map(|over_s| over_s.saturating_sub(at_s).abs());
            left |= row.line == open.line && another && over_s.iter().any(|apart_s| *apart_s <= COPY_S);
        });
        left
    }

    /// Keeps a session that is over.
    pub fn close(&mut self, row: Row, days: &Days) -> Effect {
        let (mut row, mut same, mut against) = (row, false, Vec::new());
        let mut untidy = false;
        let too_many = self.over_between(row.slot, row.start_s - SAME_START_S, row.gone_s, days, |other| {
            if other.same_session(&row) {
                let joined = other.joined(&row);
                same |= joined == *other;
                row = joined;
                return;
            }
            untidy |= other.start_s < row.gone_s && row.start_s < other.gone_s;
            if other.contradicts(&row) {
                against.push((other.start_s.max(row.start_s), other.end_s.min(row.end_s)));
            }
        });
        if same {
            return Effect::Duplicate;
        }
        if too_many {
            against.push((row.start_s, row.end_s));
        }
        if let Some(list) = self.open.get_mut(&row.slot) {
            let rows = list
                .iter()
                .map(|o| Row { end_s: o.heard_s, ..o.row(row.slot) })
                .filter(|other| !other.same_session(&row));
            let at_once = rows.filter(|other| other.contradicts(&row));
            against.extend(at_once.map(|other| (other.start_s.max(row.start_s), other.end_s.min(row.end_s))));
        }
        self.fault_count += against.len() as u64;
        if untidy || !against.is_empty() {
            self.faults.entry(row.slot).extend(against);
        }
        self.doubt_max_s = self.doubt_max_s.max(row.start_doubt_s).max(row.end_doubt_s);
        let list = self.recent.entry(row.slot);
        match list.iter_mut().find(|other| other.same_session(&row)) {
            Some(other) => *other = row,
            None => {
                list.push(row);
                self.recent_rows += 1;
            }
        }
        Effect::Kept
    }

    /// Every closed session of exactly this slot that touches a time. Tells whether there are more than were looked at.
    fn over_between(
        &self,
        slot: Slot,
        from_s: i64,
        to_s: i64,
        days: &Days,
        mut each: impl FnMut(&Row),
    ) -> bool {
        let port = slot.ports.map(|(first, _)| first);
        let point = Point { addr: slot.addr, v4: slot.v4(), port };
        let reach = Reach { at_s: from_s.midpoint(to_s), within_s: (to_s - from_s) / 2 + 1 };
        self.recent.visit(point, |at, rows| {
            if *at == slot {
                rows.iter().filter(|row| reach.is_near(row)).for_each(&mut each);
            }
            ControlFlow::Continue(())
        });
        let mut near = Near::new();
        let untidy = self.faults.get(&slot).is_some();
        let first = days.first(reach);
        days.near(point, reach, (first, days.places(point, first)), untidy, &mut near);
        near.rows().iter().filter(|row| row.slot == slot).for_each(each);
        near.is_overfull()
    }
}

/// Of the open sessions of an id, the one of which a record speaks: that began when it says, else that it is within, else
/// the last.
fn known<'a>(list: &'a mut [Open], new: &Open) -> Option<&'a mut Open> {
    let same = |o: &Open| (o.line, o.server, o.session) == (new.line, new.server, new.session);
    let fit = |o: &Open| {
        let begins = (o.start_s - new.start_s).abs() <= SAME_START_S;
        (begins, o.is_within(new.start_s), o.start_s)
    };
    list.iter_mut().filter(|o| same(o)).max_by_key(|o| fit(o))
}

/// What another record of an open session adds. Where it tells of another start, the time between is in doubt.
fn goes_on(known: &mut Open, new: &Open, exact: bool) -> Effect {
    let before = *known;
    if exact {
        let apart_s = u32::try_from((new.start_s - known.start_s).abs()).unwrap_or(u32::MAX);
        known.start_doubt_s = known.start_doubt_s.max(apart_s);
        known.start_s = known.start_s.min(new.start_s);
    }
    known.heard_s = known.heard_s.max(new.heard_s);
    if known.displaced_s.is_some_and(|at| at < known.heard_s) {
        // It was there all the time, and so was somebody else.
        known.displaced_s = None;
    }
    known.until_s = known.until_s.max(new.until_s);
    if before == *known { Effect::Duplicate } else { Effect::Kept }
}
