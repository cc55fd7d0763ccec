//! What was seen: each row of a log or feed becomes an event, or is left out by a named rule, or goes to quarantine.
//!
//! ```text
//!   reader ──wire──▶ row ──▶ Observed::Event │ Observed::Filtered(rule) │ Observed::Bad(line, reason)
//! ```
//!
//! Nothing is dropped silently: the three kinds and the duplicates that the store recognises add up to what was read.
//! The measure under which a feed may be used travels with each event ([`MEASURE_KEY`]), because it is a property of how
//! the data was come by. RADIUS accounting is no event: `noroshi_wire::radius` seals it and it goes straight to the vault.
//! Packets are no events either, there are too many: the [`telescope`] tells their senders apart.

pub mod telescope;

use std::io::Read;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use noroshi_model::event::MEASURE_KEY;
use noroshi_model::intake::SNIPPET_BYTES_MAX;
use noroshi_model::{Bad, ClassificationType, Event};
use noroshi_wire::seized::{SeizedError, SeizedFormat, SeizedRow, read_seized};

/// Event keys of where the row stood, for people who want to see the original.
pub const FILE_KEY: &str = "extra.noroshi.file";
/// See [`FILE_KEY`].
pub const LINE_KEY: &str = "extra.noroshi.line";

/// How far ahead of our clock a source's clock may be.
pub const FUTURE_SLACK: SignedDuration = SignedDuration::from_mins(10);

/// Why a valid row is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The address is private, loopback, link-local, multicast or unspecified: it is nobody's on the Internet.
    NotGlobal,
    /// The address is not of our network.
    NotOurs,
    /// The row names no source address.
    NoAddress,
}

/// One row, observed.
#[derive(Clone, Debug)]
pub enum Observed {
    /// An event.
    Event(Box<Event>),
    /// Left out by a rule.
    Filtered(Filter),
    /// Not usable; to be kept with its place and reason.
    Bad(Bad),
}

/// What is known of a feed besides its rows.
#[derive(Clone, Debug)]
pub struct Source {
    /// `feed.code`: the campaign.
    pub campaign: String,
    /// The file's name.
    pub file: String,
    /// The measure under which it may be used.
    pub measure: String,
    /// Our network; empty means every global address.
    pub own: Vec<IpNet>,
    /// When it is read.
    pub now: Timestamp,
}

/// The file as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A seized log that is not as declared.
    #[error(transparent)]
    Seized(#[from] SeizedError),
}

/// `feed.name` of a seized log.
pub const FEED_SEIZED: &str = "Seized C&C server log";

/// The log of a seized C&C server, row by row.
pub fn seized<'a, R: Read + 'a>(
    reader: R,
    format: &SeizedFormat,
    source: &'a Source,
) -> impl Iterator<Item = Result<Observed, ObserveError>> + 'a {
    read_seized(reader, format).map(|row| {
        Ok(match row? {
            Ok(row) => source.admit(row.line, seized_event(row, source)),
            Err(bad) => Observed::Bad(bad),
        })
    })
}

fn seized_event(row: SeizedRow, source: &Source) -> Event {
    let kind = ClassificationType::InfectedSystem;
    let mut event = Event::new(row.time, source.now, kind, FEED_SEIZED, &source.campaign);
    event.source.ip = Some(row.ip);
    event.source.port = row.port;
    event.malware_name = row.malware;
    event.more.extend(row.more.into_iter().map(|(column, cell)| (format!("extra.{column}"), cell.into())));
    event
}

