//! All the frames of a buffer at once, for another thread to look at: the buffer changes hands, and the capture goes on in the one it
//! gets for it. Only what the buffer's end cuts in two is copied.

use std::io::Read;

use super::{
    BLOCK_HEADER, BUFFER_BYTES, Capture, CaptureError, Frame, Kept, Kind, RECORD_HEADER, SECTION_BYTES, Step,
};

/// Frames and the buffer they are in: at most [`BUFFER_BYTES`], but for one packet that alone is larger.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    frames: Vec<Kept>,
    before_ns: Option<u64>,
}

impl Frames {
    /// Adds one, which is copied.
    pub fn push(&mut self, frame: &Frame<'_>) {
        let Frame { at_ns, link, length, bytes } = *frame;
        let from = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        self.frames.push(Kept { at_ns, link, length, from: from as u32, to: self.buffer.len() as u32 });
    }

    /// Makes later times this one, nanoseconds since 1970: where the clock of whoever gave them is ahead.
    pub fn no_later_than(&mut self, ns: u64) {
        self.frames.iter_mut().for_each(|kept| kept.at_ns = kept.at_ns.map(|at| at.min(ns)));
    }

    /// Leaves none.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.frames.clear();
    }

    /// They, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.frames.iter().map(|kept| kept.frame(&self.buffer))
    }

    /// The time of the packet before them, nanoseconds since 1970.
    pub fn before_ns(&self) -> Option<u64> {
        self.before_ns
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Bytes of all that were [pushed](Self::push), as long as no capture gave any.
    pub fn bytes_len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl<R: Read> Capture<R> {
    /// The next packets, in the place of what `frames` held; false at the end. After an error, which comes when all packets before it
    /// were given, there is none.
    pub fn next_frames(&mut self, frames: &mut Frames) -> Result<bool, CaptureError> {
        frames.frames.clear();
        frames.before_ns = self.last_ns;
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        while frames.is_empty() || self.is_ready() {
            match self.step() {
                Ok(Step::Packet(kept)) => frames.frames.push(kept),
                Ok(Step::Passed) => {}
                Ok(Step::End) => break,
                Err(error) if frames.is_empty() => return Err(error),
                Err(error) => {
                    self.pending = Some(error);
                    break;
                }
            }
        }
        self.last_ns = frames.frames.iter().rev().find_map(|kept| kept.at_ns).or(self.last_ns);
        std::mem::swap(&mut self.buffer, &mut frames.buffer);
        let rest = &frames.buffer[self.from..self.to];
        self.buffer.resize(rest.len().max(BUFFER_BYTES), 0);
        self.buffer[..rest.len()].copy_from_slice(rest);
        (self.from, self.to) = (0, rest.len());
        Ok(!frames.is_empty())
    }

    /// Whether what stands next is in the buffer as a whole, so that it can be read without moving what was. A new section, whose order of
    /// bytes is not known before it is read, is not.
    #[inline]
    fn is_ready(&self) -> bool {
        let next = &self.buffer[self.from..self.to];
        let whole = match self.kind {
            Kind::Pcap { order, .. } if next.len() >= RECORD_HEADER => {
                RECORD_HEADER + order.u32(next, 8) as usize
            }
            Kind::PcapNg { order } if next.len() >= BLOCK_HEADER && next[..4] != SECTION_BYTES => {
                order.u32(next, 4) as usize
            }
            _ => return false,
        };
        !self.over && next.len() >= whole
    }
}
