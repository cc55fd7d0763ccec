//! Sites that do harm: the list with its filters, and one record with where it is from and all that speaks for and against it.
//!
//! ```text
//!   GET /sites?state=…&source=…&q=… ──▶ a page of the list, by address
//!   GET /sites/record?address=… ──▶ lists, objections, evidence ──form──▶ POST /sites ──▶ who? may they? ──▶ evidence ──303──▶ the record
//! ```
//!
//! An address is in the query, because it has slashes and more of its own.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use noroshi_model::Right;
use noroshi_model::text::Catalogue;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::asked::{Asked, Here, Pager};
use super::enter::Who;
use super::said::Said;
use super::words::Words;
use super::{page, rows_behind};
use crate::counter::Counter;
use crate::desk::{SITE_STATES, SITE_THREATS, SiteFilter, SiteLine, SitePage, SiteVerb, SiteWaiting};
use crate::guard::PATH_BYTES_MAX;
use crate::show;
use crate::subscriber::visitor::Visitor;

/// Where the list is.
pub(super) const PATH: &str = "/sites";
/// Where a record is.
pub(super) const RECORD: &str = "/sites/record";

/// A state as a shape and a colour beside its word.
fn mark(state: &str) -> (&'static str, &'static str) {
    match state {
        "listed" => ("■", "act"),
        "objected" => ("▲", "watch"),
        "removed" => ("●", "clear"),
        _ => ("○", "unknown"),
    }
}

fn record_path(address: &str) -> String {
    format!("{RECORD}?address={}", show::segment(address))
}

#[derive(Template)]
#[template(path = "console/sites.html")]
struct SitesView<'a> {
    here: Here<'a>,
    w: &'a Words<'a>,
    sites: &'a [SiteLine],
    waiting: &'a [SiteWaiting],
    filter: &'a SiteFilter,
    /// The filter as part of an address.
    query: &'a str,
    pager: &'a Pager,
}

impl SitesView<'_> {
    fn is(&self, state: &str) -> bool {
        self.filter.state.as_deref() == Some(state)
    }

    /// Whether whoever is in may be the second person.
    fn seconds(&self, waiting: &SiteWaiting) -> bool {
        self.here.judges() && waiting.person != self.here.name()
    }

    fn is_filtered(&self) -> bool {
        *self.filter != SiteFilter::default()
    }

    /// Where its record is; nothing where its address is longer than an address of ours may be, and the command line shows it.
    fn href(&self, site: &SiteLine) -> Option<String> {
        let lang = self.w.carried.strip_suffix('&').map_or_else(String::new, |lang| format!("&{lang}"));
        let href = format!("{}{lang}", record_path(&site.address));
        (href.len() <= PATH_BYTES_MAX).then_some(href)
    }
}

fn wanted(asked: &Asked) -> SiteFilter {
    let text = |name: &str| Some(asked.field(name).trim().to_owned()).filter(|text| !text.is_empty());
    SiteFilter {
        state: text("state").filter(|state| SITE_STATES.contains(&state.as_str())),
        source: text("source"),
        text: text("q"),
    }
}

/// The same as part of an address.
fn query(filter: &SiteFilter) -> String {
    let fields = [("state", &filter.state), ("source", &filter.source), ("q", &filter.text)];
    let set = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    set.map(|(name, value)| format!("{name}={}&", show::segment(value))).collect()
}

pub(super) async fn sites(
    State(counter): State<Counter>,
    State(texts): State<Arc<Catalogue>>,
    asked: Asked,
    visitor: Visitor,
) -> Response {
    let filter = wanted(&asked);
    let w = Words::new(&texts, &visitor, &asked);
    let query = query(&filter);
    let asks = filter.clone();
    let stays = format!("{query}{}", w.carried);
    let list =
        rows_behind(&counter, &asked, &stays, move |desk, behind, limit| desk.sites(&asks, behind, limit));
    let (sites, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let waiting = match counter.ask(|desk| desk.waiting_sites()).await {
        Ok(waiting) => waiting,
        Err(error) => return asked.trouble(&error),
    };
    let twin = json!({ "next": pager.next, "sites": sites, "waiting": waiting });
    let here = asked.here("sites");
    asked.answer(
        &SitesView {
            here,
            w: &w,
            sites: &sites,
            waiting: &waiting,
            filter: &filter,
            query: &query,
            pager: &pager,
        },
        &twin,
    )
}

#[derive(Template)]
#[template(path = "console/site.html")]
struct SiteView<'a> {
    here: Here<'a>,
    w: &'a Words<'a>,
    p: &'a SitePage,
}

impl SiteView<'_> {
    fn address(&self) -> String {
        show::segment(&self.p.site.address)
    }

    fn is(&self, state: &str) -> bool {
        self.p.site.state == state
    }
}

/// A weight with its sign, as the command line writes it.
fn weight(log_odds: &f64) -> String {
    format!("{}{:.2}", if *log_odds < 0.0 { "−" } else { "+" }, log_odds.abs())
}

fn percent(percent: &f64) -> String {
    format!("{percent:.1} %")
}

pub(super) async fn site(
    State(counter): State<Counter>,
    State(texts): State<Arc<Catalogue>>,
    asked: Asked,
    visitor: Visitor,
) -> Response {
    let (address, lang) = (asked.field("address").to_owned(), visitor.lang);
    match counter.ask(move |desk| desk.site(&address, lang)).await {
        Ok(p) => {
            let w = Words::new(&texts, &visitor, &asked);
            asked.answer(&SiteView { here: asked.here("sites"), w: &w, p: &p }, &p)
        }
        Err(error) => asked.trouble(&error),
    }
}

pub(super) async fn judge(State(counter): State<Counter>, who: Who, asked: Asked, said: Said) -> Response {
    if let Some(response) = who.refused(Right::Judge) {
        return response;
    }
    // Percent-encoded in the page of a record, so that nothing of an address is in it as it is.
    let address = match said.of("record") {
        "" => said.line("address"),
        encoded => Some(percent_decode_str(encoded).decode_utf8_lossy().into_owned()),
    };
    let verb = match said.of("verb") {
        "list" => Some(said.of("threat"))
            .filter(|threat| SITE_THREATS.contains(threat))
            .map(|threat| SiteVerb::List(threat.to_owned())),
        "remove" => Some(SiteVerb::Remove),
        "object" => said.line("from").map(SiteVerb::Object),
        _ => None,
    };
    let (Some(address), Some(verb), Some(why)) = (address, verb, said.line("why")) else {
        return page::turned(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Something is missing",
            "It takes a site, what is said of it, and why; an objection also whose it is. Go back, and say all of it. Nothing was changed.",
        );
    };
    match counter.ask(move |desk| desk.judge_site(&address, &verb, &who.person.name, &why)).await {
        Ok(Some(address)) => page::see(&record_path(&address)),
        Ok(None) => page::see(PATH),
        Err(error) => asked.trouble(&error),
    }
}
