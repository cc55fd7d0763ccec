//! How many senders each port and tool had on a day, counted once when the day is over. What rises slowly is told from weeks of such
//! counts, and to count the senders of a day from its rows again for each question takes minutes where the telescope is large.
//!
//! ```text
//!   a joined day, sender by sender ─▶ by sensor, port and tool: senders, packets ─▶ draft ─rename─▶ counts/day=…/counts.parquet
//! ```
//!
//! **Senders of two sensors cannot be added**: many are seen by both. So each port and tool has a row for each sensor and one for all of them
//! together, whose `sensor` is null. Counts are exact. There is no address in them, so they may be kept when the minutes are forgotten.
//!
//! **A day's counts are what its minutes say, or are not there:** whoever writes minutes of a day that has some removes its counts first.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, UInt8Array, UInt16Array, UInt64Array,
};
use jiff::civil::Date;

use crate::files;
use crate::senders::{self, Seen};
use crate::write::DayFile;
use crate::{LakeError, Sensor, Table};

/// What answers and does not ask, as the telescope calls it.
pub(crate) const VICTIM: &str = "backscatter";
/// Most ports and tools of all sensors, of less than a hundred bytes each.
const KEYS_MAX: usize = 1 << 22;
/// Rows of the file that become columns at once.
const CHUNK_ROWS: usize = 1 << 16;

/// Counts a day, unless it is counted already or there is nothing of it; returns of how many keys.
pub(crate) fn count(lake: &Path, day: Date) -> Result<Option<u64>, LakeError> {
    if files::counts_file(lake, day).exists() || !has_minutes(lake, day)? {
        return Ok(None);
    }
    let mut tally = Tally::default();
    senders::each(lake, day, |seen| tally.add(seen))?;
    let rows = tally.rows();
    let mut file = DayFile::of_counts(lake, day)?;
    for rows in rows.chunks(CHUNK_ROWS) {
        file.write(&columns(rows)?)?;
    }
    file.finish()?;
    Ok(Some(rows.len() as u64))
}

/// Takes the counts of a day away, because it is to have more minutes. Those of a day whose minutes were forgotten stay: they know more than
/// what came late.
pub(crate) fn outdated(lake: &Path, day: Date) -> Result<(), LakeError> {
    let file = files::counts_file(lake, day);
    if !file.exists() || !has_minutes(lake, day)? {
        return Ok(());
    }
    files::remove(&file)?;
    // Gone for good before the minutes come, whatever fails in between.
    file.parent().map_or(Ok(()), files::sync_folder)
}

fn has_minutes(lake: &Path, day: Date) -> Result<bool, LakeError> {
    for partition in files::partitions(lake, Table::Minutes, day)? {
        if !partition.files(lake)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is counted: of a sensor, or of all; a protocol's port, or a tool. Sensors and tools by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    sensor: Option<u32>,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum What {
    Port(u8, Option<u16>),
    Tool(u32),
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    all: Senders,
    asking: Senders,
}

/// Senders come one after the other: who is not the last was not there before.
#[derive(Clone, Copy, Debug, Default)]
struct Senders {
    last: u64,
    hosts: u64,
    packets: u64,
}

impl Senders {
    fn add(&mut self, sender: u64, packets: u32) {
        self.hosts += u64::from(self.last != sender);
        self.last = sender;
        self.packets = self.packets.saturating_add(u64::from(packets));
    }
}

#[derive(Default)]
struct Tally {
    counts: HashMap<Key, Count>,
    sensors: BTreeMap<Sensor, u32>,
    tools: BTreeMap<String, u32>,
    source: Option<IpAddr>,
    /// The how manieth sender it is, from one.
    sender: u64,
}

impl Tally {
    fn add(&mut self, seen: &Seen<'_>) -> Result<(), LakeError> {
        if self.source != Some(seen.source) {
            self.source = Some(seen.source);
            self.sender += 1;
        }
        let sensor = match self.sensors.get(seen.sensor) {
            Some(sensor) => *sensor,
            None => place(&mut self.sensors, seen.sensor.clone()),
        };
        let tool = seen.tool.map(|tool| match self.tools.get(tool) {
            Some(tool) => *tool,
            None => place(&mut self.tools, tool.to_owned()),
        });
        self.count(sensor, What::Port(seen.protocol, seen.destination_port), seen)?;
        tool.map_or(Ok(()), |tool| self.count(sensor, What::Tool(tool), seen))
    }

    fn count(&mut self, sensor: u32, what: What, seen: &Seen<'_>) -> Result<(), LakeError> {
        for sensor in [Some(sensor), None] {
            if self.counts.len() >= KEYS_MAX && !self.counts.contains_key(&Key { sensor, what }) {
                return Err(LakeError::Keys(KEYS_MAX));
            }
            let count = self.counts.entry(Key { sensor, what }).or_default();
            count.all.add(self.sender, seen.packets);
            if seen.class != VICTIM {
                count.asking.add(self.sender, seen.packets);
            }
        }
        Ok(())
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let sensors: Vec<&str> = by_place(&self.sensors, Sensor::as_str);
        let tools: Vec<&str> = by_place(&self.tools, String::as_str);
        let mut keys: Vec<(&Key, &Count)> = self.counts.iter().collect();
        keys.sort_unstable_by_key(|(key, _)| **key);
        let row = |(key, count): (&Key, &Count)| {
            let (protocol, port, tool) = match key.what {
                What::Port(protocol, port) => (Some(protocol), port, None),
                What::Tool(tool) => (None, None, tools.get(tool as usize).copied()),
            };
            let sensor = key.sensor.and_then(|sensor| sensors.get(sensor as usize).copied());
            Row { sensor, protocol, port, tool, count: *count }
        };
        keys.into_iter().map(row).collect()
    }
}

fn place<T: Ord>(places: &mut BTreeMap<T, u32>, new: T) -> u32 {
    let place = u32::try_from(places.len()).unwrap_or(u32::MAX);
    places.insert(new, place);
    place
}

fn by_place<T>(places: &BTreeMap<T, u32>, text: fn(&T) -> &str) -> Vec<&str> {
    let mut all: Vec<(&T, &u32)> = places.iter().collect();
    all.sort_unstable_by_key(|(_, place)| **place);
    all.into_iter().map(|(name, _)| text(name)).collect()
}

struct Row<'a> {
    sensor: Option<&'a str>,
    protocol: Option<u8>,
    port: Option<u16>,
    tool: Option<&'a str>,
    count: Count,
}

fn columns(rows: &[Row<'_>]) -> Result<RecordBatch, LakeError> {
    let hosts = |pick: fn(&Count) -> u64| -> ArrayRef {
        Arc::new(
            rows.iter()
                .map(|row| i64::try_from(pick(&row.count)).unwrap_or(i64::MAX))
                .collect::<Int64Array>(),
        )
    };
    let packets = |pick: fn(&Count) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| pick(&row.count)).collect::<UInt64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.sensor).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.protocol).collect::<UInt8Array>()),
        Arc::new(rows.iter().map(|row| row.port).collect::<UInt16Array>()),
        Arc::new(rows.iter().map(|row| row.tool).collect::<StringArray>()),
        hosts(|count| count.all.hosts),
        packets(|count| count.all.packets),
        hosts(|count| count.asking.hosts),
        packets(|count| count.asking.packets),
    ];
    Ok(RecordBatch::try_new(Table::Counts.schema(), columns)?)
}
