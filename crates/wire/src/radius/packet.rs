//! RADIUS accounting as it comes over the network (RFC 2866): a datagram and a shared secret to a record and an answer.
//!
//! ```text
//!   datagram ──secret fits──▶ Request ──▶ sealed assignments │ BadSealed     to be stored, then
//!            └─▶ PacketError: drop    └─▶ response()                         to be sent
//! ```
//!
//! Anybody can send a datagram, so what the secret does not vouch for is dropped without an answer (RFC 2866 §3). What it
//! does vouch for is answered once it is stored, even if it means nothing here: the access server would send it for ever.
//!
//! MD5 comes from RustCrypto, because ring has none: it is broken for signatures, and RADIUS (RFC 2865 §3) prescribes it.

use std::fmt;
use std::net::SocketAddr;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use md5::{Digest, Md5};
use noroshi_law::Sealed;

use super::accounting::{Accounting, BadSealed, ClockSample, sealed};
use super::detail::ATTRIBUTES_MAX;
use super::meaning::{self, Attribute, Attributes, Value};
use crate::assignment::Assignment;

/// Most octets of a packet (RFC 2866 §3). A datagram may be longer; what is beyond is padding.
pub const PACKET_BYTES_MAX: usize = 4096;
/// Code, identifier, length, authenticator.
pub(super) const HEADER_BYTES: usize = 20;
pub(super) const ACCOUNTING_REQUEST: u8 = 4;
const ACCOUNTING_RESPONSE: u8 = 5;
/// RFC 2869 §5.14.
pub(super) const MESSAGE_AUTHENTICATOR: u8 = 80;
/// Its value is an HMAC-MD5.
pub(super) const MAC_BYTES: usize = 16;

/// What a client and we both know. Prints nothing of itself.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// A secret of no octets is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared secret is empty")]
pub struct EmptySecret;

/// Why a datagram is dropped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Cut off, or its length is none.
    #[error("no RADIUS packet: {0}")]
    Shape(&'static str),
    /// Not code 4.
    #[error("no Accounting-Request: its code is {0}")]
    Code(u8),
    /// The secret is another, or somebody forged it.
    #[error("the Request Authenticator does not fit the shared secret")]
    Authenticator,
    /// The same, where the packet carries a Message-Authenticator.
    #[error("the Message-Authenticator does not fit the shared secret")]
    MessageAuthenticator,
}

/// What makes a packet the same packet sent again (RFC 2866 §3): remember it for as long as a client repeats itself, and
/// answer a known one without storing it. A client that counts up Acct-Delay-Time sends another packet each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketId {
    /// Where it came from.
    pub source: SocketAddr,
    /// The client's number for it.
    pub identifier: u8,
    /// The Request Authenticator: a hash over all of it.
    pub authenticator: [u8; 16],
}

/// An Accounting-Request whose authenticators fit. What it says can be stored under seal and not be read.
pub struct Request {
    id: PacketId,
    meaning: Result<Accounting, String>,
    raw: Vec<u8>,
    number: u64,
    wants_mac: bool,
}

/// Reads a datagram that was received from `source` at that time by the accounting server's clock; `number` is its place in
/// the stream, from 1.
///
/// # Errors
/// Whatever is to be dropped without an answer.
pub fn read_packet(
    datagram: &[u8],
    source: SocketAddr,
    secret: &Secret,
    received: Timestamp,
    number: u64,
) -> Result<Request, PacketError> {
    let packet = whole(datagram)?;
    let (header, rest) = packet.split_at(HEADER_BYTES);
    if header[0] != ACCOUNTING_REQUEST {
        return Err(PacketError::Code(header[0]));
    }
    let mut authenticator = [0; 16];
    authenticator.copy_from_slice(&header[4..]);
    if digest(&header[..4], &[0; 16], rest, secret) != authenticator {
        return Err(PacketError::Authenticator);
    }
    let octets = Octets::read(rest)?;
    let mac = octets.mac()?;
    if let Some(at) = mac {
        verify_mac(packet, HEADER_BYTES + at, secret)?;
    }
    Ok(Request {
        id: PacketId { source, identifier: header[1], authenticator },
        meaning: octets.meaning(received, number),
        raw: packet.to_vec(),
        number,
        wants_mac: mac.is_some(),
    })
}

