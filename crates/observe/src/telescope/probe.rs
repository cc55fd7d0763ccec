//! What a datagram is: a question whose answer is many times as large, as those ask it who look for amplifiers; an answer to a question
//! that we never asked; or something else.

use noroshi_wire::packet::Udp;

/// Services that are asked for large answers, each with how such a question begins (Rossow, NDSS 2014, and what came after).
const QUESTIONS: [(u16, &[u8]); 17] = [
    (19, b""),
    (17, b""),
    (111, b""),
    (123, b""),
    (161, b"\x30"),
    (389, b"\x30"),
    (427, b"\x02"),
    (500, b""),
    (520, b"\x01"),
    (1900, b"M-SEARCH"),
    (3283, b"\x00\x14"),
    (3478, b"\x00"),
    (3702, b"<"),
    (5683, b"\x40"),
    (11211, b""),
    (37810, b""),
    (47808, b"\x81"),
];

/// Whether it asks a service for much more than it sends.
pub fn asks_for_much(udp: &Udp<'_>) -> bool {
    let payload = udp.payload;
    match udp.destination_port {
        // A question of DNS, for all there is, for keys, or with room for a large answer.
        53 => payload.len() >= 12 && payload[2] & 0x80 == 0,
        // Modes 6 and 7 of NTP: lists and variables (RFC 9327); an honest client asks in mode 3.
        123 => matches!(payload.first().map(|first| first & 7), Some(6 | 7)),
        port => QUESTIONS.iter().any(|(service, begins)| *service == port && payload.starts_with(begins)),
    }
}

/// Whether it answers what somebody asked in our name: it comes from the port of such a service, and is an answer by its own header.
pub fn is_answer(udp: &Udp<'_>) -> bool {
    let payload = udp.payload;
    match udp.source_port {
        53 => payload.len() >= 12 && payload[2] & 0x80 != 0,
        123 => match payload.first().map(|first| first & 7) {
            Some(4) => payload.len() >= 48,
            // The bit of a response (RFC 9327, 2).
            Some(6) => payload.get(1).is_some_and(|second| second & 0x80 != 0),
            Some(7) => payload[0] & 0x80 != 0,
            _ => false,
        },
        1900 => payload.starts_with(b"HTTP/1.1") || payload.starts_with(b"NOTIFY"),
        161 | 389 => payload.len() > 60 && payload[0] == 0x30,
        // The cookie of a responder is there only in answers (RFC 7296, 3.1).
        500 => payload.get(8..16).is_some_and(|cookie| cookie != [0; 8]),
        11211 => payload.len() > 8 && udp.destination_port != 11211,
        19 | 17 | 3702 | 37810 | 47808 => payload.len() > 20 && udp.destination_port != udp.source_port,
        _ => false,
    }
}

/// A short digest of what a datagram carries, to know it again; FNV-1a.
pub fn digest(payload: &[u8]) -> u32 {
    payload
        .iter()
        .take(64)
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
