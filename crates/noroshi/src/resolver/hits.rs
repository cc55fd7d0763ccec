//! The record of what rules of measures did to whom: columns in a folder for each day, the client as a pseudonym of that day.
//!
//! ```text
//!   hits/day=2026-11-28/key                       the day's key, which makes pseudonyms of lines
//!   hits/day=2026-11-28/1764300000000-4711.parquet
//! ```
//!
//! Who has the key of a day can tell whether a line is in it, and two days have nothing in common. After as many days as the measure's dossier allows,
//! the folder goes, with its key. What came in the last minute before a crash is not recorded: a record is for statistics and for who
//! asks "was I warned", and nobody is told anything because of it.
//!
//! A connection to a command server that was stopped tells more: a device of that line is infected. Where a folder for it is named, such hits
//! become events there, as a sensor's are, which the loop takes in under the measure of its own that stands on the consent to be told
//! ([`crate::sources`]). They name the address, so they are for the owner of the folder only and go once they are taken in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use noroshi_resolver::exempt::Line;
use noroshi_resolver::serve::hits::HitRecord;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RowAccessor as _;
use parquet::schema::parser::parse_message_type;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;

/// Folder of records, in the data folder.
const FOLDER: &str = "hits";
/// The key's name in a day's folder.
const KEY: &str = "key";
/// How long hits are collected before they are written.
const COLLECT: Duration = Duration::from_secs(60);
/// How often it is looked whether the resolver ends.
const LOOK_UP: Duration = Duration::from_millis(500);
/// Hits after which they are written at once.
const ROWS_MAX: usize = 100_000;
/// Octets of a pseudonym.
const PSEUDONYM_OCTETS: usize = 8;
/// The columns.
const SCHEMA: &str = "message hit {
    required int64 at (TIMESTAMP(MILLIS, true));
    required binary client (STRING);
    required binary name (STRING);
    required binary zone (STRING);
    required binary trigger (STRING);
    required binary action (STRING);
}";

/// A zone, as it is named in records.
#[derive(Clone, Debug)]
pub struct ZoneRecorded {
    /// Its name.
    pub name: String,
    /// Whether a device that asks for its names is infected, and by what.
    pub infected: Option<Infected>,
}

/// What a device is infected with that asks for a zone's names.
#[derive(Clone, Debug)]
pub struct Infected {
    /// `malware.name`.
    pub malware: Option<String>,
}

/// Writes records as they come, and forgets them in their time.
pub struct Recorder {
    folder: PathBuf,
    zones: Vec<ZoneRecorded>,
    events: Option<PathBuf>,
    retention_days: i64,
    keys: BTreeMap<Date, hmac::Key>,
    waiting: BTreeMap<Date, Vec<HitRecord>>,
}

/// Somebody who records.
#[derive(Debug)]
pub struct Recording {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Recording {
    /// Records what is there, and ends.
    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            tracing::error!("hits of measures were not recorded to the end");
        }
    }
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// When.
    pub at: Timestamp,
    /// A pseudonym of the line, of that day.
    pub client: String,
    /// For which name.
    pub name: String,
    /// Whose rule.
    pub zone: String,
    /// What made it decide.
    pub trigger: String,
    /// What it did.
    pub action: String,
}

impl Recorder {
    /// Into a data folder, for so many days; `zones` by their place, and where events go of those whose names only infected devices ask for.
    pub fn new(
        data_dir: &Path,
        zones: Vec<ZoneRecorded>,
        events: Option<PathBuf>,
        retention_days: u32,
    ) -> Self {
        let folder = data_dir.join(FOLDER);
        let (keys, waiting) = (BTreeMap::new(), BTreeMap::new());
        Self { folder, zones, events, retention_days: retention_days.into(), keys, waiting }
    }

    /// Begins to record what comes out of `hits`, on a thread of its own.
    pub fn start(self, hits: Receiver<HitRecord>) -> std::io::Result<Recording> {
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("hits".into()).spawn(move || self.keep(&hits, &stops))?;
        Ok(Recording { stop, thread })
    }

