//! What the law has a say in before it is read: seized logs, and accounting records, which are sealed line by line.

use std::path::Path;

use noroshi_law::{Ask, Permit, Role, SessionKeeping, Use};
use noroshi_model::{Bad, Tally};
use noroshi_observe::{LINE_KEY, Observed, seized};
use noroshi_store::StoreError;
use noroshi_store::events::Intake;
use noroshi_store::log::id_bytes;
use noroshi_store::queue::ORIENTED;
use noroshi_wire::{Input, SeizedFormat};
use serde_json::Map;

use super::{Batch, Origin, Source, Taken, keep, name, open_one, patiently, store, take};
use crate::house::House;
use crate::sessions::{Format, Record, Records, records};

/// Findings looked at again after new accounting records came in.
const RECONSIDERED_MAX: u32 = 100_000;

/// Rows of an iterator, put into the batch one by one.
struct Rows<I, F> {
    rows: I,
    put: F,
}

impl<T, I: Iterator<Item = anyhow::Result<T>>, F: FnMut(&mut Batch, T)> Origin for Rows<I, F> {
    fn step(&mut self, batch: &mut Batch) -> anyhow::Result<bool> {
        let Some(row) = self.rows.next() else { return Ok(false) };
        (self.put)(batch, row?);
        Ok(true)
    }
}

/// Takes in the log of a seized C&C server.
pub fn take_seized(
    house: &House,
    path: &Path,
    campaign: &str,
    measure: &str,
    format: &SeizedFormat,
) -> anyhow::Result<Taken> {
    let known = noroshi_observe::Source {
        campaign: campaign.to_owned(),
        file: name(path),
        measure: measure.to_owned(),
        own: house.config.own.clone(),
        now: house.clock.now(),
    };
    let (input, bar) = open_one(path)?;
    let rows = seized(input, format, &known).map(|row| row.map_err(anyhow::Error::from));
    let source = Source { measure: Some(measure), ..Source::file("seized", campaign, path, None)? };
    let put = |batch: &mut Batch, observed| admit(batch, observed, |_| {});
    take(house, &source, &mut Rows { rows, put }, &bar)
}

/// Puts what was observed into the batch. To the JSON of an event, whose id is made by then, `more` appends what the source
/// did not say.
pub fn admit(batch: &mut Batch, observed: Observed, more: impl FnOnce(&mut Vec<u8>)) {
    match observed {
        Observed::Event(event) => {
            let line = event.more.get(LINE_KEY).and_then(serde_json::Value::as_u64).unwrap_or(0);
            batch.event(line, event.time_source.as_millisecond(), true, |json| {
                json.extend_from_slice(serde_json::Value::Object(event.to_intelmq()).to_string().as_bytes());
                more(json);
                id_bytes(&event.id())
            });
        }
        Observed::Filtered(_) => batch.filtered += 1,
        Observed::Bad(bad) => batch.bad(bad, false),
    }
}

/// Takes in FreeRADIUS accounting.
pub fn take_radius(house: &House, path: &Path) -> anyhow::Result<Taken> {
    take_assignments(house, path, |input| records(input, path, Format::RadiusDetail, &Map::new(), None))
}

/// Takes in a file that says who held what, sealed record by record; keeping it needs a permit like any other use.
pub fn take_assignments(
    house: &House,
    path: &Path,
    read: impl FnOnce(Input) -> anyhow::Result<Records>,
) -> anyhow::Result<Taken> {
    let permit = permit_to_keep(house)?;
    let (input, bar) = open_one(path)?;
    let rows = read(input)?;
    let put = |batch: &mut Batch, record| put_assignments(batch, record, &permit, |line| line);
    let source = Source::file("radius", "accounting", path, None)?;
    let taken = take(house, &source, &mut Rows { rows, put }, &bar)?;
    if taken.counts.stored > 0 {
        reconsider(house)?;
    }
    Ok(taken)
}

/// The permit to keep who held what.
pub fn permit_to_keep(house: &House) -> anyhow::Result<Permit<SessionKeeping>> {
    let ask = Ask::of::<SessionKeeping>(Role::System, Use::Keep, &["radius.accounting"]);
    let standing = house.standing(&ask.measure)?;
    Ok(house.gate().permit::<SessionKeeping>(ask, standing, &mut house.evidence())?)
}

/// Puts a record of who held what into the batch. `line` says which line of the file one of the reader's is.
fn put_assignments(
    batch: &mut Batch,
    record: Record,
    permit: &Permit<SessionKeeping>,
    line: impl Fn(u64) -> u64,
) {
    match record {
        Ok((sealed, sample)) => {
            batch.assigned(sealed.into_iter().map(|record| record.keep(permit)), sample);
        }
        Err(bad) => {
            // The content stays sealed: the quarantine gets its place and reason only.
            let line = line(bad.line);
            batch.bad(Bad { line, reason: bad.reason, snippet: Vec::new(), bytes: bad.bytes }, true);
        }
    }
}

/// Takes in some records of a file that grows, in one batch: after it, reading goes on at the intake's position.
pub fn take_piece(
    house: &House,
    intake: &Intake,
    records: Records,
    permit: &Permit<SessionKeeping>,
    line: impl Fn(u64) -> u64,
) -> anyhow::Result<Tally> {
    let mut batch = Batch::default();
    for record in records {
        put_assignments(&mut batch, record?, permit, &line);
    }
    keep(house, &mut batch)?;
    let mut tried = None;
    Ok(patiently(|| store(house, intake, &batch, &mut tried))?)
}

/// Findings that nobody could be named for are looked at again: what has come in may confirm a session.
pub fn reconsider(house: &House) -> Result<(), StoreError> {
    let now = house.clock.now();
    house.store.tx("intake.reconsider", |tx| {
        for finding in tx.findings_unconfirmed(RECONSIDERED_MAX)? {
            tx.publish(ORIENTED, &finding, &finding, now)?;
        }
        Ok(())
    })
}
