//! One accounting record with its meaning, sealed, and what it tells about the clock of its access server.
//!
//! `Timestamp` is the accounting server's own clock, and `Acct-Delay-Time` (RFC 2866 §5.2) says how long the
//! packet was on its way, so the event was at `Timestamp − Acct-Delay-Time`. `Event-Timestamp` (RFC 2869
//! §5.3) is the access server's own account of the same instant; no delay is added to it, and the difference
//! is its clock's error.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use jiff::{SignedDuration, Timestamp};
use noroshi_law::{Lockable, Sealed};
use noroshi_model::intake::Bad;
use serde::{Deserialize, Serialize};

use super::detail::{Detail, DetailRecords};
use super::meaning;
use crate::lines::LinesError;

/// A packet that claims a longer way than 30 days tells nothing about when its event was.
pub const DELAY_S_MAX: u32 = 30 * 24 * 3600;

/// Prefix lengths under which an IPv6 address or prefix is stored: subscribers are given whole nibbles from
/// /48 to /64.
const V6_SLOT_LENGTHS: [u8; 6] = [128, 64, 60, 56, 52, 48];

/// Acct-Status-Type (RFC 2866 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A session began.
    Start,
    /// A session goes on.
    Interim,
    /// A session ended.
    Stop,
    /// The access server starts; every session it had is over.
    On,
    /// The access server stops; every session it had is over.
    Off,
}

/// One accounting record. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    /// What is reported.
    pub status: Status,
    /// The access server: NAS-IP-Address, else NAS-IPv6-Address, else NAS-Identifier.
    pub nas: String,
    /// Acct-Session-Id; unique only per access server. `None` only with On and Off.
    pub session: Option<String>,
    /// User-Name.
    pub user: Option<String>,
    /// What the subscriber was given: Framed-IP-Address as /32, Framed-IPv6-Address as /128,
    /// Framed-IPv6-Prefix and Delegated-IPv6-Prefix of /48 or longer.
    pub framed: Vec<IpNet>,
    /// Acct-Session-Time in seconds.
    pub session_time_s: Option<u32>,
    /// Acct-Delay-Time in seconds.
    pub delay_s: u32,
    /// When the accounting server received the packet, by its clock.
    pub received: Timestamp,
    /// When the event was by the access server's clock (Event-Timestamp).
    pub nas_time: Option<Timestamp>,
    /// Whether there is an Event-Timestamp that cannot be read as an instant, such as one in an unknown zone.
    pub nas_time_unread: bool,
    /// Line of the record in its file, from 1. Not part of the record at rest: the same record in another file is the same record.
    #[serde(skip)]
    pub line: u64,
    /// Acct-Terminate-Cause.
    pub terminate_cause: Option<String>,
    /// Whether the packet came by way of a proxy, so that another copy of it may exist.
    pub proxied: bool,
}

impl fmt::Debug for Accounting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accounting({:?}, line {}, ‹redacted›)", self.status, self.line)
    }
}

impl Accounting {
    /// When the event was, by the accounting server's clock: received less delay (RFC 2866 §5.2).
    pub fn at(&self) -> Timestamp {
        self.received.checked_sub(SignedDuration::from_secs(self.delay_s.into())).unwrap_or(Timestamp::MIN)
    }

    /// How far the access server's clock is ahead of the accounting server's (negative: behind), in seconds.
    pub fn clock_offset_s(&self) -> Option<i64> {
        self.nas_time.map(|nas| nas.as_second() - self.at().as_second())
    }

    /// Whether the session was given this address. A slot may be wider than what was given, so ask this after
    /// a look-up.
    pub fn covers(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.framed.iter().any(|net| net.contains(&ip))
    }
}

impl Lockable for Accounting {
    const KIND: &'static str = "radius-accounting";

    fn slots(&self) -> Vec<String> {
        let mut slots: Vec<String> = match self.status {
            Status::On | Status::Off => vec![format!("nas:{}", self.nas)],
            _ => self.framed.iter().filter_map(|net| slot(*net)).collect(),
        };
        slots.sort();
        slots.dedup();
        slots
    }

    fn at(&self) -> Timestamp {
        self.at()
    }
}

