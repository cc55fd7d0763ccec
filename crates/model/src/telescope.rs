//! What a telescope saw, as it is written down: counts by the minute and by the hour, campaigns, and some senders each second, one by one.
//!
//! Each has a record that can be opened, because what is drawn on a map and cannot be looked up is a decoration. None of them says which
//! addresses the telescope has.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Id;

/// One of many senders that were seen for the first time, or for the first time asking for this port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sighting {
    /// Made from the telescope, sender, time and port.
    pub id: Id,
    /// Which telescope.
    pub telescope: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub ip: IpAddr,
    /// Its country, ISO 3166; empty where that is not known.
    pub country: String,
    /// What it was taken for then: `scanner`, …; empty where that was not known.
    pub class: String,
    /// By which tool its packets were made: `mirai`, …; empty where that is not known.
    pub tool: String,
    /// `tcp`, `udp`; empty where it asked for no port.
    pub protocol: String,
    /// For which port it asked.
    pub port: Option<u16>,
    /// It is one of so many in that second.
    pub sampled: u64,
}

impl Sighting {
    /// Its id.
    pub fn id(telescope: &str, ip: IpAddr, at_ns: u64, port: Option<u16>) -> Id {
        let parts =
            [ip.to_string(), at_ns.to_string(), port.map_or_else(String::new, |port| port.to_string())];
        Id::of(
            "telescope-sighting",
            &[telescope.as_bytes(), parts[0].as_bytes(), parts[1].as_bytes(), parts[2].as_bytes()],
        )
    }

    /// What it asks for, in words: `tcp/23 mirai`.
    pub fn what(&self) -> String {
        let asked = match self.port {
            Some(port) => format!("{}/{port}", self.protocol),
            None => self.class.clone(),
        };
        format!("{asked} {}", self.tool).trim().to_owned()
    }
}

/// By what senders and packets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// All of them.
    All,
    /// By what the sender is.
    Class,
    /// By the tool.
    Tool,
    /// By country, ISO 3166.
    Country,
    /// By TCP port that is asked for.
    Tcp,
    /// By UDP port.
    Udp,
}

impl Counted {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::All, Self::Class, Self::Tool, Self::Country, Self::Tcp, Self::Udp];

    /// Its word.
    pub fn id(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Class => "class",
            Self::Tool => "tool",
            Self::Country => "country",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The one of that word.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.id() == id)
    }
}

/// What a telescope counted within an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HourCount {
    /// When the hour began.
    pub hour: Timestamp,
    /// By what.
    pub by: Counted,
    /// Of which: `scanner`, `mirai`, `JP`, `23`; empty where all are counted.
    pub name: String,
    /// Senders; of ports, estimated.
    pub hosts: u64,
    /// Packets; none of classes, tools and countries, which are known of senders and not of packets.
    pub packets: u64,
}

/// What a telescope counted within a minute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MinuteCount {
    /// When the minute began.
    pub minute: Timestamp,
    /// Packets to its addresses.
    pub packets: u64,
    /// Senders that were not known, or not to ask for that port.
    pub arrivals: u64,
}

/// What telescopes counted over some hours, all of them together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SpanCount {
    /// By what.
    pub by: Counted,
    /// Of which.
    pub name: String,
    /// Senders in the hour in which they were most; one that two telescopes saw counts twice.
    pub hosts: u64,
    /// Packets, of all hours.
    pub packets: u64,
}

/// A telescope that writes down what it sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TelescopeState {
    /// What it is called.
    pub name: String,
    /// How many IPv4 addresses it has; 0 where that is not known.
    pub addresses: u64,
    /// When it was there first, and last.
    pub since: Timestamp,
    /// See `since`.
    pub seen: Timestamp,
}

/// Many senders that began at once to ask for something that few asked for before.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Campaign {
    /// Made from the telescope, what is asked for, and when it began.
    pub id: Id,
    /// Which telescope.
    pub telescope: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// For which port they ask.
    pub port: u16,
    /// By which tool; empty where that is not known.
    pub tool: String,
    /// When the minute began in which it was found.
    pub onset: Timestamp,
    /// When it was found.
    pub known: Timestamp,
    /// Senders by then, within that minute.
    pub sources_known: u64,
    /// Senders so far.
    pub sources: u64,
    /// When the last of them came.
    pub last: Timestamp,
}

impl Campaign {
    /// Its id.
    pub fn id(telescope: &str, protocol: &str, port: u16, tool: &str, onset_ns: u64) -> Id {
        let (port, onset) = (port.to_string(), onset_ns.to_string());
        Id::of(
            "telescope-campaign",
            &[telescope.as_bytes(), protocol.as_bytes(), port.as_bytes(), tool.as_bytes(), onset.as_bytes()],
        )
    }
}
