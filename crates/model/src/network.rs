//! How infected each of the operator's networks is from week to week.
//!
//! A count of infected lines says little by itself: a network that grows has more of them. So it is told per 10,000 lines, as
//! M3AAWG's Bot Metrics Reports tell the infected of all subscribers of the providers that take part, and as Asghari, Ciere and van
//! Eeten (Post-Mortem of a Zombie, USENIX Security 2015) relate the Conficker infections of a country to its broadband subscribers.
//! They had addresses, which change hands, and so had to count them hour by hour; a case is about a subscriber, whatever addresses
//! it had, so that distinct subscribers can be counted over a whole week.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::tz::{TimeZone, offset};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::Id;

/// Most networks that are told apart.
pub const PARTS_MAX: usize = 200;
/// Longest name of a network, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Most lines of one.
pub const LINES_MAX: u64 = 1_000_000_000;
/// All networks together.
pub const ALL: &str = "*";
/// What lies in none of them.
pub const ELSEWHERE: &str = "-";

const DAY_MS: i64 = 86_400_000;
/// Japan is so far ahead of UTC.
const JST_MS: i64 = 9 * 3_600_000;

/// A network of the operator's: `[[network.part]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Part {
    /// What it is called: a region, an AS, a brand.
    pub name: String,
    /// Its prefixes. Of two that hold an address, the longer one counts.
    pub prefixes: Vec<IpNet>,
    /// How many lines it has; without it counts are told as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
}

/// Why networks cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A name that is none.
    #[error(
        "name = \"{0}\": a network's name has from 1 to {NAME_CHARS_MAX} visible characters, is not \"{ALL}\" or \"{ELSEWHERE}\", and is given once"
    )]
    Name(String),
    /// Nothing in it.
    #[error("'{0}' has no prefixes")]
    Empty(String),
    /// A prefix of two.
    #[error("'{0}': {1} is given twice")]
    Twice(String, IpNet),
    /// A prefix that nothing is ever observed of.
    #[error("'{0}': {1} does not lie in network.own: events about it are left out")]
    Foreign(String, IpNet),
    /// No lines, or more than there are.
    #[error("'{0}': lines is from 1 to {LINES_MAX}")]
    Lines(String),
    /// Too many.
    #[error("{0} networks: at most {PARTS_MAX}")]
    Many(usize),
}

/// The operator's networks, to find the one that an address is in.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    parts: Vec<Part>,
    places: HashMap<IpNet, usize>,
    /// Lengths of prefixes there are, longest first: IPv4, IPv6.
    lengths: [Vec<u8>; 2],
}

impl Networks {
    /// These parts of the operator's `own` prefixes (none: every address); without parts each own prefix is one, or all of them
    /// together where there are too many.
    pub fn new(parts: Vec<Part>, own: &[IpNet]) -> Result<Self, NetworkError> {
        let parts = if parts.is_empty() { parts_of(own) } else { parts };
        if parts.len() > PARTS_MAX {
            return Err(NetworkError::Many(parts.len()));
        }
        let mut networks = Self::default();
        for (place, part) in parts.iter().enumerate() {
            let name = || part.name.clone();
            let is_used = parts[..place].iter().any(|other| other.name == part.name);
            if is_used || !is_name(&part.name) {
                return Err(NetworkError::Name(name()));
            }
            if part.prefixes.is_empty() {
                return Err(NetworkError::Empty(name()));
            }
            if part.lines.is_some_and(|lines| !(1..=LINES_MAX).contains(&lines)) {
                return Err(NetworkError::Lines(name()));
            }
            for prefix in part.prefixes.iter().map(IpNet::trunc) {
                if !own.is_empty() && !own.iter().any(|own| own.contains(&prefix)) {
                    return Err(NetworkError::Foreign(name(), prefix));
                }
                if networks.places.insert(prefix, place).is_some() {
                    return Err(NetworkError::Twice(name(), prefix));
                }
                let lengths = &mut networks.lengths[usize::from(prefix.addr().is_ipv6())];
                if !lengths.contains(&prefix.prefix_len()) {
                    lengths.push(prefix.prefix_len());
                }
            }
        }
        networks.lengths.iter_mut().for_each(|lengths| lengths.sort_unstable_by(|a, b| b.cmp(a)));
        networks.parts = parts;
        Ok(networks)
    }

    /// The parts, as they were given.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Place of the part with the longest prefix that holds an address; `None` where there is none.
    pub fn of(&self, ip: IpAddr) -> Option<usize> {
        let lengths = self.lengths[usize::from(ip.is_ipv6())].iter();
        let prefixes = lengths.filter_map(|length| Some(IpNet::new(ip, *length).ok()?.trunc()));
        prefixes.filter_map(|prefix| self.places.get(&prefix)).copied().next()
    }

