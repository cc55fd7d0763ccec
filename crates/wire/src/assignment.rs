//! Who was given which address: what RADIUS accounting, DHCP leases and the logs of address translators (NAT) have in
//! common, whatever their format. Each source makes these of its records; the session book is built of nothing else.
//!
//! ```text
//!   radius (detail, packets) ─┐
//!   kea, isc (DHCP leases) ───┼──▶ Sealed<Assignment> ──▶ session book
//!   cgn (port blocks) ────────┤
//!   plain CSV ────────────────┘
//! ```
//!
//! This is communications data: a source seals it in the call that recognises it.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use noroshi_law::Sealed;
use noroshi_model::intake::Bad;

use crate::lines::{Item, Line, snippet};
use crate::radius::BadSealed;

/// What was given: an address or prefix, or on a shared address a block of its ports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Given {
    /// An IPv4 address as /32; an IPv6 address as /128 or a delegated prefix of /48 or longer. No bits beyond the prefix.
    pub net: IpNet,
    /// First and last port, where only a block of the address's ports was given (RFC 6888 REQ-14).
    pub ports: Option<(u16, u16)>,
}

/// To whom.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// A subscriber line, as the network names it: User-Name, circuit or remote id, DUID, hardware address.
    Line(String),
    /// The address behind the translator; who holds that one is another question to the book.
    Inside(IpAddr),
}

/// What a record says of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It begins.
    Start,
    /// It goes on.
    Interim,
    /// It ends.
    Stop,
    /// The server begins anew: everything it had given is over. `given` and `whom` say nothing.
    Reset,
}

/// One record of one assignment. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Assignment {
    /// What the record says.
    pub change: Change,
    /// What was given; `None` with [`Change::Reset`], or where the record names only the session.
    pub given: Option<Given>,
    /// To whom; `None` with [`Change::Reset`], or where the record names only the session or block.
    pub whom: Option<Whom>,
    /// When, by the clock that is believed: the RADIUS server's, the DHCP server's, the syslog receiver's.
    pub at: Timestamp,
    /// When it ends by itself if nothing more is heard (a lease's expiry).
    pub until: Option<Timestamp>,
    /// When it began, where a later record tells (Acct-Session-Time, a lease's first grant).
    pub began: Option<Timestamp>,
    /// Who gave it: access server, DHCP server, translator.
    pub server: String,
    /// The server's own id of the session; unique only per server, and not for ever.
    pub session: Option<String>,
    /// Seconds by which the server's own clock is ahead of the one believed, where the record tells.
    pub clock_offset_s: Option<i64>,
    /// Line or record of the source, from 1.
    pub line: u64,
}

impl Given {
    /// Whether it covers this address and port. A block of ports covers nothing of which the port is unknown.
    pub fn covers(&self, ip: IpAddr, port: Option<u16>) -> bool {
        self.net.contains(&ip.to_canonical())
            && match (self.ports, port) {
                (None, _) => true,
                (Some((first, last)), Some(port)) => first <= port && port <= last,
                (Some(_), None) => false,
            }
    }
}

/// Seals what a line of a log tells, which may be nothing, or why it cannot be read.
pub(crate) fn sealed_line(
    item: Item,
    read: impl FnOnce(&Line) -> Result<Vec<Assignment>, String>,
) -> Result<Vec<Sealed<Assignment>>, BadSealed> {
    let line = match item {
        Item::Line(line) => line,
        Item::Bad(bad) => return Err(bad.into()),
    };
    match read(&line) {
        Ok(told) => Ok(told.into_iter().map(Sealed::new).collect()),
        Err(reason) => {
            let (snippet, bytes) = (snippet(line.text.as_bytes()), line.text.len() as u64);
            Err(Bad { line: line.number, reason, snippet, bytes }.into())
        }
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given(‹redacted›)")
    }
}

impl fmt::Debug for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whom(‹redacted›)")
    }
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assignment({:?}, line {}, ‹redacted›)", self.change, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_ports_needs_the_port() {
        let block = Given { net: "198.51.100.7/32".parse().unwrap(), ports: Some((1024, 2047)) };
        let ip: IpAddr = "198.51.100.7".parse().unwrap();
        assert!(block.covers(ip, Some(1024)) && block.covers(ip, Some(2047)));
        assert!(!block.covers(ip, Some(2048)) && !block.covers(ip, None));
        assert!(Given { ports: None, ..block }.covers("::ffff:198.51.100.7".parse().unwrap(), None));
        assert!(!format!("{block:?}").contains("198"));
    }
}
