//! ACOS, as CEF or in its own ASCII:
//!
//! ```text
//!   CEF:0|A10|CFW|6.0.0-P1|CGN 106|Nat Port Batch Pool Allocated|5|proto=UDP src=100.64.0.1
//!       sourceTranslatedAddress=203.0.113.9 sourceTranslatedPort=22016 cn3=22271 cn3Label=Last Nat Port
//!   NAT-UDP-C: 100.64.0.1:5000 -> 203.0.113.9:22016       one mapping, made; -D: deleted
//!   NAT-UDP-B: 100.64.0.1 -> 203.0.113.9:22016-22271      a batch of ports; -F: freed
//!   FIXED-NAT-PORTS 100.64.0.1->203.0.113.9:3000-4000     what fixed NAT has computed
//! ```

use super::Told;
use super::words::{block, blocks as ranges, glued, ip, port};
use crate::assignment::Change;

pub(super) fn blocks(text: &str) -> Result<Option<Vec<Told<'_>>>, String> {
    let after = |marker: &str| {
        let at = memchr::memmem::find(text.as_bytes(), marker.as_bytes())?;
        text.get(at + marker.len()..)
    };
    if let Some(rest) = after("|A10|") {
        return cef(rest);
    }
    if let Some(rest) = after("FIXED-NAT-PORTS ") {
        return ascii(rest, Change::Interim, None).map(Some);
    }
    let found = memchr::memmem::find_iter(text.as_bytes(), b"NAT-").find_map(|at| event(text.get(at..)?));
    found.map(|(change, protocol, rest)| ascii(rest, change, Some(protocol))).transpose()
}

/// `NAT-TCP-C: `: what happened, of which protocol, and what follows.
fn event(text: &str) -> Option<(Change, &str, &str)> {
    let (kind, rest) = text.strip_prefix("NAT-")?.split_once(": ")?;
    let (protocol, event) = kind.split_once('-')?;
    match event {
        "C" | "B" | "N" => Some((Change::Start, protocol, rest)),
        "U" => Some((Change::Interim, protocol, rest)),
        "D" | "F" => Some((Change::Stop, protocol, rest)),
        _ => None,
    }
}

/// `product|version|class|name|severity|extension`.
fn cef(rest: &str) -> Result<Option<Vec<Told<'_>>>, String> {
    let mut header = rest.splitn(6, '|');
    let (class, extension) =
        (header.nth(2).unwrap_or_default(), header.nth(2).ok_or("the CEF header is cut off")?);
    let (change, is_block) = match class {
        "CGN 100" => (Change::Start, false),
        "CGN 101" => (Change::Stop, false),
        "CGN 106" => (Change::Start, true),
        "CGN 107" => (Change::Stop, true),
        _ => return Ok(None),
    };
    let (mut inside, mut outside, mut first, mut last, mut protocol) = (None, None, None, None, None);
    for word in extension.split_ascii_whitespace() {
        match word.split_once('=') {
            Some(("src" | "c6a2", value)) => inside = Some(value),
            Some(("sourceTranslatedAddress", value)) => outside = Some(value),
            Some(("sourceTranslatedPort", value)) => first = Some(value),
            Some(("cn3", value)) => last = Some(value),
            Some(("proto", value)) => protocol = Some(value),
            _ => {}
        }
    }
    let inside = ip(inside.ok_or("`src` is missing")?)?;
    let outside = ip(outside.ok_or("`sourceTranslatedAddress` is missing")?)?;
    let first = first.ok_or("`sourceTranslatedPort` is missing")?;
    let ports = if is_block {
        block(first, last.ok_or("`cn3` (the last port) is missing")?)?
    } else {
        (port(first)?, port(first)?)
    };
    Ok(Some(vec![Told { protocol, ..Told::block(change, outside, ports, inside) }]))
}

/// `inside[:port] -> outside:ports`, with the destination after `to` or, of whole sessions, on both sides of a comma.
fn ascii<'a>(rest: &'a str, change: Change, protocol: Option<&'a str>) -> Result<Vec<Told<'a>>, String> {
    const SHAPE: &str = "not written as ACOS writes it";
    let arrow = |text: &'a str| {
        let (left, right) = text.split_once("->")?;
        Some((left.trim_end_matches(['<', '-', ' ']), right.trim()))
    };
    let (inside, right) = arrow(rest).ok_or(SHAPE)?;
    let (inside, _port) = glued(inside)?;
    // Of a session the translation is behind the comma, before the second arrow.
    let session = right.split_once(',').filter(|(_, tail)| tail.contains("->"));
    let outside = match session {
        Some((_, tail)) => arrow(tail).ok_or(SHAPE)?.0,
        None => right.split_once(" to ").map_or(right, |(outside, _)| outside),
    };
    let (outside, ports) = glued(outside)?;
    let blocks = ranges(ports.ok_or("the ports are missing")?)?;
    let told = |ports| Told { protocol, ..Told::block(change, outside, ports, inside) };
    Ok(blocks.into_iter().map(told).collect())
}
