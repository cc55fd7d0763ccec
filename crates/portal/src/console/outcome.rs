//! The pages about what came of it: the funnel of each campaign, and what telling does.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use noroshi_model::{Funnel, Trial};
use serde_json::json;

use super::asked::{Asked, Here, Pager};
use super::rows;
use crate::counter::Counter;
use crate::desk::DeskError;

const SVG: &str = "image/svg+xml; charset=utf-8";

#[derive(Template)]
#[template(path = "console/outcome.html")]
struct OutcomeView<'a> {
    here: Here<'a>,
    funnels: &'a [Funnel],
    trials: &'a [Trial],
    pager: &'a Pager,
}

impl OutcomeView<'_> {
    fn trial(&self, campaign: &str) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.campaign == campaign)
    }
}

pub(super) async fn outcome(State(counter): State<Counter>, asked: Asked) -> Response {
    let list = rows(&counter, &asked, "", |desk, offset, limit| {
        let funnels = desk.outcome()?;
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(funnels.into_iter().skip(skipped).take(limit as usize).collect())
    });
    let (funnels, pager) = match list.await {
        Ok(list) => list,
        Err(response) => return response,
    };
    let trials = match counter.ask(|desk| desk.trials()).await {
        Ok(trials) => trials,
        Err(error) => return asked.trouble(&error),
    };
    let trials: Vec<Trial> = trials
        .into_iter()
        .filter(|trial| funnels.iter().any(|funnel| funnel.campaign == trial.campaign))
        .collect();
    let twin = json!({ "page": pager.page, "next": pager.next_page, "campaigns": funnels, "trials": trials });
    let view = OutcomeView { here: asked.here("outcome"), funnels: &funnels, trials: &trials, pager: &pager };
    asked.answer(&view, &twin)
}

/// A campaign's funnel, drawn by the program behind the desk.
pub(super) async fn picture(
    State(counter): State<Counter>,
    asked: Asked,
    name: Option<Path<String>>,
) -> Response {
    let campaign = name.and_then(|Path(name)| name.strip_suffix(".svg").map(str::to_owned));
    let Some(campaign) = campaign else { return asked.trouble(&DeskError::NotFound) };
    match counter.ask(move |desk| desk.funnel_svg(&campaign)).await {
        Ok(svg) => ([(header::CONTENT_TYPE, SVG)], svg).into_response(),
        Err(error) => asked.trouble(&error),
    }
}
