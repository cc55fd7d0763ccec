//! What map and sphere are drawn from: all of it once, and then what is new each second, as server-sent events (HTML, 9.2).
//!
//! Each mark has the address of its record. `?from=` replays what was seen from then on, at the pace at which it was seen, as far as it is
//! still kept.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, offset};
use jiff::{SignedDuration, Timestamp};
use noroshi_model::Id;
use noroshi_model::organisation::Role;
use noroshi_model::telescope::Sighting;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::super::asked::{Asked, Here};
use super::super::enter::Who;
use super::super::live::LIFE;
use super::super::{Office, page};
use crate::counter::Counter;
use crate::desk::{PlacedAlert, Ring, Sky, SkyNews};
use crate::show;

/// How often it is looked for what is new.
const EVERY: Duration = Duration::from_secs(1);
/// And for organisations that are.
const RINGS_EVERY: Duration = Duration::from_secs(10);
/// What is written this much later than it was seen is still told.
const OVERLAP: SignedDuration = SignedDuration::from_secs(5);

#[derive(Template)]
#[template(path = "console/map.html")]
struct MapView<'a> {
    here: Here<'a>,
    /// What the address of what it is drawn from ends with.
    from: String,
}

#[derive(Template)]
#[template(path = "console/sphere.html")]
struct SphereView<'a> {
    here: Here<'a>,
    from: String,
}

pub(in super::super) async fn map(asked: Asked) -> Response {
    let from = query(asked.field("from"));
    asked.answer(&MapView { here: asked.here("telescope"), from }, &Value::Null)
}

pub(in super::super) async fn sphere(asked: Asked) -> Response {
    let from = query(asked.field("from"));
    asked.answer(&SphereView { here: asked.here("telescope"), from }, &Value::Null)
}

/// A time as it stands in an address; nothing where it is none.
fn query(from: &str) -> String {
    since(from).map_or_else(String::new, |from| format!("?from={from}"))
}

/// A time, in Japan's where it names no zone, as a form's field does not.
fn since(from: &str) -> Option<Timestamp> {
    let local =
        || from.parse::<DateTime>().ok()?.to_zoned(TimeZone::fixed(offset(9))).ok().map(|at| at.timestamp());
    from.parse().ok().or_else(local)
}

pub(in super::super) async fn state(State(counter): State<Counter>, asked: Asked) -> Response {
    let from = since(asked.field("from"));
    match counter.ask(move |desk| desk.sky(from)).await {
        Ok(sky) => page::json(&told(&sky, from.is_some())),
        Err(error) => {
            (page::status(&error), page::json(&json!({ "error": error.to_string() }))).into_response()
        }
    }
}

/// A stream under way.
struct Live {
    office: Office,
    who: Who,
    /// Where a replay began, and when.
    from: Option<(Timestamp, Instant)>,
    /// Up to when it was looked.
    seen: Option<Timestamp>,
    /// Sightings of the time that is looked at again.
    told: HashSet<Id>,
    /// Alerts as they were told last.
    alerts: HashMap<Id, (Timestamp, &'static str)>,
    rings: Option<(Instant, Vec<Ring>)>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Live {
    /// Waits until there is something new to tell; nothing when the stream is over.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            tokio::time::sleep(EVERY).await;
            if Instant::now() >= self.until || !self.who.is_still_in(&self.office).await {
                return None;
            }
            let Some((name, value)) = self.look().await else { continue };
            let event = Event::default().event(name).data(value.to_string());
            return Some((Ok(event), self));
        }
    }

