//! The API: what the console shows, for programs, as documented JSON on a listener of its own.
//!
//! ```text
//!   listener ──▶ guard ──▶ door: whose token? ──▶ pace ──▶ route: its scope ──▶ counter ──▶ ApiDesk (the port, blocking)
//!                           │ 401                  │ 429     │ 403, 400
//!                           └──────────────────────┴─────────┴──▶ application/problem+json (RFC 9457)
//! ```
//!
//! `scope` what a token is good for; `routes` what can be asked, each with its part of the document; `asked` and `answers` its
//! forms; [`crate::cursor`] where a list was left. A token is in the `Authorization` header and nowhere else: what is in an address ends up
//! in logs. No cookie is looked at, so a browser's page can do nothing here that it has no token for.

mod answers;
mod asked;
mod desk;
mod document;
mod problem;
mod routes;
mod scope;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use answers::{
    BadLineItem, CaseFile, CaseItem, ConsentItem, EventItem, EventsPage, RefusalItem, StepItem, StepOfCase,
    StoryItem,
};
pub use desk::{ApiDesk, EventWish};
pub use document::document;
pub use scope::{Caller, Scope};

use crate::counter::Counter;
use crate::guard::{CONSOLE_SEATS, CONSOLE_WAIT, CONTENT_SECURITY_POLICY, Limits, guard};
use crate::pace::{Limit, Pace};
use problem::Problem;

/// Below which everything lies.
pub const BASE: &str = "/api/v1";
/// What a token begins with, so that those who look for leaked secrets recognise it.
pub const TOKEN_PREFIX: &str = "noroshi_api_";
/// Digits behind that: 256 bits.
pub const TOKEN_DIGITS: usize = 64;
/// Tokens whose pace is known at a time.
const TOKENS_MAX: usize = 2_000;
/// Under this name those without a good token share a bucket; no token is called like this.
const STRANGERS: &str = "";

/// What the routes have at hand.
#[derive(Clone)]
struct Office {
    counter: Counter<dyn ApiDesk>,
    pace: Arc<Pace<String>>,
}

/// The listener's routes. Each token may ask `per_second` times a second, and a little more for a moment.
pub fn api(desk: Arc<dyn ApiDesk>, per_second: u32) -> Router {
    let pace = Arc::new(Pace::new(Limit { per_second, burst_s: 5, buckets: TOKENS_MAX }));
    let office = Office { counter: Counter::new(desk, CONSOLE_SEATS), pace };
    let written = serde_json::to_string(&document()).unwrap_or_default();
    let (routes, _) = routes::all().split_for_parts();
    let routes = routes.route(
        "/openapi.json",
        get(async move || ([(header::CONTENT_TYPE, "application/json")], written.clone())),
    );
    let router = Router::new()
        .nest(BASE, routes)
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(method)
        .layer(from_fn_with_state(office.clone(), enter))
        .with_state(office);
    guard(
        router,
        Limits { policy: CONTENT_SECURITY_POLICY, wait: CONSOLE_WAIT, pace: None },
        problem::at_the_door,
    )
}

async fn method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address takes no such request")
}

/// Lets in whoever has a good token, at their pace.
async fn enter(State(office): State<Office>, mut request: Request, next: Next) -> Response {
    match admit(&office, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn admit(office: &Office, headers: &HeaderMap) -> Result<Caller, Problem> {
    let stranger = |problem: Problem| match office.pace.take(STRANGERS, Instant::now()) {
        Ok(()) => problem,
        Err(wait_s) => Problem::too_fast(wait_s),
    };
    let token = bearer(headers).map_err(stranger)?.to_owned();
    let found = office.counter.ask(move |desk| desk.caller(&token)).await?;
    let caller = found.ok_or_else(|| stranger(Problem::bad_token()))?;
    office.pace.take(caller.name.as_str(), Instant::now()).map_err(Problem::too_fast)?;
    Ok(caller)
}

/// The one token of a request (RFC 6750 section 2.1); anything that cannot be one is turned away without a look-up.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let value = given.next().ok_or_else(Problem::no_token)?;
    if given.next().is_some() {
        return Err(Problem::bad_token());
    }
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(Problem::no_token)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::no_token());
    }
    let digits = token.trim_start().strip_prefix(TOKEN_PREFIX).ok_or_else(Problem::bad_token)?;
    let fits = digits.len() == TOKEN_DIGITS && digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    if fits { Ok(token.trim_start()) } else { Err(Problem::bad_token()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_in_the_header_and_nothing_else_is_looked_up() {
        let good = format!("{TOKEN_PREFIX}{}", "0a".repeat(32));
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers)
                .map(str::to_owned)
                .map_err(|problem| (problem.status, problem.challenge.unwrap()))
        };
        for value in [format!("Bearer {good}"), format!("bearer  {good}")] {
            assert_eq!(with(&[&value]), Ok(good.clone()));
        }
        let none = Err((401, String::new()));
        assert_eq!((with(&[]), with(&["Basic YTpi"]), with(&["Bearer"])), (none.clone(), none.clone(), none));
        let bad = Err((401, "error=\"invalid_token\"".to_owned()));
        let twice = format!("Bearer {good}");
        for values in
            [&["Bearer x"][..], &[&twice, &twice], &[&format!("Bearer {good}0")], &[&twice.to_uppercase()]]
        {
            assert_eq!(with(values), bad, "{values:?}");
        }
    }
}
