//! One form for all ways to write a URL, and the expressions by which it is found on a list.
//!
//! As Safe Browsing's "URLs and Hashing" (v4) says. It begins where a client has read the URL as browsers do; what it leaves open is decided here as browsers
//! do it: who is logged in (`user:password@`) ends at the last `@` before the path as it is written, dots and slashes in the path are resolved as in RFC 3986, 5.2.4,
//! an IPv4 address in the clothes of IPv6 is that address. The port is dropped: a page is bad on whichever it is served.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use idna::AsciiDenyList;
use ring::digest::{Context, SHA256};

use super::Hash;

/// Octets of a URL at most. Beyond that no server must read it (RFC 9110, 4.1), and few do.
pub const URL_OCTETS_MAX: usize = 8 * 1024;
/// Octets of a host at most. A name of the DNS has 255; the rest is for what is written in place of a letter.
const HOST_OCTETS_MAX: usize = 1024;
/// Hosts of the expressions at most: as it is, and four above it.
const HOSTS_MAX: usize = 5;
/// Paths of the expressions at most: with the query, without, and four from the root down.
const PATHS_MAX: usize = 6;
/// Labels of the longest host that is made of a longer one.
const LABELS_MAX: usize = 5;

/// Why there is no canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// More than [`URL_OCTETS_MAX`].
    #[error("it has more than {URL_OCTETS_MAX} octets")]
    Long,
    /// Nothing is where the host should be: it is no URL of the web.
    #[error("it has no host")]
    NoHost,
    /// What is there cannot be a host.
    #[error("its host is none")]
    Host,
    /// Behind the host's colon is no number.
    #[error("its port is none")]
    Port,
}

/// A URL in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// ASCII: whatever else is in it is escaped.
    text: String,
    host_at: usize,
    path_at: usize,
    /// Where the question mark is, or the end.
    query_at: usize,
    host_is_address: bool,
    /// It was written without path and query.
    host_only: bool,
}

impl Canonical {
    /// The canonical form of any octets; without a scheme `http` is meant.
    ///
    /// # Errors
    ///
    /// What they lack.
    pub fn of(url: &[u8]) -> Result<Self, UrlError> {
        if url.len() > URL_OCTETS_MAX {
            return Err(UrlError::Long);
        }
        let mut text = trimmed(url);
        // The whole of it may be escaped, scheme included.
        if scheme(&text).is_none() {
            let plain = unescaped(&text);
            if scheme(&plain).is_some() {
                text = plain;
            }
        }
        let (scheme, rest) =
            scheme(&text).map_or((None, text.as_slice()), |(scheme, rest)| (Some(scheme), rest));
        let end = memchr::memchr3(b'/', b'?', b'\\', rest).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let host = match memchr::memrchr(b'@', authority) {
            // An address to write to, not one to open.
            Some(_) if scheme.is_none() => return Err(UrlError::NoHost),
            Some(at) => &authority[at + 1..],
            None => authority,
        };
        let host = Host::read(without_port(host)?)?;

        let rest = unescaped(rest);
        let query = memchr::memchr(b'?', &rest).unwrap_or(rest.len());
        let (path, query) = rest.split_at(query);
        let mut text = String::with_capacity(url.len() + 16);
        text.extend(scheme.unwrap_or(b"http").iter().map(|octet| char::from(octet.to_ascii_lowercase())));
        text.push_str("://");
        let host_at = text.len();
        push_escaped(&mut text, &host.name);
        let path_at = text.len();
        push_escaped(&mut text, &resolved(path));
        let query_at = text.len();
        push_escaped(&mut text, query);
        let host_only = path.is_empty() && query.len() <= 1;
        Ok(Self { text, host_at, path_at, query_at, host_is_address: host.is_address, host_only })
    }

    /// All of it. Its canonical form is itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host: a name, `192.0.2.1`, or `[2001:db8::1]`.
    pub fn host(&self) -> &str {
        &self.text[self.host_at..self.path_at]
    }

    /// Its path, which begins with a slash.
    pub fn path(&self) -> &str {
        &self.text[self.path_at..self.query_at]
    }

