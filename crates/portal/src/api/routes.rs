//! The routes: each with its scope in its type, and its part of the document above it.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use noroshi_model::Id;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Office;
use super::answers::{
    CampaignItem, CampaignsPage, CaseFile, CasesPage, ConsentsPage, EventsPage, EvidenceAnswer, EvidenceItem,
    EvidencePage, IntakePageOfFeeds, Measures, QuarantinePage, RefusalsPage, StepsPage, Stops,
};
use super::asked::{CasesQuery, EventsQuery, Judgement, PageQuery, QuarantineQuery, Switched};
use super::problem::Problem;
use super::scope::{
    CasesRead, EventsRead, EvidenceRead, IntakeRead, LadderRead, LadderWrite, LawRead, May, OutcomeRead,
    StepsRead, StepsWrite,
};
use crate::cursor::Cursor;
use crate::desk::Act;

type Asked<T> = Result<Query<T>, QueryRejection>;
type Said<T> = Result<Json<T>, JsonRejection>;
type Answer<T> = Result<Json<T>, Problem>;
type Named<T> = Result<Path<T>, PathRejection>;

/// All of them.
pub(super) fn all() -> OpenApiRouter<Office> {
    OpenApiRouter::new()
        .routes(routes!(cases))
        .routes(routes!(case))
        .routes(routes!(outcome))
        .routes(routes!(intake))
        .routes(routes!(quarantine))
        .routes(routes!(refusals))
        .routes(routes!(consents))
        .routes(routes!(measures))
        .routes(routes!(evidence))
        .routes(routes!(evidence_proof))
        .routes(routes!(evidence_state))
        .routes(routes!(steps))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(stopped))
        .routes(routes!(stop))
        .routes(routes!(go))
        .routes(routes!(events))
}

/// Cases, newest first.
#[utoipa::path(get, path = "/cases", tag = "cases", params(CasesQuery), security(("token" = ["cases:read"])),
    responses((status = 200, description = "A page of cases", body = CasesPage)))]
async fn cases(
    State(office): State<Office>,
    _: May<CasesRead>,
    asked: Asked<CasesQuery>,
) -> Answer<CasesPage> {
    let (filter, limit, seek) = asked?.0.read()?;
    let rows = office.counter.ask(move |desk| desk.cases_behind(&filter, &seek, limit + 1)).await?;
    Ok(Json(CasesPage::of(rows, limit)))
}

/// One case with its story.
#[utoipa::path(get, path = "/cases/{id}", tag = "cases", security(("token" = ["cases:read"])),
    params(("id" = String, Path, description = "The case's id", pattern = "^[0-9a-f]{32}$")),
    responses((status = 200, description = "The case", body = CaseFile),
        (status = 404, description = "There is no such case", body = Problem, content_type = "application/problem+json")))]
async fn case(State(office): State<Office>, _: May<CasesRead>, id: Named<String>) -> Answer<CaseFile> {
    let id = Id::parse(&id?.0).ok_or_else(Problem::not_found)?;
    Ok(Json(office.counter.ask(move |desk| desk.case_file(&id)).await?))
}

/// What came of it, campaign by campaign.
#[utoipa::path(get, path = "/outcome", tag = "outcome", params(PageQuery), security(("token" = ["outcome:read"])),
    responses((status = 200, description = "Funnels, and what telling does", body = CampaignsPage)))]
async fn outcome(
    State(office): State<Office>,
    _: May<OutcomeRead>,
    asked: Asked<PageQuery>,
) -> Answer<CampaignsPage> {
    let (limit, cursor) = asked?.0.read()?;
    let behind = cursor.and_then(|cursor| cursor.keys.into_iter().next()).unwrap_or_default();
    let (outcome, trials) = office.counter.ask(|desk| Ok((desk.outcome()?, desk.trials()?))).await?;
    let (counted, mut funnels) = (outcome.at.min(trials.at), outcome.value);
    funnels.retain(|funnel| funnel.campaign > behind);
    funnels.sort_by(|a, b| a.campaign.cmp(&b.campaign));
    let more = funnels.len() > limit as usize;
    funnels.truncate(limit as usize);
    let last = funnels.last().filter(|_| more);
    let next = last.map(|funnel| Cursor { at: 0, keys: vec![funnel.campaign.clone()] }.encode());
    let items = funnels.into_iter().map(|funnel| CampaignItem::new(funnel, &trials.value)).collect();
    Ok(Json(CampaignsPage { counted: counted.to_string(), items, next }))
}

