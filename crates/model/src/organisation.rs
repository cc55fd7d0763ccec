//! Organisations that are told when one of their addresses is seen where nobody has a reason to send (DAEDALUS): their ranges, each proven to
//! be theirs, whom to tell, and what was seen.
//!
//! ```text
//!   Organisation ─┬─ Range     a prefix; in force from when it was proven until that was not to be seen for too long
//!                 ├─ Contact   mail, webhook or STIX
//!                 └─ Alert     an address and its role: open ─quiet─▶ seen again: another episode, told again
//! ```
//!
//! An alert says how many sensors saw it, and never which address of ours.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Id, Lang};

/// Longest short name, in bytes.
pub const KEY_BYTES_MAX: usize = 64;

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Organisation {
    /// What it is called in commands: small letters, digits, `-` and `.`.
    pub key: String,
    /// What it calls itself.
    pub name: String,
    /// In which language it is told.
    pub lang: Lang,
    /// Since when it is registered.
    pub since: Timestamp,
    /// How many messages it was sent.
    pub messages: u64,
    /// Not told again before.
    pub next: Option<Timestamp>,
    /// How long it is not told anything after a message, seconds: longer while more and more of its addresses are seen.
    pub pause_s: u64,
}

/// Whether a text can be an organisation's short name.
pub fn is_key(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// How a range was proven to be its organisation's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// A token in the remarks of the registry's own object (RFC 9083).
    Rdap,
    /// A token in the zones that say the range's names.
    ReverseDns,
    /// Somebody of ours has seen to it, and says so.
    Person,
}

impl Proof {
    /// Its word.
    pub fn id(self) -> &'static str {
        match self {
            Self::Rdap => "rdap",
            Self::ReverseDns => "reverse-dns",
            Self::Person => "person",
        }
    }

    /// The proof of that word.
    pub fn parse(id: &str) -> Option<Self> {
        [Self::Rdap, Self::ReverseDns, Self::Person].into_iter().find(|proof| proof.id() == id)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A range of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Range {
    /// Which.
    pub prefix: IpNet,
    /// Whose.
    pub organisation: String,
    /// What is to be found where only who holds the range can put it.
    pub token: String,
    /// How it was proven.
    pub proof: Option<Proof>,
    /// What was found where, or who says so.
    pub found: String,
    /// Since when it is proven; none while it is not.
    pub proven: Option<Timestamp>,
    /// When it was looked for last.
    pub checked: Option<Timestamp>,
    /// How often in a row it was not found since.
    pub missing: u32,
}

/// By which way somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A mail.
    Mail,
    /// A signed post (Standard Webhooks 1.0).
    Webhook,
    /// The same, with a STIX 2.1 bundle.
    Stix,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mail, Self::Webhook, Self::Stix];

    /// Its word.
    pub fn id(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Stix => "stix",
        }
    }

    /// The way of that word.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.id() == id)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Whom to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Contact {
    /// Whose.
    pub organisation: String,
    /// How.
    pub way: Way,
    /// A mail address, or where it is posted to.
    pub target: String,
    /// File with the secret by which posts are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<String>,
}

/// Why an address was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It sends: a machine that is infected, or wrongly set up.
    Sender,
    /// It answers what it was sent in our name: somebody attacks it.
    Victim,
}

impl Role {
    /// Its word.
    pub fn id(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Victim => "victim",
        }
    }

    /// The role of that word.
    pub fn parse(id: &str) -> Option<Self> {
        [Self::Sender, Self::Victim].into_iter().find(|role| role.id() == id)
    }
}

/// What was seen of an address of an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seen {
    /// The address.
    pub ip: IpAddr,
    /// Why it was seen.
    pub role: Role,
    /// What sends: `scanner`, …; empty where that is not known yet.
    pub class: String,
    /// By which tool: `mirai`, …; empty where that is not known.
    pub tool: String,
    /// `tcp`, `udp`, `icmp`; empty where that is not known.
    pub protocol: String,
    /// From which port, in the first packet: who shares the address by port is found by it.
    pub source_port: Option<u16>,
    /// Which port it asked for first; of a victim, which is attacked.
    pub port: Option<u16>,
    /// Packets, so far.
    pub packets: u64,
    /// About how many of our sensors saw it.
    pub sensors: u32,
    /// First time.
    pub first: Timestamp,
    /// Last time.
    pub last: Timestamp,
}

/// An address of an organisation that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alert {
    /// Its id: of the organisation, the address and the role.
    pub id: Id,
    /// Whose address it is.
    pub organisation: String,
    /// What was seen, in this episode.
    #[serde(flatten)]
    pub seen: Seen,
    /// Which time it is that it is seen, with quiet between; from 1.
    pub episode: u32,
    /// When it was written down, in this episode.
    pub alerted: Timestamp,
    /// In which message to the organisation it was told, in this episode.
    pub message: Option<u64>,
    /// Whether somebody wished not to be told.
    pub muted: bool,
}

impl Alert {
    /// What it does, as far as that is known, in words: the tool, else the class, and the port.
    pub fn what(&self) -> String {
        let Seen { tool, class, protocol, port, .. } = &self.seen;
        let word = if tool.is_empty() { class } else { tool };
        match port {
            Some(port) => format!("{word} {protocol}/{port}").trim().to_owned(),
            None => word.clone(),
        }
    }

    /// The id of an alert.
    pub fn id(organisation: &str, ip: IpAddr, role: Role) -> Id {
        Id::of("alert", &[organisation.as_bytes(), ip.to_string().as_bytes(), role.id().as_bytes()])
    }
}

/// Addresses of which an organisation does not wish to be told: its own scanners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mute {
    /// Whose.
    pub organisation: String,
    /// Which.
    pub prefix: IpNet,
    /// Why.
    pub why: String,
    /// Until when.
    pub until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for proof in [Proof::Rdap, Proof::ReverseDns, Proof::Person] {
            assert_eq!(Proof::parse(&proof.to_string()), Some(proof));
        }
        assert!(Way::ALL.iter().all(|way| Way::parse(&way.to_string()) == Some(*way)));
        assert!([Role::Sender, Role::Victim].iter().all(|role| Role::parse(role.id()) == Some(*role)));
        assert!(is_key("city-7.example") && !is_key("") && !is_key("a b") && !is_key("Ä"));
        assert!(!is_key(&"a".repeat(KEY_BYTES_MAX + 1)));
    }
}
