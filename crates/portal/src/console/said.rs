//! What a person typed and pressed, from a form of a page of our own.

use axum::extract::{Form, FromRequest, Request};
use axum::http::HeaderMap;
use std::convert::Infallible;

/// Longest name and reason, in characters.
const CHARS_MAX: usize = 200;

/// The fields of a form, in their order; one that cannot be read has none.
pub(super) struct Said(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Said {
    type Rejection = Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Infallible> {
        let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
        Ok(Self(form.map_or_else(|_| Vec::new(), |Form(fields)| fields)))
    }
}

impl Said {
    /// The value of a field as it was typed; empty where there is none.
    pub(super) fn of(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// All values of a field.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// What was typed, in one line; none where it is nothing.
    pub(super) fn line(&self, name: &str) -> Option<String> {
        let plain = self.of(name).chars().map(|c| if c.is_control() { ' ' } else { c });
        let text: String = plain.take(CHARS_MAX).collect();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(text)
    }
}

/// Whether the browser says that a request was made by a page of this same origin. One that says neither is no browser, and has the
/// command line.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (value("sec-fetch-site"), value("origin"), value("host")) {
        (Some(site), ..) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, named)| named == host),
        _ => false,
    }
}
