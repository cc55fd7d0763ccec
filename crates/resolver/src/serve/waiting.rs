//! Questions that wait for other servers: bounded in all and for each network of clients, so that whoever asks for a million names that
//! do not exist takes no place from the others.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::name::Secret;
use crate::pace::network_place;

/// Questions that wait at most, of all clients.
const WAITING_MAX: usize = 20_000;
/// Of clients of one network (IPv4 /24, IPv6 /56).
const WAITING_OF_ONE_MAX: usize = 1_000;
/// Networks are told apart by a hash of so many values; those that share one share its places.
const NETWORKS: usize = 1 << 14;

/// Who waits.
#[derive(Debug)]
pub struct Waiting {
    secret: Secret,
    all: AtomicUsize,
    of: Box<[AtomicUsize]>,
}

/// A question that waits, for as long as this lives.
#[derive(Debug)]
pub struct Waits {
    waiting: Arc<Waiting>,
    place: usize,
}

impl Waiting {
    /// Nobody waits.
    pub fn new(secret: Secret) -> Self {
        let of = std::iter::repeat_with(AtomicUsize::default).take(NETWORKS).collect();
        Self { secret, all: AtomicUsize::new(0), of }
    }

    /// One more; `None` where too many wait.
    pub fn one_more(self: &Arc<Self>, client: IpAddr) -> Option<Waits> {
        let place = network_place(&self.secret, client, NETWORKS);
        let waits = Waits { waiting: Arc::clone(self), place };
        let (of, all) =
            (self.of[place].fetch_add(1, Ordering::Relaxed), self.all.fetch_add(1, Ordering::Relaxed));
        (of < WAITING_OF_ONE_MAX && all < WAITING_MAX).then_some(waits)
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.waiting.of[self.place].fetch_sub(1, Ordering::Relaxed);
        self.waiting.all.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_does_not_take_all_places() {
        let waiting = Arc::new(Waiting::new(Secret([6; 16])));
        let flood: IpAddr = "192.0.2.7".parse().unwrap();
        let held: Vec<Waits> = (0..5000).filter_map(|_| waiting.one_more(flood)).collect();
        assert_eq!(held.len(), WAITING_OF_ONE_MAX);
        assert!(waiting.one_more("198.51.100.1".parse().unwrap()).is_some());
        drop(held);
        assert_eq!(waiting.count(), 0);
        let networks = |number: u32| IpAddr::from((number << 8).to_be_bytes());
        let held: Vec<Waits> = (0..30_000).filter_map(|number| waiting.one_more(networks(number))).collect();
        assert_eq!(held.len(), WAITING_MAX);
    }
}