/// What came in, feed by feed, in the order in which they were first counted.
#[utoipa::path(get, path = "/intake", tag = "intake", params(PageQuery), security(("token" = ["intake:read"])),
    responses((status = 200, description = "Feeds with their counts", body = IntakePageOfFeeds)))]
async fn intake(
    State(office): State<Office>,
    _: May<IntakeRead>,
    asked: Asked<PageQuery>,
) -> Answer<IntakePageOfFeeds> {
    let (limit, cursor) = asked?.0.read()?;
    let skipped = cursor.map_or(0, |cursor| usize::try_from(cursor.at).unwrap_or(usize::MAX));
    let page = office.counter.ask(|desk| desk.intake()).await?;
    let end = skipped.saturating_add(limit as usize);
    let next = (page.feeds.len() > end)
        .then(|| Cursor { at: i64::try_from(end).unwrap_or(i64::MAX), keys: Vec::new() }.encode());
    let items = page.feeds.into_iter().skip(skipped).take(limit as usize).map(Into::into).collect();
    let credits = page.credits.into_iter().map(Into::into).collect();
    Ok(Json(IntakePageOfFeeds { items, credits, next }))
}

/// Lines that could not be read, newest first.
#[utoipa::path(get, path = "/quarantine", tag = "intake", params(QuarantineQuery), security(("token" = ["intake:read"])),
    responses((status = 200, description = "A page of the quarantine", body = QuarantinePage)))]
async fn quarantine(
    State(office): State<Office>,
    _: May<IntakeRead>,
    asked: Asked<QuarantineQuery>,
) -> Answer<QuarantinePage> {
    let (feed, limit, cursor) = asked?.0.read()?;
    let rows =
        office.counter.ask(move |desk| desk.quarantine_behind(&feed, cursor.as_ref(), limit + 1)).await?;
    Ok(Json(QuarantinePage::of(rows, limit)))
}

/// Uses that the rules refused, newest first.
#[utoipa::path(get, path = "/law/refusals", tag = "law", params(PageQuery), security(("token" = ["law:read"])),
    responses((status = 200, description = "A page of refusals", body = RefusalsPage)))]
async fn refusals(
    State(office): State<Office>,
    _: May<LawRead>,
    asked: Asked<PageQuery>,
) -> Answer<RefusalsPage> {
    let (limit, cursor) = asked?.0.read()?;
    let rows = office.counter.ask(move |desk| desk.refusals(cursor.as_ref(), limit + 1)).await?;
    Ok(Json(RefusalsPage::of(rows, limit)))
}

/// Consents that were given or withdrawn, newest first.
#[utoipa::path(get, path = "/law/consents", tag = "law", params(PageQuery), security(("token" = ["law:read"])),
    responses((status = 200, description = "A page of consents", body = ConsentsPage)))]
async fn consents(
    State(office): State<Office>,
    _: May<LawRead>,
    asked: Asked<PageQuery>,
) -> Answer<ConsentsPage> {
    let (limit, cursor) = asked?.0.read()?;
    let rows = office.counter.ask(move |desk| desk.consents(cursor.as_ref(), limit + 1)).await?;
    Ok(Json(ConsentsPage::of(rows, limit)))
}

/// The measures, as documents.
#[utoipa::path(get, path = "/law/measures", tag = "law", security(("token" = ["law:read"])),
    responses((status = 200, description = "All measures", body = Measures)))]