    /// What is new. What cannot be read now may be in a second; meanwhile nothing is told.
    async fn look(&mut self) -> Option<(&'static str, Value)> {
        if let Some(event) = self.new_rings().await {
            return Some(event);
        }
        let replay = self.from.map(|(from, begun)| {
            from + SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::ZERO)
        });
        let after = self.seen.map(|seen| seen - OVERLAP);
        let answer = self.office.counter.ask(move |desk| desk.sky_since(after, replay));
        let SkyNews { until, sightings, alerts } = answer.await.ok()?;
        self.seen = Some(until);
        let sightings = self.new_sightings(sightings);
        let alerts = self.new_alerts(alerts);
        // One event a second: alerts are rare, and what is left comes with the next look.
        if !alerts.is_empty() {
            self.told.retain(|id| !sightings.iter().any(|one| one.id == *id));
            return Some(("alerts", json!({ "alerts": alerts.iter().map(alert).collect::<Vec<_>>() })));
        }
        (!sightings.is_empty()).then(|| {
            let told: Vec<_> = sightings.iter().map(sighting).collect();
            ("sightings", json!({ "sampled": sampled(&sightings), "sightings": told }))
        })
    }

    /// What the page has already by its state, it knows by its id.
    fn new_sightings(&mut self, sightings: Vec<Sighting>) -> Vec<Sighting> {
        let before = std::mem::take(&mut self.told);
        self.told = sightings.iter().map(|one| one.id.clone()).collect();
        sightings.into_iter().filter(|one| !before.contains(&one.id)).collect()
    }

    fn new_alerts(&mut self, mut alerts: Vec<PlacedAlert>) -> Vec<PlacedAlert> {
        alerts.retain(|one| {
            let now = (one.alert.seen.last, state_of(one));
            self.alerts.insert(one.alert.id.clone(), now) != Some(now)
        });
        alerts
    }

    /// All of it again, when organisations have changed.
    async fn new_rings(&mut self) -> Option<(&'static str, Value)> {
        if self.rings.as_ref().is_some_and(|(at, _)| at.elapsed() < RINGS_EVERY) || self.from.is_some() {
            return None;
        }
        let sky = self.office.counter.ask(|desk| desk.sky(None)).await.ok()?;
        let before = self.rings.replace((Instant::now(), sky.rings.clone()));
        let changed = before.is_some_and(|(_, rings)| rings != sky.rings);
        changed.then(|| ("state", told(&sky, false)))
    }
}

pub(in super::super) async fn live(State(office): State<Office>, who: Who, asked: Asked) -> Response {
    let Ok(place) = Arc::clone(&office.streams.0).try_acquire_owned() else {
        return page::turned(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many pages are open",
            "This one shows what was seen when it was opened. Load it again to see what is newer.",
        );
    };
    let from = since(asked.field("from")).map(|from| (from, Instant::now()));
    let live = Live {
        office,
        who,
        from,
        seen: None,
        told: HashSet::new(),
        alerts: HashMap::new(),
        rings: None,
        until: Instant::now() + LIFE,
        _place: place,
    };
    Sse::new(stream::unfold(live, Live::next)).keep_alive(KeepAlive::default()).into_response()
}

fn told(sky: &Sky, is_replay: bool) -> Value {
    let Sky { now, telescopes, rings, alerts, sightings } = sky;
    let share = |ring: &Ring| vec![json!({ "share": 1.0 / ring.ranges.max(1) as f64 }); ring.ranges];
    json!({
        "mode": if is_replay { "replay" } else { "live" },
        "now": told_at(*now),
        "sampled": sampled(sightings),
        "telescopes": telescopes.iter().map(|one| json!({ "name": show::visible(&one.name), "addresses": one.addresses })).collect::<Vec<_>>(),
        "organisations": rings.iter().map(|ring| json!({
            "key": ring.key, "name": show::visible(&ring.name), "ranges": share(ring), "href": "/alerts"
        })).collect::<Vec<_>>(),
        "alerts": alerts.iter().map(alert).collect::<Vec<_>>(),
        "sightings": sightings.iter().map(sighting).collect::<Vec<_>>(),
    })
}

/// Times of one length, which are compared as texts.
fn told_at(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Of how many the newest is one.
fn sampled(sightings: &[Sighting]) -> Option<u64> {
    sightings.first().map(|one| one.sampled)
}

fn sighting(one: &Sighting) -> Value {
    json!({
        "id": one.id,
        "at": told_at(one.at),
        "country": (!one.country.is_empty()).then_some(&one.country),
        "class": if one.class.is_empty() { "unknown" } else { &one.class },
        "what": one.what(),
        "href": format!("/telescope/sightings/{}", one.id),
    })
}

fn alert(one: &PlacedAlert) -> Value {
    let PlacedAlert { alert, place } = one;
    let seen = &alert.seen;
    json!({
        "id": alert.id,
        "organisation": alert.organisation,
        "place": place,
        "role": if seen.role == Role::Victim { "victim" } else { "sender" },
        "state": state_of(one),
        "what": alert.what(),
        "last": told_at(seen.last),
        "href": format!("/alerts/{}", alert.id),
    })
}

fn state_of(PlacedAlert { alert, .. }: &PlacedAlert) -> &'static str {
    match (alert.muted, alert.message) {
        (true, _) => "muted",
        (_, Some(_)) => "told",
        _ => "waits",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_replay_from_is_of_japan_where_it_names_no_zone() {
        assert_eq!(query("2026-11-27T21:00"), "?from=2026-11-27T12:00:00Z");
        assert_eq!(query("2026-11-27T12:00:00Z"), "?from=2026-11-27T12:00:00Z");
        assert_eq!((query(""), query("\"><x>"), query("9999-99-99T00:00")), Default::default());
    }
}
