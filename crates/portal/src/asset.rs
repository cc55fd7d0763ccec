//! The two files beside the pages. They are part of the program, so that a page never lacks its looks, and
//! the style sheet's name carries its hash, so that a browser keeps it for ever and still never shows an old
//! one.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use noroshi_law::evidence::Digest;

const CSS: &str = include_str!("../assets/portal.css");
const ICON: &str = include_str!("../assets/icon.svg");
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const A_DAY: &str = "public, max-age=86400";

static CSS_NAME: LazyLock<String> = LazyLock::new(|| {
    let hash = Digest::of(CSS.as_bytes()).to_string();
    format!("portal-{}.css", &hash[..16])
});

/// Below which the assets lie.
pub(crate) const FOLDER: &str = "/assets/";
/// Where browsers look for an icon by themselves.
pub(crate) const ICON_PATH: &str = "/favicon.ico";

/// The style sheet's address.
pub(crate) fn css_path() -> String {
    format!("{FOLDER}{}", *CSS_NAME)
}

/// The routes of both files.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{file}", get(style)).route(ICON_PATH, get(icon))
}

async fn style(Path(file): Path<String>) -> Response {
    if file != *CSS_NAME {
        return StatusCode::NOT_FOUND.into_response();
    }
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, FOR_EVER)], CSS)
        .into_response()
}

async fn icon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, A_DAY)], ICON).into_response()
}
