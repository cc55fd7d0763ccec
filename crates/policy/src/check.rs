//! Whether a rulebook allows anything that no settlement covers. Works on any [`Rulebook`], knows nothing of its text.
//!
//! ```text
//!   law.rs: what is lawful, written by hand ──▶ breaches(ask, dossier, facts)
//!                                                   │ not empty
//!   classes of requests ──▶ rulebook says yes ──────┴──▶ Found: a counterexample, told to a lawyer in two languages
//! ```
//!
//! The classes: begin with every request that is lawful (each measure, each use that its settlement covers) and change it in up
//! to `strength` respects at once: an element not argued, another basis, a field too many, another role, purpose, use or day,
//! consent missing, consent withdrawn. Names that the text mentions and nobody knows are tried too, so that an exception for
//! something unheard of is found. What needs more changes at once than that is found by the proofs (`proofs/`), which look at
//! every request there can be.

use std::collections::{BTreeMap, BTreeSet};

use noroshi_law::gate::date_number;
use noroshi_law::{Ask, BasisKind, Dossier, Register, Role, Rulebook, Standing, Use};

use crate::law::{Breach, SETTLED, breaches};

/// Changes at once that `noroshi law check` tries.
pub const STRENGTH: usize = 3;
/// A field that no measure has.
const CONTENT: &str = "raw";
/// A purpose that no measure has.
const FOREIGN_PURPOSE: &str = "advertising";
/// The day in force on which requests are made, after the day of approval.
const DAYS_IN_FORCE: i64 = 30;

/// A request that the rules allow and the law does not.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was asked.
    pub ask: Ask,
    /// The measure's title, English and Japanese.
    pub title: (String, String),
    /// The facts.
    pub standing: Standing,
    /// The rules that allowed it.
    pub rule: String,
    /// What makes it unlawful.
    pub breaches: Vec<Breach>,
}

impl Found {
    /// For a lawyer who reads English.
    pub fn english(&self) -> String {
        let why: Vec<String> = self.breaches.iter().map(|b| b.words().0).collect();
        format!(
            "{} ({}): {} asks to {}, for the purpose '{}', with {}. The rules would allow it, by {}. It is not lawful: {}.",
            self.title.0,
            self.ask.measure,
            self.ask.role.words().0,
            self.ask.usage.words().0,
            self.ask.purpose,
            if self.ask.fields.is_empty() { "no field".to_owned() } else { self.fields(", ") },
            self.rule,
            why.join("; "),
        )
    }

    /// For a lawyer who reads Japanese.
    pub fn japanese(&self) -> String {
        let why: Vec<String> = self.breaches.iter().map(|b| b.words().1).collect();
        format!(
            "{}({}): {}が、目的「{}」のため、「{}」(項目: {})を求めると、規則 {} により許可される。しかし適法でない。{}。",
            self.title.1,
            self.ask.measure,
            self.ask.role.words().1,
            self.ask.purpose,
            self.ask.usage.words().1,
            if self.ask.fields.is_empty() { "なし".to_owned() } else { self.fields("、") },
            self.rule,
            why.join("。"),
        )
    }

    fn fields(&self, between: &str) -> String {
        self.ask.fields.iter().map(String::as_str).collect::<Vec<_>>().join(between)
    }
}

/// What the check saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests put to the rulebook.
    pub asked: u64,
    /// Requests it allowed.
    pub allowed: u64,
    /// Of those, unlawful ones.
    pub unlawful: u64,
    /// Counterexamples, the simplest of each kind.
    pub found: Vec<Found>,
    /// Lawful requests, unchanged, that the rulebook refuses: stricter than it must be, which is nobody's fault.
    pub stricter: Vec<Ask>,
}

/// Puts every class of requests to the rulebook. `names` are words of its text ([`names`]).
pub fn check(rulebook: &dyn Rulebook, register: &Register, names: &[String], strength: usize) -> Report {
    let mut report = Report::default();
    let mut kinds: BTreeMap<(String, Vec<&'static str>), Found> = BTreeMap::new();
    let fields: BTreeSet<String> = register.iter().flat_map(|d| d.fields.iter().cloned()).collect();
    let unknown = unknown(names, register, &fields);
    for class in lawful(register, &unknown) {
        let dimensions = dimensions(&class, register, &fields, &unknown);
        let plain = breaches(&class.ask, &class.dossier, class.standing).is_empty();
        for_each_change(&dimensions, strength, &mut |changes| {
            let mut class = class.clone();
            changes.iter().for_each(|change| change(&mut class));
            report.asked += 1;
            let ruling = rulebook.judge(&class.ask, &class.dossier, class.standing);
            if !ruling.allowed {
                if changes.is_empty() && plain {
                    report.stricter.push(class.ask);
                }
                return;
            }
            report.allowed += 1;
            let breaches = breaches(&class.ask, &class.dossier, class.standing);
            if breaches.is_empty() {
                return;
            }
            report.unlawful += 1;
            let kind = (class.ask.measure.clone(), breaches.iter().map(Breach::id).collect());
            kinds.entry(kind).or_insert_with(|| Found {
                title: (class.dossier.title.en.clone(), class.dossier.title.ja.clone()),
                ask: class.ask,
                standing: class.standing,
                rule: ruling.rule,
                breaches,
            });
        });
    }
    report.found = simplest(kinds.into_values().collect());
    report
}

/// Words in quotes that policy text mentions, annotations and comments left out.
pub fn names(text: &str) -> Vec<String> {
    let mut names = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('"') {
            let end = string_end(after);
            let before = before.trim_end();
            let annotation =
                before.ends_with('(') && before.rfind('@').is_some_and(|at| !before[at..].contains(' '));
            if !annotation {
                names.insert(after[..end].to_owned());
            }
            rest = after.get(end + 1..).unwrap_or("");
        }
    }
    names.into_iter().collect()
}

