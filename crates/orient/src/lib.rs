//! What it means: events of one address, one family and one campaign, with no long silence between them, are one finding.
//!
//! Pure: events and the findings near them go in, changed findings come out. The result does not depend on the order in
//! which events arrive or how they are batched; a test plays every order.
//!
//! [`enrich`] says of an address whose it is and whether it is one to be careful about; [`aggregate`] counts repeats and
//! [`list`] compares whole lists, before events are stored; [`clock`] judges how good a feed's times are; [`onset`] sees
//! campaigns begin, and [`signs`] what comes slowly.

pub mod aggregate;
pub mod clock;
pub mod enrich;
pub mod list;
pub mod onset;
pub mod signs;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use noroshi_model::event::MEASURE_KEY;
use noroshi_model::finding::{FINDING_GAP, SIGHTINGS_MAX, Sighting};
use noroshi_model::{Event, Finding, Id};

/// What all events of a finding have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The address.
    pub ip: IpAddr,
    /// The malware family.
    pub family: String,
    /// The campaign.
    pub campaign: String,
    /// The measure.
    pub measure: String,
}

/// Events of one key, to be joined with the findings near them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub key: Key,
    /// When, and which event.
    pub seen: Vec<(Sighting, Id)>,
}

impl Group {
    /// The time range in which findings must be looked for, silence included.
    pub fn range(&self) -> (Timestamp, Timestamp) {
        let times = || self.seen.iter().map(|(s, _)| s.at);
        let (first, last) = (times().min().unwrap_or_default(), times().max().unwrap_or_default());
        (first - FINDING_GAP, last + FINDING_GAP)
    }
}

/// Sorts events by what they are about. Events that point at no address or may be used under no measure make no finding.
pub fn group(events: impl IntoIterator<Item = (Id, Event)>) -> Vec<Group> {
    let mut groups: BTreeMap<Key, Vec<(Sighting, Id)>> = BTreeMap::new();
    for (id, event) in events {
        let (Some(ip), Some(measure)) =
            (event.source.ip, event.more.get(MEASURE_KEY).and_then(|m| m.as_str()))
        else {
            continue;
        };
        let key = Key {
            ip,
            family: event.family().to_owned(),
            campaign: event.feed_code.clone(),
            measure: measure.to_owned(),
        };
        let sighting = Sighting { at: event.time_source, port: event.source.port };
        groups.entry(key).or_default().push((sighting, id));
    }
    groups.into_iter().map(|(key, seen)| Group { key, seen }).collect()
}

/// A finding to store, the events new to it, and the findings it absorbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oriented {
    /// The finding as it is now.
    pub finding: Finding,
    /// Events that were not part of it before, and those of the absorbed findings.
    pub new_events: Vec<Id>,
    /// Findings that are part of this one now.
    pub absorbed: Vec<Id>,
}

/// Joins a group with the findings near it.
pub fn orient(group: Group, near: Vec<Finding>) -> Vec<Oriented> {
    let mut done: Vec<Oriented> = near
        .into_iter()
        .map(|finding| Oriented { finding, new_events: Vec::new(), absorbed: Vec::new() })
        .collect();
    for (sighting, event) in group.seen {
        let single = Finding {
            id: Id::of(
                "finding",
                &[
                    group.key.ip.to_string().as_bytes(),
                    group.key.family.as_bytes(),
                    group.key.campaign.as_bytes(),
                    group.key.measure.as_bytes(),
                    event.as_str().as_bytes(),
                ],
            ),
            ip: group.key.ip,
            family: group.key.family.clone(),
            campaign: group.key.campaign.clone(),
            measure: group.key.measure.clone(),
            events: vec![event.clone()],
            sightings: vec![sighting],
            sightings_left_out: 0,
        };
        done.push(Oriented { finding: single, new_events: vec![event], absorbed: Vec::new() });
    }
    done.sort_by_key(|o| (o.finding.first(), o.finding.id.clone()));
    let mut joined: Vec<Oriented> = Vec::new();
    for next in done {
        match joined.last_mut() {
            Some(last) if reaches(&last.finding, &next.finding) => absorb(last, next),
            _ => joined.push(next),
        }
    }
    joined.retain(|o| !o.new_events.is_empty());
    joined
}

fn reaches(earlier: &Finding, later: &Finding) -> bool {
    match (earlier.last(), later.first()) {
        (Some(last), Some(first)) => first.duration_since(last) <= FINDING_GAP,
        _ => false,
    }
}

