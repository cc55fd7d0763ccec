//! Who changes the policy: records of zones become rules, one writer at a time, and each change is published as a whole.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::names::{ActionId, Way, Writer, ZONES_MAX};
use super::networks::Networks;
use super::rule::{Action, LocalRecord, Part, RuleError, Trigger, ZoneRecord, rtype};
use super::zonefile::{self, EntryError};
use super::{Kind, MEASURES_MAX, Override, Policy, Zone, ZoneSettings};
use crate::name::{Name, Realm, Secret};

/// Refused lines of a zone that are kept, at most; the others are counted.
pub const REFUSED_MAX: usize = 1000;
/// Records that are taken before a worker may run that waits for the same processor: a tenth of a millisecond.
const RECORDS_AT_ONCE: usize = 128;
/// Rules by name that are on their way into the table at once: about as many as a processor fetches from memory at a time.
const COMING_MAX: usize = 16;
/// Octets of a record in a zone's file, about.
const OCTETS_A_RECORD: usize = 35;
/// Names in the table for each record of a list, about: there are names above those with rules.
const NAMES_A_RECORD: (usize, usize) = (3, 2);

/// Why a record changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The record is no rule.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The line cannot be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Its trigger has another action already, and the first holds.
    #[error("a rule for the same is there already: {0}")]
    Taken(Box<Action>),
}

/// A line that is no rule, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    pub why: Conflict,
}

/// What became of a zone's file or transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Its version.
    pub serial: Option<u32>,
    /// Records that are rules.
    pub records: usize,
    /// Lines that are none: the first `REFUSED_MAX`.
    pub refused: Vec<Refused>,
    /// How many there are.
    pub refused_count: usize,
}

impl Read {
    /// Counts a line that is none.
    pub fn refuse(&mut self, line: usize, why: Conflict) {
        self.refused_count += 1;
        if self.refused.len() < REFUSED_MAX {
            self.refused.push(Refused { line, why });
        }
    }
}

/// The only one who changes the policy.
#[derive(Debug)]
pub struct Editor {
    secret: Secret,
    zones: Vec<Zone>,
    rules: Rules,
    published: Arc<ArcSwap<Policy>>,
}

/// Rules by all that they wait for.
#[derive(Debug)]
struct Rules {
    names: Writer,
    clients: Arc<Networks>,
    addresses: Arc<Networks>,
    servers: Arc<Networks>,
}

impl Editor {
    /// A policy of these zones, in their order, without a rule yet. Zones beyond [`ZONES_MAX`] are a mistake of the caller's.
    pub fn new(secret: Secret, zones: Vec<ZoneSettings>) -> Self {
        let zones: Vec<Zone> = zones
            .into_iter()
            .take(ZONES_MAX)
            .map(|settings| Zone { settings: Arc::new(settings), serial: None, soa: None, rules: 0 })
            .collect();
        let rules = Rules {
            names: Writer::new(secret, 0),
            clients: Arc::default(),
            addresses: Arc::default(),
            servers: Arc::default(),
        };
        let published = Arc::new(ArcSwap::from_pointee(policy(secret, &zones, &rules)));
        Self { secret, zones, rules, published }
    }

    /// Where the policy is found as it stands.
    pub fn published(&self) -> Arc<ArcSwap<Policy>> {
        Arc::clone(&self.published)
    }

    /// A zone as it stands.
    pub fn zone(&self, place: u8) -> Option<&Zone> {
        self.zones.get(usize::from(place))
    }

    /// Replaces a zone's rules by those of a file of so many octets. Until they are all there, the old ones hold, and when the file cannot
    /// be read to its end they stay.
    ///
    /// # Errors
    ///
    /// Whatever the file says when it is read.
    pub fn replace_by_file(&mut self, zone: u8, file: impl io::Read, octets: u64) -> io::Result<Read> {
        let mut result = Ok(());
        let room = usize::try_from(octets).unwrap_or(usize::MAX) / OCTETS_A_RECORD;
        let read = self.replace_by(zone, room, |taking| {
            let apex = taking.settings.name;
            result = zonefile::read(file, &apex, |line, record| taking.record(line, record));
            result.is_ok()
        });
        result.map(|()| read)
    }

