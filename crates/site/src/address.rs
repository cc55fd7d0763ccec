//! What was typed, or stood in a list, read as the address of a site: a host name, an IP address, or a URL.
//!
//! Lists write addresses in many ways: with or without a scheme, defanged (`hxxp`, `[.]`), with a dot at the end, in
//! Unicode or in Punycode. All of them become one form here, so that one site is one record. Browsers' WHATWG parser is
//! not used: it mends what is broken, and what was mended is no longer what the list said.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of an address at most; longer ones are refused. Twice what browsers agree on (2,083).
pub const ADDRESS_BYTES_MAX: usize = 4096;
/// Octets of a name at most (RFC 1035, 3.1), without the dot at the end.
const NAME_BYTES_MAX: usize = 253;
/// Octets of a label at most (RFC 1035, 3.1).
const LABEL_BYTES_MAX: usize = 63;

/// Why a text is no address of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing, or only white space.
    #[error("nothing is written there")]
    Empty,
    /// Longer than [`ADDRESS_BYTES_MAX`].
    #[error("longer than {ADDRESS_BYTES_MAX} bytes")]
    Long,
    /// Another scheme than http, https and ftp.
    #[error("a scheme that is not http, https or ftp")]
    Scheme,
    /// The host is neither a name nor an IP address.
    #[error("no host name and no IP address")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("a port that is none")]
    Port,
    /// White space or a control character inside.
    #[error("white space or a control character inside")]
    Control,
}

/// Where a site is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name in lower case and in its ASCII form (RFC 5890), without a dot at the end.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

/// A site's address, in one form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    scheme: Option<&'static str>,
    user: bool,
    host: Host,
    port: Option<u16>,
    rest: String,
}

impl Address {
    /// Reads a name, an IP address or a URL.
    ///
    /// # Errors
    ///
    /// [`AddressError`], saying what it is not.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        match text.len() {
            0 => return Err(AddressError::Empty),
            1..=ADDRESS_BYTES_MAX => {}
            _ => return Err(AddressError::Long),
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(AddressError::Control);
        }
        let text = text.replace("[.]", ".").replace("(.)", ".").replace("[:]", ":");
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self {
                scheme: None,
                user: false,
                host: Host::Ip(ip),
                port: None,
                rest: String::new(),
            });
        }
        let (scheme, after) = scheme(&text)?;
        let end = after.find(['/', '?', '#', '\\']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        // A fragment never reaches the server.
        let rest = rest.split('#').next().unwrap_or_default();
        let (user, place) = match authority.rsplit_once('@') {
            Some((_, place)) => (true, place),
            None => (false, authority),
        };
        let (host, port) = host_and_port(place)?;
        let port = port.filter(|port| Some(*port) != scheme.and_then(usual_port));
        let rest = if rest == "/" { "" } else { rest };
        Ok(Self { scheme, user, host: read_host(host)?, port, rest: rest.replace('\\', "/") })
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The host as text.
    pub fn host_text(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::Ip(ip) => ip.to_string(),
        }
    }

    /// The host's name, where it is one.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name),
            Host::Ip(_) => None,
        }
    }

    /// `http`, `https` or `ftp`, where one was given.
    pub fn scheme(&self) -> Option<&'static str> {
        self.scheme
    }

    /// The port, where it is not the scheme's usual one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether something stands before an `@`, as in `http://bank.example@other.example/`.
    pub fn has_user(&self) -> bool {
        self.user
    }

    /// Path and query; empty where there are none.
    pub fn rest(&self) -> &str {
        &self.rest
    }

    /// Whether this is about one place on a host, not the whole host.
    pub fn is_place(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The address without scheme and user: what a record is kept under. `a.example`, `a.example/x.exe`, `[::1]:8080/x`.
    pub fn key(&self) -> String {
        let host = match &self.host {
            Host::Ip(IpAddr::V6(ip)) if self.port.is_some() || self.is_place() => format!("[{ip}]"),
            _ => self.host_text(),
        };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{host}{port}{}", self.rest)
    }

    /// The address as a URL; where no scheme was given, `http`.
    pub fn url(&self) -> String {
        let host = match &self.host {
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => self.host_text(),
        };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let rest = if self.rest.starts_with('/') { "" } else { "/" };
        format!("{}://{host}{port}{rest}{}", self.scheme.unwrap_or("http"), self.rest)
    }

    /// The same site as a whole: its host alone.
    pub fn whole(&self) -> Self {
        Self { scheme: None, user: false, host: self.host.clone(), port: None, rest: String::new() }
    }

    /// The address so that no program makes a link of it.
    pub fn defanged(&self) -> String {
        self.key().replacen('.', "[.]", 64)
    }
}

