//! Checksums that are left out of a batch: four bytes of each packet that nothing compresses, and that whoever has the rest can compute. Only
//! such as are right, so that nothing is lost: a wrong one is told as it is.

/// That of the IPv4 header.
const OF_IP: u8 = 1;
/// That of TCP over IPv4, where all of the packet is there.
const OF_TCP: u8 = 2;
const PROTOCOL_TCP: u8 = 6;

/// Leaves out what can be computed; gives back what that is.
pub fn leave_out(packet: &mut [u8]) -> u8 {
    let kinds = [(OF_IP, header_of(packet).map(|_| 10)), (OF_TCP, tcp_of(packet).map(|header| header + 16))];
    let mut left_out = 0;
    for (kind, at) in kinds {
        let Some(at) = at else { continue };
        let told = [packet[at], packet[at + 1]];
        packet[at..at + 2].fill(0);
        if sum_of(packet, kind) == Some(told) {
            left_out |= kind;
        } else {
            packet[at..at + 2].copy_from_slice(&told);
        }
    }
    left_out
}

/// Puts back what was left out; false where there can be no such thing.
pub fn put_back(packet: &mut [u8], left_out: u8) -> bool {
    // That of TCP does not depend on that of IP, nor the other way round.
    for kind in [OF_IP, OF_TCP] {
        if left_out & kind == 0 {
            continue;
        }
        let at = if kind == OF_IP { Some(10) } else { tcp_of(packet).map(|header| header + 16) };
        let Some((at, sum)) = at.zip(sum_of(packet, kind)) else { return false };
        packet[at..at + 2].copy_from_slice(&sum);
    }
    left_out & !(OF_IP | OF_TCP) == 0
}

/// How long an IPv4 header is.
fn header_of(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let header = usize::from(first & 15) * 4;
    (first >> 4 == 4 && header >= 20 && packet.len() >= header).then_some(header)
}

/// Where TCP begins in a packet that is no fragment and is there as a whole.
fn tcp_of(packet: &[u8]) -> Option<usize> {
    let header = header_of(packet)?;
    let is_whole = usize::from(u16::from_be_bytes([packet[2], packet[3]])) == packet.len();
    let is_part = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0;
    (packet[9] == PROTOCOL_TCP && is_whole && !is_part && packet.len() >= header + 20).then_some(header)
}

/// The checksum (RFC 1071) of a packet in which it is 0.
fn sum_of(packet: &[u8], kind: u8) -> Option<[u8; 2]> {
    let sum = if kind == OF_IP {
        add(&packet[..header_of(packet)?])
    } else {
        let header = tcp_of(packet)?;
        // Both addresses, protocol and length stand before it (RFC 9293, 3.1).
        add(&packet[12..20])
            + u32::from(PROTOCOL_TCP)
            + (packet.len() - header) as u32
            + add(&packet[header..])
    };
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    Some((!(folded as u16)).to_be_bytes())
}

/// 16-bit words, added; a packet has few enough of them.
fn add(bytes: &[u8]) -> u32 {
    let (words, last) = bytes.as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    sum + last.first().map_or(0, |last| u32::from(*last) << 8)
}
