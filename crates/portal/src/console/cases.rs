//! Cases: the list with its filters, what is said of many at once, and one with its whole story.
//!
//! ```text
//!   GET /cases?state=…&family=…&campaign=…&q=…&waiting=1 ──▶ a page of the list, by place
//!   POST /cases (case=ID …, or all that match) verb, why ──▶ who? may they? ──▶ evidence ──▶ done, and what was left and why
//! ```

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use noroshi_model::{Case, CaseFilter, CaseState, Id, Mark, Right, Seek};
use serde_json::json;

use super::asked::{Asked, Here, Pager, ROWS_A_PAGE};
use super::enter::Who;
use super::page;
use super::said::Said;
use crate::counter::Counter;
use crate::desk::{CaseStory, CaseVerb, CasesOf, DeskError, Judged};
use crate::show;

/// A state as a shape and a colour beside its word.
pub(super) struct CaseMark {
    pub(super) shape: &'static str,
    pub(super) class: &'static str,
}

pub(super) fn mark(state: &CaseState) -> CaseMark {
    let (shape, class) = match state {
        CaseState::Open => ("○", "unknown"),
        CaseState::Notified | CaseState::Reported => ("▲", "watch"),
        CaseState::Held => ("■", "act"),
        CaseState::Clean => ("●", "clear"),
        CaseState::Rejected | CaseState::Merged => ("○", "unknown"),
    };
    CaseMark { shape, class }
}

/// Which cases a form or an address asks for.
struct Wanted {
    filter: CaseFilter,
    /// The reference as it was typed.
    typed: String,
}

impl Wanted {
    /// Reads it from named values; what makes no sense is not asked for.
    fn read<'a>(value: impl Fn(&str) -> &'a str) -> Self {
        let text = |name: &str| Some(value(name).trim().to_owned()).filter(|text| !text.is_empty());
        let typed = text("q").unwrap_or_default();
        let digits = typed.replace('-', "").to_ascii_lowercase();
        let is_reference = !digits.is_empty() && digits.len() <= Id::CHARS;
        let digits = (is_reference && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits);
        let filter = CaseFilter {
            state: CaseState::parse(value("state")),
            family: text("family"),
            campaign: text("campaign"),
            digits,
            waiting: value("waiting") == "1",
            ..CaseFilter::default()
        };
        Self { filter, typed }
    }

    /// The same as part of an address.
    fn query(&self) -> String {
        let mut query = String::new();
        let filter = &self.filter;
        let mut add = |name: &str, value: &str| {
            query.push_str(&format!("{name}={}&", show::segment(value)));
        };
        if let Some(state) = filter.state {
            add("state", state.id());
        }
        for (name, value) in [("family", &filter.family), ("campaign", &filter.campaign)] {
            if let Some(value) = value {
                add(name, value);
            }
        }
        if filter.digits.is_some() {
            add("q", &self.typed);
        }
        if filter.waiting {
            add("waiting", "1");
        }
        query
    }
}

#[derive(Template)]
#[template(path = "console/cases.html")]
struct CasesView<'a> {
    here: Here<'a>,
    cases: &'a [Case],
    wanted: &'a Wanted,
    pager: &'a Pager,
    judged: Option<(&'a str, &'a Judged)>,
}

impl CasesView<'_> {
    fn is(&self, state: &CaseState) -> bool {
        self.wanted.filter.state == Some(*state)
    }

    fn family(&self) -> &str {
        self.wanted.filter.family.as_deref().unwrap_or_default()
    }

    fn campaign(&self) -> &str {
        self.wanted.filter.campaign.as_deref().unwrap_or_default()
    }

    fn state(&self) -> &str {
        self.wanted.filter.state.map_or("", CaseState::id)
    }

    fn is_filtered(&self) -> bool {
        self.wanted.filter != CaseFilter::default()
    }
}

pub(super) async fn cases(State(counter): State<Counter>, asked: Asked) -> Response {
    let wanted = Wanted::read(|name| asked.field(name));
    list(&counter, &asked, &wanted, None).await
}