    /// A hash of which prefixes are whose: what was counted by others has to be counted anew. How many lines there are is not in
    /// it, because lines become more without changing what was.
    pub fn key(&self) -> Id {
        let mut said: Vec<String> = self
            .places
            .iter()
            .map(|(prefix, place)| format!("{prefix} {}", self.parts[*place].name))
            .collect();
        said.sort_unstable();
        Id::of("networks", &said.iter().map(String::as_bytes).collect::<Vec<_>>())
    }

    /// Lines of all parts; `None` while one of them does not say.
    pub fn lines(&self) -> Option<u64> {
        self.parts.iter().map(|part| part.lines).sum()
    }
}

fn is_name(name: &str) -> bool {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    fits && !name.chars().any(char::is_control)
        && !name.trim().is_empty()
        && ![ALL, ELSEWHERE].contains(&name)
}

fn parts_of(own: &[IpNet]) -> Vec<Part> {
    let part = |name: String, prefixes: Vec<IpNet>| Part { name, prefixes, lines: None };
    let mut own: Vec<IpNet> = own.iter().map(IpNet::trunc).collect();
    own.sort_unstable();
    own.dedup();
    match own.len() {
        0 => {
            let all = ["0.0.0.0/0", "::/0"].iter().filter_map(|prefix| prefix.parse().ok());
            vec![part("all addresses".into(), all.collect())]
        }
        1..=PARTS_MAX => own.into_iter().map(|prefix| part(prefix.to_string(), vec![prefix])).collect(),
        _ => vec![part("own networks".into(), own)],
    }
}

/// A week from Monday to Sunday in Japan (ISO 8601), by its number since the one in which 1970 began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Week(i64);

impl Week {
    /// The week of a moment.
    pub fn of(at: Timestamp) -> Self {
        // 1970 began on a Thursday.
        Self(((at.as_millisecond() + JST_MS).div_euclid(DAY_MS) + 3).div_euclid(7))
    }

    /// By its number, as stored.
    pub fn numbered(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(self) -> i64 {
        self.0
    }

    /// So many weeks before.
    pub fn before(self, weeks: u32) -> Self {
        Self(self.0 - i64::from(weeks))
    }

    /// Its first moment.
    pub fn start(self) -> Timestamp {
        let ms = self.0.saturating_mul(7).saturating_sub(3).saturating_mul(DAY_MS).saturating_sub(JST_MS);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The first moment of the next.
    pub fn end(self) -> Timestamp {
        self.start() + SignedDuration::from_hours(7 * 24)
    }
}

impl std::fmt::Display for Week {
    /// `2026-W47`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let week = self.start().to_zoned(TimeZone::fixed(offset(9))).date().iso_week_date();
        write!(f, "{}-W{:02}", week.year(), week.week())
    }
}

impl From<Week> for String {
    fn from(week: Week) -> Self {
        week.to_string()
    }
}

/// A case that was open at some time in a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Infected {
    /// The case.
    pub case: Id,
    /// Keyed hash of the contract.
    pub party: String,
    /// When it was opened.
    pub opened: Timestamp,
    /// The address at which it was seen first: what says in which network it is.
    pub ip: Option<IpAddr>,
    /// Whether it was seen in the week.
    pub seen: bool,
}

/// What was counted of one network in one week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The week.
    pub week: Week,
    /// The network: a part's name, [`ALL`] or [`ELSEWHERE`].
    pub network: String,
    /// How many lines it had.
    pub lines: Option<u64>,
    /// Distinct subscribers with a case that was open at some time in the week.
    pub infected: u64,
    /// Distinct subscribers that were seen in the week.
    pub seen: u64,
    /// Cases opened in the week.
    pub opened: u64,
    /// When it was counted.
    pub at: Timestamp,
}

/// One week of a network, as it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkWeek {
    /// The week, like `2026-W47`.
    pub week: Week,
    /// How many lines there were, where somebody says.
    pub lines: Option<u64>,
    /// Distinct subscribers with a case that was open at some time in the week. None where the public is not told: 1 to 4.
    pub infected: Option<u64>,
    /// Per 10,000 lines.
    pub infected_per_10k: Option<f64>,
    /// Distinct subscribers that were seen in the week.
    pub seen: Option<u64>,
    /// Cases opened in the week.
    pub opened: Option<u64>,
    /// Per 10,000 lines.
    pub opened_per_10k: Option<f64>,
    /// When it was counted: before the week's end it is not over.
    pub counted: Timestamp,
}

impl NetworkWeek {
    /// Whether nobody was seen though cases were open: a feed may have fallen silent, and less is no better then.
    pub fn is_silent(&self) -> bool {
        self.seen == Some(0) && self.infected != Some(0)
    }

    /// Whether the week was over when it was counted.
    pub fn is_over(&self) -> bool {
        self.counted >= self.week.end()
    }
}

/// A network, week by week.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkRate {
    /// The network: a part's name, [`ALL`] or [`ELSEWHERE`].
    pub network: String,
    /// Its weeks, the oldest first.
    pub weeks: Vec<NetworkWeek>,
}

