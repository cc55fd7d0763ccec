//! Repeats of one thing: the first passes at once, those that follow are counted, and when it is over a summary says from
//! when to when and how often. A sinkhole that reports each of a bot's ten thousand calls fills no log this way.
//!
//! ```text
//!   event ──key──▶ take(group) ──▶ opened │ folded │ split: the old group is over │ alone
//!                                  over(group, the source's clock) ──▶ summary, if there was a repeat
//! ```
//!
//! Pure: who keeps the groups is not known here. What n6 calls its aggregator is the model: a group is over after
//! [`SILENCE`] without an event, or when it spans [`LONGEST`]. Time is the source's own, the latest it has told of; a
//! little disorder is waited for. Other than in n6 nothing is refused for being late: what fits no open group passes.

use jiff::SignedDuration;
use noroshi_law::evidence::Digest;
use noroshi_model::Fields;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A group without an event for so long is over.
pub const SILENCE: SignedDuration = SignedDuration::from_hours(12);
/// A group spans so much at most.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(24);
/// How far a source's events are out of order without a group being over too early.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(10);
/// A source of which nothing came for so long, by our clock, has its groups closed.
pub const INACTIVE: SignedDuration = SignedDuration::from_hours(24);
/// How far ahead of our clock a source's time is believed; else one wrong time would end every group.
pub const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(10);
/// Fields that a feed is grouped by, where it is not said.
pub const BY: [&str; 9] = [
    "classification.type",
    "classification.identifier",
    "malware.name",
    "source.ip",
    "source.fqdn",
    "source.url",
    "destination.ip",
    "destination.fqdn",
    "destination.url",
];
/// Most fields to group by.
pub const BY_MAX: usize = 32;
/// Event key of when the first of a group happened.
pub const FIRST_KEY: &str = "extra.first_seen";
/// Event key of when the last of a group happened; n6 calls it `until`.
pub const LAST_KEY: &str = "extra.last_seen";
/// Event key of how many there were.
pub const COUNT_KEY: &str = "extra.count";

/// How a feed's repeats are counted: `[aggregate.FEED]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Aggregation {
    /// Fields in which repeats agree.
    pub by: Vec<String>,
    /// A group without an event for so long is over.
    pub silence: SignedDuration,
    /// A group spans so much at most.
    pub longest: SignedDuration,
    /// How far events are out of order without a group being over too early.
    pub tolerance: SignedDuration,
}

impl Default for Aggregation {
    fn default() -> Self {
        Self { by: BY.map(str::to_owned).to_vec(), silence: SILENCE, longest: LONGEST, tolerance: TOLERANCE }
    }
}

/// What is known of a group. Times in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// When its first event happened.
    pub first_ms: i64,
    /// When its last event happened.
    pub last_ms: i64,
    /// How many there were, with the one that passed.
    pub count: u64,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It passes and begins a group.
    Opened(Group),
    /// It is counted in the group, which is now this.
    Folded(Group),
    /// It passes and begins a group; the one before is over.
    Split(Group),
    /// It passes, and the groups stay as they are: too late for the open one, or ahead of our clock.
    Alone,
}