async fn list(
    counter: &Counter,
    asked: &Asked,
    wanted: &Wanted,
    judged: Option<(&str, &Judged)>,
) -> Response {
    let mut seek = asked.seek();
    let ask = async |seek: Seek| {
        let filter = wanted.filter.clone();
        counter.ask(move |desk| desk.cases(&filter, &seek, Asked::limit())).await
    };
    let mut found = ask(seek.clone()).await;
    // At the top, the whole first page.
    if matches!((&seek, &found), (Seek::Newer(_), Ok(cases)) if cases.len() <= ROWS_A_PAGE as usize) {
        seek = Seek::Newest;
        found = ask(seek.clone()).await;
    }
    let mut cases = match found {
        Ok(cases) => cases,
        Err(error) => return asked.trouble(&error),
    };
    let place = |case: &Case| Mark { at: case.opened, id: case.id.clone() };
    let pager = asked.pager_by_place(&mut cases, &seek, "/cases", &wanted.query(), place);
    let twin = json!({
        "state": wanted.filter.state, "family": wanted.filter.family, "campaign": wanted.filter.campaign,
        "waiting": wanted.filter.waiting, "next": pager.next, "cases": cases,
    });
    asked
        .answer(&CasesView { here: asked.here("cases"), cases: &cases, wanted, pager: &pager, judged }, &twin)
}

pub(super) async fn judge(State(counter): State<Counter>, who: Who, asked: Asked, said: Said) -> Response {
    if let Some(response) = who.refused(Right::Judge) {
        return response;
    }
    let wanted = Wanted::read(|name| said.of(name));
    let (of, verb, why) = match (cases_of(&said, &wanted), verb_of(&said), said.line("why")) {
        (Some(of), Some(verb), Some(why)) => (of, verb, why),
        _ => {
            return page::turned(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Something is missing",
                "It takes at least one case, what to do, and why. Go back, and say all three. Nothing was changed.",
            );
        }
    };
    let word = verb.word();
    let from_one = said.of("back").strip_prefix("/cases/").and_then(Id::parse);
    let judged = counter.ask(move |desk| desk.judge_cases(&of, &verb, &who.person.name, &why)).await;
    match (judged, from_one) {
        (Ok(judged), Some(id)) if judged.left.is_empty() => page::see(&format!("/cases/{id}")),
        (Ok(judged), _) => list(&counter, &asked, &wanted, Some((word, &judged))).await,
        (Err(error), _) => asked.trouble(&error),
    }
}

fn cases_of(said: &Said, wanted: &Wanted) -> Option<CasesOf> {
    if said.of("all") == "1" {
        // Everything there is was never meant.
        return (wanted.filter != CaseFilter::default()).then(|| CasesOf::All(wanted.filter.clone()));
    }
    let ids: Option<Vec<Id>> = said.all("case").map(Id::parse).collect();
    ids.filter(|ids| !ids.is_empty()).map(CasesOf::These)
}

fn verb_of(said: &Said) -> Option<CaseVerb> {
    Some(match said.of("verb") {
        "hold" => CaseVerb::Hold,
        "release" => CaseVerb::Release,
        "reject" => CaseVerb::Reject,
        "approve" => CaseVerb::Approve,
        "merge" => CaseVerb::Merge(Id::parse(said.of("into"))?),
        _ => return None,
    })
}

#[derive(Template)]
#[template(path = "console/case.html")]
struct CaseView<'a> {
    here: Here<'a>,
    s: &'a CaseStory,
}

pub(super) async fn case(State(counter): State<Counter>, asked: Asked, id: Option<Path<String>>) -> Response {
    let id = id.and_then(|Path(id)| Id::parse(id.strip_suffix(".json").unwrap_or(&id)));
    let Some(id) = id else { return asked.trouble(&DeskError::NotFound) };
    match counter.ask(move |desk| desk.case(&id)).await {
        Ok(s) => asked.answer(&CaseView { here: asked.here("cases"), s: &s }, &s),
        Err(error) => asked.trouble(&error),
    }
}
