//! What rules of measures did to whom, on its way to a record. Of a question that no such rule decided on there is nothing here.
//!
//! Whoever answers only puts it into a queue; when that is full it is counted and lost, for nobody waits for a record.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::message::Query;
use crate::policy::Kind;
use crate::walk::Told;

/// Hits that wait to be recorded at most.
const WAITING_MAX: usize = 65_536;

/// A rule of a measure that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HitRecord {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who asked.
    pub client: IpAddr,
    /// For which name, in lower case.
    pub name: String,
    /// The zone's place in the order.
    pub zone: u8,
    /// What made it decide.
    pub kind: Kind,
    /// What it did.
    pub action: &'static str,
}

/// Where hits are put.
#[derive(Debug)]
pub struct Hits {
    /// The zones of measures, a bit each.
    zones: u64,
    queue: SyncSender<HitRecord>,
    lost: AtomicU64,
}

impl Hits {
    /// Hits of `zones`, a bit each, and where they come out.
    pub fn of(zones: u64) -> (Self, Receiver<HitRecord>) {
        let (queue, out) = sync_channel(WAITING_MAX);
        (Self { zones, queue, lost: AtomicU64::new(0) }, out)
    }

    /// Puts it there if a rule of a measure decided on `question`.
    #[inline]
    pub(super) fn told(&self, told: &Told, question: &[u8], client: IpAddr) {
        if let Some(hit) = told.hit.filter(|hit| self.zones >> (hit.zone & 63) & 1 == 1)
            && let Ok(query) = Query::read(question)
        {
            let (name, at_ms) = (query.name.to_string(), now_ms());
            let client = client.to_canonical();
            let record =
                HitRecord { at_ms, client, name, zone: hit.zone, kind: hit.kind, action: hit.action };
            if self.queue.try_send(record).is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[allow(clippy::disallowed_methods, reason = "records are read by the calendar; nothing is decided by it")]
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
