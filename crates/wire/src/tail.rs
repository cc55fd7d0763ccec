//! A file that grows while it is read: whole records only, and each of them once.
//!
//! Logs are renamed and begun anew, lease files are cleaned up beside and moved over. Whoever has the old file open still
//! gets its last records, so a [`Tail`] stays with the file it opened, whatever that is called by now, and another is opened
//! for the new one. What makes a file this one and no other is its place on the disk ([`FileId`]), never its name.
//!
//! What cannot be seen is a file that is emptied in place and has grown beyond where we were before anybody looked; a
//! shorter one is read from its beginning.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes handed over at once. A record that is longer is torn, so that its reader refuses both halves.
pub const PIECE_BYTES_MAX: usize = 4 << 20;
/// Longest first line that is taken for the names of columns.
const HEADER_BYTES_MAX: u64 = 64 << 10;
/// Where the end of the file was seen no longer ago than this, what comes next has just been written.
const LIVE: Duration = Duration::from_secs(2);

/// Where records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// With each line.
    Line,
    /// With an empty line.
    BlankLine,
    /// With a line that is a closing brace.
    Brace,
}

impl RecordEnd {
    /// Bytes up to the last whole record's end.
    fn whole(self, bytes: &[u8]) -> usize {
        let after =
            |mark: &[u8]| bytes.windows(mark.len()).rposition(|w| w == mark).map(|at| at + mark.len());
        match self {
            Self::Line => bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1),
            Self::BlankLine => after(b"\n\n").max(after(b"\n\r\n")).unwrap_or(0),
            Self::Brace => after(b"\n}\n").max(after(b"\n}\r\n")).unwrap_or(0),
        }
    }
}

/// Which file it is: device, number, and when that number was given to it, where the file system knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    device: u64,
    inode: u64,
    born_ns: u128,
}

impl FileId {
    /// Of a file that is there.
    pub fn of(about: &Metadata) -> Self {
        let born = about.created().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        Self { device: about.dev(), inode: about.ino(), born_ns: born.map_or(0, |t| t.as_nanos()) }
    }

    /// As bytes, to make an id of.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.device.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.inode.to_be_bytes());
        bytes[16..].copy_from_slice(&self.born_ns.to_be_bytes());
        bytes
    }
}

/// Some whole records.
#[derive(Debug)]
pub struct Piece {
    /// The records, after the file's first line where that names the columns.
    pub bytes: Vec<u8>,
    /// Where in the file the next piece begins.
    pub position: u64,
    /// Whether they were written since the file's end was last seen, a moment ago.
    pub live: bool,
    /// Lines of the file before the records, less those that `bytes` begins with.
    before: u64,
}

impl Piece {
    /// The line of the file that is this line of `bytes`, both from 1.
    pub fn line(&self, line: u64) -> u64 {
        self.before + line
    }
}

/// A file that is followed.
#[derive(Debug)]
pub struct Tail {
    file: File,
    id: FileId,
    ends: RecordEnd,
    has_header: bool,
    position: u64,
    /// Lines before the position.
    lines: u64,
    end_seen: Option<Instant>,
}

