//! Rules by name: one table for all zones, which is read while it is changed.
//!
//! A zone's names form a tree, and a wildcard holds for what is below it and has no closer relative in the tree (RFC 4592). So the
//! table has an entry for each name that exists in a zone, rules or not: names that exist only because others are below them too. A
//! look-up goes down from the root and ends where no zone has the next name, which for most questions is after two labels.
//!
//! ```text
//!   slot, 16 octets    place (64 bits of the hash) │ check (30 further bits) · children (2) · node (32)
//!   node               what each zone has here: rule for the name, rule for names below it
//! ```
//!
//! Nodes are few, as most names of a list share one. Slots and nodes are only written by [`Writer`], slot by slot with a
//! single store, so readers never wait and see each rule before or after a change. How many names are below one is known to the
//! writer alone, and only where it is not plain from the slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::rule::Action;
use crate::name::{LABELS_MAX, Name, NameHash, Realm, Secret};

/// Zones at most: a bit each.
pub const ZONES_MAX: usize = 64;

/// Part of the slots that may be used before the table grows.
const LOAD_MAX: (usize, usize) = (3, 4);
const SLOTS_MIN: usize = 1024;

const CHECK_SHIFT: u32 = 34;
const CHILDREN_SHIFT: u32 = 32;

/// Number of an action; none is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ActionId(u32);

/// What one zone has at a name or network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Here {
    /// The zone's place in the order.
    pub zone: u8,
    /// The rule for the name itself.
    pub exact: ActionId,
    /// The rule for names below it.
    pub below: ActionId,
}

/// All actions that rules have, each once; a number stays valid as long as the store.
#[derive(Debug)]
pub struct Actions(boxcar::Vec<Action>);

impl Actions {
    fn new() -> Self {
        // Number 0 means none and is never looked up.
        Self(boxcar::vec![Action::Passthru])
    }

    /// The action of a number.
    pub fn look(&self, id: ActionId) -> Option<&Action> {
        if id.0 == 0 { None } else { self.0.get(id.0 as usize) }
    }
}

#[derive(Debug, Default)]
struct Slot {
    place: AtomicU64,
    value: AtomicU64,
}

/// The table, for its readers.
#[derive(Debug)]
pub struct Names {
    slots: Box<[Slot]>,
    nodes: Arc<boxcar::Vec<Box<[Here]>>>,
    actions: Arc<Actions>,
}

/// The rule found for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameMatch {
    /// The zone's place in the order.
    pub zone: u8,
    /// What the rule does.
    pub action: ActionId,
    /// Labels of the name at which the rule is; of a rule for names below, those of the name above.
    pub labels: u8,
    /// Whether it is the rule for names below.
    pub below: bool,
}