/// Compared in constant time.
pub(super) fn same(ours: &[u8; 16], theirs: &[u8]) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// The packet in a datagram: as long as it says, and no more than there is (RFC 2866 §3).
pub(super) fn whole(datagram: &[u8]) -> Result<&[u8], PacketError> {
    let Some(length) = datagram.get(2..4) else { return Err(PacketError::Shape("shorter than a header")) };
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if !(HEADER_BYTES..=PACKET_BYTES_MAX).contains(&length) {
        return Err(PacketError::Shape("its length is outside 20 to 4096"));
    }
    datagram.get(..length).ok_or(PacketError::Shape("shorter than it says"))
}

/// MD5 over code, identifier, length, an authenticator, attributes and secret (RFC 2866 §3).
pub(super) fn digest(head: &[u8], authenticator: &[u8], attributes: &[u8], secret: &Secret) -> [u8; 16] {
    let mut md5 = Md5::new();
    for part in [head, authenticator, attributes, &secret.0] {
        md5.update(part);
    }
    md5.finalize().into()
}

/// HMAC-MD5 over a packet whose Message-Authenticator is all zeros (RFC 2869 §5.14).
pub(super) fn message_mac(parts: &[&[u8]], secret: &Secret) -> Option<Hmac<Md5>> {
    let mut mac = Hmac::<Md5>::new_from_slice(&secret.0).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

/// As for all requests without a random authenticator, the field of the Request Authenticator counts as zeros (RFC 5176
/// §3.6). Compared in constant time.
fn verify_mac(packet: &[u8], at: usize, secret: &Secret) -> Result<(), PacketError> {
    verify_mac_over(packet, &[0; 16], at, secret)
}

pub(super) fn verify_mac_over(
    packet: &[u8],
    authenticator: &[u8; 16],
    at: usize,
    secret: &Secret,
) -> Result<(), PacketError> {
    let refused = PacketError::MessageAuthenticator;
    let (before, rest) = packet.split_at_checked(at).ok_or(refused)?;
    let (stated, after) = rest.split_at_checked(MAC_BYTES).ok_or(refused)?;
    let parts: [&[u8]; 5] = [&before[..4], authenticator, &before[HEADER_BYTES..], &[0; MAC_BYTES], after];
    message_mac(&parts, secret).ok_or(refused)?.verify_slice(stated).map_err(|_| refused)
}

/// The attributes of a packet, well-formed: type, length, value.
pub(super) struct Octets<'a> {
    all: &'a [u8],
    count: usize,
}

impl<'a> Octets<'a> {
    pub(super) fn read(all: &'a [u8]) -> Result<Self, PacketError> {
        let mut left = all;
        let mut count = 0;
        while let Some((&length, _)) = left.get(1..).and_then(<[u8]>::split_first) {
            left = match left.get(usize::from(length)..) {
                Some(rest) if length >= 2 => rest,
                _ => return Err(PacketError::Shape("an attribute's length is none")),
            };
            count += 1;
        }
        if left.is_empty() {
            Ok(Self { all, count })
        } else {
            Err(PacketError::Shape("an attribute is cut off"))
        }
    }

    /// Types, places of the values, values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u8, usize, &'a [u8])> + use<'a> {
        let mut left = self.all;
        let whole = self.all.len();
        std::iter::from_fn(move || {
            let (&[code, length], _) = left.split_first_chunk::<2>()?;
            let at = whole - left.len() + 2;
            let (attribute, rest) = left.split_at_checked(usize::from(length))?;
            left = rest;
            Some((code, at, attribute.get(2..)?))
        })
    }

    /// Where the value of the Message-Authenticator is.
    pub(super) fn mac(&self) -> Result<Option<usize>, PacketError> {
        let mut found = self.iter().filter(|(code, ..)| *code == MESSAGE_AUTHENTICATOR);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((_, at, value)), None) if value.len() == MAC_BYTES => Ok(Some(at)),
            _ => Err(PacketError::MessageAuthenticator),
        }
    }

    fn meaning(&self, received: Timestamp, number: u64) -> Result<Accounting, String> {
        if self.count > ATTRIBUTES_MAX {
            return Err(format!("more than {ATTRIBUTES_MAX} attributes"));
        }
        meaning::accounting(self, received, number)
    }
}

impl Attributes for Octets<'_> {
    fn all(&self, which: Attribute) -> impl Iterator<Item = Value<'_>> {
        self.iter().filter(move |(code, ..)| *code == which as u8).map(|(.., value)| Value::Octets(value))
    }
}

