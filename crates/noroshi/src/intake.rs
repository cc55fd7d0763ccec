//! Observe: files go in, batch by batch, each batch in one transaction together with how far it came and what became of
//! its records. After a crash the same command goes on where the last batch ended; a finished file fed again is all
//! duplicates.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use noroshi_law::{Ask, Locked, Role, SessionKeeping, Use};
use noroshi_model::{Bad, Event, Id, Tally};
use noroshi_observe::{Observed, Source, seized, sinkhole};
use noroshi_store::events::Intake;
use noroshi_store::queue::{OBSERVED, ORIENTED};
use noroshi_store::{StoreError, Tx};
use noroshi_wire::radius::read_detail;
use noroshi_wire::{ClockSample, SeizedFormat};

use crate::house::House;

/// Records in one transaction.
const BATCH: usize = 500;
/// Findings looked at again after new accounting records came in.
const RECONSIDERED_MAX: u32 = 100_000;

/// A record, ready to be stored.
enum Ready {
    Event(Box<Event>),
    Filtered,
    Bad(Bad),
    Accounting(Box<(Locked, ClockSample)>),
    BadSealed(Bad),
}

/// What became of one file.
#[derive(Debug, serde::Serialize)]
pub struct Taken {
    /// The file.
    pub file: String,
    /// The campaign.
    pub campaign: String,
    /// What became of its records.
    pub counts: Tally,
}

/// Takes in the log of a seized C&C server.
pub fn take_seized(
    house: &House,
    path: &Path,
    campaign: &str,
    measure: &str,
    format: &SeizedFormat,
) -> anyhow::Result<Taken> {
    let source = source(house, path, campaign, measure);
    let rows = seized(open(path)?, format, &source).map(|o| o.map(ready).map_err(anyhow::Error::from));
    take(house, "seized", path, campaign, rows)
}

/// Takes in a Shadowserver sinkhole report.
pub fn take_sinkhole(house: &House, path: &Path, campaign: &str, measure: &str) -> anyhow::Result<Taken> {
    let source = source(house, path, campaign, measure);
    let rows = sinkhole(open(path)?, &source).map(|o| o.map(ready).map_err(anyhow::Error::from));
    take(house, "feed", path, campaign, rows)
}

/// Takes in FreeRADIUS accounting, sealed; keeping it needs a permit like any other use.
pub fn take_radius(house: &House, path: &Path) -> anyhow::Result<Taken> {
    let ask = Ask::of::<SessionKeeping>(Role::System, Use::Keep, &["radius.accounting"]);
    let standing = house.standing(&ask.measure)?;
    let permit = house.gate().permit::<SessionKeeping>(ask, standing, &mut house.evidence())?;
    let rows = read_detail(open(path)?).map(|record| {
        Ok(match record? {
            Ok((sealed, sample)) => {
                Ready::Accounting(Box::new((house.vault.lock(&sealed, &permit)?, sample)))
            }
            // The content stays sealed: the quarantine gets its place and reason only.
            Err(bad) => Ready::BadSealed(Bad {
                line: bad.line,
                reason: bad.reason,
                snippet: Vec::new(),
                bytes: bad.bytes,
            }),
        })
    });
    let taken = take(house, "radius", path, "accounting", rows)?;
    if taken.counts.stored > 0 {
        reconsider(house)?;
    }
    Ok(taken)
}

/// Findings that nobody could be named for are looked at again: what has come in may confirm a session.
fn reconsider(house: &House) -> Result<(), StoreError> {
    let now = house.clock.now();
    house.store.tx("intake.reconsider", |tx| {
        for finding in tx.findings_unconfirmed(RECONSIDERED_MAX)? {
            tx.publish(ORIENTED, &finding, &finding, now)?;
        }
        Ok(())
    })
}

fn source(house: &House, path: &Path, campaign: &str, measure: &str) -> Source {
    Source {
        campaign: campaign.to_owned(),
        file: name(path),
        measure: measure.to_owned(),
        own: house.config.own.clone(),
        now: house.clock.now(),
    }
}