impl Names {
    fn with(slots: usize, nodes: Arc<boxcar::Vec<Box<[Here]>>>, actions: Arc<Actions>) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(slots.max(SLOTS_MIN)).collect();
        Self { slots, nodes, actions }
    }

    /// The actions that rules have.
    pub fn actions(&self) -> &Actions {
        &self.actions
    }

    /// Octets that slots take.
    pub fn octets(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
    }

    /// What the first of `zones` (a bit each) that has a rule for `name` says.
    #[inline]
    pub fn find(&self, secret: &Secret, realm: Realm, name: &Name, zones: u64) -> Option<NameMatch> {
        let mut first = None;
        self.each(secret, realm, name, zones, |found| {
            first = Some(found);
            false
        });
        first
    }

    /// Gives the rule of each of `zones` to `take`, in order, until it is satisfied.
    #[inline]
    pub fn each(
        &self,
        secret: &Secret,
        realm: Realm,
        name: &Name,
        zones: u64,
        mut take: impl FnMut(NameMatch) -> bool,
    ) {
        if zones == 0 {
            return;
        }
        let mut starts = [0; LABELS_MAX];
        let count = name.label_starts(&mut starts);
        let mut hash = secret.root(realm);
        let mut closest = [(ActionId(0), 0u8, false); ZONES_MAX];
        let (mut live, mut found) = (zones, 0u64);
        for depth in 0..=count {
            if depth > 0 {
                hash = secret.child(hash, name.label_at(starts[count - depth]));
            }
            let Some(node) = self.look(hash) else { break };
            let mut here = 0;
            for Here { zone, exact, below } in node {
                let bit = 1 << (zone & 63);
                if live & bit == 0 {
                    continue;
                }
                here |= bit;
                let own = depth == count;
                let action = if own { *exact } else { *below };
                closest[usize::from(*zone & 63)] = (action, depth as u8, !own);
                if action.0 == 0 { found &= !bit } else { found |= bit }
            }
            live = here;
            if live == 0 {
                break;
            }
        }
        while found != 0 {
            let zone = found.trailing_zeros() as u8;
            let (action, labels, below) = closest[usize::from(zone)];
            if !take(NameMatch { zone, action, labels, below }) {
                return;
            }
            found &= found - 1;
        }
    }

    #[inline]
    fn look(&self, hash: NameHash) -> Option<&[Here]> {
        let (_, value) = self.slot(hash).ok()?;
        let node = value as u32;
        if node == 0 { None } else { self.nodes.get(node as usize).map(|node| &**node) }
    }

    /// The slot of a hash and its value, or the free slot where it would be.
    #[inline]
    fn slot(&self, hash: NameHash) -> Result<(usize, u64), usize> {
        let place = place(hash);
        let mut at = self.first(place);
        loop {
            let slot = &self.slots[at];
            // Whoever sees a place sees its value: the writer stores them in the other order.
            let taken = slot.place.load(Ordering::Acquire);
            if taken == 0 {
                return Err(at);
            }
            if taken == place {
                let value = slot.value.load(Ordering::Acquire);
                if value >> CHECK_SHIFT == hash.check >> CHECK_SHIFT {
                    return Ok((at, value));
                }
            }
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
    }

    fn first(&self, place: u64) -> usize {
        ((u128::from(place) * self.slots.len() as u128) >> 64) as usize
    }
}

/// A place is never 0, which is that of a free slot.
fn place(hash: NameHash) -> u64 {
    hash.place.max(1)
}

/// How many names are below one, as its slot says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Children {
    None = 0,
    /// One, in the only zone that has the name.
    One = 1,
    /// As [`Writer::children`] says.
    Counted = 2,
}

/// The only one who changes the table.
#[derive(Debug)]
pub struct Writer {
    secret: Secret,
    names: Arc<Names>,
    /// Slots that are used or were.
    used: usize,
    children: HashMap<(u64, u8), u32>,
    node_ids: HashMap<Box<[Here]>, u32>,
    action_ids: HashMap<Action, ActionId>,
}

impl Writer {
    /// An empty table with room for so many names.
    pub fn new(secret: Secret, names: usize) -> Self {
        let nodes = Arc::new(boxcar::vec![Box::default()]);
        let names = Names::with(slots_for(names), nodes, Arc::new(Actions::new()));
        Self {
            secret,
            names: Arc::new(names),
            used: 0,
            children: HashMap::new(),
            node_ids: HashMap::from([(Box::default(), 0)]),
            action_ids: HashMap::new(),
        }
    }

    /// The table for its readers. It becomes another one when it has grown.
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Makes room for so many further names.
    pub fn reserve(&mut self, names: usize) {
        let wanted = slots_for(self.used + names);
        if wanted > self.names.slots.len() {
            self.grow(wanted);
        }
    }

    /// The number of an action.
    pub fn action(&mut self, action: Action) -> ActionId {
        if let Some(id) = self.action_ids.get(&action) {
            return *id;
        }
        let id = ActionId(self.names.actions.0.push(action.clone()) as u32);
        self.action_ids.insert(action, id);
        id
    }

    /// The actions that rules have.
    pub fn actions(&self) -> &Actions {
        &self.names.actions
    }

