//! What the console's Telescope shows, read from what telescopes wrote down: a day's counts, and what map and sphere are drawn from.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use noroshi_model::Id;
use noroshi_model::organisation::{Alert, Range};
use noroshi_model::telescope::{Campaign, HourCount, Sighting};
use noroshi_orient::signs::forecast::forecast;
use noroshi_portal::Cursor;
use noroshi_portal::desk::{DeskError, Expected, PlacedAlert, Ring, Sky, SkyNews, TelescopePage, Telescopes};
use noroshi_store::{StoreError, Tx};

use crate::desk::HouseDesk;

const DAY: SignedDuration = SignedDuration::from_hours(24);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// What has not been heard for so long is no telescope any more.
const GONE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Without a time, what was new in so much.
const LATELY: SignedDuration = SignedDuration::from_secs(5);
/// An address that goes on sending is written every ten seconds.
const GOES_ON: SignedDuration = SignedDuration::from_secs(30);
/// Marks that a view begins with.
const SIGHTINGS_MAX: u32 = 2000;
const ALERTS_MAX: u32 = 2000;
/// And that come at a time.
const NEWS_MAX: u32 = 500;
/// Hours from which it is told what to expect: eight weeks, and not before two days.
const KNOWN: SignedDuration = SignedDuration::from_hours(8 * 7 * 24);
const KNOWN_MIN: usize = 48;
const HOUR_S: i64 = 3600;
/// Campaigns on the first page.
const CAMPAIGNS_MAX: u32 = 10;

impl Telescopes for HouseDesk {
    fn telescope(&self) -> Result<TelescopePage, DeskError> {
        let now = self.house.clock.now();
        self.read("desk.telescope", |tx| page(tx, now))
    }

    fn telescope_svg(&self) -> Result<String, DeskError> {
        let now = self.house.clock.now();
        self.read("desk.telescope", |tx| picture(tx, now))
    }

