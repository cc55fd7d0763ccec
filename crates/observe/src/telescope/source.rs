//! What is kept of a sender: counts of what its packets were like, and how widely they were sent. Nothing of what they carried.

use noroshi_wire::packet::{Addresses, Packet, Tcp, Transport, flags};

use super::probe;

/// Identification that ZMap gives every packet, unless told otherwise (ZMap 1.0 to 4).
const ZMAP_ID: u16 = 54_321;
/// Windows of nmap's SYN scan, which draws one of them.
const NMAP_WINDOWS: [u16; 4] = [1024, 2048, 3072, 4096];
/// nmap's only option: a maximum segment size of 1460.
const NMAP_OPTIONS: [u8; 4] = [2, 4, 5, 0xb4];

/// A sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// First and last time, nanoseconds since 1970.
    pub first_ns: u64,
    /// See `first_ns`.
    pub last_ns: u64,
    /// All its packets.
    pub packets: u32,
    /// SYN alone: asks whether a port is open.
    pub syn: u32,
    /// Answers to what we never sent: SYN with ACK, RST, errors and answers of ICMP, answers of services over UDP.
    pub backscatter: u32,
    /// Datagrams that ask a service for a large answer.
    pub amplifier_probes: u32,
    /// Other datagrams.
    pub udp: u32,
    /// Echo requests.
    pub echo: u32,
    /// SYN with the destination for a sequence number (Mirai's).
    pub mirai: u32,
    /// With ZMap's identification.
    pub zmap: u32,
    /// With masscan's identification: destination, port and sequence number, folded.
    pub masscan: u32,
    /// As nmap's SYN scan sends them.
    pub nmap: u32,
    /// SYN without any option, as no operating system sends it.
    pub bare: u32,
    /// FIN, or nothing at all, and no connection: asks whether a port is open by what does not come back.
    pub stealth: u32,
    /// Datagrams, and how many of them carry what the first did.
    pub datagrams: u32,
    /// See `datagrams`.
    pub same_payload: u32,
    payload: u32,
    /// A bit for each of 64 kinds of port, and of address.
    ports: u64,
    destinations: u64,
    /// A port that, if any is, is asked for by more than half of the packets (Boyer and Moore).
    pub port: u16,
    port_lead: u32,
    /// Least and most time to live.
    pub ttl: (u8, u8),
}

/// A bit of 64 by a hash of all bits (the mixer of MurmurHash3): nothing secret, since who fills it only hides their own spread.
#[inline]
fn bit(n: u64) -> u64 {
    let n = (n ^ n >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let n = (n ^ n >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    1 << (n >> 58)
}

impl Source {
    /// Adds a packet; false where no more can be counted. No other count is more than that of all packets, so none overflows.
    #[inline]
    pub(super) fn add(&mut self, packet: &Packet<'_>, at_ns: u64) -> bool {
        if self.packets == u32::MAX {
            self.last_ns = self.last_ns.max(at_ns);
            return false;
        }
        if self.packets == 0 {
            (self.first_ns, self.last_ns) = (at_ns, at_ns);
            self.ttl = (packet.ttl, packet.ttl);
        } else {
            (self.first_ns, self.last_ns) = (self.first_ns.min(at_ns), self.last_ns.max(at_ns));
            self.ttl = (self.ttl.0.min(packet.ttl), self.ttl.1.max(packet.ttl));
        }
        self.packets += 1;
        let destination = match packet.addresses {
            Addresses::V4 { destination, .. } => u64::from(destination),
            Addresses::V6 { destination, .. } => {
                (destination >> 64) as u64 ^ (destination as u64).rotate_left(32)
            }
        };
        self.destinations |= bit(destination);
        match &packet.transport {
            Transport::Tcp(tcp) => self.add_tcp(packet, tcp),
            Transport::Udp(udp) => {
                self.add_port(udp.destination_port);
                if probe::is_answer(udp) {
                    self.backscatter += 1;
                } else if probe::asks_for_much(udp) {
                    self.amplifier_probes += 1;
                } else {
                    self.udp += 1;
                }
                let carried = probe::digest(udp.payload);
                if self.datagrams == 0 {
                    self.payload = carried;
                }
                self.datagrams += 1;
                self.same_payload += u32::from(carried == self.payload);
            }
            // Echo requests; everything else that is no request of ours is an answer to one.
            Transport::Icmp(icmp) if matches!(icmp.kind, 8 | 128) => self.echo += 1,
            Transport::Icmp(icmp) => {
                self.backscatter += u32::from(icmp.quote.is_some() || matches!(icmp.kind, 0 | 129));
            }
            Transport::Fragment(_) | Transport::Other(_) | Transport::Cut(_) => {}
        }
        true
    }

    #[inline]
    fn add_tcp(&mut self, packet: &Packet<'_>, tcp: &Tcp<'_>) {
        self.add_port(tcp.destination_port);
        let asks = tcp.flags & (flags::SYN | flags::ACK | flags::RST | flags::FIN);
        if asks != flags::SYN {
            // RST, or SYN with ACK.
            self.backscatter += u32::from(asks & flags::RST != 0 || asks == flags::SYN | flags::ACK);
            self.stealth += u32::from(asks & !flags::FIN == 0);
            return;
        }
        self.syn += 1;
        self.bare += u32::from(tcp.options.is_empty());
        self.nmap += u32::from(NMAP_WINDOWS.contains(&tcp.window) && tcp.options == NMAP_OPTIONS);
        if let Addresses::V4 { destination, .. } = packet.addresses {
            let folded = destination ^ u32::from(tcp.destination_port) ^ tcp.sequence;
            self.mirai += u32::from(tcp.sequence == destination);
            self.zmap += u32::from(packet.id == ZMAP_ID);
            self.masscan += u32::from(packet.id == folded as u16);
        }
    }

    #[inline]
    fn add_port(&mut self, port: u16) {
        self.ports |= bit(port.into());
        if self.port_lead == 0 {
            (self.port, self.port_lead) = (port, 1);
        } else if self.port == port {
            self.port_lead += 1;
        } else {
            self.port_lead -= 1;
        }
    }

    /// About how many ports it asked for: exact for few, and no more than 200.
    pub fn ports(&self) -> u32 {
        spread(self.ports)
    }

    /// About how many of our addresses it sent to, likewise.
    pub fn destinations(&self) -> u32 {
        spread(self.destinations)
    }

    /// Packets a second over the time it was seen; none where it was seen for less than a second.
    pub fn rate(&self) -> Option<f64> {
        let seconds = (self.last_ns - self.first_ns) as f64 / 1e9;
        (seconds >= 1.0).then(|| f64::from(self.packets) / seconds)
    }
}

/// How many different ones set so many bits of 64 (linear counting, Whang et al. 1990).
fn spread(bits: u64) -> u32 {
    match bits.count_zeros() {
        0 => 200,
        free => (64.0 * (64.0 / f64::from(free)).ln()).round() as u32,
    }
}
