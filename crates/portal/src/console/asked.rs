//! What an operator asked for, read from the address: which page of a list, and whether as JSON. An address
//! that makes no sense asks for the first page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;

use crate::show;

/// Rows of a list on one page.
pub const ROWS_A_PAGE: u32 = 50;
/// Last page that is looked up.
const PAGES_MAX: u64 = 1_000_000;

/// The address, read.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    path: String,
    query: String,
    pub(super) is_json: bool,
    pub(super) page: u64,
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let page = show::query_value(parts.uri.query(), "page").and_then(|page| page.parse().ok());
        let (path, is_json) = match parts.uri.path().strip_suffix(".json") {
            Some(path) => (path.to_owned(), true),
            None => (parts.uri.path().to_owned(), false),
        };
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self { path, query, is_json, page: page.unwrap_or(1).clamp(1, PAGES_MAX) })
    }
}

impl Asked {
    /// A value of the address.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        show::query_value(Some(&self.query), name)
    }

    pub(super) fn offset(&self) -> u64 {
        (self.page - 1) * u64::from(ROWS_A_PAGE)
    }

    /// One more than is shown, which tells whether there is a next page.
    pub(super) fn limit() -> u32 {
        ROWS_A_PAGE + 1
    }

    /// Cuts the rows to a page and says where its neighbours are. `filter` stays in the address.
    pub(super) fn pager<T>(&self, rows: &mut Vec<T>, filter: &str) -> Pager {
        let more = rows.len() > ROWS_A_PAGE as usize;
        rows.truncate(ROWS_A_PAGE as usize);
        let shown = rows.len() as u64;
        let range = match shown {
            0 => String::new(),
            _ => format!("{}–{}", show::count(&(self.offset() + 1)), show::count(&(self.offset() + shown))),
        };
        let at = |page: u64| format!("{}?{filter}page={page}", self.path);
        Pager {
            page: self.page,
            next_page: more.then(|| self.page + 1),
            newer: (self.page > 1).then(|| at(self.page - 1)),
            older: more.then(|| at(self.page + 1)),
            range,
            json: format!("{}.json?{filter}page={}", self.path, self.page),
        }
    }
}

/// Where a page of a list lies among the others.
#[derive(Debug)]
pub(super) struct Pager {
    pub(super) page: u64,
    pub(super) next_page: Option<u64>,
    pub(super) newer: Option<String>,
    pub(super) older: Option<String>,
    pub(super) range: String,
    pub(super) json: String,
}
