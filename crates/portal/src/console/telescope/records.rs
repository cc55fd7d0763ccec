//! The records behind the marks: senders that were seen, campaigns, and alerts, each with an address of its own.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use noroshi_model::Id;
use noroshi_model::organisation::Alert;
use noroshi_model::telescope::{Campaign, Sighting};
use serde::Serialize;
use serde_json::json;

use super::super::asked::{Asked, Here, Pager};
use super::super::rows_behind;
use crate::counter::Counter;
use crate::desk::{Desk, DeskError};

#[derive(Template)]
#[template(path = "console/sightings.html")]
struct SightingsView<'a> {
    here: Here<'a>,
    sightings: &'a [Sighting],
    pager: &'a Pager,
}

pub(in super::super) async fn sightings(State(counter): State<Counter>, asked: Asked) -> Response {
    let list =
        rows_behind(&counter, &asked, "", |desk, behind, limit| desk.telescope_sightings(behind, limit));
    let (sightings, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "next": pager.next, "sightings": sightings });
    let here = asked.here("telescope");
    asked.answer(&SightingsView { here, sightings: &sightings, pager: &pager }, &twin)
}

#[derive(Template)]
#[template(path = "console/telescope-campaigns.html")]
struct CampaignsView<'a> {
    here: Here<'a>,
    campaigns: &'a [Campaign],
    pager: &'a Pager,
}

pub(in super::super) async fn campaigns(State(counter): State<Counter>, asked: Asked) -> Response {
    let list =
        rows_behind(&counter, &asked, "", |desk, behind, limit| desk.telescope_campaigns(behind, limit));
    let (campaigns, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "next": pager.next, "campaigns": campaigns });
    let here = asked.here("telescope");
    asked.answer(&CampaignsView { here, campaigns: &campaigns, pager: &pager }, &twin)
}

#[derive(Template)]
#[template(path = "console/sighting.html")]
struct SightingView<'a> {
    here: Here<'a>,
    one: &'a Sighting,
}

pub(in super::super) async fn sighting(
    State(counter): State<Counter>,
    asked: Asked,
    id: Option<Path<String>>,
) -> Response {
    record(
        &counter,
        &asked,
        id,
        |desk, id| desk.telescope_sighting(id),
        |asked, one| asked.answer(&SightingView { here: asked.here("telescope"), one }, one),
    )
    .await
}

#[derive(Template)]
#[template(path = "console/telescope-campaign.html")]
struct CampaignView<'a> {
    here: Here<'a>,
    one: &'a Campaign,
}

pub(in super::super) async fn campaign(
    State(counter): State<Counter>,
    asked: Asked,
    id: Option<Path<String>>,
) -> Response {
    record(
        &counter,
        &asked,
        id,
        |desk, id| desk.telescope_campaign(id),
        |asked, one| asked.answer(&CampaignView { here: asked.here("telescope"), one }, one),
    )
    .await
}

#[derive(Template)]
#[template(path = "console/alert.html")]
struct AlertView<'a> {
    here: Here<'a>,
    one: &'a Alert,
}

impl AlertView<'_> {
    fn is_victim(&self) -> bool {
        self.one.seen.role == noroshi_model::organisation::Role::Victim
    }
}

pub(in super::super) async fn alert(
    State(counter): State<Counter>,
    asked: Asked,
    id: Option<Path<String>>,
) -> Response {
    record(
        &counter,
        &asked,
        id,
        |desk, id| desk.alert(id),
        |asked, one| asked.answer(&AlertView { here: asked.here("alerts"), one }, one),
    )
    .await
}

/// One record by its id, or that there is none.
async fn record<T: Serialize + Send + 'static>(
    counter: &Counter,
    asked: &Asked,
    id: Option<Path<String>>,
    find: impl FnOnce(&dyn Desk, &Id) -> Result<T, DeskError> + Send + 'static,
    show: impl FnOnce(&Asked, &T) -> Response,
) -> Response {
    let id = id.and_then(|Path(id)| Id::parse(id.trim_end_matches(".json")));
    let Some(id) = id else { return asked.trouble(&DeskError::NotFound) };
    match counter.ask(move |desk| find(desk, &id)).await {
        Ok(one) => show(asked, &one),
        Err(error) => asked.trouble(&error),
    }
}
