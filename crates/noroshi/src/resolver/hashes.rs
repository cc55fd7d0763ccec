//! Clients that hold lists of URLs themselves, a browser or a proxy, ask here over HTTP: what changed, and which hashes have a prefix. What is visited is not said, and what is asked is
//! not kept ([`Desk`]).

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use noroshi_resolver::url::desk::BODY_OCTETS_MAX;
use noroshi_resolver::url::{Desk, Lists};

/// What is answered under `/v4/`, of the lists as they stand.
pub fn router(lists: Arc<ArcSwap<Lists>>) -> Router {
    Router::new()
        .route("/v4/{*what}", any(asked))
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .with_state(Arc::new(Desk::new(lists)))
}

/// A large list takes a while when it has changed, so nobody else waits for it.
async fn asked(State(desk): State<Arc<Desk>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let answer = tokio::task::spawn_blocking(move || desk.answer(method.as_str(), uri.path(), &body)).await;
    let Ok(answer) = answer else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, answer.json).into_response()
}
