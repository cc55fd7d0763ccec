//! Policy zones of a resolver that runs: where each comes from, and to whom it is given.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, bail};
use noroshi_resolver::name::Name;
use noroshi_resolver::policy::rule::{ZoneRecord, rtype};
use noroshi_resolver::policy::zonefile::{self, EntryError};
use noroshi_resolver::policy::{Editor, Read};
use noroshi_resolver::zone::kept::{Kept, Renewed};
use noroshi_resolver::zone::primary::Given;
use noroshi_resolver::zone::secondary::Secondary;
use noroshi_resolver::zone::transfer::{TransferError, Transferred};
use noroshi_resolver::zone::{Change, OwnedRecord};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::settings::{PlannedZone, name};
use crate::report::plain;

/// Lines that are told of a zone's file at most.
const TOLD_MAX: usize = 20;

/// All zones, in their order.
pub struct Zones {
    editor: Arc<Mutex<Editor>>,
    all: Vec<Source>,
    following: Mutex<Vec<JoinHandle<()>>>,
}

/// Where a zone comes from, and to whom it is given.
struct Source {
    name: Name,
    file: Option<PathBuf>,
    fetched: Option<Arc<Secondary>>,
    given: Option<Given>,
    /// Where it is kept, if its rules are added and removed here.
    local: Option<Local>,
}

/// A zone whose rules are added and removed here.
struct Local {
    place: u8,
    kept: Kept,
    /// Reads what is kept; it has no primary and is never followed.
    reader: Secondary,
}

/// What became of a zone that was read.
#[derive(Debug, Serialize)]
pub struct ZoneTold {
    zone: String,
    serial: Option<u32>,
    /// Records that were read: all, or, of a zone that is given to others, those that changed.
    records: usize,
    rules: usize,
    refused: usize,
    wall_s: f64,
}

impl Zones {
    /// As planned, with what is kept in `folder`.
    pub fn new(editor: Editor, planned: Vec<PlannedZone>, folder: &Path) -> Self {
        let editor = Arc::new(Mutex::new(editor));
        let source = |(place, zone): (usize, PlannedZone)| {
            let (name, kept) = (zone.settings.name, Kept::new(folder, &zone.settings.name));
            let given = zone.given.map(|given| Given {
                zone: name,
                kept: kept.clone(),
                access: given.access,
                key: given.key,
                notify: given.notify,
            });
            let local = zone.local.then(|| Local {
                place: place as u8,
                kept: kept.clone(),
                reader: Secondary::new(place as u8, name, Vec::new(), kept.clone(), Arc::clone(&editor)),
            });
            let fetched = (!zone.primaries.is_empty()).then(|| {
                Arc::new(Secondary::new(place as u8, name, zone.primaries, kept, Arc::clone(&editor)))
            });
            Source { name, file: zone.file, fetched, given, local }
        };
        let all = planned.into_iter().enumerate().map(source).collect();
        Self { editor, all, following: Mutex::default() }
    }

    /// Those that are given to others.
    pub fn given(&self) -> Vec<Given> {
        self.all.iter().filter_map(|zone| zone.given.clone()).collect()
    }

    /// How each zone that is fetched stands.
    pub fn fetched(&self) -> impl Iterator<Item = &Secondary> {
        self.all.iter().filter_map(|zone| zone.fetched.as_deref())
    }

    /// What was fetched before, and rules that were added here.
    pub fn restore(&self) -> anyhow::Result<()> {
        for (zone, local) in self.all.iter().filter_map(|zone| Some((zone, zone.local.as_ref()?))) {
            let at = || format!("{}: its rules", zone.name);
            if !local.kept.is_whole() {
                let mut whole = local.kept.whole().with_context(at)?;
                whole.record(&first_soa(zone.name).lend()).and_then(|()| whole.end()).with_context(at)?;
            }
            local.reader.restore().with_context(at)?;
        }
        for zone in self.fetched() {
            match zone.restore() {
                Ok(Some(read)) => eprintln!(
                    "{} serial {}: {} records, as they were fetched before",
                    zone.zone(),
                    zone.timers().map_or(0, |timers| timers.serial),
                    read.records
                ),
                Ok(None) => {}
                Err(error) => {
                    eprintln!(
                        "{}: what was fetched before cannot be read ({error}); it is fetched again",
                        zone.zone()
                    );
                }
            }
        }
        Ok(())
    }

