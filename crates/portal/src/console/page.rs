//! How the console answers: a page or its JSON twin, and what it says when there is nothing to show.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;

use super::asked::Asked;
use crate::desk::DeskError;
use crate::guard::{RETRY_AFTER_S, Turned};
use crate::show;

pub(super) const JSON: &str = "application/json; charset=utf-8";

/// A page that is only a sentence.
#[derive(Template)]
#[template(path = "console/turned.html")]
struct TurnedView<'a> {
    title: &'a str,
    text: &'a str,
}

/// Says that a request got no further, and what to do.
pub(super) fn turned(status: StatusCode, title: &str, text: &str) -> Response {
    let view = TurnedView { title, text };
    let mut response = (status, Html(view.render().unwrap_or_else(|_| title.to_owned()))).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    }
    response
}

/// Says that somebody tries too often.
pub(super) fn too_fast(wait_s: u64) -> Response {
    let text = format!("Try again in {wait_s} s. Nothing was changed.");
    let mut response = turned(StatusCode::TOO_MANY_REQUESTS, "Too many tries from here", &text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
    response
}

pub(crate) fn at_the_door(reason: Turned) -> Response {
    match reason {
        Turned::TooLong => turned(
            StatusCode::URI_TOO_LONG,
            "This address is too long",
            "No page of the console has an address this long. Start again from Today.",
        ),
        Turned::TooFast(wait_s) => too_fast(wait_s),
        Turned::Busy => turned(
            StatusCode::SERVICE_UNAVAILABLE,
            "The console took too long",
            "The records did not answer in time. Nothing was changed or lost; try again in half a minute.",
        ),
    }
}

impl Asked {
    /// The page, or its twin.
    pub(super) fn answer(&self, page: &impl Template, twin: &impl Serialize) -> Response {
        if self.is_json {
            return json(twin);
        }
        match page.render() {
            Ok(html) => Html(html).into_response(),
            Err(error) => {
                tracing::error!(%error, "a console page could not be written");
                self.trouble(&DeskError::Unavailable("the page could not be written".into()))
            }
        }
    }

    /// Why there is no page, in the form that was asked for.
    pub(super) fn trouble(&self, error: &DeskError) -> Response {
        let status = status(error);
        if self.is_json {
            return (status, json(&serde_json::json!({ "error": error.to_string() }))).into_response();
        }
        match error {
            DeskError::Unavailable(why) => {
                tracing::warn!(why, "a console page could not be shown");
                let why = show::visible(why);
                let text = format!(
                    "{why}. Nothing was changed or lost; try again in half a minute, and run \
                                    `noroshi doctor` if it goes on."
                );
                turned(status, "The records cannot be read right now", &text)
            }
            DeskError::Declined(why) => {
                let text = format!("{}. Nothing was changed.", sentence(&show::visible(why)));
                turned(status, "This was not done", &text)
            }
            _ => turned(
                status,
                "There is no such record",
                "It may have been deleted when its retention ended.",
            ),
        }
    }
}

/// A text with a capital at its beginning.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The status that says why there is no page.
pub(super) fn status(error: &DeskError) -> StatusCode {
    match error {
        DeskError::Link(_) | DeskError::NotFound => StatusCode::NOT_FOUND,
        DeskError::Declined(_) => StatusCode::UNPROCESSABLE_ENTITY,
        DeskError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Goes on to a page after something was done.
pub(super) fn see(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response()
}

pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec_pretty(value) {
        Ok(body) => ([(header::CONTENT_TYPE, JSON)], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