impl Aggregation {
    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), String> {
        let second = SignedDuration::from_secs(1);
        if self.by.is_empty() || self.by.len() > BY_MAX {
            return Err(format!("by names 1 to {BY_MAX} fields"));
        }
        if self.silence < second || self.longest < self.silence {
            return Err("silence is at least a second, and longest at least as long as silence".to_owned());
        }
        if self.tolerance < SignedDuration::ZERO || self.tolerance > self.longest {
            return Err("tolerance is no longer than longest".to_owned());
        }
        Ok(())
    }

    /// What an event is a repeat of; none for an event that has nothing of its own among the fields it is grouped by: no
    /// end of it is named, so that only the kind of event would be left.
    pub fn key(&self, feed: &str, fields: &Fields<'_>) -> Option<[u8; 16]> {
        let ends = |key: &str| key.starts_with("source.") || key.starts_with("destination.");
        let mut told = !self.by.iter().any(|key| ends(key));
        let mut text = Vec::with_capacity(256);
        text.extend_from_slice(&(feed.len() as u64).to_be_bytes());
        text.extend_from_slice(feed.as_bytes());
        for key in &self.by {
            // A field that is not there is not the same as an empty one; JSON ends where it ends.
            match fields.get(key) {
                Some(datum) => {
                    told |= ends(key);
                    datum.write_json(&mut text);
                    text.push(b'\n');
                }
                None => text.push(b'-'),
            }
        }
        told.then(|| digest(b"aggregate", &text))
    }

    /// What becomes of an event that happened `at`, when the open group of its key is this.
    pub fn take(&self, group: Option<Group>, at_ms: i64, now_ms: i64) -> Step {
        if at_ms > now_ms.saturating_add(ms(AHEAD_MAX)) {
            return Step::Alone;
        }
        let opened = Group { first_ms: at_ms, last_ms: at_ms, count: 1 };
        let Some(group) = group else { return Step::Opened(opened) };
        let (first_ms, last_ms) = (group.first_ms.min(at_ms), group.last_ms.max(at_ms));
        let silent = group.first_ms.saturating_sub(at_ms).max(at_ms.saturating_sub(group.last_ms));
        if silent <= ms(self.silence) && last_ms.saturating_sub(first_ms) <= ms(self.longest) {
            Step::Folded(Group { first_ms, last_ms, count: group.count.saturating_add(1) })
        } else if at_ms > group.last_ms {
            Step::Split(opened)
        } else {
            Step::Alone
        }
    }

    /// The source's clock after an event: the latest time it has told of, no further ahead of ours than is believed.
    pub fn clock(was: Option<i64>, at_ms: i64, now_ms: i64) -> i64 {
        let at_ms = if at_ms > now_ms.saturating_add(ms(AHEAD_MAX)) { now_ms } else { at_ms };
        was.map_or(at_ms, |was| was.max(at_ms))
    }

    /// The source's time at which a group will be over if nothing more comes, disorder waited for.
    pub fn over_at(&self, group: &Group) -> i64 {
        let silent = group.last_ms.saturating_add(ms(self.silence));
        silent.min(group.first_ms.saturating_add(ms(self.longest))).saturating_add(ms(self.tolerance))
    }

    /// Whether a group is over by the source's clock.
    pub fn over(&self, group: &Group, clock_ms: i64) -> bool {
        clock_ms > self.over_at(group)
    }
}

/// Whether a source is one of which nothing has come for long.
pub fn inactive(active_ms: i64, now_ms: i64) -> bool {
    now_ms > active_ms.saturating_add(ms(INACTIVE))
}

/// What a group that is over leaves: the event that passed, with the whole of it; nothing where it stayed alone.
pub fn summary(
    event: &Map<String, Value>,
    group: &Group,
    now: jiff::Timestamp,
) -> Option<Map<String, Value>> {
    if group.count < 2 {
        return None;
    }
    let time = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string();
    let mut summary = event.clone();
    summary.remove("raw");
    let mut put = |key: &str, value: Value| {
        summary.insert(key.to_owned(), value);
    };
    put("time.source", time(group.first_ms).into());
    put("time.observation", now.to_string().into());
    put(FIRST_KEY, time(group.first_ms).into());
    put(LAST_KEY, time(group.last_ms).into());
    put(COUNT_KEY, group.count.into());
    Some(summary)
}

/// The summary's id: one for each event that began a group.
pub fn summary_id(key: [u8; 16], event: [u8; 16]) -> [u8; 16] {
    digest(b"summary", &[key, event].concat())
}

pub(crate) fn digest(kind: &[u8], text: &[u8]) -> [u8; 16] {
    let digest = Digest::of_parts(&[&(kind.len() as u64).to_be_bytes(), kind, text]).0;
    std::array::from_fn(|i| digest[i])
}

