//! Today, live: the numbers of the first page again whenever they change, as server-sent events (HTML, 9.2), so that a page that is
//! open all day is not old. Without scripts the page is whole, and shows the numbers of when it was opened.
//!
//! A stream ends when whoever opened it is not in any more, and after five minutes anyway: the browser opens the next by itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::enter::Who;
use super::matters::needs;
use super::{Office, page};
use crate::desk::Today;
use crate::show;

/// Streams that are open at a time.
const STREAMS_MAX: usize = 64;
/// How often the numbers are looked at.
const EVERY: Duration = Duration::from_secs(2);
/// How long one stream lasts.
pub(super) const LIFE: Duration = Duration::from_secs(300);

/// Places for streams.
#[derive(Clone)]
pub(super) struct Streams(pub(super) Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }
}

/// What is told.
#[derive(Serialize, PartialEq)]
struct Pulse {
    needs: String,
    /// To the minute.
    counted: String,
    totals: Vec<(String, u64)>,
}

impl From<Today> for Pulse {
    fn from(today: Today) -> Self {
        let needs = needs(today.attention.len());
        Self {
            needs,
            counted: today.counted.as_ref().map_or_else(String::new, show::jst),
            totals: today.totals,
        }
    }
}

/// A stream under way.
struct Live {
    office: Office,
    who: Who,
    told: Option<Pulse>,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

impl Live {
    /// Waits until there is something new to tell; nothing when the stream is over.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if self.told.is_some() {
                tokio::time::sleep(EVERY).await;
            }
            if Instant::now() >= self.until || !self.who.is_still_in(&self.office).await {
                return None;
            }
            // What cannot be read now may be in two seconds; meanwhile nothing is told.
            let Ok(today) = self.office.counter.ask(|desk| desk.today()).await else {
                tokio::time::sleep(EVERY).await;
                continue;
            };
            let pulse = Pulse::from(today);
            if self.told.as_ref() == Some(&pulse) {
                continue;
            }
            let event = Event::default().event("today").data(serde_json::to_string(&pulse).ok()?);
            self.told = Some(pulse);
            return Some((Ok(event), self));
        }
    }
}

pub(super) async fn live(State(office): State<Office>, who: Who) -> Response {
    let Ok(place) = Arc::clone(&office.streams.0).try_acquire_owned() else {
        return page::turned(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many pages are open",
            "This one shows the numbers of when it was opened. Load it again to see newer ones.",
        );
    };
    let live = Live { office, who, told: None, until: Instant::now() + LIFE, _place: place };
    Sse::new(stream::unfold(live, Live::next)).keep_alive(KeepAlive::default()).into_response()
}
