//! What waits for a person: steps of the ladder to be approved or not, and the switch that stops telling.
//!
//! ```text
//!   GET /steps ──▶ a form for each ──POST /steps/CASE/NUMBER, /switch──▶ who? may they? ──▶ done ──303──▶ /steps
//! ```
//!
//! Whoever acts is known by name, which goes into the evidence log with the reason.

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use noroshi_model::{Id, Right};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::asked::{Asked, Pager};
use super::enter::Who;
use super::said::Said;
use super::{Here, page, rows_behind};
use crate::api::StepItem;
use crate::counter::Counter;
use crate::desk::{Act, DeskError, StopLine};

/// Where the page is.
pub(super) const PATH: &str = "/steps";

#[derive(Template)]
#[template(path = "console/steps.html")]
struct StepsView<'a> {
    here: Here<'a>,
    steps: &'a [StepItem],
    stopped: &'a [StopLine],
    pager: &'a Pager,
}

impl StepsView<'_> {
    fn all_stopped(&self) -> bool {
        self.stopped.iter().any(|stopped| stopped.scope == "*")
    }
}

pub(super) async fn steps(State(counter): State<Counter>, asked: Asked) -> Response {
    let list = rows_behind(&counter, &asked, "", |desk, behind, limit| desk.steps(behind, limit)).await;
    let (steps, pager) = match list {
        Ok(list) => list,
        Err(response) => return response,
    };
    let stopped = match counter.ask(|desk| desk.stopped()).await {
        Ok(stopped) => stopped,
        Err(error) => return asked.trouble(&error),
    };
    let twin = json!({ "next": pager.next, "steps": steps, "stopped": stopped });
    asked.answer(
        &StepsView { here: asked.here("steps"), steps: &steps, stopped: &stopped, pager: &pager },
        &twin,
    )
}

pub(super) async fn judge(
    State(counter): State<Counter>,
    who: Who,
    asked: Asked,
    path: Result<Path<(String, u32)>, PathRejection>,
    said: Said,
) -> Response {
    if let Some(response) = who.refused(Right::Judge) {
        return response;
    }
    let case = path.ok().and_then(|Path((case, number))| Some((Id::parse(&case)?, number)));
    let Some((case, number)) = case else { return asked.trouble(&DeskError::NotFound) };
    let act = match said.of("verdict") {
        "approve" => Some(Act::Judge { case, number, approve: true }),
        "reject" => Some(Act::Judge { case, number, approve: false }),
        _ => None,
    };
    perform(&counter, &who, &asked, &said, act, PATH).await
}

pub(super) async fn switch(State(counter): State<Counter>, who: Who, asked: Asked, said: Said) -> Response {
    if let Some(response) = who.refused(Right::Switch) {
        return response;
    }
    // Percent-encoded in the page, so that nothing of a name is in it as it is.
    let scope = percent_decode_str(said.of("scope")).decode_utf8_lossy().into_owned();
    let known = scope == "*" || scope.starts_with("channel:") || scope.starts_with("campaign:");
    let back = if scope.starts_with("campaign:") { "/campaigns" } else { PATH };
    let act = match said.of("verdict") {
        "stop" if known && said.line("why").is_some() => Some(Act::Switch { scope, stop: true }),
        "go" if known => Some(Act::Switch { scope, stop: false }),
        _ => None,
    };
    perform(&counter, &who, &asked, &said, act, back).await
}

async fn perform(
    counter: &Counter,
    who: &Who,
    asked: &Asked,
    said: &Said,
    act: Option<Act>,
    back: &'static str,
) -> Response {
    let Some(act) = act else {
        return page::turned(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Something is missing",
            "To stop something takes a reason. Go back, and say it. Nothing was changed.",
        );
    };
    let (person, why) = (who.person.name.clone(), said.line("why").unwrap_or_default());
    match counter.ask(move |desk| desk.perform(&act, &person, &why)).await {
        Ok(true) => page::see(back),
        Ok(false) => page::turned(
            StatusCode::CONFLICT,
            "Somebody was faster",
            "It was decided, or changed, since this page was shown. Nothing was changed now; look at the list again.",
        ),
        Err(error) => asked.trouble(&error),
    }
}
