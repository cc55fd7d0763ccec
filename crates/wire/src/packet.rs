//! Headers of one packet, read by hand: from the link to TCP, UDP and ICMP. The hot path of the telescope, so nothing is allocated and
//! each header is looked at once.
//!
//! ```text
//!   link (Ethernet, VLANs, PPPoE, cooked, raw) ─▶ IPv4 with options │ IPv6 with extension headers ─▶ TCP │ UDP │ ICMP with its quote
//! ```
//!
//! What was not captured is not made up: a packet that ends within a header is [`Transport::Cut`], a fragment that is not the first has
//! no ports. Checksums are not looked at, since captures are taken where cards have not computed them yet. A test and a fuzz target hold
//! every answer against etherparse, which is read more slowly and written by others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capture::LinkType;

/// Most VLAN tags before the packet.
const TAGS_MAX: usize = 4;
/// Most extension headers of IPv6.
const EXTENSIONS_MAX: usize = 12;

/// Why a frame holds no IP packet that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoPacket {
    /// A link that is not read.
    Link,
    /// Something else than IP: ARP, LLDP, control of PPP.
    NotIp,
    /// It ends before the IP header does.
    Cut,
    /// A version or length that cannot be.
    Malformed,
}

/// An IP packet's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// From where and to where.
    pub addresses: Addresses,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Identification of IPv4; 0 with IPv6.
    pub id: u16,
    /// Length by the IP header, that header included.
    pub length: u32,
    /// What it carries.
    pub transport: Transport<'a>,
}

/// Both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// From.
        source: u32,
        /// To.
        destination: u32,
    },
    /// IPv6.
    V6 {
        /// From.
        source: u128,
        /// To.
        destination: u128,
    },
}

impl Addresses {
    /// From where.
    pub fn source(self) -> IpAddr {
        match self {
            Self::V4 { source, .. } => Ipv4Addr::from(source).into(),
            Self::V6 { source, .. } => Ipv6Addr::from(source).into(),
        }
    }

    /// To where.
    pub fn destination(self) -> IpAddr {
        match self {
            Self::V4 { destination, .. } => Ipv4Addr::from(destination).into(),
            Self::V6 { destination, .. } => Ipv6Addr::from(destination).into(),
        }
    }
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport<'a> {
    /// TCP.
    Tcp(Tcp<'a>),
    /// UDP.
    Udp(Udp<'a>),
    /// ICMP of either version.
    Icmp(Icmp),
    /// A later part of a packet: its protocol is known, its ports are not.
    Fragment(u8),
    /// Another protocol.
    Other(u8),
    /// It ends within the header of this protocol.
    Cut(u8),
}

/// A TCP header (RFC 9293).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// From which port.
    pub source_port: u16,
    /// To which.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Options, as far as they were captured.
    pub options: &'a [u8],
}

/// Flags of TCP.
pub mod flags {
    /// No more is sent.
    pub const FIN: u8 = 1;
    /// A connection begins.
    pub const SYN: u8 = 2;
    /// There is none.
    pub const RST: u8 = 4;
    /// Something is acknowledged.
    pub const ACK: u8 = 16;
}

/// A UDP header (RFC 768).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp<'a> {
    /// From which port.
    pub source_port: u16,
    /// To which.
    pub destination_port: u16,
    /// What was captured of what it carries.
    pub payload: &'a [u8],
}

/// An ICMP header (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The packet that an error is about, where it is one.
    pub quote: Option<Quote>,
}

/// The packet that an ICMP error is about, as far as it is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Both ends of the quoted packet.
    pub addresses: Addresses,
    /// Its protocol.
    pub protocol: u8,
    /// Source and destination port, where it is TCP or UDP and that much is quoted.
    pub ports: Option<(u16, u16)>,
}

/// Protocol numbers (IANA).
pub mod protocol {
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// ICMP of IPv6.
    pub const ICMP6: u8 = 58;
}

#[inline]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[inline]
fn u128_at(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_be_bytes(bytes.get(at..at + 16)?.try_into().ok()?))
}

const ETHER_V4: u16 = 0x0800;
const ETHER_V6: u16 = 0x86dd;
const ETHER_PPPOE: u16 = 0x8864;
const ETHER_TAGS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];
/// The protocol of an authentication header.
const AUTHENTICATION: u8 = 51;