/// A finding that existed keeps its id where there is one; of two that existed, the earlier does.
fn absorb(into: &mut Oriented, other: Oriented) {
    let is_new = |o: &Oriented| o.new_events.len() == o.finding.events.len() && o.absorbed.is_empty();
    if is_new(into) && !is_new(&other) {
        into.finding.id = other.finding.id.clone();
    } else if !is_new(&other) {
        into.absorbed.push(other.finding.id.clone());
        into.new_events.extend(other.finding.events.iter().cloned());
    }
    into.new_events.extend(other.new_events);
    into.new_events.sort();
    into.new_events.dedup();
    into.absorbed.extend(other.absorbed);
    let finding = &mut into.finding;
    for (event, sighting) in other.finding.events.into_iter().zip(other.finding.sightings) {
        if finding.events.contains(&event) {
            continue;
        }
        let at = finding.sightings.partition_point(|s| *s <= sighting);
        finding.sightings.insert(at, sighting);
        finding.events.insert(at, event);
    }
    finding.sightings_left_out += other.finding.sightings_left_out;
    thin(finding);
}

/// Keeps first and last and drops from the middle, so that the span stays right.
fn thin(finding: &mut Finding) {
    while finding.sightings.len() > SIGHTINGS_MAX {
        let middle = finding.sightings.len() / 2;
        finding.sightings.remove(middle);
        finding.events.remove(middle);
        finding.sightings_left_out += 1;
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::ClassificationType;
    use proptest::prelude::*;

    use super::*;

    fn event(minute: i64, n: u16) -> (Id, Event) {
        let at = Timestamp::from_second(1_700_000_000 + minute * 60).unwrap();
        let mut e = Event::new(at, at, ClassificationType::InfectedSystem, "f", "c");
        e.source.ip = Some("198.51.100.7".parse().unwrap());
        e.source.port = Some(n);
        e.malware_name = Some("mirai".into());
        e.more.insert(MEASURE_KEY.into(), "takedown-notice".into());
        (e.id(), e)
    }

    /// Plays batches the way the program does, against a store of findings.
    fn play(batches: Vec<Vec<(Id, Event)>>) -> Vec<Finding> {
        let mut store: BTreeMap<Id, Finding> = BTreeMap::new();
        for batch in batches {
            for g in group(batch) {
                let (from, to) = g.range();
                let near = store
                    .values()
                    .filter(|f| f.last() >= Some(from) && f.first() <= Some(to))
                    .cloned()
                    .collect();
                for oriented in orient(g, near) {
                    oriented.absorbed.iter().for_each(|id| {
                        store.remove(id);
                    });
                    store.insert(oriented.finding.id.clone(), oriented.finding);
                }
            }
        }
        let mut all: Vec<Finding> = store.into_values().collect();
        all.sort_by_key(Finding::first);
        all
    }

    fn shape(findings: &[Finding]) -> Vec<Vec<Sighting>> {
        findings.iter().map(|f| f.sightings.clone()).collect()
    }

    #[test]
    fn a_long_silence_makes_a_new_finding() {
        let found = play(vec![vec![event(0, 1), event(50, 2), event(111, 3)]]);
        assert_eq!(found.iter().map(|f| f.events.len()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn an_event_in_the_silence_joins_two_findings_into_one() {
        let found = play(vec![vec![event(0, 1)], vec![event(100, 2)], vec![event(50, 3)]]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].events.len(), 3);
    }

    #[test]
    fn a_chattering_bot_keeps_its_span_and_is_counted() {
        let many = (0..2 * SIGHTINGS_MAX as i64).map(|i| event(i % 90, i as u16)).collect();
        let found = play(vec![many]);
        assert_eq!(found[0].sightings.len(), SIGHTINGS_MAX);
        assert_eq!(found[0].sightings_left_out as usize, SIGHTINGS_MAX);
        let span = found[0].last().unwrap().duration_since(found[0].first().unwrap());
        assert_eq!(span.as_mins(), 89);
    }

    proptest! {
        #[test]
        fn the_order_and_the_batches_do_not_matter(
            minutes in prop::collection::vec(0i64..600, 1..24),
            cut in 1usize..8,
            seed in any::<u64>(),
        ) {
            let events: Vec<_> = minutes.iter().enumerate().map(|(i, m)| event(*m, i as u16)).collect();
            let expected = play(vec![events.clone()]);
            let mut shuffled = events;
            let mut state = seed | 1;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let batches: Vec<Vec<_>> = shuffled.chunks(cut).map(<[_]>::to_vec).collect();
            let once = play(batches.clone());
            prop_assert_eq!(shape(&once), shape(&expected));
            let twice = play(batches.iter().chain(&batches).cloned().collect());
            prop_assert_eq!(shape(&twice), shape(&expected));
        }
    }
}
