//! The policy: which rule, of which zone, decides on a question.
//!
//! Zones are asked in their order; the first that has a rule decides, and within a zone the kind of trigger and then the closest
//! rule (draft-vixie-dnsop-dns-rpz, section 5). Some triggers can be judged from the question, others only from the answer
//! and the name servers that it came from. So there are two stages: [`Policy::of_question`] and [`Policy::of_answer`]; the first is final
//! where no earlier zone has rules of the second kind ([`Policy::waits_for_answer`]).
//!
//! ```text
//!   zone file, transfer ──▶ zonefile ──▶ rule ──▶ Editor ──▶ names, networks ──▶ Policy, which questions are held against
//! ```

mod editor;
pub mod names;
pub mod networks;
pub mod rule;
pub mod zonefile;

use std::net::IpAddr;
use std::sync::Arc;

pub use editor::{Conflict, Editor, Read, Refused};
use names::{ActionId, Names};
use networks::Networks;
use rule::{Action, LocalRecord};

use crate::name::{Name, Realm, Secret};

/// What the operator does with a zone's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Override {
    /// What they say.
    #[default]
    Given,
    /// This instead.
    Fixed(Box<Action>),
    /// A warning instead, after which the client may go on; rules that let a name pass still do.
    Warn,
    /// Nothing.
    Disabled,
}

/// What the operator says of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSettings {
    /// Its apex.
    pub name: Name,
    /// What is done with its rules.
    pub action: Override,
    /// Tags of the clients that it is for, a bit each; none: all clients.
    pub tags: u64,
    /// The measure, by its number, that a line must have agreed to; none: it needs no consent.
    pub by_consent: Option<u8>,
    /// Seconds that an answer of its rules holds at most.
    pub ttl_max_s: u32,
    /// Answers "no such name" are told from the world's by a missing RA flag.
    pub signal_nxdomain_ra: bool,
    /// The extended error that says why (RFC 8914): 15 blocked, 16 censored, 17 filtered.
    pub extended_error: Option<u16>,
    /// The same for a program that can show it: an I-JSON object (draft-ietf-dnsop-structured-dns-error).
    pub structured_error: Option<Arc<str>>,
}

impl ZoneSettings {
    /// Settings of a zone about which nothing is said.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            action: Override::Given,
            tags: 0,
            by_consent: None,
            ttl_max_s: u32::MAX,
            signal_nxdomain_ra: false,
            extended_error: None,
            structured_error: None,
        }
    }
}

/// Measures to which lines may agree, at most.
pub const MEASURES_MAX: usize = 4;

/// A zone as it stands.
#[derive(Clone, Debug)]
pub struct Zone {
    /// What the operator says of it.
    pub settings: Arc<ZoneSettings>,
    /// Of the version that holds; none before the first.
    pub serial: Option<u32>,
    /// Its SOA record.
    pub soa: Option<Arc<LocalRecord>>,
    /// Rules that hold.
    pub rules: usize,
}

/// Kinds of triggers, in the order in which they decide within a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `rpz-client-ip`.
    ClientIp,
    /// A name that was asked for or led to.
    Qname,
    /// `rpz-ip`.
    Ip,
    /// `rpz-nsdname`.
    Nsdname,
    /// `rpz-nsip`.
    Nsip,
}

impl Kind {
    /// Its name in zones and reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::ClientIp => "rpz-client-ip",
            Self::Qname => "qname",
            Self::Ip => "rpz-ip",
            Self::Nsdname => "rpz-nsdname",
            Self::Nsip => "rpz-nsip",
        }
    }
}

/// A rule that decides.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'p> {
    /// The zone's place in the order.
    pub zone: u8,
    /// What made it decide.
    pub kind: Kind,
    /// What is to be done, the operator's word included.
    pub action: &'p Action,
}

/// What is known of the servers from which an answer came: those of its zone and of every zone above, the root's not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// Their names.
    pub names: Vec<Name>,
    /// Their addresses.
    pub addresses: Vec<IpAddr>,
}

/// All zones' rules, as they are at one moment; what becomes of single names later is seen, too.
#[derive(Clone, Debug)]
pub struct Policy {
    /// In their order.
    pub zones: Arc<[Zone]>,
    secret: Secret,
    names: Arc<Names>,
    clients: Arc<Networks>,
    addresses: Arc<Networks>,
    servers: Arc<Networks>,
    /// The zones that have each kind of rules, a bit each, in the order of [`Kind`].
    having: [u64; 5],
    /// The zones that are not disabled.
    enabled: u64,
    /// The zones that need consent to each measure, a bit each.
    needing: [u64; MEASURES_MAX],
}

impl Policy {
    /// The zones, a bit each, that are for clients with these tags.
    pub fn zones_for(&self, tags: u64) -> u64 {
        let mut zones = 0;
        for (place, zone) in self.zones.iter().enumerate() {
            if zone.settings.tags == 0 || zone.settings.tags & tags != 0 {
                zones |= 1 << place;
            }
        }
        zones & self.enabled
    }

    /// Of `zones`, those that need a line's consent to this measure.
    pub fn needing(&self, measure: usize, zones: u64) -> u64 {
        self.needing.get(measure).map_or(0, |needing| needing & zones)
    }