/// The one slot of a prefix: `net:198.51.100.7/32`; for IPv6 the longest of /128, 64, 60, 56, 52, 48 that
/// holds all of it (`net:2001:db8:12:3400::/56`). `None` for shorter prefixes, which are no subscriber's.
pub fn slot(net: IpNet) -> Option<String> {
    match net {
        IpNet::V4(net) => (net.prefix_len() == 32).then(|| format!("net:{}/32", net.addr())),
        IpNet::V6(net) => {
            let length = V6_SLOT_LENGTHS.into_iter().find(|length| *length <= net.prefix_len())?;
            Some(format!("net:{}", Ipv6Net::new(net.addr(), length).ok()?.trunc()))
        }
    }
}

/// Every slot under which a session that was given this address may be stored: one for IPv4, six for IPv6.
pub fn slots_of(ip: IpAddr) -> Vec<String> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => vec![format!("net:{ip}/32")],
        IpAddr::V6(ip) => V6_SLOT_LENGTHS
            .into_iter()
            .filter_map(|length| Ipv6Net::new(ip, length).ok())
            .map(|net| format!("net:{}", net.trunc()))
            .collect(),
    }
}

/// What a record tells about an access server's clock, without telling about anybody's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockSample {
    /// The access server.
    pub nas: String,
    /// Seconds its clock is ahead; `None` where it states no time that can be read.
    pub offset_s: Option<i64>,
    /// When the packet was received.
    pub received: Timestamp,
    /// Whether it states a time that cannot be read.
    pub unread: bool,
}

impl ClockSample {
    pub(super) fn of(record: &Accounting) -> Self {
        Self {
            nas: record.nas.clone(),
            offset_s: record.clock_offset_s(),
            received: record.received,
            unread: record.nas_time_unread,
        }
    }
}

/// A record that could not be used; its content stays sealed.
#[derive(Debug)]
pub struct BadSealed {
    /// Its first line, from 1.
    pub line: u64,
    /// What is wrong, without any of its values.
    pub reason: String,
    /// Its beginning, as read.
    pub raw: Sealed<Vec<u8>>,
    /// Its whole length in bytes.
    pub bytes: u64,
}

impl From<Bad> for BadSealed {
    fn from(bad: Bad) -> Self {
        Self { line: bad.line, reason: bad.reason, raw: Sealed::new(bad.snippet), bytes: bad.bytes }
    }
}

impl fmt::Display for BadSealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} ({} bytes)", self.line, self.reason, self.bytes)
    }
}

/// Reads a `detail` file from its beginning. The outer error ends it; a bad record does not.
pub fn read_detail<R: Read>(reader: R) -> Details<R> {
    Details::resumed(reader, 0, 0)
}

/// The accounting records of a `detail` file; made by [`read_detail`].
#[derive(Debug)]
pub struct Details<R> {
    records: DetailRecords<R>,
}

impl<R: Read> Details<R> {
    /// Reads on in a file: the reader stands at byte `position`, after `lines` whole lines.
    pub fn resumed(reader: R, position: u64, lines: u64) -> Self {
        Self { records: DetailRecords::new(reader, position, lines) }
    }

    /// Bytes consumed so far: where the next record starts. Ask before each record to be able to come back to
    /// one that was still being written.
    pub fn offset(&self) -> u64 {
        self.records.offset()
    }

    /// Physical lines consumed so far.
    pub fn lines(&self) -> u64 {
        self.records.lines_before()
    }

    /// The next record, not yet under seal if it is good.
    pub(super) fn read(&mut self) -> Option<Result<Result<Accounting, BadSealed>, LinesError>> {
        Some(self.records.next()?.map(|detail| accounting(&detail).map_err(|reason| bad(detail, reason))))
    }
}

impl<R: Read> Iterator for Details<R> {
    type Item = Result<Result<(Sealed<Accounting>, ClockSample), BadSealed>, LinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.read()?.map(|record| record.map(sealed)))
    }
}

pub(super) fn sealed(record: Accounting) -> (Sealed<Accounting>, ClockSample) {
    let sample = ClockSample::of(&record);
    (Sealed::new(record), sample)
}

fn bad(detail: Detail, reason: String) -> BadSealed {
    BadSealed { line: detail.line, reason, raw: Sealed::new(detail.raw), bytes: detail.bytes }
}

