//! Receivers on this machine: standard output, a file that is written whole, a file that grows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use noroshi_wire::out::stix::{BUNDLE_END, bundle_begin};

use super::Receiver;
use super::select::{Format, Parcel};

/// Writes parcels, and what a bundle has around them.
struct Writing<W> {
    out: W,
    format: Format,
    fresh: bool,
}

impl<W: io::Write> Writing<W> {
    fn give(&mut self, parcel: &Parcel) -> io::Result<()> {
        if self.format == Format::Stix {
            let begin = if self.fresh { bundle_begin(&name(parcel)) } else { ",\n".to_owned() };
            self.out.write_all(begin.as_bytes())?;
        }
        self.fresh = false;
        self.out.write_all(&parcel.bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        if self.format == Format::Stix {
            if self.fresh {
                self.out.write_all(bundle_begin("nothing").as_bytes())?;
            }
            self.out.write_all(BUNDLE_END.as_bytes())?;
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }
}

/// What a bundle's id is made of: its first event and where it stands in the log.
pub fn name(parcel: &Parcel) -> String {
    let id = parcel.places.first().map(|(id, _)| u128::from_be_bytes(*id)).unwrap_or_default();
    format!("{id:032x} {} {}", parcel.first, parcel.last)
}

/// Standard output. What was written counts as received.
pub struct Stdout {
    writing: Writing<BufWriter<io::Stdout>>,
}

impl Stdout {
    pub fn new(format: Format) -> Self {
        Self { writing: Writing { out: BufWriter::new(io::stdout()), format, fresh: true } }
    }
}

/// A reader that has gone away (`| head`) ends the program quietly, as it does for other programs.
fn piped(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("standard output cannot be written"),
    }
}

impl Receiver for Stdout {
    fn give(&mut self, parcel: &Parcel) -> anyhow::Result<()> {
        let given = self.writing.give(parcel);
        piped(given.and_then(|()| self.writing.out.flush()))
    }

    fn is_fresh(&self) -> bool {
        self.writing.fresh
    }

    fn end(&mut self) -> anyhow::Result<()> {
        piped(self.writing.end())
    }
}

/// A file written beside its place and put there when it is whole: who reads it sees the old one or the new one.
pub struct Whole {
    writing: Writing<BufWriter<File>>,
    beside: PathBuf,
    path: PathBuf,
}

impl Whole {
    pub fn begin(path: &Path, format: Format) -> anyhow::Result<Self> {
        anyhow::ensure!(
            fs::metadata(path).map_or(true, |there| there.is_file()),
            "{} is no regular file; write to - and redirect it",
            path.display()
        );
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        let file =
            File::create(&beside).with_context(|| format!("{} cannot be written", beside.display()))?;
        let writing = Writing { out: BufWriter::new(file), format, fresh: true };
        Ok(Self { writing, beside, path: path.to_owned() })
    }
}

impl Receiver for Whole {
    fn give(&mut self, parcel: &Parcel) -> anyhow::Result<()> {
        self.writing.give(parcel).with_context(|| format!("{} cannot be written", self.beside.display()))
    }

    fn is_fresh(&self) -> bool {
        self.writing.fresh
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let finished = self.writing.end().and_then(|()| self.writing.out.get_ref().sync_all());
        let placed = finished.and_then(|()| fs::rename(&self.beside, &self.path));
        placed.with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

/// A file that grows; each parcel is on the disk before it counts as received.
pub struct Growing {
    file: File,
    path: PathBuf,
    length: u64,
}

impl Growing {
    /// Opens it at its end. `cut` is its length before a parcel of which nobody knows how much was written.
    pub fn open(path: &Path, cut: Option<u64>) -> anyhow::Result<Self> {
        let opened = || -> io::Result<(File, u64)> {
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            // Two exports into one file would write into each other's lines.
            file.try_lock()?;
            let length = file.metadata()?.len();
            // A shorter file is another one: the old one was rotated away.
            let length = cut.filter(|cut| *cut <= length).unwrap_or(length);
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            file.sync_all()?;
            Ok((file, length))
        };
        let (file, length) = opened().with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self { file, path: path.to_owned(), length })
    }
}

impl Receiver for Growing {
    fn give(&mut self, parcel: &Parcel) -> anyhow::Result<()> {
        let written = self.file.write_all(&parcel.bytes).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("{} cannot be written", self.path.display()))?;
        self.length += parcel.bytes.len() as u64;
        Ok(())
    }

    fn place(&self) -> u64 {
        self.length
    }

    fn is_fresh(&self) -> bool {
        self.length == 0
    }
}