async fn measures(State(office): State<Office>, _: May<LawRead>) -> Answer<Measures> {
    let measures = office.counter.ask(|desk| desk.measures()).await?;
    Ok(Json(Measures { items: measures.into_iter().map(Into::into).collect() }))
}

/// The evidence log, newest first.
#[utoipa::path(get, path = "/evidence/entries", tag = "evidence", params(PageQuery),
    security(("token" = ["evidence:read"])),
    responses((status = 200, description = "A page of the log", body = EvidencePage)))]
async fn evidence(
    State(office): State<Office>,
    _: May<EvidenceRead>,
    asked: Asked<PageQuery>,
) -> Answer<EvidencePage> {
    let (limit, cursor) = asked?.0.read()?;
    let below = cursor.map_or(i64::MAX, |cursor| cursor.at).max(0).unsigned_abs();
    let rows = office.counter.ask(move |desk| desk.evidence_below(below, limit + 1)).await?;
    Ok(Json(EvidencePage::of(rows.into_iter().map(EvidenceItem::from).collect(), limit)))
}

/// The proof of one entry, which can be checked offline (`noroshi evidence verify --proof`).
#[utoipa::path(get, path = "/evidence/entries/{index}/proof", tag = "evidence", security(("token" = ["evidence:read"])),
    params(("index" = i64, Path, description = "The entry's index", minimum = 0)),
    responses((status = 200, description = "The proof", body = Object),
        (status = 404, description = "There is no such entry", body = Problem, content_type = "application/problem+json")))]
async fn evidence_proof(
    State(office): State<Office>,
    _: May<EvidenceRead>,
    index: Named<u64>,
) -> Answer<serde_json::Value> {
    let index = index?.0;
    Ok(Json(office.counter.ask(move |desk| desk.evidence_proof(index)).await?))
}

/// Whether the whole log is intact. It is walked for each answer, which takes its time.
#[utoipa::path(get, path = "/evidence/state", tag = "evidence", security(("token" = ["evidence:read"])),
    responses((status = 200, description = "What the walk found", body = EvidenceAnswer)))]
async fn evidence_state(State(office): State<Office>, _: May<EvidenceRead>) -> Answer<EvidenceAnswer> {
    Ok(Json(office.counter.ask(|desk| desk.evidence_state()).await?.into()))
}

/// Steps of the ladder that wait for a person, longest first.
#[utoipa::path(get, path = "/steps", tag = "steps", params(PageQuery), security(("token" = ["steps:read"])),
    responses((status = 200, description = "A page of steps", body = StepsPage)))]
async fn steps(
    State(office): State<Office>,
    _: May<StepsRead>,
    asked: Asked<PageQuery>,
) -> Answer<StepsPage> {
    let (limit, cursor) = asked?.0.read()?;
    let rows = office.counter.ask(move |desk| desk.steps(cursor.as_ref(), limit + 1)).await?;
    Ok(Json(StepsPage::of(rows, limit)))
}

