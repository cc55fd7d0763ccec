//! Files that grow, into the session book: what was written a moment ago can be asked about now.
//!
//! ```text
//!   [follow.NAME] file ──Tail──▶ whole records ──▶ session book ──▶ counted, with the place in the file, in one transaction
//! ```
//!
//! After a crash reading goes on at that place. A record that was kept and not yet counted is read again and is a duplicate:
//! the book knows it. Files that appear under a pattern are followed from their beginning; one that was renamed away is read
//! until nothing more comes.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use noroshi_law::{Permit, SessionKeeping};
use noroshi_model::{Id, Tally};
use noroshi_store::events::Intake;
use noroshi_wire::tail::{FileId, RecordEnd, Tail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::import::{records, shape};
use super::{Follow, Format};
use crate::house::House;
use crate::intake::{name, patiently, permit_to_keep, reconsider, take_piece};
use crate::report::{self, say};

/// Pause between two looks at a file: a record can be asked about within two seconds of being written.
const LOOK: Duration = Duration::from_millis(250);
/// A file that no pattern finds any more is let go when nothing came for so long.
const LET_GO: Duration = Duration::from_secs(60);
/// Files of one pattern that are held open; of more, those are read that were written last.
const FILES_MAX: usize = 512;
/// How long a permit is used before a new one is asked for.
const PERMIT: Duration = Duration::from_secs(60);
/// How often findings that nobody could be named for are looked at again, while records come in.
const RECONSIDER: Duration = Duration::from_secs(10);
/// Pause before a file that could not be read is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// A file that has appeared with more in it than this was written elsewhere and moved here.
const BEGUN_BYTES_MAX: u64 = 64 << 10;
/// What Kea's clean-up calls the files that it makes of the lease file, oldest first.
const KEA_OLDER: [&str; 3] = ["2", "completed", "1"];

/// `[follow.NAME]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FollowFile {
    /// The file, or a pattern of files: `/var/log/freeradius/radacct/*/detail-*`.
    pub file: String,
    /// How it is written.
    pub format: Format,
    /// What the format leaves open, as for `sessions import --params`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

/// One pattern, and the files that were found under it.
struct Follower<'a> {
    house: &'a House,
    name: String,
    what: FollowFile,
    ends: RecordEnd,
    has_header: bool,
    held: BTreeMap<FileId, Held>,
    /// Files that could not be opened, and when.
    unopened: BTreeMap<FileId, Instant>,
    /// When the pattern was looked at last.
    looked: Option<Timestamp>,
}

struct Held {
    tail: Tail,
    path: PathBuf,
    came: Instant,
    /// Whether a name of the pattern leads to it.
    found: bool,
    /// When it could not be read on, or what was read not be kept. It stays open, for it may have lost its name meanwhile.
    failed: Option<Instant>,
}

impl FollowFile {
    /// Whether it can be followed at all: a mistake is told now and not with the first record.
    pub fn check(&self) -> anyhow::Result<()> {
        drop(records(Box::new(std::io::empty()), Path::new(&self.file), self.format, &self.params, None)?);
        glob::Pattern::new(&self.file).context("file is no pattern")?;
        ensure!(Path::new(&self.file).is_absolute(), "file must be an absolute path: {}", self.file);
        Ok(())
    }
}

impl<'a> Follower<'a> {
    fn new(house: &'a House, name: String, what: FollowFile) -> anyhow::Result<Self> {
        what.check()?;
        let (ends, has_header) = shape(what.format, &what.params)?;
        Ok(Self {
            house,
            name,
            what,
            ends,
            has_header,
            held: BTreeMap::new(),
            unopened: BTreeMap::new(),
            looked: None,
        })
    }

    /// Takes in what has come; what it was.
    fn turn(&mut self, permit: &Permit<SessionKeeping>) -> anyhow::Result<Tally> {
        let mut counts = Tally::default();
        self.find()?;
        let ids: Vec<FileId> = self.held.keys().copied().collect();
        for id in ids {
            if let Err(e) = self.read(id, permit, &mut counts)
                && let Some(held) = self.held.get_mut(&id)
            {
                held.failed = Some(Instant::now());
                tracing::error!(follow = self.name, file = %held.path.display(), "cannot be read on: {e:#}");
            }
        }
        self.unopened.retain(|_, at| at.elapsed() < AFTER_FAILURE);
        Ok(counts)
    }