/// What can be read of an IP packet, once it is known where in the frame that begins.
trait Reading<'a>: Sized {
    fn of_v4(bytes: &'a [u8]) -> Result<Self, NoPacket>;
    fn of_v6(bytes: &'a [u8]) -> Result<Self, NoPacket>;
}

impl<'a> Reading<'a> for Packet<'a> {
    #[inline(always)]
    fn of_v4(bytes: &'a [u8]) -> Result<Self, NoPacket> {
        Self::v4(bytes)
    }

    #[inline(always)]
    fn of_v6(bytes: &'a [u8]) -> Result<Self, NoPacket> {
        Self::v6(bytes)
    }
}

/// The bytes of an IP packet without its link: all headers, and the first [`PAYLOAD_BYTES`] of what they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a>(&'a [u8]);

/// What is kept of a packet beside its headers: the beginning of a datagram says what is asked for.
pub const PAYLOAD_BYTES: usize = 64;
/// Room for the headers of IPv6 between the first and the last.
const EXTENSIONS_BYTES: usize = 64;

impl<'a> Headers<'a> {
    /// Reads a frame of a link.
    #[inline]
    pub fn read(link: LinkType, bytes: &'a [u8]) -> Result<Self, NoPacket> {
        read(link, bytes)
    }

    /// They, from the IP header on.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    #[inline]
    fn of(bytes: &'a [u8], header: usize, packet: &Packet<'_>) -> Self {
        let transport = match packet.transport {
            Transport::Tcp(tcp) => 20 + tcp.options.len(),
            // Of an error also the ports that it quotes, behind an IP header with options.
            Transport::Udp(_) | Transport::Icmp(_) => 8,
            Transport::Fragment(_) => 0,
            Transport::Other(_) | Transport::Cut(_) => 20,
        };
        let whole = bytes.len().min(packet.length as usize);
        Self(&bytes[..whole.min(header + transport + PAYLOAD_BYTES)])
    }
}

impl<'a> Reading<'a> for Headers<'a> {
    #[inline]
    fn of_v4(bytes: &'a [u8]) -> Result<Self, NoPacket> {
        Packet::v4(bytes).map(|packet| Self::of(bytes, usize::from(bytes[0] & 15) * 4, &packet))
    }

    #[inline]
    fn of_v6(bytes: &'a [u8]) -> Result<Self, NoPacket> {
        Packet::v6(bytes).map(|packet| Self::of(bytes, 40 + EXTENSIONS_BYTES, &packet))
    }
}

impl<'a> Packet<'a> {
    /// Reads a frame of a link. Inlined with all that is read of most packets, because the parts of a packet that is handed on whole are
    /// written one by one and read together, which stalls the processor.
    #[inline(always)]
    pub fn read(link: LinkType, bytes: &'a [u8]) -> Result<Self, NoPacket> {
        read(link, bytes)
    }

    /// Reads an IP packet of either version.
    pub fn ip(bytes: &'a [u8]) -> Result<Self, NoPacket> {
        ip(bytes)
    }

    #[inline(always)]
    fn v4(bytes: &'a [u8]) -> Result<Self, NoPacket> {
        let Some(head) = bytes.first_chunk::<20>() else {
            return Err(match bytes.first() {
                Some(first) if first >> 4 != 4 => NoPacket::Malformed,
                _ => NoPacket::Cut,
            });
        };
        let header = usize::from(head[0] & 15) * 4;
        if head[0] >> 4 != 4 || header < 20 {
            return Err(NoPacket::Malformed);
        }
        let total = u16::from_be_bytes([head[2], head[3]]);
        // What a card cuts into packets itself says 0.
        let length = if total == 0 { bytes.len() } else { usize::from(total) };
        if length < header {
            return Err(NoPacket::Malformed);
        }
        // The frame may be longer, because short ones are filled up.
        let bytes = &bytes[..bytes.len().min(length)];
        let body = bytes.get(header..).ok_or(NoPacket::Cut)?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let part = u16::from_be_bytes([head[6], head[7]]) & 0x1fff;
        let transport = match part {
            0 if head[9] == AUTHENTICATION => behind_authentication(body),
            0 => Transport::read(head[9], body),
            _ => Transport::Fragment(head[9]),
        };
        Ok(Self {
            addresses: Addresses::V4 { source: word(12), destination: word(16) },
            ttl: head[8],
            id: u16::from_be_bytes([head[4], head[5]]),
            length: length as u32,
            transport,
        })
    }

