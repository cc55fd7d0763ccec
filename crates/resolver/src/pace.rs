//! How many answers a network gets: who forges a victim's address must not make the resolver the one who floods it.
//!
//! A bucket for each network of clients (IPv4 /24, IPv6 /56, as response rate limiting does in BIND and NSD) fills with the time and is emptied by answers. When it is
//! empty every second answer is cut to "come over TCP", which no forger can, and the others are not sent. Networks share buckets when
//! their hashes do; with a secret key nobody can make that happen.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher13;

use crate::name::Secret;

/// Buckets, of eight octets each.
const BUCKETS: usize = 1 << 16;
/// Thousandths of an answer that a bucket holds are counted in this unit.
const ANSWER: u64 = 1000;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paced {
    /// It is sent.
    Send,
    /// "Come over TCP" is sent.
    Truncate,
    /// Nothing is sent.
    Drop,
}

/// Buckets of all networks.
#[derive(Debug)]
pub struct Pace {
    secret: Secret,
    /// Answers a second.
    rate: u64,
    /// Each: when it was last looked at, in milliseconds, and what it holds, in thousandths of an answer.
    buckets: Box<[AtomicU64]>,
}

impl Pace {
    /// So many answers a second for a network, and a second's worth at once.
    pub fn new(secret: Secret, rate: u32) -> Self {
        let full = u64::from(rate) * ANSWER;
        let buckets =
            std::iter::repeat_with(|| AtomicU64::new(full.min(u64::from(u32::MAX)))).take(BUCKETS).collect();
        Self { secret, rate: u64::from(rate), buckets }
    }

    /// Takes one answer to `client` out of its network's bucket, `now_ms` being any clock's time.
    #[inline]
    pub fn take(&self, client: IpAddr, now_ms: u32) -> Paced {
        let bucket = &self.buckets[network_place(&self.secret, client, BUCKETS)];
        // Two workers at the same moment may both see the last answer; one more or less does not matter.
        let before = bucket.load(Ordering::Relaxed);
        let (then_ms, held) = ((before >> 32) as u32, before & u64::from(u32::MAX));
        let most = (self.rate * ANSWER).min(u64::from(u32::MAX));
        let since_ms = u64::from(now_ms.wrapping_sub(then_ms));
        let held = most.min(held.saturating_add(since_ms.saturating_mul(self.rate)));
        let (left, paced) = match held.checked_sub(ANSWER) {
            Some(left) => (left, Paced::Send),
            // The odd thousandth says what was done last time.
            None if held & 1 == 0 => (held | 1, Paced::Truncate),
            None => (held & !1, Paced::Drop),
        };
        bucket.store(u64::from(now_ms) << 32 | left, Ordering::Relaxed);
        paced
    }
}

/// Which of `places` a client's network has.
pub fn network_place(secret: &Secret, client: IpAddr, places: usize) -> usize {
    let mut hasher = SipHasher13::new_with_key(&secret.0);
    match client {
        IpAddr::V4(v4) => hasher.write(&v4.octets()[..3]),
        IpAddr::V6(v6) => hasher.write(&v6.octets()[..7]),
    }
    hasher.finish() as usize % places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_gets_its_rate_and_others_do_not_feel_it() {
        let pace = Pace::new(Secret([4; 16]), 100);
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "198.51.100.1".parse().unwrap();
        let mut seen = [0u32; 3];
        for at in 0..1000u32 {
            // A thousand a second, for a second.
            seen[pace.take(client, at) as usize] += 1;
            if at % 20 == 0 {
                assert_eq!(pace.take(other, at), Paced::Send);
            }
        }
        assert!((195..=205).contains(&seen[0]), "a second's worth and a second's refill: {seen:?}");
        assert!(seen[1].abs_diff(seen[2]) <= 205, "{seen:?}");
        assert!(seen[1] > 200 && seen[2] > 200, "{seen:?}");
        assert_eq!(pace.take(client, 20_000), Paced::Send, "later it is full again");
    }
}
