//! Compressed reports, unpacked as they are read: gzip, zstd, and zip with one or more members. The kind is told by the
//! first bytes, never by the name. What comes out is bounded against what went in, so that a small mail cannot become a
//! terabyte.
//!
//! Unpacking runs in a thread of its own and hands over pieces through a short channel: a slow reader slows it down, and
//! no more than a few pieces are ever in memory.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that may come out whatever went in.
pub const FREE_BYTES: u64 = 64 << 20;
/// Bytes that may come out for one that went in, beyond [`FREE_BYTES`]. Repetitive logs reach some 60.
pub const RATIO_MAX: u64 = 200;
/// Most members of a zip file.
pub const MEMBERS_MAX: usize = 1000;
/// Bytes handed over at once.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces on the way.
const PIECES_MAX: usize = 4;

/// A report's bytes.
pub type Input = Box<dyn BufRead + Send>;

/// One file of what was packed.
pub struct Member {
    /// Its name, where the archive gives one, without folders.
    pub name: Option<String>,
    /// Its content.
    pub input: Input,
}

enum Piece {
    Begin(Option<String>),
    Bytes(Vec<u8>),
    Failed(io::Error),
}

/// The files in a stream: one, unless it is a zip archive. Read each to its end before asking for the next.
pub struct Members {
    plain: Option<Input>,
    pieces: Option<Arc<Mutex<Incoming>>>,
}

struct Incoming {
    pieces: Receiver<Piece>,
    next: Option<Option<String>>,
}

/// Looks at the first bytes and unpacks what is packed.
pub fn unpack(mut input: Input) -> io::Result<Members> {
    let head = input.fill_buf()?;
    let work: fn(Input, &SyncSender<Piece>) -> io::Result<()> = match head {
        [0x1f, 0x8b, ..] => gunzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => unzstd,
        [b'P', b'K', 3, 4, ..] => unzip,
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', ..] | [b'7', b'z', 0xbc, ..] => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "packed with bzip2, xz or 7z: only gzip, zstd and zip are read",
            ));
        }
        _ => return Ok(Members { plain: Some(input), pieces: None }),
    };
    let (give, take) = sync_channel(PIECES_MAX);
    std::thread::Builder::new().name("unpack".into()).spawn(move || {
        if let Err(e) = work(input, &give) {
            // A reader that is gone does not need to know.
            drop(give.send(Piece::Failed(e)));
        }
    })?;
    let incoming = Incoming { pieces: take, next: None };
    Ok(Members { plain: None, pieces: Some(Arc::new(Mutex::new(incoming))) })
}

impl Iterator for Members {
    type Item = io::Result<Member>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(input) = self.plain.take() {
            return Some(Ok(Member { name: None, input }));
        }
        let shared = Arc::clone(self.pieces.as_ref()?);
        let begun = {
            let mut incoming = shared.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if let Some(name) = incoming.next.take() {
                    break Ok(name);
                }
                match incoming.pieces.recv() {
                    Ok(Piece::Begin(name)) => break Ok(name),
                    Ok(Piece::Bytes(_)) => {}
                    Ok(Piece::Failed(e)) => break Err(e),
                    Err(_) => return None,
                }
            }
        };
        Some(begun.map(|name| Member { name, input: Box::new(BufReader::new(Pieces::of(shared))) }))
    }
}

/// One member's bytes, piece by piece.
struct Pieces {
    shared: Arc<Mutex<Incoming>>,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Pieces {
    fn of(shared: Arc<Mutex<Incoming>>) -> Self {
        Self { shared, piece: io::Cursor::default(), ended: false }
    }
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(out)?;
            if read > 0 || self.ended || out.is_empty() {
                return Ok(read);
            }
            let mut incoming = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            match incoming.pieces.recv() {
                Ok(Piece::Bytes(bytes)) => self.piece = io::Cursor::new(bytes),
                Ok(Piece::Begin(name)) => {
                    incoming.next = Some(name);
                    self.ended = true;
                }
                Ok(Piece::Failed(e)) => {
                    self.ended = true;
                    return Err(e);
                }
                Err(_) => self.ended = true,
            }
        }
    }
}

/// Counts what goes in, so that what comes out can be held against it.
struct Counting<R> {
    inner: R,
    count: Arc<std::sync::atomic::AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.count.fetch_add(read as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(read)
    }
}

