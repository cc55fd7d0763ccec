//! Records of hits, to whoever collects dnstap at a Unix socket: Frame Streams (`fstrm`), with its greeting both ways.

use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use noroshi_resolver::serve::dnstap::CONTENT_TYPE;

/// Control frames.
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
/// The only field that a control frame has.
const FIELD_CONTENT_TYPE: u32 = 1;
/// Octets of a control frame at most.
const CONTROL_OCTETS_MAX: u32 = 512;
/// How long the other side may take to answer, or to take a record.
const TAKEN: Duration = Duration::from_secs(5);
/// How long no record must have come for what there is to be sent.
const COLLECT: Duration = Duration::from_millis(200);
/// After how long somebody is looked for again who is not there.
const AGAIN: Duration = Duration::from_secs(5);

/// Sends what comes out of `records`, for as long as there is somebody to take it; what comes meanwhile is lost once the queue is full, and counted there.
pub fn start(socket: PathBuf, records: Receiver<Vec<u8>>) -> io::Result<()> {
    std::thread::Builder::new().name("dnstap".into()).spawn(move || {
        loop {
            match greeted(&socket).and_then(|stream| send(stream, &records)) {
                Ok(()) => return,
                Err(error) => tracing::warn!(socket = %socket.display(), %error, "dnstap"),
            }
            std::thread::sleep(AGAIN);
        }
    })?;
    Ok(())
}

/// Connects and agrees on what is sent.
fn greeted(socket: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TAKEN))?;
    stream.set_write_timeout(Some(TAKEN))?;
    stream.write_all(&control(READY))?;
    let escape = number(&mut stream)?;
    let len = number(&mut stream)?;
    if escape != 0 || !(4..=CONTROL_OCTETS_MAX).contains(&len) {
        return Err(io::Error::other("no control frame"));
    }
    let kind = number(&mut stream)?;
    let mut fields = vec![0; len as usize - 4];
    stream.read_exact(&mut fields)?;
    if kind != ACCEPT || !fields.ends_with(CONTENT_TYPE) {
        return Err(io::Error::other("it does not take dnstap"));
    }
    stream.write_all(&control(START))?;
    Ok(stream)
}

/// Sends records until there are no more.
fn send(stream: UnixStream, records: &Receiver<Vec<u8>>) -> io::Result<()> {
    let mut stream = BufWriter::with_capacity(1 << 16, stream);
    loop {
        match records.recv_timeout(COLLECT) {
            Ok(record) => {
                let len = u32::try_from(record.len()).map_err(io::Error::other)?;
                stream.write_all(&len.to_be_bytes())?;
                stream.write_all(&record)?;
            }
            Err(RecvTimeoutError::Timeout) => stream.flush()?,
            Err(RecvTimeoutError::Disconnected) => {
                stream.write_all(&[&[0; 4][..], &4u32.to_be_bytes(), &STOP.to_be_bytes()].concat())?;
                return stream.flush();
            }
        }
    }
}

fn control(kind: u32) -> Vec<u8> {
    let len = CONTENT_TYPE.len() as u32;
    let fields = [&FIELD_CONTENT_TYPE.to_be_bytes()[..], &len.to_be_bytes(), CONTENT_TYPE].concat();
    let frame_len = 4 + fields.len() as u32;
    [&[0; 4][..], &frame_len.to_be_bytes(), &kind.to_be_bytes(), &fields].concat()
}

fn number(from: &mut impl io::Read) -> io::Result<u32> {
    let mut octets = [0; 4];
    from.read_exact(&mut octets)?;
    Ok(u32::from_be_bytes(octets))
}