fn ms(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: i64 = 1_790_000_000_000;

    fn fields(of: &[(&'static str, &'static str)]) -> Fields<'static> {
        let mut fields = Fields::default();
        of.iter().for_each(|(key, value)| fields.put(*key, *value));
        fields
    }

    #[test]
    fn what_agrees_in_the_named_fields_is_a_repeat() {
        let rule = Aggregation::default();
        let key = |of: &[(&'static str, &'static str)]| rule.key("feed", &fields(of));
        let one = key(&[("source.ip", "192.0.2.1"), ("malware.name", "mirai"), ("extra.port", "1")]);
        assert!(one.is_some());
        assert_eq!(one, key(&[("malware.name", "mirai"), ("source.ip", "192.0.2.1"), ("extra.port", "2")]));
        assert_ne!(one, key(&[("source.ip", "192.0.2.1"), ("malware.name", "gamut")]));
        assert_ne!(one, rule.key("other", &fields(&[("source.ip", "192.0.2.1"), ("malware.name", "mirai")])));
        assert_ne!(
            key(&[("source.fqdn", "192.0.2.1")]),
            key(&[("source.ip", "192.0.2.1")]),
            "the same text in another field"
        );
        assert_eq!(key(&[("malware.name", "mirai")]), None, "no end is named");
        let by_name = Aggregation { by: vec!["malware.name".into()], ..Aggregation::default() };
        assert!(by_name.key("feed", &fields(&[("malware.name", "mirai")])).is_some(), "asked for");
    }

    #[test]
    fn a_group_ends_with_silence_or_with_its_day() {
        let rule = Aggregation::default();
        let take = |group, at| rule.take(group, at, NOW);
        let Step::Opened(first) = take(None, 0) else { panic!() };
        let Step::Folded(second) = take(Some(first), 12 * HOUR) else { panic!() };
        assert_eq!(second, Group { first_ms: 0, last_ms: 12 * HOUR, count: 2 });
        assert!(matches!(take(Some(first), 12 * HOUR + 1), Step::Split(_)), "silent too long");
        assert!(matches!(take(Some(second), 24 * HOUR), Step::Folded(_)));
        assert!(matches!(take(Some(second), 24 * HOUR + 1), Step::Split(_)), "a day is over");
        assert!(matches!(take(Some(second), -12 * HOUR), Step::Folded(g) if g.first_ms == -12 * HOUR));
        assert_eq!(take(Some(second), -12 * HOUR - 1), Step::Alone, "too late for it");
        assert_eq!(take(Some(second), NOW + 11 * 60_000), Step::Alone, "in the future");
        let over = 24 * HOUR + 10 * 60_000;
        assert!(!rule.over(&second, over) && rule.over(&second, over + 1));
    }

    #[test]
    fn a_wrong_time_does_not_end_every_group() {
        let clock = |was, at| Aggregation::clock(was, at, NOW);
        assert_eq!(clock(None, 5), 5);
        assert_eq!(clock(Some(9), 5), 9);
        assert_eq!(clock(Some(9), NOW + 365 * 24 * HOUR), NOW);
        assert_eq!(clock(Some(9), i64::MAX), NOW);
    }

    #[test]
    fn a_summary_is_the_event_with_the_whole_of_the_group() {
        let event: Map<String, Value> = serde_json::from_str(
            r#"{"source.ip":"192.0.2.1","raw":"eA==","time.source":"x","extra.count":"7"}"#,
        )
        .unwrap();
        let now = jiff::Timestamp::from_millisecond(NOW).unwrap();
        let group = Group { first_ms: 0, last_ms: HOUR, count: 2 };
        let told = Value::Object(summary(&event, &group, now).unwrap());
        let expected = serde_json::json!({
            "source.ip": "192.0.2.1", "time.source": "1970-01-01T00:00:00Z",
            "time.observation": now.to_string(), "extra.first_seen": "1970-01-01T00:00:00Z",
            "extra.last_seen": "1970-01-01T01:00:00Z", "extra.count": 2,
        });
        assert_eq!(told, expected);
        assert_eq!(summary(&event, &Group { count: 1, ..group }, now), None);
        assert_ne!(summary_id([1; 16], [2; 16]), summary_id([1; 16], [3; 16]));
    }

    #[test]
    fn nonsense_is_refused() {
        let with = |change: fn(&mut Aggregation)| {
            let mut rule = Aggregation::default();
            change(&mut rule);
            rule.check()
        };
        assert!(with(|_| {}).is_ok());
        assert!(with(|rule| rule.by.clear()).is_err());
        assert!(with(|rule| rule.silence = SignedDuration::ZERO).is_err());
        assert!(with(|rule| rule.longest = SignedDuration::from_hours(11)).is_err());
        assert!(with(|rule| rule.tolerance = SignedDuration::from_hours(25)).is_err());
    }

    /// All times of every group, kept as they came.
    #[derive(Default)]
    struct Naive {
        open: BTreeMap<u8, Vec<i64>>,
        passed: Vec<(u8, i64)>,
        over: Vec<(u8, i64, i64, u64)>,
    }

    impl Naive {
        fn close(&mut self, key: u8) {
            let times = self.open.remove(&key).unwrap();
            let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            self.over.push((key, *first, *last, times.len() as u64));
        }

        fn take(&mut self, rule: &Aggregation, key: u8, at: i64) {
            let Some(times) = self.open.get_mut(&key) else {
                self.open.insert(key, vec![at]);
                self.passed.push((key, at));
                return;
            };
            let latest = *times.iter().max().unwrap();
            let mut sorted = times.clone();
            sorted.push(at);
            sorted.sort_unstable();
            let quiet = sorted.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            let span = sorted[sorted.len() - 1] - sorted[0];
            if quiet <= ms(rule.silence) && span <= ms(rule.longest) {
                times.push(at);
                return;
            }
            self.passed.push((key, at));
            if at > latest {
                self.close(key);
                self.open.insert(key, vec![at]);
            }
        }

        fn flush(&mut self, rule: &Aggregation, clock: i64) {
            let due = |times: &Vec<i64>| {
                let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
                clock - ms(rule.tolerance) > (last + ms(rule.silence)).min(first + ms(rule.longest))
            };
            let keys: Vec<u8> = self.open.iter().filter(|(_, times)| due(times)).map(|(k, _)| *k).collect();
            keys.into_iter().for_each(|key| self.close(key));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn it_does_what_a_model_with_all_times_in_memory_does(
            // Key, hours since the last event of any key (backwards too), and whether a flush follows.
            steps in prop::collection::vec((0u8..4, -30i64..40, 0u8..5), 1..120),
        ) {
            let rule = Aggregation::default();
            let (mut naive, mut groups) = (Naive::default(), BTreeMap::<u8, Group>::new());
            let (mut passed, mut over, mut folded) = (Vec::new(), Vec::new(), 0u64);
            let (mut at, mut clock) = (1000 * HOUR, None);
            for (key, hours, flush) in &steps {
                at += hours * HOUR / 3 + i64::from(*key);
                clock = Some(Aggregation::clock(clock, at, NOW));
                naive.take(&rule, *key, at);
                match rule.take(groups.get(key).copied(), at, NOW) {
                    Step::Opened(group) => { passed.push((*key, at)); groups.insert(*key, group); }
                    Step::Folded(group) => { folded += 1; groups.insert(*key, group); }
                    Step::Split(group) => {
                        passed.push((*key, at));
                        let old = groups.insert(*key, group).unwrap();
                        over.push((*key, old.first_ms, old.last_ms, old.count));
                    }
                    Step::Alone => passed.push((*key, at)),
                }
                if *flush == 0 {
                    let clock = clock.unwrap();
                    naive.flush(&rule, clock);
                    groups.retain(|key, group| {
                        let ends = rule.over(group, clock);
                        if ends { over.push((*key, group.first_ms, group.last_ms, group.count)); }
                        !ends
                    });
                }
            }
            prop_assert_eq!(&passed, &naive.passed);
            prop_assert_eq!(&over, &naive.over);
            prop_assert_eq!(passed.len() as u64 + folded, steps.len() as u64, "nothing is lost");
            let counted: u64 = over.iter().map(|o| o.3 - 1).chain(groups.values().map(|g| g.count - 1)).sum();
            prop_assert_eq!(counted, folded, "every repeat is counted once");
            for (_, first, last, _) in over {
                prop_assert!(last - first <= ms(rule.longest));
            }
        }
    }
}