    fn keep(mut self, hits: &Receiver<HitRecord>, stop: &AtomicBool) {
        let mut written = now();
        loop {
            let ended = match hits.recv_timeout(LOOK_UP) {
                Ok(hit) => {
                    self.waiting.entry(day_of(hit.at_ms)).or_default().push(hit);
                    false
                }
                Err(RecvTimeoutError::Timeout) => stop.load(Ordering::Relaxed),
                Err(RecvTimeoutError::Disconnected) => true,
            };
            let full = self.waiting.values().any(|rows| rows.len() >= ROWS_MAX);
            if ended || full || now().duration_since(written) >= COLLECT {
                if let Err(error) = self.write() {
                    tracing::error!("hits of measures were not recorded: {error:#}");
                }
                written = now();
            }
            if ended {
                return;
            }
        }
    }

    /// Writes what waits, and removes what is too old.
    fn write(&mut self) -> anyhow::Result<()> {
        for (day, rows) in std::mem::take(&mut self.waiting) {
            if let Some(events) = &self.events {
                write_events(events, &rows, &self.zones)
                    .with_context(|| format!("writing events into {}", events.display()))?;
            }
            let folder = self.day_folder(day);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let key = match self.keys.get(&day) {
                Some(key) => key,
                None => self.keys.entry(day).or_insert(key_in(&folder)?),
            };
            let first = rows.first().map_or(0, |row| row.at_ms);
            let path = folder.join(format!("{first}-{}.parquet", std::process::id()));
            write_file(&path, &rows, &self.zones, key)
                .with_context(|| format!("writing {}", path.display()))?;
        }
        self.forget(day_of(system_now().as_millisecond()))
    }

    /// Removes days that are older than may be kept.
    fn forget(&mut self, today: Date) -> anyhow::Result<()> {
        let first_kept = today.saturating_sub(self.retention_days.days());
        self.keys.retain(|day, _| *day >= first_kept);
        for (day, folder) in days(&self.folder)? {
            if day < first_kept {
                // The key first: without it what is left says nothing of anybody.
                let _ = fs::remove_file(folder.join(KEY));
                fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
            }
        }
        Ok(())
    }

    fn day_folder(&self, day: Date) -> PathBuf {
        self.folder.join(format!("day={day}"))
    }
}

/// Everything recorded in a data folder, day by day.
pub fn read(data_dir: &Path) -> anyhow::Result<Vec<Recorded>> {
    let mut all = Vec::new();
    for folder in days(&data_dir.join(FOLDER))?.values() {
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        files.retain(|path| path.extension().is_some_and(|ending| ending == "parquet"));
        files.sort();
        for path in files {
            let at = || format!("reading {}", path.display());
            let reader = SerializedFileReader::new(File::open(&path).with_context(at)?).with_context(at)?;
            for row in reader.get_row_iter(None).with_context(at)? {
                let row = row.with_context(at)?;
                let text = |column| row.get_string(column).cloned();
                all.push(Recorded {
                    at: Timestamp::from_millisecond(row.get_timestamp_millis(0)?)?,
                    client: text(1)?,
                    name: text(2)?,
                    zone: text(3)?,
                    trigger: text(4)?,
                    action: text(5)?,
                });
            }
        }
    }
    Ok(all)
}

/// Lines of days, by their pseudonyms.
type Lines<'a> = BTreeSet<(&'a str, Date)>;

/// Hits of a name of a zone, and of how many lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// The name.
    pub name: String,
    /// The zone.
    pub zone: String,
    /// What was done.
    pub action: String,
    /// How often.
    pub hits: u64,
    /// Lines of a day, added up over days.
    pub lines: u64,
}

/// The same by name, those of the most lines first.
pub fn sums(records: &[Recorded]) -> Vec<Sum> {
    let mut of: BTreeMap<(&str, &str, &str), (u64, Lines<'_>)> = BTreeMap::new();
    for record in records {
        let (hits, lines) = of.entry((&record.name, &record.zone, &record.action)).or_default();
        *hits += 1;
        lines.insert((&record.client, day_of(record.at.as_millisecond())));
    }
    let sum = |((name, zone, action), (hits, lines)): ((&str, &str, &str), (u64, Lines<'_>))| Sum {
        name: name.to_owned(),
        zone: zone.to_owned(),
        action: action.to_owned(),
        hits,
        lines: lines.len() as u64,
    };
    let mut sums: Vec<Sum> = of.into_iter().map(sum).collect();
    sums.sort_by_key(|sum| std::cmp::Reverse((sum.lines, sum.hits)));
    sums
}

/// Folders of days, in their order.
fn days(folder: &Path) -> anyhow::Result<BTreeMap<Date, PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(day) = name.to_str().and_then(|name| name.strip_prefix("day=")?.parse().ok()) {
            found.insert(day, entry.path());
        }
    }
    Ok(found)
}