fn counting(input: Input) -> (Counting<Input>, Arc<std::sync::atomic::AtomicU64>) {
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    (Counting { inner: input, count: Arc::clone(&count) }, count)
}

fn gunzip(input: Input, give: &SyncSender<Piece>) -> io::Result<()> {
    let (input, count) = counting(input);
    pour(None, flate2::read::MultiGzDecoder::new(input), &count, give, &mut 0)
}

fn unzstd(input: Input, give: &SyncSender<Piece>) -> io::Result<()> {
    let (input, count) = counting(input);
    let mut decoder = zstd::stream::read::Decoder::new(input)?;
    // 128 MiB, the most that zstd's own tool accepts unasked.
    decoder.window_log_max(27)?;
    pour(None, decoder, &count, give, &mut 0)
}

fn unzip(input: Input, give: &SyncSender<Piece>) -> io::Result<()> {
    let (mut input, count) = counting(input);
    let mut out = 0;
    for _ in 0..MEMBERS_MAX {
        let Some(file) = zip::read::read_zipfile_from_stream(&mut input)? else { return Ok(()) };
        if file.is_dir() {
            continue;
        }
        let name = file.name()?.rsplit(['/', '\\']).next().map(str::to_owned);
        pour(name, file, &count, give, &mut out)?;
    }
    Err(too_much(format!("a zip file has at most {MEMBERS_MAX} members")))
}

/// Hands over one member; `out` counts over all of them.
fn pour(
    name: Option<String>,
    mut from: impl Read,
    count: &std::sync::atomic::AtomicU64,
    give: &SyncSender<Piece>,
    out: &mut u64,
) -> io::Result<()> {
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    give.send(Piece::Begin(name)).map_err(gone)?;
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        *out += read as u64;
        let packed = count.load(std::sync::atomic::Ordering::Relaxed);
        if *out > FREE_BYTES.saturating_add(packed.saturating_mul(RATIO_MAX)) {
            return Err(too_much(format!("more than {RATIO_MAX} bytes come out for each that went in")));
        }
        piece.truncate(read);
        give.send(Piece::Bytes(piece)).map_err(gone)?;
    }
}

fn too_much(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(packed: Vec<u8>) -> Vec<(Option<String>, io::Result<usize>)> {
        unpack(Box::new(io::Cursor::new(packed)))
            .unwrap()
            .map(|member| {
                let mut member = member.unwrap();
                let mut text = Vec::new();
                let read = member.input.read_to_end(&mut text);
                (member.name, read)
            })
            .collect()
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_kind_comes_out_as_it_went_in() {
        let text = b"a,b\n1,2\n".repeat(70_000);
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        for packed in [text.clone(), gz(&text), zstd] {
            let members = read(packed);
            assert_eq!(members.len(), 1);
            assert_eq!(*members[0].1.as_ref().unwrap(), text.len());
        }
    }

    #[test]
    fn the_members_of_a_zip_keep_their_names_even_when_one_is_not_read() {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for name in ["in/2026-11-22-scan_dns-x.csv", "b.csv"] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&b"x\n".repeat(300_000)).unwrap();
        }
        let packed = zip.finish().unwrap().into_inner();
        let names: Vec<_> =
            read(packed.clone()).into_iter().map(|(name, read)| (name, read.unwrap())).collect();
        assert_eq!(
            names,
            [(Some("2026-11-22-scan_dns-x.csv".into()), 600_000), (Some("b.csv".into()), 600_000)]
        );
        let unread = unpack(Box::new(io::Cursor::new(packed))).unwrap().count();
        assert_eq!(unread, 2);
    }

    #[test]
    fn a_bomb_is_refused_and_a_torn_file_is_an_error() {
        let bomb = zstd::encode_all(&vec![0; (FREE_BYTES as usize) * 2][..], 1).unwrap();
        assert!(read(bomb)[0].1.as_ref().unwrap_err().to_string().contains("bytes come out"));
        let mut torn = gz(&b"abc".repeat(1000));
        torn.truncate(20);
        assert!(read(torn)[0].1.is_err());
        assert!(unpack(Box::new(&b"BZh9"[..])).is_err());
    }
}
