//! What a RADIUS server asks when a line connects: whether it is restricted. For FreeRADIUS' `rlm_rest`, on loopback.
//!
//! ```text
//!   POST /authorize  {"User-Name": {"type": "string", "value": ["…"]}, …}  ──▶ 200 {"reply:Filter-Id": {…}} │ 204
//! ```
//!
//! The name is in the body, so that it stands in nobody's access log; nothing is kept of the question.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

use crate::console::at_the_door;
use crate::counter::Counter;
use crate::desk::Desk;
use crate::guard::{CONSOLE_WAIT, CONTENT_SECURITY_POLICY, Limits, SUBSCRIBER_SEATS, guard};

/// The listener's routes.
pub fn radius_page(desk: Arc<dyn Desk>) -> Router {
    let router =
        Router::new().route("/authorize", post(authorize)).with_state(Counter::new(desk, SUBSCRIBER_SEATS));
    guard(router, Limits { policy: CONTENT_SECURITY_POLICY, wait: CONSOLE_WAIT, pace: None }, at_the_door)
}

async fn authorize(State(counter): State<Counter>, body: Bytes) -> Response {
    let Some(line) =
        serde_json::from_slice::<Value>(&body).ok().as_ref().and_then(user_name).map(str::to_owned)
    else {
        return (StatusCode::BAD_REQUEST, "the body is JSON with a User-Name\n").into_response();
    };
    match counter.ask(move |desk| desk.restricted(&line)).await {
        Ok(Some(answer)) => {
            ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
        }
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// As `rlm_rest` writes attributes, or plainly.
fn user_name(asked: &Value) -> Option<&str> {
    let name = asked.get("User-Name")?;
    name.as_str().or_else(|| name.get("value")?.get(0)?.as_str())
}
