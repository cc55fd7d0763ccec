//! What a set of attributes means, wherever they come from: `detail` files write values as text, packets as octets.
//!
//! ```text
//!   detail ──Value::Text───┐
//!                          ├──▶ accounting() ──▶ Accounting, or a reason that names the attribute
//!   packet ──Value::Octets─┘
//! ```

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use jiff::Timestamp;

use super::accounting::{Accounting, DELAY_S_MAX, Status, slot};
use crate::time::{TimeFormat, abbreviated, in_range};

/// The attributes that mean something here, by their numbers in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// RFC 2865 §5.1.
    UserName = 1,
    /// RFC 2865 §5.4.
    NasIpAddress = 4,
    /// RFC 2865 §5.8.
    FramedIpAddress = 8,
    /// RFC 2865 §5.32.
    NasIdentifier = 32,
    /// RFC 2865 §5.33.
    ProxyState = 33,
    /// RFC 2866 §5.1.
    AcctStatusType = 40,
    /// RFC 2866 §5.2.
    AcctDelayTime = 41,
    /// RFC 2866 §5.5.
    AcctSessionId = 44,
    /// RFC 2866 §5.7.
    AcctSessionTime = 46,
    /// RFC 2866 §5.10.
    AcctTerminateCause = 49,
    /// RFC 2869 §5.3.
    EventTimestamp = 55,
    /// RFC 3162 §2.1.
    NasIpv6Address = 95,
    /// RFC 3162 §2.3.
    FramedIpv6Prefix = 97,
    /// RFC 4818 §3.
    DelegatedIpv6Prefix = 123,
    /// RFC 6911 §3.1.
    FramedIpv6Address = 168,
}

impl Attribute {
    /// Its name in dictionaries and `detail` files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UserName => "User-Name",
            Self::NasIpAddress => "NAS-IP-Address",
            Self::FramedIpAddress => "Framed-IP-Address",
            Self::NasIdentifier => "NAS-Identifier",
            Self::ProxyState => "Proxy-State",
            Self::AcctStatusType => "Acct-Status-Type",
            Self::AcctDelayTime => "Acct-Delay-Time",
            Self::AcctSessionId => "Acct-Session-Id",
            Self::AcctSessionTime => "Acct-Session-Time",
            Self::AcctTerminateCause => "Acct-Terminate-Cause",
            Self::EventTimestamp => "Event-Timestamp",
            Self::NasIpv6Address => "NAS-IPv6-Address",
            Self::FramedIpv6Prefix => "Framed-IPv6-Prefix",
            Self::DelegatedIpv6Prefix => "Delegated-IPv6-Prefix",
            Self::FramedIpv6Address => "Framed-IPv6-Address",
        }
    }
}

/// A value as it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Octets(&'a [u8]),
}

/// Something that has attributes.
pub(super) trait Attributes {
    /// Every value of an attribute, in order.
    fn all(&self, which: Attribute) -> impl Iterator<Item = Value<'_>>;

    /// The value of an attribute that may be there once; twice with the same value counts as once.
    fn one(&self, which: Attribute) -> Result<Option<Value<'_>>, String> {
        let mut values = self.all(which);
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            return Err(format!("{} is there twice with different values", which.name()));
        }
        Ok(first)
    }
}

