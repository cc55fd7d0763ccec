//! Dynamic authorization (RFC 5176): an access server is told to change a session that is on, or to end it.
//!
//! ```text
//!   CoA-Request, Disconnect-Request ──▶ access server, port 3799 ──▶ ACK │ NAK with an Error-Cause
//! ```
//!
//! The request's authenticator is computed as for accounting (section 2.3); an answer counts only if its authenticator is over the
//! request's and the shared secret. Which attributes move a line into a walled garden depends on the access server, so they are
//! the operator's to name: by their names in FreeRADIUS' dictionaries, or by number.

use std::collections::BTreeMap;

use super::client::Packet;
use super::meaning::Attribute;
use super::packet::{
    HEADER_BYTES, MESSAGE_AUTHENTICATOR, Octets, PacketError, Secret, digest, same, verify_mac_over, whole,
};

/// The port of dynamic authorization (section 2.1).
pub const PORT: u16 = 3799;
/// Vendor-Specific (RFC 2865 section 5.26).
const VENDOR_SPECIFIC: u8 = 26;
/// Error-Cause (section 3.5).
const ERROR_CAUSE: u8 = 101;
/// The session is not on.
pub const SESSION_NOT_FOUND: u32 = 503;
/// Longest value of an attribute.
const VALUE_BYTES_MAX: usize = 253;
/// Longest value of a vendor's attribute.
const VENDOR_VALUE_BYTES_MAX: usize = 247;

/// Attributes that operators name: RFC 2865, RFC 2869, RFC 3162, RFC 4849, RFC 6911, and those of common access servers.
const NAMED: [(&str, Number); 18] = [
    ("Filter-Id", Number::Plain(11)),
    ("Reply-Message", Number::Plain(18)),
    ("Class", Number::Plain(25)),
    ("Session-Timeout", Number::Plain(27)),
    ("Idle-Timeout", Number::Plain(28)),
    ("Acct-Interim-Interval", Number::Plain(85)),
    ("Framed-Pool", Number::Plain(88)),
    ("NAS-Filter-Rule", Number::Plain(92)),
    ("Framed-IPv6-Pool", Number::Plain(100)),
    ("Delegated-IPv6-Prefix-Pool", Number::Plain(171)),
    ("Cisco-AVPair", Number::Vendor(9, 1)),
    ("Cisco-Account-Info", Number::Vendor(9, 250)),
    ("Cisco-Command-Code", Number::Vendor(9, 252)),
    ("ERX-Ingress-Policy-Name", Number::Vendor(4874, 10)),
    ("ERX-Service-Activate", Number::Vendor(4874, 65)),
    ("ERX-Service-Deactivate", Number::Vendor(4874, 66)),
    ("Alc-Subsc-Prof-Str", Number::Vendor(6527, 11)),
    ("Alc-SLA-Prof-Str", Number::Vendor(6527, 12)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Plain(u8),
    Vendor(u32, u8),
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Change the session (CoA-Request).
    Change,
    /// End it, so that it begins anew under what the RADIUS server says then (Disconnect-Request).
    Disconnect,
}

impl Order {
    fn code(self) -> u8 {
        match self {
            Order::Disconnect => 40,
            Order::Change => 43,
        }
    }
}

/// What the access server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not, with the Error-Cause; 0 where none is given.
    Refused(u32),
}

/// An attribute's value as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Written {
    /// An integer (RFC 2865 section 5).
    Number(u32),
    /// A text.
    Text(String),
    /// Several, in order.
    Many(Vec<Written>),
}

/// Attributes to be sent, as they go into a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(u8, Vec<u8>)>);

impl Attributes {
    /// Reads what an operator wrote: `Filter-Id`, `ERX-Service-Activate:1` (a tag, RFC 2868), `26.9.1` (a vendor's), `11`.
    ///
    /// # Errors
    /// A name that is not known, with how to write it by number; a value that is too long.
    pub fn read(written: &BTreeMap<String, Written>) -> Result<Self, String> {
        let mut attributes = Vec::new();
        for (name, value) in written {
            let (number, tag) = number(name)?;
            add(&mut attributes, name, number, tag, value)?;
        }
        Ok(Self(attributes))
    }
}

