//! A transferred zone on disk, so that a resolver that starts has its rules before it has reached anybody.
//!
//! ```text
//!   NAME.zone     the whole zone, as it was last transferred; a checksum ends it
//!   NAME.changes  what changed since, each with its length and checksum
//! ```
//!
//! A whole zone is written beside the old one and then takes its name. Changes are appended, each with the version that it changes; one that does not
//! follow, or was cut off when the machine failed, is left out together with all behind it. So whatever is read is a version that the
//! primary had.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use ring::digest::{Context, Digest, SHA256, digest};

use super::transfer::{Change, OwnedRecord, Timers};
use crate::name::{Name, OCTETS_MAX};
use crate::policy::rule::ZoneRecord;

/// How a whole zone's file begins.
const MAGIC: &[u8; 8] = b"norozon1";
/// Ends the records of a whole zone: no name begins like that.
const END: u8 = 0xff;
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
    sum: Context2,
}

struct Context2(Context);

impl std::fmt::Debug for Context2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SHA-256")
    }
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
            sum: Context2(Context::new(&SHA256)),
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
        file.write_all(&entry)?;
        file.sync_data()
    }

    /// Reads the whole zone, then gives every record to `take`, and the changes since. `None` where there is no whole zone.
    ///
    /// # Errors
    ///
    /// Whatever the disk says; a file that is damaged is an error, too.
    pub fn read(&self, mut take: impl FnMut(ZoneRecord<'_>)) -> io::Result<Option<Vec<Change>>> {
        let file = match File::open(&self.zone) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        check(&file)?;
        let mut reader = BufReader::with_capacity(1 << 20, File::open(&self.zone)?);
        let mut magic = [0; MAGIC.len()];
        reader.read_exact(&mut magic)?;
        let (mut serial, mut data) = (None, Vec::new());
        while let Some(record) = get(&mut reader, &mut data)? {
            serial = Timers::of(record.rtype, record.data).map(|timers| timers.serial).or(serial);
            take(record);
        }
        self.changes_since(serial).map(Some)
    }

    fn changes_since(&self, serial: Option<u32>) -> io::Result<Vec<Change>> {
        let file = match File::open(&self.changes) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::new(file);
        let (mut changes, mut at, mut good) = (Vec::new(), serial, 0u64);
        while let Some((change, octets)) = next_change(&mut reader) {
            good += octets;
            // Those of an older whole zone are of no use any more.
            if at == Some(change.from) {
                at = Some(change.to);
                changes.push(change);
            }
        }
        // A change that was cut off must not stand before the next one.
        let file = OpenOptions::new().write(true).open(&self.changes)?;
        if file.metadata()?.len() > good {
            file.set_len(good)?;
            file.sync_data()?;
        }
        Ok(changes)
    }

    /// Octets of changes since the whole zone.
    pub fn changes_octets(&self) -> u64 {
        fs::metadata(&self.changes).map_or(0, |file| file.len())
    }
}

impl Whole {
    /// Writes a record.
    ///
    /// # Errors
    ///
    /// Whatever the disk says.
    pub fn record(&mut self, record: &ZoneRecord<'_>) -> io::Result<()> {
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
        self.write(&[END])?;
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

fn get<'d>(reader: &mut impl Read, data: &'d mut Vec<u8>) -> io::Result<Option<ZoneRecord<'d>>> {
    let mut wire = [0; OCTETS_MAX];
    let mut at = 0;
    loop {
        let mut len = [0];
        reader.read_exact(&mut len)?;
        if at == 0 && len[0] == END {
            return Ok(None);
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
    let (owner, _) = Name::from_wire(&wire[..at]).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut fixed = [0; 8];
    reader.read_exact(&mut fixed)?;
    let [t1, t2, l1, l2, l3, l4, d1, d2] = fixed;
    data.clear();
    data.resize(usize::from(u16::from_be_bytes([d1, d2])), 0);
    reader.read_exact(data)?;
    Ok(Some(ZoneRecord {
        owner,
        rtype: u16::from_be_bytes([t1, t2]),
        ttl: u32::from_be_bytes([l1, l2, l3, l4]),
        data,
    }))
}

/// Reads a whole zone's file through to its checksum.
fn check(mut file: &File) -> io::Result<()> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the zone's file is damaged");
    let len = file.metadata()?.len();
    let body = len.checked_sub(32).filter(|body| *body > MAGIC.len() as u64).ok_or_else(damaged)?;
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
    let mut wanted = [0; 32];
    file.read_exact(&mut wanted)?;
    if sum.finish().as_ref() == wanted { Ok(()) } else { Err(damaged()) }
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
            let mut data = Vec::new();
            let record = get(&mut body_reader, &mut data).ok()??;
            let (owner, rtype, ttl) = (record.owner, record.rtype, record.ttl);
            records.push(OwnedRecord { owner, rtype, ttl, data });
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

    fn read(kept: &Kept) -> io::Result<(Vec<String>, Vec<(u32, u32)>)> {
        let mut owners = Vec::new();
        let changes = kept.read(|record| owners.push(record.owner.to_string()))?.unwrap_or_default();
        Ok((owners, changes.iter().map(|change| (change.from, change.to)).collect()))
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
        let change = |from, to| Change { from, to, gone: vec![rule("a.rpz.")], come: vec![soa(to), rule("b.rpz.")] };
        kept.append(&change(7, 8)).unwrap();
        let one = kept.changes_octets();
        kept.append(&change(8, 9)).unwrap();
        let all = fs::read(&kept.changes).unwrap();
        let owners = vec!["rpz.".to_owned(), "a.rpz.".to_owned()];
        for cut in (0..all.len() as u64).step_by(7) {
            fs::write(&kept.changes, &all[..cut as usize]).unwrap();
            let wanted = if cut < one { vec![] } else { vec![(7, 8)] };
            assert_eq!(read(&kept).unwrap(), (owners.clone(), wanted), "{cut}");
            kept.append(&change(if cut < one { 7 } else { 8 }, 20)).unwrap();
            assert_eq!(read(&kept).unwrap().1.last().unwrap().1, 20, "{cut}");
        }
        // A change that belongs to an older whole zone is left out.
        let mut whole = kept.whole().unwrap();
        whole.record(&soa(30).lend()).unwrap();
        whole.end().unwrap();
        fs::write(&kept.changes, &all).unwrap();
        assert_eq!(read(&kept).unwrap(), (vec!["rpz.".to_owned()], vec![]));
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