    /// Whether it was written without path and query, so that it is not known if all of the host was meant.
    pub fn is_host_only(&self) -> bool {
        self.host_only
    }

    /// The most special of its expressions, and its SHA-256: how a list has it.
    pub fn own_hash(&self) -> Hash {
        hash(self.host(), self.paths().0[0])
    }

    /// Its expressions, at most 30, each as host and path: the hosts from its own up, for each the paths from its own, then from the root down.
    pub fn expressions(&self) -> impl Iterator<Item = (&str, &str)> {
        let (hosts, hosts_count) = self.hosts();
        let (paths, paths_count) = self.paths();
        (0..hosts_count * paths_count).map(move |at| (hosts[at / paths_count], paths[at % paths_count]))
    }

    /// The SHA-256 of each expression.
    pub fn hashes(&self) -> impl Iterator<Item = Hash> {
        self.expressions().map(|(host, path)| hash(host, path))
    }

    /// Its own host, and up to four above it of five labels at most. An address has none above it; the last label is never alone.
    fn hosts(&self) -> ([&str; HOSTS_MAX], usize) {
        let host = self.host();
        let (mut hosts, mut count) = ([host; HOSTS_MAX], 1);
        if self.host_is_address {
            return (hosts, count);
        }
        let dots = host.bytes().filter(|octet| *octet == b'.').count();
        let mut rest = host;
        for labels in (2..=dots).rev() {
            rest = rest.split_once('.').map_or("", |(_, above)| above);
            if labels <= LABELS_MAX && count < HOSTS_MAX {
                hosts[count] = rest;
                count += 1;
            }
        }
        (hosts, count)
    }

    fn paths(&self) -> ([&str; PATHS_MAX], usize) {
        let path = self.path();
        let (mut paths, mut count) = ([path; PATHS_MAX], 0);
        let mut push = |path| {
            paths[count] = path;
            count += 1;
        };
        // A question mark with nothing behind it is no query.
        if self.text.len() > self.query_at + 1 {
            push(&self.text[self.path_at..]);
        }
        push(path);
        for (at, _) in path.match_indices('/').take(PATHS_MAX - 2).filter(|(at, _)| at + 1 < path.len()) {
            push(&path[..=at]);
        }
        (paths, count)
    }
}

/// The SHA-256 of an expression.
fn hash(host: &str, path: &str) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(host.as_bytes());
    context.update(path.as_bytes());
    context.finish().into()
}

/// Without blanks and controls around it, tabs and line ends in it, and the fragment.
fn trimmed(url: &[u8]) -> Vec<u8> {
    let is_text = |octet: &u8| *octet > b' ';
    let first = url.iter().position(is_text).unwrap_or(url.len());
    let end = url.iter().rposition(is_text).map_or(first, |last| last + 1);
    let url = &url[first..end];
    let url = &url[..memchr::memchr(b'#', url).unwrap_or(url.len())];
    url.iter().copied().filter(|octet| !matches!(octet, b'\t' | b'\r' | b'\n')).collect()
}

/// The scheme, and what is behind `://`.
fn scheme(url: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memmem::find(url, b"://")?;
    let (scheme, rest) = (&url[..end], &url[end + 3..]);
    let (first, others) = scheme.split_first()?;
    let is_scheme = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.');
    (first.is_ascii_alphabetic() && others.iter().all(is_scheme)).then_some((scheme, rest))
}

/// Unescaped until nothing is left to unescape. What comes of it in the end does not depend on the order (no escape can overlap another), so once through is enough.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    for octet in text {
        plain.push(*octet);
        while let [.., b'%', high, low] = plain.as_slice() {
            let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { break };
            plain.truncate(plain.len() - 3);
            plain.push(high << 4 | low);
        }
    }
    plain
}