    fn v6(bytes: &'a [u8]) -> Result<Self, NoPacket> {
        let first = bytes.first().ok_or(NoPacket::Cut)?;
        if first >> 4 != 6 {
            return Err(NoPacket::Malformed);
        }
        let (source, destination) = u128_at(bytes, 8).zip(u128_at(bytes, 24)).ok_or(NoPacket::Cut)?;
        let payload = usize::from(u16_at(bytes, 4).ok_or(NoPacket::Cut)?);
        let body = &bytes[40..];
        // A jumbogram, or what a card cuts itself, says 0.
        let payload = if payload == 0 { body.len() } else { payload };
        let body = &body[..body.len().min(payload)];
        Ok(Self {
            addresses: Addresses::V6 { source, destination },
            ttl: bytes[7],
            id: 0,
            length: 40 + payload as u32,
            transport: behind_extensions(bytes[6], body),
        })
    }
}

#[inline(always)]
fn read<'a, T: Reading<'a>>(link: LinkType, bytes: &'a [u8]) -> Result<T, NoPacket> {
    if link == LinkType::ETHERNET {
        // What nearly all frames are.
        if bytes.len() >= 34 && bytes[12] == 8 && bytes[13] == 0 {
            return T::of_v4(&bytes[14..]);
        }
        return behind_ethertype(u16_at(bytes, 12), bytes.get(14..).unwrap_or_default());
    }
    of_link(link, bytes)
}

fn ip<'a, T: Reading<'a>>(bytes: &'a [u8]) -> Result<T, NoPacket> {
    match bytes.first().ok_or(NoPacket::Cut)? >> 4 {
        4 => T::of_v4(bytes),
        6 => T::of_v6(bytes),
        _ => Err(NoPacket::Malformed),
    }
}

#[cold]
fn of_link<'a, T: Reading<'a>>(link: LinkType, bytes: &'a [u8]) -> Result<T, NoPacket> {
    match link {
        LinkType::RAW | LinkType(12 | 14) => ip(bytes),
        LinkType::IPV4 => T::of_v4(bytes),
        LinkType::IPV6 => T::of_v6(bytes),
        LinkType::LINUX_SLL => behind_ethertype(u16_at(bytes, 14), bytes.get(16..).unwrap_or_default()),
        LinkType::LINUX_SLL2 => behind_ethertype(u16_at(bytes, 0), bytes.get(20..).unwrap_or_default()),
        // The family is a number of the system that wrote it; the packet itself says which it is.
        LinkType::NULL | LinkType::LOOP => {
            let family = bytes.first_chunk::<4>().ok_or(NoPacket::Cut)?;
            match u32::from_le_bytes(*family).min(u32::from_be_bytes(*family)) {
                2 | 10 | 24 | 28 | 30 => ip(&bytes[4..]),
                _ => Err(NoPacket::NotIp),
            }
        }
        LinkType::PPP => {
            // With or without the address and control of HDLC.
            let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
            ppp(bytes)
        }
        _ => Err(NoPacket::Link),
    }
}

fn behind_ethertype<'a, T: Reading<'a>>(kind: Option<u16>, bytes: &'a [u8]) -> Result<T, NoPacket> {
    let (mut kind, mut bytes) = (kind.ok_or(NoPacket::Cut)?, bytes);
    for _ in 0..TAGS_MAX {
        if !ETHER_TAGS.contains(&kind) {
            break;
        }
        kind = u16_at(bytes, 2).ok_or(NoPacket::Cut)?;
        bytes = &bytes[4..];
    }
    match kind {
        ETHER_V4 => T::of_v4(bytes),
        ETHER_V6 => T::of_v6(bytes),
        // Version and type are 1, the code of data is 0 (RFC 2516).
        ETHER_PPPOE => match bytes.first_chunk::<6>() {
            Some([0x11, 0, ..]) => ppp(&bytes[6..]),
            Some(_) => Err(NoPacket::NotIp),
            None => Err(NoPacket::Cut),
        },
        _ => Err(NoPacket::NotIp),
    }
}

fn ppp<'a, T: Reading<'a>>(bytes: &'a [u8]) -> Result<T, NoPacket> {
    // A protocol whose first byte is odd is written as that byte alone (RFC 1661, 6.5).
    match bytes {
        [0x00, 0x21, rest @ ..] | [0x21, rest @ ..] => T::of_v4(rest),
        [0x00, 0x57, rest @ ..] | [0x57, rest @ ..] => T::of_v6(rest),
        [] | [0x00] => Err(NoPacket::Cut),
        _ => Err(NoPacket::NotIp),
    }
}

