//! What one packet tells of its sender: a row of 40 bytes, made where the packet is read and added where the sender's row is.

use std::net::IpAddr;

use noroshi_wire::packet::{Addresses, Icmp, Packet, Tcp, Transport, Udp, flags, protocol};

use super::probe;

/// Identification that ZMap gives every packet, unless told otherwise (ZMap 1.0 to 4).
const ZMAP_ID: u16 = 54_321;
/// Windows of nmap's SYN scan, which draws one of them.
const NMAP_WINDOWS: [u16; 4] = [1024, 2048, 3072, 4096];
/// nmap's only option: a maximum segment size of 1460.
const NMAP_OPTIONS: [u8; 4] = [2, 4, 5, 0xb4];

/// What is counted of a sender's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Trait {
    /// SYN alone: asks whether a port is open.
    Syn,
    /// An answer to what we never sent: SYN with ACK, RST, errors and answers of ICMP, answers of services over UDP.
    Backscatter,
    /// A datagram that asks a service for a large answer.
    AmplifierProbe,
    /// Another datagram.
    Udp,
    /// An echo request.
    Echo,
    /// A SYN with the destination for a sequence number (Mirai's).
    Mirai,
    /// With ZMap's identification.
    Zmap,
    /// With masscan's identification: destination, port and sequence number, folded.
    Masscan,
    /// As nmap's SYN scan sends it.
    Nmap,
    /// A SYN without any option, as no operating system sends it.
    Bare,
    /// FIN, or nothing at all, and no connection: asks whether a port is open by what does not come back.
    Stealth,
    /// A datagram of whatever kind.
    Datagram,
}

/// How many of them are counted.
pub(super) const TRAITS: usize = 12;

/// A set of traits; beyond those that are counted, whether a port was asked for, and of which protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits(u16);

impl Traits {
    /// A TCP or UDP port of ours is asked for.
    const ASKS: u16 = 1 << TRAITS;
    const TCP: u16 = 1 << (TRAITS + 1);

    #[inline]
    fn set(&mut self, which: Trait, is: bool) {
        self.0 |= u16::from(is) << which as u8;
    }

    #[inline]
    pub(super) fn has(self, which: Trait) -> bool {
        self.0 >> which as u8 & 1 != 0
    }

    /// 1 for each that is counted and there, 0 for the others.
    #[inline]
    pub(super) fn counts(self) -> [u32; TRAITS] {
        std::array::from_fn(|n| u32::from(self.0 >> n & 1))
    }

    /// Whether it has a port, which may be that of an answer.
    #[inline]
    pub(super) fn has_port(self) -> bool {
        self.0 & (Self::TCP | 1 << Trait::Datagram as u16) != 0
    }

    /// Whether it looks for what is open at a port.
    #[inline]
    pub(super) fn asks(self) -> bool {
        self.0 & Self::ASKS != 0
    }

    #[inline]
    pub(super) fn is_tcp(self) -> bool {
        self.0 & Self::TCP != 0
    }
}

/// A packet, as far as it tells of its sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<A> {
    pub sender: A,
    /// Of the sender, under the telescope's key.
    pub hash: u64,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// A digest of what a datagram carries.
    pub payload: u32,
    /// To which port, where it has one, and from which.
    pub port: u16,
    pub from: u16,
    pub traits: Traits,
    pub ttl: u8,
    /// Which of 64 kinds of address it went to.
    pub destination: u8,
}

impl<A> Sighting<A> {
    #[inline(always)]
    pub(super) fn of(packet: &Packet<'_>, sender: A, hash: u64, at_ns: u64) -> Self {
        let (mut traits, mut port, mut from, mut payload) = (Traits::default(), 0, 0, 0);
        match &packet.transport {
            Transport::Tcp(tcp) => {
                (port, from) = (tcp.destination_port, tcp.source_port);
                add_tcp(&mut traits, packet, tcp);
            }
            Transport::Udp(udp) => {
                (port, from) = (udp.destination_port, udp.source_port);
                payload = probe::digest(udp.payload);
                add_udp(&mut traits, udp);
            }
            // Echo requests; everything else that is no request of ours is an answer to one.
            Transport::Icmp(icmp) if matches!(icmp.kind, 8 | 128) => traits.set(Trait::Echo, true),
            Transport::Icmp(icmp) => {
                traits.set(Trait::Backscatter, icmp.quote.is_some() || matches!(icmp.kind, 0 | 129));
            }
            Transport::Fragment(_) | Transport::Other(_) | Transport::Cut(_) => {}
        }
        let destination = bit(folded(&packet.addresses));
        Self { sender, hash, at_ns, payload, port, from, traits, ttl: packet.ttl, destination }
    }
}

