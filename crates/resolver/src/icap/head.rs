//! The heads of messages, and of the requests that they carry. All of it came over a connection.

use std::net::IpAddr;

use super::{HEAD_OCTETS_MAX, REQUEST_OCTETS_MAX};

/// Headers of a message at most.
const HEADERS_MAX: usize = 64;
/// Headers of a request at most.
const REQUEST_HEADERS_MAX: usize = 200;

/// Why a message is not understood, as it is told: its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// It is no message.
    #[error("400 Bad request")]
    Request,
    /// A method that this service does not have.
    #[error("405 Method not allowed for service")]
    Method,
    /// Its own head, or that of the request in it, is too long.
    #[error("500 Too long")]
    Long,
    /// Of another version.
    #[error("505 ICAP version not supported")]
    Version,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// What the service can do.
    Options,
    /// What becomes of a request.
    Reqmod,
}

/// A message's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is asked.
    pub method: Method,
    /// Octets of the head itself.
    pub octets: usize,
    /// Octets of the head of the request that follows.
    pub request_octets: usize,
    /// Whether a body follows that.
    pub has_body: bool,
    /// Whether the body's beginning follows only, and the rest when it is asked for.
    pub preview: bool,
    /// Whether "no change" may be answered in any case.
    pub allows_204: bool,
    /// For whom the proxy asks.
    pub client: Option<IpAddr>,
    /// Whether nothing more comes over the connection.
    pub closes: bool,
}

impl Head {
    /// Reads a head; `None` while it is not whole.
    ///
    /// # Errors
    ///
    /// [`Bad`], what the sender is told.
    pub fn read(octets: &[u8]) -> Result<Option<Self>, Bad> {
        let looked_at = &octets[..octets.len().min(HEAD_OCTETS_MAX)];
        let Some(end) = looked_at.windows(4).position(|at| at == b"\r\n\r\n") else {
            return if octets.len() >= HEAD_OCTETS_MAX { Err(Bad::Long) } else { Ok(None) };
        };
        let octets = &octets[..end + 4];
        let line_end = octets.windows(2).position(|at| at == b"\r\n").ok_or(Bad::Request)?;
        let mut words = octets[..line_end].split(|octet| *octet == b' ').filter(|word| !word.is_empty());
        let (method, uri, version) = (words.next(), words.next(), words.next());
        if words.next().is_some() || uri.is_none() {
            return Err(Bad::Request);
        }
        match version {
            Some(b"ICAP/1.0") => {}
            Some(other) if other.starts_with(b"ICAP/") => return Err(Bad::Version),
            _ => return Err(Bad::Request),
        }
        let method = match method {
            Some(b"OPTIONS") => Method::Options,
            Some(b"REQMOD") => Method::Reqmod,
            Some(b"RESPMOD") => return Err(Bad::Method),
            _ => return Err(Bad::Request),
        };
        let mut head = Self {
            method,
            octets: octets.len(),
            request_octets: 0,
            has_body: false,
            preview: false,
            allows_204: false,
            client: None,
            closes: false,
        };
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let headers = match httparse::parse_headers(&octets[line_end + 2..], &mut headers) {
            Ok(httparse::Status::Complete((_, headers))) => headers,
            _ => return Err(Bad::Request),
        };
        let mut encapsulated = None;
        for header in headers {
            let value = header.value.trim_ascii();
            match header.name.to_ascii_lowercase().as_str() {
                "encapsulated" if encapsulated.is_some() => return Err(Bad::Request),
                "encapsulated" => encapsulated = Some(value),
                "preview" => head.preview = true,
                "allow" => head.allows_204 |= items(value).any(|item| item == b"204"),
                "x-client-ip" => {
                    let text = std::str::from_utf8(value).ok();
                    head.client =
                        text.and_then(|text| text.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical());
                }
                "connection" => head.closes |= items(value).any(|item| item.eq_ignore_ascii_case(b"close")),
                _ => {}
            }
        }
        match (method, encapsulated) {
            (Method::Options, _) => {}
            (Method::Reqmod, Some(parts)) => head.encapsulates(parts)?,
            (Method::Reqmod, None) => return Err(Bad::Request),
        }
        Ok(Some(head))
    }

