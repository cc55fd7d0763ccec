//! Capture files, packet by packet: classic pcap (both byte orders, micro- and nanoseconds) and pcapng, as tcpdump, Wireshark and
//! others write them (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).
//!
//! ```text
//!   bytes ──Capture──▶ Frame: when, which link, how long it was, what of it was kept
//!                 └──▶ CaptureError: at which byte, and what is wrong there
//! ```
//!
//! Nothing is copied but what the buffer's end cuts in two: a frame is lent until the next one is asked for, or all of a buffer's at
//! once ([`Frames`]), for another thread to look at. A file that was cut off gives all whole frames before that, then says so. Memory is one buffer of [`BUFFER_BYTES`], more only for a block that is larger,
//! and never beyond [`BLOCK_BYTES_MAX`]; what is larger and no packet is passed over as it streams by.

mod frames;

use std::io::{self, Read};

pub use frames::Frames;

/// Most bytes of a packet that a capture keeps (libpcap's own bound).
pub const PACKET_BYTES_MAX: usize = 256 << 10;
/// Most bytes of a block that are held at once.
pub const BLOCK_BYTES_MAX: usize = PACKET_BYTES_MAX + (64 << 10);
/// Most interfaces of one section.
pub const INTERFACES_MAX: usize = 4096;
/// Bytes read at once: little enough to stay in the processor's cache, enough to go past the buffers of files.
pub const BUFFER_BYTES: usize = 512 << 10;

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;

/// What a packet begins with (`LINKTYPE_…` of the registry that both formats share). Others are told apart by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// The address family as a number in the order of the machine that wrote the file.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP in HDLC-like framing.
    pub const PPP: Self = Self(9);
    /// An IP packet; two older numbers say the same.
    pub const RAW: Self = Self(101);
    /// As NULL, in network order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked".
    pub const LINUX_SLL: Self = Self(113);
    /// An IPv4 packet.
    pub const IPV4: Self = Self(228);
    /// An IPv6 packet.
    pub const IPV6: Self = Self(229);
    /// Linux "cooked", version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// A packet as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When, in nanoseconds since 1970 (UTC); none where the file does not say (a simple packet of pcapng).
    pub at_ns: Option<u64>,
    /// What it begins with.
    pub link: LinkType,
    /// How many bytes it had on the wire.
    pub length: u32,
    /// What was kept of it.
    pub bytes: &'a [u8],
}

/// Why a capture cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The stream itself failed.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// It is no capture.
    #[error("this is no capture: it begins with {0:02x?}, and neither pcap nor pcapng does")]
    Other([u8; 4]),
    /// It ends within a packet or block.
    #[error("cut off: what begins at byte {offset} is not whole")]
    Cut {
        /// Where that begins.
        offset: u64,
    },
    /// What stands there cannot be.
    #[error("damaged at byte {offset}: {why}")]
    Damaged {
        /// Where.
        offset: u64,
        /// What is wrong.
        why: String,
    },
}

/// The order of bytes in a file, or in a section of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl Order {
    #[inline]
    fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let bytes = bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).unwrap_or_default();
        if self == Self::Little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
    }

    #[inline]
    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
        if self == Self::Little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    }

    #[inline]
    fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let bytes = bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).unwrap_or_default();
        if self == Self::Little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Pcap { order: Order, fraction_ns: u64, link: LinkType },
    PcapNg { order: Order },
}

/// An interface of a section.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snap: u32,
    /// Units of its time in a second: a power of ten or of two.
    ticks: Ticks,
    offset_s: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ticks {
    Ten(u8),
    Two(u8),
}

impl Ticks {
    /// So many units as nanoseconds; none beyond the year 2554.
    fn ns(self, units: u64, offset_s: i64) -> Option<u64> {
        let units = u128::from(units);
        let second = u128::from(SECOND_NS);
        let ns = match self {
            Self::Ten(digits) if digits <= 9 => units * 10u128.pow(9 - u32::from(digits)),
            Self::Ten(digits) => units / 10u128.checked_pow(u32::from(digits) - 9)?,
            Self::Two(bits) => units.checked_mul(second)?.checked_shr(bits.into()).unwrap_or(0),
        };
        let ns = i128::try_from(ns).ok()? + i128::from(offset_s) * i128::from(SECOND_NS);
        u64::try_from(ns).ok()
    }
}

