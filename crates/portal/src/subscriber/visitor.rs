//! Who asks, as far as it matters: in which language, and with which token. Both are read without ever
//! failing, so that a broken request gets a helpful page and not a parser's error.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, RawPathParams};
use axum::http::header::ACCEPT_LANGUAGE;
use axum::http::request::Parts;
use noroshi_model::Lang;
use noroshi_model::link::{LinkError, TOKEN_BYTES_MAX};
use noroshi_model::text::Catalogue;

use crate::desk::DeskError;
use crate::show;

/// The language: of the query, else of the browser, else Japanese.
pub(crate) struct Visitor {
    pub(crate) lang: Lang,
    is_chosen: bool,
}

impl Visitor {
    /// A chosen language is carried on; one that the browser sends anyway is not.
    pub(super) fn query(&self) -> String {
        if self.is_chosen { format!("?lang={}", self.lang) } else { String::new() }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor
where
    Arc<Catalogue>: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let spoken = Arc::<Catalogue>::from_ref(state).spoken();
        let chosen = show::query_value(parts.uri.query(), "lang").and_then(Lang::parse);
        let chosen = chosen.and_then(|lang| lang.among(&spoken));
        let sent = || Lang::accept(parts.headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?, &spoken);
        Ok(Self { lang: chosen.or_else(sent).unwrap_or_default(), is_chosen: chosen.is_some() })
    }
}

/// The token in the path. Never printed.
pub(super) struct Token(String);

impl Token {
    /// The path of its page.
    pub(super) fn path(&self) -> String {
        format!("/n/{}", show::segment(&self.0))
    }

    /// What could be a token at all; the desk need not be asked about anything else.
    pub(super) fn checked(&self) -> Result<&str, DeskError> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if self.0.len() > TOKEN_BYTES_MAX || !self.0.bytes().all(is_plain) {
            return Err(LinkError::Forged.into());
        }
        Ok(&self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Token {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // By its name, for there are addresses with more than a token in them.
        let path = RawPathParams::from_request_parts(parts, state).await;
        let token = path.ok().and_then(|path| {
            path.iter().find(|(name, _)| *name == "token").map(|(_, token)| token.to_owned())
        });
        Ok(Self(token.unwrap_or_else(|| "?".to_owned())))
    }
}