#[inline(always)]
fn add_tcp(traits: &mut Traits, packet: &Packet<'_>, tcp: &Tcp<'_>) {
    traits.0 |= Traits::TCP;
    let asks = tcp.flags & (flags::SYN | flags::ACK | flags::RST | flags::FIN);
    if asks != flags::SYN {
        // RST, or SYN with ACK.
        traits.set(Trait::Backscatter, asks & flags::RST != 0 || asks == flags::SYN | flags::ACK);
        let stealth = asks & !flags::FIN == 0;
        traits.set(Trait::Stealth, stealth);
        traits.0 |= if stealth { Traits::ASKS } else { 0 };
        return;
    }
    traits.0 |= Traits::ASKS | 1 << Trait::Syn as u16;
    traits.set(Trait::Bare, tcp.options.is_empty());
    traits.set(Trait::Nmap, NMAP_WINDOWS.contains(&tcp.window) && tcp.options == NMAP_OPTIONS);
    if let Addresses::V4 { destination, .. } = packet.addresses {
        let folded = destination ^ u32::from(tcp.destination_port) ^ tcp.sequence;
        traits.set(Trait::Mirai, tcp.sequence == destination);
        traits.set(Trait::Zmap, packet.id == ZMAP_ID);
        traits.set(Trait::Masscan, packet.id == folded as u16);
    }
}

#[inline]
fn add_udp(traits: &mut Traits, udp: &Udp<'_>) {
    traits.set(Trait::Datagram, true);
    if probe::is_answer(udp) {
        traits.set(Trait::Backscatter, true);
    } else {
        let much = probe::asks_for_much(udp);
        traits.set(Trait::AmplifierProbe, much);
        traits.set(Trait::Udp, !much);
        traits.0 |= Traits::ASKS;
    }
}

/// All bits of the destination in 64.
#[inline]
pub(super) fn folded(addresses: &Addresses) -> u64 {
    match *addresses {
        Addresses::V4 { destination, .. } => u64::from(destination),
        Addresses::V6 { destination, .. } => {
            (destination >> 64) as u64 ^ (destination as u64).rotate_left(32)
        }
    }
}

/// Which of 64, by a hash of all bits (the mixer of MurmurHash3): nothing secret, since who fills it only hides their own spread.
#[inline]
pub(super) fn bit(n: u64) -> u8 {
    let n = (n ^ n >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let n = (n ^ n >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (n >> 58) as u8
}

/// An answer to what was sent to somebody in our name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    /// To whom that was sent: who answers, or, where a router answers for them, the destination of what it quotes.
    pub victim: IpAddr,
    /// Of the victim, under the telescope's key.
    pub hash: u64,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Which of 64 kinds of our addresses it was sent in the name of.
    pub named: u8,
    /// The protocol in which that was sent (IANA).
    pub protocol: u8,
    /// To which port, where the protocol has one.
    pub port: Option<u16>,
}

impl Echo {
    /// That of a packet with [`Trait::Backscatter`], not hashed yet; none where what is quoted was not sent in the name of who gets it.
    pub(super) fn of(packet: &Packet<'_>, at_ns: u64) -> Option<Self> {
        let answered = |protocol, port| (packet.addresses.source(), protocol, port);
        let (victim, protocol, port) = match &packet.transport {
            Transport::Tcp(tcp) => answered(protocol::TCP, Some(tcp.source_port)),
            Transport::Udp(udp) => answered(protocol::UDP, Some(udp.source_port)),
            Transport::Icmp(Icmp { quote: Some(quote), .. }) => {
                if quote.addresses.source() != packet.addresses.destination() {
                    return None;
                }
                (quote.addresses.destination(), quote.protocol, quote.ports.map(|(_, attacked)| attacked))
            }
            _ => answered(protocol::ICMP, None),
        };
        Some(Self { victim, hash: 0, at_ns, named: bit(folded(&packet.addresses)), protocol, port })
    }
}