/// The key in a day's folder, made where there is none.
fn key_in(folder: &Path) -> anyhow::Result<hmac::Key> {
    let path = folder.join(KEY);
    let secret = match fs::read(&path) {
        Ok(secret) => secret,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            SystemRandom::new().fill(&mut secret).ok().context("the system has no random numbers")?;
            let mut file = File::options().create_new(true).write(true).mode(0o600).open(&path)?;
            file.write_all(&secret)?;
            file.sync_all()?;
            secret.to_vec()
        }
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &secret))
}

/// A pseudonym of a line.
fn pseudonym(key: &hmac::Key, hit: &HitRecord) -> String {
    let tag = hmac::sign(key, format!("{:?}", Line::of(hit.client)).as_bytes());
    HEXLOWER.encode(&tag.as_ref()[..PSEUDONYM_OCTETS])
}

/// Events of infected devices, a JSON object on each line in IntelMQ's fields: one for each line and name of these rows, at its first time.
fn write_events(folder: &Path, rows: &[HitRecord], zones: &[ZoneRecorded]) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    let mut lines = String::new();
    for row in rows {
        let Some(zone) = zones.get(usize::from(row.zone)) else { continue };
        let Some(infected) = zone.infected.as_ref().filter(|_| seen.insert((row.client, &row.name))) else {
            continue;
        };
        let mut event = serde_json::json!({
            "classification.taxonomy": "malicious-code",
            "classification.type": "infected-system",
            "destination.fqdn": row.name.trim_end_matches('.'),
            "extra.rpz": zone.name.trim_end_matches('.'),
            "protocol.application": "dns",
            "source.ip": row.client,
            "time.source": Timestamp::from_millisecond(row.at_ms).unwrap_or_default().to_string(),
        });
        if let Some(malware) = &infected.malware {
            event["malware.name"] = malware.clone().into();
        }
        lines.push_str(&event.to_string());
        lines.push('\n');
    }
    let Some(first) = rows.first().filter(|_| !lines.is_empty()) else { return Ok(()) };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = format!("{}-{}.json", first.at_ms, std::process::id());
    // A name that begins with a dot is nobody's business yet.
    let beside = folder.join(format!(".{name}"));
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(name))?;
    Ok(())
}

/// A file is there as a whole or not at all.
fn write_file(
    path: &Path,
    rows: &[HitRecord],
    zones: &[ZoneRecorded],
    key: &hmac::Key,
) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build()))?;
    let mut group = writer.next_row_group()?;
    let texts = |of: &dyn Fn(&HitRecord) -> String| {
        rows.iter().map(|row| ByteArray::from(of(row).into_bytes())).collect::<Vec<_>>()
    };
    let zone =
        |row: &HitRecord| zones.get(usize::from(row.zone)).map_or_else(String::new, |zone| zone.name.clone());
    let columns: [Vec<ByteArray>; 5] = [
        texts(&|row| pseudonym(key, row)),
        texts(&|row| row.name.clone()),
        texts(&zone),
        texts(&|row| row.kind.label().to_owned()),
        texts(&|row| row.action.to_owned()),
    ];
    let at: Vec<i64> = rows.iter().map(|row| row.at_ms).collect();
    if let Some(mut column) = group.next_column()? {
        column.typed::<Int64Type>().write_batch(&at, None, None)?;
        column.close()?;
    }
    for texts in &columns {
        let mut column = group.next_column()?.context("the record has another form")?;
        column.typed::<ByteArrayType>().write_batch(texts, None, None)?;
        column.close()?;
    }
    group.close()?;
    writer.into_inner()?.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(())
}

fn day_of(at_ms: i64) -> Date {
    Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(TimeZone::UTC).date()
}