impl Tail {
    /// Opens a file at its beginning. `has_header` says that its first line names the columns.
    pub fn open(path: &Path, ends: RecordEnd, has_header: bool) -> io::Result<Self> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Self { id: FileId::of(&about), file, ends, has_header, position: 0, lines: 0, end_seen: None })
    }

    /// Which file it is.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Where the next piece begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether no name leads to it any more.
    pub fn is_removed(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.nlink() == 0)
    }

    /// Says that the file was begun a moment ago, so that all there is in it has just been written.
    pub fn just_begun(&mut self) {
        self.end_seen = Some(Instant::now());
    }

    /// Goes on where an earlier reading ended. Where no record can have ended there, it begins at the beginning.
    pub fn resume(&mut self, position: u64) -> io::Result<()> {
        let mut last = [0];
        let ends_a_line =
            position > 0 && self.file.read_exact_at(&mut last, position - 1).is_ok() && last == *b"\n";
        (self.position, self.lines) = (0, 0);
        if ends_a_line {
            self.file.seek(SeekFrom::Start(0))?;
            let mut before = BufReader::with_capacity(1 << 20, (&self.file).take(position));
            self.lines = count_lines(&mut before)?;
            self.position = position;
        }
        Ok(())
    }

    /// The records that have come since the last piece, at most [`PIECE_BYTES_MAX`] of them; none if there are none yet.
    pub fn piece(&mut self) -> io::Result<Option<Piece>> {
        self.read(|ends, bytes, full| match ends.whole(bytes) {
            // Longer than we take: its reader says so.
            0 if full => bytes.len(),
            whole => whole,
        })
    }

    /// What is left of a file that nobody writes to any more, also if its last record does not end.
    pub fn rest(&mut self) -> io::Result<Option<Piece>> {
        self.read(|ends, bytes, full| if full { ends.whole(bytes) } else { bytes.len() })
    }

    fn read(&mut self, whole: impl Fn(RecordEnd, &[u8], bool) -> usize) -> io::Result<Option<Piece>> {
        let length = self.file.metadata()?.len();
        if length < self.position {
            (self.position, self.lines, self.end_seen) = (0, 0, None);
        }
        let live = self.end_seen.is_some_and(|at| at.elapsed() <= LIVE);
        if length == self.position {
            self.end_seen = Some(Instant::now());
            return Ok(None);
        }
        let room = (length - self.position).min(PIECE_BYTES_MAX as u64) as usize;
        let mut bytes = vec![0; room];
        let read = read_at(&self.file, &mut bytes, self.position)?;
        bytes.truncate(read);
        let at_end = self.position + read as u64 >= length;
        bytes.truncate(whole(self.ends, &bytes, read == PIECE_BYTES_MAX));
        if at_end {
            self.end_seen = Some(Instant::now());
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let before = self.lines;
        self.lines += bytes.iter().filter(|b| **b == b'\n').count() as u64;
        let header = if self.has_header && self.position > 0 { self.header()? } else { Vec::new() };
        self.position += bytes.len() as u64;
        let header_lines = u64::from(!header.is_empty());
        let bytes = if header.is_empty() { bytes } else { [header, bytes].concat() };
        Ok(Some(Piece { bytes, position: self.position, live, before: before.saturating_sub(header_lines) }))
    }

    /// The file's first line; none where it does not end.
    fn header(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; HEADER_BYTES_MAX.min(self.position) as usize];
        let read = read_at(&self.file, &mut bytes, 0)?;
        let end = bytes[..read].iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
        bytes.truncate(end);
        Ok(bytes)
    }
}

fn read_at(file: &File, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], from + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(read)
}

