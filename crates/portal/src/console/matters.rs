//! The first page: what needs somebody today, and the loop in numbers.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::asked::{Asked, Here};
use crate::counter::Counter;
use crate::desk::{Attention, Today};

#[derive(Template)]
#[template(path = "console/today.html")]
struct TodayView<'a> {
    here: Here<'a>,
    t: &'a Today,
    /// How many things ask for action or a look, in words.
    needs: String,
}

impl TodayView<'_> {
    /// A page of ours to go to; anything else is shown without a link.
    fn href<'b>(&self, attention: &'b Attention) -> Option<&'b str> {
        let path = attention.href.as_str();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~%?&=#".contains(&b);
        (path.starts_with('/') && !path.starts_with("//") && path.bytes().all(is_plain)).then_some(path)
    }
}

/// How many things ask for somebody, in words.
pub(super) fn needs(things: usize) -> String {
    match things {
        0 => "Nothing needs you".to_owned(),
        1 => "1 thing needs you".to_owned(),
        n => format!("{n} things need you"),
    }
}

pub(super) async fn today(State(counter): State<Counter>, asked: Asked) -> Response {
    match counter.ask(|desk| desk.today()).await {
        Ok(t) => {
            let needs = needs(t.attention.len());
            asked.answer(&TodayView { here: asked.here("today"), t: &t, needs }, &t)
        }
        Err(error) => asked.trouble(&error),
    }
}
