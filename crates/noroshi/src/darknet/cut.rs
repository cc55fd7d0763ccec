//! Frames made into batches: without their link, without what is not the telescope's, cut when one is full or has waited long enough. A
//! sensor's go into its spool, an interface's are kept for history.

use std::time::{Duration, Instant};

use ipnet::IpNet;
use noroshi_wire::batch::is_full;
use noroshi_wire::capture::{Frame, Frames, LinkType};
use noroshi_wire::packet::{Headers, Packet};

/// When there is nothing to send, this says so this often: the hub can tell a quiet sensor from one that is cut off.
pub const QUIET: Duration = Duration::from_secs(10);

/// What a batch says of the time since the one before, beside its packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail {
    /// Packets that the kernel lost.
    pub lost: u64,
    /// Frames that are not in it.
    pub left_out: u64,
}

/// Where batches go.
pub trait Sink {
    /// Takes one; what it leaves in `frames` is dropped.
    fn put(&mut self, frames: &mut Frames, tail: Tail) -> anyhow::Result<()>;
}

/// Makes batches.
pub struct Cutter<'a, S> {
    sink: S,
    networks: &'a [IpNet],
    every: Duration,
    frames: Frames,
    begun: Instant,
    last_ns: u64,
    tail: Tail,
    lost: u64,
    left_out: u64,
}

impl<'a, S: Sink> Cutter<'a, S> {
    /// Of packets to these networks, a batch at least every so often while there are packets.
    pub fn new(sink: S, networks: &'a [IpNet], every: Duration) -> Self {
        let (frames, begun) = (Frames::default(), Instant::now());
        let (last_ns, tail, lost, left_out) = (0, Tail::default(), 0, 0);
        Self { sink, networks, every, frames, begun, last_ns, tail, lost, left_out }
    }

    /// Whether a frame goes into a batch.
    pub fn takes(&self, frame: &Frame<'_>) -> bool {
        self.headers(frame).is_some()
    }

    fn headers<'f>(&self, frame: &Frame<'f>) -> Option<&'f [u8]> {
        let bytes = Headers::read(frame.link, frame.bytes).ok()?.bytes();
        let ours = self.networks.is_empty()
            || Packet::ip(bytes).is_ok_and(|packet| {
                let to = packet.addresses.destination();
                self.networks.iter().any(|net| net.contains(&to))
            });
        ours.then_some(bytes)
    }

    /// Adds a frame; gives back whether it went into a batch.
    pub fn add(&mut self, frame: &Frame<'_>) -> anyhow::Result<bool> {
        let taken = if let Some(bytes) = self.headers(frame) {
            if self.frames.is_empty() {
                self.begun = Instant::now();
            }
            self.last_ns = frame.at_ns.unwrap_or(self.last_ns);
            let (at_ns, length) = (Some(self.last_ns), frame.length);
            self.frames.push(&Frame { at_ns, link: LinkType::RAW, length, bytes });
            true
        } else {
            self.tail.left_out += 1;
            self.left_out += 1;
            false
        };
        if is_full(&self.frames) {
            self.cut()?;
        } else if taken {
            self.pass()?;
        }
        Ok(taken)
    }

    /// Lets time pass: a batch that has waited is cut, and an empty one when nothing has come for long.
    pub fn pass(&mut self) -> anyhow::Result<()> {
        let wait = if self.frames.is_empty() { QUIET } else { self.every };
        if self.begun.elapsed() >= wait { self.cut() } else { Ok(()) }
    }

    /// So many packets were lost by the kernel.
    pub fn lose(&mut self, count: u64) {
        self.tail.lost += count;
        self.lost += count;
    }

    /// Packets that were lost, and frames that were left out, since the start.
    pub fn counted(&self) -> (u64, u64) {
        (self.lost, self.left_out)
    }

    /// Makes a batch of what there is.
    pub fn cut(&mut self) -> anyhow::Result<()> {
        self.sink.put(&mut self.frames, self.tail)?;
        self.frames.clear();
        self.tail = Tail::default();
        self.begun = Instant::now();
        Ok(())
    }
}

/// Packets of a capture, so many a second.
pub struct Pace {
    per_s: u64,
    begun: Instant,
    sent: u64,
}

impl Pace {
    /// How long to wait for the next ones.
    pub const STEP: Duration = Duration::from_millis(2);

    /// From now on.
    pub fn new(per_s: u64) -> Self {
        Self { per_s, begun: Instant::now(), sent: 0 }
    }

    /// Whether it is time for one more; each that is asked for and due counts as sent.
    pub fn is_due(&mut self) -> bool {
        let due = self.begun.elapsed().as_secs_f64() * self.per_s as f64 >= (self.sent + 1) as f64;
        self.sent += u64::from(due);
        due
    }
}