/// Where a string ends that begins here.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

/// Names that are no field, element, basis, role, use or measure: perhaps a purpose, a field or a measure nobody settled.
fn unknown(names: &[String], register: &Register, fields: &BTreeSet<String>) -> Vec<String> {
    let known = |name: &str| {
        fields.contains(name)
            || register.measure(name).is_some()
            || register.iter().any(|d| d.purpose == name)
            || Role::ALL.iter().any(|r| r.id() == name)
            || Use::ALL.iter().any(|u| u.id() == name)
            || BasisKind::ALL.iter().any(|b| b.to_string() == name || b.elements().contains(&name))
    };
    names.iter().filter(|name| !known(name)).cloned().collect()
}

/// One request and everything the rules look at.
#[derive(Clone)]
struct Class {
    ask: Ask,
    dossier: Dossier,
    standing: Standing,
}

/// Every measure and use that a settlement covers; for names nobody knows a measure of that name, with every use.
fn lawful(register: &Register, unknown: &[String]) -> Vec<Class> {
    let mut classes = Vec::new();
    for dossier in register.iter() {
        let uses = SETTLED.iter().find(|s| s.measure == dossier.id).map_or(&[][..], |s| s.uses);
        classes.extend(uses.iter().map(|usage| class(dossier.clone(), *usage)));
    }
    if let Some(any) = register.iter().next() {
        for name in unknown {
            let title = noroshi_law::dossier::Titles { en: name.clone(), ja: name.clone() };
            let dossier = Dossier { id: name.clone(), title, ..any.clone() };
            classes.extend(Use::ALL.map(|usage| class(dossier.clone(), usage)));
        }
    }
    classes
}

fn class(dossier: Dossier, usage: Use) -> Class {
    let ask = Ask {
        measure: dossier.id.clone(),
        purpose: dossier.purpose.clone(),
        role: Role::System,
        usage,
        fields: dossier.fields.clone(),
    };
    let terms = Standing::of_terms(true, noon(date_number(dossier.approved_on) + DAYS_IN_FORCE));
    let standing = Standing { approvers: 2, ..terms };
    Class { ask, dossier, standing }
}

fn noon(day: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(day * 86_400 + 43_200).unwrap_or_default()
}

type Change = Box<dyn Fn(&mut Class)>;

/// Each respect in which a class can be changed, with its ways.
fn dimensions(
    class: &Class,
    register: &Register,
    fields: &BTreeSet<String>,
    unknown: &[String],
) -> Vec<Vec<Change>> {
    let mut dimensions: Vec<Vec<Change>> = vec![basis_changes(&class.dossier)];
    let mut add = |changes: Vec<Change>| dimensions.push(changes);
    let (all, narrow) =
        (fields.clone(), class.dossier.fields.iter().skip(1).cloned().collect::<BTreeSet<_>>());
    let mut everything: BTreeSet<String> = all.iter().cloned().chain(unknown.iter().cloned()).collect();
    everything.insert(CONTENT.into());
    add(vec![
        change(move |c| c.dossier.fields.clone_from(&narrow)),
        change(move |c| c.dossier.fields.clone_from(&everything)),
    ]);
    add(vec![
        change(|c| c.dossier.roles = BTreeSet::from(Role::ALL)),
        change(|c| c.dossier.roles = BTreeSet::from([Role::Legal])),
    ]);
    add(vec![change(|c| c.dossier.always_on = !c.dossier.always_on)]);
    add(vec![change(|c| c.dossier.two_people = !c.dossier.two_people)]);
    add([0, 1].map(|people| change(move |c| c.standing.approvers = people)).into());
    let (from, until) = (date_number(class.dossier.approved_on), date_number(class.dossier.expires_on));
    add([from - 1, until, until + 4000].map(|day| change(move |c| c.standing.now = noon(day))).into());
    let others = |role: &&Role| **role != class.ask.role;
    add(Role::ALL.iter().filter(others).map(|role| change(move |c| c.ask.role = *role)).collect());
    let usage = class.ask.usage;
    add(Use::ALL.iter().filter(|u| **u != usage).map(|u| change(move |c| c.ask.usage = *u)).collect());
    let own = &class.dossier.purpose;
    let another = register.iter().map(|d| &d.purpose).find(|p| *p != own).cloned();
    let purposes = [FOREIGN_PURPOSE.to_owned(), String::new()].into_iter().chain(another);
    add(purposes
        .chain(unknown.iter().cloned())
        .map(|purpose| change(move |c| c.ask.purpose.clone_from(&purpose)))
        .collect());
    add(field_changes(&all, &class.dossier.fields, unknown));
    add(vec![change(|c| c.standing.consent = false)]);
    add(vec![change(|c| c.standing.opted_out = true)]);
    add(vec![change(|c| c.standing.static_address = true)]);
    dimensions
}

