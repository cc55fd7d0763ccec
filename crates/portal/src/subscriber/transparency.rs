//! What anybody may know: how many subscribers were touched, by which measure, what the rules refused, and how to check that
//! the log behind the numbers was not rewritten. The numbers come as they may be told; nothing is counted here.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use noroshi_law::evidence::disclosure::{Disclosure, Figures, Told};
use noroshi_model::Lang;

use super::speech::Speech;
use super::trouble::Trouble;
use super::visitor::Visitor;
use super::{Pages, answer};
use crate::show;

#[derive(Template)]
#[template(path = "subscriber/transparency.html")]
struct TransparencyView<'a> {
    s: Speech<'a>,
    d: &'a Disclosure,
}

impl TransparencyView<'_> {
    fn told(&self, number: &Told) -> String {
        match number {
            Told::Exactly(number) => show::count(number),
            Told::FewerThan(_) => self.s.t("told-fewer"),
        }
    }

    fn title(&self, of: &Figures) -> String {
        show::visible(if self.s.lang.base() == Lang::JA { &of.title_ja } else { &of.title_en })
    }

    /// A text of several lines, each as it is.
    fn lines(&self, text: &str) -> String {
        text.lines().map(show::whole).collect::<Vec<_>>().join("\n")
    }

    /// Each number of a measure under its name.
    fn numbers(&self, of: &Figures) -> [(String, String); 5] {
        let number = |key: &str, number| (self.s.t(key), self.told(number));
        [
            number("told-permits", &of.permits),
            number("told-looks", &of.looks),
            number("told-subscribers", &of.subscribers),
            number("told-notices", &of.notices),
            number("told-opt-outs", &of.opt_outs),
        ]
    }
}

pub(super) async fn page(State(pages): State<Pages>, visitor: Visitor) -> Response {
    let found = match pages.counter.ask(|desk| desk.transparency()).await {
        Ok(found) => found,
        Err(error) => return Trouble::from(error).page(&pages.texts, visitor.lang),
    };
    let d = &found.disclosure;
    let values = vec![
        ("operator", show::visible(&found.operator)),
        ("k", d.fewer_than.to_string()),
        ("counted", show::count(&d.counted)),
        ("entries", show::count(&d.entries)),
    ];
    let s = Speech::new(&pages.texts, &visitor, "/transparency", values);
    answer(&pages, &visitor, &TransparencyView { s, d })
}
