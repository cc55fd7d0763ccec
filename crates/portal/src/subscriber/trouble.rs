//! Pages for when a page cannot be shown, in two languages, because whoever gets them may not have come to
//! choose one. They say what it is, what that means, what to do; never which part of a token was wrong.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use noroshi_model::Lang;
use noroshi_model::link::LinkError;
use noroshi_model::text::Catalogue;

use crate::desk::DeskError;
use crate::guard::{RETRY_AFTER_S, Turned};

/// What is the matter.
#[derive(Clone, Copy)]
pub(super) enum Trouble {
    Forged,
    Expired,
    Missing,
    Method,
    Large,
    Long,
    Unavailable,
    /// So many seconds too early.
    Fast(u64),
}

impl From<DeskError> for Trouble {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Link(LinkError::Forged) | DeskError::NotFound => Trouble::Forged,
            DeskError::Link(LinkError::Expired) => Trouble::Expired,
            DeskError::Declined(why) | DeskError::Unavailable(why) => {
                tracing::warn!(why, "a subscriber page could not be shown");
                Trouble::Unavailable
            }
        }
    }
}

impl From<Turned> for Trouble {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::TooLong => Trouble::Long,
            Turned::Busy => Trouble::Unavailable,
            Turned::TooFast(wait_s) => Trouble::Fast(wait_s),
        }
    }
}

#[derive(Template)]
#[template(path = "subscriber/trouble.html")]
struct TroubleView {
    lang: Lang,
    site: String,
    skip: String,
    title: String,
    parts: [Part; 2],
}

struct Part {
    lang: String,
    title: String,
    what: String,
    todo: String,
}

impl Trouble {
    fn status_and_key(self) -> (StatusCode, &'static str) {
        match self {
            Trouble::Forged => (StatusCode::NOT_FOUND, "forged"),
            Trouble::Expired => (StatusCode::GONE, "expired"),
            Trouble::Missing => (StatusCode::NOT_FOUND, "missing"),
            Trouble::Method => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Trouble::Large => (StatusCode::PAYLOAD_TOO_LARGE, "large"),
            Trouble::Long => (StatusCode::URI_TOO_LONG, "missing"),
            Trouble::Fast(_) => (StatusCode::TOO_MANY_REQUESTS, "fast"),
            Trouble::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }

    /// The page, first in the visitor's language, then in the other.
    pub(super) fn page(self, texts: &Catalogue, first: Lang) -> Response {
        let (status, key) = self.status_and_key();
        let second = if first.base() == Lang::JA { Lang::EN } else { Lang::JA };
        let part = |lang: Lang| Part {
            lang: lang.tag().to_owned(),
            title: texts.say(lang, &format!("trouble-{key}-title"), &[]),
            what: texts.say(lang, &format!("trouble-{key}-what"), &[]),
            todo: texts.say(lang, &format!("trouble-{key}-do"), &[]),
        };
        let say = |key: &str| texts.say(first, key, &[]);
        let parts = [part(first), part(second)];
        let view = TroubleView {
            lang: first,
            site: say("site"),
            skip: say("skip"),
            title: parts[0].title.clone(),
            parts,
        };
        // Where even this page cannot be written, its title is said plainly.
        let body = view.render().unwrap_or_else(|_| view.title.clone());
        let mut response = html(status, first, body);
        match self {
            Trouble::Unavailable => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
            }
            Trouble::Fast(wait_s) => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
            }
            _ => {}
        }
        response
    }
}

/// A page in a language.
pub(super) fn html(status: StatusCode, lang: Lang, body: String) -> Response {
    let said = [(header::CONTENT_LANGUAGE, lang.tag()), (header::VARY, "accept-language")];
    (status, said, Html(body)).into_response()
}