impl Source {
    /// Lets an event in, or says why not.
    pub fn admit(&self, line: u64, mut event: Event) -> Observed {
        if event.time_source > self.now + FUTURE_SLACK {
            let reason = format!("the time {} lies in the future", event.time_source);
            let mut snippet = serde_json::to_vec(&event).unwrap_or_default();
            let bytes = snippet.len() as u64;
            snippet.truncate(SNIPPET_BYTES_MAX);
            return Observed::Bad(Bad { line, reason, snippet, bytes });
        }
        let Some(ip) = event.source.ip else { return Observed::Filtered(Filter::NoAddress) };
        if !is_global(ip) {
            return Observed::Filtered(Filter::NotGlobal);
        }
        if !self.own.is_empty() && !self.own.iter().any(|net| net.contains(&ip)) {
            return Observed::Filtered(Filter::NotOurs);
        }
        event.malware_name = event.malware_name.take().and_then(|name| plain_name(&name));
        event.more.insert(MEASURE_KEY.to_owned(), self.measure.clone().into());
        event.more.insert(FILE_KEY.to_owned(), self.file.clone().into());
        event.more.insert(LINE_KEY.to_owned(), line.into());
        Observed::Event(Box::new(event))
    }
}

/// Longest malware name that is kept, in characters.
const NAME_CHARS_MAX: usize = 64;

/// A malware name without control characters, or none.
fn plain_name(name: &str) -> Option<String> {
    let plain: String = name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    (!plain.is_empty()).then(|| plain.to_lowercase())
}

/// Whether an address can be somebody's on the Internet. Documentation ranges count, so that examples can be played.
pub fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.octets()[0] == 0
                // RFC 6598 shared address space, and the reserved top.
                || (v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]))
                || v4.octets()[0] >= 240)
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast())
                && (first & 0xfe00) != 0xfc00
                && (first & 0xffc0) != 0xfe80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source {
            campaign: "takedown-1".into(),
            file: "gate.csv".into(),
            measure: "takedown-notice".into(),
            own: vec!["198.51.100.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            now: "2026-11-21T00:00:00Z".parse().unwrap(),
        }
    }

    fn read(text: &str) -> Vec<Observed> {
        seized(text.as_bytes(), &SeizedFormat::default(), &source()).map(Result::unwrap).collect()
    }

    #[test]
    fn a_row_becomes_an_event_that_knows_its_measure_and_its_place() {
        let seen = read("time,ip,bot\n2026-11-20T12:00:00+09:00,::ffff:198.51.100.7,abc\n");
        let Observed::Event(event) = &seen[0] else { panic!("{seen:?}") };
        assert_eq!(event.source.ip, Some("198.51.100.7".parse().unwrap()));
        assert_eq!(event.more[MEASURE_KEY], "takedown-notice");
        assert_eq!(event.more[LINE_KEY], 2);
        assert_eq!(event.more["extra.bot"], "abc");
    }

    #[test]
    fn private_and_foreign_addresses_are_filtered_and_future_times_quarantined() {
        let seen = read(
            "time,ip\n2026-11-20T00:00:00Z,10.0.0.1\n2026-11-20T00:00:00Z,192.0.2.1\n2027-01-01T00:00:00Z,198.51.100.1\n",
        );
        assert!(matches!(seen[0], Observed::Filtered(Filter::NotGlobal)));
        assert!(matches!(seen[1], Observed::Filtered(Filter::NotOurs)));
        assert!(matches!(&seen[2], Observed::Bad(bad) if bad.line == 4 && bad.reason.contains("future")));
    }

    #[test]
    fn a_time_without_zone_is_refused_with_the_remedy() {
        let seen = read("time,ip\n2026-11-20 03:12:00,198.51.100.7\n");
        assert!(matches!(&seen[0], Observed::Bad(bad) if bad.reason.contains("zone")), "{seen:?}");
    }

    #[test]
    fn addresses_that_are_nobodys_are_told() {
        for ip in
            ["127.0.0.1", "100.64.0.1", "169.254.1.1", "224.0.0.1", "0.1.2.3", "::1", "fe80::1", "fc00::1"]
        {
            assert!(!is_global(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["198.51.100.7", "8.8.8.8", "2001:db8::1"] {
            assert!(is_global(ip.parse().unwrap()), "{ip}");
        }
    }
}
