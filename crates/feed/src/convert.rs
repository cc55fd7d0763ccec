//! Text → value, by the type of the key. What does not fit is refused with a reason and never guessed: the same report
//! must give the same facts on every machine.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::DateTime;
use noroshi_model::{ClassificationType, Datum, Fields};
use noroshi_wire::{TimeFormat, Zone};

use crate::kind::{Kind, kind_of};

/// Why a text is no value of its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is no {what}")]
pub struct Refused {
    /// The key, or the column.
    pub key: String,
    /// What it should be, for a person.
    pub what: &'static str,
}

/// Reads `text` as a value of `kind`; `None` where it is none.
pub fn convert(kind: Kind, text: &str) -> Option<Datum<'_>> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    Some(match kind {
        Kind::Text => text.into(),
        Kind::Lower => Datum::Text(lower(text)),
        Kind::Upper => Datum::Text(upper(text)),
        Kind::Country => Datum::Text(country(text)?),
        Kind::Time => Datum::Time(time(text)?),
        Kind::Ip => Datum::Ip(ip(text)?),
        Kind::Network => Datum::Net(network(text)?),
        Kind::Fqdn => Datum::Text(fqdn(text)?),
        Kind::Url => Datum::Text(url(text)?),
        Kind::Asn => Datum::Int(asn(text)?),
        Kind::Port => Datum::Int(whole(text).filter(|port| (0..=65_535).contains(port))?),
        Kind::Int => Datum::Int(whole(text)?),
        Kind::Real => Datum::Real(text.parse().ok().filter(|n: &f64| n.is_finite())?),
        Kind::Truth => Datum::Truth(truth(text)?),
        Kind::Classification => Datum::Text(classification(text)?),
        Kind::Transport => Datum::Text(transport(text)?),
        Kind::Malware => Datum::Text(malware(text)?),
        Kind::Tlp => Datum::Text(tlp(text)?),
        Kind::Registry => Datum::Text(registry(text)?.into()),
        Kind::Json => json(text),
    })
}

/// What a person should have written.
pub fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Lower | Kind::Upper | Kind::Json => "text",
        Kind::Country => "country code of two letters",
        Kind::Time => "time",
        Kind::Ip => "IP address",
        Kind::Network => "network",
        Kind::Fqdn => "host name",
        Kind::Url => "URL",
        Kind::Asn => "AS number",
        Kind::Port => "port",
        Kind::Int => "whole number",
        Kind::Real => "number",
        Kind::Truth => "yes or no",
        Kind::Classification => "RSIT classification type",
        Kind::Transport => "transport protocol",
        Kind::Malware => "malware name",
        Kind::Tlp => "TLP mark",
        Kind::Registry => "regional registry",
    }
}

/// Sets a key from text by its type, replacing what it had; empty text sets nothing.
pub fn add<'a>(fields: &mut Fields<'a>, key: impl Into<Cow<'a, str>>, text: &'a str) -> Result<(), Refused> {
    let key = key.into();
    if text.trim().is_empty() {
        return Ok(());
    }
    let kind = kind_of(&key);
    let datum = convert(kind, text).ok_or_else(|| Refused { key: key.to_string(), what: expected(kind) })?;
    fields.put(key, datum);
    Ok(())
}

/// Sets a key from text if it reads as the key's type; says whether it did. For the optional fields of a format.
pub fn try_add<'a>(fields: &mut Fields<'a>, key: impl Into<Cow<'a, str>>, text: &'a str) -> bool {
    let key = key.into();
    let Some(datum) = convert(kind_of(&key), text) else { return false };
    fields.put(key, datum);
    true
}

/// Like [`try_add`], for text that does not outlive the call.
pub fn try_add_owned(fields: &mut Fields<'_>, key: &str, text: &str) -> bool {
    let Some(datum) = convert(kind_of(key), text) else { return false };
    fields.put(key.to_owned(), datum.into_owned());
    true
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        let upper = text.bytes().any(|b| b.is_ascii_uppercase());
        return if upper { text.to_ascii_lowercase().into() } else { text.into() };
    }
    if text.chars().any(char::is_uppercase) { text.to_lowercase().into() } else { text.into() }
}

