//! Columns → events: the hot path. Most of what a CSIRT takes in is a CSV with a header.

use noroshi_wire::Lines;
use noroshi_wire::csv::{CsvFormat, Header, Record, Records};

use crate::map::{Mapping, Ragged, ReadAs};
use crate::plan::{Cells, Made, Plan};
use crate::{Feed, FeedError, Input, Sink};

/// A CSV report, read through a map.
pub struct Table {
    records: Records<Input>,
    mapping: Mapping,
    read: ReadAs,
    plan: Option<Plan>,
}

impl Table {
    /// Reads `input` as the map says.
    pub fn new(read: &ReadAs, mapping: Mapping, input: Input) -> Self {
        let header = match read.columns.as_slice() {
            [] => Header::FirstLine,
            names => Header::Named(names.to_vec()),
        };
        let format = CsvFormat {
            delimiter: read.delimiter,
            header,
            ragged: read.ragged != Ragged::No,
            comment: read.comment,
        };
        let records = Records::new(Lines::new(input, read.encoding), format, &[]);
        Self { records, mapping, read: read.clone(), plan: None }
    }
}

impl Cells for Record {
    fn text(&self, at: usize) -> &str {
        self.at(at).unwrap_or_default()
    }
}

impl Feed for Table {
    fn step(&mut self, sink: &mut dyn Sink) -> Result<bool, FeedError> {
        let record = match self.records.next().transpose()? {
            None => return Ok(false),
            Some(Err(bad)) => {
                sink.bad(bad);
                return Ok(true);
            }
            Some(Ok(record)) => record,
        };
        let plan = match &mut self.plan {
            Some(plan) => plan,
            none => {
                let plan = Plan::new(&self.mapping, &self.read, record.columns());
                let missing =
                    |column| FeedError::Report(format!("column '{column}' is needed and not there"));
                none.insert(plan.map_err(missing)?)
            }
        };
        let (have, want) = (record.len(), record.columns().len());
        let odd = self.read.ragged == Ragged::Fitting && have != want;
        let beyond = (want..have).any(|at| record.at(at).is_some_and(|cell| !cell.trim().is_empty()));
        let refused = match if odd { plan.make_fitting(&record) } else { plan.make(&record) } {
            Made::Event(_) if odd && beyond => format!("{have} columns where there should be {want}"),
            Made::Event(fields) => {
                sink.event(record.line, fields);
                return Ok(true);
            }
            Made::Filtered => {
                sink.filtered(record.line);
                return Ok(true);
            }
            Made::Bad(reason) => reason,
        };
        sink.bad(self.records.refuse(&record, refused));
        Ok(true)
    }

    fn head(&self) -> Option<String> {
        self.read.columns.is_empty().then(|| self.records.header())?
    }
}