fn number(name: &str) -> Result<(Number, Option<u8>), String> {
    let unknown =
        || format!("'{name}' is no attribute known here; write it by number: 11, or 26.VENDOR.TYPE");
    let (plain, tag) = match name.split_once(':') {
        Some((plain, tag)) => {
            (plain, Some(tag.parse().ok().filter(|tag| (1..=31).contains(tag)).ok_or_else(unknown)?))
        }
        None => (name, None),
    };
    if let Some((_, number)) = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(plain)) {
        return Ok((*number, tag));
    }
    let mut parts = plain.split('.');
    let number = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(code), None, ..) => code.parse().ok().map(Number::Plain),
        (Some("26"), Some(vendor), Some(code), None) => {
            vendor.parse().ok().zip(code.parse().ok()).map(|(vendor, code)| Number::Vendor(vendor, code))
        }
        _ => None,
    };
    let reserved = [Attribute::UserName as u8, VENDOR_SPECIFIC, MESSAGE_AUTHENTICATOR, ERROR_CAUSE];
    match number {
        Some(Number::Plain(code)) if reserved.contains(&code) || code == 0 => Err(unknown()),
        Some(number) => Ok((number, tag)),
        None => Err(unknown()),
    }
}

fn add(
    attributes: &mut Vec<(u8, Vec<u8>)>,
    name: &str,
    number: Number,
    tag: Option<u8>,
    value: &Written,
) -> Result<(), String> {
    let mut octets: Vec<u8> = tag.into_iter().collect();
    match value {
        Written::Many(several) => {
            return several.iter().try_for_each(|one| add(attributes, name, number, tag, one));
        }
        Written::Number(value) => octets.extend(value.to_be_bytes()),
        Written::Text(text) => octets.extend(text.as_bytes()),
    }
    let longest = if matches!(number, Number::Plain(_)) { VALUE_BYTES_MAX } else { VENDOR_VALUE_BYTES_MAX };
    if octets.is_empty() || octets.len() > longest {
        return Err(format!("{name}: a value has 1 to {longest} octets"));
    }
    attributes.push(match number {
        Number::Plain(code) => (code, octets),
        Number::Vendor(vendor, code) => {
            let length = u8::try_from(octets.len() + 2).unwrap_or(u8::MAX);
            (VENDOR_SPECIFIC, [&vendor.to_be_bytes()[..], &[code, length], &octets].concat())
        }
    });
    Ok(())
}

/// The datagram that asks for it: the session named by its user, what is to be changed, and when it was asked, so that a copy sent
/// again later is recognised (section 6.3).
pub fn request(
    order: Order,
    identifier: u8,
    user: &str,
    changes: &Attributes,
    now: jiff::Timestamp,
    secret: &Secret,
) -> Vec<u8> {
    let mut packet = Packet::of(order.code(), identifier)
        .with_message_authenticator()
        .text(Attribute::UserName, user)
        .number(Attribute::EventTimestamp, u32::try_from(now.as_second()).unwrap_or(0));
    // A Disconnect-Request names a session and changes nothing (section 3.6).
    if order == Order::Change {
        for (code, value) in &changes.0 {
            packet = packet.octets(*code, value);
        }
    }
    packet.signed(secret)
}

/// Reads the answer to a request.
///
/// # Errors
/// What is no answer to it, or not by whoever knows the secret: dropped, and the answer waited for.
pub fn answer(datagram: &[u8], request: &[u8], secret: &Secret) -> Result<Answer, PacketError> {
    let packet = whole(datagram)?;
    let (header, rest) = packet.split_at(HEADER_BYTES);
    let (asked, identifier) = match request {
        [code, identifier, ..] => (*code, *identifier),
        _ => return Err(PacketError::Shape("nothing was asked")),
    };
    let done = match header[0] {
        code if code == asked + 1 => true,
        code if code == asked + 2 => false,
        code => return Err(PacketError::Code(code)),
    };
    if header[1] != identifier {
        return Err(PacketError::Shape("the answer to another request"));
    }
    let mut authenticator = [0; 16];
    authenticator
        .copy_from_slice(request.get(4..HEADER_BYTES).ok_or(PacketError::Shape("nothing was asked"))?);
    if !same(&digest(&header[..4], &authenticator, rest, secret), &header[4..]) {
        return Err(PacketError::Authenticator);
    }
    let attributes = Octets::read(rest)?;
    if let Some(at) = attributes.mac()? {
        verify_mac_over(packet, &authenticator, HEADER_BYTES + at, secret)?;
    }
    let cause = attributes.iter().find(|(code, ..)| *code == ERROR_CAUSE);
    let cause = cause.and_then(|(.., value)| <[u8; 4]>::try_from(value).ok()).map_or(0, u32::from_be_bytes);
    Ok(if done { Answer::Done } else { Answer::Refused(cause) })
}