    /// Replaces a zone's rules by those that `fill` hands over, if it says in the end that they are all there.
    pub fn replace_if(&mut self, zone: u8, fill: impl FnOnce(&mut Taking<'_>) -> bool) -> Read {
        self.replace_by(zone, 0, fill)
    }

    fn replace_by(&mut self, zone: u8, room: usize, fill: impl FnOnce(&mut Taking<'_>) -> bool) -> Read {
        let Some(settings) = self.zones.get(usize::from(zone)).map(|zone| Arc::clone(&zone.settings)) else {
            return Read::default();
        };
        let room = room * NAMES_A_RECORD.0 / NAMES_A_RECORD.1;
        // Of a zone without rules nothing has to hold meanwhile, and nobody waits.
        let is_new = self.zones[usize::from(zone)].rules == 0;
        let mut beside = if is_new { None } else { Some(self.rules.without(zone, room)) };
        let rules = match &mut beside {
            Some(rules) => rules,
            None => {
                self.rules.names.reserve(room);
                &mut self.rules
            }
        };
        let read = Read::default();
        let mut taking = Taking {
            zone,
            settings: &settings,
            rules,
            count: 0,
            soa: None,
            read,
            handled: 0,
            gently: !is_new,
            coming: Vec::with_capacity(COMING_MAX),
        };
        let all_there = fill(&mut taking);
        taking.settle();
        let Taking { read, count, soa, .. } = taking;
        if !all_there {
            if is_new {
                self.rules = self.rules.without(zone, 0);
            }
            return read;
        }
        if let Some(rules) = beside {
            self.rules = rules;
        }
        self.zones[usize::from(zone)] = Zone { settings, serial: read.serial, soa, rules: count };
        self.publish();
        read
    }

    /// Takes records away from a zone and gives it others, as one change.
    pub fn change<'a>(
        &mut self,
        zone: u8,
        gone: impl IntoIterator<Item = ZoneRecord<'a>>,
        come: impl IntoIterator<Item = ZoneRecord<'a>>,
    ) -> Read {
        let Some(Zone { settings, serial, soa, rules: count }) = self.zones.get(usize::from(zone)).cloned()
        else {
            return Read::default();
        };
        let read = Read { serial, ..Read::default() };
        let mut taking = Taking {
            zone,
            settings: &settings,
            rules: &mut self.rules,
            count,
            soa,
            read,
            handled: 0,
            gently: false,
            coming: Vec::new(),
        };
        for record in gone {
            taking.gone(record);
        }
        for record in come {
            taking.record(0, Ok(record));
        }
        taking.settle();
        let Taking { read, count, soa, .. } = taking;
        self.zones[usize::from(zone)] = Zone { settings, serial: read.serial, soa, rules: count };
        self.publish();
        read
    }

    /// Whether a zone has a rule that a record says, alone or with others.
    pub fn has(&self, zone: u8, record: &ZoneRecord<'_>) -> bool {
        let Some(settings) = self.zones.get(usize::from(zone)).map(|zone| &zone.settings) else {
            return false;
        };
        let Ok(Some((trigger, part))) = record.rule(&settings.name) else { return false };
        let current = self.rules.names.actions().look(self.rules.current(zone, &trigger));
        current.is_some_and(|current| left(current, &part).as_ref() != Some(current))
    }

    fn publish(&mut self) {
        self.published.store(Arc::new(policy(self.secret, &self.zones, &self.rules)));
    }
}

fn policy(secret: Secret, zones: &[Zone], rules: &Rules) -> Policy {
    let enabled = zones.iter().enumerate().filter(|(_, zone)| zone.settings.action != Override::Disabled);
    Policy {
        secret,
        names: Arc::clone(rules.names.names()),
        clients: Arc::clone(&rules.clients),
        addresses: Arc::clone(&rules.addresses),
        servers: Arc::clone(&rules.servers),
        having: [Kind::ClientIp, Kind::Qname, Kind::Ip, Kind::Nsdname, Kind::Nsip]
            .map(|kind| rules.having(kind)),
        enabled: enabled.fold(0, |zones, (place, _)| zones | 1 << place),
        needing: needing(zones),
        zones: zones.into(),
    }
}

/// The zones that need consent to each measure, a bit each.
fn needing(zones: &[Zone]) -> [u64; MEASURES_MAX] {
    let mut needing = [0; MEASURES_MAX];
    for (place, zone) in zones.iter().enumerate() {
        if let Some(zones) =
            zone.settings.by_consent.and_then(|measure| needing.get_mut(usize::from(measure)))
        {
            *zones |= 1 << place;
        }
    }
    needing
}

/// Records on their way into a zone.
#[derive(Debug)]
pub struct Taking<'a> {
    zone: u8,
    settings: &'a ZoneSettings,
    rules: &'a mut Rules,
    count: usize,
    soa: Option<Arc<LocalRecord>>,
    read: Read,
    handled: usize,
    /// Whether others are let run now and then: a table is built while questions are answered.
    gently: bool,
    /// Rules by name whose places in the table are being fetched.
    coming: Vec<Coming>,
}

