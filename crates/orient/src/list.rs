//! Feeds that are whole lists: each load is the full state of a blocklist, and what counts is what is new, what changed
//! and what is gone since the last one.
//!
//! Pure: entries come one by one as two hashes, which entry it is ([`Mark::key`]) and what is said of it
//! ([`Mark::rest`]); [`compare`] holds one against what is known, and [`judge`] says at the end whether what was read can
//! be a whole list. A download that broke off looks like a list from which half was removed, so a list that shrank
//! too much removes nothing until a person says that it is right.

use noroshi_model::Fields;
use noroshi_model::fields::is_identity;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::aggregate::digest;

/// A list with less than so much of its last size, in percent, is not believed.
pub const AT_LEAST_PERCENT: u8 = 50;
/// A list of which more lines than this, in percent, cannot be read is not believed: what is missing may be among them.
pub const BAD_PERCENT_MAX: u64 = 10;
/// What an entry is known by, where it is not said: the first of these that it has.
pub const KEYS: [&str; 10] = [
    "source.url",
    "source.fqdn",
    "source.ip",
    "source.network",
    "source.asn",
    "source.account",
    "malware.hash.sha256",
    "malware.hash.sha1",
    "malware.hash.md5",
    "destination.ip",
];
/// Most fields of a key, and most fields left out of the comparison.
pub const FIELDS_MAX: usize = 32;
/// Most characters of an entry's name.
const NAME_MAX: usize = 256;
/// Event key of what became of an entry: `new`, `changed` or `gone`.
pub const LIST_KEY: &str = "extra.list";
/// Event key of what a changed entry had before: field → value, null where it had none.
pub const WAS_KEY: &str = "extra.list_was";

/// How a list is compared: `[list.FEED]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ListRule {
    /// Fields that say which entry it is. Empty: the first of [`KEYS`], an address with its port.
    pub key: Vec<String>,
    /// Fields whose change is no change.
    pub ignore: Vec<String>,
    /// A list with less than so much of its last size is not believed; 0 believes everything.
    pub at_least_percent: u8,
}

impl Default for ListRule {
    fn default() -> Self {
        let ignore = vec!["time.source".to_owned()];
        Self { key: Vec::new(), ignore, at_least_percent: AT_LEAST_PERCENT }
    }
}

/// An entry, as far as comparing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which entry.
    pub key: [u8; 16],
    /// What is said of it.
    pub rest: [u8; 16],
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What was said of it last.
    pub rest: [u8; 16],
    /// In which load it was seen last.
    pub generation: u64,
    /// Whether it has gone since.
    pub gone: bool,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not on the list before.
    New,
    /// Something else is said of it.
    Changed,
    /// As before.
    Still,
    /// On the list twice: the first counts.
    Again,
}

/// Holds an entry of the load `generation` against what is known of it.
pub fn compare(known: Option<&Known>, rest: [u8; 16], generation: u64) -> Standing {
    match known {
        Some(known) if !known.gone && known.generation == generation => Standing::Again,
        Some(known) if known.gone => Standing::New,
        Some(known) if known.rest == rest => Standing::Still,
        Some(_) => Standing::Changed,
        None => Standing::New,
    }
}

/// What a load held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Records read.
    pub read: u64,
    /// Of them not readable.
    pub bad: u64,
    /// Different entries.
    pub entries: u64,
    /// Entries of the list as it was believed last.
    pub last: u64,
    /// Of those the ones that are still there.
    pub there: u64,
}

/// Says why a load cannot be the whole list, if it cannot.
pub fn judge(rule: &ListRule, held: &Held) -> Result<(), String> {
    if held.there >= held.last || rule.at_least_percent == 0 {
        return Ok(());
    }
    let Held { read, bad, entries, last, .. } = *held;
    if u128::from(bad) * 100 > u128::from(read) * u128::from(BAD_PERCENT_MAX) {
        return Err(format!("{bad} of {read} lines cannot be read (`noroshi quarantine list` shows them)"));
    }
    let percent = rule.at_least_percent;
    if u128::from(entries) * 100 < u128::from(last) * u128::from(percent) {
        return Err(format!("{entries} entries, where there were {last}: less than {percent} %"));
    }
    Ok(())
}

impl ListRule {
    /// Whether it makes sense.
    pub fn check(&self) -> Result<(), String> {
        if self.key.len() > FIELDS_MAX || self.ignore.len() > FIELDS_MAX {
            return Err(format!("key and ignore name at most {FIELDS_MAX} fields each"));
        }
        if self.at_least_percent > 100 {
            return Err("at-least-percent is 0 to 100".to_owned());
        }
        Ok(())
    }

