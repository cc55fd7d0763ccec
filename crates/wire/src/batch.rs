//! Packets on their way from a sensor to the hub: a batch of headers, packed, with what is needed to know that none is missing.
//!
//! ```text
//!   frames of any link ──Headers──▶ Frames ──write──▶ bytes, at most 1 MiB ──read──▶ Head, Frames: as of a capture of raw IP
//! ```
//!
//! A sensor is far away, behind links that break for hours. Its batches are numbered from 0 on without gaps, within a run that has a random
//! name; each says how many packets the run had before it. So whoever has two batches knows which are missing between them, and how many
//! packets those hold. What the kernel lost at the sensor, and what was no IP packet, is counted, and the sensor's own clock is told.
//!
//! Packets are written column by column, for like compresses with like: all first bytes, all second bytes, and so on for forty, then what
//! is left of each; checksums that are right are left out and computed again. Nothing is lost by that. All of it is written by machines of others, as far as the hub knows: it unpacks into bounded
//! memory, and what is not a batch is refused with a reason.

mod checksum;
mod name;

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use zstd::bulk::{Compressor, Decompressor};

use crate::capture::{Frame, Frames, LinkType};

pub use name::{BatchName, NoBatchName};

/// Most packets of a batch.
pub const FRAMES_MAX: usize = 16_384;
/// Most bytes of their headers; a packed batch then is below the 1 MiB that a message of NATS may have, whatever is in it.
pub const HEADER_BYTES_MAX: usize = 640 << 10;
/// Most bytes of one packet's headers.
pub const PACKET_BYTES_MAX: usize = 512;
/// Longest name of a sensor.
pub const NAME_BYTES_MAX: usize = 32;

/// No run has so many batches or packets; whoever counts on from there does not go over the end.
pub const NUMBER_MAX: u64 = 1 << 62;

/// Bytes of a packet that are written with those of the others: IPv4 and TCP without options, or IPv6.
const PLANES: usize = 40;
/// Most bytes of a batch, unpacked: a time, two lengths, which checksums are right, and its bytes for each packet.
const UNPACKED_MAX: usize = HEADER_BYTES_MAX + FRAMES_MAX * (10 + 5 + 2 + 1);
/// zstd's own default.
const LEVEL: i32 = 3;
/// What a batch begins with: a name, and the version of what follows.
const MAGIC: [u8; 4] = *b"nrb\x01";
/// Bytes before the sensor's name.
const HEAD_BYTES: usize = 4 + 16 + 5 * 8 + 2 * 4 + 1;

/// A sensor's name: lower-case letters, digits and hyphens. It goes into subjects, paths and certificates, so it is nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorName(String);

