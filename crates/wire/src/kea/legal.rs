//! Kea's forensic log (the hook `legal_log`), as it writes by default: a line for each lease given, renewed and ended.
//!
//! ```text
//!   2026-11-22 20:07:03 JST Address: 198.51.100.20 has been assigned for 1 hrs 0 mins 0 secs to a device with hardware
//!   address: hwtype=1 00:53:00:00:00:14, client-id: … connected via relay at address: 192.0.2.9, identified by
//!   circuit-id: 70:6f:6e (pon) and remote-id: 00:ff
//! ```
//!
//! What is in parentheses the client or relay wrote. A device may call itself `remote-id: 00:01`, so ids are read in order,
//! and what is shown of one is passed over by its length.

use std::io::Read;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use noroshi_law::Sealed;
use serde::{Deserialize, Serialize};

use crate::assignment::{Assignment, Change, Given, sealed_line};
use crate::dhcp::{Ids, LINE_BYTES_MAX, LeaseFormat, hex};
use crate::lines::{Encoding, Lines, LinesError};
use crate::radius::{BadSealed, slot};
use crate::time::{TimeFormat, Zone, abbreviated};

/// How such a log is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct KeaLegalFormat {
    /// Whose it is, and what names a line.
    pub leases: LeaseFormat,
    /// The zone whose abbreviations the times carry; not needed for UTC, GMT and JST.
    pub zone: Option<Zone>,
}

/// The entries of a log; made by [`read_kea_legal`].
#[derive(Debug)]
pub struct KeaLegal<R> {
    lines: Lines<R>,
    format: KeaLegalFormat,
}

/// Reads a forensic log from its beginning. The outer error ends it; a bad line does not.
pub fn read_kea_legal<R: Read>(reader: R, format: &KeaLegalFormat) -> KeaLegal<R> {
    let lines = Lines::new(reader, Encoding::default()).with_limit(LINE_BYTES_MAX);
    KeaLegal { lines, format: format.clone() }
}

impl<R: Read> KeaLegal<R> {
    /// Bytes consumed so far: where the next line starts.
    pub fn offset(&self) -> u64 {
        self.lines.offset()
    }
}

impl<R: Read> Iterator for KeaLegal<R> {
    type Item = Result<Result<Vec<Sealed<Assignment>>, BadSealed>, LinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.lines.next()?;
        Some(item.map(|item| {
            sealed_line(item, |line| match line.text.as_str() {
                "" => Ok(Vec::new()),
                text => entry(text, line.number, &self.format).map(|told| vec![told]),
            })
        }))
    }
}

/// What an entry says that was done.
struct Deed<'a> {
    change: Change,
    given: Option<IpNet>,
    /// From the lifetime on.
    rest: &'a str,
}

fn entry(text: &str, line: u64, format: &KeaLegalFormat) -> Result<Assignment, String> {
    let (at, text) = time(text, format.zone.as_ref())?;
    let deed = deed(text)?;
    let until = match (deed.change, lifetime_s(deed.rest)?) {
        (Change::Start | Change::Interim, Some(seconds)) => {
            Some(at.checked_add(SignedDuration::from_secs(seconds)).map_err(|_| "the duration is no time")?)
        }
        _ => None,
    };
    let whom = ids(deed.rest)?.whom(&format.leases.line);
    let named = whom.is_some() || deed.change == Change::Stop && deed.given.is_some();
    if !named {
        return Err("none of the declared ids is there: whose lease is it?".into());
    }
    Ok(Assignment {
        change: deed.change,
        given: deed.given.map(|net| Given { net, ports: None }),
        whom,
        at,
        until,
        began: None,
        server: format.leases.server.clone(),
        session: None,
        clock_offset_s: None,
        line,
    })
}

