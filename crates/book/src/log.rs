//! The write-ahead log: what was taken in since the last checkpoint, in sealed frames, each durable before anybody is told
//! that it was taken.
//!
//! ```text
//!   salt │ length, frame 0 │ length, frame 1 │ …      frame: new lines, new servers, entries
//! ```
//!
//! Any process may read it; whoever holds the book's lock may append. A frame that a crash cut off is no frame, and the next
//! to append writes over it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use noroshi_law::shelf::{FileKey, SALT_BYTES, ShelfKey};

use crate::entry::{Entry, take};
use crate::sealed_file::{private, sync_folder};

/// Most bytes of a frame.
pub const FRAME_BYTES_MAX: usize = 64 << 20;
const KIND: &str = "log";

/// What is appended at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Names of lines that had no number.
    pub lines: Vec<Vec<u8>>,
    /// Names of servers that had no number.
    pub servers: Vec<Vec<u8>>,
    /// The records.
    pub entries: Vec<Entry>,
}

impl Frame {
    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.entries.len() * 80);
        for names in [&self.lines, &self.servers] {
            bytes.extend((names.len() as u32).to_le_bytes());
            for name in names {
                bytes.push(name.len().min(255) as u8);
                bytes.extend(&name[..name.len().min(255)]);
            }
        }
        bytes.extend((self.entries.len() as u32).to_le_bytes());
        self.entries.iter().for_each(|entry| entry.write(&mut bytes));
        bytes
    }

    fn read(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let mut names = || {
            let count = u32::from_le_bytes(take(from)?);
            (0..count)
                .map(|_| {
                    let [length] = take(from)?;
                    let (name, rest) = from.split_at_checked(length.into())?;
                    *from = rest;
                    Some(name.to_vec())
                })
                .collect::<Option<Vec<_>>>()
        };
        let (lines, servers) = (names()?, names()?);
        let count = u32::from_le_bytes(take(from)?);
        let entries = (0..count).map(|_| Entry::read(from)).collect::<Option<Vec<_>>>()?;
        Some(Self { lines, servers, entries })
    }
}

/// The log of one generation.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    key: FileKey,
    /// Where the next frame is read or written, and its number.
    at: u64,
    number: u64,
}

impl Log {
    /// Makes an empty log.
    pub fn create(path: &Path, shelf: &ShelfKey) -> io::Result<()> {
        let (_, salt) = shelf.new_file(KIND).map_err(io::Error::other)?;
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)?;
        file.write_all(&salt)?;
        file.sync_all()?;
        sync_folder(path)
    }

    /// Opens one, at its beginning.
    pub fn open(path: &Path, shelf: &ShelfKey, writable: bool) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(writable).open(path)?;
        let mut salt = [0; SALT_BYTES];
        file.read_exact(&mut salt)?;
        let key = shelf.file(KIND, &salt);
        Ok(Self { file, path: path.to_owned(), key, at: SALT_BYTES as u64, number: 0 })
    }

    /// Bytes read or written so far.
    pub fn length(&self) -> u64 {
        self.at
    }

    /// The next frame, if it is there whole. What is cut off at the end of the file is not; a whole frame that does not open
    /// is an error.
    pub fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        let mut length = [0; 4];
        if !self.read_at(&mut length, self.at)? {
            return Ok(None);
        }
        let length = u32::from_le_bytes(length) as usize;
        let damaged = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: frame {} does not open", self.path.display(), self.number),
            )
        };
        if length > FRAME_BYTES_MAX + 64 {
            return Err(damaged());
        }
        let mut bytes = vec![0; length];
        if length == 0 || !self.read_at(&mut bytes, self.at + 4)? {
            return Ok(None);
        }
        let opened = self.key.open(self.number, false, &mut bytes);
        let frame = match opened {
            Ok(length) => Frame::read(&bytes[..length]).ok_or_else(damaged)?,
            // Zeros or old bytes where a crash left the end of the file.
            Err(_) if self.at + 4 + length as u64 >= self.file.metadata()?.len() => return Ok(None),
            Err(_) => return Err(damaged()),
        };
        self.at += 4 + length as u64;
        self.number += 1;
        Ok(Some(frame))
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<bool> {
        match self.file.read_exact_at(into, at) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Appends a frame after the last one read; durable when this returns. Only under the book's lock.
    pub fn append(&mut self, frame: &Frame) -> io::Result<()> {
        let mut bytes = frame.write();
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much for one frame"));
        }
        self.key.seal(self.number, false, &mut bytes).map_err(io::Error::other)?;
        let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
        framed.append(&mut bytes);
        if self.file.metadata()?.len() > self.at {
            // What a crash left. The number was never used for a whole frame.
            self.file.set_len(self.at)?;
        }
        if let Err(error) = self.file.write_all_at(&framed, self.at).and_then(|()| self.file.sync_data()) {
            // A disk that is full: nothing of it may count.
            let _ = self.file.set_len(self.at);
            return Err(error);
        }
        self.at += framed.len() as u64;
        self.number += 1;
        Ok(())
    }
}