    /// `req-hdr=0, null-body=412` or `req-hdr=0, req-body=412` (section 4.4.1).
    fn encapsulates(&mut self, parts: &[u8]) -> Result<(), Bad> {
        let mut parts = items(parts);
        let (first, second) = (parts.next(), parts.next());
        if first != Some(b"req-hdr=0") || parts.next().is_some() {
            return Err(Bad::Request);
        }
        let text = second.and_then(|part| std::str::from_utf8(part).ok()).ok_or(Bad::Request)?;
        let (kind, at) = text.split_once('=').ok_or(Bad::Request)?;
        self.has_body = match kind {
            "req-body" => true,
            "null-body" => false,
            _ => return Err(Bad::Request),
        };
        self.request_octets = number(at, 10).ok_or(Bad::Request)?;
        if self.request_octets > REQUEST_OCTETS_MAX {
            return Err(Bad::Long);
        }
        Ok(())
    }
}

/// The items of a list, without the space around them.
fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|octet| *octet == b',').map(<[u8]>::trim_ascii)
}

fn number(digits: &str, radix: u32) -> Option<usize> {
    let plain =
        !digits.is_empty() && digits.len() <= 8 && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    plain.then(|| usize::from_str_radix(digits, radix).ok()).flatten()
}

/// Octets of a chunk by its first line, without the line's end.
///
/// # Errors
///
/// [`Bad::Request`] of a line that is none.
pub fn chunk_octets(line: &[u8]) -> Result<usize, Bad> {
    let size = line.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
    std::str::from_utf8(size).ok().and_then(|size| number(size, 16)).ok_or(Bad::Request)
}

/// A request that a proxy was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested<'a> {
    /// Its method.
    pub method: &'a str,
    /// The site, in lower case, without a port.
    pub host: String,
    /// Path and query; empty where only a connection to the host is asked for.
    pub path: &'a str,
    /// The whole address, as it was asked for, or as far as it is known.
    pub url: String,
    /// Headers.
    pub headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Requested<'a> {
    /// Reads a request's head.
    ///
    /// # Errors
    ///
    /// [`Bad::Request`] of what is none.
    pub fn read(octets: &'a [u8]) -> Result<Self, Bad> {
        let mut headers = [httparse::EMPTY_HEADER; REQUEST_HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let whole = request.parse(octets).map_err(|_| Bad::Request)?;
        if whole != httparse::Status::Complete(octets.len()) {
            return Err(Bad::Request);
        }
        let (method, target) = (request.method.ok_or(Bad::Request)?, request.path.ok_or(Bad::Request)?);
        let headers: Vec<_> = request.headers.iter().map(|header| (header.name, header.value)).collect();
        let said = || {
            let mut hosts = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
            let host = hosts.next().and_then(|(_, value)| std::str::from_utf8(value).ok());
            // Two hosts are a way to be judged by one and served by the other.
            host.filter(|_| hosts.next().is_none())
        };
        let (scheme, authority, path) = if method == "CONNECT" {
            ("https", target, "")
        } else if let Some((scheme, rest)) = target.split_once("://") {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            (scheme, &rest[..end], &rest[end..])
        } else if target.starts_with('/') {
            ("http", said().ok_or(Bad::Request)?, target)
        } else {
            // "*", or what no proxy forwards.
            ("http", said().ok_or(Bad::Request)?, "")
        };
        let host = host_of(authority).ok_or(Bad::Request)?;
        let url = format!("{scheme}://{authority}{}", if path.is_empty() { "/" } else { path });
        Ok(Self { method, host, path, url, headers })
    }
}

