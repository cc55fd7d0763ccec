//! What rules decided, as dnstap (dnstap.info, `dnstap.proto`): question and answer with the rule, for whoever collects such records.
//!
//! Of questions on which no rule decided there is nothing here: what a resolver that warns must never record. A message is encoded where it is answered
//! and put into a queue; when that is full it is counted and lost.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client::Transport;
use crate::policy::Kind;
use crate::walk::{Hit, Told};

/// The content of frames (Frame Streams, `fstrm`).
pub const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
/// Records that wait to be written at most.
const WAITING_MAX: usize = 16_384;
/// `Dnstap.Type.MESSAGE`
const MESSAGE: u64 = 1;
/// `Message.Type.CLIENT_QUERY`, `CLIENT_RESPONSE`
const CLIENT: [u64; 2] = [5, 6];

/// Where records are put.
#[derive(Debug)]
pub struct Tap {
    /// Of whom they are.
    identity: Vec<u8>,
    /// The zones whose hits they are of, a bit each.
    zones: u64,
    /// Names of zones by their place.
    names: Vec<String>,
    queue: SyncSender<Vec<u8>>,
    lost: AtomicU64,
}

/// A question that a rule decided on, and what it was answered.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The message.
    pub question: &'a [u8],
    /// Its answer; empty where there is none.
    pub answer: &'a [u8],
    /// Who asked.
    pub from: SocketAddr,
    /// How.
    pub transport: Transport,
}

impl Tap {
    /// Records of `zones`, a bit each, that are called so; and where they come out.
    pub fn of(identity: &str, zones: u64, names: Vec<String>) -> (Arc<Self>, Receiver<Vec<u8>>) {
        let (queue, out) = sync_channel(WAITING_MAX);
        let identity = identity.as_bytes().to_vec();
        (Arc::new(Self { identity, zones, names, queue, lost: AtomicU64::new(0) }), out)
    }

    /// Puts it there if a rule decided.
    #[inline]
    pub(super) fn told(&self, told: &Told, exchange: Exchange<'_>) {
        if let Some(hit) = told.hit.filter(|hit| self.zones >> (hit.zone & 63) & 1 == 1)
            && self.queue.try_send(self.encoded(hit, exchange, now())).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn encoded(&self, hit: Hit, exchange: Exchange<'_>, at: Duration) -> Vec<u8> {
        let Exchange { question, answer, from, transport } = exchange;
        let (v4, address) = match from.ip().to_canonical() {
            IpAddr::V4(v4) => (true, v4.octets().to_vec()),
            IpAddr::V6(v6) => (false, v6.octets().to_vec()),
        };
        let protocol = match transport {
            Transport::Udp => 1,
            Transport::Tcp => 2,
            Transport::Tls => 3,
            Transport::Https => 4,
            Transport::Quic => 7,
        };
        let mut policy = Protobuf::default();
        policy.octets(1, b"RPZ");
        policy.octets(2, self.names.get(usize::from(hit.zone)).map_or(&[][..], |name| name.as_bytes()));
        policy.number(3, action(hit.action));
        policy.number(4, trigger(hit.kind));
        let mut message = Protobuf::default();
        message.number(1, CLIENT[usize::from(!answer.is_empty())]);
        message.number(2, if v4 { 1 } else { 2 });
        message.number(3, protocol);
        message.octets(4, &address);
        message.number(6, from.port().into());
        message.number(8, at.as_secs());
        message.fixed32(9, at.subsec_nanos());
        message.octets(10, question);
        if !answer.is_empty() {
            message.number(12, at.as_secs());
            message.fixed32(13, at.subsec_nanos());
            message.octets(14, answer);
        }
        message.octets(15, &policy.0);
        let mut record = Protobuf::default();
        record.octets(1, &self.identity);
        record.octets(2, concat!("noroshi ", env!("CARGO_PKG_VERSION")).as_bytes());
        record.octets(14, &message.0);
        record.number(15, MESSAGE);
        record.0
    }
}

/// `Policy.Action`
fn action(label: &str) -> u64 {
    match label {
        "nxdomain" => 1,
        "nodata" => 2,
        "passthru" => 3,
        "drop" => 4,
        "tcp-only" => 5,
        // Other names, records, and the address of the page that warns.
        _ => 6,
    }
}

/// `Policy.Match`
fn trigger(kind: Kind) -> u64 {
    match kind {
        Kind::Qname => 1,
        Kind::ClientIp => 2,
        Kind::Ip => 3,
        Kind::Nsdname => 4,
        Kind::Nsip => 5,
    }
}

/// Fields of a message, as Protocol Buffers write them.
#[derive(Debug, Default)]
struct Protobuf(Vec<u8>);

impl Protobuf {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn octets(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn fixed32(&mut self, field: u64, value: u32) {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}

#[allow(clippy::disallowed_methods, reason = "records are read by the calendar; nothing is decided by it")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
