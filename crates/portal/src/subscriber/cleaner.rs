//! Cleaners: a press on the page of a notice counts and leads to the file, which itself is the same for everybody and known by its
//! hash. Its address says nothing about anybody.

use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use noroshi_model::VisitKind;

use super::Pages;
use super::trouble::Trouble;
use super::visitor::{Token, Visitor};
use crate::desk::{Cleaner, DeskError};
use crate::show;

/// How long a browser or proxy may keep the file.
const KEPT: &str = "public, max-age=3600";

/// The address of a file that is handed out from here.
fn address(cleaner: &Cleaner) -> String {
    format!("/cleaner/{}/{}", cleaner.id, show::segment(&cleaner.file_name))
}

/// Somebody wants it.
pub(super) async fn wanted(
    State(pages): State<Pages>,
    visitor: Visitor,
    token: Token,
    id: Result<Path<(String, u32)>, PathRejection>,
) -> Response {
    let Ok(Path((_, id))) = id else { return Trouble::Missing.page(&pages.texts, visitor.lang) };
    let counted = pages.counter.ask(move |desk| {
        let cleaner = desk.cleaner(id)?;
        desk.act(token.checked()?, VisitKind::Tool)?;
        Ok(cleaner)
    });
    match counted.await {
        Ok(cleaner) => {
            let to = cleaner.link.clone().unwrap_or_else(|| address(&cleaner));
            (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
        }
        Err(error) => Trouble::from(error).page(&pages.texts, visitor.lang),
    }
}

/// The file.
pub(super) async fn file(
    State(pages): State<Pages>,
    visitor: Visitor,
    path: Result<Path<(u32, String)>, PathRejection>,
) -> Response {
    let missing = |pages: &Pages| Trouble::Missing.page(&pages.texts, visitor.lang);
    let Ok(Path((id, name))) = path else { return missing(&pages) };
    let found = pages.counter.ask(move |desk| desk.cleaner(id)).await;
    let cleaner = match found {
        Ok(cleaner) if cleaner.file_name == name => cleaner,
        Ok(_) | Err(DeskError::NotFound) => return missing(&pages),
        Err(error) => return Trouble::from(error).page(&pages.texts, visitor.lang),
    };
    let Some(bytes) = cleaner.bytes else { return missing(&pages) };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", cleaner.file_name)),
        (header::ETAG, format!("\"{}\"", cleaner.sha256)),
        (header::CACHE_CONTROL, KEPT.to_owned()),
    ];
    (headers, Body::from(Bytes::from_owner(bytes))).into_response()
}