impl NetworkRate {
    /// What it is called where people read.
    pub fn name(&self) -> &str {
        match self.network.as_str() {
            ALL => "All networks",
            ELSEWHERE => "Other addresses",
            name => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, prefixes: &[&str], lines: Option<u64>) -> Part {
        Part { name: name.into(), prefixes: prefixes.iter().map(|p| p.parse().unwrap()).collect(), lines }
    }

    #[test]
    fn an_address_is_in_the_network_with_the_longest_prefix() {
        let parts = vec![
            part("east", &["198.51.100.0/24", "2001:db8::/32"], Some(1000)),
            part("lab", &["198.51.100.128/25"], None),
        ];
        let networks =
            Networks::new(parts, &["198.51.0.0/16".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        let networks = networks.unwrap();
        let of =
            |ip: &str| networks.of(ip.parse().unwrap()).map(|place| networks.parts()[place].name.as_str());
        assert_eq!((of("198.51.100.7"), of("198.51.100.200")), (Some("east"), Some("lab")));
        assert_eq!((of("2001:db8:7::1"), of("203.0.113.1"), of("198.51.7.1")), (Some("east"), None, None));
        assert_eq!(networks.lines(), None, "the lab does not say");
    }

    #[test]
    fn without_parts_each_own_prefix_is_one() {
        let own: Vec<IpNet> = vec!["198.51.100.0/24".parse().unwrap(), "203.0.113.0/24".parse().unwrap()];
        let names = |own: &[IpNet]| -> Vec<String> {
            Networks::new(vec![], own).unwrap().parts().iter().map(|part| part.name.clone()).collect()
        };
        assert_eq!(names(&own), ["198.51.100.0/24", "203.0.113.0/24"]);
        assert_eq!(names(&[]), ["all addresses"]);
        let many: Vec<IpNet> = (0..=PARTS_MAX as u32)
            .map(|n| IpNet::new(IpAddr::from((10 << 24 | n << 8).to_be_bytes()), 24).unwrap())
            .collect();
        assert_eq!(names(&many), ["own networks"]);
        assert!(Networks::new(vec![], &[]).unwrap().of("2001:db8::1".parse().unwrap()).is_some());
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        let own: Vec<IpNet> = vec!["198.51.100.0/24".parse().unwrap()];
        let a = || part("a", &["198.51.100.0/25"], Some(1));
        for (parts, told) in [
            (vec![a(), a()], "given once"),
            (vec![a(), part("b", &["198.51.100.0/25"], None)], "is given twice"),
            (vec![part("*", &["198.51.100.0/25"], None)], "a network's name"),
            (vec![part("a\u{7}", &["198.51.100.0/25"], None)], "a network's name"),
            (vec![part(" ", &["198.51.100.0/25"], None)], "a network's name"),
            (vec![part("a", &[], None)], "has no prefixes"),
            (vec![part("a", &["203.0.113.0/24"], None)], "does not lie in network.own"),
            (vec![part("a", &["198.51.100.0/25"], Some(0))], "lines is from 1"),
            (vec![part("a", &["198.51.100.0/25"], Some(u64::MAX))], "lines is from 1"),
            (
                (0..=PARTS_MAX).map(|n| part(&n.to_string(), &["198.51.100.0/25"], None)).collect(),
                "at most 200",
            ),
        ] {
            let e = Networks::new(parts, &own).unwrap_err().to_string();
            assert!(e.contains(told), "{e}");
        }
    }

    #[test]
    fn lines_change_nothing_of_what_was_counted_and_prefixes_do() {
        let key = |parts| Networks::new(parts, &[]).unwrap().key();
        let first = key(vec![part("a", &["198.51.100.0/24"], Some(5))]);
        assert_eq!(first, key(vec![part("a", &["198.51.100.0/24"], Some(6))]));
        assert_ne!(first, key(vec![part("a", &["198.51.100.0/25"], Some(5))]));
        assert_ne!(first, key(vec![part("b", &["198.51.100.0/24"], Some(5))]));
    }

    #[test]
    fn a_week_begins_on_monday_in_japan() {
        let week = |text: &str| Week::of(text.parse().unwrap());
        // Monday, 2026-11-16 00:00 JST.
        assert_eq!(week("2026-11-15T15:00:00Z").to_string(), "2026-W47");
        assert_eq!(week("2026-11-15T14:59:59.999Z").to_string(), "2026-W46");
        assert_eq!(week("2026-11-22T14:59:59Z").start().to_string(), "2026-11-15T15:00:00Z");
        assert_eq!(week("2026-11-22T14:59:59Z").end(), week("2026-11-22T15:00:00Z").start());
        // ISO 8601: the first week has the year's first Thursday, so that 1 January 2027 lies in the last of 2026.
        assert_eq!(week("2027-01-01T00:00:00Z").to_string(), "2026-W53");
        assert_eq!(week("1969-12-31T00:00:00Z").to_string(), "1970-W01");
    }
}