    /// Opens the files that are new under the pattern.
    fn find(&mut self) -> anyhow::Result<()> {
        let mut found = Vec::new();
        let looked = self.looked.replace(self.house.clock.now());
        if looked.is_none() && self.what.format == Format::KeaLeases {
            found.extend(KEA_OLDER.iter().map(|end| PathBuf::from(format!("{}.{end}", self.what.file))));
        }
        found.extend(glob::glob(&self.what.file)?.filter_map(Result::ok));
        // A file that is not there, or not any more, is waited for.
        let mut files: Vec<(PathBuf, std::fs::Metadata)> =
            found.into_iter().filter_map(|path| std::fs::metadata(&path).ok().map(|m| (path, m))).collect();
        if files.len() > FILES_MAX {
            files.sort_by_key(|(_, about)| about.modified().ok());
            files.drain(..files.len() - FILES_MAX);
        }
        self.held.values_mut().for_each(|held| held.found = false);
        for (path, about) in files {
            let id = FileId::of(&about);
            if let Some(held) = self.held.get_mut(&id) {
                held.found = true;
                continue;
            }
            if self.unopened.contains_key(&id) || !about.is_file() {
                continue;
            }
            match Tail::open(&path, self.ends, self.has_header) {
                Ok(mut tail) => {
                    tail.resume(self.position(tail.id())?)?;
                    let id = tail.id();
                    if about.len() < BEGUN_BYTES_MAX && looked.is_some_and(|at| began_after(&about, at)) {
                        tail.just_begun();
                    }
                    self.held
                        .insert(id, Held { tail, path, came: Instant::now(), found: true, failed: None });
                }
                Err(e) => {
                    tracing::error!(follow = self.name, file = %path.display(), "cannot be opened: {e}");
                    self.unopened.insert(id, Instant::now());
                }
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        id: FileId,
        permit: &Permit<SessionKeeping>,
        counts: &mut Tally,
    ) -> anyhow::Result<()> {
        let counted = match self.held.get(&id).and_then(|held| held.failed) {
            Some(at) if at.elapsed() < AFTER_FAILURE => return Ok(()),
            Some(_) => Some(self.position(id)?),
            None => None,
        };
        let Some(held) = self.held.get_mut(&id) else { return Ok(()) };
        if let Some(position) = counted {
            // On from where the last record was counted.
            held.tail.resume(position)?;
            held.failed = None;
        }
        loop {
            let mut piece = held.tail.piece()?;
            let over = !held.found && held.came.elapsed() > LET_GO;
            if piece.is_none() && over {
                piece = held.tail.rest()?;
            }
            let Some(mut piece) = piece else {
                if over {
                    self.held.remove(&id);
                }
                return Ok(());
            };
            held.came = Instant::now();
            let written = piece.live.then(|| self.house.clock.now());
            let input = Box::new(Cursor::new(std::mem::take(&mut piece.bytes)));
            let records = records(input, &held.path, self.what.format, &self.what.params, written)?;
            let intake = Intake {
                id: intake_id(&self.name, id),
                kind: "radius".into(),
                source: name(&held.path),
                campaign: self.name.clone(),
                measure: None,
                position: piece.position,
                done: false,
            };
            *counts += take_piece(self.house, &intake, records, permit, |line| piece.line(line))?;
        }
    }

    fn position(&self, id: FileId) -> anyhow::Result<u64> {
        let id = intake_id(&self.name, id);
        let known = patiently(|| self.house.store.tx("follow.position", |tx| tx.intake(&id)))?;
        Ok(known.map_or(0, |intake| intake.position))
    }
}

/// Whether a file was not there when it was looked for.
fn began_after(about: &std::fs::Metadata, looked: Timestamp) -> bool {
    about.created().is_ok_and(|at| Timestamp::try_from(at).is_ok_and(|at| at >= looked))
}

fn intake_id(name: &str, id: FileId) -> Id {
    Id::of("intake", &[b"follow", name.as_bytes(), &id.to_bytes()])
}

/// Follows what the configuration says, or one file that was named, until interrupted.
pub fn follow(house: &House, wish: &Follow) -> anyhow::Result<ExitCode> {
    let files = match &wish.file {
        Some(file) => {
            let params = serde_json::from_str(&wish.params).context("--params is no JSON object")?;
            let file = std::path::absolute(file)?.to_str().context("FILE is not in UTF-8")?.to_owned();
            BTreeMap::from([("files".to_owned(), FollowFile { file, format: wish.format, params })])
        }
        None => house.config.follow.clone(),
    };
    if files.is_empty() {
        bail!("name a FILE, or set [follow.NAME] in the configuration");
    }
    let ended = super::ended()?;
    let counts = keep_up(house, files, || *ended.borrow())?;
    if wish.json {
        report::json(&counts)?;
    } else {
        say!("{counts}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Follows files until told to end.
pub fn keep_up(
    house: &House,
    files: BTreeMap<String, FollowFile>,
    ended: impl Fn() -> bool,
) -> anyhow::Result<Tally> {
    let followers = files.into_iter().map(|(name, what)| Follower::new(house, name, what));
    let mut followers = followers.collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!followers.is_empty(), "there is nothing to follow");
    for follower in &followers {
        tracing::info!(follow = follower.name, file = follower.what.file, "followed");
    }
    let (mut all, mut fresh) = (Tally::default(), 0);
    let mut reconsidered = Instant::now();
    while !ended() {
        let permit = permit_to_keep(house)?;
        let permitted = Instant::now();
        while !ended() && permitted.elapsed() < PERMIT {
            let mut counts = Tally::default();
            for follower in &mut followers {
                counts += follower.turn(&permit)?;
            }
            all += counts;
            fresh += counts.stored;
            if fresh > 0 && reconsidered.elapsed() >= RECONSIDER {
                reconsider(house)?;
                (fresh, reconsidered) = (0, Instant::now());
            }
            if counts.read == 0 {
                std::thread::sleep(LOOK);
            }
        }
    }
    if fresh > 0 {
        reconsider(house)?;
    }
    Ok(all)
}