impl SensorName {
    /// It, as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SensorName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(plain) {
            return Err(format!(
                "a sensor's name is 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SensorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sensor's run: random, made anew when the sensor has lost what it knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(pub [u8; 16]);

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for Run {
    type Err = BatchError;

    fn from_str(text: &str) -> Result<Self, BatchError> {
        let hex = text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| hex);
        Ok(Self(number.ok_or(BatchError::Damaged("the name of a run"))?.to_be_bytes()))
    }
}

/// What is known of a batch beside its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Who sends it.
    pub sensor: SensorName,
    /// In which run.
    pub run: Run,
    /// The how manieth of the run, from 0 on.
    pub number: u64,
    /// Packets in the run's batches before this one.
    pub before: u64,
    /// When it was made by the sensor's clock, nanoseconds since 1970.
    pub made_ns: u64,
    /// Packets that the sensor's kernel lost since the batch before.
    pub lost: u64,
    /// Frames without an IP packet that can be read, since the batch before.
    pub left_out: u64,
}

/// Why bytes are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Something else.
    #[error("this is no batch of a sensor")]
    Other,
    /// Of a version that is not known yet.
    #[error("a batch of version {0}, which this noroshi does not know; renew the hub before its sensors")]
    Version(u8),
    /// What stands there cannot be.
    #[error("a damaged batch: {0}")]
    Damaged(&'static str),
    /// More than a batch may have.
    #[error("a batch of more packets or bytes than one may have")]
    TooLarge,
}

/// Whether a batch has no room for one more packet.
pub fn is_full(frames: &Frames) -> bool {
    frames.len() >= FRAMES_MAX || frames.bytes_len() > HEADER_BYTES_MAX - PACKET_BYTES_MAX
}

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Packs a batch. Its packets have [no link](crate::packet::Headers); one without a time gets that of the packet before.
pub fn write(head: &Head, frames: &Frames) -> Result<Vec<u8>, BatchError> {
    if frames.len() > FRAMES_MAX || frames.bytes_len() > HEADER_BYTES_MAX {
        return Err(BatchError::TooLarge);
    }
    let columns = columns(frames)?;
    let packed = COMPRESSOR.with_borrow_mut(|compressor| {
        if compressor.is_none() {
            let mut new = Compressor::new(LEVEL).ok()?;
            new.include_checksum(true).ok()?;
            *compressor = Some(new);
        }
        compressor.as_mut()?.compress(&columns).ok()
    });
    let packed = packed.ok_or(BatchError::Damaged("it cannot be packed"))?;
    let name = head.sensor.as_str().as_bytes();
    let mut out = Vec::with_capacity(HEAD_BYTES + name.len() + packed.len());
    out.extend(MAGIC);
    out.extend(head.run.0);
    for number in [head.number, head.before, head.made_ns, head.lost, head.left_out] {
        out.extend(number.to_le_bytes());
    }
    for number in [frames.len() as u32, columns.len() as u32] {
        out.extend(number.to_le_bytes());
    }
    out.push(name.len() as u8);
    out.extend(name);
    out.extend(packed);
    Ok(out)
}

/// All packets, column by column.
fn columns(frames: &Frames) -> Result<Vec<u8>, BatchError> {
    let mut out = Vec::with_capacity(frames.bytes_len() + 4 * frames.len());
    let mut before = 0;
    for frame in frames.iter() {
        if frame.bytes.len() > PACKET_BYTES_MAX {
            return Err(BatchError::TooLarge);
        }
        let at = frame.at_ns.unwrap_or(before);
        // Forwards nearly always: the sign goes last.
        let step = at.wrapping_sub(before) as i64;
        put(&mut out, (step << 1 ^ step >> 63) as u64);
        before = at;
    }
    frames.iter().for_each(|frame| put(&mut out, frame.length.into()));
    frames.iter().for_each(|frame| put(&mut out, frame.bytes.len() as u64));
    let mut packets = Vec::with_capacity(frames.bytes_len());
    let mut at = 0;
    for frame in frames.iter() {
        packets.extend_from_slice(frame.bytes);
        out.push(checksum::leave_out(&mut packets[at..]));
        at = packets.len();
    }
    let each = || {
        let mut left = &packets[..];
        frames.iter().map(move |frame| {
            let (packet, rest) = left.split_at(frame.bytes.len());
            left = rest;
            packet
        })
    };
    for plane in 0..PLANES {
        out.extend(each().filter_map(|packet| packet.get(plane)));
    }
    each().for_each(|packet| out.extend(packet.get(PLANES..).unwrap_or_default()));
    Ok(out)
}

/// A number as LEB128: seven bits a byte, the lowest first.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what a batch says of itself, without unpacking it.
pub fn read_head(bytes: &[u8]) -> Result<Head, BatchError> {
    Parts::of(bytes).map(|parts| parts.head)
}

/// Reads a batch, its packets in the place of what `frames` held.
pub fn read(bytes: &[u8], frames: &mut Frames) -> Result<Head, BatchError> {
    frames.clear();
    let Parts { head, count, unpacked, packed } = Parts::of(bytes)?;
    if count > FRAMES_MAX || unpacked > UNPACKED_MAX {
        return Err(BatchError::TooLarge);
    }
    let columns = Decompressor::new().and_then(|mut unpack| unpack.decompress(packed, unpacked));
    let columns = columns.map_err(|_| BatchError::Damaged("it cannot be unpacked"))?;
    if columns.len() != unpacked {
        return Err(BatchError::Damaged("its length"));
    }
    rows(&columns, count, frames)?;
    Ok(head)
}

struct Parts<'a> {
    head: Head,
    count: usize,
    unpacked: usize,
    packed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, BatchError> {
        match bytes.first_chunk::<4>() {
            Some(magic) if *magic == MAGIC => {}
            Some([b'n', b'r', b'b', version]) => return Err(BatchError::Version(*version)),
            _ => return Err(BatchError::Other),
        }
        let cut = BatchError::Damaged("its end is missing");
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES).ok_or(cut)?;
        let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap_or_default());
        let half = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap_or_default()) as usize;
        let (name, packed) = rest.split_at_checked(head[HEAD_BYTES - 1].into()).ok_or(cut)?;
        // Of no bytes zstd makes none, and calls it well.
        if packed.is_empty() {
            return Err(cut);
        }
        let name = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
        let head = Head {
            sensor: name.ok_or(BatchError::Damaged("the sensor's name"))?,
            run: Run(head[4..20].try_into().unwrap_or_default()),
            number: word(20),
            before: word(28),
            made_ns: word(36),
            lost: word(44),
            left_out: word(52),
        };
        if head.number.max(head.before) > NUMBER_MAX {
            return Err(BatchError::Damaged("its number"));
        }
        Ok(Self { head, count: half(60), unpacked: half(64), packed })
    }
}