    fn telescope_sightings(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Sighting>, DeskError> {
        let mark = behind.and_then(Cursor::mark);
        self.read("desk.sightings", |tx| tx.telescope_sightings(mark.as_ref(), limit))
    }

    fn telescope_sighting(&self, id: &Id) -> Result<Sighting, DeskError> {
        self.read("desk.sighting", |tx| tx.telescope_sighting(id))?.ok_or(DeskError::NotFound)
    }

    fn telescope_campaigns(&self, behind: Option<&Cursor>, limit: u32) -> Result<Vec<Campaign>, DeskError> {
        let mark = behind.and_then(Cursor::mark);
        self.read("desk.campaigns", |tx| tx.telescope_campaigns(mark.as_ref(), limit))
    }

    fn telescope_campaign(&self, id: &Id) -> Result<Campaign, DeskError> {
        self.read("desk.campaign", |tx| tx.telescope_campaign(id))?.ok_or(DeskError::NotFound)
    }

    fn sky(&self, at: Option<Timestamp>) -> Result<Sky, DeskError> {
        let at = at.unwrap_or_else(|| self.house.clock.now());
        self.read("desk.sky", |tx| sky(tx, at))
    }

    fn sky_since(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Result<SkyNews, DeskError> {
        let until = until.unwrap_or_else(|| self.house.clock.now());
        self.read("desk.sky-news", |tx| news(tx, since, until))
    }
}

/// A day's counts.
fn page(tx: &mut Tx<'_>, now: Timestamp) -> Result<TelescopePage, StoreError> {
    let (day, week) = (now - DAY, now - DAY - WEEK);
    // An hour counts for the day in which it began.
    let mut campaigns = tx.telescope_campaigns(None, CAMPAIGNS_MAX)?;
    campaigns.retain(|one| one.known >= day);
    Ok(TelescopePage {
        at: now,
        telescopes: tx.telescopes(now - GONE)?,
        minutes: tx.telescope_minutes(day, now)?,
        day: tx.telescope_span(day, now)?,
        week: tx.telescope_span(week, day)?,
        campaigns,
        expected: expected(&tx.telescope_hours(now - KNOWN, now)?, now),
    })
}

/// What to expect of this hour, and of the same tomorrow.
fn expected(hours: &[HourCount], now: Timestamp) -> Vec<Expected> {
    let this = now.as_second().div_euclid(HOUR_S);
    let number = |count: &HourCount| count.hour.as_second().div_euclid(HOUR_S);
    // This hour is not over.
    let over = || hours.iter().filter(|count| number(count) < this);
    let Some(first) = over().next().map(number).filter(|_| over().count() >= KNOWN_MIN) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (what, value) in
        [("packets", (|count| count.packets) as fn(&HourCount) -> u64), ("senders", |count| count.hosts)]
    {
        let mut series = vec![None; usize::try_from(this - first).unwrap_or(0)];
        for count in over() {
            let place = usize::try_from(number(count) - first).ok().and_then(|place| series.get_mut(place));
            if let Some(place) = place {
                *place = Some(value(count) as f64);
            }
        }
        for ahead in [0, 24] {
            let Some(told) = forecast(&series, ahead + 1) else { continue };
            let Ok(hour) = Timestamp::from_second((this + ahead as i64) * HOUR_S) else { continue };
            let whole = |value: f64| value.max(0.0).round() as u64;
            let (mean, low, high) = (whole(told.mean), whole(told.low), whole(told.high));
            all.push(Expected { hour, what, mean, low, high, error: told.mase, coverage: told.coverage });
        }
    }
    all
}

/// The day's picture.
fn picture(tx: &mut Tx<'_>, now: Timestamp) -> Result<String, StoreError> {
    Ok(noroshi_improve::dark_day::svg(&tx.telescope_minutes(now - DAY, now)?, now))
}

/// All of it, as it was at a time.
fn sky(tx: &mut Tx<'_>, at: Timestamp) -> Result<Sky, StoreError> {
    let ranges = ranges(tx)?;
    let mut rings = Vec::new();
    for organisation in tx.organisations()? {
        let count = ranges.get(&organisation.key).map_or(0, Vec::len);
        if count > 0 {
            rings.push(Ring { key: organisation.key, name: organisation.name, ranges: count });
        }
    }
    let alerts = tx.alerts_since(at - DAY, ALERTS_MAX)?;
    Ok(Sky {
        now: at,
        telescopes: tx.telescopes(at - GONE)?,
        rings,
        alerts: placed(alerts.into_iter().filter(|one| one.seen.first <= at), &ranges),
        sightings: tx.telescope_sightings_between(at - DAY, at, SIGHTINGS_MAX)?,
    })
}

/// What was new until then.
fn news(tx: &mut Tx<'_>, since: Option<Timestamp>, until: Timestamp) -> Result<SkyNews, StoreError> {
    let since = since.unwrap_or(until - LATELY);
    let alerts = tx.alerts_since(since - GOES_ON, NEWS_MAX)?;
    let alerts = alerts.into_iter().filter(|one| one.seen.first <= until);
    let alerts = if alerts.clone().next().is_some() { placed(alerts, &ranges(tx)?) } else { Vec::new() };
    Ok(SkyNews { until, sightings: tx.telescope_sightings_between(since, until, NEWS_MAX)?, alerts })
}

/// Organisations' proven ranges, in their order.
fn ranges(tx: &mut Tx<'_>) -> Result<HashMap<String, Vec<IpNet>>, StoreError> {
    let mut ranges = HashMap::<String, Vec<IpNet>>::new();
    for Range { prefix, organisation, proven, .. } in tx.ranges(None)? {
        if proven.is_some() {
            ranges.entry(organisation).or_default().push(prefix);
        }
    }
    ranges.values_mut().for_each(|all| all.sort_unstable());
    Ok(ranges)
}

/// Alerts of organisations that have a ring.
fn placed(alerts: impl Iterator<Item = Alert>, ranges: &HashMap<String, Vec<IpNet>>) -> Vec<PlacedAlert> {
    let place = |alert: Alert| {
        let ranges = ranges.get(&alert.organisation)?;
        let at = ranges.iter().rposition(|net| net.contains(&alert.seen.ip))?;
        let place = (at as f64 + within(ranges[at], alert.seen.ip)) / ranges.len() as f64;
        Some(PlacedAlert { alert, place })
    };
    alerts.filter_map(place).collect()
}

/// Where an address is within a range, from 0 to 1.
fn within(net: IpNet, ip: IpAddr) -> f64 {
    let (number, bits) = match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let prefix = u32::from(net.prefix_len());
    let host = if prefix >= bits { 0 } else { number << prefix };
    host as f64 / 2f64.powi(128)
}

#[cfg(test)]
mod tests {
    use noroshi_model::telescope::Counted;

    use super::*;

    #[test]
    fn what_to_expect_is_of_this_hour_and_of_tomorrows_and_takes_two_days() {
        let now = Timestamp::from_second(1000 * HOUR_S + 1800).unwrap();
        let hour = |number: i64, packets| HourCount {
            hour: Timestamp::from_second(number * HOUR_S).unwrap(),
            by: Counted::All,
            name: String::new(),
            hosts: 10,
            packets,
        };
        let mut hours: Vec<_> = (900..1000).filter(|n| n % 7 > 0).map(|n| hour(n, 5000)).collect();
        // What is counted of this hour so far says nothing of it.
        hours.push(hour(1000, 3));
        let told = expected(&hours, now);
        let when: Vec<_> = told.iter().map(|one| (one.what, one.hour.as_second() / HOUR_S)).collect();
        assert_eq!(when, [("packets", 1000), ("packets", 1024), ("senders", 1000), ("senders", 1024)]);
        assert!(told.iter().all(|one| one.low <= one.mean && one.mean <= one.high));
        assert!((4500..5500).contains(&told[0].mean) && (9..=11).contains(&told[2].mean), "{told:?}");
        assert!(expected(&hours[60..], now).is_empty());
    }

    #[test]
    fn an_address_is_where_it_lies_in_its_range() {
        let within = |net: &str, ip: &str| within(net.parse().unwrap(), ip.parse().unwrap());
        assert_eq!(within("192.0.2.0/24", "192.0.2.0"), 0.0);
        assert_eq!(within("192.0.2.0/24", "192.0.2.192"), 0.75);
        assert_eq!(within("192.0.2.7/32", "192.0.2.7"), 0.0);
        assert_eq!(within("0.0.0.0/0", "128.0.0.0"), 0.5);
        assert_eq!(within("2001:db8::/32", "2001:db8:8000::1"), 0.5);
    }
}