    /// The way from the root to a name.
    pub fn way(&self, realm: Realm, name: &Name) -> Way {
        let mut starts = [0; LABELS_MAX];
        let count = name.label_starts(&mut starts);
        let mut hash = self.secret.root(realm);
        let mut way = Way(SmallVec::with_capacity(count + 1));
        way.0.push(hash);
        for start in starts[..count].iter().rev() {
            hash = self.secret.child(hash, name.label_at(*start));
            way.0.push(hash);
        }
        way
    }

    /// Has the processor fetch what is at the ends of ways, of all at once instead of one after the other.
    pub fn approach<'a>(&self, ways: impl IntoIterator<Item = &'a Way>) {
        let slots = &self.names.slots;
        let place = |way: &Way| slots[self.names.first(place(way.end()))].place.load(Ordering::Relaxed);
        std::hint::black_box(ways.into_iter().fold(0, |all, way| all | place(way)));
    }

    /// The rule that a zone has for the name at the end of a way, or those `below` it.
    pub fn rule(&self, zone: u8, way: &Way, below: bool) -> ActionId {
        let node = self.names.look(way.end()).unwrap_or_default();
        let here = node.iter().find(|here| here.zone == zone);
        here.map_or(ActionId::default(), |here| if below { here.below } else { here.exact })
    }

    /// Gives a zone another rule for the name at the end of a way (or those `below` it), or none.
    pub fn set(&mut self, zone: u8, way: &Way, below: bool, action: ActionId) {
        let mut change = Change::Rule { below, action };
        for hash in way.0.iter().rev() {
            match self.change(zone, *hash, change) {
                0 => return,
                more => change = Change::Children(more),
            }
        }
    }

    /// The zones, a bit each, that have any name in a realm.
    pub fn zones(&self, realm: Realm) -> u64 {
        let root = self.names.look(self.secret.root(realm)).unwrap_or_default();
        root.iter().fold(0, |zones, here| zones | 1 << here.zone)
    }

    /// Changes what a zone has at one name; whether the name is new (1), gone (-1) or neither (0).
    fn change(&mut self, zone: u8, hash: NameHash, change: Change) -> i32 {
        let (at, value) = match self.names.slot(hash) {
            Ok(found) => found,
            Err(free) => (free, 0),
        };
        let node = &self.names.nodes[value as u32 as usize];
        let mut entries: SmallVec<[Here; 4]> = SmallVec::from_slice(node);
        let known = entries.iter().position(|here| here.zone == zone);
        let mut here = known.map_or(Here { zone, ..Here::default() }, |at| entries[at]);
        let mut below_it = self.children_of(hash, value, zone);
        match change {
            Change::Rule { below: true, action } => here.below = action,
            Change::Rule { below: false, action } => here.exact = action,
            Change::Children(more) => below_it = below_it.saturating_add_signed(more),
        }
        let exists = here.exact.0 != 0 || here.below.0 != 0 || below_it != 0;
        let counts = self.counts_beside(hash, value, zone, &entries);
        match known {
            Some(at) if exists => entries[at] = here,
            Some(at) => {
                entries.remove(at);
            }
            None if exists => {
                let at = entries.partition_point(|here| here.zone < zone);
                entries.insert(at, here);
            }
            None => return 0,
        }
        self.write(at, value, hash, &entries, zone, below_it, &counts);
        i32::from(exists) - i32::from(known.is_some())
    }

    fn children_of(&self, hash: NameHash, value: u64, zone: u8) -> u32 {
        match (value >> CHILDREN_SHIFT) & 3 {
            0 => 0,
            1 => u32::from(self.names.nodes[value as u32 as usize].iter().any(|here| here.zone == zone)),
            _ => self.children.get(&(hash.place, zone)).copied().unwrap_or(0),
        }
    }

    /// Names below this one in the other zones that have it.
    fn counts_beside(
        &self,
        hash: NameHash,
        value: u64,
        zone: u8,
        entries: &[Here],
    ) -> SmallVec<[(u8, u32); 4]> {
        let others = entries.iter().filter(|here| here.zone != zone);
        others.map(|here| (here.zone, self.children_of(hash, value, here.zone))).collect()
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is one slot")]
    fn write(
        &mut self,
        at: usize,
        value: u64,
        hash: NameHash,
        entries: &[Here],
        zone: u8,
        below_it: u32,
        beside: &[(u8, u32)],
    ) {
        let any_beside = beside.iter().any(|(_, count)| *count > 0);
        let children = match below_it {
            0 if !any_beside => Children::None,
            1 if entries.len() == 1 => Children::One,
            _ => Children::Counted,
        };
        let counted_before = (value >> CHILDREN_SHIFT) & 3 == Children::Counted as u64;
        if children == Children::Counted {
            for (zone, count) in beside.iter().chain([&(zone, below_it)]) {
                if *count == 0 {
                    self.children.remove(&(hash.place, *zone));
                } else {
                    self.children.insert((hash.place, *zone), *count);
                }
            }
        } else if counted_before {
            for zone in beside.iter().map(|(zone, _)| *zone).chain([zone]) {
                self.children.remove(&(hash.place, zone));
            }
        }
        let node = self.node(entries);
        let new = ((hash.check >> CHECK_SHIFT) << CHECK_SHIFT)
            | ((children as u64) << CHILDREN_SHIFT)
            | u64::from(node);
        let slot = &self.names.slots[at];
        slot.value.store(new, Ordering::Release);
        if slot.place.load(Ordering::Relaxed) == 0 {
            slot.place.store(place(hash), Ordering::Release);
            self.used += 1;
            if self.used * LOAD_MAX.1 > self.names.slots.len() * LOAD_MAX.0 {
                self.grow(self.names.slots.len() * 3 / 2);
            }
        }
    }

    fn node(&mut self, entries: &[Here]) -> u32 {
        if let Some(id) = self.node_ids.get(entries) {
            return *id;
        }
        let id = self.names.nodes.push(entries.into()) as u32;
        self.node_ids.insert(entries.into(), id);
        id
    }

    /// A larger table with the same rules; readers of the old one see no further change.
    fn grow(&mut self, slots: usize) {
        let new = Names::with(slots, Arc::clone(&self.names.nodes), Arc::clone(&self.names.actions));
        let mut done = 0;
        self.used = 0;
        for slot in &self.names.slots {
            let_others_run(&mut done);
            let (place, value) = (slot.place.load(Ordering::Relaxed), slot.value.load(Ordering::Relaxed));
            if value as u32 != 0 {
                put(&new, place, value);
                self.used += 1;
            }
        }
        self.names = Arc::new(new);
    }

    /// A table of its own with all rules but those of `zone`, and room for so many names more.
    #[must_use]
    pub fn without(&self, zone: u8, room: usize) -> Self {
        let mut nodes: HashMap<u32, u32> = HashMap::new();
        let mut done = 0;
        let is_kept = |slot: &&Slot| {
            let node = slot.value.load(Ordering::Relaxed) as u32 as usize;
            self.names.nodes[node].iter().any(|here| here.zone != zone)
        };
        let kept = self.names.slots.iter().filter(is_kept).count();
        let mut other = Self::new(self.secret, kept + room);
        for slot in &self.names.slots {
            let_others_run(&mut done);
            let (place, value) = (slot.place.load(Ordering::Relaxed), slot.value.load(Ordering::Relaxed));
            let id = value as u32;
            if id == 0 {
                continue;
            }
            let node = *nodes.entry(id).or_insert_with(|| {
                let kept: Vec<Here> = self.names.nodes[id as usize]
                    .iter()
                    .filter(|here| here.zone != zone)
                    .map(|here| Here {
                        exact: other.copied(&self.names.actions, here.exact),
                        below: other.copied(&self.names.actions, here.below),
                        ..*here
                    })
                    .collect();
                other.node(&kept)
            });
            if node != 0 {
                put(&other.names, place, (value & !u64::from(u32::MAX)) | u64::from(node));
                other.used += 1;
            }
        }
        other.children = self
            .children
            .iter()
            .filter(|((_, of), _)| *of != zone)
            .map(|(key, count)| (*key, *count))
            .collect();
        other
    }

    /// The number here of an action that has another one in `from`.
    pub fn copied(&mut self, from: &Actions, id: ActionId) -> ActionId {
        from.look(id).cloned().map_or(id, |action| self.action(action))
    }
}