/// Packets of columns.
fn rows(columns: &[u8], count: usize, frames: &mut Frames) -> Result<(), BatchError> {
    let mut left = columns;
    let mut times = Vec::with_capacity(count);
    let mut before = 0u64;
    for _ in 0..count {
        let step = take(&mut left)?;
        before = before.wrapping_add_signed((step >> 1) as i64 ^ -((step & 1) as i64));
        times.push(before);
    }
    let lengths = (0..count).map(|_| small(&mut left)).collect::<Result<Vec<u32>, _>>()?;
    let kept = (0..count).map(|_| small(&mut left)).collect::<Result<Vec<u32>, _>>()?;
    let (left_out, mut left) =
        left.split_at_checked(count).ok_or(BatchError::Damaged("what is left out of its packets"))?;
    let sum: u64 = kept.iter().map(|kept| u64::from(*kept)).sum();
    if sum != left.len() as u64 || kept.iter().any(|kept| *kept as usize > PACKET_BYTES_MAX) {
        return Err(BatchError::Damaged("the lengths of its packets"));
    }
    let mut packets = vec![0; left.len()];
    for plane in 0..PLANES {
        let mut from = 0;
        for kept in &kept {
            let kept = *kept as usize;
            if plane < kept
                && let Some((first, rest)) = left.split_first()
            {
                packets[from + plane] = *first;
                left = rest;
            }
            from += kept;
        }
    }
    let mut packets = &mut packets[..];
    for (((at_ns, length), kept), left_out) in times.into_iter().zip(lengths).zip(kept).zip(left_out) {
        let (packet, rest) = packets.split_at_mut(kept as usize);
        packets = rest;
        if let Some(tail) = packet.get_mut(PLANES..) {
            let (own, others) = left.split_at(tail.len());
            tail.copy_from_slice(own);
            left = others;
        }
        if !checksum::put_back(packet, *left_out) {
            return Err(BatchError::Damaged("what is left out of its packets"));
        }
        frames.push(&Frame { at_ns: Some(at_ns), link: LinkType::RAW, length, bytes: packet });
    }
    Ok(())
}

fn take(left: &mut &[u8]) -> Result<u64, BatchError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = left.split_first().ok_or(BatchError::Damaged("a number"))?;
        *left = rest;
        let bits = u64::from(first & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        number |= bits << shift;
        if first & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(BatchError::Damaged("a number"))
}

fn small(left: &mut &[u8]) -> Result<u32, BatchError> {
    take(left)?.try_into().map_err(|_| BatchError::Damaged("a length"))
}

#[cfg(test)]
mod tests;
