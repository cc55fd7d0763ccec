//! A watched folder. A file is complete when nothing about it has changed for a while (its inode's change time, which
//! nobody can set back), so a slow copy is not read halfway; what is renamed into the folder waits as long. Names that
//! begin with a dot, links and everything that is no file are left alone.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::BufReader;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use jiff::Timestamp;
use noroshi_feed::Bundle;
use noroshi_model::Id;

use super::settings::{Done, FolderOrigin, Source};
use super::{Came, READ_BYTES, Trouble, Works, held};
use crate::intake::{self, Arrived};
use crate::keys;

/// Files looked at in one run.
const FILES_MAX: usize = 10_000;
/// Files remembered in memory; of others the store is asked.
const KNOWN_MAX: usize = 100_000;

/// Takes in what is complete, oldest first. A file that cannot be read does not keep the others waiting.
pub fn scan(
    works: &Works,
    source: &Source,
    origin: &FolderOrigin,
    bundle: &Bundle,
    came: &mut Came,
) -> Result<(), Trouble> {
    let mut failed = Vec::new();
    for path in complete(works.house.clock.now(), origin)? {
        if let Err(trouble) = take_file(works, source, origin, bundle, &path, came) {
            if trouble.is_store() {
                return Err(trouble);
            }
            failed.push(format!("{}: {:#}", path.display(), trouble.why));
        }
    }
    came.unchanged = came.items == 0 && failed.is_empty();
    match failed.as_slice() {
        [] => Ok(()),
        [first, rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            // The folder is looked at again as always.
            Err(Trouble::from(anyhow!("{first}{more}")))
        }
    }
}

fn complete(now: Timestamp, origin: &FolderOrigin) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(&origin.folder)
        .with_context(|| format!("{} cannot be read", origin.folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || !origin.pattern.fits(&name) {
            continue;
        }
        // Not following links; a file that has just gone is none.
        let Ok(about) = entry.metadata() else { continue };
        let nanos = i32::try_from(about.ctime_nsec()).unwrap_or(0);
        let changed = Timestamp::new(about.ctime(), nanos).unwrap_or(Timestamp::MAX);
        if about.is_file() && now.duration_since(changed) >= origin.settle {
            found.push((about.mtime(), about.mtime_nsec(), entry.path()));
        }
    }
    found.sort();
    found.truncate(FILES_MAX);
    Ok(found.into_iter().map(|(_, _, path)| path).collect())
}

/// What makes a file this file and no other.
fn identity(path: &Path, about: &Metadata) -> Vec<u8> {
    let mut identity = b"file ".to_vec();
    identity.extend_from_slice(path.as_os_str().as_encoded_bytes());
    for number in [about.dev(), about.ino(), about.len()] {
        identity.extend_from_slice(&number.to_be_bytes());
    }
    for number in [about.mtime(), about.mtime_nsec()] {
        identity.extend_from_slice(&number.to_be_bytes());
    }
    identity
}

fn take_file(
    works: &Works,
    source: &Source,
    origin: &FolderOrigin,
    bundle: &Bundle,
    path: &Path,
    came: &mut Came,
) -> Result<(), Trouble> {
    // A pipe or link put in its place meanwhile is neither waited for nor followed.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).context("it cannot be read")?;
    let about = file.metadata().context("it cannot be read")?;
    if !about.is_file() {
        return Err(anyhow!("it is no file").into());
    }
    let identity = identity(path, &about);
    let id = Id::of("known file", &[source.name.as_bytes(), &identity]);
    if held(&works.known).contains(&id) {
        return Ok(());
    }
    let name = intake::name(path);
    let whole = intake::Source {
        kind: "feed",
        campaign: source.campaign.as_ref().map_or(&source.feed_name, |c| &c.name),
        file: name.clone(),
        identity: identity.clone(),
        again: true,
        measure: source.campaign.as_ref().map(|campaign| campaign.measure.as_str()),
        keep: intake::Keep::Every,
        generation: 0,
    };
    let mut taken = Ok(());
    if !whole.is_done(&works.house)? {
        taken = read(
            works,
            source,
            bundle,
            &file,
            Arrived {
                identity,
                name: Some(name),
                input: Box::new(BufReader::with_capacity(
                    READ_BYTES,
                    file.try_clone().context("it cannot be read")?,
                )),
            },
            came,
        );
        if taken.as_ref().is_err_and(Trouble::is_store) {
            return taken;
        }
        whole.set_done(&works.house)?;
    }
    // Written to meanwhile: what was added is another file's content, and comes next time.
    let now = fs::symlink_metadata(path).context("it went away")?;
    let same = (now.ino(), now.len(), now.mtime(), now.mtime_nsec())
        == (about.ino(), about.len(), about.mtime(), about.mtime_nsec());
    if same && origin.done == Done::Move {
        let to = if taken.is_ok() { "done" } else { "refused" };
        put_away(path, &origin.folder.join(to), works.house.clock.now())?;
    } else if held(&works.known).len() < KNOWN_MAX {
        held(&works.known).insert(id);
    }
    taken
}

fn read(
    works: &Works,
    source: &Source,
    bundle: &Bundle,
    file: &File,
    arrived: Arrived,
    came: &mut Came,
) -> Result<(), Trouble> {
    let about = file.metadata().context("it cannot be read")?;
    let too_long = format!("it has more than {} bytes (max-bytes of the source)", source.max_bytes);
    if about.len() > source.max_bytes {
        return Err(Trouble::hopeless(anyhow::Error::msg(too_long)));
    }
    if about.len() > 0 {
        // The time of the file, not of the reading: an interrupted reading that goes on tomorrow makes the same events.
        let at = Timestamp::new(about.ctime(), 0).unwrap_or_else(|_| works.house.clock.now());
        came.counts += works.take(source, bundle, at, arrived)?;
    }
    came.items += 1;
    came.bytes += about.len();
    Ok(())
}

/// Moves a file into a folder beside, under another name where its own is taken.
fn put_away(path: &Path, folder: &Path, now: Timestamp) -> anyhow::Result<()> {
    keys::private_folder(folder)?;
    let name = path.file_name().context("a file without a name")?;
    let mut to = folder.join(name);
    if fs::symlink_metadata(&to).is_ok() {
        to = folder.join(format!("{}-{}", now.as_millisecond(), name.to_string_lossy()));
    }
    ensure!(fs::symlink_metadata(&to).is_err(), "{} is there already", to.display());
    fs::rename(path, &to).with_context(|| format!("it cannot be moved to {}", to.display()))
}