/// What an Error-Cause means (section 3.5).
pub fn cause(number: u32) -> &'static str {
    match number {
        0 => "no cause is given",
        201 => "residual session context removed",
        202 => "invalid EAP packet",
        401 => "an attribute is not supported",
        402 => "an attribute is missing",
        403 => "it is meant for another access server",
        404 => "invalid request",
        405 => "the service is not supported",
        406 => "the extension is not supported",
        407 => "an attribute's value is not valid",
        501 => "administratively prohibited",
        502 => "the request cannot be routed",
        503 => "the session is not on",
        504 => "the session cannot be removed",
        505 => "other proxy processing error",
        506 => "no resources",
        507 => "a request was initiated",
        508 => "several sessions cannot be selected",
        _ => "a cause that is not known here",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret() -> Secret {
        Secret::try_from(b"s3cret".to_vec()).unwrap()
    }

    fn now() -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_790_000_000).unwrap()
    }

    fn read(text: &str) -> Result<Attributes, String> {
        Attributes::read(&toml(text))
    }

    fn toml(text: &str) -> BTreeMap<String, Written> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn attributes_are_read_by_name_and_by_number() {
        let plain = read(r#"{"Filter-Id": "garden", "Session-Timeout": 600}"#).unwrap();
        assert_eq!(plain.0, [(11, b"garden".to_vec()), (27, vec![0, 0, 2, 88])]);
        let vendor =
            read(r#"{"Cisco-AVPair": ["a=1", "b=2"], "ERX-Service-Activate:1": "x", "26.9.252": "z"}"#)
                .unwrap();
        assert!(vendor.0.contains(&(26, b"\0\0\0\x09\x01\x05a=1".to_vec())));
        assert_eq!(vendor.0.iter().filter(|(_, value)| value.ends_with(b"b=2")).count(), 1);
        assert!(vendor.0.contains(&(26, b"\0\0\x13\x0a\x41\x04\x01x".to_vec())));
        assert!(vendor.0.contains(&read(r#"{"26.9.1": "a=1"}"#).unwrap().0[0]));
        for wrong in [
            r#"{"Filter": "x"}"#,
            r#"{"1": "x"}"#,
            r#"{"26": "x"}"#,
            r#"{"80": "x"}"#,
            r#"{"26.9": "x"}"#,
            r#"{"Filter-Id": ""}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    fn answered(code: u8, attributes: &[u8], request: &[u8], secret: &Secret) -> Vec<u8> {
        let length = u16::try_from(HEADER_BYTES + attributes.len()).unwrap().to_be_bytes();
        let head = [code, request[1], length[0], length[1]];
        let authenticator = digest(&head, request[4..20].try_into().unwrap(), attributes, secret);
        [&head[..], &authenticator, attributes].concat()
    }

    #[test]
    fn an_answer_counts_if_it_is_to_this_request_and_by_who_knows_the_secret() {
        let asked = request(Order::Change, 7, "sub@example", &Attributes::default(), now(), &secret());
        let read = |packet: &[u8]| answer(packet, &asked, &secret());
        assert_eq!(read(&answered(44, &[], &asked, &secret())), Ok(Answer::Done));
        let nak = answered(45, &[ERROR_CAUSE, 6, 0, 0, 1, 247], &asked, &secret());
        assert_eq!(read(&nak), Ok(Answer::Refused(SESSION_NOT_FOUND)));
        assert_eq!(read(&answered(45, &[], &asked, &secret())), Ok(Answer::Refused(0)));
        let forged = answered(44, &[], &asked, &Secret::try_from(b"other".to_vec()).unwrap());
        assert_eq!(read(&forged), Err(PacketError::Authenticator));
        assert_eq!(read(&answered(41, &[], &asked, &secret())), Err(PacketError::Code(41)));
        let other = request(Order::Change, 8, "sub@example", &Attributes::default(), now(), &secret());
        assert!(read(&answered(44, &[], &other, &secret())).is_err());
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let asked = request(Order::Disconnect, 1, "x", &Attributes::default(), now(), &secret());
            prop_assert!(answer(&bytes, &asked, &secret()).is_err());
        }
    }
}
