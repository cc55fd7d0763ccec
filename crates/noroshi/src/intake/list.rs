//! Loads of feeds that are whole lists: each batch is held against what is on the list, in the transaction that stores
//! what is new and what changed; what is gone is told once the load was read to its end and believed.
//!
//! ```text
//!   begin ──▶ open ──batches──▶ read ──judge──▶ leaving ──pages of what is gone──▶ done
//!                                         └──▶ refused: broken off, or shrunk too much
//! ```
//!
//! Each step is a row in the store: an interrupted load goes on in the same generation, an interrupted comparison is
//! brought to its end by the next load. A load that another one overtook ends with an error.

use std::collections::BTreeMap;

use noroshi_model::fields::append;
use noroshi_model::{Datum, Id, Tally};
use noroshi_orient::aggregate::{FIRST_KEY, LAST_KEY};
use noroshi_orient::list::{
    Held, Known, LIST_KEY, ListRule, Mark, Standing, WAS_KEY, change_id, compare, judge,
};
use noroshi_store::aggregates::own_intake;
use noroshi_store::events::Intake;
use noroshi_store::lists::{ListEntry, ListFeed, Phase};
use noroshi_store::log::{Chosen, MoreEvent, NewEvent};
use noroshi_store::{StoreError, Tx};
use serde_json::{Map, Value};

use super::{Batch, counted};
use crate::house::House;

/// Entries that are gone, told in one transaction.
const GONE_AT_ONCE: u32 = 1000;

type Key = [u8; 16];

fn corrupt(e: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(e.to_string())
}

fn flat(json: &[u8]) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_slice(json).map_err(corrupt)
}

/// How a load begins.
#[derive(Debug)]
pub enum Begun {
    /// It is read, as this generation.
    Read(u64),
    /// It had been read to its end before, and has been compared now.
    Compared(Box<ListFeed>),
}

/// Begins a load from the input `intake`, or goes on with it where it was interrupted and can be read `again`.
pub fn begin(
    house: &House,
    feed: &str,
    rule: &ListRule,
    intake: &Id,
    again: bool,
) -> Result<Begun, StoreError> {
    let before = house.store.tx("list.state", |tx| tx.list_feed(feed))?;
    if let Some(before) = before.filter(|list| matches!(list.phase, Phase::Read | Phase::Leaving)) {
        let same = again && before.intake == intake.as_str();
        let its_own: ListRule = serde_json::from_str(&before.rule).map_err(corrupt)?;
        let after = conclude(house, feed, before.generation, if same { rule } else { &its_own })?;
        if same && after.phase == Phase::Done {
            return Ok(Begun::Compared(Box::new(after)));
        }
    }
    let now = house.clock.now();
    let rule_text = serde_json::to_string(rule).map_err(corrupt)?;
    house.store.tx_in_turn("list.begin", |tx| {
        let last = tx.list_feed(feed)?;
        let read = tx.intake(intake)?;
        let unfinished = again && read.is_some_and(|read| !read.done && read.position > 0);
        if let Some(last) = &last
            && unfinished
            && last.phase == Phase::Open
            && last.intake == intake.as_str()
        {
            return Ok(Begun::Read(last.generation));
        }
        // Another load came in between: what was read of this one is of a generation that no longer counts.
        tx.forget_intake(intake)?;
        let generation = last.as_ref().map_or(0, |last| last.generation) + 1;
        tx.put_list_feed(&ListFeed {
            feed: feed.to_owned(),
            generation,
            phase: Phase::Open,
            intake: intake.to_string(),
            size: last.map_or(0, |last| last.size),
            lines: 0,
            bad: 0,
            added: 0,
            changed: 0,
            still: 0,
            again: 0,
            gone: 0,
            begun: now,
            ended: None,
            note: String::new(),
            rule: rule_text.clone(),
        })?;
        Ok(Begun::Read(generation))
    })
}

/// The list's state, while this generation is the one that counts.
fn current(tx: &mut Tx<'_>, feed: &str, generation: u64) -> Result<ListFeed, StoreError> {
    let list = tx.list_feed(feed)?.filter(|list| list.generation == generation);
    list.ok_or_else(|| {
        StoreError::Overtaken(format!(
            "another load of the list '{feed}' has begun, and counts; run this one again if it is newer"
        ))
    })
}