fn push_escaped(text: &mut String, plain: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for octet in plain {
        if matches!(octet, 0..=b' ' | 0x7F.. | b'#' | b'%') {
            let digits = [octet >> 4, octet & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
            text.push('%');
            text.extend(digits);
        } else {
            text.push(char::from(*octet));
        }
    }
}

/// The path without `.` and `..`, and with one slash where there were several. What was below something that was not there is gone.
fn resolved(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let mut plain: Vec<u8> = Vec::with_capacity(path.len() + 2);
    let mut segments = path.split(|octet| *octet == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"." | b".." => {
                if segment == b".." {
                    plain.truncate(memchr::memrchr(b'/', &plain).unwrap_or(0));
                }
                if is_last {
                    plain.push(b'/');
                }
            }
            _ => {
                plain.push(b'/');
                plain.extend_from_slice(segment);
            }
        }
    }
    plain.dedup_by(|octet, before| (*octet, *before) == (b'/', b'/'));
    plain
}

/// The host as it is written, without `:` and a number, or nothing, behind it.
fn without_port(host: &[u8]) -> Result<&[u8], UrlError> {
    let colon = memchr::memrchr(b':', host);
    match colon.filter(|colon| memchr::memrchr(b']', host).is_none_or(|end| end < *colon)) {
        Some(colon) if host[colon + 1..].iter().all(u8::is_ascii_digit) => Ok(&host[..colon]),
        Some(_) => Err(UrlError::Port),
        None => Ok(host),
    }
}

struct Host {
    name: Vec<u8>,
    is_address: bool,
}

impl Host {
    fn read(written: &[u8]) -> Result<Self, UrlError> {
        if let Some(v6) = written.strip_prefix(b"[") {
            let v6 =
                v6.strip_suffix(b"]").and_then(|v6| std::str::from_utf8(v6).ok()).ok_or(UrlError::Host)?;
            return Ok(Self::address(v6.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?.to_canonical()));
        }
        let plain = unescaped(written);
        if plain.len() > HOST_OCTETS_MAX {
            return Err(UrlError::Host);
        }
        let mut name = ascii(&plain);
        name.dedup_by(|octet, before| (*octet, *before) == (b'.', b'.'));
        let first = usize::from(name.first() == Some(&b'.'));
        let end = name.len() - usize::from(name.len() > first && name.last() == Some(&b'.'));
        let name = &name[first..end];
        if name.is_empty() {
            return Err(UrlError::NoHost);
        }
        // Written as they are, these would end it, or begin something else.
        if name.iter().any(|octet| br"/?\@:[]".contains(octet)) || name.len() > HOST_OCTETS_MAX {
            return Err(UrlError::Host);
        }
        Ok(match v4(name) {
            Some(v4) => Self::address(v4.into()),
            None => Self { name: name.to_vec(), is_address: false },
        })
    }

    fn address(address: IpAddr) -> Self {
        let name = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        Self { name: name.into_bytes(), is_address: true }
    }
}

/// A host's name in ASCII (UTS #46) and lower case. What is no text, or cannot be a name, stays and is escaped.
fn ascii(host: &[u8]) -> Vec<u8> {
    let name = if host.is_ascii() { None } else { idna::domain_to_ascii_cow(host, AsciiDenyList::URL).ok() };
    name.map_or_else(|| host.to_ascii_lowercase(), |name| name.as_bytes().to_vec())
}

/// An IPv4 address as `inet_aton` and browsers read it: up to four numbers, decimal, octal (`0…`) or hexadecimal (`0x…`), of which the last fills what is left.
fn v4(host: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut parts) = (0u32, 0u32);
    let mut numbers = host.split(|octet| *octet == b'.').map(number).peekable();
    while let Some(number) = numbers.next() {
        let number = number?;
        let bits_left = 32u32.checked_sub(parts * 8).filter(|bits| *bits > 0)?;
        let bits = if numbers.peek().is_none() { bits_left } else { 8 };
        if number.checked_shr(bits).unwrap_or(0) > 0 {
            return None;
        }
        address |= number.checked_shl(bits_left - bits).unwrap_or(0);
        parts += 1;
    }
    Some(Ipv4Addr::from(address))
}

fn number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    // `from_str_radix` would take a sign.
    if !text.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return None;
    }
    match text.strip_prefix("0x") {
        // As browsers read it.
        Some("") => Some(0),
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
