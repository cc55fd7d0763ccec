//! One normalised observation. In JSON it is a flat object in IntelMQ's field names (`source.ip`,
//! `classification.type`, `extra.*`), so that IntelMQ, n6 and Shadowserver users can pipe in and out without loss.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::Id;
use crate::rsit::ClassificationType;

/// Keys that do not take part in an event's identity: when and how it reached us.
pub(crate) const NOT_IDENTITY: [&str; 4] = ["time.observation", "raw", "feed.url", "rtir_id"];
/// Keys of our own notes on an event, which are no part of its identity either.
pub(crate) const NOTES: &str = "extra.noroshi.";

/// Event key of the measure under which its feed may be used: a property of how the data was come by.
pub const MEASURE_KEY: &str = "extra.noroshi.measure";

/// Most keys an event may have; more is an attack or a mistake.
pub const KEYS_MAX: usize = 256;

/// One end of what was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `*.ip`
    pub ip: Option<IpAddr>,
    /// `*.port`
    pub port: Option<u16>,
}

/// One observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `time.source`: when it happened, by the source's clock.
    pub time_source: Timestamp,
    /// `time.observation`: when it was read here.
    pub time_observation: Timestamp,
    /// `source.*`: the party responsible.
    pub source: Endpoint,
    /// `destination.*`
    pub destination: Endpoint,
    /// `classification.type`
    pub classification: ClassificationType,
    /// `malware.name`, lower case.
    pub malware_name: Option<String>,
    /// `feed.name`
    pub feed_name: String,
    /// `feed.code`: the campaign the event belongs to.
    pub feed_code: String,
    /// Everything else by its IntelMQ key: `source.asn`, `extra.tag`, …
    pub more: BTreeMap<String, Value>,
}

/// Why a JSON object is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// A field that every event has is missing.
    #[error("'{0}' is missing")]
    Missing(&'static str),
    /// A field does not read as what it must be.
    #[error("'{0}' is not valid")]
    Invalid(&'static str),
    /// Not an object, or too large a one.
    #[error("an event is a JSON object of at most {KEYS_MAX} keys")]
    Shape,
}

impl Event {
    /// An event with nothing but what every event has.
    pub fn new(
        time_source: Timestamp,
        time_observation: Timestamp,
        classification: ClassificationType,
        feed_name: &str,
        feed_code: &str,
    ) -> Self {
        Self {
            time_source,
            time_observation,
            source: Endpoint::default(),
            destination: Endpoint::default(),
            classification,
            malware_name: None,
            feed_name: feed_name.into(),
            feed_code: feed_code.into(),
            more: BTreeMap::new(),
        }
    }

    /// The event's id: a hash over everything but when and how it was received.
    pub fn id(&self) -> Id {
        let mut flat = self.to_intelmq();
        flat.retain(|key, _| !NOT_IDENTITY.contains(&key.as_str()) && !key.starts_with(NOTES));
        Id::of("event", &[Value::Object(flat).to_string().as_bytes()])
    }

    /// The malware family, or the RSIT type where none is named: what the notice will be about.
    pub fn family(&self) -> &str {
        self.malware_name.as_deref().unwrap_or(self.classification.id())
    }

    /// The flat form in IntelMQ's field names; keys are sorted.
    pub fn to_intelmq(&self) -> Map<String, Value> {
        // Some crates make serde_json's maps keep the order in which keys came; the id must not depend on who does.
        let mut flat: BTreeMap<String, Value> = self.more.clone();
        let mut put = |key: &str, value: Value| {
            flat.insert(key.to_owned(), value);
        };
        put("time.source", self.time_source.to_string().into());
        put("time.observation", self.time_observation.to_string().into());
        put("classification.type", self.classification.id().into());
        put("classification.taxonomy", self.classification.taxonomy().into());
        put("feed.name", self.feed_name.clone().into());
        put("feed.code", self.feed_code.clone().into());
        if let Some(name) = &self.malware_name {
            put("malware.name", name.clone().into());
        }
        for (end, prefix) in [(&self.source, "source"), (&self.destination, "destination")] {
            if let Some(ip) = end.ip {
                put(&format!("{prefix}.ip"), ip.to_string().into());
            }
            if let Some(port) = end.port {
                put(&format!("{prefix}.port"), port.into());
            }
        }
        flat.into_iter().collect()
    }

    /// Reads the flat form.
    pub fn from_intelmq(flat: &Map<String, Value>) -> Result<Self, EventError> {
        if flat.len() > KEYS_MAX {
            return Err(EventError::Shape);
        }
        let mut more: BTreeMap<String, Value> = flat.clone().into_iter().collect();
        more.remove("classification.taxonomy");
        let (source, observation) =
            (parsed(&mut more, "time.source")?, parsed(&mut more, "time.observation")?);
        // Lists say what is so, not since when: for them it is so when it was read.
        let time_source = source.or(observation).ok_or(EventError::Missing("time.source"))?;
        let time_observation = observation.unwrap_or(time_source);
        let kind: String = parsed(&mut more, "classification.type")?.unwrap_or_else(|| "undetermined".into());
        Ok(Self {
            time_source,
            time_observation,
            source: endpoint(&mut more, "source.ip", "source.port")?,
            destination: endpoint(&mut more, "destination.ip", "destination.port")?,
            classification: ClassificationType::parse(&kind)
                .ok_or(EventError::Invalid("classification.type"))?,
            malware_name: parsed(&mut more, "malware.name")?,
            feed_name: parsed(&mut more, "feed.name")?.unwrap_or_default(),
            feed_code: parsed(&mut more, "feed.code")?.unwrap_or_default(),
            more,
        })
    }
}

fn endpoint(
    more: &mut BTreeMap<String, Value>,
    ip: &'static str,
    port: &'static str,
) -> Result<Endpoint, EventError> {
    Ok(Endpoint { ip: parsed(more, ip)?, port: parsed(more, port)? })
}

fn parsed<T: for<'de> Deserialize<'de>>(
    more: &mut BTreeMap<String, Value>,
    key: &'static str,
) -> Result<Option<T>, EventError> {
    match more.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value).map(Some).map_err(|_| EventError::Invalid(key)),
    }
}

impl Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.to_intelmq().serialize(s)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let flat = Map::deserialize(d)?;
        Event::from_intelmq(&flat).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> Event {
        let t = "2026-11-20T03:12:00Z".parse().unwrap();
        let mut e = Event::new(t, t, ClassificationType::InfectedSystem, "seized gate", "takedown-1");
        e.source.ip = Some("198.51.100.7".parse().unwrap());
        e.malware_name = Some("mirai".into());
        e
    }

    #[test]
    fn the_id_does_not_depend_on_when_it_was_read() {
        let mut later = event();
        later.time_observation = "2026-11-25T00:00:00Z".parse().unwrap();
        later.more.insert("raw".into(), "…".into());
        assert_eq!(event().id(), later.id());
        later.source.port = Some(1);
        assert_ne!(event().id(), later.id());
    }

    proptest! {
        #[test]
        fn the_flat_form_reads_back_the_same(
            seconds in 0i64..4_000_000_000,
            ip in any::<std::net::Ipv6Addr>(),
            port in any::<Option<u16>>(),
            extra in "[a-z]{1,8}", value in ".{0,40}",
        ) {
            let mut e = event();
            e.time_source = Timestamp::from_second(seconds).unwrap();
            e.source.ip = Some(ip.into());
            e.source.port = port;
            e.more.insert(format!("extra.{extra}"), value.into());
            let text = serde_json::to_string(&e).unwrap();
            prop_assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), e);
        }
    }
}