/// Where an action is.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// At the end of a way, or below it.
    Name(&'a Way, bool),
    Network(&'a Trigger),
}

/// A rule by name on its way into the table.
#[derive(Debug)]
struct Coming {
    line: usize,
    way: Way,
    below: bool,
    part: Part,
}

impl Taking<'_> {
    /// A record that the zone has; a line of 0 where there are no lines.
    pub fn record(&mut self, line: usize, record: Result<ZoneRecord<'_>, EntryError>) {
        self.handled += 1;
        if self.gently && self.handled.is_multiple_of(RECORDS_AT_ONCE) {
            std::thread::yield_now();
        }
        let added = record.map_err(Conflict::from).and_then(|record| self.add(line, record));
        if let Err(why) = added {
            // Those before it come first.
            self.settle();
            self.read.refuse(line, why);
        }
    }

    fn add(&mut self, line: usize, record: ZoneRecord<'_>) -> Result<(), Conflict> {
        if *record.owner == self.settings.name && record.rtype == rtype::SOA {
            self.read.serial = serial(record.data);
            self.soa = Some(Arc::new(LocalRecord {
                rtype: record.rtype,
                ttl: record.ttl,
                data: record.data.into(),
            }));
            return Ok(());
        }
        let Some((trigger, part)) = record.rule(&self.settings.name)? else { return Ok(()) };
        match trigger.by_name() {
            Some((realm, name, below)) => {
                let way = self.rules.names.way(realm, name);
                self.coming.push(Coming { line, way, below, part });
                if self.coming.len() == COMING_MAX {
                    self.settle();
                }
                Ok(())
            }
            None => self.join(Place::Network(&trigger), part),
        }
    }

    /// Has the rules that are on their way arrive. A place in a large table is far from the processor: fetched together, they cost
    /// little more than one of them.
    fn settle(&mut self) {
        self.rules.names.approach(self.coming.iter().map(|coming| &coming.way));
        let mut coming = std::mem::take(&mut self.coming);
        for Coming { line, way, below, part } in coming.drain(..) {
            if let Err(why) = self.join(Place::Name(&way, below), part) {
                self.read.refuse(line, why);
            }
        }
        self.coming = coming;
    }

    /// Gives the action at a place one record more.
    fn join(&mut self, place: Place<'_>, part: Part) -> Result<(), Conflict> {
        let mut conflict = None;
        self.edit(place, |current| match joined(current, part) {
            Ok(action) => Some(action),
            Err(why) => {
                conflict = why;
                current.cloned()
            }
        });
        match conflict {
            Some(why) => Err(Conflict::Taken(Box::new(why))),
            None => {
                self.read.records += 1;
                Ok(())
            }
        }
    }

    /// A record that the zone has no more. One that it never had changes nothing.
    pub fn gone(&mut self, record: ZoneRecord<'_>) {
        self.settle();
        let Ok(Some((trigger, part))) = record.rule(&self.settings.name) else { return };
        let way = trigger.by_name().map(|(realm, name, below)| (self.rules.names.way(realm, name), below));
        let place = way.as_ref().map_or(Place::Network(&trigger), |(way, below)| Place::Name(way, *below));
        self.edit(place, |current| left(current?, &part));
    }

    /// Puts another action in place of the one that is there.
    fn edit(&mut self, place: Place<'_>, change: impl FnOnce(Option<&Action>) -> Option<Action>) {
        let (zone, names) = (self.zone, &mut self.rules.names);
        let (before, after);
        match place {
            Place::Name(way, below) => {
                before = names.rule(zone, way, below);
                after = changed(names, before, change);
                if after != before {
                    names.set(zone, way, below, after);
                }
            }
            Place::Network(trigger) => {
                let (networks, network) = match trigger {
                    Trigger::Client(network) => (&mut self.rules.clients, *network),
                    Trigger::Address(network) => (&mut self.rules.addresses, *network),
                    Trigger::ServerAddress(network) => (&mut self.rules.servers, *network),
                    _ => return,
                };
                before = networks.rule(zone, network);
                after = changed(names, before, change);
                if after != before {
                    Arc::make_mut(networks).set(zone, network, after);
                }
            }
        }
        let none = ActionId::default();
        self.count = self.count + usize::from(before == none && after != none)
            - usize::from(before != none && after == none);
    }
}

