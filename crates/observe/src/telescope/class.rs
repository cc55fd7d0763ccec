//! What a sender is, by what most of its packets are, and by which tool they were made.

use std::net::IpAddr;

use serde::Serialize;

use super::sighting::{Trait, Traits};
use super::source::Source;

/// Packets with a tool's mark before it is named: one may be chance (1 in 65,536 has masscan's).
const MARKED_MIN: u32 = 2;
/// Addresses to which a sender of datagrams has sent before it looks around.
const SPREAD_MIN: u32 = 3;

/// Why somebody sends to an address that nobody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Looks for what is open.
    Scanner,
    /// Answers what was sent to it in our name: a victim, or a reflector. Never to be blocked.
    Backscatter,
    /// Looks for services that answer more than they are asked.
    AmplifierProbe,
    /// Sends to the wrong address: old entries, peers that are gone, typing errors.
    Misconfiguration,
    /// The address cannot be the sender's: it is nobody's, or ours.
    Spoofed,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Scanner, Self::Backscatter, Self::AmplifierProbe, Self::Misconfiguration, Self::Spoofed];

    /// Its name in lists.
    pub fn id(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::Backscatter => "backscatter",
            Self::AmplifierProbe => "amplifier-probe",
            Self::Misconfiguration => "misconfiguration",
            Self::Spoofed => "spoofed",
        }
    }

    /// What a sender is, by its address and packets.
    pub(super) fn of(ip: IpAddr, source: &Source) -> Self {
        if is_nobodys(ip) {
            return Self::Spoofed;
        }
        let most = |some: u32| u64::from(some) * 2 > u64::from(source.packets);
        if most(source.count(Trait::Backscatter)) {
            return Self::Backscatter;
        }
        if most(source.count(Trait::AmplifierProbe)) {
            return Self::AmplifierProbe;
        }
        // The same datagram to many is a question; a different one to each is meant for somebody who is not there any more.
        let alike = u64::from(source.same_payload()) * 2 > u64::from(source.count(Trait::Datagram));
        let asked = if alike && source.destinations() >= SPREAD_MIN { source.count(Trait::Udp) } else { 0 };
        let looks = [source.count(Trait::Stealth), source.count(Trait::Echo), asked];
        let looks = looks.into_iter().fold(source.count(Trait::Syn), u32::saturating_add);
        if most(looks) { Self::Scanner } else { Self::Misconfiguration }
    }
}

/// Whether no host on the Internet can have the address (RFC 6890, IANA's registries of special purposes). Addresses for documentation
/// are left alone, because exercises and examples are made of them.
fn is_nobodys(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || a == 0
                || a >= 224
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            // Only 2000::/3 is given out.
            first & 0xe000 != 0x2000
        }
    }
}

/// What a sender's packets were made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Mirai and what was made of it: the destination is the sequence number (Antonakakis et al., USENIX Security 2017).
    Mirai,
    /// ZMap: an identification of its own (Durumeric et al. 2013).
    Zmap,
    /// masscan: an identification that is computed from the packet.
    Masscan,
    /// nmap's SYN scan: its windows, and one option.
    Nmap,
    /// Made by hand: a SYN without options, as no operating system sends it.
    NoOptions,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mirai, Self::Zmap, Self::Masscan, Self::Nmap, Self::NoOptions];

    /// Its name in lists.
    pub fn id(self) -> &'static str {
        match self {
            Self::Mirai => "mirai",
            Self::Zmap => "zmap",
            Self::Masscan => "masscan",
            Self::Nmap => "nmap",
            Self::NoOptions => "no-options",
        }
    }

    /// By which tool most of a sender's SYNs were made; none where fewer than two have its mark.
    pub fn of(source: &Source) -> Option<Self> {
        let syn = u64::from(source.count(Trait::Syn));
        let is_it = |marked: u32| marked >= MARKED_MIN && u64::from(marked) * 2 > syn;
        Self::ALL.into_iter().find(|tool| is_it(source.count(tool.mark())))
    }

    /// What its packets have in common.
    fn mark(self) -> Trait {
        match self {
            Self::Mirai => Trait::Mirai,
            Self::Zmap => Trait::Zmap,
            Self::Masscan => Trait::Masscan,
            Self::Nmap => Trait::Nmap,
            Self::NoOptions => Trait::Bare,
        }
    }

    /// By which tool one packet may have been made.
    pub(super) fn of_one(traits: Traits) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| traits.has(tool.mark()))
    }
}