    /// Adds and removes rules of a zone that is kept here, each a line as in a zone's file. They hold from now on, and are on disk.
    pub fn change(
        &self,
        name: &str,
        add: &[String],
        remove: &[String],
        runtime: &Handle,
    ) -> anyhow::Result<ZoneTold> {
        let begun = super::now();
        let apex = super::settings::name(name)?;
        let zone = self
            .all
            .iter()
            .find(|zone| zone.name == apex)
            .with_context(|| format!("no zone is called {name}"))?;
        let local = zone
            .local
            .as_ref()
            .with_context(|| format!("{name} is not local: its rules come from elsewhere"))?;
        let (mut gone, mut come) = (records(remove, &apex)?, records(add, &apex)?);
        let mut editor = self.editor();
        // What changes nothing must not be taken back below.
        gone.retain(|record| editor.has(local.place, &record.lend()));
        come.retain(|record| gone.contains(record) || !editor.has(local.place, &record.lend()));
        let standing = editor.zone(local.place).and_then(|zone| Some((zone.serial?, zone.soa.clone()?)));
        let (from, soa) = standing.context("the zone was not read")?;
        let soa =
            ZoneRecord { owner: &apex, rtype: soa.rtype, ttl: soa.ttl, data: &soa.data }.to_owned_record();
        let to = from.wrapping_add(1);
        come.insert(0, soa.with_serial(to));
        let change = Change { from, to, gone, come };
        let read = apply(&mut editor, local.place, &change);
        if let Some(refused) = read.refused.first() {
            // What could be applied is taken back: all of it holds, or nothing.
            let come = [vec![soa], change.gone].concat();
            apply(&mut editor, local.place, &Change { from: to, to: from, gone: change.come, come });
            bail!("{}", refused.why);
        }
        local.kept.append(&change).context("the change holds, but cannot be written")?;
        if let Some(given) = zone.given.clone() {
            runtime.spawn(async move { given.tell().await });
        }
        Ok(told(&editor, local.place, &read, begun))
    }

    /// Keeps all that is fetched up to date from now on.
    pub fn follow(&self, runtime: &Handle) {
        for zone in &self.all {
            let Some(fetched) = zone.fetched.clone() else { continue };
            let given = zone.given.clone();
            self.following().push(runtime.spawn(async move {
                fetched.follow(|zone, result| tell_transfer(zone, result, given.as_ref())).await;
            }));
        }
    }

    /// Lets everything stay as it is, on disk too, until [`Self::follow`].
    pub fn rest(&self, runtime: &Handle) {
        let following = std::mem::take(&mut *self.following());
        following.iter().for_each(JoinHandle::abort);
        runtime.block_on(async {
            for ended in following {
                let _ = ended.await;
            }
            for zone in self.fetched() {
                zone.written().await;
            }
        });
    }