/// What stands behind an authentication header of IPv4 (RFC 4302), which counts words, less two.
#[cold]
fn behind_authentication(body: &[u8]) -> Transport<'_> {
    let rest = body.get(1).and_then(|words| body.get(4 * (usize::from(*words) + 2)..));
    rest.map_or(Transport::Cut(AUTHENTICATION), |rest| Transport::read(body[0], rest))
}

/// What stands behind the extension headers of IPv6 (RFC 8200, 4.1).
fn behind_extensions(first: u8, body: &[u8]) -> Transport<'_> {
    let (mut next, mut body) = (first, body);
    for _ in 0..EXTENSIONS_MAX {
        let length = match next {
            // Hop-by-hop, routing, destination, mobility, HIP, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => body.get(1).map(|units| 8 * (usize::from(*units) + 1)),
            AUTHENTICATION => body.get(1).map(|words| 4 * (usize::from(*words) + 2)),
            44 => {
                let Some(part) = u16_at(body, 2).filter(|_| body.len() >= 8) else {
                    return Transport::Cut(next);
                };
                if part >> 3 != 0 {
                    return Transport::Fragment(body[0]);
                }
                Some(8)
            }
            _ => return Transport::read(next, body),
        };
        let Some(rest) = length.and_then(|length| body.get(length..)) else { return Transport::Cut(next) };
        (next, body) = (body[0], rest);
    }
    Transport::Other(next)
}

impl<'a> Transport<'a> {
    #[inline(always)]
    fn read(kind: u8, body: &'a [u8]) -> Self {
        let read = match kind {
            protocol::TCP => tcp(body).map(Self::Tcp),
            protocol::UDP => udp(body).map(Self::Udp),
            protocol::ICMP => icmp(body, &[3, 4, 5, 11, 12]).map(Self::Icmp),
            protocol::ICMP6 => icmp(body, &[1, 2, 3, 4]).map(Self::Icmp),
            other => return Self::Other(other),
        };
        read.unwrap_or(Self::Cut(kind))
    }
}

#[inline(always)]
fn tcp(body: &[u8]) -> Option<Tcp<'_>> {
    let head = body.first_chunk::<20>()?;
    let header = usize::from(head[12] >> 4) * 4;
    let options = body.get(20..header.min(body.len())).unwrap_or_default();
    Some(Tcp {
        source_port: u16::from_be_bytes([head[0], head[1]]),
        destination_port: u16::from_be_bytes([head[2], head[3]]),
        sequence: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        acknowledgement: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        flags: head[13],
        window: u16::from_be_bytes([head[14], head[15]]),
        options,
    })
}

#[inline(always)]
fn udp(body: &[u8]) -> Option<Udp<'_>> {
    let head = body.first_chunk::<8>()?;
    let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
    // 0 is a jumbogram's, and less than its own header is wrong: all that is there.
    let end = if length < 8 { body.len() } else { length.min(body.len()) };
    Some(Udp {
        source_port: u16::from_be_bytes([head[0], head[1]]),
        destination_port: u16::from_be_bytes([head[2], head[3]]),
        payload: &body[8..end],
    })
}

fn icmp(body: &[u8], errors: &[u8]) -> Option<Icmp> {
    let head = body.first_chunk::<8>()?;
    let quote = if errors.contains(&head[0]) { quoted(&body[8..]) } else { None };
    Some(Icmp { kind: head[0], code: head[1], quote })
}

/// The beginning of a packet, as an error quotes it. Its own length is not believed, since it was cut.
fn quoted(bytes: &[u8]) -> Option<Quote> {
    let (addresses, protocol, body) = match bytes.first()? >> 4 {
        4 => {
            let header = usize::from(bytes[0] & 15) * 4;
            let addresses = Addresses::V4 { source: u32_at(bytes, 12)?, destination: u32_at(bytes, 16)? };
            let first = u16_at(bytes, 6)? & 0x1fff == 0;
            (addresses, bytes[9], bytes.get(header.max(20)..).filter(|_| first))
        }
        6 => {
            let addresses = Addresses::V6 { source: u128_at(bytes, 8)?, destination: u128_at(bytes, 24)? };
            (addresses, bytes[6], bytes.get(40..))
        }
        _ => return None,
    };
    let ports = body
        .filter(|_| matches!(protocol, protocol::TCP | protocol::UDP))
        .and_then(|body| u16_at(body, 0).zip(u16_at(body, 2)));
    Some(Quote { addresses, protocol, ports })
}

#[cfg(test)]
mod tests;