/// `2026-11-22 20:07:03 JST`, `… +0900`, and what follows.
fn time<'a>(text: &'a str, zone: Option<&Zone>) -> Result<(Timestamp, &'a str), String> {
    const SHAPE: &str = "the line does not begin with a time and its zone, as `2026-11-22 20:07:03 JST`";
    let (civil, rest) = text.split_at_checked(19).ok_or(SHAPE)?;
    let (name, rest) = rest.strip_prefix(' ').and_then(|rest| rest.split_once(' ')).ok_or(SHAPE)?;
    let time = if name.starts_with(['+', '-']) {
        TimeFormat::Rfc3339.read(&format!("{civil}{name}"), None)
    } else {
        abbreviated(civil.parse().map_err(|_| SHAPE)?, name, zone)
    };
    Ok((time.map_err(|e| e.to_string())?, rest))
}

fn deed(text: &str) -> Result<Deed<'_>, String> {
    const UNKNOWN: &str = "no entry that Kea writes by default";
    if let Some((kind, rest)) = text.split_once(':')
        && matches!(kind, "Address" | "Prefix")
    {
        let (net, rest) = rest.trim_start().split_once(" has been ").ok_or(UNKNOWN)?;
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let change = match verb {
            "assigned" => Change::Start,
            "renewed" | "rebound" => Change::Interim,
            "released" | "declined" | "expired" => Change::Stop,
            _ => return Err(UNKNOWN.into()),
        };
        return Ok(Deed { change, given: Some(net_of(net)?), rest });
    }
    let text = text.strip_prefix("Administrator ").or(text.strip_prefix("HA partner ")).ok_or(UNKNOWN)?;
    let commands = [
        ("added a lease of ", Change::Start),
        ("updated information on the lease of ", Change::Interim),
        ("deleted the lease for ", Change::Stop),
    ];
    for (command, change) in commands {
        if let Some(rest) = text.strip_prefix(command) {
            let (_, rest) = rest.split_once(": ").ok_or(UNKNOWN)?;
            let (net, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            return Ok(Deed { change, given: Some(net_of(net)?), rest });
        }
    }
    // Every lease of a device: which addresses these were, it does not say.
    let rest = text.strip_prefix("deleted a lease for a device identified by: ").ok_or(UNKNOWN)?;
    Ok(Deed { change: Change::Stop, given: None, rest })
}

fn net_of(text: &str) -> Result<IpNet, String> {
    let text = text.trim().trim_end_matches(',');
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip.to_canonical()));
    }
    let net: IpNet = text.parse().map_err(|_| "the address or prefix is none")?;
    slot(net).map(|_| net.trunc()).ok_or_else(|| "the prefix is shorter than /48".into())
}

/// `for 1 days 0 hrs 52 min 15 secs`, `for 600 seconds`; `None` where there is none, or `infinite duration`.
fn lifetime_s(rest: &str) -> Result<Option<i64>, String> {
    let stated = rest.strip_prefix("for ").or_else(|| rest.rsplit_once(" for ").map(|(_, stated)| stated));
    let mut words = stated.unwrap_or_default().split_ascii_whitespace();
    let mut seconds = None;
    while let Some(number) = words.next() {
        let Ok(number) = number.parse::<i64>() else { break };
        let unit = match words.next().unwrap_or_default().trim_end_matches(',') {
            "day" | "days" => 86_400,
            "hr" | "hrs" | "hours" => 3600,
            "min" | "mins" | "minutes" => 60,
            "sec" | "secs" | "seconds" => 1,
            _ => break,
        };
        let more = number.checked_mul(unit).ok_or("the duration is no time")?;
        seconds = Some(seconds.unwrap_or(0i64).checked_add(more).ok_or("the duration is no time")?);
    }
    Ok(seconds)
}

