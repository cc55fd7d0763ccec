//! The pages about what came of it: the funnel of each campaign and what telling does; which wording works; how infected
//! each network is.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use noroshi_model::network::{NetworkRate, NetworkWeek};
use noroshi_model::wording::{Stage, WordingArm, WordingTrial};
use noroshi_model::{Funnel, Trial};
use serde_json::json;

use super::asked::{Asked, Here, Pager};
use crate::counter::Counter;
use crate::desk::{AsOf, Desk, DeskError};
use crate::show;

const SVG: &str = "image/svg+xml; charset=utf-8";

#[derive(Template)]
#[template(path = "console/outcome.html")]
struct OutcomeView<'a> {
    here: Here<'a>,
    counted: Timestamp,
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
    let (outcome, trials) = match counter.ask(|desk| Ok((desk.outcome()?, desk.trials()?))).await {
        Ok(counted) => counted,
        Err(error) => return asked.trouble(&error),
    };
    let counted = outcome.at.min(trials.at);
    let (funnels, pager) = page_of(outcome.value, &asked);
    let trials: Vec<Trial> = trials
        .value
        .into_iter()
        .filter(|trial| funnels.iter().any(|funnel| funnel.campaign == trial.campaign))
        .collect();
    let twin = json!({
        "page": pager.page, "next": pager.next_page, "counted": counted, "campaigns": funnels, "trials": trials
    });
    let here = asked.here("outcome");
    asked.answer(&OutcomeView { here, counted, funnels: &funnels, trials: &trials, pager: &pager }, &twin)
}

/// A campaign's funnel, drawn by the program behind the desk.
pub(super) async fn picture(
    State(counter): State<Counter>,
    asked: Asked,
    name: Option<Path<String>>,
) -> Response {
    drawn(&counter, &asked, name, |desk, campaign| desk.funnel_svg(campaign)).await
}

#[derive(Template)]
#[template(path = "console/wordings.html")]
struct WordingsView<'a> {
    here: Here<'a>,
    counted: Timestamp,
    trials: &'a [WordingTrial],
    pager: &'a Pager,
}

impl WordingsView<'_> {
    fn heading(&self, stage: &Stage) -> &'static str {
        match stage {
            Stage::Opened => "Opened",
            Stage::Steps => "Steps",
            Stage::Done => "Done",
            Stage::Clean => "Clean, of observed",
        }
    }

    fn at(&self, arm: &WordingArm, stage: &Stage) -> (u64, u64) {
        arm.at(*stage)
    }

    /// How the intervals were made.
    fn method(&self, trial: &WordingTrial) -> String {
        match trial.pairs {
            0 | 1 => format!("Intervals of {} % (Newcombe's).", trial.sure_percent),
            pairs => format!(
                "Intervals (Newcombe's) of {pairs} pairs, widened so that they hold together with {} % (Bonferroni).",
                trial.sure_percent
            ),
        }
    }
}

pub(super) async fn wordings(State(counter): State<Counter>, asked: Asked) -> Response {
    let AsOf { at: counted, value } = match counter.ask(|desk| desk.wordings()).await {
        Ok(counted) => counted,
        Err(error) => return asked.trouble(&error),
    };
    let (trials, pager) = page_of(value, &asked);
    let twin = json!({ "page": pager.page, "next": pager.next_page, "counted": counted, "rounds": trials });
    let here = asked.here("outcome");
    asked.answer(&WordingsView { here, counted, trials: &trials, pager: &pager }, &twin)
}

/// A round of wordings, drawn by the program behind the desk.
pub(super) async fn wordings_picture(
    State(counter): State<Counter>,
    asked: Asked,
    name: Option<Path<String>>,
) -> Response {
    drawn(&counter, &asked, name, |desk, round| desk.wordings_svg(round)).await
}

/// Weeks of a network on the page, half a year; its twin has all.
const WEEKS_SHOWN: usize = 26;

#[derive(Template)]
#[template(path = "console/networks.html")]
struct NetworksView<'a> {
    here: Here<'a>,
    rates: &'a [NetworkRate],
    pager: &'a Pager,
}

impl NetworksView<'_> {
    /// The newest first.
    fn newest<'b>(&self, rate: &'b NetworkRate) -> impl Iterator<Item = &'b NetworkWeek> + use<'b> {
        rate.weeks.iter().rev().take(WEEKS_SHOWN)
    }

    fn count(&self, count: &Option<u64>, none: &str) -> String {
        count.as_ref().map_or_else(|| none.to_owned(), show::count)
    }

    fn rate(&self, rate: &Option<f64>) -> String {
        rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.2}"))
    }
}

pub(super) async fn networks(State(counter): State<Counter>, asked: Asked) -> Response {
    let (rates, pager) = match counter.ask(|desk| desk.networks()).await {
        Ok(rates) => page_of(rates, &asked),
        Err(error) => return asked.trouble(&error),
    };
    let twin = json!({ "page": pager.page, "next": pager.next_page, "networks": rates });
    asked.answer(&NetworksView { here: asked.here("outcome"), rates: &rates, pager: &pager }, &twin)
}

/// A network's weeks, drawn by the program behind the desk.
pub(super) async fn network_picture(
    State(counter): State<Counter>,
    asked: Asked,
    name: Option<Path<String>>,
) -> Response {
    drawn(&counter, &asked, name, |desk, network| desk.network_svg(network)).await
}

/// What a page shows of a list that is looked up whole.
fn page_of<T>(all: Vec<T>, asked: &Asked) -> (Vec<T>, Pager) {
    let skipped = usize::try_from(asked.offset()).unwrap_or(usize::MAX);
    let mut rows = all.into_iter().skip(skipped).take(Asked::limit() as usize).collect();
    let pager = asked.pager(&mut rows, "");
    (rows, pager)
}

async fn drawn(
    counter: &Counter,
    asked: &Asked,
    name: Option<Path<String>>,
    draw: impl FnOnce(&dyn Desk, &str) -> Result<String, DeskError> + Send + 'static,
) -> Response {
    let name = name.and_then(|Path(name)| name.strip_suffix(".svg").map(str::to_owned));
    let Some(name) = name else { return asked.trouble(&DeskError::NotFound) };
    match counter.ask(move |desk| draw(desk, &name)).await {
        Ok(svg) => ([(header::CONTENT_TYPE, SVG)], svg).into_response(),
        Err(error) => asked.trouble(&error),
    }
}
