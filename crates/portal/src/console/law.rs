//! The pages about the law: the measures and who approved them, uses of an emergency and their review, what was refused, what was
//! consented to.
//!
//! ```text
//!   POST /law/approve ──▶ who? may they (legal)? ──▶ evidence ──▶ the approval stands
//!   POST /law/emergencies ──▶ … and not whoever approved it ──▶ evidence ──▶ reviewed
//! ```

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use noroshi_model::Right;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::asked::{Asked, Here, Pager};
use super::enter::Who;
use super::said::Said;
use super::{page, rows_behind};
use crate::api::{ConsentItem, RefusalItem};
use crate::counter::Counter;
use crate::desk::{EmergencyLine, Judged, MeasurePage};

/// Newest refusals and consents, and oldest uses that wait, shown beside the measures; the rest has its own page.
const NEWEST: u32 = 10;

#[derive(Template)]
#[template(path = "console/law.html")]
struct LawView<'a> {
    here: Here<'a>,
    measures: &'a [MeasurePage],
    /// The first uses of an emergency that wait for their review.
    waiting: &'a [EmergencyLine],
    refusals: &'a [RefusalItem],
    consents: &'a [ConsentItem],
}

impl LawView<'_> {
    fn answers(&self) -> bool {
        self.here.may(Right::Law)
    }

    /// How far a measure's approval has come, in words; nothing where it takes none.
    fn standing(&self, measure: &MeasurePage) -> Option<String> {
        let needed = measure.approvers_needed;
        let people: BTreeSet<&str> = measure.approvals.iter().map(|one| one.person.as_str()).collect();
        let given = u32::try_from(people.len()).unwrap_or(u32::MAX);
        let word = |n: u32| if n == 1 { "person" } else { "different people" };
        match needed {
            0 => None,
            _ if given >= needed => {
                Some(format!("Approved by {given} of {needed} {}: it may be used.", word(needed)))
            }
            _ => Some(format!(
                "Approved by {given} of {needed} {}: nothing is allowed by it yet.",
                word(needed)
            )),
        }
    }
}

pub(super) async fn law(State(counter): State<Counter>, asked: Asked) -> Response {
    let answer = counter
        .ask(|desk| {
            let waiting = desk.emergencies(true, None, NEWEST)?;
            Ok((desk.measures()?, waiting, desk.refusals(None, NEWEST)?, desk.consents(None, NEWEST)?))
        })
        .await;
    match answer {
        Ok((measures, waiting, refusals, consents)) => {
            let twin = json!({
                "measures": measures, "waiting": waiting, "refusals": refusals, "consents": consents
            });
            let view = LawView {
                here: asked.here("law"),
                measures: &measures,
                waiting: &waiting,
                refusals: &refusals,
                consents: &consents,
            };
            asked.answer(&view, &twin)
        }
        Err(error) => asked.trouble(&error),
    }
}

#[derive(Template)]
#[template(path = "console/refusals.html")]
struct RefusalsView<'a> {
    here: Here<'a>,
    refusals: &'a [RefusalItem],
    pager: &'a Pager,
}

pub(super) async fn refusals(State(counter): State<Counter>, asked: Asked) -> Response {
    let list = rows_behind(&counter, &asked, "", |desk, behind, limit| desk.refusals(behind, limit));
    let (refusals, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "next": pager.next, "refusals": refusals });
    asked.answer(&RefusalsView { here: asked.here("law"), refusals: &refusals, pager: &pager }, &twin)
}

#[derive(Template)]
#[template(path = "console/consents.html")]
struct ConsentsView<'a> {
    here: Here<'a>,
    consents: &'a [ConsentItem],
    pager: &'a Pager,
}

pub(super) async fn consents(State(counter): State<Counter>, asked: Asked) -> Response {
    let list = rows_behind(&counter, &asked, "", |desk, behind, limit| desk.consents(behind, limit));
    let (consents, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "next": pager.next, "consents": consents });
    asked.answer(&ConsentsView { here: asked.here("law"), consents: &consents, pager: &pager }, &twin)
}

/// Says that a form lacks something.
fn lacking() -> Response {
    page::turned(
        StatusCode::UNPROCESSABLE_ENTITY,
        "Something is missing",
        "It takes what it is about, and why. Go back, and say both. Nothing was changed.",
    )
}

pub(super) async fn approve(State(counter): State<Counter>, who: Who, asked: Asked, said: Said) -> Response {
    if let Some(response) = who.refused(Right::Law) {
        return response;
    }
    // Percent-encoded in the page, so that nothing of a name is in it as it is.
    let measure = percent_decode_str(said.of("measure")).decode_utf8_lossy().into_owned();
    let Some(why) = said.line("why").filter(|_| !measure.is_empty()) else { return lacking() };
    match counter.ask(move |desk| desk.approve_measure(&measure, &who.person.name, &why)).await {
        Ok(()) => page::see("/law"),
        Err(error) => asked.trouble(&error),
    }
}

#[derive(Template)]
#[template(path = "console/emergencies.html")]
struct EmergenciesView<'a> {
    here: Here<'a>,
    uses: &'a [EmergencyLine],
    /// Whether all are shown, not only those that wait.
    all: bool,
    pager: &'a Pager,
    judged: Option<(&'a str, &'a Judged)>,
}

impl EmergenciesView<'_> {
    fn answers(&self) -> bool {
        self.here.may(Right::Law)
    }
}

pub(super) async fn emergencies(State(counter): State<Counter>, asked: Asked) -> Response {
    emergencies_with(&counter, &asked, None).await
}

async fn emergencies_with(counter: &Counter, asked: &Asked, judged: Option<(&str, &Judged)>) -> Response {
    let all = asked.field("all") == "1";
    let filter = if all { "all=1&" } else { "" };
    let list =
        rows_behind(counter, asked, filter, move |desk, behind, limit| desk.emergencies(!all, behind, limit));
    let (uses, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "next": pager.next, "all": all, "emergencies": uses });
    let view = EmergenciesView { here: asked.here("law"), uses: &uses, all, pager: &pager, judged };
    asked.answer(&view, &twin)
}

pub(super) async fn review(State(counter): State<Counter>, who: Who, asked: Asked, said: Said) -> Response {
    if let Some(response) = who.refused(Right::Law) {
        return response;
    }
    let which = if said.of("all") == "1" { "shown" } else { "entry" };
    let entries: Result<Vec<u64>, _> = said.all(which).map(str::parse).collect();
    let verdict = match said.of("verdict") {
        "justified" => Some(true),
        "unjustified" => Some(false),
        _ => None,
    };
    let (entries, justified, why) = match (entries, verdict, said.line("why")) {
        (Ok(entries), Some(justified), Some(why)) if !entries.is_empty() => (entries, justified, why),
        _ => return lacking(),
    };
    let reviewed = counter.ask(move |desk| desk.review(&entries, justified, &who.person.name, &why)).await;
    let word = if justified { "justified" } else { "unjustified" };
    match reviewed {
        Ok(reviewed) => emergencies_with(&counter, &asked, Some((word, &reviewed))).await,
        Err(error) => asked.trouble(&error),
    }
}
