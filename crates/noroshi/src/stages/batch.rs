//! Letters and calls: everything that is due goes into one table in the operator's folder.
//!
//! ```text
//!   claimed ──▶ .NAME.part, on the disk ──▶ "sent, in NAME" committed ──▶ NAME
//! ```
//!
//! The commit decides: after a crash a part that the outbox knows is given its name, and one that it does not know is thrown
//! away and its steps are due again. So nobody is in two batches, and nobody in none.

use std::cell::RefCell;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use noroshi_act::batch::{self, CALL, LETTER};
use noroshi_act::notice::Facts;
use noroshi_law::{Lawful, NoticePurpose};
use noroshi_model::case::StepState;
use noroshi_model::{Channel, Step, Subscriber};
use noroshi_store::StoreError;
use noroshi_store::outbox::Outgoing;
use noroshi_wire::out::csv;

use super::StageError;
use super::outbox::{self, Fate, SENDING_MAX};
use super::tell::{About, Teller, told};
use crate::house::House;

/// Lines of a batch.
const LINES_MAX: u32 = 5000;
/// What an unfinished batch is called: `.NAME.part`.
const PART: &str = ".part";

/// Writes a batch of everything that is due.
pub fn step(house: &House, channel: Channel) -> Result<usize, StageError> {
    let Some(folder) = folder(house, channel) else { return Ok(0) };
    let now = house.clock.now();
    // What the ladder still has to say belongs into the same batch.
    if !house.store.look("batch.ladder", |tx| tx.cases_due(now, 1))?.is_empty() {
        return Ok(0);
    }
    let due = outbox::claim(house, channel, LINES_MAX)?;
    let Some(first) = due.first() else { return Ok(0) };
    let name = format!("{channel}-{}-{}.csv", now.strftime("%Y%m%dT%H%M%SZ"), &first.key().as_str()[..8]);
    let writer = Writer { channel, name: &name, lines: RefCell::default() };
    let mut fates = Vec::with_capacity(due.len());
    let mut failed = None;
    for step in &due {
        fates.push(told(house, step, &writer).unwrap_or_else(|e| {
            let fate = Fate::Later(format!("not written: {e}"));
            failed.get_or_insert(e);
            fate
        }));
    }
    let lines = writer.lines.into_inner();
    if lines.is_empty() {
        settle(house, &due, fates)?;
    } else {
        let part = folder.join(format!(".{name}{PART}"));
        match write(&part, channel, &lines) {
            Ok(()) => settle(house, &due, fates)?,
            Err(e) => {
                // The step's reply is kept and the disk's error is the operator's to see.
                let later = due.iter().map(|_| Fate::Later("the batch could not be written".into()));
                settle(house, &due, later.collect())?;
                return Err(StageError::Failed(e));
            }
        }
        give_name(&part, &folder.join(&name))?;
        tracing::info!(%channel, batch = name, "a batch was written");
    }
    match failed {
        Some(e) => Err(e),
        None => Ok(due.len()),
    }
}

fn folder(house: &House, channel: Channel) -> Option<&Path> {
    let file = match channel {
        Channel::Letter => house.config.reach.ways.letter.as_ref(),
        Channel::Call => house.config.reach.ways.call.as_ref(),
        _ => None,
    };
    file.map(|file| file.folder.as_path())
}

fn settle(house: &House, due: &[Outgoing], fates: Vec<Fate>) -> Result<(), StageError> {
    let now = house.clock.now();
    let steps: Vec<Step> =
        due.iter().zip(fates).map(|(step, fate)| outbox::settled(house, step, fate)).collect();
    house.store.tx("batch.settle", |tx| {
        for step in &steps {
            outbox::write(tx, StepState::Sending, step, now)?;
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(())
}

fn write(part: &Path, channel: Channel, lines: &[u8]) -> anyhow::Result<()> {
    let told = || format!("{} cannot be written", part.display());
    let header = if channel == Channel::Letter { LETTER } else { CALL };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(part)
        .with_context(told)?;
    file.write_all(&csv::line(&header)).and_then(|()| file.write_all(lines)).with_context(told)?;
    file.sync_all().with_context(told)?;
    sync_folder(part)
}

/// What the commit says is there must be there after the power failed, too.
fn sync_folder(of: &Path) -> anyhow::Result<()> {
    let folder = of.parent().unwrap_or(Path::new("."));
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("{} cannot be synced", folder.display()))
}

/// Gives a batch that the outbox knows its name; another process may have been faster.
fn give_name(part: &Path, name: &Path) -> anyhow::Result<()> {
    match fs::rename(part, name) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("{} cannot be given its name", part.display()))
        }
        _ => sync_folder(name),
    }
}

struct Writer<'a> {
    channel: Channel,
    name: &'a str,
    lines: RefCell<Vec<u8>>,
}

impl Teller for Writer<'_> {
    fn tell<P: NoticePurpose>(
        &self,
        to: Lawful<Subscriber, P>,
        facts: &Facts<'_>,
        _about: &About<'_>,
    ) -> Result<Fate, StageError> {
        let line = match self.channel {
            Channel::Letter => batch::letter(to, facts),
            _ => batch::call(to, facts),
        };
        Ok(match line {
            Ok(line) => {
                batch::add(&mut self.lines.borrow_mut(), &line);
                Fate::Accepted(self.name.to_owned())
            }
            Err(e) => Fate::Refused(e.to_string()),
        })
    }
}

/// After a crash: a batch that the outbox knows gets its name, and the steps of one that it does not know are due again. What
/// another process may be writing is left to it.
pub fn recover(house: &House, channel: Channel, alone: bool) -> Result<usize, StageError> {
    let Some(folder) = folder(house, channel) else { return Ok(0) };
    let again = outbox::again(house, channel, alone, "the batch was not written")?;
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let entry = entry.context("a folder's entry cannot be read")?;
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| file.strip_prefix('.')?.strip_suffix(PART));
        let Some(name) = name.filter(|name| name.starts_with(channel.id())) else { continue };
        if house.store.look("batch.known", |tx| tx.has_batch(channel, name))? {
            give_name(&entry.path(), &folder.join(name))?;
        } else if alone || is_old(house, &entry) {
            fs::remove_file(entry.path()).context("an unfinished batch cannot be removed")?;
        }
    }
    Ok(again)
}

/// Whether a file was last written to by a process that has died since.
fn is_old(house: &House, entry: &fs::DirEntry) -> bool {
    let written = entry.metadata().and_then(|about| about.modified()).ok();
    let written = written.and_then(|at| Timestamp::try_from(at).ok());
    written.is_some_and(|at| house.clock.now().duration_since(at) > SENDING_MAX)
}
