//! Who was given which ports of a shared address: address translators (CGNAT) tell it by syslog, each make in its own words.
//!
//! ```text
//!   line ──frame──▶ time, host, message ──juniper │ cisco │ a10 │ f5 │ nfware──▶ Sealed<Assignment>s │ BadSealed
//!   datagram + when received + from whom ──────▶
//! ```
//!
//! The time is the receiver's: that of a datagram's arrival, or the first on a line. A line may tell of several blocks, and one
//! that tells of none (a pool that is full, a log-in) tells nothing and is not bad. To whom an inside address belonged is
//! another question; where translators serve several private networks that use the same addresses, declare whose are meant.

mod a10;
mod cisco;
mod f5;
mod frame;
mod juniper;
mod nfware;
mod words;

use std::io::Read;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_law::Sealed;
use serde::{Deserialize, Serialize};

use crate::assignment::{Assignment, Change, Given, Whom, sealed_line};
use crate::lines::{Encoding, Item, Line, Lines, LinesError};
use crate::radius::BadSealed;
use crate::time::Zone;

/// Most blocks that one line tells of.
pub const BLOCKS_MAX: usize = 256;
/// The longest line, or datagram.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// In whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgnMake {
    /// Junos: `RT_SRC_NAT_PBA_ALLOC` and so on, structured or plain, and `JSERVICES_NAT_PORT_BLOCK_ALLOC`.
    Juniper,
    /// IOS XR (CRS, ASR 9000): `[UserbasedA …]`.
    Cisco,
    /// ACOS: CEF, or `NAT-TCP-C: …`.
    A10,
    /// BIG-IP: `LSN_PB_ALLOCATED`, `LSN_ADD`, bare, quoted or by name.
    F5,
    /// `A VRF 0 INT … EXT …`.
    Nfware,
}

/// How a translator's log is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CgnFormat {
    /// In whose words.
    pub make: CgnMake,
    /// The zone of times that carry none.
    #[serde(default)]
    pub zone: Option<Zone>,
    /// The translator's name where that of the line or sender is not meant.
    #[serde(default)]
    pub server: Option<String>,
    /// The private networks (VRFs) that are meant; empty: all. A line about another tells nothing.
    #[serde(default)]
    pub vrfs: Vec<String>,
    /// Whether the translator's own clock is believed where an interim record says by it when a block was allocated.
    #[serde(default)]
    pub trust_clock: bool,
}

impl CgnFormat {
    /// The defaults for a make.
    pub fn of(make: CgnMake) -> Self {
        Self { make, zone: None, server: None, vrfs: Vec::new(), trust_clock: false }
    }

    fn wants(&self, vrf: Option<&str>) -> bool {
        self.vrfs.is_empty() || vrf.is_some_and(|vrf| self.vrfs.iter().any(|wanted| wanted == vrf))
    }
}

/// What a message tells of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told<'a> {
    change: Change,
    outside: IpAddr,
    /// `None` where the whole address was given.
    ports: Option<(u16, u16)>,
    inside: IpAddr,
    /// The protocol, where the ports are given for it alone: the same ports of another may be another subscriber's. It becomes
    /// the assignment's session, so that the two are not taken for one.
    protocol: Option<&'a str>,
    vrf: Option<&'a str>,
    /// When it was allocated (interim) or this happened (otherwise), by the translator's clock.
    clock: Option<Timestamp>,
}

impl<'a> Told<'a> {
    fn block(change: Change, outside: IpAddr, ports: (u16, u16), inside: IpAddr) -> Self {
        Self { change, outside, ports: Some(ports), inside, protocol: None, vrf: None, clock: None }
    }
}

/// The lines of a log; made by [`read_cgn`].
#[derive(Debug)]
pub struct CgnLines<R> {
    lines: Lines<R>,
    format: CgnFormat,
    newest: Option<Timestamp>,
}

/// Reads a log from its beginning. Many such logs write no year: `newest` says that no line is from later than that, a
/// file's last change for example, nor older than a year before; without it, lines without a year are bad.
pub fn read_cgn<R: Read>(reader: R, format: &CgnFormat, newest: Option<Timestamp>) -> CgnLines<R> {
    CgnLines::resumed(reader, format, newest, 0, 0)
}

