//! What is true of every answer, whatever the page: its headers, and how long, large and many requests may
//! be.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::pace::{Limit, Pace};
use crate::whence::Whence;

/// Largest request body that is read; our forms send none.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Longest path with its query that is looked at.
pub const PATH_BYTES_MAX: usize = 2048;
/// Requests worked on at a time, on one listener.
pub const REQUESTS_MAX: usize = 512;
/// Look-ups at a time for subscribers.
pub const SUBSCRIBER_SEATS: usize = 32;
/// Look-ups at a time for the console.
pub const CONSOLE_SEATS: usize = 8;
/// How long a subscriber waits at most.
pub const SUBSCRIBER_WAIT: Duration = Duration::from_secs(10);
/// How long an operator waits at most: the walk over a long evidence log takes its time.
pub const CONSOLE_WAIT: Duration = Duration::from_secs(60);
/// How fast one place may ask for subscribers' pages, where nothing else is configured: behind a translator, many share one.
pub const SUBSCRIBER_PER_SECOND: u32 = 20;
/// Places whose pace is known at a time.
pub(crate) const PLACES_MAX: usize = 100_000;
/// After how many seconds a browser may try again.
pub const RETRY_AFTER_S: &str = "30";

/// Nothing is loaded, sent or framed but our own pages, style sheet, pictures and forms; no script at all.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";
/// The same for the console, whose own few scripts talk to it alone, and can make no markup of text (Trusted Types, without any
/// policy that could).
pub const CONSOLE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Why a request is not worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Its path is longer than any of ours.
    TooLong,
    /// Too many at a time, or too slow an answer.
    Busy,
    /// Too many from one place; in so many seconds one more is taken.
    TooFast(u64),
}

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// What its pages may load and send (Content-Security-Policy).
    pub(crate) policy: &'static str,
    /// How long an answer may take.
    pub(crate) wait: Duration,
    /// How fast one place may ask, where that is limited here.
    pub(crate) pace: Option<Limit>,
}

#[derive(Clone)]
struct Door {
    requests: Arc<Semaphore>,
    wait: Duration,
    pace: Option<Arc<Pace<IpAddr>>>,
    /// Makes the page that says so.
    turned: Arc<dyn Fn(Turned) -> Response + Send + Sync>,
}

/// Puts the limits and headers around all routes, the fallbacks among them.
pub(crate) fn guard(
    router: Router,
    limits: Limits,
    turned: impl Fn(Turned) -> Response + Send + Sync + 'static,
) -> Router {
    let Limits { policy, wait, pace } = limits;
    let pace = pace.map(|limit| Arc::new(Pace::new(limit)));
    let door =
        Door { requests: Arc::new(Semaphore::new(REQUESTS_MAX)), wait, pace, turned: Arc::new(turned) };
    router
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(door, admit))
        .layer(from_fn(move |request: Request, next: Next| dress(policy, request, next)))
}

async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if path > PATH_BYTES_MAX {
        return (door.turned)(Turned::TooLong);
    }
    if let Some(pace) = &door.pace {
        let whence = Whence::of(request.extensions(), request.headers());
        // A proxy that does not say for whom it asks would make everybody one place.
        if !whence.is_here()
            && let Err(wait_s) = pace.take(&whence.place(), Instant::now())
        {
            return (door.turned)(Turned::TooFast(wait_s));
        }
    }
    let Ok(_place) = door.requests.try_acquire() else { return (door.turned)(Turned::Busy) };
    match timeout(door.wait, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (door.turned)(Turned::Busy),
    }
}

async fn dress(policy: &'static str, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
