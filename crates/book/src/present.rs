//! Who is there now: every line that has an address to itself, as far as the open sessions tell. For measures that act on what lines do this moment,
//! such as a warning before a site opens.
//!
//! Only what is certain is told, because somebody else's word must not be taken for a line's own: of two sessions on a slot neither, of a session that was
//! silent for too long nothing, and nothing of an address whose ports are shared out.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use noroshi_law::Sealed;
use noroshi_wire::Whom;

use crate::book::Book;
use crate::keeper::Open;
use crate::row::Slot;

/// A line's number in this book, for as long as it is not opened anew. It tells two lines apart and says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineNumber(u32);

/// What changed since somebody last looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Nothing is known of before: everything is to be looked at. Numbers of lines mean other lines than before.
    All,
    /// Something may have changed on these.
    Slots(Vec<Slot>),
}

/// How far somebody has looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    epoch: u64,
    moves: u64,
}

/// Slots that are remembered as changed; who is further behind looks at everything.
const MOVES_MAX: usize = 200_000;

/// The latest changes, for as many as want to follow.
#[derive(Debug)]
pub(crate) struct Moves {
    /// Since when numbers of lines mean what they do; 0 is nobody's.
    epoch: u64,
    /// How many there were before those that are remembered.
    before: u64,
    latest: VecDeque<Slot>,
}

impl Default for Moves {
    fn default() -> Self {
        Self { epoch: 1, before: 0, latest: VecDeque::new() }
    }
}

impl Moves {
    /// Something may have changed on this.
    pub(crate) fn add(&mut self, slot: Slot) {
        if self.latest.len() >= MOVES_MAX {
            self.latest.pop_front();
            self.before += 1;
        }
        self.latest.push_back(slot);
    }

    /// Anything may have changed.
    pub(crate) fn all(&mut self) {
        *self = Self { epoch: self.epoch + 1, ..Self::default() };
    }
}

/// The open sessions at one moment.
pub struct Present<'a> {
    book: &'a Book,
    now_s: i64,
    silent_s: i64,
}

impl fmt::Debug for Present<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Present(‹redacted›)")
    }
}

impl Slot {
    /// As a network: one address, or a prefix.
    pub fn net(self) -> IpNet {
        let (ip, len) = match self.ip() {
            ip @ IpAddr::V4(_) => (ip, self.len.saturating_sub(96)),
            ip @ IpAddr::V6(_) => (ip, self.len),
        };
        IpNet::new(ip, len).map_or(IpNet::from(ip), |net| net.trunc())
    }
}

impl Book {
    /// Who is there at `now`. A session of which no word came for `silent` is not counted on.
    pub fn present(&self, now: Timestamp, silent: SignedDuration) -> Sealed<Present<'_>> {
        Sealed::new(Present { book: self, now_s: now.as_second(), silent_s: silent.as_secs() })
    }

    /// What changed since somebody had looked that far, and how far that is now. Who looks for the first time sees everything.
    pub fn moved(&self, since: Looked) -> (Moved, Looked) {
        let Moves { epoch, before, latest } = &self.moves;
        let now = Looked { epoch: *epoch, moves: before + latest.len() as u64 };
        if since.epoch != *epoch || since.moves < *before {
            return (Moved::All, now);
        }
        let known = usize::try_from(since.moves - before).unwrap_or(usize::MAX);
        (Moved::Slots(latest.iter().skip(known).copied().collect()), now)
    }
}

impl Present<'_> {
    /// Every slot that one line has to itself, and the line's number.
    pub fn each_slot(&self, mut each: impl FnMut(Slot, LineNumber)) {
        for (slot, open) in self.book.keeper.open.iter() {
            if let Some(line) = self.only(slot, open) {
                each(slot, line);
            }
        }
    }

    /// Whose a slot is now; nobody's where that is not certain.
    pub fn line_on(&self, slot: Slot) -> Option<LineNumber> {
        self.only(slot, self.book.keeper.open.get(&slot)?)
    }

    /// How the network names a line.
    pub fn name(&self, line: LineNumber) -> Option<String> {
        match self.book.whom(line.0)? {
            Whom::Line(name) => Some(name),
            Whom::Inside(_) => None,
        }
    }

    fn only(&self, slot: Slot, open: &[Open]) -> Option<LineNumber> {
        if slot.ports.is_some() {
            return None;
        }
        let mut there = open.iter().filter(|open| self.is_there(open));
        let only = there.next()?;
        there.next().is_none().then_some(LineNumber(only.line))
    }

    fn is_there(&self, open: &Open) -> bool {
        // A lease says itself until when; a session that does not end is there as long as it is heard of.
        let until_s = open.until_s.unwrap_or_else(|| open.heard_s.saturating_add(self.silent_s));
        open.displaced_s.is_none() && self.now_s <= until_s
    }
}