fn upper(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_lowercase) { text.to_uppercase().into() } else { text.into() }
}

fn country(text: &str) -> Option<Cow<'_, str>> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| upper(text))
}

/// An instant. Times without a zone are UTC: every feed here says so of itself, and maps for others name the zone.
pub fn time(text: &str) -> Option<Timestamp> {
    if let Some(quick) = plain_time(text.as_bytes()) {
        return Some(quick);
    }
    if let Ok(t) = TimeFormat::Rfc3339.read(text, Some(&Zone::utc())) {
        return Some(t);
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        return civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp());
    }
    loose_time(text)
}

/// `YYYY-MM-DD HH:MM:SS` or with a `T`, and a `Z` or `+00:00` at the end: nearly every line of nearly every report.
fn plain_time(b: &[u8]) -> Option<Timestamp> {
    let tail = b.get(19..)?;
    if !(tail.is_empty() || tail == b"Z" || tail == b"+00:00") || !matches!(b[10], b' ' | b'T') {
        return None;
    }
    if b[4] != b'-' || b[7] != b'-' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    let number = |from: usize, to: usize| {
        b[from..to].iter().try_fold(0i16, |n, c| c.is_ascii_digit().then(|| n * 10 + i16::from(c - b'0')))
    };
    let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
    let civil =
        DateTime::new(number(0, 4)?, small(5)?, small(8)?, small(11)?, small(14)?, small(17)?, 0).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(civil).ok()
}

/// The other ways in which feeds write a time.
fn loose_time(text: &str) -> Option<Timestamp> {
    if let Ok(mail) = jiff::fmt::rfc2822::parse(text) {
        return Some(mail.timestamp());
    }
    const PATTERNS: [&str; 11] = [
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y/%m/%d %H:%M:%S",
        "%Y/%m/%d_%H:%M",
        "%d.%m.%Y %H:%M:%S",
        "%d-%m-%Y %H:%M:%S",
        "%a, %d %b %Y %H:%M:%S",
        "%b %d %H:%M:%S %Y",
        "%d %b %Y %H:%M:%S",
        "%d-%b-%y %H:%M:%S",
        "%a %b %d %H:%M:%S %Y",
    ];
    let text = text.trim_end_matches(" UTC").trim_end_matches(" GMT").trim_end_matches('Z');
    // The day of the week says nothing that the date does not, and servers spell it as they like (`Thur,`).
    let weekday = text.split_once(", ").filter(|(day, _)| day.chars().all(char::is_alphabetic));
    let text = weekday.map_or(text, |(_, rest)| rest);
    let civil = PATTERNS.iter().find_map(|p| DateTime::strptime(p, text).ok()).or_else(|| {
        let day = jiff::civil::Date::strptime("%Y-%m-%d", text).ok()?;
        Some(day.at(0, 0, 0, 0))
    })?;
    jiff::tz::Offset::UTC.to_timestamp(civil).ok()
}

/// An instant as text, for keys that take any: as IntelMQ writes it under `extra.`.
pub fn time_text(time: Timestamp) -> String {
    let pattern =
        if time.subsec_nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S%.6f+00:00" };
    time.strftime(pattern).to_string()
}

/// Seconds since 1970, fractions allowed.
pub fn epoch(text: &str) -> Option<Timestamp> {
    let seconds: f64 = text.trim().parse().ok().filter(|n: &f64| n.is_finite())?;
    if seconds.fract() == 0.0 {
        return Timestamp::from_second(text.trim().split('.').next()?.parse().ok()?).ok();
    }
    let micros = (seconds * 1e6).round();
    Timestamp::from_microsecond(micros as i64).ok()
}

