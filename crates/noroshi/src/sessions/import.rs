//! Files of assignments into the session book, each format by its reader in `wire`. Counted and quarantined as every other
//! input; what a bad record says stays sealed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::Timestamp;
use noroshi_law::Sealed;
use noroshi_wire::assignment_csv::{AssignmentFormat, read_assignments};
use noroshi_wire::cgn::{CgnFormat, CgnMake, read_cgn};
use noroshi_wire::dhcp::LeaseFormat;
use noroshi_wire::isc::read_isc_leases;
use noroshi_wire::kea::{KeaLegalFormat, read_kea_leases, read_kea_legal};
use noroshi_wire::radius::read_detail;
use noroshi_wire::tail::RecordEnd;
use noroshi_wire::{Assignment, BadSealed, ClockSample, Input};
use serde_json::{Map, Value};

use super::{Format, Import};
use crate::house::House;
use crate::intake::take_assignments;
use crate::report::{self, say};

/// A record as a reader gives it: what it says of who held what, or why it says nothing.
pub type Record = Result<(Vec<Sealed<Assignment>>, Option<ClockSample>), BadSealed>;
/// A file being read.
pub type Records = Box<dyn Iterator<Item = anyhow::Result<Record>>>;

/// Takes files in.
pub fn import(house: &House, wish: &Import) -> anyhow::Result<ExitCode> {
    let params: Map<String, Value> =
        serde_json::from_str(&wish.params).context("--params is no JSON object")?;
    let mut code = ExitCode::SUCCESS;
    for file in &wish.files {
        match take_assignments(house, file, |input| records(input, file, wish.format, &params, None)) {
            Ok(taken) if wish.json => report::json(&taken)?,
            Ok(taken) => say!("{:<32} {}", taken.file, taken.counts),
            Err(e) => {
                eprintln!("noroshi: {e:#}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// Where the records of a format end, and whether the file's first line names the columns: what it takes to read a file that
/// grows.
pub fn shape(format: Format, params: &Map<String, Value>) -> anyhow::Result<(RecordEnd, bool)> {
    Ok(match format {
        Format::RadiusDetail => (RecordEnd::BlankLine, false),
        Format::IscLeases => (RecordEnd::Brace, false),
        Format::KeaLeases => (RecordEnd::Line, true),
        Format::Csv => (RecordEnd::Line, meant::<AssignmentFormat>(params)?.header),
        Format::KeaLegal
        | Format::CgnJuniper
        | Format::CgnCisco
        | Format::CgnA10
        | Format::CgnF5
        | Format::CgnNfware => (RecordEnd::Line, false),
    })
}

/// Reads a file in a format. `written` is when, by our clock, where the records have just been written.
pub fn records(
    input: Input,
    file: &Path,
    format: Format,
    params: &Map<String, Value>,
    written: Option<Timestamp>,
) -> anyhow::Result<Records> {
    let changed = std::fs::metadata(file).and_then(|m| m.modified()).ok();
    let newest = changed.and_then(|t| Timestamp::try_from(t).ok());
    let plain = |record: Result<Vec<Sealed<Assignment>>, BadSealed>| record.map(|all| (all, None));
    Ok(match format {
        Format::RadiusDetail => Box::new(
            read_detail(input).assignments().map(|r| Ok(r?.map(|(all, sample)| (all, Some(sample))))),
        ),
        Format::KeaLeases => {
            let mut leases = read_kea_leases(input, &meant::<LeaseFormat>(params)?);
            if let Some(now) = written {
                leases.heard(now);
            }
            Box::new(leases.map(move |r| Ok(plain(r?))))
        }
        Format::KeaLegal => {
            Box::new(read_kea_legal(input, &meant::<KeaLegalFormat>(params)?).map(move |r| Ok(plain(r?))))
        }
        Format::IscLeases => {
            Box::new(read_isc_leases(input, &meant::<LeaseFormat>(params)?).map(move |r| Ok(plain(r?))))
        }
        Format::Csv => {
            Box::new(read_assignments(input, &meant::<AssignmentFormat>(params)?).map(move |r| Ok(plain(r?))))
        }
        Format::CgnJuniper => cgn(input, CgnMake::Juniper, params, newest)?,
        Format::CgnCisco => cgn(input, CgnMake::Cisco, params, newest)?,
        Format::CgnA10 => cgn(input, CgnMake::A10, params, newest)?,
        Format::CgnF5 => cgn(input, CgnMake::F5, params, newest)?,
        Format::CgnNfware => cgn(input, CgnMake::Nfware, params, newest)?,
    })
}

fn cgn(
    input: Input,
    make: CgnMake,
    params: &Map<String, Value>,
    newest: Option<Timestamp>,
) -> anyhow::Result<Records> {
    let mut params = params.clone();
    params.insert("make".into(), serde_json::to_value(make)?);
    let format: CgnFormat = meant(&params)?;
    Ok(Box::new(read_cgn(input, &format, newest).map(|r| Ok(r?.map(|all| (all, None))))))
}

fn meant<T: serde::de::DeserializeOwned>(params: &Map<String, Value>) -> anyhow::Result<T> {
    serde_json::from_value(Value::Object(params.clone())).context("--params")
}