fn changed(
    names: &mut Writer,
    before: ActionId,
    change: impl FnOnce(Option<&Action>) -> Option<Action>,
) -> ActionId {
    let current = names.actions().look(before);
    match change(current) {
        // The same needs no look-up.
        Some(action) if current == Some(&action) => before,
        Some(action) => names.action(action),
        None => ActionId::default(),
    }
}

impl Rules {
    fn having(&self, kind: Kind) -> u64 {
        match kind {
            Kind::ClientIp => self.clients.zones(),
            Kind::Qname => self.names.zones(Realm::Query),
            Kind::Ip => self.addresses.zones(),
            Kind::Nsdname => self.names.zones(Realm::Server),
            Kind::Nsip => self.servers.zones(),
        }
    }

    /// The action that a trigger has in a zone.
    fn current(&self, zone: u8, trigger: &Trigger) -> ActionId {
        if let Some((realm, name, below)) = trigger.by_name() {
            return self.names.rule(zone, &self.names.way(realm, name), below);
        }
        match trigger {
            Trigger::Client(network) => self.clients.rule(zone, *network),
            Trigger::Address(network) => self.addresses.rule(zone, *network),
            Trigger::ServerAddress(network) => self.servers.rule(zone, *network),
            _ => ActionId::default(),
        }
    }

    fn without(&self, zone: u8, room: usize) -> Self {
        let mut names = self.names.without(zone, room);
        let mut copy = |networks: &Networks| {
            Arc::new(networks.without(zone, |id| names.copied(self.names.actions(), id)))
        };
        let (clients, addresses, servers) = (copy(&self.clients), copy(&self.addresses), copy(&self.servers));
        Self { names, clients, addresses, servers }
    }
}

/// The action that a trigger has with one record more; the one that stands where they do not go together, none where it is the same.
fn joined(current: Option<&Action>, part: Part) -> Result<Action, Option<Action>> {
    match (current, part) {
        (None, Part::Whole(action)) => Ok(action),
        (None, Part::Local(record)) => Ok(Action::Local([record].into())),
        (Some(Action::Local(records)), Part::Local(record)) => {
            if records.iter().any(|known| is_same(known, &record)) {
                return Err(None);
            }
            Ok(Action::Local(records.iter().cloned().chain([record]).collect()))
        }
        (Some(current), Part::Whole(action)) if *current == action => Err(None),
        (Some(current), _) => Err(Some(current.clone())),
    }
}

/// The action that a trigger has without one record.
fn left(current: &Action, part: &Part) -> Option<Action> {
    match (current, part) {
        (Action::Local(records), Part::Local(record)) => {
            let rest: Box<[LocalRecord]> =
                records.iter().filter(|known| !is_same(known, record)).cloned().collect();
            if rest.is_empty() { None } else { Some(Action::Local(rest)) }
        }
        (Action::Cname { target, .. }, Part::Whole(Action::Cname { target: other, .. }))
            if target == other =>
        {
            None
        }
        (Action::CnameBelow { target, .. }, Part::Whole(Action::CnameBelow { target: other, .. }))
            if target == other =>
        {
            None
        }
        (current, Part::Whole(action)) if current == action => None,
        (current, _) => Some(current.clone()),
    }
}

/// A record is its type and data; how long it holds does not make it another (RFC 2181, 5).
fn is_same(one: &LocalRecord, other: &LocalRecord) -> bool {
    one.rtype == other.rtype && one.data == other.data
}