impl Request {
    /// What it is known by when it comes again.
    pub fn id(&self) -> PacketId {
        self.id
    }

    /// The record under seal, or why it is none.
    pub fn accounting(self) -> Result<(Sealed<Accounting>, ClockSample), BadSealed> {
        match self.meaning {
            Ok(record) => Ok(sealed(record)),
            Err(reason) => Err(bad(self.number, reason, self.raw)),
        }
    }

    /// What it says of who held what, under seal, or why it says nothing.
    pub fn assignments(self) -> Result<(Vec<Sealed<Assignment>>, ClockSample), BadSealed> {
        match self.meaning {
            Ok(record) => Ok(record.sealed_assignments()),
            Err(reason) => Err(bad(self.number, reason, self.raw)),
        }
    }

    /// The Accounting-Response (RFC 2866 §4.2), to be sent once the record is stored: it says that the client may forget.
    /// Carries every Proxy-State back in order (RFC 2865 §5.33), and a Message-Authenticator where the request had one.
    pub fn response(&self, secret: &Secret) -> Vec<u8> {
        let mut attributes = Vec::new();
        if self.wants_mac {
            // First, so that nothing can be put before it.
            attributes.extend([MESSAGE_AUTHENTICATOR, 2 + MAC_BYTES as u8]);
            attributes.extend([0; MAC_BYTES]);
        }
        let request = Octets { all: self.raw.get(HEADER_BYTES..).unwrap_or_default(), count: 0 };
        for (code, _, value) in request.iter().filter(|(code, ..)| *code == Attribute::ProxyState as u8) {
            let room = PACKET_BYTES_MAX - HEADER_BYTES - attributes.len();
            if let (Ok(length), true) = (u8::try_from(value.len() + 2), value.len() + 2 <= room) {
                attributes.extend([code, length]);
                attributes.extend(value);
            }
        }
        let length = u16::try_from(HEADER_BYTES + attributes.len()).unwrap_or(HEADER_BYTES as u16);
        let [high, low] = length.to_be_bytes();
        let head = [ACCOUNTING_RESPONSE, self.id.identifier, high, low];
        if self.wants_mac
            && let Some(mac) = message_mac(&[&head, &self.id.authenticator, &attributes], secret)
        {
            attributes[2..2 + MAC_BYTES].copy_from_slice(&mac.finalize().into_bytes());
        }
        let authenticator = digest(&head, &self.id.authenticator, &attributes, secret);
        [&head[..], &authenticator, &attributes].concat()
    }
}

fn bad(line: u64, reason: String, raw: Vec<u8>) -> BadSealed {
    let bytes = raw.len() as u64;
    BadSealed { line, reason, raw: Sealed::new(raw), bytes }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request(packet {}, ‹redacted›)", self.number)
    }
}

impl TryFrom<Vec<u8>> for Secret {
    type Error = EmptySecret;