/// The record's meaning, or a reason that names the attribute and never its value.
pub(super) fn accounting(
    source: &impl Attributes,
    received: Timestamp,
    line: u64,
) -> Result<Accounting, String> {
    let text = |which| {
        let value = source.one(which)?.map(|value| value.text().into_owned());
        Ok::<_, String>(value.filter(|text| !text.is_empty()))
    };
    let status = source.one(Attribute::AcctStatusType)?.ok_or("Acct-Status-Type is missing")?;
    let status = status
        .status()
        .ok_or("Acct-Status-Type is none of Start, Interim-Update, Stop, Accounting-On, Accounting-Off")?;
    let session = text(Attribute::AcctSessionId)?;
    if session.is_none() && !matches!(status, Status::On | Status::Off) {
        return Err("Acct-Session-Id is missing".into());
    }
    let delay_s = seconds(source, Attribute::AcctDelayTime)?.unwrap_or(0);
    if delay_s > DELAY_S_MAX {
        return Err("Acct-Delay-Time is more than 30 days".into());
    }
    let stated = source.one(Attribute::EventTimestamp)?;
    let nas_time = stated.and_then(Value::instant);
    Ok(Accounting {
        status,
        nas: nas(source)?,
        session,
        user: text(Attribute::UserName)?,
        framed: framed(source)?,
        session_time_s: seconds(source, Attribute::AcctSessionTime)?,
        delay_s,
        received,
        nas_time,
        nas_time_unread: stated.is_some() && nas_time.is_none(),
        line,
        terminate_cause: source
            .one(Attribute::AcctTerminateCause)?
            .map(Value::terminate_cause)
            .filter(|text| !text.is_empty()),
        proxied: source.all(Attribute::ProxyState).next().is_some(),
    })
}

fn nas(source: &impl Attributes) -> Result<String, String> {
    if let Some(value) = source.one(Attribute::NasIpAddress)? {
        let ip = value.ip(4).ok_or("NAS-IP-Address is no address")?;
        return Ok(ip.to_string());
    }
    if let Some(value) = source.one(Attribute::NasIpv6Address)? {
        let ip = value.ip(16).ok_or("NAS-IPv6-Address is no address")?;
        return Ok(ip.to_string());
    }
    match source.one(Attribute::NasIdentifier)?.map(Value::text) {
        Some(name) if !name.is_empty() => Ok(name.into_owned()),
        _ => {
            Err("the access server is missing: no NAS-IP-Address, NAS-IPv6-Address or NAS-Identifier".into())
        }
    }
}

fn seconds(source: &impl Attributes, which: Attribute) -> Result<Option<u32>, String> {
    let read =
        |value: Value<'_>| value.number().ok_or_else(|| format!("{} is no number of seconds", which.name()));
    source.one(which)?.map(read).transpose()
}

fn framed(source: &impl Attributes) -> Result<Vec<IpNet>, String> {
    let mut framed = Vec::new();
    for value in source.all(Attribute::FramedIpAddress) {
        let ip = value.v4().ok_or("Framed-IP-Address is no address")?;
        if is_given(ip) {
            framed.push(IpNet::from(IpAddr::V4(ip)));
        }
    }
    for value in source.all(Attribute::FramedIpv6Address) {
        let ip = value.v6().ok_or("Framed-IPv6-Address is no address")?;
        framed.push(IpNet::from(IpAddr::V6(ip)));
    }
    for which in [Attribute::FramedIpv6Prefix, Attribute::DelegatedIpv6Prefix] {
        for value in source.all(which) {
            let net = value.prefix().ok_or_else(|| format!("{} is no prefix", which.name()))?;
            if slot(net.into()).is_none() {
                return Err(format!("{} is shorter than /48", which.name()));
            }
            framed.push(IpNet::V6(net.trunc()));
        }
    }
    framed.sort();
    framed.dedup();
    Ok(framed)
}

/// RFC 2865 §5.8: 255.255.255.255 and .254 say that somebody else chooses; all zeros is what an unassigned
/// session has.
fn is_given(ip: Ipv4Addr) -> bool {
    !ip.is_unspecified() && u32::from(ip) < u32::MAX - 1
}

