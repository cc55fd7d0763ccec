//! The words that all makes have in common: addresses, ports, blocks of ports.

use std::net::IpAddr;

/// An address; what a router adds about its routing domain (`%0`) is dropped.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    let text = text.split('%').next().unwrap_or(text);
    text.parse().map_err(|_| "an address is none".to_owned())
}

/// A port: digits only.
pub(super) fn port(text: &str) -> Result<u16, String> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| "a port is none".to_owned())
}

/// First and last port, in that order.
pub(super) fn block(first: &str, last: &str) -> Result<(u16, u16), String> {
    let (first, last) = (port(first)?, port(last)?);
    if first <= last { Ok((first, last)) } else { Err("a block of ports ends before it begins".into()) }
}

/// `1024-2047`, `1024 - 2047`, a single port, or several with commas between them.
pub(super) fn blocks(text: &str) -> Result<Vec<(u16, u16)>, String> {
    let one = |part: &str| match part.split_once('-') {
        Some((first, last)) => block(first, last),
        None => port(part).map(|port| (port, port)),
    };
    text.split(',').map(one).collect()
}

/// `198.51.100.7:1024…`, `[2001:db8::1]:1024…` or an address alone: the address, and what follows the colon.
pub(super) fn glued(text: &str) -> Result<(IpAddr, Option<&str>), String> {
    let text = text.trim();
    if let Some((inside, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return Ok((ip(inside)?, rest.strip_prefix(':')));
    }
    // Of an address with more than one colon none is before a port.
    match text.split_once(':') {
        Some((address, ports)) if !ports.contains(':') => Ok((ip(address)?, Some(ports))),
        _ => Ok((ip(text)?, None)),
    }
}
