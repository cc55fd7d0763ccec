//! The walk over a whole log that says what was changed, removed, moved or cut off, and where.

use std::collections::BTreeMap;
use std::fmt;

use super::note::Verifier;
use super::tile::{self, HEIGHT, Tile};
use super::tree::{Frontier, leaf_hash};
use super::{Digest, Entry};

/// Roots of full tiles as they are stored, by the level and place at which they stand in the tree's rows.
pub type TileRoots = BTreeMap<(u32, u64), Digest>;

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
    /// A stored hash of the tree is not that of the entries below it.
    WrongHash {
        /// First entry below it.
        from: u64,
        /// Last entry below it.
        to: u64,
    },
    /// A tile is not there, or is not as long as it must be.
    NoTile {
        /// Its path.
        path: String,
    },
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
            Fault::WrongHash { from, to } => {
                write!(f, "the tree's stored hash over entries {from} to {to} is not theirs")
            }
            Fault::NoTile { path } => write!(f, "{path} is missing or torn"),
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

/// What is signed of a log and what is stored of its tree, to be held against the entries.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// Checkpoints kept with the entries, as (size, note).
    pub checkpoints: &'a [(u64, String)],
    /// Signed notes kept elsewhere, held against the entries like every other checkpoint.
    pub heads: &'a [String],
    /// Hashes of the tree kept with the entries.
    pub hashes: &'a TileRoots,
}