fn scheme(text: &str) -> Result<(Option<&'static str>, &str), AddressError> {
    let Some((scheme, after)) = text.split_once("://") else {
        return Ok((None, text.strip_prefix("//").unwrap_or(text)));
    };
    // `a.example/go?to=http://b.example/` has no scheme of its own.
    if scheme.contains(['/', '?', '.']) {
        return Ok((None, text));
    }
    let known = match scheme.to_ascii_lowercase().as_str() {
        "http" | "hxxp" | "h**p" | "hXXp" => "http",
        "https" | "hxxps" | "h**ps" => "https",
        "ftp" | "fxp" => "ftp",
        _ => return Err(AddressError::Scheme),
    };
    Ok((Some(known), after))
}

fn usual_port(scheme: &'static str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => Some(21),
    }
}

fn host_and_port(place: &str) -> Result<(&str, Option<u16>), AddressError> {
    let number = |text: &str| match text {
        "" => Ok(None),
        _ => text.parse::<u16>().ok().filter(|port| *port > 0).map(Some).ok_or(AddressError::Port),
    };
    if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(AddressError::Host)?;
        let port = if after.is_empty() { "" } else { after.strip_prefix(':').ok_or(AddressError::Port)? };
        return Ok((host, number(port)?));
    }
    match place.rsplit_once(':') {
        Some((host, port)) => Ok((host, number(port)?)),
        None => Ok((place, None)),
    }
}

fn read_host(host: &str) -> Result<Host, AddressError> {
    if let Ok(ip) = host.parse::<Ipv6Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let name = match name.is_ascii() {
        true => name.to_ascii_lowercase(),
        false => idna::domain_to_ascii(name).map_err(|_| AddressError::Host)?,
    };
    // At the end a number alone is an address that was written wrong, or in a way that only browsers read.
    let last_is_number = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let good = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > NAME_BYTES_MAX || !name.contains('.') || last_is_number || !name.split('.').all(good) {
        return Err(AddressError::Host);
    }
    Ok(Host::Name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        Address::parse(text).map_or_else(|error| format!("! {error}"), |address| address.key())
    }

    #[test]
    fn however_it_is_written_it_is_one_address() {
        for text in [
            "evil.example",
            "EVIL.example.",
            "http://evil.example/",
            "https://evil.example:443",
            "hxxp://evil[.]example",
            "//evil.example",
            "http://user:pw@evil.example",
            "http://evil.example/#top",
        ] {
            assert_eq!(key(text), "evil.example", "{text}");
        }
        assert_eq!(key("http://evil.example:8080/a/B.exe?x=1#y"), "evil.example:8080/a/B.exe?x=1");
        assert_eq!(key("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(key("192.0.2.7/x"), "192.0.2.7/x");
        assert_eq!(key("http://[2001:db8::1]:81/x"), "[2001:db8::1]:81/x");
        assert_eq!(key("2001:db8::1"), "2001:db8::1");
        assert_eq!(key("a.example/go?to=http://b.example/"), "a.example/go?to=http://b.example/");
    }

    #[test]
    fn what_is_none_says_why() {
        let why = |text: &str| Address::parse(text).err();
        assert_eq!(why("  "), Some(AddressError::Empty));
        assert_eq!(why("localhost"), Some(AddressError::Host));
        assert_eq!(why("javascript://x.example/"), Some(AddressError::Scheme));
        assert_eq!(why("a.example:0"), Some(AddressError::Port));
        assert_eq!(why("a b.example"), Some(AddressError::Control));
        assert_eq!(why("1.2.3"), Some(AddressError::Host));
        assert_eq!(why(&format!("a.example/{}", "x".repeat(5000))), Some(AddressError::Long));
        assert_eq!(why(&format!("{}.example", "x".repeat(64))), Some(AddressError::Host));
    }

    proptest::proptest! {
        #[test]
        fn a_key_reads_as_itself(text in "(https?://)?[a-z0-9]{1,9}(\\.[a-z]{2,6}){1,3}(:[1-9][0-9]{0,3})?(/[ -~]{0,20})?") {
            if let Ok(address) = Address::parse(&text) {
                let again = Address::parse(&address.key()).map(|address| address.key());
                proptest::prop_assert_eq!(again, Ok(address.key()));
            }
        }

        #[test]
        fn anything_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = Address::parse(&text);
        }
    }
}