    fn following(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody says that a zone has a new version; whether that is one of its primaries.
    pub fn notified(&self, name: &Name, by: IpAddr) -> bool {
        self.fetched().any(|zone| zone.zone() == name && zone.notified(by))
    }

    /// Reads zones again: those named, or all that have a file.
    pub fn read(&self, names: &[String], runtime: &Handle) -> anyhow::Result<Vec<ZoneTold>> {
        let wanted: Vec<usize> = if names.is_empty() {
            (0..self.all.len()).filter(|place| self.all[*place].file.is_some()).collect()
        } else {
            let place = |text: &String| {
                let name = name(text)?;
                self.all
                    .iter()
                    .position(|zone| zone.name == name)
                    .with_context(|| format!("no zone is called {text}"))
            };
            names.iter().map(place).collect::<anyhow::Result<_>>()?
        };
        let mut told = Vec::new();
        for place in wanted {
            let zone = &self.all[place];
            match (&zone.file, &zone.fetched) {
                (Some(path), _) => {
                    told.push(self.read_file(place as u8, path, zone.given.as_ref(), runtime)?);
                }
                (None, Some(fetched)) => fetched.hurry(),
                (None, None) => bail!("{} is read from nowhere", zone.name),
            }
        }
        Ok(told)
    }

    fn read_file(
        &self,
        place: u8,
        path: &Path,
        given: Option<&Given>,
        runtime: &Handle,
    ) -> anyhow::Result<ZoneTold> {
        let begun = super::now();
        let reading = || format!("reading {}", path.display());
        let file = File::open(path).with_context(reading)?;
        let octets = file.metadata().with_context(reading)?.len();
        let renewed = match given {
            Some(given) => renew(given, path).with_context(reading)?,
            None => (Renewed::Whole, Read::default()),
        };
        let mut editor = self.editor();
        let is_empty = editor.zone(place).is_none_or(|zone| zone.serial.is_none());
        let read = match renewed {
            (Renewed::Same, read) if !is_empty => read,
            (Renewed::Change(change), mut read) if !is_empty => {
                let applied = apply(&mut editor, place, &change);
                (read.records, read.serial) = (applied.records, applied.serial);
                read.refused_count += applied.refused_count;
                read
            }
            _ => editor.replace_by_file(place, file, octets).with_context(reading)?,
        };
        if let Some(given) = given.cloned() {
            runtime.spawn(async move { given.tell().await });
        }
        Ok(tell(&editor, place, path, &read, begun))
    }

    fn editor(&self) -> MutexGuard<'_, Editor> {
        self.editor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(editor: &mut Editor, place: u8, change: &Change) -> Read {
    let gone = change.gone.iter().map(OwnedRecord::lend);
    let come = change.come.iter().map(OwnedRecord::lend);
    editor.change(place, gone, come)
}

/// Compares a file with what is kept, so that others can be told what changed; lines that cannot be read are counted.
fn renew(given: &Given, path: &Path) -> io::Result<(Renewed, Read)> {
    let refused = RefCell::new(Vec::new());
    let renewed = given.kept.renew(|take: &mut dyn FnMut(ZoneRecord<'_>)| {
        refused.borrow_mut().clear();
        zonefile::read(File::open(path)?, &given.zone, |line, record: Result<_, EntryError>| match record {
            Ok(record) => take(record),
            Err(why) => refused.borrow_mut().push((line, why)),
        })
    })?;
    let mut read = Read::default();
    refused.into_inner().into_iter().for_each(|(line, why)| read.refuse(line, why.into()));
    Ok((renewed, read))
}

fn tell(editor: &Editor, place: u8, path: &Path, read: &Read, begun: Instant) -> ZoneTold {
    for refused in read.refused.iter().take(TOLD_MAX) {
        eprintln!("{}:{}: {}", path.display(), refused.line, plain(&refused.why.to_string()));
    }
    if read.refused_count > TOLD_MAX {
        eprintln!("{}: {} more lines are no rules", path.display(), read.refused_count - TOLD_MAX);
    }
    told(editor, place, read, begun)
}

/// Lines as records of a zone, each of which must be a rule.
fn records(lines: &[String], apex: &Name) -> anyhow::Result<Vec<OwnedRecord>> {
    let (mut all, mut wrong) = (Vec::new(), None);
    let text = lines.join("\n");
    zonefile::read(text.as_bytes(), apex, |_, record| match record {
        Ok(record) => match record.rule(apex) {
            Ok(Some(_)) => all.push(record.to_owned_record()),
            Ok(None) => wrong = Some("it is no rule".to_owned()),
            Err(error) => wrong = Some(error.to_string()),
        },
        Err(error) => wrong = Some(error.to_string()),
    })?;
    match wrong {
        Some(wrong) => bail!("{}: {wrong}", lines.join("; ")),
        None => Ok(all),
    }
}

/// The first version of a zone that is kept here.
fn first_soa(apex: Name) -> OwnedRecord {
    let mut data = vec![0, 0];
    data.extend([1u32, 3600, 600, 604_800, 60].iter().flat_map(|number| number.to_be_bytes()));
    OwnedRecord { owner: apex, rtype: rtype::SOA, ttl: 60, data }
}

fn told(editor: &Editor, place: u8, read: &Read, begun: Instant) -> ZoneTold {
    let zone = editor.zone(place);
    ZoneTold {
        zone: zone.map(|zone| zone.settings.name.to_string()).unwrap_or_default(),
        serial: zone.and_then(|zone| zone.serial),
        records: read.records,
        rules: zone.map_or(0, |zone| zone.rules),
        refused: read.refused_count,
        wall_s: begun.elapsed().as_secs_f64(),
    }
}

fn tell_transfer(zone: &Name, result: &Result<Transferred, TransferError>, given: Option<&Given>) {
    match result {
        Ok(Transferred::UpToDate) => tracing::debug!(%zone, "up to date"),
        Ok(Transferred::Whole) => tracing::info!(%zone, "transferred"),
        Ok(Transferred::Changes(changes)) => tracing::info!(%zone, changes = changes.len(), "changed"),
        Err(error) => tracing::warn!(%zone, %error, "transfer"),
    }
    let is_new = matches!(result, Ok(Transferred::Whole | Transferred::Changes(_)));
    if let Some(given) = given.filter(|_| is_new).cloned() {
        tokio::spawn(async move { given.tell().await });
    }
}