/// The serial of a SOA's data: after two names.
fn serial(data: &[u8]) -> Option<u32> {
    let (_, primary) = Name::from_wire(data).ok()?;
    let (_, mailbox) = Name::from_wire(data.get(primary..)?).ok()?;
    let at = primary + mailbox;
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    fn editor() -> Editor {
        let zones = ["one.", "two."].map(|zone| ZoneSettings::new(name(zone)));
        Editor::new(Secret([9; 16]), zones.into())
    }

    fn of(editor: &Editor, asked: &str) -> Option<(u8, &'static str)> {
        let policy = editor.published().load_full();
        policy
            .of_question(None, &name(asked), policy.zones_for(0))
            .map(|verdict| (verdict.zone, verdict.action.label()))
    }

    #[test]
    fn a_file_becomes_rules_and_what_it_says_twice_is_told() {
        let mut editor = editor();
        let text = b"@ SOA ns. host. 7 1 1 1 1\na CNAME .\na CNAME *.\n*.b A 192.0.2.1\n*.b A 192.0.2.2\n*.b A 192.0.2.1\nc..d CNAME .\n";
        let read = editor.replace_by_file(1, text.as_slice(), 0).unwrap();
        assert_eq!((read.serial, read.records, read.refused_count), (Some(7), 4, 2));
        assert_eq!(read.refused[0], Refused { line: 3, why: Conflict::Taken(Box::new(Action::Nxdomain)) });
        assert_eq!(read.refused[1].line, 7);
        assert_eq!(editor.zone(1).unwrap().rules, 2);
        assert_eq!(of(&editor, "a."), Some((1, "nxdomain")));
        assert_eq!(of(&editor, "x.b."), Some((1, "local-data")));
        // An earlier zone comes first; a later version takes the place of all that was.
        editor.replace_by_file(0, &b"a CNAME rpz-drop.\n"[..], 0).unwrap();
        assert_eq!(of(&editor, "a."), Some((0, "drop")));
        editor.replace_by_file(0, &b"q CNAME rpz-drop.\n"[..], 0).unwrap();
        assert_eq!(of(&editor, "a."), Some((1, "nxdomain")));
        assert_eq!(of(&editor, "x.b."), Some((1, "local-data")));
    }

    #[test]
    fn a_change_takes_away_and_adds() {
        let mut editor = editor();
        let text = b"@ SOA ns. host. 7 1 1 1 1\na CNAME .\nb A 192.0.2.1\nb A 192.0.2.2\n24.0.2.0.192.rpz-ip CNAME .\n";
        editor.replace_by_file(0, text.as_slice(), 0).unwrap();
        let record = |owner: &str, rtype, data: &'static [u8]| ZoneRecord {
            owner: Box::leak(Box::new(name(owner))),
            rtype,
            ttl: 1,
            data,
        };
        let gone = [record("b.one.", rtype::A, &[192, 0, 2, 1]), record("a.one.", rtype::CNAME, &[0])];
        let come = [
            record("c.one.", rtype::CNAME, &[0]),
            record("32.1.2.0.192.rpz-client-ip.one.", rtype::CNAME, &[0]),
        ];
        let read = editor.change(0, gone, come);
        assert_eq!((read.serial, read.records, read.refused_count), (Some(7), 2, 0));
        assert_eq!(
            [of(&editor, "a."), of(&editor, "b."), of(&editor, "c.")],
            [None, Some((0, "local-data")), Some((0, "nxdomain"))]
        );
        let policy = editor.published().load_full();
        assert_eq!(policy.zones[0].rules, 4);
        let client = Some("192.0.2.1".parse().unwrap());
        let verdict = policy.of_question(client, &name("other."), 1).unwrap();
        assert_eq!(verdict.kind, Kind::ClientIp);
        assert_eq!(policy.waits_for_answer(None, 1), 1);
        assert_eq!(policy.waits_for_answer(Some(&verdict), 1), 0);
        let verdict = policy.of_answer(["192.0.2.9".parse().unwrap()].into_iter(), None, 1).unwrap();
        assert_eq!((verdict.kind, verdict.action), (Kind::Ip, &Action::Nxdomain));
    }
}
