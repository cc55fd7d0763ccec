//! Whose an address is: number and name of the network that announces it, the announced prefix, the country, the
//! tenant in our own address space, and whether it or a name is on a list of things often reported by mistake (public
//! resolvers, top sites, research scanners).
//!
//! Everything is a table in memory: no clock, no network, no file is opened here. The tables that come with the program
//! are compiled in ([`embedded`]); the operator's own are bytes that somebody else read. [`Enricher`] holds them all and
//! changes them under running look-ups.

pub mod embedded;
mod enricher;
mod lists;
mod misp;
mod mmdb;
pub mod packed;
mod prefixes;
mod ranges;
mod tenants;
mod text;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

pub use enricher::{Enricher, Format, Table, Tables};
pub use lists::{ListsBuilder, Subject, WarningLists};
pub use mmdb::Mmdb;
pub use prefixes::{Owner, PrefixBuilder, PrefixTable};
pub use tenants::Tenants;
pub use text::{read_ipasn, read_ranges};

/// Most prefixes, ranges or list entries a table takes. The world's routing table has about 1.3 million.
pub const ENTRIES_MAX: usize = 8_000_000;
/// Most bad lines that are kept in a [`Report`] word by word; the others are only counted.
pub const BAD_KEPT: usize = 20;

/// What is known of an address. Borrows from the tables it was found in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Number of the autonomous system that announces the address.
    pub asn: Option<u32>,
    /// The name of its owner, as the table has it.
    pub as_name: Option<&'a str>,
    /// The announced prefix the address lies in. Where the table has ranges and not prefixes: the largest prefix around
    /// the address that the range holds.
    pub prefix: Option<IpNet>,
    /// The country.
    pub cc: Option<Cc>,
    /// Whose the address is in our own address space.
    pub tenant: Option<&'a str>,
}

/// A country: two capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cc([u8; 2]);

impl Cc {
    /// Two ASCII letters in either case; nothing else is a country.
    pub fn new(text: &str) -> Option<Self> {
        Self::from_bytes(text.trim().as_bytes().try_into().ok()?)
    }

    fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        bytes.iter().all(u8::is_ascii_alphabetic).then(|| Self(bytes.map(|b| b.to_ascii_uppercase())))
    }

    /// `JP`
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Cc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Cc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where reverse DNS is asked for: a port, because asking uses the network. The answer is what the address's owner says
/// of it and proves nothing.
pub trait ReverseDns {
    /// The names of those addresses that have one, if it came in time. Many at once, because each takes its while.
    fn names_of(&self, ips: &HashSet<IpAddr>) -> HashMap<IpAddr, Arc<str>>;
}

/// What a loader made of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries that are in the table.
    pub kept: u64,
    /// Lines or entries that could not be read.
    pub bad: u64,
    /// The first [`BAD_KEPT`] of them.
    pub examples: Vec<Bad>,
}

/// A line (of a text file) or entry (of a list), counted from one, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Which one.
    pub line: u64,
    /// Why it was left out.
    pub why: String,
}

impl Report {
    fn bad(&mut self, line: u64, why: impl Into<String>) {
        self.bad += 1;
        if self.examples.len() < BAD_KEPT {
            self.examples.push(Bad { line, why: why.into() });
        }
    }

    /// A file of which most cannot be read is not the file it was taken for, and must not replace one that can.
    fn plausible(&self, what: &'static str) -> Result<(), EnrichError> {
        if self.kept > 0 && self.kept >= self.bad {
            return Ok(());
        }
        let first = self.examples.first().map_or_else(
            || "it is empty".to_owned(),
            |bad| {
                format!(
                    "{} of {} not readable, first at {}: {}",
                    self.bad,
                    self.bad + self.kept,
                    bad.line,
                    bad.why
                )
            },
        );
        Err(EnrichError::Implausible { what, first })
    }
}

/// Why a table could not be had.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    /// The file does not read as what it was given for.
    #[error("this is no {what}: {first}")]
    Implausible {
        /// The format.
        what: &'static str,
        /// What was found instead.
        first: String,
    },
    /// More than we take.
    #[error("more than {0} {1}")]
    TooMany(usize, &'static str),
    /// The bytes could not be had.
    #[error("reading a table: {0}")]
    Read(#[from] std::io::Error),
    /// A database in MaxMind's format that is broken or has none of the fields we know.
    #[error("not a usable MMDB: {0}")]
    Mmdb(String),
    /// A table of our own format that is broken.
    #[error("not a usable packed table: {0}")]
    Packed(&'static str),
    /// A warning list that is no JSON object of the expected shape.
    #[error("not a usable warning list: {0}")]
    List(String),
    /// One prefix, two tenants.
    #[error("{0} belongs to {1} and to {2}")]
    TwoTenants(IpNet, String, String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_letters() {
        assert_eq!(Cc::new("jp").unwrap().to_string(), "JP");
        assert!(["", "J", "JPN", "J1", "日", "--"].iter().all(|text| Cc::new(text).is_none()));
    }

    #[test]
    fn a_file_that_is_mostly_bad_is_refused_with_its_first_fault() {
        let mut report = Report { kept: 1, ..Report::default() };
        report.bad(7, "no prefix");
        assert!(report.plausible("prefix table").is_ok());
        report.bad(8, "no prefix");
        let error = report.plausible("prefix table").unwrap_err().to_string();
        assert_eq!(error, "this is no prefix table: 2 of 3 not readable, first at 7: no prefix");
    }
}