/// A packet, by where it is in the buffer.
#[derive(Clone, Copy, Debug)]
struct Kept {
    at_ns: Option<u64>,
    link: LinkType,
    length: u32,
    from: u32,
    to: u32,
}

impl Kept {
    #[inline]
    fn frame(self, buffer: &[u8]) -> Frame<'_> {
        let Self { at_ns, link, length, from, to } = self;
        Frame { at_ns, link, length, bytes: &buffer[from as usize..to as usize] }
    }
}

/// What stood next in the file.
enum Step {
    Packet(Kept),
    /// Something that is no packet.
    Passed,
    End,
}

/// A capture being read.
#[derive(Debug)]
pub struct Capture<R> {
    input: R,
    buffer: Vec<u8>,
    /// What of the buffer was read and not yet used.
    from: usize,
    to: usize,
    /// Where in the file `from` is.
    offset: u64,
    kind: Kind,
    interfaces: Vec<Interface>,
    over: bool,
    /// What ended it, while the frames before that are still to be given.
    pending: Option<CaptureError>,
    /// The time of the last packet that was given with others.
    last_ns: Option<u64>,
}

impl<R: Read> Capture<R> {
    /// Reads the file's beginning, which says what it is.
    pub fn new(input: R) -> Result<Self, CaptureError> {
        let kind = Kind::PcapNg { order: Order::Little };
        let mut capture = Self {
            input,
            buffer: vec![0; BUFFER_BYTES],
            from: 0,
            to: 0,
            offset: 0,
            kind,
            interfaces: Vec::new(),
            over: false,
            pending: None,
            last_ns: None,
        };
        if !capture.fill(4)? {
            let mut head = [0; 4];
            let have = capture.to.min(4);
            head[..have].copy_from_slice(&capture.buffer[..have]);
            return Err(if have == 0 { CaptureError::Cut { offset: 0 } } else { CaptureError::Other(head) });
        }
        let magic = [0, 1, 2, 3].map(|at| capture.buffer[at]);
        let (order, fraction_ns) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
            // A section header reads the same in both orders.
            [0x0a, 0x0d, 0x0d, 0x0a] => return Ok(capture),
            other => return Err(CaptureError::Other(other)),
        };
        if !capture.fill(PCAP_HEADER)? {
            return Err(CaptureError::Cut { offset: 0 });
        }
        let head = &capture.buffer[..PCAP_HEADER];
        if order.u16(head, 4) != 2 {
            return Err(capture.damaged(4, format!("version {} of pcap is not known", order.u16(head, 4))));
        }
        // The upper bits say how long the checksum of each frame is, which ends it and is not looked at.
        let link = LinkType(order.u32(head, 20) as u16);
        capture.kind = Kind::Pcap { order, fraction_ns, link };
        capture.skip(PCAP_HEADER);
        Ok(capture)
    }

    /// The next packet; none at the end. After an error there is none.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        loop {
            match self.step()? {
                Step::Packet(kept) => return Ok(Some(kept.frame(&self.buffer))),
                Step::Passed => {}
                Step::End => return Ok(None),
            }
        }
    }

    #[inline]
    fn step(&mut self) -> Result<Step, CaptureError> {
        match self.kind {
            Kind::Pcap { order, fraction_ns, link } => self.step_of_pcap(order, fraction_ns, link),
            Kind::PcapNg { order } => self.step_of_pcapng(order),
        }
    }

    /// Where in the file the next packet begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    #[inline]
    fn step_of_pcap(&mut self, order: Order, fraction_ns: u64, link: LinkType) -> Result<Step, CaptureError> {
        if !self.fill(RECORD_HEADER)? {
            return self.end();
        }
        let head = &self.buffer[self.from..self.from + RECORD_HEADER];
        let (kept, length) = (order.u32(head, 8) as usize, order.u32(head, 12));
        let seconds = u64::from(order.u32(head, 0)) * SECOND_NS;
        let at_ns = seconds + u64::from(order.u32(head, 4)) * fraction_ns;
        if kept > PACKET_BYTES_MAX {
            self.over = true;
            return Err(self.damaged(8, format!("a packet of {kept} bytes")));
        }
        let whole = RECORD_HEADER + kept;
        if !self.fill(whole)? {
            return self.end();
        }
        let (from, to) = ((self.from + RECORD_HEADER) as u32, (self.from + whole) as u32);
        self.skip(whole);
        Ok(Step::Packet(Kept { at_ns: Some(at_ns), link, length, from, to }))
    }

    fn step_of_pcapng(&mut self, order: Order) -> Result<Step, CaptureError> {
        if !self.fill(BLOCK_HEADER)? {
            return self.end();
        }
        let head = &self.buffer[self.from..];
        let (kind, order) = if head[..4] == SECTION_BYTES {
            (SECTION, self.begin_section()?)
        } else {
            (order.u32(head, 0), order)
        };
        let whole = order.u32(&self.buffer[self.from..], 4) as usize;
        if whole < BLOCK_HEADER + 4 || !whole.is_multiple_of(4) {
            self.over = true;
            return Err(self.damaged(4, format!("a block of {whole} bytes")));
        }
        if whole > BLOCK_BYTES_MAX {
            if PACKETS.contains(&kind) || matches!(kind, SECTION | INTERFACE) {
                self.over = true;
                return Err(
                    self.damaged(4, format!("a block of {whole} bytes that is a packet or describes one"))
                );
            }
            self.pass_over(whole)?;
            return Ok(Step::Passed);
        }
        if !self.fill(whole)? {
            return self.end();
        }
        let (from, at) = (self.from, self.offset);
        self.skip(whole);
        let body = from + BLOCK_HEADER..from + whole - 4;
        if order.u32(&self.buffer, body.end) as usize != whole {
            self.over = true;
            let why = "a block whose two lengths differ".to_owned();
            return Err(CaptureError::Damaged { offset: at, why });
        }
        match kind {
            INTERFACE => self.add_interface(order, body, at)?,
            ENHANCED | OLD | SIMPLE => {
                return self.packet(kind, order, body).map(Step::Packet).map_err(|why| {
                    self.over = true;
                    CaptureError::Damaged { offset: at, why }
                });
            }
            // Names, statistics, secrets, and what is not defined yet.
            _ => {}
        }
        Ok(Step::Passed)
    }

    /// A section begins: its order of bytes, and no interface yet.
    fn begin_section(&mut self) -> Result<Order, CaptureError> {
        if !self.fill(BLOCK_HEADER + 4)? {
            self.over = true;
            return Err(CaptureError::Cut { offset: self.offset });
        }
        let order = match self.buffer[self.from + 8..self.from + 12] {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            _ => {
                self.over = true;
                return Err(self.damaged(8, "a section whose order of bytes is not known".to_owned()));
            }
        };
        self.kind = Kind::PcapNg { order };
        self.interfaces.clear();
        Ok(order)
    }

    fn add_interface(
        &mut self,
        order: Order,
        body: std::ops::Range<usize>,
        at: u64,
    ) -> Result<(), CaptureError> {
        let bytes = &self.buffer[body];
        if bytes.len() < 8 || self.interfaces.len() >= INTERFACES_MAX {
            self.over = true;
            let why = if bytes.len() < 8 { "an interface of few bytes" } else { "too many interfaces" };
            return Err(CaptureError::Damaged { offset: at, why: why.to_owned() });
        }
        let mut interface = Interface {
            link: LinkType(order.u16(bytes, 0)),
            snap: order.u32(bytes, 4),
            ticks: Ticks::Ten(6),
            offset_s: 0,
        };
        let mut options = &bytes[8..];
        while options.len() >= 4 {
            let (code, length) = (order.u16(options, 0), usize::from(order.u16(options, 2)));
            let Some(value) = options.get(4..4 + length) else { break };
            match (code, value) {
                (0, _) => break,
                (TIME_RESOLUTION, [resolution]) => {
                    let digits = resolution & 0x7f;
                    interface.ticks =
                        if resolution & 0x80 == 0 { Ticks::Ten(digits) } else { Ticks::Two(digits) };
                }
                (TIME_OFFSET, value) if length == 8 => interface.offset_s = order.u64(value, 0) as i64,
                _ => {}
            }
            options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// The packet of a block, or what is wrong.
    fn packet(&self, kind: u32, order: Order, body: std::ops::Range<usize>) -> Result<Kept, String> {
        let bytes = &self.buffer[body.clone()];
        let (head, number) = match kind {
            SIMPLE => (4, 0),
            OLD => (20, u32::from(order.u16(bytes, 0))),
            _ => (20, order.u32(bytes, 0)),
        };
        if bytes.len() < head {
            return Err("a packet of few bytes".into());
        }
        let interface = self.interfaces.get(number as usize);
        let interface =
            interface.ok_or_else(|| format!("a packet of interface {number}, which is not described"))?;
        let (at_ns, kept, length) = if kind == SIMPLE {
            let length = order.u32(bytes, 0);
            let kept = if interface.snap == 0 { length } else { length.min(interface.snap) };
            (None, (kept as usize).min(bytes.len() - head), length)
        } else {
            let units = u64::from(order.u32(bytes, 4)) << 32 | u64::from(order.u32(bytes, 8));
            let kept = order.u32(bytes, 12) as usize;
            (interface.ticks.ns(units, interface.offset_s), kept, order.u32(bytes, 16))
        };
        if kept > bytes.len() - head {
            return Err(format!("a packet of {kept} bytes in a block that has {}", bytes.len() - head));
        }
        let from = body.start + head;
        Ok(Kept { at_ns, link: interface.link, length, from: from as u32, to: (from + kept) as u32 })
    }

    /// Nothing more: the end, or a cut within what begins here.
    fn end(&mut self) -> Result<Step, CaptureError> {
        if self.over || self.from == self.to {
            self.over = true;
            return Ok(Step::End);
        }
        self.over = true;
        Err(CaptureError::Cut { offset: self.offset })
    }

    fn damaged(&self, at: u64, why: String) -> CaptureError {
        CaptureError::Damaged { offset: self.offset + at, why }
    }

    #[inline]
    fn skip(&mut self, count: usize) {
        self.from += count;
        self.offset += count as u64;
    }

    /// Has so many bytes ready, if there are so many.
    #[inline]
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        if self.to - self.from >= count && !self.over {
            return Ok(true);
        }
        self.read_on(count)
    }

    #[cold]
    fn read_on(&mut self, count: usize) -> io::Result<bool> {
        if self.over {
            return Ok(false);
        }
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        if self.buffer.len() < count {
            self.buffer.resize(count, 0);
        }
        while self.to < count {
            match self.input.read(&mut self.buffer[self.to..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.to += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.over = true;
                    return Err(e);
                }
            }
        }
        Ok(true)
    }

    /// Passes over a block that is not held.
    fn pass_over(&mut self, mut count: usize) -> Result<(), CaptureError> {
        let begun = self.offset;
        while count > 0 {
            if !self.fill(1)? {
                self.over = true;
                return Err(CaptureError::Cut { offset: begun });
            }
            let some = count.min(self.to - self.from);
            self.skip(some);
            count -= some;
        }
        Ok(())
    }
}

/// Bytes at the beginning of a pcap file, and before each packet.
const PCAP_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// A block's type and length.
const BLOCK_HEADER: usize = 8;
/// Types of blocks.
const SECTION: u32 = 0x0a0d_0d0a;
/// The same in both orders.
const SECTION_BYTES: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const INTERFACE: u32 = 1;
const OLD: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;
const PACKETS: [u32; 3] = [OLD, SIMPLE, ENHANCED];
/// Options of an interface.
const TIME_RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;

#[cfg(test)]
mod tests;
