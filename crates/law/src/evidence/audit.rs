//! The walk over a whole log that says what was changed, removed, moved or cut off, and where.

use std::fmt;

use super::note::Verifier;
use super::tree::{Frontier, leaf_hash};
use super::{Digest, Entry};

/// A row as stored: where it is kept, its bytes, its leaf hash.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// The row's own number.
    pub index: u64,
    /// The entry's bytes.
    pub body: Vec<u8>,
    /// The hash that was computed when it was appended.
    pub leaf: Digest,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Entries that should be there are not.
    Missing {
        /// First missing index.
        from: u64,
        /// Last missing index.
        to: u64,
    },
    /// The bytes are not those that were hashed.
    Changed {
        /// The entry.
        index: u64,
    },
    /// The entry says it belongs elsewhere.
    Moved {
        /// Where it is.
        index: u64,
        /// Where it says it belongs.
        says: u64,
    },
    /// The bytes are no entry at all.
    Unreadable {
        /// The entry.
        index: u64,
    },
    /// The entries do not add up to what was signed: one of them was replaced together with its hash.
    NotAsSigned {
        /// First entry not covered by an earlier good checkpoint.
        from: u64,
        /// Last entry the checkpoint covers.
        to: u64,
    },
    /// A checkpoint is not signed by the log's key, or is no checkpoint.
    BadCheckpoint {
        /// The size under which it is stored.
        size: u64,
        /// What is wrong with it.
        why: String,
    },
    /// There is no head outside the store to hold the log's end against.
    NoHead,
    /// Entries after the last checkpoint: appended by something other than the program.
    Unsigned {
        /// First entry without a checkpoint.
        from: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing { from, to } if from == to => write!(f, "entry {from} is missing"),
            Fault::Missing { from, to } => write!(f, "entries {from} to {to} are missing"),
            Fault::Changed { index } => write!(f, "entry {index} was changed: its bytes do not fit its hash"),
            Fault::Moved { index, says } => {
                write!(f, "entry {index} was moved: it was written as entry {says}")
            }
            Fault::Unreadable { index } => write!(f, "entry {index} is no evidence entry"),
            Fault::NotAsSigned { from, to } => {
                write!(f, "entries {from} to {to} are not those that were signed")
            }
            Fault::BadCheckpoint { size, why } => write!(f, "the checkpoint at {size} entries: {why}"),
            Fault::NoHead => f.write_str("the head file is missing: a tail cut off would not show"),
            Fault::Unsigned { from } => write!(f, "entry {from} and later are covered by no checkpoint"),
        }
    }
}

