//! Requests as they are written: Accounting-Requests as an access server sends them, for tests and benchmarks, and the requests
//! by which a line is changed ([`super::dynamic`]).

use std::net::{Ipv4Addr, Ipv6Addr};

use hmac::Mac as _;
use ipnet::Ipv6Net;

use super::accounting::Status;
use super::meaning::Attribute;
use super::packet::{
    ACCOUNTING_REQUEST, HEADER_BYTES, MAC_BYTES, MESSAGE_AUTHENTICATOR, PACKET_BYTES_MAX, Secret, digest,
    message_mac,
};

/// A request that is being written. What does not fit into a packet is left out.
#[derive(Clone, Debug)]
pub struct Packet {
    code: u8,
    identifier: u8,
    attributes: Vec<u8>,
    /// Where the value of the Message-Authenticator goes.
    mac_at: Option<usize>,
}

impl Packet {
    /// Begins an Accounting-Request under the client's number for it.
    pub fn accounting(identifier: u8) -> Self {
        Self::of(ACCOUNTING_REQUEST, identifier)
    }

    pub(super) fn of(code: u8, identifier: u8) -> Self {
        Self { code, identifier, attributes: Vec::new(), mac_at: None }
    }

    /// Adds an attribute as octets.
    pub fn octets(mut self, code: u8, value: &[u8]) -> Self {
        let fits = HEADER_BYTES + self.attributes.len() + 2 + value.len() <= PACKET_BYTES_MAX;
        if let (Ok(length), true) = (u8::try_from(value.len() + 2), fits) {
            self.attributes.extend([code, length]);
            self.attributes.extend(value);
        }
        self
    }

    /// Adds Acct-Status-Type.
    pub fn status(self, status: Status) -> Self {
        let number = match status {
            Status::Start => 1,
            Status::Stop => 2,
            Status::Interim => 3,
            Status::On => 7,
            Status::Off => 8,
        };
        self.number(Attribute::AcctStatusType, number)
    }

    /// Adds a text.
    pub fn text(self, which: Attribute, text: &str) -> Self {
        self.octets(which as u8, text.as_bytes())
    }

    /// Adds a number, or seconds.
    pub fn number(self, which: Attribute, number: u32) -> Self {
        self.octets(which as u8, &number.to_be_bytes())
    }

    /// Adds an IPv4 address.
    pub fn v4(self, which: Attribute, ip: Ipv4Addr) -> Self {
        self.octets(which as u8, &ip.octets())
    }

    /// Adds an IPv6 address.
    pub fn v6(self, which: Attribute, ip: Ipv6Addr) -> Self {
        self.octets(which as u8, &ip.octets())
    }

    /// Adds a prefix, with no more octets than it needs (RFC 4818 §3).
    pub fn prefix(self, which: Attribute, net: Ipv6Net) -> Self {
        let mut value = vec![0, net.prefix_len()];
        value.extend(&net.addr().octets()[..usize::from(net.prefix_len()).div_ceil(8)]);
        self.octets(which as u8, &value)
    }

    /// Adds a Message-Authenticator, which is worked out when it is signed.
    pub fn with_message_authenticator(self) -> Self {
        let at = self.attributes.len() + 2;
        let mut with = self.octets(MESSAGE_AUTHENTICATOR, &[0; MAC_BYTES]);
        with.mac_at = (with.attributes.len() == at + MAC_BYTES).then_some(at);
        with
    }

    /// The datagram.
    pub fn signed(&self, secret: &Secret) -> Vec<u8> {
        let mut attributes = self.attributes.clone();
        let length = u16::try_from(HEADER_BYTES + attributes.len()).unwrap_or(HEADER_BYTES as u16);
        let [high, low] = length.to_be_bytes();
        let head = [self.code, self.identifier, high, low];
        if let (Some(at), Some(mac)) = (self.mac_at, message_mac(&[&head, &[0; 16], &attributes], secret)) {
            attributes[at..at + MAC_BYTES].copy_from_slice(&mac.finalize().into_bytes());
        }
        let authenticator = digest(&head, &[0; 16], &attributes, secret);
        [&head[..], &authenticator, &attributes].concat()
    }
}