/// The host of an authority, without who asks and the port.
fn host_of(authority: &str) -> Option<String> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SQUID: &str = "REQMOD icap://127.0.0.1:1344/warn ICAP/1.0\r\nHost: 127.0.0.1:1344\r\nDate: Sat, 28 Nov 2026 09:00:00 GMT\r\n\
        Encapsulated: req-hdr=0, null-body=54\r\nPreview: 0\r\nAllow: 204, trailers\r\nX-Client-IP: 192.0.2.7\r\n\r\n";

    #[test]
    fn a_proxys_question_is_understood_once_it_is_whole() {
        for cut in 0..SQUID.len() {
            assert_eq!(Head::read(&SQUID.as_bytes()[..cut]), Ok(None), "{cut}");
        }
        let wanted = Head {
            method: Method::Reqmod,
            octets: SQUID.len(),
            request_octets: 54,
            has_body: false,
            preview: true,
            allows_204: true,
            client: Some("192.0.2.7".parse().unwrap()),
            closes: false,
        };
        assert_eq!(Head::read(SQUID.as_bytes()), Ok(Some(wanted)));
    }

    #[test]
    fn what_is_not_understood_is_told_by_its_status() {
        let with = |line: &str, headers: &str| Head::read(format!("{line}\r\n{headers}\r\n\r\n").as_bytes());
        let reqmod = "REQMOD icap://x/y ICAP/1.0";
        for (line, headers, why) in [
            ("GET / HTTP/1.1", "Host: x", Bad::Request),
            ("REQMOD icap://x/y ICAP/2.0", "Encapsulated: req-hdr=0, null-body=1", Bad::Version),
            ("RESPMOD icap://x/y ICAP/1.0", "Encapsulated: res-hdr=0, null-body=1", Bad::Method),
            (reqmod, "Host: x", Bad::Request),
            (reqmod, "Encapsulated: req-hdr=0", Bad::Request),
            (reqmod, "Encapsulated: req-hdr=5, null-body=10", Bad::Request),
            (reqmod, "Encapsulated: req-hdr=0, null-body=-1", Bad::Request),
            (reqmod, "Encapsulated: req-hdr=0, null-body=99999999999999999999", Bad::Request),
            (reqmod, "Encapsulated: req-hdr=0, null-body=9999999", Bad::Long),
            (
                reqmod,
                "Encapsulated: req-hdr=0, null-body=1\r\nEncapsulated: req-hdr=0, null-body=2",
                Bad::Request,
            ),
        ] {
            assert_eq!(with(line, headers), Err(why), "{line} {headers}");
        }
        assert_eq!(Head::read(&vec![b'a'; HEAD_OCTETS_MAX]), Err(Bad::Long));
    }

    #[test]
    fn a_requests_address_is_what_the_proxy_was_asked_for() {
        let read = |head: &str| {
            Requested::read(head.as_bytes())
                .map(|request| (request.host, request.path.to_owned(), request.url))
        };
        let of = |host: &str, path: &str, url: &str| Ok((host.to_owned(), path.to_owned(), url.to_owned()));
        for (head, wanted) in [
            (
                "GET http://A.Example:8080/b?c HTTP/1.1\r\nHost: other\r\n\r\n",
                of("a.example", "/b?c", "http://A.Example:8080/b?c"),
            ),
            ("GET http://a.example HTTP/1.1\r\n\r\n", of("a.example", "", "http://a.example/")),
            ("GET http://a.example?q HTTP/1.1\r\n\r\n", of("a.example", "?q", "http://a.example?q")),
            ("GET /b HTTP/1.1\r\nHost: a.example.\r\n\r\n", of("a.example", "/b", "http://a.example./b")),
            (
                "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
                of("a.example", "", "https://a.example:443/"),
            ),
            ("GET http://u:p@a.example/ HTTP/1.1\r\n\r\n", of("a.example", "/", "http://u:p@a.example/")),
            (
                "GET http://[2001:db8::1]:80/ HTTP/1.1\r\n\r\n",
                of("2001:db8::1", "/", "http://[2001:db8::1]:80/"),
            ),
            ("GET /b HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Err(Bad::Request)),
            ("GET /b HTTP/1.1\r\n\r\n", Err(Bad::Request)),
            ("GET http:///b HTTP/1.1\r\n\r\n", Err(Bad::Request)),
            ("GET /b HTTP/1.1\r\nHost: a\r\n", Err(Bad::Request)),
        ] {
            assert_eq!(read(head), wanted, "{head}");
        }
    }

    #[test]
    fn a_chunk_says_how_long_it_is() {
        assert_eq!(chunk_octets(b"1f"), Ok(31));
        assert_eq!(chunk_octets(b"0; ieof"), Ok(0));
        for line in ["", "x", "-1", "100000000", ";"] {
            assert_eq!(chunk_octets(line.as_bytes()), Err(Bad::Request), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..400), cut in 0..SQUID.len()) {
            let _ = (Head::read(&octets), Requested::read(&octets), chunk_octets(&octets));
            let mixed = [&SQUID.as_bytes()[..cut], &octets].concat();
            let _ = Head::read(&mixed);
        }
    }
}
