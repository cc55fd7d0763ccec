//! What DHCP servers of any make have in common: how a lease says whose it is.
//!
//! A hardware address or client id is whatever the device says; what the access network puts in (RFC 3046, RFC 4649) names
//! the line. Which of them the directory of subscribers knows is the operator's to declare.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::assignment::Whom;

/// Most octets of an id; none of them may be longer (RFC 3046: 255; RFC 8415: a DUID is at most 130).
pub const ID_BYTES_MAX: usize = 1024;
/// The longest line of a lease file or log.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 10;

/// What names a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineId {
    /// Option 82 sub-option 2, DHCPv6 option 37 with its enterprise number.
    RemoteId,
    /// Option 82 sub-option 1, DHCPv6 option 18. Unique only per relay, unless the network makes them so.
    CircuitId,
    /// Option 82 sub-option 6, DHCPv6 option 38.
    SubscriberId,
    /// The client identifier or DUID.
    ClientId,
    /// The hardware address.
    HwAddress,
}

/// The ids by which a line may be named; the first that a lease has counts.
pub const LINE_IDS: [LineId; 4] = [LineId::RemoteId, LineId::CircuitId, LineId::ClientId, LineId::HwAddress];

/// Whose leases they are, as far as a file does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct LeaseFormat {
    /// The server's name.
    pub server: String,
    /// What names a line, best first.
    pub line: Vec<LineId>,
}

impl Default for LeaseFormat {
    fn default() -> Self {
        Self { server: "dhcp".into(), line: LINE_IDS.to_vec() }
    }
}

/// The ids that a lease has, as octets.
#[derive(Default)]
pub(crate) struct Ids {
    pub remote: Option<Vec<u8>>,
    pub circuit: Option<Vec<u8>>,
    pub subscriber: Option<Vec<u8>>,
    pub client: Option<Vec<u8>>,
    pub hardware: Option<Vec<u8>>,
}

impl Ids {
    /// The first in that order which is there.
    pub fn whom(&self, order: &[LineId]) -> Option<Whom> {
        let of = |id: &LineId| {
            let (octets, worded) = match id {
                LineId::RemoteId => (&self.remote, true),
                LineId::CircuitId => (&self.circuit, true),
                LineId::SubscriberId => (&self.subscriber, true),
                LineId::ClientId => (&self.client, false),
                LineId::HwAddress => (&self.hardware, false),
            };
            let octets = octets.as_deref().filter(|o| !o.is_empty() && o.len() <= ID_BYTES_MAX)?;
            Some(if worded && is_worded(octets) {
                String::from_utf8_lossy(octets).into_owned()
            } else {
                colons(octets)
            })
        };
        order.iter().find_map(of).map(Whom::Line)
    }

    /// Takes the sub-options of option 82 (RFC 3046 §2.0).
    pub fn take_relay_agent(&mut self, mut options: &[u8]) {
        while let [code, length, rest @ ..] = options {
            let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else { return };
            match code {
                1 => self.circuit = Some(value.to_vec()),
                2 => self.remote = Some(value.to_vec()),
                6 => self.subscriber = Some(value.to_vec()),
                _ => {}
            }
            options = rest;
        }
    }

    /// Takes DHCPv6 options (RFC 8415 §21.1).
    pub fn take_v6(&mut self, mut options: &[u8]) {
        while let [c1, c0, l1, l0, rest @ ..] = options {
            let length = usize::from(u16::from_be_bytes([*l1, *l0]));
            let Some((value, rest)) = rest.split_at_checked(length) else { return };
            match u16::from_be_bytes([*c1, *c0]) {
                18 => self.circuit = Some(value.to_vec()),
                37 => self.remote = Some(value.to_vec()),
                38 => self.subscriber = Some(value.to_vec()),
                _ => {}
            }
            options = rest;
        }
    }

    /// Takes what Kea stores of the relays (`store-extended-info`): for DHCPv4 the option as such or, from 2.3.7 on, beside
    /// its ids; for DHCPv6 one entry per relay, of which the one next to the client counts.
    pub fn take_kea_context(&mut self, json: &str) -> Result<(), &'static str> {
        let context: Value = serde_json::from_str(json).map_err(|_| "`user_context` is no JSON")?;
        let isc = &context["ISC"];
        let octets = |value: &Value| value.as_str().and_then(hex);
        match &isc["relay-agent-info"] {
            Value::Object(info) => {
                self.remote = info.get("remote-id").and_then(octets);
                if let Some(options) = info.get("sub-options").and_then(octets) {
                    self.take_relay_agent(&options);
                }
            }
            option => self.take_relay_agent(&octets(option).unwrap_or_default()),
        }
        let relays = isc["relay-info"].as_array().map(Vec::as_slice).unwrap_or_default();
        let nearest = relays.iter().min_by_key(|relay| relay["hop"].as_u64().unwrap_or(u64::MAX));
        if let Some(relay) = nearest {
            self.remote = octets(&relay["remote-id"]).or(self.remote.take());
            self.take_v6(&octets(&relay["options"]).unwrap_or_default());
        }
        Ok(())
    }
}