/// Reads a datagram that was received from `source` at that time; `number` is its place in the stream, from 1. It may hold
/// several messages, a line each (ACOS batches them): the answers are one for each, in order.
pub fn read_cgn_datagram(
    datagram: &[u8],
    source: IpAddr,
    received: Timestamp,
    number: u64,
    format: &CgnFormat,
) -> Vec<Result<Vec<Sealed<Assignment>>, BadSealed>> {
    if datagram.len() > LINE_BYTES_MAX {
        return vec![sealed_line(bad(number, "longer than a datagram", datagram), |_| Ok(Vec::new()))];
    }
    let server = format.server.clone().unwrap_or_else(|| source.to_canonical().to_string());
    let messages =
        datagram.split(|byte| matches!(byte, b'\n' | b'\r' | 0)).filter(|message| !message.is_empty());
    messages
        .map(|message| {
            let item = match std::str::from_utf8(message) {
                Ok(text) => Item::Line(Line { number, text: text.to_owned(), ended: true }),
                Err(_) => bad(number, "not UTF-8", message),
            };
            sealed_line(item, |line| told(&line.text, received, &server, number, format))
        })
        .collect()
}

fn bad(line: u64, reason: &str, bytes: &[u8]) -> Item {
    let snippet = crate::lines::snippet(bytes);
    Item::Bad(noroshi_model::intake::Bad { line, reason: reason.into(), snippet, bytes: bytes.len() as u64 })
}

impl<R: Read> CgnLines<R> {
    /// Reads on in a file: the reader stands at byte `position`, after `lines` whole lines.
    pub fn resumed(
        reader: R,
        format: &CgnFormat,
        newest: Option<Timestamp>,
        position: u64,
        lines: u64,
    ) -> Self {
        let reader = Lines::new(reader, Encoding::default()).with_limit(LINE_BYTES_MAX);
        Self { lines: reader.resumed(position, lines), format: format.clone(), newest }
    }

    /// Bytes consumed so far: where the next line starts.
    pub fn offset(&self) -> u64 {
        self.lines.offset()
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.lines.number()
    }
}

impl<R: Read> Iterator for CgnLines<R> {
    type Item = Result<Result<Vec<Sealed<Assignment>>, BadSealed>, LinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.lines.next()?;
        Some(item.map(|item| sealed_line(item, |line| from_line(line, &self.format, self.newest))))
    }
}

fn from_line(line: &Line, format: &CgnFormat, newest: Option<Timestamp>) -> Result<Vec<Assignment>, String> {
    // The last line of a file that is still being written may be half of one that says something else.
    if !line.ended {
        return Err("cut off".into());
    }
    let Some(blocks) = blocks(&line.text, format)? else { return Ok(Vec::new()) };
    let frame = frame::frame(&line.text, format.zone.as_ref(), newest)?;
    let server = format.server.as_deref().unwrap_or(frame.host);
    if server.is_empty() {
        return Err("the line names no host; declare `server`".into());
    }
    Ok(assignments(&blocks, frame.at, server, line.number, format))
}

fn told(
    text: &str,
    at: Timestamp,
    server: &str,
    line: u64,
    format: &CgnFormat,
) -> Result<Vec<Assignment>, String> {
    let blocks = blocks(text, format)?.unwrap_or_default();
    Ok(assignments(&blocks, at, server, line, format))
}

/// The blocks of which a message tells; `None` where it is about something else.
fn blocks<'a>(text: &'a str, format: &CgnFormat) -> Result<Option<Vec<Told<'a>>>, String> {
    let blocks = match format.make {
        CgnMake::Juniper => juniper::blocks(text),
        CgnMake::Cisco => cisco::blocks(text),
        CgnMake::A10 => a10::blocks(text),
        CgnMake::F5 => f5::blocks(text),
        CgnMake::Nfware => nfware::blocks(text),
    }?;
    if blocks.as_ref().is_some_and(|blocks| blocks.len() > BLOCKS_MAX) {
        return Err(format!("it tells of more than {BLOCKS_MAX} blocks"));
    }
    Ok(blocks)
}

fn assignments(
    blocks: &[Told<'_>],
    at: Timestamp,
    server: &str,
    line: u64,
    format: &CgnFormat,
) -> Vec<Assignment> {
    let wanted = blocks.iter().filter(|told| format.wants(told.vrf));
    wanted
        .map(|told| {
            let interim = told.change == Change::Interim;
            Assignment {
                change: told.change,
                given: Some(Given { net: IpNet::from(told.outside.to_canonical()), ports: told.ports }),
                whom: Some(Whom::Inside(told.inside.to_canonical())),
                at,
                until: None,
                began: told.clock.filter(|clock| interim && format.trust_clock && *clock <= at),
                server: server.to_owned(),
                session: told.protocol.map(str::to_owned),
                clock_offset_s: told
                    .clock
                    .filter(|_| !interim)
                    .map(|clock| clock.as_second() - at.as_second()),
                line,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