/// Approves a step: it is taken as soon as its way's hours allow.
#[utoipa::path(post, path = "/steps/{case}/{number}/approve", tag = "steps", request_body = Judgement,
    params(("case" = String, Path, description = "The case's id", pattern = "^[0-9a-f]{32}$"),
        ("number" = i32, Path, description = "The step's number", minimum = 1)),
    security(("token" = ["steps:write"])),
    responses((status = 204, description = "It is approved"),
        (status = 404, description = "There is no such step", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It waits no more", body = Problem, content_type = "application/problem+json")))]
async fn approve(
    State(office): State<Office>,
    may: May<StepsWrite>,
    step: Named<(String, u32)>,
    said: Said<Judgement>,
) -> Result<StatusCode, Problem> {
    judge(&office, may, step, said, true).await
}

/// Says no to a step: it is not taken.
#[utoipa::path(post, path = "/steps/{case}/{number}/reject", tag = "steps", request_body = Judgement,
    params(("case" = String, Path, description = "The case's id", pattern = "^[0-9a-f]{32}$"),
        ("number" = i32, Path, description = "The step's number", minimum = 1)),
    security(("token" = ["steps:write"])),
    responses((status = 204, description = "It is rejected"),
        (status = 404, description = "There is no such step", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It waits no more", body = Problem, content_type = "application/problem+json")))]
async fn reject(
    State(office): State<Office>,
    may: May<StepsWrite>,
    step: Named<(String, u32)>,
    said: Said<Judgement>,
) -> Result<StatusCode, Problem> {
    judge(&office, may, step, said, false).await
}

async fn judge(
    office: &Office,
    may: May<StepsWrite>,
    step: Named<(String, u32)>,
    said: Said<Judgement>,
    approve: bool,
) -> Result<StatusCode, Problem> {
    let Path((case, number)) = step?;
    let why = said?.0.read()?;
    let case = Id::parse(&case).ok_or_else(Problem::not_found)?;
    perform(office, Act::Judge { case, number, approve }, may.0.person(), why, "this step waits no more")
        .await
}

/// What is stopped.
#[utoipa::path(get, path = "/ladder/stopped", tag = "ladder", security(("token" = ["ladder:read"])),
    responses((status = 200, description = "Everything that is stopped", body = Stops)))]
async fn stopped(State(office): State<Office>, _: May<LadderRead>) -> Answer<Stops> {
    Ok(Json(office.counter.ask(|desk| desk.stopped()).await?.into()))
}

/// Stops telling anybody, by a way, or of a campaign: at once, in every process, until it is let go on.
#[utoipa::path(post, path = "/ladder/stop", tag = "ladder", request_body = Switched,
    security(("token" = ["ladder:write"])),
    responses((status = 204, description = "It is stopped"),
        (status = 409, description = "It is stopped already, or too much is", body = Problem,
            content_type = "application/problem+json")))]
async fn stop(
    State(office): State<Office>,
    may: May<LadderWrite>,
    said: Said<Switched>,
) -> Result<StatusCode, Problem> {
    switch(&office, may, said, true).await
}

/// Lets it go on.
#[utoipa::path(post, path = "/ladder/go", tag = "ladder", request_body = Switched,
    security(("token" = ["ladder:write"])),
    responses((status = 204, description = "It goes on"),
        (status = 409, description = "It is not stopped", body = Problem, content_type = "application/problem+json")))]
async fn go(
    State(office): State<Office>,
    may: May<LadderWrite>,
    said: Said<Switched>,
) -> Result<StatusCode, Problem> {
    switch(&office, may, said, false).await
}

async fn switch(
    office: &Office,
    may: May<LadderWrite>,
    said: Said<Switched>,
    stop: bool,
) -> Result<StatusCode, Problem> {
    let (scope, why) = said?.0.read()?;
    let already = if stop { "it is stopped already, or too much is" } else { "it is not stopped" };
    perform(office, Act::Switch { scope, stop }, may.0.person(), why, already).await
}

/// Most scopes that may be stopped at a time.
const STOPS_MAX: usize = 1_000;

async fn perform(
    office: &Office,
    act: Act,
    person: String,
    why: String,
    otherwise: &str,
) -> Result<StatusCode, Problem> {
    let done = office.counter.ask(move |desk| {
        if matches!(act, Act::Switch { stop: true, .. }) && desk.stopped()?.len() >= STOPS_MAX {
            return Ok(false);
        }
        desk.perform(&act, &person, &why)
    });
    match done.await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(Problem::new(StatusCode::CONFLICT, otherwise)),
        Err(error) => Err(error.into()),
    }
}

/// Events of the log, oldest first, as IntelMQ's flat JSON; never those that came in under a measure.
#[utoipa::path(get, path = "/events", tag = "events", params(EventsQuery), security(("token" = ["events:read"])),
    responses((status = 200, description = "A page of events", body = EventsPage)))]
async fn events(
    State(office): State<Office>,
    _: May<EventsRead>,
    asked: Asked<EventsQuery>,
) -> Answer<EventsPage> {
    let wish = asked?.0.read()?;
    Ok(Json(office.counter.ask(move |desk| desk.events_after(&wish)).await?))
}