/// Walks a log, its entries in row order.
pub fn audit(entries: impl IntoIterator<Item = StoredEntry>, claims: Claims<'_>, key: &Verifier) -> Report {
    let Claims { checkpoints, heads, hashes } = claims;
    let mut report = Report::default();
    let mut notes: Vec<(u64, &str)> = checkpoints.iter().map(|(size, note)| (*size, note.as_str())).collect();
    for head in heads {
        match key.open(head) {
            Ok(stated) => notes.push((stated.size, head)),
            Err(e) => report.faults.push(Fault::BadCheckpoint { size: 0, why: format!("head file: {e}") }),
        }
    }
    notes.sort_by_key(|(size, _)| *size);
    let mut walk = Walk { key, notes, hashes, next: 0, good: 0, report };
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
    hashes: &'a TileRoots,
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
        let mut wrong = None;
        frontier.append_telling(leaf_hash(&stored.body), &mut |height, index, root| {
            let stored =
                (height > 0 && height % HEIGHT == 0).then(|| self.hashes.get(&(height / HEIGHT, index)));
            if stored.flatten().is_some_and(|stored| *stored != root) {
                wrong = Some(Fault::WrongHash { from: index << height, to: ((index + 1) << height) - 1 });
            }
        });
        // Below an entry that is known to be wrong every hash is.
        self.report.faults.extend(wrong.filter(|_| self.report.faults.is_empty()));
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

/// Walks a log that lies in tiles: the checkpoint beside them, every tile, every entry, and `heads` kept elsewhere.
/// `read` gives the bytes at a path, or nothing.
pub fn audit_tiles(
    mut read: impl FnMut(&str) -> Option<Vec<u8>>,
    heads: &[String],
    key: &Verifier,
) -> Report {
    let note = read(tile::CHECKPOINT).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(note) = note else {
        let fault = Fault::NoTile { path: tile::CHECKPOINT.into() };
        return Report { faults: vec![fault], ..Report::default() };
    };
    let size = match key.open(&note) {
        Ok(stated) => stated.size,
        Err(e) => {
            let fault = Fault::BadCheckpoint { size: 0, why: e.to_string() };
            return Report { faults: vec![fault], ..Report::default() };
        }
    };
    let mut torn = Vec::new();
    let mut hashes = TileRoots::new();
    for tile in Tile::all(size).filter(|tile| tile.level > 0) {
        match read(&tile.path()).and_then(|bytes| tile::from_bytes(tile, &bytes)) {
            Some(row) => hashes.extend((tile.first()..).zip(row).map(|(at, hash)| ((tile.level, at), hash))),
            None => torn.push(Fault::NoTile { path: tile.path() }),
        }
    }
    let level_0 = Tile::all(size).take_while(|tile| tile.level == 0);
    let entries = level_0.flat_map(|tile| {
        let entries = entries_of(tile, &mut read);
        if let Err(path) = &entries {
            torn.push(Fault::NoTile { path: path.clone() });
        }
        entries.unwrap_or_default()
    });
    let claims = Claims { checkpoints: &[(size, note)], heads, hashes: &hashes };
    let mut report = audit(entries, claims, key);
    report.faults.splice(0..0, torn);
    report
}

/// The entries of a tile of level 0 with the hashes that it has of them, or the path of what is missing or torn.
fn entries_of(
    tile: Tile,
    read: &mut impl FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Vec<StoredEntry>, String> {
    let leaves = read(&tile.path()).and_then(|bytes| tile::from_bytes(tile, &bytes)).ok_or(tile.path())?;
    let bundle = read(&tile.entries_path()).ok_or(tile.entries_path())?;
    let bodies = tile::unbundle(&bundle).filter(|bodies| bodies.len() == leaves.len());
    let bodies = bodies.ok_or(tile.entries_path())?;
    let entry =
        |((index, body), leaf): ((u64, &[u8]), Digest)| StoredEntry { index, body: body.to_vec(), leaf };
    Ok((tile.first()..).zip(bodies).zip(leaves).map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Kind, Record};
    use super::super::note::Signer;
    use super::super::tree::range_root;
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

    fn of<'a>(checkpoints: &'a [(u64, String)], heads: &'a [String], hashes: &'a TileRoots) -> Claims<'a> {
        Claims { checkpoints, heads, hashes }
    }

    /// The files of a log in tiles.
    fn tiles(entries: &[StoredEntry], signer: &Signer) -> BTreeMap<String, Vec<u8>> {
        let leaves: Vec<Digest> = entries.iter().map(|entry| entry.leaf).collect();
        let size = leaves.len() as u64;
        let mut files = BTreeMap::new();
        for tile in Tile::all(size) {
            let (span, range) = (tile::WIDTH.pow(tile.level), tile.first() as usize..);
            let hash = |i: u64| range_root(i * span, (i + 1) * span, &mut leaves.as_slice()).unwrap();
            let row: Vec<Digest> = (tile.first()..tile.first() + tile.width).map(hash).collect();
            files.insert(tile.path(), tile::to_bytes(&row));
            if tile.level == 0 {
                let bodies =
                    entries[range].iter().take(tile.width as usize).map(|entry| entry.body.as_slice());
                files.insert(tile.entries_path(), tile::bundle(bodies).unwrap());
            }
        }
        let root = range_root(0, size, &mut leaves.as_slice()).unwrap();
        files.insert(tile::CHECKPOINT.into(), signer.checkpoint(size, root).into_bytes());
        files
    }

    fn of_tiles(files: &BTreeMap<String, Vec<u8>>, heads: &[String], signer: &Signer) -> Report {
        audit_tiles(|path| files.get(path).cloned(), heads, &signer.verifier())
    }

    #[test]
    fn a_log_in_tiles_is_intact_and_any_bit_of_any_file_shows_and_any_file_that_is_gone() {
        let signer = Signer::load("t", &Signer::generate().unwrap()).unwrap();
        let (entries, notes) = log(520, &signer);
        let files = tiles(&entries, &signer);
        let paths: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(paths.len(), 3 + 1 + 3 + 1, "{paths:?}");
        let report = of_tiles(&files, &[notes[299].1.clone(), notes[519].1.clone()], &signer);
        assert!(report.intact() && report.entries == 520, "{:?}", report.faults);
        for (path, bytes) in &files {
            for at in [0, bytes.len() / 2, bytes.len() - 1] {
                let mut flipped = files.clone();
                flipped.get_mut(path).unwrap()[at] ^= 1;
                assert!(!of_tiles(&flipped, &[], &signer).intact(), "{path} byte {at}");
            }
            let mut gone = files.clone();
            gone.remove(path);
            let faults = of_tiles(&gone, &[], &signer).faults;
            assert!(faults.contains(&Fault::NoTile { path: path.clone() }), "{path}: {faults:?}");
        }
    }

    #[test]
    fn a_log_that_was_shortened_or_forked_does_not_fit_an_older_checkpoint() {
        let signer = Signer::load("t", &Signer::generate().unwrap()).unwrap();
        let (entries, notes) = log(300, &signer);
        let older = [notes[279].1.clone()];
        assert!(of_tiles(&tiles(&entries, &signer), &older, &signer).intact());
        let shorter = of_tiles(&tiles(&entries[..270], &signer), &older, &signer);
        assert_eq!(shorter.faults, [Fault::Missing { from: 270, to: 279 }]);
        let mut other = entries;
        other[275] = other[274].clone();
        let text = String::from_utf8_lossy(&other[275].body).replace("\"index\":274", "\"index\":275");
        other[275] = StoredEntry { index: 275, leaf: leaf_hash(text.as_bytes()), body: text.into_bytes() };
        let forked = of_tiles(&tiles(&other, &signer), &older, &signer);
        assert_eq!(forked.faults, [Fault::NotAsSigned { from: 0, to: 279 }]);
        assert!(
            of_tiles(&tiles(&other, &signer), &[], &signer).intact(),
            "by itself it is a log like any other"
        );
    }

    #[test]
    fn a_wrong_hash_of_the_tree_is_told_with_the_entries_below_it() {
        let signer = Signer::load("t", &Signer::generate().unwrap()).unwrap();
        let (entries, notes) = log(600, &signer);
        let mut hashes = TileRoots::new();
        let mut frontier = Frontier::default();
        for entry in &entries {
            frontier.append_telling(entry.leaf, &mut |height, at, root| {
                if height == HEIGHT {
                    hashes.insert((1, at), root);
                }
            });
        }
        assert_eq!(hashes.len(), 2);
        assert!(audit(entries.clone(), of(&notes, &[], &hashes), &signer.verifier()).intact());
        hashes.insert((1, 1), Digest::ZERO);
        let faults = audit(entries, of(&notes, &[], &hashes), &signer.verifier()).faults;
        assert_eq!(faults, [Fault::WrongHash { from: 256, to: 511 }]);
    }

    fn told(entries: Vec<StoredEntry>, notes: &[(u64, String)], signer: &Signer) -> String {
        let report = audit(entries, of(notes, &[], &TileRoots::new()), &signer.verifier());
        report.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn an_untouched_log_is_intact_and_every_kind_of_tampering_is_told_with_its_place() {
        let signer = Signer::load("t", &Signer::generate().unwrap()).unwrap();
        let (entries, notes) = log(20, &signer);
        let report = audit(entries.clone(), of(&notes, &[], &TileRoots::new()), &signer.verifier());
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
        let report = audit(entries, of(&notes, &[head], &TileRoots::new()), &signer.verifier());
        assert_eq!(report.faults, [Fault::NotAsSigned { from: 6, to: 8 }]);
    }

    #[test]
    fn cutting_the_tail_with_its_checkpoints_is_seen_from_a_head_kept_elsewhere() {
        let signer = Signer::load("t", &Signer::generate().unwrap()).unwrap();
        let (mut entries, mut notes) = log(9, &signer);
        let head = notes[8].1.clone();
        entries.truncate(6);
        notes.truncate(6);
        let report = audit(entries, of(&notes, &[head], &TileRoots::new()), &signer.verifier());
        assert_eq!(report.faults, [Fault::Missing { from: 6, to: 8 }]);
    }
}