/// An address; a prefix of full length or brackets around it are no part of it. `0.0.0.0` is nobody's.
pub fn ip(text: &str) -> Option<IpAddr> {
    address(text).filter(|ip| *ip != IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn address(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    let text = text.trim_start_matches('[').trim_end_matches(']');
    if let Some((address, length)) = text.split_once('/') {
        let ip: IpAddr = address.parse().ok()?;
        let full = if ip.is_ipv4() { "32" } else { "128" };
        return (length == full).then_some(ip);
    }
    text.parse().ok().or_else(|| padded(text))
}

/// `010.001.002.003`, as some tools pad it: decimal, never octal.
fn padded(text: &str) -> Option<IpAddr> {
    let mut parts = text.split('.').map(|part| {
        let digits = part.trim_start_matches('0');
        if part.len() > 3 || part.is_empty() { None } else { format!("0{digits}").parse::<u16>().ok() }
    });
    let mut next = || u8::try_from(parts.next()??).ok();
    let quad = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    parts.next().is_none().then_some(IpAddr::V4(quad))
}

/// A network; host bits are cleared.
pub fn network(text: &str) -> Option<IpNet> {
    let net: IpNet = if text.contains('/') { text.parse().ok()? } else { return None };
    Some(net.trunc())
}

/// A host name, lower case, without its final dot. Addresses are none.
pub fn fqdn(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim_end_matches('.');
    let label = |l: &[u8]| {
        (1..=63).contains(&l.len())
            && l.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || !b.is_ascii())
            && l[0] != b'-'
            && l[l.len() - 1] != b'-'
    };
    let host = text.len() <= 253 && text.as_bytes().split(|b| *b == b'.').all(label);
    if !host || text.bytes().last()?.is_ascii_digit() && text.parse::<Ipv4Addr>().is_ok() {
        return None;
    }
    Some(lower(text))
}

/// An absolute URL; the disguises `hxxp` and `[.]` are undone.
pub fn url(text: &str) -> Option<Cow<'_, str>> {
    let mut text = Cow::Borrowed(text);
    if text.starts_with("hxxp") || text.starts_with("hXXp") || text.starts_with("HXXP") {
        text = format!("http{}", &text[4..]).into();
    }
    if text.contains("[.]") {
        text = text.replace("[.]", ".").into();
    }
    let (scheme, rest) = text.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let named = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let blank = if rest.is_ascii() {
        rest.bytes().any(|b| b <= b' ' && char::from(b).is_whitespace())
    } else {
        rest.chars().any(char::is_whitespace)
    };
    if scheme.is_empty() || !named || host.is_empty() || blank {
        return None;
    }
    Some(text)
}

/// The host of a URL, without user, port and brackets.
pub fn host_of(url: &str) -> Option<&str> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(six) = host.strip_prefix('[') {
        return six.split_once(']').map(|(address, _)| address);
    }
    Some(host.split_once(':').map_or(host, |(name, _)| name)).filter(|host| !host.is_empty())
}

fn asn(text: &str) -> Option<i64> {
    let digits = text.trim_start_matches(['A', 'S', 'a', 's']).trim();
    let digits = digits.split([',', ' ']).next()?;
    digits.parse::<u32>().ok().filter(|n| *n > 0).map(i64::from)
}

fn whole(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn truth(text: &str) -> Option<bool> {
    const YES: [&str; 6] = ["true", "y", "yes", "1", "enabled", "on"];
    const NO: [&str; 6] = ["false", "n", "no", "0", "disabled", "off"];
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&YES) { Some(true) } else { is(&NO).then_some(false) }
}

/// A type by its name; older versions of IntelMQ had other names for some.
fn classification(text: &str) -> Option<Cow<'_, str>> {
    let name = lower(text);
    if ClassificationType::parse(&name).is_some() {
        return Some(name);
    }
    Some(Cow::Borrowed(match name.as_ref() {
        "botnet drone" | "infected system" | "ransomware" => "infected-system",
        "ids alert" => "ids-alert",
        "c&c" | "c2server" => "c2-server",
        "malware configuration" => "malware-configuration",
        "leak" => "data-leak",
        "vulnerable client" | "vulnerable service" => "vulnerable-system",
        "dga domain" => "dga-domain",
        "unknown" => "undetermined",
        _ => return None,
    }))
}

