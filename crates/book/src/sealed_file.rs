//! Files that only the vault can read: written once, in sealed chunks, complete or not there at all.
//!
//! ```text
//!   salt │ length, chunk 0 │ length, chunk 1 │ … │ length, last chunk
//! ```
//!
//! A file is written beside its place, made durable, and renamed. A chunk that was changed, moved or left out, or an end
//! that is not the end, does not open.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use noroshi_law::shelf::{FileKey, SALT_BYTES, ShelfKey, TAG_BYTES};

/// Plain bytes of a chunk.
const CHUNK_BYTES: usize = 256 << 10;

fn corrupt(path: &Path) -> io::Error {
    let told = format!("{}: does not open: another key, or changed", path.display());
    io::Error::new(io::ErrorKind::InvalidData, told)
}

/// Writes a sealed file.
#[derive(Debug)]
pub struct SealedWriter {
    file: BufWriter<File>,
    key: FileKey,
    chunk: Vec<u8>,
    number: u64,
    beside: PathBuf,
    path: PathBuf,
}

impl SealedWriter {
    /// Begins the file of that kind at `path`.
    pub fn create(path: &Path, shelf: &ShelfKey, kind: &str) -> io::Result<Self> {
        let beside = path.with_extension("part");
        let mut file = BufWriter::new(
            private(OpenOptions::new().write(true).create(true).truncate(true)).open(&beside)?,
        );
        let (key, salt) = shelf.new_file(kind).map_err(io::Error::other)?;
        file.write_all(&salt)?;
        let chunk = Vec::with_capacity(CHUNK_BYTES + TAG_BYTES);
        Ok(Self { file, key, chunk, number: 0, beside, path: path.to_owned() })
    }

    /// Ends the file; when this returns, it is there to stay. Tells its length.
    pub fn finish(mut self) -> io::Result<u64> {
        self.put(true)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let length = file.metadata()?.len();
        std::fs::rename(&self.beside, &self.path)?;
        sync_folder(&self.path)?;
        Ok(length)
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        self.key.seal(self.number, last, &mut self.chunk).map_err(io::Error::other)?;
        self.file.write_all(&(self.chunk.len() as u32).to_le_bytes())?;
        self.file.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }
}

impl Write for SealedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK_BYTES {
            self.put(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a sealed file from its beginning.
#[derive(Debug)]
pub struct SealedReader {
    file: BufReader<File>,
    key: FileKey,
    chunk: Vec<u8>,
    at: usize,
    number: u64,
    ended: bool,
    path: PathBuf,
}

impl SealedReader {
    /// Opens the file of that kind.
    pub fn open(path: &Path, shelf: &ShelfKey, kind: &str) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(CHUNK_BYTES, File::open(path)?);
        let mut salt = [0; SALT_BYTES];
        file.read_exact(&mut salt).map_err(|_| corrupt(path))?;
        let key = shelf.file(kind, &salt);
        Ok(Self { file, key, chunk: Vec::new(), at: 0, number: 0, ended: false, path: path.to_owned() })
    }

    /// Reads on to the end and fails if that is not where the file was ended.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(())
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.file.read_exact(&mut length).map_err(|_| corrupt(&self.path))?;
        let length = u32::from_le_bytes(length) as usize;
        if length > CHUNK_BYTES + TAG_BYTES {
            return Err(corrupt(&self.path));
        }
        self.chunk.resize(length, 0);
        self.file.read_exact(&mut self.chunk).map_err(|_| corrupt(&self.path))?;
        let last = self.file.fill_buf_is_empty()?;
        let length = self.key.open(self.number, last, &mut self.chunk).map_err(|_| corrupt(&self.path))?;
        self.chunk.truncate(length);
        (self.at, self.number, self.ended) = (0, self.number + 1, last);
        Ok(())
    }
}

/// Whether nothing comes any more.
trait AtEnd {
    fn fill_buf_is_empty(&mut self) -> io::Result<bool>;
}

impl AtEnd for BufReader<File> {
    fn fill_buf_is_empty(&mut self) -> io::Result<bool> {
        io::BufRead::fill_buf(self).map(<[u8]>::is_empty)
    }
}

impl Read for SealedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            if self.ended {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let taken = into.len().min(self.chunk.len() - self.at);
        into[..taken].copy_from_slice(&self.chunk[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// For files that nobody else may read.
pub fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

/// Makes a rename in the path's folder durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Writes a small file whole: complete or not there at all.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("part");
    let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Overwrites a key and removes it, so that what it sealed can be read by nobody any more.
pub fn destroy(path: &Path) -> io::Result<()> {
    let length = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(&vec![0; length as usize])?;
    file.sync_all()?;
    std::fs::remove_file(path)?;
    sync_folder(path)
}

#[cfg(test)]
mod tests {
    use noroshi_law::Vault;

    use super::*;

    #[test]
    fn a_file_opens_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day");
        let (shelf, _) = Vault::new(&[1; 32]).new_shelf("day").unwrap();
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7] {
            let plain: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            let mut writer = SealedWriter::create(&path, &shelf, "segment").unwrap();
            writer.write_all(&plain).unwrap();
            writer.finish().unwrap();
            let mut read = Vec::new();
            SealedReader::open(&path, &shelf, "segment").unwrap().read_to_end(&mut read).unwrap();
            assert!(read == plain, "{length}");
        }
        let whole = std::fs::read(&path).unwrap();
        let readable = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            SealedReader::open(&path, &shelf, "segment").and_then(SealedReader::finish).is_ok()
        };
        assert!(readable(&whole));
        for at in [0, 40, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(!readable(&changed), "{at}");
        }
        let chunk = 4 + CHUNK_BYTES + TAG_BYTES;
        assert!(!readable(&whole[..whole.len() - 1]));
        assert!(!readable(&whole[..SALT_BYTES + chunk]));
        let swapped = [
            &whole[..32],
            &whole[32 + chunk..32 + 2 * chunk],
            &whole[32..32 + chunk],
            &whole[32 + 2 * chunk..],
        ];
        assert!(!readable(&swapped.concat()));
        assert!(!readable(&[]));
        assert!(readable(&whole));
    }
}
