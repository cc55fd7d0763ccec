//! What a line meets that is in the walled garden: the page that says so and how to get out, and the answer to devices that ask
//! the network by themselves (RFC 8908; the network names the address of that answer by RFC 8910).
//!
//! Whether a device is in the garden follows from its address, for lines in it have addresses of their own; nobody is looked up
//! for it. Whose line it is, is said by the code.

use std::net::{IpAddr, SocketAddr};

use askama::Template;
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::speech::Speech;
use super::trouble::Trouble;
use super::visitor::Visitor;
use super::{Pages, answer};

/// RFC 8908 section 4.
pub const MEDIA_TYPE: &str = "application/captive+json";
/// Where a proxy beside us says who asked.
const FORWARDED_FOR: &str = "x-forwarded-for";

#[derive(Template)]
#[template(path = "subscriber/garden.html")]
struct GardenView<'a> {
    s: Speech<'a>,
}

/// The address from which somebody asks: the connection's, or what a proxy on this machine says of it.
pub(super) struct From(Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.ip().to_canonical());
        let said = || {
            // The last one is what our own proxy saw; those before it are whatever the client wrote.
            let all = parts.headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
            all.rsplit(',').next()?.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
        };
        Ok(Self(match peer {
            Some(peer) if peer.is_loopback() => said().or(Some(peer)),
            other => other,
        }))
    }
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
pub(super) async fn api(State(pages): State<Pages>, From(from): From) -> Response {
    let captive = match pages.counter.ask(move |desk| Ok(desk.captive(from))).await {
        Ok(captive) => captive,
        Err(_) => return axum::http::StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let body = serde_json::json!({ "captive": captive.captive, "user-portal-url": captive.page });
    let headers = [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "private, no-store")];
    (headers, body.to_string()).into_response()
}