/// What the walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries read.
    pub entries: u64,
    /// Checkpoints whose signature and root were right.
    pub checkpoints: u64,
    /// Everything wrong, in log order.
    pub faults: Vec<Fault>,
    /// The root over all entries.
    pub root: Option<Digest>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn intact(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Walks a log. `entries` in row order, `checkpoints` as (size, note); `heads` are signed notes kept outside the store, held
/// against the entries like every other checkpoint.
pub fn audit(
    entries: impl IntoIterator<Item = StoredEntry>,
    checkpoints: &[(u64, String)],
    heads: &[String],
    key: &Verifier,
) -> Report {
    let mut report = Report::default();
    let mut notes: Vec<(u64, &str)> = checkpoints.iter().map(|(size, note)| (*size, note.as_str())).collect();
    for head in heads {
        match key.open(head) {
            Ok(stated) => notes.push((stated.size, head)),
            Err(e) => report.faults.push(Fault::BadCheckpoint { size: 0, why: format!("head file: {e}") }),
        }
    }
    notes.sort_by_key(|(size, _)| *size);
    let mut walk = Walk { key, notes, next: 0, good: 0, report };
    let mut frontier = Frontier::default();
    for entry in entries {
        walk.entry(&entry, &mut frontier);
    }
    walk.end(&frontier);
    walk.report
}

struct Walk<'a> {
    key: &'a Verifier,
    notes: Vec<(u64, &'a str)>,
    /// The next checkpoint to meet.
    next: usize,
    /// Entries below this are covered by a good checkpoint.
    good: u64,
    report: Report,
}

impl Walk<'_> {
    fn entry(&mut self, stored: &StoredEntry, frontier: &mut Frontier) {
        let expected = frontier.size();
        if stored.index > expected {
            self.report.faults.push(Fault::Missing { from: expected, to: stored.index - 1 });
            // Stand-ins keep later positions right; the roots that follow cannot fit, and say so once.
            (expected..stored.index).for_each(|_| frontier.append(Digest::ZERO));
        }
        self.report.entries += 1;
        match Entry::from_bytes(&stored.body) {
            _ if leaf_hash(&stored.body) != stored.leaf => {
                self.report.faults.push(Fault::Changed { index: stored.index });
            }
            None => self.report.faults.push(Fault::Unreadable { index: stored.index }),
            Some(entry) if entry.index != stored.index => {
                self.report.faults.push(Fault::Moved { index: stored.index, says: entry.index });
            }
            Some(_) => {}
        }
        frontier.append(leaf_hash(&stored.body));
        self.meet(frontier);
    }

    /// Checks every checkpoint of the frontier's size.
    fn meet(&mut self, frontier: &Frontier) {
        while let Some((size, note)) =
            self.notes.get(self.next).copied().filter(|(s, _)| *s <= frontier.size())
        {
            self.next += 1;
            if size < frontier.size() {
                continue;
            }
            match self.key.open(note) {
                Err(e) => self.report.faults.push(Fault::BadCheckpoint { size, why: e.to_string() }),
                Ok(stated) if stated.size != size => self
                    .report
                    .faults
                    .push(Fault::BadCheckpoint { size, why: format!("it states a size of {}", stated.size) }),
                Ok(stated) if stated.root != frontier.root() => self.not_as_signed(size),
                Ok(_) => {
                    // The head repeats a checkpoint of the store.
                    self.report.checkpoints += u64::from(size > self.good);
                    self.good = size;
                }
            }
        }
    }

    /// After one wrong root every later one is wrong too, so only the first is told, unless the entry is known.
    fn not_as_signed(&mut self, size: u64) {
        if !self.report.faults.iter().any(|f| !matches!(f, Fault::BadCheckpoint { .. })) {
            self.report.faults.push(Fault::NotAsSigned { from: self.good, to: size - 1 });
        }
    }

    fn end(&mut self, frontier: &Frontier) {
        let signed = self.notes.last().map_or(0, |(size, _)| *size);
        if signed > frontier.size() {
            self.report.faults.push(Fault::Missing { from: frontier.size(), to: signed - 1 });
        } else if signed < frontier.size() {
            self.report.faults.push(Fault::Unsigned { from: signed });
        }
        self.report.root = Some(frontier.root());
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Kind, Record};
    use super::super::note::Signer;
    use super::*;
    use crate::ask::{Role, Use};

    fn log(count: u64, signer: &Signer) -> (Vec<StoredEntry>, Vec<(u64, String)>) {
        let mut frontier = Frontier::default();
        let mut notes = Vec::new();
        let entries = (0..count)
            .map(|index| {
                let record = Record {
                    kind: Kind::Opening,
                    at: jiff::Timestamp::UNIX_EPOCH,
                    role: Role::System,
                    measure: "takedown-notice".into(),
                    measure_version: 1,
                    dossier: Digest::ZERO,
                    basis: None,
                    purpose: "subscriber-notice".into(),
                    usage: Use::Identify,
                    fields: vec![],
                    rule: "r".into(),
                    policy_set: Digest::ZERO,
                    subject: format!("s{index}"),
                    records: 1,
                    under: None,
                    note: String::new(),
                };
                let body = Entry { index, record }.to_bytes();
                let leaf = leaf_hash(&body);
                frontier.append(leaf);
                notes.push((frontier.size(), signer.checkpoint(frontier.size(), frontier.root())));
                StoredEntry { index, body, leaf }
            })
            .collect();
        (entries, notes)
    }

    fn told(entries: Vec<StoredEntry>, notes: &[(u64, String)], signer: &Signer) -> String {
        let report = audit(entries, notes, &[], &signer.verifier());
        report.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn an_untouched_log_is_intact_and_every_kind_of_tampering_is_told_with_its_place() {
        let signer = Signer::load("t", &Signer::generate().unwrap()).unwrap();
        let (entries, notes) = log(20, &signer);
        let report = audit(entries.clone(), &notes, &[], &signer.verifier());
        assert!(report.intact() && report.checkpoints == 20 && report.entries == 20);

        for at in 0..20usize {
            let mut flipped = entries.clone();
            let middle = flipped[at].body.len() / 2;
            flipped[at].body[middle] ^= 1;
            assert!(told(flipped, &notes, &signer).starts_with(&format!("entry {at} was changed")));

            let mut rehashed = entries.clone();
            rehashed[at].body =
                rehashed[at].body.iter().map(|b| if *b == b's' { b't' } else { *b }).collect();
            rehashed[at].leaf = leaf_hash(&rehashed[at].body);
            let said = told(rehashed, &notes, &signer);
            assert!(said.contains(&at.to_string()), "{at}: {said}");

            let mut removed = entries.clone();
            removed.remove(at);
            assert!(told(removed, &notes, &signer).contains(&format!("entry {at} is missing")), "{at}");
        }

        let mut swapped = entries;
        let (a, b) = (swapped[4].body.clone(), swapped[5].body.clone());
        (swapped[4].body, swapped[5].body) = (b, a);
        let (a, b) = (swapped[4].leaf, swapped[5].leaf);
        (swapped[4].leaf, swapped[5].leaf) = (b, a);
        let said = told(swapped, &notes, &signer);
        assert!(said.contains("entry 4 was moved: it was written as entry 5"), "{said}");
    }

    #[test]
    fn rewriting_the_tail_and_removing_its_checkpoints_is_seen_from_a_head_kept_elsewhere() {
        let signer = Signer::load("t", &Signer::generate().unwrap()).unwrap();
        let (mut entries, mut notes) = log(9, &signer);
        let head = notes[8].1.clone();
        for entry in &mut entries[6..] {
            let text = String::from_utf8_lossy(&entry.body).replace("\"subject\":\"s", "\"subject\":\"t");
            entry.body = text.into_bytes();
            entry.leaf = leaf_hash(&entry.body);
        }
        notes.truncate(6);
        let report = audit(entries, &notes, &[head], &signer.verifier());
        assert_eq!(report.faults, [Fault::NotAsSigned { from: 6, to: 8 }]);
    }

    #[test]
    fn cutting_the_tail_with_its_checkpoints_is_seen_from_a_head_kept_elsewhere() {
        let signer = Signer::load("t", &Signer::generate().unwrap()).unwrap();
        let (mut entries, mut notes) = log(9, &signer);
        let head = notes[8].1.clone();
        entries.truncate(6);
        notes.truncate(6);
        let report = audit(entries, &notes, &[head], &signer.verifier());
        assert_eq!(report.faults, [Fault::Missing { from: 6, to: 8 }]);
    }
}
