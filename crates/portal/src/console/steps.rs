//! What waits for a person: steps of the ladder to be approved or not, and the switch that stops telling.
//!
//! ```text
//!   GET /steps ──▶ a form for each ──POST /steps/CASE/NUMBER, /switch──▶ from our own page? who? ──▶ done ──303──▶ /steps
//! ```
//!
//! Nobody acts without a name, which goes into the evidence log with the reason. A form counts only if the browser says that it
//! comes from a page of the console itself: the session's cookie is `SameSite=Strict`, and this is the second lock.

use askama::Template;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use noroshi_model::Id;
use serde::Deserialize;
use serde_json::json;

use super::asked::{Asked, Pager};
use super::{page, rows};
use crate::counter::Counter;
use crate::desk::{Act, DeskError, StepLine, StopLine};

/// Longest name and reason, in characters.
const CHARS_MAX: usize = 200;
/// Where the page is.
pub(super) const PATH: &str = "/steps";

#[derive(Template)]
#[template(path = "console/steps.html")]
struct StepsView<'a> {
    here: &'static str,
    steps: &'a [StepLine],
    stopped: &'a [StopLine],
    pager: &'a Pager,
}

impl StepsView<'_> {
    fn all_stopped(&self) -> bool {
        self.stopped.iter().any(|stopped| stopped.scope == "*")
    }
}

pub(super) async fn steps(State(counter): State<Counter>, asked: Asked) -> Response {
    let list = rows(&counter, &asked, "", |desk, offset, limit| desk.steps(offset, limit)).await;
    let (steps, pager) = match list {
        Ok(list) => list,
        Err(response) => return response,
    };
    let stopped = match counter.ask(|desk| desk.stopped()).await {
        Ok(stopped) => stopped,
        Err(error) => return asked.trouble(&error),
    };
    let twin = json!({ "page": pager.page, "next": pager.next_page, "steps": steps, "stopped": stopped });
    asked.answer(&StepsView { here: "steps", steps: &steps, stopped: &stopped, pager: &pager }, &twin)
}

/// What is typed and pressed.
#[derive(Deserialize)]
pub(super) struct Said {
    verdict: String,
    by: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    scope: String,
}

pub(super) async fn judge(
    State(counter): State<Counter>,
    asked: Asked,
    headers: HeaderMap,
    path: Result<Path<(String, u32)>, PathRejection>,
    said: Result<Form<Said>, FormRejection>,
) -> Response {
    let case = path.ok().and_then(|Path((case, number))| Some((Id::parse(&case)?, number)));
    let Some((case, number)) = case else { return asked.trouble(&DeskError::NotFound) };
    perform(&counter, &asked, &headers, said, |said| match said.verdict.as_str() {
        "approve" => Some(Act::Judge { case, number, approve: true }),
        "reject" => Some(Act::Judge { case, number, approve: false }),
        _ => None,
    })
    .await
}

pub(super) async fn switch(
    State(counter): State<Counter>,
    asked: Asked,
    headers: HeaderMap,
    said: Result<Form<Said>, FormRejection>,
) -> Response {
    perform(&counter, &asked, &headers, said, |said| {
        let scope = said.scope.clone();
        let known = scope == "*" || scope.starts_with("channel:") || scope.starts_with("campaign:");
        match said.verdict.as_str() {
            "stop" if known && !said.why.trim().is_empty() => Some(Act::Switch { scope, stop: true }),
            "go" if known => Some(Act::Switch { scope, stop: false }),
            _ => None,
        }
    })
    .await
}

async fn perform(
    counter: &Counter,
    asked: &Asked,
    headers: &HeaderMap,
    said: Result<Form<Said>, FormRejection>,
    act: impl FnOnce(&Said) -> Option<Act>,
) -> Response {
    if !is_from_here(headers) {
        return page::turned(
            StatusCode::FORBIDDEN,
            "This did not come from the console",
            "A form counts only if it was sent from a page of the console itself. Nothing was changed.",
        );
    }
    let act = said
        .ok()
        .and_then(|Form(said)| Some((act(&said)?, plain(&said.by)?, plain(&said.why).unwrap_or_default())));
    let Some((act, person, why)) = act else {
        return page::turned(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Something is missing",
            "It takes your name, and to stop something a reason as well. Go back, and say both. Nothing was changed.",
        );
    };
    match counter.ask(move |desk| desk.perform(&act, &person, &why)).await {
        Ok(true) => (StatusCode::SEE_OTHER, [(header::LOCATION, PATH)]).into_response(),
        Ok(false) => page::turned(
            StatusCode::CONFLICT,
            "Somebody was faster",
            "It was decided, or changed, since this page was shown. Nothing was changed now; look at the list again.",
        ),
        Err(error) => asked.trouble(&error),
    }
}

/// What a person typed, in one line; none where it is nothing.
fn plain(typed: &str) -> Option<String> {
    let text: String = typed.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

/// Whether the browser says that a form was on a page of this same origin. One that says neither is no browser, and has the
/// command line.
fn is_from_here(headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (value("sec-fetch-site"), value("origin"), value("host")) {
        (Some(site), ..) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, named)| named == host),
        _ => false,
    }
}
