//! A zone on disk: one that was transferred, so that a resolver that starts has its rules before it has reached anybody; and one that is
//! given to others, who ask what changed.
//!
//! ```text
//!   NAME.zone     the whole zone, as it was once; its version and a checksum end it
//!   NAME.changes  what changed since, each with its length and checksum
//! ```
//!
//! A whole zone is written beside the old one and then takes its name. Changes are appended, each with the version that it changes; one that does not
//! follow, or was cut off when the machine failed, is left out together with all behind it. So whatever is read is a version that the
//! primary had.

use std::fs::{self, File, OpenOptions};
use std::hash::Hasher as _;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use ring::digest::{Context, Digest, SHA256, digest};

use hashbrown::HashMap;
use siphasher::sip::SipHasher13;

use super::{Change, OwnedRecord, Timers, is_newer};
use crate::name::{Name, OCTETS_MAX};
use crate::policy::rule::{ZoneRecord, rtype};

/// How a whole zone's file begins.
const MAGIC: &[u8; 8] = b"norozon1";
/// Ends the records of a whole zone: no name begins like that.
const END: u8 = 0xff;
/// What stands after the records: [`END`], whether there is a version, the version, the checksum.
const TRAILER_OCTETS: u64 = 1 + 1 + 4 + SUM_OCTETS as u64;
const SUM_OCTETS: usize = 32;
/// Records that changed, as a part of all, from which on a zone is written anew.
const CHANGED_PART: usize = 4;
/// Octets of a change at most.
const CHANGE_OCTETS_MAX: u32 = 1 << 30;

/// Where a zone is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    zone: PathBuf,
    changes: PathBuf,
}

/// A whole zone on its way to disk.
#[derive(Debug)]
pub struct Whole {
    part: PathBuf,
    kept: Kept,
    file: BufWriter<File>,
    sum: Sum,
    serial: Option<u32>,
}

struct Sum(Context);

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SHA-256")
    }
}

/// What a zone's new records are beside those that are kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Renewed {
    /// The same.
    Same,
    /// These changed.
    Change(Change),
    /// So many changed that the zone was written anew, or nothing was kept.
    Whole,
}

