//! Who held this address at this second: one subscriber with a margin, or none, or ambiguous with the reason.
//!
//! The access servers' records are put together into sessions at the moment of asking, under a permit:
//!
//! - The time of a record is when the RADIUS server received it less `Acct-Delay-Time`; the access server's own clock is
//!   never believed. Of several copies (retransmissions, proxies) the earliest counts.
//! - A session covers a second only if a record of it at or after that second confirms so. After the last record of a
//!   session whose Stop was lost, nobody knows until the next session on the address begins.
//! - Within [`Rules::border_s`] of a border, or further off where the clocks disagree more, nobody can say.
//!
//! Wrong answers had innocent people searched (IPCO reports, UK), so everything doubtful is ambiguous.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use noroshi_wire::radius::{Accounting, Status};
use serde::{Deserialize, Serialize};

use crate::clocks::Clocks;

/// How far around the asked times records are fetched: the longest session that can be told.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(35 * 24);

/// What the operator says of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rules {
    /// Seconds around a session's start and end in which nobody can say.
    pub border_s: i64,
    /// Addresses that several subscribers share (CGNAT, MAP-E): never answered without a port mapping.
    pub shared: Vec<IpNet>,
}

impl Rules {
    /// Default of `border-s`.
    pub const BORDER_S: i64 = 5;
}

impl Default for Rules {
    fn default() -> Self {
        Self { border_s: Self::BORDER_S, shared: Vec::new() }
    }
}

/// One subscriber, as the access server names them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// `User-Name`.
    pub user: String,
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder(‹redacted›)")
    }
}

/// Why nobody can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// Several subscribers use the address at once and no port mapping is known.
    SharedAddress,
    /// Too close to the start or end of a session.
    Border,
    /// After the last record of a session whose Stop never came.
    NoStop,
    /// Two subscribers at once: the records contradict each other.
    Overlap,
    /// More records than are looked at.
    TooMany,
}

impl Doubt {
    /// For people.
    pub fn reason(self) -> &'static str {
        match self {
            Doubt::SharedAddress => "the address is shared and no port mapping is known",
            Doubt::Border => "too close to the start or end of a session",
            Doubt::NoStop => "after the last record of a session whose Stop has not come",
            Doubt::Overlap => "two subscribers held the address at once by the records: data fault",
            Doubt::TooMany => "too many accounting records on this address",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This subscriber, and the distance in seconds to the nearest border.
    One(Holder, i64),
    /// Nobody.
    None,
    /// Nobody can say.
    Ambiguous(Doubt),
}

/// A session put together from its records. Times are seconds since 1970.
#[derive(Clone, Debug)]
struct Session {
    user: String,
    start: Border,
    /// The last time at which a record shows it alive.
    confirmed_s: i64,
    stop: Option<Border>,
}

/// An end of a session, and by how much its time may be wrong.
#[derive(Clone, Copy, Debug)]
struct Border {
    at_s: i64,
    doubt_s: i64,
}

/// The sessions of one address around the times asked about.
#[derive(Debug)]
pub struct Book {
    sessions: Vec<Session>,
    rules: Rules,
    overfull: bool,
}

/// Seconds by which the start told by a later record may differ from the Start record's before it is another session.
const SAME_START_S: i64 = 120;

impl Book {
    /// Puts the sessions of one address together. `overfull` says that there were more records than these.
    pub fn assemble(records: &[Accounting], clocks: &Clocks, rules: &Rules, overfull: bool) -> Self {
        let mut by_session: BTreeMap<(&str, &str, &str), Vec<&Accounting>> = BTreeMap::new();
        for record in records {
            if let (Some(session), Some(user)) = (record.session.as_deref(), record.user.as_deref()) {
                by_session.entry((record.nas.as_str(), session, user)).or_default().push(record);
            }
        }
        let mut sessions = Vec::new();
        for ((_, _, user), mut records) in by_session {
            records.sort_by_key(|r| r.at());
            split_and_build(user, &records, clocks, &mut sessions);
        }
        sessions.sort_by_key(|s| s.start.at_s);
        Self { sessions, rules: rules.clone(), overfull }
    }