/// Stores a batch.
pub fn store(
    house: &House,
    intake: &Intake,
    batch: &Batch,
    feed: &str,
    rule: &ListRule,
    generation: u64,
    tried: &mut Option<Tally>,
) -> Result<Tally, StoreError> {
    let now = house.clock.now();
    let events: Vec<(NewEvent<'_>, Mark)> =
        batch.events().zip(batch.marks()).filter_map(|(event, mark)| Some((event, mark?))).collect();
    let mut keys: Vec<Key> = events.iter().map(|(_, mark)| mark.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let bad = batch.quarantined(intake);
    house.store.append_chosen("intake.list", intake, now, &[], |tx, _| {
        if let Some(counts) = counted(tx, intake, *tried)? {
            return Ok((Chosen::default(), counts));
        }
        let mut list = current(tx, feed, generation)?;
        let known = tx.list_entries(&keys)?.into_iter().map(|entry| (entry.entry, (entry, false)));
        let mut comparing = Comparing { feed, rule, generation, now, known: known.collect() };
        let (mut more, mut touched) = (Vec::new(), Vec::new());
        for (event, mark) in &events {
            match comparing.take(event, mark, &mut more)? {
                Standing::New => list.added += 1,
                Standing::Changed => list.changed += 1,
                Standing::Still => {
                    list.still += 1;
                    touched.push(mark.key);
                }
                Standing::Again => list.again += 1,
            }
        }
        let (put, touch) = comparing.written(&touched);
        tx.put_list_entries(feed, &put)?;
        tx.touch_list_entries(feed, &touch)?;
        let stored = more.len() as u64;
        let counts = Tally {
            read: events.len() as u64 + batch.filtered + bad.len() as u64,
            stored,
            duplicate: events.len() as u64 - stored,
            filtered: batch.filtered,
            quarantined: bad.len() as u64,
            ..Tally::default()
        };
        list.lines += counts.read;
        list.bad += counts.quarantined;
        if intake.done {
            list.phase = Phase::Read;
        }
        tx.put_list_feed(&list)?;
        tx.insert_quarantined(&bad, now)?;
        tx.advance(intake, &counts, now)?;
        *tried = Some(counts);
        Ok((Chosen { left_out: Vec::new(), more }, counts))
    })
}

/// What the entries of a batch are held against.
struct Comparing<'a> {
    feed: &'a str,
    rule: &'a ListRule,
    generation: u64,
    now: jiff::Timestamp,
    /// Entries, and whether they are to be written whole.
    known: BTreeMap<Key, (ListEntry, bool)>,
}

impl Comparing<'_> {
    fn take(
        &mut self,
        event: &NewEvent<'_>,
        mark: &Mark,
        more: &mut Vec<MoreEvent>,
    ) -> Result<Standing, StoreError> {
        let known = self.known.get_mut(&mark.key);
        let held = known.as_ref().map(|(entry, _)| Known {
            rest: entry.rest,
            generation: entry.generation,
            gone: entry.gone > 0,
        });
        let standing = compare(held.as_ref(), mark.rest, self.generation);
        let mut tell = |what: &str, was: Option<&Map<String, Value>>| {
            let mut json = event.json.to_vec();
            append(&mut json, LIST_KEY, &Datum::from(what));
            if let Some(was) = was {
                append(&mut json, WAS_KEY, &Datum::Json(Value::Object(was.clone())));
            }
            let id = change_id(self.feed, what, self.generation, mark);
            more.push(MoreEvent { id, line: event.line, time_source_ms: event.time_source_ms, json });
        };
        match (standing, known) {
            (Standing::Still, Some((entry, _))) => {
                entry.generation = self.generation;
                entry.last = self.now;
            }
            (Standing::Changed, Some((entry, whole))) => {
                let now = flat(event.json)?;
                let was = self.rule.was(&flat(&entry.json)?, &now);
                tell("changed", Some(&was));
                entry.rest = mark.rest;
                entry.last = self.now;
                (entry.generation, entry.changed) = (self.generation, self.generation);
                entry.name = self.rule.name(&now);
                entry.was = Value::Object(was).to_string();
                entry.json = event.json.to_vec();
                *whole = true;
            }
            (Standing::New, _) => {
                tell("new", None);
                let entry = ListEntry {
                    entry: mark.key,
                    rest: mark.rest,
                    first: self.now,
                    last: self.now,
                    generation: self.generation,
                    came: self.generation,
                    changed: 0,
                    gone: 0,
                    name: self.rule.name(&flat(event.json)?),
                    was: String::new(),
                    json: event.json.to_vec(),
                };
                self.known.insert(mark.key, (entry, true));
            }
            _ => {}
        }
        Ok(standing)
    }

    /// Entries to be written whole, and those of which only that they were seen.
    fn written(self, touched: &[Key]) -> (Vec<ListEntry>, Vec<ListEntry>) {
        let mut known = self.known;
        let mut touch = Vec::with_capacity(touched.len());
        for key in touched {
            if let Some((mut entry, _)) = known.remove(key) {
                // They are there: what is not written need not be sent.
                entry.json.clear();
                touch.push(entry);
            }
        }
        (known.into_values().filter(|(_, whole)| *whole).map(|(entry, _)| entry).collect(), touch)
    }
}

