//! Campaigns: how many cases each has, how far they have come, and whether telling is stopped for it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::asked::{Asked, Here, Pager};
use super::rows;
use crate::counter::Counter;
use crate::desk::CampaignLine;

#[derive(Template)]
#[template(path = "console/campaigns.html")]
struct CampaignsView<'a> {
    here: Here<'a>,
    campaigns: &'a [CampaignLine],
    pager: &'a Pager,
}

pub(super) async fn campaigns(State(counter): State<Counter>, asked: Asked) -> Response {
    let list = rows(&counter, &asked, "", |desk, offset, limit| {
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(desk.campaigns()?.into_iter().skip(skipped).take(limit as usize).collect())
    });
    let (campaigns, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "page": pager.page, "next": pager.next_page, "campaigns": campaigns });
    asked
        .answer(&CampaignsView { here: asked.here("campaigns"), campaigns: &campaigns, pager: &pager }, &twin)
}
