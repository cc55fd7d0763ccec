//! What an operator asked for, read from the address: which page of a list, and whether as JSON. An address
//! that makes no sense asks for the first page.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use std::convert::Infallible;
use std::sync::Arc;

use noroshi_model::{Mark, Right, Seek};

use super::enter::Who;
use crate::cursor::{Cursor, Placed};
use crate::show;

/// Rows of a list on one page.
pub const ROWS_A_PAGE: u32 = 50;
/// Last page that is looked up.
const PAGES_MAX: u64 = 1_000_000;

/// The address, read.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    path: String,
    fields: Vec<(String, String)>,
    pub(super) is_json: bool,
    pub(super) page: u64,
    who: Option<Arc<Who>>,
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let page = show::query_value(parts.uri.query(), "page").and_then(|page| page.parse().ok());
        let (path, is_json) = match parts.uri.path().strip_suffix(".json") {
            Some(path) => (path.to_owned(), true),
            None => (parts.uri.path().to_owned(), false),
        };
        // One that cannot be decoded says nothing.
        let fields = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let fields = fields.map_or_else(|_| Vec::new(), |Query(fields)| fields);
        let who = parts.extensions.get::<Arc<Who>>().cloned();
        Ok(Self { path, fields, is_json, page: page.unwrap_or(1).clamp(1, PAGES_MAX), who })
    }
}

/// Which page is shown to whom: what the pages' frame says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'a> {
    /// The page's name in the navigation.
    pub(super) page: &'static str,
    who: Option<&'a Who>,
}

impl Here<'_> {
    /// Who is in, by name.
    pub(super) fn name(&self) -> &str {
        self.who.map_or("", |who| &who.person.name)
    }

    /// What for.
    pub(super) fn roles(&self) -> String {
        self.who.map_or_else(String::new, |who| who.person.roles_text())
    }

    /// Whether they are nobody in particular, who has the machine's key.
    pub(super) fn by_key(&self) -> bool {
        self.who.is_some_and(|who| who.by_key)
    }

    /// Whether they may.
    pub(super) fn may(&self, right: Right) -> bool {
        self.who.is_some_and(|who| who.person.may(right))
    }

    /// Whether they may decide about subscribers.
    pub(super) fn judges(&self) -> bool {
        self.may(Right::Judge)
    }

    /// Whether they may stop telling, and let it go on.
    pub(super) fn switches(&self) -> bool {
        self.may(Right::Switch)
    }
}

impl Asked {
    /// Which page this is, for its frame.
    pub(super) fn here(&self, page: &'static str) -> Here<'_> {
        Here { page, who: self.who.as_deref() }
    }

    /// A value of the address, decoded; empty where there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str())
    }

    /// From where on a list is asked for; what makes no sense asks for its beginning.
    pub(super) fn seek(&self) -> Seek {
        match (Mark::parse(self.field("after")), Mark::parse(self.field("before"))) {
            (Some(mark), _) => Seek::Older(mark),
            (None, Some(mark)) => Seek::Newer(mark),
            _ => Seek::Newest,
        }
    }

    /// Cuts the rows of a list by place to a page and says where its neighbours are. One row too many tells that there are more;
    /// among what is newer, that is the first.
    pub(super) fn pager_by_place<T>(
        &self,
        rows: &mut Vec<T>,
        seek: &Seek,
        path: &str,
        filter: &str,
        place: impl Fn(&T) -> Mark,
    ) -> Pager {
        let more = rows.len() > ROWS_A_PAGE as usize;
        let upwards = matches!(seek, Seek::Newer(_));
        match (more, upwards) {
            (true, true) => drop(rows.remove(0)),
            (true, false) => rows.truncate(ROWS_A_PAGE as usize),
            (false, _) => {}
        }
        let has_newer = if upwards { more } else { *seek != Seek::Newest };
        let has_older = upwards || more;
        let first = rows.first().map(&place).filter(|_| has_newer);
        let last = rows.last().map(&place).filter(|_| has_older);
        let from = match seek {
            Seek::Newest => String::new(),
            Seek::Older(mark) => format!("after={mark}"),
            Seek::Newer(mark) => format!("before={mark}"),
        };
        Pager {
            is_first: *seek == Seek::Newest,
            next: last.as_ref().map(Mark::to_string),
            newer: first.map(|mark| format!("{path}?{filter}before={mark}")),
            older: last.map(|mark| format!("{path}?{filter}after={mark}")),
            range: shown(rows.len()),
            json: format!("{path}.json?{filter}{from}"),
            ..Pager::default()
        }
    }

    /// Behind which row a list is read on; what nobody of us has written asks for its beginning.
    pub(super) fn behind(&self) -> Option<Cursor> {
        Cursor::decode(self.field("after"))
    }

    /// Cuts the rows of a list to a page and says where one reads on. `filter` stays in the address.
    pub(super) fn pager_behind<T: Placed>(&self, rows: &mut Vec<T>, filter: &str) -> Pager {
        let more = rows.len() > ROWS_A_PAGE as usize;
        rows.truncate(ROWS_A_PAGE as usize);
        let next = rows.last().filter(|_| more).map(|row| row.cursor().encode());
        let (path, behind) = (&self.path, self.behind());
        let from = behind.as_ref().map_or_else(String::new, |cursor| format!("after={}", cursor.encode()));
        Pager {
            is_first: behind.is_none(),
            first: behind.is_some().then(|| format!("{path}?{}", filter.trim_end_matches('&'))),
            on: next.as_ref().map(|cursor| format!("{path}?{filter}after={cursor}")),
            next,
            range: shown(rows.len()),
            json: format!("{path}.json?{filter}{from}"),
            ..Pager::default()
        }
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
            is_first: self.page == 1,
            next_page: more.then(|| self.page + 1),
            newer: (self.page > 1).then(|| at(self.page - 1)),
            older: more.then(|| at(self.page + 1)),
            range,
            json: format!("{}.json?{filter}page={}", self.path, self.page),
            ..Pager::default()
        }
    }
}

/// How many rows there are on a page.
fn shown(rows: usize) -> String {
    if rows == 0 { String::new() } else { format!("{} shown", show::count(&(rows as u64))) }
}

/// Where a page of a list lies among the others.
#[derive(Debug, Default)]
pub(super) struct Pager {
    /// Whether the list begins with it.
    pub(super) is_first: bool,
    /// Its number, and that of the next, in a list by number.
    pub(super) page: u64,
    pub(super) next_page: Option<u64>,
    /// The place behind this page, in a list by place.
    pub(super) next: Option<String>,
    /// The list's beginning and the page behind this one, in a list that is read on.
    pub(super) first: Option<String>,
    pub(super) on: Option<String>,
    pub(super) newer: Option<String>,
    pub(super) older: Option<String>,
    pub(super) range: String,
    pub(super) json: String,
}