fn count_lines(reader: &mut impl io::BufRead) -> io::Result<u64> {
    let mut lines = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(lines);
        }
        lines += buffer.iter().filter(|b| **b == b'\n').count() as u64;
        let used = buffer.len();
        reader.consume(used);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    struct Log {
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    fn log(text: &str) -> Log {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, text).unwrap();
        Log { _folder: folder, path }
    }

    fn append(path: &Path, text: &str) {
        File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn next(tail: &mut Tail) -> Option<(String, u64)> {
        tail.piece().unwrap().map(|p| (String::from_utf8(p.bytes.clone()).unwrap(), p.line(1)))
    }

    #[test]
    fn only_whole_records_come_and_each_once() {
        let log = log("a\nb");
        let mut tail = Tail::open(&log.path, RecordEnd::Line, false).unwrap();
        assert_eq!(next(&mut tail), Some(("a\n".into(), 1)));
        assert_eq!(next(&mut tail), None);
        append(&log.path, "c\nd\ne");
        assert_eq!(next(&mut tail), Some(("bc\nd\n".into(), 2)));
        assert_eq!(next(&mut tail), None);
        let rest = tail.rest().unwrap().unwrap();
        assert_eq!((rest.bytes.as_slice(), rest.line(1), rest.live), (b"e".as_slice(), 4, true));
    }

    #[test]
    fn each_piece_has_the_names_of_the_columns_and_the_lines_of_the_file() {
        let log = log("ip,name\n1,a\n");
        let mut tail = Tail::open(&log.path, RecordEnd::Line, true).unwrap();
        assert_eq!(next(&mut tail), Some(("ip,name\n1,a\n".into(), 1)));
        append(&log.path, "2,b\n");
        let piece = tail.piece().unwrap().unwrap();
        assert_eq!(piece.bytes, b"ip,name\n2,b\n");
        assert_eq!(piece.line(2), 3);
        let mut again = Tail::open(&log.path, RecordEnd::Line, true).unwrap();
        again.resume(12).unwrap();
        let piece = again.piece().unwrap().unwrap();
        assert_eq!((piece.bytes.as_slice(), piece.line(2)), (b"ip,name\n2,b\n".as_slice(), 3));
        assert!(!piece.live, "what stood there at the start may be old");
    }

    #[test]
    fn records_of_many_lines_are_not_torn() {
        let detail = log("Sun\n\tA = 1\n\nMon\n\tA = 2\n");
        let mut tail = Tail::open(&detail.path, RecordEnd::BlankLine, false).unwrap();
        assert_eq!(next(&mut tail), Some(("Sun\n\tA = 1\n\n".into(), 1)));
        append(&detail.path, "\n");
        assert_eq!(next(&mut tail), Some(("Mon\n\tA = 2\n\n".into(), 4)));
        let leases = log("lease 192.0.2.1 {\n  ends never;\n}\nlease 192.0.2.2 {\n");
        let mut tail = Tail::open(&leases.path, RecordEnd::Brace, false).unwrap();
        assert_eq!(next(&mut tail), Some(("lease 192.0.2.1 {\n  ends never;\n}\n".into(), 1)));
    }

    #[test]
    fn a_renamed_file_is_read_to_its_end_and_a_shorter_one_from_its_beginning() {
        let log = log("a\n");
        let mut tail = Tail::open(&log.path, RecordEnd::Line, false).unwrap();
        assert_eq!(next(&mut tail), Some(("a\n".into(), 1)));
        let old = log.path.with_extension("1");
        std::fs::rename(&log.path, &old).unwrap();
        append(&old, "b\n");
        std::fs::write(&log.path, "new\n").unwrap();
        assert_eq!(next(&mut tail), Some(("b\n".into(), 2)));
        assert_ne!(tail.id(), FileId::of(&std::fs::metadata(&log.path).unwrap()));
        std::fs::write(&old, "c\n").unwrap();
        assert_eq!(next(&mut tail), Some(("c\n".into(), 1)));
        assert!(!tail.is_removed().unwrap());
        std::fs::remove_file(&old).unwrap();
        assert!(tail.is_removed().unwrap());
    }

    #[test]
    fn where_no_record_can_have_ended_it_begins_at_the_beginning() {
        let log = log("abc\ndef\n");
        let mut tail = Tail::open(&log.path, RecordEnd::Line, false).unwrap();
        for (from, at) in [(4, 4), (5, 0), (8, 8), (9, 0), (u64::MAX, 0), (0, 0)] {
            tail.resume(from).unwrap();
            assert_eq!(tail.position(), at, "{from}");
        }
    }

    #[test]
    fn a_record_beyond_the_bound_is_torn_and_what_follows_is_read() {
        let long = "x".repeat(PIECE_BYTES_MAX + 10);
        let log = log(&format!("{long}\nshort\n"));
        let mut tail = Tail::open(&log.path, RecordEnd::Line, false).unwrap();
        assert_eq!(next(&mut tail).unwrap().0.len(), PIECE_BYTES_MAX);
        assert_eq!(next(&mut tail), Some(("xxxxxxxxxx\nshort\n".into(), 1)));
    }

    proptest! {
        #[test]
        fn however_it_is_written_all_of_it_comes_in_order(
            text in "([a-c]{0,3}\n){0,20}",
            cuts in prop::collection::vec(1usize..9, 0..20),
            resumed in any::<bool>(),
        ) {
            let log = log("");
            let mut tail = Tail::open(&log.path, RecordEnd::Line, false).unwrap();
            let (mut rest, mut got) = (text.as_str(), Vec::new());
            for cut in cuts.into_iter().chain([text.len()]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                append(&log.path, now);
                rest = later;
                if resumed {
                    let at = tail.position();
                    tail = Tail::open(&log.path, RecordEnd::Line, false).unwrap();
                    tail.resume(at).unwrap();
                }
                if let Some(piece) = tail.piece().unwrap() {
                    let lines = got.iter().filter(|b| **b == b'\n').count() as u64;
                    prop_assert_eq!(piece.line(1), lines + 1);
                    got.extend(piece.bytes);
                }
            }
            prop_assert_eq!(String::from_utf8(got).unwrap(), text);
        }
    }
}