/// Reads the ids in order.
fn ids(text: &str) -> Result<Ids, String> {
    const LABELS: [&str; 8] = [
        "hardware address: ",
        "hw-address of ",
        "client-id: ",
        "DUID: ",
        "duid of ",
        "circuit-id: ",
        "remote-id: ",
        "subscriber-id: ",
    ];
    const INTERFACE: &str = "interface-id: ";
    let mut ids = Ids::default();
    // A lease's own context may hold anything.
    let mut left = text.split_once('{').map_or(text, |(before, _)| before);
    loop {
        let labels = LABELS.iter().chain([&INTERFACE]);
        let next = labels.filter_map(|label| left.find(label).map(|at| (at, *label))).min();
        let Some((at, label)) = next else { return Ok(ids) };
        left = &left[at + label.len()..];
        if let Some(rest) = left.strip_prefix("hwtype=") {
            left = rest.split_once(' ').map_or("", |(_, rest)| rest);
        }
        let end = left.find(|c: char| !c.is_ascii_hexdigit() && c != ':').unwrap_or(left.len());
        let octets = hex(&left[..end]).filter(|octets| !octets.is_empty()).ok_or("an id is no hex")?;
        left = &left[end..];
        if let Some(shown) = left.strip_prefix(" (") {
            let hardware = matches!(label, "hardware address: " | "hw-address of ");
            let length = if hardware { shown.find(')') } else { Some(octets.len()) };
            let after = length.and_then(|length| shown.get(length..)?.strip_prefix(')'));
            left = after.ok_or("what is shown of an id is not as long as the id")?;
        }
        let place = match label {
            "hardware address: " | "hw-address of " => &mut ids.hardware,
            "client-id: " | "DUID: " | "duid of " => &mut ids.client,
            "circuit-id: " | INTERFACE => &mut ids.circuit,
            "remote-id: " => &mut ids.remote,
            _ => &mut ids.subscriber,
        };
        place.get_or_insert(octets);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::assignment::Whom;

    const V4: &str = "2026-11-22 20:07:03 JST Address: 198.51.100.20 has been renewed for 1 hrs 52 min 15 secs to a device with \
        hardware address: hwtype=1 00:53:00:02:3f:4e, client-id: 17:34:e2:ff:09:92:54 connected via relay at address: \
        192.0.2.33, identified by circuit-id: 68:6f:77:64:79 (howdy) and remote-id: 87:f6:79:77:ef";
    const V6: &str = "2026-11-22 11:07:03 UTC Prefix:2001:db8:12:3400::/56 has been assigned for 0 hrs 11 mins 53 secs to a \
        device with DUID: 17:34:e2:ff:09:92:54 and hardware address: hwtype=1 00:53:00:02:3f:4e (from Raw Socket) connected via \
        relay at address: fe80::abcd for client on link address: 2001:db8::1, hop count: 1, identified by remote-id: \
        01:02:03:04:0a:0b and subscriber-id: 1a:2b:3c:4d:5e:6f";

    fn read(text: &str) -> Result<Assignment, String> {
        entry(text, 1, &KeaLegalFormat::default())
    }

    fn line(text: &str) -> String {
        match read(text).unwrap().whom {
            Some(Whom::Line(line)) => line,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_renewal_says_who_until_when_and_by_which_line() {
        let renewed = read(V4).unwrap();
        assert_eq!((renewed.change, line(V4).as_str()), (Change::Interim, "87:f6:79:77:ef"));
        assert_eq!(renewed.given.unwrap().net.to_string(), "198.51.100.20/32");
        assert_eq!(renewed.at.to_string(), "2026-11-22T11:07:03Z");
        assert_eq!(renewed.until.unwrap().to_string(), "2026-11-22T12:59:18Z");
        assert_eq!(line(V4.split_once(" and remote-id").unwrap().0), "howdy");
        assert_eq!(line(V4.split_once(" connected").unwrap().0), "17:34:e2:ff:09:92:54");
        assert_eq!(line(V4.split_once(", client-id").unwrap().0), "00:53:00:02:3f:4e");
    }

    #[test]
    fn prefixes_are_assigned_and_released() {
        let assigned = read(V6).unwrap();
        assert_eq!((assigned.change, line(V6).as_str()), (Change::Start, "01:02:03:04:0a:0b"));
        assert_eq!(assigned.given.unwrap().net.to_string(), "2001:db8:12:3400::/56");
        assert_eq!(assigned.until.unwrap().to_string(), "2026-11-22T11:18:56Z");
        let released = V6.replace("assigned for 0 hrs 11 mins 53 secs to", "released from");
        let released = read(&released).unwrap();
        assert_eq!((released.change, released.until), (Change::Stop, None));
    }

    #[test]
    fn what_administrators_and_partners_do_is_read_too() {
        let added = "2026-11-22 11:07:03 GMT Administrator added a lease of address: 198.51.100.9 to a device with hardware \
            address: 00:53:00:1d:1e:1f for 1 days 0 hrs 0 mins 0 secs";
        let told = read(added).unwrap();
        assert_eq!((told.change, line(added).as_str()), (Change::Start, "00:53:00:1d:1e:1f"));
        assert_eq!(told.until.unwrap().to_string(), "2026-11-23T11:07:03Z");
        let updated =
            added.replace("Administrator added a lease", "HA partner updated information on the lease");
        assert_eq!(read(&updated).unwrap().change, Change::Interim);
        let deleted =
            read("2026-11-22 11:07:03 UTC Administrator deleted the lease for address: 198.51.100.9")
                .unwrap();
        assert_eq!((deleted.change, deleted.whom), (Change::Stop, None));
        let of =
            "2026-11-22 11:07:03 UTC Administrator deleted a lease for a device identified by: duid of 1a:1b";
        assert_eq!((read(of).unwrap().given, line(of).as_str()), (None, "1a:1b"));
        let infinite = V4.replace("1 hrs 52 min 15 secs", "infinite duration");
        assert_eq!(read(&infinite).unwrap().until, None);
    }

    #[test]
    fn a_device_that_calls_itself_another_line_is_not_believed() {
        // "remote-id: 00:01" as a client id.
        let forged = "client-id: 72:65:6d:6f:74:65:2d:69:64:3a:20:30:30:3a:30:31 (remote-id: 00:01)";
        let text = V4.replace("client-id: 17:34:e2:ff:09:92:54", forged);
        assert_eq!(line(&text), "87:f6:79:77:ef");
        assert!(line(text.split_once(" connected").unwrap().0).starts_with("72:65:6d"));
        let cut = text.replace("00:01)", "00:01");
        assert_eq!(read(&cut).unwrap_err(), "what is shown of an id is not as long as the id");
    }

    #[test]
    fn times_and_entries_that_are_not_keas_are_refused_without_their_values() {
        let tokyo = V4.replace("JST", "CET");
        assert!(read(&tokyo).unwrap_err().contains("declare `zone`"));
        let berlin =
            KeaLegalFormat { zone: Zone::try_from("Europe/Berlin".to_owned()).ok(), ..Default::default() };
        assert_eq!(entry(&tokyo, 1, &berlin).unwrap().at.to_string(), "2026-11-22T19:07:03Z");
        for (from, to) in [
            ("has been renewed", "was secret"),
            ("198.51.100.20", "secret"),
            ("2026-11-22", "22/11/2026"),
            ("68:6f:77:64:79", "secret"),
            ("52 min", "9223372036854775807 min"),
        ] {
            let reason = read(&V4.replace(from, to)).unwrap_err();
            assert!(!reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn a_log_is_read_line_by_line() {
        let text = format!("{V4}\n\nnoise\n{V6}\n");
        let mut log = read_kea_legal(text.as_bytes(), &KeaLegalFormat::default());
        let told: Vec<_> =
            log.by_ref().map(|line| line.unwrap().map(|told| told.len()).map_err(|bad| bad.line)).collect();
        assert_eq!(told, [Ok(1), Ok(0), Err(3), Ok(1)]);
        assert_eq!(log.offset(), text.len() as u64);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in ".{0,80}", cut in 0usize..600, more in "[(): a-f0-9{é]{0,20}") {
            let _ = read(&text);
            for sample in [V4, V6] {
                let cut = sample.floor_char_boundary(cut);
                let _ = read(&format!("{}{more}{}", &sample[..cut], &sample[cut..]));
                let _ = read(&format!("{}{text}", &sample[..cut]));
            }
        }
    }
}