#[allow(clippy::disallowed_methods, reason = "how long something takes; nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "days of records are those of the calendar")]
fn system_now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use noroshi_resolver::policy::Kind;

    use super::*;

    fn hit(day: i64, client: &str, name: &str) -> HitRecord {
        HitRecord {
            at_ms: (20_000 + day) * 86_400_000 + 5,
            client: client.parse().unwrap(),
            name: name.into(),
            zone: 1,
            kind: Kind::Qname,
            action: "warn",
        }
    }

    fn recorder(place: &Path) -> Recorder {
        let zone = |name: &str, infected| ZoneRecorded { name: name.into(), infected };
        let cnc = Some(Infected { malware: Some("mirai".into()) });
        Recorder::new(place, vec![zone("cnc.test.", cnc), zone("rpz.test.", None)], None, 7)
    }

    #[test]
    fn a_line_has_one_pseudonym_a_day_and_another_the_next() {
        let place = tempfile::tempdir().unwrap();
        for rows in [
            vec![hit(0, "192.0.2.7", "bad.example."), hit(0, "192.0.2.8", "bad.example.")],
            vec![hit(0, "192.0.2.7", "also.example."), hit(1, "192.0.2.7", "bad.example.")],
        ] {
            let mut recorder = recorder(place.path());
            rows.into_iter().for_each(|row| recorder.waiting.entry(day_of(row.at_ms)).or_default().push(row));
            for (day, rows) in std::mem::take(&mut recorder.waiting) {
                let folder = recorder.day_folder(day);
                fs::create_dir_all(&folder).unwrap();
                let path = folder.join(format!("{}-{}.parquet", rows[0].at_ms, rows[0].name));
                write_file(&path, &rows, &recorder.zones, &key_in(&folder).unwrap()).unwrap();
            }
        }
        let all = read(place.path()).unwrap();
        let of = |name: &str, day: usize| {
            let found = all.iter().filter(|row| row.name == name);
            found
                .filter(|row| row.at.to_string().starts_with(["2024-10-04", "2024-10-05"][day]))
                .map(|row| &row.client)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("bad.example.", 0).len(), 2);
        assert_eq!(of("also.example.", 0)[0], of("bad.example.", 0)[0], "one line");
        assert_ne!(of("bad.example.", 0)[0], of("bad.example.", 0)[1]);
        assert_ne!(of("bad.example.", 1)[0], of("bad.example.", 0)[0], "another day");
        assert_eq!(
            (all[0].zone.as_str(), all[0].trigger.as_str(), all[0].action.as_str()),
            ("rpz.test.", "qname", "warn")
        );
        let sums = sums(&all);
        assert_eq!((sums[0].name.as_str(), sums[0].hits, sums[0].lines), ("bad.example.", 3, 3));
    }

    #[test]
    fn who_asks_for_a_command_server_becomes_an_event_once() {
        let place = tempfile::tempdir().unwrap();
        let cnc = |client: &str, name: &str| HitRecord { zone: 0, ..hit(0, client, name) };
        let rows = [
            cnc("192.0.2.7", "c2.example."),
            cnc("192.0.2.7", "c2.example."),
            hit(0, "192.0.2.7", "bad.example."),
            cnc("2001:db8::7", "c2.example."),
        ];
        let events = place.path().join("events");
        write_events(&events, &rows, &recorder(place.path()).zones).unwrap();
        let files: Vec<PathBuf> = fs::read_dir(&events).unwrap().map(|entry| entry.unwrap().path()).collect();
        let text = fs::read_to_string(&files[0]).unwrap();
        let told: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((files.len(), told.len()), (1, 2));
        assert_eq!(told[0]["source.ip"], "192.0.2.7");
        assert_eq!(
            (&told[0]["destination.fqdn"], &told[0]["malware.name"]),
            (&"c2.example".into(), &"mirai".into())
        );
        assert_eq!(told[1]["source.ip"], "2001:db8::7");
        write_events(&events, &rows[2..3], &recorder(place.path()).zones).unwrap();
        assert_eq!(fs::read_dir(&events).unwrap().count(), 1, "nothing to tell, no file");
    }

    #[test]
    fn what_is_too_old_goes_with_its_key() {
        let place = tempfile::tempdir().unwrap();
        let mut recorder = recorder(place.path());
        for day in ["2026-11-20", "2026-11-21", "2026-11-28"] {
            let folder = recorder.day_folder(day.parse().unwrap());
            fs::create_dir_all(&folder).unwrap();
            key_in(&folder).unwrap();
        }
        recorder.forget("2026-11-28".parse().unwrap()).unwrap();
        let left: Vec<String> = days(&recorder.folder).unwrap().keys().map(ToString::to_string).collect();
        assert_eq!(left, ["2026-11-21", "2026-11-28"]);
    }
}
