//! Which batches of a sensor are in the lake: `followed/SENSOR.json` in the lake's folder, written beside, made durable and renamed.
//!
//! ```text
//!   under way: these batches are number N of the lake ──▶ N is written ──▶ taken, nothing under way ──▶ their files are removed
//! ```
//!
//! Who is killed before the third step writes N again, of the same batches, and N replaces itself; who is killed after it finds files of
//! batches that are taken, and removes them. A batch is known by run and number, as it was numbered where it was seen; the lake's own numbers
//! rise in the order of taking up. So a batch that comes late, or of an older run, needs no place between others.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use noroshi_wire::batch::{BatchName, Run, SensorName};
use serde::{Deserialize, Serialize};

/// Runs that are known of a sensor; of more, the one that was not met for longest is forgotten.
const RUNS_MAX: usize = 1000;
/// Spans of a run between which batches are missing; of more, the first gap is given up.
const SPANS_MAX: usize = 1000;

/// What is known of one sensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ledger {
    runs: BTreeMap<String, Taken>,
    /// What is being written, or was when the process was killed.
    pub under_way: Option<UnderWay>,
}

/// What was taken of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Taken {
    /// First and last number of each span, rising and apart.
    spans: Vec<(u64, u64)>,
    last: Timestamp,
}

/// Batches on their way into the lake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UnderWay {
    /// The lake's number.
    pub number: u64,
    /// Each by the name of its run and its number.
    pub batches: Vec<(String, u64)>,
}

impl UnderWay {
    /// As the number of these batches.
    pub fn new<'a>(number: u64, batches: impl Iterator<Item = &'a BatchName>) -> Self {
        Self { number, batches: batches.map(|name| (name.run.to_string(), name.number)).collect() }
    }

    /// The batches, of a sensor.
    pub fn names(&self, sensor: &SensorName) -> anyhow::Result<Vec<BatchName>> {
        let name = |(run, number): &(String, u64)| {
            Ok(BatchName { sensor: sensor.clone(), run: run.parse()?, number: *number })
        };
        self.batches.iter().map(name).collect()
    }
}

impl Ledger {
    fn path(lake: &Path, sensor: &SensorName) -> PathBuf {
        lake.join("followed").join(format!("{sensor}.json"))
    }

    /// That of a sensor; an empty one where it is new.
    pub fn read(lake: &Path, sensor: &SensorName) -> anyhow::Result<Self> {
        let path = Self::path(lake, sensor);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    /// Makes it durable.
    pub fn write(&self, lake: &Path, sensor: &SensorName) -> anyhow::Result<()> {
        let (path, folder) = (Self::path(lake, sensor), lake.join("followed"));
        let next = folder.join(format!(".{sensor}.next"));
        let write = || {
            fs::create_dir_all(&folder)?;
            let mut file = File::create(&next)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&next, &path)?;
            File::open(&folder)?.sync_all()?;
            File::open(lake)?.sync_all()
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Whether a batch is in the lake.
    pub fn has(&self, name: &BatchName) -> bool {
        let taken = self.runs.get(&name.run.to_string());
        taken.is_some_and(|taken| {
            taken.spans.iter().any(|(first, last)| (*first..=*last).contains(&name.number))
        })
    }

    /// It is there now.
    pub fn take(&mut self, name: &BatchName, now: Timestamp) {
        self.make_room(name.run);
        let taken = self.runs.entry(name.run.to_string()).or_insert(Taken { spans: Vec::new(), last: now });
        taken.last = now;
        taken.add(name.number);
    }

    /// Batches that are missing between those that are there.
    pub fn missing(&self) -> u64 {
        let gaps = self.runs.values().flat_map(|taken| taken.spans.windows(2));
        gaps.map(|pair| pair[1].0 - pair[0].1 - 1).fold(0, u64::saturating_add)
    }

    fn make_room(&mut self, run: Run) {
        if self.runs.len() >= RUNS_MAX && !self.runs.contains_key(&run.to_string()) {
            let idle = self.runs.iter().min_by_key(|(_, taken)| taken.last);
            if let Some(idle) = idle.map(|(name, _)| name.clone()) {
                self.runs.remove(&idle);
            }
        }
    }
}

impl Taken {
    fn add(&mut self, number: u64) {
        let at = self.spans.partition_point(|(first, _)| *first <= number);
        if at > 0 && number <= self.spans[at - 1].1 {
            return;
        }
        let goes_on = at > 0 && self.spans[at - 1].1 + 1 == number;
        let leads_on = self.spans.get(at).is_some_and(|(first, _)| number + 1 == *first);
        match (goes_on, leads_on) {
            (true, true) => self.spans[at - 1].1 = self.spans.remove(at).1,
            (true, false) => self.spans[at - 1].1 = number,
            (false, true) => self.spans[at].0 = number,
            (false, false) => self.spans.insert(at, (number, number)),
        }
        if self.spans.len() > SPANS_MAX {
            self.spans[0].1 = self.spans.remove(1).1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

    use super::*;

    fn name(run: u8, number: u64) -> BatchName {
        BatchName { sensor: "north".parse().unwrap(), run: Run([run; 16]), number }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn batches_in_any_order_are_known_each_and_what_is_missing_counts() {
        let mut ledger = Ledger::default();
        for (number, missing) in [(5, 0), (7, 1), (1, 4), (6, 3), (3, 2), (2, 1), (4, 0), (0, 0)] {
            assert!(!ledger.has(&name(1, number)));
            ledger.take(&name(1, number), at(1));
            ledger.take(&name(1, number), at(1));
            assert!(ledger.has(&name(1, number)) && !ledger.has(&name(2, number)));
            assert_eq!(ledger.missing(), missing, "{number}");
        }
        assert_eq!(ledger.runs.values().next().unwrap().spans, [(0, 7)]);
    }

    #[test]
    fn it_is_bounded_and_what_it_gives_up_is_the_oldest() {
        let mut ledger = Ledger::default();
        for number in 0..=2 * SPANS_MAX as u64 {
            ledger.take(&name(1, 2 * number), at(1));
        }
        assert_eq!(ledger.runs.values().next().unwrap().spans.len(), SPANS_MAX);
        assert!(ledger.has(&name(1, 1)) && !ledger.has(&name(1, 4 * SPANS_MAX as u64 - 1)));
        for run in 0..RUNS_MAX as u32 {
            let bytes: [u8; 16] = (u128::from(run) << 8).to_be_bytes();
            ledger.take(&BatchName { run: Run(bytes), ..name(0, 9) }, at(2 + i64::from(run)));
        }
        assert_eq!(ledger.runs.len(), RUNS_MAX);
        assert!(!ledger.has(&name(1, 0)));
    }

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_not_believed() {
        let lake = tempfile::tempdir().unwrap();
        let north = "north".parse().unwrap();
        assert_eq!(Ledger::read(lake.path(), &north).unwrap(), Ledger::default());
        let mut ledger = Ledger::default();
        ledger.take(&name(1, 9), at(1));
        ledger.under_way = Some(UnderWay::new(3, [&name(1, 10)].into_iter()));
        ledger.write(lake.path(), &north).unwrap();
        assert_eq!(Ledger::read(lake.path(), &north).unwrap(), ledger);
        assert_eq!(ledger.under_way.unwrap().names(&north).unwrap(), [name(1, 10)]);
        fs::write(lake.path().join("followed/north.json"), "{").unwrap();
        assert!(Ledger::read(lake.path(), &north).is_err());
    }
}