    /// Who held `ip` at `at`.
    pub fn answer(&self, ip: IpAddr, at: Timestamp) -> Answer {
        if self.rules.shared.iter().any(|net| net.contains(&ip)) {
            return Answer::Ambiguous(Doubt::SharedAddress);
        }
        if self.overfull {
            return Answer::Ambiguous(Doubt::TooMany);
        }
        let at_s = at.as_second();
        if self.sessions.iter().any(|s| self.near_border(s, at_s)) {
            return Answer::Ambiguous(Doubt::Border);
        }
        let mut holders = self.sessions.iter().filter(|s| s.covers(at_s));
        match holders.next() {
            None => self.nobody(at_s),
            Some(first) if holders.clone().any(|other| other.user != first.user) => {
                Answer::Ambiguous(Doubt::Overlap)
            }
            Some(first) => {
                let margin = std::iter::once(first).chain(holders).map(|s| s.margin_s(at_s)).max();
                Answer::One(Holder { user: first.user.clone() }, margin.unwrap_or(0))
            }
        }
    }

    /// No session covers the time; whether one may have gone on unseen.
    fn nobody(&self, at_s: i64) -> Answer {
        let before = self.sessions.iter().rfind(|s| s.start.at_s <= at_s);
        match before {
            Some(session) if session.stop.is_none() => Answer::Ambiguous(Doubt::NoStop),
            _ => Answer::None,
        }
    }

    fn near_border(&self, session: &Session, at_s: i64) -> bool {
        let near = |b: &Border| (at_s - b.at_s).abs() <= self.rules.border_s.max(b.doubt_s);
        near(&session.start) || session.stop.as_ref().is_some_and(near)
    }
}

impl Session {
    fn covers(&self, at_s: i64) -> bool {
        self.start.at_s <= at_s && at_s <= self.confirmed_s
    }

    fn margin_s(&self, at_s: i64) -> i64 {
        let end = self.stop.map_or(i64::MAX, |stop| stop.at_s - at_s);
        (at_s - self.start.at_s).min(end)
    }
}

/// One (server, session id, user) may be several sessions, where the server counts its ids from the start again.
fn split_and_build(user: &str, records: &[&Accounting], clocks: &Clocks, sessions: &mut Vec<Session>) {
    let mut current: Vec<&Accounting> = Vec::new();
    let mut start_s: Option<i64> = None;
    for record in records {
        let tells = told_start_s(record);
        let another = match (start_s, tells) {
            (Some(known), Some(told)) => (known - told).abs() > SAME_START_S,
            _ => false,
        };
        if another {
            sessions.extend(build(user, &current, clocks));
            current.clear();
            start_s = None;
        }
        start_s = start_s.or(tells);
        current.push(record);
    }
    sessions.extend(build(user, &current, clocks));
}

/// When the session began, as far as this record tells: a Start is the start, others count back their session time.
fn told_start_s(record: &Accounting) -> Option<i64> {
    let at_s = record.at().as_second();
    match record.status {
        Status::Start => Some(at_s),
        _ => record.session_time_s.map(|s| at_s - i64::from(s)),
    }
}

fn build(user: &str, records: &[&Accounting], clocks: &Clocks) -> Option<Session> {
    let of = |status: Status| records.iter().filter(move |r| r.status == status);
    let start = of(Status::Start)
        .min_by_key(|r| r.at())
        .map(|r| border(r, clocks))
        .or_else(|| records.iter().filter_map(|r| counted_back(r, clocks)).min_by_key(|b| b.at_s))?;
    let stop = of(Status::Stop).min_by_key(|r| r.at()).map(|r| border(r, clocks));
    let last_s = records.iter().map(|r| r.at().as_second()).max()?;
    let confirmed_s = stop.map_or(last_s, |stop| stop.at_s);
    Some(Session { user: user.to_owned(), start, confirmed_s, stop })
}

/// A record's own time, with the disagreement between the two clocks as its doubt.
fn border(record: &Accounting, clocks: &Clocks) -> Border {
    let offset_s = clocks.of(&record.nas).map(|c| c.offset_s);
    let doubt_s = match (record.clock_offset_s(), offset_s) {
        (Some(here), Some(usual)) => (here - usual).abs(),
        _ => 0,
    };
    Border { at_s: record.at().as_second(), doubt_s }
}

fn counted_back(record: &Accounting, clocks: &Clocks) -> Option<Border> {
    let at_s = told_start_s(record)?;
    Some(Border { at_s, doubt_s: border(record, clocks).doubt_s })
}