    /// The rule for a question of `client`, or, where an answer leads to `name`, for that (`client` is none).
    #[inline]
    pub fn of_question(&self, client: Option<IpAddr>, name: &Name, zones: u64) -> Option<Verdict<'_>> {
        let by_client = client.and_then(|client| {
            let found = self.clients.find(client, zones & self.having[Kind::ClientIp as usize])?;
            Some((found.zone, found.action))
        });
        // A later zone's rule for the name cannot decide any more.
        let zones = by_client.map_or(zones, |(zone, _)| zones & below(zone));
        let by_name = self.names.find(&self.secret, Realm::Query, name, zones);
        match (by_name, by_client) {
            (Some(found), _) => self.verdict(found.zone, Kind::Qname, found.action),
            (None, Some((zone, action))) => self.verdict(zone, Kind::ClientIp, action),
            (None, None) => None,
        }
    }

    /// Every rule of `zones` for a question, zone by zone, with its owner as a zone writes it: what is explained to a person.
    pub fn all_of_question(&self, client: IpAddr, name: &Name, zones: u64) -> Vec<(Verdict<'_>, String)> {
        let mut all = Vec::new();
        for zone in (0..self.zones.len() as u8).filter(|zone| zones >> zone & 1 == 1) {
            if let Some(found) = self.clients.find(client, 1 << zone) {
                let verdict = self.verdict(zone, Kind::ClientIp, found.action);
                all.extend(verdict.map(|verdict| (verdict, found.network.to_string())));
            }
            if let Some(found) = self.names.find(&self.secret, Realm::Query, name, 1 << zone) {
                let mut owner = *name;
                while owner.label_count() > usize::from(found.labels) {
                    owner = owner.parent().unwrap_or(Name::ROOT);
                }
                let star = if found.below { "*." } else { "" };
                let verdict = self.verdict(zone, Kind::Qname, found.action);
                all.extend(verdict.map(|verdict| (verdict, format!("{star}{owner}"))));
            }
        }
        all
    }

    /// The zones among `zones` that may still decide before `verdict` once the answer is known.
    #[inline]
    pub fn waits_for_answer(&self, verdict: Option<&Verdict<'_>>, zones: u64) -> u64 {
        let [_, _, ip, nsdname, nsip] = self.having;
        let zones = zones & (ip | nsdname | nsip);
        verdict.map_or(zones, |verdict| zones & below(verdict.zone))
    }

    /// Whether any of `zones` asks for the servers of an answer.
    pub fn asks_for_servers(&self, zones: u64) -> bool {
        zones & (self.having[Kind::Nsdname as usize] | self.having[Kind::Nsip as usize]) != 0
    }

    /// The rule for an answer with these addresses, from these servers.
    pub fn of_answer(
        &self,
        addresses: impl Iterator<Item = IpAddr>,
        servers: Option<&Servers>,
        zones: u64,
    ) -> Option<Verdict<'_>> {
        let none: (&[Name], &[IpAddr]) = (&[], &[]);
        let (names, hosts) = servers.map_or(none, |servers| (&servers.names, &servers.addresses));
        let ip = closest(&self.addresses, addresses, zones).map(|(zone, action)| (zone, Kind::Ip, action));
        let nsdname = if zones & self.having[Kind::Nsdname as usize] == 0 {
            None
        } else {
            let found =
                names.iter().filter_map(|name| self.names.find(&self.secret, Realm::Server, name, zones));
            found
                .min_by_key(|found| (found.zone, u8::MAX - found.labels))
                .map(|found| (found.zone, Kind::Nsdname, found.action))
        };
        let nsip = closest(&self.servers, hosts.iter().copied(), zones)
            .map(|(zone, action)| (zone, Kind::Nsip, action));
        let (zone, kind, action) =
            [ip, nsdname, nsip].into_iter().flatten().min_by_key(|(zone, kind, _)| (*zone, *kind))?;
        self.verdict(zone, kind, action)
    }

    fn verdict(&self, zone: u8, kind: Kind, action: ActionId) -> Option<Verdict<'_>> {
        let given = || self.names.actions().look(action);
        let action = match &self.zones.get(usize::from(zone))?.settings.action {
            Override::Fixed(action) => action,
            Override::Warn => match given()? {
                passes @ Action::Passthru => passes,
                _ => &Action::Warn,
            },
            _ => given()?,
        };
        Some(Verdict { zone, kind, action })
    }

    /// Octets that the rules' table takes.
    pub fn table_octets(&self) -> usize {
        self.names.octets()
    }
}

/// The zones before one.
fn below(zone: u8) -> u64 {
    (1 << (zone & 63)) - 1
}

/// Of rules for some of `addresses`, that of the first zone; in it the smallest network, then the smallest address.
fn closest(
    networks: &Networks,
    addresses: impl Iterator<Item = IpAddr>,
    zones: u64,
) -> Option<(u8, ActionId)> {
    let zones = zones & networks.zones();
    if zones == 0 {
        return None;
    }
    let found = addresses.filter_map(|address| Some((networks.find(address, zones)?, address)));
    let best = found.min_by_key(|(found, address)| {
        let length = match found.network {
            ipnet::IpNet::V4(network) => network.prefix_len() + 96,
            ipnet::IpNet::V6(network) => network.prefix_len(),
        };
        (found.zone, u8::MAX - length, *address)
    });
    best.map(|(found, _)| (found.zone, found.action))
}
