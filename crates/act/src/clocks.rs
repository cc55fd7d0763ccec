//! How wrong each access server's clock is.
//!
//! Every accounting record carries two times: when the RADIUS server received it, and when the access server says the
//! event was (`Event-Timestamp`, RFC 2869 section 5.3). Their difference, corrected for `Acct-Delay-Time` (RFC 2866
//! section 5.2), is the access server's clock error in that record. The median over many records is its offset; nine hours
//! is a Japanese server that calls its wall clock UTC.

use std::collections::BTreeMap;

use serde::Serialize;

/// From this error on a clock is called wrong, in seconds.
pub const WRONG_FROM_S: i64 = 30;

/// What is known of one access server's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NasClock {
    /// The access server.
    pub nas: String,
    /// Median offset in seconds; positive: ahead.
    pub offset_s: i64,
    /// Half-width of the middle 90 % of offsets, in seconds.
    pub spread_s: i64,
    /// Records looked at.
    pub samples: u64,
}

impl NasClock {
    /// Whether an operator should be told.
    pub fn is_wrong(&self) -> bool {
        self.offset_s.abs() >= WRONG_FROM_S
    }
}

/// All clocks, by access server.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    by_nas: BTreeMap<String, NasClock>,
}

impl Clocks {
    /// Estimates from (server, offset in seconds, how often), in any order.
    pub fn estimate(samples: impl IntoIterator<Item = (String, i64, u64)>) -> Self {
        let mut offsets: BTreeMap<String, BTreeMap<i64, u64>> = BTreeMap::new();
        for (nas, offset_s, count) in samples {
            *offsets.entry(nas).or_default().entry(offset_s).or_default() += count;
        }
        let by_nas = offsets
            .into_iter()
            .map(|(nas, seen)| {
                let samples = seen.values().sum();
                let (low, high) = (quantile(&seen, samples, 5), quantile(&seen, samples, 95));
                let offset_s = quantile(&seen, samples, 50);
                let spread_s = (high - offset_s).max(offset_s - low);
                (nas.clone(), NasClock { nas, offset_s, spread_s, samples })
            })
            .collect();
        Self { by_nas }
    }

    /// The clock of a server.
    pub fn of(&self, nas: &str) -> Option<&NasClock> {
        self.by_nas.get(nas)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &NasClock> {
        self.by_nas.values()
    }
}

fn quantile(seen: &BTreeMap<i64, u64>, samples: u64, percent: u64) -> i64 {
    let rank = samples * percent / 100;
    let mut passed = 0;
    for (offset, count) in seen {
        passed += count;
        if passed > rank {
            return *offset;
        }
    }
    seen.keys().next_back().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_hours_ahead_is_seen_through_a_few_late_copies() {
        let nas = || "192.0.2.2".to_owned();
        let clocks = Clocks::estimate([(nas(), 32_400, 40), (nas(), 32_398, 2), (nas(), -3, 1)]);
        let clock = clocks.of("192.0.2.2").unwrap();
        assert_eq!((clock.offset_s, clock.is_wrong(), clock.samples), (32_400, true, 43));
    }
}