/// The record's meaning, or a reason that names the attribute and never its value.
fn accounting(detail: &Detail) -> Result<Accounting, String> {
    if let Some(fault) = &detail.fault {
        return Err(fault.clone());
    }
    let received = detail.one_named("Timestamp")?.ok_or("Timestamp is missing")?;
    meaning::accounting(detail, meaning::epoch(received).ok_or("Timestamp is no time")?, detail.line)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const START: [&str; 12] = [
        "Acct-Status-Type = Start",
        "User-Name = \"sub000123@example.ne.jp\"",
        "Acct-Session-Id = \"0000A1B2-66C0\"",
        "NAS-IP-Address = 192.0.2.1",
        "NAS-Port-Id = \"eth 1/1/1:100.200\"",
        "Framed-IP-Address = 198.51.100.77",
        "Delegated-IPv6-Prefix = 2001:db8:12:3400::/56",
        "Acct-Session-Time = 0",
        "Acct-Delay-Time = 2",
        "Proxy-State = 0x31",
        "Event-Timestamp = \"Nov 22 2026 02:00:00 UTC\"",
        "Timestamp = 1795345672",
    ];

    fn text(attributes: &[&str]) -> String {
        let lines: String = attributes.iter().map(|line| format!("\t{line}\n")).collect();
        format!("Sun Nov 22 11:07:52 2026\n{lines}\n")
    }

    fn read(attributes: &[&str]) -> Result<Accounting, String> {
        let text = text(attributes);
        accounting(&DetailRecords::new(text.as_bytes(), 0, 0).next().unwrap().unwrap())
    }

    /// START with the attribute of that name replaced, or left out where the replacement is empty.
    fn with(replacement: &str, name: &str) -> Result<Accounting, String> {
        let kept = |line: &&&str| !line.starts_with(&format!("{name} "));
        let mut attributes: Vec<&str> = START.iter().filter(kept).copied().collect();
        if !replacement.is_empty() {
            attributes.insert(0, replacement);
        }
        read(&attributes)
    }

    #[test]
    fn a_start_is_read_with_its_meaning() {
        let start = read(&START).unwrap();
        assert_eq!(start.status, Status::Start);
        assert_eq!((start.nas.as_str(), start.session.as_deref()), ("192.0.2.1", Some("0000A1B2-66C0")));
        assert_eq!(
            start.framed.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["198.51.100.77/32", "2001:db8:12:3400::/56"]
        );
        assert_eq!((start.delay_s, start.session_time_s, start.proxied), (2, Some(0), true));
        assert_eq!(start.at().to_string(), "2026-11-22T11:07:50Z");
        assert_eq!(start.slots(), ["net:198.51.100.77/32", "net:2001:db8:12:3400::/56"]);
        assert_eq!(format!("{start:?}"), "Accounting(Start, line 1, ‹redacted›)");
    }

    #[test]
    fn an_access_server_nine_hours_off_shows_in_its_clock_sample() {
        let text = text(&START);
        let (record, sample) = read_detail(text.as_bytes()).next().unwrap().unwrap().unwrap();
        assert_eq!(format!("{record:?}"), "‹sealed›");
        assert_eq!(
            (sample.nas.as_str(), sample.offset_s, sample.unread),
            ("192.0.2.1", Some(-(9 * 3600 + 7 * 60 + 50)), false)
        );
    }

    #[test]
    fn only_zone_abbreviations_that_mean_one_thing_are_read() {
        let nas_time = |zone: &str| {
            let read = with(&format!("Event-Timestamp = \"Nov  2 2026 20:07:50 {zone}\""), "Event-Timestamp")
                .unwrap();
            (read.nas_time.map(|time| time.to_string()), read.nas_time_unread)
        };
        assert_eq!(nas_time("JST"), (Some("2026-11-02T11:07:50Z".into()), false));
        assert_eq!(nas_time("GMT"), (Some("2026-11-02T20:07:50Z".into()), false));
        assert_eq!(nas_time("CST"), (None, true));
        let epoch = with("Event-Timestamp = 1795345670", "Event-Timestamp").unwrap();
        assert_eq!(epoch.clock_offset_s(), Some(0));
        let silent = with("", "Event-Timestamp").unwrap();
        assert_eq!((silent.clock_offset_s(), silent.nas_time_unread), (None, false));
    }

    #[test]
    fn a_record_without_what_it_needs_is_bad() {
        for name in ["Acct-Status-Type", "Acct-Session-Id", "NAS-IP-Address", "Timestamp"] {
            assert!(with("", name).unwrap_err().contains("missing"), "{name}");
        }
        for (line, name) in [
            ("Acct-Status-Type = Tunnel-Start", "Acct-Status-Type"),
            ("Framed-IP-Address = secret", "Framed-IP-Address"),
            ("Delegated-IPv6-Prefix = 2001:db8::/40", "Delegated-IPv6-Prefix"),
            ("Acct-Delay-Time = 99999999", "Acct-Delay-Time"),
            ("Timestamp = 12", "Timestamp"),
            ("NAS-IP-Address = secret", "NAS-IP-Address"),
        ] {
            let reason = with(line, name).unwrap_err();
            assert!(reason.contains(name) && !reason.contains("secret"), "{reason}");
        }
    }

    #[test]
    fn accounting_on_needs_no_session_and_is_found_by_its_server() {
        let on = read(&[
            "Acct-Status-Type = Accounting-On",
            "NAS-Identifier = \"bras1\"",
            "Timestamp = 1795345672",
        ])
        .unwrap();
        assert_eq!((on.session.as_deref(), on.slots()), (None, vec!["nas:bras1".to_owned()]));
    }

    #[test]
    fn addresses_that_nobody_was_given_are_left_out() {
        for ip in ["0.0.0.0", "255.255.255.254", "255.255.255.255"] {
            let record = with(&format!("Framed-IP-Address = {ip}"), "Framed-IP-Address").unwrap();
            assert_eq!(record.framed.len(), 1);
        }
    }

    #[test]
    fn an_address_is_asked_for_under_a_bounded_list_of_slots() {
        assert_eq!(slots_of("::ffff:198.51.100.77".parse().unwrap()), ["net:198.51.100.77/32"]);
        assert_eq!(
            slots_of("2001:db8:12:34ff:1::9".parse().unwrap()),
            [
                "net:2001:db8:12:34ff:1::9/128",
                "net:2001:db8:12:34ff::/64",
                "net:2001:db8:12:34f0::/60",
                "net:2001:db8:12:3400::/56",
                "net:2001:db8:12:3000::/52",
                "net:2001:db8:12::/48"
            ]
        );
    }

    #[test]
    fn the_recorded_files_are_read_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/radius");
        let Ok(files) = std::fs::read_dir(folder) else {
            let _unread = std::io::stderr().write_all(b"skipped: no testdata/radius\n");
            return;
        };
        let mut read = 0;
        for file in files
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "txt"))
        {
            let text = std::fs::read(&file).unwrap();
            let mut details = read_detail(&text[..]);
            for record in details.by_ref() {
                if let Err(bad) = record.unwrap() {
                    println!("{}: {bad}", file.display());
                } else {
                    read += 1;
                }
            }
            assert_eq!(details.offset(), text.len() as u64);
        }
        println!("{read} records read");
        assert!(read > 0, "the recordings are there, but nothing was read");
    }

    #[test]
    fn reading_resumes_between_records() {
        let text = text(&START).repeat(3);
        let mut first = read_detail(text.as_bytes());
        first.next();
        let rest = &text.as_bytes()[first.offset() as usize..];
        let mut second = Details::resumed(rest, first.offset(), first.lines());
        assert_eq!(second.by_ref().filter(|record| matches!(record, Ok(Ok(_)))).count(), 2);
        assert_eq!(second.offset(), text.len() as u64);
    }

    proptest! {
        #[test]
        fn whatever_was_given_is_found_by_any_address_in_it(
            ip: std::net::Ipv6Addr, length in 48u8..=128, host: u128,
        ) {
            let net = Ipv6Net::new(ip, length).unwrap().trunc();
            let host = host & u128::from(net.hostmask());
            let inside = std::net::Ipv6Addr::from(u128::from(net.addr()) | host);
            let found = slots_of(inside.into()).contains(&slot(net.into()).unwrap());
            prop_assert!(found || IpAddr::V6(inside).to_canonical().is_ipv4());
        }

        #[test]
        fn a_record_reads_back_from_what_the_vault_keeps(
            session in "[0-9A-F]{1,16}", delay in 0u32..DELAY_S_MAX,
        ) {
            let mut record = read(&START).unwrap();
            record.session = Some(session);
            record.delay_s = delay;
            record.line = 0;
            let kept = serde_json::to_vec(&record).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Accounting>(&kept).unwrap(), record);
        }

        #[test]
        fn no_value_makes_it_panic(values in prop::collection::vec("[ -~]{0,40}", 12)) {
            let lines: Vec<String> = START.iter().zip(&values)
                .map(|(line, value)| format!("{} = {value}", line.split(' ').next().unwrap())).collect();
            let _ = read(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