    /// Which fields say what an entry is, of those that it has.
    fn keys(&self, has: impl Fn(&str) -> bool) -> Vec<&str> {
        if !self.key.is_empty() {
            return self.key.iter().map(String::as_str).filter(|key| has(key)).collect();
        }
        let Some(first) = KEYS.into_iter().find(|key| has(key)) else { return Vec::new() };
        let port = match first {
            "source.ip" => Some("source.port"),
            "destination.ip" => Some("destination.port"),
            _ => None,
        };
        [first].into_iter().chain(port.filter(|port| has(port))).collect()
    }

    /// An entry's two hashes, of which the first is of the feed as well. One that has none of the key's fields is known by all that is said of it.
    pub fn mark(&self, feed: &str, fields: &mut Fields<'_>) -> Mark {
        fields.sort();
        let mut text = Vec::with_capacity(512);
        let write = |key: &str, text: &mut Vec<u8>| {
            if let Some(datum) = fields.get(key) {
                text.extend_from_slice(key.as_bytes());
                text.push(b'=');
                datum.write_json(text);
                text.push(b'\n');
            }
        };
        let keys = self.keys(|key| fields.has(key));
        keys.iter().for_each(|key| write(key, &mut text));
        let keyed = (!keys.is_empty()).then(|| text.clone());
        text.clear();
        for (name, _) in fields.iter().filter(|(name, _)| self.compared(name)) {
            write(name, &mut text);
        }
        let rest = digest(b"list rest", &text);
        let mut key = (feed.len() as u64).to_be_bytes().to_vec();
        key.extend_from_slice(feed.as_bytes());
        key.extend_from_slice(keyed.as_deref().unwrap_or(&rest));
        Mark { key: digest(b"list key", &key), rest }
    }

    fn compared(&self, key: &str) -> bool {
        is_identity(key) && key != LIST_KEY && key != WAS_KEY && self.ignore.iter().all(|name| name != key)
    }

    /// What an entry is called among people.
    pub fn name(&self, event: &Map<String, Value>) -> String {
        let told = self.keys(|key| event.contains_key(key)).into_iter().filter_map(|key| event.get(key));
        let told: Vec<String> =
            told.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
        let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        told.join(" ").chars().map(plain).take(NAME_MAX).collect()
    }

    /// What a changed entry had before, where it is different now.
    pub fn was(&self, before: &Map<String, Value>, now: &Map<String, Value>) -> Map<String, Value> {
        let keys = before.keys().chain(now.keys().filter(|key| !before.contains_key(*key)));
        keys.filter(|key| self.compared(key) && before.get(*key) != now.get(*key))
            .map(|key| (key.clone(), before.get(key).cloned().unwrap_or(Value::Null)))
            .collect()
    }
}