impl Kept {
    /// Where a zone is kept in a folder.
    pub fn new(folder: &Path, zone: &Name) -> Self {
        // The name in wire form as hexadecimal digits would say nothing to anybody; what may stand in a file's name stays.
        let name: String = zone
            .to_string()
            .trim_end_matches('.')
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '%' })
            .collect();
        let sum = digest(&SHA256, zone.wire());
        let short: String = sum.as_ref().iter().take(4).map(|octet| format!("{octet:02x}")).collect();
        let at = |kind: &str| folder.join(format!("{}-{short}.{kind}", &name[..name.len().min(100)]));
        Self { zone: at("zone"), changes: at("changes") }
    }

    /// Whether a whole zone is there.
    pub fn is_whole(&self) -> bool {
        self.zone.exists()
    }

    /// Begins to write a whole zone.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn whole(&self) -> io::Result<Whole> {
        if let Some(folder) = self.zone.parent() {
            fs::create_dir_all(folder)?;
        }
        let part = self.zone.with_extension("part");
        let mut whole = Whole {
            file: BufWriter::with_capacity(1 << 20, File::create(&part)?),
            part,
            kept: self.clone(),
            sum: Sum(Context::new(&SHA256)),
            serial: None,
        };
        whole.write(MAGIC)?;
        Ok(whole)
    }

    /// Appends a change, which is on disk afterwards.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn append(&self, change: &Change) -> io::Result<()> {
        let mut body = Vec::new();
        body.extend(change.from.to_be_bytes());
        body.extend(change.to.to_be_bytes());
        for records in [&change.gone, &change.come] {
            body.extend((records.len() as u32).to_be_bytes());
            records.iter().for_each(|record| put(&mut body, &record.lend()));
        }
        let mut entry = (body.len() as u32).to_be_bytes().to_vec();
        entry.extend(digest(&SHA256, &body).as_ref());
        entry.extend(body);
        let mut file = OpenOptions::new().create(true).append(true).open(&self.changes)?;
        let before = file.metadata()?.len();
        let written = file.write_all(&entry).and_then(|()| file.sync_data());
        if written.is_err() {
            // A part of it would stand before the next one.
            let _ = file.set_len(before);
        }
        written
    }

    /// Cuts off what was not written to its end when the machine failed, before more is appended. Only for the one who writes: to others a change that
    /// is on its way looks the same.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn mend(&self) -> io::Result<()> {
        let (_, good) = self.all_changes()?;
        match OpenOptions::new().write(true).open(&self.changes) {
            Ok(file) if file.metadata()?.len() > good => {
                file.set_len(good)?;
                file.sync_data()
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives every record of the whole zone to `take`; the changes since. `None` where there is no whole zone.
    ///
    /// # Errors
    ///
    /// Whatever the disk says; a file that is damaged is an error, too.
    pub fn read(&self, mut take: impl FnMut(ZoneRecord<'_>)) -> io::Result<Option<Vec<Change>>> {
        let Some(version) = self.version()? else { return Ok(None) };
        version.records(|record| {
            take(record);
            Ok(())
        })?;
        Ok(Some(version.changes))
    }

    /// Gives every record of the newest version to `take`, its SOA first. `None` where there is no whole zone.
    ///
    /// # Errors
    ///
    /// Whatever the disk says, or `take`.
    pub fn current(&self, mut take: impl FnMut(ZoneRecord<'_>) -> io::Result<()>) -> io::Result<Option<u32>> {
        let Some(version) = self.version()? else { return Ok(None) };
        let Some(soa) = version.soa()? else { return Ok(None) };
        take(soa.lend())?;
        let hasher = hasher();
        // What became of each record in all changes together.
        let mut net: HashMap<u64, (i32, Option<&OwnedRecord>)> = HashMap::new();
        for change in &version.changes {
            for record in &change.gone {
                net.entry(hash(&hasher, &record.lend())).or_default().0 -= 1;
            }
            for record in change.come.iter().filter(|record| record.rtype != rtype::SOA) {
                let entry = net.entry(hash(&hasher, &record.lend())).or_default();
                *entry = (entry.0 + 1, Some(record));
            }
        }
        version.records(|record| {
            let stays = || net.get(&hash(&hasher, &record)).is_none_or(|(net, _)| *net >= 0);
            if record.rtype != rtype::SOA && stays() { take(record) } else { Ok(()) }
        })?;
        for record in net.into_values().filter(|(net, _)| *net > 0).filter_map(|(_, record)| record) {
            take(record.lend())?;
        }
        Ok(Timers::of(soa.rtype, &soa.data).map(|timers| timers.serial))
    }

    /// What changed after a version; `None` where that is not known any more.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn since(&self, serial: u32) -> io::Result<Option<Vec<Change>>> {
        let Some(Version { mut changes, .. }) = self.version()? else { return Ok(None) };
        let at = changes.iter().position(|change| change.from == serial);
        Ok(at.map(|at| changes.split_off(at)))
    }

    /// What is on disk at this moment.
    fn version(&self) -> io::Result<Option<Version>> {
        let file = match File::open(&self.zone) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut at = check(&file)?;
        let mut changes = self.all_changes()?.0;
        // Those of an older whole zone are of no use any more.
        changes.retain(|change| {
            let follows = at == Some(change.from);
            if follows {
                at = Some(change.to);
            }
            follows
        });
        Ok(Some(Version { file, changes }))
    }

    /// All changes that are whole, and how many octets they take.
    fn all_changes(&self) -> io::Result<(Vec<Change>, u64)> {
        let file = match File::open(&self.changes) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::new(file);
        let (mut changes, mut good) = (Vec::new(), 0u64);
        while let Some((change, octets)) = next_change(&mut reader) {
            good += octets;
            changes.push(change);
        }
        Ok((changes, good))
    }

    /// Takes over the records that `read` hands over, as a new version. Their SOA's version is used where it is newer, else the next.
    ///
    /// # Errors
    ///
    /// Whatever the disk says, or `read`. What is kept stays as it is.
    pub fn renew(
        &self,
        read: impl Fn(&mut dyn FnMut(ZoneRecord<'_>)) -> io::Result<()>,
    ) -> io::Result<Renewed> {
        self.mend()?;
        let hasher = hasher();
        let (mut before, mut soa, mut count) = (HashMap::new(), None, 0usize);
        let is_whole = self.current(|record| {
            if record.rtype == rtype::SOA {
                soa = Some(record.to_owned_record());
            } else {
                before.insert(hash(&hasher, &record), true);
                count += 1;
            }
            Ok(())
        });
        // A damaged file is written anew.
        let Ok(Some(serial)) = is_whole else { return self.write_anew(read, None) };
        let mut change = Change { from: serial, ..Change::default() };
        let mut new_soa = None;
        read(&mut |record| {
            if record.rtype == rtype::SOA {
                new_soa = Some(record.to_owned_record());
            } else if let Some(is_gone) = before.get_mut(&hash(&hasher, &record)) {
                *is_gone = false;
            } else if change.come.len() <= count / CHANGED_PART {
                change.come.push(record.to_owned_record());
            }
        })?;
        before.retain(|_, is_gone| *is_gone);
        if change.come.len() + before.len() > count / CHANGED_PART {
            return self.write_anew(read, Some(serial));
        }
        let old_soa = soa.unwrap_or_else(|| synthetic_soa(&change, serial));
        let new_soa = new_soa.unwrap_or_else(|| old_soa.clone());
        if change.come.is_empty() && before.is_empty() && new_soa.data == old_soa.data {
            return Ok(Renewed::Same);
        }
        self.current(|record| {
            if before.contains_key(&hash(&hasher, &record)) {
                change.gone.push(record.to_owned_record());
            }
            Ok(())
        })?;
        let new_soa = newer(new_soa, serial);
        change.to = Timers::of(rtype::SOA, &new_soa.data).map_or(serial, |timers| timers.serial);
        change.come.insert(0, new_soa);
        self.append(&change)?;
        Ok(Renewed::Change(change))
    }

    fn write_anew(
        &self,
        read: impl Fn(&mut dyn FnMut(ZoneRecord<'_>)) -> io::Result<()>,
        serial: Option<u32>,
    ) -> io::Result<Renewed> {
        let mut whole = self.whole()?;
        let mut result = Ok(());
        read(&mut |record| {
            if result.is_ok() {
                result = match serial {
                    Some(serial) if record.rtype == rtype::SOA => {
                        whole.record(&newer(record.to_owned_record(), serial).lend())
                    }
                    _ => whole.record(&record),
                };
            }
        })?;
        result?;
        whole.end()?;
        Ok(Renewed::Whole)
    }
}

/// A whole zone and its changes, as they were when they were looked at: another whole zone that takes the name meanwhile is another file.
struct Version {
    file: File,
    changes: Vec<Change>,
}

impl Version {
    /// Gives every record of the whole zone to `take`.
    fn records(&self, mut take: impl FnMut(ZoneRecord<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut file = &self.file;
        file.seek(io::SeekFrom::Start(MAGIC.len() as u64))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut record = OwnedRecord::default();
        while get(&mut reader, &mut record)? {
            take(record.lend())?;
        }
        Ok(())
    }

    /// The newest version's SOA.
    fn soa(&self) -> io::Result<Option<OwnedRecord>> {
        let mut newest = self.changes.iter().rev().flat_map(|change| &change.come);
        if let Some(soa) = newest.find(|record| record.rtype == rtype::SOA) {
            return Ok(Some(soa.clone()));
        }
        let mut soa = None;
        self.records(|record| {
            if soa.is_none() && record.rtype == rtype::SOA {
                soa = Some(record.to_owned_record());
            }
            Ok(())
        })?;
        Ok(soa)
    }
}

impl Whole {
    /// Writes a record.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn record(&mut self, record: &ZoneRecord<'_>) -> io::Result<()> {
        self.serial = Timers::of(record.rtype, record.data).map(|timers| timers.serial).or(self.serial);
        let mut octets = Vec::with_capacity(64);
        put(&mut octets, record);
        self.write(&octets)
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.sum.0.update(octets);
        self.file.write_all(octets)
    }

    /// Ends it: from now on this is the zone, and earlier changes are none.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn end(mut self) -> io::Result<()> {
        let [a, b, c, d] = self.serial.unwrap_or(0).to_be_bytes();
        self.write(&[END, u8::from(self.serial.is_some()), a, b, c, d])?;
        let sum: Digest = self.sum.0.clone().finish();
        self.file.write_all(sum.as_ref())?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.part, &self.kept.zone)?;
        if let Some(folder) = self.kept.zone.parent() {
            File::open(folder)?.sync_all()?;
        }
        match fs::remove_file(&self.kept.changes) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn put(out: &mut Vec<u8>, record: &ZoneRecord<'_>) {
    out.extend_from_slice(record.owner.wire());
    out.extend_from_slice(&record.rtype.to_be_bytes());
    out.extend_from_slice(&record.ttl.to_be_bytes());
    out.extend_from_slice(&(record.data.len() as u16).to_be_bytes());
    out.extend_from_slice(record.data);
}

/// Reads the next record; whether there is one.
fn get(reader: &mut impl Read, record: &mut OwnedRecord) -> io::Result<bool> {
    let mut wire = [0; OCTETS_MAX];
    let mut at = 0;
    loop {
        let mut len = [0];
        reader.read_exact(&mut len)?;
        if at == 0 && len[0] == END {
            return Ok(false);
        }
        let end = at + 1 + usize::from(len[0]);
        let place = wire.get_mut(at..end).ok_or(io::ErrorKind::InvalidData)?;
        place[0] = len[0];
        reader.read_exact(&mut place[1..])?;
        at = end;
        if len[0] == 0 {
            break;
        }
    }
    (record.owner, _) = Name::from_wire(&wire[..at]).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut fixed = [0; 8];
    reader.read_exact(&mut fixed)?;
    let [t1, t2, l1, l2, l3, l4, d1, d2] = fixed;
    record.data.clear();
    record.data.resize(usize::from(u16::from_be_bytes([d1, d2])), 0);
    reader.read_exact(&mut record.data)?;
    record.rtype = u16::from_be_bytes([t1, t2]);
    record.ttl = u32::from_be_bytes([l1, l2, l3, l4]);
    Ok(true)
}

/// Reads a whole zone's file through to its checksum; its version.
fn check(mut file: &File) -> io::Result<Option<u32>> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the zone's file is damaged");
    let len = file.metadata()?.len();
    if len < MAGIC.len() as u64 + TRAILER_OCTETS {
        return Err(damaged());
    }
    let body = len - SUM_OCTETS as u64;
    let mut sum = Context::new(&SHA256);
    let mut reader = (&mut file).take(body);
    let mut chunk = vec![0; 1 << 20];
    let mut is_first = true;
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        if std::mem::take(&mut is_first) && !chunk[..read].starts_with(MAGIC) {
            return Err(damaged());
        }
        sum.update(&chunk[..read]);
    }
    let mut wanted = [0; SUM_OCTETS];
    file.read_exact(&mut wanted)?;
    if sum.finish().as_ref() != wanted {
        return Err(damaged());
    }
    let mut version = [0; 5];
    file.seek(io::SeekFrom::End(-(version.len() as i64 + SUM_OCTETS as i64)))?;
    file.read_exact(&mut version)?;
    let [has, serial @ ..] = version;
    Ok((has == 1).then_some(u32::from_be_bytes(serial)))
}

/// Records are compared by a hash with a key of the moment: nobody can make two that look the same.
fn hasher() -> SipHasher13 {
    SipHasher13::new_with_keys(fastrand::u64(..), fastrand::u64(..))
}

fn hash(hasher: &SipHasher13, record: &ZoneRecord<'_>) -> u64 {
    let mut hasher = *hasher;
    hasher.write(record.owner.wire());
    hasher.write_u16(record.rtype);
    hasher.write_u32(record.ttl);
    hasher.write(record.data);
    hasher.finish()
}

/// A SOA of a version after `serial`.
fn newer(soa: OwnedRecord, serial: u32) -> OwnedRecord {
    let is = Timers::of(soa.rtype, &soa.data).map(|timers| timers.serial);
    if is.is_some_and(|is| is_newer(is, serial)) { soa } else { soa.with_serial(serial.wrapping_add(1)) }
}

/// Of a zone without one: nothing is known but its version.
fn synthetic_soa(change: &Change, serial: u32) -> OwnedRecord {
    let mut data = vec![0, 0];
    data.extend([serial, 3600, 600, 604_800, 300].iter().flat_map(|number| number.to_be_bytes()));
    let owner = change.come.first().map_or(Name::ROOT, |record| record.owner);
    OwnedRecord { owner, rtype: rtype::SOA, ttl: 300, data }
}

/// The next change that is whole, and how many octets it takes.
fn next_change(reader: &mut impl Read) -> Option<(Change, u64)> {
    let (mut len, mut sum) = ([0; 4], [0; 32]);
    reader.read_exact(&mut len).ok()?;
    reader.read_exact(&mut sum).ok()?;
    let len = u32::from_be_bytes(len);
    if len > CHANGE_OCTETS_MAX {
        return None;
    }
    let mut body = Vec::new();
    reader.take(u64::from(len)).read_to_end(&mut body).ok()?;
    if body.len() != len as usize || digest(&SHA256, &body).as_ref() != sum {
        return None;
    }
    let mut body_reader = body.as_slice();
    let mut number = || -> Option<u32> {
        let mut octets = [0; 4];
        body_reader.read_exact(&mut octets).ok()?;
        Some(u32::from_be_bytes(octets))
    };
    let mut change = Change { from: number()?, to: number()?, ..Change::default() };
    for records in [&mut change.gone, &mut change.come] {
        let mut count = [0; 4];
        body_reader.read_exact(&mut count).ok()?;
        for _ in 0..u32::from_be_bytes(count) {
            let mut record = OwnedRecord::default();
            if !get(&mut body_reader, &mut record).ok()? {
                return None;
            }
            records.push(record);
        }
    }
    Some((change, 36 + u64::from(len)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rule::rtype;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes(), &Name::ROOT).unwrap()
    }

    fn soa(serial: u32) -> OwnedRecord {
        let mut data = vec![0, 0];
        data.extend([serial, 1, 1, 1, 1].iter().flat_map(|number| number.to_be_bytes()));
        OwnedRecord { owner: name("rpz."), rtype: rtype::SOA, ttl: 1, data }
    }

    fn rule(owner: &str) -> OwnedRecord {
        OwnedRecord { owner: name(owner), rtype: rtype::CNAME, ttl: 5, data: vec![0] }
    }

    /// Owners, and the versions of changes.
    type Told = (Vec<String>, Vec<(u32, u32)>);

    fn read(kept: &Kept) -> io::Result<Told> {
        let mut owners = Vec::new();
        let changes = kept.read(|record| owners.push(record.owner.to_string()))?.unwrap_or_default();
        Ok((owners, changes.iter().map(|change| (change.from, change.to)).collect()))
    }

    #[test]
    fn new_records_become_a_change_of_the_old_ones() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), &name("rpz."));
        let with = |serial: u32, owners: &[String]| {
            let records: Vec<OwnedRecord> =
                [soa(serial)].into_iter().chain(owners.iter().map(|owner| rule(owner))).collect();
            kept.renew(|take| {
                records.iter().for_each(|record| take(record.lend()));
                Ok(())
            })
            .unwrap()
        };
        let mut owners: Vec<String> = (0..40).map(|at| format!("n{at}.rpz.")).collect();
        assert_eq!(with(7, &owners), Renewed::Whole);
        assert_eq!(with(7, &owners), Renewed::Same);
        owners[3] = "other.rpz.".into();
        // The version is the old one, so the next is made.
        let Renewed::Change(change) = with(7, &owners) else { panic!("one record is another") };
        assert_eq!((change.from, change.to), (7, 8));
        assert_eq!((change.gone, change.come), (vec![rule("n3.rpz.")], vec![soa(8), rule("other.rpz.")]));
        owners.push("more.rpz.".into());
        assert!(matches!(with(20, &owners), Renewed::Change(Change { from: 8, to: 20, .. })));
        assert_eq!(kept.since(8).unwrap().unwrap().len(), 1);
        assert_eq!(kept.since(7).unwrap().unwrap().len(), 2);
        assert_eq!(kept.since(20).unwrap(), None);
        let mut now = Vec::new();
        let serial = kept.current(|record| {
            now.push(record.owner.to_string());
            Ok(())
        });
        assert_eq!(serial.unwrap(), Some(20));
        assert_eq!(now.remove(0), "rpz.");
        now.sort_unstable();
        owners.sort_unstable();
        assert_eq!(now, owners);
        assert_eq!(with(21, &owners[..10]), Renewed::Whole, "too many are gone");
        assert_eq!(kept.since(20).unwrap(), None);
    }

    #[test]
    fn wherever_it_is_cut_off_what_is_read_is_a_version() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), &name("rpz."));
        assert!(kept.read(|_| {}).unwrap().is_none());
        let mut whole = kept.whole().unwrap();
        for record in [soa(7), rule("a.rpz.")] {
            whole.record(&record.lend()).unwrap();
        }
        assert!(kept.read(|_| {}).unwrap().is_none(), "not before it is whole");
        whole.end().unwrap();
        let change =
            |from, to| Change { from, to, gone: vec![rule("a.rpz.")], come: vec![soa(to), rule("b.rpz.")] };
        kept.append(&change(7, 8)).unwrap();
        let one = fs::metadata(&kept.changes).unwrap().len();
        kept.append(&change(8, 9)).unwrap();
        let all = fs::read(&kept.changes).unwrap();
        let owners = vec!["rpz.".to_owned(), "a.rpz.".to_owned()];
        for cut in (0..all.len() as u64).step_by(7) {
            fs::write(&kept.changes, &all[..cut as usize]).unwrap();
            let wanted = if cut < one { vec![] } else { vec![(7, 8)] };
            assert_eq!(read(&kept).unwrap(), (owners.clone(), wanted), "{cut}");
            assert_eq!(fs::metadata(&kept.changes).unwrap().len(), cut, "who reads changes nothing");
            kept.mend().unwrap();
            kept.append(&change(if cut < one { 7 } else { 8 }, 20)).unwrap();
            assert_eq!(read(&kept).unwrap().1.last().unwrap().1, 20, "{cut}");
        }
        // A change that belongs to an older whole zone is left out.
        let mut whole = kept.whole().unwrap();
        whole.record(&soa(30).lend()).unwrap();
        whole.end().unwrap();
        fs::write(&kept.changes, &all).unwrap();
        assert_eq!(read(&kept).unwrap(), (vec!["rpz.".to_owned()], vec![]));
        assert_eq!(kept.since(30).unwrap(), None);
        // A whole zone that is damaged is none.
        let zone = fs::read(&kept.zone).unwrap();
        for at in 0..zone.len() {
            let mut damaged = zone.clone();
            damaged[at] ^= 1;
            fs::write(&kept.zone, damaged).unwrap();
            assert!(kept.read(|_| {}).is_err(), "{at}");
        }
    }
}
