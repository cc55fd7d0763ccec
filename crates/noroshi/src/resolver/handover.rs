//! Another takes a resolver's place without a question being lost: the one that runs sends its sockets over the control socket and goes
//! on answering; the other reads its zones, answers, too, and says so; then the first finishes what it has begun, and ends.
//!
//! ```text
//!   another                                 the one that runs
//!   {"ask":"hand-over"}  ─────────────────▶  zones stay as they are
//!                        ◀── the sockets ──
//!   reads zones, answers
//!   "taken"              ─────────────────▶  takes nothing more in, finishes
//!                        ◀── {"ok":...} ───  ends
//! ```
//!
//! If the other fails on the way, the connection ends, and the one that runs goes on as before.

use std::io::{BufRead as _, BufReader, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::control::{self, Request};

/// Sockets that can be sent at once: the kernel's limit (SCM_MAX_FD).
const SOCKETS_MAX: usize = 253;
/// What the sockets come with.
const SOCKETS: &[u8] = b"sockets\n";
/// What the other says when it answers.
const TAKEN: &str = "taken";
/// How long the other may take to read its zones.
const READING: Duration = Duration::from_secs(600);

/// The resolver whose place is taken.
#[derive(Debug)]
pub struct Before {
    stream: UnixStream,
}

/// Asks the resolver that runs with a folder for its sockets; `None` when none runs.
pub fn ask(data_dir: &Path) -> anyhow::Result<Option<(Before, Vec<OwnedFd>)>> {
    let Ok(stream) = UnixStream::connect(control::path(data_dir)) else { return Ok(None) };
    control::put(&stream, &Request::HandOver)?;
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut said = [0; SOCKETS.len()];
    let received =
        recvmsg(&stream, &mut [IoSliceMut::new(&mut said)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    ensure!(
        said[..received.bytes] == *SOCKETS,
        "the resolver that runs does not give its sockets: {}",
        String::from_utf8_lossy(&said[..received.bytes])
    );
    let rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    Ok(Some((Before { stream }, rights.flatten().collect())))
}

impl Before {
    /// Says that questions are answered here now, and waits until the other takes nothing more in.
    pub fn taken(self) -> anyhow::Result<()> {
        writeln!(&self.stream, "{TAKEN}")?;
        control::answered(self.stream).context("the resolver that ran before")?;
        Ok(())
    }
}

/// Gives sockets to whoever asks over `stream`, and waits until it answers; an error if it never does.
pub fn give(stream: &UnixStream, sockets: &[OwnedFd]) -> anyhow::Result<()> {
    ensure!(sockets.len() <= SOCKETS_MAX, "{} sockets, of at most {SOCKETS_MAX}", sockets.len());
    let lent: Vec<_> = sockets.iter().map(OwnedFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ensure!(ancillary.push(SendAncillaryMessage::ScmRights(&lent)), "no space for the sockets");
    sendmsg(stream, &[IoSlice::new(SOCKETS)], &mut ancillary, SendFlags::NOSIGNAL)?;
    stream.set_read_timeout(Some(READING))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    ensure!(line.trim_end() == TAKEN, "who asked for the sockets did not take them over");
    Ok(())
}
