//! The page about what came in: what became of each feed's records, and who is to be credited for what the events were
//! enriched with. And the same counts for a monitoring system.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use noroshi_model::text::{Catalogue, TextError};
use noroshi_model::{Lang, Tally};

use super::asked::{Asked, Here};
use crate::counter::Counter;
use crate::desk::{FeedLine, IntakePage};
use crate::subscriber::visitor::Visitor;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn texts() -> Result<Catalogue, TextError> {
    Catalogue::read(&[
        (Lang::JA, include_str!("../../i18n/ja/console.ftl")),
        (Lang::EN, include_str!("../../i18n/en/console.ftl")),
    ])
}

#[derive(Template)]
#[template(path = "console/intake.html")]
struct IntakeView<'a> {
    here: Here<'a>,
    p: &'a IntakePage,
    all: FeedLine,
    texts: &'a Catalogue,
    lang: Lang,
}

impl IntakeView<'_> {
    fn t(&self, key: &str) -> String {
        self.texts.say(self.lang, key, &[])
    }

    /// Each language with its own name, and whether it is this one.
    fn languages(&self) -> [(String, &'static str, bool); 2] {
        [(Lang::JA, "日本語"), (Lang::EN, "English")]
            .map(|(lang, name)| (lang.tag().to_owned(), name, lang == self.lang))
    }
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
            let view =
                IntakeView { here: asked.here("intake"), p: &p, all, texts: &texts, lang: visitor.lang };
            asked.answer(&view, &p)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::{SITE_STATES, SITE_THREATS};

    #[test]
    fn every_text_the_page_asks_for_is_written_and_every_text_written_is_asked_for() {
        let pages = [
            include_str!("../../templates/console/intake.html"),
            include_str!("../../templates/console/sites.html"),
            include_str!("../../templates/console/site.html"),
        ];
        let pages = pages.concat();
        let mut asked: Vec<&str> =
            pages.split(".t(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        // What codes are called.
        let codes: Vec<String> = [
            ("state", &SITE_STATES[..]),
            ("life", &["answers", "elsewhere", "missing", "gone", "barred"]),
            ("threat", &SITE_THREATS),
        ]
        .iter()
        .flat_map(|(kind, codes)| codes.iter().map(move |code| format!("site-{kind}-{code}")))
        .collect();
        asked.extend(codes.iter().map(String::as_str));
        let texts = texts().unwrap();
        for key in &asked {
            Lang::WRITTEN.iter().for_each(|lang| assert_ne!(&texts.say(*lang, key, &[]), key));
        }
        for line in include_str!("../../i18n/ja/console.ftl").lines() {
            let Some((key, _)) = line.split_once(" = ") else { continue };
            assert!(asked.contains(&key), "{key} is on no page");
        }
    }
}
