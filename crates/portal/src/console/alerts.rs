//! Organisations that are told of their own addresses, and what was seen of them: the last seen first.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use noroshi_model::organisation::{Alert, Role};
use serde_json::json;

use super::asked::{Asked, Here, Pager};
use super::rows_behind;
use crate::counter::Counter;
use crate::desk::OrganisationLine;

#[derive(Template)]
#[template(path = "console/alerts.html")]
struct AlertsView<'a> {
    here: Here<'a>,
    organisations: &'a [OrganisationLine],
    alerts: &'a [Alert],
    pager: &'a Pager,
}

impl AlertsView<'_> {
    fn is_victim(&self, alert: &Alert) -> bool {
        alert.seen.role == Role::Victim
    }
}

pub(super) async fn alerts(State(counter): State<Counter>, asked: Asked) -> Response {
    let organisations = match counter.ask(|desk| desk.organisations()).await {
        Ok(organisations) => organisations,
        Err(error) => return asked.trouble(&error),
    };
    let list = rows_behind(&counter, &asked, "", |desk, behind, limit| desk.alerts(behind, limit));
    let (alerts, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let twin = json!({ "next": pager.next, "organisations": organisations, "alerts": alerts });
    let view = AlertsView {
        here: asked.here("alerts"),
        organisations: &organisations,
        alerts: &alerts,
        pager: &pager,
    };
    asked.answer(&view, &twin)
}
