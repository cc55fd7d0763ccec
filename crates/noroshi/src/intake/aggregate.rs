//! Batches of feeds whose repeats are counted: the first of a group is stored, the others are counted in the same
//! transaction, and only their ids are remembered, so that the same file twice counts nothing twice. A repeat counts as
//! filtered, and as aggregated besides.

use std::collections::BTreeMap;

use jiff::Timestamp;
use noroshi_model::Tally;
use noroshi_orient::aggregate::{Aggregation, Group, Step, inactive, summary, summary_id};
use noroshi_store::aggregates::{AggregateFeed, EVENT_BYTES_MAX, GROUPS_MAX, OpenGroup, Opener, own_intake};
use noroshi_store::events::Intake;
use noroshi_store::log::{Chosen, MoreEvent, NewEvent};
use noroshi_store::{StoreError, Tx};
use serde_json::{Map, Value};

use super::{Batch, counted};
use crate::house::House;

/// Groups looked at in one transaction.
const GROUPS_AT_ONCE: u32 = 1000;

type Key = [u8; 16];

/// Stores a batch.
pub fn store(
    house: &House,
    intake: &Intake,
    batch: &Batch,
    feed: &str,
    rule: &Aggregation,
    tried: &mut Option<Tally>,
) -> Result<Tally, StoreError> {
    let now = house.clock.now();
    let events: Vec<NewEvent<'_>> = batch.events().collect();
    let keys: Vec<Option<Key>> = batch.marks().map(|mark| mark.map(|mark| mark.key)).collect();
    let bad = batch.quarantined(intake);
    house.store.append_chosen("intake.aggregate", intake, now, &events, |tx, fresh| {
        if let Some(counts) = counted(tx, intake, *tried)? {
            return Ok((Chosen { left_out: vec![false; events.len()], more: Vec::new() }, counts));
        }
        let mut counts =
            Tally { filtered: batch.filtered, quarantined: bad.len() as u64, ..Tally::default() };
        let mut gathering = Gathering::begin(tx, feed, rule, now, &keys)?;
        let mut left_out = vec![false; events.len()];
        for (n, event) in events.iter().enumerate() {
            if !fresh[n] {
                counts.duplicate += 1;
                continue;
            }
            left_out[n] = gathering.take(n, event, keys[n]);
            let repeat = u64::from(left_out[n]);
            counts.filtered += repeat;
            counts.aggregated += repeat;
            counts.stored += 1 - repeat;
        }
        let more = gathering.finish(tx, &events)?;
        tx.insert_quarantined(&bad, now)?;
        counts.read = counts.stored + counts.duplicate + counts.filtered + counts.quarantined;
        tx.advance(intake, &counts, now)?;
        *tried = Some(counts);
        Ok((Chosen { left_out, more }, counts))
    })
}

/// The groups that a batch is about.
struct Gathering<'a> {
    rule: &'a Aggregation,
    now: Timestamp,
    feed: AggregateFeed,
    clock: Option<i64>,
    slots: BTreeMap<Key, Slot>,
    /// Groups that are over, with the event of this batch that began them, if it was one.
    over: Vec<(Key, Group, Option<usize>)>,
}

struct Slot {
    group: Group,
    /// The event of this batch that began it, if it was one.
    opener: Option<usize>,
    check_ms: i64,
    touched: bool,
}

impl<'a> Gathering<'a> {
    fn begin(
        tx: &mut Tx<'_>,
        feed: &str,
        rule: &'a Aggregation,
        now: Timestamp,
        keys: &[Option<Key>],
    ) -> Result<Self, StoreError> {
        let known = tx.aggregate_feed(feed)?;
        let clock = known.as_ref().map(|known| known.clock_ms);
        let rule_text = serde_json::to_string(rule).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let feed = AggregateFeed {
            feed: feed.to_owned(),
            clock_ms: 0,
            active_ms: now.as_millisecond(),
            open_groups: known.map_or(0, |known| known.open_groups),
            rule: rule_text,
        };
        let mut asked: Vec<Key> = keys.iter().flatten().copied().collect();
        asked.sort_unstable();
        asked.dedup();
        let open = tx.open_groups(&asked)?.into_iter().map(|open| {
            let group = Group { first_ms: open.first_ms, last_ms: open.last_ms, count: open.count };
            (open.id, Slot { group, opener: None, check_ms: open.check_ms, touched: false })
        });
        Ok(Self { rule, now, feed, clock, slots: open.collect(), over: Vec::new() })
    }

    /// Whether a new event is a repeat, and thus left out.
    fn take(&mut self, n: usize, event: &NewEvent<'_>, key: Option<Key>) -> bool {
        let (at_ms, now_ms) = (event.time_source_ms, self.now.as_millisecond());
        self.clock = Some(Aggregation::clock(self.clock, at_ms, now_ms));
        let Some(key) = key.filter(|_| event.json.len() <= EVENT_BYTES_MAX) else { return false };
        let open = self.slots.get_mut(&key);
        match (self.rule.take(open.as_ref().map(|slot| slot.group), at_ms, now_ms), open) {
            (Step::Folded(group), Some(slot)) => {
                slot.group = group;
                slot.touched = true;
                return true;
            }
            (Step::Split(group), Some(slot)) => {
                self.over.push((key, slot.group, slot.opener));
                *slot = Slot { group, opener: Some(n), check_ms: i64::MAX, touched: true };
            }
            (Step::Opened(group), None) if self.feed.open_groups < GROUPS_MAX => {
                self.feed.open_groups += 1;
                self.slots.insert(key, Slot { group, opener: Some(n), check_ms: i64::MAX, touched: true });
            }
            _ => {}
        }
        false
    }

