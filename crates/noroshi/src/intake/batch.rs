//! Records on their way to the store, in a few large pieces of memory that are used again for the next ones.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use noroshi_law::{Lawful, SessionKeeping};
use noroshi_model::fields::append;
use noroshi_model::{Bad, Datum};
use noroshi_orient::enrich::ReverseDns;
use noroshi_orient::list::Mark;
use noroshi_store::events::Intake;
use noroshi_store::log::NewEvent;
use noroshi_store::quarantine::NewQuarantine;
use noroshi_wire::{Assignment, ClockSample};

/// Events in one transaction, at most.
const EVENTS_MAX: usize = 8192;
/// Bytes of events in one transaction, unless one record has more.
const BYTES_MAX: usize = 8 << 20;
/// Records of who held what in one batch of the session book.
const ASSIGNMENTS_MAX: usize = 4096;

/// What was read and is not yet stored.
#[derive(Default)]
pub struct Batch {
    json: Vec<u8>,
    placed: Vec<Placed>,
    nameless: Vec<Nameless>,
    bad: Vec<(Bad, bool)>,
    bad_bytes: usize,
    how: String,
    /// Records left out by a rule.
    pub filtered: u64,
    /// Records of who held what, for the session book: one record may be about several addresses.
    pub assignments: Vec<Lawful<Assignment, SessionKeeping>>,
    /// For each such record how many of `assignments` are its own, and what it tells of its server's clock.
    pub records: Vec<(usize, Option<ClockSample>)>,
    /// What the book made of them, once it has them.
    pub kept: Option<Kept>,
}

/// What the book made of a batch, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Something new.
    pub stored: u64,
    /// Nothing new.
    pub duplicate: u64,
    /// They name no address, or nobody.
    pub filtered: u64,
    /// What those that were new told of their servers' clocks: by how many seconds each was off, and how often.
    pub clocks: BTreeMap<String, BTreeMap<i64, u64>>,
}

impl Kept {
    /// Notes that a server's clock was off in a record.
    pub fn off(&mut self, nas: &str, offset_s: i64) {
        if !self.clocks.contains_key(nas) {
            self.clocks.insert(nas.to_owned(), BTreeMap::new());
        }
        if let Some(of_server) = self.clocks.get_mut(nas) {
            *of_server.entry(offset_s).or_default() += 1;
        }
    }

    /// Server, seconds, how often.
    pub fn clock_samples(&self) -> impl Iterator<Item = (&str, i64, u64)> {
        self.clocks.iter().flat_map(|(nas, off)| {
            off.iter().map(move |(offset_s, samples)| (nas.as_str(), *offset_s, *samples))
        })
    }
}

/// An event, its JSON in the batch's memory.
struct Placed {
    id: [u8; 16],
    line: u64,
    time_source_ms: i64,
    json: Range<usize>,
    oriented: bool,
    mark: Option<Mark>,
}

/// An address of an event whose name is to be asked for.
struct Nameless {
    /// Which event.
    at: usize,
    /// The event key that the name goes to.
    key: &'static str,
    ip: IpAddr,
}

impl Batch {
    /// Adds an event whose JSON `write` appends; it returns the id. `oriented` says whether the loop goes on with it.
    pub fn event(
        &mut self,
        line: u64,
        time_source_ms: i64,
        oriented: bool,
        write: impl FnOnce(&mut Vec<u8>) -> [u8; 16],
    ) {
        let start = self.json.len();
        let id = write(&mut self.json);
        self.placed.push(Placed {
            id,
            line,
            time_source_ms,
            json: start..self.json.len(),
            oriented,
            mark: None,
        });
    }

    /// Says of the event that was added last what it is a repeat of, or which entry of a list.
    pub fn mark(&mut self, mark: Option<Mark>) {
        if let Some(placed) = self.placed.last_mut() {
            placed.mark = mark;
        }
    }

    /// Notes an address of the event that was added last, for [`name`](Self::name).
    pub fn nameless(&mut self, key: &'static str, ip: IpAddr) {
        if let Some(at) = self.placed.len().checked_sub(1) {
            self.nameless.push(Nameless { at, key, ip });
        }
    }

    /// Adds the names of the addresses that were noted to their events, which keep their ids.
    pub fn name(&mut self, dns: &dyn ReverseDns) {
        let nameless = std::mem::take(&mut self.nameless);
        let names = dns.names_of(&nameless.iter().map(|one| one.ip).collect());
        if names.is_empty() {
            return;
        }
        let mut json = Vec::with_capacity(self.json.len());
        let mut nameless = nameless.iter().peekable();
        for (at, placed) in self.placed.iter_mut().enumerate() {
            let start = json.len();
            json.extend_from_slice(&self.json[placed.json.clone()]);
            while let Some(one) = nameless.next_if(|one| one.at == at) {
                if let Some(name) = names.get(&one.ip) {
                    append(&mut json, one.key, &Datum::from(&**name));
                }
            }
            placed.json = start..json.len();
        }
        self.json = json;
    }

    /// Adds a bad record; of a sealed input nothing is kept but where it stood and why.
    pub fn bad(&mut self, bad: Bad, sealed: bool) {
        self.bad_bytes += bad.snippet.len();
        self.bad.push((bad, sealed));
    }

    /// Says what it takes to read the input's records again, as JSON.
    pub fn set_how(&mut self, how: &str) {
        if self.how != how {
            how.clone_into(&mut self.how);
        }
    }

    /// Adds a record of who held what.
    pub fn assigned(
        &mut self,
        record: impl IntoIterator<Item = Lawful<Assignment, SessionKeeping>>,
        sample: Option<ClockSample>,
    ) {
        let before = self.assignments.len();
        self.assignments.extend(record);
        self.records.push((self.assignments.len() - before, sample));
    }

    /// How many bad records there are.
    pub fn bad_count(&self) -> usize {
        self.bad.len()
    }

    /// Whether it is time to store it.
    pub fn is_full(&self) -> bool {
        self.placed.len() + self.bad.len() >= EVENTS_MAX
            || self.json.len() + self.bad_bytes >= BYTES_MAX
            || self.assignments.len() >= ASSIGNMENTS_MAX
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.json.clear();
        self.placed.clear();
        self.nameless.clear();
        self.bad.clear();
        self.bad_bytes = 0;
        self.filtered = 0;
        self.assignments.clear();
        self.records.clear();
        self.kept = None;
    }

    /// The events.
    pub fn events(&self) -> impl Iterator<Item = NewEvent<'_>> {
        self.placed.iter().map(|placed| NewEvent {
            id: placed.id,
            line: placed.line,
            time_source_ms: placed.time_source_ms,
            json: &self.json[placed.json.clone()],
        })
    }

    /// For each event what it is a repeat of, or which entry of a list.
    pub fn marks(&self) -> impl Iterator<Item = Option<Mark>> {
        self.placed.iter().map(|placed| placed.mark)
    }

    /// For each event whether the loop goes on with it.
    pub fn oriented(&self) -> impl Iterator<Item = bool> {
        self.placed.iter().map(|placed| placed.oriented)
    }

    /// The bad records, for the quarantine.
    pub fn quarantined(&self, intake: &Intake) -> Vec<NewQuarantine> {
        let kept = self.bad.iter().map(|(bad, sealed)| NewQuarantine {
            campaign: intake.campaign.clone(),
            feed: intake.campaign.clone(),
            source: intake.source.clone(),
            line: bad.line,
            reason: bad.reason.clone(),
            content: (!sealed).then(|| bad.snippet.clone()),
            bytes: bad.bytes,
            how: self.how.clone(),
        });
        kept.collect()
    }
}
