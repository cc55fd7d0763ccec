//! Why there is no answer, as RFC 9457 writes it (`application/problem+json`), with what RFC 6750 says of tokens in
//! `WWW-Authenticate`. What a problem says never repeats what was sent.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::scope::Scope;
use crate::desk::DeskError;
use crate::guard::{RETRY_AFTER_S, Turned};

/// How problems are written.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why there is no answer (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub(super) kind: &'static str,
    /// The status in words.
    pub(super) title: &'static str,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    pub(super) status: u16,
    /// What is wrong, and what to do.
    pub(super) detail: String,
    /// Which token problem it is (RFC 6750 section 3.1), and the scope that lacks.
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) challenge: Option<String>,
    /// After how many seconds it is worth asking again.
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) retry_after_s: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem");
        let retry_after_s =
            (status == StatusCode::SERVICE_UNAVAILABLE).then(|| RETRY_AFTER_S.parse().unwrap_or(30));
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            challenge: None,
            retry_after_s,
        }
    }

    /// Something in the request cannot be read.
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// There is no such thing.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such record")
    }

    /// Who asks does not say who they are.
    pub(super) fn no_token() -> Self {
        let detail = "Authorization: Bearer TOKEN, with a token made by `noroshi token add`";
        Self { challenge: Some(String::new()), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// It is no token that opens anything.
    pub(super) fn bad_token() -> Self {
        let detail = "this token is unknown, over, or was revoked; see `noroshi token list`";
        let challenge = Some("error=\"invalid_token\"".to_owned());
        Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// It is a token for something else.
    pub(super) fn scope_lacks(scope: Scope) -> Self {
        let detail = format!("this token lacks the scope {}", scope.id());
        let challenge = Some(format!("error=\"insufficient_scope\", scope=\"{}\"", scope.id()));
        Self { challenge, ..Self::new(StatusCode::FORBIDDEN, detail) }
    }

    /// Too much at a time.
    pub(super) fn too_fast(wait_s: u64) -> Self {
        let detail = format!("more requests than [api] per-second allows; the next one in {wait_s} s");
        Self { retry_after_s: Some(wait_s), ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = &self.challenge {
            let comma = if challenge.is_empty() { "" } else { ", " };
            if let Ok(value) = HeaderValue::from_str(&format!("Bearer realm=\"noroshi\"{comma}{challenge}")) {
                headers.insert(header::WWW_AUTHENTICATE, value);
            }
        }
        response
    }
}

/// What the door says of a request that gets no further.
pub(super) fn at_the_door(reason: Turned) -> Response {
    match reason {
        Turned::TooLong => {
            Problem::new(StatusCode::URI_TOO_LONG, "no address of the API is this long").into_response()
        }
        Turned::TooFast(wait_s) => Problem::too_fast(wait_s).into_response(),
        Turned::Busy => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too much at a time, or the records did not answer")
                .into_response()
        }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Link(_) | DeskError::NotFound => Self::not_found(),
            DeskError::Declined(why) => Self::new(StatusCode::CONFLICT, why),
            DeskError::Unavailable(why) => {
                tracing::warn!(why, "the API could not answer");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the records cannot be read right now; nothing was lost",
                )
            }
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "a parameter is unknown, given twice, or not of its form")
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::not_found()
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let detail = match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                "the body is JSON, and says so: Content-Type: application/json"
            }
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too long",
            _ => "the body is not the JSON that is asked for",
        };
        let status = match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::PAYLOAD_TOO_LARGE => rejection.status(),
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, detail)
    }
}
