//! What a line meets that is in the walled garden: the page that says so and how to get out, and the answer to devices that ask
//! the network by themselves (RFC 8908; the network names the address of that answer by RFC 8910).
//!
//! Whether a device is in the garden follows from its address, for lines in it have addresses of their own; nobody is looked up
//! for it. Whose line it is, is said by the code.

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::speech::Speech;
use super::trouble::Trouble;
use super::visitor::Visitor;
use super::{Pages, answer};
use crate::whence::Whence;

/// RFC 8908 section 4.
pub const MEDIA_TYPE: &str = "application/captive+json";

#[derive(Template)]
#[template(path = "subscriber/garden.html")]
struct GardenView<'a> {
    s: Speech<'a>,
}

/// The page. It asks for the code, since nobody is looked up by their address.
pub(super) async fn page(State(pages): State<Pages>, visitor: Visitor) -> Response {
    let operator = pages.counter.ask(|desk| Ok(desk.operator())).await;
    let (name, desk) = match operator {
        Ok(operator) => operator,
        Err(error) => return Trouble::from(error).page(&pages.texts, visitor.lang),
    };
    let values = vec![("operator", crate::show::visible(&name)), ("desk", crate::show::whole(&desk))];
    let s = Speech::new(&pages.texts, &visitor, "/garden", values);
    answer(&pages, &visitor, &GardenView { s })
}

/// The captive portal API (RFC 8908 section 5).
pub(super) async fn api(State(pages): State<Pages>, Whence(from): Whence) -> Response {
    let captive = match pages.counter.ask(move |desk| Ok(desk.captive(from))).await {
        Ok(captive) => captive,
        Err(_) => return axum::http::StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let body = serde_json::json!({ "captive": captive.captive, "user-portal-url": captive.page });
    let headers = [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "private, no-store")];
    (headers, body.to_string()).into_response()
}