/// Judges a load that was read to its end, and tells what is gone if it is believed.
pub fn conclude(house: &House, feed: &str, generation: u64, rule: &ListRule) -> Result<ListFeed, StoreError> {
    let judged = house.store.tx_in_turn("list.judge", |tx| {
        let mut list = current(tx, feed, generation)?;
        if list.phase != Phase::Read {
            return Ok::<_, StoreError>(list);
        }
        let held = Held {
            read: list.lines,
            bad: list.bad,
            entries: list.entries(),
            last: list.size,
            there: list.changed + list.still,
        };
        match judge(rule, &held) {
            Ok(()) => list.phase = Phase::Leaving,
            Err(why) => {
                (list.phase, list.ended) = (Phase::Refused, Some(house.clock.now()));
                list.note = format!(
                    "the list '{feed}' is not believed: {why}. Nothing was taken for gone; if it is right, load it \
                     again with --accept-shrunk"
                );
            }
        }
        tx.put_list_feed(&list)?;
        Ok(list)
    })?;
    let mut list = judged;
    while list.phase == Phase::Leaving {
        list = tell_gone(house, feed, generation)?;
    }
    Ok(list)
}

/// Tells of some entries that are gone.
fn tell_gone(house: &House, feed: &str, generation: u64) -> Result<ListFeed, StoreError> {
    let now = house.clock.now();
    house.store.append_chosen("list.gone", &own_intake("list", feed), now, &[], |tx, _| {
        let mut list = current(tx, feed, generation)?;
        let mut chosen = Chosen::default();
        if list.phase != Phase::Leaving {
            return Ok((chosen, list));
        }
        let left = tx.list_left_behind(feed, generation, GONE_AT_ONCE)?;
        for entry in &left {
            let mut event = flat(&entry.json)?;
            for (key, value) in [
                ("time.source", now.to_string()),
                ("time.observation", now.to_string()),
                (LIST_KEY, "gone".to_owned()),
                (FIRST_KEY, entry.first.to_string()),
                (LAST_KEY, entry.last.to_string()),
            ] {
                event.insert(key.to_owned(), value.into());
            }
            event.remove("raw");
            let mark = Mark { key: entry.entry, rest: entry.rest };
            chosen.more.push(MoreEvent {
                id: change_id(feed, "gone", generation, &mark),
                line: 0,
                time_source_ms: now.as_millisecond(),
                json: Value::Object(event).to_string().into_bytes(),
            });
        }
        let gone: Vec<Key> = left.iter().map(|entry| entry.entry).collect();
        tx.mark_gone(generation, &gone)?;
        list.gone += gone.len() as u64;
        let forgotten = tx.forget_gone(feed, generation, GONE_AT_ONCE)?;
        if gone.is_empty() && forgotten == 0 {
            (list.phase, list.ended) = (Phase::Done, Some(now));
            list.size = list.entries();
        }
        tx.put_list_feed(&list)?;
        Ok((chosen, list))
    })
}