/// The id of what is told of an entry: the same entry can be new, go, and be new again.
pub fn change_id(feed: &str, what: &str, generation: u64, mark: &Mark) -> [u8; 16] {
    let mut text = (feed.len() as u64).to_be_bytes().to_vec();
    text.extend_from_slice(feed.as_bytes());
    text.extend_from_slice(&generation.to_be_bytes());
    text.extend_from_slice(&mark.key);
    text.extend_from_slice(&mark.rest);
    text.extend_from_slice(what.as_bytes());
    digest(b"list change", &text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn fields(of: &[(&'static str, &'static str)]) -> Fields<'static> {
        let mut fields = Fields::default();
        of.iter().for_each(|(key, value)| fields.put(*key, *value));
        fields
    }

    fn mark(of: &[(&'static str, &'static str)]) -> Mark {
        ListRule::default().mark("f", &mut fields(of))
    }

    #[test]
    fn an_entry_is_known_by_its_url_or_name_or_address_and_the_rest_can_change() {
        let one = mark(&[("source.url", "http://a/"), ("source.ip", "192.0.2.1"), ("time.source", "1")]);
        let moved = mark(&[("source.ip", "192.0.2.2"), ("source.url", "http://a/")]);
        assert_eq!((one.key, one.rest == moved.rest), (moved.key, false));
        let later = mark(&[("source.url", "http://a/"), ("source.ip", "192.0.2.1"), ("time.source", "2")]);
        assert_eq!(one, later, "its time is no change");
        let noted = mark(&[("source.url", "http://a/"), ("source.ip", "192.0.2.1"), ("raw", "x")]);
        assert_eq!(one, noted, "nor how it reached us");
        let other = ListRule::default().mark("g", &mut fields(&[("source.url", "http://a/")]));
        assert_ne!(one.key, other.key, "on another list");
        let port = |port| mark(&[("source.ip", "192.0.2.1"), ("source.port", port)]).key;
        assert_ne!(port("1"), port("2"), "an address goes with its port");
        let (a, b) = (mark(&[("extra.x", "1")]), mark(&[("extra.x", "2")]));
        assert_ne!(a.key, b.key, "without a key it is all that is said");
    }

    #[test]
    fn a_named_key_is_used_whole() {
        let rule = ListRule { key: vec!["extra.id".into(), "source.ip".into()], ..ListRule::default() };
        let of = |list: &[(&'static str, &'static str)]| rule.mark("f", &mut fields(list)).key;
        assert_eq!(
            of(&[("extra.id", "1"), ("source.url", "a")]),
            of(&[("extra.id", "1"), ("source.url", "b")])
        );
        assert_ne!(of(&[("extra.id", "1")]), of(&[("extra.id", "1"), ("source.ip", "192.0.2.1")]));
    }

    #[test]
    fn what_changed_is_told_with_its_old_value() {
        let parse = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let before = parse(r#"{"source.url":"u","source.ip":"192.0.2.1","time.source":"1","extra.old":1}"#);
        let now = parse(r#"{"source.url":"u","source.ip":"192.0.2.2","time.source":"2","extra.new":1}"#);
        let rule = ListRule::default();
        let was = Value::Object(rule.was(&before, &now));
        let expected = serde_json::json!({"source.ip": "192.0.2.1", "extra.old": 1, "extra.new": null});
        assert_eq!(was, expected);
        assert_eq!(rule.name(&now), "u");
        assert_eq!(rule.name(&parse("{\"source.ip\":\"a\\u001b\",\"source.port\":80}")), "a\u{fffd} 80");
    }

    #[test]
    fn a_list_that_broke_off_is_not_believed() {
        let rule = ListRule::default();
        let judged = |read, bad, entries: u64, last| {
            judge(&rule, &Held { read, bad, entries, last, there: entries.min(last) }).is_ok()
        };
        assert!(judged(0, 0, 0, 0), "a list may begin empty");
        assert!(!judged(0, 0, 0, 1), "but not become empty");
        assert!(judged(50, 0, 50, 100) && !judged(49, 0, 49, 100));
        assert!(judged(100, 10, 90, 100) && !judged(100, 11, 89, 100));
        assert!(judged(100, 90, 10, 10), "nothing is missing");
        assert!(!judged(u64::MAX, u64::MAX, 1, u64::MAX), "no overflow");
        let all = ListRule { at_least_percent: 0, ..ListRule::default() };
        assert!(judge(&all, &Held { last: 9, ..Held::default() }).is_ok(), "somebody said so");
    }

    proptest! {
        #[test]
        fn loads_compared_one_entry_at_a_time_are_sets_compared(
            // Each load: entries with what is said of them; an entry may come twice.
            loads in prop::collection::vec(prop::collection::vec((0u8..12, 0u8..3), 0..20), 1..8),
        ) {
            let mut known = BTreeMap::<u8, Known>::new();
            let mut last = BTreeMap::<u8, u8>::new();
            for (generation, load) in (1u64..).zip(&loads) {
                // The model: the load as a map, the first of each key counting.
                let mut now = BTreeMap::<u8, u8>::new();
                for (key, rest) in load {
                    now.entry(*key).or_insert(*rest);
                }
                let mut told = BTreeMap::new();
                let mut again = 0;
                for (key, rest) in load {
                    let rest = [*rest; 16];
                    match compare(known.get(key), rest, generation) {
                        Standing::Again => again += 1,
                        standing => {
                            prop_assert!(told.insert(*key, standing).is_none(), "once");
                            known.insert(*key, Known { rest, generation, gone: false });
                        }
                    }
                }
                let mut gone = Vec::new();
                for (key, entry) in known.iter_mut().filter(|(_, e)| !e.gone && e.generation < generation) {
                    entry.gone = true;
                    gone.push(*key);
                }
                let expected: BTreeMap<u8, Standing> = now.iter().map(|(key, rest)| {
                    let standing = match last.get(key) {
                        None => Standing::New,
                        Some(old) if old == rest => Standing::Still,
                        Some(_) => Standing::Changed,
                    };
                    (*key, standing)
                }).collect();
                prop_assert_eq!(told, expected);
                prop_assert_eq!(again, load.len() - now.len());
                prop_assert_eq!(gone, last.keys().filter(|key| !now.contains_key(key)).copied().collect::<Vec<_>>());
                last = now;
            }
        }
    }
}