    /// Writes the groups as they are now; gives the summaries of those that are over.
    fn finish(mut self, tx: &mut Tx<'_>, events: &[NewEvent<'_>]) -> Result<Vec<MoreEvent>, StoreError> {
        let kept: Vec<Key> = self.over.iter().filter(|(_, _, n)| n.is_none()).map(|(key, ..)| *key).collect();
        let openers: BTreeMap<Key, Opener> = tx.group_openers(&kept)?.into_iter().collect();
        let mut more = Vec::new();
        for (key, group, opener) in &self.over {
            let (event, json) = match opener {
                Some(n) => (events[*n].id, events[*n].json),
                None => match openers.get(key) {
                    Some(opener) => (opener.event, opener.json.as_slice()),
                    None => continue,
                },
            };
            more.extend(told(*key, group, event, json, self.now)?);
        }
        tx.remove_groups(&kept)?;
        let mut groups = Vec::new();
        for (id, slot) in self.slots.iter().filter(|(_, slot)| slot.touched) {
            let Group { first_ms, last_ms, count } = slot.group;
            let check_ms = self.rule.over_at(&slot.group);
            let opener = slot.opener.map(|n| (events[n].id, events[n].json));
            // It reaches further back than it did, and is over earlier than was noted.
            if opener.is_none() && check_ms < slot.check_ms {
                tx.put_group_check(*id, check_ms)?;
            }
            groups.push((OpenGroup { id: *id, check_ms, first_ms, last_ms, count }, opener));
        }
        tx.put_groups(&self.feed.feed, &groups)?;
        if let Some(clock_ms) = self.clock {
            self.feed.clock_ms = clock_ms;
            tx.put_aggregate_feed(&self.feed)?;
        }
        Ok(more)
    }
}

/// The summary of a group, if it has one.
fn told(
    key: Key,
    group: &Group,
    event: [u8; 16],
    json: &[u8],
    now: Timestamp,
) -> Result<Option<MoreEvent>, StoreError> {
    if group.count < 2 {
        return Ok(None);
    }
    let opener: Map<String, Value> =
        serde_json::from_slice(json).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    Ok(summary(&opener, group, now).map(|summary| MoreEvent {
        id: summary_id(key, event),
        line: 0,
        time_source_ms: group.first_ms,
        json: Value::Object(summary).to_string().into_bytes(),
    }))
}

/// What became of groups that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Flushed {
    /// Groups looked at.
    pub looked_at: u64,
    /// Groups that are over.
    pub over: u64,
    /// Summaries told.
    pub summaries: u64,
}

impl std::ops::AddAssign for Flushed {
    fn add_assign(&mut self, other: Self) {
        self.looked_at += other.looked_at;
        self.over += other.over;
        self.summaries += other.summaries;
    }
}

/// Tells of the groups that are over; of all groups, if asked to.
pub fn flush(house: &House, only: Option<&str>, all: bool) -> Result<Flushed, StoreError> {
    let mut done = Flushed::default();
    let feeds = house.store.tx("aggregate.feeds", |tx| tx.aggregate_feeds())?;
    for feed in feeds.iter().filter(|feed| only.is_none_or(|only| feed.feed == only)) {
        loop {
            let some = flush_some(house, &feed.feed, all)?;
            done += some;
            if some.looked_at == 0 {
                break;
            }
        }
    }
    Ok(done)
}

/// Looks at some groups of a feed that could be over.
pub fn flush_some(house: &House, feed: &str, all: bool) -> Result<Flushed, StoreError> {
    let now = house.clock.now();
    // Before which of the feed's times groups are looked at, and whether all of them are over.
    let horizon = |feed: &AggregateFeed| match all || inactive(feed.active_ms, now.as_millisecond()) {
        true => (i64::MAX, true),
        false => (feed.clock_ms, false),
    };
    let any = house.store.tx("aggregate.look", |tx| match tx.aggregate_feed(feed)? {
        Some(known) => tx.has_group_to_check(feed, horizon(&known).0),
        None => Ok::<_, StoreError>(false),
    })?;
    if !any {
        return Ok(Flushed::default());
    }
    house.store.append_chosen("aggregate.flush", &own_intake("aggregate", feed), now, &[], |tx, _| {
        let mut done = Flushed::default();
        let mut chosen = Chosen::default();
        let Some(mut known) = tx.aggregate_feed(feed)? else { return Ok((chosen, done)) };
        let rule: Aggregation =
            serde_json::from_str(&known.rule).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        let (before_ms, all_over) = horizon(&known);
        let mut over = Vec::new();
        for (open, opener) in tx.groups_to_check(feed, before_ms, GROUPS_AT_ONCE)? {
            done.looked_at += 1;
            let group = Group { first_ms: open.first_ms, last_ms: open.last_ms, count: open.count };
            if all_over || rule.over(&group, known.clock_ms) {
                chosen.more.extend(told(open.id, &group, opener.event, &opener.json, now)?);
                over.push(open.id);
            } else {
                tx.put_group_check(open.id, rule.over_at(&group))?;
            }
        }
        done.over = tx.remove_groups(&over)?;
        done.summaries = chosen.more.len() as u64;
        known.open_groups = known.open_groups.saturating_sub(done.over);
        tx.put_aggregate_feed(&known)?;
        Ok((chosen, done))
    })
}