    fn try_from(octets: Vec<u8>) -> Result<Self, EmptySecret> {
        if octets.is_empty() { Err(EmptySecret) } else { Ok(Self(octets)) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(‹redacted›)")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::super::accounting::Status;
    use super::super::client::Packet;
    use super::*;

    fn secret() -> Secret {
        Secret::try_from(b"testing123".to_vec()).unwrap()
    }

    fn source() -> SocketAddr {
        "192.0.2.1:49152".parse().unwrap()
    }

    fn received() -> Timestamp {
        "2026-11-22T11:07:52Z".parse().unwrap()
    }

    fn start() -> Packet {
        Packet::accounting(7)
            .status(Status::Start)
            .text(Attribute::UserName, "sub000123@example.ne.jp")
            .text(Attribute::AcctSessionId, "0000A1B2-66C0")
            .v4(Attribute::NasIpAddress, Ipv4Addr::new(192, 0, 2, 1))
            .v4(Attribute::FramedIpAddress, Ipv4Addr::new(198, 51, 100, 77))
            .prefix(Attribute::DelegatedIpv6Prefix, "2001:db8:12:3400::/56".parse().unwrap())
            .number(Attribute::AcctDelayTime, 2)
            .number(Attribute::EventTimestamp, 1_795_313_270)
    }

    fn read(datagram: &[u8]) -> Result<Request, PacketError> {
        read_packet(datagram, source(), &secret(), received(), 3)
    }

    #[test]
    fn a_packet_means_what_the_same_record_in_a_detail_file_means() {
        let request = read(&start().signed(&secret())).unwrap();
        let record = request.meaning.as_ref().unwrap();
        assert_eq!((record.status, record.nas.as_str()), (Status::Start, "192.0.2.1"));
        assert_eq!(record.user.as_deref(), Some("sub000123@example.ne.jp"));
        let framed: Vec<_> = record.framed.iter().map(ToString::to_string).collect();
        assert_eq!(framed, ["198.51.100.77/32", "2001:db8:12:3400::/56"]);
        assert_eq!(record.at().to_string(), "2026-11-22T11:07:50Z");
        assert_eq!(record.clock_offset_s(), Some(-32_400));
        assert_eq!((record.line, record.proxied), (3, false));
        assert_eq!(request.id(), PacketId { identifier: 7, ..request.id() });
        let (sealed, clock) = request.assignments().unwrap();
        assert_eq!((sealed.len(), clock.offset_s), (2, Some(-32_400)));
    }

    #[test]
    fn every_attribute_of_an_address_is_read_in_its_own_shape() {
        let request = Packet::accounting(1)
            .status(Status::Stop)
            .text(Attribute::AcctSessionId, "1")
            .v6(Attribute::NasIpv6Address, "2001:db8::1".parse().unwrap())
            .v6(Attribute::FramedIpv6Address, "2001:db8:1::9".parse().unwrap())
            .octets(Attribute::FramedIpv6Prefix as u8, &[0, 64, 0x20, 1, 0xd, 0xb8, 0, 2, 0, 3])
            .octets(Attribute::UserName as u8, b"caf\xe9 \"x\"")
            .number(Attribute::AcctTerminateCause, 2)
            .number(Attribute::AcctSessionTime, 60);
        let record = read(&request.signed(&secret())).unwrap().meaning.unwrap();
        assert_eq!(record.nas, "2001:db8::1");
        let framed: Vec<_> = record.framed.iter().map(ToString::to_string).collect();
        assert_eq!(framed, ["2001:db8:1::9/128", "2001:db8:2:3::/64"]);
        assert_eq!(record.user.as_deref(), Some("caf\\351 \\\"x\\\""));
        assert_eq!(record.terminate_cause.as_deref(), Some("Lost-Carrier"));
        assert_eq!(record.session_time_s, Some(60));
    }

    #[test]
    fn what_the_secret_does_not_vouch_for_is_dropped() {
        let good = start().signed(&secret());
        for at in 0..good.len() {
            let mut forged = good.clone();
            forged[at] ^= 1;
            assert!(read(&forged).is_err(), "octet {at}");
        }
        for cut in 0..good.len() {
            assert!(matches!(read(&good[..cut]), Err(PacketError::Shape(_))), "cut at {cut}");
        }
        let padded = [&good[..], b"padding"].concat();
        assert!(read(&padded).unwrap().meaning.is_ok());
        let other = Secret::try_from(b"other".to_vec()).unwrap();
        assert_eq!(
            read_packet(&good, source(), &other, received(), 1).unwrap_err(),
            PacketError::Authenticator
        );
        assert!(Secret::try_from(Vec::new()).is_err());
        assert_eq!(
            format!("{:?} {:?}", secret(), read(&good).unwrap()),
            "Secret(‹redacted›) Request(packet 3, ‹redacted›)"
        );
    }

    #[test]
    fn a_message_authenticator_is_checked_where_there_is_one() {
        let good = start().with_message_authenticator().signed(&secret());
        assert!(read(&good).unwrap().wants_mac);
        // Forged, and the Request Authenticator made to fit: only a wrong MAC is left.
        let forged = start().octets(MESSAGE_AUTHENTICATOR, &[1; MAC_BYTES]).signed(&secret());
        assert_eq!(read(&forged).unwrap_err(), PacketError::MessageAuthenticator);
        let short = start().octets(MESSAGE_AUTHENTICATOR, &[1; 3]).signed(&secret());
        assert_eq!(read(&short).unwrap_err(), PacketError::MessageAuthenticator);
    }

    #[test]
    fn a_response_carries_proxy_states_and_fits_the_request() {
        let request = start().octets(33, b"one").octets(33, b"two").with_message_authenticator();
        let request = read(&request.signed(&secret())).unwrap();
        let response = request.response(&secret());
        assert_eq!((response[0], response[1]), (5, 7));
        assert_eq!(usize::from(u16::from_be_bytes([response[2], response[3]])), response.len());
        let expected = digest(&response[..4], &request.id().authenticator, &response[20..], &secret());
        assert_eq!(response[4..20], expected);
        let attributes = Octets::read(&response[20..]).unwrap();
        let states: Vec<_> = attributes.iter().filter(|(code, ..)| *code == 33).map(|(.., v)| v).collect();
        assert_eq!(states, [b"one", b"two"]);
        assert!(response[20] == MESSAGE_AUTHENTICATOR && response[22..38] != [0; 16]);
        assert_eq!(read(&start().signed(&secret())).unwrap().response(&secret()).len(), HEADER_BYTES);
    }

    /// An Accounting-Request worked out apart from this code, with Python's hashlib.
    #[test]
    fn the_authenticator_is_that_of_rfc_2866() {
        let packet = [
            4, 1, 0, 32, 0x7c, 0x4a, 0x82, 0xf6, 0xfe, 0x1f, 0x78, 0x18, 0xb3, 0x40, 0x5f, 0x53, 0x11, 0xf1,
            0x95, 0x5e, 40, 6, 0, 0, 0, 7, 4, 6, 192, 0, 2, 1,
        ];
        let record =
            Packet::accounting(1).status(Status::On).v4(Attribute::NasIpAddress, Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(record.signed(&secret()), packet);
        assert_eq!(read(&packet).unwrap().meaning.unwrap().status, Status::On);
    }

    #[test]
    fn an_authentic_packet_that_means_nothing_is_bad_and_still_answered() {
        let failed = Packet::accounting(9).number(Attribute::AcctStatusType, 15);
        let request = read(&failed.signed(&secret())).unwrap();
        assert_eq!(request.response(&secret()).len(), HEADER_BYTES);
        let bad = request.accounting().unwrap_err();
        assert_eq!(bad.line, 3);
        assert!(bad.reason.contains("Acct-Status-Type"), "{bad}");
        for (which, value) in [
            (Attribute::FramedIpAddress, &b"abc"[..]),
            (Attribute::DelegatedIpv6Prefix, &[0, 56, 0x20]),
            (Attribute::DelegatedIpv6Prefix, &[0, 129, 0x20]),
            (Attribute::FramedIpv6Address, &[1; 15]),
            (Attribute::AcctDelayTime, &[1]),
        ] {
            let request = Packet::accounting(1).octets(which as u8, value);
            let request = request.status(Status::Start).text(Attribute::AcctSessionId, "1");
            let request = request.text(Attribute::NasIdentifier, "bras1").signed(&secret());
            let reason = read(&request).unwrap().meaning.unwrap_err();
            assert!(reason.starts_with(which.name()), "{reason}");
        }
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), fits: bool) {
            if fits && bytes.len() >= HEADER_BYTES {
                bytes[0] = ACCOUNTING_REQUEST;
                let length = bytes.len() as u16;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                let authenticator = digest(&bytes[..4], &[0; 16], &bytes[HEADER_BYTES..], &secret());
                bytes[4..20].copy_from_slice(&authenticator);
            }
            if let Ok(request) = read(&bytes) {
                prop_assert!(request.response(&secret()).len() <= PACKET_BYTES_MAX);
            }
        }

        #[test]
        fn what_a_client_writes_is_read_back(
            user in "[ -~]{1,60}", session in "[!-~]{1,60}", ip: u32, v6: u128, length in 48u8..=128, delay in 0u32..DELAY,
            mac: bool,
        ) {
            let net = ipnet::Ipv6Net::new(Ipv6Addr::from(v6), length).unwrap().trunc();
            let request = Packet::accounting(1).status(Status::Interim).number(Attribute::AcctDelayTime, delay)
                .text(Attribute::UserName, &user).text(Attribute::AcctSessionId, &session)
                .text(Attribute::NasIdentifier, "bras1").v4(Attribute::FramedIpAddress, Ipv4Addr::from(ip))
                .prefix(Attribute::FramedIpv6Prefix, net);
            let request = if mac { request.with_message_authenticator() } else { request };
            let record = read(&request.signed(&secret())).unwrap().meaning.unwrap();
            prop_assert_eq!((record.user.unwrap(), record.session.unwrap()), (user, session));
            prop_assert_eq!(record.delay_s, delay);
            prop_assert!(record.framed.contains(&net.into()));
        }
    }

    const DELAY: u32 = super::super::accounting::DELAY_S_MAX;
}