fn name(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return "stdin".to_owned();
    }
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Opens a file for reading, `-` for standard input, with a progress bar on terminals.
fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let bytes = file.metadata()?.len();
    let bar = ProgressBar::new(bytes).with_message(name(path)).with_style(
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    Ok(Box::new(bar.wrap_read(file)))
}

fn ready(observed: Observed) -> Ready {
    match observed {
        Observed::Event(event) => Ready::Event(event),
        Observed::Filtered(_) => Ready::Filtered,
        Observed::Bad(bad) => Ready::Bad(bad),
    }
}

fn take(
    house: &House,
    kind: &str,
    path: &Path,
    campaign: &str,
    rows: impl Iterator<Item = anyhow::Result<Ready>>,
) -> anyhow::Result<Taken> {
    let file = name(path);
    let mut intake = begin(house, kind, path, campaign)?;
    let mut counts = Tally::default();
    let mut rows = rows.skip(usize::try_from(intake.position).unwrap_or(usize::MAX)).peekable();
    loop {
        // What was read before the file became unreadable is kept; the error is told after that.
        let mut failed = None;
        let mut batch: Vec<Ready> = Vec::with_capacity(BATCH);
        while batch.len() < BATCH {
            match rows.next() {
                Some(Ok(ready)) => batch.push(ready),
                Some(Err(e)) => {
                    failed = Some(e);
                    break;
                }
                None => break,
            }
        }
        intake.position += batch.len() as u64;
        intake.done = failed.is_none() && rows.peek().is_none();
        counts += house.store.tx("intake.batch", |tx| store(tx, house, &intake, &batch))?;
        if let Some(e) = failed {
            let kept = if counts.read > 0 { format!(" (before that: {counts})") } else { String::new() };
            return Err(e.context(format!("{file} cannot be used{kept}")));
        }
        if intake.done {
            return Ok(Taken { file, campaign: campaign.to_owned(), counts });
        }
    }
}

fn begin(house: &House, kind: &str, path: &Path, campaign: &str) -> anyhow::Result<Intake> {
    let full = std::path::absolute(path)?;
    let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
    let parts =
        [kind.as_bytes(), campaign.as_bytes(), full.as_os_str().as_encoded_bytes(), &bytes.to_be_bytes()];
    let id = Id::of("intake", &parts);
    let known = house.store.tx("intake.begin", |tx| tx.intake(&id))?;
    // A file that was read to its end is read again from its start; standard input always is.
    let position = known.filter(|i| !i.done && path.as_os_str() != "-").map_or(0, |i| i.position);
    Ok(Intake {
        id,
        kind: kind.to_owned(),
        source: name(path),
        campaign: campaign.to_owned(),
        position,
        done: false,
    })
}

fn store(tx: &mut Tx<'_>, house: &House, intake: &Intake, batch: &[Ready]) -> Result<Tally, StoreError> {
    let now = house.clock.now();
    let mut counts = Tally { read: batch.len() as u64, ..Tally::default() };
    for record in batch {
        match record {
            Ready::Event(event) if tx.insert_event(event, now)? => {
                let id = event.id();
                tx.publish(OBSERVED, &id, &id, now)?;
                counts.stored += 1;
            }
            Ready::Accounting(record) if tx.insert_accounting(&record.0)? => {
                if let Some(offset_s) = record.1.offset_s {
                    tx.add_clock_sample(&record.1.nas, offset_s)?;
                }
                counts.stored += 1;
            }
            Ready::Event(_) | Ready::Accounting(_) => counts.duplicate += 1,
            Ready::Filtered => counts.filtered += 1,
            Ready::Bad(bad) | Ready::BadSealed(bad) => {
                let sealed = matches!(record, Ready::BadSealed(_));
                tx.insert_quarantine(&intake.campaign, &intake.source, bad, sealed, now)?;
                counts.quarantined += 1;
            }
        }
    }
    tx.advance(intake, &counts, now)?;
    Ok(counts)
}
