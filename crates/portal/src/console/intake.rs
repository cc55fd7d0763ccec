//! The page about what came in: what became of each feed's records, and who is to be credited for what the events were
//! enriched with. And the same counts for a monitoring system.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use noroshi_model::Tally;
use noroshi_model::text::Catalogue;

use super::asked::{Asked, Here};
use super::words::Words;
use crate::counter::Counter;
use crate::desk::{FeedLine, IntakePage};
use crate::subscriber::visitor::Visitor;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Template)]
#[template(path = "console/intake.html")]
struct IntakeView<'a> {
    here: Here<'a>,
    p: &'a IntakePage,
    all: FeedLine,
    w: &'a Words<'a>,
}

/// The sum over all feeds.
fn sum(feeds: &[FeedLine]) -> FeedLine {
    let all = FeedLine {
        feed: String::new(),
        kind: String::new(),
        counts: Tally::default(),
        last: jiff::Timestamp::UNIX_EPOCH,
        hour: 0,
        day: 0,
    };
    feeds.iter().fold(all, |mut all, feed| {
        all.counts += feed.counts;
        (all.hour, all.day) = (all.hour + feed.hour, all.day + feed.day);
        all.last = all.last.max(feed.last);
        all
    })
}

pub(super) async fn intake(
    State(counter): State<Counter>,
    State(texts): State<Arc<Catalogue>>,
    asked: Asked,
    visitor: Visitor,
) -> Response {
    match counter.ask(|desk| desk.intake()).await {
        Ok(p) => {
            let all = sum(&p.feeds);
            let w = Words::new(&texts, &visitor, &asked);
            asked.answer(&IntakeView { here: asked.here("intake"), p: &p, all, w: &w }, &p)
        }
        Err(error) => asked.trouble(&error),
    }
}

pub(super) async fn metrics(State(counter): State<Counter>, asked: Asked) -> Response {
    match counter.ask(|desk| desk.metrics()).await {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => asked.trouble(&error),
    }
}
