//! BIG-IP, bare, in quotes, or by name (its Splunk format):
//!
//! ```text
//!   "LSN_PB_ALLOCATED" "100.64.0.1%0" "203.0.113.9:1024-2047"
//!   LSN_ADD 100.64.0.1%0:5000 6 203.0.113.9%0:1024 192.0.2.80 443
//!   lsn_event="LSN_PB_RELEASED",lsn_client="100.64.0.1",lsn_pb="203.0.113.9: 1024 - 2047"
//!   ip_protocol="TCP",lsn_event="LSN_DELETE",cli="100.64.0.1:5000",nat="203.0.113.9:1024"
//! ```

use super::Told;
use super::words::{blocks as ranges, glued};
use crate::assignment::Change;

pub(super) fn blocks(text: &str) -> Result<Option<Vec<Told<'_>>>, String> {
    let found = memchr::memmem::find_iter(text.as_bytes(), b"LSN_").find_map(|at| event(text.get(at..)?));
    let Some((change, is_block, rest)) = found else { return Ok(None) };
    let (inside, outside, protocol) = if text.contains("lsn_event=") {
        let client = named(text, "lsn_client").or_else(|| named(text, "cli"));
        let outside = named(text, "lsn_pb").or_else(|| named(text, "nat"));
        (client, outside, named(text, "ip_protocol"))
    } else {
        positional(rest, is_block)
    };
    let (inside, _port) = glued(inside.ok_or("the client is missing")?)?;
    let (outside, ports) = glued(outside.ok_or("the translation is missing")?)?;
    let ports = ranges(ports.ok_or("the ports are missing")?)?;
    let protocol = protocol.filter(|_| !is_block);
    Ok(Some(
        ports
            .into_iter()
            .map(|ports| Told { protocol, ..Told::block(change, outside, ports, inside) })
            .collect(),
    ))
}

/// What happened, whether to a block, and what follows the word.
fn event(rest: &str) -> Option<(Change, bool, &str)> {
    let end = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '_').unwrap_or(rest.len());
    let (event, rest) = rest.split_at(end);
    match event {
        "LSN_PB_ALLOCATED" => Some((Change::Start, true, rest)),
        "LSN_PB_RELEASED" => Some((Change::Stop, true, rest)),
        "LSN_ADD" => Some((Change::Start, false, rest)),
        "LSN_DELETE" => Some((Change::Stop, false, rest)),
        _ => None,
    }
}

/// `name="value"`.
fn named<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut left = text;
    loop {
        let (before, after) = left.split_once("=\"")?;
        let (value, rest) = after.split_once('"')?;
        if before.trim_start_matches([',', ' ']).ends_with(name)
            && before
                .strip_suffix(name)
                .is_some_and(|before| !before.ends_with(|c: char| c == '_' || c.is_alphanumeric()))
        {
            return Some(value);
        }
        left = rest;
    }
}

/// Client, protocol unless it is a block, translation: each in quotes, or up to the next space.
fn positional(rest: &str, is_block: bool) -> (Option<&str>, Option<&str>, Option<&str>) {
    let mut left = rest.trim_start_matches('"');
    let mut word = || {
        left = left.trim_start_matches([' ', ',']);
        let quoted = left.strip_prefix('"').and_then(|inside| inside.split_once('"'));
        let (word, rest) = quoted.or_else(|| left.split_once(' ')).unwrap_or((left, ""));
        left = rest;
        Some(word).filter(|word| !word.is_empty())
    };
    let client = word();
    let protocol = if is_block { None } else { word() };
    (client, word(), protocol)
}