/// The way from the root to a name, hash by hash.
#[derive(Debug)]
pub struct Way(SmallVec<[NameHash; 8]>);

impl Way {
    fn end(&self) -> NameHash {
        // It begins with the root, so that there is one.
        self.0.last().copied().unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
enum Change {
    Rule { below: bool, action: ActionId },
    Children(i32),
}

/// Steps of a long work between two moments in which others may run.
const STEPS: u32 = 4096;

/// Lets a worker run that waits for the processor on which a table is built: it answers somebody.
fn let_others_run(step: &mut u32) {
    *step += 1;
    if step.is_multiple_of(STEPS) {
        std::thread::yield_now();
    }
}

/// Slots for so many names.
fn slots_for(names: usize) -> usize {
    (names * LOAD_MAX.1 / LOAD_MAX.0 + 1).max(SLOTS_MIN)
}

/// Puts a slot where nobody reads yet.
fn put(names: &Names, place: u64, value: u64) {
    let mut at = names.first(place);
    while names.slots[at].place.load(Ordering::Relaxed) != 0 {
        at = (at + 1) % names.slots.len();
    }
    names.slots[at].value.store(value, Ordering::Relaxed);
    names.slots[at].place.store(place, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const SECRET: Secret = Secret([3; 16]);

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    fn action(writer: &mut Writer, number: u8) -> ActionId {
        writer.action(Action::Cname { ttl: u32::from(number), target: Box::new(Name::ROOT) })
    }

    fn set(writer: &mut Writer, zone: u8, name: &Name, below: bool, action: ActionId) {
        let way = writer.way(Realm::Query, name);
        writer.set(zone, &way, below, action);
        assert_eq!(writer.rule(zone, &way, below), action);
    }

    fn found(writer: &Writer, text: &str, zones: u64) -> Option<(u8, u32, u8, bool)> {
        let names = writer.names();
        names.find(&SECRET, Realm::Query, &name(text), zones).map(|found| {
            match names.actions().look(found.action) {
                Some(Action::Cname { ttl, .. }) => (found.zone, *ttl, found.labels, found.below),
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn a_wildcard_holds_where_nothing_is_closer() {
        let mut writer = Writer::new(SECRET, 0);
        let (one, two, three) = (action(&mut writer, 1), action(&mut writer, 2), action(&mut writer, 3));
        set(&mut writer, 0, &name("a."), true, one);
        set(&mut writer, 0, &name("b.a."), false, two);
        set(&mut writer, 0, &name("z.y.a."), false, three);
        assert_eq!(found(&writer, "x.a.", 1), Some((0, 1, 1, true)));
        assert_eq!(found(&writer, "x.x.a.", 1), Some((0, 1, 1, true)));
        assert_eq!(found(&writer, "a.", 1), None, "it is not below itself");
        assert_eq!(found(&writer, "b.a.", 1), Some((0, 2, 2, false)));
        assert_eq!(found(&writer, "x.b.a.", 1), None, "b.a. is closer and has none");
        assert_eq!(found(&writer, "y.a.", 1), None, "it exists, as something is below it");
        assert_eq!(found(&writer, "x.y.a.", 1), None);
        set(&mut writer, 0, &name("z.y.a."), false, ActionId::default());
        assert_eq!(found(&writer, "y.a.", 1), Some((0, 1, 1, true)), "and no more");
        assert_eq!(writer.names().find(&SECRET, Realm::Server, &name("x.a."), 1), None);
    }

    #[test]
    fn the_first_zone_decides_and_what_another_has_does_not_hide_it() {
        let mut writer = Writer::new(SECRET, 0);
        let (one, two) = (action(&mut writer, 1), action(&mut writer, 2));
        set(&mut writer, 5, &name("a."), true, one);
        set(&mut writer, 2, &name("x.y.a."), false, two);
        assert_eq!(found(&writer, "x.y.a.", !0), Some((2, 2, 3, false)));
        assert_eq!(found(&writer, "x.y.a.", 1 << 5), Some((5, 1, 1, true)));
        assert_eq!(found(&writer, "w.y.a.", !0), Some((5, 1, 1, true)), "y.a. exists in the other zone only");
        assert_eq!(found(&writer, "w.y.a.", 1 << 2), None);
        let other = writer.without(5, 0);
        assert_eq!(found(&other, "w.y.a.", !0), None);
        assert_eq!(found(&other, "x.y.a.", !0), Some((2, 2, 3, false)));
    }

    /// What the table is held against: a zone as a set of names.
    #[derive(Default)]
    struct Plain {
        rules: BTreeMap<(u8, Vec<String>, bool), u8>,
    }

    impl Plain {
        /// Labels from the root down.
        fn find(&self, zone: u8, asked: &[String]) -> Option<u8> {
            let mut existing: BTreeSet<Vec<String>> = BTreeSet::new();
            for (_, owner, _) in self.rules.keys().filter(|(of, ..)| *of == zone) {
                for depth in 0..=owner.len() {
                    existing.insert(owner[..depth].to_vec());
                }
            }
            let depth = (0..=asked.len()).rev().find(|depth| existing.contains(&asked[..*depth]))?;
            let below = depth < asked.len();
            self.rules.get(&(zone, asked[..depth].to_vec(), below)).copied()
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_tree_finds(
            changes in prop::collection::vec((0u8..3, prop::collection::vec(0u8..3, 0..5), any::<bool>(), 0u8..4), 1..60),
            asked in prop::collection::vec(prop::collection::vec(0u8..3, 0..5), 1..20),
            leave in 0u8..4,
        ) {
            let text = |labels: &[u8]| labels.iter().map(u8::to_string).collect::<Vec<_>>();
            let to_name = |labels: &[u8]| {
                let labels = text(labels);
                Name::from_labels(labels.iter().rev().map(String::as_bytes)).unwrap()
            };
            let mut plain = Plain::default();
            let mut writer = Writer::new(SECRET, 0);
            for (zone, labels, below, number) in &changes {
                let id = if *number == 0 { ActionId::default() } else { action(&mut writer, *number) };
                set(&mut writer, *zone, &to_name(labels), *below, id);
                let key = (*zone, text(labels), *below);
                if *number == 0 { plain.rules.remove(&key); } else { plain.rules.insert(key, *number); }
            }
            if leave < 3 {
                writer = writer.without(leave, 0);
                plain.rules.retain(|(zone, ..), _| *zone != leave);
            }
            for labels in &asked {
                let mut seen = BTreeMap::new();
                writer.names().each(&SECRET, Realm::Query, &to_name(labels), !0, |found| {
                    if let Some(Action::Cname { ttl, .. }) = writer.names().actions().look(found.action) {
                        seen.insert(found.zone, *ttl as u8);
                    }
                    true
                });
                let wanted: BTreeMap<u8, u8> =
                    (0..3).filter_map(|zone| Some((zone, plain.find(zone, &text(labels))?))).collect();
                prop_assert_eq!(seen, wanted);
            }
            // When all is taken back, nothing is left.
            for (zone, labels, below, _) in &changes {
                set(&mut writer, *zone, &to_name(labels), *below, ActionId::default());
            }
            prop_assert!(writer.children.is_empty());
            prop_assert!(writer.names().slots.iter().all(|slot| slot.value.load(Ordering::Relaxed) as u32 == 0));
        }
    }
}