/// IANA protocol numbers that feeds write instead of names.
fn transport(text: &str) -> Option<Cow<'_, str>> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let name = match text {
            "0" => "hopopt",
            "1" => "icmp",
            "2" => "igmp",
            "3" => "ggp",
            "4" => "ipencap",
            "6" => "tcp",
            "8" => "egp",
            "11" => "nvp-ii",
            "17" => "udp",
            "33" => "dccp",
            "41" => "ipv6",
            "43" => "ipv6-route",
            "44" => "ipv6-frag",
            "46" => "rsvp",
            "47" => "gre",
            "50" => "esp",
            "51" => "ah",
            "58" => "ipv6-icmp",
            "59" => "ipv6-nonxt",
            "60" => "ipv6-opts",
            "88" => "eigrp",
            "89" => "ospf",
            "94" => "ipip",
            "103" => "pim",
            "108" => "ipcomp",
            "112" => "vrrp",
            "115" => "l2tp",
            "132" => "sctp",
            "136" => "udplite",
            _ => return None,
        };
        return Some(name.into());
    }
    let word = text.len() <= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+./".contains(&b));
    word.then(|| lower(text))
}

fn malware(text: &str) -> Option<Cow<'_, str>> {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Some(lower(text));
    }
    let printable: String = text.chars().filter(|c| (' '..='~').contains(c)).collect();
    (!printable.is_empty()).then(|| printable.to_ascii_lowercase().into())
}

fn tlp(text: &str) -> Option<Cow<'_, str>> {
    let mark = text.to_ascii_uppercase();
    let mark = mark.trim_start_matches("TLP").trim_start_matches([':', '-', ' ']);
    matches!(mark, "RED" | "AMBER" | "AMBER+STRICT" | "GREEN" | "WHITE" | "CLEAR")
        .then(|| mark.to_owned().into())
}

fn registry(text: &str) -> Option<&'static str> {
    ["AFRINIC", "APNIC", "ARIN", "LACNIC", "RIPE"].into_iter().find(|name| {
        text.eq_ignore_ascii_case(name) || (*name == "RIPE" && text.to_ascii_uppercase().starts_with("RIPE"))
    })
}

fn json(text: &str) -> Datum<'_> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) if value.is_array() || value.is_object() => Datum::Json(value),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_feeds_write_them() {
        for text in [
            "2019-09-04 07:00:19",
            "2019-09-04T07:00:19Z",
            "2019-09-04 07:00:19+00:00",
            "Wed, 04 Sep 2019 07:00:19 +0000",
            "2019-09-04T09:00:19+02:00",
            "2019-09-04 07:00:19 UTC",
            "Sep 04 07:00:19 2019 GMT",
            "Weds, 04 Sep 2019 07:00:19 GMT",
            "Wednesday, 04-Sep-19 07:00:19 GMT",
        ] {
            assert_eq!(time(text).map(|t| t.to_string()).as_deref(), Some("2019-09-04T07:00:19Z"), "{text}");
        }
        assert_eq!(time("2013-12-04T00:00Z"), time("2013-12-04"));
        assert_eq!(time("2019-13-04 07:00:19"), None);
        assert_eq!(epoch("1441008970").unwrap().to_string(), "2015-08-31T08:16:10Z");
        assert_eq!(epoch("1484041530.5").unwrap().to_string(), "2017-01-10T09:45:30.5Z");
    }

    #[test]
    fn hosts_addresses_and_links() {
        assert_eq!(ip("010.001.002.003"), ip("10.1.2.3"));
        assert_eq!(ip("10.0.0.0/24"), None);
        assert!(fqdn("192.0.2.1").is_none() && fqdn("a b").is_none());
        assert_eq!(fqdn("WWW.Example.COM.").as_deref(), Some("www.example.com"));
        assert_eq!(url("hxxp://evil[.]example/x").as_deref(), Some("http://evil.example/x"));
        assert_eq!(url("example.com/x"), None);
        assert_eq!(host_of("http://u:p@[2001:db8::1]:80/x"), Some("2001:db8::1"));
        assert_eq!(asn("AS64496"), Some(64_496));
    }
}