impl<'a> Value<'a> {
    /// A name. Octets that are no text are written as a `detail` file has them, so that one subscriber has one name
    /// whichever way the record came.
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Octets(octets) => {
                std::str::from_utf8(octets).map_or_else(|_| Cow::Owned(escaped(octets)), Cow::Borrowed)
            }
        }
    }

    fn number(self) -> Option<u32> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Octets(octets) => Some(u32::from_be_bytes(octets.try_into().ok()?)),
        }
    }

    fn status(self) -> Option<Status> {
        let number = match self {
            Self::Text("Start") => 1,
            Self::Text("Stop") => 2,
            Self::Text("Interim-Update" | "Alive") => 3,
            Self::Text("Accounting-On") => 7,
            Self::Text("Accounting-Off") => 8,
            other => other.number()?,
        };
        match number {
            1 => Some(Status::Start),
            2 => Some(Status::Stop),
            3 => Some(Status::Interim),
            7 => Some(Status::On),
            8 => Some(Status::Off),
            _ => None,
        }
    }

    /// An address of that many octets; as text, either kind.
    fn ip(self, octets: usize) -> Option<IpAddr> {
        let ip = match self {
            Self::Text(text) => text.parse().ok()?,
            Self::Octets(_) if octets == 4 => IpAddr::V4(self.v4()?),
            Self::Octets(_) => IpAddr::V6(self.v6()?),
        };
        Some(ip.to_canonical())
    }

    fn v4(self) -> Option<Ipv4Addr> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Octets(octets) => Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        }
    }

    fn v6(self) -> Option<Ipv6Addr> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Octets(octets) => Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        }
    }

    /// In a packet a reserved octet, the length, and as many octets as the prefix needs (RFC 3162 §2.3, RFC 4818 §3).
    fn prefix(self) -> Option<Ipv6Net> {
        let octets = match self {
            Self::Text(text) => return text.parse().ok(),
            Self::Octets(octets) => octets,
        };
        let (&[_reserved, length], prefix) = octets.split_first_chunk::<2>()?;
        if prefix.len() > 16 || prefix.len() < usize::from(length).div_ceil(8) {
            return None;
        }
        let mut whole = [0; 16];
        whole[..prefix.len()].copy_from_slice(prefix);
        Ipv6Net::new(Ipv6Addr::from(whole), length).ok()
    }

    /// `Nov 22 2026 02:00:00 UTC`, or seconds since 1970. Of the zone abbreviations only UTC, GMT and JST mean
    /// one thing.
    fn instant(self) -> Option<Timestamp> {
        let text = match self {
            Self::Octets(_) => return in_range(Timestamp::from_second(self.number()?.into()).ok()?).ok(),
            Self::Text(text) => text,
        };
        if let Some(time) = epoch(text) {
            return Some(time);
        }
        let (civil, zone) = text.trim().rsplit_once(' ')?;
        let civil = jiff::civil::DateTime::strptime("%b %d %Y %H:%M:%S", civil.trim()).ok()?;
        abbreviated(civil, zone, None).ok()
    }

    /// RFC 2866 §5.10, by the names that `detail` files have.
    fn terminate_cause(self) -> String {
        const CAUSES: [&str; 18] = [
            "User-Request",
            "Lost-Carrier",
            "Lost-Service",
            "Idle-Timeout",
            "Session-Timeout",
            "Admin-Reset",
            "Admin-Reboot",
            "Port-Error",
            "NAS-Error",
            "NAS-Request",
            "NAS-Reboot",
            "Port-Unneeded",
            "Port-Preempted",
            "Port-Suspended",
            "Service-Unavailable",
            "Callback",
            "User-Error",
            "Host-Request",
        ];
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Octets(_) => self.number().map_or(String::new(), |number| {
                let name = usize::try_from(number).ok().and_then(|n| CAUSES.get(n.checked_sub(1)?));
                name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
            }),
        }
    }
}

/// Seconds since 1970 as text.
pub(super) fn epoch(text: &str) -> Option<Timestamp> {
    TimeFormat::Epoch.read(text, None).ok()
}

fn escaped(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 4);
    for &octet in octets {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(octet)]),
            b' '..=b'~' => text.push(char::from(octet)),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            _ => text.push_str(&format!("\\{octet:03o}")),
        }
    }
    text
}