/// What a person chose to write, such as `pon-3/1/7`: printable ASCII.
fn is_worded(octets: &[u8]) -> bool {
    octets.iter().all(|octet| (b' '..=b'~').contains(octet))
}

/// `00:53:00:aa:bb:cc`.
fn colons(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(octets.len() * 3);
    for octet in octets {
        if !text.is_empty() {
            text.push(':');
        }
        text.push(char::from(DIGITS[usize::from(octet >> 4)]));
        text.push(char::from(DIGITS[usize::from(octet & 15)]));
    }
    text
}

/// Octets in hex: with colons between them, where each may have one digit only, or without; `0x` may lead.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    if text.len() > 3 * ID_BYTES_MAX * 8 {
        return None;
    }
    let digit = |digit: &u8| u8::try_from(char::from(*digit).to_digit(16)?).ok();
    let octet = |part: &[u8]| match part {
        [low] => digit(low),
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    if text.contains(':') {
        text.as_bytes().split(|byte| *byte == b':').map(octet).collect()
    } else {
        text.as_bytes().chunks(2).map(|pair| octet(pair).filter(|_| pair.len() == 2)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_id_that_is_there_names_the_line() {
        let mut ids = Ids { hardware: hex("00:53:00:aa:bb:cc"), ..Ids::default() };
        assert_eq!(ids.whom(&LINE_IDS), Some(Whom::Line("00:53:00:aa:bb:cc".into())));
        ids.client = hex("0100530AABBCC");
        assert_eq!(ids.client, None);
        ids.client = hex("010053");
        assert_eq!(ids.whom(&LINE_IDS), Some(Whom::Line("01:00:53".into())));
        ids.take_relay_agent(b"\x01\x05pon-3\x02\x03\x00\xff\x07\x09\x01x");
        assert_eq!(ids.whom(&LINE_IDS), Some(Whom::Line("00:ff:07".into())));
        assert_eq!(ids.whom(&[LineId::CircuitId]), Some(Whom::Line("pon-3".into())));
        assert_eq!(ids.whom(&[LineId::SubscriberId]), None);
    }

    #[test]
    fn hex_is_whole_octets() {
        for text in ["aaa000a:1", "0:123", "123", "1:", ":", "g1", "é"] {
            assert_eq!(hex(text), None, "{text}");
        }
        assert_eq!(hex("0:12:f"), Some(vec![0, 0x12, 15]));
    }

    #[test]
    fn keas_contexts_of_every_version_are_read() {
        let read = |json: &str| {
            let mut ids = Ids::default();
            ids.take_kea_context(json).map(|()| (ids.remote, ids.circuit))
        };
        let old = r#"{ "ISC": { "relay-agent-info": "0x0104AABBCCDD02020A0B" } }"#;
        assert_eq!(read(old), Ok((hex("0a0b"), hex("aabbccdd"))));
        let new = r#"{ "ISC": { "relay-agent-info": { "remote-id": "0A0B", "sub-options": "0x0101FF02020A0B" } } }"#;
        assert_eq!(read(new), Ok((hex("0a0b"), hex("ff"))));
        let v6 = r#"{ "ISC": { "relay-info": [ { "hop": 1, "options": "0x0012000100" },
            { "hop": 0, "options": "0x00120008706F7274313233340025000500000009AA" } ] } }"#;
        assert_eq!(read(v6), Ok((hex("00000009aa"), Some(b"port1234".to_vec()))));
        assert_eq!(read("{}"), Ok((None, None)));
        assert!(read("{").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, text in ".{0,40}") {
            let mut ids = Ids::default();
            ids.take_relay_agent(&bytes);
            ids.take_v6(&bytes);
            let _ = ids.take_kea_context(&text);
            let _ = hex(&text);
            let _ = ids.whom(&LINE_IDS);
        }

        #[test]
        fn octets_are_read_back_from_hex(octets in prop::collection::vec(any::<u8>(), 1..40)) {
            prop_assert_eq!(hex(&colons(&octets)), Some(octets.clone()));
            prop_assert_eq!(hex(&colons(&octets).replace(':', "")), Some(octets));
        }
    }
}