fn change(change: impl Fn(&mut Class) + 'static) -> Change {
    Box::new(change)
}

/// An element left out, none argued, another basis with all of its own.
fn basis_changes(dossier: &Dossier) -> Vec<Change> {
    let mut changes: Vec<Change> = dossier
        .elements
        .iter()
        .map(|(id, _)| {
            let id = id.clone();
            change(move |c: &mut Class| c.dossier.elements.retain(|(other, _)| *other != id))
        })
        .collect();
    changes.push(change(|c| c.dossier.elements.clear()));
    for basis in BasisKind::ALL.into_iter().filter(|b| *b != dossier.basis) {
        changes.push(change(move |c| {
            c.dossier.basis = basis;
            c.dossier.elements =
                basis.elements().iter().map(|id| ((*id).to_owned(), "argued".to_owned())).collect();
        }));
    }
    changes
}

/// No field, one of its own, one too many of each sort, and only what is too many.
fn field_changes(all: &BTreeSet<String>, own: &BTreeSet<String>, unknown: &[String]) -> Vec<Change> {
    let set = |fields: BTreeSet<String>| change(move |c: &mut Class| c.ask.fields.clone_from(&fields));
    let mut changes = vec![set(BTreeSet::new()), set(own.iter().take(1).cloned().collect())];
    let foreign = all.iter().filter(|f| !own.contains(*f)).map(String::as_str);
    for field in foreign.chain([CONTENT]).chain(unknown.iter().map(String::as_str)) {
        changes.push(set(own.iter().cloned().chain([field.to_owned()]).collect()));
    }
    changes.push(set(BTreeSet::from([CONTENT.to_owned()])));
    changes
}

/// Calls with every choice of at most `strength` changes, no two of one dimension, fewest first.
fn for_each_change<'a>(dimensions: &'a [Vec<Change>], strength: usize, f: &mut dyn FnMut(&[&'a Change])) {
    fn go<'a>(
        rest: &'a [Vec<Change>],
        left: usize,
        chosen: &mut Vec<&'a Change>,
        f: &mut dyn FnMut(&[&'a Change]),
    ) {
        if left == 0 {
            return f(chosen);
        }
        for (at, ways) in rest.iter().enumerate() {
            for way in ways {
                chosen.push(way);
                go(&rest[at + 1..], left - 1, chosen, f);
                chosen.pop();
            }
        }
    }
    for size in 0..=strength {
        go(dimensions, size, &mut Vec::new(), f);
    }
}

/// Leaves out what another counterexample of the same measure shows with fewer breaches.
fn simplest(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|f| f.breaches.len());
    let mut kept: Vec<Found> = Vec::new();
    for f in found {
        let shown = |k: &Found| {
            k.ask.measure == f.ask.measure
                && k.breaches.iter().all(|b| f.breaches.iter().any(|other| other.id() == b.id()))
        };
        if !kept.iter().any(shown) {
            kept.push(f);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_code_and_not_of_annotations_or_comments() {
        let text = "// \"comment\"\n@id(\"a\") @reason(\"say \\\"b\\\" (c)\") permit (principal == R::\"d\") when { x == \"e\" };";
        assert_eq!(names(text), ["d", "e"]);
    }

    #[test]
    fn every_choice_of_changes_is_made_once() {
        let dimensions: Vec<Vec<Change>> =
            [3, 2, 1].map(|ways| (0..ways).map(|_| change(|_| {})).collect()).into();
        let mut sizes = Vec::new();
        for_each_change(&dimensions, 2, &mut |changes| sizes.push(changes.len()));
        let count = |size| sizes.iter().filter(|s| **s == size).count();
        assert_eq!((count(0), count(1), count(2), sizes.len()), (1, 6, 3 * 2 + 3 + 2, 18));
    }
}
